// Table of entries by index: one or more lookup ports, and the maintenance side.
//
// Lookup:      re_i/addr_i per reader, rdata_o the cycle after; never delayed by the other side.
// Maintenance: acc_re_i/acc_we_i with index and data; acc_rdata_o the cycle after acc_re_i.
// Method:      one RAM per reader with the same contents.
module ps_table #(
  parameter int unsigned Width   = 32,
  parameter int unsigned Depth   = 512,
  parameter int unsigned Readers = 1,
  parameter              Style   = "block",
  localparam int unsigned AddrWidth = $clog2(Depth)
) (
  input  logic                              clk_i,
  input  logic [Readers-1:0]                re_i,
  input  logic [Readers-1:0][AddrWidth-1:0] addr_i,
  output logic [Readers-1:0][Width-1:0]     rdata_o,
  input  logic                              acc_re_i,
  input  logic                              acc_we_i,
  input  logic [AddrWidth-1:0]              acc_index_i,
  input  logic [Width-1:0]                  acc_wdata_i,
  output logic [Width-1:0]                  acc_rdata_o
);

  logic [Readers-1:0][Width-1:0] b_rdata;

  for (genvar i = 0; i < Readers; i++) begin : gen_reader
    ps_ram_tdp #(
      .Width(Width),
      .Depth(Depth),
      .Style(Style)
    ) u_ram (
      .clk_i,
      .a_re_i   (re_i[i]),
      .a_addr_i (addr_i[i]),
      .a_rdata_o(rdata_o[i]),
      .b_re_i   (acc_re_i && i == 0),
      .b_we_i   (acc_we_i),
      .b_addr_i (acc_index_i),
      .b_wdata_i(acc_wdata_i),
      .b_rdata_o(b_rdata[i])
    );
  end

  assign acc_rdata_o = b_rdata[0];

  if (Readers > 1) begin : gen_unused
    logic unused_copies;
    assign unused_copies = ^b_rdata[Readers-1:1];
  end

endmodule
