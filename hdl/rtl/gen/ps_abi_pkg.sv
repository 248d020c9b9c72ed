// Written by `cargo xtask gen` from the crate penstock-abi. Do not edit.
//
// Limits, table words, registers, ring codes, drop reasons and hash functions.
// A packed struct's last field is its least significant one, as in the table words.

/* verilator lint_off UNUSEDPARAM */  // a package serves many modules, none uses all of it
package ps_abi_pkg;

  localparam int unsigned Vifs = 256;
  localparam int unsigned VifFabricId = 0;
  localparam int unsigned VifVhostId = 1;
  localparam int unsigned Vrfs = 4096;
  localparam int unsigned Labels = 8192;
  localparam int unsigned LabelFirst = 16;
  localparam int unsigned NextHops = 32768;
  localparam int unsigned EcmpWords = 262144;
  localparam int unsigned EcmpGroupMax = 1024;
  localparam int unsigned BucketSlots = 4;
  localparam int unsigned HostRouteWays = 2;
  localparam int unsigned HostRouteRowsLog2 = 13;
  localparam int unsigned HostRoutes = 65536;
  localparam int unsigned PrefixTables = 8;
  localparam int unsigned PrefixWays = 2;
  localparam int unsigned PrefixRowsLog2 = 10;
  localparam int unsigned Prefixes = 65536;
  localparam int unsigned PrefixLenMin = 8;
  localparam int unsigned FipKeyWays = 2;
  localparam int unsigned FipKeyRowsLog2 = 11;
  localparam int unsigned FipKeys = 16384;
  localparam int unsigned FipMaps = 16384;
  localparam int unsigned ServiceKeyWays = 2;
  localparam int unsigned ServiceKeyRowsLog2 = 12;
  localparam int unsigned ServiceKeys = 32768;
  localparam int unsigned TunnelSourceWays = 2;
  localparam int unsigned TunnelSourceRowsLog2 = 12;
  localparam int unsigned TunnelSources = 32768;
  localparam int unsigned SourcesKnown = 1;
  localparam int unsigned PlainFipWays = 2;
  localparam int unsigned PlainFipRowsLog2 = 9;
  localparam int unsigned PlainFips = 4096;
  localparam int unsigned FlowWays = 4;
`ifdef PENSTOCK_FLOW_ROWS_LOG2
  localparam int unsigned FlowRowsLog2 = `PENSTOCK_FLOW_ROWS_LOG2;
`else
  localparam int unsigned FlowRowsLog2 = 14;
`endif
  localparam int unsigned Flows = (FlowWays * BucketSlots) << FlowRowsLog2;
  localparam int unsigned FlowPairs = Flows / 2;
  localparam int unsigned FlowPairBits = $clog2(FlowPairs);
  localparam int unsigned FlowIndexBits = $clog2(Flows);
  localparam int unsigned FlowsTranslatedMax = Flows / 32 * 29;
  localparam int unsigned FlowShares = 4352;
  localparam int unsigned TunnelShares = 4096;
  localparam int unsigned TunnelShareFirst = 256;
  localparam int unsigned ShareOneLog2 = 12;
  localparam int unsigned AffinityWays = 2;
`ifdef PENSTOCK_AFFINITY_ROWS_LOG2
  localparam int unsigned AffinityRowsLog2 = `PENSTOCK_AFFINITY_ROWS_LOG2;
