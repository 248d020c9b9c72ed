// Protocol checker of an AXI4-Lite port. Simulation and formal only.
//
// Beside a port, whichever side it is; it only listens.
// Requests:   a valid that waits stays, with its payload.
// Answers:    held while they wait, likewise; none without its request (for a write: address and data), one a request.
// Depth:      at most 7 accesses of a kind wait for their answers.
// Written with immediate assertions, which simulators, slang and formal tools all take; instances stand under `ifndef SYNTHESIS.
module ps_axil_sva #(
  parameter int unsigned AddrWidth = 16
) (
  input logic                 clk_i,
  input logic                 rst_i,
  input logic [AddrWidth-1:0] awaddr_i,
  input logic                 awvalid_i,
  input logic                 awready_i,
  input logic [31:0]          wdata_i,
  input logic [3:0]           wstrb_i,
  input logic                 wvalid_i,
  input logic                 wready_i,
  input logic [1:0]           bresp_i,
  input logic                 bvalid_i,
  input logic                 bready_i,
  input logic [AddrWidth-1:0] araddr_i,
  input logic                 arvalid_i,
  input logic                 arready_i,
  input logic [31:0]          rdata_i,
  input logic [1:0]           rresp_i,
  input logic                 rvalid_i,
  input logic                 rready_i
);

`ifndef SYNTHESIS
  // What waited in the last cycle
  logic                 aw_held_q, w_held_q, b_held_q, ar_held_q, r_held_q;
  logic [AddrWidth-1:0] awaddr_q, araddr_q;
  logic [31:0]          wdata_q, rdata_q;
  logic [3:0]           wstrb_q;
  logic [1:0]           bresp_q, rresp_q;

  // Accesses that wait for their answers, by what was taken of them
  logic [2:0]           aw_due_q, w_due_q, ar_due_q;
  logic                 aw_take, w_take, b_take, ar_take, r_take;

  assign aw_take = awvalid_i && awready_i;
  assign w_take  = wvalid_i && wready_i;
  assign b_take  = bvalid_i && bready_i;
  assign ar_take = arvalid_i && arready_i;
  assign r_take  = rvalid_i && rready_i;

  always_ff @(posedge clk_i) begin
    aw_held_q <= awvalid_i && !awready_i && !rst_i;
    w_held_q  <= wvalid_i && !wready_i && !rst_i;
    b_held_q  <= bvalid_i && !bready_i && !rst_i;
    ar_held_q <= arvalid_i && !arready_i && !rst_i;
    r_held_q  <= rvalid_i && !rready_i && !rst_i;
    awaddr_q  <= awaddr_i;
    araddr_q  <= araddr_i;
    wdata_q   <= wdata_i;
    wstrb_q   <= wstrb_i;
    bresp_q   <= bresp_i;
    rdata_q   <= rdata_i;
    rresp_q   <= rresp_i;
    if (rst_i) begin
      aw_due_q <= '0;
      w_due_q  <= '0;
      ar_due_q <= '0;
    end else begin
      aw_due_q <= aw_due_q + 3'(aw_take) - 3'(b_take);
      w_due_q  <= w_due_q + 3'(w_take) - 3'(b_take);
      ar_due_q <= ar_due_q + 3'(ar_take) - 3'(r_take);
    end
  end

  always_ff @(posedge clk_i) begin
    if (!rst_i) begin
      if (aw_held_q) a_aw_held : assert (awvalid_i && awaddr_i == awaddr_q);
      if (w_held_q) a_w_held : assert (wvalid_i && {wdata_i, wstrb_i} == {wdata_q, wstrb_q});
      if (b_held_q) a_b_held : assert (bvalid_i && bresp_i == bresp_q);
      if (ar_held_q) a_ar_held : assert (arvalid_i && araddr_i == araddr_q);
      if (r_held_q) a_r_held : assert (rvalid_i && {rdata_i, rresp_i} == {rdata_q, rresp_q});
      if (aw_take) a_aw_depth : assert (aw_due_q != '1);
      if (w_take) a_w_depth : assert (w_due_q != '1);
      if (ar_take) a_ar_depth : assert (ar_due_q != '1);
      if (bvalid_i) a_b_asked : assert (aw_due_q != '0 && w_due_q != '0);
      if (rvalid_i) a_r_asked : assert (ar_due_q != '0);
    end
  end
`endif

endmodule
