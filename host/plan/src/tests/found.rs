//! Cards that were found with what this planner never wrote, or left when a plan broke off.

use penstock_abi::table::{EcmpSlot, FipKey, FipMap, HostRoute, NextHop, NextHopKind, TableId};
use penstock_compile::{Desired, NextHopKey};
use penstock_tables::{Op, Shape, Tables};

use super::world::{Bench, LOCAL, VIF, VRF, map, pod, reaches, serve, vip};
use super::{bits, ops, sound};
use crate::plan;

/// Brings a card to a state; no more than the end is right if it was found with nonsense.
fn bring(card: &mut Tables, desired: &Desired) -> Vec<Op> {
    let ops = ops(desired, card);
    ops.iter().for_each(|op| card.apply(op));
    sound::check(card).unwrap();
    sound::no_leftovers(card).unwrap();
    assert!(plan(desired, card).plan.is_empty());
    ops
}

/// Next hop 0 discards and mapping 0 is none, whatever is there.
#[test]
fn what_is_reserved_is_not_taken_over() {
    let mut d = reaches(&[1, 2, LOCAL]);
    serve(&mut d, vip(1), &[1, LOCAL]);
    map(&mut d, vip(1), 80);
    let mut clean = Tables::default();
    bring(&mut clean, &d);
    let id = |card: &Tables, key| {
        let is = |word: &NextHop| crate::words::next_hop_key(word) == Some(key);
        let found: Vec<u32> =
            card.of::<NextHop>().iter().filter(|(_, w)| is(w)).map(|(i, _)| i).collect();
        assert_eq!(found.len(), 1, "{key:?}");
        found[0]
    };
    let local = NextHopKey::Encap(VIF);
    let encap = clean.of::<NextHop>().at(id(&clean, local));
    let group = *clean.of::<NextHop>().values().find(|w| w.kind == NextHopKind::Composite).unwrap();
    for at_zero in [encap, group] {
        let mut card = Tables::default();
        card.put(0, at_zero);
        card.put(
            0,
            HostRoute { valid: true, vrf: VRF.0, ip: bits(vip(1)), ..HostRoute::default() },
        );
        bring(&mut card, &d);
        assert_eq!(id(&card, NextHopKey::Discard), 0);
        assert_ne!(id(&card, local), 0);
    }
    let (place, key) = clean.of::<FipKey>().iter().find(|(_, key)| key.map != 0).unwrap();
    let map = clean.of::<FipMap>().at(key.map.into());
    for led_to in [true, false] {
        let mut card = clean.clone();
        card.put(0, map);
        if led_to {
            card.put(u32::from(key.map), FipMap::default());
            card.put(place, FipKey { map: 0, ..*key });
        }
        let ops = ops(&d, &card);
        ops.iter().for_each(|op| card.apply(op));
        assert_eq!(card.get::<FipMap>(0), None);
        sound::check(&card).unwrap();
        sound::no_leftovers(&card).unwrap();
    }
}

/// A plan that broke off had flipped a group, and had not cleared the old ring: packets may still read that.
#[test]
fn what_may_still_be_read_is_not_reused_before_a_fence() {
    let mut bench = Bench::new(Shape { ecmp_words: 8, ..Shape::default() });
    let mut d = reaches(&[1, 2]);
    serve(&mut d, vip(1), &[1, 2]);
    bench.bring(&d);
    let mut left = bench.card.clone();
    for (index, word) in bench.card.of::<EcmpSlot>().iter() {
        left.put(index + 4, *word);
    }
    serve(&mut d, vip(2), &[1, 2]);
    let ops = bring(&mut left, &d);
    assert_eq!(ops.first(), Some(&Op::Fence));
    // The only thing to do is to clear what the last plan unpointed.
    let mut unpointed = bench.card.clone();
    let route = unpointed.find::<HostRoute>((VRF.0, bits(vip(1)))).map(|(index, _)| index).unwrap();
    unpointed.put(route, HostRoute::default());
    let ops = bring(&mut unpointed, &reaches(&[1, 2]));
    assert_eq!(ops.first(), Some(&Op::Fence));
    assert!(ops[1..].iter().all(|op| match op {
        Op::Write { entry, .. } => matches!(entry.table(), TableId::Ecmp | TableId::NextHop),
        Op::Fence | Op::Forget { .. } => true,
    }));
    assert_eq!(
        unpointed.find::<HostRoute>((VRF.0, bits(pod(1)))).map(|(_, r)| r.valid),
        Some(true)
    );
}

/// Whatever is wanted of a card that has no tables, it is refused by name; but for what discards, which is always there.
#[test]
fn what_is_wanted_of_a_card_without_tables_is_refused() {
    let none = Shape {
        vifs: 0,
        labels: 0,
        next_hops: 0,
        ecmp_words: 0,
        ecmp_group_max: 0,
        host_route_rows_log2: 0,
        prefix_rows_log2: 0,
        vrfs: 0,
        fip_key_rows_log2: 0,
        fip_maps: 0,
        service_key_rows_log2: 0,
        tunnel_source_rows_log2: 0,
        plain_fip_rows_log2: 0,
        flow_rows_log2: 0,
        flows_translated_max: 0,
        flow_shares: 0,
        affinities: 0,
        clock_khz: 0,
    };
    let mut d = reaches(&[1, 2, LOCAL]);
    serve(&mut d, vip(1), &[1, LOCAL]);
    map(&mut d, vip(1), 80);
    let mut card = Tables::new(none);
    let planned = plan(&d, &card);
    planned.plan.ops().for_each(|op| card.apply(op));
    assert_eq!(card.of::<NextHop>().len(), 1);
    assert!(card.of::<HostRoute>().is_empty() && card.of::<FipKey>().is_empty());
    assert_eq!(planned.refused.len(), 2 + 1 + 1 + 4 + 1, "{:?}", planned.refused);
}
