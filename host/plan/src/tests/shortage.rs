//! What has no room, or cannot be said to this card, is refused by name; the rest is served, and what the card has of it stays
//! only as far as it is true.

use std::net::IpAddr;
use std::sync::Arc;

use penstock_abi::table::{self, EcmpSlot, HostRoute};
use penstock_compile::{FipKey, FipTarget, Hop, NextHopKey, NextHopSpec, RouteTarget};
use penstock_model::{MplsLabel, Protocol, Reason, VrfId};
use penstock_tables::Shape;

use super::world::{Bench, LOCAL, VIF, VRF, full, hop, map, pod, reaches, serve, vip};
use super::{bits, sound};
use crate::{What, plan};

#[test]
fn what_has_no_room_is_named_and_harms_nobody_else() {
    let mut bench = Bench::new(Shape { host_route_rows_log2: 2, ..Shape::default() });
    let pods: Vec<u8> = (1..=60).collect();
    let refused = bench.bring(&reaches(&pods));
    let held = bench.card.of::<HostRoute>().len();
    assert!((28..=32).contains(&held), "{held} of 32 places are used");
    assert_eq!(refused.len(), 60 - held);
    assert!(refused.iter().all(|(what, _)| matches!(what, What::Route(VRF, _))));
    let last = refused.last().unwrap();
    assert_eq!(last.1, full("HostRoute", 32), "{last:?}");
    // Others go, and those that were refused come: they are tried again.
    let few = bench.bring(&reaches(&pods[40..]));
    assert_eq!(few, []);
    assert_eq!(bench.card.of::<HostRoute>().len(), 20);
}

/// The ring memory is full, so a group of which a member is gone cannot have another ring.
#[test]
fn who_is_gone_is_taken_out_in_place() {
    let mut bench = Bench::new(Shape { ecmp_words: 12, ..Shape::default() });
    let state = |pods: &[u8], first: &[u8]| {
        let mut d = reaches(pods);
        serve(&mut d, vip(1), first);
        let second: Vec<u8> = [1, 2, 3].into_iter().filter(|last| pods.contains(last)).collect();
        serve(&mut d, vip(2), &second);
        d
    };
    assert_eq!(bench.bring(&state(&[1, 2, 3, LOCAL], &[1, 2, LOCAL])), []);
    let before = bench.words(vip(1));
    // Pod 2 is gone from the node that it was on.
    let refused = bench.bring(&state(&[1, 3, LOCAL], &[1, LOCAL]));
    let name = |last| What::Route(VRF, vip(last));
    assert_eq!(refused.iter().map(|(what, _)| *what).collect::<Vec<_>>(), [name(1), name(2)]);
    assert!(refused.iter().all(|(_, reason)| *reason == full("Ecmp", 12)));
    // The local pod's hop comes first.
    assert_eq!(bench.labels(vip(1)), (vec![0, 17, 0], vec![0, 17, 0]));
    let words = bench.words(vip(1));
    assert_eq!((words[0], words[1]), (before[0], before[1]), "who is left keeps the connections");
    assert_eq!((words[2].valid, words[2].generation), (false, before[2].generation));
    assert_eq!(bench.labels(vip(2)), (vec![17, 0, 19], vec![17, 17, 19]));
    // Only the local one is left, then nobody.
    bench.bring(&state(&[3, LOCAL], &[LOCAL]));
    assert_eq!(bench.labels(vip(1)), (vec![0, 0, 0], vec![0, 0, 0]));
    assert_eq!(bench.route(vip(1)).unwrap().sources, 0);
    let mut last = state(&[3], &[3]);
    serve(&mut last, vip(1), &[3, LOCAL]);
    last.routes.remove(&(VRF, pod(LOCAL)));
    let refused = bench.bring(&last);
    assert!(refused.iter().any(|(what, _)| *what == name(1)), "{refused:?}");
    let group = bench.group(vip(1)).unwrap();
    assert_eq!((group.slots, group.live), (3, 0), "new flows are dropped");
    assert_eq!(bench.route(vip(1)).unwrap().sources, 0);
    assert!(bench.card.get::<table::Vif>(VIF.0.into()).is_none());
}

