// VifStats: packets, bytes and drops of each vif.
//
// Counts:      valid_i/count_i, one packet every cycle; frames of the firmware and its drops beside it.
// Maintenance: as in ps_count_base: reads stand 4 cycles after acc_i.re; writes never wait for packets.
// Counters wrap at their width.
module ps_vif_stats
  import ps_abi_pkg::*;
  import ps_types_pkg::*;
  import ps_match_pkg::*;
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

  input  logic        clearing_i,
  input  access_t     acc_i,
  input  logic [VifStatsBits-1:0] acc_wdata_i,
  output vif_stats_t  rdata_o,
  output logic        busy_o
);

  localparam int unsigned AddWidth = 16;

  typedef struct packed {
    logic [CounterBits-1:0] drops;
    logic [CounterBits-1:0] bytes;
    logic [CounterBits-1:0] packets;
  } rx_t;

  typedef struct packed {
    logic [CounterBits-1:0] bytes;
    logic [CounterBits-1:0] packets;
  } tx_t;

  // What is counted, registered: memories and their hazards begin with it.
  logic        rx_q, tx_q, trap_q, fw_q, drop_q;
  logic [7:0]  in_vif_q, tx_vif_q, trap_vif_q, fw_vif_q;
  logic [15:0] rx_bytes_q, tx_bytes_q, fw_bytes_q;
  logic        re, clear_q;
  logic [7:0]  clear_index_q;
  logic        rx_busy, tx_busy, trap_busy, fw_busy;
  rx_t         rx;
  tx_t         tx, fw;
  logic [CounterBits-1:0] trap;
  vif_stats_t  counted_q;

  assign re = acc_i.re[SelVifStats] || acc_i.we[SelVifStats];   // while clearing for nothing

  always_ff @(posedge clk_i) begin
    if (valid_i) begin
      in_vif_q   <= count_i.in_vif;
      rx_bytes_q <= count_i.rx_bytes;
      drop_q     <= count_i.drop;
      tx_vif_q   <= count_i.tx_vif;
      tx_bytes_q <= count_i.tx_bytes;
    end
    clear_q       <= clearing_i && acc_i.we[SelVifStats];
    clear_index_q <= acc_i.index[7:0];
    trap_vif_q <= trap_drop_vif_i;
    fw_vif_q   <= fw_tx_vif_i;
    fw_bytes_q <= fw_tx_bytes_i;
    rx_q   <= valid_i && !rst_i;
    tx_q   <= valid_i && count_i.tx && !rst_i;
    trap_q <= trap_drop_valid_i && !rst_i;
    fw_q   <= fw_tx_valid_i && !rst_i;
  end

  ps_count_ram #(
    .Counters(3),
    .Width   (CounterBits),
    .AddWidth(AddWidth),
    .Depth   (Vifs)
  ) u_rx (
    .clk_i,
    .rst_i,
    .op_valid_i (rx_q),
    .op_index_i (in_vif_q),
    .op_add_i   ({AddWidth'(drop_q), rx_bytes_q, AddWidth'(1)}),
    .re_i       (re),
    .raddr_i    (acc_i.index[7:0]),
    .rdata_o    (rx),
    .clr_we_i   (clear_q),
    .clr_index_i(clear_index_q),
    .busy_o     (rx_busy)
  );

  ps_count_ram #(
    .Counters(2),
    .Width   (CounterBits),
    .AddWidth(AddWidth),
    .Depth   (Vifs)
  ) u_tx (
    .clk_i,
    .rst_i,
    .op_valid_i (tx_q),
    .op_index_i (tx_vif_q),
    .op_add_i   ({tx_bytes_q, AddWidth'(1)}),
    .re_i       (re),
    .raddr_i    (acc_i.index[7:0]),
    .rdata_o    (tx),
    .clr_we_i   (clear_q),
    .clr_index_i(clear_index_q),
    .busy_o     (tx_busy)
  );

  // What comes beside the pipeline has counters of its own, so that it never waits for packets.
  ps_count_ram #(
    .Width   (CounterBits),
    .AddWidth(1),
    .Depth   (Vifs)
  ) u_trap_drop (
    .clk_i,
    .rst_i,
    .op_valid_i (trap_q),
    .op_index_i (trap_vif_q),
    .op_add_i   (1'b1),
    .re_i       (re),
    .raddr_i    (acc_i.index[7:0]),
    .rdata_o    (trap),
    .clr_we_i   (clear_q),
    .clr_index_i(clear_index_q),
    .busy_o     (trap_busy)
  );

  ps_count_ram #(
    .Counters(2),
    .Width   (CounterBits),
    .AddWidth(AddWidth),
    .Depth   (Vifs)
  ) u_fw_tx (
    .clk_i,
    .rst_i,
    .op_valid_i (fw_q),
    .op_index_i (fw_vif_q),
    .op_add_i   ({fw_bytes_q, AddWidth'(1)}),
    .re_i       (re),
    .raddr_i    (acc_i.index[7:0]),
    .rdata_o    (fw),
    .clr_we_i   (clear_q),
    .clr_index_i(clear_index_q),
    .busy_o     (fw_busy)
  );

  always_ff @(posedge clk_i) begin
    counted_q <= '{drops: rx.drops + trap, tx_bytes: tx.bytes + fw.bytes, tx_packets: tx.packets + fw.packets,
                   rx_bytes: rx.bytes, rx_packets: rx.packets};
  end

  ps_count_base #(
    .Counters(VifStatsBits / CounterBits),
    .Width   (CounterBits),
    .Depth   (Vifs)
  ) u_base (
    .clk_i,
    .rst_i,
    .clearing_i,
    .re_i     (acc_i.re[SelVifStats]),
    .we_i     (acc_i.we[SelVifStats]),
    .index_i  (acc_i.index[7:0]),
    .wdata_i  (acc_wdata_i),
    .counted_i(counted_q),
    .rdata_o
  );

  assign busy_o = valid_i || trap_drop_valid_i || fw_tx_valid_i || rx_busy || tx_busy || trap_busy || fw_busy;

  logic unused_bits;
  assign unused_bits = ^{count_i, acc_i};

endmodule
