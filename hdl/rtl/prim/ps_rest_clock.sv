// Clock of a block that rests: in hardware the clock itself; a simulator need not work the block out while it has nothing to do.
//
// Use:        wake_i is 1 with the reset, with anything that the block is told, and as long as it is busy. The clock goes on for Linger
//             cycles after that, in which the block comes to rest: from then on it would change nothing that matters.
// Timing:     wake_i may follow from inputs of the same cycle; it is looked at before the clock rises.
// Always on:  with PS_NO_REST defined, to see whether a failure is one of the resting.
module ps_rest_clock #(
  parameter int unsigned Linger = 64
) (
  input  logic clk_i,
  input  logic wake_i,
  output logic clk_o
);

`ifdef SYNTHESIS
  `define PS_NO_REST
`endif
`ifdef PS_NO_REST
  assign clk_o = clk_i;

  logic unused_wake;
  assign unused_wake = wake_i;
`else
  logic [$clog2(Linger+1)-1:0] left_q;
  logic                        runs;

  always_ff @(posedge clk_i) begin
    if (wake_i) left_q <= ($clog2(Linger+1))'(Linger);
    else if (left_q != '0) left_q <= left_q - 1'b1;
  end

  always_latch if (!clk_i) runs = wake_i || left_q != '0;

  assign clk_o = clk_i && runs;
`endif

endmodule
