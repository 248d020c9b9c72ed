// Rows of a client in the table Affinity: a row of each way, of the client's address under the card's secret and the service's number.
//
// Function:   the client's two 16-bit words m0 and m1, the secret k0 to k5: s_j = ((m0 + k[2j]) mod 2^16) * ((m1 + k[2j+1]) mod 2^16), j = 0 to
//             2, and bits of the result as ps_flow_hash mixes them; exclusive-or what KeyMasks makes of the number. So who does not know
//             the secret cannot choose clients that meet, and a number may come late.
// Latency:    client_valid_i/client_i, number_i ClientHashCycles (3) later, rows_o the cycle after that; one every cycle.
// Secret:     stands still while clients are hashed.
module ps_affinity_rows
  import ps_abi_pkg::*;
  import ps_match_pkg::*;
(
  input  logic         clk_i,
  input  logic [191:0] secret_i,
  input  logic         client_valid_i,
  input  logic [31:0]  client_i,
  input  affinity_number_t number_i,
  output logic [AffinityWays-1:0][AffinityRowsLog2-1:0] rows_o
);

  localparam int unsigned Sums    = 3;
  localparam int unsigned RowBits = AffinityWays * AffinityRowsLog2;

  logic [11:0][15:0]     secret;
  logic [Sums-1:0][31:0] product_q;
  logic [3:1]            valid_q;
  logic [RowBits-1:0]    number, client_q;

  assign secret = secret_i;

  for (genvar j = 0; j < Sums; j++) begin : gen_sum
    logic [15:0] low_q, high_q;

    always_ff @(posedge clk_i) begin
      if (client_valid_i) begin
        low_q  <= client_i[15:0] + secret[2*j];
        high_q <= client_i[31:16] + secret[2*j+1];
      end
      if (valid_q[1]) product_q[j] <= low_q * high_q;
    end
  end

  ps_xor_tree #(
    .Width($bits(affinity_number_t)),
    .Trees(RowBits),
    .Masks(KeyMasks[RowBits-1:0])
  ) u_number (
    .data_i(number_i),
    .odd_o (number)
  );

  always_ff @(posedge clk_i) begin
    valid_q <= {valid_q[2:1], client_valid_i};
    if (valid_q[2]) begin
      for (int unsigned b = 0; b < RowBits; b++) begin
        client_q[b] <= ^(product_q & FlowMix[b / AffinityRowsLog2 * FlowRowBits + b % AffinityRowsLog2]);
      end
    end
    if (valid_q[3]) rows_o <= client_q ^ number;
  end

  logic unused_bits;
  assign unused_bits = ^secret[11:2*Sums];

`ifndef SYNTHESIS
  initial assert (AffinityRowsLog2 <= FlowRowBits && RowBits <= 64 && ClientHashCycles == 3)
    else $fatal(1, "ps_affinity_rows: no hash has so many bits");
`endif

endmodule
