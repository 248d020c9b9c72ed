// Shares of the flow table (section 9.6): what each vif and each tunnel may have of its pairs, and what it has.
//
// Packets:    ask_i/shares_i every cycle, with what a packet asks of ps_flow_admit, if it asks for a pair; counts_i if that counts for its
//             shares when it is admitted, new_i if it may be refused. over_o admit_cycles(RowsLog2) - 1 cycles later, in the cycle of its
//             decision: one of its shares has what it may have. taken_i (it is given the pair taken_pair_i) or refused_i a cycle after that.
// Pairs:      whose they are is noted when they are given out; change_i tells of the end (ps_flow_engine).
// Host:       acc_i, of FlowShare and FlowShareStats, one access at a time; done_o when it is. A write fills the bucket.
// Visits:     shares are visited one at a time, for the host or, all of them in a round, in each unit of card time: the entry is read, its
//             bucket filled up, and what ps_flow_share_room goes by is written. Bits below a pair are kept here. A round takes 44,000
//             cycles of the 65,536 of a unit, twice that if the host has every other visit.
// Rounds:     each adds what comes in by the units since the last one began, so that none is lost if one is late. A bucket has a bit of
//             the round up to which it has been filled: what the host has written since this one is due gets nothing by it.
// busy_o:     what is told of packets and pairs is being counted, or time has skipped units, this round is for them, and some bucket fills
//             by time, as far as the last round has seen.
// Parity:     an entry with the wrong one sets no limit; error_o each time that it is visited but for the host's reads, whose answer tells.
// Clearing:   while clear_i is held clear_we_i zeroes what is at clear_index_i; the entries are written by acc_i.
module ps_flow_shares
  import ps_abi_pkg::*;
  import ps_match_pkg::*;
  import ps_pair_pkg::*;
