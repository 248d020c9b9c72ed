//! Messages that are sent, written by netgauze-bgp-pkt.

use std::sync::Arc;

use netgauze_bgp_pkt::BgpMessage;
use netgauze_bgp_pkt::capabilities::{
    BgpCapability, FourOctetAsCapability, GracefulRestartAddressFamily, GracefulRestartCapability,
    LongLivedGracefulRestartAddressFamily, LongLivedGracefulRestartCapability,
    MultiProtocolExtensionsCapability,
};
use netgauze_bgp_pkt::community::ExtendedCommunity;
use netgauze_bgp_pkt::iana::RouteRefreshSubcode;
use netgauze_bgp_pkt::nlri::{
    Ipv4MplsVpnUnicastAddress, Ipv4Unicast, LabeledIpv4NextHop, LabeledNextHop, MplsLabel,
    RouteDistinguisher, RouteTargetMembership, RouteTargetMembershipAddress,
};
use netgauze_bgp_pkt::open::{BgpOpenMessage, BgpOpenMessageParameter};
use netgauze_bgp_pkt::path_attribute::{
    As2PathSegment, As4Path, As4PathSegment, AsPath, AsPathSegmentType, ExtendedCommunities,
    LocalPreference, MpReach, MpUnreach, Origin, PathAttribute, PathAttributeValue,
};
use netgauze_bgp_pkt::route_refresh::BgpRouteRefreshMessage;
use netgauze_bgp_pkt::update::BgpUpdateMessage;
use netgauze_parse_utils::WritablePdu as _;
use netgauze_parse_utils::reader::SliceReader;
use netgauze_parse_utils::traits::ParseFrom as _;

use super::notification::Notification;
use super::open::{Family, Open};
use crate::community::{self, RouteTarget};
use crate::path::{Attributes, VpnPath, VpnPrefix};

/// Octets of the longest message (RFC 4271 section 4.1).
pub const MAX_MESSAGE: usize = 4096;
/// Octets of an UPDATE beside its communities and prefixes: header, lengths, and attributes.
const OVERHEAD: usize = 128;
/// Octets of the longest VPN prefix: length, label, distinguisher, address.
const LONGEST_PREFIX: usize = 1 + 3 + 8 + 4;
/// Octets of a route target membership: length, AS, target.
const MEMBERSHIP: usize = 1 + 4 + 8;
/// AS number that stands for one that does not fit in 16 bits (RFC 6793).
const AS_TRANS: u16 = 23456;
/// Label of a prefix that is withdrawn (RFC 8277 section 2.4).
const WITHDRAWN: [u8; 3] = [0x80, 0, 0];

/// The bytes of a message. What is sent is made here and fits, so that writing it cannot fail.
fn bytes(message: &BgpMessage) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(message.len());
    message.write(&mut bytes).expect("a message made here fits, and writing into memory succeeds");
    debug_assert!(bytes.len() <= MAX_MESSAGE);
    bytes
}

/// An OPEN.
#[must_use]
pub fn open(open: &Open) -> Vec<u8> {
    let family = |family: &Family| {
        let capability = MultiProtocolExtensionsCapability::new(family.address_type());
        BgpCapability::MultiProtocolExtensions(capability)
    };
    let mut capabilities: Vec<BgpCapability> = open.families.iter().map(family).collect();
    if open.refresh {
        capabilities.push(BgpCapability::RouteRefresh);
    }
    if open.four_octets {
        capabilities.push(BgpCapability::FourOctetAs(FourOctetAsCapability::new(open.asn)));
    }
    if let Some(graceful) = &open.graceful {
        let families = graceful
            .families
            .iter()
            .map(|&(family, kept)| GracefulRestartAddressFamily::new(kept, family.address_type()));
        capabilities.push(BgpCapability::GracefulRestartCapability(
            GracefulRestartCapability::new(
                graceful.restarting,
                graceful.notifications,
                graceful.seconds & 0x0fff,
                families.collect::<Vec<_>>(),
            ),
        ));
        if let Some(seconds) = open.long_lived_seconds {
            let family = LongLivedGracefulRestartAddressFamily::new(
                graceful.vpn() == Some(true),
                Family::Vpn.address_type(),
                seconds.min(LongLivedGracefulRestartAddressFamily::MAX_STALE_TIME),
            );
            let capability = LongLivedGracefulRestartCapability::new(vec![family]);
            capabilities.push(BgpCapability::LongLivedGracefulRestart(capability));
        }
    }
    // One parameter for each: some speakers of old read no more than one capability of a parameter.
    let parameters = capabilities
        .into_iter()
        .map(|capability| BgpOpenMessageParameter::new_capabilities(vec![capability]));
    bytes(&BgpMessage::Open(BgpOpenMessage::new(
        u16::try_from(open.asn).unwrap_or(AS_TRANS),
        open.hold_seconds,
        open.identifier,
        parameters.collect::<Vec<_>>(),
    )))
}

