// Bench of ps_axi_corundum_dma: a model of Corundum's DMA engine answers its descriptors, for three shapes of the
// segmented RAM at once. Prints PASS or stops.
//
// The core:    asks for several reads and writes before it has their answers, as many as the adapter takes now and then.
// The engine:  takes a descriptor when it likes and carries out those that it has in any order; writes rows in any order, each
//              segment for itself, a word in one or two pieces, and waits for as many done pulses; reads all segments of the rows
//              that it needs with answers held back at random; then says so, now and then with an error, now and then after a
//              status with a stranger's tag.
// Checked:     descriptors (address, length, in order), data of reads and writes, answers in order, SLVERR for an error and only
//              then, and that as many transfers as there are slots were under way at once.
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

  typedef struct {
    logic [63:0]  addr;
    int unsigned  beats;
    logic [511:0] data;
  } transfer_t;

  typedef struct {
    logic [63:0]             addr;
    int unsigned             place;
    int unsigned             bytes;
    logic [15:0]             tag;
  } job_t;

  // Whether the engine fails with a transfer
  function automatic logic fails(input logic [63:0] addr);
    fails = 32'(addr[37:6] * 32'd2654435761) >> 16 < 32'd9830;   // 15 %
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

    localparam int unsigned Reads  = 8;
    localparam int unsigned Writes = 16;

    // --- The core's side
    transfer_t   rd_asked[$], rd_described[$], wr_asked[$], wr_described[$];
    transfer_t   rd_next, wr_next;
    int unsigned rd_most = 0, wr_most = 0, wr_beats = 0;

    initial begin : p_read_ask
      @(negedge rst);
      for (int unsigned n = 0; n < Transfers; n++) begin
        rd_next.beats = $urandom_range(8, 1);
        repeat (chance(30) ? $urandom_range(60) : 0) @(posedge clk);
        // Anywhere in a page, up to its very end: a burst does not cross a 4 KiB boundary.
        rd_next.addr = {$urandom() & 32'hff, $urandom() & 32'hffff_f000} + 64'(64 * $urandom_range(64 - rd_next.beats));
        araddr  <= rd_next.addr;
        arlen   <= 8'(rd_next.beats - 1);
        arvalid <= 1;
        do @(posedge clk); while (!arready);
        arvalid <= 0;
        rd_asked.push_back(rd_next);
        rd_described.push_back(rd_next);
        if (rd_asked.size() > rd_most) rd_most = rd_asked.size();
      end
    end

    initial begin : p_read_answer
      int unsigned beat;
      @(negedge rst);
      for (int unsigned n = 0; n < Transfers; n++) begin
        beat = 0;
        while (rd_asked.size() == 0 || beat < rd_asked[0].beats) begin
          rready <= chance(60);
          @(posedge clk);
          if (rvalid && rready) begin
            assert (rd_asked.size() != 0) else $fatal(1, "FAIL: case %0d: an answer to nothing", c);
            assert (rlast == (beat == rd_asked[0].beats - 1)) else $fatal(1, "FAIL: case %0d: rlast at beat %0d", c, beat);
            assert (rresp == (fails(rd_asked[0].addr) ? 2'b10 : 2'b00)) else $fatal(1, "FAIL: case %0d: rresp %b", c, rresp);
            for (int unsigned i = 0; i < 64 && !fails(rd_asked[0].addr); i++) begin
              assert (rdata[8*i +: 8] == byte_at(rd_asked[0].addr + 64'(64 * beat + i))) else
                $fatal(1, "FAIL: case %0d: transfer %0d, beat %0d, byte %0d", c, n, beat, i);
            end
            beat++;
          end
        end
        rready <= 0;
        void'(rd_asked.pop_front());
      end
      assert (rd_most >= Reads) else $fatal(1, "FAIL: case %0d: at most %0d reads at once", c, rd_most);
      reads_done[c] = 1;
    end

    initial begin : p_write_ask
      logic aw_done, w_done;
      @(negedge rst);
      for (int unsigned n = 0; n < Transfers; n++) begin
        repeat (chance(10) ? $urandom_range(200) : 0) @(posedge clk);
        @(posedge clk);
        wr_next.addr  = {$urandom(), $urandom() & 32'hffff_ffc0};
        wr_next.beats = 1;
        for (int unsigned i = 0; i < 16; i++) wr_next.data[32*i +: 32] = $urandom();
        awaddr <= wr_next.addr;
        wdata  <= wr_next.data;
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
        wr_asked.push_back(wr_next);
        wr_described.push_back(wr_next);
        if (wr_asked.size() > wr_most) wr_most = wr_asked.size();
      end
    end

    initial begin : p_write_answer
      @(negedge rst);
      for (int unsigned n = 0; n < Transfers; n++) begin
        forever begin
          bready <= chance(60);
          @(posedge clk);
          if (bvalid && bready) break;
        end
        bready <= 0;
        assert (wr_asked.size() != 0) else $fatal(1, "FAIL: case %0d: B to nothing", c);
        assert (bresp == (fails(wr_asked[0].addr) ? 2'b10 : 2'b00)) else $fatal(1, "FAIL: case %0d: bresp %b", c, bresp);
        void'(wr_asked.pop_front());
      end
      assert (wr_beats == Transfers) else $fatal(1, "FAIL: case %0d: %0d writes seen", c, wr_beats);
      assert (wr_most >= Writes) else $fatal(1, "FAIL: case %0d: at most %0d writes at once", c, wr_most);
      writes_done[c] = 1;
    end

    // --- The engine's side: reads
    int unsigned done_pulses = 0, writes_sent = 0;
    always @(posedge clk) if (!rst) done_pulses += $countones(ram_wdone);

    // Driven at the falling edge, so that only whole values are seen at the rising one.
    task automatic ram_write(input logic [63:0] base, input int unsigned place, input int unsigned row, input int unsigned seg);
      logic [SegBytes-1:0] first;
      int unsigned         pieces;
      pieces = chance(30) ? 2 : 1;
      first  = pieces == 2 ? {SegBytes{1'b1}} >> (4 * $urandom_range(SegBytes / 4 - 1, 1)) : '1;
      for (int unsigned p = 0; p < pieces; p++) begin
        @(negedge clk);
        ram_wvalid[seg] = 1;
        ram_waddr[SegAddrWidth*seg +: SegAddrWidth] = SegAddrWidth'(place + row);
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

    job_t rd_jobs[$], wr_jobs[$], rd_new, rd_job, wr_new, wr_job;
    logic [511:0] wr_expected[logic [15:0]];

    // A transfer's descriptor, in the order of the requests
    initial begin : p_read_descriptors
      forever begin
        @(posedge clk);
        rd_desc_ready <= chance(40);
        if (rd_desc_valid && rd_desc_ready) begin
          rd_desc_ready <= 0;
          rd_new = '{addr: rd_dma_addr, place: 32'(rd_ram_addr), bytes: 32'(rd_len), tag: rd_tag};
          assert (rd_sel == 0 && rd_described.size() != 0) else $fatal(1, "FAIL: case %0d: descriptor", c);
          assert (rd_new.addr == rd_described[0].addr && rd_new.bytes == 64 * rd_described[0].beats) else
            $fatal(1, "FAIL: case %0d: %0d bytes at %h, not %0d beats at %h", c, rd_new.bytes, rd_new.addr, rd_described[0].beats, rd_described[0].addr);
          void'(rd_described.pop_front());
          rd_jobs.push_back(rd_new);
        end
      end
    end

    initial begin : p_read_engine
      int unsigned words, order, pick;
      forever begin
        @(posedge clk);
        if (chance(5)) repeat ($urandom_range(400)) @(posedge clk);
        if (rd_jobs.size() != 0) begin
          pick = $urandom_range(rd_jobs.size() - 1);
          rd_job  = rd_jobs[pick];
          rd_jobs.delete(pick);
          words = (rd_job.bytes + SegBytes - 1) / SegBytes;
          order = $urandom();
          assert (rd_job.place % RowBytes == 0) else $fatal(1, "FAIL: case %0d: RAM address", c);
          for (int unsigned k = 0; k < words; k++) begin
            int unsigned word;
            word = order[0] ? words - 1 - k : k;
            if (!fails(rd_job.addr) || chance(50)) begin
              ram_write(rd_job.addr, rd_job.place / RowBytes, word / SegCount, word % SegCount);
            end
          end
          while (done_pulses != writes_sent) @(posedge clk);
          repeat ($urandom_range(20)) @(posedge clk);
          if (chance(20)) begin
            rd_status_valid <= 1;
            rd_status_tag   <= rd_job.tag + 16'h4000;
            rd_error        <= 4'd0;
            @(posedge clk);
          end
          rd_status_valid <= 1;
          rd_status_tag   <= rd_job.tag;
          rd_error        <= fails(rd_job.addr) ? 4'($urandom_range(15, 1)) : 4'd0;
          @(posedge clk);
          rd_status_valid <= 0;
        end
      end
    end

    // --- The engine's side: writes. Each segment is asked and answered for itself.
    initial begin : p_write_descriptors
      forever begin
        @(posedge clk);
        wr_desc_ready <= chance(40);
        if (wr_desc_valid && wr_desc_ready) begin
          wr_desc_ready <= 0;
          wr_new = '{addr: wr_dma_addr, place: 32'(wr_ram_addr), bytes: 32'(wr_len), tag: wr_tag};
          assert (wr_sel == 0 && wr_new.bytes == 64 && wr_described.size() != 0 && wr_new.addr == wr_described[0].addr) else
            $fatal(1, "FAIL: case %0d: write descriptor", c);
          wr_expected[wr_new.tag] = wr_described[0].data;
          void'(wr_described.pop_front());
          wr_jobs.push_back(wr_new);
        end
      end
    end

    initial begin : p_write_engine
      int unsigned         pick;
      logic [511:0]        seen;
      logic [SegCount-1:0] asked, answered;
      forever begin
        @(posedge clk);
        if (chance(5)) repeat ($urandom_range(400)) @(posedge clk);
        if (wr_jobs.size() != 0) begin
          pick = $urandom_range(wr_jobs.size() - 1);
          wr_job  = wr_jobs[pick];
          wr_jobs.delete(pick);
          seen     = '0;
          asked    = '0;
          answered = '0;
          assert (wr_job.place % RowBytes == 0) else $fatal(1, "FAIL: case %0d: RAM address", c);
          while (!(&answered)) begin
            @(negedge clk);
            for (int unsigned s = 0; s < SegCount; s++) begin
              if (asked[s]) ram_rcmd[s] = 0;
              else if (!ram_rcmd[s]) ram_rcmd[s] = chance(50);
              ram_raddr[SegAddrWidth*s +: SegAddrWidth] = SegAddrWidth'(wr_job.place / RowBytes);
              ram_rready[s] = chance(50);
            end
            @(posedge clk);
            for (int unsigned s = 0; s < SegCount; s++) begin
              if (ram_rcmd[s] && ram_rcmd_ready[s]) asked[s] = 1;
              if (ram_rvalid[s] && ram_rready[s]) begin
                assert (asked[s] && !answered[s]) else $fatal(1, "FAIL: case %0d: an answer to nothing", c);
                answered[s] = 1;
                if (s * SegDataWidth < 512) seen[s*SegDataWidth +: SegDataWidth] = ram_rdata[SegDataWidth*s +: SegDataWidth];
              end
            end
          end
          @(negedge clk);
          ram_rcmd   = '0;
          ram_rready = '0;
          assert (seen == wr_expected[wr_job.tag]) else $fatal(1, "FAIL: case %0d: written data", c);
          wr_beats++;
          repeat ($urandom_range(20)) @(posedge clk);
          if (chance(20)) begin
            wr_status_valid <= 1;
            wr_status_tag   <= wr_job.tag + 16'h4000;
            wr_error        <= 4'd1;
            @(posedge clk);
          end
          wr_status_valid <= 1;
          wr_status_tag   <= wr_job.tag;
          wr_error        <= fails(wr_job.addr) ? 4'($urandom_range(15, 1)) : 4'd0;
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
