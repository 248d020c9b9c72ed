//! Groups of many members: what a change of one costs, and that every word of it leaves the group sound.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use penstock_abi::table::{EcmpSlot, TableId};
use penstock_compile::{Desired, Group, GroupMember, Hop, NextHopKey, RouteTarget};
use penstock_model::{MplsLabel, Protocol, Reason};
use penstock_tables::{Op, Shape};
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;

use super::world::{Bench, NODE, VRF, reaches, vip};
use super::{cases, ops, reread, sound};
use crate::{Planner, What};

fn pod(n: u16) -> IpAddr {
    let [high, low] = n.to_be_bytes();
    Ipv4Addr::new(10, 48, high, low).into()
}

fn hop(n: u16) -> Hop {
    let label = Some(MplsLabel(16 + u32::from(n)));
    Hop { next_hop: NextHopKey::TunnelUdp(NODE), label }
}

/// A node that reaches pods, which are members or not, draining or not, of one service.
fn state(pods: impl IntoIterator<Item = (u16, Option<bool>)>) -> Desired {
    let pods: Vec<_> = pods.into_iter().collect();
    let mut d = reaches(&[]);
    pods.iter().for_each(|(n, _)| reach(&mut d, *n));
    serve(&mut d, 1, pods.into_iter().filter_map(|(n, member)| Some((n, member?))));
    d
}

fn reach(d: &mut Desired, n: u16) {
    d.routes.insert((VRF, pod(n)), RouteTarget::Hop(hop(n)));
}

/// Adds a service with these members, which drain or not.
fn serve(d: &mut Desired, service: u8, members: impl IntoIterator<Item = (u16, bool)>) {
    let member =
        |(n, draining)| GroupMember { hop: hop(n), pod: Some(pod(n)), draining, port: None };
    let mut members: Vec<GroupMember> = members.into_iter().map(member).collect();
    members.sort();
    let target = if members.is_empty() {
        RouteTarget::Hop(Hop { next_hop: NextHopKey::Reject, label: None })
    } else {
        RouteTarget::Group(Arc::new(Group { members, hash_fields: 0x1f, affinity_seconds: 0 }))
    };
    d.routes.insert((VRF, vip(service)), target);
    d.services.insert(vip(service), Arc::new([(Protocol::Tcp, 80)].into()));
}

fn members(of: impl IntoIterator<Item = u16>) -> Desired {
    state(of.into_iter().map(|n| (n, Some(false))))
}

/// Slot and generation of each member that has one, by label.
fn places(bench: &Bench) -> BTreeMap<u32, (u16, u8)> {
    let slots = usize::from(bench.group(vip(1)).unwrap().slots);
    let words = bench.words(vip(1)).into_iter().take(slots).filter(|word| word.valid);
    words.map(|word| (word.label, (word.slot, word.generation))).collect()
}

/// Brings the card to a state without a look after each operation, of which there are thousands.
fn quickly(bench: &mut Bench, desired: &Desired) {
    let planned = bench.planner.plan(desired);
    assert_eq!(planned.refused, []);
    planned.plan.ops().for_each(|op| bench.card.apply(op));
    sound::check(&bench.card).unwrap();
    sound::no_leftovers(&bench.card).unwrap();
}

/// The operations of a change, each looked at; whoever stays keeps the place. Planned again by one who reads the card, nothing
/// is left to do.
fn change(bench: &mut Bench, desired: &Desired) -> usize {
    let before = places(bench);
    let planned = bench.planner.plan(desired);
    assert_eq!(planned.refused, []);
    bench.execute(&planned);
    let after = places(bench);
    let wanted = match &desired.routes[&(VRF, vip(1))] {
        RouteTarget::Group(group) => group.members.clone(),
        _ => Vec::new(),
    };
    let labels = wanted.iter().filter_map(|member| Some(member.hop.label?.0));
    for label in labels.filter(|label| before.contains_key(label)) {
        assert_eq!(after.get(&label), before.get(&label), "label {label}");
    }
    assert_eq!(ops(desired, &reread(&bench.card)), []);
    planned.plan.ops().filter(|op| **op != Op::Fence).count()
}

