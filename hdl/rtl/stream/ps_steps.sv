// Takes the frames of one port out of its packet memory: a read and a step each cycle, as their plans say.
//
// A frame is whole in memory before its verdict comes, so that a step never waits for a beat: reads are issued at a fixed
// distance to what becomes of them, and nothing behind them has a ready. A step waits only for room at the frame's sink;
// room_i keeps a margin for those on their way. Frames to be dropped are read too, a beat a cycle, but make no steps.
// Latency:    read_o in the cycle of the decision; its step (step_valid_o) one cycle later.
// Rate:       a step a cycle, also from frame to frame.
// What the next step is (last one, last output beat) is known a cycle ahead, in registers.
module ps_steps
  import ps_stream_pkg::*;
(
  input  logic             clk_i,
  input  logic             rst_i,
  input  logic             plan_valid_i,
  output logic             plan_ready_o,
  input  frame_plan_t      plan_i,
  input  logic [Sinks-1:0] room_i,
  output logic             read_o,        // the next beat of the packet memory
  output logic             step_valid_o,
  output step_t            step_o,
  output logic             drop_o         // pulse: a frame has been discarded
);

  // Of the step to come; those of a frame's first step are in its plan.
  logic                  first_q, second_q, last_q, live_q, out_last_q;
  logic [CountWidth-1:0] steps_q, outs_q;  // still to come, less one
  logic                  step_valid_q, drop_q;
  step_t                 step_q;

  logic                  go, last, live, out_last;
  logic [CountWidth-1:0] steps, outs;

  assign go       = plan_valid_i && (plan_i.drop || (plan_i.dst & room_i) != '0);
  assign last     = first_q ? plan_i.one_step : last_q;
  assign live     = first_q || live_q;
  assign out_last = first_q ? plan_i.one_out : out_last_q;
  assign steps    = first_q ? plan_i.steps : steps_q;
  assign outs     = first_q ? plan_i.outs : outs_q;

  assign plan_ready_o = go && last;
  assign read_o       = go && !(last && plan_i.extra);

  always_ff @(posedge clk_i) begin
    if (go) begin
      second_q   <= first_q;
      last_q     <= steps == CountWidth'(1);
      steps_q    <= steps - 1'b1;
      live_q     <= live && !out_last;
      out_last_q <= live && outs == CountWidth'(1);
      outs_q     <= outs - 1'b1;
    end
    // Whatever it is: only step_valid_q says that it is a step, so that the decision has fewer loads.
    step_q <= '{last: last, head: first_q, second: !first_q && second_q, live: live, out_last: live && out_last,
                dst: plan_i.dst, grow: plan_i.grow, shift: plan_i.shift, tail: plan_i.tail};
    if (rst_i) begin
      first_q      <= 1'b1;
      step_valid_q <= 1'b0;
      drop_q       <= 1'b0;
    end else begin
      if (go) first_q <= last;
      step_valid_q <= go && !plan_i.drop;
      drop_q       <= plan_ready_o && plan_i.drop;
    end
  end

  assign step_valid_o = step_valid_q;
  assign step_o       = step_q;
  assign drop_o       = drop_q;

`ifndef SYNTHESIS
  // Every output beat has its step.
  a_no_rest : assert property (@(posedge clk_i) disable iff (rst_i)
      go && last && !plan_i.drop && live |-> out_last);
  a_one_sink : assert property (@(posedge clk_i) disable iff (rst_i)
      plan_valid_i && !plan_i.drop |-> $onehot(plan_i.dst));
`endif

endmodule
