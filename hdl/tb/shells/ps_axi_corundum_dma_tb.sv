// Bench of ps_axi_corundum_dma: a model of Corundum's DMA engine answers its descriptors, for three shapes of the
// segmented RAM at once. Prints PASS or stops.
//
// The engine:  takes a descriptor when it likes; writes rows in any order, each segment for itself, a word in one or two
//              pieces, and waits for as many done pulses; reads all segments of the rows that it needs with answers held back at random;
//              then says so, now and then with an error, now and then after a status with a stranger's tag.
// Checked:     descriptors (address, length), data of reads and writes, SLVERR for an error and only then, a second
//              transfer after each error, reads and writes at the same time.
module ps_axi_corundum_dma_tb;

  localparam int unsigned Transfers = 400;
  localparam int unsigned Cases     = 3;

  logic clk = 0, rst = 1;
  always #1 clk = !clk;
  initial begin
    repeat (10) @(posedge clk);
    rst <= 0;
  end

  logic [Cases-1:0] reads_done = '0, writes_done = '0;

  // What lies at an address of the host's memory.
  function automatic logic [7:0] byte_at(input logic [63:0] addr);
    byte_at = 8'(addr) ^ 8'(addr >> 8) ^ 8'(addr >> 16) ^ 8'h5a;
  endfunction

  function automatic logic chance(input int unsigned percent);
    chance = $urandom_range(99) < percent;
  endfunction

  for (genvar c = 0; c < Cases; c++) begin : g_case
    localparam int unsigned SegCount     = c == 1 ? 4 : 2;
    localparam int unsigned SegDataWidth = c == 0 ? 512 : 256;   // rows of 1024, 1024 and 512 bit
    localparam int unsigned RamAddrWidth = 14;
    localparam int unsigned SegBytes     = SegDataWidth / 8;
    localparam int unsigned RowBytes     = SegCount * SegBytes;
    localparam int unsigned SegAddrWidth = RamAddrWidth - $clog2(RowBytes);

    logic [63:0]  awaddr, araddr, wstrb, rd_dma_addr, wr_dma_addr;
    logic [7:0]   awlen, arlen;
    logic [511:0] wdata, rdata;
    logic [1:0]   bresp, rresp;
    logic         awvalid = 0, awready, wlast = 1, wvalid = 0, wready, bvalid, bready = 0;
    logic         arvalid = 0, arready, rlast, rvalid, rready = 0;
    logic [3:0]   rd_sel, wr_sel, rd_error = 0, wr_error = 0;
    logic [RamAddrWidth-1:0] rd_ram_addr, wr_ram_addr;
    logic [15:0]  rd_len, wr_len, rd_tag, wr_tag, rd_status_tag = 0, wr_status_tag = 0;
    logic         rd_desc_valid, rd_desc_ready = 0, rd_status_valid = 0;
    logic         wr_desc_valid, wr_desc_ready = 0, wr_status_valid = 0;
    logic [SegCount*SegBytes-1:0]     be = '0;
    logic [SegCount*SegAddrWidth-1:0] ram_waddr = '0, ram_raddr = '0;
    logic [SegCount*SegDataWidth-1:0] ram_wdata = '0, ram_rdata;
    logic [SegCount-1:0] ram_wvalid = '0, ram_wready, ram_wdone, ram_rcmd = '0, ram_rcmd_ready, ram_rvalid, ram_rready = '0;

    assign awlen = '0;
    assign wstrb = '1;

    ps_axi_corundum_dma #(
      .RamAddrWidth(RamAddrWidth),
      .SegCount    (SegCount),
      .SegDataWidth(SegDataWidth)
    ) dut (
      .clk_i(clk), .rst_i(rst),
      .s_axi_awaddr_i(awaddr), .s_axi_awlen_i(awlen), .s_axi_awvalid_i(awvalid), .s_axi_awready_o(awready),
      .s_axi_wdata_i(wdata), .s_axi_wstrb_i(wstrb), .s_axi_wlast_i(wlast), .s_axi_wvalid_i(wvalid),
      .s_axi_wready_o(wready), .s_axi_bresp_o(bresp), .s_axi_bvalid_o(bvalid), .s_axi_bready_i(bready),
      .s_axi_araddr_i(araddr), .s_axi_arlen_i(arlen), .s_axi_arvalid_i(arvalid), .s_axi_arready_o(arready),
      .s_axi_rdata_o(rdata), .s_axi_rresp_o(rresp), .s_axi_rlast_o(rlast), .s_axi_rvalid_o(rvalid),
      .s_axi_rready_i(rready),
      .rd_desc_dma_addr_o(rd_dma_addr), .rd_desc_ram_sel_o(rd_sel), .rd_desc_ram_addr_o(rd_ram_addr),
      .rd_desc_len_o(rd_len), .rd_desc_tag_o(rd_tag), .rd_desc_valid_o(rd_desc_valid),
      .rd_desc_ready_i(rd_desc_ready), .rd_status_tag_i(rd_status_tag), .rd_status_error_i(rd_error),
      .rd_status_valid_i(rd_status_valid),
      .wr_desc_dma_addr_o(wr_dma_addr), .wr_desc_ram_sel_o(wr_sel), .wr_desc_ram_addr_o(wr_ram_addr),
      .wr_desc_len_o(wr_len), .wr_desc_tag_o(wr_tag), .wr_desc_valid_o(wr_desc_valid),
      .wr_desc_ready_i(wr_desc_ready), .wr_status_tag_i(wr_status_tag), .wr_status_error_i(wr_error),
      .wr_status_valid_i(wr_status_valid),
      .ram_wr_cmd_be_i(be), .ram_wr_cmd_addr_i(ram_waddr), .ram_wr_cmd_data_i(ram_wdata),
      .ram_wr_cmd_valid_i(ram_wvalid), .ram_wr_cmd_ready_o(ram_wready), .ram_wr_done_o(ram_wdone),
      .ram_rd_cmd_addr_i(ram_raddr), .ram_rd_cmd_valid_i(ram_rcmd), .ram_rd_cmd_ready_o(ram_rcmd_ready),
      .ram_rd_resp_data_o(ram_rdata), .ram_rd_resp_valid_o(ram_rvalid), .ram_rd_resp_ready_i(ram_rready)
    );

    // --- The core's side. What the engine did is handed over by these.
    logic        rd_failed, wr_failed;
    logic [63:0] rd_seen_addr, wr_seen_addr;
    logic [511:0] wr_seen;

    initial begin : p_read
      int unsigned beats, beat;
      @(negedge rst);
      for (int unsigned n = 0; n < Transfers; n++) begin
        beats = $urandom_range(8, 1);
        @(posedge clk);
        // Anywhere in a page, up to its very end: a burst does not cross a 4 KiB boundary.
        araddr  <= {$urandom() & 32'hff, $urandom() & 32'hffff_f000} + 64'(64 * $urandom_range(64 - beats));
        arlen   <= 8'(beats - 1);
        arvalid <= 1;
        do @(posedge clk); while (!arready);
        arvalid <= 0;
        beat = 0;
        while (beat < beats) begin
          rready <= chance(60);
          @(posedge clk);
          if (rvalid && rready) begin
            assert (rlast == (beat == beats - 1)) else $fatal(1, "FAIL: case %0d: rlast at beat %0d of %0d", c, beat, beats);
            assert (rresp == (rd_failed ? 2'b10 : 2'b00)) else $fatal(1, "FAIL: case %0d: rresp %b", c, rresp);
            assert (rd_seen_addr == araddr) else $fatal(1, "FAIL: case %0d: address", c);
            for (int unsigned i = 0; i < 64 && !rd_failed; i++) begin
              assert (rdata[8*i +: 8] == byte_at(araddr + 64'(64 * beat + i))) else
                $fatal(1, "FAIL: case %0d: transfer %0d, beat %0d, byte %0d", c, n, beat, i);
            end
            beat++;
          end
        end
        rready <= 0;
      end
      reads_done[c] = 1;
    end

    initial begin : p_write
      logic aw_done, w_done;
      @(negedge rst);
      for (int unsigned n = 0; n < Transfers; n++) begin
        @(posedge clk);
        awaddr <= {$urandom(), $urandom() & 32'hffff_ffc0};
        for (int unsigned i = 0; i < 16; i++) wdata[32*i +: 32] <= $urandom();
        // Address and data come when they like.
        aw_done = 0;
        w_done  = 0;
        while (!aw_done || !w_done) begin
          if (!awvalid && !aw_done) awvalid <= chance(50);
          if (!wvalid && !w_done) wvalid <= chance(50);
          @(posedge clk);
          if (awvalid && awready) begin
            aw_done = 1;
            awvalid <= 0;
          end
          if (wvalid && wready) begin
            w_done = 1;
            wvalid <= 0;
          end
        end
        forever begin
          bready <= chance(60);
          @(posedge clk);
          if (bvalid && bready) break;
        end
        bready <= 0;
        assert (bresp == (wr_failed ? 2'b10 : 2'b00)) else $fatal(1, "FAIL: case %0d: bresp %b", c, bresp);
        assert (wr_seen_addr == awaddr) else $fatal(1, "FAIL: case %0d: write address", c);
        assert (wr_failed || wr_seen == wdata) else $fatal(1, "FAIL: case %0d: write %0d: data", c, n);
      end
      writes_done[c] = 1;
    end

    // --- The engine's side: reads
    int unsigned done_pulses = 0, writes_sent = 0;
    always @(posedge clk) if (!rst) done_pulses += $countones(ram_wdone);

    // Driven at the falling edge, so that only whole values are seen at the rising one.
    task automatic ram_write(input logic [63:0] base, input int unsigned row, input int unsigned seg);
      logic [SegBytes-1:0] first;
      int unsigned         pieces;
      pieces = chance(30) ? 2 : 1;
      first  = pieces == 2 ? {SegBytes{1'b1}} >> (4 * $urandom_range(SegBytes / 4 - 1, 1)) : '1;
      for (int unsigned p = 0; p < pieces; p++) begin
        @(negedge clk);
        ram_wvalid[seg] = 1;
        ram_waddr[SegAddrWidth*seg +: SegAddrWidth] = SegAddrWidth'(row);
        be[SegBytes*seg +: SegBytes] = p == 0 ? first : ~first;
        for (int unsigned i = 0; i < SegBytes; i++) begin
          ram_wdata[SegDataWidth*seg + 8*i +: 8] =
              (first[i] == (p == 0)) ? byte_at(base + 64'(row * RowBytes + seg * SegBytes + i)) : 8'hee;
        end
        do @(posedge clk); while (!ram_wready[seg]);
        writes_sent++;
        @(negedge clk);
        ram_wvalid[seg] = 0;
        repeat ($urandom_range(2)) @(posedge clk);
      end
    endtask

    initial begin : p_read_engine
      logic [63:0] base;
      logic [15:0] tag, length;
      int unsigned words, order;
      forever begin
        @(posedge clk);
        rd_desc_ready <= chance(40);
        if (rd_desc_valid && rd_desc_ready) begin
          rd_desc_ready <= 0;
          base   = rd_dma_addr;
          tag    = rd_tag;
          length = rd_len;
          rd_seen_addr = base;
          assert (rd_ram_addr == 0 && rd_sel == 0) else $fatal(1, "FAIL: case %0d: RAM address", c);
          assert (16'(64 * (32'(arlen) + 1)) == length) else $fatal(1, "FAIL: case %0d: length %0d", c, length);
          rd_failed = chance(15);
          words = (32'(length) + SegBytes - 1) / SegBytes;
          order = $urandom();
          for (int unsigned k = 0; k < words; k++) begin
            int unsigned word;
            word = order[0] ? words - 1 - k : k;
            if (!rd_failed || chance(50)) ram_write(base, word / SegCount, word % SegCount);
          end
          while (done_pulses != writes_sent) @(posedge clk);
          repeat ($urandom_range(20)) @(posedge clk);
          if (chance(20)) begin
            rd_status_valid <= 1;
            rd_status_tag   <= tag + 16'd1;
            rd_error        <= 4'd0;
            @(posedge clk);
          end
          rd_status_valid <= 1;
          rd_status_tag   <= tag;
          rd_error        <= rd_failed ? 4'($urandom_range(15, 1)) : 4'd0;
          @(posedge clk);
          rd_status_valid <= 0;
        end
      end
    end

    // --- The engine's side: writes. Each segment is asked and answered for itself.
    initial begin : p_write_engine
      logic [15:0]         tag;
      logic [SegCount-1:0] asked, answered;
      forever begin
        @(posedge clk);
        wr_desc_ready <= chance(40);
        if (wr_desc_valid && wr_desc_ready) begin
          wr_desc_ready <= 0;
          tag = wr_tag;
          wr_seen_addr = wr_dma_addr;
          assert (wr_ram_addr == 0 && wr_sel == 0 && wr_len == 64) else $fatal(1, "FAIL: case %0d: write descriptor", c);
          wr_failed = chance(15);
          wr_seen   = '0;
          asked     = '0;
          answered  = '0;
          while (!(&answered)) begin
            @(negedge clk);
            for (int unsigned s = 0; s < SegCount; s++) begin
              if (asked[s]) ram_rcmd[s] = 0;
              else if (!ram_rcmd[s]) ram_rcmd[s] = chance(50);
              ram_rready[s] = chance(50);
            end
            @(posedge clk);
            for (int unsigned s = 0; s < SegCount; s++) begin
              if (ram_rcmd[s] && ram_rcmd_ready[s]) asked[s] = 1;
              if (ram_rvalid[s] && ram_rready[s]) begin
                assert (asked[s] && !answered[s]) else $fatal(1, "FAIL: case %0d: an answer to nothing", c);
                answered[s] = 1;
                if (s * SegDataWidth < 512) wr_seen[s*SegDataWidth +: SegDataWidth] = ram_rdata[SegDataWidth*s +: SegDataWidth];
              end
            end
          end
          @(negedge clk);
          ram_rcmd   = '0;
          ram_rready = '0;
          repeat ($urandom_range(20)) @(posedge clk);
          wr_status_valid <= 1;
          wr_status_tag   <= tag;
          wr_error        <= wr_failed ? 4'($urandom_range(15, 1)) : 4'd0;
          @(posedge clk);
          wr_status_valid <= 0;
        end
      end
    end
  end

  initial begin
    fork
      wait (&reads_done && &writes_done);
      begin
        repeat (400000) @(posedge clk);
        $fatal(1, "FAIL: reads done %b, writes done %b", reads_done, writes_done);
      end
    join_any
    $display("PASS: %0d reads and %0d writes for each of %0d shapes", Transfers, Transfers, Cases);
    $finish;
  end

endmodule
