// Bench top of ps_affinity; ps_affinity_tb.cpp plays the packets, the flow table that has clients kept, the host and time, beside a model. A
// client and its number are given at once here; the answer comes answers_o cycles later.
module ps_affinity_tb
  import ps_abi_pkg::*;
  import ps_match_pkg::*;
(
  input  logic         clk_i,
  input  logic         rst_i,
  input  logic [63:0]  time_i,
  input  logic [191:0] secret_i,
  input  logic         clear_i,
  input  logic         clear_we_i,
  input  logic [31:0]  clear_index_i,

  input  logic         look_i,
  input  logic [31:0]  client_i,
  input  logic [15:0]  number_i,
  output logic         hit_o,
  output logic [10:0]  slot_o,
  output logic [7:0]   generation_o,

  input  logic         keep_i,
  input  logic [31:0]  keep_client_i,
  input  logic [15:0]  keep_number_i,
  input  logic [19:0]  keep_timeout_i,
  input  logic [10:0]  keep_slot_i,
  input  logic [7:0]   keep_generation_i,
  output logic         room_o,
  output logic         learned_o,
  output logic         evicted_o,
  output logic         mark_o,
  output logic         mark_set_o,
  output logic [31:0]  mark_index_o,
  input  logic         mark_ready_i,
  output logic         kept_o,          // the one that has waited longest has been written
  output logic         swept_o,         // a row has been

  input  logic         read_i,          // pulses
  input  logic         write_i,
  input  logic         flip_i,
  input  logic [31:0]  index_i,
  output logic         done_o,
  output logic [107:0] entry_o,
  output logic         bad_o,
  output logic         error_o [3],
  output logic [31:0]  error_index_o [3],
  output logic         busy_o,

  // Where a key stands, by the package's functions; for the model.
  input  logic [31:0]  where_client_i,
  input  logic [15:0]  where_number_i,
  input  logic [191:0] where_secret_i,
  output logic [31:0]  where_o [2],
  output int unsigned  answers_o,
  output int unsigned  rows_log2_o
);

  assign answers_o   = ServiceCycles + AffinityCycles;
  assign rows_log2_o = AffinityRowsLog2;

  for (genvar w = 0; w < 2; w++) begin : gen_where
    assign where_o[w] = 32'(affinity_row(client_hash(where_client_i, where_secret_i), key_hash(128'(where_number_i)), w));
  end

  access_t       acc;
  affinity_hit_t hit;
  affinity_t     entry;
  parity_error_t [AffinityWays:0] error;
  affinity_mark_t mark;

  always_comb begin
    acc       = '0;
    acc.index = index_t'(clear_we_i ? clear_index_i : index_i);
    acc.flip  = flip_i;
    acc.we[SelAffinity] = write_i || clear_we_i;
    acc.re[SelAffinity] = read_i;
  end

  logic [ServiceCycles-1:0][15:0] number_q;

  always_ff @(posedge clk_i) number_q <= {number_q[ServiceCycles-2:0], number_i};

  ps_affinity dut (
    .clk_i, .rst_i, .now_i(time_i[47:16]), .secret_i, .clear_i, .client_valid_i(look_i), .client_i,
    .number_i(number_q[ServiceCycles-1]), .hit_o(hit), .keep_valid_i(keep_i),
    .keep_i('{under: '{number: keep_number_i, timeout: keep_timeout_i}, client: keep_client_i, slot: keep_slot_i,
              generation: keep_generation_i}),
    .room_o, .learned_o, .evicted_o, .mark_o(mark), .mark_ready_i, .acc_i(acc), .acc_done_o(done_o), .acc_rdata_o(entry), .acc_bad_o(bad_o), .error_o(error), .busy_o
  );

  assign {hit_o, slot_o, generation_o} = {hit.hit, hit.slot, hit.generation};
  assign entry_o = entry;
  assign {mark_o, mark_set_o, mark_index_o} = {mark.valid, mark.set, 32'(mark.index)};

  for (genvar e = 0; e < 3; e++) begin : gen_error
    assign {error_o[e], error_index_o[e]} = {error[e].valid, 32'(error[e].index)};
  end

  always_ff @(posedge clk_i) begin
    kept_o  <= dut.u_update.step_q[dut.u_update.Steps] && dut.u_update.op_q == dut.u_update.OpKeep;
    swept_o <= dut.u_update.step_q[dut.u_update.Steps] && dut.u_update.op_q == dut.u_update.OpSweep;
  end

endmodule
