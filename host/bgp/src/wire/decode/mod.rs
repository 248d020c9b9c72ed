//! UPDATE, read as RFC 7606 wants it: an attribute that is wrong costs the routes that it is about, seldom the session.
//!
//! Example: of an UPDATE with ORIGIN 7 and the prefix 10.169.25.21:2:10.47.255.238/32 nothing is learned; the prefix is
//! *withdrawn*, as what was known of it before may not be true either, and [`Update::faults`] says why. The session goes on. It ends
//! only if nobody can tell any more which prefixes are meant.

mod attributes;
mod prefixes;

use std::net::Ipv4Addr;
use std::sync::Arc;

use penstock_model::Path;

use super::notification::{Notification, code};
use super::open::Family;
use crate::path::{Attributes, VpnPath, VpnPrefix};
use attributes::{AS_PATH, MP_REACH, MP_UNREACH, ORIGIN, Raw, Reader, take_attribute};
pub use prefixes::Membership;
use prefixes::{take_prefix, target_prefixes, vpn_prefixes};

/// How a peer's paths are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scope {
    /// This speaker's AS: a path that has been there is a loop.
    pub local_as: u32,
    /// This speaker's identifier: a path from there is a loop (RFC 4456 section 8).
    pub identifier: Ipv4Addr,
    /// The peer is of the same AS.
    pub internal: bool,
    /// AS numbers have four octets.
    pub four_octets: bool,
}

/// What an UPDATE says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Update {
    /// Paths to prefixes.
    pub announced: Vec<(VpnPrefix, VpnPath)>,
    /// Prefixes to which there is no path any more; also those whose path is not usable.
    pub withdrawn: Vec<VpnPrefix>,
    /// Route targets that the peer wants.
    pub wanted: Vec<Membership>,
    /// Route targets that it does not want any more.
    pub unwanted: Vec<Membership>,
    /// It has now sent all routes of this family.
    pub end_of_rib: Option<Family>,
    /// What was wrong, and was borne.
    pub faults: Vec<Fault>,
}

/// Something wrong in an UPDATE that did not end the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Fault {
    /// The attribute of this type is malformed, and its routes are taken for withdrawn.
    Withdrawn(u8),
    /// The attribute of this type is malformed, and passed over.
    PassedOver(u8),
    /// The attributes do not fill their place: the routes are taken for withdrawn.
    Overrun,
    /// The mandatory attribute of this type is missing: the routes are taken for withdrawn.
    Missing(u8),
    /// Routes of a family that was not agreed on are passed over.
    Family(u16, u8),
    /// Prefixes or next hops that no packet can go to are passed over.
    Unusable,
    /// A path has been here before.
    Loop,
}

/// The two octets of length and as many octets as they say.
fn take_counted<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (&length, rest) = bytes.split_first_chunk::<2>()?;
    let (value, rest) = rest.split_at_checked(u16::from_be_bytes(length).into())?;
    *bytes = rest;
    Some(value)
}

fn malformed() -> Notification {
    Notification::new(code::UPDATE, code::MALFORMED_LIST)
}

/// Reads what follows the header of an UPDATE, given the families that were agreed on.
///
/// # Errors
/// Nobody can tell which prefixes it is about; the notification with which the session ends.
pub fn decode_update(
    body: &[u8],
    families: &[Family],
    scope: Scope,
) -> Result<Update, Notification> {
    let mut rest = body;
    let plain_withdrawn = take_counted(&mut rest).ok_or_else(malformed)?;
    let mut list = take_counted(&mut rest).ok_or_else(malformed)?;
    let plain = rest;
    for mut prefixes in [plain_withdrawn, plain] {
        // Routes of the Internet were not agreed on; but what cannot even be cut into prefixes is no UPDATE.
        while !prefixes.is_empty() {
            let bits = take_prefix(&mut prefixes, 32).map(|(bits, _)| bits);
            bits.ok_or_else(|| Notification::new(code::UPDATE, code::INVALID_NETWORK))?;
        }
    }
    let mut update = Update::default();
    let mut reader = Reader::new(scope);
    let (mut reach, mut unreach) = (None, None);
    let (is_end_of_all, mut others) = (list.is_empty() && body.len() == 4, 0);
    let mut seen = [false; 256];
    while !list.is_empty() {
        let Some(raw) = take_attribute(&mut list) else {
            reader.fail(Fault::Overrun);
            break;
        };
        let again = std::mem::replace(&mut seen[usize::from(raw.kind)], true);
        match raw.kind {
            MP_REACH | MP_UNREACH if again => return Err(malformed()),
            _ if again => reader.faults.push(Fault::PassedOver(raw.kind)),
            MP_REACH => reach = Some(raw),
            MP_UNREACH => unreach = Some(raw),
            _ => {
                others += 1;
                reader.take(raw)?;
            }
        }
    }
    if !plain.is_empty() || !plain_withdrawn.is_empty() {
        reader.faults.push(Fault::Family(1, 1));
    }
    if let Some(raw) = unreach {
        withdrawals(raw, families, &mut update, &mut reader.faults)?;
        let alone =
            others == 0 && reach.is_none() && plain.is_empty() && plain_withdrawn.is_empty();
        if let (true, &[afi_high, afi_low, safi]) = (alone, raw.value) {
            let family = Family::of(u16::from_be_bytes([afi_high, afi_low]), safi);
            update.end_of_rib = family.filter(|family| families.contains(family));
        }
    }
    if let Some(raw) = reach {
        announcements(raw, families, reader, &mut update)?;
    } else {
        let silent = plain.is_empty() && plain_withdrawn.is_empty() && unreach.is_none();
        if reader.bad && silent && !is_end_of_all {
            // Routes may have been in what could not be read (RFC 7606 section 5.2).
            return Err(malformed());
        }
        update.faults = reader.faults;
    }
    Ok(update)
}

