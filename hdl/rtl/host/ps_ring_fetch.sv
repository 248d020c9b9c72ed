// Fetches 64-byte commands from the command ring in host memory, ahead of their execution.
//
// Contract:   while active_i, reads as many commands as the host has announced (cmd_i.count) and offers them in order; one that is
//             offered stays until next_i (pulse) says that it is done with. A bus error pulses fault_o; what its burst brought
//             is not offered, nor anything behind it.
// Ahead:      up to Places commands are on their way or wait here, in up to Outstanding bursts; a burst is asked for only when
//             there is room for all of it, so that data is never held up.
// Bursts:     of up to BurstMax beats. One ends where count and address are multiples of BurstMax beats, so that it never runs past the
//             end of the ring nor across a 4 KiB boundary.
// Announced:  more commands than the ring holds would be old ones executed again: fault_o pulses, and nothing more is fetched.
// Stopping:   when active_i falls, bursts under way are received and thrown away; idle_o tells when nothing is left. A command may
//             still be offered in the cycle in which it falls.
// Latency:    a burst is asked for five to ten cycles after it is known of, one every six cycles; a command is offered five cycles after
//             its burst's last beat, and the next one three after next_i.
module ps_ring_fetch
  import ps_abi_pkg::*;
  import ps_types_pkg::*;
  import ps_ring_pkg::*;
