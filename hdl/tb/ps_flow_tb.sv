// Bench top of ps_flow: keys and asks as plain ports. The bench (ps_flow_tb.cpp) plays the stages between look-up and admission.
module ps_flow_tb
  import ps_abi_pkg::*;
  import ps_types_pkg::*;
  import ps_match_pkg::*;
  import ps_pair_pkg::*;
#(
  parameter int unsigned RowsLog2 = 7
) (
  input  logic         clk_i,
  input  logic         rst_i,
  input  logic [31:0]  now_i,
  input  logic [31:0]  times_i [16],    // of the states, and by port
  input  logic [31:0]  above_i [3],     // entries in use, of pressure 1, 2 and 3
  input  logic [31:0]  keeps_i [9],     // of the states, and of plain pairs
  input  logic [191:0] secret_i,
  input  logic         clear_i,
  input  logic         clear_we_i,
  input  logic [31:0]  clear_index_i,

  input  logic         key_valid_i,
  input  logic [119:0] key_i,
  output logic         found_o,
  output logic         usable_o,
  output logic [31:0]  pair_o,
  output logic         reverse_o,
  output logic [7:0]   generation_o,
  output logic [31:0]  info_o,

  input  logic         early_valid_i,
  input  logic [119:0] early_key_i,
  input  logic         ask_valid_i,     // a packet
  input  logic         asks_i,          // that asks for a pair
  input  logic [2:0]   kind_i,
  input  logic         translated_i,
  input  logic         plain_i,
  input  logic         ask_found_i,
  input  logic         counts_i,
  input  logic [31:0]  ask_pair_i,
  input  logic         ask_reverse_i,
  input  logic [7:0]   ask_generation_i,
  input  logic [15:0]  bytes_i,
  input  logic [1:0]   age_kind_i,
  input  logic         by_port_i,
  input  logic [2:0]   port_i,
  input  logic [3:0]   flags_i,         // ACK, RST, FIN, SYN
  input  logic [95:0]  hash_i,
  input  logic [119:0] ask_key_i,
  input  logic [119:0] reverse_key_i,
  input  logic [31:0]  ask_info_i,
  input  logic         by_vif_i,
  input  logic [7:0]   vif_i,
  input  logic         by_tunnel_i,
  input  logic [11:0]  tunnel_i,
  output logic         answer_o,
  output logic         refused_o,
  output logic [5:0]   reason_o,
  output logic         deferred_o,

  input  logic         host_valid_i,
  input  logic         host_write_i,
  input  logic         host_stats_i,
  input  logic [31:0]  host_index_i,
  output logic         host_done_o,
  output logic         host_used_o,
  output logic [119:0] host_key_o,
  output logic [31:0]  host_pair_o,
  output logic         host_reverse_o,
  output logic [7:0]   host_generation_o,
  output logic [31:0]  host_packets_o,
  output logic [39:0]  host_bytes_o,

  input  logic         share_write_i,   // pulses
  input  logic         share_stats_i,
  input  logic [31:0]  share_index_i,
  input  logic [31:0]  share_pairs_i,   // valid if not 0
  output logic         share_done_o,
  output logic [31:0]  share_pairs_o,
  output logic [31:0]  share_refused_o,

  output logic         mark_o,
  output logic         mark_set_o,
  output logic [31:0]  mark_index_o,
  input  logic         mark_ready_i,
  output logic         full_o,
  output logic         aged_o,
  output logic         evicted_o,
  output logic [31:0]  in_use_o,
  output logic         busy_o,
  output int unsigned  rows_log2_o,
  output int unsigned  translated_max_o,
  output int unsigned  hit_cycles_o,
  output int unsigned  admit_cycles_o
);

  assign rows_log2_o    = RowsLog2;
  assign translated_max_o = FlowsTranslatedMax >> (FlowRowsLog2 - RowsLog2);
  assign hit_cycles_o   = hit_at(RowsLog2, 3);
  assign admit_cycles_o = admit_cycles(RowsLog2);

  function automatic flow_hash_t few_rows(input flow_hash_t hash);
    few_rows = hash;
    for (int w = 0; w < FlowWays; w++) few_rows.rows[w] = hash.rows[w] & 16'((1 << RowsLog2) - 1);
  endfunction

  pair_ask_t    ask;
  pair_hit_t    hit;
  drop_reason_e reason;
  mark_t        mark;
  pair_event_t  happened;
  key_slot_t    host_slot;
  flow_facts_t  host_facts;
  pair_stats_t  host_stats;
  logic [$clog2(Flows+1)-1:0] in_use;

  always_comb begin
    ask                  = '0;
    ask.valid            = asks_i;
    ask.kind             = learn_kind_e'(kind_i);
    ask.translated       = translated_i;
    ask.plain            = plain_i;
    ask.found            = ask_found_i;
    ask.counts           = counts_i;
    ask.shares           = '{by_vif: by_vif_i, vif: vif_i, by_tunnel: by_tunnel_i, tunnel: tunnel_i};
    ask.count.pair       = pair_t'(ask_pair_i);
    ask.count.reverse    = ask_reverse_i;
    ask.count.generation = ask_generation_i;
    ask.count.bytes      = bytes_i;
    ask.count.age        = '{plain: plain_i && ask_found_i, kind: age_kind_e'(age_kind_i), by_port: by_port_i, port: port_i};
    ask.count.tcp        = age_kind_e'(age_kind_i) == AgeTcp;
    {ask.count.tcp_ack, ask.count.tcp_rst, ask.count.tcp_fin, ask.count.tcp_syn} = flags_i;
    ask.hash             = few_rows(hash_i);
    ask.key              = ask_key_i;
    ask.reverse_key      = reverse_key_i;
    ask.facts.src_info   = ask_info_i;
    ask.reverse_info     = ~ask_info_i;
  end

  age_times_t times;
  evictions_t evictions;

  always_comb begin
    for (int i = 0; i < 8; i++) {times.by_port[i], times.states[i]} = {times_i[8+i], times_i[i]};
    for (int i = 0; i < 8; i++) evictions.states[i] = keeps_i[i];
    for (int i = 0; i < 3; i++) evictions.above[i] = above_i[i];
    evictions.plain = keeps_i[8];
  end

  access_t           acc;
  flow_share_t       share;
  flow_share_stats_t share_stats;

  always_comb begin
    acc       = '0;
    acc.index = index_t'(clear_we_i ? clear_index_i : share_index_i);
    acc.we[SelFlowShare]      = share_write_i || (clear_we_i && clear_index_i < FlowShares);
    acc.re[SelFlowShareStats] = share_stats_i;
    share = clear_we_i ? '0 : '{rate: '0, burst: '0, pairs: share_pairs_i[19:0], valid: share_pairs_i != '0};
  end

  assign {share_refused_o, share_pairs_o} = {share_stats.refused, 32'(share_stats.pairs)};

  // The bench lets this many cycles go by between the look-up's answer and admission.
  localparam int unsigned Between = 34;

  ps_flow #(
    .RowsLog2(RowsLog2),
    .Linger  (hit_at(RowsLog2, 3) - HashCycles + Between + admit_cycles(RowsLog2) - WindowCycles)
  ) dut (
    .clk_i, .rst_i, .time_i({16'd0, now_i, 16'd0}), .now_i, .times_i(times), .evictions_i(evictions), .events_i('0), .secret_i(secret_i ^ FlowSecretBase), .clear_i, .clear_we_i, .clear_index_i(clear_index_i[$clog2(Flows)-1:0]), .key_valid_i,
    .lookup_i(1'b1), .key_i, .bare_syn_i(1'b0), .hash_o(), .hit_o(hit), .way_o(), .map_re_o(), .map_addr_o(), .map_i('0), .early_valid_i, .early_key_i,
    .ask_valid_i, .ask_i(ask), .answer_o, .refused_o, .reason_o(reason), .deferred_o, .host_valid_i, .host_write_i, .host_stats_i,
    .host_index_i($bits(flow_index_t)'(host_index_i)), .host_done_o, .host_used_o, .host_slot_o(host_slot),
    .host_facts_o(host_facts), .host_stats_o(host_stats),
    .acc_i(acc), .acc_wdata_i(share), .share_done_o, .share_o(), .share_bad_o(), .share_stats_o(share_stats), .share_error_o(),
    .slow_map_re_o(), .slow_map_addr_o(), .slow_map_done_i(1'b1),
    .slow_map_i('0), .slow_map_bad_i(1'b0), .move_start_o(), .move_nh_o(), .move_dip_o(), .move_done_i(1'b1), .move_i('0), .mark_o(mark), .mark_ready_i, .gap_o(),
    .keep_valid_o(), .keep_o(), .keep_room_i(1'b1),
    .event_o(happened), .evt_valid_o(), .evt_o(), .evt_ready_i(1'b1), .evt_lost_o(), .in_use_o(in_use), .busy_o
  );

  assign {found_o, usable_o, pair_o, reverse_o, generation_o, info_o} =
         {hit.found, hit.usable, 32'(hit.tag.pair), hit.tag.reverse, hit.generation, hit.src_info};
  assign reason_o = reason;
  assign {host_key_o, host_pair_o, host_reverse_o} = {host_slot.key, 32'(host_slot.tag.pair), host_slot.tag.reverse};
  assign {host_generation_o, host_packets_o, host_bytes_o} = {host_facts.generation, host_stats.packets, host_stats.bytes};
  assign {mark_o, mark_set_o, mark_index_o} = {mark.valid, mark.set, 32'(mark.index)};
  assign full_o   = happened.full;
  assign aged_o   = happened.aged;
  assign evicted_o = happened.evicted;
  assign in_use_o = 32'(in_use);

endmodule
