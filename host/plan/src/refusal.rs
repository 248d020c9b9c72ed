//! What of a desired state is not served, and why.

use std::fmt;
use std::net::IpAddr;

use penstock_compile::{FipKey, NextHopKey};
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
    /// A shorter prefix.
    Prefix(VrfId, IpNet),
    /// A floating IP's port at a backend.
    Mapping(FipKey),
}

impl What {
    /// The host or floating IP that it is about; the compiler knows to whom it belongs.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        match self {
            Self::Route(_, address) => Some(*address),
            Self::Mapping(key) => Some(key.address),
            Self::NextHop(_) | Self::Vif(_) | Self::Label(_) | Self::Prefix(..) => None,
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
            Self::Prefix(vrf, prefix) => write!(f, "prefix {prefix} of VRF {vrf}"),
            Self::Mapping(key) => {
                let FipKey { vif, protocol, address, port } = key;
                write!(f, "floating IP {address}:{port}/{protocol} at vif {vif}")
            }
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.reason)
    }
}
