// Compares the slots of one row with a key.
//
// Latency:    2, a row every cycle. hit: a valid slot has the key. tag: that slot's, 0 without. own: and it is of pair_i.
// A key may stand in two rows of its way's neighbours while it is moved, but never twice in one row (asserted).
module ps_flow_compare
  import ps_abi_pkg::*;
  import ps_match_pkg::*;
  import ps_pair_pkg::*;
(
  input  logic                        clk_i,
  input  key_slot_t [BucketSlots-1:0] word_i,
  input  logic [BucketSlots-1:0]      used_i,
  input  flow_key_t                   key_i,
  input  pair_t                       pair_i,
  output way_found_t                  found_o
);

  // Pieces of a key that are compared in one stage.
  localparam int unsigned PieceBits = 12;
  localparam int unsigned Pieces    = $bits(flow_key_t) / PieceBits;

  logic [BucketSlots-1:0][Pieces-1:0] equal_q;
  logic [BucketSlots-1:0]             used_q, own_q, match;
  slot_tag_t [BucketSlots-1:0]        tag_q;
  way_found_t                         found;

  always_comb begin
    found = '0;
    for (int unsigned s = 0; s < BucketSlots; s++) begin
      match[s]   = (&equal_q[s]) && used_q[s];
      found.hit |= match[s];
      found.own |= match[s] && own_q[s];
      found.tag |= tag_q[s] & {$bits(slot_tag_t){match[s]}};
    end
  end

  always_ff @(posedge clk_i) begin
    for (int unsigned s = 0; s < BucketSlots; s++) begin
      for (int unsigned p = 0; p < Pieces; p++) begin
        equal_q[s][p] <= word_i[s].key[p*PieceBits +: PieceBits] == key_i[p*PieceBits +: PieceBits];
      end
      own_q[s] <= word_i[s].tag.pair == pair_i;
      tag_q[s] <= word_i[s].tag;
    end
    used_q  <= used_i;
    found_o <= found;
  end

`ifndef SYNTHESIS
  initial assert (Pieces * PieceBits == $bits(flow_key_t)) else $fatal(1, "ps_flow_compare: pieces are not the key");
`endif

endmodule
