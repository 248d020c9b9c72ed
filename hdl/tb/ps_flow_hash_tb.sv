// Bench top of ps_flow_hash; ps_flow_hash_tb.cpp compares it with its formula.
module ps_flow_hash_tb
  import ps_abi_pkg::*;
  import ps_match_pkg::*;
  import ps_pair_pkg::*;
(
  input  logic         clk_i,
  input  logic [191:0] secret_i,
  input  logic         valid_i,
  input  logic         wanted_i,
  input  logic [119:0] key_i,
  output logic [95:0]  hash_o,
  output logic [95:0]  mix_o [96],
  output int unsigned  cycles_o
);

  for (genvar b = 0; b < 96; b++) begin : gen_mix
    assign mix_o[b] = FlowMix[b];
  end
  assign cycles_o = HashCycles;

  ps_flow_hash dut (
    .clk_i,
    .secret_i,
    .valid_i,
    .wanted_i,
    .key_i,
    .hash_o
  );

endmodule
