// Shares of one kind, vifs or tunnels: how many pairs each has, and whether it has room for one more (section 9.6).
//
// Counters:   pairs that were admitted, and pairs that are gone, each with one writer and modulo 2^ShareCountBits: a share has their
//             difference. Credit is what may have been admitted in the end: the bucket has what it is ahead of that, or nothing.
// Packets:    valid_i/share_i one every cycle, with new_i if it may be refused. Decides cycles later none_o says that its share has no room;
//             one_o that it has none if the packet just ahead is given its pair, as taken_i says in that cycle. A cycle later taken_i
//             says so of the packet itself, or refused_i that it was refused for its shares.
// Exact:      the counters are read early. Of the eight packets ahead that the read does not show, those of the same share that were given
//             a pair are taken off what it says. Example: it shows room for 3, and of three packets ahead of the same share the
//             first and the second took 1 each; the third is decided upon just now: there is room for 1, so that one_o alone is set.
// Changes:    change_i: a pair of change_share_i is gone, or with made_i one that was not admitted has come.
// Limits:     limit_we_i/limit_i, of the share that see_share_i names; likewise what the counters say 2 cycles after see_i.
// Clearing:   clear_we_i zeroes all at clear_share_i; nobody asks meanwhile.
module ps_flow_share_room
  import ps_abi_pkg::*;
  import ps_pair_pkg::*;
