//! UPDATEs that are as they should be, and many that are not.

use ipnet::Ipv4Net;
use penstock_model::MplsLabel;
use proptest::prelude::*;

use super::super::encode;
use super::attributes::*;
use super::*;
use crate::community::{ExtendedCommunity, RouteTarget, TUNNEL_MPLS_IN_UDP};
use crate::path::RouteDistinguisher;

const SCOPE: Scope = Scope {
    local_as: 64512,
    identifier: Ipv4Addr::new(10, 169, 25, 20),
    internal: true,
    four_octets: true,
};
const BOTH: [Family; 2] = [Family::Vpn, Family::RouteTargets];

fn prefix(host: u8) -> VpnPrefix {
    let node = Ipv4Addr::new(10, 169, 25, 21);
    let prefix = Ipv4Net::new(Ipv4Addr::new(10, 47, 255, host), 32).unwrap();
    VpnPrefix { distinguisher: RouteDistinguisher::of_node(node, 2), prefix }
}

fn path(label: u32) -> VpnPath {
    let extended = vec![
        RouteTarget::new(64512, 8_000_002).unwrap().community(),
        ExtendedCommunity::of_tunnel(TUNNEL_MPLS_IN_UDP),
    ];
    let attributes = Attributes::of_node(Ipv4Addr::new(10, 169, 25, 21), extended);
    VpnPath { label: MplsLabel(label), attributes: attributes.into() }
}

fn read(message: &[u8]) -> Result<Update, Notification> {
    decode_update(&message[19..], &BOTH, SCOPE)
}

/// An UPDATE of these attributes: flags, type, value.
fn with(attributes: &[(u8, u8, &[u8])]) -> Vec<u8> {
    let mut list = Vec::new();
    for (flags, kind, value) in attributes {
        list.extend([flags | EXTENDED_LENGTH, *kind]);
        list.extend(u16::try_from(value.len()).unwrap().to_be_bytes());
        list.extend(*value);
    }
    let mut body = vec![0, 0];
    body.extend(u16::try_from(list.len()).unwrap().to_be_bytes());
    body.extend(list);
    body
}

/// MP_REACH_NLRI of 10.47.255.238/32 with label 43.
const REACH: &[u8] = &[
    0, 1, 128, 12, 0, 0, 0, 0, 0, 0, 0, 0, 10, 169, 25, 21, 0, // family, next hop
    120, 0, 2, 0xb1, 0, 1, 10, 169, 25, 21, 0, 2, 10, 47, 255, 238,
];
const GOOD: [(u8, u8, &[u8]); 4] = [
    (0x80, MP_REACH, REACH),
    (0x40, ORIGIN, &[0]),
    (0x40, AS_PATH, &[]),
    (0x40, LOCAL_PREF, &[0, 0, 0, 100]),
];

fn decode(attributes: &[(u8, u8, &[u8])]) -> Result<Update, Notification> {
    decode_update(&with(attributes), &BOTH, SCOPE)
}