/// Wherever a plan that takes members out in place breaks off, the next one ends it.
#[test]
fn who_was_half_taken_out_in_place_is_taken_out() {
    let mut bench = Bench::new(Shape { ecmp_words: 12, ..Shape::default() });
    let state = |pods: &[u8], first: &[u8], second: &[u8]| {
        let mut d = reaches(pods);
        serve(&mut d, vip(1), first);
        serve(&mut d, vip(2), second);
        d
    };
    assert_eq!(bench.bring(&state(&[1, 2, 3, LOCAL], &[1, 2, LOCAL], &[1, 2, 3])), []);
    let left = state(&[3, LOCAL], &[LOCAL], &[3]);
    let ops: Vec<_> = plan(&left, &bench.card).plan.ops().copied().collect();
    for done in 0..ops.len() {
        let mut card = bench.card.clone();
        ops[..done].iter().for_each(|op| card.apply(op));
        for op in plan(&left, &card).plan.ops() {
            card.apply(op);
            sound::check(&card).unwrap();
        }
        sound::no_leftovers(&card).unwrap();
        let own = card.find::<HostRoute>((VRF.0, bits(vip(1)))).map(|(_, route)| route.sources);
        assert_eq!(own, Some(0), "after {done} of {} operations", ops.len());
    }
}

/// The ring memory is full, but who takes no new flows any more gets none; and keeps those that he has.
#[test]
fn who_departs_or_drains_does_so_in_place() {
    let mut bench = Bench::new(Shape { ecmp_words: 12, ..Shape::default() });
    let state = |first: &[u8]| {
        let mut d = reaches(&[1, 2, 3]);
        serve(&mut d, vip(1), first);
        serve(&mut d, vip(2), &[1, 2, 3]);
        d
    };
    assert_eq!(bench.bring(&state(&[1, 2, 3])), []);
    let before = bench.words(vip(1));
    let refused = bench.bring(&state(&[1, 3]));
    assert_eq!(refused, [(What::Route(VRF, vip(1)), full("Ecmp", 12))]);
    assert_eq!(bench.labels(vip(1)), (vec![17, 18, 19], vec![17, 17, 19]));
    let departed = EcmpSlot { drain: true, evict_udp: true, ..before[1] };
    assert_eq!(bench.words(vip(1))[..3], [before[0], departed, before[2]]);
    let mut draining = state(&[1, 3]);
    let Some(RouteTarget::Group(group)) = draining.routes.get_mut(&(VRF, vip(1))) else { panic!() };
    Arc::make_mut(group).members[1].draining = true;
    assert_eq!(bench.bring(&draining).len(), 1);
    let drains = EcmpSlot { drain: true, ..before[2] };
    assert_eq!(bench.words(vip(1))[..3], [before[0], departed, drains]);
    assert_eq!(bench.labels(vip(1)).1, [17, 17, 17]);
    assert!(bench.planner.plan(&draining).plan.is_empty());
    // The one that is left drains, and the other that is wanted has no room: better one that terminates than nobody.
    let mut last = state(&[1, 4]);
    last.routes.insert((VRF, pod(4)), RouteTarget::Hop(hop(4)));
    let Some(RouteTarget::Group(group)) = last.routes.get_mut(&(VRF, vip(1))) else { panic!() };
    Arc::make_mut(group).members[0].draining = true;
    assert_eq!(bench.bring(&last).len(), 1);
    assert_eq!(bench.words(vip(1))[0], before[0]);
    assert_eq!(bench.labels(vip(1)).1, [17, 17, 17]);
}

