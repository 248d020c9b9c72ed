// Bench of ps_match: where section 6 leads first, and the source check. Listeners by port, addresses of floating IPs, their labels, the
// egress way and the VRF after translation, the node as an end point, sources by tunnel; and entries of the second look-up with the wrong
// parity. Prints PASS or stops.
module ps_match_ways_tb
  import ps_abi_pkg::*;
  import ps_types_pkg::*;
;

  `include "hdl/tb/ps_match_bench.svh"

  localparam logic [31:0] NodeC   = 32'h0aa91916;
  localparam logic [31:0] Remote  = 32'h0a2f0105;   // behind NodeB, by a prefix of 16 bits
  localparam logic [31:0] Outside = 32'hcb007105;   // 203.0.113.5
  localparam logic [31:0] Public  = 32'hc633640a;   // the client's floating IP
  localparam logic [31:0] Closed  = 32'h0a698b9d;   // a floating IP that drops
  localparam logic [31:0] Here    = 32'h0a698b9e;   // one whose listener is served here
  localparam logic [31:0] Caller  = 32'h0a698b9f;   // one that calls
  localparam logic [11:0] Out = 2, Another = 3;     // VRFs
  localparam logic [15:0] ToC = 14;

  always @(posedge clk) if (injected) inject <= 0;

  task automatic put_host(input logic [11:0] vrf, input logic [31:0] ip, input logic [15:0] nh, input service_address_e service,
                          input source_set_t sources, output logic [31:0] index);
    logic [63:0] h = key_hash({84'd0, ip, vrf});
    index = 32'({1'b0, h[0 +: HostRouteRowsLog2], 2'd2});
    put(TableHostRoute, index, 384'(host_route_t'{valid: 1, vrf: vrf, ip: ip, nh: nh, label: 60, label_valid: 1, service: service,
                                                  sources: sources}));
  endtask

  task automatic put_net(input logic [11:0] vrf, input logic [2:0] rank, input logic [5:0] len, input logic [31:0] ip,
                         input logic [15:0] nh, output logic [31:0] index);
    logic [63:0] h      = key_hash({84'd0, ip, vrf});
    logic [63:0] spread = key_hash({84'd0, ip[31:24], 24'd0, vrf});
    index = 32'({rank ^ spread[PrefixWays*PrefixRowsLog2 +: 3], 1'b0, h[0 +: PrefixRowsLog2], 2'd2});
    put(TablePrefix, index, 384'(prefix_t'{valid: 1, vrf: vrf, ip: ip, len: len, nh: nh, label: 61, label_valid: 1, sources: Nodes}));
  endtask

  task automatic put_default(input logic [11:0] vrf, input logic [15:0] nh, input logic valid = 1);
    put(TableDefaultRoute, 32'(vrf), 384'(default_route_t'{valid: valid, nh: nh, label: 62, label_valid: 1, sources: Nodes}));
  endtask

  task automatic put_client(input logic egress, input logic [11:0] vrf);
    put(TableVif, 3, 384'(vif_t'{valid: 1, kind: VifVirtual, ip: Client, nh: 10, vrf: 1, rpf: 1, learn: LearnAlways, egress: egress,
                                 egress_vrf: vrf, egress_map: 8, default: '0}));
  endtask

  task automatic put_check(input source_check_e how, input logic valid = 1);
    put(TableVrf, 1, 384'(vrf_t'{valid: valid, service_net: 1, source_check: how}));
  endtask

  task automatic expect_to(input hdr_t h, input logic [31:0] node, input logic translated, input string what);
    verdict_t v;
    pass(h, v);
    check(v.dst == DstFabric && !v.raw && v.outer_dip == node && v.sip_en == translated && (!translated || v.sip == Public),
          $sformatf("%s: dst %0d to %h, source %b %h", what, v.dst, v.outer_dip, v.sip_en, v.sip));
  endtask

  task automatic expect_host(input hdr_t h, input logic [7:0] vif, input string what);
    verdict_t v;
    pass(h, v);
    check(v.dst == DstHost && !v.raw && v.out_vif == vif, $sformatf("%s: dst %0d, vif %0d", what, v.dst, v.out_vif));
  endtask

  task automatic expect_trap(input hdr_t h, input string what);
    verdict_t v;
    pass(h, v);
    check(v.dst == DstFw && v.raw && v.trap_reason == TrapReject, {what, ": refused"});
  endtask

  task automatic expect_raw(input hdr_t h, input string what);
    verdict_t v;
    pass(h, v);
    check(v.dst == DstFabric && v.raw, {what, ": as it is"});
  endtask

  function automatic hdr_t fragment(input hdr_t h);
    fragment = h;
    fragment.frag = 1;
    fragment.key_sport = 0;
    fragment.key_dport = 0;
  endfunction

  function automatic hdr_t from_node(input hdr_t inner, input logic [31:0] node, input logic [19:0] label = 40);
    from_node = tunnelled(inner, label);
    from_node.outer_sip = node;
  endfunction

  int unsigned port = 20000;
  function automatic logic [15:0] fresh();
    port++;
    fresh = 16'(port);
  endfunction

  function automatic hdr_t udp(input logic [31:0] dip);
    udp = packet(3, 17, Client, dip, fresh(), 53);
  endfunction

  function automatic hdr_t call(input logic [31:0] dip, input logic [15:0] dport);
    call = packet(3, 6, Client, dip, fresh(), dport);
    call.tcp_syn = 1;
  endfunction

  function automatic hdr_t to_pod(input logic [31:0] sip);
    to_pod = packet(0, 17, sip, Backend, fresh(), 53);
  endfunction

  // The packet is dropped for an entry of the second look-up, until it is written again.
  task automatic second_parity(input logic [7:0] id, input logic [31:0] index, input logic [31:0] dip, input string what);
    logic [383:0] entry;
    get(id, index, entry);
    expect_to(udp(dip), NodeC, 1, {what, ", before"});
    inject <= 1;
    @(posedge clk);
    put(id, index, entry);
    expect_drop(udp(dip), DropTableParity, what);
    repeat (8) @(posedge clk);
    check(parity_last == {id, index[23:0]}, $sformatf("%s: last %h", what, parity_last));
    put(id, index, entry);
    expect_to(udp(dip), NodeC, 1, {what, ", after"});
  endtask

  task automatic the_node();
    hdr_t h;
    put(TableVif, 1, 384'(vif_t'{valid: 1, kind: VifVhost, ip: NodeA, nh: 9, vrf: 1, learn: LearnAlways, default: '0}));
    h = packet(1, 17, NodeA, Remote, fresh(), 53);
    expect_to(h, NodeB, 0, "the node to the gateway");
    h.vlan_tagged = 1;
    expect_raw(h, "the node, tagged");
    h = packet(1, 17, NodeA, Remote, fresh(), 53);
    h.dmac = 48'h7;
    expect_raw(h, "the node to somebody else");
    h = packet(1, 17, NodeA, Remote, fresh(), 53);
    h.is_ip4 = 0;
    h.is_arp = 1;
    expect_drop(h, DropInvalidProtocol, "the node's ARP to the gateway");
    h = packet(1, 17, NodeA, Remote, fresh(), 53);
    h.ttl = 1;
    expect_drop(h, DropTtlExceeded, "the node's last hop");
    h = call(Vip, 8888);
    h = packet(1, 6, NodeA, Vip, h.key_sport, 8888);
    h.tcp_syn = 1;
    h.key_proto = 17;      // nobody serves that
    h.proto = 17;
    expect_trap(h, "the node to a service's address");
  endtask

  task automatic services();
    logic [31:0] at;
    verdict_t v;
    put_host(1, Closed, 12, ServiceDrop, Nodes, at);
    pass(call(Vip, 8888), v);
    check(v.dst == DstFabric || (v.dst == DstHost && v.out_vif == 4), "a listener's key comes before the address");
    expect_trap(call(Vip, 8889), "a port that nobody serves");
    expect_trap(udp(Vip), "a protocol");
    expect_drop(fragment(udp(Vip)), DropFragments, "a fragment to a floating IP");
    expect_drop(call(Closed, 80), DropNoFipPortMap, "an address that drops");
    expect_drop(fragment(udp(Closed)), DropFragments, "a fragment to one that drops");
    // Without a service network, and of another.
    put(TableVrf, 1, 384'(vrf_t'{valid: 1, service_net: 0, source_check: CheckStrict}));
    expect_trap(call(Vip, 8888), "no service network");
    put(TableVrf, 1, 384'(vrf_t'{valid: 1, service_net: 7, source_check: CheckStrict}));
    expect_trap(call(Vip, 8888), "another service network");
    put_check(CheckStrict, 0);
    expect_trap(call(Vip, 8888), "a VRF that is not valid");
    put_check(CheckStrict);
    // A key that leads to a tunnel has no label.
    put_service(6, Closed, 81, 12);
    expect_drop(call(Closed, 81), DropInvalidLabel, "a key to a tunnel");
    put_service(6, Closed, 82, 0);
    expect_drop(call(Closed, 82), DropInvalidNextHop, "a key to next hop 0, which is not there");
  endtask

  task automatic labels();
    hdr_t h;
    put(TableIlm, 42, 384'(ilm_t'{valid: 1, nh: 11, key_nh: 1, vrf: 1, service: 1}));
    put(TableNextHop, 22, 384'(next_hop_t'{valid: 1, kind: NhComposite, base: 110, slots: 1, live: 1, hash_fields: 5'h1f, default: '0}));
    put(TableEcmp, 110, 384'(ecmp_slot_t'{valid: 1, nh: 11, label: 5, local_: 1, slot: 0, generation: 1, default: '0}));
    put(TableEcmp, 111, 384'(ecmp_slot_t'{valid: 1, nh: 11, label: 5, local_: 1, slot: 0, generation: 1, default: '0}));
    put_service(6, Here, 80, 12, 22);
    h = packet(0, 6, Remote, Here, fresh(), 80);
    h.tcp_syn = 1;
    expect_host(from_node(h, NodeB, 42), 4, "a floating IP's label");
    h = packet(0, 6, Remote, Here, fresh(), 81);
    expect_drop(from_node(h, NodeB, 42), DropNoFipPortMap, "its label, another port");
    h = packet(0, 6, Remote, Vip, fresh(), 8888);
    expect_drop(from_node(h, NodeB, 42), DropNoFipPortMap, "its label, nobody here");
    expect_drop(from_node(fragment(packet(0, 17, Remote, Here, 0, 0)), NodeB, 42), DropFragments, "its label, a fragment");
    // The source check comes before.
    h = packet(0, 6, Remote, Here, fresh(), 81);
    expect_drop(from_node(h, NodeC, 42), DropInvalidSource, "its label, by another tunnel");
    // A member here whose next hop is a tunnel has no label.
    put(TableEcmp, 110, 384'(ecmp_slot_t'{valid: 1, nh: 12, label: 5, local_: 1, slot: 0, generation: 1, default: '0}));
    put_service(6, Closed, 83, 22);
    expect_drop(call(Closed, 83), DropInvalidLabel, "a member here in a tunnel");
  endtask

  task automatic egress();
    logic [31:0] host, net, at;
    hdr_t        h;
    put(TablePrefixLength, 2, 384'(prefix_length_t'{valid: 1, len: 24}));
    put(TableNextHop, 32'(ToC), 384'(next_hop_t'{valid: 1, kind: NhTunnel, sip: NodeA, dip: NodeC, dmac: 48'h5, smac: 48'h2, default: '0}));
    put(TableFipMap, 8, 384'(fip_map_t'{valid: 1, generation: 1, pod_ip: Client, vip: Public, default: '0}));
    put_default(Out, ToC);
    expect_drop(udp(Outside), DropDiscard, "no route, no egress way");
    put_client(1, Out);
    expect_to(udp(Outside), NodeC, 1, "no route of its own");
    put_default(1, 12);
    expect_to(udp(Outside), NodeB, 0, "equal: two defaults");
    put_net(Out, 2, 24, 32'hcb007100, ToC, net);
    expect_to(udp(Outside), NodeC, 1, "a prefix, longer than its default");
    put_net(1, 2, 23, 32'hcb007100, 12, at);
    expect_to(udp(Outside), NodeC, 1, "by one bit, in one table");
    put_net(1, 2, 24, 32'hcb007100, 12, at);
    expect_to(udp(Outside), NodeB, 0, "equal: two prefixes");
    put_host(Out, Outside, ToC, ServiceNo, Nodes, host);
    expect_to(udp(Outside), NodeC, 1, "a host route, longer than its prefix");
    put_host(1, Outside, 12, ServiceNo, Nodes, at);
    expect_to(udp(Outside), NodeB, 0, "equal: two host routes");
    put(TableHostRoute, at, '0);
    expect_drop(fragment(udp(Outside)), DropFragments, "a fragment on the egress way");
    // A listener comes before both.
    expect_trap(call(Vip, 8889), "a service's address");
    // Of the second look-up alone.
    second_parity(TableHostRoute, host, Outside, "the egress way's host route");
    put_net(Out, 2, 24, 32'hcb007200, ToC, net);
    second_parity(TablePrefix, net, 32'hcb007209, "the egress way's prefix");
  endtask

  // A flow that was begun under the floating IP stays in its network, whatever the vif says now.
  task automatic translated();
    hdr_t        h;
    logic        found;
    flow_t       flow;
    flow_addr_t  at;
    logic [31:0] index;
    verdict_t    v;
    put_default(1, 12, 0);
    h = udp(32'hc0000209);
    expect_to(h, NodeC, 1, "begun under the floating IP");
    find_flow(flow_key_t'{nh: 10, proto: 17, sip: Client, dip: h.dip, sport: h.key_sport, dport: 53}, found, flow, at);
    check(found && flow.snat && flow.dvrf == Out && flow.vrf == 1, "its entry");
    put_client(0, 0);
    expect_to(h, NodeC, 1, "it stays in its network");
    expect_drop(udp(32'hc0000209), DropDiscard, "another has no way");
    // The mapping is gone, and the egress way is another's: neither the one nor the other.
    put_default(Another, 12);
    put_client(1, Another);
    put(TableFipMap, 8, 384'(fip_map_t'{valid: 1, generation: 2, pod_ip: Client, vip: Public, default: '0}));
    expect_drop(h, DropFlowUnusable, "an entry of no use");
    expect_to(h, NodeB, 1, "it is gone");
    // In the same network it is replaced at once.
    put(TableFipMap, 8, 384'(fip_map_t'{valid: 1, generation: 3, pod_ip: Client, vip: Public, default: '0}));
    expect_to(h, NodeB, 1, "replaced");
    second_parity_default();
    put_client(0, 0);
  endtask

  task automatic second_parity_default();
    logic [383:0] entry;
    get(TableDefaultRoute, 32'(Another), entry);
    inject <= 1;
    @(posedge clk);
    put(TableDefaultRoute, 32'(Another), entry);
    expect_drop(udp(32'hc0000209), DropTableParity, "the egress way's default");
    repeat (8) @(posedge clk);
    check(parity_last == {TableDefaultRoute, 24'(Another)}, "which");
    put(TableDefaultRoute, 32'(Another), entry);
    expect_to(udp(32'hc0000209), NodeB, 1, "the egress way's default, after");
  endtask

  task automatic sources();
    logic [31:0] at;
    put_host(1, 32'h0a2f0106, 12, ServiceNo, '0, at);          // nobody may come from there
    put_default(1, 12, 0);
    expect_host(from_node(to_pod(Remote), NodeB), 4, "Strict: its tunnel");
    expect_drop(from_node(to_pod(Remote), NodeC), DropInvalidSource, "Strict: another");
    expect_drop(from_node(to_pod(32'h0a2f0106), NodeB), DropInvalidSource, "Strict: nobody's");
    expect_drop(from_node(to_pod(Outside + 1000), NodeB), DropInvalidSource, "Strict: no route");
    put_check(CheckOff, 0);
    expect_drop(from_node(to_pod(Remote), NodeC), DropInvalidSource, "a VRF that is not valid is strict");
    put_check(CheckLoose);
    expect_drop(from_node(to_pod(Remote), NodeC), DropInvalidSource, "Loose: unknown");
    put_source(source_set_t'(SourcesKnown), NodeC);
    expect_host(from_node(to_pod(Remote), NodeC), 4, "Loose: known");
    expect_drop(from_node(to_pod(32'h0a2f0106), NodeC), DropInvalidSource, "Loose: nobody's");
    expect_drop(from_node(to_pod(Outside + 1000), NodeC), DropInvalidSource, "Loose: no route");
    put_check(CheckOff);
    expect_host(from_node(to_pod(Remote), NodeA), 4, "Off");
    expect_host(from_node(to_pod(Outside + 1000), NodeA), 4, "Off: no route");
    expect_drop(from_node(to_pod(32'h0a2f0106), NodeB), DropInvalidSource, "Off: nobody's");
    put_check(CheckStrict);
    // Before what section 6 says.
    put(TableIlm, 43, 384'(ilm_t'{valid: 1, nh: 999, key_nh: 1, vrf: 1, service: 0}));
    expect_drop(from_node(to_pod(Remote), NodeC, 43), DropInvalidSource, "before the next hop");
    expect_drop(from_node(to_pod(Remote), NodeB, 43), DropInvalidNextHop, "the next hop");
  endtask

  // A reply by another tunnel: dropped, and moved if the source check lets it pass.
  task automatic moves();
    hdr_t h, back;
    logic [31:0] at;
    h    = udp(Remote);
    back = packet(0, 17, Remote, Client, 53, h.key_sport);
    expect_to(h, NodeB, 0, "a flow");
    expect_host(from_node(back, NodeB, 41), 3, "its reply");
    expect_drop(from_node(back, NodeC, 41), DropInvalidSource, "by another tunnel");
    expect_drop(from_node(back, NodeC, 41), DropInvalidSource, "which its source has not");
    expect_host(from_node(back, NodeB, 41), 3, "its reply, as before");
    put_source(Nodes, NodeC);
    expect_drop(from_node(back, NodeC, 41), DropInvalidSource, "by another of its source's");
    expect_host(from_node(back, NodeC, 41), 3, "it has moved");
    // By a floating IP's label the one look-up of a service is that of the destination: a far end with a floating IP is no service's.
    put_host(1, Caller, 12, ServiceReject, Nodes, at);
    put_service(6, Here, 80, 12, 22);
    put(TableEcmp, 110, 384'(ecmp_slot_t'{valid: 1, nh: 11, label: 5, local_: 1, slot: 0, generation: 1, default: '0}));
    h = packet(0, 6, Caller, Here, fresh(), 80);
    h.tcp_syn = 1;
    expect_host(from_node(h, NodeB, 42), 4, "a floating IP that calls another by its label");
    expect_drop(from_node(h, NodeC, 42), DropInvalidSource, "by another of its tunnels");
    expect_host(from_node(h, NodeC, 42), 4, "it has moved, too");
  endtask

  initial begin
    repeat (4) @(posedge clk);
    rst <= 0;
    @(posedge clk);
    while (clearing) @(posedge clk);
    program_tables();
    the_node();
    services();
    labels();
    egress();
    translated();
    sources();
    moves();
    $display("PASS ps_match_ways_tb: %0d checks", checks);
    $finish;
  end

  initial begin
    #3000000;
    $display("FAILED: time out");
    $fatal(1);
  end

endmodule
