// The card without its shell: everything between the MACs, the PCIe bridge and the host-side queues.
//
// Streams:    512-bit AXI-Stream, byte 0 of a frame in tdata[7:0], tkeep contiguous and full but on the last
//             beat, tvalid sticky with a stable payload, no combinational tready -> tvalid. Frames without FCS. On the host
//             side tuser is the vif number, valid on the first beat.
// Control:    AXI4-Lite slave (BAR 0, 64 KiB) and AXI4 master, 512 bit, for the rings: one read burst and one
//             single-beat write outstanding, addresses 64-byte aligned. irq_o requests MSI-X vectors, one-cycle pulses.
// Clocks:     clk_i for everything; clk_fw_i for the soft core, its rising edges coinciding with clk_i's, at most every
//             second cycle, and free to stand still while fw_active_o is low.
// Reset:      rst_i, synchronous, is power-on: tables are cleared (STATUS.clearing) before anything is forwarded.
//             flr_i (pulse) is the function-level reset: rings, mailbox and scratch only; the data path goes on.
// Checks:     ps_axil_sva and ps_axi_sva at the two control ports, ps_stream_sva at the streams (ps_datapath).
// Simulation: time_skip_i adds idle cycles to the card's time; idle_o tells that nothing is in flight.
module penstock_core
  import ps_abi_pkg::*;
  import ps_types_pkg::*;
