// Admission (section 9.1): whether a packet that asks for a pair of flow entries may leave, and what is asked in the end.
//
// Latency:    AdmitCycles (5), and ends with ps_edit; one packet every cycle. refused_o stands with the verdict that it overrules.
// Out:        the packet's final counts with the verdict; its request one cycle before (learn_valid_o, at most one a cycle,
//             only with learn_ready_i).
// Stages:     1 hash of the reverse key | 2 compare with requests under way | 3 probe of the table | 4 decision
// Exact:      everything that the decision needs is known when it is made: the room of the queue, the requests of all packets
//             ahead. So what is refused never leaves, and what leaves translated has been admitted.
module ps_admit
  import ps_abi_pkg::*;
  import ps_types_pkg::*;
  import ps_match_pkg::*;
(
  input  logic         clk_i,
  input  logic         rst_i,
  input  logic         flush_i,         // tables are being cleared
  input  logic         valid_i,
  input  ask_t         ask_i,
  input  count_t       count_i,

  output logic         valid_o,
  output logic         refused_o,       // drop, whatever the verdict says
  output count_t       count_o,
  output logic         busy_o,

  input  logic         crowded_i,       // more than three quarters of the table are in use
  output logic         learn_valid_o,
  input  logic         learn_ready_i,
  input  logic         learn_idle_i,    // no request waits
  output learn_t       learn_o,
  input  logic         served_i,        // a request for a pair has been executed

  input  logic         slot_we_i,       // writes of the flow table's keys
  input  logic         mark_we_i,
  input  flow_index_t  slot_index_i,
  input  flow_slot_t   slot_wdata_i,
  input  slot_mark_t   mark_i
);

  // What of a packet waits for the decision.
  typedef struct packed {
    ask_t   ask;
    count_t count;
  } packet_t;

  typedef struct packed {
    logic         drop;
    drop_reason_e reason;     // if drop
    logic         push;
    logic         dead;       // push, but to ask whether the pair in the way is dead
    logic         deferred;
  } outcome_t;

  logic        valid1_q, pair1_q, valid4;
  flow_key_t   reverse1_q;
  print_t      print1_q, print2_q, reverse_print2_q;
  logic [63:0] hash1_q;
  packet_t     packet4;
  probe_t      probe;
  relation_t   relation;
  logic        room, pair_push;
  outcome_t    outcome;

  ps_delay #(
    .Width ($bits(packet_t)),
    .Cycles(AdmitCycles - 1)
  ) u_packet (
    .clk_i,
    .rst_i,
    .valid_i,
    .data_i ({ask_i, count_i}),
    .valid_o(valid4),
    .data_o (packet4)
  );

  ps_flow_probe u_probe (
    .clk_i,
    .rst_i,
    .valid_i(valid1_q && pair1_q),
    .key_i  (reverse1_q),
    .hash_i (hash1_q),
    .probe_o(probe),
    .slot_we_i,
    .mark_we_i,
    .slot_index_i,
    .slot_wdata_i,
    .mark_i
  );

  ps_pending u_pending (
    .clk_i,
    .rst_i            (rst_i || flush_i),
    .forward_i        (print2_q),
    .reverse_i        (reverse_print2_q),
    .relation_o       (relation),
    .push_i           (pair_push),
    .push_translated_i(packet4.ask.translated),
    .room_o           (room),
    .served_i,
    .busy_o
  );

  // Section 9.1 in its order; what is under way comes first, as it explains what the table holds half of.
  /* verilator lint_off UNUSEDSIGNAL */  // of the request only its kind and protocol
  function automatic outcome_t admit(input ask_t ask, input relation_t pending, input probe_t present,
                                     input logic crowded, input logic ready, input logic idle);
    /* verilator lint_on UNUSEDSIGNAL */
    logic stranger, moved, early;
    stranger = present.hit && !(ask.found && present.index == ask.partner);
    // The two exceptions: one connection whose far end has moved, and one that a reply without its entry began.
    moved    = ask.plain && present.mark.plain;
    early    = ask.translated && ask.learn.key.proto != ProtoTcp && present.mark.plain && present.mark.forward;
    admit    = '{drop: 1'b0, reason: DropFlowClash, push: 1'b0, dead: 1'b0, deferred: 1'b0};
    if (!ask.valid) begin
      admit.push = 1'b0;
    end else if (ask.learn.kind == LearnMove) begin
      // The packet is dropped already; it asks only if nothing waits.
      admit.push = idle;
    end else if (ask.learn.kind == LearnReverse) begin
      admit.push     = ready;
      admit.deferred = !ready;
    end else if (pending.same) begin
      admit.push = 1'b0;
    end else if (pending.reply) begin
      admit.drop   = pending.reply_translated;
      admit.reason = DropFlowUnusable;
    end else if (pending.other) begin
      admit.drop = ask.translated || pending.other_translated;
    end else if (stranger && !moved && !early) begin
      admit.drop = 1'b1;
      admit.push = idle;
      admit.dead = 1'b1;
    end else if (ask.learn.kind == LearnNew && ask.translated && crowded) begin
      admit.drop   = 1'b1;
      admit.reason = DropFlowTableFull;
    end else if (!ready) begin
      admit.drop     = ask.translated;
      admit.reason   = DropFlowQueueFull;
      admit.deferred = !ask.translated;
    end else begin
      admit.push = 1'b1;
    end
  endfunction

  assign outcome = admit(packet4.ask, relation, probe, crowded_i, learn_ready_i && room, learn_idle_i);

  assign learn_valid_o = valid4 && outcome.push && !flush_i;
  assign pair_push     = learn_valid_o && asks_pair(learn_o.kind);

  always_comb begin
    learn_o = packet4.ask.learn;
    if (outcome.dead) begin
      learn_o.kind = LearnDead;
      learn_o.key  = packet4.ask.learn.reverse_key;
    end
  end

  always_ff @(posedge clk_i) begin
    if (valid_i) begin
      reverse1_q <= ask_i.learn.reverse_key;
      hash1_q    <= key_hash({8'd0, ask_i.learn.reverse_key});
      print1_q   <= ask_i.print;
      pair1_q    <= ask_i.valid && asks_pair(ask_i.learn.kind);
    end
    print2_q         <= print1_q;
    reverse_print2_q <= print_of(hash1_q);
    if (valid4) begin
      refused_o        <= outcome.drop;
      count_o          <= packet4.count;
      count_o.deferred <= outcome.deferred;
      if (outcome.drop) begin
        count_o.drop   <= 1'b1;
        count_o.reason <= outcome.reason;
        count_o.tx     <= 1'b0;
        count_o.flow   <= 1'b0;
      end
    end
    valid1_q <= valid_i && !rst_i;
    valid_o  <= valid4 && !rst_i;
  end

`ifndef SYNTHESIS
  // Only what would be forwarded asks for a pair; a packet with a move is dropped already.
  a_forwarded : assert property (@(posedge clk_i) disable iff (rst_i)
      valid4 && packet4.ask.valid |-> packet4.count.drop == (packet4.ask.learn.kind == LearnMove));
  a_ready : assert property (@(posedge clk_i) disable iff (rst_i || flush_i) learn_valid_o |-> learn_ready_i);
  // No translated packet leaves without its pair: found, under way, or admitted now.
  a_whole : assert property (@(posedge clk_i) disable iff (rst_i || flush_i)
      valid4 && packet4.ask.valid && packet4.ask.translated && asks_pair(packet4.ask.learn.kind) |->
      outcome.drop || relation.same || relation.reply || pair_push);
  initial assert (AdmitCycles == 5) else $fatal(1, "ps_admit: its stages do not end with ps_edit's");
`endif

endmodule
