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

  // What is in the RAM is counted besides: the pointers have the RAM's address as load, the count only what decides. The word's
  // enable, which has all of its bits as loads, is worked out apart from what counts, and both apart from rvalid_o: by the same registers
  // once more, the other way round, which a synthesiser does not join.
  logic [AddrWidth-1:0] wptr_q, rptr_q;
  logic [AddrWidth:0]   stored_q;
  logic                 some_q, none_q, rvalid_q, open_q, we, re;

  assign wready_o = !stored_q[AddrWidth];
  assign rvalid_o = rvalid_q;
  assign count_o  = (AddrWidth + 2)'(stored_q) + (AddrWidth + 2)'(rvalid_q);

  assign we = wvalid_i && wready_o;
  assign re = some_q && (open_q || rready_i);

  ps_ram_sdp #(
    .Width(Width),
    .Depth(Depth),
    .Style(Style)
  ) u_ram (
    .clk_i,
    .we_i   (we),
    .waddr_i(wptr_q),
    .wdata_i,
    .re_i   (!none_q && (open_q || rready_i)),
    .raddr_i(rptr_q),
    .rdata_o
  );

  always_ff @(posedge clk_i) begin
    if (rst_i) begin
      wptr_q   <= '0;
      rptr_q   <= '0;
      stored_q <= '0;
      some_q   <= 1'b0;
      none_q   <= 1'b1;
      rvalid_q <= 1'b0;
      open_q   <= 1'b1;
    end else begin
      if (we) wptr_q <= wptr_q + 1'b1;
      if (re) rptr_q <= rptr_q + 1'b1;
      if (we && !re) stored_q <= stored_q + 1'b1;
      if (re && !we) stored_q <= stored_q - 1'b1;
      some_q   <= we || (re ? stored_q[AddrWidth:1] != '0 : some_q);
      none_q   <= !(we || (re ? stored_q[AddrWidth:1] != '0 : some_q));
      rvalid_q <= some_q || (rvalid_q && !rready_i);
      open_q   <= !(some_q || (!open_q && !rready_i));
    end
  end

`ifndef SYNTHESIS
  initial begin
    assert (Depth >= 2 && (Depth & (Depth - 1)) == 0) else $fatal(1, "ps_fifo: Depth is not a power of two");
  end
  // Immediate, and where anything moves: of concurrent ones a simulator would copy the operands in every cycle, of every queue.
  logic held_q;

  always @(posedge clk_i) begin
    held_q <= !rst_i && rvalid_q && !rready_i;
    if (!rst_i && held_q) a_sticky : assert (rvalid_q);
    if (!rst_i && (we || re)) begin
      a_not_over : assert (stored_q <= (AddrWidth + 1)'(Depth));
      a_counted : assert (stored_q[AddrWidth-1:0] == AddrWidth'(wptr_q - rptr_q) && some_q == (stored_q != '0));
      a_again : assert (none_q == !some_q && open_q == !rvalid_q);
      a_held : assert (!(rvalid_q && !rready_i && re));
    end
  end
`endif

endmodule
