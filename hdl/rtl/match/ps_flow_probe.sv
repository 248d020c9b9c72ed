// Whether a key has an entry in the flow table: a copy of the key rows, with a mark a slot.
//
// Probe:      valid_i/key_i/hash_i (the key's key_hash) every cycle; probe_o 3 cycles later, 0 for a cycle without.
// Table:      keys are written together with those of ps_flow_table. A slot's mark is written with its key, or alone.
module ps_flow_probe
  import ps_abi_pkg::*;
  import ps_match_pkg::*;
(
  input  logic        clk_i,
  input  logic        rst_i,
  input  logic        valid_i,
  input  flow_key_t   key_i,
  input  logic [63:0] hash_i,
  output probe_t      probe_o,

  input  logic        slot_we_i,
  input  logic        mark_we_i,
  input  flow_index_t slot_index_i,
  input  flow_slot_t  slot_wdata_i,
  input  slot_mark_t  mark_i
);

  localparam int unsigned Slots = FlowWays * BucketSlots;

  logic                               valid1_q, valid2_q;
  flow_key_t                          key1_q;
  logic [FlowWays*FlowRowsLog2-1:0]   rows1_q, rows2_q;
  logic [Slots-1:0]                   match2_q;
  slot_mark_t [Slots-1:0]             mark2_q;
  probe_t                             probe;

  for (genvar w = 0; w < FlowWays; w++) begin : gen_way
    localparam logic [$clog2(FlowWays)-1:0] Way = w;

    flow_slot_t [BucketSlots-1:0] row, unused_row;
    slot_mark_t [BucketSlots-1:0] mark, unused_mark;
    logic [BucketSlots-1:0]       lane;

    assign lane = slot_index_i.way == Way ? BucketSlots'(1) << slot_index_i.slot : '0;

    ps_ram_tdp #(
      .Width    (BucketSlots * $bits(flow_slot_t)),
      .Depth    (1 << FlowRowsLog2),
      .LaneWidth($bits(flow_slot_t)),
      .Style    ("ultra")
    ) u_keys (
      .clk_i,
      .a_re_i   (valid_i),
      .a_addr_i (hash_i[w*FlowRowsLog2 +: FlowRowsLog2]),
      .a_rdata_o(row),
      .b_re_i   (1'b0),
      .b_we_i   (slot_we_i ? lane : '0),
      .b_addr_i (slot_index_i.row),
      .b_wdata_i(slot_wdata_i),
      .b_rdata_o(unused_row)
    );

    ps_ram_tdp #(
      .Width    (BucketSlots * $bits(slot_mark_t)),
      .Depth    (1 << FlowRowsLog2),
      .LaneWidth($bits(slot_mark_t))
    ) u_marks (
      .clk_i,
      .a_re_i   (valid_i),
      .a_addr_i (hash_i[w*FlowRowsLog2 +: FlowRowsLog2]),
      .a_rdata_o(mark),
      .b_re_i   (1'b0),
      .b_we_i   (slot_we_i || mark_we_i ? lane : '0),
      .b_addr_i (slot_index_i.row),
      .b_wdata_i(mark_i),
      .b_rdata_o(unused_mark)
    );

    always_ff @(posedge clk_i) begin
      if (valid1_q) begin
        for (int unsigned s = 0; s < BucketSlots; s++) begin
          match2_q[w*BucketSlots+s] <= row[s] == {key1_q, 1'b1};
          mark2_q[w*BucketSlots+s]  <= mark[s];
        end
      end
    end

    logic unused_bits;
    assign unused_bits = ^{unused_row, unused_mark};
  end

  // At most one slot matches: a key is in the table once.
  always_comb begin
    probe = '0;
    for (int unsigned w = 0; w < FlowWays; w++) begin
      for (int unsigned s = 0; s < BucketSlots; s++) begin
        if (match2_q[w*BucketSlots+s]) begin
          probe = '{hit: 1'b1, mark: mark2_q[w*BucketSlots+s],
                    index: '{way: $clog2(FlowWays)'(w), row: rows2_q[w*FlowRowsLog2 +: FlowRowsLog2],
                             slot: $clog2(BucketSlots)'(s)}};
        end
      end
    end
  end

  always_ff @(posedge clk_i) begin
    if (valid_i) begin
      key1_q  <= key_i;
      rows1_q <= hash_i[FlowWays*FlowRowsLog2-1:0];
    end
    if (valid1_q) rows2_q <= rows1_q;
    probe_o  <= valid2_q ? probe : '0;
    valid1_q <= valid_i && !rst_i;
    valid2_q <= valid1_q && !rst_i;
  end

  logic unused_hash;
  assign unused_hash = ^hash_i;

`ifndef SYNTHESIS
  a_unique : assert property (@(posedge clk_i) disable iff (rst_i) valid2_q |-> $onehot0(match2_q));
  initial assert ($bits(flow_index_t) == $clog2(Flows)) else $fatal(1, "ps_flow_probe: flow_index_t does not count Flows");
`endif

endmodule
