// Parses the window of a frame into the header record of the match-action core (docs/datapath.md, 1 to 4).
//
// Pipeline, no back-pressure, one window a cycle, 4 cycles:
//   S1  takes a VLAN tag out: the EtherType is at byte 0 of `body`, an IPv4 header at byte 2
//   S2  recognises tunnels; shifts the packet's own IPv4 header to byte 4 of `packet`, a label before it at byte 0
//   S3  checks that header's lengths, begins its checksum; shifts layer 4 to byte 0 of `l4`
//   S4  ends the checksum, reads layer 4 and a packet embedded in an ICMP error, builds hdr_o
// Two shifts with a few fixed distances each are all the alignment there is. Bytes beyond the frame are 0.
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
  localparam int unsigned L4Bytes = 36;      // ICMP, embedded IPv4, 8 bytes
  localparam int unsigned TcpL4Max = 110;    // a TCP header further back is not all in the window

  localparam logic [15:0] EtherVlan = 16'h8100;
  localparam logic [15:0] EtherIp4 = 16'h0800;
  localparam logic [15:0] EtherArp = 16'h0806;
  localparam logic [15:0] GreMpls = 16'h8847;
  localparam logic [7:0] ProtoIcmp = 8'd1;
  localparam logic [7:0] ProtoTcp = 8'd6;
  localparam logic [7:0] ProtoUdp = 8'd17;
  localparam logic [7:0] ProtoGre = 8'd47;
  localparam logic [7:0] ProtoSctp = 8'd132;

  // What the stages hand on of the frame as a whole
  typedef struct packed {
    src_e        src;
    logic [7:0]  vif;
    logic [15:0] len;
    logic        oversize;
    logic        runt;
    logic        dmac_group;
  } frame_t;

  typedef struct packed {
    logic       is_arp;
    logic       is_ip4;
    logic       is_tunnel;
    ip4_t       outer_sip;
    ip4_t       outer_dip;
    logic [6:0] l3_off;
  } layer2_t;

  typedef struct packed {
    logic        label_missing;
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
  frame_t                  frame1_d, frame1_q;
  logic [8*BodyBytes-1:0]  body_q;

  always_comb begin
    frame1_d.src        = window_i.src;
    frame1_d.vif        = window_i.vif;
    frame1_d.len        = window_i.len;
    frame1_d.oversize   = window_i.oversize;
    frame1_d.runt       = window_i.runt;
    frame1_d.dmac_group = window_i.data[0];
    has_tag             = be16(window_i.data[8*12+:16]) == EtherVlan;
  end

  always_ff @(posedge clk_i) begin
    if (window_valid_i) begin
      frame1_q  <= frame1_d;
      has_tag_q <= has_tag;
      body_q    <= has_tag ? {32'b0, window_i.data[WindowBits-1:8*16]}
                           : window_i.data[WindowBits-1:8*12];
    end
  end

  // S2: tunnels; the packet's own header to its place
  logic                     valid2_q;
  frame_t                   frame2_q;
  layer2_t                  l2_d, l2_q;
  logic [8*PacketBytes-1:0] packet_d, packet_q;
  logic [15:0]              ether_type, gre_flags;
  logic                     outer_ok, is_udp, is_gre;
  logic [6:0]               untagged_off;

  always_comb begin
    ether_type = be16(body_q[0+:16]);
    gre_flags  = be16(body_q[8*22+:16]);
    outer_ok   = frame1_q.src == SrcFabric && ether_type == EtherIp4 && body_q[8*2+:8] == 8'h45 &&
                 (be16(body_q[8*8+:16]) & 16'h3fff) == '0;
    is_udp     = outer_ok && body_q[8*11+:8] == ProtoUdp &&
                 (be16(body_q[8*24+:16]) == 16'(MplsUdpPort) || be16(body_q[8*24+:16]) == 16'(MplsUdpPortOld));
    is_gre     = outer_ok && body_q[8*11+:8] == ProtoGre && be16(body_q[8*24+:16]) == GreMpls &&
                 (gre_flags & 16'h5fff) == '0;

    l2_d.is_arp    = ether_type == EtherArp;
    l2_d.is_ip4    = ether_type == EtherIp4;
    l2_d.is_tunnel = is_udp || is_gre;
    l2_d.outer_sip = l2_d.is_tunnel ? be32(body_q[8*14+:32]) : '0;
    l2_d.outer_dip = l2_d.is_tunnel ? be32(body_q[8*18+:32]) : '0;

    if (is_udp || (is_gre && (gre_flags[15] ^ gre_flags[13]))) begin
      untagged_off = 7'd46;
      packet_d     = body_q[8*30+:8*PacketBytes];
    end else if (is_gre && gre_flags[15]) begin  // checksum and key
      untagged_off = 7'd50;
      packet_d     = {16'b0, body_q[8*BodyBytes-1:8*34]};
    end else if (is_gre) begin
      untagged_off = 7'd42;
      packet_d     = body_q[8*26+:8*PacketBytes];
    end else begin
      untagged_off = 7'd14;
      packet_d     = {body_q[0+:8*(PacketBytes-2)], 16'b0};
    end
    l2_d.l3_off = has_tag_q ? untagged_off + 7'd4 : untagged_off;
  end

  always_ff @(posedge clk_i) begin
    if (valid1_q) begin
      frame2_q <= frame1_q;
      l2_q     <= l2_d;
      packet_q <= packet_d;
    end
  end

  // S3: IPv4 lengths, parts of the checksum; layer 4 to its place
  logic                 valid3_q;
  frame_t               frame3_q;
  layer2_t              l2_3_q;
  layer3_t              l3_d, l3_q;
  logic [8*L4Bytes-1:0] l4_q;
  logic [16:0]          avail;              // bytes of the frame from the IPv4 header on; negative: none
  logic [5:0]           hdr_len;
  logic [3:0][19:0]     sum_d, sum_q;       // header words 0..9, and options in three parts

  always_comb begin
    avail   = 17'(frame2_q.len) - 17'(l2_q.l3_off);
    l3_d.ihl           = packet_q[8*4+:4];
    hdr_len            = {l3_d.ihl, 2'b0};
    l3_d.label_missing = l2_q.is_tunnel && avail[16];
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
  always_comb begin
    sum_d = '0;
    for (int w = 0; w < 10; w++) sum_d[0] += 20'(packet_q[32+16*w+:16]);
    for (int w = 10; w < 30; w++) begin
      if (w < 2 * int'(l3_d.ihl)) sum_d[w/10+(w>=24?1:0)] += 20'(packet_q[32+16*w+:16]);
    end
  end

  always_ff @(posedge clk_i) begin
    if (valid2_q) begin
      frame3_q <= frame2_q;
      l2_3_q   <= l2_q;
      l3_q     <= l3_d;
      sum_q    <= sum_d;
      l4_q     <= (8*L4Bytes)'(packet_q >> {5'd1 + 5'(l3_d.ihl), 5'b0});
    end
  end

  // S4: layer 4
  hdr_t        hdr_d, hdr_q;
  logic        hdr_valid_q;
  logic [20:0] sum;
  logic [16:0] sum_fold;
  logic [15:0] sum_end;
  logic        is_tcp, is_l4_ports, is_icmp, icmp_err_type, emb_echo, emb_ports;
  logic [7:0]  icmp_type, emb_proto;

  always_comb begin
    sum      = 21'(sum_q[0]) + 21'(sum_q[1]) + 21'(sum_q[2]) + 21'(sum_q[3]);
    sum_fold = 17'(sum[15:0]) + 17'(sum[20:16]);
    sum_end  = sum_fold[15:0] + 16'(sum_fold[16]);

    is_tcp      = l3_q.proto == ProtoTcp;
    is_l4_ports = is_tcp || l3_q.proto == ProtoUdp || l3_q.proto == ProtoSctp;
    is_icmp     = l3_q.proto == ProtoIcmp;

    icmp_type     = l4_q[0+:8];
    icmp_err_type = icmp_type inside {8'd3, 8'd4, 8'd5, 8'd11, 8'd12};
    emb_proto     = l4_q[8*17+:8];
    emb_ports     = emb_proto inside {ProtoTcp, ProtoUdp, ProtoSctp};
    emb_echo      = emb_proto == ProtoIcmp && (l4_q[8*28+:8] == 8'd0 || l4_q[8*28+:8] == 8'd8);

    hdr_d               = '0;
    hdr_d.src           = frame3_q.src;
    hdr_d.vif           = frame3_q.vif;
    hdr_d.frame_len     = frame3_q.len;
    hdr_d.oversize      = frame3_q.oversize;
    hdr_d.runt          = frame3_q.runt;
    hdr_d.dmac_group    = frame3_q.dmac_group;
    hdr_d.is_arp        = l2_3_q.is_arp;
    hdr_d.is_ip4        = l2_3_q.is_ip4;
    hdr_d.is_tunnel     = l2_3_q.is_tunnel;
    hdr_d.outer_sip     = l2_3_q.outer_sip;
    hdr_d.outer_dip     = l2_3_q.outer_dip;
    hdr_d.label_missing = l3_q.label_missing;
    hdr_d.label         = l3_q.shim[31:12];
    hdr_d.bos           = l3_q.shim[8];
    hdr_d.mpls_ttl      = l3_q.shim[7:0];
    hdr_d.inner_not_ip4 = l3_q.inner_not_ip4;
    hdr_d.l3_off        = l2_3_q.l3_off;
    hdr_d.ip_bad        = l3_q.ip_bad;
    hdr_d.ip_csum_bad   = sum_end != 16'hffff;
    hdr_d.ihl           = l3_q.ihl;
    hdr_d.ip_len        = l3_q.ip_len;
    hdr_d.ip_id         = l3_q.ip_id;
    hdr_d.ttl           = l3_q.ttl;
    hdr_d.proto         = l3_q.proto;
    hdr_d.ip_csum       = l3_q.ip_csum;
    hdr_d.sip           = l3_q.sip;
    hdr_d.dip           = l3_q.dip;
    hdr_d.frag          = l3_q.frag;

    hdr_d.key_proto = l3_q.proto;
    hdr_d.key_sip   = l3_q.sip;
    hdr_d.key_dip   = l3_q.dip;

    if (!l3_q.frag) begin
      hdr_d.l4_short = (is_tcp && (l3_q.l4_len < 16'd20 || l3_q.l4_far)) ||
                       ((is_l4_ports || is_icmp) && l3_q.l4_len < 16'd8);
      hdr_d.icmp_echo = is_icmp && (icmp_type == 8'd0 || icmp_type == 8'd8);
      hdr_d.icmp_err  = is_icmp && icmp_err_type && l3_q.ihl == 4'd5 && l3_q.ip_len >= 16'd56 &&
                        l4_q[8*8+:8] == 8'h45 && (be16(l4_q[8*14+:16]) & 16'h1fff) == '0 && (emb_ports || emb_echo);
      if (hdr_d.icmp_err) begin
        hdr_d.key_proto    = emb_proto;
        hdr_d.key_sip      = be32(l4_q[8*24+:32]);
        hdr_d.key_dip      = be32(l4_q[8*20+:32]);
        hdr_d.key_sport    = emb_echo ? be16(l4_q[8*32+:16]) : be16(l4_q[8*30+:16]);
        hdr_d.key_dport    = emb_echo ? '0 : be16(l4_q[8*28+:16]);
        hdr_d.emb_ip_csum  = be16(l4_q[8*18+:16]);
        hdr_d.emb_udp_csum = emb_proto == ProtoUdp ? be16(l4_q[8*34+:16]) : '0;
      end else if (is_l4_ports) begin
        hdr_d.key_sport = be16(l4_q[0+:16]);
        hdr_d.key_dport = be16(l4_q[8*2+:16]);
      end else if (hdr_d.icmp_echo) begin
        hdr_d.key_sport = be16(l4_q[8*4+:16]);
      end else if (is_icmp) begin
        hdr_d.key_dport = 16'(icmp_type);
      end
      unique case (l3_q.proto)
        ProtoTcp:  hdr_d.l4_csum = be16(l4_q[8*16+:16]);
        ProtoUdp:  hdr_d.l4_csum = be16(l4_q[8*6+:16]);
        ProtoIcmp: hdr_d.l4_csum = be16(l4_q[8*2+:16]);
        default:   hdr_d.l4_csum = '0;
      endcase
      hdr_d.tcp_fin = is_tcp && l4_q[8*13];
      hdr_d.tcp_syn = is_tcp && l4_q[8*13+1];
      hdr_d.tcp_rst = is_tcp && l4_q[8*13+2];
      hdr_d.tcp_ack = is_tcp && l4_q[8*13+4];
    end
  end

  always_ff @(posedge clk_i) begin
    if (valid3_q) hdr_q <= hdr_d;
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

  // Words of layer 4 and of an embedded header that nothing asks for
  logic unused_l4;
  assign unused_l4 = ^l4_q;

  assign hdr_valid_o = hdr_valid_q;
  assign hdr_o       = hdr_q;
  assign busy_o      = valid1_q || valid2_q || valid3_q || hdr_valid_q;

endmodule
