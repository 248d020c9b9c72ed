// Checker of the stream contract (simulation and formal only).
//
// valid sticks with a stable payload until ready; keep is contiguous from byte 0, full but on the last beat;
// the side band (tuser, metadata) of a frame is stable too while its first beat waits.
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
  logic first_q;

  always_ff @(posedge clk_i) begin
    if (rst_i) first_q <= 1'b1;
    else if (valid_i && ready_i) first_q <= last_i;
  end

  a_sticky : assert property (@(posedge clk_i) disable iff (rst_i) valid_i && !ready_i |=> valid_i);
  a_stable : assert property (@(posedge clk_i) disable iff (rst_i)
      valid_i && !ready_i |=> $stable(data_i) && $stable(keep_i) && $stable(last_i));
  a_user : assert property (@(posedge clk_i) disable iff (rst_i)
      valid_i && !ready_i && first_q |=> $stable(user_i));
  a_contiguous : assert property (@(posedge clk_i) disable iff (rst_i)
      valid_i |-> keep_i[0] && (keep_i & (keep_i + 1'b1)) == '0);
  a_full : assert property (@(posedge clk_i) disable iff (rst_i) valid_i && !last_i |-> &keep_i);
`endif
endmodule
