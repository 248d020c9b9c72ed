// Rows of bits, each with its own write enable: one write port and one read port, one clock. In hardware a ps_ram_late for each bit.
//
// Write:      wdata_i goes to every bit of the row whose enable is set.
// Latency:    rdata_o is valid Cycles (2 or more) after re_i, in that cycle only.
// Collision:  a read of the row being written in the same cycle returns the old bits.
// Reset:      none; contents are undefined until written.
module ps_ram_bits #(
  parameter int unsigned Bits   = 4,
  parameter int unsigned Depth  = 4096,
  parameter int unsigned Cycles = 2,
  localparam int unsigned AddrWidth = $clog2(Depth)
) (
  input  logic                 clk_i,
  input  logic [Bits-1:0]      we_i,
  input  logic [AddrWidth-1:0] waddr_i,
  input  logic                 wdata_i,
  input  logic                 re_i,
  input  logic [AddrWidth-1:0] raddr_i,
  output logic [Bits-1:0]      rdata_o
);

`ifdef SYNTHESIS
  for (genvar b = 0; b < Bits; b++) begin : gen_bit
    ps_ram_late #(
      .Width (1),
      .Depth (Depth),
      .Cycles(Cycles)
    ) u_ram (
      .clk_i,
      .we_i   (we_i[b]),
      .waddr_i,
      .wdata_i,
      .re_i,
      .raddr_i,
      .rdata_o(rdata_o[b])
    );
  end
`else
  // The same in one memory, whose enables a simulator tests once.
  logic [Bits-1:0]   mem [Depth];
  logic [Bits-1:0]   read_q;
  logic [Cycles-1:1] valid_q;

  always_ff @(posedge clk_i) begin
    valid_q <= (Cycles - 1)'({valid_q, re_i});
    if (re_i) read_q <= mem[raddr_i];
    // verilator lint_off BLKSEQ
    if (we_i != '0) mem[waddr_i] = wdata_i ? mem[waddr_i] | we_i : mem[waddr_i] & ~we_i;
    // verilator lint_on BLKSEQ
  end

  for (genvar i = 1; i < Cycles; i++) begin : gen_late
    logic [Bits-1:0] late_q;

    if (i == 1) begin : gen_first
      always_ff @(posedge clk_i) if (valid_q[i]) late_q <= read_q;
    end else begin : gen_next
      always_ff @(posedge clk_i) if (valid_q[i]) late_q <= gen_late[i-1].late_q;
    end
  end

  assign rdata_o = gen_late[Cycles-1].late_q;

  initial assert (Cycles >= 2) else $fatal(1, "ps_ram_bits: Cycles is 2 or more");
`endif

endmodule
