// Bench top of ps_flow_engine: with the table's memories, the window, and a look-up. The bench (ps_flow_engine_tb.cpp) hands over
// hashes and keys, and looks what it has asked for up.
module ps_flow_engine_tb
  import ps_abi_pkg::*;
  import ps_match_pkg::*;
  import ps_pair_pkg::*;
#(
  parameter int unsigned RowsLog2 = 8
) (
  input  logic         clk_i,
  input  logic         rst_i,
  input  logic         clear_i,
  input  logic         clear_we_i,
  input  logic [31:0]  clear_index_i,
  input  logic [191:0] secret_i,

  // The host's, held until done.
  input  logic         host_valid_i,
  input  logic         host_write_i,
  input  logic [31:0]  host_index_i,
  output logic         host_done_o,
  output logic         host_used_o,
  output logic [119:0] host_key_o,
  output logic [31:0]  host_pair_o,
  output logic         host_reverse_o,
  output logic [31:0]  host_info_o,
  input  logic [2:0]   kind_i,
  input  logic         slow_i,
  input  logic         plain_i,
  // Of a move: what the far end is, where its tunnel is found, and whether the connection is established.
  input  logic         far_service_i,
  input  logic         walk_found_i,
  input  logic         walk_group_i,
  input  logic         established_i,

  // A new pair: taken in the cycle in which ask_o is 1.
  input  logic         valid_i,
  input  logic [119:0] key_i,
  input  logic [119:0] reverse_key_i,
  input  logic [95:0]  hash_i,
  input  logic [95:0]  reverse_hash_i,
  input  logic [31:0]  info_i,
  input  logic [15:0]  number_i,        // of the affinity of its client, or 0
  output logic         ask_o,
  output logic [31:0]  pair_o,

  // A look-up: found FoundCycles later, data DataCycles after that.
  input  logic         look_i,
  input  logic [119:0] look_key_i,
  input  logic [95:0]  look_hash_i,
  output logic         found_o,
  output logic         reverse_o,
  output logic [31:0]  found_pair_o,
  output logic [31:0]  info_o,
  output logic [31:0]  member_o,        // {valid, generation, slot}
  // A probe of packets, that only takes turns.
  input  logic         probe_i,
  input  logic [95:0]  probe_hash_i,

  // Clients that are to be kept at their members.
  input  logic         keep_room_i,
  output logic         keep_o,
  output logic [15:0]  keep_number_o,
  output logic [19:0]  keep_timeout_o,
  output logic [31:0]  keep_client_o,
  output logic [10:0]  keep_slot_o,
  output logic [7:0]   keep_generation_o,

  output logic         news_o,          // what became of a pair
  output logic [2:0]   news_kind_o,
  output logic [5:0]   news_reason_o,
  output logic [31:0]  news_pair_o,
  output logic [119:0] news_key_o,
  output logic         news_plain_o,
  output logic [31:0]  news_member_o,   // {valid, slot}
  output logic         learned_o,
  output logic         full_o,
  output logic         refused_o,       // finds no room, now:
  output logic [31:0]  refused_pair_o,
  output logic         ready_o,         // packets may be probed for new pairs
  output logic         moves_o,         // a resident may be moved from now on:
  output logic [119:0] moves_key_o,
  output logic [31:0]  in_use_o,
  output logic [31:0]  free_o,          // pairs
  output int           shared_o,        // pairs that shares have, by what they are told
  output logic         busy_o,
  output logic         mark_o [2],
  output logic         mark_set_o [2],
  output logic [31:0]  mark_index_o [2],
  output int unsigned  found_cycles_o,
  output int unsigned  data_cycles_o,
  output int unsigned  rows_log2_o
);

  assign rows_log2_o    = RowsLog2;
  assign found_cycles_o = key_cycles(RowsLog2) + 3;
  assign data_cycles_o  = data_cycles(RowsLog2);

  function automatic rows_t few_rows(input flow_hash_t hash);
    for (int w = 0; w < FlowWays; w++) few_rows[w] = FlowRowsLog2'(hash.rows[w] & 16'((1 << RowsLog2) - 1));
  endfunction

  logic        [FlowWays-1:0] op_valid, op_ready, done_valid, taken_valid, taken_ready, taken_used;
  row_op_t     [FlowWays-1:0] op;
  row_op_for_t [FlowWays-1:0] done;
  key_slot_t   [FlowWays-1:0] taken;
  waiting_t    [FlowWays-1:0] taken_by;
  logic                       ways_crowded, store_idle, free_valid, ready, room, drop_valid, window_busy, engine_busy;
  free_pair_t                 free;
  flow_request_t              request;
  number_t                    number, drop;
  logic                       data_we;
  pair_t                      data_pair;
  flow_facts_t [1:0]          data_wdata, data_rdata;
  loc_write_t  [1:0]          loc;
  mark_t       [1:0]          mark;
  flow_index_t [1:0]          locations;
  way_found_t                 found, probe_found;
  flow_facts_t                facts;
  tcp_word_t   [1:0]          unused_tcp;
  tcp_word_t                  tcp;
  logic                       tcp_reverse;
  pair_event_t                happened;
  affinity_keep_t             keep;
  relation_t                  unused_relation;
  logic                       probe_valid, data_re, loc_re;
  pair_t                      loc_pair;
  rows_t                      probe_rows;
  flow_key_t                  probe_key;
  key_slot_t [FlowWays-1:0][BucketSlots-1:0] raw;
  logic      [FlowWays-1:0][BucketSlots-1:0] raw_used;
  key_slot_t                  host_slot;
  flow_facts_t                host_facts;
  logic [$clog2(Flows+1)-1:0] in_use;
  flow_hash_t                 hash, reverse_hash, look_hash, probe_hash;

  assign {hash, reverse_hash, look_hash, probe_hash} = {hash_i, reverse_hash_i, look_hash_i, probe_hash_i};
  assign ask_o = valid_i && ready && room && free_valid;
  assign pair_o = 32'(free.pair);

  always_comb begin
    request              = '0;
    request.kind         = learn_kind_e'(kind_i);
    request.slow         = slow_i;
    request.plain        = plain_i;
    request.far_service  = far_service_i;
    request.fresh        = free;
    request.fresh.generation         = free.generation + 8'd1;
    request.fresh.reverse_generation = free.reverse_generation + 8'd1;
    request.key          = key_i;
    request.reverse_key  = reverse_key_i;
    request.rows         = few_rows(hash);
    request.reverse_rows = few_rows(reverse_hash);
    request.facts.src_info = info_i;
    request.affinity     = '{number: number_i, timeout: 20'(~number_i)};
    request.facts.ecmp_valid      = number_i != '0;
    {request.facts.ecmp_generation, request.facts.ecmp_slot} = number_i != '0 ? info_i[18:0] : '0;
    request.reverse_info = ~info_i;
  end

  // The window tells a request's number a cycle after it was pushed.
  flow_request_t request_q, numbered;
  pair_change_t  change;
  logic          asked_q;

  always_ff @(posedge clk_i) begin
    asked_q   <= ask_o && !rst_i;
    request_q <= request;
    if (rst_i || clear_i) shared_o <= 0;
    else shared_o <= shared_o + 32'(ask_o && learn_kind_e'(kind_i) inside {LearnNew, LearnReplace}) +
                     (!change.valid ? 0 : change.made ? 1 : -1);
  end

  always_comb begin
    numbered        = request_q;
    numbered.number = number;
  end

  pair_news_t news;

  ps_flow_engine #(
    .RowsLog2(RowsLog2)
  ) dut (
    .clk_i, .rst_i, .secret_i, .clear_i, .clear_we_i, .clear_index_i(clear_index_i[$clog2(Flows)-1:0]),
    .free_valid_o(free_valid), .free_o(free), .free_take_i(ask_o && asks_pair(learn_kind_e'(kind_i))), .valid_i(asked_q), .request_i(numbered), .ready_o(ready),
    .none_waits_o(), .crowded_o(), .drop_valid_o(drop_valid), .drop_o(drop),
    .op_valid_o(op_valid), .op_ready_i(op_ready), .op_o(op), .ways_crowded_i(ways_crowded), .done_valid_i(done_valid),
    .done_i(done), .taken_valid_i(taken_valid), .taken_ready_o(taken_ready), .taken_i(taken), .taken_used_i(taken_used),
    .taken_by_i(taken_by), .data_we_o(data_we), .data_pair_o(data_pair), .data_wdata_o(data_wdata), .loc_o(loc), .mark_o(mark),
    .stall_i(1'b0),
    .probe_valid_o(probe_valid), .probe_ready_i(!probe_i), .probe_rows_o(probe_rows), .probe_key_o(probe_key),
    .probe_found_i(probe_found), .raw_i(raw), .raw_used_i(raw_used), .ways_idle_i(store_idle), .data_re_o(data_re),
    .data_rdata_i(data_rdata), .loc_re_o(loc_re), .loc_pair_o(loc_pair), .loc_i(locations),
    .old_valid_i(1'b0), .old_pair_i('0), .old_done_o(), .old_ask_o(), .old_generation_o(), .old_told_i(1'b0), .old_is_i(1'b0), .old_yields_i(1'b0), .gone_o(), .gone_pair_o(), .change_o(change),
    .keep_valid_o(keep_o), .keep_o(keep), .keep_room_i,
    .host_valid_i, .host_write_i, .host_index_i($bits(flow_index_t)'(host_index_i)), .host_done_o, .host_used_o,
    .host_slot_o(host_slot), .host_facts_o(host_facts), .map_re_o(), .map_addr_o(), .map_done_i(1'b1), .map_i('0), .map_bad_i(1'b0), .tcp_re_o(),
    .tcp_reverse_o(tcp_reverse), .tcp_done_i(1'b1), .tcp_i(tcp), .move_start_o(), .move_nh_o(), .move_dip_o(), .move_done_i(1'b1),
    .move_i('{found: walk_found_i, group: walk_group_i, slot: 11'd5, generation: 8'd7}), .news_valid_o(news_o), .news_o(news), .event_o(happened), .in_use_o(in_use), .busy_o(engine_busy)
  );

  ps_flow_store #(
    .RowsLog2(RowsLog2)
  ) u_store (
    .clk_i, .rst_i, .a_re_i(look_i), .a_rows_i(few_rows(look_hash)), .a_key_i(look_key_i), .found_o(found), .facts_o(facts),
    .tcp_o(unused_tcp), .probe_valid_i(probe_i || probe_valid), .probe_first_i(probe_i),
    .probe_rows_i(probe_i ? few_rows(probe_hash) : probe_rows), .probe_key_i(probe_key),
    .probe_pair_i('0), .probe_found_o(probe_found), .raw_o(raw), .raw_used_o(raw_used), .op_valid_i(op_valid), .op_ready_o(op_ready), .op_i(op),
    .crowded_o(ways_crowded), .idle_o(store_idle), .done_valid_o(done_valid), .done_o(done), .taken_valid_o(taken_valid),
    .taken_ready_i(taken_ready), .taken_o(taken), .taken_used_o(taken_used), .taken_by_o(taken_by),
    .data_re_i(data_re), .data_we_i(data_we), .data_pair_i(data_pair), .data_wdata_i(data_wdata), .data_rdata_o(data_rdata),
    .loc_i(loc), .loc_re_i(loc_re), .loc_pair_i(loc_pair), .loc_o(locations), .tcp_i('0), .clear_i,
    .clear_we_i, .clear_index_i(clear_index_i[$clog2(Flows)-1:0])
  );

  // Each request's prints are those of its packet, WindowCycles ago.
  print_t [WindowCycles-1:0] forward_q, reverse_q;
  always_ff @(posedge clk_i) begin
    forward_q <= {forward_q[WindowCycles-2:0], hash.print};
    reverse_q <= {reverse_q[WindowCycles-2:0], reverse_hash.print};
  end

  ps_flow_window u_window (
    .clk_i, .rst_i(rst_i || clear_i), .look_i(1'b1), .forward_i(hash.print), .reverse_i(reverse_hash.print), .relation_o(unused_relation),
    .push_i(ask_o && asks_pair(learn_kind_e'(kind_i))), .push_translated_i(1'b0), .number_o(number), .room_o(room), .done_valid_i(done_valid), .done_i(done),
    .drop_valid_i(drop_valid), .drop_i(drop), .busy_o(window_busy)
  );

  assign {keep_number_o, keep_timeout_o, keep_client_o, keep_slot_o, keep_generation_o} = keep;
  assign {found_o, reverse_o, found_pair_o} = {found.hit, found.tag.reverse, 32'(found.tag.pair)};
  assign {host_key_o, host_pair_o, host_reverse_o} = {host_slot.key, 32'(host_slot.tag.pair), host_slot.tag.reverse};
  assign host_info_o = host_facts.src_info;
  assign info_o    = facts.src_info;
  assign member_o  = 32'({facts.ecmp_valid, facts.ecmp_generation, facts.ecmp_slot});
  // Of both directions, under the generation that they have.
  assign tcp       = '{generation: dut.u_slow.old_q[tcp_reverse].generation, tcp: established_i ? 4'b1 << TcpEstablishedBit : '0};
  assign {news_kind_o, news_reason_o, news_pair_o, news_key_o, news_plain_o} =
         {news.kind, news.reason, 32'(news.pair), news.key, news.plain};
  assign news_member_o = 32'({news.ties.member_valid, news.ties.member});
  assign learned_o = happened.learned;
  assign full_o    = happened.full;
  assign refused_o = dut.full_valid;
  assign refused_pair_o = 32'(dut.full.fresh.pair);
  assign ready_o   = ready;

  always_comb begin
    moves_o     = 1'b0;
    moves_key_o = '0;
    for (int w = 0; w < FlowWays; w++) begin
      if (taken_valid[w] && taken_ready[w] && taken_used[w]) {moves_o, moves_key_o} = {1'b1, taken[w].key};
    end
  end
  assign in_use_o  = 32'(in_use);
  assign free_o    = 32'(dut.u_ids.count_q);
  assign busy_o    = engine_busy || window_busy || !store_idle || asked_q;
  for (genvar m = 0; m < 2; m++) begin : gen_mark
    assign mark_o[m] = mark[m].valid;
    assign mark_set_o[m] = mark[m].set;
    assign mark_index_o[m] = 32'(mark[m].index);
  end

endmodule
