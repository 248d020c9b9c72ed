// Section 2 of the data-path specification: where a frame comes from, and whether it is to be routed.
//
// Latency:    SourceCycles (4); one header every cycle.
// Tables:     Vif (one read by the frame's vif; copies of entries 0 and 1 in registers), Ilm.
// Stages:     1 header | 2 what the header alone says, beside the tables' reads | 3 what the tables say | 4 the first that applies
// Fragments:  of tunnel packets are dropped, not passed to the node; the last FirstFragments first ones are remembered to
//             know their later ones. clear_i forgets them.
// Order:      the checks of sections 1 to 4 in their order; the first that applies gives the drop reason.
// Parity:     an entry that has the wrong one is found out in stage 4; vif_error_o and ilm_error_o tell which.
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

  output logic     fabric_valid_o,   // Vif[0].valid

  input  access_t  acc_i,
  input  logic [VifBits-1:0] acc_wdata_i,
  output vif_t     vif_rdata_o,
  output logic     vif_acc_bad_o,
  output parity_error_t vif_error_o,
  output ilm_t     ilm_rdata_o,
  output logic     ilm_acc_bad_o,
  output parity_error_t ilm_error_o
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

  // What the header says: whatever comes first of each part of the order.
  typedef struct packed {
    logic         early;          // before all others
    drop_reason_e early_reason;
    logic         from_fabric;
    logic         tunnel;         // for us, known by its first bytes
    logic         later;          // for us if a fragment's first one was
    logic         outer_drop;     // of a tunnel packet, before its label
    drop_reason_e outer_reason;
    logic         label_bad;
    logic         inner_drop;     // and behind it
    drop_reason_e inner_reason;
    logic         arp;
    logic         to_gateway;     // not tagged
    logic         frame_drop;     // of a frame that is to be routed, but for its address
    drop_reason_e frame_reason;
    logic         expired;
    ip4_t         sip;
    datagram_t    datagram;
    logic         first_fragment; // if `tunnel` and not early
  } header_t;

  // And with the tables.
  typedef struct packed {
    logic         vif_counts;     // not dropped whatever the vif's entry says
    logic         label_counts;   // nor whatever the label's says
    logic         early;
    drop_reason_e early_reason;
    logic         from_fabric;
    logic         tunnel;
    logic         later;
    logic         tunnel_drop;
    drop_reason_e tunnel_reason;
    logic         passes;         // the node's, not to the gateway
    logic         routes;         // from a pod, or the node's to the gateway
    logic         arp;            // from a pod
    logic         frame_drop;
    drop_reason_e frame_reason;
    logic         foreign;        // with another's address than the vif's
    logic         expired;
    logic [11:0]  vrf;
    logic [15:0]  key_nh;
    logic [15:0]  ilm_nh;
    logic         ilm_service;
    logic         egress;
    logic [11:0]  egress_vrf;
    map_id_t      egress_map;
    learn_policy_e learn;
  } found_t;

  logic [3:1]  valid_q;
  hdr_t        hdr1_q, hdr4;
  ilm_t        ilm;
  logic        ilm_bad;            // in stage 4
  logic [3:1]  ilm_read_q;
  header_t     header, header2_q;
  found_t      found, found3_q;
  source_t     source, source4_q;
  vif_t        vif, vif0_q;
  logic        vif_bad;            // in stage 4
  vif_addr_t   vif1_q, vif2_q, vif3_q;
  logic        vif1_valid_q, write0_q, write1_q;
  logic        begins;            // a first fragment, to be remembered
  ilm_addr_t   label2_q, label3_q;
  datagram_t [FirstFragments-1:0] datagrams_q;
  logic      [FirstFragments-1:0] known3_q;

  ps_table #(
    .Width(VifBits),
    .Depth(Vifs)
  ) u_vif (
    .clk_i,
    .re_i       (valid_i),
    .addr_i     (hdr_i.src == SrcFabric ? vif_addr_t'(VifFabricId) : hdr_i.vif),
    .rdata_o    (vif),
    .bad_o      (vif_bad),
    .acc_re_i   (acc_i.re[SelVif]),
    .acc_we_i   (acc_i.we[SelVif]),
    .acc_flip_i (acc_i.flip),
    .acc_index_i(vif_addr_t'(acc_i.index)),
    .acc_wdata_i,
    .acc_rdata_o(vif_rdata_o),
    .acc_bad_o  (vif_acc_bad_o)
  );

  ps_table #(
    .Width(IlmBits),
    .Depth(Labels)
  ) u_ilm (
    .clk_i,
    .re_i       (valid_i && hdr_i.is_tunnel),
    .addr_i     (ilm_addr_t'(hdr_i.label)),
    .rdata_o    (ilm),
    .bad_o      (ilm_bad),
    .acc_re_i   (acc_i.re[SelIlm]),
    .acc_we_i   (acc_i.we[SelIlm]),
    .acc_flip_i (acc_i.flip),
    .acc_index_i(ilm_addr_t'(acc_i.index)),
    .acc_wdata_i(acc_wdata_i[IlmBits-1:0]),
    .acc_rdata_o(ilm_rdata_o),
    .acc_bad_o  (ilm_acc_bad_o)
  );

  assign fabric_valid_o = vif0_q.valid;

  ps_delay #(
    .Width ($bits(hdr_t)),
    .Cycles(SourceCycles)
  ) u_hdr (
    .clk_i,
    .rst_i,
    .valid_i,
    .data_i (hdr_i),
    .valid_o,
    .data_o (hdr4)
  );

  assign ctx_o = '{hdr: hdr4, source: source4_q};

  // First octets of addresses that are no single host's: "this" network, multicast and above.
  function automatic logic no_host(input logic [7:0] octet);
    no_host = octet == 8'd0 || octet >= 8'd224;
  endfunction

  // Section 4: {drop, reason}.
  /* verilator lint_off UNUSEDSIGNAL */  // a few fields of each
  function automatic logic [$bits(drop_reason_e):0] of_ip(input hdr_t hdr);
    logic [7:0] sip_octet, dip_octet;
    sip_octet = hdr.sip[$bits(ip4_t)-1 -: 8];
    dip_octet = hdr.dip[$bits(ip4_t)-1 -: 8];
    of_ip = {1'b1, DropInvalidPacket};
    if (hdr.ip_bad)                                       of_ip = {1'b1, DropInvalidPacket};
    else if (hdr.ip_csum_bad)                             of_ip = {1'b1, DropChecksum};
    else if (no_host(dip_octet))                          of_ip = {1'b1, DropDiscard};
    else if (no_host(sip_octet) || sip_octet == Loopback) of_ip = {1'b1, DropInvalidSource};
    else if (hdr.l4_short)                                of_ip = {1'b1, DropInvalidPacket};
    else                                                  of_ip = '0;
  endfunction

  // Stage 2: what the header alone says.
  function automatic header_t of_header(input hdr_t hdr, input logic enable, input vif_t fabric);
    logic                       for_us;
    logic [$bits(drop_reason_e):0] ip;
    for_us    = !hdr.vlan_tagged && hdr.dmac == fabric.mac && hdr.outer_dip == fabric.ip;
    ip        = of_ip(hdr);
    of_header = '0;
    of_header.early        = !enable || hdr.oversize || hdr.runt;
    of_header.early_reason = !enable ? DropDisabled : hdr.oversize ? DropOversize : DropInvalidPacket;
    of_header.from_fabric  = hdr.src == SrcFabric;
    of_header.tunnel       = for_us && hdr.is_tunnel;
    of_header.later        = for_us && hdr.outer_later;
    of_header.outer_drop   = hdr.outer_csum_bad || hdr.outer_frag || hdr.outer_bad || hdr.outer_sum_bad;
    of_header.outer_reason = hdr.outer_csum_bad ? DropChecksum : hdr.outer_frag ? DropFragments :
                             hdr.outer_bad ? DropInvalidPacket : DropChecksum;
    of_header.label_bad    = !hdr.bos || hdr.label < 20'(LabelFirst) || hdr.label >= 20'(Labels);
    of_header.inner_drop   = hdr.mpls_ttl <= 8'd1 || hdr.inner_not_ip4 || ip[$bits(drop_reason_e)] || hdr.ttl == 8'd0;
    if (hdr.mpls_ttl <= 8'd1)             of_header.inner_reason = DropTtlExceeded;
    else if (hdr.inner_not_ip4)           of_header.inner_reason = DropInvalidProtocol;
    else if (ip[$bits(drop_reason_e)])    of_header.inner_reason = drop_reason_e'(ip[$bits(drop_reason_e)-1:0]);
    else                                  of_header.inner_reason = DropTtlExceeded;
    of_header.arp        = !hdr.vlan_tagged && hdr.is_arp;
    of_header.to_gateway = !hdr.vlan_tagged && hdr.dmac == GatewayMac;
    of_header.frame_drop = 1'b1;
    if (hdr.vlan_tagged)                  of_header.frame_reason = DropInvalidProtocol;
    else if (!hdr.is_ip4)                 of_header.frame_reason = DropInvalidProtocol;
    else if (hdr.dmac[MacGroupBit])       of_header.frame_reason = DropDiscard;
    else if (hdr.dmac != GatewayMac)      of_header.frame_reason = DropNotForGateway;
    else if (ip[$bits(drop_reason_e)])    of_header.frame_reason = drop_reason_e'(ip[$bits(drop_reason_e)-1:0]);
    else                                  of_header.frame_drop   = 1'b0;
    of_header.expired        = hdr.ttl <= 8'd1;
    of_header.sip            = hdr.sip;
    of_header.datagram       = '{valid: 1'b1, sip: hdr.outer_sip, id: hdr.outer_id, udp: hdr.outer_udp};
    of_header.first_fragment = hdr.outer_frag && !hdr.outer_later && !hdr.outer_csum_bad;
  endfunction

  // Stage 3: what the tables say.
  function automatic found_t of_tables(input header_t h, input vif_t of, input ilm_t label);
    of_tables = '0;
    of_tables.vif_counts    = !h.early;
    of_tables.label_counts  = !h.early && of.valid && h.from_fabric && h.tunnel && !h.outer_drop && !h.label_bad;
    of_tables.early         = h.early || !of.valid;
    of_tables.early_reason  = h.early ? h.early_reason : DropInvalidIf;
    of_tables.from_fabric   = h.from_fabric;
    of_tables.tunnel        = h.tunnel;
    of_tables.later         = h.later;
    of_tables.tunnel_drop   = h.outer_drop || h.label_bad || !label.valid || h.inner_drop;
    of_tables.tunnel_reason = h.outer_drop ? h.outer_reason :
                              h.label_bad || !label.valid ? DropInvalidLabel : h.inner_reason;
    of_tables.passes        = of.kind == VifVhost && !h.to_gateway;
    of_tables.routes        = of.kind == VifVirtual || (of.kind == VifVhost && h.to_gateway);
    of_tables.arp           = h.arp && of.kind == VifVirtual;
    of_tables.frame_drop    = h.frame_drop;
    of_tables.frame_reason  = h.frame_reason;
    of_tables.foreign       = of.rpf && of.ip != '0 && h.sip != of.ip;
    of_tables.expired       = h.expired;
    of_tables.vrf           = h.from_fabric ? label.vrf : of.vrf;
    of_tables.key_nh        = h.from_fabric ? label.key_nh : of.nh;
    of_tables.ilm_nh        = label.nh;
    of_tables.ilm_service   = label.service;
    of_tables.egress        = !h.from_fabric && of.egress;
    of_tables.egress_vrf    = of.egress_vrf;
    of_tables.egress_map    = of.egress_map;
    of_tables.learn         = of.learn;
  endfunction
  /* verilator lint_on UNUSEDSIGNAL */

  // Stage 4: the first that applies.
  function automatic source_t of_all(input found_t f, input logic known, input logic connect, input logic bad_vif,
                                     input logic bad_label);
    // Where it belongs means something for a packet that is routed only.
    of_all = '{act: ActDrop, reason: DropInvalidIf, vrf: f.vrf, key_nh: f.key_nh, ilm_nh: f.ilm_nh,
               ilm_service: f.ilm_service, egress: f.egress, egress_vrf: f.egress_vrf, egress_map: f.egress_map, learn: f.learn};
    if (f.early) begin
      of_all.reason = f.early_reason;
    end else if (f.from_fabric) begin
      if (!(f.tunnel || (f.later && known))) begin
        if (connect) of_all.act = ActRaw;
      end else if (f.tunnel_drop) begin
        of_all.reason = f.tunnel_reason;
      end else begin
        of_all.act    = ActRoute;
      end
    end else if (f.passes) begin
      of_all.act = ActRaw;
    end else if (f.routes) begin
      if (f.arp)             of_all.act    = ActTrap;
      else if (f.frame_drop) of_all.reason = f.frame_reason;
      else if (f.foreign)    of_all.reason = DropInvalidSource;
      else if (f.expired)    of_all.reason = DropTtlExceeded;
      else                   of_all.act    = ActRoute;
    end
    if ((bad_vif && f.vif_counts) || (bad_label && f.label_counts)) begin
      of_all.act    = ActDrop;
      of_all.reason = DropTableParity;
    end
  endfunction

  assign header = of_header(hdr1_q, enable_i, vif0_q);
  assign found  = of_tables(header2_q, vif, ilm);
  assign source = of_all(found3_q, known3_q != '0, vif1_valid_q, vif_bad, ilm_bad);

  // Vif[0] is the frame's vif there. A first fragment is known by its first bytes, never by another one.
  assign begins = valid_q[2] && header2_q.from_fabric && !header2_q.early && vif.valid && header2_q.tunnel &&
                  header2_q.first_fragment;

  always_ff @(posedge clk_i) begin
    if (valid_i) begin
      hdr1_q <= hdr_i;
      vif1_q <= hdr_i.src == SrcFabric ? vif_addr_t'(VifFabricId) : hdr_i.vif;
    end
    if (valid_q[1]) begin
      header2_q <= header;
      label2_q  <= ilm_addr_t'(hdr1_q.label);
      vif2_q    <= vif1_q;
    end
    if (valid_q[2]) begin
      found3_q <= found;
      label3_q <= label2_q;
      vif3_q   <= vif2_q;
      for (int unsigned i = 0; i < FirstFragments; i++) known3_q[i] <= datagrams_q[i] == header2_q.datagram;
    end
    if (valid_q[3]) source4_q <= source;
    // A cycle after the access, whose data stay that long.
    write0_q <= acc_i.we[SelVif] && acc_i.index == index_t'(VifFabricId);
    write1_q <= acc_i.we[SelVif] && acc_i.index == index_t'(VifVhostId);
    if (write0_q) vif0_q <= acc_wdata_i;
    if (write1_q) vif1_valid_q <= acc_wdata_i[0];
    if (begins) datagrams_q <= {datagrams_q[FirstFragments-2:0], header2_q.datagram};
    if (rst_i || clear_i) datagrams_q <= '0;
    valid_q <= rst_i ? '0 : {valid_q[2:1], valid_i};
    ilm_read_q        <= rst_i ? '0 : {ilm_read_q[2:1], valid_i && hdr_i.is_tunnel};
    vif_error_o.valid <= valid_q[3] && vif_bad && !rst_i;
    if (valid_q[3] && vif_bad) vif_error_o.index <= index_t'(vif3_q);
    ilm_error_o.valid <= ilm_read_q[3] && ilm_bad && !rst_i;
    if (ilm_read_q[3] && ilm_bad) ilm_error_o.index <= index_t'(label3_q);
  end

  logic unused_bits;
  assign unused_bits = ^{vif0_q.rpf, vif0_q.nh, vif0_q.vrf, vif0_q.kind, vif0_q.learn, vif0_q.egress, vif0_q.egress_vrf, vif0_q.egress_map, vif.mac};

`ifndef SYNTHESIS
  initial assert (SourceCycles == 4) else $fatal(1, "ps_source: its stages are not SourceCycles");
`endif

endmodule
