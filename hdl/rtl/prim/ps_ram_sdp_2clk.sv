// RAM with one write port and one read port (simple dual port), each with its own clock, and write
// enables by lane.
//
// Latency:    rdata_o is valid the cycle of rclk_i after re_i and then holds.
// Collision:  not defined; the user keeps reader and writer on different rows (a queue's pointers do).
// Reset:      none; contents are undefined until written.
// Style:      "block", "ultra" or "distributed", passed on to synthesis.
module ps_ram_sdp_2clk #(
  parameter int unsigned Width     = 512,
  parameter int unsigned Depth     = 64,
  parameter int unsigned LaneWidth = Width,
  // verilator lint_off UNUSEDPARAM  // read by synthesis only, in the attribute below
  parameter              Style     = "block",
  // verilator lint_on UNUSEDPARAM
  localparam int unsigned Lanes     = Width / LaneWidth,
  localparam int unsigned AddrWidth = $clog2(Depth)
) (
  input  logic                 wclk_i,
  input  logic [Lanes-1:0]     we_i,
  input  logic [AddrWidth-1:0] waddr_i,
  input  logic [Width-1:0]     wdata_i,
  input  logic                 rclk_i,
  input  logic                 re_i,
  input  logic [AddrWidth-1:0] raddr_i,
  output logic [Width-1:0]     rdata_o
);

  (* ram_style = Style *) logic [Width-1:0] mem [Depth];

  always_ff @(posedge wclk_i) begin
    if (|we_i) begin
      for (int unsigned i = 0; i < Lanes; i++) begin
        if (we_i[i]) mem[waddr_i][i*LaneWidth +: LaneWidth] <= wdata_i[i*LaneWidth +: LaneWidth];
      end
    end
  end

  always_ff @(posedge rclk_i) begin
    if (re_i) rdata_o <= mem[raddr_i];
  end

endmodule
