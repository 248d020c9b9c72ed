// Streams of the card: everything that a frame goes through but the tables.
//
//   fabric rx -> ps_ingress -+- window -> ps_entry -> ps_parser -> hdr_o   (match-action core)
//   host rx   -> ps_ingress -+- beats ------------+
//                                                 v
//   verdict_i -> ps_rewrite_plan -> ps_rewrite (one a port) -> ps_xbar -> fabric tx, host tx, firmware rx (ps_trap_gate)
//                                   firmware tx -> ps_inject ->
//
// Nothing in here has a ready that runs backwards: who begins something has seen room for its end, in a register. The entry has
// credits for verdicts, a port of arrival has room in its packet memory and at the entry, a rewriter at the sinks.
//
// Streams:    512 bit, byte 0 in bits 7..0, tkeep contiguous and full but on the last beat, outputs registered,
//             payload stable while it waits, bytes beyond tkeep 0 except in frames of the firmware.
//             tuser (host: vif) is valid on the first beat coming in, on all beats going out.
// Core:       one header a cycle at most; exactly one verdict for each, in order, at a fixed latency of up to 72
//             cycles, no back-pressure (credits in ps_entry).
// Firmware:   fw_tx_vif_i 0 sends to the fabric, else to that vif; fw_tx_valid_o pulses for each frame taken.
//             fw_rx_full_i: see ps_trap_gate.
// Latency:    first beat in -> hdr_valid_o for a frame of one beat: 16 cycles from the fabric, 13 from the host; verdict_valid_i
//             -> first beat out 12 cycles.
// Rate:       one beat a cycle through each port; one frame a cycle through the parser, shared by both ports.
// Reset:      rst_i empties everything.
// Checks:     ps_stream_sva at each stream; frames in = frames out + dropped whenever busy_o is low.
module ps_datapath
  import ps_abi_pkg::*;
  import ps_types_pkg::*;
  import ps_stream_pkg::*;
