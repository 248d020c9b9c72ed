// Answers the transmit tags of Corundum's queues in the place of the MAC.
//
// Why:        each frame that a transmit queue hands out must be answered by one completion with its tag, or the queue
//             stops. Between it and the MAC the core drops frames, delivers them locally and makes new ones, so the
//             MAC's completions say nothing of the queue's frames. Here each frame is answered when its last beat is taken.
// Handshake:  ready_o gates the stream's last beats: it is 0 when a tag has no place. Queue of Depth tags.
// Latency:    last beat taken -> m_valid_o 2 cycles.
// Time stamp: none (the caller sends 0): PTP on frames through the core does not work.
module ps_tx_completion #(
  parameter int unsigned TagWidth = 16,
  parameter int unsigned Depth    = 32
) (
  input  logic                clk_i,
  input  logic                rst_i,
  input  logic                take_i,     // a frame's last beat is taken; only while ready_o
  input  logic [TagWidth-1:0] tag_i,
  output logic                ready_o,
  output logic [TagWidth-1:0] m_tag_o,
  output logic                m_valid_o,
  input  logic                m_ready_i
);

  logic [$clog2(Depth)+1:0] stored;

  ps_fifo #(
    .Width(TagWidth),
    .Depth(Depth),
    .Style("distributed")
  ) u_tags (
    .clk_i,
    .rst_i,
    .wvalid_i(take_i),
    .wready_o(ready_o),
    .wdata_i (tag_i),
    .rvalid_o(m_valid_o),
    .rready_i(m_ready_i),
    .rdata_o (m_tag_o),
    .count_o (stored)
  );

  logic unused_stored;
  assign unused_stored = ^stored;

`ifndef SYNTHESIS
  a_room : assert property (@(posedge clk_i) disable iff (rst_i) take_i |-> ready_o);
`endif

endmodule
