// Bench of ps_flow_events: what is told, in which order, what is counted as lost, and whose statistics a pair that ended has.
// Everything is driven at the clock's falling edge. Prints PASS or stops.
module ps_flow_events_tb
  import ps_abi_pkg::*;
  import ps_match_pkg::*;
  import ps_pair_pkg::*;
;

  localparam int unsigned Depth = 16;

  logic clk = 0, rst = 1;
  always #1 clk = !clk;

  logic        flush = 0, enable = 1, news_valid = 0, refused_valid = 0, re, reverse, done = 0, evt_valid, evt_ready = 0, busy;
  logic [31:0] kinds = 32'hf8;
  logic [3:0]  sample = 0;
  logic [1:0]  pressure = 0, lost;
  logic [63:0] now = 64'h1_0000;
  pair_news_t  news = '0, refused = '0;
  pair_t       pair;
  pair_stats_t stats = '0;
  flow_event_t evt;
  longint      lost_all = 0;

  ps_flow_events #(
    .Depth(Depth)
  ) dut (
    .clk_i(clk), .rst_i(rst), .flush_i(flush), .time_i(now), .now_i(32'd1000), .enable_i(enable), .kinds_i(kinds), .sample_i(sample),
    .news_valid_i(news_valid), .news_i(news), .refused_valid_i(refused_valid), .refused_i(refused), .pressure_i(pressure),
    .in_use_i(($clog2(Flows + 1))'(1234)), .re_o(re), .pair_o(pair), .reverse_o(reverse), .done_i(done), .stats_i(stats),
    .evt_valid_o(evt_valid), .evt_o(evt), .evt_ready_i(evt_ready), .lost_o(lost), .busy_o(busy)
  );

  always_ff @(posedge clk) begin
    now      <= now + 1;
    lost_all <= lost_all + longint'(lost);
  end

  task automatic check(input logic ok, input string what);
    if (!ok) $fatal(1, "FAIL: %s: kind %0d pair %0d reason %0d flags %h time %0d packets %h", what, evt.kind, evt.pair, evt.reason,
                    evt.flags, evt.time_cycles, evt.packets);
  endtask

  // Statistics: of a pair and a direction what tells them apart, under generations that the bench sets. A read takes some cycles.
  generation_t [1:0] generation = '0;
  logic [1:0][31:0]  hits = '0;
  int unsigned       reading = 0;

  always_ff @(posedge clk) begin
    done    <= 1'b0;
    reading <= re && !done ? reading + 1 : 0;
    if (reading == 5) begin
      done  <= 1'b1;
      stats <= '{age: '0, generation: generation[reverse], last_hit: hits[reverse], tcp: reverse ? 4'h9 : 4'h3,
                 bytes: {8'(pair), 31'd0, reverse}, packets: 32'(pair) * 2 + 32'(reverse)};
    end
  end

  function automatic pair_news_t of(input logic [7:0] kind, input int unsigned number);
    of            = '0;
    of.kind       = kind[2:0];
    of.reason     = 6'(FlowEndEvicted);
    of.pair       = pair_t'(number);
    of.generation = {8'd20, 8'd10};
    of.key        = '{nh: 16'h1234, proto: 8'd6, sip: 32'h0a00_0001, dip: 32'h0a00_0002, sport: 16'(number), dport: 16'd80};
    of.plain      = number[0];
    of.ties       = '{map_valid: 1'b1, map: map_id_t'(77), member_valid: !number[0], member: MemberBits'(5)};
  endfunction

  task automatic tell(input pair_news_t what);
    news       = what;
    news_valid = 1;
    @(negedge clk);
    news_valid = 0;
  endtask

  task automatic refuse(input int unsigned number);
    refused       = of(EventFlowRefused, number);
    refused.reason = 6'(DropFlowQuota);
    refused_valid = 1;
    @(negedge clk);
    refused_valid = 0;
  endtask

  // The next event, taken a while after it is offered; it stays as it is until then.
  task automatic take(output flow_event_t got, input int unsigned patience = 600);
    int unsigned waited;
    waited = 0;
    while (!evt_valid) begin
      @(negedge clk);
      waited++;
      check(waited < patience, "nothing is offered");
    end
    got = evt;
    repeat (3) @(negedge clk);
    check(evt_valid && evt == got, "what is offered does not stay");
    evt_ready = 1;
    @(negedge clk);
    evt_ready = 0;
    @(negedge clk);
  endtask

  task automatic quiet(input string what);
    repeat (400) begin
      @(negedge clk);
      check(!evt_valid, what);
    end
    check(!busy, {what, ": busy"});
  endtask

  flow_event_t got;
  longint      begun;

  initial begin
    repeat (4) @(negedge clk);
    rst = 0;
    repeat (8) @(negedge clk);

    // What is said of a pair, and when it happened.
    begun = longint'(now);
    tell(of(EventFlowMade, 6));
    take(got);
    check(got.kind == EventFlowMade && got.pair == 6 && got.time_cycles - 64'(begun) < 4 && got.packets == 0, "made");
    check(got.source == 32'h0a00_0001 && got.destination == 32'h0a00_0002 && got.source_port == 6 && got.destination_port == 80 &&
          got.nh == 16'h1234 && got.protocol == 6, "key");
    check(got.flags == 8'((1 << FlowEventMapBit) | (1 << FlowEventMemberBit)) && got.map == 77 && got.ecmp_slot == 5, "ties");
    check(!re, "statistics are read for nobody");

    // What it counted: both directions, their own generations, after those that were on their way.
    generation = {8'd20, 8'd10};
    hits       = {32'd900, 32'd800};
    begun      = longint'(now);
    tell(of(EventFlowEnded, 7));
    fork
      begin
        while (!re) @(negedge clk);
        check(longint'(now) - begun >= longint'(DrainCycles), "statistics are read before the last packet");
      end
      take(got);
    join
    check(got.kind == EventFlowEnded && got.reason == FlowEndEvicted, "ended");
    check(got.packets == {32'd15, 32'd14} && got.bytes_low == {32'd1, 32'd0} && got.bytes_high == {8'd7, 8'd7}, "counts");
    check(got.tcp == 8'h93 && got.last_hit == 900 && got.flags == 8'((1 << FlowEventMapBit) | (1 << FlowEventPlainBit)), "marks");
    hits = {32'd700, 32'd800};
    tell(of(EventFlowEnded, 7));
    take(got);
    check(got.last_hit == 800, "the later of both");
    hits = {32'hffff_fff0, 32'd5};      // card time has come round
    tell(of(EventFlowEnded, 7));
    take(got);
    check(got.last_hit == 5, "the later of both, and time has come round");

    // Nobody has counted under the pair's generation; or another pair has.
    generation = {8'd19, 8'd10};
    hits       = {32'd900, 32'd800};
    tell(of(EventFlowEnded, 8));
    take(got);
    check(got.packets == {32'd0, 32'd16} && got.tcp == 8'h03 && got.last_hit == 800 && !got.flags[FlowEventUncountedBit], "none came");
    generation = {8'd20, 8'd11};
    tell(of(EventFlowEnded, 8));
    take(got);
    check(got.packets == 0 && got.bytes_low == 0 && got.bytes_high == 0 && got.tcp == 0 && got.last_hit == 0 &&
          got.flags[FlowEventUncountedBit], "another has counted");
    generation = {8'd20, 8'd10};

    // In order, and the same after many; an event and a refused packet in one cycle.
    for (int unsigned i = 0; i < 6; i++) tell(of(i % 2 == 0 ? EventFlowMade : EventFlowRepinned, i));
    refused       = of(EventFlowRefused, 50);
    refused_valid = 1;
    tell(of(EventFlowRepinned, 6));
    refused_valid = 0;
    tell(of(EventFlowEnded, 7));
    for (int unsigned i = 0; i < 7; i++) begin
      take(got);
      check(got.pair == 32'(i) && got.kind == (i == 6 || i % 2 == 1 ? EventFlowRepinned : EventFlowMade), "order");
    end
    take(got);
    if (got.kind == EventFlowEnded) begin
      take(got);
      check(got.kind == EventFlowRefused && got.source_port == 50, "the refused one");
    end else begin
      check(got.kind == EventFlowRefused && got.source_port == 50, "refused");
      take(got);
      check(got.kind == EventFlowEnded && got.pair == 7, "ended at the end");
    end
    check(lost_all == 0, "lost");

    // Refused packets have half of the queue; pairs find room all the same, and what finds none counts.
    for (int unsigned i = 0; i < 64; i++) refuse(i);
    repeat (4) @(negedge clk);
    check(lost_all >= 64 - Depth / 2 - 4 && lost_all <= 64 - Depth / 2, "refused packets that are lost");
    for (int unsigned i = 0; i < 4; i++) tell(of(EventFlowMade, i));
    repeat (4) @(negedge clk);
    check(lost_all <= 64 - Depth / 2, "a pair's event is lost for refused packets");
    for (int unsigned i = 0; i < 64 - lost_all; i++) begin
      take(got);
      check(got.kind == EventFlowRefused && got.reason == 8'(DropFlowQuota), "refused");
    end
    for (int unsigned i = 0; i < 4; i++) begin
      take(got);
      check(got.kind == EventFlowMade && got.pair == 32'(i), "made behind them");
    end
    begun = lost_all;
    for (int unsigned i = 0; i < 100; i++) tell(of(EventFlowMade, i));
    repeat (4) @(negedge clk);
    check(lost_all - begun >= 100 - Depth - 3 && lost_all - begun <= 100 - Depth, "pairs' events that are lost");
    begun = 100 - (lost_all - begun);
    for (int unsigned i = 0; i < begun; i++) take(got);
    quiet("more than there is room for");

    // Only what is wanted; one pair in four, and of refused packets.
    kinds = 32'h10;
    repeat (4) @(negedge clk);
    tell(of(EventFlowMade, 1));
    refuse(1);
    tell(of(EventFlowEnded, 9));
    take(got);
    check(got.kind == EventFlowEnded && got.pair == 9, "a kind that is not wanted");
    quiet("another kind that is not wanted");
    kinds  = 32'hf8;
    sample = 2;
    repeat (4) @(negedge clk);
    for (int unsigned i = 0; i < 9; i++) tell(of(EventFlowMade, 32 + i));
    for (int unsigned i = 0; i < 3; i++) begin
      take(got);
      check(got.pair == 32'(32 + 4 * i), "the pairs of a sample");
    end
    begun = 0;
    for (int unsigned i = 0; i < 16; i++) begin
      refuse(i);
      repeat (3) @(negedge clk);
    end
    for (int unsigned i = 0; i < 4; i++) take(got);
    quiet("more than a sample");
    sample = 0;
    repeat (4) @(negedge clk);

    // Pressure, as it is when it is told, before all that waits.
    tell(of(EventFlowMade, 3));
    take(got);
    tell(of(EventFlowMade, 4));
    tell(of(EventFlowMade, 5));
    while (!evt_valid) @(negedge clk);
    pressure = 2;
    take(got);
    check(got.pair == 4, "one that was offered");
    take(got);
    check(got.kind == EventFlowPressure && got.pair == 2 && {got.ecmp_slot, got.flags, got.reason} == 1234, "pressure");
    take(got);
    check(got.kind == EventFlowMade && got.pair == 5, "behind the pressure");
    quiet("pressure told twice");
    tell(of(EventFlowMade, 4));
    while (!evt_valid) @(negedge clk);
    pressure = 3;
    repeat (5) @(negedge clk);
    pressure = 2;
    take(got);
    quiet("a pressure that is over");
    pressure = 0;
    take(got);
    check(got.kind == EventFlowPressure && got.pair == 0, "no pressure");

    // What waits is forgotten with the ring, and at CLEAR; it does not count.
    begun = lost_all;
    for (int unsigned i = 0; i < 2; i++) begin
      for (int unsigned n = 0; n < 4; n++) tell(of(EventFlowEnded, n));
      repeat (3) @(negedge clk);
      if (i == 0) enable = 0;
      else flush = 1;
      repeat (4) @(negedge clk);
      tell(of(EventFlowMade, 9));
      if (i == 0) pressure = 1;
      repeat (8) @(negedge clk);
      check(!busy && !evt_valid, "busy with what nobody wants");
      pressure = 0;
      repeat (8) @(negedge clk);
      {enable, flush} = 2'b10;
      quiet("what waited before");
    end
    check(lost_all == begun, "forgotten ones count");
    tell(of(EventFlowEnded, 7));
    take(got);
    check(got.packets == {32'd15, 32'd14}, "after all that");
    $display("PASS");
    $finish;
  end

endmodule