(
  input  logic         clk_i,
  input  logic         rst_i,

  input  logic [511:0] s_fab_tdata_i,
  input  logic [63:0]  s_fab_tkeep_i,
  input  logic         s_fab_tlast_i,
  input  logic         s_fab_tvalid_i,
  output logic         s_fab_tready_o,
  output logic [511:0] m_fab_tdata_o,
  output logic [63:0]  m_fab_tkeep_o,
  output logic         m_fab_tlast_o,
  output logic         m_fab_tvalid_o,
  input  logic         m_fab_tready_i,

  input  logic [511:0] s_host_tdata_i,
  input  logic [63:0]  s_host_tkeep_i,
  input  logic         s_host_tlast_i,
  input  logic [7:0]   s_host_tuser_i,
  input  logic         s_host_tvalid_i,
  output logic         s_host_tready_o,
  output logic [511:0] m_host_tdata_o,
  output logic [63:0]  m_host_tkeep_o,
  output logic         m_host_tlast_o,
  output logic [7:0]   m_host_tuser_o,
  output logic         m_host_tvalid_o,
  input  logic         m_host_tready_i,

  output logic         hdr_valid_o,
  output hdr_t         hdr_o,
  input  logic         verdict_valid_i,
  input  verdict_t     verdict_i,

  output logic [511:0] fw_rx_tdata_o,
  output logic [63:0]  fw_rx_tkeep_o,
  output logic         fw_rx_tlast_o,
  output logic         fw_rx_tvalid_o,
  input  logic         fw_rx_tready_i,
  output trap_meta_t   fw_rx_meta_o,
  input  logic         fw_rx_full_i,
  output logic         trap_drop_valid_o,
  output logic [7:0]   trap_drop_vif_o,

  input  logic [511:0] fw_tx_tdata_i,
  input  logic [63:0]  fw_tx_tkeep_i,
  input  logic         fw_tx_tlast_i,
  input  logic         fw_tx_tvalid_i,
  output logic         fw_tx_tready_o,
  input  logic [7:0]   fw_tx_vif_i,
  output logic         fw_tx_valid_o,
  output logic [7:0]   fw_tx_vif_o,
  output logic [15:0]  fw_tx_bytes_o,

  input  logic         gap_i,            // pulse: a cycle without a header (ps_entry)
  output logic         busy_o
);

  localparam int unsigned FlightWidth = $clog2(PacketBeats) + 2;

  // By src_e
  logic [1:0]   window_valid, window_room, credit, frame_in, frame_drop, frame_done;
  logic [1:0]   plan_valid, overlay_valid, beat_look, beat_read;
  window_t      window [2];
  logic [511:0] beat [2];
  logic         sum_valid, unused_sum_valid, entry_valid, entry_busy, parser_busy;
  packet_sum_t  sum, entry_sum, unused_sum;
  window_t      entry_window;
  frame_plan_t  plan;
  overlay_t     overlay;

  // Crossbar
  logic [Sinks-1:0] head_valid [3];
  logic             head_last [3];
  logic [Sinks-1:0] source_valid [3];
  logic [Sinks-1:0] source_room [3];
  routed_beat_t     source [3];
  logic [2:0]       sink_valid, sink_ready;
  routed_beat_t     sink [3];
  logic             xbar_busy, inject_busy, inject_frame;

  // Ports
  ps_ingress #(
    .Src(SrcFabric)
  ) u_ingress_fabric (
    .clk_i,
    .rst_i,
    .s_data_i      (s_fab_tdata_i),
    .s_keep_i      (s_fab_tkeep_i),
    .s_last_i      (s_fab_tlast_i),
    .s_vif_i       (8'(VifFabricId)),
    .s_valid_i     (s_fab_tvalid_i),
    .s_ready_o     (s_fab_tready_o),
    .window_valid_o(window_valid[0]),
    .window_o      (window[0]),
    .window_room_i (window_room[0]),
    .sum_valid_o   (sum_valid),
    .sum_o         (sum),
    .beat_look_i   (beat_look[0]),
    .beat_read_i   (beat_read[0]),
    .beat_o        (beat[0]),
    .frame_o       (frame_in[0])
  );

  ps_ingress #(
    .Src(SrcHost)
  ) u_ingress_host (
    .clk_i,
    .rst_i,
    .s_data_i      (s_host_tdata_i),
    .s_keep_i      (s_host_tkeep_i),
    .s_last_i      (s_host_tlast_i),
    .s_vif_i       (s_host_tuser_i),
    .s_valid_i     (s_host_tvalid_i),
    .s_ready_o     (s_host_tready_o),
    .window_valid_o(window_valid[1]),
    .window_o      (window[1]),
    .window_room_i (window_room[1]),
    .sum_valid_o   (unused_sum_valid),
    .sum_o         (unused_sum),
    .beat_look_i   (beat_look[1]),
    .beat_read_i   (beat_read[1]),
    .beat_o        (beat[1]),
    .frame_o       (frame_in[1])
  );

  ps_entry u_entry (
    .clk_i,
    .rst_i,
    .window_valid_i (window_valid),
    .window_room_o  (window_room),
    .fabric_window_i(window[0]),
    .host_window_i  (window[1]),
    .sum_valid_i    (sum_valid),
    .sum_i          (sum),
    .credit_i       (credit),
    .gap_i,
    .window_valid_o (entry_valid),
    .window_o       (entry_window),
    .sum_o          (entry_sum),
    .busy_o         (entry_busy)
  );

  ps_parser u_parser (
    .clk_i,
    .rst_i,
    .window_valid_i(entry_valid),
    .window_i      (entry_window),
    .sum_i         (entry_sum),
    .hdr_valid_o,
    .hdr_o,
    .busy_o        (parser_busy)
  );

  ps_rewrite_plan u_plan (
    .clk_i,
    .rst_i,
    .verdict_valid_i,
    .verdict_i,
    .plan_valid_o   (plan_valid),
    .plan_o         (plan),
    .overlay_valid_o(overlay_valid),
    .overlay_o      (overlay)
  );

  for (genvar p = 0; p < 2; p++) begin : g_rewrite
    ps_rewrite u_rewrite (
      .clk_i,
      .rst_i,
      .plan_valid_i   (plan_valid[p]),
      .plan_i         (plan),
      .overlay_valid_i(overlay_valid[p]),
      .overlay_i      (overlay),
      .credit_o       (credit[p]),
      .beat_look_o    (beat_look[p]),
      .beat_read_o    (beat_read[p]),
      .beat_i         (beat[p]),
      .room_i         (source_room[p]),
      .head_valid_o   (head_valid[p]),
      .head_last_o    (head_last[p]),
      .m_valid_o      (source_valid[p]),
      .m_o            (source[p]),
      .drop_o         (frame_drop[p]),
      .done_o         (frame_done[p])
    );
  end

  ps_inject u_inject (
    .clk_i,
    .rst_i,
    .fw_tx_tdata_i,
    .fw_tx_tkeep_i,
    .fw_tx_tlast_i,
    .fw_tx_tvalid_i,
    .fw_tx_tready_o,
    .fw_tx_vif_i,
    .fw_tx_valid_o,
    .fw_tx_vif_o,
    .fw_tx_bytes_o,
    .room_i   (source_room[2]),
    .m_valid_o(source_valid[2]),
    .m_o      (source[2]),
    .frame_o  (inject_frame),
    .busy_o   (inject_busy)
  );
  assign head_valid[2] = source_valid[2];
  assign head_last[2]  = source[2].beat.last;

  ps_xbar u_xbar (
    .clk_i,
    .rst_i,
    .head_valid_i(head_valid),
    .head_last_i (head_last),
    .s_valid_i   (source_valid),
    .s_i         (source),
    .room_o      (source_room),
    .m_valid_o   (sink_valid),
    .m_ready_i   (sink_ready),
    .m_o         (sink),
    .busy_o      (xbar_busy)
  );

  assign m_fab_tdata_o   = sink[0].beat.data;
  assign m_fab_tkeep_o   = sink[0].beat.keep;
  assign m_fab_tlast_o   = sink[0].beat.last;
  assign m_fab_tvalid_o  = sink_valid[0];
  assign sink_ready[0]   = m_fab_tready_i;

  assign m_host_tdata_o  = sink[1].beat.data;
  assign m_host_tkeep_o  = sink[1].beat.keep;
  assign m_host_tlast_o  = sink[1].beat.last;
  assign m_host_tuser_o  = sink[1].side[7:0];
  assign m_host_tvalid_o = sink_valid[1];
  assign sink_ready[1]   = m_host_tready_i;

  assign fw_rx_tdata_o   = sink[2].beat.data;
  assign fw_rx_tkeep_o   = sink[2].beat.keep;
  assign fw_rx_tlast_o   = sink[2].beat.last;
  assign fw_rx_meta_o    = sink[2].side;

  ps_trap_gate u_trap_gate (
    .clk_i,
    .rst_i,
    .s_valid_i   (sink_valid[2]),
    .s_ready_o   (sink_ready[2]),
    .s_last_i    (sink[2].beat.last),
    .s_vif_i     (fw_rx_meta_o.vif),
    .m_valid_o   (fw_rx_tvalid_o),
    .m_ready_i   (fw_rx_tready_i),
    .full_i      (fw_rx_full_i),
    .drop_valid_o(trap_drop_valid_o),
    .drop_vif_o  (trap_drop_vif_o)
  );

  // Frames between their first beat in and their last beat into the crossbar, or their end. All three are counted a cycle late;
  // who has just come is busy already.
  logic [1:0][FlightWidth-1:0] flight_q;
  logic [1:0]                  came_q, dropped_q, left_q;

  for (genvar p = 0; p < 2; p++) begin : g_flight
    always_ff @(posedge clk_i) begin
      if (rst_i) begin
        flight_q[p]  <= '0;
        came_q[p]    <= 1'b0;
        dropped_q[p] <= 1'b0;
        left_q[p]    <= 1'b0;
      end else begin
        flight_q[p]  <= flight_q[p] + FlightWidth'(came_q[p]) - FlightWidth'(dropped_q[p]) - FlightWidth'(left_q[p]);
        came_q[p]    <= frame_in[p];
        dropped_q[p] <= frame_drop[p];
        left_q[p]    <= frame_done[p];
      end
    end
  end

  assign busy_o = flight_q != '0 || came_q != '0 || entry_busy || parser_busy || inject_busy || xbar_busy;

  logic unused_sink;
  assign unused_sink = ^{sink[0].side, sink[1].side[$bits(side_t)-1:8], unused_sum_valid, unused_sum};

