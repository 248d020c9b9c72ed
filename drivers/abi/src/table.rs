//! Table words: every entry of every table as named bit fields, least significant field first.
//!
//! An entry occupies at most [`ENTRY_WORDS`] 32-bit words; field `k` starts where field `k-1` ended, bit 0 of word 0
//! first. Bit 0 of every entry is `valid` (counters excepted). Index encodings of the hash tables are in [`bucket_index`].
//!
//! ```
//! use penstock_abi::table::{HostRoute, TableEntry};
//! let route = HostRoute { valid: true, vrf: 2, ip: 0x0a69_8b99, nh: 87, ..HostRoute::default() };
//! let words = route.pack();
//! assert_eq!(HostRoute::unpack(&words), route);
//! assert_eq!(words[0] & 1, 1);
//! ```

pub use crate::word::{
    ENTRY_WORDS, FieldDesc, FieldOverflow, FieldValue, TableEntry, Words, get_bits, put_bits,
};
use crate::word::{coded_enum, table_entry};
use crate::{affinity, limits};

coded_enum! {
    /// What a vif is attached to.
    VifKind {
        /// The fabric port: terminates tunnels, passes the rest to `vhost0`.
        Fabric = 0,
        /// The node's own interface: what it sends to the gateway's MAC address is routed, the rest is cross-connected with the fabric.
        Vhost = 1,
        /// The daemon's packet interface: receives, never sends into a VRF.
        Packet = 2,
        /// A pod.
        Virtual = 3,
    } else Fabric
}

coded_enum! {
    /// Which packets of a vif may make flow entries (docs/datapath.md, section 9).
    LearnPolicy {
        /// All that ask.
        Always = 0,
        /// Those that are translated or sent through a group.
        Translated = 1,
        /// None; what would be translated or sent through a group is dropped (`LearnOff`).
        Never = 2,
    } else Always
}

coded_enum! {
    /// What a next hop does with a packet.
    NextHopKind {
        /// Counted drop.
        Discard = 0,
        /// To a host-side vif (`vif`) for any address, Ethernet rewritten, translation where mapped: the node.
        Receive = 1,
        /// To a pod's vif, Ethernet rewritten, translation where mapped; only for the pod's address in the end.
        Encap = 2,
        /// Pushes a label and tunnels to another node.
        Tunnel = 3,
        /// ECMP group: `base`, `slots`, `live`, `hash_fields`.
        Composite = 4,
        /// To the firmware, which answers for a service without endpoints.
        Reject = 5,
    } else Discard
}

coded_enum! {
    /// By which tunnels packets of no known flow may come (docs/datapath.md, section 5; the words are RFC 3704's).
    SourceCheck {
        /// Those in the set of the route to their source.
        Strict = 0,
        /// Any that is known, if there is a route to their source, and not to this node only.
        Loose = 1,
        /// Any, unless their source is on this node only.
        Off = 2,
    } else Strict
}

coded_enum! {
    /// What becomes of packets that are routed to an address: of a floating IP, those for which there is no `ServiceKey`.
    ServiceAddress {
        /// It is none that lives by its listeners: the next hop.
        No = 0,
        /// To the firmware, which refuses them.
        Reject = 1,
        /// Counted drop.
        Drop = 2,
    } else No
}

table_entry! {
    /// Virtual interface; index = vif number.
    Vif {
        /// Entry is in use.
        valid: bool = 1,
        /// What it is attached to.
        kind: VifKind = 2,
        /// VRF of packets that arrive here.
        vrf: u16 = 12,
        /// Next hop used as flow-key next hop of packets that arrive here.
        nh: u16 = 16,
        /// MAC address of the far end (a pod's) or of the port itself (fabric, vhost).
        mac: u64 = 48,
        /// IPv4 address behind the vif; on the fabric, the tunnel end point. 0 = none known, no checks.
        ip: u32 = 32,
        /// Drop packets that arrive here with a source address other than `ip`.
        rpf: bool = 1,
        /// Which of its packets make flow entries; from the fabric, those that go to it.
        learn: LearnPolicy = 2,
        /// It begins connections under a floating IP where only that one's network has a route.
        egress: bool = 1,
        /// With `egress`: VRF of that network.
        egress_vrf: u16 = 12,
        /// With `egress`: mapping of the floating IP.
        egress_map: u16 = 14,
    }
}

