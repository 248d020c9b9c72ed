// Admission (section 9.1): whether a packet that asks for a pair of flow entries may leave, and what is asked in the end.
//
// Latency:    admit_cycles(RowsLog2) (10 with 4 Ki rows) from valid_i; one packet every cycle. early_key_i is the reverse key, a cycle
//             before valid_i. refused_o stands with the verdict that it overrules.
// Stages:     hash of the reverse key | what can be taken now | probe of the table, beside the window | decision
// Exact:      everything that the decision needs is known when it is made: the room of all stores that a request goes through, the
//             requests of all packets ahead. So what is refused never leaves, and what leaves translated has been admitted.
// Taken:      a packet whose request could not be taken does not probe, so that those who write get turns of the port; it is refused or
//             deferred for that, unless something pending explains it.
// Out:        counts with the verdict. The request, with a pair and a number of the window if it writes one, a cycle after the decision.
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
  input  flow_key_t     early_key_i,
  input  logic          valid_i,
  input  pair_ask_t     ask_i,

  output logic          valid_o,
  output logic          refused_o,       // drop, whatever the verdict says
  output drop_reason_e  reason_o,        // if refused
  output logic          deferred_o,
  output logic          counts_o,        // the packet counts on a flow,
  output pair_count_t   count_o,         // this one
  output logic          busy_o,

  output logic          probe_valid_o,
  output rows_t         probe_rows_o,
  output flow_key_t     probe_key_o,
  output pair_t         probe_pair_o,
  input  way_found_t    probe_found_i,

  input  logic          ready_i,         // of ps_flow_engine
  input  logic          none_waits_i,
  input  logic          crowded_i,
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

  typedef struct packed {
    logic         drop;
    drop_reason_e reason;     // if drop
    logic         push;
    logic         dead;       // push, but to ask whether the pair in the way is dead
    logic         deferred;
  } outcome_t;

  flow_hash_t            hash;
  flow_key_t             key_q [Hashed+1];
  logic [Decides:1]      valid_q;
  pair_ask_t             ask;
  logic                  asked;
  logic                  takes, room;
  logic [Decides-Hashed:1] takes_q;
  rows_t                 rows_q [1:Decides-Hashed];
  pair_t                 pair_q [1:Hashed];
  logic [Hashed:1]       pair_kind_q;
  print_t                print_q [1:Hashed];
  print_t                look_forward, look_reverse;
  relation_t             relation;
  outcome_t              outcome;
  logic                  push, pair_push;
  number_t               number;
  flow_request_t         request;

  ps_flow_hash u_hash (
    .clk_i,
    .secret_i,
    .key_i   (early_key_i),
    .hash_o  (hash)
  );

  ps_delay #(
    .Width ($bits(pair_ask_t)),
    .Cycles(Decides)
  ) u_ask (
    .clk_i,
    .rst_i,
    .valid_i,
    .data_i (ask_i),
    .valid_o(asked),
    .data_o (ask)
  );

  // --- What can be taken now: by the engine, the window, the store of pairs. All leave what is under way its place.
  assign takes         = valid_q[Hashed] && pair_kind_q[Hashed] && ready_i && room && free_valid_i && !flush_i;
  assign probe_valid_o = takes;
  assign probe_rows_o  = rows_of(hash, RowsLog2);
  assign probe_key_o   = key_q[Hashed];
  assign probe_pair_o  = pair_q[Hashed];

  if (Late == 0) begin : gen_window_at_once
    assign look_forward = print_q[Hashed];
    assign look_reverse = hash.print;
  end else begin : gen_window_late
    print_t [Late-1:0] forward_q, reverse_q;

    always_ff @(posedge clk_i) begin
      forward_q[0] <= print_q[Hashed];
      reverse_q[0] <= hash.print;
      for (int unsigned i = 1; i < Late; i++) begin
        forward_q[i] <= forward_q[i-1];
        reverse_q[i] <= reverse_q[i-1];
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
    .forward_i        (look_forward),
    .reverse_i        (look_reverse),
    .relation_o       (relation),
    .push_i           (pair_push),
    .push_translated_i(ask.translated),
    .number_o         (number),
    .room_o           (room),
    .done_valid_i,
    .done_i,
    .drop_valid_i,
    .drop_i,
    .busy_o           (window_busy)
  );

  // --- Section 9.1 in its order; what is pending comes first, as it explains what the table holds half of.
  /* verilator lint_off UNUSEDSIGNAL */  // of the request only its kind and protocol
  function automatic outcome_t admit(input pair_ask_t of, input relation_t pending, input way_found_t present,
                                     input logic crowded, input logic taken, input logic idle, input logic ready);
    /* verilator lint_on UNUSEDSIGNAL */
    logic stranger, moved, early;
    stranger = present.hit && !(of.found && present.own);
    // The two exceptions: one connection whose far end has moved, and one that a reply without its entry began.
    moved    = of.plain && present.tag.plain;
    early    = of.translated && of.key.proto != ProtoTcp && present.tag.plain && !present.tag.reverse;
    admit    = '{drop: 1'b0, reason: DropFlowClash, push: 1'b0, dead: 1'b0, deferred: 1'b0};
    if (!of.valid) begin
      admit.push = 1'b0;
    end else if (of.kind == LearnMove) begin
      // The packet is dropped already; it asks only if nothing waits.
      admit.push = idle && ready;
    end else if (of.kind == LearnReverse) begin
      admit.push     = ready;
      admit.deferred = !ready;
    end else if (pending.same) begin
      admit.push = 1'b0;
    end else if (pending.reply) begin
      admit.drop   = pending.reply_translated;
      admit.reason = DropFlowUnusable;
    end else if (pending.other) begin
      admit.drop = of.translated || pending.other_translated;
    end else if (!taken) begin
      admit.drop     = of.translated;
      admit.reason   = DropFlowQueueFull;
      admit.deferred = !of.translated;
    end else if (stranger && !moved && !early) begin
      admit.drop = 1'b1;
      admit.push = idle;
      admit.dead = 1'b1;
    end else if (of.kind == LearnNew && of.translated && crowded) begin
      admit.drop   = 1'b1;
      admit.reason = DropFlowTableFull;
    end else begin
      admit.push = 1'b1;
    end
  endfunction

  assign outcome   = admit(ask, relation, probe_found_i, crowded_i, takes_q[Decides-Hashed], none_waits_i, ready_i);
  assign push      = asked && outcome.push && !flush_i;
  assign pair_push = push && asks_pair(ask.kind) && !outcome.dead;

  always_comb begin
    request              = '0;
    request.kind         = outcome.dead ? LearnDead : ask.kind;
    request.slow         = probe_found_i.hit;
    request.number       = number;
    request.fresh        = '{pair: free_i.pair, generation: free_i.generation + 8'd1,
                             reverse_generation: free_i.reverse_generation + 8'd1};
    request.plain        = ask.plain;
    request.key          = outcome.dead ? ask.reverse_key : ask.key;
    request.rows         = outcome.dead ? rows_q[Decides-Hashed] : rows_of(ask.hash, RowsLog2);
    request.reverse_key  = ask.reverse_key;
    request.reverse_rows = rows_q[Decides-Hashed];
    request.facts        = ask.facts;
    request.reverse_info = ask.reverse_info;
    request.reverse_rpf  = ask.reverse_rpf;
  end

  assign free_take_o = pair_push;

  always_ff @(posedge clk_i) begin
    key_q[0] <= early_key_i;
    for (int unsigned i = 1; i <= Hashed; i++) key_q[i] <= key_q[i-1];
    valid_q        <= {valid_q[Decides-1:1], valid_i};
    pair_q[1]      <= ask_i.count.pair;
    pair_kind_q    <= {pair_kind_q[Hashed-1:1], ask_i.valid && asks_pair(ask_i.kind)};
    print_q[1]     <= ask_i.hash.print;
    for (int unsigned i = 2; i <= Hashed; i++) begin
      pair_q[i]  <= pair_q[i-1];
      print_q[i] <= print_q[i-1];
    end
    rows_q[1] <= rows_of(hash, RowsLog2);
    for (int unsigned i = 2; i <= Decides - Hashed; i++) rows_q[i] <= rows_q[i-1];
    takes_q         <= {takes_q[Decides-Hashed-1:1], takes};
    request_valid_o <= push;
    request_o       <= request;
    valid_o         <= asked;
    refused_o       <= outcome.drop;
    reason_o        <= outcome.reason;
    deferred_o      <= asked && outcome.deferred;
    // A pair that begins counts its first packet; a re-pin of a forward entry goes on counting where it did.
    count_o  <= ask.count;
    counts_o <= asked && ask.counts && !outcome.drop;
    if (pair_push && !(ask.kind == LearnRepin && !ask.count.reverse)) begin
      counts_o           <= 1'b1;
      count_o.pair       <= free_i.pair;
      count_o.reverse    <= 1'b0;
      count_o.generation <= free_i.generation + 8'd1;
    end
    busy_o <= window_busy || valid_q != '0 || valid_i || request_valid_o;
    if (rst_i) begin
      valid_q         <= '0;
      takes_q         <= '0;
      request_valid_o <= 1'b0;
      valid_o         <= 1'b0;
      counts_o        <= 1'b0;
    end
  end

`ifndef SYNTHESIS
  a_early : assert property (@(posedge clk_i) disable iff (rst_i || flush_i)
      valid_i && ask_i.valid && asks_pair(ask_i.kind) |-> ask_i.reverse_key == key_q[0]);
  // No translated packet leaves without its pair: found, pending, or admitted now.
  a_whole : assert property (@(posedge clk_i) disable iff (rst_i || flush_i)
      asked && ask.valid && ask.translated && asks_pair(ask.kind) |->
      outcome.drop || relation.same || relation.reply || pair_push);
  // A pair is there for whoever may take one.
  a_pair : assert property (@(posedge clk_i) disable iff (rst_i || flush_i) free_take_o |-> free_valid_i);
  initial assert (Decides >= Hashed + WindowCycles) else $fatal(1, "ps_flow_admit: the decision is before the window's answer");
`endif

endmodule