`ifndef SYNTHESIS
  ps_stream_sva u_sva_s_fab (
    .clk_i,
    .rst_i,
    .data_i (s_fab_tdata_i),
    .keep_i (s_fab_tkeep_i),
    .last_i (s_fab_tlast_i),
    .user_i (1'b0),
    .valid_i(s_fab_tvalid_i),
    .ready_i(s_fab_tready_o)
  );
  ps_stream_sva #(
    .UserWidth(8)
  ) u_sva_s_host (
    .clk_i,
    .rst_i,
    .data_i (s_host_tdata_i),
    .keep_i (s_host_tkeep_i),
    .last_i (s_host_tlast_i),
    .user_i (s_host_tuser_i),
    .valid_i(s_host_tvalid_i),
    .ready_i(s_host_tready_o)
  );
  ps_stream_sva #(
    .UserWidth(8)
  ) u_sva_fw_tx (
    .clk_i,
    .rst_i,
    .data_i (fw_tx_tdata_i),
    .keep_i (fw_tx_tkeep_i),
    .last_i (fw_tx_tlast_i),
    .user_i (fw_tx_vif_i),
    .valid_i(fw_tx_tvalid_i),
    .ready_i(fw_tx_tready_o)
  );
  ps_stream_sva u_sva_m_fab (
    .clk_i,
    .rst_i,
    .data_i (m_fab_tdata_o),
    .keep_i (m_fab_tkeep_o),
    .last_i (m_fab_tlast_o),
    .user_i (1'b0),
    .valid_i(m_fab_tvalid_o),
    .ready_i(m_fab_tready_i)
  );
  ps_stream_sva #(
    .UserWidth(8)
  ) u_sva_m_host (
    .clk_i,
    .rst_i,
    .data_i (m_host_tdata_o),
    .keep_i (m_host_tkeep_o),
    .last_i (m_host_tlast_o),
    .user_i (m_host_tuser_o),
    .valid_i(m_host_tvalid_o),
    .ready_i(m_host_tready_i)
  );
  ps_stream_sva #(
    .UserWidth($bits(trap_meta_t))
  ) u_sva_fw_rx (
    .clk_i,
    .rst_i,
    .data_i (fw_rx_tdata_o),
    .keep_i (fw_rx_tkeep_o),
    .last_i (fw_rx_tlast_o),
    .user_i (fw_rx_meta_o),
    .valid_i(fw_rx_tvalid_o),
    .ready_i(fw_rx_tready_i)
  );

  // Conservation: nothing is lost nor doubled.
  longint unsigned frames_in_q, frames_out_q;

  always_ff @(posedge clk_i) begin
    if (rst_i) begin
      frames_in_q  <= '0;
      frames_out_q <= '0;
    end else begin
      frames_in_q  <= frames_in_q + 64'(frame_in[0]) + 64'(frame_in[1]) + 64'(inject_frame);
      frames_out_q <= frames_out_q + 64'(frame_drop[0]) + 64'(frame_drop[1]) + 64'(trap_drop_valid_o) +
                      64'(m_fab_tvalid_o && m_fab_tready_i && m_fab_tlast_o) +
                      64'(m_host_tvalid_o && m_host_tready_i && m_host_tlast_o) +
                      64'(fw_rx_tvalid_o && fw_rx_tready_i && fw_rx_tlast_o);
    end
  end

  a_conserved : assert property (@(posedge clk_i) disable iff (rst_i) !busy_o |-> frames_in_q == frames_out_q);
`endif

endmodule
