// Changes of the flow table: a queue of requests and one engine that serves them in order (section 9.2).
//
// Requests:   valid_i/learn_i, at most one a cycle, only with ready_o. served_o pulses after each that asks for a pair.
// Host:       host_valid_i with index reads an entry, or with write deletes its pair; held until host_done_o. Served before
//             requests that wait.
// Table:      the second port of ps_flow_table. Data are written before the key that makes them visible. Pairs come and go
//             together: no request changes an entry of another pair than its own, but for a plain pair that
//             gives way (section 9.1), and a dead one (ps_flow_sva).
// Clearing:   clear_we_i/clear_index_i (flush_i throughout) empty one entry a cycle; waiting requests are forgotten.
// Time:       about 13 cycles a pair; the packet pipeline never waits for it. An engine that starts a pair every second
//             cycle fits behind the same ports, as long as it keeps the order of effects.
module ps_learn
  import ps_abi_pkg::*;
  import ps_match_pkg::*;
  import ps_pair_pkg::*;
#(
  parameter int unsigned QueueDepth = 64
) (
  input  logic        clk_i,
  input  logic        rst_i,
  input  logic        flush_i,          // tables are being cleared
  input  logic        clear_we_i,
  input  flow_index_t clear_index_i,
  input  logic [31:0] now_i,            // card time >> 16
  output logic        busy_o,

  input  logic        valid_i,
  output logic        ready_o,
  output logic        none_waits_o,     // the queue is empty
  input  learn_t      learn_i,
  output logic        served_o,
  output logic        crowded_o,        // more than three quarters of the table are in use

  input  logic        host_valid_i,
  input  logic        host_write_i,
  input  flow_index_t host_index_i,
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
  output logic                                  mark_we_o,      // the mark alone
  output flow_index_t                           slot_index_o,
  output flow_slot_t                            slot_wdata_o,
  output slot_mark_t                            mark_o,         // that is written, with a slot or alone
  output logic                                  data_re_o,
  output logic                                  data_we_o,
  output flow_index_t                           data_index_o,
  output flow_data_t                            data_wdata_o,
  input  flow_data_t                            data_rdata_i,

  // What tells whether a connection is dead: a mapping (data the cycle after an enable with ready), TCP states.
  output logic        map_re_o,
  output logic [13:0] map_addr_o,
  input  logic        map_ready_i,
  input  fip_map_t    map_i,
  output logic        tcp_re_o,
  output flow_index_t tcp_index_o,
  input  logic [3:0]  tcp_i,

  // The walk of a move (ps_move), held until done.
  output logic        move_start_o,
  output logic [15:0] move_nh_o,
  output logic [31:0] move_dip_o,
  input  logic        move_done_i,
  input  move_t       move_i,

  output logic        init_valid_o,
  output flow_index_t init_index_o,
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
    // Pairs
    StPlaceReverse,
    StDataForward,
    StDataReverse,
    StCompare,
    StTwinRead,
    StTwinJudge,
    StOldDelete,
    StInitReverse,
    StInitForward,
    StWriteReverse,
    StWriteForward,
    // One entry, and its partner
    StOneRead,
    StOneLook,
    StMoveWalk,
    StMoveWrite,
    StMoveGroup,
    StPinWrite,
    StPinMark,
    StDeadMap,
    StDeadOwn,
    StDeadPartner,
    StDeadJudge,
    // A pair that goes
    StDropFirst,
    StDropSecond,
    StHostRows,
    StHostLook,
    StHostDone
  } state_e;

  localparam int unsigned CountBits = $clog2(Flows + 1);

  state_e      state_q, state_d;
  logic        queue_valid, pop;
  logic [7:0]  queue_count;
  learn_t      queue_data, req_q;
  logic [63:0] hash_forward_q, hash_reverse_q, place_hash;
  place_t      forward_q, reverse_q, place;
  flow_data_t  old_forward_q, old_reverse_q;   // what was at these places
  move_t       move_q;
  logic [3:0]  tcp_own_q;
  logic        one_entry, is_new, early, own_pair, reset_forward, dead;
  flow_index_t drop_first, drop_second, pin_index, pin_partner;
  logic        host_used, host_q;              // the engine serves the host
  logic        ends_pair;
  flow_event_t event_d;
  logic [CountBits-1:0] in_use_q;

  ps_fifo #(
    .Width($bits(learn_t)),
    .Depth(QueueDepth)
  ) u_queue (
    .clk_i,
    .rst_i   (rst_i || flush_i),
    .wvalid_i(valid_i),
    .wready_o(ready_o),
    .wdata_i (learn_i),
    .rvalid_o(queue_valid),
    .rready_i(pop),
    .rdata_o (queue_data),
    .count_o (queue_count)
  );

  assign pop          = state_q == StIdle && queue_valid && !host_valid_i;
  assign none_waits_o = queue_count == '0;
  assign busy_o       = state_q != StIdle || queue_count != '0 || host_valid_i || valid_i || served_o;

  assign place_hash = state_q == StPlaceReverse ? hash_reverse_q : hash_forward_q;

  ps_place u_place (
    .rows_i   (place_hash[FlowWays*FlowRowsLog2-1:0]),
    .match_i  (row_match_i),
    .used_i   (row_used_i),
    .exclude_i(state_q == StPlaceReverse && !forward_q.hit),
    .taken_i  (forward_q.index),
    .place_o  (place)
  );

  // Kinds that look for one key, and find an entry or nothing.
  assign one_entry     = req_q.kind inside {LearnReverse, LearnMove, LearnDead};
  assign is_new        = req_q.kind == LearnNew || !forward_q.hit;
  assign early         = req_q.data.map_valid && req_q.key.proto != ProtoTcp && !old_reverse_q.reverse;
  assign own_pair      = forward_q.hit && reverse_q.hit && old_forward_q.partner == reverse_q.index;
  assign reset_forward = !(req_q.kind == LearnRepin && forward_q.hit);
  assign host_used     = row_used_i[{host_index_i.way, host_index_i.slot}];

  // The pair that goes: the one in the way of a new plain one, a dead one, or what the host names.
  always_comb begin
    drop_first  = forward_q.index;
    drop_second = old_forward_q.partner;
    if (!one_entry) begin
      drop_first  = reverse_q.index;
      drop_second = old_reverse_q.partner;
    end
    if (host_q) begin
      drop_first  = host_index_i;
      drop_second = data_rdata_i.partner;
    end
  end

  // A reply's entry is pinned itself; packets that come by another tunnel pin their replies.
  assign pin_index   = req_q.kind == LearnMove ? old_forward_q.partner : forward_q.index;
  assign pin_partner = req_q.kind == LearnMove ? forward_q.index : old_forward_q.partner;

  assign dead = (old_forward_q.map_valid &&
                 !(map_i.valid && map_i.generation == old_forward_q.map_generation)) ||
                tcp_over(tcp_own_q, tcp_i);

  always_comb begin
    row_re_o     = 1'b0;
    row_addr_o   = {FlowWays{host_index_i.row}};
    slot_we_o    = clear_we_i;
    mark_we_o    = 1'b0;
    slot_index_o = clear_we_i ? clear_index_i : drop_first;
    slot_wdata_o = '0;
    mark_o       = '0;
    data_re_o    = 1'b0;
    data_we_o    = clear_we_i;
    data_index_o = clear_we_i ? clear_index_i : forward_q.index;
    data_wdata_o = '0;
    map_re_o     = 1'b0;
    tcp_re_o     = 1'b0;
    tcp_index_o  = forward_q.index;
    init_valid_o = 1'b0;
    init_index_o = reverse_q.index;
    init_value_o = '0;
    init_value_o.last_hit = now_i;
    event_d      = '0;
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
      StPlaceForward: state_d = one_entry ? StOneRead : StPlaceReverse;
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
        if (is_new && forward_q.hit) begin
          state_d = StIdle;
        end else if (reverse_q.hit && !own_pair) begin
          state_d = is_plain(old_reverse_q) && (is_plain(req_q.data) || early) ? StTwinRead : StIdle;
        end else if (req_q.kind == LearnRepin && forward_q.hit && same(old_forward_q, req_q.data)) begin
          state_d = StIdle;
        end else if (!(forward_q.hit || forward_q.room) || !(reverse_q.hit || reverse_q.room)) begin
          event_d.full = 1'b1;
          state_d      = StIdle;
        end else begin
          event_d.learned  = !forward_q.hit;
          event_d.repinned = forward_q.hit;
          state_d          = forward_q.hit && !own_pair ? StOldDelete : StInitReverse;
        end
      end
      // A plain pair that gives way has the reverse key of the new one: it goes, and the search begins again.
      StTwinRead: begin
        data_re_o    = 1'b1;
        data_index_o = old_reverse_q.partner;
        state_d      = StTwinJudge;
      end
      StTwinJudge: state_d = is_plain(data_rdata_i) ? StDropFirst : StIdle;
      StOldDelete: begin
        slot_we_o       = 1'b1;
        slot_index_o    = old_forward_q.partner;
        event_d.removed = 1'b1;
        state_d         = StInitReverse;
      end
      StInitReverse: begin
        init_valid_o = 1'b1;
        data_we_o    = init_ready_i;
        data_index_o = reverse_q.index;
        data_wdata_o = reverse_data(req_q, hash_reverse_q, old_reverse_q, forward_q.index);
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
        mark_o        = '{plain: is_plain(req_q.data), forward: 1'b0};
        event_d.added = !reverse_q.hit;
        data_we_o     = 1'b1;     // of the forward entry
        data_wdata_o  = forward_data(req_q, old_forward_q, reverse_q.index);
        state_d       = StWriteForward;
      end
      StWriteForward: begin
        slot_we_o     = 1'b1;
        slot_index_o  = forward_q.index;
        slot_wdata_o  = '{key: req_q.key, valid: 1'b1};
        mark_o        = '{plain: is_plain(req_q.data), forward: 1'b1};
        event_d.added = !forward_q.hit;
        state_d       = StIdle;
      end
      StOneRead: begin
        data_re_o = 1'b1;
        state_d   = forward_q.hit ? StOneLook : StIdle;
      end
      StOneLook: begin
        unique case (req_q.kind)
          LearnMove: state_d = StMoveWalk;
          LearnDead: state_d = StDeadMap;
          default:   state_d = data_rdata_i.reverse ? StPinWrite : StIdle;
        endcase
      end
      StMoveWalk: begin
        // An established connection stays with its member, whoever else of the group sends.
        tcp_re_o    = 1'b1;
        tcp_index_o = old_forward_q.partner;
        if (move_done_i) state_d = move_i.found && !(move_i.group && tcp_i[TcpEstablishedBit]) ? StMoveWrite : StIdle;
      end
      StMoveWrite: begin
        data_we_o             = 1'b1;
        data_wdata_o          = old_forward_q;
        data_wdata_o.src_info = req_q.data.src_info;
        state_d               = move_q.group ? StMoveGroup : StIdle;
      end
      StMoveGroup: begin
        data_re_o    = 1'b1;
        data_index_o = pin_index;
        state_d      = StPinWrite;
      end
      StPinWrite: begin
        data_we_o                    = 1'b1;
        data_index_o                 = pin_index;
        data_wdata_o                 = data_rdata_i;
        data_wdata_o.ecmp_valid      = 1'b1;
        data_wdata_o.ecmp_slot       = req_q.kind == LearnMove ? move_q.slot : req_q.data.ecmp_slot;
        data_wdata_o.ecmp_generation = req_q.kind == LearnMove ? move_q.generation : req_q.data.ecmp_generation;
        mark_we_o                    = 1'b1;
        slot_index_o                 = pin_index;
        state_d                      = StPinMark;
      end
      StPinMark: begin
        mark_we_o    = 1'b1;
        slot_index_o = pin_partner;
        state_d      = StIdle;
      end
      StDeadMap: begin
        map_re_o = old_forward_q.map_valid;
        if (!old_forward_q.map_valid || map_ready_i) state_d = StDeadOwn;
      end
      StDeadOwn: begin
        tcp_re_o = 1'b1;
        state_d  = StDeadPartner;
      end
      StDeadPartner: begin
        tcp_re_o    = 1'b1;
        tcp_index_o = old_forward_q.partner;
        state_d     = StDeadJudge;
      end
      StDeadJudge: state_d = dead ? StDropFirst : StIdle;
      StDropFirst: begin
        slot_we_o       = 1'b1;
        event_d.removed = 1'b1;
        state_d         = StDropSecond;
      end
      StDropSecond: begin
        slot_we_o       = 1'b1;
        slot_index_o    = drop_second;
        event_d.removed = 1'b1;
        if (host_q) state_d = StHostDone;
        else state_d = one_entry ? StIdle : StHashReverse;
      end
      StHostRows: state_d = StHostLook;
      StHostLook: begin
        slot_we_o       = host_write_i && host_used;
        event_d.removed = host_write_i && host_used;
        state_d         = host_write_i && host_used ? StDropSecond : StHostDone;
      end
      StHostDone: state_d = StIdle;
      default:    state_d = StIdle;
    endcase
  end

  assign ends_pair  = state_q != StIdle && state_d == StIdle && !host_q && !one_entry;

  assign row_key_o  = state_q == StRowsReverse ? req_q.key : req_q.reverse_key;
  assign row_pick_o = {host_index_i.way, host_index_i.slot};

  assign map_addr_o   = old_forward_q.map;
  assign move_start_o = state_q == StMoveWalk;
  assign move_nh_o    = req_q.reverse_rpf;
  assign move_dip_o   = req_q.data.src_info;

  always_ff @(posedge clk_i) begin
    if (pop) req_q <= queue_data;
    if (state_q == StHashForward) hash_forward_q <= key_hash({8'd0, req_q.key});
    if (state_q == StHashReverse) hash_reverse_q <= key_hash({8'd0, req_q.reverse_key});
    if (state_q == StPlaceForward) forward_q <= place;
    if (state_q == StPlaceReverse) reverse_q <= place;
    if (state_q inside {StDataForward, StOneLook}) old_forward_q <= data_rdata_i;
    if (state_q == StDataReverse) old_reverse_q <= data_rdata_i;
    if (state_q == StMoveWalk) move_q <= move_i;
    if (state_q == StDeadPartner) tcp_own_q <= tcp_i;
    if (state_q == StHostLook) host_rdata_o <= host_used ? {data_rdata_i, row_slot_i} : '0;
    if (state_q == StIdle) host_q <= host_valid_i;
    in_use_q  <= in_use_q + CountBits'(event_d.added) - CountBits'(event_d.removed);
    crowded_o <= in_use_q > CountBits'(FlowsTranslatedMax);
    served_o  <= ends_pair;
    event_o   <= event_d;
    state_q   <= state_d;
    if (rst_i || flush_i) begin
      state_q  <= StIdle;
      event_o  <= '0;
      served_o <= 1'b0;
      in_use_q <= '0;
    end
  end

  assign host_done_o = state_q == StHostDone;

`ifndef SYNTHESIS
  a_queued : assert property (@(posedge clk_i) disable iff (rst_i || flush_i) valid_i |-> ready_o);
  a_host_held : assert property (@(posedge clk_i) disable iff (rst_i || flush_i)
                                 state_q inside {StHostRows, StHostLook, StHostDone} |-> host_valid_i);
  a_distinct  : assert property (@(posedge clk_i) disable iff (rst_i || flush_i)
                                 state_q == StWriteReverse |-> forward_q.index != reverse_q.index);

  ps_flow_sva u_sva (
    .clk_i,
    .rst_i,
    .flush_i,
    .idle_i      (state_q == StIdle),
    .slot_we_i   (slot_we_o),
    .slot_index_i(slot_index_o),
    .slot_wdata_i(slot_wdata_o),
    .data_we_i   (data_we_o),
    .data_index_i(data_index_o),
    .data_wdata_i(data_wdata_o),
    .in_use_i    (32'(in_use_q))
  );
`endif

  logic unused_bits;
  assign unused_bits = ^{old_reverse_q, req_q, place_hash, map_i, move_q};

endmodule
