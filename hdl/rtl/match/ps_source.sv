// Section 2 of the data-path specification: where a frame comes from, and whether it is to be routed.
//
// Latency:    SourceCycles (2); one header every cycle.
// Tables:     Vif (one read by the frame's vif, and copies of entries 0 and 1 in registers), Ilm.
// Order:      the checks of sections 1 to 4 in their order; the first that applies gives the drop reason.
module ps_source
  import ps_abi_pkg::*;
  import ps_types_pkg::*;
  import ps_match_pkg::*;
(
  input  logic     clk_i,
  input  logic     rst_i,
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

  logic        valid_q;
  hdr_t        hdr_q;
  ilm_t        ilm;
  source_t     source;
  vif_t        vif0_q;
  logic        vif1_valid_q;
  logic        label_bad, ip_drop, tunnel;
  drop_reason_e ip_reason;

  ps_table #(
    .Width(IlmBits),
    .Depth(Labels)
  ) u_ilm (
    .clk_i,
    .re_i       (valid_i && hdr_i.is_tunnel),
    .addr_i     (hdr_i.label[12:0]),
    .rdata_o    (ilm),
    .acc_re_i   (acc_i.re[SelIlm]),
    .acc_we_i   (acc_i.we[SelIlm]),
    .acc_index_i(acc_i.index[12:0]),
    .acc_wdata_i(acc_wdata_i[IlmBits-1:0]),
    .acc_rdata_o(ilm_rdata_o)
  );

  assign vif_re_o       = valid_i;
  assign vif_addr_o     = hdr_i.src == SrcFabric ? 8'(VifFabricId) : hdr_i.vif;
  assign fabric_valid_o = vif0_q.valid;

  // Section 4.
  always_comb begin
    ip_drop   = 1'b1;
    ip_reason = DropInvalidPacket;
    if (hdr_q.ip_bad)           ip_reason = DropInvalidPacket;
    else if (hdr_q.ip_csum_bad) ip_reason = DropChecksum;
    else if (hdr_q.dip[31:24] == 8'd0 || hdr_q.dip[31:24] >= 8'd224) ip_reason = DropDiscard;
    else if (hdr_q.l4_short)    ip_reason = DropInvalidPacket;
    else                        ip_drop   = 1'b0;
  end

  assign tunnel    = hdr_q.is_tunnel && hdr_q.outer_dip == vif0_q.ip;
  assign label_bad = !hdr_q.bos || hdr_q.label < 20'(LabelFirst) || hdr_q.label >= 20'(Labels) ||
                     !ilm.valid;

  always_comb begin
    source        = '0;
    source.act    = ActDrop;
    source.reason = DropInvalidIf;
    if (!valid_q) source.act = ActDrop;
    else if (!enable_i) source.reason = DropDisabled;
    else if (hdr_q.oversize) source.reason = DropOversize;
    else if (hdr_q.runt) source.reason = DropInvalidPacket;
    else if (!vif_i.valid) source.reason = DropInvalidIf;
    else if (hdr_q.src == SrcFabric) begin
      if (!tunnel) begin
        if (vif1_valid_q) source.act = ActRaw;
      end
      else if (hdr_q.label_missing) source.reason = DropInvalidPacket;
      else if (label_bad) source.reason = DropInvalidLabel;
      else if (hdr_q.mpls_ttl <= 8'd1) source.reason = DropTtlExceeded;
      else if (hdr_q.inner_not_ip4) source.reason = DropInvalidProtocol;
      else if (ip_drop) source.reason = ip_reason;
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
          if (hdr_q.is_arp) source.act = ActTrap;
          else if (!hdr_q.is_ip4) source.reason = DropInvalidProtocol;
          else if (hdr_q.dmac_group) source.reason = DropDiscard;
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
    if (acc_i.we[SelVif] && acc_i.index == 16'(VifFabricId)) vif0_q <= acc_wdata_i;
    if (acc_i.we[SelVif] && acc_i.index == 16'(VifVhostId)) vif1_valid_q <= acc_wdata_i[0];
    valid_q <= valid_i && !rst_i;
    valid_o <= valid_q && !rst_i;
  end

  logic unused_bits;
  assign unused_bits = ^{vif0_q.rpf, vif0_q.mac, vif0_q.nh, vif0_q.vrf, vif0_q.kind, vif_i.mac};

endmodule
