// The flow table as a whole: look-up, admission, changes, statistics; what ps_match lines its stages up with.
//
// Look-up:    key_valid_i/key_i every cycle; hash_o HashCycles and hit_o hit_at(RowsLog2) cycles later (ps_flow_look).
// Admission:  ask_valid_i/ask_i, with its reverse key a cycle before (early_valid_i/early_key_i); answered admit_cycles(RowsLog2) later (ps_flow_admit).
// Changes:    follow by themselves, at up to a pair every second cycle (ps_flow_engine). Marks tell which slots become valid or not,
//             in order, one a cycle, taken when mark_ready_i; while many wait no new pair is begun.
// Statistics: counted as admission says (ps_pair_stats).
// Host:       host_valid_i with index held until host_done_o: an entry is read, or its pair deleted (host_write_i), or its statistics are
//             read (host_stats_i): 0 if no packet has counted under the entry's generation.
//             A read waits for a cycle in which no packet counts; after GapPatience cycles it asks for one (gap_o).
// Shares:     limits by vif and by tunnel are kept here, and what they come to (ps_flow_shares): share_*, by acc_i.
// Old:        pairs that have rested for longer than times_i says are deleted (ps_flow_age).
// Events:     what becomes of pairs, and who got none, for the event ring (ps_flow_events).
// Secret:     secret_i is taken over while tables are cleared, XORed with constants, so that one of zeros is as good as another.
module ps_flow
  import ps_abi_pkg::*;
  import ps_types_pkg::*;
  import ps_match_pkg::*;
  import ps_pair_pkg::*;