table_entry! {
    /// MPLS input label map; index = label.
    Ilm {
        /// Entry is in use.
        valid: bool = 1,
        /// Next hop of packets that carry this label, unless it is a service's.
        nh: u16 = 16,
        /// Next hop used as flow-key next hop (an Encap's vif next hop, or a composite: one that no label of another VRF has).
        key_nh: u16 = 16,
        /// VRF the packet is in after decapsulation, and its replies are.
        vrf: u16 = 12,
        /// The label is a floating IP's: the next hop is `ServiceKey.local`.
        service: bool = 1,
    }
}

table_entry! {
    /// Next hop; index = next hop id. Which fields count depends on `kind`.
    NextHop {
        /// Entry is in use.
        valid: bool = 1,
        /// What it does.
        kind: NextHopKind = 3,
        /// Outgoing vif (Receive, Encap; 0 for Tunnel).
        vif: u8 = 8,
        /// Destination MAC written (Receive, Encap, Tunnel).
        dmac: u64 = 48,
        /// Source MAC written (Receive, Encap, Tunnel).
        smac: u64 = 48,
        /// Outer source address (Tunnel). Of a Composite bits 19..0 are the time-out of its clients' entries (`Affinity`) in units of 2^26 cycles of card time, 0 for none (since minor 3).
        sip: u32 = 32,
        /// Outer destination address (Tunnel).
        dip: u32 = 32,
        /// MPLS over GRE instead of MPLS over UDP (Tunnel).
        gre: bool = 1,
        /// First word of the group in the ECMP ring memory (Composite).
        base: u32 = 18,
        /// Slots, holes included: 0..=1024 (Composite).
        slots: u16 = 11,
        /// Words of the list of members that take new flows: 0..=1024 (Composite).
        live: u16 = 11,
        /// Fields that the member hash covers, see `hash::FIELD_*` (Composite).
        hash_fields: u8 = 5,
    }
}

impl NextHop {
    /// Time-out of the entries of a group's clients; 0 if it keeps none.
    #[must_use]
    pub const fn affinity_time(&self) -> u32 {
        match self.kind {
            NextHopKind::Composite => self.sip & ((1 << affinity::TIME_BITS) - 1),
            _ => 0,
        }
    }

    /// A group with this time-out of its clients' entries.
    #[must_use]
    pub const fn with_affinity_time(self, time: u32) -> Self {
        Self { sip: time, ..self }
    }
}

table_entry! {
    /// Word of the ECMP ring memory. A group at `base` has its `slots` words first, then its `live` words, a list of the members that take new flows, each of them once or more often.
    EcmpSlot {
        /// A member; otherwise a hole.
        valid: bool = 1,
        /// Keeps its flows but takes no new ones. Of a hole: nobody was ever in it.
        drain: bool = 1,
        /// Next hop of the member (Encap, Tunnel, Receive or Discard), or Reject in a list of nobody.
        nh: u16 = 16,
        /// Label pushed when `nh` is a Tunnel. With `local`: the member's mapping in the low 14 bits, 0 for none.
        label: u32 = 20,
        /// Generation of the slot: a flow pinned under another generation is not pinned.
        generation: u8 = 8,
        /// Slot number of the member, repeated here for the list.
        slot: u16 = 11,
        /// With `drain`: does not even keep its UDP flows, as long as another member takes new ones.
        evict_udp: bool = 1,
        /// The member is on this node (Encap, Receive): `label` is its mapping.
        local: bool = 1,
    }
}

