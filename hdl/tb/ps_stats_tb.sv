// Bench of ps_stats behind ps_table_access: VifStats written and read while packets are counted in every cycle; pairs in use.
// Prints PASS or stops.
module ps_stats_tb
  import ps_abi_pkg::*;
  import ps_types_pkg::*;
  import ps_match_pkg::*;
  import ps_pair_pkg::*;
;

  localparam int WriteCycles = 18;

  logic clk = 0, rst = 1;
  always #1 clk = !clk;

  logic        clearing, valid = 0, trap_drop = 0, fw_tx = 0, cfg_valid = 0, clear = 0;
  count_t      count = '0;
  cfg_req_t    cfg_req = '0;
  cfg_rsp_t    cfg_rsp;
  access_t     acc;
  logic [WriteMaxBits-1:0] acc_wdata;
  vif_stats_t  vif_rdata;
  logic [47:0] card_rdata;
  pair_event_t event_now = '0;
  logic        busy;
  longint      now = 0;
  always_ff @(posedge clk) now <= now + 1;

  ps_table_access u_access (
    .clk_i(clk), .rst_i(rst), .clear_i(clear), .clearing_o(clearing), .cfg_valid_i(cfg_valid), .cfg_req_i(cfg_req),
    .cfg_rsp_o(cfg_rsp), .acc_o(acc), .acc_wdata_o(acc_wdata), 
    .rdata_i(cfg_req.table_id == TableCardStats ? EntryMaxBits'(card_rdata) : EntryMaxBits'(vif_rdata)),
    .turn_done_i(1'b0), .flow_valid_o(), .flow_stats_o(), .flow_done_i(1'b0)
  );

  ps_stats dut (
    .clk_i(clk), .rst_i(rst), .valid_i(valid), .count_i(count), .trap_drop_valid_i(trap_drop),
    .trap_drop_vif_i(8'd3), .fw_tx_valid_i(fw_tx), .fw_tx_vif_i(8'd3), .fw_tx_bytes_i(16'd60), .event_i(event_now),
    .clearing_i(clearing), .acc_i(acc), .acc_wdata_i(acc_wdata[VifStatsBits-1:0]),
    .vif_rdata_o(vif_rdata), .drop_rdata_o(), .card_rdata_o(card_rdata), .busy_o(busy)
  );

  task automatic check(input logic ok, input string what);
    if (!ok) $fatal(1, "FAIL: %s", what);
  endtask

  task automatic access(input logic write, input int vif, input vif_stats_t wdata, output vif_stats_t rdata);
    longint begun;
    begun     = now;
    cfg_req   <= '{write: write, table_id: TableVifStats, index: 32'(vif), wdata: 384'(wdata)};
    cfg_valid <= 1;
    do begin
      @(posedge clk);
      check(now - begun <= WriteCycles, "an access to counters waits for traffic");
    end while (!cfg_rsp.done);
    check(cfg_rsp.status == StOk, "status");
    rdata = cfg_rsp.rdata[VifStatsBits-1:0];
    cfg_valid <= 0;
    @(posedge clk);
  endtask

  // Bytes of packets first..first + number - 1: no two runs have the same sum, so bytes tell which packets were counted.
  function automatic logic [47:0] bytes_of(input int first, input int number);
    bytes_of = '0;
    for (int i = first; i < first + number; i++) bytes_of += 48'(74 + i);
  endfunction

  // `packets` packets from vif 3 to vif 4, one a cycle; a frame of the firmware and a trap drop in every third.
  task automatic traffic(input int packets);
    for (int i = 0; i < packets; i++) begin
      count          <= '0;
      count.in_vif   <= 3;
      count.tx       <= 1;
      count.tx_vif   <= 4;
      count.rx_bytes <= 16'(74 + i);
      count.tx_bytes <= 16'(74 + i);
      valid          <= 1;
      fw_tx          <= i % 3 == 0;
      trap_drop      <= i % 3 == 0;
      @(posedge clk);
    end
    valid     <= 0;
    fw_tx     <= 0;
    trap_drop <= 0;
    repeat (4) @(posedge clk);
  endtask

  task automatic card_counter(input logic [3:0] id, output logic [47:0] value);
    cfg_req   <= '{write: 1'b0, table_id: TableCardStats, index: 32'(id), wdata: '0};
    cfg_valid <= 1;
    do @(posedge clk); while (!cfg_rsp.done);
    value     = cfg_rsp.rdata[47:0];
    cfg_valid <= 0;
    @(posedge clk);
  endtask

  // Entries in use go up and down by two: pairs.
  task automatic pairs();
    logic [47:0] value;
    for (int i = 0; i < 12; i++) begin
      event_now <= '{learned: i % 2 == 0, added: 1'b1, removed: i % 3 == 0, default: 1'b0};
      @(posedge clk);
    end
    event_now <= '{removed: 1'b1, default: 1'b0};
    @(posedge clk);
    event_now <= '0;
    @(posedge clk);
    while (busy) @(posedge clk);
    card_counter(CounterFlowsInUse, value);
    check(value == 2 * (12 - 4 - 1), "in use");
    card_counter(CounterFlowsLearned, value);
    check(value == 6, "learned");
  endtask

  localparam int Packets = 900;
  vif_stats_t value, set, other;
  int         after;
  initial begin
    repeat (4) @(posedge clk);
    rst = 0;
    @(posedge clk);
    while (clearing) @(posedge clk);
    pairs();
    access(1, 0, '0, value);
    traffic(300);
    access(0, 3, '0, value);
    check(value == '{rx_packets: 300, rx_bytes: bytes_of(0, 300), tx_packets: 100, tx_bytes: 6000, drops: 100}, "counts");
    // Every counter wraps, and none carries into the next.
    set = '1;
    access(1, 3, set, value);
    access(0, 3, '0, value);
    check(value == set, "written");
    traffic(3);
    access(0, 3, '0, value);
    check(value == '{rx_packets: 2, rx_bytes: bytes_of(0, 3) - 1, tx_packets: 0, tx_bytes: 59, drops: 0}, "wrapped");
    // Under a packet every cycle; the last of several writes stands.
    access(0, 4, '0, other);
    set = '{rx_packets: 48'hffff_ffff_ff00, rx_bytes: 5, tx_packets: 6, tx_bytes: 7, drops: 8};
    fork
      traffic(Packets);
      begin
        repeat (100) @(posedge clk);
        for (int n = 0; n < 20; n++) begin
          access(1, 3, n == 19 ? set : '0, value);
          access(0, 3, '0, value);
          repeat (n) @(posedge clk);
        end
      end
    join
    access(0, 3, '0, value);
    after = int'(value.rx_packets - set.rx_packets);
    check(after > 100 && after < 700, "packets after the last write");
    check(value.rx_bytes - set.rx_bytes == bytes_of(Packets - after, after), "bytes of just these packets");
    check((value.tx_packets - 6) * 60 == value.tx_bytes - 7, "frames of the firmware");
    check(value.tx_packets - 6 == value.drops - 8, "trap drops");
    check(value.tx_packets - 6 >= 48'(after / 3 - 1) && value.tx_packets - 6 <= 48'(after / 3 + 1), "every third");
    access(0, 4, '0, value);
    check(value.tx_packets == other.tx_packets + Packets && value.tx_bytes == other.tx_bytes + bytes_of(0, Packets),
          "counters that were not written");
    // Clearing zeroes what was written and what was counted.
    clear = 1;
    @(posedge clk);
    clear = 0;
    @(posedge clk);
    while (clearing) @(posedge clk);
    for (int v = 3; v < 5; v++) begin
      access(0, v, '0, value);
      check(value == '0, "cleared");
    end
    $display("PASS ps_stats_tb");
    $finish;
  end

endmodule
