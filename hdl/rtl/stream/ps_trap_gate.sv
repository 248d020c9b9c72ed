// Gate before the firmware's trap queue: a frame that the queue has no room for is swallowed whole, and counted.
//
// full_i is looked at once a frame, when its head is here and nothing of it has been shown; from then on the
// frame either passes with all its beats or goes. One idle cycle a frame for this decision.
// Counters:   drop_valid_o pulses with the vif that a swallowed frame came by.
module ps_trap_gate (
  input  logic       clk_i,
  input  logic       rst_i,
  input  logic       s_valid_i,
  output logic       s_ready_o,
  input  logic       s_last_i,
  input  logic [7:0] s_vif_i,
  output logic       m_valid_o,
  input  logic       m_ready_i,
  input  logic       full_i,
  output logic       drop_valid_o,
  output logic [7:0] drop_vif_o
);

  typedef enum logic [1:0] {
    StHead,
    StPass,
    StSwallow
  } state_e;

  state_e state_d, state_q;

  always_comb begin
    state_d      = state_q;
    m_valid_o    = 1'b0;
    s_ready_o    = 1'b0;
    drop_valid_o = 1'b0;
    unique case (state_q)
      StHead: begin
        if (s_valid_i) state_d = full_i ? StSwallow : StPass;
      end
      StPass: begin
        m_valid_o = s_valid_i;
        s_ready_o = m_ready_i;
        if (s_valid_i && m_ready_i && s_last_i) state_d = StHead;
      end
      StSwallow: begin
        s_ready_o = 1'b1;
        if (s_valid_i && s_last_i) begin
          drop_valid_o = 1'b1;
          state_d      = StHead;
        end
      end
      default: state_d = StHead;
    endcase
  end

  assign drop_vif_o = s_vif_i;

  always_ff @(posedge clk_i) begin
    if (rst_i) state_q <= StHead;
    else state_q <= state_d;
  end

endmodule
