// Puts admitted pairs into the flow table: the fast path, a new pair every second cycle, with those that wait for room beside it.
//
// Request:    head_valid_i/head_i, the oldest one, if it is for this path (a new pair, nothing in its way); head_pop_o when it has been taken.
//             Its data are written first (data_we_o, both directions at once).
// Enter:      enter_i: a pair of the slow path, whose data are written, in a cycle with enter_ready_o.
// Ways:       ops for each way's port, two in a cycle if they are for different ways: commits first, then what moves residents,
//             clears (or what the slow path clears, slow_op_i, while nothing waits).
// Location:   loc_o, at most one a direction and cycle: where a key of a pair stands from now on.
// Rate:       two cycles a pair as long as keys find free slots; a resident that is moved takes a cycle of the allocator, and two
//             for each thing to be done for it, of a server that works beside it.
module ps_flow_insert
  import ps_abi_pkg::*;
  import ps_match_pkg::*;
  import ps_pair_pkg::*;
#(
  parameter int unsigned RowsLog2 = FlowRowsLog2
) (
  input  logic          clk_i,
  input  logic          rst_i,
  input  logic          clear_i,
  input  logic [FlowRowsLog2-1:0] clear_row_i,
  input  logic [191:0]  secret_i,

  input  logic          head_valid_i,
  input  flow_request_t head_i,
  output logic          head_pop_o,
  output logic          data_we_o,
  input  logic          stall_i,

  input  logic          enter_i,
  output logic          enter_ready_o,
  input  placing_t      enter_pair_i,

  input  logic                        slow_op_valid_i,
  output logic                        slow_op_ready_o,
  input  logic [$clog2(FlowWays)-1:0] slow_op_way_i,
  input  row_op_t                     slow_op_i,

  output logic        [FlowWays-1:0] op_valid_o,
  input  logic        [FlowWays-1:0] op_ready_i,
  output row_op_t     [FlowWays-1:0] op_o,
  input  logic        [FlowWays-1:0] done_valid_i,
  input  row_op_for_t [FlowWays-1:0] done_i,
  input  logic        [FlowWays-1:0] taken_valid_i,
  output logic        [FlowWays-1:0] taken_ready_o,
  input  key_slot_t   [FlowWays-1:0] taken_i,
  input  logic        [FlowWays-1:0] taken_used_i,
  input  waiting_t    [FlowWays-1:0] taken_by_i,

  output loc_write_t  [1:0]          loc_o,        // {reverse, forward}
  output mark_t       [1:0]          mark_o,       // slots that become valid or not: [0] after [1]

  output logic        full_valid_o,
  output placing_t    full_o,
  output pair_event_t event_o,
  output key_slot_t   event_slot_o,    // with it: of the forward key,
  output number_t     event_number_o,
  output logic        idle_o
);

  localparam int unsigned TagBits = 1 + $bits(waiting_t);
  localparam int unsigned PlaceCycles = 7;    // the allocator's, behind a register
  localparam int unsigned JoinDepth   = 16;
  localparam int unsigned JoinMargin  = 8;    // pairs that may be placed before it is seen that they are many
  localparam int unsigned BackDepth   = 8;
  localparam int unsigned BackMargin  = 4;    // slots, likewise

  // --- Fast path: forward key, then reverse key, through the allocator.
  logic     second_q, first_turn_q, issue, ask_valid, ask_ready, answer, ok, place_q;    // first_turn_q: !second_q, which has the data as loads
  waiting_t ask_by;
  rows_t    ask_rows, place_rows_q;
  logic [TagBits-1:0] tag, place_tag_q;
  flow_index_t        index;
  logic               free_valid, free_ready, go_q;
  flow_index_t        free_index;
  placing_t           issued, joined;
  logic               joined_valid;
  logic               first_ok_q;
  flow_index_t        first_q;

  assign ask_ready  = !second_q;
  assign issue      = head_valid_i && (second_q || (go_q && !ask_valid));
  assign head_pop_o = !first_turn_q;
  assign data_we_o  = second_q;

  ps_flow_alloc #(
    .RowsLog2(RowsLog2),
    .TagBits (TagBits)
  ) u_alloc (
    .clk_i,
    .rst_i,
    .valid_i     (place_q),
    .rows_i      (place_rows_q),
    .tag_i       (place_tag_q),
    .done_o      (answer),
    .tag_o       (tag),
    .ok_o        (ok),
    .index_o     (index),
    .free_valid_i(free_valid),
    .free_ready_o(free_ready),
    .free_index_i(free_index),
    .clear_i,
    .clear_row_i
  );

  always_comb begin
    issued = '{placed: '0, forward: '0, reverse: '0, as: PlaceNew, pending: 1'b1, number: head_i.number, fresh: head_i.fresh,
               plain: head_i.plain, key: head_i.key, reverse_key: head_i.reverse_key, rows: head_i.rows,
               reverse_rows: head_i.reverse_rows};
  end

  ps_delay #(
    .Width ($bits(placing_t)),
    .Cycles(PlaceCycles)
  ) u_issued (
    .clk_i,
    .rst_i,
    .valid_i(head_pop_o),
    .data_i (issued),
    .valid_o(joined_valid),
    .data_o (joined)
  );

  // Of an operation that is handed to a way beside the commits: what decides when it goes. The rest of it has a place of its own.
  typedef struct packed {
    logic [FlowWays-1:0]         ways;       // none, if there is no operation
    logic                        writes;     // RowWrite,
    logic                        clears;     // RowClear, of an operation that there is
    logic                        reverse;
    logic                        free;       // its slot is given back
  } turn_t;

  turn_t   mop_turn, beside_q, behind_q;
  row_op_t beside, mop, op_m [2];
  logic    mop_valid, mop_ready_q, beside_valid, beside_at_q, mop_at_q, take_beside;   // mop_ready_q: none is behind; at which place each is

  // --- Join: both have a slot, or the pair waits.
  placing_t pair_q, fast, waited, full;
  logic     pair_valid_q, quiet_q, joins_q, waits_q, fast_valid, fast_ready, unused_fast_ready, wait_valid, wait_ready;
  logic     clears, commit_takes;
  logic     waiting_room, waiting_idle, commit_idle, enter_slow;
  logic [$clog2(JoinDepth)+1:0] fast_count;

  // Of pair_q, with it: both have a slot, or it waits; and whether there is none, as pair_valid_q has a pair as loads.
  assign enter_ready_o = waiting_room && quiet_q;
  assign enter_slow    = enter_i && enter_ready_o;

  ps_fifo #(
    .Width($bits(placing_t)),
    .Depth(JoinDepth),
    .Style("distributed")
  ) u_joined (
    .clk_i,
    .rst_i,
    .wvalid_i(joins_q),
    .wready_o(unused_fast_ready),
    .wdata_i (pair_q),
    .rvalid_o(fast_valid),
    .rready_i(fast_ready),
    .rdata_o (fast),
    .count_o (fast_count)
  );

  always_ff @(posedge clk_i) begin
    if (answer && tag == '0) begin
      first_ok_q <= ok;
      first_q    <= index;
    end
    pair_valid_q <= joined_valid;
    quiet_q      <= !joined_valid;
    joins_q      <= joined_valid && ok && first_ok_q;
    waits_q      <= joined_valid && !(ok && first_ok_q);
    if (joined_valid) begin
      pair_q         <= joined;
      pair_q.placed  <= {ok, first_ok_q};
      pair_q.forward <= first_q;
      pair_q.reverse <= index;
    end
    if (issue) second_q <= !second_q;
    if (issue) first_turn_q <= second_q;
    go_q         <= !stall_i && waiting_room && fast_count < ($clog2(JoinDepth) + 2)'(JoinDepth - JoinMargin);
    place_q      <= issue || (ask_valid && ask_ready);
    if (!Rests || issue || ask_valid) place_rows_q <= second_q ? head_i.reverse_rows : ask_valid ? ask_rows : head_i.rows;
    place_tag_q  <= second_q || !ask_valid ? {1'b0, waiting_t'(second_q)} : {1'b1, ask_by};
    if (rst_i) begin
      place_q      <= 1'b0;
      second_q     <= 1'b0;
      first_turn_q <= 1'b1;
      go_q         <= 1'b0;
      pair_valid_q <= 1'b0;
      quiet_q      <= 1'b1;
      joins_q      <= 1'b0;
      waits_q      <= 1'b0;
    end
  end

  // --- Those that wait.
  logic                        wop_valid, wop_ready, wop_free;
  logic [$clog2(FlowWays)-1:0] wop_way;
  row_op_t                     wop;

  ps_flow_waiting #(
    .RowsLog2(RowsLog2)
  ) u_waiting (
    .clk_i,
    .rst_i,
    .secret_i,
    .enter_i       (waits_q || enter_slow),
    .enter_asks_i  (quiet_q),
    .enter_pair_i  (pair_valid_q ? pair_q : enter_pair_i),
    .room_o        (waiting_room),
    .idle_o        (waiting_idle),
    .ask_valid_o   (ask_valid),
    .ask_ready_i   (ask_ready),
    .ask_by_o      (ask_by),
    .ask_rows_o    (ask_rows),
    .answer_i      (answer && tag[TagBits-1]),
    .answer_by_i   (tag[TagBits-2:0]),
    .answer_ok_i   (ok),
    .answer_index_i(index),
    .op_valid_o    (wop_valid),
    .op_ready_i    (wop_ready),
    .op_way_o      (wop_way),
    .op_o          (wop),
    .op_free_o     (wop_free),
    .done_valid_i,
    .done_i,
    .taken_valid_i,
    .taken_ready_o,
    .taken_i,
    .taken_used_i,
    .taken_by_i,
    .commit_valid_o(wait_valid),
    .commit_ready_i(wait_ready),
    .commit_o      (waited),
    .full_valid_o,
    .full_o        (full)
  );

  assign full_o = full;

  // The clearing of a slot must not be overtaken by the write of the key that gets it.
  assign clears     = beside_q.clears || (!mop_ready_q && behind_q.clears);
  assign wait_ready = commit_takes && !clears;

  // --- Commit.
  logic                        cop_valid, cop_ready;
  logic [$clog2(FlowWays)-1:0] cop_way;
  logic [FlowWays-1:0]         cop_ways, cop_others;
  row_op_t                     cop;

  ps_flow_commit u_commit (
    .clk_i,
    .rst_i,
    .fast_valid_i(fast_valid),
    .fast_ready_o(fast_ready),
    .fast_i      (fast),
    .wait_valid_i(wait_valid && !clears),
    .wait_ready_o(commit_takes),
    .wait_i      (waited),
    .op_valid_o  (cop_valid),
    .op_ready_i  (cop_ready),
    .op_way_o    (cop_way),
    .op_ways_o   (cop_ways),
    .op_others_o (cop_others),
    .op_o        (cop),
    .event_o,
    .idle_o      (commit_idle)
  );

  logic        unused_back_ready, back_room_q, back_valid_q;
  logic [$clog2(BackDepth)+1:0] back_count;

  // --- To the ways: two registers, each with one operation; the second is held while the first is for the same way.

  // Operations beside the commits go through a register of their own, with one behind it for what comes before it is seen that the
  // first one stays. Only what decides moves up: the operations themselves stand in two places that are filled in turn, so that nothing
  // wide waits for what is decided.
  assign slow_op_ready_o = mop_ready_q;
  assign wop_ready       = mop_ready_q;
  assign mop_valid       = wop_valid || slow_op_valid_i;
  assign mop             = slow_op_valid_i ? slow_op_i : wop;
  assign beside          = op_m[beside_at_q];
  assign beside_valid    = beside_q.ways != '0;

  always_comb begin
    mop_turn.ways    = FlowWays'(mop_valid) << (slow_op_valid_i ? slow_op_way_i : wop_way);
    mop_turn.writes  = mop.op == RowWrite;
    mop_turn.clears  = mop_valid && mop.op == RowClear;
    mop_turn.reverse = mop.word.tag.reverse;
    mop_turn.free    = slow_op_valid_i || wop_free;
  end

  assign event_slot_o   = cop.word;
  assign event_number_o = cop.whom.number;

  assign cop_ready   = op_ready_i[cop_way];
  assign take_beside = (beside_q.ways & op_ready_i & cop_others) != '0 && (!beside_q.free || back_room_q) &&
                       !(beside_q.writes && cop_valid && cop.whom.reverse == beside_q.reverse);

  always_comb begin
    for (int unsigned w = 0; w < FlowWays; w++) begin
      op_valid_o[w] = (!cop_others[w] && op_ready_i[w]) || (beside_q.ways[w] && take_beside);
      op_o[w]       = cop_ways[w] ? cop : beside;
    end
  end

  flow_index_t cop_at, beside_at, back_at_q;
  assign cop_at = '{way: cop_way, row: cop.row, slot: cop.slot};

  always_comb begin
    beside_at = '{way: '0, row: beside.row, slot: beside.slot};
    for (int unsigned w = 0; w < FlowWays; w++) if (beside_q.ways[w]) beside_at.way |= $clog2(FlowWays)'(w);
  end

  // --- Slots that are given back, a cycle after they were cleared; while there is room for those that come before it is seen.
  logic [PlaceCycles+1:1] flight_q;   // pairs that the allocator has

  ps_fifo #(
    .Width($bits(flow_index_t)),
    .Depth(BackDepth),
    .Style("distributed")
  ) u_back (
    .clk_i,
    .rst_i,
    .wvalid_i(back_valid_q),
    .wready_o(unused_back_ready),
    .wdata_i (back_at_q),
    .rvalid_o(free_valid),
    .rready_i(free_ready),
    .rdata_o (free_index),
    .count_o (back_count)
  );

  always_ff @(posedge clk_i) begin
    if (mop_ready_q) begin
      if (!Rests || mop_valid) op_m[mop_at_q] <= mop;
      if (mop_valid) mop_at_q <= !mop_at_q;
      behind_q <= mop_turn;
    end
    if (!beside_valid || take_beside) beside_q <= mop_ready_q ? mop_turn : behind_q;
    mop_ready_q <= !beside_valid || take_beside || (mop_ready_q && !mop_valid);
    if (take_beside) beside_at_q <= !beside_at_q;
    back_valid_q <= take_beside && beside_q.free;
    back_at_q    <= beside_at;
    back_room_q  <= back_count <= ($clog2(BackDepth) + 2)'(BackDepth - BackMargin);
    // What is told of a place counts only with its valid bit.
    for (int unsigned d = 0; d < 2; d++) begin
      if (cop_valid && cop.whom.reverse == 1'(d)) begin
        loc_o[d] <= '{valid: cop_ready, pair: cop.word.tag.pair, index: cop_at};
      end else begin
        loc_o[d] <= '{valid: take_beside && beside_q.writes && beside_q.reverse == 1'(d), pair: beside.word.tag.pair,
                      index: beside_at};
      end
    end
    mark_o[0] <= '{valid: cop_valid && cop_ready, set: 1'b1, index: cop_at};
    mark_o[1] <= '{valid: take_beside && (beside_q.writes || beside_q.clears), set: beside_q.writes, index: beside_at};
    idle_o <= waiting_idle && commit_idle && !beside_valid && mop_ready_q && !mop_valid && fast_count == '0 && !pair_valid_q &&
              flight_q == '0 && !second_q && back_count == '0 && !back_valid_q && !enter_i;
    flight_q <= {flight_q[PlaceCycles:1], issue};
    if (rst_i) begin
      {beside_q.ways, beside_q.clears} <= '0;
      mop_ready_q  <= 1'b1;
      mop_at_q     <= 1'b0;
      beside_at_q  <= 1'b0;
      back_valid_q <= 1'b0;
      for (int unsigned d = 0; d < 2; d++) {loc_o[d].valid, mark_o[d].valid} <= '0;
      flight_q     <= '0;
    end
  end

  logic unused_bits;
  assign unused_bits = ^{unused_fast_ready, unused_back_ready, head_i};

`ifndef SYNTHESIS
  // The slow path has the table for itself, so that neither needs to know of the other.
  a_alone : assert property (@(posedge clk_i) disable iff (rst_i) !(wop_valid && slow_op_valid_i));
  a_join  : assert property (@(posedge clk_i) disable iff (rst_i) joined_valid |-> answer && tag == TagBits'(1));
  logic began_q;    // once there was a reset

  always @(posedge clk_i) begin
    if (rst_i) began_q <= 1'b1;
    if (!rst_i && joins_q) a_joins : assert (unused_fast_ready);
    if (!rst_i && began_q) a_pair : assert (quiet_q == !pair_valid_q && joins_q == (pair_valid_q && pair_q.placed == 2'b11) &&
                                            waits_q == (pair_valid_q && pair_q.placed != 2'b11));
    if (!rst_i && began_q) a_turn : assert (first_turn_q == !second_q);
    if (!rst_i && began_q) a_places : assert ((mop_at_q != beside_at_q) == (beside_valid && mop_ready_q));
    if (!rst_i && began_q && back_valid_q) a_back : assert (unused_back_ready);
  end
`endif

endmodule
