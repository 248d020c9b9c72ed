//! Numbers that must not be confused with each other, one type each.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident($int:ty)) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(pub $int);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl From<$int> for $name {
            fn from(value: $int) -> Self {
                Self(value)
            }
        }

        impl From<$name> for $int {
            fn from(value: $name) -> Self {
                value.0
            }
        }
    };
}

id! {
    /// Number of a virtual interface on the card: 0 fabric, 1 vhost0, 2 pkt0, pods from 3.
    VifId(u8)
}
id! {
    /// Number of a VRF on the card, below `limits::VRFS`.
    VrfId(u16)
}
id! {
    /// Index in the card's next-hop table; 0 discards.
    NextHopId(u16)
}
id! {
    /// An MPLS label: 20 bits, of which 0..=15 are reserved.
    MplsLabel(u32)
}
id! {
    /// Slot of a member within its ECMP group; a member keeps it for as long as it is one.
    MemberId(u8)
}
id! {
    /// Number of a reconcile; the card remembers the last complete one.
    Epoch(u32)
}

impl VifId {
    /// The fabric port.
    pub const FABRIC: Self = Self(penstock_abi::limits::VIF_FABRIC);
    /// The node's own interface on the card.
    pub const VHOST: Self = Self(penstock_abi::limits::VIF_VHOST);
    /// The lowest number of a pod's vif.
    pub const FIRST_POD: Self = Self(penstock_abi::limits::VIF_FIRST_POD);
}

impl NextHopId {
    /// The next hop that discards; never allocated.
    pub const DISCARD: Self = Self(0);
}
