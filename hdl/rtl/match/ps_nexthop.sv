// Section 6: from label or route to a next hop, through an ECMP group where one stands in between.
//
// Refusals:   of sections 3 and 5 come before all that section 6 finds: own source, lost reply, wrong tunnel.
// Latency:    NextHopCycles (10); one packet every cycle. hop_o of a packet with route_i = 0 means nothing.
// Tables:     NextHop (two readers: what the route names, and the member's), Ecmp (three readers: the pinned
//             slot, the hashed slot, the hashed entry of the list of live members).
// Walk:       walk_* read NextHop and Ecmp for ps_move through ports that packets do not use: data the cycle after an
//             enable with ready. Not ready while the table is being written.
module ps_nexthop
  import ps_abi_pkg::*;
  import ps_types_pkg::*;
  import ps_match_pkg::*;
(
  input  logic        clk_i,
  input  logic        rst_i,
  input  logic        valid_i,       // a packet that is to be routed
  input  context_t    ctx_i,
  input  flow_hit_t   flow_i,
  input  route_t      route_i,
  output hop_t        hop_o,
  input  access_t     acc_i,
  input  logic [NextHopBits-1:0] acc_wdata_i,
  output next_hop_t   nh_rdata_o,
  output ecmp_slot_t  ecmp_rdata_o,

  input  logic        walk_nh_re_i,
  input  next_hop_addr_t walk_nh_addr_i,
  output logic        walk_nh_ready_o,
  output next_hop_t   walk_nh_rdata_o,
  input  logic        walk_ecmp_re_i,
  input  ecmp_addr_t  walk_ecmp_addr_i,
  output logic        walk_ecmp_ready_o,
  output ecmp_slot_t  walk_ecmp_rdata_o
);

  localparam int unsigned ScaleBits = 32 + $bits(slot_count_t);

  // The 5-tuple in the order of member_hash.
  typedef struct packed {
    logic [15:0] dport;
    logic [15:0] sport;
    logic [31:0] dip;
    logic [31:0] sip;
    logic [7:0]  proto;
  } tuple_t;

  typedef struct packed {
    logic        valid;
    slot_id_t    slot;
    logic [7:0]  generation;
    logic        udp;        // leaves a member that keeps no UDP flows
    logic        opens;      // leaves a draining member: nothing is established there
  } pin_t;

  typedef struct packed {
    pin_t        pin;
    slot_count_t live;
    slot_count_t slots;
    ecmp_addr_t  base;
  } group_t;

  typedef struct packed {
    logic         refused;
    drop_reason_e reason;     // if refused
    logic         move;       // if refused
    logic         frag;
    logic         found;
    logic [15:0]  nh;
    logic         label_valid;
    logic [19:0]  label;
  } first_t;

  typedef struct packed {
    first_t    first;
    next_hop_t nh;
  } carry_t;

  typedef struct packed {
    logic        ok;
    logic        chosen;
    ecmp_slot_t  word;
  } member_t;

  logic [1:0]  valid_q;    // valid_q[i]: stage i + 1
  logic [8:3]  group_q;    // group_q[i]: the packet in stage i goes through a group
  first_t      first, first1_q, first2_q;
  pin_t        pin1_q, pin2_q;
  tuple_t      tuple1_q, tuple2_q, tuple3_q;
  next_hop_t   nh2, nh2_checked, nh9;
  logic        group2;
  group_t      group3_q, group4_q, group5_q, group6_q, group7_q;
  logic [31:0] hash4_q;
  slot_id_t    by_slot5_q, by_live5_q;
  ecmp_addr_t  addr6_pin_q, addr6_slot_q, addr6_live_q;
  ecmp_slot_t  word_pin, word_slot, word_live;
  member_t     member, member8_q, member9_q;
  carry_t      carry9;
  logic        group9_q;
  logic        carry9_valid;
  ecmp_slot_t  unused_ecmp_live;
  logic        pinned, leaves;

  function automatic slot_id_t scale(input logic [31:0] hash, input slot_count_t count);
    scale = slot_id_t'((ScaleBits'(hash) * ScaleBits'(count)) >> $bits(hash));
  endfunction

  // Stage 0: which next hop, or what sections 3 and 5 refuse.
  /* verilator lint_off UNUSEDSIGNAL */  // a few fields of each
  function automatic first_t choose_first(input context_t ctx, input flow_hit_t flow, input route_t route);
    /* verilator lint_on UNUSEDSIGNAL */
    logic from_fabric, wrong_tunnel;
    from_fabric      = ctx.hdr.src == SrcFabric;
    wrong_tunnel     = from_fabric && flow.usable && flow.src_info != ctx.hdr.outer_sip;
    choose_first     = '{refused: 1'b0, reason: DropInvalidSource, move: 1'b0, frag: ctx.hdr.frag,
                         found: route.found, nh: route.nh, label_valid: route.label_valid, label: route.label};
    if (from_fabric && route.found && route.own) begin
      choose_first.refused = 1'b1;
    end else if (flow.lost) begin
      choose_first.refused = 1'b1;
      choose_first.reason  = DropFlowUnusable;
    end else if (wrong_tunnel) begin
      choose_first.refused = 1'b1;
      choose_first.move    = route.found && !ctx.hdr.icmp_err;
    end else if (from_fabric) begin
      choose_first.found       = 1'b1;
      choose_first.nh          = ctx.source.ilm_nh;
      choose_first.label_valid = 1'b0;
    end else if (flow.usable && flow.hairpin && flow.reverse) begin
      choose_first.found       = 1'b1;
      choose_first.nh          = ctx.source.key_nh;
      choose_first.label_valid = 1'b0;
    end
  endfunction

  assign first = choose_first(ctx_i, flow_i, route_i);

  ps_table #(
    .Width(NextHopBits),
    .Depth(NextHops),
    .Style("ultra")
  ) u_next_hop_first (
    .clk_i,
    .re_i       (valid_q[0] && first1_q.found),
    .addr_i     (next_hop_addr_t'(first1_q.nh)),
    .rdata_o    (nh2),
    .acc_re_i   (acc_i.re[SelNextHop]),
    .acc_we_i   (acc_i.we[SelNextHop]),
    .acc_index_i(next_hop_addr_t'(acc_i.index)),
    .acc_wdata_i(acc_wdata_i),
    .acc_rdata_o(nh_rdata_o)
  );

  ps_table #(
    .Width(NextHopBits),
    .Depth(NextHops),
    .Style("ultra")
  ) u_next_hop_member (
    .clk_i,
    .re_i       (group_q[8] && member8_q.ok),
    .addr_i     (next_hop_addr_t'(member8_q.word.nh)),
    .rdata_o    (nh9),
    .acc_re_i   (walk_nh_re_i && walk_nh_ready_o),
    .acc_we_i   (acc_i.we[SelNextHop]),
    .acc_index_i(walk_nh_ready_o ? walk_nh_addr_i : next_hop_addr_t'(acc_i.index)),
    .acc_wdata_i(acc_wdata_i),
    .acc_rdata_o(walk_nh_rdata_o)
  );

  ps_table #(
    .Width(EcmpSlotBits),
    .Depth(EcmpWords),
    .Style("ultra")
  ) u_ecmp_pin (
    .clk_i,
    .re_i       (group_q[6]),
    .addr_i     (addr6_pin_q),
    .rdata_o    (word_pin),
    .acc_re_i   (acc_i.re[SelEcmp]),
    .acc_we_i   (acc_i.we[SelEcmp]),
    .acc_index_i(ecmp_addr_t'(acc_i.index)),
    .acc_wdata_i(acc_wdata_i[EcmpSlotBits-1:0]),
    .acc_rdata_o(ecmp_rdata_o)
  );

  ps_table #(
    .Width(EcmpSlotBits),
    .Depth(EcmpWords),
    .Style("ultra")
  ) u_ecmp_slot (
    .clk_i,
    .re_i       (group_q[6]),
    .addr_i     (addr6_slot_q),
    .rdata_o    (word_slot),
    .acc_re_i   (walk_ecmp_re_i && walk_ecmp_ready_o),
    .acc_we_i   (acc_i.we[SelEcmp]),
    .acc_index_i(walk_ecmp_ready_o ? walk_ecmp_addr_i : ecmp_addr_t'(acc_i.index)),
    .acc_wdata_i(acc_wdata_i[EcmpSlotBits-1:0]),
    .acc_rdata_o(walk_ecmp_rdata_o)
  );

  ps_table #(
    .Width(EcmpSlotBits),
    .Depth(EcmpWords),
    .Style("ultra")
  ) u_ecmp_live (
    .clk_i,
    .re_i       (group_q[6]),
    .addr_i     (addr6_live_q),
    .rdata_o    (word_live),
    .acc_re_i   (1'b0),
    .acc_we_i   (acc_i.we[SelEcmp]),
    .acc_index_i(ecmp_addr_t'(acc_i.index)),
    .acc_wdata_i(acc_wdata_i[EcmpSlotBits-1:0]),
    .acc_rdata_o(unused_ecmp_live)
  );

  assign walk_nh_ready_o   = !acc_i.we[SelNextHop];
  assign walk_ecmp_ready_o = !acc_i.we[SelEcmp];

  // A next hop whose id is beyond the table is not valid.
  always_comb begin
    nh2_checked = nh2;
    if (!nh_in_table(first2_q.nh)) nh2_checked.valid = 1'b0;
  end

  ps_delay #(
    .Width ($bits(carry_t)),
    .Cycles(7)
  ) u_carry (
    .clk_i,
    .rst_i,
    .valid_i(valid_q[1]),
    .data_i ({first2_q, nh2_checked}),
    .valid_o(carry9_valid),
    .data_o (carry9)
  );

  assign group2 = valid_q[1] && first2_q.found && nh2_checked.valid && nh2.kind == NhComposite;

  // Stage 7: the three words of the group.
  assign pinned = group7_q.pin.valid && slot_count_t'(group7_q.pin.slot) < group7_q.slots && word_pin.valid &&
                  word_pin.generation == group7_q.pin.generation;
  assign leaves = (word_pin.drain && group7_q.pin.opens) ||
                  (word_pin.evict_udp && group7_q.pin.udp && group7_q.live != '0);

  always_comb begin
    member        = '0;
    member.chosen = 1'b1;
    if (!group_q[7]) begin
      member = '0;
    end else if (pinned && !leaves) begin
      member = '{ok: 1'b1, chosen: 1'b0, word: word_pin};
      member.word.slot = group7_q.pin.slot;
    end else if (group7_q.slots != '0 && word_slot.valid && !word_slot.drain) begin
      member = '{ok: 1'b1, chosen: 1'b1, word: word_slot};
    end else if (group7_q.live != '0 && word_live.valid) begin
      member = '{ok: 1'b1, chosen: 1'b1, word: word_live};
    end
  end

  // Stage 9: what comes out.
  function automatic hop_t combine(input first_t at, input next_hop_t nh, input logic group, input member_t by,
                                   input next_hop_t member_nh);
    combine = '{drop: 1'b0, reason: DropDiscard, move: 1'b0, first_nh: at.nh, nh: nh,
                label_valid: at.label_valid, label: at.label,
                group: 1'b0, chosen: 1'b0, slot: '0, generation: '0};
    if (at.refused) begin
      combine.drop   = 1'b1;
      combine.reason = at.reason;
      combine.move   = at.move;
    end else if (!at.found) begin
      combine.drop = 1'b1;
    end else if (!nh.valid) begin
      combine.drop   = 1'b1;
      combine.reason = DropInvalidNextHop;
    end else if (group && at.frag) begin
      combine.drop   = 1'b1;
      combine.reason = DropFragments;
    end else if (group) begin
      combine.nh          = member_nh;
      combine.label_valid = 1'b1;
      combine.label       = by.word.label;
      combine.group       = 1'b1;
      combine.chosen      = by.chosen;
      combine.slot        = by.word.slot;
      combine.generation  = by.word.generation;
      combine.drop        = !by.ok || !member_nh.valid || !nh_in_table(by.word.nh) || member_nh.kind == NhComposite;
      combine.reason      = by.ok ? DropInvalidNextHop : DropDiscard;
    end
  endfunction

  always_ff @(posedge clk_i) begin
    if (valid_i) begin
      first1_q <= first;
      pin1_q   <= '{valid: flow_i.usable && flow_i.ecmp_valid, slot: flow_i.ecmp_slot,
                    generation: flow_i.ecmp_generation, udp: ctx_i.hdr.proto == ProtoUdp,
                    opens: flow_i.opening && bare_syn(ctx_i.hdr)};
      tuple1_q <= '{dport: ctx_i.hdr.key_dport, sport: ctx_i.hdr.key_sport, dip: ctx_i.hdr.key_dip,
                    sip: ctx_i.hdr.key_sip, proto: ctx_i.hdr.key_proto};
    end
    if (valid_q[0]) begin
      first2_q <= first1_q;
      pin2_q   <= pin1_q;
      tuple2_q <= tuple1_q;
    end
    if (group2) begin
      group3_q <= '{pin: pin2_q, live: nh2.live, slots: nh2.slots, base: ecmp_addr_t'(nh2.base)};
      tuple3_q <= '{dport: nh2.hash_fields[FieldDport] ? tuple2_q.dport : '0,
                    sport: nh2.hash_fields[FieldSport] ? tuple2_q.sport : '0,
                    dip:   nh2.hash_fields[FieldDip]   ? tuple2_q.dip   : '0,
                    sip:   nh2.hash_fields[FieldSip]   ? tuple2_q.sip   : '0,
                    proto: nh2.hash_fields[FieldProto] ? tuple2_q.proto : '0};
    end
    if (group_q[3]) begin
      hash4_q  <= member_hash({24'd0, tuple3_q});
      group4_q <= group3_q;
    end
    if (group_q[4]) begin
      by_slot5_q <= scale(hash4_q, group4_q.slots);
      by_live5_q <= scale({hash4_q[15:0], hash4_q[31:16]}, group4_q.live);
      group5_q   <= group4_q;
    end
    if (group_q[5]) begin
      addr6_pin_q  <= group5_q.base + ecmp_addr_t'(group5_q.pin.slot);
      addr6_slot_q <= group5_q.base + ecmp_addr_t'(by_slot5_q);
      addr6_live_q <= group5_q.base + ecmp_addr_t'(group5_q.slots) + ecmp_addr_t'(by_live5_q);
      group6_q     <= group5_q;
    end
    if (group_q[6]) group7_q <= group6_q;
    if (group_q[7]) member8_q <= member;
    if (group_q[8]) member9_q <= member8_q;
    if (carry9_valid) hop_o <= combine(carry9.first, carry9.nh, group9_q, member9_q, nh9);
    valid_q  <= {valid_q[0], valid_i};
    group_q  <= {group_q[7:3], group2};
    group9_q <= group_q[8];
    if (rst_i) begin
      valid_q  <= '0;
      group_q  <= '0;
      group9_q <= 1'b0;
    end
  end

  logic       unused_bits;
  assign unused_bits = ^{unused_ecmp_live, member9_q, flow_i, group7_q.base, ctx_i};

endmodule
