// Self-checking test of ps_fw with the real firmware image: boot, heartbeat, mailbox, frames, failures, restart.
//
// Plus arguments: firmware=FILE (words for $readmemh), panic_status=HEX and panic_info=HEX (what a panic on demand
// shows), fw_div=N (clk_fw_i rises with every Nth edge of clk_i, 2 or more), gate=0|1 (1 stops clk_fw_i while
// fw_active_o is 0). Prints figures in cycles of clk_i, then `PASS`; any failure ends with $fatal.
module ps_fw_tb;
  import ps_types_pkg::trap_meta_t;

  localparam logic [31:0] StatusSelfTest = 32'h6000_0001;
  localparam logic [31:0] StatusReady    = 32'h6000_0002;
  localparam logic [31:0] StatusFailed   = 32'hd000_0001;
  localparam logic [31:0] StatusTrapIll  = 32'hde00_0002;
  localparam logic [31:0] MboxPing       = 32'd1;
  localparam logic [31:0] MboxStat       = 32'd2;
  localparam logic [31:0] MboxPanic      = 32'd3;
  localparam logic [31:0] MboxPanicKey   = 32'h0bad_c0de;
  localparam logic [31:0] MboxUnknown    = 32'hffff_ffff;
  localparam logic [31:0] StatArp        = 32'd0;
  localparam logic [31:0] StatDropped    = 32'd1;
  localparam logic [31:0] StatStack      = 32'd2;
  localparam logic [7:0]  ReasonArp      = 8'd1;
  localparam logic [7:0]  ReasonReject   = 8'd2;
  localparam longint      HeartbeatTime  = 64'd32_226_592;  // cycles, a tenth of a second at 322.266 MHz
  localparam int          DeadlineBoot   = 2_000_000;
  localparam int          Deadline       = 100_000;

  typedef logic [8*256-1:0] frame_t;  // byte 0 in bits 7..0

  // ------------------------------------------------------------------ clocks

  logic   clk = 1'b0, clk_fw = 1'b0, rst = 1'b1;
  longint cycle = 0, fw_cycle = 0, jump = 0;
  int     fw_div, gate;
  logic   fw_active;

  initial begin
    if (!$value$plusargs("fw_div=%d", fw_div)) fw_div = 2;
    if (!$value$plusargs("gate=%d", gate)) gate = 1;
    forever begin
      #1;
      if (cycle % longint'(fw_div) == 0 && (fw_active || gate == 0)) begin
        {clk, clk_fw} = 2'b11;
        fw_cycle = fw_cycle + 1;
      end else begin
        clk = 1'b1;
      end
      #1;
      {clk, clk_fw} = 2'b00;
      cycle = cycle + 1;
    end
  end

  // ------------------------------------------------------------------ device

  logic [31:0]  status, info, version, heartbeat, mbox_request, mbox_arg, mbox_reply;
  logic         mbox_req_valid = 1'b0, mbox_reply_valid, rx_tlast, rx_tvalid = 1'b0, rx_tready, rx_full;
  logic         tx_tlast, tx_tvalid, tx_tready = 1'b1, fault;
  logic [511:0] rx_tdata, tx_tdata;
  logic [63:0]  rx_tkeep, tx_tkeep;
  trap_meta_t   rx_meta;
  logic [7:0]   tx_vif;

  ps_fw dut (
    .clk_i              (clk),
    .rst_i              (rst),
    .clk_fw_i           (clk_fw),
    .status_o           (status),
    .info_o             (info),
    .version_o          (version),
    .heartbeat_o        (heartbeat),
    .mbox_req_valid_i   (mbox_req_valid),
    .mbox_request_i     (mbox_request),
    .mbox_arg_i         (mbox_arg),
    .mbox_reply_valid_o (mbox_reply_valid),
    .mbox_reply_o       (mbox_reply),
    .time_i             (64'(cycle + jump)),
    .rx_tdata_i         (rx_tdata),
    .rx_tkeep_i         (rx_tkeep),
    .rx_tlast_i         (rx_tlast),
    .rx_tvalid_i        (rx_tvalid),
    .rx_tready_o        (rx_tready),
    .rx_meta_i          (rx_meta),
    .rx_full_o          (rx_full),
    .tx_tdata_o         (tx_tdata),
    .tx_tkeep_o         (tx_tkeep),
    .tx_tlast_o         (tx_tlast),
    .tx_tvalid_o        (tx_tvalid),
    .tx_tready_i        (tx_tready),
    .tx_vif_o           (tx_vif),
    .fw_active_o        (fw_active),
    .fault_o            (fault)
  );

  // ------------------------------------------------------------------ what comes out, as of the edge

  int          faults = 0, replies = 0, frames = 0, tx_bytes = 0;
  logic        rst_done = 1'b0;
  logic [31:0] last_reply;
  longint      reply_cycle, frame_cycle;
  frame_t      tx_frame [64];
  int          tx_len [64];
  logic [7:0]  tx_vifs [64];
  frame_t      assembling = '0;

  // Before its first reset the device may show anything.
  always @(posedge clk) if (rst_done) begin
    if (fault) faults <= faults + 1;
    if (mbox_reply_valid) begin
      replies     <= replies + 1;
      last_reply  <= mbox_reply;
      reply_cycle <= cycle;
    end
    if (tx_tvalid && tx_tready) begin
      assembling[tx_bytes*8 +: 512] = tx_tdata & spread(tx_tkeep);
      if (tx_tlast) begin
        tx_frame[frames % 64] <= assembling;
        tx_len[frames % 64]   <= tx_bytes + $countones(tx_tkeep);
        tx_vifs[frames % 64]  <= tx_vif;
        frames                <= frames + 1;
        frame_cycle           <= cycle;
        assembling = '0;
        tx_bytes = 0;
      end else begin
        if (tx_tkeep != '1) $fatal(1, "a beat that is not the last is not full");
        tx_bytes = tx_bytes + 64;
      end
    end
  end

  function automatic logic [511:0] spread(input logic [63:0] keep);
    for (int i = 0; i < 64; i++) spread[i*8 +: 8] = {8{keep[i]}};
  endfunction

  // ------------------------------------------------------------------ frames

  // Bytes in reading order to byte 0 in bits 7..0.
  function automatic frame_t frame_of(input logic [8*64-1:0] bytes, input int n);
    frame_of = '0;
    for (int i = 0; i < n; i++) frame_of[i*8 +: 8] = bytes[(n-1-i)*8 +: 8];
  endfunction

  function automatic frame_t arp_request(input logic [7:0] host);
    arp_request = frame_of(512'({48'hffff_ffff_ffff, 40'h02_0000_0000, host, 16'h0806, 64'h0001_0800_0604_0001,
      40'h02_0000_0000, host, 32'h0a2f_ffed, 48'h0, 32'h0a69_8b99}), 42);
  endfunction

  function automatic frame_t arp_reply(input logic [7:0] host);
    arp_reply = frame_of(512'({40'h02_0000_0000, host, 48'h0000_5e00_0100, 16'h0806, 64'h0001_0800_0604_0002,
      48'h0000_5e00_0100, 32'h0a69_8b99, 40'h02_0000_0000, host, 32'h0a2f_ffed}), 42);
  endfunction

  // SYN of 10.47.255.237:40000 to 10.105.139.153:8888, and the reset that answers it (checksums by scapy).
  function automatic frame_t syn();
    syn = frame_of(512'({48'h0000_5e00_0100, 48'h0200_0000_0001, 16'h0800, 160'h4500_0028_1234_4000_4006_0000_0a2f_ffed_0a69_8b99,
      160'h9c40_22b8_0102_0304_0000_0000_5002_faf0_0000_0000}), 54);
  endfunction

  function automatic frame_t rst_ack();
    rst_ack = frame_of(512'({48'h0200_0000_0001, 48'h0000_5e00_0100, 16'h0800, 160'h4500_0028_0000_4000_4006_9ab1_0a69_8b99_0a2f_ffed,
      160'h22b8_9c40_0000_0000_0102_0305_5014_0000_4cb2_0000}), 54);
  endfunction

  // Sends a frame of `bytes`, the part beyond 256 zero.
  task automatic send(input frame_t frame, input int bytes, input logic [7:0] reason, input logic [7:0] vif);
    for (int at = 0; at < bytes; at += 64) begin
      @(negedge clk);
      rx_tvalid = 1'b1;
      rx_tdata  = (at < 256) ? frame[at*8 +: 512] : '0;
      rx_tlast  = at + 64 >= bytes;
      rx_tkeep  = rx_tlast ? ~('1 << (bytes - at)) : '1;
      if (bytes - at == 64) rx_tkeep = '1;
      rx_meta   = (at == 0) ? '{reason: reason, vif: vif, bytes: 16'(bytes)} : trap_meta_t'('x);
      if (!rx_tready) $fatal(1, "the trap queue is not ready although it is not full");
    end
    @(negedge clk);
    rx_tvalid = 1'b0;
  endtask

  task automatic post(input logic [31:0] request, input logic [31:0] arg);
    @(negedge clk);
    mbox_req_valid = 1'b1;
    mbox_request   = request;
    mbox_arg       = arg;
    @(negedge clk);
    mbox_req_valid = 1'b0;
  endtask

  task automatic ask(input logic [31:0] request, input logic [31:0] arg, output logic [31:0] reply, output longint took);
    automatic int mark0 = replies;
    automatic longint start;
    post(request, arg);
    start = cycle;
    for (int i = 0; i < Deadline && replies == mark0; i++) @(posedge clk);
    if (replies == mark0) $fatal(1, "no reply to mailbox request %0d", request);
    reply = last_reply;
    took  = reply_cycle - start;
  endtask

  task automatic expect_frame(input int number, input frame_t frame, input int bytes, input logic [7:0] vif);
    for (int i = 0; i < Deadline && frames <= number; i++) @(posedge clk);
    if (frames <= number) $fatal(1, "frame %0d was not sent", number);
    if (tx_len[number % 64] != bytes || tx_vifs[number % 64] != vif || tx_frame[number % 64] != frame) begin
      $fatal(1, "frame %0d: %0d bytes to vif %0d: %h, expected %0d bytes to vif %0d: %h", number, tx_len[number % 64],
        tx_vifs[number % 64], tx_frame[number % 64], bytes, vif, frame);
    end
  endtask

  task automatic expect_status(input logic [31:0] wanted, input int deadline);
    for (int i = 0; i < deadline && status != wanted; i++) begin
      @(posedge clk);
      if (status != StatusReady && !rx_full && !rst) $fatal(1, "frames are taken in state %h", status);
    end
    if (status != wanted) $fatal(1, "status %h info %h, expected %h", status, info, wanted);
  endtask

  task automatic expect_sleep();
    for (int i = 0; i < Deadline && fw_active; i++) @(negedge clk);
    if (fw_active) $fatal(1, "the core does not sleep");
  endtask

  // One cycle, in which the core's clock does not rise.
  task automatic reset();
    do @(negedge clk); while (cycle % longint'(fw_div) == 0);
    rst = 1'b1;
    @(negedge clk) rst = 1'b0;
    rst_done = 1'b1;
  endtask

  // ------------------------------------------------------------------ the test

  logic [31:0] reply, panic_status, panic_info;
  longint      took, start, start_fw;
  int          mark, stuck = 0;
  localparam int StuckWord = 32'hd000 / 4;

  // A RAM word that loses what is written to it.
  always @(negedge clk) if (stuck != 0) dut.u_cpu.u_ram.mem[StuckWord] = 32'h0;

  initial begin
    if (!$value$plusargs("panic_status=%h", panic_status)) $fatal(1, "+panic_status is missing");
    if (!$value$plusargs("panic_info=%h", panic_info)) $fatal(1, "+panic_info is missing");

    // Boot.
    reset();
    start = cycle;
    start_fw = fw_cycle;
    expect_status(StatusSelfTest, Deadline);
    expect_status(StatusReady, DeadlineBoot);
    $display("boot: %0d cycles, %0d of the core, status %h version %h", cycle - start, fw_cycle - start_fw, status, version);
    if (version == 0 || heartbeat != 1 || info != 0) $fatal(1, "version %h heartbeat %0d info %h", version, heartbeat, info);
    expect_sleep();

    // A timer wakes it, also a clock that stands still.
    start_fw = fw_cycle;
    repeat (1000) @(posedge clk);
    if (gate != 0 && fw_cycle != start_fw) $fatal(1, "the core's clock runs while it sleeps");
    if (heartbeat != 1) $fatal(1, "the heart beats without time");
    for (int i = 2; i < 5; i++) begin
      jump += HeartbeatTime + 1_000;
      for (int n = 0; n < Deadline && heartbeat != 32'(i); n++) @(posedge clk);
      if (heartbeat != 32'(i)) $fatal(1, "heartbeat %0d, expected %0d", heartbeat, i);
      expect_sleep();
    end
    $display("heartbeat: %0d", heartbeat);

    // Mailbox.
    ask(MboxPing, 32'h1234_5678, reply, took);
    if (reply != ~32'h1234_5678) $fatal(1, "ping answered by %h", reply);
    $display("ping: %0d cycles", took);
    ask(32'd99, 32'd0, reply, took);
    if (reply != MboxUnknown) $fatal(1, "unknown request answered by %h", reply);
    // A request that replaces another at any moment gets its own reply, and it gets the last one.
    for (int delay = 0; delay < 150; delay++) begin
      mark = replies;
      post(MboxPing, 32'haaaa_0000 + 32'(delay));
      repeat (delay) @(negedge clk);
      post(MboxPing, 32'hbbbb_0000 + 32'(delay));
      repeat (400) @(negedge clk);
      if (last_reply != ~(32'hbbbb_0000 + 32'(delay)) || replies == mark || replies > mark + 2) begin
        $fatal(1, "delay %0d: reply %h, %0d of them", delay, last_reply, replies - mark);
      end
    end

    // ARP.
    expect_sleep();
    send(arp_request(8'h01), 42, ReasonArp, 8'd7);
    start = cycle;
    expect_frame(0, arp_reply(8'h01), 42, 8'd7);
    $display("ARP reply: %0d cycles after the request", frame_cycle - start);

    // The queue fills to its last slot while the way out is blocked, keeps order, and loses nothing.
    @(negedge clk) tx_tready = 1'b0;
    for (int i = 0; i < 17; i++) begin
      if (rx_full) $fatal(1, "full after %0d frames, %0d in the queue", i, dut.u_rx.used);
      send(arp_request(8'(i)), 42, ReasonArp, 8'(3 + i));
      if (i == 0) for (int n = 0; n < Deadline && !tx_tvalid; n++) @(posedge clk);
    end
    @(negedge clk);
    if (!rx_full) $fatal(1, "not full after 16 frames in the queue");
    ask(MboxPing, 32'd0, reply, took);
    @(negedge clk) tx_tready = 1'b1;
    for (int i = 0; i < 17; i++) expect_frame(1 + i, arp_reply(8'(i)), 42, 8'(3 + i));
    if (rx_full) $fatal(1, "full although it is empty");

    // The longest frame: its head is answered, the rest swallowed. Then one that is not answered.
    send(syn(), 9216, ReasonReject, 8'd200);
    expect_frame(18, rst_ack(), 54, 8'd200);
    send(arp_request(8'h01), 42, ReasonArp, 8'd1);
    expect_sleep();
    ask(MboxStat, StatArp, reply, took);
    if (reply != 18) $fatal(1, "%0d ARP replies counted", reply);
    ask(MboxStat, StatDropped, reply, took);
    if (reply != 1) $fatal(1, "%0d frames counted as dropped", reply);
    ask(MboxStat, StatStack, reply, took);
    if (reply == 0 || reply > 2048) $fatal(1, "%0d bytes of stack", reply);
    $display("stack: %0d bytes", reply);
    if (faults != 0) $fatal(1, "%0d faults", faults);

    // Panic: told to the host; frames are refused, one that comes all the same does not block the way.
    post(MboxPanic, MboxPanicKey);
    start = cycle;
    expect_status(panic_status, Deadline);
    $display("panic: %0d cycles, status %h info %h", cycle - start, status, info);
    if (info != panic_info) $fatal(1, "panic info %h, expected %h", info, panic_info);
    expect_sleep();
    if (faults != 1 || !rx_full) $fatal(1, "panic: %0d faults, full %0d", faults, rx_full);
    for (int i = 0; i < 20; i++) send(arp_request(8'h01), 42, ReasonArp, 8'd7);

    // A reset starts it again from the RAM as it is.
    reset();
    expect_status(StatusReady, DeadlineBoot);
    expect_sleep();
    if (heartbeat != 1 || rx_full) $fatal(1, "restart: heartbeat %0d full %0d", heartbeat, rx_full);
    send(arp_request(8'h02), 42, ReasonArp, 8'd9);
    expect_frame(19, arp_reply(8'h02), 42, 8'd9);

    // Its code overwritten: an illegal instruction, told to the host.
    for (int i = 32'h300 / 4; i < 32'h3000 / 4; i++) dut.u_cpu.u_ram.mem[i] = 32'h0;
    post(MboxPing, 32'h0);
    expect_status(StatusTrapIll, Deadline);
    $display("trap: status %h info %h", status, info);
    if (info < 32'h300 || info >= 32'h3000) $fatal(1, "trap at %h", info);
    expect_sleep();
    if (faults != 2) $fatal(1, "trap: %0d faults", faults);

    // A bad word of RAM: the self-test names it.
    $readmemh(image(), dut.u_cpu.u_ram.mem);
    stuck = 1;
    reset();
    expect_status(StatusFailed, DeadlineBoot);
    if (info != 32'(StuckWord * 4)) $fatal(1, "self-test blames %h", info);
    expect_sleep();

    $display("PASS");
    $finish;
  end

  function automatic string image();
    void'($value$plusargs("firmware=%s", image));
  endfunction

endmodule
