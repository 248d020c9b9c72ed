// The decision: sections 6 (by kind), 7, 8 (length) and 9 for one packet, from all that the stages before have looked up.
//
// Latency:    DecideCycles (4); one packet every cycle.
// Stages:     1 comparisons | 2 fate by source and next hop, which mapping applies | 3 addresses, what cannot be done | 4 verdict, the rest
// Order:      one chain of drop reasons, the source's before the route's before the next hop's before what section 7 cannot do.
// Mapping:    the flow's (`kept`), or the one that the packet finds (`fresh`); what is changed goes by flags, not by the direction.
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
  input  age_port_t [7:0] age_ports_i,
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

  // The translation of a packet. Without `on` nothing of it counts but that the flags are 0.
  typedef struct packed {
    logic        on;
    logic        dnat;
    logic        dpat;
    logic        snat;
    logic        spat;
    logic        hairpin;
    logic        to_client;  // dnat writes the vif's address, which is the client's
    map_id_t     index;
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
    logic icmp;
    logic out_any;            // the outgoing vif takes any address
    logic flow_fits;          // the flow's mapping leads to its address
    logic fip_fits;           // the mapping found does
    logic dip_fits;           // the packet's own destination does
    logic sip_is_out;         // the packet's source is that vif's address
    logic sip_is_pod;         // or that of the mapping found
    logic ports_differ;       // of the mapping found
    logic whole;              // neither a fragment nor an ICMP error
    logic unmapped_kind;      // no mapping applies to it without its flow
    logic rechosen;           // the member of a group was chosen anew
    logic towards;            // a mapping was found by 1 to 3
    logic stays;              // the flow's mapping applies whatever the packet finds,
    logic stays_whole;        // and its pair is not rewritten
    logic same;               // the flow's mapping is the one that the packet finds
    logic bare;               // a usable flow without a mapping that still counts as found
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
    logic         cut;          // a fragment that goes the egress way; this and the next ones if it leaves
    logic         unapplied;    // what it finds cannot be applied
    logic         unknown;      // nobody to whom the reply could be given back
    logic         misdelivered;
    logic         loops;        // back to the node
    logic         oversize;
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
  logic [7:0] port1_q;            // registers for a pair's age that the key has
  age_code_t  age2_q, age3_q;

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
    logic          mapped, sends;
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
    compare.icmp         = ctx.hdr.proto == ProtoIcmp;
    compare.ported       = ctx.hdr.proto == ProtoTcp || ctx.hdr.proto == ProtoUdp;
    compare.known_proto  = compare.ported || ctx.hdr.proto == ProtoSctp || ctx.hdr.icmp_echo;
    compare.out_any      = fip.out.ip == '0;
    compare.flow_fits    = flow.map.pod_ip == fip.out.ip;
    compare.fip_fits     = fip.map.pod_ip == fip.out.ip;
    compare.dip_fits     = ctx.hdr.dip == fip.out.ip;
    compare.sip_is_out   = ctx.hdr.sip == fip.out.ip;
    compare.sip_is_pod   = ctx.hdr.sip == fip.map.pod_ip;
    compare.ports_differ = fip.map.pod_port != fip.map.vip_port;
    compare.whole        = !ctx.hdr.frag && !ctx.hdr.icmp_err;
    compare.rechosen     = hop.group && hop.chosen;
    compare.unmapped_kind = ctx.hdr.icmp_err || (compare.icmp && !ctx.hdr.icmp_echo);
    mapped               = flow.usable && flow.map_valid;
    sends                = flow.snat && !flow.hairpin;
    compare.towards      = fip.found && !fip.under;
    compare.stays        = mapped && (flow.tag.reverse || sends);
    compare.stays_whole  = mapped && (flow.tag.reverse || (sends && !compare.rechosen));
    compare.same         = mapped && !compare.rechosen && compare.towards && flow.index == fip.index;
    compare.bare         = flow.usable && !flow.map_valid &&
                           (flow.tag.reverse ? !compare.towards : !compare.rechosen && !fip.found);
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
    logic         from_fabric, kept, fresh, towards, holds, asks, bound, fits;
    fate_e        kind_fate;
    drop_reason_e kind_reason;

    from_fabric = p.ctx.hdr.src == SrcFabric;
    kind_fate   = FateDrop;
    kind_reason = DropDiscard;
    if (p.hop.trap || p.is.reject) begin
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
        if (!p.hop.drop && !p.hop.trap && (p.is.to_tunnel || p.is.to_vif) && (p.fip.broken || map_broken)) begin
          decide.fate   = FateDrop;
          decide.reason = DropTableParity;
        end
      end
    endcase

    // The mapping that applies. What cannot be applied is dropped below, so it does no harm that it seems to be.
    kept    = p.is.stays || p.is.same;
    fresh   = p.fip.found && !kept && !p.is.bare;
    towards = p.is.towards && !p.is.bare;
    // Whether a usable flow does not "count as not found".
    holds   = p.is.stays_whole || p.is.same || p.is.bare;
    decide.tr.on        = kept || fresh;
    decide.tr.dnat      = kept ? p.flow.dnat : towards;
    decide.tr.dpat      = kept ? p.flow.dpat : towards && p.is.ports_differ && p.is.ported;
    decide.tr.snat      = kept ? p.flow.snat : fresh && (p.fip.under || p.is.same_vif);
    decide.tr.spat      = kept && p.flow.spat;
    decide.tr.hairpin   = kept ? p.flow.hairpin : towards && p.is.same_vif;
    decide.tr.to_client = kept && p.flow.hairpin && p.flow.tag.reverse && !p.is.out_any;
    decide.tr.index     = kept ? p.flow.index : p.fip.index;
    decide.tr.map       = kept ? p.flow.map : p.fip.map;

    // What cannot be done, in the order of section 7.
    decide.cut       = p.hop.egress && p.ctx.hdr.frag;
    decide.unapplied = fresh && (p.is.unmapped_kind || !p.fip.map.valid);
    if (p.fip.under) decide.unknown = fresh && !p.is.sip_is_pod;
    else decide.unknown = fresh && p.is.same_vif && !(p.is.out_any ? p.is.sip_is_pod : p.is.sip_is_out);
    if (kept) fits = !p.flow.dnat ? p.is.dip_fits : (p.flow.hairpin && p.flow.tag.reverse) || p.is.flow_fits;
    else fits = towards ? p.is.fip_fits : p.is.dip_fits;
    decide.misdelivered = p.is.encap && !p.is.out_any && !fits;
    decide.loops        = !p.is.encap && p.is.to_vif && p.is.same_vif && !kept && !fresh;

    if (!p.flow.found)                    decide.kind = LearnNew;
    else if (!p.flow.usable)              decide.kind = LearnReplace;
    else if (p.flow.tag.reverse && holds) decide.kind = LearnReverse;
    else                                  decide.kind = LearnRepin;
    asks  = (p.is.known_proto || ((kept || fresh) && !p.is.icmp)) && p.is.whole &&
            (!p.flow.usable || !holds || (p.flow.tag.reverse && p.is.rechosen));
    bound = kept || fresh || p.hop.group;
    decide.learns    = asks && (!asks_pair(decide.kind) || bound || !(p.is.learn_translated || p.is.learn_never));
    decide.learn_off = asks && asks_pair(decide.kind) && bound && p.is.learn_never;
  endfunction

  // Stage 3: addresses of the packet that leaves, and whether it may.
  function automatic stage3_t address(input stage2_t p);
    logic [15:0] dport;
    address        = '0;
    address.s      = p;
    address.sip_en = p.tr.snat && p.sip_is_keys;
    address.dip_en = p.tr.dnat;
    address.sip    = address.sip_en ? p.tr.map.vip : p.ctx.hdr.sip;
    address.dip    = !p.tr.dnat ? p.ctx.hdr.dip : p.tr.to_client ? p.out.ip : p.tr.map.pod_ip;
    dport          = p.tr.dpat ? p.tr.map.pod_port : p.ctx.hdr.key_dport;
    address.reverse_key = '{nh: p.to_vif ? p.out.nh : p.ctx.source.key_nh, proto: p.ctx.hdr.proto,
                            sip: address.dip, dip: address.sip,
                            sport: p.ctx.hdr.icmp_echo ? p.ctx.hdr.key_sport : dport,
                            dport: p.ctx.hdr.icmp_echo ? dport : p.ctx.hdr.key_sport};
    if (p.fate == FateSend) begin
      if (p.cut || p.unapplied || p.unknown || p.misdelivered || p.loops || p.oversize || p.learn_off) address.s.fate = FateDrop;
      if (p.cut)               address.s.reason = DropFragments;
      else if (p.unapplied)    address.s.reason = DropNoFipPortMap;
      else if (p.unknown)      address.s.reason = DropInvalidSource;
      else if (p.misdelivered) address.s.reason = p.ctx.hdr.frag ? DropFragments : DropNoFipPortMap;
      else if (p.loops)        address.s.reason = DropPacketLoop;
      else if (p.oversize)     address.s.reason = DropEgressOversize;
      else if (p.learn_off)    address.s.reason = DropLearnOff;
    end
    address.tx_bytes = p.fate == FateSend ? p.bytes : p.ctx.hdr.frame_len;
  endfunction

  // Stage 4: verdict, counts, learn request.
  stage2_t    d;
  hdr_t       h;
  flow_key_t  key;
  logic       send, fabric_out, emb;
  logic [7:0] ttl, out_vif;

  assign d          = s3_q.s;
  assign h          = s3_q.s.ctx.hdr;
  assign key        = flow_key(d.ctx.source.key_nh, h);
  assign send       = d.fate == FateSend;
  assign fabric_out = send ? !d.to_vif : h.src == SrcHost;
  assign out_vif    = send ? d.hop.nh.vif : 8'(VifVhostId);
  assign ttl        = h.src == SrcFabric ? h.ttl : h.ttl - 8'd1;
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
    v.sport_en    = d.tr.spat && !h.icmp_err;
    v.sport       = d.tr.map.vip_port;
    v.dport_en    = d.tr.dpat && !h.icmp_err;
    v.dport       = d.tr.map.pod_port;
    unique case (h.proto)
      ProtoTcp:  v.l4_csum_word = 4'd8;
      ProtoUdp:  v.l4_csum_word = 4'd3;
      default:   v.l4_csum_word = 4'd1;
    endcase
    v.l4_csum_en = d.tr.on && (h.proto == ProtoTcp || (h.proto == ProtoUdp && h.l4_csum != '0) || h.icmp_err);
    // The key of an ICMP error is the embedded packet's, turned round; what is embedded went the other way.
    v.emb_en     = emb;
    v.emb_sip    = d.tr.dnat ? s3_q.dip : h.key_dip;
    v.emb_dip    = d.tr.snat ? d.tr.map.vip : h.key_sip;
    v.emb_sport_en = h.icmp_err && d.tr.dpat;
    v.emb_sport    = d.tr.map.pod_port;
    v.emb_dport_en = h.icmp_err && d.tr.spat;
    v.emb_dport    = d.tr.map.vip_port;
    v.emb_l4_csum_en   = v.emb_en && h.emb_l4_csum_en;
    v.emb_l4_csum_word = h.key_proto == ProtoTcp ? 4'd8 : 4'd3;
    stage4_verdict = v;
  endfunction

  function automatic old_t stage4_old();
    stage4_old = '{ttl_en: h.src == SrcHost, ttl_old: {h.ttl, h.proto},
            udp: h.proto == ProtoUdp, ip_csum: h.ip_csum, l4_csum: h.l4_csum,
            sip_old: h.sip, dip_old: h.dip, sport_old: h.key_sport, dport_old: h.key_dport,
            emb_sip_en: emb && d.tr.dnat, emb_dip_en: emb && d.tr.snat,
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
    age_code_t age;
    age       = age3_q;
    age.plain = d.flow.tag.plain;
    stage4_flow_count = '{age: age, pair: d.flow.tag.pair, reverse: d.flow.tag.reverse, generation: d.flow.generation, bytes: h.frame_len,
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
    // Under a floating IP: where the route was found, as that of its packets will be.
    facts.dvrf     = d.tr.snat && !d.tr.hairpin ? d.hop.vrf : d.to_vif ? d.out.vrf : d.ctx.source.vrf;
    if (d.hop.group) begin
      facts.ecmp_valid      = 1'b1;
      facts.ecmp_slot       = d.hop.slot;
      facts.ecmp_generation = d.hop.generation;
    end
    if (d.tr.on) begin
      facts.map_valid      = 1'b1;
      facts.map            = d.tr.index;
      facts.map_generation = d.tr.map.generation;
      facts.dnat           = d.tr.dnat;
      facts.dpat           = d.tr.dpat;
      facts.snat           = d.tr.snat;
      facts.spat           = d.tr.spat;
      facts.hairpin        = d.tr.hairpin;
    end
    stage4_facts = facts;
  endfunction

  // Of the vif by which the packet came, or of that to which it goes and of its tunnel.
  function automatic shares_t stage4_shares();
    stage4_shares = '{by_vif: h.src == SrcHost || d.to_vif, vif: h.src == SrcHost ? h.vif : d.hop.nh.vif, by_tunnel: h.src == SrcFabric,
                      tunnel: $bits(stage4_shares.tunnel)'(tunnel_share(h.outer_sip) - flow_share_addr_t'(TunnelShareFirst))};
  endfunction

  // A pod that talks to itself from the same port would have one entry for both directions: it asks for nothing.
  function automatic pair_ask_t stage4_ask();
    learn_kind_e kind;
    logic        loops, moves;
    kind       = d.hop.move ? LearnMove : d.hop.dead ? LearnDead : d.kind;
    loops      = asks_pair(kind) && key == s3_q.reverse_key;
    moves      = d.ctx.source.act == ActRoute && d.hop.drop && (d.hop.move || d.hop.dead);
    stage4_ask = '{valid: moves || (send && d.learns && !loops), kind: kind, translated: d.tr.on,
                   plain: !d.tr.on && !d.hop.group, far_service: d.hop.far_service, found: d.flow.found, counts: send && d.flow.usable,
                   shares: stage4_shares(), affinity: d.hop.affinity, count: stage4_flow_count(), hash: d.hash, key: key,
                   reverse_key: s3_q.reverse_key, facts: stage4_facts(),
                   reverse_info: d.to_vif ? 32'(d.hop.nh.vif) : d.hop.nh.dip, reverse_rpf: d.hop.first_nh};
  endfunction

  // --- By what the packet's pair has its time, if this is a packet of the forward entry
  function automatic age_code_t age_code(input logic [7:0] proto, input logic [7:0] ports);
    age_code = '{plain: 1'b0, kind: age_kind(proto), by_port: ports != '0, port: '0};
    for (int i = 7; i >= 0; i--) if (ports[i]) age_code.port = 3'(i);
  endfunction

  always_ff @(posedge clk_i) begin
    if (valid_i) begin
      for (int unsigned i = 0; i < 8; i++) begin
        port1_q[i] <= age_ports_i[i] == age_port_t'{used: 1'b1, proto: ctx_i.hdr.key_proto, port: ctx_i.hdr.key_dport};
      end
    end
    if (valid1_q) age2_q <= age_code(s1_q.ctx.hdr.key_proto, port1_q);
    if (valid2_q) age3_q <= age2_q;
  end

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