table_entry! {
    /// Host route; the key is {vrf, ip}. Index: `bucket_index` over HOST_ROUTE_*.
    HostRoute {
        /// Entry is in use.
        valid: bool = 1,
        /// VRF.
        vrf: u16 = 12,
        /// IPv4 address.
        ip: u32 = 32,
        /// Next hop.
        nh: u16 = 16,
        /// Label pushed when `nh` is a Tunnel.
        label: u32 = 20,
        /// `label` is meaningful.
        label_valid: bool = 1,
        /// Whether it is a floating IP that lives by its listeners (`ServiceKey`), and what becomes of packets for none of them.
        service: ServiceAddress = 2,
        /// Set of tunnels by which packets with this source may come (`TunnelSource`); 0 = none, the address is on this node only.
        sources: u16 = 14,
    }
}

table_entry! {
    /// Route with a prefix of 1..=31 bits, or the part of one that has the length of a table. The key is {vrf, ip}. Index: {table, way, row, slot}, `bucket_index` over PREFIX_*, in the table that `hash::prefix_table` gives for the rank of its length (`PrefixLength`).
    Prefix {
        /// Entry is in use.
        valid: bool = 1,
        /// VRF.
        vrf: u16 = 12,
        /// IPv4 prefix of the table's length; bits beyond that are 0.
        ip: u32 = 32,
        /// Length of the prefix that this stands for, at most the table's: compared where the egress way is another route.
        len: u8 = 6,
        /// Next hop.
        nh: u16 = 16,
        /// Label pushed when `nh` is a Tunnel.
        label: u32 = 20,
        /// `label` is meaningful.
        label_valid: bool = 1,
        /// Set of tunnels by which packets with a source in here may come; 0 = none.
        sources: u16 = 14,
    }
}

table_entry! {
    /// Floating-IP key: which mapping translates (vif, protocol, floating IP, port) what comes from the fabric by the vif's own label. Index: `bucket_index` over FIP_KEY_*.
    /// A key with the pod's own address marks what is only sent translated: with a port, replies of TCP from there; with port 0, fragments of the protocol. Its `map` is 0.
    FipKey {
        /// Entry is in use.
        valid: bool = 1,
        /// vif of the backend.
        vif: u8 = 8,
        /// IP protocol.
        proto: u8 = 8,
        /// Floating IP.
        ip: u32 = 32,
        /// Destination port (0 for protocols without ports).
        port: u16 = 16,
        /// Index of the mapping.
        map: u16 = 14,
    }
}

table_entry! {
    /// Floating-IP mapping. Immutable while anything refers to it; reuse bumps `generation`. The first is never used: 0 is none.
    FipMap {
        /// Entry is in use.
        valid: bool = 1,
        /// Generation: a flow translated under another generation is not used.
        generation: u8 = 8,
        /// Address of the pod.
        pod_ip: u32 = 32,
        /// Port of the pod (targetPort); 0 without port map.
        pod_port: u16 = 16,
        /// Floating IP.
        vip: u32 = 32,
        /// Port of the service; 0 without port map.
        vip_port: u16 = 16,
    }
}

table_entry! {
    /// Key of a flow: 120 bits. Ports are 0 for protocols without; ICMP echo: sport = identifier, dport = 0; other ICMP: sport = 0, dport = type.
    FlowKey {
        /// Next hop of the vif or label the packet came by.
        nh: u16 = 16,
        /// IP protocol.
        proto: u8 = 8,
        /// Source address.
        sip: u32 = 32,
        /// Destination address.
        dip: u32 = 32,
        /// Source port.
        sport: u16 = 16,
        /// Destination port.
        dport: u16 = 16,
    }
}

