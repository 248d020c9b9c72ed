// Bench of ps_frame_store where a source cannot wait (Lossy = 1): frames come at full speed, some marked bad, some longer
// than the store, and the far side stalls for long. Prints PASS or stops.
//
// Checked:     what comes out is what went in, whole, in order, with the length told; every frame that is missing was counted;
//              no good frame is missing while the far side takes a beat a cycle; no gap within a frame (the module's assertion).
module ps_frame_store_tb;

  localparam int unsigned Beats  = 16;
  localparam int unsigned Frames = 4000;

  logic clk = 0, rst = 1;
  always #1 clk = !clk;

  logic [511:0] s_data, m_data;
  logic [63:0]  s_keep, m_keep;
  logic         s_last = 0, s_error = 0, s_valid = 0, s_ready, drop, m_last, m_valid, m_ready = 0;
  logic [15:0]  s_user = '0, m_user, m_size;

  ps_frame_store #(
    .UserWidth(16),
    .Beats    (Beats),
    .Frames   (Beats),
    .Lossy    (1'b1)
  ) dut (
    .clk_i(clk), .rst_i(rst), .s_data_i(s_data), .s_keep_i(s_keep), .s_last_i(s_last), .s_error_i(s_error),
    .s_user_i(s_user), .s_valid_i(s_valid), .s_ready_o(s_ready), .drop_o(drop),
    .m_data_o(m_data), .m_keep_o(m_keep), .m_last_o(m_last), .m_size_o(m_size), .m_user_o(m_user),
    .m_valid_o(m_valid), .m_ready_i(m_ready)
  );

  function automatic logic chance(input int unsigned percent);
    chance = $urandom_range(99) < percent;
  endfunction

  // A frame's bytes follow from its number, so that nothing needs to be remembered but its length and whether it is bad.
  function automatic logic [7:0] byte_at(input int unsigned number, input int unsigned at);
    byte_at = 8'(number * 7 + at * 3 + (at >> 6));
  endfunction

  // A frame fills the store until its end is in.
  function automatic logic long_near(input int n);
    long_near = 0;
    for (int k = n > 4 ? n - 4 : 0; k <= n; k++) long_near |= length_of[k] > 32 * Beats;
  endfunction

  int unsigned length_of[Frames];
  logic        bad[Frames];
  logic        eager = 1;        // the far side takes a beat a cycle
  int          number = -1, at = 0, drops = 0, received = 0, dropped_eagerly = 0, last_seen = -1, eager_for = 0;
  bit          stop = 0;

  initial begin
    repeat (10) @(posedge clk);
    rst <= 0;
    for (int n = 0; n < Frames; n++) begin
      length_of[n] = chance(5) ? $urandom_range(64 * Beats + 300, 64 * Beats - 100) : $urandom_range(300, 1);
      bad[n]       = chance(10);
      for (int unsigned from = 0; from < length_of[n]; from += 64) begin
        @(negedge clk);
        s_valid = 0;
        while (chance(10)) @(negedge clk);
        for (int unsigned i = 0; i < 64; i++) begin
          s_data[8*i +: 8] = byte_at(n, from + i);
          s_keep[i]        = from + i < length_of[n];
        end
        s_user  = from == 0 ? 16'(n) : 16'($urandom());
        s_last  = from + 64 >= length_of[n];
        s_error = s_last ? bad[n] : chance(50);
        s_valid = 1;
        @(posedge clk);
        if (!s_ready) $fatal(1, "FAIL: asked a source to wait that cannot");
      end
    end
    @(negedge clk);
    s_valid = 0;
    stop = 1;
  end

  always begin
    eager = 1;
    repeat (400) @(negedge clk);
    eager = 0;
    repeat ($urandom_range(200)) @(negedge clk);
  end

  always @(negedge clk) begin
    m_ready   = eager || chance(20);
    eager_for = eager ? eager_for + 1 : 0;
  end

  always @(posedge clk) begin
    if (!rst && drop) drops++;
    if (!rst && m_valid && m_ready) begin
      if (at == 0) begin
        number = 32'(m_user);
        if (number <= last_seen) $fatal(1, "FAIL: frame %0d after %0d", number, last_seen);
        // Of those that came while the far side was willing only bad ones may be missing, and those beside a long one.
        for (int n = last_seen + 1; n < number; n++) begin
          if (eager_for > 200 && !bad[n] && !long_near(n)) dropped_eagerly++;
        end
        last_seen = number;
        if (bad[number]) $fatal(1, "FAIL: frame %0d was bad", number);
      end
      if (32'(m_user) != number || 32'(m_size) != length_of[number]) $fatal(1, "FAIL: frame %0d is told as %0d with %0d bytes", number, m_user, m_size);
      for (int i = 0; i < 64; i++) begin
        if (m_keep[i] != (at + i < length_of[number])) $fatal(1, "FAIL: frame %0d: keep at byte %0d", number, at + i);
        if (m_keep[i] && m_data[8*i +: 8] != byte_at(number, at + i)) $fatal(1, "FAIL: frame %0d: byte %0d", number, at + i);
      end
      if (m_last != (at + 64 >= length_of[number])) $fatal(1, "FAIL: frame %0d: last at byte %0d", number, at);
      at = m_last ? 0 : at + 64;
      if (m_last) received++;
    end
  end

  initial begin
    wait (stop);
    eager = 1;
    repeat (300) @(posedge clk);
    if (received + drops != Frames) $fatal(1, "FAIL: %0d received and %0d dropped of %0d", received, drops, Frames);
    if (received < Frames / 2 || drops < Frames / 10) $fatal(1, "FAIL: %0d received, %0d dropped: that shows little", received, drops);
    if (dropped_eagerly != 0) $fatal(1, "FAIL: %0d good frames dropped without need", dropped_eagerly);
    $display("PASS: %0d frames received, %0d dropped and counted", received, drops);
    $finish;
  end

endmodule
