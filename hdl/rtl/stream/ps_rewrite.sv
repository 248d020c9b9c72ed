// Rewriter of one port: brings the verdicts together with the beats that wait in the ingress FIFO.
//
// Verdicts are queued (the core cannot wait), planned (ps_rewrite_plan) and carried out (ps_realign). One frame of
// one beat a cycle. credit_o pulses when a verdict leaves the queue.
// Latency:    verdict_valid_i -> m_valid_o 7 cycles.
// Ordering:   frames leave in the order of the verdicts, which is that of the beats.
module ps_rewrite
  import ps_types_pkg::*;
  import ps_stream_pkg::*;
(
  input  logic         clk_i,
  input  logic         rst_i,
  input  logic         verdict_valid_i,
  input  verdict_t     verdict_i,
  output logic         credit_o,
  input  logic         beat_valid_i,
  output logic         beat_ready_o,
  input  raw_beat_t    beat_i,
  output logic         m_valid_o,
  input  logic         m_ready_i,
  output routed_beat_t m_o,
  output logic         drop_o,         // pulse: a frame has been discarded
  output logic         done_o          // pulse: the last beat of a frame has left
);

  logic     room, verdict_valid, verdict_ready, plan_valid, plan_ready;
  verdict_t verdict;
  plan_t    plan;
  logic [$clog2(VerdictDepth)+1:0] stored;

  ps_fifo #(
    .Width($bits(verdict_t)),
    .Depth(VerdictDepth),
    .Style("distributed")
  ) u_verdicts (
    .clk_i,
    .rst_i,
    .wvalid_i(verdict_valid_i),
    .wready_o(room),
    .wdata_i (verdict_i),
    .rvalid_o(verdict_valid),
    .rready_i(verdict_ready),
    .rdata_o (verdict),
    .count_o (stored)
  );

  ps_rewrite_plan u_plan (
    .clk_i,
    .rst_i,
    .verdict_valid_i(verdict_valid),
    .verdict_ready_o(verdict_ready),
    .verdict_i      (verdict),
    .plan_valid_o   (plan_valid),
    .plan_ready_i   (plan_ready),
    .plan_o         (plan)
  );

  ps_realign u_realign (
    .clk_i,
    .rst_i,
    .plan_valid_i(plan_valid),
    .plan_ready_o(plan_ready),
    .plan_i      (plan),
    .beat_valid_i,
    .beat_ready_o,
    .beat_i,
    .m_valid_o,
    .m_ready_i,
    .m_o,
    .drop_o
  );

  assign credit_o = verdict_valid && verdict_ready;
  assign done_o   = m_valid_o && m_ready_i && m_o.beat.last;

  // Credits make room a certainty.
  logic unused_fill;
  assign unused_fill = ^{room, stored};

`ifndef SYNTHESIS
  a_room : assert property (@(posedge clk_i) disable iff (rst_i) verdict_valid_i |-> room);
`endif

endmodule
