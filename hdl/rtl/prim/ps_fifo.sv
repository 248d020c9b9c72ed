// First-in first-out queue in a RAM, output registered.
//
// Handshake:  wvalid_i/wready_o in, rvalid_o/rready_i out; no combinational path between the two sides' ready.
// Latency:    2 cycles from write to rvalid_o; one word in and one word out every cycle.
// Capacity:   Depth words in the RAM (a power of two), and one in the output register. count_o is the sum.
// Reset:      rst_i empties it; the words themselves are not reset.
module ps_fifo #(
  parameter int unsigned Width = 32,
  parameter int unsigned Depth = 16,
  parameter              Style = "block",
  localparam int unsigned AddrWidth = $clog2(Depth)
) (
  input  logic                 clk_i,
  input  logic                 rst_i,
  input  logic                 wvalid_i,
  output logic                 wready_o,
  input  logic [Width-1:0]     wdata_i,
  output logic                 rvalid_o,
  input  logic                 rready_i,
  output logic [Width-1:0]     rdata_o,
  output logic [AddrWidth+1:0] count_o
);

  // One bit more than the address tells a full RAM from an empty one. Both are also known from the cycle before, as the readies have
  // many loads behind them.
  logic [AddrWidth:0] wptr_q, rptr_q, stored;
  logic               rvalid_q, some_q, full_q, we, re;

  assign stored   = wptr_q - rptr_q;
  assign wready_o = !full_q;
  assign rvalid_o = rvalid_q;
  assign count_o  = (AddrWidth + 2)'(stored) + (AddrWidth + 2)'(rvalid_q);

  assign we = wvalid_i && !full_q;
  assign re = some_q && (!rvalid_q || rready_i);

  ps_ram_sdp #(
    .Width(Width),
    .Depth(Depth),
    .Style(Style)
  ) u_ram (
    .clk_i,
    .we_i   (we),
    .waddr_i(wptr_q[AddrWidth-1:0]),
    .wdata_i,
    .re_i   (re),
    .raddr_i(rptr_q[AddrWidth-1:0]),
    .rdata_o
  );

  always_ff @(posedge clk_i) begin
    if (rst_i) begin
      wptr_q   <= '0;
      rptr_q   <= '0;
      rvalid_q <= 1'b0;
      some_q   <= 1'b0;
      full_q   <= 1'b0;
    end else begin
      if (we) wptr_q <= wptr_q + 1'b1;
      if (re) rptr_q <= rptr_q + 1'b1;
      rvalid_q <= some_q || (rvalid_q && !rready_i);
      some_q   <= we || (re ? stored > (AddrWidth + 1)'(1) : some_q);
      if (we != re) full_q <= we && stored == (AddrWidth + 1)'(Depth - 1);
    end
  end

`ifndef SYNTHESIS
  initial begin
    assert (Depth >= 2 && (Depth & (Depth - 1)) == 0) else $fatal(1, "ps_fifo: Depth is not a power of two");
  end
  a_not_over : assert property (@(posedge clk_i) disable iff (rst_i) stored <= (AddrWidth + 1)'(Depth));
  a_some : assert property (@(posedge clk_i) disable iff (rst_i)
      some_q == (stored != '0) && full_q == (stored == (AddrWidth + 1)'(Depth)));
  a_held : assert property (@(posedge clk_i) disable iff (rst_i) rvalid_q && !rready_i |-> !re);
  a_sticky : assert property (@(posedge clk_i) disable iff (rst_i) rvalid_q && !rready_i |=> rvalid_q);
`endif

endmodule
