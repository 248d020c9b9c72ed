// Changes of the flow table (section 9.2): the queue of admitted requests, the pairs that are free, and those who put keys in place.
//
// Requests:   valid_i/request_i, at most one a cycle, only with ready_o in the cycle of the packet's probe. Executed as if in their order.
// Clients:    in the same order, those of pairs that are made: to be kept at their members (keep_o).
// Pairs:      free_valid_o/free_o/free_take_i, for requests that write one; not while few_o.
// News:       news_valid_o/news_o: what becomes of pairs, for whoever tells the host.
// Rate:       a new pair every second cycle (ps_flow_insert).
module ps_flow_engine
  import ps_abi_pkg::*;
  import ps_match_pkg::*;
  import ps_pair_pkg::*;
#(
  parameter int unsigned RowsLog2   = FlowRowsLog2,
  parameter int unsigned QueueDepth = 64
) (
  input  logic          clk_i,
  input  logic          rst_i,
  input  logic [191:0]  secret_i,
  input  logic          clear_i,             // throughout clearing
  input  logic          clear_we_i,
  input  logic [$clog2(Flows)-1:0] clear_index_i,

  output logic          free_valid_o,
  output free_pair_t    free_o,
  input  logic          free_take_i,
  input  logic          valid_i,
  input  flow_request_t request_i,
  output logic          ready_o,
  output logic          none_waits_o,
  output logic          crowded_o,           // more than FlowsTranslatedMax are in use, or as large a part of fewer rows
  output logic          drop_valid_o,        // a request that writes nothing
  output number_t       drop_o,

  output logic        [FlowWays-1:0] op_valid_o,
  input  logic        [FlowWays-1:0] op_ready_i,
  output row_op_t     [FlowWays-1:0] op_o,
  input  logic                       ways_crowded_i,
  input  logic        [FlowWays-1:0] done_valid_i,
  input  row_op_for_t [FlowWays-1:0] done_i,
  input  logic        [FlowWays-1:0] taken_valid_i,
  output logic        [FlowWays-1:0] taken_ready_o,
  input  key_slot_t   [FlowWays-1:0] taken_i,
  input  logic        [FlowWays-1:0] taken_used_i,
  input  waiting_t    [FlowWays-1:0] taken_by_i,
  output logic        probe_valid_o,         // of the slow path; for the key's pair no one asks
  input  logic        probe_ready_i,
  output rows_t       probe_rows_o,
  output flow_key_t   probe_key_o,
  input  way_found_t  probe_found_i,
  input  key_slot_t [FlowWays-1:0][BucketSlots-1:0] raw_i,
  input  logic      [FlowWays-1:0][BucketSlots-1:0] raw_used_i,
  input  logic        ways_idle_i,
  output logic              data_re_o,
  output logic              data_we_o,
  output pair_t             data_pair_o,
  output flow_facts_t [1:0] data_wdata_o,
  input  flow_facts_t [1:0] data_rdata_i,
  output loc_write_t  [1:0] loc_o,
  output logic              loc_re_o,
  output pair_t             loc_pair_o,
  input  flow_index_t [1:0] loc_i,
  output mark_t       [1:0] mark_o,
  input  logic              stall_i,         // marks cannot be taken now

  input  logic        old_valid_i,
  input  pair_t       old_pair_i,
  output logic        old_done_o,
  output logic        old_ask_o,
  output generation_t [1:0] old_generation_o,
  input  logic        old_told_i,
  input  logic        old_is_i,
  input  logic        old_yields_i,
  output logic        gone_o,    // a pair has no entries any more
  output pair_t       gone_pair_o,
  output logic         keep_valid_o,     // a client is to be kept at its member, while keep_room_i
  output affinity_keep_t keep_o,
  input  logic         keep_room_i,
  output pair_change_t change_o,     // of what shares have; with gone_o, if a pair goes
  input  logic        host_valid_i,
  input  logic        host_write_i,
  input  flow_index_t host_index_i,
  output logic        host_done_o,
  output logic        host_used_o,
  output key_slot_t   host_slot_o,
  output flow_facts_t host_facts_o,
  output logic          map_re_o,
  output logic [13:0]   map_addr_o,
  input  logic          map_done_i,
  input  fip_map_t      map_i,
  input  logic          map_bad_i,        // the cycle after: its parity is wrong
  output logic          tcp_re_o,            // of {loc_pair_o, tcp_reverse_o}
  output logic          tcp_reverse_o,
  input  logic          tcp_done_i,
  input  tcp_word_t     tcp_i,
  output logic          move_start_o,
  output logic [15:0]   move_nh_o,
  output logic [31:0]   move_dip_o,
  input  logic          move_done_i,
  input  move_t         move_i,

  output logic        news_valid_o,
  output pair_news_t  news_o,
  output pair_event_t event_o,
  output logic [$clog2(Flows+1)-1:0] in_use_o,
  output logic        busy_o
);

  localparam int unsigned PairsLog2 = RowsLog2 + $clog2(FlowSlots) - 1;
  localparam int unsigned CountBits = $clog2(QueueDepth) + 2;
  localparam int unsigned TranslatedMax = FlowsTranslatedMax >> (FlowRowsLog2 - RowsLog2);

  logic                 head_valid, head_pop, few, full_valid, insert_idle, unused_ready;
  flow_request_t        head;
  logic [CountBits-1:0] count;
  placing_t             full;
  pair_event_t          insert_event;
  key_slot_t            placed_slot;
  number_t              placed_number;
  logic                 slow_news_valid;
  pair_news_t           slow_news;
  logic                 reset, data_we, fast_pop, slow_pop, is_fast, enter, enter_ready, hold, slow_idle, drained_q;
  logic                 slow_op_valid, slow_op_ready, give, slow_drop, removed, aged, evicted, slow_re, give_any_q, give_counts, made, unused_loc_re;
  logic                 slow_we, slow_keep, change_q, made_q;
  pair_t                slow_pair;
  flow_facts_t [1:0]    slow_wdata;
  logic [$clog2(FlowWays)-1:0] slow_op_way;
  row_op_t              slow_op;
  placing_t             enter_pair;
  free_pair_t           give_value, give_q;
  number_t              slow_number;

  // A cycle late: what is cleared is written in later cycles only, and nobody asks for anything right after.
  logic                    clear_row_q;
  logic [FlowRowsLog2-1:0] clear_row_index_q;

  always_ff @(posedge clk_i) begin
    reset             <= rst_i || clear_i;
    clear_row_q       <= clear_we_i && 32'(clear_index_i) < (1 << RowsLog2);
    clear_row_index_q <= clear_index_i[FlowRowsLog2-1:0];
  end

  assign head_pop = fast_pop || slow_pop;

  ps_fifo #(
    .Width(1 + $bits(flow_request_t)),
    .Depth(QueueDepth),
    .Style("distributed")
  ) u_queue (
    .clk_i,
    .rst_i   (reset),
    .wvalid_i(valid_i),
    .wready_o(unused_ready),
    .wdata_i ({request_i.kind == LearnNew && !request_i.slow, request_i}),
    .rvalid_o(head_valid),
    .rready_i(head_pop),
    .rdata_o ({is_fast, head}),
    .count_o (count)
  );

  ps_flow_ids #(
    .PairsLog2(PairsLog2),
    .Reserve  (PairsLog2 > 8 ? QuarantinePairs : 0)
  ) u_ids (
    .clk_i,
    .rst_i,
    .valid_o     (free_valid_o),
    .free_o,
    .take_i      (free_take_i),
    .give_i      (give_any_q),
    .give_value_i(give_q),
    .few_o       (few),
    .clear_i,
    .clear_we_i  (clear_we_i && 32'(clear_index_i) < (1 << PairsLog2) && 32'(clear_index_i) < ps_ram_deep_pkg::BankDepth),
    .clear_index_i(clear_index_i[$clog2(ps_ram_deep_pkg::BankDepth)-1:0])
  );

  ps_flow_insert #(
    .RowsLog2(RowsLog2)
  ) u_insert (
    .clk_i,
    .rst_i          (reset),
    .clear_i        (clear_row_q),
    .clear_row_i    (clear_row_index_q),
    .secret_i,
    .head_valid_i   (head_valid && is_fast),
    .head_i         (head),
    .head_pop_o     (fast_pop),
    .data_we_o      (data_we),
    .stall_i        (stall_i || hold || !keep_room_i),
    .enter_i        (enter),
    .enter_ready_o  (enter_ready),
    .enter_pair_i   (enter_pair),
    .slow_op_valid_i(slow_op_valid),
    .slow_op_ready_o(slow_op_ready),
    .slow_op_way_i  (slow_op_way),
    .slow_op_i      (slow_op),
    .op_valid_o,
    .op_ready_i,
    .op_o,
    .done_valid_i,
    .done_i,
    .taken_valid_i,
    .taken_ready_o,
    .taken_i,
    .taken_used_i,
    .taken_by_i,
    .loc_o,
    .mark_o,
    .full_valid_o   (full_valid),
    .full_o         (full),
    .event_o        (insert_event),
    .event_slot_o   (placed_slot),
    .event_number_o (placed_number),
    .idle_o         (insert_idle)
  );

  ps_flow_slow #(
    .RowsLog2(RowsLog2)
  ) u_slow (
    .clk_i,
    .rst_i        (reset),
    .drained_i    (drained_q),
    .hold_o       (hold),
    .idle_o       (slow_idle),
    .head_valid_i (head_valid && !is_fast),
    .head_i       (head),
    .head_pop_o   (slow_pop),
    .old_valid_i,
    .old_pair_i,
    .old_done_o,
    .ask_o        (old_ask_o),
    .generation_o (old_generation_o),
    .told_i       (old_told_i),
    .told_old_i   (old_is_i),
    .told_yields_i(old_yields_i),
    .host_valid_i,
    .host_write_i,
    .host_index_i,
    .host_done_o,
    .host_used_o,
    .host_slot_o,
    .host_facts_o,
    .probe_valid_o,
    .probe_ready_i,
    .probe_rows_o,
    .probe_key_o,
    .probe_found_i,
    .raw_i,
    .raw_used_i,
    .data_re_o    (slow_re),
    .data_we_o    (slow_we),
    .data_pair_o  (slow_pair),
    .data_wdata_o (slow_wdata),
    .data_rdata_i,
    .loc_re_o     (unused_loc_re),
    .loc_i,
    .op_valid_o   (slow_op_valid),
    .op_ready_i   (slow_op_ready),
    .op_way_o     (slow_op_way),
    .op_o         (slow_op),
    .enter_o      (enter),
    .enter_ready_i(enter_ready),
    .enter_pair_o (enter_pair),
    .give_o       (give),
    .give_value_o (give_value),
    .give_counts_o(give_counts),
    .made_o       (made),
    .drop_valid_o (slow_drop),
    .drop_o       (slow_number),
    .keep_o       (slow_keep),
    .news_valid_o (slow_news_valid),
    .news_o       (slow_news),
    .removed_o    (removed),
    .aged_o       (aged),
    .evicted_o    (evicted),
    .map_re_o,
    .map_addr_o,
    .map_done_i,
    .map_i,
    .map_bad_i,
    .tcp_re_o,
    .tcp_reverse_o,
    .tcp_done_i,
    .tcp_i,
    .move_start_o,
    .move_nh_o,
    .move_dip_o,
    .move_done_i,
    .move_i
  );

  assign gone_o = give_any_q;
  assign gone_pair_o  = give_q.pair;
  assign change_o     = '{valid: change_q, made: made_q, pair: give_q.pair};

  // --- News: of pairs whose keys are written, from here, with what they are bound to, which is kept by the number of the request; one that
  // was to be rewritten in its place, and found none, waits for a cycle without. All else is the slow path's.
  logic       placed, placed_q, placed_made_q, placeless_q, placeless_goes, placeless_goes_q;
  pair_ties_t ties;
  key_slot_t  placed_slot_q, placeless_slot_q;
  number_t    placeless_number_q;
  free_pair_t placeless_pair_q;

  assign placed         = insert_event.learned || insert_event.repinned;
  assign placeless_goes = placeless_q && !placed && !slow_news_valid;

  ps_ram_sdp #(
    .Width($bits(pair_ties_t)),
    .Depth(WindowEntries),
    .Style("distributed")
  ) u_ties (
    .clk_i,
    .we_i   (data_we || slow_keep),
    .waddr_i(head.number),
    .wdata_i(ties_of({flow_facts_t'('0), head.facts})),
    .re_i   (placed || placeless_goes),
    .raddr_i(placed ? placed_number : placeless_number_q),
    .rdata_o(ties)
  );

  always_ff @(posedge clk_i) begin
    placed_q         <= placed;
    placed_made_q    <= insert_event.added;
    placeless_goes_q <= placeless_goes;
    if (placed) placed_slot_q <= placed_slot;
    if (full_valid && full.as == PlaceInPlace) begin
      placeless_q        <= 1'b1;
      placeless_slot_q   <= '{key: full.key, tag: '{pair: full.fresh.pair, reverse: 1'b0, plain: full.plain}};
      placeless_number_q <= full.number;
      placeless_pair_q   <= full.fresh;
    end else if (placeless_goes) begin
      placeless_q <= 1'b0;
    end
    news_valid_o <= placed_q || placeless_goes_q || slow_news_valid;
    if (slow_news_valid) begin
      news_o <= slow_news;
    end else begin
      news_o            <= '0;
      news_o.kind       <= placeless_goes_q ? 3'(EventFlowEnded) : placed_made_q ? 3'(EventFlowMade) : 3'(EventFlowRepinned);
      news_o.reason     <= placeless_goes_q ? 6'(FlowEndReplaced) : '0;
      news_o.generation <= {placeless_pair_q.reverse_generation, placeless_pair_q.generation};
      {news_o.key, news_o.pair, news_o.plain} <= placeless_goes_q ?
          {placeless_slot_q.key, placeless_slot_q.tag.pair, placeless_slot_q.tag.plain} :
          {placed_slot_q.key, placed_slot_q.tag.pair, placed_slot_q.tag.plain};
      news_o.ties       <= ties;
    end
    if (reset) begin
      placed_q         <= 1'b0;
      placeless_q      <= 1'b0;
      placeless_goes_q <= 1'b0;
      news_valid_o     <= 1'b0;
    end
  end

  // What the entries of a new pair say. Data are written a cycle later than they are asked for, keys many.
  always_ff @(posedge clk_i) begin
    data_re_o       <= slow_re && !reset;
    loc_re_o        <= slow_re && !reset;
    data_we_o       <= !reset && (data_we || slow_we);
    data_pair_o     <= data_we ? head.fresh.pair : slow_pair;
    loc_pair_o      <= slow_pair;
    if (slow_we) data_wdata_o <= slow_wdata;
    if (data_we) begin
      data_wdata_o[0] <= head.facts;
      data_wdata_o[0].generation         <= head.fresh.generation;
      data_wdata_o[0].partner_generation <= head.fresh.reverse_generation;
      data_wdata_o[1] <= reverse_facts(head);
    end
    keep_valid_o <= !reset && (data_we || slow_keep) && head.affinity.number != '0;
    if (data_we || slow_keep) begin
      keep_o <= '{under: head.affinity, client: head.key.sip, slot: head.facts.ecmp_slot, generation: head.facts.ecmp_generation};
    end
    // At rest for two cycles: what was handed over in the last one has been seen.
    drained_q       <= insert_idle && ways_idle_i && !data_we && !(head_valid && is_fast && !hold) && !enter;
    give_any_q      <= full_valid || give;
    give_q          <= full_valid ? full.fresh : give_value;
    change_q        <= full_valid || (give && give_counts) || made;
    made_q          <= made;
    ready_o         <= count <= CountBits'(QueueDepth * 3 / 4) && !few && !ways_crowded_i;
    none_waits_o    <= count == '0;
    event_o         <= insert_event;
    event_o.aged    <= aged;
    event_o.evicted <= evicted;
    event_o.full    <= full_valid;
    event_o.removed <= removed || (full_valid && full.as == PlaceInPlace);
    drop_valid_o    <= (full_valid && full.pending) || slow_drop;
    drop_o          <= full_valid ? full.number : slow_number;
    in_use_o        <= in_use_o + $bits(in_use_o)'({event_o.added, 1'b0}) - $bits(in_use_o)'({event_o.removed, 1'b0});
    crowded_o       <= in_use_o > ($clog2(Flows + 1))'(TranslatedMax);
    busy_o          <= count != '0 || valid_i || !insert_idle || !slow_idle || full_valid || give_any_q || keep_valid_o || event_o != '0 ||
                    placed_q || placeless_q || placeless_goes_q || news_valid_o;
    if (reset) begin
      event_o      <= '0;
      give_any_q   <= 1'b0;
      change_q     <= 1'b0;
      drained_q    <= 1'b0;
      drop_valid_o <= 1'b0;
      in_use_o     <= '0;
      ready_o      <= 1'b0;
    end
  end

  logic unused_bits;
  assign unused_bits = ^{clear_index_i, full, unused_loc_re, placed_slot_q, placeless_slot_q, placeless_pair_q};

`ifndef SYNTHESIS
  // Never both: the slow path begins when the fast path is at rest, which stops for it.
  a_gives : assert property (@(posedge clk_i) disable iff (reset) $onehot0({full_valid, give, made}) && !(full_valid && slow_drop));
  a_data  : assert property (@(posedge clk_i) disable iff (reset) !(data_we && slow_we) && !(data_we && slow_re));
  a_news  : assert property (@(posedge clk_i) disable iff (reset) $onehot0({slow_news_valid, placed_q, placeless_goes_q}));
  a_queued : assert property (@(posedge clk_i) disable iff (reset) valid_i |-> unused_ready);
`endif

endmodule
