//! Extended communities (RFC 4360): eight bytes, of which a few kinds mean something to a node.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use penstock_model::Encapsulation;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use thiserror::Error;

/// An extended community as it is on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ExtendedCommunity(pub [u8; 8]);

impl ExtendedCommunity {
    /// Sub-type of route targets.
    const ROUTE_TARGET: u8 = 0x02;
    /// Type and sub-type of an encapsulation (RFC 9012 section 4.1), transitive opaque.
    const ENCAPSULATION: [u8; 2] = [0x03, 0x0c];

    /// The encapsulation community of a tunnel type.
    #[must_use]
    pub fn of_tunnel(tunnel: u16) -> Self {
        let [high, low] = tunnel.to_be_bytes();
        let [kind, sub] = Self::ENCAPSULATION;
        Self([kind, sub, 0, 0, 0, 0, high, low])
    }

    /// The tunnel type, if this is an encapsulation community.
    #[must_use]
    pub fn tunnel(self) -> Option<u16> {
        let [kind, sub, _, _, _, _, high, low] = self.0;
        ([kind, sub] == Self::ENCAPSULATION).then(|| u16::from_be_bytes([high, low]))
    }

    /// The route target, if this is one.
    #[must_use]
    pub fn route_target(self) -> Option<RouteTarget> {
        let is_target = matches!(self.0[0], 0x00..=0x02) && self.0[1] == Self::ROUTE_TARGET;
        is_target.then_some(RouteTarget(self.0))
    }
}

/// A route target: who imports a route (RFC 4360 section 4). As text `64512:100`, `10.169.25.19:100`; an AS number above 65535
/// makes it one of four-octet AS numbers (RFC 5668), whose number has 16 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RouteTarget([u8; 8]);

/// A text is not what it should be; its author is to blame.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error(
    "`{text}` is not a route target like 64512:100 or 10.169.25.19:100, of which a number after an address or an AS number above 65535 has 16 bits"
)]
pub struct NotATarget {
    text: String,
}

impl RouteTarget {
    /// Contrail's lowest number of an automatic route target, of a two-octet AS number.
    const AUTOMATIC: u32 = 8_000_000;
    /// The same of a four-octet AS number.
    const AUTOMATIC_LONG: u16 = 8_000;

    /// The target that Contrail would give to network `number`, counted from nought: `target:64512:8000000` and so on. Nothing
    /// if there is no such number.
    #[must_use]
    pub fn automatic(asn: u32, number: u32) -> Option<Self> {
        if u16::try_from(asn).is_ok() {
            Some(Self::new(asn, Self::AUTOMATIC.checked_add(number)?)?)
        } else {
            let number = Self::AUTOMATIC_LONG.checked_add(u16::try_from(number).ok()?)?;
            Self::new(asn, number.into())
        }
    }

    /// `asn:number`; nothing if the number is too great for a four-octet AS number's.
    #[must_use]
    pub fn new(asn: u32, number: u32) -> Option<Self> {
        let [a, b, c, d] = asn.to_be_bytes();
        let [e, f, g, h] = number.to_be_bytes();
        let sub = ExtendedCommunity::ROUTE_TARGET;
        if (a, b) == (0, 0) {
            Some(Self([0x00, sub, c, d, e, f, g, h]))
        } else if (e, f) == (0, 0) {
            Some(Self([0x02, sub, a, b, c, d, g, h]))
        } else {
            None
        }
    }

    /// As a community of a route.
    #[must_use]
    pub fn community(self) -> ExtendedCommunity {
        ExtendedCommunity(self.0)
    }

    /// As it is on the wire.
    #[must_use]
    pub fn octets(self) -> [u8; 8] {
        self.0
    }
}

impl fmt::Display for RouteTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [kind, _, a, b, c, d, e, g] = self.0;
        match kind {
            0x00 => {
                write!(f, "{}:{}", u16::from_be_bytes([a, b]), u32::from_be_bytes([c, d, e, g]))
            }
            0x01 => write!(f, "{}:{}", Ipv4Addr::new(a, b, c, d), u16::from_be_bytes([e, g])),
            _ => write!(f, "{}:{}", u32::from_be_bytes([a, b, c, d]), u16::from_be_bytes([e, g])),
        }
    }
}

impl FromStr for RouteTarget {
    type Err = NotATarget;

    fn from_str(text: &str) -> Result<Self, NotATarget> {
        let bad = || NotATarget { text: text.to_owned() };
        let bare = text.strip_prefix("target:").unwrap_or(text);
        let (admin, number) = bare.split_once(':').ok_or_else(bad)?;
        if let Ok(address) = admin.parse::<Ipv4Addr>() {
            let [a, b, c, d] = address.octets();
            let [e, f] = number.parse::<u16>().map_err(|_| bad())?.to_be_bytes();
            return Ok(Self([0x01, ExtendedCommunity::ROUTE_TARGET, a, b, c, d, e, f]));
        }
        let (Ok(asn), Ok(number)) = (admin.parse(), number.parse()) else { return Err(bad()) };
        Self::new(asn, number).ok_or_else(bad)
    }
}

