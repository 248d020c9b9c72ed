// Bitmap: one bit written a cycle, 64 bits read a cycle, one clock.
//
// Write:      we_i sets bit waddr_i to wbit_i; clear_i instead zeroes the whole word that waddr_i lies in.
// Latency:    rdata_o is valid the cycle after re_i and then holds; a read sees the word before a write of the same cycle.
// Reset:      none; contents are undefined until written.
// Synthesis:  LUT RAM with write enables by bit.
module ps_ram_bitmap #(
  parameter int unsigned Words = 512,
  localparam int unsigned AddrWidth = $clog2(Words)
) (
  input  logic                 clk_i,
  input  logic                 clear_i,
  input  logic                 we_i,
  input  logic [AddrWidth+5:0] waddr_i,
  input  logic                 wbit_i,
  input  logic                 re_i,
  input  logic [AddrWidth-1:0] raddr_i,
  output logic [63:0]          rdata_o
);

  (* ram_style = "distributed" *) logic [63:0] mem [Words];

  always_ff @(posedge clk_i) begin
    if (clear_i) mem[waddr_i[AddrWidth+5:6]] <= '0;
    else if (we_i) mem[waddr_i[AddrWidth+5:6]][waddr_i[5:0]] <= wbit_i;
    if (re_i) rdata_o <= mem[raddr_i];
  end

endmodule