/// The family of MP_REACH_NLRI or MP_UNREACH_NLRI, and what follows.
fn family_of<'a>(
    raw: Raw<'a>,
    families: &[Family],
) -> Result<Result<(Family, &'a [u8]), Fault>, Notification> {
    let broken = || {
        Notification::with(
            code::UPDATE,
            code::OPTIONAL_ATTRIBUTE,
            &raw.whole[..raw.whole.len().min(255)],
        )
    };
    let (&[high, low, safi], rest) = raw.value.split_first_chunk::<3>().ok_or_else(broken)?;
    let afi = u16::from_be_bytes([high, low]);
    let family = Family::of(afi, safi).filter(|family| families.contains(family));
    Ok(family.map(|family| (family, rest)).ok_or(Fault::Family(afi, safi)))
}

fn withdrawals(
    raw: Raw<'_>,
    families: &[Family],
    update: &mut Update,
    faults: &mut Vec<Fault>,
) -> Result<(), Notification> {
    match family_of(raw, families)? {
        Ok((Family::Vpn, nlri)) => {
            let prefixes = vpn_prefixes(nlri, faults)?;
            update.withdrawn.extend(prefixes.into_iter().map(|(prefix, _)| prefix));
        }
        Ok((Family::RouteTargets, nlri)) => update.unwanted = target_prefixes(nlri)?,
        Err(fault) => faults.push(fault),
    }
    Ok(())
}

fn announcements(
    raw: Raw<'_>,
    families: &[Family],
    mut reader: Reader,
    update: &mut Update,
) -> Result<(), Notification> {
    let (family, rest) = match family_of(raw, families)? {
        Ok(known) => known,
        Err(fault) => {
            reader.faults.push(fault);
            update.faults = reader.faults;
            return Ok(());
        }
    };
    let broken = || Notification::new(code::UPDATE, code::OPTIONAL_ATTRIBUTE);
    let (&length, rest) = rest.split_first().ok_or_else(broken)?;
    let (next_hop, rest) = rest.split_at_checked(length.into()).ok_or_else(broken)?;
    // An octet that once counted something else.
    let (_, nlri) = rest.split_first().ok_or_else(broken)?;
    let missing = |reader: &mut Reader| {
        if reader.origin.is_none() && !reader.bad {
            reader.fail(Fault::Missing(ORIGIN));
        }
        if reader.as_path_length.is_none() && !reader.bad {
            reader.fail(Fault::Missing(AS_PATH));
        }
    };
    match family {
        Family::RouteTargets => {
            let targets = target_prefixes(nlri)?;
            missing(&mut reader);
            if reader.bad { update.unwanted.extend(targets) } else { update.wanted = targets }
        }
        Family::Vpn => {
            let prefixes = vpn_prefixes(nlri, &mut reader.faults)?;
            missing(&mut reader);
            let next_hop = match next_hop {
                &[_, _, _, _, _, _, _, _, a, b, c, d] => Some(Ipv4Addr::new(a, b, c, d)),
                // Tunnels over IPv6 (RFC 4659), which the card does not know; one address or two.
                _ if matches!(next_hop.len(), 24 | 48) => None,
                _ => return Err(broken()),
            };
            let reachable = |address: &Ipv4Addr| {
                !(address.is_unspecified()
                    || address.is_multicast()
                    || address.is_broadcast()
                    || address.is_loopback())
            };
            let next_hop = next_hop.filter(reachable);
            if next_hop.is_none() {
                reader.faults.push(Fault::Unusable);
            }
            if reader.looped {
                reader.faults.push(Fault::Loop);
            }
            match next_hop.filter(|_| !reader.bad && !reader.looped) {
                None => update.withdrawn.extend(prefixes.into_iter().map(|(prefix, _)| prefix)),
                Some(next_hop) => {
                    let mut extended = std::mem::take(&mut reader.extended);
                    extended.sort_unstable();
                    extended.dedup();
                    let attributes = Arc::new(Attributes {
                        next_hop,
                        preference: reader.preference.unwrap_or(Path::PREFERENCE),
                        as_path_length: reader.as_path_length.unwrap_or(0),
                        origin: reader.origin.unwrap_or(2),
                        discriminator: reader.discriminator,
                        originator: reader.originator,
                        long_lived_stale: reader.long_lived_stale,
                        no_long_lived: reader.no_long_lived,
                        extended: extended.into(),
                    });
                    let path = |label| VpnPath { label, attributes: attributes.clone() };
                    update
                        .announced
                        .extend(prefixes.into_iter().map(|(at, label)| (at, path(label))));
                }
            }
        }
    }
    update.faults = reader.faults;
    Ok(())
}

#[cfg(test)]
mod tests;
