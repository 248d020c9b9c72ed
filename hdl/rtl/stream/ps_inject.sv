// Frames of the firmware on their way to the crossbar, and their count.
//
// fw_tx_vif_i (first beat) 0 sends to the fabric, else to that vif.
// Handshake:  fw_tx_tready_o is a register; it falls before the queue of either sink can overflow.
// Latency:    beat accepted -> m_valid_o 1 cycle; last beat accepted -> fw_tx_valid_o 3 cycles.
module ps_inject
  import ps_types_pkg::*;
  import ps_stream_pkg::*;
(
  input  logic             clk_i,
  input  logic             rst_i,
  input  logic [511:0]     fw_tx_tdata_i,
  input  logic [63:0]      fw_tx_tkeep_i,
  input  logic             fw_tx_tlast_i,
  input  logic             fw_tx_tvalid_i,
  output logic             fw_tx_tready_o,
  input  logic [7:0]       fw_tx_vif_i,
  output logic             fw_tx_valid_o,   // pulse: a frame has been taken
  output logic [7:0]       fw_tx_vif_o,
  output logic [15:0]      fw_tx_bytes_o,
  input  logic [Sinks-1:0] room_i,
  output logic [Sinks-1:0] m_valid_o,
  output routed_beat_t     m_o,
  output logic             frame_o,         // pulse: the first beat of a frame has been accepted
  output logic             busy_o
);

  localparam int unsigned ToFabric = 0;
  localparam int unsigned ToHost = 1;

  logic             take, ready_q, first_q;
  logic [Sinks-1:0] valid_q, dst_q;
  logic [7:0]       vif_q;
  beat_t            beat_q;

  // Its length, a stage behind: bytes of the beat, then of the frame so far
  logic        size_valid_q, size_last_q, count_valid_q;
  logic [6:0]  bytes_q;
  logic [7:0]  size_vif_q, count_vif_q;
  logic [15:0] before_q, count_q;

  assign take           = fw_tx_tvalid_i && ready_q;
  assign fw_tx_tready_o = ready_q;
  assign frame_o        = take && first_q;

  always_ff @(posedge clk_i) begin
    if (take) begin
      beat_q <= '{last: fw_tx_tlast_i, keep: fw_tx_tkeep_i, data: fw_tx_tdata_i};
      if (first_q) vif_q <= fw_tx_vif_i;
    end
    if (valid_q != '0) begin
      bytes_q     <= kept_bytes(beat_q.keep);
      size_last_q <= beat_q.last;
      size_vif_q  <= vif_q;
    end
    if (size_valid_q) begin
      before_q    <= size_last_q ? '0 : before_q + 16'(bytes_q);
      count_q     <= before_q + 16'(bytes_q);
      count_vif_q <= size_vif_q;
    end
    if (rst_i) begin
      ready_q       <= 1'b0;
      first_q       <= 1'b1;
      valid_q       <= '0;
      dst_q         <= '0;
      before_q      <= '0;
      size_valid_q  <= 1'b0;
      count_valid_q <= 1'b0;
    end else begin
      ready_q <= room_i[ToFabric] && room_i[ToHost];
      if (take) first_q <= fw_tx_tlast_i;
      valid_q <= '0;
      if (take && first_q) begin
        dst_q[ToFabric]   <= fw_tx_vif_i == '0;
        dst_q[ToHost]     <= fw_tx_vif_i != '0;
        valid_q[ToFabric] <= fw_tx_vif_i == '0;
        valid_q[ToHost]   <= fw_tx_vif_i != '0;
      end else if (take) begin
        valid_q <= dst_q;
      end
      size_valid_q  <= valid_q != '0;
      count_valid_q <= size_valid_q && size_last_q;
    end
  end

  assign m_valid_o     = valid_q;
  assign m_o           = '{side: side_t'(vif_q), beat: beat_q};
  assign fw_tx_valid_o = count_valid_q;
  assign fw_tx_vif_o   = count_vif_q;
  assign fw_tx_bytes_o = count_q;
  assign busy_o        = fw_tx_tvalid_i || !first_q || valid_q != '0 || size_valid_q || count_valid_q;

  logic unused_room;
  assign unused_room = ^room_i;

endmodule
