// Records of the flow table: where keys stand, what belongs to a pair, and how the table is changed (section 9.2).
//
// Key slot:   a key stands in any slot of its four rows, with the id of its pair and its direction. All else that the table knows
//             is kept at {pair, reverse}, so that a key is moved by writing its slot alone.
// Generation: of {pair, reverse}; one more each time its statistics restart. Each entry's data has its partner's beside its own,
//             as the partner's TCP state is read by it.

/* verilator lint_off UNUSEDPARAM */  // not every module uses every constant
package ps_pair_pkg;
  import ps_abi_pkg::*;
  import ps_match_pkg::*;

  localparam int unsigned FlowSlots  = FlowWays * BucketSlots;   // that a key may stand in
  localparam int unsigned MemberBits = $bits(slot_id_t);         // slot of a group

  // Of ps_flow_window, from a packet's prints to how it stands to requests.
  localparam int unsigned WindowCycles = 5;

  // Requests that may be pending, and pairs that may wait for a key to be moved.
  localparam int unsigned WindowEntries = 64;
  localparam int unsigned WaitingPairs  = 16;

  // Ids that stay unused, so that none is given out again before the last packet of the pair that had it has been counted.
  localparam int unsigned QuarantinePairs = 64;

  typedef logic [$clog2(FlowPairs)-1:0]     pair_t;
  typedef logic [$clog2(WindowEntries)-1:0] number_t;
  typedef logic [$clog2(WaitingPairs)-1:0]  waiting_t;
  typedef logic [FlowWays-1:0][FlowRowsLog2-1:0] rows_t;

  // The 96 bits of flow_hash.
  typedef struct packed {
    print_t                    print;   // by which pending requests are compared
    logic [7:0]                spare;
    logic [FlowWays-1:0][15:0] rows;    // FlowRowsLog2 low bits of each count
  } flow_hash_t;

  /* verilator lint_off UNUSEDSIGNAL */
  // In a table with 2^rows_log2 rows a way.
  function automatic rows_t rows_of(input flow_hash_t hash, input int unsigned rows_log2);
    for (int unsigned w = 0; w < FlowWays; w++) rows_of[w] = hash.rows[w][FlowRowsLog2-1:0] & FlowRowsLog2'((1 << rows_log2) - 1);
  endfunction
  /* verilator lint_on UNUSEDSIGNAL */

  // What a slot says of its key.
  typedef struct packed {
    pair_t pair;
    logic  reverse;
    logic  plain;     // neither entry of the pair has a mapping or a member
  } slot_tag_t;

  typedef struct packed {
    flow_key_t key;
    slot_tag_t tag;
  } key_slot_t;

  // From a row of one way: whether a key is there, and whose it is.
  typedef struct packed {
    logic      hit;
    logic      own;       // of the pair that was named
    slot_tag_t tag;
  } way_found_t;

  // What is kept at {pair, reverse} for packets.
  typedef struct packed {
    generation_t           partner_generation;
    generation_t           generation;
    logic [15:0]           rpf_nh;
    logic [31:0]           src_info;
    logic [11:0]           dvrf;
    logic [11:0]           vrf;
    logic [7:0]            map_generation;
    logic [13:0]           map;
    logic                  map_valid;
    logic [7:0]            ecmp_generation;
    logic [MemberBits-1:0] ecmp_slot;
    logic                  ecmp_valid;
    logic                  hairpin;
    logic                  dpat;
    logic                  dnat;
    logic                  spat;
    logic                  snat;
  } flow_facts_t;

  // Both directions of it as they are kept: what a reverse entry says otherwise follows from the forward one (reverse_facts). Index: reverse.
  typedef struct packed {
    generation_t [1:0]           generation;
    logic [1:0][15:0]            rpf_nh;
    logic [1:0][31:0]            src_info;
    logic [1:0][7:0]             ecmp_generation;
    logic [1:0][MemberBits-1:0]  ecmp_slot;
    logic [1:0]                  ecmp_valid;
    logic [11:0]                 dvrf;
    logic [11:0]                 vrf;
    logic [7:0]                  map_generation;
    logic [13:0]                 map;
    logic                        map_valid;
    logic                        hairpin;
    logic                        dpat;
    logic                        dnat;
    logic                        spat;
    logic                        snat;
  } pair_facts_t;

  /* verilator lint_off UNUSEDSIGNAL */  // of the reverse entry only what is its own
  function automatic pair_facts_t kept_of(input flow_facts_t [1:0] facts);
    for (int unsigned d = 0; d < 2; d++) begin
      kept_of.generation[d]      = facts[d].generation;
      kept_of.rpf_nh[d]          = facts[d].rpf_nh;
      kept_of.src_info[d]        = facts[d].src_info;
      kept_of.ecmp_generation[d] = facts[d].ecmp_generation;
      kept_of.ecmp_slot[d]       = facts[d].ecmp_slot;
      kept_of.ecmp_valid[d]      = facts[d].ecmp_valid;
    end
    kept_of.dvrf           = facts[0].dvrf;
    kept_of.vrf            = facts[0].vrf;
    kept_of.map_generation = facts[0].map_generation;
    kept_of.map            = facts[0].map;
    kept_of.map_valid      = facts[0].map_valid;
    kept_of.hairpin        = facts[0].hairpin;
    kept_of.dpat           = facts[0].dpat;
    kept_of.dnat           = facts[0].dnat;
    kept_of.spat           = facts[0].spat;
    kept_of.snat           = facts[0].snat;
  endfunction
  /* verilator lint_on UNUSEDSIGNAL */

  function automatic flow_facts_t facts_of(input pair_facts_t kept, input logic reverse);
    facts_of.partner_generation = kept.generation[!reverse];
    facts_of.generation         = kept.generation[reverse];
    facts_of.rpf_nh             = kept.rpf_nh[reverse];
    facts_of.src_info           = kept.src_info[reverse];
    facts_of.ecmp_generation    = kept.ecmp_generation[reverse];
    facts_of.ecmp_slot          = kept.ecmp_slot[reverse];
    facts_of.ecmp_valid         = kept.ecmp_valid[reverse];
    facts_of.dvrf               = reverse ? kept.vrf : kept.dvrf;
    facts_of.vrf                = reverse ? kept.dvrf : kept.vrf;
    facts_of.map_generation     = kept.map_generation;
    facts_of.map                = kept.map;
    facts_of.map_valid          = kept.map_valid;
    facts_of.hairpin            = kept.hairpin;
    facts_of.dpat               = reverse ? kept.spat : kept.dpat;
    facts_of.dnat               = reverse ? kept.snat : kept.dnat;
    facts_of.spat               = reverse ? kept.dpat : kept.spat;
    facts_of.snat               = reverse ? kept.dnat : kept.snat;
  endfunction

  // A free pair, with the generations that its directions last had.
  typedef struct packed {
    generation_t reverse_generation;
    generation_t generation;
    pair_t       pair;
  } free_pair_t;

  // An admitted request.
  typedef struct packed {
    learn_kind_e kind;
    logic        slow;            // something stands in the way: not for the fast path
    logic        far_service;     // of a move: the far end is a floating IP
    number_t     number;          // in the window; means nothing for kinds that write no pair
    free_pair_t  fresh;           // the pair that it was given, with the generations to be used; likewise
    logic        plain;
    affinity_ref_t affinity;      // its client is to be kept at its member, if it writes a pair
    flow_key_t   key;
    flow_key_t   reverse_key;
    rows_t       rows;
    rows_t       reverse_rows;
    flow_facts_t facts;           // of the forward entry, but for the generations
    logic [31:0] reverse_info;
    logic [15:0] reverse_rpf;
  } flow_request_t;

  // What a pair counts as when its keys are written.
  typedef enum logic [1:0] {
    PlaceNew,
    PlaceAgain,     // a pair that took the place of one with its forward key
    PlaceInPlace,   // it was there, and keeps its id: a re-pin
    PlaceMark       // likewise, and only its marks change
  } placing_e;

  // A pair whose keys are to be placed.
  typedef struct packed {
    logic [1:0]       placed;        // {reverse, forward}: the key has a slot,
    flow_index_t      forward;       // which
    flow_index_t      reverse;
    placing_e         as;
    logic             pending;       // number counts
    number_t          number;
    free_pair_t       fresh;
    logic             plain;
    flow_key_t        key;
    flow_key_t        reverse_key;
    rows_t            rows;
    rows_t            reverse_rows;
  } placing_t;

  // What is done on port B of one way's key rows, in order.
  typedef enum logic [1:0] {
    RowWrite,    // a key slot, which becomes valid
    RowTake,     // reads a slot of a key that may be moved
    RowClear     // a slot becomes invalid
  } row_op_e;

  // Who wants to know that a write is done.
  typedef struct packed {
    logic     pending;    // an entry of the window
    number_t  number;
    logic     reverse;
    logic     waiting;    // or one that moves a key (also of RowTake)
    waiting_t by;
  } row_op_for_t;

  typedef struct packed {
    row_op_e                        op;
    logic [FlowRowsLog2-1:0]        row;
    logic [$clog2(BucketSlots)-1:0] slot;
    key_slot_t                      word;
    row_op_for_t                    whom;
  } row_op_t;

  // What the look-up tells the rest of the pipeline. All 0 unless found; what follows `generation` is 0 unless usable.
  typedef struct packed {
    logic                  found;         // a valid entry has the key
    logic                  usable;        // and the packet belongs to it
    logic                  lost;          // a reply that nothing translates any more
    slot_tag_t             tag;
    generation_t           generation;
    logic                  opening;       // its TCP connection is not established yet
    logic [31:0]           src_info;
    logic                  hairpin;
    logic                  dnat;
    logic                  dpat;
    logic                  snat;
    logic                  spat;
    logic [11:0]           dvrf;
    logic                  ecmp_valid;
    logic [MemberBits-1:0] ecmp_slot;
    logic [7:0]            ecmp_generation;
    logic                  map_valid;
    map_id_t               index;         // of the mapping
    fip_map_t              map;
  } pair_hit_t;

  // What a found flow says of its packets' route, usable or not: it sends them translated (snat, and not hairpin), and where their
  // route is looked up then.
  typedef struct packed {
    logic        sends;
    logic [11:0] dvrf;
  } flow_way_t;

  // FlowStats.tcp, and the generation that it is of.
  typedef struct packed {
    generation_t generation;
    logic [3:0]  tcp;
  } tcp_word_t;

  typedef struct packed {
    logic      valid;
    pair_t     pair;
    logic      reverse;
    tcp_word_t word;
  } tcp_update_t;

  // By what a pair's time is chosen (section 9.4): its protocol, and the port that has one, if the forward key has it.
  typedef enum logic [1:0] {
    AgeTcp,
    AgeUdp,
    AgeIcmp,
    AgeOther
  } age_kind_e;

  typedef struct packed {
    logic       plain;     // see slot_tag_t
    age_kind_e  kind;
    logic       by_port;
    logic [2:0] port;
  } age_code_t;

  function automatic age_kind_e age_kind(input logic [7:0] proto);
    unique case (proto)
      ProtoTcp:  age_kind = AgeTcp;
      ProtoUdp:  age_kind = AgeUdp;
      ProtoIcmp: age_kind = AgeIcmp;
      default:   age_kind = AgeOther;
    endcase
  endfunction

  // A packet's effect on its flow.
  typedef struct packed {
    age_code_t   age;
    pair_t       pair;
    logic        reverse;
    generation_t generation;
    logic [15:0] bytes;
    logic        tcp;
    logic        tcp_syn;
    logic        tcp_fin;
    logic        tcp_rst;
    logic        tcp_ack;
  } pair_count_t;

  // The shares to which the pair of a packet belongs (section 9.6).
  typedef struct packed {
    logic                            by_vif;
    vif_addr_t                       vif;
    logic                            by_tunnel;
    logic [$clog2(TunnelShares)-1:0] tunnel;
  } shares_t;

  // Of what is counted for a share: a bit more than a full bucket, as what takes the place of others goes on when it is empty.
  localparam int unsigned ShareCountBits = 21;
  typedef logic [ShareCountBits-1:0] share_count_t;

  // What a share may have.
  typedef struct packed {
    logic         paced;       // by its bucket,
    share_count_t credit;      // what it may have been given when that is empty
    logic         limited;     // by its pairs,
    logic [19:0]  pairs;       // as many
  } share_limit_t;

  // A pair that its shares have no more, or that they have though it was not admitted for them.
  typedef struct packed {
    logic  valid;
    logic  made;
    pair_t pair;
  } pair_change_t;

  // What a packet asks of the flow table, before it is admitted.
  typedef struct packed {
    logic        valid;
    learn_kind_e kind;
    logic        translated;
    logic        plain;           // neither translated nor sent through a group
    logic        far_service;     // of a move: the far end is a floating IP
    logic        found;           // an entry has its key, of count.pair
    logic        counts;          // the packet counts on that, if it leaves
    shares_t     shares;
    affinity_ref_t affinity;
    pair_count_t count;
    flow_hash_t  hash;            // of its key
    flow_key_t   key;
    flow_key_t   reverse_key;
    flow_facts_t facts;           // forward entry; generations are filled in
    logic [31:0] reverse_info;
    logic [15:0] reverse_rpf;
  } pair_ask_t;

  // FlowStats as they are kept.
  typedef struct packed {
    age_code_t   age;
    generation_t generation;
    logic [31:0] last_hit;
    logic [3:0]  tcp;
    logic [39:0] bytes;
    logic [31:0] packets;
  } pair_stats_t;

  // Bits of a location in memory, of which four are a word.
  localparam int unsigned LocationBits = 18;

  // Where a key of a pair stands from now on.
  typedef struct packed {
    logic        valid;
    pair_t       pair;
    flow_index_t index;
  } loc_write_t;

  // A slot that becomes valid or invalid.
  typedef struct packed {
    logic        valid;
    logic        set;
    flow_index_t index;
  } mark_t;

  // What the reverse entry of a request says.
  /* verilator lint_off UNUSEDSIGNAL */
  function automatic flow_facts_t reverse_facts(input flow_request_t request);
    reverse_facts                    = '0;
    reverse_facts.partner_generation = request.fresh.generation;
    reverse_facts.generation         = request.fresh.reverse_generation;
    reverse_facts.rpf_nh             = request.reverse_rpf;
    reverse_facts.src_info           = request.reverse_info;
    reverse_facts.dvrf               = request.facts.vrf;
    reverse_facts.vrf                = request.facts.dvrf;
    reverse_facts.map_generation     = request.facts.map_generation;
    reverse_facts.map                = request.facts.map;
    reverse_facts.map_valid          = request.facts.map_valid;
    reverse_facts.hairpin            = request.facts.hairpin;
    reverse_facts.dpat               = request.facts.spat;
    reverse_facts.dnat               = request.facts.snat;
    reverse_facts.spat               = request.facts.dpat;
    reverse_facts.snat               = request.facts.dnat;
  endfunction
  /* verilator lint_on UNUSEDSIGNAL */

  // As the host reads an entry.
  /* verilator lint_off UNUSEDSIGNAL */  // not the partner's generation
  function automatic flow_t flow_entry(input key_slot_t slot, input flow_facts_t facts);
    flow_entry = '{rpf_nh: facts.rpf_nh, src_info: facts.src_info, dvrf: facts.dvrf, vrf: facts.vrf, generation: facts.generation,
                   pair: $bits(flow_entry.pair)'(slot.tag.pair), map_generation: facts.map_generation, map: facts.map,
                   map_valid: facts.map_valid, ecmp_generation: facts.ecmp_generation, ecmp_slot: facts.ecmp_slot,
                   ecmp_valid: facts.ecmp_valid, reverse: slot.tag.reverse, hairpin: facts.hairpin, dpat: facts.dpat,
                   dnat: facts.dnat, spat: facts.spat, snat: facts.snat, dport: slot.key.dport, sport: slot.key.sport,
                   dip: slot.key.dip, sip: slot.key.sip, proto: slot.key.proto, nh: slot.key.nh, valid: 1'b1};
  endfunction
  /* verilator lint_on UNUSEDSIGNAL */

  // What a pair is bound to: a mapping, a member.
  typedef struct packed {
    logic                  map_valid;
    map_id_t               map;
    logic                  member_valid;
    logic [MemberBits-1:0] member;
  } pair_ties_t;

  // The member is that of the forward entry, or else of the reverse one.
  /* verilator lint_off UNUSEDSIGNAL */
  function automatic pair_ties_t ties_of(input flow_facts_t [1:0] facts);
    ties_of.map_valid    = facts[0].map_valid;
    ties_of.map          = facts[0].map_valid ? facts[0].map : '0;
    ties_of.member_valid = facts[0].ecmp_valid || facts[1].ecmp_valid;
    ties_of.member       = facts[0].ecmp_valid ? facts[0].ecmp_slot : facts[1].ecmp_valid ? facts[1].ecmp_slot : '0;
  endfunction
  /* verilator lint_on UNUSEDSIGNAL */

  // What became of a pair, or of a packet that got none, as the host is told (section 9.8).
  typedef struct packed {
    logic [2:0]        kind;          // EventFlow*
    logic [5:0]        reason;        // FlowEnd*, or a drop_reason_e
    pair_t             pair;
    generation_t [1:0] generation;    // of one that ended: {reverse, forward}
    flow_key_t         key;           // of its forward entry
    logic              plain;
    pair_ties_t        ties;
  } pair_news_t;

  // Events of the table, for the card's counters.
  typedef struct packed {
    logic learned;
    logic repinned;
    logic full;
    logic added;       // a pair: two entries
    logic removed;     // likewise
    logic aged;        // that was old
    logic evicted;     // that gave way
    logic client_learned;   // a client, to be kept at its member
    logic client_evicted;   // another gave way to it
  } pair_event_t;

endpackage
/* verilator lint_on UNUSEDPARAM */
