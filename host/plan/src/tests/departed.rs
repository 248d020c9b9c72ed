//! Members that are not wanted any more, and what is on this node only.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use penstock_abi::table::{self, EcmpSlot, HostRoute, NextHop, TableId};
use penstock_compile::{Desired, FipKey, FipTarget, Hop, RouteTarget};
use penstock_model::{MacAddr, Protocol};
use penstock_tables::{Op, Shape, Tables};

use super::world::{LOCAL, VIF, VRF, hop, map, pod, reaches, serve};
use super::{bits, ops, reread, sound};
use crate::{Planner, usage};

const VIP: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 105, 139, 153));

/// A node that reaches `pods`, with a service of which `members` are the backends; without any it is refused.
fn state(pods: &[u8], members: &[u8]) -> Desired {
    let mut d = reaches(pods);
    serve(&mut d, VIP, members);
    if members.contains(&LOCAL) {
        map(&mut d, VIP, 80);
    }
    d
}

/// Brings a card to a state. Planned again it is settled, also by a daemon that knows nothing but the card.
fn bring(card: &mut Tables, desired: &Desired) -> Vec<Op> {
    let ops = ops(desired, card);
    for op in &ops {
        card.apply(op);
        sound::check(card).unwrap();
    }
    sound::no_leftovers(card).unwrap();
    assert!(super::ops(desired, &reread(card)).is_empty());
    ops
}

fn route(card: &Tables, address: IpAddr) -> HostRoute {
    *card.of::<HostRoute>().values().find(|route| route.ip == bits(address)).unwrap()
}

fn group(card: &Tables) -> NextHop {
    card.of::<NextHop>().at(route(card, VIP).nh.into())
}

/// (label or 0, draining, gives up UDP) of each slot that is in use.
fn slots(card: &Tables) -> Vec<(u32, bool, bool)> {
    let nh = group(card);
    let word = |n| card.of::<EcmpSlot>().at(card.shape().ring_index(nh.base, n));
    let words = (0..u32::from(nh.slots)).map(word).filter(|word| word.valid);
    words.map(|word: EcmpSlot| (word.label, word.drain, word.evict_udp)).collect()
}

#[test]
fn who_is_not_wanted_any_more_keeps_what_it_has() {
    let mut card = Tables::default();
    bring(&mut card, &state(&[1, 2], &[1, 2]));
    bring(&mut card, &state(&[1, 2], &[2]));
    assert_eq!(slots(&card), [(17, true, true), (18, false, false)]);
    // Back as if nothing had been.
    bring(&mut card, &state(&[1, 2], &[1, 2]));
    assert_eq!(slots(&card), [(17, false, false), (18, false, false)]);
    // Never there, never kept.
    bring(&mut card, &state(&[1, 2, 3], &[2]));
    assert_eq!(slots(&card), [(17, true, true), (18, false, false)]);
    // The end: the pod is gone, or its address is another pod's, which the label tells.
    let mut moved = state(&[1, 2, 3], &[2]);
    moved.routes.insert((VRF, pod(1)), RouteTarget::Hop(hop(99)));
    let mut other = card.clone();
    bring(&mut other, &moved);
    assert_eq!(slots(&other), [(18, false, false)]);
    bring(&mut card, &state(&[2], &[2]));
    assert_eq!(slots(&card), [(18, false, false)]);
}

#[test]
fn without_anybody_new_connections_are_refused_and_old_ones_stay() {
    let mut card = Tables::default();
    bring(&mut card, &state(&[1, LOCAL], &[1, LOCAL]));
    bring(&mut card, &state(&[1, LOCAL], &[]));
    // UDP too: nobody else takes it.
    assert_eq!(slots(&card), [(0, true, false), (17, true, false)]);
    let nh = group(&card);
    assert_eq!((nh.slots, nh.live), (2, 1));
    let refuses = card.of::<EcmpSlot>().at(card.shape().ring_index(nh.base, 2));
    assert_eq!(
        card.of::<NextHop>().at(refuses.nh.into()).kind,
        penstock_abi::table::NextHopKind::Reject
    );
    // Silence, where the compiler wants it.
    let mut silent = state(&[1, LOCAL], &[]);
    let nobody = RouteTarget::Hop(Hop::default());
    silent.routes.insert((VRF, VIP), nobody);
    bring(&mut card, &silent);
    assert_eq!((group(&card).slots, group(&card).live), (2, 0));
    // The service itself goes: so does all that stayed for it.
    let mut gone = state(&[1, LOCAL], &[]);
    gone.routes.remove(&(VRF, VIP));
    gone.services.clear();
    bring(&mut card, &gone);
    assert!(card.of::<EcmpSlot>().is_empty() && card.of::<table::FipKey>().is_empty());
}

