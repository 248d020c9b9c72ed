// The soft-core subsystem: an RV32IMC core with 64 KiB of RAM that runs the card's firmware, its registers, and
// its ways to the host (status words, mailbox) and to the data path (trapped frames in, frames out).
//
// Memory map and registers: penstock_abi::fw. The image is loaded by `+firmware=FILE` in simulation (words
// in $readmemh form), else from FirmwareFile.
//
// Clocks:   All ports belong to clk_i. The core runs on clk_fw_i, whose rising edges coincide with edges of clk_i, at
//           most every second one. clk_fw_i may stand still while fw_active_o is 0; it must run again from the
//           next legal edge once fw_active_o is 1 (a timer that expires, a mailbox request or a frame raises it).
// Reset:    rst_i (clk_i, one cycle is enough) stops the core; it starts 8 cycles of clk_fw_i after rst_i ended.
//           Function-level resets must not come here: the firmware survives them.
// Streams:  rx: rx_meta_i belongs to the first beat; ready whenever rx_full_o is 0; see ps_fw_rx. tx: see ps_fw_tx.
// Faults:   fault_o pulses when the status word becomes another of 0xdxxx_xxxx; frames are then refused
//           (rx_full_o), so that a dead firmware costs nothing but its own service.
module ps_fw
  import ps_types_pkg::trap_meta_t;
