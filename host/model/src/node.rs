//! The node: its place in the fabric, its VRFs, its pods' vifs, and the nodes it tunnels to. Each is an object of its own, so
//! that one that is wrong harms only itself.

use std::net::IpAddr;
use std::ops::Range;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::{
    FlowAging, FlowLimit, FlowLimits, MacAddr, MplsLabel, NetworkName, ObjectName, SourceCheck,
    VifId, VrfId,
};

/// The node itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Its name, as in `nodeName` of endpoints.
    pub name: String,
    /// Its place in the fabric.
    pub fabric: Fabric,
    /// Its own interface, `vhost0`, as an end point of the overlay.
    #[serde(default)]
    pub vhost: Vhost,
    /// Labels for floating IPs of services, of which each that is served on this node gets one; none do if it is not said.
    #[serde(default)]
    pub service_labels: Option<LabelBlock>,
    /// How long flows may rest on its card.
    #[serde(default)]
    pub flow_aging: FlowAging,
    /// What each pod and each other node may have of the card's flow table.
    #[serde(default)]
    pub flow_limits: FlowLimits,
}

/// Labels that follow one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabelBlock {
    /// The first.
    pub first: MplsLabel,
    /// How many there are.
    pub count: u32,
}

impl LabelBlock {
    /// The labels of it that are below `end`.
    #[must_use]
    pub fn below(self, end: u32) -> Range<u32> {
        let first = self.first.0;
        first..first.saturating_add(self.count).min(end).max(first)
    }
}

/// The node as an end point of the overlay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vhost {
    /// VRF of what it sends to the gateway's MAC address; the lowest unless it is said.
    pub vrf: Option<VrfId>,
    /// The label under which it accepts packets for its own address.
    pub label: Option<MplsLabel>,
    /// Whether pods reach through it what nobody announces a way to.
    pub outside: bool,
}

/// The node's place in the fabric. The node's kernel owns the address, through `vhost0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fabric {
    /// Tunnel end point with the fabric's prefix length, host bits kept: `10.169.25.20/24`.
    pub address: IpNet,
    /// MAC address of the fabric port, and of `vhost0`.
    pub mac: MacAddr,
}

/// A routing table, in Contrail one for each virtual network.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vrf {
    /// Number on the card; 0 is the fabric's own.
    pub id: VrfId,
    /// Name.
    pub name: String,
    /// VRFs whose pods have routes in this one too. A VRF always has its own pods' routes.
    pub imports: Vec<VrfId>,
    /// Networks whose floating IPs its pods reach.
    pub networks: Vec<NetworkName>,
    /// By which tunnels packets may come whose replies are routed in it.
    #[serde(default)]
    pub source_check: SourceCheck,
}

/// Which packets of a pod make flow entries on the card. A packet that would need one and may not make it is dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LearnPolicy {
    /// All.
    #[default]
    Always,
    /// Those to or of a service.
    Translated,
    /// None.
    Never,
}

/// A pod's interface on the card.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PodVif {
    /// Number on the card, from [`VifId::FIRST_POD`].
    pub id: VifId,
    /// Name, as the port and the views show it.
    pub name: String,
    /// The pod.
    pub pod: ObjectName,
    /// The pod's address.
    pub address: IpAddr,
    /// The pod's MAC address.
    pub mac: MacAddr,
    /// The VRF it is in.
    pub vrf: VrfId,
    /// The label under which this node accepts packets for it.
    pub label: MplsLabel,
    /// Which of its packets make flow entries.
    #[serde(default)]
    pub learn: LearnPolicy,
    /// What it may have of the card's flow table; as the node says for all if absent.
    #[serde(default)]
    pub flow_limit: Option<FlowLimit>,
}

/// Where a node is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Zone {
    /// The node, as in `nodeName` of endpoints.
    pub node: String,
    /// The zone: its label `topology.kubernetes.io/zone`.
    pub name: String,
}

/// How packets to a remote node are wrapped.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
pub enum Encapsulation {
    /// MPLS over UDP (RFC 7510).
    #[default]
    MplsOverUdp,
    /// MPLS over GRE (RFC 4023), which gateways speak.
    MplsOverGre,
}

/// Another node, or a gateway, by name. What it announces are [`Route`](crate::Route)s, objects of their own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// Its name.
    pub name: String,
    /// Its tunnel end point.
    pub address: IpAddr,
}
