// Rows of a table that the host fills, with the comparison behind them: Ways memories, rows of BucketSlots entries.
//
// Entry:       {data, key, valid}, valid in bit 0; each slot has a parity bit besides. Index of an entry: {way, row, slot}.
// Lookup:      re_i/row_i every cycle, from registers. row_cycles(RowsLog2) later ("block": 2) the key that is looked for is at look_i/key_i (look_i
//              0: nothing is). hit_o 2 cycles after that, data_o 3 (0 without a hit). The host keeps a key unique, but for one that
//              it moves from way to way: of two equal ones that of the lowest way wins. (Two in one row would be ored.)
// Parity:      bad_o, with hit_o: a slot of the rows has the wrong parity. It does not hit; whether anything else that was found may
//              be believed is the user's matter, as the slot may have held the key. error_o, with data_o, says which slot, the first
//              one of several.
// Maintenance: as in ps_table, by the memories' second port; registered here, and again by way ("ultra": by bank of a way). acc_rdata_o stands
//              row_cycles(RowsLog2) + 3 cycles after acc_re_i, acc_bad_o a cycle later, and then they hold.
// Ports:       packets have the memories' first port whole. The second is the host's; a second look-up takes it when the host does not
//              use it, or doubles the memories.
// Reset:       clears what is under way; the memory is undefined until written.
module ps_bucket_rows
  import ps_abi_pkg::*;
  import ps_bucket_pkg::*;
  import ps_match_pkg::*;
