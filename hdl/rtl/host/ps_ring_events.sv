// What becomes an event, and which is next: the firmware's, then that of a full table and those of flows in turn.
//
// Merged:     of the firmware's state and of a full table one event waits each; what happens meanwhile is merged into it.
// Kinds:      kinds_i has a bit for each that is told. ps_flow_events keeps to it by itself.
// Out:        evt_valid_o/evt_o until evt_ready_i, of which what waits decides: evt_o may become another before.
module ps_ring_events
  import ps_abi_pkg::*;
  import ps_ring_pkg::*;
(
  input  logic        clk_i,
  input  logic        rst_i,
  input  logic [31:0] kinds_i,
  input  logic [63:0] time_i,
  input  logic [31:0] fw_status_i,
  input  logic [31:0] fw_info_i,
  input  logic        flow_full_i,
  input  logic        flow_valid_i,
  input  flow_event_t flow_i,
  output logic        flow_ready_o,

  output logic        evt_valid_o,
  output record_t     evt_o,
  input  logic        evt_ready_i,
  output logic        busy_o
);

  logic [31:0] fw_status_q, full_count_q;
  logic        fw_pending_q, full_pending_q, fw_changes, fills, flow_first_q, flow_turn;

  assign fw_changes   = fw_status_i != fw_status_q && kinds_i[EventFirmware[4:0]];
  assign fills        = flow_full_i && kinds_i[EventFlowTableFull[4:0]];
  assign flow_turn    = !fw_pending_q && flow_valid_i && (flow_first_q || !full_pending_q);
  assign flow_ready_o = evt_ready_i && flow_turn;
  assign evt_valid_o  = fw_pending_q || full_pending_q || flow_valid_i;
  assign busy_o       = evt_valid_o;

  always_ff @(posedge clk_i) begin
    fw_status_q <= fw_status_i;
    if (flow_full_i) full_count_q <= full_count_q + 32'd1;
    if (fills) full_pending_q <= 1'b1;
    if (fw_changes) fw_pending_q <= 1'b1;
    if (evt_ready_i) begin
      if (fw_pending_q) begin
        fw_pending_q <= fw_changes;
      end else if (flow_turn) begin
        flow_first_q <= 1'b0;
      end else begin
        full_pending_q <= fills;
        flow_first_q   <= 1'b1;
      end
    end
    if (rst_i) begin
      fw_status_q    <= '0;
      fw_pending_q   <= 1'b0;
      full_pending_q <= 1'b0;
      full_count_q   <= '0;
      flow_first_q   <= 1'b0;
    end
  end

  always_comb begin
    evt_o = '{is_evt: 1'b1, irq: 1'b1, status: fw_pending_q ? EventFirmware : EventFlowTableFull, cookie: '0, index: '0,
              data: {256'd0, fw_pending_q ? {fw_info_i, fw_status_q} : {32'd0, full_count_q}, time_i}};
    if (flow_turn) begin
      evt_o.status = flow_i.kind;
      {evt_o.cookie, evt_o.index, evt_o.data} = $bits({evt_o.cookie, evt_o.index, evt_o.data})'(flow_i);
    end
  end

  logic unused_bits;
  assign unused_bits = ^{kinds_i, flow_i};

endmodule
