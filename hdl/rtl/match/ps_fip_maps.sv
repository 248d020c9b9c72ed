// The floating addresses' mappings, in two copies of block RAM (53 of them each): UltraRAM is what the flows need. Each with its parity.
//
// Flow:        flow_re_i/flow_addr_i, flow_o MapReadCycles after; flow_bad_o in the cycle after that, held.
// New:         fip_re_i/fip_addr_i for packets of new flows, fip_o 2 cycles after; fip_bad_o in the cycle after that. In the same copy as
// Slow:        slow_re_i/slow_addr_i, held until slow_done_o, of the flow table's changes: by a port that packets do not use, when the
//              maintenance side does not write it. slow_o with slow_done_o; slow_bad_o the cycle after.
// Maintenance: as of ps_table.
module ps_fip_maps
  import ps_abi_pkg::*;
  import ps_match_pkg::*;
(
  input  logic                  clk_i,
  input  logic                  flow_re_i,
  input  map_id_t               flow_addr_i,
  output fip_map_t              flow_o,
  output logic                  flow_bad_o,
  input  logic                  fip_re_i,
  input  map_id_t               fip_addr_i,
  output fip_map_t              fip_o,
  output logic                  fip_bad_o,
  input  logic                  slow_re_i,
  input  map_id_t               slow_addr_i,
  output logic                  slow_done_o,
  output fip_map_t              slow_o,
  output logic                  slow_bad_o,
  input  access_t               acc_i,
  input  logic [FipMapBits-1:0] acc_wdata_i,
  output fip_map_t              acc_rdata_o,
  output logic                  acc_bad_o
);

  // --- The flow look-up's copy.
  logic    flow_re_q;
  map_id_t flow_addr_q;

  always_ff @(posedge clk_i) begin
    flow_re_q   <= flow_re_i;
    flow_addr_q <= flow_addr_i;
  end

  ps_table #(
    .Width  (FipMapBits),
    .Depth  (FipMaps),
    .Latency(MapReadCycles - 1)
  ) u_flow (
    .clk_i,
    .re_i       (flow_re_q),
    .addr_i     (fip_map_addr_t'(flow_addr_q)),
    .rdata_o    (flow_o),
    .bad_o      (flow_bad_o),
    .acc_re_i   (acc_i.re[SelFipMap]),
    .acc_we_i   (acc_i.we[SelFipMap]),
    .acc_flip_i (acc_i.flip),
    .acc_index_i(fip_map_addr_t'(acc_i.index)),
    .acc_wdata_i,
    .acc_rdata_o,
    .acc_bad_o
  );

  // --- The other one.
  logic                fip_valid_q, fip_read_q, we_q, flip_q, odd, slow_ready;
  fip_map_t            wdata_q;
  map_id_t             index_q;
  logic [FipMapBits:0] fip_read, fip_q, slow_read;

  assign slow_ready = !we_q;

  always_ff @(posedge clk_i) begin
    we_q <= acc_i.we[SelFipMap];
    if (acc_i.we[SelFipMap]) begin
      wdata_q <= acc_wdata_i;
      flip_q  <= acc_i.flip;
      index_q <= map_id_t'(acc_i.index);
    end
    slow_done_o <= slow_re_i && slow_ready && !slow_done_o;
    fip_valid_q <= fip_re_i;
    fip_read_q  <= fip_valid_q;
    if (fip_valid_q) fip_q <= fip_read;
  end

  ps_parity #(
    .Width(FipMapBits)
  ) u_made (
    .clk_i,
    .valid_i(acc_i.we[SelFipMap]),
    .data_i (acc_wdata_i),
    .odd_o  (odd)
  );

  ps_ram_tdp #(
    .Width(FipMapBits + 1),
    .Depth(FipMaps)
  ) u_new (
    .clk_i,
    .a_re_i   (fip_re_i),
    .a_addr_i (fip_addr_i),
    .a_rdata_o(fip_read),
    .b_re_i   (slow_re_i && slow_ready),
    .b_we_i   (we_q),
    .b_addr_i (slow_ready ? slow_addr_i : index_q),
    .b_wdata_i({odd ^ flip_q, wdata_q}),
    .b_rdata_o(slow_read)
  );

  ps_parity #(
    .Width(FipMapBits + 1)
  ) u_fip_check (
    .clk_i,
    .valid_i(fip_read_q),
    .data_i (fip_q),
    .odd_o  (fip_bad_o)
  );

  ps_parity #(
    .Width(FipMapBits + 1)
  ) u_slow_check (
    .clk_i,
    .valid_i(slow_done_o),
    .data_i (slow_read),
    .odd_o  (slow_bad_o)
  );

  assign fip_o  = fip_q[FipMapBits-1:0];
  assign slow_o = slow_read[FipMapBits-1:0];

endmodule
