// FlowStats: packets, bytes, TCP state and last hit at {pair, reverse}, of one generation at a time.
//
// Operation:  valid_i/op_i, one packet every cycle, whatever others do to the same word. A word of an older generation is begun anew;
//             a packet of an older one (it looked its flow up before that was deleted or replaced) counts nowhere. So nothing needs to
//             be zeroed when a pair is given out, and nobody inherits.
// Older:      by up to OlderMost of 256, or it would be a generation that nothing has counted on for long.
// TCP state:  tcp_o repeats every write of a word's tcp, with its generation.
// Read:       re_i held with pair and side until read_done_o: taken in a cycle without a packet. (Of 322 M cycles a second packets of
//             60 bytes leave 24 M free; who feeds it more waits.)
// Stages:     memories | the word's generation, and what the packet does to it | its counts, so that each loop is short.
// Clearing:   clear_we_i zeroes the words at clear_index_i of all banks; no operation meanwhile. tcp_o does not tell of it.
module ps_pair_stats
  import ps_abi_pkg::*;
  import ps_match_pkg::*;
  import ps_pair_pkg::*;
#(
  parameter int unsigned PairsLog2 = $bits(pair_t),
  parameter int unsigned OlderMost = 15
) (
  input  logic        clk_i,
  input  logic        rst_i,
  input  logic [31:0] now_i,           // card time >> 16, never 0
  input  logic        valid_i,
  input  pair_count_t op_i,
  output tcp_update_t tcp_o,

  input  logic        re_i,
  input  pair_t       read_pair_i,
  input  logic        read_reverse_i,
  output logic        read_done_o,
  output pair_stats_t read_o,          // with the generation that it is of

  input  logic        clear_we_i,
  input  logic [$clog2(ps_ram_deep_pkg::BankDepth)-1:0] clear_index_i,
  output logic        busy_o
);

  localparam int unsigned WordsLog2 = PairsLog2 + 1;
  localparam int unsigned Latency   = ps_ram_deep_pkg::latency(1 << WordsLog2);
  localparam int unsigned Ahead     = Latency + 3;     // operations whose writes the read does not show
  localparam int unsigned Judges    = Latency + 2;     // when a packet's generation is judged; it counts in the cycle after

  typedef logic [WordsLog2-1:0] word_t;

  // What is in UltraRAM, and in block RAM.
  typedef struct packed {
    logic [39:0] bytes;
    logic [31:0] packets;
  } sums_t;
  typedef struct packed {
    age_code_t   age;
    logic [31:0] last_hit;
    logic [3:0]  tcp;
  } marks_t;

  // What a packet does to its word: nothing, if it is of a generation that has gone by.
  typedef struct packed {
    logic        counts;
    age_code_t   age;
    logic [15:0] bytes;
    logic        tcp_syn;
    logic        tcp_fin;
    logic        tcp_rst;
    logic        tcp_lives;      // unless it is a reset: takes one back
    logic        tcp_answers;    // it has ACK, and no SYN
  } effect_t;

  logic        [Judges+Ahead:1] valid_q;             // operations, for as long as anything is kept of them
  logic        [Judges+1:1] near_q [1:Ahead];
  pair_count_t op_q [1:Judges];
  word_t       at_q [1:Ahead];
  generation_t stored_generation, base_generation, base_generation_q, generation_new, generation_q [1:Ahead];
  sums_t       stored_sums, stored_sums_q, base_sums, base_sums_q, sums_new, sums_q [1:Ahead-1];
  marks_t      stored_marks, stored_marks_q, base_marks, base_marks_q, marks_new, marks_q [1:Ahead-1];
  sums_t                          unused_sums;
  logic [$bits(marks_t)+7:0]      unused_marks;
  effect_t     effect, effect_q;
  logic        from_past, alike, older;
  logic        keeps;                          // the word is of the packet's generation, or of a later one
  logic        past_kept_q, base_kept_q;       // the word is the last operation's, or not, and keeps what it has counted
  logic        read_take, write_q, all_q, fetch_q;
  word_t       write_at_q, fetch_at_q;
  logic [Ahead:1] ops_q;                               // operations under way
  logic [Latency+1:1] reads_q;
  logic        reading_q;

  function automatic word_t word_of(input pair_t pair, input logic reverse);
    word_of = {pair[PairsLog2-1:0], reverse};
  endfunction

  // A packet's read, or one of the maintenance side in a cycle without.
  assign read_take = re_i && !reading_q && !valid_i;

  ps_ram_deep #(
    .Width($bits(sums_t)),
    .Depth(1 << WordsLog2)
  ) u_sums (
    .clk_i,
    .a_re_i   (fetch_q),
    .a_addr_i (fetch_at_q),
    .a_rdata_o(stored_sums),
    .b_re_i   (1'b0),
    .b_we_i   (write_q),
    .b_all_i  (all_q),
    .b_addr_i (write_at_q),
    .b_wdata_i(sums_q[1]),
    .b_rdata_o(unused_sums)
  );

  ps_ram_deep #(
    .Width($bits(marks_t) + $bits(generation_t)),
    .Depth(1 << WordsLog2),
    .Style("block")
  ) u_marks (
    .clk_i,
    .a_re_i   (fetch_q),
    .a_addr_i (fetch_at_q),
    .a_rdata_o({stored_generation, stored_marks}),
    .b_re_i   (1'b0),
    .b_we_i   (write_q),
    .b_all_i  (all_q),
    .b_addr_i (write_at_q),
    .b_wdata_i({generation_q[2], marks_q[1]}),
    .b_rdata_o(unused_marks)
  );

  // Whether a packet's generation has gone by.
  function automatic logic gone_by(input generation_t word, input generation_t packet);
    generation_t ahead;
    ahead   = word - packet;
    gone_by = ahead != '0 && ahead <= generation_t'(OlderMost);
  endfunction

  // --- Of which generation the word is, and so what the packet does to it. Of those ahead, the nearest with the same word; the one
  // just ahead is judged in this very cycle.
  always_comb begin
    base_generation = stored_generation;
    for (int unsigned k = Ahead; k >= 2; k--) if (near_q[k][Judges-1]) base_generation = generation_q[k-1];
    from_past = near_q[1][Judges];
    // Of both that it may be at once.
    alike = from_past ? generation_q[1] == op_q[Judges].generation : base_generation_q == op_q[Judges].generation;
    older = from_past ? gone_by(generation_q[1], op_q[Judges].generation) :
                        gone_by(base_generation_q, op_q[Judges].generation);
    generation_new     = !older ? op_q[Judges].generation : from_past ? generation_q[1] : base_generation_q;
    keeps              = alike || older;
    effect.counts      = !older;
    effect.age         = op_q[Judges].age;
    effect.bytes       = op_q[Judges].bytes;
    effect.tcp_syn     = op_q[Judges].tcp_syn;
    effect.tcp_fin     = op_q[Judges].tcp_fin;
    effect.tcp_rst     = op_q[Judges].tcp_rst;
    // A segment after a reset, unless it is a bare SYN: the end points did not believe the reset.
    effect.tcp_lives   = op_q[Judges].tcp && !(op_q[Judges].tcp_syn && !op_q[Judges].tcp_ack && !op_q[Judges].tcp_fin);
    // The third packet of the handshake, or any later one: its SYN has been recorded by an earlier packet.
    effect.tcp_answers = op_q[Judges].tcp_ack && !op_q[Judges].tcp_syn;
  end

  // --- The word with one packet more, a cycle later: a bit of it is one level of logic before the sums' carries.
  always_comb begin
    base_sums  = stored_sums_q;
    base_marks = stored_marks_q;
    for (int unsigned k = Ahead; k >= 2; k--) begin
      if (near_q[k][Judges]) begin
        base_sums  = sums_q[k-1];
        base_marks = marks_q[k-1];
      end
    end
  end

  sums_t  sums_from;
  marks_t marks_from;

  always_comb begin
    sums_from  = (sums_q[1] & {$bits(sums_t){past_kept_q}}) | (base_sums_q & {$bits(sums_t){base_kept_q}});
    marks_from = (marks_q[1] & {$bits(marks_t){past_kept_q}}) | (base_marks_q & {$bits(marks_t){base_kept_q}});
    sums_new   = '{bytes: sums_from.bytes + $bits(sums_from.bytes)'(effect_q.bytes & {16{effect_q.counts}}),
                   packets: sums_from.packets + $bits(sums_from.packets)'(effect_q.counts)};
    marks_new  = marks_from;
    if (effect_q.counts) begin
      marks_new.age                = effect_q.age;
      marks_new.last_hit           = now_i;
      marks_new.tcp[TcpSynBit]     = marks_from.tcp[TcpSynBit] || effect_q.tcp_syn;
      marks_new.tcp[TcpFinBit]     = marks_from.tcp[TcpFinBit] || effect_q.tcp_fin;
      marks_new.tcp[TcpRstBit]     = effect_q.tcp_rst || (marks_from.tcp[TcpRstBit] && !effect_q.tcp_lives);
      marks_new.tcp[TcpEstablishedBit] = marks_from.tcp[TcpEstablishedBit] || (effect_q.tcp_answers && marks_from.tcp[TcpSynBit]);
    end
  end

  always_ff @(posedge clk_i) begin
    fetch_q    <= valid_i || read_take;
    fetch_at_q <= valid_i ? word_of(op_i.pair, op_i.reverse) : word_of(read_pair_i, read_reverse_i);
    if (valid_i) begin
      at_q[1] <= word_of(op_i.pair, op_i.reverse);
      op_q[1] <= op_i;
    end
    for (int unsigned i = 2; i <= Ahead; i++) if (valid_q[i-1]) at_q[i] <= at_q[i-1];
    for (int unsigned i = 2; i <= Judges; i++) if (valid_q[i-1]) op_q[i] <= op_q[i-1];
    valid_q    <= {valid_q[Judges+Ahead-1:1], valid_i};
    // Whether the operation that many cycles ahead has the same word.
    for (int unsigned k = 1; k <= Ahead; k++) begin
      near_q[k] <= {near_q[k][Judges:1], valid_i && ops_q[k] && word_of(op_i.pair, op_i.reverse) == at_q[k]};
    end
    ops_q <= {ops_q[Ahead-1:1], valid_i};
    // What is of no operation rests.
    if (valid_q[Judges-1]) begin
      stored_sums_q     <= stored_sums;
      stored_marks_q    <= stored_marks;
      base_generation_q <= base_generation;
    end
    if (valid_q[Judges]) begin
      base_sums_q     <= base_sums;
      base_marks_q    <= base_marks;
      effect_q        <= effect;
      past_kept_q     <= keeps && from_past;
      base_kept_q     <= keeps && !from_past;
      generation_q[1] <= generation_new;
    end
    for (int unsigned i = 2; i <= Ahead; i++) if (valid_q[Judges+i-1]) generation_q[i] <= generation_q[i-1];
    if (valid_q[Judges+1]) begin
      sums_q[1]  <= sums_new;
      marks_q[1] <= marks_new;
      write_at_q <= at_q[Judges+1];
    end
    for (int unsigned i = 2; i < Ahead; i++) begin
      if (valid_q[Judges+i]) begin
        sums_q[i]  <= sums_q[i-1];
        marks_q[i] <= marks_q[i-1];
      end
    end
    write_q     <= valid_q[Judges+1];
    tcp_o.valid <= write_q && !all_q;
    all_q       <= clear_we_i;
    tcp_o.pair  <= pair_t'(write_at_q >> 1);
    tcp_o.reverse <= write_at_q[0];
    tcp_o.word  <= '{generation: generation_q[2], tcp: marks_q[1].tcp};
    if (clear_we_i) begin
      write_q         <= 1'b1;
      write_at_q      <= word_t'(clear_index_i);
      generation_q[2] <= '0;
      sums_q[1]       <= '0;
      marks_q[1]      <= '0;
    end
    reads_q     <= {reads_q[Latency:1], read_take};
    read_done_o <= reads_q[Latency+1];
    if (reads_q[Latency+1]) begin
      read_o <= '{age: stored_marks.age, generation: stored_generation, last_hit: stored_marks.last_hit, tcp: stored_marks.tcp,
                  bytes: stored_sums.bytes, packets: stored_sums.packets};
    end
    reading_q   <= (reading_q || read_take) && !read_done_o;
    if (rst_i) begin
      valid_q     <= '0;
      ops_q       <= '0;
      write_q     <= clear_we_i;
      fetch_q     <= 1'b0;
      reads_q     <= '0;
      reading_q   <= 1'b0;
      read_done_o <= 1'b0;
      for (int unsigned k = 1; k <= Ahead; k++) near_q[k] <= '0;
    end
  end

  assign busy_o = valid_i || valid_q[Judges+1:1] != '0 || write_q || tcp_o.valid;

  logic unused_bits;
  assign unused_bits = ^{unused_sums, unused_marks};

endmodule
