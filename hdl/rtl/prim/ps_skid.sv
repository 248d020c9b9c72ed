// Two-word buffer that registers a stream in both directions.
//
// Handshake:  ready_o, valid_o and data_o are registers; data_o is stable while valid_o waits.
// Latency:    1 cycle; one word every cycle.
// Reset:      rst_i empties it; the words themselves are not reset.
module ps_skid #(
  parameter int unsigned Width = 32
) (
  input  logic             clk_i,
  input  logic             rst_i,
  input  logic             valid_i,
  output logic             ready_o,
  input  logic [Width-1:0] data_i,
  output logic             valid_o,
  input  logic             ready_i,
  output logic [Width-1:0] data_o
);

  logic [Width-1:0] out_q, hold_q;
  logic             out_valid_q, hold_valid_q;

  assign ready_o = !hold_valid_q;
  assign valid_o = out_valid_q;
  assign data_o  = out_q;

  always_ff @(posedge clk_i) begin
    if (!out_valid_q || ready_i) begin
      if (hold_valid_q) out_q <= hold_q;
      else if (valid_i) out_q <= data_i;
    end else if (valid_i && !hold_valid_q) begin
      hold_q <= data_i;
    end
    if (rst_i) begin
      out_valid_q  <= 1'b0;
      hold_valid_q <= 1'b0;
    end else if (!out_valid_q || ready_i) begin
      out_valid_q  <= hold_valid_q || valid_i;
      hold_valid_q <= 1'b0;
    end else if (valid_i) begin
      hold_valid_q <= 1'b1;
    end
  end

`ifndef SYNTHESIS
  a_stable : assert property (@(posedge clk_i) disable iff (rst_i)
                              valid_o && !ready_i |=> valid_o && $stable(data_o));
`endif

endmodule
