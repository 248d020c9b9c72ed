// Longest-prefix match: tables of one length each, asked all at once, and a default route for each VRF.
//
// Lookup:      valid_i/vrf_i/ip_i every cycle; route_o 7 cycles later, combinational out of registers (0 unless found). Rank r stands for
//              the prefixes of length PrefixLength[r]; of the ranks that hit the lowest wins, then the default route.
// Late:        the VRF is known a cycle after the address: late_valid_i says whether the look-up is made at all, late_i whether in
//              late_vrf_i, from a memory, in place of vrf_i; all then comes a cycle later. The hash is linear: the address's part is
//              worked out meanwhile, then that of either VRF, and which of them counts is chosen between registers.
// Spreading:   rank r is looked for in table r ^ s, where s is a hash of VRF and first 8 bits of the address: prefixes of one length
//              use all tables. Every rank is hashed before s is known; s then only sorts the hashes to the tables.
// Longer:      longer_o, beside route_o: it is longer than one of len_i, or there is no such (found_i is 0, len_i too). Compared table by
//              table, while the one that counts is taken.
// Parity:      a look-up that meets a slot with the wrong parity says bad_o with route_o: what is found may be the wrong prefix. One whose
//              default route has it says default_bad_o a cycle later. PrefixLength is in registers. error_o (Prefix) and default_error_o
//              say which entries they were.
// Maintenance: of Prefix, DefaultRoute and PrefixLength, as in ps_table; rdata_o and acc_bad_o stand 8 cycles after a read at most, and
//              then hold.
// Ports:       as in ps_bucket_rows: 16 memories of 1024 rows, whose first port packets use every cycle.
module ps_prefix_table
  import ps_abi_pkg::*;
  import ps_bucket_pkg::*;
  import ps_match_pkg::*;
