// Parses the window of a frame into the header record of the match-action core (docs/datapath.md, 1 to 4).
//
// Pipeline, no back-pressure, one window a cycle, 4 cycles:
//   S1  takes a VLAN tag out: the EtherType is at byte 0 of `body`, an IPv4 header at byte 2
//   S2  recognises tunnels and begins the checks of their outer packet; shifts the packet's own IPv4 header to byte 4 of
//       `packet`, a label before it at byte 0
//   S3  ends the outer checks; checks the own header's lengths, begins its checksum; shifts layer 4 to byte 0 of `l4`
//   S4  ends the checksum, reads layer 4 and a packet embedded in an ICMP error, builds hdr_o
// Two shifts with a few fixed distances each are all the alignment there is. Bytes beyond the frame are 0.
// The own packet ends with the outer packet, by its total length; what lies behind that in the frame is padding.
// UDP's and GRE's checksum: the window brings the sum of the whole outer packet. An IPv4 header that is right adds nothing to a
// one's complement sum, so with UDP's pseudo header, or as it is for GRE, the sum is 0xffff if that checksum is right, too.
// Worked example, MPLSoGRE with tag and key: IPv4 at 18, GRE at 38 (8 bytes), label at 46, own header at 50. S1 drops
// 16 bytes; S2 drops 30 (2 + 20 + 8), which leaves the label at 0.
// Reset:      the valid bits only.
module ps_parser
  import ps_abi_pkg::*;
  import ps_types_pkg::*;
  import ps_stream_pkg::*;
