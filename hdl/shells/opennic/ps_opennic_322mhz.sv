// The card as the plug-in of OpenNIC's 322 MHz user box, between the packet adapter and the MAC: the place where it has
// the clock that carries 100 GbE at every frame size. docs/shells/opennic.md has the port table and the steps.
//
// Follows:    Xilinx/open-nic-shell 940907f (2025-01): ports below the first rule are the box's, by name and width.
// Streams:    port 0: adap_tx (from the host) -> vif -> core -> tag -> adap_rx (to the host), which cannot wait: the adapter
//             drops and counts. cmac_rx, which cannot wait -> ps_frame_store, which drops whole frames, and bad ones, and counts
//             (ps_shell_regs) -> core -> store, padding to 60 bytes, no gaps -> cmac_tx. Other ports pass through.
// vif:        the box's streams name no function: vif 1 as it is, others under a service tag (ps_vif_untag, ps_vif_tag).
// Control:    AXI-Lite at axil_aclk, 128 KiB: the core's 64 KiB at 0, ps_shell_regs at 0x10000.
// DMA:        the box has none: m_axib_* at cmac_clk[0] goes through an AXI clock converter to the QDMA, by a change to
//             the shell; interrupts and function-level reset cross here to axis_aclk, which the box does not have either.
// Clocks:     cmac_clk[0] (322.265625 MHz) for the core and its streams; axil_aclk (125 MHz) for control and resets; the
//             shell's own asynchronous FIFOs in the packet adapter carry the frames to 250 MHz.
// Not run:    never synthesised, never on hardware.
module ps_opennic_322mhz #(
  parameter int unsigned NUM_CMAC_PORT = 1,
  parameter int unsigned CONTROL_FUNC  = 0,   // function whose driver owns the card: DMA, interrupts, function-level reset
  parameter int unsigned FIRST_VECTOR  = 0,   // MSI-X vector of the core's irq 0
  parameter int unsigned FW_DIVIDE     = 5,
  parameter FW_FILE = ""  // the soft core's image, penstock-fw.hex, for synthesis
) (
  // --------------------------------------------------------------- of the box
  input  logic                         s_axil_awvalid,
  input  logic [31:0]                  s_axil_awaddr,
  output logic                         s_axil_awready,
  input  logic                         s_axil_wvalid,
  input  logic [31:0]                  s_axil_wdata,
  output logic                         s_axil_wready,
  output logic                         s_axil_bvalid,
  output logic [1:0]                   s_axil_bresp,
  input  logic                         s_axil_bready,
  input  logic                         s_axil_arvalid,
  input  logic [31:0]                  s_axil_araddr,
  output logic                         s_axil_arready,
  output logic                         s_axil_rvalid,
  output logic [31:0]                  s_axil_rdata,
  output logic [1:0]                   s_axil_rresp,
  input  logic                         s_axil_rready,

  input  logic [NUM_CMAC_PORT-1:0]     s_axis_adap_tx_322mhz_tvalid,
  input  logic [512*NUM_CMAC_PORT-1:0] s_axis_adap_tx_322mhz_tdata,
  input  logic [64*NUM_CMAC_PORT-1:0]  s_axis_adap_tx_322mhz_tkeep,
  input  logic [NUM_CMAC_PORT-1:0]     s_axis_adap_tx_322mhz_tlast,
  input  logic [NUM_CMAC_PORT-1:0]     s_axis_adap_tx_322mhz_tuser_err,
  output logic [NUM_CMAC_PORT-1:0]     s_axis_adap_tx_322mhz_tready,

  output logic [NUM_CMAC_PORT-1:0]     m_axis_adap_rx_322mhz_tvalid,
  output logic [512*NUM_CMAC_PORT-1:0] m_axis_adap_rx_322mhz_tdata,
  output logic [64*NUM_CMAC_PORT-1:0]  m_axis_adap_rx_322mhz_tkeep,
  output logic [NUM_CMAC_PORT-1:0]     m_axis_adap_rx_322mhz_tlast,
  output logic [NUM_CMAC_PORT-1:0]     m_axis_adap_rx_322mhz_tuser_err,

  output logic [NUM_CMAC_PORT-1:0]     m_axis_cmac_tx_tvalid,
  output logic [512*NUM_CMAC_PORT-1:0] m_axis_cmac_tx_tdata,
  output logic [64*NUM_CMAC_PORT-1:0]  m_axis_cmac_tx_tkeep,
  output logic [NUM_CMAC_PORT-1:0]     m_axis_cmac_tx_tlast,
  output logic [NUM_CMAC_PORT-1:0]     m_axis_cmac_tx_tuser_err,
  input  logic [NUM_CMAC_PORT-1:0]     m_axis_cmac_tx_tready,

  input  logic [NUM_CMAC_PORT-1:0]     s_axis_cmac_rx_tvalid,
  input  logic [512*NUM_CMAC_PORT-1:0] s_axis_cmac_rx_tdata,
  input  logic [64*NUM_CMAC_PORT-1:0]  s_axis_cmac_rx_tkeep,
  input  logic [NUM_CMAC_PORT-1:0]     s_axis_cmac_rx_tlast,
  input  logic [NUM_CMAC_PORT-1:0]     s_axis_cmac_rx_tuser_err,

  input  logic                         mod_rstn,
  output logic                         mod_rst_done,
  input  logic                         axil_aclk,
  input  logic [NUM_CMAC_PORT-1:0]     cmac_clk,

  // --------------------------------------------------------------- to the QDMA, through a clock converter (cmac_clk[0])
  output logic [3:0]                   m_axib_awid,
  output logic [63:0]                  m_axib_awaddr,
  output logic [7:0]                   m_axib_awuser,     // function
  output logic [7:0]                   m_axib_awlen,
  output logic [2:0]                   m_axib_awsize,
  output logic [1:0]                   m_axib_awburst,
  output logic                         m_axib_awvalid,
  input  logic                         m_axib_awready,
  output logic [511:0]                 m_axib_wdata,
  output logic [63:0]                  m_axib_wstrb,
  output logic                         m_axib_wlast,
  output logic                         m_axib_wvalid,
  input  logic                         m_axib_wready,
  input  logic [1:0]                   m_axib_bresp,
  input  logic                         m_axib_bvalid,
  output logic                         m_axib_bready,
  output logic [3:0]                   m_axib_arid,
  output logic [63:0]                  m_axib_araddr,
  output logic [7:0]                   m_axib_aruser,     // function
  output logic [7:0]                   m_axib_arlen,
  output logic [2:0]                   m_axib_arsize,
  output logic [1:0]                   m_axib_arburst,
  output logic                         m_axib_arvalid,
  input  logic                         m_axib_arready,
  input  logic [511:0]                 m_axib_rdata,
  input  logic [1:0]                   m_axib_rresp,
  input  logic                         m_axib_rlast,
  input  logic                         m_axib_rvalid,
  output logic                         m_axib_rready,

  // --------------------------------------------------------------- to the QDMA (axis_aclk)
  input  logic                         axis_aclk,
  output logic                         usr_irq_in_vld,
  output logic [10:0]                  usr_irq_in_vec,
  output logic [7:0]                   usr_irq_in_fnc,
  input  logic                         usr_irq_out_ack,
  input  logic                         usr_irq_out_fail,

  input  logic                         usr_flr_set,
  input  logic [7:0]                   usr_flr_fnc,
  output logic                         usr_flr_done_vld,
  output logic [7:0]                   usr_flr_done_fnc
);

  localparam int unsigned MinBytes = 60;             // what the MAC needs: 64 with the FCS that it adds
  localparam logic [2:0]  Size64   = 3'd6;
  localparam logic [1:0]  Incr     = 2'b01;

  // A frame of the host is never marked bad; the core knows what the shell says besides.
  logic unused_shell;
  assign unused_shell = ^{s_axis_adap_tx_322mhz_tuser_err[0], s_axil_awaddr[31:17], s_axil_araddr[31:17]};

  // --- Resets and clocks
  logic core_clk, axil_rst, rst, axis_rst, clk_fw, fw_active, idle, flr;

  assign core_clk = cmac_clk[0];

  ps_shell_reset u_reset (
    .clk_i         (axil_aclk),
    .mod_rstn_i    (mod_rstn),
    .mod_rst_done_o(mod_rst_done),
    .rst_o         (axil_rst),
    .core_clk_i    (core_clk),
    .core_rst_o    (rst)
  );

  ps_sync u_axis_rst (
    .clk_i(axis_aclk),
    .d_i  (axil_rst),
    .q_o  (axis_rst)
  );

  ps_clk_fw #(
    .Divide(FW_DIVIDE)
  ) u_clk_fw (
    .clk_i   (core_clk),
    .clk_fw_o(clk_fw)
  );

  // --- Control
  logic [16:0] cdc_awaddr, cdc_araddr;
  logic [15:0] awaddr, araddr;
  logic [31:0] cdc_wdata, cdc_rdata, wdata, rdata;
  logic [3:0]  cdc_wstrb, wstrb;
  logic [1:0]  cdc_bresp, cdc_rresp, bresp, rresp;
  logic        cdc_awvalid, cdc_awready, cdc_wvalid, cdc_wready, cdc_bvalid, cdc_bready;
  logic        cdc_arvalid, cdc_arready, cdc_rvalid, cdc_rready;
  logic        awvalid, awready, wvalid, wready, bvalid, bready, arvalid, arready, rvalid, rready;
  logic        rx_drop, fab_drop;

  ps_axil_cdc u_cdc (
    .s_clk_i    (axil_aclk),
    .s_rst_i    (axil_rst),
    .s_awaddr_i (s_axil_awaddr[16:0]),
    .s_awvalid_i(s_axil_awvalid),
    .s_awready_o(s_axil_awready),
    .s_wdata_i  (s_axil_wdata),
    .s_wstrb_i  (4'hf),
    .s_wvalid_i (s_axil_wvalid),
    .s_wready_o (s_axil_wready),
    .s_bresp_o  (s_axil_bresp),
    .s_bvalid_o (s_axil_bvalid),
    .s_bready_i (s_axil_bready),
    .s_araddr_i (s_axil_araddr[16:0]),
    .s_arvalid_i(s_axil_arvalid),
    .s_arready_o(s_axil_arready),
    .s_rdata_o  (s_axil_rdata),
    .s_rresp_o  (s_axil_rresp),
    .s_rvalid_o (s_axil_rvalid),
    .s_rready_i (s_axil_rready),
    .m_clk_i    (core_clk),
    .m_rst_i    (rst),
    .m_awaddr_o (cdc_awaddr),
    .m_awvalid_o(cdc_awvalid),
    .m_awready_i(cdc_awready),
    .m_wdata_o  (cdc_wdata),
    .m_wstrb_o  (cdc_wstrb),
    .m_wvalid_o (cdc_wvalid),
    .m_wready_i (cdc_wready),
    .m_bresp_i  (cdc_bresp),
    .m_bvalid_i (cdc_bvalid),
    .m_bready_o (cdc_bready),
    .m_araddr_o (cdc_araddr),
    .m_arvalid_o(cdc_arvalid),
    .m_arready_i(cdc_arready),
    .m_rdata_i  (cdc_rdata),
    .m_rresp_i  (cdc_rresp),
    .m_rvalid_i (cdc_rvalid),
    .m_rready_o (cdc_rready)
  );

  ps_shell_regs #(
    .Kind(32'd2)
  ) u_regs (
    .clk_i      (core_clk),
    .rst_i      (rst),
    .drop_in_i  (rx_drop),
    .drop_out_i (fab_drop),
    .s_awaddr_i (cdc_awaddr),
    .s_awvalid_i(cdc_awvalid),
    .s_awready_o(cdc_awready),
    .s_wdata_i  (cdc_wdata),
    .s_wstrb_i  (cdc_wstrb),
    .s_wvalid_i (cdc_wvalid),
    .s_wready_o (cdc_wready),
    .s_bresp_o  (cdc_bresp),
    .s_bvalid_o (cdc_bvalid),
    .s_bready_i (cdc_bready),
    .s_araddr_i (cdc_araddr),
    .s_arvalid_i(cdc_arvalid),
    .s_arready_o(cdc_arready),
    .s_rdata_o  (cdc_rdata),
    .s_rresp_o  (cdc_rresp),
    .s_rvalid_o (cdc_rvalid),
    .s_rready_i (cdc_rready),
    .m_awaddr_o (awaddr),
    .m_awvalid_o(awvalid),
    .m_awready_i(awready),
    .m_wdata_o  (wdata),
    .m_wstrb_o  (wstrb),
    .m_wvalid_o (wvalid),
    .m_wready_i (wready),
    .m_bresp_i  (bresp),
    .m_bvalid_i (bvalid),
    .m_bready_o (bready),
    .m_araddr_o (araddr),
    .m_arvalid_o(arvalid),
    .m_arready_i(arready),
    .m_rdata_i  (rdata),
    .m_rresp_i  (rresp),
    .m_rvalid_i (rvalid),
    .m_rready_o (rready)
  );

  // --- Host to core
  logic [511:0] in_data;
  logic [63:0]  in_keep;
  logic         in_last, in_valid, in_ready;
  logic [7:0]   in_vif;

  ps_vif_untag #(
    .SourceWidth(1)
  ) u_untag (
    .clk_i     (core_clk),
    .rst_i     (rst),
    .s_data_i  (s_axis_adap_tx_322mhz_tdata[511:0]),
    .s_keep_i  (s_axis_adap_tx_322mhz_tkeep[63:0]),
    .s_last_i  (s_axis_adap_tx_322mhz_tlast[0]),
    .s_source_i(1'b0),
    .s_valid_i (s_axis_adap_tx_322mhz_tvalid[0]),
    .s_ready_o (s_axis_adap_tx_322mhz_tready[0]),
    .m_data_o  (in_data),
    .m_keep_o  (in_keep),
    .m_last_o  (in_last),
    .m_vif_o   (in_vif),
    .m_valid_o (in_valid),
    .m_ready_i (in_ready)
  );

  // --- Core to host: never waits
  logic [511:0] out_data;
  logic [63:0]  out_keep;
  logic         out_last, out_valid, out_ready, function_zero;
  logic [7:0]   out_vif;

  ps_vif_tag #(
    .Direct       (1),
    .FunctionWidth(1)
  ) u_tag (
    .clk_i       (core_clk),
    .rst_i       (rst),
    .s_data_i    (out_data),
    .s_keep_i    (out_keep),
    .s_last_i    (out_last),
    .s_vif_i     (out_vif),
    .s_valid_i   (out_valid),
    .s_ready_o   (out_ready),
    .m_data_o    (m_axis_adap_rx_322mhz_tdata[511:0]),
    .m_keep_o    (m_axis_adap_rx_322mhz_tkeep[63:0]),
    .m_last_o    (m_axis_adap_rx_322mhz_tlast[0]),
    .m_function_o(function_zero),
    .m_valid_o   (m_axis_adap_rx_322mhz_tvalid[0]),
    .m_ready_i   (1'b1)
  );

  assign m_axis_adap_rx_322mhz_tuser_err[0] = 1'b0;

  // --- Fabric to core
  logic [511:0] rx_data;
  logic [63:0]  rx_keep;
  logic [15:0]  rx_size, tx_size;
  logic         rx_last, rx_valid, rx_ready, rx_user, tx_user, rx_always;

  ps_frame_store #(
    .Beats(512),
    .Lossy(1'b1)
  ) u_rx_store (
    .clk_i    (core_clk),
    .rst_i    (rst),
    .s_data_i (s_axis_cmac_rx_tdata[511:0]),
    .s_keep_i (s_axis_cmac_rx_tkeep[63:0]),
    .s_last_i (s_axis_cmac_rx_tlast[0]),
    .s_error_i(s_axis_cmac_rx_tuser_err[0]),
    .s_user_i (1'b0),
    .s_valid_i(s_axis_cmac_rx_tvalid[0]),
    .s_ready_o(rx_always),
    .drop_o   (rx_drop),
    .m_data_o (rx_data),
    .m_keep_o (rx_keep),
    .m_last_o (rx_last),
    .m_size_o (rx_size),
    .m_user_o (rx_user),
    .m_valid_o(rx_valid),
    .m_ready_i(rx_ready)
  );

  // --- Core to fabric
  logic [511:0] fab_data;
  logic [63:0]  fab_keep;
  logic         fab_last, fab_valid, fab_ready;

  ps_frame_store #(
    .MinBytes(MinBytes)
  ) u_fab_store (
    .clk_i    (core_clk),
    .rst_i    (rst),
    .s_data_i (fab_data),
    .s_keep_i (fab_keep),
    .s_last_i (fab_last),
    .s_error_i(1'b0),
    .s_user_i (1'b0),
    .s_valid_i(fab_valid),
    .s_ready_o(fab_ready),
    .drop_o   (fab_drop),
    .m_data_o (m_axis_cmac_tx_tdata[511:0]),
    .m_keep_o (m_axis_cmac_tx_tkeep[63:0]),
    .m_last_o (m_axis_cmac_tx_tlast[0]),
    .m_size_o (tx_size),
    .m_user_o (tx_user),
    .m_valid_o(m_axis_cmac_tx_tvalid[0]),
    .m_ready_i(m_axis_cmac_tx_tready[0])
  );

  assign m_axis_cmac_tx_tuser_err[0] = 1'b0;

  logic unused_stores;
  assign unused_stores = ^{rx_size, tx_size, rx_user, tx_user, rx_always};

  // --- Other ports pass through, each in its own clock domain
  if (NUM_CMAC_PORT > 1) begin : g_through
    localparam int unsigned N = NUM_CMAC_PORT;
    logic unused_clocks;
    assign unused_clocks = ^cmac_clk[N-1:1];
    assign m_axis_cmac_tx_tvalid[N-1:1]             = s_axis_adap_tx_322mhz_tvalid[N-1:1];
    assign m_axis_cmac_tx_tdata[512*N-1:512]        = s_axis_adap_tx_322mhz_tdata[512*N-1:512];
    assign m_axis_cmac_tx_tkeep[64*N-1:64]          = s_axis_adap_tx_322mhz_tkeep[64*N-1:64];
    assign m_axis_cmac_tx_tlast[N-1:1]              = s_axis_adap_tx_322mhz_tlast[N-1:1];
    assign m_axis_cmac_tx_tuser_err[N-1:1]          = s_axis_adap_tx_322mhz_tuser_err[N-1:1];
    assign s_axis_adap_tx_322mhz_tready[N-1:1]      = m_axis_cmac_tx_tready[N-1:1];
    assign m_axis_adap_rx_322mhz_tvalid[N-1:1]      = s_axis_cmac_rx_tvalid[N-1:1];
    assign m_axis_adap_rx_322mhz_tdata[512*N-1:512] = s_axis_cmac_rx_tdata[512*N-1:512];
    assign m_axis_adap_rx_322mhz_tkeep[64*N-1:64]   = s_axis_cmac_rx_tkeep[64*N-1:64];
    assign m_axis_adap_rx_322mhz_tlast[N-1:1]       = s_axis_cmac_rx_tlast[N-1:1];
    assign m_axis_adap_rx_322mhz_tuser_err[N-1:1]   = s_axis_cmac_rx_tuser_err[N-1:1];
  end

  // --- Interrupts and function-level reset, at axis_aclk
  logic [2:0] irq, axis_irq;
  logic       flr_set;

  for (genvar i = 0; i < 3; i++) begin : g_irq
    ps_pulse_cdc u_irq (
      .src_clk_i(core_clk),
      .src_rst_i(rst),
      .d_i      (irq[i]),
      .dst_clk_i(axis_aclk),
      .dst_rst_i(axis_rst),
      .q_o      (axis_irq[i])
    );
  end

  ps_irq_request #(
    .FirstVector(FIRST_VECTOR)
  ) u_irq_request (
    .clk_i   (axis_aclk),
    .rst_i   (axis_rst),
    .irq_i   (axis_irq),
    .valid_o (usr_irq_in_vld),
    .vector_o(usr_irq_in_vec),
    .ack_i   (usr_irq_out_ack || usr_irq_out_fail)
  );

  assign usr_irq_in_fnc = 8'(CONTROL_FUNC);
  assign flr_set        = usr_flr_set && usr_flr_fnc == 8'(CONTROL_FUNC);

  ps_pulse_cdc u_flr (
    .src_clk_i(axis_aclk),
    .src_rst_i(axis_rst),
    .d_i      (flr_set),
    .dst_clk_i(core_clk),
    .dst_rst_i(rst),
    .q_o      (flr)
  );

  // Every function's reset is answered, once the card's pulse is surely on its way.
  logic       flr_done_q;
  logic [7:0] flr_fnc_q;

  always_ff @(posedge axis_aclk) begin
    if (usr_flr_set) flr_fnc_q <= usr_flr_fnc;
    flr_done_q       <= usr_flr_set && !axis_rst;
    usr_flr_done_vld <= flr_done_q;
    usr_flr_done_fnc <= flr_fnc_q;
  end

  // --- The card
  assign m_axib_awid    = '0;
  assign m_axib_awuser  = 8'(CONTROL_FUNC);
  assign m_axib_awsize  = Size64;
  assign m_axib_awburst = Incr;
  assign m_axib_arid    = '0;
  assign m_axib_aruser  = 8'(CONTROL_FUNC);
  assign m_axib_arsize  = Size64;
  assign m_axib_arburst = Incr;

  penstock_core #(
    .FirmwareFile(FW_FILE)
  ) u_core (
    .clk_i           (core_clk),
    .rst_i           (rst),
    .flr_i           (flr),
    .clk_fw_i        (clk_fw),
    .time_skip_i     (64'd0),
    .idle_o          (idle),
    .fw_active_o     (fw_active),
    .irq_o           (irq),
    .s_axil_awaddr_i (awaddr),
    .s_axil_awvalid_i(awvalid),
    .s_axil_awready_o(awready),
    .s_axil_wdata_i  (wdata),
    .s_axil_wstrb_i  (wstrb),
    .s_axil_wvalid_i (wvalid),
    .s_axil_wready_o (wready),
    .s_axil_bresp_o  (bresp),
    .s_axil_bvalid_o (bvalid),
    .s_axil_bready_i (bready),
    .s_axil_araddr_i (araddr),
    .s_axil_arvalid_i(arvalid),
    .s_axil_arready_o(arready),
    .s_axil_rdata_o  (rdata),
    .s_axil_rresp_o  (rresp),
    .s_axil_rvalid_o (rvalid),
    .s_axil_rready_i (rready),
    .m_axi_awaddr_o  (m_axib_awaddr),
    .m_axi_awlen_o   (m_axib_awlen),
    .m_axi_awvalid_o (m_axib_awvalid),
    .m_axi_awready_i (m_axib_awready),
    .m_axi_wdata_o   (m_axib_wdata),
    .m_axi_wstrb_o   (m_axib_wstrb),
    .m_axi_wlast_o   (m_axib_wlast),
    .m_axi_wvalid_o  (m_axib_wvalid),
    .m_axi_wready_i  (m_axib_wready),
    .m_axi_bresp_i   (m_axib_bresp),
    .m_axi_bvalid_i  (m_axib_bvalid),
    .m_axi_bready_o  (m_axib_bready),
    .m_axi_araddr_o  (m_axib_araddr),
    .m_axi_arlen_o   (m_axib_arlen),
    .m_axi_arvalid_o (m_axib_arvalid),
    .m_axi_arready_i (m_axib_arready),
    .m_axi_rdata_i   (m_axib_rdata),
    .m_axi_rresp_i   (m_axib_rresp),
    .m_axi_rlast_i   (m_axib_rlast),
    .m_axi_rvalid_i  (m_axib_rvalid),
    .m_axi_rready_o  (m_axib_rready),
    .s_fab_tdata_i   (rx_data),
    .s_fab_tkeep_i   (rx_keep),
    .s_fab_tlast_i   (rx_last),
    .s_fab_tvalid_i  (rx_valid),
    .s_fab_tready_o  (rx_ready),
    .m_fab_tdata_o   (fab_data),
    .m_fab_tkeep_o   (fab_keep),
    .m_fab_tlast_o   (fab_last),
    .m_fab_tvalid_o  (fab_valid),
    .m_fab_tready_i  (fab_ready),
    .s_host_tdata_i  (in_data),
    .s_host_tkeep_i  (in_keep),
    .s_host_tlast_i  (in_last),
    .s_host_tuser_i  (in_vif),
    .s_host_tvalid_i (in_valid),
    .s_host_tready_o (in_ready),
    .m_host_tdata_o  (out_data),
    .m_host_tkeep_o  (out_keep),
    .m_host_tlast_o  (out_last),
    .m_host_tuser_o  (out_vif),
    .m_host_tvalid_o (out_valid),
    .m_host_tready_i (out_ready)
  );

  logic unused_core;
  assign unused_core = idle ^ fw_active ^ function_zero;

endmodule
