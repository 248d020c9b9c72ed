// Table of entries by index, each with its parity: a lookup port, and the maintenance side.
//
// Lookup:      re_i/addr_i, rdata_o Latency cycles after; never delayed by the other side. bad_o in the cycle after that: what was read
//              has the wrong parity. It holds until the next look-up's.
// Maintenance: acc_re_i/acc_we_i with index and data, which are registered here: acc_rdata_o 1 + Latency cycles after acc_re_i,
//              holds; acc_bad_o likewise a cycle later. A write is done 2 cycles after acc_we_i; with acc_flip_i it is stored with the
//              wrong parity.
// A table that two stages read is two of these with the same maintenance side; only one needs to answer reads.
module ps_table #(
  parameter int unsigned Width   = 32,
  parameter int unsigned Depth   = 512,
  parameter              Style   = "block",
  parameter int unsigned Latency = 2,
  localparam int unsigned AddrWidth = $clog2(Depth)
) (
  input  logic                 clk_i,
  input  logic                 re_i,
  input  logic [AddrWidth-1:0] addr_i,
  output logic [Width-1:0]     rdata_o,
  output logic                 bad_o,
  input  logic                 acc_re_i,
  input  logic                 acc_we_i,
  input  logic                 acc_flip_i,
  input  logic [AddrWidth-1:0] acc_index_i,
  input  logic [Width-1:0]     acc_wdata_i,
  output logic [Width-1:0]     acc_rdata_o,
  output logic                 acc_bad_o
);

  logic                 re_q, we_q, flip_q, odd;
  logic [AddrWidth-1:0] index_q;
  logic [Width-1:0]     wdata_q;
  logic [Latency:1]     looked_q;
  logic [Latency:1]     read_q;
  logic [Width:0]       word, acc_word;

  always_ff @(posedge clk_i) begin
    re_q <= acc_re_i;
    we_q <= acc_we_i;
    if (acc_re_i || acc_we_i) index_q <= acc_index_i;
    if (acc_we_i) begin
      wdata_q <= acc_wdata_i;
      flip_q  <= acc_flip_i;
    end
    looked_q <= Latency'({looked_q, re_i});
    read_q   <= Latency'({read_q, re_q});
  end

  ps_parity #(
    .Width(Width)
  ) u_made (
    .clk_i,
    .valid_i(acc_we_i),
    .data_i (acc_wdata_i),
    .odd_o  (odd)
  );

  ps_ram_tdp #(
    .Width  (Width + 1),
    .Depth  (Depth),
    .Style  (Style),
    .Latency(Latency)
  ) u_ram (
    .clk_i,
    .a_re_i   (re_i),
    .a_addr_i (addr_i),
    .a_rdata_o(word),
    .b_re_i   (re_q),
    .b_we_i   (we_q),
    .b_addr_i (index_q),
    .b_wdata_i({odd ^ flip_q, wdata_q}),
    .b_rdata_o(acc_word)
  );

  assign rdata_o     = word[Width-1:0];
  assign acc_rdata_o = acc_word[Width-1:0];

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
  ) u_acc_check (
    .clk_i,
    .valid_i(read_q[Latency]),
    .data_i (acc_word),
    .odd_o  (acc_bad_o)
  );

endmodule
