// Bench top of ps_datapath: the records of the match-action core as one port a field (verdicts), or as they are (headers).
//
// The bench (ps_datapath_tb.cpp) plays the MACs, the core and the firmware.
module ps_datapath_tb
  import ps_types_pkg::*;
(
  input  logic         clk_i,
  input  logic         rst_i,
  input  logic [511:0] s_fab_tdata_i,
  input  logic [63:0]  s_fab_tkeep_i,
  input  logic         s_fab_tlast_i,
  input  logic         s_fab_tvalid_i,
  output logic         s_fab_tready_o,
  input  logic [511:0] s_host_tdata_i,
  input  logic [63:0]  s_host_tkeep_i,
  input  logic         s_host_tlast_i,
  input  logic [7:0]   s_host_tuser_i,
  input  logic         s_host_tvalid_i,
  output logic         s_host_tready_o,
  output logic [511:0] m_fab_tdata_o,
  output logic [63:0]  m_fab_tkeep_o,
  output logic         m_fab_tlast_o,
  output logic         m_fab_tvalid_o,
  input  logic         m_fab_tready_i,
  output logic [511:0] m_host_tdata_o,
  output logic [63:0]  m_host_tkeep_o,
  output logic         m_host_tlast_o,
  output logic [7:0]   m_host_tuser_o,
  output logic         m_host_tvalid_o,
  input  logic         m_host_tready_i,
  output logic [511:0] fw_rx_tdata_o,
  output logic [63:0]  fw_rx_tkeep_o,
  output logic         fw_rx_tlast_o,
  output logic         fw_rx_tvalid_o,
  input  logic         fw_rx_tready_i,
  output logic [7:0]   fw_rx_reason_o,
  output logic [7:0]   fw_rx_vif_o,
  output logic [15:0]  fw_rx_bytes_o,
  input  logic         fw_rx_full_i,
  output logic         trap_drop_valid_o,
  output logic [7:0]   trap_drop_vif_o,
  input  logic [511:0] fw_tx_tdata_i,
  input  logic [63:0]  fw_tx_tkeep_i,
  input  logic         fw_tx_tlast_i,
  input  logic         fw_tx_tvalid_i,
  output logic         fw_tx_tready_o,
  input  logic [7:0]   fw_tx_vif_i,
  output logic         fw_tx_valid_o,
  output logic [7:0]   fw_tx_vif_o,
  output logic [15:0]  fw_tx_bytes_o,
  output logic         busy_o,
  output logic         hdr_valid_o,
  output logic [$bits(hdr_t)-1:0] hdr_o,       // taken apart by hdr_fields.h
  output logic [31:0]  hdr_bits_o,
  input  logic         verdict_valid_i,
  input  logic         v_src,
  input  logic [1:0]   v_dst,
  input  logic [7:0]   v_out_vif,
  input  logic [7:0]   v_in_vif,
  input  logic [7:0]   v_trap_reason,
  input  logic         v_raw,
  input  logic [15:0]  v_frame_len,
  input  logic [6:0]   v_strip,
  input  logic [15:0]  v_ip_len,
  input  logic [1:0]   v_encap,
  input  logic [47:0]  v_dmac,
  input  logic [47:0]  v_smac,
  input  logic [31:0]  v_outer_sip,
  input  logic [31:0]  v_outer_dip,
  input  logic [15:0]  v_outer_id,
  input  logic [15:0]  v_entropy,
  input  logic [19:0]  v_label,
  input  logic [7:0]   v_mpls_ttl,
  input  logic [3:0]   v_ihl,
  input  logic [15:0]  v_ttl_proto,
  input  logic [15:0]  v_ip_csum,
  input  logic         v_sip_en,
  input  logic [31:0]  v_sip,
  input  logic         v_dip_en,
  input  logic [31:0]  v_dip,
  input  logic         v_sport_en,
  input  logic [15:0]  v_sport,
  input  logic         v_dport_en,
  input  logic [15:0]  v_dport,
  input  logic         v_l4_csum_en,
  input  logic [3:0]   v_l4_csum_word,
  input  logic [15:0]  v_l4_csum,
  input  logic         v_emb_en,
  input  logic [15:0]  v_emb_ip_csum,
  input  logic [31:0]  v_emb_sip,
  input  logic [31:0]  v_emb_dip,
  input  logic         v_emb_sport_en,
  input  logic [15:0]  v_emb_sport,
  input  logic         v_emb_dport_en,
  input  logic [15:0]  v_emb_dport,
  input  logic         v_emb_l4_csum_en,
  input  logic [3:0]   v_emb_l4_csum_word,
  input  logic [15:0]  v_emb_l4_csum
);

  hdr_t       hdr;
  verdict_t   verdict;
  trap_meta_t meta;

  assign fw_rx_reason_o = meta.reason;
  assign fw_rx_vif_o    = meta.vif;
  assign fw_rx_bytes_o  = meta.bytes;

  assign hdr_o      = hdr;
  assign hdr_bits_o = $bits(hdr_t);

  always_comb begin
    verdict.src = src_e'(v_src);
    verdict.dst = dst_e'(v_dst);
    verdict.out_vif = v_out_vif;
    verdict.in_vif = v_in_vif;
    verdict.trap_reason = v_trap_reason;
    verdict.raw = v_raw;
    verdict.frame_len = v_frame_len;
    verdict.strip = v_strip;
    verdict.ip_len = v_ip_len;
    verdict.encap = encap_e'(v_encap);
    verdict.dmac = v_dmac;
    verdict.smac = v_smac;
    verdict.outer_sip = v_outer_sip;
    verdict.outer_dip = v_outer_dip;
    verdict.outer_id = v_outer_id;
    verdict.entropy = v_entropy;
    verdict.label = v_label;
    verdict.mpls_ttl = v_mpls_ttl;
    verdict.ihl = v_ihl;
    verdict.ttl_proto = v_ttl_proto;
    verdict.ip_csum = v_ip_csum;
    verdict.sip_en = v_sip_en;
    verdict.sip = v_sip;
    verdict.dip_en = v_dip_en;
    verdict.dip = v_dip;
    verdict.sport_en = v_sport_en;
    verdict.sport = v_sport;
    verdict.dport_en = v_dport_en;
    verdict.dport = v_dport;
    verdict.l4_csum_en = v_l4_csum_en;
    verdict.l4_csum_word = v_l4_csum_word;
    verdict.l4_csum = v_l4_csum;
    verdict.emb_en = v_emb_en;
    verdict.emb_ip_csum = v_emb_ip_csum;
    verdict.emb_sip = v_emb_sip;
    verdict.emb_dip = v_emb_dip;
    verdict.emb_sport_en = v_emb_sport_en;
    verdict.emb_sport = v_emb_sport;
    verdict.emb_dport_en = v_emb_dport_en;
    verdict.emb_dport = v_emb_dport;
    verdict.emb_l4_csum_en = v_emb_l4_csum_en;
    verdict.emb_l4_csum_word = v_emb_l4_csum_word;
    verdict.emb_l4_csum = v_emb_l4_csum;
  end

  ps_datapath u_datapath (
    .clk_i,
    .rst_i,
    .s_fab_tdata_i,
    .s_fab_tkeep_i,
    .s_fab_tlast_i,
    .s_fab_tvalid_i,
    .s_fab_tready_o,
    .m_fab_tdata_o,
    .m_fab_tkeep_o,
    .m_fab_tlast_o,
    .m_fab_tvalid_o,
    .m_fab_tready_i,
    .s_host_tdata_i,
    .s_host_tkeep_i,
    .s_host_tlast_i,
    .s_host_tuser_i,
    .s_host_tvalid_i,
    .s_host_tready_o,
    .m_host_tdata_o,
    .m_host_tkeep_o,
    .m_host_tlast_o,
    .m_host_tuser_o,
    .m_host_tvalid_o,
    .m_host_tready_i,
    .hdr_valid_o,
    .hdr_o       (hdr),
    .verdict_valid_i,
    .verdict_i   (verdict),
    .fw_rx_tdata_o,
    .fw_rx_tkeep_o,
    .fw_rx_tlast_o,
    .fw_rx_tvalid_o,
    .fw_rx_tready_i,
    .fw_rx_meta_o(meta),
    .fw_rx_full_i,
    .trap_drop_valid_o,
    .trap_drop_vif_o,
    .fw_tx_tdata_i,
    .fw_tx_tkeep_i,
    .fw_tx_tlast_i,
    .fw_tx_tvalid_i,
    .fw_tx_tready_o,
    .fw_tx_vif_i,
    .fw_tx_valid_o,
    .fw_tx_vif_o,
    .fw_tx_bytes_o,
    .gap_i(1'b0),
    .busy_o
  );

endmodule
