//! Listeners of floating IPs: a group each, with their own mappings, and who may answer.

use std::net::IpAddr;
use std::sync::Arc;

use penstock_abi::table::{
    self, EcmpSlot, FipMap, HostRoute, NextHop, NextHopKind, ServiceAddress, ServiceKey as Word,
    TableId, TunnelSource, Vrf,
};
use penstock_compile::{
    Desired, Group, GroupMember, Hop, Listening, NextHopKey, NextHopSpec, RouteTarget, ServiceKey,
    VrfEntry,
};
use penstock_model::{MacAddr, MplsLabel, Protocol, Reason};
use penstock_tables::{Op, Shape, Tables};

use super::world::{Bench, LOCAL, NODE, VRF, hop, pod, reaches, vip};
use super::{bits, reread};
use crate::{What, plan, words};

const OTHER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 169, 25, 22));

pub(super) fn key(last: u8, port: u16) -> ServiceKey {
    ServiceKey { address: vip(last), net: VRF.0, protocol: Protocol::Tcp, port }
}

pub(super) fn member(last: u8) -> GroupMember {
    let port = (last == LOCAL).then_some(8080);
    GroupMember { hop: hop(last), pod: Some(pod(last)), draining: false, port }
}

fn group(mut members: Vec<GroupMember>) -> RouteTarget {
    members.sort();
    RouteTarget::Group(Arc::new(Group { members, hash_fields: 0x1f, affinity_seconds: 0 }))
}

/// A node of which the VRF has services, and which reaches pods on two others.
pub(super) fn node(pods: &[u8]) -> Desired {
    let mut d = reaches(pods);
    let spec = NextHopSpec { dmac: MacAddr([2; 6]), source: Some(NODE), ..NextHopSpec::default() };
    d.next_hops.insert(NextHopKey::TunnelUdp(OTHER), spec);
    d.vrfs.insert(VRF, VrfEntry { service_net: VRF.0, ..VrfEntry::default() });
    d
}

/// A pod on the other node.
fn far(last: u8) -> GroupMember {
    let label = Some(MplsLabel(u32::from(last) + 16));
    let hop = Hop { next_hop: NextHopKey::TunnelUdp(OTHER), label };
    GroupMember { hop, pod: Some(pod(last)), draining: false, port: None }
}

/// Adds a listener; without members it refuses. The address shows its group if it is the only one.
pub(super) fn listen(d: &mut Desired, key: ServiceKey, members: Vec<GroupMember>) {
    for member in &members {
        if let Some(pod) = member.pod {
            d.routes.insert((VRF, pod), RouteTarget::Hop(member.hop));
        }
    }
    let nobody = RouteTarget::Hop(Hop { next_hop: NextHopKey::Reject, label: None });
    let target = if members.is_empty() { nobody.clone() } else { group(members.clone()) };
    d.listeners.insert(key, Listening { target, local: None, affinity: None });
    let others = d.listeners.keys().filter(|other| other.address == key.address);
    let ports: std::collections::BTreeSet<_> = others.map(|key| (key.protocol, key.port)).collect();
    let shown = if ports.len() == 1 && !members.is_empty() {
        RouteTarget::Listener(key)
    } else if members.is_empty() {
        nobody
    } else {
        group(members.into_iter().map(|m| GroupMember { port: None, ..m }).collect())
    };
    d.routes.insert((VRF, key.address), shown);
    d.services.insert(key.address, Arc::new(ports));
    d.floating.insert(key.address, ServiceAddress::Reject);
}

pub(super) fn word(card: &Tables, key: ServiceKey) -> Option<Word> {
    card.find::<Word>((key.net, 6, bits(key.address), key.port)).map(|(_, word)| *word)
}

pub(super) fn slots(card: &Tables, id: u16) -> Vec<EcmpSlot> {
    let nh: NextHop = card.of::<NextHop>().at(id.into());
    (0..u32::from(nh.slots)).filter_map(|n| card.ring_word(nh.base, n).copied()).collect()
}

fn positions(ops: &[Op], table: TableId) -> Vec<usize> {
    let is = |op: &Op| matches!(op, Op::Write { entry, .. } if entry.table() == table);
    ops.iter().enumerate().filter(|(_, op)| is(op)).map(|(at, _)| at).collect()
}

/// Brings the bench to a state; a daemon that starts has nothing to do then.
pub(super) fn bring(bench: &mut Bench, d: &Desired) -> Vec<Op> {
    let planned = plan(d, &bench.card);
    assert_eq!(bench.bring(d), []);
    assert!(plan(d, &reread(&bench.card)).plan.is_empty(), "settled");
    planned.plan.ops().copied().collect()
}

