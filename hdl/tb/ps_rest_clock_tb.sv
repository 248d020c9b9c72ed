// Bench of ps_rest_clock: it runs from the very cycle that wakes it, Linger cycles longer than it is kept awake, then stands still, and
// rises with its clock alone. Prints PASS or stops.
module ps_rest_clock_tb;

  localparam int unsigned Linger = 5;

  logic clk = 0, wake_early = 0, wake_late_q = 0, set_late = 0, clk_o;
  int   rises = 0;

  always #1 clk = !clk;

  // Told at the falling edge, as what comes from outside, and by a register, which changes while the clock is high.
  always_ff @(posedge clk) wake_late_q <= set_late;

  ps_rest_clock #(
    .Linger(Linger)
  ) dut (
    .clk_i (clk),
    .wake_i(wake_early || wake_late_q),
    .clk_o
  );

  always @(posedge clk_o) begin
    rises++;
    if (!clk) $fatal(1, "FAIL: it rises while its clock is low");
  end

  task automatic count(input int cycles, input int expected, input string what);
    rises = 0;
    repeat (cycles) @(negedge clk);
    if (rises != expected) $fatal(1, "FAIL: %s: %0d rises, not %0d", what, rises, expected);
  endtask

  initial begin
    repeat (20) @(negedge clk);
    count(20, 0, "at rest");
    for (int n = 1; n < 40; n++) begin
      wake_early = 1;
      count(n, n, "awake");
      wake_early = 0;
      count(Linger + 20, Linger, "lingering, then at rest");
      // The register is seen a cycle after it is told, and keeps the clock awake for as long.
      set_late = 1;
      count(n, n - 1, "awake by a register");
      set_late = 0;
      count(Linger + 20, Linger + 1, "likewise, lingering");
      // Woken while it lingers.
      wake_early = 1;
      @(negedge clk);
      wake_early = 0;
      count(n % Linger, n % Linger, "lingering");
      wake_early = 1;
      count(1, 1, "woken again");
      wake_early = 0;
      count(Linger + 20, Linger, "lingering anew");
    end
    $display("PASS");
    $finish;
  end

endmodule
