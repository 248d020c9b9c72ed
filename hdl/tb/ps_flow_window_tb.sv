// Bench of ps_flow_window: a request is met from its push on until both its keys are written and the packets that looked before are through,
// whichever of the two comes first; and no longer. Prints PASS or stops.
module ps_flow_window_tb
  import ps_abi_pkg::*;
  import ps_match_pkg::*;
  import ps_pair_pkg::*;
;

  localparam int unsigned Banks = 8;    // of which one is searched a cycle
  localparam int unsigned Most  = LingerCycles + 2 * Banks + 8;

  logic clk = 0, rst = 1;
  always #1 clk = !clk;

  logic      look = 0, push = 0, translated = 0, drop = 0, room, busy;
  print_t    forward = '0, reverse = '0;
  relation_t relation;
  number_t   number, dropped = '0;
  logic        [FlowWays-1:0] done_valid = '0;
  row_op_for_t [FlowWays-1:0] done = '0;

  ps_flow_window dut (
    .clk_i(clk), .rst_i(rst), .look_i(look), .forward_i(forward), .reverse_i(reverse), .relation_o(relation), .push_i(push),
    .push_translated_i(translated), .number_o(number), .room_o(room), .done_valid_i(done_valid), .done_i(done),
    .drop_valid_i(drop), .drop_i(dropped), .busy_o(busy)
  );

  task automatic check(input logic ok, input string what);
    if (!ok) $fatal(1, "FAIL: %s", what);
  endtask

  // Inputs change at falling edges, where outputs are stable too. A packet's relation, and in its cycle the push of its request.
  task automatic packet(input print_t to, input print_t back, input logic pushes, output relation_t met);
    look    = 1;
    forward = to;
    reverse = back;
    @(negedge clk);
    look = 0;
    repeat (WindowCycles - 1) @(negedge clk);
    met        = relation;
    push       = pushes;
    translated = 1;
    @(negedge clk);
    push = 0;
  endtask

  task automatic written(input number_t which, input logic is_reverse);
    int way;
    way = $urandom % int'(FlowWays);
    done_valid[way]   = 1;
    done[way]         = '0;
    done[way].pending = 1;
    done[way].number  = which;
    done[way].reverse = is_reverse;
    @(negedge clk);
    done_valid = '0;
  endtask

  relation_t met;
  number_t   mine;
  print_t    to, back;
  int        first;

  initial begin
    repeat (4) @(negedge clk);
    rst = 0;
    while (!room) @(negedge clk);
    for (int run = 0; run < 400; run++) begin
      to   = print_t'($urandom);
      back = ~to;
      packet(to, back, 1, met);
      check(met == '0, "nobody has asked for it yet");
      mine = number;
      repeat ($urandom % 12) @(negedge clk);
      packet(to, back, 0, met);
      check(met.same, "it waits for its keys");
      packet(back, to, 0, met);
      check(met.reply && met.reply_translated && !met.same, "a reply that overtakes it");
      first = $urandom % 3;
      if (first == 2) begin
        // Nothing will be written.
        drop    = 1;
        dropped = mine;
        @(negedge clk);
        drop = 0;
      end else begin
        written(mine, first == 1);
        repeat (Most) @(negedge clk);
        packet(to, back, 0, met);
        check(met.same, "the other key is not written");
        written(mine, first != 1);
      end
      packet(to, back, 0, met);
      check(met.same, "packets that looked before are under way");
      repeat (Most) @(negedge clk);
      packet(to, back, 0, met);
      check(met == '0, "it has left");
      check(!busy, "nothing is pending");
    end
    $display("PASS ps_flow_window_tb");
    $finish;
  end

endmodule
