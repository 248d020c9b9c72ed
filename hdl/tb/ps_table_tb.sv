// Bench of ps_table and ps_table_deep with ps_table_turns: what is written is read on both sides, in its cycle, and its parity in the
// next; any bit that flips makes it wrong, and so does a write that is asked to. At the deep table's second port the host and a walk
// take turns in the cycles that packets leave. Prints PASS or stops.
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
  logic             bad, acc_bad, deep_bad, deep_acc_bad, rst = 1;

  ps_table #(
    .Width(Width),
    .Depth(Depth)
  ) dut (
    .clk_i(clk), .re_i(re), .addr_i(addr), .rdata_o(rdata), .bad_o(bad), .acc_re_i(acc_re), .acc_we_i(acc_we), .acc_flip_i(flip),
    .acc_index_i(acc_index), .acc_wdata_i(wdata), .acc_rdata_o(acc_rdata), .acc_bad_o(acc_bad)
  );

  // The deep table's second port: packets' address two cycles ahead of it, as a packet's stages have it.
  logic [2:1]       other_q = '0;              // bit 2: a packet is at the port
  logic             other_in = 0, walk_re = 0, walk_ready, walk_valid, walk_bad, done, take, port_re = 0, port_soon, port_we, port_all, other_bad;
  logic             clearing = 0;
  index_t           other_addr_in = '0, walk_addr = '0, turn_index, other_addr1_q, other_addr_q;
  logic [Width-1:0] walk_rdata, other_rdata;
  logic [Width:0]   port_wdata;
  logic [1:0]       waits;

  always_ff @(posedge clk) begin
    other_q       <= {other_q[1], other_in};
    port_re       <= port_soon;
    other_addr1_q <= other_in ? other_addr_in : turn_index;
    other_addr_q  <= other_addr1_q;
  end

  ps_table_deep #(
    .Width(Width),
    .Depth(Depth),
    .Fan  (Fan)
  ) dut_deep (
    .clk_i(clk), .re_i(re), .addr_i(addr), .rdata_o(deep_rdata), .bad_o(deep_bad), .other_re_i(other_q[2] || port_re),
    .other_we_i(port_we), .other_all_i(port_all), .other_addr_i(other_addr_q), .other_wdata_i(port_wdata),
    .other_rdata_o(other_rdata), .other_bad_o(other_bad)
  );

  ps_table_turns #(
    .Width  (Width),
    .Depth  (Depth),
    .Latency(Deep)
  ) dut_turns (
    .clk_i(clk), .rst_i(rst), .free_i(!other_in), .clearing_i(clearing), .clear_late_i(1'b1), .acc_re_i(acc_re), .acc_we_i(acc_we),
    .acc_flip_i(flip), .acc_index_i(acc_index), .acc_wdata_i(wdata), .done_o(done), .acc_rdata_o(deep_acc_rdata),
    .acc_bad_o(deep_acc_bad), .walk_re_i(walk_re), .walk_addr_i(walk_addr), .walk_ready_o(walk_ready), .walk_valid_o(walk_valid),
    .walk_rdata_o(walk_rdata), .walk_bad_o(walk_bad), .take_o(take), .index_o(turn_index), .port_soon_o(port_soon), .port_we_o(port_we),
    .port_all_o(port_all), .port_wdata_o(port_wdata), .port_rdata_i(other_rdata), .port_bad_i(other_bad), .waits_o(waits)
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
      if (cycle == Deep + 4) check(deep_acc_rdata == held[index] && deep_acc_bad == wrong[index], "a read and its parity, deep");
    end
    check(bad == wrong[index] && acc_bad == wrong[index] && deep_bad == wrong[index], "they hold");
  endtask

  // Packets at the second port in most cycles; the host writes and reads, a walk reads, all at once. Each has its own, in the order of
  // the turns; no cycle that is free is left while one waits, and of two that wait one has the first and the other the next.
  task automatic turns();
    typedef enum {None, Packet, Walk, Host} who_e;
    who_e             who [Deep+5];
    logic [Width-1:0] want [Deep+5];
    logic             odd [Deep+5];
    logic             writes = 0, odd_write = 0, asks = 0;
    int               rest = 0, turns_of [3] = '{0, 0, 0}, passed [2] = '{0, 0};
    who = '{default: None};
    for (int n = 0; n < 20000; n++) begin
      logic due, walks;
      @(posedge clk);
      walks = walk_re && walk_ready;
      // What stood before the edge; [i] of i cycles ago.
      for (int i = Deep + 4; i > 0; i--) begin
        who[i]  = who[i-1];
        want[i] = want[i-1];
        odd[i]  = odd[i-1];
      end
      who[0] = other_in ? Packet : walks ? Walk : done && !writes ? Host : None;
      if (who[0] != None) begin
        index_t index;
        index   = other_in ? other_addr_in : walks ? walk_addr : acc_index;
        want[0] = held[index];
        odd[0]  = wrong[index];
      end
      check(!(walks && done) && !(other_in && take) && take == (walks || done), "one turn, and none of a packet's cycle");
      due = !other_in && (asks || walk_re);
      check(take || !due, "a free cycle is used");
      if (!other_in) begin
        passed[0] = asks && !done ? passed[0] + 1 : 0;
        passed[1] = walk_re && !walks ? passed[1] + 1 : 0;
        check(passed[0] < 2 && passed[1] < 2, "in turn");
      end
      if (done && writes) begin
        held[acc_index]  = wdata;
        wrong[acc_index] = odd_write;
      end
      if (done) rest = writes ? 4 : Deep + 6;
      turns_of[0] += 32'(walks);
      turns_of[1] += 32'(done && writes);
      turns_of[2] += 32'(done && !writes);
      if (done) asks = 0;
      if (who[Deep+2] != None) check(other_rdata == want[Deep+2], "what the second port reads");
      if (who[Deep+3] != None) check(other_bad == odd[Deep+3], "its parity");
      check(walk_valid == (who[Deep+3] == Walk), "a walk's answer");
      if (walk_valid) check(walk_rdata == want[Deep+3] && walk_bad == odd[Deep+3], "what it says");
      if (who[Deep+4] == Host) check(deep_acc_rdata == want[Deep+4] && deep_acc_bad == odd[Deep+4], "what the host reads");
      // What comes next.
      other_in      <= $urandom_range(7) != 0;
      other_addr_in <= some_index();
      if (walks || !walk_re) begin
        walk_re   <= n % 4096 < 2048 ? 1'b1 : $urandom_range(15) == 0;
        walk_addr <= some_index();
      end
      acc_re <= 0;
      acc_we <= 0;
      flip   <= 0;
      if (rest > 0) rest--;
      if (!asks && rest == 0) begin
        asks      = 1;
        writes    = 1'($urandom_range(1));
        odd_write = 1'($urandom_range(1));
        acc_we    <= writes;
        acc_re    <= !writes;
        flip      <= writes && odd_write;
        acc_index <= some_index();
        wdata     <= some_word();
      end
    end
    other_in <= 0;
    walk_re  <= 0;
    check(turns_of[0] > 500 && turns_of[1] > 200 && turns_of[2] > 200, "turns of each");
  endtask

  initial begin
    repeat (4) @(posedge clk);
    rst <= 0;
    @(posedge clk);
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
    turns();
    $display("PASS ps_table_tb: %0d checks", checks);
    $finish;
  end

  initial begin
    #1000000;
    $display("FAILED: time out");
    $fatal(1);
  end

endmodule