impl Serialize for RouteTarget {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for RouteTarget {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// Tunnel type of GRE (RFC 9012): what Contrail means by MPLS over GRE.
pub const TUNNEL_GRE: u16 = 2;
/// Tunnel type of MPLS in GRE (RFC 9012).
pub const TUNNEL_MPLS_IN_GRE: u16 = 11;
/// Tunnel type of MPLS in UDP (RFC 7510).
pub const TUNNEL_MPLS_IN_UDP: u16 = 13;

/// What tunnels the communities of a route offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offer {
    /// They say nothing: whatever is usual.
    Unsaid,
    /// The best that the card can do.
    Possible(Encapsulation),
    /// Others only, such as VXLAN: the route is of no use here.
    Impossible,
}

/// What tunnels a route with these communities offers. MPLS over UDP is better than over GRE: the fabric spreads it.
#[must_use]
pub fn offer(communities: &[ExtendedCommunity]) -> Offer {
    let mut offer = Offer::Unsaid;
    for tunnel in communities.iter().filter_map(|community| community.tunnel()) {
        offer = match (tunnel, offer) {
            (TUNNEL_MPLS_IN_UDP, _) => return Offer::Possible(Encapsulation::MplsOverUdp),
            (TUNNEL_GRE | TUNNEL_MPLS_IN_GRE, _) => Offer::Possible(Encapsulation::MplsOverGre),
            (_, Offer::Unsaid) => Offer::Impossible,
            (_, offer) => offer,
        };
    }
    offer
}

/// Communities that offer these tunnels, in the order given. MPLS over GRE is told both ways, as some know only the one and
/// some only the other.
#[must_use]
pub fn offering(encapsulations: &[Encapsulation]) -> Vec<ExtendedCommunity> {
    let tunnels = encapsulations.iter().flat_map(|encapsulation| match encapsulation {
        Encapsulation::MplsOverUdp => &[TUNNEL_MPLS_IN_UDP][..],
        Encapsulation::MplsOverGre => &[TUNNEL_GRE, TUNNEL_MPLS_IN_GRE][..],
    });
    tunnels.map(|&tunnel| ExtendedCommunity::of_tunnel(tunnel)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_survive_text() {
        for (text, octets) in [
            ("64512:100", [0, 2, 0xfc, 0, 0, 0, 0, 100]),
            ("64512:8000001", [0, 2, 0xfc, 0, 0, 0x7a, 0x12, 1]),
            ("4200000000:8000", [2, 2, 0xfa, 0x56, 0xea, 0, 0x1f, 0x40]),
            ("10.169.25.19:7", [1, 2, 10, 169, 25, 19, 0, 7]),
        ] {
            let target: RouteTarget = text.parse().unwrap();
            assert_eq!(target.octets(), octets, "{text}");
            assert_eq!(target.to_string(), text);
            assert_eq!(format!("target:{text}").parse(), Ok(target));
        }
        for bad in ["", "1", "1:", ":1", "a:1", "64512:4294967296", "70000:65536", "1.2.3.4:65536"]
        {
            assert!(bad.parse::<RouteTarget>().is_err(), "{bad}");
        }
    }

    #[test]
    fn automatic_targets_are_contrails() {
        let text = |asn, number| RouteTarget::automatic(asn, number).map(|t| t.to_string());
        assert_eq!(text(64512, 0).as_deref(), Some("64512:8000000"));
        assert_eq!(text(70000, 3).as_deref(), Some("70000:8003"));
        assert_eq!(text(70000, 65000), None);
    }

    #[test]
    fn the_best_tunnel_offered_is_taken() {
        let of = |tunnels: &[u16]| {
            offer(&tunnels.iter().map(|&t| ExtendedCommunity::of_tunnel(t)).collect::<Vec<_>>())
        };
        let (udp, gre) = (Encapsulation::MplsOverUdp, Encapsulation::MplsOverGre);
        assert_eq!(of(&[]), Offer::Unsaid);
        assert_eq!(of(&[8]), Offer::Impossible);
        assert_eq!(of(&[8, 2]), Offer::Possible(gre));
        assert_eq!(of(&[11, 8]), Offer::Possible(gre));
        assert_eq!(of(&[2, 13]), Offer::Possible(udp));
        assert_eq!(offer(&offering(&[gre, udp])), Offer::Possible(udp));
        assert_eq!(offering(&[gre]).len(), 2);
    }
}
