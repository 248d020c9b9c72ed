// Self-checking test of ps_fw with the real firmware image: boot, heartbeat, mailbox, frames, deaths and restarts, updates.
//
// Plus arguments: firmware=FILE (words for $readmemh), panic_status=HEX and panic_info=HEX (what a panic on demand
// shows), fw_div=N (clk_fw_i rises with every Nth edge of clk_i, 2 or more), gate=0|1 (1 stops clk_fw_i while
// fw_active_o is 0), updates=0|1 (1 tests updates too). Prints figures in cycles of clk_i, then `PASS`; any failure ends with $fatal.
module ps_fw_tb;
  import ps_abi_pkg::*;
  import ps_types_pkg::*;

  localparam logic [31:0] StatusSelfTest = 32'h6000_0001;
  localparam logic [31:0] StatusReady    = 32'h6000_0002;
  localparam logic [31:0] StatusFailed   = 32'hd000_0001;
  localparam logic [31:0] StatusTrapIll  = 32'hde00_0002;
  localparam logic [31:0] MboxPing       = 32'd1;
  localparam logic [31:0] MboxStat       = 32'd2;
  localparam logic [31:0] MboxPanic      = 32'd3;
  localparam logic [31:0] MboxPanicKey   = 32'h0bad_c0de;
  localparam logic [31:0] StatusTrapStore = 32'hde00_0007;
  localparam logic [31:0] MboxStatHigh   = 32'd4;
  localparam logic [31:0] MboxBegin      = 32'd5;
  localparam logic [31:0] MboxWord       = 32'd6;
  localparam logic [31:0] MboxEnd        = 32'd7;
  localparam logic [31:0] MboxStart      = 32'd8;
  localparam logic [31:0] MboxUpdateKey  = 32'h5550_4421;
  localparam logic [31:0] MboxImage      = 32'd9;
  localparam logic [31:0] UpdateOk       = 32'd0;
  localparam logic [31:0] UpdateTorn     = 32'hffff_ff03;
  localparam logic [31:0] ImageMagic     = 32'h5746_5350;
  localparam int          GoldenWord     = 32'h1000 / 4;
  localparam int          SlotWord       = 32'h5000 / 4;
  localparam int          CodeWord       = 32'h9000 / 4;
  localparam logic [31:0] MboxUnknown    = 32'hffff_ffff;
  localparam logic [31:0] StatArp        = 32'd0;
  localparam logic [31:0] StatDropped    = 32'd1;
  localparam logic [31:0] StatStack      = 32'd2;
  localparam logic [7:0]  ReasonArp      = 8'd1;
  localparam logic [7:0]  ReasonReject   = 8'd2;
  localparam longint      HeartbeatTime  = 64'd32_226_592;  // cycles, a tenth of a second at 322.266 MHz
  localparam longint      WatchdogTime   = 64'd322_266_000;  // cycles, a second
  localparam int          DeadlineBoot   = 4_000_000;
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

  fw_view_t view;
  fw_ask_t  ask_host = '0;

  assign status    = view.status;
  assign info      = view.info;
  assign version   = view.version;
  assign heartbeat = view.heartbeat;

  ps_fw dut (
    .clk_i              (clk),
    .rst_i              (rst),
    .clk_fw_i           (clk_fw),
    .view_o             (view),
    .ask_i              (ask_host),
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

  logic        tx_waits = 1'b0;
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
    // A frame that is offered stays, whatever becomes of the core.
    if (tx_waits && !tx_tvalid) $fatal(1, "a frame is taken back");
    tx_waits <= tx_tvalid && (!tx_tready || !tx_tlast) && !rst;
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

  int pause_at = -1;

  // Sends a frame of `bytes`, the part beyond 256 zero, with a pause before the beat at `pause_at`, at which the way
  // out is free again.
  task automatic send(input frame_t frame, input int bytes, input logic [7:0] reason, input logic [7:0] vif);
    for (int at = 0; at < bytes; at += 64) begin
      if (at == pause_at) begin
        @(negedge clk) {rx_tvalid, tx_tready} = 2'b01;
        repeat (200 * fw_div) @(negedge clk);
      end
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
    for (int i = 0; i < DeadlineBoot && replies == mark0; i++) @(posedge clk);
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

  // ------------------------------------------------------------------ restarts and updates

  logic [31:0] image_words [$];

  // Lets time pass at once, and waits for the watchdog to find the firmware dead.
  task automatic bite(input longint time_cycles);
    automatic logic [31:0] deaths = view.death.deaths;
    jump += time_cycles;
    for (int n = 0; n < 300_000 * fw_div && view.death.deaths == deaths; n++) @(posedge clk);
    if (view.death.deaths != deaths + 1) $fatal(1, "the watchdog does not bite: status %h", status);
    for (int n = 0; n < Deadline && status != '0; n++) @(posedge clk);
  endtask

  task automatic ask_restart(input logic golden);
    @(negedge clk);
    ask_host.restart  = !golden;
    ask_host.rollback = golden;
    @(negedge clk);
    ask_host = '0;
    for (int n = 0; n < Deadline && status == StatusReady; n++) @(posedge clk);
  endtask

  task automatic expect_entry(input int number, input logic [15:0] what, input logic [15:0] detail, input logic [31:0] arg);
    @(negedge clk);
    ask_host.trace_valid = 1'b1;
    ask_host.trace_at    = number;
    @(negedge clk);
    ask_host = '0;
    repeat (4) @(negedge clk);
    if (view.trace_count <= number || view.trace.what != {detail, what} || view.trace.arg != arg ||
        view.trace.card_time == 0 || view.trace.card_time > cycle + jump) begin
      $fatal(1, "trace %0d of %0d: %p, expected %h %h %h", number, view.trace_count, view.trace, what, detail, arg);
    end
  endtask

  // CRC-32 of the image's words from one on.
  function automatic logic [31:0] crc_of(input int first);
    crc_of = '1;
    for (int i = first; i < image_words.size(); i++) begin
      crc_of ^= image_words[i];
      for (int b = 0; b < 32; b++) crc_of = (crc_of >> 1) ^ (crc_of[0] ? 32'hedb8_8320 : 32'h0);
    end
    crc_of = ~crc_of;
  endfunction

  task automatic update_of_golden();
    image_words.delete();
    for (int i = 0; i < 4 + dut.u_cpu.u_ram.mem[GoldenWord + 2] / 4; i++) image_words.push_back(dut.u_cpu.u_ram.mem[GoldenWord + i]);
  endtask

  // Sends the image, with bits flipped in a word of it on the way.
  task automatic upload(input logic [31:0] expected, input logic [31:0] flip);
    automatic longint begun = cycle;
    ask(MboxBegin, 32'(4 * image_words.size()), reply, took);
    if (reply != UpdateOk) $fatal(1, "begin: %h", reply);
    foreach (image_words[i]) begin
      ask(MboxWord, image_words[i] ^ (i == image_words.size() / 2 ? flip : 32'h0), reply, took);
      if (reply != 32'(i + 1)) $fatal(1, "word %0d: %h", i, reply);
    end
    ask(MboxEnd, crc_of(0), reply, took);
    if (reply != expected) $fatal(1, "end: %h, expected %h", reply, expected);
    $display("update: %0d cycles for %0d bytes, %0d of them to check it", cycle - begun, 4 * image_words.size(), took);
  endtask

  // ------------------------------------------------------------------ the test

  logic [31:0] reply, panic_status, panic_info;
  longint      took, start, start_fw;
  int          mark, stuck = 0, updates;
  localparam int StuckWord = 32'he000 / 4;

  // A RAM word that loses what is written to it.
  always @(negedge clk) if (stuck != 0) dut.u_cpu.u_ram.mem[StuckWord] = 32'h0;

  initial begin
    if (!$value$plusargs("panic_status=%h", panic_status)) $fatal(1, "+panic_status is missing");
    if (!$value$plusargs("panic_info=%h", panic_info)) $fatal(1, "+panic_info is missing");

    // Boot.
    reset();
    start = cycle;
    start_fw = fw_cycle;
    expect_status(StatusSelfTest, DeadlineBoot);
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
      repeat (200 * fw_div) @(negedge clk);
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

    start = cycle;
    send(syn(), 54, ReasonReject, 8'd200);
    expect_frame(19, rst_ack(), 54, 8'd200);
    $display("reject reply: %0d cycles after the packet", frame_cycle - start);

    // Time that passes at once bites nobody who lives, asleep or not.
    jump += 100 * WatchdogTime;
    expect_sleep();
    repeat (1000) @(posedge clk);
    if (view.death.deaths != 0) $fatal(1, "a firmware that lives is restarted");

    // Panic: told to the host; frames are refused, one that comes all the same does not block the way.
    mark = view.trace_count;
    post(MboxPanic, MboxPanicKey);
    start = cycle;
    expect_status(panic_status, Deadline);
    $display("panic: %0d cycles, status %h info %h", cycle - start, status, info);
    if (info != panic_info) $fatal(1, "panic info %h, expected %h", info, panic_info);
    expect_sleep();
    if (faults != 1 || !rx_full) $fatal(1, "panic: %0d faults, full %0d", faults, rx_full);
    for (int i = 0; i < 20; i++) send(arp_request(8'h01), 42, ReasonArp, 8'd7);
    expect_entry(mark, 16'(FwTraceMailbox), 16'(MboxPanic), MboxPanicKey);
    expect_entry(mark + 1, 16'(FwTracePanic), panic_status[15:0], panic_info);

    // Nobody feeds the watchdog: the core restarts, the request that killed it is answered, what it died of is kept.
    replies = 0;
    bite(WatchdogTime + 2_000_000);
    if (replies != 1 || last_reply != FwMboxLost) $fatal(1, "%0d replies, the last %h", replies, last_reply);
    if (view.death.deaths != 1 || view.death.status != panic_status || view.death.info != panic_info) $fatal(1, "death: %p", view.death);
    if (view.death.pc <= 32'h9000 || view.death.pc >= 32'hd000 || view.rx_lost != 20) $fatal(1, "pc %h, %0d lost", view.death.pc, view.rx_lost);
    $display("panic at pc %h", view.death.pc);
    start_fw = fw_cycle;
    expect_status(StatusReady, DeadlineBoot);
    $display("restart to running: %0d cycles of the core", fw_cycle - start_fw);
    expect_sleep();
    if (heartbeat != 1 || rx_full || faults != 2) $fatal(1, "restart: heartbeat %0d full %0d faults %0d", heartbeat, rx_full, faults);
    expect_entry(mark + 2, 16'(FwTraceBoot), {8'(FwBootGolden), 8'(FwCauseWatchdog)}, dut.u_cpu.u_ram.mem[GoldenWord + 1]);
    expect_entry(mark + 3, 16'(FwTraceReady), 16'd0, version);
    send(arp_request(8'h02), 42, ReasonArp, 8'd9);
    expect_frame(20, arp_reply(8'h02), 42, 8'd9);

    // Hung: a loop where its code was. Frames fill the queue. What comes of a frame
    // that the restart meets is no frame of the new firmware's, one that is on its way out is sent whole.
    @(negedge clk) tx_tready = 1'b0;
    send(arp_request(8'h03), 42, ReasonArp, 8'd9);
    for (int n = 0; n < Deadline && !tx_tvalid; n++) @(posedge clk);
    expect_sleep();
    for (int i = CodeWord; i < CodeWord + 32'h2800 / 4; i++) dut.u_cpu.u_ram.mem[i] = 32'ha001_a001;
    for (int i = 0; i < 3; i++) send(arp_request(8'h01), 42, ReasonArp, 8'd7);
    jump += 2 * WatchdogTime + 4_000_000;
    repeat (300_000 * fw_div) @(posedge clk);
    if (view.death.deaths != 1 || status != StatusReady) $fatal(1, "restarted with a frame on its way out");
    pause_at = 128;
    send(arp_request(8'h01), 9216, ReasonArp, 8'd7);
    pause_at = -1;
    expect_frame(21, arp_reply(8'h03), 42, 8'd9);
    if (view.death.deaths != 2 || view.death.status != StatusReady) $fatal(1, "hang: %p", view.death);
    if (view.death.pc < 32'h9000 || view.death.pc >= 32'hb800) $fatal(1, "hung at %h", view.death.pc);
    expect_status(StatusReady, DeadlineBoot);
    expect_sleep();
    if (view.rx_lost != 24) $fatal(1, "%0d frames lost", view.rx_lost);
    send(arp_request(8'h04), 42, ReasonArp, 8'd9);
    expect_frame(22, arp_reply(8'h04), 42, 8'd9);
    ask(MboxStat, StatArp, reply, took);
    if (reply != 1) $fatal(1, "%0d ARP replies counted", reply);
    ask(MboxStatHigh, 0, reply, took);
    if (reply != 0) $fatal(1, "high word %0d", reply);

    // Its code overwritten: an illegal instruction, told to the host; the restart copies the image anew. The third death in a row takes
    // four times as long.
    for (int i = CodeWord + 32'h300 / 4; i < CodeWord + 32'h2200 / 4; i++) dut.u_cpu.u_ram.mem[i] = 32'h0;
    post(MboxPing, 32'h0);
    expect_status(StatusTrapIll, Deadline);
    $display("trap: status %h info %h", status, info);
    if (info < 32'h9300 || info >= 32'hb200) $fatal(1, "trap at %h", info);
    expect_sleep();
    jump += 2 * WatchdogTime + 4_000_000;
    repeat (300_000 * fw_div) @(posedge clk);
    if (view.death.deaths != 2) $fatal(1, "no back-off");
    bite(2 * WatchdogTime + 4_000_000);
    if (view.death.status != StatusTrapIll || view.death.pc != view.death.info || view.boot_cause != {8'd3, FwCauseWatchdog}) $fatal(1, "trap: %p", view);
    expect_status(StatusReady, DeadlineBoot);

    // The host restarts it: no death, and the back-off is over.
    ask_restart(1'b0);
    expect_status(StatusReady, DeadlineBoot);
    if (view.death.deaths != 3 || view.boot_cause != {8'd0, FwCauseAsked}) $fatal(1, "restart on request: %p", view);

    if (!$value$plusargs("updates=%d", updates)) updates = 1;
    if (updates != 0) begin
      // An update: the same image again. It runs, and says so; what is not whole is refused.
      update_of_golden();
      upload(UpdateTorn, 1);
      upload(UpdateOk, 0);
      ask(MboxStart, MboxUpdateKey, reply, took);
      if (reply != UpdateOk) $fatal(1, "start: %h", reply);
      for (int n = 0; n < Deadline && status == StatusReady; n++) @(posedge clk);
      expect_status(StatusReady, DeadlineBoot);
      if (view.boot != 32'(FwBootUpdate) || view.death.deaths != 3) $fatal(1, "after the update: %p", view);
      ask(MboxImage, 32'd0, reply, took);
      if (reply != image_words[1]) $fatal(1, "the image that runs is %h", reply);

      // A bit of it flips in its slot: the next start falls back, and says so.
      mark = view.trace_count;
      dut.u_cpu.u_ram.mem[SlotWord + 100] ^= 32'h10;
      ask_restart(1'b0);
      expect_status(StatusReady, DeadlineBoot);
      if (view.boot != 32'(FwBootTorn)) $fatal(1, "after a flipped bit: boot %0d", view.boot);
      image_words[100] ^= 32'h10;
      expect_entry(mark, 16'(FwTraceFallBack), 16'(FwBootTorn), crc_of(2));

      // One that dies at once, as it writes where no store may: three deaths, and the golden image is back, unharmed.
      image_words = {ImageMagic, 32'd0, 32'd12, version, 32'h0000_12b7, 32'h0002_a023, 32'h0000_006f};
      image_words[1] = crc_of(2);
      upload(UpdateOk, 0);
      ask(MboxStart, MboxUpdateKey, reply, took);
      for (int i = 0; i < 3; i++) begin
        expect_status(StatusTrapStore, DeadlineBoot);
        if (view.boot != 32'(FwBootUpdate) || info != 32'h9004) $fatal(1, "dying update: boot %0d at %h", view.boot, info);
        expect_sleep();
        bite((WatchdogTime + 2_000_000) << i);
      end
      expect_status(StatusReady, DeadlineBoot);
      if (view.boot != 32'(FwBootDied) || view.death.deaths != 6 || view.death.pc != 32'h9004) $fatal(1, "after three deaths: %p", view);
      if (dut.u_cpu.u_ram.mem[GoldenWord] != ImageMagic) $fatal(1, "the golden image was written to");

      // Back by the host, and by power.
      update_of_golden();
      upload(UpdateOk, 0);
      ask(MboxStart, MboxUpdateKey, reply, took);
      for (int n = 0; n < Deadline && status == StatusReady; n++) @(posedge clk);
      expect_status(StatusReady, DeadlineBoot);
      ask_restart(1'b1);
      expect_status(StatusReady, DeadlineBoot);
      if (view.boot != 32'(FwBootRolledBack)) $fatal(1, "after a rollback: boot %0d", view.boot);
      ask(MboxStart, MboxUpdateKey, reply, took);
      for (int n = 0; n < Deadline && status == StatusReady; n++) @(posedge clk);
      expect_status(StatusReady, DeadlineBoot);
      if (view.boot != 32'(FwBootUpdate)) $fatal(1, "started again: boot %0d", view.boot);
    end
    reset();
    for (int n = 0; n < Deadline && status == StatusReady; n++) @(posedge clk);
    expect_status(StatusReady, DeadlineBoot);
    if (view.boot != 32'(FwBootGolden) || view.boot_cause != {8'd0, FwCausePowerOn} || view.death != '0 || view.rx_lost != 0 ||
        view.trace_count != 2) $fatal(1, "power-on: boot %h cause %h, %0d deaths, %0d lost, %0d entries", view.boot, view.boot_cause, view.death.deaths, view.rx_lost, view.trace_count);

    // A bad word of RAM: the self-test names it.
    stuck = 1;
    reset();
    expect_status(StatusFailed, DeadlineBoot);
    if (info != 32'(StuckWord * 4)) $fatal(1, "self-test blames %h", info);
    expect_sleep();

    // No image is whole.
    stuck = 0;
    dut.u_cpu.u_ram.mem[GoldenWord + 5] ^= 32'h1;
    reset();
    expect_status(32'hd000_0002, DeadlineBoot);

    $display("PASS");
    $finish;
  end

endmodule
