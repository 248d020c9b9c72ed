// Entry of the match-action core: windows of both ports wait here, and one a cycle goes in, from the ports in turn.
//
//   A    chooses the port of the next window, from counts alone
//   out  reads that window, and the sum that belongs to it
// The core neither stalls nor drops, so a window may only enter when its verdict has a place to go: each port has
// as many credits as its verdict queue has places. A credit is taken with the choice and comes back (credit_i)
// when the rewriter takes the verdict out of the queue. The last two are never used: whether there are any is said by a register.
// Sums:       a fabric window may go when its sum is there, which comes after it; the host's windows have none.
// Gap:        gap_i (pulse) keeps one cycle free of windows, for what can only be done between two packets.
// Handshake:  window_room_o keeps a margin of Margin windows that are on their way when it falls.
// Latency:    window (fabric: sum) in -> window_valid_o 3 cycles; one window a cycle. A port without credits does not hold up the
//             other.
module ps_entry
  import ps_stream_pkg::*;
(
  input  logic        clk_i,
  input  logic        rst_i,
  input  logic [1:0]  window_valid_i,   // by src_e
  output logic [1:0]  window_room_o,
  input  window_t     fabric_window_i,
  input  window_t     host_window_i,
  input  logic        sum_valid_i,
  input  packet_sum_t sum_i,
  input  logic [1:0]  credit_i,
  input  logic        gap_i,
  output logic        window_valid_o,
  output window_t     window_o,
  output packet_sum_t sum_o,            // 0 from the host
  output logic        busy_o            // a window has been chosen
);

  localparam int unsigned CreditWidth = $clog2(VerdictDepth + 1);
  localparam int unsigned AddrWidth = $clog2(WindowDepth);
  localparam int unsigned Margin = 10;
  localparam int unsigned Spare = 2;    // credits

  (* ram_style = "distributed" *) window_t     fabric_windows [WindowDepth];
  (* ram_style = "distributed" *) window_t     host_windows [WindowDepth];
  (* ram_style = "distributed" *) packet_sum_t sums [WindowDepth];

  logic [1:0][CreditWidth-1:0] credits_q;
  logic [1:0][AddrWidth:0]     count_q;   // windows that may go
  logic [1:0][AddrWidth-1:0]   wptr_q, rptr_q;
  logic [AddrWidth-1:0]        sum_wptr_q;
  logic [1:0]                  come, req, grant, grant_q, some_q, room_q;
  logic                        window_valid_q;
  window_t                     window_q;
  packet_sum_t                 sum_q;

  assign come = {window_valid_i[1], sum_valid_i};

  for (genvar p = 0; p < 2; p++) begin : g_port
    logic [AddrWidth-1:0] stored;

    assign req[p] = count_q[p] != '0 && some_q[p];
    assign stored = wptr_q[p] - rptr_q[p];

    always_ff @(posedge clk_i) begin
      if (rst_i) begin
        credits_q[p] <= CreditWidth'(VerdictDepth);
        some_q[p]    <= 1'b0;
        room_q[p]    <= 1'b0;
        count_q[p]   <= '0;
        wptr_q[p]    <= '0;
        rptr_q[p]    <= '0;
      end else begin
        credits_q[p] <= credits_q[p] - CreditWidth'(grant[p]) + CreditWidth'(credit_i[p]);
        some_q[p]    <= credits_q[p] > CreditWidth'(Spare) && !gap_i;
        room_q[p]    <= stored < AddrWidth'(WindowDepth - Margin);
        count_q[p]   <= count_q[p] + (AddrWidth + 1)'(come[p]) - (AddrWidth + 1)'(grant[p]);
        if (window_valid_i[p]) wptr_q[p] <= wptr_q[p] + 1'b1;
        if (grant_q[p]) rptr_q[p] <= rptr_q[p] + 1'b1;
      end
    end

`ifndef SYNTHESIS
    a_credits : assert property (@(posedge clk_i) disable iff (rst_i)
                                 credits_q[p] <= CreditWidth'(VerdictDepth));
    a_no_debt : assert property (@(posedge clk_i) disable iff (rst_i) grant[p] |-> credits_q[p] != '0);
    a_room : assert property (@(posedge clk_i) disable iff (rst_i)
                              window_valid_i[p] |-> stored != '1);
    a_there : assert property (@(posedge clk_i) disable iff (rst_i) grant_q[p] |-> stored != '0);
`endif
  end

  ps_arb_rr #(
    .Count(2)
  ) u_arb (
    .clk_i,
    .rst_i,
    .req_i    (req),
    .advance_i(grant != '0),
    .grant_o  (grant)
  );

  always_ff @(posedge clk_i) begin
    if (window_valid_i[0]) fabric_windows[wptr_q[0]] <= fabric_window_i;
    if (window_valid_i[1]) host_windows[wptr_q[1]] <= host_window_i;
    if (sum_valid_i) sums[sum_wptr_q] <= sum_i;
    if (grant_q[0]) begin
      window_q <= fabric_windows[rptr_q[0]];
      sum_q    <= sums[rptr_q[0]];
    end else if (grant_q[1]) begin
      window_q <= host_windows[rptr_q[1]];
      sum_q    <= '0;
    end
    if (rst_i) begin
      grant_q        <= '0;
      window_valid_q <= 1'b0;
      sum_wptr_q     <= '0;
    end else begin
      grant_q        <= grant;
      window_valid_q <= grant_q != '0;
      if (sum_valid_i) sum_wptr_q <= sum_wptr_q + 1'b1;
    end
  end

  assign window_room_o  = room_q;
  assign window_valid_o = window_valid_q;
  assign window_o       = window_q;
  assign sum_o          = sum_q;
  assign busy_o         = grant_q != '0 || window_valid_q;

endmodule
