//! What the card's tables shall mean, without hardware indices.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use penstock_abi::table::{LearnPolicy, ServiceAddress, SourceCheck, VifKind};
use penstock_model::{
    FlowLimit, IpNet, MacAddr, MplsLabel, ObjectName, OrdMap, Protocol, VifId, VrfId,
};
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
    /// What holds for a whole VRF.
    pub vrfs: OrdMap<VrfId, VrfEntry>,
    /// Host routes. Those to floating IPs that live by their listeners (`floating`) are there to be shown, and to say who may
    /// answer: no packet follows them.
    pub routes: OrdMap<(VrfId, IpAddr), RouteTarget>,
    /// Routes with shorter prefixes; never to a group.
    pub prefixes: OrdMap<(VrfId, IpNet), Hop>,
    /// Listeners of floating IPs, by service network: where packets go that are for their port.
    pub listeners: OrdMap<ServiceKey, Listening>,
    /// Tunnels by which packets with a source in a prefix may come, besides those by which packets to it leave.
    pub sources: OrdMap<(VrfId, IpNet), Arc<BTreeSet<IpAddr>>>,
    /// Tunnels by which packets may come that are known at all.
    pub known: OrdMap<IpAddr, ()>,
    /// Floating-IP port mappings. The keys that [`marks`](crate::marks) makes of them belong to the state too.
    pub fip: OrdMap<FipKey, FipTarget>,
    /// Floating IPs without port map, towards their pods.
    pub plain: OrdMap<PlainKey, IpAddr>,
    /// Floating IPs that are served, and at which ports. What the card holds for members that are no longer wanted may
    /// stay for these only.
    pub services: OrdMap<IpAddr, Arc<BTreeSet<(Protocol, u16)>>>,
    /// Floating IPs that live by their listeners, and what becomes of packets for them that are for none.
    pub floating: OrdMap<IpAddr, ServiceAddress>,
    /// Floating IPs that are refused, and the pods that their owners want behind them; nothing else here names them. What the
    /// card holds for them stays as long as it is true and leads to one of these pods; nothing is added.
    pub refused: OrdMap<IpAddr, Arc<BTreeSet<IpAddr>>>,
    /// Shares of the flow table that are limited, by their index on the card: vifs, and numbers of tunnels.
    pub shares: OrdMap<u32, FlowLimit>,
}

impl Desired {
    /// The same, made of the entries of `before` wherever they are equal.
    pub(crate) fn sharing_with(&self, before: &Self) -> Self {
        let Self { vifs, next_hops, labels, vrfs, routes, prefixes, listeners, .. } = self;
        let Self { sources, known, fip, plain, services, floating, refused, shares, .. } = self;
        Self {
            vifs: sharing(&before.vifs, vifs),
            next_hops: sharing(&before.next_hops, next_hops),
            labels: sharing(&before.labels, labels),
            vrfs: sharing(&before.vrfs, vrfs),
            routes: sharing(&before.routes, routes),
            prefixes: sharing(&before.prefixes, prefixes),
            listeners: sharing(&before.listeners, listeners),
            sources: sharing(&before.sources, sources),
            known: sharing(&before.known, known),
            fip: sharing(&before.fip, fip),
            plain: sharing(&before.plain, plain),
            services: sharing(&before.services, services),
            floating: sharing(&before.floating, floating),
            refused: sharing(&before.refused, refused),
            shares: sharing(&before.shares, shares),
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
    /// The floating IP without port map under which it begins connections.
    pub egress: Option<Egress>,
}

/// A floating IP under which a pod begins connections, towards what only its network has a route to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Egress {
    /// VRF of that network.
    pub vrf: VrfId,
    /// The floating IP.
    pub address: IpAddr,
}

/// What holds for a whole VRF.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VrfEntry {
    /// Number of the service network that its packets meet; 0 = none.
    pub service_net: u16,
    /// By which tunnels packets may come whose replies are routed here.
    pub source_check: SourceCheck,
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
    /// To the node, by its own interface, for whatever address.
    Receive(VifId),
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
    /// The label is this floating IP's: packets go to the members on this node of the listener that they are for. The next
    /// hop in the keys of their flows is then that of its route in the VRF.
    pub service: Option<IpAddr>,
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
    /// The group of a listener, the floating IP's only one.
    Listener(ServiceKey),
}

/// What identifies a listener of a floating IP on the card.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct ServiceKey {
    /// Floating IP.
    pub address: IpAddr,
    /// Number of the service network, from 1.
    pub net: u16,
    /// Protocol.
    pub protocol: Protocol,
    /// Service port.
    pub port: u16,
}

/// Where packets for a listener go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listening {
    /// Those of vifs: a group, or what refuses or discards.
    pub target: RouteTarget,
    /// Those from the fabric by the floating IP's label: the members on this node, if there are any and it has a label.
    pub local: Option<Arc<Group>>,
    /// The load balancer whose clients are kept at their members, if they are: by all its floating IPs, those that are alike in network,
    /// protocol and port.
    pub affinity: Option<ObjectName>,
}

/// An ECMP group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// Members, ordered by hop and pod; each hop once, but for one that leads to the node.
    pub members: Vec<GroupMember>,
    /// Fields that the member hash covers, `hash::FIELD_*`.
    pub hash_fields: u8,
    /// Time-out after which a client is not kept at its member any more; 0 = none is.
    pub affinity_seconds: u32,
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
    /// away) is another member. Of a member behind the node's own interface it is the address, and always known.
    pub pod: Option<IpAddr>,
    /// Keeps its flows, takes no new ones.
    pub draining: bool,
    /// Of a listener's member on this node: the port to which the floating IP's is translated, at the pod's address.
    pub port: Option<u16>,
}

/// A floating IP without port map, at the vif of its pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct PlainKey {
    /// vif of the pod.
    pub vif: VifId,
    /// Floating IP.
    pub address: IpAddr,
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
