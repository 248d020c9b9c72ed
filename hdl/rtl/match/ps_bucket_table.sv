// Exact-match table filled by the host: Ways hash functions, rows of BucketSlots entries.
//
// Entry:       {data, key, valid}, valid in bit 0. Index of an entry: {way, row, slot}.
// Lookup:      valid_i/key_i every cycle; hit_o/data_o 4 cycles later (hit_o is 0 for a cycle without lookup, data_o
//              holds). The host keeps a key unique; of two equal ones the lowest way and slot would win.
// Maintenance: as in ps_table; acc_index_i must be stable in the cycle after acc_re_i.
module ps_bucket_table
  import ps_abi_pkg::*;
#(
  parameter int unsigned EntryBits = 82,
  parameter int unsigned KeyBits   = 44,
  parameter int unsigned Ways      = 2,
  parameter int unsigned RowsLog2  = 12,
  localparam int unsigned DataBits  = EntryBits - KeyBits - 1,
  localparam int unsigned AddrWidth = $clog2(Ways) + RowsLog2 + $clog2(BucketSlots)
) (
  input  logic                 clk_i,
  input  logic                 rst_i,
  input  logic                 valid_i,
  input  logic [KeyBits-1:0]   key_i,
  output logic                 hit_o,
  output logic [DataBits-1:0]  data_o,
  input  logic                 acc_re_i,
  input  logic                 acc_we_i,
  input  logic [AddrWidth-1:0] acc_index_i,
  input  logic [EntryBits-1:0] acc_wdata_i,
  output logic [EntryBits-1:0] acc_rdata_o
);

  localparam int unsigned SlotBits = $clog2(BucketSlots);
  localparam int unsigned HashBits = Ways * RowsLog2;

  typedef logic [BucketSlots-1:0][EntryBits-1:0] row_t;

  logic [2:0]                       valid_q;
  logic [HashBits-1:0]              hash_q;
  logic [KeyBits-1:0]               key1_q, key2_q;
  row_t                             rows [Ways];
  row_t                             acc_rows [Ways];
  logic [Ways*BucketSlots-1:0]      match_q;
  logic [DataBits-1:0]              data3_q [Ways*BucketSlots];
  logic [$clog2(Ways)-1:0]          acc_way;
  logic [SlotBits-1:0]              acc_slot;
  logic [RowsLog2-1:0]              acc_row;

  assign {acc_way, acc_row, acc_slot} = acc_index_i;

  for (genvar w = 0; w < Ways; w++) begin : gen_way
    ps_ram_tdp #(
      .Width    (BucketSlots * EntryBits),
      .Depth    (1 << RowsLog2),
      .LaneWidth(EntryBits),
      .Style    ("ultra")
    ) u_ram (
      .clk_i,
      .a_re_i   (valid_q[0]),
      .a_addr_i (hash_q[w*RowsLog2 +: RowsLog2]),
      .a_rdata_o(rows[w]),
      .b_re_i   (acc_re_i && acc_way == w[$clog2(Ways)-1:0]),
      .b_we_i   (acc_we_i && acc_way == w[$clog2(Ways)-1:0] ?
                 BucketSlots'(1) << acc_slot : '0),
      .b_addr_i (acc_row),
      .b_wdata_i(acc_wdata_i),
      .b_rdata_o(acc_rows[w])
    );
  end

  assign acc_rdata_o = acc_rows[acc_way][acc_slot];

  always_ff @(posedge clk_i) begin
    if (valid_i) begin
      key1_q <= key_i;
      for (int unsigned i = 0; i < HashBits; i++) hash_q[i] <= ^(key_i & KeyMasks[i][KeyBits-1:0]);
    end
    if (valid_q[0]) key2_q <= key1_q;
    if (valid_q[1]) begin
      for (int unsigned w = 0; w < Ways; w++) begin
        for (int unsigned s = 0; s < BucketSlots; s++) begin
          match_q[w*BucketSlots+s] <= rows[w][s][KeyBits:0] == {key2_q, 1'b1};
          data3_q[w*BucketSlots+s] <= rows[w][s][EntryBits-1 -: DataBits];
        end
      end
    end
    if (valid_q[2]) begin
      for (int i = Ways * BucketSlots - 1; i >= 0; i--) if (match_q[i]) data_o <= data3_q[i];
    end
    hit_o   <= valid_q[2] && match_q != '0;
    valid_q <= {valid_q[1:0], valid_i};
    if (rst_i) begin
      valid_q <= '0;
      hit_o   <= 1'b0;
    end
  end

endmodule
