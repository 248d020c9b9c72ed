// Turns at a memory's port that packets read: the host's accesses and a walk's reads, in cycles in which no packet needs it.
//
// Turn:        taken in a cycle with free_i (of the packet that would have the port two cycles later); index_o says at once where. The
//              access goes to the port two cycles after that: port_soon_o the cycle before, port_we_o with port_all_o and port_wdata_o, which has its parity.
// Host:        acc_re_i/acc_we_i (pulse); index and data hold until the cycle after done_o, its turn. A write is done before an access that follows
//              it; what is read stands Latency + 4 cycles after the turn, its parity with it, and both hold. With acc_flip_i a write is
//              stored with the wrong parity.
// Walk:        walk_re_i/walk_addr_i, taken with walk_ready_o, which does not wait for them; walk_valid_o, walk_rdata_o and walk_bad_o
//              Latency + 3 cycles after that.
// Fair:        of two that wait one has the first free cycle and the other the next.
// Clearing:    writes of a clearing go into all banks, and do not wait: they begin with the second time that a bank is gone through, when
//              the packets that were under way have long gone, and others do not come so far.
// waits_o:     of walk and host, in this order: it waits, and may ask for a cycle without a packet.
module ps_table_turns
  import ps_ram_deep_pkg::*;
#(
  parameter int unsigned Width   = 58,
  parameter int unsigned Depth   = 262144,
  parameter int unsigned Latency = 4,          // of the memory
  localparam int unsigned AddrWidth = $clog2(Depth)
) (
  input  logic                 clk_i,
  input  logic                 rst_i,
  input  logic                 free_i,

  input  logic                 clearing_i,
  input  logic                 clear_late_i,   // its index has gone through a bank once
  input  logic                 acc_re_i,
  input  logic                 acc_we_i,
  input  logic                 acc_flip_i,
  input  logic [AddrWidth-1:0] acc_index_i,
  input  logic [Width-1:0]     acc_wdata_i,
  output logic                 done_o,
  output logic [Width-1:0]     acc_rdata_o,
  output logic                 acc_bad_o,

  input  logic                 walk_re_i,
  input  logic [AddrWidth-1:0] walk_addr_i,
  output logic                 walk_ready_o,
  output logic                 walk_valid_o,
  output logic [Width-1:0]     walk_rdata_o,
  output logic                 walk_bad_o,

  output logic                 take_o,         // somebody has the turn
  output logic [AddrWidth-1:0] index_o,
  output logic                 port_soon_o,    // it is read in the next cycle
  output logic                 port_we_o,
  output logic                 port_all_o,
  output logic [Width:0]       port_wdata_o,
  input  logic [Width-1:0]     port_rdata_i,   // Latency + 1 cycles after port_soon_o
  input  logic                 port_bad_i,     // and a cycle later
  output logic [1:0]           waits_o
);

  localparam int unsigned Read = Latency + 2;   // from a turn to what it reads

  logic             re_q, we_q, flip_q, walk_next_q, odd;
  logic             host_wants, writes, host_take, walk_may, walk_take;
  logic [2:1]       write_q, all_q;
  logic [Read+1:1]  host_read_q, walk_read_q;

  // One that comes may go at once. Only one is under way.
  assign host_wants = acc_re_i || acc_we_i || re_q || we_q;
  assign writes     = acc_we_i || we_q;
  assign host_take  = clearing_i ? acc_we_i && clear_late_i : host_wants && free_i && !(walk_re_i && walk_next_q);
  assign walk_may   = free_i && !clearing_i && !(host_wants && !walk_next_q);
  assign walk_take  = walk_re_i && walk_may;

  assign take_o       = host_take || walk_take;
  assign index_o      = walk_re_i && !clearing_i && !(host_wants && !walk_next_q) ? walk_addr_i : acc_index_i;
  assign walk_ready_o = walk_may;
  assign done_o       = host_take && !clearing_i;
  assign waits_o      = {walk_re_i && !walk_take, re_q || we_q};

  ps_parity #(
    .Width(Width)
  ) u_made (
    .clk_i,
    .valid_i(acc_we_i),
    .data_i (acc_wdata_i),
    .odd_o  (odd)
  );

  always_ff @(posedge clk_i) begin
    if (host_take) begin
      re_q <= 1'b0;
      we_q <= 1'b0;
    end else begin
      if (acc_re_i) re_q <= 1'b1;
      if (acc_we_i) we_q <= 1'b1;
    end
    if (acc_we_i) flip_q <= acc_flip_i;
    if (free_i) walk_next_q <= !walk_next_q;
    if (write_q[1]) port_wdata_o <= {odd ^ flip_q, acc_wdata_i};
    write_q     <= {write_q[1], host_take && writes};
    all_q       <= {all_q[1], clearing_i};
    host_read_q <= {host_read_q[Read:1], host_take && !writes};
    walk_read_q <= {walk_read_q[Read:1], walk_take};
    if (host_read_q[Read]) acc_rdata_o <= port_rdata_i;
    if (host_read_q[Read+1]) acc_bad_o <= port_bad_i;
    if (walk_read_q[Read]) walk_rdata_o <= port_rdata_i;
    if (rst_i || clearing_i) begin
      re_q        <= 1'b0;
      we_q        <= 1'b0;
      host_read_q <= '0;
      walk_read_q <= '0;
    end
    if (rst_i) begin
      write_q     <= '0;
      walk_next_q <= 1'b0;
    end
  end

  assign port_soon_o  = host_read_q[1] || walk_read_q[1];
  assign port_we_o    = write_q[2];
  assign port_all_o   = all_q[2];
  assign walk_valid_o = walk_read_q[Read+1];
  assign walk_bad_o   = port_bad_i;

`ifndef SYNTHESIS
  initial assert (Depth >= BankDepth) else $fatal(1, "ps_table_turns: a clearing needs a whole bank");
  a_one : assert property (@(posedge clk_i) disable iff (rst_i || clearing_i) acc_re_i || acc_we_i |-> !re_q && !we_q);
  a_clears : assert property (@(posedge clk_i) disable iff (rst_i) clearing_i && host_take |-> free_i);
`endif

endmodule
