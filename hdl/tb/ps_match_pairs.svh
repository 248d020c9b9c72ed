// Part of ps_match_admission_tb: which packets get a pair, and which pairs are in the way of others or dead.

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
    logic         found;
    flow_addr_t   index;
    logic [383:0] value;
    int           used0, used1;
    hdr_t         known = direct(17, 42100);
    pass(known, v);
    pass(flags(direct(6, 42101), Syn), v);
    pass(flags(direct(6, 42102), Syn), v);
    pass(flags(reply(6, 42102), Rst | Ack), v);
    find_flow(key_of(11, reply(6, 42102)), found, flow, index);
    check(found, "a connection that is over");
    counter(CounterFlowsInUse, used0);
    // The packet that asks counts nowhere, so a read that waits by then is answered before the question has come to the engine. Both
    // wait only if the question comes while the engine still looks up whose statistics the host wants: for some 20 cycles, at one of
    // these distances.
    for (int ahead = 0; ahead < 100; ahead += 10) begin
      fork
        begin
          // Nothing but packets that count besides, whatever the card asks for, for so long that both would wait.
          for (int sent = 0; sent < 250; sent++) begin
            hdr       <= sent == 100 - ahead ? flags(to_service(6, 42101), Syn) : known;
            hdr_valid <= 1;
            @(posedge clk);
          end
          hdr_valid <= 0;
        end
        begin
          repeat (100) @(posedge clk);
          get(TableFlowStats, 32'(index), value);
        end
      join
      while (busy) @(posedge clk);
      check(value[31:0] == 1 && value[72 + TcpRstBit], "statistics of the one that is over");
    end
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
        put_policy(learn_policy_e'(from_fabric != 0 ? 0 : policy), learn_policy_e'(from_fabric != 0 ? policy : 0));
        counter(CounterFlowsInUse, used0);
        h = from_fabric != 0 ? by_tunnel(packet(0, 6, Remote, One, port, Service), 40, NodeB) : to_service(6, port);
        if (policy == 2) begin
          expect_drop(h, DropLearnOff, "translated, of a vif that must not learn");
        end else begin
          pass(h, v);
          check(to_pod(v) && v.dip_en, "translated");
        end
        port++;
        h = from_fabric != 0 ? by_tunnel(packet(0, 17, Remote, Backend, port, 80), 40, NodeB) : direct(17, port);
        pass(h, v);
        check(to_pod(v), "plain");
        expect_flow(key_of(from_fabric != 0 ? 11 : 10, h), policy == 0 || policy == 3, flow, "plain, learned or not");
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

  // What a vif or a tunnel may have of the table: of a packet from a vif that vif's share counts, of one from the fabric that of the vif to
  // which it goes and that of its tunnel.
  task automatic shares();
    hdr_t       h;
    verdict_t   v;
    flow_t      flow;
    flow_addr_t index;
    logic       found;
    int         deferred0, deferred1;
    flow_share_stats_t client, backend, node, now;
    logic [31:0] of_node = 32'(tunnel_share(NodeB)), of_other = 32'(tunnel_share(NodeC));
    share(3, client);
    share(4, backend);
    share(of_node, node);
    // From a vif: as many more as it may have.
    put_share(3, client.pairs + 20'd2);
    pass(to_service(17, 48000), v);
    check(to_pod(v), "within its share");
    pass(direct(17, 48001), v);
    expect_drop(to_service(17, 48002), DropFlowQuota, "a translated packet of a vif over its share");
    counter(CounterLearnDeferred, deferred0);
    pass(direct(17, 48003), v);
    counter(CounterLearnDeferred, deferred1);
    check(to_pod(v) && deferred1 == deferred0 + 1, "a plain one leaves without a pair");
    expect_flow(key_of(10, direct(17, 48003)), 0, flow, "without a pair");
    pass(reply(17, 48000), v);
    check(to_client(v), "what is there goes on");
    share(3, now);
    check(now == flow_share_stats_t'{pairs: client.pairs + 20'd2, refused: client.refused + 2}, "the vif's share");
    share(4, now);
    check(now == backend, "not that of the vif to which it goes");
    // What goes makes room.
    find_flow(key_of(10, to_service(17, 48000)), found, flow, index);
    put(TableFlow, 32'(index), '0);
    share(3, now);
    check(now.pairs == client.pairs + 20'd1, "a pair that went");
    pass(to_service(17, 48002), v);
    check(to_pod(v), "in its place");
    put_share(3, 0);
    // From the fabric: both shares, and both say that they are over.
    put_share(of_node, node.pairs + 20'd1);
    put_share(4, backend.pairs + 20'd1);
    pass(by_tunnel(packet(0, 17, Remote, One, 48010, Service), 40, NodeB), v);
    check(to_pod(v), "within both");
    expect_drop(by_tunnel(packet(0, 17, Remote, One, 48011, Service), 40, NodeB), DropFlowQuota, "over both");
    put_source(Nodes + 1, NodeC);
    expect_drop(by_tunnel(packet(0, 17, Remote, One, 48012, Service), 40, NodeC), DropFlowQuota, "by another tunnel");
    put_source(Nodes + 1, NodeC, 0);
    put_share(4, 0);
    expect_drop(by_tunnel(packet(0, 17, Remote, One, 48013, Service), 40, NodeB), DropFlowQuota, "over the tunnel's");
    share(4, now);
    check(now == flow_share_stats_t'{pairs: backend.pairs + 20'd1, refused: backend.refused + 2}, "the share of the vif to which it goes");
    share(of_node, now);
    check(now == flow_share_stats_t'{pairs: node.pairs + 20'd1, refused: node.refused + 2}, "the tunnel's share");
    share(of_other, now);
    check(now.refused == 0, "a share with room");
    put_share(of_node, 0);
    pass(by_tunnel(packet(0, 17, Remote, One, 48011, Service), 40, NodeB), v);
    check(to_pod(v), "without limits");
  endtask

  task automatic share(input logic [31:0] index, output flow_share_stats_t stats);
    logic [383:0] value;
    get(TableFlowShareStats, index, value);
    stats = flow_share_stats_t'(value);
  endtask

  // 0: none.
  task automatic put_share(input logic [31:0] index, input logic [19:0] pairs);
    put(TableFlowShare, index, 384'(flow_share_t'{valid: pairs != 0, pairs: pairs, default: '0}));
  endtask
