// Stores whole frames: tells their length with the first beat, lets none leave with a gap, and, if asked, drops whole
// frames where a source cannot wait.
//
// In:         Lossy = 0: s_ready_o falls when there is no room. Lossy = 1: s_ready_o is always 1, and a frame that does not
//             fit is dropped whole. Either way a frame with s_error_i on its last beat, and one longer than the store, is
//             dropped whole. drop_o pulses once for each.
// Out:        m_size_o (bytes) and m_user_o are valid on all beats; once a frame's first beat shows, its beats follow each
//             other without a gap for as long as m_ready_i is 1. Bytes beyond tkeep are 0.
// Padding:    a frame shorter than MinBytes (at most 64) grows to it with zeros.
// Capacity:   Beats beats and Frames frames (powers of two).
// Latency:    last beat in -> first beat out 4 cycles. One beat a cycle.
// Reset:      rst_i empties it.
module ps_frame_store #(
  parameter int unsigned UserWidth = 1,
  parameter int unsigned Beats     = 256,
  parameter int unsigned Frames    = 64,
  parameter int unsigned MinBytes  = 1,
  parameter bit          Lossy     = 1'b0
) (
  input  logic                 clk_i,
  input  logic                 rst_i,
  input  logic [511:0]         s_data_i,
  input  logic [63:0]          s_keep_i,
  input  logic                 s_last_i,
  input  logic                 s_error_i,    // looked at on the last beat
  input  logic [UserWidth-1:0] s_user_i,     // looked at on the first beat
  input  logic                 s_valid_i,
  output logic                 s_ready_o,
  output logic                 drop_o,

  output logic [511:0]         m_data_o,
  output logic [63:0]          m_keep_o,
  output logic                 m_last_o,
  output logic [15:0]          m_size_o,
  output logic [UserWidth-1:0] m_user_o,
  output logic                 m_valid_o,
  input  logic                 m_ready_i
);

  localparam int unsigned AddrWidth = $clog2(Beats);

  typedef struct packed {
    logic [15:0]          size;
    logic [UserWidth-1:0] user;
  } frame_t;

  // --- In
  // One bit more than the address tells a full store from an empty one.
  logic [AddrWidth:0]   wptr_q, commit_q, rptr_q;
  logic                 first_q, dropping_q, full, take, drop, we, commit;
  logic                 frame_room, frame_valid, frame_ready, hopeless;
  logic [15:0]          size_q, size;
  logic [6:0]           bytes;
  logic [511:0]         data;
  logic [UserWidth-1:0] user_q, user;
  frame_t               frame_in, frame;
  logic [$clog2(Frames)+1:0] frames_stored;

  assign full      = (wptr_q - rptr_q) == (AddrWidth + 1)'(Beats);
  // Full of one frame that has not ended: it will never fit.
  assign hopeless  = full && commit_q == rptr_q;
  assign s_ready_o = Lossy || dropping_q || hopeless || (!full && frame_room);
  assign take      = s_valid_i && s_ready_o;
  // Once something of a frame is missing all of it goes.
  assign drop      = dropping_q || full || !frame_room || (s_last_i && s_error_i);
  assign we        = take && !drop;
  assign commit    = we && s_last_i;

  assign bytes = s_last_i ? 7'($countones(s_keep_i)) : 7'd64;
  assign user  = first_q ? s_user_i : user_q;

  always_comb begin
    size = (first_q ? 16'd0 : size_q) + 16'(bytes);
    data = s_data_i;
    if (s_last_i && !s_keep_i[63]) data = s_data_i & ~({512{1'b1}} << {bytes[5:0], 3'b0});
    if (size < 16'(MinBytes) && s_last_i) size = 16'(MinBytes);
  end

  always_ff @(posedge clk_i) begin
    if (take) begin
      size_q <= size;
      user_q <= user;
    end
    if (rst_i) begin
      wptr_q     <= '0;
      commit_q   <= '0;
      first_q    <= 1'b1;
      dropping_q <= 1'b0;
      drop_o     <= 1'b0;
    end else begin
      drop_o <= take && drop && s_last_i;
      if (take) begin
        first_q    <= s_last_i;
        dropping_q <= drop && !s_last_i;
        if (drop) wptr_q <= commit_q;
        else wptr_q <= wptr_q + 1'b1;
        if (commit) commit_q <= wptr_q + 1'b1;
      end
    end
  end

  assign frame_in.size = size;
  assign frame_in.user = user;

  ps_fifo #(
    .Width($bits(frame_t)),
    .Depth(Frames),
    .Style("distributed")
  ) u_frames (
    .clk_i,
    .rst_i,
    .wvalid_i(commit),
    .wready_o(frame_room),
    .wdata_i (frame_in),
    .rvalid_o(frame_valid),
    .rready_i(frame_ready),
    .rdata_o (frame),
    .count_o (frames_stored)
  );

  // --- Out
  logic re, rvalid_q;

  assign re = commit_q != rptr_q && (!rvalid_q || (m_valid_o && m_ready_i));

  ps_ram_sdp #(
    .Width(513),
    .Depth(Beats),
    .Style("block")
  ) u_beats (
    .clk_i,
    .we_i   (we),
    .waddr_i(wptr_q[AddrWidth-1:0]),
    .wdata_i({s_last_i, data}),
    .re_i   (re),
    .raddr_i(rptr_q[AddrWidth-1:0]),
    .rdata_o({m_last_o, m_data_o})
  );

  always_ff @(posedge clk_i) begin
    if (rst_i) begin
      rptr_q   <= '0;
      rvalid_q <= 1'b0;
    end else begin
      if (re) rptr_q <= rptr_q + 1'b1;
      if (re) rvalid_q <= 1'b1;
      else if (m_valid_o && m_ready_i) rvalid_q <= 1'b0;
    end
  end

  assign m_valid_o   = rvalid_q && frame_valid;
  assign m_size_o    = frame.size;
  assign m_user_o    = frame.user;
  assign m_keep_o    = m_last_o && frame.size[5:0] != 6'd0 ? ~({64{1'b1}} << frame.size[5:0]) : '1;
  assign frame_ready = m_valid_o && m_ready_i && m_last_o;

  logic unused_count;
  assign unused_count = ^frames_stored;

`ifndef SYNTHESIS
  initial begin
    assert (Beats >= 4 && (Beats & (Beats - 1)) == 0) else $fatal(1, "ps_frame_store: Beats is not a power of two");
    assert (MinBytes >= 1 && MinBytes <= 64) else $fatal(1, "ps_frame_store: MinBytes is not within 1..64");
  end
  logic inside_q;
  always_ff @(posedge clk_i) begin
    if (rst_i) inside_q <= 1'b0;
    else if (m_valid_o && m_ready_i) inside_q <= !m_last_o;
  end
  a_gapless : assert property (@(posedge clk_i) disable iff (rst_i) inside_q |-> m_valid_o);
  a_not_over : assert property (@(posedge clk_i) disable iff (rst_i) we |-> !full);
  a_frame_room : assert property (@(posedge clk_i) disable iff (rst_i) commit |-> frame_room);
  a_lossless : assert property (@(posedge clk_i) disable iff (rst_i || Lossy)
                                take && !dropping_q && !hopeless |-> !full && frame_room);
`endif

  ps_stream_sva #(
    .UserWidth(16 + UserWidth)
  ) u_sva (
    .clk_i,
    .rst_i,
    .data_i (m_data_o),
    .keep_i (m_keep_o),
    .last_i (m_last_o),
    .user_i ({m_size_o, m_user_o}),
    .valid_i(m_valid_o),
    .ready_i(m_ready_i)
  );

endmodule
