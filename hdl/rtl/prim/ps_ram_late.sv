// ps_ram_sdp in block RAM whose data come Cycles (2 or more) after re_i, to stand beside those of a deeper memory.
//
// Latency:    rdata_o is valid Cycles after re_i, in that cycle only.
// Collision:  a read of the address being written in the same cycle returns the old word.
// Reset:      none; contents are undefined until written.
module ps_ram_late #(
  parameter int unsigned Width  = 1,
  parameter int unsigned Depth  = 4096,
  parameter int unsigned Cycles = 2,
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

  logic [Width-1:0] read;

  ps_ram_sdp #(
    .Width  (Width),
    .Depth  (Depth),
    .Latency(2)
  ) u_ram (
    .clk_i,
    .we_i,
    .waddr_i,
    .wdata_i,
    .re_i,
    .raddr_i,
    .rdata_o(read)
  );

  if (Cycles == 2) begin : gen_at_once
    assign rdata_o = read;
  end else begin : gen_late
    logic [Width-1:0] late_q [Cycles-2];

    always_ff @(posedge clk_i) begin
      late_q[0] <= read;
      for (int unsigned i = 1; i < Cycles - 2; i++) late_q[i] <= late_q[i-1];
    end

    assign rdata_o = late_q[Cycles-3];
  end

`ifndef SYNTHESIS
  initial assert (Cycles >= 2) else $fatal(1, "ps_ram_late: Cycles is 2 or more");
`endif

endmodule
