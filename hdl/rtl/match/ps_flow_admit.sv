// Admission (section 9.1): whether a packet that asks for a pair of flow entries may leave, and what is asked in the end.
//
// Latency:    admit_cycles(RowsLog2) (10 with 4 Ki rows) from valid_i; one packet every cycle. early_key_i is the reverse key, with
//             early_valid_i a cycle before valid_i. refused_o stands with the verdict that it overrules.
// Stages:     hash of the reverse key | what can be taken now | probe of the table, beside the window | decision
// Exact:      everything that the decision needs is known when it is made: the room of all stores that a request goes through, the
//             requests of all packets ahead. So what is refused never leaves, and what leaves translated has been admitted.
// Taken:      a packet whose request could not be taken does not probe, so that those who write get turns of the port; it is refused or
//             deferred for that, unless something pending explains it.
// Shares:     what the packet's vif and tunnel may have (ps_flow_shares) is told in the cycle of the decision, with the pairs of all ahead.
// Refused:    refusal_valid_o/refusal_o a cycle after the verdict, for whoever tells the host.
// Out:        counts a cycle after the verdict. So is the request, with a pair and a number of the window if it writes one.
module ps_flow_admit
  import ps_abi_pkg::*;
  import ps_match_pkg::*;
  import ps_pair_pkg::*;
