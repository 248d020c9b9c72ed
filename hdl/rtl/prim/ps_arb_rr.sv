// Round-robin arbiter.
//
// grant_o is one-hot (or 0 without requests) and combinational. After a cycle with advance_i the requesters
// above the granted one go first, then the others from 0 up, so that none waits more than Count - 1 turns.
module ps_arb_rr #(
  parameter int unsigned Count = 2
) (
  input  logic             clk_i,
  input  logic             rst_i,
  input  logic [Count-1:0] req_i,
  input  logic             advance_i,
  output logic [Count-1:0] grant_o
);

  logic [Count-1:0] first_q;  // requesters above the last one granted
  logic [Count-1:0] pool;

  assign pool    = (req_i & first_q) != '0 ? (req_i & first_q) : req_i;
  assign grant_o = pool & (~pool + 1'b1);

  always_ff @(posedge clk_i) begin
    if (rst_i) first_q <= '0;
    else if (advance_i) first_q <= ~((grant_o - 1'b1) | grant_o);
  end

`ifndef SYNTHESIS
  a_onehot : assert property (@(posedge clk_i) disable iff (rst_i) $onehot0(grant_o));
  a_answer : assert property (@(posedge clk_i) disable iff (rst_i) (req_i != '0) == (grant_o != '0));
`endif

endmodule
