// RAM with one write port and one read port (simple dual port), one clock.
//
// Latency:    rdata_o is valid Latency cycles after re_i (2: with the memory's output register) and then holds.
// Collision:  a read of the address being written in the same cycle returns the old word.
// Reset:      none; contents are undefined until written.
// Style:      "block", "ultra" or "distributed", passed on to synthesis.
module ps_ram_sdp #(
  parameter int unsigned Width = 32,
  parameter int unsigned Depth = 512,
  // verilator lint_off UNUSEDPARAM  // read by synthesis only, in the attribute below
  parameter              Style = "block",
  // verilator lint_on UNUSEDPARAM
  parameter int unsigned Latency = 1,
  localparam int unsigned AddrWidth = $clog2(Depth)
) (
  input  logic                 clk_i,
  input  logic                 we_i,
  input  logic [AddrWidth-1:0] waddr_i,
  input  logic [Width-1:0]     wdata_i,
  input  logic                 re_i,
  input  logic [AddrWidth-1:0] raddr_i,
  output logic [Width-1:0]     rdata_o
);

  (* ram_style = Style *) logic [Width-1:0] mem [Depth];

  logic [Width-1:0] read_q;

  always_ff @(posedge clk_i) begin
    if (re_i) read_q <= mem[raddr_i];
`ifdef SYNTHESIS
    if (we_i) mem[waddr_i] <= wdata_i;
`else
    // The same: after the read, in the one process that has the memory. A simulator need not keep the word for the end of the cycle.
    // verilator lint_off BLKSEQ
    if (we_i) mem[waddr_i] = wdata_i;
    // verilator lint_on BLKSEQ
`endif
  end

  if (Latency == 1) begin : gen_direct
    assign rdata_o = read_q;
  end else begin : gen_registered
`ifdef SYNTHESIS
    // What is copied again is the same: no enable, which would be one for every bit.
    always_ff @(posedge clk_i) rdata_o <= read_q;
`else
    // The same, and quicker.
    logic read_valid_q;

    always_ff @(posedge clk_i) begin
      read_valid_q <= re_i;
      if (read_valid_q) rdata_o <= read_q;
    end
`endif
  end

`ifndef SYNTHESIS
  initial assert (Latency inside {1, 2}) else $fatal(1, "ps_ram_sdp: Latency is 1 or 2");
`endif

endmodule