#(
  parameter FirmwareFile = ""
) (
  input  logic         clk_i,
  input  logic         rst_i,
  input  logic         clk_fw_i,

  output logic [31:0]  status_o,
  output logic [31:0]  info_o,
  output logic [31:0]  version_o,
  output logic [31:0]  heartbeat_o,

  input  logic         mbox_req_valid_i,    // pulse
  input  logic [31:0]  mbox_request_i,
  input  logic [31:0]  mbox_arg_i,
  output logic         mbox_reply_valid_o,  // pulse
  output logic [31:0]  mbox_reply_o,

  input  logic [63:0]  time_i,              // card time in cycles of clk_i

  input  logic [511:0] rx_tdata_i,
  input  logic [63:0]  rx_tkeep_i,
  input  logic         rx_tlast_i,
  input  logic         rx_tvalid_i,
  output logic         rx_tready_o,
  input  trap_meta_t   rx_meta_i,
  output logic         rx_full_o,

  output logic [511:0] tx_tdata_o,
  output logic [63:0]  tx_tkeep_o,
  output logic         tx_tlast_o,
  output logic         tx_tvalid_o,
  input  logic         tx_tready_i,
  output logic [7:0]   tx_vif_o,            // 0 = fabric

  output logic         fw_active_o,
  output logic         fault_o              // pulse
);

  // penstock_abi::fw::STATUS_READY, and the first digit of every status that tells a failure.
  localparam logic [31:0] StatusReady = 32'h6000_0002;
  localparam logic [3:0]  StatusFault = 4'hd;
  localparam int unsigned ResetCycles = 8;

  // The length comes with the metadata.
  logic unused_rx_tkeep;
  assign unused_rx_tkeep = ^rx_tkeep_i;

  // ------------------------------------------------------------------ reset
  // Stretched until clk_fw_i has risen often enough with it, which clk_i sees by a bit that toggles with
  // every edge; on the clk_i side it ends first.

  logic       tick_q, tick_seen_q, rst_req_q, rst_fw_q, started_q;
  logic [2:0] rst_count_q;

  always_ff @(posedge clk_i) begin
    tick_seen_q <= tick_q;
    if (rst_i) begin
      rst_req_q   <= 1'b1;
      rst_count_q <= '0;
    end else if (rst_req_q && tick_q != tick_seen_q) begin
      rst_count_q <= rst_count_q + 3'd1;
      if (rst_count_q == 3'(ResetCycles - 1)) rst_req_q <= 1'b0;
    end
  end

  always_ff @(posedge clk_fw_i) begin
    tick_q    <= !tick_q;
    rst_fw_q  <= rst_req_q;
    started_q <= !rst_fw_q && !rst_req_q;
  end

  logic rst_core;
  assign rst_core = rst_i || rst_req_q;

  // ------------------------------------------------------------------ core and registers

  logic        irq_timer, irq_external, irq_timer_q, irq_external_q, sleep;
  logic        mmio_req, mmio_we, mmio_err;
  logic [3:0]  mmio_be;
  logic [15:0] mmio_addr;
  logic [31:0] mmio_wdata, mmio_rdata;

  logic        mbox_pending, mbox_read, mbox_reply;
  logic [31:0] mbox_request, mbox_arg;

  logic [4:0]  rx_frames;
  logic        rx_pop, rx_meta_re, rx_win_re;
  logic [3:0]  rx_win_we;
  logic [31:0] rx_win_rdata;
  trap_meta_t  rx_head;

  logic        tx_free, tx_send, tx_win_re;
  logic [3:0]  tx_win_we;
  logic [31:0] tx_win_rdata;

  // The core's interrupts are registered on its own clock, which they must start first where it stands still (fw_active_o). They
  // end by the second cycle after the store or load that takes the cause away, before the core can leave its handler.
  assign irq_external = rx_frames != '0 || mbox_pending;

  always_ff @(posedge clk_fw_i) begin
    irq_timer_q    <= irq_timer;
    irq_external_q <= irq_external;
    if (rst_fw_q) begin
      irq_timer_q    <= 1'b0;
      irq_external_q <= 1'b0;
    end
  end

  ps_fw_cpu #(
    .FirmwareFile (FirmwareFile)
  ) u_cpu (
    .clk_i          (clk_fw_i),
    .rst_i          (rst_fw_q),
    .irq_timer_i    (irq_timer_q),
    .irq_external_i (irq_external_q),
    .sleep_o        (sleep),
    .mmio_req_o     (mmio_req),
    .mmio_we_o      (mmio_we),
    .mmio_be_o      (mmio_be),
    .mmio_addr_o    (mmio_addr),
    .mmio_wdata_o   (mmio_wdata),
    .mmio_rdata_i   (mmio_rdata),
    .mmio_err_i     (mmio_err)
  );

  ps_fw_regs u_regs (
    .clk_i,
    .clk_fw_i,
    .rst_fw_i       (rst_fw_q),
    .mmio_req_i     (mmio_req),
    .mmio_we_i      (mmio_we),
    .mmio_be_i      (mmio_be),
    .mmio_addr_i    (mmio_addr),
    .mmio_wdata_i   (mmio_wdata),
    .mmio_rdata_o   (mmio_rdata),
    .mmio_err_o     (mmio_err),
    .status_o,
    .info_o,
    .version_o,
    .heartbeat_o,
    .time_i,
    .irq_timer_o    (irq_timer),
    .mbox_pending_i (mbox_pending),
    .mbox_request_i (mbox_request),
    .mbox_arg_i     (mbox_arg),
    .mbox_read_o    (mbox_read),
    .mbox_reply_o   (mbox_reply),
    .rx_frames_i    (rx_frames),
    .rx_pop_o       (rx_pop),
    .rx_meta_re_o   (rx_meta_re),
    .rx_meta_i      (rx_head),
    .rx_win_re_o    (rx_win_re),
    .rx_win_we_o    (rx_win_we),
    .rx_win_rdata_i (rx_win_rdata),
    .tx_free_i      (tx_free),
    .tx_send_o      (tx_send),
    .tx_win_re_o    (tx_win_re),
    .tx_win_we_o    (tx_win_we),
    .tx_win_rdata_i (tx_win_rdata)
  );

  // ------------------------------------------------------------------ ways in and out

  ps_fw_mbox u_mbox (
    .clk_i,
    .rst_i         (rst_core),
    .clk_fw_i,
    .rst_fw_i      (rst_fw_q),
    .req_valid_i   (mbox_req_valid_i),
    .request_i     (mbox_request_i),
    .arg_i         (mbox_arg_i),
    .reply_valid_o (mbox_reply_valid_o),
    .reply_o       (mbox_reply_o),
    .pending_o     (mbox_pending),
    .request_o     (mbox_request),
    .arg_o         (mbox_arg),
    .read_i        (mbox_read),
    .reply_i       (mbox_reply),
    .reply_data_i  (mmio_wdata)
  );

  logic accept;
  assign accept = status_o == StatusReady && !rst_core;

  ps_fw_rx u_rx (
    .clk_i,
    .rst_i       (rst_core),
    .clk_fw_i,
    .rst_fw_i    (rst_fw_q),
    .rx_tdata_i,
    .rx_tlast_i,
    .rx_tvalid_i,
    .rx_tready_o,
    .rx_meta_i,
    .rx_full_o,
    .accept_i    (accept),
    .frames_o    (rx_frames),
    .pop_i       (rx_pop),
    .meta_re_i   (rx_meta_re),
    .meta_o      (rx_head),
    .win_re_i    (rx_win_re),
    .win_we_i    (rx_win_we),
    .win_addr_i  (mmio_addr[7:2]),
    .win_wdata_i (mmio_wdata),
    .win_rdata_o (rx_win_rdata)
  );

  ps_fw_tx u_tx (
    .clk_i,
    .rst_i       (rst_core),
    .clk_fw_i,
    .rst_fw_i    (rst_fw_q),
    .tx_tdata_o,
    .tx_tkeep_o,
    .tx_tlast_o,
    .tx_tvalid_o,
    .tx_tready_i,
    .tx_vif_o,
    .free_o      (tx_free),
    .send_i      (tx_send),
    .bytes_i     (mmio_wdata[15:0]),
    .vif_i       (mmio_wdata[23:16]),
    .win_re_i    (tx_win_re),
    .win_we_i    (tx_win_we),
    .win_addr_i  (mmio_addr[7:2]),
    .win_wdata_i (mmio_wdata),
    .win_rdata_o (tx_win_rdata)
  );

  // ------------------------------------------------------------------ what the outside sees

  logic [31:0] status_q;

  always_ff @(posedge clk_i) begin
    status_q <= status_o;
    fault_o  <= status_o != status_q && status_o[31:28] == StatusFault;
    if (rst_core) fault_o <= 1'b0;
  end

  // Also for an interrupt that has not reached its register yet. Whether it wakes the core, the core says (sleep).
  assign fw_active_o = rst_core || !started_q || !sleep || irq_timer != irq_timer_q || irq_external != irq_external_q;

endmodule
