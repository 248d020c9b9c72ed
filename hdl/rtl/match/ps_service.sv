// What holds for a packet's VRF, and the listener that it is for: `Vrf`, and `ServiceKey` {service network, protocol, address, port}.
//
// Lookup:      one packet every cycle: valid_i with its VRF and what of it is looked for; net_i only says which VRF. vrf_o and
//              vrf_bad_o, hit_o, bad_o and data_o ServiceCycles (8) later. A VRF that is not valid, or has no network, has no keys, nor
//              has a packet without ask_i. vrf_o and vrf_bad_o mean nothing without a look-up.
// Parity:      a row with the wrong one makes the key miss, and bad_o says so; vrf_bad_o of the VRF's entry, whose network then counts
//              for nothing. The errors, by table, come later.
// Maintenance: as of ps_table.
module ps_service
  import ps_abi_pkg::*;
  import ps_bucket_pkg::*;
  import ps_match_pkg::*;
(
  input  logic          clk_i,
  input  logic          rst_i,
  input  logic          valid_i,
  input  logic [11:0]   vrf_i,
  input  logic          ask_i,
  input  logic [7:0]    proto_i,
  input  logic [31:0]   ip_i,
  input  logic [15:0]   port_i,
  output vrf_t          vrf_o,
  output logic          vrf_bad_o,
  output logic          hit_o,
  output logic          bad_o,
  output nh_id_t        nh_o,
  output nh_id_t        local_o,
  output affinity_number_t affinity_o,
  output parity_error_t vrf_error_o,
  output parity_error_t key_error_o,
  input  access_t       acc_i,
  input  logic [ServiceKeyBits-1:0] acc_wdata_i,
  output vrf_t          vrf_rdata_o,
  output logic          vrf_acc_bad_o,
  output service_key_t  key_rdata_o,
  output logic          key_acc_bad_o
);

  // Of an entry, without `valid`.
  typedef struct packed {
    logic [15:0]  port;
    logic [31:0]  ip;
    logic [7:0]   proto;
    service_net_t net;
  } key_t;

  localparam int unsigned KeyBits = $bits(key_t);
  localparam int unsigned Keys    = bucket_cycles(ServiceKeyRowsLog2);   // begun in 2, when the VRF's entry stands

  typedef struct packed {
    logic        ask;
    logic [7:0]  proto;
    logic [31:0] ip;
    logic [15:0] port;
  } want_t;

  logic [3:1]  valid_q;
  want_t       want1_q, want2_q;
  logic [11:0] at1_q, at2_q, at3_q;
  vrf_t        vrf2, vrf3_q;
  logic        vrf_bad3, unused_valid;
  key_t        key;

  ps_table #(
    .Width(VrfBits),
    .Depth(Vrfs)
  ) u_vrf (
    .clk_i,
    .re_i       (valid_i),
    .addr_i     (vrf_i),
    .rdata_o    (vrf2),
    .bad_o      (vrf_bad3),
    .acc_re_i   (acc_i.re[SelVrf]),
    .acc_we_i   (acc_i.we[SelVrf]),
    .acc_flip_i (acc_i.flip),
    .acc_index_i(vrf_addr_t'(acc_i.index)),
    .acc_wdata_i(acc_wdata_i[VrfBits-1:0]),
    .acc_rdata_o(vrf_rdata_o),
    .acc_bad_o  (vrf_acc_bad_o)
  );

  assign key = '{port: want2_q.port, ip: want2_q.ip, proto: want2_q.proto, net: vrf2.service_net};

  ps_bucket_table #(
    .EntryBits(ServiceKeyBits),
    .KeyBits  (KeyBits),
    .Ways     (ServiceKeyWays),
    .RowsLog2 (ServiceKeyRowsLog2),
    .Style    ("block")
  ) u_key (
    .clk_i,
    .rst_i,
    .valid_i    (valid_q[2] && want2_q.ask && vrf2.valid && vrf2.service_net != '0),
    .key_i      (key),
    .hit_o,
    .bad_o,
    .data_o     ({affinity_o, local_o, nh_o}),
    .error_o    (key_error_o),
    .acc_re_i   (acc_i.re[SelServiceKey]),
    .acc_we_i   (acc_i.we[SelServiceKey]),
    .acc_flip_i (acc_i.flip),
    .acc_index_i(service_key_addr_t'(acc_i.index)),
    .acc_wdata_i,
    .acc_rdata_o(key_rdata_o),
    .acc_bad_o  (key_acc_bad_o)
  );

  ps_delay #(
    .Width (VrfBits + 1),
    .Cycles(ServiceCycles - 3)
  ) u_beside (
    .clk_i,
    .rst_i,
    .valid_i(valid_q[3]),
    .data_i ({vrf_bad3, vrf3_q}),
    .valid_o(unused_valid),
    .data_o ({vrf_bad_o, vrf_o})
  );

  always_ff @(posedge clk_i) begin
    valid_q <= rst_i ? '0 : {valid_q[2:1], valid_i};
    if (valid_i) begin
      want1_q <= '{ask: ask_i, proto: proto_i, ip: ip_i, port: port_i};
      at1_q   <= vrf_i;
    end
    if (valid_q[1]) begin
      want2_q <= want1_q;
      at2_q   <= at1_q;
    end
    if (valid_q[2]) begin
      vrf3_q <= vrf2.valid ? vrf2 : '0;
      at3_q  <= at2_q;
    end
    vrf_error_o.valid <= valid_q[3] && vrf_bad3 && !rst_i;
    if (vrf_bad3) vrf_error_o.index <= index_t'(at3_q);
  end

`ifndef SYNTHESIS
  initial assert (ServiceCycles == Keys + 2) else $fatal(1, "ps_service: its stages are not ServiceCycles");
  initial assert (KeyBits == ServiceKeyBits - 49) else $fatal(1, "ps_service: key_t is not the key of service_key_t");
`endif

endmodule
