// Writes completions and events into their rings in host memory.
//
// Contract:   one record at a time, completions before events; a count is raised, and an interrupt asked
//             for, only after the write is acknowledged. A bus error pulses fault_o.
// Phase:      the last byte of a record is 1 on even laps of its ring (the first is lap 0).
// Stopping:   when active_i (or evt_active_i) is low, records are taken and thrown away; a write under way ends first.
// Events:     a full event ring drops the event and counts it.
module ps_ring_write
  import ps_types_pkg::*;
(
  input  logic         clk_i,
  input  logic         rst_i,

  // verilator lint_off UNUSEDSIGNAL  // of a ring's set-up each unit uses its part
  input  ring_cfg_t    cmd_i,
  input  logic         active_i,
  input  logic         restart_i,
  input  ring_cfg_t    evt_i,
  // verilator lint_on UNUSEDSIGNAL
  output logic         idle_o,
  output logic         fault_o,
  output logic [31:0]  consumer_o,     // completions written
  output logic [31:0]  evt_producer_o,
  output logic [31:0]  evt_dropped_o,
  output logic         irq_cpl_o,
  output logic         irq_evt_o,

  input  logic         cpl_valid_i,
  input  logic [511:0] cpl_i,
  input  logic         cpl_irq_i,
  output logic         cpl_ready_o,

  input  logic         evt_valid_i,
  input  logic [511:0] evt_record_i,
  output logic         evt_ready_o,

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
  output logic         m_axi_bready_o
);

  typedef enum logic [1:0] {
    StIdle,
    StWrite,
    StResponse
  } state_e;

  state_e state_q;

  logic         is_evt_q, irq_q, aw_done_q, w_done_q;
  logic [31:0]  consumer_q, evt_producer_q, evt_dropped_q;
  logic [63:0]  addr_q;
  logic [511:0] data_q;
  logic         take_cpl, take_evt, evt_full;

  function automatic logic [63:0] address(input logic [63:0] base, input logic [31:0] count,
                                          input logic [4:0] log2);
    logic [31:0] position;
    position = count & ((32'd1 << log2) - 32'd1);
    address  = base + (64'(position) << 6);
  endfunction

  // The record with its phase and its number (counted from 1).
  function automatic logic [511:0] stamp(input logic [511:0] record, input logic [31:0] count,
                                         input logic [4:0] log2);
    stamp          = record;
    stamp[504]     = ~count[log2];
    stamp[479:448] = count + 32'd1;
  endfunction

  assign take_cpl    = state_q == StIdle && cpl_valid_i;
  assign take_evt    = state_q == StIdle && !cpl_valid_i && evt_valid_i;
  assign cpl_ready_o = state_q == StIdle;
  assign evt_ready_o = state_q == StIdle && !cpl_valid_i;
  assign evt_full    = (evt_producer_q - evt_i.count) >= (32'd1 << evt_i.log2);

  always_ff @(posedge clk_i) begin
    fault_o   <= 1'b0;
    irq_cpl_o <= 1'b0;
    irq_evt_o <= 1'b0;
    if (rst_i) begin
      state_q        <= StIdle;
      consumer_q     <= '0;
      evt_producer_q <= '0;
      evt_dropped_q  <= '0;
    end else begin
      unique case (state_q)
        StIdle: begin
          aw_done_q <= 1'b0;
          w_done_q  <= 1'b0;
          if (take_cpl && active_i) begin
            is_evt_q <= 1'b0;
            irq_q    <= cpl_irq_i;
            addr_q   <= address(cmd_i.cpl_base, consumer_q, cmd_i.log2);
            data_q   <= stamp(cpl_i, consumer_q, cmd_i.log2);
            state_q  <= StWrite;
          end else if (take_evt && evt_i.enable) begin
            is_evt_q <= 1'b1;
            irq_q    <= 1'b1;
            addr_q   <= address(evt_i.base, evt_producer_q, evt_i.log2);
            data_q   <= stamp(evt_record_i, evt_producer_q, evt_i.log2);
            if (evt_full) evt_dropped_q <= evt_dropped_q + {31'd0, ~&evt_dropped_q};
            else state_q <= StWrite;
          end
        end
        StWrite: begin
          aw_done_q <= aw_done_q || m_axi_awready_i;
          w_done_q  <= w_done_q || m_axi_wready_i;
          if ((aw_done_q || m_axi_awready_i) && (w_done_q || m_axi_wready_i)) state_q <= StResponse;
        end
        StResponse: if (m_axi_bvalid_i) begin
          state_q <= StIdle;
          if (m_axi_bresp_i != 2'b00) begin
            fault_o <= 1'b1;
          end else if (is_evt_q) begin
            evt_producer_q <= evt_producer_q + 32'd1;
            irq_evt_o      <= 1'b1;
          end else begin
            consumer_q <= consumer_q + 32'd1;
            irq_cpl_o  <= irq_q;
          end
        end
        default: state_q <= StIdle;
      endcase
      if (restart_i) consumer_q <= '0;
      if (evt_i.start) begin
        evt_producer_q <= '0;
        evt_dropped_q  <= '0;
      end
    end
  end

  assign idle_o          = state_q == StIdle && !cpl_valid_i && !evt_valid_i;
  assign consumer_o      = consumer_q;
  assign evt_producer_o  = evt_producer_q;
  assign evt_dropped_o   = evt_dropped_q;
  assign m_axi_awaddr_o  = addr_q;
  assign m_axi_awlen_o   = 8'd0;
  assign m_axi_awvalid_o = state_q == StWrite && !aw_done_q;
  assign m_axi_wdata_o   = data_q;
  assign m_axi_wstrb_o   = '1;
  assign m_axi_wlast_o   = 1'b1;
  assign m_axi_wvalid_o  = state_q == StWrite && !w_done_q;
  assign m_axi_bready_o  = state_q == StResponse;

endmodule
