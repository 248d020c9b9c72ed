// Bench top of ps_valid_map, with the sizes of its tables; ps_valid_map_tb.cpp compares it with one bit an entry.
module ps_valid_map_tb
  import ps_abi_pkg::*;
(
  input  logic        clk_i,
  input  logic        rst_i,
  input  logic        clear_i,
  output logic        busy_o,
  input  logic        mark_valid_i,
  input  logic [7:0]  mark_table_i,
  input  logic [31:0] mark_index_i,
  input  logic        mark_set_i,
  input  logic        card_mark_valid_i,
  input  logic        card_mark_client_i,
  input  logic [31:0] card_mark_index_i,
  input  logic        card_mark_set_i,
  output logic        card_mark_ready_o,
  input  logic        find_valid_i,
  input  logic [7:0]  find_table_i,
  input  logic [31:0] find_index_i,
  output logic        find_done_o,
  output logic        find_found_o,
  output logic [31:0] find_index_o,
  input  logic [7:0]  table_i,
  output logic [31:0] depth_o,         // of table_i, which has marks,
  output logic        flows_o,         // and the card makes them
  output logic        clients_o
);

  assign depth_o   = table_has_valid(table_i) ? table_depth(table_i) : '0;
  assign flows_o   = table_i == TableFlow;
  assign clients_o = table_i == TableAffinity;

  ps_valid_map dut (
    .clk_i, .rst_i, .clear_i, .busy_o, .mark_valid_i, .mark_table_i, .mark_index_i, .mark_set_i, .card_mark_valid_i,
    .card_mark_client_i, .card_mark_index_i(index_t'(card_mark_index_i)), .card_mark_set_i, .card_mark_ready_o, .find_valid_i, .find_table_i,
    .find_index_i, .find_done_o, .find_found_o, .find_index_o
  );

endmodule
