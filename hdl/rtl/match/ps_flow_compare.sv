// Compares the slots of one row with a key.
//
// Latency:    2, a row every cycle, if there is one (valid_i). hit: a valid slot has the key. tag: that slot's, 0 without. own: and it
//             is of pair_i. found_o holds until after the next row.
// A key may stand in two rows of its way's neighbours while it is moved, but never twice in one row (asserted).
module ps_flow_compare
  import ps_abi_pkg::*;
  import ps_match_pkg::*;
  import ps_pair_pkg::*;
(
  input  logic                        clk_i,
  input  logic                        valid_i,
  input  key_slot_t [BucketSlots-1:0] word_i,
  input  logic [BucketSlots-1:0]      used_i,
  input  flow_key_t                   key_i,
  input  pair_t                       pair_i,
  output way_found_t                  found_o
);

  // Pieces of a key that are compared in one stage. A simulator compares it whole.
`ifdef SYNTHESIS
  localparam int unsigned PieceBits = 12;
`else
  localparam int unsigned PieceBits = $bits(flow_key_t);
`endif
  localparam int unsigned Pieces    = $bits(flow_key_t) / PieceBits;

  logic                   valid_q;
  logic [BucketSlots-1:0] match, own;

  for (genvar s = 0; s < BucketSlots; s++) begin : gen_slot
    logic [Pieces-1:0] equal;
    logic              used_q, own_q;
    slot_tag_t         tag_q, upto;     // upto: of what matches, of this slot and those below

    for (genvar p = 0; p < Pieces; p++) begin : gen_piece
      logic equal_q;

      always_ff @(posedge clk_i) begin
        if (valid_i) equal_q <= word_i[s].key[p*PieceBits +: PieceBits] == key_i[p*PieceBits +: PieceBits];
      end

      assign equal[p] = equal_q;
    end

    always_ff @(posedge clk_i) begin
      if (valid_i) begin
        used_q <= used_i[s];
        own_q  <= word_i[s].tag.pair == pair_i;
        tag_q  <= word_i[s].tag;
      end
    end

    assign match[s] = (&equal) && used_q;
    assign own[s]   = own_q;

    if (s == 0) begin : gen_first
      assign upto = tag_q & {$bits(slot_tag_t){match[s]}};
    end else begin : gen_next
      assign upto = gen_slot[s-1].upto | (tag_q & {$bits(slot_tag_t){match[s]}});
    end
  end

  always_ff @(posedge clk_i) begin
    valid_q <= valid_i;
    if (valid_q) found_o <= '{hit: match != '0, own: (match & own) != '0, tag: gen_slot[BucketSlots-1].upto};
  end

`ifndef SYNTHESIS
  initial assert (Pieces * PieceBits == $bits(flow_key_t)) else $fatal(1, "ps_flow_compare: pieces are not the key");
`endif

endmodule
