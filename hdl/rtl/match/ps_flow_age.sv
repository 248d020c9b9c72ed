// Looks for pairs of flow entries that are old (section 9.4) or give way (section 9.5), and has the slow path delete them.
//
// Pass:       all pairs, one after another; one begins when PassTicks have gone by since the last one began and that is done. Without any
//             time none does. Under pressure, if anything can give way, the next one begins at once if the last one deleted any or the pressure
//             has risen since it began, else after PressTicks.
// In use:     used_i/used_pair_i and free_i/free_pair_i tell which pairs have entries; at most one of each in a cycle.
// Judging:    the statistics of both entries are read (re_o held until done_i), in cycles without a packet.
// Deleting:   old_valid_o/old_pair_o until old_done_i: the slow path, once nothing else is under way, asks again (ask_i, with the generations
//             that the entries have then) and is told by told_o/told_old_o whether the pair is to go, with told_yields_o if it is not old but gives way.
// Clearing:   clear_we_i forgets the pairs in word clear_index_i; the pass under way begins anew.
// busy_o:     a pass is due or under way.
module ps_flow_age
  import ps_abi_pkg::*;
  import ps_types_pkg::*;
  import ps_match_pkg::*;
  import ps_pair_pkg::*;
#(
  parameter int unsigned PairsLog2 = $bits(pair_t)
) (
  input  logic        clk_i,
  input  logic        rst_i,
  input  logic [31:0] now_i,
  input  age_times_t  times_i,
  input  keep_t [8:0] keeps_i,          // by state; the last one of plain pairs besides
  input  logic [1:0]  pressure_i,

  input  logic        used_i,
  input  pair_t       used_pair_i,
  input  logic        free_i,
  input  pair_t       free_pair_i,
  input  logic        clear_i,
  input  logic        clear_we_i,
  input  logic [PairsLog2-6:0] clear_index_i,

  output logic        re_o,
  output pair_t       pair_o,
  output logic        reverse_o,
  input  logic        done_i,
  input  pair_stats_t stats_i,

  output logic        old_valid_o,
  output pair_t       old_pair_o,
  input  logic        old_done_i,
  input  logic        ask_i,
  input  generation_t [1:0] generation_i,
  output logic        told_o,
  output logic        told_old_o,
  output logic        told_yields_o,
  output logic        busy_o
);

  localparam int unsigned WordBits = 32;          // pairs in a word of the map
  localparam int unsigned WordLog2 = $clog2(WordBits);
  localparam int unsigned Words    = 1 << (PairsLog2 - WordLog2);
  localparam int unsigned MapCycles = 2;

  typedef logic [PairsLog2-WordLog2-1:0] word_t;

  // One bit of state_q each: what is done in a state is known at once.
  typedef enum int unsigned {
    StRest,
    StWord,        // the map's next word is on its way
    StWordWait,
    StBit,         // the next pair, if the word has any
    StBitSeen,
    StForward,     // statistics of the forward entry
    StReverse,
    StState,       // the pair's state, and how long it has rested
    StTime,        // how long it may
    StCompare,
    StRests,       // what that comes to
    StJudged,
    StOld,         // the slow path is asked, and may ask back
    StUsed,        // whether it is in use, as things are then
    StUsedWait,
    StNext,
    States         // how many
  } state_e;

  // --- Which pairs are in use: a bit each, written a cycle after it is known. What is freed in the cycle in which another comes waits
  // in a register: a pair is made or freed at most every second cycle for long.
  logic [WordBits-1:0] map_we_q, map_q;
  logic                map_re, map_value_q, free_q;
  word_t               map_waddr_q, map_raddr_q;
  pair_t               free_pair_q, written;

  assign written = used_i ? used_pair_i : free_pair_q;

  ps_ram_bits #(
    .Bits  (WordBits),
    .Depth (Words),
    .Cycles(MapCycles)
  ) u_map (
    .clk_i,
    .we_i   (map_we_q),
    .waddr_i(map_waddr_q),
    .wdata_i(map_value_q),
    .re_i   (map_re),
    .raddr_i(map_raddr_q),
    .rdata_o(map_q)
  );

  always_ff @(posedge clk_i) begin
    if (free_i) free_pair_q <= free_pair_i;
    free_q      <= (free_i || (free_q && used_i)) && !clear_i && !rst_i;
    map_value_q <= used_i && !clear_i;
    map_waddr_q <= clear_i ? clear_index_i : word_t'(written >> WordLog2);
    map_we_q    <= clear_i ? {WordBits{clear_we_i}} : used_i || free_q ? WordBits'(1) << written[WordLog2-1:0] : '0;
  end

  // --- What a pair's statistics say
  typedef struct packed {
    logic        used;
    logic [31:0] rested;
    logic [3:0]  tcp;
  } side_t;

  logic [States-1:0] state_q;
  pair_t       pair_q;
  logic        none_q, used_q, last_bit_q, last_word_q;   // the word has no pair; pair_q is one, its last one, or in the last word
  logic [WordBits-1:0] bits_q;
  logic [MapCycles:1]  map_late_q;
  pair_stats_t [1:0]   stats_q;
  logic        again_q;                           // it is the slow path that asks
  generation_t [1:0] generation_q;
  side_t [1:0] side;
  logic        both, over, established, by_port;
  logic [2:0]  kind, kind_q;                      // state of the pair
  logic        by_port_q, expired_q, yields_q;
  logic [1:0]  stays;
  keep_t [1:0] keep_q;                            // of the pair's state, and of plain ones
  logic [8:0]  levels_q;                          // which can give way at all
  logic        presses_q, more_q;                 // a pass under pressure is due; it need not wait
  logic [1:0]  pressure_q;
  logic [31:0] rested_q, time_q, began_q, since_q;
  logic [15:0] times_q;                           // that are not 0
  logic        due_q;

  function automatic side_t side_of(input logic [31:0] last_hit, input logic [3:0] tcp, input logic counts, input logic [31:0] now);
    side_of.used   = counts && last_hit != '0;
    side_of.rested = now - last_hit;
    side_of.tcp    = counts ? tcp : '0;
  endfunction

  side_t [1:0] side_q;

  // What was counted under another generation is nobody's. A first look does not know the generations, but that a forward entry counts from
  // its first packet on, and that those of both entries go together unless a pair was pinned anew in its place: else a pair of one
  // direction could have the time of one that had its number before. What it takes for old is looked at again.
  always_comb begin
    for (int unsigned d = 0; d < 2; d++) begin
      side[d] = side_of(stats_q[d].last_hit, stats_q[d].tcp,
                        stats_q[d].generation == (again_q ? generation_q[d] : stats_q[0].generation), now_i);
    end
  end

  always_comb begin
    both        = side_q[0].used && side_q[1].used;
    over        = tcp_over(side_q[0].tcp, side_q[1].tcp);
    established = both && (side_q[0].tcp[TcpEstablishedBit] || side_q[1].tcp[TcpEstablishedBit] ||
                           !(side_q[0].tcp[TcpSynBit] || side_q[1].tcp[TcpSynBit]));
    unique case (stats_q[0].age.kind)
      AgeTcp:  kind = over ? 3'd0 : !established ? 3'd1 : side_q[0].tcp[TcpFinBit] || side_q[1].tcp[TcpFinBit] ? 3'd2 : 3'd3;
      AgeUdp:  kind = both ? 3'd5 : 3'd4;
      AgeIcmp: kind = 3'd6;
      default: kind = 3'd7;
    endcase
    by_port = stats_q[0].age.by_port && kind inside {3'd3, 3'd4, 3'd5, 3'd7};
  end

  // Whether it gives way, by its state or as a plain one.
  always_comb begin
    for (int unsigned i = 0; i < 2; i++) begin
      stays[i] = keep_q[i].level == '0 || pressure_i < keep_q[i].level ||
                 (rested_q < 32'(keep_q[i].rest) && !(keep_q[i].yields && pressure_i == '1));
    end
  end

  assign re_o        = state_q[StForward] || state_q[StReverse];
  assign pair_o      = pair_q;
  assign reverse_o   = state_q[StReverse];
  assign old_valid_o = state_q[StOld] || again_q;
  assign old_pair_o  = pair_q;
  assign busy_o      = due_q || !state_q[StRest];

  task automatic go(input state_e state);
    state_q <= States'(1) << state;
  endtask

  always_ff @(posedge clk_i) begin
    map_re      <= state_q[StWord] || state_q[StUsed];
    map_raddr_q <= word_t'(pair_q >> WordLog2);
    map_late_q  <= (map_late_q << 1) | MapCycles'(map_re);
    told_o      <= 1'b0;
    for (int unsigned i = 0; i < 8; i++) times_q[2*i +: 2] <= {times_i.by_port[i] != '0, times_i.states[i] != '0};
    since_q     <= now_i - began_q;
    for (int unsigned i = 0; i < 9; i++) levels_q[i] <= keeps_i[i].level != '0;
    presses_q   <= levels_q != '0 && pressure_i != '0 && (more_q || since_q >= 32'(AgePressTicks));
    due_q       <= ((times_q != '0 && since_q >= 32'(AgePassTicks)) || presses_q) && state_q[StRest];
    pressure_q  <= pressure_i;
    if (pressure_i > pressure_q || (told_o && told_old_o)) more_q <= 1'b1;
    last_bit_q  <= none_q || &pair_q[WordLog2-1:0];
    last_word_q <= &pair_q[PairsLog2-1:WordLog2];

    unique case (1'b1)
      state_q[StRest]: begin
        pair_q <= '0;
        if (due_q && !clear_i) begin
          began_q <= now_i;
          since_q <= '0;
          due_q   <= 1'b0;
          more_q  <= 1'b0;
          go(StWord);
        end
      end
      state_q[StWord]: go(StWordWait);
      state_q[StWordWait]: if (map_late_q[MapCycles]) begin
        bits_q <= map_q;
        go(StBit);
      end
      state_q[StBit]: begin
        none_q <= bits_q == '0;
        used_q <= bits_q[pair_q[WordLog2-1:0]];
        go(StBitSeen);
      end
      state_q[StBitSeen]: begin
        if (used_q) go(StForward);
        else go(StNext);
      end
      state_q[StForward]: if (done_i) begin
        stats_q[0] <= stats_i;
        go(StReverse);
      end
      state_q[StReverse]: if (done_i) begin
        stats_q[1] <= stats_i;
        go(StState);
      end
      state_q[StState]: begin
        side_q <= side;
        go(StTime);
      end
      state_q[StTime]: begin
        kind_q    <= kind;
        by_port_q <= by_port;
        rested_q  <= !side_q[1].used || (side_q[0].used && side_q[0].rested < side_q[1].rested) ? side_q[0].rested : side_q[1].rested;
        go(StCompare);
      end
      state_q[StCompare]: begin
        time_q    <= by_port_q ? times_i.by_port[stats_q[0].age.port] : times_i.states[kind_q];
        keep_q[0] <= keeps_i[kind_q];
        keep_q[1] <= stats_q[0].age.plain ? keeps_i[8] : '0;
        go(StRests);
      end
      state_q[StRests]: begin
        // Of a pair of which nobody has counted, or that another asks about by then, nothing is known: it stays.
        expired_q <= time_q != '0 && rested_q > time_q && (side_q[0].used || side_q[1].used);
        yields_q  <= stays != '1 && (side_q[0].used || side_q[1].used);
        go(StJudged);
      end
      state_q[StJudged]: begin
        if (again_q) go(StUsed);
        else if (expired_q || yields_q) go(StOld);
        else go(StNext);
      end
      state_q[StUsed]: go(StUsedWait);
      state_q[StUsedWait]: if (map_late_q[MapCycles]) begin
        told_o     <= 1'b1;
        told_old_o    <= (expired_q || yields_q) && map_q[pair_q[WordLog2-1:0]];
        told_yields_o <= !expired_q;
        again_q    <= 1'b0;
        go(StOld);
      end
      state_q[StOld]: begin
        if (ask_i) begin
          generation_q <= generation_i;
          again_q      <= 1'b1;
          go(StForward);
        end
        if (old_done_i) go(StNext);
      end
      state_q[StNext]: begin
        // Of a word without a pair all at once.
        pair_q <= (pair_q | (none_q ? pair_t'(WordBits - 1) : '0)) + 1'b1;
        if (!last_bit_q) go(StBit);
        else if (!last_word_q) go(StWord);
        else go(StRest);
      end
      default: ;                        // no other: one bit is set
    endcase

    if (rst_i || clear_i) begin
      go(StRest);
      again_q    <= 1'b0;
      map_re     <= 1'b0;
      map_late_q <= '0;
    end
    if (rst_i) begin
      began_q    <= '0;
      more_q     <= 1'b0;
      pressure_q <= '0;
    end
  end

  logic unused_bits;
  assign unused_bits = ^stats_q;

`ifndef SYNTHESIS
  logic began_once_q;    // once there was a reset

  always_ff @(posedge clk_i) if (rst_i) began_once_q <= 1'b1;

  a_one_waits : assert property (@(posedge clk_i) disable iff (rst_i || clear_i) free_q && used_i |-> !free_i);
  a_one_state : assert property (@(posedge clk_i) disable iff (rst_i || !began_once_q) $onehot(state_q));
`endif

endmodule
