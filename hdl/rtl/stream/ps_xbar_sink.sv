// One output of the crossbar: a queue for each of the three sources, and whole frames out of them in turn.
//
//   A    chooses the source of the next beat, from the announcements of the beats that are queued
//   out  reads it; the output is registered in both directions (two beats), so that no ready runs through from the sink
// Sources:    a beat is announced (head_valid_i, with whether it is the frame's last) up to two cycles before it comes
//             (s_valid_i), or with it. room_o keeps a margin of Margin beats that are on their way when it falls.
// Latency:    announced -> m_valid_o 4 cycles; one beat every cycle, also from one frame to the next of another source.
// Arbitration: round robin at the head of a frame, then held until its last beat.
// A tap on what leaves here belongs behind one more register of m_o (+1 cycle).
module ps_xbar_sink
  import ps_stream_pkg::*;
(
  input  logic             clk_i,
  input  logic             rst_i,
  input  logic [2:0]       head_valid_i,   // for this sink
  input  logic [2:0]       head_last_i,
  input  logic [2:0]       s_valid_i,      // likewise
  input  routed_beat_t     s_i [3],
  output logic [2:0]       room_o,
  output logic             m_valid_o,
  input  logic             m_ready_i,
  output routed_beat_t     m_o,
  output logic             busy_o
);

  localparam int unsigned Margin = 12;
  localparam int unsigned AddrWidth = $clog2(SinkDepth);

  logic [2:0] head_valid, head_last, head_ready, head_room, waits_q, room_q;
  logic [2:0] grant, ends, read_q;   // read_q: the source of the beat to be read
  logic [1:0] turn_q;                // the source granted last
  logic       locked_q;              // its frame has not ended
  logic       choose_q, some, stays; // a source can be chosen; there is one; what was read cannot leave
  logic       out_valid_q, hold_valid_q, out_free;
  // For those who only decide: read_q != 0, and hold_valid_q the other way round, which a synthesiser does not join.
  logic       read_valid_q, open_q;
  routed_beat_t beat, out_q, hold_q;   // beat: what is read
  logic [2:0][AddrWidth-1:0] wptr_q, rptr_q;

  (* ram_style = "distributed" *) routed_beat_t beats0 [SinkDepth];
  (* ram_style = "distributed" *) routed_beat_t beats1 [SinkDepth];
  (* ram_style = "distributed" *) routed_beat_t beats2 [SinkDepth];

  // A
  for (genvar s = 0; s < 3; s++) begin : g_source
    logic [AddrWidth+1:0] waiting;

    ps_fifo #(
      .Width(1),
      .Depth(SinkDepth),
      .Style("distributed")
    ) u_heads (
      .clk_i,
      .rst_i,
      .wvalid_i(head_valid_i[s]),
      .wready_o(head_room[s]),
      .wdata_i (head_last_i[s]),
      .rvalid_o(head_valid[s]),
      .rready_i(head_ready[s]),
      .rdata_o (head_last[s]),
      .count_o (waiting)
    );

    always_ff @(posedge clk_i) begin
      if (rst_i) begin
        room_q[s] <= 1'b0;
        waits_q[s] <= 1'b0;
        wptr_q[s] <= '0;
        rptr_q[s] <= '0;
      end else begin
        waits_q[s] <= waiting != '0;
        room_q[s] <= waiting <= (AddrWidth + 2)'(SinkDepth - Margin);
        if (s_valid_i[s]) wptr_q[s] <= wptr_q[s] + 1'b1;
        if (read_q[s] && open_q) rptr_q[s] <= rptr_q[s] + 1'b1;
      end
    end

`ifndef SYNTHESIS
    a_head_room : assert property (@(posedge clk_i) disable iff (rst_i) head_valid_i[s] |-> head_room[s]);
    a_there : assert property (@(posedge clk_i) disable iff (rst_i) read_q[s] |-> wptr_q[s] != rptr_q[s]);
    a_not_over : assert property (@(posedge clk_i) disable iff (rst_i)
        s_valid_i[s] |-> AddrWidth'(wptr_q[s] + 1'b1) != rptr_q[s]);
`endif
  end

  // The sources behind the one granted last go first. Each bit is of six inputs, a single level.
  always_comb begin
    unique case ({locked_q, turn_q})
      3'b100:  grant = head_valid & 3'b001;
      3'b101:  grant = head_valid & 3'b010;
      3'b110:  grant = head_valid & 3'b100;
      3'b000:  grant = head_valid[1] ? 3'b010 : head_valid[2] ? 3'b100 : head_valid & 3'b001;
      3'b001:  grant = head_valid[2] ? 3'b100 : head_valid[0] ? 3'b001 : head_valid & 3'b010;
      default: grant = head_valid[0] ? 3'b001 : head_valid[1] ? 3'b010 : head_valid & 3'b100;
    endcase
  end

  assign ends       = grant & head_last;
  assign head_ready = choose_q ? grant : '0;

  // out
  always_comb begin
    if (read_q[0]) beat = beats0[rptr_q[0]];
    else if (read_q[1]) beat = beats1[rptr_q[1]];
    else beat = beats2[rptr_q[2]];
  end

  assign some      = grant != '0;
  assign stays     = !out_free && (read_valid_q || !open_q);
  assign out_free  = !out_valid_q || m_ready_i;
  assign room_o    = room_q;
  assign m_valid_o = out_valid_q;
  assign m_o       = out_q;
  assign busy_o    = waits_q != '0 || read_valid_q || out_valid_q;

  always_ff @(posedge clk_i) begin
    if (s_valid_i[0]) beats0[wptr_q[0]] <= s_i[0];
    if (s_valid_i[1]) beats1[wptr_q[1]] <= s_i[1];
    if (s_valid_i[2]) beats2[wptr_q[2]] <= s_i[2];
    // What is loaded without a beat to be read, or also into out_q, is replaced; only the valid bits say that it counts.
    if (!hold_valid_q) hold_q <= beat;
    if (out_free) out_q <= hold_valid_q ? hold_q : beat;
    if (rst_i) begin
      locked_q     <= 1'b0;
      turn_q       <= 2'd2;
      read_q       <= '0;
      read_valid_q <= 1'b0;
      open_q       <= 1'b1;
      choose_q     <= 1'b1;
      out_valid_q  <= 1'b0;
      hold_valid_q <= 1'b0;
    end else begin
      if (choose_q) begin
        if (grant != '0) locked_q <= ends == '0;
        if (grant[0]) turn_q <= 2'd0;
        else if (grant[1]) turn_q <= 2'd1;
        else if (grant[2]) turn_q <= 2'd2;
        read_q       <= grant;
        read_valid_q <= grant != '0;
      end
      choose_q <= !stays || !(choose_q ? some : read_valid_q);
      if (out_free) begin
        out_valid_q  <= !open_q || read_valid_q;
        hold_valid_q <= 1'b0;
        open_q       <= 1'b1;
      end else if (read_valid_q) begin
        hold_valid_q <= 1'b1;
        open_q       <= 1'b0;
      end
    end
  end

  logic unused_room;
  assign unused_room = ^head_room;

`ifndef SYNTHESIS
  a_again : assert property (@(posedge clk_i) disable iff (rst_i) open_q == !hold_valid_q && read_valid_q == (read_q != '0) && choose_q == (!read_valid_q || open_q));
`endif

endmodule
