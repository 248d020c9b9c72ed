//! What of a desired state is not served, and why.

use std::fmt;
use std::net::IpAddr;

use penstock_compile::{FipKey, NextHopKey, PlainKey, ServiceKey};
use penstock_model::{IpNet, MplsLabel, Reason, VifId, VrfId};
use serde::Serialize;

/// A key of the desired state that the card does not serve as desired. What it has for it stays where that is still true.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Which.
    pub what: What,
    /// Why.
    pub reason: Reason,
}

/// A key of the desired state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// A next hop.
    NextHop(NextHopKey),
    /// A vif.
    Vif(VifId),
    /// A label.
    Label(MplsLabel),
    /// A host route, with the group behind it.
    Route(VrfId, IpAddr),
    /// A listener of a floating IP, with the group behind it.
    Listener(ServiceKey),
    /// A listener's members on this node, for packets by the floating IP's label.
    Local(ServiceKey),
    /// A shorter prefix.
    Prefix(VrfId, IpNet),
    /// A floating IP's port at a backend.
    Mapping(FipKey),
    /// A floating IP without port map at its pod.
    Plain(PlainKey),
    /// What holds for a whole VRF.
    Vrf(VrfId),
    /// The tunnels by which packets with such a source may come. It is served, with all tunnels that are known.
    Sources(VrfId, IpNet),
    /// A tunnel that is known.
    Known(IpAddr),
}

impl What {
    /// The host or floating IP that it is about; the compiler knows to whom it belongs.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        match self {
            Self::Route(_, address) => Some(*address),
            Self::Mapping(key) => Some(key.address),
            Self::Listener(key) | Self::Local(key) => Some(key.address),
            Self::Plain(key) => Some(key.address),
            Self::Sources(_, prefix) if prefix.prefix_len() == prefix.max_prefix_len() => {
                Some(prefix.addr())
            }
            Self::NextHop(_) | Self::Vif(_) | Self::Label(_) | Self::Prefix(..) => None,
            Self::Vrf(_) | Self::Sources(..) | Self::Known(_) => None,
        }
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NextHop(key) => write!(f, "next hop {key:?}"),
            Self::Vif(vif) => write!(f, "vif {vif}"),
            Self::Label(label) => write!(f, "label {label}"),
            Self::Route(vrf, address) => write!(f, "route to {address} of VRF {vrf}"),
            Self::Listener(ServiceKey { address, net, protocol, port }) => {
                write!(f, "listener {address}:{port}/{protocol} of service network {net}")
            }
            Self::Local(ServiceKey { address, net, protocol, port }) => {
                write!(
                    f,
                    "listener {address}:{port}/{protocol} of service network {net}, from outside"
                )
            }
            Self::Prefix(vrf, prefix) => write!(f, "prefix {prefix} of VRF {vrf}"),
            Self::Mapping(key) => {
                let FipKey { vif, protocol, address, port } = key;
                write!(f, "floating IP {address}:{port}/{protocol} at vif {vif}")
            }
            Self::Plain(PlainKey { vif, address }) => {
                write!(f, "floating IP {address} at vif {vif}")
            }
            Self::Vrf(vrf) => write!(f, "VRF {vrf}"),
            Self::Sources(vrf, prefix) => {
                write!(f, "tunnels from {prefix} of VRF {vrf}: any that is known may send")
            }
            Self::Known(address) => write!(f, "tunnel from {address}"),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.reason)
    }
}
