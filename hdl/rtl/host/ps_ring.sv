// Command, completion and event rings: the host's way to the tables.
//
// Contract:   see crate penstock-abi, module ring. Commands are executed strictly in order. The ring runs
//             (active) from the moment the host enables it and everything of an earlier run has left, until the host
//             disables it, a function-level reset, or a fault (bus error, more commands announced than the ring holds); then
//             what is in flight is thrown away.
// Events:     chosen and ordered by ps_ring_events; those of flows come by evt_*, and evt_lost_i says how many were lost before.
// Counters:   consumer, errors, events; all restart with the ring.
// Interrupts: irq_o[IrqCompletion], [IrqEvent], [IrqFault], one-cycle requests.
module ps_ring
  import ps_abi_pkg::*;
  import ps_types_pkg::*;
  import ps_ring_pkg::*;
(
  input  logic         clk_i,
  input  logic         rst_i,
  input  logic         hold_i,          // tables are being cleared
  input  logic         clear_i,         // pulse: they will be
  output logic         busy_o,
  output logic         map_busy_o,      // the valid map is being cleared
  output logic         cmd_busy_o,      // something of the command ring is under way

  input  ring_cfg_t    cmd_cfg_i,
  output logic [31:0]  cmd_consumer_o,
  output logic [31:0]  ring_errors_o,
  output logic         ring_fault_o,
  input  ring_cfg_t    evt_cfg_i,
  output logic [31:0]  evt_producer_o,
  output logic [31:0]  evt_dropped_o,
  output logic [1:0]   irq_o,           // completion, event

  // What becomes an event
  input  logic [63:0]  time_i,
  input  logic [31:0]  fw_status_i,
  input  logic [31:0]  fw_info_i,
  input  logic         flow_full_i,
  input  logic [31:0]  evt_kinds_i,
  input  logic         flow_evt_valid_i,
  input  flow_event_t  flow_evt_i,
  output logic         flow_evt_ready_o,
  input  logic [1:0]   flow_evt_lost_i,

  // Flow entries that the card inserts and removes
  input  logic         card_mark_valid_i,
  input  logic         card_mark_client_i,
  input  index_t       card_mark_index_i,
  input  logic         card_mark_set_i,
  output logic         card_mark_ready_o,

  output logic         cfg_valid_o,
  output cfg_req_t     cfg_req_o,
  input  cfg_rsp_t     cfg_rsp_i,

  output logic [63:0]  m_axi_awaddr_o,
  output logic [7:0]   m_axi_awlen_o,
  output logic         m_axi_awvalid_o,
  input  logic         m_axi_awready_i,
  output logic [511:0] m_axi_wdata_o,
  output logic [63:0]  m_axi_wstrb_o,
  output logic         m_axi_wlast_o,
  output logic         m_axi_wvalid_o,
  input  logic         m_axi_wready_i,
  input  logic [1:0]   m_axi_bresp_i,
  input  logic         m_axi_bvalid_i,
  output logic         m_axi_bready_o,
  output logic [63:0]  m_axi_araddr_o,
  output logic [7:0]   m_axi_arlen_o,
  output logic         m_axi_arvalid_o,
  input  logic         m_axi_arready_i,
  input  logic [511:0] m_axi_rdata_i,
  input  logic [1:0]   m_axi_rresp_i,
  input  logic         m_axi_rlast_i,
  input  logic         m_axi_rvalid_i,
  output logic         m_axi_rready_o
);

  logic         active_q, restart_q, start_q, all_idle;
  logic         fetch_idle, exec_idle, write_idle, fetch_fault, write_fault;
  logic         cmd_valid, cmd_next, cpl_valid, cpl_ready, evt_valid, evt_ready, evt_waits, evt_busy;
  command_t     cmd;
  record_t      cpl, evt;
  logic         find_valid, find_done, find_found;
  logic [31:0]  find_from, find_index, errors_q;
  logic         active, marked_q, written_q;

  // Run state: a new run begins only when nothing of the last one is left.
  assign all_idle = fetch_idle && exec_idle && write_idle;
  // A reset clears bases and counts the cycle before active_q falls: nothing may go there.
  assign active   = active_q && cmd_cfg_i.enable;

  always_ff @(posedge clk_i) begin
    if (rst_i) begin
      active_q  <= 1'b0;
      start_q   <= 1'b0;
      restart_q <= 1'b0;
      errors_q  <= '0;
    end else begin
      restart_q <= !active_q && start_q && all_idle && !restart_q;
      if (cmd_cfg_i.start) start_q <= 1'b1;
      if (restart_q) begin
        start_q  <= 1'b0;
        active_q <= 1'b1;
        errors_q <= '0;
      end
      if (!cmd_cfg_i.enable) begin
        active_q <= 1'b0;
        start_q  <= 1'b0;
      end
      if (ring_fault_o) begin
        active_q <= 1'b0;
        if (errors_q != '1) errors_q <= errors_q + 32'd1;
      end
    end
  end

  ps_ring_fetch u_fetch (
    .clk_i,
    .rst_i,
    .cmd_i      (cmd_cfg_i),
    .active_i   (active),
    .restart_i  (restart_q),
    .idle_o     (fetch_idle),
    .fault_o    (fetch_fault),
    .cmd_valid_o(cmd_valid),
    .cmd_o      (cmd),
    .next_i     (cmd_next),
    .m_axi_araddr_o,
    .m_axi_arlen_o,
    .m_axi_arvalid_o,
    .m_axi_arready_i,
    .m_axi_rdata_i,
    .m_axi_rresp_i,
    .m_axi_rlast_i,
    .m_axi_rvalid_i,
    .m_axi_rready_o
  );

  ps_ring_exec u_exec (
    .clk_i,
    .rst_i,
    .hold_i,
    .restart_i   (restart_q),
    .idle_o      (exec_idle),
    .cmd_valid_i (cmd_valid),
    .cmd_i       (cmd),
    .next_o      (cmd_next),
    .cpl_valid_o (cpl_valid),
    .cpl_o       (cpl),
    .cpl_ready_i (cpl_ready),
    .cfg_valid_o,
    .cfg_req_o,
    .cfg_rsp_i,
    .find_valid_o(find_valid),
    .find_index_o(find_from),
    .find_done_i (find_done),
    .find_found_i(find_found),
    .find_index_i(find_index)
  );

  // Marks a cycle after the access: what was asked for stays that long.
  always_ff @(posedge clk_i) begin
    marked_q  <= cfg_req_o.write && table_has_valid(cfg_req_o.table_id) &&
                 !(cfg_req_o.table_id inside {TableFlow, TableAffinity});
    written_q <= cfg_rsp_i.done && cfg_rsp_i.status == StOk && !rst_i;
  end

  ps_valid_map u_map (
    .clk_i,
    .rst_i,
    .clear_i,
    .busy_o       (map_busy_o),
    .mark_valid_i (written_q && marked_q),
    .mark_table_i (cfg_req_o.table_id),
    .mark_index_i (cfg_req_o.index),
    .mark_set_i   (cfg_req_o.wdata[0]),
    .card_mark_valid_i,
    .card_mark_client_i,
    .card_mark_index_i,
    .card_mark_set_i,
    .card_mark_ready_o,
    .find_valid_i (find_valid),
    .find_table_i (cfg_req_o.table_id),
    .find_index_i (find_from),
    .find_done_o  (find_done),
    .find_found_o (find_found),
    .find_index_o (find_index)
  );

  ps_ring_events u_events (
    .clk_i,
    .rst_i,
    .kinds_i     (evt_kinds_i),
    .time_i,
    .fw_status_i,
    .fw_info_i,
    .flow_full_i,
    .flow_valid_i(flow_evt_valid_i),
    .flow_i      (flow_evt_i),
    .flow_ready_o(flow_evt_ready_o),
    .evt_valid_o (evt_valid),
    .evt_o       (evt),
    .evt_ready_i (evt_ready),
    .busy_o      (evt_waits)
  );

  ps_ring_write u_write (
    .clk_i,
    .rst_i,
    .cmd_i         (cmd_cfg_i),
    // Where the next record goes is known a cycle ahead, so that it is still of the ring that active_q speaks of.
    .active_i      (active_q),
    .restart_i     (restart_q),
    .evt_i         (evt_cfg_i),
    .idle_o        (write_idle),
    .evt_busy_o    (evt_busy),
    .fault_o       (write_fault),
    .consumer_o    (cmd_consumer_o),
    .evt_producer_o,
    .evt_dropped_o,
    .irq_cpl_o     (irq_o[0]),
    .irq_evt_o     (irq_o[1]),
    .cpl_valid_i   (cpl_valid),
    .cpl_i         (cpl),
    .cpl_ready_o   (cpl_ready),
    .lost_i        (flow_evt_lost_i),
    .evt_valid_i   (evt_valid),
    .evt_record_i  (evt),
    .evt_ready_o   (evt_ready),
    .m_axi_awaddr_o,
    .m_axi_awlen_o,
    .m_axi_awvalid_o,
    .m_axi_awready_i,
    .m_axi_wdata_o,
    .m_axi_wstrb_o,
    .m_axi_wlast_o,
    .m_axi_wvalid_o,
    .m_axi_wready_i,
    .m_axi_bresp_i,
    .m_axi_bvalid_i,
    .m_axi_bready_o
  );

  // Commands are not done yet: compared by parts, which are kept apart for synthesis as it would make one long chain of them.
  (* keep *) logic [10:0] behind;

  always_comb begin
    behind = '0;
    for (int unsigned i = 0; i < 32; i++) if (cmd_cfg_i.count[i] != cmd_consumer_o[i]) behind[i/3] = 1'b1;
  end

  assign ring_fault_o  = fetch_fault || write_fault;
  assign ring_errors_o = errors_q;
  assign cmd_busy_o    = !all_idle;
  assign busy_o        = !all_idle || (active_q && behind != '0) || start_q ||
                         evt_busy || evt_waits;

`ifndef SYNTHESIS
  // No completion before its command, and none too many.
  logic [31:0] offered_q, completed_q;

  always_ff @(posedge clk_i) begin
    if (cmd_next && active) offered_q <= offered_q + 32'd1;
    if (cpl_valid && cpl_ready && active) completed_q <= completed_q + 32'd1;
    if (restart_q || rst_i) {offered_q, completed_q} <= '0;
  end

  // What was written stays in the cycle after. Immediate, as a concurrent one would keep a copy of the request in every cycle.
  cfg_req_t wrote_q;

  always @(posedge clk_i) begin
    if (cfg_rsp_i.done) wrote_q <= cfg_req_o;
    if (!rst_i && written_q) a_mark : assert (cfg_req_o == wrote_q);
  end

  a_completed : assert property (@(posedge clk_i) disable iff (rst_i || restart_q || !active)
                                 offered_q - completed_q <= 32'd1);
  a_counted : assert property (@(posedge clk_i) disable iff (rst_i || restart_q || !active)
                               completed_q - cmd_consumer_o <= 32'd40);
  a_restart : assert property (@(posedge clk_i) disable iff (rst_i) restart_q |-> !active_q);
`endif

endmodule
