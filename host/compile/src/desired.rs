//! What the card's tables shall mean, without hardware indices.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use penstock_abi::table::{LearnPolicy, VifKind};
use penstock_model::{IpNet, MacAddr, MplsLabel, OrdMap, Protocol, VifId, VrfId};
use serde::Serialize;

use crate::maps::sharing;

/// The desired state of all configuration tables. Maps are persistent ones: two states share what they have in common, and
/// their `diff` costs what differs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Desired {
    /// Vifs by number.
    pub vifs: OrdMap<VifId, VifEntry>,
    /// Next hops by what identifies them. Every [`Hop`] elsewhere names one of these.
    pub next_hops: OrdMap<NextHopKey, NextHopSpec>,
    /// Input label map.
    pub labels: OrdMap<MplsLabel, LabelEntry>,
    /// Host routes.
    pub routes: OrdMap<(VrfId, IpAddr), RouteTarget>,
    /// Routes with shorter prefixes; never to a group.
    pub prefixes: OrdMap<(VrfId, IpNet), Hop>,
    /// Floating-IP port mappings. The keys that [`marks`](crate::marks) makes of them belong to the state too.
    pub fip: OrdMap<FipKey, FipTarget>,
    /// Floating IPs that are served, and at which ports. What the card holds for members that are no longer wanted may
    /// stay for these only.
    pub services: OrdMap<IpAddr, Arc<BTreeSet<(Protocol, u16)>>>,
    /// Floating IPs that are refused, and the pods that their owners want behind them; nothing else here names them. What the
    /// card holds for them stays as long as it is true and leads to one of these pods; nothing is added.
    pub refused: OrdMap<IpAddr, Arc<BTreeSet<IpAddr>>>,
}

impl Desired {
    /// The same, made of the entries of `before` wherever they are equal.
    pub(crate) fn sharing_with(&self, before: &Self) -> Self {
        let Self { vifs, next_hops, labels, routes, prefixes, fip, services, refused } = self;
        Self {
            vifs: sharing(&before.vifs, vifs),
            next_hops: sharing(&before.next_hops, next_hops),
            labels: sharing(&before.labels, labels),
            routes: sharing(&before.routes, routes),
            prefixes: sharing(&before.prefixes, prefixes),
            fip: sharing(&before.fip, fip),
            services: sharing(&before.services, services),
            refused: sharing(&before.refused, refused),
        }
    }
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
    pub address: Option<IpAddr>,
    /// Packets that arrive with another source address are dropped.
    pub rpf: bool,
    /// Next hop in the keys of its flows.
    pub next_hop: NextHopKey,
    /// Which of its packets make flows.
    pub learn: LearnPolicy,
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
    TunnelUdp(IpAddr),
    /// To another node by MPLS over GRE.
    TunnelGre(IpAddr),
}

/// The rest of a next hop: what is written into the packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct NextHopSpec {
    /// Destination MAC address.
    pub dmac: MacAddr,
    /// Source MAC address.
    pub smac: MacAddr,
    /// Outer source address (tunnels).
    pub source: Option<IpAddr>,
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
    Group(Arc<Group>),
}

/// An ECMP group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// Members, ordered by hop, each hop once.
    pub members: Vec<GroupMember>,
    /// Fields that the member hash covers, `hash::FIELD_*`.
    pub hash_fields: u8,
}

impl Group {
    /// More members than this make a group large: large groups with the same members share a ring.
    pub const SMALL: usize = 64;
}

/// A member of a group: a hop. It is the same member as long as the hop is, and leads to the same pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupMember {
    /// How to reach it.
    pub hop: Hop,
    /// The pod that is reached so, if it is known: a hop that leads to another one from now on (its label or its vif was given
    /// away) is another member.
    pub pod: Option<IpAddr>,
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
    pub address: IpAddr,
    /// Service port.
    pub port: u16,
}

/// To what it is translated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct FipTarget {
    /// The pod.
    pub address: IpAddr,
    /// targetPort.
    pub port: u16,
}
