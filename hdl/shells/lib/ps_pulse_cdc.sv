// Carries pulses into another clock domain. Pulses that come while one is on its way join into one more.
//
// Contract:   each pulse is followed by at least one pulse of q_o; none is lost, none comes from nothing.
// Latency:    3 cycles of dst_clk_i; a round trip (3 of each) until the next can follow.
// Reset:      both resets must overlap; pulses under way are lost.
module ps_pulse_cdc (
  input  logic src_clk_i,
  input  logic src_rst_i,
  input  logic d_i,
  input  logic dst_clk_i,
  input  logic dst_rst_i,
  output logic q_o
);

  logic waits_q, req_q, req, seen_q, ack;

  ps_sync u_req (
    .clk_i(dst_clk_i),
    .d_i  (req_q),
    .q_o  (req)
  );

  ps_sync u_ack (
    .clk_i(src_clk_i),
    .d_i  (seen_q),
    .q_o  (ack)
  );

  always_ff @(posedge src_clk_i) begin
    if (src_rst_i) begin
      waits_q <= 1'b0;
      req_q   <= 1'b0;
    end else if (req_q == ack && (waits_q || d_i)) begin
      waits_q <= 1'b0;
      req_q   <= !req_q;
    end else if (d_i) begin
      waits_q <= 1'b1;
    end
  end

  always_ff @(posedge dst_clk_i) begin
    if (dst_rst_i) begin
      seen_q <= 1'b0;
      q_o    <= 1'b0;
    end else begin
      seen_q <= req;
      q_o    <= req != seen_q;
    end
  end

endmodule
