// Words that are read, changed and written back, one operation every cycle: counters.
//
// Operation:  op_valid_i/op_index_i in cycle 0; in cycle 1 old_o is the word's value with every earlier operation
//             applied, and the user gives new_i combinationally; written in cycle 2.
// Read-out:   re_i/raddr_i, rdata_o the cycle after; at most two cycles behind the operations.
// Clearing:   clr_we_i writes 0 at clr_index_i, before any operation.
module ps_rmw_ram #(
  parameter int unsigned Width = 48,
  parameter int unsigned Depth = 256,
  parameter              Style = "block",
  localparam int unsigned AddrWidth = $clog2(Depth)
) (
  input  logic                 clk_i,
  input  logic                 rst_i,
  input  logic                 op_valid_i,
  input  logic [AddrWidth-1:0] op_index_i,
  output logic [Width-1:0]     old_o,
  input  logic [Width-1:0]     new_i,
  input  logic                 re_i,
  input  logic [AddrWidth-1:0] raddr_i,
  output logic [Width-1:0]     rdata_o,
  input  logic                 clr_we_i,
  input  logic [AddrWidth-1:0] clr_index_i
);

  logic                 valid1_q, valid2_q, valid3_q, we;
  logic [AddrWidth-1:0] index1_q, index2_q, index3_q, waddr;
  logic [Width-1:0]     stored, word2_q, word3_q, wdata;

  assign we    = valid2_q || clr_we_i;
  assign waddr = clr_we_i ? clr_index_i : index2_q;
  assign wdata = clr_we_i ? '0 : word2_q;

  ps_ram_sdp #(
    .Width(Width),
    .Depth(Depth),
    .Style(Style)
  ) u_work (
    .clk_i,
    .we_i   (we),
    .waddr_i(waddr),
    .wdata_i(wdata),
    .re_i   (op_valid_i),
    .raddr_i(op_index_i),
    .rdata_o(stored)
  );

  ps_ram_sdp #(
    .Width(Width),
    .Depth(Depth),
    .Style(Style)
  ) u_copy (
    .clk_i,
    .we_i   (we),
    .waddr_i(waddr),
    .wdata_i(wdata),
    .re_i,
    .raddr_i,
    .rdata_o
  );

  // The RAM's read misses the last two writes: the one in progress and the one of the same cycle.
  always_comb begin
    old_o = stored;
    if (valid2_q && index2_q == index1_q) old_o = word2_q;
    else if (valid3_q && index3_q == index1_q) old_o = word3_q;
  end

  always_ff @(posedge clk_i) begin
    if (op_valid_i) index1_q <= op_index_i;
    if (valid1_q) begin
      index2_q <= index1_q;
      word2_q  <= new_i;
    end
    if (valid2_q) begin
      index3_q <= index2_q;
      word3_q  <= word2_q;
    end
    valid1_q <= op_valid_i;
    valid2_q <= valid1_q;
    valid3_q <= valid2_q;
    if (rst_i || clr_we_i) begin
      valid1_q <= 1'b0;
      valid2_q <= 1'b0;
      valid3_q <= 1'b0;
    end
  end

endmodule
