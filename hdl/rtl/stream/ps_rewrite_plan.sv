// Turns each verdict into the plan of its frame, and into what is laid over the frame's first two output beats.
//
//   P1  the new length and how far the packet moves
//   P2  the plan, which leaves from here; lays the edits of layer 4 behind those of the IPv4 header (one shift by the header length); sums the outer header
//   P3  lays the edits behind the new header, which has one of three lengths; ends the checksum
// Edits are words of the IPv4 packet, so that they are laid where the packet lies in the new frame, like the header.
// Handshake:  none: a verdict a cycle, from both ports; the queues behind have a place for each (ps_entry's credits).
// Latency:    verdict_valid_i -> plan_valid_o 2 cycles, overlay_valid_o 3.
// The outer IPv4 header is written whole, so its checksum is computed, not updated (docs/datapath.md, section 8).
module ps_rewrite_plan
  import ps_abi_pkg::*;
  import ps_types_pkg::*;
  import ps_stream_pkg::*;
(
  input  logic        clk_i,
  input  logic        rst_i,
  input  logic        verdict_valid_i,
  input  verdict_t    verdict_i,
  output logic [1:0]  plan_valid_o,      // by src_e
  output frame_plan_t plan_o,
  output logic [1:0]  overlay_valid_o,   // likewise; not for a frame to be dropped
  output overlay_t    overlay_o
);

  localparam int unsigned PacketWords = 40;  // IPv4 header of up to 60 bytes, 20 bytes of layer 4
  localparam int unsigned L4Words = 23;      // as far as the checksum of an embedded TCP header
  localparam int unsigned IhlWords = 30;     // of the longest IPv4 header; layer 4 is laid by what is left of that
  localparam int unsigned FillWords = PacketWords - L4Words;
  localparam int unsigned L2Words = 7;       // of each header
  localparam int unsigned UdpWords = 23;
  localparam int unsigned GreWords = 21;
  localparam int unsigned CsumWord = 12;     // of the outer checksum within the header
  localparam int unsigned UdpOverhead = 32;  // outer IPv4 (20), UDP (8), MPLS (4)
  localparam int unsigned GreOverhead = 28;
  localparam logic [7:0] ProtoUdp = 8'd17;
  localparam logic [7:0] ProtoGre = 8'd47;

  typedef struct packed {
    logic [PacketWords-1:0]    en;
    logic [16*PacketWords-1:0] words;
  } edits_t;

  // What the new header is made of
  typedef struct packed {
    encap_e      encap;
    mac_t        dmac;
    mac_t        smac;
    ip4_t        outer_sip;
    ip4_t        outer_dip;
    logic [15:0] outer_id;
    logic [15:0] entropy;
    logic [19:0] label;
    logic [7:0]  mpls_ttl;
  } header_t;

  // Edits by their place in the IPv4 packet
  // verilator lint_off UNUSEDSIGNAL
  function automatic edits_t edits_of(input verdict_t v);
    logic [L4Words-1:0]    en;
    logic [16*L4Words-1:0] words;
    logic [15:0]           csum;

    // Layer 4: TCP, UDP or ICMP in words 0 to 8; embedded IPv4 from word 4, its layer 4 from word 14, whose checksum
    // is its word 3 (UDP) or 8 (TCP). Only a header without options comes before an embedded packet.
    en               = '0;
    csum             = be16(v.l4_csum);
    words            = {L4Words{csum}};  // anything where nothing is edited
    en[0]            = v.sport_en;
    words[16*0+:16]  = be16(v.sport);
    en[1]            = v.dport_en || (v.l4_csum_en && v.l4_csum_word == 4'd1);
    words[16*1+:16]  = v.dport_en ? be16(v.dport) : csum;
    en[3]            = v.l4_csum_en && v.l4_csum_word == 4'd3;
    words[16*3+:16]  = csum;
    en[8]            = v.l4_csum_en && v.l4_csum_word == 4'd8;
    words[16*8+:16]  = csum;
    en[13:9]         = {5{v.emb_en}};
    words[16*9+:16]  = be16(v.emb_ip_csum);
    words[16*10+:32] = be32(v.emb_sip);
    words[16*12+:32] = be32(v.emb_dip);
    en[14]           = v.emb_sport_en;
    words[16*14+:16] = be16(v.emb_sport);
    en[15]           = v.emb_dport_en;
    words[16*15+:16] = be16(v.emb_dport);
    en[17]           = v.emb_l4_csum_en && v.emb_l4_csum_word == 4'd3;
    words[16*17+:16] = be16(v.emb_l4_csum);
    en[22]           = v.emb_l4_csum_en && v.emb_l4_csum_word == 4'd8;
    words[16*22+:16] = be16(v.emb_l4_csum);

    // IPv4 header: words 4 (TTL, protocol), 5 (checksum), 6 and 7 (source), 8 and 9 (destination)
    edits_of.en               = PacketWords'(en) << {v.ihl, 1'b0};
    edits_of.words            = (16*PacketWords)'({{FillWords{csum}}, words, {IhlWords{csum}}} >> {~v.ihl, 5'b0});
    edits_of.en[5:4]          = 2'b11;
    edits_of.en[7:6]          = {2{v.sip_en}};
    edits_of.en[9:8]          = {2{v.dip_en}};
    edits_of.words[16*4+:16]  = be16(v.ttl_proto);
    edits_of.words[16*5+:16]  = be16(v.ip_csum);
    edits_of.words[16*6+:32]  = be32(v.sip);
    edits_of.words[16*8+:32]  = be32(v.dip);
  endfunction

  function automatic header_t header_of(input verdict_t v);
    header_of = '{encap: v.encap, dmac: v.dmac, smac: v.smac, outer_sip: v.outer_sip, outer_dip: v.outer_dip,
                  outer_id: v.outer_id, entropy: v.entropy, label: v.label, mpls_ttl: v.mpls_ttl};
  endfunction
  // verilator lint_on UNUSEDSIGNAL

  // The new header but for its checksum, as words, the first one in bits 15..0
  function automatic logic [16*UdpWords-1:0] header_words(input header_t h, input logic [15:0] outer_len,
                                                          input logic [15:0] udp_len);
    logic [16*UdpWords-1:0] paper;  // as it is written, first byte leftmost

    unique case (h.encap)
      EncapUdp: paper = {h.dmac, h.smac, 16'h0800,
                         16'h4500, outer_len, h.outer_id, 16'h0, 8'(OuterTtl), ProtoUdp, 16'h0, h.outer_sip, h.outer_dip,
                         h.entropy, 16'(MplsUdpPort), udp_len, 16'h0,
                         h.label, 3'd0, 1'b1, h.mpls_ttl};
      EncapGre: paper = {h.dmac, h.smac, 16'h0800,
                         16'h4500, outer_len, h.outer_id, 16'h0, 8'(OuterTtl), ProtoGre, 16'h0, h.outer_sip, h.outer_dip,
                         32'h0000_8847,
                         h.label, 3'd0, 1'b1, h.mpls_ttl, 32'h0};
      default:  paper = {h.dmac, h.smac, 16'h0800, (16*(UdpWords-L2Words))'(0)};
    endcase
    for (int w = 0; w < UdpWords; w++) header_words[16*w+:16] = be16(paper[16*(UdpWords-1-w)+:16]);
  endfunction

  // P1
  // verilator lint_off UNUSEDSIGNAL  // the length of the frame's header and what it was is in others
  verdict_t           v1_q;
  // verilator lint_on UNUSEDSIGNAL
  logic               valid1_q, live1_q, edit1_q;
  logic [6:0]         header_len;
  logic               longer;                  // than what is taken off
  logic [15:0]        out_len_q;
  logic [9:0]         outs_q, beats_q;         // beats that go and came, less one
  logic               grow_q;
  logic [4:0]         shift_q;
  logic [17:0]        sum_src_q, sum_dst_q;

  always_comb begin
    unique case (verdict_i.encap)
      EncapUdp: begin
        header_len = 7'(2 * UdpWords);
        longer     = verdict_i.strip < 7'(2 * UdpWords);
      end
      EncapGre: begin
        header_len = 7'(2 * GreWords);
        longer     = verdict_i.strip < 7'(2 * GreWords);
      end
      default: begin
        header_len = 7'(2 * L2Words);
        longer     = verdict_i.strip < 7'(2 * L2Words);
      end
    endcase
  end

  always_ff @(posedge clk_i) begin
    if (verdict_valid_i) begin
      v1_q      <= verdict_i;
      out_len_q <= verdict_i.raw ? verdict_i.frame_len : verdict_i.ip_len + 16'(header_len);
      outs_q    <= 10'((verdict_i.raw ? verdict_i.frame_len - 1'b1 : verdict_i.ip_len + 16'(header_len - 1'b1)) >> 6);
      beats_q   <= 10'((verdict_i.frame_len - 1'b1) >> 6);
      grow_q    <= verdict_i.dst != DstDrop && !verdict_i.raw && longer;
      // Growing by n: 64 - n, the same modulo 64
      shift_q   <= verdict_i.raw ? '0 : verdict_i.strip[5:1] - header_len[5:1];
      sum_src_q <= 18'(verdict_i.outer_id) + 18'(verdict_i.outer_sip[31:16]) + 18'(verdict_i.outer_sip[15:0]);
      sum_dst_q <= 18'(verdict_i.ip_len) + 18'(verdict_i.outer_dip[31:16]) + 18'(verdict_i.outer_dip[15:0]);
    end
    if (rst_i) begin
      valid1_q <= 1'b0;
      live1_q  <= 1'b0;
      edit1_q  <= 1'b0;
    end else begin
      valid1_q <= verdict_valid_i;
      live1_q  <= verdict_valid_i && verdict_i.dst != DstDrop;
      edit1_q  <= verdict_valid_i && verdict_i.dst != DstDrop && !verdict_i.raw;
    end
  end

  // P2: the plan. Of a frame that is too long there are KeptBeats and the last one; it is dropped.
  logic [CountWidth-1:0] beats;
  logic                  extra;
  frame_plan_t           plan_d, plan_q;
  logic [1:0]            plan_valid_q;

  always_comb begin
    beats = beats_q > 10'(KeptBeats) ? CountWidth'(KeptBeats) : beats_q[CountWidth-1:0];
    extra = grow_q && outs_q > beats_q;

    plan_d.drop     = v1_q.dst == DstDrop;
    plan_d.dst      = {v1_q.dst == DstFw, v1_q.dst == DstHost, v1_q.dst == DstFabric};
    plan_d.steps    = extra ? outs_q[CountWidth-1:0] : beats;
    plan_d.outs     = outs_q[CountWidth-1:0];
    plan_d.one_step = beats_q == '0 && !extra;
    plan_d.one_out  = out_len_q <= 16'd64;
    plan_d.extra    = extra;
    plan_d.grow     = grow_q;
    plan_d.shift    = shift_q;
    plan_d.tail     = out_len_q[5:0];
  end

  always_ff @(posedge clk_i) begin
    if (valid1_q) plan_q <= plan_d;
    if (rst_i) plan_valid_q <= '0;
    else plan_valid_q <= {valid1_q && v1_q.src == SrcHost, valid1_q && v1_q.src == SrcFabric};
  end

  assign plan_valid_o = plan_valid_q;
  assign plan_o       = plan_q;

  // P2: edits and sum
  logic        valid2_q, raw2_q;
  src_e        src2_q;
  side_t       side2_q;
  header_t     header2_q;
  edits_t      edits2_q;
  logic [15:0] outer_len2_q, udp_len2_q;
  logic [18:0] sum2_q;

  always_ff @(posedge clk_i) begin
    if (live1_q) begin
      src2_q    <= v1_q.src;
      raw2_q    <= v1_q.raw;
      side2_q   <= v1_q.dst == DstFw ? {v1_q.trap_reason, v1_q.in_vif, v1_q.frame_len} : side_t'(v1_q.out_vif);
      header2_q <= header_of(v1_q);
      outer_len2_q <= v1_q.ip_len + (v1_q.encap == EncapGre ? 16'(GreOverhead) : 16'(UdpOverhead));
      udp_len2_q   <= v1_q.ip_len + 16'd12;
      sum2_q       <= 19'(sum_src_q) + 19'(sum_dst_q) +
                      (v1_q.encap == EncapGre ? 19'h4500 + 19'({8'(OuterTtl), ProtoGre}) + 19'(GreOverhead) :
                                                19'h4500 + 19'({8'(OuterTtl), ProtoUdp}) + 19'(UdpOverhead));
    end
    if (edit1_q) edits2_q <= edits_of(v1_q);
    if (rst_i) valid2_q <= 1'b0;
    else valid2_q <= live1_q;
  end

  // P3
  logic        valid3_q;
  src_e        src3_q;
  overlay_t    overlay_q;
  logic [16:0] sum_fold;
  logic [15:0] outer_csum;
  logic [16*UdpWords-1:0] header;

  assign sum_fold   = 17'(sum2_q[15:0]) + 17'(sum2_q[18:16]);
  assign outer_csum = ~(sum_fold[15:0] + 16'(sum_fold[16]));
  assign header     = header_words(header2_q, outer_len2_q, udp_len2_q);

  always_ff @(posedge clk_i) begin
    if (valid2_q) begin
      src3_q         <= src2_q;
      overlay_q.side <= side2_q;
      // Behind what is laid, words may be anything.
      overlay_q.words <= WindowBits'({edits2_q.words, header[16*UdpWords-1:0]});
      unique case (header2_q.encap)
        EncapUdp: overlay_q.en <= WindowWords'({edits2_q.en, {UdpWords{1'b1}}});
        EncapGre: begin
          overlay_q.en <= WindowWords'({edits2_q.en, {GreWords{1'b1}}});
          overlay_q.words[0+:16*(GreWords+PacketWords)] <= {edits2_q.words, header[16*GreWords-1:0]};
        end
        default: begin
          overlay_q.en <= WindowWords'({edits2_q.en, {L2Words{1'b1}}});
          overlay_q.words[0+:16*(L2Words+PacketWords)] <= {edits2_q.words, header[16*L2Words-1:0]};
        end
      endcase
      if (header2_q.encap != EncapL2) overlay_q.words[16*CsumWord+:16] <= be16(outer_csum);
      if (raw2_q) overlay_q.en <= '0;
    end
    if (rst_i) valid3_q <= 1'b0;
    else valid3_q <= valid2_q;
  end

  assign overlay_valid_o = {valid3_q && src3_q == SrcHost, valid3_q && src3_q == SrcFabric};
  assign overlay_o       = overlay_q;

`ifndef SYNTHESIS
  // Edits are words, and a shift within one pair of beats
  // Immediate, as concurrent ones would keep a copy of the whole verdict in every cycle.
  always_ff @(posedge clk_i) begin
    if (!rst_i && verdict_valid_i && verdict_i.dst != DstDrop) begin
      a_even : assert (verdict_i.raw || (!verdict_i.strip[0] && verdict_i.strip < 7'd64));
      a_length : assert (verdict_i.frame_len <= 16'(FrameMaxBytes) &&
                         (verdict_i.raw || 17'(verdict_i.ip_len) + 17'(verdict_i.strip) <= 17'(verdict_i.frame_len)));
    end
  end
`endif

endmodule
