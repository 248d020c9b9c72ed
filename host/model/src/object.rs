//! Objects as sources give them, and what identifies them.

use std::fmt;
use std::sync::Arc;

use imbl::OrdMap;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::{
    Findings, LoadBalancer, Node, ObjectName, Peer, Pod, PodFloatingIp, PodVif, Route, SourceName,
    Vrf, Zone,
};

/// What identifies an object among those of all sources. Two sources that give the same one are in conflict.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ObjectId {
    /// The node itself.
    Node,
    /// A VRF, by name.
    Vrf(String),
    /// A pod's interface, by its name.
    Vif(String),
    /// Another node or a gateway, by name.
    Peer(String),
    /// A prefix that somebody announces.
    Route {
        /// Who.
        announcer: String,
        /// The prefix.
        prefix: IpNet,
    },
    /// A load balancer: a Service of Kubernetes.
    LoadBalancer(ObjectName),
    /// A pod.
    Pod(ObjectName),
    /// Where a node is, by the node's name.
    Zone(String),
    /// A floating IP of a pod.
    FloatingIp(ObjectName),
    /// Something that a source cannot tell more of, or has no use for: an object of another kind, a file, a place in one.
    Other {
        /// What it is: `EndpointSlice`, `file`.
        kind: String,
        /// Its name.
        name: String,
    },
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node => f.write_str("the node"),
            Self::Vrf(name) => write!(f, "VRF {name}"),
            Self::Vif(name) => write!(f, "vif {name}"),
            Self::Peer(name) => write!(f, "remote {name}"),
            Self::Route { announcer, prefix } => write!(f, "route {prefix} of {announcer}"),
            Self::LoadBalancer(name) => write!(f, "Service {name}"),
            Self::Pod(name) => write!(f, "Pod {name}"),
            Self::Zone(node) => write!(f, "Node {node}"),
            Self::FloatingIp(name) => write!(f, "FloatingIP {name}"),
            Self::Other { kind, name } => write!(f, "{kind} {name}"),
        }
    }
}

/// What kind of object an [`ObjectId`] names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ObjectKind {
    /// The node itself.
    Node,
    /// A VRF.
    Vrf,
    /// A pod's interface.
    Vif,
    /// Another node or a gateway.
    Peer,
    /// A prefix that somebody announces.
    Route,
    /// A load balancer.
    LoadBalancer,
    /// A pod.
    Pod,
    /// Where a node is.
    Zone,
    /// A floating IP of a pod.
    FloatingIp,
    /// Anything else.
    Other,
}

impl ObjectId {
    /// Something that is no object of its own.
    #[must_use]
    pub fn other(kind: impl Into<String>, name: impl Into<String>) -> Self {
        Self::Other { kind: kind.into(), name: name.into() }
    }

    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> ObjectKind {
        match self {
            Self::Node => ObjectKind::Node,
            Self::Vrf(_) => ObjectKind::Vrf,
            Self::Vif(_) => ObjectKind::Vif,
            Self::Peer(_) => ObjectKind::Peer,
            Self::Route { .. } => ObjectKind::Route,
            Self::LoadBalancer(_) => ObjectKind::LoadBalancer,
            Self::Pod(_) => ObjectKind::Pod,
            Self::Zone(_) => ObjectKind::Zone,
            Self::FloatingIp(_) => ObjectKind::FloatingIp,
            Self::Other { .. } => ObjectKind::Other,
        }
    }
}

/// An object of a source. Sources share them: an object that did not change is the same allocation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Object {
    /// Of [`ObjectId::Node`].
    Node(Arc<Node>),
    /// Of [`ObjectId::Vrf`].
    Vrf(Arc<Vrf>),
    /// Of [`ObjectId::Vif`].
    Vif(Arc<PodVif>),
    /// Of [`ObjectId::Peer`].
    Peer(Arc<Peer>),
    /// Of [`ObjectId::Route`].
    Route(Arc<Route>),
    /// Of [`ObjectId::LoadBalancer`].
    LoadBalancer(Arc<LoadBalancer>),
    /// Of [`ObjectId::Pod`].
    Pod(Arc<Pod>),
    /// Of [`ObjectId::Zone`].
    Zone(Arc<Zone>),
    /// Of [`ObjectId::FloatingIp`].
    FloatingIp(Arc<PodFloatingIp>),
}

impl Object {
    /// What identifies it.
    #[must_use]
    pub fn id(&self) -> ObjectId {
        match self {
            Self::Node(_) => ObjectId::Node,
            Self::Vrf(vrf) => ObjectId::Vrf(vrf.name.clone()),
            Self::Vif(vif) => ObjectId::Vif(vif.name.clone()),
            Self::Peer(peer) => ObjectId::Peer(peer.name.clone()),
            Self::Route(route) => route.id(),
            Self::LoadBalancer(balancer) => ObjectId::LoadBalancer(balancer.name.clone()),
            Self::Pod(pod) => ObjectId::Pod(pod.name.clone()),
            Self::Zone(zone) => ObjectId::Zone(zone.node.clone()),
            Self::FloatingIp(ip) => ObjectId::FloatingIp(ip.name.clone()),
        }
    }
}

/// All that one source has to say at one moment: never a delta.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// Which source.
    pub source: SourceName,
    /// Its objects that are in force.
    pub objects: OrdMap<ObjectId, Object>,
    /// Whether its first list is complete: what is not in `objects` is not there. It does not become false again.
    pub complete: bool,
    /// Whether it cannot see what it reads from at the moment: `objects` may be out of date.
    pub stale: bool,
    /// What is wrong with objects, by object; of those that are in `objects` as well, an older version is in force.
    pub findings: Findings,
}

impl Fragment {
    /// A source that has said nothing yet.
    #[must_use]
    pub fn empty(source: impl Into<SourceName>) -> Self {
        Self {
            source: source.into(),
            objects: OrdMap::new(),
            complete: false,
            stale: false,
            findings: Findings::new(),
        }
    }
}
