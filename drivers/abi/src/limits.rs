//! Sizes of tables and the numbers with a fixed meaning. Entries, unless a name says otherwise.
//!
//! The sizes are those of the card that the RTL generated from these definitions is. A card says its own in registers
//! ([`crate::regs::depth`]), and a host goes by these.

/// Virtual interfaces, numbered 0..`VIFS`.
pub const VIFS: u32 = 256;
/// vif of the fabric port.
pub const VIF_FABRIC: u8 = 0;
/// vif of the node's own interface on the card (`vhost0`).
pub const VIF_VHOST: u8 = 1;
/// First number given to a pod's vif; 2 is kept for `pkt0`, the daemon's packet interface.
pub const VIF_FIRST_POD: u8 = 3;
/// VRFs, numbered 0..`VRFS`.
pub const VRFS: u32 = 4096;
/// MPLS labels accepted by the input label map: 16..`LABELS` (0..15 are reserved, RFC 3032 section 2.1).
pub const LABELS: u32 = 8192;
/// First label that is not reserved.
pub const LABEL_FIRST: u32 = 16;
/// Next hops; id 0 always discards.
pub const NEXT_HOPS: u32 = 32768;
/// Words of the ECMP ring memory shared by all groups.
pub const ECMP_WORDS: u32 = 262_144;
/// Most slots of one ECMP group (members and holes).
pub const ECMP_GROUP_MAX: u32 = 1024;
/// Slots a bucket of any hash table has.
pub const BUCKET_SLOTS: u32 = 4;
/// Ways (independent hash functions) of the host-route table.
pub const HOST_ROUTE_WAYS: u32 = 2;
/// Rows of one way of the host-route table, as a power of two.
pub const HOST_ROUTE_ROWS_LOG2: u32 = 13;
/// Host routes (`ways * rows * slots`).
pub const HOST_ROUTES: u32 = (HOST_ROUTE_WAYS * BUCKET_SLOTS) << HOST_ROUTE_ROWS_LOG2;
/// Tables of prefixes, and as many lengths, which the host sets (`PrefixLength`).
pub const PREFIX_TABLES: u32 = 8;
/// Ways of a table of prefixes.
pub const PREFIX_WAYS: u32 = 2;
/// Rows of one way of a table of prefixes, as a power of two.
pub const PREFIX_ROWS_LOG2: u32 = 10;
/// Entries for prefixes of 1..=31 bits, over all tables and VRFs (`tables * ways * rows * slots`).
pub const PREFIXES: u32 = (PREFIX_TABLES * PREFIX_WAYS * BUCKET_SLOTS) << PREFIX_ROWS_LOG2;
/// Shortest length that a table of prefixes may be set to: the bits before it choose the table (`hash::prefix_table`).
pub const PREFIX_LEN_MIN: u32 = 8;
/// Ways of the floating-IP key table.
pub const FIP_KEY_WAYS: u32 = 2;
/// Rows of one way of the floating-IP key table, as a power of two.
pub const FIP_KEY_ROWS_LOG2: u32 = 11;
/// Floating-IP keys (`ways * rows * slots`).
pub const FIP_KEYS: u32 = (FIP_KEY_WAYS * BUCKET_SLOTS) << FIP_KEY_ROWS_LOG2;
/// Floating-IP mappings.
pub const FIP_MAPS: u32 = 16384;
/// Ways of the table of services.
pub const SERVICE_KEY_WAYS: u32 = 2;
/// Rows of one way of the table of services, as a power of two.
pub const SERVICE_KEY_ROWS_LOG2: u32 = 12;
/// Listeners of floating IPs, over all service networks (`ways * rows * slots`).
pub const SERVICE_KEYS: u32 = (SERVICE_KEY_WAYS * BUCKET_SLOTS) << SERVICE_KEY_ROWS_LOG2;
/// Ways of the table of tunnels by which packets may come.
pub const TUNNEL_SOURCE_WAYS: u32 = 2;
/// Rows of one way of that table, as a power of two.
pub const TUNNEL_SOURCE_ROWS_LOG2: u32 = 12;
/// Tunnels by which packets may come, over all sets (`ways * rows * slots`).
pub const TUNNEL_SOURCES: u32 = (TUNNEL_SOURCE_WAYS * BUCKET_SLOTS) << TUNNEL_SOURCE_ROWS_LOG2;
/// Set of sources that has no keys: of addresses that are on this node only.
pub const SOURCES_NOBODY: u16 = 0;
/// Set of sources that has all that are known.
pub const SOURCES_KNOWN: u16 = 1;
/// Ways of the table of floating IPs without port map.
pub const PLAIN_FIP_WAYS: u32 = 2;
/// Rows of one way of that table, as a power of two.
pub const PLAIN_FIP_ROWS_LOG2: u32 = 9;
/// Floating IPs without port map (`ways * rows * slots`).
pub const PLAIN_FIPS: u32 = (PLAIN_FIP_WAYS * BUCKET_SLOTS) << PLAIN_FIP_ROWS_LOG2;
/// Ways of the flow table.
pub const FLOW_WAYS: u32 = 4;
/// Rows of one way of the flow table, as a power of two.
pub const FLOW_ROWS_LOG2: u32 = 14;
/// Flow entries (`ways * rows * slots`); a connection takes two.
pub const FLOWS: u32 = (FLOW_WAYS * BUCKET_SLOTS) << FLOW_ROWS_LOG2;
/// Pairs of flow entries, numbered 0..`FLOW_PAIRS`.
pub const FLOW_PAIRS: u32 = FLOWS / 2;
/// Flow entries in use above which a new flow that needs translation is dropped (`FlowTableFull`).
pub const FLOWS_TRANSLATED_MAX: u32 = FLOWS / 32 * 29;

