// What the host reads of counters, and writes: a base word and what was counted since the tables were cleared.
//
// Base:        a write puts the difference between its value and the counts into the base, so that it never waits for a gap
//              between packets and no packet is lost over it. Example: 1000 counted, 7 written: base 7 - 1000 (mod 2^48); 3 packets
//              on, 10 is read.
// Maintenance: re_i/we_i with index and data in cycle 0; the user gives counted_i, the counts of that index, in cycle 3. rdata_o
//              stands in cycle 4 and holds; a write counts from cycle 5 on, and for a read from cycle 4 on.
module ps_count_base #(
  parameter int unsigned Counters = 1,
  parameter int unsigned Width    = 48,   // of each
  parameter int unsigned Depth    = 256,
  localparam int unsigned AddrWidth = $clog2(Depth)
) (
  input  logic                           clk_i,
  input  logic                           rst_i,
  input  logic                           clearing_i,
  input  logic                           re_i,
  input  logic                           we_i,       // while clearing: zeroes the base
  input  logic [AddrWidth-1:0]           index_i,
  input  logic [Counters-1:0][Width-1:0] wdata_i,
  input  logic [Counters-1:0][Width-1:0] counted_i,
  output logic [Counters-1:0][Width-1:0] rdata_o
);

  typedef logic [Counters-1:0][Width-1:0] word_t;

  logic [3:1]           re_q;
  logic [4:1]           we_q;
  logic [AddrWidth-1:0] index_q [4:1];
  logic                 clear_q;
  word_t                wdata_q, base, difference_q;

  ps_ram_sdp #(
    .Width  ($bits(word_t)),
    .Depth  (Depth),
    .Latency(2)
  ) u_base (
    .clk_i,
    .we_i   (we_q[4] || clear_q),
    .waddr_i(clear_q ? index_q[1] : index_q[4]),
    .wdata_i(clear_q ? '0 : difference_q),
    .re_i   (re_q[1]),
    .raddr_i(index_q[1]),
    .rdata_o(base)
  );

  always_ff @(posedge clk_i) begin
    clear_q <= clearing_i && we_i;
    re_q <= {re_q[2:1], re_i};
    we_q <= rst_i ? '0 : {we_q[3:1], we_i && !clearing_i};
    if (re_i || we_i) index_q[1] <= index_i;
    if (we_i && !clearing_i) wdata_q <= wdata_i;
    for (int unsigned i = 2; i <= 4; i++) index_q[i] <= index_q[i-1];
    for (int unsigned c = 0; c < Counters; c++) begin
      if (re_q[3]) rdata_o[c] <= counted_i[c] + base[c];
      if (we_q[3]) difference_q[c] <= wdata_q[c] - counted_i[c];
    end
  end

endmodule
