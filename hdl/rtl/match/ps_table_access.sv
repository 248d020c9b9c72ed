// Maintenance side of all tables: checks and serves the command engine, and clears everything on demand.
//
// Commands:   cfg_valid_i/cfg_req_i held until cfg_rsp_o.done pulses. A write takes 4 cycles, a read ReadCycles + 5; a flow waits
//             for its unit, and NextHop and Ecmp for their turn at a port that packets read: at most 16 cycles while others came shortly
//             before, else some 80; FlowShare and FlowShareStats for a visit of the share, at most 27, Affinity for its turn, some 30 at most. While tables are being cleared commands wait.
// Learned:    of Flow and Affinity, which the card fills, entries are deleted: nothing but zeros is written.
// Parity:     what is read with the wrong one ends with StParity, and error_o tells of it. With flip_i the next write that is done stores
//             the wrong one; flipped_o (pulse) says that it has.
// Clearing:   after rst_i and on clear_i: one index a cycle, all tables at once, and of a deep one all banks: 65,540 cycles
//             (clearing_o).
module ps_table_access
  import ps_abi_pkg::*;
  import ps_types_pkg::*;
  import ps_match_pkg::*;
(
  input  logic        clk_i,
  input  logic        rst_i,
  input  logic        clear_i,
  output logic        clearing_o,

  input  logic        cfg_valid_i,
  input  cfg_req_t    cfg_req_i,
  output cfg_rsp_t    cfg_rsp_o,

  output access_t     acc_o,
  output logic [WriteMaxBits-1:0] acc_wdata_o,
  input  logic [EntryMaxBits-1:0] rdata_i,       // of the table that cfg_req_i names, a cycle after the table gives it
  input  logic        bad_i,            // its parity is wrong, likewise

  input  logic        flip_i,
  output logic        flipped_o,
  output logic        error_o,          // pulse, of cfg_req_i's entry

  input  logic        turn_done_i,      // an access to one of these has had its turn: pulse, with `re` or `we` or later

  output logic        flow_valid_o,     // the access is to a flow, or to its statistics
  output logic        flow_stats_o,
  input  logic        flow_done_i
);

  typedef enum logic [3:0] {
    StClear,
    StIdle,
    StCheck,
    StAccess,
    StTurn,
    StWait,
    StFlow,
    StCollect,
    StDone
  } state_e;

  // What is cleared index by index; deeper tables are in banks, which are cleared together.
  localparam int unsigned ClearBits = 16;
  localparam int unsigned SomeParts = 6;
  localparam int unsigned SomeBits  = $bits(cfg_req_i.wdata) / SomeParts;

  state_e       state_q;
  access_t      acc_q;
  logic [WriteMaxBits-1:0] wdata_q;
  logic [ClearBits:0]      clear_q;      // next index to clear; the upper bit: all are
  logic [7:0]   status_q;
  logic [383:0] rdata_q;
  logic         permitted, known_q, flow_q, learned_q, stats_q, turn_q, bad_q;
  logic [TableCount-1:0] hit, hit_q, fits_q;       // the table; those that have the index; and the table, if it has it
  logic [SomeParts-1:0]  some, some_q;             // whether any of a part of the data is not 0
  logic [ReadCycles-1:0] wait_q;

  // Tables that have the index.
  function automatic logic [TableCount-1:0] depth_mask(input logic [31:0] index);
    for (int unsigned i = 0; i < TableCount; i++) depth_mask[i] = index < table_depth(i[7:0]);
  endfunction

  always_comb begin
    for (int unsigned i = 0; i < SomeParts; i++) some[i] = cfg_req_i.wdata[i*SomeBits+:SomeBits] != '0;
  end

  assign hit       = hit_q & fits_q;
  assign permitted = !(cfg_req_i.write && (stats_q || (learned_q && some_q != '0)));

  always_ff @(posedge clk_i) begin
    acc_q.re <= '0;
    acc_q.we <= '0;
    acc_q.flip    <= 1'b0;
    flipped_o     <= 1'b0;
    bad_q         <= error_o;      // stands when the answer does
    wait_q   <= {wait_q[ReadCycles-2:0], !cfg_req_i.write && (state_q == StAccess || (state_q == StTurn && turn_done_i) ||
                                                                  (state_q == StFlow && flow_done_i))};
    unique case (state_q)
      StClear: begin
        acc_q.we    <= clear_q[ClearBits] ? '0 : depth_mask(32'(clear_q));
        acc_q.index <= index_t'(clear_q[ClearBits-1:0]);
        wdata_q     <= '0;
        clear_q     <= clear_q + 1'b1;
        if (clear_q[ClearBits]) state_q <= StIdle;
      end
      StIdle: begin
        status_q <= StOk;
        rdata_q  <= '0;
        if (cfg_valid_i) begin
          acc_q.index <= cfg_req_i.index[IndexBits-1:0];
          wdata_q     <= cfg_req_i.wdata[WriteMaxBits-1:0];
          known_q     <= 1'b0;
          hit_q       <= '0;
          for (int unsigned i = 0; i < TableCount; i++) begin
            if (cfg_req_i.table_id == i[7:0]) begin
              known_q  <= 1'b1;
              hit_q[i] <= 1'b1;
            end
          end
          fits_q      <= depth_mask(cfg_req_i.index);
          some_q      <= some;
          stats_q     <= cfg_req_i.table_id inside {TableFlowStats, TableFlowShareStats};
          flow_q      <= cfg_req_i.table_id == TableFlow || cfg_req_i.table_id == TableFlowStats;
          learned_q   <= cfg_req_i.table_id inside {TableFlow, TableAffinity};
          turn_q      <= cfg_req_i.table_id inside {TableNextHop, TableEcmp, TableFlowShare, TableFlowShareStats, TableAffinity};
          state_q     <= StCheck;
        end
      end
      StCheck: begin
        if (!known_q) status_q <= StBadTable;
        else if (hit == '0) status_q <= StBadIndex;
        else if (!permitted) status_q <= StNotPermitted;
        if (permitted && !flow_q) begin
          acc_q.re <= cfg_req_i.write ? '0 : hit;
          acc_q.we <= cfg_req_i.write ? hit : '0;
          acc_q.flip <= flip_i && cfg_req_i.write;
          flipped_o  <= flip_i && cfg_req_i.write && hit != '0;
        end
        if (hit == '0 || !permitted) state_q <= StDone;
        else if (flow_q) state_q <= StFlow;
        else if (turn_q) state_q <= StTurn;
        else state_q <= StAccess;
      end
      StAccess:  state_q <= cfg_req_i.write ? StDone : StWait;
      StTurn:    if (turn_done_i) state_q <= cfg_req_i.write ? StDone : StWait;
      StWait:    if (wait_q[ReadCycles-1]) state_q <= StCollect;
      StFlow:    if (flow_done_i) state_q <= cfg_req_i.write ? StDone : StWait;
      StCollect: begin
        rdata_q <= rdata_i;
        state_q <= StDone;
      end
      StDone:  state_q <= StIdle;
      default: state_q <= StIdle;
    endcase
    if (rst_i || clear_i) begin
      state_q  <= StClear;
      clear_q  <= '0;
      acc_q.re <= '0;
      acc_q.we <= '0;
      wait_q   <= '0;
    end
  end

  assign acc_o        = acc_q;
  assign acc_wdata_o  = wdata_q;
  assign clearing_o   = state_q == StClear;
  assign flow_valid_o = state_q == StFlow;
  assign flow_stats_o = stats_q;
  assign error_o      = state_q == StCollect && bad_i;
  assign cfg_rsp_o    = '{done: state_q == StDone, status: bad_q ? StParity : status_q, rdata: rdata_q};

`ifndef SYNTHESIS
  // A read waits for its own data, whatever went before it.
  a_own : assert property (@(posedge clk_i) disable iff (rst_i || clear_i) $onehot0(wait_q) && (wait_q == '0 || state_q == StWait));
  for (genvar t = 0; t < TableCount; t++) begin : gen_cleared
    initial assert (table_depth(t) <= 32'd1 << ClearBits || t == 32'(SelNextHop) || t == 32'(SelEcmp) ||
                    t == 32'(SelFlow) || t == 32'(SelFlowStats))
      else $fatal(1, "ps_table_access: table %0d is not cleared whole", t);
  end
  // Of the answer only this bit, as a simulator copies what a concurrent assertion names in every cycle.
  logic done;

  assign done = cfg_rsp_o.done;

  a_once : assert property (@(posedge clk_i) disable iff (rst_i || clear_i) done |=> !done);
  a_asked : assert property (@(posedge clk_i) disable iff (rst_i || clear_i) done |-> cfg_valid_i);
`endif

endmodule
