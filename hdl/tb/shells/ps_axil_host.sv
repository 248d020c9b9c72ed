// A host on AXI4-Lite, for benches: one access at a time, called as tasks of the instance. Drives at the falling edge.
module ps_axil_host (
  input  logic        clk_i,
  output logic [31:0] awaddr_o,
  output logic        awvalid_o,
  input  logic        awready_i,
  output logic [31:0] wdata_o,
  output logic        wvalid_o,
  input  logic        bvalid_i,
  output logic        bready_o,
  output logic [31:0] araddr_o,
  output logic        arvalid_o,
  input  logic        arready_i,
  input  logic [31:0] rdata_i,
  input  logic        rvalid_i,
  output logic        rready_o
);

  initial begin
    awaddr_o  = '0;
    awvalid_o = 0;
    wdata_o   = '0;
    wvalid_o  = 0;
    bready_o  = 0;
    araddr_o  = '0;
    arvalid_o = 0;
    rready_o  = 0;
  end

  // The slaves under test take address and data together.
  task automatic write(input logic [31:0] addr, input logic [31:0] value);
    @(negedge clk_i);
    awaddr_o  = addr;
    wdata_o   = value;
    awvalid_o = 1;
    wvalid_o  = 1;
    do @(posedge clk_i); while (!awready_i);
    @(negedge clk_i);
    awvalid_o = 0;
    wvalid_o  = 0;
    bready_o  = 1;
    do @(posedge clk_i); while (!bvalid_i);
    @(negedge clk_i);
    bready_o = 0;
  endtask

  task automatic read(input logic [31:0] addr, output logic [31:0] value);
    @(negedge clk_i);
    araddr_o  = addr;
    arvalid_o = 1;
    do @(posedge clk_i); while (!arready_i);
    @(negedge clk_i);
    arvalid_o = 0;
    rready_o  = 1;
    do @(posedge clk_i); while (!rvalid_i);
    value = rdata_i;
    @(negedge clk_i);
    rready_o = 0;
  endtask

  // Reads until the bits of `mask` are as wanted, at most `limit` times.
  task automatic wait_for(input logic [31:0] addr, input logic [31:0] mask, input logic [31:0] want, input int limit,
                          input string what);
    logic [31:0] value;
    for (int n = 0; n < limit; n++) begin
      read(addr, value);
      if ((value & mask) == want) return;
      repeat (100) @(posedge clk_i);
    end
    $fatal(1, "FAIL: %s: 0x%h", what, value);
  endtask

endmodule
