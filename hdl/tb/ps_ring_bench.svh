// Bench of ps_ring: the ring with its clock, host memory behind buses that wait, the table behind the access port, and commands.

  localparam logic [63:0] CmdBase = 64'h1_0000_0d40;  // record 11 begins a page
  localparam logic [63:0] CplBase = CmdBase + 64'h8000;
  localparam logic [63:0] EvtBase = CmdBase + 64'h1_0000;

  logic clk = 0, rst = 1;
  always #1 clk = !clk;

  ring_cfg_t   cmd_cfg = '0, evt_cfg = '0;
  logic [31:0] consumer, errors, evt_producer, evt_dropped;
  logic [31:0] evt_kinds = EvtKindsFirst;
  logic        flow_evt_valid = 0, flow_evt_ready;
  logic [1:0]  flow_evt_lost = '0;
  flow_event_t flow_evt = '0;
  logic        fault, busy, cmd_busy, map_busy, cfg_valid, flow_full = 0, clear = 0;
  logic [1:0]  irq;
  cfg_req_t    cfg_req;
  cfg_rsp_t    cfg_rsp;
  logic [31:0] fw_status = 0;
  logic        mark = 0, mark_set = 0, mark_ready;
  logic        mark_client = 0;
  index_t      mark_index = 0;

  logic [63:0]  awaddr, araddr;
  logic [7:0]   awlen, arlen;
  logic         awvalid, awready, wlast, wvalid, wready, bvalid, bready;
  logic         arvalid, arready, rlast, rvalid, rready;
  logic [511:0] wdata, rdata;
  logic [63:0]  wstrb;
  logic [1:0]   bresp, rresp;
  logic         fail_reads = 0;

  ps_ring dut (
    .clk_i(clk), .rst_i(rst), .hold_i(map_busy), .clear_i(clear), .busy_o(busy), .map_busy_o(map_busy), .cmd_busy_o(cmd_busy),
    .cmd_cfg_i(cmd_cfg), .cmd_consumer_o(consumer), .ring_errors_o(errors), .ring_fault_o(fault),
    .evt_cfg_i(evt_cfg), .evt_producer_o(evt_producer), .evt_dropped_o(evt_dropped), .irq_o(irq),
    .time_i(64'd77), .fw_status_i(fw_status), .fw_info_i(32'd5), .flow_full_i(flow_full), .evt_kinds_i(evt_kinds),
    .flow_evt_valid_i(flow_evt_valid), .flow_evt_i(flow_evt), .flow_evt_ready_o(flow_evt_ready), .flow_evt_lost_i(flow_evt_lost),
    .card_mark_valid_i(mark), .card_mark_client_i(mark_client), .card_mark_index_i(mark_index), .card_mark_set_i(mark_set),
    .card_mark_ready_o(mark_ready),
    .cfg_valid_o(cfg_valid), .cfg_req_o(cfg_req), .cfg_rsp_i(cfg_rsp),
    .m_axi_awaddr_o(awaddr), .m_axi_awlen_o(awlen), .m_axi_awvalid_o(awvalid), .m_axi_awready_i(awready),
    .m_axi_wdata_o(wdata), .m_axi_wstrb_o(wstrb), .m_axi_wlast_o(wlast), .m_axi_wvalid_o(wvalid),
    .m_axi_wready_i(wready), .m_axi_bresp_i(bresp), .m_axi_bvalid_i(bvalid), .m_axi_bready_o(bready),
    .m_axi_araddr_o(araddr), .m_axi_arlen_o(arlen), .m_axi_arvalid_o(arvalid), .m_axi_arready_i(arready),
    .m_axi_rdata_i(rdata), .m_axi_rresp_i(rresp), .m_axi_rlast_i(rlast), .m_axi_rvalid_i(rvalid),
    .m_axi_rready_o(rready)
  );

  ps_axi_sva #(.Outstanding(16)) u_sva (
    .clk_i(clk), .rst_i(rst), .awaddr_i(awaddr), .awlen_i(awlen), .awvalid_i(awvalid), .awready_i(awready), .wdata_i(wdata),
    .wstrb_i(wstrb), .wlast_i(wlast), .wvalid_i(wvalid), .wready_i(wready), .bresp_i(bresp), .bvalid_i(bvalid),
    .bready_i(bready), .araddr_i(araddr), .arlen_i(arlen), .arvalid_i(arvalid), .arready_i(arready), .rdata_i(rdata),
    .rresp_i(rresp), .rlast_i(rlast), .rvalid_i(rvalid), .rready_i(rready)
  );

  // Host memory: 2048 records from CmdBase on, behind a bus that takes its time: latencies in cycles, and handshakes that pause
  // `stall` times of 16. A write is done, whole, when it is answered.
  logic [511:0] memory [2048];
  int unsigned  read_wait = 0, answer_wait = 0, stall = 8, now = 0;
  int unsigned  bursts = 0, answers = 0, reads_most = 0, writes_most = 0, writes_under_way = 0;
  int           fail_burst = -1, fail_answer = -1;  // number of the burst, and of the write, that end with an error
  int unsigned  seed = 32'hace1;

  function automatic int unsigned record(input logic [63:0] addr);
    record = 32'(addr - CmdBase) >> 6;
    if (record >= 2048) $fatal(1, "FAIL: access beyond the rings: %h", addr);
  endfunction

  function automatic logic pause();
    pause = $urandom(seed) % 16 < stall;
    seed++;
  endfunction

  typedef struct {
    logic [63:0] addr;
    int unsigned left;
    int unsigned due;
    logic        bad;
  } burst_t;

  burst_t       read_queue[$];
  logic [63:0]  aw_queue[$];
  logic [511:0] w_queue[$];
  int unsigned  b_due[$];

  always @(posedge clk) begin
    now++;
    if (arvalid && arready) begin
      read_queue.push_back('{araddr, 32'(arlen) + 1, now + read_wait, fail_reads || int'(bursts) == fail_burst});
      bursts++;
    end
    if (32'(read_queue.size()) > reads_most) reads_most = 32'(read_queue.size());
    arready <= read_queue.size() < 16 && !pause();
    if (rvalid && rready) begin
      rvalid <= 0;
      read_queue[0].addr += 64;
      read_queue[0].left--;
      if (read_queue[0].left == 0) void'(read_queue.pop_front());
    end
    if ((!rvalid || rready) && read_queue.size() > 0 && now >= read_queue[0].due && !pause()) begin
      rvalid <= 1;
      rdata  <= memory[record(read_queue[0].addr)];
      rresp  <= read_queue[0].bad && read_queue[0].left <= 2 ? 2'b11 : 2'b00;
      rlast  <= read_queue[0].left == 1;
    end

    if (awvalid && awready) begin
      aw_queue.push_back(awaddr);
      writes_under_way++;
    end
    if (wvalid && wready) w_queue.push_back(wdata);
    if (writes_under_way > writes_most) writes_most = writes_under_way;
    while (b_due.size() < aw_queue.size() && b_due.size() < w_queue.size()) b_due.push_back(now + answer_wait);
    awready <= aw_queue.size() < 40 && !pause();
    wready  <= w_queue.size() < 40 && !pause();
    if (bvalid && bready) bvalid <= 0;
    if ((!bvalid || bready) && b_due.size() > 0 && now >= b_due[0] && !pause()) begin
      bvalid <= 1;
      bresp  <= int'(answers) == fail_answer ? 2'b10 : 2'b00;
      if (int'(answers) != fail_answer) memory[record(aw_queue[0])] = w_queue[0];
      answers++;
      writes_under_way--;
      void'(aw_queue.pop_front());
      void'(w_queue.pop_front());
      void'(b_due.pop_front());
    end
    if (rst) {arready, rvalid, awready, wready, bvalid} <= '0;
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

  int unsigned log2 = 4;

  task automatic check(input logic ok, input string what);
    if (!ok) $fatal(1, "FAIL: %s", what);
  endtask

  logic [31:0] produced = 0;

  task automatic post(input logic [7:0] op, input logic [7:0] id, input logic [31:0] index, input logic [383:0] data,
                      input logic [7:0] flags = 0);
    memory[record(CmdBase) + (produced & ((1 << log2) - 1))] =
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
    completion = memory[record(CplBase) + ((produced - 1) & ((1 << log2) - 1))];
    check(completion[504] == ((((produced - 1) >> log2) & 32'd1) == 0), "phase");
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

  // Ends the run and begins another with a ring of 2^size records.
  task automatic again(input int unsigned size);
    cmd_cfg.enable = 0;
    do @(posedge clk); while (cmd_busy);
    for (int n = 0; n < 512; n++) memory[record(CplBase) + n] = '0;
    log2         = size;
    cmd_cfg.log2 = 5'(size);
    start();
    while (consumer != 0) @(posedge clk);
  endtask
