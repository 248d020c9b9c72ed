// Bench of a wrapper's way between host and core: ps_stream_mux, ps_vif_untag, then, where the core would be, straight into
// ps_vif_tag and ps_frame_store (which pads to 60 bytes here). Prints PASS or stops.
//
// Three functions send frames of 14 to 400 bytes, with service tags of all kinds and without, with gaps; the far side waits at
// random. Checked against lists of bytes: vif and bytes behind the tag's removal, function, bytes, padding and the length told
// with the first beat at the end; order of each function's frames; that every frame arrives; one beat a cycle where promised.
module ps_host_streams_tb;

  localparam int unsigned Functions = 3;
  localparam int unsigned Frames    = 1500;   // a function
  localparam int unsigned MinBytes  = 60;

  logic clk = 0, rst = 1;
  always #1 clk = !clk;

  logic [Functions*512-1:0] s_data;
  logic [Functions*64-1:0]  s_keep;
  logic [Functions-1:0]     s_last = '0, s_valid = '0, s_ready;
  logic [511:0] mux_data, mid_data, tag_data, out_data;
  logic [63:0]  mux_keep, mid_keep, tag_keep, out_keep;
  logic         mux_last, mux_valid, mux_ready, mid_last, mid_valid, mid_ready, mid_gate = 0, untag_valid, untag_ready;
  logic         tag_last, tag_valid, tag_ready, out_last, out_valid, out_ready = 0, drop;
  logic [1:0]   mux_source, tag_function, out_function;
  logic [7:0]   mid_vif;
  logic [15:0]  out_size;

  ps_stream_mux #(
    .Count(Functions)
  ) u_mux (
    .clk_i(clk), .rst_i(rst), .s_data_i(s_data), .s_keep_i(s_keep), .s_last_i(s_last), .s_valid_i(s_valid),
    .s_ready_o(s_ready), .m_data_o(mux_data), .m_keep_o(mux_keep), .m_last_o(mux_last), .m_source_o(mux_source),
    .m_valid_o(mux_valid), .m_ready_i(mux_ready)
  );

  ps_vif_untag #(
    .SourceWidth(2)
  ) u_untag (
    .clk_i(clk), .rst_i(rst), .s_data_i(mux_data), .s_keep_i(mux_keep), .s_last_i(mux_last),
    .s_source_i(mux_source), .s_valid_i(mux_valid), .s_ready_o(mux_ready), .m_data_o(mid_data), .m_keep_o(mid_keep),
    .m_last_o(mid_last), .m_vif_o(mid_vif), .m_valid_o(untag_valid), .m_ready_i(untag_ready)
  );

  // The core's place. A frame of vif 0 ends here, as it would there.
  logic mid_drop;
  assign mid_drop    = mid_vif == 8'd0;
  assign mid_valid   = untag_valid && mid_gate && !mid_drop;
  assign untag_ready = mid_gate && (mid_ready || mid_drop);

  ps_vif_tag #(
    .Direct       (Functions),
    .FunctionWidth(2)
  ) u_tag (
    .clk_i(clk), .rst_i(rst), .s_data_i(mid_data), .s_keep_i(mid_keep), .s_last_i(mid_last), .s_vif_i(mid_vif),
    .s_valid_i(mid_valid), .s_ready_o(mid_ready), .m_data_o(tag_data), .m_keep_o(tag_keep), .m_last_o(tag_last),
    .m_function_o(tag_function), .m_valid_o(tag_valid), .m_ready_i(tag_ready)
  );

  ps_frame_store #(
    .UserWidth(2),
    .Beats    (16),
    .Frames   (8),
    .MinBytes (MinBytes)
  ) u_store (
    .clk_i(clk), .rst_i(rst), .s_data_i(tag_data), .s_keep_i(tag_keep), .s_last_i(tag_last), .s_error_i(1'b0),
    .s_user_i(tag_function), .s_valid_i(tag_valid), .s_ready_o(tag_ready), .drop_o(drop),
    .m_data_o(out_data), .m_keep_o(out_keep), .m_last_o(out_last), .m_size_o(out_size), .m_user_o(out_function),
    .m_valid_o(out_valid), .m_ready_i(out_ready)
  );

  typedef logic [7:0] bytes_t[$];
  typedef struct {
    logic [7:0] vif;
    bytes_t     bytes;      // without a tag
  } frame_t;

  frame_t sent[Functions][$];     // not yet seen behind ps_vif_untag
  frame_t passed[$];              // not yet seen at the end
  int     senders = Functions, checked = 0, dropped = 0, beats = 0;

  function automatic logic chance(input int unsigned percent);
    chance = $urandom_range(99) < percent;
  endfunction

  initial begin
    repeat (10) @(posedge clk);
    rst <= 0;
  end

  int unsigned busy = 100;  // per cent of cycles in which anyone is willing

  for (genvar f = 0; f < Functions; f++) begin : g_sender
    initial begin
      bytes_t wire_bytes;
      frame_t frame;
      int unsigned length, vlan;
      logic claims;
      @(negedge rst);
      for (int unsigned n = 0; n < Frames; n++) begin
        // Now and then many short ones, so that the store runs out of frames before it runs out of beats.
        if ((n / 40) % 4 == 3) length = $urandom_range(50, 14);
        else length = chance(40) ? $urandom_range(140, 55) : $urandom_range(400, 14);
        wire_bytes.delete();
        for (int unsigned i = 0; i < length; i++) wire_bytes.push_back(8'($urandom()));
        claims = chance(50);
        vlan   = chance(80) ? $urandom_range(255, 1) : chance(50) ? 0 : $urandom_range(4095, 256);
        if (wire_bytes[12] == 8'h88) wire_bytes[12] = 8'h08;
        if (claims && length >= 16) begin
          wire_bytes[12] = 8'h88;
          wire_bytes[13] = 8'ha8;
          wire_bytes[14] = {4'($urandom()), 4'(vlan >> 8)};
          wire_bytes[15] = 8'(vlan);
        end
        frame.bytes = wire_bytes;
        frame.vif   = 8'(f) + 8'd1;
        if (f == 0 && claims && length >= 18) begin
          frame.vif = vlan < 256 ? 8'(vlan) : 8'd0;
          for (int unsigned i = 0; i < 4; i++) frame.bytes.delete(12);
        end
        sent[f].push_back(frame);
        for (int unsigned at = 0; at < length; at += 64) begin
          // Driven at the falling edge, so that only whole values are seen at the rising one.
          do begin
            @(negedge clk);
            s_valid[f] = 0;
          end while (!chance(busy));
          for (int unsigned i = 0; i < 64; i++) begin
            s_data[512*f + 8*i +: 8] = at + i < length ? wire_bytes[at+i] : 8'($urandom());
            s_keep[64*f + i]         = at + i < length;
          end
          s_last[f]  = at + 64 >= length;
          s_valid[f] = 1;
          do @(posedge clk); while (!s_ready[f]);
        end
      end
      @(negedge clk);
      s_valid[f] = 0;
      senders--;
    end
  end

  // Behind the removal of tags
  bytes_t mid_bytes;
  int     mid_function = -1;
  always @(posedge clk) begin
    mid_gate <= chance(busy);
    if (!rst && untag_valid && untag_ready) begin
      frame_t expected;
      for (int unsigned i = 0; i < 64; i++) if (mid_keep[i]) mid_bytes.push_back(mid_data[8*i +: 8]);
      if (mid_last) begin
        // Frames tell by their bytes whose they are: only the heads of the functions' lists can match.
        mid_function = -1;
        for (int f = 0; f < Functions; f++) begin
          if (sent[f].size() > 0 && sent[f][0].bytes == mid_bytes && sent[f][0].vif == mid_vif) mid_function = f;
        end
        if (mid_function < 0) $fatal(1, "FAIL: frame %0d: no function has sent these %0d bytes as vif %0d", checked, mid_bytes.size(), mid_vif);
        expected = sent[mid_function].pop_front();
        if (mid_vif == 0) dropped++;
        else passed.push_back(expected);
        mid_bytes.delete();
      end
    end
  end

  // At the end
  bytes_t      out_bytes;
  int unsigned told, stall = 0;
  logic        out_first = 1;
  always @(posedge clk) begin
    out_ready <= chance(busy) && (busy == 100 || stall == 0);
    stall     <= stall == 0 ? (chance(1) ? 60 : 0) : stall - 1;
    if (!rst && drop) $fatal(1, "FAIL: a frame was dropped");
    if (!rst && out_valid && out_ready) begin
      frame_t     expected;
      bytes_t     want;
      logic [1:0] function_wanted;
      beats++;
      if (out_first) told = 32'(out_size);
      assert (32'(out_size) == told) else $fatal(1, "FAIL: the length changed within a frame");
      out_first = out_last;
      for (int unsigned i = 0; i < 64; i++) begin
        if (out_keep[i]) out_bytes.push_back(out_data[8*i +: 8]);
        else assert (out_data[8*i +: 8] == 8'd0) else $fatal(1, "FAIL: rubbish beyond the end");
      end
      if (out_last) begin
        if (passed.size() == 0) $fatal(1, "FAIL: a frame from nowhere");
        expected = passed.pop_front();
        want     = expected.bytes;
        function_wanted = 2'(expected.vif - 8'd1);
        if (expected.vif > 8'(Functions)) begin
          function_wanted = 2'd0;
          want.insert(12, expected.vif);
          want.insert(12, 8'h00);
          want.insert(12, 8'ha8);
          want.insert(12, 8'h88);
        end
        while (want.size() < MinBytes) want.push_back(8'd0);
        if (want != out_bytes) $fatal(1, "FAIL: frame %0d for vif %0d: %0d bytes, %0d wanted", checked, expected.vif, out_bytes.size(), want.size());
        if (told != want.size()) $fatal(1, "FAIL: told %0d bytes, were %0d", told, want.size());
        if (out_function != function_wanted) $fatal(1, "FAIL: vif %0d by function %0d", expected.vif, out_function);
        out_bytes.delete();
        checked++;
      end
    end
  end

  // A stretch at full speed between two that stall.
  always begin
    busy = 100;
    repeat (600) @(posedge clk);
    busy = 50;
    repeat (600) @(posedge clk);
    busy = 80;
    repeat (600) @(posedge clk);
  end

  // At full speed at most every fourth cycle is spent on a frame's extra beat.
  int full_cycles = 0, full_beats = 0, stretch = 0;
  always @(posedge clk) begin
    stretch <= busy == 100 ? stretch + 1 : 0;
    if (stretch > 100 && senders == Functions) begin
      full_cycles++;
      if (untag_valid && untag_ready) full_beats++;
    end
  end

  initial begin
    fork
      begin
        wait (senders == 0);
        wait (checked + dropped == Functions * Frames);
        repeat (50) @(posedge clk);
      end
      begin
        repeat (200000) @(posedge clk);
        $fatal(1, "FAIL: %0d frames checked, %0d dropped of %0d", checked, dropped, Functions * Frames);
      end
    join_any
    if (checked + dropped != Functions * Frames || dropped == 0) $fatal(1, "FAIL: %0d checked, %0d dropped", checked, dropped);
    if (4 * full_beats < 3 * full_cycles) $fatal(1, "FAIL: %0d beats in %0d cycles at full speed", full_beats, full_cycles);
    $display("PASS: %0d frames checked, %0d dropped; at full speed %0d beats in %0d cycles", checked, dropped, full_beats, full_cycles);
    $finish;
  end

endmodule
