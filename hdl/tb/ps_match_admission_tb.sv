// Bench of ps_match: what is refused, and what it leaves as it was (docs/datapath.md, sections 2, 3, 5 to 7 and 9). Sources,
// half connections, clashes of keys, replies that overtake, tunnels that change, connections that begin anew, members that
// lose their flows, pairs that go. Prints PASS or stops.
module ps_match_admission_tb
  import ps_abi_pkg::*;
  import ps_types_pkg::*;
;

  `include "hdl/tb/ps_match_bench.svh"

  localparam logic [31:0] NodeC   = 32'h0aa91916;
  localparam logic [31:0] Remote  = 32'h0a2ffff0;  // behind a tunnel, by prefix
  localparam logic [31:0] One     = 32'h0a698b9a;  // services of Backend:80, at port 8888, without a group
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
                                                    label: slot ? 51 : 50, slot: slot_id_t'(slot), generation: 8'd1}));
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
      put_route(i == 0 ? One : Two, 11, 0, 0, 0);
      put_key(4, 6, i == 0 ? One : Two, Service, 14'(6 + i), 0);
      put_key(4, 17, i == 0 ? One : Two, Service, 14'(6 + i), 1);
    end
    put_tunnel(14, NodeC);
    put_group(2);
    put_route(Group, 21, 0, 0, 0);
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

  // --- Scenarios
  task automatic sources();
    hdr_t     h;
    verdict_t v;
    h = direct(17, 1);
    h.vlan_tagged = 1;
    expect_drop(h, DropInvalidProtocol, "tagged frame of a pod");
    h.vlan_tagged = 0;
    h.dmac = 48'h010203040506;
    expect_drop(h, DropDiscard, "group MAC");
    h.dmac = 48'h2;
    expect_drop(h, DropNotForGateway, "another MAC");
    put(TableVif, 3, 384'(vif_t'{valid: 1, kind: VifVirtual, ip: Client, nh: 10, vrf: 1, rpf: 0, learn: LearnAlways, default: '0}));
    expect_drop(packet(3, 17, 32'h7f000001, Backend, 1, 2), DropInvalidSource, "loopback source");
    expect_drop(packet(3, 17, 32'h00000001, Backend, 1, 2), DropInvalidSource, "source 0/8");
    expect_drop(packet(3, 17, 32'he0000001, Backend, 1, 2), DropInvalidSource, "multicast source");
    h = packet(3, 17, 32'he0000001, Backend, 1, 2);
    h.l4_short = 1;
    expect_drop(h, DropInvalidSource, "source before layer 4");
    put(TableVif, 3, 384'(vif_t'{valid: 1, kind: VifVirtual, ip: Client, nh: 10, vrf: 1, rpf: 1, learn: LearnAlways, default: '0}));
    // The fabric.
    h = by_tunnel(packet(0, 17, Remote, Backend, 1, 2), 40, NodeB);
    h.ttl = 0;
    expect_drop(h, DropTtlExceeded, "inner TTL 0");
    h.ttl = 1;
    pass(h, v);
    check(to_pod(v), "inner TTL 1");
    h.dmac = 48'h3;
    pass(h, v);
    check(to_node(v), "another node's MAC");
    h.dmac = 48'h2;
    h.vlan_tagged = 1;
    pass(h, v);
    check(to_node(v), "tagged frame from the fabric");
    h.vlan_tagged = 0;
    h.outer_sum_bad = 1;
    h.label = 5;
    expect_drop(h, DropChecksum, "UDP or GRE checksum before the label");
    h.outer_bad = 1;
    expect_drop(h, DropInvalidPacket, "lengths before that");
    h.outer_frag = 1;
    expect_drop(h, DropFragments, "fragments before that");
    h.outer_csum_bad = 1;
    expect_drop(h, DropChecksum, "header checksum before all");
    // An address of this node is on this node and nowhere else.
    h = by_tunnel(packet(0, 17, Backend, Client, 7, 9), 41, NodeB);
    pass(h, v);
    check(to_client(v), "not known as own");
    put_route(Backend, 11, 0, 0, 1, 1);
    expect_drop(h, DropInvalidSource, "own source from the fabric");
    h = by_tunnel(packet(0, 1, Remote, Client, 0, 0), 41, NodeB);
    h.icmp_err  = 1;
    h.key_proto = 17;
    h.key_sip   = Backend;
    expect_drop(h, DropInvalidSource, "an error about it too");
    pass(direct(17, 2), v);
    check(to_pod(v), "own destination");
    put_route(Backend, 11, 0, 0, 1, 0);
  endtask

  // Fragments of tunnel packets: a first one is remembered, of the last eight.
  task automatic tunnel_fragments();
    hdr_t     first, later;
    verdict_t v;
    first            = by_tunnel(packet(0, 17, Remote, Backend, 1, 2), 40, NodeB);
    first.outer_frag = 1;
    first.outer_id   = 16'h77;
    later             = '0;
    later.dmac        = 48'h2;
    later.outer_later = 1;
    later.outer_frag  = 1;
    later.outer_udp   = 1;
    later.outer_sip   = NodeB;
    later.outer_dip   = NodeA;
    later.outer_id    = 16'h77;
    later.frame_len   = 100;
    pass(later, v);
    check(to_node(v), "later fragment of the node's own");
    expect_drop(first, DropFragments, "first fragment");
    expect_drop(later, DropFragments, "later fragment");
    later.outer_udp = 0;
    pass(later, v);
    check(to_node(v), "of another protocol");
    later.outer_udp = 1;
    for (int i = 0; i < 7; i++) begin
      first.outer_id = 16'(i);
      expect_drop(first, DropFragments, "more first fragments");
    end
    expect_drop(later, DropFragments, "the eighth but last");
    first.outer_id = 16'h99;
    expect_drop(first, DropFragments, "one more");
    pass(later, v);
    check(to_node(v), "forgotten");
    later.outer_id = 16'h99;
    clear_all();
    program_tables();
    services();
    pass(later, v);
    check(to_node(v), "forgotten with the tables");
    // Inside: a fragment has no ports to choose a member by.
    first = to_service(6, 0, Group);
    first.frag = 1;
    expect_drop(first, DropFragments, "fragment at a group");
  endtask

  task automatic egress();
    hdr_t     h;
    verdict_t v;
    h = direct(17, 100);
    h.ip_len = 16'(FrameMaxBytes - 14);
    pass(h, v);
    check(to_pod(v), "longest frame");
    h.ip_len++;
    expect_drop(h, DropEgressOversize, "one byte more");
    h.ip_len = 16'hffff;
    expect_drop(h, DropEgressOversize, "longest packet");
    h = packet(3, 17, Client, Remote, 100, 80);
    h.ip_len = 16'(FrameMaxBytes - 46);
    pass(h, v);
    check(v.dst == DstFabric, "longest frame of a tunnel");
    h.ip_len++;
    expect_drop(h, DropEgressOversize, "one byte more in a tunnel");
  endtask

  // More new translated flows at once than can wait: each is learned, or dropped and counted.
  task automatic full_queue();
    hdr_t     headers[$];
    verdict_t verdicts[$];
    flow_t    flow;
    int       refused = 0, old, now, deferred0, deferred1;
    for (int i = 0; i < 200; i++) headers.push_back(to_service(17, 16'(20000 + i)));
    dropped(DropFlowQueueFull, old);
    counter(CounterLearnDeferred, deferred0);
    burst(headers, verdicts);
    dropped(DropFlowQueueFull, now);
    counter(CounterLearnDeferred, deferred1);
    foreach (verdicts[i]) begin
      if (verdicts[i].dst == DstDrop) refused++;
      else check(to_pod(verdicts[i]), "to the pod");
      expect_flow(key_of(10, headers[i]), verdicts[i].dst != DstDrop, flow, "forwarded if and only if learned");
      expect_flow(key_of(11, reply(17, headers[i].key_sport)), verdicts[i].dst != DstDrop, flow, "and its reply");
    end
    check(refused > 0 && 200 - refused >= 64 && now - old == refused && deferred0 == deferred1, "queue full");
    check_known();
  endtask

  // One client port to one pod in two ways.
  task automatic clashes();
    verdict_t verdicts[$], v;
    flow_t    old, now;
    pass(direct(17, 30000), v);
    expect_flow(key_of(11, reply(17, 30000)), 1, old, "direct");
    expect_drop(to_service(17, 30000), DropFlowClash, "service after direct");
    expect_flow(key_of(11, reply(17, 30000)), 1, now, "direct still");
    check(old == now, "as it was");
    pass(to_service(17, 30001), v);
    expect_flow(key_of(11, reply(17, 30001)), 1, old, "service");
    expect_drop(direct(17, 30001), DropFlowClash, "direct after service");
    expect_drop(to_service(17, 30001, Two), DropFlowClash, "service after service");
    expect_flow(key_of(11, reply(17, 30001)), 1, now, "service still");
    check(old == now, "as it was");
    pass(to_service(17, 30001), v);
    check(to_pod(v), "the first goes on");
    // In consecutive cycles, and with other packets between them.
    for (int gap = 0; gap < 4; gap++) begin
      logic [15:0] port = 16'(30100 + 10 * gap);
      burst({direct(17, port), to_service(17, port)}, verdicts, gap);
      check(to_pod(verdicts[0]) && verdicts[1].dst == DstDrop, "direct, service");
      port++;
      burst({to_service(17, port), to_service(17, port, Two), to_service(17, port)}, verdicts, gap);
      check(to_pod(verdicts[0]) && verdicts[1].dst == DstDrop && to_pod(verdicts[2]), "service, service");
      expect_flow(key_of(10, to_service(17, port, Two)), 0, now, "not learned");
      expect_flow(key_of(10, to_service(17, port)), 1, now, "learned");
      port++;
      burst({to_service(17, port), direct(17, port)}, verdicts, gap);
      check(to_pod(verdicts[0]) && verdicts[1].dst == DstDrop, "service, direct");
      expect_flow(key_of(10, direct(17, port)), 0, now, "not learned either");
    end
    // A stranger who uses the service's address.
    pass(to_service(17, 30200), v);
    expect_flow(key_of(10, to_service(17, 30200)), 1, old, "client's flow");
    expect_drop(by_tunnel(packet(0, 17, One, Client, Service, 30200), 41, NodeC), DropFlowClash, "stranger");
    expect_flow(key_of(10, to_service(17, 30200)), 1, now, "client's flow still");
    check(old == now, "as it was");
    pass(reply(17, 30200), v);
    check(to_client(v) && v.sip_en && v.sip == One, "its reply");
  endtask

  // A reply is translated or dropped, whenever it comes.
  task automatic overtaking();
    verdict_t verdicts[$];
    flow_t    flow;
    int       learned0, learned1, unusable0, unusable1, refused = 0;
    dropped(DropFlowUnusable, unusable0);
    for (int gap = 0; gap < 90; gap++) begin
      burst({to_service(6, 16'(32000 + gap)), reply(6, 16'(32000 + gap))}, verdicts, gap);
      check(to_pod(verdicts[0]), "request");
      if (verdicts[1].dst == DstDrop) refused++;
      else check(to_client(verdicts[1]) && verdicts[1].sip_en && verdicts[1].sip == One && verdicts[1].sport == Service,
                 $sformatf("reply after %0d cycles", gap));
      expect_flow(key_of(10, to_service(6, 16'(32000 + gap))), 1, flow, "learned");
    end
    dropped(DropFlowUnusable, unusable1);
    check(refused > 30 && refused < 80 && unusable1 - unusable0 == refused, $sformatf("%0d overtook", refused));
    counter(CounterFlowsLearned, learned0);
    for (int gap = 0; gap < 60; gap++) begin
      burst({direct(17, 16'(33000 + gap)), reply(17, 16'(33000 + gap))}, verdicts, gap);
      check(to_pod(verdicts[0]) && to_client(verdicts[1]) && !verdicts[1].sip_en, "untranslated");
    end
    counter(CounterFlowsLearned, learned1);
    check(learned1 - learned0 == 60, "a pair each");
  endtask

  // Packets of a flow by another tunnel: dropped, and the flow moves if that is where its replies go.
  task automatic tunnels();
    hdr_t     h;
    verdict_t v;
    flow_t    old, now;
    h = by_tunnel(packet(0, 17, Remote, Backend, 34000, 80), 40, NodeB);
    pass(h, v);
    check(to_pod(v), "by its tunnel");
    expect_flow(key_of(11, h), 1, old, "learned");
    h.outer_sip = NodeC;
    expect_drop(h, DropInvalidSource, "by another");
    expect_drop(h, DropInvalidSource, "again: the route is another's");
    expect_flow(key_of(11, h), 1, now, "still there");
    check(old == now, "as it was");
    put_tunnel(12, NodeC);
    expect_drop(h, DropInvalidSource, "the route has changed");
    pass(h, v);
    check(to_pod(v), "moved");
    h.outer_sip = NodeB;
    expect_drop(h, DropInvalidSource, "the old one is another's now");
    put_tunnel(12, NodeB);
    // Replies of a group's member by the tunnel of another member.
    h = to_service(17, 34001, Group);
    pass(h, v);
    check(v.dst == DstFabric && (v.label == 50 || v.label == 51), "to a member");
    begin
      logic [19:0] other = v.label == 50 ? 51 : 50;
      logic [31:0] node = v.label == 50 ? NodeC : NodeB;
      hdr_t        r = by_tunnel(packet(0, 17, Group, Client, Service, 34001), 41, node);
      expect_drop(r, DropInvalidSource, "the other member answers");
      pass(r, v);
      check(to_client(v), "and is accepted");
      expect_to(h, other, "and gets the flow");
      expect_flow(key_of(10, h), 1, now, "pinned");
      check(now.ecmp_valid && now.ecmp_slot == (other == 51) && now.ecmp_generation == 1, "to its slot");
    end
  endtask

  // Opens a connection to the group; where it went.
  task automatic open(input logic [15:0] sport, input logic established, output logic slot);
    verdict_t v;
    pass(flags(to_service(6, sport, Group), Syn), v);
    check(v.dst == DstFabric && (v.label == 50 || v.label == 51), "opened");
    slot = v.label == 51;
    if (established) begin
      pass(flags(from_member(sport, slot), Syn | Ack), v);
      check(to_client(v), "answered");
      expect_to(flags(to_service(6, sport, Group), Ack), 50 + 20'(slot), "established");
    end
  endtask

  function automatic hdr_t from_member(input logic [15:0] port, input logic slot);
    from_member = by_tunnel(packet(0, 6, Group, Client, Service, port), 41, slot ? NodeC : NodeB);
  endfunction

  task automatic connections();
    hdr_t         h;
    verdict_t     v;
    flow_t        old, now;
    logic         slot;
    int           repinned0, repinned1;
    // A SYN on an established connection changes nothing.
    open(40000, 1, slot);
    h = to_service(6, 40000, Group);
    expect_flow(key_of(10, h), 1, old, "established");
    close_member(slot, 0);
    expect_to(flags(h, Syn), 50 + 20'(slot), "SYN on an established connection");
    expect_to(flags(h, Ack), 50 + 20'(slot), "data on it");
    expect_flow(key_of(10, h), 1, now, "established");
    check(old == now, "as it was");
    // Closed from one side it is not over yet.
    expect_to(flags(h, Fin | Ack), 50 + 20'(slot), "FIN");
    expect_to(flags(h, Syn), 50 + 20'(slot), "SYN after one FIN");
    pass(flags(from_member(40000, slot), Fin | Ack), v);
    check(to_client(v), "the other FIN");
    expect_to(flags(h, Ack), 50 + 20'(slot), "last segment of the old connection");
    counter(CounterFlowsRepinned, repinned0);
    expect_to(flags(h, Syn), 51 - 20'(slot), "SYN after both");
    counter(CounterFlowsRepinned, repinned1);
    check(repinned1 == repinned0 + 1, "the pair is rewritten");
    expect_flow(key_of(10, h), 1, now, "new connection");
    check(now.ecmp_slot == slot_id_t'(!slot), "with its own member");
    // A reset ends it, too, unless the connection lives on.
    put_group(2);
    open(40001, 1, slot);
    close_member(slot, 0);
    h = to_service(6, 40001, Group);
    expect_to(flags(h, Rst), 50 + 20'(slot), "reset");
    expect_to(flags(h, Ack), 50 + 20'(slot), "that nobody believed");
    expect_to(flags(h, Syn), 50 + 20'(slot), "SYN");
    expect_to(flags(h, Rst), 50 + 20'(slot), "reset again");
    expect_to(flags(h, Syn), 51 - 20'(slot), "SYN after it");
    // One that is opening leaves a draining member.
    put_group(2);
    open(40002, 0, slot);
    close_member(slot, 0);
    h = to_service(6, 40002, Group);
    expect_to(flags(h, Syn), 51 - 20'(slot), "SYN again, as the member drains");
    // One that is not draining keeps it.
    put_group(2);
    open(40003, 0, slot);
    expect_to(flags(to_service(6, 40003, Group), Syn), 50 + 20'(slot), "SYN again");
    // UDP leaves a member that keeps no UDP flows, if there is another. TCP stays.
    put_group(2);
    open(40004, 1, slot);
    h = to_service(17, 40005, Group);
    do begin
      h.key_sport++;
      pass(h, v);
    end while (v.label != 50 + 20'(slot));
    close_member(slot, 1);
    put_member(32'(slot), slot, 1, 1);     // not to be had by hash either
    put_live(0);
    expect_to(h, 50 + 20'(slot), "no other member");
    put_live(2);
    expect_to(h, 51 - 20'(slot), "UDP evicted");
    expect_to(flags(to_service(6, 40004, Group), Ack), 50 + 20'(slot), "TCP stays");
    put_group(2);
  endtask

  // What a pod sends from where it is only known translated.
  task automatic marked_sources();
    hdr_t     h;
    verdict_t v;
    put_key(4, 6, Backend, 80, 0, 2);
    put_key(4, 17, Backend, 0, 0, 3);
    expect_drop(flags(reply(6, 41000), Ack), DropFlowUnusable, "segment without its flow");
    expect_drop(flags(reply(6, 41000), Syn | Ack), DropFlowUnusable, "SYN and ACK without its flow");
    expect_drop(flags(packet(4, 6, Backend, Remote, 80, 41000), Ack), DropFlowUnusable, "to the fabric");
    pass(flags(reply(6, 41000), Syn), v);
    check(to_client(v), "a connection of its own");
    pass(flags(to_service(6, 41001), Syn), v);
    pass(flags(reply(6, 41001), Syn | Ack), v);
    check(to_client(v) && v.sip == One, "with its flow");
    pass(reply(17, 41002), v);
    check(to_client(v), "a datagram");
    h           = reply(1, 41003);
    h.icmp_err  = 1;
    h.key_proto = 6;
    expect_drop(h, DropFlowUnusable, "an error about what never came");
    h.key_sport = 81;
    pass(h, v);
    check(to_client(v), "an error about another port");
    h = reply(17, 0);
    h.key_sport = 0;
    h.frag = 1;
    expect_drop(h, DropFragments, "a fragment");
    h.proto = 132;
    h.key_proto = 132;
    pass(h, v);
    check(to_client(v), "of another protocol");
    put_key(4, 6, Backend, 80, 0, 2, 0);
    put_key(4, 17, Backend, 0, 0, 3, 0);
  endtask

  // Replies that nothing translates any more; dead pairs in the way of others.
  task automatic dead_pairs();
    verdict_t v;
    flow_t    flow;
    int       used0, used1;
    pass(flags(to_service(6, 42000), Syn), v);
    put_map(6, One, 2);
    expect_drop(flags(reply(6, 42000), Syn | Ack), DropFlowUnusable, "mapping of another generation");
    put_map(6, One, 1, 0);
    expect_drop(flags(reply(6, 42000), Syn | Ack), DropFlowUnusable, "mapping gone");
    pass(flags(reply(6, 42000), Syn), v);
    check(to_client(v) && !v.sip_en, "a new connection from there");
    put_map(6, One, 1);
    // A service's pair with a dead mapping in the way of a direct connection.
    pass(to_service(17, 42001), v);
    counter(CounterFlowsInUse, used0);
    put_map(6, One, 2);
    expect_drop(direct(17, 42001), DropFlowClash, "dead pair in the way");
    counter(CounterFlowsInUse, used1);
    check(used1 == used0 - 2, "deleted as a pair");
    expect_flow(key_of(10, to_service(17, 42001)), 0, flow, "gone");
    pass(direct(17, 42001), v);
    check(to_pod(v), "room");
    expect_flow(key_of(10, direct(17, 42001)), 1, flow, "taken");
    put_map(6, One, 1);
    // A connection that is over in the way of a service's.
    pass(flags(direct(6, 42002), Syn), v);
    expect_drop(flags(to_service(6, 42002), Syn), DropFlowClash, "live connection in the way");
    expect_drop(flags(to_service(6, 42002), Syn), DropFlowClash, "still");
    pass(flags(reply(6, 42002), Rst | Ack), v);
    expect_drop(flags(to_service(6, 42002), Syn), DropFlowClash, "reset connection in the way");
    pass(flags(to_service(6, 42002), Syn), v);
    check(to_pod(v) && v.dip == Backend, "room again");
    check_known();
  endtask

  // A question whether a pair is dead, while the host waits for statistics of another that is: each gets the answer to its own.
  task automatic dead_beside_a_read();
    verdict_t     v;
    flow_t        flow;
    logic         found, done = 0;
    flow_addr_t   index;
    logic [383:0] value;
    int           used0, used1, sent = 0;
    hdr_t         known = direct(17, 42100);
    pass(known, v);
    pass(flags(direct(6, 42101), Syn), v);
    pass(flags(direct(6, 42102), Syn), v);
    pass(flags(reply(6, 42102), Rst | Ack), v);
    find_flow(key_of(11, reply(6, 42102)), found, flow, index);
    check(found, "a connection that is over");
    counter(CounterFlowsInUse, used0);
    fork
      begin
        // Nothing but packets that count, whatever the card asks for, for so long that the question comes while the read waits.
        while (sent < 600 || !done) begin
          hdr       <= sent == 300 ? flags(to_service(6, 42101), Syn) : known;
          hdr_valid <= sent < 600;
          sent++;
          @(posedge clk);
        end
        hdr_valid <= 0;
      end
      begin
        repeat (200) @(posedge clk);
        get(TableFlowStats, 32'(index), value);
        done = 1;
      end
    join
    while (busy) @(posedge clk);
    check(value[31:0] == 1 && value[72 + TcpRstBit], "statistics of the one that is over");
    counter(CounterFlowsInUse, used1);
    check(used0 == used1, "the one that lives is there");
    expect_flow(key_of(10, direct(6, 42101)), 1, flow, "and whole");
  endtask

  // A plain connection whose far end has moved to this node.
  task automatic far_end_moves();
    hdr_t     h, l;
    verdict_t v;
    flow_t    flow;
    int       used0, used1;
    put(TableVif, 5, 384'(vif_t'{valid: 1, kind: VifVirtual, ip: Remote, nh: 15, vrf: 1, rpf: 1, learn: LearnAlways, default: '0}));
    h = by_tunnel(packet(0, 6, Remote, Backend, 43000, 80), 40, NodeB);
    l = packet(5, 6, Remote, Backend, 43000, 80);
    pass(h, v);
    counter(CounterFlowsInUse, used0);
    pass(l, v);
    check(to_pod(v), "from its new place");
    counter(CounterFlowsInUse, used1);
    expect_flow(key_of(11, h), 0, flow, "old pair gone");
    expect_flow(key_of(15, l), 1, flow, "new pair there");
    check(used0 == used1, "one pair");
    // Not so if the pair is a service's.
    h = by_tunnel(packet(0, 6, Remote, One, 43001, Service), 40, NodeB);
    pass(h, v);
    check(to_pod(v) && v.dip_en, "translated");
    l = packet(5, 6, Remote, Backend, 43001, 80);
    expect_drop(l, DropFlowClash, "a service's pair stays");
    // The host deletes pairs, by either entry.
    begin
      logic        found;
      flow_addr_t  index;
      counter(CounterFlowsInUse, used0);
      find_flow(key_of(11, packet(4, 6, Backend, Remote, 80, 43001)), found, flow, index);
      check(found && flow.reverse, "reverse entry");
      put(TableFlow, 32'(index), '0);
      counter(CounterFlowsInUse, used1);
      check(used1 == used0 - 2, "deleted as a pair");
      expect_flow(key_of(11, h), 0, flow, "forward entry gone");
      put(TableFlow, 32'(index), '0);
      counter(CounterFlowsInUse, used0);
      check(used0 == used1, "nothing to delete");
      check_known();
    end
  endtask

  // Who may have pairs: the vif by which a packet comes, or to which it goes from the fabric.
  task automatic learn_policy();
    hdr_t     h;
    verdict_t v;
    flow_t    flow;
    int       used0, used1;
    for (int from_fabric = 0; from_fabric < 2; from_fabric++) begin
      for (int policy = 0; policy < 4; policy++) begin
        logic [15:0] port = 16'(46000 + 100 * from_fabric + 10 * policy);
        put_policy(learn_policy_e'(from_fabric ? 0 : policy), learn_policy_e'(from_fabric ? policy : 0));
        counter(CounterFlowsInUse, used0);
        h = from_fabric ? by_tunnel(packet(0, 6, Remote, One, port, Service), 40, NodeB) : to_service(6, port);
        if (policy == 2) begin
          expect_drop(h, DropLearnOff, "translated, of a vif that must not learn");
        end else begin
          pass(h, v);
          check(to_pod(v) && v.dip_en, "translated");
        end
        port++;
        h = from_fabric ? by_tunnel(packet(0, 17, Remote, Backend, port, 80), 40, NodeB) : direct(17, port);
        pass(h, v);
        check(to_pod(v), "plain");
        expect_flow(key_of(from_fabric ? 11 : 10, h), policy == 0 || policy == 3, flow, "plain, learned or not");
        counter(CounterFlowsInUse, used1);
        check(used1 - used0 == (policy == 1 ? 2 : policy == 2 ? 0 : 4), $sformatf("policy %0d", policy));
      end
    end
    // Through a group counts as translated.
    put_policy(LearnNever, LearnAlways);
    expect_drop(flags(to_service(6, 46300, Group), Syn), DropLearnOff, "to a group");
    put_policy(LearnTranslated, LearnAlways);
    pass(flags(to_service(6, 46300, Group), Syn), v);
    check(v.dst == DstFabric, "to a group");
    expect_flow(key_of(10, to_service(6, 46300, Group)), 1, flow, "pinned");
    // Entries that are there are used whatever the policy says.
    put_policy(LearnNever, LearnNever);
    pass(flags(to_service(6, 46300, Group), Ack), v);
    check(v.dst == DstFabric, "goes on");
    put_policy(LearnAlways, LearnAlways);
  endtask

  task automatic put_policy(input learn_policy_e of_client, input learn_policy_e of_backend);
    put(TableVif, 3, 384'(vif_t'{valid: 1, kind: VifVirtual, ip: Client, nh: 10, vrf: 1, rpf: 1, learn: of_client, default: '0}));
    put(TableVif, 4, 384'(vif_t'{valid: 1, kind: VifVirtual, ip: Backend, nh: 11, vrf: 1, rpf: 1, learn: of_backend, default: '0}));
  endtask

  // RFC 1624: what a changed word adds.
  function automatic logic [15:0] changed(input logic [15:0] sum, input logic [15:0] from, input logic [15:0] to);
    changed = add(sum, add(~from, to));
  endfunction

  // An ICMP error about a translated TCP segment keeps the embedded checksum right.
  task automatic errors();
    hdr_t     h;
    verdict_t v;
    pass(flags(to_service(6, 44000), Syn), v);
    h                = reply(1, 44000);
    h.icmp_err       = 1;
    h.key_proto      = 6;
    h.emb_l4_csum_en = 1;
    h.emb_l4_csum    = ~l4_sum(Client, Backend, 44000, 80, 16'd0);
    pass(h, v);
    check(to_client(v) && v.emb_en && v.emb_l4_csum_en && v.emb_l4_csum_word == 8 && v.emb_dip == One &&
          v.emb_dport_en && v.emb_dport == Service, "error");
    check(l4_sum(Client, One, 44000, Service, v.emb_l4_csum) == 16'hffff, "embedded TCP checksum");
    check(v.l4_csum == ~add(add(add(changed(~h.l4_csum, h.emb_ip_csum, v.emb_ip_csum), add(~Backend[31:16], One[31:16])),
                                changed(add(~Backend[15:0], One[15:0]), 16'd80, Service)),
                            add(~h.emb_l4_csum, v.emb_l4_csum)), "ICMP checksum");
    h.emb_l4_csum_en = 0;
    h.emb_l4_csum    = 0;
    pass(h, v);
    check(to_client(v) && v.emb_en && !v.emb_l4_csum_en, "no embedded checksum");
  endtask

  // More than FlowsTranslatedMax in use: no new translated flows.
  task automatic crowded();
    verdict_t     v;
    flow_t        flow;
    logic         found;
    logic [15:0]  index;
    int           used, sent = 0;
    counter(CounterFlowsInUse, used);
    while (used <= FlowsTranslatedMax) begin
      for (int i = 0; i < (FlowsTranslatedMax - used) / 2 + 1; i++) begin
        hdr       <= packet(3, 17, Client, Backend, 16'(sent), 16'(1000 + sent / 65536));
        hdr_valid <= 1;
        @(posedge clk);
        hdr_valid <= 0;
        repeat (4) @(posedge clk);
        sent++;
      end
      while (busy) @(posedge clk);
      counter(CounterFlowsInUse, used);
    end
    check(used <= FlowsTranslatedMax + 2, "just over the limit");
    expect_drop(to_service(17, 45000), DropFlowTableFull, "new translated flow");
    pass(direct(132, 45000), v);
    check(to_pod(v), "new flow as it is");
    expect_flow(key_of(10, direct(132, 45000)), 1, flow, "learned");
    find_flow(key_of(10, direct(132, 45000)), found, flow, index);
    put(TableFlow, 32'(index), '0);
    find_flow(key_of(10, packet(3, 17, Client, Backend, 5, 1000)), found, flow, index);
    check(found, "some flow");
    put(TableFlow, 32'(index), '0);
    pass(to_service(17, 45000), v);
    check(to_pod(v), "the limit and no more");
    expect_flow(key_of(10, to_service(17, 45000)), 1, flow, "learned");
    check_known();
  endtask

  initial begin
    repeat (4) @(posedge clk);
    rst <= 0;
    @(posedge clk);
    while (clearing) @(posedge clk);
    program_tables();
    services();
    sources();
    $display("%0t: sources", $time);
    tunnel_fragments();
    $display("%0t: tunnel fragments", $time);
    egress();
    $display("%0t: egress", $time);
    full_queue();
    $display("%0t: full queue", $time);
    clashes();
    $display("%0t: clashes", $time);
    overtaking();
    $display("%0t: overtaking", $time);
    tunnels();
    $display("%0t: tunnels", $time);
    connections();
    $display("%0t: connections", $time);
    marked_sources();
    $display("%0t: marked sources", $time);
    dead_pairs();
    $display("%0t: dead pairs", $time);
    dead_beside_a_read();
    $display("%0t: dead pairs beside a read", $time);
    far_end_moves();
    $display("%0t: far end moves", $time);
    errors();
    $display("%0t: errors", $time);
    learn_policy();
    $display("%0t: learn policy", $time);
    crowded();
    $display("%0t: crowded", $time);
    $display("PASS ps_match_admission_tb: %0d checks", checks);
    $finish;
  end

  initial begin
    #4000000;
    $display("FAILED: time out");
    $fatal(1);
  end

endmodule
