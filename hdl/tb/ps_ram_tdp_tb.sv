// Bench top of ps_ram_tdp: 16 words of four 8-bit lanes. The bench (ps_ram_tdp_tb.cpp) compares it with an array.
module ps_ram_tdp_tb (
  input  logic        clk_i,
  input  logic        a_re_i,
  input  logic [3:0]  a_addr_i,
  output logic [31:0] a_rdata_o,
  input  logic        b_re_i,
  input  logic [3:0]  b_we_i,
  input  logic [3:0]  b_addr_i,
  input  logic [7:0]  b_wdata_i,
  output logic [31:0] b_rdata_o
);

  ps_ram_tdp #(
    .Width    (32),
    .Depth    (16),
    .LaneWidth(8),
    .Style    ("ultra")
  ) dut (
    .clk_i,
    .a_re_i,
    .a_addr_i,
    .a_rdata_o,
    .b_re_i,
    .b_we_i,
    .b_addr_i,
    .b_wdata_i,
    .b_rdata_o
  );

endmodule
