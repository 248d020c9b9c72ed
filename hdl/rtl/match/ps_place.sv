// Where a key is in the flow table, or where there is room for it: section 9.2, step 3, for one row of every way.
//
// Combinational. The key's own slot, else the way with the most free slots (the lowest of equal ones) and the lowest free
// slot in it. With exclude_i the slot taken_i does not count as free.
module ps_place
  import ps_abi_pkg::*;
  import ps_match_pkg::*;
(
  input  logic [FlowWays*FlowRowsLog2-1:0] rows_i,      // row of each way: the low bits of the key's hash
  input  logic [FlowWays*BucketSlots-1:0]  match_i,
  input  logic [FlowWays*BucketSlots-1:0]  used_i,
  input  logic                             exclude_i,
  input  flow_index_t                      taken_i,
  output place_t                           place_o
);

  localparam int unsigned FreeBits = $clog2(BucketSlots + 1);

  always_comb begin
    logic [FreeBits-1:0] most, free;
    flow_index_t         index, lowest;
    place_o = '0;
    most    = '0;
    for (int unsigned w = 0; w < FlowWays; w++) begin
      free   = '0;
      lowest = '0;
      for (int unsigned s = BucketSlots; s > 0; s--) begin
        index = '{way: $clog2(FlowWays)'(w), row: rows_i[w*FlowRowsLog2 +: FlowRowsLog2],
                  slot: $clog2(BucketSlots)'(s - 1)};
        if (match_i[w*BucketSlots+s-1]) begin
          place_o.hit   = 1'b1;
          place_o.index = index;
        end
        if (!used_i[w*BucketSlots+s-1] && !(exclude_i && index == taken_i)) begin
          free   = free + 1'b1;
          lowest = index;
        end
      end
      if (free > most && !place_o.hit) begin
        most          = free;
        place_o.room  = 1'b1;
        place_o.index = lowest;
      end
    end
  end

endmodule
