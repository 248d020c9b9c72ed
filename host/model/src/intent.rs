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
    Findings, LoadBalancer, MacAddr, Node, ObjectName, Peer, PodVif, Rib, VifId, Vrf, VrfId, Zone,
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
    /// Pods that the sources know of, by address: for names in views, never for routes.
    pub pods: OrdMap<IpAddr, Arc<Pod>>,
    /// Where nodes are, as far as the sources know, by the node's name.
    pub zones: OrdMap<String, Arc<Zone>>,
    /// What the operator allows.
    pub policy: Arc<Policy>,
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