table_entry! {
    /// Flow entry, inserted by the card in pairs. Index: `bucket_index` over FLOW_*: where the key stands, which the card chooses and changes. The host reads and deletes, never inserts.
    Flow {
        /// Entry is in use.
        valid: bool = 1,
        /// Key: next hop of the vif or label the packet came by.
        nh: u16 = 16,
        /// Key: IP protocol.
        proto: u8 = 8,
        /// Key: source address.
        sip: u32 = 32,
        /// Key: destination address.
        dip: u32 = 32,
        /// Key: source port.
        sport: u16 = 16,
        /// Key: destination port.
        dport: u16 = 16,
        /// Source address is translated.
        snat: bool = 1,
        /// Source port is translated.
        spat: bool = 1,
        /// Destination address is translated.
        dnat: bool = 1,
        /// Destination port is translated.
        dpat: bool = 1,
        /// Client and backend are behind the same vif: both addresses are translated.
        hairpin: bool = 1,
        /// Entry of the reply direction.
        reverse: bool = 1,
        /// `ecmp_slot` and `ecmp_generation` pin a member.
        ecmp_valid: bool = 1,
        /// Slot of the member within its group.
        ecmp_slot: u16 = 11,
        /// Generation of that slot when pinned.
        ecmp_generation: u8 = 8,
        /// `map` and `map_generation` name a mapping.
        map_valid: bool = 1,
        /// Floating-IP mapping that translates.
        map: u16 = 14,
        /// Generation of that mapping when pinned.
        map_generation: u8 = 8,
        /// Number of the pair, below `FLOW_PAIRS`: the entry of the other direction has the same, and the other `reverse`.
        pair: u32 = 19,
        /// Counts how often the statistics of {`pair`, `reverse`} restarted.
        generation: u8 = 8,
        /// VRF of the packet on arrival.
        vrf: u16 = 12,
        /// VRF in which it is forwarded after translation.
        dvrf: u16 = 12,
        /// Outer source address (from the fabric) or vif number (from a vif) of the packet that made the entry.
        src_info: u32 = 32,
        /// Next hop from which packets are expected; 0 = not checked.
        rpf_nh: u16 = 16,
    }
}

impl Flow {
    /// Its key.
    #[must_use]
    pub const fn key(&self) -> FlowKey {
        let Self { nh, proto, sip, dip, sport, dport, .. } = *self;
        FlowKey { nh, proto, sip, dip, sport, dport }
    }
}

table_entry! {
    /// Counters and TCP state of a flow; index as the flow's. The counts wrap.
    FlowStats {
        /// Packets.
        packets: u64 = 32,
        /// Frame bytes on arrival.
        bytes: u64 = 40,
        /// TCP flags seen, `TCP_*`.
        tcp: u8 = 4,
        /// Card time of the last packet, in units of 2^16 core cycles; 0 = none came yet.
        last_hit: u32 = 32,
    }
}

/// TCP state bit: SYN seen.
pub const TCP_SYN: u8 = 1;
/// TCP state bit: FIN seen.
pub const TCP_FIN: u8 = 2;
/// TCP state bit: RST seen.
pub const TCP_RST: u8 = 4;
/// TCP state bit: an ACK without SYN followed a SYN of this direction.
pub const TCP_ESTABLISHED: u8 = 8;

table_entry! {
    /// Counters of a vif; index = vif number. Writable (to clear).
    VifStats {
        /// Frames received from the vif.
        rx_packets: u64 = 48,
        /// Bytes received from the vif.
        rx_bytes: u64 = 48,
        /// Frames sent to the vif.
        tx_packets: u64 = 48,
        /// Bytes sent to the vif.
        tx_bytes: u64 = 48,
        /// Frames received from the vif and dropped.
        drops: u64 = 48,
    }
}

table_entry! {
    /// One 48-bit counter; index = drop reason (`DropStats`) or `reason::CardCounter` (`CardStats`). Writable (to clear).
    Counter {
        /// The count.
        count: u64 = 48,
    }
}

table_entry! {
    /// Route of a VRF for what no other matches (prefix length 0); index = VRF.
    DefaultRoute {
        /// Entry is in use.
        valid: bool = 1,
        /// Next hop.
        nh: u16 = 16,
        /// Label pushed when `nh` is a Tunnel.
        label: u32 = 20,
        /// `label` is meaningful.
        label_valid: bool = 1,
        /// Set of tunnels by which packets with a source that nothing longer matches may come; 0 = none.
        sources: u16 = 14,
    }
}

table_entry! {
    /// What holds for a whole VRF; index = VRF.
    Vrf {
        /// Entry is in use; otherwise no service network, and Strict.
        valid: bool = 1,
        /// Service network: which `ServiceKey`s its packets meet; 0 = none.
        service_net: u16 = 12,
        /// By which tunnels packets may come whose replies are routed here.
        source_check: SourceCheck = 2,
    }
}

