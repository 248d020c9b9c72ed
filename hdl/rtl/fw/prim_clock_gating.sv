// Clock gate of the soft core, replaced by a wire: the clock always runs.
//
// Ibex instantiates a cell of this name. A latch-based gate does not belong into an FPGA, and the core
// behaves the same with its clock running: when it sleeps it waits for an interrupt. Whoever wants to
// save the power stops clk_fw_i of ps_fw while fw_active_o is 0.
module prim_clock_gating (
  input  logic clk_i,
  input  logic en_i,
  input  logic test_en_i,
  output logic clk_o
);

  assign clk_o = clk_i;

  logic unused_enables;
  assign unused_enables = en_i ^ test_en_i;

endmodule
