// What the two entries of a flow pair hold (section 9).

package ps_pair_pkg;
  import ps_abi_pkg::*;
  import ps_match_pkg::*;

  // The pair that a request writes; `old` is what was in the slot.
  /* verilator lint_off UNUSEDSIGNAL */  // a few fields of each
  function automatic flow_data_t forward_data(input learn_t req, input flow_data_t old, input flow_index_t partner);
    forward_data               = req.data;
    forward_data.generation    = old.generation + 8'd1;
    forward_data.partner_valid = 1'b1;
    forward_data.partner       = partner;
  endfunction

  function automatic flow_data_t reverse_data(input learn_t req, input logic [63:0] hash, input flow_data_t old,
                                              input flow_index_t partner);
    reverse_data                = '0;
    reverse_data.rpf_nh         = req.reverse_rpf;
    reverse_data.src_info       = req.reverse_info;
    reverse_data.entropy        = entropy_port(hash[63:50]);
    reverse_data.dvrf           = req.data.vrf;
    reverse_data.vrf            = req.data.dvrf;
    reverse_data.generation     = old.generation + 8'd1;
    reverse_data.partner_valid  = 1'b1;
    reverse_data.partner        = partner;
    reverse_data.map_generation = req.data.map_generation;
    reverse_data.map            = req.data.map;
    reverse_data.map_valid      = req.data.map_valid;
    reverse_data.reverse        = 1'b1;
    reverse_data.hairpin        = req.data.hairpin;
    reverse_data.dnat           = req.data.hairpin;
    reverse_data.spat           = req.data.dpat;
    reverse_data.snat           = req.data.map_valid;
  endfunction
  /* verilator lint_on UNUSEDSIGNAL */

  // Equal in all but generation, partner and src_info.
  function automatic logic same(input flow_data_t old, input flow_data_t asked);
    flow_data_t a, b;
    a = old;
    b = asked;
    a.generation    = '0;
    a.partner_valid = 1'b0;
    a.partner       = '0;
    a.src_info      = '0;
    b.src_info      = '0;
    same = a == b;
  endfunction

endpackage
