// The card in Corundum's application block. docs/shells/corundum.md has the port table and the steps.
//
// Follows:    corundum/corundum 1ca0151 (2023-12), module mqnic_app_block: ports below the first rule are the block's, by name and
//             width, for IF_COUNT = 1, PORTS_PER_IF = 1; stub/stub_mqnic_app_block.sv ties off all the others.
// Streams:    at the interface-level tap, beside the queues and of the core clock: if_tx (from the queues) -> vif ->
//             core -> m_axis_if_tx (to the port); if_rx (from the port) -> core -> tag -> m_axis_if_rx (to the queues).
// vif:        vif 1 is the interface as it is; others travel under a service tag (ps_vif_untag, ps_vif_tag).
// Completions: each frame of a queue is answered here, at once; the MAC's are swallowed (ps_tx_completion).
// Control:    s_axil_app_ctrl, 128 KiB: the core's 64 KiB at 0, ps_shell_regs at 0x10000.
// DMA:        the control channel of the DMA engine (ps_axi_corundum_dma).
// Interrupts: the block has none: irq_* below the second rule go to the core's interrupt multiplexer by a change
//             to mqnic_core; without it, poll.
// Clocks:     clk for everything (250 MHz as the shell's boards are built). Reset: rst, of clk, active high.
// Not run:    never synthesised, never on hardware, never beside the shell's own sources.
module ps_corundum_app #(
  parameter int unsigned TX_TAG_WIDTH             = 16,
  parameter int unsigned PTP_TS_WIDTH             = 96,
  parameter int unsigned DMA_ADDR_WIDTH           = 64,
  parameter int unsigned DMA_IMM_WIDTH            = 32,
  parameter int unsigned DMA_LEN_WIDTH            = 16,
  parameter int unsigned DMA_TAG_WIDTH            = 16,
  parameter int unsigned RAM_SEL_WIDTH            = 4,
  parameter int unsigned RAM_ADDR_WIDTH           = 16,
  parameter int unsigned RAM_SEG_COUNT            = 2,
  parameter int unsigned RAM_SEG_DATA_WIDTH       = 512,
  parameter int unsigned RAM_SEG_BE_WIDTH         = RAM_SEG_DATA_WIDTH / 8,
  parameter int unsigned RAM_SEG_ADDR_WIDTH       = RAM_ADDR_WIDTH - $clog2(RAM_SEG_COUNT * RAM_SEG_BE_WIDTH),
  parameter int unsigned AXIL_APP_CTRL_ADDR_WIDTH = 24,
  parameter int unsigned AXIS_IF_TX_ID_WIDTH      = 12,
  parameter int unsigned AXIS_IF_RX_ID_WIDTH      = 1,
  parameter int unsigned AXIS_IF_TX_DEST_WIDTH    = 4,
  parameter int unsigned AXIS_IF_RX_DEST_WIDTH    = 8,
  parameter int unsigned AXIS_IF_TX_USER_WIDTH    = TX_TAG_WIDTH + 1,
  parameter int unsigned AXIS_IF_RX_USER_WIDTH    = PTP_TS_WIDTH + 1,
  parameter int unsigned IRQ_INDEX_WIDTH          = 8,
  parameter int unsigned FIRST_VECTOR             = 0,
  parameter int unsigned FW_DIVIDE                = 4,
  parameter FW_FILE = ""  // the soft core's image, penstock-fw.hex, for synthesis
) (
  // --------------------------------------------------------------- of the application block
  input  logic                                        clk,
  input  logic                                        rst,

  input  logic [AXIL_APP_CTRL_ADDR_WIDTH-1:0]         s_axil_app_ctrl_awaddr,
  input  logic                                        s_axil_app_ctrl_awvalid,
  output logic                                        s_axil_app_ctrl_awready,
  input  logic [31:0]                                 s_axil_app_ctrl_wdata,
  input  logic [3:0]                                  s_axil_app_ctrl_wstrb,
  input  logic                                        s_axil_app_ctrl_wvalid,
  output logic                                        s_axil_app_ctrl_wready,
  output logic [1:0]                                  s_axil_app_ctrl_bresp,
  output logic                                        s_axil_app_ctrl_bvalid,
  input  logic                                        s_axil_app_ctrl_bready,
  input  logic [AXIL_APP_CTRL_ADDR_WIDTH-1:0]         s_axil_app_ctrl_araddr,
  input  logic                                        s_axil_app_ctrl_arvalid,
  output logic                                        s_axil_app_ctrl_arready,
  output logic [31:0]                                 s_axil_app_ctrl_rdata,
  output logic [1:0]                                  s_axil_app_ctrl_rresp,
  output logic                                        s_axil_app_ctrl_rvalid,
  input  logic                                        s_axil_app_ctrl_rready,

  output logic [DMA_ADDR_WIDTH-1:0]                   m_axis_ctrl_dma_read_desc_dma_addr,
  output logic [RAM_SEL_WIDTH-1:0]                    m_axis_ctrl_dma_read_desc_ram_sel,
  output logic [RAM_ADDR_WIDTH-1:0]                   m_axis_ctrl_dma_read_desc_ram_addr,
  output logic [DMA_LEN_WIDTH-1:0]                    m_axis_ctrl_dma_read_desc_len,
  output logic [DMA_TAG_WIDTH-1:0]                    m_axis_ctrl_dma_read_desc_tag,
  output logic                                        m_axis_ctrl_dma_read_desc_valid,
  input  logic                                        m_axis_ctrl_dma_read_desc_ready,
  input  logic [DMA_TAG_WIDTH-1:0]                    s_axis_ctrl_dma_read_desc_status_tag,
  input  logic [3:0]                                  s_axis_ctrl_dma_read_desc_status_error,
  input  logic                                        s_axis_ctrl_dma_read_desc_status_valid,
  output logic [DMA_ADDR_WIDTH-1:0]                   m_axis_ctrl_dma_write_desc_dma_addr,
  output logic [RAM_SEL_WIDTH-1:0]                    m_axis_ctrl_dma_write_desc_ram_sel,
  output logic [RAM_ADDR_WIDTH-1:0]                   m_axis_ctrl_dma_write_desc_ram_addr,
  output logic [DMA_IMM_WIDTH-1:0]                    m_axis_ctrl_dma_write_desc_imm,
  output logic                                        m_axis_ctrl_dma_write_desc_imm_en,
  output logic [DMA_LEN_WIDTH-1:0]                    m_axis_ctrl_dma_write_desc_len,
  output logic [DMA_TAG_WIDTH-1:0]                    m_axis_ctrl_dma_write_desc_tag,
  output logic                                        m_axis_ctrl_dma_write_desc_valid,
  input  logic                                        m_axis_ctrl_dma_write_desc_ready,
  input  logic [DMA_TAG_WIDTH-1:0]                    s_axis_ctrl_dma_write_desc_status_tag,
  input  logic [3:0]                                  s_axis_ctrl_dma_write_desc_status_error,
  input  logic                                        s_axis_ctrl_dma_write_desc_status_valid,

  input  logic [RAM_SEG_COUNT*RAM_SEL_WIDTH-1:0]      ctrl_dma_ram_wr_cmd_sel,
  input  logic [RAM_SEG_COUNT*RAM_SEG_BE_WIDTH-1:0]   ctrl_dma_ram_wr_cmd_be,
  input  logic [RAM_SEG_COUNT*RAM_SEG_ADDR_WIDTH-1:0] ctrl_dma_ram_wr_cmd_addr,
  input  logic [RAM_SEG_COUNT*RAM_SEG_DATA_WIDTH-1:0] ctrl_dma_ram_wr_cmd_data,
  input  logic [RAM_SEG_COUNT-1:0]                    ctrl_dma_ram_wr_cmd_valid,
  output logic [RAM_SEG_COUNT-1:0]                    ctrl_dma_ram_wr_cmd_ready,
  output logic [RAM_SEG_COUNT-1:0]                    ctrl_dma_ram_wr_done,
  input  logic [RAM_SEG_COUNT*RAM_SEL_WIDTH-1:0]      ctrl_dma_ram_rd_cmd_sel,
  input  logic [RAM_SEG_COUNT*RAM_SEG_ADDR_WIDTH-1:0] ctrl_dma_ram_rd_cmd_addr,
  input  logic [RAM_SEG_COUNT-1:0]                    ctrl_dma_ram_rd_cmd_valid,
  output logic [RAM_SEG_COUNT-1:0]                    ctrl_dma_ram_rd_cmd_ready,
  output logic [RAM_SEG_COUNT*RAM_SEG_DATA_WIDTH-1:0] ctrl_dma_ram_rd_resp_data,
  output logic [RAM_SEG_COUNT-1:0]                    ctrl_dma_ram_rd_resp_valid,
  input  logic [RAM_SEG_COUNT-1:0]                    ctrl_dma_ram_rd_resp_ready,

  input  logic [511:0]                                s_axis_if_tx_tdata,
  input  logic [63:0]                                 s_axis_if_tx_tkeep,
  input  logic                                        s_axis_if_tx_tvalid,
  output logic                                        s_axis_if_tx_tready,
  input  logic                                        s_axis_if_tx_tlast,
  input  logic [AXIS_IF_TX_ID_WIDTH-1:0]              s_axis_if_tx_tid,
  input  logic [AXIS_IF_TX_DEST_WIDTH-1:0]            s_axis_if_tx_tdest,
  input  logic [AXIS_IF_TX_USER_WIDTH-1:0]            s_axis_if_tx_tuser,
  output logic [511:0]                                m_axis_if_tx_tdata,
  output logic [63:0]                                 m_axis_if_tx_tkeep,
  output logic                                        m_axis_if_tx_tvalid,
  input  logic                                        m_axis_if_tx_tready,
  output logic                                        m_axis_if_tx_tlast,
  output logic [AXIS_IF_TX_ID_WIDTH-1:0]              m_axis_if_tx_tid,
  output logic [AXIS_IF_TX_DEST_WIDTH-1:0]            m_axis_if_tx_tdest,
  output logic [AXIS_IF_TX_USER_WIDTH-1:0]            m_axis_if_tx_tuser,
  input  logic [PTP_TS_WIDTH-1:0]                     s_axis_if_tx_cpl_ts,
  input  logic [TX_TAG_WIDTH-1:0]                     s_axis_if_tx_cpl_tag,
  input  logic                                        s_axis_if_tx_cpl_valid,
  output logic                                        s_axis_if_tx_cpl_ready,
  output logic [PTP_TS_WIDTH-1:0]                     m_axis_if_tx_cpl_ts,
  output logic [TX_TAG_WIDTH-1:0]                     m_axis_if_tx_cpl_tag,
  output logic                                        m_axis_if_tx_cpl_valid,
  input  logic                                        m_axis_if_tx_cpl_ready,
  input  logic [511:0]                                s_axis_if_rx_tdata,
  input  logic [63:0]                                 s_axis_if_rx_tkeep,
  input  logic                                        s_axis_if_rx_tvalid,
  output logic                                        s_axis_if_rx_tready,
  input  logic                                        s_axis_if_rx_tlast,
  input  logic [AXIS_IF_RX_ID_WIDTH-1:0]              s_axis_if_rx_tid,
  input  logic [AXIS_IF_RX_DEST_WIDTH-1:0]            s_axis_if_rx_tdest,
  input  logic [AXIS_IF_RX_USER_WIDTH-1:0]            s_axis_if_rx_tuser,
  output logic [511:0]                                m_axis_if_rx_tdata,
  output logic [63:0]                                 m_axis_if_rx_tkeep,
  output logic                                        m_axis_if_rx_tvalid,
  input  logic                                        m_axis_if_rx_tready,
  output logic                                        m_axis_if_rx_tlast,
  output logic [AXIS_IF_RX_ID_WIDTH-1:0]              m_axis_if_rx_tid,
  output logic [AXIS_IF_RX_DEST_WIDTH-1:0]            m_axis_if_rx_tdest,
  output logic [AXIS_IF_RX_USER_WIDTH-1:0]            m_axis_if_rx_tuser,

  // --------------------------------------------------------------- to mqnic_core, if it is changed
  output logic [IRQ_INDEX_WIDTH-1:0]                  irq_index,
  output logic                                        irq_valid,
  input  logic                                        irq_ready,
  input  logic                                        flr            // pulse; tie to 0 without
);

  // What the shell says and the core knows by itself, or does not use. Bad frames are gone before this tap.
  logic unused_shell;
  assign unused_shell = ^{s_axis_if_tx_tid, s_axis_if_tx_tdest, s_axis_if_tx_tuser[0], s_axis_if_rx_tid,
                          s_axis_if_rx_tdest, s_axis_if_rx_tuser, s_axis_if_tx_cpl_ts, s_axis_if_tx_cpl_tag,
                          s_axis_if_tx_cpl_valid, ctrl_dma_ram_wr_cmd_sel, ctrl_dma_ram_rd_cmd_sel,
                          s_axil_app_ctrl_awaddr[AXIL_APP_CTRL_ADDR_WIDTH-1:17],
                          s_axil_app_ctrl_araddr[AXIL_APP_CTRL_ADDR_WIDTH-1:17]};

  logic clk_fw, fw_active, idle;

  ps_clk_fw #(
    .Divide(FW_DIVIDE)
  ) u_clk_fw (
    .clk_i   (clk),
    .clk_fw_o(clk_fw)
  );

  // --- Control
  logic [15:0] awaddr, araddr;
  logic [31:0] wdata, rdata;
  logic [3:0]  wstrb;
  logic [1:0]  bresp, rresp;
  logic        awvalid, awready, wvalid, wready, bvalid, bready, arvalid, arready, rvalid, rready;

  ps_shell_regs #(
    .Kind(32'd3)
  ) u_regs (
    .clk_i      (clk),
    .rst_i      (rst),
    .drop_in_i  (1'b0),
    .drop_out_i (1'b0),
    .s_awaddr_i (s_axil_app_ctrl_awaddr[16:0]),
    .s_awvalid_i(s_axil_app_ctrl_awvalid),
    .s_awready_o(s_axil_app_ctrl_awready),
    .s_wdata_i  (s_axil_app_ctrl_wdata),
    .s_wstrb_i  (s_axil_app_ctrl_wstrb),
    .s_wvalid_i (s_axil_app_ctrl_wvalid),
    .s_wready_o (s_axil_app_ctrl_wready),
    .s_bresp_o  (s_axil_app_ctrl_bresp),
    .s_bvalid_o (s_axil_app_ctrl_bvalid),
    .s_bready_i (s_axil_app_ctrl_bready),
    .s_araddr_i (s_axil_app_ctrl_araddr[16:0]),
    .s_arvalid_i(s_axil_app_ctrl_arvalid),
    .s_arready_o(s_axil_app_ctrl_arready),
    .s_rdata_o  (s_axil_app_ctrl_rdata),
    .s_rresp_o  (s_axil_app_ctrl_rresp),
    .s_rvalid_o (s_axil_app_ctrl_rvalid),
    .s_rready_i (s_axil_app_ctrl_rready),
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

  // --- Queues to core
  logic         tx_valid, tx_ready, cpl_ready, tx_gate;
  logic [511:0] in_data;
  logic [63:0]  in_keep;
  logic         in_last, in_valid, in_ready;
  logic [7:0]   in_vif;

  // A frame may end only when its completion has a place.
  assign tx_gate             = !s_axis_if_tx_tlast || cpl_ready;
  assign tx_valid            = s_axis_if_tx_tvalid && tx_gate;
  assign s_axis_if_tx_tready = tx_ready && tx_gate;

  ps_tx_completion #(
    .TagWidth(TX_TAG_WIDTH)
  ) u_completion (
    .clk_i    (clk),
    .rst_i    (rst),
    .take_i   (tx_valid && tx_ready && s_axis_if_tx_tlast),
    .tag_i    (s_axis_if_tx_tuser[TX_TAG_WIDTH:1]),
    .ready_o  (cpl_ready),
    .m_tag_o  (m_axis_if_tx_cpl_tag),
    .m_valid_o(m_axis_if_tx_cpl_valid),
    .m_ready_i(m_axis_if_tx_cpl_ready)
  );

  assign m_axis_if_tx_cpl_ts    = '0;
  assign s_axis_if_tx_cpl_ready = 1'b1;

  ps_vif_untag #(
    .SourceWidth(1)
  ) u_untag (
    .clk_i     (clk),
    .rst_i     (rst),
    .s_data_i  (s_axis_if_tx_tdata),
    .s_keep_i  (s_axis_if_tx_tkeep),
    .s_last_i  (s_axis_if_tx_tlast),
    .s_source_i(1'b0),
    .s_valid_i (tx_valid),
    .s_ready_o (tx_ready),
    .m_data_o  (in_data),
    .m_keep_o  (in_keep),
    .m_last_o  (in_last),
    .m_vif_o   (in_vif),
    .m_valid_o (in_valid),
    .m_ready_i (in_ready)
  );

  // --- Core to queues
  logic [511:0] out_data;
  logic [63:0]  out_keep;
  logic         out_last, out_valid, out_ready, function_zero;
  logic [7:0]   out_vif;

  ps_vif_tag #(
    .Direct       (1),
    .FunctionWidth(1)
  ) u_tag (
    .clk_i       (clk),
    .rst_i       (rst),
    .s_data_i    (out_data),
    .s_keep_i    (out_keep),
    .s_last_i    (out_last),
    .s_vif_i     (out_vif),
    .s_valid_i   (out_valid),
    .s_ready_o   (out_ready),
    .m_data_o    (m_axis_if_rx_tdata),
    .m_keep_o    (m_axis_if_rx_tkeep),
    .m_last_o    (m_axis_if_rx_tlast),
    .m_function_o(function_zero),
    .m_valid_o   (m_axis_if_rx_tvalid),
    .m_ready_i   (m_axis_if_rx_tready)
  );

  assign m_axis_if_rx_tid   = '0;
  assign m_axis_if_rx_tdest = '0;   // queue by the shell's hash
  assign m_axis_if_rx_tuser = '0;

  // Tag 0: the highest bit tells the queues that a completion is theirs, and none of these is.
  assign m_axis_if_tx_tid   = '0;
  assign m_axis_if_tx_tdest = '0;
  assign m_axis_if_tx_tuser = '0;

  // --- DMA
  logic [63:0]  m_awaddr, m_araddr, m_wstrb;
  logic [7:0]   m_awlen, m_arlen;
  logic [511:0] m_wdata, m_rdata;
  logic [1:0]   m_bresp, m_rresp;
  logic         m_awvalid, m_awready, m_wlast, m_wvalid, m_wready, m_bvalid, m_bready;
  logic         m_arvalid, m_arready, m_rlast, m_rvalid, m_rready;

  ps_axi_corundum_dma #(
    .DmaAddrWidth(DMA_ADDR_WIDTH),
    .DmaLenWidth (DMA_LEN_WIDTH),
    .DmaTagWidth (DMA_TAG_WIDTH),
    .RamSelWidth (RAM_SEL_WIDTH),
    .RamAddrWidth(RAM_ADDR_WIDTH),
    .SegCount    (RAM_SEG_COUNT),
    .SegDataWidth(RAM_SEG_DATA_WIDTH)
  ) u_dma (
    .clk_i              (clk),
    .rst_i              (rst),
    .s_axi_awaddr_i     (m_awaddr),
    .s_axi_awlen_i      (m_awlen),
    .s_axi_awvalid_i    (m_awvalid),
    .s_axi_awready_o    (m_awready),
    .s_axi_wdata_i      (m_wdata),
    .s_axi_wstrb_i      (m_wstrb),
    .s_axi_wlast_i      (m_wlast),
    .s_axi_wvalid_i     (m_wvalid),
    .s_axi_wready_o     (m_wready),
    .s_axi_bresp_o      (m_bresp),
    .s_axi_bvalid_o     (m_bvalid),
    .s_axi_bready_i     (m_bready),
    .s_axi_araddr_i     (m_araddr),
    .s_axi_arlen_i      (m_arlen),
    .s_axi_arvalid_i    (m_arvalid),
    .s_axi_arready_o    (m_arready),
    .s_axi_rdata_o      (m_rdata),
    .s_axi_rresp_o      (m_rresp),
    .s_axi_rlast_o      (m_rlast),
    .s_axi_rvalid_o     (m_rvalid),
    .s_axi_rready_i     (m_rready),
    .rd_desc_dma_addr_o (m_axis_ctrl_dma_read_desc_dma_addr),
    .rd_desc_ram_sel_o  (m_axis_ctrl_dma_read_desc_ram_sel),
    .rd_desc_ram_addr_o (m_axis_ctrl_dma_read_desc_ram_addr),
    .rd_desc_len_o      (m_axis_ctrl_dma_read_desc_len),
    .rd_desc_tag_o      (m_axis_ctrl_dma_read_desc_tag),
    .rd_desc_valid_o    (m_axis_ctrl_dma_read_desc_valid),
    .rd_desc_ready_i    (m_axis_ctrl_dma_read_desc_ready),
    .rd_status_tag_i    (s_axis_ctrl_dma_read_desc_status_tag),
    .rd_status_error_i  (s_axis_ctrl_dma_read_desc_status_error),
    .rd_status_valid_i  (s_axis_ctrl_dma_read_desc_status_valid),
    .wr_desc_dma_addr_o (m_axis_ctrl_dma_write_desc_dma_addr),
    .wr_desc_ram_sel_o  (m_axis_ctrl_dma_write_desc_ram_sel),
    .wr_desc_ram_addr_o (m_axis_ctrl_dma_write_desc_ram_addr),
    .wr_desc_len_o      (m_axis_ctrl_dma_write_desc_len),
    .wr_desc_tag_o      (m_axis_ctrl_dma_write_desc_tag),
    .wr_desc_valid_o    (m_axis_ctrl_dma_write_desc_valid),
    .wr_desc_ready_i    (m_axis_ctrl_dma_write_desc_ready),
    .wr_status_tag_i    (s_axis_ctrl_dma_write_desc_status_tag),
    .wr_status_error_i  (s_axis_ctrl_dma_write_desc_status_error),
    .wr_status_valid_i  (s_axis_ctrl_dma_write_desc_status_valid),
    .ram_wr_cmd_be_i    (ctrl_dma_ram_wr_cmd_be),
    .ram_wr_cmd_addr_i  (ctrl_dma_ram_wr_cmd_addr),
    .ram_wr_cmd_data_i  (ctrl_dma_ram_wr_cmd_data),
    .ram_wr_cmd_valid_i (ctrl_dma_ram_wr_cmd_valid),
    .ram_wr_cmd_ready_o (ctrl_dma_ram_wr_cmd_ready),
    .ram_wr_done_o      (ctrl_dma_ram_wr_done),
    .ram_rd_cmd_addr_i  (ctrl_dma_ram_rd_cmd_addr),
    .ram_rd_cmd_valid_i (ctrl_dma_ram_rd_cmd_valid),
    .ram_rd_cmd_ready_o (ctrl_dma_ram_rd_cmd_ready),
    .ram_rd_resp_data_o (ctrl_dma_ram_rd_resp_data),
    .ram_rd_resp_valid_o(ctrl_dma_ram_rd_resp_valid),
    .ram_rd_resp_ready_i(ctrl_dma_ram_rd_resp_ready)
  );

  assign m_axis_ctrl_dma_write_desc_imm    = '0;
  assign m_axis_ctrl_dma_write_desc_imm_en = 1'b0;

  // --- Interrupts
  logic [2:0] irq;

  ps_irq_request #(
    .VectorWidth(IRQ_INDEX_WIDTH),
    .FirstVector(FIRST_VECTOR)
  ) u_irq (
    .clk_i   (clk),
    .rst_i   (rst),
    .irq_i   (irq),
    .valid_o (irq_valid),
    .vector_o(irq_index),
    .ack_i   (irq_ready)
  );

  // --- The card
  penstock_core #(
    .FirmwareFile(FW_FILE)
  ) u_core (
    .clk_i           (clk),
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
    .m_axi_awaddr_o  (m_awaddr),
    .m_axi_awlen_o   (m_awlen),
    .m_axi_awvalid_o (m_awvalid),
    .m_axi_awready_i (m_awready),
    .m_axi_wdata_o   (m_wdata),
    .m_axi_wstrb_o   (m_wstrb),
    .m_axi_wlast_o   (m_wlast),
    .m_axi_wvalid_o  (m_wvalid),
    .m_axi_wready_i  (m_wready),
    .m_axi_bresp_i   (m_bresp),
    .m_axi_bvalid_i  (m_bvalid),
    .m_axi_bready_o  (m_bready),
    .m_axi_araddr_o  (m_araddr),
    .m_axi_arlen_o   (m_arlen),
    .m_axi_arvalid_o (m_arvalid),
    .m_axi_arready_i (m_arready),
    .m_axi_rdata_i   (m_rdata),
    .m_axi_rresp_i   (m_rresp),
    .m_axi_rlast_i   (m_rlast),
    .m_axi_rvalid_i  (m_rvalid),
    .m_axi_rready_o  (m_rready),
    .s_fab_tdata_i   (s_axis_if_rx_tdata),
    .s_fab_tkeep_i   (s_axis_if_rx_tkeep),
    .s_fab_tlast_i   (s_axis_if_rx_tlast),
    .s_fab_tvalid_i  (s_axis_if_rx_tvalid),
    .s_fab_tready_o  (s_axis_if_rx_tready),
    .m_fab_tdata_o   (m_axis_if_tx_tdata),
    .m_fab_tkeep_o   (m_axis_if_tx_tkeep),
    .m_fab_tlast_o   (m_axis_if_tx_tlast),
    .m_fab_tvalid_o  (m_axis_if_tx_tvalid),
    .m_fab_tready_i  (m_axis_if_tx_tready),
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

`ifndef SYNTHESIS
  initial assert (AXIL_APP_CTRL_ADDR_WIDTH > 17) else $fatal(1, "ps_corundum_app: the control window is below 256 KiB");
`endif

endmodule
