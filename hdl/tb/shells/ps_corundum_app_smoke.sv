// The whole card in Corundum's application block, from the block's published ports: registers, firmware, rings through a model
// of the DMA engine, interrupts, a counted drop, one frame each way with and without a service tag, and one completion
// for each frame of a queue, in order, however long they wait. Not a test of the card: that what a shell connects arrives. Part of
// ps_shells_smoke.
module ps_corundum_app_smoke
  import ps_abi_pkg::*;
(
  output logic done_o = 1'b0
);

  localparam int unsigned TagWidth = 6;
  localparam int unsigned SegCount = 2;
  localparam int unsigned SegBits  = 512;
  localparam int unsigned SegAddr  = 16 - $clog2(SegCount * SegBits / 8);
  localparam logic [63:0] CmdBase = 64'h12_3456_0000;
  localparam logic [63:0] CplBase = 64'h12_3457_0000;
  localparam logic [31:0] StatusReady = 32'h6000_0002;

  logic clk = 0, rst = 1;
  always #2 if (!done_o) clk = !clk;

  // --- The block's ports, those that the card uses
  logic        awvalid, awready, wvalid, wready, bvalid, bready, arvalid, arready, rvalid, rready;
  logic [31:0] awaddr, araddr;
  logic [31:0] wdata, rdata;
  logic [1:0]  bresp, rresp;

  logic [63:0] rd_addr, wr_addr;
  logic [15:0] rd_len, wr_len, rd_tag, wr_tag, rd_status_tag = 0, wr_status_tag = 0;
  logic        rd_valid, rd_ready = 0, rd_status_valid = 0, wr_valid, wr_ready = 0, wr_status_valid = 0;
  logic [SegCount*SegBits/8-1:0] be = '1;
  logic [SegCount*SegAddr-1:0]   ram_waddr = '0;
  logic [SegCount*SegBits-1:0]   ram_wdata = '0, ram_rdata;
  logic [SegCount-1:0]           ram_wvalid = '0, ram_wdone, ram_rcmd = '0, ram_rcmd_ready, ram_rvalid;

  logic [511:0] tx_data = '0, out_data, rx_data = '0, host_data;
  logic [63:0]  tx_keep = '0, out_keep, rx_keep = '0, host_keep;
  logic         tx_valid = 0, tx_ready, tx_last = 0, out_valid, out_last, rx_valid = 0, rx_ready, rx_last = 0;
  logic         host_valid, host_last, cpl_valid, cpl_ready = 1, mac_cpl_ready, irq_valid, irq_ready = 0, flr = 0;
  logic [TagWidth:0]   tx_user = '0, out_user;
  logic [TagWidth-1:0] cpl_tag;
  logic [7:0]          irq_index;

  stub_mqnic_app_block #(
    .TX_TAG_WIDTH(TagWidth)
  ) u_block (
    .clk, .rst,
    .s_axil_app_ctrl_awaddr(awaddr[23:0]), .s_axil_app_ctrl_awvalid(awvalid), .s_axil_app_ctrl_awready(awready),
    .s_axil_app_ctrl_wdata(wdata), .s_axil_app_ctrl_wstrb(4'hf), .s_axil_app_ctrl_wvalid(wvalid),
    .s_axil_app_ctrl_wready(wready), .s_axil_app_ctrl_bresp(bresp), .s_axil_app_ctrl_bvalid(bvalid),
    .s_axil_app_ctrl_bready(bready), .s_axil_app_ctrl_araddr(araddr[23:0]), .s_axil_app_ctrl_arvalid(arvalid),
    .s_axil_app_ctrl_arready(arready), .s_axil_app_ctrl_rdata(rdata), .s_axil_app_ctrl_rresp(rresp),
    .s_axil_app_ctrl_rvalid(rvalid), .s_axil_app_ctrl_rready(rready),
    .m_axis_ctrl_dma_read_desc_dma_addr(rd_addr), .m_axis_ctrl_dma_read_desc_len(rd_len),
    .m_axis_ctrl_dma_read_desc_tag(rd_tag), .m_axis_ctrl_dma_read_desc_valid(rd_valid),
    .m_axis_ctrl_dma_read_desc_ready(rd_ready), .s_axis_ctrl_dma_read_desc_status_tag(rd_status_tag),
    .s_axis_ctrl_dma_read_desc_status_error(4'd0), .s_axis_ctrl_dma_read_desc_status_valid(rd_status_valid),
    .m_axis_ctrl_dma_write_desc_dma_addr(wr_addr), .m_axis_ctrl_dma_write_desc_len(wr_len),
    .m_axis_ctrl_dma_write_desc_tag(wr_tag), .m_axis_ctrl_dma_write_desc_valid(wr_valid),
    .m_axis_ctrl_dma_write_desc_ready(wr_ready), .s_axis_ctrl_dma_write_desc_status_tag(wr_status_tag),
    .s_axis_ctrl_dma_write_desc_status_error(4'd0), .s_axis_ctrl_dma_write_desc_status_valid(wr_status_valid),
    .ctrl_dma_ram_wr_cmd_sel('0), .ctrl_dma_ram_wr_cmd_be(be), .ctrl_dma_ram_wr_cmd_addr(ram_waddr),
    .ctrl_dma_ram_wr_cmd_data(ram_wdata), .ctrl_dma_ram_wr_cmd_valid(ram_wvalid), .ctrl_dma_ram_wr_done(ram_wdone),
    .ctrl_dma_ram_rd_cmd_sel('0), .ctrl_dma_ram_rd_cmd_addr('0), .ctrl_dma_ram_rd_cmd_valid(ram_rcmd),
    .ctrl_dma_ram_rd_cmd_ready(ram_rcmd_ready), .ctrl_dma_ram_rd_resp_data(ram_rdata),
    .ctrl_dma_ram_rd_resp_valid(ram_rvalid), .ctrl_dma_ram_rd_resp_ready('1),
    .s_axis_if_tx_tdata(tx_data), .s_axis_if_tx_tkeep(tx_keep), .s_axis_if_tx_tvalid(tx_valid),
    .s_axis_if_tx_tready(tx_ready), .s_axis_if_tx_tlast(tx_last), .s_axis_if_tx_tid('0), .s_axis_if_tx_tdest('0),
    .s_axis_if_tx_tuser(tx_user),
    .m_axis_if_tx_tdata(out_data), .m_axis_if_tx_tkeep(out_keep), .m_axis_if_tx_tvalid(out_valid),
    .m_axis_if_tx_tready(1'b1), .m_axis_if_tx_tlast(out_last), .m_axis_if_tx_tuser(out_user),
    .s_axis_if_tx_cpl_ts('0), .s_axis_if_tx_cpl_tag('0), .s_axis_if_tx_cpl_valid(out_valid && out_last),
    .s_axis_if_tx_cpl_ready(mac_cpl_ready),
    .m_axis_if_tx_cpl_tag(cpl_tag), .m_axis_if_tx_cpl_valid(cpl_valid), .m_axis_if_tx_cpl_ready(cpl_ready),
    .s_axis_if_rx_tdata(rx_data), .s_axis_if_rx_tkeep(rx_keep), .s_axis_if_rx_tvalid(rx_valid),
    .s_axis_if_rx_tready(rx_ready), .s_axis_if_rx_tlast(rx_last), .s_axis_if_rx_tid('0), .s_axis_if_rx_tdest('0),
    .s_axis_if_rx_tuser('0),
    .m_axis_if_rx_tdata(host_data), .m_axis_if_rx_tkeep(host_keep), .m_axis_if_rx_tvalid(host_valid),
    .m_axis_if_rx_tready(1'b1), .m_axis_if_rx_tlast(host_last),
    .irq_index, .irq_valid, .irq_ready, .flr
  );

  task automatic check(input logic ok, input string what);
    if (!ok) $fatal(1, "FAIL: %s", what);
  endtask

  // --- Host memory behind the DMA engine
  logic [511:0] memory[logic [63:0]];

  initial forever begin
    @(negedge clk);
    rd_ready = 1;
    @(posedge clk);
    if (rd_valid) begin
      logic [63:0] base;
      logic [15:0] tag;
      base = rd_addr;
      tag  = rd_tag;
      check(rd_len != 0 && rd_len[5:0] == 0, "length of a read");
      for (int unsigned k = 0; k < 32'(rd_len) / 64; k++) begin
        @(negedge clk);
        rd_ready   = 0;
        ram_wvalid = SegCount'(1) << (k % SegCount);
        ram_waddr  = {SegCount{SegAddr'(k / SegCount)}};
        ram_wdata  = {SegCount{memory[base + 64'(64 * k)]}};
      end
      @(negedge clk);
      ram_wvalid = '0;
      repeat (5) @(negedge clk);
      rd_status_valid = 1;
      rd_status_tag   = tag;
      @(negedge clk);
      rd_status_valid = 0;
    end
  end

  initial forever begin
    @(negedge clk);
    wr_ready = 1;
    @(posedge clk);
    if (wr_valid) begin
      logic [63:0] base;
      logic [15:0] tag;
      base = wr_addr;
      tag  = wr_tag;
      check(wr_len == 64, "length of a write");
      @(negedge clk);
      wr_ready = 0;
      ram_rcmd = '1;
      @(negedge clk);
      ram_rcmd = '0;
      check(&ram_rvalid, "the RAM answers");
      memory[base] = ram_rdata[511:0];
      repeat (5) @(negedge clk);
      wr_status_valid = 1;
      wr_status_tag   = tag;
      @(negedge clk);
      wr_status_valid = 0;
    end
  end

  int interrupts = 0;
  always @(posedge clk) begin
    irq_ready <= irq_valid && !irq_ready;
    if (irq_valid && irq_ready && irq_index == 8'(IrqCompletion)) interrupts++;
  end

  // --- Registers
  ps_axil_host u_host (
    .clk_i    (clk),
    .awaddr_o (awaddr),
    .awvalid_o(awvalid),
    .awready_i(awready),
    .wdata_o  (wdata),
    .wvalid_o (wvalid),
    .bvalid_i (bvalid),
    .bready_o (bready),
    .araddr_o (araddr),
    .arvalid_o(arvalid),
    .arready_i(arready),
    .rdata_i  (rdata),
    .rvalid_i (rvalid),
    .rready_o (rready)
  );

  // --- Rings
  logic [31:0] produced = 0;
  task automatic command(input logic [7:0] op, input logic [7:0] id, input logic [31:0] index, input logic [383:0] data,
                         output logic [383:0] result);
    logic [511:0] completion;
    memory[CmdBase + 64'(64 * (produced % 16))] = {data, 32'd0, 32'hc000_0000 + produced, index, 8'd0, 8'd1, id, op};
    produced++;
    u_host.write(32'(RegCmdProducer), produced);
    u_host.wait_for(32'(RegCmdConsumer), '1, produced, 100, "completion");
    completion = memory[CplBase + 64'(64 * ((produced - 1) % 16))];
    check(completion[487:480] == StOk && completion[447:416] == 32'hc000_0000 + produced - 1, "status and cookie");
    result = completion[383:0];
  endtask

  // --- Frames. Byte i of frame `mark` is mark + i, but for what an Ethernet header wants.
  function automatic logic [7:0] byte_of(input logic [7:0] mark, input int unsigned i);
    byte_of = mark + 8'(i);
    if (i == 0) byte_of = 8'h02;
    if (i == 12) byte_of = 8'h86;
    if (i == 13) byte_of = 8'hdd;
  endfunction

  logic [TagWidth-1:0] tags_owed[$];
  int                  frames_sent = 0;
  task automatic send_queue(input logic [7:0] mark, input int unsigned length, input logic [7:0] tag);
    logic [511:0] data;
    logic [63:0]  keep;
    int unsigned  at, source, total;
    at     = 0;
    source = 0;
    total  = length + (tag != 0 ? 4 : 0);
    while (at < total) begin
      keep = '0;
      for (int unsigned i = 0; i < 64 && at < total; i++) begin
        if (tag != 0 && at >= 12 && at < 16) data[8*i +: 8] = 8'({tag, 8'h00, 8'ha8, 8'h88} >> (8 * (at - 12)));
        else begin
          data[8*i +: 8] = byte_of(mark, source);
          source++;
        end
        keep[i] = 1;
        at++;
      end
      @(negedge clk);
      tx_data  = data;
      tx_keep  = keep;
      tx_last  = source >= length;
      tx_user  = {1'b1, (TagWidth-1)'(frames_sent), 1'b0};
      tx_valid = 1;
      do @(posedge clk); while (!tx_ready);
      if (tx_last) tags_owed.push_back(tx_user[TagWidth:1]);
    end
    frames_sent++;
    @(negedge clk);
    tx_valid = 0;
  endtask

  task automatic send_port(input logic [7:0] mark, input int unsigned length);
    for (int unsigned from = 0; from < length; from += 64) begin
      @(negedge clk);
      for (int unsigned i = 0; i < 64; i++) begin
        rx_data[8*i +: 8] = byte_of(mark, from + i);
        rx_keep[i]        = from + i < length;
      end
      rx_last  = from + 64 >= length;
      rx_valid = 1;
      do @(posedge clk); while (!rx_ready);
    end
    @(negedge clk);
    rx_valid = 0;
  endtask

  typedef logic [7:0] bytes_t[$];
  bytes_t at_port, at_host;
  int     port_frames = 0, host_frames = 0, completions = 0;
  always @(posedge clk) if (!rst) begin
    if (out_valid) begin
      for (int i = 0; i < 64; i++) if (out_keep[i]) at_port.push_back(out_data[8*i +: 8]);
      if (out_last) port_frames++;
      check(out_user == '0, "frames of the card bear no queue's tag");
    end
    if (host_valid) begin
      for (int i = 0; i < 64; i++) if (host_keep[i]) at_host.push_back(host_data[8*i +: 8]);
      if (host_last) host_frames++;
    end
    if (cpl_valid && cpl_ready) begin
      check(tags_owed.size() > 0, "a completion for no frame");
      check(cpl_tag == tags_owed.pop_front(), "completions in order");
      completions++;
    end
    check(mac_cpl_ready, "the MAC's completions are taken");
  end

  function automatic logic same(input bytes_t got, input logic [7:0] mark, input int unsigned length);
    same = got.size() == length;
    for (int unsigned i = 0; i < got.size(); i++) same &= got[i] == byte_of(mark, i);
  endfunction

  function automatic logic [383:0] vif_word(input vif_kind_e kind);
    vif_t vif;
    vif       = '0;
    vif.valid = 1;
    vif.kind  = kind;
    vif_word  = 384'(vif);
  endfunction

  logic [31:0]  value;
  logic [383:0] result;
  initial begin
    repeat (10) @(negedge clk);
    rst = 0;
    u_host.read(32'(RegMagic), value);
    check(value == MagicValue, "MAGIC");
    u_host.read(32'h1_0000, value);
    check(value == 32'h5053_5348, "identity of the shell's registers");
    u_host.read(32'h1_0004, value);
    check(value == 32'd3, "kind");
    u_host.wait_for(32'(RegStatus), 32'h1, 32'h0, 4000, "tables cleared");

    // A frame while the card is disabled is dropped, counted, and completed: read through rings in host memory.
    send_queue(8'h10, 80, 0);
    repeat (200) @(posedge clk);
    u_host.write(32'(RegCmdBaseLo), CmdBase[31:0]);
    u_host.write(32'(RegCmdBaseHi), CmdBase[63:32]);
    u_host.write(32'(RegCplBaseLo), CplBase[31:0]);
    u_host.write(32'(RegCplBaseHi), CplBase[63:32]);
    u_host.write(32'(RegRingEnable), 32'd1);
    command(OpRead, TableDropStats, 32'(DropDisabled), '0, result);
    check(result[31:0] == 32'd1, "one frame dropped as Disabled");
    check(interrupts > 0, "an interrupt for the completion");
    check(completions == 1, "the dropped frame is completed");

    // Queues and port, cross-connected: vif 1 is the interface itself.
    command(OpWrite, TableVif, 32'(VifFabricId), vif_word(VifFabric), result);
    command(OpWrite, TableVif, 32'(VifVhostId), vif_word(VifVhost), result);
    u_host.write(32'(RegControl), 32'd1);
    send_queue(8'h20, 42, 0);
    repeat (200) @(posedge clk);
    check(port_frames == 1 && same(at_port, 8'h20, 42), "queue to port");
    at_port.delete();
    send_queue(8'h28, 300, 8'd1);
    repeat (200) @(posedge clk);
    check(port_frames == 2 && same(at_port, 8'h28, 300), "queue to port, its tag taken off");
    send_port(8'h30, 150);
    repeat (200) @(posedge clk);
    check(host_frames == 1 && same(at_host, 8'h30, 150), "port to queues");

    // A frame that claims to be of a vif that does not exist
    send_queue(8'h40, 100, 8'd7);
    repeat (100) @(posedge clk);
    command(OpRead, TableDropStats, 32'(DropInvalidIf), '0, result);
    check(result[31:0] == 32'd1, "one frame from nowhere");
    command(OpRead, TableVifStats, 32'd7, '0, result);
    check(result != '0, "counted at its vif");

    // Completions that nobody takes hold frames up; then all of them come.
    cpl_ready = 0;
    fork
      for (int n = 0; n < 60; n++) send_queue(8'(n), 64, 0);
      begin
        repeat (1000) @(posedge clk);
        check(port_frames < 2 + 60, "frames wait for their completions");
        @(negedge clk);
        cpl_ready = 1;
      end
    join
    repeat (300) @(posedge clk);
    check(port_frames == 2 + 60 && completions == frames_sent && tags_owed.size() == 0, "every frame is completed once");

    // The firmware runs on a quarter of the clock.
    if ($test$plusargs("firmware")) begin
      u_host.wait_for(32'(RegFwStatus), '1, StatusReady, 40000, "firmware");
      $display("%m: firmware ready after %0d cycles", $time / 4);
    end

    @(negedge clk);
    flr = 1;
    @(negedge clk);
    flr = 0;
    u_host.read(32'(RegFlrCount), value);
    check(value == 32'd1, "one function-level reset");
    u_host.read(32'(RegControl), value);
    check(value == 32'd1, "the data path goes on");
    done_o = 1;
  end

endmodule
