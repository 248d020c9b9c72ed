// Whether packets to an address may go by a tunnel now: walks from a route's next hop (section 9.2, "Move").
//
// Handshake:  start_i with nh_i/dip_i (held until done_o); done_o pulses with result_o. One walk at a time.
// Tables:     NextHop and Ecmp by the walk ports of ps_nexthop: an enable is taken with ready, data come with valid, in order.
// Group:      its words are read one after the other without waiting, and with each word that comes the member's next hop: up to
//             InFlight slots are on their way. The first slot that leads there counts; what is still on its way then is waited for.
// Parity:     an entry that has the wrong one leads nowhere.
// Time:       about 10 cycles for a tunnel; for a group about 20 and one for each slot.
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
  // verilator lint_off UNUSEDSIGNAL  // a few fields of each
  input  next_hop_t   nh_rdata_i,
  // verilator lint_on UNUSEDSIGNAL
  input  logic        nh_bad_i,
  output logic        ecmp_re_o,
  output ecmp_addr_t  ecmp_addr_o,
  input  logic        ecmp_ready_i,
  input  logic        ecmp_valid_i,
  // verilator lint_off UNUSEDSIGNAL
  input  ecmp_slot_t  ecmp_rdata_i,
  // verilator lint_on UNUSEDSIGNAL
  input  logic        ecmp_bad_i
);

  typedef enum logic [2:0] {
    StIdle,
    StAsk,
    StFirst,
    StSetUp,
    StWalk
  } state_e;

  localparam int unsigned SlotWidth   = $clog2(EcmpGroupMax);
  localparam int unsigned InFlight    = 16;
  localparam int unsigned FlightWidth = $clog2(InFlight) + 1;

  // A word of the group, as far as it matters.
  typedef struct packed {
    logic        usable;                   // its next hop can be looked at
    generation_t generation;
  } word_t;

  typedef struct packed {
    word_t          word;
    next_hop_addr_t nh;
  } ask_t;

  state_e                 state_q;
  slot_count_t            slots_q;
  ecmp_addr_t             addr_q;          // of the next word to be read
  logic [SlotWidth:0]     left_q;          // words that are not read yet
  logic [SlotWidth-1:0]   slot_q;          // of the next answer
  logic [FlightWidth-1:0] flight_q;        // slots that were asked for and have no answer
  logic                   some_left_q, answer_q, member_q, leads_q, group_q, in_table_q, word_take, member_take;
  logic                   ask_valid, ask_room, word_valid, word_room;
  ask_t                   asked, ask;
  word_t                  word;
  move_t                  found_q;

  assign word_take   = ecmp_re_o && ecmp_ready_i;
  assign member_take = ask_valid && nh_ready_i;
  assign asked       = '{word: '{usable: ecmp_rdata_i.valid && !ecmp_bad_i && nh_in_table(ecmp_rdata_i.nh), generation: ecmp_rdata_i.generation},
                         nh: next_hop_addr_t'(ecmp_rdata_i.nh)};

  logic [$clog2(InFlight)+1:0] unused_asks, unused_words;

  // Words that came, whose members are to be read; one that is not usable reads any.
  ps_fifo #(
    .Width($bits(ask_t)),
    .Depth(InFlight),
    .Style("distributed")
  ) u_asks (
    .clk_i,
    .rst_i,
    .wvalid_i(ecmp_valid_i),
    .wready_o(ask_room),
    .wdata_i (asked),
    .rvalid_o(ask_valid),
    .rready_i(nh_ready_i),
    .rdata_o (ask),
    .count_o (unused_asks)
  );

  // Words whose members are on their way, in their order.
  ps_fifo #(
    .Width($bits(word_t)),
    .Depth(InFlight),
    .Style("distributed")
  ) u_words (
    .clk_i,
    .rst_i,
    .wvalid_i(member_take),
    .wready_o(word_room),
    .wdata_i (ask.word),
    .rvalid_o(word_valid),
    .rready_i(member_q),
    .rdata_o (word),
    .count_o (unused_words)
  );

  assign nh_re_o     = ask_valid || (state_q == StAsk && in_table_q);
  assign nh_addr_o   = ask_valid ? ask.nh : next_hop_addr_t'(nh_i);
  assign ecmp_re_o   = state_q == StWalk && some_left_q && !flight_q[FlightWidth-1] && !found_q.found;
  assign ecmp_addr_o = addr_q;

  always_comb begin
    done_o   = 1'b0;
    result_o = '0;
    unique case (state_q)
      StAsk:   done_o = !in_table_q;
      StFirst: begin
        done_o         = answer_q && !group_q;
        result_o.found = leads_q;
      end
      StWalk: begin
        done_o   = flight_q == '0 && (!some_left_q || found_q.found);
        result_o = found_q;
      end
      default: ;
    endcase
  end

  always_ff @(posedge clk_i) begin
    answer_q   <= nh_valid_i;
    member_q   <= nh_valid_i && state_q == StWalk;
    in_table_q <= nh_in_table(nh_i);
    // The next hop that was read is a tunnel to there, or a group.
    leads_q    <= nh_rdata_i.valid && !nh_bad_i && nh_rdata_i.kind == NhTunnel && nh_rdata_i.dip == dip_i;
    group_q    <= nh_rdata_i.valid && !nh_bad_i && nh_rdata_i.kind == NhComposite;
    if (state_q == StFirst && nh_valid_i) begin
      slots_q <= nh_rdata_i.slots;
      addr_q  <= ecmp_addr_t'(nh_rdata_i.base);
    end
    unique case (state_q)
      StIdle: if (start_i) state_q <= StAsk;
      StAsk: begin
        if (!in_table_q) state_q <= StIdle;
        else if (nh_ready_i) state_q <= StFirst;
      end
      StFirst: if (answer_q) state_q <= group_q ? StSetUp : StIdle;
      StSetUp: begin
        left_q      <= 32'(slots_q) > EcmpGroupMax ? (SlotWidth + 1)'(EcmpGroupMax) : (SlotWidth + 1)'(slots_q);
        some_left_q <= slots_q != '0;
        slot_q      <= '0;
        found_q     <= '0;
        state_q     <= StWalk;
      end
      StWalk: begin
        if (word_take) begin
          addr_q      <= addr_q + ecmp_addr_t'(1);
          left_q      <= left_q - (SlotWidth + 1)'(1);
          some_left_q <= left_q != (SlotWidth + 1)'(1);
        end
        if (member_q) begin
          slot_q <= slot_q + SlotWidth'(1);
          if (word.usable && leads_q && !found_q.found) begin
            found_q <= '{found: 1'b1, group: 1'b1, slot: slot_id_t'(slot_q), generation: word.generation};
          end
        end
        if (done_o) state_q <= StIdle;
      end
      default: state_q <= StIdle;
    endcase
    if (word_take && !member_q) flight_q <= flight_q + FlightWidth'(1);
    if (!word_take && member_q) flight_q <= flight_q - FlightWidth'(1);
    if (rst_i) begin
      state_q  <= StIdle;
      answer_q <= 1'b0;
      member_q <= 1'b0;
      flight_q <= '0;
    end
  end

  logic unused_room;
  assign unused_room = ^{ask_room, word_room, word_valid, unused_asks, unused_words};

`ifndef SYNTHESIS
  a_held : assert property (@(posedge clk_i) disable iff (rst_i) state_q != StIdle |-> start_i);
  a_rooms : assert property (@(posedge clk_i) disable iff (rst_i) (ecmp_valid_i |-> ask_room) and (member_take |-> word_room));
  a_order : assert property (@(posedge clk_i) disable iff (rst_i) member_q |-> state_q == StWalk && word_valid && flight_q != '0);
  a_nothing_left : assert property (@(posedge clk_i) disable iff (rst_i)
                                    state_q == StIdle |-> flight_q == '0 && !ask_valid && !word_valid);
`endif

endmodule
