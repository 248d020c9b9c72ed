// Section 6: from label or route to a next hop, through an ECMP group where one stands in between.
//
// Latency:    NextHopCycles (10); one packet every cycle. hop_o of a packet with route_i = 0 means nothing.
// Tables:     NextHop (two readers: what the route names, and the member's), Ecmp (three readers: the pinned
//             slot, the hashed slot, the hashed entry of the list of live members).
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
  output ecmp_slot_t  ecmp_rdata_o
);

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
    logic [5:0]  slot;
    logic [7:0]  generation;
  } pin_t;

  typedef struct packed {
    pin_t        pin;
    logic [6:0]  live;
    logic [6:0]  slots;
    logic [15:0] base;
  } group_t;

  typedef struct packed {
    logic        found;
    logic [15:0] nh;
    logic        label_valid;
    logic [19:0] label;
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
  logic [5:0]  by_slot5_q, by_live5_q;
  logic [15:0] addr6_pin_q, addr6_slot_q, addr6_live_q;
  ecmp_slot_t  word_pin, word_slot, word_live;
  member_t     member, member8_q, member9_q;
  carry_t      carry9;
  logic        group9_q;
  logic        carry9_valid;
  next_hop_t   unused_nh;
  ecmp_slot_t  unused_ecmp_slot, unused_ecmp_live;

  function automatic logic [5:0] scale(input logic [31:0] hash, input logic [6:0] count);
    scale = 6'((39'(hash) * 39'(count)) >> 32);
  endfunction

  // Stage 0: which next hop.
  always_comb begin
    first = '{found: route_i.found, nh: route_i.nh, label_valid: route_i.label_valid,
              label: route_i.label};
    if (ctx_i.hdr.src == SrcFabric) begin
      first = '{found: 1'b1, nh: ctx_i.source.ilm_nh, label_valid: 1'b0, label: '0};
    end else if (flow_i.usable && flow_i.hairpin && flow_i.reverse) begin
      first = '{found: 1'b1, nh: ctx_i.source.key_nh, label_valid: 1'b0, label: '0};
    end
  end

  ps_table #(
    .Width(NextHopBits),
    .Depth(NextHops),
    .Style("ultra")
  ) u_next_hop_first (
    .clk_i,
    .re_i       (valid_q[0] && first1_q.found),
    .addr_i     (first1_q.nh[14:0]),
    .rdata_o    (nh2),
    .acc_re_i   (acc_i.re[SelNextHop]),
    .acc_we_i   (acc_i.we[SelNextHop]),
    .acc_index_i(acc_i.index[14:0]),
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
    .addr_i     (member8_q.word.nh[14:0]),
    .rdata_o    (nh9),
    .acc_re_i   (1'b0),
    .acc_we_i   (acc_i.we[SelNextHop]),
    .acc_index_i(acc_i.index[14:0]),
    .acc_wdata_i(acc_wdata_i),
    .acc_rdata_o(unused_nh)
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
    .acc_index_i(acc_i.index),
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
    .acc_re_i   (1'b0),
    .acc_we_i   (acc_i.we[SelEcmp]),
    .acc_index_i(acc_i.index),
    .acc_wdata_i(acc_wdata_i[EcmpSlotBits-1:0]),
    .acc_rdata_o(unused_ecmp_slot)
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
    .acc_index_i(acc_i.index),
    .acc_wdata_i(acc_wdata_i[EcmpSlotBits-1:0]),
    .acc_rdata_o(unused_ecmp_live)
  );

  // A next hop whose id is beyond the table is not valid.
  always_comb begin
    nh2_checked = nh2;
    if (first2_q.nh[15]) nh2_checked.valid = 1'b0;
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
  always_comb begin
    member        = '0;
    member.chosen = 1'b1;
    if (!group_q[7]) begin
      member = '0;
    end else if (group7_q.pin.valid && 7'(group7_q.pin.slot) < group7_q.slots && word_pin.valid &&
        word_pin.generation == group7_q.pin.generation) begin
      member = '{ok: 1'b1, chosen: 1'b0, word: word_pin};
      member.word.slot = group7_q.pin.slot;
    end else if (group7_q.slots != '0 && word_slot.valid && !word_slot.drain) begin
      member = '{ok: 1'b1, chosen: 1'b1, word: word_slot};
    end else if (group7_q.live != '0 && word_live.valid) begin
      member = '{ok: 1'b1, chosen: 1'b1, word: word_live};
    end
  end

  // Stage 9: what comes out.
  function automatic hop_t combine();
    combine = '{drop: 1'b0, reason: DropDiscard, first_nh: carry9.first.nh, nh: carry9.nh,
                label_valid: carry9.first.label_valid, label: carry9.first.label,
                group: 1'b0, chosen: 1'b0, slot: '0, generation: '0};
    if (!carry9.first.found) begin
      combine.drop = 1'b1;
    end else if (!carry9.nh.valid) begin
      combine.drop   = 1'b1;
      combine.reason = DropInvalidNextHop;
    end else if (group9_q) begin
      combine.nh          = nh9;
      combine.label_valid = 1'b1;
      combine.label       = member9_q.word.label;
      combine.group       = 1'b1;
      combine.chosen      = member9_q.chosen;
      combine.slot        = member9_q.word.slot;
      combine.generation  = member9_q.word.generation;
      combine.drop        = !member9_q.ok || !nh9.valid || member9_q.word.nh[15] || nh9.kind == NhComposite;
      combine.reason      = member9_q.ok ? DropInvalidNextHop : DropDiscard;
    end
  endfunction

  always_ff @(posedge clk_i) begin
    if (valid_i) begin
      first1_q <= first;
      pin1_q   <= '{valid: flow_i.usable && flow_i.ecmp_valid, slot: flow_i.ecmp_slot,
                    generation: flow_i.ecmp_generation};
      tuple1_q <= '{dport: ctx_i.hdr.key_dport, sport: ctx_i.hdr.key_sport, dip: ctx_i.hdr.key_dip,
                    sip: ctx_i.hdr.key_sip, proto: ctx_i.hdr.key_proto};
    end
    if (valid_q[0]) begin
      first2_q <= first1_q;
      pin2_q   <= pin1_q;
      tuple2_q <= tuple1_q;
    end
    if (group2) begin
      group3_q <= '{pin: pin2_q, live: nh2.live, slots: nh2.slots, base: nh2.base};
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
      addr6_pin_q  <= group5_q.base + 16'(group5_q.pin.slot);
      addr6_slot_q <= group5_q.base + 16'(by_slot5_q);
      addr6_live_q <= group5_q.base + 16'(group5_q.slots) + 16'(by_live5_q);
      group6_q     <= group5_q;
    end
    if (group_q[6]) group7_q <= group6_q;
    if (group_q[7]) member8_q <= member;
    if (group_q[8]) member9_q <= member8_q;
    if (carry9_valid) hop_o <= combine();
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
  assign unused_bits = ^{unused_nh, unused_ecmp_slot, unused_ecmp_live, member9_q, flow_i, group7_q.base, ctx_i};

endmodule
