// Match-action core: from a parsed header to a verdict, by docs/datapath.md.
//
// Headers:    hdr_valid_i/hdr_i up to one every cycle, never stalled. verdict_valid_o/verdict_o exactly MatchCycles
//             later, in order. Flow entries, counters and learning are side effects, visible some cycles later.
// Tables:     cfg_valid_i/cfg_req_i held until cfg_rsp_o.done; lookups are never delayed by it. What needs a cycle without a header
//             (statistics of flows; NextHop and Ecmp, and a walk through them) waits for one, and asks for it by gap_o.
// Clearing:   after rst_i and on clear_i (pulse) all tables, flows and counters are zeroed (clearing_o, one
//             cycle an index of the largest); frames that come meanwhile are dropped as with enable_i = 0.
// Traps:      a trapped frame counts as Trapped; if the stream side cannot hand it over (trap_drop_*) it counts as a drop
//             besides. Frames that the firmware sends come by fw_tx_*.
// Parity:     an entry of a table that the host fills is stored with its parity, which is looked at in the cycle after it stands; a packet
//             that needs one with the wrong parity is dropped. parity_errors_o and parity_last_o tell of those that were met;
//             with parity_inject_i the next entry that is written has the wrong one (parity_injected_o, pulse).
// busy_o:     a packet is in the pipeline, or learning or counting is not done yet.
//
// Stages, and what has its place in them later (docs/decisions/78-stages-laid-out.md). Their lengths are constants of
// ps_match_pkg, and only there:
//   source | flow (later fragments beside it) | service, a few cycles ahead, and two routes, from what is kept at the flow on, and the
//   client's member | next hop, and the source check beside it | outgoing vif, mapping | decision (MTU) | checksums (MSS), admission,
//   verdict
module ps_match
  import ps_abi_pkg::*;
  import ps_types_pkg::*;
  import ps_match_pkg::*;
  import ps_pair_pkg::*;
