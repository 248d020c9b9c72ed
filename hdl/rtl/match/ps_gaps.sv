// Asks for cycles without a header, for those that need a port that packets have.
//
// In:          host_i, walk_i: one waits (any number of cycles). flight_i: there are packets, without which nobody needs to ask.
// Out:         gap_o (pulse): one cycle without a header, please. For the host one every 16 cycles, as long as it waits and for Linger
//              cycles after that: what it asked for comes when a header's way is over, some 50 cycles later, and the host's next access
//              is to find one there. For a walk one every 8 cycles, half of which may be the host's.
// Rate:        15 of 16 cycles are left for headers, 7 of 8 during a walk: 302 and 282 million a second at 322 MHz.
module ps_gaps #(
  parameter int unsigned Linger = 512
) (
  input  logic clk_i,
  input  logic rst_i,
  input  logic host_i,
  input  logic walk_i,
  input  logic flight_i,
  output logic gap_o
);

  logic [$clog2(Linger+1)-1:0] left_q;
  logic [3:0]                  count_q;
  logic                        some_q, walk_q, flight_q;

  always_ff @(posedge clk_i) begin
    walk_q   <= walk_i;
    flight_q <= flight_i;
    some_q   <= left_q != '0;
    if (host_i) left_q <= ($clog2(Linger+1))'(Linger);
    else if (left_q != '0) left_q <= left_q - 1'b1;
    // Of cycles in which somebody would have a gap; it goes on where it was, so that short waits ask for no more than long ones.
    if (some_q || walk_q) count_q <= count_q + 4'd1;
    gap_o   <= flight_q && ((some_q && count_q == '0) || (walk_q && count_q[2:0] == '0));
    if (rst_i) begin
      left_q  <= '0;
      count_q <= '0;
      walk_q  <= 1'b0;
      some_q  <= 1'b0;
      gap_o   <= 1'b0;
    end
  end

endmodule
