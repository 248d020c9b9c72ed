// Bench of ps_match: entries that stand with the wrong parity, table by table. A packet that needs one is dropped and the error told of;
// reading it says so; written again it is as before. Prints PASS or stops.
module ps_match_parity_tb
  import ps_abi_pkg::*;
  import ps_types_pkg::*;
;

  `include "hdl/tb/ps_match_bench.svh"

  always @(posedge clk) if (injected) inject <= 0;

  task automatic expect_pass(input hdr_t h, input string what);
    verdict_t v;
    logic [31:0] count0 = parity_errors;
    pass(h, v);
    check(v.dst != DstDrop, {what, ": forwarded"});
    check(parity_errors == count0, {what, ": no errors"});
  endtask

  // Writes an entry again as it is, with the wrong parity.
  task automatic damage(input logic [7:0] id, input logic [31:0] index, output logic [383:0] entry);
    cfg_rsp_t rsp;
    logic [31:0] count0 = parity_errors;
    get(id, index, entry);
    inject <= 1;
    @(posedge clk);
    put(id, index, entry);
    check(!inject, "used up by one write");
    access(0, id, index, '0, rsp);
    check(rsp.status == StParity, $sformatf("table %0d index %0d: status %0d", id, index, rsp.status));
    repeat (8) @(posedge clk);
    check(parity_errors == count0 + 1 && parity_last == {id, index[23:0]}, "a read that is told of");
  endtask

  // The packet passes but for the time in which the entry is damaged.
  task automatic scenario(input logic [7:0] id, input logic [31:0] index, input hdr_t h, input string what);
    logic [383:0] entry;
    logic [31:0]  count0;
    expect_pass(h, {what, ", before"});
    damage(id, index, entry);
    count0 = parity_errors;
    for (int i = 0; i < 3; i++) begin
      expect_drop(h, DropTableParity, what);
      repeat (8) @(posedge clk);
      check(parity_errors > count0 && parity_last == {id, index[23:0]},
            $sformatf("%s: %0d errors, last %h", what, parity_errors - count0, parity_last));
      count0 = parity_errors;
    end
    put(id, index, entry);
    expect_pass(h, {what, ", after"});
  endtask

  function automatic logic [31:0] route_index(input logic [31:0] ip, input logic way);
    logic [63:0] h = key_hash({84'd0, ip, 12'd1});
    route_index = 32'({way, h[way*HostRouteRowsLog2 +: HostRouteRowsLog2], 2'd3});
  endfunction

  function automatic logic [31:0] key_index(input fip_key_t key);
    logic [63:0] h = key_hash({64'd0, key[64:1]});
    key_index = 32'({1'b1, h[FipKeyRowsLog2 +: FipKeyRowsLog2], 2'd2});
  endfunction

  // A new connection to the service whose member is local, or the other; what it chooses depends on its port.
  function automatic hdr_t to_member(input logic local_member, input logic [15:0] from);
    logic [31:0] h;
    for (logic [15:0] port = from; ; port++) begin
      to_member = packet(3, 6, Client, Vip, port, 8888);
      to_member.tcp_syn = 1;
      h = member_hash({24'd0, 16'd8888, port, Vip, Client, 8'd6});
      // Of two slots; the lists of both are the same.
      if (h[31] == local_member) return to_member;
    end
  endfunction

  function automatic logic [31:0] plain_index(input plain_fip_t of);
    logic [63:0] h = key_hash({88'd0, of[40:1]});
    plain_index = 32'({1'b0, h[PlainFipRowsLog2-1:0], 2'd1});
  endfunction

  function automatic hdr_t from_node(input logic [15:0] port, input logic [31:0] ip, input logic [15:0] to);
    from_node = tunnelled(packet(0, 6, 32'h0a2ffff0, ip, port, to), 40);
    from_node.tcp_syn = 1;
  endfunction

  hdr_t         direct, out, tunnel, call, other;
  plain_fip_t   plain;
  logic [63:0]  spread, place;
  logic [383:0] entry;
  cfg_rsp_t     response;
  fip_key_t     key;
  verdict_t     v;
  logic [31:0]  count0;

  initial begin
    repeat (4) @(posedge clk);
    rst <= 0;
    @(posedge clk);
    while (clearing) @(posedge clk);
    program_tables();

    direct = packet(3, 17, Client, Backend, 5000, 6000);
    out    = packet(3, 17, Client, 32'h0a2f0102, 5000, 6000);
    tunnel = tunnelled(packet(0, 17, 32'h0a2ffff0, Backend, 5001, 6000), 40);
    scenario(TableVif, 3, direct, "the vif that it comes by");
    scenario(TableVif, 4, direct, "the vif that it goes to");
    scenario(TableVif, 0, tunnel, "the fabric");
    scenario(TableIlm, 40, tunnel, "its label");
    scenario(TableHostRoute, route_index(Backend, 1), direct, "its host route");
    scenario(TableNextHop, 11, direct, "its next hop");
    scenario(TableNextHop, 12, out, "its tunnel");

    place  = key_hash({84'd0, 32'h0a2f0000, 12'd1});
    spread = key_hash({84'd0, 8'h0a, 24'd0, 12'd1});
    scenario(TablePrefix, 32'({3'd5 ^ spread[PrefixWays*PrefixRowsLog2 +: 3], 1'b0, place[0 +: PrefixRowsLog2], 2'd1}), out,
             "its prefix");
    put(TableDefaultRoute, 1, 384'(default_route_t'{valid: 1, nh: 12, label: 77, label_valid: 1, sources: Nodes}));
    scenario(TableDefaultRoute, 1, packet(3, 17, Client, 32'hc0000201, 5000, 6000), "its default route");
    // From another node: what tells that its source is on this one.
    put_route(32'h0a2ffff0, 12, 1, 90, 0);
    scenario(TableHostRoute, route_index(32'h0a2ffff0, 0), tunnel, "its source's route");

    // Through the group: its next hop, its member, both words.
    call  = to_member(1, 40000);
    other = to_member(0, 41000);
    pass(call, v);
    check(v.dst == DstHost && v.out_vif == 4, "a call to the local member");
    pass(other, v);
    check(v.dst == DstFabric, "a call to the other");
    call.tcp_syn = 0;
    call.tcp_ack = 1;
    other.tcp_syn = 0;
    other.tcp_ack = 1;
    scenario(TableNextHop, 20, call, "its group");
    scenario(TableNextHop, 11, call, "its member");
    scenario(TableNextHop, 12, other, "its member in a tunnel");
    scenario(TableEcmp, 101, call, "its pinned slot");
    // The list counts for a packet only if no slot does.
    damage(TableEcmp, 103, entry);
    pass(call, v);
    check(v.dst == DstHost, "the list, for a pinned flow");
    put(TableEcmp, 103, entry);
    scenario(TableEcmp, 101, to_member(1, 42000), "its slot");

    // Its mapping, with its flow and without.
    scenario(TableFipMap, 5, call, "its flow's mapping");
    key   = '{valid: 1, vif: 4, proto: 6, ip: Vip, port: 8888, map: 5};
    damage(TableFipKey, key_index(key), entry);
    expect_drop(from_node(43000, Vip, 8888), DropTableParity, "its key");
    put(TableFipKey, key_index(key), entry);
    expect_pass(from_node(43000, Vip, 8888), "its key, after");
    plain = '{valid: 1, vif: 4, ip: 32'hcb007105, map: 6};
    put(TableFipMap, 6, 384'(fip_map_t'{valid: 1, pod_ip: Backend, vip: 32'hcb007105, default: '0}));
    put(TablePlainFip, plain_index(plain), 384'(plain));
    expect_pass(from_node(43001, 32'hcb007105, 53), "a floating IP without port map");
    damage(TablePlainFip, plain_index(plain), entry);
    expect_drop(from_node(43001, 32'hcb007105, 53), DropTableParity, "its row");
    check(parity_last == {TablePlainFip, 24'(plain_index(plain))}, "a floating IP's row");
    put(TablePlainFip, plain_index(plain), entry);
    expect_pass(from_node(43001, 32'hcb007105, 53), "its row, after");

    // What names the service, and who may send.
    scenario(TableVrf, 1, call, "its VRF");
    scenario(TableServiceKey, service_index('{valid: 1, net: 1, proto: 6, ip: Vip, port: 8888, nh: 20, local_: 0, affinity: 0}), call, "its service");
    other      = tunnelled(packet(0, 17, 32'h0a2ffff0, Backend, 0, 0), 40);
    other.frag = 1;
    place      = key_hash({82'd0, NodeB, Nodes});
    scenario(TableTunnelSource, 32'({1'b0, place[TunnelSourceRowsLog2-1:0], 2'd1}), other, "where it may come from");
    damage(TableFipMap, 5, entry);
    expect_drop(to_member(1, 44000), DropTableParity, "its mapping");
    check(parity_last == {TableFipMap, 24'd5}, "a new flow's mapping");
    put(TableFipMap, 5, entry);
    expect_pass(to_member(1, 44000), "its mapping, after");
    // A reply without its flow, by its source's key.
    key   = '{valid: 1, vif: 4, proto: 6, ip: Backend, port: 80, map: 5};
    put(TableFipKey, key_index(key), 384'(key));
    other = packet(4, 6, Backend, Client, 80, 47000);
    other.tcp_syn = 1;
    scenario(TableFipKey, key_index(key), other, "its source's key");

    // A share sets no limit then; the card looks at it by itself.
    entry = 384'(flow_share_t'{valid: 1, pairs: 1, default: '0});
    put(TableFlowShare, 3, entry);
    expect_drop(to_member(1, 48000), DropFlowQuota, "a share");
    inject <= 1;
    @(posedge clk);
    count0 = parity_errors;
    put(TableFlowShare, 3, entry);
    repeat (8) @(posedge clk);
    check(parity_errors == count0 + 1 && parity_last == {TableFlowShare, 24'd3}, "a share is looked at");
    expect_pass(to_member(1, 48000), "a share sets no limit");
    access(0, TableFlowShare, 3, '0, response);
    check(response.status == StParity, "a share is read");
    put(TableFlowShare, 3, entry);
    expect_drop(to_member(1, 49000), DropFlowQuota, "a share, after");

    // What has no parity takes no notice, and uses the request up.
    inject <= 1;
    @(posedge clk);
    put(TablePrefixLength, 7, 384'(prefix_length_t'{valid: 1, len: 8}));
    check(!inject, "used up");
    access(0, TablePrefixLength, 7, '0, response);
    check(response.status == StOk, "no parity");
    // Nor does a read use it up.
    inject <= 1;
    @(posedge clk);
    get(TableIlm, 40, entry);
    check(inject, "not used up");
    $display("PASS ps_match_parity_tb: %0d checks", checks);
    $finish;
  end

  initial begin
    #2000000;
    $display("FAILED: time out");
    $fatal(1);
  end

endmodule
