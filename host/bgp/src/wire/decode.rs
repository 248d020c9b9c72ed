//! UPDATE, read as RFC 7606 wants it: an attribute that is wrong costs the routes that it is about, seldom the session.
//!
//! Example: of an UPDATE with ORIGIN 7 and the prefix 10.169.25.21:2:10.47.255.238/32 nothing is learned; the prefix is
//! *withdrawn*, as what was known of it before may not be true either, and [`Update::faults`] says why. The session goes on. It ends
//! only if nobody can tell any more which prefixes are meant.

use std::net::Ipv4Addr;
use std::sync::Arc;

use ipnet::Ipv4Net;
use netgauze_bgp_pkt::path_attribute::{
    AsPath, AsPathSegmentType, PathAttribute, PathAttributeValue,
};
use netgauze_bgp_pkt::wire::deserializer::BgpParsingContext;
use netgauze_parse_utils::reader::SliceReader;
use netgauze_parse_utils::traits::ParseFromWithOneInput as _;
use penstock_model::{MplsLabel, Path};

use super::notification::{Notification, code};
use super::open::Family;
use crate::community::{ExtendedCommunity, RouteTarget};
use crate::path::{Attributes, RouteDistinguisher, VpnPath, VpnPrefix};

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

/// Route targets that a peer wants: those that begin with these bits (RFC 4684 section 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Membership {
    /// The AS that wants them; 0 in the membership of all targets.
    pub asn: u32,
    /// How many bits of the target count; none = all targets.
    pub bits: u8,
    target: [u8; 8],
}

impl Membership {
    /// All targets.
    pub const ALL: Self = Self { asn: 0, bits: 0, target: [0; 8] };

    /// Whether it is about this target.
    #[must_use]
    pub fn covers(&self, target: RouteTarget) -> bool {
        let differing = u64::from_be_bytes(self.target) ^ u64::from_be_bytes(target.octets());
        differing.leading_zeros() >= u32::from(self.bits)
    }
}

mod attribute {
    pub(super) const ORIGIN: u8 = 1;
    pub(super) const AS_PATH: u8 = 2;
    pub(super) const MULTI_EXIT_DISC: u8 = 4;
    pub(super) const LOCAL_PREF: u8 = 5;
    pub(super) const ATOMIC_AGGREGATE: u8 = 6;
    pub(super) const AGGREGATOR: u8 = 7;
    pub(super) const COMMUNITIES: u8 = 8;
    pub(super) const ORIGINATOR_ID: u8 = 9;
    pub(super) const CLUSTER_LIST: u8 = 10;
    pub(super) const MP_REACH: u8 = 14;
    pub(super) const MP_UNREACH: u8 = 15;
    pub(super) const EXTENDED_COMMUNITIES: u8 = 16;
    pub(super) const AS4_PATH: u8 = 17;
    pub(super) const AS4_AGGREGATOR: u8 = 18;
    pub(super) const NEXT_HOP: u8 = 3;
    pub(super) const OPTIONAL: u8 = 0x80;
    pub(super) const TRANSITIVE: u8 = 0x40;
    pub(super) const EXTENDED_LENGTH: u8 = 0x10;
}
use attribute::{
    AGGREGATOR, AS_PATH, AS4_AGGREGATOR, AS4_PATH, ATOMIC_AGGREGATE, CLUSTER_LIST, COMMUNITIES,
    EXTENDED_COMMUNITIES, LOCAL_PREF, MP_REACH, MP_UNREACH, MULTI_EXIT_DISC, NEXT_HOP, ORIGIN,
    ORIGINATOR_ID,
};

/// Long-lived stale (RFC 9494).
const LLGR_STALE: u32 = 0xffff_0006;
/// Not to be kept for long (RFC 9494).
const NO_LLGR: u32 = 0xffff_0007;

/// An attribute: its header and its value apart.
#[derive(Clone, Copy)]
struct Raw<'a> {
    flags: u8,
    kind: u8,
    value: &'a [u8],
    /// With its header.
    whole: &'a [u8],
}

/// The next attribute; nothing if it does not fit in what is left.
fn take_attribute<'a>(list: &mut &'a [u8]) -> Option<Raw<'a>> {
    let all = *list;
    let (&[flags, kind], rest) = all.split_first_chunk::<2>()?;
    let (length, rest) = if flags & attribute::EXTENDED_LENGTH != 0 {
        let (&length, rest) = rest.split_first_chunk::<2>()?;
        (usize::from(u16::from_be_bytes(length)), rest)
    } else {
        let (&length, rest) = rest.split_first()?;
        (usize::from(length), rest)
    };
    let (value, rest) = rest.split_at_checked(length)?;
    *list = rest;
    Some(Raw { flags, kind, value, whole: &all[..all.len() - rest.len()] })
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

