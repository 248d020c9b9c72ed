// FlowStats: packets, bytes, TCP state and last hit at {pair, reverse}, of one generation at a time.
//
// Operation:  valid_i/op_i, one packet every cycle, whatever others do to the same word. A word of an older generation is begun anew;
//             a packet of an older one (it looked its flow up before that was deleted or replaced) counts nowhere. So nothing needs to
//             be zeroed when a pair is given out, and nobody inherits.
// Older:      by up to OlderMost of 256, or it would be a generation that nothing has counted on for long.
// TCP state:  tcp_o repeats every write of a word's tcp, with its generation.
// Read:       re_i held with pair and side until read_done_o: taken in a cycle without a packet. (Of 322 M cycles a second packets of
//             60 bytes leave 24 M free; who feeds it more waits.)
// Clearing:   clear_we_i zeroes both words of clear_pair_i; no operation meanwhile.
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
  input  logic [31:0] now_i,           // card time >> 16
  input  logic        valid_i,
  input  pair_count_t op_i,
  output tcp_update_t tcp_o,

  input  logic        re_i,
  input  pair_t       read_pair_i,
  input  logic        read_reverse_i,
  output logic        read_done_o,
  output pair_stats_t read_o,          // with the generation that it is of

  input  logic        clear_we_i,
  input  pair_t       clear_pair_i,
  input  logic        clear_reverse_i,
  output logic        busy_o
);

  localparam int unsigned WordsLog2 = PairsLog2 + 1;
  localparam int unsigned Latency   = ps_ram_deep_pkg::latency(1 << WordsLog2);
  localparam int unsigned Ahead     = Latency + 3;     // operations whose writes the read does not show

  typedef logic [WordsLog2-1:0] word_t;

  logic        [Latency+2:1] valid_q, near_q [1:Ahead];
  pair_count_t op_q [1:Latency+2];
  word_t       at_q [0:Ahead+1];
  pair_stats_t stored, unused_read, base, base_q, word_old, word_new, past_q [1:Ahead];
  (* keep *) logic from_past_q, from_past2_q;
  logic        same, older;
  logic        read_take, write_q, fetch_q;
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
    .Width($bits(pair_stats_t)),
    .Depth(1 << WordsLog2)
  ) u_words (
    .clk_i,
    .a_re_i   (fetch_q),
    .a_addr_i (fetch_at_q),
    .a_rdata_o(stored),
    .b_re_i   (1'b0),
    .b_we_i   (write_q),
    .b_all_i  (1'b0),
    .b_addr_i (write_at_q),
    .b_wdata_i(past_q[1]),
    .b_rdata_o(unused_read)
  );

  // The word with one packet more.
  function automatic pair_stats_t counted(input pair_stats_t old, input pair_count_t op, input logic same, input logic older,
                                          input logic [31:0] now);
    logic        lives;
    pair_stats_t from;
    from  = same ? old : '0;
    counted            = from;
    counted.generation = op.generation;
    counted.packets    = from.packets + 1'b1;
    counted.bytes      = from.bytes + $bits(from.bytes)'(op.bytes);
    counted.last_hit   = now;
    counted.tcp[TcpSynBit] = from.tcp[TcpSynBit] || op.tcp_syn;
    counted.tcp[TcpFinBit] = from.tcp[TcpFinBit] || op.tcp_fin;
    // A segment after a reset, unless it is a bare SYN: the end points did not believe the reset.
    lives = op.tcp && !op.tcp_rst && !(op.tcp_syn && !op.tcp_ack && !op.tcp_fin);
    counted.tcp[TcpRstBit] = op.tcp_rst || (from.tcp[TcpRstBit] && !lives);
    // The third packet of the handshake, or any later one: its SYN has been recorded by an earlier packet.
    counted.tcp[TcpEstablishedBit] = from.tcp[TcpEstablishedBit] || (op.tcp_ack && !op.tcp_syn && from.tcp[TcpSynBit]);
    if (older) counted = old;
  endfunction

  // Whether a packet's generation has gone by.
  function automatic logic gone_by(input generation_t word, input generation_t packet);
    generation_t ahead;
    ahead   = word - packet;
    gone_by = ahead != '0 && ahead <= generation_t'(OlderMost);
  endfunction

  // Of those ahead, the nearest with the same word; the one just ahead is computed in this very cycle.
  always_comb begin
    base = stored;
    for (int unsigned k = Ahead; k >= 2; k--) if (near_q[k][Latency+1]) base = past_q[k-1];
    word_old = from_past_q ? past_q[1] : base_q;
    // Of both that it may be at once, as their choice has many loads.
    same     = from_past2_q ? past_q[1].generation == op_q[Latency+2].generation : base_q.generation == op_q[Latency+2].generation;
    older    = from_past2_q ? gone_by(past_q[1].generation, op_q[Latency+2].generation) :
                              gone_by(base_q.generation, op_q[Latency+2].generation);
    word_new = counted(word_old, op_q[Latency+2], same, older, now_i);
  end

  always_ff @(posedge clk_i) begin
    fetch_q    <= valid_i || read_take;
    fetch_at_q <= valid_i ? word_of(op_i.pair, op_i.reverse) : word_of(read_pair_i, read_reverse_i);
    at_q[1]    <= word_of(op_i.pair, op_i.reverse);
    for (int unsigned i = 2; i <= Ahead + 1; i++) at_q[i] <= at_q[i-1];
    op_q[1]    <= op_i;
    for (int unsigned i = 2; i <= Latency + 2; i++) op_q[i] <= op_q[i-1];
    valid_q    <= {valid_q[Latency+1:1], valid_i};
    // Whether the operation that many cycles ahead has the same word.
    for (int unsigned k = 1; k <= Ahead; k++) begin
      near_q[k] <= {near_q[k][Latency+1:1], valid_i && ops_q[k] && word_of(op_i.pair, op_i.reverse) == at_q[k]};
    end
    ops_q <= {ops_q[Ahead-1:1], valid_i};
    base_q      <= base;
    from_past_q <= near_q[1][Latency+1];
    from_past2_q <= near_q[1][Latency+1];
    past_q[1]   <= word_new;
    for (int unsigned i = 2; i <= Ahead; i++) past_q[i] <= past_q[i-1];
    write_q     <= valid_q[Latency+2];
    write_at_q  <= at_q[Latency+2];
    tcp_o.valid <= write_q;
    tcp_o.pair  <= pair_t'(write_at_q >> 1);
    tcp_o.reverse <= write_at_q[0];
    tcp_o.word  <= '{generation: past_q[1].generation, tcp: past_q[1].tcp};
    if (clear_we_i) begin
      write_q    <= 1'b1;
      write_at_q <= word_of(clear_pair_i, clear_reverse_i);
      past_q[1]  <= '0;
    end
    reads_q     <= {reads_q[Latency:1], read_take};
    read_done_o <= reads_q[Latency+1];
    if (reads_q[Latency+1]) read_o <= stored;
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

  assign busy_o = valid_i || valid_q != '0 || write_q || tcp_o.valid;

  logic unused_bits;
  assign unused_bits = ^unused_read;

endmodule