table_entry! {
    /// A listener of a floating IP; the key is {net, proto, ip, port}. Index: `bucket_index` over SERVICE_KEY_*. ICMP and protocols without ports never have one.
    ServiceKey {
        /// Entry is in use.
        valid: bool = 1,
        /// Service network, from 1.
        net: u16 = 12,
        /// IP protocol.
        proto: u8 = 8,
        /// Floating IP.
        ip: u32 = 32,
        /// Port of the service.
        port: u16 = 16,
        /// Next hop of packets from vifs (Composite, Reject or Discard).
        nh: u16 = 16,
        /// Next hop of packets from the fabric by the floating IP's label: members of this node; 0 = it has none.
        local: u16 = 16,
        /// Number under which the clients of `nh` are kept at their members (`Affinity`), the same for the keys of a service port, as long as no slot of their groups has one member here and another there; 0 = they are not.
        affinity: u16 = 16 since 3,
    }
}

table_entry! {
    /// A tunnel by which packets may come; the key is {set, ip}. Index: `bucket_index` over TUNNEL_SOURCE_*.
    TunnelSource {
        /// Entry is in use.
        valid: bool = 1,
        /// Set of sources, from 1: `limits::SOURCES_KNOWN` has all that are known.
        set: u16 = 14,
        /// Outer source address.
        ip: u32 = 32,
    }
}

table_entry! {
    /// Floating IP without port map, towards its pod (direction both or ingress); the key is {vif, ip}. Index: `bucket_index` over PLAIN_FIP_*.
    PlainFip {
        /// Entry is in use.
        valid: bool = 1,
        /// vif of the pod.
        vif: u8 = 8,
        /// Floating IP.
        ip: u32 = 32,
        /// Index of the mapping.
        map: u16 = 14,
    }
}

table_entry! {
    /// What a share of the flow table may have (docs/datapath.md, section 9.6); index = vif, or `TUNNEL_SHARE_FIRST` + number of the tunnel (`share::of_tunnel`). A write fills the bucket of new pairs.
    FlowShare {
        /// Entry is in use; otherwise no limit.
        valid: bool = 1 since 2,
        /// Pairs that it may have; 0 = no limit.
        pairs: u32 = 20 since 2,
        /// New pairs that its bucket holds; 0 = no limit by time.
        burst: u32 = 20 since 2,
        /// New pairs that come into the bucket with each unit of card time (2^16 core cycles), times 2^12.
        rate: u32 = 24 since 2,
    }
}

table_entry! {
    /// What a share has; index as `FlowShare`'s.
    FlowShareStats {
        /// Pairs that there are, or that wait to be made.
        pairs: u32 = 20 since 2,
        /// Packets whose new pair was refused as this share was over its limit. Wraps.
        refused: u32 = 32 since 2,
    }
}

table_entry! {
    /// A client and the member at which it is kept (docs/datapath.md, section 9.7); the key is {number, client}. Index: {way, row}, `bucket_index` without a slot; the rows are `hash::affinity_row`'s. The card makes them; the host reads and deletes.
    Affinity {
        /// Entry is in use.
        valid: bool = 1 since 3,
        /// Key: number of the service's affinity.
        number: u16 = 16 since 3,
        /// Key: address of the client.
        client: u32 = 32 since 3,
        /// Slot of the member within the group.
        slot: u16 = 11 since 3,
        /// Generation of that slot.
        generation: u8 = 8 since 3,
        /// Card time when it was last made or renewed, in units of 2^26 core cycles, modulo 2^20.
        last: u32 = 20 since 3,
        /// Time-out of the group then, in the same units: an entry that is older counts no more.
        timeout: u32 = 20 since 3,
    }
}

table_entry! {
    /// Length of the prefixes that a look-up asks for; index = rank. Of the ranks that hit the lowest wins, so the longest length stands first. Changed only while no prefix is in the tables.
    PrefixLength {
        /// Prefixes of this length are looked for.
        valid: bool = 1,
        /// Prefix length, PREFIX_LEN_MIN..=31.
        len: u8 = 6,
    }
}

