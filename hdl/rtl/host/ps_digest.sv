// Running CRC-64/XZ over 32-bit words, for the digests of tables (crate penstock-abi, module digest).
//
// Contract:   load_i sets the CRC to crc_i, which is 0 or what an earlier run ended with; a word that is offered then is not
//             taken. A word is taken when word_valid_i and word_ready_o are both set. crc_o holds what was taken, with
//             word_ready_o.
// Latency:    a word every other cycle: first the word is added to the register's low half, and what the 32 shifts make of the sum is
//             worked out by groups of its bits; then the groups are joined.
// Reset:      nothing to be taken is in progress; crc_o is undefined until load_i.
module ps_digest
  import ps_abi_pkg::*;
(
  input  logic        clk_i,
  input  logic        rst_i,

  input  logic        load_i,
  input  logic [63:0] crc_i,

  input  logic        word_valid_i,
  input  logic [31:0] word_i,
  output logic        word_ready_o,
  output logic [63:0] crc_o
);

  localparam int unsigned GroupBits = 8;
  localparam int unsigned Groups    = 32 / GroupBits;

  logic [31:0]             sum;
  logic [63:0]             register_q, step;
  logic [63:0][Groups-1:0] part_q;       // of each bit of the step
  logic                    added_q;

  assign sum = register_q[31:0] ^ word_i;

  // 32 shifts of a register that holds only its low half.
  always_comb for (int i = 0; i < 64; i++) step[i] = ^part_q[i];

  always_ff @(posedge clk_i) begin
    if (word_valid_i && !added_q) begin
      for (int i = 0; i < 64; i++) begin
        for (int unsigned g = 0; g < Groups; g++) part_q[i][g] <= ^(sum[g*GroupBits +: GroupBits] & DigestMasks[i][g*GroupBits +: GroupBits]);
      end
    end
    if (added_q) register_q <= {32'd0, register_q[63:32]} ^ step;
    added_q <= !added_q && word_valid_i;
    // A CRC begins and ends with all ones.
    if (load_i) register_q <= ~crc_i;
    if (load_i || rst_i) added_q <= 1'b0;
  end

  assign word_ready_o = !added_q;
  assign crc_o        = ~register_q;

endmodule
