// flow_hash: 96 bits of a flow key under the card's secret, by which rows and fingerprints are chosen (datapath.md, section 5).
//
// Function:   the key, zero-extended, is eight 16-bit words m0 to m7, the secret twelve k0 to k11. Three sums, j = 0 to 2:
//               s_j = sum over i = 0..3 of ((m[2i] + k[2i+2j]) mod 2^16) * ((m[2i+1] + k[2i+1+2j]) mod 2^16), mod 2^32
//             (NH of UMAC, RFC 4418, with its key shifted by two words for each further sum), and then bit b of the result is
//             the parity of {s_2, s_1, s_0} & FlowMix[b]. Who does not know the secret cannot choose keys that meet: a sum of two given
//             keys is the same for 2^-16 of all secrets at most.
// Latency:    HashCycles (5), a key every cycle: add, multiply, add, add, mix; with MixCycles = 2 one more. hash_o stands as long after
//             the key, if it was one (valid_i), and is wanted still in the cycle after it (wanted_i).
// Secret:     stands still while keys are hashed (it is taken over when the tables are cleared).
module ps_flow_hash
  import ps_abi_pkg::*;
  import ps_match_pkg::*;
  import ps_pair_pkg::*;
#(
  parameter int unsigned MixCycles = 1      // 2 for whoever can wait: the parities are that of each sum first
) (
  input  logic         clk_i,
  input  logic [191:0] secret_i,
  input  logic         valid_i,
  input  logic         wanted_i,
  input  flow_key_t    key_i,
  output flow_hash_t   hash_o
);

  localparam int unsigned Sums = 3;

  logic [7:0][15:0]  word;
  logic [11:0][15:0] secret;
  logic [95:0]       sums;

  assign word   = 128'(key_i);
  assign secret = secret_i;

  logic [HashCycles-1:1] valid_q;   // of what a stage takes over; no reset, as keys alone matter

  always_ff @(posedge clk_i) valid_q <= {valid_q[HashCycles-2:2], valid_q[1] && wanted_i, valid_i};

  for (genvar j = 0; j < Sums; j++) begin : gen_sum
    for (genvar i = 0; i < 4; i++) begin : gen_product
      logic [15:0] even_q, odd_q;
      logic [31:0] product_q;

      always_ff @(posedge clk_i) begin
        if (valid_i) begin
          even_q <= word[2*i] + secret[2*i+2*j];
          odd_q  <= word[2*i+1] + secret[2*i+1+2*j];
        end
        if (valid_q[1]) product_q <= even_q * odd_q;
      end
    end

    logic [31:0] half0_q, half1_q, sum_q;

    always_ff @(posedge clk_i) begin
      if (valid_q[2]) begin
        half0_q <= gen_product[0].product_q + gen_product[1].product_q;
        half1_q <= gen_product[2].product_q + gen_product[3].product_q;
      end
      if (valid_q[3]) sum_q <= half0_q + half1_q;
    end

    assign sums[32*j +: 32] = sum_q;
  end

  logic mixing_q;

  always_ff @(posedge clk_i) mixing_q <= valid_q[4];

`ifdef SYNTHESIS
  if (MixCycles == 1) begin : gen_mix
    always_ff @(posedge clk_i) begin
      if (valid_q[4]) for (int unsigned b = 0; b < 96; b++) hash_o[b] <= ^(sums & FlowMix[b]);
    end
  end else begin : gen_mix
    logic [Sums-1:0][95:0] part_q;

    always_ff @(posedge clk_i) begin
      if (valid_q[4]) begin
        for (int unsigned j = 0; j < Sums; j++) begin
          for (int unsigned b = 0; b < 96; b++) part_q[j][b] <= ^(sums[32*j +: 32] & FlowMix[b][32*j +: 32]);
        end
      end
      if (mixing_q) hash_o <= part_q[0] ^ part_q[1] ^ part_q[2];
    end
  end
`else
  // The same, added up from what each four bits of the sums give: a simulator would work out each parity by itself.
  localparam int unsigned Nibbles = 96 / 4;

  logic [95:0] mixed_m [Nibbles*16];
  logic [95:0] mixed_q, late_q;

  initial begin
    for (int unsigned n = 0; n < Nibbles; n++) begin
      for (int unsigned v = 0; v < 16; v++) begin
        for (int unsigned b = 0; b < 96; b++) mixed_m[16*n+v][b] = ^(4'(v) & FlowMix[b][4*n +: 4]);
      end
    end
  end

  always_ff @(posedge clk_i) begin
    if (valid_q[4]) begin
      logic [95:0] mixed;
      mixed = '0;
      for (int unsigned n = 0; n < Nibbles; n++) mixed ^= mixed_m[16*n + 32'(sums[4*n +: 4])];
      mixed_q <= mixed;
    end
    if (mixing_q) late_q <= mixed_q;
  end

  assign hash_o = MixCycles == 1 ? mixed_q : late_q;

  initial assert (HashCycles == 5 && MixCycles inside {1, 2} && $bits(flow_hash_t) == 96)
    else $fatal(1, "ps_flow_hash: stages and HashCycles differ");
`endif

endmodule