/// Identifies a table in a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum TableId {
    /// [`Vif`]
    Vif = 0,
    /// [`Ilm`]
    Ilm = 1,
    /// [`NextHop`]
    NextHop = 2,
    /// [`EcmpSlot`]
    Ecmp = 3,
    /// [`HostRoute`]
    HostRoute = 4,
    /// [`Prefix`]
    Prefix = 5,
    /// [`FipKey`]
    FipKey = 6,
    /// [`FipMap`]
    FipMap = 7,
    /// [`Flow`]; a write of all zeros deletes the entry and its partner, any other write is refused.
    Flow = 8,
    /// [`FlowStats`]; read only.
    FlowStats = 9,
    /// [`VifStats`]
    VifStats = 10,
    /// [`Counter`] by [`crate::reason::DropReason`].
    DropStats = 11,
    /// [`Counter`] by [`crate::reason::CardCounter`].
    CardStats = 12,
    /// [`DefaultRoute`]
    DefaultRoute = 13,
    /// [`PrefixLength`]
    PrefixLength = 14,
    /// [`Vrf`]
    Vrf = 15,
    /// [`ServiceKey`]
    ServiceKey = 16,
    /// [`TunnelSource`]
    TunnelSource = 17,
    /// [`PlainFip`]
    PlainFip = 18,
    /// [`FlowShare`]
    FlowShare = 19,
    /// [`FlowShareStats`]; read only.
    FlowShareStats = 20,
    /// [`Affinity`]; a write of all zeros deletes the entry, any other write is refused.
    Affinity = 21,
}

/// What the generator and the tools know about a table.
#[derive(Clone, Copy, Debug)]
pub struct TableDesc {
    /// Its id.
    pub id: TableId,
    /// Name of the table.
    pub name: &'static str,
    /// Number of entries of the card that the RTL generated from these definitions is; others say theirs in
    /// [`crate::regs::depth`].
    pub depth: u32,
    /// Name of the entry's type.
    pub entry: &'static str,
    /// Width of the entry in bits.
    pub bits: u32,
    /// Bit 0 is `valid`, so that GET_NEXT works.
    pub has_valid: bool,
    /// Minor version that added it; 0 = as old as the major version.
    pub since: u16,
}

const fn desc<E: TableEntry>(
    id: TableId,
    name: &'static str,
    depth: u32,
    has_valid: bool,
) -> TableDesc {
    TableDesc { id, name, depth, entry: E::NAME, bits: E::BITS, has_valid, since: 0 }
}

/// All tables, in the order of their ids.
pub const TABLES: &[TableDesc] = &[
    desc::<Vif>(TableId::Vif, "Vif", limits::VIFS, true),
    desc::<Ilm>(TableId::Ilm, "Ilm", limits::LABELS, true),
    desc::<NextHop>(TableId::NextHop, "NextHop", limits::NEXT_HOPS, true),
    desc::<EcmpSlot>(TableId::Ecmp, "Ecmp", limits::ECMP_WORDS, true),
    desc::<HostRoute>(TableId::HostRoute, "HostRoute", limits::HOST_ROUTES, true),
    desc::<Prefix>(TableId::Prefix, "Prefix", limits::PREFIXES, true),
    desc::<FipKey>(TableId::FipKey, "FipKey", limits::FIP_KEYS, true),
    desc::<FipMap>(TableId::FipMap, "FipMap", limits::FIP_MAPS, true),
    desc::<Flow>(TableId::Flow, "Flow", limits::FLOWS, true),
    desc::<FlowStats>(TableId::FlowStats, "FlowStats", limits::FLOWS, false),
    desc::<VifStats>(TableId::VifStats, "VifStats", limits::VIFS, false),
    desc::<Counter>(TableId::DropStats, "DropStats", 64, false),
    desc::<Counter>(TableId::CardStats, "CardStats", 16, false),
    desc::<DefaultRoute>(TableId::DefaultRoute, "DefaultRoute", limits::VRFS, true),
    desc::<PrefixLength>(TableId::PrefixLength, "PrefixLength", limits::PREFIX_TABLES, true),
    desc::<Vrf>(TableId::Vrf, "Vrf", limits::VRFS, true),
    desc::<ServiceKey>(TableId::ServiceKey, "ServiceKey", limits::SERVICE_KEYS, true),
    desc::<TunnelSource>(TableId::TunnelSource, "TunnelSource", limits::TUNNEL_SOURCES, true),
    desc::<PlainFip>(TableId::PlainFip, "PlainFip", limits::PLAIN_FIPS, true),
    desc::<FlowShare>(TableId::FlowShare, "FlowShare", limits::FLOW_SHARES, true).added(2),
    desc::<FlowShareStats>(TableId::FlowShareStats, "FlowShareStats", limits::FLOW_SHARES, false)
        .added(2),
    desc::<Affinity>(TableId::Affinity, "Affinity", limits::AFFINITIES, true).added(3),
];

