// RAM with a read port (A) and a read/write port (B) with write enables by lane (true dual port), one clock.
//
// Port B:     reads or writes in a cycle, never both (asserted; with both it would only write). A port of an UltraRAM can do no
//             more: for both in one cycle synthesis builds the whole table twice.
// Write:      b_wdata_i is one lane; it goes to every lane whose enable is set.
// Latency:    rdata is valid Latency cycles after re (2: with the memory's output registers) and then holds, on both ports.
// Collision:  a read on port A of the address being written in the same cycle returns the old word.
// Reset:      none; contents are undefined until written.
// Style:      "block", "ultra" or "distributed", passed on to synthesis.
module ps_ram_tdp #(
  parameter int unsigned Width     = 32,
  parameter int unsigned Depth     = 512,
  parameter int unsigned LaneWidth = Width,
  // verilator lint_off UNUSEDPARAM  // read by synthesis only, in the attribute below
  parameter              Style     = "block",
  // verilator lint_on UNUSEDPARAM
  parameter int unsigned Latency   = 1,
  localparam int unsigned Lanes     = Width / LaneWidth,
  localparam int unsigned AddrWidth = $clog2(Depth)
) (
  input  logic                 clk_i,
  input  logic                 a_re_i,
  input  logic [AddrWidth-1:0] a_addr_i,
  output logic [Width-1:0]     a_rdata_o,
  input  logic                 b_re_i,
  input  logic [Lanes-1:0]     b_we_i,
  input  logic [AddrWidth-1:0] b_addr_i,
  input  logic [LaneWidth-1:0] b_wdata_i,
  output logic [Width-1:0]     b_rdata_o
);

  (* ram_style = Style *) logic [Width-1:0] mem [Depth];

  logic [Width-1:0] a_read_q, b_read_q;

  always_ff @(posedge clk_i) begin
    if (a_re_i) a_read_q <= mem[a_addr_i];
    if (b_re_i && b_we_i == '0) b_read_q <= mem[b_addr_i];
`ifdef SYNTHESIS
    for (int unsigned i = 0; i < Lanes; i++) begin
      if (b_we_i[i]) mem[b_addr_i][i*LaneWidth +: LaneWidth] <= b_wdata_i;
    end
`else
    // The same: after the reads, in the one process that has the memory. A simulator need not keep each lane for the end of the cycle.
    if (b_we_i != '0) begin
      for (int unsigned i = 0; i < Lanes; i++) begin
        // verilator lint_off BLKSEQ
        if (b_we_i[i]) mem[b_addr_i][i*LaneWidth +: LaneWidth] = b_wdata_i;
        // verilator lint_on BLKSEQ
      end
    end
`endif
  end

  if (Latency == 1) begin : gen_direct
    assign a_rdata_o = a_read_q;
    assign b_rdata_o = b_read_q;
  end else begin : gen_registered
`ifdef SYNTHESIS
    // What is copied again is the same: no enable, which would be one for every bit of every memory with equal reads.
    always_ff @(posedge clk_i) begin
      a_rdata_o <= a_read_q;
      b_rdata_o <= b_read_q;
    end
`else
    // The same, and quicker.
    logic a_valid_q, b_valid_q;

    always_ff @(posedge clk_i) begin
      a_valid_q <= a_re_i;
      b_valid_q <= b_re_i;
      if (a_valid_q) a_rdata_o <= a_read_q;
      if (b_valid_q) b_rdata_o <= b_read_q;
    end
`endif
  end

`ifndef SYNTHESIS
  initial assert (Latency inside {1, 2}) else $fatal(1, "ps_ram_tdp: Latency is 1 or 2");

  // Before its user's reset the enables may be anything: the check begins when the port has been idle once.
  logic armed_q;

  initial armed_q = 1'b0;

  always @(posedge clk_i) begin
    if (!b_re_i && b_we_i == '0) armed_q <= 1'b1;
    if (armed_q) a_read_or_write : assert (!b_re_i || b_we_i == '0);
  end
`endif

endmodule
