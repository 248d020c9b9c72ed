// Longest-prefix match over a few prefixes of any VRF: a ternary memory in flip-flops.
//
// Lookup:      valid_i/vrf_i/ip_i every cycle; route_o 4 cycles later. Longest prefix first, then the lowest index.
// Maintenance: as in ps_table.
module ps_prefix_table
  import ps_abi_pkg::*;
  import ps_match_pkg::*;
(
  input  logic        clk_i,
  input  logic        rst_i,
  input  logic        valid_i,
  input  logic [11:0] vrf_i,
  input  logic [31:0] ip_i,
  output route_t      route_o,
  input  logic        acc_re_i,
  input  logic        acc_we_i,
  input  logic [5:0]  acc_index_i,
  input  prefix_t     acc_wdata_i,
  output prefix_t     acc_rdata_o
);

  localparam int unsigned Groups   = 8;
  localparam int unsigned PerGroup = Prefixes / Groups;

  typedef struct packed {
    logic       found;
    logic [5:0] len;
    logic [5:0] index;
  } best_t;

  prefix_t             entry_q [Prefixes];
  logic [31:0]         mask_q [Prefixes];
  logic [Prefixes-1:0] hit_q;
  best_t               best2_q [Groups];
  best_t               best3_q;
  logic [2:0]          valid_q;

  // Longest of one group's hits, the first of equal ones.
  function automatic best_t best_of_group(input int unsigned group);
    best_of_group = '0;
    for (int unsigned i = 0; i < PerGroup; i++) begin
      if (hit_q[group*PerGroup+i] &&
          (!best_of_group.found || entry_q[group*PerGroup+i].len > best_of_group.len)) begin
        best_of_group = '{found: 1'b1, len: entry_q[group*PerGroup+i].len, index: 6'(group * PerGroup + i)};
      end
    end
  endfunction

  function automatic best_t best_of_all();
    best_of_all = '0;
    for (int unsigned g = 0; g < Groups; g++) begin
      if (best2_q[g].found && (!best_of_all.found || best2_q[g].len > best_of_all.len)) begin
        best_of_all = best2_q[g];
      end
    end
  endfunction

  always_ff @(posedge clk_i) begin
    if (valid_i) begin
      for (int unsigned i = 0; i < Prefixes; i++) begin
        hit_q[i] <= entry_q[i].valid && entry_q[i].vrf == vrf_i &&
                    ((entry_q[i].ip ^ ip_i) & mask_q[i]) == '0;
      end
    end
    if (valid_q[0]) begin
      for (int unsigned g = 0; g < Groups; g++) best2_q[g] <= best_of_group(g);
    end
    if (valid_q[1]) best3_q <= best_of_all();
    route_o.found <= valid_q[2] && best3_q.found;
    route_o.own   <= 1'b0;
    if (valid_q[2]) begin
      route_o.nh          <= entry_q[best3_q.index].nh;
      route_o.label_valid <= entry_q[best3_q.index].label_valid;
      route_o.label       <= entry_q[best3_q.index].label;
    end
    if (acc_we_i) begin
      entry_q[acc_index_i] <= acc_wdata_i;
      // A length of 32 or more compares the whole address.
      mask_q[acc_index_i]  <= ~(32'hffff_ffff >> acc_wdata_i.len);
    end
    if (acc_re_i) acc_rdata_o <= entry_q[acc_index_i];
    valid_q <= {valid_q[1:0], valid_i};
    if (rst_i) valid_q <= '0;
  end

  logic unused_bits;
  assign unused_bits = ^best3_q;

endmodule
