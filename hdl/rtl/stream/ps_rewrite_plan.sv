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
  localparam int unsigned L4Words = 18;
  localparam int unsigned UdpOverhead = 32;  // outer IPv4 (20), UDP (8), MPLS (4)
  localparam int unsigned GreOverhead = 28;
  localparam int unsigned CsumByte = 24;     // of the outer checksum within the header

  // Words as they lie in a beat
  function automatic logic [15:0] w16(input logic [15:0] value);
    w16 = {value[7:0], value[15:8]};
  endfunction

  function automatic logic [31:0] w32(input logic [31:0] value);
    w32 = {value[7:0], value[15:8], value[23:16], value[31:24]};
  endfunction

  // P1
  logic                      valid1_q, move1, drop_q, outer_q;
  logic [5:0]                strip_q;        // in words
  logic [PacketWords-1:0]    en_d, en_q;
  logic [16*PacketWords-1:0] edit_d, edit_q;
  logic [L4Words-1:0]        l4_en;
  logic [16*L4Words-1:0]     l4_edit;
  frame_plan_t               frame_d, frame_q;
  logic [HeaderBits-1:0]     header_be;
  logic [15:0]               outer_len;
  logic [18:0]               sum_d, sum_q;
  logic [6:0]                header_len;
  logic signed [7:0]         delta;

  always_comb begin
    l4_en   = '0;
    l4_edit = '0;
    // Layer 4: TCP, UDP or ICMP in words 0 to 8; embedded IPv4 from word 4, its layer 4 from word 14
    l4_en[0]             = verdict_i.sport_en;
    l4_edit[16*0+:16]    = w16(verdict_i.sport);
    l4_en[1]             = verdict_i.dport_en;
    l4_edit[16*1+:16]    = w16(verdict_i.dport);
    l4_en[13:9]          = {5{verdict_i.emb_en}};
    l4_edit[16*9+:16]    = w16(verdict_i.emb_ip_csum);
    l4_edit[16*10+:32]   = w32(verdict_i.emb_sip);
    l4_edit[16*12+:32]   = w32(verdict_i.emb_dip);
    l4_en[14]            = verdict_i.emb_sport_en;
    l4_edit[16*14+:16]   = w16(verdict_i.emb_sport);
    l4_en[15]            = verdict_i.emb_dport_en;
    l4_edit[16*15+:16]   = w16(verdict_i.emb_dport);
    l4_en[17]            = verdict_i.emb_udp_csum_en;
    l4_edit[16*17+:16]   = w16(verdict_i.emb_udp_csum);
    if (verdict_i.l4_csum_en) begin
      unique case (verdict_i.l4_csum_word)
        4'd1: begin
          l4_en[1]          = 1'b1;
          l4_edit[16*1+:16] = w16(verdict_i.l4_csum);
        end
        4'd3: begin
          l4_en[3]          = 1'b1;
          l4_edit[16*3+:16] = w16(verdict_i.l4_csum);
        end
        default: begin
          l4_en[8]          = 1'b1;
          l4_edit[16*8+:16] = w16(verdict_i.l4_csum);
        end
      endcase
    end

    // IPv4 header: words 4 (TTL, protocol), 5 (checksum), 6 and 7 (source), 8 and 9 (destination)
    en_d                = PacketWords'(l4_en) << {verdict_i.ihl, 1'b0};
    edit_d              = (16*PacketWords)'(l4_edit) << {verdict_i.ihl, 5'b0};
    en_d[5:4]           = 2'b11;
    en_d[7:6]           = {2{verdict_i.sip_en}};
    en_d[9:8]           = {2{verdict_i.dip_en}};
    edit_d[16*4+:16]    = w16(verdict_i.ttl_proto);
    edit_d[16*5+:16]    = w16(verdict_i.ip_csum);
    edit_d[16*6+:32]    = w32(verdict_i.sip);
    edit_d[16*8+:32]    = w32(verdict_i.dip);
  end

  always_comb begin
    outer_len = verdict_i.ip_len + (verdict_i.encap == EncapGre ? 16'(GreOverhead) : 16'(UdpOverhead));

    unique case (verdict_i.encap)
      EncapUdp: begin
        header_len = 7'd46;
        header_be  = {verdict_i.dmac, verdict_i.smac, 16'h0800,
                      16'h4500, outer_len, verdict_i.outer_id, 16'h0, 8'(OuterTtl), 8'd17, 16'h0,
                      verdict_i.outer_sip, verdict_i.outer_dip,
                      verdict_i.entropy, 16'(MplsUdpPort), verdict_i.ip_len + 16'd12, 16'h0,
                      verdict_i.label, 3'd0, 1'b1, verdict_i.mpls_ttl};
      end
      EncapGre: begin
        header_len = 7'd42;
        header_be  = {verdict_i.dmac, verdict_i.smac, 16'h0800,
                      16'h4500, outer_len, verdict_i.outer_id, 16'h0, 8'(OuterTtl), 8'd47, 16'h0,
                      verdict_i.outer_sip, verdict_i.outer_dip,
                      32'h0000_8847,
                      verdict_i.label, 3'd0, 1'b1, verdict_i.mpls_ttl, 32'h0};
      end
      default: begin
        header_len = 7'd14;
        header_be  = {verdict_i.dmac, verdict_i.smac, 16'h0800, 256'h0};
      end
    endcase

    sum_d = 19'h4500 + {11'b0, 8'(OuterTtl)} * 19'd256 + (verdict_i.encap == EncapGre ? 19'd47 : 19'd17) +
            19'(outer_len) + 19'(verdict_i.outer_id) + 19'(verdict_i.outer_sip[31:16]) +
            19'(verdict_i.outer_sip[15:0]) + 19'(verdict_i.outer_dip[31:16]) + 19'(verdict_i.outer_dip[15:0]);

    delta = signed'({1'b0, header_len}) - signed'({1'b0, verdict_i.strip});

    frame_d.route.dst         = verdict_i.dst;
    frame_d.route.out_vif     = verdict_i.out_vif;
    frame_d.route.meta.reason = verdict_i.trap_reason;
    frame_d.route.meta.vif    = verdict_i.in_vif;
    frame_d.route.meta.bytes  = verdict_i.frame_len;
    frame_d.raw               = verdict_i.raw;
    frame_d.encap             = verdict_i.encap;
    frame_d.grow              = !verdict_i.raw && delta > 8'sd0;
    frame_d.shift             = verdict_i.raw ? '0 : 6'(-delta);  // growing: 64 - delta, the same mod 64
    frame_d.out_len           = verdict_i.raw ? verdict_i.frame_len : verdict_i.ip_len + 16'(header_len);
    frame_d.header            = {<<8{header_be}};
  end

  // P2
  logic        valid2_q;
  plan_t       plan_d, plan_q;
  logic [16:0] sum_fold;
  logic [15:0] outer_csum;

  assign sum_fold   = 17'(sum_q[15:0]) + 17'(sum_q[18:16]);
  assign outer_csum = ~(sum_fold[15:0] + 16'(sum_fold[16]));

  always_comb begin
    plan_d.drop    = drop_q;
    plan_d.edit_en = frame_q.raw ? '0 : ($bits(plan_d.edit_en))'(en_q) << strip_q;
    plan_d.edit    = WindowBits'(edit_q) << {strip_q, 4'b0};
    plan_d.frame   = frame_q;
    if (outer_q) plan_d.frame.header[8*CsumByte+:16] = w16(outer_csum);
  end

  assign move1           = valid1_q && (!valid2_q || plan_ready_i);
  assign verdict_ready_o = !valid1_q || move1;
  assign plan_valid_o    = valid2_q;
  assign plan_o          = plan_q;

  always_ff @(posedge clk_i) begin
    if (verdict_valid_i && verdict_ready_o) begin
      drop_q  <= verdict_i.dst == DstDrop;
      outer_q <= verdict_i.encap == EncapUdp || verdict_i.encap == EncapGre;
      strip_q <= verdict_i.strip[6:1];
      en_q    <= en_d;
      edit_q  <= edit_d;
      sum_q   <= sum_d;
      frame_q <= frame_d;
    end
    if (move1) plan_q <= plan_d;
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
