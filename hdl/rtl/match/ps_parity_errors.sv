// Words of tables that were met with the wrong parity: how many, and where the last one was.
//
// In:          error_i, one for each place where packets are served; of source s the table is Tables[s]. Several may come in one cycle.
//              read_i with read_at_i ({table, index}, held for two cycles): the host has read one.
// Out:         count_o modulo 2^32; last_o is {table, index}, of several in one cycle the first source's. Both some cycles later, and 0
//              before the first. Each is read by itself: who wants the two to belong together reads count_o again.
// Reset:       all.
module ps_parity_errors
  import ps_abi_pkg::*;
  import ps_match_pkg::*;
#(
  parameter int unsigned Sources = 2,
  parameter logic [Sources-1:0][7:0] Tables = '0
) (
  input  logic                        clk_i,
  input  logic                        rst_i,
  input  parity_error_t [Sources-1:0] error_i,
  input  logic                        read_i,
  input  logic [31:0]                 read_at_i,
  output logic [31:0]                 count_o,
  output logic [31:0]                 last_o
);

  localparam int unsigned SumBits = $clog2(Sources + 2);

  logic [Sources-1:0] valid_q, first;
  logic [Sources-1:0][IndexBits-1:0] index_q;
  logic               some_q, read_q;
  logic [SumBits-1:0] sum_q;

  assign first = valid_q & -valid_q;

  for (genvar s = 0; s < Sources; s++) begin : gen_source
    always_ff @(posedge clk_i) begin
      valid_q[s] <= error_i[s].valid && !rst_i;
      if (error_i[s].valid) index_q[s] <= error_i[s].index;
    end
  end

  function automatic logic [SumBits-1:0] sum_of(input logic [Sources-1:0] set);
    sum_of = '0;
    for (int unsigned s = 0; s < Sources; s++) sum_of += SumBits'(set[s]);
  endfunction

  function automatic logic [31:0] place_of(input logic [Sources-1:0] one, input logic [Sources-1:0][IndexBits-1:0] indices);
    place_of = '0;
    for (int unsigned s = 0; s < Sources; s++) if (one[s]) place_of |= {Tables[s], 24'(indices[s])};
  endfunction

  always_ff @(posedge clk_i) begin
    read_q <= read_i && !rst_i;
    some_q <= (valid_q != '0 || read_q) && !rst_i;
    if (valid_q != '0) last_o <= place_of(first, index_q);
    else if (read_q) last_o <= read_at_i;
    if (valid_q != '0 || read_q) sum_q <= sum_of(valid_q) + SumBits'(read_q);
    if (some_q) count_o <= count_o + 32'(sum_q);
    if (rst_i) begin
      count_o <= '0;
      last_o  <= '0;
    end
  end

`ifndef SYNTHESIS
  initial assert (IndexBits <= 24) else $fatal(1, "ps_parity_errors: an index has no room");
`endif

endmodule
