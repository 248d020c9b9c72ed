// First part of the parser: what is around a frame's own packet, and where that packet is.
//
//   S1  takes a VLAN tag out: the EtherType is at byte 0 of `body`, an IPv4 header at byte 2
//   S2  recognises tunnels; begins the sums of an outer packet and its checks
//   S3  shifts the packet's own IPv4 header to byte 4 of `packet_o`, a label before it at byte 0; goes on with the sums
//   S4  ends the checks of an outer packet and its sum
//   S5  ends its header's
// Two shifts with a few fixed distances each are all the alignment there is. Bytes beyond the frame are 0.
// The own packet ends with the outer packet, by its total length; what lies behind that in the frame is padding.
// UDP's and GRE's checksum: the window brings the sum of the whole outer packet. An IPv4 header that is right adds nothing to a
// one's complement sum, so with UDP's pseudo header, or as it is for GRE, the sum is 0xffff if that checksum is right, too.
// Sums are of words as they lie in the frame: in one's complement the order of their bytes does not matter to that.
// Worked example, MPLSoGRE with tag and key: IPv4 at 18, GRE at 38 (8 bytes), label at 46, own header at 50. S1 drops
// 16 bytes; S3 drops 30 (2 + 20 + 8), which leaves the label at 0.
// Latency:    window_valid_i -> valid_o 3 cycles; faults_o 2 cycles later.
// Reset:      the valid bits only.
module ps_parse_outer
  import ps_abi_pkg::*;
  import ps_types_pkg::*;
  import ps_stream_pkg::*;
  import ps_parse_pkg::*;
