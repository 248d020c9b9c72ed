// Flow table: lookup pipeline, and the second port through which ps_learn changes entries.
//
// Lookup:     lookup_i/key_i every cycle; hit_o LookupCycles (6) later (all 0 unless a usable flow was found),
//             hash_o (the key's key_hash) 1 cycle later. hash_o is given for key_valid_i, looked up or not.
// Layout:     4 ways; a row holds 4 {key, valid}. The rest of an entry is in one RAM by index {way, row, slot}, read once the
//             slot is known. So whoever makes an entry valid writes its data before its key, and a slot whose key was
//             removed must not get another entry's data for 4 cycles.
// Usable:     the entry's mapping, if any, is looked up here (FipMap reader, data the cycle after).
module ps_flow_table
  import ps_abi_pkg::*;
  import ps_match_pkg::*;
(
  input  logic        clk_i,
  input  logic        rst_i,
  input  logic        key_valid_i,
  input  logic        lookup_i,
  input  flow_key_t   key_i,
  output logic [63:0] hash_o,
  output flow_hit_t   hit_o,

  output logic        map_re_o,
  output logic [13:0] map_addr_o,
  input  fip_map_t    map_i,

  // Port of ps_learn, rows: row_re_i reads one row of every way. In the cycle after, row_key_i is compared with their
  // slots and row_pick_i names one of them; what comes of it stands in the second cycle after row_re_i.
  input  logic                                  row_re_i,
  input  logic [FlowWays-1:0][FlowRowsLog2-1:0] row_addr_i,
  input  flow_key_t                             row_key_i,
  input  logic [3:0]                            row_pick_i,     // {way, slot}
  output logic [FlowWays*BucketSlots-1:0]       row_match_o,
  output logic [FlowWays*BucketSlots-1:0]       row_used_o,
  output flow_slot_t                            row_slot_o,     // the picked one
  // One slot is written by its index; an entry's data are read or written by index.
  input  logic                                  slot_we_i,
  input  logic [15:0]                           slot_index_i,
  input  flow_slot_t                            slot_wdata_i,
  input  logic                                  data_re_i,
  input  logic                                  data_we_i,
  input  logic [15:0]                           data_index_i,
  input  flow_data_t                            data_wdata_i,
  output flow_data_t                            data_rdata_o
);

  localparam int unsigned Slots = FlowWays * BucketSlots;

  logic [4:0]       valid_q;
  flow_key_t        key1_q, key2_q;
  logic [63:0]      hash1_q;
  logic [47:0]      rows2_q, rows3_q;
  logic             row_re_q;
  logic [Slots-1:0] match_q, match_row_q, used_row_q;
  flow_slot_t       picked_q [FlowWays];
  logic [1:0]       pick_way_q;
  logic             found4_q, found5_q;
  logic [15:0]      index, index4_q, index5_q;
  flow_data_t       data, data5_q;
  logic             usable;

  for (genvar w = 0; w < FlowWays; w++) begin : gen_way
    flow_slot_t [BucketSlots-1:0] found, row;
    logic [BucketSlots-1:0]       match_way_q, match_learn_q, used_learn_q;

    ps_ram_tdp #(
      .Width    (BucketSlots * $bits(flow_slot_t)),
      .Depth    (1 << FlowRowsLog2),
      .LaneWidth($bits(flow_slot_t)),
      .Style    ("ultra")
    ) u_keys (
      .clk_i,
      .a_re_i   (valid_q[0]),
      .a_addr_i (hash1_q[w*FlowRowsLog2 +: FlowRowsLog2]),
      .a_rdata_o(found),
      .b_re_i   (row_re_i),
      .b_we_i   (slot_we_i && slot_index_i[15:14] == w[1:0] ? BucketSlots'(1) << slot_index_i[1:0] : '0),
      .b_addr_i (slot_we_i ? slot_index_i[13:2] : row_addr_i[w]),
      .b_wdata_i(slot_wdata_i),
      .b_rdata_o(row)
    );

    always_ff @(posedge clk_i) begin
      for (int unsigned s = 0; s < BucketSlots; s++) begin
        if (valid_q[1]) match_way_q[s] <= found[s] == {key2_q, 1'b1};
        if (row_re_q) match_learn_q[s] <= row[s] == {row_key_i, 1'b1};
        if (row_re_q) used_learn_q[s] <= row[s].valid;
      end
      if (row_re_q) picked_q[w] <= row[row_pick_i[1:0]];
    end

    assign match_q[w*BucketSlots +: BucketSlots]     = match_way_q;
    assign match_row_q[w*BucketSlots +: BucketSlots] = match_learn_q;
    assign used_row_q[w*BucketSlots +: BucketSlots]  = used_learn_q;
  end

  ps_ram_tdp #(
    .Width($bits(flow_data_t)),
    .Depth(Flows),
    .Style("ultra")
  ) u_data (
    .clk_i,
    .a_re_i   (valid_q[2] && match_q != '0),
    .a_addr_i (index),
    .a_rdata_o(data),
    .b_re_i   (data_re_i),
    .b_we_i   (data_we_i),
    .b_addr_i (data_index_i),
    .b_wdata_i(data_wdata_i),
    .b_rdata_o(data_rdata_o)
  );

  // At most one slot matches: a key is in the table once.
  always_comb begin
    index = '0;
    if (valid_q[2]) begin
      for (int unsigned i = 0; i < Slots; i++) begin
        if (match_q[i]) index = {i[3:2], rows3_q[i[3:2]*FlowRowsLog2 +: FlowRowsLog2], i[1:0]};
      end
    end
  end

  assign row_match_o = match_row_q;
  assign row_used_o  = used_row_q;
  assign row_slot_o  = picked_q[pick_way_q];

  assign map_re_o   = found4_q && data.map_valid;
  assign map_addr_o = data.map;
  assign hash_o     = hash1_q;
  assign usable     = found5_q && (!data5_q.map_valid ||
                                   (map_i.valid && map_i.generation == data5_q.map_generation));

  always_ff @(posedge clk_i) begin
    if (key_valid_i) begin
      key1_q  <= key_i;
      hash1_q <= key_hash({8'd0, key_i});
    end
    if (valid_q[0]) begin
      key2_q  <= key1_q;
      rows2_q <= hash1_q[47:0];
    end
    if (valid_q[1]) begin
      rows3_q <= rows2_q;
    end
    if (valid_q[2]) index4_q <= index;
    if (found4_q) begin
      index5_q <= index4_q;
      data5_q  <= data;
    end
    if (row_re_q) pick_way_q <= row_pick_i[3:2];
    row_re_q     <= row_re_i;
    hit_o.usable <= usable;
    if (usable) begin
      hit_o <= '{usable: 1'b1, index: index5_q, reverse: data5_q.reverse, hairpin: data5_q.hairpin,
                 port: data5_q.reverse ? data5_q.spat : data5_q.dpat,
                 ecmp_valid: data5_q.ecmp_valid, ecmp_slot: data5_q.ecmp_slot,
                 ecmp_generation: data5_q.ecmp_generation,
                 map_valid: data5_q.map_valid, map: map_i};
    end else if (hit_o.usable) begin
      hit_o <= '0;
    end
    valid_q  <= {valid_q[3:0], key_valid_i && lookup_i};
    found4_q <= valid_q[2] && match_q != '0;
    found5_q <= found4_q;
    if (rst_i) begin
      valid_q  <= '0;
      found4_q <= 1'b0;
      found5_q <= 1'b0;
      hit_o    <= '0;
    end
  end

`ifndef SYNTHESIS
  a_unique : assert property (@(posedge clk_i) disable iff (rst_i) valid_q[2] |-> $onehot0(match_q));
`endif

  logic unused_bits;
  assign unused_bits = ^{valid_q[4:3], data5_q};

endmodule
