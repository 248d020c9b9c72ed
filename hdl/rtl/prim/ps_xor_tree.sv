// Parities of one word's bits under masks, each of them sums of six bits, as a LUT takes them, and their sum.
//
// Contract:   combinational. odd_o[i]: an odd number of the bits of data_i & Masks[i] is set.
// Logic:      the sums are kept as nets. Without, an optimiser makes up to six levels of what the masks, or other words' parities, have
//             in common.
module ps_xor_tree #(
  parameter int unsigned Width = 32,
  parameter int unsigned Trees = 1,
  parameter logic [Trees-1:0][127:0] Masks = '1
) (
  input  logic [Width-1:0] data_i,
  output logic [Trees-1:0] odd_o
);

  localparam int unsigned SumBits = 6;    // the inputs of a LUT
  localparam int unsigned Sums    = (Width + SumBits - 1) / SumBits;

  // Of a mask the bits that its sum number `sum` adds up: six, beginning with the lowest.
  function automatic logic [Width-1:0] part_of(input logic [Width-1:0] mask, input int unsigned sum);
    int unsigned below;
    below  = 0;
    part_of = '0;
    for (int unsigned b = 0; b < Width; b++) begin
      if (mask[b]) begin
        part_of[b] = below / SumBits == sum;
        below++;
      end
    end
  endfunction

  for (genvar t = 0; t < Trees; t++) begin : gen_tree
    logic [Sums-1:0] sums;

    for (genvar s = 0; s < Sums; s++) begin : gen_sum
      localparam logic [Width-1:0] Part = part_of(Masks[t][Width-1:0], s);
      (* keep *) logic sum;

      assign sum     = ^(data_i & Part);
      assign sums[s] = sum;
    end

    assign odd_o[t] = ^sums;
  end

`ifndef SYNTHESIS
  initial assert (Width <= 128) else $fatal(1, "ps_xor_tree: its masks have 128 bits");
`endif

endmodule
