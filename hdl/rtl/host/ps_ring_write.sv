// Writes completions and events into their rings in host memory.
//
// Contract:   takes records, completions before events, and writes them in that order; up to Outstanding writes wait for their
//             answers. A count is raised, and an interrupt asked for, in order and only after the write is acknowledged.
//             A bus error pulses fault_o; completions behind a failed one are not counted.
// Phase:      the last byte of a record is 1 on even laps of its ring (the first is lap 0).
// Stopping:   when active_i is low, completions are taken and thrown away; writes under way end first (idle_o). The same of
//             events and their ring's enable; what is answered after it has started again does not count for the new run.
// Events:     one at a time is on its way; a full event ring drops the event and counts it, with those that were lost before (lost_i).
// Latency:    a record every four cycles; its write begins five cycles after it was taken, an event's six.
module ps_ring_write
  import ps_abi_pkg::*;
  import ps_types_pkg::*;
  import ps_ring_pkg::*;
#(
  parameter int unsigned Depth       = 16,  // records that wait to be written
  parameter int unsigned Outstanding = 16
) (
  input  logic         clk_i,
  input  logic         rst_i,

  // verilator lint_off UNUSEDSIGNAL  // of a ring's set-up each unit uses its part
  input  ring_cfg_t    cmd_i,
  input  logic         active_i,
  input  logic         restart_i,      // counts from 0 again (active_i is low, and idle_o set)
  input  ring_cfg_t    evt_i,
  // verilator lint_on UNUSEDSIGNAL
  output logic         idle_o,         // no completion is left
  output logic         evt_busy_o,     // an event is under way
  output logic         fault_o,
  output logic [31:0]  consumer_o,     // completions written
  output logic [31:0]  evt_producer_o,
  output logic [31:0]  evt_dropped_o,
  output logic         irq_cpl_o,
  output logic         irq_evt_o,

  input  logic         cpl_valid_i,
  input  record_t      cpl_i,
  output logic         cpl_ready_o,

  input  logic [1:0]   lost_i,         // events that did not come this far
  input  logic         evt_valid_i,
  input  record_t      evt_record_i,
  output logic         evt_ready_o,

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
  output logic         m_axi_bready_o
);

  localparam int unsigned DepthLog2   = $clog2(Depth);
  localparam int unsigned WaitLog2    = $clog2(Outstanding);
  localparam int unsigned BeatLog2    = $clog2(BeatBytes);
  localparam int unsigned FlightWidth = $clog2(Depth + Outstanding + 1);

  // Where the next record of a ring goes: follows the count within two cycles.
  typedef struct packed {
    logic [63:0] address;
    logic [31:0] number;
    logic        phase;
  } place_t;

  logic [RingLog2Max-1:0] cmd_mask_q, cmd_position_q, evt_mask_q, evt_position_q;
  logic [31:0]  issued_q;              // completions whose writes were begun
  logic [31:0]  consumer_q, evt_producer_q, evt_dropped_q, evt_used_q;
  place_t       cmd_place_q, evt_place_q;
  logic         evt_full_q;

  always_ff @(posedge clk_i) begin
    cmd_mask_q     <= ring_mask(cmd_i.log2);
    cmd_position_q <= issued_q[RingLog2Max-1:0] & cmd_mask_q;
    cmd_place_q    <= '{address:  cmd_i.cpl_base + (64'(cmd_position_q) << BeatLog2),
                        number:   issued_q + 32'd1,
                        phase:    ~issued_q[cmd_i.log2]};
    evt_mask_q     <= ring_mask(evt_i.log2);
    evt_position_q <= evt_producer_q[RingLog2Max-1:0] & evt_mask_q;
    evt_place_q    <= '{address:  evt_i.base + (64'(evt_position_q) << BeatLog2),
                        number:   evt_producer_q + 32'd1,
                        phase:    ~evt_producer_q[evt_i.log2]};
    evt_used_q     <= evt_producer_q - evt_i.count;
    evt_full_q     <= (evt_used_q & ~32'(evt_mask_q)) != '0;
  end

  // --- Taking: into a queue, by way of a register. An event stands in one of its own first, so that what selects between the two
  // wide records is a register too.
  record_t              put_record_q, evt_record_q;
  logic                 put_q, room_q, evt_may_q, evt_taken_q, evt_busy_q, evt_stale_q, take_cpl, take_evt, put_evt, drop_evt;
  (* keep *) logic      clear_q;               // evt_taken_q again, the other way round, for what is not wide
  logic [2:0]           evt_settle_q;          // event ring's count, place and fill follow
  logic [DepthLog2:0]   wr_q, rd_q, stored;    // one bit more than the index

  assign cpl_ready_o = room_q && clear_q;
  assign take_cpl    = cpl_valid_i && cpl_ready_o;
  assign evt_ready_o = !cpl_valid_i && evt_may_q && !evt_i.start;
  assign take_evt    = evt_valid_i && evt_ready_o;
  // What was taken just before the ring starts is none of its events.
  assign put_evt     = !clear_q && evt_i.enable && !evt_i.start && !evt_full_q;
  assign drop_evt    = !clear_q && evt_i.enable && !evt_i.start && evt_full_q;
  assign stored      = wr_q - rd_q;

  always_ff @(posedge clk_i) begin
    put_q        <= (take_cpl && active_i) || put_evt;
    put_record_q <= evt_taken_q ? evt_record_q : cpl_i;
    evt_record_q <= evt_record_i;
    evt_taken_q  <= take_evt;
    clear_q      <= !take_evt;
    if (put_q) wr_q <= wr_q + 1'b1;
    // Three may be on their way when this is seen, and an event.
    room_q    <= stored <= (DepthLog2 + 1)'(Depth - 4);
    evt_may_q <= room_q && !evt_busy_q && !take_evt && clear_q && evt_settle_q == '0;
    if (rst_i) begin
      put_q       <= 1'b0;
      wr_q        <= '0;
      room_q      <= 1'b0;
      evt_may_q   <= 1'b0;
      evt_taken_q <= 1'b0;
      clear_q     <= 1'b1;
    end
  end

  // --- Writing
  typedef enum logic [3:0] {
    StIdle  = 4'b0001,
    StRead  = 4'b0010,
    StStamp = 4'b0100,
    StSend  = 4'b1000
  } state_e;

  state_e               state_q;
  record_t              record;
  place_t               place_q;
  logic                 awvalid_q, wvalid_q, some_q, may_q, re, throw, issue;
  logic [WaitLog2:0]    waiting_q;
  logic                 b_take_q, b_error_q, b_is_evt_q, b_irq_q, b_done_evt, b_done_cpl;

  assign re    = state_q == StIdle && some_q && may_q;
  assign throw = record.is_evt ? !evt_i.enable || evt_stale_q : !active_i;
  assign issue = state_q == StStamp && !throw;

  ps_ram_sdp #(
    .Width  ($bits(record_t)),
    .Depth  (Depth),
    .Style  ("block"),
    .Latency(2)
  ) u_queue (
    .clk_i,
    .we_i   (put_q),
    .waddr_i(wr_q[DepthLog2-1:0]),
    .wdata_i(put_record_q),
    .re_i   (re),
    .raddr_i(rd_q[DepthLog2-1:0]),
    .rdata_o(record)
  );

  always_ff @(posedge clk_i) begin
    some_q <= wr_q != rd_q;
    may_q  <= waiting_q < (WaitLog2 + 1)'(Outstanding);
    if (m_axi_awready_i) awvalid_q <= 1'b0;
    if (m_axi_wready_i) wvalid_q <= 1'b0;
    unique case (state_q)
      StIdle: if (re) begin
        rd_q    <= rd_q + 1'b1;
        state_q <= StRead;
      end
      StRead: state_q <= StStamp;
      StStamp: begin
        place_q   <= record.is_evt ? evt_place_q : cmd_place_q;
        awvalid_q <= issue;
        wvalid_q  <= issue;
        state_q   <= StSend;
      end
      // One cycle at least, in which what was seen of the queue is forgotten.
      StSend: if ((!awvalid_q || m_axi_awready_i) && (!wvalid_q || m_axi_wready_i)) state_q <= StIdle;
      default: state_q <= StIdle;
    endcase
    if (issue && !record.is_evt) issued_q <= issued_q + 32'd1;
    if (restart_i || rst_i) issued_q <= '0;
    if (rst_i) begin
      state_q   <= StIdle;
      awvalid_q <= 1'b0;
      wvalid_q  <= 1'b0;
      rd_q      <= '0;
    end
  end

  // --- Answers, in the order of the writes
  logic                   dead_q;
  logic [1:0]             sent_q [Outstanding];   // of each write: is_evt, irq
  logic [WaitLog2-1:0]    sent_wr_q, sent_rd_q;
  logic [FlightWidth-1:0] flight_q;               // completions taken and not done with
  logic                   put_cpl, lost_cpl, evt_end;

  assign b_done_evt = b_take_q && b_is_evt_q;
  assign b_done_cpl = b_take_q && !b_is_evt_q;
  assign put_cpl    = take_cpl && active_i;
  assign evt_end    = b_done_evt || (state_q == StStamp && throw && record.is_evt);
  assign lost_cpl   = state_q == StStamp && throw && !record.is_evt;

  always_ff @(posedge clk_i) begin
    irq_cpl_o <= 1'b0;
    b_take_q  <= m_axi_bvalid_i;
    b_error_q <= m_axi_bresp_i != 2'b00;
    {b_is_evt_q, b_irq_q} <= sent_q[sent_rd_q];
    if (m_axi_bvalid_i) sent_rd_q <= sent_rd_q + 1'b1;
    if (issue) begin
      sent_q[sent_wr_q] <= {record.is_evt, record.irq};
      sent_wr_q         <= sent_wr_q + 1'b1;
    end
    waiting_q <= waiting_q + (WaitLog2 + 1)'(issue) - (WaitLog2 + 1)'(b_take_q);
    flight_q  <= flight_q + FlightWidth'(put_cpl) - FlightWidth'(lost_cpl) - FlightWidth'(b_done_cpl);
    fault_o   <= b_take_q && b_error_q;
    if (b_done_cpl) begin
      if (b_error_q) begin
        dead_q <= 1'b1;
      end else if (!dead_q) begin
        consumer_q <= consumer_q + 32'd1;
        irq_cpl_o  <= b_irq_q;
      end
    end
    if (restart_i) begin
      consumer_q <= '0;
      dead_q     <= 1'b0;
    end
    if (rst_i) begin
      consumer_q <= '0;
      dead_q     <= 1'b0;
      sent_wr_q  <= '0;
      sent_rd_q  <= '0;
      waiting_q  <= '0;
      flight_q   <= '0;
      b_take_q   <= 1'b0;
    end
  end

  // Lost ones are added a cycle later, up to three at a time, as far as there is room for so many.
  logic [1:0] lost_q;

  always_ff @(posedge clk_i) begin
    evt_settle_q <= {evt_settle_q[1:0], 1'b0};
    lost_q       <= evt_i.enable && !evt_i.start ? lost_i + 2'(drop_evt) : '0;
    if (!(&evt_dropped_q[31:2])) evt_dropped_q <= evt_dropped_q + 32'(lost_q);
    if (put_evt) evt_busy_q <= 1'b1;
    if (evt_end) begin
      evt_busy_q   <= 1'b0;
      evt_stale_q  <= 1'b0;
      evt_settle_q <= '1;
    end
    irq_evt_o <= b_done_evt && !b_error_q && !evt_stale_q;
    if (b_done_evt && !b_error_q && !evt_stale_q) evt_producer_q <= evt_producer_q + 32'd1;
    if (evt_i.start) begin
      evt_producer_q <= '0;
      evt_dropped_q  <= '0;
      evt_stale_q    <= evt_busy_q && !evt_end;
      evt_settle_q   <= '1;
    end
    if (rst_i) begin
      evt_producer_q <= '0;
      evt_dropped_q  <= '0;
      evt_busy_q     <= 1'b0;
      evt_stale_q    <= 1'b0;
      evt_settle_q   <= '1;
    end
  end

  assign idle_o          = flight_q == '0;
  assign evt_busy_o      = evt_busy_q || !clear_q;
  assign consumer_o      = consumer_q;
  assign evt_producer_o  = evt_producer_q;
  assign evt_dropped_o   = evt_dropped_q;
  assign m_axi_awaddr_o  = place_q.address;
  assign m_axi_awlen_o   = 8'd0;
  assign m_axi_awvalid_o = awvalid_q;
  assign m_axi_wdata_o   = {7'd0, place_q.phase, 16'd0, record.status, place_q.number, record.cookie, record.index, record.data};
  assign m_axi_wstrb_o   = '1;
  assign m_axi_wlast_o   = 1'b1;
  assign m_axi_wvalid_o  = wvalid_q;
  assign m_axi_bready_o  = 1'b1;

`ifndef SYNTHESIS
  initial begin
    assert (Depth >= 8 && (Depth & (Depth - 1)) == 0) else $fatal(1, "ps_ring_write: Depth is not a power of two of 8 or more");
    assert (Outstanding >= 2 && (Outstanding & (Outstanding - 1)) == 0)
      else $fatal(1, "ps_ring_write: Outstanding is not a power of two");
  end

  a_state : assert property (@(posedge clk_i) disable iff (rst_i) $onehot(state_q));
  a_queue : assert property (@(posedge clk_i) disable iff (rst_i) stored <= (DepthLog2 + 1)'(Depth));
  a_waiting : assert property (@(posedge clk_i) disable iff (rst_i) waiting_q <= (WaitLog2 + 1)'(Outstanding));
  a_answer_asked : assert property (@(posedge clk_i) disable iff (rst_i) b_take_q |-> waiting_q != '0);
  a_flight : assert property (@(posedge clk_i) disable iff (rst_i) flight_q == '0 |-> !lost_cpl && !b_done_cpl);
  a_counted_written : assert property (@(posedge clk_i) disable iff (rst_i || restart_i) issued_q - consumer_q <= 32'(Outstanding) || dead_q);
  a_restart : assert property (@(posedge clk_i) disable iff (rst_i) restart_i |-> idle_o && !active_i);
  a_clear : assert property (@(posedge clk_i) disable iff (rst_i) clear_q != evt_taken_q);
  a_one_record : assert property (@(posedge clk_i) disable iff (rst_i) evt_taken_q |-> !take_cpl);
  a_one_event : assert property (@(posedge clk_i) disable iff (rst_i) put_evt |-> !evt_busy_q);
`endif

endmodule
