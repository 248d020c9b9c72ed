// Carries AXI4-Lite accesses from the clock of a shell's control bus to the clock of the core.
//
// Contract:   one read and one write at a time, independent of each other. A write is taken when its address and
//             data are both there. Responses are handed back as they are.
// Crossing:   four-phase-free toggle handshake: what crosses (address, data, response) stands still from before its
//             toggle is seen until the answer's toggle is, so only the two toggles a direction need synchronisers. Timing constraint:
//             a maximal delay of one period of the receiving clock from every *_q that crosses.
// Latency:    3 cycles of m_clk_i and 3 of s_clk_i, and the access itself.
// Reset:      s_rst_i and m_rst_i, each synchronous to its clock, must overlap; an access under way is lost.
// Hang:       while m_clk_i stands still an access is not answered.
module ps_axil_cdc #(
  parameter int unsigned AddrWidth = 17
) (
  input  logic                 s_clk_i,
  input  logic                 s_rst_i,
  input  logic [AddrWidth-1:0] s_awaddr_i,
  input  logic                 s_awvalid_i,
  output logic                 s_awready_o,
  input  logic [31:0]          s_wdata_i,
  input  logic [3:0]           s_wstrb_i,
  input  logic                 s_wvalid_i,
  output logic                 s_wready_o,
  output logic [1:0]           s_bresp_o,
  output logic                 s_bvalid_o,
  input  logic                 s_bready_i,
  input  logic [AddrWidth-1:0] s_araddr_i,
  input  logic                 s_arvalid_i,
  output logic                 s_arready_o,
  output logic [31:0]          s_rdata_o,
  output logic [1:0]           s_rresp_o,
  output logic                 s_rvalid_o,
  input  logic                 s_rready_i,

  input  logic                 m_clk_i,
  input  logic                 m_rst_i,
  output logic [AddrWidth-1:0] m_awaddr_o,
  output logic                 m_awvalid_o,
  input  logic                 m_awready_i,
  output logic [31:0]          m_wdata_o,
  output logic [3:0]           m_wstrb_o,
  output logic                 m_wvalid_o,
  input  logic                 m_wready_i,
  input  logic [1:0]           m_bresp_i,
  input  logic                 m_bvalid_i,
  output logic                 m_bready_o,
  output logic [AddrWidth-1:0] m_araddr_o,
  output logic                 m_arvalid_o,
  input  logic                 m_arready_i,
  input  logic [31:0]          m_rdata_i,
  input  logic [1:0]           m_rresp_i,
  input  logic                 m_rvalid_i,
  output logic                 m_rready_o
);

  // --- s_clk_i: takes requests, hands answers back
  logic                 wr_busy_q, rd_busy_q, wr_req_q, rd_req_q, wr_seen_q, rd_seen_q;
  logic [AddrWidth-1:0] awaddr_q, araddr_q;
  logic [31:0]          wdata_q;
  logic [3:0]           wstrb_q;
  logic                 wr_ack, rd_ack;      // toggles of m_clk_i, synchronised
  logic                 bvalid_q, rvalid_q;
  logic [1:0]           bresp_q, rresp_q;    // m_clk_i
  logic [31:0]          rdata_q;             // m_clk_i

  assign s_awready_o = s_awvalid_i && s_wvalid_i && !wr_busy_q;
  assign s_wready_o  = s_awready_o;
  assign s_arready_o = !rd_busy_q;
  assign s_bvalid_o  = bvalid_q;
  assign s_rvalid_o  = rvalid_q;
  assign s_bresp_o   = bresp_q;
  assign s_rresp_o   = rresp_q;
  assign s_rdata_o   = rdata_q;

  always_ff @(posedge s_clk_i) begin
    if (s_awready_o) begin
      awaddr_q <= s_awaddr_i;
      wdata_q  <= s_wdata_i;
      wstrb_q  <= s_wstrb_i;
    end
    if (s_arvalid_i && s_arready_o) araddr_q <= s_araddr_i;
    if (s_rst_i) begin
      wr_busy_q <= 1'b1;  // nothing is taken in reset
      rd_busy_q <= 1'b1;
      wr_req_q  <= 1'b0;
      rd_req_q  <= 1'b0;
      wr_seen_q <= 1'b0;
      rd_seen_q <= 1'b0;
      bvalid_q  <= 1'b0;
      rvalid_q  <= 1'b0;
    end else begin
      wr_seen_q <= wr_ack;
      rd_seen_q <= rd_ack;
      if (s_awready_o) wr_req_q <= !wr_req_q;
      if (s_arvalid_i && s_arready_o) rd_req_q <= !rd_req_q;
      bvalid_q  <= (wr_ack != wr_seen_q) || (bvalid_q && !s_bready_i);
      rvalid_q  <= (rd_ack != rd_seen_q) || (rvalid_q && !s_rready_i);
      // Idle: every request has been answered and every answer has been taken.
      wr_busy_q <= s_awready_o || wr_req_q != wr_seen_q || (bvalid_q && !s_bready_i);
      rd_busy_q <= (s_arvalid_i && s_arready_o) || rd_req_q != rd_seen_q || (rvalid_q && !s_rready_i);
    end
  end

  ps_sync u_wr_ack (
    .clk_i(s_clk_i),
    .d_i  (wr_ack_q),
    .q_o  (wr_ack)
  );

  ps_sync u_rd_ack (
    .clk_i(s_clk_i),
    .d_i  (rd_ack_q),
    .q_o  (rd_ack)
  );

  // --- m_clk_i: carries requests out
  logic wr_req, rd_req, wr_ack_q, rd_ack_q, aw_q, w_q, b_q, ar_q, r_q;

  ps_sync u_wr_req (
    .clk_i(m_clk_i),
    .d_i  (wr_req_q),
    .q_o  (wr_req)
  );

  ps_sync u_rd_req (
    .clk_i(m_clk_i),
    .d_i  (rd_req_q),
    .q_o  (rd_req)
  );

  assign m_awaddr_o  = awaddr_q;
  assign m_wdata_o   = wdata_q;
  assign m_wstrb_o   = wstrb_q;
  assign m_araddr_o  = araddr_q;
  assign m_awvalid_o = aw_q;
  assign m_wvalid_o  = w_q;
  assign m_bready_o  = b_q;
  assign m_arvalid_o = ar_q;
  assign m_rready_o  = r_q;

  always_ff @(posedge m_clk_i) begin
    if (m_bvalid_i && b_q) bresp_q <= m_bresp_i;
    if (m_rvalid_i && r_q) begin
      rresp_q <= m_rresp_i;
      rdata_q <= m_rdata_i;
    end
    if (m_rst_i) begin
      wr_ack_q <= 1'b0;
      rd_ack_q <= 1'b0;
      aw_q     <= 1'b0;
      w_q      <= 1'b0;
      b_q      <= 1'b0;
      ar_q     <= 1'b0;
      r_q      <= 1'b0;
    end else begin
      if (aw_q && m_awready_i) aw_q <= 1'b0;
      if (w_q && m_wready_i) w_q <= 1'b0;
      if (ar_q && m_arready_i) ar_q <= 1'b0;
      if (wr_req != wr_ack_q && !b_q) begin
        aw_q <= 1'b1;
        w_q  <= 1'b1;
        b_q  <= 1'b1;
      end
      if (b_q && m_bvalid_i) begin
        b_q      <= 1'b0;
        wr_ack_q <= !wr_ack_q;
      end
      if (rd_req != rd_ack_q && !r_q) begin
        ar_q <= 1'b1;
        r_q  <= 1'b1;
      end
      if (r_q && m_rvalid_i) begin
        r_q      <= 1'b0;
        rd_ack_q <= !rd_ack_q;
      end
    end
  end