/// What was refused comes as soon as there is room, under generations that no flow has.
#[test]
fn who_was_taken_out_in_place_gets_a_ring_when_there_is_room() {
    let mut bench = Bench::new(Shape { ecmp_words: 12, ..Shape::default() });
    let mut both = reaches(&[1, 2, 3, 4]);
    serve(&mut both, vip(1), &[1, 2, 3]);
    serve(&mut both, vip(2), &[1, 2, 3]);
    assert_eq!(bench.bring(&both), []);
    let before = bench.words(vip(1));
    let mut changed = reaches(&[1, 3, 4]);
    serve(&mut changed, vip(1), &[1, 3, 4]);
    serve(&mut changed, vip(2), &[1, 3]);
    assert_eq!(bench.bring(&changed).len(), 2);
    assert_eq!(bench.labels(vip(1)).0, [17, 0, 19]);
    // The other service goes.
    let mut alone = reaches(&[1, 3, 4]);
    serve(&mut alone, vip(1), &[1, 3, 4]);
    assert_eq!(bench.bring(&alone), []);
    assert_eq!(bench.labels(vip(1)), (vec![17, 20, 19], vec![17, 20, 19]));
    assert_eq!(bench.words(vip(1))[1].generation, before[1].generation + 1);
}

#[test]
fn without_ids_new_groups_are_refused_and_old_ones_live_on() {
    // Discard, Reject, the tunnel, two groups.
    let mut bench = Bench::new(Shape { next_hops: 5, ..Shape::default() });
    let state = |services: &[u8], members: &[u8]| {
        let mut d = reaches(&[1, 2, 3]);
        services.iter().for_each(|last| serve(&mut d, vip(*last), members));
        d
    };
    assert_eq!(bench.bring(&state(&[1, 2], &[1, 2])), []);
    let refused = bench.bring(&state(&[1, 2, 3], &[1, 2, 3]));
    assert_eq!(refused, [(What::Route(VRF, vip(3)), full("NextHop", 5))]);
    assert_eq!(bench.labels(vip(2)).1, [17, 18, 19], "the others have changed");
    assert_eq!(bench.route(vip(3)), None);
    // A service goes, in the same plan another takes its place.
    assert_eq!(bench.bring(&state(&[1, 3], &[1, 2, 3])), []);
    assert!(bench.group(vip(3)).is_some());
}

#[test]
fn groups_of_departed_members_make_room() {
    let mut bench = Bench::new(Shape { ecmp_words: 8, ..Shape::default() });
    let state = |first: &[u8], second: &[u8]| {
        let mut d = reaches(&[1, 2]);
        serve(&mut d, vip(1), first);
        serve(&mut d, vip(2), second);
        d
    };
    assert_eq!(bench.bring(&state(&[1, 2], &[])), []);
    assert_eq!(bench.bring(&state(&[], &[])), []);
    assert!(bench.group(vip(1)).is_some(), "for the connections of two that departed");
    assert_eq!(bench.bring(&state(&[], &[1, 2])), [], "there is room for one beside the other");
    assert!(bench.group(vip(1)).is_some());
    // Now there is none.
    let mut third = state(&[], &[1, 2]);
    serve(&mut third, vip(3), &[1]);
    assert_eq!(bench.bring(&third), []);
    assert_eq!(bench.group(vip(1)), None);
    assert!(bench.group(vip(2)).is_some() && bench.group(vip(3)).is_some());
}

/// Slots of members that departed, and what is left between rings, are room too.
#[test]
fn departed_members_of_groups_that_serve_make_room() {
    let mut bench = Bench::new(Shape { ecmp_words: 20, ..Shape::default() });
    let state = |first: &[u8], second: &[u8], third: &[u8]| {
        let mut d = reaches(&[1, 2, 3, 4, 5]);
        serve(&mut d, vip(1), first);
        serve(&mut d, vip(2), second);
        serve(&mut d, vip(3), third);
        d
    };
    assert_eq!(bench.bring(&state(&[1, 2, 3, 4], &[1], &[])), []);
    assert_eq!(bench.bring(&state(&[1], &[1], &[])), []);
    assert_eq!(bench.labels(vip(1)), (vec![17, 18, 19, 20], vec![17]));
    // Sixteen words are left then, but in three pieces: the rings are moved together.
    assert_eq!(bench.bring(&state(&[1], &[1], &[1, 2, 3, 4, 5])), []);
    assert_eq!(bench.labels(vip(1)), (vec![17], vec![17]));
    assert_eq!(bench.labels(vip(3)).1, [17, 18, 19, 20, 21]);
}

