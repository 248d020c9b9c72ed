// Table of entries by index in UltraRAM, deeper than one of them, each with its parity: a lookup port, and the maintenance side.
//
// Lookup:      re_i/addr_i, rdata_o latency(Depth, Fan) cycles after, only in that cycle; never delayed by the other side. bad_o in the
//              cycle after that: what was read has the wrong parity. It holds until the next look-up's.
// Maintenance: acc_re_i/acc_we_i with index and data, which are registered here, and by bank in the memory; acc_rdata_o with
//              acc_valid_o and acc_bad_o comes 3 + latency(Depth, Fan) cycles after acc_re_i, and holds. One every cycle. A write with
//              acc_flip_i is stored with the wrong parity.
// Clearing:    a write with acc_all_i goes into every bank (ps_ram_deep).
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
  input  logic                 acc_re_i,
  input  logic                 acc_we_i,
  input  logic                 acc_flip_i,
  input  logic                 acc_all_i,
  input  logic [AddrWidth-1:0] acc_index_i,
  input  logic [Width-1:0]     acc_wdata_i,
  output logic                 acc_valid_o,
  output logic [Width-1:0]     acc_rdata_o,
  output logic                 acc_bad_o
);

  localparam int unsigned Latency = latency(Depth, Fan);

  logic                 we_q, all_q, flip_q, odd;
  logic [Latency+1:0]   re_q;
  logic [AddrWidth-1:0] index_q;
  logic [Width-1:0]     wdata_q;
  logic [Width:0]       word, found;
  logic [Latency:1]     looked_q;

  always_ff @(posedge clk_i) begin
    re_q  <= {re_q[Latency:0], acc_re_i};
    we_q  <= acc_we_i;
    all_q <= acc_all_i;
    if (acc_re_i || acc_we_i) index_q <= acc_index_i;
    if (acc_we_i) begin
      wdata_q <= acc_wdata_i;
      flip_q  <= acc_flip_i;
    end
    acc_valid_o <= re_q[Latency+1];
    if (re_q[Latency+1]) acc_rdata_o <= found[Width-1:0];
    looked_q <= Latency'({looked_q, re_i});
  end

  ps_parity #(
    .Width(Width)
  ) u_made (
    .clk_i,
    .valid_i(acc_we_i),
    .data_i (acc_wdata_i),
    .odd_o  (odd)
  );

  ps_ram_deep #(
    .Width(Width + 1),
    .Depth(Depth),
    .Fan  (Fan),
    .BlockBits(BlockBits),
    .LateB(1'b1)
  ) u_ram (
    .clk_i,
    .a_re_i   (re_i),
    .a_addr_i (addr_i),
    .a_rdata_o(word),
    .b_re_i   (re_q[0]),
    .b_we_i   (we_q),
    .b_all_i  (all_q),
    .b_addr_i (index_q),
    .b_wdata_i({odd ^ flip_q, wdata_q}),
    .b_rdata_o(found)
  );

  assign rdata_o = word[Width-1:0];

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
    .valid_i(re_q[Latency+1]),
    .data_i (found),
    .odd_o  (acc_bad_o)
  );

endmodule
