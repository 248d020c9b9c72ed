// Takes the frames of one port in: beats into the packet FIFO, the window of each frame to the entry arbiter.
//
// Store and forward: a frame's window goes on only with its last beat, so that its length is known and none of
// its beats is ever waited for later. One beat a cycle, so one 64-byte frame a cycle.
// Handshake:  s_ready_o is a register; it falls before either queue can overflow.
// Oversize:   of a frame longer than FrameMaxBytes the first beats and the last are kept; its window says so, and its
//             length is right up to 65535 bytes, where it stops counting.
// Sum:        from the fabric, the sum of the IPv4 packet goes with the window (ps_packet_sum), for a tunnel's checksums.
// Latency:    last beat accepted -> window_valid_o 4 cycles, 6 from the fabric; beats are ready earlier than their window.
// Ordering:   windows and frames in order of arrival.
module ps_ingress
  import ps_abi_pkg::*;
  import ps_types_pkg::*;
  import ps_stream_pkg::*;
#(
  parameter src_e Src = SrcFabric
) (
  input  logic         clk_i,
  input  logic         rst_i,

  input  logic [511:0] s_data_i,
  input  logic [63:0]  s_keep_i,
  input  logic         s_last_i,
  input  logic [7:0]   s_vif_i,        // valid on the first beat
  input  logic         s_valid_i,
  output logic         s_ready_o,

  output logic         window_valid_o,
  input  logic         window_ready_i,
  output window_t      window_o,

  output logic         beat_valid_o,
  input  logic         beat_ready_i,
  output raw_beat_t    beat_o,

  output logic         frame_o         // pulse: the first beat of a frame has been accepted
);

  localparam int unsigned KeptBeats = FrameMaxBytes / BeatBytes;
  localparam int unsigned Margin = 4;  // beats on their way when s_ready_o falls

  // Input register
  beat_t       in_q;
  logic        in_valid_q, ready_q, start_q;
  logic [7:0]  vif_q;

  // Frame so far, without the beat in the input register
  logic [9:0]   index_q;               // beats, saturating
  logic [15:0]  len_q;
  logic [511:0] win0_q, win1_q;

  logic [6:0]   bytes;
  logic [16:0]  len_sum;
  logic [511:0] data;
  logic         first, push_beat, push_window;
  window_t      window_q, window;
  logic         window_valid_q, window_valid;
  logic [15:0]  sum;
  logic         sum_valid, sum_room;

  logic [$clog2(PacketBeats)+1:0] beats_stored;
  logic [$clog2(WindowDepth)+1:0] windows_stored;
  logic                           beat_room, window_room;

  assign s_ready_o = ready_q;
  assign frame_o   = s_valid_i && ready_q && start_q;
  assign first     = index_q == '0;

  // Only the last beat is not full; its rest is cleared, so that cut fields read as 0. Its length is where tkeep ends.
  always_comb begin
    bytes = '0;
    for (int b = 0; b < BeatBytes; b++) begin
      data[8*b+:8] = in_q.keep[b] ? in_q.data[8*b+:8] : '0;
      if (in_q.keep[b] && (b == BeatBytes - 1 || !in_q.keep[b+1])) bytes |= 7'(b + 1);
    end
  end

  assign len_sum = 17'(len_q) + 17'(bytes);

  assign push_beat   = in_valid_q && (in_q.last || index_q < 10'(KeptBeats));
  assign push_window = in_valid_q && in_q.last;

  always_ff @(posedge clk_i) begin
    if (s_valid_i && ready_q) begin
      in_q.data <= s_data_i;
      in_q.keep <= s_keep_i;
      in_q.last <= s_last_i;
      if (start_q) vif_q <= s_vif_i;
    end
    if (in_valid_q) begin
      if (first) win0_q <= in_q.data;
      if (index_q == 10'd1) win1_q <= in_q.data;
    end
    if (push_window) begin
      window_q.src      <= Src;
      window_q.vif      <= vif_q;
      window_q.len      <= len_sum[16] ? '1 : len_sum[15:0];
      window_q.oversize <= len_sum > 17'(FrameMaxBytes);
      window_q.runt     <= len_sum < 17'd14;
      window_q.sum      <= '0;
      unique case (index_q)
        10'd0:   window_q.data <= {512'b0, data};
        10'd1:   window_q.data <= {data, win0_q};
        default: window_q.data <= {win1_q, win0_q};
      endcase
    end
  end

  always_ff @(posedge clk_i) begin
    if (rst_i) begin
      ready_q        <= 1'b0;
      in_valid_q     <= 1'b0;
      start_q        <= 1'b1;
      index_q        <= '0;
      len_q          <= '0;
      window_valid_q <= 1'b0;
    end else begin
      ready_q        <= beats_stored < ($bits(beats_stored))'(PacketBeats - Margin) &&
                        windows_stored < ($bits(windows_stored))'(WindowDepth - Margin);
      in_valid_q     <= s_valid_i && ready_q;
      window_valid_q <= push_window;
      if (s_valid_i && ready_q) start_q <= s_last_i;
      if (in_valid_q) begin
        if (in_q.last) begin
          index_q <= '0;
          len_q   <= '0;
        end else begin
          if (index_q != '1) index_q <= index_q + 1'b1;
          len_q <= len_sum[16] ? '1 : len_sum[15:0];
        end
      end
    end
  end

  ps_fifo #(
    .Width($bits(raw_beat_t)),
    .Depth(PacketBeats),
    .Style("ultra")
  ) u_beats (
    .clk_i,
    .rst_i,
    .wvalid_i(push_beat),
    .wready_o(beat_room),
    .wdata_i ({in_q.last, data}),
    .rvalid_o(beat_valid_o),
    .rready_i(beat_ready_i),
    .rdata_o (beat_o),
    .count_o (beats_stored)
  );

  ps_fifo #(
    .Width($bits(window_t)),
    .Depth(WindowDepth),
    .Style("distributed")
  ) u_windows (
    .clk_i,
    .rst_i,
    .wvalid_i(window_valid_q),
    .wready_o(window_room),
    .wdata_i (window_q),
    .rvalid_o(window_valid),
    .rready_i(window_ready_i && window_valid_o),
    .rdata_o (window),
    .count_o (windows_stored)
  );

  // A frame's sum comes after its window, so there is room for it and only the sum is ever waited for.
  if (Src == SrcFabric) begin : g_sum
    logic        beat_sum_valid;
    logic [15:0] beat_sum;
    logic [$clog2(WindowDepth)+1:0] sums_stored;

    ps_packet_sum u_sum (
      .clk_i,
      .rst_i,
      .valid_i    (in_valid_q),
      .first_i    (first),
      .last_i     (in_q.last),
      .data_i     (data),
      .sum_valid_o(beat_sum_valid),
      .sum_o      (beat_sum)
    );

    ps_fifo #(
      .Width(16),
      .Depth(WindowDepth),
      .Style("distributed")
    ) u_sums (
      .clk_i,
      .rst_i,
      .wvalid_i(beat_sum_valid),
      .wready_o(sum_room),
      .wdata_i (beat_sum),
      .rvalid_o(sum_valid),
      .rready_i(window_ready_i && window_valid_o),
      .rdata_o (sum),
      .count_o (sums_stored)
    );
`ifndef SYNTHESIS
    a_sum_room : assert property (@(posedge clk_i) disable iff (rst_i) beat_sum_valid |-> sum_room);
    a_sum_after : assert property (@(posedge clk_i) disable iff (rst_i) sums_stored <= windows_stored);
`else
    logic unused_count;
    assign unused_count = ^sums_stored;
`endif
  end else begin : g_no_sum
    assign sum       = '0;
    assign sum_valid = 1'b1;
    assign sum_room  = 1'b1;
  end

  always_comb begin
    window_o     = window;
    window_o.sum = sum;
  end

  assign window_valid_o = window_valid && sum_valid;

  // The margins make room a certainty.
  logic unused_room;
  assign unused_room = ^{beat_room, window_room, sum_room};

`ifndef SYNTHESIS
  a_beat_room : assert property (@(posedge clk_i) disable iff (rst_i) push_beat |-> beat_room);
  a_window_room : assert property (@(posedge clk_i) disable iff (rst_i) window_valid_q |-> window_room);
`endif

endmodule
