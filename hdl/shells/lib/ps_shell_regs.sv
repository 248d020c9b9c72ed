// The shell's own registers, in front of the core's: what a wrapper drops is counted here, so that no drop is silent.
//
// Addresses:  bit 16 clear: the access goes to the core (64 KiB) as it is. Bit 16 set: answered here, low byte of the address:
//             0x00 R  identity 0x5053_5348      0x04 R  Kind: 1 OpenNIC 250 MHz, 2 OpenNIC 322 MHz, 3 Corundum
//             0x08 R  frames dropped on the way to the core   0x0c R  on the way from it   (32 bit, saturating)
//             others read as 0; writes are answered and ignored.
// Contract:   AXI4-Lite, one read and one write at a time, as ps_csr. The paths to the core are combinational.
// Reset:      rst_i also zeroes the counters; nothing else does.
module ps_shell_regs #(
  parameter logic [31:0] Kind = 32'd0
) (
  input  logic        clk_i,
  input  logic        rst_i,
  input  logic        drop_in_i,    // pulse
  input  logic        drop_out_i,   // pulse

  input  logic [16:0] s_awaddr_i,
  input  logic        s_awvalid_i,
  output logic        s_awready_o,
  input  logic [31:0] s_wdata_i,
  input  logic [3:0]  s_wstrb_i,
  input  logic        s_wvalid_i,
  output logic        s_wready_o,
  output logic [1:0]  s_bresp_o,
  output logic        s_bvalid_o,
  input  logic        s_bready_i,
  input  logic [16:0] s_araddr_i,
  input  logic        s_arvalid_i,
  output logic        s_arready_o,
  output logic [31:0] s_rdata_o,
  output logic [1:0]  s_rresp_o,
  output logic        s_rvalid_o,
  input  logic        s_rready_i,

  output logic [15:0] m_awaddr_o,
  output logic        m_awvalid_o,
  input  logic        m_awready_i,
  output logic [31:0] m_wdata_o,
  output logic [3:0]  m_wstrb_o,
  output logic        m_wvalid_o,
  input  logic        m_wready_i,
  input  logic [1:0]  m_bresp_i,
  input  logic        m_bvalid_i,
  output logic        m_bready_o,
  output logic [15:0] m_araddr_o,
  output logic        m_arvalid_o,
  input  logic        m_arready_i,
  input  logic [31:0] m_rdata_i,
  input  logic [1:0]  m_rresp_i,
  input  logic        m_rvalid_i,
  output logic        m_rready_o
);

  localparam logic [31:0] Identity = 32'h5053_5348;

  logic        own_write, own_read, bvalid_q, rvalid_q, core_write_q, core_read_q;
  logic [31:0] rdata_q, drops_in_q, drops_out_q;

  // Own accesses wait until the core has answered, so that responses stay in order.
  assign own_write   = s_awvalid_i && s_wvalid_i && s_awaddr_i[16] && !bvalid_q && !core_write_q;
  assign own_read    = s_arvalid_i && s_araddr_i[16] && !rvalid_q && !core_read_q;
  assign m_awvalid_o = s_awvalid_i && s_wvalid_i && !s_awaddr_i[16] && !bvalid_q;
  assign m_wvalid_o  = m_awvalid_o;
  assign m_arvalid_o = s_arvalid_i && !s_araddr_i[16] && !rvalid_q;
  assign s_awready_o = own_write || (m_awvalid_o && m_awready_i && m_wready_i);
  assign s_wready_o  = s_awready_o;
  assign s_arready_o = own_read || (m_arvalid_o && m_arready_i);

  assign m_awaddr_o = s_awaddr_i[15:0];
  assign m_wdata_o  = s_wdata_i;
  assign m_wstrb_o  = s_wstrb_i;
  assign m_araddr_o = s_araddr_i[15:0];
  assign m_bready_o = s_bready_i;
  assign m_rready_o = s_rready_i;

  assign s_bvalid_o = bvalid_q || m_bvalid_i;
  assign s_bresp_o  = bvalid_q ? 2'b00 : m_bresp_i;
  assign s_rvalid_o = rvalid_q || m_rvalid_i;
  assign s_rresp_o  = rvalid_q ? 2'b00 : m_rresp_i;
  assign s_rdata_o  = rvalid_q ? rdata_q : m_rdata_i;

  always_ff @(posedge clk_i) begin
    if (own_read) begin
      unique case (s_araddr_i[7:0])
        8'h00:   rdata_q <= Identity;
        8'h04:   rdata_q <= Kind;
        8'h08:   rdata_q <= drops_in_q;
        8'h0c:   rdata_q <= drops_out_q;
        default: rdata_q <= '0;
      endcase
    end
    if (rst_i) begin
      bvalid_q     <= 1'b0;
      rvalid_q     <= 1'b0;
      core_write_q <= 1'b0;
      core_read_q  <= 1'b0;
      drops_in_q   <= '0;
      drops_out_q  <= '0;
    end else begin
      bvalid_q     <= own_write || (bvalid_q && !s_bready_i);
      rvalid_q     <= own_read || (rvalid_q && !s_rready_i);
      core_write_q <= (m_awvalid_o && m_awready_i) || (core_write_q && !(m_bvalid_i && s_bready_i));
      core_read_q  <= (m_arvalid_o && m_arready_i) || (core_read_q && !(m_rvalid_i && s_rready_i));
      if (drop_in_i && drops_in_q != '1) drops_in_q <= drops_in_q + 32'd1;
      if (drop_out_i && drops_out_q != '1) drops_out_q <= drops_out_q + 32'd1;
    end
  end

`ifndef SYNTHESIS
  a_one_write : assert property (@(posedge clk_i) disable iff (rst_i) !(bvalid_q && m_bvalid_i));
  a_one_read : assert property (@(posedge clk_i) disable iff (rst_i) !(rvalid_q && m_rvalid_i));
  // ps_csr takes address and data together.
  a_together : assert property (@(posedge clk_i) disable iff (rst_i) m_awvalid_o |-> m_awready_i == m_wready_i);

  ps_axil_sva #(
    .AddrWidth(17)
  ) u_sva_s (
    .clk_i,
    .rst_i,
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
`endif

endmodule