(
  input  logic                     clk_i,
  input  logic                     rst_i,
  input  logic                     window_valid_i,
  input  window_t                  window_i,
  input  packet_sum_t              sum_i,
  output logic                     valid_o,
  output around_t                  around_o,
  output logic [8*PacketBytes-1:0] packet_o,
  output logic [16:0]              avail_o,     // bytes from the own header on, of the outer packet or the frame; negative: none
  output outer_faults_t            faults_o,
  output logic                     busy_o
);

  localparam int unsigned BodyBytes = WindowBytes - 12;
  localparam logic [15:0] EtherIp4 = 16'h0800;
  localparam logic [15:0] EtherArp = 16'h0806;
  localparam logic [15:0] GreMpls = 16'h8847;
  localparam logic [15:0] GreMustBeZero = 16'h5c00;  // bits 1, 3, 4 and 5 (RFC 2784, section 2.3)

  // How far back the packet's own IPv4 header is: bytes between outer IPv4 header and label
  typedef enum logic [1:0] {
    AlignPlain,
    AlignShim4,
    AlignShim8,
    AlignShim12
  } align_e;

  // S1
  logic                   valid1_q, tag1_q;
  packet_sum_t            sum1_q;
  frame_t                 frame1_d, frame1_q;
  logic [8*BodyBytes-1:0] body1_q;

  always_comb begin
    frame1_d.src         = window_i.src;
    frame1_d.vif         = window_i.vif;
    frame1_d.len         = window_i.len;
    frame1_d.oversize    = window_i.oversize;
    frame1_d.runt        = window_i.runt;
    frame1_d.dmac        = {be32(window_i.data[0+:32]), be16(window_i.data[8*4+:16])};
    frame1_d.vlan_tagged = window_i.has_tag && (be16(window_i.data[8*14+:16]) & 16'h0fff) != '0;
  end

  always_ff @(posedge clk_i) begin
    if (window_valid_i) begin
      frame1_q <= frame1_d;
      tag1_q   <= window_i.has_tag;
      sum1_q   <= sum_i;
      if (window_i.has_tag) body1_q <= {32'b0, window_i.data[WindowBits-1:8*16]};
      else body1_q <= window_i.data[WindowBits-1:8*12];
    end
  end

  // S2
  logic                   valid2_q;
  frame_t                 frame2_q;
  logic                   tag2_q;
  // verilator lint_off UNUSEDSIGNAL  // the EtherType has been looked at
  logic [8*BodyBytes-1:0] body2_q;
  // verilator lint_on UNUSEDSIGNAL
  logic                   is_arp2_q, is_ip42_q, is_udp2_q, is_gre2_q, later2_q, frag2_q, bad2_q, sum_en2_q;
  logic                   tunnel2_q, outer2_q;     // either of them; or a later fragment of what may be one
  logic                   gre_sum2_q, gre_key2_q;  // only of use to GRE: its optional words are there
  logic [16:0]            outer_avail2_q;   // bytes of the frame from the outer IPv4 header on; negative: none
  packet_sum_t            sum2_q;
  logic [17:0]            udp_sum2_q;       // packet, length and protocol
  logic [1:0][16:0]       pseudo2_q;        // addresses
  logic [4:0][16:0]       pairs2_q;         // of words of the outer header

  logic [15:0] ether_type, gre_flags, outer_frag_word, udp_len, outer_len;
  logic [7:0]  outer_proto;
  logic        outer_ok, outer_first, is_udp, is_gre, later;

  always_comb begin
    ether_type      = be16(body1_q[0+:16]);
    outer_len       = be16(body1_q[8*4+:16]);
    outer_frag_word = be16(body1_q[8*8+:16]);
    outer_proto     = body1_q[8*11+:8];
    gre_flags       = be16(body1_q[8*22+:16]);
    udp_len         = be16(body1_q[8*26+:16]);

    outer_ok    = frame1_q.src == SrcFabric && ether_type == EtherIp4 && body1_q[8*2+:8] == 8'h45;
    outer_first = (outer_frag_word & 16'h1fff) == '0;
    is_udp      = outer_ok && outer_first && outer_proto == ProtoUdp &&
                  (be16(body1_q[8*24+:16]) == 16'(MplsUdpPort) || be16(body1_q[8*24+:16]) == 16'(MplsUdpPortOld));
    is_gre      = outer_ok && outer_first && outer_proto == ProtoGre && be16(body1_q[8*24+:16]) == GreMpls &&
                  gre_flags[2:0] == '0;
    later       = outer_ok && !outer_first && (outer_proto == ProtoUdp || outer_proto == ProtoGre);
  end

  always_ff @(posedge clk_i) begin
    if (valid1_q) begin
      frame2_q       <= frame1_q;
      tag2_q         <= tag1_q;
      body2_q        <= body1_q;
      is_arp2_q      <= ether_type == EtherArp;
      is_ip42_q      <= ether_type == EtherIp4;
      is_udp2_q      <= is_udp;
      is_gre2_q      <= is_gre;
      tunnel2_q      <= is_udp || is_gre;
      outer2_q       <= is_udp || is_gre || later;
      later2_q       <= later;
      frag2_q        <= (outer_frag_word & 16'h3fff) != '0;
      gre_sum2_q     <= gre_flags[15];
      gre_key2_q     <= gre_flags[13];
      outer_avail2_q <= 17'(frame1_q.len) - (tag1_q ? 17'd18 : 17'd14);
      // Only of use to what it turns out to be
      bad2_q         <= outer_proto == ProtoUdp ? udp_len + 16'd20 != outer_len : (gre_flags & GreMustBeZero) != '0;
      sum_en2_q      <= outer_proto == ProtoUdp ? body1_q[8*28+:16] != '0 : gre_flags[15];
      sum2_q         <= sum1_q;
      udp_sum2_q     <= 18'(sum1_q) + 18'(body1_q[8*26+:16]) + 18'({ProtoUdp, 8'h0});
      pseudo2_q[0]   <= 17'(body1_q[8*14+:16]) + 17'(body1_q[8*16+:16]);
      pseudo2_q[1]   <= 17'(body1_q[8*18+:16]) + 17'(body1_q[8*20+:16]);
      for (int i = 0; i < 5; i++) pairs2_q[i] <= 17'(body1_q[8*2+32*i+:16]) + 17'(body1_q[8*4+32*i+:16]);
    end
  end

  // S3
  logic              valid3_q;
  around_t           around3_d, around3_q;
  logic [8*PacketBytes-1:0] packet3_q;
  logic [3:0][8*PacketBytes-1:0] places;
  logic [16:0]       avail3_q;
  logic              checked3_q, bad3_q, short3_q, sum_en3_q;
  logic [18:0]       sum3_q;
  logic [1:0][18:0]  pairs3_q;
  logic [6:0]        untagged_off, head_len;
  align_e            align;

  // A level of logic here, behind what is long enough without it
  always_comb begin
    unique case ({is_udp2_q, is_gre2_q, gre_sum2_q && gre_key2_q, gre_sum2_q || gre_key2_q}) inside
      4'b1???, 4'b0101: align = AlignShim8;
      4'b0100:          align = AlignShim4;
      4'b0111:          align = AlignShim12;
      default:          align = AlignPlain;
    endcase
  end

  // By align_e. What lies before a plain header or behind the window is read by nobody, so any bytes will do.
  assign places[AlignPlain]  = {body2_q[0+:8*(PacketBytes-2)], body2_q[8*26+:16]};
  assign places[AlignShim4]  = body2_q[8*26+:8*PacketBytes];
  assign places[AlignShim8]  = body2_q[8*30+:8*PacketBytes];
  assign places[AlignShim12] = {body2_q[8*(BodyBytes-2)+:16], body2_q[8*BodyBytes-1:8*34]};

  always_comb begin
    unique case (align)
      AlignShim4:  untagged_off = 7'd42;
      AlignShim8:  untagged_off = 7'd46;
      AlignShim12: untagged_off = 7'd50;
      default:     untagged_off = 7'd14;
    endcase
    head_len = untagged_off - 7'd14;  // IPv4 header to label, both included

    around3_d             = '0;
    around3_d.frame       = frame2_q;
    around3_d.is_arp      = is_arp2_q;
    around3_d.is_ip4      = is_ip42_q;
    around3_d.is_tunnel   = tunnel2_q;
    around3_d.outer_later = later2_q;
    around3_d.l3_off      = tag2_q ? untagged_off + 7'd4 : untagged_off;
    if (outer2_q) begin
      around3_d.outer_frag = frag2_q;
      around3_d.outer_udp  = body2_q[8*11+:8] == ProtoUdp;
      around3_d.outer_sip  = be32(body2_q[8*14+:32]);
      around3_d.outer_dip  = be32(body2_q[8*18+:32]);
      around3_d.outer_id   = be16(body2_q[8*6+:16]);
    end
  end

  always_ff @(posedge clk_i) begin
    if (valid2_q) begin
      around3_q <= around3_d;
      packet3_q   <= places[align];
      avail3_q    <= tunnel2_q ? 17'(be16(body2_q[8*4+:16])) - 17'(head_len) : outer_avail2_q;
      checked3_q  <= outer2_q;
      bad3_q      <= tunnel2_q && bad2_q;
      short3_q    <= tunnel2_q && (outer_avail2_q[16] || outer_avail2_q[15:0] < be16(body2_q[8*4+:16]));
      sum_en3_q   <= tunnel2_q && sum_en2_q;
      sum3_q      <= is_udp2_q ? 19'(udp_sum2_q) + 19'(pseudo2_q[0]) + 19'(pseudo2_q[1]) : 19'(sum2_q);
      pairs3_q[0] <= 19'(pairs2_q[0]) + 19'(pairs2_q[1]) + 19'(pairs2_q[2]);
      pairs3_q[1] <= 19'(pairs2_q[3]) + 19'(pairs2_q[4]);
    end
  end

  // S4, S5
  logic        valid4_q, checked4_q;
  logic [19:0] header4_q;
  outer_faults_t faults4_q, faults5_q;

  always_ff @(posedge clk_i) begin
    if (valid3_q) begin
      checked4_q         <= checked3_q;
      header4_q          <= 20'(pairs3_q[0]) + 20'(pairs3_q[1]);
      faults4_q.csum_bad <= 1'b0;
      faults4_q.bad      <= bad3_q || short3_q || (around3_q.is_tunnel && avail3_q[16]);
      faults4_q.sum_bad  <= sum_en3_q && !sums_to_ones(sum3_q[15:0], 6'(sum3_q[18:16]));
    end
    if (valid4_q) begin
      faults5_q          <= faults4_q;
      faults5_q.csum_bad <= checked4_q && !sums_to_ones(header4_q[15:0], 6'(header4_q[19:16]));
    end
    if (rst_i) begin
      valid1_q <= 1'b0;
      valid2_q <= 1'b0;
      valid3_q <= 1'b0;
      valid4_q <= 1'b0;
    end else begin
      valid1_q <= window_valid_i;
      valid2_q <= valid1_q;
      valid3_q <= valid2_q;
      valid4_q <= valid3_q;
    end
  end

  assign valid_o  = valid3_q;
  assign around_o = around3_q;
  assign packet_o = packet3_q;
  assign avail_o  = avail3_q;
  assign faults_o = faults5_q;
  assign busy_o   = valid1_q || valid2_q || valid3_q;

endmodule
