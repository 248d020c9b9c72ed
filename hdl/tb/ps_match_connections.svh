// Part of ps_match_admission_tb: connections whose far ends, members or errors come from elsewhere.

  // Packets of a flow by another tunnel: dropped, and the flow moves if they may come by it; a service's only to a member.
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
    expect_drop(h, DropInvalidSource, "again: nobody there may send from this address");
    expect_flow(key_of(11, h), 1, now, "still there");
    check(old == now, "as it was");
    put_source(Nodes + 1, NodeC);
    expect_drop(h, DropInvalidSource, "now it may");
    pass(h, v);
    check(to_pod(v), "moved");
    put_source(Nodes + 1, NodeB, 0);
    h.outer_sip = NodeB;
    expect_drop(h, DropInvalidSource, "by the old one");
    expect_drop(h, DropInvalidSource, "by which it may not come any more");
    put_source(Nodes + 1, NodeB);
    put_source(Nodes + 1, NodeC, 0);
    expect_drop(h, DropInvalidSource, "until it may");
    pass(h, v);
    check(to_pod(v), "moved back, though its route leads elsewhere or not");
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
