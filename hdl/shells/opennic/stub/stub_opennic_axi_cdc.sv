// Stand-in for AMD's AXI clock converter between the card in the 322 MHz box and the QDMA. It converts nothing: wires, so that
// widths and directions are elaborated. A shell instantiates axi_clock_converter there (512 bit data, 64 bit address, 4 bit id,
// 8 bit awuser and aruser, asynchronous).
module stub_opennic_axi_cdc (
  input  logic         s_clk,
  input  logic         m_clk,
  input  logic [3:0]   s_axib_awid,
  input  logic [63:0]  s_axib_awaddr,
  input  logic [7:0]   s_axib_awuser,
  input  logic [7:0]   s_axib_awlen,
  input  logic [2:0]   s_axib_awsize,
  input  logic [1:0]   s_axib_awburst,
  input  logic         s_axib_awvalid,
  output logic         s_axib_awready,
  input  logic [511:0] s_axib_wdata,
  input  logic [63:0]  s_axib_wstrb,
  input  logic         s_axib_wlast,
  input  logic         s_axib_wvalid,
  output logic         s_axib_wready,
  output logic [1:0]   s_axib_bresp,
  output logic         s_axib_bvalid,
  input  logic         s_axib_bready,
  input  logic [3:0]   s_axib_arid,
  input  logic [63:0]  s_axib_araddr,
  input  logic [7:0]   s_axib_aruser,
  input  logic [7:0]   s_axib_arlen,
  input  logic [2:0]   s_axib_arsize,
  input  logic [1:0]   s_axib_arburst,
  input  logic         s_axib_arvalid,
  output logic         s_axib_arready,
  output logic [511:0] s_axib_rdata,
  output logic [1:0]   s_axib_rresp,
  output logic         s_axib_rlast,
  output logic         s_axib_rvalid,
  input  logic         s_axib_rready,
  output logic [3:0]   m_axib_awid,
  output logic [63:0]  m_axib_awaddr,
  output logic [7:0]   m_axib_awuser,
  output logic [7:0]   m_axib_awlen,
  output logic [2:0]   m_axib_awsize,
  output logic [1:0]   m_axib_awburst,
  output logic         m_axib_awvalid,
  input  logic         m_axib_awready,
  output logic [511:0] m_axib_wdata,
  output logic [63:0]  m_axib_wstrb,
  output logic         m_axib_wlast,
  output logic         m_axib_wvalid,
  input  logic         m_axib_wready,
  input  logic [1:0]   m_axib_bresp,
  input  logic         m_axib_bvalid,
  output logic         m_axib_bready,
  output logic [3:0]   m_axib_arid,
  output logic [63:0]  m_axib_araddr,
  output logic [7:0]   m_axib_aruser,
  output logic [7:0]   m_axib_arlen,
  output logic [2:0]   m_axib_arsize,
  output logic [1:0]   m_axib_arburst,
  output logic         m_axib_arvalid,
  input  logic         m_axib_arready,
  input  logic [511:0] m_axib_rdata,
  input  logic [1:0]   m_axib_rresp,
  input  logic         m_axib_rlast,
  input  logic         m_axib_rvalid,
  output logic         m_axib_rready
);

  assign m_axib_awid    = s_axib_awid;
  assign m_axib_awaddr  = s_axib_awaddr;
  assign m_axib_awuser  = s_axib_awuser;
  assign m_axib_awlen   = s_axib_awlen;
  assign m_axib_awsize  = s_axib_awsize;
  assign m_axib_awburst = s_axib_awburst;
  assign m_axib_awvalid = s_axib_awvalid;
  assign s_axib_awready = m_axib_awready;
  assign m_axib_wdata   = s_axib_wdata;
  assign m_axib_wstrb   = s_axib_wstrb;
  assign m_axib_wlast   = s_axib_wlast;
  assign m_axib_wvalid  = s_axib_wvalid;
  assign s_axib_wready  = m_axib_wready;
  assign s_axib_bresp   = m_axib_bresp;
  assign s_axib_bvalid  = m_axib_bvalid;
  assign m_axib_bready  = s_axib_bready;
  assign m_axib_arid    = s_axib_arid;
  assign m_axib_araddr  = s_axib_araddr;
  assign m_axib_aruser  = s_axib_aruser;
  assign m_axib_arlen   = s_axib_arlen;
  assign m_axib_arsize  = s_axib_arsize;
  assign m_axib_arburst = s_axib_arburst;
  assign m_axib_arvalid = s_axib_arvalid;
  assign s_axib_arready = m_axib_arready;
  assign s_axib_rdata   = m_axib_rdata;
  assign s_axib_rresp   = m_axib_rresp;
  assign s_axib_rlast   = m_axib_rlast;
  assign s_axib_rvalid  = m_axib_rvalid;
  assign m_axib_rready  = s_axib_rready;

  logic unused_clocks;
  assign unused_clocks = s_clk ^ m_clk;

endmodule
