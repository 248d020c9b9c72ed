// Executes commands one by one: table accesses, searches, digests and fences.
//
// Contract:   performs the command that is offered and completes it, in order; next_o (pulse) asks for the next one with the
//             first cycle of the completion. Commands wait while hold_i (tables are being cleared).
// Chained:    a command with that flag is skipped if the one before it did not end with Ok.
// GetNext:    walks the table until an entry is valid, by ps_valid_map.
// Digest:     finds and reads entry by entry as GetNext does, and shifts the words of each into ps_digest. The next entry is
//             looked for meanwhile. An entry takes about 12 cycles and two for each of its words: 26 for a next hop.
// Fence:      waits DrainCycles, the most that a packet decided under earlier tables needs to leave the core.
// Latency:    from the offer of a write to that of the next command 8 cycles, of which the access takes 4; it may wait for its turn at
//             a table that packets read (ps_table_access).
module ps_ring_exec
  import ps_abi_pkg::*;
  import ps_types_pkg::*;
  import ps_ring_pkg::*;
(
  input  logic         clk_i,
  input  logic         rst_i,
  input  logic         hold_i,
  input  logic         restart_i,      // the ring begins anew: there is no command before the first
  output logic         idle_o,

  input  logic         cmd_valid_i,
  input  command_t     cmd_i,          // its data stays until next_o
  output logic         next_o,

  output logic         cpl_valid_o,
  output record_t      cpl_o,
  input  logic         cpl_ready_i,

  output logic         cfg_valid_o,
  output cfg_req_t     cfg_req_o,
  input  cfg_rsp_t     cfg_rsp_i,

  output logic         find_valid_o,   // search from find_index_o in cfg_req_o.table_id
  output logic [31:0]  find_index_o,
  input  logic         find_done_i,
  input  logic         find_found_i,   // these two hold until the next search
  input  logic [31:0]  find_index_i
);

  // One bit a state, looked at bit by bit.
  localparam int unsigned Idle = 0, Access = 1, Judge = 2, Find = 3, Digest = 4, Fence = 5, Complete = 6;

  typedef enum logic [6:0] {
    StIdle     = 7'd1 << Idle,
    StAccess   = 7'd1 << Access,
    StJudge    = 7'd1 << Judge,   // whether what was found is still there
    StFind     = 7'd1 << Find,
    StDigest   = 7'd1 << Digest,
    StFence    = 7'd1 << Fence,
    StComplete = 7'd1 << Complete
  } state_e;

  localparam int unsigned WaitWidth = $clog2(DrainCycles + 1);

  state_e       state_q, state_d;
  (* keep *) logic open_q, completing_q;             // StIdle, StComplete again, for what is wide
  logic         settled_q;                           // not StAccess: the same, but equal registers would be made one
  kind_t        kind_q;
  logic [7:0]   table_q, status_q, status_d;
  logic         write_q, irq_q, broken_q, hold_q, next_q, failed_q;
  logic [31:0]  cookie_q, index_q, index_d;
  logic [383:0] entry_q;                             // as it was read
  logic         give_entry_q, give_entry_d, give_sum_q, give_sum_d;
  logic [WaitWidth-1:0] wait_q;
  logic         take, skip;

  // Search: one at a time, which may run while an entry is digested
  logic         find_busy_q, find_start;
  logic [31:0]  find_index_q, index_next;

  // Digest
  logic [3:0]   words_q, left_q, word_no_q;          // of an entry; still to come; the next one
  logic         word_valid_q, word_ready, entry_end_q, last_entry;
  logic [31:0]  word_q;
  logic [LimitWidth:0]   covered_q;
  logic [LimitWidth-1:0] left_entries_q;             // 0 for as many as fit in
  logic [63:0]  crc;

  assign take       = state_q[Idle] && cmd_valid_i && !hold_q;
  assign skip       = cmd_i.chained && broken_q;
  assign last_entry = left_entries_q == LimitWidth'(1);
  assign index_next = index_q + 32'd1;

  always_comb begin
    state_d      = state_q;
    status_d     = status_q;
    index_d      = index_q;
    give_entry_d = give_entry_q;
    give_sum_d   = give_sum_q;
    find_start   = 1'b0;
    unique case (1'b1)
      state_q[Idle]: begin
        index_d      = cmd_i.index;
        status_d     = cmd_i.status;
        give_entry_d = 1'b0;
        give_sum_d   = 1'b0;
        if (take) begin
          state_d = StComplete;
          if (!skip) begin
            if (cmd_i.kind.access) state_d = StAccess;
            if (cmd_i.kind.find || cmd_i.kind.digest) state_d = StFind;
            if (cmd_i.kind.fence) state_d = StFence;
            find_start = cmd_i.kind.find || cmd_i.kind.digest;
          end
        end
        if (skip) status_d = StSkipped;
      end
      state_q[Find]: if (!find_busy_q) begin
        index_d    = find_index_i;
        state_d    = find_found_i ? StAccess : StComplete;
        status_d   = find_found_i ? StOk : StNotFound;
        give_sum_d = kind_q.digest && !find_found_i;
      end
      state_q[Access]: if (cfg_rsp_i.done) begin
        status_d     = cfg_rsp_i.status;
        give_entry_d = kind_q.access && !write_q && cfg_rsp_i.status == StOk;
        state_d      = kind_q.access ? StComplete : StJudge;
      end
      state_q[Judge]: begin
        if (!entry_q[0] && !failed_q) begin
          // An entry that vanished between search and read (a flow): search on.
          index_d    = index_next;
          find_start = 1'b1;
          state_d    = StFind;
        end else if (kind_q.digest && !failed_q) begin
          find_start = !last_entry;
          state_d    = StDigest;
        end else begin
          give_entry_d = 1'b1;
          state_d      = StComplete;
        end
      end
      // The CRC is that of all words in the cycle after this.
      state_q[Digest]: if (entry_end_q) begin
        index_d    = index_next;
        give_sum_d = last_entry;
        state_d    = last_entry ? StComplete : StFind;
      end
      state_q[Fence]: if (wait_q == '0) state_d = StComplete;
      state_q[Complete]: if (cpl_ready_i) state_d = StIdle;
      default: state_d = StIdle;
    endcase
  end

  always_ff @(posedge clk_i) begin
    state_q      <= state_d;
    open_q       <= state_d[Idle];
    settled_q    <= !state_d[Access];
    completing_q <= state_d[Complete];
    status_q     <= status_d;
    index_q      <= index_d;
    give_entry_q <= give_entry_d;
    give_sum_q   <= give_sum_d;
    hold_q       <= hold_i;
    next_q       <= state_d[Complete] && !state_q[Complete];
    wait_q       <= state_q[Fence] ? wait_q - WaitWidth'(1) : WaitWidth'(DrainCycles);
    if (!settled_q) begin
      entry_q  <= cfg_rsp_i.rdata;
      failed_q <= cfg_rsp_i.status != StOk;
    end
    if (open_q) begin
      kind_q   <= cmd_i.kind;
      table_q  <= cmd_i.table_id;
      write_q  <= cmd_i.write;
      irq_q    <= cmd_i.irq;
      cookie_q <= cmd_i.cookie;
      words_q  <= cmd_i.words;
    end
    if (state_q[Complete]) broken_q <= status_q != StOk;
    if (restart_i || rst_i) broken_q <= 1'b0;
    if (rst_i) begin
      state_q <= StIdle;
      open_q  <= 1'b1;
      settled_q <= 1'b1;
      completing_q <= 1'b0;
      next_q  <= 1'b0;
    end
  end

  always_ff @(posedge clk_i) begin
    if (state_q[Idle] || state_q[Judge]) find_index_q <= state_q[Idle] ? cmd_i.index : index_next;
    find_busy_q <= find_start || (find_busy_q && !find_done_i);
    if (rst_i) find_busy_q <= 1'b0;
  end

  // An entry's index and its words, one after the other
  always_ff @(posedge clk_i) begin
    if (open_q) begin
      covered_q      <= '0;
      left_entries_q <= cmd_i.limit;
    end else if (entry_end_q) begin
      covered_q      <= covered_q + (LimitWidth + 1)'(1);
      left_entries_q <= left_entries_q - LimitWidth'(1);
    end
    entry_end_q <= word_valid_q && word_ready && left_q == '0;
    if (state_q[Judge]) begin
      word_q       <= index_q;
      word_no_q    <= '0;
      left_q       <= words_q;
      word_valid_q <= state_d[Digest];
    end else if (word_valid_q && word_ready) begin
      word_q       <= entry_q[{word_no_q, 5'd0}+:32];
      word_no_q    <= word_no_q + 4'd1;
      left_q       <= left_q - 4'd1;
      word_valid_q <= left_q != '0;
    end
    if (rst_i) begin
      word_valid_q <= 1'b0;
      entry_end_q  <= 1'b0;
    end
  end

  ps_digest u_digest (
    .clk_i,
    .rst_i,
    .load_i      (open_q),
    .crc_i       (cmd_i.data[95:32]),
    .word_valid_i(word_valid_q),
    .word_i      (word_q),
    .word_ready_o(word_ready),
    .crc_o       (crc)
  );

  assign next_o       = next_q;
  assign cfg_valid_o  = state_q[Access];
  assign cfg_req_o    = '{write: write_q, table_id: table_q, index: index_q, wdata: cmd_i.data};
  assign find_valid_o = find_busy_q;
  assign find_index_o = find_index_q;
  assign cpl_valid_o  = completing_q;
  assign cpl_o        = '{
    is_evt: 1'b0, irq: irq_q, status: status_q, cookie: cookie_q, index: index_q,
    data: ({384{give_entry_q}} & entry_q) | ({384{give_sum_q}} & 384'({covered_q, crc}))
  };
  assign idle_o       = state_q[Idle];

  logic unused_bits;
  assign unused_bits = ^kind_q;

`ifndef SYNTHESIS
  a_state : assert property (@(posedge clk_i) disable iff (rst_i) $onehot(state_q) && {open_q, settled_q, completing_q} ==
                             {state_q == StIdle, state_q != StAccess, state_q == StComplete});
  a_done : assert property (@(posedge clk_i) disable iff (rst_i) cfg_rsp_i.done |-> state_q == StAccess);
  a_found : assert property (@(posedge clk_i) disable iff (rst_i) find_done_i |-> find_busy_q);
  a_one_search : assert property (@(posedge clk_i) disable iff (rst_i) find_start |-> !find_busy_q);
  a_no_search_left : assert property (@(posedge clk_i) disable iff (rst_i) state_q == StComplete |-> !find_busy_q);
  // One completion a command: whoever takes one, takes another only with the next command.
  a_next_once : assert property (@(posedge clk_i) disable iff (rst_i) next_q |-> state_q == StComplete);
  a_completion : assert property (@(posedge clk_i) disable iff (rst_i) $rose(cpl_valid_o) |-> next_q);
  a_one_answer : assert property (@(posedge clk_i) disable iff (rst_i) !(give_entry_q && give_sum_q));
`endif

endmodule
