// RAM with one read/write port with byte enables and one read port (true dual port), one clock.
//
// Latency:    a_rdata_o / b_rdata_o are valid the cycle after a_req_i / b_req_i and then hold.
// Collision:  a read of the word being written in the same cycle returns the old word.
// Reset:      none; contents are undefined until written, or as the initial image says.
// Initial:    a file of 32-bit words in $readmemh form. In simulation the file that the plus argument
//             `+<InitPlusarg>=FILE` names, else InitFile; in synthesis InitFile. Neither: no image.
module ps_ram_1rw1r_be #(
  parameter int unsigned Width       = 32,
  parameter int unsigned Depth       = 512,
  parameter              InitFile    = "",
  // verilator lint_off UNUSEDPARAM  // read in simulation only
  parameter string       InitPlusarg = "",
  // verilator lint_on UNUSEDPARAM
  localparam int unsigned Bytes      = Width / 8,
  localparam int unsigned AddrWidth  = $clog2(Depth)
) (
  input  logic                 clk_i,
  input  logic                 a_req_i,
  input  logic                 a_we_i,
  input  logic [Bytes-1:0]     a_be_i,
  input  logic [AddrWidth-1:0] a_addr_i,
  input  logic [Width-1:0]     a_wdata_i,
  output logic [Width-1:0]     a_rdata_o,
  input  logic                 b_req_i,
  input  logic [AddrWidth-1:0] b_addr_i,
  output logic [Width-1:0]     b_rdata_o
);

  logic [Width-1:0] mem [Depth];

  always_ff @(posedge clk_i) begin
    if (a_req_i) begin
      for (int unsigned i = 0; i < Bytes; i++) begin
        if (a_we_i && a_be_i[i]) mem[a_addr_i][i*8 +: 8] <= a_wdata_i[i*8 +: 8];
      end
      a_rdata_o <= mem[a_addr_i];
    end
    if (b_req_i) b_rdata_o <= mem[b_addr_i];
  end

`ifdef SYNTHESIS
  if (InitFile != "") begin : gen_init
    initial $readmemh(InitFile, mem);
  end
`else
  string init_file;
  initial begin
    if (InitPlusarg != "" && $value$plusargs({InitPlusarg, "=%s"}, init_file)) begin
      $readmemh(init_file, mem);
    end else if (InitFile != "") begin
      $readmemh(InitFile, mem);
    end
  end
`endif

endmodule
