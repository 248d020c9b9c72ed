// Mailbox between the host's registers (clk_i) and the firmware (clk_fw_i).
//
// A request stays pending until the firmware replies to it. A request that comes while another is pending
// replaces it: the reply to the one that was replaced is thrown away, since each request has a sequence number
// that the firmware's read of the request code remembers and its reply must match.
//
// Clocks:  rising edges of clk_fw_i coincide with edges of clk_i, at most every second one; it may stand still.
// Latency: pending_o one cycle of clk_i after req_valid_i; reply_valid_o two after the firmware's write.
// Restart: a request that is pending is answered with FwMboxLost: who did not answer it is gone.
// Reset:   rst_i, power-on, and restart_i each overlap with rst_fw_i, which ends last.
module ps_fw_mbox
  import ps_abi_pkg::FwMboxLost;
(
  input  logic        clk_i,
  input  logic        rst_i,
  input  logic        restart_i,
  input  logic        clk_fw_i,
  input  logic        rst_fw_i,

  // Host's side, clk_i
  input  logic        req_valid_i,    // pulse
  input  logic [31:0] request_i,
  input  logic [31:0] arg_i,
  output logic        reply_valid_o,  // pulse
  output logic [31:0] reply_o,

  // Firmware's side, clk_fw_i
  output logic        pending_o,
  output logic [31:0] request_o,
  output logic [31:0] arg_o,
  input  logic        read_i,         // the firmware takes request_o
  input  logic        reply_i,
  input  logic [31:0] reply_data_i
);

  localparam int unsigned SeqWidth = 4;

  logic                pending_q, seen_q, reply_valid_q;
  logic [31:0]         request_q, arg_q, reply_q;
  logic [SeqWidth-1:0] seq_q;

  logic                toggle_q;
  logic [31:0]         reply_data_q;
  logic [SeqWidth-1:0] taken_q;

  always_ff @(posedge clk_i) begin
    seen_q        <= toggle_q;
    reply_valid_q <= 1'b0;
    if (toggle_q != seen_q && pending_q && taken_q == seq_q) begin
      pending_q     <= 1'b0;
      reply_valid_q <= !req_valid_i;
      reply_q       <= reply_data_q;
    end
    if (req_valid_i) begin
      pending_q <= 1'b1;
      request_q <= request_i;
      arg_q     <= arg_i;
      seq_q     <= seq_q + SeqWidth'(1);
    end
    if (restart_i) begin
      pending_q     <= req_valid_i;
      seen_q        <= 1'b0;
      reply_valid_q <= pending_q && !req_valid_i;
      reply_q       <= FwMboxLost;
      seq_q         <= '0;
    end
    if (rst_i) begin
      pending_q     <= 1'b0;
      reply_valid_q <= 1'b0;
    end
  end

  always_ff @(posedge clk_fw_i) begin
    if (read_i) taken_q <= seq_q;
    if (reply_i) begin
      toggle_q     <= !toggle_q;
      reply_data_q <= reply_data_i;
    end
    if (rst_fw_i) begin
      toggle_q <= 1'b0;
      taken_q  <= '0;
    end
  end

  assign pending_o     = pending_q;
  assign request_o     = request_q;
  assign arg_o         = arg_q;
  assign reply_valid_o = reply_valid_q;
  assign reply_o       = reply_q;

endmodule
