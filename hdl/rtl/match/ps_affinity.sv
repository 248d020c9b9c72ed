// Clients that are kept at their members (section 9.7): the table Affinity, its look-up, and what changes it.
//
// Look-up:    client_valid_i/client_i every cycle, with what ps_service is asked; number_i ServiceCycles later, 0: none. hit_o
//             AffinityCycles after that: the member at which the client is kept under this number, unless that
//             has expired. hit_o.hit is 0 without a look-up.
// Changes:    keep_valid_i/keep_i, while room_o; as if one at a time, in their order (ps_affinity_update).
// Host:       acc_i reads an entry, or deletes it: whoever asks has seen to it that nothing but zeros is written. acc_done_o (pulse) when it
//             is; what was read stands then, and holds.
// Parity:     an entry with the wrong one is not there; error_o tells each time that it is met but for the host's reads, whose answer does.
// Memories:   a way each; look-ups have the first port whole, changes the second.
// Secret:     secret_i is taken over while tables are cleared, XORed with constants, as by ps_flow.
// Marks:      mark_o, each taken when mark_ready_i: an entry has been written, and is valid or not. In the order of the changes.
// Events:     learned_o (pulse): a client that was not there; evicted_o with it: another gave way to it.
module ps_affinity
  import ps_abi_pkg::*;
  import ps_types_pkg::*;
  import ps_match_pkg::*;