#(
  parameter int unsigned RowsLog2 = FlowRowsLog2
) (
  input  logic          clk_i,
  input  logic          rst_i,
  input  logic [31:0]   now_i,           // card time >> 16

  input  logic          ask_i,
  input  logic          counts_i,
  input  logic          new_i,
  input  shares_t       shares_i,
  output logic          over_o,
  input  logic          taken_i,
  input  pair_t         taken_pair_i,
  input  logic          refused_i,
  input  pair_change_t  change_i,

  input  access_t       acc_i,
  input  flow_share_t   acc_wdata_i,
  output logic          done_o,
  output flow_share_t   share_o,
  output logic          share_bad_o,
  output flow_share_stats_t stats_o,
  output parity_error_t error_o,

  input  logic          clear_i,
  input  logic          clear_we_i,
  input  flow_share_addr_t clear_index_i,
  output logic          busy_o
);

  localparam int unsigned PairsLog2  = RowsLog2 + $clog2(FlowSlots) - 1;
  localparam int unsigned Decides    = admit_cycles(RowsLog2) - 1;
  localparam int unsigned OwnerCycles = ps_ram_deep_pkg::latency(1 << PairsLog2);
  localparam int unsigned VisitCycles = 10;
  localparam int unsigned UnitBits    = 16;   // of how many units a round is for, at most

  typedef logic [$clog2(TunnelShares)-1:0] tunnel_t;

  // --- Whose each pair is. Between its being given out and its end are more cycles than a write takes.
  shares_t              asked, asked_q, owner, unused_owner;
  logic                 unused_asked, taken_q;
  pair_t                taken_pair_q, change_pair_q;
  logic [OwnerCycles:0] change_q, made_q;

  ps_delay #(
    .Width ($bits(shares_t)),
    .Cycles(Decides + 1)
  ) u_asked (
    .clk_i,
    .rst_i,
    .valid_i(ask_i),
    .data_i (shares_i),
    .valid_o(unused_asked),
    .data_o (asked)
  );

  ps_ram_deep #(
    .Width($bits(shares_t)),
    .Style("block"),
    .Depth(1 << PairsLog2)
  ) u_owners (
    .clk_i,
    .a_re_i   (change_q[0]),
    .a_addr_i (change_pair_q[PairsLog2-1:0]),
    .a_rdata_o(owner),
    .b_re_i   (1'b0),
    .b_we_i   (taken_q),
    .b_all_i  (1'b0),
    .b_addr_i (taken_pair_q[PairsLog2-1:0]),
    .b_wdata_i(asked_q),
    .b_rdata_o(unused_owner)
  );

  always_ff @(posedge clk_i) begin
    taken_q  <= taken_i;
    change_q <= {change_q[OwnerCycles-1:0], change_i.valid};
    made_q   <= {made_q[OwnerCycles-1:0], change_i.made};
    if (taken_i) begin
      asked_q      <= asked;
      taken_pair_q <= taken_pair_i;
    end
    if (change_i.valid) change_pair_q <= change_i.pair;
    if (rst_i || clear_i) begin
      taken_q  <= 1'b0;
      change_q <= '0;
    end
  end

  // --- Both kinds
  flow_share_addr_t at_q;           // the share that is visited
  logic             at_vif, see, reset;
  logic [1:0]       limit_we, none, one, room_busy;
  share_count_t     admitted [2], gone [2];
  logic [31:0]      refused [2];
  share_limit_t     limit_q;
  tunnel_t          at_tunnel;

  logic [2:0]       clear_we_q;     // of vifs, tunnels, buckets
  flow_share_addr_t clear_index_q;

  always_ff @(posedge clk_i) begin
    clear_we_q    <= {clear_we_i, clear_we_i && 32'(clear_index_i) < TunnelShares, clear_we_i && 32'(clear_index_i) < Vifs};
    clear_index_q <= clear_index_i;
  end

  assign reset     = rst_i || clear_i;
  assign at_vif    = 32'(at_q) < TunnelShareFirst;
  assign at_tunnel = tunnel_t'(at_q - flow_share_addr_t'(TunnelShareFirst));

  ps_flow_share_room #(
    .Shares (Vifs),
    .Decides(Decides)
  ) u_vifs (
    .clk_i,
    .rst_i         (reset),
    .valid_i       (ask_i && counts_i && shares_i.by_vif),
    .new_i,
    .share_i       (shares_i.vif),
    .none_o        (none[0]),
    .one_o         (one[0]),
    .taken_i,
    .refused_i,
    .change_i      (change_q[OwnerCycles] && owner.by_vif),
    .made_i        (made_q[OwnerCycles]),
    .change_share_i(owner.vif),
    .see_i         (see && at_vif),
    .see_share_i   (vif_addr_t'(at_q)),
    .admitted_o    (admitted[0]),
    .gone_o        (gone[0]),
    .refused_o     (refused[0]),
    .limit_we_i    (limit_we[0]),
    .limit_i       (limit_q),
    .clear_we_i    (clear_we_q[0]),
    .clear_share_i (vif_addr_t'(clear_index_q)),
    .busy_o        (room_busy[0])
  );

  ps_flow_share_room #(
    .Shares (TunnelShares),
    .Decides(Decides)
  ) u_tunnels (
    .clk_i,
    .rst_i         (reset),
    .valid_i       (ask_i && counts_i && shares_i.by_tunnel),
    .new_i,
    .share_i       (shares_i.tunnel),
    .none_o        (none[1]),
    .one_o         (one[1]),
    .taken_i,
    .refused_i,
    .change_i      (change_q[OwnerCycles] && owner.by_tunnel),
    .made_i        (made_q[OwnerCycles]),
    .change_share_i(owner.tunnel),
    .see_i         (see && !at_vif),
    .see_share_i   (at_tunnel),
    .admitted_o    (admitted[1]),
    .gone_o        (gone[1]),
    .refused_o     (refused[1]),
    .limit_we_i    (limit_we[1]),
    .limit_i       (limit_q),
    .clear_we_i    (clear_we_q[1]),
    .clear_share_i (tunnel_t'(clear_index_q)),
    .busy_o        (room_busy[1])
  );

  assign over_o = none != '0 || (one != '0 && taken_i);

  // --- What the host says of a share
  flow_share_t share, share_q;
  logic        bad;

  ps_table #(
    .Width(FlowShareBits),
    .Depth(FlowShares)
  ) u_table (
    .clk_i,
    .re_i       (see),
    .addr_i     (at_q),
    .rdata_o    (share),
    .bad_o      (bad),
    .acc_re_i   (acc_i.re[SelFlowShare]),
    .acc_we_i   (acc_i.we[SelFlowShare]),
    .acc_flip_i (acc_i.flip),
    .acc_index_i(flow_share_addr_t'(acc_i.index)),
    .acc_wdata_i,
    .acc_rdata_o(share_o),
    .acc_bad_o  (share_bad_o)
  );

  // --- Buckets: credit with its bits below a pair, and a bit of the round.
  typedef struct packed {
    share_count_t            pairs;
    logic [ShareOneLog2-1:0] part;
  } credit_t;

  typedef struct packed {
    logic    round;
    credit_t credit;
  } bucket_t;

  // What is in it.
  typedef struct packed {
    logic [19:0]             pairs;
    logic [ShareOneLog2-1:0] part;
  } level_t;

  logic    bucket_we, round_q;
  bucket_t bucket, bucket_q;

  ps_ram_sdp #(
    .Width  ($bits(bucket_t)),
    .Depth  (FlowShares),
    .Latency(2)
  ) u_buckets (
    .clk_i,
    .we_i   (bucket_we || clear_we_q[2]),
    .waddr_i(clear_we_q[2] ? clear_index_q : at_q),
    .wdata_i(clear_we_q[2] ? '0 : bucket_q),
    .re_i   (see),
    .raddr_i(at_q),
    .rdata_o(bucket)
  );

  // --- Visits
  logic [VisitCycles:1] visit_q;
  logic                 fills_q, tells_q;        // for the host: it has written the entry; it reads what the share has
  logic                 fill_q, tell_q;          // it waits to be visited for that
  flow_share_addr_t     host_at_q, sweep_at_q;
  logic                 sweep_q, due_q, skips_q, catches_q, host_last_q, host_next, sweep_next;
  logic                 ready_q, full_q;         // no visit is under way, or its last cycle; as much as may be in the bucket, or more
  logic                 last_q;                  // sweep_at_q is the last one
  logic                 paces_q, paced_q, paces; // some bucket fills by time; one has been seen in this round; the host writes such a share
  logic [31:0]          now_q, late_q, next_q, begun_q, since_q;    // late_q: time a cycle ago, and next_q a unit on
  logic [UnitBits-1:0]  units_q;
  logic [$bits(share_q.rate)+UnitBits-1:0] comes_q;
  share_count_t         admitted_q, gone_q, ahead_q, pairs_q;
  logic [31:0]          refused_q;
  level_t               level_q, added_q;
  logic [$bits(level_t):0] filled_q;

  assign host_next  = (fill_q || tell_q) && !(sweep_q && host_last_q);
  assign sweep_next = sweep_q && !host_next;
  assign see        = visit_q[1];
  assign busy_o     = room_busy != '0 || change_i.valid || change_q != '0 || (paces_q && (skips_q || (catches_q && (sweep_q || !ready_q))));
  assign paces      = acc_i.we[SelFlowShare] && acc_wdata_i.valid && acc_wdata_i.burst != '0 && acc_wdata_i.rate != '0;
  assign bucket_we  = visit_q[VisitCycles] && !tells_q;
  assign limit_we   = {bucket_we && !at_vif, bucket_we && at_vif};

  always_ff @(posedge clk_i) begin
    // Who wants one
    now_q   <= now_i;
    late_q  <= now_q;
    next_q  <= now_q + 32'd1;
    since_q <= now_q - begun_q;
    if (now_q != late_q) due_q <= 1'b1;
    skips_q <= skips_q || (now_q != late_q && now_q != next_q);
    last_q  <= sweep_at_q == flow_share_addr_t'(FlowShares - 1);
    if (due_q && !sweep_q && ready_q) begin
      due_q      <= 1'b0;
      skips_q    <= 1'b0;
      catches_q  <= skips_q;
      sweep_q    <= 1'b1;
      sweep_at_q <= '0;
      round_q    <= !round_q;
      begun_q    <= late_q;
      units_q    <= since_q[31:UnitBits] != '0 ? '1 : since_q[UnitBits-1:0];
      paces_q    <= paced_q;
      paced_q    <= 1'b0;
    end
    if (acc_i.we[SelFlowShare] || acc_i.re[SelFlowShareStats]) host_at_q <= flow_share_addr_t'(acc_i.index);
    if (acc_i.we[SelFlowShare]) fill_q <= 1'b1;
    if (acc_i.re[SelFlowShareStats]) tell_q <= 1'b1;

    visit_q <= {visit_q[VisitCycles-1:1], 1'b0};
    ready_q <= ready_q ? !(host_next || sweep_next) : visit_q[VisitCycles-1];
    if (ready_q) begin
      at_q        <= host_next ? host_at_q : sweep_at_q;
      fills_q     <= host_next && fill_q;
      tells_q     <= host_next && tell_q;
      visit_q[1]  <= host_next || sweep_next;
      host_last_q <= host_next;
      if (host_next) {fill_q, tell_q} <= '0;
    end
    if (visit_q[1] && !host_last_q) begin
      sweep_at_q <= sweep_at_q + 1'b1;
      if (last_q) sweep_q <= 1'b0;
    end

    if (visit_q[3]) begin
      share_q    <= share;
      bucket_q   <= bucket;
      admitted_q <= at_vif ? admitted[0] : admitted[1];
      gone_q     <= at_vif ? gone[0] : gone[1];
      refused_q  <= at_vif ? refused[0] : refused[1];
    end
    if ((visit_q[4] && share_q.valid && share_q.burst != '0 && share_q.rate != '0) || paces) paced_q <= 1'b1;
    if (paces) paces_q <= 1'b1;
    if (visit_q[4]) begin
      ahead_q <= bucket_q.credit.pairs - admitted_q;
      pairs_q <= admitted_q - gone_q;
      comes_q <= $bits(comes_q)'(share_q.rate) * $bits(comes_q)'(units_q);
    end
    if (visit_q[5]) begin
      if (bucket_q.round == round_q) added_q <= '0;
      else if (comes_q[$bits(comes_q)-1:$bits(level_t)] != '0) added_q <= '1;
      else added_q <= comes_q[$bits(level_t)-1:0];
    end
    // What was taken when nothing was left was not there; a part of a pair that is left stays.
    if (visit_q[6]) begin
      filled_q <= {1'b0, ahead_q[ShareCountBits-1] ? 20'd0 : ahead_q[19:0], bucket_q.credit.part} + ($bits(level_t) + 1)'(added_q);
    end
    if (visit_q[7]) full_q <= fills_q || filled_q >= {1'b0, share_q.burst, ShareOneLog2'(0)};
    if (visit_q[8]) level_q <= full_q ? '{pairs: share_q.burst, part: '0} : filled_q[$bits(level_t)-1:0];
    if (visit_q[9]) begin
      bucket_q <= '{round: round_q ^ (fills_q && due_q),
                    credit: '{pairs: admitted_q + share_count_t'(level_q.pairs), part: level_q.part}};
      limit_q  <= '{paced: share_q.valid && !bad && share_q.burst != '0, credit: admitted_q + share_count_t'(level_q.pairs),
                    limited: share_q.valid && !bad && share_q.pairs != '0, pairs: share_q.pairs};
      if (tells_q) stats_o <= '{refused: refused_q, pairs: pairs_q[19:0]};
    end
    error_o.valid <= visit_q[9] && bad && !tells_q;
    error_o.index <= index_t'(at_q);
    done_o        <= acc_i.re[SelFlowShare] || (visit_q[9] && (fills_q || tells_q));
    if (reset) begin
      visit_q       <= '0;
      ready_q       <= 1'b1;
      fill_q        <= 1'b0;
      tell_q        <= 1'b0;
      sweep_q       <= 1'b0;
      due_q         <= 1'b0;
      skips_q       <= 1'b0;
      catches_q     <= 1'b0;
      paces_q       <= 1'b0;
      paced_q       <= 1'b0;
      done_o        <= 1'b0;
      error_o.valid <= 1'b0;
      round_q       <= 1'b0;
      begun_q       <= late_q;
    end
  end

  logic unused_bits;
  assign unused_bits = ^{acc_i, unused_owner, unused_asked, pairs_q};

endmodule
