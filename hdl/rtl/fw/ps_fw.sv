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
// Restart:  the watchdog (ps_fw_watchdog) resets the core alone, likewise for 8 cycles, when it does not live, or on request. No
//           stream is cut: frames that were with it are gone and counted, one that is being sent ends first. Which image runs, what
//           is known of its death and the trace outlive it.
// Streams:  rx: rx_meta_i belongs to the first beat; ready whenever rx_full_o is 0; see ps_fw_rx. tx: see ps_fw_tx.
// Faults:   fault_o pulses when the status word becomes another of 0xdxxx_xxxx, and when the watchdog restarts the core; frames are
//           refused (rx_full_o) until the firmware runs, so that a dead one costs nothing but its own service.
module ps_fw
  import ps_abi_pkg::*;
  import ps_types_pkg::*;
#(
  parameter FirmwareFile = ""
) (
  input  logic         clk_i,
  input  logic         rst_i,
  input  logic         clk_fw_i,

  output fw_view_t     view_o,
  input  fw_ask_t      ask_i,

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

  logic       tick_q, tick_seen_q, rst_req_q, rst_fw_q, started_q, restart, bite;
  logic [2:0] rst_count_q;

  always_ff @(posedge clk_i) begin
    tick_seen_q <= tick_q;
    if (rst_i || restart) begin
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
  assign rst_core = rst_i || rst_req_q || restart;

  // ------------------------------------------------------------------ core and registers

  logic        irq_timer, irq_external, irq_timer_q, irq_external_q, sleep;
  logic        mmio_req, mmio_we, mmio_err;
  logic [3:0]  mmio_be;
  logic [15:0] mmio_addr;
  logic [31:0] mmio_wdata, mmio_rdata, fetch;

  logic [31:0] status, info, version, heartbeat, boot, pc, trace_event, trace_arg, trace_count, rx_lost;
  logic        feed_toggle, well_toggle, again_toggle, trace_add, watchdog_awake, rollback, tx_quiet;
  logic [7:0]  cause, in_a_row;
  fw_death_t   death;
  fw_trace_t   trace;

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
    .fetch_o        (fetch),
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
    .status_o       (status),
    .info_o         (info),
    .version_o      (version),
    .heartbeat_o    (heartbeat),
    .time_i,
    .irq_timer_o    (irq_timer),
    .cause_i        (cause),
    .rollback_i     (rollback),
    .in_a_row_i     (in_a_row),
    .boot_o         (boot),
    .pc_o           (pc),
    .feed_toggle_o  (feed_toggle),
    .well_toggle_o  (well_toggle),
    .again_toggle_o (again_toggle),
    .trace_add_o    (trace_add),
    .trace_event_o  (trace_event),
    .trace_arg_o    (trace_arg),
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

  // ------------------------------------------------------------------ what outlives the core

  ps_fw_watchdog u_watchdog (
    .clk_i,
    .rst_i,
    .hold_i          (rst_core),
    .tick_i          (tick_q != tick_seen_q),
    .time_i,
    .quiet_i         (tx_quiet),
    .feed_toggle_i   (feed_toggle),
    .well_toggle_i   (well_toggle),
    .again_toggle_i  (again_toggle),
    .host_restart_i  (ask_i.restart),
    .host_rollback_i (ask_i.rollback),
    .status_i        (status),
    .info_i          (info),
    .pc_i            (pc),
    .fetch_i         (fetch),
    .restart_o       (restart),
    .bite_o          (bite),
    .awake_o         (watchdog_awake),
    .cause_o         (cause),
    .rollback_o      (rollback),
    .in_a_row_o      (in_a_row),
    .death_o         (death)
  );

  ps_fw_trace u_trace (
    .clk_i,
    .clk_fw_i,
    .new_i      (rst_fw_q && cause == FwCausePowerOn),
    .add_i      (trace_add),
    .event_i    (trace_event),
    .arg_i      (trace_arg),
    .time_i,
    .count_o    (trace_count),
    .at_valid_i (ask_i.trace_valid),
    .at_i       (ask_i.trace_at),
    .entry_o    (trace)
  );

  // ------------------------------------------------------------------ ways in and out

  ps_fw_mbox u_mbox (
    .clk_i,
    .rst_i,
    .restart_i     (rst_core),
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
  assign accept = status == StatusReady && !rst_core;

  ps_fw_rx u_rx (
    .clk_i,
    .rst_i,
    .restart_i   (rst_core),
    .clk_fw_i,
    .rst_fw_i    (rst_fw_q),
    .rx_tdata_i,
    .rx_tlast_i,
    .rx_tvalid_i,
    .rx_tready_o,
    .rx_meta_i,
    .rx_full_o,
    .accept_i    (accept),
    .lost_o      (rx_lost),
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
    .quiet_o     (tx_quiet),
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
    status_q <= status;
    fault_o  <= bite || (status != status_q && status[31:28] == StatusFault && !rst_core);
    if (rst_i) fault_o <= 1'b0;
  end

  assign view_o = '{status: status, info: info, version: version, heartbeat: heartbeat, boot: boot, boot_cause: {in_a_row, cause},
                    rx_lost: rx_lost, death: death, trace_count: trace_count, trace: trace};

  // Also for an interrupt that has not reached its register yet. Whether it wakes the core, the core says (sleep).
  assign fw_active_o = rst_core || !started_q || watchdog_awake || !sleep || irq_timer != irq_timer_q || irq_external != irq_external_q;

endmodule
