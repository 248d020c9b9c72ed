//! OPEN and its capabilities (RFC 4271 section 4.2, RFC 5492), and ROUTE-REFRESH, which names a family too.

use std::net::Ipv4Addr;

use netgauze_iana::address_family::AddressType;

use super::notification::{Notification, code};

/// A family of routes that this speaker knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Family {
    /// Labelled IPv4 routes of VPNs (RFC 4364): AFI 1, SAFI 128.
    Vpn,
    /// Who wants which route targets (RFC 4684): AFI 1, SAFI 132.
    RouteTargets,
}

impl Family {
    /// By its numbers.
    #[must_use]
    pub fn of(afi: u16, safi: u8) -> Option<Self> {
        match (afi, safi) {
            (1, 128) => Some(Self::Vpn),
            (1, 132) => Some(Self::RouteTargets),
            _ => None,
        }
    }

    pub(super) fn address_type(self) -> AddressType {
        match self {
            Self::Vpn => AddressType::Ipv4MplsLabeledVpn,
            Self::RouteTargets => AddressType::RouteTargetConstrains,
        }
    }
}

/// What a speaker says of itself when a connection begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Open {
    /// Its AS.
    pub asn: u32,
    /// AS numbers in its AS_PATHs have four octets (RFC 6793).
    pub four_octets: bool,
    /// How long it waits for a message, in seconds; 0 = for ever.
    pub hold_seconds: u16,
    /// Its identifier.
    pub identifier: Ipv4Addr,
    /// Families that it speaks, of those known here.
    pub families: Vec<Family>,
    /// It understands ROUTE-REFRESH (RFC 2918).
    pub refresh: bool,
    /// How it restarts, if it can do so without harm (RFC 4724).
    pub graceful: Option<GracefulRestart>,
    /// For how many seconds others are to keep its VPN routes beyond that (RFC 9494).
    pub long_lived_seconds: Option<u32>,
}

/// The capability of restarting without harm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GracefulRestart {
    /// It has just been started.
    pub restarting: bool,
    /// A NOTIFICATION is no reason to forget its routes (RFC 8538).
    pub notifications: bool,
    /// How long it takes to be back, in seconds, 12 bits.
    pub seconds: u16,
    /// Families whose routes others are to keep meanwhile, and whether packets are still forwarded by them.
    pub families: Vec<(Family, bool)>,
}

impl GracefulRestart {
    /// Whether VPN routes are to be kept, and whether their packets still get through.
    #[must_use]
    pub fn vpn(&self) -> Option<bool> {
        self.families.iter().find(|(family, _)| *family == Family::Vpn).map(|(_, kept)| *kept)
    }
}

/// Reads what follows the header of an OPEN.
///
/// # Errors
/// The notification with which to answer it.
pub fn decode_open(body: &[u8]) -> Result<Open, Notification> {
    let bad = |subcode| Notification::new(code::OPEN, subcode);
    let Some((&[version, as_high, as_low, hold_high, hold_low, a, b, c, d, length], rest)) =
        body.split_first_chunk::<10>()
    else {
        return Err(Notification::new(code::HEADER, code::BAD_LENGTH));
    };
    if version != 4 {
        return Err(Notification::with(code::OPEN, code::UNSUPPORTED_VERSION, &[0, 4]));
    }
    let identifier = Ipv4Addr::new(a, b, c, d);
    if identifier.is_unspecified() || identifier.is_multicast() || identifier.is_broadcast() {
        return Err(bad(code::BAD_IDENTIFIER));
    }
    let mut open = Open {
        asn: u16::from_be_bytes([as_high, as_low]).into(),
        four_octets: false,
        hold_seconds: u16::from_be_bytes([hold_high, hold_low]),
        identifier,
        families: Vec::new(),
        refresh: false,
        graceful: None,
        long_lived_seconds: None,
    };
    if matches!(open.hold_seconds, 1 | 2) {
        return Err(bad(code::UNACCEPTABLE_HOLD_TIME));
    }
    // Parameters of more than 255 octets (RFC 9072) have lengths of two.
    let (mut parameters, wide) = match (length, rest) {
        (255, [255, high, low, rest @ ..]) => {
            (exactly(rest, u16::from_be_bytes([*high, *low]).into()).ok_or_else(|| bad(0))?, true)
        }
        _ => (exactly(rest, length.into()).ok_or_else(|| bad(0))?, false),
    };
    while !parameters.is_empty() {
        let (kind, value) = take_tlv(&mut parameters, wide).ok_or_else(|| bad(0))?;
        if kind != 2 {
            return Err(bad(code::UNSUPPORTED_PARAMETER));
        }
        let mut capabilities = value;
        while !capabilities.is_empty() {
            let (kind, value) = take_tlv(&mut capabilities, false).ok_or_else(|| bad(0))?;
            capability(&mut open, kind, value);
        }
    }
    Ok(open)
}

