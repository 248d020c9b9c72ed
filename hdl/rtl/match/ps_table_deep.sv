// Table of entries by index in UltraRAM, deeper than one of them, each with its parity: packets look it up at two addresses in a cycle.
//
// Look-ups:    re_i/addr_i and other_re_i/other_addr_i; rdata_o and other_rdata_o latency(Depth, Fan) cycles after, only in that cycle.
//              bad_o and other_bad_o in the cycle after that: what was read has the wrong parity. They hold until the next look-up's.
// Second port: what writes the table, and reads it for others than packets, takes its turn there (ps_table_turns): other_we_i in place
//              of other_re_i, with an entry that has its parity. With other_all_i it goes into every bank (ps_ram_deep).
// Banks:       16 to a level of multiplexers: 64 Ki words take one level, 256 Ki two.
module ps_table_deep
  import ps_ram_deep_pkg::*;
#(
  parameter int unsigned Width = 71,
  parameter int unsigned Depth = 65536,
  parameter int unsigned Fan   = 16,
  parameter int unsigned BlockBits = 0,   // of an entry with its parity, in block RAM (ps_ram_deep)
  localparam int unsigned AddrWidth = $clog2(Depth)
) (
  input  logic                 clk_i,
  input  logic                 re_i,
  input  logic [AddrWidth-1:0] addr_i,
  output logic [Width-1:0]     rdata_o,
  output logic                 bad_o,
  input  logic                 other_re_i,
  input  logic                 other_we_i,
  input  logic                 other_all_i,
  input  logic [AddrWidth-1:0] other_addr_i,
  input  logic [Width:0]       other_wdata_i,
  output logic [Width-1:0]     other_rdata_o,
  output logic                 other_bad_o
);

  localparam int unsigned Latency = latency(Depth, Fan);

  logic [Width:0]   word, other_word;
  logic [Latency:1] looked_q, other_looked_q;

  always_ff @(posedge clk_i) begin
    looked_q       <= Latency'({looked_q, re_i});
    other_looked_q <= Latency'({other_looked_q, other_re_i});
  end

  ps_ram_deep #(
    .Width(Width + 1),
    .Depth(Depth),
    .Fan  (Fan),
    .BlockBits(BlockBits)
  ) u_ram (
    .clk_i,
    .a_re_i   (re_i),
    .a_addr_i (addr_i),
    .a_rdata_o(word),
    .b_re_i   (other_re_i),
    .b_we_i   (other_we_i),
    .b_all_i  (other_all_i),
    .b_addr_i (other_addr_i),
    .b_wdata_i(other_wdata_i),
    .b_rdata_o(other_word)
  );

  assign rdata_o       = word[Width-1:0];
  assign other_rdata_o = other_word[Width-1:0];

  ps_parity #(
    .Width(Width + 1)
  ) u_check (
    .clk_i,
    .valid_i(looked_q[Latency]),
    .data_i (word),
    .odd_o  (bad_o)
  );

  ps_parity #(
    .Width(Width + 1)
  ) u_other_check (
    .clk_i,
    .valid_i(other_looked_q[Latency]),
    .data_i (other_word),
    .odd_o  (other_bad_o)
  );

endmodule
