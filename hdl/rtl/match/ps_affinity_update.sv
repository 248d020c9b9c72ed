// Changes of the table Affinity, one at a time: clients that are to be kept, the host's accesses, and the sweep.
//
// Keep:        keep_valid_i/keep_i, begun only while room_o; up to 8 that come after it are taken, too. An entry of {number, client} that counts is
//              written again. Else a place that has none that counts, in the lower way first; else that of the older one, or of the lower way.
// Counts:      an entry that is valid, has the right parity, and is not older than its own time.
// Host:        an access of acc_i waits for its turn; acc_done_o (pulse), and with it, until the next one, what was read.
// Sweep:       with each unit of time a row of both ways: what counts no more, or has the wrong parity, goes. So nothing comes to life again
//              when `last` has gone round.
// Memory:      the second port of both ways at once, a read 1 + AffinityReadCycles cycles; rows_o hold through an operation.
// Rate:        an operation each Steps + 1 (9) cycles. What it writes is written when the next one reads.
// Marks:       of what each operation has written, the lower way first, each taken when mark_ready_i; until then the next one waits.
// Clearing:    writes of acc_i, as they come; what waits is forgotten.
module ps_affinity_update
  import ps_abi_pkg::*;
  import ps_types_pkg::*;
  import ps_match_pkg::*;
