// Carries out the plan of each frame on its beats: edits, one realignment, the new header, the new length.
//
//   N    next beat, edited
//   C    current beat k, with beat k-1 beside it
//   out  output beat k: `shift` bytes into {C, k-1} (the frame grows in front) or {N, C}; the header over beat 0;
//        cut at the new length, bytes beyond tkeep are 0
// Handshake:  registered output; ready runs backwards through the three stages, never to a valid.
// Latency:    3 cycles, first beat in to first beat out.
// Rate:       one input beat a cycle. A frame that grows by a beat costs one cycle more, one to be dropped a cycle a beat.
// Worked example: 64 bytes, strip 14, MPLSoUDP: 46 + 50 bytes; delta = 32, so `grow`, shift 32: beat 0 is the header and
// bytes 14 to 31, then one more cycle gives beat 1, bytes 32 to 63.
module ps_realign
  import ps_types_pkg::*;
  import ps_stream_pkg::*;
(
  input  logic         clk_i,
  input  logic         rst_i,

  input  logic         plan_valid_i,   // held for all beats of the frame
  output logic         plan_ready_o,   // with its last beat
  input  plan_t        plan_i,
  input  logic         beat_valid_i,
  output logic         beat_ready_o,
  input  raw_beat_t    beat_i,

  output logic         m_valid_o,
  input  logic         m_ready_i,
  output routed_beat_t m_o,

  output logic         drop_o          // pulse: a frame has been discarded
);

  // E: edits, between the queue and N
  logic         take, first_q;
  logic [1:0]   index_q;               // beat 0, 1, beyond
  logic [31:0]  edit_en;

  // N
  logic         nxt_valid_q, nxt_first_q, nxt_last_q, nxt_free;
  logic [511:0] nxt_q;
  frame_plan_t  nxt_frame_q;

  // C
  logic         cur_valid_q, cur_last_q, cur_head_q, flush_q;
  logic         load, step, start_flush, leave;
  logic [511:0] cur_q, prev_q;
  logic [15:0]  rem_q;                 // bytes of the frame still to leave
  frame_plan_t  cur_frame_q;

  // out
  logic         out_valid_q, out_free, emit, out_last;
  routed_beat_t out_q;
  logic         head;
  logic [5:0]   cut;
  logic [511:0] low, high;

  // E
  assign nxt_free     = !nxt_valid_q || load;
  assign beat_ready_o = plan_valid_i && (plan_i.drop || nxt_free);
  assign take         = beat_valid_i && beat_ready_o;
  assign plan_ready_o = take && beat_i.last;
  assign drop_o       = plan_ready_o && plan_i.drop;

  assign edit_en = index_q == 2'd0 ? plan_i.edit_en[31:0] : index_q == 2'd1 ? plan_i.edit_en[63:32] : '0;

  function automatic logic [511:0] edited(input logic [511:0] data, input logic [511:0] edit, input logic [31:0] en);
    edited = data;
    for (int w = 0; w < 32; w++) if (en[w]) edited[16*w+:16] = edit[16*w+:16];
  endfunction

  always_ff @(posedge clk_i) begin
    if (take && !plan_i.drop) begin
      if (edit_en == '0) nxt_q <= beat_i.data;
      else if (index_q[0]) nxt_q <= edited(beat_i.data, plan_i.edit[1023:512], edit_en);
      else nxt_q <= edited(beat_i.data, plan_i.edit[511:0], edit_en);
      nxt_last_q  <= beat_i.last;
      nxt_first_q <= first_q;
      if (first_q) nxt_frame_q <= plan_i.frame;
    end
    if (rst_i) begin
      first_q     <= 1'b1;
      index_q     <= '0;
      nxt_valid_q <= 1'b0;
    end else begin
      if (take) begin
        first_q <= beat_i.last;
        index_q <= beat_i.last ? '0 : {index_q[1] | index_q[0], index_q[1] | ~index_q[0]};
      end
      if (nxt_free) nxt_valid_q <= take && !plan_i.drop;
    end
  end

  // C: a beat leaves once its successor is there to lend bytes; the last one stays for a second step if bytes remain
  assign out_free    = !out_valid_q || m_ready_i;
  assign step        = cur_valid_q && out_free && (cur_last_q || nxt_valid_q);
  assign start_flush = cur_last_q && !flush_q && rem_q > 16'd64;
  assign leave       = step && !start_flush;
  assign load        = nxt_valid_q && (!cur_valid_q || leave);

  always_ff @(posedge clk_i) begin
    if (load) begin
      cur_q      <= nxt_q;
      cur_last_q <= nxt_last_q;
      if (nxt_first_q) cur_frame_q <= nxt_frame_q;
    end
    if (step && cur_frame_q.grow) prev_q <= cur_q;
    if (load && nxt_first_q) rem_q <= nxt_frame_q.out_len;
    else if (step) rem_q <= out_last ? '0 : rem_q - 16'd64;
    if (load) cur_head_q <= nxt_first_q;
    else if (step) cur_head_q <= 1'b0;
    if (rst_i) begin
      cur_valid_q <= 1'b0;
      flush_q     <= 1'b0;
    end else begin
      if (load) cur_valid_q <= 1'b1;
      else if (leave) cur_valid_q <= 1'b0;
      if (step) flush_q <= start_flush;
    end
  end

  // out
  assign emit     = step && rem_q != '0;
  assign out_last = rem_q <= 16'd64;

  // `shift` bytes into the pair, the header over the first beat, nothing beyond the last byte
  function automatic logic [511:0] finished(input logic [511:0] from, input logic [511:0] next,
                                            input logic [5:0] shift, input logic lay, input encap_e encap,
                                            input logic [HeaderBits-1:0] header, input logic [5:0] bytes);
    finished = 512'({next, from} >> {shift, 3'b0});
    if (lay) begin
      unique case (encap)
        EncapUdp: finished[0+:8*46] = header;
        EncapGre: finished[0+:8*42] = header[0+:8*42];
        default:  finished[0+:8*14] = header[0+:8*14];
      endcase
    end
    if (bytes != '0) finished &= ~({512{1'b1}} << {bytes, 3'b0});
  endfunction

  assign head = cur_head_q && !cur_frame_q.raw;
  assign cut  = out_last ? rem_q[5:0] : '0;

  always_comb begin
    low  = cur_q;
    high = nxt_q;
    if (cur_frame_q.grow) begin
      low  = prev_q;
      high = cur_q;
    end
  end

  always_ff @(posedge clk_i) begin
    if (emit) begin
      out_q.route     <= cur_frame_q.route;
      out_q.beat.last <= out_last;
      out_q.beat.keep <= cut == '0 ? '1 : ~({64{1'b1}} << cut);
      out_q.beat.data <= finished(low, high, cur_frame_q.shift, head, cur_frame_q.encap, cur_frame_q.header, cut);
    end
    if (rst_i) out_valid_q <= 1'b0;
    else if (out_free) out_valid_q <= emit;
  end

  logic unused_len;
  assign unused_len = ^cur_frame_q.out_len;  // counted down in rem_q

  assign m_valid_o = out_valid_q;
  assign m_o       = out_q;

`ifndef SYNTHESIS
  // The queue holds whole frames, so a frame that has begun is never short of beats for long; none leaves bytes behind.
  a_no_rest : assert property (@(posedge clk_i) disable iff (rst_i)
      leave && cur_last_q |-> out_last);
  a_begin : assert property (@(posedge clk_i) disable iff (rst_i)
      load && nxt_first_q |-> nxt_frame_q.out_len != '0);
`endif

endmodule
