// Entry of the match-action core: lets one window a cycle in, from the two ports in turn.
//
// The core neither stalls nor drops, so a window may only enter when its verdict has a place to go: each port has
// as many credits as its verdict queue has places. A credit is taken with the grant and comes back (credit_i)
// when the rewriter takes the verdict out of the queue.
// Latency:    combinational; one window a cycle. A port without credits does not hold up the other.
module ps_entry
  import ps_stream_pkg::*;
(
  input  logic       clk_i,
  input  logic       rst_i,
  input  logic [1:0] window_valid_i,   // by src_e
  output logic [1:0] window_ready_o,
  input  window_t    fabric_window_i,
  input  window_t    host_window_i,
  input  logic [1:0] credit_i,
  output logic       window_valid_o,
  output window_t    window_o
);

  localparam int unsigned CreditWidth = $clog2(VerdictDepth + 1);

  logic [1:0][CreditWidth-1:0] credits_q;
  logic [1:0]                  req, grant;

  for (genvar p = 0; p < 2; p++) begin : g_port
    assign req[p] = window_valid_i[p] && credits_q[p] != '0;

    always_ff @(posedge clk_i) begin
      if (rst_i) credits_q[p] <= CreditWidth'(VerdictDepth);
      else credits_q[p] <= credits_q[p] - CreditWidth'(grant[p]) + CreditWidth'(credit_i[p]);
    end

`ifndef SYNTHESIS
    a_credits : assert property (@(posedge clk_i) disable iff (rst_i)
                                 credits_q[p] <= CreditWidth'(VerdictDepth));
`endif
  end

  ps_arb_rr #(
    .Count(2)
  ) u_arb (
    .clk_i,
    .rst_i,
    .req_i    (req),
    .advance_i(grant != '0),
    .grant_o  (grant)
  );

  assign window_ready_o = grant;
  assign window_valid_o = grant != '0;

  always_comb begin
    window_o = fabric_window_i;
    if (grant[1]) window_o = host_window_i;
  end

endmodule
