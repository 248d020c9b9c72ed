//! What a node is to do at one moment, merged from all sources.
//!
//! All maps are persistent ones (`imbl::OrdMap`): a clone costs nothing, two states share what they have in common, and who
//! wants to know what changed compares the two (`OrdMap::diff`), in time proportional to the change. So every stage can be
//! given whole states, as a level-triggered system should, and still do no more than is needed.

use std::net::IpAddr;
use std::sync::Arc;

use imbl::OrdMap;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::{
    Findings, LoadBalancer, MacAddr, Node, ObjectName, Peer, PodFloatingIp, PodVif, Rib, VifId,
    Vrf, VrfId, Zone,
};

/// Everything that the tables are compiled from, but for the kernel's [`Neighbours`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Intent {
    /// Every configured source has completed its first list. Nothing may be done before: what is missing may come yet.
    pub complete: bool,
    /// The node; nothing can be served without.
    pub node: Option<Arc<Node>>,
    /// VRFs by number.
    pub vrfs: OrdMap<VrfId, Arc<Vrf>>,
    /// Pods' interfaces by number. No two have a name, address, or label in common.
    pub vifs: OrdMap<VifId, Arc<PodVif>>,
    /// Other nodes by name.
    pub peers: OrdMap<String, Arc<Peer>>,
    /// What is announced.
    pub rib: Rib,
    /// Load balancers by name.
    pub balancers: OrdMap<ObjectName, Arc<LoadBalancer>>,
    /// Floating IPs of pods, of this node and of others, by name.
    pub floating_ips: OrdMap<ObjectName, Arc<PodFloatingIp>>,
    /// Pods that the sources know of, by address: for names in views, never for routes.
    pub pods: OrdMap<IpAddr, Arc<Pod>>,
    /// Where nodes are, as far as the sources know, by the node's name.
    pub zones: OrdMap<String, Arc<Zone>>,
    /// What the operator allows.
    pub policy: Arc<Policy>,
    /// What holds for the overlay as a whole.
    pub overlay: Arc<Overlay>,
    /// What the sources and the merging of them found, by object.
    pub findings: Findings,
}

/// Tunnel end point -> MAC address of the next hop towards it, resolved by the node's kernel. Whoever fills it keeps the
/// last known address of a neighbour that is being confirmed, so that a probe does not look like a departure.
pub type Neighbours = OrdMap<IpAddr, MacAddr>;

/// What the operator allows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// Ranges in which `externalIPs` are served; none unless given.
    pub external_ranges: Vec<IpNet>,
    /// Ranges of services, pods and nodes, in which no `externalIPs` are served even so.
    pub cluster_ranges: Vec<IpNet>,
}

/// What holds for the overlay as a whole, on all nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overlay {
    /// Ranges of services' cluster IPs: what nobody has there is dropped.
    pub service_ranges: Vec<IpNet>,
    /// Whether packets for a port of a cluster IP that no listener has are dropped; else they are refused.
    pub silent: bool,
    /// Tunnel end points of gateways: packets that could come by one of them may come by all.
    pub gateways: Vec<IpAddr>,
}

/// What the operator says beside the objects of all sources.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// What is allowed.
    pub policy: Policy,
    /// What holds for the overlay.
    pub overlay: Overlay,
}

impl From<Policy> for Rules {
    fn from(policy: Policy) -> Self {
        Self { policy, overlay: Overlay::default() }
    }
}

/// By which tunnels packets of no known connection may come (the words are RFC 3704's).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SourceCheck {
    /// Those by which packets to their source leave.
    #[default]
    Strict,
    /// Any that is known, if there is a way to their source, and not on this node only.
    Loose,
    /// Any, unless their source is on this node only.
    Off,
}

/// A pod as a source knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pod {
    /// Its name.
    pub name: ObjectName,
    /// Its address.
    pub address: IpAddr,
    /// The node it runs on, empty if not known.
    pub node: String,
}
