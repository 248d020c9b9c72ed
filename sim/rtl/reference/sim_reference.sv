// What the speed of the simulated card is measured against: a block that never changes, of what the card is made of.
//
// Two lanes, each a 512-bit beat through sums, parities, shifts, a table and a queue. Nothing comes in: a lane feeds itself.
// Contract: digest_o is the same after as many cycles on any machine (sim/rtl/src/reference.rs knows one).
// Reset:    synchronous.
//
// Do not change it: figures of before and after would no longer compare.
module sim_reference (
  input  logic        clk_i,
  input  logic        rst_i,
  output logic [63:0] digest_o
);

  localparam int unsigned Lanes = 2;

  logic [Lanes-1:0][63:0] digest;

  for (genvar l = 0; l < Lanes; l++) begin : gen_lane
    sim_reference_lane #(
      .Lane(l)
    ) u_lane (
      .clk_i,
      .rst_i,
      .digest_o(digest[l])
    );
  end

  always_comb begin
    digest_o = '0;
    for (int unsigned l = 0; l < Lanes; l++) digest_o ^= digest[l];
  end

endmodule
