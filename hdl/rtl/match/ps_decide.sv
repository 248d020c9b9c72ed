// The decision: sections 6 (by kind), 7, 8 (length) and 9 for one packet, from all that the stages before have looked up.
//
// Latency:    DecideCycles (4); one packet every cycle.
// Stages:     1 comparisons | 2 fate by source and next hop, translation | 3 addresses, delivery check | 4 verdict and the rest
// Order:      one chain of drop reasons, the source's before the route's before the next hop's before the delivery check.
// Parity:     of what was looked up for where a packet goes (fip_i.broken, and a cycle later fip_map_broken_i): it is dropped.
// Out:        verdict without checksums, what the checksums need, the packet's counts, and what it asks of the flow table;
//             ps_flow has the last word on all but the first two. The reverse key of what is asked stands a cycle before (early_valid_o/early_key_o).
module ps_decide
  import ps_abi_pkg::*;
  import ps_types_pkg::*;
  import ps_match_pkg::*;
  import ps_pair_pkg::*;
(
  input  logic        clk_i,
  input  logic        rst_i,
  input  logic        fabric_valid_i,   // Vif[0].valid
  input  logic        valid_i,
  input  context_t    ctx_i,
  input  flow_hash_t  hash_i,
  input  pair_hit_t   flow_i,
  input  hop_t        hop_i,
  input  fip_t        fip_i,
  input  logic        fip_map_broken_i,  // in the cycle after: the mapping has the wrong parity
  output logic        valid_o,
  output verdict_t    verdict_o,
  output old_t        old_o,
  output count_t      count_o,
  output logic        early_valid_o,
  output flow_key_t   early_key_o,
  output pair_ask_t   ask_o
);

  typedef enum logic [1:0] {
    FateDrop,
    FateRaw,
    FateTrap,
    FateSend
  } fate_e;

  // The translation of a packet.
  typedef struct packed {
    logic        on;
    logic        reverse;
    logic        port;
    logic        hairpin;
    logic [13:0] index;      // fresh ones only
    fip_map_t    map;
  } translation_t;

  // What stage 1 finds out by comparing.
  typedef struct packed {
    logic to_tunnel;
    logic to_vif;             // Encap or Receive
    logic encap;
    logic reject;
    logic vif_usable;         // of the next hop
    logic same_vif;           // the packet came from there
    logic fabric_valid;
    logic syn;                // bare
    logic tcp;
    logic ported;             // TCP or UDP
    logic known_proto;
    logic out_any;            // the outgoing vif takes any address
    logic flow_fits;          // the flow's mapping leads to its address
    logic fip_fits;           // the mapping found does
    logic dip_fits;           // the packet's own destination does
    logic ports_differ;       // of the mapping found
    logic whole;              // neither a fragment nor an ICMP error
    logic rechosen;           // the member of a group was chosen anew
    logic mapped;             // a usable flow with a mapping
    logic fip_applies;        // a mapping was found for what leaves by an Encap next hop
    logic sip_is_keys;        // an ICMP error's own source may be a router on the way: then it stays
    logic        learn_translated; // the learn policy of the packet's vif
    logic        learn_never;
    logic [16:0] bytes;       // of the frame that leaves
  } facts_t;

  typedef struct packed {
    context_t     ctx;
    flow_hash_t   hash;
    logic [31:0]  public_hash;   // of the flow key, for what may be seen outside
    hop_t         hop;
    pair_hit_t    flow;
    fip_t         fip;
    facts_t       is;
  } stage1_t;

  typedef struct packed {
    context_t     ctx;
    flow_hash_t   hash;
    logic [15:0]  outer_id;
    logic [15:0]  entropy;
    fate_e        fate;
    drop_reason_e reason;
    logic         to_vif;
    logic         misdelivered; // if it leaves by an Encap next hop
    logic         oversize;     // if it leaves
    logic         sip_is_keys;
    logic [15:0]  bytes;
    hop_t         hop;
    vif_t         out;
    translation_t tr;
    pair_hit_t    flow;
    logic         learns;     // unless it is dropped after all
    logic         learn_off;  // as it must not
    learn_kind_e  kind;       // of what it learns
  } stage2_t;

  typedef struct packed {
    stage2_t      s;
    logic         sip_en;
    logic         dip_en;
    ip4_t         sip;        // of the packet that leaves
    ip4_t         dip;
    flow_key_t    reverse_key;
    logic [15:0]  tx_bytes;
  } stage3_t;

  logic    valid1_q, valid2_q, valid3_q;
  stage1_t s1_q;
  stage2_t s2_q;
  stage3_t s3_q;

  // Stage 1.
  /* verilator lint_off UNUSEDSIGNAL */  // of the header only its key
  function automatic logic [31:0] public_hash(input hdr_t hdr);
    public_hash = member_hash({24'd0, hdr.key_dport, hdr.key_sport, hdr.key_dip, hdr.key_sip, hdr.key_proto});
  endfunction
  /* verilator lint_on UNUSEDSIGNAL */

  /* verilator lint_off UNUSEDSIGNAL */  // a few fields of each
  function automatic facts_t compare(input context_t ctx, input pair_hit_t flow, input hop_t hop, input fip_t fip,
                                     input logic fabric);
    logic [15:0]   head_bytes;
    learn_policy_e policy;
    compare.to_tunnel    = hop.nh.kind == NhTunnel;
    compare.encap        = hop.nh.kind == NhEncap;
    compare.to_vif       = compare.encap || hop.nh.kind == NhReceive;
    compare.reject       = hop.nh.kind == NhReject;
    compare.vif_usable   = hop.nh.vif != 8'(VifFabricId) && fip.out.valid;
    compare.same_vif     = ctx.hdr.src == SrcHost && ctx.hdr.vif == hop.nh.vif;
    compare.fabric_valid = fabric;
    compare.syn          = bare_syn(ctx.hdr);
    compare.tcp          = ctx.hdr.proto == ProtoTcp;
    compare.ported       = ctx.hdr.proto == ProtoTcp || ctx.hdr.proto == ProtoUdp;
    compare.known_proto  = compare.ported || ctx.hdr.proto == ProtoSctp || ctx.hdr.icmp_echo;
    compare.out_any      = fip.out.ip == '0;
    compare.flow_fits    = flow.map.pod_ip == fip.out.ip;
    compare.fip_fits     = fip.map.pod_ip == fip.out.ip;
    compare.dip_fits     = ctx.hdr.dip == fip.out.ip;
    compare.ports_differ = fip.map.pod_port != fip.map.vip_port;
    compare.whole        = !ctx.hdr.frag && !ctx.hdr.icmp_err;
    compare.rechosen     = hop.group && hop.chosen;
    compare.mapped       = flow.usable && flow.map_valid;
    compare.fip_applies  = compare.encap && fip.found && compare.whole;
    // Of the vif by which the packet came, or, from the fabric, to which it goes.
    policy = ctx.hdr.src != SrcFabric ? ctx.source.learn : compare.to_vif ? fip.out.learn : LearnAlways;
    compare.learn_translated = policy == LearnTranslated;
    compare.learn_never      = policy == LearnNever;
    compare.sip_is_keys  = !ctx.hdr.icmp_err || ctx.hdr.sip == ctx.hdr.key_sip;
    head_bytes           = compare.to_vif ? 16'd14 : hop.nh.gre ? 16'd42 : 16'd46;
    compare.bytes        = 17'(ctx.hdr.ip_len) + 17'(head_bytes);
  endfunction
  /* verilator lint_on UNUSEDSIGNAL */

  // Stage 2: fate by source and next hop, and the translation.
  function automatic stage2_t decide(input stage1_t p, input logic map_broken);
    logic         from_fabric, fresh, kept, holds, turns, asks, bound;
    fate_e        kind_fate;
    drop_reason_e kind_reason;

    from_fabric = p.ctx.hdr.src == SrcFabric;
    kind_fate   = FateDrop;
    kind_reason = DropDiscard;
    if (p.is.reject) begin
      kind_fate = FateTrap;
    end else if (p.is.to_tunnel) begin
      if (from_fabric) kind_reason = DropPacketLoop;
      else if (!p.is.fabric_valid) kind_reason = DropInvalidIf;
      else if (!p.hop.label_valid) kind_reason = DropInvalidLabel;
      else kind_fate = FateSend;
    end else if (p.is.to_vif) begin
      if (!p.is.vif_usable) kind_reason = DropInvalidIf;
      else kind_fate = FateSend;
    end

    decide             = '0;
    decide.ctx         = p.ctx;
    decide.hash        = p.hash;
    decide.entropy     = entropy_port(p.public_hash[31:18]);
    decide.outer_id    = p.ctx.hdr.ip_id ^ p.public_hash[15:0];
    decide.hop         = p.hop;
    decide.out         = p.fip.out;
    decide.flow        = p.flow;
    decide.to_vif      = p.is.to_vif;
    decide.sip_is_keys = p.is.sip_is_keys;
    decide.bytes       = p.is.bytes[15:0];
    decide.oversize    = p.is.bytes > 17'(FrameMaxBytes);
    unique case (p.ctx.source.act)
      ActDrop: begin
        decide.fate   = FateDrop;
        decide.reason = p.ctx.source.reason;
      end
      ActRaw:  decide.fate = FateRaw;
      ActTrap: decide.fate = FateTrap;
      default: begin
        decide.fate   = p.hop.drop ? FateDrop : kind_fate;
        decide.reason = p.hop.drop ? p.hop.reason : kind_reason;
        // Replies that are only sent translated, without the flow that says how.
        if (!p.hop.drop && kind_fate == FateSend && !p.flow.usable && p.fip.marked) begin
          if (p.ctx.hdr.frag) begin
            decide.fate   = FateDrop;
            decide.reason = DropFragments;
          end else if (p.ctx.hdr.icmp_err || (p.is.tcp && !p.is.syn)) begin
            decide.fate   = FateDrop;
            decide.reason = DropFlowUnusable;
          end
        end
        // Whatever else holds: none of it is to be believed.
        if (!p.hop.drop && (p.is.to_tunnel || p.is.to_vif) && (p.fip.broken || map_broken)) begin
          decide.fate   = FateDrop;
          decide.reason = DropTableParity;
        end
      end
    endcase

    fresh = p.is.fip_applies && !p.is.dip_fits;
    // The flow's own mapping stays: of a reply always, else unless the flow "counts as not found".
    kept  = p.is.mapped && (p.flow.tag.reverse || (!p.is.rechosen && p.is.encap && (p.is.out_any || p.is.flow_fits)));
    // Whether a usable forward flow does not "count as not found".
    holds = p.is.mapped ? kept : !p.is.rechosen && !fresh;
    // A pair that the far end began, before its own entry was there: it knows nothing of the service.
    turns = p.flow.usable && p.flow.tag.reverse && !p.flow.map_valid && fresh;
    // Without `on` nothing of it counts.
    decide.tr.on      = kept || fresh;
    decide.tr.reverse = kept && p.flow.tag.reverse;
    decide.tr.port    = kept ? p.flow.port : p.is.ports_differ && p.is.ported;
    decide.tr.hairpin = kept ? p.flow.hairpin : p.is.same_vif;
    decide.tr.index   = kept ? '0 : p.fip.index;
    decide.tr.map     = kept ? p.flow.map : p.fip.map;
    decide.misdelivered = !p.is.dip_fits;
    if (kept) begin
      if (!p.flow.tag.reverse || p.flow.hairpin) decide.misdelivered = !p.is.flow_fits;
    end else if (fresh) begin
      decide.misdelivered = !p.is.fip_fits;
    end
    if (!p.is.encap || p.is.out_any) decide.misdelivered = 1'b0;

    if (!p.flow.found)                              decide.kind = LearnNew;
    else if (!p.flow.usable)                        decide.kind = LearnReplace;
    else if (p.flow.tag.reverse && !turns)              decide.kind = LearnReverse;
    else                                            decide.kind = LearnRepin;
    asks  = p.is.known_proto && p.is.whole && (!p.flow.usable || (p.flow.tag.reverse ? p.is.rechosen || turns : !holds));
    bound = kept || fresh || p.hop.group;
    decide.learns    = asks && (!asks_pair(decide.kind) || bound || !(p.is.learn_translated || p.is.learn_never));
    decide.learn_off = asks && asks_pair(decide.kind) && bound && p.is.learn_never;
  endfunction

  // Stage 3: addresses of the packet that leaves, and the delivery check.
  function automatic stage3_t address(input stage2_t p);
    logic [15:0] dport;
    address        = '0;
    address.s      = p;
    address.sip_en = p.tr.on && (p.tr.reverse || p.tr.hairpin) && p.sip_is_keys;
    address.dip_en = p.tr.on && (!p.tr.reverse || p.tr.hairpin);
    address.sip    = address.sip_en ? p.tr.map.vip : p.ctx.hdr.sip;
    address.dip    = address.dip_en ? p.tr.map.pod_ip : p.ctx.hdr.dip;
    dport          = p.tr.on && !p.tr.reverse && p.tr.port ? p.tr.map.pod_port : p.ctx.hdr.key_dport;
    address.reverse_key = '{nh: p.to_vif ? p.out.nh : p.ctx.source.key_nh, proto: p.ctx.hdr.proto,
                            sip: address.dip, dip: address.sip,
                            sport: p.ctx.hdr.icmp_echo ? p.ctx.hdr.key_sport : dport,
                            dport: p.ctx.hdr.icmp_echo ? dport : p.ctx.hdr.key_sport};
    if (p.fate == FateSend && p.misdelivered) begin
      address.s.fate   = FateDrop;
      address.s.reason = p.ctx.hdr.frag ? DropFragments : DropNoFipPortMap;
    end else if (p.fate == FateSend && p.oversize) begin
      address.s.fate   = FateDrop;
      address.s.reason = DropEgressOversize;
    end else if (p.fate == FateSend && p.learn_off) begin
      address.s.fate   = FateDrop;
      address.s.reason = DropLearnOff;
    end
    address.tx_bytes = p.fate == FateSend ? p.bytes : p.ctx.hdr.frame_len;
  endfunction

  // Stage 4: verdict, counts, learn request.
  stage2_t    d;
  hdr_t       h;
  flow_key_t  key;
  logic       send, fabric_out, sport_en, dport_en, emb;
  logic [7:0] ttl, out_vif;

  assign d          = s3_q.s;
  assign h          = s3_q.s.ctx.hdr;
  assign key        = flow_key(d.ctx.source.key_nh, h);
  assign send       = d.fate == FateSend;
  assign fabric_out = send ? !d.to_vif : h.src == SrcHost;
  assign out_vif    = send ? d.hop.nh.vif : 8'(VifVhostId);
  assign ttl        = h.src == SrcFabric ? h.ttl : h.ttl - 8'd1;
  assign dport_en   = d.tr.on && !d.tr.reverse && d.tr.port;
  assign sport_en   = d.tr.on && d.tr.reverse && d.tr.port;
  assign emb        = h.icmp_err && d.tr.on;

  function automatic verdict_t stage4_verdict();
    verdict_t v;
    v             = '0;
    v.src         = h.src;
    v.in_vif      = h.vif;
    v.frame_len   = h.frame_len;
    v.strip       = h.l3_off;
    v.ip_len      = h.ip_len;
    v.ihl         = h.ihl;
    v.trap_reason = d.ctx.source.act == ActTrap ? TrapArp : TrapReject;
    v.raw         = !send;
    unique case (d.fate)
      FateDrop: v.dst = DstDrop;
      FateTrap: v.dst = DstFw;
      default:  v.dst = fabric_out ? DstFabric : DstHost;
    endcase
    v.out_vif     = out_vif;
    v.encap       = d.to_vif ? EncapL2 : d.hop.nh.gre ? EncapGre : EncapUdp;
    v.dmac        = d.hop.nh.dmac;
    v.smac        = d.hop.nh.smac;
    v.outer_sip   = d.hop.nh.sip;
    v.outer_dip   = d.hop.nh.dip;
    v.outer_id    = d.outer_id;
    v.entropy     = d.entropy;
    v.label       = d.hop.label;
    v.mpls_ttl    = ttl;
    v.ttl_proto   = {ttl, h.proto};
    v.sip_en      = s3_q.sip_en;
    v.sip         = s3_q.sip;
    v.dip_en      = s3_q.dip_en;
    v.dip         = s3_q.dip;
    v.sport_en    = sport_en && !h.icmp_err;
    v.sport       = d.tr.map.vip_port;
    v.dport_en    = dport_en && !h.icmp_err;
    v.dport       = d.tr.map.pod_port;
    unique case (h.proto)
      ProtoTcp:  v.l4_csum_word = 4'd8;
      ProtoUdp:  v.l4_csum_word = 4'd3;
      default:   v.l4_csum_word = 4'd1;
    endcase
    v.l4_csum_en = d.tr.on && (h.proto == ProtoTcp || (h.proto == ProtoUdp && h.l4_csum != '0) || h.icmp_err);
    // The key of an ICMP error is the embedded packet's, turned round.
    v.emb_en     = emb;
    v.emb_sip    = d.tr.reverse && !d.tr.hairpin ? h.key_dip : d.tr.map.pod_ip;
    v.emb_dip    = d.tr.reverse || d.tr.hairpin ? d.tr.map.vip : h.key_sip;
    v.emb_sport_en = h.icmp_err && dport_en;
    v.emb_sport    = d.tr.map.pod_port;
    v.emb_dport_en = h.icmp_err && sport_en;
    v.emb_dport    = d.tr.map.vip_port;
    v.emb_l4_csum_en   = v.emb_en && h.emb_l4_csum_en;
    v.emb_l4_csum_word = h.key_proto == ProtoTcp ? 4'd8 : 4'd3;
    stage4_verdict = v;
  endfunction

  function automatic old_t stage4_old();
    stage4_old = '{ttl_en: h.src == SrcHost, ttl_old: {h.ttl, h.proto},
            udp: h.proto == ProtoUdp, ip_csum: h.ip_csum, l4_csum: h.l4_csum,
            sip_old: h.sip, dip_old: h.dip, sport_old: h.key_sport, dport_old: h.key_dport,
            emb_sip_en: emb && (!d.tr.reverse || d.tr.hairpin),
            emb_dip_en: emb && (d.tr.reverse || d.tr.hairpin),
            emb_sip_old: h.key_dip, emb_dip_old: h.key_sip,
            emb_sport_old: h.key_dport, emb_dport_old: h.key_sport,
            emb_ip_csum: h.emb_ip_csum, emb_l4_csum_en: emb && h.emb_l4_csum_en,
            emb_udp: h.key_proto == ProtoUdp, emb_l4_csum: h.emb_l4_csum};
  endfunction

  function automatic count_t stage4_count();
    stage4_count = '{in_vif: h.src == SrcFabric ? 8'(VifFabricId) : h.vif, rx_bytes: h.frame_len,
              drop: d.fate == FateDrop, reason: d.reason, trap: d.fate == FateTrap,
              tx: send || d.fate == FateRaw,
              tx_vif: fabric_out ? 8'(VifFabricId) : out_vif,
              tx_bytes: s3_q.tx_bytes, deferred: 1'b0};
  endfunction

  function automatic pair_count_t stage4_flow_count();
    stage4_flow_count = '{pair: d.flow.tag.pair, reverse: d.flow.tag.reverse, generation: d.flow.generation, bytes: h.frame_len,
              tcp: h.proto == ProtoTcp,
              tcp_syn: h.proto == ProtoTcp && h.tcp_syn, tcp_fin: h.proto == ProtoTcp && h.tcp_fin,
              tcp_rst: h.proto == ProtoTcp && h.tcp_rst, tcp_ack: h.proto == ProtoTcp && h.tcp_ack};
  endfunction

  // What the forward entry would say. Of a move the tunnel, and as reverse_rpf the next hop of the route back.
  function automatic flow_facts_t stage4_facts();
    flow_facts_t facts;
    facts          = '0;
    facts.rpf_nh   = h.src == SrcFabric ? '0 : d.ctx.source.key_nh;
    facts.src_info = h.src == SrcFabric ? h.outer_sip : 32'(h.vif);
    facts.vrf      = d.ctx.source.vrf;
    facts.dvrf     = d.to_vif ? d.out.vrf : d.ctx.source.vrf;
    if (d.hop.group) begin
      facts.ecmp_valid      = 1'b1;
      facts.ecmp_slot       = d.hop.slot;
      facts.ecmp_generation = d.hop.generation;
    end
    if (d.tr.on) begin
      facts.map_valid      = 1'b1;
      facts.map            = d.tr.index;
      facts.map_generation = d.tr.map.generation;
      facts.dnat           = 1'b1;
      facts.dpat           = d.tr.port;
      facts.snat           = d.tr.hairpin;
      facts.hairpin        = d.tr.hairpin;
    end
    stage4_facts = facts;
  endfunction

  // A pod that talks to itself from the same port would have one entry for both directions: it asks for nothing.
  function automatic pair_ask_t stage4_ask();
    learn_kind_e kind;
    logic        loops, moves;
    kind       = d.hop.move ? LearnMove : d.kind;
    loops      = asks_pair(kind) && key == s3_q.reverse_key;
    moves      = d.ctx.source.act == ActRoute && d.hop.drop && d.hop.move;
    stage4_ask = '{valid: moves || (send && d.learns && !loops), kind: kind, translated: d.tr.on,
                   plain: !d.tr.on && !d.hop.group, found: d.flow.found, counts: send && d.flow.usable,
                   count: stage4_flow_count(), hash: d.hash, key: key, reverse_key: s3_q.reverse_key, facts: stage4_facts(),
                   reverse_info: d.to_vif ? 32'(d.hop.nh.vif) : d.hop.nh.dip, reverse_rpf: d.hop.first_nh};
  endfunction

  assign early_valid_o = valid3_q;
  assign early_key_o   = s3_q.reverse_key;

  always_ff @(posedge clk_i) begin
    if (valid_i) begin
      s1_q <= '{ctx: ctx_i, hash: hash_i, public_hash: public_hash(ctx_i.hdr), hop: hop_i, flow: flow_i, fip: fip_i,
                is: compare(ctx_i, flow_i, hop_i, fip_i, fabric_valid_i)};
    end
    if (valid1_q) s2_q <= decide(s1_q, fip_map_broken_i);
    if (valid2_q) s3_q <= address(s2_q);
    if (valid3_q) begin
      verdict_o     <= stage4_verdict();
      old_o         <= stage4_old();
      count_o       <= stage4_count();
      ask_o         <= stage4_ask();
    end
    valid1_q      <= valid_i && !rst_i;
    valid2_q      <= valid1_q && !rst_i;
    valid3_q      <= valid2_q && !rst_i;
    valid_o       <= valid3_q && !rst_i;
  end

  logic unused_bits;
  assign unused_bits = ^{d, h, s1_q};

`ifndef SYNTHESIS
  initial assert (EntropyPorts == (1 << 14) - 1) else $fatal(1, "ps_decide: entropy_port is not hash::entropy_port");
  initial assert (DecideCycles == 4) else $fatal(1, "ps_decide: its stages are not DecideCycles");
`endif

endmodule
