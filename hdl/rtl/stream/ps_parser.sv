// Parses the window of a frame into the header record of the match-action core (docs/datapath.md, 1 to 4).
//
// ps_parse_outer finds the frame's own packet, whatever is around it; ps_parse_packet reads that.
// Pipeline, no back-pressure, one window a cycle.
// Latency:    7 cycles.
// Reset:      the valid bits only.
module ps_parser
  import ps_types_pkg::*;
  import ps_stream_pkg::*;
  import ps_parse_pkg::*;
(
  input  logic        clk_i,
  input  logic        rst_i,
  input  logic        window_valid_i,
  input  window_t     window_i,
  input  packet_sum_t sum_i,
  output logic        hdr_valid_o,
  output hdr_t        hdr_o,
  output logic        busy_o
);

  logic                     valid, outer_busy, packet_busy;
  around_t                  around;
  logic [8*PacketBytes-1:0] packet;
  logic [16:0]              avail;
  outer_faults_t            faults;

  ps_parse_outer u_outer (
    .clk_i,
    .rst_i,
    .window_valid_i,
    .window_i,
    .sum_i,
    .valid_o (valid),
    .around_o(around),
    .packet_o(packet),
    .avail_o (avail),
    .faults_o(faults),
    .busy_o  (outer_busy)
  );

  ps_parse_packet u_packet (
    .clk_i,
    .rst_i,
    .valid_i (valid),
    .around_i(around),
    .packet_i(packet),
    .avail_i (avail),
    .faults_i(faults),
    .hdr_valid_o,
    .hdr_o,
    .busy_o  (packet_busy)
  );

  assign busy_o = outer_busy || packet_busy;

endmodule
