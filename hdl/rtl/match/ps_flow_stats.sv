// FlowStats: what is counted of the packets of each flow entry.
//
// Counts:      valid_i/count_i, one packet every cycle.
// TCP state:   tcp_o repeats every write of FlowStats.tcp, for the flow lookup's mirror.
// Init:        init_valid_i sets the statistics of a flow to init_value_i; it waits (init_ready_o) for a cycle without a
//              packet that counts on a flow, but not for ever: after InitPatience cycles it takes one, and that packet's count
//              is kept aside until a cycle is free or the same flow's next packet takes it along. Nothing is lost; only a
//              second init meets the same wait while a count lies aside.
// Maintenance: reads stand the cycle after acc_i.re; only the clearing walk writes.
// Counters wrap at their width.
module ps_flow_stats
  import ps_abi_pkg::*;
  import ps_types_pkg::*;
  import ps_match_pkg::*;
#(
  parameter int unsigned InitPatience = 15    // cycles
) (
  input  logic        clk_i,
  input  logic        rst_i,
  input  logic [31:0] now_i,   // card time >> 16

  input  logic        valid_i,
  input  count_t      count_i,
  output tcp_write_t  tcp_o,

  input  logic        init_valid_i,
  input  logic [15:0] init_index_i,
  input  flow_stats_t init_value_i,
  output logic        init_ready_o,

  input  logic        clearing_i,
  input  access_t     acc_i,
  output flow_stats_t rdata_o,
  output logic        busy_o
);

  localparam int unsigned PatienceBits = $clog2(InitPatience + 1);

  logic   flow_op, valid1_q, set1_q;
  count_t count1_q;
  flow_stats_t flow_old, flow_new, init1_q;
  logic        counts, init, forced, alone, joins;
  logic [15:0] flow_index, flow_index1_q;
  logic        flow_op1_q, packet1_q, aside1_q, aside_valid_q;
  count_t      aside_q;
  logic [PatienceBits-1:0] waited_q;

  assign counts       = valid_i && count_i.flow;
  assign forced       = init_valid_i && counts && waited_q == PatienceBits'(InitPatience) && !aside_valid_q;
  assign init         = init_valid_i && (!counts || forced);
  assign init_ready_o = init;
  assign joins        = aside_valid_q && counts && count_i.flow_index == aside_q.flow_index;
  assign alone        = aside_valid_q && !counts && !init;
  assign flow_op      = counts || init || alone;
  assign flow_index   = init ? init_index_i : counts ? count_i.flow_index : aside_q.flow_index;

  ps_rmw_ram #(
    .Width(FlowStatsBits),
    .Depth(Flows),
    .Style("ultra")
  ) u_flow (
    .clk_i,
    .rst_i,
    .op_valid_i (flow_op),
    .op_index_i (flow_index),
    .old_o      (flow_old),
    .new_i      (flow_new),
    .re_i       (acc_i.re[SelFlowStats]),
    .raddr_i    (flow_stats_addr_t'(acc_i.index)),
    .rdata_o,
    .clr_we_i   (clearing_i && acc_i.we[SelFlowStats]),
    .clr_index_i(flow_stats_addr_t'(acc_i.index))
  );

  /* verilator lint_off UNUSEDSIGNAL */  // of the packet what counts on a flow
  function automatic flow_stats_t with_packet(input flow_stats_t old, input count_t packet, input logic [31:0] now);
    /* verilator lint_on UNUSEDSIGNAL */
    logic lives;
    with_packet          = old;
    with_packet.packets  = old.packets + 40'd1;
    with_packet.bytes    = old.bytes + 48'(packet.rx_bytes);
    with_packet.last_hit = now;
    with_packet.tcp[TcpSynBit] = old.tcp[TcpSynBit] || packet.tcp_syn;
    with_packet.tcp[TcpFinBit] = old.tcp[TcpFinBit] || packet.tcp_fin;
    // A segment after a reset, unless it is a bare SYN: the end points did not believe the reset.
    lives = packet.tcp && !packet.tcp_rst && !(packet.tcp_syn && !packet.tcp_ack && !packet.tcp_fin);
    with_packet.tcp[TcpRstBit] = packet.tcp_rst || (old.tcp[TcpRstBit] && !lives);
    // The third packet of the handshake, or any later one: its SYN has been recorded by an earlier packet.
    with_packet.tcp[TcpEstablishedBit] = old.tcp[TcpEstablishedBit] ||
        (packet.tcp_ack && !packet.tcp_syn && old.tcp[TcpSynBit]);
  endfunction

  always_comb begin
    flow_new = flow_old;
    if (aside1_q) flow_new = with_packet(flow_new, aside_q, now_i);
    if (packet1_q) flow_new = with_packet(flow_new, count1_q, now_i);
    if (set1_q) flow_new = init1_q;
  end

  always_ff @(posedge clk_i) begin
    packet1_q <= counts && !forced && !rst_i;
    aside1_q  <= (alone || joins) && !rst_i;
    if (forced) aside_q <= count_i;
    aside_valid_q <= forced || (aside_valid_q && !alone && !joins && !(init && init_index_i == aside_q.flow_index));
    if (!init_valid_i || init) waited_q <= '0;
    else if (waited_q != PatienceBits'(InitPatience)) waited_q <= waited_q + 1'b1;
    if (rst_i || clearing_i) begin
      aside_valid_q <= 1'b0;
      waited_q      <= '0;
    end
  end

  always_ff @(posedge clk_i) begin
    if (flow_op) flow_index1_q <= flow_index;
    flow_op1_q  <= flow_op && !rst_i;
    tcp_o.valid <= flow_op1_q && !rst_i;
    if (flow_op1_q) begin
      tcp_o.index <= flow_index1_q;
      tcp_o.tcp   <= flow_new.tcp;
    end
    if (clearing_i && acc_i.we[SelFlowStats]) tcp_o <= '{valid: 1'b1, index: flow_stats_addr_t'(acc_i.index), tcp: '0};
  end

  always_ff @(posedge clk_i) begin
    if (valid_i) count1_q <= count_i;
    if (init) init1_q <= init_value_i;
    valid1_q <= valid_i && !rst_i;
    set1_q   <= init && !rst_i;
  end

  assign busy_o = aside_valid_q || aside1_q || valid1_q || set1_q || valid_i;

  logic unused_bits;
  assign unused_bits = ^{count1_q, acc_i};

endmodule
