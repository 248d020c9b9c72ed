//! Floating IPs of pods: a second address, in another network, for every protocol and port.
//!
//! Contrail's `floating-ip` object without port map, bound to the interface of one pod. Example: 198.51.100.10 of the network
//! `public` for `ns-user-1/web`: who sends there from outside reaches the pod (`ingress`), and what the pod begins towards what
//! only `public` has a route to leaves under that address (`egress`).

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::{MplsLabel, NetworkName, ObjectName};

/// A floating IP of a pod.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PodFloatingIp {
    /// Its name.
    pub name: ObjectName,
    /// When it was made, in seconds since 1970, if its source knows. Of two that want one address, the older has it.
    pub created: Option<i64>,
    /// The address.
    pub address: IpAddr,
    /// The network in which it lives: the VRF of this name.
    pub network: NetworkName,
    /// The pod.
    pub pod: ObjectName,
    /// Who may begin connections.
    pub direction: Direction,
    /// The label under which the pod's node accepts packets for it.
    pub label: MplsLabel,
}

impl PodFloatingIp {
    /// Orders them by their right to an address, as [`LoadBalancer::seniority`](crate::LoadBalancer::seniority) does.
    #[must_use]
    pub fn seniority(&self) -> (bool, Option<i64>, &ObjectName) {
        (self.created.is_none(), self.created, &self.name)
    }
}

/// Who may begin connections by a floating IP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Others and the pod.
    #[default]
    Both,
    /// Others only.
    Ingress,
    /// The pod only.
    Egress,
}

impl Direction {
    /// Whether others may begin connections.
    #[must_use]
    pub fn is_ingress(self) -> bool {
        self != Self::Egress
    }

    /// Whether the pod may.
    #[must_use]
    pub fn is_egress(self) -> bool {
        self != Self::Ingress
    }
}
