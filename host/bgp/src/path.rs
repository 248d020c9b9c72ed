//! What BGP says of VPN routes: a prefix with its distinguisher, and the path there.

use std::fmt;
use std::net::Ipv4Addr;
use std::sync::Arc;

use ipnet::Ipv4Net;
use penstock_model::MplsLabel;

use crate::community::{ExtendedCommunity, RouteTarget};

/// Tells equal prefixes of different VRFs or nodes apart (RFC 4364 section 4.2), as it is on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RouteDistinguisher(pub [u8; 8]);

impl RouteDistinguisher {
    /// Type 1: a node's address and the number of one of its VRFs.
    #[must_use]
    pub fn of_node(address: Ipv4Addr, vrf: u16) -> Self {
        let [a, b, c, d] = address.octets();
        let [e, f] = vrf.to_be_bytes();
        Self([0, 1, a, b, c, d, e, f])
    }
}

impl fmt::Display for RouteDistinguisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [kind_high, kind_low, a, b, c, d, e, g] = self.0;
        match u16::from_be_bytes([kind_high, kind_low]) {
            0 => write!(f, "{}:{}", u16::from_be_bytes([a, b]), u32::from_be_bytes([c, d, e, g])),
            1 => write!(f, "{}:{}", Ipv4Addr::new(a, b, c, d), u16::from_be_bytes([e, g])),
            2 => write!(f, "{}:{}", u32::from_be_bytes([a, b, c, d]), u16::from_be_bytes([e, g])),
            _ => write!(f, "{:#018x}", u64::from_be_bytes(self.0)),
        }
    }
}

/// An IPv4 prefix of a VPN.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VpnPrefix {
    /// Whose it is.
    pub distinguisher: RouteDistinguisher,
    /// The prefix, without host bits.
    pub prefix: Ipv4Net,
}

impl fmt::Display for VpnPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.distinguisher, self.prefix)
    }
}

/// A path to a VPN prefix. Those of one UPDATE share their attributes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VpnPath {
    /// Label under which the next hop accepts packets for it.
    pub label: MplsLabel,
    /// The rest.
    pub attributes: Arc<Attributes>,
}

/// What the paths of one UPDATE have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attributes {
    /// Tunnel end point.
    pub next_hop: Ipv4Addr,
    /// LOCAL_PREF: the higher the better; 100 if the peer is of another AS or does not say.
    pub preference: u32,
    /// How many ASes it went through (RFC 4271 section 9.1.2.2 a).
    pub as_path_length: u32,
    /// ORIGIN: IGP 0, EGP 1, incomplete 2.
    pub origin: u8,
    /// MULTI_EXIT_DISC: the lower the better; 0 if not said.
    pub discriminator: u32,
    /// ORIGINATOR_ID: the client of a reflector from which it is.
    pub originator: Option<Ipv4Addr>,
    /// Nobody's session vouches for it any more (RFC 9494): worse than all that are not so.
    pub long_lived_stale: bool,
    /// It must not be kept that way (NO_LLGR).
    pub no_long_lived: bool,
    /// Extended communities, ordered, each once.
    pub extended: Box<[ExtendedCommunity]>,
}

impl Attributes {
    /// What a node says of its own routes: through this tunnel end point, for these targets.
    #[must_use]
    pub fn of_node(next_hop: Ipv4Addr, mut extended: Vec<ExtendedCommunity>) -> Self {
        extended.sort_unstable();
        extended.dedup();
        Self {
            next_hop,
            preference: penstock_model::Path::PREFERENCE,
            as_path_length: 0,
            origin: 0,
            discriminator: 0,
            originator: None,
            long_lived_stale: false,
            no_long_lived: false,
            extended: extended.into(),
        }
    }

    /// Who is to import the route.
    pub fn targets(&self) -> impl Iterator<Item = RouteTarget> + '_ {
        self.extended.iter().filter_map(|community| community.route_target())
    }
}