#(
  parameter int unsigned EntryBits = 83,
  parameter int unsigned KeyBits   = 44,
  parameter int unsigned Ways      = 2,
  parameter int unsigned RowsLog2  = 10,
  parameter              Style     = "block",   // "ultra" may be deeper than one memory, "block" not
  localparam int unsigned DataBits  = EntryBits - KeyBits - 1,
  localparam int unsigned AddrWidth = $clog2(Ways) + RowsLog2 + $clog2(BucketSlots)
) (
  input  logic                          clk_i,
  input  logic                          rst_i,
  input  logic                          re_i,
  input  logic [Ways-1:0][RowsLog2-1:0] row_i,
  input  logic                          look_i,
  input  logic [KeyBits-1:0]            key_i,
  output logic                          hit_o,
  output logic                          bad_o,
  output logic [DataBits-1:0]           data_o,
  output parity_error_t                 error_o,
  input  logic                          acc_re_i,
  input  logic                          acc_we_i,
  input  logic                          acc_flip_i,
  input  logic [AddrWidth-1:0]          acc_index_i,
  input  logic [EntryBits-1:0]          acc_wdata_i,
  output logic [EntryBits-1:0]          acc_rdata_o,
  output logic                          acc_bad_o
);

  localparam int unsigned RowCycles = Style == "ultra" ? row_cycles(RowsLog2) : 2;
  localparam int unsigned SlotBits  = $clog2(BucketSlots);
  localparam int unsigned WayBits   = $clog2(Ways);
  localparam int unsigned Lane      = EntryBits + 1;

  // What two levels of logic can compare between registers: parts of at most so many bits, all of one size.
  localparam int unsigned EqualMax    = 18;
  localparam int unsigned EqualParts  = (KeyBits + 1 + EqualMax - 1) / EqualMax;

  typedef logic [BucketSlots-1:0][Lane-1:0] row_t;

  row_t rows [Ways];
  row_t acc_rows [Ways];

  // --- Maintenance side.
  logic                acc_we_q, acc_flip_q;
  logic [RowCycles+2:0] acc_re_q;
  logic [EntryBits-1:0] acc_wdata_q;
  logic                acc_odd;          // of acc_wdata_q; "block": a cycle later
  logic [Lane-1:0]     acc_lane_q;
  logic [WayBits-1:0]  acc_way;
  logic [SlotBits-1:0] acc_slot;
  logic [RowsLog2-1:0] acc_row;
  logic [AddrWidth-1:0] acc_index_q;

  assign {acc_way, acc_row, acc_slot} = acc_index_q;

  always_ff @(posedge clk_i) begin
    acc_we_q <= acc_we_i;
    acc_re_q <= {acc_re_q[RowCycles+1:0], acc_re_i};
    if (acc_we_i || acc_re_i) acc_index_q <= acc_index_i;
    if (acc_we_i) begin
      acc_wdata_q <= acc_wdata_i;
      acc_flip_q  <= acc_flip_i;
    end
    if (acc_re_q[RowCycles+1]) acc_lane_q <= acc_rows[acc_way][acc_slot];
    if (rst_i) begin
      acc_we_q <= 1'b0;
      acc_re_q <= '0;
    end
  end

  assign acc_rdata_o = acc_lane_q[EntryBits-1:0];

  // Of what is registered, where there is time for that: of one word for all tables, the optimiser shares parts of their parities.
  ps_parity #(
    .Width(EntryBits)
  ) u_acc_made (
    .clk_i,
    .valid_i(Style == "ultra" ? acc_we_i : acc_we_q),
    .data_i (Style == "ultra" ? acc_wdata_i : acc_wdata_q),
    .odd_o  (acc_odd)
  );

  ps_parity #(
    .Width(Lane)
  ) u_acc_check (
    .clk_i,
    .valid_i(acc_re_q[RowCycles+2]),
    .data_i (acc_lane_q),
    .odd_o  (acc_bad_o)
  );

  // --- Memories.
  for (genvar w = 0; w < Ways; w++) begin : gen_way
    logic                   acc_re;
    logic [BucketSlots-1:0] acc_we;

    assign acc_re = acc_re_q[0] && acc_way == WayBits'(w);
    assign acc_we = acc_we_q && acc_way == WayBits'(w) ? BucketSlots'(1) << acc_slot : '0;

    if (Style == "ultra") begin : gen_ultra
      ps_ram_deep #(
        .Width    (BucketSlots * Lane),
        .Depth    (1 << RowsLog2),
        .LaneWidth(Lane),
        .LateB    (1'b1)
      ) u_ram (
        .clk_i,
        .a_re_i   (re_i),
        .a_addr_i (row_i[w]),
        .a_rdata_o(rows[w]),
        .b_re_i   (acc_re),
        .b_we_i   (acc_we),
        .b_all_i  (1'b0),
        .b_addr_i (acc_row),
        .b_wdata_i({acc_odd ^ acc_flip_q, acc_wdata_q}),
        .b_rdata_o(acc_rows[w])
      );
    end else begin : gen_block
      logic                   b_re_q;
      logic [BucketSlots-1:0] b_we_q;
      logic [RowsLog2-1:0]    b_row_q;
      logic                   b_flip_q;
      logic [EntryBits-1:0]   b_wdata_q;

      always_ff @(posedge clk_i) begin
        b_re_q <= acc_re;
        b_we_q <= acc_we;
        if (acc_we != '0 || acc_re) b_row_q <= acc_row;
        if (acc_we != '0) begin
          b_wdata_q <= acc_wdata_q;
          b_flip_q  <= acc_flip_q;
        end
      end

      ps_ram_tdp #(
        .Width    (BucketSlots * Lane),
        .Depth    (1 << RowsLog2),
        .LaneWidth(Lane),
        .Style    (Style),
        .Latency  (2)
      ) u_ram (
        .clk_i,
        .a_re_i   (re_i),
        .a_addr_i (row_i[w]),
        .a_rdata_o(rows[w]),
        .b_re_i   (b_re_q),
        .b_we_i   (b_we_q),
        .b_addr_i (b_row_q),
        .b_wdata_i({acc_odd ^ b_flip_q, b_wdata_q}),
        .b_rdata_o(acc_rows[w])
      );
    end
  end

  // --- Which rows were read, for what a look-up finds wrong there.
  logic [RowCycles+1:0]          read_q;                  // bit i: of i + 1 cycles ago
  logic [Ways-1:0][RowsLog2-1:0] read_row_q [RowCycles+2];
  logic [Ways-1:0][BucketSlots-1:0] odd2_q;

  always_ff @(posedge clk_i) begin
    read_q <= {read_q[RowCycles:0], re_i};
    if (re_i) read_row_q[0] <= row_i;
    for (int unsigned i = 1; i <= RowCycles + 1; i++) if (read_q[i-1]) read_row_q[i] <= read_row_q[i-1];
    error_o.valid <= bad_o && !rst_i;
    if (bad_o) begin
      for (int unsigned w = Ways; w-- > 0;) begin
        for (int unsigned s = BucketSlots; s-- > 0;) begin
          if (odd2_q[w][s]) error_o.index <= index_t'({WayBits'(w), read_row_q[RowCycles+1][w], SlotBits'(s)});
        end
      end
    end
  end

  // --- Comparison: parts, then whole, then the data of the one that is equal. What moves does so only for a look-up.
  logic [KeyBits:0]                  wanted;
  logic                              look1_q;
  logic [Ways-1:0][BucketSlots-1:0]  match, odd, match2_q;
  logic                              first2_q;   // the lowest way has it

  assign wanted = {key_i, 1'b1};

  for (genvar w = 0; w < Ways; w++) begin : gen_compare
    logic [DataBits-1:0] found;

    for (genvar s = 0; s < BucketSlots; s++) begin : gen_slot
      logic [EqualParts-1:0]  equal1;
      logic [DataBits-1:0]    data1_q, data2_q, upto;

      for (genvar p = 0; p < EqualParts; p++) begin : gen_equal
        localparam int unsigned From = p * EqualMax;
        localparam int unsigned Bits = From + EqualMax <= KeyBits + 1 ? EqualMax : KeyBits + 1 - From;
        logic equal1_q;

        always_ff @(posedge clk_i) begin
          if (look_i) equal1_q <= rows[w][s][From +: Bits] == wanted[From +: Bits];
        end

        assign equal1[p] = equal1_q;
      end

      ps_parity #(
        .Width(Lane)
      ) u_check (
        .clk_i,
        .valid_i(look_i),
        .data_i (rows[w][s]),
        .odd_o  (odd[w][s])
      );

      assign match[w][s] = &equal1 && !odd[w][s];

      always_ff @(posedge clk_i) begin
        if (look_i) data1_q <= rows[w][s][EntryBits-1 -: DataBits];
        if (look1_q) data2_q <= data1_q;
      end

      // Of this slot and those below.
      if (s == 0) begin : gen_first
        assign upto = match2_q[w][s] ? data2_q : '0;
      end else begin : gen_next
        assign upto = gen_slot[s-1].upto | (match2_q[w][s] ? data2_q : '0);
      end
    end

    assign found = gen_slot[BucketSlots-1].upto;
  end

  always_ff @(posedge clk_i) begin
    look1_q <= look_i;
    hit_o   <= 1'b0;
    bad_o   <= 1'b0;
    if (look1_q) begin
      match2_q <= match;
      first2_q <= |match[0];
      hit_o    <= |match;
      bad_o    <= |odd;
      odd2_q   <= odd;
    end
    data_o <= '0;
    if (hit_o) data_o <= first2_q ? gen_compare[0].found : gen_compare[Ways-1].found;
    if (rst_i) begin
      look1_q <= 1'b0;
      hit_o   <= 1'b0;
      bad_o   <= 1'b0;
    end
  end

`ifndef SYNTHESIS
  initial assert (Ways == 2) else $fatal(1, "ps_bucket_rows: written for two ways");
  initial assert (Style == "ultra" || RowsLog2 <= 13) else $fatal(1, "ps_bucket_rows: too deep for block memory");
`endif

endmodule
