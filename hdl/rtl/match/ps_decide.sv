// The decision: sections 6 (by kind), 7, 8 (length) and 9 for one packet, from all that the stages before have looked up.
//
// Latency:    DecideCycles (3); one packet every cycle.
// Order:      one chain of drop reasons, the source's before the route's before the next hop's before the delivery check.
// Out:        verdict without checksums, what the checksums need, the packet's counts, and what it asks of the flow table;
//             ps_admit has the last word on all but the first two.
module ps_decide
  import ps_abi_pkg::*;
  import ps_types_pkg::*;
  import ps_match_pkg::*;
(
  input  logic        clk_i,
  input  logic        rst_i,
  input  logic        fabric_valid_i,   // Vif[0].valid
  input  logic        valid_i,
  input  context_t    ctx_i,
  input  logic [63:0] hash_i,
  input  flow_hit_t   flow_i,
  input  hop_t        hop_i,
  input  fip_t        fip_i,
  output logic        valid_o,
  output verdict_t    verdict_o,
  output old_t        old_o,
  output count_t      count_o,
  output ask_t        ask_o
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

  typedef struct packed {
    context_t     ctx;
    logic [63:0]  hash;
    fate_e        fate;
    drop_reason_e reason;
    logic         encap;      // Encap next hop
    logic         to_vif;     // Encap or Receive
    hop_t         hop;
    vif_t         out;
    translation_t tr;
    flow_hit_t    flow;
    logic         learns;     // unless it is dropped after all
    learn_kind_e  kind;       // of what it learns
  } stage1_t;

  typedef struct packed {
    stage1_t      s;
    logic         sip_en;
    logic         dip_en;
    ip4_t         sip;        // of the packet that leaves
    ip4_t         dip;
    logic [15:0]  dport;      // translated port of the key (forward only)
    logic [15:0]  tx_bytes;
  } stage2_t;

  logic    valid1_q, valid2_q;
  stage1_t s1_q;
  stage2_t s2_q;

  // Stage 1: fate by source and next hop, and the translation.
  function automatic stage1_t stage1();
    logic         from_fabric, rechosen, fits, fresh, fwd_map, holds, turns, known_proto;
    fate_e        kind_fate;
    drop_reason_e kind_reason;

    from_fabric = ctx_i.hdr.src == SrcFabric;
    kind_fate   = FateDrop;
    kind_reason = DropDiscard;
    unique case (hop_i.nh.kind)
      NhReject: kind_fate = FateTrap;
      NhTunnel: begin
        if (from_fabric) kind_reason = DropPacketLoop;
        else if (!fabric_valid_i) kind_reason = DropInvalidIf;
        else if (!hop_i.label_valid) kind_reason = DropInvalidLabel;
        else kind_fate = FateSend;
      end
      NhReceive, NhEncap: begin
        if (hop_i.nh.vif == 8'(VifFabricId) || !fip_i.out.valid) kind_reason = DropInvalidIf;
        else kind_fate = FateSend;
      end
      default: ;
    endcase

    stage1            = '0;
    stage1.ctx        = ctx_i;
    stage1.hash       = hash_i;
    stage1.hop        = hop_i;
    stage1.out        = fip_i.out;
    stage1.flow       = flow_i;
    stage1.encap      = hop_i.nh.kind == NhEncap;
    stage1.to_vif     = hop_i.nh.kind == NhEncap || hop_i.nh.kind == NhReceive;
    unique case (ctx_i.source.act)
      ActDrop: begin
        stage1.fate   = FateDrop;
        stage1.reason = ctx_i.source.reason;
      end
      ActRaw:  stage1.fate = FateRaw;
      ActTrap: stage1.fate = FateTrap;
      default: begin
        stage1.fate   = hop_i.drop ? FateDrop : kind_fate;
        stage1.reason = hop_i.drop ? hop_i.reason : kind_reason;
        // Replies that are only sent translated, without the flow that says how.
        if (stage1.fate == FateSend && !flow_i.usable && fip_i.marked) begin
          if (ctx_i.hdr.frag) begin
            stage1.fate   = FateDrop;
            stage1.reason = DropFragments;
          end else if (ctx_i.hdr.icmp_err || (ctx_i.hdr.proto == ProtoTcp && !bare_syn(ctx_i.hdr))) begin
            stage1.fate   = FateDrop;
            stage1.reason = DropFlowUnusable;
          end
        end
      end
    endcase

    rechosen = hop_i.group && hop_i.chosen;
    fwd_map  = flow_i.usable && flow_i.map_valid && !flow_i.reverse;
    fits     = stage1.encap && (fip_i.out.ip == '0 || flow_i.map.pod_ip == fip_i.out.ip);
    fresh    = stage1.encap && fip_i.found && !ctx_i.hdr.frag && !ctx_i.hdr.icmp_err &&
               ctx_i.hdr.dip != fip_i.out.ip;
    // Whether a usable forward flow does not "count as not found".
    holds    = !rechosen && (fwd_map ? fits : !fresh);
    // A pair that the far end began, before its own entry was there: it knows nothing of the service.
    turns    = flow_i.usable && flow_i.reverse && !flow_i.map_valid && fresh;
    if (flow_i.usable && ((flow_i.reverse && !turns) || (fwd_map && holds))) begin
      stage1.tr = '{on: flow_i.map_valid, reverse: flow_i.reverse, port: flow_i.port,
                    hairpin: flow_i.hairpin, index: '0, map: flow_i.map};
    end else if (fresh) begin
      stage1.tr = '{on: 1'b1, reverse: 1'b0,
                    port: fip_i.map.pod_port != fip_i.map.vip_port &&
                          (ctx_i.hdr.proto == ProtoTcp || ctx_i.hdr.proto == ProtoUdp),
                    hairpin: !from_fabric && ctx_i.hdr.vif == hop_i.nh.vif,
                    index: fip_i.index, map: fip_i.map};
    end

    known_proto = ctx_i.hdr.proto == ProtoTcp || ctx_i.hdr.proto == ProtoUdp ||
                  ctx_i.hdr.proto == ProtoSctp || ctx_i.hdr.icmp_echo;
    if (!flow_i.found)                              stage1.kind = LearnNew;
    else if (!flow_i.usable)                        stage1.kind = LearnReplace;
    else if (flow_i.reverse && !turns)              stage1.kind = LearnReverse;
    else                                            stage1.kind = LearnRepin;
    stage1.learns = known_proto && !ctx_i.hdr.frag && !ctx_i.hdr.icmp_err &&
                    (!flow_i.usable || (flow_i.reverse ? rechosen || turns : !holds));
  endfunction

  // Stage 2: addresses of the packet that leaves, and the delivery check.
  function automatic stage2_t stage2();
    // An ICMP error's own source may be a router on the way; then it stays.
    logic        sip_is_keys;
    logic [15:0] head_bytes;
    logic [16:0] bytes;
    head_bytes    = s1_q.to_vif ? 16'd14 : s1_q.hop.nh.gre ? 16'd42 : 16'd46;
    bytes         = 17'(s1_q.ctx.hdr.ip_len) + 17'(head_bytes);
    sip_is_keys   = !s1_q.ctx.hdr.icmp_err || s1_q.ctx.hdr.sip == s1_q.ctx.hdr.key_sip;
    stage2        = '0;
    stage2.s      = s1_q;
    stage2.sip_en = s1_q.tr.on && (s1_q.tr.reverse || s1_q.tr.hairpin) && sip_is_keys;
    stage2.dip_en = s1_q.tr.on && (!s1_q.tr.reverse || s1_q.tr.hairpin);
    stage2.sip    = stage2.sip_en ? s1_q.tr.map.vip : s1_q.ctx.hdr.sip;
    stage2.dip    = stage2.dip_en ? s1_q.tr.map.pod_ip : s1_q.ctx.hdr.dip;
    stage2.dport  = s1_q.tr.on && !s1_q.tr.reverse && s1_q.tr.port ? s1_q.tr.map.pod_port :
                                                                     s1_q.ctx.hdr.key_dport;
    if (s1_q.fate == FateSend && s1_q.encap && s1_q.out.ip != '0 && stage2.dip != s1_q.out.ip) begin
      stage2.s.fate   = FateDrop;
      stage2.s.reason = s1_q.ctx.hdr.frag ? DropFragments : DropNoFipPortMap;
    end else if (s1_q.fate == FateSend && bytes > 17'(FrameMaxBytes)) begin
      stage2.s.fate   = FateDrop;
      stage2.s.reason = DropEgressOversize;
    end
    stage2.tx_bytes = s1_q.fate == FateSend ? bytes[15:0] : s1_q.ctx.hdr.frame_len;
  endfunction

  // Stage 3: verdict, counts, learn request.
  stage1_t    d;
  hdr_t       h;
  flow_key_t  key;
  logic       send, fabric_out, sport_en, dport_en, emb;
  logic [7:0] ttl, out_vif;

  assign d          = s2_q.s;
  assign h          = s2_q.s.ctx.hdr;
  assign key        = flow_key(d.ctx.source.key_nh, h);
  assign send       = d.fate == FateSend;
  assign fabric_out = send ? !d.to_vif : h.src == SrcHost;
  assign out_vif    = send ? d.hop.nh.vif : 8'(VifVhostId);
  assign ttl        = h.src == SrcFabric ? h.ttl : h.ttl - 8'd1;
  assign dport_en   = d.tr.on && !d.tr.reverse && d.tr.port;
  assign sport_en   = d.tr.on && d.tr.reverse && d.tr.port;
  assign emb        = h.icmp_err && d.tr.on;

  function automatic verdict_t stage3_verdict();
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
    v.outer_id    = h.ip_id ^ d.hash[15:0];
    v.entropy     = entropy_port(d.hash[63:50]);
    v.label       = d.hop.label;
    v.mpls_ttl    = ttl;
    v.ttl_proto   = {ttl, h.proto};
    v.sip_en      = s2_q.sip_en;
    v.sip         = s2_q.sip;
    v.dip_en      = s2_q.dip_en;
    v.dip         = s2_q.dip;
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
    stage3_verdict = v;
  endfunction

  function automatic old_t stage3_old();
    stage3_old = '{ttl_en: h.src == SrcHost, ttl_old: {h.ttl, h.proto}, icmp_err: h.icmp_err,
            udp: h.proto == ProtoUdp, ip_csum: h.ip_csum, l4_csum: h.l4_csum,
            sip_old: h.sip, dip_old: h.dip, sport_old: h.key_sport, dport_old: h.key_dport,
            emb_sip_en: emb && (!d.tr.reverse || d.tr.hairpin),
            emb_dip_en: emb && (d.tr.reverse || d.tr.hairpin),
            emb_sip_old: h.key_dip, emb_dip_old: h.key_sip,
            emb_sport_old: h.key_dport, emb_dport_old: h.key_sport,
            emb_ip_csum: h.emb_ip_csum, emb_l4_csum_en: emb && h.emb_l4_csum_en,
            emb_udp: h.key_proto == ProtoUdp, emb_l4_csum: h.emb_l4_csum};
  endfunction

  function automatic count_t stage3_count();
    stage3_count = '{in_vif: h.src == SrcFabric ? 8'(VifFabricId) : h.vif, rx_bytes: h.frame_len,
              drop: d.fate == FateDrop, reason: d.reason, trap: d.fate == FateTrap,
              tx: send || d.fate == FateRaw,
              tx_vif: fabric_out ? 8'(VifFabricId) : out_vif,
              tx_bytes: s2_q.tx_bytes,
              flow: send && d.flow.usable, flow_index: d.flow.index, deferred: 1'b0,
              tcp: h.proto == ProtoTcp,
              tcp_syn: h.proto == ProtoTcp && h.tcp_syn, tcp_fin: h.proto == ProtoTcp && h.tcp_fin,
              tcp_rst: h.proto == ProtoTcp && h.tcp_rst, tcp_ack: h.proto == ProtoTcp && h.tcp_ack};
  endfunction

  function automatic flow_key_t reverse_key();
    reverse_key = '{nh: d.to_vif ? d.out.nh : d.ctx.source.key_nh, proto: h.proto,
                    sip: s2_q.dip, dip: s2_q.sip,
                    sport: h.icmp_echo ? h.key_sport : s2_q.dport,
                    dport: h.icmp_echo ? s2_q.dport : h.key_sport};
  endfunction

  function automatic learn_t stage3_learn();
    learn_t learn;
    learn      = '0;
    learn.kind = d.hop.move ? LearnMove : d.kind;
    learn.key  = key;
    learn.reverse_key = reverse_key();
    learn.data.rpf_nh          = h.src == SrcFabric ? '0 : d.ctx.source.key_nh;
    learn.data.src_info        = h.src == SrcFabric ? h.outer_sip : 32'(h.vif);
    learn.data.entropy         = entropy_port(d.hash[63:50]);
    learn.data.vrf             = d.ctx.source.vrf;
    learn.data.dvrf            = d.to_vif ? d.out.vrf : d.ctx.source.vrf;
    learn.data.ecmp_valid      = d.hop.group;
    learn.data.ecmp_slot       = d.hop.group ? d.hop.slot : '0;
    learn.data.ecmp_generation = d.hop.group ? d.hop.generation : '0;
    if (d.tr.on) begin
      learn.data.map_valid      = 1'b1;
      learn.data.map            = d.tr.index;
      learn.data.map_generation = d.tr.map.generation;
      learn.data.dnat           = 1'b1;
      learn.data.dpat           = d.tr.port;
      learn.data.snat           = d.tr.hairpin;
      learn.data.hairpin        = d.tr.hairpin;
    end
    learn.reverse_info = d.to_vif ? 32'(d.hop.nh.vif) : d.hop.nh.dip;
    learn.reverse_rpf  = d.hop.first_nh;
    learn.bytes        = h.frame_len;
    learn.tcp[TcpSynBit] = h.proto == ProtoTcp && h.tcp_syn;
    learn.tcp[TcpFinBit] = h.proto == ProtoTcp && h.tcp_fin;
    learn.tcp[TcpRstBit] = h.proto == ProtoTcp && h.tcp_rst;
    stage3_learn = learn;
  endfunction

  // A pod that talks to itself from the same port would have one entry for both directions: it asks for nothing.
  function automatic ask_t stage3_ask();
    learn_t learn;
    logic   loops, moves;
    learn      = stage3_learn();
    loops      = asks_pair(learn.kind) && learn.key == learn.reverse_key;
    moves      = d.ctx.source.act == ActRoute && d.hop.drop && d.hop.move;
    stage3_ask = '{valid: moves || (send && d.learns && !loops), translated: d.tr.on,
                   plain: !d.tr.on && !d.hop.group, found: d.flow.found, partner: d.flow.partner,
                   print: print_of(d.hash), learn: learn};
  endfunction

  always_ff @(posedge clk_i) begin
    if (valid_i) s1_q <= stage1();
    if (valid1_q) s2_q <= stage2();
    if (valid2_q) begin
      verdict_o     <= stage3_verdict();
      old_o         <= stage3_old();
      count_o       <= stage3_count();
      ask_o         <= stage3_ask();
    end
    valid1_q      <= valid_i && !rst_i;
    valid2_q      <= valid1_q && !rst_i;
    valid_o       <= valid2_q && !rst_i;
  end

  logic unused_bits;
  assign unused_bits = ^{d, h, flow_i};

endmodule
