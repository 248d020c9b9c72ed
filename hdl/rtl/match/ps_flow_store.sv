// The flow table's memories: key rows, what is kept at {pair, reverse} for packets, the TCP states beside it, and where keys stand.
//
// Lookup:     a_re_i with rows and key; found_o FoundCycles later (all 0 unless found); facts_o, tcp_o (of both directions, by reverse)
//             FactsCycles later.
// Probe:      probe_valid_i with rows, key and a pair; its slots (raw_o/raw_used_o) ProbeCycles - 2 later, whether the key is there and
//             whose it is ProbeCycles later (probe_found_o, all ways together, combinational behind the ways' registers).
// Changes:    ops by way (ps_flow_port). Data by port B: both directions written at once, or read. Locations: written, or both of a
//             pair read. Data stand DataCycles + 1 after their read enable, locations LocCycles.
// Data:       a word a pair, in three UltraRAMs, as a reverse entry says little of its own (pair_facts_t).
// TCP:        in block RAM, as UltraRAMs are what there is least of. tcp_i repeats every write of FlowStats.tcp, with its generation.
module ps_flow_store
  import ps_abi_pkg::*;
  import ps_match_pkg::*;
  import ps_pair_pkg::*;
#(
  parameter int unsigned RowsLog2 = FlowRowsLog2
) (
  input  logic          clk_i,
  input  logic          rst_i,
  input  logic          a_re_i,
  input  rows_t         a_rows_i,
  input  flow_key_t     a_key_i,
  output way_found_t    found_o,
  output flow_facts_t   facts_o,
  output tcp_word_t [1:0] tcp_o,

  input  logic          probe_valid_i,
  input  logic          probe_first_i,   // of packets: before what waits at the ways; any other probe comes while nothing does
  input  rows_t         probe_rows_i,
  input  flow_key_t     probe_key_i,
  input  pair_t         probe_pair_i,
  output way_found_t    probe_found_o,
  output key_slot_t [FlowWays-1:0][BucketSlots-1:0] raw_o,
  output logic      [FlowWays-1:0][BucketSlots-1:0] raw_used_o,

  input  logic        [FlowWays-1:0] op_valid_i,
  output logic        [FlowWays-1:0] op_ready_o,
  input  row_op_t     [FlowWays-1:0] op_i,
  output logic                       crowded_o,
  output logic                       idle_o,
  output logic        [FlowWays-1:0] done_valid_o,
  output row_op_for_t [FlowWays-1:0] done_o,
  output logic        [FlowWays-1:0] taken_valid_o,
  input  logic        [FlowWays-1:0] taken_ready_i,
  output key_slot_t   [FlowWays-1:0] taken_o,
  output logic        [FlowWays-1:0] taken_used_o,
  output waiting_t    [FlowWays-1:0] taken_by_o,

  input  logic          data_re_i,
  input  logic          data_we_i,
  input  pair_t         data_pair_i,
  input  flow_facts_t [1:0] data_wdata_i,
  output flow_facts_t [1:0] data_rdata_o,

  input  loc_write_t [1:0]  loc_i,
  input  logic              loc_re_i,
  input  pair_t             loc_pair_i,
  output flow_index_t [1:0] loc_o,

  input  tcp_update_t   tcp_i,

  input  logic          clear_i,         // throughout clearing
  input  logic          clear_we_i,      // rows of this index, and all that is as deep in its bank
  input  logic [$clog2(Flows)-1:0] clear_index_i
);

  localparam int unsigned KeyCycles  = key_cycles(RowsLog2);
  localparam int unsigned PairsLog2  = RowsLog2 + $clog2(FlowSlots) - 1;
  localparam int unsigned DataCycles = data_cycles(RowsLog2);
  localparam int unsigned LocCycles  = ps_ram_deep_pkg::latency(1 << (PairsLog2 - 2));

  localparam int unsigned BankLog2   = $clog2(ps_ram_deep_pkg::BankDepth);

  // --- Clearing: key slots become invalid, and TCP states none.
  // All a cycle late, with the ports' reset, as nothing comes right after it.
  logic clear_row_q, clear_states_q, reset_q;
  pair_t clear_index_q;

  always_ff @(posedge clk_i) begin
    reset_q        <= rst_i || clear_i;
    clear_row_q    <= clear_we_i && 32'(clear_index_i) < (1 << RowsLog2);
    clear_states_q <= clear_we_i && 32'(clear_index_i) < (1 << PairsLog2) && 32'(clear_index_i) < (1 << BankLog2);
    clear_index_q  <= pair_t'(clear_index_i);
  end

  // --- Keys
  flow_key_t  a_key_q [KeyCycles], b_key_q [KeyCycles+1];
  pair_t      b_pair_q [KeyCycles+1];
  way_found_t [FlowWays-1:0] a_found, b_found;
  logic       [FlowWays-1:0] crowded, idle;

  always_ff @(posedge clk_i) begin
    a_key_q[0]  <= a_key_i;
    b_key_q[0]  <= probe_key_i;
    b_pair_q[0] <= probe_pair_i;
    for (int unsigned i = 1; i < KeyCycles; i++) a_key_q[i] <= a_key_q[i-1];
    for (int unsigned i = 1; i <= KeyCycles; i++) begin
      b_key_q[i]  <= b_key_q[i-1];
      b_pair_q[i] <= b_pair_q[i-1];
    end
  end

  for (genvar w = 0; w < FlowWays; w++) begin : gen_way
    logic                           re, we, mark;
    logic [FlowRowsLog2-1:0]        row;
    logic [$clog2(BucketSlots)-1:0] slot;
    key_slot_t                      word;
    logic [BucketSlots-1:0]         mark_we;

    ps_flow_port #(
      .RowsLog2(RowsLog2)
    ) u_port (
      .clk_i,
      .rst_i        (reset_q),
      .probe_i      (probe_valid_i),
      .probe_first_i,
      .probe_row_i  (probe_rows_i[w]),
      .op_valid_i   (op_valid_i[w]),
      .op_ready_o   (op_ready_o[w]),
      .op_i         (op_i[w]),
      .crowded_o    (crowded[w]),
      .idle_o       (idle[w]),
      .done_valid_o (done_valid_o[w]),
      .done_o       (done_o[w]),
      .taken_valid_o(taken_valid_o[w]),
      .taken_ready_i(taken_ready_i[w]),
      .taken_o      (taken_o[w]),
      .taken_used_o (taken_used_o[w]),
      .taken_by_o   (taken_by_o[w]),
      .clear_i      (clear_row_q),
      .clear_row_i  (clear_index_q[FlowRowsLog2-1:0]),
      .re_o         (re),
      .we_o         (we),
      .row_o        (row),
      .slot_o       (slot),
      .word_o       (word),
      .mark_we_o    (mark_we),
      .mark_o       (mark),
      .word_i       (raw_o[w]),
      .used_i       (raw_used_o[w])
    );

    ps_flow_way #(
      .RowsLog2(RowsLog2)
    ) u_way (
      .clk_i,
      .a_re_i,
      .a_row_i   (a_rows_i[w]),
      .a_key_i   (a_key_q[KeyCycles-1]),
      .a_found_o (a_found[w]),
      .b_re_i    (re),
      .b_we_i    (we),
      .b_row_i   (row),
      .b_slot_i  (slot),
      .b_word_i  (word),
      .b_key_i   (b_key_q[KeyCycles]),
      .b_pair_i  (b_pair_q[KeyCycles]),
      .b_word_o  (raw_o[w]),
      .b_used_o  (raw_used_o[w]),
      .b_found_o (b_found[w]),
      .mark_we_i (mark_we),
      .mark_row_i(row),
      .mark_i    (mark)
    );
  end

  assign crowded_o = crowded != '0;
  assign idle_o    = &idle;

  // A key that is being moved may stand twice, always as the same pair's: ways may be joined.
  function automatic way_found_t join_ways(input way_found_t [FlowWays-1:0] found);
    join_ways = '0;
    for (int unsigned w = 0; w < FlowWays; w++) join_ways |= found[w];
  endfunction

  assign probe_found_o = join_ways(b_found);

  // --- Data
  logic [KeyCycles+1:0]  looked_q;     // from the look-up's read on, so that what is found is of one
  logic [DataCycles-1:0] reverse_q;
  pair_facts_t           facts, b_facts;

  always_ff @(posedge clk_i) begin
    looked_q  <= {looked_q[KeyCycles:0], a_re_i && !rst_i};
    found_o   <= looked_q[KeyCycles+1] ? join_ways(a_found) : '0;
    reverse_q <= {reverse_q[DataCycles-2:0], found_o.tag.reverse};
    if (rst_i) found_o <= '0;
  end

  ps_ram_deep #(
    .Width($bits(pair_facts_t)),
    .Depth(1 << PairsLog2),
    .Fan  (DataFan),
    .LateB(1'b1)
  ) u_data (
    .clk_i,
    .a_re_i   (found_o.hit),
    .a_addr_i (found_o.tag.pair[PairsLog2-1:0]),
    .a_rdata_o(facts),
    .b_re_i   (data_re_i),
    .b_we_i   (data_we_i),
    .b_all_i  (1'b0),
    .b_addr_i (data_pair_i[PairsLog2-1:0]),
    .b_wdata_i(kept_of(data_wdata_i)),
    .b_rdata_o(b_facts)
  );

  assign facts_o      = facts_of(facts, reverse_q[DataCycles-1]);
  assign data_rdata_o = {facts_of(b_facts, 1'b1), facts_of(b_facts, 1'b0)};

  for (genvar d = 0; d < 2; d++) begin : gen_direction
    tcp_word_t unused_tcp;

    ps_ram_deep #(
      .Width($bits(tcp_word_t)),
      .Style("block"),
      .Depth(1 << PairsLog2),
      .Fan  (DataFan),
      .LateB(1'b1)
    ) u_tcp (
      .clk_i,
      .a_re_i   (found_o.hit),
      .a_addr_i (found_o.tag.pair[PairsLog2-1:0]),
      .a_rdata_o(tcp_o[d]),
      .b_re_i   (1'b0),
      .b_we_i   (clear_states_q || (tcp_i.valid && tcp_i.reverse == d)),
      .b_all_i  (clear_states_q),
      .b_addr_i (clear_states_q ? PairsLog2'(clear_index_q) : tcp_i.pair[PairsLog2-1:0]),
      .b_wdata_i(clear_states_q ? '0 : tcp_i.word),
      .b_rdata_o(unused_tcp)
    );

    // Four locations a word: memory is as wide.
    logic [3:0][LocationBits-1:0] location, unused_location;
    logic [1:0]                   quarter_q [LocCycles];   // which of them

    ps_ram_deep #(
      .Width    (4 * LocationBits),
      .Depth    (1 << (PairsLog2 - 2)),
      .LaneWidth(LocationBits)
    ) u_location (
      .clk_i,
      .a_re_i   (loc_re_i),
      .a_addr_i (loc_pair_i[PairsLog2-1:2]),
      .a_rdata_o(location),
      .b_re_i   (1'b0),
      .b_we_i   (loc_i[d].valid ? 4'b1 << loc_i[d].pair[1:0] : '0),
      .b_all_i  (1'b0),
      .b_addr_i (loc_i[d].pair[PairsLog2-1:2]),
      .b_wdata_i(LocationBits'(loc_i[d].index)),
      .b_rdata_o(unused_location)
    );

    always_ff @(posedge clk_i) begin
      quarter_q[0] <= loc_pair_i[1:0];
      for (int unsigned i = 1; i < LocCycles; i++) quarter_q[i] <= quarter_q[i-1];
    end

    assign loc_o[d] = $bits(flow_index_t)'(location[quarter_q[LocCycles-1]]);

    logic unused_bits;
    assign unused_bits = ^{unused_location, location, unused_tcp};
  end

`ifndef SYNTHESIS
  // A key is found once, or as it is being moved, twice as the same.
  for (genvar w = 1; w < FlowWays; w++) begin : gen_same
    for (genvar v = 0; v < w; v++) begin : gen_other
      a_one_pair : assert property (@(posedge clk_i) disable iff (rst_i || clear_i)
          looked_q[KeyCycles+1] && a_found[w].hit && a_found[v].hit |->
          a_found[w].tag.pair == a_found[v].tag.pair && a_found[w].tag.reverse == a_found[v].tag.reverse);
    end
  end
  a_derives : assert property (@(posedge clk_i) disable iff (rst_i || clear_i)
      data_we_i |-> {facts_of(kept_of(data_wdata_i), 1'b1), facts_of(kept_of(data_wdata_i), 1'b0)} == data_wdata_i);
  initial assert (LocationBits >= $bits(flow_index_t) && PairsLog2 > 3)
    else $fatal(1, "ps_flow_store: lanes are too narrow, or too few rows");
`endif

endmodule
