// Turns the core's interrupt pulses into requests of a bus that takes one vector at a time.
//
// Contract:   irq_i pulses one bit a vector; a pulse for a vector that is already waiting joins it. valid_o stays with
//             vector_o standing still until ack_i; ack_i while valid_o is low does nothing.
// Ordering:   round robin among the vectors that wait. At most one request every two cycles.
// Lost:       nothing is counted: an interrupt says "look at the rings", and the rings hold what there is.
// Reset:      rst_i forgets what waits.
module ps_irq_request #(
  parameter int unsigned Count       = 3,
  parameter int unsigned VectorWidth = 11,
  parameter int unsigned FirstVector = 0
) (
  input  logic                   clk_i,
  input  logic                   rst_i,
  input  logic [Count-1:0]       irq_i,
  output logic                   valid_o,
  output logic [VectorWidth-1:0] vector_o,
  input  logic                   ack_i
);

  logic [Count-1:0]       waits_q, grant;
  logic                   start, valid_q;
  logic [VectorWidth-1:0] vector_q, vector_d;

  assign start    = !valid_q && waits_q != '0;
  assign valid_o  = valid_q;
  assign vector_o = vector_q;

  ps_arb_rr #(
    .Count(Count)
  ) u_arb (
    .clk_i,
    .rst_i,
    .req_i    (waits_q),
    .advance_i(start),
    .grant_o  (grant)
  );

  always_comb begin
    vector_d = '0;
    for (int unsigned i = 0; i < Count; i++) begin
      if (grant[i]) vector_d = VectorWidth'(FirstVector + i);
    end
  end

  always_ff @(posedge clk_i) begin
    if (start) vector_q <= vector_d;
    if (rst_i) begin
      waits_q <= '0;
      valid_q <= 1'b0;
    end else begin
      waits_q <= (start ? waits_q & ~grant : waits_q) | irq_i;
      valid_q <= start || (valid_q && !ack_i);
    end
  end

`ifndef SYNTHESIS
  a_held : assert property (@(posedge clk_i) disable iff (rst_i)
                            valid_o && !ack_i |=> valid_o && $stable(vector_o));
`endif

endmodule