/// The good ones with one more, or another in the place of one of the same type.
fn with_one(one: (u8, u8, &'static [u8])) -> Result<Update, Notification> {
    let mut list: Vec<_> = GOOD.into_iter().filter(|(_, kind, _)| *kind != one.1).collect();
    list.push(one);
    decode(&list)
}

#[test]
fn what_is_written_is_read() {
    let changes: Vec<_> =
        (0..=255).map(|host| (prefix(host), Some(path(16 + u32::from(host))))).collect();
    let messages = encode::updates(&changes, 64512, true);
    let updates: Vec<_> = messages.iter().map(|message| read(message).unwrap()).collect();
    let announced: Vec<_> = updates.iter().flat_map(|update| &update.announced).cloned().collect();
    let wanted: Vec<_> = changes.into_iter().map(|(at, path)| (at, path.unwrap())).collect();
    assert_eq!(announced, wanted);
    assert!(
        messages.len() < 4 && messages.iter().all(|message| message.len() <= encode::MAX_MESSAGE)
    );

    let gone: Vec<_> = (0..=255).map(|host| (prefix(host), None)).collect();
    let messages = encode::updates(&gone, 64512, true);
    let withdrawn = messages.iter().flat_map(|message| read(message).unwrap().withdrawn);
    assert_eq!(withdrawn.collect::<Vec<_>>(), (0..=255).map(prefix).collect::<Vec<_>>());

    for family in BOTH {
        let end = read(&encode::end_of_rib(family)).unwrap();
        assert_eq!(end, Update { end_of_rib: Some(family), ..Update::default() });
    }
    let target = RouteTarget::new(64512, 7).unwrap();
    let membership = read(&encode::memberships(&[target], true, 64512)[0]).unwrap().wanted[0];
    assert!(membership.covers(target) && !membership.covers(RouteTarget::new(64512, 8).unwrap()));
    let gone = read(&encode::memberships(&[target], false, 64512)[0]).unwrap();
    assert_eq!(gone.unwanted, [membership]);
}

#[test]
fn a_path_between_ases_says_which_it_went_through() {
    let message = &encode::updates(&[(prefix(1), Some(path(16)))], 65001, false)[0];
    let outside = Scope { internal: false, ..SCOPE };
    let update = decode_update(&message[19..], &BOTH, outside).unwrap();
    assert_eq!(update.announced[0].1.attributes.as_path_length, 1);
    // It has been in this AS before.
    let inside = Scope { local_as: 65001, ..outside };
    let update = decode_update(&message[19..], &BOTH, inside).unwrap();
    assert_eq!(
        (update.withdrawn.as_slice(), update.faults.as_slice()),
        (&[prefix(1)][..], &[Fault::Loop][..])
    );
    // Through a speaker of old.
    let to = encode::Towards { local_as: 70_000, internal: false, four_octets: false };
    let message = &encode::some_updates(&[(prefix(1), Some(path(16)))], to)[0];
    let short = Scope { internal: false, four_octets: false, ..SCOPE };
    assert_eq!(decode_update(&message[19..], &BOTH, short).unwrap().announced.len(), 1);
    let own = Scope { local_as: 70_000, ..short };
    assert_eq!(decode_update(&message[19..], &BOTH, own).unwrap().faults, [Fault::Loop]);
}

#[test]
fn a_malformed_attribute_costs_its_routes_and_not_the_session() {
    let all: [(u8, u8, &[u8]); 17] = [
        (0x40, ORIGIN, &[3]),
        (0x40, ORIGIN, &[0, 0]),
        (0x40, ORIGIN, &[]),
        (0xc0, ORIGIN, &[0]),
        (0x40, AS_PATH, &[2]),
        (0x40, AS_PATH, &[9, 1, 0, 0, 0, 1]),
        (0x40, AS_PATH, &[2, 3, 0, 0, 0, 1]),
        (0x40, NEXT_HOP, &[1, 2, 3]),
        (0x80, MULTI_EXIT_DISC, &[1, 2, 3]),
        (0x40, LOCAL_PREF, &[1, 2, 3]),
        (0xc0, COMMUNITIES, &[1, 2, 3]),
        (0xc0, COMMUNITIES, &[]),
        (0x80, ORIGINATOR_ID, &[1, 2, 3]),
        (0x80, CLUSTER_LIST, &[1, 2, 3]),
        (0xc0, EXTENDED_COMMUNITIES, &[1, 2, 3]),
        (0xc0, EXTENDED_COMMUNITIES, &[]),
        (0x80, EXTENDED_COMMUNITIES, &[0; 8]),
    ];
    for one in all {
        let update = with_one(one).unwrap();
        assert_eq!(update.withdrawn, [prefix(238)], "{one:?}");
        assert_eq!(
            (update.announced.len(), update.faults),
            (0, vec![Fault::Withdrawn(one.1)]),
            "{one:?}"
        );
    }
}

#[test]
fn what_may_be_passed_over_is() {
    let all: [(u8, u8, &[u8]); 6] = [
        (0x40, ATOMIC_AGGREGATE, &[0]),
        (0xc0, AGGREGATOR, &[0; 6]),
        (0xc0, AS4_PATH, &[2, 1, 0, 0, 0, 1]),
        (0xc0, AS4_AGGREGATOR, &[0; 3]),
        (0x40, AGGREGATOR, &[0; 8]),
        (0xc0, AS4_PATH, &[7]),
    ];
    for one in all {
        let update = with_one(one).unwrap();
        assert_eq!(
            (update.announced.len(), update.faults),
            (1, vec![Fault::PassedOver(one.1)]),
            "{one:?}"
        );
    }
    // Unknown and optional: of no interest, not even a fault.
    let update = with_one((0xc0, 200, &[1])).unwrap();
    assert_eq!((update.announced.len(), update.faults.len()), (1, 0));
    // Of no force between ASes.
    for one in [(0x40, LOCAL_PREF, &[0, 0, 0, 9][..]), (0x80, ORIGINATOR_ID, &[10, 169, 25, 20])] {
        let list: Vec<_> =
            GOOD.into_iter().filter(|(_, kind, _)| *kind != LOCAL_PREF).chain([one]).collect();
        let outside = Scope { internal: false, ..SCOPE };
        let update = decode_update(&with(&list), &BOTH, outside).unwrap();
        assert_eq!(update.announced[0].1.attributes.preference, 100);
        assert_eq!(update.faults, [Fault::PassedOver(one.1)]);
    }
    // The second of two is not the one that counts.
    let list: Vec<_> = GOOD.into_iter().chain([(0x40, ORIGIN, &[2][..])]).collect();
    let update = decode(&list).unwrap();
    assert_eq!(
        (update.announced[0].1.attributes.origin, update.faults),
        (0, vec![Fault::PassedOver(ORIGIN)])
    );
}

#[test]
fn what_is_missing_or_does_not_fit_costs_the_routes() {
    for missing in [ORIGIN, AS_PATH] {
        let list: Vec<_> = GOOD.into_iter().filter(|(_, kind, _)| *kind != missing).collect();
        let update = decode(&list).unwrap();
        assert_eq!((update.withdrawn.len(), update.faults), (1, vec![Fault::Missing(missing)]));
    }
    let mut body = with(&GOOD);
    let length = u16::from_be_bytes([body[2], body[3]]) + 4;
    body[2..4].copy_from_slice(&length.to_be_bytes());
    body.extend([0x40, 6, 200, 0]);
    let update = decode_update(&body, &BOTH, SCOPE).unwrap();
    assert_eq!((update.withdrawn.len(), update.faults), (1, vec![Fault::Overrun]));
}

#[test]
fn what_leaves_the_prefixes_unknown_ends_the_session() {
    let subcode = |result: Result<Update, Notification>| result.unwrap_err().subcode;
    let twice: Vec<_> = GOOD.into_iter().chain([GOOD[0]]).collect();
    assert_eq!(subcode(decode(&twice)), code::MALFORMED_LIST);
    assert_eq!(subcode(decode(&[(0x40, ORIGIN, &[3])])), code::MALFORMED_LIST);
    assert_eq!(subcode(with_one((0x40, 200, &[1]))), code::UNRECOGNIZED_WELL_KNOWN);
    assert_eq!(subcode(with_one((0x80, MP_REACH, &[0, 1]))), code::OPTIONAL_ATTRIBUTE);
    assert_eq!(
        subcode(with_one((0x80, MP_REACH, &[0, 1, 128, 4, 1, 2, 3, 4, 0]))),
        code::OPTIONAL_ATTRIBUTE
    );
    // Longer than an address, shorter than a label, longer than what is there.
    for bits in [121, 80, 119] {
        let mut reach = REACH.to_vec();
        reach[17] = bits;
        let reach = if bits == 119 { &reach[..30] } else { &reach[..] };
        let list = [(0x80, MP_REACH, reach), GOOD[1], GOOD[2]];
        assert_eq!(
            subcode(decode_update(&with(&list), &BOTH, SCOPE)),
            code::INVALID_NETWORK,
            "{bits}"
        );
    }
    for body in [&[][..], &[0, 9, 0, 0], &[0, 0, 0, 9], &[0, 0, 0]] {
        assert_eq!(subcode(decode_update(body, &BOTH, SCOPE)), code::MALFORMED_LIST);
    }
    assert_eq!(subcode(decode_update(&[0, 2, 33, 0, 0, 0], &BOTH, SCOPE)), code::INVALID_NETWORK);
}

#[test]
fn families_and_addresses_of_no_use_are_passed_over() {
    let v6 = with_one((0x80, MP_REACH, &[0, 2, 1, 16])).unwrap();
    assert_eq!((v6.announced.len(), v6.faults), (0, vec![Fault::Family(2, 1)]));
    let one = decode_update(&with(&GOOD), &[Family::RouteTargets], SCOPE).unwrap();
    assert_eq!(one.faults, [Fault::Family(1, 128)]);
    let changed = |at: usize, to: u8| {
        let mut reach = REACH.to_vec();
        reach[at] = to;
        decode_update(&with(&[(0x80, MP_REACH, &reach), GOOD[1], GOOD[2]]), &BOTH, SCOPE).unwrap()
    };
    // A next hop and a prefix of many receivers.
    let update = changed(12, 224);
    assert_eq!((update.withdrawn.len(), update.faults), (1, vec![Fault::Unusable]));
    let update = changed(29, 224);
    assert_eq!((update.announced.len(), update.faults), (0, vec![Fault::Unusable]));
    // A distinguisher of a type that nobody knows is one like any other.
    let update = changed(21, 0x77);
    assert_eq!(update.announced[0].0.to_string(), "0x77010aa919150002:10.47.255.238/32");
}

#[test]
fn memberships_may_end_at_any_bit() {
    let read = |nlri: &[u8]| target_prefixes(nlri);
    assert_eq!(read(&[0]).unwrap(), [Membership::ALL]);
    let of_as = read(&[64, 0, 0, 0xfc, 0, 0, 2, 0xfc, 0]).unwrap()[0];
    assert!(of_as.covers(RouteTarget::new(64512, 5).unwrap()));
    assert!(!of_as.covers(RouteTarget::new(64513, 5).unwrap()));
    // 63 bits: the last bit of the AS number does not count, though it is there.
    let odd = read(&[63, 0, 0, 0xfc, 0, 0, 2, 0xfc, 1]).unwrap()[0];
    assert!(odd.covers(RouteTarget::new(64512, 5).unwrap()));
    assert!(odd.covers(RouteTarget::new(64513, 5).unwrap()));
    assert!(read(&[97; 14]).is_err() && read(&[8, 1]).is_err() && read(&[96, 1]).is_err());
}

#[test]
fn what_cannot_be_written_is_left_out_and_never_says_that_these_were_all() {
    let mut multicast = prefix(1);
    multicast.prefix = "224.0.0.0/4".parse().unwrap();
    let mut strange = prefix(1);
    strange.distinguisher = RouteDistinguisher([0x77; 8]);
    for bad in [multicast, strange] {
        assert!(encode::updates(&[(bad, None)], 64512, true).is_empty());
        let two = [(bad, Some(path(16))), (prefix(2), Some(path(17)))];
        let messages = encode::updates(&two, 64512, true);
        assert_eq!(read(&messages[0]).unwrap().announced, [(prefix(2), path(17))]);
    }
}

proptest! {
    /// Whatever community a route has, it is written and read as it is.
    #[test]
    fn communities_of_any_type_are_carried(octets in any::<[u8; 8]>()) {
        let next_hop = Ipv4Addr::new(10, 169, 25, 21);
        let attributes = Attributes::of_node(next_hop, vec![ExtendedCommunity(octets)]);
        let one = VpnPath { label: MplsLabel(16), attributes: attributes.into() };
        let message = &encode::updates(&[(prefix(1), Some(one.clone()))], 64512, true)[0];
        prop_assert_eq!(&read(message).unwrap().announced[0].1, &one);
    }

    /// Whatever arrives, reading it ends, and says something.
    #[test]
    fn no_bytes_whatsoever_are_too_much(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = decode_update(&bytes, &BOTH, SCOPE);
        let _ = super::super::decode_open(&bytes);
        let _ = super::super::decode_refresh(&bytes);
        let mut framer = super::super::Framer::default();
        framer.push(&bytes);
        while let Ok(Some(_)) = framer.next_message() {}
    }

    /// A good UPDATE of which octets were changed, put in or taken out: its routes are announced, withdrawn, passed over, or the
    /// session ends; never is more announced than was there.
    #[test]
    fn damaged_updates_never_announce_more(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3u8), 1..6),
        short in any::<bool>(),
    ) {
        let mut bytes = encode::updates(&[(prefix(1), Some(path(16))), (prefix(2), Some(path(17)))], 64512, true)
            .remove(0)
            .split_off(19);
        for (at, to, how) in damage {
            let at = at.index(bytes.len());
            match how {
                0 => bytes[at] = to,
                1 => bytes.insert(at, to),
                _ => drop(bytes.remove(at)),
            }
        }
        let scope = Scope { four_octets: !short, ..SCOPE };
        if let Ok(update) = decode_update(&bytes, &BOTH, scope) {
            prop_assert!(update.announced.len() + update.withdrawn.len() + update.wanted.len() < bytes.len());
        }
    }
}