#[test]
fn two_ports_on_different_pods_are_two_groups() {
    let mut bench = Bench::new(Shape::default());
    let mut d = node(&[1, 2]);
    listen(&mut d, key(1, 80), vec![member(1)]);
    listen(&mut d, key(1, 443), vec![member(2)]);
    bring(&mut bench, &d);
    let label = |port| slots(&bench.card, word(&bench.card, key(1, port)).unwrap().nh)[0].label;
    assert_eq!((label(80), label(443)), (17, 18));
    assert_eq!(bench.route(vip(1)).unwrap().service, ServiceAddress::Reject);
    assert_eq!(bench.card.of::<Vrf>().at(VRF.0.into()).service_net, VRF.0);
    // One without anybody refuses; its sister serves.
    listen(&mut d, key(1, 443), vec![]);
    d.routes.remove(&(VRF, pod(2)));
    bring(&mut bench, &d);
    let nh = word(&bench.card, key(1, 443)).unwrap().nh;
    assert_eq!(bench.card.of::<NextHop>().at(nh.into()).kind, NextHopKind::Reject);
    assert_eq!(slots(&bench.card, word(&bench.card, key(1, 80)).unwrap().nh)[0].label, 17);
}

#[test]
fn what_is_pointed_to_comes_first_and_goes_last() {
    let mut bench = Bench::new(Shape::default());
    let empty = node(&[1, LOCAL]);
    bring(&mut bench, &empty);
    let mut d = empty.clone();
    listen(&mut d, key(1, 80), vec![member(1), member(LOCAL)]);
    let ops = bring(&mut bench, &d);
    let at = |table| positions(&ops, table);
    assert!(at(TableId::FipMap)[0] < at(TableId::ServiceKey)[0]);
    assert!(at(TableId::Ecmp).last() < at(TableId::ServiceKey).first());
    assert!(at(TableId::NextHop).last() < at(TableId::ServiceKey).first());
    assert!(at(TableId::ServiceKey).last() < at(TableId::HostRoute).first(), "{ops:?}");
    // The address goes before its listener, the group after both, the mapping last.
    let ops = bring(&mut bench, &empty);
    let at = |table| positions(&ops, table);
    assert!(at(TableId::HostRoute).last() < at(TableId::ServiceKey).first());
    assert!(at(TableId::ServiceKey).last() < at(TableId::NextHop).first());
    assert!(at(TableId::Ecmp).last() < at(TableId::FipMap).first(), "{ops:?}");
    let left = bench.card.of::<FipMap>().values().filter(|map| !words::is_tombstone(map)).count();
    assert_eq!((left, bench.card.of::<Word>().len()), (0, 0));
}

/// Whoever is sent to may answer, from the first packet to the last.
#[test]
fn who_comes_may_answer_before_and_who_went_after() {
    let mut bench = Bench::new(Shape::default());
    let mut d = node(&[1, LOCAL]);
    listen(&mut d, key(1, 80), vec![member(LOCAL)]);
    bring(&mut bench, &d);
    assert_eq!(bench.route(vip(1)).unwrap().sources, 0, "nobody elsewhere has it");
    listen(&mut d, key(1, 80), vec![member(LOCAL), member(1), far(9)]);
    let ops = bring(&mut bench, &d);
    let set = bench.route(vip(1)).unwrap().sources;
    let of = |card: &Tables, set: u16| {
        let keys = card.of::<TunnelSource>().values();
        keys.filter(|key| key.set == set).map(|key| key.ip).collect::<Vec<_>>()
    };
    let mut both = of(&bench.card, set);
    both.sort_unstable();
    assert_eq!(both, [bits(NODE), bits(OTHER)]);
    let flip = |op: &Op| matches!(op, Op::Write { entry, .. } if entry.get::<NextHop>().is_some_and(|nh| nh.kind == NextHopKind::Composite));
    let flip = ops.iter().position(flip).unwrap();
    let names = |op: &Op| matches!(op, Op::Write { entry, .. } if entry.get::<HostRoute>().is_some_and(|route| route.ip == bits(vip(1))));
    assert!(positions(&ops, TableId::TunnelSource).last() < Some(&flip));
    assert!(ops.iter().position(names).unwrap() < flip, "{ops:?}");
    // Who departed still answers, until the pod is gone.
    listen(&mut d, key(1, 80), vec![member(LOCAL), member(1)]);
    bring(&mut bench, &d);
    assert_eq!(of(&bench.card, bench.route(vip(1)).unwrap().sources).len(), 2);
    d.routes.remove(&(VRF, pod(9)));
    bring(&mut bench, &d);
    assert_eq!(of(&bench.card, bench.route(vip(1)).unwrap().sources), [bits(NODE)]);
}

/// A new target port is written into the member's word, which keeps its slot and its generation.
#[test]
fn another_target_port_is_another_mapping_in_the_same_slot() {
    let mut bench = Bench::new(Shape::default());
    let mut d = node(&[1, LOCAL]);
    listen(&mut d, key(1, 80), vec![member(1), member(LOCAL)]);
    bring(&mut bench, &d);
    let local = |bench: &Bench| {
        let slots = slots(&bench.card, word(&bench.card, key(1, 80)).unwrap().nh);
        *slots.iter().find(|word| word.local).unwrap()
    };
    let before = local(&bench);
    listen(&mut d, key(1, 80), vec![member(1), GroupMember { port: Some(9090), ..member(LOCAL) }]);
    bring(&mut bench, &d);
    let after = local(&bench);
    assert_eq!((before.slot, before.generation), (after.slot, after.generation));
    assert_ne!(before.label, after.label);
    let map = |word: &EcmpSlot| bench.card.of::<FipMap>().at(words::local_map(word).into());
    assert_eq!((map(&after).pod_port, map(&after).vip_port), (9090, 80));
    assert!(words::is_tombstone(&map(&before)));
}

