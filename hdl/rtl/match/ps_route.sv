// Route of an address in a VRF: host routes, else the longest prefix. For a packet from a vif that is its destination; for
// one from the fabric its source, to judge where it may come from (section 3).
//
// Latency:    RouteCycles (6); one packet every cycle. route_o.found is 0 for a cycle without lookup.
// Tables:     HostRoute, Prefix.
module ps_route
  import ps_abi_pkg::*;
  import ps_match_pkg::*;
(
  input  logic        clk_i,
  input  logic        rst_i,
  input  logic        valid_i,
  input  logic [11:0] vrf_i,
  input  logic [31:0] ip_i,
  output route_t      route_o,
  input  access_t     acc_i,
  input  logic [PrefixBits-1:0] acc_wdata_i,
  output host_route_t host_rdata_o,
  output prefix_t     prefix_rdata_o
);

  localparam int unsigned KeyBits  = 44;
  localparam int unsigned DataBits = HostRouteBits - KeyBits - 1;

  logic                host_hit;
  logic [DataBits-1:0] host_data;
  route_t              prefix, route5_q;

  ps_bucket_table #(
    .EntryBits(HostRouteBits),
    .KeyBits  (KeyBits),
    .Ways     (HostRouteWays),
    .RowsLog2 (HostRouteRowsLog2)
  ) u_host (
    .clk_i,
    .rst_i,
    .valid_i,
    .key_i      ({ip_i, vrf_i}),
    .hit_o      (host_hit),
    .data_o     (host_data),
    .acc_re_i   (acc_i.re[SelHostRoute]),
    .acc_we_i   (acc_i.we[SelHostRoute]),
    .acc_index_i(acc_i.index[14:0]),
    .acc_wdata_i(acc_wdata_i[HostRouteBits-1:0]),
    .acc_rdata_o(host_rdata_o)
  );

  ps_prefix_table u_prefix (
    .clk_i,
    .rst_i,
    .valid_i,
    .vrf_i,
    .ip_i,
    .route_o    (prefix),
    .acc_re_i   (acc_i.re[SelPrefix]),
    .acc_we_i   (acc_i.we[SelPrefix]),
    .acc_index_i(acc_i.index[5:0]),
    .acc_wdata_i(acc_wdata_i),
    .acc_rdata_o(prefix_rdata_o)
  );

  always_ff @(posedge clk_i) begin
    route5_q.found <= host_hit || prefix.found;
    if (host_hit) begin
      {route5_q.own, route5_q.label_valid, route5_q.label, route5_q.nh} <= host_data;
    end else if (prefix.found) begin
      {route5_q.own, route5_q.label_valid, route5_q.label, route5_q.nh} <=
          {prefix.own, prefix.label_valid, prefix.label, prefix.nh};
    end
    route_o.found <= route5_q.found;
    if (route5_q.found) begin
      {route_o.own, route_o.label_valid, route_o.label, route_o.nh} <=
          {route5_q.own, route5_q.label_valid, route5_q.label, route5_q.nh};
    end
    if (rst_i) begin
      route5_q.found <= 1'b0;
      route_o.found  <= 1'b0;
    end
  end

endmodule
