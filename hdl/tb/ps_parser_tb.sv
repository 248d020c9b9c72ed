// Bench top of ps_parser behind ps_ingress: one of each for a fabric port and for a host port.
//
// The bench (ps_parser_tb.cpp) plays the MACs and reads the header records.
module ps_parser_tb
  import ps_types_pkg::*;
  import ps_stream_pkg::*;
(
  input  logic         clk_i,
  input  logic         rst_i,
  input  logic [511:0] s_data_i  [2],         // by src_e
  input  logic [63:0]  s_keep_i  [2],
  input  logic         s_last_i  [2],
  input  logic [7:0]   s_vif_i   [2],
  input  logic         s_valid_i [2],
  output logic         s_ready_o [2],
  input  logic         take_i    [2],         // a waiting window may go on
  output logic         hdr_valid_o [2],
  output logic [$bits(hdr_t)-1:0] hdr_o [2],  // taken apart by hdr_fields.h
  output logic [31:0]  hdr_bits_o
);

  assign hdr_bits_o = $bits(hdr_t);

  for (genvar p = 0; p < 2; p++) begin : g_port
    logic      window_valid, beat_valid, frame, busy;
    window_t   window;
    raw_beat_t beat;
    hdr_t      hdr;

    ps_ingress #(
      .Src(src_e'(p))
    ) u_ingress (
      .clk_i,
      .rst_i,
      .s_data_i      (s_data_i[p]),
      .s_keep_i      (s_keep_i[p]),
      .s_last_i      (s_last_i[p]),
      .s_vif_i       (s_vif_i[p]),
      .s_valid_i     (s_valid_i[p]),
      .s_ready_o     (s_ready_o[p]),
      .window_valid_o(window_valid),
      .window_ready_i(take_i[p]),
      .window_o      (window),
      .beat_valid_o  (beat_valid),
      .beat_ready_i  (1'b1),
      .beat_o        (beat),
      .frame_o       (frame)
    );

    ps_parser u_parser (
      .clk_i,
      .rst_i,
      .window_valid_i(window_valid && take_i[p]),
      .window_i      (window),
      .hdr_valid_o   (hdr_valid_o[p]),
      .hdr_o         (hdr),
      .busy_o        (busy)
    );

    assign hdr_o[p] = hdr;
  end

endmodule
