// Exact-match table filled by the host: Ways hash functions, rows of BucketSlots entries.
//
// Entry, index, maintenance, ports: as in ps_bucket_rows.
// Parity:      a slot with the wrong parity in the rows of a key makes it miss, and bad_o says so with hit_o; error_o which one, likewise.
// Lookup:      valid_i/key_i every cycle; hit_o/data_o bucket_cycles(RowsLog2) later (hit_o is 0 for a cycle without lookup, data_o
//              too).
module ps_bucket_table
  import ps_abi_pkg::*;
  import ps_bucket_pkg::*;
  import ps_match_pkg::*;
#(
  parameter int unsigned EntryBits = 82,
  parameter int unsigned KeyBits   = 44,
  parameter int unsigned Ways      = 2,
  parameter int unsigned RowsLog2  = 12,
  parameter              Style     = "ultra",
  localparam int unsigned DataBits  = EntryBits - KeyBits - 1,
  localparam int unsigned AddrWidth = $clog2(Ways) + RowsLog2 + $clog2(BucketSlots)
) (
  input  logic                 clk_i,
  input  logic                 rst_i,
  input  logic                 valid_i,
  input  logic [KeyBits-1:0]   key_i,
  output logic                 hit_o,
  output logic                 bad_o,
  output logic [DataBits-1:0]  data_o,
  output parity_error_t        error_o,
  input  logic                 acc_re_i,
  input  logic                 acc_we_i,
  input  logic                 acc_flip_i,
  input  logic [AddrWidth-1:0] acc_index_i,
  input  logic [EntryBits-1:0] acc_wdata_i,
  output logic [EntryBits-1:0] acc_rdata_o,
  output logic                 acc_bad_o
);

  localparam int unsigned RowCycles = row_cycles(RowsLog2);

  logic [Ways-1:0][RowsLog2-1:0] hash, hash_q;
  logic [RowCycles:0]            valid_q;
  logic [KeyBits-1:0]            key_q [RowCycles+1];
  logic                          hit, bad;

  ps_xor_tree #(
    .Width(KeyBits),
    .Trees(Ways * RowsLog2),
    .Masks(KeyMasks[Ways*RowsLog2-1:0])
  ) u_hash (
    .data_i(key_i),
    .odd_o (hash)
  );

  always_ff @(posedge clk_i) begin
    hash_q   <= hash;
    key_q[0] <= key_i;
    for (int unsigned i = 1; i <= RowCycles; i++) key_q[i] <= key_q[i-1];
    valid_q <= {valid_q[RowCycles-1:0], valid_i};
    hit_o   <= hit && !bad;
    bad_o   <= bad;
    if (rst_i) begin
      valid_q <= '0;
      hit_o   <= 1'b0;
      bad_o   <= 1'b0;
    end
  end

  ps_bucket_rows #(
    .EntryBits(EntryBits),
    .KeyBits  (KeyBits),
    .Ways     (Ways),
    .RowsLog2 (RowsLog2),
    .Style    (Style)
  ) u_rows (
    .clk_i,
    .rst_i,
    .re_i       (valid_q[0]),
    .row_i      (hash_q),
    .look_i     (valid_q[RowCycles]),
    .key_i      (key_q[RowCycles]),
    .hit_o      (hit),
    .bad_o      (bad),
    .data_o,
    .error_o,
    .acc_re_i,
    .acc_we_i,
    .acc_flip_i,
    .acc_index_i,
    .acc_wdata_i,
    .acc_rdata_o,
    .acc_bad_o
  );

endmodule
