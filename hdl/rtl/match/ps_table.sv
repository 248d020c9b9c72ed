// Table of entries by index: a lookup port, and the maintenance side.
//
// Lookup:      re_i/addr_i, rdata_o the cycle after; never delayed by the other side.
// Maintenance: acc_re_i/acc_we_i with index and data; acc_rdata_o the cycle after acc_re_i.
// A table that two stages read is two of these with the same maintenance side; only one needs to answer reads.
module ps_table #(
  parameter int unsigned Width = 32,
  parameter int unsigned Depth = 512,
  parameter              Style = "block",
  localparam int unsigned AddrWidth = $clog2(Depth)
) (
  input  logic                 clk_i,
  input  logic                 re_i,
  input  logic [AddrWidth-1:0] addr_i,
  output logic [Width-1:0]     rdata_o,
  input  logic                 acc_re_i,
  input  logic                 acc_we_i,
  input  logic [AddrWidth-1:0] acc_index_i,
  input  logic [Width-1:0]     acc_wdata_i,
  output logic [Width-1:0]     acc_rdata_o
);

  ps_ram_tdp #(
    .Width(Width),
    .Depth(Depth),
    .Style(Style)
  ) u_ram (
    .clk_i,
    .a_re_i   (re_i),
    .a_addr_i (addr_i),
    .a_rdata_o(rdata_o),
    .b_re_i   (acc_re_i),
    .b_we_i   (acc_we_i),
    .b_addr_i (acc_index_i),
    .b_wdata_i(acc_wdata_i),
    .b_rdata_o(acc_rdata_o)
  );

endmodule
