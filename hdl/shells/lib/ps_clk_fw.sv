// Clock of the soft core: every Divide-th pulse of the core's clock, so that its rising edges coincide with it.
//
// Contract:   what penstock_core asks of clk_fw_i. The clock runs always (it never stops while fw_active_o is low).
// Synthesis:  one BUFGCE beside the buffer of clk_i, in one delay group with it; paths between the two clocks are
//             synchronous and timed. Elsewhere: an enable that changes while the clock is low, and an AND.
module ps_clk_fw #(
  parameter int unsigned Divide = 4
) (
  input  logic clk_i,
  output logic clk_fw_o
);

  logic [$clog2(Divide)-1:0] count_q;
  logic                      enable_q;

  always_ff @(posedge clk_i) begin
    count_q  <= count_q == ($clog2(Divide))'(Divide - 1) ? '0 : count_q + 1'b1;
    enable_q <= count_q == '0;
  end

`ifdef SYNTHESIS
  BUFGCE #(
    .CE_TYPE("SYNC")
  ) u_buffer (
    .I (clk_i),
    .CE(enable_q),
    .O (clk_fw_o)
  );
`else
  logic gate_q;
  always_ff @(negedge clk_i) gate_q <= enable_q;
  assign clk_fw_o = clk_i && gate_q;

  initial assert (Divide >= 2) else $fatal(1, "ps_clk_fw: Divide is below 2");
`endif

endmodule
