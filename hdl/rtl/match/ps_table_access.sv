// Maintenance side of all tables: checks and serves the command engine, and clears everything on demand.
//
// Commands:   cfg_valid_i/cfg_req_i held until cfg_rsp_o.done pulses. An access takes AccessCycles + 3 cycles; a flow waits for its unit.
//             While tables are being cleared commands wait.
// Clearing:   after rst_i and on clear_i: one index a cycle, all tables at once, 65536 cycles (clearing_o).
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
  input  logic [EntryMaxBits-1:0] rdata_i,       // of the table that cfg_req_i names

  output logic        flow_valid_o,
  input  logic        flow_done_i
);

  typedef enum logic [2:0] {
    StClear,
    StIdle,
    StAccess,
    StWait,
    StFlow,
    StCollect,
    StDone
  } state_e;

  localparam int unsigned WaitBits = $clog2(AccessCycles);

  state_e       state_q;
  logic [WaitBits-1:0] wait_q;
  access_t      acc_q;
  logic [WriteMaxBits-1:0] wdata_q;
  logic         clear_end_q;
  logic [7:0]   status, status_q;
  logic [383:0] rdata_q;
  logic         permitted;
  logic [3:0]   id;
  logic [TableCount-1:0] select;

  assign id     = cfg_req_i.table_id[3:0];
  assign select = TableCount'(1) << id;

  always_comb begin
    permitted = 1'b1;
    if (cfg_req_i.write) begin
      if (cfg_req_i.table_id == TableFlowStats) permitted = 1'b0;
      if (cfg_req_i.table_id == TableFlow && cfg_req_i.wdata != '0) permitted = 1'b0;
    end
    status = StOk;
    if (table_depth(cfg_req_i.table_id) == '0) status = StBadTable;
    else if (cfg_req_i.index >= table_depth(cfg_req_i.table_id)) status = StBadIndex;
    else if (!permitted) status = StNotPermitted;
  end

  // Tables that have the index.
  function automatic logic [TableCount-1:0] depth_mask(input logic [15:0] index);
    for (int unsigned i = 0; i < TableCount; i++) begin
      depth_mask[i] = 32'(index) < table_depth(i[7:0]);
    end
  endfunction

  always_ff @(posedge clk_i) begin
    acc_q.re <= '0;
    acc_q.we <= '0;
    unique case (state_q)
      StClear: begin
        acc_q.we    <= clear_end_q ? '0 : depth_mask(acc_q.index + 16'd1);
        acc_q.index <= acc_q.index + 16'd1;
        wdata_q     <= '0;
        clear_end_q <= acc_q.index == 16'hfffe;
        if (clear_end_q) state_q <= StIdle;
      end
      StIdle: begin
        status_q <= status;
        rdata_q  <= '0;
        if (cfg_valid_i) begin
          acc_q.index <= cfg_req_i.index[15:0];
          if (cfg_req_i.write) wdata_q <= cfg_req_i.wdata[WriteMaxBits-1:0];
          if (status != StOk) begin
            state_q <= StDone;
          end else if (cfg_req_i.table_id == TableFlow) begin
            state_q <= StFlow;
          end else begin
            acc_q.re <= cfg_req_i.write ? '0 : select;
            acc_q.we <= cfg_req_i.write ? select : '0;
            state_q  <= StAccess;
          end
        end
      end
      StAccess: begin
        wait_q  <= WaitBits'(AccessCycles - 1);
        state_q <= StWait;
      end
      StWait: begin
        wait_q <= wait_q - WaitBits'(1);
        if (wait_q == WaitBits'(1)) state_q <= StCollect;
      end
      StFlow:     if (flow_done_i) state_q <= StCollect;
      StCollect: begin
        if (!cfg_req_i.write) rdata_q <= rdata_i;
        state_q <= StDone;
      end
      StDone:  state_q <= StIdle;
      default: state_q <= StIdle;
    endcase
    if (rst_i || clear_i) begin
      state_q     <= StClear;
      clear_end_q <= 1'b0;
      acc_q.re    <= '0;
      acc_q.we    <= '0;
      acc_q.index <= 16'hffff;
    end
  end

  assign acc_o        = acc_q;
  assign acc_wdata_o  = wdata_q;
  assign clearing_o   = state_q == StClear;
  assign flow_valid_o = state_q == StFlow;
  assign cfg_rsp_o    = '{done: state_q == StDone, status: status_q, rdata: rdata_q};

`ifndef SYNTHESIS
  a_once : assert property (@(posedge clk_i) disable iff (rst_i || clear_i)
                            cfg_rsp_o.done |=> !cfg_rsp_o.done);
  a_asked : assert property (@(posedge clk_i) disable iff (rst_i || clear_i)
                             cfg_rsp_o.done |-> cfg_valid_i);
`endif

endmodule
