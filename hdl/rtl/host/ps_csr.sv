// Registers of BAR 0 behind an AXI4-Lite slave.
//
// Contract:   one access at a time; a write is taken when address and data are both there, with all strobes
//             set (others are answered and ignored). Reads and writes of unknown addresses are answered with 0 / OKAY.
// Latency:    response valid one cycle after the request is taken.
// Reset:      rst_i (power-on) resets everything. flr_i (function-level reset) resets only what
//             ps_abi marks as cleared by it: rings, mailbox, scratch. The data path goes on.
// Time:       time_o counts core cycles, plus time_skip_i in each cycle (a simulation lets idle time pass so).
module ps_csr
  import ps_abi_pkg::*;
  import ps_types_pkg::*;
(
  input  logic        clk_i,
  input  logic        rst_i,
  input  logic        flr_i,
  input  logic [63:0] time_skip_i,

  // AXI4-Lite slave
  input  logic [15:0] s_axil_awaddr_i,
  input  logic        s_axil_awvalid_i,
  output logic        s_axil_awready_o,
  input  logic [31:0] s_axil_wdata_i,
  input  logic [3:0]  s_axil_wstrb_i,
  input  logic        s_axil_wvalid_i,
  output logic        s_axil_wready_o,
  output logic [1:0]  s_axil_bresp_o,
  output logic        s_axil_bvalid_o,
  input  logic        s_axil_bready_i,
  input  logic [15:0] s_axil_araddr_i,
  input  logic        s_axil_arvalid_i,
  output logic        s_axil_arready_o,
  output logic [31:0] s_axil_rdata_o,
  output logic [1:0]  s_axil_rresp_o,
  output logic        s_axil_rvalid_o,
  input  logic        s_axil_rready_i,

  // Card
  output logic        enable_o,      // data path forwards
  output logic        clear_o,       // pulse: clear all tables
  input  logic        clearing_i,
  input  logic        idle_i,
  output logic [63:0] time_o,

  // Rings
  output ring_cfg_t   cmd_cfg_o,
  input  logic [31:0] cmd_consumer_i,
  input  logic [31:0] ring_errors_i,
  input  logic        ring_fault_i,  // pulse: the command ring stopped (bus error, CMD_PRODUCER beyond the ring)
  output ring_cfg_t   evt_cfg_o,
  input  logic [31:0] evt_producer_i,
  input  logic [31:0] evt_dropped_i,

  // Firmware
  input  logic [31:0] fw_status_i,
  input  logic [31:0] fw_info_i,
  input  logic [31:0] fw_version_i,
  input  logic [31:0] fw_heartbeat_i,
  output logic        mbox_valid_o,  // pulse
  output logic [31:0] mbox_request_o,
  output logic [31:0] mbox_arg_o,
  input  logic        mbox_reply_valid_i,
  input  logic [31:0] mbox_reply_i
);

  logic        wr_en;
  logic [15:0] wr_addr;
  logic [31:0] wr_data;
  logic        bvalid_q, rvalid_q;
  logic [31:0] rdata_q, rdata_d;
  logic        rd_en;

  assign s_axil_awready_o = s_axil_awvalid_i && s_axil_wvalid_i && !bvalid_q;
  assign s_axil_wready_o  = s_axil_awready_o;
  assign s_axil_bresp_o   = 2'b00;
  assign s_axil_bvalid_o  = bvalid_q;
  assign wr_en            = s_axil_awready_o && (s_axil_wstrb_i == 4'hf);
  assign wr_addr          = s_axil_awaddr_i;
  assign wr_data          = s_axil_wdata_i;

  assign rd_en            = s_axil_arvalid_i && !rvalid_q;
  assign s_axil_arready_o = !rvalid_q;
  assign s_axil_rresp_o   = 2'b00;
  assign s_axil_rvalid_o  = rvalid_q;
  assign s_axil_rdata_o   = rdata_q;

  always_ff @(posedge clk_i) begin
    if (rst_i) begin
      bvalid_q <= 1'b0;
      rvalid_q <= 1'b0;
    end else begin
      bvalid_q <= s_axil_awready_o || (bvalid_q && !s_axil_bready_i);
      rvalid_q <= rd_en || (rvalid_q && !s_axil_rready_i);
    end
    if (rd_en) rdata_q <= rdata_d;
  end

  // Registers that only power-on resets.
  logic        enable_q;
  logic [31:0] reset_cause_q, flr_count_q, epoch_q;
  logic [63:0] time_q;
  logic [31:0] time_hi_q;
  // Registers that a function-level reset clears too.
  logic [31:0] scratch_q, mbox_request_q, mbox_arg_q, mbox_reply_q;
  logic        mbox_ready_q, mbox_pending_q, mbox_valid_q, clear_q, ring_fault_q;
  ring_cfg_t   cmd_q, evt_q;
  // The rings' own counts go on until they start again; a reset hides them until then.
  logic        cmd_counts_q, evt_counts_q;

  always_ff @(posedge clk_i) begin
    mbox_valid_q <= 1'b0;
    clear_q      <= 1'b0;
    cmd_q.start  <= 1'b0;
    evt_q.start  <= 1'b0;
    time_q       <= time_q + 64'd1 + time_skip_i;
    if (rd_en && s_axil_araddr_i == RegTimeLo) time_hi_q <= time_q[63:32];

    if (mbox_reply_valid_i && mbox_pending_q) begin
      mbox_ready_q   <= 1'b1;
      mbox_pending_q <= 1'b0;
      mbox_reply_q   <= mbox_reply_i;
    end
    if (ring_fault_i) begin
      ring_fault_q <= 1'b1;
      cmd_q.enable <= 1'b0;
    end

    if (wr_en) begin
      unique case (wr_addr)
        RegScratch:     scratch_q <= wr_data;
        RegControl:     enable_q <= wr_data[0];
        RegClear: if (wr_data == ClearKey) begin
          clear_q <= 1'b1;
          epoch_q <= '0;
        end
        RegEpoch:       epoch_q <= wr_data;
        RegCmdBaseLo:   cmd_q.base[31:0] <= {wr_data[31:6], 6'd0};
        RegCmdBaseHi:   cmd_q.base[63:32] <= wr_data;
        RegCplBaseLo:   cmd_q.cpl_base[31:0] <= {wr_data[31:6], 6'd0};
        RegCplBaseHi:   cmd_q.cpl_base[63:32] <= wr_data;
        RegRingLog2:    cmd_q.log2 <= ring_log2(wr_data);
        RegRingEnable: begin
          cmd_q.enable <= wr_data[0];
          if (wr_data[0] && !cmd_q.enable) begin
            cmd_q.start  <= 1'b1;
            cmd_q.count  <= '0;
            cmd_counts_q <= 1'b1;
            ring_fault_q <= 1'b0;
          end
        end
        RegCmdProducer: cmd_q.count <= wr_data;
        RegEvtBaseLo:   evt_q.base[31:0] <= {wr_data[31:6], 6'd0};
        RegEvtBaseHi:   evt_q.base[63:32] <= wr_data;
        RegEvtLog2:     evt_q.log2 <= ring_log2(wr_data);
        RegEvtEnable: begin
          evt_q.enable <= wr_data[0];
          if (wr_data[0] && !evt_q.enable) begin
            evt_q.start  <= 1'b1;
            evt_q.count  <= '0;
            evt_counts_q <= 1'b1;
          end
        end
        RegEvtConsumer: evt_q.count <= wr_data;
        RegMboxArg:     mbox_arg_q <= wr_data;
        RegMboxRequest: begin
          mbox_request_q <= wr_data;
          mbox_valid_q   <= 1'b1;
          mbox_pending_q <= 1'b1;
          mbox_ready_q   <= 1'b0;
        end
        default: ;
      endcase
    end

    if (flr_i || rst_i) begin
      scratch_q      <= '0;
      cmd_q          <= '0;
      cmd_q.log2     <= 5'(RingLog2Min);
      evt_q          <= '0;
      evt_q.log2     <= 5'(RingLog2Min);
      cmd_counts_q   <= 1'b0;
      evt_counts_q   <= 1'b0;
      ring_fault_q   <= 1'b0;
      mbox_request_q <= '0;
      mbox_arg_q     <= '0;
      mbox_reply_q   <= '0;
      mbox_ready_q   <= 1'b0;
      mbox_pending_q <= 1'b0;
      mbox_valid_q   <= 1'b0;
      clear_q        <= 1'b0;
    end
    if (rst_i) begin
      enable_q      <= 1'b0;
      reset_cause_q <= 32'd1;
      flr_count_q   <= '0;
      epoch_q       <= '0;
      time_q        <= '0;
      time_hi_q     <= '0;
    end else if (flr_i) begin
      reset_cause_q <= 32'd2;
      flr_count_q   <= flr_count_q + 32'd1;
    end
  end

  // A ring of a size the layout does not allow is clamped, so that no address outside it is ever touched.
  function automatic logic [4:0] ring_log2(input logic [31:0] value);
    if (value < RingLog2Min) ring_log2 = 5'(RingLog2Min);
    else if (value > RingLog2Max) ring_log2 = 5'(RingLog2Max);
    else ring_log2 = value[4:0];
  endfunction

  always_comb begin
    unique case (s_axil_araddr_i)
      RegMagic:         rdata_d = MagicValue;
      RegLayoutVersion: rdata_d = LayoutVersion;
      RegLayoutHashLo:  rdata_d = LayoutHash[31:0];
      RegLayoutHashHi:  rdata_d = LayoutHash[63:32];
      RegClockKhz:      rdata_d = 32'(CoreClockKhz);
      RegScratch:       rdata_d = scratch_q;
      RegCapabilities:  rdata_d = Capabilities;
      RegControl:       rdata_d = {31'd0, enable_q};
      RegStatus:        rdata_d = {29'd0, ring_fault_q, idle_i, clearing_i};
      RegResetCause:    rdata_d = reset_cause_q;
      RegFlrCount:      rdata_d = flr_count_q;
      RegEpoch:         rdata_d = epoch_q;
      RegTimeLo:        rdata_d = time_q[31:0];
      RegTimeHi:        rdata_d = time_hi_q;
      RegCmdBaseLo:     rdata_d = cmd_q.base[31:0];
      RegCmdBaseHi:     rdata_d = cmd_q.base[63:32];
      RegCplBaseLo:     rdata_d = cmd_q.cpl_base[31:0];
      RegCplBaseHi:     rdata_d = cmd_q.cpl_base[63:32];
      RegRingLog2:      rdata_d = 32'(cmd_q.log2);
      RegRingEnable:    rdata_d = {31'd0, cmd_q.enable};
      RegCmdProducer:   rdata_d = cmd_q.count;
      RegCmdConsumer:   rdata_d = cmd_counts_q ? cmd_consumer_i : '0;
      RegRingErrors:    rdata_d = cmd_counts_q ? ring_errors_i : '0;
      RegEvtBaseLo:     rdata_d = evt_q.base[31:0];
      RegEvtBaseHi:     rdata_d = evt_q.base[63:32];
      RegEvtLog2:       rdata_d = 32'(evt_q.log2);
      RegEvtEnable:     rdata_d = {31'd0, evt_q.enable};
      RegEvtProducer:   rdata_d = evt_counts_q ? evt_producer_i : '0;
      RegEvtConsumer:   rdata_d = evt_q.count;
      RegEvtDropped:    rdata_d = evt_counts_q ? evt_dropped_i : '0;
      RegFwStatus:      rdata_d = fw_status_i;
      RegFwInfo:        rdata_d = fw_info_i;
      RegFwVersion:     rdata_d = fw_version_i;
      RegFwHeartbeat:   rdata_d = fw_heartbeat_i;
      RegMboxRequest:   rdata_d = mbox_request_q;
      RegMboxArg:       rdata_d = mbox_arg_q;
      RegMboxReady:     rdata_d = {31'd0, mbox_ready_q};
      RegMboxReply:     rdata_d = mbox_reply_q;
      default:          rdata_d = size_register(s_axil_araddr_i);
    endcase
  end

  assign enable_o       = enable_q;
  assign clear_o        = clear_q;
  assign time_o         = time_q;
  assign cmd_cfg_o      = cmd_q;
  assign evt_cfg_o      = evt_q;
  assign mbox_valid_o   = mbox_valid_q;
  assign mbox_request_o = mbox_request_q;
  assign mbox_arg_o     = mbox_arg_q;

endmodule
