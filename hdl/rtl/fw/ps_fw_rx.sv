// The trap queue: frames from the data path (clk_i) to the firmware (clk_fw_i).
//
// Holds 16 frames. Of each it keeps the first 256 bytes and the metadata that came with the first beat; the
// rest of a longer frame is swallowed. The firmware sees the head frame in a window and drops it with pop_i.
//
// Handshake: rx_tready_o is 1 whenever rx_full_o is 0. rx_full_o is 1 while the queue cannot take a frame, or while
//            the firmware does not run (accept_i is 0): the data path then drops the frame and counts it. A frame
//            that is sent all the same waits for room, or is swallowed if the firmware does not run, and counted (lost_o).
// Window:    word-wise, one cycle of clk_fw_i. Writes serve the memory self-test: they are certain to arrive only
//            while accept_i is 0, and their frame is the head slot's.
// Clocks:    rising edges of clk_fw_i coincide with edges of clk_i, at most every second one; it may stand still.
// Order:     that of arrival.
// Restart:   restart_i empties the queue, and counts what was in it. Of a frame that it meets, what is still to come is
//            swallowed.
// Reset:     rst_i, power-on, and restart_i each overlap with rst_fw_i, which ends last.
module ps_fw_rx
  import ps_abi_pkg::*;
  import ps_types_pkg::*;
