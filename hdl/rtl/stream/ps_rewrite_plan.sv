// Turns a verdict into the plan of its frame: edits at their place in the frame, and the new header.
//
//   P1  lays the edits of layer 4 behind those of the IPv4 header (one shift by the header length); builds the
//       header but for its checksum, which is summed up to one word and a carry
//   P2  lays all edits into the frame's window (one shift by `strip`); ends the checksum
// Handshake:  valid/ready on both sides; a stage moves when the next one is free. One verdict a cycle.
// Latency:    2 cycles.
// The outer IPv4 header is written whole, so its checksum is computed, not updated (docs/datapath.md, section 8).
module ps_rewrite_plan
  import ps_abi_pkg::*;
  import ps_types_pkg::*;
  import ps_stream_pkg::*;
(
  input  logic     clk_i,
  input  logic     rst_i,
  input  logic     verdict_valid_i,
  output logic     verdict_ready_o,
  // verilator lint_off UNUSEDSIGNAL  // src: the caller has sorted by it
  input  verdict_t verdict_i,
  // verilator lint_on UNUSEDSIGNAL
  output logic     plan_valid_o,
  input  logic     plan_ready_i,
  output plan_t    plan_o
);

  localparam int unsigned PacketWords = 40;  // IPv4 header of up to 60 bytes, 20 bytes of layer 4
  localparam int unsigned L4Words = 23;      // as far as the checksum of an embedded TCP header
  localparam int unsigned UdpOverhead = 32;  // outer IPv4 (20), UDP (8), MPLS (4)
  localparam int unsigned GreOverhead = 28;
  localparam logic [7:0] ProtoUdp = 8'd17;
  localparam logic [7:0] ProtoGre = 8'd47;
  localparam int unsigned HeaderWords = (HeaderBits + 31) / 32;
  localparam int unsigned CsumByte = 24;     // of the outer checksum within the header

  typedef struct packed {
    logic [PacketWords-1:0]    en;
    logic [16*PacketWords-1:0] words;
  } edits_t;

  // Edits by their place in the IPv4 packet
  // verilator lint_off UNUSEDSIGNAL
  function automatic edits_t edits_of(input verdict_t v);
    logic [L4Words-1:0]    en;
    logic [16*L4Words-1:0] words;
    logic [15:0]           csum;

    // Layer 4: TCP, UDP or ICMP in words 0 to 8; embedded IPv4 from word 4, its layer 4 from word 14, whose checksum
    // is its word 3 (UDP) or 8 (TCP). Only a header without options comes before an embedded packet.
    en               = '0;
    words            = '0;
    csum             = be16(v.l4_csum);
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
    edits_of.words            = (16*PacketWords)'(words) << {v.ihl, 5'b0};
    edits_of.en[5:4]          = 2'b11;
    edits_of.en[7:6]          = {2{v.sip_en}};
    edits_of.en[9:8]          = {2{v.dip_en}};
    edits_of.words[16*4+:16]  = be16(v.ttl_proto);
    edits_of.words[16*5+:16]  = be16(v.ip_csum);
    edits_of.words[16*6+:32]  = be32(v.sip);
    edits_of.words[16*8+:32]  = be32(v.dip);
  endfunction

  // Length of the outer IPv4 packet
  function automatic logic [15:0] outer_len(input verdict_t v);
    outer_len = v.ip_len + (v.encap == EncapGre ? 16'(GreOverhead) : 16'(UdpOverhead));
  endfunction

  // Sum of the outer IPv4 header's words
  function automatic logic [18:0] outer_sum(input verdict_t v);
    outer_sum = 19'h4500 + 19'({8'(OuterTtl), v.encap == EncapGre ? ProtoGre : ProtoUdp}) + 19'(outer_len(v)) +
                19'(v.outer_id) + 19'(v.outer_sip[31:16]) + 19'(v.outer_sip[15:0]) + 19'(v.outer_dip[31:16]) +
                19'(v.outer_dip[15:0]);
  endfunction

  // The frame's plan but for the outer checksum
  function automatic frame_plan_t frame_of(input verdict_t v);
    logic [HeaderBits-1:0]     header;
    logic [32*HeaderWords-1:0] padded, turned;
    logic [6:0]                header_len;
    logic signed [7:0]         delta;

    unique case (v.encap)
      EncapUdp: begin
        header_len = 7'd46;
        header     = {v.dmac, v.smac, 16'h0800,
                      16'h4500, outer_len(v), v.outer_id, 16'h0, 8'(OuterTtl), ProtoUdp, 16'h0, v.outer_sip, v.outer_dip,
                      v.entropy, 16'(MplsUdpPort), v.ip_len + 16'd12, 16'h0,
                      v.label, 3'd0, 1'b1, v.mpls_ttl};
      end
      EncapGre: begin
        header_len = 7'd42;
        header     = {v.dmac, v.smac, 16'h0800,
                      16'h4500, outer_len(v), v.outer_id, 16'h0, 8'(OuterTtl), ProtoGre, 16'h0, v.outer_sip, v.outer_dip,
                      32'h0000_8847,
                      v.label, 3'd0, 1'b1, v.mpls_ttl, 32'h0};
      end
      default: begin
        header_len = 7'd14;
        header     = {v.dmac, v.smac, 16'h0800, 256'h0};
      end
    endcase
    padded = {header, (32*HeaderWords-HeaderBits)'(0)};
    delta  = signed'({1'b0, header_len}) - signed'({1'b0, v.strip});

    frame_of.route.dst         = v.dst;
    frame_of.route.out_vif     = v.out_vif;
    frame_of.route.meta.reason = v.trap_reason;
    frame_of.route.meta.vif    = v.in_vif;
    frame_of.route.meta.bytes  = v.frame_len;
    frame_of.raw               = v.raw;
    frame_of.encap             = v.encap;
    frame_of.grow              = !v.raw && delta > 8'sd0;
    frame_of.shift             = v.raw ? '0 : 6'(-delta);  // growing: 64 - delta, the same modulo 64
    frame_of.out_len           = v.raw ? v.frame_len : v.ip_len + 16'(header_len);
    for (int w = 0; w < HeaderWords; w++) turned[32*w+:32] = be32(padded[32*(HeaderWords-1-w)+:32]);
    frame_of.header            = HeaderBits'(turned);
  endfunction
  // verilator lint_on UNUSEDSIGNAL

  // P1
  logic        valid1_q, move1, drop_q, outer_q;
  logic [5:0]  strip_q;                      // in words
  edits_t      edits_q;
  frame_plan_t frame_q;
  logic [18:0] sum_q;

  // P2
  logic        valid2_q;
  plan_t       plan_q;
  logic [16:0] sum_fold;
  logic [15:0] outer_csum;

  assign sum_fold   = 17'(sum_q[15:0]) + 17'(sum_q[18:16]);
  assign outer_csum = ~(sum_fold[15:0] + 16'(sum_fold[16]));

  assign move1           = valid1_q && (!valid2_q || plan_ready_i);
  assign verdict_ready_o = !valid1_q || move1;
  assign plan_valid_o    = valid2_q;
  assign plan_o          = plan_q;

  always_ff @(posedge clk_i) begin
    if (verdict_valid_i && verdict_ready_o) begin
      drop_q  <= verdict_i.dst == DstDrop;
      outer_q <= verdict_i.encap == EncapUdp || verdict_i.encap == EncapGre;
      strip_q <= verdict_i.strip[6:1];
      if (!verdict_i.raw) edits_q <= edits_of(verdict_i);
      sum_q   <= outer_sum(verdict_i);
      frame_q <= frame_of(verdict_i);
    end
    if (move1) begin
      plan_q.drop    <= drop_q;
      plan_q.edit_en <= frame_q.raw ? '0 : ($bits(plan_q.edit_en))'(edits_q.en) << strip_q;
      if (!frame_q.raw) plan_q.edit <= WindowBits'(edits_q.words) << {strip_q, 4'b0};
      plan_q.frame   <= frame_q;
      if (outer_q) plan_q.frame.header[8*CsumByte+:16] <= be16(outer_csum);
    end
    if (rst_i) begin
      valid1_q <= 1'b0;
      valid2_q <= 1'b0;
    end else begin
      if (verdict_ready_o) valid1_q <= verdict_valid_i;
      if (move1) valid2_q <= 1'b1;
      else if (plan_ready_i) valid2_q <= 1'b0;
    end
  end

`ifndef SYNTHESIS
  // Edits are words, and a shift within one pair of beats
  a_even : assert property (@(posedge clk_i) disable iff (rst_i)
      verdict_valid_i && verdict_i.dst != DstDrop && !verdict_i.raw |-> !verdict_i.strip[0] && verdict_i.strip < 7'd64);
  a_length : assert property (@(posedge clk_i) disable iff (rst_i)
      verdict_valid_i && verdict_i.dst != DstDrop |-> verdict_i.frame_len <= 16'(FrameMaxBytes) &&
      (verdict_i.raw || 17'(verdict_i.ip_len) + 17'(verdict_i.strip) <= 17'(verdict_i.frame_len)));
`endif

endmodule
