//! Clients that are kept at their members: which listeners share a number, and how long they keep it.

use std::collections::BTreeMap;

use penstock_abi::affinity::timeout;
use penstock_abi::table::{EcmpSlot, FipMap, NextHop, NextHopKind, ServiceKey as Word};
use penstock_compile::{Desired, Group, GroupMember, RouteTarget, ServiceKey};
use penstock_model::{ObjectName, Protocol};
use penstock_tables::{Shape, Tables};

use super::listeners::{bring, key, listen, member, node, word};
use super::world::{Bench, LOCAL};
use crate::words;

const SECONDS: u32 = 10_800;

/// Adds a listener that keeps the clients of a load balancer.
fn keep(d: &mut Desired, key: ServiceKey, owner: &str, pods: &[u8]) {
    let members: Vec<GroupMember> = pods.iter().map(|pod| member(*pod)).collect();
    listen(d, key, members);
    let mut entry = d.listeners[&key].clone();
    if let RouteTarget::Group(group) = &entry.target {
        let group = Group { affinity_seconds: SECONDS, ..Group::clone(group) };
        entry.target = RouteTarget::Group(group.into());
    }
    entry.affinity = Some(ObjectName::new("default", owner));
    d.listeners.insert(key, entry);
}

fn number(bench: &Bench, key: ServiceKey) -> u16 {
    word(&bench.card, key).map_or(0, |word| word.affinity)
}

/// Listeners that have a number keep somebody's clients, and those that share one the same, at the same members; who keeps some has one,
/// if it has a group.
pub(super) fn check(card: &Tables, desired: &Desired) -> Result<(), String> {
    type Kept = ((ObjectName, u16, Protocol, u16), BTreeMap<u32, (u8, u16, u32)>);
    let mut kept: BTreeMap<u16, Kept> = BTreeMap::new();
    for word in card.of::<Word>().values().filter(|word| word.valid) {
        let Some(key) = words::service_name(word) else { continue };
        let owner = desired.listeners.get(&key).and_then(|entry| entry.affinity.clone());
        let nh: NextHop = card.of::<NextHop>().at(word.nh.into());
        let group = nh.valid && nh.kind == NextHopKind::Composite && nh.affinity_time() != 0;
        let Some(owner) = owner else {
            if word.affinity != 0 {
                return Err(format!("{key:?} keeps nobody's clients, and has {}", word.affinity));
            }
            continue;
        };
        if word.affinity == 0 {
            if group {
                return Err(format!("{key:?} has no number"));
            }
            continue;
        }
        let clientele = (owner, key.net, key.protocol, key.port);
        let slots = (0..u32::from(if group { nh.slots } else { 0 }))
            .filter_map(|slot| Some((slot, *card.ring_word(nh.base, slot)?)))
            .filter(|(_, word)| word.valid);
        let who = |word: &EcmpSlot| match word.local {
            true => card.of::<FipMap>().at(words::local_map(word).into()).pod_ip,
            false => word.label,
        };
        let others =
            kept.entry(word.affinity).or_insert_with(|| (clientele.clone(), BTreeMap::new()));
        if others.0 != clientele {
            return Err(format!("{clientele:?} and {:?} share {}", others.0, word.affinity));
        }
        for (slot, word) in slots {
            let is = (word.generation, word.nh, who(&word));
            if *others.1.entry(slot).or_insert(is) != is {
                return Err(format!("slot {slot} of {key:?} is another's elsewhere"));
            }
        }
    }
    Ok(())
}

#[test]
fn addresses_of_a_service_port_share_a_number() {
    let mut bench = Bench::new(Shape::default());
    let mut d = node(&[1, 2, LOCAL]);
    for address in [1, 2] {
        keep(&mut d, key(address, 80), "web", &[1, 2, LOCAL]);
        keep(&mut d, key(address, 443), "web", &[1, 2, LOCAL]);
    }
    keep(&mut d, key(3, 80), "web", &[1]);
    keep(&mut d, key(4, 80), "other", &[1, 2, LOCAL]);
    listen(&mut d, key(5, 80), vec![member(1)]);
    bring(&mut bench, &d);
    let of = |address, port| number(&bench, key(address, port));
    assert_eq!((of(1, 80), of(1, 443)), (of(2, 80), of(2, 443)), "one service port");
    let mut numbers = vec![of(1, 80), of(1, 443), of(3, 80), of(4, 80)];
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!((numbers.len(), numbers[0] > 0), (4, true), "members, ports and services apart");
    assert_eq!(of(5, 80), 0);
    let time = |address| {
        let id = word(&bench.card, key(address, 80)).unwrap().nh;
        bench.card.of::<NextHop>().at(id.into()).affinity_time()
    };
    assert_eq!((time(1), time(5)), (timeout(SECONDS, Shape::default().clock_khz), 0));
}

