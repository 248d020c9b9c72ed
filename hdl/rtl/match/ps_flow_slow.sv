// Requests that change what the flow table has (section 9.2), and the host's: one at a time, while nothing else is under way.
//
// Request:    head_valid_i/head_i, the oldest, if the fast path is not for it; begun when drained_i; head_pop_o when it has been done. What
//             is to be placed is entered (enter_o) with its data written, and finds its way beside the fast path.
// Host:       host_valid_i with index, held until host_done_o: reads what stands there, or with host_write_i deletes its pair. hold_o asks
//             the fast path to stop.
// Kinds:      new, replace, re-pin: a plain pair in the way goes (or the request does). A present forward key that is not a re-pin of a
//             forward entry: its pair goes as well, and a new one comes. A re-pin of a forward entry stays in its place.
//             Move, reverse: data in place; the slots of both keys are written again if they are no longer plain. Dead: the pair goes if it
//             is. Move: to wherever the source check lets come from, its partner to the member there, if there is one; but what a service
//             sends comes from a member, and only until the connection is established.
// Old:        old_valid_i/old_pair_i, held until old_done_o: whether the pair is to go is asked back (ask_o, with its generations).
// News:       news_valid_o/news_o, a pulse: what became of a pair that goes, or has another member or tunnel. For its forward key the slot
//             is read, as the request may be for the other one, or for none.
// Memories:   fixed latencies, counted; mappings and statistics are asked for until they come.
module ps_flow_slow
  import ps_abi_pkg::*;
  import ps_match_pkg::*;
  import ps_pair_pkg::*;
