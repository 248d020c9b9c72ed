// Bench of a wrapper's control and interrupts across two clocks: ps_shell_reset, ps_axil_cdc, ps_shell_regs, ps_pulse_cdc,
// ps_irq_request, ps_clk_fw. Prints PASS or stops.
//
// The core's side is a memory of 16 K words behind AXI4-Lite, which answers when it likes. The two clocks have no common
// factor, and the ratio changes from run to run (slower, alike, faster). A reset from the shell comes between two runs.
// Checked:    every read returns what was last written there; the shell's own registers, and that they do not reach the core; the
//             reset handshake; that each interrupt is followed by a request for its vector, and none comes from nothing.
module ps_control_tb;

  localparam int unsigned Accesses = 1500;   // reads and writes each, a run
  localparam int unsigned Runs     = 3;

  int unsigned core_half = 7;
  logic s_clk = 0, m_clk = 0;
  always #10 s_clk = !s_clk;
  always #(core_half) m_clk = !m_clk;

  logic mod_rstn = 1, mod_rst_done, s_rst, m_rst;

  ps_shell_reset dut_reset (
    .clk_i(s_clk), .mod_rstn_i(mod_rstn), .mod_rst_done_o(mod_rst_done), .rst_o(s_rst),
    .core_clk_i(m_clk), .core_rst_o(m_rst)
  );

  logic [16:0] awaddr = '0, araddr = '0, x_awaddr, x_araddr;
  logic [15:0] c_awaddr, c_araddr;
  logic [31:0] wdata = '0, rdata, x_wdata, x_rdata, c_wdata, c_rdata;
  logic [3:0]  x_wstrb, c_wstrb;
  logic [1:0]  bresp, rresp, x_bresp, x_rresp, c_bresp = '0, c_rresp;
  logic awvalid = 0, awready, wvalid = 0, wready, bvalid, bready = 0, arvalid = 0, arready, rvalid, rready = 0;
  logic x_awvalid, x_awready, x_wvalid, x_wready, x_bvalid, x_bready, x_arvalid, x_arready, x_rvalid, x_rready;
  logic c_awvalid, c_awready, c_wvalid, c_wready, c_bvalid, c_bready, c_arvalid, c_arready, c_rvalid, c_rready;
  logic drop_in = 0, drop_out = 0;

  ps_axil_cdc dut_cdc (
    .s_clk_i(s_clk), .s_rst_i(s_rst), .s_awaddr_i(awaddr), .s_awvalid_i(awvalid), .s_awready_o(awready),
    .s_wdata_i(wdata), .s_wstrb_i(4'hf), .s_wvalid_i(wvalid), .s_wready_o(wready), .s_bresp_o(bresp),
    .s_bvalid_o(bvalid), .s_bready_i(bready), .s_araddr_i(araddr), .s_arvalid_i(arvalid), .s_arready_o(arready),
    .s_rdata_o(rdata), .s_rresp_o(rresp), .s_rvalid_o(rvalid), .s_rready_i(rready),
    .m_clk_i(m_clk), .m_rst_i(m_rst), .m_awaddr_o(x_awaddr), .m_awvalid_o(x_awvalid), .m_awready_i(x_awready),
    .m_wdata_o(x_wdata), .m_wstrb_o(x_wstrb), .m_wvalid_o(x_wvalid), .m_wready_i(x_wready), .m_bresp_i(x_bresp),
    .m_bvalid_i(x_bvalid), .m_bready_o(x_bready), .m_araddr_o(x_araddr), .m_arvalid_o(x_arvalid),
    .m_arready_i(x_arready), .m_rdata_i(x_rdata), .m_rresp_i(x_rresp), .m_rvalid_i(x_rvalid), .m_rready_o(x_rready)
  );

  ps_shell_regs #(
    .Kind(32'd7)
  ) dut_regs (
    .clk_i(m_clk), .rst_i(m_rst), .drop_in_i(drop_in), .drop_out_i(drop_out),
    .s_awaddr_i(x_awaddr), .s_awvalid_i(x_awvalid), .s_awready_o(x_awready), .s_wdata_i(x_wdata), .s_wstrb_i(x_wstrb),
    .s_wvalid_i(x_wvalid), .s_wready_o(x_wready), .s_bresp_o(x_bresp), .s_bvalid_o(x_bvalid), .s_bready_i(x_bready),
    .s_araddr_i(x_araddr), .s_arvalid_i(x_arvalid), .s_arready_o(x_arready), .s_rdata_o(x_rdata),
    .s_rresp_o(x_rresp), .s_rvalid_o(x_rvalid), .s_rready_i(x_rready),
    .m_awaddr_o(c_awaddr), .m_awvalid_o(c_awvalid), .m_awready_i(c_awready), .m_wdata_o(c_wdata), .m_wstrb_o(c_wstrb),
    .m_wvalid_o(c_wvalid), .m_wready_i(c_wready), .m_bresp_i(c_bresp), .m_bvalid_i(c_bvalid), .m_bready_o(c_bready),
    .m_araddr_o(c_araddr), .m_arvalid_o(c_arvalid), .m_arready_i(c_arready), .m_rdata_i(c_rdata),
    .m_rresp_i(c_rresp), .m_rvalid_i(c_rvalid), .m_rready_o(c_rready)
  );

  // The soft core's clock: every fifth pulse of the core's, rising with it.
  logic clk_fw;
  int   since_fw = -1, fw_pulses = 0;

  ps_clk_fw #(
    .Divide(5)
  ) dut_clk_fw (
    .clk_i(m_clk), .clk_fw_o(clk_fw)
  );

  always @(posedge m_clk) begin
    #0;
    if (clk_fw) begin
      if (fw_pulses > 1 && since_fw != 4) $fatal(1, "FAIL: %0d cycles between pulses of the soft core's clock", since_fw + 1);
      since_fw = 0;
      fw_pulses++;
    end else begin
      since_fw++;
    end
  end
  always @(posedge clk_fw) if (!m_clk) $fatal(1, "FAIL: the soft core's clock rises alone");
  always @(negedge m_clk) begin
    #0;
    if (clk_fw) $fatal(1, "FAIL: the soft core's clock stays high");
  end

  function automatic logic chance(input int unsigned percent);
    chance = $urandom_range(99) < percent;
  endfunction

  // --- The core's side: handshakes as ps_csr has them
  logic [31:0] memory[2**14];
  logic [15:0] seen_raddr;
  logic        willing = 0, b_q = 0, r_q = 0, b_show = 0, r_show = 0;
  int          core_writes = 0;
  assign c_awready = c_awvalid && c_wvalid && willing && !b_q;
  assign c_wready  = c_awready;
  assign c_arready = willing && !r_q;
  assign c_bvalid  = b_q && b_show;
  assign c_rvalid  = r_q && r_show;
  assign c_rdata   = memory[seen_raddr[15:2]];
  assign c_rresp   = seen_raddr[3:2];
  always @(posedge m_clk) begin
    willing <= chance(50);
    if (!b_show || !b_q || c_bready) b_show <= chance(50);
    if (!r_show || !r_q || c_rready) r_show <= chance(50);
    if (m_rst) begin
      b_q <= 0;
      r_q <= 0;
    end else begin
      if (c_awready) begin
        memory[c_awaddr[15:2]] <= c_wdata;
        core_writes = core_writes + 1;
        if (c_wstrb != 4'hf) $fatal(1, "FAIL: strobes %b", c_wstrb);
      end
      b_q <= c_awready || (b_q && !(c_bvalid && c_bready));
      if (c_arvalid && c_arready) seen_raddr <= c_araddr;
      r_q <= (c_arvalid && c_arready) || (r_q && !(c_rvalid && c_rready));
    end
  end

  // --- The shell's side
  logic [31:0] expected[int unsigned];
  int unsigned addresses[$];

  task automatic write(input logic [16:0] addr, input logic [31:0] value);
    logic aw_done, w_done;
    aw_done = 0;
    w_done  = 0;
    while (!aw_done || !w_done) begin
      @(negedge s_clk);
      awaddr  = addr;
      wdata   = value;
      awvalid = !aw_done && (awvalid || chance(50));
      wvalid  = !w_done && (wvalid || chance(50));
      @(posedge s_clk);
      aw_done = aw_done || (awvalid && awready);
      w_done  = w_done || (wvalid && wready);
    end
    do begin
      @(negedge s_clk);
      awvalid = 0;
      wvalid  = 0;
      bready  = chance(50);
      @(posedge s_clk);
    end while (!(bvalid && bready));
    @(negedge s_clk);
    bready = 0;
  endtask

  task automatic read(input logic [16:0] addr, output logic [31:0] value, output logic [1:0] response);
    @(negedge s_clk);
    araddr  = addr;
    arvalid = 1;
    do @(posedge s_clk); while (!arready);
    do begin
      @(negedge s_clk);
      arvalid = 0;
      rready  = chance(50);
      @(posedge s_clk);
    end while (!(rvalid && rready));
    value    = rdata;
    response = rresp;
    @(negedge s_clk);
    rready = 0;
  endtask

  task automatic expect_read(input logic [16:0] addr, input logic [31:0] want, input string what);
    logic [31:0] value;
    logic [1:0]  response;
    read(addr, value, response);
    if (value != want) $fatal(1, "FAIL: %s: 0x%h is 0x%h, not 0x%h", what, addr, value, want);
  endtask

  // --- Interrupts: pulses at m_clk, requests at s_clk
  logic [2:0]  irq = '0, crossed;
  logic        vld, ack = 0;
  logic [10:0] vector;
  int          pulses[3] = '{0, 0, 0}, requests[3] = '{0, 0, 0};
  logic [2:0]  owed = '0;         // a pulse has come since the vector was last asked for
  logic        irq_on = 0;

  for (genvar i = 0; i < 3; i++) begin : g_pulse
    ps_pulse_cdc dut_pulse (
      .src_clk_i(m_clk), .src_rst_i(m_rst), .d_i(irq[i]), .dst_clk_i(s_clk), .dst_rst_i(s_rst), .q_o(crossed[i])
    );
  end

  ps_irq_request #(
    .FirstVector(4)
  ) dut_irq (
    .clk_i(s_clk), .rst_i(s_rst), .irq_i(crossed), .valid_o(vld), .vector_o(vector), .ack_i(ack)
  );

  int pulse_of = -1;
  task automatic pulse(input int which);
    pulse_of = which;
    @(posedge m_clk);
    @(posedge m_clk);
  endtask

  always @(negedge m_clk) begin
    irq = '0;
    if (irq_on && chance(30)) irq[$urandom_range(2)] = 1;
    if (pulse_of >= 0) irq[pulse_of] = 1;
    pulse_of = -1;
    for (int i = 0; i < 3; i++) if (irq[i]) begin
      pulses[i]++;
      owed[i] = 1;
    end
  end
  // Each pulse must be followed by one on the other side; one that came before it does not count.
  logic [2:0] uncrossed = '0;
  always @(crossed) uncrossed = uncrossed & ~crossed;
  always @(posedge m_clk) uncrossed = uncrossed | irq;

  logic vld_before = 0;
  always @(posedge s_clk) begin
    if (!s_rst && vld && !vld_before) begin
      if (vector < 4 || vector > 6) $fatal(1, "FAIL: vector %0d", vector);
      requests[vector-4]++;
      if (requests[vector-4] > pulses[vector-4]) $fatal(1, "FAIL: an interrupt from nothing");
      owed[vector-4] = 0;
    end
    vld_before = vld && !ack;
  end
  always @(negedge s_clk) ack = vld && chance(20);

  int unsigned ratios[Runs] = '{7, 10, 31};

  initial begin
    for (int unsigned run = 0; run < Runs; run++) begin
      core_half = ratios[run];
      // The shell's request: one cycle long.
      @(negedge s_clk);
      mod_rstn = 0;
      @(negedge s_clk);
      mod_rstn = 1;
      if (mod_rst_done) $fatal(1, "FAIL: done at once");
      repeat (20) @(posedge s_clk);
      if (!s_rst || !m_rst) $fatal(1, "FAIL: no reset");
      wait (mod_rst_done);
      @(posedge m_clk);
      if (m_rst) $fatal(1, "FAIL: done before the core is out of reset");
      @(posedge s_clk);
      if (s_rst) $fatal(1, "FAIL: done in reset");
      expected.delete();
      addresses.delete();
      irq_on = 1;
      expect_read(17'h1_0000, 32'h5053_5348, "identity");
      expect_read(17'h1_0004, 32'd7, "kind");
      expect_read(17'h1_0008, 32'd0, "drops after a reset");
      for (int unsigned n = 0; n < Accesses; n++) begin
        logic [16:0] addr;
        logic [31:0] value;
        logic [1:0]  response;
        int          earlier;
        addr  = {1'b0, 14'($urandom_range(255)), 2'b00};
        value = $urandom();
        write(addr, value);
        expected[32'(addr)] = value;
        addresses.push_back(32'(addr));
        earlier = core_writes;
        if (chance(10)) begin
          write({1'b1, addr[15:0]}, ~value);
          if (core_writes != earlier) $fatal(1, "FAIL: a write to the shell's registers reached the core");
        end
        addr = 17'(addresses[$urandom_range(addresses.size() - 1)]);
        read(addr, value, response);
        if (value != expected[32'(addr)]) $fatal(1, "FAIL: run %0d: 0x%h is 0x%h, not 0x%h", run, addr, value, expected[32'(addr)]);
        if (response != addr[3:2]) $fatal(1, "FAIL: response %b", response);
        if (chance(10)) expect_read(17'h1_0004, 32'd7, "kind");
      end
      @(negedge m_clk);
      drop_in  = 1;
      drop_out = 1;
      @(negedge m_clk);
      drop_out = 0;
      @(negedge m_clk);
      drop_in = 0;
      expect_read(17'h1_0008, 32'd2, "drops in");
      expect_read(17'h1_000c, 32'd1, "drops out");
      irq_on = 0;
      repeat (500) @(posedge s_clk);
      if (owed != '0) $fatal(1, "FAIL: interrupts %b were never asked for", owed);
      // Two pulses at all distances, then silence: nothing owed, nothing more.
      for (int unsigned n = 0; n < 200; n++) begin
        pulse(1);
        repeat ($urandom_range(40)) @(posedge m_clk);
        pulse(1);
        repeat (100) @(posedge s_clk);
        if (owed != '0 || uncrossed != '0) $fatal(1, "FAIL: run %0d: a pulse was lost behind another", run);
        if (vld) $fatal(1, "FAIL: requests go on without a pulse");
      end
    end
    // Reads and writes at the same time
    fork
      for (int unsigned n = 0; n < 300; n++) write(17'h0_2000, n);
      for (int unsigned n = 0; n < 300; n++) expect_read(17'h1_0004, 32'd7, "kind beside writes");
    join
    expect_read(17'h0_2000, 32'd299, "last of many");
    // A master that does not wait for answers before it asks again
    begin
      int before_all;
      before_all = core_writes;
      fork
        for (int unsigned n = 0; n < 300; n++) begin
          @(negedge s_clk);
          awaddr  = 17'(4 * n);
          wdata   = n * 3;
          awvalid = 1;
          wvalid  = 1;
          do @(posedge s_clk); while (!awready);
        end
        for (int unsigned n = 0; n < 300; n++) begin
          do begin
            @(negedge s_clk);
            bready = chance(30);
            @(posedge s_clk);
          end while (!(bvalid && bready));
          if (n == 299) begin
            @(negedge s_clk);
            bready = 0;
          end
        end
        begin
          repeat (300) begin
            do @(posedge s_clk); while (!(awvalid && awready));
          end
          @(negedge s_clk);
          awvalid = 0;
          wvalid  = 0;
        end
      join
      repeat (50) @(posedge s_clk);
      if (core_writes != before_all + 300) $fatal(1, "FAIL: %0d writes of 300 arrived", core_writes - before_all);
      if (bvalid) $fatal(1, "FAIL: an answer too many");
      for (int unsigned n = 0; n < 300; n++) expect_read(17'(4 * n), n * 3, "written without waiting");
    end
    if (fw_pulses < 1000) $fatal(1, "FAIL: %0d pulses of the soft core's clock", fw_pulses);
    for (int i = 0; i < 3; i++) if (requests[i] < 50) $fatal(1, "FAIL: only %0d requests for vector %0d", requests[i], i);
    $display("PASS: %0d runs, %0d accesses each way; %0d, %0d, %0d interrupts", Runs, Accesses, requests[0], requests[1], requests[2]);
    $finish;
  end

  initial begin
    #20000000;
    $fatal(1, "FAIL: hangs");
  end

endmodule
