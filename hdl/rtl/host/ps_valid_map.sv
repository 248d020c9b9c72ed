// Knows which entries of the tables are valid, so that a search covers 64 entries in two cycles.
//
// Marks:      mark_*: the host wrote an entry; flow_mark_*: the card inserted or removed a flow. Each at most one a cycle; the
//             host's marks, which are rare, give way.
// Search:     find_valid_i asks for the first valid entry at or after find_index_i of find_table_i and is held until
//             find_done_o pulses, with find_found_o and find_index_o (the table's size if none was found). What changes behind
//             the search's back is not seen.
// Clearing:   clear_i (pulse) starts a walk over the map; busy_o until it ends.
module ps_valid_map
  import ps_abi_pkg::*;
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
  input  logic        flow_mark_valid_i,
  input  flow_addr_t  flow_mark_index_i,
  input  logic        flow_mark_set_i,

  input  logic        find_valid_i,
  input  logic [7:0]  find_table_i,
  input  logic [31:0] find_index_i,
  output logic        find_done_o,
  output logic        find_found_o,
  output logic [31:0] find_index_o
);

  // First word of each table's bits.
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
  localparam int unsigned Words         = BasePrefixLength + (PrefixTables + 63) / 64;
  localparam int unsigned AddrWidth     = $clog2(Words);

  typedef logic [AddrWidth-1:0] addr_t;

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
      default:        base = '0;
    endcase
  endfunction

  // Bit of an entry; tables begin with a word of their own.
  function automatic logic [AddrWidth+5:0] position(input logic [7:0] id,
                                                    input logic [AddrWidth+5:0] index);
    position = {base(id), 6'd0} + index;
  endfunction

  // Lowest set bit.
  function automatic logic [5:0] lowest(input logic [63:0] value);
    lowest = '0;
    for (int i = 63; i >= 0; i--) if (value[i]) lowest = 6'(i);
  endfunction

  // --- Marks and clearing
  logic                 clear_q, mark_pending_q, mark_set_q, we, wbit;
  addr_t                clear_addr_q;
  logic [AddrWidth+5:0] mark_addr_q, waddr;

  always_comb begin
    we    = flow_mark_valid_i || mark_pending_q;
    wbit  = flow_mark_valid_i ? flow_mark_set_i : mark_set_q;
    waddr = flow_mark_valid_i ? position(TableFlow, (AddrWidth + 6)'(flow_mark_index_i)) : mark_addr_q;
    if (clear_q) waddr = {clear_addr_q, 6'd0};
  end

  always_ff @(posedge clk_i) begin
    if (mark_valid_i) begin
      mark_addr_q <= position(mark_table_i, mark_index_i[AddrWidth+5:0]);
      mark_set_q  <= mark_set_i;
    end
    if (mark_valid_i) mark_pending_q <= 1'b1;
    else if (!flow_mark_valid_i) mark_pending_q <= 1'b0;
    if (clear_q) clear_addr_q <= clear_addr_q + addr_t'(1);
    if (clear_addr_q == addr_t'(Words - 1)) clear_q <= 1'b0;
    if (clear_i || rst_i) begin
      clear_q        <= 1'b1;
      clear_addr_q   <= '0;
      mark_pending_q <= 1'b0;
    end
  end

  // --- Search
  typedef enum logic [1:0] {
    StIdle,
    StRead,
    StLook,
    StDone
  } state_e;

  state_e      state_q;
  addr_t       addr_q;
  logic [63:0] rdata, bits;
  logic [5:0]  from_q;
  logic        first_q, found_q;
  logic [31:0] index_q, depth;   // index_q: first entry of the word under search

  ps_ram_bitmap #(
    .Words(Words)
  ) u_bits (
    .clk_i,
    .clear_i(clear_q),
    .we_i   (we),
    .waddr_i(waddr),
    .wbit_i (wbit),
    .re_i   (state_q == StRead),
    .raddr_i(addr_q),
    .rdata_o(rdata)
  );

  assign depth = table_depth(find_table_i);
  // In the first word, entries before the one asked for do not count.
  assign bits  = first_q ? rdata & ~((64'd1 << from_q) - 64'd1) : rdata;

  always_ff @(posedge clk_i) begin
    unique case (state_q)
      // A mark that is still on its way must be seen.
      StIdle: if (find_valid_i && !mark_pending_q && !mark_valid_i) begin
        addr_q  <= addr_t'(position(find_table_i, find_index_i[AddrWidth+5:0]) >> 6);
        from_q  <= find_index_i[5:0];
        index_q <= find_index_i < depth ? {find_index_i[31:6], 6'd0} : depth;
        first_q <= 1'b1;
        found_q <= 1'b0;
        state_q <= find_index_i < depth ? StRead : StDone;
      end
      StRead: state_q <= StLook;
      StLook: begin
        first_q <= 1'b0;
        if (bits != 0) begin
          index_q <= {index_q[31:6], lowest(bits)};
          found_q <= 1'b1;
          state_q <= StDone;
        end else if (index_q + 32'd64 >= depth) begin
          index_q <= depth;
          state_q <= StDone;
        end else begin
          index_q <= index_q + 32'd64;
          addr_q  <= addr_q + addr_t'(1);
          state_q <= StRead;
        end
      end
      default: state_q <= StIdle;
    endcase
    if (rst_i) state_q <= StIdle;
  end

  assign busy_o       = clear_q;
  assign find_done_o  = state_q == StDone;
  assign find_found_o = found_q;
  assign find_index_o = index_q;

endmodule