(
  input  logic        clk_i,
  input  logic        rst_i,
  input  logic        enable_i,

  input  logic        hdr_valid_i,
  input  hdr_t        hdr_i,
  output logic        verdict_valid_o,
  output verdict_t    verdict_o,

  input  logic        cfg_valid_i,
  input  cfg_req_t    cfg_req_i,
  output cfg_rsp_t    cfg_rsp_o,

  input  logic        clear_i,
  output logic        clearing_o,
  input  logic [63:0] time_i,
  input  age_times_t   age_times_i,
  input  age_port_t [7:0] age_ports_i,
  input  evictions_t   evictions_i,
  input  event_choice_t events_i,
  input  logic [191:0] hash_key_i,        // the flow table's secret, taken over while tables are cleared

  input  logic        parity_inject_i,
  output logic        parity_injected_o,
  output logic [31:0] parity_errors_o,
  output logic [31:0] parity_last_o,      // {table, index}

  input  logic        trap_drop_valid_i,
  input  logic [7:0]  trap_drop_vif_i,
  input  logic        fw_tx_valid_i,
  input  logic [7:0]  fw_tx_vif_i,
  input  logic [15:0] fw_tx_bytes_i,

  output logic        flow_full_o,
  output logic        flow_evt_valid_o,   // for the event ring
  output flow_event_t flow_evt_o,
  input  logic        flow_evt_ready_i,
  output logic [1:0]  flow_evt_lost_o,
  output logic        card_mark_valid_o,  // an entry became valid or invalid, of a flow
  output logic        card_mark_client_o, // or a client
  output index_t      card_mark_index_o,
  output logic        card_mark_set_o,
  input  logic        card_mark_ready_i,
  output logic        gap_o,              // pulse: one cycle without a header, please; when does not matter
  output logic        busy_o
);

  access_t                 acc;
  logic [WriteMaxBits-1:0] acc_wdata;
  logic [EntryMaxBits-1:0] rdata;

  // --- Tables that several stages read: Vif (the source's copy is there) and FipMap.
  logic        vif_out_re, map_flow_re, map_fip_re;
  vif_addr_t   vif_out_addr;
  map_id_t     map_flow_addr, map_fip_addr;
  vif_t        vif_out, vif_acc, unused_vif;
  logic        vif_out_bad, vif_acc_bad, map_flow_bad, map_fip_bad, map_slow_bad, map_acc_bad, unused_vif_bad;
  fip_map_t    map_flow, map_fip, map_acc, map_slow;
  logic        map_slow_re, map_slow_done;
  map_id_t     map_slow_addr;

  ps_table #(
    .Width(VifBits),
    .Depth(Vifs)
  ) u_vif_out (
    .clk_i,
    .re_i       (vif_out_re),
    .addr_i     (vif_out_addr),
    .rdata_o    (vif_out),
    .bad_o      (vif_out_bad),
    .acc_re_i   (1'b0),
    .acc_we_i   (acc.we[SelVif]),
    .acc_flip_i (acc.flip),
    .acc_index_i(vif_addr_t'(acc.index)),
    .acc_wdata_i(acc_wdata[VifBits-1:0]),
    .acc_rdata_o(unused_vif),
    .acc_bad_o  (unused_vif_bad)
  );

  ps_fip_maps u_fip_maps (
    .clk_i,
    .flow_re_i  (map_flow_re),
    .flow_addr_i(map_flow_addr),
    .flow_o     (map_flow),
    .flow_bad_o (map_flow_bad),
    .fip_re_i   (map_fip_re),
    .fip_addr_i (map_fip_addr),
    .fip_o      (map_fip),
    .fip_bad_o  (map_fip_bad),
    .slow_re_i  (map_slow_re),
    .slow_addr_i(map_slow_addr),
    .slow_done_o(map_slow_done),
    .slow_o     (map_slow),
    .slow_bad_o (map_slow_bad),
    .acc_i      (acc),
    .acc_wdata_i(acc_wdata[FipMapBits-1:0]),
    .acc_rdata_o(map_acc),
    .acc_bad_o  (map_acc_bad)
  );

  // Where packets and the host meet entries with the wrong parity.
  localparam int unsigned ParitySources = 25;
  localparam logic [ParitySources-1:0][7:0] ParityTables = {
    TableAffinity, TableAffinity, TableAffinity,
    TableFlowShare, TableVrf, TableServiceKey, TableTunnelSource, TablePlainFip, TableHostRoute, TablePrefix, TableDefaultRoute,
    TableVif, TableVif, TableIlm, TableHostRoute, TablePrefix, TableDefaultRoute, TableNextHop, TableNextHop, TableEcmp, TableEcmp,
    TableFipKey, TableFipKey, TableFipMap, TableFipMap
  };

  parity_error_t share_error, vif_error, ilm_error, vrf_error, service_error, tunnel_source_error, map_flow_error;
  parity_error_t [1:0] host_route_error, prefix_error, default_route_error, next_hop_error, ecmp_error;
  parity_error_t [4:0] fip_error;
  parity_error_t [AffinityWays:0] affinity_error;
  logic          ilm_acc_bad, next_hop_acc_bad, ecmp_acc_bad, host_route_acc_bad, prefix_acc_bad, fip_key_acc_bad, plain_acc_bad, read_bad;
  logic          vrf_acc_bad, service_acc_bad, tunnel_source_acc_bad;
  logic          rdata_bad;

  // --- Source.
  logic     src_valid, fabric_valid, routed;
  context_t src_ctx;
  ilm_t     ilm_acc;

  ps_source u_source (
    .clk_i,
    .rst_i,
    .clear_i       (clearing_o),
    .enable_i      (enable_i && !clearing_o),
    .valid_i       (hdr_valid_i),
    .hdr_i,
    .valid_o       (src_valid),
    .ctx_o         (src_ctx),
    .fabric_valid_o(fabric_valid),
    .acc_i         (acc),
    .acc_wdata_i(acc_wdata[VifBits-1:0]),
    .vif_rdata_o   (vif_acc),
    .vif_acc_bad_o (vif_acc_bad),
    .vif_error_o   (vif_error),
    .ilm_rdata_o   (ilm_acc),
    .ilm_acc_bad_o (ilm_acc_bad),
    .ilm_error_o   (ilm_error)
  );

  assign routed = src_valid && src_ctx.source.act == ActRoute;

  // --- Flow look-up.
  logic       flow_look_valid, hash_valid;
  context_t   flow_ctx;
  ip4_t       first_ip_look;        // chosen here, as where it is looked up its hash takes the whole cycle
  flow_hash_t hash;
  pair_hit_t  flow_found;
  flow_way_t  flow_way;

  // What is looked up as a route goes ahead of the flow's answer.
  ps_delay #(
    .Width ($bits(context_t) + $bits(ip4_t)),
    .Cycles(FlowCycles - RouteAhead)
  ) u_flow_ctx (
    .clk_i,
    .rst_i,
    .valid_i(src_valid),
    .data_i ({first_ip(src_ctx.hdr), src_ctx}),
    .valid_o(flow_look_valid),
    .data_o ({first_ip_look, flow_ctx})
  );

  // --- Where it leads first: service, routes.
  logic         look_valid, look_routed;
  context_t     look_ctx;
  pair_hit_t    flow_hit;
  way_t         way;
  early_t       early;
  check_ask_t   check_ask;
  check_t       check;
  host_route_t  host_route_acc;
  prefix_t      prefix_acc;
  vrf_t         vrf_acc;
  service_key_t service_acc;
  tunnel_source_t tunnel_source_acc;

  logic             service_valid;
  service_ask_t     service;
  affinity_number_t number;

  logic map_flow_broken;    // of the flow's mapping, which was read before the flow was found

  ps_delay #(
    .Width ($bits(service_ask_t)),
    .Cycles(FlowCycles - RouteAhead - ServiceAhead)
  ) u_service_ask (
    .clk_i,
    .rst_i,
    .valid_i(routed),
    .data_i (service_ask(src_ctx)),
    .valid_o(service_valid),
    .data_o (service)
  );

  ps_ways u_ways (
    .clk_i,
    .rst_i,
    .service_valid_i  (service_valid),
    .service_i        (service),
    .affinity_o       (number),
    .valid_i          (flow_look_valid),
    .ctx_i            (flow_ctx),
    .first_ip_i       (first_ip_look),
    .way_i            (flow_way),
    .flow_i           (flow_found),
    .map_bad_i        (map_flow_broken),
    .valid_o          (look_valid),
    .ctx_o            (look_ctx),
    .flow_o           (flow_hit),
    .way_o            (way),
    .early_o          (early),
    .check_o          (check_ask),
    .host_error_o     (host_route_error),
    .prefix_error_o   (prefix_error),
    .default_error_o  (default_route_error),
    .vrf_error_o      (vrf_error),
    .service_error_o  (service_error),
    .acc_i            (acc),
    .acc_wdata_i      (acc_wdata[ServiceKeyBits-1:0]),
    .host_rdata_o     (host_route_acc),
    .host_acc_bad_o   (host_route_acc_bad),
    .prefix_rdata_o   (prefix_acc),
    .prefix_acc_bad_o (prefix_acc_bad),
    .vrf_rdata_o      (vrf_acc),
    .vrf_acc_bad_o    (vrf_acc_bad),
    .service_rdata_o  (service_acc),
    .service_acc_bad_o(service_acc_bad)
  );

  assign look_routed = look_valid && look_ctx.source.act == ActRoute;

  ps_source_check u_source_check (
    .clk_i,
    .rst_i,
    .valid_i    (look_routed),
    .ask_i      (check_ask),
    .check_o    (check),
    .error_o    (tunnel_source_error),
    .acc_i      (acc),
    .acc_wdata_i(acc_wdata[TunnelSourceBits-1:0]),
    .rdata_o    (tunnel_source_acc),
    .acc_bad_o  (tunnel_source_acc_bad)
  );

  // The flow's mapping was read before it was found; its parity stands with flow_found.
  logic [MapReadCycles+1:1]           map_flow_read_q;
  map_id_t                            map_flow_index_q [1:MapReadCycles+1];

  assign map_flow_broken = map_flow_read_q[MapReadCycles+1] && map_flow_bad;

  always_ff @(posedge clk_i) begin
    map_flow_read_q <= rst_i ? '0 : {map_flow_read_q[MapReadCycles:1], map_flow_re};
    if (map_flow_re) map_flow_index_q[1] <= map_flow_addr;
    for (int unsigned i = 2; i <= MapReadCycles + 1; i++) if (map_flow_read_q[i-1]) map_flow_index_q[i] <= map_flow_index_q[i-1];
    map_flow_error.valid <= map_flow_broken && !rst_i;
    if (map_flow_broken) map_flow_error.index <= index_t'(fip_map_addr_t'(map_flow_index_q[MapReadCycles+1]));
  end

  // --- Next hop.
  logic       hop_valid, hop_bad;
  context_t   hop_ctx;
  hop_t       hop;
  next_hop_t  next_hop_acc;
  ecmp_slot_t ecmp_acc;

  logic        walk_nh_bad, walk_ecmp_bad, hop_gap, flow_gap, turn_done, share_done;
  logic [MatchCycles:1] flight_q;     // packets under way
  logic        walk_nh_re, walk_nh_ready, walk_nh_valid, walk_ecmp_re, walk_ecmp_ready, walk_ecmp_valid;
  next_hop_addr_t walk_nh_addr;
  ecmp_addr_t  walk_ecmp_addr;
  next_hop_t   walk_nh;
  ecmp_slot_t  walk_ecmp;

  // Units of last_hit and of all times, never 0, which says that there was no packet.
  logic [31:0] now_q;

  always_ff @(posedge clk_i) now_q <= time_i[47:16] | 32'(time_i[47:16] == '0);

  // The member at which a client is kept; who is to be kept comes from the flow table.
  affinity_hit_t  kept;
  affinity_keep_t keep;
  affinity_t      affinity_acc;
  affinity_mark_t client_mark;
  logic           keep_valid, keep_room, client_learned, client_evicted, affinity_done, affinity_acc_bad, affinity_busy;

  ps_affinity u_affinity (
    .clk_i,
    .rst_i,
    .now_i         (now_q),
    .secret_i      (hash_key_i),
    .clear_i       (clearing_o),
    .client_valid_i(service_valid && service.ask && service.from_vif),
    .client_i      (service.client),
    .number_i      (number),
    .hit_o         (kept),
    .keep_valid_i  (keep_valid),
    .keep_i        (keep),
    .room_o        (keep_room),
    .learned_o     (client_learned),
    .evicted_o     (client_evicted),
    .mark_o        (client_mark),
    .mark_ready_i  (card_mark_ready_i),
    .acc_i         (acc),
    .acc_done_o    (affinity_done),
    .acc_rdata_o   (affinity_acc),
    .acc_bad_o     (affinity_acc_bad),
    .error_o       (affinity_error),
    .busy_o        (affinity_busy)
  );

  ps_nexthop u_nexthop (
    .clk_i,
    .rst_i,
    .valid_i     (look_routed),
    .ctx_i       (look_ctx),
    .flow_i      (flow_hit),
    .way_i       (way),
    .early_i     (early),
    .check_i     (check),
    .kept_i      (kept),
    .now_i       (now_q[AffinityUnitLog2-16 +: AffinityTimeBits]),
    .hop_o       (hop),
    .hop_bad_o   (hop_bad),
    .nh_error_o  (next_hop_error),
    .ecmp_error_o(ecmp_error),
    .flight_i    (flight_q != '0),
    .gap_o       (hop_gap),
    .clearing_i  (clearing_o),
    .acc_i       (acc),
    .acc_wdata_i(acc_wdata[NextHopBits-1:0]),
    .acc_done_o  (turn_done),
    .nh_rdata_o  (next_hop_acc),
    .nh_acc_bad_o(next_hop_acc_bad),
    .ecmp_rdata_o(ecmp_acc),
    .ecmp_acc_bad_o(ecmp_acc_bad),
    .walk_nh_re_i     (walk_nh_re),
    .walk_nh_addr_i   (walk_nh_addr),
    .walk_nh_ready_o  (walk_nh_ready),
    .walk_nh_valid_o  (walk_nh_valid),
    .walk_nh_rdata_o  (walk_nh),
    .walk_nh_bad_o    (walk_nh_bad),
    .walk_ecmp_re_i   (walk_ecmp_re),
    .walk_ecmp_addr_i (walk_ecmp_addr),
    .walk_ecmp_ready_o(walk_ecmp_ready),
    .walk_ecmp_valid_o(walk_ecmp_valid),
    .walk_ecmp_rdata_o(walk_ecmp),
    .walk_ecmp_bad_o  (walk_ecmp_bad)
  );

  ps_delay #(
    .Width ($bits(context_t)),
    .Cycles(NextHopCycles)
  ) u_hop_ctx (
    .clk_i,
    .rst_i,
    .valid_i(look_valid),
    .data_i (look_ctx),
    .valid_o(hop_valid),
    .data_o (hop_ctx)
  );

  // --- Outgoing vif and mapping.
  logic     fip_valid, fip_hop_valid, fip_map_broken;
  context_t fip_ctx;
  hop_t     fip_hop, fip_hop_read;
  fip_t     fip;
  fip_key_t fip_key_acc;
  plain_fip_t plain_acc;

  ps_fip u_fip (
    .clk_i,
    .rst_i,
    .valid_i    (hop_valid && hop_ctx.source.act == ActRoute),
    .hdr_i      (hop_ctx.hdr),
    .egress_map_i(hop_ctx.source.egress_map),
    .hop_i      (hop),
    .fip_o      (fip),
    .vif_re_o   (vif_out_re),
    .vif_addr_o (vif_out_addr),
    .vif_i      (vif_out),
    .vif_bad_i  (vif_out_bad),
    .map_re_o   (map_fip_re),
    .map_addr_o (map_fip_addr),
    .map_i      (map_fip),
    .map_bad_i  (map_fip_bad),
    .map_broken_o(fip_map_broken),
    .error_o    (fip_error),
    .acc_i      (acc),
    .acc_wdata_i(acc_wdata[FipKeyBits-1:0]),
    .key_rdata_o(fip_key_acc),
    .key_acc_bad_o(fip_key_acc_bad),
    .plain_rdata_o(plain_acc),
    .plain_acc_bad_o(plain_acc_bad)
  );

  ps_delay #(
    .Width ($bits(context_t)),
    .Cycles(FipCycles)
  ) u_fip_ctx (
    .clk_i,
    .rst_i,
    .valid_i(hop_valid),
    .data_i (hop_ctx),
    .valid_o(fip_valid),
    .data_o (fip_ctx)
  );

  ps_delay #(
    .Width ($bits(hop_t)),
    .Cycles(FipCycles)
  ) u_fip_hop (
    .clk_i,
    .rst_i,
    .valid_i(hop_valid),
    .data_i (hop),
    .valid_o(fip_hop_valid),
    .data_o (fip_hop_read)
  );

  // The member's next hop has gone on before its parity was known.
  logic [FipCycles:1] hop_bad_q;

  always_ff @(posedge clk_i) hop_bad_q <= rst_i ? '0 : {hop_bad_q[FipCycles-1:1], hop_bad};

  always_comb begin
    fip_hop = fip_hop_read;
    if (hop_bad_q[FipCycles]) begin
      fip_hop.drop   = 1'b1;
      fip_hop.reason = DropTableParity;
    end
  end

  // The decision needs the hash and the flow as well.
  flow_hash_t decide_hash;
  pair_hit_t  decide_flow;
  logic       decide_hash_valid, decide_flow_valid;

  ps_delay #(
    .Width ($bits(flow_hash_t)),
    .Cycles(FlowCycles - HashCycles + RouteCycles - RouteAhead + NextHopCycles + FipCycles)
  ) u_hash (
    .clk_i,
    .rst_i,
    .valid_i(hash_valid),
    .data_i (hash),
    .valid_o(decide_hash_valid),
    .data_o (decide_hash)
  );

  ps_delay #(
    .Width ($bits(pair_hit_t)),
    .Cycles(NextHopCycles + FipCycles)
  ) u_flow_hit (
    .clk_i,
    .rst_i,
    .valid_i(look_valid),
    .data_i (flow_hit),
    .valid_o(decide_flow_valid),
    .data_o (decide_flow)
  );

  // --- Decision.
  logic      decided;
  verdict_t  decided_verdict;
  old_t      decided_old;
  count_t    decided_count;
  logic      decided_early_valid;
  flow_key_t decided_early_key;
  pair_ask_t decided_ask;

  ps_decide u_decide (
    .clk_i,
    .rst_i,
    .age_ports_i,
    .fabric_valid_i(fabric_valid),
    .valid_i       (fip_valid),
    .ctx_i         (fip_ctx),
    .hash_i        (decide_hash),
    .flow_i        (decide_flow),
    .hop_i         (fip_hop),
    .fip_i         (fip),
    .fip_map_broken_i(fip_map_broken),
    .valid_o       (decided),
    .verdict_o     (decided_verdict),
    .old_o         (decided_old),
    .count_o       (decided_count),
    .early_valid_o (decided_early_valid),
    .early_key_o   (decided_early_key),
    .ask_o         (decided_ask)
  );

  // --- Checksums and, beside them, admission: whichever takes less begins later.
  logic         edit_valid, admit_valid, admit_early_valid, admitted, refused, deferred, counted;
  verdict_t     edit_verdict, edited;
  old_t         edit_old;
  flow_key_t    admit_early_key;
  pair_ask_t    admit_ask;
  drop_reason_e refused_reason;
  count_t       plain_count, count;

  ps_delay #(
    .Width ($bits(verdict_t) + $bits(old_t)),
    .Cycles(FinishCycles - EditCycles)
  ) u_edit_wait (
    .clk_i,
    .rst_i,
    .valid_i(decided),
    .data_i ({decided_verdict, decided_old}),
    .valid_o(edit_valid),
    .data_o ({edit_verdict, edit_old})
  );

  ps_edit u_edit (
    .clk_i,
    .rst_i,
    .valid_i  (edit_valid),
    .verdict_i(edit_verdict),
    .old_i    (edit_old),
    .valid_o  (verdict_valid_o),
    .verdict_o(edited)
  );

  ps_delay #(
    .Width ($bits(pair_ask_t)),
    .Cycles(FinishCycles - AdmitCycles)
  ) u_admit_wait (
    .clk_i,
    .rst_i,
    .valid_i(decided),
    .data_i (decided_ask),
    .valid_o(admit_valid),
    .data_o (admit_ask)
  );

  // The key comes a cycle before what it belongs to.
  ps_delay #(
    .Width ($bits(flow_key_t)),
    .Cycles(FinishCycles - AdmitCycles)
  ) u_early_key_wait (
    .clk_i,
    .rst_i,
    .valid_i(decided_early_valid),
    .data_i (decided_early_key),
    .valid_o(admit_early_valid),
    .data_o (admit_early_key)
  );

  ps_delay #(
    .Width ($bits(count_t)),
    .Cycles(FinishCycles)
  ) u_count (
    .clk_i,
    .rst_i,
    .valid_i(decided),
    .data_i (decided_count),
    .valid_o(counted),
    .data_o (plain_count)
  );

  always_comb begin
    verdict_o      = edited;
    count          = plain_count;
    count.deferred = deferred;
    if (refused) begin
      verdict_o.dst = DstDrop;
      count.drop    = 1'b1;
      count.reason  = refused_reason;
      count.tx      = 1'b0;
    end
  end

  // --- The flow table: look-up, admission, changes, statistics.
  logic        flow_valid, flow_stats, flow_done, flow_used, flow_busy, stats_busy;
  key_slot_t   flow_slot;
  flow_facts_t flow_facts;
  pair_stats_t flow_counts;
  pair_event_t flow_event, counted_event;
  flow_t       flow_acc;
  flow_stats_t flow_stats_acc;
  flow_share_t share_acc;
  logic        share_acc_bad;
  flow_share_stats_t share_stats_acc;
  vif_stats_t  vif_stats_acc;
  mark_t       mark;
  logic [47:0] drop_acc, card_acc;
  logic        move_start, move_done;
  logic [15:0] move_nh;
  logic [31:0] move_dip;
  move_t       move;
  logic [$clog2(Flows+1)-1:0] unused_in_use;

  ps_flow #(
    .MapCycles(MapReadCycles)
  ) u_flow (
    .clk_i,
    .rst_i,
    .time_i,
    .now_i          (now_q),
    .times_i        (age_times_i),
    .evictions_i,
    .events_i,
    .secret_i       (hash_key_i),
    .clear_i        (clearing_o),
    .clear_we_i     (acc.we[SelFlow] && clearing_o),
    .clear_index_i  (flow_addr_t'(acc.index)),
    .key_valid_i    (routed),
    .lookup_i       (!src_ctx.hdr.frag),
    .key_i          (flow_key(src_ctx.source.key_nh, src_ctx.hdr)),
    .bare_syn_i     (bare_syn(src_ctx.hdr)),
    .hash_o         (hash),
    .hit_o          (flow_found),
    .way_o          (flow_way),
    .map_re_o       (map_flow_re),
    .map_addr_o     (map_flow_addr),
    .map_i          (map_flow),
    .early_valid_i  (admit_early_valid),
    .early_key_i    (admit_early_key),
    .ask_valid_i    (admit_valid),
    .ask_i          (admit_ask),
    .answer_o       (admitted),
    .refused_o      (refused),
    .reason_o       (refused_reason),
    .deferred_o     (deferred),
    .host_valid_i   (flow_valid),
    .host_write_i   (cfg_req_i.write),
    .host_stats_i   (flow_stats),
    .host_index_i   (flow_addr_t'(acc.index)),
    .host_done_o    (flow_done),
    .host_used_o    (flow_used),
    .host_slot_o    (flow_slot),
    .host_facts_o   (flow_facts),
    .host_stats_o   (flow_counts),
    .acc_i          (acc),
    .acc_wdata_i    (acc_wdata[FlowShareBits-1:0]),
    .share_done_o   (share_done),
    .share_o        (share_acc),
    .share_bad_o    (share_acc_bad),
    .share_stats_o  (share_stats_acc),
    .share_error_o  (share_error),
    .slow_map_re_o  (map_slow_re),
    .slow_map_addr_o(map_slow_addr),
    .slow_map_done_i(map_slow_done),
    .slow_map_i     (map_slow),
    .slow_map_bad_i (map_slow_bad),
    .move_start_o   (move_start),
    .move_nh_o      (move_nh),
    .move_dip_o     (move_dip),
    .move_done_i    (move_done),
    .move_i         (move),
    .mark_o         (mark),
    .mark_ready_i   (card_mark_ready_i && !client_mark.valid),
    .gap_o          (flow_gap),
    .keep_valid_o   (keep_valid),
    .keep_o         (keep),
    .keep_room_i    (keep_room),
    .event_o        (flow_event),
    .evt_valid_o    (flow_evt_valid_o),
    .evt_o          (flow_evt_o),
    .evt_ready_i    (flow_evt_ready_i),
    .evt_lost_o     (flow_evt_lost_o),
    .in_use_o       (unused_in_use),
    .busy_o         (flow_busy)
  );

  // Clients' come first: there are two at most in eight cycles.
  assign card_mark_valid_o  = mark.valid || client_mark.valid;
  assign card_mark_client_o = client_mark.valid;
  assign card_mark_set_o    = client_mark.valid ? client_mark.set : mark.set;
  assign card_mark_index_o  = client_mark.valid ? index_t'(client_mark.index) : index_t'(mark.index);

  always_ff @(posedge clk_i) begin
    if (flow_done) begin
      flow_acc       <= flow_used ? flow_entry(flow_slot, flow_facts) : '0;
      flow_stats_acc <= '{last_hit: flow_counts.last_hit, tcp: flow_counts.tcp, bytes: flow_counts.bytes, packets: flow_counts.packets};
    end
  end

  ps_move u_move (
    .clk_i,
    .rst_i       (rst_i || clearing_o),
    .start_i     (move_start),
    .nh_i        (move_nh),
    .dip_i       (move_dip),
    .done_o      (move_done),
    .result_o    (move),
    .nh_re_o     (walk_nh_re),
    .nh_addr_o   (walk_nh_addr),
    .nh_ready_i  (walk_nh_ready),
    .nh_valid_i  (walk_nh_valid),
    .nh_rdata_i  (walk_nh),
    .nh_bad_i    (walk_nh_bad),
    .ecmp_re_o   (walk_ecmp_re),
    .ecmp_addr_o (walk_ecmp_addr),
    .ecmp_ready_i(walk_ecmp_ready),
    .ecmp_valid_i(walk_ecmp_valid),
    .ecmp_rdata_i(walk_ecmp),
    .ecmp_bad_i  (walk_ecmp_bad)
  );

  ps_stats u_stats (
    .clk_i,
    .rst_i,
    .valid_i     (admitted),
    .count_i     (count),
    .trap_drop_valid_i,
    .trap_drop_vif_i,
    .fw_tx_valid_i,
    .fw_tx_vif_i,
    .fw_tx_bytes_i,
    .event_i     (counted_event),
    .clearing_i  (clearing_o),
    .acc_i       (acc),
    .acc_wdata_i(acc_wdata[VifStatsBits-1:0]),
    .vif_rdata_o (vif_stats_acc),
    .drop_rdata_o(drop_acc),
    .card_rdata_o(card_acc),
    .busy_o      (stats_busy)
  );

  always_comb begin
    counted_event                = flow_event;
    counted_event.client_learned = client_learned;
    counted_event.client_evicted = client_evicted;
  end

  // What the command's table gives, a cycle later.
  logic [TableCount-1:0]                   select_q;
  logic [TableCount-1:0][EntryMaxBits-1:0] entries;
  logic [TableCount-1:0]                   bad_entries;

  always_comb begin
    for (int unsigned t = 0; t < TableCount; t++) entries[t] = '0;
    entries[SelVif]       = EntryMaxBits'(vif_acc);
    entries[SelIlm]       = EntryMaxBits'(ilm_acc);
    entries[SelNextHop]   = EntryMaxBits'(next_hop_acc);
    entries[SelEcmp]      = EntryMaxBits'(ecmp_acc);
    entries[SelHostRoute] = EntryMaxBits'(host_route_acc);
    entries[SelPrefix]        = EntryMaxBits'(prefix_acc);
    entries[SelDefaultRoute]  = EntryMaxBits'(prefix_acc);
    entries[SelPrefixLength]  = EntryMaxBits'(prefix_acc);
    entries[SelVrf]           = EntryMaxBits'(vrf_acc);
    entries[SelServiceKey]    = EntryMaxBits'(service_acc);
    entries[SelTunnelSource]  = EntryMaxBits'(tunnel_source_acc);
    entries[SelFipKey]    = EntryMaxBits'(fip_key_acc);
    entries[SelPlainFip]  = EntryMaxBits'(plain_acc);
    entries[SelFipMap]    = EntryMaxBits'(map_acc);
    entries[SelFlow]      = EntryMaxBits'(flow_acc);
    entries[SelFlowStats] = EntryMaxBits'(flow_stats_acc);
    entries[SelFlowShare] = EntryMaxBits'(share_acc);
    entries[SelFlowShareStats] = EntryMaxBits'(share_stats_acc);
    entries[SelAffinity]  = EntryMaxBits'(affinity_acc);
    entries[SelVifStats]  = EntryMaxBits'(vif_stats_acc);
    entries[SelDropStats] = EntryMaxBits'(drop_acc);
    entries[SelCardStats] = EntryMaxBits'(card_acc);
    bad_entries                   = '0;
    bad_entries[SelVif]           = vif_acc_bad;
    bad_entries[SelIlm]           = ilm_acc_bad;
    bad_entries[SelNextHop]       = next_hop_acc_bad;
    bad_entries[SelEcmp]          = ecmp_acc_bad;
    bad_entries[SelHostRoute]     = host_route_acc_bad;
    bad_entries[SelPrefix]        = prefix_acc_bad;
    bad_entries[SelDefaultRoute]  = prefix_acc_bad;
    bad_entries[SelPrefixLength]  = prefix_acc_bad;
    bad_entries[SelVrf]           = vrf_acc_bad;
    bad_entries[SelServiceKey]    = service_acc_bad;
    bad_entries[SelTunnelSource]  = tunnel_source_acc_bad;
    bad_entries[SelFipKey]        = fip_key_acc_bad;
    bad_entries[SelPlainFip]      = plain_acc_bad;
    bad_entries[SelFipMap]        = map_acc_bad;
    bad_entries[SelFlowShare]     = share_acc_bad;
    bad_entries[SelAffinity]      = affinity_acc_bad;
  end

  always_ff @(posedge clk_i) begin
    if (cfg_valid_i) begin
      for (int unsigned i = 0; i < TableCount; i++) select_q[i] <= cfg_req_i.table_id == i[7:0];
      rdata <= selected(entries, select_q);
      rdata_bad <= (bad_entries & select_q) != '0;
    end
  end

  function automatic logic [EntryMaxBits-1:0] selected(input logic [TableCount-1:0][EntryMaxBits-1:0] from,
                                                       input logic [TableCount-1:0] by);
    selected = '0;
    for (int unsigned i = 0; i < TableCount; i++) if (by[i]) selected |= from[i];
  endfunction

  ps_table_access u_access (
    .clk_i,
    .rst_i,
    .clear_i,
    .clearing_o,
    .cfg_valid_i,
    .cfg_req_i,
    .cfg_rsp_o,
    .acc_o       (acc),
    .acc_wdata_o (acc_wdata),
    .rdata_i     (rdata),
    .bad_i       (rdata_bad),
    .flip_i      (parity_inject_i),
    .flipped_o   (parity_injected_o),
    .error_o     (read_bad),
    .turn_done_i (turn_done || share_done || affinity_done),
    .flow_valid_o(flow_valid),
    .flow_stats_o(flow_stats),
    .flow_done_i (flow_done)
  );

  // --- Entries with the wrong parity.
  ps_parity_errors #(
    .Sources(ParitySources),
    .Tables (ParityTables)
  ) u_parity_errors (
    .clk_i,
    .rst_i,
    .error_i  ({affinity_error,
                share_error, vrf_error, service_error, tunnel_source_error, fip_error[4], host_route_error[1], prefix_error[1], default_route_error[1],
                vif_error, fip_error[2], ilm_error, host_route_error[0], prefix_error[0], default_route_error[0], next_hop_error, ecmp_error,
                fip_error[1:0], map_flow_error, fip_error[3]}),
    .read_i   (read_bad),
    .read_at_i({cfg_req_i.table_id, cfg_req_i.index[23:0]}),
    .count_o  (parity_errors_o),
    .last_o   (parity_last_o)
  );

  // --- Packets under way, for busy_o and the latency check.
  logic [HashCycles:1]  hash_valid_q;

  assign hash_valid = hash_valid_q[HashCycles];

  always_ff @(posedge clk_i) begin
    hash_valid_q <= rst_i ? '0 : {hash_valid_q[HashCycles-1:1], routed};
    flight_q     <= rst_i ? '0 : {flight_q[MatchCycles-1:1], hdr_valid_i};
  end

  assign gap_o       = flow_gap || hop_gap;
  assign flow_full_o = flow_event.full;
  assign busy_o      = hdr_valid_i || flight_q != '0 || flow_busy || stats_busy ||
                       counted_event != '0 || affinity_busy || cfg_valid_i;

`ifndef SYNTHESIS
  // Exactly one verdict a header, MatchCycles later, hence in order.
  a_latency : assert property (@(posedge clk_i) disable iff (rst_i) verdict_valid_o == flight_q[MatchCycles]);
  // Immediate, as a concurrent one would keep a copy of the whole context in every cycle.
  always_ff @(posedge clk_i) begin
    if (!rst_i) begin
      a_aligned : assert (fip_valid == fip_hop_valid && fip_valid == decide_flow_valid);
      a_hash : assert (decide_hash_valid == (fip_valid && fip_ctx.source.act == ActRoute));
    end
  end
  a_admitted : assert property (@(posedge clk_i) disable iff (rst_i) verdict_valid_o == admitted && admitted == counted);
  initial assert (LingerCycles > MatchCycles - SourceCycles)
    else $fatal(1, "ps_match: a request may leave the pending ones before all that could not see it in the table");
  initial assert (MatchCycles <= LatencyMax) else $fatal(1, "ps_match: latency exceeds what the streams buffer");
  initial assert (ArrivalMax + LatencyMax < DrainCycles)
    else $fatal(1, "ps_match: a fence would end before the packets that it waits for");
`endif

  logic unused_bits;
  assign unused_bits = ^{flow_counts.age, unused_vif, unused_vif_bad, fip_hop_valid, decide_hash_valid, decide_flow_valid, counted,
                         unused_in_use, flow_counts.generation,
                         cfg_req_i.index[$bits(cfg_req_i.index)-1:IndexBits]};

endmodule