#(
  parameter int unsigned BurstMax    = 8,
  parameter int unsigned Places      = 64,
  parameter int unsigned Outstanding = 8
) (
  input  logic         clk_i,
  input  logic         rst_i,

  // verilator lint_off UNUSEDSIGNAL  // of a ring's set-up each unit uses its part
  input  ring_cfg_t    cmd_i,
  // verilator lint_on UNUSEDSIGNAL
  input  logic         active_i,
  input  logic         restart_i,      // counts from 0 again (active_i is low, and idle_o set)
  output logic         idle_o,
  output logic         fault_o,

  output logic         cmd_valid_o,
  output command_t     cmd_o,          // holds its value until the next command is offered, whatever happens to cmd_valid_o
  input  logic         next_i,

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

  localparam int unsigned BurstLog2   = $clog2(BurstMax);
  localparam int unsigned PlaceLog2   = $clog2(Places);
  localparam int unsigned BeatLog2    = $clog2(BeatBytes);
  localparam int unsigned CountWidth  = $clog2(Outstanding + 1);

  typedef logic [BurstLog2:0] burst_t;
  typedef logic [PlaceLog2:0] place_t;   // one bit more than the index: full is not empty

  // --- Planning: a burst at a time, a step a cycle
  typedef enum logic [5:0] {
    StCount   = 6'b000001,   // how many commands wait
    StWeigh   = 6'b000010,   // what that means
    StMeasure = 6'b000100,   // how many beats they and the boundaries allow
    StCut     = 6'b001000,   // the least of these
    StDecide  = 6'b010000,
    StAddress = 6'b100000
  } state_e;

  state_e                 state_q;
  logic [31:0]            fetched_q, waiting_q, ahead_q;   // ahead: waiting less one
  logic [RingLog2Max-1:0] mask_q, position_q;
  logic [63:0]            address_q, araddr_q;
  logic                   many_q, beyond_q, room_q, arvalid_q;
  burst_t                 few_q, near_q, far_q, burst_q;
  place_t                 free_q;
  logic [CountWidth-1:0]  outstanding_q;
  logic                   plan_fault_q, data_fault_q, ar_take, r_last;
  logic                   re, reading_q, cmd_valid_q;

  // Beats from here to the next multiple of BurstMax.
  function automatic burst_t to_multiple(input logic [BurstLog2-1:0] at);
    to_multiple = burst_t'(BurstMax) - burst_t'(at);
  endfunction

  function automatic burst_t least(input burst_t a, input burst_t b);
    least = a < b ? a : b;
  endfunction

  assign ar_take = arvalid_q && m_axi_arready_i;

  always_ff @(posedge clk_i) begin
    plan_fault_q <= 1'b0;
    mask_q       <= ring_mask(cmd_i.log2);
    waiting_q    <= cmd_i.count - fetched_q;
    ahead_q      <= cmd_i.count + ~fetched_q;
    position_q   <= fetched_q[RingLog2Max-1:0] & mask_q;
    many_q       <= waiting_q[31:BurstLog2] != '0;
    few_q        <= {1'b0, waiting_q[BurstLog2-1:0]};
    beyond_q     <= waiting_q != '0 && (ahead_q & ~32'(mask_q)) != '0;
    address_q    <= cmd_i.base + (64'(position_q) << BeatLog2);
    // The room is that of the cycle before: since then it has only grown, as nothing is asked for meanwhile.
    room_q       <= free_q >= place_t'(BurstMax) && outstanding_q != CountWidth'(Outstanding);
    near_q       <= least(many_q ? burst_t'(BurstMax) : few_q, to_multiple(position_q[BurstLog2-1:0]));
    far_q        <= to_multiple(address_q[BeatLog2+:BurstLog2]);
    if (state_q == StCut) begin
      burst_q  <= least(near_q, far_q);
      araddr_q <= address_q;
    end
    unique case (state_q)
      StCount:   state_q <= StWeigh;
      StWeigh:   state_q <= StMeasure;
      StMeasure: state_q <= StCut;
      StCut:     state_q <= StDecide;
      StDecide: begin
        state_q <= StCount;
        if (active_i && beyond_q) begin
          // One pulse: active_i falls before the next decision.
          plan_fault_q <= 1'b1;
        end else if (active_i && burst_q != '0 && room_q) begin
          arvalid_q <= 1'b1;
          state_q   <= StAddress;
        end
      end
      StAddress: if (m_axi_arready_i) begin
        arvalid_q <= 1'b0;
        fetched_q <= fetched_q + 32'(burst_q);
        state_q   <= StCount;
      end
      default: state_q <= StCount;
    endcase
    if (restart_i) fetched_q <= '0;
    // A plan of the last run is none of the next.
    if (!active_i && state_q != StAddress) state_q <= StCount;
    if (rst_i) begin
      state_q   <= StCount;
      arvalid_q <= 1'b0;
    end
  end

  always_ff @(posedge clk_i) begin
    // A place is free a cycle after its command is read, which is soon enough.
    free_q        <= free_q + place_t'(reading_q) - (ar_take ? place_t'(burst_q) : '0);
    outstanding_q <= outstanding_q + CountWidth'(ar_take) - CountWidth'(r_last);
    if (restart_i || rst_i) free_q <= place_t'(Places);
    if (rst_i) outstanding_q <= '0;
  end

  // --- Data: a beat is registered, looked at, and put away
  logic [511:0] beat_q;
  logic         beat_valid_q, beat_last_q, beat_error_q, error_q, dead_q, keep;
  place_t       wr_q, kept_q, rd_q;   // next beat; end of the bursts that came whole; next command
  command_t     command;

  assign r_last = m_axi_rvalid_i && m_axi_rlast_i;
  assign keep   = active_i && !dead_q;

  always_ff @(posedge clk_i) begin
    data_fault_q <= 1'b0;
    beat_q       <= m_axi_rdata_i;
    beat_valid_q <= m_axi_rvalid_i;
    beat_last_q  <= m_axi_rlast_i;
    beat_error_q <= m_axi_rresp_i != 2'b00;
    if (beat_valid_q) begin
      wr_q    <= wr_q + 1'b1;
      error_q <= !beat_last_q && (error_q || beat_error_q);
      if (beat_last_q) begin
        if (error_q || beat_error_q) begin
          data_fault_q <= keep;
          dead_q       <= 1'b1;
        end else if (keep) begin
          kept_q <= wr_q + 1'b1;
        end
      end
    end
    if (restart_i || rst_i) begin
      wr_q   <= '0;
      kept_q <= '0;
      dead_q <= 1'b0;
    end
    if (rst_i) begin
      beat_valid_q <= 1'b0;
      error_q      <= 1'b0;
    end
  end

  logic [7:0]  opcode, table_id;
  logic [31:0] depth, asked;

  assign opcode   = beat_q[7:0];
  assign table_id = beat_q[15:8];
  assign depth    = table_depth(table_id);
  assign asked    = beat_q[159:128];

  always_comb begin
    command = '{
      kind: '0, write: opcode == OpWrite, status: StOk, limit: '0, words: table_words(table_id),
      irq: beat_q[16+FlagIrqBit], chained: beat_q[16+FlagChainedBit], table_id: table_id, index: beat_q[63:32],
      cookie: beat_q[95:64], data: beat_q[511:128]
    };
    if (asked[31:LimitWidth] == '0) command.limit = asked[LimitWidth-1:0];
    unique case (opcode)
      OpNop:           ;
      OpWrite, OpRead: command.kind.access = 1'b1;
      OpFence:         command.kind.fence = 1'b1;
      OpGetNext, OpDigest: begin
        if (depth == '0) command.status = StBadTable;
        else if (!table_has_valid(table_id)) command.status = StNotPermitted;
        else if (opcode == OpDigest) command.kind.digest = 1'b1;
        else command.kind.find = 1'b1;
      end
      default:         command.status = StBadOpcode;
    endcase
  end

  // --- Offering
  assign re = active_i && kept_q != rd_q && !reading_q && (!cmd_valid_q || next_i);

  ps_ram_sdp #(
    .Width  ($bits(command_t)),
    .Depth  (Places),
    .Style  ("block"),
    .Latency(2)
  ) u_places (
    .clk_i,
    .we_i   (beat_valid_q),
    .waddr_i(wr_q[PlaceLog2-1:0]),
    .wdata_i(command),
    .re_i   (re),
    .raddr_i(rd_q[PlaceLog2-1:0]),
    .rdata_o(cmd_o)
  );

  always_ff @(posedge clk_i) begin
    reading_q <= re;
    if (re) rd_q <= rd_q + 1'b1;
    if (reading_q) cmd_valid_q <= 1'b1;
    else if (next_i) cmd_valid_q <= 1'b0;
    if (restart_i || rst_i) rd_q <= '0;
    if (!active_i || rst_i) begin
      cmd_valid_q <= 1'b0;
      reading_q   <= 1'b0;
    end
  end

  assign cmd_valid_o     = cmd_valid_q;
  assign fault_o         = plan_fault_q || data_fault_q;
  assign idle_o          = !arvalid_q && outstanding_q == '0 && !beat_valid_q;
  assign m_axi_araddr_o  = araddr_q;
  assign m_axi_arlen_o   = 8'(burst_q) - 8'd1;
  assign m_axi_arvalid_o = arvalid_q;
  assign m_axi_rready_o  = 1'b1;

  logic unused_bits;
  assign unused_bits = ^{beat_q[31:24], beat_q[23:18], beat_q[127:96]};

`ifndef SYNTHESIS
  initial begin
    assert (BurstMax >= 2 && (BurstMax & (BurstMax - 1)) == 0) else $fatal(1, "ps_ring_fetch: BurstMax is not a power of two");
    assert (Places >= 2 * BurstMax && (Places & (Places - 1)) == 0)
      else $fatal(1, "ps_ring_fetch: Places is not a power of two of two bursts or more");
    assert (BurstMax <= 2 ** RingLog2Min) else $fatal(1, "ps_ring_fetch: a burst is longer than the smallest ring");
    assert (BeatBytes * 8 == $bits(m_axi_rdata_i)) else $fatal(1, "ps_ring_fetch: a record is not a beat");
  end

  place_t on_their_way;   // places promised to beats that have not come
  assign on_their_way = place_t'(Places) - free_q - place_t'(reading_q) - (wr_q - rd_q);

  a_state : assert property (@(posedge clk_i) disable iff (rst_i) $onehot(state_q));
  a_burst : assert property (@(posedge clk_i) disable iff (rst_i) arvalid_q |-> burst_q != '0 && burst_q <= burst_t'(BurstMax));
  a_room : assert property (@(posedge clk_i) disable iff (rst_i || restart_i || !active_i)
                            beat_valid_q |-> on_their_way != '0 && on_their_way <= place_t'(Places));
  a_asked : assert property (@(posedge clk_i) disable iff (rst_i) m_axi_rvalid_i |-> outstanding_q != '0);
  a_next : assert property (@(posedge clk_i) disable iff (rst_i) next_i && active_i |-> cmd_valid_q);
  a_held : assert property (@(posedge clk_i) disable iff (rst_i) cmd_valid_q && !next_i && active_i |=> !active_i || cmd_valid_q);
  a_restart : assert property (@(posedge clk_i) disable iff (rst_i) restart_i |-> idle_o && !active_i);
  a_no_more : assert property (@(posedge clk_i) disable iff (rst_i || !active_i) dead_q |=> kept_q == $past(kept_q));
`endif

endmodule
