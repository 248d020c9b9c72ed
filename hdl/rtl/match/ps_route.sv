// Route of an address in a VRF: host routes, else the longest prefix, else the VRF's default.
//
// Latency:     LookCycles (8), with Late one more; one packet every cycle. route_o.found is 0 for a cycle without lookup.
// Late:        the VRF is known a cycle after the address, from a memory (ps_prefix_table); there HostRoute is in block RAM, whose rows
//              come a cycle earlier.
// Longer:      over_found_i and over_len_i are those of another route (0 if it is none), a cycle before route_o; longer_o in that cycle:
//              what is found is longer, or the other is none. Of a look-up that is bad it means nothing.
// Parity:      a look-up that meets a word with the wrong parity has no route and says bad_o, with route_o: the word may have been what
//              it was to find. The errors, by table, come later.
// Tables:      HostRoute; Prefix, DefaultRoute, PrefixLength. prefix_rdata_o is what was read of any of the latter three, in the low bits.
// Maintenance: as in ps_table; what is read stands ReadCycles at most after the access and then holds.
module ps_route
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
  input  logic        late_valid_i,     // Late: the cycle after; the look-up is made,
  input  logic        late_i,           // in this VRF
  input  logic [11:0] late_vrf_i,
  output route_t      route_o,
  output logic        bad_o,
  input  logic        over_found_i,
  input  logic [5:0]  over_len_i,
  output logic        longer_o,
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
  localparam int unsigned RowCycles = Late ? 2 : row_cycles(HostRouteRowsLog2);
  localparam int unsigned HashBits  = HostRouteWays * HostRouteRowsLog2;

  typedef logic [HashBits-1:0] hash_t;

  // --- Host routes: hash in 1 (Late: 3), row in 4 (5), comparison to 6, data in 7, each with Late a cycle later.
  hash_t               hash_q;
  logic [RowCycles:0]  valid_q;
  logic [KeyBits-1:0]  key_q [RowCycles+1];
  logic                host_hit6, host_hit7_q, host_bad6, host_bad7_q;
  logic [DataBits-1:0] host_data7;
  route_t              host7, prefix7;
  logic                prefix_bad7, prefix_longer7, default_bad8, bad8_q, host_hit8_q;

  localparam logic [HashBits-1:0][127:0] HashMasks = KeyMasks[HashBits-1:0];

  if (!Late) begin : gen_prompt
    hash_t hash;

    ps_xor_tree #(
      .Width(KeyBits),
      .Trees(HashBits),
      .Masks(HashMasks)
    ) u_hash (
      .data_i({ip_i, vrf_i}),
      .odd_o (hash)
    );

    always_ff @(posedge clk_i) begin
      if (!Rests || valid_i) begin
        hash_q   <= hash;
        key_q[0] <= {ip_i, vrf_i};
      end
      valid_q[0] <= valid_i && !rst_i;
    end

    logic unused_late;
    assign unused_late = ^{late_valid_i, late_i, late_vrf_i};
  end else begin : gen_late
    hash_t       ip_part, ip_part_q, early_q, late_hash_q;
    logic        valid1_q, valid2_q, late_q;
    logic [11:0] vrf1_q, vrf2_q, late_vrf_q;
    logic [31:0] ip1_q, ip2_q;

    ps_xor_tree #(
      .Width(KeyBits),
      .Trees(HashBits),
      .Masks(HashMasks)
    ) u_ip_part (
      .data_i({ip_i, 12'd0}),
      .odd_o (ip_part)
    );

    // Twelve bits need no trees.
    function automatic hash_t hash_of_vrf(input logic [11:0] vrf);
      for (int unsigned i = 0; i < HashBits; i++) hash_of_vrf[i] = ^(vrf & HashMasks[i][11:0]);
    endfunction

    always_ff @(posedge clk_i) begin
      if (!Rests || valid_i) begin
        ip_part_q <= ip_part;
        ip1_q     <= ip_i;
        vrf1_q    <= vrf_i;
      end
      if (!Rests || (valid1_q && late_valid_i)) begin
        early_q     <= ip_part_q ^ hash_of_vrf(vrf1_q);
        late_hash_q <= ip_part_q ^ hash_of_vrf(late_vrf_i);
        ip2_q       <= ip1_q;
        vrf2_q      <= vrf1_q;
        late_vrf_q  <= late_vrf_i;
        late_q      <= late_i;
      end
      if (!Rests || valid2_q) begin
        hash_q   <= late_q ? late_hash_q : early_q;
        key_q[0] <= {ip2_q, late_q ? late_vrf_q : vrf2_q};
      end
      valid1_q   <= valid_i && !rst_i;
      valid2_q   <= valid1_q && late_valid_i && !rst_i;
      valid_q[0] <= valid2_q && !rst_i;
    end
  end

  always_ff @(posedge clk_i) begin
    for (int unsigned i = 1; i <= RowCycles; i++) if (!Rests || valid_q[i-1]) key_q[i] <= key_q[i-1];
    valid_q[RowCycles:1] <= rst_i ? '0 : valid_q[RowCycles-1:0];
    host_hit7_q <= host_hit6 && !rst_i;
    host_bad7_q <= host_bad6 && !rst_i;
  end

  ps_bucket_rows #(
    .EntryBits(HostRouteBits),
    .KeyBits  (KeyBits),
    .Ways     (HostRouteWays),
    .RowsLog2 (HostRouteRowsLog2),
    .Style    (Late ? "block" : "ultra")
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

  ps_prefix_table #(
    .Late(Late)
  ) u_prefix (
    .clk_i,
    .rst_i,
    .valid_i,
    .vrf_i,
    .ip_i,
    .late_valid_i,
    .late_i,
    .late_vrf_i,
    .route_o    (prefix7),
    .bad_o      (prefix_bad7),
    .found_i    (over_found_i),
    .len_i      (over_len_i),
    .longer_o   (prefix_longer7),
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
    host7.len   = 6'd32;
    {host7.sources, host7.service, host7.label_valid, host7.label, host7.nh} = host_data7;
  end

  always_ff @(posedge clk_i) begin
    route_o       <= host_hit7_q ? host7 : prefix7;
    route_o.found <= (host_hit7_q || (prefix7.found && !prefix_bad7)) && !host_bad7_q && !rst_i;
    // A host route that was found is longer than any prefix.
    bad8_q        <= (host_bad7_q || (prefix_bad7 && !host_hit7_q)) && !rst_i;
    host_hit8_q   <= host_hit7_q;
  end

  assign bad_o = bad8_q || (default_bad8 && !host_hit8_q);

  assign longer_o = (host_hit7_q && !over_len_i[5]) || prefix_longer7;

`ifndef SYNTHESIS
  initial assert ((Late || RowCycles == 3) && LookCycles == 8) else $fatal(1, "ps_route: host routes come in cycle 7");
`endif

endmodule
