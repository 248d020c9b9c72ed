//! `FloatingIP` of `penstock.dev/v1`: a floating IP of a pod, as Contrail's object of that name without port map.
//!
//! ```yaml
//! apiVersion: penstock.dev/v1
//! kind: FloatingIP
//! metadata: { namespace: ns-user-1, name: web-public }
//! spec:
//!   address: 198.51.100.10
//!   network: public      # the VRF of this name
//!   pod: web             # in its own namespace
//!   label: 55            # under which the pod's node accepts packets for it
//!   direction: both      # or ingress, egress
//! ```
//!
//! It is our own kind, so it is read strictly: an unknown field of `spec` is a fault.

use std::net::IpAddr;

use penstock_model::{Direction, MplsLabel, ObjectName, PodFloatingIp};
use serde::Deserialize;

use super::objects::Metadata;

/// The object.
#[derive(Debug, Deserialize)]
pub(super) struct FloatingIp {
    /// Metadata.
    pub(super) metadata: Metadata,
    /// Specification.
    pub(super) spec: Spec,
}

/// `spec`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Spec {
    address: IpAddr,
    network: String,
    pod: String,
    label: u32,
    #[serde(default)]
    direction: Direction,
}

impl Spec {
    /// The floating IP; its pod is in its own namespace, so that nobody binds an address to another one's pod.
    pub(super) fn floating_ip(self, name: ObjectName, created: Option<i64>) -> PodFloatingIp {
        PodFloatingIp {
            created,
            address: self.address,
            network: self.network.into(),
            pod: ObjectName::new(name.namespace.clone(), self.pod),
            direction: self.direction,
            label: MplsLabel(self.label),
            name,
        }
    }
}

#[cfg(test)]
mod tests;
