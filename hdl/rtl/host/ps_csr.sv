// Registers of BAR 0 behind an AXI4-Lite slave.
//
// Contract:   one access at a time; a write is taken when address and data are both there, with all strobes
//             set (others are answered and ignored). Reads and writes of unknown addresses are answered with 0 / OKAY.
// Latency:    a write is done three cycles after it is taken, with its response; a read shows the registers of two cycles after it is
//             taken, with its response another two later.
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
  output logic        busy_o,        // a write or a reset is under way

  // Card
  output logic        enable_o,      // data path forwards
  output logic        clear_o,       // pulse: clear all tables
  input  logic        clearing_i,
  input  logic        idle_i,
  output logic [63:0] time_o,
  output age_times_t  age_times_o,
  output age_port_t [7:0] age_ports_o,
  output evictions_t  evictions_o,
  output logic [191:0] hash_key_o,   // secret of the flow table's hash; nobody reads it back
  input  logic [31:0] parity_errors_i,
  input  logic [31:0] parity_last_i,
  output logic        parity_inject_o,   // the next write stores the wrong parity
  input  logic        parity_injected_i, // pulse: it has

  // Rings
  output ring_cfg_t   cmd_cfg_o,
  input  logic [31:0] cmd_consumer_i,
  input  logic [31:0] ring_errors_i,
  input  logic        ring_fault_i,  // pulse: the command ring stopped (bus error, CMD_PRODUCER beyond the ring)
  input  logic        ring_busy_i,   // something of the command ring is under way
  output ring_cfg_t   evt_cfg_o,
  input  logic [31:0] evt_producer_i,
  input  logic [31:0] evt_dropped_i,
  output event_choice_t evt_choice_o,

  // Firmware
  input  fw_view_t    fw_i,
  output fw_ask_t     fw_o,
  output logic        mbox_valid_o,  // pulse
  output logic [31:0] mbox_request_o,
  output logic [31:0] mbox_arg_o,
  input  logic        mbox_reply_valid_i,
  input  logic [31:0] mbox_reply_i
);

  // --- Accesses: taken into registers, decoded into one bit a register, carried out
  localparam int unsigned RegWords = 512;   // words that are decoded; beyond them nothing is

  typedef logic [RegWords-1:0] select_t;

  // Which word an address selects; none if it is beyond them or not a word's.
  function automatic select_t select(input logic [15:0] address);
    select = '0;
    if (address[15:11] == '0 && address[1:0] == '0) select[address[10:2]] = 1'b1;
  endfunction

  /* verilator lint_off UNUSEDSIGNAL */  // of the offset those of the words that are decoded
  function automatic logic [8:0] word(input logic [15:0] register);
    word = register[10:2];
  endfunction
  /* verilator lint_on UNUSEDSIGNAL */

  logic        reset_q, flr_q, halt;
  logic        wr_take, wr_q, wr_go_q, bvalid_q, wr_strobes_q;
  logic [15:0] wr_addr_q, rd_addr_q;
  logic [31:0] wr_data_q, wdata_q;
  logic        wlarge_q;  // what is written is 32 or more
  logic        wkey_q;    // it is the key to clear
  logic        winject_q; // it is that to store a wrong parity
  logic        wrestart_q, wrollback_q;  // it is one of those to restart the firmware
  select_t     wr_sel_q, rd_sel_q;
  logic        rd_take, rd_q, rd_go_q, rd_have_q, rvalid_q;

  // A function-level reset throws away what is on its way.
  assign halt             = flr_i || reset_q;
  assign wr_take          = s_axil_awvalid_i && s_axil_wvalid_i && !wr_q && !wr_go_q && !bvalid_q && !halt;
  assign s_axil_awready_o = wr_take;
  assign s_axil_wready_o  = wr_take;
  assign s_axil_bresp_o   = 2'b00;
  assign s_axil_bvalid_o  = bvalid_q;

  assign s_axil_arready_o = !rd_q && !rd_go_q && !rd_have_q && !rvalid_q;
  assign rd_take          = s_axil_arvalid_i && s_axil_arready_o;
  assign s_axil_rresp_o   = 2'b00;
  assign s_axil_rvalid_o  = rvalid_q;

  assign busy_o           = wr_q || wr_go_q || halt;

  always_ff @(posedge clk_i) begin
    reset_q      <= flr_i || rst_i;
    flr_q        <= flr_i && !rst_i;
    wr_q         <= wr_take;
    wr_addr_q    <= s_axil_awaddr_i;
    wr_data_q    <= s_axil_wdata_i;
    wr_strobes_q <= s_axil_wstrb_i == 4'hf;
    wr_go_q      <= wr_q;
    // None is selected but for the cycle after wr_q, so it moves only for a write and the cycle after.
    if (wr_q || wr_go_q || reset_q) wr_sel_q <= wr_q && wr_strobes_q && !halt ? select(wr_addr_q) : '0;
    wdata_q      <= wr_data_q;
    wlarge_q     <= wr_data_q[31:5] != '0;
    wkey_q       <= wr_data_q == ClearKey;
    winject_q    <= wr_data_q == ParityInjectKey;
    wrestart_q   <= wr_data_q == FwRestartKey;
    wrollback_q  <= wr_data_q == FwRollbackKey;
    bvalid_q     <= wr_go_q || (bvalid_q && !s_axil_bready_i);
    rd_q         <= rd_take;
    rd_addr_q    <= s_axil_araddr_i;
    rd_go_q      <= rd_q;
    if (rd_q || rd_go_q || reset_q) rd_sel_q <= rd_q ? select(rd_addr_q) : '0;
    rd_have_q    <= rd_go_q;
    rvalid_q     <= rd_have_q || (rvalid_q && !s_axil_rready_i);
    if (rst_i) begin
      wr_q      <= 1'b0;
      wr_go_q   <= 1'b0;
      bvalid_q  <= 1'b0;
      rd_q      <= 1'b0;
      rd_go_q   <= 1'b0;
      rd_have_q <= 1'b0;
      rvalid_q  <= 1'b0;
    end
  end

  // Registers that only power-on resets.
  logic        enable_q;
  logic [31:0] reset_cause_q, flr_count_q, epoch_q;
  logic [63:0] time_q;
  logic [5:0][31:0] hash_key_q;
  age_times_t  age_q;
  age_port_t [7:0] age_ports_q;
  evictions_t  evictions_q;
  logic [31:0] time_hi_q;
  // Registers that a function-level reset clears too.
  logic [31:0] scratch_q, mbox_request_q, mbox_arg_q, mbox_reply_q;
  logic        mbox_ready_q, mbox_pending_q, mbox_valid_q, clear_q, ring_fault_q, inject_q;
  ring_cfg_t   cmd_q, evt_q;
  fw_ask_t     fw_ask_q;
  logic [31:0] evt_kinds_q;
  logic [3:0]  evt_sample_q;
  // The rings' own counts go on until they start again; a reset hides them until then.
  logic        cmd_counts_q, evt_counts_q;

  always_ff @(posedge clk_i) begin
    mbox_valid_q <= 1'b0;
    fw_ask_q.restart     <= wr_sel_q[word(RegFwRestart)] && wrestart_q;
    fw_ask_q.rollback    <= wr_sel_q[word(RegFwRestart)] && wrollback_q;
    fw_ask_q.trace_valid <= wr_sel_q[word(RegFwTraceAt)];
    clear_q      <= 1'b0;
    cmd_q.start  <= 1'b0;
    evt_q.start  <= 1'b0;
    time_q       <= time_q + 64'd1 + time_skip_i;
    if (rd_sel_q[word(RegTimeLo)]) time_hi_q <= time_q[63:32];

    if (mbox_reply_valid_i && mbox_pending_q) begin
      mbox_ready_q   <= 1'b1;
      mbox_pending_q <= 1'b0;
      mbox_reply_q   <= mbox_reply_i;
    end
    if (ring_fault_i) begin
      ring_fault_q <= 1'b1;
      cmd_q.enable <= 1'b0;
    end

    if (wr_sel_q[word(RegScratch)]) scratch_q <= wdata_q;
    if (wr_sel_q[word(RegControl)]) enable_q <= wdata_q[0];
    if (wr_sel_q[word(RegClear)] && wkey_q) begin
      clear_q <= 1'b1;
      epoch_q <= '0;
    end
    if (wr_sel_q[word(RegEpoch)]) epoch_q <= wdata_q;
    if (parity_injected_i) inject_q <= 1'b0;
    if (wr_sel_q[word(RegParityInject)]) inject_q <= winject_q;
    for (int unsigned i = 0; i < 6; i++) begin
      if (wr_sel_q[word(RegHashKey0 + 16'(4 * i))]) hash_key_q[i] <= wdata_q;
    end
    for (int unsigned i = 0; i < 8; i++) begin
      if (wr_sel_q[word(RegFlowAge0 + 16'(4 * i))]) age_q.states[i] <= wdata_q;
      if (wr_sel_q[word(RegFlowAgePort0 + 16'(4 * i))]) age_ports_q[i] <= {wdata_q[31], wdata_q[23:0]};
      if (wr_sel_q[word(RegFlowAgeByPort0 + 16'(4 * i))]) age_q.by_port[i] <= wdata_q;
      if (wr_sel_q[word(RegFlowKeep0 + 16'(4 * i))]) evictions_q.states[i] <= wdata_q;
    end
    for (int unsigned i = 0; i < 3; i++) begin
      if (wr_sel_q[word(RegFlowPressure1 + 16'(4 * i))]) evictions_q.above[i] <= wdata_q;
    end
    if (wr_sel_q[word(RegFlowKeepPlain)]) evictions_q.plain <= wdata_q;
    if (wr_sel_q[word(RegCmdBaseLo)]) cmd_q.base[31:0] <= {wdata_q[31:6], 6'd0};
    if (wr_sel_q[word(RegCmdBaseHi)]) cmd_q.base[63:32] <= wdata_q;
    if (wr_sel_q[word(RegCplBaseLo)]) cmd_q.cpl_base[31:0] <= {wdata_q[31:6], 6'd0};
    if (wr_sel_q[word(RegCplBaseHi)]) cmd_q.cpl_base[63:32] <= wdata_q;
    if (wr_sel_q[word(RegRingLog2)]) cmd_q.log2 <= ring_log2(wlarge_q, wdata_q[4:0]);
    if (wr_sel_q[word(RegRingEnable)]) begin
      cmd_q.enable <= wdata_q[0];
      if (wdata_q[0] && !cmd_q.enable) begin
        cmd_q.start  <= 1'b1;
        cmd_q.count  <= '0;
        cmd_counts_q <= 1'b1;
        ring_fault_q <= 1'b0;
      end
    end
    if (wr_sel_q[word(RegCmdProducer)]) cmd_q.count <= wdata_q;
    if (wr_sel_q[word(RegEvtBaseLo)]) evt_q.base[31:0] <= {wdata_q[31:6], 6'd0};
    if (wr_sel_q[word(RegEvtBaseHi)]) evt_q.base[63:32] <= wdata_q;
    if (wr_sel_q[word(RegEvtLog2)]) evt_q.log2 <= ring_log2(wlarge_q, wdata_q[4:0]);
    if (wr_sel_q[word(RegEvtEnable)]) begin
      evt_q.enable <= wdata_q[0];
      if (wdata_q[0] && !evt_q.enable) begin
        evt_q.start  <= 1'b1;
        evt_q.count  <= '0;
        evt_counts_q <= 1'b1;
      end
    end
    if (wr_sel_q[word(RegEvtConsumer)]) evt_q.count <= wdata_q;
    if (wr_sel_q[word(RegFwTraceAt)]) fw_ask_q.trace_at <= wdata_q;
    if (wr_sel_q[word(RegEvtKinds)]) evt_kinds_q <= wdata_q;
    if (wr_sel_q[word(RegEvtSample)]) evt_sample_q <= wdata_q[3:0];
    if (wr_sel_q[word(RegMboxArg)]) mbox_arg_q <= wdata_q;
    if (wr_sel_q[word(RegMboxRequest)]) begin
      mbox_request_q <= wdata_q;
      mbox_valid_q   <= 1'b1;
      mbox_pending_q <= 1'b1;
      mbox_ready_q   <= 1'b0;
    end

    if (reset_q) begin
      scratch_q      <= '0;
      cmd_q          <= '0;
      cmd_q.log2     <= 5'(RingLog2Min);
      evt_q          <= '0;
      evt_q.log2     <= 5'(RingLog2Min);
      evt_kinds_q    <= EvtKindsFirst;
      evt_sample_q   <= '0;
      cmd_counts_q   <= 1'b0;
      evt_counts_q   <= 1'b0;
      ring_fault_q   <= 1'b0;
      mbox_request_q <= '0;
      mbox_arg_q     <= '0;
      mbox_reply_q   <= '0;
      mbox_ready_q   <= 1'b0;
      mbox_pending_q <= 1'b0;
      mbox_valid_q   <= 1'b0;
      fw_ask_q       <= '0;
      clear_q        <= 1'b0;
      inject_q       <= 1'b0;
    end
    if (rst_i) begin
      enable_q      <= 1'b0;
      reset_cause_q <= 32'd1;
      flr_count_q   <= '0;
      epoch_q       <= '0;
      time_q        <= '0;
      time_hi_q     <= '0;
      hash_key_q    <= '0;
      age_q         <= '0;
      age_ports_q   <= '0;
      evictions_q   <= '0;
    end else if (flr_q) begin
      reset_cause_q <= 32'd2;
      flr_count_q   <= flr_count_q + 32'd1;
    end
  end

  // A ring of a size the layout does not allow is clamped, so that no address outside it is ever touched.
  function automatic logic [4:0] ring_log2(input logic huge, input logic [4:0] value);
    if (huge || value > 5'(RingLog2Max)) ring_log2 = 5'(RingLog2Max);
    else if (value < 5'(RingLog2Min)) ring_log2 = 5'(RingLog2Min);
    else ring_log2 = value;
  endfunction

  // A register's value if it is read, else nothing
  function automatic logic [31:0] when(input logic chosen, input logic [31:0] value);
    when = {32{chosen}} & value;
  endfunction

  logic [31:0] rdata_q;
  logic [31:0] card_low_q, card_high_q, ring_low_q, ring_high_q, events_q, fw_q, fw_death_q, fw_trace_q, sizes_q, states_q, ports_q, by_port_q, keep_q;

  // The tables' sizes. All of them are constants: each bit of the answer is an OR of some selections.
  function automatic logic [31:0] sizes(input select_t chosen);
    sizes = '0;
    for (int unsigned i = 0; i < RegWords; i++) sizes |= when(chosen[i], size_register(16'(i * 4)));
  endfunction

  // The times of old pairs, and what gives way
  logic [31:0] states, ports, by_port, keep;

  always_comb begin
    {states, ports, by_port} = '0;
    keep = when(rd_sel_q[word(RegFlowKeepPlain)], evictions_q.plain);
    for (int unsigned i = 0; i < 3; i++) keep |= when(rd_sel_q[word(RegFlowPressure1 + 16'(4 * i))], evictions_q.above[i]);
    for (int unsigned i = 0; i < 8; i++) begin
      states  |= when(rd_sel_q[word(RegFlowAge0 + 16'(4 * i))], age_q.states[i]);
      ports   |= when(rd_sel_q[word(RegFlowAgePort0 + 16'(4 * i))],
                      {age_ports_q[i].used, 7'd0, age_ports_q[i].proto, age_ports_q[i].port});
      by_port |= when(rd_sel_q[word(RegFlowAgeByPort0 + 16'(4 * i))], age_q.by_port[i]);
      keep    |= when(rd_sel_q[word(RegFlowKeep0 + 16'(4 * i))], evictions_q.states[i]);
    end
  end

  always_ff @(posedge clk_i) begin
    // Only for a read: it is of the cycle before rd_have_q.
    if (rd_go_q) begin
      card_low_q <= when(rd_sel_q[word(RegMagic)], MagicValue) |
                    when(rd_sel_q[word(RegLayoutVersion)], LayoutVersion) |
                    when(rd_sel_q[word(RegLayoutHashLo)], LayoutHash[31:0]) |
                    when(rd_sel_q[word(RegLayoutHashHi)], LayoutHash[63:32]) |
                    when(rd_sel_q[word(RegClockKhz)], 32'(CoreClockKhz)) |
                    when(rd_sel_q[word(RegScratch)], scratch_q) |
                    when(rd_sel_q[word(RegCapabilities)], Capabilities);
      card_high_q <= when(rd_sel_q[word(RegControl)], {31'd0, enable_q}) |
                     when(rd_sel_q[word(RegStatus)], {28'd0, ring_busy_i, ring_fault_q, idle_i, clearing_i}) |
                     when(rd_sel_q[word(RegResetCause)], reset_cause_q) |
                     when(rd_sel_q[word(RegFlrCount)], flr_count_q) |
                     when(rd_sel_q[word(RegEpoch)], epoch_q) |
                     when(rd_sel_q[word(RegTimeLo)], time_q[31:0]) |
                     when(rd_sel_q[word(RegTimeHi)], time_hi_q) |
                     when(rd_sel_q[word(RegParityErrors)], parity_errors_i) |
                     when(rd_sel_q[word(RegParityLast)], parity_last_i) |
                     when(rd_sel_q[word(RegParityInject)], {31'd0, inject_q});
      ring_low_q <= when(rd_sel_q[word(RegCmdBaseLo)], cmd_q.base[31:0]) |
                    when(rd_sel_q[word(RegCmdBaseHi)], cmd_q.base[63:32]) |
                    when(rd_sel_q[word(RegCplBaseLo)], cmd_q.cpl_base[31:0]) |
                    when(rd_sel_q[word(RegCplBaseHi)], cmd_q.cpl_base[63:32]) |
                    when(rd_sel_q[word(RegRingLog2)], 32'(cmd_q.log2)) |
                    when(rd_sel_q[word(RegRingEnable)], {31'd0, cmd_q.enable}) |
                    when(rd_sel_q[word(RegCmdProducer)], cmd_q.count) |
                    when(rd_sel_q[word(RegCmdConsumer)], cmd_counts_q ? cmd_consumer_i : '0);
      ring_high_q <= when(rd_sel_q[word(RegRingErrors)], cmd_counts_q ? ring_errors_i : '0) |
                     when(rd_sel_q[word(RegEvtBaseLo)], evt_q.base[31:0]) |
                     when(rd_sel_q[word(RegEvtBaseHi)], evt_q.base[63:32]) |
                     when(rd_sel_q[word(RegEvtLog2)], 32'(evt_q.log2)) |
                     when(rd_sel_q[word(RegEvtEnable)], {31'd0, evt_q.enable}) |
                     when(rd_sel_q[word(RegEvtProducer)], evt_counts_q ? evt_producer_i : '0) |
                     when(rd_sel_q[word(RegEvtConsumer)], evt_q.count) |
                     when(rd_sel_q[word(RegEvtDropped)], evt_counts_q ? evt_dropped_i : '0);
      events_q <= when(rd_sel_q[word(RegEvtKinds)], evt_kinds_q) |
                  when(rd_sel_q[word(RegEvtSample)], 32'(evt_sample_q));
      fw_q <= when(rd_sel_q[word(RegFwStatus)], fw_i.status) |
              when(rd_sel_q[word(RegFwInfo)], fw_i.info) |
              when(rd_sel_q[word(RegFwVersion)], fw_i.version) |
              when(rd_sel_q[word(RegFwHeartbeat)], fw_i.heartbeat) |
              when(rd_sel_q[word(RegMboxRequest)], mbox_request_q) |
              when(rd_sel_q[word(RegMboxArg)], mbox_arg_q) |
              when(rd_sel_q[word(RegMboxReady)], {31'd0, mbox_ready_q}) |
              when(rd_sel_q[word(RegMboxReply)], mbox_reply_q);
      fw_death_q <= when(rd_sel_q[word(RegFwDeaths)], fw_i.death.deaths) |
                    when(rd_sel_q[word(RegFwDeathStatus)], fw_i.death.status) |
                    when(rd_sel_q[word(RegFwDeathInfo)], fw_i.death.info) |
                    when(rd_sel_q[word(RegFwDeathPc)], fw_i.death.pc) |
                    when(rd_sel_q[word(RegFwDeathTimeLo)], fw_i.death.card_time[31:0]) |
                    when(rd_sel_q[word(RegFwDeathTimeHi)], fw_i.death.card_time[63:32]) |
                    when(rd_sel_q[word(RegFwBoot)], fw_i.boot) |
                    when(rd_sel_q[word(RegFwBootCause)], 32'(fw_i.boot_cause));
      fw_trace_q <= when(rd_sel_q[word(RegFwRxLost)], fw_i.rx_lost) |
                    when(rd_sel_q[word(RegFwTraceCount)], fw_i.trace_count) |
                    when(rd_sel_q[word(RegFwTraceAt)], fw_ask_q.trace_at) |
                    when(rd_sel_q[word(RegFwTraceTimeLo)], fw_i.trace.card_time[31:0]) |
                    when(rd_sel_q[word(RegFwTraceTimeHi)], fw_i.trace.card_time[63:32]) |
                    when(rd_sel_q[word(RegFwTraceEvent)], fw_i.trace.what) |
                    when(rd_sel_q[word(RegFwTraceArg)], fw_i.trace.arg);
      sizes_q   <= sizes(rd_sel_q);
      states_q  <= states;
      ports_q   <= ports;
      by_port_q <= by_port;
      keep_q    <= keep;
    end
    if (rd_have_q) rdata_q <= card_low_q | card_high_q | ring_low_q | ring_high_q | events_q | fw_q | fw_death_q | fw_trace_q | sizes_q | states_q | ports_q | by_port_q | keep_q;
  end

  assign s_axil_rdata_o = rdata_q;

  assign enable_o       = enable_q;
  assign clear_o        = clear_q;
  assign age_times_o    = age_q;
  assign age_ports_o    = age_ports_q;
  assign evictions_o    = evictions_q;
  assign time_o         = time_q;
  assign hash_key_o     = hash_key_q;
  assign parity_inject_o = inject_q;
  assign cmd_cfg_o      = cmd_q;
  assign evt_cfg_o      = evt_q;
  assign fw_o           = fw_ask_q;
  assign evt_choice_o   = '{enable: evt_q.enable, kinds: evt_kinds_q, sample: evt_sample_q};
  assign mbox_valid_o   = mbox_valid_q;
  assign mbox_request_o = mbox_request_q;
  assign mbox_arg_o     = mbox_arg_q;

`ifndef SYNTHESIS
  // Immediate, as a concurrent one would keep a copy of the wide selections in every cycle.
  always_ff @(posedge clk_i) begin
    if (!rst_i) begin
      if (wr_go_q) a_one_write : assert ($onehot0(wr_sel_q));
      else a_no_write : assert (wr_sel_q == '0);
      if (rd_go_q) a_one_read : assert ($onehot0(rd_sel_q));
      else a_no_read : assert (rd_sel_q == '0);
      a_answered : assert (!s_axil_bvalid_o || (wr_sel_q == '0 && !wr_q));
      a_start_cmd : assert (!cmd_q.start || cmd_q.enable || ring_fault_q);
      a_start_evt : assert (!evt_q.start || evt_q.enable);
    end
  end
`endif

endmodule
