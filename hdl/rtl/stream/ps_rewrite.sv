// Rewriter of one port: brings the plans together with the beats that wait in the packet memory.
//
// Plans are queued (the core cannot wait), one step a cycle is made of them (ps_steps) and carried out (ps_realign). What is
// laid over a frame waits in a memory of its own and is read when the frame's first beat is about to leave.
// credit_o pulses when the steps of a plan, which may have waited beside the queue, have been made.
// Latency:    plan_valid_i -> m_valid_o 8 cycles. An overlay comes a cycle after its plan.
// Ordering:   frames leave in the order of the plans, which is that of the beats.
module ps_rewrite
  import ps_stream_pkg::*;
(
  input  logic             clk_i,
  input  logic             rst_i,
  input  logic             plan_valid_i,
  input  frame_plan_t      plan_i,
  input  logic             overlay_valid_i, // not of a frame to be dropped
  input  overlay_t         overlay_i,
  output logic             credit_o,
  output logic             beat_look_o,     // a beat may be read
  output logic             beat_read_o,
  input  logic [511:0]     beat_i,
  input  logic [Sinks-1:0] room_i,
  output logic [Sinks-1:0] head_valid_o,
  output logic             head_last_o,
  output logic [Sinks-1:0] m_valid_o,
  output routed_beat_t     m_o,
  output logic             drop_o,          // pulse: a frame has been discarded
  output logic             done_o           // pulse: the last beat of a frame has left
);

  // A place for each plan in the queue and for those whose steps are on their way
  localparam int unsigned OverlayDepth = 2 * VerdictDepth;
  localparam int unsigned OverlayWidth = $clog2(OverlayDepth);

  logic        room, plan_valid, plan_ready, step_valid, overlay_read, credit_q;
  logic        queue_valid, spare_valid_q, spare_free_q;  // the second is the first, the other way round
  frame_plan_t queue_plan, plan, spare_q;
  step_t       step;
  overlay_t    overlay;
  logic [$clog2(VerdictDepth)+1:0] stored;
  logic [OverlayWidth-1:0]         wptr_q, rptr_q;

  ps_fifo #(
    .Width($bits(frame_plan_t)),
    .Depth(VerdictDepth),
    .Style("distributed")
  ) u_plans (
    .clk_i,
    .rst_i,
    .wvalid_i(plan_valid_i),
    .wready_o(room),
    .wdata_i (plan_i),
    .rvalid_o(queue_valid),
    .rready_i(spare_free_q),
    .rdata_o (queue_plan),
    .count_o (stored)
  );

  ps_ram_sdp #(
    .Width  ($bits(overlay_t)),
    .Depth  (OverlayDepth),
    .Style  ("block"),
    .Latency(2)
  ) u_overlays (
    .clk_i,
    .we_i   (overlay_valid_i),
    .waddr_i(wptr_q),
    .wdata_i(overlay_i),
    .re_i   (overlay_read),
    .raddr_i(rptr_q),
    .rdata_o(overlay)
  );

  // A plan that waits moves aside, so that the queue does not look at whether a step can be made.
  assign plan_valid = spare_valid_q || queue_valid;
  assign plan       = spare_valid_q ? spare_q : queue_plan;

  always_ff @(posedge clk_i) begin
    if (spare_free_q) spare_q <= queue_plan;
    if (rst_i) begin
      spare_valid_q <= 1'b0;
      spare_free_q  <= 1'b1;
      wptr_q        <= '0;
      rptr_q        <= '0;
      credit_q      <= 1'b0;
    end else begin
      spare_valid_q <= plan_valid && !plan_ready;
      spare_free_q  <= !(plan_valid && !plan_ready);
      if (overlay_valid_i) wptr_q <= wptr_q + 1'b1;
      if (overlay_read) rptr_q <= rptr_q + 1'b1;
      credit_q <= plan_valid && plan_ready;
    end
  end

  ps_steps u_steps (
    .clk_i,
    .rst_i,
    .plan_valid_i(plan_valid),
    .plan_ready_o(plan_ready),
    .plan_i      (plan),
    .room_i,
    .read_o      (beat_read_o),
    .step_valid_o(step_valid),
    .step_o      (step),
    .drop_o
  );

  ps_realign u_realign (
    .clk_i,
    .rst_i,
    .step_valid_i  (step_valid),
    .step_i        (step),
    .beat_i,
    .overlay_read_o(overlay_read),
    .overlay_i     (overlay),
    .head_valid_o,
    .head_last_o,
    .m_valid_o,
    .m_o
  );

  assign beat_look_o = plan_valid;
  assign credit_o    = credit_q;
  assign done_o      = m_valid_o != '0 && m_o.beat.last;

  // Credits make room a certainty.
  logic unused_fill;
  assign unused_fill = ^{room, stored};

`ifndef SYNTHESIS
  a_room : assert property (@(posedge clk_i) disable iff (rst_i) plan_valid_i |-> room);
  a_overlay : assert property (@(posedge clk_i) disable iff (rst_i) overlay_read |-> wptr_q != rptr_q);
`endif

endmodule
