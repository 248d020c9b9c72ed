// Bench of ps_fip and ps_decide together, with their tables: section 7 rule by rule, and what section 9 learns of it. The stages before are
// played: a packet comes with where it leads and with its flow. Prints PASS or stops.
module ps_translate_tb
  import ps_abi_pkg::*;
  import ps_types_pkg::*;
  import ps_match_pkg::*;
  import ps_pair_pkg::*;
;

  localparam ip4_t Client  = 32'h0a2ffffb;   // behind vif 3
  localparam ip4_t Backend = 32'h0a2ffffc;   // behind vif 4
  localparam ip4_t Node    = 32'h0aa91914;   // vif 1
  localparam ip4_t Far     = 32'hc6336401;
  localparam ip4_t Vip     = 32'h0a698b99;   // listener 8888, of Backend:80
  localparam ip4_t Plain   = 32'hcb007105;   // without port map, of Backend
  localparam map_id_t ByMember = 5, ByKey = 6, ByPlain = 7, ByEgress = 8, OfNode = 9, Broken = 10, OfAny = 11;
  localparam logic [7:0] Esp = 8'd50;

  logic      clk = 0, rst = 1;
  always #5 clk = !clk;

  int checks = 0;

  task automatic check(input logic ok, input string what);
    checks++;
    if (!ok) begin
      $display("%0t: FAILED: %s", $time, what);
      $fatal(1);
    end
  endtask

  // --- What is tested
  logic      valid = 0;
  context_t  ctx;
  hop_t      hop;
  pair_hit_t flow;
  access_t   acc = '0;
  logic [WriteMaxBits-1:0] wdata;

  fip_t        fip;
  logic        vif_re, vif_bad, map_re, map_bad, map_broken;
  logic [7:0]  vif_addr;
  map_id_t     map_addr;
  vif_t        vif;
  fip_map_t    map;
  parity_error_t [4:0] errors;
  fip_key_t    key_read;
  plain_fip_t  plain_read;

  ps_table #(.Width(VifBits), .Depth(Vifs)) u_vif (
    .clk_i(clk), .re_i(vif_re), .addr_i(vif_addr), .rdata_o(vif), .bad_o(vif_bad), .acc_re_i(1'b0), .acc_we_i(acc.we[SelVif]),
    .acc_flip_i(acc.flip), .acc_index_i(vif_addr_t'(acc.index)), .acc_wdata_i(wdata[VifBits-1:0]), .acc_rdata_o(), .acc_bad_o()
  );

  ps_fip_maps u_maps (
    .clk_i(clk), .flow_re_i(1'b0), .flow_addr_i('0), .flow_o(), .flow_bad_o(), .fip_re_i(map_re), .fip_addr_i(map_addr), .fip_o(map),
    .fip_bad_o(map_bad), .slow_re_i(1'b0), .slow_addr_i('0), .slow_done_o(), .slow_o(), .slow_bad_o(), .acc_i(acc),
    .acc_wdata_i(wdata[FipMapBits-1:0]), .acc_rdata_o(), .acc_bad_o()
  );

  ps_fip dut (
    .clk_i(clk), .rst_i(rst), .valid_i(valid && ctx.source.act == ActRoute), .hdr_i(ctx.hdr), .egress_map_i(ctx.source.egress_map),
    .hop_i(hop), .fip_o(fip), .vif_re_o(vif_re), .vif_addr_o(vif_addr), .vif_i(vif), .vif_bad_i(vif_bad), .map_re_o(map_re),
    .map_addr_o(map_addr), .map_i(map), .map_bad_i(map_bad), .map_broken_o(map_broken), .error_o(errors), .acc_i(acc),
    .acc_wdata_i(wdata[FipKeyBits-1:0]), .key_rdata_o(key_read), .key_acc_bad_o(), .plain_rdata_o(plain_read), .plain_acc_bad_o()
  );

  logic      fip_valid, decided, edited;
  context_t  fip_ctx;
  hop_t      fip_hop;
  pair_hit_t fip_flow;
  verdict_t  decided_verdict, verdict;
  old_t      old;
  count_t    count;
  pair_ask_t asked;

  ps_delay #(.Width($bits(context_t) + $bits(hop_t) + $bits(pair_hit_t)), .Cycles(FipCycles)) u_beside (
    .clk_i(clk), .rst_i(rst), .valid_i(valid), .data_i({ctx, hop, flow}), .valid_o(fip_valid), .data_o({fip_ctx, fip_hop, fip_flow})
  );

  ps_decide u_decide (
    .clk_i(clk), .rst_i(rst), .fabric_valid_i(1'b1), .age_ports_i('0), .valid_i(fip_valid), .ctx_i(fip_ctx), .hash_i('0), .flow_i(fip_flow),
    .hop_i(fip_hop), .fip_i(fip), .fip_map_broken_i(map_broken), .valid_o(decided), .verdict_o(decided_verdict), .old_o(old),
    .count_o(count), .early_valid_o(), .early_key_o(), .ask_o(asked)
  );

  ps_edit u_edit (
    .clk_i(clk), .rst_i(rst), .valid_i(decided), .verdict_i(decided_verdict), .old_i(old), .valid_o(edited), .verdict_o(verdict)
  );

  // --- Tables
  task automatic put(input logic [4:0] sel, input int index, input logic [WriteMaxBits-1:0] value, input logic flip = 0);
    acc.we    <= TableCount'(1) << sel;
    acc.index <= index_t'(index);
    acc.flip  <= flip;
    wdata     <= value;
    @(posedge clk);
    acc       <= '0;
    repeat (6) @(posedge clk);
  endtask

  task automatic put_key(input logic [7:0] of, input logic [7:0] proto, input ip4_t ip, input logic [15:0] port, input map_id_t map_id,
                         input logic valid_key = 1, input logic flip = 0);
    fip_key_t    key = '{valid: valid_key, vif: of, proto: proto, ip: ip, port: port, map: map_id};
    logic [63:0] h   = key_hash({64'd0, key[64:1]});
    put(SelFipKey, 32'({1'b1, h[FipKeyRowsLog2 +: FipKeyRowsLog2], port[1:0]}), WriteMaxBits'(key), flip);
  endtask

  task automatic put_plain(input logic [7:0] of, input ip4_t ip, input map_id_t map_id, input logic valid_key = 1, input logic flip = 0);
    plain_fip_t  key = '{valid: valid_key, vif: of, ip: ip, map: map_id};
    logic [63:0] h   = key_hash({88'd0, key[40:1]});
    put(SelPlainFip, 32'({1'b0, h[PlainFipRowsLog2-1:0], ip[1:0]}), WriteMaxBits'(key), flip);
  endtask

  task automatic put_map(input map_id_t id, input ip4_t pod, input logic [15:0] pod_port, input ip4_t vip, input logic [15:0] vip_port,
                         input logic valid_map = 1, input logic flip = 0);
    put(SelFipMap, 32'(id), WriteMaxBits'(fip_map_t'{valid: valid_map, generation: 8'(id) + 8'd100, pod_ip: pod, pod_port: pod_port,
                                                     vip: vip, vip_port: vip_port}), flip);
  endtask

  task automatic put_vif(input logic [7:0] id, input ip4_t ip, input learn_policy_e learn = LearnAlways, input logic flip = 0);
    put(SelVif, 32'(id), WriteMaxBits'(vif_t'{valid: 1, kind: VifVirtual, ip: ip, nh: 16'(id) + 16'd10, vrf: 12'(id), learn: learn,
                                              default: '0}), flip);
  endtask

  // --- Packets. From a vif, or from the fabric by a tunnel.
  function automatic context_t from(input logic [7:0] by, input logic [7:0] proto, input ip4_t sip, input ip4_t dip,
                                    input logic [15:0] sport, input logic [15:0] dport);
    from                = '0;
    from.hdr.src        = by == 0 ? SrcFabric : SrcHost;
    from.hdr.vif        = by;
    from.hdr.frame_len  = 16'd74;
    from.hdr.ip_len     = 16'd60;
    from.hdr.ihl        = 4'd5;
    from.hdr.ttl        = 8'd64;
    from.hdr.proto      = proto;
    from.hdr.sip        = sip;
    from.hdr.dip        = dip;
    from.hdr.outer_sip  = Far;
    from.hdr.l4_csum    = 16'h1234;
    from.hdr.icmp_echo  = proto == ProtoIcmp;
    from.hdr.key_proto  = proto;
    from.hdr.key_sip    = sip;
    from.hdr.key_dip    = dip;
    from.hdr.key_sport  = sport;
    from.hdr.key_dport  = dport;
    from.hdr.tcp_syn    = proto == ProtoTcp;
    from.source.act     = ActRoute;
    from.source.vrf     = by == 0 ? 12'd77 : 12'(by);
    from.source.key_nh  = by == 0 ? 16'd70 : 16'(by) + 16'd10;
    from.source.egress_map = ByEgress;
  endfunction

  // An error about a packet that went from {dip, dport} to {sip, sport}: its key is turned round.
  function automatic context_t error(input logic [7:0] by, input ip4_t own, input logic [7:0] proto, input ip4_t sip, input ip4_t dip,
                                     input logic [15:0] sport, input logic [15:0] dport);
    error               = from(by, proto, sip, dip, sport, dport);
    error.hdr.proto     = ProtoIcmp;
    error.hdr.icmp_echo = 0;
    error.hdr.icmp_err  = 1;
    error.hdr.tcp_syn   = 0;
    error.hdr.sip       = own;
  endfunction

  function automatic context_t fragment(input context_t of);
    fragment               = of;
    fragment.hdr.frag      = 1;
    fragment.hdr.tcp_syn   = 0;
    fragment.hdr.key_sport = 0;
    fragment.hdr.key_dport = 0;
  endfunction

  function automatic hop_t to(input nh_kind_e kind, input logic [7:0] at = 4);
    to             = '0;
    to.nh          = '{valid: 1, kind: kind, vif: kind == NhTunnel ? 8'd0 : at, dip: Far, default: '0};
    to.first_nh    = 16'd33;
    to.vrf         = 12'd44;
    to.label_valid = kind == NhTunnel;
  endfunction

  function automatic hop_t member(input hop_t of, input map_id_t map_id, input logic chosen = 1);
    member            = of;
    member.group      = 1;
    member.chosen     = chosen;
    member.slot       = 3;
    member.generation = 9;
    member.map        = map_id;
  endfunction

  function automatic hop_t out_egress(input hop_t of);
    out_egress        = of;
    out_egress.egress = 1;
  endfunction

  localparam pair_hit_t None = '0;

  // Flags: dnat, dpat, snat, spat.
  function automatic pair_hit_t entry(input logic reverse, input map_id_t map_id, input logic [3:0] flags, input logic hairpin = 0);
    entry                = '0;
    entry.found          = 1;
    entry.usable         = 1;
    entry.tag.pair       = 15'd6;
    entry.tag.reverse    = reverse;
    entry.hairpin        = hairpin;
    {entry.dnat, entry.dpat, entry.snat, entry.spat} = flags;
    entry.map_valid      = map_id != 0;
    entry.index          = map_id;
    entry.map            = '{valid: map_id != 0, generation: 8'd55, pod_ip: Backend, pod_port: 16'd80, vip: Vip, vip_port: 16'd8888};
  endfunction

  // What came of the last packet.
  verdict_t  v;
  pair_ask_t a;
  count_t    c;
  old_t      o;

  task automatic pass(input context_t packet, input hop_t way, input pair_hit_t of_flow);
    ctx   <= packet;
    hop   <= way;
    flow  <= of_flow;
    valid <= 1;
    @(posedge clk);
    valid <= 0;
    ctx   <= 'x;
    hop   <= 'x;
    flow  <= 'x;
    while (!decided) @(posedge clk);
    {a, c, o} = {asked, count, old};
    while (!edited) @(posedge clk);
    v = verdict;
    repeat (2) @(posedge clk);
  endtask

  task automatic dropped(input context_t packet, input hop_t way, input pair_hit_t of_flow, input drop_reason_e reason, input string what);
    pass(packet, way, of_flow);
    check(v.dst == DstDrop && c.drop && c.reason == reason && !c.tx && !a.valid && !a.counts,
          $sformatf("%s: to %0d, drop %0d, reason %0d", what, v.dst, c.drop, c.reason));
  endtask

  // What changes: {address, port} of the source, of the destination; 0: nothing does.
  task automatic changed(input ip4_t sip, input logic [15:0] sport, input ip4_t dip, input logic [15:0] dport, input string what);
    check(!c.drop && !v.raw && (v.dst == DstHost || v.dst == DstFabric), $sformatf("%s: leaves, not %0d for %0d", what, v.dst, c.reason));
    check(v.sip_en == (sip != 0) && (sip == 0 || v.sip == sip), $sformatf("%s: source %0d %h", what, v.sip_en, v.sip));
    check(v.dip_en == (dip != 0) && (dip == 0 || v.dip == dip), $sformatf("%s: destination %0d %h", what, v.dip_en, v.dip));
    check(v.sport_en == (sport != 0) && (sport == 0 || v.sport == sport), $sformatf("%s: source port %0d", what, v.sport_en));
    check(v.dport_en == (dport != 0) && (dport == 0 || v.dport == dport), $sformatf("%s: destination port %0d", what, v.dport_en));
  endtask

  // What it asks: flags as dnat, dpat, snat, spat, hairpin; map 0 for a plain pair.
  task automatic asks(input learn_kind_e kind, input map_id_t map_id, input logic [4:0] flags, input string what);
    check(a.valid && a.kind == kind, $sformatf("%s: asks %0d, kind %0d", what, a.valid, a.kind));
    check({a.facts.dnat, a.facts.dpat, a.facts.snat, a.facts.spat, a.facts.hairpin} == flags && a.facts.map_valid == (map_id != 0) &&
          a.facts.map == map_id && a.translated == (map_id != 0),
          $sformatf("%s: flags %b, map %0d", what, {a.facts.dnat, a.facts.dpat, a.facts.snat, a.facts.spat, a.facts.hairpin}, a.facts.map));
  endtask

  task automatic rests(input string what);
    check(!a.valid, {what, ": asks for nothing"});
  endtask

  // --- The mapping that a packet finds.
  task automatic finds();
    context_t  p = from(3, ProtoTcp, Client, Vip, 1000, 8888);
    context_t  f = from(0, ProtoTcp, Far, Vip, 1000, 8888);
    flow_key_t back = '{nh: 16'd14, proto: ProtoTcp, sip: Backend, dip: Client, sport: 16'd80, dport: 16'd1000};
    // 1: by a member's own.
    pass(p, member(to(NhEncap), ByMember), None);
    changed(0, 0, Backend, 80, "by the member's mapping");
    asks(LearnNew, ByMember, 5'b11000, "by the member's mapping");
    check(a.facts.map_generation == 8'(ByMember) + 8'd100 && a.facts.ecmp_valid && a.facts.ecmp_slot == 3 && a.facts.ecmp_generation == 9 &&
          a.facts.vrf == 3 && a.facts.dvrf == 4 && a.facts.src_info == 3 && a.facts.rpf_nh == 13, "what the forward entry says");
    check(a.reverse_key == back && a.reverse_info == 4 && a.reverse_rpf == 33 && !a.plain, "what the reverse entry says");
    pass(from(3, ProtoTcp, Client, Vip, 1000, 8888), member(to(NhReceive, 1), OfNode), None);
    changed(0, 0, Node, 80, "by the mapping of a member that is the node");
    pass(f, member(to(NhEncap), ByMember), None);
    changed(0, 0, Backend, 80, "the member's before the key");
    asks(LearnNew, ByMember, 5'b11000, "the member's before the key");
    check(a.facts.vrf == 77 && a.facts.src_info == Far && a.facts.rpf_nh == 0, "from the fabric");
    pass(f, member(out_egress(to(NhEncap)), ByMember), None);
    asks(LearnNew, ByMember, 5'b11000, "the member's before the egress way");
    dropped(p, member(to(NhEncap), 0), None, DropNoFipPortMap, "a member without one");
    // 2: by key, from the fabric.
    pass(f, to(NhEncap), None);
    changed(0, 0, Backend, 81, "by key");
    asks(LearnNew, ByKey, 5'b11000, "by key");
    pass(f, member(to(NhEncap), 0), None);
    asks(LearnNew, ByKey, 5'b11000, "by key, of a member that another node chose");
    pass(f, out_egress(to(NhEncap)), None);
    asks(LearnNew, ByKey, 5'b11000, "by key before the egress way");
    pass(from(0, ProtoTcp, Far, Vip, 1000, 8888), to(NhReceive, 1), None);
    asks(LearnNew, OfNode, 5'b11000, "by key, of the node");
    dropped(p, to(NhEncap), None, DropNoFipPortMap, "by key, from a vif");
    dropped(from(0, ProtoUdp, Far, Vip, 1000, 8888), to(NhEncap), None, DropNoFipPortMap, "another protocol");
    dropped(from(0, ProtoTcp, Far, Vip, 1000, 8889), to(NhEncap), None, DropNoFipPortMap, "another port");
    dropped(f, to(NhEncap, 3), None, DropNoFipPortMap, "another vif");
    put_key(4, ProtoTcp, Backend, 443, ByKey);
    pass(from(0, ProtoTcp, Far, Backend, 1000, 443), to(NhEncap), None);
    changed(0, 0, 0, 0, "its own address needs no key");
    put_key(4, ProtoTcp, Backend, 443, 0);
    pass(from(0, ProtoTcp, Far, Backend, 1000, 443), to(NhEncap), None);
    changed(0, 0, 0, 0, "a mark");
    dropped(from(0, ProtoTcp, Far, Plain + 1, 1000, 443), to(NhEncap), None, DropNoFipPortMap, "no key");
    put_key(4, ProtoTcp, Plain + 1, 443, 0);
    dropped(from(0, ProtoTcp, Far, Plain + 1, 1000, 443), to(NhEncap), None, DropNoFipPortMap, "a mark translates nothing");
    put_key(4, ProtoTcp, Plain, 443, 0);
    pass(from(0, ProtoTcp, Far, Plain, 1000, 443), to(NhEncap), None);
    asks(LearnNew, ByPlain, 5'b10000, "nor does it hide what comes behind it");
    put_key(4, ProtoTcp, Plain, 443, ByKey);
    pass(from(0, ProtoTcp, Far, Plain, 1000, 443), to(NhEncap), None);
    asks(LearnNew, ByKey, 5'b11000, "by key before a floating IP without port map");
    put_key(4, ProtoTcp, Plain, 443, 0, 0);
    // 3: by a floating IP without port map.
    pass(from(3, ProtoUdp, Client, Plain, 1000, 53), to(NhEncap), None);
    changed(0, 0, Backend, 0, "without port map");
    asks(LearnNew, ByPlain, 5'b10000, "without port map");
    check(a.reverse_key.sip == Backend && a.reverse_key.sport == 53, "its reply");
    pass(from(0, Esp, Far, Plain, 0, 0), out_egress(to(NhEncap)), None);
    changed(0, 0, Backend, 0, "a protocol without ports");
    asks(LearnNew, ByPlain, 5'b10000, "before the egress way");
    pass(from(0, ProtoUdp, Far, Plain, 1000, 53), to(NhReceive, 4), None);
    changed(0, 0, 0, 0, "not of a Receive");
    dropped(from(3, ProtoUdp, Client, Plain, 1000, 53), to(NhEncap, 3), None, DropNoFipPortMap, "of another vif");
    put_plain(4, Backend, ByPlain);
    pass(from(3, ProtoUdp, Client, Backend, 1000, 53), to(NhEncap), None);
    changed(0, 0, 0, 0, "its own address needs none");
    put_plain(4, Backend, 0, 0);
    // 4: the egress way.
    pass(from(4, ProtoTcp, Backend, Far, 1000, 53), out_egress(to(NhTunnel)), None);
    changed(Plain, 0, 0, 0, "under a floating IP");
    asks(LearnNew, ByEgress, 5'b00100, "under a floating IP");
    check(a.facts.dvrf == 44 && a.facts.vrf == 4 && a.reverse_key.dip == Plain && a.reverse_key.sip == Far && a.reverse_key.nh == 14 &&
          a.reverse_info == Far, "what its entries say");
    pass(from(4, ProtoTcp, Backend, Client, 1000, 53), out_egress(to(NhEncap, 3)), None);
    changed(Plain, 0, 0, 0, "to a pod of the same node");
    check(a.facts.dvrf == 44 && a.reverse_key.nh == 13, "its reply");
    pass(from(4, ProtoTcp, Backend, Far, 1000, 53), to(NhTunnel), None);
    changed(0, 0, 0, 0, "another way");
    // Fragments find none.
    dropped(fragment(p), member(to(NhEncap), ByMember), None, DropFragments, "fragment to a member");
    dropped(fragment(f), to(NhEncap), None, DropFragments, "fragment by key");
    dropped(fragment(from(3, ProtoUdp, Client, Plain, 0, 0)), to(NhEncap), None, DropFragments, "fragment without port map");
    dropped(fragment(from(4, ProtoUdp, Backend, Far, 0, 0)), out_egress(to(NhTunnel)), None, DropFragments, "fragment of the egress way");
    pass(fragment(from(4, ProtoUdp, Backend, Far, 0, 0)), to(NhTunnel), None);
    changed(0, 0, 0, 0, "fragment of another way");
    rests("fragment");
  endtask

  // --- The mapping that applies.
  task automatic applies();
    context_t p = from(3, ProtoTcp, Client, Vip, 1000, 8888);
    context_t r = from(4, ProtoTcp, Backend, Client, 80, 1000);
    // Replies: the flow's, whatever is found.
    pass(r, to(NhEncap, 3), entry(1, ByMember, 4'b0011));
    changed(Vip, 8888, 0, 0, "reply");
    rests("reply");
    check(a.counts, "it counts");
    pass(r, member(to(NhTunnel), 0), entry(1, ByMember, 4'b0011));
    changed(Vip, 8888, 0, 0, "reply through a group");
    asks(LearnReverse, ByMember, 5'b00110, "reply through a group");
    pass(r, out_egress(to(NhTunnel)), entry(1, ByMember, 4'b0010));
    changed(Vip, 0, 0, 0, "reply without port map");
    pass(from(0, ProtoTcp, Far, Plain, 53, 1000), to(NhEncap), entry(1, ByEgress, 4'b1000));
    changed(0, 0, Backend, 0, "reply to what was sent under a floating IP");
    rests("reply to what was sent under a floating IP");
    pass(from(0, ProtoTcp, Far, Vip, 53, 8888), to(NhEncap), entry(1, ByEgress, 4'b1000));
    changed(0, 0, Backend, 0, "that finds another");
    rests("that finds another");
    // What sends translated stays under its floating IP.
    pass(from(4, ProtoTcp, Backend, Far, 1000, 53), to(NhTunnel), entry(0, ByEgress, 4'b0010));
    changed(Vip, 0, 0, 0, "sends translated, by another way");
    rests("sends translated");
    pass(from(4, ProtoTcp, Backend, Client, 1000, 53), member(to(NhEncap, 3), ByKey), entry(0, ByEgress, 4'b0010));
    changed(Vip, 0, 0, 0, "sends translated, by a new member");
    asks(LearnRepin, ByEgress, 5'b00100, "sends translated, by a new member");
    check(a.facts.map_generation == 55 && a.facts.dvrf == 44 && a.facts.ecmp_slot == 3, "with the same mapping");
    pass(from(4, ProtoTcp, Backend, Client, 1000, 53), member(to(NhEncap, 3), 0, 0), entry(0, ByEgress, 4'b0010));
    rests("sends translated, by its member");
    // Any other forward flow: if it is the one that is found, by a member that is not new.
    pass(p, member(to(NhEncap), ByMember, 0), entry(0, ByMember, 4'b1100));
    changed(0, 0, Backend, 80, "the same");
    rests("the same");
    pass(p, member(to(NhEncap), ByMember), entry(0, ByMember, 4'b1100));
    asks(LearnRepin, ByMember, 5'b11000, "the same by a new member");
    pass(p, member(to(NhEncap), ByKey, 0), entry(0, ByMember, 4'b1100));
    changed(0, 0, Backend, 81, "another mapping of the member");
    asks(LearnRepin, ByKey, 5'b11000, "another mapping of the member");
    pass(p, member(to(NhTunnel), 0), entry(0, ByMember, 4'b1100));
    changed(0, 0, 0, 0, "the member is elsewhere now");
    asks(LearnRepin, 0, 5'b00000, "the member is elsewhere now");
    pass(from(0, ProtoTcp, Far, Vip, 1000, 8888), to(NhEncap), entry(0, ByKey, 4'b1100));
    rests("the same by key");
    pass(from(3, ProtoUdp, Client, Plain, 1000, 53), to(NhEncap), entry(0, ByPlain, 4'b1000));
    rests("the same without port map");
    pass(from(4, ProtoUdp, Backend, Far, 1000, 53), out_egress(to(NhTunnel)), entry(0, ByEgress, 4'b1000));
    asks(LearnRepin, ByEgress, 5'b00100, "what is found by the egress way is not the flow's");
    // Forward, without a mapping.
    pass(from(3, ProtoTcp, Client, Backend, 1000, 80), to(NhEncap), entry(0, 0, 0));
    rests("plain");
    pass(p, member(to(NhEncap), ByMember, 0), entry(0, 0, 0));
    changed(0, 0, Backend, 80, "plain, that finds one");
    asks(LearnRepin, ByMember, 5'b11000, "plain, that finds one");
    pass(from(4, ProtoTcp, Backend, Far, 1000, 80), out_egress(to(NhTunnel)), entry(0, 0, 0));
    asks(LearnRepin, ByEgress, 5'b00100, "plain, that goes the egress way now");
    pass(from(3, ProtoTcp, Client, Far, 1000, 80), member(to(NhTunnel), 0), entry(0, 0, 0));
    asks(LearnRepin, 0, 0, "plain, by a new member");
    pass(from(3, ProtoTcp, Client, Far, 1000, 80), member(to(NhTunnel), 0, 0), entry(0, 0, 0));
    rests("plain, by its member");
    // Reverse, without one: begun by the far end.
    pass(p, member(to(NhEncap), ByMember), entry(1, 0, 0));
    changed(0, 0, Backend, 80, "begun by the far end");
    asks(LearnRepin, ByMember, 5'b11000, "begun by the far end");
    pass(from(4, ProtoUdp, Backend, Far, 1000, 80), out_egress(to(NhTunnel)), entry(1, 0, 0));
    changed(0, 0, 0, 0, "replies do not go under a floating IP");
    rests("replies do not go under a floating IP");
    pass(from(3, ProtoUdp, Client, Far, 1000, 80), member(to(NhTunnel), 0), entry(1, 0, 0));
    asks(LearnReverse, 0, 0, "a reply by a new member");
    pass(from(3, ProtoUdp, Client, Far, 1000, 80), to(NhTunnel), entry(1, 0, 0));
    rests("a reply");
  endtask

  // --- Client and backend are the same.
  task automatic hairpins();
    context_t p = from(4, ProtoTcp, Backend, Vip, 1000, 8888);
    context_t n;
    pass(p, member(to(NhEncap), ByMember), None);
    changed(Vip, 0, Backend, 80, "its own backend");
    asks(LearnNew, ByMember, 5'b11101, "its own backend");
    check(a.facts.dvrf == 4 && a.reverse_key == '{nh: 16'd14, proto: ProtoTcp, sip: Backend, dip: Vip, sport: 16'd80, dport: 16'd1000},
          "its reply");
    pass(p, member(to(NhEncap), ByMember, 0), entry(0, ByMember, 4'b1110, 1));
    changed(Vip, 0, Backend, 80, "with its flow");
    rests("with its flow");
    pass(p, member(to(NhTunnel), 0), entry(0, ByMember, 4'b1110, 1));
    changed(0, 0, 0, 0, "a flow that sends to itself does not send translated");
    asks(LearnRepin, 0, 0, "a flow that sends to itself does not send translated");
    pass(from(4, ProtoTcp, Backend, Vip, 80, 1000), to(NhEncap), entry(1, ByMember, 4'b1011, 1));
    changed(Vip, 8888, Backend, 0, "back to itself");
    rests("back to itself");
    // The client is who the vif belongs to, not who the mapping names.
    n = from(1, ProtoTcp, Node, Vip, 1000, 8888);
    pass(n, member(to(NhReceive, 1), OfNode), None);
    changed(Vip, 0, Node, 80, "the node, its own backend");
    pass(from(4, ProtoTcp, Backend, Vip, 80, 1000), to(NhEncap, 3), entry(1, ByMember, 4'b1011, 1));
    changed(Vip, 8888, Client, 0, "back to the client");
    pass(from(6, ProtoTcp, Backend, Vip, 80, 1000), to(NhEncap, 6), entry(1, ByMember, 4'b1011, 1));
    changed(Vip, 8888, Backend, 0, "back to a vif without an address");
    // From another address the reply could not be given back.
    dropped(from(4, ProtoTcp, Client, Vip, 1000, 8888), member(to(NhEncap), ByMember), None, DropInvalidSource, "another's address");
    pass(from(6, ProtoTcp, Backend, Vip, 1000, 8888), member(to(NhEncap, 6), ByMember), None);
    asks(LearnNew, ByMember, 5'b11101, "of a vif without an address");
    dropped(from(6, ProtoTcp, Client, Vip, 1000, 8888), member(to(NhEncap, 6), ByMember), None, DropInvalidSource, "of it, another's address");
    pass(from(4, ProtoUdp, Backend, Plain, 1000, 53), to(NhEncap), None);
    changed(Plain, 0, Backend, 0, "its own floating IP");
    asks(LearnNew, ByPlain, 5'b10101, "its own floating IP");
    pass(from(4, ProtoUdp, Backend, Backend, 1000, 53), to(NhEncap), None);
    changed(0, 0, 0, 0, "without a service");
  endtask

  // --- What cannot be done.
  task automatic cannot();
    context_t p = from(3, ProtoIcmp, Client, Vip, 7, 0);
    // Echo is translated, its identifier is not; other ICMP is not.
    pass(from(3, ProtoIcmp, Client, Plain, 7, 0), to(NhEncap), None);
    changed(0, 0, Backend, 0, "echo");
    asks(LearnNew, ByPlain, 5'b10000, "echo");
    check(a.reverse_key.sport == 7, "its reply has its identifier");
    p = from(3, ProtoIcmp, Client, Plain, 0, 13);
    p.hdr.icmp_echo = 0;
    dropped(p, to(NhEncap), None, DropNoFipPortMap, "other ICMP");
    dropped(error(3, Client, ProtoUdp, Client, Plain, 1, 2), to(NhEncap), None, DropNoFipPortMap, "error without its flow");
    p = from(4, ProtoIcmp, Backend, Far, 0, 13);
    p.hdr.icmp_echo = 0;
    dropped(p, out_egress(to(NhTunnel)), None, DropNoFipPortMap, "other ICMP by the egress way");
    pass(p, to(NhTunnel), None);
    changed(0, 0, 0, 0, "other ICMP");
    rests("other ICMP");
    // Mappings that are not valid.
    dropped(from(3, ProtoTcp, Client, Vip, 1000, 8888), member(to(NhEncap), Broken), None, DropNoFipPortMap, "member's mapping not valid");
    p = from(4, ProtoUdp, Backend, Far, 1000, 53);
    p.source.egress_map = Broken;
    dropped(p, out_egress(to(NhTunnel)), None, DropNoFipPortMap, "egress mapping not valid");
    put_plain(4, Plain + 8, 0);
    dropped(from(3, ProtoUdp, Client, Plain + 8, 1000, 53), to(NhEncap), None, DropNoFipPortMap, "mapping 0");
    put_plain(4, Plain + 8, 0, 0);
    put_plain(6, Plain, 0);
    dropped(from(3, ProtoUdp, Client, Plain, 1000, 53), to(NhEncap, 6), None, DropNoFipPortMap, "mapping 0 is not none");
    put_plain(6, Plain, 0, 0);
    // Under a floating IP: only the pod's own address.
    dropped(from(4, ProtoUdp, Client, Far, 1000, 53), out_egress(to(NhTunnel)), None, DropInvalidSource, "another source by the egress way");
    // Delivery check.
    dropped(from(3, ProtoUdp, Client, Backend, 1, 2), to(NhEncap, 3), None, DropNoFipPortMap, "another's address");
    dropped(fragment(from(3, ProtoUdp, Client, Backend, 1, 2)), to(NhEncap, 3), None, DropFragments, "fragment to another's address");
    dropped(from(3, ProtoTcp, Client, Vip, 1000, 8888), member(to(NhEncap, 3), OfNode), None, DropNoFipPortMap, "another pod's mapping, to itself");
    dropped(from(4, ProtoTcp, Backend, Vip, 1000, 8888), member(to(NhEncap, 3), ByMember), None, DropNoFipPortMap, "another pod's mapping");
    dropped(from(3, ProtoTcp, Client, Vip, 1000, 8888), to(NhEncap), entry(1, ByMember, 4'b0011), DropNoFipPortMap, "a reply that changes only its source");
    dropped(from(0, ProtoTcp, Far, Plain, 53, 1000), to(NhEncap, 3), entry(1, ByEgress, 4'b1000), DropNoFipPortMap, "a reply to another pod");
    pass(from(3, ProtoUdp, Client, Backend, 1, 2), to(NhEncap, 6), None);
    changed(0, 0, 0, 0, "a vif that takes any address");
    pass(from(3, ProtoUdp, Client, Far, 1, 2), to(NhReceive, 1), None);
    changed(0, 0, 0, 0, "the node has many addresses");
    // Back to the node.
    dropped(from(1, ProtoUdp, Node, Far, 1, 2), to(NhReceive, 1), None, DropPacketLoop, "back to the node");
    pass(from(1, ProtoUdp, Node, Far, 1, 2), to(NhReceive, 1), entry(1, OfNode, 4'b0010));
    changed(Vip, 0, 0, 0, "with a mapping");
    pass(from(0, ProtoUdp, Far, Node, 1, 2), to(NhReceive, 1), None);
    changed(0, 0, 0, 0, "to the node");
    // The order.
    p = from(4, ProtoUdp, Client, Far, 1000, 53);
    p.source.egress_map = Broken;
    p.hdr.ip_len = 16'd9300;
    dropped(p, out_egress(to(NhTunnel)), None, DropNoFipPortMap, "a bad mapping before the source");
    p.source.egress_map = ByEgress;
    dropped(p, out_egress(to(NhTunnel)), None, DropInvalidSource, "the source before the length");
    dropped(p, out_egress(to(NhEncap, 3)), None, DropInvalidSource, "the source before the delivery check");
    p = from(1, ProtoUdp, Node, Far, 1, 2);
    p.hdr.ip_len = 16'd9300;
    dropped(p, to(NhReceive, 1), None, DropPacketLoop, "a loop before the length");
    p.source.learn = LearnNever;
    dropped(p, member(to(NhTunnel), 0), None, DropEgressOversize, "the length before the policy");
  endtask

  // --- Errors about what is translated.
  task automatic errors_of_flows();
    // From a client about a service's reply.
    pass(error(3, Client, ProtoTcp, Client, Vip, 1000, 8888), member(to(NhEncap), ByMember, 0), entry(0, ByMember, 4'b1100));
    changed(0, 0, Backend, 0, "error towards the backend");
    check(v.emb_en && v.emb_sip == Backend && v.emb_dip == Client && v.emb_sport_en && v.emb_sport == 80 && !v.emb_dport_en, "what it embeds");
    check(o.emb_sip_en && !o.emb_dip_en && o.emb_sip_old == Vip && o.emb_sport_old == 8888, "what that was");
    rests("error");
    // From a backend about a client's packet; or from a router on the way.
    pass(error(4, Backend, ProtoTcp, Backend, Client, 80, 1000), to(NhEncap, 3), entry(1, ByMember, 4'b0011));
    changed(Vip, 0, 0, 0, "error from the backend");
    check(v.emb_en && v.emb_sip == Client && v.emb_dip == Vip && v.emb_dport_en && v.emb_dport == 8888 && !v.emb_sport_en, "what it embeds");
    check(!o.emb_sip_en && o.emb_dip_en && o.emb_dip_old == Backend, "what that was");
    pass(error(4, Far, ProtoTcp, Backend, Client, 80, 1000), to(NhEncap, 3), entry(1, ByMember, 4'b0011));
    changed(0, 0, 0, 0, "error from a router");
    check(v.emb_en && v.emb_dip == Vip, "what it embeds");
    // About what was sent under a floating IP, and from there.
    pass(error(0, Far, ProtoUdp, Far, Plain, 53, 1000), to(NhEncap), entry(1, ByEgress, 4'b1000));
    changed(0, 0, Backend, 0, "error about what was sent under a floating IP");
    check(v.emb_sip == Backend && !v.emb_sport_en && !v.emb_dport_en && o.emb_sip_en && !o.emb_dip_en, "what it embeds");
    pass(error(4, Backend, ProtoUdp, Backend, Far, 1000, 53), to(NhTunnel), entry(0, ByEgress, 4'b0010));
    changed(Vip, 0, 0, 0, "error from under a floating IP");
    check(v.emb_sip == Far && v.emb_dip == Vip && !o.emb_sip_en && o.emb_dip_en, "what it embeds");
    // To itself.
    pass(error(4, Backend, ProtoTcp, Backend, Vip, 80, 1000), to(NhEncap, 3), entry(1, ByMember, 4'b1011, 1));
    changed(Vip, 0, Client, 0, "error of a hairpin's reply");
    check(v.emb_sip == Client && v.emb_dip == Vip && v.emb_dport_en && v.emb_dport == 8888 && !v.emb_sport_en && o.emb_sip_en && o.emb_dip_en,
          "what it embeds");
    // By the key of what it is about.
    dropped(error(0, Far, ProtoTcp, Far, Vip, 1000, 8888), to(NhEncap), None, DropNoFipPortMap, "found by what it is about");
    pass(error(0, Far, ProtoTcp, Far, Vip, 1000, 8888), to(NhEncap), entry(0, ByKey, 4'b1100));
    changed(0, 0, Backend, 0, "with its flow");
    dropped(error(0, Far, ProtoTcp, Far, Vip, 1000, 8888), to(NhEncap), entry(0, ByMember, 4'b1100), DropNoFipPortMap, "of another mapping");
  endtask

  // --- Who is refused before, and what is learned.
  task automatic refusals();
    hop_t     way = '0;
    context_t p   = from(3, ProtoUdp, Client, Vip, 1000, 9999);
    way.trap = 1;
    way.nh   = to(NhEncap).nh;
    for (int i = 0; i < 3; i++) begin
      p.hdr.proto = i == 0 ? ProtoUdp : i == 1 ? ProtoTcp : Esp;
      pass(p, way, None);
      check(v.dst == DstFw && v.raw && v.trap_reason == TrapReject && c.trap && !c.drop && !a.valid, "refused by the firmware");
    end
    pass(p, to(NhReject), None);
    check(v.dst == DstFw && c.trap, "a Reject");
    way      = '0;
    way.drop = 1;
    way.reason = DropInvalidSource;
    way.move = 1;
    way.first_nh = 16'd20;
    for (int i = 0; i < 2; i++) begin
      way.far_service = i == 1;
      pass(from(0, ProtoUdp, Far, Backend, 1, 2), way, entry(0, 0, 0));
      check(c.drop && c.reason == DropInvalidSource && a.valid && a.kind == LearnMove && a.far_service == (i == 1) && a.reverse_rpf == 20 &&
            a.facts.src_info == Far, "a move");
    end
    // Marks.
    put_key(4, ProtoTcp, Backend, 80, 0);
    put_key(4, ProtoUdp, Backend, 0, 0);
    put_key(1, ProtoTcp, Node, 80, 0);
    p = from(4, ProtoTcp, Backend, Client, 80, 1000);
    pass(p, to(NhEncap, 3), None);
    changed(0, 0, 0, 0, "begins a connection of its own");
    p.hdr.tcp_ack = 1;
    dropped(p, to(NhEncap, 3), None, DropFlowUnusable, "marked, without its flow");
    dropped(p, to(NhTunnel), None, DropFlowUnusable, "marked, to the fabric");
    pass(p, to(NhEncap, 3), entry(1, ByMember, 4'b0011));
    changed(Vip, 8888, 0, 0, "marked, with its flow");
    p.hdr.key_sport = 81;
    pass(p, to(NhEncap, 3), None);
    changed(0, 0, 0, 0, "another port");
    dropped(error(4, Backend, ProtoTcp, Backend, Client, 80, 1000), to(NhEncap, 3), None, DropFlowUnusable, "marked error");
    dropped(fragment(from(4, ProtoUdp, Backend, Client, 0, 0)), to(NhEncap, 3), None, DropFragments, "marked fragment");
    p = from(1, ProtoTcp, Node, Client, 80, 1000);
    p.hdr.tcp_syn = 0;
    dropped(p, to(NhEncap, 3), None, DropFlowUnusable, "of the node");
    put_key(4, ProtoTcp, Backend, 80, 0, 0);
    put_key(4, ProtoUdp, Backend, 0, 0, 0);
    // Protocols without ports.
    pass(from(3, Esp, Client, Backend, 0, 0), to(NhEncap), None);
    changed(0, 0, 0, 0, "without ports");
    rests("without ports and untranslated");
    pass(from(3, Esp, Client, Plain, 0, 0), to(NhEncap), None);
    asks(LearnNew, ByPlain, 5'b10000, "without ports, but translated");
    pass(from(3, Esp, Client, Plain, 0, 0), to(NhEncap), entry(0, ByPlain, 4'b1000));
    rests("with its flow");
    pass(from(4, Esp, Backend, Far, 0, 0), out_egress(to(NhTunnel)), None);
    asks(LearnNew, ByEgress, 5'b00100, "under a floating IP");
    // Policies.
    p = from(4, ProtoUdp, Backend, Far, 1000, 53);
    p.source.learn = LearnNever;
    dropped(p, out_egress(to(NhTunnel)), None, DropLearnOff, "bound by its mapping");
    dropped(p, member(to(NhTunnel), 0), None, DropLearnOff, "bound by its member");
    pass(p, out_egress(to(NhTunnel)), entry(0, ByEgress, 4'b0010));
    changed(Vip, 0, 0, 0, "an entry that is there");
    pass(p, to(NhTunnel), None);
    changed(0, 0, 0, 0, "not bound");
    rests("not bound");
    p.source.learn = LearnTranslated;
    pass(p, to(NhTunnel), None);
    rests("not bound");
    pass(p, out_egress(to(NhTunnel)), None);
    asks(LearnNew, ByEgress, 5'b00100, "bound");
    put_vif(4, Backend, LearnNever);
    dropped(from(0, ProtoUdp, Far, Plain, 1, 2), to(NhEncap), None, DropLearnOff, "bound, to the vif");
    put_vif(4, Backend);
    // An entry that is not usable.
    begin
      pair_hit_t old_entry = '0;
      old_entry.found    = 1;
      old_entry.tag.pair = 15'd6;
      pass(from(3, ProtoUdp, Client, Plain, 1, 2), to(NhEncap), old_entry);
      asks(LearnReplace, ByPlain, 5'b10000, "replaces");
    end
  endtask

  // --- Entries with the wrong parity: of what counts.
  task automatic parity();
    context_t f = from(0, ProtoTcp, Far, Vip, 1000, 8888), p = from(3, ProtoUdp, Client, Plain, 1000, 53);
    put_key(4, ProtoTcp, Vip, 8888, ByKey, 1, 1);
    dropped(f, to(NhEncap), None, DropTableParity, "its key");
    pass(f, member(to(NhEncap), ByMember), None);
    asks(LearnNew, ByMember, 5'b11000, "a member's mapping needs no key");
    pass(from(3, ProtoTcp, Client, Vip, 1000, 8888), member(to(NhEncap), ByMember), None);
    asks(LearnNew, ByMember, 5'b11000, "nor does what comes from a vif");
    put_key(4, ProtoTcp, Vip, 8888, ByKey);
    put_key(4, ProtoTcp, Backend, 8888, 0, 1, 1);
    pass(from(0, ProtoTcp, Far, Backend, 1000, 8888), to(NhEncap), None);
    changed(0, 0, 0, 0, "its own address needs no key");
    dropped(from(4, ProtoTcp, Backend, Client, 8888, 1), to(NhEncap, 3), None, DropTableParity, "its source's key");
    put_key(4, ProtoTcp, Backend, 8888, 0, 0);
    put_plain(4, Plain, ByPlain, 1, 1);
    dropped(p, to(NhEncap), None, DropTableParity, "a floating IP without port map");
    put_key(4, ProtoTcp, Plain, 443, ByKey);
    pass(from(0, ProtoTcp, Far, Plain, 1000, 443), to(NhEncap), None);
    asks(LearnNew, ByKey, 5'b11000, "a key before it needs none");
    put_key(4, ProtoTcp, Plain, 443, 0, 0);
    put_plain(4, Plain, ByPlain);
    put_map(ByPlain, Backend, 0, Plain, 0, 1, 1);
    dropped(p, to(NhEncap), None, DropTableParity, "its mapping");
    put_map(ByPlain, Backend, 0, Plain, 0);
    put_vif(4, Backend, LearnAlways, 1);
    dropped(p, to(NhEncap), None, DropTableParity, "the vif that it goes to");
    put_vif(4, Backend);
    pass(p, to(NhEncap), None);
    asks(LearnNew, ByPlain, 5'b10000, "all is well again");
  endtask

  int seen [5];
  always @(posedge clk) for (int i = 0; i < 5; i++) if (!rst && errors[i].valid === 1'b1) seen[i]++;

  initial begin
    repeat (4) @(posedge clk);
    rst <= 0;
    // Everything that may be read has been written.
    for (int i = 0; i < FipMaps; i++) begin
      acc.we <= '0;
      acc.we[SelFipMap]   <= 1;
      acc.we[SelFipKey]   <= 1;
      acc.we[SelPlainFip] <= i < PlainFips;
      acc.we[SelVif]      <= i < Vifs;
      acc.index <= index_t'(i);
      wdata     <= '0;
      @(posedge clk);
    end
    acc <= '0;
    repeat (8) @(posedge clk);
    put_vif(1, Node);
    put_vif(3, Client);
    put_vif(4, Backend);
    put_vif(6, 0);
    put_map(ByMember, Backend, 80, Vip, 8888);
    put_map(ByKey, Backend, 81, Vip, 8888);
    put_map(ByPlain, Backend, 0, Plain, 0);
    put_map(ByEgress, Backend, 0, Plain, 0);
    put_map(OfNode, Node, 80, Vip, 8888);
    put_map(Broken, Backend, 80, Vip, 8888, 0);
    put_key(4, ProtoTcp, Vip, 8888, ByKey);
    put_key(1, ProtoTcp, Vip, 8888, OfNode);
    put_plain(4, Plain, ByPlain);
    finds();
    applies();
    hairpins();
    cannot();
    errors_of_flows();
    refusals();
    check(seen[0] == 0 && seen[1] == 0 && seen[2] == 0 && seen[3] == 0 && seen[4] == 0, "no errors of parity");
    parity();
    repeat (8) @(posedge clk);
    for (int i = 0; i < 5; i++) check(seen[i] != 0, $sformatf("errors of parity, %0d", i));
    $display("PASS ps_translate_tb: %0d checks", checks);
    $finish;
  end

  initial begin
    #2000000;
    $display("FAILED: time out");
    $fatal(1);
  end

endmodule
