// Part of ps_match_admission_tb: services and their members, packets to and from them, and what the tables and counters then say.

  localparam logic [31:0] NodeC   = 32'h0aa91916;
  localparam logic [31:0] Remote  = 32'h0a2ffff0;  // behind a tunnel, by prefix
  localparam logic [31:0] One     = 32'h0a698b9a;  // services of Backend:80, at port 8888: groups of one member, of this node
  localparam logic [31:0] Two     = 32'h0a698b9b;
  localparam logic [31:0] Group   = 32'h0a698b9c;  // slot 0 at NodeB, slot 1 at NodeC
  localparam logic [15:0] Service = 16'd8888;

  localparam logic [4:0] Syn = 5'b00001, Fin = 5'b00010, Rst = 5'b00100, Ack = 5'b01000;

  // --- Tables
  task automatic put_key(input logic [7:0] vif, input logic [7:0] proto, input logic [31:0] ip, input logic [15:0] port,
                         input logic [13:0] map, input logic [1:0] slot, input logic valid = 1);
    fip_key_t    key = '{valid: 1, vif: vif, proto: proto, ip: ip, port: port, map: map};
    logic [63:0] h = key_hash({64'd0, key[64:1]});
    put(TableFipKey, 32'({1'b0, h[FipKeyRowsLog2-1:0], slot}), valid ? 384'(key) : '0);
  endtask

  task automatic put_map(input logic [13:0] id, input logic [31:0] vip, input logic [7:0] generation, input logic valid = 1);
    put(TableFipMap, 32'(id), 384'(fip_map_t'{valid: valid, generation: generation, pod_ip: Backend, pod_port: 80,
                                              vip: vip, vip_port: Service}));
  endtask

  task automatic put_tunnel(input logic [15:0] id, input logic [31:0] dip);
    put(TableNextHop, 32'(id), 384'(next_hop_t'{valid: 1, kind: NhTunnel, sip: NodeA, dip: dip, dmac: 48'h5, smac: 48'h2,
                                                default: '0}));
  endtask

  // Group's words: two slots, then `live` of those that take new flows.
  task automatic put_member(input int at, input logic slot, input logic drain = 0, input logic evict_udp = 0);
    put(TableEcmp, 32'(300 + at), 384'(ecmp_slot_t'{valid: 1, drain: drain, evict_udp: evict_udp, nh: slot ? 14 : 12,
                                                    label: slot ? 51 : 50, slot: slot_id_t'(slot), generation: 8'd1, local_: 0}));
  endtask

  task automatic put_live(input slot_count_t live);
    put(TableNextHop, 21, 384'(next_hop_t'{valid: 1, kind: NhComposite, base: 300, slots: 2, live: live,
                                           hash_fields: 5'h1f, default: '0}));
  endtask

  task automatic put_group(input slot_count_t live);
    put_live(live);
    put_member(0, 0);
    put_member(1, 1);
    put_member(2, 0);
    put_member(3, 1);
  endtask

  // Leaves `slot` only to those that have it: draining, or without UDP.
  task automatic close_member(input logic slot, input logic evict_udp);
    put_member(32'(slot), slot, !evict_udp, evict_udp);
    put_member(2, !slot);
    put_member(3, !slot);
  endtask

  task automatic services();
    for (int i = 0; i < 2; i++) begin
      put_map(14'(6 + i), i == 0 ? One : Two, 1);
      put(TableEcmp, 320 + 4 * i, 384'(ecmp_slot_t'{valid: 1, nh: 11, label: 20'(6 + i), local_: 1, slot: 0, generation: 1, default: '0}));
      put(TableEcmp, 321 + 4 * i, 384'(ecmp_slot_t'{valid: 1, nh: 11, label: 20'(6 + i), local_: 1, slot: 0, generation: 1, default: '0}));
      put(TableNextHop, 22 + i, 384'(next_hop_t'{valid: 1, kind: NhComposite, base: ring_base_t'(320 + 4 * i), slots: 1, live: 1,
                                                 hash_fields: 5'h1f, default: '0}));
      put_service(6, i == 0 ? One : Two, Service, nh_id_t'(22 + i), 11);
      put_service(17, i == 0 ? One : Two, Service, nh_id_t'(22 + i), 11);
      put_route(i == 0 ? One : Two, nh_id_t'(22 + i), 0, 0, 0, 0, ServiceReject);
      put_key(4, 6, i == 0 ? One : Two, Service, 14'(6 + i), 0);
      put_key(4, 17, i == 0 ? One : Two, Service, 14'(6 + i), 1);
    end
    put_tunnel(14, NodeC);
    put_group(2);
    put_source(Nodes, NodeC);
    put_service(6, Group, Service, 21);
    put_service(17, Group, Service, 21);
    put_route(Group, 21, 0, 0, 0, 0, ServiceReject);
    // Where Remote is has a set of its own.
    put_prefix(4, 17, 32'h0a2f8000, 12, 1, 31, 1, Nodes + 1);
    put_source(Nodes + 1, NodeB);
  endtask

  // --- Packets
  function automatic hdr_t flags(input hdr_t h, input logic [4:0] set);
    flags = h;
    {flags.tcp_ack, flags.tcp_rst, flags.tcp_fin, flags.tcp_syn} = set[3:0];
  endfunction

  function automatic hdr_t to_service(input logic [7:0] proto, input logic [15:0] sport, input logic [31:0] service = One);
    to_service = packet(3, proto, Client, service, sport, Service);
  endfunction

  function automatic hdr_t direct(input logic [7:0] proto, input logic [15:0] sport);
    direct = packet(3, proto, Client, Backend, sport, 80);
  endfunction

  function automatic hdr_t reply(input logic [7:0] proto, input logic [15:0] port);
    reply = packet(4, proto, Backend, Client, 80, port);
  endfunction

  function automatic hdr_t by_tunnel(input hdr_t inner, input logic [19:0] label, input logic [31:0] node);
    by_tunnel = tunnelled(inner, label);
    by_tunnel.outer_sip = node;
  endfunction

  function automatic flow_key_t key_of(input logic [15:0] nh, input hdr_t h);
    key_of = '{nh: nh, proto: h.key_proto, sip: h.key_sip, dip: h.key_dip, sport: h.key_sport, dport: h.key_dport};
  endfunction

  // Back to back, `gap` cycles without a packet between them; their verdicts.
  verdict_t seen[$];
  always @(posedge clk) if (verdict_valid) seen.push_back(verdict);

  task automatic burst(input hdr_t headers[$], output verdict_t verdicts[$], input int gap = 0);
    int waited = 0;
    seen = {};
    for (int i = 0; i < headers.size(); i++) begin
      hdr       <= headers[i];
      hdr_valid <= 1;
      @(posedge clk);
      if (gap != 0 || i == headers.size() - 1) hdr_valid <= 0;
      repeat (gap) @(posedge clk);
    end
    @(posedge clk);
    while (busy && waited < 20000) begin
      @(posedge clk);
      waited++;
    end
    check(seen.size() == headers.size(), $sformatf("%0d verdicts of %0d", seen.size(), headers.size()));
    check(!busy, "all done");
    verdicts = seen;
  endtask

  function automatic logic to_pod(input verdict_t v);
    to_pod = v.dst == DstHost && v.out_vif == 4 && !v.raw;
  endfunction

  // Unchanged, to the node's own vif.
  function automatic logic to_node(input verdict_t v);
    to_node = v.dst == DstHost && v.raw && v.out_vif == 1;
  endfunction

  function automatic logic to_client(input verdict_t v);
    to_client = v.dst == DstHost && v.out_vif == 3 && !v.raw;
  endfunction

  // --- Counters and entries
  task automatic counter(input logic [3:0] id, output int n);
    logic [383:0] value;
    get(TableCardStats, 32'(id), value);
    n = 32'(value);
  endtask

  task automatic dropped(input drop_reason_e reason, output int n);
    logic [383:0] value;
    get(TableDropStats, 32'(reason), value);
    n = 32'(value);
  endtask

  task automatic expect_flow(input flow_key_t key, input logic there, output flow_t flow, input string what);
    logic        found;
    flow_addr_t  index;
    find_flow(key, found, flow, index);
    check(found == there, what);
  endtask

  task automatic expect_to(input hdr_t h, input logic [19:0] label, input string what);
    verdict_t v;
    pass(h, v);
    check(v.dst == DstFabric && !v.raw && v.label == label, $sformatf("%s: label %0d", what, v.label));
  endtask