#(
  parameter bit Late = 1'b0
) (
  input  logic        clk_i,
  input  logic        rst_i,
  input  logic        valid_i,
  input  logic [11:0] vrf_i,
  input  logic [31:0] ip_i,
  input  logic        late_valid_i,
  input  logic        late_i,
  input  logic [11:0] late_vrf_i,
  output route_t      route_o,
  output logic        bad_o,
  input  logic        found_i,
  input  logic [5:0]  len_i,
  output logic        longer_o,
  output logic        default_bad_o,
  output parity_error_t error_o,
  output parity_error_t default_error_o,
  // verilator lint_off UNUSEDSIGNAL  // of the accesses only those to these tables count
  input  access_t     acc_i,
  // verilator lint_on UNUSEDSIGNAL
  input  prefix_t     acc_wdata_i,
  output prefix_t     rdata_o,
  output logic        acc_bad_o
);

  localparam int unsigned KeyBits    = 44;
  localparam int unsigned PlaceBits  = $clog2(PrefixWays) + PrefixRowsLog2 + $clog2(BucketSlots);
  localparam int unsigned HashBits   = PrefixWays * PrefixRowsLog2;
  localparam int unsigned RankBits   = $clog2(PrefixTables);
  localparam int unsigned Chunks     = 3;    // of the address, each with its own part of the hash
  localparam int unsigned ChunkBits  = 11;
  localparam int unsigned DataBits   = PrefixBits - KeyBits - 1;

  typedef logic [RankBits-1:0] rank_t;
  typedef logic [HashBits-1:0] hash_t;

  // --- Lengths, as masks besides.
  prefix_length_t length_q [PrefixTables];
  logic [31:0]    mask_q [PrefixTables];

  always_ff @(posedge clk_i) begin
    for (int unsigned r = 0; r < PrefixTables; r++) begin
      if (acc_i.we[SelPrefixLength] && acc_i.index[RankBits-1:0] == rank_t'(r)) begin
        length_q[r] <= acc_wdata_i[PrefixLengthBits-1:0];
      end
      // A length of 32 or more leaves the whole address.
      mask_q[r] <= ~(32'hffff_ffff >> length_q[r].len);
    end
  end

  // --- 1: the hash of every rank, in parts; where the ranks go.
  // What a bit of the key turns of the hash: the masks by column, as adding up the few bits of a chunk is less than HashBits parities.
  function automatic logic [KeyBits-1:0][HashBits-1:0] columns();
    for (int unsigned k = 0; k < KeyBits; k++) begin
      for (int unsigned i = 0; i < HashBits; i++) columns[k][i] = KeyMasks[i][k];
    end
  endfunction

  localparam logic [KeyBits-1:0][HashBits-1:0] Columns = columns();

  function automatic rank_t spread_of(input logic [11:0] vrf, input logic [PrefixLenMin-1:0] first);
    logic [KeyBits-1:0] key;
    key = {first, {(32 - PrefixLenMin){1'b0}}, vrf};
    for (int unsigned i = 0; i < RankBits; i++) spread_of[i] = ^(key & KeyMasks[HashBits+i][KeyBits-1:0]);
  endfunction

  // Part of the hash: of chunk `chunk` of an address.
  function automatic hash_t hash_of_chunk(input logic [31:0] ip, input int unsigned chunk);
    hash_of_chunk = '0;
    for (int unsigned i = chunk * ChunkBits; i < (chunk + 1) * ChunkBits && i < 32; i++) begin
      hash_of_chunk ^= {HashBits{ip[i]}} & Columns[12+i];
    end
  endfunction

  function automatic hash_t hash_of_vrf(input logic [11:0] vrf);
    hash_of_vrf = '0;
    for (int unsigned i = 0; i < 12; i++) hash_of_vrf ^= {HashBits{vrf[i]}} & Columns[i];
  endfunction

  // Cycle 1, and what rests there: of every rank its part of the hash, and where the ranks go.
  hash_t       hash1 [PrefixTables];
  hash_t       vrf_part1;
  (* keep *) rank_t spread1 [PrefixTables];    // one a table
  rank_t       spread_q [2:6];
  logic [11:0] vrf1, vrf_q [2:5];
  logic [31:0] ip1_q, ip2_q;
  logic [6:2]  valid_q;
  logic        valid1_q;

  if (!Late) begin : gen_prompt
    hash_t       part_q [PrefixTables][Chunks];
    hash_t       vrf_part_q;
    (* keep *) rank_t spread1_q [PrefixTables];
    logic [11:0] vrf1_q;
    rank_t       spread;

    assign spread = spread_of(vrf_i, ip_i[31 -: PrefixLenMin]);

    for (genvar r = 0; r < PrefixTables; r++) begin : gen_rank
      assign hash1[r]   = part_q[r][0] ^ part_q[r][1] ^ part_q[r][2];
      assign spread1[r] = spread1_q[r];
    end

    assign vrf_part1 = vrf_part_q;
    assign vrf1      = vrf1_q;

    always_ff @(posedge clk_i) begin
      if (!Rests || valid_i) begin
        for (int unsigned r = 0; r < PrefixTables; r++) begin
          for (int unsigned c = 0; c < Chunks; c++) part_q[r][c] <= hash_of_chunk(ip_i & mask_q[r], c);
          spread1_q[r] <= spread;
        end
        vrf_part_q <= hash_of_vrf(vrf_i);
        ip1_q      <= ip_i;
        vrf1_q     <= vrf_i;
      end
      valid1_q <= valid_i && !rst_i;
    end

    logic unused_late;
    assign unused_late = ^{late_valid_i, late_i, late_vrf_i};
  end else begin : gen_late
    hash_t       part_q [PrefixTables][Chunks];
    hash_t       hash1_q [PrefixTables];
    hash_t       early_part_q, late_part_q;
    rank_t       ip_spread_q;
    (* keep *) rank_t early_spread_q [PrefixTables];
    (* keep *) rank_t late_spread_q [PrefixTables];
    (* keep *) logic late_q [PrefixTables];
    logic [11:0] vrf0_q, vrf1_q;
    logic [31:0] ip0_q;
    logic        valid0_q, late1_q;

    for (genvar r = 0; r < PrefixTables; r++) begin : gen_rank
      assign hash1[r]   = hash1_q[r];
      assign spread1[r] = late_q[r] ? late_spread_q[r] : early_spread_q[r];
    end

    assign vrf_part1 = late1_q ? late_part_q : early_part_q;
    assign vrf1      = vrf1_q;

    always_ff @(posedge clk_i) begin
      if (!Rests || valid_i) begin
        for (int unsigned r = 0; r < PrefixTables; r++) begin
          for (int unsigned c = 0; c < Chunks; c++) part_q[r][c] <= hash_of_chunk(ip_i & mask_q[r], c);
        end
        ip_spread_q <= spread_of('0, ip_i[31 -: PrefixLenMin]);
        ip0_q       <= ip_i;
        vrf0_q      <= vrf_i;
      end
      if (!Rests || (valid0_q && late_valid_i)) begin
        for (int unsigned r = 0; r < PrefixTables; r++) begin
          hash1_q[r]        <= part_q[r][0] ^ part_q[r][1] ^ part_q[r][2];
          early_spread_q[r] <= ip_spread_q ^ spread_of(vrf0_q, '0);
          late_spread_q[r]  <= ip_spread_q ^ spread_of(late_vrf_i, '0);
          late_q[r]         <= late_i;
        end
        early_part_q <= hash_of_vrf(vrf0_q);
        late_part_q  <= hash_of_vrf(late_vrf_i);
        late1_q      <= late_i;
        vrf1_q       <= late_i ? late_vrf_i : vrf0_q;
        ip1_q        <= ip0_q;
      end
      valid0_q <= valid_i && !rst_i;
      valid1_q <= valid0_q && late_valid_i && !rst_i;
    end
  end

  always_ff @(posedge clk_i) begin
    ip2_q       <= ip1_q;
    vrf_q[2]    <= vrf1;
    for (int unsigned i = 3; i <= 5; i++) vrf_q[i] <= vrf_q[i-1];
    spread_q[2] <= spread1[0];
    for (int unsigned i = 3; i <= 6; i++) spread_q[i] <= spread_q[i-1];
    valid_q <= rst_i ? '0 : {valid_q[5:2], valid1_q};
  end

  // --- 2 to 7: the tables.
  logic [PrefixTables-1:0] hit6, bad6, win7_q;
  logic [DataBits-1:0]     data7 [PrefixTables];
  prefix_t                 table_rdata [PrefixTables];
  logic [PrefixTables-1:0] table_bad;
  parity_error_t           table_error [PrefixTables];

  for (genvar t = 0; t < PrefixTables; t++) begin : gen_table
    rank_t          rank1;
    hash_t          row2_q;
    prefix_length_t length2_q;
    logic           valid2_q, look3_q, look4_q;
    logic [31:0]    ip3_q, ip4_q;

    assign rank1 = spread1[t] ^ rank_t'(t);

    always_ff @(posedge clk_i) begin
      if (valid1_q) begin
        row2_q    <= hash1[rank1] ^ vrf_part1;
        length2_q <= length_q[rank1];
      end
      valid2_q  <= valid1_q && !rst_i;
      ip3_q     <= ip2_q & ~(32'hffff_ffff >> length2_q.len);
      look3_q   <= valid2_q && length2_q.valid;
      ip4_q     <= ip3_q;
      look4_q   <= look3_q && !rst_i;
    end

    ps_bucket_rows #(
      .EntryBits(PrefixBits),
      .KeyBits  (KeyBits),
      .Ways     (PrefixWays),
      .RowsLog2 (PrefixRowsLog2),
      .Style    ("block")
    ) u_rows (
      .clk_i,
      .rst_i,
      .re_i       (valid2_q),
      .row_i      (row2_q),
      .look_i     (look4_q),
      .key_i      ({ip4_q, vrf_q[4]}),
      .hit_o      (hit6[t]),
      .bad_o      (bad6[t]),
      .data_o     (data7[t]),
      .error_o    (table_error[t]),
      .acc_re_i   (acc_i.re[SelPrefix] && acc_i.index[PlaceBits +: RankBits] == rank_t'(t)),
      .acc_we_i   (acc_i.we[SelPrefix] && acc_i.index[PlaceBits +: RankBits] == rank_t'(t)),
      .acc_flip_i (acc_i.flip),
      .acc_index_i(acc_i.index[PlaceBits-1:0]),
      .acc_wdata_i(acc_wdata_i),
      .acc_rdata_o(table_rdata[t]),
      .acc_bad_o  (table_bad[t])
    );

    // Table u has a lower rank than t if u ^ s < t ^ s: if in the highest bit in which u and t differ, u is as s.
    logic beaten;

    always_comb begin
      beaten = 1'b0;
      for (int unsigned u = 0; u < PrefixTables; u++) begin
        for (int unsigned b = 0; b < RankBits; b++) begin
          if ((u ^ t) >> b == 1 && hit6[u] && spread_q[6][b] == u[b]) beaten = 1'b1;
        end
      end
    end

    always_ff @(posedge clk_i) win7_q[t] <= hit6[t] && !beaten && !rst_i;
  end

  // One at a time; of several in one cycle that of the first table.
  always_ff @(posedge clk_i) begin
    error_o.valid <= 1'b0;
    for (int unsigned t = PrefixTables; t-- > 0;) begin
      if (table_error[t].valid) begin
        error_o.valid <= !rst_i;
        error_o.index <= index_t'({rank_t'(t), table_error[t].index[PlaceBits-1:0]});
      end
    end
  end

  // --- 5 to 7: the default route.
  default_route_t default7, default_rdata;
  logic           default_win7_q, no_default7_q, bad7_q, default_win8_q, default_odd8, default_bad;
  logic [11:0]    vrf_q6, vrf_q7, vrf_q8;

  ps_table #(
    .Width(DefaultRouteBits),
    .Depth(Vrfs)
  ) u_default (
    .clk_i,
    .re_i       (valid_q[5]),
    .addr_i     (vrf_q[5]),
    .rdata_o    (default7),
    .bad_o      (default_odd8),
    .acc_re_i   (acc_i.re[SelDefaultRoute]),
    .acc_we_i   (acc_i.we[SelDefaultRoute]),
    .acc_flip_i (acc_i.flip),
    .acc_index_i(default_route_addr_t'(acc_i.index)),
    .acc_wdata_i(acc_wdata_i[DefaultRouteBits-1:0]),
    .acc_rdata_o(default_rdata),
    .acc_bad_o  (default_bad)
  );

  always_ff @(posedge clk_i) begin
    default_win7_q <= valid_q[6] && hit6 == '0 && !rst_i;
    no_default7_q  <= !valid_q[6] || hit6 != '0 || rst_i;    // a copy for the comparison: the other has the whole route as loads
    bad7_q         <= bad6 != '0 && !rst_i;
    default_win8_q <= default_win7_q && !rst_i;
    if (valid_q[5]) vrf_q6 <= vrf_q[5];
    if (valid_q[6]) vrf_q7 <= vrf_q6;
    if (default_win7_q) vrf_q8 <= vrf_q7;
    default_error_o.valid <= default_bad_o && !rst_i;
    if (default_bad_o) default_error_o.index <= index_t'(vrf_q8);
  end

  assign default_bad_o = default_win8_q && default_odd8;

  always_comb begin
    route_o = '0;
    for (int unsigned t = 0; t < PrefixTables; t++) begin
      if (win7_q[t]) {route_o.sources, route_o.label_valid, route_o.label, route_o.nh, route_o.len} |= data7[t];
    end
    if (default_win7_q && default7.valid) begin
      {route_o.sources, route_o.label_valid, route_o.label, route_o.nh} |=
        {default7.sources, default7.label_valid, default7.label, default7.nh};
    end
    route_o.found = win7_q != '0 || (default_win7_q && default7.valid);
  end

  // Of lengths below 32; in pairs of bits, as a comparison by carries is the slower for so few.
  function automatic logic exceeds(input logic [4:0] len, input logic [4:0] other);
    logic [4:0] more;
    logic [4:1] same;
    more    = len & ~other;
    same    = ~(len[4:1] ^ other[4:1]);
    exceeds = more[4] || (same[4] && more[3]) ||
              (same[4] && same[3] && (more[2] || (same[2] && more[1]) || (same[2] && same[1] && more[0])));
  endfunction

  // The length stands in the lowest bits of an entry's data, and is 1 to 31.
  logic [PrefixTables-1:0] longer;

  always_comb begin
    for (int unsigned t = 0; t < PrefixTables; t++) longer[t] = win7_q[t] && exceeds(data7[t][4:0], len_i[4:0]);
  end

  assign longer_o = (longer != '0 && !len_i[5]) || (!no_default7_q && default7.valid && !found_i);

  assign bad_o = bad7_q;

  // --- What was read, of whichever table.
  typedef enum logic [1:0] {
    OfPrefix,
    OfDefault,
    OfLength
  } read_e;

  read_e read_q;
  rank_t read_table_q, read_rank_q;

  always_ff @(posedge clk_i) begin
    if (acc_i.re[SelPrefix])       read_q <= OfPrefix;
    if (acc_i.re[SelDefaultRoute]) read_q <= OfDefault;
    if (acc_i.re[SelPrefixLength]) read_q <= OfLength;
    if (acc_i.re[SelPrefix])       read_table_q <= acc_i.index[PlaceBits +: RankBits];
    if (acc_i.re[SelPrefixLength]) read_rank_q <= acc_i.index[RankBits-1:0];
    unique case (read_q)
      OfDefault: {acc_bad_o, rdata_o} <= {default_bad, PrefixBits'(default_rdata)};
      OfLength:  {acc_bad_o, rdata_o} <= {1'b0, PrefixBits'(length_q[read_rank_q])};
      default:   {acc_bad_o, rdata_o} <= {table_bad[read_table_q], table_rdata[read_table_q]};
    endcase
  end

`ifndef SYNTHESIS
  initial assert (row_cycles(PrefixRowsLog2) == 2) else $fatal(1, "ps_prefix_table: rows come in cycle 4");
  initial assert (Chunks * ChunkBits >= 32) else $fatal(1, "ps_prefix_table: an address has more bits");
  initial assert (DataBits == 57) else $fatal(1, "ps_prefix_table: an entry's data are not a route's");

  a_one : assert property (@(posedge clk_i) disable iff (rst_i) $onehot0(win7_q));
`endif

endmodule
