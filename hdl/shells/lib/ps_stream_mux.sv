// Takes whole frames from several streams in turn.
//
// Handshake:  output registered; ready runs backwards, never to a valid.
// Latency:    1 cycle; one beat every cycle, also from one frame to the next of another stream.
// Ordering:   round robin at the head of a frame, then held until its last beat. m_source_o is valid on all beats.
module ps_stream_mux #(
  parameter int unsigned Count = 2,
  localparam int unsigned SourceWidth = Count > 1 ? $clog2(Count) : 1
) (
  input  logic                   clk_i,
  input  logic                   rst_i,
  input  logic [Count*512-1:0]   s_data_i,
  input  logic [Count*64-1:0]    s_keep_i,
  input  logic [Count-1:0]       s_last_i,
  input  logic [Count-1:0]       s_valid_i,
  output logic [Count-1:0]       s_ready_o,
  output logic [511:0]           m_data_o,
  output logic [63:0]            m_keep_o,
  output logic                   m_last_o,
  output logic [SourceWidth-1:0] m_source_o,
  output logic                   m_valid_o,
  input  logic                   m_ready_i
);

  logic [Count-1:0]       pick, grant, held_q;
  logic                   locked_q, take, out_free, out_valid_q;
  logic [511:0]           data;
  logic [63:0]            keep;
  logic                   last;
  logic [SourceWidth-1:0] source;

  assign grant     = locked_q ? held_q & s_valid_i : pick;
  assign out_free  = !out_valid_q || m_ready_i;
  assign take      = grant != '0 && out_free;
  assign s_ready_o = out_free ? grant : '0;
  assign m_valid_o = out_valid_q;

  ps_arb_rr #(
    .Count(Count)
  ) u_arb (
    .clk_i,
    .rst_i,
    .req_i    (s_valid_i),
    .advance_i(take && !locked_q),
    .grant_o  (pick)
  );

  always_comb begin
    data   = '0;
    keep   = '0;
    last   = 1'b0;
    source = '0;
    for (int unsigned i = 0; i < Count; i++) begin
      if (grant[i]) begin
        data   = s_data_i[512*i +: 512];
        keep   = s_keep_i[64*i +: 64];
        last   = s_last_i[i];
        source = SourceWidth'(i);
      end
    end
  end

  always_ff @(posedge clk_i) begin
    if (take) begin
      m_data_o   <= data;
      m_keep_o   <= keep;
      m_last_o   <= last;
      m_source_o <= source;
      held_q     <= grant;
    end
    if (rst_i) begin
      locked_q    <= 1'b0;
      out_valid_q <= 1'b0;
    end else begin
      if (take) locked_q <= !last;
      if (out_free) out_valid_q <= take;
    end
  end

  ps_stream_sva #(
    .UserWidth(SourceWidth)
  ) u_sva (
    .clk_i,
    .rst_i,
    .data_i (m_data_o),
    .keep_i (m_keep_o),
    .last_i (m_last_o),
    .user_i (m_source_o),
    .valid_i(m_valid_o),
    .ready_i(m_ready_i)
  );

endmodule
