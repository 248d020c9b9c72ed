// Crossbar: three sources (fabric rewriter, host rewriter, firmware) to three sinks (fabric, host, firmware).
//
// A beat goes where its source says, into that source's queue at the sink (ps_xbar_sink), so that a sink that waits holds up
// only the frames that are for it, and those behind them in the same source. Sources have no ready: they look at
// room_o before they begin what ends in a beat, and the queues keep a margin for those on their way.
// Latency:    announced -> m_valid_o 4 cycles; one beat a cycle at every sink.
module ps_xbar
  import ps_stream_pkg::*;
(
  input  logic             clk_i,
  input  logic             rst_i,
  input  logic [Sinks-1:0] head_valid_i [3], // by source, then sink: announces a beat
  input  logic             head_last_i [3],
  input  logic [Sinks-1:0] s_valid_i [3],    // likewise: the beat
  input  routed_beat_t     s_i [3],
  output logic [Sinks-1:0] room_o [3],
  output logic [2:0]       m_valid_o,        // fabric, host, firmware
  input  logic [2:0]       m_ready_i,
  output routed_beat_t     m_o [3],
  output logic             busy_o
);

  logic [Sinks-1:0] busy;

  for (genvar d = 0; d < Sinks; d++) begin : g_sink
    logic [2:0] room;

    ps_xbar_sink u_sink (
      .clk_i,
      .rst_i,
      .head_valid_i({head_valid_i[2][d], head_valid_i[1][d], head_valid_i[0][d]}),
      .head_last_i ({head_last_i[2], head_last_i[1], head_last_i[0]}),
      .s_valid_i   ({s_valid_i[2][d], s_valid_i[1][d], s_valid_i[0][d]}),
      .s_i,
      .room_o      (room),
      .m_valid_o   (m_valid_o[d]),
      .m_ready_i   (m_ready_i[d]),
      .m_o         (m_o[d]),
      .busy_o      (busy[d])
    );

    for (genvar s = 0; s < 3; s++) begin : g_source
      assign room_o[s][d] = room[s];
    end
  end

  assign busy_o = busy != '0;

endmodule