#(
  parameter int unsigned RowsLog2 = FlowRowsLog2
) (
  input  logic          clk_i,
  input  logic          rst_i,
  input  logic          drained_i,
  output logic          hold_o,
  output logic          idle_o,
  input  logic          head_valid_i,
  input  flow_request_t head_i,
  output logic          head_pop_o,

  input  logic          old_valid_i,
  input  pair_t         old_pair_i,
  output logic          old_done_o,
  output logic          ask_o,
  output generation_t [1:0] generation_o,
  input  logic          told_i,
  input  logic          told_old_i,
  input  logic          told_yields_i,    // until the next time

  input  logic          host_valid_i,
  input  logic          host_write_i,
  input  flow_index_t   host_index_i,
  output logic          host_done_o,
  output logic          host_used_o,
  output key_slot_t     host_slot_o,
  output flow_facts_t   host_facts_o,

  output logic          probe_valid_o,
  input  logic          probe_ready_i,
  output rows_t         probe_rows_o,
  output flow_key_t     probe_key_o,
  input  way_found_t    probe_found_i,
  input  key_slot_t [FlowWays-1:0][BucketSlots-1:0] raw_i,
  input  logic      [FlowWays-1:0][BucketSlots-1:0] raw_used_i,

  output logic              data_re_o,
  output logic              data_we_o,
  output pair_t             data_pair_o,
  output flow_facts_t [1:0] data_wdata_o,
  input  flow_facts_t [1:0] data_rdata_i,
  output logic              loc_re_o,
  input  flow_index_t [1:0] loc_i,

  output logic                        op_valid_o,
  input  logic                        op_ready_i,
  output logic [$clog2(FlowWays)-1:0] op_way_o,
  output row_op_t                     op_o,
  output logic          enter_o,
  input  logic          enter_ready_i,
  output placing_t      enter_pair_o,
  output logic          give_o,
  output free_pair_t    give_value_o,
  output logic          give_counts_o,    // with it: its shares have had it
  output logic          made_o,           // give_value_o is made, which its shares have not had yet
  output logic          drop_valid_o,
  output number_t       drop_o,
  output logic          keep_o,           // head_i's client is to be kept, if it says so
  output logic          news_valid_o,
  output pair_news_t    news_o,
  output logic          removed_o,
  output logic          aged_o,           // with it: for it was old
  output logic          evicted_o,        // or for it gave way

  output logic          map_re_o,
  output logic [13:0]   map_addr_o,
  input  logic          map_done_i,
  input  fip_map_t      map_i,
  input  logic          map_bad_i,        // the cycle after: its parity is wrong
  output logic          tcp_re_o,
  output logic          tcp_reverse_o,
  input  logic          tcp_done_i,
  input  tcp_word_t     tcp_i,
  output logic          move_start_o,
  output logic [15:0]   move_nh_o,
  output logic [31:0]   move_dip_o,
  input  logic          move_done_i,
  input  move_t         move_i
);

  localparam int unsigned RawCycles   = key_cycles(RowsLog2) + 1;
  localparam int unsigned FoundCycles = RawCycles + 2;
  localparam int unsigned PairsLog2   = RowsLog2 + $clog2(FlowSlots) - 1;
  localparam int unsigned DataCycles  = data_cycles(RowsLog2) + 1;      // by the second port
  localparam int unsigned SettleCycles = 8;
  localparam int unsigned WaitMost    = FoundCycles + DataCycles + SettleCycles;
  // Count at which a pair's locations stand, if its data do at 2.
  localparam int unsigned LocWait     = DataCycles + 2 - ps_ram_deep_pkg::latency(1 << (PairsLog2 - 2));

  // One bit of state_q each: what is done in a state is known at once.
  typedef enum int unsigned {
    StIdle,
    StForward,       // probes of both keys
    StReverse,
    StFound,         // the second is being looked up
    StMeet,          // how what was found stands to the request
    StJudge,
    StRead,          // what the pair in question says, and where it stands
    StCompare,
    StDecide,
    StMap,           // whether it is dead, or may move
    StMapped,
    StOwnTcp,
    StPartnerTcp,
    StOver,
    StWalk,
    StWalked,
    StMerge,         // what is to be written
    StWrite,
    StLast,          // a pair goes
    StPartnerSlot,   // key of the other entry: for its new mark, or as it is the forward one
    StPartnerRead,
    StFree,          // a slot, or both, of a pair
    StFreeSecond,
    StSettle,
    StEnter,
    StHost,
    StHostRaw,
    StHostDone,
    StAsk,           // whether the pair is old
    StTold,
    StGiveUp,        // a request that changes nothing gives its pair back
    StDone,
    StPop,           // the request
    States           // how many
  } state_e;

  // Of a comparison of what is said, in two stages.
  localparam int unsigned FactsBits = $bits(flow_facts_t);
  localparam int unsigned PieceBits = 12;
  localparam int unsigned Pieces    = (FactsBits + PieceBits - 1) / PieceBits;

  logic [States-1:0] state_q;
  // States again, for what is wide, so that what comes next does not wait for its loads: StFree or StFreeSecond; not StMerge; not StWrite.
  // The other way round, as synthesis makes one of equal registers.
  logic              frees_q, unmerged_q, unwritten_q;
  logic [WaitMost:1] wait_q;         // bit n: n cycles are left
  logic              waited_q;       // none
  logic          second_q;           // which key is probed: the reverse one
  logic          partner_q;          // the partner's row is, if any is
  logic          host_q, ages_q;     // for whom: the host, the search for old pairs, or the request
  way_found_t    forward_q, reverse_q;
  pair_t         pair_q;             // in question
  logic          side_q;             // which of its entries
  flow_facts_t [1:0] old_q;
  flow_index_t [1:0] at_q;
  logic          both_q;             // both slots go, and the pair with them
  logic          again_q;            // the request's forward key was there
  logic          pins_q;             // the partner is pinned as well
  logic          pair_kind_q, move_kind_q, dead_kind_q, service_q;      // of the request
  logic          repin_kind_q;
  logic          stays_kind_q;                               // move_kind_q the other way round, for what only decides
  logic          is_new_q, own_q, gives_way_q, in_place_q;   // how it stands to what is there
  logic          has_map_q, reverse_side_q;                  // of old_q[side_q]; side_q again, for what only decides
  logic          mapped_dead_q;
  logic [3:0]    own_tcp_q, partner_tcp_q;
  move_t         move_q;
  key_slot_t     raw_q;
  logic          raw_used_q;
  logic [$clog2(FlowWays)-1:0]    raw_way_q;
  logic [$clog2(BucketSlots)-1:0] raw_slot_q;
  placing_t      entered_q;
  logic          enter_q;

  // --- What is written
  flow_facts_t [1:0] facts_q;

  // A pair that stays: the forward entry's statistics go on, the reverse entry's restart.
  function automatic free_pair_t kept_pair();
    kept_pair = '{pair: pair_q, generation: old_q[0].generation, reverse_generation: old_q[1].generation + 8'd1};
  endfunction

  function automatic flow_facts_t [1:0] merge();
    flow_facts_t [1:0] facts;
    /* verilator lint_off UNUSEDSIGNAL */  // of the pair that stays only its generations
    free_pair_t        kept;
    /* verilator lint_on UNUSEDSIGNAL */
    kept  = kept_pair();
    facts = old_q;
    if (pair_kind_q) begin
      facts[0]            = head_i.facts;
      facts[0].generation = in_place_q ? kept.generation : head_i.fresh.generation;
      facts[0].partner_generation = in_place_q ? kept.reverse_generation : head_i.fresh.reverse_generation;
      facts[1]            = reverse_facts(head_i);
      facts[1].generation = facts[0].partner_generation;
      facts[1].partner_generation = facts[0].generation;
    end else begin
      if (move_kind_q) facts[side_q].src_info = head_i.facts.src_info;
      for (int unsigned d = 0; d < 2; d++) begin
        if (pins_q && 1'(d) == (move_kind_q ? !side_q : side_q)) begin
          facts[d].ecmp_valid      = 1'b1;
          facts[d].ecmp_slot       = move_kind_q ? MemberBits'(move_q.slot) : head_i.facts.ecmp_slot;
          facts[d].ecmp_generation = move_kind_q ? move_q.generation : head_i.facts.ecmp_generation;
        end
      end
    end
    merge = facts;
  endfunction

  // Equal in all but generations and src_info, of which the request has none here.
  logic [Pieces-1:0] equal_q;

  function automatic logic [Pieces-1:0] compare();
    flow_facts_t mask;
    logic [Pieces*PieceBits-1:0] differs;
    mask = '1;
    {mask.generation, mask.partner_generation, mask.src_info} = '0;
    differs = (Pieces * PieceBits)'(FactsBits'(old_q[0] ^ head_i.facts) & FactsBits'(mask));
    for (int unsigned i = 0; i < Pieces; i++) compare[i] = differs[i*PieceBits +: PieceBits] == '0;
  endfunction

  // A state of another generation is none.
  function automatic logic [3:0] current(input tcp_word_t word, input generation_t generation);
    current = word.generation == generation ? word.tcp : '0;
  endfunction

  flow_index_t freed;
  assign freed      = at_q[state_q[StFreeSecond] || !both_q];
  assign op_valid_o = frees_q;
  assign op_way_o   = freed.way;

  always_comb begin
    op_o      = '0;
    op_o.op   = RowClear;
    op_o.row  = freed.row;
    op_o.slot = freed.slot;
  end

  assign probe_valid_o = waited_q && (state_q[StForward] || state_q[StReverse] || state_q[StPartnerSlot] || state_q[StHost]);

  always_comb begin
    probe_rows_o = second_q ? head_i.reverse_rows : head_i.rows;
    probe_key_o  = second_q ? head_i.reverse_key : head_i.key;
    if (host_q) probe_rows_o = {FlowWays{host_index_i.row}};
    if (partner_q) probe_rows_o = {FlowWays{at_q[!side_q].row}};
  end

  assign hold_o        = host_valid_i || old_valid_i || !state_q[StIdle];
  assign idle_o        = state_q[StIdle] && !host_valid_i && !old_valid_i && !enter_q;
  assign head_pop_o    = state_q[StPop];
  assign old_done_o    = state_q[StDone] && ages_q;
  assign ask_o         = state_q[StAsk];
  assign generation_o  = {old_q[1].generation, old_q[0].generation};
  assign enter_o       = enter_q;
  assign enter_pair_o  = entered_q;
  assign data_pair_o   = state_q[StWrite] && pair_kind_q && !in_place_q ? head_i.fresh.pair : pair_q;
  assign data_re_o     = state_q[StRead] && waited_q;
  assign loc_re_o      = data_re_o;
  assign data_we_o     = !unwritten_q;
  assign keep_o        = !unwritten_q && pair_kind_q;
  assign data_wdata_o  = facts_q;
  assign map_re_o      = state_q[StMap];
  assign map_addr_o    = old_q[side_q].map;
  assign tcp_re_o      = state_q[StOwnTcp] || state_q[StPartnerTcp];
  assign tcp_reverse_o = state_q[StOwnTcp] ? side_q : !side_q;
  assign move_start_o  = state_q[StWalk];
  assign move_nh_o     = head_i.reverse_rpf;
  assign move_dip_o    = head_i.facts.src_info;
  assign host_done_o   = state_q[StHostDone];
  assign host_used_o   = raw_used_q;
  assign host_slot_o   = raw_q;
  assign host_facts_o  = old_q[raw_q.tag.reverse];

  // It stands when what it is of has been done.
  logic ended_q;

  // Whether a move or a reverse entry's re-pin changed anything: another packet may have asked for the same.
  localparam int unsigned TiesBits   = $bits(head_i.facts.src_info) + 1 + MemberBits + $bits(generation_t);
  localparam int unsigned TiesPieces = (2 * TiesBits + PieceBits - 1) / PieceBits;

  logic [TiesPieces-1:0] changed_q;

  function automatic logic [TiesPieces-1:0] changes(input flow_facts_t [1:0] from, input flow_facts_t [1:0] to);
    logic [1:0][TiesBits-1:0] ties;
    logic [TiesPieces*PieceBits-1:0] differs;
    for (int unsigned d = 0; d < 2; d++) begin
      ties[d] = {from[d].src_info, from[d].ecmp_valid, from[d].ecmp_slot, from[d].ecmp_generation} ^
                {to[d].src_info, to[d].ecmp_valid, to[d].ecmp_slot, to[d].ecmp_generation};
    end
    differs = (TiesPieces * PieceBits)'(ties);
    for (int unsigned i = 0; i < TiesPieces; i++) changes[i] = differs[i*PieceBits +: PieceBits] != '0;
  endfunction

  always_comb begin
    news_o            = '0;
    news_o.kind       = ended_q ? 3'(EventFlowEnded) : 3'(EventFlowRepinned);
    news_o.pair       = pair_q;
    news_o.generation = generation_o;
    news_o.key        = side_q ? raw_q.key : head_i.key;
    news_o.plain      = ended_q ? raw_q.tag.plain : forward_q.tag.plain && !pins_q;
    news_o.ties       = ties_of(ended_q ? old_q : facts_q);
    if (ended_q) begin
      if (host_q) news_o.reason = 6'(FlowEndDeleted);
      else if (ages_q) news_o.reason = told_yields_i ? 6'(FlowEndEvicted) : 6'(FlowEndAged);
      else news_o.reason = dead_kind_q ? 6'(FlowEndDead) : 6'(FlowEndReplaced);
    end
  end

  task automatic go(input state_e state);
    state_q     <= States'(1) << state;
    frees_q     <= state == StFree || state == StFreeSecond;
    unmerged_q  <= state != StMerge;
    unwritten_q <= state != StWrite;
  endtask

  task automatic hold(input int unsigned cycles);
    wait_q   <= WaitMost'(1) << (cycles - 1);
    waited_q <= 1'b0;
  endtask

  // The pair in question, if there is one: whether it is looked at is another matter, which takes longer.
  task automatic ask_of(input pair_t pair, input logic side);
    pair_q <= pair;
    side_q <= side;
  endtask

  always_ff @(posedge clk_i) begin
    give_o       <= 1'b0;
    made_o       <= state_q[StWrite] && repin_kind_q && !in_place_q;
    drop_valid_o <= 1'b0;
    news_valid_o <= 1'b0;
    removed_o    <= 1'b0;
    aged_o       <= 1'b0;
    evicted_o    <= 1'b0;
    drop_o       <= head_i.number;
    give_value_o <= state_q[StFreeSecond] ?
                    '{pair: pair_q, generation: old_q[0].generation, reverse_generation: old_q[1].generation} : head_i.fresh;
    give_counts_o <= state_q[StFreeSecond] || !repin_kind_q;
    changed_q    <= changes(old_q, facts_q);
    wait_q       <= wait_q >> 1;
    if (wait_q[1]) waited_q <= 1'b1;
    if (enter_q && enter_ready_i) enter_q <= 1'b0;
    if (!unmerged_q) facts_q <= merge();
    if (!unwritten_q) begin
      entered_q <= '{placed: {in_place_q && own_q, in_place_q}, forward: at_q[0], reverse: at_q[1],
                     as: in_place_q ? PlaceInPlace : again_q ? PlaceAgain : PlaceNew, pending: 1'b1, number: head_i.number,
                     fresh: in_place_q ? kept_pair() : head_i.fresh, plain: head_i.plain, key: head_i.key,
                     reverse_key: head_i.reverse_key, rows: head_i.rows, reverse_rows: head_i.reverse_rows};
    end

    // Each state says what comes next, itself while it waits: left as they are, the bits would have one enable, of all that any waits for.
    state_q     <= '0;
    frees_q     <= 1'b0;
    unmerged_q  <= 1'b1;
    unwritten_q <= 1'b1;

    unique case (1'b1)
      state_q[StIdle]: begin
        go(StIdle);
        host_q       <= host_valid_i;
        ages_q       <= old_valid_i && !host_valid_i;
        again_q      <= 1'b0;
        both_q       <= 1'b0;
        pins_q       <= 1'b0;
        partner_q    <= 1'b0;
        pair_kind_q  <= asks_pair(head_i.kind);
        repin_kind_q <= head_i.kind == LearnRepin;
        move_kind_q  <= head_i.kind == LearnMove;
        stays_kind_q <= head_i.kind != LearnMove;
        dead_kind_q  <= head_i.kind == LearnDead;
        service_q    <= head_i.far_service;
        if (drained_i && !enter_q) begin
          if (host_valid_i || old_valid_i) begin
            // What the fast path took before it saw that it is to stop.
            go(StSettle);
            hold(SettleCycles);
          end
          else if (head_valid_i) go(StForward);
        end
      end
      state_q[StForward]: begin
        go(StForward);
        if (probe_ready_i && waited_q) begin
          go(StReverse);
          second_q <= 1'b1;
          hold(FoundCycles);
        end
      end
      // The forward key's answer stands when the reverse key is about to be probed.
      state_q[StReverse]: begin
        go(StReverse);
        if (wait_q[1]) forward_q <= probe_found_i;
        if (waited_q && probe_ready_i) begin
          go(StFound);
          hold(FoundCycles);
        end
      end
      state_q[StFound]: begin
        go(StFound);
        if (wait_q[1]) begin
          reverse_q <= probe_found_i;
          second_q  <= 1'b0;
          go(StMeet);
        end
      end
      state_q[StMeet]: begin
        is_new_q    <= head_i.kind == LearnNew || !forward_q.hit;
        own_q       <= forward_q.hit && reverse_q.hit && forward_q.tag.pair == reverse_q.tag.pair;
        gives_way_q <= reverse_q.tag.plain && (head_i.plain ||
                       (head_i.facts.map_valid && head_i.key.proto != ProtoTcp && !reverse_q.tag.reverse));
        in_place_q  <= head_i.kind == LearnRepin && forward_q.hit && !forward_q.tag.reverse;
        go(StJudge);
      end
      state_q[StJudge]: begin
        if (!pair_kind_q) ask_of(forward_q.tag.pair, forward_q.tag.reverse);
        else if (reverse_q.hit && !own_q) ask_of(reverse_q.tag.pair, 1'b0);
        else ask_of(forward_q.tag.pair, 1'b0);
        if (!pair_kind_q) begin
          if (!forward_q.hit) go(StGiveUp);
          else go(StRead);
        end else if (is_new_q && forward_q.hit) begin
          go(StGiveUp);
        end else if (reverse_q.hit && !own_q) begin
          if (gives_way_q) go(StRead);
          else go(StGiveUp);
          both_q <= 1'b1;
        end else if (forward_q.hit) begin
          go(StRead);
          both_q  <= !in_place_q;
          again_q <= 1'b1;
        end else begin
          go(StMerge);
        end
      end
      state_q[StRead]: begin
        go(StRead);
        if (waited_q) hold(DataCycles + 2);
        if (wait_q[2]) old_q <= data_rdata_i;
        if (wait_q[LocWait]) at_q <= loc_i;
        if (wait_q[1]) go(StCompare);
      end
      state_q[StCompare]: begin
        equal_q        <= compare();
        has_map_q      <= old_q[side_q].map_valid;
        reverse_side_q <= side_q;
        go(StDecide);
      end
      state_q[StDecide]: begin
        if (host_q) begin
          both_q <= 1'b1;
          if (host_write_i) go(StLast);
          else go(StHostDone);
        end else if (ages_q) begin
          go(StAsk);
        end else if (both_q) begin
          go(StLast);
        end else if (!stays_kind_q) begin
          go(StWalk);
        end else if (dead_kind_q) begin
          go(StMap);
        end else if (!pair_kind_q) begin
          pins_q <= 1'b1;
          if (reverse_side_q) go(StMerge);
          else go(StDone);
        end else if (&equal_q) begin
          go(StGiveUp);
        end else begin
          give_o <= 1'b1;           // it keeps the pair that it has
          if (own_q) go(StMerge);
          else go(StFree);
        end
      end
      state_q[StMap]: begin
        go(StMap);
        mapped_dead_q <= !(map_i.valid && map_i.generation == old_q[side_q].map_generation);
        if (!has_map_q) go(StOwnTcp);
        else if (map_done_i) go(StMapped);
      end
      state_q[StMapped]: begin
        // A mapping that is not to be believed is no reason to delete anything.
        both_q <= mapped_dead_q && !map_bad_i;
        if (mapped_dead_q && !map_bad_i) go(StLast);
        else go(StOwnTcp);
      end
      state_q[StOwnTcp]: begin
        go(StOwnTcp);
        if (tcp_done_i) begin
          own_tcp_q <= current(tcp_i, old_q[side_q].generation);
          go(StPartnerTcp);
        end
      end
      state_q[StPartnerTcp]: begin
        go(StPartnerTcp);
        if (tcp_done_i) begin
          partner_tcp_q <= current(tcp_i, old_q[!side_q].generation);
          go(StOver);
        end
      end
      state_q[StOver]: begin
        if (!stays_kind_q) begin
          // A service's established connection stays with its member, whoever else of the group sends.
          if (partner_tcp_q[TcpEstablishedBit]) go(StDone);
          else go(StMerge);
        end else begin
          both_q <= tcp_over(own_tcp_q, partner_tcp_q);
          if (tcp_over(own_tcp_q, partner_tcp_q)) go(StLast);
          else go(StDone);
        end
      end
      state_q[StWalk]: begin
        go(StWalk);
        if (move_done_i) begin
          move_q <= move_i;
          pins_q <= move_i.found && move_i.group;
          go(StWalked);
        end
      end
      state_q[StWalked]: begin
        if (!service_q) go(StMerge);
        else if (pins_q) go(StPartnerTcp);
        else go(StDone);
      end
      state_q[StAsk]: go(StTold);
      state_q[StTold]: begin
        go(StTold);
        if (told_i) begin
          both_q <= 1'b1;
          if (told_old_i) go(StLast);
          else go(StDone);
        end
      end
      state_q[StMerge]: go(StWrite);
      state_q[StWrite]: begin
        raw_way_q  <= at_q[!side_q].way;
        raw_slot_q <= at_q[!side_q].slot;
        partner_q  <= 1'b1;
        if (pair_kind_q) go(StEnter);
        else go(StPartnerSlot);
      end
      state_q[StLast]: begin
        raw_way_q  <= at_q[0].way;
        raw_slot_q <= at_q[0].slot;
        side_q     <= 1'b1;
        // The fast path may have taken one more before it saw the host: its keys come first at the ports.
        go(StLast);
        if (drained_i) begin
          partner_q <= 1'b1;
          go(StPartnerSlot);
        end
      end
      state_q[StPartnerSlot]: begin
        go(StPartnerSlot);
        if (probe_ready_i) begin
          go(StPartnerRead);
          hold(RawCycles);
        end
      end
      state_q[StPartnerRead]: begin
        go(StPartnerRead);
        if (wait_q[1]) raw_q <= raw_i[raw_way_q][raw_slot_q];
        if (waited_q) begin
          entered_q.placed      <= 2'b11;
          entered_q.as          <= PlaceMark;
          entered_q.pending     <= 1'b0;
          entered_q.plain       <= 1'b0;
          entered_q.fresh.pair  <= pair_q;
          entered_q.key         <= side_q ? raw_q.key : head_i.key;
          entered_q.reverse_key <= side_q ? head_i.key : raw_q.key;
          partner_q             <= 1'b0;
          ended_q               <= both_q;
          news_valid_o          <= !both_q && changed_q != '0;
          if (both_q) go(StFree);
          else if (pins_q && forward_q.tag.plain) go(StEnter);
          else go(StDone);
        end
      end
      state_q[StEnter]: begin
        enter_q <= 1'b1;
        go(StDone);
      end
      state_q[StFree]: begin
        go(StFree);
        if (op_ready_i) begin
          if (both_q) go(StFreeSecond);
          else go(StMerge);               // a re-pin with another reverse key: the old one goes
        end
      end
      state_q[StFreeSecond]: begin
        go(StFreeSecond);
        if (op_ready_i) begin
          removed_o    <= 1'b1;
          news_valid_o <= 1'b1;
          aged_o    <= ages_q && !told_yields_i;
          evicted_o <= ages_q && told_yields_i;
          give_o    <= 1'b1;
          go(StSettle);
          hold(SettleCycles);
        end
      end
      // What was cleared is, before the keys are looked for again.
      state_q[StSettle]: begin
        go(StSettle);
        if (waited_q && drained_i) begin
          both_q <= 1'b0;
          ask_of(old_pair_i, 1'b0);
          if (host_q && both_q) go(StHostDone);
          else if (host_q) go(StHost);
          else if (ages_q && !both_q) go(StRead);
          else if (pair_kind_q && !ages_q) go(StForward);
          else go(StDone);
        end
      end
      state_q[StHost]: begin
        go(StHost);
        raw_way_q  <= host_index_i.way;
        raw_slot_q <= host_index_i.slot;
        if (probe_ready_i) begin
          go(StHostRaw);
          hold(RawCycles);
        end
      end
      state_q[StHostRaw]: begin
        go(StHostRaw);
        if (wait_q[1]) begin
          raw_q      <= raw_i[raw_way_q][raw_slot_q];
          raw_used_q <= raw_used_i[raw_way_q][raw_slot_q];
        end
        ask_of(raw_q.tag.pair, raw_q.tag.reverse);
        if (waited_q) begin
          if (raw_used_q) go(StRead);
          else go(StHostDone);
        end
      end
      state_q[StGiveUp]: begin
        give_o       <= pair_kind_q;
        drop_valid_o <= pair_kind_q;
        go(StDone);
      end
      state_q[StDone]: begin
        if (ages_q) go(StIdle);
        else go(StPop);
      end
      state_q[StHostDone], state_q[StPop]: go(StIdle);
      default: ;                        // no other: one bit is set
    endcase

    if (rst_i) begin
      go(StIdle);
      wait_q   <= '0;
      waited_q <= 1'b1;
      enter_q  <= 1'b0;
      second_q <= 1'b0;
      news_valid_o <= 1'b0;
    end
  end

  logic unused_bits;
  assign unused_bits = ^{map_i, reverse_q.own, forward_q.own, move_q};

`ifndef SYNTHESIS
  // From the first reset on, which may come here a cycle after that of others.
  logic began_q;

  always_ff @(posedge clk_i) if (rst_i) began_q <= 1'b1;

  a_one_state : assert property (@(posedge clk_i) disable iff (rst_i || !began_q) $onehot(state_q) &&
                               {frees_q, unmerged_q, unwritten_q} ==
                               {state_q[StFree] || state_q[StFreeSecond], !state_q[StMerge], !state_q[StWrite]});
  a_rows      : assert property (@(posedge clk_i) disable iff (rst_i || !began_q) probe_valid_o |->
                               partner_q == state_q[StPartnerSlot] && (host_q || !state_q[StHost]));
  a_waits     : assert property (@(posedge clk_i) disable iff (rst_i || !began_q) waited_q == (wait_q == '0));
`endif

endmodule
