// The core's AXI4 master on Corundum's DMA engine: bursts become descriptors, data goes through two small
// segmented memories.
//
// AXI:        what penstock_core does: INCR bursts of 64-byte beats at 64-byte addresses, at most BurstBeats of them; writes of one
//             beat with all strobes. Up to Reads bursts and Writes writes are under way, independent of each other; each kind is
//             answered in the order of its requests, whatever the order of the engine.
// Slots:      each transfer has one from its request to its answer, and with it a place in its RAM; slots are given in turn.
// Read:       descriptor {address, the slot's rows, 64 * beats} -> the engine writes the RAM -> status -> beats. A status with an
//             error answers all beats with SLVERR; nothing of the RAM is shown then as data to trust.
// Write:      the beat goes into the slot's row -> descriptor {address, row, 64} -> the engine reads it -> status -> B (SLVERR on an
//             error).
// RAM:        row r, segment s hold bytes (r * SegCount + s) * SegDataWidth / 8 on. Writes are taken every cycle, one done pulse
//             each, a cycle later; reads are answered a cycle later, one waiting answer a segment.
// Tags:       a running number, whose lowest bits are the slot's; a status with a tag that no transfer under way has is ignored.
// Latency:    descriptor 1 cycle after the request; status -> first beat 3 cycles, then one beat every two cycles; -> B 2 cycles.
// Reset:      rst_i only together with the engine's, or a late status finds the wrong transfer.
module ps_axi_corundum_dma #(
  parameter int unsigned DmaAddrWidth = 64,
  parameter int unsigned DmaLenWidth  = 16,
  parameter int unsigned DmaTagWidth  = 16,
  parameter int unsigned RamSelWidth  = 4,
  parameter int unsigned RamAddrWidth = 16,
  parameter int unsigned SegCount     = 2,
  parameter int unsigned SegDataWidth = 512,
  parameter int unsigned BurstBeats   = 8,
  parameter int unsigned Reads        = 8,    // under way at once; a power of 2, as Writes
  parameter int unsigned Writes       = 16,
  localparam int unsigned SegBeWidth   = SegDataWidth / 8,
  localparam int unsigned SegAddrWidth = RamAddrWidth - $clog2(SegCount * SegBeWidth)
) (
  input  logic                             clk_i,
  input  logic                             rst_i,

  // From penstock_core
  input  logic [63:0]                      s_axi_awaddr_i,
  input  logic [7:0]                       s_axi_awlen_i,
  input  logic                             s_axi_awvalid_i,
  output logic                             s_axi_awready_o,
  input  logic [511:0]                     s_axi_wdata_i,
  input  logic [63:0]                      s_axi_wstrb_i,
  input  logic                             s_axi_wlast_i,
  input  logic                             s_axi_wvalid_i,
  output logic                             s_axi_wready_o,
  output logic [1:0]                       s_axi_bresp_o,
  output logic                             s_axi_bvalid_o,
  input  logic                             s_axi_bready_i,
  input  logic [63:0]                      s_axi_araddr_i,
  input  logic [7:0]                       s_axi_arlen_i,
  input  logic                             s_axi_arvalid_i,
  output logic                             s_axi_arready_o,
  output logic [511:0]                     s_axi_rdata_o,
  output logic [1:0]                       s_axi_rresp_o,
  output logic                             s_axi_rlast_o,
  output logic                             s_axi_rvalid_o,
  input  logic                             s_axi_rready_i,

  // Descriptors
  output logic [DmaAddrWidth-1:0]          rd_desc_dma_addr_o,
  output logic [RamSelWidth-1:0]           rd_desc_ram_sel_o,
  output logic [RamAddrWidth-1:0]          rd_desc_ram_addr_o,
  output logic [DmaLenWidth-1:0]           rd_desc_len_o,
  output logic [DmaTagWidth-1:0]           rd_desc_tag_o,
  output logic                             rd_desc_valid_o,
  input  logic                             rd_desc_ready_i,
  input  logic [DmaTagWidth-1:0]           rd_status_tag_i,
  input  logic [3:0]                       rd_status_error_i,
  input  logic                             rd_status_valid_i,
  output logic [DmaAddrWidth-1:0]          wr_desc_dma_addr_o,
  output logic [RamSelWidth-1:0]           wr_desc_ram_sel_o,
  output logic [RamAddrWidth-1:0]          wr_desc_ram_addr_o,
  output logic [DmaLenWidth-1:0]           wr_desc_len_o,
  output logic [DmaTagWidth-1:0]           wr_desc_tag_o,
  output logic                             wr_desc_valid_o,
  input  logic                             wr_desc_ready_i,
  input  logic [DmaTagWidth-1:0]           wr_status_tag_i,
  input  logic [3:0]                       wr_status_error_i,
  input  logic                             wr_status_valid_i,

  // Segmented RAM: the engine is the master
  input  logic [SegCount*SegBeWidth-1:0]   ram_wr_cmd_be_i,
  input  logic [SegCount*SegAddrWidth-1:0] ram_wr_cmd_addr_i,
  input  logic [SegCount*SegDataWidth-1:0] ram_wr_cmd_data_i,
  input  logic [SegCount-1:0]              ram_wr_cmd_valid_i,
  output logic [SegCount-1:0]              ram_wr_cmd_ready_o,
  output logic [SegCount-1:0]              ram_wr_done_o,
  input  logic [SegCount*SegAddrWidth-1:0] ram_rd_cmd_addr_i,
  input  logic [SegCount-1:0]              ram_rd_cmd_valid_i,
  output logic [SegCount-1:0]              ram_rd_cmd_ready_o,
  output logic [SegCount*SegDataWidth-1:0] ram_rd_resp_data_o,
  output logic [SegCount-1:0]              ram_rd_resp_valid_o,
  input  logic [SegCount-1:0]              ram_rd_resp_ready_i
);

  localparam int unsigned RowBits    = SegCount * SegDataWidth;
  localparam int unsigned RowBeats   = RowBits / 512;            // beats a row
  localparam int unsigned Rows       = BurstBeats / RowBeats;    // rows of a read
  localparam int unsigned RowWidth   = $clog2(Reads * Rows);
  localparam int unsigned BeatWidth  = $clog2(BurstBeats);
  localparam int unsigned SubBits    = $clog2(RowBeats);         // bits of a beat's number below its row's
  localparam int unsigned ReadWidth  = $clog2(Reads);
  localparam int unsigned WriteWidth = $clog2(Writes);
  localparam logic [1:0]  Okay       = 2'b00;
  localparam logic [1:0]  SlvErr     = 2'b10;

  typedef logic [DmaTagWidth-1:0] tag_t;

  // --- Read: slots between the tag of the oldest and that of the next transfer are taken.
  typedef enum logic [1:0] {
    StWait,
    StFetch,
    StBeat
  } answer_e;

  answer_e              rd_state_q;
  tag_t                 rd_next_q, rd_old_q, rd_desc_tag_q;
  logic [Reads-1:0]     rd_sent_q, rd_done_q, rd_error_q;   // by slot; sent: the engine has the descriptor
  tag_t                 rd_tags_q [Reads];
  logic [BeatWidth-1:0] rd_lens_q [Reads];                  // beats less one
  logic [63:0]          rd_addr_q;
  logic [8:0]           rd_beats_q;
  logic [BeatWidth-1:0] rd_beat_q;
  logic                 rd_desc_valid_q, ar_take, rd_known, rd_last, rd_end;
  logic [ReadWidth-1:0] rd_new, rd_slot, rd_hit;
  logic [RowBits-1:0]   row;

  assign rd_new   = rd_next_q[ReadWidth-1:0];
  assign rd_slot  = rd_old_q[ReadWidth-1:0];
  assign rd_hit   = rd_status_tag_i[ReadWidth-1:0];
  assign ar_take  = s_axi_arvalid_i && s_axi_arready_o;
  assign rd_known = rd_status_valid_i && rd_sent_q[rd_hit] && rd_status_tag_i == rd_tags_q[rd_hit];
  assign rd_last  = rd_beat_q == rd_lens_q[rd_slot];
  assign rd_end   = rd_state_q == StBeat && s_axi_rready_i && rd_last;

  always_ff @(posedge clk_i) begin
    if (ar_take) begin
      rd_addr_q         <= s_axi_araddr_i;
      rd_beats_q        <= {1'b0, s_axi_arlen_i} + 9'd1;
      rd_desc_tag_q     <= rd_next_q;
      rd_tags_q[rd_new] <= rd_next_q;
      rd_lens_q[rd_new] <= s_axi_arlen_i[BeatWidth-1:0];
      rd_next_q         <= rd_next_q + 1'b1;
      rd_desc_valid_q   <= 1'b1;
    end else if (rd_desc_ready_i) begin
      rd_desc_valid_q <= 1'b0;
    end
    if (rd_desc_valid_q && rd_desc_ready_i) rd_sent_q[rd_desc_tag_q[ReadWidth-1:0]] <= 1'b1;
    if (rd_known) begin
      rd_sent_q[rd_hit]  <= 1'b0;
      rd_done_q[rd_hit]  <= 1'b1;
      rd_error_q[rd_hit] <= rd_status_error_i != 4'd0;
    end
    unique case (rd_state_q)
      StWait: begin
        rd_beat_q <= '0;
        if (rd_done_q[rd_slot]) rd_state_q <= StFetch;
      end
      StFetch: rd_state_q <= StBeat;
      StBeat: if (s_axi_rready_i) begin
        rd_beat_q  <= rd_beat_q + 1'b1;
        rd_state_q <= rd_last ? StWait : StFetch;
      end
      default: rd_state_q <= StWait;
    endcase
    if (rd_end) begin
      rd_done_q[rd_slot] <= 1'b0;
      rd_old_q           <= rd_old_q + 1'b1;
    end
    if (rst_i) begin
      rd_state_q      <= StWait;
      rd_desc_valid_q <= 1'b0;
      rd_sent_q       <= '0;
      rd_done_q       <= '0;
      rd_next_q       <= '0;
      rd_old_q        <= '0;
    end
  end

  assign s_axi_arready_o    = !rd_desc_valid_q && tag_t'(rd_next_q - rd_old_q) != tag_t'(Reads);
  assign rd_desc_dma_addr_o = DmaAddrWidth'(rd_addr_q);
  assign rd_desc_ram_sel_o  = '0;
  assign rd_desc_ram_addr_o = RamAddrWidth'(rd_desc_tag_q[ReadWidth-1:0]) << $clog2(BurstBeats * 64);
  assign rd_desc_len_o      = DmaLenWidth'({rd_beats_q, 6'd0});
  assign rd_desc_tag_o      = rd_desc_tag_q;
  assign rd_desc_valid_o    = rd_desc_valid_q;
  assign s_axi_rvalid_o     = rd_state_q == StBeat;
  assign s_axi_rlast_o      = rd_last;
  assign s_axi_rresp_o      = rd_error_q[rd_slot] ? SlvErr : Okay;

  if (RowBeats > 1) begin : g_part
    assign s_axi_rdata_o = row[512*rd_beat_q[SubBits-1:0] +: 512];
  end else begin : g_whole
    assign s_axi_rdata_o = row;
  end

  for (genvar s = 0; s < SegCount; s++) begin : g_read_ram
    logic                    we;
    logic [SegAddrWidth-1:0] waddr;

    // Rows beyond the slots are not ours to write: they are answered and thrown away.
    assign waddr = ram_wr_cmd_addr_i[SegAddrWidth*s +: SegAddrWidth];
    assign we    = ram_wr_cmd_valid_i[s] && waddr < SegAddrWidth'(Reads * Rows);

    ps_ram_sdp_2clk #(
      .Width    (SegDataWidth),
      .Depth    (Reads * Rows),
      .LaneWidth(8),
      .Style    ("distributed")
    ) u_ram (
      .wclk_i (clk_i),
      .we_i   (we ? ram_wr_cmd_be_i[SegBeWidth*s +: SegBeWidth] : '0),
      .waddr_i(waddr[RowWidth-1:0]),
      .wdata_i(ram_wr_cmd_data_i[SegDataWidth*s +: SegDataWidth]),
      .rclk_i (clk_i),
      .re_i   (rd_state_q == StFetch),
      .raddr_i(RowWidth'({rd_slot, rd_beat_q} >> SubBits)),
      .rdata_o(row[SegDataWidth*s +: SegDataWidth])
    );
  end

  assign ram_wr_cmd_ready_o = '1;

  always_ff @(posedge clk_i) begin
    ram_wr_done_o <= ram_wr_cmd_valid_i;
    if (rst_i) ram_wr_done_o <= '0;
  end

  // --- Write, likewise
  tag_t                    wr_next_q, wr_old_q, wr_desc_tag_q;
  logic [Writes-1:0]       wr_sent_q, wr_done_q, wr_error_q;
  tag_t                    wr_tags_q [Writes];
  logic [63:0]             wr_addr_q;
  logic                    wr_desc_valid_q, wr_take, wr_known;
  logic [WriteWidth-1:0]   wr_new, wr_slot, wr_hit;
  logic [SegCount-1:0]     resp_valid_q;

  assign wr_new   = wr_next_q[WriteWidth-1:0];
  assign wr_slot  = wr_old_q[WriteWidth-1:0];
  assign wr_hit   = wr_status_tag_i[WriteWidth-1:0];
  assign wr_take  = s_axi_awvalid_i && s_axi_wvalid_i && !wr_desc_valid_q && tag_t'(wr_next_q - wr_old_q) != tag_t'(Writes);
  assign wr_known = wr_status_valid_i && wr_sent_q[wr_hit] && wr_status_tag_i == wr_tags_q[wr_hit];

  always_ff @(posedge clk_i) begin
    if (wr_take) begin
      wr_addr_q         <= s_axi_awaddr_i;
      wr_desc_tag_q     <= wr_next_q;
      wr_tags_q[wr_new] <= wr_next_q;
      wr_next_q         <= wr_next_q + 1'b1;
      wr_desc_valid_q   <= 1'b1;
    end else if (wr_desc_ready_i) begin
      wr_desc_valid_q <= 1'b0;
    end
    if (wr_desc_valid_q && wr_desc_ready_i) wr_sent_q[wr_desc_tag_q[WriteWidth-1:0]] <= 1'b1;
    if (wr_known) begin
      wr_sent_q[wr_hit]  <= 1'b0;
      wr_done_q[wr_hit]  <= 1'b1;
      wr_error_q[wr_hit] <= wr_status_error_i != 4'd0;
    end
    if (s_axi_bvalid_o && s_axi_bready_i) begin
      wr_done_q[wr_slot] <= 1'b0;
      wr_old_q           <= wr_old_q + 1'b1;
    end
    if (rst_i) begin
      wr_desc_valid_q <= 1'b0;
      wr_sent_q       <= '0;
      wr_done_q       <= '0;
      wr_next_q       <= '0;
      wr_old_q        <= '0;
    end
  end

  assign s_axi_awready_o    = wr_take;
  assign s_axi_wready_o     = wr_take;
  assign s_axi_bvalid_o     = wr_done_q[wr_slot];
  assign s_axi_bresp_o      = wr_error_q[wr_slot] ? SlvErr : Okay;
  assign wr_desc_dma_addr_o = DmaAddrWidth'(wr_addr_q);
  assign wr_desc_ram_sel_o  = '0;
  assign wr_desc_ram_addr_o = RamAddrWidth'(wr_desc_tag_q[WriteWidth-1:0]) << $clog2(RowBits / 8);
  assign wr_desc_len_o      = DmaLenWidth'(64);
  assign wr_desc_tag_o      = wr_desc_tag_q;
  assign wr_desc_valid_o    = wr_desc_valid_q;

  for (genvar s = 0; s < SegCount; s++) begin : g_write_ram
    logic                    take;
    logic [SegAddrWidth-1:0] raddr;

    assign raddr = ram_rd_cmd_addr_i[SegAddrWidth*s +: SegAddrWidth];
    assign take  = ram_rd_cmd_valid_i[s] && ram_rd_cmd_ready_o[s];
    assign ram_rd_cmd_ready_o[s]  = !resp_valid_q[s] || ram_rd_resp_ready_i[s];
    assign ram_rd_resp_valid_o[s] = resp_valid_q[s];

    always_ff @(posedge clk_i) begin
      if (rst_i) resp_valid_q[s] <= 1'b0;
      else resp_valid_q[s] <= take || (resp_valid_q[s] && !ram_rd_resp_ready_i[s]);
    end

    // The beat is the first of its row; what the engine reads around it is 0.
    if (s * SegDataWidth < 512) begin : g_beat
      ps_ram_sdp #(
        .Width(SegDataWidth),
        .Depth(Writes),
        .Style("distributed")
      ) u_ram (
        .clk_i,
        .we_i   (wr_take),
        .waddr_i(wr_new),
        .wdata_i(s_axi_wdata_i[SegDataWidth*s +: SegDataWidth]),
        .re_i   (take),
        .raddr_i(raddr[WriteWidth-1:0]),
        .rdata_o(ram_rd_resp_data_o[SegDataWidth*s +: SegDataWidth])
      );
    end else begin : g_behind
      assign ram_rd_resp_data_o[SegDataWidth*s +: SegDataWidth] = '0;
    end

    logic unused_row;
    assign unused_row = ^raddr;
  end

  logic unused_axi;
  assign unused_axi = ^{s_axi_awlen_i, s_axi_wlast_i, s_axi_wstrb_i};

`ifndef SYNTHESIS
  initial begin
    assert (RowBits % 512 == 0 && BurstBeats % RowBeats == 0) else
      $fatal(1, "ps_axi_corundum_dma: a row of %0d bits does not hold whole beats", RowBits);
    assert ((Reads & (Reads - 1)) == 0 && (Writes & (Writes - 1)) == 0 && Reads >= 2 && Writes >= 2) else
      $fatal(1, "ps_axi_corundum_dma: Reads and Writes are not powers of two");
    assert (RamAddrWidth >= $clog2(Reads * BurstBeats * 64) && SegAddrWidth >= WriteWidth) else
      $fatal(1, "ps_axi_corundum_dma: the RAM's addresses do not reach all slots");
    assert (DmaLenWidth > 6 + $clog2(BurstBeats)) else $fatal(1, "ps_axi_corundum_dma: DmaLenWidth is too small");
  end
  a_burst : assert property (@(posedge clk_i) disable iff (rst_i)
                             s_axi_arvalid_i |-> s_axi_arlen_i < 8'(BurstBeats) && s_axi_araddr_i[5:0] == '0);
  a_write : assert property (@(posedge clk_i) disable iff (rst_i)
                             s_axi_awvalid_i |-> s_axi_awlen_i == '0 && s_axi_awaddr_i[5:0] == '0);
  a_strobes : assert property (@(posedge clk_i) disable iff (rst_i) s_axi_wvalid_i |-> &s_axi_wstrb_i && s_axi_wlast_i);

  ps_axi_sva #(
    .Outstanding(Reads > Writes ? Reads : Writes)
  ) u_sva_axi (
    .clk_i,
    .rst_i,
    .awaddr_i (s_axi_awaddr_i),
    .awlen_i  (s_axi_awlen_i),
    .awvalid_i(s_axi_awvalid_i),
    .awready_i(s_axi_awready_o),
    .wdata_i  (s_axi_wdata_i),
    .wstrb_i  (s_axi_wstrb_i),
    .wlast_i  (s_axi_wlast_i),
    .wvalid_i (s_axi_wvalid_i),
    .wready_i (s_axi_wready_o),
    .bresp_i  (s_axi_bresp_o),
    .bvalid_i (s_axi_bvalid_o),
    .bready_i (s_axi_bready_i),
    .araddr_i (s_axi_araddr_i),
    .arlen_i  (s_axi_arlen_i),
    .arvalid_i(s_axi_arvalid_i),
    .arready_i(s_axi_arready_o),
    .rdata_i  (s_axi_rdata_o),
    .rresp_i  (s_axi_rresp_o),
    .rlast_i  (s_axi_rlast_o),
    .rvalid_i (s_axi_rvalid_o),
    .rready_i (s_axi_rready_i)
  );
`endif

endmodule
