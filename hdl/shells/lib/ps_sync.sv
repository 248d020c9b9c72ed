// Brings one slowly changing bit into a clock domain: two flip-flops that synthesis keeps together.
//
// Latency:    2 cycles, or 3 when the bit changes at the edge.
// Reset:      none; d_i must be reset by its own clock.
module ps_sync (
  input  logic clk_i,
  input  logic d_i,
  output logic q_o
);

  (* ASYNC_REG = "TRUE" *) logic [1:0] sync_q;

  always_ff @(posedge clk_i) sync_q <= {sync_q[0], d_i};

  assign q_o = sync_q[1];

endmodule
