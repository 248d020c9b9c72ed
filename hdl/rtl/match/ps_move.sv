// Whether packets to an address may go by a tunnel now: walks from a route's next hop (section 9.2, "Move").
//
// Handshake:  start_i with nh_i/dip_i (held until done_o); done_o pulses with result_o. One walk at a time.
// Tables:     NextHop and Ecmp by the walk ports of ps_nexthop: an enable is taken with ready, data come with valid.
// Time:       a read for a tunnel, up to two more for each slot of a group, 6 cycles each.
module ps_move
  import ps_abi_pkg::*;
  import ps_match_pkg::*;
(
  input  logic        clk_i,
  input  logic        rst_i,
  input  logic        start_i,
  input  logic [15:0] nh_i,
  input  logic [31:0] dip_i,
  output logic        done_o,
  output move_t       result_o,

  output logic        nh_re_o,
  output next_hop_addr_t nh_addr_o,
  input  logic        nh_ready_i,
  input  logic        nh_valid_i,
  input  next_hop_t   nh_rdata_i,
  output logic        ecmp_re_o,
  output ecmp_addr_t  ecmp_addr_o,
  input  logic        ecmp_ready_i,
  input  logic        ecmp_valid_i,
  input  ecmp_slot_t  ecmp_rdata_i
);

  typedef enum logic [2:0] {
    StIdle,
    StFirst,
    StWordRead,
    StWord,
    StMemberRead,
    StMember
  } state_e;

  localparam int unsigned SlotWidth = $clog2(EcmpGroupMax);

  state_e             state_q, state_d;
  logic [SlotWidth:0] slot_q, slot_d;      // one bit more: the end of a full group
  slot_count_t             slots_q;
  ecmp_addr_t         base_q;
  ecmp_slot_t         word_q;
  logic               leads;               // the next hop that was read is a tunnel to there

  assign leads = nh_rdata_i.valid && nh_rdata_i.kind == NhTunnel && nh_rdata_i.dip == dip_i;

  always_comb begin
    state_d     = state_q;
    slot_d      = slot_q;
    nh_re_o     = 1'b0;
    nh_addr_o   = next_hop_addr_t'(nh_i);
    ecmp_re_o   = 1'b0;
    ecmp_addr_o = base_q + ecmp_addr_t'(slot_q);
    done_o      = 1'b0;
    result_o    = '0;
    unique case (state_q)
      StIdle: begin
        nh_re_o = start_i && nh_in_table(nh_i);
        slot_d  = '0;
        if (start_i && !nh_in_table(nh_i)) done_o = 1'b1;
        else if (start_i && nh_ready_i) state_d = StFirst;
      end
      StFirst: if (nh_valid_i) begin
        if (nh_rdata_i.valid && nh_rdata_i.kind == NhComposite) begin
          state_d = StWordRead;
        end else begin
          done_o         = 1'b1;
          result_o.found = leads;
          state_d        = StIdle;
        end
      end
      StWordRead: begin
        if (slot_q == (SlotWidth + 1)'(EcmpGroupMax) || $bits(slot_count_t)'(slot_q) >= slots_q) begin
          done_o  = 1'b1;
          state_d = StIdle;
        end else begin
          ecmp_re_o = 1'b1;
          if (ecmp_ready_i) state_d = StWord;
        end
      end
      StWord: if (ecmp_valid_i) begin
        if (ecmp_rdata_i.valid && nh_in_table(ecmp_rdata_i.nh)) begin
          state_d = StMemberRead;
        end else begin
          slot_d  = slot_q + 1'b1;
          state_d = StWordRead;
        end
      end
      StMemberRead: begin
        nh_re_o   = 1'b1;
        nh_addr_o = next_hop_addr_t'(word_q.nh);
        if (nh_ready_i) state_d = StMember;
      end
      StMember: if (nh_valid_i) begin
        if (leads) begin
          done_o   = 1'b1;
          result_o = '{found: 1'b1, group: 1'b1, slot: slot_id_t'(slot_q), generation: word_q.generation};
          state_d  = StIdle;
        end else begin
          slot_d  = slot_q + 1'b1;
          state_d = StWordRead;
        end
      end
      default: state_d = StIdle;
    endcase
  end

  always_ff @(posedge clk_i) begin
    if (state_q == StFirst && nh_valid_i) begin
      slots_q <= nh_rdata_i.slots;
      base_q  <= ecmp_addr_t'(nh_rdata_i.base);
    end
    if (state_q == StWord && ecmp_valid_i) word_q <= ecmp_rdata_i;
    slot_q  <= slot_d;
    state_q <= state_d;
    if (rst_i) state_q <= StIdle;
  end

  logic unused_bits;
  assign unused_bits = ^{nh_rdata_i, word_q};

`ifndef SYNTHESIS
  a_held : assert property (@(posedge clk_i) disable iff (rst_i) state_q != StIdle |-> start_i);
`endif

endmodule
