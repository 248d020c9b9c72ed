//! Load balancers in Contrail's terms: floating IPs in front, listeners, pools, members behind.
//!
//! Example, the chapter's service: `LoadBalancer ns-user-1/service-web-clusterip` with the [`FloatingIp`] 10.105.139.153 and
//! one [`Listener`] 8888/tcp, whose [`Pool`] has the [`Member`]s 10.47.255.236:80 and 10.47.255.238:80.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::{NetworkName, ObjectName, ProviderName};

/// A transport protocol that a listener can have.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
pub enum Protocol {
    /// TCP.
    #[default]
    #[serde(rename = "TCP")]
    Tcp,
    /// UDP.
    #[serde(rename = "UDP")]
    Udp,
    /// SCTP. The card does not translate its ports: target port and service port must be equal.
    #[serde(rename = "SCTP")]
    Sctp,
}

impl Protocol {
    /// The IP protocol number.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::Tcp => 6,
            Self::Udp => 17,
            Self::Sctp => 132,
        }
    }

    /// The protocol with this number.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        match number {
            6 => Some(Self::Tcp),
            17 => Some(Self::Udp),
            132 => Some(Self::Sctp),
            _ => None,
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
            Self::Sctp => "SCTP",
        })
    }
}

/// A service as the card sees it: packets to any of the floating IPs reach one of the members.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadBalancer {
    /// Its name.
    pub name: ObjectName,
    /// When it was made, in seconds since 1970, if its source knows. Of two that want one address, the older has it.
    pub created: Option<i64>,
    /// Who serves it.
    pub provider: ProviderName,
    /// Addresses in front, each once.
    pub floating_ips: Vec<FloatingIp>,
    /// One for each port, with its pool.
    pub listeners: Vec<Listener>,
    /// Whether a client keeps its member from one connection to the next.
    pub affinity: Affinity,
    /// The only clients that may use its external and ingress addresses, as its source lists them; empty = everybody.
    pub source_ranges: Vec<String>,
    /// The TCP port of each node at which load balancers outside the cluster ask whether a member is there.
    pub health_check: Option<u16>,
}

impl LoadBalancer {
    /// Orders load balancers by their right to an address: the oldest first, those of unknown age last, then by name. It
    /// does not depend on what was read first, so it is the same after a restart and on every node.
    #[must_use]
    pub fn seniority(&self) -> (bool, Option<i64>, &ObjectName) {
        (self.created.is_none(), self.created, &self.name)
    }
}

/// An address in front of a load balancer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FloatingIp {
    /// The address.
    pub address: IpAddr,
    /// The network in which it lives: only VRFs that list it have a route to it.
    pub network: NetworkName,
    /// Where it comes from.
    pub kind: FloatingIpKind,
    /// Which members serve it on this node.
    pub scope: Scope,
}

/// Where a floating IP comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum FloatingIpKind {
    /// The service's address inside the cluster.
    #[default]
    Cluster,
    /// `spec.externalIPs`.
    External,
    /// `status.loadBalancer.ingress`, or a floating IP from a public pool.
    Ingress,
}

/// Which members serve a floating IP for clients on this node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Scope {
    /// All.
    #[default]
    Cluster,
    /// Those that say they are on this node, and are (`internalTrafficPolicy: Local`).
    Local,
}

/// A port of a load balancer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listener {
    /// Name of the service port, empty if it has none.
    pub name: String,
    /// Protocol.
    pub protocol: Protocol,
    /// Port that clients use.
    pub port: u16,
    /// Who serves it.
    pub pool: Pool,
}

/// The members behind a listener.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pool {
    /// Members, ordered by address and port, each once.
    pub members: Vec<Member>,
}

/// A backend.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Member {
    /// The pod's address.
    pub address: IpAddr,
    /// The port it listens on (targetPort).
    pub port: u16,
    /// Whether it takes new connections.
    pub state: MemberState,
    /// The node it says it is on, empty if it does not say.
    pub node: String,
    /// For whose clients it is meant.
    pub hints: Hints,
}

/// For whose clients a member is meant, so that traffic stays near (`hints` of EndpointSlices, which `trafficDistribution` of a
/// Service asks for). They count only if all members that take new connections have some, and one of them is meant for this
/// node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Hints {
    /// Nodes, by name.
    pub nodes: Vec<String>,
    /// Zones, by name.
    pub zones: Vec<String>,
}

/// What a member may be given. One that serves no longer is not a member: that it keeps connections is the planner's
/// business, which knows whether it has any.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
pub enum MemberState {
    /// New connections and old.
    #[default]
    Active,
    /// The connections it has, no new ones: it is terminating and still serves.
    Draining,
}

/// Whether a client keeps its member.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Affinity {
    /// Each connection is placed on its own.
    #[default]
    None,
    /// All connections of one client address go to one member, while the group stays as it is. The card has no timer for
    /// this: the time-out of the Kubernetes API is kept for display.
    ClientIp {
        /// `sessionAffinityConfig.clientIP.timeoutSeconds`.
        timeout_seconds: u32,
    },
}
