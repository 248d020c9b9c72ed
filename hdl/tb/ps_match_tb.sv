// Bench of ps_match: the chapter's case (client to VIP, remote and local member, reply), pinning, table access,
// counters, full rows, floods and clearing. Checksums are checked against full recomputation. Prints PASS or stops.
module ps_match_tb
  import ps_abi_pkg::*;
  import ps_types_pkg::*;
;

  `include "hdl/tb/ps_match_bench.svh"

  // --- Scenarios
  logic [15:0] local_sport, remote_sport;

  task automatic chapter();
    hdr_t        h;
    verdict_t    v;
    flow_t       flow, partner;
    flow_key_t   key, reverse_key;
    logic        found, local_seen = 0, remote_seen = 0;
    flow_addr_t  index, partner_index;
    logic [383:0] value;
    flow_stats_t stats;

    for (logic [15:0] sport = 40000; sport < 40032; sport++) begin
      h = packet(3, 6, Client, Vip, sport, 8888);
      h.tcp_syn = 1;
      pass(h, v);
      key = '{nh: 10, proto: 6, sip: Client, dip: Vip, sport: sport, dport: 8888};
      check(v.ttl_proto == {8'd63, 8'd6}, "TTL");
      if (v.dst == DstFabric) begin
        check_packet(h, v, Client, Vip, sport, 8888, "remote member");
        check(v.encap == EncapUdp && v.label == 25 && v.outer_sip == NodeA && v.outer_dip == NodeB &&
              v.mpls_ttl == 63 && v.dmac == 48'h5 && v.smac == 48'h2, "tunnel header");
        check(v.outer_id == (16'hbeef ^ 16'(public_hash(key))) &&
              v.entropy == 16'hc000 + 16'(32'(public_hash(key) >> 18) * EntropyPorts >> 14), "identification, entropy");
        remote_seen  = 1;
        remote_sport = sport;
      end else begin
        check(v.dst == DstHost && v.out_vif == 4 && v.encap == EncapL2 && v.dmac == 48'h4, "local member's vif");
        check_packet(h, v, Client, Backend, sport, 80, "local member");
        local_seen  = 1;
        local_sport = sport;
      end
    end
    check(local_seen && remote_seen, "both members take flows");
    get(TableCardStats, CounterFlowsLearned, value);
    check(value == 32, "flows learned");
    get(TableCardStats, CounterFlowsInUse, value);
    check(value == 64, "flows in use");

    // The pair of the local flow.
    key         = '{nh: 10, proto: 6, sip: Client, dip: Vip, sport: local_sport, dport: 8888};
    reverse_key = '{nh: 11, proto: 6, sip: Backend, dip: Client, sport: 80, dport: local_sport};
    find_flow(key, found, flow, index);
    check(found && flow.dnat && flow.dpat && !flow.snat && !flow.spat && !flow.hairpin && !flow.reverse &&
          flow.map_valid && flow.map == 5 && flow.map_generation == 3 && flow.ecmp_valid && flow.ecmp_slot == 1 &&
          flow.ecmp_generation == 9 && flow.generation == 1 && flow.vrf == 1 && flow.dvrf == 1 &&
          flow.src_info == 3 && flow.rpf_nh == 10, "forward entry");
    find_flow(reverse_key, found, partner, partner_index);
    check(found && partner.snat && partner.spat && !partner.dnat && partner.reverse && partner.map == 5 &&
          !partner.ecmp_valid && partner.pair == flow.pair && partner.generation == 1 &&
          partner.src_info == 4 && partner.rpf_nh == 20, "reverse entry");
    get(TableFlowStats, 32'(index), value);
    stats = flow_stats_t'(value[FlowStatsBits-1:0]);
    check(stats.packets == 1 && stats.bytes == 74 && stats.tcp == 4'b0001 && stats.last_hit >= 5, "statistics");

    // The reply, translated back; then the handshake's third packet.
    h = packet(4, 6, Backend, Client, 80, local_sport);
    h.tcp_syn = 1;
    h.tcp_ack = 1;
    pass(h, v);
    check(v.dst == DstHost && v.out_vif == 3, "reply's vif");
    check_packet(h, v, Vip, Client, 8888, local_sport, "reply");
    h = packet(3, 6, Client, Vip, local_sport, 8888);
    h.tcp_ack = 1;
    pass(h, v);
    check_packet(h, v, Client, Backend, local_sport, 80, "third packet");
    get(TableFlowStats, 32'(index), value);
    stats = flow_stats_t'(value[FlowStatsBits-1:0]);
    check(stats.packets == 2 && stats.bytes == 148 && stats.tcp == 4'b1001, "established");
    get(TableFlowStats, 32'(partner_index), value);
    stats = flow_stats_t'(value[FlowStatsBits-1:0]);
    check(stats.packets == 1 && stats.tcp == 4'b0001, "partner's statistics");
    get(TableCardStats, CounterFlowsLearned, value);
    check(value == 32, "nothing learned twice");

    // From another node, by label, to the same backend.
    h = tunnelled(packet(0, 6, 32'h0a2ffff0, Vip, 50000, 8888), 40);
    pass(h, v);
    check(v.dst == DstHost && v.out_vif == 4 && v.strip == 46 && v.ttl_proto == {8'd64, 8'd6}, "decapsulated");
    check_packet(h, v, 32'h0a2ffff0, Backend, 50000, 80, "from the fabric");
    h = packet(4, 6, Backend, 32'h0a2ffff0, 80, 50000);
    pass(h, v);
    check(v.dst == DstFabric && v.label == 31, "longest prefix");
    check_packet(h, v, Vip, 32'h0a2ffff0, 8888, 50000, "reply to the fabric");
  endtask

  // Group changes: flows keep their member until it is gone.
  task automatic pinning();
    hdr_t     h, r;
    verdict_t v;
    logic [383:0] value;
    h = packet(3, 6, Client, Vip, local_sport, 8888);
    r = packet(3, 6, Client, Vip, remote_sport, 8888);
    // One slot more at another base: pinned by slot and generation.
    put(TableEcmp, 200, 384'(ecmp_slot_t'{valid: 1, nh: 12, label: 25, slot: 0, generation: 7, default: '0}));
    put(TableEcmp, 201, 384'(ecmp_slot_t'{valid: 1, drain: 1, nh: 11, label: 5, local_: 1, slot: 1, generation: 9, default: '0}));
    put(TableEcmp, 202, 384'(ecmp_slot_t'{valid: 1, nh: 12, label: 27, slot: 0, generation: 7, default: '0}));
    put(TableNextHop, 20, 384'(next_hop_t'{valid: 1, kind: NhComposite, base: 200, slots: 2, live: 1, hash_fields: 5'h1f, default: '0}));
    pass(h, v);
    check(v.dst == DstHost && v.out_vif == 4, "draining member keeps its flow");
    pass(r, v);
    check(v.dst == DstFabric && v.label == 25, "the other too");
    h.key_sport++;
    // A new flow never goes to the draining one.
    for (int i = 0; i < 16; i++) begin
      h = packet(3, 6, Client, Vip, 16'(50000 + i), 8888);
      pass(h, v);
      check(v.dst == DstFabric, "drained");
    end
    // The member leaves a hole: the flow moves, and its pair is rewritten.
    put(TableEcmp, 201, '0);
    h = packet(3, 6, Client, Vip, local_sport, 8888);
    pass(h, v);
    check(v.dst == DstFabric, "moved");
    check_packet(h, v, Client, Vip, local_sport, 8888, "moved flow");
    get(TableCardStats, CounterFlowsRepinned, value);
    check(value == 1, "re-pinned");
    get(TableCardStats, CounterFlowsInUse, value);
    check(value == 66 + 32 + 0, $sformatf("flows in use after the move: %0d", value));
    pass(h, v);
    get(TableCardStats, CounterFlowsRepinned, value);
    check(value == 1, "re-pinned once");
  endtask

  task automatic drops();
    hdr_t     h;
    verdict_t v;
    h = packet(3, 17, Client, 32'h08080808, 1, 2);
    expect_drop(h, DropDiscard, "no route");
    h = packet(3, 17, Backend, Client, 1, 2);
    expect_drop(h, DropInvalidSource, "source address");
    h = packet(3, 17, Client, Backend, 1, 2);
    h.ttl = 1;
    expect_drop(h, DropTtlExceeded, "TTL");
    h = packet(9, 17, Client, Backend, 1, 2);
    expect_drop(h, DropInvalidIf, "no such vif");
    h = tunnelled(packet(0, 17, Client, Backend, 1, 2), 99);
    expect_drop(h, DropInvalidLabel, "label");
    h = tunnelled(packet(0, 17, Client, Vip, 1, 2), 40);
    h.outer_sip = 32'h0aa91917;
    expect_drop(h, DropInvalidSource, "by a tunnel from where it is not");
    h = tunnelled(packet(0, 17, 32'h0a2ffff0, Vip, 1, 2), 40);
    expect_drop(h, DropNoFipPortMap, "not mapped");
    h.frag = 1;
    expect_drop(h, DropFragments, "fragment");
    enable = 0;
    expect_drop(h, DropDisabled, "disabled");
    enable = 1;
    h = packet(3, 17, Client, 32'h0b000001, 1, 2);
    pass(h, v);
    check(v.dst == DstFw && v.raw && v.trap_reason == TrapReject && v.in_vif == 3, "reject");
    pass(packet(3, 6, Client, Vip, 1, 8889), v);
    check(v.dst == DstFw && v.raw && v.trap_reason == TrapReject, "a port that the service does not have");
    h = '0;
    h.src = SrcHost;
    h.vif = 3;
    h.is_arp = 1;
    pass(h, v);
    check(v.dst == DstFw && v.raw && v.trap_reason == TrapArp, "ARP");
    h.vif = 1;
    pass(h, v);
    check(v.dst == DstFabric && v.raw, "vhost to fabric");
    h.src = SrcFabric;
    h.vif = 0;
    pass(h, v);
    check(v.dst == DstHost && v.raw && v.out_vif == 1, "fabric to vhost");
  endtask

  // A packet every cycle, counters exact.
  task automatic burst();
    hdr_t        h;
    logic [383:0] rx0, rx1, tx0, tx1, c0, c1, value;
    int          sent = 0, seen = 0;
    flow_t       flow;
    logic        found;
    flow_addr_t  index;
    get(TableVifStats, 3, rx0);
    get(TableVifStats, 0, tx0);
    get(TableCardStats, CounterFlowsLearned, c0);
    h = packet(3, 6, Client, Vip, 60000, 8888);
    fork
      begin
        for (int i = 0; i < 200; i++) begin
          hdr       <= h;
          hdr_valid <= 1;
          fw_tx_valid <= i < 5;
          trap_drop_valid <= i < 3;
          @(posedge clk);
        end
        hdr_valid <= 0;
      end
      repeat (300) begin
        @(posedge clk);
        if (verdict_valid) begin
          seen++;
          check(verdict.dst == DstFabric, "burst verdict");
        end
      end
    join
    check(seen == 200, "a verdict each");
    while (busy) @(posedge clk);
    get(TableVifStats, 3, rx1);
    get(TableVifStats, 0, tx1);
    get(TableCardStats, CounterFlowsLearned, c1);
    check(c1 == c0 + 1, "learned once");
    check(rx1[47:0] == rx0[47:0] + 200 && rx1[95:48] == rx0[95:48] + 200 * 74, "rx counters");
    check(rx1[143:96] == rx0[143:96] + 5 && rx1[191:144] == rx0[191:144] + 300, "firmware's tx");
    check(rx1[239:192] == rx0[239:192] + 3, "trap drops");
    check(tx1[143:96] == tx0[143:96] + 200 && tx1[191:144] == tx0[191:144] + 200 * 106, "tx counters");
    get(TableCardStats, CounterFirmwareTx, value);
    check(value == 5, "frames of the firmware");
    get(TableDropStats, DropTrapQueueFull, value);
    check(value == 3, "trap queue full");
    // The statistics of a known flow at one packet a cycle.
    find_flow('{nh: 10, proto: 6, sip: Client, dip: Vip, sport: 60000, dport: 8888}, found, flow, index);
    check(found, "flow of the burst");
    get(TableFlowStats, 32'(index), c0);
    for (int i = 0; i < 100; i++) begin
      hdr_valid <= 1;
      @(posedge clk);
    end
    hdr_valid <= 0;
    @(posedge clk);
    while (busy) @(posedge clk);
    get(TableFlowStats, 32'(index), c1);
    check(c1[31:0] == c0[31:0] + 100 && c1[71:32] == c0[71:32] + 7400, "flow counters at full rate");
    put(TableVifStats, 3, '0);
    get(TableVifStats, 3, value);
    check(value == 0, "vif counters cleared");
    // The host deletes the flow.
    get(TableCardStats, CounterFlowsInUse, c0);
    put(TableFlow, 32'(index), '0);
    get(TableCardStats, CounterFlowsInUse, c1);
    check(c1 == c0 - 2, "deleted with its partner");
    get(TableFlow, 32'(index), value);
    check(value == 0, "gone");
  endtask

  // Statistics are read though a packet counts in every cycle, but for those that the card asks to be left free.
  task automatic read_under_load();
    hdr_t         h = packet(3, 6, Client, Vip, 60001, 8888);
    verdict_t     v;
    flow_t        flow;
    logic         found, done = 0;
    flow_addr_t   index;
    logic [383:0] value;
    int           gaps = 0, waited = 0, last = 0;
    pass(h, v);
    find_flow('{nh: 10, proto: 6, sip: Client, dip: Vip, sport: 60001, dport: 8888}, found, flow, index);
    check(found, "flow under load");
    fork
      while (!done) begin
        hdr       <= h;
        hdr_valid <= !gap;
        gaps      += 32'(gap);
        @(posedge clk);
        waited++;
        check(waited < 4000, "a read of statistics ends");
      end
      begin
        repeat (200) @(posedge clk);
        for (int n = 0; n < 8; n++) begin
          get(TableFlowStats, 32'(index), value);
          check(value[31:0] > last, "it goes on counting");
          last = value[31:0];
        end
        done = 1;
      end
    join
    hdr_valid <= 0;
    @(posedge clk);
    while (busy) @(posedge clk);
    check(gaps >= 8 && gaps <= 32, $sformatf("%0d gaps for 8 reads", gaps));
  endtask

  // A packet to the service in every cycle, but for those that the card asks to be left free and that come when the way through entry
  // and parser is over. The host writes group words and next hops meanwhile, and reads them: it does not wait for long, and each packet
  // meets the old entry or the new one.
  task automatic write_under_load();
    localparam int Arrival = 20;
    localparam int Writes  = 60;
    hdr_t         h = packet(3, 6, Client, Vip, remote_sport, 8888);
    verdict_t     v;
    logic [383:0] value;
    logic         done = 0;
    logic [Arrival-1:0] asked = '0;
    logic [19:0]  old_label = 20'd25, new_label = 20'd25;
    logic [47:0]  old_mac = 48'h5, new_mac = 48'h5;
    ecmp_slot_t   slot = '{valid: 1, nh: 12, label: 25, slot: 0, generation: 7, default: '0};
    next_hop_t    tunnel = '{valid: 1, kind: NhTunnel, sip: NodeA, dip: NodeB, dmac: 48'h5, smac: 48'h2, default: '0};
    int           sent = 0, seen = 0, gaps = 0, labels = 0, started, cycles, now = 0;
    h.tcp_ack = 1;
    pass(h, v);
    check(v.dst == DstFabric && v.label == 25, "the remote member");
    fork
      while (!done) begin
        hdr       <= h;
        hdr_valid <= !asked[Arrival-1];
        sent      += 32'(!asked[Arrival-1]);
        gaps      += 32'(gap);
        asked     = {asked[Arrival-2:0], gap};
        @(posedge clk);
        now++;
        check(now < 20000, "writes end");
        if (verdict_valid) begin
          seen++;
          check(verdict.dst == DstFabric && (verdict.label == old_label || verdict.label == new_label) &&
                (verdict.dmac == old_mac || verdict.dmac == new_mac),
                $sformatf("a packet meets label %0d, address %h", verdict.label, verdict.dmac));
          if (verdict.label == new_label && new_label != old_label) labels++;
        end
      end
      begin
        repeat (200) @(posedge clk);
        for (int n = 0; n < Writes; n++) begin
          int from = now;
          if (n % 3 == 2) begin
            tunnel.dmac = 48'(100 + n);
            new_mac     = tunnel.dmac;
            put(TableNextHop, 12, 384'(tunnel));
          end else begin
            slot.label = 20'(100 + n);
            new_label  = slot.label;
            put(TableEcmp, 100, 384'(slot));
          end
          check(now - from <= (n == 0 ? 120 : 30), $sformatf("write %0d took %0d cycles", n, now - from));
          // All that come now meet the new one.
          repeat (ps_match_pkg::MatchCycles) @(posedge clk);
          old_label = new_label;
          old_mac   = new_mac;
        end
        get(TableEcmp, 100, value);
        check(value == 384'(slot), "a group's word reads as it was written");
        get(TableNextHop, 12, value);
        check(value == 384'(tunnel), "so does a next hop");
        // As the ring has it: one after the other.
        started = now;
        for (int n = 0; n < Writes; n++) begin
          put(TableEcmp, 150 + n, 384'(slot));
          repeat (4) @(posedge clk);
        end
        cycles = now - started;
        done   = 1;
      end
    join
    hdr_valid <= 0;
    repeat (ps_match_pkg::MatchCycles + 2) begin
      @(posedge clk);
      if (verdict_valid) seen++;
    end
    check(seen == sent, $sformatf("%0d verdicts of %0d headers", seen, sent));
    check(labels > 0 && gaps >= Writes, $sformatf("%0d gaps", gaps));
    check(cycles <= Writes * 20, $sformatf("%0d writes took %0d cycles", Writes, cycles));
    $display("%0d writes of group words in %0d cycles, a packet in every other one, with %0d gaps", Writes, cycles, gaps);
    while (busy) @(posedge clk);
    put(TableEcmp, 100, 384'(ecmp_slot_t'{valid: 1, nh: 12, label: 25, slot: 0, generation: 7, default: '0}));
    put(TableNextHop, 12, 384'(next_hop_t'{valid: 1, kind: NhTunnel, sip: NodeA, dip: NodeB, dmac: 48'h5, smac: 48'h2, default: '0}));
  endtask

  task automatic refusals();
    cfg_rsp_t rsp;
    access(0, 8'(ps_match_pkg::TableCount), 0, '0, rsp);
    check(rsp.status == StBadTable, "bad table");
    access(0, 8'd255, 0, '0, rsp);
    check(rsp.status == StBadTable, "bad table");
    for (logic [7:0] t = 0; t < 8'(ps_match_pkg::TableCount); t++) begin
      access(0, t, table_depth(t), '0, rsp);
      check(rsp.status == StBadIndex, "bad index");
      access(0, t, table_depth(t) - 1, '0, rsp);
      check(rsp.status == StOk && rsp.rdata == '0, $sformatf("last entry of table %0d: %h", t, rsp.rdata));
    end
    access(1, TableFlowStats, 0, '0, rsp);
    check(rsp.status == StNotPermitted, "statistics are read only");
    access(1, TableFlowShareStats, 0, '0, rsp);
    check(rsp.status == StNotPermitted, "nor is what shares have written");
    access(1, TableFlow, 0, 384'd1, rsp);
    check(rsp.status == StNotPermitted, "flows are the card's");
    access(1, TableAffinity, 0, 384'd1, rsp);
    check(rsp.status == StNotPermitted, "so are clients");
    access(1, TableAffinity, 0, '0, rsp);
    check(rsp.status == StOk, "they are deleted");
  endtask

  // Every table keeps what is written, to its full width.
  task automatic readback();
    logic [383:0] pattern, value;
    int unsigned  width[21] = '{VifBits, IlmBits, NextHopBits, EcmpSlotBits, HostRouteBits, PrefixBits, FipKeyBits,
                                FipMapBits, 0, 0, VifStatsBits, CounterBits, CounterBits, DefaultRouteBits, PrefixLengthBits, VrfBits, ServiceKeyBits,
                                TunnelSourceBits, PlainFipBits, FlowShareBits, 0};
    for (int t = 0; t < 21; t++) begin
      if (width[t] == 0) continue;
      for (int i = 0; i < 12; i++) pattern[i*32 +: 32] = 32'hdeadbeef * (i + t + 1);
      put(8'(t), table_depth(8'(t)) - 3, pattern);
      get(8'(t), table_depth(8'(t)) - 3, value);
      check(value == (pattern & ((384'd1 << width[t]) - 384'd1)), $sformatf("table %0d reads %h", t, value));
      put(8'(t), table_depth(8'(t)) - 3, '0);
    end
  endtask

  // Keys that share their rows in all four ways, forward and reverse, under the secret that takes the card's own constants away: what
  // they differ in is multiplied by 0.
  function automatic hdr_t colliding(input int n);
    colliding = tunnelled(packet(0, 17, 32'h0a2f0001, Backend, 16'd100, 16'((n + 1) << 8)), 40);
  endfunction

  // Sixteen slots to a key; what finds no room is forwarded and counted, and gets the first slot that is freed.
  task automatic full_rows();
    hdr_t         h;
    verdict_t     v;
    flow_t        flow;
    flow_key_t    key;
    logic         found;
    flow_addr_t   index, freed;
    logic [383:0] value;
    for (int n = 0; n < 17; n++) begin
      h   = colliding(n);
      key = '{nh: 11, proto: 17, sip: h.sip, dip: Backend, sport: h.key_sport, dport: h.key_dport};
      check(flow_hash({8'd0, key}, hash_key) == flow_hash({8'd0, key} & ~(128'hff << 112), hash_key), "rows that collide");
      pass(h, v);
      check(v.dst == DstHost && v.out_vif == 4, "forwarded, room or not");
      find_flow(key, found, flow, index);
      check(found == (n < 16), "sixteen entries to a key");
      if (n == 6) freed = index;
    end
    get(TableCardStats, CounterFlowTableFull, value);
    check(value == 1 && fulls == 1, "table full");
    check_known();
    put(TableFlow, 32'(freed), '0);
    check_known();
    pass(colliding(16), v);
    find_flow(key, found, flow, index);
    check(found, "the freed slot");
    check_known();
  endtask

  // More new flows at once than the queue holds: all are forwarded, the rest are learned with their next packet.
  task automatic flood();
    verdict_t     v;
    logic [383:0] learned0, learned1, deferred;
    get(TableCardStats, CounterFlowsLearned, learned0);
    for (int i = 0; i < 300; i++) begin
      hdr       <= packet(3, 17, Client, Backend, 16'(20000 + i), 53);
      hdr_valid <= 1;
      @(posedge clk);
    end
    hdr_valid <= 0;
    @(posedge clk);
    while (busy) @(posedge clk);
    get(TableCardStats, CounterFlowsLearned, learned1);
    get(TableCardStats, CounterLearnDeferred, deferred);
    check(deferred > 0 && learned1 - learned0 + deferred == 300, "learned or deferred");
    for (int i = 0; i < 300; i++) pass(packet(3, 17, Client, Backend, 16'(20000 + i), 53), v);
    get(TableCardStats, CounterFlowsLearned, learned1);
    check(learned1 - learned0 == 300, "learned with the next packet");
    check_known();
  endtask

  initial begin
    repeat (4) @(posedge clk);
    rst <= 0;
    @(posedge clk);
    while (clearing) @(posedge clk);
    refusals();
    readback();
    program_tables();
    chapter();
    write_under_load();
    pinning();
    drops();
    burst();
    read_under_load();
    clear_all();
    refusals();
    begin
      logic [383:0] value;
      for (int i = 0; i < 16; i++) begin
        get(TableCardStats, i, value);
        check(value == 0, "cleared");
      end
    end
    hash_key = FlowSecretBase;
    clear_all();
    program_tables();
    full_rows();
    hash_key = {6{32'h9d2c5680}};
    clear_all();
    program_tables();
    chapter();
    flood();
    $display("PASS ps_match_tb: %0d checks", checks);
    $finish;
  end

  initial begin
    #2000000;
    $display("FAILED: time out");
    $fatal(1);
  end

endmodule