/// A KEEPALIVE.
#[must_use]
pub fn keepalive() -> Vec<u8> {
    bytes(&BgpMessage::KeepAlive)
}

/// A NOTIFICATION. It is written here, as its codes need no list of those that are known.
#[must_use]
pub fn notification(notification: &Notification) -> Vec<u8> {
    let data = &notification.data[..notification.data.len().min(MAX_MESSAGE - 21)];
    let length = u16::try_from(21 + data.len()).expect("it is no longer than a message");
    let mut bytes = vec![0xff; 16];
    bytes.extend(length.to_be_bytes());
    bytes.extend([3, notification.code, notification.subcode]);
    bytes.extend(data);
    bytes
}

/// A ROUTE-REFRESH: the peer is to send all routes of a family again.
#[must_use]
pub fn route_refresh(family: Family) -> Vec<u8> {
    bytes(&BgpMessage::RouteRefresh(BgpRouteRefreshMessage::new(
        family.address_type(),
        RouteRefreshSubcode::NormalRequest,
    )))
}

/// The UPDATE that says: these are all (RFC 4724 section 2).
#[must_use]
pub fn end_of_rib(family: Family) -> Vec<u8> {
    let none = match family {
        Family::Vpn => MpUnreach::Ipv4MplsVpnUnicast { nlri: Box::default() },
        Family::RouteTargets => MpUnreach::RouteTargetMembership { nlri: Box::default() },
    };
    update(vec![optional(PathAttributeValue::MpUnreach(none))])
}

fn update(attributes: Vec<PathAttribute>) -> Vec<u8> {
    bytes(&BgpMessage::Update(BgpUpdateMessage::new(vec![], attributes, vec![])))
}

fn attribute(optional: bool, transitive: bool, value: PathAttributeValue) -> PathAttribute {
    // Lengths of two octets are always right; those of one are not.
    PathAttribute::from(optional, transitive, false, true, value)
        .expect("the flags are those of the attribute")
}

fn well_known(value: PathAttributeValue) -> PathAttribute {
    attribute(false, true, value)
}

fn optional(value: PathAttributeValue) -> PathAttribute {
    attribute(true, false, value)
}

/// What a path says on its way to a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Towards {
    pub(crate) local_as: u32,
    /// The peer is of the same AS.
    pub(crate) internal: bool,
    /// AS numbers have four octets.
    pub(crate) four_octets: bool,
}

impl Towards {
    fn well_known(self, preference: u32) -> Vec<PathAttribute> {
        let mut list = vec![well_known(PathAttributeValue::Origin(Origin::IGP))];
        let asn = self.local_as;
        let sequence = AsPathSegmentType::AsSequence;
        let path = match (self.internal, self.four_octets) {
            (true, true) => AsPath::as4_path_segments(vec![]),
            (true, false) => AsPath::as2_path_segments(vec![]),
            (false, true) => {
                AsPath::as4_path_segments(vec![As4PathSegment::new(sequence, vec![asn])])
            }
            (false, false) => {
                let short = u16::try_from(asn).unwrap_or(AS_TRANS);
                AsPath::as2_path_segments(vec![As2PathSegment::new(sequence, vec![short])])
            }
        };
        list.push(well_known(PathAttributeValue::AsPath(path)));
        if self.internal {
            let preference = LocalPreference::new(preference);
            list.push(well_known(PathAttributeValue::LocalPreference(preference)));
        } else if !self.four_octets && u16::try_from(asn).is_err() {
            let path = As4Path::new(vec![As4PathSegment::new(sequence, vec![asn])]);
            list.push(attribute(true, true, PathAttributeValue::As4Path(path)));
        }
        list
    }
}

/// A prefix as it is written; nothing if it has no unicast addresses, or its distinguisher is of a type that has no meaning.
fn prefix(prefix: &VpnPrefix, label: [u8; 3]) -> Option<Ipv4MplsVpnUnicastAddress> {
    let distinguisher = &prefix.distinguisher.0;
    let distinguisher = RouteDistinguisher::parse(&mut SliceReader::new(distinguisher)).ok()?;
    let network = Ipv4Unicast::from_net(prefix.prefix).ok()?;
    let label = vec![MplsLabel::new(label)];
    Some(Ipv4MplsVpnUnicastAddress::new_no_path_id(distinguisher, label, network))
}

/// Octets of a label at the bottom of its stack.
fn label(label: penstock_model::MplsLabel) -> [u8; 3] {
    let [_, a, b, c] = (label.0 << 4 | 1).to_be_bytes();
    [a, b, c]
}

