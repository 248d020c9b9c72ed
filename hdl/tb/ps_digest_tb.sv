// Bench of ps_digest: known CRCs, and random words with random gaps against the CRC taken bit by bit, in one run and resumed.
// Prints PASS or stops.
module ps_digest_tb
  import ps_abi_pkg::*;
;

  localparam logic [63:0] Polynomial = 64'hc96c5795d7870f42;  // of CRC-64/XZ, reflected

  logic clk = 0, rst = 1;
  always #1 clk = !clk;

  logic        load = 0, valid = 0, ready;
  logic [63:0] from = '0, crc;
  logic [31:0] word = '0;

  ps_digest dut (
    .clk_i(clk), .rst_i(rst), .load_i(load), .crc_i(from), .word_valid_i(valid), .word_i(word), .word_ready_o(ready),
    .crc_o(crc)
  );

  task automatic check(input logic ok, input string what);
    if (!ok) $fatal(1, "FAIL: %s", what);
  endtask

  // As the definition of the CRC has it.
  function automatic logic [63:0] bitwise(input logic [63:0] base, input logic [31:0] data);
    bitwise = ~base ^ 64'(data);
    for (int i = 0; i < 32; i++) bitwise = (bitwise >> 1) ^ (bitwise[0] ? Polynomial : 64'd0);
    bitwise = ~bitwise;
  endfunction

  // Inputs change at falling edges, where outputs are stable too.
  task automatic begin_at(input logic [63:0] value);
    load  = 1;
    from  = value;
    // A word that is offered with a load is not taken.
    valid = 1;
    word  = $urandom;
    @(negedge clk);
    load  = 0;
    valid = 0;
  endtask

  // Offers a word until it is taken; says how many cycles that took.
  task automatic put(input logic [31:0] data, output int cycles);
    cycles = 1;
    valid  = 1;
    word   = data;
    while (!ready) begin
      @(negedge clk);
      cycles++;
    end
    @(negedge clk);
    valid = 0;
    word  = $urandom;
  endtask

  task automatic result(output logic [63:0] value);
    while (!ready) @(negedge clk);
    value = crc;
  endtask

  logic [63:0] value, expected;
  int cycles;

  initial begin
    repeat (4) @(negedge clk);
    rst = 0;
    begin_at('0);
    result(value);
    check(value == 0, "the CRC of nothing");
    // "123456789abc", whose CRC is that of the catalogue's "123456789" and three bytes more.
    put("4321", cycles);
    put("8765", cycles);
    check(cycles == 2, "a word every other cycle");
    put("cba9", cycles);
    result(value);
    check(value == 64'h5a062275250cb126, "a known CRC");
    for (int run = 0; run < 200; run++) begin
      expected = run == 0 ? '0 : {$urandom, $urandom};
      begin_at(expected);
      for (int n = 0; n < 20; n++) begin
        logic [31:0] data;
        data     = n == 7 ? '0 : $urandom;
        expected = bitwise(expected, data);
        put(data, cycles);
        if ($urandom % 4 == 0) begin
          result(value);
          check(value == expected, "the CRC so far");
        end
        if ($urandom % 8 == 0) begin_at(expected);
        if ($urandom % 4 == 0) repeat ($urandom % 5) @(negedge clk);
      end
      result(value);
      check(value == expected, "the CRC of random words");
    end
    $display("PASS ps_digest_tb");
    $finish;
  end

endmodule
