// Writes the keys of placed pairs: two pairs' keys in four cycles, one key a cycle.
//
// In:         fast_valid_i/fast_i (placed at once), wait_valid_i/wait_i (placed after waiting), taken when ready; the latter when there
//             is none of the former.
// Out:        the forward key's write, then the reverse key's, each for the way op_way_o; with its location. event_o with the first.
//             op_ways_o tells the way by a bit each, for what has many loads.
// Rate:       the pair that is next waits in a register of its own, so that nobody's ready depends on the ways'.
// Order:      whoever hands a pair over has written its data before.
module ps_flow_commit
  import ps_abi_pkg::*;
  import ps_match_pkg::*;
  import ps_pair_pkg::*;
(
  input  logic        clk_i,
  input  logic        rst_i,
  input  logic        fast_valid_i,
  output logic        fast_ready_o,
  input  placing_t    fast_i,
  input  logic        wait_valid_i,
  output logic        wait_ready_o,
  input  placing_t    wait_i,

  output logic                        op_valid_o,
  input  logic                        op_ready_i,
  output logic [$clog2(FlowWays)-1:0] op_way_o,
  output logic [FlowWays-1:0]         op_ways_o,
  output row_op_t                     op_o,
  output pair_event_t                 event_o,
  output logic                        idle_o
);

  logic     next_valid_q, room_q, valid_q, second_q, load, step;     // room_q: !next_valid_q, which has a pair as loads
  placing_t next_q, pair_q;

  assign load         = !valid_q || (second_q && step);
  assign fast_ready_o = room_q;
  assign wait_ready_o = room_q && !fast_valid_i;
  assign step         = valid_q && (!op_valid_o || op_ready_i);
  assign idle_o       = !next_valid_q && !valid_q && !op_valid_o;

  flow_index_t at;
  assign at = second_q ? pair_q.reverse : pair_q.forward;

  always_ff @(posedge clk_i) begin
    event_o <= '0;
    if (!next_valid_q) begin
      next_valid_q <= fast_valid_i || wait_valid_i;
      if (!Rests || fast_valid_i || wait_valid_i) next_q <= fast_valid_i ? fast_i : wait_i;
    end else if (load) begin
      next_valid_q <= 1'b0;
    end
    room_q <= room_q ? !(fast_valid_i || wait_valid_i) : load;
    if (load) begin
      valid_q  <= next_valid_q;
      second_q <= 1'b0;
      if (!Rests || next_valid_q) pair_q <= next_q;
    end else if (step) begin
      second_q <= 1'b1;
    end
    if (step) begin
      op_way_o <= at.way;
      op_o     <= '{op: RowWrite, row: at.row, slot: at.slot,
                    word: '{key: second_q ? pair_q.reverse_key : pair_q.key,
                            tag: '{pair: pair_q.fresh.pair, reverse: second_q, plain: pair_q.plain}},
                    whom: '{pending: pair_q.pending, number: pair_q.number, reverse: second_q, waiting: 1'b0, by: '0}};
      if (!second_q) begin
        event_o.learned  <= pair_q.as == PlaceNew;
        event_o.repinned <= pair_q.as inside {PlaceAgain, PlaceInPlace};
        event_o.added    <= pair_q.as inside {PlaceNew, PlaceAgain};
      end
    end
    op_valid_o <= step || (op_valid_o && !op_ready_i);
    if (step) op_ways_o <= FlowWays'(1) << at.way;
    else if (op_ready_i) op_ways_o <= '0;
    if (rst_i) begin
      next_valid_q <= 1'b0;
      room_q     <= 1'b1;
      valid_q    <= 1'b0;
      op_valid_o <= 1'b0;
      op_ways_o  <= '0;
      event_o    <= '0;
    end
  end

  logic unused_bits;
  assign unused_bits = ^pair_q;

`ifndef SYNTHESIS
  logic began_q;    // once there was a reset

  always @(posedge clk_i) begin
    if (rst_i) began_q <= 1'b1;
    if (!rst_i && valid_q) a_placed : assert (pair_q.forward != pair_q.reverse);
    if (!rst_i && began_q) a_room : assert (room_q == !next_valid_q);
    if (!rst_i) a_ways : assert (op_ways_o == FlowWays'(op_valid_o) << op_way_o);
  end
`endif

endmodule
