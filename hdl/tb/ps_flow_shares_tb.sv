// Bench top of ps_flow_shares; ps_flow_shares_tb.cpp plays admission, the pairs' ends and the host, and has a model in program order.
module ps_flow_shares_tb
  import ps_abi_pkg::*;
  import ps_match_pkg::*;
  import ps_pair_pkg::*;
#(
  parameter int unsigned RowsLog2 = 7
) (
  input  logic         clk_i,
  input  logic         rst_i,
  input  logic [31:0]  now_i,
  input  logic         ask_i,
  input  logic         counts_i,
  input  logic         new_i,
  input  logic         by_vif_i,
  input  logic [7:0]   vif_i,
  input  logic         by_tunnel_i,
  input  logic [11:0]  tunnel_i,
  output logic         over_o,
  input  logic         taken_i,
  input  logic [31:0]  taken_pair_i,
  input  logic         refused_i,
  input  logic         change_i,
  input  logic         made_i,
  input  logic [31:0]  change_pair_i,

  input  logic         write_i,          // FlowShare
  input  logic         flip_i,
  input  logic         read_i,
  input  logic         stats_i,          // reads FlowShareStats
  input  logic [31:0]  index_i,
  input  logic         valid_i,
  input  logic [31:0]  pairs_i,
  input  logic [31:0]  burst_i,
  input  logic [31:0]  rate_i,
  output logic         done_o,
  output logic [31:0]  pairs_o,
  output logic [31:0]  refused_o,
  output logic         share_bad_o,
  output logic         error_o,
  output logic [31:0]  error_index_o,

  input  logic         clear_i,
  input  logic         clear_we_i,
  input  logic [31:0]  clear_index_i,
  output logic         busy_o,
  output int unsigned  decides_o,
  output int unsigned  pairs_log2_o,
  output int unsigned  shares_o
);

  assign decides_o    = admit_cycles(RowsLog2) - 1;
  assign pairs_log2_o = RowsLog2 + 3;
  assign shares_o     = FlowShares;

  access_t           acc;
  flow_share_t       share, unused_share;
  flow_share_stats_t stats;
  parity_error_t     error;

  always_comb begin
    acc       = '0;
    acc.index = index_t'(clear_we_i ? clear_index_i : index_i);
    acc.flip  = flip_i;
    acc.we[SelFlowShare]      = write_i || (clear_we_i && clear_index_i < FlowShares);
    acc.re[SelFlowShare]      = read_i;
    acc.re[SelFlowShareStats] = stats_i;
    share = clear_we_i ? '0 : '{rate: rate_i[23:0], burst: burst_i[19:0], pairs: pairs_i[19:0], valid: valid_i};
  end

  ps_flow_shares #(
    .RowsLog2(RowsLog2)
  ) dut (
    .clk_i, .rst_i, .now_i, .ask_i, .counts_i, .new_i,
    .shares_i('{by_vif: by_vif_i, vif: vif_i, by_tunnel: by_tunnel_i, tunnel: tunnel_i}),
    .over_o, .taken_i, .taken_pair_i(pair_t'(taken_pair_i)), .refused_i,
    .change_i('{valid: change_i, made: made_i, pair: pair_t'(change_pair_i)}),
    .acc_i(acc), .acc_wdata_i(share), .done_o, .share_o(unused_share), .share_bad_o, .stats_o(stats), .error_o(error),
    .clear_i, .clear_we_i(clear_we_i && clear_index_i < FlowShares), .clear_index_i(flow_share_addr_t'(clear_index_i)), .busy_o
  );

  assign {refused_o, pairs_o}     = {stats.refused, 32'(stats.pairs)};
  assign {error_o, error_index_o} = {error.valid, 32'(error.index)};

endmodule
