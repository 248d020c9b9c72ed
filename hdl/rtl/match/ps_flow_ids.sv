// The pairs that are free, first in first out: so what is given back is given out again last.
//
// Take:       valid_o/free_o, taken with take_i; one every cycle for a while (some are held ready).
// Give back:  give_i/give_value_i, one every cycle.
// Few:        few_o: no more than QuarantinePairs and a few are free, or ready. Whoever then takes none leaves each pair, once given back, alone
//             for as long as it takes to give out that many.
// Clearing:   while clear_i is held nothing is given or taken, and clear_we_i zeroes the ring at clear_index_i of all banks; then all pairs
//             are free, with generations 0: a word holds which pair it is as the difference (XOR) from its place.
module ps_flow_ids
  import ps_pair_pkg::*;
#(
  parameter int unsigned PairsLog2 = $bits(pair_t),
  parameter int unsigned Reserve   = QuarantinePairs
) (
  input  logic       clk_i,
  input  logic       rst_i,
  output logic       valid_o,
  output free_pair_t free_o,
  input  logic       take_i,
  input  logic       give_i,
  input  free_pair_t give_value_i,
  output logic       few_o,

  input  logic       clear_i,
  input  logic       clear_we_i,
  input  logic [$clog2(ps_ram_deep_pkg::BankDepth)-1:0] clear_index_i
);

  localparam int unsigned Ready   = 32;
  localparam int unsigned Latency = ps_ram_deep_pkg::latency(1 << PairsLog2);
  localparam int unsigned HeldLeast = 12;  // likewise, of those that are ready
  localparam int unsigned Margin  = 16;    // that may be taken before few_o is seen

  logic [PairsLog2:0]   wptr_q, rptr_q, count_q;
  logic [Latency:1]     fetch_q;
  logic [PairsLog2-1:0] raddr_q, waddr_q, place_q;   // place_q: of what lands next
  logic                 fetch, write_q, landed_q, head_ready, space_q;
  free_pair_t           write_value_q, found, landed, unused_read;
  logic                 all_q;
  logic [$clog2(Ready)+1:0] held, under_way_q;

  assign fetch = wptr_q != rptr_q && space_q;

  ps_ram_deep #(
    .Width($bits(free_pair_t)),
    .Style("block"),
    .Depth(1 << PairsLog2)
  ) u_ring (
    .clk_i,
    .a_re_i   (fetch_q[1]),
    .a_addr_i (raddr_q),
    .a_rdata_o(found),
    .b_re_i   (1'b0),
    .b_we_i   (write_q),
    .b_all_i  (all_q),
    .b_addr_i (waddr_q),
    .b_wdata_i(write_value_q),
    .b_rdata_o(unused_read)
  );

  ps_fifo #(
    .Width($bits(free_pair_t)),
    .Depth(Ready),
    .Style("distributed")
  ) u_ready (
    .clk_i,
    .rst_i   (rst_i || clear_i),
    .wvalid_i(landed_q),
    .wready_o(head_ready),
    .wdata_i (landed),
    .rvalid_o(valid_o),
    .rready_i(take_i),
    .rdata_o (free_o),
    .count_o (held)
  );

  always_comb begin
    landed      = found;
    landed.pair = found.pair ^ pair_t'(place_q);
  end

  always_ff @(posedge clk_i) begin
    write_q       <= clear_i ? clear_we_i : give_i;
    all_q         <= clear_i;
    write_value_q <= '0;
    if (!clear_i) begin
      write_value_q      <= give_value_i;
      write_value_q.pair <= give_value_i.pair ^ pair_t'(wptr_q[PairsLog2-1:0]);
    end
    waddr_q       <= clear_i ? PairsLog2'(clear_index_i) : wptr_q[PairsLog2-1:0];
    if (landed_q) place_q <= place_q + 1'b1;
    raddr_q       <= rptr_q[PairsLog2-1:0];
    if (give_i) wptr_q <= wptr_q + 1'b1;
    if (fetch) rptr_q <= rptr_q + 1'b1;
    fetch_q     <= {fetch_q[Latency-1:1], fetch};
    space_q     <= (32'(held) + 32'(under_way_q)) < Ready - 5;    // one more may be fetched before it shows
    landed_q    <= fetch_q[Latency];     // with the word itself
    under_way_q <= under_way_q + ($clog2(Ready) + 2)'(fetch) - ($clog2(Ready) + 2)'(landed_q);
    count_q     <= count_q + (PairsLog2 + 1)'(give_i) - (PairsLog2 + 1)'(take_i && valid_o);
    few_o       <= count_q <= (PairsLog2 + 1)'(Reserve + Margin) || 32'(held) < HeldLeast;
    if (rst_i || clear_i) begin
      wptr_q      <= (PairsLog2 + 1)'(1 << PairsLog2);
      rptr_q      <= '0;
      count_q     <= (PairsLog2 + 1)'(1 << PairsLog2);
      few_o       <= 1'b1;
      place_q     <= '0;
      fetch_q     <= '0;
      landed_q    <= 1'b0;
      space_q     <= 1'b0;
      under_way_q <= '0;
    end
  end

  logic unused_bits;
  assign unused_bits = ^{unused_read, head_ready};

`ifndef SYNTHESIS
  // Each pair is here once, or out once. Marked at once: a simulator would copy all marks in every cycle.
  bit out_m [1 << PairsLog2];
  // verilator lint_off BLKSEQ
  always @(posedge clk_i) begin
    if (clear_i) begin
      if (clear_we_i && clear_index_i == '0) out_m = '{default: 1'b0};
    end else if (!rst_i) begin
      if (give_i) begin
        a_was_out : assert (out_m[give_value_i.pair[PairsLog2-1:0]]) else $error("ps_flow_ids: pair %h is given back twice", give_value_i.pair);
        out_m[give_value_i.pair[PairsLog2-1:0]] = 1'b0;
      end
      if (take_i && valid_o) out_m[free_o.pair[PairsLog2-1:0]] = 1'b1;
    end
  end
  // verilator lint_on BLKSEQ
  a_taken : assert property (@(posedge clk_i) disable iff (rst_i || clear_i) take_i |-> valid_o);
  a_kept  : assert property (@(posedge clk_i) disable iff (rst_i || clear_i) landed_q |-> head_ready);
  a_whole : assert property (@(posedge clk_i) disable iff (rst_i || clear_i) count_q <= (PairsLog2 + 1)'(1 << PairsLog2));
`endif

endmodule