#(
  // The soft core's image for $readmemh, where no +firmware= is given: synthesis.
  parameter FirmwareFile = ""
) (
  input  logic         clk_i,
  input  logic         rst_i,
  input  logic         flr_i,
  input  logic         clk_fw_i,
  input  logic [63:0]  time_skip_i,
  output logic         idle_o,
  output logic         fw_active_o,
  output logic [2:0]   irq_o,

  input  logic [15:0]  s_axil_awaddr_i,
  input  logic         s_axil_awvalid_i,
  output logic         s_axil_awready_o,
  input  logic [31:0]  s_axil_wdata_i,
  input  logic [3:0]   s_axil_wstrb_i,
  input  logic         s_axil_wvalid_i,
  output logic         s_axil_wready_o,
  output logic [1:0]   s_axil_bresp_o,
  output logic         s_axil_bvalid_o,
  input  logic         s_axil_bready_i,
  input  logic [15:0]  s_axil_araddr_i,
  input  logic         s_axil_arvalid_i,
  output logic         s_axil_arready_o,
  output logic [31:0]  s_axil_rdata_o,
  output logic [1:0]   s_axil_rresp_o,
  output logic         s_axil_rvalid_o,
  input  logic         s_axil_rready_i,

  output logic [63:0]  m_axi_awaddr_o,
  output logic [7:0]   m_axi_awlen_o,
  output logic         m_axi_awvalid_o,
  input  logic         m_axi_awready_i,
  output logic [511:0] m_axi_wdata_o,
  output logic [63:0]  m_axi_wstrb_o,
  output logic         m_axi_wlast_o,
  output logic         m_axi_wvalid_o,
  input  logic         m_axi_wready_i,
  input  logic [1:0]   m_axi_bresp_i,
  input  logic         m_axi_bvalid_i,
  output logic         m_axi_bready_o,
  output logic [63:0]  m_axi_araddr_o,
  output logic [7:0]   m_axi_arlen_o,
  output logic         m_axi_arvalid_o,
  input  logic         m_axi_arready_i,
  input  logic [511:0] m_axi_rdata_i,
  input  logic [1:0]   m_axi_rresp_i,
  input  logic         m_axi_rlast_i,
  input  logic         m_axi_rvalid_i,
  output logic         m_axi_rready_o,

  input  logic [511:0] s_fab_tdata_i,
  input  logic [63:0]  s_fab_tkeep_i,
  input  logic         s_fab_tlast_i,
  input  logic         s_fab_tvalid_i,
  output logic         s_fab_tready_o,
  output logic [511:0] m_fab_tdata_o,
  output logic [63:0]  m_fab_tkeep_o,
  output logic         m_fab_tlast_o,
  output logic         m_fab_tvalid_o,
  input  logic         m_fab_tready_i,

  input  logic [511:0] s_host_tdata_i,
  input  logic [63:0]  s_host_tkeep_i,
  input  logic         s_host_tlast_i,
  input  logic [7:0]   s_host_tuser_i,
  input  logic         s_host_tvalid_i,
  output logic         s_host_tready_o,
  output logic [511:0] m_host_tdata_o,
  output logic [63:0]  m_host_tkeep_o,
  output logic         m_host_tlast_o,
  output logic [7:0]   m_host_tuser_o,
  output logic         m_host_tvalid_o,
  input  logic         m_host_tready_i
);

  logic        enable, clear, clearing, match_clearing, map_busy;
  logic        match_busy, datapath_busy, ring_busy, csr_busy, cmd_busy;
  logic [63:0] card_time;
  logic [191:0] hash_key;
  age_times_t   age_times;
  age_port_t [7:0] age_ports;
  evictions_t   evictions;
  logic [31:0] parity_errors, parity_last;
  logic        parity_inject, parity_injected;

  ring_cfg_t   cmd_cfg, evt_cfg;
  logic [31:0] cmd_consumer, ring_errors, evt_producer, evt_dropped;
  event_choice_t evt_choice;
  flow_event_t flow_evt;
  logic        flow_evt_valid, flow_evt_ready;
  logic [1:0]  flow_evt_lost;
  logic        ring_fault, fw_fault, flow_full, card_mark_valid, card_mark_client, card_mark_set, card_mark_ready, gap;
  index_t      card_mark_index;

  logic        cfg_valid;
  cfg_req_t    cfg_req;
  cfg_rsp_t    cfg_rsp;

  logic        hdr_valid, verdict_valid;
  hdr_t        hdr;
  verdict_t    verdict;

  fw_view_t    fw_view;
  fw_ask_t     fw_ask;
  logic [31:0] mbox_request, mbox_arg, mbox_reply;
  logic        mbox_valid, mbox_reply_valid;

  logic [511:0] trap_tdata, fwtx_tdata;
  logic [63:0]  trap_tkeep, fwtx_tkeep;
  logic         trap_tlast, trap_tvalid, trap_tready, trap_full, fwtx_tlast, fwtx_tvalid, fwtx_tready;
  trap_meta_t   trap_meta;
  logic [7:0]   fwtx_vif, sent_vif, trap_drop_vif;
  logic         sent_valid, trap_drop_valid;
  logic [15:0]  sent_bytes;

  assign clearing = match_clearing || map_busy;
  assign irq_o[2] = ring_fault || fw_fault;
  assign idle_o   = !match_busy && !datapath_busy && !ring_busy && !clearing && !clear &&
                    !csr_busy && !s_axil_bvalid_o && !s_axil_rvalid_o && !mbox_valid;

  ps_csr u_csr (
    .clk_i,
    .rst_i,
    .flr_i,
    .time_skip_i,
    .s_axil_awaddr_i,
    .s_axil_awvalid_i,
    .s_axil_awready_o,
    .s_axil_wdata_i,
    .s_axil_wstrb_i,
    .s_axil_wvalid_i,
    .s_axil_wready_o,
    .s_axil_bresp_o,
    .s_axil_bvalid_o,
    .s_axil_bready_i,
    .s_axil_araddr_i,
    .s_axil_arvalid_i,
    .s_axil_arready_o,
    .s_axil_rdata_o,
    .s_axil_rresp_o,
    .s_axil_rvalid_o,
    .s_axil_rready_i,
    .busy_o            (csr_busy),
    .enable_o          (enable),
    .clear_o           (clear),
    .clearing_i        (clearing),
    .idle_i            (idle_o),
    .time_o            (card_time),
    .hash_key_o        (hash_key),
    .age_times_o       (age_times),
    .age_ports_o       (age_ports),
    .evictions_o       (evictions),
    .parity_errors_i   (parity_errors),
    .parity_last_i     (parity_last),
    .parity_inject_o   (parity_inject),
    .parity_injected_i (parity_injected),
    .cmd_cfg_o         (cmd_cfg),
    .cmd_consumer_i    (cmd_consumer),
    .ring_errors_i     (ring_errors),
    .ring_fault_i      (ring_fault),
    .ring_busy_i       (cmd_busy),
    .evt_cfg_o         (evt_cfg),
    .evt_producer_i    (evt_producer),
    .evt_dropped_i     (evt_dropped),
    .fw_i              (fw_view),
    .fw_o              (fw_ask),
    .evt_choice_o      (evt_choice),
    .mbox_valid_o      (mbox_valid),
    .mbox_request_o    (mbox_request),
    .mbox_arg_o        (mbox_arg),
    .mbox_reply_valid_i(mbox_reply_valid),
    .mbox_reply_i      (mbox_reply)
  );

  // Whoever may have work for the rings: the host by its registers or as it answers, the flow table, the soft core.
  logic ring_clk, host_acts;

  assign host_acts = csr_busy || s_axil_awvalid_i || s_axil_wvalid_i || s_axil_arvalid_i || s_axil_bvalid_o || s_axil_rvalid_o;

  ps_rest_clock u_ring_clock (
    .clk_i,
    .wake_i(rst_i || ring_busy || map_busy || clear || clearing || host_acts || flow_full || flow_evt_valid || flow_evt_lost != '0 || card_mark_valid ||
            fw_active_o ||
            m_axi_rvalid_i || m_axi_bvalid_i),
    .clk_o (ring_clk)
  );

  ps_ring u_ring (
    .clk_i         (ring_clk),
    .rst_i,
    .hold_i        (clearing || clear),
    .clear_i       (clear),
    .busy_o        (ring_busy),
    .map_busy_o    (map_busy),
    .cmd_busy_o    (cmd_busy),
    .cmd_cfg_i     (cmd_cfg),
    .cmd_consumer_o(cmd_consumer),
    .ring_errors_o (ring_errors),
    .ring_fault_o  (ring_fault),
    .evt_cfg_i     (evt_cfg),
    .evt_producer_o(evt_producer),
    .evt_dropped_o (evt_dropped),
    .irq_o         (irq_o[1:0]),
    .time_i        (card_time),
    .fw_status_i   (fw_view.status),
    .fw_info_i     (fw_view.info),
    .flow_full_i   (flow_full),
    .evt_kinds_i   (evt_choice.kinds),
    .flow_evt_valid_i(flow_evt_valid),
    .flow_evt_i      (flow_evt),
    .flow_evt_ready_o(flow_evt_ready),
    .flow_evt_lost_i (flow_evt_lost),
    .card_mark_valid_i(card_mark_valid),
    .card_mark_client_i(card_mark_client),
    .card_mark_index_i(card_mark_index),
    .card_mark_set_i  (card_mark_set),
    .card_mark_ready_o(card_mark_ready),
    .cfg_valid_o   (cfg_valid),
    .cfg_req_o     (cfg_req),
    .cfg_rsp_i     (cfg_rsp),
    .m_axi_awaddr_o,
    .m_axi_awlen_o,
    .m_axi_awvalid_o,
    .m_axi_awready_i,
    .m_axi_wdata_o,
    .m_axi_wstrb_o,
    .m_axi_wlast_o,
    .m_axi_wvalid_o,
    .m_axi_wready_i,
    .m_axi_bresp_i,
    .m_axi_bvalid_i,
    .m_axi_bready_o,
    .m_axi_araddr_o,
    .m_axi_arlen_o,
    .m_axi_arvalid_o,
    .m_axi_arready_i,
    .m_axi_rdata_i,
    .m_axi_rresp_i,
    .m_axi_rlast_i,
    .m_axi_rvalid_i,
    .m_axi_rready_o
  );

  logic datapath_clk;

  ps_rest_clock u_datapath_clock (
    .clk_i,
    .wake_i(rst_i || datapath_busy || s_fab_tvalid_i || s_host_tvalid_i || fwtx_tvalid || verdict_valid || gap),
    .clk_o (datapath_clk)
  );

  ps_datapath u_datapath (
    .clk_i            (datapath_clk),
    .rst_i,
    .s_fab_tdata_i,
    .s_fab_tkeep_i,
    .s_fab_tlast_i,
    .s_fab_tvalid_i,
    .s_fab_tready_o,
    .m_fab_tdata_o,
    .m_fab_tkeep_o,
    .m_fab_tlast_o,
    .m_fab_tvalid_o,
    .m_fab_tready_i,
    .s_host_tdata_i,
    .s_host_tkeep_i,
    .s_host_tlast_i,
    .s_host_tuser_i,
    .s_host_tvalid_i,
    .s_host_tready_o,
    .m_host_tdata_o,
    .m_host_tkeep_o,
    .m_host_tlast_o,
    .m_host_tuser_o,
    .m_host_tvalid_o,
    .m_host_tready_i,
    .hdr_valid_o      (hdr_valid),
    .hdr_o            (hdr),
    .verdict_valid_i  (verdict_valid),
    .verdict_i        (verdict),
    .fw_rx_tdata_o    (trap_tdata),
    .fw_rx_tkeep_o    (trap_tkeep),
    .fw_rx_tlast_o    (trap_tlast),
    .fw_rx_tvalid_o   (trap_tvalid),
    .fw_rx_tready_i   (trap_tready),
    .fw_rx_meta_o     (trap_meta),
    .fw_rx_full_i     (trap_full),
    .trap_drop_valid_o(trap_drop_valid),
    .trap_drop_vif_o  (trap_drop_vif),
    .fw_tx_tdata_i    (fwtx_tdata),
    .fw_tx_tkeep_i    (fwtx_tkeep),
    .fw_tx_tlast_i    (fwtx_tlast),
    .fw_tx_tvalid_i   (fwtx_tvalid),
    .fw_tx_tready_o   (fwtx_tready),
    .fw_tx_vif_i      (fwtx_vif),
    .fw_tx_valid_o    (sent_valid),
    .fw_tx_vif_o      (sent_vif),
    .fw_tx_bytes_o    (sent_bytes),
    .gap_i            (gap),
    .busy_o           (datapath_busy)
  );

  logic match_clk;

  // A register that is written may be one of those that say what goes from the flow table.
  ps_rest_clock u_match_clock (
    .clk_i,
    .wake_i(rst_i || match_busy || clear || match_clearing || cfg_valid || trap_drop_valid || sent_valid || s_axil_wvalid_i || s_axil_bvalid_o),
    .clk_o (match_clk)
  );

  ps_match u_match (
    .clk_i            (match_clk),
    .rst_i,
    .enable_i         (enable),
    .hdr_valid_i      (hdr_valid),
    .hdr_i            (hdr),
    .verdict_valid_o  (verdict_valid),
    .verdict_o        (verdict),
    .cfg_valid_i      (cfg_valid),
    .cfg_req_i        (cfg_req),
    .cfg_rsp_o        (cfg_rsp),
    .clear_i          (clear),
    .clearing_o       (match_clearing),
    .time_i           (card_time),
    .hash_key_i       (hash_key),
    .age_times_i      (age_times),
    .age_ports_i      (age_ports),
    .evictions_i      (evictions),
    .events_i         (evt_choice),
    .parity_inject_i  (parity_inject),
    .parity_injected_o(parity_injected),
    .parity_errors_o  (parity_errors),
    .parity_last_o    (parity_last),
    .trap_drop_valid_i(trap_drop_valid),
    .trap_drop_vif_i  (trap_drop_vif),
    .fw_tx_valid_i    (sent_valid),
    .fw_tx_vif_i      (sent_vif),
    .fw_tx_bytes_i    (sent_bytes),
    .flow_full_o      (flow_full),
    .flow_evt_valid_o (flow_evt_valid),
    .flow_evt_o       (flow_evt),
    .flow_evt_ready_i (flow_evt_ready),
    .flow_evt_lost_o  (flow_evt_lost),
    .card_mark_valid_o(card_mark_valid),
    .card_mark_client_o(card_mark_client),
    .card_mark_index_o(card_mark_index),
    .card_mark_set_o  (card_mark_set),
    .card_mark_ready_i(card_mark_ready),
    .gap_o            (gap),
    .busy_o           (match_busy)
  );

  ps_fw #(
    .FirmwareFile(FirmwareFile)
  ) u_fw (
    .clk_i,
    .rst_i,
    .clk_fw_i,
    .view_o            (fw_view),
    .ask_i             (fw_ask),
    .mbox_req_valid_i  (mbox_valid),
    .mbox_request_i    (mbox_request),
    .mbox_arg_i        (mbox_arg),
    .mbox_reply_valid_o(mbox_reply_valid),
    .mbox_reply_o      (mbox_reply),
    .time_i            (card_time),
    .rx_tdata_i        (trap_tdata),
    .rx_tkeep_i        (trap_tkeep),
    .rx_tlast_i        (trap_tlast),
    .rx_tvalid_i       (trap_tvalid),
    .rx_tready_o       (trap_tready),
    .rx_meta_i         (trap_meta),
    .rx_full_o         (trap_full),
    .tx_tdata_o        (fwtx_tdata),
    .tx_tkeep_o        (fwtx_tkeep),
    .tx_tlast_o        (fwtx_tlast),
    .tx_tvalid_o       (fwtx_tvalid),
    .tx_tready_i       (fwtx_tready),
    .tx_vif_o          (fwtx_vif),
    .fw_active_o,
    .fault_o           (fw_fault)
  );

