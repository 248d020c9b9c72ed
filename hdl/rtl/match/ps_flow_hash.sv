// flow_hash: 96 bits of a flow key under the card's secret, by which rows and fingerprints are chosen (datapath.md, section 5).
//
// Function:   the key, zero-extended, is eight 16-bit words m0 to m7, the secret twelve k0 to k11. Three sums, j = 0 to 2:
//               s_j = sum over i = 0..3 of ((m[2i] + k[2i+2j]) mod 2^16) * ((m[2i+1] + k[2i+1+2j]) mod 2^16), mod 2^32
//             (NH of UMAC, RFC 4418, with its key shifted by two words for each further sum), and then bit b of the result is
//             the parity of {s_2, s_1, s_0} & FlowMix[b]. Who does not know the secret cannot choose keys that meet: a sum of two given
//             keys is the same for 2^-16 of all secrets at most.
// Latency:    HashCycles (5), a key every cycle: add, multiply, add, add, mix. No valid: it stands as long after the key.
// Secret:     stands still while keys are hashed (it is taken over when the tables are cleared).
module ps_flow_hash
  import ps_abi_pkg::*;
  import ps_match_pkg::*;
  import ps_pair_pkg::*;
(
  input  logic         clk_i,
  input  logic [191:0] secret_i,
  input  flow_key_t    key_i,
  output flow_hash_t   hash_o
);

  localparam int unsigned Sums = 3;

  logic [7:0][15:0]  word;
  logic [11:0][15:0] secret;
  logic [31:0]       sum_q [Sums];
  logic [95:0]       sums;

  assign word   = 128'(key_i);
  assign secret = secret_i;

  for (genvar j = 0; j < Sums; j++) begin : gen_sum
    logic [15:0] even_q [4], odd_q [4];
    logic [31:0] product_q [4], half_q [2];

    always_ff @(posedge clk_i) begin
      for (int unsigned i = 0; i < 4; i++) begin
        even_q[i]    <= word[2*i] + secret[2*i+2*j];
        odd_q[i]     <= word[2*i+1] + secret[2*i+1+2*j];
        product_q[i] <= even_q[i] * odd_q[i];
      end
      half_q[0] <= product_q[0] + product_q[1];
      half_q[1] <= product_q[2] + product_q[3];
      sum_q[j]  <= half_q[0] + half_q[1];
    end

    assign sums[32*j +: 32] = sum_q[j];
  end

  always_ff @(posedge clk_i) begin
    for (int unsigned b = 0; b < 96; b++) hash_o[b] <= ^(sums & FlowMix[b]);
  end

`ifndef SYNTHESIS
  initial assert (HashCycles == 5 && $bits(flow_hash_t) == 96) else $fatal(1, "ps_flow_hash: stages and HashCycles differ");
`endif

endmodule
