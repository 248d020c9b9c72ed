// Bench top of ps_route, and of the one that is told its VRF late, which must say the same a cycle later, and whether it is longer than
// another: its ports, the hash that places keys, and a way to damage a word. The bench (ps_route_tb.cpp) fills the tables and compares
// look-ups with a longest match by search.
module ps_route_tb
  import ps_abi_pkg::*;
  import ps_match_pkg::*;
(
  input  logic         clk_i,
  input  logic         rst_i,
  input  logic         valid_i,
  input  logic [11:0]  vrf_i,
  input  logic [31:0]  ip_i,
  output logic         found_o,
  output logic         bad_o,
  output logic         error_o,            // of a host route, or a prefix
  output logic         default_error_o,
  output logic [15:0]  error_index_o,
  output logic         read_bad_o,
  input  logic         flip_i,
  input  logic         compares_i,         // both copies are written alike
  output logic [5:0]   len_o,
  output logic [1:0]   service_o,
  output logic [13:0]  sources_o,
  output logic         label_valid_o,
  output logic [19:0]  label_o,
  output logic [15:0]  nh_o,
  input  logic [3:0]   table_i,
  input  logic         re_i,
  input  logic         we_i,
  input  logic [15:0]  index_i,
  input  logic [127:0] wdata_i,
  output logic [127:0] host_rdata_o,
  output logic [127:0] prefix_rdata_o,
  output logic [31:0]  route_cycles_o,
  output logic [31:0]  access_cycles_o,
  // The hash of a key, and where a rank of an address is looked for.
  input  logic [43:0]  key_i,
  output logic [63:0]  hash_o,
  // Flips a bit of a row of the host routes' first way.
  input  logic         damage_i,
  input  logic [HostRouteRowsLog2-1:0] damage_row_i,
  input  logic [8:0]   damage_bit_i
);

  access_t acc;
  route_t  route;
  host_route_t host_rdata;
  prefix_t     prefix_rdata;

  // The other: the VRF that is known at once, or the one that comes late, is the right one, in turns; now and then none is looked up.
  route_t      late_route;
  logic        late_bad, skips_q, late_q, late_valid_q, pick;
  logic [11:0] vrf_q;
  logic [15:0] turn_q = 16'h1;
  logic [LookCycles+1:1] skipped_q;
  route_t      route_q;
  logic        bad_q;
  parity_error_t late_host_error, late_prefix_error, late_default_error;
  host_route_t unused_host;
  prefix_t     unused_prefix;
  logic        unused_host_bad, unused_prefix_bad;
  // What it is compared with: the other's route, or one a little shorter or longer, or none.
  logic        over_found, over_found_q, longer, longer_q, unused_longer;
  logic [5:0]  over_len, over_len_q;

  assign pick = turn_q[0];

  always_comb begin
    over_found = route.found && turn_q[6:4] != '0;
    over_len   = '0;
    if (over_found) over_len = turn_q[8] ? route.len : turn_q[9] || route.len == '0 ? route.len + 6'd1 : route.len - 6'd1;
  end

  always_ff @(posedge clk_i) begin
    turn_q       <= {turn_q[14:0], turn_q[15] ^ turn_q[13] ^ turn_q[12] ^ turn_q[10]};
    vrf_q        <= vrf_i;
    late_q       <= pick;
    late_valid_q <= valid_i;
    skips_q      <= turn_q[3:1] == '0;
    skipped_q    <= {skipped_q[LookCycles:1], late_valid_q && skips_q};
    route_q      <= route;
    bad_q        <= bad_o;
    longer_q     <= longer;
    over_found_q <= over_found;
    over_len_q   <= over_len;
  end

  ps_route #(
    .Late(1'b1)
  ) u_late (
    .clk_i,
    .rst_i,
    .valid_i,
    .vrf_i         (pick ? ~vrf_i : vrf_i),
    .ip_i,
    .late_valid_i  (!skips_q),
    .late_i        (late_q),
    .late_vrf_i    (late_q ? vrf_q : ~vrf_q),
    .route_o       (late_route),
    .bad_o         (late_bad),
    .over_found_i  (over_found),
    .over_len_i    (over_len),
    .longer_o      (longer),
    .host_error_o  (late_host_error),
    .prefix_error_o(late_prefix_error),
    .default_error_o(late_default_error),
    .acc_i         (acc),
    .acc_wdata_i   (wdata_i[PrefixBits-1:0]),
    .host_rdata_o  (unused_host),
    .host_acc_bad_o(unused_host_bad),
    .prefix_rdata_o(unused_prefix),
    .prefix_acc_bad_o(unused_prefix_bad)
  );

  // skipped_q[LookCycles] is of what stands LookCycles + 1 after its address.
  always_ff @(posedge clk_i) begin
    if (!rst_i && compares_i) begin
      if (skipped_q[LookCycles]) a_skipped : assert (!late_route.found && !late_bad);
      else begin
        a_found : assert (late_route.found == route_q.found && late_bad == bad_q) else $fatal(1, "the late look-up: found %b, bad %b", late_route.found, late_bad);
        a_route : assert (!route_q.found || late_route == route_q) else $fatal(1, "the late look-up: another route");
      end
      a_longer : assert (late_bad || longer_q == (late_route.found && (!over_found_q || late_route.len > over_len_q)))
        else $fatal(1, "the late look-up: longer %b, of %0d, other %b of %0d", longer_q, late_route.len, over_found_q, over_len_q);
    end
  end

  logic unused_late;
  assign unused_late = ^{late_host_error, late_prefix_error, late_default_error, unused_host, unused_prefix, unused_host_bad,
                         unused_prefix_bad, unused_longer};

  assign acc.re    = TableCount'(re_i) << table_i;
  assign acc.we    = TableCount'(we_i) << table_i;
  assign acc.index = index_t'(index_i);
  assign acc.flip  = flip_i;

  parity_error_t host_error, prefix_error, default_error;
  logic          host_read_bad, prefix_read_bad;

  ps_route dut (
    .clk_i,
    .rst_i,
    .valid_i,
    .vrf_i,
    .ip_i,
    .late_valid_i  (1'b0),
    .late_i        (1'b0),
    .late_vrf_i    ('0),
    .route_o       (route),
    .bad_o,
    .over_found_i  (1'b0),
    .over_len_i    ('0),
    .longer_o      (unused_longer),
    .host_error_o  (host_error),
    .prefix_error_o(prefix_error),
    .default_error_o(default_error),
    .acc_i         (acc),
    .acc_wdata_i   (wdata_i[PrefixBits-1:0]),
    .host_rdata_o  (host_rdata),
    .host_acc_bad_o(host_read_bad),
    .prefix_rdata_o(prefix_rdata),
    .prefix_acc_bad_o(prefix_read_bad)
  );

  assign found_o         = route.found;
  assign error_o         = host_error.valid || prefix_error.valid;
  assign default_error_o = default_error.valid;
  assign error_index_o   = default_error.valid ? 16'(default_error.index) :
                           host_error.valid ? 16'(host_error.index) : 16'(prefix_error.index);
  assign read_bad_o      = table_i == SelHostRoute ? host_read_bad : prefix_read_bad;
  assign len_o           = route.len;
  assign service_o       = route.service;
  assign sources_o       = route.sources;
  assign label_valid_o   = route.label_valid;
  assign label_o         = route.label;
  assign nh_o            = route.nh;
  assign host_rdata_o    = 128'(host_rdata);
  assign prefix_rdata_o  = 128'(prefix_rdata);
  assign route_cycles_o  = LookCycles;
  assign access_cycles_o = ReadCycles;
  assign hash_o          = key_hash(128'(key_i));

  always @(posedge clk_i) begin
    if (damage_i) begin
      dut.u_host.gen_way[0].gen_ultra.u_ram.mem[damage_row_i][damage_bit_i] <=
          !dut.u_host.gen_way[0].gen_ultra.u_ram.mem[damage_row_i][damage_bit_i];
    end
  end

endmodule