(
  input  logic             clk_i,
  input  logic             rst_i,
  input  logic [31:0]      now_i,          // card time >> 16
  input  logic [191:0]     secret_i,
  input  logic             clear_i,        // throughout clearing

  input  logic             client_valid_i,
  input  ip4_t             client_i,
  input  affinity_number_t number_i,
  output affinity_hit_t    hit_o,

  input  logic             keep_valid_i,
  input  affinity_keep_t   keep_i,
  output logic             room_o,
  output logic             learned_o,
  output logic             evicted_o,
  output affinity_mark_t   mark_o,
  input  logic             mark_ready_i,

  input  access_t          acc_i,
  output logic             acc_done_o,
  output affinity_t        acc_rdata_o,
  output logic             acc_bad_o,
  output parity_error_t [AffinityWays:0] error_o,      // of look-ups by way; of changes
  output logic             busy_o
);

  localparam int unsigned Row        = 1 + AffinityReadCycles;    // rows stand, so long after the number
  localparam int unsigned Lane       = AffinityBits + 1;
  localparam int unsigned UnitLsb    = AffinityUnitLog2 - 16;

  // What two levels of logic can compare between registers: parts of so many bits.
  localparam int unsigned PartBits = 17;
  localparam int unsigned Parts    = 3;

  typedef logic [AffinityWays-1:0][AffinityRowsLog2-1:0] rows_t;

  // The key, as an entry has it.
  typedef struct packed {
    ip4_t             client;
    affinity_number_t number;
    logic             valid;
  } key_t;

  typedef struct packed {
    slot_id_t    slot;
    generation_t generation;
  } member_t;

  logic [191:0]   secret_q;
  affinity_time_t unit_q;

  always_ff @(posedge clk_i) begin
    if (clear_i || rst_i) secret_q <= secret_i ^ FlowSecretBase;
    unit_q <= now_i[UnitLsb +: AffinityTimeBits];
  end

  // --- The client, until the number is known
  logic                  late_valid;
  ip4_t                  late_client;
  logic [ClientHashCycles-1:0] hash_valid_q;
  ip4_t                  hash_client_q [ClientHashCycles];
  rows_t                 rows;

  ps_delay #(
    .Width ($bits(ip4_t)),
    .Cycles(ServiceCycles - ClientHashCycles)
  ) u_client (
    .clk_i,
    .rst_i,
    .valid_i(client_valid_i),
    .data_i (client_i),
    .valid_o(late_valid),
    .data_o (late_client)
  );

  ps_affinity_rows u_rows (
    .clk_i,
    .secret_i      (secret_q),
    .client_valid_i(late_valid),
    .client_i      (late_client),
    .number_i,
    .rows_o        (rows)
  );

  always_ff @(posedge clk_i) begin
    hash_valid_q     <= rst_i ? '0 : {hash_valid_q[ClientHashCycles-2:0], late_valid};
    if (late_valid) hash_client_q[0] <= late_client;
    for (int unsigned i = 1; i < ClientHashCycles; i++) if (hash_valid_q[i-1]) hash_client_q[i] <= hash_client_q[i-1];
  end

  // --- Memories
  logic  [AffinityWays-1:0] change_we;
  rows_t                    change_rows;
  logic                     change_re;
  logic [Lane-1:0]          change_wdata;
  logic [AffinityWays-1:0][Lane-1:0] change_rdata;
  logic [Lane-1:0]          words [AffinityWays];

  logic [Row+2:1] look_q;      // bit i: a look-up is in cycle i after its number
  key_t           key_q [1:Row];
  rows_t          rows_q [2:Row+1];

  for (genvar w = 0; w < AffinityWays; w++) begin : gen_memory
    ps_ram_deep #(
      .Width(Lane),
      .Depth(1 << AffinityRowsLog2),
      .Fan  (AffinityFan),
      .LateB(1'b1)
    ) u_rows (
      .clk_i,
      .a_re_i   (look_q[1]),
      .a_addr_i (rows[w]),
      .a_rdata_o(words[w]),
      .b_re_i   (change_re),
      .b_we_i   (change_we[w]),
      .b_all_i  (1'b0),
      .b_addr_i (change_rows[w]),
      .b_wdata_i(change_wdata),
      .b_rdata_o(change_rdata[w])
    );
  end

  // --- Comparison: parts, and how old | whether it is the client's and counts | of which way
  logic    [AffinityWays-1:0] odd, match_q;
  member_t [AffinityWays-1:0] member1_q, member2_q;

  for (genvar w = 0; w < AffinityWays; w++) begin : gen_compare
    affinity_t        entry;
    logic [Parts-1:0] equal_q;
    affinity_time_t   age_q, timeout_q;

    assign entry = affinity_t'(words[w][AffinityBits-1:0]);

    ps_parity #(
      .Width(Lane)
    ) u_parity (
      .clk_i,
      .valid_i(look_q[Row]),
      .data_i (words[w]),
      .odd_o  (odd[w])
    );

    always_ff @(posedge clk_i) begin
      if (look_q[Row]) begin
        equal_q      <= equal_parts(key_t'{client: entry.client, number: entry.number, valid: entry.valid}, key_q[Row]);
        age_q        <= unit_q - entry.last;
        timeout_q    <= entry.timeout;
        member1_q[w] <= '{slot: entry.slot, generation: entry.generation};
      end
      if (look_q[Row+1]) begin
        match_q[w]   <= &equal_q && !odd[w] && age_q <= timeout_q;
        member2_q[w] <= member1_q[w];
      end
      error_o[w].valid <= look_q[Row+1] && odd[w] && !rst_i;
      if (odd[w]) error_o[w].index <= index_t'(affinity_index_t'{way: $clog2(AffinityWays)'(w), row: rows_q[Row+1][w]});
    end
  end

  function automatic logic [Parts-1:0] equal_parts(input key_t one, input key_t other);
    logic [Parts*PartBits-1:0] differs;
    differs = (Parts * PartBits)'(one ^ other);
    for (int unsigned p = 0; p < Parts; p++) equal_parts[p] = differs[p*PartBits +: PartBits] == '0;
  endfunction

  always_ff @(posedge clk_i) begin
    look_q <= rst_i ? '0 : {look_q[Row+1:1], hash_valid_q[ClientHashCycles-1] && number_i != '0};
    if (hash_valid_q[ClientHashCycles-1]) key_q[1] <= '{client: hash_client_q[ClientHashCycles-1], number: number_i, valid: 1'b1};
    for (int unsigned i = 2; i <= Row; i++) if (look_q[i-1]) key_q[i] <= key_q[i-1];
    if (look_q[1]) rows_q[2] <= rows;
    for (int unsigned i = 3; i <= Row + 1; i++) if (look_q[i-1]) rows_q[i] <= rows_q[i-1];
    hit_o.hit <= look_q[Row+2] && match_q != '0;
    if (look_q[Row+2]) {hit_o.slot, hit_o.generation} <= match_q[0] ? member2_q[0] : member2_q[1];
    if (rst_i) hit_o.hit <= 1'b0;
  end

  // --- Changes
  ps_affinity_update u_update (
    .clk_i,
    .rst_i,
    .unit_i    (unit_q),
    .secret_i  (secret_q),
    .clear_i,
    .keep_valid_i,
    .keep_i,
    .room_o,
    .learned_o,
    .evicted_o,
    .mark_o,
    .mark_ready_i,
    .acc_i,
    .acc_done_o,
    .acc_rdata_o,
    .acc_bad_o,
    .error_o   (error_o[AffinityWays]),
    .re_o      (change_re),
    .we_o      (change_we),
    .rows_o    (change_rows),
    .wdata_o   (change_wdata),
    .rdata_i   (change_rdata),
    .busy_o
  );

  logic unused_bits;
  assign unused_bits = ^now_i;

`ifndef SYNTHESIS
  initial assert (Parts * PartBits >= $bits(key_t) && AffinityCycles == Row + 3 && AffinityWays == 2 && ServiceCycles > ClientHashCycles)
    else $fatal(1, "ps_affinity: its stages are not AffinityCycles");
`endif

endmodule
