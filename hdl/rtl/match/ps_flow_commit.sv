// Writes the keys of placed pairs: two pairs' keys in four cycles, one key a cycle.
//
// In:         fast_valid_i/fast_i (placed at once), wait_valid_i/wait_i (placed after waiting), taken when ready; the latter when there
//             is none of the former.
// Out:        the forward key's write, then the reverse key's, each for the way op_way_o; with its location. event_o with the first.
//             op_ways_o tells the way by a bit each, for what has many loads, op_others_o the ways that it is not for.
// Rate:       the pair that is next waits beside the one whose keys are written, so that nobody's ready depends on the ways'. Both have
//             their place until they are done, so that no wide register does either.
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
  output logic [FlowWays-1:0]         op_others_o,
  output row_op_t                     op_o,
  output pair_event_t                 event_o,
  output logic                        idle_o
);

  logic     room_q, valid_q, turn_q, fill_q, second_q, comes, done;    // turn, fill: the place that is written out, and filled
  logic     step, step_op, open_q;      // step_op: step, for the operation; by op_valid_o, of which open_q is the other way round
  placing_t pair_m [2], pair;

  assign fast_ready_o = room_q;
  assign wait_ready_o = room_q && !fast_valid_i;
  assign comes        = room_q && (fast_valid_i || wait_valid_i);
  assign step         = valid_q && (open_q || op_ready_i);
  assign step_op      = valid_q && (!op_valid_o || op_ready_i);
  assign done         = step && second_q;
  assign pair         = pair_m[turn_q];
  assign idle_o       = !valid_q && !op_valid_o;

  flow_index_t at;
  assign at = second_q ? pair.reverse : pair.forward;

  always_ff @(posedge clk_i) begin
    event_o <= '0;
    if (room_q && (!Rests || comes)) pair_m[fill_q] <= fast_valid_i ? fast_i : wait_i;
    if (comes) fill_q <= !fill_q;
    valid_q <= comes || !room_q || (valid_q && !done);
    room_q  <= done || !valid_q || (room_q && !comes);
    if (done) turn_q <= !turn_q;
    if (step) second_q <= !second_q;
    if (step_op) begin
      op_way_o <= at.way;
      op_o     <= '{op: RowWrite, row: at.row, slot: at.slot,
                    word: '{key: second_q ? pair.reverse_key : pair.key,
                            tag: '{pair: pair.fresh.pair, reverse: second_q, plain: pair.plain}},
                    whom: '{pending: pair.pending, number: pair.number, reverse: second_q, waiting: 1'b0, by: '0}};
      if (!second_q) begin
        event_o.learned  <= pair.as == PlaceNew;
        event_o.repinned <= pair.as inside {PlaceAgain, PlaceInPlace};
        event_o.added    <= pair.as inside {PlaceNew, PlaceAgain};
      end
    end
    op_valid_o <= step || (!open_q && !op_ready_i);
    open_q     <= !(step || (!open_q && !op_ready_i));
    if (step) begin
      op_ways_o   <= FlowWays'(1) << at.way;
      op_others_o <= ~(FlowWays'(1) << at.way);
    end else if (op_ready_i) begin
      op_ways_o   <= '0;
      op_others_o <= '1;
    end
    if (rst_i) begin
      room_q     <= 1'b1;
      valid_q    <= 1'b0;
      turn_q     <= 1'b0;
      fill_q     <= 1'b0;
      second_q   <= 1'b0;
      op_valid_o <= 1'b0;
      open_q      <= 1'b1;
      op_ways_o   <= '0;
      op_others_o <= '1;
      event_o    <= '0;
    end
  end

  logic unused_bits;
  assign unused_bits = ^pair;

`ifndef SYNTHESIS
  logic began_q;    // once there was a reset

  always @(posedge clk_i) begin
    if (rst_i) began_q <= 1'b1;
    if (!rst_i && valid_q) a_placed : assert (pair.forward != pair.reverse);
    if (!rst_i && began_q) a_room : assert ((valid_q || room_q) && (turn_q != fill_q) == (valid_q && room_q));
    if (!rst_i && began_q) a_ways : assert (op_ways_o == FlowWays'(op_valid_o) << op_way_o && op_others_o == ~op_ways_o && open_q == !op_valid_o);
  end
`endif

endmodule
