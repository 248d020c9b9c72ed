// Section 2 of the data-path specification: where a frame comes from, and whether it is to be routed.
//
// Latency:    SourceCycles (2); one header every cycle.
// Tables:     Vif (one read by the frame's vif, and copies of entries 0 and 1 in registers), Ilm.
// Fragments:  of tunnel packets are dropped, not passed to the node; the last FirstFragments first ones are remembered to
//             know their later ones. clear_i forgets them.
// Order:      the checks of sections 1 to 4 in their order; the first that applies gives the drop reason.
module ps_source
  import ps_abi_pkg::*;
  import ps_types_pkg::*;
  import ps_match_pkg::*;
(
  input  logic     clk_i,
  input  logic     rst_i,
  input  logic     clear_i,
  input  logic     enable_i,
  input  logic     valid_i,
  input  hdr_t     hdr_i,
  output logic     valid_o,
  output context_t ctx_o,

  output logic     vif_re_o,
  output logic [7:0] vif_addr_o,
  input  vif_t     vif_i,
  output logic     fabric_valid_o,   // Vif[0].valid

  input  access_t  acc_i,
  input  logic [VifBits-1:0] acc_wdata_i,
  output ilm_t     ilm_rdata_o
);

  localparam int unsigned FirstFragments = 8;
  localparam int unsigned MacGroupBit    = 40;      // bit 0 of the first byte
  localparam logic [7:0]  Loopback       = 8'd127;  // first octet

  // What the fragments of one datagram have in common.
  typedef struct packed {
    logic        valid;
    ip4_t        sip;
    logic [15:0] id;
    logic        udp;
  } datagram_t;

  logic        valid_q;
  hdr_t        hdr_q;
  ilm_t        ilm;
  source_t     source;
  vif_t        vif0_q;
  logic        vif1_valid_q;
  logic        label_bad, ip_drop, for_us, tunnel, known_datagram, first_fragment;
  logic [7:0]  sip_octet, dip_octet;
  datagram_t   datagram;
  datagram_t [FirstFragments-1:0] datagrams_q;
  drop_reason_e ip_reason;

  ps_table #(
    .Width(IlmBits),
    .Depth(Labels)
  ) u_ilm (
    .clk_i,
    .re_i       (valid_i && hdr_i.is_tunnel),
    .addr_i     (ilm_addr_t'(hdr_i.label)),
    .rdata_o    (ilm),
    .acc_re_i   (acc_i.re[SelIlm]),
    .acc_we_i   (acc_i.we[SelIlm]),
    .acc_index_i(ilm_addr_t'(acc_i.index)),
    .acc_wdata_i(acc_wdata_i[IlmBits-1:0]),
    .acc_rdata_o(ilm_rdata_o)
  );

  assign vif_re_o       = valid_i;
  assign vif_addr_o     = hdr_i.src == SrcFabric ? 8'(VifFabricId) : hdr_i.vif;
  assign fabric_valid_o = vif0_q.valid;

  // First octets of addresses that are no single host's: "this" network, multicast and above.
  function automatic logic no_host(input logic [7:0] octet);
    no_host = octet == 8'd0 || octet >= 8'd224;
  endfunction

  assign sip_octet = hdr_q.sip[$bits(ip4_t)-1 -: 8];
  assign dip_octet = hdr_q.dip[$bits(ip4_t)-1 -: 8];

  // Section 4.
  always_comb begin
    ip_drop   = 1'b1;
    ip_reason = DropInvalidPacket;
    if (hdr_q.ip_bad)                                     ip_reason = DropInvalidPacket;
    else if (hdr_q.ip_csum_bad)                           ip_reason = DropChecksum;
    else if (no_host(dip_octet))                          ip_reason = DropDiscard;
    else if (no_host(sip_octet) || sip_octet == Loopback) ip_reason = DropInvalidSource;
    else if (hdr_q.l4_short)                              ip_reason = DropInvalidPacket;
    else                                                  ip_drop   = 1'b0;
  end

  // Section 3: a tunnel packet for us.
  always_comb begin
    datagram       = '{valid: 1'b1, sip: hdr_q.outer_sip, id: hdr_q.outer_id, udp: hdr_q.outer_udp};
    known_datagram = 1'b0;
    for (int unsigned i = 0; i < FirstFragments; i++) begin
      if (datagrams_q[i] == datagram) known_datagram = 1'b1;
    end
  end

  assign for_us    = !hdr_q.vlan_tagged && hdr_q.dmac == vif0_q.mac && hdr_q.outer_dip == vif0_q.ip;
  assign tunnel    = for_us && (hdr_q.is_tunnel || (hdr_q.outer_later && known_datagram));
  assign label_bad = !hdr_q.bos || hdr_q.label < 20'(LabelFirst) || hdr_q.label >= 20'(Labels) ||
                     !ilm.valid;

  always_comb begin
    source         = '0;
    source.act     = ActDrop;
    source.reason  = DropInvalidIf;
    first_fragment = 1'b0;
    if (!valid_q) source.act = ActDrop;
    else if (!enable_i) source.reason = DropDisabled;
    else if (hdr_q.oversize) source.reason = DropOversize;
    else if (hdr_q.runt) source.reason = DropInvalidPacket;
    else if (!vif_i.valid) source.reason = DropInvalidIf;
    else if (hdr_q.src == SrcFabric) begin
      if (!tunnel) begin
        if (vif1_valid_q) source.act = ActRaw;
      end
      else if (hdr_q.outer_csum_bad) source.reason = DropChecksum;
      else if (hdr_q.outer_frag) begin
        source.reason  = DropFragments;
        first_fragment = !hdr_q.outer_later;
      end
      else if (hdr_q.outer_bad) source.reason = DropInvalidPacket;
      else if (hdr_q.outer_sum_bad) source.reason = DropChecksum;
      else if (label_bad) source.reason = DropInvalidLabel;
      else if (hdr_q.mpls_ttl <= 8'd1) source.reason = DropTtlExceeded;
      else if (hdr_q.inner_not_ip4) source.reason = DropInvalidProtocol;
      else if (ip_drop) source.reason = ip_reason;
      else if (hdr_q.ttl == 8'd0) source.reason = DropTtlExceeded;
      else begin
        source.act    = ActRoute;
        source.vrf    = ilm.vrf;
        source.key_nh = ilm.key_nh;
        source.ilm_nh = ilm.nh;
      end
    end else begin
      unique case (vif_i.kind)
        VifVhost: source.act = ActRaw;
        VifVirtual: begin
          if (hdr_q.vlan_tagged) source.reason = DropInvalidProtocol;
          else if (hdr_q.is_arp) source.act = ActTrap;
          else if (!hdr_q.is_ip4) source.reason = DropInvalidProtocol;
          else if (hdr_q.dmac[MacGroupBit]) source.reason = DropDiscard;
          else if (hdr_q.dmac != GatewayMac) source.reason = DropNotForGateway;
          else if (ip_drop) source.reason = ip_reason;
          else if (vif_i.rpf && vif_i.ip != '0 && hdr_q.sip != vif_i.ip) source.reason = DropInvalidSource;
          else if (hdr_q.ttl <= 8'd1) source.reason = DropTtlExceeded;
          else begin
            source.act    = ActRoute;
            source.vrf    = vif_i.vrf;
            source.key_nh = vif_i.nh;
          end
        end
        default: source.reason = DropInvalidIf;
      endcase
    end
  end

  always_ff @(posedge clk_i) begin
    if (valid_i) hdr_q <= hdr_i;
    if (valid_q) ctx_o <= '{hdr: hdr_q, source: source};
    if (acc_i.we[SelVif] && acc_i.index == index_t'(VifFabricId)) vif0_q <= acc_wdata_i;
    if (acc_i.we[SelVif] && acc_i.index == index_t'(VifVhostId)) vif1_valid_q <= acc_wdata_i[0];
    if (first_fragment) datagrams_q <= {datagrams_q[FirstFragments-2:0], datagram};
    if (rst_i || clear_i) datagrams_q <= '0;
    valid_q <= valid_i && !rst_i;
    valid_o <= valid_q && !rst_i;
  end

  logic unused_bits;
  assign unused_bits = ^{vif0_q.rpf, vif0_q.nh, vif0_q.vrf, vif0_q.kind, vif_i.mac};

endmodule
