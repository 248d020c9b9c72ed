// Part of ps_match_admission_tb: who may send, by what tunnel, and to where.

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
    pass(h, v);
    check(to_client(v), "nobody is asked of a flow that is known");
    h = by_tunnel(packet(0, 17, Backend, Client, 7, 10), 41, NodeB);
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
