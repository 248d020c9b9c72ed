// Protocol checker of an AXI4 port: bursts of whole beats at aligned addresses (INCR), one ID. Simulation and formal only.
//
// Beside a port, whichever side it is; it only listens.
// Requests:   a valid that waits stays, with its payload; a burst does not cross a 4 KiB boundary; its address is aligned to
//             beats; a write beat has a strobe; the last of a burst's beats is marked, and no other.
// Answers:    held while they wait, likewise; none without its request, one a write, and one beat of data for each asked for.
// Depth:      at most Outstanding bursts of a kind (a power of two) may wait for their answers.
// Written with immediate assertions, which simulators, slang and formal tools all take; instances stand under `ifndef SYNTHESIS.
module ps_axi_sva #(
  parameter int unsigned DataBytes   = 64,
  parameter int unsigned Outstanding = 4
) (
  input logic                   clk_i,
  input logic                   rst_i,
  input logic [63:0]            awaddr_i,
  input logic [7:0]             awlen_i,
  input logic                   awvalid_i,
  input logic                   awready_i,
  input logic [8*DataBytes-1:0] wdata_i,
  input logic [DataBytes-1:0]   wstrb_i,
  input logic                   wlast_i,
  input logic                   wvalid_i,
  input logic                   wready_i,
  input logic [1:0]             bresp_i,
  input logic                   bvalid_i,
  input logic                   bready_i,
  input logic [63:0]            araddr_i,
  input logic [7:0]             arlen_i,
  input logic                   arvalid_i,
  input logic                   arready_i,
  input logic [8*DataBytes-1:0] rdata_i,
  input logic [1:0]             rresp_i,
  input logic                   rlast_i,
  input logic                   rvalid_i,
  input logic                   rready_i
);

