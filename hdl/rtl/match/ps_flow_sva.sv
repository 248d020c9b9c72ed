// Checks what ps_learn does to the flow table: whenever it is idle, every valid entry has a partner that is valid and names
// it, and a slot in use is only written with the key that it has. Simulation only.
module ps_flow_sva
  import ps_abi_pkg::*;
  import ps_match_pkg::*;
(
  input logic        clk_i,
  input logic        rst_i,
  input logic        flush_i,
  input logic        idle_i,
  input logic        slot_we_i,
  input flow_index_t slot_index_i,
  input flow_slot_t  slot_wdata_i,
  input logic        data_we_i,
  input flow_index_t data_index_i,
  input flow_data_t  data_wdata_i,
  input logic [31:0] in_use_i
);

`ifndef SYNTHESIS
  /* verilator lint_off BLKSEQ */  // a model in program order
  flow_slot_t  slot_m [Flows];
  flow_index_t partner_m [Flows];
  flow_index_t touched_m [$];       // since the engine was idle, with what they were partners of
  int unsigned used_m;

  // A valid entry and its partner name each other; nothing valid names one that is not.
  function automatic logic paired(input flow_index_t index);
    paired = !slot_m[index].valid ||
             (slot_m[partner_m[index]].valid && partner_m[partner_m[index]] == index && partner_m[index] != index);
  endfunction

  always @(posedge clk_i) begin
    if (rst_i || flush_i) begin
      if (flush_i && slot_we_i) slot_m[slot_index_i] = '0;
      touched_m = {};
      used_m    = 0;
    end else begin
      if (slot_we_i) begin
        if (slot_wdata_i.valid && slot_m[slot_index_i].valid) begin
          assert (slot_m[slot_index_i].key == slot_wdata_i.key)
          else $fatal(1, "ps_flow_sva: entry %h of another flow is overwritten", slot_index_i);
        end
        used_m = used_m + 32'(slot_wdata_i.valid) - 32'(slot_m[slot_index_i].valid);
        slot_m[slot_index_i] = slot_wdata_i;
        touched_m.push_back(slot_index_i);
        touched_m.push_back(partner_m[slot_index_i]);
      end
      if (data_we_i) begin
        touched_m.push_back(partner_m[data_index_i]);
        partner_m[data_index_i] = data_wdata_i.partner;
        touched_m.push_back(data_index_i);
        touched_m.push_back(data_wdata_i.partner);
      end
      if (idle_i && touched_m.size() != 0) begin
        foreach (touched_m[i]) begin
          assert (paired(touched_m[i])) else $fatal(1, "ps_flow_sva: entry %h has no partner", touched_m[i]);
        end
        assert (in_use_i == used_m) else $fatal(1, "ps_flow_sva: %0d entries in use, %0d counted", used_m, in_use_i);
        touched_m = {};
      end
    end
  end
  /* verilator lint_on BLKSEQ */
`endif

  logic unused_bits;
  assign unused_bits = ^data_wdata_i;

endmodule
