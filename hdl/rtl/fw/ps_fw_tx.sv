// Frames that the firmware sends: a window of 256 bytes (clk_fw_i) and its way to the data path (clk_i).
//
// The firmware fills the window, then writes length and vif; the frame leaves while free_o is 0, during
// which the window must not be written. A length of 0 sends nothing, one above 256 sends 256 bytes.
//
// Handshake: AXI-Stream; beats are two cycles apart, tvalid waits for tready, payload stable meanwhile.
// Window:    word-wise, one cycle of clk_fw_i.
// Clocks:    rising edges of clk_fw_i coincide with edges of clk_i, at most every second one; it may stand still.
// Latency:   first beat four cycles of clk_i after the firmware's write.
// Reset:     rst_i and rst_fw_i overlap, rst_fw_i ends last; a frame on its way is cut off. None is while quiet_o is 1, and
//            for another cycle.
module ps_fw_tx
  import ps_abi_pkg::*;
  import ps_types_pkg::*;
(
  input  logic         clk_i,
  input  logic         rst_i,
  input  logic         clk_fw_i,
  input  logic         rst_fw_i,

  // Data path, clk_i
  output logic [511:0] tx_tdata_o,
  output logic [63:0]  tx_tkeep_o,
  output logic         tx_tlast_o,
  output logic         tx_tvalid_o,
  input  logic         tx_tready_i,
  output logic [7:0]   tx_vif_o,
  output logic         quiet_o,

  // Firmware, clk_fw_i
  output logic         free_o,
  input  logic         send_i,
  input  logic [15:0]  bytes_i,
  input  logic [7:0]   vif_i,
  input  logic         win_re_i,
  input  logic [3:0]   win_we_i,      // by byte
  input  logic [7:2]   win_addr_i,
  input  logic [31:0]  win_wdata_i,
  output logic [31:0]  win_rdata_o    // cycle after win_re_i
);

  localparam int unsigned Beats     = FwFrameBytes / BeatBytes;
  localparam int unsigned BeatWidth = $clog2(Beats);
  localparam int unsigned LenWidth  = $clog2(FwFrameBytes) + 1;

  // ------------------------------------------------------------------ firmware's side

  logic                toggle_q, done_q;
  logic [7:0]          vif_q;
  logic [LenWidth-1:0] bytes_q;
  logic [3:0]          lane_q;

  always_ff @(posedge clk_fw_i) begin
    if (send_i && free_o && bytes_i != '0) begin
      toggle_q <= !toggle_q;
      vif_q    <= vif_i;
      bytes_q  <= (bytes_i > 16'(FwFrameBytes)) ? LenWidth'(FwFrameBytes) : LenWidth'(bytes_i);
    end
    if (win_re_i) lane_q <= win_addr_i[5:2];
    if (rst_fw_i) toggle_q <= 1'b0;
  end

  assign free_o = toggle_q == done_q;

  // ------------------------------------------------------------------ data path's side

  typedef enum logic [1:0] {Idle, Fetch, Send} state_e;

  state_e               state_d, state_q;
  logic [BeatWidth-1:0] beat_d, beat_q, last_beat;
  logic                 done_d, last_q;
  logic [LenWidth-2:0]  last_byte_q;  // offset of the frame's last byte
  logic [5:0]           last_keep;
  logic [BeatBytes-1:0] keep_q;

  // Stands when the first beat is fetched.
  always_ff @(posedge clk_i) last_byte_q <= (LenWidth-1)'(bytes_q - LenWidth'(1));

  assign last_beat = last_byte_q[LenWidth-2 -: BeatWidth];
  assign last_keep = last_byte_q[5:0];

  always_ff @(posedge clk_i) begin
    if (state_q == Fetch) begin
      last_q <= beat_q == last_beat;
      keep_q <= beat_q == last_beat ? ~(64'hffff_ffff_ffff_fffe << last_keep) : '1;
    end
  end

  always_comb begin
    state_d = state_q;
    beat_d  = beat_q;
    done_d  = done_q;
    unique case (state_q)
      Idle: if (!free_o) begin
        state_d = Fetch;
        beat_d  = '0;
      end
      Fetch: state_d = Send;
      Send: if (tx_tready_i) begin
        beat_d = beat_q + BeatWidth'(1);
        if (last_q) begin
          done_d  = toggle_q;
          state_d = Idle;
        end else begin
          state_d = Fetch;
        end
      end
      default: state_d = Idle;
    endcase
  end

  always_ff @(posedge clk_i) begin
    state_q <= state_d;
    beat_q  <= beat_d;
    done_q  <= done_d;
    if (rst_i) begin
      state_q <= Idle;
      done_q  <= 1'b0;
    end
  end

  assign quiet_o     = state_q == Idle;
  assign tx_tvalid_o = state_q == Send;
  assign tx_tlast_o  = last_q;
  assign tx_tkeep_o  = keep_q;
  assign tx_vif_o    = vif_q;

  // ------------------------------------------------------------------ window: a copy for each reader

  logic [BeatBytes-1:0] we;
  logic [BeatBits-1:0]  rdata;

  assign we = BeatBytes'(win_we_i) << {win_addr_i[5:2], 2'b00};

  ps_ram_sdp_2clk #(
    .Width     (BeatBits),
    .Depth     (Beats),
    .LaneWidth (8),
    .Style     ("distributed")
  ) u_send (
    .wclk_i  (clk_fw_i),
    .we_i    (we),
    .waddr_i (win_addr_i[7:6]),
    .wdata_i ({(BeatBits / 32){win_wdata_i}}),
    .rclk_i  (clk_i),
    .re_i    (state_q == Fetch),
    .raddr_i (beat_q),
    .rdata_o (tx_tdata_o)
  );

  ps_ram_sdp_2clk #(
    .Width     (BeatBits),
    .Depth     (Beats),
    .LaneWidth (8),
    .Style     ("distributed")
  ) u_read_back (
    .wclk_i  (clk_fw_i),
    .we_i    (we),
    .waddr_i (win_addr_i[7:6]),
    .wdata_i ({(BeatBits / 32){win_wdata_i}}),
    .rclk_i  (clk_fw_i),
    .re_i    (win_re_i),
    .raddr_i (win_addr_i[7:6]),
    .rdata_o (rdata)
  );

  assign win_rdata_o = rdata[{lane_q, 5'd0} +: 32];

`ifndef SYNTHESIS
  // AXI-Stream: what is offered stays until it is taken. Immediate, as a concurrent one would keep a copy of the beat in every cycle.
  logic                waits_q;
  logic [BeatBits-1:0] data_q;
  logic [$bits({tx_tkeep_o, tx_tlast_o, tx_vif_o})-1:0] side_q;

  always @(posedge clk_i) begin
    if (!rst_i && waits_q) begin
      TxStable_A : assert (tx_tvalid_o && tx_tdata_o == data_q && {tx_tkeep_o, tx_tlast_o, tx_vif_o} == side_q);
    end
    waits_q <= !rst_i && tx_tvalid_o && !tx_tready_i;
    if (tx_tvalid_o && !tx_tready_i) begin
      data_q <= tx_tdata_o;
      side_q <= {tx_tkeep_o, tx_tlast_o, tx_vif_o};
    end
  end
`endif

endmodule
