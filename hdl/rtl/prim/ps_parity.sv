// Parity of a word, in two steps that fit between registers: sums of parts, and, as these stand, the whole.
//
// Contract:   valid_i/data_i every cycle; odd_o in the cycle after, combinational out of registers: whether an odd number of bits is
//             set. It holds until the next valid_i. What odd_o says a word is stored with in front of it, the two together are even.
// Reset:      none; undefined until the first word.
module ps_parity #(
  parameter int unsigned Width = 32
) (
  input  logic             clk_i,
  input  logic             valid_i,
  input  logic [Width-1:0] data_i,
  output logic             odd_o
);

  // What two levels of logic can add up, in parts of one size.
  localparam int unsigned PartMax  = 36;
  localparam int unsigned Parts    = (Width + PartMax - 1) / PartMax;
  localparam int unsigned PartBits = (Width + Parts - 1) / Parts;

  logic [Parts-1:0] sums;

  for (genvar p = 0; p < Parts; p++) begin : gen_part
    localparam int unsigned From = p * PartBits;
    localparam int unsigned Bits = From + PartBits <= Width ? PartBits : Width - From;
    logic sum, sum_q;

    ps_xor_tree #(
      .Width(Bits)
    ) u_sum (
      .data_i(data_i[From +: Bits]),
      .odd_o (sum)
    );

    always_ff @(posedge clk_i) begin
      if (valid_i) sum_q <= sum;
    end

    assign sums[p] = sum_q;
  end

  assign odd_o = ^sums;

endmodule
