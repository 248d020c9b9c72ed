// Requests to write flow pairs that are under way: admitted, and not yet in the table for every packet that comes to ask.
//
// Look:       forward_i/reverse_i, the prints of a packet's keys, every cycle; relation_o 2 cycles later, with all packets
//             ahead taken into account, those admitted in the last two cycles included.
// Push:       push_i/push_translated_i in the cycle of relation_o adds that packet's request; only with room_o.
// Retire:     served_i, the engine has done with the oldest request; it leaves LingerCycles later. So packets that looked
//             the table up before the engine wrote it still meet the request here.
// Entries:    a ring in order of admission, all compared at once.
module ps_pending
  import ps_match_pkg::*;
#(
  parameter int unsigned Entries = 80
) (
  input  logic      clk_i,
  input  logic      rst_i,
  input  print_t    forward_i,
  input  print_t    reverse_i,
  output relation_t relation_o,
  input  logic      push_i,
  input  logic      push_translated_i,
  output logic      room_o,
  input  logic      served_i,
  output logic      busy_o
);

  localparam int unsigned PtrWidth = $clog2(Entries);

  typedef struct packed {
    print_t forward;
    print_t reverse;
  } prints_t;

  prints_t               entry_q [Entries];
  logic [Entries-1:0]    valid_q, translated_q;
  logic [PtrWidth-1:0]   head_q, tail_q;
  logic [LingerCycles-1:0] linger_q;
  logic                  retire;

  // How a packet (a) stands to a request (b).
  function automatic relation_t relate(input prints_t a, input prints_t b);
    logic any;
    any                     = a.forward == b.forward || a.reverse == b.reverse || a.reverse == b.forward;
    relate                  = '0;
    relate.same             = a.forward == b.forward && a.reverse == b.reverse;
    relate.reply            = !relate.same && a.forward == b.reverse;
    relate.other            = any && !relate.same && !relate.reply;
  endfunction

  function automatic logic [PtrWidth-1:0] after(input logic [PtrWidth-1:0] ptr);
    after = ptr == PtrWidth'(Entries - 1) ? '0 : ptr + 1'b1;
  endfunction

  // Stage 0: compare with the ring, and with the two packets ahead.
  prints_t   look, look1_q, look2_q;
  relation_t with_ahead1, with_ahead2;

  assign look        = '{forward: forward_i, reverse: reverse_i};
  assign with_ahead1 = relate(look, look1_q);
  assign with_ahead2 = relate(look, look2_q);

  // Stage 1: all of the ring.
  logic [Entries-1:0] same1_q, reply1_q, translated1_q, other1_q;
  relation_t          ahead1_1q, ahead2_1q, ring;

  always_comb begin
    ring                  = '0;
    ring.same             = |same1_q;
    ring.reply            = |reply1_q;
    ring.reply_translated = |(reply1_q & translated1_q);
    ring.other            = |other1_q;
    ring.other_translated = |(other1_q & translated1_q);
  end

  // Stage 2: whether those ahead were admitted is known now.
  relation_t  ring2_q, ahead1_2q, ahead2_2q;
  logic [2:1] pushed_q, pushed_translated_q;

  function automatic relation_t if_pushed(input relation_t relation, input logic pushed, input logic translated);
    if_pushed                  = pushed ? relation : '0;
    if_pushed.reply_translated = if_pushed.reply && translated;
    if_pushed.other_translated = if_pushed.other && translated;
  endfunction

  assign relation_o = ring2_q | if_pushed(ahead1_2q, pushed_q[1], pushed_translated_q[1]) |
                      if_pushed(ahead2_2q, pushed_q[2], pushed_translated_q[2]);

  assign room_o = !valid_q[tail_q];
  assign retire = linger_q[LingerCycles-1];
  assign busy_o = valid_q != '0;

  logic any_q;   // there may be requests

  /* verilator lint_off UNUSEDSIGNAL */  // who is translated is the request's
  function automatic logic [2:0] kinds(input relation_t relation);
    kinds = {relation.same, relation.reply, relation.other};
  endfunction
  /* verilator lint_on UNUSEDSIGNAL */

  always_ff @(posedge clk_i) begin
    look1_q <= look;
    look2_q <= look1_q;
    any_q   <= push_i || valid_q != '0;
    if (any_q) begin
      for (int unsigned i = 0; i < Entries; i++) begin
        {same1_q[i], reply1_q[i], other1_q[i]} <= valid_q[i] ? kinds(relate(look, entry_q[i])) : '0;
      end
    end else begin
      same1_q  <= '0;
      reply1_q <= '0;
      other1_q <= '0;
    end
    translated1_q <= translated_q;
    ahead1_1q     <= with_ahead1;
    ahead2_1q     <= with_ahead2;
    ring2_q       <= ring;
    ahead1_2q     <= ahead1_1q;
    ahead2_2q     <= ahead2_1q;
    if (push_i) begin
      entry_q[tail_q]      <= look2_q;
      translated_q[tail_q] <= push_translated_i;
      valid_q[tail_q]      <= 1'b1;
      tail_q               <= after(tail_q);
    end
    if (retire) begin
      valid_q[head_q] <= 1'b0;
      head_q          <= after(head_q);
    end
    linger_q            <= {linger_q[LingerCycles-2:0], served_i};
    pushed_q            <= {pushed_q[1], push_i};
    pushed_translated_q <= {pushed_translated_q[1], push_translated_i};
    if (rst_i) begin
      valid_q  <= '0;
      head_q   <= '0;
      tail_q   <= '0;
      linger_q <= '0;
      pushed_q <= '0;
    end
  end

`ifndef SYNTHESIS
  a_room : assert property (@(posedge clk_i) disable iff (rst_i) push_i |-> room_o);
  a_retired : assert property (@(posedge clk_i) disable iff (rst_i) retire |-> valid_q[head_q]);
`endif

endmodule
