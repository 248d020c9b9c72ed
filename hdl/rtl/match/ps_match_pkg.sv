// Records that pass between the stages of the match-action core.

/* verilator lint_off UNUSEDPARAM */  // not every module uses every constant
package ps_match_pkg;
  import ps_abi_pkg::*;
  import ps_types_pkg::*;

  // Words to one level of multiplexers behind the banks of the tables that section 6 reads, and what the tables then take.
  localparam int unsigned DeepFan       = 16;
  // A next hop with its parity is 3 bits wider than three UltraRAMs: these are in block RAM, half of one a bank.
  localparam int unsigned NextHopBlockBits = (NextHopBits + 1) % 72;
  localparam int unsigned HopLatency    = ps_ram_deep_pkg::latency(NextHops, DeepFan);
  localparam int unsigned EcmpLatency   = ps_ram_deep_pkg::latency(EcmpWords, DeepFan);

  // A register that is given nothing valid rests in simulation, where to write it takes time. In hardware it takes over what comes
  // instead, where an enable would have to be worked out for many bits. Nobody may tell the difference.
`ifdef SYNTHESIS
  localparam bit Rests = 1'b0;
`else
  localparam bit Rests = 1'b1;
`endif

  // --- How long the flow table takes, with 2^rows_log2 rows a way.

  // flow_hash is told in ps_flow_hash.
  localparam int unsigned HashCycles = 5;

  // From a row's read enable to its slots.
  function automatic int unsigned key_cycles(input int unsigned rows_log2);
    key_cycles = ps_ram_deep_pkg::latency(1 << rows_log2);
  endfunction

  // From a key to its being found, and from there to what is kept at its pair.
  function automatic int unsigned found_at(input int unsigned rows_log2);
    found_at = HashCycles + key_cycles(rows_log2) + 3;
  endfunction

  // Words to one level of multiplexers behind what is kept at pairs: a cycle of each look-up less.
  localparam int unsigned DataFan = 8;

  function automatic int unsigned data_cycles(input int unsigned rows_log2);
    data_cycles = ps_ram_deep_pkg::latency(1 << (rows_log2 + $clog2(FlowWays * BucketSlots) - 1), DataFan);
  endfunction

  // From a key to what its flow says, with a mapping that takes map_cycles to read.
  function automatic int unsigned hit_at(input int unsigned rows_log2, input int unsigned map_cycles);
    hit_at = found_at(rows_log2) + data_cycles(rows_log2) + map_cycles + 1;
  endfunction

  // Of ps_flow_admit: hash (begun a cycle early), port, rows, compare, decision.
  function automatic int unsigned admit_cycles(input int unsigned rows_log2);
    admit_cycles = HashCycles - 1 + 1 + key_cycles(rows_log2) + 2 + 1;
  endfunction

  // Words to one level of multiplexers behind the rows of clients, and what a read of them takes.
  localparam int unsigned AffinityFan        = 8;
  localparam int unsigned AffinityReadCycles = ps_ram_deep_pkg::latency(1 << AffinityRowsLog2, AffinityFan);

  // Cycles of the stages, input to registered output. ps_match lines up what travels beside them.
  localparam int unsigned SourceCycles  = 4;
  localparam int unsigned MapReadCycles     = 3;   // the flow look-up's read of a mapping
  localparam int unsigned FlowCycles    = hit_at(FlowRowsLog2, MapReadCycles);
  localparam int unsigned LookCycles    = 8;   // of one route
  // The second one begins a cycle later with its VRF; which of them counts is known with it.
  localparam int unsigned RouteCycles   = LookCycles + 1;
  // The route is looked up from what is kept at the flow's pair, which stands before its mapping is read and judged: the VRF of the
  // second look-up comes from there, a cycle after its address.
  localparam int unsigned RouteAhead    = MapReadCycles + 2;
  localparam int unsigned ServiceCycles = ps_bucket_pkg::bucket_cycles(ServiceKeyRowsLog2) + 2;      // beside it, behind the VRF
  localparam int unsigned CheckCycles   = ps_bucket_pkg::bucket_cycles(TunnelSourceRowsLog2) + 1;    // beside the next hop
  localparam int unsigned NextHopCycles = 2 * HopLatency + EcmpLatency + 5;
  localparam int unsigned ClientHashCycles = 3;       // of ps_affinity_rows, before the number
  localparam int unsigned AffinityCycles = 1 + AffinityReadCycles + 3;
  // What is kept of a client stands when the group's next hop does: its number is asked for so many cycles before the routes are.
  localparam int unsigned ServiceAhead  = AffinityCycles + ServiceCycles - RouteCycles - HopLatency;
  localparam int unsigned BucketCycles  = ps_bucket_pkg::bucket_cycles(FipKeyRowsLog2);   // of floating-IP keys
  localparam int unsigned FipCycles     = BucketCycles + 2;
  localparam int unsigned DecideCycles  = 4;
  localparam int unsigned EditCycles    = 10;
  localparam int unsigned AdmitCycles   = admit_cycles(FlowRowsLog2);   // beside the checksums, ends with them
  localparam int unsigned FinishCycles  = EditCycles > AdmitCycles ? EditCycles : AdmitCycles;
  localparam int unsigned MatchCycles   = SourceCycles + FlowCycles + RouteCycles - RouteAhead + NextHopCycles + FipCycles +
                                          DecideCycles + FinishCycles;

  // How long a request counts as pending after it was executed: longer than from the flow look-up to admission.
  localparam int unsigned LingerCycles  = MatchCycles - SourceCycles + 4;

  // The longest that headers may take from the core's entry to their verdicts: what the streams buffer frames for.
  localparam int unsigned LatencyMax    = 72;
  // And what a frame takes from the entry to its header, at most (DrainCycles covers both).
  localparam int unsigned ArrivalMax    = 32;

  localparam int unsigned EntryMaxBits = 384;
  localparam int unsigned WriteMaxBits = VifStatsBits;  // the widest entry that is written
  localparam int unsigned TableCount   = 22;

  // A table's bit in access_t.
  localparam logic [4:0] SelVif          = TableVif[4:0];
  localparam logic [4:0] SelIlm          = TableIlm[4:0];
  localparam logic [4:0] SelNextHop      = TableNextHop[4:0];
  localparam logic [4:0] SelEcmp         = TableEcmp[4:0];
  localparam logic [4:0] SelHostRoute    = TableHostRoute[4:0];
  localparam logic [4:0] SelPrefix       = TablePrefix[4:0];
  localparam logic [4:0] SelFipKey       = TableFipKey[4:0];
  localparam logic [4:0] SelFipMap       = TableFipMap[4:0];
  localparam logic [4:0] SelFlow         = TableFlow[4:0];
  localparam logic [4:0] SelFlowStats    = TableFlowStats[4:0];
  localparam logic [4:0] SelVifStats     = TableVifStats[4:0];
  localparam logic [4:0] SelDropStats    = TableDropStats[4:0];
  localparam logic [4:0] SelCardStats    = TableCardStats[4:0];
  localparam logic [4:0] SelDefaultRoute = TableDefaultRoute[4:0];
  localparam logic [4:0] SelPrefixLength = TablePrefixLength[4:0];
  localparam logic [4:0] SelVrf          = TableVrf[4:0];
  localparam logic [4:0] SelServiceKey   = TableServiceKey[4:0];
  localparam logic [4:0] SelTunnelSource = TableTunnelSource[4:0];
  localparam logic [4:0] SelPlainFip     = TablePlainFip[4:0];
  localparam logic [4:0] SelFlowShare    = TableFlowShare[4:0];
  localparam logic [4:0] SelFlowShareStats = TableFlowShareStats[4:0];
  localparam logic [4:0] SelAffinity     = TableAffinity[4:0];

  localparam logic [7:0] ProtoIcmp = 8'd1;
  localparam logic [7:0] ProtoTcp  = 8'd6;
  localparam logic [7:0] ProtoUdp  = 8'd17;
  localparam logic [7:0] ProtoSctp = 8'd132;

  // One access of the maintenance side (command engine, or the clearing walk) to the tables: the enables are one bit a
  // table, by table id. Write data are beside it (acc_wdata_i); what is written with `flip` is stored with the wrong parity. Read
  // data, and whether their parity is wrong, stand at most ReadCycles after `re`, until the next one; a write is done before an
  // access that follows it.
  localparam int unsigned ReadCycles = 10;

  typedef struct packed {
    logic [TableCount-1:0]   re;
    logic [TableCount-1:0]   we;
    logic                    flip;
    index_t                  index;
  } access_t;

  // An entry of a table was met with the wrong parity.
  typedef struct packed {
    logic                    valid;
    index_t                  index;
  } parity_error_t;

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
    logic         ilm_service;  // the label is a floating IP's
    logic         egress;       // of a vif: what its pod begins may go by
    logic [11:0]  egress_vrf;   // this network,
    map_id_t      egress_map;   // translated by this
    learn_policy_e learn;       // of a vif
  } source_t;

  typedef struct packed {
    hdr_t    hdr;
    source_t source;
  } context_t;

  // What the first route is looked up for: the source of what comes from the fabric, else the destination.
  /* verilator lint_off UNUSEDSIGNAL */  // a few fields
  function automatic ip4_t first_ip(input hdr_t hdr);
    first_ip = hdr.src == SrcFabric ? hdr.key_sip : hdr.dip;
  endfunction
  /* verilator lint_on UNUSEDSIGNAL */

  // How a packet's keys stand to those of requests under way (section 9.1); several may hold, the first one counts.
  typedef struct packed {
    logic same;             // the same flow
    logic reply;            // the packet overtakes the pair of the reply
    logic reply_translated; // and that pair is translated
    logic other;            // keys are shared in any other way
    logic other_translated; // with a pair that is translated
  } relation_t;

  typedef struct packed {
    logic        found;
    logic [5:0]  len;           // 32 of a host route, 0 of a default
    service_address_e service;  // of a host route: of a floating IP that lives by its listeners
    source_set_t sources;       // by which tunnels packets from there may come
    logic [15:0] nh;
    logic        label_valid;
    logic [19:0] label;
  } route_t;

  // Under what a client is kept at its member (section 9.7); number 0: it is not.
  typedef struct packed {
    affinity_number_t number;
    affinity_time_t   timeout;
  } affinity_ref_t;

  // What is kept of a client: the member at which it was last.
  typedef struct packed {
    logic        hit;
    slot_id_t    slot;
    generation_t generation;
  } affinity_hit_t;

  // A client of which that is to be kept.
  typedef struct packed {
    affinity_ref_t  under;
    ip4_t           client;
    slot_id_t       slot;
    generation_t    generation;
  } affinity_keep_t;

  // An entry of the table becomes valid or invalid.
  typedef struct packed {
    logic           valid;
    logic           set;
    affinity_addr_t index;
  } affinity_mark_t;

  // What is asked about a packet's VRF and listener, before its flow is known.
  typedef struct packed {
    logic [11:0] vrf;
    logic        ask;          // a listener is looked for: {its address, port}
    logic [7:0]  proto;
    ip4_t        ip;
    logic [15:0] port;
    logic        from_vif;
    ip4_t        client;
  } service_ask_t;

  // From the fabric it is that of a move, if the label is not itself a floating IP's.
  /* verilator lint_off UNUSEDSIGNAL */  // a few fields
  function automatic service_ask_t service_ask(input context_t ctx);
    logic far;
    far         = ctx.hdr.src == SrcFabric && !ctx.source.ilm_service;
    service_ask = '{vrf: ctx.source.vrf, ask: !ctx.hdr.frag, proto: ctx.hdr.key_proto, ip: far ? ctx.hdr.key_sip : ctx.hdr.dip,
                    port: far ? ctx.hdr.key_sport : ctx.hdr.key_dport, from_vif: ctx.hdr.src != SrcFabric, client: ctx.hdr.key_sip};
  endfunction
  /* verilator lint_on UNUSEDSIGNAL */

  // Where section 6 leads a packet first, groups not resolved. With `drop` or `trap` nothing but the reason counts.
  typedef struct packed {
    logic         drop;
    logic         trap;         // refused by the firmware
    drop_reason_e reason;
    logic [15:0]  nh;
    logic         label_valid;
    logic [19:0]  label;
    logic [11:0]  vrf;          // in which the route was found
    logic         egress;       // it goes the egress way
    affinity_number_t affinity; // of the listener whose next hop this is, or 0
  } way_t;

  // What sections 3 and 5 say of a packet beside its flow.
  typedef struct packed {
    logic         broken;       // the entries that say so, or the way's, have the wrong parity
    logic         dead;         // an entry of no use says where it would be sent translated: it is not known where to without it
    logic         far_service;  // a move: the far end is a service's,
    nh_id_t       far_nh;       // and "n" of section 9.2
  } early_t;

  // What the source check needs.
  typedef struct packed {
    logic          applies;     // from the fabric
    logic          vrf_bad;     // its VRF's entry has the wrong parity
    source_check_e check;
    logic          found;       // a route to the source
    source_set_t   sources;
    ip4_t          outer_sip;
  } check_ask_t;

  // What it says: a packet of no usable flow does not pass, for this reason; of one that came by another tunnel the first bit alone counts.
  typedef struct packed {
    logic          drop;
    drop_reason_e  reason;
  } check_t;

  // Where section 6 leads; with drop, only reason counts.
  typedef struct packed {
    logic         drop;
    drop_reason_e reason;
    logic         move;         // dropped for its tunnel: first_nh is where replies to where it says it comes from are sent,
    logic         far_service;  // which is a floating IP
    logic         dead;         // dropped, and its own entry is of no use any more
    logic         trap;         // refused by the firmware: the floating IP does not serve this
    logic [15:0]  first_nh;     // what label or route names: a group's own id
    logic [11:0]  vrf;          // of the route
    logic         egress;       // the packet goes the egress way
    next_hop_t    nh;
    logic         label_valid;
    logic [19:0]  label;
    map_id_t      map;          // of a member on this node: its mapping; 0: none
    logic         group;        // through a composite, with
    logic         chosen;       // the member picked by hash, not pinned
    slot_id_t     slot;
    logic [7:0]   generation;
    affinity_ref_t affinity;    // chosen: the client is to be kept there
  } hop_t;

  // Outgoing vif, the mapping that the packet finds (section 7), and whether the source is marked.
  typedef struct packed {
    vif_t        out;
    logic        marked;        // what comes from this address and port is only sent translated
    logic        broken;        // an entry of all this has the wrong parity; of the mapping that is known a cycle later
    logic        found;         // a mapping's number, whether the mapping is valid or not
    logic        under;         // it is that of the egress way (4), not one towards a backend (1 to 3)
    map_id_t     index;
    fip_map_t    map;           // of it, valid or not
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

  // Bits of a key's hash by which pending requests are compared.
  localparam int unsigned PrintBits = FlowFingerprintBits;
  typedef logic [PrintBits-1:0] print_t;

  // Whether a request writes a pair, and so takes part in admission.
  function automatic logic asks_pair(input learn_kind_e kind);
    asks_pair = kind inside {LearnNew, LearnReplace, LearnRepin};
  endfunction

  // A TCP connection that is over: closed from both sides, or reset.
  function automatic logic tcp_over(input logic [3:0] own, input logic [3:0] partner);
    tcp_over = (own[TcpFinBit] && partner[TcpFinBit]) || own[TcpRstBit] || partner[TcpRstBit];
  endfunction

  // Where a walk has found a tunnel: at the route's next hop itself, or in a slot of its group.
  typedef struct packed {
    logic        found;
    logic        group;
    slot_id_t    slot;
    generation_t generation;
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
    logic         deferred;       // its request to learn was forgotten
  } count_t;

  // Old and new values of what checksums cover.
  typedef struct packed {
    logic        ttl_en;
    logic [15:0] ttl_old;
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

  // Whether a next hop's id is one of the card's table.
  function automatic logic nh_in_table(input nh_id_t id);
    nh_in_table = 32'(id) < NextHops;
  endfunction

  // UDP source port of the outer header: hash::entropy_port, of bits 31..18 of the key's public hash.
  function automatic logic [15:0] entropy_port(input logic [13:0] hash_high);
    // EntropyPorts is 2^14 - 1: the product is a difference.
    entropy_port = 16'(EntropyPortMin) + 16'(((28'(hash_high) << 14) - 28'(hash_high)) >> 14);
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