/// Numbers of tunnels by which flows have shares; more tunnels than that share one.
pub const TUNNEL_SHARES: u32 = 4096;
/// Index of the first share of a tunnel; those before are of vifs.
pub const TUNNEL_SHARE_FIRST: u32 = 256;
/// Shares of the flow table.
pub const FLOW_SHARES: u32 = TUNNEL_SHARE_FIRST + TUNNEL_SHARES;
/// Ways of the table of clients, one slot each.
pub const AFFINITY_WAYS: u32 = 2;
/// Rows of one way of the table of clients, as a power of two.
pub const AFFINITY_ROWS_LOG2: u32 = 15;
/// Clients that the card keeps at their members (`ways * rows`).
pub const AFFINITIES: u32 = AFFINITY_WAYS << AFFINITY_ROWS_LOG2;

/// UDP destination port of MPLS-in-UDP (RFC 7510); sent and accepted.
pub const MPLS_UDP_PORT: u16 = 6635;
/// Pre-standard UDP destination port of MPLS-in-UDP; accepted only.
pub const MPLS_UDP_PORT_OLD: u16 = 51234;
/// Lowest UDP source port that carries flow entropy (RFC 7510 section 3 asks for 49152..65535).
pub const ENTROPY_PORT_MIN: u16 = 49152;
/// Number of entropy source ports used: 49152..=65534.
pub const ENTROPY_PORTS: u32 = 16383;
/// TTL of the outer IPv4 header.
pub const OUTER_TTL: u8 = 64;
/// MAC address with which the virtual gateway answers pods (IANA VRRP range, as Contrail's vRouter does).
pub const GATEWAY_MAC: [u8; 6] = [0x00, 0x00, 0x5e, 0x00, 0x01, 0x00];

/// Bytes of one beat of the 512-bit streams.
pub const BEAT_BYTES: usize = 64;
/// Longest frame the card takes, in bytes without FCS.
pub const FRAME_MAX_BYTES: usize = 9216;
/// Nominal core clock, in kHz: the user clock of a 100G Ethernet MAC.
pub const CORE_CLOCK_KHZ: u32 = 322_266;
/// Core cycles in which every packet decided under the old tables has left the match-action core.
pub const DRAIN_CYCLES: u32 = 128;
