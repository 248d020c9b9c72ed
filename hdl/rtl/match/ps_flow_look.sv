// Flow look-up (section 5): a packet's key to what its flow says, if one is found and the packet belongs to it.
//
// Latency:    hit_o FlowLookCycles after key_valid_i/key_i; hash_o HashCycles after it. One key every cycle, never stalled.
// Stages:     hash | key rows | compare, ways joined | data and TCP states | mapping | judgement.
// Memories:   are ps_flow_store's, by its packet port. The mapping is read here (map_re_o; map_i MapCycles later).
// Usable:     the entry's mapping is valid and of its generation, and a bare SYN does not belong to a connection that is over. A TCP
//             state of another generation than the entry's is none.
module ps_flow_look
  import ps_abi_pkg::*;
  import ps_match_pkg::*;
  import ps_pair_pkg::*;
#(
  parameter int unsigned RowsLog2  = FlowRowsLog2,
  parameter int unsigned MapCycles = 3
) (
  input  logic         clk_i,
  input  logic         rst_i,
  input  logic [191:0] secret_i,
  input  logic         key_valid_i,
  input  logic         lookup_i,       // 0: only the hash
  input  flow_key_t    key_i,
  input  logic         bare_syn_i,
  output flow_hash_t   hash_o,
  output pair_hit_t    hit_o,
  output flow_way_t    way_o,          // with map_re_o, MapCycles + 1 before hit_o: of the flow that is found, else 0

  output logic         a_re_o,
  output rows_t        a_rows_o,
  output flow_key_t    a_key_o,
  input  way_found_t   found_i,
  input  flow_facts_t  facts_i,
  input  tcp_word_t [1:0] tcp_i,

  output logic         map_re_o,
  output logic [13:0]  map_addr_o,
  input  fip_map_t     map_i
);

  // In expressions these functions would be worked out in every cycle of a simulation.
  localparam int unsigned DataCycles = data_cycles(RowsLog2);
  localparam int unsigned FactsAt    = found_at(RowsLog2) + DataCycles;   // cycles after the key
  localparam int unsigned HitAt      = FactsAt + MapCycles;

  // What is known of a found flow while its mapping is read.
  typedef struct packed {
    flow_facts_t facts;
    slot_tag_t   tag;
    logic        over;       // its connection, if a bare SYN asks
    logic        opening;
  } entry_t;

  logic [HashCycles:1]     looks_q;
  flow_key_t               key_q [1:HashCycles];
  logic [HitAt:1]          syn_q;
  slot_tag_t               tag_q [DataCycles];
  logic [DataCycles-1:0] found_q;
  logic [MapCycles:1]      judged_q;
  entry_t                  entry_q [1:MapCycles];
  logic [3:0]              own, partner, forward;
  slot_tag_t               tag;

  ps_flow_hash u_hash (
    .clk_i,
    .secret_i,
    .valid_i (key_valid_i),
    .wanted_i(1'b1),
    .key_i,
    .hash_o
  );

  assign a_re_o   = looks_q[HashCycles];
  assign a_rows_o = rows_of(hash_o, RowsLog2);
  assign a_key_o  = key_q[HashCycles];

  // Data, and the TCP states of both directions, stand: this entry's and its partner's, if they are of its generations.
  assign tag = tag_q[DataCycles-1];

  function automatic logic [3:0] current(input tcp_word_t word, input generation_t generation);
    current = word.generation == generation ? word.tcp : '0;
  endfunction

  assign own     = current(tcp_i[tag.reverse], facts_i.generation);
  assign partner = current(tcp_i[!tag.reverse], facts_i.partner_generation);
  assign forward = tag.reverse ? partner : own;

  assign map_re_o   = found_q[DataCycles-1] && facts_i.map_valid;
  assign map_addr_o = facts_i.map;
  assign way_o      = '{sends: found_q[DataCycles-1] && facts_i.map_valid && facts_i.snat && !facts_i.hairpin, dvrf: facts_i.dvrf};

  function automatic pair_hit_t judge(input entry_t of, input fip_map_t map, input logic syn);
    logic mapped;
    mapped           = !of.facts.map_valid || (map.valid && map.generation == of.facts.map_generation);
    judge            = '0;
    judge.found      = 1'b1;
    judge.tag        = of.tag;
    judge.generation = of.facts.generation;
    judge.lost       = !mapped && of.tag.reverse && !syn;
    if (mapped && !of.over) begin
      judge.usable          = 1'b1;
      judge.opening         = of.opening;
      judge.src_info        = of.facts.src_info;
      judge.hairpin         = of.facts.hairpin;
      judge.dnat            = of.facts.dnat;
      judge.dpat            = of.facts.dpat;
      judge.snat            = of.facts.snat;
      judge.spat            = of.facts.spat;
      judge.dvrf            = of.facts.dvrf;
      judge.ecmp_valid      = of.facts.ecmp_valid;
      judge.ecmp_slot       = of.facts.ecmp_slot;
      judge.ecmp_generation = of.facts.ecmp_generation;
      judge.map_valid       = of.facts.map_valid;
      judge.index           = of.facts.map;
      judge.map             = map;
    end
  endfunction

  always_ff @(posedge clk_i) begin
    looks_q  <= {looks_q[HashCycles-1:1], key_valid_i && lookup_i};
    if (key_valid_i) key_q[1] <= key_i;
    for (int unsigned i = 2; i <= HashCycles; i++) if (looks_q[i-1]) key_q[i] <= key_q[i-1];
    syn_q    <= {syn_q[HitAt-1:1], bare_syn_i};
    if (found_i.hit) tag_q[0] <= found_i.tag;
    for (int unsigned i = 1; i < DataCycles; i++) if (found_q[i-1]) tag_q[i] <= tag_q[i-1];
    found_q  <= {found_q[DataCycles-2:0], found_i.hit};
    if (found_q[DataCycles-1]) begin
      entry_q[1] <= '{facts: facts_i, tag: tag, over: syn_q[FactsAt] && tcp_over(own, partner),
                      opening: forward[TcpSynBit] && !forward[TcpEstablishedBit]};
    end
    for (int unsigned i = 2; i <= MapCycles; i++) if (judged_q[i-1]) entry_q[i] <= entry_q[i-1];
    judged_q <= {judged_q[MapCycles-1:1], found_q[DataCycles-1]};
    hit_o    <= judged_q[MapCycles] ? judge(entry_q[MapCycles], map_i, syn_q[HitAt]) : '0;
    if (rst_i) begin
      looks_q  <= '0;
      found_q  <= '0;
      judged_q <= '0;
      hit_o    <= '0;
    end
  end

  logic unused_bits;
  assign unused_bits = ^{found_i, facts_i};

endmodule