#[test]
fn a_mapping_without_room_is_refused_alone() {
    let mut bench = Bench::new(Shape { fip_maps: 4, ..Shape::default() });
    let state = |ports: std::ops::Range<u16>| {
        let mut d = reaches(&[LOCAL]);
        ports.for_each(|port| map(&mut d, vip(1), port));
        d
    };
    let refused = bench.bring(&state(80..85));
    let name = |port| FipKey { vif: VIF, protocol: Protocol::Tcp, address: vip(1), port };
    let what = |port| (What::Mapping(name(port)), full("FipMap", 4));
    assert_eq!(refused, [what(83), what(84)]);
    assert_eq!(bench.bring(&state(81..85)), [what(84)]);
    assert_eq!(bench.bring(&state(82..85)), []);
    assert_eq!(bench.card.of::<table::FipKey>().len(), 3 + 2);
}

#[test]
fn without_a_place_for_its_mark_a_mapping_is_refused() {
    let mut bench = Bench::new(Shape { fip_key_rows_log2: 0, ..Shape::default() });
    let mut d = reaches(&[LOCAL]);
    (80..90).for_each(|port| map(&mut d, vip(1), port));
    // Eight places: two marks, six keys.
    assert_eq!(bench.bring(&d).len(), 4);
    let names: Vec<FipKey> = d.fip.keys().copied().collect();
    for name in names {
        d.fip.insert(name, FipTarget { address: pod(LOCAL), port: 9090 });
    }
    let refused = bench.bring(&d);
    assert_eq!(refused.len(), 10, "{refused:?}");
    assert_eq!(bench.card.of::<table::FipKey>().len(), 8, "they go on as they are");
}

#[test]
fn what_this_card_cannot_say_is_refused_by_name() {
    let mut bench = Bench::new(Shape::default());
    let mut d = reaches(&[1, 2]);
    serve(&mut d, vip(1), &[1, 2]);
    let v6: IpAddr = "fd00::1".parse().unwrap();
    d.next_hops.insert(NextHopKey::TunnelUdp(v6), NextHopSpec::default());
    d.routes.insert((VRF, v6), RouteTarget::Hop(hop(1)));
    let by_v6 = Hop { next_hop: NextHopKey::TunnelUdp(v6), label: Some(MplsLabel(20)) };
    d.routes.insert((VRF, pod(9)), RouteTarget::Hop(by_v6));
    d.routes.insert((VrfId(4096), pod(1)), RouteTarget::Hop(hop(1)));
    d.prefixes.insert((VRF, "fd00::/8".parse().unwrap()), hop(1));
    d.labels.insert(
        MplsLabel(20),
        penstock_compile::LabelEntry { next_hop: NextHopKey::Encap(VIF), service: None, vrf: VRF },
    );
    let refused = bench.bring(&d);
    let expected = [
        What::NextHop(NextHopKey::TunnelUdp(v6)),
        What::Label(MplsLabel(20)),
        What::Route(VRF, pod(9)),
        What::Route(VRF, v6),
        What::Route(VrfId(4096), pod(1)),
        What::Prefix(VRF, "fd00::/8".parse().unwrap()),
    ];
    assert_eq!(refused.iter().map(|(what, _)| *what).collect::<Vec<_>>(), expected);
    assert!(bench.group(vip(1)).is_some());
    let text = crate::Refusal { what: refused[3].0, reason: refused[3].1.clone() }.to_string();
    assert_eq!(
        text,
        "route to fd00::1 of VRF 2: the card knows IPv4 only, and fd00::1 is not such an address"
    );
}

