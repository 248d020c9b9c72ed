// Bench top of the AXI checkers: their ports as they are. The bench (ps_axi_sva_tb.cpp) plays both sides, well and badly.
module ps_axi_sva_tb (
  input logic         clk_i,
  input logic         rst_i,
  input logic [63:0]  awaddr_i,
  input logic [7:0]   awlen_i,
  input logic         awvalid_i,
  input logic         awready_i,
  input logic [31:0]  wdata_i,         // the rest of the beat is 0
  input logic [63:0]  wstrb_i,
  input logic         wlast_i,
  input logic         wvalid_i,
  input logic         wready_i,
  input logic [1:0]   bresp_i,
  input logic         bvalid_i,
  input logic         bready_i,
  input logic [63:0]  araddr_i,
  input logic [7:0]   arlen_i,
  input logic         arvalid_i,
  input logic         arready_i,
  input logic [31:0]  rdata_i,
  input logic [1:0]   rresp_i,
  input logic         rlast_i,
  input logic         rvalid_i,
  input logic         rready_i,
  input logic         lite_i           // only the AXI4-Lite checker listens; else only the other
);

  ps_axi_sva u_full (
    .clk_i,
    .rst_i   (rst_i || lite_i),
    .awaddr_i,
    .awlen_i,
    .awvalid_i,
    .awready_i,
    .wdata_i (512'(wdata_i)),
    .wstrb_i,
    .wlast_i,
    .wvalid_i,
    .wready_i,
    .bresp_i,
    .bvalid_i,
    .bready_i,
    .araddr_i,
    .arlen_i,
    .arvalid_i,
    .arready_i,
    .rdata_i (512'(rdata_i)),
    .rresp_i,
    .rlast_i,
    .rvalid_i,
    .rready_i
  );

  ps_axil_sva u_lite (
    .clk_i,
    .rst_i   (rst_i || !lite_i),
    .awaddr_i(awaddr_i[15:0]),
    .awvalid_i,
    .awready_i,
    .wdata_i,
    .wstrb_i (wstrb_i[3:0]),
    .wvalid_i,
    .wready_i,
    .bresp_i,
    .bvalid_i,
    .bready_i,
    .araddr_i(araddr_i[15:0]),
    .arvalid_i,
    .arready_i,
    .rdata_i,
    .rresp_i,
    .rvalid_i,
    .rready_i
  );

endmodule