(
  input  logic         clk_i,
  input  logic         rst_i,
  input  logic         restart_i,
  input  logic         clk_fw_i,
  input  logic         rst_fw_i,

  // Data path, clk_i
  input  logic [511:0] rx_tdata_i,
  input  logic         rx_tlast_i,
  input  logic         rx_tvalid_i,
  output logic         rx_tready_o,
  input  trap_meta_t   rx_meta_i,
  output logic         rx_full_o,
  input  logic         accept_i,
  output logic [31:0]  lost_o,         // frames that no firmware has seen, or done with

  // Firmware, clk_fw_i
  output logic [4:0]   frames_o,
  input  logic         pop_i,
  input  logic         meta_re_i,
  output trap_meta_t   meta_o,         // cycle after meta_re_i
  input  logic         win_re_i,
  input  logic [3:0]   win_we_i,       // by byte
  input  logic [7:2]   win_addr_i,
  input  logic [31:0]  win_wdata_i,
  output logic [31:0]  win_rdata_o     // cycle after win_re_i
);

  localparam int unsigned SlotBeats = FwFrameBytes / BeatBytes;
  localparam int unsigned BeatWidth = $clog2(SlotBeats);
  localparam int unsigned PtrWidth  = $clog2(FwRxQueueFrames) + 1;
  localparam int unsigned RowWidth  = PtrWidth - 1 + BeatWidth;

  // ------------------------------------------------------------------ data path's side

  logic [PtrWidth-1:0]  wr_ptr_q, rd_ptr_q, used;
  logic [BeatWidth:0]   beat_q;          // beats of the frame so far, saturating at SlotBeats
  logic                 swallow_q;
  logic                 first, no_slot_q, one_slot_q, beat_taken, swallow, store, ends;
  logic                 accept_q;        // for frames that come all the same: a cycle later is soon enough
  logic                 restart_q;
  logic [31:0]          lost_q;
  logic [PtrWidth-1:0]  lost_step_q;

  // What is free is known a cycle late of the firmware's pops, and at once of the frames that come.
  assign used        = wr_ptr_q - rd_ptr_q;
  assign first       = beat_q == '0;
  assign rx_tready_o = !first || !no_slot_q || !accept_q;
  assign rx_full_o   = !accept_i || no_slot_q || (!first && one_slot_q);
  assign beat_taken  = rx_tvalid_i && rx_tready_o;
  assign swallow     = restart_i || (first ? no_slot_q || !accept_q : swallow_q);
  assign store       = beat_taken && !swallow && !beat_q[BeatWidth];
  assign ends        = beat_taken && rx_tlast_i && !swallow;

  always_ff @(posedge clk_i) begin
    if (beat_taken) begin
      swallow_q <= swallow;
      if (rx_tlast_i) begin
        beat_q <= '0;
      end else if (!beat_q[BeatWidth]) begin
        beat_q <= beat_q + (BeatWidth + 1)'(1);
      end
    end
    if (ends) wr_ptr_q <= wr_ptr_q + PtrWidth'(1);
    accept_q   <= accept_i;
    // Of one frame more, if one ends: compared before that is known.
    no_slot_q  <= ends ? used == PtrWidth'(FwRxQueueFrames - 1) : used == PtrWidth'(FwRxQueueFrames);
    one_slot_q <= ends ? used == PtrWidth'(FwRxQueueFrames - 2) : used == PtrWidth'(FwRxQueueFrames - 1);
    // Those in the queue when the firmware ends, and those that are swallowed. One that is cut in two is one of the latter.
    restart_q   <= restart_i;
    lost_step_q <= (restart_i && !restart_q ? used : '0) + PtrWidth'(beat_taken && rx_tlast_i && swallow);
    lost_q      <= lost_q + 32'(lost_step_q);
    if (restart_i) begin
      wr_ptr_q   <= '0;
      no_slot_q  <= 1'b0;
      one_slot_q <= 1'b0;
      swallow_q  <= 1'b1;
    end
    if (rst_i) begin
      beat_q      <= '0;
      restart_q   <= 1'b1;
      lost_step_q <= '0;
      lost_q      <= '0;
    end
  end

  assign lost_o = lost_q;

  // ------------------------------------------------------------------ firmware's side

  logic [3:0]          lane_q;           // word of the beat that was read
  logic                wr_toggle_q, wr_seen_q, wr_pending;
  logic [RowWidth-1:0] wr_row_q;
  logic [3:0]          wr_lane_q, wr_be_q;
  logic [31:0]         wr_data_q;

  always_ff @(posedge clk_fw_i) begin
    if (pop_i && frames_o != '0) rd_ptr_q <= rd_ptr_q + PtrWidth'(1);
    if (win_re_i) lane_q <= win_addr_i[5:2];
    if (|win_we_i) begin
      wr_toggle_q <= !wr_toggle_q;
      wr_row_q    <= {rd_ptr_q[PtrWidth-2:0], win_addr_i[7:6]};
      wr_lane_q   <= win_addr_i[5:2];
      wr_be_q     <= win_we_i;
      wr_data_q   <= win_wdata_i;
    end
    if (rst_fw_i) begin
      rd_ptr_q    <= '0;
      wr_toggle_q <= 1'b0;
    end
  end

  assign frames_o   = wr_ptr_q - rd_ptr_q;
  assign wr_pending = wr_toggle_q != wr_seen_q;

  always_ff @(posedge clk_i) begin
    if (wr_pending && !rx_tvalid_i) wr_seen_q <= wr_toggle_q;
    if (restart_i) wr_seen_q <= 1'b0;
  end

  // ------------------------------------------------------------------ memories

  // Registered on the way in: a frame's last beat is written in the cycle after wr_ptr_q tells of it, and the firmware reads no
  // sooner than two cycles after it sees that.
  logic [BeatBytes-1:0] we_q;
  logic [RowWidth-1:0]  waddr_q;
  logic [BeatBits-1:0]  wdata_q, rdata;
  logic                 meta_we_q;
  trap_meta_t           meta_q;

  always_ff @(posedge clk_i) begin
    we_q      <= '0;
    meta_we_q <= store && first;
    if (rx_tvalid_i) begin
      meta_q  <= rx_meta_i;
      we_q    <= {BeatBytes{store}};
      waddr_q <= {wr_ptr_q[PtrWidth-2:0], beat_q[BeatWidth-1:0]};
      wdata_q <= rx_tdata_i;
    end else if (wr_pending) begin
      we_q    <= BeatBytes'(wr_be_q) << {wr_lane_q, 2'b00};
      waddr_q <= wr_row_q;
      wdata_q <= {(BeatBits / 32){wr_data_q}};
    end
  end

  ps_ram_sdp_2clk #(
    .Width     (BeatBits),
    .Depth     (FwRxQueueFrames * SlotBeats),
    .LaneWidth (8)
  ) u_frames (
    .wclk_i  (clk_i),
    .we_i    (we_q),
    .waddr_i (waddr_q),
    .wdata_i (wdata_q),
    .rclk_i  (clk_fw_i),
    .re_i    (win_re_i),
    .raddr_i ({rd_ptr_q[PtrWidth-2:0], win_addr_i[7:6]}),
    .rdata_o (rdata)
  );

  ps_ram_sdp_2clk #(
    .Width (32),
    .Depth (FwRxQueueFrames),
    .Style ("distributed")
  ) u_meta (
    .wclk_i  (clk_i),
    .we_i    (meta_we_q),
    .waddr_i (waddr_q[RowWidth-1:BeatWidth]),
    .wdata_i (meta_q),
    .rclk_i  (clk_fw_i),
    .re_i    (meta_re_i),
    .raddr_i (rd_ptr_q[PtrWidth-2:0]),
    .rdata_o (meta_o)
  );

  assign win_rdata_o = rdata[{lane_q, 5'd0} +: 32];

`ifndef SYNTHESIS
  // The queue never holds more than it has slots for, and is ready when it says that it has room.
  UsedInRange_A: assert property (@(posedge clk_i) disable iff (rst_i || restart_i)
    PtrWidth'(wr_ptr_q - rd_ptr_q) <= PtrWidth'(FwRxQueueFrames));
  ReadyUnlessFull_A: assert property (@(posedge clk_i) disable iff (rst_i)
    !rx_full_o |-> rx_tready_o);
`endif

endmodule