#(
  parameter int unsigned RowsLog2 = FlowRowsLog2,
  parameter int unsigned Linger   = LingerCycles    // longer than from a look-up's read to the window's
) (
  input  logic          clk_i,
  input  logic          rst_i,
  input  logic          flush_i,         // tables are being cleared
  input  logic [191:0]  secret_i,
  input  logic          early_valid_i,
  input  flow_key_t     early_key_i,
  input  logic          valid_i,
  input  pair_ask_t     ask_i,

  output logic          valid_o,
  output logic          refused_o,       // drop, whatever the verdict says
  output drop_reason_e  reason_o,        // if refused
  output logic          deferred_o,
  output logic          counts_o,        // the packet counts on a flow,
  output pair_count_t   count_o,         // this one
  output logic          refusal_valid_o,
  output pair_news_t    refusal_o,
  output logic          busy_o,

  output logic          probe_valid_o,
  output logic          probe_rests_o,   // !probe_valid_o, which has row and key as loads
  output rows_t         probe_rows_o,
  output flow_key_t     probe_key_o,
  output pair_t         probe_pair_o,
  input  way_found_t    probe_found_i,

  input  logic          ready_i,         // of ps_flow_engine
  input  logic          none_waits_i,
  input  logic          crowded_i,         // there is no room for translated pairs that begin
  input  logic          pressed_i,         // nor for plain ones
  input  logic          over_i,            // in the cycle of the decision: one of the packet's shares has what it may have
  output logic          over_refused_o,    // a cycle later: it was refused for that
  input  logic          free_valid_i,
  input  free_pair_t    free_i,
  output logic          free_take_o,
  output logic          request_valid_o,
  output flow_request_t request_o,
  input  logic        [FlowWays-1:0] done_valid_i,
  input  row_op_for_t [FlowWays-1:0] done_i,
  input  logic          drop_valid_i,
  input  number_t       drop_i
);

  localparam int unsigned Hashed  = HashCycles - 1;                  // after valid_i: the reverse key's hash stands
  localparam int unsigned Decides = admit_cycles(RowsLog2) - 1;      // the decision is made
  localparam int unsigned Late    = Decides - Hashed - WindowCycles; // the window is faster than the rows

  // What of a packet is decided upon. One of move, reverse and pair, if it asks.
  typedef struct packed {
    logic move;           // or whether its own pair is dead
    logic reverse;
    logic pair;
    logic begins;         // a new translated pair
    logic begins_plain;   // or one that is neither translated nor sent through a group
    logic translated;
    logic plain;
    logic early;          // may take the place of what a reply without its entry began
    logic found;
    logic counts;
    logic counts_on;      // a re-pin that goes on counting where it did
  } facts_t;

  typedef struct packed {
    logic         drop;
    drop_reason_e reason;     // if drop
    logic         push;
    logic         pair;       // push, of a request that writes a pair
    logic         dead;       // push, but to ask whether the pair in the way is dead
    logic         deferred;
    logic         over;       // for its shares, with drop or deferred
  } outcome_t;

  flow_hash_t            hash;
  flow_key_t             key_q [Hashed+1];
  logic [Decides:1]      valid_q;
  facts_t                facts, facts_q [1:Decides];
  pair_ask_t             ask;            // a cycle after the decision
  logic                  asked;
  logic                  takes, room, rests_q;
  logic [Decides-Hashed:0] takes_q;
  rows_t                 rows_q [1:Decides-Hashed+1];
  pair_t                 pair_q [1:Hashed];
  print_t                print_q [1:Hashed];
  print_t                look_forward, look_reverse;
  relation_t             relation;
  outcome_t              outcome, outcome_q;
  logic                  crowds_q;
  logic                  decided_q, in_way_q, counts_q, counts_on_q;
  number_t               number;
  flow_request_t         request;

  ps_flow_hash u_hash (
    .clk_i,
    .secret_i,
    .valid_i (early_valid_i),
    .wanted_i(facts.pair),
    .key_i   (early_key_i),
    .hash_o  (hash)
  );

  ps_delay #(
    .Width ($bits(pair_ask_t)),
    .Cycles(Decides + 1)
  ) u_ask (
    .clk_i,
    .rst_i,
    .valid_i,
    .data_i (ask_i),
    .valid_o(asked),
    .data_o (ask)
  );

  always_comb begin
    facts.move       = valid_i && ask_i.valid && ask_i.kind inside {LearnMove, LearnDead};
    facts.reverse    = valid_i && ask_i.valid && ask_i.kind == LearnReverse;
    facts.pair       = valid_i && ask_i.valid && asks_pair(ask_i.kind);
    facts.begins     = ask_i.kind == LearnNew && ask_i.translated;
    facts.begins_plain = ask_i.kind == LearnNew && ask_i.plain;
    facts.translated = ask_i.translated;
    facts.plain      = ask_i.plain;
    facts.early      = ask_i.translated && ask_i.key.proto != ProtoTcp;
    facts.found      = ask_i.found;
    facts.counts     = ask_i.counts;
    facts.counts_on  = ask_i.kind == LearnRepin && !ask_i.count.reverse;
  end

  // --- What can be taken now: by the engine, the window, the store of pairs. All leave what is under way its place.
  assign takes         = facts_q[Hashed-1].pair && ready_i && room && free_valid_i && !flush_i;
  assign probe_valid_o = takes_q[0];
  assign probe_rests_o = rests_q;
  assign probe_rows_o  = rows_of(hash, RowsLog2);
  assign probe_key_o   = key_q[Hashed];
  assign probe_pair_o  = pair_q[Hashed];

  if (Late == 0) begin : gen_window_at_once
    assign look_forward = print_q[Hashed];
    assign look_reverse = hash.print;
  end else begin : gen_window_late
    print_t [Late-1:0] forward_q, reverse_q;

    always_ff @(posedge clk_i) begin
      if (facts_q[Hashed].pair) begin
        forward_q[0] <= print_q[Hashed];
        reverse_q[0] <= hash.print;
      end
      for (int unsigned i = 1; i < Late; i++) begin
        if (facts_q[Hashed+i].pair) begin
          forward_q[i] <= forward_q[i-1];
          reverse_q[i] <= reverse_q[i-1];
        end
      end
    end

    assign look_forward = forward_q[Late-1];
    assign look_reverse = reverse_q[Late-1];
  end

  logic window_busy;

  ps_flow_window #(
    .Linger(Linger)
  ) u_window (
    .clk_i,
    .rst_i            (rst_i || flush_i),
    .look_i           (facts_q[Hashed+Late].pair),
    .forward_i        (look_forward),
    .reverse_i        (look_reverse),
    .relation_o       (relation),
    .push_i           (outcome.pair),
    .push_translated_i(facts_q[Decides].translated),
    .number_o         (number),
    .room_o           (room),
    .done_valid_i,
    .done_i,
    .drop_valid_i,
    .drop_i,
    .busy_o           (window_busy)
  );

  // --- Section 9.1 in its order; what is pending comes first, as it explains what the table holds half of.
  /* verilator lint_off UNUSEDSIGNAL */  // of the packet what is decided upon now
  function automatic outcome_t admit(input facts_t of, input relation_t pending, input way_found_t present,
                                     input logic over, input logic crowds, input logic taken, input logic idle, input logic ready);
    /* verilator lint_on UNUSEDSIGNAL */
    logic in_way, moved, early, explained, limits;
    // The two exceptions: one connection whose far end has moved, and one that a reply without its entry began.
    moved     = of.plain && present.tag.plain;
    early     = of.early && present.tag.plain && !present.tag.reverse;
    in_way    = present.hit && !(of.found && present.own) && !moved && !early;
    explained = pending.same || pending.reply || pending.other;
    limits    = over && !present.hit;     // what takes the place of another is not refused
    admit     = '{drop: 1'b0, reason: DropFlowClash, push: 1'b0, pair: 1'b0, dead: 1'b0, deferred: 1'b0, over: 1'b0};
    if (of.move) begin
      // The packet is dropped already; it asks only if nothing waits.
      admit.push = idle && ready;
    end else if (of.reverse) begin
      admit.push     = ready;
      admit.deferred = !ready;
    end else if (of.pair) begin
      if (pending.same) begin
        admit.drop = 1'b0;
      end else if (pending.reply) begin
        admit.drop   = pending.reply_translated;
        admit.reason = DropFlowUnusable;
      end else if (pending.other) begin
        admit.drop = of.translated || pending.other_translated;
      end else if (!taken) begin
        admit.drop     = of.translated;
        admit.reason   = DropFlowQueueFull;
        admit.deferred = !of.translated;
      end else if (in_way) begin
        admit.drop = 1'b1;
        admit.push = idle;
        admit.dead = 1'b1;
      end else if (limits) begin
        admit.drop     = of.translated;
        admit.reason   = DropFlowQuota;
        admit.deferred = !of.translated;
        admit.over     = 1'b1;
      end else if (crowds) begin
        admit.drop     = of.translated;
        admit.reason   = DropFlowTableFull;
        admit.deferred = !of.translated;
      end
    end
    // Who is taken asks for a pair.
    admit.pair  = taken && !explained && !in_way && !limits && !crowds;
    admit.push |= admit.pair;
  endfunction

  assign outcome = admit(facts_q[Decides], relation, probe_found_i, over_i, crowds_q, takes_q[Decides-Hashed], none_waits_i, ready_i);

  always_comb begin
    request              = '0;
    request.kind         = outcome_q.dead ? LearnDead : ask.kind;
    request.slow         = in_way_q;
    request.number       = number;
    request.fresh        = '{pair: free_i.pair, generation: free_i.generation + 8'd1,
                             reverse_generation: free_i.reverse_generation + 8'd1};
    request.plain        = ask.plain;
    request.affinity     = ask.affinity;
    request.far_service  = ask.far_service;
    request.key          = outcome_q.dead ? ask.reverse_key : ask.key;
    request.rows         = outcome_q.dead ? rows_q[Decides-Hashed+1] : rows_of(ask.hash, RowsLog2);
    request.reverse_key  = ask.reverse_key;
    request.reverse_rows = rows_q[Decides-Hashed+1];
    request.facts        = ask.facts;
    request.reverse_info = ask.reverse_info;
    request.reverse_rpf  = ask.reverse_rpf;
  end

  assign refusal_valid_o = decided_q && outcome_q.drop;

  always_comb begin
    refusal_o        = '0;
    refusal_o.kind   = 3'(EventFlowRefused);
    refusal_o.reason = outcome_q.reason;
    refusal_o.key    = ask.key;
    refusal_o.plain  = ask.plain;
    refusal_o.ties   = ties_of({flow_facts_t'('0), ask.facts});
  end

  assign free_take_o    = outcome_q.pair;
  assign over_refused_o = outcome_q.over;

  always_ff @(posedge clk_i) begin
    // Of who asks for a pair; what is of others rests.
    if (early_valid_i) key_q[0] <= early_key_i;
    if (valid_i) begin
      key_q[1]   <= key_q[0];
      pair_q[1]  <= ask_i.count.pair;
      print_q[1] <= ask_i.hash.print;
    end
    for (int unsigned i = 2; i <= Hashed; i++) begin
      if (facts_q[i-1].pair) begin
        key_q[i]   <= key_q[i-1];
        pair_q[i]  <= pair_q[i-1];
        print_q[i] <= print_q[i-1];
      end
    end
    if (facts_q[Hashed].pair) rows_q[1] <= rows_of(hash, RowsLog2);
    for (int unsigned i = 2; i <= Decides - Hashed + 1; i++) if (takes_q[i-1]) rows_q[i] <= rows_q[i-1];
    valid_q    <= {valid_q[Decides-1:1], valid_i};
    facts_q[1] <= facts;
    for (int unsigned i = 2; i <= Decides; i++) facts_q[i] <= facts_q[i-1];
    takes_q   <= {takes_q[Decides-Hashed-1:0], takes};
    rests_q   <= !takes;
    crowds_q  <= (facts_q[Decides-1].begins && crowded_i) || (facts_q[Decides-1].begins_plain && pressed_i);

    // The verdict
    valid_o    <= valid_q[Decides];
    refused_o  <= outcome.drop;
    reason_o   <= outcome.reason;
    deferred_o <= outcome.deferred;
    // and what follows from it, a cycle later.
    decided_q      <= valid_q[Decides];
    outcome_q      <= outcome;
    outcome_q.push <= outcome.push && !flush_i;
    outcome_q.pair <= outcome.pair && !flush_i;
    in_way_q       <= probe_found_i.hit;
    counts_q       <= facts_q[Decides].counts;
    counts_on_q    <= facts_q[Decides].counts_on;

    request_valid_o <= outcome_q.push;
    if (outcome_q.push) request_o <= request;
    // A pair that begins counts its first packet; a re-pin of a forward entry goes on counting where it did.
    counts_o <= decided_q && counts_q && !outcome_q.drop;
    if (decided_q) count_o <= ask.count;
    if (outcome_q.pair && !counts_on_q) begin
      counts_o           <= 1'b1;
      count_o.pair       <= free_i.pair;
      count_o.age.plain  <= ask.plain;
      count_o.reverse    <= 1'b0;
      count_o.generation <= free_i.generation + 8'd1;
    end
    busy_o <= window_busy || valid_q != '0 || valid_i || decided_q || request_valid_o || counts_o;
    if (rst_i) begin
      valid_q         <= '0;
      takes_q         <= '0;
      rests_q         <= 1'b1;
      for (int unsigned i = 1; i <= Decides; i++) {facts_q[i].move, facts_q[i].reverse, facts_q[i].pair} <= '0;
      outcome_q.push  <= 1'b0;
      outcome_q.pair  <= 1'b0;
      outcome_q.over  <= 1'b0;
      request_valid_o <= 1'b0;
      valid_o         <= 1'b0;
      decided_q       <= 1'b0;
      counts_o        <= 1'b0;
    end
  end

  logic unused_bits;
  assign unused_bits = ^{ask, outcome_q, asked};

`ifndef SYNTHESIS
  always @(posedge clk_i) begin
    if (!rst_i && !flush_i && facts.pair) a_early : assert (ask_i.reverse_key == key_q[0]);
  end
  // No translated packet leaves without its pair: found, pending, or admitted now.
  a_whole : assert property (@(posedge clk_i) disable iff (rst_i || flush_i)
      facts_q[Decides].pair && facts_q[Decides].translated |-> outcome.drop || relation.same || relation.reply || outcome.pair);
  a_rests  : assert property (@(posedge clk_i) disable iff (rst_i) probe_rests_o == !probe_valid_o);
  a_stands : assert property (@(posedge clk_i) disable iff (rst_i) asked == decided_q);
  // A pair is there for whoever may take one.
  a_pair : assert property (@(posedge clk_i) disable iff (rst_i || flush_i) free_take_o |-> free_valid_i);
  initial assert (Decides >= Hashed + WindowCycles) else $fatal(1, "ps_flow_admit: the decision is before the window's answer");
`endif

endmodule
