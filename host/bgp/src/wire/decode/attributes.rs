//! Path attributes: where they begin and end, and what those say that matter here.

use std::net::Ipv4Addr;

use netgauze_bgp_pkt::path_attribute::{
    AsPath, AsPathSegmentType, PathAttribute, PathAttributeValue,
};
use netgauze_bgp_pkt::wire::deserializer::BgpParsingContext;
use netgauze_parse_utils::reader::SliceReader;
use netgauze_parse_utils::traits::ParseFromWithOneInput as _;

use super::super::notification::{Notification, code};
use super::{Fault, Scope};
use crate::community::ExtendedCommunity;

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

/// Long-lived stale (RFC 9494).
const LLGR_STALE: u32 = 0xffff_0006;
/// Not to be kept for long (RFC 9494).
const NO_LLGR: u32 = 0xffff_0007;

/// An attribute: its header and its value apart.
#[derive(Clone, Copy)]
pub(super) struct Raw<'a> {
    flags: u8,
    pub(super) kind: u8,
    pub(super) value: &'a [u8],
    /// With its header.
    pub(super) whole: &'a [u8],
}

/// The next attribute; nothing if it does not fit in what is left.
pub(super) fn take_attribute<'a>(list: &mut &'a [u8]) -> Option<Raw<'a>> {
    let all = *list;
    let (&[flags, kind], rest) = all.split_first_chunk::<2>()?;
    let (length, rest) = if flags & EXTENDED_LENGTH != 0 {
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

/// The attributes of an UPDATE, as far as they have been read.
pub(super) struct Reader {
    pub(super) scope: Scope,
    pub(super) origin: Option<u8>,
    pub(super) as_path_length: Option<u32>,
    pub(super) preference: Option<u32>,
    pub(super) discriminator: u32,
    pub(super) originator: Option<Ipv4Addr>,
    pub(super) long_lived_stale: bool,
    pub(super) no_long_lived: bool,
    pub(super) extended: Vec<ExtendedCommunity>,
    pub(super) looped: bool,
    /// The routes are to be taken for withdrawn.
    pub(super) bad: bool,
    pub(super) faults: Vec<Fault>,
}

impl Reader {
    pub(super) fn new(scope: Scope) -> Self {
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

    pub(super) fn fail(&mut self, fault: Fault) {
        self.bad = true;
        self.faults.push(fault);
    }

    /// Reads an attribute.
    pub(super) fn take(&mut self, raw: Raw<'_>) -> Result<(), Notification> {
        let flags = raw.flags & (OPTIONAL | TRANSITIVE);
        let right = match raw.kind {
            ORIGIN | AS_PATH | NEXT_HOP | LOCAL_PREF | ATOMIC_AGGREGATE => TRANSITIVE,
            MULTI_EXIT_DISC | ORIGINATOR_ID | CLUSTER_LIST => OPTIONAL,
            AGGREGATOR | COMMUNITIES | EXTENDED_COMMUNITIES | AS4_PATH | AS4_AGGREGATOR => {
                OPTIONAL | TRANSITIVE
            }
            _ if flags & OPTIONAL == 0 => {
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
                    self.extended.extend(list.iter().map(|&o| ExtendedCommunity(o)));
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
                if raw.value.is_empty() || !raw.value.len().is_multiple_of(4) {
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