(
  input  logic    clk_i,
  input  logic    rst_i,
  input  logic    window_valid_i,
  input  window_t window_i,
  output logic    hdr_valid_o,
  output hdr_t    hdr_o,
  output logic    busy_o
);

  localparam int unsigned BodyBytes = WindowBytes - 12;
  localparam int unsigned PacketBytes = 84;  // label, 60 bytes of IPv4, 20 of TCP
  localparam int unsigned L4Bytes = 46;      // ICMP, embedded IPv4, TCP as far as its checksum
  localparam int unsigned TcpL4Max = 110;    // a TCP header further back is not all in the window

  localparam logic [15:0] EtherVlan = 16'h8100;
  localparam logic [15:0] EtherIp4 = 16'h0800;
  localparam logic [15:0] EtherArp = 16'h0806;
  localparam logic [15:0] GreMpls = 16'h8847;
  localparam logic [15:0] GreMustBeZero = 16'h5c00;  // bits 1, 3, 4 and 5 (RFC 2784, section 2.3)
  localparam logic [15:0] EmbTcpMin = 16'd66;        // total length of an ICMP error that brings a TCP checksum
  localparam logic [7:0] ProtoIcmp = 8'd1;
  localparam logic [7:0] ProtoTcp = 8'd6;
  localparam logic [7:0] ProtoUdp = 8'd17;
  localparam logic [7:0] ProtoGre = 8'd47;
  localparam logic [7:0] ProtoSctp = 8'd132;

  // How far back the packet's own IPv4 header is: bytes between outer IPv4 header and label
  typedef enum logic [1:0] {
    AlignPlain,
    AlignShim4,
    AlignShim8,
    AlignShim12
  } align_e;

  // What the stages hand on of the frame as a whole
  typedef struct packed {
    src_e        src;
    logic [7:0]  vif;
    logic [15:0] len;
    logic        oversize;
    logic        runt;
    mac_t        dmac;
    logic        vlan_tagged;
  } frame_t;

  typedef struct packed {
    logic        is_arp;
    logic        is_ip4;
    logic        is_tunnel;
    logic        outer_later;
    logic        outer_frag;
    logic        outer_udp;
    ip4_t        outer_sip;
    ip4_t        outer_dip;
    logic [15:0] outer_id;
    logic [6:0]  l3_off;
  } layer2_t;

  // Of the outer packet, half checked
  typedef struct packed {
    logic        bad;            // GRE flags, UDP length
    logic [15:0] len;            // total length
    logic [5:0]  head_len;       // IPv4 header to label, both included
    logic [19:0] header_sum;
    logic        sum_en;         // has a checksum of its own
    logic [18:0] sum;
  } outer_t;

  typedef struct packed {
    logic        outer_csum_bad;
    logic        outer_bad;
    logic        outer_sum_bad;
    logic [31:0] shim;
    logic        inner_not_ip4;
    logic        ip_bad;
    logic [3:0]  ihl;
    logic [15:0] ip_len;
    logic [15:0] ip_id;
    logic [7:0]  ttl;
    logic [7:0]  proto;
    logic [15:0] ip_csum;
    ip4_t        sip;
    ip4_t        dip;
    logic        frag;
    logic [15:0] l4_len;
    logic        l4_far;
  } layer3_t;

  // S1: VLAN tag out
  logic                    valid1_q;
  logic                    has_tag, has_tag_q;
  logic [15:0]             sum1_q;
  frame_t                  frame1_d, frame1_q;
  logic [8*BodyBytes-1:0]  body_q;

  always_comb begin
    frame1_d.src        = window_i.src;
    frame1_d.vif        = window_i.vif;
    frame1_d.len        = window_i.len;
    frame1_d.oversize   = window_i.oversize;
    frame1_d.runt       = window_i.runt;
    frame1_d.dmac       = {be32(window_i.data[0+:32]), be16(window_i.data[8*4+:16])};
    has_tag             = be16(window_i.data[8*12+:16]) == EtherVlan;
    frame1_d.vlan_tagged = has_tag && (be16(window_i.data[8*14+:16]) & 16'h0fff) != '0;
  end

  // Folds a one's complement sum to 16 bits.
  function automatic logic [15:0] fold(input logic [20:0] sum);
    logic [16:0] once;
    once = 17'(sum[15:0]) + 17'(sum[20:16]);
    fold = once[15:0] + 16'(once[16]);
  endfunction

  always_ff @(posedge clk_i) begin
    if (window_valid_i) begin
      frame1_q  <= frame1_d;
      has_tag_q <= has_tag;
      sum1_q    <= window_i.sum;
      if (has_tag) body_q <= {32'b0, window_i.data[WindowBits-1:8*16]};
      else body_q <= window_i.data[WindowBits-1:8*12];
    end
  end

  // S2: tunnels; the packet's own header to its place
  logic                     valid2_q;
  frame_t                   frame2_q;
  layer2_t                  l2_d, l2_q;
  outer_t                   outer_d, outer_q;
  logic [6:0]               outer_off_d, outer_off_q;   // IPv4 header of the outer packet
  logic [8*PacketBytes-1:0] packet_q;
  logic [15:0]              ether_type, gre_flags, outer_frag_word, udp_len;
  logic [7:0]               outer_proto;
  logic                     outer_ok, outer_first, is_udp, is_gre;
  logic [6:0]               untagged_off;
  align_e                   align;

  always_comb begin
    ether_type      = be16(body_q[0+:16]);
    outer_frag_word = be16(body_q[8*8+:16]);
    outer_proto     = body_q[8*11+:8];
    gre_flags       = be16(body_q[8*22+:16]);
    udp_len         = be16(body_q[8*26+:16]);

    outer_ok    = frame1_q.src == SrcFabric && ether_type == EtherIp4 && body_q[8*2+:8] == 8'h45;
    outer_first = (outer_frag_word & 16'h1fff) == '0;
    is_udp      = outer_ok && outer_first && outer_proto == ProtoUdp &&
                  (be16(body_q[8*24+:16]) == 16'(MplsUdpPort) || be16(body_q[8*24+:16]) == 16'(MplsUdpPortOld));
    is_gre      = outer_ok && outer_first && outer_proto == ProtoGre && be16(body_q[8*24+:16]) == GreMpls &&
                  gre_flags[2:0] == '0;

    l2_d.is_arp      = ether_type == EtherArp;
    l2_d.is_ip4      = ether_type == EtherIp4;
    l2_d.is_tunnel   = is_udp || is_gre;
    l2_d.outer_later = outer_ok && !outer_first && (outer_proto == ProtoUdp || outer_proto == ProtoGre);
    l2_d.outer_frag  = '0;
    l2_d.outer_udp   = '0;
    l2_d.outer_sip   = '0;
    l2_d.outer_dip   = '0;
    l2_d.outer_id    = '0;
    if (l2_d.is_tunnel || l2_d.outer_later) begin
      l2_d.outer_frag = (outer_frag_word & 16'h3fff) != '0;
      l2_d.outer_udp  = outer_proto == ProtoUdp;
      l2_d.outer_sip  = be32(body_q[8*14+:32]);
      l2_d.outer_dip  = be32(body_q[8*18+:32]);
      l2_d.outer_id   = be16(body_q[8*6+:16]);
    end

    unique case ({is_udp, is_gre, gre_flags[15] && gre_flags[13], gre_flags[15] || gre_flags[13]}) inside
      4'b1???, 4'b0101: align = AlignShim8;
      4'b0100:          align = AlignShim4;
      4'b0111:          align = AlignShim12;
      default:          align = AlignPlain;
    endcase
    unique case (align)
      AlignShim4:  untagged_off = 7'd42;
      AlignShim8:  untagged_off = 7'd46;
      AlignShim12: untagged_off = 7'd50;
      default:     untagged_off = 7'd14;
    endcase
    l2_d.l3_off = has_tag_q ? untagged_off + 7'd4 : untagged_off;
    outer_off_d = has_tag_q ? 7'd18 : 7'd14;

    outer_d.len        = be16(body_q[8*4+:16]);
    outer_d.head_len   = 6'(untagged_off - 7'd14);
    outer_d.bad        = is_udp ? udp_len + 16'd20 != outer_d.len : (gre_flags & GreMustBeZero) != '0;
    outer_d.header_sum = '0;
    for (int w = 0; w < 10; w++) outer_d.header_sum += 20'(body_q[8*2+16*w+:16]);
    outer_d.sum_en     = is_udp ? body_q[8*28+:16] != '0 : gre_flags[15];
    outer_d.sum        = 19'(sum1_q);
    if (is_udp) begin
      outer_d.sum += 19'(be16(body_q[8*14+:16])) + 19'(be16(body_q[8*16+:16])) + 19'(be16(body_q[8*18+:16])) +
                     19'(be16(body_q[8*20+:16])) + 19'(ProtoUdp) + 19'(udp_len);
    end
  end

  always_ff @(posedge clk_i) begin
    if (valid1_q) begin
      frame2_q <= frame1_q;
      l2_q     <= l2_d;
      outer_q     <= outer_d;
      outer_off_q <= outer_off_d;
      unique case (align)
        AlignShim4:  packet_q <= body_q[8*26+:8*PacketBytes];
        AlignShim8:  packet_q <= body_q[8*30+:8*PacketBytes];
        AlignShim12: packet_q <= {16'b0, body_q[8*BodyBytes-1:8*34]};
        default:     packet_q <= {body_q[0+:8*(PacketBytes-2)], 16'b0};
      endcase
    end
  end

  // S3: IPv4 lengths, parts of the checksum; layer 4 to its place
  logic                 valid3_q;
  frame_t               frame3_q;
  layer2_t              l2_3_q;
  layer3_t              l3_d, l3_q;
  logic [8*L4Bytes-1:0] l4_q;
  logic [16:0]          outer_avail;        // bytes of the frame from the outer IPv4 header on; negative: none
  logic [16:0]          avail;              // bytes from the own IPv4 header on, of the outer packet or the frame; likewise
  logic [5:0]           hdr_len;
  logic [3:0][19:0]     sum_q;       // header words 0..9, and options in three parts

  always_comb begin
    outer_avail = 17'(frame2_q.len) - 17'(outer_off_q);
    avail       = l2_q.is_tunnel ? 17'(outer_q.len) - 17'(outer_q.head_len) : outer_avail;
    l3_d.outer_csum_bad = (l2_q.is_tunnel || l2_q.outer_later) && fold(21'(outer_q.header_sum)) != '1;
    l3_d.outer_bad      = l2_q.is_tunnel && (outer_q.bad || outer_avail[16] || outer_avail[15:0] < outer_q.len || avail[16]);
    l3_d.outer_sum_bad  = l2_q.is_tunnel && outer_q.sum_en && fold(21'(outer_q.sum)) != '1;
    l3_d.ihl           = packet_q[8*4+:4];
    hdr_len            = {l3_d.ihl, 2'b0};
    l3_d.shim          = l2_q.is_tunnel ? be32(packet_q[0+:32]) : '0;
    l3_d.inner_not_ip4 = l2_q.is_tunnel && packet_q[8*4+4+:4] != 4'd4;
    l3_d.ip_len        = be16(packet_q[8*6+:16]);
    l3_d.ip_id         = be16(packet_q[8*8+:16]);
    l3_d.frag          = (be16(packet_q[8*10+:16]) & 16'h3fff) != '0;
    l3_d.ttl           = packet_q[8*12+:8];
    l3_d.proto         = packet_q[8*13+:8];
    l3_d.ip_csum       = be16(packet_q[8*14+:16]);
    l3_d.sip           = be32(packet_q[8*16+:32]);
    l3_d.dip           = be32(packet_q[8*20+:32]);
    l3_d.ip_bad        = packet_q[8*4+4+:4] != 4'd4 || l3_d.ihl < 4'd5 || avail[16] || avail[15:0] < 16'(hdr_len) ||
                         l3_d.ip_len < 16'(hdr_len) || avail[15:0] < l3_d.ip_len;
    l3_d.l4_len        = l3_d.ip_len - 16'(hdr_len);
    l3_d.l4_far        = 8'(l2_q.l3_off) + 8'(hdr_len) > 8'(TcpL4Max);
  end

  // The one's complement sum does not care for byte order as long as it is compared with 0xffff.
  function automatic logic [3:0][19:0] sum_words(input logic [479:0] words, input logic [3:0] ihl);
    sum_words = '0;
    for (int w = 0; w < 10; w++) sum_words[0] += 20'(words[16*w+:16]);
    if (ihl > 4'd5) begin
      for (int w = 10; w < 30; w++) begin
        if (w < 2 * int'(ihl)) sum_words[w<20?1:(w<24?2:3)] += 20'(words[16*w+:16]);
      end
    end
  endfunction

  always_ff @(posedge clk_i) begin
    if (valid2_q) begin
      frame3_q <= frame2_q;
      l2_3_q   <= l2_q;
      l3_q     <= l3_d;
      sum_q    <= sum_words(packet_q[32+:480], l3_d.ihl);
      l4_q     <= (8*L4Bytes)'(packet_q >> {5'd1 + 5'(l3_d.ihl), 5'b0});
    end
  end

  // S4: layer 4
  hdr_t        hdr_q;
  logic        hdr_valid_q;
  logic [20:0] sum;

  assign sum = 21'(sum_q[0]) + 21'(sum_q[1]) + 21'(sum_q[2]) + 21'(sum_q[3]);

  // verilator lint_off UNUSEDSIGNAL  // words of layer 4 and of an embedded header that nothing asks for
  function automatic hdr_t build(input frame_t frame, input layer2_t l2, input layer3_t l3, input logic csum_bad,
                                 input logic [8*L4Bytes-1:0] l4);
    // verilator lint_on UNUSEDSIGNAL
    logic       is_tcp, is_ports, is_icmp, err_type, emb_ports, emb_echo;
    logic [7:0] icmp_type, emb_proto;

    is_tcp    = l3.proto == ProtoTcp;
    is_ports  = is_tcp || l3.proto == ProtoUdp || l3.proto == ProtoSctp;
    is_icmp   = l3.proto == ProtoIcmp;
    icmp_type = l4[0+:8];
    err_type  = icmp_type inside {8'd3, 8'd4, 8'd5, 8'd11, 8'd12};
    emb_proto = l4[8*17+:8];
    emb_ports = emb_proto inside {ProtoTcp, ProtoUdp, ProtoSctp};
    emb_echo  = emb_proto == ProtoIcmp && (l4[8*28+:8] == 8'd0 || l4[8*28+:8] == 8'd8);

    build               = '0;
    build.src           = frame.src;
    build.vif           = frame.vif;
    build.frame_len     = frame.len;
    build.oversize      = frame.oversize;
    build.runt          = frame.runt;
    build.dmac          = frame.dmac;
    build.vlan_tagged   = frame.vlan_tagged;
    build.is_arp        = l2.is_arp;
    build.is_ip4        = l2.is_ip4;
    build.is_tunnel     = l2.is_tunnel;
    build.outer_later   = l2.outer_later;
    build.outer_frag    = l2.outer_frag;
    build.outer_udp     = l2.outer_udp;
    build.outer_sip     = l2.outer_sip;
    build.outer_dip     = l2.outer_dip;
    build.outer_id      = l2.outer_id;
    build.outer_csum_bad = l3.outer_csum_bad;
    build.outer_bad     = l3.outer_bad;
    build.outer_sum_bad = l3.outer_sum_bad;
    build.label         = l3.shim[31:12];
    build.bos           = l3.shim[8];
    build.mpls_ttl      = l3.shim[7:0];
    build.inner_not_ip4 = l3.inner_not_ip4;
    build.l3_off        = l2.l3_off;
    build.ip_bad        = l3.ip_bad;
    build.ip_csum_bad   = csum_bad;
    build.ihl           = l3.ihl;
    build.ip_len        = l3.ip_len;
    build.ip_id         = l3.ip_id;
    build.ttl           = l3.ttl;
    build.proto         = l3.proto;
    build.ip_csum       = l3.ip_csum;
    build.sip           = l3.sip;
    build.dip           = l3.dip;
    build.frag          = l3.frag;

    build.key_proto = l3.proto;
    build.key_sip   = l3.sip;
    build.key_dip   = l3.dip;

    if (!l3.frag) begin
      build.l4_short = (is_tcp && (l3.l4_len < 16'd20 || l3.l4_far)) ||
                       ((is_ports || is_icmp) && l3.l4_len < 16'd8);
      build.icmp_echo = is_icmp && (icmp_type == 8'd0 || icmp_type == 8'd8);
      build.icmp_err  = is_icmp && err_type && l3.ihl == 4'd5 && l3.ip_len >= 16'd56 &&
                        l4[8*8+:8] == 8'h45 && (be16(l4[8*14+:16]) & 16'h1fff) == '0 && (emb_ports || emb_echo);
      if (build.icmp_err) begin
        build.key_proto    = emb_proto;
        build.key_sip      = be32(l4[8*24+:32]);
        build.key_dip      = be32(l4[8*20+:32]);
        build.key_sport    = emb_echo ? be16(l4[8*32+:16]) : be16(l4[8*30+:16]);
        build.key_dport    = emb_echo ? '0 : be16(l4[8*28+:16]);
        build.emb_ip_csum  = be16(l4[8*18+:16]);
        if (emb_proto == ProtoUdp) begin
          build.emb_l4_csum    = be16(l4[8*34+:16]);
          build.emb_l4_csum_en = build.emb_l4_csum != '0;
        end else if (emb_proto == ProtoTcp && l3.ip_len >= EmbTcpMin) begin
          build.emb_l4_csum    = be16(l4[8*44+:16]);
          build.emb_l4_csum_en = 1'b1;
        end
      end else if (is_ports) begin
        build.key_sport = be16(l4[0+:16]);
        build.key_dport = be16(l4[8*2+:16]);
      end else if (build.icmp_echo) begin
        build.key_sport = be16(l4[8*4+:16]);
      end else if (is_icmp) begin
        build.key_dport = 16'(icmp_type);
      end
      unique case (l3.proto)
        ProtoTcp:  build.l4_csum = be16(l4[8*16+:16]);
        ProtoUdp:  build.l4_csum = be16(l4[8*6+:16]);
        ProtoIcmp: build.l4_csum = be16(l4[8*2+:16]);
        default:   build.l4_csum = '0;
      endcase
      build.tcp_fin = is_tcp && l4[8*13];
      build.tcp_syn = is_tcp && l4[8*13+1];
      build.tcp_rst = is_tcp && l4[8*13+2];
      build.tcp_ack = is_tcp && l4[8*13+4];
    end
  endfunction

  always_ff @(posedge clk_i) begin
    if (valid3_q) begin
      hdr_q <= build(frame3_q, l2_3_q, l3_q, fold(sum) != '1, l4_q);
    end
    if (rst_i) begin
      valid1_q    <= 1'b0;
      valid2_q    <= 1'b0;
      valid3_q    <= 1'b0;
      hdr_valid_q <= 1'b0;
    end else begin
      valid1_q    <= window_valid_i;
      valid2_q    <= valid1_q;
      valid3_q    <= valid2_q;
      hdr_valid_q <= valid3_q;
    end
  end

  assign hdr_valid_o = hdr_valid_q;
  assign hdr_o       = hdr_q;
  assign busy_o      = valid1_q || valid2_q || valid3_q || hdr_valid_q;

endmodule