/// UPDATEs for what is given of `changes`, in their order: announcements of those with a path, withdrawals of those without.
/// Paths with equal attributes that follow each other travel together. What cannot be written, such as a multicast prefix, is left
/// out.
#[must_use]
pub(crate) fn some_updates(changes: &[(VpnPrefix, Option<VpnPath>)], to: Towards) -> Vec<Vec<u8>> {
    let same =
        |a: &(VpnPrefix, Option<VpnPath>), b: &(VpnPrefix, Option<VpnPath>)| match (&a.1, &b.1) {
            (None, None) => true,
            (Some(a), Some(b)) => {
                Arc::ptr_eq(&a.attributes, &b.attributes) || a.attributes == b.attributes
            }
            _ => false,
        };
    let mut messages = Vec::new();
    for group in changes.chunk_by(same) {
        let attributes = group[0].1.as_ref().map(|path| &path.attributes);
        let communities = attributes.map_or(0, |attributes| attributes.extended.len() * 8);
        let room = MAX_MESSAGE.saturating_sub(OVERHEAD + communities) / LONGEST_PREFIX;
        for part in group.chunks(room.max(1)) {
            let nlri = part.iter().filter_map(|(at, path)| {
                prefix(at, path.as_ref().map_or(WITHDRAWN, |path| label(path.label)))
            });
            let nlri: Box<[_]> = nlri.collect();
            if nlri.is_empty() {
                // An UPDATE about nothing would mean: these were all.
                continue;
            }
            messages.push(match attributes {
                Some(attributes) => announcement(attributes, nlri, to),
                None => {
                    let gone = MpUnreach::Ipv4MplsVpnUnicast { nlri };
                    update(vec![optional(PathAttributeValue::MpUnreach(gone))])
                }
            });
        }
    }
    messages
}

/// As [`some_updates`], for whoever plays a peer in a test.
#[must_use]
pub fn updates(
    changes: &[(VpnPrefix, Option<VpnPath>)],
    local_as: u32,
    internal: bool,
) -> Vec<Vec<u8>> {
    some_updates(changes, Towards { local_as, internal, four_octets: true })
}

fn announcement(
    attributes: &Attributes,
    nlri: Box<[Ipv4MplsVpnUnicastAddress]>,
    to: Towards,
) -> Vec<u8> {
    let zero = RouteDistinguisher::As2Administrator { asn2: 0, number: 0 };
    let next_hop = LabeledNextHop::Ipv4(LabeledIpv4NextHop::new(zero, attributes.next_hop));
    // First of all, so that a reader which stumbles over another one knows what the UPDATE is about (RFC 7606 section 5.1).
    let reach = MpReach::Ipv4MplsVpnUnicast { next_hop, nlri };
    let mut list = vec![optional(PathAttributeValue::MpReach(reach))];
    list.extend(to.well_known(attributes.preference));
    let extended = attributes.extended.iter().filter_map(|community| extended(*community));
    let extended = ExtendedCommunities::new(extended.collect::<Vec<_>>());
    if !extended.communities().is_empty() {
        list.push(attribute(true, true, PathAttributeValue::ExtendedCommunities(extended)));
    }
    update(list)
}

fn extended(community: community::ExtendedCommunity) -> Option<ExtendedCommunity> {
    ExtendedCommunity::parse(&mut SliceReader::new(&community.0)).ok()
}

/// UPDATEs that say which route targets are wanted, or no longer so.
#[must_use]
pub(crate) fn some_memberships(
    targets: &[RouteTarget],
    wanted: bool,
    to: Towards,
    next_hop: std::net::Ipv4Addr,
) -> Vec<Vec<u8>> {
    let room = (MAX_MESSAGE - OVERHEAD) / MEMBERSHIP;
    let of = |part: &[RouteTarget]| {
        let nlri: Box<[_]> = part
            .iter()
            .map(|target| {
                let membership = RouteTargetMembership::new(to.local_as, target.octets());
                RouteTargetMembershipAddress::new(None, Some(membership))
            })
            .collect();
        if wanted {
            let reach = MpReach::RouteTargetMembership { next_hop: next_hop.into(), nlri };
            let mut list = vec![optional(PathAttributeValue::MpReach(reach))];
            list.extend(to.well_known(penstock_model::Path::PREFERENCE));
            update(list)
        } else {
            let gone = MpUnreach::RouteTargetMembership { nlri };
            update(vec![optional(PathAttributeValue::MpUnreach(gone))])
        }
    };
    targets.chunks(room).map(of).collect()
}

/// As [`some_memberships`], for whoever plays a peer in a test.
#[must_use]
pub fn memberships(targets: &[RouteTarget], wanted: bool, asn: u32) -> Vec<Vec<u8>> {
    let to = Towards { local_as: asn, internal: true, four_octets: true };
    some_memberships(targets, wanted, to, std::net::Ipv4Addr::LOCALHOST)
}
