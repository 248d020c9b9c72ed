// Fetches 64-byte commands from the command ring in host memory.
//
// Contract:   while active_i, reads as many commands as the host has announced (cmd_i.count) in bursts of
//             up to BurstMax beats that never run past the end of the ring nor across a 4 KiB boundary, and offers them in
//             order. One burst is outstanding. A bus error pulses fault_o; what the burst brought is not offered.
// Announced:  more commands than the ring holds would be old ones executed again: fault_o pulses, and nothing more is fetched.
// Stopping:   when active_i falls, a burst under way is received and thrown away; idle_o tells when nothing is left.
// Latency:    a command is offered the cycle after its beat arrives.
module ps_ring_fetch
  import ps_types_pkg::*;
#(
  parameter int unsigned BurstMax = 8
) (
  input  logic         clk_i,
  input  logic         rst_i,

  // verilator lint_off UNUSEDSIGNAL  // of a ring's set-up each unit uses its part
  input  ring_cfg_t    cmd_i,
  // verilator lint_on UNUSEDSIGNAL
  input  logic         active_i,
  input  logic         restart_i,      // counts from 0 again (active_i is low)
  output logic         idle_o,
  output logic         fault_o,

  output logic         cmd_valid_o,
  output logic [511:0] cmd_o,
  input  logic         cmd_ready_i,

  output logic [63:0]  m_axi_araddr_o,
  output logic [7:0]   m_axi_arlen_o,
  output logic         m_axi_arvalid_o,
  input  logic         m_axi_arready_i,
  input  logic [511:0] m_axi_rdata_i,
  input  logic [1:0]   m_axi_rresp_i,
  input  logic         m_axi_rlast_i,
  input  logic         m_axi_rvalid_i,
  output logic         m_axi_rready_o
);

  localparam int unsigned BufferLog2    = $clog2(BurstMax);
  localparam int unsigned RecordBytes   = BeatBytes;
  localparam int unsigned BoundaryBytes = 4096;  // an AXI burst does not cross a multiple of it
  localparam int unsigned PageLog2      = $clog2(BoundaryBytes / RecordBytes);

  typedef enum logic [1:0] {
    StIdle,
    StAddress,
    StData
  } state_e;

  state_e state_q, state_d;

  logic [511:0]          buffer_q [BurstMax];
  logic [BufferLog2:0]   wr_q, rd_q;           // one bit more than the index
  logic [31:0]           fetched_q;
  logic [31:0]           waiting, to_end, to_boundary;
  logic [63:0]           address;
  logic [BufferLog2:0]   burst;
  logic                  too_many;
  logic [7:0]            len_q;
  logic [31:0]           position;
  logic                  error_q, empty;

  assign empty       = wr_q == rd_q;
  assign waiting     = cmd_i.count - fetched_q;
  assign position    = fetched_q & ((32'd1 << cmd_i.log2) - 32'd1);
  assign to_end      = (32'd1 << cmd_i.log2) - position;
  assign address     = cmd_i.base + (64'(position) << $clog2(RecordBytes));
  // 1 to 64: from the address to the next boundary
  assign to_boundary = 32'(BoundaryBytes / RecordBytes) - 32'(address[$clog2(RecordBytes)+:PageLog2]);
  assign too_many    = waiting > (32'd1 << cmd_i.log2);

  // The lesser of a count and BurstMax
  function automatic logic [BufferLog2:0] at_most(input logic [31:0] count);
    at_most = count[31:BufferLog2] != '0 ? (BufferLog2 + 1)'(BurstMax) : {1'b0, count[BufferLog2-1:0]};
  endfunction

  always_comb begin
    burst = at_most(waiting);
    if (at_most(to_end) < burst) burst = at_most(to_end);
    if (at_most(to_boundary) < burst) burst = at_most(to_boundary);
  end

  always_comb begin
    state_d = state_q;
    unique case (state_q)
      // A burst starts only into an empty buffer, so that it always fits.
      StIdle:    if (active_i && empty && waiting != 0 && !too_many) state_d = StAddress;
      StAddress: if (m_axi_arready_i) state_d = StData;
      StData:    if (m_axi_rvalid_i && m_axi_rlast_i) state_d = StIdle;
      default:   state_d = StIdle;
    endcase
  end

  always_ff @(posedge clk_i) begin
    fault_o <= 1'b0;
    if (rst_i) begin
      state_q   <= StIdle;
      wr_q      <= '0;
      rd_q      <= '0;
      fetched_q <= '0;
    end else begin
      state_q <= state_d;
      // One pulse: active_i falls two cycles later.
      if (state_q == StIdle && active_i && too_many && !fault_o) fault_o <= 1'b1;
      if (state_q == StIdle && state_d == StAddress) begin
        m_axi_araddr_o <= address;
        len_q          <= 8'(burst) - 8'd1;
        error_q        <= 1'b0;
      end
      if (state_q == StData && m_axi_rvalid_i) begin
        buffer_q[wr_q[BufferLog2-1:0]] <= m_axi_rdata_i;
        error_q <= error_q || (m_axi_rresp_i != 2'b00);
        if (active_i) begin
          wr_q      <= wr_q + 1'b1;
          fetched_q <= fetched_q + 32'd1;
        end
        if (m_axi_rlast_i && (error_q || m_axi_rresp_i != 2'b00)) begin
          fault_o <= 1'b1;
          wr_q    <= rd_q;
        end
      end
      if (cmd_valid_o && cmd_ready_i) rd_q <= rd_q + 1'b1;
      if (!active_i && state_q == StIdle) begin
        wr_q <= rd_q;
        if (restart_i) fetched_q <= '0;
      end
    end
  end

  // Offered only once the whole burst is in, as an error anywhere in it condemns all of it.
  assign cmd_valid_o     = active_i && !empty && state_q == StIdle;
  assign cmd_o           = buffer_q[rd_q[BufferLog2-1:0]];
  assign idle_o          = state_q == StIdle && empty;
  assign m_axi_arlen_o   = len_q;
  assign m_axi_arvalid_o = state_q == StAddress;
  assign m_axi_rready_o  = state_q == StData;

`ifndef SYNTHESIS
  initial begin
    assert (BurstMax >= 2 && (BurstMax & (BurstMax - 1)) == 0) else $fatal(1, "ps_ring_fetch: BurstMax is not a power of two");
  end
`endif

endmodule