#(
  parameter int unsigned Shares  = 256,
  parameter int unsigned Decides = 9,
  localparam int unsigned ShareBits = $clog2(Shares)
) (
  input  logic                 clk_i,
  input  logic                 rst_i,
  input  logic                 valid_i,
  input  logic                 new_i,
  input  logic [ShareBits-1:0] share_i,
  output logic                 none_o,
  output logic                 one_o,
  input  logic                 taken_i,
  input  logic                 refused_i,

  input  logic                 change_i,
  input  logic                 made_i,
  input  logic [ShareBits-1:0] change_share_i,

  input  logic                 see_i,
  input  logic [ShareBits-1:0] see_share_i,
  output share_count_t         admitted_o,
  output share_count_t         gone_o,
  output logic [31:0]          refused_o,
  input  logic                 limit_we_i,
  input  share_limit_t         limit_i,

  input  logic                 clear_we_i,
  input  logic [ShareBits-1:0] clear_share_i,
  output logic                 busy_o
);

  localparam int unsigned Counts = Decides + 1;      // a packet's pair
  localparam int unsigned Reads  = Decides - 7;
  localparam int unsigned Ahead  = Counts - Reads;   // packets whose pairs the read does not show

  // Room, as far as it matters: more than those ahead can take.
  localparam int unsigned RoomBits = $clog2(Ahead + 1);
  typedef logic [RoomBits-1:0] room_t;

  logic [Counts:1]      valid_q;
  logic [Decides-1:1]   new_q;
  logic [ShareBits-1:0] share_q [1:Counts];
  logic [Ahead:1]       near_q [2:Decides-2];    // whether the packet that many cycles ahead has the same share
  logic [2:1]           late_near_q;             // the same, when fewer matter
  logic                 last_near_q;
  logic [Ahead-3:1]     taken_q;                 // taken_i that many cycles ago
  logic [Ahead:3]       ahead_taken;             // of the packet that many cycles ahead of that in Decides - 2
  share_limit_t         limit;
  share_count_t         admitted, gone, used_q;
  share_count_t         admitted_q [Reads+3:Decides-1], least_q, sum_q;
  logic [ShareCountBits:0] left_q;               // signed: pairs
  share_count_t         level_q, stands_q;      // signed: what is in the bucket
  logic [19:0]          most_pairs_q;
  logic [1:0]           limited_q, paced_q;
  room_t                pairs_room_q, level_room_q, room_q;
  logic [RoomBits-1:0]  taken_ahead_q, taken_ahead;
  logic                 admit_we, over_q, gone_busy, refused_busy;
  logic [ShareBits-1:0] admit_share;
  share_count_t         admit_count;

  // --- Counters
  assign admit_we    = clear_we_i || (valid_q[Counts] && taken_i);
  assign admit_share = clear_we_i ? clear_share_i : share_q[Counts];
  assign admit_count = clear_we_i ? '0 : sum_q;

  ps_ram_sdp #(
    .Width  (ShareCountBits),
    .Depth  (Shares),
    .Latency(2)
  ) u_admitted (
    .clk_i,
    .we_i   (admit_we),
    .waddr_i(admit_share),
    .wdata_i(admit_count),
    .re_i   (valid_q[Reads]),
    .raddr_i(share_q[Reads]),
    .rdata_o(admitted)
  );

  ps_ram_sdp #(
    .Width  (ShareCountBits),
    .Depth  (Shares),
    .Latency(2)
  ) u_admitted_copy (
    .clk_i,
    .we_i   (admit_we),
    .waddr_i(admit_share),
    .wdata_i(admit_count),
    .re_i   (see_i),
    .raddr_i(see_share_i),
    .rdata_o(admitted_o)
  );

  ps_count_ram #(
    .Width   (ShareCountBits),
    .AddWidth(ShareCountBits),
    .Depth   (Shares),
    .Readers (2)
  ) u_gone (
    .clk_i,
    .rst_i,
    .op_valid_i (change_i),
    .op_index_i (change_share_i),
    .op_add_i   (made_i ? '1 : ShareCountBits'(1)),
    .re_i       ({see_i, valid_q[Reads]}),
    .raddr_i    ({see_share_i, share_q[Reads]}),
    .rdata_o    ({gone_o, gone}),
    .clr_we_i   (clear_we_i),
    .clr_index_i(clear_share_i),
    .busy_o     (gone_busy)
  );

  ps_ram_sdp #(
    .Width  ($bits(share_limit_t)),
    .Depth  (Shares),
    .Latency(2)
  ) u_limits (
    .clk_i,
    .we_i   (clear_we_i || limit_we_i),
    .waddr_i(clear_we_i ? clear_share_i : see_share_i),
    .wdata_i(clear_we_i ? '0 : limit_i),
    .re_i   (valid_q[Reads]),
    .raddr_i(share_q[Reads]),
    .rdata_o(limit)
  );

  ps_count_ram #(
    .Width   (32),
    .AddWidth(1),
    .Depth   (Shares)
  ) u_refused (
    .clk_i,
    .rst_i,
    .op_valid_i (refused_i && over_q),
    .op_index_i (share_q[Counts]),
    .op_add_i   (1'b1),
    .re_i       (see_i),
    .raddr_i    (see_share_i),
    .rdata_o    (refused_o),
    .clr_we_i   (clear_we_i),
    .clr_index_i(clear_share_i),
    .busy_o     (refused_busy)
  );

  // --- Room, and what those ahead take of it
  function automatic room_t most(input logic [ShareCountBits:0] left);
    if (left[ShareCountBits]) most = '0;
    else if (left[ShareCountBits-1:RoomBits] != '0) most = '1;
    else most = left[RoomBits-1:0];
  endfunction

  assign ahead_taken = {taken_q, taken_i};
  assign taken_ahead = taken_ahead_q + RoomBits'(late_near_q[2] && taken_i);

  always_ff @(posedge clk_i) begin
    valid_q <= {valid_q[Counts-1:1], valid_i};
    new_q   <= {new_q[Decides-2:1], valid_i && new_i};
    taken_q <= {taken_q[Ahead-4:1], taken_i};
    if (valid_i) share_q[1] <= share_i;
    for (int unsigned i = 2; i <= Counts; i++) if (valid_q[i-1]) share_q[i] <= share_q[i-1];
    if (valid_q[1]) begin
      for (int unsigned k = 1; k <= Ahead; k++) near_q[2][k] <= valid_q[1+k] && share_q[1] == share_q[1+k];
    end
    for (int unsigned i = 3; i <= Decides - 2; i++) if (valid_q[i-1]) near_q[i] <= near_q[i-1];

    if (valid_q[Reads+2]) begin
      limited_q[0]        <= limit.limited;
      paced_q[0]          <= limit.paced;
      most_pairs_q        <= limit.pairs;
      used_q              <= admitted - gone;
      level_q             <= limit.credit - admitted;
      admitted_q[Reads+3] <= admitted;
    end
    for (int unsigned i = Reads + 4; i < Decides; i++) if (valid_q[i-1]) admitted_q[i] <= admitted_q[i-1];
    if (valid_q[Reads+3]) begin
      limited_q[1] <= limited_q[0];
      paced_q[1]   <= paced_q[0];
      left_q       <= (ShareCountBits + 1)'(most_pairs_q) - (ShareCountBits + 1)'(used_q);
      stands_q     <= level_q;
    end
    if (valid_q[Reads+4]) begin
      pairs_room_q <= limited_q[1] ? most(left_q) : '1;
      level_room_q <= paced_q[1] ? most({stands_q[ShareCountBits-1], stands_q}) : '1;
    end
    if (valid_q[Decides-2]) begin
      room_q        <= pairs_room_q < level_room_q ? pairs_room_q : level_room_q;
      taken_ahead_q <= RoomBits'($countones(near_q[Decides-2][Ahead:3] & ahead_taken));
      late_near_q   <= near_q[Decides-2][2:1];
    end
    none_o <= new_q[Decides-1] && room_q <= taken_ahead;
    one_o  <= new_q[Decides-1] && late_near_q[1] && room_q <= taken_ahead + 1'b1;
    if (valid_q[Decides-1]) begin
      least_q     <= admitted_q[Decides-1] + ShareCountBits'(taken_ahead) + 1'b1;
      last_near_q <= late_near_q[1];
    end
    if (valid_q[Decides]) sum_q <= least_q + ShareCountBits'(last_near_q && taken_i);
    over_q <= none_o || (one_o && taken_i);
    if (rst_i) begin
      valid_q <= '0;
      new_q   <= '0;
      none_o  <= 1'b0;
      one_o   <= 1'b0;
      over_q  <= 1'b0;
    end
  end

  assign busy_o = gone_busy || refused_busy || refused_i;

`ifndef SYNTHESIS
  initial assert (Reads >= 1 && Ahead == 8 && (1 << RoomBits) > Ahead + 1) else $fatal(1, "ps_flow_share_room: its stages do not fit");
`endif

endmodule
