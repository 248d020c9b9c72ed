// Carries out the steps of one port's frames on their beats: one realignment, the new header and the edits, the new length.
//
//   N   the step's beat, out of the packet memory
//   C   beat k; it leaves with its successor in N, which lends it bytes, and a frame's last beat alone
//   X1  of the pair {C, k-1} (the frame grows in front) or {N, C}: a quarter of the shift, in units of eight words
//   X2  the rest of the shift; the bytes that count
//   X3  header and edits laid over output beats 0 and 1; bytes beyond tkeep are 0
// Handshake:  none. ps_steps has seen room for all that a step makes.
// Latency:    step_valid_i -> m_valid_o 6 cycles; beat_i is BeatCycles - 1 cycles behind its step; overlay_i OverlayCycles
//             behind overlay_read_o, and holds; a beat is announced (head_valid_o) two cycles before it is there.
// Rate:       one step a cycle. A frame that grows by a beat has one step more than it has beats.
// Worked example: 64 bytes, strip 14, MPLSoUDP: 46 + 50 bytes; delta = 32, so `grow`, shift 16 words: beat 0 is the header and
// bytes 14 to 31, then one more step gives beat 1, bytes 32 to 63.
module ps_realign
  import ps_types_pkg::*;
  import ps_stream_pkg::*;
