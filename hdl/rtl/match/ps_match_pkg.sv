// Records that pass between the stages of the match-action core.

/* verilator lint_off UNUSEDPARAM */  // not every module uses every constant
package ps_match_pkg;
  import ps_abi_pkg::*;
  import ps_types_pkg::*;

  // Cycles of the stages, input to registered output. ps_match lines up what travels beside them.
  localparam int unsigned SourceCycles  = 2;
  localparam int unsigned FlowCycles    = 6;
  localparam int unsigned RouteCycles   = 6;   // behind the flow lookup: what it looks up may come from the flow
  localparam int unsigned NextHopCycles = 10;
  localparam int unsigned FipCycles     = 6;
  localparam int unsigned DecideCycles  = 3;
  localparam int unsigned EditCycles    = 5;
  localparam int unsigned AdmitCycles   = 5;   // admission, that ends with EditCycles

  // How long a request to learn counts as under way after it was executed: longer than from the flow lookup to admission.
  localparam int unsigned LingerCycles  = FlowCycles + RouteCycles + NextHopCycles + FipCycles + DecideCycles + EditCycles + 4;

  // The longest that headers may take from the core's entry to their verdicts: what the streams buffer frames for.
  localparam int unsigned LatencyMax    = 72;
  // And what a frame takes from the entry to its header, at most (DrainCycles covers both).
  localparam int unsigned ArrivalMax    = 32;

  localparam int unsigned EntryMaxBits = 384;
  localparam int unsigned WriteMaxBits = VifStatsBits;  // the widest entry that is written
  localparam int unsigned TableCount   = 13;

  // A table's bit in access_t.
  localparam logic [3:0] SelVif       = TableVif[3:0];
  localparam logic [3:0] SelIlm       = TableIlm[3:0];
  localparam logic [3:0] SelNextHop   = TableNextHop[3:0];
  localparam logic [3:0] SelEcmp      = TableEcmp[3:0];
  localparam logic [3:0] SelHostRoute = TableHostRoute[3:0];
  localparam logic [3:0] SelPrefix    = TablePrefix[3:0];
  localparam logic [3:0] SelFipKey    = TableFipKey[3:0];
  localparam logic [3:0] SelFipMap    = TableFipMap[3:0];
  localparam logic [3:0] SelFlow      = TableFlow[3:0];
  localparam logic [3:0] SelFlowStats = TableFlowStats[3:0];
  localparam logic [3:0] SelVifStats  = TableVifStats[3:0];
  localparam logic [3:0] SelDropStats = TableDropStats[3:0];
  localparam logic [3:0] SelCardStats = TableCardStats[3:0];

  localparam logic [7:0] ProtoIcmp = 8'd1;
  localparam logic [7:0] ProtoTcp  = 8'd6;
  localparam logic [7:0] ProtoUdp  = 8'd17;
  localparam logic [7:0] ProtoSctp = 8'd132;

  // One access of the maintenance side (command engine, or the clearing walk) to the tables: the enables are one bit a
  // table, by table id. Write data are beside it (acc_wdata_i). Read data stand one cycle after `re`.
  typedef struct packed {
    logic [TableCount-1:0]   re;
    logic [TableCount-1:0]   we;
    logic [15:0]             index;
  } access_t;

  // What section 2 of the specification makes of a frame.
  typedef enum logic [1:0] {
    ActDrop,
    ActRaw,      // cross-connect unchanged: fabric to vhost, vhost to fabric
    ActTrap,     // ARP
    ActRoute
  } source_act_e;

  typedef struct packed {
    source_act_e  act;
    drop_reason_e reason;
    logic [11:0]  vrf;
    logic [15:0]  key_nh;   // from a vif this is vif.nh
    logic [15:0]  ilm_nh;
  } source_t;

  typedef struct packed {
    hdr_t    hdr;
    source_t source;
  } context_t;

  // A flow entry without its key and its valid bit, in the order of flow_t.
  typedef struct packed {
    logic [15:0] rpf_nh;
    logic [31:0] src_info;
    logic [15:0] entropy;
    logic [11:0] dvrf;
    logic [11:0] vrf;
    logic [7:0]  generation;
    logic [15:0] partner;
    logic        partner_valid;
    logic [7:0]  map_generation;
    logic [13:0] map;
    logic        map_valid;
    logic [7:0]  ecmp_generation;
    logic [5:0]  ecmp_slot;
    logic        ecmp_valid;
    logic        reverse;
    logic        hairpin;
    logic        dpat;
    logic        dnat;
    logic        spat;
    logic        snat;
  } flow_data_t;

  typedef struct packed {
    flow_key_t key;
    logic      valid;
  } flow_slot_t;

  typedef struct packed {
    logic [$clog2(FlowWays)-1:0]    way;
    logic [FlowRowsLog2-1:0]        row;
    logic [$clog2(BucketSlots)-1:0] slot;
  } flow_index_t;

  // From a search of the rows of one key: where it is, or where there is room.
  typedef struct packed {
    logic        hit;
    logic        room;
    flow_index_t index;
  } place_t;

  // What a slot is marked with, for whoever finds its key in the way.
  typedef struct packed {
    logic plain;            // neither the entry nor its partner has a mapping or a member
    logic forward;          // the entry of the direction that began the pair
  } slot_mark_t;

  // Whether a key has an entry.
  typedef struct packed {
    logic        hit;
    slot_mark_t  mark;
    flow_index_t index;
  } probe_t;

  // How a packet's keys stand to those of requests under way (section 9.1); several may hold, the first one counts.
  typedef struct packed {
    logic same;             // the same flow
    logic reply;            // the packet overtakes the pair of the reply
    logic reply_translated; // and that pair is translated
    logic other;            // keys are shared in any other way
    logic other_translated; // with a pair that is translated
  } relation_t;

  // Neither a mapping nor a member: an entry that knows nothing but its addresses.
  /* verilator lint_off UNUSEDSIGNAL */
  function automatic logic is_plain(input flow_data_t entry);
    is_plain = !entry.map_valid && !entry.ecmp_valid;
  endfunction
  /* verilator lint_on UNUSEDSIGNAL */

  // What the flow lookup tells the rest of the pipeline. All 0 unless found; what follows `partner` is 0 unless usable.
  typedef struct packed {
    logic        found;         // a valid entry has the key
    logic        usable;        // and the packet belongs to it
    logic        lost;          // a reply that nothing translates any more
    logic        opening;       // its TCP connection is not established yet
    logic [15:0] index;
    logic [15:0] partner;
    logic [31:0] src_info;
    logic        reverse;
    logic        hairpin;
    logic        port;          // dpat of a forward entry, spat of a reverse one
    logic        ecmp_valid;
    logic [5:0]  ecmp_slot;
    logic [7:0]  ecmp_generation;
    logic        map_valid;
    fip_map_t    map;
  } flow_hit_t;

  typedef struct packed {
    logic        found;
    logic        own;           // a host route to an address of this node
    logic [15:0] nh;
    logic        label_valid;
    logic [19:0] label;
  } route_t;

  // Where section 6 leads; with drop, only reason counts.
  typedef struct packed {
    logic         drop;
    drop_reason_e reason;
    logic         move;         // dropped for its tunnel: first_nh is the route to where it says it comes from
    logic [15:0]  first_nh;     // what label or route names: a group's own id
    next_hop_t    nh;
    logic         label_valid;
    logic [19:0]  label;
    logic         group;        // through a composite, with
    logic         chosen;       // the member picked by hash, not pinned
    logic [5:0]   slot;
    logic [7:0]   generation;
  } hop_t;

  // Outgoing vif, the mapping found for (vif, protocol, address, port), and whether the source is marked.
  typedef struct packed {
    vif_t        out;
    logic        marked;        // what comes from this address and port is only sent translated
    logic        found;
    logic [13:0] index;
    fip_map_t    map;
  } fip_t;

  // Requests to change the flow table (section 9). The first three write a pair.
  typedef enum logic [2:0] {
    LearnNew,
    LearnReplace,
    LearnRepin,
    LearnReverse,  // only the ecmp fields of an entry of the reply direction
    LearnMove,     // packets of an entry come by another tunnel
    LearnDead      // deletes the pair of an entry if its connection is dead
  } learn_kind_e;

  // LearnMove: data.src_info is the tunnel, reverse_rpf the next hop of the route back. LearnDead: only key.
  typedef struct packed {
    learn_kind_e kind;
    flow_key_t   key;
    flow_key_t   reverse_key;
    flow_data_t  data;            // forward entry; generation and partner are filled in
    logic [31:0] reverse_info;
    logic [15:0] reverse_rpf;
    logic [15:0] bytes;
    logic [3:0]  tcp;
  } learn_t;

  // Bits of a key's hash by which requests under way are compared: the upper ones, as the rows are chosen by the lower.
  localparam int unsigned PrintBits = 24;
  typedef logic [PrintBits-1:0] print_t;

  // What a packet asks of the flow table, before it is admitted.
  typedef struct packed {
    logic        valid;
    logic        translated;
    logic        plain;           // neither translated nor sent through a group
    logic        found;           // an entry has its key, with
    logic [15:0] partner;
    print_t      print;           // of its key
    learn_t      learn;
  } ask_t;

  // Whether a request writes a pair, and so takes part in admission.
  function automatic logic asks_pair(input learn_kind_e kind);
    asks_pair = kind inside {LearnNew, LearnReplace, LearnRepin};
  endfunction

  /* verilator lint_off UNUSEDSIGNAL */
  function automatic print_t print_of(input logic [63:0] hash);
    print_of = hash[63 -: PrintBits];
  endfunction
  /* verilator lint_on UNUSEDSIGNAL */

  // A TCP connection that is over: closed from both sides, or reset.
  function automatic logic tcp_over(input logic [3:0] own, input logic [3:0] partner);
    tcp_over = (own[TcpFinBit] && partner[TcpFinBit]) || own[TcpRstBit] || partner[TcpRstBit];
  endfunction

  // One write of FlowStats.tcp.
  typedef struct packed {
    logic        valid;
    logic [15:0] index;
    logic [3:0]  tcp;
  } tcp_write_t;

  // Where a walk has found a tunnel: at the route's next hop itself, or in a slot of its group.
  typedef struct packed {
    logic       found;
    logic       group;
    logic [5:0] slot;
    logic [7:0] generation;
  } move_t;

  // One packet's effect on the counters.
  typedef struct packed {
    logic [7:0]   in_vif;
    logic [15:0]  rx_bytes;
    logic         drop;
    drop_reason_e reason;
    logic         trap;
    logic         tx;
    logic [7:0]   tx_vif;
    logic [15:0]  tx_bytes;
    logic         flow;
    logic [15:0]  flow_index;
    logic         deferred;       // its request to learn was forgotten
    logic         tcp;            // its own protocol
    logic         tcp_syn;
    logic         tcp_fin;
    logic         tcp_rst;
    logic         tcp_ack;
  } count_t;

  // Old and new values of what checksums cover.
  typedef struct packed {
    logic        ttl_en;
    logic [15:0] ttl_old;
    logic        icmp_err;
    logic        udp;
    logic [15:0] ip_csum;
    logic [15:0] l4_csum;
    ip4_t        sip_old;
    ip4_t        dip_old;
    logic [15:0] sport_old;
    logic [15:0] dport_old;
    logic        emb_sip_en;
    logic        emb_dip_en;
    ip4_t        emb_sip_old;
    ip4_t        emb_dip_old;
    logic [15:0] emb_sport_old;
    logic [15:0] emb_dport_old;
    logic [15:0] emb_ip_csum;
    logic        emb_l4_csum_en;
    logic        emb_udp;
    logic [15:0] emb_l4_csum;
  } old_t;

  // Events of the flow table, for the card's counters.
  typedef struct packed {
    logic learned;
    logic repinned;
    logic full;
    logic added;       // an entry became valid
    logic removed;     // an entry became invalid
  } flow_event_t;

  // UDP source port of the outer header: hash::entropy_port, of bits 63..50 of the key's hash.
  function automatic logic [15:0] entropy_port(input logic [13:0] hash_high);
    entropy_port = 16'(EntropyPortMin) + 16'((28'(hash_high) * 28'(EntropyPorts)) >> 14);
  endfunction

  /* verilator lint_off UNUSEDSIGNAL */  // of the header only the key, or the flags, are used
  function automatic flow_key_t flow_key(input logic [15:0] nh, input hdr_t hdr);
    flow_key = '{nh: nh, proto: hdr.key_proto, sip: hdr.key_sip, dip: hdr.key_dip,
                 sport: hdr.key_sport, dport: hdr.key_dport};
  endfunction

  function automatic logic bare_syn(input hdr_t hdr);
    bare_syn = hdr.proto == ProtoTcp && hdr.tcp_syn && !hdr.tcp_ack && !hdr.tcp_rst && !hdr.tcp_fin;
  endfunction
  /* verilator lint_on UNUSEDSIGNAL */

endpackage
/* verilator lint_on UNUSEDPARAM */