/// Takes note of a capability. One that is unknown, or not as it should be, is one that the peer does not have.
fn capability(open: &mut Open, kind: u8, value: &[u8]) {
    match (kind, value) {
        (1, &[afi_high, afi_low, _, safi]) => {
            let family = Family::of(u16::from_be_bytes([afi_high, afi_low]), safi);
            open.families.extend(family.filter(|family| !open.families.contains(family)));
        }
        (2, []) => open.refresh = true,
        (64, &[flags, low, ref families @ ..]) if families.len() % 4 == 0 => {
            let kept = families.chunks_exact(4).filter_map(|one| {
                let family = Family::of(u16::from_be_bytes([one[0], one[1]]), one[2])?;
                Some((family, one[3] & 0x80 != 0))
            });
            open.graceful = Some(GracefulRestart {
                restarting: flags & 0x80 != 0,
                notifications: flags & 0x40 != 0,
                seconds: u16::from_be_bytes([flags & 0x0f, low]),
                families: kept.collect(),
            });
        }
        (65, &[a, b, c, d]) => {
            open.asn = u32::from_be_bytes([a, b, c, d]);
            open.four_octets = true;
        }
        (71, families) if families.len() % 7 == 0 => {
            let vpn = families.chunks_exact(7).find(|one| {
                Family::of(u16::from_be_bytes([one[0], one[1]]), one[2]) == Some(Family::Vpn)
            });
            open.long_lived_seconds =
                vpn.map(|one| u32::from_be_bytes([0, one[4], one[5], one[6]]));
        }
        _ => {}
    }
}

/// The family that a ROUTE-REFRESH asks for, by what follows its header; nothing if it is unknown, or not a request.
#[must_use]
pub fn decode_refresh(body: &[u8]) -> Option<Family> {
    match body {
        &[afi_high, afi_low, 0, safi] => Family::of(u16::from_be_bytes([afi_high, afi_low]), safi),
        _ => None,
    }
}

/// All of `bytes`, if they are this many.
fn exactly(bytes: &[u8], length: usize) -> Option<&[u8]> {
    (bytes.len() == length).then_some(bytes)
}

/// The next type, length, and value.
fn take_tlv<'a>(bytes: &mut &'a [u8], wide: bool) -> Option<(u8, &'a [u8])> {
    let (kind, length, rest) = match (wide, *bytes) {
        (false, [kind, length, rest @ ..]) => (*kind, usize::from(*length), rest),
        (true, [kind, high, low, rest @ ..]) => {
            (*kind, usize::from(u16::from_be_bytes([*high, *low])), rest)
        }
        _ => return None,
    };
    let (value, rest) = rest.split_at_checked(length)?;
    *bytes = rest;
    Some((kind, value))
}

#[cfg(test)]
mod tests {
    use super::super::encode;
    use super::*;

    fn ours() -> Open {
        Open {
            asn: 4_200_000_000,
            four_octets: true,
            hold_seconds: 90,
            identifier: Ipv4Addr::new(10, 169, 25, 20),
            families: vec![Family::Vpn, Family::RouteTargets],
            refresh: true,
            graceful: Some(GracefulRestart {
                restarting: true,
                notifications: true,
                seconds: 300,
                families: vec![(Family::Vpn, true), (Family::RouteTargets, false)],
            }),
            long_lived_seconds: Some(86_400),
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let bytes = encode::open(&ours());
        assert_eq!(decode_open(&bytes[19..]), Ok(ours()));
    }

    #[test]
    fn capabilities_that_nobody_knows_are_passed_over() {
        // An MP capability of AFI 16388, a role, a truncated graceful restart, then four-octet AS 70000.
        let capabilities =
            [&[1, 4, 64, 4, 0, 71][..], &[9, 1, 3], &[64, 1, 0], &[65, 4, 0, 1, 17, 112]].concat();
        let mut body = vec![4, 0x5b, 0xa0, 0, 90, 10, 0, 0, 1];
        let length = u8::try_from(capabilities.len()).unwrap();
        body.extend([length + 2, 2, length]);
        body.extend(&capabilities);
        let open = decode_open(&body).unwrap();
        assert_eq!((open.asn, open.families, open.graceful), (70_000, vec![], None));
        // The same with lengths of two octets.
        let mut wide = body[..9].to_vec();
        wide.extend([255, 255, 0, length + 3, 2, 0, length]);
        wide.extend(&capabilities);
        assert_eq!(decode_open(&wide).unwrap().asn, 70_000);
    }

    #[test]
    fn what_cannot_be_is_answered_by_its_subcode() {
        let refused = |change: fn(&mut Vec<u8>)| {
            let mut body = encode::open(&ours())[19..].to_vec();
            change(&mut body);
            let error = decode_open(&body).unwrap_err();
            (error.code, error.subcode)
        };
        assert_eq!(refused(|b| b[0] = 3), (code::OPEN, code::UNSUPPORTED_VERSION));
        assert_eq!(refused(|b| b[4] = 2), (code::OPEN, code::UNACCEPTABLE_HOLD_TIME));
        assert_eq!(refused(|b| b[5] = 224), (code::OPEN, code::BAD_IDENTIFIER));
        assert_eq!(refused(|b| b[10] = 1), (code::OPEN, code::UNSUPPORTED_PARAMETER));
        assert_eq!(refused(|b| b.truncate(30)), (code::OPEN, 0));
        assert_eq!(refused(|b| b.truncate(5)), (code::HEADER, code::BAD_LENGTH));
    }
}
