// Port B of one way's key rows: probes of keys first, then what waits to be written or read, in order.
//
// Probe:      probe_i/probe_row_i, every cycle if need be; the row is read in the next cycle. probe_first_i with it, or nothing waits
//             (asserted): so the queue need not know of probes that are known late.
// Operations: op_valid_i/op_i with op_ready_o, known a cycle ahead; a register and a FIFO of Depth. Those of one row are done in the order in which they came, so a slot
//             that is read is read with all that was asked before. crowded_o: more than three quarters are taken (and asks for
//             new pairs are to be refused, so that probes leave turns). idle_o knows of one a cycle after it came.
// Take:       the slot that RowTake read, with taken_used_o, held until taken_ready_i; the next one waits that long.
// Done:       done_o is told when what RowWrite wrote can be read.
// Clearing:   clear_i invalidates all slots of clear_row_i; no operation or probe beside it.
module ps_flow_port
  import ps_abi_pkg::*;
  import ps_match_pkg::*;
  import ps_pair_pkg::*;
#(
  parameter int unsigned RowsLog2 = FlowRowsLog2,
  parameter int unsigned Depth    = 32
) (
  input  logic                           clk_i,
  input  logic                           rst_i,
  input  logic                           probe_i,
  input  logic                           probe_first_i,
  input  logic [FlowRowsLog2-1:0]        probe_row_i,

  input  logic                           op_valid_i,
  output logic                           op_ready_o,
  input  row_op_t                        op_i,
  output logic                           crowded_o,
  output logic                           idle_o,

  output logic                           done_valid_o,
  output row_op_for_t                    done_o,

  output logic                           taken_valid_o,
  input  logic                           taken_ready_i,
  output key_slot_t                      taken_o,
  output logic                           taken_used_o,
  output waiting_t                       taken_by_o,

  input  logic                           clear_i,
  input  logic [FlowRowsLog2-1:0]        clear_row_i,

  output logic                           re_o,
  output logic                           we_o,
  output logic [FlowRowsLog2-1:0]        row_o,
  output logic [$clog2(BucketSlots)-1:0] slot_o,
  output key_slot_t                      word_o,
  output logic [BucketSlots-1:0]         mark_we_o,
  output logic                           mark_o,
  input  key_slot_t [BucketSlots-1:0]    word_i,
  input  logic [BucketSlots-1:0]         used_i
);

  localparam int unsigned KeyCycles = key_cycles(RowsLog2);

  localparam int unsigned Margin = 4;  // operations that may come before op_ready_o is seen

  logic                   head_valid, go, pop, taking_q, op_valid_q, fits;
  row_op_t                head, op_q;
  logic [$clog2(Depth)+1:0] count;
  row_op_for_t            whom_q;
  logic [KeyCycles:0]     take_q;      // from the command on
  logic [$clog2(BucketSlots)-1:0] take_slot_q;

  ps_fifo #(
    .Width($bits(row_op_t)),
    .Depth(Depth),
    .Style("distributed")
  ) u_ops (
    .clk_i,
    .rst_i,
    .wvalid_i(op_valid_q),
    .wready_o(fits),
    .wdata_i (op_q),
    .rvalid_o(head_valid),
    .rready_i(go),
    .rdata_o (head),
    .count_o (count)
  );

  assign go  = !probe_first_i && !(head.op == RowTake && taking_q);
  assign pop = head_valid && go;

  always_ff @(posedge clk_i) begin
    op_valid_q <= op_valid_i;
    if (!Rests || op_valid_i) op_q <= op_i;      // its enable would have the whole word as loads
    op_ready_o <= count < ($clog2(Depth) + 2)'(Depth - Margin);

    re_o      <= probe_i || (pop && head.op == RowTake);
    we_o      <= pop && head.op == RowWrite;
    row_o     <= clear_i ? clear_row_i : probe_i ? probe_row_i : head.row;
    if (head_valid) begin
      slot_o <= head.slot;
      word_o <= head.word;
      whom_q <= head.whom;
    end
    mark_o    <= !clear_i && head.op == RowWrite;
    mark_we_o <= pop && head.op != RowTake ? BucketSlots'(1) << head.slot : {BucketSlots{clear_i}};
    done_valid_o <= we_o;
    if (we_o) done_o <= whom_q;

    take_q <= {take_q[KeyCycles-1:0], pop && head.op == RowTake};
    if (pop && head.op == RowTake) begin
      taking_q    <= 1'b1;
      take_slot_q <= head.slot;
      taken_by_o  <= head.whom.by;
    end
    if (take_q[KeyCycles]) begin
      taken_valid_o <= 1'b1;
      taken_o       <= word_i[take_slot_q];
      taken_used_o  <= used_i[take_slot_q];
    end
    if (taken_valid_o && taken_ready_i) begin
      taken_valid_o <= 1'b0;
      taking_q      <= 1'b0;
    end
    crowded_o <= count > ($clog2(Depth) + 2)'(Depth * 3 / 4);
    idle_o    <= count == '0 && !op_valid_q && !we_o && mark_we_o == '0 && !taking_q;
    if (rst_i) begin
      op_valid_q    <= 1'b0;
      op_ready_o    <= 1'b0;
      re_o          <= 1'b0;
      we_o          <= 1'b0;
      mark_we_o     <= {BucketSlots{clear_i}};
      done_valid_o  <= 1'b0;
      take_q        <= '0;
      taking_q      <= 1'b0;
      taken_valid_o <= 1'b0;
    end
  end

`ifndef SYNTHESIS
  always @(posedge clk_i) begin
    if (!rst_i && we_o) a_one : assert (!re_o);
    if (!rst_i && probe_i && !probe_first_i) a_first : assert (!head_valid);
    if (!rst_i && op_valid_q) a_bound : assert (fits);
  end
`endif

endmodule
