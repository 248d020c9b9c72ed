// Section 6: from where it leads first to a next hop, through an ECMP group where one stands in between.
//
// Refusals:   of sections 3 and 5 come before all that section 6 finds: lost reply, wrong tunnel, and the source check, whose answer
//             comes CheckCycles after the packet.
// Clients:    of a listener that keeps them (way_i.affinity) comes HopLatency cycles after the packet at which member, kept_i; without a
//             pinned one that is tried in place of the hashed one. hop_o.affinity says that the choice is to be kept.
// Latency:    NextHopCycles; one packet every cycle.
// Tables:     NextHop (read twice: what the route names, and the member's), Ecmp (read twice: the slot, pinned or hashed, and the hashed
//             entry of the list of live members). One copy of each, both of whose ports packets read in every cycle if they go through
//             groups: the host's accesses and the walk's reads take their turn at the second port in cycles in which none does
//             (ps_table_turns), and gap_o asks for headers to come with one of them between if there is none.
// Walk:       walk_* read NextHop and Ecmp for ps_move: taken with an enable and ready, data with valid some cycles later.
// Stages:     with n cycles for a next hop and e for a word: 0 read the first next hop | n it stands: group and hash | n + 1
//             products | n + 2 addresses | n + 3 read two words | n + 3 + e member | n + 4 + e read its next hop | 2n + 4 + e all
module ps_nexthop
  import ps_abi_pkg::*;
  import ps_types_pkg::*;
  import ps_match_pkg::*;
  import ps_pair_pkg::*;
