//! What the card's tables shall mean, without hardware indices.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use penstock_abi::table::VifKind;
use penstock_model::{MacAddr, MplsLabel, Note, Prefix, Protocol, VifId, VrfId};
use serde::Serialize;

/// The desired state of all configuration tables.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Desired {
    /// Vifs by number.
    pub vifs: BTreeMap<VifId, VifEntry>,
    /// Next hops by what identifies them. Every [`Hop`] elsewhere names one of these.
    pub next_hops: BTreeMap<NextHopKey, NextHopSpec>,
    /// Input label map.
    pub labels: BTreeMap<MplsLabel, LabelEntry>,
    /// Host routes.
    pub routes: BTreeMap<(VrfId, Ipv4Addr), RouteTarget>,
    /// Routes with shorter prefixes; never to a group.
    pub prefixes: BTreeMap<(VrfId, Prefix), Hop>,
    /// Floating-IP port mappings. The keys that [`marks`](crate::marks) makes of them belong to the state too.
    pub fip: BTreeMap<FipKey, FipTarget>,
    /// Floating IPs that are served, and at which ports. What the card holds for members that are no longer wanted may
    /// stay for these only.
    pub services: BTreeMap<Ipv4Addr, BTreeSet<(Protocol, u16)>>,
    /// Remote nodes that wait for their MAC address.
    pub pending: Vec<Pending>,
    /// What was left out, and why.
    pub notes: Vec<Note>,
}

/// A vif.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VifEntry {
    /// What it is attached to.
    pub kind: VifKind,
    /// VRF of packets that arrive here.
    pub vrf: VrfId,
    /// MAC address: a pod's, or the port's own.
    pub mac: MacAddr,
    /// Address behind it; on the fabric, the tunnel end point.
    pub address: Option<Ipv4Addr>,
    /// Packets that arrive with another source address are dropped.
    pub rpf: bool,
    /// Next hop in the keys of its flows.
    pub next_hop: NextHopKey,
}

/// What identifies a next hop; its id on the card stays the same while this does, whatever its MAC addresses do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub enum NextHopKey {
    /// Counted drop; id 0.
    #[default]
    Discard,
    /// The firmware answers "no such service".
    Reject,
    /// To a pod.
    Encap(VifId),
    /// To another node by MPLS over UDP.
    TunnelUdp(Ipv4Addr),
    /// To another node by MPLS over GRE.
    TunnelGre(Ipv4Addr),
}

/// The rest of a next hop: what is written into the packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct NextHopSpec {
    /// Destination MAC address.
    pub dmac: MacAddr,
    /// Source MAC address.
    pub smac: MacAddr,
    /// Outer source address (tunnels).
    pub source: Option<Ipv4Addr>,
}

/// A next hop, with the label that a tunnel needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Hop {
    /// The next hop.
    pub next_hop: NextHopKey,
    /// Label pushed; tunnels have one, others none.
    pub label: Option<MplsLabel>,
}

/// An entry of the input label map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LabelEntry {
    /// Next hop of packets with this label, and the next hop in the keys of their flows.
    pub next_hop: NextHopKey,
    /// VRF they are in.
    pub vrf: VrfId,
}

/// Where a host route leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RouteTarget {
    /// One next hop.
    Hop(Hop),
    /// An ECMP group, the route's own.
    Group(Group),
}

/// An ECMP group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// Members, ordered by pod address, each address once.
    pub members: Vec<GroupMember>,
    /// Fields that the member hash covers, `hash::FIELD_*`.
    pub hash_fields: u8,
}

/// A member of a group. It is the same member as long as `pod` and `hop` are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupMember {
    /// The backend pod's address.
    pub pod: Ipv4Addr,
    /// How to reach it: the same as the route to `pod` in this VRF.
    pub hop: Hop,
    /// Keeps its flows, takes no new ones.
    pub draining: bool,
}

/// What is translated: packets for this vif, protocol, floating IP and port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct FipKey {
    /// vif of the backend.
    pub vif: VifId,
    /// Protocol.
    pub protocol: Protocol,
    /// Floating IP.
    pub address: Ipv4Addr,
    /// Service port.
    pub port: u16,
}

/// To what it is translated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct FipTarget {
    /// The pod.
    pub address: Ipv4Addr,
    /// targetPort.
    pub port: u16,
}

/// A remote node that is left out until its MAC address is known.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Pending {
    /// Name of the node.
    pub node: String,
    /// Its tunnel end point, for which the neighbour is missing.
    pub address: Ipv4Addr,
}
