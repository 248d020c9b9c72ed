// Second part of the parser: a frame's own packet, from its IPv4 header on (docs/datapath.md, 4).
//
//   S4  checks the header's lengths, begins its checksum; shifts layer 4 by whole fours of words
//   S5  shifts it by the other words, to byte 0 of `l4`; adds the options that there are to the sum
//   S6  looks at layer 4 and a packet embedded in an ICMP error; ends the sum
//   S7  ends the checksum, chooses ports and checksums of layer 4, builds hdr_o
// Latency:    valid_i -> hdr_valid_o 4 cycles; faults_i is 2 cycles behind valid_i.
// Reset:      the valid bits only.
module ps_parse_packet
  import ps_types_pkg::*;
  import ps_stream_pkg::*;
  import ps_parse_pkg::*;
(
  input  logic                     clk_i,
  input  logic                     rst_i,
  input  logic                     valid_i,
  input  around_t                  around_i,
  input  logic [8*PacketBytes-1:0] packet_i,   // label, then IPv4 header
  input  logic [16:0]              avail_i,
  input  outer_faults_t            faults_i,
  output logic                     hdr_valid_o,
  output hdr_t                     hdr_o,
  output logic                     busy_o
);

  localparam int unsigned L4Bytes = 46;        // ICMP, embedded IPv4, TCP as far as its checksum
  localparam int unsigned TcpBytes = 20;
  localparam int unsigned CoarseBytes = TcpBytes + 12;  // of them up to three words are before layer 4
  localparam int unsigned TcpL4Max = 110;      // a TCP header further back is not all in the window
  localparam int unsigned Options = 10;        // 32-bit words
  localparam logic [15:0] EmbTcpMin = 16'd66;  // total length of an ICMP error that brings a TCP checksum
  localparam logic [15:0] EmbMin = 16'd56;     // of one that brings eight bytes of layer 4

  typedef struct packed {
    logic [31:0] shim;
    logic        inner_not_ip4;
    logic [3:0]  ihl;
    logic [15:0] ip_len;
    logic [15:0] ip_id;
    logic [7:0]  ttl;
    logic [7:0]  proto;
    logic [15:0] ip_csum;
    ip4_t        sip;
    ip4_t        dip;
    logic        frag;
  } ip_t;

  // S4
  logic                 valid4_q;
  around_t              around4_q;
  ip_t                  ip4_d, ip4_q;
  logic [5:0]           hdr_len;
  logic                 wrong4_q, no_header4_q, less4_q, cut4_q;  // each of them makes the header bad
  logic                 l4_far4_q;
  logic [15:0]          l4_len4_q;
  logic [8*CoarseBytes-1:0]        coarse4_q;
  logic [8*(L4Bytes-TcpBytes)-1:0] rest4_q;  // what is behind a TCP header, if the IPv4 header is without options
  logic [4:0][16:0]         fixed4_q;    // sums of pairs of words
  logic [Options-1:0][16:0] option4_q;
  logic [Options-1:0]       has4_q;      // the header has this option word

  always_comb begin
    ip4_d.shim          = around_i.is_tunnel ? be32(packet_i[0+:32]) : '0;
    ip4_d.inner_not_ip4 = around_i.is_tunnel && packet_i[8*4+4+:4] != 4'd4;
    ip4_d.ihl           = packet_i[8*4+:4];
    ip4_d.ip_len        = be16(packet_i[8*6+:16]);
    ip4_d.ip_id         = be16(packet_i[8*8+:16]);
    ip4_d.frag          = (be16(packet_i[8*10+:16]) & 16'h3fff) != '0;
    ip4_d.ttl           = packet_i[8*12+:8];
    ip4_d.proto         = packet_i[8*13+:8];
    ip4_d.ip_csum       = be16(packet_i[8*14+:16]);
    ip4_d.sip           = be32(packet_i[8*16+:32]);
    ip4_d.dip           = be32(packet_i[8*20+:32]);
    hdr_len             = {ip4_d.ihl, 2'b0};
  end

  always_ff @(posedge clk_i) begin
    if (valid_i) begin
      around4_q    <= around_i;
      ip4_q        <= ip4_d;
      wrong4_q     <= packet_i[8*4+4+:4] != 4'd4 || ip4_d.ihl < 4'd5;
      no_header4_q <= avail_i[16] || avail_i[15:0] < 16'(hdr_len);
      less4_q      <= ip4_d.ip_len < 16'(hdr_len);
      cut4_q       <= avail_i[15:0] < ip4_d.ip_len;
      l4_len4_q    <= ip4_d.ip_len - 16'(hdr_len);
      l4_far4_q    <= 8'(around_i.l3_off) + 8'(hdr_len) > 8'(TcpL4Max);
      // There is no header that is shorter than five words.
      unique case (ip4_d.ihl[3:2])
        2'd1:    coarse4_q <= packet_i[8*20+:8*CoarseBytes];
        2'd3:    coarse4_q <= packet_i[8*52+:8*CoarseBytes];
        default: coarse4_q <= packet_i[8*36+:8*CoarseBytes];
      endcase
      rest4_q      <= packet_i[8*(24+TcpBytes)+:8*(L4Bytes-TcpBytes)];
      for (int i = 0; i < 5; i++) fixed4_q[i] <= 17'(packet_i[32+32*i+:16]) + 17'(packet_i[48+32*i+:16]);
      for (int i = 0; i < Options; i++) begin
        option4_q[i] <= 17'(packet_i[192+32*i+:16]) + 17'(packet_i[208+32*i+:16]);
        has4_q[i]    <= int'(ip4_d.ihl) > 5 + i;
      end
    end
  end

  // S5
  logic       valid5_q;
  around_t    around5_q;
  ip_t        ip5_q;
  // verilator lint_off UNUSEDSIGNAL  // words of layer 4 and of an embedded header that nothing asks for
  logic [8*L4Bytes-1:0] l4_5_q, l4_6_q;
  // verilator lint_on UNUSEDSIGNAL
  logic       ip_bad5_q, short_tcp5_q, short_any5_q;
  logic       tcp5_q, udp5_q, ports5_q, icmp5_q;  // layer 4 is there, and that
  logic       emb_fits5_q, emb_tcp_fits5_q;       // an embedded packet, one as far as a TCP checksum
  logic [19:0]                fixed5_q;
  logic [Options/2-1:0][17:0] option5_d, option5_q;

  // The one's complement sum does not care for byte order as long as it is compared with 0xffff.
  always_comb begin
    option5_d = '0;
    for (int i = 0; i < Options; i++) option5_d[i/2] += has4_q[i] ? 18'(option4_q[i]) : '0;
  end

  always_ff @(posedge clk_i) begin
    if (valid4_q) begin
      around5_q       <= around4_q;
      ip5_q           <= ip4_q;
      l4_5_q          <= {rest4_q, (8 * TcpBytes)'(coarse4_q >> {ip4_q.ihl[1:0], 5'b0})};
      ip_bad5_q       <= wrong4_q || no_header4_q || less4_q || cut4_q;
      tcp5_q          <= !ip4_q.frag && ip4_q.proto == ProtoTcp;
      udp5_q          <= !ip4_q.frag && ip4_q.proto == ProtoUdp;
      ports5_q        <= !ip4_q.frag && ip4_q.proto inside {ProtoTcp, ProtoUdp, ProtoSctp};
      icmp5_q         <= !ip4_q.frag && ip4_q.proto == ProtoIcmp;
      short_tcp5_q    <= l4_len4_q < 16'd20 || l4_far4_q;
      short_any5_q    <= l4_len4_q < 16'd8;
      emb_fits5_q     <= ip4_q.ihl == 4'd5 && ip4_q.ip_len >= EmbMin;
      emb_tcp_fits5_q <= ip4_q.ip_len >= EmbTcpMin;
      fixed5_q        <= 20'(fixed4_q[0]) + 20'(fixed4_q[1]) + 20'(fixed4_q[2]) + 20'(fixed4_q[3]) + 20'(fixed4_q[4]);
      option5_q       <= option5_d;
    end
  end

  // S6
  logic          valid6_q;
  around_t       around6_q;
  ip_t           ip6_q;
  outer_faults_t faults6_q;
  logic          ip_bad6_q, l4_short6_q, tcp6_q, udp6_q, ports6_q, icmp6_q;
  logic          icmp_err6_q, icmp_echo6_q, emb_udp6_q, emb_tcp6_q, emb_echo6_q, emb_csum_en6_q;
  logic [21:0]   sum6_q;
  logic [7:0]    icmp_type, emb_proto;
  logic          emb_there, emb_ports, emb_echo;

  assign icmp_type = l4_5_q[0+:8];
  assign emb_proto = l4_5_q[8*17+:8];
  assign emb_there = emb_fits5_q && l4_5_q[8*8+:8] == 8'h45 && (be16(l4_5_q[8*14+:16]) & 16'h1fff) == '0;
  assign emb_ports = emb_proto inside {ProtoTcp, ProtoUdp, ProtoSctp};
  assign emb_echo  = emb_proto == ProtoIcmp && (l4_5_q[8*28+:8] == 8'd0 || l4_5_q[8*28+:8] == 8'd8);

  always_ff @(posedge clk_i) begin
    if (valid5_q) begin
      around6_q      <= around5_q;
      ip6_q          <= ip5_q;
      faults6_q      <= faults_i;
      l4_6_q         <= l4_5_q;
      ip_bad6_q      <= ip_bad5_q;
      l4_short6_q    <= (tcp5_q && short_tcp5_q) || ((ports5_q || icmp5_q) && short_any5_q);
      tcp6_q         <= tcp5_q;
      udp6_q         <= udp5_q;
      ports6_q       <= ports5_q;
      icmp6_q        <= icmp5_q;
      icmp_err6_q    <= icmp5_q && icmp_type inside {8'd3, 8'd4, 8'd5, 8'd11, 8'd12} && emb_there && (emb_ports || emb_echo);
      icmp_echo6_q   <= icmp5_q && (icmp_type == 8'd0 || icmp_type == 8'd8);
      emb_udp6_q     <= emb_proto == ProtoUdp;
      emb_tcp6_q     <= emb_proto == ProtoTcp && emb_tcp_fits5_q;
      emb_echo6_q    <= emb_echo;
      emb_csum_en6_q <= (emb_proto == ProtoUdp && l4_5_q[8*34+:16] != '0) || (emb_proto == ProtoTcp && emb_tcp_fits5_q);
      sum6_q         <= 22'(fixed5_q) + 22'(option5_q[0]) + 22'(option5_q[1]) + 22'(option5_q[2]) + 22'(option5_q[3]) +
                        22'(option5_q[4]);
    end
  end

  // S7
  hdr_t hdr7_d, hdr7_q;
  logic hdr_valid_q;

  always_comb begin
    hdr7_d                = '0;
    hdr7_d.src            = around6_q.frame.src;
    hdr7_d.vif            = around6_q.frame.vif;
    hdr7_d.frame_len      = around6_q.frame.len;
    hdr7_d.oversize       = around6_q.frame.oversize;
    hdr7_d.runt           = around6_q.frame.runt;
    hdr7_d.dmac           = around6_q.frame.dmac;
    hdr7_d.vlan_tagged    = around6_q.frame.vlan_tagged;
    hdr7_d.is_arp         = around6_q.is_arp;
    hdr7_d.is_ip4         = around6_q.is_ip4;
    hdr7_d.is_tunnel      = around6_q.is_tunnel;
    hdr7_d.outer_later    = around6_q.outer_later;
    hdr7_d.outer_frag     = around6_q.outer_frag;
    hdr7_d.outer_udp      = around6_q.outer_udp;
    hdr7_d.outer_sip      = around6_q.outer_sip;
    hdr7_d.outer_dip      = around6_q.outer_dip;
    hdr7_d.outer_id       = around6_q.outer_id;
    hdr7_d.outer_csum_bad = faults6_q.csum_bad;
    hdr7_d.outer_bad      = faults6_q.bad;
    hdr7_d.outer_sum_bad  = faults6_q.sum_bad;
    hdr7_d.label          = ip6_q.shim[31:12];
    hdr7_d.bos            = ip6_q.shim[8];
    hdr7_d.mpls_ttl       = ip6_q.shim[7:0];
    hdr7_d.inner_not_ip4  = ip6_q.inner_not_ip4;
    hdr7_d.l3_off         = around6_q.l3_off;
    hdr7_d.ip_bad         = ip_bad6_q;
    hdr7_d.ihl            = ip6_q.ihl;
    hdr7_d.ip_len         = ip6_q.ip_len;
    hdr7_d.ip_id          = ip6_q.ip_id;
    hdr7_d.ttl            = ip6_q.ttl;
    hdr7_d.proto          = ip6_q.proto;
    hdr7_d.ip_csum        = ip6_q.ip_csum;
    hdr7_d.ip_csum_bad    = !sums_to_ones(sum6_q[15:0], sum6_q[21:16]);
    hdr7_d.sip            = ip6_q.sip;
    hdr7_d.dip            = ip6_q.dip;
    hdr7_d.frag           = ip6_q.frag;

    hdr7_d.key_proto = ip6_q.proto;
    hdr7_d.key_sip   = ip6_q.sip;
    hdr7_d.key_dip   = ip6_q.dip;

    hdr7_d.l4_short  = l4_short6_q;
    hdr7_d.icmp_echo = icmp_echo6_q;
    hdr7_d.icmp_err  = icmp_err6_q;
    if (icmp_err6_q) begin
      hdr7_d.key_proto      = l4_6_q[8*17+:8];
      hdr7_d.key_sip        = be32(l4_6_q[8*24+:32]);
      hdr7_d.key_dip        = be32(l4_6_q[8*20+:32]);
      hdr7_d.key_sport      = emb_echo6_q ? be16(l4_6_q[8*32+:16]) : be16(l4_6_q[8*30+:16]);
      hdr7_d.key_dport      = emb_echo6_q ? '0 : be16(l4_6_q[8*28+:16]);
      hdr7_d.emb_ip_csum    = be16(l4_6_q[8*18+:16]);
      hdr7_d.emb_l4_csum_en = emb_csum_en6_q;
      if (emb_udp6_q) hdr7_d.emb_l4_csum = be16(l4_6_q[8*34+:16]);
      if (emb_tcp6_q) hdr7_d.emb_l4_csum = be16(l4_6_q[8*44+:16]);
    end else if (ports6_q) begin
      hdr7_d.key_sport = be16(l4_6_q[0+:16]);
      hdr7_d.key_dport = be16(l4_6_q[8*2+:16]);
    end else if (icmp_echo6_q) begin
      hdr7_d.key_sport = be16(l4_6_q[8*4+:16]);
    end else if (icmp6_q) begin
      hdr7_d.key_dport = 16'(l4_6_q[0+:8]);
    end
    if (tcp6_q) hdr7_d.l4_csum = be16(l4_6_q[8*16+:16]);
    if (udp6_q) hdr7_d.l4_csum = be16(l4_6_q[8*6+:16]);
    if (icmp6_q) hdr7_d.l4_csum = be16(l4_6_q[8*2+:16]);
    hdr7_d.tcp_fin = tcp6_q && l4_6_q[8*13];
    hdr7_d.tcp_syn = tcp6_q && l4_6_q[8*13+1];
    hdr7_d.tcp_rst = tcp6_q && l4_6_q[8*13+2];
    hdr7_d.tcp_ack = tcp6_q && l4_6_q[8*13+4];
  end

  always_ff @(posedge clk_i) begin
    if (valid6_q) hdr7_q <= hdr7_d;
    if (rst_i) begin
      valid4_q    <= 1'b0;
      valid5_q    <= 1'b0;
      valid6_q    <= 1'b0;
      hdr_valid_q <= 1'b0;
    end else begin
      valid4_q    <= valid_i;
      valid5_q    <= valid4_q;
      valid6_q    <= valid5_q;
      hdr_valid_q <= valid6_q;
    end
  end

  assign hdr_valid_o = hdr_valid_q;
  assign hdr_o       = hdr7_q;
  assign busy_o      = valid4_q || valid5_q || valid6_q || hdr_valid_q;

endmodule
