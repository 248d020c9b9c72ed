// Carries a record beside a pipeline of fixed latency.
//
// Latency:    Cycles from valid_i/data_i to valid_o/data_o; one record every cycle, no stall. data_o holds.
// Method:     a ring memory instead of a chain of registers, so that a record moves twice, not Cycles times; up to 2 Cycles are
//             registers, 0 none.
// Reset:      valid bits only.
module ps_delay #(
  parameter int unsigned Width  = 32,
  parameter int unsigned Cycles = 8
) (
  input  logic             clk_i,
  input  logic             rst_i,
  input  logic             valid_i,
  input  logic [Width-1:0] data_i,
  output logic             valid_o,
  output logic [Width-1:0] data_o
);

  if (Cycles == 0) begin : gen_none
    assign valid_o = valid_i;
    assign data_o  = data_i;

    logic unused_bits;
    assign unused_bits = ^{clk_i, rst_i};
  end else if (Cycles < 3) begin : gen_registers
    logic [Cycles-1:0]            valid_q;
    logic [Cycles-1:0][Width-1:0] data_q;

    always_ff @(posedge clk_i) begin
      valid_q <= rst_i ? '0 : Cycles'({valid_q, valid_i});
      if (valid_i) data_q[0] <= data_i;
      for (int unsigned i = 1; i < Cycles; i++) if (valid_q[i-1]) data_q[i] <= data_q[i-1];
    end

    assign valid_o = valid_q[Cycles-1];
    assign data_o  = data_q[Cycles-1];
  end else begin : gen_ring
    localparam int unsigned Depth    = Cycles - 1;
    localparam int unsigned PtrWidth = $clog2(Depth);

    logic [Cycles-1:0]   valid_q;
    logic [PtrWidth-1:0] ptr_q;

    // Read and write meet at one address; the read returns the old word, Depth cycles of age.
    ps_ram_sdp #(
      .Width(Width),
      .Depth(Depth),
      .Style("distributed")
    ) u_ring (
      .clk_i,
      .we_i   (valid_i),
      .waddr_i(ptr_q),
      .wdata_i(data_i),
      .re_i   (valid_q[Cycles-2]),
      .raddr_i(ptr_q),
      .rdata_o(data_o)
    );

    always_ff @(posedge clk_i) begin
      if (rst_i) begin
        valid_q <= '0;
        ptr_q   <= '0;
      end else begin
        valid_q <= {valid_q[Cycles-2:0], valid_i};
        ptr_q   <= ptr_q == PtrWidth'(Depth - 1) ? '0 : ptr_q + 1'b1;
      end
    end

    assign valid_o = valid_q[Cycles-1];
  end

endmodule
