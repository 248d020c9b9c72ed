// Executes commands one by one: table accesses, searches, digests and fences.
//
// Contract:   takes a command, performs it and offers one completion, in order. Commands wait while
//             hold_i (tables are being cleared).
// Chained:    a command with that flag is skipped if the one before it did not end with Ok.
// GetNext:    walks the table entry by entry until one is valid; tables that only the host writes are searched
//             64 entries a cycle in ps_valid_map.
// Digest:     finds and reads entry by entry as GetNext does, and shifts the words of each into ps_digest. An entry takes
//             about 12 cycles and two for each of its words: 26 for a next hop.
// Fence:      waits DrainCycles, the most that a packet decided under earlier tables needs to leave the core.
module ps_ring_exec
  import ps_abi_pkg::*;
  import ps_types_pkg::*;
(
  input  logic         clk_i,
  input  logic         rst_i,
  input  logic         hold_i,
  input  logic         restart_i,      // the ring begins anew: there is no command before the first
  output logic         idle_o,

  input  logic         cmd_valid_i,
  input  logic [511:0] cmd_i,
  output logic         cmd_ready_o,

  output logic         cpl_valid_o,
  output logic [511:0] cpl_o,          // sequence and phase are filled in by the writer
  output logic         cpl_irq_o,
  input  logic         cpl_ready_i,

  output logic         cfg_valid_o,
  output cfg_req_t     cfg_req_o,
  input  cfg_rsp_t     cfg_rsp_i,

  output logic         find_valid_o,   // search from cfg_req_o.index in cfg_req_o.table_id
  input  logic         find_done_i,
  input  logic         find_found_i,
  input  logic [31:0]  find_index_i
);

  typedef enum logic [2:0] {
    StIdle,
    StAccess,
    StFind,
    StDigest,
    StFence,
    StComplete
  } state_e;

  localparam int unsigned CountWidth = $clog2(DigestEntriesMax + 1);

  state_e state_q, state_d;

  logic [7:0]   opcode, status_q, status_d;
  logic [7:0]   opcode_q;
  logic         irq_q;
  logic [31:0]  cookie_q;
  logic [383:0] rdata_q, rdata_d;
  cfg_req_t     req_q, req_d;
  logic [15:0]  wait_q;
  logic         take, search, broken_q;

  // Digest
  logic                  index_due_q, index_due_d;
  logic [3:0]            words_q, words_d;           // of the entry in rdata_q that are still to come
  logic [CountWidth-1:0] covered_q, covered_d;       // entries
  logic [CountWidth-1:0] limit_q, limit_d;
  logic                  word_valid, word_ready;
  logic [63:0]           crc;

  // How many entries a digest may cover at most.
  function automatic logic [CountWidth-1:0] limit(input logic [31:0] asked);
    if (asked == 0 || asked > DigestEntriesMax) limit = CountWidth'(DigestEntriesMax);
    else limit = CountWidth'(asked);
  endfunction

  assign opcode      = cmd_i[7:0];
  assign take        = state_q == StIdle && cmd_valid_i && !hold_i;
  assign cmd_ready_o = state_q == StIdle && !hold_i;
  assign search      = opcode_q == OpGetNext || opcode_q == OpDigest;

  always_comb begin
    state_d     = state_q;
    status_d    = status_q;
    rdata_d     = rdata_q;
    req_d       = req_q;
    index_due_d = index_due_q;
    words_d     = words_q;
    covered_d   = covered_q;
    limit_d     = limit_q;
    unique case (state_q)
      StIdle: if (take) begin
        req_d     = '{write: opcode == OpWrite, table_id: cmd_i[15:8], index: cmd_i[63:32],
                      wdata: cmd_i[511:128]};
        rdata_d   = '0;
        status_d  = StOk;
        state_d   = StComplete;
        covered_d = '0;
        limit_d   = limit(cmd_i[159:128]);
        unique case (opcode)
          OpNop:            ;
          OpWrite, OpRead:  state_d = StAccess;
          OpFence:          state_d = StFence;
          OpGetNext, OpDigest: begin
            if (table_depth(cmd_i[15:8]) == 0) status_d = StBadTable;
            else if (!table_has_valid(cmd_i[15:8])) status_d = StNotPermitted;
            else state_d = StFind;
          end
          default:          status_d = StBadOpcode;
        endcase
        if (cmd_i[16+FlagChainedBit] && broken_q) begin
          status_d = StSkipped;
          state_d  = StComplete;
        end
      end
      StFind: if (find_done_i) begin
        req_d.index = find_index_i;
        if (find_found_i) begin
          state_d = StAccess;
        end else begin
          status_d = StNotFound;
          state_d  = StComplete;
          if (opcode_q == OpDigest) rdata_d = 384'({covered_q, crc});
        end
      end
      StAccess: if (cfg_rsp_i.done) begin
        status_d = cfg_rsp_i.status;
        rdata_d  = req_q.write ? '0 : cfg_rsp_i.rdata;
        state_d  = StComplete;
        if (search && !cfg_rsp_i.rdata[0]) begin
          // An entry that vanished between search and read (a flow): search on.
          rdata_d     = '0;
          req_d.index = req_q.index + 32'd1;
          state_d     = StFind;
        end else if (opcode_q == OpDigest && cfg_rsp_i.status == StOk) begin
          index_due_d = 1'b1;
          words_d     = table_words(req_q.table_id);
          state_d     = StDigest;
        end
      end
      StDigest: if (word_ready) begin
        index_due_d = 1'b0;
        if (!index_due_q) begin
          words_d = words_q - 4'd1;
          rdata_d = {32'd0, rdata_q[383:32]};
        end
        if (!word_valid) begin
          // The last word has been taken in.
          covered_d   = covered_q + CountWidth'(1);
          req_d.index = req_q.index + 32'd1;
          rdata_d     = 384'({covered_d, crc});
          state_d     = covered_d == limit_q ? StComplete : StFind;
        end
      end
      StFence: if (wait_q == 16'(DrainCycles)) state_d = StComplete;
      StComplete: if (cpl_ready_i) state_d = StIdle;
      default: state_d = StIdle;
    endcase
  end

  always_ff @(posedge clk_i) begin
    if (rst_i) begin
      state_q <= StIdle;
    end else begin
      state_q <= state_d;
    end
    status_q    <= status_d;
    rdata_q     <= rdata_d;
    req_q       <= req_d;
    index_due_q <= index_due_d;
    words_q     <= words_d;
    covered_q   <= covered_d;
    limit_q     <= limit_d;
    wait_q      <= state_q == StFence ? wait_q + 16'd1 : '0;
    if (state_q == StComplete) broken_q <= status_q != StOk;
    if (restart_i) broken_q <= 1'b0;
    if (take) begin
      opcode_q <= opcode;
      irq_q    <= cmd_i[16+FlagIrqBit];
      cookie_q <= cmd_i[95:64];
    end
  end

  assign word_valid = state_q == StDigest && (index_due_q || words_q != 0);

  ps_digest u_digest (
    .clk_i,
    .rst_i,
    .load_i      (take),
    .crc_i       (cmd_i[223:160]),
    .word_valid_i(word_valid),
    .word_i      (index_due_q ? req_q.index : rdata_q[31:0]),
    .word_ready_o(word_ready),
    .crc_o       (crc)
  );

  logic unused_bits;
  assign unused_bits = ^{cmd_i[31:18], cmd_i[127:96]};

  assign cfg_valid_o  = state_q == StAccess;
  assign cfg_req_o    = req_q;
  assign find_valid_o = state_q == StFind;
  assign cpl_valid_o  = state_q == StComplete;
  assign cpl_irq_o    = irq_q;
  assign cpl_o        = {24'd0, status_q, 32'd0, cookie_q, req_q.index, rdata_q};
  assign idle_o       = state_q == StIdle && !cmd_valid_i;

endmodule
