// Finds and reserves a free slot for a key: a key every cycle.
//
// Request:    valid_i with the key's rows and a tag. PlaceCycles (6) later done_o with the tag, ok_o and the slot reserved.
// Choice:     the way with the most free slots, of equal ones the first from a way that goes round; the lowest free slot in it. (If the
//             lowest way were always first, its port would be the one that all wait for.)
// Exact:      what is reserved is reserved once: of the six requests that a request's rows were read too early to show, those of the
//             same row are taken off at the end. If that leaves nothing in the way chosen, ok_o is 0 although another way may
//             have room: the user asks again.
// Free:       free_valid_i/free_index_i gives a slot back, every second cycle at most (free_ready_o); it waits here for a cycle in which none
//             of its way is reserved.
// Clearing:   clear_i frees all slots of clear_row_i.
module ps_flow_alloc
  import ps_abi_pkg::*;
  import ps_match_pkg::*;
  import ps_pair_pkg::*;
#(
  parameter int unsigned RowsLog2 = FlowRowsLog2,
  parameter int unsigned TagBits  = 4
) (
  input  logic               clk_i,
  input  logic               rst_i,
  input  logic               valid_i,
  input  rows_t              rows_i,
  input  logic [TagBits-1:0] tag_i,
  output logic               done_o,
  output logic [TagBits-1:0] tag_o,
  output logic               ok_o,
  output flow_index_t        index_o,

  input  logic               free_valid_i,
  output logic               free_ready_o,
  input  flow_index_t        free_index_i,

  input  logic                    clear_i,
  input  logic [FlowRowsLog2-1:0] clear_row_i
);

  localparam int unsigned Ahead   = 6;    // requests whose effect the read does not show
  localparam int unsigned WayBits = $clog2(FlowWays);

  typedef logic [FlowWays-1:0]    ways_t;
  typedef logic [BucketSlots-1:0] slots_t;

  logic [5:1]           valid_q;
  logic [TagBits-1:0]   tag_q [1:5];
  rows_t                rows_q [1:Ahead];
  ways_t [Ahead:1]      near_q [1:4];    // shares the row of a way with the request that many cycles ahead
  slots_t [FlowWays-1:0] used;
  slots_t               free3_q [FlowWays], free4_q [FlowWays], free5_q;
  ways_t                at_least_q [BucketSlots:1];
  logic [WayBits-1:0]   turn_q, way4_q, way5_q;
  logic [FlowRowsLog2-1:0] row5_q;
  logic [Ahead:1]       near5_q;

  // Decisions of the requests ahead, the last one first.
  typedef struct packed {
    logic [WayBits-1:0] way;
    slots_t             slot;    // none, if there was none
  } decision_t;
  decision_t            past_q [1:Ahead];
  decision_t            decision;
  flow_index_t          index_q;

  // What is to be freed: a slot, or on clearing a row of all ways.
  typedef struct packed {
    logic                    valid;
    logic [WayBits-1:0]      way;
    logic [FlowRowsLog2-1:0] row;
  } back_t;
  back_t                 back_q;
  slots_t [FlowWays-1:0] back_slot_q;
  logic                  back_stays;

  // Which slots are taken: one bit a slot, so that each is written alone.
  logic                 take_q;
  slots_t               take_slot_q;

  for (genvar w = 0; w < FlowWays; w++) begin : gen_way
    logic                    takes;
    logic [FlowRowsLog2-1:0] row;
    slots_t                  we;

    assign takes = take_q && index_q.way == WayBits'(w);
    assign row   = takes ? index_q.row : back_q.row;
    assign we    = takes ? take_slot_q : back_slot_q[w];

    ps_ram_bits #(
      .Bits  (BucketSlots),
      .Depth (1 << RowsLog2),
      .Cycles(2)
    ) u_used (
      .clk_i,
      .we_i   (we),
      .waddr_i(row[RowsLog2-1:0]),
      .wdata_i(takes),
      .re_i   (valid_i),
      .raddr_i(rows_i[w][RowsLog2-1:0]),
      .rdata_o(used[w])
    );

    logic unused_row;
    assign unused_row = ^row;
  end

  // What is given back waits while a slot of its way is reserved.
  assign back_stays   = take_q && back_q.valid && index_q.way == back_q.way;
  assign free_ready_o = !back_q.valid;

  // Of the ways with the most free slots, the first from `turn` on.
  function automatic logic [WayBits-1:0] choose(input ways_t [BucketSlots:1] at_least, input logic [WayBits-1:0] turn);
    ways_t best;
    best = at_least[1];
    for (int unsigned n = 2; n <= BucketSlots; n++) if (at_least[n] != '0) best = at_least[n];
    choose = turn;
    for (int unsigned i = FlowWays; i > 0; i--) begin
      if (best[WayBits'(turn + WayBits'(i - 1))]) choose = WayBits'(turn + WayBits'(i - 1));
    end
  endfunction

  ways_t [BucketSlots:1] at_least;
  always_comb for (int unsigned n = 1; n <= BucketSlots; n++) at_least[n] = at_least_q[n];

  // Last stage: the lowest slot that none of those ahead has taken.
  always_comb begin
    slots_t left;
    left = free5_q;
    for (int unsigned k = 1; k <= Ahead; k++) begin
      if (near5_q[k]) left &= ~past_q[k].slot;
    end
    decision = '{way: way5_q, slot: left & (~left + 1'b1)};
  end

  always_ff @(posedge clk_i) begin
    // 1: rows are being read
    if (valid_i) begin
      for (int unsigned k = 1; k <= Ahead; k++) begin
        for (int unsigned w = 0; w < FlowWays; w++) near_q[1][k][w] <= rows_i[w] == rows_q[k][w];
      end
      rows_q[1] <= rows_i;
      tag_q[1]  <= tag_i;
    end
    // What is of no request rests: a request ahead that is none has taken no slot.
    for (int unsigned k = 2; k <= Ahead; k++) if (valid_q[k-1]) rows_q[k] <= rows_q[k-1];
    for (int unsigned i = 2; i <= 4; i++) if (valid_q[i-1]) near_q[i] <= near_q[i-1];
    for (int unsigned i = 2; i <= 5; i++) if (valid_q[i-1]) tag_q[i] <= tag_q[i-1];
    // 3: how many are free
    if (valid_q[2]) begin
      for (int unsigned w = 0; w < FlowWays; w++) begin
        free3_q[w] <= ~used[w];
        for (int unsigned n = 1; n <= BucketSlots; n++) at_least_q[n][w] <= $countones(~used[w]) >= n;
      end
    end
    // 4: which way
    if (valid_q[3]) begin
      for (int unsigned w = 0; w < FlowWays; w++) free4_q[w] <= free3_q[w];
      way4_q <= choose(at_least, turn_q);
      turn_q <= turn_q + 1'b1;
    end
    // 5: its slots
    free5_q <= '0;
    if (valid_q[4]) begin
      way5_q  <= way4_q;
      free5_q <= free4_q[way4_q];
      row5_q  <= rows_q[4][way4_q];
      for (int unsigned k = 1; k <= Ahead; k++) begin
        near5_q[k] <= near_q[4][k][way4_q] && way4_q == (k == 1 ? way5_q : past_q[k-1].way);
      end
    end
    // 6: the slot
    past_q[1] <= decision;
    for (int unsigned k = 2; k <= Ahead; k++) past_q[k] <= past_q[k-1];
    take_q      <= decision.slot != '0;
    take_slot_q <= decision.slot;
    if (valid_q[5]) begin
      index_q.way <= way5_q;
      index_q.row <= row5_q;
      tag_o       <= tag_q[5];
    end
    for (int unsigned s = 0; s < BucketSlots; s++) if (decision.slot[s]) index_q.slot <= $clog2(BucketSlots)'(s);
    if (clear_i) begin
      back_q      <= '{valid: 1'b0, way: '0, row: clear_row_i};
      back_slot_q <= '1;
    end else if (!back_q.valid) begin
      back_q <= '{valid: free_valid_i, way: free_index_i.way, row: free_index_i.row};
      for (int unsigned w = 0; w < FlowWays; w++) begin
        back_slot_q[w] <= free_valid_i && free_index_i.way == WayBits'(w) ? slots_t'(1) << free_index_i.slot : '0;
      end
    end else if (!back_stays) begin
      back_q.valid <= 1'b0;
      back_slot_q  <= '0;
    end
    done_o  <= valid_q[5];
    valid_q <= {valid_q[4:1], valid_i};
    if (rst_i) begin
      valid_q <= '0;
      done_o  <= 1'b0;
      take_q  <= 1'b0;
      turn_q  <= '0;
      if (!clear_i) begin
        back_q.valid <= 1'b0;
        back_slot_q  <= '0;
      end
      for (int unsigned k = 1; k <= Ahead; k++) past_q[k].slot <= '0;
    end
  end

  assign ok_o    = take_q;
  assign index_o = index_q;

`ifndef SYNTHESIS
  // No slot has two owners.
  bit owned_m [Flows];
  always @(posedge clk_i) begin
    if (clear_i) begin
      for (int unsigned w = 0; w < FlowWays; w++) begin
        for (int unsigned s = 0; s < BucketSlots; s++) owned_m[{WayBits'(w), clear_row_i, $clog2(BucketSlots)'(s)}] <= 1'b0;
      end
    end else begin
      if (take_q) begin
        a_one_owner : assert (!owned_m[index_q]) else $error("ps_flow_alloc: slot %h has two owners", index_q);
        owned_m[index_q] <= 1'b1;
      end
      if (free_valid_i && free_ready_o && !rst_i) begin
        a_was_owned : assert (owned_m[free_index_i]) else $error("ps_flow_alloc: slot %h is given back twice", free_index_i);
        owned_m[free_index_i] <= 1'b0;
      end
    end
  end
`endif

endmodule
