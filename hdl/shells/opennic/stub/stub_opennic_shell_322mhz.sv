// Stand-in for OpenNIC with the card in its 322 MHz box: shows how the ports that the box lacks reach the QDMA. All other
// ports of the box end here. Elaborated by `cargo xtask lint`; the figures of docs/shells/opennic.md are its steps.
//
// Follows:    as the stubs that it is made of.
// Crossing:   m_axib_* is of cmac_clk[0], the QDMA of axis_aclk: stub_opennic_axi_cdc stands where AMD's AXI clock converter
//             belongs.
module stub_opennic_shell_322mhz #(
  parameter int NUM_CMAC_PORT = 2
) (
  input  logic axil_aclk,
  input  logic axis_aclk,
  input  logic [NUM_CMAC_PORT-1:0] cmac_clk,
  output logic alive
);

  // --- Ends of the box's published ports
  logic                                s_axil_awvalid;
  logic [31:0]                         s_axil_awaddr;
  logic                                s_axil_awready;
  logic                                s_axil_wvalid;
  logic [31:0]                         s_axil_wdata;
  logic                                s_axil_wready;
  logic                                s_axil_bvalid;
  logic [1:0]                          s_axil_bresp;
  logic                                s_axil_bready;
  logic                                s_axil_arvalid;
  logic [31:0]                         s_axil_araddr;
  logic                                s_axil_arready;
  logic                                s_axil_rvalid;
  logic [31:0]                         s_axil_rdata;
  logic [1:0]                          s_axil_rresp;
  logic                                s_axil_rready;
  logic [NUM_CMAC_PORT-1:0]            s_axis_adap_tx_322mhz_tvalid;
  logic [512*NUM_CMAC_PORT-1:0]        s_axis_adap_tx_322mhz_tdata;
  logic [64*NUM_CMAC_PORT-1:0]         s_axis_adap_tx_322mhz_tkeep;
  logic [NUM_CMAC_PORT-1:0]            s_axis_adap_tx_322mhz_tlast;
  logic [NUM_CMAC_PORT-1:0]            s_axis_adap_tx_322mhz_tuser_err;
  logic [NUM_CMAC_PORT-1:0]            s_axis_adap_tx_322mhz_tready;
  logic [NUM_CMAC_PORT-1:0]            m_axis_adap_rx_322mhz_tvalid;
  logic [512*NUM_CMAC_PORT-1:0]        m_axis_adap_rx_322mhz_tdata;
  logic [64*NUM_CMAC_PORT-1:0]         m_axis_adap_rx_322mhz_tkeep;
  logic [NUM_CMAC_PORT-1:0]            m_axis_adap_rx_322mhz_tlast;
  logic [NUM_CMAC_PORT-1:0]            m_axis_adap_rx_322mhz_tuser_err;
  logic [NUM_CMAC_PORT-1:0]            m_axis_cmac_tx_tvalid;
  logic [512*NUM_CMAC_PORT-1:0]        m_axis_cmac_tx_tdata;
  logic [64*NUM_CMAC_PORT-1:0]         m_axis_cmac_tx_tkeep;
  logic [NUM_CMAC_PORT-1:0]            m_axis_cmac_tx_tlast;
  logic [NUM_CMAC_PORT-1:0]            m_axis_cmac_tx_tuser_err;
  logic [NUM_CMAC_PORT-1:0]            m_axis_cmac_tx_tready;
  logic [NUM_CMAC_PORT-1:0]            s_axis_cmac_rx_tvalid;
  logic [512*NUM_CMAC_PORT-1:0]        s_axis_cmac_rx_tdata;
  logic [64*NUM_CMAC_PORT-1:0]         s_axis_cmac_rx_tkeep;
  logic [NUM_CMAC_PORT-1:0]            s_axis_cmac_rx_tlast;
  logic [NUM_CMAC_PORT-1:0]            s_axis_cmac_rx_tuser_err;
  logic [7:0]                          mod_rstn;
  logic [7:0]                          mod_rst_done;
  logic                                box_rstn;
  logic                                box_rst_done;

  assign s_axil_awvalid                  = '0;
  assign s_axil_awaddr                   = '0;
  assign s_axil_wvalid                   = '0;
  assign s_axil_wdata                    = '0;
  assign s_axil_bready                   = '0;
  assign s_axil_arvalid                  = '0;
  assign s_axil_araddr                   = '0;
  assign s_axil_rready                   = '0;
  assign s_axis_adap_tx_322mhz_tvalid    = '0;
  assign s_axis_adap_tx_322mhz_tdata     = '0;
  assign s_axis_adap_tx_322mhz_tkeep     = '0;
  assign s_axis_adap_tx_322mhz_tlast     = '0;
  assign s_axis_adap_tx_322mhz_tuser_err = '0;
  assign m_axis_cmac_tx_tready           = '0;
  assign s_axis_cmac_rx_tvalid           = '0;
  assign s_axis_cmac_rx_tdata            = '0;
  assign s_axis_cmac_rx_tkeep            = '0;
  assign s_axis_cmac_rx_tlast            = '0;
  assign s_axis_cmac_rx_tuser_err        = '0;
  assign mod_rstn                        = '0;
  assign box_rstn                        = '0;

  assign alive = ^{
    s_axil_awready, s_axil_wready, s_axil_bvalid, s_axil_bresp, s_axil_arready, s_axil_rvalid, s_axil_rdata,
    s_axil_rresp, s_axis_adap_tx_322mhz_tready, m_axis_adap_rx_322mhz_tvalid, m_axis_adap_rx_322mhz_tdata,
    m_axis_adap_rx_322mhz_tkeep, m_axis_adap_rx_322mhz_tlast, m_axis_adap_rx_322mhz_tuser_err,
    m_axis_cmac_tx_tvalid, m_axis_cmac_tx_tdata, m_axis_cmac_tx_tkeep, m_axis_cmac_tx_tlast,
    m_axis_cmac_tx_tuser_err, mod_rst_done, box_rst_done, unused
  };

  // --- Between box and QDMA
  logic [3:0]   m_axib_awid;
  logic [63:0]  m_axib_awaddr;
  logic [7:0]   m_axib_awuser;
  logic [7:0]   m_axib_awlen;
  logic [2:0]   m_axib_awsize;
  logic [1:0]   m_axib_awburst;
  logic         m_axib_awvalid;
  logic         m_axib_awready;
  logic [511:0] m_axib_wdata;
  logic [63:0]  m_axib_wstrb;
  logic         m_axib_wlast;
  logic         m_axib_wvalid;
  logic         m_axib_wready;
  logic [1:0]   m_axib_bresp;
  logic         m_axib_bvalid;
  logic         m_axib_bready;
  logic [3:0]   m_axib_arid;
  logic [63:0]  m_axib_araddr;
  logic [7:0]   m_axib_aruser;
  logic [7:0]   m_axib_arlen;
  logic [2:0]   m_axib_arsize;
  logic [1:0]   m_axib_arburst;
  logic         m_axib_arvalid;
  logic         m_axib_arready;
  logic [511:0] m_axib_rdata;
  logic [1:0]   m_axib_rresp;
  logic         m_axib_rlast;
  logic         m_axib_rvalid;
  logic         m_axib_rready;
  logic         usr_irq_in_vld;
  logic [10:0]  usr_irq_in_vec;
  logic [7:0]   usr_irq_in_fnc;
  logic         usr_irq_out_ack;
  logic         usr_irq_out_fail;
  logic         usr_flr_set;
  logic [7:0]   usr_flr_fnc;
  logic         usr_flr_done_vld;
  logic [7:0]   usr_flr_done_fnc;
  logic         unused, unused_flr_clr;
  logic [3:0]   unused_bid, unused_rid;
  logic [63:0]  unused_ruser;

  assign unused = ^{unused_flr_clr, unused_bid, unused_rid, unused_ruser};

  stub_opennic_box_322mhz #(
    .NUM_CMAC_PORT(NUM_CMAC_PORT)
  ) u_box (
    .*
  );

  logic [3:0]   x_axib_awid;
  logic [63:0]  x_axib_awaddr;
  logic [7:0]   x_axib_awuser;
  logic [7:0]   x_axib_awlen;
  logic [2:0]   x_axib_awsize;
  logic [1:0]   x_axib_awburst;
  logic         x_axib_awvalid;
  logic         x_axib_awready;
  logic [511:0] x_axib_wdata;
  logic [63:0]  x_axib_wstrb;
  logic         x_axib_wlast;
  logic         x_axib_wvalid;
  logic         x_axib_wready;
  logic [1:0]   x_axib_bresp;
  logic         x_axib_bvalid;
  logic         x_axib_bready;
  logic [3:0]   x_axib_arid;
  logic [63:0]  x_axib_araddr;
  logic [7:0]   x_axib_aruser;
  logic [7:0]   x_axib_arlen;
  logic [2:0]   x_axib_arsize;
  logic [1:0]   x_axib_arburst;
  logic         x_axib_arvalid;
  logic         x_axib_arready;
  logic [511:0] x_axib_rdata;
  logic [1:0]   x_axib_rresp;
  logic         x_axib_rlast;
  logic         x_axib_rvalid;
  logic         x_axib_rready;

  stub_opennic_axi_cdc u_clock_converter (
    .s_clk       (cmac_clk[0]),
    .m_clk       (axis_aclk),
    .s_axib_awid    (m_axib_awid),
    .s_axib_awaddr  (m_axib_awaddr),
    .s_axib_awuser  (m_axib_awuser),
    .s_axib_awlen   (m_axib_awlen),
    .s_axib_awsize  (m_axib_awsize),
    .s_axib_awburst (m_axib_awburst),
    .s_axib_awvalid (m_axib_awvalid),
    .s_axib_awready (m_axib_awready),
    .s_axib_wdata   (m_axib_wdata),
    .s_axib_wstrb   (m_axib_wstrb),
    .s_axib_wlast   (m_axib_wlast),
    .s_axib_wvalid  (m_axib_wvalid),
    .s_axib_wready  (m_axib_wready),
    .s_axib_bresp   (m_axib_bresp),
    .s_axib_bvalid  (m_axib_bvalid),
    .s_axib_bready  (m_axib_bready),
    .s_axib_arid    (m_axib_arid),
    .s_axib_araddr  (m_axib_araddr),
    .s_axib_aruser  (m_axib_aruser),
    .s_axib_arlen   (m_axib_arlen),
    .s_axib_arsize  (m_axib_arsize),
    .s_axib_arburst (m_axib_arburst),
    .s_axib_arvalid (m_axib_arvalid),
    .s_axib_arready (m_axib_arready),
    .s_axib_rdata   (m_axib_rdata),
    .s_axib_rresp   (m_axib_rresp),
    .s_axib_rlast   (m_axib_rlast),
    .s_axib_rvalid  (m_axib_rvalid),
    .s_axib_rready  (m_axib_rready),
    .m_axib_awid    (x_axib_awid),
    .m_axib_awaddr  (x_axib_awaddr),
    .m_axib_awuser  (x_axib_awuser),
    .m_axib_awlen   (x_axib_awlen),
    .m_axib_awsize  (x_axib_awsize),
    .m_axib_awburst (x_axib_awburst),
    .m_axib_awvalid (x_axib_awvalid),
    .m_axib_awready (x_axib_awready),
    .m_axib_wdata   (x_axib_wdata),
    .m_axib_wstrb   (x_axib_wstrb),
    .m_axib_wlast   (x_axib_wlast),
    .m_axib_wvalid  (x_axib_wvalid),
    .m_axib_wready  (x_axib_wready),
    .m_axib_bresp   (x_axib_bresp),
    .m_axib_bvalid  (x_axib_bvalid),
    .m_axib_bready  (x_axib_bready),
    .m_axib_arid    (x_axib_arid),
    .m_axib_araddr  (x_axib_araddr),
    .m_axib_aruser  (x_axib_aruser),
    .m_axib_arlen   (x_axib_arlen),
    .m_axib_arsize  (x_axib_arsize),
    .m_axib_arburst (x_axib_arburst),
    .m_axib_arvalid (x_axib_arvalid),
    .m_axib_arready (x_axib_arready),
    .m_axib_rdata   (x_axib_rdata),
    .m_axib_rresp   (x_axib_rresp),
    .m_axib_rlast   (x_axib_rlast),
    .m_axib_rvalid  (x_axib_rvalid),
    .m_axib_rready  (x_axib_rready)
  );

  stub_opennic_qdma u_qdma (
    .s_axib_awid     (x_axib_awid),
    .s_axib_awaddr   (x_axib_awaddr),
    .s_axib_awregion ('0),
    .s_axib_awuser   (x_axib_awuser),
    .s_axib_awlen    (x_axib_awlen),
    .s_axib_awsize   (x_axib_awsize),
    .s_axib_awburst  (x_axib_awburst),
    .s_axib_awvalid  (x_axib_awvalid),
    .s_axib_awready  (x_axib_awready),
    .s_axib_wdata    (x_axib_wdata),
    .s_axib_wuser    ('0),
    .s_axib_wstrb    (x_axib_wstrb),
    .s_axib_wlast    (x_axib_wlast),
    .s_axib_wvalid   (x_axib_wvalid),
    .s_axib_wready   (x_axib_wready),
    .s_axib_bid      (unused_bid),
    .s_axib_bresp    (x_axib_bresp),
    .s_axib_bvalid   (x_axib_bvalid),
    .s_axib_bready   (x_axib_bready),
    .s_axib_arid     (x_axib_arid),
    .s_axib_araddr   (x_axib_araddr),
    .s_axib_arregion ('0),
    .s_axib_aruser   (x_axib_aruser),
    .s_axib_arlen    (x_axib_arlen),
    .s_axib_arsize   (x_axib_arsize),
    .s_axib_arburst  (x_axib_arburst),
    .s_axib_arvalid  (x_axib_arvalid),
    .s_axib_arready  (x_axib_arready),
    .s_axib_rdata    (x_axib_rdata),
    .s_axib_rid      (unused_rid),
    .s_axib_ruser    (unused_ruser),
    .s_axib_rresp    (x_axib_rresp),
    .s_axib_rlast    (x_axib_rlast),
    .s_axib_rvalid   (x_axib_rvalid),
    .s_axib_rready   (x_axib_rready),
    .usr_irq_in_vld  (usr_irq_in_vld),
    .usr_irq_in_vec  (usr_irq_in_vec),
    .usr_irq_in_fnc  (usr_irq_in_fnc),
    .usr_irq_out_ack (usr_irq_out_ack),
    .usr_irq_out_fail(usr_irq_out_fail),
    .usr_flr_set     (usr_flr_set),
    .usr_flr_fnc     (usr_flr_fnc),
    .usr_flr_done_vld(usr_flr_done_vld),
    .usr_flr_done_fnc(usr_flr_done_fnc),
    .usr_flr_clr     (unused_flr_clr),
    .axi_aclk        (axis_aclk)
  );

endmodule
