// The firmware's watchdog: restarts a soft core that does not feed it, and keeps what is known of its death.
//
// Dead:     not fed for FwWatchdogUnits units of card time (2^FwWatchdogShift cycles each), and then for
//           2^FwWatchdogGraceLog2 cycles of the soft core besides: card time may jump while the core sleeps, and who
//           wakes by its timer must have the time to say so. awake_o keeps the core's clock running meanwhile.
// Back-off: the units double with each death in a row (up to 2^FwWatchdogBackoffMax times as many), until the
//           firmware says that it is well, or a restart is asked for.
// Restart:  restart_o, a pulse, once nothing of a sent frame is on its way (quiet_i); ps_fw makes the reset of it.
// Clocks:   clk_i; *_toggle_i are of the core's clock, and change with each event. The core's registers stand for
//           more than one cycle of clk_i.
// Latency:  5 cycles from the end of grace to restart_o.
// Reset:    rst_i is power-on; nothing else clears what is kept. hold_i is 1 while the core is in reset.
module ps_fw_watchdog
  import ps_abi_pkg::*;
  import ps_types_pkg::fw_death_t;
(
  input  logic        clk_i,
  input  logic        rst_i,
  input  logic        hold_i,
  input  logic        tick_i,            // the core's clock rose
  input  logic [63:0] time_i,
  input  logic        quiet_i,

  input  logic        feed_toggle_i,
  input  logic        well_toggle_i,
  input  logic        again_toggle_i,    // the firmware wants to be restarted
  input  logic        host_restart_i,    // pulse: the host does
  input  logic        host_rollback_i,   // pulse: with the golden image

  input  logic [31:0] status_i,
  input  logic [31:0] info_i,
  input  logic [31:0] pc_i,              // as the firmware says
  input  logic [31:0] fetch_i,           // as the core fetched last

  output logic        restart_o,         // pulse
  output logic        bite_o,            // pulse, with restart_o: as it was dead
  output logic        awake_o,
  output logic [7:0]  cause_o,           // FwCause*
  output logic        rollback_o,        // the last restart was to be with the golden image
  output logic [7:0]  in_a_row_o,
  output fw_death_t   death_o
);

  localparam int unsigned UnitBits  = 64 - FwWatchdogShift;
  localparam int unsigned BackoffBits = $clog2(FwWatchdogBackoffMax + 1);
  localparam int unsigned LimitBits = $clog2(FwWatchdogUnits + 1) + FwWatchdogBackoffMax;
  localparam logic [3:0]  StatusFault = 4'hd;

  logic                     feed_seen_q, well_seen_q, again_seen_q, fed, fed_q;
  logic [UnitBits-1:0]      now_q, end_q;
  logic [LimitBits-1:0]     limit_q;
  logic [BackoffBits-1:0]   backoff_q;
  logic                     late_q, counts_q, dead_q, asked_q, wanted_q, rollback_q, bite_q, restart_q;
  logic [FwWatchdogGraceLog2:0] grace_q;
  logic [7:0]               in_a_row_q, cause_q;
  fw_death_t                death_q;

  logic unused_time;
  assign unused_time = ^time_i[FwWatchdogShift-1:0];

  assign fed = feed_toggle_i != feed_seen_q;

  always_ff @(posedge clk_i) begin
    feed_seen_q  <= feed_toggle_i;
    well_seen_q  <= well_toggle_i;
    again_seen_q <= again_toggle_i;
    fed_q        <= fed || hold_i;

    // What the core has to live until, and whether that is over: of one moment two cycles ago.
    now_q   <= time_i[63:FwWatchdogShift];
    limit_q <= LimitBits'(FwWatchdogUnits) << backoff_q;
    if (fed_q) end_q <= now_q + UnitBits'(limit_q);
    late_q  <= now_q >= end_q && !fed_q && !fed && !hold_i;

    // From then on its own cycles count.
    counts_q <= late_q && tick_i;
    if (!late_q || fed) grace_q <= '0;
    else if (counts_q && !grace_q[FwWatchdogGraceLog2]) grace_q <= grace_q + (FwWatchdogGraceLog2 + 1)'(1);
    dead_q <= grace_q[FwWatchdogGraceLog2] && late_q && !fed;

    // A restart that is asked for waits likewise for the way out to be quiet.
    bite_q    <= 1'b0;
    restart_q <= 1'b0;
    if (!hold_i && !restart_q && quiet_i && (dead_q || asked_q)) begin
      restart_q  <= 1'b1;
      bite_q     <= !asked_q;
      asked_q    <= 1'b0;
      wanted_q   <= 1'b0;
      rollback_q <= wanted_q;
      cause_q    <= asked_q ? FwCauseAsked : FwCauseWatchdog;
    end
    if ((again_toggle_i != again_seen_q && !hold_i) || host_restart_i || host_rollback_i) asked_q <= 1'b1;
    if (host_rollback_i) wanted_q <= 1'b1;

    if ((well_toggle_i != well_seen_q && !hold_i) || (restart_q && !bite_q)) begin
      backoff_q  <= '0;
      in_a_row_q <= '0;
    end
    if (bite_q) begin
      if (backoff_q != BackoffBits'(FwWatchdogBackoffMax)) backoff_q <= backoff_q + BackoffBits'(1);
      if (in_a_row_q != '1) in_a_row_q <= in_a_row_q + 8'd1;
      death_q.deaths    <= death_q.deaths + 32'd1;
      death_q.status    <= status_i;
      death_q.info      <= info_i;
      death_q.pc        <= status_i[31:28] == StatusFault ? pc_i : fetch_i;
      death_q.card_time <= time_i;
    end

    // The core's toggles begin anew with it.
    if (hold_i) begin
      feed_seen_q  <= feed_toggle_i;
      well_seen_q  <= well_toggle_i;
      again_seen_q <= again_toggle_i;
      dead_q       <= 1'b0;
    end
    if (rst_i) begin
      asked_q    <= 1'b0;
      wanted_q   <= 1'b0;
      rollback_q <= 1'b0;
      bite_q     <= 1'b0;
      restart_q  <= 1'b0;
      cause_q    <= FwCausePowerOn;
      backoff_q  <= '0;
      in_a_row_q <= '0;
      death_q    <= '0;
      late_q     <= 1'b0;
      dead_q     <= 1'b0;
    end
  end

  assign restart_o  = restart_q;
  assign bite_o     = bite_q;
  assign awake_o    = late_q || asked_q || restart_q;
  assign cause_o    = cause_q;
  assign rollback_o = rollback_q;
  assign in_a_row_o = in_a_row_q;
  assign death_o    = death_q;

endmodule
