// Flow table: lookup pipeline, and the second port through which ps_learn changes entries.
//
// Lookup:     lookup_i/key_i every cycle; hit_o FlowCycles (6) later (all 0 unless a flow was found), hash_o (the key's
//             key_hash) 1 cycle later. hash_o is given for key_valid_i, looked up or not.
// Layout:     4 ways; a row holds 4 {key, valid}. The rest of an entry is in one RAM by index {way, row, slot}, read once the
//             slot is known. So whoever makes an entry valid writes its data before its key, and a slot whose key was
//             removed must not get another entry's data for 4 cycles.
// Usable:     the entry's mapping, if any, is looked up here (FipMap reader, data the cycle after); a bare SYN does not
//             belong to a connection that is over.
// TCP state:  a mirror of FlowStats.tcp, written by ps_stats (tcp_i); one copy a reader: the entry's own, its partner's (one
//             cycle later, when the partner is known), and the engine's (data the cycle after tcp_re_i).
module ps_flow_table
  import ps_abi_pkg::*;
  import ps_match_pkg::*;
(
  input  logic        clk_i,
  input  logic        rst_i,
  input  logic        key_valid_i,
  input  logic        lookup_i,
  input  flow_key_t   key_i,
  input  logic        bare_syn_i,
  output logic [63:0] hash_o,
  output flow_hit_t   hit_o,

  output logic        map_re_o,
  output logic [13:0] map_addr_o,
  input  fip_map_t    map_i,

  input  tcp_write_t  tcp_i,
  input  logic        tcp_re_i,
  input  logic [15:0] tcp_index_i,
  output logic [3:0]  tcp_o,

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
  logic [5:1]       bare_syn_q;
  logic [3:0]       tcp_own, tcp_own5_q, tcp_partner;

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

  ps_ram_sdp #(
    .Width($bits(tcp_own)),
    .Depth(Flows),
    .Style("ultra")
  ) u_tcp_own (
    .clk_i,
    .we_i   (tcp_i.valid),
    .waddr_i(tcp_i.index),
    .wdata_i(tcp_i.tcp),
    .re_i   (valid_q[2] && match_q != '0),
    .raddr_i(index),
    .rdata_o(tcp_own)
  );

  ps_ram_sdp #(
    .Width($bits(tcp_partner)),
    .Depth(Flows),
    .Style("ultra")
  ) u_tcp_partner (
    .clk_i,
    .we_i   (tcp_i.valid),
    .waddr_i(tcp_i.index),
    .wdata_i(tcp_i.tcp),
    .re_i   (found4_q),
    .raddr_i(data.partner),
    .rdata_o(tcp_partner)
  );

  ps_ram_sdp #(
    .Width($bits(tcp_o)),
    .Depth(Flows),
    .Style("ultra")
  ) u_tcp_engine (
    .clk_i,
    .we_i   (tcp_i.valid),
    .waddr_i(tcp_i.index),
    .wdata_i(tcp_i.tcp),
    .re_i   (tcp_re_i),
    .raddr_i(tcp_index_i),
    .rdata_o(tcp_o)
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

  // Stage 5: what becomes of a flow that was found (section 5).
  /* verilator lint_off UNUSEDSIGNAL */  // of the entry not all fields count
  function automatic flow_hit_t judge(input logic [15:0] at, input flow_data_t entry, input fip_map_t map,
                                      input logic syn, input logic [3:0] own, input logic [3:0] partner);
    /* verilator lint_on UNUSEDSIGNAL */
    logic       mapped, over;
    logic [3:0] forward;
    mapped        = !entry.map_valid || (map.valid && map.generation == entry.map_generation);
    over          = syn && tcp_over(own, partner);
    forward       = entry.reverse ? partner : own;
    judge         = '0;
    judge.found   = 1'b1;
    judge.lost    = !mapped && entry.reverse && !syn;
    judge.index   = at;
    judge.partner = entry.partner;
    if (mapped && !over) begin
      judge.usable          = 1'b1;
      judge.opening         = forward[TcpSynBit] && !forward[TcpEstablishedBit];
      judge.src_info        = entry.src_info;
      judge.reverse         = entry.reverse;
      judge.hairpin         = entry.hairpin;
      judge.port            = entry.reverse ? entry.spat : entry.dpat;
      judge.ecmp_valid      = entry.ecmp_valid;
      judge.ecmp_slot       = entry.ecmp_slot;
      judge.ecmp_generation = entry.ecmp_generation;
      judge.map_valid       = entry.map_valid;
      judge.map             = map;
    end
  endfunction

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
      tcp_own5_q <= tcp_own;
    end
    if (row_re_q) pick_way_q <= row_pick_i[3:2];
    row_re_q     <= row_re_i;
    if (found5_q) hit_o <= judge(index5_q, data5_q, map_i, bare_syn_q[5], tcp_own5_q, tcp_partner);
    else if (hit_o.found) hit_o <= '0;
    bare_syn_q <= {bare_syn_q[4:1], bare_syn_i};
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
  // Pairs come and go together, so the key of an entry is never seen without a partner.
  a_paired : assert property (@(posedge clk_i) disable iff (rst_i) found5_q |-> data5_q.partner_valid);
`endif

  logic unused_bits;
  assign unused_bits = ^{valid_q[4:3], data5_q};

endmodule