#(
  parameter int unsigned RowsLog2  = FlowRowsLog2,
  parameter int unsigned MapCycles = 3,
  parameter int unsigned Linger    = LingerCycles
) (
  input  logic         clk_i,
  input  logic         rst_i,
  input  logic [63:0]  time_i,            // card time
  input  logic [31:0]  now_i,             // card time >> 16, never 0
  input  age_times_t   times_i,
  input  evictions_t   evictions_i,
  input  event_choice_t events_i,
  input  logic [191:0] secret_i,
  input  logic         clear_i,
  input  logic         clear_we_i,
  input  logic [$clog2(Flows)-1:0] clear_index_i,

  input  logic         key_valid_i,
  input  logic         lookup_i,
  input  flow_key_t    key_i,
  input  logic         bare_syn_i,
  output flow_hash_t   hash_o,
  output pair_hit_t    hit_o,
  output flow_way_t    way_o,
  output logic         map_re_o,
  output logic [13:0]  map_addr_o,
  input  fip_map_t     map_i,

  input  logic         early_valid_i,
  input  flow_key_t    early_key_i,
  input  logic         ask_valid_i,
  input  pair_ask_t    ask_i,
  output logic         answer_o,
  output logic         refused_o,
  output drop_reason_e reason_o,
  output logic         deferred_o,

  input  logic         host_valid_i,
  input  logic         host_write_i,
  input  logic         host_stats_i,
  input  flow_index_t  host_index_i,
  output logic         host_done_o,
  output logic         host_used_o,
  output key_slot_t    host_slot_o,
  output flow_facts_t  host_facts_o,
  output pair_stats_t  host_stats_o,

  input  access_t      acc_i,             // of FlowShare and FlowShareStats
  input  flow_share_t  acc_wdata_i,
  output logic         share_done_o,
  output flow_share_t  share_o,
  output logic         share_bad_o,
  output flow_share_stats_t share_stats_o,
  output parity_error_t share_error_o,

  output logic         slow_map_re_o,     // of the engine, held until done
  output logic [13:0]  slow_map_addr_o,
  input  logic         slow_map_done_i,
  input  fip_map_t     slow_map_i,
  input  logic         slow_map_bad_i,    // the cycle after: its parity is wrong
  output logic         move_start_o,
  output logic [15:0]  move_nh_o,
  output logic [31:0]  move_dip_o,
  input  logic         move_done_i,
  input  move_t        move_i,

  output mark_t        mark_o,
  input  logic         mark_ready_i,
  output logic         gap_o,             // pulse: one cycle without a packet, please
  output logic         keep_valid_o,      // a client is to be kept at its member, while keep_room_i
  output affinity_keep_t keep_o,
  input  logic         keep_room_i,
  output pair_event_t  event_o,
  output logic         evt_valid_o,
  output flow_event_t  evt_o,
  input  logic         evt_ready_i,
  output logic [1:0]   evt_lost_o,
  output logic [$clog2(Flows+1)-1:0] in_use_o,
  output logic         busy_o
);

  localparam int unsigned PairsLog2 = RowsLog2 + $clog2(FlowSlots) - 1;
  localparam int unsigned MarkDepth = 512;
  localparam int unsigned GapPatience = 64;

  logic [191:0] secret_q;

  always_ff @(posedge clk_i) if (clear_i || rst_i) secret_q <= secret_i ^ FlowSecretBase;

  logic        [FlowWays-1:0] op_valid, op_ready, done_valid, taken_valid, taken_ready, taken_used;
  row_op_t     [FlowWays-1:0] op;
  row_op_for_t [FlowWays-1:0] done;
  key_slot_t   [FlowWays-1:0] taken;
  waiting_t    [FlowWays-1:0] taken_by;
  key_slot_t   [FlowWays-1:0][BucketSlots-1:0] raw;
  logic        [FlowWays-1:0][BucketSlots-1:0] raw_used;
  logic        ways_crowded, ways_idle, a_re, probe_valid, probe_rests, slow_probe_valid, free_valid, free_take, request_valid, ready;
  logic        none_waits, crowded, drop_valid, admit_busy, engine_busy, stats_busy, counts;
  logic [2:0]  above_q;        // the marks of pressure
  logic [1:0]  pressure_q;
  logic        pressed_q;
  rows_t       a_rows, probe_rows, slow_probe_rows;
  flow_key_t   a_key, probe_key, slow_probe_key;
  pair_t       probe_pair, data_pair, loc_pair;
  way_found_t  found, probe_found;
  flow_facts_t facts;
  tcp_word_t   [1:0] tcp;
  free_pair_t  free;
  flow_request_t request;
  number_t     drop;
  logic        data_re, loc_re;
  logic        data_we;
  flow_facts_t [1:0] data_wdata, data_rdata;
  loc_write_t  [1:0] loc;
  flow_index_t [1:0] locations;
  mark_t       [1:0] mark;
  pair_count_t count;
  tcp_update_t tcp_update;
  pair_stats_t stats;
  logic        entry_done, stats_re, stats_done, slow_tcp_re, slow_tcp_reverse, mark_stall, reading_q;
  logic        age_re, age_reverse, age_turn_q, age_busy, old_valid, old_done, old_ask, old_told, old_is, old_yields, gone;
  logic        over, over_refused, shares_busy, asks;
  logic        news_valid, refusal_valid, tell_re, tell_reverse, tell_turn_q, tell_busy;
  pair_news_t  news, refusal;
  pair_t       tell_pair;
  pair_change_t change;
  pair_t       age_pair, old_pair, gone_pair;
  generation_t [1:0] old_generation;
  logic [$clog2(GapPatience)-1:0] patience_q;
  slot_tag_t   read_tag_q;             // of whom the host reads statistics
  generation_t read_generation_q;

  ps_flow_look #(
    .RowsLog2 (RowsLog2),
    .MapCycles(MapCycles)
  ) u_look (
    .clk_i,
    .rst_i,
    .secret_i   (secret_q),
    .key_valid_i,
    .lookup_i,
    .key_i,
    .bare_syn_i,
    .hash_o,
    .hit_o,
    .way_o,
    .a_re_o     (a_re),
    .a_rows_o   (a_rows),
    .a_key_o    (a_key),
    .found_i    (found),
    .facts_i    (facts),
    .tcp_i      (tcp),
    .map_re_o,
    .map_addr_o,
    .map_i
  );

  ps_flow_store #(
    .RowsLog2(RowsLog2)
  ) u_store (
    .clk_i,
    .rst_i,
    .a_re_i       (a_re),
    .a_rows_i     (a_rows),
    .a_key_i      (a_key),
    .found_o      (found),
    .facts_o      (facts),
    .tcp_o        (tcp),
    .probe_valid_i(probe_valid || slow_probe_valid),
    .probe_first_i(!probe_rests),
    .probe_rows_i (probe_valid ? probe_rows : slow_probe_rows),
    .probe_key_i  (probe_valid ? probe_key : slow_probe_key),
    .probe_pair_i (probe_pair),
    .probe_found_o(probe_found),
    .raw_o        (raw),
    .raw_used_o   (raw_used),
    .op_valid_i   (op_valid),
    .op_ready_o   (op_ready),
    .op_i         (op),
    .crowded_o    (ways_crowded),
    .idle_o       (ways_idle),
    .done_valid_o (done_valid),
    .done_o       (done),
    .taken_valid_o(taken_valid),
    .taken_ready_i(taken_ready),
    .taken_o      (taken),
    .taken_used_o (taken_used),
    .taken_by_o   (taken_by),
    .data_re_i    (data_re),
    .data_we_i    (data_we),
    .data_pair_i  (data_pair),
    .data_wdata_i (data_wdata),
    .data_rdata_o (data_rdata),
    .loc_i        (loc),
    .loc_re_i     (loc_re),
    .loc_pair_i   (loc_pair),
    .loc_o        (locations),
    .tcp_i        (tcp_update),
    .clear_i,
    .clear_we_i,
    .clear_index_i
  );

  ps_flow_admit #(
    .RowsLog2(RowsLog2),
    .Linger  (Linger)
  ) u_admit (
    .clk_i,
    .rst_i,
    .flush_i        (clear_i),
    .secret_i       (secret_q),
    .early_valid_i,
    .early_key_i,
    .valid_i        (ask_valid_i),
    .ask_i,
    .valid_o        (answer_o),
    .refused_o,
    .reason_o,
    .deferred_o,
    .counts_o       (counts),
    .count_o        (count),
    .refusal_valid_o(refusal_valid),
    .refusal_o      (refusal),
    .busy_o         (admit_busy),
    .probe_valid_o  (probe_valid),
    .probe_rests_o  (probe_rests),
    .probe_rows_o   (probe_rows),
    .probe_key_o    (probe_key),
    .probe_pair_o   (probe_pair),
    .probe_found_i  (probe_found),
    .ready_i        (ready),
    .none_waits_i   (none_waits),
    .crowded_i      (crowded),
    .pressed_i      (pressed_q),
    .over_i         (over),
    .over_refused_o (over_refused),
    .free_valid_i   (free_valid),
    .free_i         (free),
    .free_take_o    (free_take),
    .request_valid_o(request_valid),
    .request_o      (request),
    .done_valid_i   (done_valid),
    .done_i         (done),
    .drop_valid_i   (drop_valid),
    .drop_i         (drop)
  );

  assign asks = ask_valid_i && ask_i.valid && asks_pair(ask_i.kind);

  // A re-pin counts when it is known whether it makes a pair.
  ps_flow_shares #(
    .RowsLog2(RowsLog2)
  ) u_shares (
    .clk_i,
    .rst_i,
    .now_i,
    .ask_i        (asks),
    .counts_i     (ask_i.kind != LearnRepin),
    .new_i        (ask_i.kind == LearnNew),
    .shares_i     (ask_i.shares),
    .over_o       (over),
    .taken_i      (free_take),
    .taken_pair_i (free.pair),
    .refused_i    (over_refused),
    .change_i     (change),
    .acc_i,
    .acc_wdata_i,
    .done_o       (share_done_o),
    .share_o,
    .share_bad_o,
    .stats_o      (share_stats_o),
    .error_o      (share_error_o),
    .clear_i,
    .clear_we_i   (clear_we_i && 32'(clear_index_i) < FlowShares),
    .clear_index_i(flow_share_addr_t'(clear_index_i)),
    .busy_o       (shares_busy)
  );

  // Most packets ask for no change.
  logic engine_clk;

  ps_rest_clock u_engine_clock (
    .clk_i,
    .wake_i(rst_i || clear_i || clear_we_i || engine_busy || request_valid || free_take || host_valid_i || old_valid || !ways_idle),
    .clk_o (engine_clk)
  );

  ps_flow_engine #(
    .RowsLog2(RowsLog2)
  ) u_engine (
    .clk_i         (engine_clk),
    .rst_i,
    .secret_i      (secret_q),
    .clear_i,
    .clear_we_i,
    .clear_index_i,
    .free_valid_o  (free_valid),
    .free_o        (free),
    .free_take_i   (free_take),
    .valid_i       (request_valid),
    .request_i     (request),
    .ready_o       (ready),
    .none_waits_o  (none_waits),
    .crowded_o     (crowded),
    .drop_valid_o  (drop_valid),
    .drop_o        (drop),
    .op_valid_o    (op_valid),
    .op_ready_i    (op_ready),
    .op_o          (op),
    .ways_crowded_i(ways_crowded),
    .done_valid_i  (done_valid),
    .done_i        (done),
    .taken_valid_i (taken_valid),
    .taken_ready_o (taken_ready),
    .taken_i       (taken),
    .taken_used_i  (taken_used),
    .taken_by_i    (taken_by),
    .probe_valid_o (slow_probe_valid),
    .probe_ready_i (probe_rests),
    .probe_rows_o  (slow_probe_rows),
    .probe_key_o   (slow_probe_key),
    .probe_found_i (probe_found),
    .raw_i         (raw),
    .raw_used_i    (raw_used),
    .ways_idle_i   (ways_idle),
    .data_re_o     (data_re),
    .data_we_o     (data_we),
    .data_pair_o   (data_pair),
    .data_wdata_o  (data_wdata),
    .data_rdata_i  (data_rdata),
    .loc_o         (loc),
    .loc_re_o      (loc_re),
    .loc_pair_o    (loc_pair),
    .loc_i         (locations),
    .mark_o        (mark),
    .stall_i       (mark_stall),
    .old_valid_i   (old_valid),
    .old_pair_i    (old_pair),
    .old_done_o    (old_done),
    .old_ask_o     (old_ask),
    .old_generation_o(old_generation),
    .old_told_i    (old_told),
    .old_is_i      (old_is),
    .old_yields_i  (old_yields),
    .gone_o        (gone),
    .gone_pair_o   (gone_pair),
    .change_o      (change),
    .keep_valid_o,
    .keep_o,
    .keep_room_i,
    .host_valid_i  (host_valid_i && !reading_q),
    .host_write_i  (host_write_i && !host_stats_i),
    .host_index_i,
    .host_done_o   (entry_done),
    .host_used_o,
    .host_slot_o,
    .host_facts_o,
    .map_re_o      (slow_map_re_o),
    .map_addr_o    (slow_map_addr_o),
    .map_done_i    (slow_map_done_i),
    .map_i         (slow_map_i),
    .map_bad_i     (slow_map_bad_i),
    .tcp_re_o      (slow_tcp_re),
    .tcp_reverse_o (slow_tcp_reverse),
    .tcp_done_i    (stats_done && !reading_q && !age_turn_q && !tell_turn_q),
    .tcp_i         ('{generation: stats.generation, tcp: stats.tcp}),
    .move_start_o,
    .move_nh_o,
    .move_dip_o,
    .move_done_i,
    .move_i,
    .news_valid_o  (news_valid),
    .news_o        (news),
    .event_o,
    .in_use_o,
    .busy_o        (engine_busy)
  );

  // --- Statistics, read for the host once it is known whose they are, and for the engine.
  ps_pair_stats #(
    .PairsLog2(PairsLog2)
  ) u_stats (
    .clk_i,
    .rst_i,
    .now_i,
    .valid_i        (counts),
    .op_i           (count),
    .tcp_o          (tcp_update),
    .re_i           (stats_re),
    .read_pair_i    (tell_turn_q ? tell_pair : age_turn_q ? age_pair : reading_q ? read_tag_q.pair : loc_pair),
    .read_reverse_i (tell_turn_q ? tell_reverse : age_turn_q ? age_reverse : reading_q ? read_tag_q.reverse : slow_tcp_reverse),
    .read_done_o    (stats_done),
    .read_o         (stats),
    .clear_we_i     (clear_we_i && 32'(clear_index_i) < (2 << PairsLog2) && 32'(clear_index_i) < ps_ram_deep_pkg::BankDepth),
    .clear_index_i  (clear_index_i[$clog2(ps_ram_deep_pkg::BankDepth)-1:0]),
    .busy_o         (stats_busy)
  );

  // --- Pressure, some cycles after what it follows from
  always_ff @(posedge clk_i) begin
    for (int unsigned i = 0; i < 3; i++) above_q[i] <= evictions_i.above[i] != '0 && 32'(in_use_o) > evictions_i.above[i];
    pressure_q <= above_q[2] ? 2'd3 : above_q[1] ? 2'd2 : {1'b0, above_q[0]};
    pressed_q  <= above_q != '0;
  end

  ps_flow_age #(
    .PairsLog2(PairsLog2)
  ) u_age (
    .clk_i,
    .rst_i,
    .now_i,
    .times_i,
    .keeps_i      ({evictions_i.plain, evictions_i.states}),
    .pressure_i   (pressure_q),
    .used_i       (data_we),
    .used_pair_i  (data_pair),
    .free_i       (gone),
    .free_pair_i  (gone_pair),
    .clear_i,
    .clear_we_i   (clear_we_i && 32'(clear_index_i) < (1 << (PairsLog2 - 5))),
    .clear_index_i(clear_index_i[PairsLog2-6:0]),
    .re_o         (age_re),
    .pair_o       (age_pair),
    .reverse_o    (age_reverse),
    .done_i       (stats_done && age_turn_q),
    .stats_i      (stats),
    .old_valid_o  (old_valid),
    .old_pair_o   (old_pair),
    .old_done_i   (old_done),
    .ask_i        (old_ask),
    .generation_i (old_generation),
    .told_o       (old_told),
    .told_old_o   (old_is),
    .told_yields_o(old_yields),
    .busy_o       (age_busy)
  );

  // --- What the host is told
  ps_flow_events u_events (
    .clk_i,
    .rst_i,
    .flush_i        (clear_i),
    .time_i,
    .now_i,
    .enable_i       (events_i.enable),
    .kinds_i        (events_i.kinds),
    .sample_i       (events_i.sample),
    .news_valid_i   (news_valid),
    .news_i         (news),
    .refused_valid_i(refusal_valid),
    .refused_i      (refusal),
    .pressure_i     (pressure_q),
    .in_use_i       (in_use_o),
    .re_o           (tell_re),
    .pair_o         (tell_pair),
    .reverse_o      (tell_reverse),
    .done_i         (stats_done && tell_turn_q),
    .stats_i        (stats),
    .evt_valid_o,
    .evt_o,
    .evt_ready_i,
    .lost_o         (evt_lost_o),
    .busy_o         (tell_busy)
  );

  assign stats_re     = reading_q || slow_tcp_re || age_turn_q || tell_turn_q;
  assign host_done_o  = reading_q ? stats_done && !age_turn_q && !tell_turn_q : entry_done && !(host_stats_i && host_used_o);
  assign host_stats_o = reading_q && stats.generation == read_generation_q ? stats : '0;

  always_ff @(posedge clk_i) begin
    // The engine goes on meanwhile, and may want statistics itself: after the host.
    if (entry_done && host_stats_i && host_used_o) reading_q <= 1'b1;
    if (entry_done) begin
      read_tag_q        <= host_slot_o.tag;
      read_generation_q <= host_facts_o.generation;
    end
    if ((stats_done && !age_turn_q && !tell_turn_q) || rst_i) reading_q <= 1'b0;
    // Events, and the search for old pairs, read when nobody else does; what is begun is ended first.
    if (stats_done || rst_i) begin
      age_turn_q  <= 1'b0;
      tell_turn_q <= 1'b0;
    end else if (!stats_re && !(entry_done && host_stats_i)) begin
      tell_turn_q <= tell_re;
      age_turn_q  <= age_re && !tell_re;
    end
    gap_o     <= stats_re && patience_q == '0;
    patience_q <= stats_re ? patience_q - 1'b1 : '1;
  end

  // --- Marks: up to two a cycle in, one out.
  typedef struct packed {
    mark_t second;
    mark_t first;
  } marks_t;

  marks_t marks, left_q;
  logic   marks_valid, marks_take, marks_load, unused_ready;
  logic   none_left_q, one_left_q;     // of both in left_q, which are loaded by their own valid bits
  logic [$clog2(MarkDepth)+1:0] marks_count;

  ps_fifo #(
    .Width($bits(marks_t)),
    .Depth(MarkDepth)
  ) u_marks (
    .clk_i,
    .rst_i   (rst_i || clear_i),
    .wvalid_i(mark[0].valid || mark[1].valid),
    .wready_o(unused_ready),
    .wdata_i ({mark[0], mark[1]}),     // second, first
    .rvalid_o(marks_valid),
    .rready_i(marks_take),
    .rdata_o (marks),
    .count_o (marks_count)
  );

  assign mark_o     = left_q.first.valid ? left_q.first : left_q.second;
  assign marks_take = none_left_q || (mark_ready_i && one_left_q);
  assign marks_load = (!left_q.first.valid && !left_q.second.valid) ||
                      (mark_ready_i && !(left_q.first.valid && left_q.second.valid));

  always_ff @(posedge clk_i) begin
    if (marks_load) left_q <= marks;
    if (marks_take) begin
      left_q.first.valid  <= marks_valid && marks.first.valid;
      left_q.second.valid <= marks_valid && marks.second.valid;
      none_left_q         <= !marks_valid || !(marks.first.valid || marks.second.valid);
      one_left_q          <= marks_valid && (marks.first.valid != marks.second.valid);
    end else if (mark_ready_i) begin
      left_q.first.valid <= 1'b0;
      one_left_q         <= 1'b1;
    end
    mark_stall <= marks_count > ($clog2(MarkDepth) + 2)'(MarkDepth * 3 / 4);
    busy_o     <= admit_busy || engine_busy || age_busy || stats_busy || shares_busy || tell_busy || marks_valid || left_q.first.valid || left_q.second.valid || !ways_idle;
    if (rst_i || clear_i) begin
      {left_q.first.valid, left_q.second.valid} <= '0;
      none_left_q <= 1'b1;
      one_left_q  <= 1'b0;
    end
  end

`ifndef SYNTHESIS
  a_left  : assert property (@(posedge clk_i) disable iff (rst_i || clear_i)
      none_left_q == !(left_q.first.valid || left_q.second.valid) && one_left_q == (left_q.first.valid != left_q.second.valid));
  a_marks : assert property (@(posedge clk_i) disable iff (rst_i || clear_i) mark[0].valid || mark[1].valid |-> unused_ready);
`endif

  logic unused_bits;
  assign unused_bits = ^{unused_ready, read_tag_q.plain};

endmodule