#[test]
fn a_number_stays_as_members_come_and_go() {
    let mut bench = Bench::new(Shape::default());
    let mut d = node(&[1, 2, 3, LOCAL]);
    let both = [key(1, 80), key(2, 80)];
    let serve = |d: &mut Desired, pods: &[u8]| {
        both.into_iter().for_each(|key| keep(d, key, "web", pods));
    };
    serve(&mut d, &[1, 2, LOCAL]);
    bring(&mut bench, &d);
    let numbers = both.map(|key| number(&bench, key));
    for pods in [&[1, LOCAL][..], &[1, 3, LOCAL], &[3, LOCAL], &[1, 2, 3, LOCAL], &[], &[1, 2]] {
        serve(&mut d, pods);
        bring(&mut bench, &d);
        assert_eq!(both.map(|key| number(&bench, key)), numbers, "{pods:?}");
    }
    // One more address, after slots have got holes and generations.
    let third = key(3, 80);
    serve(&mut d, &[2]);
    bring(&mut bench, &d);
    keep(&mut d, third, "web", &[2]);
    bring(&mut bench, &d);
    assert_eq!((number(&bench, third), numbers[0]), (numbers[1], numbers[1]));
}

#[test]
fn who_has_other_members_in_the_same_slots_has_another_number() {
    let mut bench = Bench::new(Shape::default());
    let mut d = node(&[1, 2, 3]);
    let all = [key(1, 80), key(2, 80), key(3, 80)];
    keep(&mut d, all[0], "web", &[1, 2]);
    keep(&mut d, all[1], "web", &[2, 3]);
    keep(&mut d, all[2], "web", &[1]);
    bring(&mut bench, &d);
    let [first, second, third] = all.map(|key| number(&bench, key));
    assert_eq!((first, second != first && second != 0), (third, true));
    // One more, where the other has nobody.
    keep(&mut d, all[2], "web", &[1, 2]);
    bring(&mut bench, &d);
    assert_eq!(all.map(|key| number(&bench, key)), [first, second, first]);
    // One who is elsewhere there.
    keep(&mut d, all[2], "web", &[1, 3]);
    keep(&mut d, all[0], "web", &[1, 2, 3]);
    bring(&mut bench, &d);
    let now = all.map(|key| number(&bench, key));
    assert_eq!((now[0], now[1]), (first, second));
}

#[test]
fn an_address_of_another_service_has_another_number() {
    let mut bench = Bench::new(Shape::default());
    let mut d = node(&[1, 2]);
    let both = [key(1, 80), key(2, 80)];
    both.into_iter().for_each(|key| keep(&mut d, key, "web", &[1, 2]));
    bring(&mut bench, &d);
    let web = number(&bench, both[0]);
    keep(&mut d, both[1], "shop", &[1, 2]);
    bring(&mut bench, &d);
    let [first, second] = both.map(|key| number(&bench, key));
    assert_eq!((first, second != web && second != 0), (web, true));
    // Without affinity there is none, and it is given out again late.
    keep(&mut d, key(3, 80), "more", &[1, 2]);
    bring(&mut bench, &d);
    listen(&mut d, both[1], vec![member(1), member(2)]);
    bring(&mut bench, &d);
    assert_eq!(number(&bench, both[1]), 0);
    keep(&mut d, both[1], "shop", &[1, 2]);
    bring(&mut bench, &d);
    let again = number(&bench, both[1]);
    assert!(![0, web, second, number(&bench, key(3, 80))].contains(&again));
}