(
  input  logic             clk_i,
  input  logic             rst_i,

  input  logic             step_valid_i,
  input  step_t            step_i,
  input  logic [511:0]     beat_i,

  output logic             overlay_read_o, // of the next frame
  input  overlay_t         overlay_i,

  output logic [Sinks-1:0] head_valid_o,   // announces a beat
  output logic             head_last_o,
  output logic [Sinks-1:0] m_valid_o,
  output routed_beat_t     m_o
);

  localparam int unsigned Words = BeatBits / 16;
  localparam int unsigned Unit = 8;                    // words, of the first part of the shift
  localparam int unsigned PairWords = Words + Unit - 1;

  // N
  logic         nxt_valid_q;
  step_t        nxt_step_q;

  // C
  logic         cur_waits_q, emit, emit_live;
  step_t        cur_step_q;
  logic [511:0] cur_q, prev_q;

  // X1
  logic                    x1_valid_q, x1_head_q, x1_second_q, x1_last_q;
  logic [Sinks-1:0]        x1_dst_q;
  logic [2:0]              x1_shift_q;
  logic [5:0]              x1_top_q;   // the last byte that counts
  logic [16*PairWords-1:0] x1_q;

  // X2
  logic             x2_valid_q, x2_head_q, x2_second_q, x2_last_q;
  logic [Sinks-1:0] x2_dst_q;
  logic [63:0]      x2_keep_q;
  logic [511:0]     x2_q;

  // X3
  logic [Sinks-1:0] x3_valid_q;
  routed_beat_t     x3_q;

  assign emit      = cur_waits_q && (cur_step_q.last || nxt_valid_q);
  assign emit_live = emit && cur_step_q.live;

  always_ff @(posedge clk_i) begin
    if (step_valid_i) nxt_step_q <= step_i;
    if (nxt_valid_q) begin
      cur_step_q <= nxt_step_q;
      cur_q      <= beat_i;
      if (nxt_step_q.grow) prev_q <= cur_q;
    end
    if (rst_i) begin
      nxt_valid_q <= 1'b0;
      cur_waits_q <= 1'b0;
    end else begin
      nxt_valid_q <= step_valid_i;
      cur_waits_q <= nxt_valid_q || (cur_waits_q && !emit);
    end
  end

  assign overlay_read_o = emit_live && cur_step_q.head;

  // Half of the pair each: what comes first, and what comes behind it
  function automatic logic [16*PairWords-1:0] shifted_units(input logic [511:0] from, input logic [511:0] next,
                                                            input logic [1:0] units);
    // By cases, as a simulator shifts so wide a word by a variable slowly.
    unique case (units)
      2'd0: shifted_units = (16 * PairWords)'({next, from});
      2'd1: shifted_units = (16 * PairWords)'({next, from} >> 128);
      2'd2: shifted_units = (16 * PairWords)'({next, from} >> 256);
      2'd3: shifted_units = (16 * PairWords)'({next, from} >> 384);
    endcase
  endfunction

  function automatic logic [511:0] shifted_words(input logic [16*PairWords-1:0] from, input logic [2:0] words);
    logic [16*PairWords-1:0] by_fours, by_twos;
    // A bit of the shift after the other: of cases, synthesis would decode the shift for all of the beat's bits at once.
    by_fours      = words[2] ? from >> 64 : from;
    by_twos       = words[1] ? by_fours >> 32 : by_fours;
    shifted_words = 512'(words[0] ? by_twos >> 16 : by_twos);
  endfunction

  // Whether a byte is not behind the last; in two parts, of which nothing is shared between bytes that would cost levels
  function automatic logic reaches(input logic [5:0] top, input logic [5:0] index);
    reaches = top[5:3] > index[5:3] || (top[5:3] == index[5:3] && top[2:0] >= index[2:0]);
  endfunction

  // Each byte that counts, from the header and the edits if they have its word, else from the frame
  function automatic logic [511:0] finished(input logic [511:0] from, input logic [511:0] over, input logic [Words-1:0] en,
                                            input logic [63:0] keep);
    for (int b = 0; b < BeatBytes; b++) begin
      finished[8*b+:8] = keep[b] ? (en[b/2] ? over[8*b+:8] : from[8*b+:8]) : '0;
    end
  endfunction

  // What is loaded while C waits is replaced until it leaves; only x1_valid_q says that it has.
  always_ff @(posedge clk_i) begin
    if (cur_waits_q) begin
      if (cur_step_q.grow) x1_q <= shifted_units(prev_q, cur_q, cur_step_q.shift[4:3]);
      else x1_q <= shifted_units(cur_q, beat_i, cur_step_q.shift[4:3]);
      x1_head_q   <= cur_step_q.head;
      x1_second_q <= cur_step_q.second;
      x1_last_q   <= cur_step_q.out_last;
      x1_dst_q    <= cur_step_q.dst;
      x1_shift_q  <= cur_step_q.shift[2:0];
      x1_top_q    <= cur_step_q.out_last ? cur_step_q.tail - 1'b1 : '1;
    end
    if (x1_valid_q) begin
      x2_q        <= shifted_words(x1_q, x1_shift_q);
      x2_head_q   <= x1_head_q;
      x2_second_q <= x1_second_q;
      x2_last_q   <= x1_last_q;
      x2_dst_q    <= x1_dst_q;
      for (int b = 0; b < BeatBytes; b++) x2_keep_q[b] <= reaches(x1_top_q, 6'(b));
    end
    if (x2_valid_q) begin
      if (x2_head_q) x3_q.beat.data <= finished(x2_q, overlay_i.words[511:0], overlay_i.en[31:0], x2_keep_q);
      else if (x2_second_q) x3_q.beat.data <= finished(x2_q, overlay_i.words[1023:512], overlay_i.en[63:32], x2_keep_q);
      else x3_q.beat.data <= finished(x2_q, '0, '0, x2_keep_q);
      x3_q.beat.keep <= x2_keep_q;
      x3_q.beat.last <= x2_last_q;
      x3_q.side      <= overlay_i.side;
    end
    if (rst_i) begin
      x1_valid_q <= 1'b0;
      x2_valid_q <= 1'b0;
      x3_valid_q <= '0;
    end else begin
      x1_valid_q <= emit_live;
      x2_valid_q <= x1_valid_q;
      x3_valid_q <= x2_valid_q ? x2_dst_q : '0;
    end
  end

  assign head_valid_o = x1_valid_q ? x1_dst_q : '0;
  assign head_last_o  = x1_last_q;
  assign m_valid_o    = x3_valid_q;
  assign m_o          = x3_q;

`ifndef SYNTHESIS
  // Nothing is lost in C: what is replaced there has left.
  a_left : assert property (@(posedge clk_i) disable iff (rst_i) nxt_valid_q && cur_waits_q |-> emit);
`endif

endmodule