impl TableDesc {
    /// Added by this minor version.
    const fn added(self, since: u16) -> Self {
        Self { since, ..self }
    }

    /// 32-bit words that an entry has bits in; those behind are always 0.
    #[must_use]
    pub const fn words(&self) -> usize {
        self.bits.div_ceil(32) as usize
    }
}

impl TableId {
    /// The table with this number.
    #[must_use]
    pub fn from_u8(id: u8) -> Option<Self> {
        TABLES.get(usize::from(id)).map(|d| d.id)
    }
    /// Its description.
    #[must_use]
    pub fn desc(self) -> &'static TableDesc {
        &TABLES[self as usize]
    }
}

/// Index of (way, row, slot) in a hash table: `{way, row, slot}` with `rows_log2` bits of row and two of slot.
#[must_use]
pub const fn bucket_index(way: u32, row: u32, slot: u32, rows_log2: u32) -> u32 {
    (way << (rows_log2 + 2)) | (row << 2) | slot
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_stands_at_its_id() {
        for (i, d) in TABLES.iter().enumerate() {
            assert_eq!(d.id as usize, i);
            assert!(d.bits as usize <= ENTRY_WORDS * 32);
        }
    }

    #[test]
    fn fields_do_not_touch_each_other() {
        let all_ones = NextHop { smac: (1 << 48) - 1, ..NextHop::default() };
        let words = all_ones.pack();
        let set: u32 = words.iter().map(|w| w.count_ones()).sum();
        assert_eq!(set, 48);
        assert_eq!(NextHop::unpack(&words).smac, (1 << 48) - 1);
        assert_eq!(NextHop::unpack(&words).dmac, 0);
    }

    #[test]
    fn a_code_without_a_name_is_kept() {
        for code in 0..8 {
            let mut words = [0; ENTRY_WORDS];
            put_bits(&mut words, 1, 3, code);
            assert_eq!(NextHop::unpack(&words).pack(), words, "code {code}");
        }
        let wide = NextHop { kind: NextHopKind::Undefined(8), ..NextHop::default() };
        assert_eq!(wide.check().map_err(|error| error.field), Err("kind"));
    }

    #[test]
    fn the_default_is_a_clear_entry() {
        let zeros = [0; ENTRY_WORDS];
        assert_eq!(
            (Vif::default(), NextHop::unpack(&zeros)),
            (Vif::unpack(&zeros), NextHop::default())
        );
        assert!(Vif::default().is_clear());
        assert!(!Vif { rpf: true, ..Vif::default() }.is_clear());
        assert!(!Vif { kind: VifKind::Vhost, ..Vif::default() }.is_clear());
    }

    #[test]
    fn overflow_names_the_field() {
        let err = Ilm { vrf: 4096, ..Ilm::default() }.check().unwrap_err();
        assert_eq!((err.entry, err.field), ("Ilm", "vrf"));
        // Types may be wider than their fields.
        let group = NextHop { base: 1 << 18, ..NextHop::default() };
        assert_eq!(group.check().map_err(|err| (err.field, err.value)), Err(("base", 262_144)));
    }
}
