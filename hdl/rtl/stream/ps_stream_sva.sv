// Checker of the stream contract (simulation and formal only).
//
// valid sticks with a stable payload until ready; keep is contiguous from byte 0, full but on the last beat;
// the side band (tuser, metadata) of a frame is stable too while its first beat waits.
// Written with immediate assertions: a concurrent one would have the simulator sample the payload every cycle.
module ps_stream_sva #(
  parameter int unsigned UserWidth = 1
) (
  input logic                 clk_i,
  input logic                 rst_i,
  input logic [511:0]         data_i,
  input logic [63:0]          keep_i,
  input logic                 last_i,
  input logic [UserWidth-1:0] user_i,
  input logic                 valid_i,
  input logic                 ready_i
);
`ifndef SYNTHESIS
  logic                 first_q, waits_q, last_q;
  logic [511:0]         data_q;
  logic [63:0]          keep_q;
  logic [UserWidth-1:0] user_q;

  always_ff @(posedge clk_i) begin
    if (rst_i) begin
      first_q <= 1'b1;
      waits_q <= 1'b0;
    end else begin
      if (valid_i && ready_i) first_q <= last_i;
      waits_q <= valid_i && !ready_i;
      if (valid_i && !ready_i) begin
        data_q <= data_i;
        keep_q <= keep_i;
        last_q <= last_i;
        user_q <= user_i;
      end

      if (waits_q) begin
        a_sticky : assert (valid_i);
        a_stable : assert (data_i == data_q && keep_i == keep_q && last_i == last_q);
        a_user : assert (!first_q || user_i == user_q);
      end
      if (valid_i) begin
        a_contiguous : assert (keep_i[0] && (keep_i & (keep_i + 1'b1)) == '0);
        a_full : assert (last_i || &keep_i);
      end
    end
  end
`endif
endmodule
