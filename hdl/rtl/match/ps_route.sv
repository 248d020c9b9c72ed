// Route of an address in a VRF: host routes, else the longest prefix, else the VRF's default. For a packet from a vif that is its
// destination; for one from the fabric its source, to judge where it may come from (section 3).
//
// Latency:     RouteCycles (8); one packet every cycle. route_o.found is 0 for a cycle without lookup.
// Parity:      a look-up that meets a word with the wrong parity has no route and says bad_o, with route_o: the word may have been what
//              it was to find. The errors, by table, come later.
// Tables:      HostRoute; Prefix, DefaultRoute, PrefixLength. prefix_rdata_o is what was read of any of the latter three, in the low bits.
// Maintenance: as in ps_table; what is read stands ReadCycles at most after the access and then holds.
module ps_route
  import ps_abi_pkg::*;
  import ps_bucket_pkg::*;
  import ps_match_pkg::*;
(
  input  logic        clk_i,
  input  logic        rst_i,
  input  logic        valid_i,
  input  logic [11:0] vrf_i,
  input  logic [31:0] ip_i,
  output route_t      route_o,
  output logic        bad_o,
  output parity_error_t host_error_o,
  output parity_error_t prefix_error_o,
  output parity_error_t default_error_o,
  input  access_t     acc_i,
  input  logic [PrefixBits-1:0] acc_wdata_i,
  output host_route_t host_rdata_o,
  output logic        host_acc_bad_o,
  output prefix_t     prefix_rdata_o,
  output logic        prefix_acc_bad_o
);

  localparam int unsigned KeyBits   = 44;
  localparam int unsigned DataBits  = HostRouteBits - KeyBits - 1;
  localparam int unsigned RowCycles = row_cycles(HostRouteRowsLog2);

  // --- Host routes: hash in 1, row in 4, comparison to 6, data in 7.
  logic [HostRouteWays-1:0][HostRouteRowsLog2-1:0] hash_q;
  logic [RowCycles:0]  valid_q;
  logic [KeyBits-1:0]  key, key_q [RowCycles+1];
  logic                host_hit6, host_hit7_q, host_bad6, host_bad7_q;
  logic [DataBits-1:0] host_data7;
  route_t              host7, prefix7;
  logic                prefix_bad7, default_bad8, bad8_q, host_hit8_q;

  assign key = {ip_i, vrf_i};

  always_ff @(posedge clk_i) begin
    for (int unsigned w = 0; w < HostRouteWays; w++) begin
      for (int unsigned i = 0; i < HostRouteRowsLog2; i++) begin
        hash_q[w][i] <= ^(key & KeyMasks[w*HostRouteRowsLog2+i][KeyBits-1:0]);
      end
    end
    key_q[0] <= key;
    for (int unsigned i = 1; i <= RowCycles; i++) key_q[i] <= key_q[i-1];
    valid_q     <= {valid_q[RowCycles-1:0], valid_i};
    host_hit7_q <= host_hit6;
    host_bad7_q <= host_bad6;
    if (rst_i) begin
      valid_q     <= '0;
      host_hit7_q <= 1'b0;
      host_bad7_q <= 1'b0;
    end
  end

  ps_bucket_rows #(
    .EntryBits(HostRouteBits),
    .KeyBits  (KeyBits),
    .Ways     (HostRouteWays),
    .RowsLog2 (HostRouteRowsLog2),
    .Style    ("ultra")
  ) u_host (
    .clk_i,
    .rst_i,
    .re_i       (valid_q[0]),
    .row_i      (hash_q),
    .look_i     (valid_q[RowCycles]),
    .key_i      (key_q[RowCycles]),
    .hit_o      (host_hit6),
    .bad_o      (host_bad6),
    .data_o     (host_data7),
    .error_o    (host_error_o),
    .acc_re_i   (acc_i.re[SelHostRoute]),
    .acc_we_i   (acc_i.we[SelHostRoute]),
    .acc_flip_i (acc_i.flip),
    .acc_index_i(host_route_addr_t'(acc_i.index)),
    .acc_wdata_i(acc_wdata_i[HostRouteBits-1:0]),
    .acc_rdata_o(host_rdata_o),
    .acc_bad_o  (host_acc_bad_o)
  );

  ps_prefix_table u_prefix (
    .clk_i,
    .rst_i,
    .valid_i,
    .vrf_i,
    .ip_i,
    .route_o    (prefix7),
    .bad_o      (prefix_bad7),
    .default_bad_o  (default_bad8),
    .error_o        (prefix_error_o),
    .default_error_o(default_error_o),
    .acc_i,
    .acc_wdata_i,
    .rdata_o    (prefix_rdata_o),
    .acc_bad_o  (prefix_acc_bad_o)
  );

  // --- 8: whichever is longest.
  always_comb begin
    host7       = '0;
    host7.found = host_hit7_q;
    {host7.own, host7.label_valid, host7.label, host7.nh} = host_data7;
  end

  always_ff @(posedge clk_i) begin
    route_o       <= host_hit7_q ? host7 : prefix7;
    route_o.found <= (host_hit7_q || (prefix7.found && !prefix_bad7)) && !host_bad7_q && !rst_i;
    // A host route that was found is longer than any prefix.
    bad8_q        <= (host_bad7_q || (prefix_bad7 && !host_hit7_q)) && !rst_i;
    host_hit8_q   <= host_hit7_q;
  end

  assign bad_o = bad8_q || (default_bad8 && !host_hit8_q);

`ifndef SYNTHESIS
  initial assert (RowCycles == 3 && RouteCycles == 8) else $fatal(1, "ps_route: host routes come in cycle 7");
`endif

endmodule