`ifndef SYNTHESIS
  ps_axil_sva #(
    .AddrWidth(16)
  ) u_sva_axil (
    .clk_i,
    .rst_i,
    .awaddr_i (s_axil_awaddr_i),
    .awvalid_i(s_axil_awvalid_i),
    .awready_i(s_axil_awready_o),
    .wdata_i  (s_axil_wdata_i),
    .wstrb_i  (s_axil_wstrb_i),
    .wvalid_i (s_axil_wvalid_i),
    .wready_i (s_axil_wready_o),
    .bresp_i  (s_axil_bresp_o),
    .bvalid_i (s_axil_bvalid_o),
    .bready_i (s_axil_bready_i),
    .araddr_i (s_axil_araddr_i),
    .arvalid_i(s_axil_arvalid_i),
    .arready_i(s_axil_arready_o),
    .rdata_i  (s_axil_rdata_o),
    .rresp_i  (s_axil_rresp_o),
    .rvalid_i (s_axil_rvalid_o),
    .rready_i (s_axil_rready_i)
  );

  ps_axi_sva #(
    .Outstanding(16)
  ) u_sva_axi (
    .clk_i,
    .rst_i,
    .awaddr_i (m_axi_awaddr_o),
    .awlen_i  (m_axi_awlen_o),
    .awvalid_i(m_axi_awvalid_o),
    .awready_i(m_axi_awready_i),
    .wdata_i  (m_axi_wdata_o),
    .wstrb_i  (m_axi_wstrb_o),
    .wlast_i  (m_axi_wlast_o),
    .wvalid_i (m_axi_wvalid_o),
    .wready_i (m_axi_wready_i),
    .bresp_i  (m_axi_bresp_i),
    .bvalid_i (m_axi_bvalid_i),
    .bready_i (m_axi_bready_o),
    .araddr_i (m_axi_araddr_o),
    .arlen_i  (m_axi_arlen_o),
    .arvalid_i(m_axi_arvalid_o),
    .arready_i(m_axi_arready_i),
    .rdata_i  (m_axi_rdata_i),
    .rresp_i  (m_axi_rresp_i),
    .rlast_i  (m_axi_rlast_i),
    .rvalid_i (m_axi_rvalid_i),
    .rready_i (m_axi_rready_o)
  );
`endif

endmodule
