// Counters: FlowStats, VifStats, DropStats, CardStats.
//
// Counts:      valid_i/count_i, one packet every cycle (those of flows in ps_flow_stats); frames of the firmware and its drops beside it.
// Maintenance: reads stand the cycle after acc_i.re, those of VifStats two cycles after; writes are done as long after acc_i.we.
//              Drops and card counters are written at once.
// VifStats:    what the host reads is a base word and what was counted since the tables were cleared. A write puts the
//              difference between its value and the counts into the base, so that it never waits for a gap between packets and
//              no packet is lost over it. Example: 1000 counted, 7 written: base 7 - 1000 (mod 2^48); 3 packets on, 10 is read.
// Counters wrap at their width.
module ps_stats
  import ps_abi_pkg::*;
  import ps_types_pkg::*;
  import ps_match_pkg::*;
#(
  parameter int unsigned InitPatience = 15    // cycles
) (
  input  logic        clk_i,
  input  logic        rst_i,
  input  logic [31:0] now_i,   // card time >> 16

  input  logic        valid_i,
  input  count_t      count_i,
  input  logic        trap_drop_valid_i,
  input  logic [7:0]  trap_drop_vif_i,
  input  logic        fw_tx_valid_i,
  input  logic [7:0]  fw_tx_vif_i,
  input  logic [15:0] fw_tx_bytes_i,
  input  flow_event_t event_i,
  output tcp_write_t  tcp_o,

  input  logic        init_valid_i,
  input  logic [15:0] init_index_i,
  input  flow_stats_t init_value_i,
  output logic        init_ready_o,

  input  logic        clearing_i,
  input  access_t     acc_i,
  input  logic [VifStatsBits-1:0] acc_wdata_i,
  output flow_stats_t flow_rdata_o,
  output vif_stats_t  vif_rdata_o,
  output logic [47:0] drop_rdata_o,
  output logic [47:0] card_rdata_o,
  output logic        busy_o
);

  typedef struct packed {
    logic [47:0] drops;
    logic [47:0] bytes;
    logic [47:0] packets;
  } rx_t;

  typedef struct packed {
    logic [47:0] bytes;
    logic [47:0] packets;
  } tx_t;

  logic   rx_op, tx_op, flow_busy;
  logic   valid1_q, trap_drop1_q, fw_tx1_q;
  count_t count1_q;
  logic [15:0] fw_bytes1_q;

  ps_flow_stats #(
    .InitPatience(InitPatience)
  ) u_flow_stats (
    .clk_i,
    .rst_i,
    .now_i,
    .valid_i,
    .count_i,
    .tcp_o,
    .init_valid_i,
    .init_index_i,
    .init_value_i,
    .init_ready_o,
    .clearing_i,
    .acc_i,
    .rdata_o(flow_rdata_o),
    .busy_o (flow_busy)
  );

  // --- Vifs
  rx_t         rx_old, rx_new, rx_read;
  tx_t         tx_old, tx_new, tx_read, fw_old, fw_new, fw_read;
  logic [47:0] trap_old, trap_new, trap_read;
  vif_stats_t  counted, base, base_wdata;
  logic        vif_re, vif_read1_q, vif_write1_q, base_we;
  logic [7:0]  vif_index1_q;

  assign rx_op   = valid_i;
  assign tx_op   = valid_i && count_i.tx;
  assign vif_re  = acc_i.re[SelVifStats] || (acc_i.we[SelVifStats] && !clearing_i);

  ps_rmw_ram #(
    .Width($bits(rx_t)),
    .Depth(Vifs)
  ) u_rx (
    .clk_i,
    .rst_i,
    .op_valid_i (rx_op),
    .op_index_i (count_i.in_vif),
    .old_o      (rx_old),
    .new_i      (rx_new),
    .re_i       (vif_re),
    .raddr_i    (vif_stats_addr_t'(acc_i.index)),
    .rdata_o    (rx_read),
    .clr_we_i   (clearing_i && acc_i.we[SelVifStats]),
    .clr_index_i(vif_stats_addr_t'(acc_i.index))
  );

  ps_rmw_ram #(
    .Width($bits(tx_t)),
    .Depth(Vifs)
  ) u_tx (
    .clk_i,
    .rst_i,
    .op_valid_i (tx_op),
    .op_index_i (count_i.tx_vif),
    .old_o      (tx_old),
    .new_i      (tx_new),
    .re_i       (vif_re),
    .raddr_i    (vif_stats_addr_t'(acc_i.index)),
    .rdata_o    (tx_read),
    .clr_we_i   (clearing_i && acc_i.we[SelVifStats]),
    .clr_index_i(vif_stats_addr_t'(acc_i.index))
  );

  // What comes beside the pipeline has counters of its own, so that it never waits for packets.
  ps_rmw_ram #(
    .Width(48),
    .Depth(Vifs)
  ) u_trap_drop (
    .clk_i,
    .rst_i,
    .op_valid_i (trap_drop_valid_i),
    .op_index_i (trap_drop_vif_i),
    .old_o      (trap_old),
    .new_i      (trap_new),
    .re_i       (vif_re),
    .raddr_i    (vif_stats_addr_t'(acc_i.index)),
    .rdata_o    (trap_read),
    .clr_we_i   (clearing_i && acc_i.we[SelVifStats]),
    .clr_index_i(vif_stats_addr_t'(acc_i.index))
  );

  ps_rmw_ram #(
    .Width($bits(tx_t)),
    .Depth(Vifs)
  ) u_fw_tx (
    .clk_i,
    .rst_i,
    .op_valid_i (fw_tx_valid_i),
    .op_index_i (fw_tx_vif_i),
    .old_o      (fw_old),
    .new_i      (fw_new),
    .re_i       (vif_re),
    .raddr_i    (vif_stats_addr_t'(acc_i.index)),
    .rdata_o    (fw_read),
    .clr_we_i   (clearing_i && acc_i.we[SelVifStats]),
    .clr_index_i(vif_stats_addr_t'(acc_i.index))
  );

  always_comb begin
    rx_new   = '{drops: rx_old.drops + 48'(count1_q.drop), bytes: rx_old.bytes + 48'(count1_q.rx_bytes),
                 packets: rx_old.packets + 48'd1};
    tx_new   = '{bytes: tx_old.bytes + 48'(count1_q.tx_bytes), packets: tx_old.packets + 48'd1};
    trap_new = trap_old + 48'd1;
    fw_new   = '{bytes: fw_old.bytes + 48'(fw_bytes1_q), packets: fw_old.packets + 48'd1};
  end

  assign counted    = '{drops: rx_read.drops + trap_read, tx_bytes: tx_read.bytes + fw_read.bytes,
                        tx_packets: tx_read.packets + fw_read.packets, rx_bytes: rx_read.bytes,
                        rx_packets: rx_read.packets};
  assign base_wdata = clearing_i ? '0 : each_counter(acc_wdata_i, counted, 1'b1);
  assign base_we    = vif_write1_q || (clearing_i && acc_i.we[SelVifStats]);

  // Counter by counter, a + b or a - b
  function automatic vif_stats_t each_counter(input vif_stats_t a, input vif_stats_t b, input logic minus);
    for (int c = 0; c < VifStatsBits / CounterBits; c++) begin
      each_counter[CounterBits*c+:CounterBits] =
          minus ? a[CounterBits*c+:CounterBits] - b[CounterBits*c+:CounterBits] :
                  a[CounterBits*c+:CounterBits] + b[CounterBits*c+:CounterBits];
    end
  endfunction

  ps_ram_sdp #(
    .Width(VifStatsBits),
    .Depth(Vifs)
  ) u_base (
    .clk_i,
    .we_i   (base_we),
    .waddr_i(clearing_i ? vif_stats_addr_t'(acc_i.index) : vif_index1_q),
    .wdata_i(base_wdata),
    .re_i   (acc_i.re[SelVifStats]),
    .raddr_i(vif_stats_addr_t'(acc_i.index)),
    .rdata_o(base)
  );

  always_ff @(posedge clk_i) begin
    vif_read1_q  <= acc_i.re[SelVifStats];
    vif_write1_q <= acc_i.we[SelVifStats] && !clearing_i && !rst_i;
    vif_index1_q <= vif_stats_addr_t'(acc_i.index);
    if (vif_read1_q) vif_rdata_o <= each_counter(counted, base, 1'b0);
  end

  // --- Drops and the card
  logic [47:0] drop_q [DropReasons];
  logic [47:0] card_q [CardCounters];

  always_ff @(posedge clk_i) begin
    if (valid1_q && count1_q.drop) drop_q[count1_q.reason] <= drop_q[count1_q.reason] + 48'd1;
    if (trap_drop1_q) drop_q[DropTrapQueueFull] <= drop_q[DropTrapQueueFull] + 48'd1;
    if (acc_i.we[SelDropStats]) drop_q[drop_stats_addr_t'(acc_i.index)] <= acc_wdata_i[47:0];
    if (acc_i.re[SelDropStats]) drop_rdata_o <= drop_q[drop_stats_addr_t'(acc_i.index)];

    if (event_i.learned) card_q[CounterFlowsLearned] <= card_q[CounterFlowsLearned] + 48'd1;
    if (event_i.repinned) card_q[CounterFlowsRepinned] <= card_q[CounterFlowsRepinned] + 48'd1;
    if (event_i.full) card_q[CounterFlowTableFull] <= card_q[CounterFlowTableFull] + 48'd1;
    if (valid1_q && count1_q.deferred) card_q[CounterLearnDeferred] <= card_q[CounterLearnDeferred] + 48'd1;
    if (event_i.added) card_q[CounterFlowsInUse] <= card_q[CounterFlowsInUse] + 48'd1;
    if (event_i.removed) card_q[CounterFlowsInUse] <= card_q[CounterFlowsInUse] - 48'd1;
    if (valid1_q && count1_q.trap) card_q[CounterTrapped] <= card_q[CounterTrapped] + 48'd1;
    if (fw_tx1_q) card_q[CounterFirmwareTx] <= card_q[CounterFirmwareTx] + 48'd1;
    if (acc_i.we[SelCardStats]) card_q[card_stats_addr_t'(acc_i.index)] <= acc_wdata_i[47:0];
    if (acc_i.re[SelCardStats]) card_rdata_o <= card_q[card_stats_addr_t'(acc_i.index)];
  end

  always_ff @(posedge clk_i) begin
    if (valid_i) count1_q <= count_i;
    if (fw_tx_valid_i) fw_bytes1_q <= fw_tx_bytes_i;
    valid1_q     <= valid_i && !rst_i;
    trap_drop1_q <= trap_drop_valid_i && !rst_i;
    fw_tx1_q     <= fw_tx_valid_i && !rst_i;
  end

  assign busy_o = flow_busy || valid1_q || trap_drop1_q || fw_tx1_q || trap_drop_valid_i ||
                  fw_tx_valid_i || valid_i;

  logic unused_bits;
  assign unused_bits = ^count1_q;

endmodule
