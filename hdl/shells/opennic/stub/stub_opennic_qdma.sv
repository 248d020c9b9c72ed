// Stand-in for those ports of AMD's QDMA that the card needs and OpenNIC leaves out: the slave bridge, user interrupts and
// function-level resets. It answers nothing; it is there so that widths and directions are elaborated.
//
// Follows:    PG302 (QDMA Subsystem for PCI Express): tables "AXI Bridge Slave Ports", "Interrupt Signals", "FLR Ports";
//             512 bit data, 64 bit addresses, 4 bit ids. All of axi_aclk (250 MHz).
module stub_opennic_qdma (
  input  logic [3:0]   s_axib_awid,
  input  logic [63:0]  s_axib_awaddr,
  input  logic [3:0]   s_axib_awregion,
  input  logic [7:0]   s_axib_awuser,
  input  logic [7:0]   s_axib_awlen,
  input  logic [2:0]   s_axib_awsize,
  input  logic [1:0]   s_axib_awburst,
  input  logic         s_axib_awvalid,
  output logic         s_axib_awready,
  input  logic [511:0] s_axib_wdata,
  input  logic [63:0]  s_axib_wuser,
  input  logic [63:0]  s_axib_wstrb,
  input  logic         s_axib_wlast,
  input  logic         s_axib_wvalid,
  output logic         s_axib_wready,
  output logic [3:0]   s_axib_bid,
  output logic [1:0]   s_axib_bresp,
  output logic         s_axib_bvalid,
  input  logic         s_axib_bready,
  input  logic [3:0]   s_axib_arid,
  input  logic [63:0]  s_axib_araddr,
  input  logic [3:0]   s_axib_arregion,
  input  logic [7:0]   s_axib_aruser,
  input  logic [7:0]   s_axib_arlen,
  input  logic [2:0]   s_axib_arsize,
  input  logic [1:0]   s_axib_arburst,
  input  logic         s_axib_arvalid,
  output logic         s_axib_arready,
  output logic [511:0] s_axib_rdata,
  output logic [3:0]   s_axib_rid,
  output logic [63:0]  s_axib_ruser,
  output logic [1:0]   s_axib_rresp,
  output logic         s_axib_rlast,
  output logic         s_axib_rvalid,
  input  logic         s_axib_rready,

  input  logic         usr_irq_in_vld,
  input  logic [10:0]  usr_irq_in_vec,
  input  logic [7:0]   usr_irq_in_fnc,
  output logic         usr_irq_out_ack,
  output logic         usr_irq_out_fail,
  output logic         usr_flr_set,
  output logic [7:0]   usr_flr_fnc,
  input  logic         usr_flr_done_vld,
  input  logic [7:0]   usr_flr_done_fnc,
  output logic         usr_flr_clr,
  input  logic         axi_aclk
);

  assign s_axib_awready   = '0;
  assign s_axib_wready    = '0;
  assign s_axib_bid       = '0;
  assign s_axib_bresp     = '0;
  assign s_axib_bvalid    = '0;
  assign s_axib_arready   = '0;
  assign s_axib_rdata     = '0;
  assign s_axib_rid       = '0;
  assign s_axib_ruser     = '0;
  assign s_axib_rresp     = '0;
  assign s_axib_rlast     = '0;
  assign s_axib_rvalid    = '0;
  assign usr_irq_out_ack  = '0;
  assign usr_irq_out_fail = '0;
  assign usr_flr_set      = '0;
  assign usr_flr_fnc      = '0;
  assign usr_flr_clr      = '0;

  logic unused_inputs;
  assign unused_inputs = ^{
    s_axib_awid, s_axib_awaddr, s_axib_awregion, s_axib_awuser, s_axib_awlen, s_axib_awsize, s_axib_awburst,
    s_axib_awvalid, s_axib_wdata, s_axib_wuser, s_axib_wstrb, s_axib_wlast, s_axib_wvalid, s_axib_bready,
    s_axib_arid, s_axib_araddr, s_axib_arregion, s_axib_aruser, s_axib_arlen, s_axib_arsize, s_axib_arburst,
    s_axib_arvalid, s_axib_rready, usr_irq_in_vld, usr_irq_in_vec, usr_irq_in_fnc, usr_flr_done_vld,
    usr_flr_done_fnc, axi_aclk
  };

endmodule
