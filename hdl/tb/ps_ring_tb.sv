// Bench of ps_ring: a small host memory, a table behind the access port, and rings that wrap several times.
// Checks order, cookies, phases, search, digests, refusals, fences, a bus error, a producer that lies, stop and restart, and the AXI
// port by ps_axi_sva. The command ring lies across a 4 KiB boundary. Prints PASS or stops.
module ps_ring_tb
  import ps_abi_pkg::*;
  import ps_types_pkg::*;
;

  localparam int unsigned Log2 = 4;
  localparam logic [63:0] CmdBase = 64'h1_0000_0d40;  // record 11 begins a page
  localparam logic [63:0] CplBase = CmdBase + 64'h1000;
  localparam logic [63:0] EvtBase = CmdBase + 64'h2000;

  logic clk = 0, rst = 1;
  always #1 clk = !clk;

  ring_cfg_t   cmd_cfg = '0, evt_cfg = '0;
  logic [31:0] consumer, errors, evt_producer, evt_dropped;
  logic        fault, busy, map_busy, cfg_valid, flow_full = 0, clear = 0;
  logic [1:0]  irq;
  cfg_req_t    cfg_req;
  cfg_rsp_t    cfg_rsp;
  logic [31:0] fw_status = 0;
  logic        mark = 0, mark_set = 0;
  logic [15:0] mark_index = 0;

  logic [63:0]  awaddr, araddr;
  logic [7:0]   awlen, arlen;
  logic         awvalid, awready, wlast, wvalid, wready, bvalid, bready;
  logic         arvalid, arready, rlast, rvalid, rready;
  logic [511:0] wdata, rdata;
  logic [63:0]  wstrb;
  logic [1:0]   bresp, rresp;
  logic         fail_reads = 0;

  ps_ring dut (
    .clk_i(clk), .rst_i(rst), .hold_i(map_busy), .clear_i(clear), .busy_o(busy), .map_busy_o(map_busy),
    .cmd_cfg_i(cmd_cfg), .cmd_consumer_o(consumer), .ring_errors_o(errors), .ring_fault_o(fault),
    .evt_cfg_i(evt_cfg), .evt_producer_o(evt_producer), .evt_dropped_o(evt_dropped), .irq_o(irq),
    .time_i(64'd77), .fw_status_i(fw_status), .fw_info_i(32'd5), .flow_full_i(flow_full),
    .flow_mark_valid_i(mark), .flow_mark_index_i(mark_index), .flow_mark_set_i(mark_set),
    .cfg_valid_o(cfg_valid), .cfg_req_o(cfg_req), .cfg_rsp_i(cfg_rsp),
    .m_axi_awaddr_o(awaddr), .m_axi_awlen_o(awlen), .m_axi_awvalid_o(awvalid), .m_axi_awready_i(awready),
    .m_axi_wdata_o(wdata), .m_axi_wstrb_o(wstrb), .m_axi_wlast_o(wlast), .m_axi_wvalid_o(wvalid),
    .m_axi_wready_i(wready), .m_axi_bresp_i(bresp), .m_axi_bvalid_i(bvalid), .m_axi_bready_o(bready),
    .m_axi_araddr_o(araddr), .m_axi_arlen_o(arlen), .m_axi_arvalid_o(arvalid), .m_axi_arready_i(arready),
    .m_axi_rdata_i(rdata), .m_axi_rresp_i(rresp), .m_axi_rlast_i(rlast), .m_axi_rvalid_i(rvalid),
    .m_axi_rready_o(rready)
  );

  ps_axi_sva u_sva (
    .clk_i(clk), .rst_i(rst), .awaddr_i(awaddr), .awlen_i(awlen), .awvalid_i(awvalid), .awready_i(awready), .wdata_i(wdata),
    .wstrb_i(wstrb), .wlast_i(wlast), .wvalid_i(wvalid), .wready_i(wready), .bresp_i(bresp), .bvalid_i(bvalid),
    .bready_i(bready), .araddr_i(araddr), .arlen_i(arlen), .arvalid_i(arvalid), .arready_i(arready), .rdata_i(rdata),
    .rresp_i(rresp), .rlast_i(rlast), .rvalid_i(rvalid), .rready_i(rready)
  );

  // Host memory: 256 records from CmdBase on, with random waits.
  logic [511:0] memory [256];
  function automatic logic [7:0] record(input logic [63:0] addr);
    record = 8'((addr - CmdBase) >> 6);
  endfunction

  logic [63:0] r_addr = 0, w_addr = 0;
  logic [8:0]  r_left = 0;
  int unsigned bursts = 0;
  logic        w_got_addr = 0, w_got_data = 0;
  logic [511:0] w_data;
  logic [31:0] lfsr = 32'hace1;
  always_ff @(posedge clk) lfsr <= {lfsr[30:0], lfsr[31] ^ lfsr[21] ^ lfsr[1] ^ lfsr[0]};

  assign arready = r_left == 0 && lfsr[0];
  assign rvalid  = r_left != 0 && lfsr[3];
  assign rdata   = memory[record(r_addr)];
  assign rresp   = fail_reads ? 2'b11 : 2'b00;
  assign rlast   = r_left == 1;
  assign awready = !w_got_addr && lfsr[5];
  assign wready  = !w_got_data && lfsr[7];
  assign bvalid  = w_got_addr && w_got_data;
  assign bresp   = 2'b00;
  always_ff @(posedge clk) begin
    if (arvalid && arready) begin
      bursts <= bursts + 1;
      r_addr <= araddr;
      r_left <= {1'b0, arlen} + 1;
    end else if (rvalid && rready) begin
      r_addr <= r_addr + 64;
      r_left <= r_left - 1;
    end
    if (awvalid && awready) begin
      w_got_addr <= 1;
      w_addr     <= awaddr;
    end
    if (wvalid && wready) begin
      w_got_data <= 1;
      w_data     <= wdata;
    end
    if (bvalid && bready) begin
      w_got_addr <= 0;
      w_got_data <= 0;
      memory[record(w_addr)] <= w_data;
    end
  end

  // A table of 256 entries for every id, index checked; those of flows repeat themselves.
  logic [383:0] entries [256];
  logic [2:0]   delay = 0;
  always_ff @(posedge clk) begin
    cfg_rsp.done <= 0;
    if (cfg_valid && !cfg_rsp.done) begin
      delay <= delay + 1;
      if (delay == 2) begin
        delay          <= 0;
        cfg_rsp.done   <= 1;
        cfg_rsp.status <= cfg_req.index < 256 || cfg_req.table_id == TableFlow ? StOk : StBadIndex;
        cfg_rsp.rdata  <= entries[cfg_req.index[7:0]];
        if (cfg_req.write && cfg_req.index < 256) entries[cfg_req.index[7:0]] <= cfg_req.wdata;
      end
    end
  end

  task automatic check(input logic ok, input string what);
    if (!ok) $fatal(1, "FAIL: %s", what);
  endtask

  logic [31:0] produced = 0;

  task automatic post(input logic [7:0] op, input logic [7:0] id, input logic [31:0] index, input logic [383:0] data,
                      input logic [7:0] flags = 0);
    memory[record(CmdBase) + 8'(produced & ((1 << Log2) - 1))] =
        {data, 32'd0, 32'hc000_0000 + produced, index, 8'd0, 8'(flags | 1), id, op};
    produced++;
    cmd_cfg.count = produced;
  endtask

  // Waits for the newest command's completion and returns it.
  task automatic finish(output logic [511:0] completion, input int unsigned cycles = 20000);
    int unsigned limit;
    limit = 0;
    while (consumer != produced) begin
      @(posedge clk);
      limit++;
      check(limit < cycles, "completion in time");
    end
    completion = memory[record(CplBase) + 8'((produced - 1) & ((1 << Log2) - 1))];
    check(completion[504] == ((((produced - 1) >> Log2) & 32'd1) == 0), "phase");
    check(completion[447:416] == 32'hc000_0000 + produced - 1, "cookie");
    check(completion[479:448] == produced, "sequence");
  endtask

  task automatic start();
    @(posedge clk);
    produced       = 0;
    cmd_cfg.enable = 1;
    cmd_cfg.start  = 1;
    cmd_cfg.count  = 0;
    @(posedge clk);
    cmd_cfg.start  = 0;
  endtask

  // CRC-64/XZ of one more entry, bit by bit.
  function automatic logic [63:0] with_entry(input logic [63:0] base, input logic [31:0] index,
                                             input logic [383:0] entry, input int words);
    logic [31:0] word;
    with_entry = ~base;
    for (int w = 0; w <= words; w++) begin
      word = w == 0 ? index : entry[(w-1)*32+:32];
      with_entry ^= 64'(word);
      for (int b = 0; b < 32; b++) begin
        with_entry = (with_entry >> 1) ^ (with_entry[0] ? 64'hc96c5795d7870f42 : 64'd0);
      end
    end
    with_entry = ~with_entry;
  endfunction

  logic [511:0] c;

  // Asks for a digest and checks all of the completion.
  task automatic digest(input logic [7:0] id, input logic [31:0] from, input logic [31:0] most, input logic [63:0] base,
                        input logic [7:0] status, input logic [31:0] next, input logic [31:0] covered,
                        input logic [63:0] expected);
    post(OpDigest, id, from, {288'd0, base, most});
    finish(c, 200000);
    check(c[487:480] == status, $sformatf("digest of table %0d from %0d: status %0d", id, from, c[487:480]));
    check(c[415:384] == next, $sformatf("digest of table %0d from %0d: goes on at %0d", id, from, c[415:384]));
    check(c[95:64] == covered, $sformatf("digest of table %0d from %0d: covers %0d", id, from, c[95:64]));
    check(c[63:0] == expected, $sformatf("digest of table %0d from %0d: %h", id, from, c[63:0]));
    check(c[383:96] == 0, "nothing besides in a digest");
  endtask

  logic [63:0] sums [40];
  initial begin
    for (int i = 0; i < 256; i++) entries[i] = '0;
    for (int i = 0; i < 256; i++) memory[i] = '0;
    cmd_cfg.base     = CmdBase;
    cmd_cfg.cpl_base = CplBase;
    cmd_cfg.log2     = 5'(Log2);
    evt_cfg.base     = EvtBase;
    evt_cfg.log2     = 5'(Log2);
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
      mark_index = n == 0 ? 16'd3 : 16'd200;
      mark_set   = 1;
      @(posedge clk);
    end
    mark = 0;
    post(OpGetNext, TableFlow, 0, '0);
    finish(c);
    check(c[487:480] == StOk && c[415:384] == 3, "search for flows");
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
        c = memory[record(CplBase) + 8'((first + n) & ((1 << Log2) - 1))];
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
    for (int n = 0; n < 1 << Log2; n++) post(OpNop, 0, 0, '0);
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
    mark     = 1;
    mark_set = 1;
    for (int n = 0; n < 2 * DigestEntriesMax + 3; n++) begin
      mark_index = 16'(n);
      @(posedge clk);
    end
    mark = 0;
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
    $display("PASS ps_ring_tb");
    $finish;
  end

endmodule