#[test]
fn one_member_of_a_thousand_costs_some_words() {
    let mut bench = Bench::new(Shape::default());
    quickly(&mut bench, &members(0..1000));
    assert_eq!(places(&bench).len(), 1000);
    let without = |gone: u16| state((0..1000).map(|n| (n, (n != gone).then_some(false))));
    let some = 24;
    for (what, desired) in [
        ("one departs", without(500)),
        ("and comes back", members(0..1000)),
        ("one drains", state((0..1000).map(|n| (n, Some(n == 17))))),
        ("and does not any more", members(0..1000)),
        ("a pod is gone", members((0..1000).filter(|n| *n != 400))),
        ("another one comes", members((0..1001).filter(|n| *n != 400))),
        ("one more than ever", members((0..1002).filter(|n| *n != 400))),
        ("one for another", members((1..1003).filter(|n| *n != 400))),
    ] {
        let operations = change(&mut bench, &desired);
        assert!((1..=some).contains(&operations), "{what}: {operations} operations");
    }
}

#[test]
fn a_group_has_1024_members_and_no_more() {
    let mut bench = Bench::new(Shape::default());
    quickly(&mut bench, &members(0..1024));
    let group = bench.group(vip(1)).unwrap();
    assert_eq!((group.slots, group.live), (1024, 1024));
    // One that departed makes room.
    let kept = places(&bench);
    quickly(&mut bench, &state((0..1025).map(|n| (n, (n != 7).then_some(false)))));
    let now = places(&bench);
    assert_eq!(now[&(16 + 1024)].0, kept[&(16 + 7)].0);
    let planned = bench.planner.plan(&members(0..1025));
    let [refusal] = &planned.refused[..] else { panic!("{:?}", planned.refused) };
    assert_eq!(refusal.what, What::Route(VRF, vip(1)));
    let too_large = Reason::GroupTooLarge { address: vip(1), served: 0, of: 1025 };
    assert_eq!(refusal.reason, too_large);
}

/// Members that stand in are many, and each of them for few.
#[test]
fn new_flows_of_slots_that_take_none_are_spread() {
    let mut bench = Bench::new(Shape::default());
    quickly(&mut bench, &state((0..800).map(|n| (n, Some(n % 2 == 0)))));
    let slots = usize::from(bench.group(vip(1)).unwrap().slots);
    let mut shares: BTreeMap<u32, u32> = BTreeMap::new();
    let words: Vec<EcmpSlot> = bench.words(vip(1));
    words[slots..].iter().for_each(|word| *shares.entry(word.label).or_default() += 1);
    assert_eq!(shares.len(), 400);
    assert!(shares.values().all(|share| *share <= 8), "{shares:?}");
}

/// Services with the same members.
fn alike(services: u8, members: std::ops::Range<u16>) -> Desired {
    let mut d = reaches(&[]);
    (0..300).for_each(|n| reach(&mut d, n));
    (1..=services).for_each(|service| serve(&mut d, service, members.clone().map(|n| (n, false))));
    d
}

#[test]
fn groups_that_are_alike_share_a_ring() {
    let mut bench = Bench::new(Shape::default());
    let base = |bench: &Bench, service| bench.group(vip(service)).unwrap().base;
    quickly(&mut bench, &alike(3, 0..200));
    let words = 2 * usize::from(bench.group(vip(1)).unwrap().slots);
    assert_eq!(bench.card.len(TableId::Ecmp), words);
    // All change alike: in place, once.
    assert!(change(&mut bench, &alike(3, 1..201)) <= 12);
    assert_eq!(bench.card.len(TableId::Ecmp), words);
    // One more finds it as it has become.
    assert!(change(&mut bench, &alike(4, 1..201)) <= 2);
    assert_eq!(bench.card.len(TableId::Ecmp), words);
    // One of them changes, and gets a ring of its own; the others keep theirs.
    let mut one = alike(4, 1..201);
    serve(&mut one, 2, (2..202).map(|n| (n, false)));
    let others = bench.words(vip(1));
    assert!(change(&mut bench, &one) >= words);
    assert_eq!(bench.words(vip(1)), others);
    assert_eq!(base(&bench, 1), base(&bench, 4));
    assert_ne!(base(&bench, 1), base(&bench, 2));
    assert_eq!(bench.card.len(TableId::Ecmp), 2 * words);
    // Then it changes in place.
    serve(&mut one, 2, (3..202).map(|n| (n, false)));
    assert!(change(&mut bench, &one) <= 12);
    // The last one that reads a ring takes it away.
    for service in [1, 3, 4] {
        one.routes.remove(&(VRF, vip(service)));
        one.services.remove(&vip(service));
    }
    quickly(&mut bench, &one);
    assert_eq!(bench.card.len(TableId::Ecmp), words);
}