/// Behind the node are many, each with a mapping and a slot of its own.
#[test]
fn members_behind_the_node_are_told_by_their_mappings() {
    let vhost = penstock_model::VifId::VHOST;
    let node_hop = Hop { next_hop: NextHopKey::Receive(vhost), label: None };
    let mut bench = Bench::new(Shape::default());
    let mut d = node(&[]);
    d.next_hops.insert(node_hop.next_hop, NextHopSpec::default());
    let entry = penstock_compile::VifEntry {
        kind: table::VifKind::Vhost,
        vrf: VRF,
        mac: MacAddr([4; 6]),
        address: Some(NODE),
        rpf: false,
        next_hop: node_hop.next_hop,
        learn: table::LearnPolicy::Always,
        egress: None,
    };
    d.vifs.insert(vhost, entry);
    let server = |last: u8| GroupMember {
        hop: node_hop,
        pod: Some(IpAddr::from([192, 0, 2, last])),
        draining: false,
        port: Some(6443),
    };
    let serve = |d: &mut Desired, lasts: &[u8]| {
        let members: Vec<_> = lasts.iter().map(|last| server(*last)).collect();
        d.listeners
            .insert(key(1, 443), Listening { target: group(members), local: None, affinity: None });
        d.routes.insert((VRF, vip(1)), RouteTarget::Listener(key(1, 443)));
        d.services.insert(vip(1), Arc::new([(Protocol::Tcp, 443)].into()));
        d.floating.insert(vip(1), ServiceAddress::Reject);
    };
    serve(&mut d, &[1, 2, 3]);
    bring(&mut bench, &d);
    let servers = |bench: &Bench| -> Vec<(u32, bool)> {
        let slots = slots(&bench.card, word(&bench.card, key(1, 443)).unwrap().nh);
        let map = |word: &EcmpSlot| bench.card.of::<FipMap>().at(words::local_map(word).into());
        slots.iter().map(|word| (map(word).pod_ip & 0xff, word.drain)).collect()
    };
    assert_eq!(servers(&bench), [(1, false), (2, false), (3, false)]);
    assert_eq!(bench.route(vip(1)).unwrap().sources, 0);
    // One is killed: the others keep their slots, and it the connections that it has.
    serve(&mut d, &[1, 3]);
    bring(&mut bench, &d);
    assert_eq!(servers(&bench), [(1, false), (2, true), (3, false)]);
}

#[test]
fn a_listener_without_a_place_harms_no_other() {
    // Eight places.
    let mut bench = Bench::new(Shape { service_key_rows_log2: 0, ..Shape::default() });
    let mut d = node(&[1]);
    (1..=10).for_each(|last| listen(&mut d, key(last, 80), vec![member(1)]));
    let refused = bench.bring(&d);
    assert_eq!(refused.len(), 2, "{refused:?}");
    for (what, reason) in &refused {
        assert!(matches!(what, What::Listener(_)), "{what:?}");
        assert_eq!(*reason, Reason::TableFull { table: "ServiceKey".to_owned(), capacity: 8 });
    }
    assert_eq!(bench.card.of::<Word>().len(), 8);
    assert!(plan(&d, &bench.card).plan.is_empty(), "nothing is written for them again and again");
}

#[test]
fn a_route_whose_set_has_no_room_has_the_set_of_all() {
    // Eight places, one of them for the one tunnel that pods have.
    let mut bench = Bench::new(Shape { tunnel_source_rows_log2: 0, ..Shape::default() });
    let mut d = node(&[]);
    d.known.insert(NODE, ());
    for last in 1..=10 {
        let node = IpAddr::from([10, 169, 26, last]);
        let spec = NextHopSpec { source: Some(NODE), ..NextHopSpec::default() };
        d.next_hops.insert(NextHopKey::TunnelUdp(node), spec);
        let label = Some(MplsLabel(16));
        let hop = Hop { next_hop: NextHopKey::TunnelUdp(node), label };
        d.routes.insert((VRF, pod(last)), RouteTarget::Hop(hop));
    }
    let refused = bench.bring(&d);
    assert_eq!(refused.len(), 3, "{refused:?}");
    assert!(refused.iter().all(|(what, _)| matches!(what, What::Sources(..))));
    let known = (1..=10).filter(|last| bench.route(pod(*last)).unwrap().sources == 1).count();
    assert_eq!(known, 3);
    assert!(plan(&d, &bench.card).plan.is_empty());
}
