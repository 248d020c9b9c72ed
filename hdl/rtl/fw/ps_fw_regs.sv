// The firmware's registers: decoder of its mmio port, status words, card time and timer.
//
// Offsets and meanings are those of penstock_abi::fw::Registers; the receive window lies at 0x1000, the
// transmit window at 0x2000. Registers are written whole; a narrower write, or an access where there is
// nothing, answers with a bus error.
//
// Handshake: mmio as in ps_fw_cpu: always taken, read data and error one cycle later.
// Clock:     clk_fw_i; only the timer's comparison runs on clk_i, since it must wake a clock that stands still.
// Reset:     rst_fw_i clears status words and disarms the timer. Which image runs (boot_o) outlives it, but for power-on and
//            for a host that wants the golden one; what decides that stands while rst_fw_i does.
module ps_fw_regs
  import ps_abi_pkg::*;
  import ps_types_pkg::trap_meta_t;
(
  input  logic        clk_i,
  input  logic        clk_fw_i,
  input  logic        rst_fw_i,

  input  logic        mmio_req_i,
  input  logic        mmio_we_i,
  input  logic [3:0]  mmio_be_i,
  input  logic [15:0] mmio_addr_i,
  input  logic [31:0] mmio_wdata_i,
  output logic [31:0] mmio_rdata_o,
  output logic        mmio_err_o,

  output logic [31:0] status_o,
  output logic [31:0] info_o,
  output logic [31:0] version_o,
  output logic [31:0] heartbeat_o,
  input  logic [63:0] time_i,         // cycles of clk_i
  output logic        irq_timer_o,

  input  logic [7:0]  cause_i,        // FwCause*
  input  logic        rollback_i,
  input  logic [7:0]  in_a_row_i,
  output logic [31:0] boot_o,
  output logic [31:0] pc_o,
  output logic        feed_toggle_o,
  output logic        well_toggle_o,
  output logic        again_toggle_o,
  output logic        trace_add_o,
  output logic [31:0] trace_event_o,
  output logic [31:0] trace_arg_o,

  input  logic        mbox_pending_i,
  input  logic [31:0] mbox_request_i,
  input  logic [31:0] mbox_arg_i,
  output logic        mbox_read_o,
  output logic        mbox_reply_o,

  input  logic [4:0]  rx_frames_i,
  output logic        rx_pop_o,
  output logic        rx_meta_re_o,
  input  trap_meta_t  rx_meta_i,
  output logic        rx_win_re_o,
  output logic [3:0]  rx_win_we_o,
  input  logic [31:0] rx_win_rdata_i,

  input  logic        tx_free_i,
  output logic        tx_send_o,
  output logic        tx_win_re_o,
  output logic [3:0]  tx_win_we_o,
  input  logic [31:0] tx_win_rdata_i
);

  // Offsets of penstock_abi::fw::Registers.
  localparam logic [7:0] Status      = 8'h00;
  localparam logic [7:0] Info        = 8'h04;
  localparam logic [7:0] Version     = 8'h08;
  localparam logic [7:0] Heartbeat   = 8'h0c;
  localparam logic [7:0] MboxPending = 8'h10;
  localparam logic [7:0] MboxRequest = 8'h14;
  localparam logic [7:0] MboxArg     = 8'h18;
  localparam logic [7:0] MboxReply   = 8'h1c;
  localparam logic [7:0] TimeLo      = 8'h20;
  localparam logic [7:0] TimeHi      = 8'h24;
  localparam logic [7:0] TimecmpLo   = 8'h28;
  localparam logic [7:0] TimecmpHi   = 8'h2c;
  localparam logic [7:0] RxFrames    = 8'h30;
  localparam logic [7:0] RxMeta      = 8'h34;
  localparam logic [7:0] RxPop       = 8'h38;
  localparam logic [7:0] TxFree      = 8'h3c;
  localparam logic [7:0] TxSend      = 8'h40;
  localparam logic [7:0] Watchdog    = 8'h44;
  localparam logic [7:0] Pc          = 8'h48;
  localparam logic [7:0] Boot        = 8'h4c;
  localparam logic [7:0] BootCause   = 8'h50;
  localparam logic [7:0] Restart     = 8'h54;
  localparam logic [7:0] TraceArg    = 8'h58;
  localparam logic [7:0] TraceEvent  = 8'h5c;

  // 256-byte pages of the mmio space.
  localparam logic [7:0] PageRegs = 8'h00;
  localparam logic [7:0] PageRx   = 8'h10;
  localparam logic [7:0] PageTx   = 8'h20;

  typedef enum logic [1:0] {FromReg, FromMeta, FromRx, FromTx} source_e;

  logic [31:0] status_q, info_q, version_q, heartbeat_q, time_hi_q, pc_q, boot_q, trace_arg_q, rdata_q;
  logic        feed_q, well_q, again_q, wr_q;
  logic [7:0]  wr_offset_q;
  logic [31:0] wr_data_q;
  logic [63:0] timecmp_q, now;
  logic [7:0]  page, offset;
  logic        reg_we, reg_re, err_d, err_q, irq_timer_q;
  source_e     source_d, source_q;

  // Kept apart for synthesis, which otherwise goes from the page to an enable in more steps than it has to.
  (* keep *) logic regs, reads, writes;

  // What is read, by word: as an array, so that synthesis chooses by the offset's bits and does not decode it for all of them, with what
  // enables the registers.
  logic [31:0][31:0] words;

  logic unused_addr;
  assign unused_addr = ^mmio_addr_i[1:0];  // the byte enables say it

  assign page   = mmio_addr_i[15:8];
  assign offset = {mmio_addr_i[7:2], 2'b00};
  assign regs   = page == PageRegs;
  assign reads  = mmio_req_i && !mmio_we_i;
  assign writes = mmio_req_i && mmio_we_i && (&mmio_be_i);
  assign reg_we = regs && writes;
  assign reg_re = regs && reads;
  assign now    = time_i >> FwTimeShift;

  always_comb begin
    words = '0;
    words[Status[6:2]]      = status_q;
    words[Info[6:2]]        = info_q;
    words[Version[6:2]]     = version_q;
    words[Heartbeat[6:2]]   = heartbeat_q;
    words[MboxPending[6:2]] = 32'(mbox_pending_i);
    words[MboxRequest[6:2]] = mbox_request_i;
    words[MboxArg[6:2]]     = mbox_arg_i;
    words[TimeLo[6:2]]      = now[31:0];
    words[TimeHi[6:2]]      = time_hi_q;
    words[TimecmpLo[6:2]]   = timecmp_q[31:0];
    words[TimecmpHi[6:2]]   = timecmp_q[63:32];
    words[RxFrames[6:2]]    = 32'(rx_frames_i);
    words[TxFree[6:2]]      = 32'(tx_free_i);
    words[Boot[6:2]]        = boot_q;
    words[BootCause[6:2]]   = {16'd0, in_a_row_i, cause_i};
  end

  always_comb begin
    err_d    = 1'b0;
    source_d = FromReg;
    unique case (page)
      PageRegs: begin
        err_d = offset > TraceEvent || (mmio_we_i && !(&mmio_be_i));
        if (offset == RxMeta) source_d = FromMeta;
      end
      PageRx:  source_d = FromRx;
      PageTx:  source_d = FromTx;
      default: err_d    = 1'b1;
    endcase
  end

  always_ff @(posedge clk_fw_i) begin
    if (mmio_req_i) begin
      rdata_q  <= words[offset[6:2]];
      err_q    <= err_d;
      source_q <= source_d;
    end
    if (reg_re && offset == TimeLo) time_hi_q <= now[63:32];
    // Registers change a cycle later: what comes from the core comes late in its cycle.
    wr_q        <= reg_we;
    wr_offset_q <= offset;
    wr_data_q   <= mmio_wdata_i;
    if (wr_q) begin
      unique case (wr_offset_q)
        Status:    status_q         <= wr_data_q;
        Info:      info_q           <= wr_data_q;
        Version:   version_q        <= wr_data_q;
        Heartbeat: heartbeat_q      <= wr_data_q;
        TimecmpLo: timecmp_q[31:0]  <= wr_data_q;
        TimecmpHi: timecmp_q[63:32] <= wr_data_q;
        Watchdog: begin
          feed_q <= !feed_q;
          if (wr_data_q[0]) well_q <= !well_q;
        end
        Pc:        pc_q             <= wr_data_q;
        Boot:      boot_q           <= wr_data_q;
        Restart:   again_q          <= !again_q;
        TraceArg:  trace_arg_q      <= wr_data_q;
        default: ;
      endcase
    end
    if (rst_fw_i) begin
      status_q    <= '0;
      info_q      <= '0;
      version_q   <= '0;
      heartbeat_q <= '0;
      timecmp_q   <= '1;
      wr_q        <= 1'b0;
      pc_q        <= '0;
      feed_q      <= 1'b0;
      well_q      <= 1'b0;
      again_q     <= 1'b0;
      if (cause_i == FwCausePowerOn) boot_q <= 32'(FwBootGolden);
      else if (rollback_i) boot_q <= 32'(FwBootRolledBack);
    end
  end

  always_comb begin
    unique case (source_q)
      FromMeta: mmio_rdata_o = {rx_meta_i.reason, rx_meta_i.vif, rx_meta_i.bytes};
      FromRx:   mmio_rdata_o = rx_win_rdata_i;
      FromTx:   mmio_rdata_o = tx_win_rdata_i;
      default:  mmio_rdata_o = rdata_q;
    endcase
  end

  assign mmio_err_o   = err_q;
  assign mbox_read_o  = reg_re && offset == MboxRequest;
  assign mbox_reply_o = reg_we && offset == MboxReply;
  assign rx_pop_o     = reg_we && offset == RxPop;
  assign rx_meta_re_o = reg_re && offset == RxMeta;
  assign tx_send_o    = reg_we && offset == TxSend;
  assign rx_win_re_o  = mmio_req_i && page == PageRx && !mmio_we_i;
  assign rx_win_we_o  = (mmio_req_i && page == PageRx && mmio_we_i) ? mmio_be_i : '0;
  assign tx_win_re_o  = mmio_req_i && page == PageTx && !mmio_we_i;
  assign tx_win_we_o  = (mmio_req_i && page == PageTx && mmio_we_i) ? mmio_be_i : '0;

  // One cycle of clk_i behind, which is less than one of clk_fw_i: the firmware never sees a stale interrupt.
  always_ff @(posedge clk_i) irq_timer_q <= now >= timecmp_q;

  assign irq_timer_o = irq_timer_q;
  assign status_o    = status_q;
  assign info_o      = info_q;
  assign version_o   = version_q;
  assign heartbeat_o = heartbeat_q;
  assign boot_o      = boot_q;
  assign pc_o        = pc_q;
  assign trace_arg_o = trace_arg_q;

  assign trace_add_o   = wr_q && wr_offset_q == TraceEvent;
  assign trace_event_o = wr_data_q;

  assign feed_toggle_o  = feed_q;
  assign well_toggle_o  = well_q;
  assign again_toggle_o = again_q;

endmodule