/// The attributes of an UPDATE, as far as they have been read.
struct Reader {
    scope: Scope,
    origin: Option<u8>,
    as_path_length: Option<u32>,
    preference: Option<u32>,
    discriminator: u32,
    originator: Option<Ipv4Addr>,
    long_lived_stale: bool,
    no_long_lived: bool,
    extended: Vec<ExtendedCommunity>,
    looped: bool,
    /// The routes are to be taken for withdrawn.
    bad: bool,
    faults: Vec<Fault>,
}

impl Reader {
    fn new(scope: Scope) -> Self {
        Self {
            scope,
            origin: None,
            as_path_length: None,
            preference: None,
            discriminator: 0,
            originator: None,
            long_lived_stale: false,
            no_long_lived: false,
            extended: Vec::new(),
            looped: false,
            bad: false,
            faults: Vec::new(),
        }
    }

    fn fail(&mut self, fault: Fault) {
        self.bad = true;
        self.faults.push(fault);
    }

    /// Reads an attribute.
    fn take(&mut self, raw: Raw<'_>) -> Result<(), Notification> {
        let flags = raw.flags & (attribute::OPTIONAL | attribute::TRANSITIVE);
        let right = match raw.kind {
            ORIGIN | AS_PATH | NEXT_HOP | LOCAL_PREF | ATOMIC_AGGREGATE => attribute::TRANSITIVE,
            MULTI_EXIT_DISC | ORIGINATOR_ID | CLUSTER_LIST => attribute::OPTIONAL,
            AGGREGATOR | COMMUNITIES | EXTENDED_COMMUNITIES | AS4_PATH | AS4_AGGREGATOR => {
                attribute::OPTIONAL | attribute::TRANSITIVE
            }
            unknown if flags & attribute::OPTIONAL == 0 => {
                let _ = unknown;
                let data = &raw.whole[..raw.whole.len().min(255)];
                return Err(Notification::with(code::UPDATE, code::UNRECOGNIZED_WELL_KNOWN, data));
            }
            // Nothing is passed on, so what is unknown is of no interest.
            _ => return Ok(()),
        };
        let outside = !self.scope.internal;
        match raw.kind {
            // RFC 7606 sections 7.6, 7.7; AS4_PATH: RFC 6793 section 6.
            ATOMIC_AGGREGATE if flags != right || !raw.value.is_empty() => {
                self.faults.push(Fault::PassedOver(raw.kind));
            }
            AGGREGATOR | AS4_AGGREGATOR => {
                let length = if raw.kind == AGGREGATOR && !self.scope.four_octets { 6 } else { 8 };
                if flags != right || raw.value.len() != length {
                    self.faults.push(Fault::PassedOver(raw.kind));
                }
            }
            // Sections 7.5, 7.9, 7.10: of no force between ASes.
            LOCAL_PREF | ORIGINATOR_ID | CLUSTER_LIST if outside => {
                self.faults.push(Fault::PassedOver(raw.kind));
            }
            AS4_PATH if self.scope.four_octets => self.faults.push(Fault::PassedOver(raw.kind)),
            _ if flags != right => self.fail(Fault::Withdrawn(raw.kind)),
            EXTENDED_COMMUNITIES => match raw.value.as_chunks::<8>() {
                (list @ [_, ..], []) => {
                    self.extended.extend(list.iter().map(|&o| ExtendedCommunity(o)))
                }
                _ => self.fail(Fault::Withdrawn(raw.kind)),
            },
            COMMUNITIES => match raw.value.as_chunks::<4>() {
                (list @ [_, ..], []) => {
                    let has = |community: u32| list.contains(&community.to_be_bytes());
                    self.long_lived_stale = has(LLGR_STALE);
                    self.no_long_lived = has(NO_LLGR);
                }
                _ => self.fail(Fault::Withdrawn(raw.kind)),
            },
            CLUSTER_LIST => {
                if raw.value.is_empty() || raw.value.len() % 4 != 0 {
                    self.fail(Fault::Withdrawn(raw.kind));
                }
            }
            _ => self.value(raw),
        }
        Ok(())
    }