`ifndef SYNTHESIS
  a_write_answered : assert property (@(posedge m_clk_i) disable iff (m_rst_i) b_q && m_bvalid_i |-> !aw_q && !w_q);
  a_read_answered : assert property (@(posedge m_clk_i) disable iff (m_rst_i) r_q && m_rvalid_i |-> !ar_q);

  ps_axil_sva #(
    .AddrWidth(AddrWidth)
  ) u_sva_s (
    .clk_i    (s_clk_i),
    .rst_i    (s_rst_i),
    .awaddr_i (s_awaddr_i),
    .awvalid_i(s_awvalid_i),
    .awready_i(s_awready_o),
    .wdata_i  (s_wdata_i),
    .wstrb_i  (s_wstrb_i),
    .wvalid_i (s_wvalid_i),
    .wready_i (s_wready_o),
    .bresp_i  (s_bresp_o),
    .bvalid_i (s_bvalid_o),
    .bready_i (s_bready_i),
    .araddr_i (s_araddr_i),
    .arvalid_i(s_arvalid_i),
    .arready_i(s_arready_o),
    .rdata_i  (s_rdata_o),
    .rresp_i  (s_rresp_o),
    .rvalid_i (s_rvalid_o),
    .rready_i (s_rready_i)
  );

  ps_axil_sva #(
    .AddrWidth(AddrWidth)
  ) u_sva_m (
    .clk_i    (m_clk_i),
    .rst_i    (m_rst_i),
    .awaddr_i (m_awaddr_o),
    .awvalid_i(m_awvalid_o),
    .awready_i(m_awready_i),
    .wdata_i  (m_wdata_o),
    .wstrb_i  (m_wstrb_o),
    .wvalid_i (m_wvalid_o),
    .wready_i (m_wready_i),
    .bresp_i  (m_bresp_i),
    .bvalid_i (m_bvalid_i),
    .bready_i (m_bready_o),
    .araddr_i (m_araddr_o),
    .arvalid_i(m_arvalid_o),
    .arready_i(m_arready_i),
    .rdata_i  (m_rdata_i),
    .rresp_i  (m_rresp_i),
    .rvalid_i (m_rvalid_i),
    .rready_i (m_rready_o)
  );
`endif

endmodule
