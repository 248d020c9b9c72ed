// Bench of ps_table and ps_table_deep: what is written is read on both sides, in its cycle, and its parity in the next; any bit that
// flips makes it wrong, and so does a write that is asked to. Prints PASS or stops.
module ps_table_tb
  import ps_ram_deep_pkg::*;
;

  localparam int unsigned Width = 114;
  localparam int unsigned Depth = 8192;
  localparam int unsigned Fan   = 16;
  localparam int unsigned Deep  = latency(Depth, Fan);
  localparam int unsigned Used  = 64;          // of the indices, some in either bank
  localparam int unsigned Lag   = Deep + 2;

  typedef logic [$clog2(Depth)-1:0] index_t;

  logic clk = 0;
  always #1 clk = !clk;

  logic             re = 0, acc_re = 0, acc_we = 0, flip = 0;
  index_t           addr = '0, acc_index = '0;
  logic [Width-1:0] wdata = '0, rdata, acc_rdata, deep_rdata, deep_acc_rdata;
  logic             bad, acc_bad, deep_bad, deep_acc_bad, deep_acc_valid;

  ps_table #(
    .Width(Width),
    .Depth(Depth)
  ) dut (
    .clk_i(clk), .re_i(re), .addr_i(addr), .rdata_o(rdata), .bad_o(bad), .acc_re_i(acc_re), .acc_we_i(acc_we), .acc_flip_i(flip),
    .acc_index_i(acc_index), .acc_wdata_i(wdata), .acc_rdata_o(acc_rdata), .acc_bad_o(acc_bad)
  );

  ps_table_deep #(
    .Width(Width),
    .Depth(Depth),
    .Fan  (Fan)
  ) dut_deep (
    .clk_i(clk), .re_i(re), .addr_i(addr), .rdata_o(deep_rdata), .bad_o(deep_bad), .acc_re_i(acc_re), .acc_we_i(acc_we),
    .acc_flip_i(flip), .acc_all_i(1'b0), .acc_index_i(acc_index), .acc_wdata_i(wdata), .acc_valid_o(deep_acc_valid),
    .acc_rdata_o(deep_acc_rdata), .acc_bad_o(deep_acc_bad)
  );

  int checks = 0;
  task automatic check(input logic ok, input string what);
    checks++;
    if (!ok) begin
      $display("FAILED: %s", what);
      $fatal(1);
    end
  endtask

  // What the memories hold, and whether its parity is wrong.
  logic [Width-1:0] held [Depth];
  logic             wrong [Depth];

  function automatic index_t some_index();
    some_index = index_t'($urandom_range(Used / 2 - 1)) + ($urandom_range(1) == 1 ? index_t'(4096) : '0);
  endfunction

  function automatic logic [Width-1:0] some_word();
    for (int i = 0; i < Width; i++) some_word[i] = 1'($urandom_range(1));
  endfunction

  task automatic write(input index_t index, input logic [Width-1:0] word, input logic odd);
    acc_we    <= 1;
    flip      <= odd;
    acc_index <= index;
    wdata     <= word;
    @(posedge clk);
    acc_we <= 0;
    flip   <= 0;
    repeat (4) @(posedge clk);
    held[index]  = word;
    wrong[index] = odd;
  endtask

  // Both sides of both tables.
  task automatic read(input index_t index);
    re        <= 1;
    addr      <= index;
    acc_re    <= 1;
    acc_index <= index;
    @(posedge clk);
    re     <= 0;
    acc_re <= 0;
    for (int cycle = 1; cycle <= Deep + 4; cycle++) begin
      @(posedge clk);
      // Of what stands before the edge.
      if (cycle == 2) check(rdata == held[index], "a look-up");
      if (cycle == 3) check(bad == wrong[index] && acc_rdata == held[index], "its parity; a read");
      if (cycle == 4) check(acc_bad == wrong[index], "a read's parity");
      if (cycle == Deep) check(deep_rdata == held[index], "a look-up, deep");
      if (cycle == Deep + 1) check(deep_bad == wrong[index], "its parity, deep");
      if (cycle == Deep + 3) begin
        check(deep_acc_valid && deep_acc_rdata == held[index] && deep_acc_bad == wrong[index], "a read and its parity, deep");
      end
    end
    check(bad == wrong[index] && acc_bad == wrong[index] && deep_bad == wrong[index], "they hold");
  endtask

  initial begin
    repeat (4) @(posedge clk);
    for (int i = 0; i < Used / 2; i++) begin
      write(index_t'(i), some_word(), 1'b0);
      write(index_t'(i + 4096), some_word(), 1'b0);
    end
    for (int n = 0; n < 2000; n++) begin
      if ($urandom_range(3) == 0) write(some_index(), some_word(), $urandom_range(3) == 0);
      read(some_index());
    end
    // Every bit, the parity's own too.
    for (int b = 0; b <= Width; b++) begin
      index_t index;
      index = some_index();
      write(index, some_word(), 1'b0);
      dut.u_ram.mem[index][b] = !dut.u_ram.mem[index][b];
      dut_deep.u_ram.mem[index][b] = !dut_deep.u_ram.mem[index][b];
      wrong[index] = 1'b1;
      if (b < Width) held[index][b] = !held[index][b];
      read(index);
      write(index, some_word(), 1'b0);
      read(index);
    end
    // One look-up every cycle: each has its own.
    begin
      index_t list [Lag + 200];
      for (int n = 0; n < 200 + Lag; n++) begin
        list[n] = some_index();
        re   <= 1;
        addr <= list[n];
        @(posedge clk);
        if (n >= 2) check(rdata == held[list[n-2]], "look-ups without a gap");
        if (n >= 3) check(bad == wrong[list[n-3]], "their parity");
        if (n >= Deep) check(deep_rdata == held[list[n-Deep]], "look-ups without a gap, deep");
        if (n >= Deep + 1) check(deep_bad == wrong[list[n-Deep-1]], "their parity, deep");
      end
      re <= 0;
    end
    $display("PASS ps_table_tb: %0d checks", checks);
    $finish;
  end

  initial begin
    #1000000;
    $display("FAILED: time out");
    $fatal(1);
  end

endmodule
