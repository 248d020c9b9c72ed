// Insertion of flow pairs: a queue of requests and one engine that serves them in order (section 9).
//
// Requests:   valid_i/learn_i, at most one a cycle, never delayed; with a full queue the request is lost and counted
//             (event_o.deferred).
// Host:       host_valid_i with index reads an entry, or with write deletes it; held until host_done_o. Served before
//             requests that wait.
// Table:      the second port of ps_flow_table. Data are written before the key that makes them visible.
// Clearing:   clear_we_i/clear_index_i (flush_i throughout) empty one entry a cycle; waiting requests are forgotten.
// Time:       about 13 cycles a pair; the packet pipeline never waits for it. An engine that starts a pair every second
//             cycle fits behind the same ports, as long as it keeps the order of effects.
module ps_learn
  import ps_abi_pkg::*;
  import ps_match_pkg::*;
#(
  parameter int unsigned QueueDepth = 64
) (
  input  logic        clk_i,
  input  logic        rst_i,
  input  logic        flush_i,          // tables are being cleared
  input  logic        clear_we_i,
  input  logic [15:0] clear_index_i,
  input  logic [31:0] now_i,            // card time >> 16
  output logic        busy_o,

  input  logic        valid_i,
  input  learn_t      learn_i,

  input  logic        host_valid_i,
  input  logic        host_write_i,
  input  logic [15:0] host_index_i,
  output logic        host_done_o,
  output flow_t       host_rdata_o,

  output logic                                  row_re_o,
  output logic [FlowWays-1:0][FlowRowsLog2-1:0] row_addr_o,
  output flow_key_t                             row_key_o,
  output logic [3:0]                            row_pick_o,
  input  logic [FlowWays*BucketSlots-1:0]       row_match_i,
  input  logic [FlowWays*BucketSlots-1:0]       row_used_i,
  input  flow_slot_t                            row_slot_i,
  output logic                                  slot_we_o,
  output logic [15:0]                           slot_index_o,
  output flow_slot_t                            slot_wdata_o,
  output logic                                  data_re_o,
  output logic                                  data_we_o,
  output logic [15:0]                           data_index_o,
  output flow_data_t                            data_wdata_o,
  input  flow_data_t                            data_rdata_i,

  output logic        init_valid_o,
  output logic [15:0] init_index_o,
  output flow_stats_t init_value_o,
  input  logic        init_ready_i,

  output flow_event_t event_o
);

  typedef enum logic [4:0] {
    StIdle,
    StHashForward,
    StHashReverse,
    StRowsReverse,
    StPlaceForward,
    StPlaceReverse,
    StDataForward,
    StDataReverse,
    StCompare,
    StOldRead,
    StOldRows,
    StOldDelete,
    StInitReverse,
    StInitForward,
    StWriteReverse,
    StWriteForward,
    StPinRead,
    StPinWrite,
    StHostRows,
    StHostLook,
    StHostDone
  } state_e;

  // An index in the table, from a search of the rows of one key: where it is, or where there is room.
  typedef struct packed {
    logic        hit;
    logic        room;
    logic [15:0] index;
  } place_t;

  state_e      state_q, state_d;
  logic        queue_ready, queue_valid, pop;
  logic [7:0]  queue_count;
  learn_t      queue_data, req_q;
  logic [63:0] hash_forward_q, hash_reverse_q;
  place_t      forward_q, reverse_q;
  flow_data_t  old_forward_q, old_reverse_q;
  logic        old_turn_q;       // whose old partner is under deletion: the reverse entry's
  logic        delete_forward, delete_reverse, reset_forward;
  logic [15:0] target;           // entry under deletion, or the host's
  logic        target_used;
  flow_event_t event_d;

  ps_fifo #(
    .Width($bits(learn_t)),
    .Depth(QueueDepth)
  ) u_queue (
    .clk_i,
    .rst_i   (rst_i || flush_i),
    .wvalid_i(valid_i),
    .wready_o(queue_ready),
    .wdata_i (learn_i),
    .rvalid_o(queue_valid),
    .rready_i(pop),
    .rdata_o (queue_data),
    .count_o (queue_count)
  );

  assign pop    = state_q == StIdle && queue_valid && !host_valid_i;
  assign busy_o = state_q != StIdle || queue_count != '0 || host_valid_i || valid_i;

  // The key, else the way with the most free slots (the lowest of equal ones) and the lowest free slot in it. The slot
  // `taken` does not count as free.
  function automatic place_t search(input logic [63:0] hash, input logic exclude, input logic [15:0] taken);
    logic [2:0]  most, free;
    logic [15:0] index, lowest;
    search = '0;
    most   = '0;
    for (int unsigned w = 0; w < FlowWays; w++) begin
      free   = '0;
      lowest = '0;
      for (int unsigned s = BucketSlots; s > 0; s--) begin
        index = {w[1:0], hash[w*FlowRowsLog2 +: FlowRowsLog2], 2'(s - 1)};
        if (row_match_i[w*BucketSlots+s-1]) begin
          search.hit   = 1'b1;
          search.index = index;
        end
        if (!row_used_i[w*BucketSlots+s-1] && !(exclude && index == taken)) begin
          free   = free + 3'd1;
          lowest = index;
        end
      end
      if (free > most && !search.hit) begin
        most         = free;
        search.room  = 1'b1;
        search.index = lowest;
      end
    end
  endfunction

  // The pair to be written.
  function automatic flow_data_t forward_data();
    forward_data               = req_q.data;
    forward_data.generation    = old_forward_q.generation + 8'd1;
    forward_data.partner_valid = 1'b1;
    forward_data.partner       = reverse_q.index;
  endfunction

  function automatic flow_data_t reverse_data();
    reverse_data                = '0;
    reverse_data.rpf_nh         = req_q.reverse_rpf;
    reverse_data.src_info       = req_q.reverse_info;
    reverse_data.entropy        = entropy_port(hash_reverse_q[63:50]);
    reverse_data.dvrf           = req_q.data.vrf;
    reverse_data.vrf            = req_q.data.dvrf;
    reverse_data.generation     = old_reverse_q.generation + 8'd1;
    reverse_data.partner_valid  = 1'b1;
    reverse_data.partner        = forward_q.index;
    reverse_data.map_generation = req_q.data.map_generation;
    reverse_data.map            = req_q.data.map;
    reverse_data.map_valid      = req_q.data.map_valid;
    reverse_data.reverse        = 1'b1;
    reverse_data.hairpin        = req_q.data.hairpin;
    reverse_data.dnat           = req_q.data.hairpin;
    reverse_data.spat           = req_q.data.dpat;
    reverse_data.snat           = req_q.data.map_valid;
  endfunction

  // Equal in all but generation, partner and src_info.
  function automatic logic same(input flow_data_t old, input flow_data_t asked);
    flow_data_t a, b;
    a = old;
    b = asked;
    a.generation    = '0;
    a.partner_valid = 1'b0;
    a.partner       = '0;
    a.src_info      = '0;
    b.src_info      = '0;
    same = a == b;
  endfunction

  assign delete_forward = forward_q.hit && old_forward_q.partner_valid &&
                          old_forward_q.partner != forward_q.index &&
                          old_forward_q.partner != reverse_q.index;
  assign delete_reverse = reverse_q.hit && old_reverse_q.partner_valid &&
                          old_reverse_q.partner != forward_q.index &&
                          old_reverse_q.partner != reverse_q.index;
  assign reset_forward  = !(req_q.kind == LearnRepin && forward_q.hit);

  always_comb begin
    target = host_index_i;
    if (state_q inside {StOldRead, StOldRows, StOldDelete}) begin
      target = old_turn_q ? old_reverse_q.partner : old_forward_q.partner;
    end
  end
  assign target_used = row_used_i[{target[15:14], target[1:0]}];

  always_comb begin
    row_re_o     = 1'b0;
    row_addr_o   = {FlowWays{target[13:2]}};
    slot_we_o    = clear_we_i;
    slot_index_o = clear_we_i ? clear_index_i : target;
    slot_wdata_o = '0;
    data_re_o    = 1'b0;
    data_we_o    = clear_we_i;
    data_index_o = clear_we_i ? clear_index_i : forward_q.index;
    data_wdata_o = '0;
    init_valid_o = 1'b0;
    init_index_o = reverse_q.index;
    init_value_o = '0;
    init_value_o.last_hit = now_i;
    event_d      = '0;
    event_d.deferred = valid_i && !queue_ready;
    state_d      = state_q;

    unique case (state_q)
      StIdle: begin
        if (host_valid_i) begin
          row_re_o     = 1'b1;
          data_re_o    = 1'b1;
          data_index_o = host_index_i;
          state_d      = StHostRows;
        end else if (queue_valid) begin
          state_d = StHashForward;
        end
      end
      StHashForward: state_d = StHashReverse;
      // Rows of the forward key are read while the reverse key is hashed.
      StHashReverse: begin
        row_re_o   = 1'b1;
        row_addr_o = hash_forward_q[FlowWays*FlowRowsLog2-1:0];
        state_d    = StRowsReverse;
      end
      StRowsReverse: begin
        row_re_o   = 1'b1;
        row_addr_o = hash_reverse_q[FlowWays*FlowRowsLog2-1:0];
        state_d    = StPlaceForward;
      end
      StPlaceForward: state_d = req_q.kind == LearnReverse ? StPinRead : StPlaceReverse;
      StPlaceReverse: begin
        data_re_o = 1'b1;
        state_d   = StDataForward;
      end
      StDataForward: begin
        data_re_o    = 1'b1;
        data_index_o = reverse_q.index;
        state_d      = StDataReverse;
      end
      StDataReverse: state_d = StCompare;
      StCompare: begin
        if (forward_q.hit && same(old_forward_q, req_q.data)) begin
          state_d = StIdle;
        end else if (!(forward_q.hit || forward_q.room) || !(reverse_q.hit || reverse_q.room)) begin
          event_d.full = 1'b1;
          state_d      = StIdle;
        end else begin
          event_d.learned  = !forward_q.hit;
          event_d.repinned = forward_q.hit;
          state_d          = delete_forward || delete_reverse ? StOldRead : StInitReverse;
        end
      end
      StOldRead: begin
        row_re_o = 1'b1;
        state_d  = StOldRows;
      end
      StOldRows: state_d = StOldDelete;
      StOldDelete: begin
        slot_we_o       = target_used;
        event_d.removed = target_used;
        state_d         = !old_turn_q && delete_reverse ? StOldRead : StInitReverse;
      end
      StInitReverse: begin
        init_valid_o = 1'b1;
        data_we_o    = init_ready_i;
        data_index_o = reverse_q.index;
        data_wdata_o = reverse_data();
        if (init_ready_i) state_d = reset_forward ? StInitForward : StWriteReverse;
      end
      StInitForward: begin
        init_valid_o         = 1'b1;
        init_index_o         = forward_q.index;
        init_value_o.packets = 40'd1;
        init_value_o.bytes   = 48'(req_q.bytes);
        init_value_o.tcp     = req_q.tcp;
        if (init_ready_i) state_d = StWriteReverse;
      end
      StWriteReverse: begin
        slot_we_o     = 1'b1;
        slot_index_o  = reverse_q.index;
        slot_wdata_o  = '{key: req_q.reverse_key, valid: 1'b1};
        event_d.added = !reverse_q.hit;
        data_we_o     = 1'b1;     // of the forward entry
        data_wdata_o  = forward_data();
        state_d       = StWriteForward;
      end
      StWriteForward: begin
        slot_we_o     = 1'b1;
        slot_index_o  = forward_q.index;
        slot_wdata_o  = '{key: req_q.key, valid: 1'b1};
        event_d.added = !forward_q.hit;
        state_d       = StIdle;
      end
      StPinRead: begin
        data_re_o = 1'b1;
        state_d   = forward_q.hit ? StPinWrite : StIdle;
      end
      StPinWrite: begin
        data_we_o                    = 1'b1;
        data_wdata_o                 = data_rdata_i;
        data_wdata_o.ecmp_valid      = 1'b1;
        data_wdata_o.ecmp_slot       = req_q.data.ecmp_slot;
        data_wdata_o.ecmp_generation = req_q.data.ecmp_generation;
        state_d                      = StIdle;
      end
      StHostRows: state_d = StHostLook;
      StHostLook: begin
        slot_we_o       = host_write_i && target_used;
        event_d.removed = host_write_i && target_used;
        state_d         = StHostDone;
      end
      StHostDone: state_d = StIdle;
      default:    state_d = StIdle;
    endcase
  end

  assign row_key_o  = state_q == StRowsReverse ? req_q.key : req_q.reverse_key;
  assign row_pick_o = {target[15:14], target[1:0]};

  always_ff @(posedge clk_i) begin
    if (pop) req_q <= queue_data;
    if (state_q == StHashForward) hash_forward_q <= key_hash({8'd0, req_q.key});
    if (state_q == StHashReverse) hash_reverse_q <= key_hash({8'd0, req_q.reverse_key});
    if (state_q == StPlaceForward) forward_q <= search(hash_forward_q, 1'b0, '0);
    if (state_q == StPlaceReverse) reverse_q <= search(hash_reverse_q, !forward_q.hit, forward_q.index);
    if (state_q == StDataForward) old_forward_q <= data_rdata_i;
    if (state_q == StDataReverse) old_reverse_q <= data_rdata_i;
    if (state_q == StCompare) old_turn_q <= !delete_forward;
    if (state_q == StOldDelete) old_turn_q <= 1'b1;
    if (state_q == StHostLook) host_rdata_o <= target_used ? {data_rdata_i, row_slot_i} : '0;
    event_o <= event_d;
    state_q <= state_d;
    if (rst_i || flush_i) begin
      state_q <= StIdle;
      event_o <= '0;
    end
  end

  assign host_done_o = state_q == StHostDone;

`ifndef SYNTHESIS
  a_host_held : assert property (@(posedge clk_i) disable iff (rst_i || flush_i)
                                 state_q inside {StHostRows, StHostLook, StHostDone} |-> host_valid_i);
  a_distinct  : assert property (@(posedge clk_i) disable iff (rst_i || flush_i)
                                 state_q == StWriteReverse |-> forward_q.index != reverse_q.index);
`endif

  logic unused_bits;
  assign unused_bits = ^old_reverse_q;

endmodule
