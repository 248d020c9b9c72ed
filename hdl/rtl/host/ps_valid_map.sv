// Knows which entries of the host-written tables are valid, so that a search covers 64 entries a cycle.
//
// Contract:   mark_valid_i records that entry (mark_table_i, mark_index_i) became valid or not; at most one in
//             three cycles. find_valid_i asks for the first valid entry at or after find_index_i of
//             find_table_i and is held until find_done_o pulses, with find_found_o and find_index_o.
// Flows:      the card inserts flows itself; for them every index of the table is offered in turn and the
//             caller looks whether it is valid.
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
  input  logic [31:0] mark_index_i,
  input  logic        mark_set_i,

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
  localparam int unsigned Words         = BaseFipMap + FipMaps / 64;
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
      default:        base = '0;
    endcase
  endfunction

  typedef enum logic [2:0] {
    StIdle,
    StClear,
    StMark,
    StFindRead,
    StFindLook,
    StDone
  } state_e;

  state_e state_q;

  addr_t       addr_q;
  logic        we;
  addr_t       waddr, raddr;
  logic [63:0] wdata, rdata, bits;
  logic [5:0]  bit_q;
  logic        set_q, first_q;
  logic [31:0] index_q, depth;   // index_q: first entry of the word under search
  logic        found_q;
  logic        mark_pending_q;
  logic [7:0]  mark_table_q;
  logic [31:0] mark_index_q;

  ps_ram_sdp #(
    .Width(64),
    .Depth(Words)
  ) u_ram (
    .clk_i,
    .we_i   (we),
    .waddr_i(waddr),
    .wdata_i(wdata),
    .re_i   (1'b1),
    .raddr_i(raddr),
    .rdata_o(rdata)
  );

  assign depth = table_depth(find_table_i);

  // Lowest set bit.
  function automatic logic [5:0] lowest(input logic [63:0] value);
    lowest = '0;
    for (int i = 63; i >= 0; i--) if (value[i]) lowest = 6'(i);
  endfunction

  // In the first word, entries before the one asked for do not count.
  assign bits  = first_q ? rdata & ~((64'd1 << bit_q) - 64'd1) : rdata;
  assign raddr = addr_q;
  assign waddr = addr_q;

  always_comb begin
    we    = 1'b0;
    wdata = '0;
    if (state_q == StClear) begin
      we = 1'b1;
    end else if (state_q == StMark && first_q) begin
      we           = 1'b1;
      wdata        = rdata;
      wdata[bit_q] = set_q;
    end
  end

  always_ff @(posedge clk_i) begin
    if (mark_valid_i) begin
      mark_pending_q <= 1'b1;
      mark_table_q   <= mark_table_i;
      mark_index_q   <= mark_index_i;
      set_q          <= mark_set_i;
    end
    unique case (state_q)
      StIdle: begin
        first_q <= 1'b0;
        if (mark_pending_q) begin
          mark_pending_q <= 1'b0;
          addr_q         <= base(mark_table_q) + addr_t'(mark_index_q >> 6);
          bit_q          <= mark_index_q[5:0];
          state_q        <= StMark;
        end else if (find_valid_i) begin
          if (find_table_i == TableFlow || find_index_i >= depth) begin
            found_q <= find_index_i < depth;
            index_q <= find_index_i;
            state_q <= StDone;
          end else begin
            addr_q  <= base(find_table_i) + addr_t'(find_index_i >> 6);
            bit_q   <= find_index_i[5:0];
            index_q <= {find_index_i[31:6], 6'd0};
            state_q <= StFindRead;
          end
          first_q <= 1'b1;
        end
      end
      // Read, then write back with the bit changed.
      StMark: begin
        first_q <= 1'b1;
        if (first_q) state_q <= StIdle;
      end
      StFindRead: state_q <= StFindLook;
      StFindLook: begin
        first_q <= 1'b0;
        if (bits != 0) begin
          index_q <= {index_q[31:6], lowest(bits)};
          found_q <= 1'b1;
          state_q <= StDone;
        end else if (index_q + 32'd64 >= depth) begin
          index_q <= depth;
          found_q <= 1'b0;
          state_q <= StDone;
        end else begin
          index_q <= index_q + 32'd64;
          addr_q  <= addr_q + addr_t'(1);
          state_q <= StFindRead;
        end
      end
      StDone: state_q <= StIdle;
      StClear: begin
        addr_q <= addr_q + addr_t'(1);
        if (addr_q == addr_t'(Words - 1)) state_q <= StIdle;
      end
      default: state_q <= StIdle;
    endcase
    if (clear_i || rst_i) begin
      addr_q         <= '0;
      mark_pending_q <= 1'b0;
      state_q        <= StClear;
    end
  end

  assign busy_o       = state_q == StClear;
  assign find_done_o  = state_q == StDone;
  assign find_found_o = found_q;
  assign find_index_o = index_q;

endmodule
