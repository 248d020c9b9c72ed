// Source check (section 5): whether a packet from the fabric comes by a tunnel by which packets to its source may leave.
//
// Latency:     CheckCycles (7) from valid_i/ask_i to check_o; one packet every cycle. Of a packet to which it does not apply it is 0.
// Table:       TunnelSource {set, outer source}: the set of the route to the source (Strict), or that of all (Loose).
// Parity:      a row with the wrong one may have held the key: nobody is let in or refused by it. Nor by a VRF's entry that has it.
// Maintenance: as of ps_table.
module ps_source_check
  import ps_abi_pkg::*;
  import ps_types_pkg::*;
  import ps_bucket_pkg::*;
  import ps_match_pkg::*;
(
  input  logic           clk_i,
  input  logic           rst_i,
  input  logic           valid_i,
  input  check_ask_t     ask_i,
  output check_t         check_o,
  output parity_error_t  error_o,
  input  access_t        acc_i,
  input  logic [TunnelSourceBits-1:0] acc_wdata_i,
  output tunnel_source_t rdata_o,
  output logic           acc_bad_o
);

  localparam int unsigned KeyBits = TunnelSourceBits - 1;
  localparam int unsigned Keys    = bucket_cycles(TunnelSourceRowsLog2);

  // How a packet is judged once the look-up says whether its tunnel is among the set's.
  typedef struct packed {
    logic broken;
    logic by_key;          // if it is
    logic passes;          // whether or not
  } judged_t;

  logic        some, loose, off, look, hit, bad, judged;
  judged_t     ask, by;
  source_set_t set;
  logic        unused_data, unused_acc;

  assign some  = ask_i.found && ask_i.sources != '0;
  assign loose = ask_i.check == CheckLoose;
  assign off   = ask_i.check == CheckOff;
  assign set   = loose ? source_set_t'(SourcesKnown) : ask_i.found ? ask_i.sources : '0;
  assign look  = valid_i && ask_i.applies && !ask_i.vrf_bad && !off && (some || !loose);
  assign ask   = '{broken: ask_i.vrf_bad, by_key: !off && (some || !loose), passes: off && (some || !ask_i.found)};

  ps_bucket_table #(
    .EntryBits(TunnelSourceBits + 1),
    .KeyBits  (KeyBits),
    .Ways     (TunnelSourceWays),
    .RowsLog2 (TunnelSourceRowsLog2),
    .Style    ("block")
  ) u_key (
    .clk_i,
    .rst_i,
    .valid_i    (look),
    .key_i      ({ask_i.outer_sip, set}),
    .hit_o      (hit),
    .bad_o      (bad),
    .data_o     (unused_data),
    .error_o,
    .acc_re_i   (acc_i.re[SelTunnelSource]),
    .acc_we_i   (acc_i.we[SelTunnelSource]),
    .acc_flip_i (acc_i.flip),
    .acc_index_i(tunnel_source_addr_t'(acc_i.index)),
    .acc_wdata_i({1'b0, acc_wdata_i}),
    .acc_rdata_o({unused_acc, rdata_o}),
    .acc_bad_o
  );

  ps_delay #(
    .Width ($bits(judged_t)),
    .Cycles(Keys)
  ) u_beside (
    .clk_i,
    .rst_i,
    .valid_i(valid_i && ask_i.applies),
    .data_i (ask),
    .valid_o(judged),
    .data_o (by)
  );

  always_ff @(posedge clk_i) begin
    check_o.drop   <= judged && !rst_i && (by.broken || bad || !(by.by_key ? hit : by.passes));
    check_o.reason <= by.broken || bad ? DropTableParity : DropInvalidSource;
  end

  logic unused_bits;
  assign unused_bits = ^{unused_data, unused_acc};

`ifndef SYNTHESIS
  initial assert (CheckCycles == Keys + 1) else $fatal(1, "ps_source_check: its stages are not CheckCycles");
`endif

endmodule
