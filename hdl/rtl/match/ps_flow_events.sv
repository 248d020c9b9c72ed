// Tells the host what becomes of pairs of flow entries (section 9.8): events wait here until the event ring takes them.
//
// In:         news_valid_i/news_i, of pairs, and refused_valid_i/refused_i, of packets that got none; neither ever waits. pressure_i and
//             in_use_i, of which changes are told.
// Chosen:     kinds_i has a bit for each kind that is told, sample_i says of how many pairs. With no kind of this unit chosen, or enable_i low,
//             or flush_i, what waits is forgotten, and not counted as lost.
// Queue:      Depth events, in order. Refused packets have one half of it, so that a flood of them hides nothing of pairs. What finds no
//             place is told by lost_o: how many, in each cycle.
// Out:        evt_valid_o with evt_o (its sequence and phase are the ring's) until evt_ready_i; from registers.
// Counts:     of a pair that ended both entries' statistics are read (re_o held until done_i) once DrainCycles have gone by, so that
//             packets that were on their way then are among them. If its number has been given to another that has counted since, they
//             are not known.
// Pressure:   told before what waits. A change that is taken back before it is told is not.
module ps_flow_events
  import ps_abi_pkg::*;
  import ps_match_pkg::*;
  import ps_pair_pkg::*;
