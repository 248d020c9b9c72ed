//! Floating IPs without port map: their mappings, keys and egress ways, and in which order they come, go and move.

use std::net::{IpAddr, Ipv4Addr};

use penstock_abi::table::{FipMap, PlainFip, TableId, Vif};
use penstock_compile::{Desired, Egress, Hop, LabelEntry, NextHopKey, PlainKey, RouteTarget};
use penstock_model::{MplsLabel, Reason, VifId, VrfId};
use penstock_tables::{Op, Shape, Tables};

use super::bits;
use super::world::{Bench, LOCAL, VIF, pod, reaches};
use crate::{What, plan, words};

const PUBLIC: VrfId = VrfId(4);
const FIP: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 10));
const OTHER: VifId = VifId(9);

/// A node with two pods.
fn node() -> Desired {
    let mut d = reaches(&[LOCAL]);
    let next_hop = NextHopKey::Encap(OTHER);
    d.next_hops.insert(next_hop, d.next_hops[&NextHopKey::Encap(VIF)]);
    let entry = d.vifs[&VIF];
    d.vifs.insert(OTHER, penstock_compile::VifEntry { address: Some(pod(201)), next_hop, ..entry });
    d
}

fn give(d: &mut Desired, vif: VifId) {
    let to = d.vifs[&vif].address.unwrap();
    let next_hop = NextHopKey::Encap(vif);
    d.plain.insert(PlainKey { vif, address: FIP }, to);
    d.routes.insert((PUBLIC, FIP), RouteTarget::Hop(Hop { next_hop, label: None }));
    d.labels.insert(MplsLabel(110), LabelEntry { next_hop, service: None, vrf: PUBLIC });
    d.vifs.get_mut(&vif).unwrap().egress = Some(Egress { vrf: PUBLIC, address: FIP });
}

fn bring(bench: &mut Bench, d: &Desired) -> Vec<Op> {
    let planned = plan(d, &bench.card);
    assert_eq!(bench.bring(d), []);
    planned.plan.ops().copied().collect()
}

fn key(card: &Tables, vif: VifId) -> Option<(PlainFip, FipMap)> {
    let (_, word) = card.find::<PlainFip>((vif.0, bits(FIP)))?;
    Some((*word, card.of::<FipMap>().at(word.map.into())))
}

fn at(ops: &[Op], is: impl Fn(&Op) -> bool) -> usize {
    ops.iter().position(is).unwrap()
}

fn writes(table: TableId) -> impl Fn(&Op) -> bool {
    move |op| matches!(op, Op::Write { entry, .. } if entry.table() == table)
}

#[test]
fn a_mapping_comes_before_all_that_names_it_and_goes_after() {
    let mut bench = Bench::new(Shape::default());
    let none = node();
    bring(&mut bench, &none);
    let mut d = none.clone();
    give(&mut d, VIF);
    let ops = bring(&mut bench, &d);
    let (word, map) = key(&bench.card, VIF).unwrap();
    assert_eq!(
        (map.vip, map.vip_port, map.pod_ip, map.pod_port),
        (bits(FIP), 0, bits(pod(LOCAL)), 0)
    );
    let vif: Vif = bench.card.of::<Vif>().at(VIF.0.into());
    assert_eq!((vif.egress, vif.egress_vrf, vif.egress_map), (true, PUBLIC.0, word.map));
    let route = bench.card.of::<penstock_abi::table::HostRoute>().values();
    let route = route.into_iter().find(|route| route.ip == bits(FIP)).unwrap();
    assert_eq!((route.vrf, route.sources), (PUBLIC.0, 0), "nobody elsewhere has it");
    let map_at = at(&ops, writes(TableId::FipMap));
    let last = [TableId::PlainFip, TableId::Vif, TableId::HostRoute, TableId::Ilm];
    assert!(last.iter().all(|table| map_at < at(&ops, writes(*table))), "{ops:?}");
    assert!(at(&ops, writes(TableId::PlainFip)) < at(&ops, writes(TableId::HostRoute)));
    // And away: the tombstone is the last word, behind a fence.
    let ops = bring(&mut bench, &none);
    assert_eq!(at(&ops, writes(TableId::FipMap)), ops.len() - 1, "{ops:?}");
    assert!(matches!(ops[ops.len() - 2], Op::Fence));
    assert_eq!(key(&bench.card, VIF), None);
    assert!(bench.card.of::<FipMap>().values().all(words::is_tombstone));
}

#[test]
fn one_that_moves_is_nobodys_before_it_is_another_pods() {
    let mut bench = Bench::new(Shape::default());
    let (mut before, mut after) = (node(), node());
    give(&mut before, VIF);
    give(&mut after, OTHER);
    bring(&mut bench, &before);
    let ops = bring(&mut bench, &after);
    let map = |op: &Op| match op {
        Op::Write { entry, .. } => entry.get::<FipMap>(),
        Op::Fence | Op::Forget { .. } => None,
    };
    let tombstone = at(&ops, |op| map(op).is_some_and(|map| words::is_tombstone(&map)));
    let new = at(&ops, |op| map(op).is_some_and(|map| map.pod_ip == bits(pod(201))));
    assert!(tombstone < new, "{ops:?}");
    assert!(ops[..tombstone].iter().any(|op| matches!(op, Op::Fence)));
    assert_eq!(key(&bench.card, VIF), None);
    assert_eq!(key(&bench.card, OTHER).unwrap().1.pod_ip, bits(pod(201)));
    assert!(!bench.card.of::<Vif>().at(VIF.0.into()).egress);
}

#[test]
fn without_room_it_is_refused_and_harms_nobody() {
    // The first mapping is none, so there is one.
    let mut bench = Bench::new(Shape { fip_maps: 2, ..Shape::default() });
    let mut d = node();
    give(&mut d, VIF);
    let more = PlainKey { vif: OTHER, address: Ipv4Addr::new(198, 51, 100, 11).into() };
    d.plain.insert(more, pod(201));
    let refused = bench.bring(&d);
    let full = Reason::TableFull { table: "FipMap".to_owned(), capacity: 2 };
    assert_eq!(refused, [(What::Plain(more), full)]);
    assert!(key(&bench.card, VIF).is_some() && bench.card.of::<Vif>().at(VIF.0.into()).egress);
    assert_eq!(bench.card.of::<PlainFip>().len(), 1);
}
