// Bench top of ps_parser behind ps_ingress and ps_entry: one of each for a fabric port and for a host port.
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
  input  logic         take_i    [2],         // a credit may come back
  output logic         hdr_valid_o [2],
  output logic [$bits(hdr_t)-1:0] hdr_o [2],  // taken apart by hdr_fields.h
  output logic [31:0]  hdr_bits_o
);

  assign hdr_bits_o = $bits(hdr_t);

  for (genvar p = 0; p < 2; p++) begin : g_port
    logic        window_valid, entry_valid, sum_valid, frame, entry_busy, busy;
    logic [1:0]  room;
    window_t     window, entry_window;
    packet_sum_t sum, entry_sum;
    logic [511:0] beat;
    logic        beat_read;
    hdr_t        hdr;

    // Headers that have left and whose credit is still out
    logic       credit;
    logic [7:0] owed_q;

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
      .window_o      (window),
      .window_room_i (room[p]),
      .sum_valid_o   (sum_valid),
      .sum_o         (sum),
      .beat_look_i   (1'b1),
      .beat_read_i   (beat_read),
      .beat_o        (beat),
      .frame_o       (frame)
    );

    // Beats go as they come.
    assign beat_read = u_ingress.wptr_q != u_ingress.rptr_q;

    // Its credits come back as the bench lets windows go on.
    ps_entry u_entry (
      .clk_i,
      .rst_i,
      .window_valid_i (p == 0 ? {1'b0, window_valid} : {window_valid, 1'b0}),
      .window_room_o  (room),
      .fabric_window_i(window),
      .host_window_i  (window),
      .sum_valid_i    (sum_valid),
      .sum_i          (sum),
      .credit_i       (p == 0 ? {1'b0, credit} : {credit, 1'b0}),
      .gap_i          (1'b0),
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
      .hdr_valid_o   (hdr_valid_o[p]),
      .hdr_o         (hdr),
      .busy_o        (busy)
    );

    assign credit = owed_q != '0 && take_i[p];

    always_ff @(posedge clk_i) begin
      if (rst_i) owed_q <= '0;
      else owed_q <= owed_q + 8'(hdr_valid_o[p]) - 8'(credit);
    end

    assign hdr_o[p] = hdr;
  end

endmodule
