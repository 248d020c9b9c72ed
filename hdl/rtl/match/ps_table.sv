// Table of entries by index: a lookup port, and the maintenance side.
//
// Lookup:      re_i/addr_i, rdata_o Latency cycles after; never delayed by the other side.
// Maintenance: acc_re_i/acc_we_i with index and data, which are registered here: acc_rdata_o 1 + Latency cycles after acc_re_i,
//              holds; a write is done 2 cycles after acc_we_i.
// A table that two stages read is two of these with the same maintenance side; only one needs to answer reads.
module ps_table #(
  parameter int unsigned Width   = 32,
  parameter int unsigned Depth   = 512,
  parameter              Style   = "block",
  parameter int unsigned Latency = 2,
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

  logic                 re_q, we_q;
  logic [AddrWidth-1:0] index_q;
  logic [Width-1:0]     wdata_q;

  always_ff @(posedge clk_i) begin
    re_q <= acc_re_i;
    we_q <= acc_we_i;
    if (acc_re_i || acc_we_i) index_q <= acc_index_i;
    if (acc_we_i) wdata_q <= acc_wdata_i;
  end

  ps_ram_tdp #(
    .Width  (Width),
    .Depth  (Depth),
    .Style  (Style),
    .Latency(Latency)
  ) u_ram (
    .clk_i,
    .a_re_i   (re_i),
    .a_addr_i (addr_i),
    .a_rdata_o(rdata_o),
    .b_re_i   (re_q),
    .b_we_i   (we_q),
    .b_addr_i (index_q),
    .b_wdata_i(wdata_q),
    .b_rdata_o(acc_rdata_o)
  );

endmodule