    /// Reads an attribute whose inside the crate knows.
    fn value(&mut self, raw: Raw<'_>) {
        let mut context = BgpParsingContext::default();
        context.set_asn4(self.scope.four_octets);
        let mut cursor = SliceReader::new(raw.whole);
        let parsed = PathAttribute::parse(&mut cursor, &mut context);
        let whole = cursor.is_empty();
        let Some(parsed) = parsed.ok().filter(|_| whole) else {
            // RFC 6793 section 6: an AS4_PATH that is wrong is passed over.
            if raw.kind == AS4_PATH {
                return self.faults.push(Fault::PassedOver(raw.kind));
            }
            return self.fail(Fault::Withdrawn(raw.kind));
        };
        match parsed.value() {
            PathAttributeValue::Origin(origin) => self.origin = Some(*origin as u8),
            PathAttributeValue::AsPath(AsPath::As4PathSegments(segments)) => {
                let list = segments.iter().map(|s| (s.segment_type(), s.as_numbers()));
                self.as_path(list.map(|(kind, list)| (kind, list.to_vec())));
            }
            PathAttributeValue::AsPath(AsPath::As2PathSegments(segments)) => {
                let list = segments.iter().map(|s| (s.segment_type(), s.as_numbers()));
                let wide = |list: &[u16]| list.iter().map(|&asn| asn.into()).collect();
                self.as_path(list.map(|(kind, list)| (kind, wide(list))));
            }
            PathAttributeValue::As4Path(path) => {
                let mut all = path.segments().iter().flat_map(|segment| segment.as_numbers());
                self.looped |= all.any(|&asn| asn == self.scope.local_as);
            }
            PathAttributeValue::MultiExitDiscriminator(metric) => {
                self.discriminator = metric.metric();
            }
            PathAttributeValue::LocalPreference(preference) => {
                self.preference = Some(preference.metric());
            }
            PathAttributeValue::Originator(originator) => {
                self.originator = Some(originator.id());
                self.looped |= originator.id() == self.scope.identifier;
            }
            // NEXT_HOP is that of the routes of the Internet; ATOMIC_AGGREGATE says nothing.
            _ => {}
        }
    }

    fn as_path(&mut self, segments: impl Iterator<Item = (AsPathSegmentType, Vec<u32>)>) {
        let mut length = 0;
        for (kind, numbers) in segments {
            self.looped |= numbers.contains(&self.scope.local_as);
            // A set counts as one, however many there are in it.
            let count = if kind == AsPathSegmentType::AsSet { 1 } else { numbers.len() };
            length += u32::try_from(count).unwrap_or(u32::MAX);
        }
        self.as_path_length = Some(length);
    }
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

/// The next prefix of at most `longest` bits: how many it has, and its octets.
fn take_prefix<'a>(bytes: &mut &'a [u8], longest: u8) -> Option<(u8, &'a [u8])> {
    let (&bits, rest) = bytes.split_first()?;
    let (octets, rest) = rest.split_at_checked(usize::from(bits.div_ceil(8)))?;
    *bytes = rest;
    (bits <= longest).then_some((bits, octets))
}

/// Bits of a label and a distinguisher.
const BEFORE_PREFIX: u8 = 24 + 64;

/// Labelled prefixes (RFC 8277 section 2.2: one label; RFC 4364 section 4.3.4).
fn vpn_prefixes(
    mut nlri: &[u8],
    faults: &mut Vec<Fault>,
) -> Result<Vec<(VpnPrefix, MplsLabel)>, Notification> {
    let broken = || Notification::new(code::UPDATE, code::INVALID_NETWORK);
    let mut prefixes = Vec::with_capacity(nlri.len() / 12);
    while !nlri.is_empty() {
        let (bits, octets) = take_prefix(&mut nlri, BEFORE_PREFIX + 32).ok_or_else(broken)?;
        let length = bits.checked_sub(BEFORE_PREFIX).ok_or_else(broken)?;
        let (&[a, b, c], rest) = octets.split_first_chunk::<3>().ok_or_else(broken)?;
        let (&distinguisher, rest) = rest.split_first_chunk::<8>().ok_or_else(broken)?;
        let mut address = [0; 4];
        address[..rest.len()].copy_from_slice(rest);
        let address = Ipv4Addr::from(address);
        let prefix = Ipv4Net::new(address, length).map_err(|_| broken())?.trunc();
        if prefix.addr().is_multicast() || prefix.addr().is_broadcast() {
            faults.push(Fault::Unusable);
            continue;
        }
        let distinguisher = RouteDistinguisher(distinguisher);
        let label = MplsLabel(u32::from_be_bytes([0, a, b, c]) >> 4);
        prefixes.push((VpnPrefix { distinguisher, prefix }, label));
    }
    Ok(prefixes)
}

/// Route targets, or what they begin with (RFC 4684 section 4).
fn target_prefixes(mut nlri: &[u8]) -> Result<Vec<Membership>, Notification> {
    let broken = || Notification::new(code::UPDATE, code::INVALID_NETWORK);
    let mut memberships = Vec::with_capacity(nlri.len() / 13);
    while !nlri.is_empty() {
        let (bits, octets) = take_prefix(&mut nlri, 96).ok_or_else(broken)?;
        let Some((&asn, rest)) = octets.split_first_chunk::<4>() else {
            if bits != 0 {
                return Err(broken());
            }
            memberships.push(Membership::ALL);
            continue;
        };
        let bits = bits.checked_sub(32).ok_or_else(broken)?;
        let mut target = [0; 8];
        target[..rest.len()].copy_from_slice(rest);
        let masked =
            u64::from_be_bytes(target) & u64::MAX.checked_shl(64 - u32::from(bits)).unwrap_or(0);
        let target = masked.to_be_bytes();
        memberships.push(Membership { asn: u32::from_be_bytes(asn), bits, target });
    }
    Ok(memberships)
}

#[cfg(test)]
#[path = "decode_tests.rs"]
mod tests;
