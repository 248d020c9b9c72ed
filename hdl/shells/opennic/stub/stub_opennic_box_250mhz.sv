// Stand-in for OpenNIC's 250 MHz user box with the card as its plug-in: elaborated by `cargo xtask lint`, and a pattern for
// the shell's own user_plugin_250mhz_inst.vh.
//
// Follows:    Xilinx/open-nic-shell 940907f (2025-01), module box_250mhz: its parameters, and its ports by name and width
//             (without ref_clk_100mhz, which only some boards have). Written from its port list; nothing else of it is here.
// Differs:    the box's address map is left out: the plug-in has the whole window. The ports below the second rule are
//             what the shell must be changed by.
module stub_opennic_box_250mhz #(
  parameter int MIN_PKT_LEN   = 64,
  parameter int MAX_PKT_LEN   = 1518,
  parameter int USE_PHYS_FUNC = 1,
  parameter int NUM_PHYS_FUNC = 1,
  parameter int NUM_QDMA      = 1,
  parameter int NUM_CMAC_PORT = 1
) (
  // --------------------------------------------------------------- published
  input  logic                                       s_axil_awvalid,
  input  logic [31:0]                                s_axil_awaddr,
  output logic                                       s_axil_awready,
  input  logic                                       s_axil_wvalid,
  input  logic [31:0]                                s_axil_wdata,
  output logic                                       s_axil_wready,
  output logic                                       s_axil_bvalid,
  output logic [1:0]                                 s_axil_bresp,
  input  logic                                       s_axil_bready,
  input  logic                                       s_axil_arvalid,
  input  logic [31:0]                                s_axil_araddr,
  output logic                                       s_axil_arready,
  output logic                                       s_axil_rvalid,
  output logic [31:0]                                s_axil_rdata,
  output logic [1:0]                                 s_axil_rresp,
  input  logic                                       s_axil_rready,

  input  logic [NUM_PHYS_FUNC*NUM_QDMA-1:0]          s_axis_qdma_h2c_tvalid,
  input  logic [512*NUM_PHYS_FUNC*NUM_QDMA-1:0]      s_axis_qdma_h2c_tdata,
  input  logic [64*NUM_PHYS_FUNC*NUM_QDMA-1:0]       s_axis_qdma_h2c_tkeep,
  input  logic [NUM_PHYS_FUNC*NUM_QDMA-1:0]          s_axis_qdma_h2c_tlast,
  input  logic [16*NUM_PHYS_FUNC*NUM_QDMA-1:0]       s_axis_qdma_h2c_tuser_size,
  input  logic [16*NUM_PHYS_FUNC*NUM_QDMA-1:0]       s_axis_qdma_h2c_tuser_src,
  input  logic [16*NUM_PHYS_FUNC*NUM_QDMA-1:0]       s_axis_qdma_h2c_tuser_dst,
  output logic [NUM_PHYS_FUNC*NUM_QDMA-1:0]          s_axis_qdma_h2c_tready,

  output logic [NUM_PHYS_FUNC*NUM_QDMA-1:0]          m_axis_qdma_c2h_tvalid,
  output logic [512*NUM_PHYS_FUNC*NUM_QDMA-1:0]      m_axis_qdma_c2h_tdata,
  output logic [64*NUM_PHYS_FUNC*NUM_QDMA-1:0]       m_axis_qdma_c2h_tkeep,
  output logic [NUM_PHYS_FUNC*NUM_QDMA-1:0]          m_axis_qdma_c2h_tlast,
  output logic [16*NUM_PHYS_FUNC*NUM_QDMA-1:0]       m_axis_qdma_c2h_tuser_size,
  output logic [16*NUM_PHYS_FUNC*NUM_QDMA-1:0]       m_axis_qdma_c2h_tuser_src,
  output logic [16*NUM_PHYS_FUNC*NUM_QDMA-1:0]       m_axis_qdma_c2h_tuser_dst,
  input  logic [NUM_PHYS_FUNC*NUM_QDMA-1:0]          m_axis_qdma_c2h_tready,

  output logic [NUM_CMAC_PORT-1:0]                   m_axis_adap_tx_250mhz_tvalid,
  output logic [512*NUM_CMAC_PORT-1:0]               m_axis_adap_tx_250mhz_tdata,
  output logic [64*NUM_CMAC_PORT-1:0]                m_axis_adap_tx_250mhz_tkeep,
  output logic [NUM_CMAC_PORT-1:0]                   m_axis_adap_tx_250mhz_tlast,
  output logic [16*NUM_CMAC_PORT-1:0]                m_axis_adap_tx_250mhz_tuser_size,
  output logic [16*NUM_CMAC_PORT-1:0]                m_axis_adap_tx_250mhz_tuser_src,
  output logic [16*NUM_CMAC_PORT-1:0]                m_axis_adap_tx_250mhz_tuser_dst,
  input  logic [NUM_CMAC_PORT-1:0]                   m_axis_adap_tx_250mhz_tready,

  input  logic [NUM_CMAC_PORT-1:0]                   s_axis_adap_rx_250mhz_tvalid,
  input  logic [512*NUM_CMAC_PORT-1:0]               s_axis_adap_rx_250mhz_tdata,
  input  logic [64*NUM_CMAC_PORT-1:0]                s_axis_adap_rx_250mhz_tkeep,
  input  logic [NUM_CMAC_PORT-1:0]                   s_axis_adap_rx_250mhz_tlast,
  input  logic [16*NUM_CMAC_PORT-1:0]                s_axis_adap_rx_250mhz_tuser_size,
  input  logic [16*NUM_CMAC_PORT-1:0]                s_axis_adap_rx_250mhz_tuser_src,
  input  logic [16*NUM_CMAC_PORT-1:0]                s_axis_adap_rx_250mhz_tuser_dst,
  output logic [NUM_CMAC_PORT-1:0]                   s_axis_adap_rx_250mhz_tready,

  input  logic [15:0]                                mod_rstn,
  output logic [15:0]                                mod_rst_done,
  input  logic                                       box_rstn,
  output logic                                       box_rst_done,
  input  logic                                       axil_aclk,
  input  logic                                       axis_aclk,

  // --------------------------------------------------------------- added
  output logic [3:0]                                 m_axib_awid,
  output logic [63:0]                                m_axib_awaddr,
  output logic [7:0]                                 m_axib_awuser,     // function
  output logic [7:0]                                 m_axib_awlen,
  output logic [2:0]                                 m_axib_awsize,
  output logic [1:0]                                 m_axib_awburst,
  output logic                                       m_axib_awvalid,
  input  logic                                       m_axib_awready,
  output logic [511:0]                               m_axib_wdata,
  output logic [63:0]                                m_axib_wstrb,
  output logic                                       m_axib_wlast,
  output logic                                       m_axib_wvalid,
  input  logic                                       m_axib_wready,
  input  logic [1:0]                                 m_axib_bresp,
  input  logic                                       m_axib_bvalid,
  output logic                                       m_axib_bready,
  output logic [3:0]                                 m_axib_arid,
  output logic [63:0]                                m_axib_araddr,
  output logic [7:0]                                 m_axib_aruser,     // function
  output logic [7:0]                                 m_axib_arlen,
  output logic [2:0]                                 m_axib_arsize,
  output logic [1:0]                                 m_axib_arburst,
  output logic                                       m_axib_arvalid,
  input  logic                                       m_axib_arready,
  input  logic [511:0]                               m_axib_rdata,
  input  logic [1:0]                                 m_axib_rresp,
  input  logic                                       m_axib_rlast,
  input  logic                                       m_axib_rvalid,
  output logic                                       m_axib_rready,

  output logic                                       usr_irq_in_vld,
  output logic [10:0]                                usr_irq_in_vec,
  output logic [7:0]                                 usr_irq_in_fnc,
  input  logic                                       usr_irq_out_ack,
  input  logic                                       usr_irq_out_fail,

  input  logic                                       usr_flr_set,
  input  logic [7:0]                                 usr_flr_fnc,
  output logic                                       usr_flr_done_vld,
  output logic [7:0]                                 usr_flr_done_fnc
);

  // One plug-in, so one reset pair; what nobody resets is done.
  assign mod_rst_done[15:1] = '1;
  assign box_rst_done       = box_rstn;

  logic unused_rstn;
  assign unused_rstn = ^mod_rstn[15:1];

  ps_opennic_250mhz #(
    .NUM_PHYS_FUNC(NUM_PHYS_FUNC),
    .NUM_CMAC_PORT(NUM_CMAC_PORT),
    .CONTROL_FUNC (NUM_PHYS_FUNC - 1)
  ) u_plugin (
    .mod_rstn    (mod_rstn[0]),
    .mod_rst_done(mod_rst_done[0]),
    .*
  );

  initial begin
    if (USE_PHYS_FUNC == 0 || NUM_QDMA != 1) $fatal(1, "the card needs physical functions, and one QDMA");
    if (MIN_PKT_LEN > 64 || MAX_PKT_LEN < 1518) $fatal(1, "frames of 64 to 1518 bytes must pass");
  end

endmodule
