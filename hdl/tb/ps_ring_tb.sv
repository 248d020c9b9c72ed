// Bench of ps_ring: a small host memory, a table behind the access port, and rings that wrap several times.
// Checks order, cookies, phases, chains, search, digests, refusals, fences, bus errors, a producer that lies, stop and restart, and the
// AXI port by ps_axi_sva; cycles for a write on buses with latency; random commands on buses that pause at random against what they
// must do. The command ring lies across a 4 KiB boundary. Prints PASS or stops.
module ps_ring_tb
  import ps_abi_pkg::*;
  import ps_types_pkg::*;
;

  `include "hdl/tb/ps_ring_bench.svh"

  // Cycles for one write of many, with rings that are kept filled by halves.
  task automatic rate(input int unsigned reads_wait, input int unsigned answers_wait, input int unsigned most);
    int unsigned began, cycles;
    again(8);
    stall       = 0;
    read_wait   = reads_wait;
    answer_wait = answers_wait;
    reads_most  = 0;
    writes_most = 0;
    began       = now;
    while (produced != 2048) begin
      if (produced - consumer <= 128) for (int n = 0; n < 128; n++) post(OpWrite, TableNextHop, 32'(n), 384'(produced) << 1 | 1);
      @(posedge clk);
    end
    finish(c);
    cycles = now - began;
    $display("%0d cycles for 100 writes with reads of %0d cycles and answers of %0d; %0d reads and %0d writes at once",
             cycles * 100 / 2048, reads_wait, answers_wait, reads_most, writes_most);
    check(cycles <= 2048 * most, "cycles for a write");
    check(reads_most <= 8 && writes_most <= 16, "as many at once as allowed");
    if (reads_wait > 100) check(reads_most >= 4, "four reads at once");
    for (int n = 0; n < 128; n++) check(entries[n] == (384'(2048 - 128 + n) << 1 | 384'd1), "what was written");
  endtask

  // Commands at random against what they must do, with a bus that pauses and takes its time at random.
  task automatic soak(input int unsigned size, input int unsigned commands);
    logic [383:0] model[256];
    logic [511:0] expected[$];
    logic [7:0]   last;
    int unsigned  seen;
    again(size);
    model = entries;
    last  = StOk;
    seen  = 0;
    while (seen < commands) begin
      if (produced < commands && produced - seen < 1 << size && $urandom(seed) % 4 != 0) begin
        int unsigned batch;
        batch = 1 + $urandom(seed) % ((1 << size) - (produced - seen));
        seed++;
        for (int n = 0; n < batch; n++) begin
          logic [7:0]   op, flags, status;
          logic [31:0]  index;
          logic [383:0] data, given;
          int unsigned  dice;
          dice   = $urandom(seed);
          seed++;
          op     = dice[3:0] < 7 ? OpWrite : dice[3:0] < 13 ? OpRead : dice[3:0] == 13 ? OpNop : dice[3:0] == 14 ? 8'h55 : OpGetNext;
          flags  = dice[5:4] == 0 ? 8'd0 : 8'd2;
          index  = dice[11:6] == 0 ? 32'd256 : 32'(dice[19:12]);
          data   = {12{dice}};
          status = op == 8'h55 ? StBadOpcode : op != OpNop && op != OpGetNext && index == 256 ? StBadIndex : StOk;
          if (op == OpGetNext) begin
            data  = '0;
            index = dice[19:12];
            while (index < 256 && !model[index[7:0]][0]) index++;
            if (index == 256) begin
              index  = NextHops;
              status = StNotFound;
            end
          end
          given = '0;
          if (flags[1] && last != StOk) begin
            status = StSkipped;
            index  = op == OpGetNext ? 32'(dice[19:12]) : index;
          end else if (status == StOk) begin
            if (op == OpWrite) model[index[7:0]] = data;
            if (op == OpRead || op == OpGetNext) given = model[index[7:0]];
          end
          last = status;
          expected.push_back({24'd0, status, 32'd0, 32'd0, index, given});
          post(op, TableNextHop, op == OpGetNext ? 32'(dice[19:12]) : index, data, flags);
        end
        // What was announced may no longer be changed; what comes is told by its phase alone, as the host sees it.
      end
      seed++;
      @(posedge clk);
      while (seen != produced) begin
        c = memory[record(CplBase) + (seen & ((1 << size) - 1))];
        if (c[504] != (((seen >> size) & 1) == 0)) break;
        check(c[447:416] == 32'hc000_0000 + seen && c[479:448] == seen + 1, "cookie and sequence");
        check({24'd0, c[487:480], 64'd0, c[415:0]} == expected[seen],
              $sformatf("command %0d of %0d: %h, not %h", seen, size, c, expected[seen]));
        seen++;
      end
      check(seen - consumer < 1 << size, "no count before its completion");
    end
    finish(c);
    for (int n = 0; n < 256; n++) check(entries[n] == model[n], "tables after a soak");
  endtask

  // Stops in the midst of things as a function-level reset does, and begins anew: nothing of the old run is seen any more.
  task automatic stopped(input int unsigned after);
    int unsigned asked;
    again(6);
    for (int n = 0; n < 64; n++) post(OpWrite, TableNextHop, 32'(n), 384'd1);
    repeat (after) @(posedge clk);
    cmd_cfg  = '0;
    produced = 0;
    asked    = bursts + int'(arvalid);
    for (int n = 0; n < 2000 && busy; n++) @(posedge clk);
    check(!busy && bursts <= asked, "nothing is asked for after a reset, and all of it comes to an end");
    for (int n = 0; n < 512; n++) memory[record(CplBase) + n] = '0;
    cmd_cfg.base     = CmdBase;
    cmd_cfg.cpl_base = CplBase;
    again(4);
    repeat (read_wait + answer_wait + 200) @(posedge clk);
    for (int n = 0; n < 16; n++) check(memory[record(CplBase) + n] == '0, "no completion without a command");
    post(OpNop, 0, 0, '0);
    finish(c);
    check(errors == 0 && consumer == 1, "a run after a reset");
  endtask

  // A bus error in the midst of many commands: what comes whole before it counts, nothing behind it does.
  task automatic broken(input logic write, input int unsigned which);
    logic [31:0] counted;
    again(8);
    if (write) fail_answer = int'(answers + which);
    else fail_burst = int'(bursts + which);
    for (int n = 0; n < 200; n++) post(OpWrite, TableNextHop, 32'(n), 384'd1);
    for (int n = 0; n < 20000 && errors == 0; n++) @(posedge clk);
    cmd_cfg.enable = 0;
    for (int n = 0; n < 5000 && busy; n++) @(posedge clk);
    counted = consumer;
    check(errors == 1 && !busy, "a bus error is counted once");
    if (write) check(counted == which, $sformatf("%0d counted before write %0d failed", counted, which));
    else check(counted <= which * 8, $sformatf("%0d counted before burst %0d failed", counted, which));
    fail_answer = -1;
    fail_burst  = -1;
    again(4);
    post(OpNop, 0, 0, '0);
    finish(c);
    check(errors == 0 && consumer == 1, "a run after a bus error");
  endtask

  logic [63:0] sums [40];
  initial begin
    for (int i = 0; i < 256; i++) entries[i] = '0;
    for (int i = 0; i < 2048; i++) memory[i] = '0;
    cmd_cfg.base     = CmdBase;
    cmd_cfg.cpl_base = CplBase;
    cmd_cfg.log2     = 5'(log2);
    evt_cfg.base     = EvtBase;
    evt_cfg.log2     = 5'(log2);
    repeat (4) @(posedge clk);
    rst = 0;
    start();
    // Writes and read-back over five laps, in batches.
    for (int n = 0; n < 40; n++) begin
      post(OpWrite, TableNextHop, 32'(n * 5), {352'(n), 31'd0, 1'b1});
      if (n % 8 == 7) finish(c);
    end
    for (int n = 0; n < 40; n++) begin
      post(OpRead, TableNextHop, 32'(n * 5), '0);
      finish(c);
      check(c[487:480] == StOk && c[383:32] == 352'(n) && c[0], "read-back");
    end
    // Search finds exactly what was written.
    for (int n = 0; n < 40; n++) begin
      post(OpGetNext, TableNextHop, n == 0 ? 0 : 32'(n * 5 - 4), '0);
      finish(c);
      check(c[487:480] == StOk && c[415:384] == 32'(n * 5), "search");
    end
    post(OpWrite, TableNextHop, 195, '0);
    post(OpGetNext, TableNextHop, 191, '0);
    finish(c);
    check(c[487:480] == StNotFound, "search past the end");
    // Flows come and go by the card's own hand; here entry 3 of the table stands for flow 3 and is valid.
    entries[3] = 384'd1;
    for (int n = 0; n < 2; n++) begin
      mark       = 1;
      mark_index = n == 0 ? index_t'(3) : index_t'(200);
      mark_set   = 1;
      do @(posedge clk); while (!mark_ready);
    end
    mark = 0;
    post(OpGetNext, TableFlow, 0, '0);
    finish(c);
    check(c[487:480] == StOk && c[415:384] == 3, "search for flows");
    // So do clients, whose entries are others.
    post(OpGetNext, TableAffinity, 0, '0);
    finish(c);
    check(c[487:480] == StNotFound, "no client");
    mark        = 1;
    mark_client = 1;
    mark_index  = 3;
    do @(posedge clk); while (!mark_ready);
    mark        = 0;
    mark_client = 0;
    post(OpGetNext, TableAffinity, 0, '0);
    finish(c);
    check(c[487:480] == StOk && c[415:384] == 3, "search for clients");
    // Flow 200 is marked but no longer valid: the search goes on and finds nothing more.
    entries[200] = '0;
    post(OpGetNext, TableFlow, 4, '0);
    finish(c);
    check(c[487:480] == StNotFound, "search for flows that have gone");
    // Refusals.
    post(OpRead, TableNextHop, 256, '0);
    finish(c);
    check(c[487:480] == StBadIndex, "bad index");
    post(8'h77, 0, 0, '0);
    finish(c);
    check(c[487:480] == StBadOpcode, "bad opcode");
    post(OpGetNext, 8'd99, 0, '0);
    finish(c);
    check(c[487:480] == StBadTable, "bad table");
    post(OpGetNext, TableVifStats, 0, '0);
    finish(c);
    check(c[487:480] == StNotPermitted, "search in counters");
    post(OpFence, 0, 0, '0);
    finish(c);
    check(c[487:480] == StOk, "fence");
    // Chains: a command that fails takes those with it that are chained to it, whatever they are, and no others.
    begin
      logic [7:0] expected[9] = '{StOk, StOk, StBadIndex, StSkipped, StSkipped, StSkipped, StOk, StNotFound, StSkipped};
      int unsigned first;
      first = produced;
      post(OpWrite, TableNextHop, 10, 384'h201);
      post(OpWrite, TableNextHop, 15, 384'h201, 8'd2);
      post(OpWrite, TableNextHop, 256, 384'h201, 8'd2);
      post(OpWrite, TableNextHop, 20, 384'h201, 8'd2);
      post(8'h77, 0, 0, '0, 8'd2);
      post(OpFence, 0, 0, '0, 8'd2);
      post(OpWrite, TableNextHop, 25, 384'h201);
      post(OpGetNext, TableNextHop, 191, '0, 8'd2);
      post(OpDigest, TableNextHop, 0, '0, 8'd2);
      finish(c);
      for (int n = 0; n < 9; n++) begin
        c = memory[record(CplBase) + ((first + n) & ((1 << log2) - 1))];
        check(c[487:480] == expected[n], $sformatf("chained command %0d: status %0d", n, c[487:480]));
        check(c[383:0] == 0, "no data of a chained command");
      end
      for (int n = 2; n < 6; n++) check(entries[n*5] == (n == 4 ? {352'd4, 32'd1} : 384'h201), "what a chain wrote");
      for (int n = 2; n < 6; n++) post(OpWrite, TableNextHop, 32'(n * 5), {352'(n), 32'd1});
      finish(c);
    end
    // Events.
    evt_cfg.enable = 1;
    fw_status      = 32'h6000_0002;
    repeat (100) @(posedge clk);
    c = memory[record(EvtBase)];
    check(evt_producer == 1 && c[487:480] == EventFirmware && c[95:64] == 32'h6000_0002 && c[504], "event");
    for (int n = 0; n < 20; n++) begin
      flow_full = 1;
      @(posedge clk);
      flow_full = 0;
      repeat (40) @(posedge clk);
    end
    check(evt_producer == 16 && evt_dropped == 5, "full event ring");
    // Those that did not come as far count as well.
    flow_evt_lost = 2;
    @(posedge clk);
    flow_evt_lost = 1;
    @(posedge clk);
    flow_evt_lost = 0;
    repeat (4) @(posedge clk);
    check(evt_dropped == 8, "events lost before");
    // Events of flows and of a full table in turn, whatever waits; kinds that are not wanted are none.
    evt_cfg.enable = 0;
    repeat (4) @(posedge clk);
    evt_cfg = '{enable: 1'b1, start: 1'b1, base: EvtBase, cpl_base: '0, log2: 5'(RingLog2Min), count: '0};
    @(posedge clk);
    evt_cfg.start           = 0;
    flow_evt.kind           = EventFlowEnded;
    flow_evt.pair           = 32'd5;
    flow_evt.time_cycles    = 64'h1234_5678_9abc;
    flow_evt.last_hit       = 32'hfedc_ba98;
    flow_evt.map            = 16'h4321;
    flow_evt.bytes_high     = 16'h8765;
    flow_evt_valid          = 1;
    flow_full               = 1;
    repeat (300) @(posedge clk);
    flow_full      = 0;
    flow_evt_valid = 0;
    repeat (100) @(posedge clk);
    check(evt_producer >= 6, "events while two kinds wait");
    for (int n = 1; n < 6; n++) begin
      logic [511:0] earlier;
      earlier = memory[record(EvtBase) + n - 1];
      c      = memory[record(EvtBase) + n];
      check(c[487:480] == EventFlowEnded || c[487:480] == EventFlowTableFull, "kind of an event");
      check(c[487:480] != earlier[487:480], "one kind has it twice");
      if (c[487:480] == EventFlowEnded) begin
        check(c[63:0] == 64'h1234_5678_9abc && c[95:64] == 5 && c[447:384] == {32'hfedc_ba98, 16'h4321, 16'h8765}, "a flow's event");
        check(c[479:448] == 32'(n + 1) && c[511:504] == 1, "sequence and phase");
      end
    end
    begin
      logic [31:0] earlier;
      earlier    = evt_producer;
      evt_kinds = '0;
      fw_status = 32'h6000_0003;
      flow_full = 1;
      repeat (100) @(posedge clk);
      flow_full = 0;
      repeat (100) @(posedge clk);
      check(evt_producer == earlier && !busy, "an event that is not wanted");
      evt_kinds = EvtKindsFirst;
    end
    // A bus error stops the ring; it starts again from 0.
    fail_reads = 1;
    post(OpNop, 0, 0, '0);
    repeat (100) @(posedge clk);
    check(errors == 1 && consumer != produced, "bus error");
    fail_reads     = 0;
    cmd_cfg.enable = 0;
    repeat (4) @(posedge clk);
    start();
    post(OpNop, 0, 0, '0);
    finish(c);
    check(c[487:480] == StOk && errors == 0, "restart");
    // A full ring is no fault. More than that would be old commands again: none of it is executed, nothing is even read.
    cmd_cfg.enable = 0;
    repeat (4) @(posedge clk);
    start();
    for (int n = 0; n < 1 << log2; n++) post(OpNop, 0, 0, '0);
    finish(c);
    check(c[487:480] == StOk && errors == 0, "full ring");
    for (int n = 0; n < 3; n++) begin
      int unsigned bursts_before, faults;
      logic [31:0] consumer_was;
      cmd_cfg.enable = 0;
      repeat (4) @(posedge clk);
      start();
      repeat (10) @(posedge clk);
      if (n == 1) for (int m = 0; m < 5; m++) post(OpNop, 0, 0, '0);
      if (n == 1) finish(c);
      consumer_was  = consumer;
      bursts_before = bursts;
      faults        = 0;
      cmd_cfg.count = n == 0 ? 32'd17 : n == 1 ? consumer_was + 32'd17 : consumer_was - 32'd1;
      for (int m = 0; m < 200; m++) begin
        @(posedge clk);
        faults += int'(fault);
      end
      check(faults == 1 && errors == 1, "more commands than the ring holds are one fault");
      check(consumer == consumer_was && bursts == bursts_before && !busy, "and none of them is fetched");
    end
    cmd_cfg.enable = 0;
    repeat (4) @(posedge clk);
    start();
    post(OpNop, 0, 0, '0);
    finish(c);
    check(c[487:480] == StOk && errors == 0, "restart after a producer that lied");
    // Digests. Next hops are at 0, 5, … 190; sums[n] is the digest of the first n of them.
    sums[0] = '0;
    for (int n = 0; n < 39; n++) begin
      post(OpRead, TableNextHop, 32'(n * 5), '0);
      finish(c);
      check(c[487:480] == StOk && c[0], "next hop to be digested");
      sums[n+1] = with_entry(sums[n], 32'(n * 5), c[383:0], 7);
    end
    digest(TableNextHop, 0, 0, '0, StNotFound, NextHops, 39, sums[39]);
    for (int n = 0; n < 35; n += 7) digest(TableNextHop, 32'(n * 5), 7, sums[n], StOk, 32'((n + 6) * 5 + 1), 7, sums[n+7]);
    digest(TableNextHop, 151, 8, sums[31], StOk, 191, 8, sums[39]);
    digest(TableNextHop, 191, 8, sums[39], StNotFound, NextHops, 0, sums[39]);
    digest(TableNextHop, NextHops, 0, 64'h1234_5678_9abc_def0, StNotFound, NextHops, 0, 64'h1234_5678_9abc_def0);
    digest(TableNextHop, '1, 0, sums[5], StNotFound, NextHops, 0, sums[5]);
    digest(TableIlm, 0, 0, '0, StNotFound, Labels, 0, '0);
    // The last bit of the seventh word counts, and the next one does not.
    post(OpWrite, TableNextHop, 190, {160'd1, 1'b1, 222'd0, 1'b1});
    digest(TableNextHop, 0, 0, '0, StNotFound, NextHops, 39, with_entry(sums[38], 190, {160'd0, 1'b1, 222'd0, 1'b1}, 7));
    post(OpWrite, TableNextHop, 190, {160'd1, 1'b0, 222'd0, 1'b1});
    digest(TableNextHop, 0, 0, '0, StNotFound, NextHops, 39, with_entry(sums[38], 190, 384'd1, 7));
    // Of two marked flows (3 and 200) one is no longer valid.
    entries[3]   = {12{32'h8765_4321}};
    entries[200] = '0;
    digest(TableFlow, 0, 0, '0, StNotFound, Flows, 1, with_entry('0, 3, {12{32'h8765_4321}}, 9));
    // However many are asked for, a command ends after the most that one covers.
    for (int n = 0; n < 256; n++) entries[n] = {352'(n), 31'd0, 1'b1};
    mark_set = 1;
    begin
      int unsigned began, marks = 0;
      began = now;
      // One a cycle, though many are of one word. What goes and comes again is there; what comes and goes is not.
      for (int n = 0; n < 2 * DigestEntriesMax + 3; n++) begin
        for (int again = 0; again < 1 + 2 * int'(n % 7 == 3); again++) begin
          mark_index = index_t'(n);
          mark       = 1;
          mark_set   = again != 1;
          do @(posedge clk); while (!mark_ready);
          marks++;
        end
      end
      mark_index = index_t'(2 * DigestEntriesMax + 9);
      for (int again = 0; again < 2; again++) begin
        mark_set = again == 0;
        do @(posedge clk); while (!mark_ready);
      end
      mark = 0;
      check(now - began <= marks + 8, "a mark a cycle");
    end
    begin
      logic [63:0] sum;
      sum = '0;
      for (int n = 0; n < 2; n++) begin
        logic [63:0] base;
        base = sum;
        for (int i = n * DigestEntriesMax; i < (n + 1) * DigestEntriesMax; i++) sum = with_entry(sum, i, entries[i%256], 9);
        digest(TableFlow, n * DigestEntriesMax, n == 0 ? 0 : '1, base, StOk, (n + 1) * DigestEntriesMax,
               DigestEntriesMax, sum);
      end
    end
    post(OpDigest, 8'd99, 0, '0);
    finish(c);
    check(c[487:480] == StBadTable && c[383:0] == 0, "digest of no table");
    post(OpDigest, TableVifStats, 0, '0);
    finish(c);
    check(c[487:480] == StNotPermitted && c[383:0] == 0, "digest of counters");
    // A ring that is stopped in mid-digest starts again when that is over; its completion comes nowhere.
    post(OpDigest, TableFlow, 0, '0);
    repeat (200) @(posedge clk);
    cmd_cfg.enable = 0;
    repeat (4) @(posedge clk);
    check(busy, "a digest is under way");
    start();
    digest(TableNextHop, 191, 0, sums[39], StNotFound, NextHops, 0, sums[39]);
    check(consumer == 1, "a digest of the last run has no completion");
    // Tables that are cleared in mid-digest end it.
    post(OpDigest, TableFlow, 0, '0);
    repeat (200) @(posedge clk);
    clear = 1;
    @(posedge clk);
    clear = 0;
    finish(c);
    check(c[487:480] == StNotFound && c[415:384] == Flows, "digest of what is being cleared");
    // Clearing forgets every entry.
    clear = 1;
    @(posedge clk);
    clear = 0;
    post(OpGetNext, TableNextHop, 0, '0);
    finish(c);
    check(c[487:480] == StNotFound, "clear");
    digest(TableNextHop, 0, 0, '0, StNotFound, NextHops, 0, '0);
    for (int n = 0; n < 256; n++) entries[n] = '0;
    rate(0, 0, 9);
    rate(322, 100, 27);
    rate(644, 200, 27);
    // A batch of one takes a round trip each way.
    read_wait   = 322;
    answer_wait = 100;
    again(4);
    begin
      int unsigned began;
      began = now;
      post(OpNop, 0, 0, '0);
      finish(c);
      check(now - began < 322 + 100 + 50, $sformatf("a batch of one takes %0d cycles", now - began));
    end
    for (int n = 0; n < 12; n++) begin
      read_wait   = n % 3 == 0 ? 0 : $urandom(seed) % 400;
      answer_wait = n % 4 == 0 ? 0 : $urandom(seed + 1) % 300;
      stall       = n % 2 == 0 ? 0 : $urandom(seed + 2) % 15;
      seed += 3;
      // Valid entries are counted anew where the table was changed behind the card's back.
      clear = 1;
      @(posedge clk);
      clear = 0;
      while (map_busy) @(posedge clk);
      for (int i = 0; i < 256; i++) entries[i] = '0;
      soak(4 + n % 3, 400);
      for (int m = 0; m < 4; m++) stopped($urandom(seed + m) % (200 + read_wait + answer_wait));
      seed += 4;
      broken(1'b0, n % 5);
      broken(1'b1, 3 * n);
    end
    $display("PASS ps_ring_tb");
    $finish;
  end

endmodule
