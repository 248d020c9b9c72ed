// Knows which entries of the tables are valid, so that a search covers 64 entries in two cycles.
//
// Marks:      mark_*: the host wrote an entry, at most one every eight cycles, taken at once; card_mark_*: the card inserted or removed a
//             flow or, with card_mark_client_i, a client, one a cycle while card_mark_ready_o. None is lost.
// Search:     find_valid_i asks for the first valid entry at or after find_index_i of find_table_i and is held until
//             find_done_o pulses, with find_found_o and find_index_o (the table's size if none was found), which hold until the next
//             search. The host's marks that came before it are seen; what changes behind the search's back is not.
// Memory:     words of 64 bits in UltraRAM. A mark reads its word, changes it and writes it back, four cycles later, so the next four
//             take the word from it if it is theirs. The host's marks go first; searches get every fourth cycle, or whatever flows leave.
// Clearing:   clear_i (pulse) starts a walk over the map; busy_o until it ends. Marks are lost meanwhile.
// Latency:    a search takes about 14 cycles, and one for each word without a valid entry (four while flows come and go).
module ps_valid_map
  import ps_abi_pkg::*;
  import ps_ram_deep_pkg::*;
(
  input  logic        clk_i,
  input  logic        rst_i,
  input  logic        clear_i,
  output logic        busy_o,

  input  logic        mark_valid_i,
  input  logic [7:0]  mark_table_i,
  // verilator lint_off UNUSEDSIGNAL  // the access was checked against the table's size
  input  logic [31:0] mark_index_i,
  // verilator lint_on UNUSEDSIGNAL
  input  logic        mark_set_i,
  input  logic        card_mark_valid_i,
  input  logic        card_mark_client_i,
  input  index_t      card_mark_index_i,
  input  logic        card_mark_set_i,
  output logic        card_mark_ready_o,

  input  logic        find_valid_i,
  input  logic [7:0]  find_table_i,
  input  logic [31:0] find_index_i,
  output logic        find_done_o,
  output logic        find_found_o,
  output logic [31:0] find_index_o
);

  // First word of each table's bits; the tables' sizes are multiples of 64, but for the smallest.
  localparam int unsigned BaseVif       = 0;
  localparam int unsigned BaseIlm       = BaseVif + Vifs / 64;
  localparam int unsigned BaseNextHop   = BaseIlm + Labels / 64;
  localparam int unsigned BaseEcmp      = BaseNextHop + NextHops / 64;
  localparam int unsigned BaseHostRoute = BaseEcmp + EcmpWords / 64;
  localparam int unsigned BasePrefix    = BaseHostRoute + HostRoutes / 64;
  localparam int unsigned BaseFipKey    = BasePrefix + Prefixes / 64;
  localparam int unsigned BaseFipMap    = BaseFipKey + FipKeys / 64;
  localparam int unsigned BaseFlow      = BaseFipMap + FipMaps / 64;
  localparam int unsigned BaseDefaultRoute = BaseFlow + Flows / 64;
  localparam int unsigned BasePrefixLength = BaseDefaultRoute + Vrfs / 64;
  localparam int unsigned BaseVrf       = BasePrefixLength + (PrefixTables + 63) / 64;
  localparam int unsigned BaseServiceKey   = BaseVrf + Vrfs / 64;
  localparam int unsigned BaseTunnelSource = BaseServiceKey + ServiceKeys / 64;
  localparam int unsigned BasePlainFip     = BaseTunnelSource + TunnelSources / 64;
  localparam int unsigned BaseFlowShare    = BasePlainFip + PlainFips / 64;
  localparam int unsigned BaseAffinity     = BaseFlowShare + FlowShares / 64;
  localparam int unsigned Words         = BaseAffinity + Affinities / 64;
  localparam int unsigned Depth         = banks(Words) * BankDepth;
  localparam int unsigned AddrWidth     = $clog2(Depth);

  typedef logic [AddrWidth-1:0] addr_t;

  typedef struct packed {
    addr_t      addr;
    logic [5:0] position;
    logic       set;
  } mark_t;

  function automatic addr_t base(input logic [7:0] id);
    unique case (id)
      TableVif:       base = addr_t'(BaseVif);
      TableIlm:       base = addr_t'(BaseIlm);
      TableNextHop:   base = addr_t'(BaseNextHop);
      TableEcmp:      base = addr_t'(BaseEcmp);
      TableHostRoute: base = addr_t'(BaseHostRoute);
      TablePrefix:    base = addr_t'(BasePrefix);
      TableFipKey:    base = addr_t'(BaseFipKey);
      TableFipMap:    base = addr_t'(BaseFipMap);
      TableFlow:      base = addr_t'(BaseFlow);
      TableDefaultRoute: base = addr_t'(BaseDefaultRoute);
      TablePrefixLength: base = addr_t'(BasePrefixLength);
      TableVrf:       base = addr_t'(BaseVrf);
      TableServiceKey:   base = addr_t'(BaseServiceKey);
      TableTunnelSource: base = addr_t'(BaseTunnelSource);
      TablePlainFip:  base = addr_t'(BasePlainFip);
      TableFlowShare: base = addr_t'(BaseFlowShare);
      TableAffinity:  base = addr_t'(BaseAffinity);
      default:        base = '0;
    endcase
  endfunction

  // Lowest set bit.
  function automatic logic [2:0] lowest(input logic [7:0] value);
    lowest = '0;
    for (int i = 7; i >= 0; i--) if (value[i]) lowest = 3'(i);
  endfunction

  // --- Clearing: all banks together
  logic  clear_q;
  addr_t clear_addr_q;

  always_ff @(posedge clk_i) begin
    clear_addr_q <= clear_addr_q + addr_t'(1);
    if (clear_addr_q == addr_t'(BankDepth - 1)) clear_q <= 1'b0;
    if (clear_i || rst_i) begin
      clear_q      <= 1'b1;
      clear_addr_q <= '0;
    end
  end

  // --- Marks, as they come
  localparam int unsigned FlowMarks = 8;           // that may wait

  logic       host_valid_q, host_set_q, host_go;
  logic       host_pending_q, host_none_q;         // the second is the first, the other way round, for what only decides
  addr_t      host_base_q, host_offset_q;
  logic [5:0] host_position_q;
  mark_t      host_q, flow_in_q, flow;
  logic       flow_in_valid_q, flow_in_ready, flow_valid, flow_go;
  logic [4:0] flow_held;
  logic [3:0] settle_q;   // until the host's last mark is in memory
  logic [2:0] turn_q;     // a search comes before flows' marks in the cycle of the upper bit, one of four

  always_ff @(posedge clk_i) begin
    turn_q          <= {turn_q[1:0], turn_q == '0};
    host_valid_q    <= mark_valid_i;
    host_base_q     <= base(mark_table_i);
    host_offset_q   <= mark_index_i[6+:AddrWidth];
    host_position_q <= mark_index_i[5:0];
    host_set_q      <= mark_set_i;
    if (host_valid_q) host_q <= '{addr: host_base_q + host_offset_q, position: host_position_q, set: host_set_q};
    host_pending_q  <= host_valid_q;
    host_none_q     <= !host_valid_q;
    if (mark_valid_i) settle_q <= 4'd6;
    else if (settle_q != '0) settle_q <= settle_q - 4'd1;
    flow_in_valid_q <= card_mark_valid_i && card_mark_ready_o && !clear_q;
    card_mark_ready_o <= flow_held < 5'(FlowMarks - 4);
    flow_in_q       <= '{addr: addr_t'(card_mark_client_i ? BaseAffinity : BaseFlow) + addr_t'(card_mark_index_i[IndexBits-1:6]),
                         position: card_mark_index_i[5:0], set: card_mark_set_i};
    if (clear_q || rst_i) begin
      host_valid_q   <= 1'b0;
      host_pending_q <= 1'b0;
      host_none_q    <= 1'b1;
    end
    if (rst_i) begin
      turn_q          <= '0;
      settle_q        <= '0;
      flow_in_valid_q <= 1'b0;
      card_mark_ready_o <= 1'b0;
    end
  end

  ps_fifo #(
    .Width($bits(mark_t)),
    .Depth(FlowMarks),
    .Style("distributed")
  ) u_flow_marks (
    .clk_i,
    .rst_i,
    .wvalid_i(flow_in_valid_q),
    .wready_o(flow_in_ready),
    .wdata_i (flow_in_q),
    .rvalid_o(flow_valid),
    .rready_i(flow_go),
    .rdata_o (flow),
    .count_o (flow_held)
  );

  // --- The memory's pipeline: choose (a), read (b, c), change (d), write (e)
  localparam int unsigned Behind = 4;              // marks behind one whose write they do not read

  logic        search_want, search_go, mark_go;
  addr_t       search_addr_q;
  mark_t       a_q, b_q, c_q;
  logic        a_mark_q, a_search_q, b_mark_q, b_search_q, c_mark_q, c_search_q, d_mark_q, d_search_q, e_mark_q;
  addr_t       d_addr_q, e_addr_q;
  logic [Behind:1]       b_same_q, c_same_q;      // the mark so many cycles ahead has the same word
  logic [Behind-1:1][63:0] word_q;                // what the marks ahead wrote
  logic        d_next_q, d_near_q;                // the one just ahead has it, or another of those ahead
  logic [63:0] rdata, unused_rdata, near_q, d_set_q, d_keep_q, changed;

  assign host_go   = host_pending_q;
  assign search_go = host_none_q && search_want && (turn_q[2] || !flow_valid);
  assign flow_go   = host_none_q && flow_valid && !(search_want && turn_q[2]);
  assign mark_go   = host_go || flow_go;

  always_ff @(posedge clk_i) begin
    a_q        <= host_go ? host_q : flow;
    if (search_go) a_q.addr <= search_addr_q;
    a_mark_q   <= mark_go;
    a_search_q <= search_go;

    b_q        <= a_q;
    b_mark_q   <= a_mark_q;
    b_search_q <= a_search_q;
    b_same_q   <= {e_mark_q && e_addr_q == a_q.addr, d_mark_q && d_addr_q == a_q.addr, c_mark_q && c_q.addr == a_q.addr,
                   b_mark_q && b_q.addr == a_q.addr};

    c_q        <= b_q;
    c_mark_q   <= b_mark_q;
    c_search_q <= b_search_q;
    c_same_q   <= b_same_q;

    // Of those ahead, all but the next one have changed their word by now.
    d_addr_q   <= c_q.addr;
    d_mark_q   <= c_mark_q;
    d_search_q <= c_search_q;
    d_next_q   <= c_same_q[1];
    d_near_q   <= c_same_q[Behind:2] != '0;
    near_q     <= c_same_q[2] ? word_q[1] : c_same_q[3] ? word_q[2] : word_q[3];
    d_set_q    <= c_q.set ? 64'd1 << c_q.position : '0;
    d_keep_q   <= c_q.set ? '1 : ~(64'd1 << c_q.position);

    e_addr_q   <= d_addr_q;
    e_mark_q   <= d_mark_q;
    word_q     <= {word_q[Behind-2:1], changed};
    if (clear_q || rst_i) {a_mark_q, b_mark_q, c_mark_q, d_mark_q, e_mark_q} <= '0;
  end

  assign changed = ((d_next_q ? word_q[1] : d_near_q ? near_q : rdata) & d_keep_q) | d_set_q;

  ps_ram_deep #(
    .Width(64),
    .Depth(Depth)
  ) u_bits (
    .clk_i,
    .a_re_i   (a_mark_q || a_search_q),
    .a_addr_i (a_q.addr),
    .a_rdata_o(rdata),
    .b_re_i   (1'b0),
    .b_we_i   (e_mark_q || clear_q),
    .b_all_i  (clear_q),
    .b_addr_i (clear_q ? clear_addr_q : e_addr_q),
    .b_wdata_i(clear_q ? '0 : word_q[1]),
    .b_rdata_o(unused_rdata)
  );

  // --- Search: words are read ahead and looked at as they come
  typedef enum logic [6:0] {
    StIdle   = 7'b0000001,
    StSetUp  = 7'b0000010,
    StBegin  = 7'b0000100,
    StSearch = 7'b0001000,
    StByte   = 7'b0010000,
    StBit    = 7'b0100000,
    StDone   = 7'b1000000
  } state_e;

  state_e      state_q;
  logic        reading_q, found_q, first_q, beyond, searching, seen_q, looked_q, hit;
  logic [31:0] depth_q, index_q;
  addr_t       last_word_q, base_q, last_q, ask_q, look_q;   // words of the table: the last one, the one to be read, the one to be looked at
  logic [63:0] from_q, seen_bits_q, bits_q;
  logic [7:0]  bytes_q, byte_q;                 // of bits_q: which bytes have a bit; the lowest of these
  logic [2:0]  high_q;

  assign search_want = reading_q && state_q == StSearch;
  assign searching   = state_q == StSearch;
  assign beyond      = find_index_i >= depth_q;
  assign hit         = looked_q && bytes_q != '0;

  always_ff @(posedge clk_i) begin
    // Into the look: less the entries before the one asked for, in the first word
    seen_q      <= d_search_q && searching && !hit;
    seen_bits_q <= rdata & (first_q ? from_q : '1);
    if (d_search_q) first_q <= 1'b0;
    looked_q    <= seen_q && searching && !hit;
    if (seen_q && !hit) begin
      bits_q <= seen_bits_q;
      for (int unsigned i = 0; i < 8; i++) bytes_q[i] <= seen_bits_q[8*i+:8] != '0;
    end

    unique case (state_q)
      // A mark that is still on its way must be seen.
      StIdle: if (find_valid_i && settle_q == '0 && !mark_valid_i) begin
        state_q <= StSetUp;
        found_q <= 1'b0;
      end
      StSetUp: state_q <= StBegin;
      StBegin: begin
        state_q   <= beyond ? StDone : StSearch;
        reading_q <= 1'b1;
        first_q   <= 1'b1;
        index_q   <= depth_q;
      end
      StSearch: begin
        if (search_go) begin
          search_addr_q <= search_addr_q + addr_t'(1);
          ask_q         <= ask_q + addr_t'(1);
          if (ask_q == last_q) reading_q <= 1'b0;
        end
        if (looked_q && !hit) look_q <= look_q + addr_t'(1);
        if (hit) state_q <= StByte;
        else if (looked_q && look_q == last_q) state_q <= StDone;
      end
      StByte: begin
        high_q  <= lowest(bytes_q);
        byte_q  <= bits_q[{lowest(bytes_q), 3'd0}+:8];
        state_q <= StBit;
      end
      StBit: begin
        index_q <= 32'({look_q, high_q, lowest(byte_q)});
        found_q <= 1'b1;
        state_q <= StDone;
      end
      default: state_q <= StIdle;
    endcase

    depth_q <= table_depth(find_table_i);
    base_q  <= base(find_table_i);
    // A cycle behind; the smallest table has less than a word.
    last_word_q <= addr_t'((depth_q - 32'd1) >> 6);
    if (state_q == StSetUp || state_q == StBegin) begin
      search_addr_q <= base_q + find_index_i[6+:AddrWidth];
      ask_q         <= find_index_i[6+:AddrWidth];
      look_q        <= find_index_i[6+:AddrWidth];
      last_q        <= last_word_q;
      from_q        <= '1 << find_index_i[5:0];
    end
    if (rst_i) begin
      state_q   <= StIdle;
      reading_q <= 1'b0;
    end
  end

  assign busy_o       = clear_q;
  assign find_done_o  = state_q == StDone;
  assign find_found_o = found_q;
  assign find_index_o = index_q;

  logic unused_bits;
  assign unused_bits = ^{depth_q, flow_held, unused_rdata};

`ifndef SYNTHESIS
  initial begin
    assert (Vifs % 64 == 0 && Labels % 64 == 0 && NextHops % 64 == 0 && EcmpWords % 64 == 0 && HostRoutes % 64 == 0 &&
            Prefixes % 64 == 0 && FipKeys % 64 == 0 && FipMaps % 64 == 0 && Flows % 64 == 0 && Vrfs % 64 == 0 &&
            ServiceKeys % 64 == 0 && TunnelSources % 64 == 0 && PlainFips % 64 == 0 && FlowShares % 64 == 0 && Affinities % 64 == 0)
      else $fatal(1, "ps_valid_map: a table's size is not a multiple of 64");
    assert (latency(Depth) == 3) else $fatal(1, "ps_valid_map: the memory's latency is not the pipeline's");
  end

  a_state : assert property (@(posedge clk_i) disable iff (rst_i) $onehot(state_q));
  a_flow_taken : assert property (@(posedge clk_i) disable iff (rst_i) flow_in_valid_q |-> flow_in_ready);
  a_host_taken : assert property (@(posedge clk_i) disable iff (rst_i || clear_q) host_valid_q |-> !host_pending_q);
  a_host_apart : assert property (@(posedge clk_i) disable iff (rst_i || clear_q) mark_valid_i |-> settle_q == '0);
  a_asked : assert property (@(posedge clk_i) disable iff (rst_i) !find_valid_i |-> state_q == StIdle);
  a_whole : assert property (@(posedge clk_i) disable iff (rst_i) find_done_o |-> find_found_o == (index_q < depth_q));
  a_host_seen : assert property (@(posedge clk_i) disable iff (rst_i || clear_q)
                                 search_want |-> !host_pending_q && !host_valid_q);
`endif

endmodule
