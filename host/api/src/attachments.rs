//! What a CNI plugin and the daemon say to each other.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

/// What a plugin asks for, by POST to [`ATTACHMENTS`](crate::paths::ATTACHMENTS): a vif for a pod. It is answered by the
/// [`Attachment`] as soon as that is kept on disk; the card does nothing for it yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reserve {
    /// Name of the network configuration.
    pub network: String,
    /// Id of the container, or of the pod's sandbox.
    pub container: String,
    /// Name of the interface in it.
    pub interface: String,
    /// Namespace of the pod.
    pub pod_namespace: String,
    /// Name of the pod.
    pub pod_name: String,
    /// Name of its VRF.
    pub vrf: String,
    /// vif numbers that would do; the longest free of them is given.
    pub vifs: Vec<u8>,
}

/// Where the pod is, by PUT to [`ATTACHMENT`](crate::paths::ATTACHMENT). It is answered when the card forwards for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Placed {
    /// Its address.
    pub address: Ipv4Addr,
    /// The MAC address of its interface.
    pub mac: String,
}

/// A pod's interface on the card, or what will become one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// Name of the network configuration.
    pub network: String,
    /// Id of the container, or of the pod's sandbox.
    pub container: String,
    /// Name of the interface in it.
    pub interface: String,
    /// Namespace of the pod.
    pub pod_namespace: String,
    /// Name of the pod.
    pub pod_name: String,
    /// Name of the vif.
    pub name: String,
    /// Name of the VRF.
    pub vrf: String,
    /// vif number.
    pub vif: u8,
    /// Label under which the node accepts packets for it.
    pub label: u32,
    /// Where it is; none as long as it is only reserved.
    pub placed: Option<Placed>,
    /// Whether the card forwards for it.
    pub forwarding: bool,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// All attachments of a card.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachments {
    /// By network, container and interface.
    pub attachments: Vec<Attachment>,
}

/// The answer to DELETE of an [`ATTACHMENT`](crate::paths::ATTACHMENT).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removed {
    /// Whether there was one.
    pub removed: bool,
}