#[test]
fn a_mapping_stays_as_long_as_its_backend_and_its_port() {
    let mut card = Tables::default();
    let there = state(&[1, LOCAL], &[1, LOCAL]);
    bring(&mut card, &there);
    let (keys, maps) = (card.of::<table::FipKey>().clone(), card.of::<table::FipMap>().clone());
    assert_eq!(keys.len(), 1 + 2, "a mapping and two marks");
    bring(&mut card, &state(&[1, LOCAL], &[1]));
    assert_eq!((card.of::<table::FipKey>(), card.of::<table::FipMap>()), (&keys, &maps));
    bring(&mut card, &state(&[1, LOCAL], &[]));
    assert_eq!((card.of::<table::FipKey>(), card.of::<table::FipMap>()), (&keys, &maps));
    let ends = |desired: &Desired| {
        let mut card = card.clone();
        bring(&mut card, desired);
        assert!(card.of::<table::FipKey>().is_empty(), "{:?}", card.of::<table::FipKey>());
    };
    let left = state(&[1, LOCAL], &[1]);
    let mut other_port = left.clone();
    other_port.services.insert(VIP, Arc::new([(Protocol::Tcp, 9999)].into()));
    ends(&other_port);
    let mut other_protocol = left.clone();
    other_protocol.services.insert(VIP, Arc::new([(Protocol::Udp, 80)].into()));
    ends(&other_protocol);
    // Another pod at the same vif: another address, or only another MAC address.
    let mut other_pod = left.clone();
    other_pod.vifs.get_mut(&VIF).unwrap().address = Some(pod(LOCAL + 1));
    other_pod.routes.remove(&(VRF, pod(LOCAL)));
    other_pod.routes.insert((VRF, pod(LOCAL + 1)), RouteTarget::Hop(hop(LOCAL)));
    ends(&other_pod);
    let mut other_mac = left;
    other_mac.vifs.get_mut(&VIF).unwrap().mac = MacAddr([6; 6]);
    ends(&other_mac);
    ends(&state(&[1], &[1]));
}

#[test]
fn who_departed_makes_room_in_a_full_group() {
    let mut card = Tables::new(Shape { ecmp_group_max: 64, ..Shape::default() });
    let pods: Vec<u8> = (1..=80).collect();
    bring(&mut card, &state(&pods, &pods[..64]));
    bring(&mut card, &state(&pods, &pods[10..64]));
    bring(&mut card, &state(&pods, &pods[10..70]));
    let slots = slots(&card);
    assert_eq!(slots.len(), 64);
    assert_eq!(slots.iter().filter(|slot| slot.1).count(), 4);
    bring(&mut card, &state(&pods, &pods[10..74]));
    assert_eq!(self::slots(&card).iter().filter(|slot| slot.1).count(), 0);
}

#[test]
fn who_departed_makes_room_in_a_full_table() {
    let mut card = Tables::default();
    // All ports are served; those of `here` by the pod of this node.
    let ports = |here: std::ops::Range<u16>, members: &[u8]| {
        let mut d = state(&[1, LOCAL], members);
        let all = (0..16_000).map(|port| (Protocol::Tcp, port)).collect();
        d.services.insert(VIP, Arc::new(all));
        d.fip.clear();
        for port in here {
            let key = FipKey { vif: VIF, protocol: Protocol::Tcp, address: VIP, port };
            d.fip.insert(key, FipTarget { address: pod(LOCAL), port: 80 });
        }
        d
    };
    let quick = |card: &mut Tables, desired: &Desired| {
        for op in ops(desired, card) {
            card.apply(&op);
        }
        sound::no_leftovers(card).unwrap();
    };
    quick(&mut card, &ports(0..14_000, &[1, LOCAL]));
    quick(&mut card, &ports(0..0, &[1]));
    assert_eq!(usage(&card, TableId::FipMap).used, 14_000, "they stay while there is room");
    // Another service's backend needs more than is left.
    let mut more = ports(0..0, &[1]);
    let other = IpAddr::V4(Ipv4Addr::new(10, 101, 102, 27));
    for port in 0..4000 {
        let key = FipKey { vif: VIF, protocol: Protocol::Tcp, address: other, port };
        more.fip.insert(key, FipTarget { address: pod(LOCAL), port: 80 });
    }
    quick(&mut card, &more);
    assert_eq!(usage(&card, TableId::FipMap).used, 4000);
}

#[test]
fn an_address_is_own_while_all_its_backends_are_here() {
    let mut card = Tables::default();
    let is_own = |route: HostRoute| route.sources == 0;
    let own = |card: &Tables| is_own(route(card, VIP));
    bring(&mut card, &state(&[1, LOCAL], &[LOCAL]));
    assert!(own(&card) && is_own(route(&card, pod(LOCAL))) && !is_own(route(&card, pod(1))));
    // One comes that is elsewhere: not own any more before its first packet, so before the group is flipped.
    let ops = bring(&mut card, &state(&[1, LOCAL], &[1, LOCAL]));
    assert!(!own(&card));
    let at = |table: TableId| {
        let is = |op: &Op| matches!(op, Op::Write { entry, .. } if entry.table() == table);
        ops.iter().position(is).unwrap()
    };
    assert!(at(TableId::HostRoute) < at(TableId::NextHop), "{ops:?}");
    // One that departed still answers.
    bring(&mut card, &state(&[1, LOCAL], &[LOCAL]));
    assert!(!own(&card));
    bring(&mut card, &state(&[LOCAL], &[LOCAL]));
    assert!(own(&card));
    // Nobody, and nobody but one that departed.
    bring(&mut card, &state(&[LOCAL], &[]));
    assert!(own(&card));
    let mut nobody = Tables::default();
    bring(&mut nobody, &state(&[LOCAL], &[]));
    assert!(own(&nobody), "nobody answers");
}

/// Only which ports are served has changed, and that is enough to look at what stays for them.
#[test]
fn who_departed_goes_when_the_address_is_not_served_any_more() {
    let mut planner = Planner::new(Tables::default());
    planner.plan(&state(&[1, LOCAL], &[1, LOCAL]));
    let mut left = state(&[1, LOCAL], &[]);
    planner.plan(&left);
    assert!(!planner.tables().of::<EcmpSlot>().is_empty());
    assert_eq!(planner.tables().of::<table::FipKey>().len(), 3);
    left.services.clear();
    planner.plan(&left);
    assert!(planner.tables().of::<EcmpSlot>().is_empty());
    assert!(planner.tables().of::<table::FipKey>().is_empty());
}
