// Counters of many: to each word of a memory something is added, one word every cycle.
//
// Operation:  op_valid_i/op_index_i/op_add_i in cycle 0, an addend for each counter of the word; written in cycle 4. Words that are
//             on their way are taken into account, also those of the cycle before.
// Read-out:   re_i/raddr_i, rdata_o 2 cycles after, holds; at most six cycles behind the operations (busy_o: some are under way). Each
//             reader has a copy of its own.
// Clearing:   clr_we_i writes 0 at clr_index_i; operations that come meanwhile are lost.
// Counters wrap at their width.
module ps_count_ram #(
  parameter int unsigned Counters = 1,
  parameter int unsigned Width    = 48,   // of each
  parameter int unsigned AddWidth = 16,
  parameter int unsigned Depth    = 256,
  parameter int unsigned Readers  = 1,
  localparam int unsigned AddrWidth = $clog2(Depth)
) (
  input  logic                               clk_i,
  input  logic                               rst_i,
  input  logic                               op_valid_i,
  input  logic [AddrWidth-1:0]               op_index_i,
  input  logic [Counters-1:0][AddWidth-1:0]  op_add_i,
  input  logic [Readers-1:0]                 re_i,
  input  logic [Readers-1:0][AddrWidth-1:0]  raddr_i,
  output logic [Readers-1:0][Counters-1:0][Width-1:0] rdata_o,
  input  logic                               clr_we_i,
  input  logic [AddrWidth-1:0]               clr_index_i,
  output logic                               busy_o
);

  // A read in cycle 0 stands in cycle 2; the sum is made in cycle 3 and written in cycle 4. The read misses the words of the four
  // operations before it: of the three older ones the newest is taken in cycle 2, of the last one in cycle 3.
  typedef logic [Counters-1:0][Width-1:0]    word_t;
  typedef logic [Counters-1:0][AddWidth-1:0] add_t;

  logic [6:1]           valid_q;
  logic [AddrWidth-1:0] index_q [6:1];
  add_t                 add_q [3:1];
  word_t                stored, base, base3_q, sum;
  word_t                word_q [6:4];
  logic [6:4]           same2_q;           // the operation in cycle 2 is on the word of that in this cycle
  logic [Counters-1:0]  again3_q;          // and that in cycle 3 on that in cycle 4; one each, for the loads
  logic                 we;
  logic [AddrWidth-1:0] waddr;
  word_t                wdata;

  ps_ram_sdp #(
    .Width  ($bits(word_t)),
    .Depth  (Depth),
    .Latency(2)
  ) u_work (
    .clk_i,
    .we_i   (we),
    .waddr_i(waddr),
    .wdata_i(wdata),
    .re_i   (op_valid_i),
    .raddr_i(op_index_i),
    .rdata_o(stored)
  );

  for (genvar r = 0; r < Readers; r++) begin : gen_reader
    ps_ram_sdp #(
      .Width  ($bits(word_t)),
      .Depth  (Depth),
      .Latency(2)
    ) u_copy (
      .clk_i,
      .we_i   (we),
      .waddr_i(waddr),
      .wdata_i(wdata),
      .re_i   (re_i[r]),
      .raddr_i(raddr_i[r]),
      .rdata_o(rdata_o[r])
    );
  end

  assign we    = valid_q[4] || clr_we_i;
  assign waddr = clr_we_i ? clr_index_i : index_q[4];
  assign wdata = clr_we_i ? '0 : word_q[4];

  always_comb begin
    base = stored;
    if (same2_q[4])      base = word_q[4];
    else if (same2_q[5]) base = word_q[5];
    else if (same2_q[6]) base = word_q[6];
    for (int unsigned c = 0; c < Counters; c++) begin
      sum[c] = (again3_q[c] ? word_q[4][c] : base3_q[c]) + Width'(add_q[3][c]);
    end
  end

  always_ff @(posedge clk_i) begin
    if (op_valid_i) begin
      index_q[1] <= op_index_i;
      add_q[1]   <= op_add_i;
    end
    for (int unsigned i = 2; i <= 6; i++) if (valid_q[i-1]) index_q[i] <= index_q[i-1];
    for (int unsigned i = 2; i <= 3; i++) if (valid_q[i-1]) add_q[i] <= add_q[i-1];
    // A cycle on, each operation is one further.
    for (int unsigned i = 4; i <= 6; i++) same2_q[i] <= valid_q[i-1] && index_q[i-1] == index_q[1];
    if (valid_q[2]) begin
      base3_q <= base;
    end
    again3_q <= {Counters{valid_q[3] && index_q[3] == index_q[2]}};
    if (valid_q[3]) word_q[4] <= sum;
    for (int unsigned i = 5; i <= 6; i++) if (valid_q[i-1]) word_q[i] <= word_q[i-1];
    valid_q <= {valid_q[5:1], op_valid_i};
    if (rst_i || clr_we_i) valid_q <= '0;
  end

  assign busy_o = op_valid_i || valid_q[4:1] != '0;

endmodule
