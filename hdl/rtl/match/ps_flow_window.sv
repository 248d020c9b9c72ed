// Requests for pairs that are pending: admitted, and not yet in the table for every packet that comes to ask (section 9.1).
//
// Look:       look_i with forward_i/reverse_i, the prints of a packet's keys, every cycle; relation_o WindowCycles (5) later, with all
//             packets ahead taken into account, those admitted in the cycle before included. It means nothing without a look.
// Push:       push_i in the cycle of relation_o adds that packet's request; only with room_o in that of its look. number_o is its number,
//             in the cycle after.
// Done:       done_i: a key of a request has been written, or drop_i: nothing will be. When both keys are, the entry
//             leaves Linger cycles later. So packets that looked the table up before still meet the request here. Entries leave in
//             any order.
// Entries:    by number; all compared at once, in two stages, and joined in two more.
module ps_flow_window
  import ps_abi_pkg::*;
  import ps_match_pkg::*;
  import ps_pair_pkg::*;
#(
  parameter int unsigned Entries = WindowEntries,
  parameter int unsigned Linger  = LingerCycles
) (
  input  logic      clk_i,
  input  logic      rst_i,
  input  logic      look_i,
  input  print_t    forward_i,
  input  print_t    reverse_i,
  output relation_t relation_o,
  input  logic      push_i,
  input  logic      push_translated_i,
  output number_t   number_o,
  output logic      room_o,

  input  logic        [FlowWays-1:0] done_valid_i,
  input  row_op_for_t [FlowWays-1:0] done_i,
  input  logic                       drop_valid_i,
  input  number_t                    drop_i,
  output logic                       busy_o
);

  localparam int unsigned Cycles    = WindowCycles;   // of a look
  localparam int unsigned Ahead     = 5;              // packets whose requests the entries do not show yet
  localparam int unsigned Groups    = 4;              // copies of what is looked for, each for a part of the entries
  localparam int unsigned GroupSize = Entries / Groups;
  localparam int unsigned Margin    = 14;             // looks that may push before room_o is seen
  localparam int unsigned Banks     = 8;              // of which one is searched a cycle for an entry that is done
  localparam int unsigned BankSize  = Entries / Banks;
  localparam int unsigned Half      = PrintBits / 2;
  localparam int unsigned NumberBits = $clog2(Entries);

  typedef struct packed {
    print_t forward;
    print_t reverse;
  } prints_t;

  // Of each pair of prints whether they are equal, by halves.
  typedef struct packed {
    logic [1:0] forward;          // forward of both
    logic [1:0] reverse;          // reverse of both
    logic [1:0] as_reply;         // the packet's forward, the request's reverse
    logic [1:0] against;          // the packet's reverse, the request's forward
  } equal_t;

  function automatic logic [1:0] halves(input print_t a, input print_t b);
    halves = {a[PrintBits-1:Half] == b[PrintBits-1:Half], a[Half-1:0] == b[Half-1:0]};
  endfunction

  function automatic equal_t equal(input prints_t packet, input prints_t request);
    equal = '{forward: halves(packet.forward, request.forward), reverse: halves(packet.reverse, request.reverse),
              as_reply: halves(packet.forward, request.reverse), against: halves(packet.reverse, request.forward)};
  endfunction

  // How the packet stands to a request.
  function automatic relation_t relate(input equal_t eq, input logic valid, input logic translated);
    logic same, reply, other;
    same   = valid && (&eq.forward) && (&eq.reverse);
    reply  = valid && (&eq.as_reply) && !((&eq.forward) && (&eq.reverse));
    other  = valid && ((&eq.forward) || (&eq.reverse) || (&eq.against)) && !((&eq.forward) && (&eq.reverse)) && !(&eq.as_reply);
    relate = '{same: same, reply: reply, reply_translated: reply && translated, other: other,
               other_translated: other && translated};
  endfunction

  // --- Entries
  prints_t            entry_q [Entries];
  logic [Entries-1:0] valid_q, translated_q, first_q, second_q;   // first, second: the keys that have been written
  logic               number_valid, retire;
  number_t            number_q, retire_number;
  logic [$clog2(Entries):0] free_q;

  // --- Look: 1 copies | 2 halves | 3 entries | 4 groups. What is of no look, or of an entry that is none, rests.
  prints_t            look, look_q [1:Cycles+1];
  relation_t          known5_q;
  logic [Entries-1:0] valid2_q, translated2_q;
  logic [Cycles:1]    looks_q;
  equal_t             ahead1_q [1:Ahead];
  relation_t          ahead_q [1:Ahead][2:Cycles];
  logic [Ahead:1]     pushed_q, pushed_translated_q;

  assign look = '{forward: forward_i, reverse: reverse_i};

  for (genvar g = 0; g < Groups; g++) begin : gen_group
    // Of each group its own: what is looked for, and whether.
    (* keep *) prints_t copy_q;
    logic               looks1_q, looks2_q, looks3_q;
    relation_t          group4_q;

    for (genvar n = 0; n < GroupSize; n++) begin : gen_entry
      localparam int unsigned I = g * GroupSize + n;
      equal_t    halves_q;
      relation_t entry3_q, upto;     // upto: of this one and those below

      always_ff @(posedge clk_i) begin
        if (looks1_q) if (valid_q[I]) halves_q <= equal(copy_q, entry_q[I]);
        if (looks2_q) entry3_q <= relate(halves_q, valid2_q[I], translated2_q[I]);
      end

      if (n == 0) begin : gen_first
        assign upto = entry3_q;
      end else begin : gen_next
        assign upto = gen_entry[n-1].upto | entry3_q;
      end
    end

    always_ff @(posedge clk_i) begin
      looks1_q <= look_i;
      looks2_q <= looks1_q;
      looks3_q <= looks2_q;
      if (look_i) copy_q <= look;
      if (looks3_q) group4_q <= gen_entry[GroupSize-1].upto;
    end
  end

  always_ff @(posedge clk_i) begin
    looks_q <= {looks_q[Cycles-1:1], look_i};
    if (look_i) look_q[1] <= look;
    for (int unsigned k = 2; k <= Cycles; k++) if (looks_q[k-1]) look_q[k] <= look_q[k-1];
    if (looks_q[Cycles]) look_q[Cycles+1] <= look_q[Cycles];
    valid2_q      <= valid_q;
    translated2_q <= translated_q;
    if (looks_q[4]) known5_q <= known4();
    for (int unsigned k = 1; k <= Ahead; k++) begin
      if (look_i) ahead1_q[k] <= equal(look, look_q[k]);
      if (looks_q[1]) ahead_q[k][2] <= relate(ahead1_q[k], 1'b1, 1'b1);
      for (int unsigned i = 3; i <= Cycles; i++) if (looks_q[i-1]) ahead_q[k][i] <= ahead_q[k][i-1];
    end
    pushed_q            <= {pushed_q[Ahead-1:1], push_i};
    pushed_translated_q <= {pushed_translated_q[Ahead-1:1], push_translated_i};
    if (rst_i) pushed_q <= '0;
  end

  // Those of the entries, and of the packets ahead but for the one just ahead: whether that pushes is only known now.
  /* verilator lint_off UNUSEDSIGNAL */  // of the relation what does not tell of translations
  function automatic relation_t pushed(input relation_t with_it, input logic is_pushed, input logic translated);
    /* verilator lint_on UNUSEDSIGNAL */
    pushed = '{same: with_it.same && is_pushed, reply: with_it.reply && is_pushed, other: with_it.other && is_pushed,
               reply_translated: with_it.reply && is_pushed && translated,
               other_translated: with_it.other && is_pushed && translated};
  endfunction

  function automatic relation_t known4();
    known4 = gen_group[0].group4_q | gen_group[1].group4_q | gen_group[2].group4_q | gen_group[3].group4_q;
    for (int unsigned k = 2; k <= Ahead; k++) known4 |= pushed(ahead_q[k][Cycles-1], pushed_q[k-1], pushed_translated_q[k-1]);
  endfunction

  assign relation_o = known5_q | pushed(ahead_q[1][Cycles], pushed_q[1], pushed_translated_q[1]);

  // --- Numbers that are free: after reset all are put in, one a cycle.
  logic                  filling, free_ready;
  logic [NumberBits:0]   fill_q;
  logic [NumberBits+1:0] unused_count;

  ps_fifo #(
    .Width($bits(number_t)),
    .Depth(Entries),
    .Style("distributed")
  ) u_free (
    .clk_i,
    .rst_i,
    .wvalid_i(filling || retire),
    .wready_o(free_ready),
    .wdata_i (filling ? number_t'(fill_q) : retire_number),
    .rvalid_o(number_valid),
    .rready_i(pushed_q[1]),
    .rdata_o (number_q),
    .count_o (unused_count)
  );

  assign number_o = number_q;

  // --- Done: one bank a cycle is searched, what it has lingers in the order of its being found. It is noted two cycles after its bank's
  // turn, before the next one.
  localparam int unsigned StampBits = $clog2(2 * Linger);

  logic [StampBits-1:0]     now_q;
  logic [$clog2(Banks)-1:0] bank_q, bank1_q;
  logic [BankSize-1:0]      ripe1_q;
  logic                     found_q, waits;
  number_t                  found_number, found_number_q, waits_number;
  logic [StampBits-1:0]     waits_since;
  logic                     ripe_q, unused_ready;
  logic [NumberBits+1:0]   unused_waiting;

  always_comb begin
    found_number = '0;
    for (int unsigned i = BankSize; i > 0; i--) begin
      if (ripe1_q[i-1]) found_number = number_t'((i - 1) * Banks + 32'(bank1_q));
    end
  end

  ps_fifo #(
    .Width($bits(number_t) + StampBits),
    .Depth(Entries),
    .Style("distributed")
  ) u_linger (
    .clk_i,
    .rst_i,
    .wvalid_i(found_q),
    .wready_o(unused_ready),
    .wdata_i ({found_number_q, now_q}),
    .rvalid_o(waits),
    .rready_i(retire),
    .rdata_o ({waits_number, waits_since}),
    .count_o (unused_waiting)
  );

  assign retire        = waits && ripe_q && !filling;
  assign retire_number = waits_number;
  assign busy_o        = valid_q != '0 || pushed_q != '0;

  logic [FlowWays-1:0] done_valid_q;
  row_op_for_t [FlowWays-1:0] done_q;

  always_ff @(posedge clk_i) begin
    done_valid_q <= done_valid_i;
    for (int unsigned w = 0; w < FlowWays; w++) if (done_valid_i[w]) done_q[w] <= done_i[w];
    if (pushed_q[1]) begin
      entry_q[number_q] <= look_q[Cycles+1];
      for (int unsigned i = 0; i < Entries; i++) begin
        if (number_q == number_t'(i)) begin
          valid_q[i]      <= 1'b1;
          translated_q[i] <= pushed_translated_q[1];
        end
      end
    end
    for (int unsigned w = 0; w < FlowWays; w++) begin
      if (done_valid_q[w] && done_q[w].pending) begin
        for (int unsigned i = 0; i < Entries; i++) begin
          if (done_q[w].number == number_t'(i)) begin
            if (done_q[w].reverse) second_q[i] <= 1'b1;
            else first_q[i] <= 1'b1;
          end
        end
      end
    end
    if (drop_valid_i) begin
      for (int unsigned i = 0; i < Entries; i++) if (drop_i == number_t'(i)) {first_q[i], second_q[i]} <= 2'b11;
    end
    if (found_q) begin
      for (int unsigned i = 0; i < Entries; i++) if (found_number_q == number_t'(i)) {first_q[i], second_q[i]} <= 2'b00;
    end
    if (retire) begin
      for (int unsigned i = 0; i < Entries; i++) if (retire_number == number_t'(i)) valid_q[i] <= 1'b0;
    end
    bank_q  <= bank_q + 1'b1;
    bank1_q <= bank_q;
    for (int unsigned i = 0; i < BankSize; i++) begin
      ripe1_q[i] <= first_q[i*Banks + 32'(bank_q)] && second_q[i*Banks + 32'(bank_q)];
    end
    found_q        <= ripe1_q != '0;
    found_number_q <= found_number;
    now_q  <= now_q + 1'b1;
    ripe_q <= StampBits'(now_q - waits_since) >= StampBits'(Linger - 1) && waits && !retire;    // the stamp is a cycle late
    free_q <= free_q + ($clog2(Entries) + 1)'(retire) - ($clog2(Entries) + 1)'(pushed_q[1]);
    room_o <= free_q > ($clog2(Entries) + 1)'(Margin) && !filling;
    if (filling) begin
      fill_q  <= fill_q + 1'b1;
      filling <= fill_q != (NumberBits + 1)'(Entries - 1);
    end
    if (rst_i) begin
      valid_q  <= '0;
      first_q  <= '0;
      second_q <= '0;
      ripe1_q  <= '0;
      found_q  <= 1'b0;
      bank_q   <= '0;
      now_q    <= '0;
      ripe_q   <= 1'b0;
      fill_q   <= '0;
      filling  <= 1'b1;
      free_q   <= ($clog2(Entries) + 1)'(Entries);
      room_o   <= 1'b0;
      done_valid_q <= '0;
    end
  end

  logic unused_bits;
  assign unused_bits = ^{unused_count, unused_waiting, unused_ready, free_ready};

`ifndef SYNTHESIS
  a_room    : assert property (@(posedge clk_i) disable iff (rst_i) pushed_q[1] |-> number_valid && !valid_q[number_q]);
  a_retired : assert property (@(posedge clk_i) disable iff (rst_i) retire |-> valid_q[retire_number]);
  a_pending : assert property (@(posedge clk_i) disable iff (rst_i) drop_valid_i |-> valid_q[drop_i]);
  initial assert (Entries % (Groups * Banks) == 0 && Banks > 3 && Groups == 4 && Cycles == 5)
    else $fatal(1, "ps_flow_window: entries do not divide, or the stages are others");
`endif

endmodule
