// DropStats and CardStats: drops by reason, and events of the whole card.
//
// Counts:      valid_i/count_i, one packet every cycle; frames of the firmware, its drops and the flow table's events beside it.
// Maintenance: as in ps_count_base: reads stand 4 cycles after acc_i.re; writes never wait for packets.
// Counters wrap at their width.
module ps_card_stats
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
  input  logic        fw_tx_valid_i,
  input  pair_event_t event_i,

  input  logic        clearing_i,
  input  access_t     acc_i,
  input  logic [CounterBits-1:0] acc_wdata_i,
  output logic [CounterBits-1:0] drop_rdata_o,
  output logic [CounterBits-1:0] card_rdata_o,
  output logic        busy_o
);

  typedef logic [CounterBits-1:0] counter_t;

  localparam int unsigned ReasonBits = $clog2(DropReasons);
  localparam int unsigned CardBits   = $clog2(CardCounters);

  // --- Drops: of packets by their reason, and those of the queue to the firmware.
  logic                  drop_q, trap_drop_q, drop_busy, drop_re, drop_clear_q;
  logic [ReasonBits-1:0] reason_q, clear_index_q;
  counter_t              dropped, trap_drops_q, dropped_q;
  logic [2:1]            of_queue_q;

  assign drop_re = acc_i.re[SelDropStats] || acc_i.we[SelDropStats];   // while clearing for nothing

  ps_count_ram #(
    .Width   (CounterBits),
    .AddWidth(1),
    .Depth   (DropReasons)
  ) u_drops (
    .clk_i,
    .rst_i,
    .op_valid_i (drop_q),
    .op_index_i (reason_q),
    .op_add_i   (1'b1),
    .re_i       (drop_re),
    .raddr_i    (acc_i.index[ReasonBits-1:0]),
    .rdata_o    (dropped),
    .clr_we_i   (drop_clear_q),
    .clr_index_i(clear_index_q),
    .busy_o     (drop_busy)
  );

  ps_count_base #(
    .Width(CounterBits),
    .Depth(DropReasons)
  ) u_drop_base (
    .clk_i,
    .rst_i,
    .clearing_i,
    .re_i     (acc_i.re[SelDropStats]),
    .we_i     (acc_i.we[SelDropStats]),
    .index_i  (acc_i.index[ReasonBits-1:0]),
    .wdata_i  (acc_wdata_i),
    .counted_i(dropped_q),
    .rdata_o  (drop_rdata_o)
  );

  always_ff @(posedge clk_i) begin
    if (valid_i) reason_q <= count_i.reason;
    drop_q      <= valid_i && count_i.drop && !rst_i;
    trap_drop_q <= trap_drop_valid_i && !rst_i;
    drop_clear_q  <= clearing_i && acc_i.we[SelDropStats];
    clear_index_q <= acc_i.index[ReasonBits-1:0];
    of_queue_q  <= {of_queue_q[1], acc_i.index[ReasonBits-1:0] == DropTrapQueueFull};
    dropped_q   <= dropped + (of_queue_q[2] ? trap_drops_q : '0);
    if (trap_drop_q) trap_drops_q <= trap_drops_q + 1'b1;
    if (rst_i || drop_clear_q) trap_drops_q <= '0;
  end

  // --- Card: a register for each that is counted. Flows in use also go down.
  logic [CardCounters-1:0] count_q;       // what is counted this cycle
  logic                    removed_q, card_clear_q;
  counter_t [CardCounters-1:0] counts_q;
  logic [CardBits-1:0]     card_index_q;
  counter_t                card_counted2_q, card_counted3_q;

  ps_count_base #(
    .Width(CounterBits),
    .Depth(CardCounters)
  ) u_card_base (
    .clk_i,
    .rst_i,
    .clearing_i,
    .re_i     (acc_i.re[SelCardStats]),
    .we_i     (acc_i.we[SelCardStats]),
    .index_i  (acc_i.index[CardBits-1:0]),
    .wdata_i  (acc_wdata_i),
    .counted_i(card_counted3_q),
    .rdata_o  (card_rdata_o)
  );

  always_ff @(posedge clk_i) begin
    count_q                       <= '0;
    count_q[CounterFlowsLearned]  <= event_i.learned;
    count_q[CounterFlowsRepinned] <= event_i.repinned;
    count_q[CounterFlowsAged]     <= event_i.aged;
    count_q[CounterFlowsEvicted]  <= event_i.evicted;
    count_q[CounterAffinityLearned] <= event_i.client_learned;
    count_q[CounterAffinityEvicted] <= event_i.client_evicted;
    count_q[CounterFlowTableFull] <= event_i.full;
    count_q[CounterLearnDeferred] <= valid_i && count_i.deferred;
    count_q[CounterFlowsInUse]    <= event_i.added != event_i.removed;
    count_q[CounterTrapped]       <= valid_i && count_i.trap;
    count_q[CounterFirmwareTx]    <= fw_tx_valid_i;
    removed_q                     <= event_i.removed;
    for (int unsigned c = 0; c < CardCounters; c++) begin
      if (count_q[c]) begin
        if (c != 32'(CounterFlowsInUse)) counts_q[c] <= counts_q[c] + 1'b1;
        else counts_q[c] <= removed_q ? counts_q[c] - CounterBits'(2) : counts_q[c] + CounterBits'(2);   // a pair
      end
    end
    card_clear_q <= clearing_i && acc_i.we[SelCardStats];
    if (rst_i || card_clear_q) counts_q <= '0;
    if (rst_i) count_q <= '0;
    card_index_q    <= acc_i.index[CardBits-1:0];
    card_counted2_q <= counts_q[card_index_q];
    card_counted3_q <= card_counted2_q;
  end

  assign busy_o = valid_i || trap_drop_valid_i || fw_tx_valid_i || event_i != '0 || drop_busy || trap_drop_q ||
                  count_q != '0;

  logic unused_bits;
  assign unused_bits = ^{count_i, acc_i};

endmodule
