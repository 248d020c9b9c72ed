// Counters: VifStats, DropStats, CardStats. (FlowStats: ps_pair_stats.)
//
// Counts:      valid_i/count_i, one packet every cycle; frames of the firmware and its drops beside it.
// Maintenance: reads stand some cycles after acc_i.re (ReadCycles at most); a write of counters is a base that what is counted
//              is added to, and never waits for packets.
module ps_stats
  import ps_abi_pkg::*;
  import ps_types_pkg::*;
  import ps_match_pkg::*;
  import ps_pair_pkg::*;
(
  input  logic        clk_i,
  input  logic        rst_i,

  input  logic        valid_i,
  input  count_t      count_i,
  input  logic        trap_drop_valid_i,
  input  logic [7:0]  trap_drop_vif_i,
  input  logic        fw_tx_valid_i,
  input  logic [7:0]  fw_tx_vif_i,
  input  logic [15:0] fw_tx_bytes_i,
  input  pair_event_t event_i,

  input  logic        clearing_i,
  input  access_t     acc_i,
  input  logic [VifStatsBits-1:0] acc_wdata_i,
  output vif_stats_t  vif_rdata_o,
  output logic [47:0] drop_rdata_o,
  output logic [47:0] card_rdata_o,
  output logic        busy_o
);

  logic vif_busy, card_busy;

  ps_vif_stats u_vif_stats (
    .clk_i,
    .rst_i,
    .valid_i,
    .count_i,
    .trap_drop_valid_i,
    .trap_drop_vif_i,
    .fw_tx_valid_i,
    .fw_tx_vif_i,
    .fw_tx_bytes_i,
    .clearing_i,
    .acc_i,
    .acc_wdata_i,
    .rdata_o(vif_rdata_o),
    .busy_o (vif_busy)
  );

  ps_card_stats u_card_stats (
    .clk_i,
    .rst_i,
    .valid_i,
    .count_i,
    .trap_drop_valid_i,
    .fw_tx_valid_i,
    .event_i,
    .clearing_i,
    .acc_i,
    .acc_wdata_i(acc_wdata_i[CounterBits-1:0]),
    .drop_rdata_o,
    .card_rdata_o,
    .busy_o (card_busy)
  );

  assign busy_o = vif_busy || card_busy;

endmodule