/// A floating IP that is refused keeps those who are wanted there, in a ring of its own if there is room for one; whoever
/// shares its ring never notices.
#[test]
fn a_refused_group_leaves_the_ring_that_it_shares_alone() {
    for words in [1 << 12, 208] {
        let mut bench = Bench::new(Shape { ecmp_words: words, ..Shape::default() });
        quickly(&mut bench, &alike(2, 0..100));
        assert_eq!(bench.card.len(TableId::Ecmp), 208);
        let other = bench.words(vip(2));
        let mut refused = alike(2, 0..100);
        refused.routes.remove(&(VRF, vip(1)));
        refused.services.remove(&vip(1));
        refused.refused.insert(vip(1), Arc::new((0..50).map(pod).collect()));
        bench.bring(&refused);
        assert_eq!(bench.words(vip(2)), other);
        let kept = bench.group(vip(1)).map(|_| places(&bench).len());
        assert_eq!(kept, (words > 208).then_some(50));
    }
}

/// What becomes of a pod.
fn fate() -> impl Strategy<Value = Option<Option<bool>>> {
    prop_oneof![
        6 => Just(Some(Some(false))),
        1 => Just(Some(Some(true))),
        2 => Just(Some(None)),
        1 => Just(None),
    ]
}

proptest! {
    #![proptest_config(cases(12))]

    /// Each step changes some pods of a large group, on cards with more room and less. After each operation the group is sound
    /// ([`Bench::bring`]), and who knows the last state plans what one does who knows the card only.
    #[test]
    fn every_word_of_a_change_leaves_the_group_sound(
        first in vec(fate(), 110..150),
        steps in vec(vec((0_usize..150, fate()), 1..6), 1..6),
        words in prop_oneof![Just(1_u32 << 12), Just(400), Just(310), Just(270)],
    ) {
        let shape = Shape { ecmp_words: words, ecmp_group_max: 140, ..Shape::default() };
        let mut bench = Bench::new(shape);
        let mut pods: Vec<Option<Option<bool>>> = first;
        let desired = |pods: &[Option<Option<bool>>]| {
            let known = (0..).zip(pods).filter_map(|(n, pod)| Some((n, (*pod)?)));
            state(known)
        };
        bench.bring(&desired(&pods));
        for step in steps {
            for (n, fate) in step {
                if let Some(pod) = pods.get_mut(n) {
                    *pod = fate;
                }
            }
            let refused = bench.bring(&desired(&pods));
            prop_assert!(refused.iter().all(|(what, _)| *what == What::Route(VRF, vip(1))));
            let again = bench.planner.audit(&desired(&pods));
            prop_assert!(!refused.is_empty() || again.plan.is_empty(), "{:?}", again.plan);
            bench.execute(&again);
            prop_assert!(bench.card.len(TableId::Ecmp) <= words as usize);
        }
    }

    /// The same with two services, which have most members in common and begin alike, and plans that break off.
    #[test]
    fn groups_that_share_a_ring_part_and_meet(
        first in vec(fate(), 80..120),
        steps in vec((vec((0_usize..120, fate(), 0_u8..4), 0..4), of(0_usize..30)), 1..6),
        words in prop_oneof![Just(1_u32 << 12), Just(400), Just(260)],
    ) {
        let shape = Shape { ecmp_words: words, ecmp_group_max: 110, ..Shape::default() };
        let mut bench = Bench::new(shape);
        let mut pods: Vec<[Option<Option<bool>>; 2]> =
            first.into_iter().map(|fate| [fate; 2]).collect();
        let desired = |pods: &[[Option<Option<bool>>; 2]]| {
            let mut d = reaches(&[]);
            let known = |n: &usize| pods[*n].iter().any(Option::is_some);
            (0..pods.len()).filter(known).for_each(|n| reach(&mut d, n as u16));
            for service in 0..2 {
                let member = |n: usize| Some((n as u16, pods[n][service]??));
                serve(&mut d, service as u8 + 1, (0..pods.len()).filter_map(member));
            }
            d
        };
        bench.bring(&desired(&pods));
        for (step, cut) in steps {
            for (n, fate, services) in step {
                if let Some(pod) = pods.get_mut(n) {
                    // Mostly both alike.
                    match services {
                        0 => pod[0] = fate,
                        1 => pod[1] = fate,
                        _ => *pod = [fate; 2],
                    }
                }
            }
            if let Some(cut) = cut {
                let planned = bench.planner.plan(&desired(&pods));
                for op in planned.plan.ops().take(cut) {
                    bench.card.apply(op);
                    sound::check(&bench.card).unwrap();
                }
                let card = reread(&bench.card);
                bench = Bench { planner: Planner::new(card.clone()), card };
            }
            let refused = bench.bring(&desired(&pods));
            let again = bench.planner.audit(&desired(&pods));
            prop_assert!(!refused.is_empty() || again.plan.is_empty(), "{:?}", again.plan);
            bench.execute(&again);
        }
    }
}
