// Tells the host the vif of a frame: by the function for the first Direct vifs, else by a service tag (802.1ad,
// EtherType 0x88a8, VLAN id = vif) and function 0. The reverse of ps_vif_untag.
//
// Worked example, Direct = 1: a frame for vif 5 leaves by function 0 as bytes 0..11 | 88 a8 00 05 | the rest, four bytes
// longer; a frame for vif 1 leaves by function 0 unchanged.
// Handshake:  output registered; ready runs backwards, never to a valid. Function valid on all beats.
// Latency:    1 cycle. One beat a cycle; a tagged frame whose last beat has more than 60 bytes costs one cycle more.
// Condition:  frames have 14 bytes or more (the core drops shorter ones).
module ps_vif_tag #(
  parameter int unsigned Direct        = 1,
  parameter int unsigned FunctionWidth = 2
) (
  input  logic                     clk_i,
  input  logic                     rst_i,
  input  logic [511:0]             s_data_i,
  input  logic [63:0]              s_keep_i,
  input  logic                     s_last_i,
  input  logic [7:0]               s_vif_i,        // valid on the first beat
  input  logic                     s_valid_i,
  output logic                     s_ready_o,
  output logic [511:0]             m_data_o,
  output logic [63:0]              m_keep_o,
  output logic                     m_last_o,
  output logic [FunctionWidth-1:0] m_function_o,
  output logic                     m_valid_o,
  input  logic                     m_ready_i
);

  logic        first_q, tagged_q, flush_q, out_valid_q, out_free, take, has_tag;
  logic [31:0] carry_q;
  logic [3:0]  carry_keep_q;

  assign has_tag   = first_q ? s_vif_i > 8'(Direct) : tagged_q;
  assign out_free  = !out_valid_q || m_ready_i;
  assign s_ready_o = out_free && !flush_q;
  assign take      = s_valid_i && s_ready_o;
  assign m_valid_o = out_valid_q;

  always_ff @(posedge clk_i) begin
    if (out_free) begin
      if (flush_q) begin
        m_data_o <= {480'd0, carry_q};
        m_keep_o <= {60'd0, carry_keep_q};
        m_last_o <= 1'b1;
      end else if (!has_tag) begin
        m_data_o <= s_data_i;
        m_keep_o <= s_keep_i;
        m_last_o <= s_last_i;
      end else if (first_q) begin
        m_data_o <= {s_data_i[479:96], s_vif_i, 8'd0, 16'ha888, s_data_i[95:0]};
        m_keep_o <= {s_keep_i[59:0], 4'hf};
        m_last_o <= s_last_i && !s_keep_i[60];
      end else begin
        m_data_o <= {s_data_i[479:0], carry_q};
        m_keep_o <= {s_keep_i[59:0], 4'hf};
        m_last_o <= s_last_i && !s_keep_i[60];
      end
    end
    if (take) begin
      carry_q      <= s_data_i[511:480];
      carry_keep_q <= s_keep_i[63:60];
      if (first_q) m_function_o <= has_tag ? '0 : FunctionWidth'(s_vif_i - 8'd1);
    end
    if (rst_i) begin
      first_q     <= 1'b1;
      tagged_q    <= 1'b0;
      flush_q     <= 1'b0;
      out_valid_q <= 1'b0;
    end else begin
      if (out_free) begin
        flush_q     <= 1'b0;
        out_valid_q <= flush_q || s_valid_i;
      end
      if (take) begin
        first_q  <= s_last_i;
        tagged_q <= has_tag;
        if (has_tag && s_last_i && s_keep_i[60]) flush_q <= 1'b1;
      end
    end
  end

  ps_stream_sva #(
    .UserWidth(FunctionWidth)
  ) u_sva (
    .clk_i,
    .rst_i,
    .data_i (m_data_o),
    .keep_i (m_keep_o),
    .last_i (m_last_o),
    .user_i (m_function_o),
    .valid_i(m_valid_o),
    .ready_i(m_ready_i)
  );

endmodule