#(
  parameter int unsigned Depth     = 512,
  parameter int unsigned OlderMost = 15      // as ps_pair_stats has it
) (
  input  logic        clk_i,
  input  logic        rst_i,
  input  logic        flush_i,
  input  logic [63:0] time_i,
  input  logic [31:0] now_i,
  input  logic        enable_i,
  input  logic [31:0] kinds_i,
  input  logic [3:0]  sample_i,

  input  logic        news_valid_i,
  input  pair_news_t  news_i,
  input  logic        refused_valid_i,
  input  pair_news_t  refused_i,
  input  logic [1:0]  pressure_i,
  input  logic [$clog2(Flows+1)-1:0] in_use_i,

  output logic        re_o,
  output pair_t       pair_o,
  output logic        reverse_o,
  input  logic        done_i,
  input  pair_stats_t stats_i,

  output logic        evt_valid_o,
  output flow_event_t evt_o,
  input  logic        evt_ready_i,
  output logic [1:0]  lost_o,
  output logic        busy_o
);

  typedef logic [2:0] kind_t;

  localparam kind_t Made     = kind_t'(EventFlowMade);
  localparam kind_t Refused  = kind_t'(EventFlowRefused);
  localparam kind_t Pressure = kind_t'(EventFlowPressure);

  localparam int unsigned SampleBits = 15;     // of the largest mask
  localparam int unsigned DrainBits  = 16;     // of card time, for what is told soon

  typedef struct packed {
    logic [63:0] since;
    pair_news_t  news;
  } entry_t;

  // One bit of state_q each.
  typedef enum int unsigned {
    StRest,
    StPress,      // the pressure is told
    StTake,       // or the oldest that waits
    StDrain,      // packets that found the pair may still count
    StForward,    // statistics of the forward entry
    StReverse,
    StJudge,      // whose they are
    StCount,
    StHit,        // which of both was used later
    StOffer,
    States        // how many
  } state_e;

  // --- What is told at all
  logic [7:0]            kinds_q;
  logic [SampleBits-1:0] mask_q, refusals_q;
  logic                  forget_q;

  always_ff @(posedge clk_i) begin
    kinds_q  <= kinds_i[7:0] & {8{enable_i}};
    forget_q <= rst_i || flush_i || kinds_q[Pressure:Made] == '0;
    for (int unsigned i = 0; i < SampleBits; i++) mask_q[i] <= i < 32'(sample_i);
  end

  // --- In: pairs' events go straight on, that of a refused packet waits for a cycle without.
  entry_t     news_q, refused_q, head;
  logic       news_valid_q, refused_valid_q, refused_comes, refused_goes, half_q, room, waits, pop;
  logic [$clog2(Depth)+1:0] count;

  assign refused_comes = refused_valid_i && kinds_q[Refused] && (refusals_q & mask_q) == '0;
  assign refused_goes  = refused_valid_q && !news_valid_q;

  always_ff @(posedge clk_i) begin
    news_valid_q <= news_valid_i && kinds_q[news_i.kind] && (SampleBits'(news_i.pair) & mask_q) == '0;
    if (news_valid_i) news_q <= '{since: time_i, news: news_i};
    if (refused_valid_i && kinds_q[Refused]) refusals_q <= refusals_q + 1'b1;
    if (!refused_valid_q || refused_goes) begin
      refused_valid_q <= refused_comes;
      if (refused_valid_i) refused_q <= '{since: time_i, news: refused_i};
    end
    half_q <= count >= ($clog2(Depth) + 2)'(Depth / 2);
    lost_o <= 2'(news_valid_q && !room) + 2'(refused_goes && half_q) + 2'(refused_comes && refused_valid_q && !refused_goes);
    if (forget_q) begin
      news_valid_q    <= 1'b0;
      refused_valid_q <= 1'b0;
      refusals_q      <= '0;
      lost_o          <= '0;
    end
  end

  ps_fifo #(
    .Width($bits(entry_t)),
    .Depth(Depth)
  ) u_queue (
    .clk_i,
    .rst_i   (forget_q),
    .wvalid_i(news_valid_q || (refused_goes && !half_q)),
    .wready_o(room),
    .wdata_i (news_valid_q ? news_q : refused_q),
    .rvalid_o(waits),
    .rready_i(pop),
    .rdata_o (head),
    .count_o (count)
  );

  // --- Out
  logic [States-1:0]    state_q;
  flow_event_t          evt_q;
  generation_t [1:0]    generation_q;
  pair_stats_t [1:0]    stats_q;
  logic [1:0]           told_q, ours_q;                   // the pressure that the host knows; whose statistics are the pair's
  logic                 presses, presses_q, another_q;
  logic [DrainBits-1:0] waited_q;
  logic                 drained_q;
  logic [1:0][31:0]     rested_q;
  logic [1:0]           hit;
  (* keep *) logic      pop_q, clear_q;                   // StTake again; in StRest, what was told is forgotten
  logic                 hit_q, later_q;                   // either was used, the reverse one later

  // Whether a word's generation is of another pair, that has had the number since.
  function automatic logic newer(input generation_t word, input generation_t own);
    generation_t ahead;
    ahead = word - own;
    newer = ahead != '0 && ahead <= generation_t'(OlderMost);
  endfunction

  // In an event that says nothing yet.
  function automatic flow_event_t event_of(input flow_event_t nothing, input entry_t entry);
    event_of                  = nothing;
    event_of.time_cycles      = entry.since;
    event_of.kind             = 8'(entry.news.kind);
    event_of.pair             = 32'(entry.news.pair);
    event_of.reason           = 8'(entry.news.reason);
    event_of.flags[FlowEventPlainBit]  = entry.news.plain;
    event_of.flags[FlowEventMapBit]    = entry.news.ties.map_valid;
    event_of.flags[FlowEventMemberBit] = entry.news.ties.member_valid;
    event_of.ecmp_slot        = 16'(entry.news.ties.member);
    event_of.map              = 16'(entry.news.ties.map);
    event_of.source           = entry.news.key.sip;
    event_of.destination      = entry.news.key.dip;
    event_of.source_port      = entry.news.key.sport;
    event_of.destination_port = entry.news.key.dport;
    event_of.nh               = entry.news.key.nh;
    event_of.protocol         = entry.news.key.proto;
  endfunction

  function automatic flow_event_t event_of_pressure(input flow_event_t nothing, input logic [63:0] now, input logic [1:0] pressure,
                                                    input logic [31:0] in_use);
    event_of_pressure             = nothing;
    event_of_pressure.time_cycles = now;
    event_of_pressure.kind        = EventFlowPressure;
    event_of_pressure.pair        = 32'(pressure);
    {event_of_pressure.ecmp_slot, event_of_pressure.flags, event_of_pressure.reason} = in_use;
  endfunction

  assign presses     = kinds_q[Pressure] && pressure_i != told_q;
  assign pop         = pop_q;
  assign re_o        = state_q[StForward] || state_q[StReverse];
  assign pair_o      = pair_t'(evt_q.pair);
  assign reverse_o   = state_q[StReverse];
  assign evt_valid_o = state_q[StOffer];
  assign evt_o       = evt_q;
  assign busy_o      = news_valid_q || refused_valid_q || count != '0 || !state_q[StRest] || presses || presses_q || lost_o != '0;

  always_comb for (int unsigned d = 0; d < 2; d++) hit[d] = ours_q[d] && stats_q[d].last_hit != '0;

  task automatic go(input state_e state);
    state_q <= States'(1) << state;
  endtask

  always_ff @(posedge clk_i) begin
    waited_q  <= DrainBits'(time_i) - DrainBits'(evt_q.time_cycles);
    drained_q <= state_q[StDrain] && waited_q >= DrainBits'(DrainCycles);
    presses_q <= presses;
    pop_q     <= state_q[StRest] && !presses_q && waits && !forget_q;
    clear_q   <= (state_q[StOffer] && evt_ready_i) || (state_q[StPress] && !presses) || forget_q;
    if (clear_q) evt_q <= '0;

    unique case (1'b1)
      state_q[StRest]: begin
        if (presses_q) go(StPress);
        else if (waits) go(StTake);
      end
      state_q[StPress]: begin
        evt_q  <= event_of_pressure(evt_q, time_i, pressure_i, 32'(in_use_i));
        told_q <= pressure_i;
        if (presses) go(StOffer);
        else go(StRest);
      end
      state_q[StTake]: begin
        evt_q        <= event_of(evt_q, head);
        generation_q <= head.news.generation;
        waited_q     <= '0;
        if (8'(head.news.kind) == EventFlowEnded) go(StDrain);
        else go(StOffer);
      end
      state_q[StDrain]: if (drained_q) go(StForward);
      state_q[StForward]: if (done_i) begin
        stats_q[0] <= stats_i;
        go(StReverse);
      end
      state_q[StReverse]: if (done_i) begin
        stats_q[1] <= stats_i;
        go(StJudge);
      end
      state_q[StJudge]: begin
        for (int unsigned d = 0; d < 2; d++) begin
          ours_q[d]   <= stats_q[d].generation == generation_q[d];
          rested_q[d] <= now_i - stats_q[d].last_hit;
        end
        another_q <= newer(stats_q[0].generation, generation_q[0]) || newer(stats_q[1].generation, generation_q[1]);
        go(StCount);
      end
      state_q[StCount]: begin
        evt_q.flags[FlowEventUncountedBit] <= another_q;
        for (int unsigned d = 0; d < 2; d++) begin
          if (ours_q[d] && !another_q) begin
            evt_q.packets[32*d +: 32]   <= stats_q[d].packets;
            evt_q.bytes_low[32*d +: 32] <= stats_q[d].bytes[31:0];
            evt_q.bytes_high[8*d +: 8]  <= stats_q[d].bytes[39:32];
            evt_q.tcp[4*d +: 4]         <= stats_q[d].tcp;
          end
        end
        hit_q   <= hit != '0 && !another_q;
        later_q <= hit[1] && (!hit[0] || rested_q[1] < rested_q[0]);
        go(StHit);
      end
      state_q[StHit]: begin
        if (hit_q) evt_q.last_hit <= later_q ? stats_q[1].last_hit : stats_q[0].last_hit;
        go(StOffer);
      end
      state_q[StOffer]: if (evt_ready_i) go(StRest);
      default: ;                        // no other: one bit is set
    endcase

    if (!kinds_q[Pressure]) told_q <= '0;
    if (forget_q) begin
      go(StRest);
      told_q    <= '0;
      presses_q <= 1'b0;
    end
  end

  logic unused_bits;
  assign unused_bits = ^{stats_q, kinds_i};

`ifndef SYNTHESIS
  logic began_q;    // once there was a reset

  always_ff @(posedge clk_i) if (rst_i) began_q <= 1'b1;

  a_one_state : assert property (@(posedge clk_i) disable iff (rst_i || !began_q) $onehot(state_q));
  a_ended   : assert property (@(posedge clk_i) disable iff (rst_i) re_o |-> evt_q.kind == EventFlowEnded);
`endif

endmodule
