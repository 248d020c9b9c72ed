// Answers a shell's reset request and makes the resets of the control bus and of the core from it.
//
// Request:    mod_rstn_i, active low, of clk_i, may be one cycle long. mod_rst_done_o falls with the next edge
//             and rises when both resets are over; before the first request nothing is known and it is low.
// Resets:     rst_o (clk_i) and core_rst_o (core_clk_i), active high, at least Cycles cycles of clk_i; they overlap, and
//             core_rst_o ends first. Before the first request both are on where registers start as 0 (FPGA).
// Condition:  core_clk_i runs, and Cycles cycles of clk_i are at least 8 of core_clk_i.
module ps_shell_reset #(
  parameter int unsigned Cycles = 100
) (
  input  logic clk_i,
  input  logic mod_rstn_i,
  output logic mod_rst_done_o,
  output logic rst_o,
  input  logic core_clk_i,
  output logic core_rst_o
);

  localparam int unsigned FlushCycles = 8;  // for core_rst_o to have ended
  localparam int unsigned Width = $clog2(Cycles + FlushCycles + 1);

  logic [Width-1:0] left_q;
  logic             known_q, core_run_q, core_run;

  always_ff @(posedge clk_i) begin
    if (!mod_rstn_i) begin
      left_q  <= Width'(Cycles + FlushCycles);
      known_q <= 1'b1;
    end else if (left_q != '0) begin
      left_q <= left_q - 1'b1;
    end
    core_run_q <= known_q && mod_rstn_i && left_q < Width'(FlushCycles);
  end

  assign rst_o          = !known_q || left_q != '0;
  assign mod_rst_done_o = known_q && left_q == '0;

  ps_sync u_core (
    .clk_i(core_clk_i),
    .d_i  (core_run_q),
    .q_o  (core_run)
  );

  assign core_rst_o = !core_run;

endmodule
