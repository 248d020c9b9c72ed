// Crossbar: three sources (fabric rewriter, host rewriter, firmware) to three sinks (fabric, host, firmware).
//
// A frame goes where its route says; DstDrop does not occur here. Each sink arbitrates for itself (ps_xbar_sink), so
// that a sink that waits holds up only the frames that are for it, and those behind them in the same source.
// Latency:    1 cycle; one beat a cycle at every sink.
module ps_xbar
  import ps_types_pkg::*;
  import ps_stream_pkg::*;
(
  input  logic         clk_i,
  input  logic         rst_i,
  input  logic [2:0]   s_valid_i,
  output logic [2:0]   s_ready_o,
  input  routed_beat_t s_i [3],
  output logic [2:0]   m_valid_o,      // fabric, host, firmware
  input  logic [2:0]   m_ready_i,
  output routed_beat_t m_o [3]
);

  localparam dst_e Sinks[3] = '{DstFabric, DstHost, DstFw};

  logic [2:0][2:0] valid, ready;       // by sink, then source

  for (genvar d = 0; d < 3; d++) begin : g_sink
    for (genvar s = 0; s < 3; s++) begin : g_source
      assign valid[d][s] = s_valid_i[s] && s_i[s].route.dst == Sinks[d];
    end

    ps_xbar_sink u_sink (
      .clk_i,
      .rst_i,
      .s_valid_i(valid[d]),
      .s_ready_o(ready[d]),
      .s_i,
      .m_valid_o(m_valid_o[d]),
      .m_ready_i(m_ready_i[d]),
      .m_o      (m_o[d])
    );
  end

  assign s_ready_o = ready[0] | ready[1] | ready[2];

endmodule
