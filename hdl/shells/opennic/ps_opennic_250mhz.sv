// The card as the plug-in of OpenNIC's 250 MHz user box. docs/shells/opennic.md has the port table and the steps.
//
// Follows:    Xilinx/open-nic-shell 940907f (2025-01): ports below the first rule are the box's, by name and width.
// Streams:    h2c -> one frame at a time -> vif -> core; core -> tag or function -> length -> c2h of that function.
//             Fabric is CMAC port 0: adap_rx -> core as it comes (the adapter drops and counts when the core waits),
//             core -> length, padding to 60 bytes -> adap_tx. Other CMAC ports are closed.
// vif:        function f is vif f + 1; others travel through function 0 under a service tag (ps_vif_untag, ps_vif_tag).
// Control:    AXI-Lite at axil_aclk, 128 KiB: the core's 64 KiB at 0, ps_shell_regs at 0x10000.
// DMA:        the box has none: the ports below the second rule go to the QDMA by a change to the shell.
// Clocks:     axis_aclk (250 MHz) for the core and all streams; axil_aclk (125 MHz) for control and resets.
// Rate:       one beat a cycle; 250 MHz x 512 bit is less than 100 GbE needs at frames of 65..69 bytes (280.9 MHz).
// Not run:    never synthesised, never on hardware.
module ps_opennic_250mhz #(
  parameter int unsigned NUM_PHYS_FUNC = 1,
  parameter int unsigned NUM_CMAC_PORT = 1,
  parameter int unsigned CONTROL_FUNC  = 0,   // function whose driver owns the card: DMA, interrupts, function-level reset
  parameter int unsigned FIRST_VECTOR  = 0,   // MSI-X vector of the core's irq 0
  parameter int unsigned FW_DIVIDE     = 4,
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

  input  logic [NUM_PHYS_FUNC-1:0]     s_axis_qdma_h2c_tvalid,
  input  logic [512*NUM_PHYS_FUNC-1:0] s_axis_qdma_h2c_tdata,
  input  logic [64*NUM_PHYS_FUNC-1:0]  s_axis_qdma_h2c_tkeep,
  input  logic [NUM_PHYS_FUNC-1:0]     s_axis_qdma_h2c_tlast,
  input  logic [16*NUM_PHYS_FUNC-1:0]  s_axis_qdma_h2c_tuser_size,
  input  logic [16*NUM_PHYS_FUNC-1:0]  s_axis_qdma_h2c_tuser_src,
  input  logic [16*NUM_PHYS_FUNC-1:0]  s_axis_qdma_h2c_tuser_dst,
  output logic [NUM_PHYS_FUNC-1:0]     s_axis_qdma_h2c_tready,

  output logic [NUM_PHYS_FUNC-1:0]     m_axis_qdma_c2h_tvalid,
  output logic [512*NUM_PHYS_FUNC-1:0] m_axis_qdma_c2h_tdata,
  output logic [64*NUM_PHYS_FUNC-1:0]  m_axis_qdma_c2h_tkeep,
  output logic [NUM_PHYS_FUNC-1:0]     m_axis_qdma_c2h_tlast,
  output logic [16*NUM_PHYS_FUNC-1:0]  m_axis_qdma_c2h_tuser_size,
  output logic [16*NUM_PHYS_FUNC-1:0]  m_axis_qdma_c2h_tuser_src,
  output logic [16*NUM_PHYS_FUNC-1:0]  m_axis_qdma_c2h_tuser_dst,
  input  logic [NUM_PHYS_FUNC-1:0]     m_axis_qdma_c2h_tready,

  output logic [NUM_CMAC_PORT-1:0]     m_axis_adap_tx_250mhz_tvalid,
  output logic [512*NUM_CMAC_PORT-1:0] m_axis_adap_tx_250mhz_tdata,
  output logic [64*NUM_CMAC_PORT-1:0]  m_axis_adap_tx_250mhz_tkeep,
  output logic [NUM_CMAC_PORT-1:0]     m_axis_adap_tx_250mhz_tlast,
  output logic [16*NUM_CMAC_PORT-1:0]  m_axis_adap_tx_250mhz_tuser_size,
  output logic [16*NUM_CMAC_PORT-1:0]  m_axis_adap_tx_250mhz_tuser_src,
  output logic [16*NUM_CMAC_PORT-1:0]  m_axis_adap_tx_250mhz_tuser_dst,
  input  logic [NUM_CMAC_PORT-1:0]     m_axis_adap_tx_250mhz_tready,

  input  logic [NUM_CMAC_PORT-1:0]     s_axis_adap_rx_250mhz_tvalid,
  input  logic [512*NUM_CMAC_PORT-1:0] s_axis_adap_rx_250mhz_tdata,
  input  logic [64*NUM_CMAC_PORT-1:0]  s_axis_adap_rx_250mhz_tkeep,
  input  logic [NUM_CMAC_PORT-1:0]     s_axis_adap_rx_250mhz_tlast,
  input  logic [16*NUM_CMAC_PORT-1:0]  s_axis_adap_rx_250mhz_tuser_size,
  input  logic [16*NUM_CMAC_PORT-1:0]  s_axis_adap_rx_250mhz_tuser_src,
  input  logic [16*NUM_CMAC_PORT-1:0]  s_axis_adap_rx_250mhz_tuser_dst,
  output logic [NUM_CMAC_PORT-1:0]     s_axis_adap_rx_250mhz_tready,

  input  logic                         mod_rstn,
  output logic                         mod_rst_done,
  input  logic                         axil_aclk,
  input  logic                         axis_aclk,

  // --------------------------------------------------------------- to the QDMA (axis_aclk)
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

  localparam int unsigned FuncWidth = NUM_PHYS_FUNC > 1 ? $clog2(NUM_PHYS_FUNC) : 1;
  localparam int unsigned MinBytes  = 60;             // what the MAC needs: 64 with the FCS that it adds
  localparam logic [15:0] PortMask  = 16'd1 << 6;     // CMAC port 0 in tuser_src and tuser_dst
  localparam logic [2:0]  Size64    = 3'd6;
  localparam logic [1:0]  Incr      = 2'b01;

  // Bits of the shell's streams that say what the core knows by itself.
  logic unused_shell;
  assign unused_shell = ^{s_axis_qdma_h2c_tuser_size, s_axis_qdma_h2c_tuser_src, s_axis_qdma_h2c_tuser_dst,
                          s_axis_adap_rx_250mhz_tuser_size, s_axis_adap_rx_250mhz_tuser_src,
                          s_axis_adap_rx_250mhz_tuser_dst, s_axil_awaddr[31:17], s_axil_araddr[31:17]};

  // --- Resets and clocks
  logic axil_rst, rst, clk_fw, fw_active, idle, flr_q;

  ps_shell_reset u_reset (
    .clk_i         (axil_aclk),
    .mod_rstn_i    (mod_rstn),
    .mod_rst_done_o(mod_rst_done),
    .rst_o         (axil_rst),
    .core_clk_i    (axis_aclk),
    .core_rst_o    (rst)
  );

  ps_clk_fw #(
    .Divide(FW_DIVIDE)
  ) u_clk_fw (
    .clk_i   (axis_aclk),
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
  logic        host_drop, fab_drop;

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
    .m_clk_i    (axis_aclk),
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
    .Kind(32'd1)
  ) u_regs (
    .clk_i      (axis_aclk),
    .rst_i      (rst),
    .drop_in_i  (1'b0),
    .drop_out_i (host_drop || fab_drop),
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
  logic [511:0]         mux_data, in_data;
  logic [63:0]          mux_keep, in_keep;
  logic                 mux_last, mux_valid, mux_ready, in_last, in_valid, in_ready;
  logic [FuncWidth-1:0] mux_source;
  logic [7:0]           in_vif;

  ps_stream_mux #(
    .Count(NUM_PHYS_FUNC)
  ) u_mux (
    .clk_i     (axis_aclk),
    .rst_i     (rst),
    .s_data_i  (s_axis_qdma_h2c_tdata),
    .s_keep_i  (s_axis_qdma_h2c_tkeep),
    .s_last_i  (s_axis_qdma_h2c_tlast),
    .s_valid_i (s_axis_qdma_h2c_tvalid),
    .s_ready_o (s_axis_qdma_h2c_tready),
    .m_data_o  (mux_data),
    .m_keep_o  (mux_keep),
    .m_last_o  (mux_last),
    .m_source_o(mux_source),
    .m_valid_o (mux_valid),
    .m_ready_i (mux_ready)
  );

  ps_vif_untag #(
    .SourceWidth(FuncWidth)
  ) u_untag (
    .clk_i     (axis_aclk),
    .rst_i     (rst),
    .s_data_i  (mux_data),
    .s_keep_i  (mux_keep),
    .s_last_i  (mux_last),
    .s_source_i(mux_source),
    .s_valid_i (mux_valid),
    .s_ready_o (mux_ready),
    .m_data_o  (in_data),
    .m_keep_o  (in_keep),
    .m_last_o  (in_last),
    .m_vif_o   (in_vif),
    .m_valid_o (in_valid),
    .m_ready_i (in_ready)
  );

  // --- Core to host
  logic [511:0]         out_data, tag_data, c2h_data;
  logic [63:0]          out_keep, tag_keep, c2h_keep;
  logic                 out_last, out_valid, out_ready, tag_last, tag_valid, tag_ready, c2h_last, c2h_valid;
  logic [7:0]           out_vif;
  logic [FuncWidth-1:0] tag_function, c2h_function;
  logic [15:0]          c2h_size;

  ps_vif_tag #(
    .Direct       (NUM_PHYS_FUNC),
    .FunctionWidth(FuncWidth)
  ) u_tag (
    .clk_i       (axis_aclk),
    .rst_i       (rst),
    .s_data_i    (out_data),
    .s_keep_i    (out_keep),
    .s_last_i    (out_last),
    .s_vif_i     (out_vif),
    .s_valid_i   (out_valid),
    .s_ready_o   (out_ready),
    .m_data_o    (tag_data),
    .m_keep_o    (tag_keep),
    .m_last_o    (tag_last),
    .m_function_o(tag_function),
    .m_valid_o   (tag_valid),
    .m_ready_i   (tag_ready)
  );

  ps_frame_store #(
    .UserWidth(FuncWidth)
  ) u_host_store (
    .clk_i    (axis_aclk),
    .rst_i    (rst),
    .s_data_i (tag_data),
    .s_keep_i (tag_keep),
    .s_last_i (tag_last),
    .s_error_i(1'b0),
    .s_user_i (tag_function),
    .s_valid_i(tag_valid),
    .s_ready_o(tag_ready),
    .drop_o   (host_drop),
    .m_data_o (c2h_data),
    .m_keep_o (c2h_keep),
    .m_last_o (c2h_last),
    .m_size_o (c2h_size),
    .m_user_o (c2h_function),
    .m_valid_o(c2h_valid),
    .m_ready_i(m_axis_qdma_c2h_tready[c2h_function])
  );

  for (genvar f = 0; f < NUM_PHYS_FUNC; f++) begin : g_c2h
    assign m_axis_qdma_c2h_tvalid[f]              = c2h_valid && c2h_function == FuncWidth'(f);
    assign m_axis_qdma_c2h_tdata[512*f +: 512]    = c2h_data;
    assign m_axis_qdma_c2h_tkeep[64*f +: 64]      = c2h_keep;
    assign m_axis_qdma_c2h_tlast[f]               = c2h_last;
    assign m_axis_qdma_c2h_tuser_size[16*f +: 16] = c2h_size;
    assign m_axis_qdma_c2h_tuser_src[16*f +: 16]  = PortMask;
    assign m_axis_qdma_c2h_tuser_dst[16*f +: 16]  = 16'd1 << f;
  end

  // --- Core to fabric
  logic [511:0] fab_data;
  logic [63:0]  fab_keep;
  logic         fab_last, fab_valid, fab_ready, unused_fab_user;

  ps_frame_store #(
    .MinBytes(MinBytes)
  ) u_fab_store (
    .clk_i    (axis_aclk),
    .rst_i    (rst),
    .s_data_i (fab_data),
    .s_keep_i (fab_keep),
    .s_last_i (fab_last),
    .s_error_i(1'b0),
    .s_user_i (1'b0),
    .s_valid_i(fab_valid),
    .s_ready_o(fab_ready),
    .drop_o   (fab_drop),
    .m_data_o (m_axis_adap_tx_250mhz_tdata[511:0]),
    .m_keep_o (m_axis_adap_tx_250mhz_tkeep[63:0]),
    .m_last_o (m_axis_adap_tx_250mhz_tlast[0]),
    .m_size_o (m_axis_adap_tx_250mhz_tuser_size[15:0]),
    .m_user_o (unused_fab_user),
    .m_valid_o(m_axis_adap_tx_250mhz_tvalid[0]),
    .m_ready_i(m_axis_adap_tx_250mhz_tready[0])
  );

  assign m_axis_adap_tx_250mhz_tuser_src[15:0] = 16'd1;
  assign m_axis_adap_tx_250mhz_tuser_dst[15:0] = PortMask;

  if (NUM_CMAC_PORT > 1) begin : g_closed
    logic unused_ports;
    assign unused_ports = ^{s_axis_adap_rx_250mhz_tvalid[NUM_CMAC_PORT-1:1], s_axis_adap_rx_250mhz_tlast[NUM_CMAC_PORT-1:1],
                            s_axis_adap_rx_250mhz_tdata[512*NUM_CMAC_PORT-1:512],
                            s_axis_adap_rx_250mhz_tkeep[64*NUM_CMAC_PORT-1:64], m_axis_adap_tx_250mhz_tready[NUM_CMAC_PORT-1:1]};
    assign s_axis_adap_rx_250mhz_tready[NUM_CMAC_PORT-1:1] = '0;  // the adapter drops and counts
    assign m_axis_adap_tx_250mhz_tvalid[NUM_CMAC_PORT-1:1] = '0;
    assign m_axis_adap_tx_250mhz_tlast[NUM_CMAC_PORT-1:1]  = '0;
    assign m_axis_adap_tx_250mhz_tdata[512*NUM_CMAC_PORT-1:512]    = '0;
    assign m_axis_adap_tx_250mhz_tkeep[64*NUM_CMAC_PORT-1:64]      = '0;
    assign m_axis_adap_tx_250mhz_tuser_size[16*NUM_CMAC_PORT-1:16] = '0;
    assign m_axis_adap_tx_250mhz_tuser_src[16*NUM_CMAC_PORT-1:16]  = '0;
    assign m_axis_adap_tx_250mhz_tuser_dst[16*NUM_CMAC_PORT-1:16]  = '0;
  end

  // --- Interrupts and function-level reset
  logic [2:0] irq;

  ps_irq_request #(
    .FirstVector(FIRST_VECTOR)
  ) u_irq (
    .clk_i   (axis_aclk),
    .rst_i   (rst),
    .irq_i   (irq),
    .valid_o (usr_irq_in_vld),
    .vector_o(usr_irq_in_vec),
    .ack_i   (usr_irq_out_ack || usr_irq_out_fail)
  );

  assign usr_irq_in_fnc = 8'(CONTROL_FUNC);

  // Every function's reset is answered; only that of the control function reaches the card.
  always_ff @(posedge axis_aclk) begin
    usr_flr_done_fnc <= usr_flr_fnc;
    usr_flr_done_vld <= usr_flr_set && !rst;
    flr_q            <= usr_flr_set && usr_flr_fnc == 8'(CONTROL_FUNC);
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
    .clk_i           (axis_aclk),
    .rst_i           (rst),
    .flr_i           (flr_q),
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
    .s_fab_tdata_i   (s_axis_adap_rx_250mhz_tdata[511:0]),
    .s_fab_tkeep_i   (s_axis_adap_rx_250mhz_tkeep[63:0]),
    .s_fab_tlast_i   (s_axis_adap_rx_250mhz_tlast[0]),
    .s_fab_tvalid_i  (s_axis_adap_rx_250mhz_tvalid[0]),
    .s_fab_tready_o  (s_axis_adap_rx_250mhz_tready[0]),
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
  assign unused_core = idle ^ fw_active ^ unused_fab_user;

endmodule
