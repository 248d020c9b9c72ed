// Second part of the parser: a frame's own packet, from its IPv4 header on (docs/datapath.md, 4).
//
//   S4  checks the header's lengths, begins its checksum; shifts layer 4 to byte 0 of `l4`
//   S5  looks at layer 4 and a packet embedded in an ICMP error; adds the options that there are to the sum
//   S6  chooses ports and checksums; ends the sum
//   S7  ends the checksum, builds hdr_o
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
  // verilator lint_off UNUSEDSIGNAL  // words of layer 4 and of an embedded header that nothing asks for
  logic [8*L4Bytes-1:0] l4_4_q, l4_5_q;
  // verilator lint_on UNUSEDSIGNAL
  logic [15:0][8*TcpBytes-1:0] places;
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

  // Of layer 4, by the header's length; there is none that is shorter than five words.
  for (genvar i = 0; i < 16; i++) begin : g_place
    localparam int unsigned Length = i < 5 ? i + 8 : i;
    assign places[i] = packet_i[8*(4+4*Length)+:8*TcpBytes];
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
      // What is further back than a TCP header is looked at only behind a header without options.
      l4_4_q       <= {packet_i[8*(24+TcpBytes)+:8*(L4Bytes-TcpBytes)], places[ip4_d.ihl]};
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
  logic       ip_bad5_q, is_tcp5_q, is_udp5_q, is_ports5_q, is_icmp5_q, short_tcp5_q, short_any5_q;
  logic       err5_q, echo5_q, emb_there5_q, emb_udp5_q, emb_tcp5_q, emb_ports5_q, emb_echo5_q, emb_csum5_q;
  logic [19:0]                fixed5_q;
  logic [Options/2-1:0][17:0] option5_d, option5_q;
  logic [7:0] icmp_type, emb_proto;

  assign icmp_type = l4_4_q[0+:8];
  assign emb_proto = l4_4_q[8*17+:8];

  // The one's complement sum does not care for byte order as long as it is compared with 0xffff.
  always_comb begin
    option5_d = '0;
    for (int i = 0; i < Options; i++) option5_d[i/2] += has4_q[i] ? 18'(option4_q[i]) : '0;
  end

  always_ff @(posedge clk_i) begin
    if (valid4_q) begin
      around5_q    <= around4_q;
      ip5_q        <= ip4_q;
      l4_5_q       <= l4_4_q;
      ip_bad5_q    <= wrong4_q || no_header4_q || less4_q || cut4_q;
      is_tcp5_q    <= ip4_q.proto == ProtoTcp;
      is_udp5_q    <= ip4_q.proto == ProtoUdp;
      is_ports5_q  <= ip4_q.proto inside {ProtoTcp, ProtoUdp, ProtoSctp};
      is_icmp5_q   <= ip4_q.proto == ProtoIcmp;
      short_tcp5_q <= l4_len4_q < 16'd20 || l4_far4_q;
      short_any5_q <= l4_len4_q < 16'd8;
      err5_q       <= icmp_type inside {8'd3, 8'd4, 8'd5, 8'd11, 8'd12};
      echo5_q      <= icmp_type == 8'd0 || icmp_type == 8'd8;
      emb_there5_q <= ip4_q.ihl == 4'd5 && ip4_q.ip_len >= EmbMin && l4_4_q[8*8+:8] == 8'h45 &&
                      (be16(l4_4_q[8*14+:16]) & 16'h1fff) == '0;
      emb_udp5_q   <= emb_proto == ProtoUdp;
      emb_tcp5_q   <= emb_proto == ProtoTcp;
      emb_ports5_q <= emb_proto inside {ProtoTcp, ProtoUdp, ProtoSctp};
      emb_echo5_q  <= emb_proto == ProtoIcmp && (l4_4_q[8*28+:8] == 8'd0 || l4_4_q[8*28+:8] == 8'd8);
      emb_csum5_q  <= ip4_q.ip_len >= EmbTcpMin;
      fixed5_q     <= 20'(fixed4_q[0]) + 20'(fixed4_q[1]) + 20'(fixed4_q[2]) + 20'(fixed4_q[3]) + 20'(fixed4_q[4]);
      option5_q    <= option5_d;
    end
  end

  // S6
  logic        valid6_q, icmp_err;
  logic [21:0] sum6_q;
  hdr_t        hdr6_d, hdr6_q;  // but for ip_csum_bad

  assign icmp_err = !ip5_q.frag && is_icmp5_q && err5_q && emb_there5_q && (emb_ports5_q || emb_echo5_q);

  always_comb begin
    hdr6_d                = '0;
    hdr6_d.src            = around5_q.frame.src;
    hdr6_d.vif            = around5_q.frame.vif;
    hdr6_d.frame_len      = around5_q.frame.len;
    hdr6_d.oversize       = around5_q.frame.oversize;
    hdr6_d.runt           = around5_q.frame.runt;
    hdr6_d.dmac           = around5_q.frame.dmac;
    hdr6_d.vlan_tagged    = around5_q.frame.vlan_tagged;
    hdr6_d.is_arp         = around5_q.is_arp;
    hdr6_d.is_ip4         = around5_q.is_ip4;
    hdr6_d.is_tunnel      = around5_q.is_tunnel;
    hdr6_d.outer_later    = around5_q.outer_later;
    hdr6_d.outer_frag     = around5_q.outer_frag;
    hdr6_d.outer_udp      = around5_q.outer_udp;
    hdr6_d.outer_sip      = around5_q.outer_sip;
    hdr6_d.outer_dip      = around5_q.outer_dip;
    hdr6_d.outer_id       = around5_q.outer_id;
    hdr6_d.outer_csum_bad = faults_i.csum_bad;
    hdr6_d.outer_bad      = faults_i.bad;
    hdr6_d.outer_sum_bad  = faults_i.sum_bad;
    hdr6_d.label          = ip5_q.shim[31:12];
    hdr6_d.bos            = ip5_q.shim[8];
    hdr6_d.mpls_ttl       = ip5_q.shim[7:0];
    hdr6_d.inner_not_ip4  = ip5_q.inner_not_ip4;
    hdr6_d.l3_off         = around5_q.l3_off;
    hdr6_d.ip_bad         = ip_bad5_q;
    hdr6_d.ihl            = ip5_q.ihl;
    hdr6_d.ip_len         = ip5_q.ip_len;
    hdr6_d.ip_id          = ip5_q.ip_id;
    hdr6_d.ttl            = ip5_q.ttl;
    hdr6_d.proto          = ip5_q.proto;
    hdr6_d.ip_csum        = ip5_q.ip_csum;
    hdr6_d.sip            = ip5_q.sip;
    hdr6_d.dip            = ip5_q.dip;
    hdr6_d.frag           = ip5_q.frag;

    hdr6_d.key_proto = ip5_q.proto;
    hdr6_d.key_sip   = ip5_q.sip;
    hdr6_d.key_dip   = ip5_q.dip;

    if (!ip5_q.frag) begin
      hdr6_d.l4_short  = (is_tcp5_q && short_tcp5_q) || ((is_ports5_q || is_icmp5_q) && short_any5_q);
      hdr6_d.icmp_echo = is_icmp5_q && echo5_q;
      hdr6_d.icmp_err  = icmp_err;
      if (icmp_err) begin
        hdr6_d.key_proto   = l4_5_q[8*17+:8];
        hdr6_d.key_sip     = be32(l4_5_q[8*24+:32]);
        hdr6_d.key_dip     = be32(l4_5_q[8*20+:32]);
        hdr6_d.key_sport   = emb_echo5_q ? be16(l4_5_q[8*32+:16]) : be16(l4_5_q[8*30+:16]);
        hdr6_d.key_dport   = emb_echo5_q ? '0 : be16(l4_5_q[8*28+:16]);
        hdr6_d.emb_ip_csum = be16(l4_5_q[8*18+:16]);
        if (emb_udp5_q) begin
          hdr6_d.emb_l4_csum    = be16(l4_5_q[8*34+:16]);
          hdr6_d.emb_l4_csum_en = hdr6_d.emb_l4_csum != '0;
        end else if (emb_tcp5_q && emb_csum5_q) begin
          hdr6_d.emb_l4_csum    = be16(l4_5_q[8*44+:16]);
          hdr6_d.emb_l4_csum_en = 1'b1;
        end
      end else if (is_ports5_q) begin
        hdr6_d.key_sport = be16(l4_5_q[0+:16]);
        hdr6_d.key_dport = be16(l4_5_q[8*2+:16]);
      end else if (hdr6_d.icmp_echo) begin
        hdr6_d.key_sport = be16(l4_5_q[8*4+:16]);
      end else if (is_icmp5_q) begin
        hdr6_d.key_dport = 16'(l4_5_q[0+:8]);
      end
      if (is_tcp5_q) hdr6_d.l4_csum = be16(l4_5_q[8*16+:16]);
      if (is_udp5_q) hdr6_d.l4_csum = be16(l4_5_q[8*6+:16]);
      if (is_icmp5_q) hdr6_d.l4_csum = be16(l4_5_q[8*2+:16]);
      hdr6_d.tcp_fin = is_tcp5_q && l4_5_q[8*13];
      hdr6_d.tcp_syn = is_tcp5_q && l4_5_q[8*13+1];
      hdr6_d.tcp_rst = is_tcp5_q && l4_5_q[8*13+2];
      hdr6_d.tcp_ack = is_tcp5_q && l4_5_q[8*13+4];
    end
  end

  // S7
  hdr_t hdr7_q;
  logic hdr_valid_q;

  always_ff @(posedge clk_i) begin
    if (valid5_q) begin
      hdr6_q <= hdr6_d;
      sum6_q <= 22'(fixed5_q) + 22'(option5_q[0]) + 22'(option5_q[1]) + 22'(option5_q[2]) + 22'(option5_q[3]) +
                22'(option5_q[4]);
    end
    if (valid6_q) begin
      hdr7_q             <= hdr6_q;
      hdr7_q.ip_csum_bad <= !sums_to_ones(sum6_q[15:0], sum6_q[21:16]);
    end
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
