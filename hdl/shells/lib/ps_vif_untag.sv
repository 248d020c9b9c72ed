// Finds out the vif of a frame from the host: by a service tag (802.1ad, EtherType 0x88a8), which it takes off, else by
// the function that the frame came from.
//
// Rule:       a tag counts only on frames of source 0, the host itself, so that nobody else can claim a vif. Its vif is
//             its VLAN id if that is 1..255, else 0, which the core drops and counts. Without a tag: vif = source + 1.
//             A frame of fewer than 18 bytes is left alone. Priority and drop-eligible bits are ignored.
// Worked example: bytes 0..11 | 88 a8 00 05 | 08 00 ...: 0 + 12 bytes, then 08 00 ..., vif 5, four bytes shorter.
// Handshake:  output registered; ready runs backwards, never to a valid. vif valid on all beats.
// Latency:    1 cycle; 2 for a frame with a tag and more than one beat. One beat a cycle; a tagged frame of n > 1 beats whose last
//             has more than 4 bytes costs one cycle more, n + 1.
module ps_vif_untag #(
  parameter int unsigned SourceWidth = 2
) (
  input  logic                   clk_i,
  input  logic                   rst_i,
  input  logic [511:0]           s_data_i,
  input  logic [63:0]            s_keep_i,
  input  logic                   s_last_i,
  input  logic [SourceWidth-1:0] s_source_i,   // valid on the first beat
  input  logic                   s_valid_i,
  output logic                   s_ready_o,
  output logic [511:0]           m_data_o,
  output logic [63:0]            m_keep_o,
  output logic                   m_last_o,
  output logic [7:0]             m_vif_o,
  output logic                   m_valid_o,
  input  logic                   m_ready_i
);

  localparam int unsigned CarryBytes = 60;

  logic                    first_q, tagged_q, flush_q, out_valid_q, out_free, take, has_tag, is_tag;
  logic [8*CarryBytes-1:0] carry_q, head;
  logic [CarryBytes-1:0]   carry_keep_q, head_keep;
  logic [11:0]             vlan;
  logic [7:0]              vif;

  assign is_tag  = s_data_i[8*12 +: 16] == 16'ha888 && s_source_i == '0 && s_keep_i[17];
  assign vlan    = {s_data_i[8*14 +: 4], s_data_i[8*15 +: 8]};
  assign has_tag = first_q ? is_tag : tagged_q;

  always_comb begin
    if (!is_tag) vif = 8'(s_source_i) + 8'd1;
    else vif = vlan[11:8] == 4'd0 ? vlan[7:0] : 8'd0;
  end

  // The first beat without its tag.
  assign head      = {s_data_i[511:128], s_data_i[95:0]};
  assign head_keep = {s_keep_i[63:16], s_keep_i[11:0]};

  assign out_free  = !out_valid_q || m_ready_i;
  assign s_ready_o = out_free && !flush_q;
  assign take      = s_valid_i && s_ready_o;
  assign m_valid_o = out_valid_q;

  always_ff @(posedge clk_i) begin
    if (out_free) begin
      if (flush_q) begin
        m_data_o <= {32'd0, carry_q};
        m_keep_o <= {4'd0, carry_keep_q};
        m_last_o <= 1'b1;
      end else if (!has_tag) begin
        m_data_o <= s_data_i;
        m_keep_o <= s_keep_i;
        m_last_o <= s_last_i;
      end else if (first_q) begin
        m_data_o <= {32'd0, head};
        m_keep_o <= {4'd0, head_keep};
        m_last_o <= 1'b1;
      end else begin
        m_data_o <= {s_data_i[31:0], carry_q};
        m_keep_o <= {s_keep_i[3:0], {CarryBytes{1'b1}}};
        m_last_o <= s_last_i && !s_keep_i[4];
      end
    end
    if (take) begin
      carry_q      <= first_q ? head : s_data_i[511:32];
      carry_keep_q <= s_keep_i[63:4];
      if (first_q) m_vif_o <= vif;
    end
    if (rst_i) begin
      first_q     <= 1'b1;
      tagged_q    <= 1'b0;
      flush_q     <= 1'b0;
      out_valid_q <= 1'b0;
    end else begin
      if (out_free) begin
        flush_q     <= 1'b0;
        // The head of a longer frame waits for the bytes that complete its beat.
        out_valid_q <= flush_q || (s_valid_i && !(has_tag && first_q && !s_last_i));
      end
      if (take) begin
        first_q  <= s_last_i;
        tagged_q <= has_tag;
        if (has_tag && !first_q && s_last_i && s_keep_i[4]) flush_q <= 1'b1;
      end
    end
  end

  ps_stream_sva #(
    .UserWidth(8)
  ) u_sva (
    .clk_i,
    .rst_i,
    .data_i (m_data_o),
    .keep_i (m_keep_o),
    .last_i (m_last_o),
    .user_i (m_vif_o),
    .valid_i(m_valid_o),
    .ready_i(m_ready_i)
  );

endmodule
