// Bench top of ps_pair_stats; ps_pair_stats_tb.cpp compares it with a model in program order.
module ps_pair_stats_tb
  import ps_abi_pkg::*;
  import ps_match_pkg::*;
  import ps_pair_pkg::*;
(
  input  logic        clk_i,
  input  logic        rst_i,
  input  logic [31:0] now_i,
  input  logic        valid_i,
  input  logic [31:0] pair_i,
  input  logic        reverse_i,
  input  logic [7:0]  generation_i,
  input  logic [6:0]  age_i,
  input  logic [15:0] bytes_i,
  input  logic [4:0]  tcp_i,          // tcp, syn, fin, rst, ack
  output logic        tcp_valid_o,
  output logic [31:0] tcp_pair_o,
  output logic        tcp_reverse_o,
  output logic [7:0]  tcp_generation_o,
  output logic [3:0]  tcp_o,
  input  logic        re_i,
  input  logic [31:0] read_pair_i,
  input  logic        read_reverse_i,
  output logic        read_done_o,
  output logic [31:0] packets_o,
  output logic [39:0] bytes_o,
  output logic [3:0]  read_tcp_o,
  output logic [31:0] last_hit_o,
  output logic [7:0]  generation_o,
  output logic [6:0]  age_o,
  input  logic        clear_i,
  input  logic [11:0] clear_index_i,
  output logic        busy_o,
  output int unsigned pairs_o,
  output int unsigned clears_o          // indices, for all there is
);

  assign pairs_o  = FlowPairs;
  assign clears_o = ps_ram_deep_pkg::BankDepth;

  pair_count_t op;
  tcp_update_t tcp;
  pair_stats_t stats;

  assign op = '{age: age_i, pair: pair_t'(pair_i), reverse: reverse_i, generation: generation_i, bytes: bytes_i, tcp: tcp_i[4],
                tcp_syn: tcp_i[3], tcp_fin: tcp_i[2], tcp_rst: tcp_i[1], tcp_ack: tcp_i[0]};
  assign {tcp_valid_o, tcp_pair_o, tcp_reverse_o, tcp_generation_o, tcp_o} =
         {tcp.valid, 32'(tcp.pair), tcp.reverse, tcp.word.generation, tcp.word.tcp};
  assign {packets_o, bytes_o, read_tcp_o, last_hit_o, generation_o, age_o} =
         {stats.packets, stats.bytes, stats.tcp, stats.last_hit, stats.generation, stats.age};

  ps_pair_stats dut (
    .clk_i, .rst_i, .now_i, .valid_i, .op_i(op), .tcp_o(tcp), .re_i, .read_pair_i(pair_t'(read_pair_i)), .read_reverse_i,
    .read_done_o, .read_o(stats), .clear_we_i(clear_i), .clear_index_i, .busy_o
  );

endmodule
