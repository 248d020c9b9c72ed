// The whole card in OpenNIC's 322 MHz box, from the box's published ports: as ps_opennic_250mhz_smoke, and besides: a frame that
// the MAC marks bad is dropped and counted, of a burst nothing is missing uncounted, frames to the MAC have no gaps. Part of
// ps_shells_smoke.
module ps_opennic_322mhz_smoke
  import ps_abi_pkg::*;
(
  output logic done_o = 1'b0
);

  localparam logic [63:0] CmdBase = 64'h12_3456_0000;
  localparam logic [63:0] CplBase = 64'h12_3457_0000;
  localparam logic [31:0] StatusReady = 32'h6000_0002;

  // 125, 250 and (nearly) 322 MHz in steps of 0.05 ns
  logic axil_aclk = 0, axis_aclk = 0, cmac_clk = 0;
  always #80 if (!done_o) axil_aclk = !axil_aclk;
  always #40 if (!done_o) axis_aclk = !axis_aclk;
  always #31 if (!done_o) cmac_clk = !cmac_clk;

  // --- The box's ports
  logic        s_axil_awvalid, s_axil_awready, s_axil_wvalid, s_axil_wready, s_axil_bvalid, s_axil_bready;
  logic        s_axil_arvalid, s_axil_arready, s_axil_rvalid, s_axil_rready;
  logic [31:0] s_axil_awaddr, s_axil_wdata, s_axil_araddr, s_axil_rdata;
  logic [1:0]  s_axil_bresp, s_axil_rresp;

  logic         s_axis_adap_tx_322mhz_tvalid = 0, s_axis_adap_tx_322mhz_tlast = 0, s_axis_adap_tx_322mhz_tready;
  logic         s_axis_adap_tx_322mhz_tuser_err = 0, m_axis_adap_rx_322mhz_tuser_err, m_axis_cmac_tx_tuser_err;
  logic [511:0] s_axis_adap_tx_322mhz_tdata = '0, m_axis_adap_rx_322mhz_tdata, m_axis_cmac_tx_tdata, s_axis_cmac_rx_tdata = '0;
  logic [63:0]  s_axis_adap_tx_322mhz_tkeep = '0, m_axis_adap_rx_322mhz_tkeep, m_axis_cmac_tx_tkeep, s_axis_cmac_rx_tkeep = '0;
  logic         m_axis_adap_rx_322mhz_tvalid, m_axis_adap_rx_322mhz_tlast;
  logic         m_axis_cmac_tx_tvalid, m_axis_cmac_tx_tlast, m_axis_cmac_tx_tready = 1;
  logic         s_axis_cmac_rx_tvalid = 0, s_axis_cmac_rx_tlast = 0, s_axis_cmac_rx_tuser_err = 0;

  logic [7:0]   mod_rstn = '1, mod_rst_done;
  logic         box_rstn = 1, box_rst_done;

  logic [3:0]   m_axib_awid, m_axib_arid;
  logic [63:0]  m_axib_awaddr, m_axib_araddr, m_axib_wstrb;
  logic [7:0]   m_axib_awuser, m_axib_awlen, m_axib_aruser, m_axib_arlen;
  logic [2:0]   m_axib_awsize, m_axib_arsize;
  logic [1:0]   m_axib_awburst, m_axib_arburst, m_axib_bresp = '0, m_axib_rresp = '0;
  logic         m_axib_awvalid, m_axib_awready, m_axib_wlast, m_axib_wvalid, m_axib_wready, m_axib_bvalid, m_axib_bready;
  logic         m_axib_arvalid, m_axib_arready, m_axib_rlast, m_axib_rvalid, m_axib_rready;
  logic [511:0] m_axib_wdata, m_axib_rdata;
  logic         usr_irq_in_vld, usr_irq_out_ack = 0, usr_irq_out_fail = 0, usr_flr_set = 0, usr_flr_done_vld;
  logic [10:0]  usr_irq_in_vec;
  logic [7:0]   usr_irq_in_fnc, usr_flr_fnc = '0, usr_flr_done_fnc;

  stub_opennic_box_322mhz u_box (
    .*
  );

  task automatic check(input logic ok, input string what);
    if (!ok) $fatal(1, "FAIL: %s", what);
  endtask

  // --- Host memory behind the slave bridge
  logic [511:0] memory[logic [63:0]];
  logic [63:0]  r_addr = 0, w_addr = 0;
  int unsigned  r_left = 0;
  logic         w_got_addr = 0, w_got_data = 0;
  logic [511:0] w_data;
  assign m_axib_arready = r_left == 0;
  assign m_axib_rvalid  = r_left != 0;
  assign m_axib_rdata   = memory[r_addr];
  assign m_axib_rlast   = r_left == 1;
  assign m_axib_awready = !w_got_addr;
  assign m_axib_wready  = !w_got_data;
  assign m_axib_bvalid  = w_got_addr && w_got_data;
  always @(posedge cmac_clk) begin
    if (m_axib_arvalid && m_axib_arready) begin
      check(m_axib_arsize == 6 && m_axib_arburst == 1 && m_axib_aruser == 8'd0, "read burst of the control function");
      r_addr <= m_axib_araddr;
      r_left <= 32'(m_axib_arlen) + 1;
    end else if (m_axib_rvalid && m_axib_rready) begin
      r_addr <= r_addr + 64;
      r_left <= r_left - 1;
    end
    if (m_axib_awvalid && m_axib_awready) begin
      check(m_axib_awsize == 6 && m_axib_awlen == 0 && m_axib_awuser == 8'd0, "write of the control function");
      w_got_addr <= 1;
      w_addr     <= m_axib_awaddr;
    end
    if (m_axib_wvalid && m_axib_wready) begin
      w_got_data <= 1;
      w_data     <= m_axib_wdata;
    end
    if (m_axib_bvalid && m_axib_bready) begin
      w_got_addr <= 0;
      w_got_data <= 0;
      memory[w_addr] = w_data;
    end
  end

  int interrupts = 0;
  always @(posedge axis_aclk) begin
    usr_irq_out_ack <= usr_irq_in_vld && !usr_irq_out_ack;
    if (usr_irq_in_vld && usr_irq_out_ack) begin
      if (usr_irq_in_vec == 11'(IrqCompletion)) interrupts++;
      check(usr_irq_in_fnc == 8'd0, "interrupt of the control function");
    end
  end

  // --- Registers
  ps_axil_host u_host (
    .clk_i    (axil_aclk),
    .awaddr_o (s_axil_awaddr),
    .awvalid_o(s_axil_awvalid),
    .awready_i(s_axil_awready),
    .wdata_o  (s_axil_wdata),
    .wvalid_o (s_axil_wvalid),
    .bvalid_i (s_axil_bvalid),
    .bready_o (s_axil_bready),
    .araddr_o (s_axil_araddr),
    .arvalid_o(s_axil_arvalid),
    .arready_i(s_axil_arready),
    .rdata_i  (s_axil_rdata),
    .rvalid_i (s_axil_rvalid),
    .rready_o (s_axil_rready)
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

  // --- Frames. Byte i of frame `mark` is mark + i, but for what a tag or an Ethernet header wants.
  function automatic logic [7:0] byte_of(input logic [7:0] mark, input int unsigned i);
    byte_of = mark + 8'(i);
    if (i == 0) byte_of = 8'h02;
    if (i == 12) byte_of = 8'h86;
    if (i == 13) byte_of = 8'hdd;
  endfunction

  task automatic send_host(input logic [7:0] mark, input int unsigned length, input logic [7:0] tag);
    logic [511:0] data;
    logic [63:0]  keep;
    int unsigned  at, source;
    at     = 0;
    source = 0;
    while (at < length + (tag != 0 ? 4 : 0)) begin
      keep = '0;
      for (int unsigned i = 0; i < 64 && at < length + (tag != 0 ? 4 : 0); i++) begin
        if (tag != 0 && at >= 12 && at < 16) data[8*i +: 8] = 8'({tag, 8'h00, 8'ha8, 8'h88} >> (8 * (at - 12)));
        else begin
          data[8*i +: 8] = byte_of(mark, source);
          source++;
        end
        keep[i] = 1;
        at++;
      end
      @(negedge cmac_clk);
      s_axis_adap_tx_322mhz_tdata  = data;
      s_axis_adap_tx_322mhz_tkeep  = keep;
      s_axis_adap_tx_322mhz_tlast  = source >= length;
      s_axis_adap_tx_322mhz_tvalid = 1;
      do @(posedge cmac_clk); while (!s_axis_adap_tx_322mhz_tready);
    end
    @(negedge cmac_clk);
    s_axis_adap_tx_322mhz_tvalid = 0;
  endtask

  task automatic send_fabric(input logic [7:0] mark, input int unsigned length, input logic bad);
    for (int unsigned from = 0; from < length; from += 64) begin
      @(negedge cmac_clk);
      for (int unsigned i = 0; i < 64; i++) begin
        s_axis_cmac_rx_tdata[8*i +: 8] = byte_of(mark, from + i);
        s_axis_cmac_rx_tkeep[i]        = from + i < length;
      end
      s_axis_cmac_rx_tlast  = from + 64 >= length;
      s_axis_cmac_rx_tuser_err = bad && s_axis_cmac_rx_tlast;
      s_axis_cmac_rx_tvalid = 1;
    end
    @(negedge cmac_clk);
    s_axis_cmac_rx_tvalid = 0;
  endtask

  typedef logic [7:0] bytes_t[$];
  bytes_t at_mac, at_host;
  int     mac_frames = 0, host_frames = 0;
  logic   open = 0;
  always @(posedge cmac_clk) begin
    if (open) check(m_axis_cmac_tx_tvalid, "a gap in a frame to the MAC");
    if (m_axis_cmac_tx_tvalid && m_axis_cmac_tx_tready) begin
      open = !m_axis_cmac_tx_tlast;
      for (int i = 0; i < 64; i++) if (m_axis_cmac_tx_tkeep[i]) at_mac.push_back(m_axis_cmac_tx_tdata[8*i +: 8]);
      if (m_axis_cmac_tx_tlast) mac_frames++;
    end
    if (m_axis_adap_rx_322mhz_tvalid) begin
      for (int i = 0; i < 64; i++) if (m_axis_adap_rx_322mhz_tkeep[i]) at_host.push_back(m_axis_adap_rx_322mhz_tdata[8*i +: 8]);
      if (m_axis_adap_rx_322mhz_tlast) host_frames++;
    end
  end

  function automatic logic same(input bytes_t got, input logic [7:0] mark, input int unsigned length, input int unsigned padded);
    same = got.size() == padded;
    for (int unsigned i = 0; i < got.size(); i++) same &= got[i] == (i < length ? byte_of(mark, i) : 8'd0);
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
    // Reset, as the shell asks for it at power-on
    repeat (4) @(negedge axil_aclk);
    mod_rstn = '0;
    repeat (4) @(negedge axil_aclk);
    mod_rstn = '1;
    wait (mod_rst_done == '1);

    u_host.read(32'(RegMagic), value);
    check(value == MagicValue, "MAGIC");
    u_host.read(32'h1_0000, value);
    check(value == 32'h5053_5348, "identity of the shell's registers");
    u_host.read(32'h1_0004, value);
    check(value == 32'd2, "kind");
    u_host.wait_for(32'(RegStatus), 32'h1, 32'h0, 2000, "tables cleared");

    // A frame while the card is disabled is dropped, and counted: read through rings in host memory.
    send_host(8'h10, 80, 0);
    u_host.write(32'(RegCmdBaseLo), CmdBase[31:0]);
    u_host.write(32'(RegCmdBaseHi), CmdBase[63:32]);
    u_host.write(32'(RegCplBaseLo), CplBase[31:0]);
    u_host.write(32'(RegCplBaseHi), CplBase[63:32]);
    u_host.write(32'(RegRingEnable), 32'd1);
    command(OpRead, TableDropStats, 32'(DropDisabled), '0, result);
    check(result[31:0] == 32'd1, "one frame dropped as Disabled");
    check(interrupts > 0, "an interrupt for the completion");

    // Host and fabric, cross-connected: vif 1 is the host itself. A short frame is padded for the MAC.
    command(OpWrite, TableVif, 32'(VifFabricId), vif_word(VifFabric), result);
    command(OpWrite, TableVif, 32'(VifVhostId), vif_word(VifVhost), result);
    u_host.write(32'(RegControl), 32'd1);
    send_host(8'h20, 42, 0);
    repeat (200) @(posedge cmac_clk);
    check(mac_frames == 1 && same(at_mac, 8'h20, 42, 60), "host to MAC, padded");
    at_mac.delete();
    send_host(8'h28, 300, 8'd1);
    repeat (200) @(posedge cmac_clk);
    check(mac_frames == 2 && same(at_mac, 8'h28, 300, 300), "host to MAC, its tag taken off");
    send_fabric(8'h30, 150, 0);
    send_fabric(8'h34, 150, 1);
    repeat (200) @(posedge cmac_clk);
    check(host_frames == 1 && same(at_host, 8'h30, 150, 150), "MAC to host, but for the bad frame");
    u_host.read(32'h1_0008, value);
    check(value == 32'd1, "the bad frame is counted");

    // A frame that claims to be of a vif that does not exist
    send_host(8'h40, 100, 8'd7);
    repeat (100) @(posedge cmac_clk);
    command(OpRead, TableDropStats, 32'(DropInvalidIf), '0, result);
    check(result[31:0] == 32'd1, "one frame from nowhere");
    command(OpRead, TableVifStats, 32'd7, '0, result);
    check(result != '0, "counted at its vif");

    // A burst at the MAC's full speed: every frame arrives, or is counted.
    at_host.delete();
    for (int n = 0; n < 100; n++) send_fabric(8'(n), 1500, 0);
    repeat (500) @(posedge cmac_clk);
    u_host.read(32'h1_0008, value);
    check(host_frames - 1 + 32'(value) - 1 == 100, "every frame of a burst has arrived or is counted");

    // The firmware runs on a quarter of the clock.
    if ($test$plusargs("firmware")) begin
      u_host.wait_for(32'(RegFwStatus), '1, StatusReady, 40000, "firmware");
      $display("%m: firmware ready after %0d cycles", $time / 62);
    end

    // A function-level reset stops the rings only, and is answered.
    @(negedge axis_aclk);
    usr_flr_set = 1;
    usr_flr_fnc = 8'd0;
    @(negedge axis_aclk);
    usr_flr_set = 0;
    @(negedge axis_aclk);
    check(usr_flr_done_vld && usr_flr_done_fnc == 8'd0, "a reset is answered");
    repeat (20) @(posedge axis_aclk);
    u_host.read(32'(RegFlrCount), value);
    check(value == 32'd1, "one function-level reset");
    u_host.read(32'(RegControl), value);
    check(value == 32'd1, "the data path goes on");
    done_o = 1;
  end

endmodule
