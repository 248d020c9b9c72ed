// The firmware's trace: the last FwTraceEntries things that it did, which the host reads whatever became of it.
//
// An entry is taken whole into entry_o two cycles of clk_i after at_valid_i, and then holds. Entries are numbered from 0 since
// power-on; count_o is the number of the next. A reader that finds an entry's number more than FwTraceEntries behind
// count_o afterwards has read one that was written over.
//
// Clocks: written on clk_fw_i, read on clk_i, which runs when the other stands still. Their edges as in ps_fw.
// Reset:  new_i, with clk_fw_i, begins a new trace: power-on. A restart of the core adds to the old one.
module ps_fw_trace
  import ps_abi_pkg::FwTraceEntries;
  import ps_types_pkg::fw_trace_t;
(
  input  logic        clk_i,
  input  logic        clk_fw_i,
  input  logic        new_i,

  input  logic        add_i,
  input  logic [31:0] event_i,
  input  logic [31:0] arg_i,
  input  logic [63:0] time_i,        // clk_i
  output logic [31:0] count_o,

  input  logic        at_valid_i,    // pulse
  input  logic [31:0] at_i,
  output fw_trace_t   entry_o
);

  localparam int unsigned RowWidth = $clog2(FwTraceEntries);

  logic [31:0] count_q;
  logic [63:0] time_q;
  logic        read_q;
  logic [RowWidth-1:0] row_q;

  logic unused_at;
  assign unused_at = ^at_i[31:RowWidth];

  always_ff @(posedge clk_fw_i) begin
    time_q <= time_i;
    if (add_i) count_q <= count_q + 32'd1;
    if (new_i) count_q <= '0;
  end

  always_ff @(posedge clk_i) begin
    read_q <= at_valid_i;
    row_q  <= at_i[RowWidth-1:0];
  end

  ps_ram_sdp_2clk #(
    .Width ($bits(fw_trace_t)),
    .Depth (FwTraceEntries)
  ) u_entries (
    .wclk_i  (clk_fw_i),
    .we_i    (add_i && !new_i),
    .waddr_i (count_q[RowWidth-1:0]),
    .wdata_i ({time_q, event_i, arg_i}),
    .rclk_i  (clk_i),
    .re_i    (read_q),
    .raddr_i (row_q),
    .rdata_o (entry_o)
  );

  assign count_o = count_q;

endmodule
