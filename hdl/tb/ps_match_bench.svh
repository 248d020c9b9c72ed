// Bench of ps_match: the core with its clock, access to tables, packets and checks; a scenario's file includes it.
// Packets have checksums that a receiver would verify. Flow marks are kept as the command engine keeps them.

  localparam logic [31:0] Client  = 32'h0a2fffed;  // 10.47.255.237
  localparam logic [31:0] Backend = 32'h0a2fffee;  // 10.47.255.238
  localparam logic [31:0] Vip     = 32'h0a698b99;  // 10.105.139.153
  localparam logic [31:0] NodeA   = 32'h0aa91914;  // 10.169.25.20
  localparam logic [31:0] NodeB   = 32'h0aa91915;
  localparam logic [15:0] Payload = 16'h1234;      // one's complement sum of what checksums cover besides

  logic clk = 0, rst = 1;
  always #1 clk = !clk;

  logic        enable = 1, hdr_valid = 0, cfg_valid = 0, clear = 0, clearing, verdict_valid, busy, full;
  logic        fw_tx_valid = 0, trap_drop_valid = 0, mark_ready = 1, gap;
  logic [191:0] hash_key = '0;
  hdr_t        hdr = '0;
  verdict_t    verdict;
  cfg_req_t    cfg_req = '0;
  cfg_rsp_t    cfg_rsp;
  logic        inject = 0, injected;
  logic [31:0] parity_errors, parity_last;
  logic [63:0] card_time = 64'h50000, skip = 0;     // skip: cycles that are not lived through
  always_ff @(posedge clk) card_time <= card_time + 1 + skip;

  ps_match dut (
    .clk_i(clk), .rst_i(rst), .enable_i(enable), .hdr_valid_i(hdr_valid), .hdr_i(hdr),
    .verdict_valid_o(verdict_valid), .verdict_o(verdict), .cfg_valid_i(cfg_valid), .cfg_req_i(cfg_req),
    .cfg_rsp_o(cfg_rsp), .clear_i(clear), .clearing_o(clearing), .time_i(card_time),
    .hash_key_i(hash_key), .parity_inject_i(inject), .parity_injected_o(injected), .parity_errors_o(parity_errors),
    .parity_last_o(parity_last),
    .trap_drop_valid_i(trap_drop_valid), .trap_drop_vif_i(8'd3), .fw_tx_valid_i(fw_tx_valid),
    .fw_tx_vif_i(8'd3), .fw_tx_bytes_i(16'd60), .flow_full_o(full), .events_i('0), .flow_evt_valid_o(), .flow_evt_o(), .flow_evt_ready_i(1'b1), .flow_evt_lost_o(), .card_mark_valid_o(mark_valid),
    .card_mark_client_o(mark_client), .card_mark_index_o(mark_index), .card_mark_set_o(mark_set),
    .card_mark_ready_i(mark_ready), .gap_o(gap), .busy_o(busy)
  );

  // What the command engine knows of the flow table, and events that the table was full.
  logic        mark_valid, mark_set;
  logic        mark_client;
  index_t      mark_index;
  bit          known [Flows];
  bit          known_client [Affinities];
  int          fulls = 0;
  always_ff @(posedge clk) begin
    if (mark_valid && mark_ready && mark_client) begin
      known_client[affinity_addr_t'(mark_index)] <= mark_set;
    end else if (mark_valid && mark_ready) begin
      check(known[flow_addr_t'(mark_index)] != mark_set || mark_set, "a slot becomes invalid once");
      known[flow_addr_t'(mark_index)] <= mark_set;
    end
    mark_ready <= $urandom_range(3) != 0;
    if (clear) known <= '{default: 0};
    if (clear) known_client <= '{default: 0};
    if (full) fulls <= fulls + 1;
  end

  int checks = 0;
  task automatic check(input logic ok, input string what);
    checks++;
    if (!ok) begin
      $display("FAILED: %s", what);
      $fatal(1);
    end
  endtask

  // --- Tables
  task automatic access(input logic write, input logic [7:0] id, input logic [31:0] index,
                        input logic [383:0] wdata, output cfg_rsp_t rsp);
    cfg_req   <= '{write: write, table_id: id, index: index, wdata: wdata};
    cfg_valid <= 1;
    do @(posedge clk); while (!cfg_rsp.done);
    rsp = cfg_rsp;
    cfg_valid <= 0;
    @(posedge clk);
  endtask

  task automatic put(input logic [7:0] id, input logic [31:0] index, input logic [383:0] wdata);
    cfg_rsp_t rsp;
    access(1, id, index, wdata, rsp);
    check(rsp.status == StOk, $sformatf("write table %0d index %0d: status %0d", id, index, rsp.status));
  endtask

  task automatic get(input logic [7:0] id, input logic [31:0] index, output logic [383:0] value);
    cfg_rsp_t rsp;
    access(0, id, index, '0, rsp);
    check(rsp.status == StOk, $sformatf("read table %0d index %0d: status %0d", id, index, rsp.status));
    value = rsp.rdata;
  endtask

  // All routes of the bench have one set of sources, which has both other nodes; an address of this node only has set 0, nobody.
  localparam source_set_t Nodes = 2;

  task automatic put_source(input source_set_t set, input logic [31:0] ip, input logic valid = 1);
    tunnel_source_t key = '{valid: 1, set: set, ip: ip};
    logic [63:0]    h   = key_hash({82'd0, key[46:1]});
    put(TableTunnelSource, 32'({1'b0, h[TunnelSourceRowsLog2-1:0], 2'd1}), valid ? 384'(key) : '0);
  endtask

  // A listener, in service network 1.
  task automatic put_service(input logic [7:0] proto, input logic [31:0] ip, input logic [15:0] port, input nh_id_t nh,
                             input nh_id_t here = 0, input affinity_number_t number = 0);
    service_key_t key = '{valid: 1, net: 12'd1, proto: proto, ip: ip, port: port, nh: nh, local_: here, affinity: number};
    put(TableServiceKey, service_index(key), 384'(key));
  endtask

  function automatic logic [31:0] service_index(input service_key_t key);
    logic [63:0] h = key_hash({60'd0, key[68:1]});
    service_index = 32'({1'b1, h[ServiceKeyRowsLog2 +: ServiceKeyRowsLog2], 2'd2});
  endfunction

  task automatic put_route(input logic [31:0] ip, input logic [15:0] nh, input logic label_valid,
                           input logic [19:0] label, input logic way, input logic own = 0,
                           input service_address_e service = ServiceNo);
    logic [63:0] h = key_hash({84'd0, ip, 12'd1});
    host_route_t r = '{valid: 1, vrf: 12'd1, ip: ip, nh: nh, label: label, label_valid: label_valid, sources: own ? '0 : Nodes,
                       service: service};
    put(TableHostRoute, 32'({way, h[way*HostRouteRowsLog2 +: HostRouteRowsLog2], 2'd3}), 384'(r));
  endtask

  // A prefix of the length of its rank, in VRF 1.
  task automatic put_prefix(input logic [2:0] rank, input logic [5:0] len, input logic [31:0] ip, input logic [15:0] nh,
                            input logic label_valid, input logic [19:0] label, input logic way,
                            input source_set_t sources = Nodes);
    logic [63:0] h      = key_hash({84'd0, ip, 12'd1});
    logic [63:0] spread = key_hash({84'd0, ip[31:24], 24'd0, 12'd1});
    prefix_t     p      = '{valid: 1, vrf: 12'd1, ip: ip, len: len, nh: nh, label: label, label_valid: label_valid,
                             sources: sources};
    put(TablePrefixLength, 32'(rank), 384'(prefix_length_t'{valid: 1, len: len}));
    put(TablePrefix, 32'({rank ^ spread[PrefixWays*PrefixRowsLog2 +: 3], way, h[way*PrefixRowsLog2 +: PrefixRowsLog2], 2'd1}),
        384'(p));
  endtask

  // What may be seen of a key outside.
  function automatic logic [31:0] public_hash(input flow_key_t key);
    public_hash = member_hash({24'd0, key.dport, key.sport, key.dip, key.sip, key.proto});
  endfunction

  task automatic find_flow(input flow_key_t key, output logic found, output flow_t flow, output flow_addr_t index);
    logic [FlowHashBits-1:0] h = flow_hash({8'd0, key}, hash_key);
    logic [383:0] value;
    found = 0;
    for (int w = 0; w < 4; w++) begin
      for (int s = 0; s < 4; s++) begin
        get(TableFlow, 32'({w[1:0], flow_row(h, w), s[1:0]}), value);
        if (value[120:0] == {key, 1'b1}) begin
          check(!found, "key in the table twice");
          found = 1;
          flow  = flow_t'(value[FlowBits-1:0]);
          index = {w[1:0], flow_row(h, w), s[1:0]};
        end
      end
    end
  endtask

  // --- Checksums: as a receiver would verify them.
  function automatic logic [15:0] add(input logic [15:0] a, input logic [15:0] b);
    logic [16:0] s = 17'(a) + 17'(b);
    add = s[15:0] + 16'(s[16]);
  endfunction

  function automatic logic [15:0] ip_sum(input logic [15:0] len, input logic [15:0] id, input logic [15:0] ttl_proto,
                                         input logic [15:0] csum, input logic [31:0] sip, input logic [31:0] dip);
    ip_sum = add(add(add(16'h4500, len), add(id, ttl_proto)), csum);
    ip_sum = add(add(ip_sum, add(sip[31:16], sip[15:0])), add(dip[31:16], dip[15:0]));
  endfunction

  function automatic logic [15:0] l4_sum(input logic [31:0] sip, input logic [31:0] dip, input logic [15:0] sport,
                                         input logic [15:0] dport, input logic [15:0] csum);
    l4_sum = add(add(add(sport, dport), Payload), csum);
    l4_sum = add(add(l4_sum, add(sip[31:16], sip[15:0])), add(dip[31:16], dip[15:0]));
  endfunction

  // --- Packets
  function automatic hdr_t packet(input logic [7:0] vif, input logic [7:0] proto, input logic [31:0] sip,
                                  input logic [31:0] dip, input logic [15:0] sport, input logic [15:0] dport);
    hdr_t h = '0;
    h.src       = SrcHost;
    h.vif       = vif;
    h.dmac      = GatewayMac;
    h.frame_len = 16'd74;
    h.is_ip4    = 1;
    h.l3_off    = 7'd14;
    h.ihl       = 4'd5;
    h.ip_len    = 16'd60;
    h.ip_id     = 16'hbeef;
    h.ttl       = 8'd64;
    h.proto     = proto;
    h.sip       = sip;
    h.dip       = dip;
    h.ip_csum   = ~ip_sum(h.ip_len, h.ip_id, {h.ttl, proto}, 16'd0, sip, dip);
    h.key_proto = proto;
    h.key_sip   = sip;
    h.key_dip   = dip;
    h.key_sport = sport;
    h.key_dport = dport;
    h.l4_csum   = ~l4_sum(sip, dip, sport, dport, 16'd0);
    packet = h;
  endfunction

  function automatic hdr_t tunnelled(input hdr_t inner, input logic [19:0] label);
    hdr_t h = inner;
    h.src       = SrcFabric;
    h.vif       = 0;
    h.dmac      = 48'h2;
    h.is_tunnel = 1;
    h.outer_udp = 1;
    h.outer_sip = NodeB;
    h.outer_dip = NodeA;
    h.label     = label;
    h.bos       = 1;
    h.mpls_ttl  = 8'd63;
    h.l3_off    = 7'd46;
    h.frame_len = 16'd106;
    tunnelled = h;
  endfunction

  // Sends one header, waits for its verdict and for all its consequences.
  task automatic pass(input hdr_t h, output verdict_t v);
    int waited = 0;
    hdr       <= h;
    hdr_valid <= 1;
    @(posedge clk);
    hdr_valid <= 0;
    do begin
      @(posedge clk);
      waited++;
      if (verdict_valid) v = verdict;
    end while (!verdict_valid && waited < 100);
    check(verdict_valid, "a verdict");
    while (busy) @(posedge clk);
  endtask

  // Checks what arrives: header checksum, TCP checksum, addresses and ports.
  task automatic check_packet(input hdr_t h, input verdict_t v, input logic [31:0] sip, input logic [31:0] dip,
                              input logic [15:0] sport, input logic [15:0] dport, input string what);
    logic [31:0] s = v.sip_en ? v.sip : h.sip;
    logic [31:0] d = v.dip_en ? v.dip : h.dip;
    logic [15:0] sp = v.sport_en ? v.sport : h.key_sport;
    logic [15:0] dp = v.dport_en ? v.dport : h.key_dport;
    logic [15:0] csum = v.l4_csum_en ? v.l4_csum : h.l4_csum;
    check(!v.raw && s == sip && d == dip && sp == sport && dp == dport,
          $sformatf("%s: %h:%0d -> %h:%0d", what, s, sp, d, dp));
    check(ip_sum(h.ip_len, h.ip_id, v.ttl_proto, v.ip_csum, s, d) == 16'hffff, {what, ": IP checksum"});
    check(l4_sum(s, d, sp, dp, csum) == 16'hffff, {what, ": L4 checksum"});
  endtask

  task automatic expect_drop(input hdr_t h, input drop_reason_e reason, input string what);
    verdict_t     v;
    logic [383:0] n0, n1;
    get(TableDropStats, 32'(reason), n0);
    pass(h, v);
    get(TableDropStats, 32'(reason), n1);
    check(v.dst == DstDrop && n1 == n0 + 1, $sformatf("%s: dst %0d, counter %0d -> %0d", what, v.dst, n0, n1));
  endtask

  task automatic clear_all();
    clear <= 1;
    @(posedge clk);
    clear <= 0;
    @(posedge clk);
    while (clearing) @(posedge clk);
  endtask

  task automatic program_tables();
    fip_key_t    key;
    logic [63:0] h;
    put(TableVif, 0, 384'(vif_t'{valid: 1, kind: VifFabric, ip: NodeA, mac: 48'h2, nh: 1, learn: LearnAlways, default: '0}));
    put(TableVif, 1, 384'(vif_t'{valid: 1, kind: VifVhost, ip: NodeA, learn: LearnAlways, default: '0}));
    put(TableVif, 3, 384'(vif_t'{valid: 1, kind: VifVirtual, ip: Client, nh: 10, vrf: 1, rpf: 1, learn: LearnAlways, default: '0}));
    put(TableVif, 4, 384'(vif_t'{valid: 1, kind: VifVirtual, ip: Backend, nh: 11, vrf: 1, rpf: 1, learn: LearnAlways, default: '0}));
    put(TableNextHop, 10, 384'(next_hop_t'{valid: 1, kind: NhEncap, vif: 3, dmac: 48'h3, smac: GatewayMac, default: '0}));
    put(TableNextHop, 11, 384'(next_hop_t'{valid: 1, kind: NhEncap, vif: 4, dmac: 48'h4, smac: GatewayMac, default: '0}));
    put(TableNextHop, 12, 384'(next_hop_t'{valid: 1, kind: NhTunnel, sip: NodeA, dip: NodeB, dmac: 48'h5, smac: 48'h2, default: '0}));
    put(TableNextHop, 13, 384'(next_hop_t'{valid: 1, kind: NhReject, default: '0}));
    put(TableNextHop, 20, 384'(next_hop_t'{valid: 1, kind: NhComposite, base: 100, slots: 2, live: 2, hash_fields: 5'h1f, default: '0}));
    put(TableEcmp, 100, 384'(ecmp_slot_t'{valid: 1, nh: 12, label: 25, slot: 0, generation: 7, default: '0}));
    put(TableEcmp, 101, 384'(ecmp_slot_t'{valid: 1, nh: 11, label: 5, local_: 1, slot: 1, generation: 9, default: '0}));
    put(TableEcmp, 102, 384'(ecmp_slot_t'{valid: 1, nh: 12, label: 25, slot: 0, generation: 7, default: '0}));
    put(TableEcmp, 103, 384'(ecmp_slot_t'{valid: 1, nh: 11, label: 5, local_: 1, slot: 1, generation: 9, default: '0}));
    put(TableVrf, 1, 384'(vrf_t'{valid: 1, service_net: 1, source_check: CheckStrict}));
    put_source(Nodes, NodeB);
    put_service(6, Vip, 8888, 20);
    put_route(Vip, 20, 0, 0, 0, 0, ServiceReject);
    put_route(Client, 10, 0, 0, 1);
    put_route(Backend, 11, 0, 0, 1);
    put_prefix(5, 16, 32'h0a2f0000, 12, 1, 30, 0);
    put_prefix(4, 17, 32'h0a2f8000, 12, 1, 31, 1);
    put_prefix(7, 8, 32'h0b000000, 13, 0, 0, 1);
    put(TableFipMap, 5, 384'(fip_map_t'{valid: 1, generation: 3, pod_ip: Backend, pod_port: 80, vip: Vip, vip_port: 8888}));
    key = '{valid: 1, vif: 4, proto: 6, ip: Vip, port: 8888, map: 5};
    h   = key_hash({64'd0, key[64:1]});
    put(TableFipKey, 32'({1'b1, h[FipKeyRowsLog2 +: FipKeyRowsLog2], 2'd2}), 384'(key));
    put(TableIlm, 40, 384'(ilm_t'{valid: 1, nh: 11, key_nh: 11, vrf: 1, service: 0}));
    put(TableIlm, 41, 384'(ilm_t'{valid: 1, nh: 10, key_nh: 10, vrf: 1, service: 0}));
  endtask

  task automatic check_known();
    logic [383:0] in_use;
    int           n = 0;
    get(TableCardStats, CounterFlowsInUse, in_use);
    for (int i = 0; i < Flows; i++) n += 32'(known[i]);
    check(in_use == 384'(n), $sformatf("%0d flows in use, %0d marked", in_use, n));
  endtask
