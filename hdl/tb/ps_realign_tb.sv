// Bench of ps_steps and ps_realign: random plans, beats and overlays, each output beat compared with what the plan says of bytes.
//
// A frame grows or shrinks by any shift, to any length that its beats can fill; rooms come and go at the sinks. First frames of one
// beat without a pause, one of which must leave in each cycle; then frames of up to 12 beats.
module ps_realign_tb
  import ps_types_pkg::*;
  import ps_stream_pkg::*;
;

  localparam int unsigned Short = 2000;   // frames of one beat
  localparam int unsigned Frames = 12000; // with these

  logic             clk = 0;
  logic             rst = 1;
  logic             plan_valid, plan_ready, read, step_valid, drop, overlay_read, head_last;
  frame_plan_t      plan;
  logic [Sinks-1:0] room, head_valid, m_valid;
  step_t            step;
  logic [511:0]     beat;
  overlay_t         overlay;
  routed_beat_t     m;

  always #1 clk = !clk;

  ps_steps u_steps (
    .clk_i       (clk),
    .rst_i       (rst),
    .plan_valid_i(plan_valid),
    .plan_ready_o(plan_ready),
    .plan_i      (plan),
    .room_i      (room),
    .read_o      (read),
    .step_valid_o(step_valid),
    .step_o      (step),
    .drop_o      (drop)
  );

  ps_realign u_realign (
    .clk_i         (clk),
    .rst_i         (rst),
    .step_valid_i  (step_valid),
    .step_i        (step),
    .beat_i        (beat),
    .overlay_read_o(overlay_read),
    .overlay_i     (overlay),
    .head_valid_o  (head_valid),
    .head_last_o   (head_last),
    .m_valid_o     (m_valid),
    .m_o           (m)
  );

  typedef struct packed {
    logic [Sinks-1:0] dst;
    routed_beat_t     beat;
  } expected_t;

  frame_plan_t  plans [$];
  logic [511:0] beats [$];
  overlay_t     overlays [$];
  expected_t    expected [$];
  logic [3:0]   heads [$];            // announced: last, sinks
  int unsigned  drops, made, got, cycles, failures;

  // Makes a frame of `beats_in` beats, and what must come of it.
  function automatic void frame(input int unsigned beats_in, input logic may_drop);
    frame_plan_t p;
    overlay_t    o;
    expected_t   e;
    logic [7:0]  bytes [];
    int          most, len, outs, from;

    p       = '0;
    p.drop  = may_drop && $urandom_range(9) == 0;
    p.dst   = 3'b001 << $urandom_range(2);
    p.shift = 5'($urandom);
    p.grow  = p.shift != 0 && $urandom_range(1) == 1;
    most    = 64 * int'(beats_in) - 2 * int'(p.shift) + (p.grow ? 64 : 0);
    len     = $urandom_range(3) == 0 ? most : 1 + int'($urandom_range(most - 1));
    if (beats_in == 1 && !may_drop && len > 64) len = 64;
    outs    = (len + 63) / 64;

    bytes = new[64 * beats_in];
    foreach (bytes[i]) bytes[i] = 8'($urandom);
    for (int unsigned b = 0; b < beats_in; b++) begin
      logic [511:0] data;
      for (int i = 0; i < 64; i++) data[8*i+:8] = bytes[64*b+i];
      beats.push_back(data);
    end

    p.extra    = !p.drop && outs > int'(beats_in);
    p.steps    = CountWidth'(beats_in - 1) + CountWidth'(p.extra);
    p.outs     = CountWidth'(outs - 1);
    p.one_step = p.steps == 0;
    p.one_out  = outs == 1;
    p.tail     = 6'(len);
    plans.push_back(p);
    if (p.drop) begin
      drops++;
      return;
    end

    for (int i = 0; i < int'($bits(overlay_t)); i++) o[i] = 1'($urandom);
    // What the frame grows by is all header.
    for (int w = 0; p.grow && w < 32 - int'(p.shift); w++) o.en[w] = 1'b1;
    overlays.push_back(o);
    for (int k = 0; k < outs; k++) begin
      e           = '0;
      e.dst       = p.dst;
      e.beat.side = o.side;
      for (int i = 0; i < 64; i++) begin
        if (64 * k + i < len) begin
          from = 64 * k + i + 2 * int'(p.shift) - (p.grow ? 64 : 0);
          e.beat.beat.keep[i] = 1'b1;
          e.beat.beat.data[8*i+:8] = k < 2 && o.en[32*k+i/2] ? o.words[8*(64*k+i)+:8] : bytes[from];
        end
      end
      e.beat.beat.last = k == outs - 1;
      expected.push_back(e);
      heads.push_back({k == outs - 1, p.dst});
    end
    made++;
  endfunction

  function automatic void fail(input string what);
    $display("FAIL: %s, beat %0d", what, got);
    failures++;
  endfunction

  // The packet memory and the overlays, with their latency of two cycles
  logic [511:0] beat1;
  overlay_t     overlay1;
  logic         read1, overlay_read1;

  always_ff @(posedge clk) begin
    if (read) beat1 <= beats.pop_front();
    if (read1) beat <= beat1;
    if (overlay_read) overlay1 <= overlays.pop_front();
    if (overlay_read1) overlay <= overlay1;
    read1         <= read;
    overlay_read1 <= overlay_read;
  end

  always @(posedge clk) begin
    if (!rst) begin
      cycles++;
      if (drop) drops--;
      if (head_valid != '0) begin
        if (heads.size() == 0 || heads.pop_front() != {head_last, head_valid}) fail("announcement");
      end
      if (m_valid != '0) begin
        expected_t e;
        if (expected.size() == 0) fail("beat that nobody expects");
        e = expected.pop_front();
        if (e.dst != m_valid || e.beat != m) fail("beat is wrong");
        got++;
      end
    end
  end

  // Plans that wait
  logic pause;

  assign plan_valid = plans.size() != 0 && !pause && !rst;
  assign plan       = plans.size() != 0 ? plans[0] : '0;

  task automatic run(input logic stalls);
    while (plans.size() != 0) begin
      @(negedge clk);
      // A plan that has been seen stays.
      if (!plan_valid) pause = stalls && $urandom_range(3) == 0;
      room = stalls ? 3'($urandom) : '1;
      @(posedge clk);
      if (plan_ready) begin
        #0.1;
        void'(plans.pop_front());
        pause = stalls && $urandom_range(3) == 0;
      end
    end
    repeat (12) @(posedge clk);
    if (expected.size() != 0 || heads.size() != 0 || beats.size() != 0 || overlays.size() != 0 || drops != 0) fail("something is left");
  endtask

  initial begin
    pause = 0;
    room  = '0;
    repeat (4) @(posedge clk);
    @(negedge clk);
    rst = 0;
    for (int i = 0; i < int'(Short); i++) frame(1, 1'b0);
    cycles = 0;
    run(1'b0);
    if (cycles > Short + 20) fail("slower than a frame a cycle");
    for (int i = 0; i < int'(Frames); i++) begin
      frame(1 + $urandom_range($urandom_range(3) == 0 ? 11 : 2), 1'b1);
      if (i % 100 == 99) run(i % 200 == 199);
    end
    if (failures != 0) $fatal(1, "ps_realign_tb: %0d failures", failures);
    $display("PASS: %0d frames, %0d beats", made, got);
    $finish;
  end

endmodule