`ifndef SYNTHESIS
  localparam int unsigned Index = $clog2(Outstanding);
  localparam int unsigned BoundaryBytes = 4096;

  typedef logic [Index:0] count_t;   // one bit more than the index: full is not empty

  function automatic logic crosses(input logic [11:0] offset, input logic [7:0] len);
    crosses = 32'(offset) + (32'(len) + 32'd1) * DataBytes > BoundaryBytes;
  endfunction

  // What waited in the last cycle
  logic                   aw_held_q, w_held_q, b_held_q, ar_held_q, r_held_q;
  logic [63:0]            awaddr_q, araddr_q;
  logic [7:0]             awlen_q, arlen_q;
  logic [8*DataBytes-1:0] wdata_q, rdata_q;
  logic [DataBytes-1:0]   wstrb_q;
  logic                   wlast_q, rlast_q;
  logic [1:0]             bresp_q, rresp_q;

  // Bursts so far: addresses taken, data complete, answered
  count_t     aw_count_q, w_count_q, b_count_q, ar_count_q, r_count_q;
  logic [7:0] aw_len_q [Outstanding];
  logic [7:0] w_len_q [Outstanding];
  logic [7:0] ar_len_q [Outstanding];
  logic [7:0] w_beat_q, r_beat_q;
  logic       aw_take, w_take, b_take, ar_take, r_take;

  assign aw_take = awvalid_i && awready_i;
  assign w_take  = wvalid_i && wready_i;
  assign b_take  = bvalid_i && bready_i;
  assign ar_take = arvalid_i && arready_i;
  assign r_take  = rvalid_i && rready_i;

  always_ff @(posedge clk_i) begin
    if (rst_i) begin
      aw_held_q  <= 1'b0;
      w_held_q   <= 1'b0;
      b_held_q   <= 1'b0;
      ar_held_q  <= 1'b0;
      r_held_q   <= 1'b0;
      aw_count_q <= '0;
      w_count_q  <= '0;
      b_count_q  <= '0;
      ar_count_q <= '0;
      r_count_q  <= '0;
      w_beat_q   <= '0;
      r_beat_q   <= '0;
    end else begin
      aw_held_q <= awvalid_i && !awready_i;
      w_held_q  <= wvalid_i && !wready_i;
      b_held_q  <= bvalid_i && !bready_i;
      ar_held_q <= arvalid_i && !arready_i;
      r_held_q  <= rvalid_i && !rready_i;
      if (aw_take) aw_count_q <= aw_count_q + 1'b1;
      if (w_take && wlast_i) w_count_q <= w_count_q + 1'b1;
      if (b_take) b_count_q <= b_count_q + 1'b1;
      if (ar_take) ar_count_q <= ar_count_q + 1'b1;
      if (r_take && rlast_i) r_count_q <= r_count_q + 1'b1;
      if (w_take) w_beat_q <= wlast_i ? '0 : w_beat_q + 8'd1;
      if (r_take) r_beat_q <= rlast_i ? '0 : r_beat_q + 8'd1;
    end
    if (awvalid_i && !awready_i) {awaddr_q, awlen_q} <= {awaddr_i, awlen_i};
    if (wvalid_i && !wready_i) {wdata_q, wstrb_q, wlast_q} <= {wdata_i, wstrb_i, wlast_i};
    if (bvalid_i && !bready_i) bresp_q <= bresp_i;
    if (arvalid_i && !arready_i) {araddr_q, arlen_q} <= {araddr_i, arlen_i};
    if (rvalid_i && !rready_i) {rdata_q, rresp_q, rlast_q} <= {rdata_i, rresp_i, rlast_i};
    if (aw_take) aw_len_q[aw_count_q[Index-1:0]] <= awlen_i;
    if (w_take && wlast_i) w_len_q[w_count_q[Index-1:0]] <= w_beat_q;
    if (ar_take) ar_len_q[ar_count_q[Index-1:0]] <= arlen_i;
  end

  always_ff @(posedge clk_i) begin
    if (!rst_i) begin
      if (aw_held_q) a_aw_held : assert (awvalid_i && {awaddr_i, awlen_i} == {awaddr_q, awlen_q});
      if (w_held_q) a_w_held : assert (wvalid_i && {wdata_i, wstrb_i, wlast_i} == {wdata_q, wstrb_q, wlast_q});
      if (b_held_q) a_b_held : assert (bvalid_i && bresp_i == bresp_q);
      if (ar_held_q) a_ar_held : assert (arvalid_i && {araddr_i, arlen_i} == {araddr_q, arlen_q});
      if (r_held_q) a_r_held : assert (rvalid_i && {rdata_i, rresp_i, rlast_i} == {rdata_q, rresp_q, rlast_q});

      if (awvalid_i) begin
        a_aw_boundary : assert (!crosses(awaddr_i[11:0], awlen_i));
        a_aw_aligned : assert (awaddr_i % 64'(DataBytes) == '0);
      end
      if (arvalid_i) begin
        a_ar_boundary : assert (!crosses(araddr_i[11:0], arlen_i));
        a_ar_aligned : assert (araddr_i % 64'(DataBytes) == '0);
      end
      if (wvalid_i) a_w_strobe : assert (wstrb_i != '0);

      if (aw_take) a_aw_depth : assert (aw_count_q - b_count_q != count_t'(Outstanding));
      if (ar_take) a_ar_depth : assert (ar_count_q - r_count_q != count_t'(Outstanding));
      // Whichever of a write's address and its last beat comes second is compared with the other.
      if (aw_take && w_count_q - b_count_q > aw_count_q - b_count_q)
        a_w_first_last : assert (w_len_q[aw_count_q[Index-1:0]] == awlen_i);
      if (w_take && aw_count_q - b_count_q > w_count_q - b_count_q)
        a_w_last : assert (wlast_i == (w_beat_q == aw_len_q[w_count_q[Index-1:0]]));
      if (w_take && aw_take && aw_count_q == w_count_q) a_w_with_last : assert (wlast_i == (w_beat_q == awlen_i));

      if (bvalid_i) a_b_asked : assert (aw_count_q != b_count_q && w_count_q != b_count_q);
      if (rvalid_i) begin
        a_r_asked : assert (ar_count_q != r_count_q);
        a_r_last : assert (rlast_i == (r_beat_q == ar_len_q[r_count_q[Index-1:0]]));
      end
    end
  end
`endif

endmodule