`else
  localparam int unsigned AffinityRowsLog2 = 15;
`endif
  localparam int unsigned Affinities = AffinityWays << AffinityRowsLog2;
  localparam int unsigned AffinityIndexBits = $clog2(Affinities);
  localparam int unsigned AffinityUnitLog2 = 26;
  localparam int unsigned AffinityTimeBits = 20;
  localparam int unsigned FlowHashBits = 96;
  localparam int unsigned FlowRowBits = 16;
  localparam int unsigned FlowFingerprintLsb = 72;
  localparam int unsigned FlowFingerprintBits = 24;
  localparam int unsigned DropReasons = 64;
  localparam int unsigned CardCounters = 16;
  localparam int unsigned MplsUdpPort = 6635;
  localparam int unsigned MplsUdpPortOld = 51234;
  localparam int unsigned EntropyPortMin = 49152;
  localparam int unsigned EntropyPorts = 16383;
  localparam int unsigned OuterTtl = 64;
  localparam int unsigned FrameMaxBytes = 9216;
  localparam int unsigned CoreClockKhz = 322266;
  localparam int unsigned DrainCycles = 128;
  localparam int unsigned FieldProto = 0;
  localparam int unsigned FieldSip = 1;
  localparam int unsigned FieldSport = 2;
  localparam int unsigned FieldDip = 3;
  localparam int unsigned FieldDport = 4;
  localparam int unsigned IrqVectors = 3;
  localparam int unsigned IrqCompletion = 0;
  localparam int unsigned IrqEvent = 1;
  localparam int unsigned IrqFault = 2;
  localparam int unsigned RingLog2Min = 4;
  localparam int unsigned RingLog2Max = 16;
  localparam int unsigned FlagIrqBit = 0;
  localparam int unsigned FlagChainedBit = 1;
  localparam int unsigned DigestEntriesMax = 4096;
  localparam int unsigned FlowEventPlainBit = 0;
  localparam int unsigned FlowEventMapBit = 1;
  localparam int unsigned FlowEventMemberBit = 2;
  localparam int unsigned FlowEventUncountedBit = 3;
  localparam int unsigned FwFrameBytes = 256;
  localparam int unsigned FwRxQueueFrames = 16;
  localparam int unsigned FwTimeShift = 4;
  localparam int unsigned FwRamBytes = 65536;
  localparam int unsigned TcpSynBit = 0;
  localparam int unsigned TcpFinBit = 1;
  localparam int unsigned TcpRstBit = 2;
  localparam int unsigned TcpEstablishedBit = 3;

  localparam logic [47:0] GatewayMac = 48'h5e000100;
  localparam logic [31:0] LayoutVersion = 32'h40004;
  localparam logic [63:0] LayoutHash = 64'h1df41eba271a42b8;
  localparam logic [31:0] Capabilities = 32'h7f;
  localparam logic [31:0] MagicValue = 32'h5053544b;
  localparam logic [31:0] ClearKey = 32'h434c5221;
  localparam logic [31:0] ParityInjectKey = 32'h50415221;
  localparam logic [31:0] EvtKindsFirst = 32'h6;
  localparam logic [31:0] AgePassTicks = 32'h400;
  localparam logic [31:0] AgePressTicks = 32'h20;

  // Tables: id.
  localparam logic [7:0] TableVif = 8'h0;
  localparam logic [7:0] TableIlm = 8'h1;
  localparam logic [7:0] TableNextHop = 8'h2;
  localparam logic [7:0] TableEcmp = 8'h3;
  localparam logic [7:0] TableHostRoute = 8'h4;
  localparam logic [7:0] TablePrefix = 8'h5;
  localparam logic [7:0] TableFipKey = 8'h6;
  localparam logic [7:0] TableFipMap = 8'h7;
  localparam logic [7:0] TableFlow = 8'h8;
  localparam logic [7:0] TableFlowStats = 8'h9;
  localparam logic [7:0] TableVifStats = 8'ha;
  localparam logic [7:0] TableDropStats = 8'hb;
  localparam logic [7:0] TableCardStats = 8'hc;
  localparam logic [7:0] TableDefaultRoute = 8'hd;
  localparam logic [7:0] TablePrefixLength = 8'he;
  localparam logic [7:0] TableVrf = 8'hf;
  localparam logic [7:0] TableServiceKey = 8'h10;
  localparam logic [7:0] TableTunnelSource = 8'h11;
  localparam logic [7:0] TablePlainFip = 8'h12;
  localparam logic [7:0] TableFlowShare = 8'h13;
  localparam logic [7:0] TableFlowShareStats = 8'h14;
  localparam logic [7:0] TableAffinity = 8'h15;

  // Index of an entry: of any table, and of each.
  localparam int unsigned IndexBits = 18;
  typedef logic [IndexBits-1:0] index_t;
  typedef logic [7:0] vif_addr_t;
  typedef logic [12:0] ilm_addr_t;
  typedef logic [14:0] next_hop_addr_t;
  typedef logic [17:0] ecmp_addr_t;
  typedef logic [15:0] host_route_addr_t;
  typedef logic [15:0] prefix_addr_t;
  typedef logic [13:0] fip_key_addr_t;
  typedef logic [13:0] fip_map_addr_t;
  typedef logic [7:0] vif_stats_addr_t;
  typedef logic [5:0] drop_stats_addr_t;
  typedef logic [3:0] card_stats_addr_t;
  typedef logic [11:0] default_route_addr_t;
  typedef logic [2:0] prefix_length_addr_t;
  typedef logic [11:0] vrf_addr_t;
  typedef logic [14:0] service_key_addr_t;
  typedef logic [14:0] tunnel_source_addr_t;
  typedef logic [11:0] plain_fip_addr_t;
  typedef logic [12:0] flow_share_addr_t;
  typedef logic [12:0] flow_share_stats_addr_t;
  typedef logic [FlowIndexBits-1:0] flow_addr_t;
  typedef logic [FlowIndexBits-1:0] flow_stats_addr_t;
  typedef logic [AffinityIndexBits-1:0] affinity_addr_t;

  // What names something in the entries of tables, whatever a card's sizes are.
  typedef logic [7:0] vif_id_t;
  typedef logic [11:0] vrf_id_t;
  typedef logic [19:0] label_t;
  typedef logic [15:0] nh_id_t;
  typedef logic [17:0] ring_base_t;
  typedef logic [10:0] slot_count_t;
  typedef logic [10:0] slot_id_t;
  typedef logic [13:0] map_id_t;
  typedef logic [11:0] service_net_t;
  typedef logic [13:0] source_set_t;
  typedef logic [7:0] generation_t;
  typedef logic [15:0] affinity_number_t;
  typedef logic [19:0] affinity_time_t;

  // Registers (byte offset in BAR 0).
  localparam logic [15:0] RegMagic = 16'h0;
  localparam logic [15:0] RegLayoutVersion = 16'h4;
  localparam logic [15:0] RegLayoutHashLo = 16'h8;
  localparam logic [15:0] RegLayoutHashHi = 16'hc;
  localparam logic [15:0] RegClockKhz = 16'h10;
  localparam logic [15:0] RegScratch = 16'h14;
  localparam logic [15:0] RegCapabilities = 16'h18;
  localparam logic [15:0] RegControl = 16'h100;
  localparam logic [15:0] RegStatus = 16'h104;
  localparam logic [15:0] RegClear = 16'h108;
  localparam logic [15:0] RegResetCause = 16'h10c;
  localparam logic [15:0] RegFlrCount = 16'h110;
  localparam logic [15:0] RegEpoch = 16'h114;
  localparam logic [15:0] RegTimeLo = 16'h118;
  localparam logic [15:0] RegTimeHi = 16'h11c;
  localparam logic [15:0] RegHashKey0 = 16'h120;
  localparam logic [15:0] RegHashKey1 = 16'h124;
  localparam logic [15:0] RegHashKey2 = 16'h128;
  localparam logic [15:0] RegHashKey3 = 16'h12c;
  localparam logic [15:0] RegHashKey4 = 16'h130;
  localparam logic [15:0] RegHashKey5 = 16'h134;
  localparam logic [15:0] RegParityErrors = 16'h138;
  localparam logic [15:0] RegParityLast = 16'h13c;
  localparam logic [15:0] RegParityInject = 16'h140;
  localparam logic [15:0] RegFlowPressure1 = 16'h150;
  localparam logic [15:0] RegFlowPressure2 = 16'h154;
  localparam logic [15:0] RegFlowPressure3 = 16'h158;
  localparam logic [15:0] RegFlowKeepPlain = 16'h15c;
  localparam logic [15:0] RegFlowAge0 = 16'h180;
  localparam logic [15:0] RegFlowAge1 = 16'h184;
  localparam logic [15:0] RegFlowAge2 = 16'h188;
  localparam logic [15:0] RegFlowAge3 = 16'h18c;
  localparam logic [15:0] RegFlowAge4 = 16'h190;
  localparam logic [15:0] RegFlowAge5 = 16'h194;
  localparam logic [15:0] RegFlowAge6 = 16'h198;
  localparam logic [15:0] RegFlowAge7 = 16'h19c;
  localparam logic [15:0] RegFlowAgePort0 = 16'h1a0;
  localparam logic [15:0] RegFlowAgePort1 = 16'h1a4;
  localparam logic [15:0] RegFlowAgePort2 = 16'h1a8;
  localparam logic [15:0] RegFlowAgePort3 = 16'h1ac;
  localparam logic [15:0] RegFlowAgePort4 = 16'h1b0;
  localparam logic [15:0] RegFlowAgePort5 = 16'h1b4;
  localparam logic [15:0] RegFlowAgePort6 = 16'h1b8;
  localparam logic [15:0] RegFlowAgePort7 = 16'h1bc;
  localparam logic [15:0] RegFlowAgeByPort0 = 16'h1c0;
  localparam logic [15:0] RegFlowAgeByPort1 = 16'h1c4;
  localparam logic [15:0] RegFlowAgeByPort2 = 16'h1c8;
  localparam logic [15:0] RegFlowAgeByPort3 = 16'h1cc;
  localparam logic [15:0] RegFlowAgeByPort4 = 16'h1d0;
  localparam logic [15:0] RegFlowAgeByPort5 = 16'h1d4;
  localparam logic [15:0] RegFlowAgeByPort6 = 16'h1d8;
  localparam logic [15:0] RegFlowAgeByPort7 = 16'h1dc;
  localparam logic [15:0] RegFlowKeep0 = 16'h1e0;
  localparam logic [15:0] RegFlowKeep1 = 16'h1e4;
  localparam logic [15:0] RegFlowKeep2 = 16'h1e8;
  localparam logic [15:0] RegFlowKeep3 = 16'h1ec;
  localparam logic [15:0] RegFlowKeep4 = 16'h1f0;
  localparam logic [15:0] RegFlowKeep5 = 16'h1f4;
  localparam logic [15:0] RegFlowKeep6 = 16'h1f8;
  localparam logic [15:0] RegFlowKeep7 = 16'h1fc;
  localparam logic [15:0] RegCmdBaseLo = 16'h200;
  localparam logic [15:0] RegCmdBaseHi = 16'h204;
  localparam logic [15:0] RegCplBaseLo = 16'h208;
  localparam logic [15:0] RegCplBaseHi = 16'h20c;
  localparam logic [15:0] RegRingLog2 = 16'h210;
  localparam logic [15:0] RegRingEnable = 16'h214;
  localparam logic [15:0] RegCmdProducer = 16'h218;
  localparam logic [15:0] RegCmdConsumer = 16'h21c;
  localparam logic [15:0] RegRingErrors = 16'h220;
  localparam logic [15:0] RegEvtBaseLo = 16'h240;
  localparam logic [15:0] RegEvtBaseHi = 16'h244;
  localparam logic [15:0] RegEvtLog2 = 16'h248;
  localparam logic [15:0] RegEvtEnable = 16'h24c;
  localparam logic [15:0] RegEvtProducer = 16'h250;
  localparam logic [15:0] RegEvtConsumer = 16'h254;
  localparam logic [15:0] RegEvtDropped = 16'h258;
  localparam logic [15:0] RegEvtKinds = 16'h25c;
  localparam logic [15:0] RegEvtSample = 16'h260;
  localparam logic [15:0] RegFwStatus = 16'h300;
  localparam logic [15:0] RegFwInfo = 16'h304;
  localparam logic [15:0] RegFwVersion = 16'h308;
  localparam logic [15:0] RegFwHeartbeat = 16'h30c;
  localparam logic [15:0] RegMboxRequest = 16'h310;
  localparam logic [15:0] RegMboxArg = 16'h314;
  localparam logic [15:0] RegMboxReady = 16'h318;
  localparam logic [15:0] RegMboxReply = 16'h31c;
  localparam logic [15:0] RegDepthVif = 16'h400;
  localparam logic [15:0] RegDepthIlm = 16'h404;
  localparam logic [15:0] RegDepthNextHop = 16'h408;
  localparam logic [15:0] RegDepthEcmp = 16'h40c;
  localparam logic [15:0] RegDepthHostRoute = 16'h410;
  localparam logic [15:0] RegDepthPrefix = 16'h414;
  localparam logic [15:0] RegDepthFipKey = 16'h418;
  localparam logic [15:0] RegDepthFipMap = 16'h41c;
  localparam logic [15:0] RegDepthFlow = 16'h420;
  localparam logic [15:0] RegDepthFlowStats = 16'h424;
  localparam logic [15:0] RegDepthVifStats = 16'h428;
  localparam logic [15:0] RegDepthDropStats = 16'h42c;
  localparam logic [15:0] RegDepthCardStats = 16'h430;
  localparam logic [15:0] RegDepthDefaultRoute = 16'h434;
  localparam logic [15:0] RegDepthPrefixLength = 16'h438;
  localparam logic [15:0] RegDepthVrf = 16'h43c;
  localparam logic [15:0] RegDepthServiceKey = 16'h440;
  localparam logic [15:0] RegDepthTunnelSource = 16'h444;
  localparam logic [15:0] RegDepthPlainFip = 16'h448;
  localparam logic [15:0] RegDepthFlowShare = 16'h44c;
  localparam logic [15:0] RegDepthFlowShareStats = 16'h450;
  localparam logic [15:0] RegDepthAffinity = 16'h454;
  localparam logic [15:0] RegEcmpGroupMax = 16'h500;
  localparam logic [15:0] RegFlowRowsLog2 = 16'h504;
  localparam logic [15:0] RegFlowsTranslatedMax = 16'h508;

  // Ring codes.
  localparam logic [7:0] OpNop = 8'h0;
  localparam logic [7:0] OpWrite = 8'h1;
  localparam logic [7:0] OpRead = 8'h2;
  localparam logic [7:0] OpGetNext = 8'h3;
  localparam logic [7:0] OpFence = 8'h4;
  localparam logic [7:0] OpDigest = 8'h5;
  localparam logic [7:0] StOk = 8'h0;
  localparam logic [7:0] StBadOpcode = 8'h1;
  localparam logic [7:0] StBadTable = 8'h2;
  localparam logic [7:0] StBadIndex = 8'h3;
  localparam logic [7:0] StNotPermitted = 8'h4;
  localparam logic [7:0] StNotFound = 8'h5;
  localparam logic [7:0] StSkipped = 8'h6;
  localparam logic [7:0] StParity = 8'h7;
  localparam logic [7:0] EventFirmware = 8'h1;
  localparam logic [7:0] EventFlowTableFull = 8'h2;
  localparam logic [7:0] EventFlowMade = 8'h3;
  localparam logic [7:0] EventFlowEnded = 8'h4;
  localparam logic [7:0] EventFlowRepinned = 8'h5;
  localparam logic [7:0] EventFlowRefused = 8'h6;
  localparam logic [7:0] EventFlowPressure = 8'h7;
  localparam logic [7:0] FlowEndAged = 8'h1;
  localparam logic [7:0] FlowEndEvicted = 8'h2;
  localparam logic [7:0] FlowEndDeleted = 8'h3;
  localparam logic [7:0] FlowEndDead = 8'h4;
  localparam logic [7:0] FlowEndReplaced = 8'h5;
  localparam logic [7:0] TrapArp = 8'h1;
  localparam logic [7:0] TrapReject = 8'h2;

  // FlowEvent.
  typedef struct packed {
    logic [7:0] phase;
    logic [15:0] reserved;
    logic [7:0] kind;
    logic [31:0] sequence;
    logic [31:0] last_hit;
    logic [15:0] map;
    logic [15:0] bytes_high;
    logic [63:0] bytes_low;
    logic [63:0] packets;
    logic [7:0] tcp;
    logic [7:0] protocol;
    logic [15:0] nh;
    logic [15:0] destination_port;
    logic [15:0] source_port;
    logic [31:0] destination;
    logic [31:0] source;
    logic [15:0] ecmp_slot;
    logic [7:0] flags;
    logic [7:0] reason;
    logic [31:0] pair;
    logic [63:0] time_cycles;
  } flow_event_t;

  // Drop reasons and counters.
  typedef enum logic [5:0] {
    DropInvalidPacket = 6'd0,
    DropInvalidIf = 6'd1,
    DropInvalidProtocol = 6'd2,
    DropChecksum = 6'd3,
    DropInvalidLabel = 6'd4,
    DropTtlExceeded = 6'd5,
    DropInvalidSource = 6'd6,
    DropDiscard = 6'd7,
    DropInvalidNextHop = 6'd8,
    DropNoFipPortMap = 6'd9,
    DropFragments = 6'd10,
    DropPacketLoop = 6'd11,
    DropTrapQueueFull = 6'd12,
    DropOversize = 6'd13,
    DropDisabled = 6'd14,
    DropFlowTableFull = 6'd15,
    DropFlowQueueFull = 6'd16,
    DropFlowUnusable = 6'd17,
    DropFlowClash = 6'd18,
    DropEgressOversize = 6'd19,
    DropNotForGateway = 6'd20,
    DropLearnOff = 6'd21,
    DropTableParity = 6'd22,
    DropFlowQuota = 6'd23
  } drop_reason_e;
  localparam logic [3:0] CounterFlowsLearned = 4'h0;
  localparam logic [3:0] CounterFlowsInUse = 4'h1;
  localparam logic [3:0] CounterFlowTableFull = 4'h2;
  localparam logic [3:0] CounterLearnDeferred = 4'h3;
  localparam logic [3:0] CounterFlowsRepinned = 4'h4;
  localparam logic [3:0] CounterTrapped = 4'h5;
  localparam logic [3:0] CounterFirmwareTx = 4'h6;
  localparam logic [3:0] CounterFlowsAged = 4'h7;
  localparam logic [3:0] CounterFlowsEvicted = 4'h8;
  localparam logic [3:0] CounterAffinityLearned = 4'h9;
  localparam logic [3:0] CounterAffinityEvicted = 4'ha;

  typedef enum logic [1:0] {
    VifFabric = 2'd0,
    VifVhost = 2'd1,
    VifPacket = 2'd2,
    VifVirtual = 2'd3
  } vif_kind_e;

  typedef enum logic [1:0] {
    LearnAlways = 2'd0,
    LearnTranslated = 2'd1,
    LearnNever = 2'd2
  } learn_policy_e;

  typedef enum logic [1:0] {
    CheckStrict = 2'd0,
    CheckLoose = 2'd1,
    CheckOff = 2'd2
  } source_check_e;

  typedef enum logic [1:0] {
    ServiceNo = 2'd0,
    ServiceReject = 2'd1,
    ServiceDrop = 2'd2
  } service_address_e;

  typedef enum logic [2:0] {
    NhDiscard = 3'd0,
    NhReceive = 3'd1,
    NhEncap = 3'd2,
    NhTunnel = 3'd3,
    NhComposite = 3'd4,
    NhReject = 3'd5
  } nh_kind_e;

  // Virtual interface; index = vif number.
  localparam int unsigned VifBits = 141;
  typedef struct packed {
    logic [13:0]   egress_map;
    logic [11:0]   egress_vrf;
    logic          egress;
    learn_policy_e learn;
    logic          rpf;
    logic [31:0]   ip;
    logic [47:0]   mac;
    logic [15:0]   nh;
    logic [11:0]   vrf;
    vif_kind_e     kind;
    logic          valid;
  } vif_t;

  // MPLS input label map; index = label.
  localparam int unsigned IlmBits = 46;
  typedef struct packed {
    logic          service;
    logic [11:0]   vrf;
    logic [15:0]   key_nh;
    logic [15:0]   nh;
    logic          valid;
  } ilm_t;

  // Next hop; index = next hop id. Which fields count depends on `kind`.
  localparam int unsigned NextHopBits = 218;
  typedef struct packed {
    logic [4:0]    hash_fields;
    logic [10:0]   live;
    logic [10:0]   slots;
    logic [17:0]   base;
    logic          gre;
    logic [31:0]   dip;
    logic [31:0]   sip;
    logic [47:0]   smac;
    logic [47:0]   dmac;
    logic [7:0]    vif;
    nh_kind_e      kind;
    logic          valid;
  } next_hop_t;

  // Word of the ECMP ring memory. A group at `base` has its `slots` words first, then its `live` words, a list of the members that take new flows, each of them once or more often.
  localparam int unsigned EcmpSlotBits = 59;
  typedef struct packed {
    logic          local_;
    logic          evict_udp;
    logic [10:0]   slot;
    logic [7:0]    generation;
    logic [19:0]   label;
    logic [15:0]   nh;
    logic          drain;
    logic          valid;
  } ecmp_slot_t;

  // Host route; the key is {vrf, ip}. Index: `bucket_index` over HOST_ROUTE_*.
  localparam int unsigned HostRouteBits = 98;
  typedef struct packed {
    logic [13:0]   sources;
    service_address_e service;
    logic          label_valid;
    logic [19:0]   label;
    logic [15:0]   nh;
    logic [31:0]   ip;
    logic [11:0]   vrf;
    logic          valid;
  } host_route_t;

  // Route with a prefix of 1..=31 bits, or the part of one that has the length of a table. The key is {vrf, ip}. Index: {table, way, row, slot}, `bucket_index` over PREFIX_*, in the table that `hash::prefix_table` gives for the rank of its length (`PrefixLength`).
  localparam int unsigned PrefixBits = 102;
  typedef struct packed {
    logic [13:0]   sources;
    logic          label_valid;
    logic [19:0]   label;
    logic [15:0]   nh;
    logic [5:0]    len;
    logic [31:0]   ip;
    logic [11:0]   vrf;
    logic          valid;
  } prefix_t;

  // Floating-IP key: which mapping translates (vif, protocol, floating IP, port) what comes from the fabric by the vif's own label. Index: `bucket_index` over FIP_KEY_*. A key with the pod's own address marks what is only sent translated: with a port, replies of TCP from there; with port 0, fragments of the protocol. Its `map` is 0.
  localparam int unsigned FipKeyBits = 79;
  typedef struct packed {
    logic [13:0]   map;
    logic [15:0]   port;
    logic [31:0]   ip;
    logic [7:0]    proto;
    logic [7:0]    vif;
    logic          valid;
  } fip_key_t;

  // Floating-IP mapping. Immutable while anything refers to it; reuse bumps `generation`. The first is never used: 0 is none.
  localparam int unsigned FipMapBits = 105;
  typedef struct packed {
    logic [15:0]   vip_port;
    logic [31:0]   vip;
    logic [15:0]   pod_port;
    logic [31:0]   pod_ip;
    logic [7:0]    generation;
    logic          valid;
  } fip_map_t;

  // Key of a flow: 120 bits. Ports are 0 for protocols without; ICMP echo: sport = identifier, dport = 0; other ICMP: sport = 0, dport = type.
  localparam int unsigned FlowKeyBits = 120;
  typedef struct packed {
    logic [15:0]   dport;
    logic [15:0]   sport;
    logic [31:0]   dip;
    logic [31:0]   sip;
    logic [7:0]    proto;
    logic [15:0]   nh;
  } flow_key_t;

  // Flow entry, inserted by the card in pairs. Index: `bucket_index` over FLOW_*: where the key stands, which the card chooses and changes. The host reads and deletes, never inserts.
  localparam int unsigned FlowBits = 269;
  typedef struct packed {
    logic [15:0]   rpf_nh;
    logic [31:0]   src_info;
    logic [11:0]   dvrf;
    logic [11:0]   vrf;
    logic [7:0]    generation;
    logic [18:0]   pair;
    logic [7:0]    map_generation;
    logic [13:0]   map;
    logic          map_valid;
    logic [7:0]    ecmp_generation;
    logic [10:0]   ecmp_slot;
    logic          ecmp_valid;
    logic          reverse;
    logic          hairpin;
    logic          dpat;
    logic          dnat;
    logic          spat;
    logic          snat;
    logic [15:0]   dport;
    logic [15:0]   sport;
    logic [31:0]   dip;
    logic [31:0]   sip;
    logic [7:0]    proto;
    logic [15:0]   nh;
    logic          valid;
  } flow_t;

  // Counters and TCP state of a flow; index as the flow's. The counts wrap.
  localparam int unsigned FlowStatsBits = 108;
  typedef struct packed {
    logic [31:0]   last_hit;
    logic [3:0]    tcp;
    logic [39:0]   bytes;
    logic [31:0]   packets;
  } flow_stats_t;

  // Counters of a vif; index = vif number. Writable (to clear).
  localparam int unsigned VifStatsBits = 240;
  typedef struct packed {
    logic [47:0]   drops;
    logic [47:0]   tx_bytes;
    logic [47:0]   tx_packets;
    logic [47:0]   rx_bytes;
    logic [47:0]   rx_packets;
  } vif_stats_t;

  // One 48-bit counter; index = drop reason (`DropStats`) or `reason::CardCounter` (`CardStats`). Writable (to clear).
  localparam int unsigned CounterBits = 48;
  typedef struct packed {
    logic [47:0]   count;
  } counter_t;

  // Route of a VRF for what no other matches (prefix length 0); index = VRF.
  localparam int unsigned DefaultRouteBits = 52;
  typedef struct packed {
    logic [13:0]   sources;
    logic          label_valid;
    logic [19:0]   label;
    logic [15:0]   nh;
    logic          valid;
  } default_route_t;

  // Length of the prefixes that a look-up asks for; index = rank. Of the ranks that hit the lowest wins, so the longest length stands first. Changed only while no prefix is in the tables.
  localparam int unsigned PrefixLengthBits = 7;
  typedef struct packed {
    logic [5:0]    len;
    logic          valid;
  } prefix_length_t;

  // What holds for a whole VRF; index = VRF.
  localparam int unsigned VrfBits = 15;
  typedef struct packed {
    source_check_e source_check;
    logic [11:0]   service_net;
    logic          valid;
  } vrf_t;

  // A listener of a floating IP; the key is {net, proto, ip, port}. Index: `bucket_index` over SERVICE_KEY_*. ICMP and protocols without ports never have one.
  localparam int unsigned ServiceKeyBits = 117;
  typedef struct packed {
    logic [15:0]   affinity;
    logic [15:0]   local_;
    logic [15:0]   nh;
    logic [15:0]   port;
    logic [31:0]   ip;
    logic [7:0]    proto;
    logic [11:0]   net;
    logic          valid;
  } service_key_t;

  // A tunnel by which packets may come; the key is {set, ip}. Index: `bucket_index` over TUNNEL_SOURCE_*.
  localparam int unsigned TunnelSourceBits = 47;
  typedef struct packed {
    logic [31:0]   ip;
    logic [13:0]   set;
    logic          valid;
  } tunnel_source_t;

  // Floating IP without port map, towards its pod (direction both or ingress); the key is {vif, ip}. Index: `bucket_index` over PLAIN_FIP_*.
  localparam int unsigned PlainFipBits = 55;
  typedef struct packed {
    logic [13:0]   map;
    logic [31:0]   ip;
    logic [7:0]    vif;
    logic          valid;
  } plain_fip_t;

  // What a share of the flow table may have (docs/datapath.md, section 9.6); index = vif, or `TUNNEL_SHARE_FIRST` + number of the tunnel (`share::of_tunnel`). A write fills the bucket of new pairs.
  localparam int unsigned FlowShareBits = 65;
  typedef struct packed {
    logic [23:0]   rate;
    logic [19:0]   burst;
    logic [19:0]   pairs;
    logic          valid;
  } flow_share_t;

  // What a share has; index as `FlowShare`'s.
  localparam int unsigned FlowShareStatsBits = 52;
  typedef struct packed {
    logic [31:0]   refused;
    logic [19:0]   pairs;
  } flow_share_stats_t;

  // A client and the member at which it is kept (docs/datapath.md, section 9.7); the key is {number, client}. Index: {way, row}, `bucket_index` without a slot; the rows are `hash::affinity_row`'s. The card makes them; the host reads and deletes.
  localparam int unsigned AffinityBits = 108;
  typedef struct packed {
    logic [19:0]   timeout;
    logic [19:0]   last;
    logic [7:0]    generation;
    logic [10:0]   slot;
    logic [31:0]   client;
    logic [15:0]   number;
    logic          valid;
  } affinity_t;

  // H3 masks: output bit j is the parity of key & mask[j].
  localparam logic [63:0][127:0] KeyMasks = {
    128'hb8f3c703514835b9c72ab9d165348e5b,
    128'h2f9de984ba6fdc1329499df3fd7358ab,
    128'hecf4d27a67c15b7d1582d9b4f71796fc,
    128'h13153d720fcfd823b2e8dc0538a51a6b,
    128'h1f803cff69e77262db92b464d7da27fd,
    128'hab9f6b8309c8c4d898e9253e70ae9c85,
    128'h873bda2e0e89207996e19499dfd17dcf,
    128'h8a545c143e65c50a4ef9a3290a75a3c7,
    128'hf1948152785738a21aedb546b96adb26,
    128'h608777694ce4cdf8e8f1a8919341ce97,
    128'h922804071effe19652d06e0965fbd1f4,
    128'h1862daf4cab1729374e8fa652608a402,
    128'h83342d91b692546b111df72e45a6750d,
    128'hbdf64a00bbc63eeea38daa498a4474ec,
    128'hf6f569223e7ab07ca9c1fb60f139d778,
    128'he07c83e513e5e3e19511036ad803e886,
    128'h6ca84276fb395c5f875561bf6d1471a3,
    128'hbd8ef70019b83516755f4d1d4e37f173,
    128'h0b4b8883b7ad09521972cf2b7bddb759,
    128'h2541fa6a150a4407a1bc1971bf173d8f,
    128'h4f2140b046e4093d5906fb110e1d1349,
    128'h49e0de64166cb3fe271e35d4d1f8cc1a,
    128'heb1ef6331976bbb2f59882123208e276,
    128'h1364f89a38c298d3b83588661791d0b9,
    128'h1b0aa977d82ff7e51642ccbad2fe08cf,
    128'h17e27c981cbc735b1aceed944264c326,
    128'h05e30456522f6b9551de11e4595020f8,
    128'hacb70bddb1ef57ff202e8db72bc40b70,
    128'h391096af0dc40c6773b0370d45c34e41,
    128'h4056d8b8007ae11c0fede2475f3d698c,
    128'h8d7ba7fcbb754e9f3ac9221342ad1432,
    128'hab6251bb52e85c6a1b358b9d53eaaa16,
    128'h01ab4eede619943a50902e17a741a401,
    128'hec34557b60d95d2a3f2182b18fe50072,
    128'hafe13c997b61d177b4bc9f11b8012d3a,
    128'h6e0c5adc418d23f379037add509f7f79,
    128'hbb4fcf3a221566be9cd67e0837f014ff,
    128'h2ec6b3e8ebb98a92ec268a2a50c18df7,
    128'h7b8d984375ccc281f9953da70a2bbe47,
    128'h0dd1584a3b9d4e2ad6f8b01bf4f7cccd,
    128'h018de4a5f3ba99575ec71955897941b3,
    128'h94787c62e56f9d0f9acbcf2723323d3f,
    128'h8fcda652fa2e342733a9116694cddf9c,
    128'h57f83a61bbf659a4e47a23216f128065,
    128'hfa70538984bb9b77097137f6b9003b7d,
    128'h49d86299c11858c4b0d2df8b94794fb3,
    128'h344e9c13861352f5c7cee6d8023368f2,
    128'hcc911230a8b95ae217c5e3554f1e4700,
    128'hbfed0a377e516c09ff81191a448305d1,
    128'h1d98e8ed85c6bec8d5dd191aa269fbb5,
    128'h89efe3d5df8dde1d8578b0ee9aade7d9,
    128'h27d63a5a2862f006531e7f1c29c4e8ea,
    128'h27e7e8b07cc0db5b37e19771bbb7025f,
    128'hb764aa1554390e31ffc22c9cbe2fe3fc,
    128'h48df2743b35e4fbad960e41291d10cd5,
    128'h16b044c1dbfdc63933db75af82045446,
    128'he0dfaf48c9c30de80cdaebb593f37e84,
    128'h7d50ef656ee5667a2688696e0743641a,
    128'h34eee0e8f8ce073c65e04266d542ae2d,
    128'h9763ca89f2df3cfd5ab4eade01c3061b,
    128'he041ef41c3d39e995271f7f0eb4df7fc,
    128'h92f15450321f2e504edcac41ae0e2d1f,
    128'h1ac204c0871be435ff624bbe736e56f9,
    128'hd436226b134bd0c9aba386ad585f1929
  };
  localparam logic [31:0][127:0] MemberMasks = {
    128'h2a68380e9a47846983214a1a8f79f274,
    128'h67b7812d00ecda093c7b380c5c604954,
    128'hcf9c38cc17ea867cff1ba231ca7ab3b4,
    128'hf62c5a84087c95363331f5a851d3f16c,
    128'he7c793504a80e23245b582cd1cb359d7,
    128'h10b3ad8004aa3995fc3d2a376f387eff,
    128'h0582add18bddc8c3ef801e9e9c5cd179,
    128'h95a2205962a56e5b4d23aa36283fbec7,
    128'h33fe1b33f64790d394471b90834ce579,
    128'h146672e630b43f655b0b3937c15fb9be,
    128'h70652fa1a2b21e7d280df65f01c0a44a,
    128'hc1dfde9d9e3f24d85b1b5216d91f14e8,
    128'hfdca065a3016484d67227f9139d5c03e,
    128'hbe5cc9c7330e5d0a60fdf493728c4ff9,
    128'h09faa0763faeac3375ae0adbe7dc0024,
    128'h0bc16e17ceebe9ad1817fc3bb0f66c10,
    128'h364369d60a793dd548df619b23efa6f2,
    128'h9adbc3808e8dd454a9cf0c1275008821,
    128'h77cbe0ccde4b5b9ed1c87abfd6dd768b,
    128'he6afab0a14248a16c7d6c652c399efbb,
    128'hb5278f0f45ccdf813ee471602b02034b,
    128'h2b36d65cbb5cc982e2e1d324ffea1a06,
    128'hdf64d7ceac64e7f352c14295f163703a,
    128'h978f755290e41d90a619438d0cc491ce,
    128'h69832973a75d7d062e18d17f5c371fcf,
    128'h35f57c52e42894ef68ccaabc6584425c,
    128'hd7b34181f3dd64305a77ccd327095220,
    128'hd02a22976a3c0590a8867b3fd076f879,
    128'h14f08e7ac81e0b611431291d4f2b4e7a,
    128'hbb267edc78e775f06d024615d51e54be,
    128'hbee2bcc3c917b37a317e0e948e03582a,
    128'h03720cd8453eadda6db8739764993b8c
  };

  // What the flow table's secret is XORed with (crate penstock-abi, hash::FLOW_SECRET_BASE).
  localparam logic [191:0] FlowSecretBase = 192'h0d0ab24dc55ec90f1b1c5dce7dd4991110925cf239d0087a;

  // Last step of the flow table's hash: output bit j is the parity of sums & mask[j].
  localparam logic [95:0][95:0] FlowMix = {
    96'h64e8a63365aa016ffaf82eca,
    96'h238654b44a70059a0ecf4856,
    96'ha36694263875733183e3d416,
    96'h3564c110170e12ad9b93bd68,
    96'h6b59ddfb0879c943c945f2a1,
    96'h80e5c3b7d68ba6f363b03f35,
    96'h09b604b594d2f003491cace4,
    96'h2859d9c51f7fbea114abdec0,
    96'hc1824f79444766f7e4f7bc42,
    96'hcb30cdf202ec0966412b161b,
    96'hee74b6979d9bb2da5be013ec,
    96'hff4ab9b24f6058443d9ac991,
    96'h7cc58d36f945e0c8de639108,
    96'hc4eccf91d85edec85aa45e63,
    96'hb07146b1a769ae6ea02095db,
    96'hc588ef4b3d3a2bba55fdbdd4,
    96'h562e62f8b9ca4be0681003e6,
    96'hadf23e1b2b6de24b7cc2b1c1,
    96'hc281af4f321aaed1ef7c49e7,
    96'ha760094fdc46fc397ca77972,
    96'h7e347b0ff283f526baa1c204,
    96'h05c2b4fcc61a66a915b338fe,
    96'hcff0ed38aa9d4e85cc9a4c72,
    96'h29d1ed3d1ffaa68502b88022,
    96'h2cf09bd7bae0207965595180,
    96'hfac15b5633f1be5910754dba,
    96'h46c6a7140fefb171bce641aa,
    96'hb65f72dc3e562ab425d0e2ec,
    96'h43fb09d5b5ff8ddb7378ac28,
    96'h54a38b7a28c1d27bd9ace968,
    96'ha1100d35c6adf964ee448439,
    96'h95be738c267d46343d6ac07a,
    96'h6414d10e369ea2805ad93ce4,
    96'ha6299d9f1685343864989159,
    96'hb57f760871e0e75b163dd5d4,
    96'h579d0323a32ac461aad158fe,
    96'hac887354e6f6030e5ab99d9b,
    96'h5eb558a820ee1122689ceb58,
    96'hb1ea7a58e316fe55edb51396,
    96'h209012879c53ab8df23a312d,
    96'h929254d00083b854822371f2,
    96'haa69777a6307f68ef7a6be21,
    96'h51b943744fe0f3f1f18b0b89,
    96'hc38b7a51455f5920e9f0ab92,
    96'hf734c05d52d1f4dbf289217d,
    96'h6bc03347096a0ba6b1170778,
    96'ha2a459cf5c012cf12132513d,
    96'h9a7dc1fd6b2e6a467db31711,
    96'h0d083cb604b8f2a9bdeb4140,
    96'h6fc8230a1dbb56e6cd7cf91d,
    96'hd857f49dc047132f3035c976,
    96'h42dc8b030a2b407f0253b3c8,
    96'h4fa5f2f226648cc24056d06b,
    96'he5c8e94d1fe46d1cb6309009,
    96'h725171396a79dd55bdc76412,
    96'h3a688844e1dc09894ac34fec,
    96'h016bcee6a25cd7f9c54e9f4c,
    96'h77092678d65f1f94a6dc28b6,
    96'hd968688bc69acab5aa5d1199,
    96'h38f62d6eb9dcd84aacda1235,
    96'hbd4a0c7e0b55253e8268b50a,
    96'h9e8f1f85ed00b728e8d6fbfa,
    96'h22cedd5c7aa7c9a924831fbc,
    96'h4baea61ccd8f7ce3bb32756b,
    96'h39f219a50c3f2f995c61d204,
    96'h20388d19ed4c09ee94529e81,
    96'h422bf7a8a8ac119b62fd3933,
    96'ha4dba288d902a99398418513,
    96'h7a0e9a80cb06aa920000c831,
    96'ha352aabbd921f71984527714,
    96'hec239a7dbfe84a8ec52f878c,
    96'h653ac8893bd7af98e9753985,
    96'h0523c243e851b24c2d59e1b3,
    96'he227a7ab8b655606af91c215,
    96'h3efda41891c5f02d71b5f53d,
    96'he97b9b9eeebba6932c2f6945,
    96'h5e504f20893dcb79d67cc6f0,
    96'h3fbff4326c572897800a60e1,
    96'ha9ce5f2887839011af30888c,
    96'h583ee0aee7b1ae28b696a065,
    96'ha4e3e1cbcdeb318ceb14b1ca,
    96'h27bd36a9ba3c7b36cd6c37aa,
    96'h2b6e3b2c7f1728093378397a,
    96'h649dc5ba714a5666967ea049,
    96'hc97d49a1e116e97f42fa5aef,
    96'h47095c469fc22affb9cfd7e7,
    96'h6d4afde150439e84d1af217f,
    96'h04a761269e8749b22a106eaf,
    96'h05f821475deb0bb1a84f02de,
    96'h4fe6de032190588f1b58ed85,
    96'h699688b9207fbfa5f54ffc00,
    96'hd5956c9262ef20affa135e79,
    96'hb88051f6c9f87bffcebfe47a,
    96'hc99e6f97f7c313965d1bd691,
    96'h6c58e3292d4e8974883da635,
    96'h4171adda29127271f56281b6
  };

  // CRC-64 of digests: bit j of a word's step is the parity of word & mask[j] (crate penstock-abi, digest::MASKS).
  localparam logic [63:0][31:0] DigestMasks = {
    32'habc694e8,
    32'hfe25de9c,
    32'h7f12ef4e,
    32'h3f8977a7,
    32'hb4022f3b,
    32'h5a01179d,
    32'h2d008bce,
    32'hbd46d10f,
    32'h5ea36887,
    32'h849720ab,
    32'he98d04bd,
    32'h74c6825e,
    32'h91a5d5c7,
    32'he3147e0b,
    32'h718a3f05,
    32'h38c51f82,
    32'h1c628fc1,
    32'ha5f7d308,
    32'h52fbe984,
    32'h82bb602a,
    32'h415db015,
    32'h8b684ce2,
    32'hee72b299,
    32'hdcffcda4,
    32'hc5b9723a,
    32'h62dcb91d,
    32'h316e5c8e,
    32'hb371baaf,
    32'h59b8dd57,
    32'h871afa43,
    32'h438d7d21,
    32'h8a002a78,
    32'heec681d4,
    32'hdca5d402,
    32'h6e52ea01,
    32'h9cefe1e8,
    32'h4e77f0f4,
    32'h8cfd6c92,
    32'hedb822a1,
    32'hdd1a85b8,
    32'hc54bd634,
    32'h62a5eb1a,
    32'h3152f58d,
    32'h18a97ac6,
    32'h0c54bd63,
    32'hadecca59,
    32'hfd30f1c4,
    32'hd55eec0a,
    32'h6aaf7605,
    32'h3557bb02,
    32'h1aabdd81,
    32'h0d55eec0,
    32'had6c6388,
    32'hfd70a52c,
    32'hd57ec67e,
    32'hc179f7d7,
    32'h60bcfbeb,
    32'h9b98e91d,
    32'h4dcc748e,
    32'h26e63a47,
    32'h13731d23,
    32'h09b98e91,
    32'haf1a53a0,
    32'h578d29d0
  };

  // Hash that places keys (crate penstock-abi, hash::key_hash).
  function automatic logic [63:0] key_hash(input logic [127:0] key);
    for (int i = 0; i < 64; i++) key_hash[i] = ^(key & KeyMasks[i]);
  endfunction

  // Hash that picks ECMP members, of an already masked and packed key.
  function automatic logic [31:0] member_hash(input logic [127:0] key);
    for (int i = 0; i < 32; i++) member_hash[i] = ^(key & MemberMasks[i]);
  endfunction

  // The flow table's hash in its two steps (crate penstock-abi, hash::flow_hash): three sums of NH, then the mix.
  // A pipeline calls neither flow_nh nor flow_hash, but cuts them where it likes.
  function automatic logic [31:0] flow_nh(input logic [7:0][15:0] words, input logic [7:0][15:0] secret);
    logic [7:0][15:0] sums;
    for (int i = 0; i < 8; i++) sums[i] = words[i] + secret[i];
    flow_nh = '0;
    for (int i = 0; i < 8; i += 2) flow_nh += {16'b0, sums[i]} * {16'b0, sums[i+1]};
  endfunction

  function automatic logic [FlowHashBits-1:0] flow_mix(input logic [FlowHashBits-1:0] sums);
    for (int i = 0; i < FlowHashBits; i++) flow_mix[i] = ^(sums & FlowMix[i]);
  endfunction

  function automatic logic [FlowHashBits-1:0] flow_hash(input logic [127:0] key,
                                                        input logic [191:0] secret);
    logic [11:0][15:0] k;
    k         = secret ^ FlowSecretBase;
    flow_hash = flow_mix({flow_nh(key, k[11:4]), flow_nh(key, k[9:2]), flow_nh(key, k[7:0])});
  endfunction

  // Row of a way, and fingerprint, of a flow's hash.
  /* verilator lint_off UNUSEDSIGNAL */
  function automatic logic [FlowRowsLog2-1:0] flow_row(input logic [FlowHashBits-1:0] hash, input int unsigned way);
    flow_row = hash[way*FlowRowBits +: FlowRowsLog2];
  endfunction

  function automatic logic [FlowFingerprintBits-1:0] flow_fingerprint(input logic [FlowHashBits-1:0] hash);
    flow_fingerprint = hash[FlowFingerprintLsb +: FlowFingerprintBits];
  endfunction
  /* verilator lint_on UNUSEDSIGNAL */

  // Hash of a client's address (crate penstock-abi, hash::client_hash): sums of one product, the same mix.
  function automatic logic [31:0] client_nh(input logic [1:0][15:0] words, input logic [1:0][15:0] secret);
    logic [1:0][15:0] sums;
    for (int i = 0; i < 2; i++) sums[i] = words[i] + secret[i];
    client_nh = {16'b0, sums[0]} * {16'b0, sums[1]};
  endfunction

  function automatic logic [FlowHashBits-1:0] client_hash(input logic [31:0] client, input logic [191:0] secret);
    logic [5:0][15:0] k;
    k           = 96'(secret ^ FlowSecretBase);
    client_hash = flow_mix({client_nh(client, k[5:4]), client_nh(client, k[3:2]), client_nh(client, k[1:0])});
  endfunction

  // Row of a way of the table Affinity, from the hashes of its key's parts: client_hash, and key_hash of the number.
  /* verilator lint_off UNUSEDSIGNAL */
  function automatic logic [AffinityRowsLog2-1:0] affinity_row(input logic [FlowHashBits-1:0] client,
                                                               input logic [63:0] number, input int unsigned way);
    affinity_row = client[way*FlowRowBits +: AffinityRowsLog2] ^ number[way*AffinityRowsLog2 +: AffinityRowsLog2];
  endfunction
  /* verilator lint_on UNUSEDSIGNAL */

  // Index of the share of a tunnel, by its outer source (crate penstock-abi, share::of_tunnel).
  function automatic flow_share_addr_t tunnel_share(input logic [31:0] source);
    tunnel_share = flow_share_addr_t'(TunnelShareFirst)
                   + {1'b0, source[11:0] ^ source[23:12] ^ {4'b0, source[31:24]}};
  endfunction

  // Where a flow's key stands; as a number, its index in the table Flow.
  typedef struct packed {
    logic [$clog2(FlowWays)-1:0]    way;
    logic [FlowRowsLog2-1:0]        row;
    logic [$clog2(BucketSlots)-1:0] slot;
  } flow_index_t;

  // Where a client stands, likewise.
  typedef struct packed {
    logic [$clog2(AffinityWays)-1:0] way;
    logic [AffinityRowsLog2-1:0]     row;
  } affinity_index_t;

  // Entries of a table; 0 for an id that is none.
  function automatic logic [31:0] table_depth(input logic [7:0] id);
    unique case (id)
      TableVif: table_depth = 32'd256;
      TableIlm: table_depth = 32'd8192;
      TableNextHop: table_depth = 32'd32768;
      TableEcmp: table_depth = 32'd262144;
      TableHostRoute: table_depth = 32'd65536;
      TablePrefix: table_depth = 32'd65536;
      TableFipKey: table_depth = 32'd16384;
      TableFipMap: table_depth = 32'd16384;
      TableFlow: table_depth = Flows;
      TableFlowStats: table_depth = Flows;
      TableVifStats: table_depth = 32'd256;
      TableDropStats: table_depth = 32'd64;
      TableCardStats: table_depth = 32'd16;
      TableDefaultRoute: table_depth = 32'd4096;
      TablePrefixLength: table_depth = 32'd8;
      TableVrf: table_depth = 32'd4096;
      TableServiceKey: table_depth = 32'd32768;
      TableTunnelSource: table_depth = 32'd32768;
      TablePlainFip: table_depth = 32'd4096;
      TableFlowShare: table_depth = 32'd4352;
      TableFlowShareStats: table_depth = 32'd4352;
      TableAffinity: table_depth = Affinities;
      default: table_depth = '0;
    endcase
  endfunction

  // Whether bit 0 of the table's entries is `valid`.
  function automatic logic table_has_valid(input logic [7:0] id);
    unique case (id)
      TableVif: table_has_valid = 1'b1;
      TableIlm: table_has_valid = 1'b1;
      TableNextHop: table_has_valid = 1'b1;
      TableEcmp: table_has_valid = 1'b1;
      TableHostRoute: table_has_valid = 1'b1;
      TablePrefix: table_has_valid = 1'b1;
      TableFipKey: table_has_valid = 1'b1;
      TableFipMap: table_has_valid = 1'b1;
      TableFlow: table_has_valid = 1'b1;
      TableDefaultRoute: table_has_valid = 1'b1;
      TablePrefixLength: table_has_valid = 1'b1;
      TableVrf: table_has_valid = 1'b1;
      TableServiceKey: table_has_valid = 1'b1;
      TableTunnelSource: table_has_valid = 1'b1;
      TablePlainFip: table_has_valid = 1'b1;
      TableFlowShare: table_has_valid = 1'b1;
      TableAffinity: table_has_valid = 1'b1;
      default: table_has_valid = 1'b0;
    endcase
  endfunction

  // 32-bit words that hold an entry of the table.
  function automatic logic [3:0] table_words(input logic [7:0] id);
    unique case (id)
      TableVif: table_words = 4'd5;
      TableIlm: table_words = 4'd2;
      TableNextHop: table_words = 4'd7;
      TableEcmp: table_words = 4'd2;
      TableHostRoute: table_words = 4'd4;
      TablePrefix: table_words = 4'd4;
      TableFipKey: table_words = 4'd3;
      TableFipMap: table_words = 4'd4;
      TableFlow: table_words = 4'd9;
      TableFlowStats: table_words = 4'd4;
      TableVifStats: table_words = 4'd8;
      TableDropStats: table_words = 4'd2;
      TableCardStats: table_words = 4'd2;
      TableDefaultRoute: table_words = 4'd2;
      TablePrefixLength: table_words = 4'd1;
      TableVrf: table_words = 4'd1;
      TableServiceKey: table_words = 4'd4;
      TableTunnelSource: table_words = 4'd2;
      TablePlainFip: table_words = 4'd2;
      TableFlowShare: table_words = 4'd3;
      TableFlowShareStats: table_words = 4'd2;
      TableAffinity: table_words = 4'd4;
      default: table_words = '0;
    endcase
  endfunction

  // What a register says that tells how large something is; 0 for any other.
  function automatic logic [31:0] size_register(input logic [15:0] offset);
    unique case (offset)
      RegDepthVif: size_register = 32'd256;
      RegDepthIlm: size_register = 32'd8192;
      RegDepthNextHop: size_register = 32'd32768;
      RegDepthEcmp: size_register = 32'd262144;
      RegDepthHostRoute: size_register = 32'd65536;
      RegDepthPrefix: size_register = 32'd65536;
      RegDepthFipKey: size_register = 32'd16384;
      RegDepthFipMap: size_register = 32'd16384;
      RegDepthFlow: size_register = Flows;
      RegDepthFlowStats: size_register = Flows;
      RegDepthVifStats: size_register = 32'd256;
      RegDepthDropStats: size_register = 32'd64;
      RegDepthCardStats: size_register = 32'd16;
      RegDepthDefaultRoute: size_register = 32'd4096;
      RegDepthPrefixLength: size_register = 32'd8;
      RegDepthVrf: size_register = 32'd4096;
      RegDepthServiceKey: size_register = 32'd32768;
      RegDepthTunnelSource: size_register = 32'd32768;
      RegDepthPlainFip: size_register = 32'd4096;
      RegDepthFlowShare: size_register = 32'd4352;
      RegDepthFlowShareStats: size_register = 32'd4352;
      RegDepthAffinity: size_register = Affinities;
      RegEcmpGroupMax: size_register = 32'd1024;
      RegFlowRowsLog2: size_register = FlowRowsLog2;
      RegFlowsTranslatedMax: size_register = FlowsTranslatedMax;
      default: size_register = '0;
    endcase
  endfunction

endpackage
/* verilator lint_on UNUSEDPARAM */