#(
  localparam int unsigned Lane = AffinityBits + 1,
  localparam int unsigned RowBits = AffinityRowsLog2
) (
  input  logic             clk_i,
  input  logic             rst_i,
  input  affinity_time_t   unit_i,         // of card time
  input  logic [191:0]     secret_i,
  input  logic             clear_i,

  input  logic             keep_valid_i,
  input  affinity_keep_t   keep_i,
  output logic             room_o,
  output logic             learned_o,
  output logic             evicted_o,
  output affinity_mark_t   mark_o,
  input  logic             mark_ready_i,

  input  access_t          acc_i,
  output logic             acc_done_o,
  output affinity_t        acc_rdata_o,
  output logic             acc_bad_o,
  output parity_error_t    error_o,

  output logic                                re_o,
  output logic [AffinityWays-1:0]             we_o,
  output logic [AffinityWays-1:0][RowBits-1:0] rows_o,
  output logic [Lane-1:0]                     wdata_o,
  input  logic [AffinityWays-1:0][Lane-1:0]   rdata_i,
  output logic             busy_o
);

  localparam int unsigned QueueDepth = 32;
  localparam int unsigned RoomMargin = 16;                       // those, and what is being hashed
  localparam int unsigned Stands     = 2 + AffinityReadCycles;   // step in which what was read stands
  localparam int unsigned Steps      = Stands + 3;

  typedef logic [AffinityWays-1:0][RowBits-1:0] rows_t;

  typedef enum logic [1:0] {
    OpKeep,
    OpHost,
    OpSweep
  } op_e;

  // --- Who is to be kept, with his rows
  logic [ClientHashCycles+1:1] hash_valid_q;
  affinity_keep_t hash_keep_q [ClientHashCycles+1:1];
  affinity_keep_t head;
  rows_t          hashed_rows, head_rows;
  logic           head_valid, head_pop_q, unused_ready;
  logic [$clog2(QueueDepth)+1:0] count;

  ps_affinity_rows u_rows (
    .clk_i,
    .secret_i,
    .client_valid_i(keep_valid_i),
    .client_i      (keep_i.client),
    .number_i      (hash_keep_q[ClientHashCycles].under.number),
    .rows_o        (hashed_rows)
  );

  ps_fifo #(
    .Width($bits(affinity_keep_t) + $bits(rows_t)),
    .Depth(QueueDepth),
    .Style("distributed")
  ) u_queue (
    .clk_i,
    .rst_i   (rst_i || clear_i),
    .wvalid_i(hash_valid_q[ClientHashCycles+1]),
    .wready_o(unused_ready),
    .wdata_i ({hashed_rows, hash_keep_q[ClientHashCycles+1]}),
    .rvalid_o(head_valid),
    .rready_i(head_pop_q),
    .rdata_o ({head_rows, head}),
    .count_o (count)
  );

  always_ff @(posedge clk_i) begin
    hash_valid_q <= rst_i || clear_i ? '0 : {hash_valid_q[ClientHashCycles:1], keep_valid_i};
    if (keep_valid_i) hash_keep_q[1] <= keep_i;
    for (int unsigned i = 2; i <= ClientHashCycles + 1; i++) if (hash_valid_q[i-1]) hash_keep_q[i] <= hash_keep_q[i-1];
    room_o <= count <= ($clog2(QueueDepth) + 2)'(QueueDepth - RoomMargin);
  end

  // --- Whose turn it is
  logic [Steps:1]  step_q;
  op_e             op_q;
  logic            ready, host_read_q, host_write_q, flip_q, due_q;
  affinity_index_t acc_at, host_at_q;
  affinity_time_t  last_unit_q;
  logic [RowBits-1:0] sweep_at_q;
  logic [AffinityWays-1:0] marks_q;    // ways of which is still to be told
  affinity_time_t  unit_q;         // of this operation

  assign acc_at   = affinity_index_t'(acc_i.index);
  assign ready    = step_q[Steps-1:1] == '0 && marks_q == '0;
  assign re_o     = step_q[1];

  assign mark_o = '{valid: marks_q != '0, set: op_q == OpKeep, index: {!marks_q[0], rows_o[!marks_q[0]]}};

  // --- What was read: whose it is, and whether it counts
  affinity_t [AffinityWays-1:0]      entry;
  affinity_t                         fresh;
  logic           [AffinityWays-1:0] odd, mine_q, valid_q, same_q, counts_q, sweeps_q, write;
  affinity_time_t [AffinityWays-1:0] age_q, timeout_q;
  logic           fresh_odd, older_q, to_upper;

  for (genvar w = 0; w < AffinityWays; w++) begin : gen_entry
    assign entry[w] = affinity_t'(rdata_i[w][AffinityBits-1:0]);

    ps_parity #(
      .Width(Lane)
    ) u_parity (
      .clk_i,
      .valid_i(step_q[Stands]),
      .data_i (rdata_i[w]),
      .odd_o  (odd[w])
    );
  end

  assign fresh = '{timeout: head.under.timeout, last: unit_q, generation: head.generation, slot: head.slot, client: head.client,
                   number: head.under.number, valid: 1'b1};

  ps_parity #(
    .Width(AffinityBits)
  ) u_made (
    .clk_i,
    .valid_i(step_q[Stands]),
    .data_i (fresh),
    .odd_o  (fresh_odd)
  );

  // The way that is written: its own, one that is free, that of the older.
  assign to_upper = same_q != '0 ? !same_q[0] : counts_q != '1 ? counts_q[0] : older_q;

  always_comb begin
    unique case (op_q)
      OpKeep:  write = {to_upper, !to_upper};
      OpSweep: write = sweeps_q;
      default: write = host_write_q ? AffinityWays'(1) << host_at_q.way : '0;
    endcase
  end

  always_ff @(posedge clk_i) begin
    if (acc_i.re[SelAffinity]) host_read_q <= 1'b1;
    if (acc_i.we[SelAffinity]) host_write_q <= 1'b1;
    if (acc_i.re[SelAffinity] || acc_i.we[SelAffinity]) begin
      host_at_q <= acc_at;
      flip_q    <= acc_i.flip;
    end

    step_q     <= {step_q[Steps-1:1], 1'b0};
    head_pop_q <= step_q[Steps-2] && op_q == OpKeep;
    if (ready) begin
      unit_q <= unit_i;
      if (due_q) begin
        op_q      <= OpSweep;
        rows_o    <= {AffinityWays{sweep_at_q}};
        step_q[1] <= 1'b1;
        due_q     <= 1'b0;
        sweep_at_q <= sweep_at_q + 1'b1;
      end else if (host_read_q || host_write_q) begin
        op_q      <= OpHost;
        rows_o    <= {AffinityWays{host_at_q.row}};
        step_q[1] <= 1'b1;
      end else begin
        op_q      <= OpKeep;
        rows_o    <= head_rows;
        step_q[1] <= head_valid;
      end
    end

    last_unit_q <= unit_i;
    if (last_unit_q != unit_i) due_q <= 1'b1;

    if (step_q[Stands]) begin
      for (int unsigned w = 0; w < AffinityWays; w++) begin
        mine_q[w]  <= entry[w].client == head.client && entry[w].number == head.under.number;
        valid_q[w] <= entry[w].valid;
        age_q[w]   <= unit_q - entry[w].last;
        timeout_q[w]  <= entry[w].timeout;
      end
      if (op_q == OpHost && host_read_q) acc_rdata_o <= entry[host_at_q.way];
    end
    if (step_q[Stands+1]) begin
      for (int unsigned w = 0; w < AffinityWays; w++) begin
        counts_q[w] <= valid_q[w] && !odd[w] && age_q[w] <= timeout_q[w];
        same_q[w]   <= valid_q[w] && !odd[w] && age_q[w] <= timeout_q[w] && mine_q[w];
        sweeps_q[w] <= odd[w] || (valid_q[w] && age_q[w] > timeout_q[w]);
      end
      older_q <= age_q[1] > age_q[0];
      if (op_q == OpHost && host_read_q) acc_bad_o <= odd[host_at_q.way];
    end
    we_o <= step_q[Stands+2] ? write : '0;
    if (step_q[Stands+2]) marks_q <= write;
    else if (mark_ready_i) marks_q <= marks_q & (marks_q - 1'b1);
    if (step_q[Stands+2]) wdata_o <= op_q == OpKeep ? {fresh_odd, fresh} : {op_q == OpHost && flip_q, AffinityBits'(0)};
    learned_o  <= step_q[Stands+2] && op_q == OpKeep && same_q == '0;
    evicted_o  <= step_q[Stands+2] && op_q == OpKeep && same_q == '0 && counts_q == '1;
    acc_done_o <= step_q[Stands+2] && op_q == OpHost;
    if (step_q[Stands+2] && op_q == OpHost) {host_read_q, host_write_q} <= '0;

    // Of both ways one after the other.
    error_o.valid <= op_q != OpHost && ((step_q[Stands+1] && odd[0]) || (step_q[Stands+2] && odd[1]));
    error_o.index <= index_t'(affinity_index_t'{way: step_q[Stands+2], row: rows_o[step_q[Stands+2]]});

    if (rst_i || clear_i) begin
      step_q     <= '0;
      marks_q    <= '0;
      head_pop_q <= 1'b0;
      due_q      <= 1'b0;
      {host_read_q, host_write_q} <= '0;
      learned_o  <= 1'b0;
      evicted_o  <= 1'b0;
      acc_done_o <= 1'b0;
      error_o.valid <= 1'b0;
      we_o       <= acc_i.we[SelAffinity] && !rst_i ? AffinityWays'(1) << acc_at.way : '0;
      rows_o     <= {AffinityWays{acc_at.row}};
      wdata_o    <= '0;
    end
    if (rst_i) sweep_at_q <= '0;
    busy_o <= keep_valid_i || hash_valid_q != '0 || count != '0 || step_q != '0 || marks_q != '0 || due_q || host_read_q || host_write_q;
  end

  logic unused_bits;
  assign unused_bits = ^{acc_i, unused_ready};

`ifndef SYNTHESIS
  initial assert (AffinityWays == 2) else $fatal(1, "ps_affinity_update: written for two ways");
  a_room : assert property (@(posedge clk_i) disable iff (rst_i || clear_i) hash_valid_q[ClientHashCycles+1] |-> unused_ready);
  a_one_access : assert property (@(posedge clk_i) disable iff (rst_i || clear_i)
      acc_i.re[SelAffinity] || acc_i.we[SelAffinity] |-> !host_read_q && !host_write_q);
`endif

endmodule
