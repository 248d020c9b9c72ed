// Insertion of flow pairs: a queue of requests and one engine that serves them in order (section 9).
//
// Requests:   valid_i/learn_i, at most one a cycle, never delayed; with a full queue the request is lost and counted
//             (event_o.deferred).
// Host:       host_valid_i with index reads an entry, or with write deletes it; held until host_done_o. Served before
//             requests that wait.
// Table:      the second port of ps_flow_table. Data are written before the key that makes them visible.
// Time:       about 12 cycles a pair; the packet pipeline never waits for it. Same ports and the same order of effects would
//             do for an engine that starts a pair every second cycle.
module ps_learn
  import ps_abi_pkg::*;
  import ps_match_pkg::*;
#(
  parameter int unsigned QueueDepth = 64
) (
  input  logic        clk_i,
  input  logic        rst_i,
  input  logic        flush_i,          // tables are being cleared
  input  logic [31:0] now_i,            // card time >> 16
  output logic        busy_o,

  input  logic        valid_i,
  input  learn_t      learn_i,

  input  logic        host_valid_i,
  input  logic        host_write_i,
  input  logic [15:0] host_index_i,
  output logic        host_done_o,
  output flow_t       host_rdata_o,

  output logic                                       row_re_o,
  output logic [FlowWays-1:0][FlowRowsLog2-1:0]      row_addr_o,
  output logic [FlowWays-1:0][BucketSlots-1:0]       row_we_o,
  output flow_slot_t                                 row_wdata_o,
  input  flow_slot_t [BucketSlots-1:0]               row_rdata_i [FlowWays],
  output logic                                       data_re_o,
  output logic                                       data_we_o,
  output logic [15:0]                                data_addr_o,
  output flow_data_t                                 data_wdata_o,
  input  flow_data_t                                 data_rdata_i,

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
    StLookForward,
    StLookReverse,
    StRoomReverse,
    StDataForward,
    StDataReverse,
    StCompare,
    StOldForward,
    StOldForwardLook,
    StOldReverse,
    StOldReverseLook,
    StInitReverse,
    StInitForward,
    StWriteReverse,
    StWriteForward,
    StPinWrite,
    StHostLook,
    StHostDone
  } state_e;

  state_e      state_q, state_d;
  logic        queue_ready, queue_valid, pop;
  learn_t      queue_data, req_q;
  logic [63:0] hash_forward_q, hash_reverse_q;
  flow_event_t event_d;

  // An index in the table, from a search of the rows of one key.
  typedef struct packed {
    logic        hit;
    logic        room;
    logic [15:0] index;
  } place_t;

  place_t      forward_q, reverse_q;
  flow_data_t  old_forward_q, old_reverse_q;
  logic [7:0]  queue_count;
  logic        delete_forward, delete_reverse, reset_forward;
  logic [15:0] target;           // entry under deletion, or the host's
  logic [1:0]  target_way, target_slot;
  logic        target_valid;
  flow_slot_t  target_entry;

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

  // --- Search of the rows that have been read: the key, else the best free slot but `taken`.
  function automatic place_t search(input flow_key_t key, input logic [63:0] hash, input logic exclude,
                                    input logic [15:0] taken);
    logic [2:0]  most, free;
    logic [15:0] index, lowest;
    search = '0;
    most   = '0;
    for (int unsigned w = 0; w < FlowWays; w++) begin
      free   = '0;
      lowest = '0;
      for (int unsigned s = BucketSlots; s > 0; s--) begin
        index = {w[1:0], hash[w*FlowRowsLog2 +: FlowRowsLog2], 2'(s - 1)};
        if (row_rdata_i[w][s-1] == {key, 1'b1}) begin
          search.hit   = 1'b1;
          search.index = index;
        end
        if (!row_rdata_i[w][s-1].valid && !(exclude && index == taken)) begin
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

  // --- The pair to be written.
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
    unique case (state_q)
      StOldForward, StOldForwardLook: target = old_forward_q.partner;
      StOldReverse, StOldReverseLook: target = old_reverse_q.partner;
      default:                        target = host_index_i;
    endcase
  end
  assign target_way   = target[15:14];
  assign target_slot  = target[1:0];
  assign target_entry = row_rdata_i[target_way][target_slot];
  assign target_valid = target_entry.valid;

  // --- Table port.
  always_comb begin
    row_re_o     = 1'b0;
    row_we_o     = '0;
    row_wdata_o  = '0;
    data_re_o    = 1'b0;
    data_we_o    = 1'b0;
    data_addr_o  = forward_q.index;
    data_wdata_o = '0;
    init_valid_o = 1'b0;
    init_index_o = reverse_q.index;
    init_value_o = '0;
    init_value_o.last_hit = now_i;
    event_d      = '0;
    event_d.deferred = valid_i && !queue_ready;
    state_d      = state_q;
    for (int unsigned w = 0; w < FlowWays; w++) begin
      row_addr_o[w] = target[13:2];
    end

    unique case (state_q)
      StIdle: begin
        if (host_valid_i) begin
          row_re_o    = 1'b1;
          data_re_o   = 1'b1;
          data_addr_o = host_index_i;
          state_d     = StHostLook;
        end else if (queue_valid) begin
          state_d = StHashForward;
        end
      end
      StHashForward: state_d = StHashReverse;
      // Rows of the forward key are read while the reverse key is hashed.
      StHashReverse: begin
        row_re_o = 1'b1;
        for (int unsigned w = 0; w < FlowWays; w++) begin
          row_addr_o[w] = hash_forward_q[w*FlowRowsLog2 +: FlowRowsLog2];
        end
        state_d = StLookForward;
      end
      StLookForward: begin
        row_re_o = 1'b1;
        for (int unsigned w = 0; w < FlowWays; w++) begin
          row_addr_o[w] = hash_reverse_q[w*FlowRowsLog2 +: FlowRowsLog2];
        end
        state_d = StRoomReverse;
      end
      StRoomReverse: begin
        data_re_o   = forward_q.hit || forward_q.room;
        data_addr_o = forward_q.index;
        state_d     = StDataForward;
        if (req_q.kind == LearnReverse) state_d = forward_q.hit ? StPinWrite : StIdle;
      end
      StDataForward: begin
        data_re_o   = reverse_q.hit || reverse_q.room;
        data_addr_o = reverse_q.index;
        state_d     = StDataReverse;
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
          state_d = delete_forward ? StOldForward : delete_reverse ? StOldReverse : StInitReverse;
        end
      end
      StOldForward, StOldReverse: begin
        row_re_o = 1'b1;
        state_d  = state_q == StOldForward ? StOldForwardLook : StOldReverseLook;
      end
      StOldForwardLook, StOldReverseLook: begin
        row_we_o[target_way][target_slot] = target_valid;
        event_d.removed = target_valid;
        state_d = state_q == StOldForwardLook && delete_reverse ? StOldReverse : StInitReverse;
      end
      StInitReverse: begin
        init_valid_o = 1'b1;
        data_we_o    = init_ready_i;
        data_addr_o  = reverse_q.index;
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
        row_we_o[reverse_q.index[15:14]][reverse_q.index[1:0]] = 1'b1;
        for (int unsigned w = 0; w < FlowWays; w++) row_addr_o[w] = reverse_q.index[13:2];
        row_wdata_o   = '{key: req_q.reverse_key, valid: 1'b1};
        event_d.added = !reverse_q.hit;
        data_we_o     = 1'b1;     // of the forward entry
        data_wdata_o  = forward_data();
        state_d       = StWriteForward;
      end
      StWriteForward: begin
        row_we_o[forward_q.index[15:14]][forward_q.index[1:0]] = 1'b1;
        for (int unsigned w = 0; w < FlowWays; w++) row_addr_o[w] = forward_q.index[13:2];
        row_wdata_o   = '{key: req_q.key, valid: 1'b1};
        event_d.added = !forward_q.hit;
        state_d       = StIdle;
      end
      StPinWrite: begin
        data_we_o                    = 1'b1;
        data_wdata_o                 = data_rdata_i;
        data_wdata_o.ecmp_valid      = 1'b1;
        data_wdata_o.ecmp_slot       = req_q.data.ecmp_slot;
        data_wdata_o.ecmp_generation = req_q.data.ecmp_generation;
        state_d                      = StIdle;
      end
      StHostLook: begin
        if (host_write_i) begin
          row_we_o[target_way][target_slot] = target_valid;
          event_d.removed = target_valid;
        end
        state_d = StHostDone;
      end
      StHostDone: state_d = StIdle;
      default:    state_d = StIdle;
    endcase
  end

  always_ff @(posedge clk_i) begin
    if (pop) req_q <= queue_data;
    if (state_q == StHashForward) hash_forward_q <= key_hash({8'd0, req_q.key});
    if (state_q == StHashReverse) hash_reverse_q <= key_hash({8'd0, req_q.reverse_key});
    if (state_q == StLookForward) forward_q <= search(req_q.key, hash_forward_q, 1'b0, '0);
    if (state_q == StRoomReverse) begin
      reverse_q <= search(req_q.reverse_key, hash_reverse_q, !forward_q.hit, forward_q.index);
    end
    if (state_q == StDataForward) old_forward_q <= data_rdata_i;
    if (state_q == StDataReverse) old_reverse_q <= data_rdata_i;
    if (state_q == StHostLook) host_rdata_o <= target_valid ? {data_rdata_i, target_entry} : '0;
    event_o <= event_d;
    state_q <= state_d;
    if (rst_i || flush_i) begin
      state_q <= StIdle;
      event_o <= '0;
    end
  end

  assign host_done_o = state_q == StHostDone;

  logic unused_bits;
  assign unused_bits = ^old_reverse_q;

`ifndef SYNTHESIS
  a_host_held : assert property (@(posedge clk_i) disable iff (rst_i || flush_i)
                                 state_q inside {StHostLook, StHostDone} |-> host_valid_i);
  a_distinct  : assert property (@(posedge clk_i) disable iff (rst_i || flush_i)
                                 state_q == StWriteReverse |-> forward_q.index != reverse_q.index);
`endif

endmodule
