// Pairs of which a key has no free slot: makes room by moving a resident of the key's rows to another of its own rows.
//
// Enter:      enter_i/enter_pair_i, with enter_asks_i if its keys have not asked for slots yet; at most one a cycle while room_o.
//             `placed`, with their indices, tells which key has a slot.
// Leave:      by commit_valid_o/commit_o, both keys placed, nothing written; or, when no resident can be moved, everything is given
//             back (full_o).
// Method:     up to WaitingPairs pairs, each with a state of its own, so that none holds up another. For a key, in turn
//               take the slot of a resident (RowTake), hash its key, ask for a slot for it, write it there (RowWrite, and its location),
//               and once that is done clear the old slot (RowClear): it is the waiting key's.
//             While a resident stands twice, lookups find the same pair. A resident that has no other room, is not written
//             yet, or is being moved already: the next one; first way and slot go round.
// Order:      operations of one row are done in the order in which they are handed over, so a slot that was cleared is not taken for a
//             resident.
module ps_flow_waiting
  import ps_abi_pkg::*;
  import ps_match_pkg::*;
  import ps_pair_pkg::*;
#(
  parameter int unsigned RowsLog2 = FlowRowsLog2
) (
  input  logic         clk_i,
  input  logic         rst_i,
  input  logic [191:0] secret_i,
  input  logic         enter_i,
  input  logic         enter_asks_i,
  input  placing_t     enter_pair_i,
  output logic         room_o,
  output logic         idle_o,

  output logic         ask_valid_o,
  input  logic         ask_ready_i,
  output waiting_t     ask_by_o,
  output rows_t        ask_rows_o,
  input  logic         answer_i,
  input  waiting_t     answer_by_i,
  input  logic         answer_ok_i,
  input  flow_index_t  answer_index_i,

  output logic                         op_valid_o,
  input  logic                         op_ready_i,
  output logic [$clog2(FlowWays)-1:0]  op_way_o,
  output row_op_t                      op_o,         // RowWrite: also sets the location of its word
  output logic                         op_free_o,    // and gives the slot back, with RowClear
  input  logic        [FlowWays-1:0]   done_valid_i,
  input  row_op_for_t [FlowWays-1:0]   done_i,
  input  logic        [FlowWays-1:0]   taken_valid_i,
  output logic        [FlowWays-1:0]   taken_ready_o,
  input  key_slot_t   [FlowWays-1:0]   taken_i,
  input  logic        [FlowWays-1:0]   taken_used_i,
  input  waiting_t    [FlowWays-1:0]   taken_by_i,

  output logic         commit_valid_o,
  input  logic         commit_ready_i,
  output placing_t     commit_o,

  output logic         full_valid_o,
  output placing_t     full_o
);

  localparam int unsigned Last       = FlowSlots - 1;    // residents that a key may try
  localparam int unsigned MixCycles  = 2;                // of a resident's hash, which nothing waits for in cycles
  localparam int unsigned MoveHashCycles = HashCycles - 1 + MixCycles;
  localparam int unsigned RoomMargin = 8;                // pairs that may enter before room_o is seen

  typedef enum logic [3:0] {
    StFree,
    StAsk,        // for a slot for the key itself
    StAsked,
    StPick,       // a resident
    StTaken,      // it is being read, hashed, and asks for a slot
    StWrite,
    StWritten,
    StClear,
    StCommit,
    StUndo,
    StFull
  } state_e;

  typedef struct packed {
    state_e                       state;
    logic [1:0]                   placed;    // reverse, forward
    logic                         second;    // which key is being placed: the reverse one
    logic [$clog2(FlowSlots)-1:0] first;     // resident to begin with
    logic [$clog2(FlowSlots)-1:0] tries;
  } context_t;

  context_t    ctx_q [WaitingPairs];
  flow_index_t index_q [WaitingPairs][2];    // where the keys are placed
  flow_index_t old_q [WaitingPairs];         // where the resident stands
  flow_index_t new_q [WaitingPairs];         // and where it goes
  placing_t    pair_m [WaitingPairs];
  key_slot_t   resident_m [WaitingPairs];

  logic [$clog2(FlowSlots)-1:0] first_q;

  // --- Who is served: chosen, fetched, its candidate found, that compared, judged, done; an action a cycle, each of another pair.
  // The halves of the pairs have turns: so whoever is chosen is seen to be served before the turn comes again.
  localparam int unsigned Half  = WaitingPairs / 2;
  localparam int unsigned Ahead = 4;        // who may be about to move a resident: two actions ahead, one done, one noted

  typedef struct packed {
    logic        valid;
    waiting_t    by;
    context_t    ctx;
    rows_t       rows;      // of the key that is being placed
  } act_t;

  logic     step, accept;
  logic                    turn_q;
  logic [Half-1:0]         ready;
  logic [$clog2(Half)-1:0] chosen;
  logic [WaitingPairs-1:0] ready_q, served_q, moves_q, used_ctx_q, commits_q;   // moves: whose resident is on its way
  logic        act0_valid_q, locked_q, did_locked_q;          // locked: somebody moves what stands at `at`
  waiting_t    act0_by_q;
  act_t        act1_q, act2_q, act3_q, act_q, did_q;          // did: what has been done
  flow_index_t at2_q, at3_q, at_q, did_at_q;                  // slot that the action is about
  logic        asks_q, ops_q;                                 // what the action needs
  logic [WaitingPairs+Ahead-1:0] same_q;              // act3_q is about what these move
  context_t act;
  placing_t act0_pair;

  function automatic logic acts(input state_e state);
    acts = state inside {StAsk, StPick, StWrite, StClear, StUndo, StFull};
  endfunction

  always_comb begin
    ready  = turn_q ? ready_q[WaitingPairs-1:Half] & ~served_q[WaitingPairs-1:Half] : ready_q[Half-1:0] & ~served_q[Half-1:0];
    chosen = '0;
    for (int unsigned i = Half; i > 0; i--) if (ready[i-1]) chosen = $clog2(Half)'(i - 1);
  end

  assign act0_pair   = pair_m[act0_by_q];
  assign act         = act_q.ctx;
  assign step        = !act_q.valid || accept;

  /* verilator lint_off UNUSEDSIGNAL */  // of the context what it has tried
  function automatic flow_index_t candidate(input context_t ctx, input rows_t rows);
    logic [$clog2(FlowSlots)-1:0] number;
    number    = ctx.first + ctx.tries;
    candidate = '{way: number[$clog2(FlowWays)-1:0], row: rows[number[$clog2(FlowWays)-1:0]],
                  slot: number[$clog2(FlowSlots)-1:$clog2(FlowWays)]};
  endfunction
  /* verilator lint_on UNUSEDSIGNAL */

  // What becomes known of a pair, in the cycle before it is noted. Of one pair one thing at a time: each state waits for one.
  typedef struct packed {
    logic enter;
    logic slot;        // its key has one,
    logic none;        // or has not
    logic room;        // the resident has a new place,
    logic fails;       // or none, or is no resident, or moves already
    logic asked;       // what was to be done has been
    logic taken;
    logic written;
    logic cleared;
    logic undone;      // one slot given back,
    logic empty;       // or none was left
    logic done;        // the resident can be read at its new place
    logic leaves;
  } known_t;

  known_t [WaitingPairs-1:0] known, known_q;
  logic [WaitingPairs-1:0]   noted_for_q;
  logic                      noted_pick_q;
  flow_index_t               noted_at_q, answer_index_q, enter_forward_q, enter_reverse_q;
  state_e                    enter_state_q;
  logic [1:0]                enter_placed_q;
  logic [$clog2(FlowSlots)-1:0] enter_first_q;

  flow_index_t       new1_q, old1_q, undo1_q;      // of act1_q's pair; undo: the slot that is given back
  flow_index_t       at2;
  (* keep *) logic   writes1, clears1, undoes1;    // act1_q, each in one level of logic
  logic              locked;

  assign writes1 = act1_q.ctx.state == StWrite;
  assign clears1 = act1_q.ctx.state == StClear;
  assign undoes1 = act1_q.ctx.state == StUndo;

  always_comb begin
    unique case (1'b1)
      writes1: at2 = new1_q;
      clears1: at2 = old1_q;
      undoes1: at2 = undo1_q;
      default: at2 = candidate(act1_q.ctx, act1_q.rows);
    endcase
  end

  // By those who move residents, and by the four actions ahead, if they are about to. Whoever waits in act3_q sees no others: who is
  // to move a resident is ahead.
  assign locked = same_q != '0;

  always_ff @(posedge clk_i) begin
    if (step) begin
      act0_valid_q <= ready != '0;
      act1_q.valid <= act0_valid_q;
      act2_q.valid <= act1_q.valid;
      act3_q.valid <= act2_q.valid;
      act_q.valid  <= act3_q.valid;
      act0_by_q    <= {turn_q, chosen};
    end
    if (step && act0_valid_q) begin
      act1_q.by    <= act0_by_q;
      act1_q.ctx   <= ctx_q[act0_by_q];
      act1_q.rows  <= ctx_q[act0_by_q].second ? act0_pair.reverse_rows : act0_pair.rows;
      new1_q       <= new_q[act0_by_q];
      old1_q       <= old_q[act0_by_q];
      undo1_q      <= index_q[act0_by_q][!ctx_q[act0_by_q].placed[0]];
    end
    if (step && act1_q.valid) begin
      act2_q.by    <= act1_q.by;
      act2_q.ctx   <= act1_q.ctx;
      act2_q.rows  <= act1_q.rows;
      at2_q        <= at2;
    end
    if (step && act2_q.valid) begin
      act3_q.by    <= act2_q.by;
      act3_q.ctx   <= act2_q.ctx;
      act3_q.rows  <= act2_q.rows;
      at3_q        <= at2_q;
      same_q[0]    <= act3_q.valid && act3_q.ctx.state == StPick && at3_q == at2_q;
      same_q[1]    <= act_q.valid && act.state == StPick && at_q == at2_q;
      same_q[2]    <= did_q.valid && did_q.ctx.state == StPick && did_at_q == at2_q;
      same_q[3]    <= noted_pick_q && noted_at_q == at2_q;
      for (int unsigned i = 0; i < WaitingPairs; i++) same_q[Ahead+i] <= moves_q[i] && old_q[i] == at2_q;
    end
    if (step) begin
      asks_q       <= act3_q.ctx.state == StAsk;
      ops_q        <= act3_q.ctx.state inside {StWrite, StClear} || (act3_q.ctx.state == StPick && !locked) ||
                      (act3_q.ctx.state == StUndo && act3_q.ctx.placed != '0);
    end
    if (step && act3_q.valid) begin
      act_q.by     <= act3_q.by;
      act_q.ctx    <= act3_q.ctx;
      act_q.rows   <= act3_q.rows;
      at_q         <= at3_q;
      locked_q     <= locked;
    end
    turn_q <= !turn_q;
    for (int unsigned i = 0; i < WaitingPairs; i++) begin
      if (act0_valid_q && act0_by_q == waiting_t'(i)) served_q[i] <= 1'b1;
      else if (noted_for_q[i]) served_q[i] <= 1'b0;
      ready_q[i] <= acts(ctx_q[i].state) && !served_q[i];
    end
    did_q.valid <= act_q.valid && accept;
    if (act_q.valid) begin
      did_q.by     <= act_q.by;
      did_q.ctx    <= act_q.ctx;
      did_at_q     <= at_q;
      did_locked_q <= locked_q;
    end
    if (rst_i) begin
      did_q.valid <= 1'b0;
      {act0_valid_q, act1_q.valid, act2_q.valid, act3_q.valid, act_q.valid} <= '0;
      turn_q   <= 1'b0;
      served_q <= '0;
      ready_q  <= '0;
    end
  end

  assign did_q.rows = '0;         // nobody asks for them

  // --- What it does
  assign op_valid_o = act_q.valid && ops_q;
  assign op_free_o  = act.state == StUndo;
  assign op_way_o   = at_q.way;
  assign op_o       = '{op: act.state == StPick ? RowTake : act.state == StWrite ? RowWrite : RowClear, row: at_q.row,
                        slot: at_q.slot, word: resident_m[act_q.by], whom: '{waiting: 1'b1, by: act_q.by, default: '0}};

  assign full_valid_o = act_q.valid && act.state == StFull;
  assign full_o       = pair_m[act_q.by];

  // Answers of the allocator: to residents whose hash stands, and to keys that ask themselves.
  logic     hashed_valid, hashed_ready, own_ask;
  waiting_t hashed_by;
  rows_t    hashed_rows;

  // One is held here until the allocator takes it.
  assign own_ask      = act_q.valid && asks_q;
  assign hashed_ready = !ask_valid_o && !own_ask;      // of asks of its own a pair has two at most

  always_ff @(posedge clk_i) begin
    if (!ask_valid_o) begin
      ask_valid_o <= hashed_valid || own_ask;
      if (hashed_valid || own_ask) begin
        ask_by_o    <= own_ask ? act_q.by : hashed_by;
        ask_rows_o  <= own_ask ? act_q.rows : hashed_rows;
      end
    end else if (ask_ready_i) begin
      ask_valid_o <= 1'b0;
    end
    if (rst_i) ask_valid_o <= 1'b0;
  end

  // Who has found no room is taken at once.
  assign accept = asks_q ? !ask_valid_o : !ops_q || op_ready_i;

  // --- Residents on their way from port B to the allocator
  logic                 taken_valid_q, taken_used_q;
  key_slot_t            taken_q;
  waiting_t             taken_by_q;
  logic [MoveHashCycles:1]  hash_valid_q;
  waiting_t             hash_by_q [MoveHashCycles:1];
  flow_hash_t           hash;
  logic                 unused_ready;
  logic [$clog2(WaitingPairs)+1:0] unused_count;

  always_comb begin
    taken_ready_o = '0;
    for (int unsigned w = FlowWays; w > 0; w--) if (taken_valid_i[w-1]) taken_ready_o = FlowWays'(1) << (w - 1);
  end

  ps_flow_hash #(
    .MixCycles(MixCycles)
  ) u_hash (
    .clk_i,
    .secret_i,
    .valid_i (taken_valid_q),
    .wanted_i(1'b1),
    .key_i   (taken_q.key),
    .hash_o  (hash)
  );

  ps_fifo #(
    .Width($bits(waiting_t) + $bits(rows_t)),
    .Depth(WaitingPairs),
    .Style("distributed")
  ) u_hashed (
    .clk_i,
    .rst_i,
    .wvalid_i(hash_valid_q[MoveHashCycles]),
    .wready_o(unused_ready),
    .wdata_i ({hash_by_q[MoveHashCycles], rows_of(hash, RowsLog2)}),
    .rvalid_o(hashed_valid),
    .rready_i(hashed_ready),
    .rdata_o ({hashed_by, hashed_rows}),
    .count_o (unused_count)
  );

  always_ff @(posedge clk_i) begin
    taken_valid_q <= 1'b0;
    for (int unsigned w = 0; w < FlowWays; w++) begin
      if (taken_ready_o[w]) begin
        taken_valid_q <= 1'b1;
        taken_q       <= taken_i[w];
        taken_used_q  <= taken_used_i[w];
        taken_by_q    <= taken_by_i[w];
      end
    end
    if (taken_valid_q) resident_m[taken_by_q] <= taken_q;
    hash_valid_q <= {hash_valid_q[MoveHashCycles-1:1], taken_valid_q && taken_used_q};
    hash_by_q[1] <= taken_by_q;
    for (int unsigned i = 2; i <= MoveHashCycles; i++) hash_by_q[i] <= hash_by_q[i-1];
    if (rst_i) begin
      taken_valid_q <= 1'b0;
      hash_valid_q  <= '0;
    end
  end

  // --- Pairs that are placed
  logic     commit_wants, commit_q;
  waiting_t commit_chosen, commit_by_q;

  always_comb begin
    commit_wants  = 1'b0;
    commit_chosen = '0;
    for (int unsigned i = WaitingPairs; i > 0; i--) begin
      if (commits_q[i-1]) begin
        commit_wants  = 1'b1;
        commit_chosen = waiting_t'(i - 1);
      end
    end
  end

  assign commit_valid_o = commit_q;

  always_comb begin
    commit_o         = pair_m[commit_by_q];
    commit_o.forward = index_q[commit_by_q][0];
    commit_o.reverse = index_q[commit_by_q][1];
  end

  // --- Who is free: one is offered, the next one is kept behind it. Pairs enter in every second cycle at most.
  logic [$bits(waiting_t):0] used_q;
  logic                      left_q;               // the one that was committed in the cycle before still counts
  logic                      offered_q;
  waiting_t                  offer_q;
  logic [1:0]                spare_q, spares;      // one of each half
  waiting_t [1:0]            spare_ctx_q, unused_ctx;
  logic [1:0][Half-1:0]      unused_first;

  always_comb begin
    for (int unsigned h = 0; h < 2; h++) begin
      unused_ctx[h] = waiting_t'(h * Half);
      for (int unsigned i = 0; i < Half; i++) begin
        unused_first[h][i] = !used_ctx_q[h*Half+i];
        for (int unsigned k = 0; k < i; k++) unused_first[h][i] &= used_ctx_q[h*Half+k];
        if (unused_first[h][i]) unused_ctx[h] |= waiting_t'(h * Half + i);
      end
    end
  end

  assign spares = !offered_q || enter_i ? {spare_q[1] && !spare_q[0], spare_q[0]} : '0;    // that are offered next

  // --- What becomes known
  logic [WaitingPairs-1:0] answered, did, changes, changes_q;    // changes: anything but `undone`, which is no other state

  always_comb begin
    for (int unsigned i = 0; i < WaitingPairs; i++) begin
      answered[i]      = answer_i && answer_by_i == waiting_t'(i);
      did[i]           = did_q.valid && did_q.by == waiting_t'(i);
      known[i].enter   = enter_i && offer_q == waiting_t'(i);
      known[i].slot    = answered[i] && answer_ok_i && ctx_q[i].state == StAsked;
      known[i].none    = answered[i] && !answer_ok_i && ctx_q[i].state == StAsked;
      known[i].room    = answered[i] && answer_ok_i && ctx_q[i].state != StAsked;
      known[i].fails   = (answered[i] && !answer_ok_i && ctx_q[i].state != StAsked) ||
                         (taken_valid_q && !taken_used_q && taken_by_q == waiting_t'(i)) ||
                         (did[i] && did_q.ctx.state == StPick && did_locked_q);
      known[i].asked   = did[i] && did_q.ctx.state == StAsk;
      known[i].taken   = did[i] && did_q.ctx.state == StPick && !did_locked_q;
      known[i].written = did[i] && did_q.ctx.state == StWrite;
      known[i].cleared = did[i] && did_q.ctx.state == StClear;
      known[i].undone  = did[i] && did_q.ctx.state == StUndo && did_q.ctx.placed != '0;
      known[i].empty   = did[i] && did_q.ctx.state == StUndo && did_q.ctx.placed == '0;
      known[i].leaves  = (did[i] && did_q.ctx.state == StFull) || (commit_q && commit_ready_i && commit_by_q == waiting_t'(i));
      known[i].done    = 1'b0;
      for (int unsigned w = 0; w < FlowWays; w++) begin
        known[i].done |= done_valid_i[w] && done_i[w].waiting && done_i[w].by == waiting_t'(i);
      end
      changes[i] = known[i].enter || answered[i] || (taken_valid_q && !taken_used_q && taken_by_q == waiting_t'(i)) ||
                   (did[i] && !(did_q.ctx.state == StUndo && did_q.ctx.placed != '0)) ||
                   (commit_q && commit_ready_i && commit_by_q == waiting_t'(i)) || known[i].done;
    end
  end

  always_ff @(posedge clk_i) begin
    known_q         <= known;
    changes_q       <= changes;
    noted_for_q     <= did;
    noted_pick_q    <= did_q.valid && did_q.ctx.state == StPick;
    noted_at_q      <= did_at_q;
    answer_index_q  <= answer_index_i;
    enter_state_q   <= enter_pair_i.placed == 2'b11 ? StCommit : enter_asks_i ? StAsk : StPick;
    enter_placed_q  <= enter_pair_i.placed;
    enter_forward_q <= enter_pair_i.forward;
    enter_reverse_q <= enter_pair_i.reverse;
    enter_first_q   <= first_q;
    if (rst_i) begin
      known_q      <= '0;
      changes_q    <= '0;
      noted_for_q  <= '0;
      noted_pick_q <= 1'b0;
    end
  end

  // --- States
  logic rst_q;      // nobody enters in the cycle after the reset: nobody has been offered yet
  state_e [WaitingPairs-1:0] next_state;

  // One thing becomes known at a time: so what follows is that, and no order among them.
  always_comb begin
    for (int unsigned i = 0; i < WaitingPairs; i++) begin
      next_state[i] = state_e'(
          (known_q[i].enter ? enter_state_q : 4'b0) |
          (known_q[i].slot || known_q[i].cleared ? (ctx_q[i].placed[!ctx_q[i].second] ? StCommit : StAsk) : 4'b0) |
          (known_q[i].none ? StPick : 4'b0) |
          (known_q[i].room ? StWrite : 4'b0) |
          (known_q[i].fails ? (ctx_q[i].tries == ($clog2(FlowSlots))'(Last) ? StUndo : StPick) : 4'b0) |
          (known_q[i].asked ? StAsked : 4'b0) |
          (known_q[i].taken ? StTaken : 4'b0) |
          (known_q[i].written ? StWritten : 4'b0) |
          (known_q[i].done ? StClear : 4'b0) |
          (known_q[i].empty ? StFull : 4'b0));     // and StFree, 0, once it leaves
    end
  end

  always_ff @(posedge clk_i) begin
    rst_q <= rst_i;
    for (int unsigned i = 0; i < WaitingPairs; i++) begin
      if (changes_q[i]) ctx_q[i].state <= next_state[i];
      if (known_q[i].enter) begin
        ctx_q[i].placed <= enter_placed_q;
        ctx_q[i].second <= enter_placed_q[0];
        ctx_q[i].first  <= enter_first_q;
      end
      // The key that was being placed has a slot, of its own or a resident's.
      if (known_q[i].slot || known_q[i].cleared) begin
        ctx_q[i].placed[ctx_q[i].second] <= 1'b1;
        ctx_q[i].second                  <= 1'b1;
      end
      if (known_q[i].undone) ctx_q[i].placed[!ctx_q[i].placed[0]] <= 1'b0;
      if (known_q[i].enter || known_q[i].slot || known_q[i].cleared) ctx_q[i].tries <= '0;
      else if (known_q[i].fails) ctx_q[i].tries <= ctx_q[i].tries + 1'b1;
      for (int unsigned d = 0; d < 2; d++) begin
        if (known_q[i].enter) index_q[i][d] <= d == 0 ? enter_forward_q : enter_reverse_q;
        else if (known_q[i].slot && ctx_q[i].second == 1'(d)) index_q[i][d] <= answer_index_q;
        else if (known_q[i].cleared && ctx_q[i].second == 1'(d)) index_q[i][d] <= old_q[i];
      end
      if (known_q[i].taken) old_q[i] <= noted_at_q;
      if (known_q[i].room) new_q[i] <= answer_index_q;
      if (known_q[i].taken) moves_q[i] <= 1'b1;
      else if (known_q[i].cleared || known_q[i].fails) moves_q[i] <= 1'b0;
      if (rst_q) begin
        ctx_q[i].state <= StFree;
        moves_q[i]     <= 1'b0;
      end
    end
    for (int unsigned i = 0; i < WaitingPairs; i++) begin
      commits_q[i] <= ctx_q[i].state == StCommit && !(commit_q && commit_by_q == waiting_t'(i)) && !known_q[i].leaves;
      if (!spare_q[i/Half] && unused_first[i/Half][i%Half]) used_ctx_q[i] <= 1'b1;
      else if (known_q[i].leaves) used_ctx_q[i] <= 1'b0;
    end
    for (int unsigned h = 0; h < 2; h++) begin
      if (!spare_q[h]) begin
        spare_q[h]     <= unused_first[h] != '0;
        spare_ctx_q[h] <= unused_ctx[h];
      end else if (spares[h]) begin
        spare_q[h]     <= 1'b0;
      end
    end
    if (!offered_q || enter_i) begin
      offered_q <= spare_q != '0;
      offer_q   <= spare_q[0] ? spare_ctx_q[0] : spare_ctx_q[1];
    end
    if (rst_i) begin
      commits_q  <= '0;
      used_ctx_q <= '0;
      offered_q  <= 1'b0;
      spare_q    <= '0;
    end
    if (enter_i) begin
      pair_m[offer_q] <= enter_pair_i;
      first_q         <= first_q + $clog2(FlowSlots)'(FlowWays + 1);     // another way, another slot
    end
    if (commit_q && commit_ready_i) begin
      commit_q <= 1'b0;
    end else if (!commit_q) begin
      commit_q    <= commit_wants;
      commit_by_q <= commit_chosen;
    end
    left_q <= commit_q && commit_ready_i;
    used_q <= used_q + ($bits(waiting_t) + 1)'(enter_i) - ($bits(waiting_t) + 1)'(left_q) - ($bits(waiting_t) + 1)'(full_valid_o);
    room_o <= used_q < ($bits(waiting_t) + 1)'(WaitingPairs - RoomMargin);
    idle_o <= used_q == '0 && !enter_i;
    if (rst_i) begin
      commit_q <= 1'b0;
      left_q   <= 1'b0;
      first_q  <= '0;
      used_q   <= '0;
    end
  end

  logic unused_bits;
  assign unused_bits = ^{unused_ready, unused_count, hash, did_q, act, act0_pair};

`ifndef SYNTHESIS
  for (genvar i = 0; i < WaitingPairs; i++) begin : gen_known
    a_one_thing : assert property (@(posedge clk_i) disable iff (rst_i) $onehot0(known_q[i]));
    a_changes : assert property (@(posedge clk_i) disable iff (rst_i)
        changes_q[i] == (known_q[i] != '0 && !known_q[i].undone));
  end
  // Whoever takes a resident is the only one.
  always @(posedge clk_i) begin
    for (int unsigned i = 0; i < WaitingPairs; i++) begin
      if (known_q[i].taken && !rst_i) begin
        for (int unsigned k = 0; k < WaitingPairs; k++) a_one_mover : assert (k == i || !moves_q[k] || old_q[k] != noted_at_q);
      end
    end
  end
  a_room : assert property (@(posedge clk_i) disable iff (rst_i) enter_i |-> offered_q && ctx_q[offer_q].state == StFree);
  a_acts : assert property (@(posedge clk_i) disable iff (rst_i) act_q.valid |-> acts(act.state) && act.state == ctx_q[act_q.by].state);
`endif

endmodule
