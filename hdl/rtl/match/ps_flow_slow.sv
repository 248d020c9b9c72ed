// Requests that change what the flow table has (section 9.2), and the host's: one at a time, while nothing else is under way.
//
// Request:    head_valid_i/head_i, the oldest, if the fast path is not for it; begun when drained_i; head_pop_o when it has been done. What
//             is to be placed is entered (enter_o) with its data written, and finds its way beside the fast path.
// Host:       host_valid_i with index, held until host_done_o: reads what stands there, or with host_write_i deletes its pair. hold_o asks
//             the fast path to stop.
// Kinds:      new, replace, re-pin: a plain pair in the way goes (or the request does). A present forward key that is not a re-pin of a
//             forward entry: its pair goes as well, and a new one comes. A re-pin of a forward entry stays in its place.
//             Move, reverse: data in place; the slots of both keys are written again, no longer plain. Dead: the pair goes if it is.
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
  output logic [1:0]        data_we_o,
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
  output logic          drop_valid_o,
  output number_t       drop_o,
  output logic          removed_o,

  output logic          map_re_o,
  output logic [13:0]   map_addr_o,
  input  logic          map_done_i,
  input  fip_map_t      map_i,
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
  localparam int unsigned DataCycles  = ps_ram_deep_pkg::latency(1 << PairsLog2);
  localparam int unsigned WaitBits    = 5;
  // Count at which a pair's locations stand, if its data do at 2.
  localparam int unsigned LocWait     = DataCycles + 2 - ps_ram_deep_pkg::latency(1 << (PairsLog2 - 2));

  typedef enum logic [4:0] {
    StIdle,
    StForward,       // probes of both keys
    StReverse,
    StFound,         // the second is being looked up
    StJudge,
    StRead,          // what the pair in question says, and where it stands
    StDecide,
    StMap,           // whether it is dead, or may move
    StOwnTcp,
    StPartnerTcp,
    StWalk,
    StWrite,
    StPartnerSlot,   // key of the other entry, for its new mark
    StPartnerRead,
    StFree,          // a slot, or both, of a pair
    StFreeSecond,
    StSettle,
    StEnter,
    StHost,
    StHostRaw,
    StHostDone,
    StDone
  } state_e;

  state_e        state_q;
  logic [WaitBits-1:0] wait_q;
  logic          waited;
  logic          host_q;
  way_found_t    forward_q, reverse_q;
  pair_t         pair_q;             // in question
  logic          side_q;             // which of its entries
  flow_facts_t [1:0] old_q;
  flow_index_t [1:0] at_q;
  logic          both_q;             // both slots go, and the pair with them
  logic          again_q;            // the request's forward key was there
  logic          pins_q;             // the partner is pinned as well
  tcp_word_t     own_tcp_q;
  move_t         move_q;
  key_slot_t     raw_q;
  logic          raw_used_q;
  placing_t      entered_q;
  logic          enter_q;

  assign waited = wait_q == '0;

  // --- What the request is about
  logic pair_kind, is_new, own, early, gives_way, in_place;

  assign pair_kind = asks_pair(head_i.kind);
  assign is_new    = head_i.kind == LearnNew || !forward_q.hit;
  assign own       = forward_q.hit && reverse_q.hit && forward_q.tag.pair == reverse_q.tag.pair;
  assign early     = head_i.facts.map_valid && head_i.key.proto != ProtoTcp && !reverse_q.tag.reverse;
  assign gives_way = reverse_q.tag.plain && (head_i.plain || early);
  assign in_place  = head_i.kind == LearnRepin && forward_q.hit && !forward_q.tag.reverse;

  // Equal in all but generations and src_info.
  function automatic logic same_facts(input flow_facts_t a, input flow_facts_t b);
    flow_facts_t x, y;
    x = a;
    y = b;
    {x.generation, x.partner_generation, x.src_info} = '0;
    {y.generation, y.partner_generation, y.src_info} = '0;
    same_facts = x == y;
  endfunction

  logic same_q, mapped_dead, tcp_dead;
  assign mapped_dead = old_q[side_q].map_valid && !(map_i.valid && map_i.generation == old_q[side_q].map_generation);

  // A state of another generation is none.
  function automatic logic [3:0] current(input tcp_word_t word, input generation_t generation);
    current = word.generation == generation ? word.tcp : '0;
  endfunction

  logic [3:0] partner_tcp;
  assign partner_tcp = current(tcp_i, old_q[!side_q].generation);
  assign tcp_dead    = tcp_over(current(own_tcp_q, old_q[side_q].generation), partner_tcp);

  // --- What is written
  flow_facts_t [1:0] facts;
  free_pair_t        kept;

  always_comb begin
    // A pair that stays: the forward entry's statistics go on, the reverse entry's restart.
    kept  = '{pair: pair_q, generation: old_q[0].generation, reverse_generation: old_q[1].generation + 8'd1};
    facts = old_q;
    if (pair_kind) begin
      facts[0]            = head_i.facts;
      facts[0].generation = in_place ? kept.generation : head_i.fresh.generation;
      facts[0].partner_generation = in_place ? kept.reverse_generation : head_i.fresh.reverse_generation;
      facts[1]            = reverse_facts(head_i);
      facts[1].generation = facts[0].partner_generation;
      facts[1].partner_generation = facts[0].generation;
    end else begin
      if (head_i.kind == LearnMove) facts[side_q].src_info = head_i.facts.src_info;
      for (int unsigned d = 0; d < 2; d++) begin
        if (pins_q && 1'(d) == (head_i.kind == LearnMove ? !side_q : side_q)) begin
          facts[d].ecmp_valid      = 1'b1;
          facts[d].ecmp_slot       = head_i.kind == LearnMove ? MemberBits'(move_q.slot) : head_i.facts.ecmp_slot;
          facts[d].ecmp_generation = head_i.kind == LearnMove ? move_q.generation : head_i.facts.ecmp_generation;
        end
      end
    end
  end

  assign op_valid_o = state_q == StFree || state_q == StFreeSecond;
  assign op_way_o   = at_q[state_q == StFreeSecond || !both_q].way;

  always_comb begin
    op_o      = '0;
    op_o.op   = RowClear;
    op_o.row  = at_q[state_q == StFreeSecond || !both_q].row;
    op_o.slot = at_q[state_q == StFreeSecond || !both_q].slot;
  end

  assign probe_valid_o = state_q inside {StForward, StReverse, StPartnerSlot, StHost} && waited;

  always_comb begin
    probe_rows_o = state_q == StReverse ? head_i.reverse_rows : head_i.rows;
    probe_key_o  = state_q == StReverse ? head_i.reverse_key : head_i.key;
    if (state_q == StPartnerSlot) probe_rows_o = {FlowWays{at_q[!side_q].row}};
    if (state_q == StHost) probe_rows_o = {FlowWays{host_index_i.row}};
  end

  assign hold_o        = host_valid_i || state_q != StIdle;
  assign idle_o        = state_q == StIdle && !host_valid_i && !enter_q;
  assign head_pop_o    = state_q == StDone && !host_q;
  assign enter_o       = enter_q;
  assign enter_pair_o  = entered_q;
  assign data_pair_o   = pair_kind && !in_place && state_q == StWrite ? head_i.fresh.pair : pair_q;
  assign data_re_o     = state_q == StRead && waited;
  assign loc_re_o      = data_re_o;
  assign data_we_o     = {2{state_q == StWrite}};
  assign data_wdata_o  = facts;
  assign map_re_o      = state_q == StMap;
  assign map_addr_o    = old_q[side_q].map;
  assign tcp_re_o      = state_q inside {StOwnTcp, StPartnerTcp};
  assign tcp_reverse_o = state_q == StOwnTcp ? side_q : !side_q;
  assign move_start_o  = state_q == StWalk;
  assign move_nh_o     = head_i.reverse_rpf;
  assign move_dip_o    = head_i.facts.src_info;
  assign host_done_o   = state_q == StHostDone;
  assign host_used_o   = raw_used_q;
  assign host_slot_o   = raw_q;
  assign host_facts_o  = old_q[raw_q.tag.reverse];

  flow_index_t raw_at;
  assign raw_at = state_q == StHostRaw ? host_index_i : at_q[!side_q];

  // A request that changes nothing gives its pair back.
  task automatic give_up();
    state_q      <= StDone;
    give_o       <= pair_kind;
    give_value_o <= head_i.fresh;
    drop_valid_o <= pair_kind;
    drop_o       <= head_i.number;
  endtask

  task automatic look_at(input pair_t pair, input logic side);
    state_q <= StRead;
    pair_q  <= pair;
    side_q  <= side;
  endtask

  always_ff @(posedge clk_i) begin
    give_o       <= 1'b0;
    drop_valid_o <= 1'b0;
    removed_o    <= 1'b0;
    if (!waited) wait_q <= wait_q - 1'b1;
    if (enter_q && enter_ready_i) enter_q <= 1'b0;

    unique case (state_q)
      StIdle: begin
        host_q  <= host_valid_i;
        again_q <= 1'b0;
        both_q  <= 1'b0;
        pins_q  <= 1'b0;
        if (drained_i && !enter_q) begin
          if (host_valid_i) state_q <= StHost;
          else if (head_valid_i) state_q <= StForward;
        end
      end
      StForward: if (probe_ready_i && waited) begin
        state_q <= StReverse;
        wait_q  <= WaitBits'(FoundCycles);
      end
      // The forward key's answer stands when the reverse key is about to be probed.
      StReverse: begin
        if (wait_q == WaitBits'(1)) forward_q <= probe_found_i;
        if (waited && probe_ready_i) begin
          state_q <= StFound;
          wait_q  <= WaitBits'(FoundCycles);
        end
      end
      StFound: if (wait_q == WaitBits'(1)) begin
        reverse_q <= probe_found_i;
        state_q   <= StJudge;
      end
      StJudge: begin
        wait_q <= '0;
        if (!pair_kind) begin
          if (!forward_q.hit) give_up();
          else look_at(forward_q.tag.pair, forward_q.tag.reverse);
        end else if (is_new && forward_q.hit) begin
          give_up();
        end else if (reverse_q.hit && !own) begin
          if (gives_way) look_at(reverse_q.tag.pair, 1'b0);
          else give_up();
          both_q <= 1'b1;
        end else if (forward_q.hit) begin
          look_at(forward_q.tag.pair, 1'b0);
          both_q  <= !in_place;
          again_q <= 1'b1;
        end else begin
          state_q <= StWrite;
        end
      end
      StRead: begin
        if (waited) wait_q <= WaitBits'(DataCycles + 2);
        if (wait_q == WaitBits'(2)) begin
          old_q <= data_rdata_i;
        end
        if (wait_q == WaitBits'(LocWait)) at_q <= loc_i;
        if (wait_q == WaitBits'(1)) begin
          state_q <= StDecide;
          wait_q  <= '0;
        end
      end
      StDecide: begin
        same_q <= same_facts(old_q[0], head_i.facts);
        if (host_q) begin
          both_q  <= 1'b1;
          state_q <= host_write_i ? StFree : StHostDone;
        end else if (both_q) begin
          state_q <= StFree;
        end else begin
          unique case (head_i.kind)
            LearnMove:    state_q <= StWalk;
            LearnDead:    state_q <= StMap;
            LearnReverse: begin
              pins_q  <= 1'b1;
              state_q <= side_q ? StWrite : StDone;
            end
            default: begin
              if (same_facts(old_q[0], head_i.facts)) begin
                give_up();
              end else begin
                give_o       <= 1'b1;           // it keeps the pair that it has
                give_value_o <= head_i.fresh;
                state_q      <= own ? StWrite : StFree;
              end
            end
          endcase
        end
      end
      StMap: begin
        if (!old_q[side_q].map_valid) begin
          state_q <= StOwnTcp;
        end else if (map_done_i) begin
          both_q  <= mapped_dead;
          state_q <= mapped_dead ? StFree : StOwnTcp;
        end
      end
      StOwnTcp: if (tcp_done_i) begin
        own_tcp_q <= tcp_i;
        state_q   <= StPartnerTcp;
      end
      StPartnerTcp: if (tcp_done_i) begin
        if (head_i.kind == LearnMove) begin
          // An established connection stays with its member, whoever else of the group sends.
          state_q <= partner_tcp[TcpEstablishedBit] ? StDone : StWrite;
          pins_q  <= 1'b1;
        end else begin
          both_q  <= tcp_dead;
          state_q <= tcp_dead ? StFree : StDone;
        end
      end
      StWalk: if (move_done_i) begin
        move_q <= move_i;
        if (!move_i.found) state_q <= StDone;
        else state_q <= move_i.group ? StPartnerTcp : StWrite;
      end
      StWrite: begin
        entered_q <= '{placed: {in_place && own, in_place}, forward: at_q[0], reverse: at_q[1],
                       as: in_place ? PlaceInPlace : again_q ? PlaceAgain : PlaceNew, pending: 1'b1, number: head_i.number,
                       fresh: in_place ? kept : head_i.fresh, plain: head_i.plain, key: head_i.key,
                       reverse_key: head_i.reverse_key, rows: head_i.rows, reverse_rows: head_i.reverse_rows};
        if (pair_kind) state_q <= StEnter;
        else state_q <= pins_q && forward_q.tag.plain ? StPartnerSlot : StDone;
      end
      StPartnerSlot: if (probe_ready_i) begin
        state_q <= StPartnerRead;
        wait_q  <= WaitBits'(RawCycles);
      end
      StPartnerRead: begin
        if (wait_q == WaitBits'(1)) raw_q <= raw_i[raw_at.way][raw_at.slot];
        if (waited) begin
          entered_q.placed      <= 2'b11;
          entered_q.as          <= PlaceMark;
          entered_q.pending     <= 1'b0;
          entered_q.plain       <= 1'b0;
          entered_q.fresh.pair  <= pair_q;
          entered_q.key         <= side_q ? raw_q.key : head_i.key;
          entered_q.reverse_key <= side_q ? head_i.key : raw_q.key;
          state_q               <= StEnter;
        end
      end
      StEnter: begin
        enter_q <= 1'b1;
        state_q <= StDone;
      end
      StFree: if (op_ready_i) begin
        if (both_q) begin
          state_q <= StFreeSecond;
        end else begin
          // A re-pin with another reverse key: the old one goes.
          state_q <= StWrite;
        end
      end
      StFreeSecond: if (op_ready_i) begin
        removed_o    <= 1'b1;
        give_o       <= 1'b1;
        give_value_o <= '{pair: pair_q, generation: old_q[0].generation, reverse_generation: old_q[1].generation};
        state_q      <= StSettle;
        wait_q       <= WaitBits'(8);
      end
      // What was cleared is, before the keys are looked for again.
      StSettle: if (waited && drained_i) begin
        both_q <= 1'b0;
        if (host_q) state_q <= StHostDone;
        else state_q <= pair_kind ? StForward : StDone;
      end
      StHost: if (probe_ready_i) begin
        state_q <= StHostRaw;
        wait_q  <= WaitBits'(RawCycles);
      end
      StHostRaw: begin
        if (wait_q == WaitBits'(1)) begin
          raw_q      <= raw_i[raw_at.way][raw_at.slot];
          raw_used_q <= raw_used_i[raw_at.way][raw_at.slot];
        end
        if (waited) begin
          if (raw_used_q) look_at(raw_q.tag.pair, raw_q.tag.reverse);
          else state_q <= StHostDone;
        end
      end
      StHostDone: state_q <= StIdle;
      StDone:     state_q <= StIdle;
      default:    state_q <= StIdle;
    endcase

    if (rst_i) begin
      state_q <= StIdle;
      wait_q  <= '0;
      enter_q <= 1'b0;
    end
  end

  logic unused_bits;
  assign unused_bits = ^{same_q, map_i, reverse_q.own, forward_q.own};

endmodule