#[test]
fn who_is_wanted_keeps_the_slot_when_a_group_shrinks_after_it_changed() {
    let mut bench = Bench::new(Shape { ecmp_words: 20, ..Shape::default() });
    let mut d = reaches(&[1, 2, 3, 4, 5]);
    serve(&mut d, vip(1), &[1, 2, 3]);
    assert_eq!(bench.bring(&d), []);
    let before = bench.words(vip(1));
    // One leaves, and goes for want of room when it is another group's turn.
    serve(&mut d, vip(1), &[1, 2]);
    serve(&mut d, vip(2), &[1, 2, 3, 4, 5]);
    assert_eq!(bench.bring(&d), []);
    let after = bench.words(vip(1));
    let brief = |w: &[EcmpSlot]| {
        w.iter().map(|w| (w.valid, w.label, w.generation, w.slot)).collect::<Vec<_>>()
    };
    assert_eq!(brief(&after[..2]), brief(&before[..2]), "who is wanted keeps the slot");
}

/// A group that could not be made smaller, as the smaller ring had no room beside the old one, is asked again.
#[test]
fn what_could_not_shrink_is_tried_again() {
    let mut bench = Bench::new(Shape { ecmp_words: 30, ..Shape::default() });
    let mut d = reaches(&[1, 2, 3, 4, 5, 6]);
    serve(&mut d, vip(1), &[1, 2, 3, 4, 5]);
    serve(&mut d, vip(2), &[1, 2, 3, 4]);
    assert_eq!(bench.bring(&d), []);
    serve(&mut d, vip(1), &[1, 2, 3, 4]);
    assert_eq!(bench.bring(&d), []);
    serve(&mut d, vip(4), &[1, 2, 3, 4, 5]);
    assert_eq!(bench.bring(&d), []);
    serve(&mut d, vip(3), &[1, 2, 3, 4, 5, 6]);
    assert_eq!(bench.bring(&d).len(), 1);
    d.routes.remove(&(VRF, vip(2)));
    d.services.remove(&vip(2));
    let full = plan(&d, &bench.card).refused.len();
    let planned = bench.planner.plan(&d);
    assert_eq!((planned.refused.len(), full), (0, 0), "incremental, full");
}

/// Nobody has to go for a group that would have no room all the same.
#[test]
fn who_departed_stays_where_going_would_not_help() {
    let mut bench = Bench::new(Shape { ecmp_words: 12, ..Shape::default() });
    let mut d = reaches(&[1, 2, 3, 4, 5, 6]);
    serve(&mut d, vip(1), &[1, 2]);
    assert_eq!(bench.bring(&d), []);
    serve(&mut d, vip(1), &[1]);
    assert_eq!(bench.bring(&d), []);
    serve(&mut d, vip(2), &[1, 2, 3, 4, 5, 6]);
    let refused = bench.bring(&d);
    assert_eq!(refused, [(What::Route(VRF, vip(2)), full("Ecmp", 12))]);
    assert_eq!(bench.labels(vip(1)), (vec![17, 18], vec![17]));
    // It helps one that is smaller.
    serve(&mut d, vip(2), &[1, 2, 3, 4, 5]);
    assert_eq!(bench.bring(&d), []);
    assert_eq!(bench.labels(vip(1)), (vec![17], vec![17]));
}

#[test]
fn a_ring_memory_in_pieces_is_not_said_to_be_full() {
    let mut bench = Bench::new(Shape { ecmp_words: 9, ..Shape::default() });
    let mut d = reaches(&[1, 2]);
    serve(&mut d, vip(1), &[1]);
    serve(&mut d, vip(2), &[1, 2]);
    assert_eq!(bench.bring(&d), []);
    // Two words are left before the ring, and three behind it.
    d.routes.remove(&(VRF, vip(1)));
    d.services.remove(&vip(1));
    serve(&mut d, vip(3), &[1, 2]);
    let reason = Reason::NoPlace {
        table: "Ecmp".to_owned(),
        key: "a group of 4 words in one piece".to_owned(),
    };
    assert_eq!(bench.bring(&d), [(What::Route(VRF, vip(3)), reason)]);
}
