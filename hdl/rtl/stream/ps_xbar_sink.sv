// One output of the crossbar: takes whole frames from three sources in turn.
//
// Handshake:  s_ready_o follows from the requests and registers only; the output is registered in both
//             directions (two beats), so that no ready runs through from the sink.
// Latency:    1 cycle; one beat every cycle, also from one frame to the next of another source.
// Arbitration: round robin at the head of a frame, then held until its last beat.
module ps_xbar_sink
  import ps_stream_pkg::*;
(
  input  logic         clk_i,
  input  logic         rst_i,
  input  logic [2:0]   s_valid_i,      // beats for this sink
  output logic [2:0]   s_ready_o,
  input  routed_beat_t s_i [3],
  output logic         m_valid_o,
  input  logic         m_ready_i,
  output routed_beat_t m_o
);

  logic [2:0]   pick, grant, held_q;
  logic         locked_q, take, last;
  logic         out_valid_q, hold_valid_q, out_free;
  routed_beat_t out_q, hold_q;

  assign grant     = locked_q ? held_q & s_valid_i : pick;
  assign take      = grant != '0 && !hold_valid_q;
  assign s_ready_o = hold_valid_q ? '0 : grant;
  assign last      = (grant[0] && s_i[0].beat.last) || (grant[1] && s_i[1].beat.last) ||
                     (grant[2] && s_i[2].beat.last);
  assign out_free  = !out_valid_q || m_ready_i;
  assign m_valid_o = out_valid_q;
  assign m_o       = out_q;

  ps_arb_rr #(
    .Count(3)
  ) u_arb (
    .clk_i,
    .rst_i,
    .req_i    (s_valid_i),
    .advance_i(take && !locked_q),
    .grant_o  (pick)
  );

  always_ff @(posedge clk_i) begin
    if (out_free) begin
      if (hold_valid_q) out_q <= hold_q;
      else if (grant[0]) out_q <= s_i[0];
      else if (grant[1]) out_q <= s_i[1];
      else if (grant[2]) out_q <= s_i[2];
    end else if (take) begin
      if (grant[0]) hold_q <= s_i[0];
      else if (grant[1]) hold_q <= s_i[1];
      else hold_q <= s_i[2];
    end
    if (rst_i) begin
      locked_q     <= 1'b0;
      held_q       <= '0;
      out_valid_q  <= 1'b0;
      hold_valid_q <= 1'b0;
    end else begin
      if (take) begin
        locked_q <= !last;
        held_q   <= grant;
      end
      if (out_free) begin
        out_valid_q  <= hold_valid_q || take;
        hold_valid_q <= 1'b0;
      end else if (take) begin
        hold_valid_q <= 1'b1;
      end
    end
  end

endmodule