(
  input  logic        clk_i,
  input  logic        rst_i,
  input  logic        valid_i,       // a packet that is to be routed
  input  context_t    ctx_i,
  input  pair_hit_t   flow_i,
  input  way_t        way_i,
  input  early_t      early_i,
  input  check_t      check_i,       // CheckCycles later
  input  affinity_hit_t kept_i,      // HopLatency later
  input  affinity_time_t now_i,
  output hop_t        hop_o,
  output logic        hop_bad_o,         // in the cycle of hop_o: the member's next hop has the wrong parity
  output parity_error_t [1:0] nh_error_o,    // of both copies, later
  output parity_error_t [1:0] ecmp_error_o,
  input  logic        flight_i,        // there are packets in the core
  output logic        gap_o,           // pulse: one cycle without a header, please
  input  logic        clearing_i,      // writes are the clearing walk's
  input  access_t     acc_i,
  input  logic [NextHopBits-1:0] acc_wdata_i,
  output logic        acc_done_o,      // pulse: an access to either table has had its turn
  output next_hop_t   nh_rdata_o,
  output logic        nh_acc_bad_o,
  output ecmp_slot_t  ecmp_rdata_o,
  output logic        ecmp_acc_bad_o,

  input  logic        walk_nh_re_i,
  input  next_hop_addr_t walk_nh_addr_i,
  output logic        walk_nh_ready_o,
  output logic        walk_nh_valid_o,
  output next_hop_t   walk_nh_rdata_o,
  output logic        walk_nh_bad_o,
  input  logic        walk_ecmp_re_i,
  input  ecmp_addr_t  walk_ecmp_addr_i,
  output logic        walk_ecmp_ready_o,
  output logic        walk_ecmp_valid_o,
  output ecmp_slot_t  walk_ecmp_rdata_o,
  output logic        walk_ecmp_bad_o
);

  localparam int unsigned HashFields = 5;
  localparam int unsigned Read  = HopLatency;                // the first next hop stands
  localparam int unsigned Words = Read + 3 + EcmpLatency;    // two words of its group stand
  localparam int unsigned All   = Words + 1 + HopLatency;    // the member's next hop stands

  localparam int unsigned CountBits = $bits(slot_count_t);

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
    generation_t generation;
    logic        udp;        // leaves a member that keeps no UDP flows
    logic        opens;      // leaves a draining member: nothing is established there
  } pin_t;

  // A group's packet, on its way to the words.
  typedef struct packed {
    pin_t        pin;        // valid: the first word is the pinned one,
    logic        kept;       // else that of the client, else the hashed one
    logic        live;       // there are members that take new flows
    logic        slots;      // there are any
    logic        evicts;     // leaves a member that keeps no UDP flows, as there is another
  } group_t;

  typedef struct packed {
    logic         frag;
    logic [15:0]  nh;
    logic         label_valid;
    logic [19:0]  label;
    logic [11:0]  vrf;
    logic         egress;
    affinity_number_t affinity;
  } first_t;

  // What sections 3 and 5 refuse, before it is summed up.
  typedef struct packed {
    early_t early;
    logic   lost;
    logic   usable;
    logic   fabric;
    logic   differs;          // the tunnel from that of the flow
    logic   error;            // an ICMP error, which changes no flow
    logic   drop;             // or the way does
    logic   trap;
    drop_reason_e reason;
  } refusal_t;

  // What is decided without the next hop.
  typedef struct packed {
    logic         refused;    // by section 5, but for the source check
    logic         unchecked;  // of a usable flow
    logic         drop;
    drop_reason_e reason;
    logic         trap;
    logic         move;
    logic         far_service;
    logic         dead;
    logic [15:0]  nh;
  } before_t;

  typedef struct packed {
    first_t    first;
    next_hop_t nh;
    logic      usable;        // the next hop's id is in the table, and it is valid
    logic      group;         // the packet goes through it
    logic      fragment;      // or would, if it were no fragment
    logic      keeps;         // the group its clients
  } carry_t;

  typedef struct packed {
    logic        ok;
    logic        chosen;
    logic        by_live;      // the word is that of the list
    ecmp_slot_t  word;
  } member_t;

  logic [All:1]   valid_q;           // bit i: a packet is in cycle i
  logic [All:1]   group_q;           // and goes through a group
  first_t         first;
  first_t         first_q [Read:1];
  refusal_t       refusal1_q;
  before_t        before_q [CheckCycles:2];
  before_t        joined_q, before_all;
  logic           joined_valid;
  pin_t           pin;
  pin_t           pin_q [Read:1];
  tuple_t         tuple;
  tuple_t         tuple_q [Read-1:1];
  logic [HashFields-1:0][31:0] parts_q;      // of the hash, a field each: it is linear
  next_hop_t      nh, nh_member;
  carry_t         carry, carry_all;
  logic           carry_valid, group;
  // Cycles Read + 1 to Read + 3.
  logic [31:0]    hash_q;
  group_t         group1, group1_q;
  group_t         group_words_q [Words:Read+2];
  slot_count_t         slots1_q, live1_q;
  slot_id_t       kept_slot1_q;
  generation_t    kept_generation1_q;
  affinity_time_t timeout, lot_q, lot;      // lot: the time, its lowest bit first
  ecmp_addr_t     base1_q, base2_q, base_live1_q, base_live2_q, addr_pin2_q, addr_kept2_q, addr_slot_q, addr_live_q;
  logic [CountBits+15:0] slot_high2_q, slot_low2_q, live_high2_q, live_low2_q;
  // Cycle Words and on.
  ecmp_slot_t     word_slot, word_live;
  member_t        member;
  member_t        member_q [All:Words+1];
  // Turns at the second ports.
  logic           clearing_q, clear_late_q, nh_done, nh_take, nh_take_q, member_re_q, nh_port_soon, nh_port_we, nh_port_all;
  logic           ecmp_done, ecmp_take, ecmp_take_q, live_re_q, ecmp_port_soon, ecmp_port_we, ecmp_port_all;
  logic [1:0]     nh_waits, ecmp_waits;
  next_hop_addr_t nh_index, nh_index_q;
  ecmp_addr_t     ecmp_index;
  logic [NextHopBits:0]  nh_port_wdata;
  logic [EcmpSlotBits:0] ecmp_port_wdata;

  // What has the wrong parity.
  logic       nh_bad, member_bad, slot_bad, live_bad, member_read_q, member_counts_q;
  logic [1:0] words_bad;
  logic [All:Read+2] bad_q;
  next_hop_addr_t first_nh1_q, member_nh_q;
  ecmp_addr_t slot_addr_q [EcmpLatency+1], live_addr_q [EcmpLatency+1];

  // Of the products with the halves of a hash: floor(hash * count / 2^32), hash::scale.
  function automatic ecmp_addr_t scaled(input logic [CountBits+15:0] high, input logic [CountBits+15:0] low);
    scaled = ecmp_addr_t'((high + (CountBits + 16)'(low >> 16)) >> 16);
  endfunction

  // Cycle 0: which next hop, whatever sections 3 and 5 say.
  assign first = '{frag: ctx_i.hdr.frag, nh: way_i.nh, label_valid: way_i.label_valid, label: way_i.label, vrf: way_i.vrf,
                   egress: way_i.egress, affinity: way_i.affinity};

  /* verilator lint_off UNUSEDSIGNAL */  // a few fields of each
  function automatic refusal_t may_refuse(input context_t ctx, input pair_hit_t flow, input way_t way, input early_t early);
    may_refuse = '{early: early, lost: flow.lost, usable: flow.usable, fabric: ctx.hdr.src == SrcFabric,
                   differs: flow.src_info != ctx.hdr.outer_sip, error: ctx.hdr.icmp_err,
                   drop: way.drop, trap: way.trap, reason: way.reason};
  endfunction
  /* verilator lint_on UNUSEDSIGNAL */

  // Cycle 1: and what they do say.
  function automatic before_t refuse(input logic [15:0] to, input refusal_t by);
    logic strange;
    strange          = by.fabric && by.usable && by.differs;
    refuse.refused   = by.early.broken || by.lost || by.early.dead || strange;
    refuse.unchecked = by.usable;
    refuse.drop      = refuse.refused || by.drop;
    refuse.reason    = by.early.broken ? DropTableParity : by.lost || by.early.dead ? DropFlowUnusable :
                       strange ? DropInvalidSource : by.reason;
    refuse.trap      = by.trap && !refuse.refused;
    refuse.move      = strange && !by.early.broken && !by.lost && !by.early.dead && !by.error;
    refuse.far_service = by.early.far_service;
    refuse.dead      = by.early.dead && !by.early.broken && !by.lost && !by.error;
    refuse.nh        = strange ? by.early.far_nh : to;
  endfunction

  // Cycle CheckCycles: and the source check, of a packet of no flow, or of one that asks for a move.
  function automatic before_t join_check(input before_t of, input check_t check);
    join_check      = of;
    join_check.move = of.move && !check.drop;
    if (!of.refused && !of.unchecked && check.drop) begin
      join_check.drop   = 1'b1;
      join_check.reason = check.reason;
      join_check.trap   = 1'b0;
    end
  endfunction

  // The part of one field in the hash.
  function automatic logic [31:0] part(input int unsigned field, input tuple_t of);
    tuple_t only;
    only = '0;
    unique case (field)
      FieldProto: only.proto = of.proto;
      FieldSip:   only.sip   = of.sip;
      FieldSport: only.sport = of.sport;
      FieldDip:   only.dip   = of.dip;
      default:    only.dport = of.dport;
    endcase
    part = member_hash({24'd0, only});
  endfunction

  function automatic logic [31:0] masked_sum(input logic [HashFields-1:0][31:0] parts, input logic [HashFields-1:0] mask);
    masked_sum = '0;
    for (int unsigned f = 0; f < HashFields; f++) if (mask[f]) masked_sum ^= parts[f];
  endfunction

  assign pin   = '{valid: flow_i.usable && flow_i.ecmp_valid, slot: slot_id_t'(flow_i.ecmp_slot),
                   generation: flow_i.ecmp_generation, udp: ctx_i.hdr.proto == ProtoUdp,
                   opens: flow_i.opening && bare_syn(ctx_i.hdr)};
  assign tuple = '{dport: ctx_i.hdr.key_dport, sport: ctx_i.hdr.key_sport, dip: ctx_i.hdr.key_dip,
                   sip: ctx_i.hdr.key_sip, proto: ctx_i.hdr.key_proto};

  // The second ports: who has the turn takes the place of a packet at its last stages before the address, so that the address has no
  // multiplexer of its own.
  ps_table_deep #(
    .Width(NextHopBits),
    .Depth(NextHops),
    .Fan  (DeepFan),
    .BlockBits(NextHopBlockBits)
  ) u_next_hop (
    .clk_i,
    .re_i         (valid_i),
    .addr_i       (first.nh[$clog2(NextHops)-1:0]),
    .rdata_o      (nh),
    .bad_o        (nh_bad),
    .other_re_i   (member_re_q),
    .other_we_i   (nh_port_we),
    .other_all_i  (nh_port_all),
    .other_addr_i (member_q[Words+1].word.nh[$clog2(NextHops)-1:0]),
    .other_wdata_i(nh_port_wdata),
    .other_rdata_o(nh_member),
    .other_bad_o  (member_bad)
  );

  ps_table_turns #(
    .Width  (NextHopBits),
    .Depth  (NextHops),
    .Latency(HopLatency)
  ) u_next_hop_turns (
    .clk_i,
    .rst_i,
    .free_i      (!group_q[Words-1]),
    .clearing_i  (clearing_q),
    .clear_late_i(clear_late_q),
    .acc_re_i    (acc_i.re[SelNextHop]),
    .acc_we_i    (acc_i.we[SelNextHop]),
    .acc_flip_i  (acc_i.flip),
    .acc_index_i (next_hop_addr_t'(acc_i.index)),
    .acc_wdata_i,
    .done_o      (nh_done),
    .acc_rdata_o (nh_rdata_o),
    .acc_bad_o   (nh_acc_bad_o),
    .walk_re_i   (walk_nh_re_i),
    .walk_addr_i (walk_nh_addr_i),
    .walk_ready_o(walk_nh_ready_o),
    .walk_valid_o(walk_nh_valid_o),
    .walk_rdata_o(walk_nh_rdata_o),
    .walk_bad_o  (walk_nh_bad_o),
    .take_o      (nh_take),
    .index_o     (nh_index),
    .port_soon_o (nh_port_soon),
    .port_we_o   (nh_port_we),
    .port_all_o  (nh_port_all),
    .port_wdata_o(nh_port_wdata),
    .port_rdata_i(nh_member),
    .port_bad_i  (member_bad),
    .waits_o     (nh_waits)
  );

  ps_table_deep #(
    .Width(EcmpSlotBits),
    .Depth(EcmpWords),
    .Fan  (DeepFan)
  ) u_ecmp (
    .clk_i,
    .re_i         (group_q[Read+3]),
    .addr_i       (addr_slot_q),
    .rdata_o      (word_slot),
    .bad_o        (slot_bad),
    .other_re_i   (live_re_q),
    .other_we_i   (ecmp_port_we),
    .other_all_i  (ecmp_port_all),
    .other_addr_i (addr_live_q),
    .other_wdata_i(ecmp_port_wdata),
    .other_rdata_o(word_live),
    .other_bad_o  (live_bad)
  );

  ps_table_turns #(
    .Width  (EcmpSlotBits),
    .Depth  (EcmpWords),
    .Latency(EcmpLatency)
  ) u_ecmp_turns (
    .clk_i,
    .rst_i,
    .free_i      (!group_q[Read+1]),
    .clearing_i  (clearing_q),
    .clear_late_i(clear_late_q),
    .acc_re_i    (acc_i.re[SelEcmp]),
    .acc_we_i    (acc_i.we[SelEcmp]),
    .acc_flip_i  (acc_i.flip),
    .acc_index_i (ecmp_addr_t'(acc_i.index)),
    .acc_wdata_i (acc_wdata_i[EcmpSlotBits-1:0]),
    .done_o      (ecmp_done),
    .acc_rdata_o (ecmp_rdata_o),
    .acc_bad_o   (ecmp_acc_bad_o),
    .walk_re_i   (walk_ecmp_re_i),
    .walk_addr_i (walk_ecmp_addr_i),
    .walk_ready_o(walk_ecmp_ready_o),
    .walk_valid_o(walk_ecmp_valid_o),
    .walk_rdata_o(walk_ecmp_rdata_o),
    .walk_bad_o  (walk_ecmp_bad_o),
    .take_o      (ecmp_take),
    .index_o     (ecmp_index),
    .port_soon_o (ecmp_port_soon),
    .port_we_o   (ecmp_port_we),
    .port_all_o  (ecmp_port_all),
    .port_wdata_o(ecmp_port_wdata),
    .port_rdata_i(word_live),
    .port_bad_i  (live_bad),
    .waits_o     (ecmp_waits)
  );

  ps_gaps u_gaps (
    .clk_i,
    .rst_i,
    .host_i  (nh_waits[0] || ecmp_waits[0]),
    .walk_i  (nh_waits[1] || ecmp_waits[1]),
    .flight_i,
    .gap_o
  );

  // A clearing goes through a bank again and again; its first write, of index 0, comes a cycle after it has begun.
  always_ff @(posedge clk_i) begin
    clearing_q   <= clearing_i;
    clear_late_q <= clearing_q && acc_i.index >= index_t'(ps_ram_deep_pkg::BankDepth);
  end

  assign acc_done_o = nh_done || ecmp_done;

  // Cycle Read: the first next hop. One whose id is beyond the table is not valid.
  assign carry.first  = first_q[Read];
  assign carry.nh     = nh;
  assign carry.usable = nh.valid && 32'(first_q[Read].nh) < NextHops;
  assign group          = carry.usable && nh.kind == NhComposite && !before_q[Read].drop && !before_q[Read].trap;
  assign carry.group    = group && !first_q[Read].frag;
  assign carry.fragment = group && first_q[Read].frag;
  assign timeout        = affinity_time_t'(nh.sip);       // of a Composite
  assign carry.keeps    = first_q[Read].affinity != '0 && timeout != '0;
  always_comb for (int unsigned i = 0; i < AffinityTimeBits; i++) lot[AffinityTimeBits-1-i] = lot_q[i];

  ps_delay #(
    .Width ($bits(carry_t)),
    .Cycles(All - Read)
  ) u_carry (
    .clk_i,
    .rst_i,
    .valid_i(valid_q[Read]),
    .data_i (carry),
    .valid_o(carry_valid),
    .data_o (carry_all)
  );

  ps_delay #(
    .Width ($bits(before_t)),
    .Cycles(All - CheckCycles - 1)
  ) u_before (
    .clk_i,
    .rst_i,
    .valid_i(valid_q[CheckCycles+1]),
    .data_i (joined_q),
    .valid_o(joined_valid),
    .data_o (before_all)
  );

  always_comb begin
    group1.pin       = pin_q[Read];
    group1.pin.valid = pin_q[Read].valid && (CountBits + 1)'(pin_q[Read].slot) < (CountBits + 1)'(nh.slots);
    group1.kept      = kept_i.hit && first_q[Read].affinity != '0 && timeout != '0 &&
                       (CountBits + 1)'(kept_i.slot) < (CountBits + 1)'(nh.slots);
    group1.live      = nh.live != '0;
    group1.slots     = nh.slots != '0;
    group1.evicts    = 1'b0;
  end

  // Cycle Words: the pinned word, unless it is no longer the flow's or the packet leaves it; without one the client's or the hashed word,
  // unless it is no longer the client's or its member takes no new flows; else the word of the list. The steps are kept apart for synthesis: three levels.
  (* keep *) logic [2:0] same;
  (* keep *) logic       pin_stays, kept_takes, hash_takes, take;
  group_t                packet;

  assign packet     = group_words_q[Words];
  assign same       = {word_slot.generation[7:6] == packet.pin.generation[7:6], word_slot.generation[5:3] == packet.pin.generation[5:3],
                       word_slot.generation[2:0] == packet.pin.generation[2:0]};
  assign pin_stays  = packet.pin.valid && word_slot.valid &&
                      !(word_slot.drain && (packet.pin.opens || (word_slot.evict_udp && packet.evicts)));
  assign kept_takes = packet.kept && word_slot.valid && !word_slot.drain;
  assign hash_takes = !packet.pin.valid && !packet.kept && packet.slots && word_slot.valid && !word_slot.drain;
  assign take       = hash_takes || ((pin_stays || kept_takes) && same == '1);

  always_comb begin
    member = '{ok: take || (packet.live && word_live.valid), chosen: !(take && packet.pin.valid),
               by_live: !take, word: take ? word_slot : word_live};
    if (take && packet.pin.valid) member.word.slot = packet.pin.slot;
  end

  // Cycle All: what comes out.
  /* verilator lint_off UNUSEDSIGNAL */  // of the member's choice not where from
  function automatic hop_t combine(input carry_t at, input before_t ahead, input member_t by, input next_hop_t member_nh,
                                   input logic bad);
    combine = '{drop: 1'b0, reason: DropDiscard, move: ahead.move, far_service: ahead.far_service, dead: ahead.dead, trap: 1'b0,
                first_nh: ahead.nh, vrf: at.first.vrf, egress: at.first.egress, nh: at.nh,
                label_valid: at.first.label_valid, label: at.first.label, map: '0,
                group: 1'b0, chosen: 1'b0, slot: '0, generation: '0, affinity: '0};
    if (at.group) begin
      combine.nh          = member_nh;
      combine.label_valid = !by.word.local_;
      combine.label       = by.word.label;
      combine.map         = by.word.local_ ? map_id_t'(by.word.label) : '0;
      combine.group       = 1'b1;
      combine.chosen      = by.chosen;
      combine.slot        = by.word.slot;
      combine.generation  = by.word.generation;
      combine.affinity    = '{number: at.keeps && by.chosen ? at.first.affinity : '0, timeout: affinity_time_t'(at.nh.sip)};
      combine.drop        = !by.ok || !member_nh.valid || 32'(by.word.nh) >= NextHops || member_nh.kind == NhComposite;
      combine.reason      = by.ok ? DropInvalidNextHop : DropDiscard;
    end
    if (ahead.drop || ahead.trap) begin
      combine.drop   = ahead.drop;
      combine.reason = ahead.reason;
      combine.trap   = ahead.trap;
    end else if (bad) begin
      combine.drop   = 1'b1;
      combine.reason = DropTableParity;
    end else if (!at.usable) begin
      combine.drop   = 1'b1;
      combine.reason = DropInvalidNextHop;
    end else if (at.fragment) begin
      combine.drop   = 1'b1;
      combine.reason = DropFragments;
    end
  endfunction
  /* verilator lint_on UNUSEDSIGNAL */

  always_ff @(posedge clk_i) begin
    lot_q <= now_i;
    if (valid_i) begin
      first_q[1] <= first;
      refusal1_q <= may_refuse(ctx_i, flow_i, way_i, early_i);
      pin_q[1]   <= pin;
      tuple_q[1] <= tuple;
    end
    for (int unsigned i = 2; i <= Read; i++) begin
      if (valid_q[i-1]) begin
        first_q[i] <= first_q[i-1];
        pin_q[i]   <= pin_q[i-1];
        if (i < Read) tuple_q[i] <= tuple_q[i-1];
      end
    end
    if (valid_q[1]) before_q[2] <= refuse(first_q[1].nh, refusal1_q);
    for (int unsigned i = 3; i <= CheckCycles; i++) if (valid_q[i-1]) before_q[i] <= before_q[i-1];
    if (valid_q[CheckCycles]) joined_q <= join_check(before_q[CheckCycles], check_i);
    if (valid_q[Read-1]) begin
      for (int unsigned f = 0; f < HashFields; f++) parts_q[f] <= part(f, tuple_q[Read-1]);
    end
    if (valid_q[Read]) begin
      hash_q       <= masked_sum(parts_q, nh.hash_fields) ^ (carry.keeps ? {lot, (32 - AffinityTimeBits)'(0)} : '0);
      group1_q     <= group1;
      kept_slot1_q <= kept_i.slot;
      kept_generation1_q <= kept_i.generation;
      slots1_q     <= nh.slots;
      live1_q      <= nh.live;
      base1_q      <= ecmp_addr_t'(nh.base);
      base_live1_q <= ecmp_addr_t'(nh.base) + ecmp_addr_t'(nh.slots);
    end
    if (group_q[Read+1]) begin
      slot_high2_q <= hash_q[31:16] * slots1_q;
      slot_low2_q  <= hash_q[15:0] * slots1_q;
      live_high2_q <= hash_q[15:0] * live1_q;
      live_low2_q  <= hash_q[31:16] * live1_q;
      base2_q      <= base1_q;
      base_live2_q <= base_live1_q;
      addr_pin2_q  <= base1_q + ecmp_addr_t'(group1_q.pin.slot);
      addr_kept2_q <= base1_q + ecmp_addr_t'(kept_slot1_q);
      group_words_q[Read+2] <= group1_q;
      group_words_q[Read+2].kept <= group1_q.kept && !group1_q.pin.valid;
      if (!group1_q.pin.valid) group_words_q[Read+2].pin.generation <= kept_generation1_q;
      group_words_q[Read+2].evicts <= group1_q.pin.udp && group1_q.live;
    end
    // Without a packet, who may have the turn: its index, and nothing added to it. Whether it has is the port's matter.
    if (Rests ? ecmp_take : !group_q[Read+1]) begin
      live_high2_q <= '0;
      live_low2_q  <= '0;
      base_live2_q <= ecmp_index;
    end
    ecmp_take_q <= ecmp_take;
    live_re_q   <= (group_q[Read+2] || ecmp_port_soon) && !rst_i;
    // Whether there is a member is known too late for the memory's enable; without one, what is read there is not looked at.
    member_re_q <= (group_q[Words] || nh_port_soon) && !rst_i;
    if (group_q[Read+2]) begin
      addr_slot_q <= group_words_q[Read+2].pin.valid ? addr_pin2_q : group_words_q[Read+2].kept ? addr_kept2_q :
                     base2_q + scaled(slot_high2_q, slot_low2_q);
    end
    if (group_q[Read+2] || !Rests || ecmp_take_q) addr_live_q <= base_live2_q + scaled(live_high2_q, live_low2_q);
    for (int unsigned i = Read + 3; i <= Words; i++) begin
      if (group_q[i-1]) group_words_q[i] <= group_words_q[i-1];
    end
    if (group_q[Words]) member_q[Words+1] <= member;
    else if (!Rests || nh_take_q) member_q[Words+1].word.nh <= nh_id_t'(nh_index_q);
    nh_take_q <= nh_take;
    if (!Rests || nh_take) nh_index_q <= nh_index;
    for (int unsigned i = Words + 2; i <= All; i++) begin
      if (group_q[i-1]) member_q[i] <= member_q[i-1];
    end
    if (carry_valid) hop_o <= combine(carry_all, before_all, member_q[All], nh_member, bad_q[All]);
    bad_q[Read+2] <= nh_bad && valid_q[Read+1];
    for (int unsigned i = Read + 3; i <= All; i++) begin
      bad_q[i] <= bad_q[i-1] || (i == Words + 2 && words_bad != '0 && (slot_bad || member_q[Words+1].by_live));
    end
    valid_q <= {valid_q[All-1:1], valid_i};
    group_q <= {group_q[All-1:Read+1], valid_q[Read] && carry.group, Read'(0)};
    if (rst_i) begin
      valid_q <= '0;
      group_q <= '0;
    end
  end

  // --- What has the wrong parity, each found out in the cycle after it stands: the first next hop and the words of its group on the way
  // to cycle All, the member's next hop beside what comes out.
  assign words_bad = group_q[Words+1] ? {live_bad, slot_bad} : '0;
  assign hop_bad_o = member_read_q && member_bad && member_counts_q;

  always_ff @(posedge clk_i) begin
    member_read_q <= group_q[All] && member_q[All].ok && !rst_i;
    member_counts_q <= !before_all.drop && !before_all.trap;
    if (valid_q[Read]) first_nh1_q <= next_hop_addr_t'(first_q[Read].nh);
    if (group_q[Read+3]) begin
      slot_addr_q[0] <= addr_slot_q;
      live_addr_q[0] <= addr_live_q;
    end
    for (int unsigned i = 1; i <= EcmpLatency; i++) begin
      if (group_q[Read+3+i]) begin
        slot_addr_q[i] <= slot_addr_q[i-1];
        live_addr_q[i] <= live_addr_q[i-1];
      end
    end
    if (group_q[All]) member_nh_q <= next_hop_addr_t'(member_q[All].word.nh);
    nh_error_o[0].valid   <= nh_bad && valid_q[Read+1] && !rst_i;
    nh_error_o[1].valid   <= member_read_q && member_bad && !rst_i;
    ecmp_error_o[0].valid <= words_bad[0] && !rst_i;
    ecmp_error_o[1].valid <= words_bad[1] && !rst_i;
    if (nh_bad) nh_error_o[0].index <= index_t'(first_nh1_q);
    if (member_bad) nh_error_o[1].index <= index_t'(member_nh_q);
    if (slot_bad) ecmp_error_o[0].index <= index_t'(slot_addr_q[EcmpLatency]);
    if (live_bad) ecmp_error_o[1].index <= index_t'(live_addr_q[EcmpLatency]);
  end

  logic       unused_bits;
  assign unused_bits = ^{flow_i, ctx_i, member_q[All].word, group_q[All], valid_q[All], joined_valid};

`ifndef SYNTHESIS
  initial assert (NextHopCycles == All + 1) else $fatal(1, "ps_nexthop: its stages are not NextHopCycles");
  initial assert (Read >= 3) else $fatal(1, "ps_nexthop: refusals and hash need three cycles beside the first read");
  initial assert (CheckCycles > 2 && CheckCycles < All) else $fatal(1, "ps_nexthop: the source check comes too late");
`endif

endmodule
