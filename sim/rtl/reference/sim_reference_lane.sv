// One lane of sim_reference: a beat a cycle, four stages from the queue's end to its beginning.
module sim_reference_lane #(
  parameter int unsigned Lane = 0
) (
  input  logic        clk_i,
  input  logic        rst_i,
  output logic [63:0] digest_o
);

  localparam int unsigned Entries = 512;
  localparam int unsigned Slots   = 16;

  typedef logic [15:0][31:0] beat_t;

  function automatic logic [511:0] mask(input int unsigned n);
    mask = '0;
    for (int unsigned i = 0; i < 16; i++) mask[32*i+:32] = 32'h9e37_79b9 * (32'(n) * 16 + 32'(i) + 32'd1 + 32'(Lane) * 1024);
  endfunction

  logic [511:0] table_q [Entries];
  logic [511:0] queue_q [Slots];
  logic [3:0]   head_q;
  logic [31:0]  count_q;

  // A queue that is always full: its oldest entry goes in, what comes out is the newest.
  beat_t        in_q;
  logic [4:0]   shift_q;

  // Sums of words, and a hash by parities.
  beat_t        sum_q;
  logic [15:0]  hash_q;
  logic [511:0] shifted_q;

  always_ff @(posedge clk_i) begin
    in_q    <= queue_q[head_q];
    shift_q <= count_q[4:0] ^ 5'(Lane);
    for (int unsigned i = 0; i < 16; i++) sum_q[i] <= in_q[i] + in_q[(i+5)%16] + 32'(Lane + 1);
    for (int unsigned n = 0; n < 16; n++) hash_q[n] <= ^(in_q & mask(n));
    shifted_q <= 512'(in_q) << {shift_q, 3'b0};
  end

  // The table: read, and written where it was read.
  logic [8:0]   index_q;
  logic [511:0] entry_q, beat_q;
  logic         match_q;

  always_ff @(posedge clk_i) begin
    index_q <= hash_q[8:0];
    entry_q <= table_q[hash_q[8:0]];
    beat_q  <= sum_q ^ shifted_q ^ {32{hash_q}};
    match_q <= hash_q[12:9] == 4'd3;
    if (match_q) table_q[index_q] <= beat_q;
  end

  logic [511:0] back;

  assign back = beat_q ^ {entry_q[255:0], entry_q[511:256]};

  always_ff @(posedge clk_i) begin
    queue_q[head_q] <= back;
    head_q          <= head_q + 4'd1;
    count_q         <= count_q + 32'd1;
    digest_o        <= {digest_o[62:0], digest_o[63]} ^ back[63:0] ^ back[511:448];
    if (rst_i) begin
      head_q   <= '0;
      count_q  <= 32'(Lane);
      digest_o <= '0;
    end
  end

  initial begin
    for (int unsigned i = 0; i < Entries; i++) table_q[i] = mask(32'(i));
    for (int unsigned i = 0; i < Slots; i++) queue_q[i] = mask(32'(i) + 32'd4096);
  end

endmodule
