// One way of the flow table's key rows: the keys in UltraRAM, which of their slots are valid in block RAM, twice, and what
// compares a row with a key on either port.
//
// Port A:     packets. a_re_i/a_row_i in a cycle; a_key_i KeyCycles later; a_found_o two cycles after that.
// Port B:     b_re_i reads a row likewise: b_word_o and b_used_o KeyCycles later, b_found_o two more, of b_key_i and b_pair_i given with
//             b_word_o. Or b_we_i writes b_word_i to one slot (b_slot_i) of b_row_i.
// Valid:      mark_we_i (a bit a slot) makes slots of mark_row_i valid or not; in the cycle of b_we_i it is that slot's. So a read
//             sees either all of a write or nothing of it, and a row's reads in one cycle are of one moment.
// Reset:      none: the owner clears every row's marks.
module ps_flow_way
  import ps_abi_pkg::*;
  import ps_match_pkg::*;
  import ps_pair_pkg::*;
#(
  parameter int unsigned RowsLog2 = FlowRowsLog2
) (
  input  logic                                 clk_i,
  input  logic                                 a_re_i,
  input  logic [FlowRowsLog2-1:0]              a_row_i,
  input  flow_key_t                            a_key_i,
  output way_found_t                           a_found_o,

  input  logic                                 b_re_i,
  input  logic                                 b_we_i,
  input  logic [FlowRowsLog2-1:0]              b_row_i,
  input  logic [$clog2(BucketSlots)-1:0]       b_slot_i,
  input  key_slot_t                            b_word_i,
  input  flow_key_t                            b_key_i,
  input  pair_t                                b_pair_i,
  output key_slot_t [BucketSlots-1:0]          b_word_o,
  output logic [BucketSlots-1:0]               b_used_o,
  output way_found_t                           b_found_o,

  input  logic [BucketSlots-1:0]               mark_we_i,
  input  logic [FlowRowsLog2-1:0]              mark_row_i,
  input  logic                                 mark_i
);

  localparam int unsigned SlotBits  = $bits(key_slot_t);
  localparam int unsigned KeyCycles = key_cycles(RowsLog2);

  key_slot_t [BucketSlots-1:0] a_word;
  logic [BucketSlots-1:0]      a_used, lane;

  assign lane = b_we_i ? BucketSlots'(1) << b_slot_i : '0;

  ps_ram_deep #(
    .Width    (BucketSlots * SlotBits),
    .Depth    (1 << RowsLog2),
    .LaneWidth(SlotBits)
  ) u_keys (
    .clk_i,
    .a_re_i,
    .a_addr_i (a_row_i[RowsLog2-1:0]),
    .a_rdata_o(a_word),
    .b_re_i,
    .b_we_i   (lane),
    .b_all_i  (1'b0),
    .b_addr_i (b_row_i[RowsLog2-1:0]),
    .b_wdata_i(b_word_i),
    .b_rdata_o(b_word_o)
  );

  ps_ram_bits #(
    .Bits  (BucketSlots),
    .Depth (1 << RowsLog2),
    .Cycles(KeyCycles)
  ) u_used_a (
    .clk_i,
    .we_i   (mark_we_i),
    .waddr_i(mark_row_i[RowsLog2-1:0]),
    .wdata_i(mark_i),
    .re_i   (a_re_i),
    .raddr_i(a_row_i[RowsLog2-1:0]),
    .rdata_o(a_used)
  );

  ps_ram_bits #(
    .Bits  (BucketSlots),
    .Depth (1 << RowsLog2),
    .Cycles(KeyCycles)
  ) u_used_b (
    .clk_i,
    .we_i   (mark_we_i),
    .waddr_i(mark_row_i[RowsLog2-1:0]),
    .wdata_i(mark_i),
    .re_i   (b_re_i),
    .raddr_i(b_row_i[RowsLog2-1:0]),
    .rdata_o(b_used_o)
  );

  // When what is read stands.
  logic [KeyCycles:1] a_valid_q, b_valid_q;

  always_ff @(posedge clk_i) begin
    a_valid_q <= {a_valid_q[KeyCycles-1:1], a_re_i};
    b_valid_q <= {b_valid_q[KeyCycles-1:1], b_re_i};
  end

  ps_flow_compare u_compare_a (
    .clk_i,
    .valid_i(a_valid_q[KeyCycles]),
    .word_i (a_word),
    .used_i (a_used),
    .key_i  (a_key_i),
    .pair_i ('0),
    .found_o(a_found_o)
  );

  ps_flow_compare u_compare_b (
    .clk_i,
    .valid_i(b_valid_q[KeyCycles]),
    .word_i (b_word_o),
    .used_i (b_used_o),
    .key_i  (b_key_i),
    .pair_i (b_pair_i),
    .found_o(b_found_o)
  );

  logic unused_rows;
  assign unused_rows = ^{a_row_i, b_row_i, mark_row_i};

`ifndef SYNTHESIS
  initial assert (RowsLog2 <= FlowRowsLog2) else $fatal(1, "ps_flow_way: more rows than an index has");
`endif

endmodule
