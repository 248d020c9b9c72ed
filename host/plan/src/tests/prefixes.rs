//! Prefixes: whatever comes and goes, an address leads where it led before a plan or where it leads after it, at every operation;
//! and what a look-up finds is the longest match.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, Ipv4Addr};

use penstock_abi::table::{DefaultRoute, HostRoute, Prefix, PrefixLength, TableId};
use penstock_compile::{Desired, Hop, NextHopKey, NextHopSpec, RouteTarget};
use penstock_model::{IpNet, MacAddr, MplsLabel, Reason, VrfId};
use penstock_tables::prefix::{PREFIX_LENGTHS, masked, prefix_cost};
use penstock_tables::{PrefixPart, Shape, Tables};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use super::world::{NODE, VRF};
use super::{cases, sound};
use crate::{Planner, What, plan};

/// A next hop that is never there.
const LOST: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 169, 25, 99));

/// Announced routes by address and length; the label tells them apart.
type Routes = BTreeMap<(u32, u8), u32>;

fn net(ip: u32, len: u8) -> IpNet {
    IpNet::new(Ipv4Addr::from(masked(ip, len)).into(), len).unwrap()
}

fn desired(vrf: VrfId, routes: &Routes) -> Desired {
    let mut d = Desired::default();
    d.next_hops.insert(NextHopKey::Discard, NextHopSpec::default());
    let spec = NextHopSpec { dmac: MacAddr([2; 6]), source: Some(NODE), ..NextHopSpec::default() };
    d.next_hops.insert(NextHopKey::TunnelUdp(NODE), spec);
    for (&(ip, len), &label) in routes {
        let node = if label == 0 { LOST } else { NODE };
        let hop = Hop { next_hop: NextHopKey::TunnelUdp(node), label: Some(MplsLabel(label + 16)) };
        if len == 32 {
            d.routes.insert((vrf, Ipv4Addr::from(ip).into()), RouteTarget::Hop(hop));
        } else {
            d.prefixes.insert((vrf, net(ip, len)), hop);
        }
    }
    d
}

/// What a packet to an address gets, as the card looks it up.
fn route(card: &Tables, vrf: u16, ip: u32) -> Option<u32> {
    if let Some((_, route)) = card.find::<HostRoute>((vrf, ip)) {
        return Some(route.label - 16);
    }
    let part = (0..8).find_map(|rank| card.find_prefix(rank, vrf, ip));
    let default = || card.get::<DefaultRoute>(vrf.into()).filter(|d| d.valid).map(|d| d.label);
    part.map(|(_, part)| part.label).or_else(default).map(|label| label - 16)
}

/// What it shall get.
fn longest(routes: &Routes, ip: u32) -> Option<u32> {
    (0..=32).rev().find_map(|len| routes.get(&(masked(ip, len), len))).copied()
}

/// An address of a few, near enough to one another that prefixes lie in each other.
fn address() -> impl Strategy<Value = u32> {
    let bits =
        proptest::sample::select(vec![0_u32, 1, 2, 6, 0x80, 0x100, 0x300, 0x8000, 0x60_0000]);
    (bits.clone(), bits).prop_map(|(one, other)| 0x0a2f_ff00 ^ one ^ other)
}

/// Routes of any length; label 0 is for those whose next hop is not there.
fn routes() -> impl Strategy<Value = Routes> {
    let len = prop_oneof![6 => 8_u8..=32, 1 => 0_u8..8];
    let key = (address(), len).prop_map(|(ip, len)| (masked(ip, len), len));
    let routes = btree_map(key, prop_oneof![1 => Just(0_u32), 12 => 1_u32..40], 0..24);
    // A host route that cannot be changed stays: that is another matter.
    routes.prop_map(|mut routes: Routes| {
        let hosts = routes.iter_mut().filter(|((_, len), _)| *len == 32);
        hosts.for_each(|(_, label)| *label = (*label).max(1));
        routes
    })
}

fn probes(steps: &[(Routes, Option<usize>)]) -> BTreeSet<u32> {
    let nets = steps.iter().flat_map(|(routes, _)| routes.keys());
    nets.flat_map(|&(ip, len)| {
        let size = 1_u64 << (32 - len);
        let last = (u64::from(ip) + size - 1) as u32;
        [ip, last, ip.wrapping_sub(1), last.wrapping_add(1), ip ^ (size / 2) as u32]
    })
    .collect()
}

/// Without those that cannot be.
fn served(routes: &Routes) -> Routes {
    routes.iter().filter(|(_, label)| **label != 0).map(|(key, label)| (*key, *label)).collect()
}

fn run(steps: &[(Routes, Option<usize>)], shape: Shape) -> Result<(), TestCaseError> {
    let mut card = Tables::new(shape);
    let mut planner = Planner::new(card.clone());
    let probes = probes(steps);
    let look = |card: &Tables| -> HashMap<u32, Option<u32>> {
        probes.iter().map(|&ip| (ip, route(card, VRF.0, ip))).collect()
    };
    for (routes, interrupted) in steps {
        let wanted = desired(VRF, routes);
        let planned = planner.plan(&wanted);
        prop_assert_eq!(&planned, &plan(&wanted, &card));
        let refused = routes.values().filter(|label| **label == 0).count();
        prop_assert_eq!(planned.refused.len(), refused, "{:?}", planned.refused);
        let before = look(&card);
        let routes = served(routes);
        let ops: Vec<_> = planned.plan.ops().copied().collect();
        for (n, op) in ops.iter().enumerate().take(interrupted.unwrap_or(usize::MAX)) {
            card.apply(op);
            sound::check(&card).map_err(TestCaseError::fail)?;
            for (&ip, &old) in &before {
                let now = route(&card, VRF.0, ip);
                if now != old && now != longest(&routes, ip) {
                    let new = longest(&routes, ip);
                    let ip = Ipv4Addr::from(ip);
                    let text =
                        format!("{ip}: {old:?} -> {new:?}, but {now:?} after {n} of {ops:?}");
                    return Err(TestCaseError::fail(text));
                }
            }
        }
        if interrupted.is_some() {
            planner = Planner::new(card.clone());
            continue;
        }
        for &ip in &probes {
            prop_assert_eq!(route(&card, VRF.0, ip), longest(&routes, ip));
        }
        prop_assert_eq!(planner.tables(), &card);
        prop_assert!(planner.audit(&wanted).plan.is_empty());
        prop_assert_eq!(super::reread(&card).difference(&card), vec![]);
        if routes.keys().all(|(_, len)| *len == 0 || *len == 32) {
            prop_assert_eq!(card.of::<Prefix>().len(), 0, "nothing is left over");
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(cases(32))]

    #[test]
    fn an_address_leads_where_it_led_or_where_it_shall(
        steps in vec((routes(), Just(None)), 1..6)
    ) {
        run(&steps, Shape { prefix_rows_log2: 4, ..Shape::default() })?;
    }

    #[test]
    fn so_it_does_when_plans_break_off(
        steps in vec((routes(), proptest::option::weighted(0.5, 0_usize..60)), 2..6)
    ) {
        run(&steps, Shape { prefix_rows_log2: 4, ..Shape::default() })?;
    }

    /// Of what has no room the rest is as if it were not wanted, and it comes when there is room.
    #[test]
    fn what_has_no_room_is_refused_by_name(wanted in vec(routes(), 1..4)) {
        let mut card = Tables::new(Shape { prefix_rows_log2: 0, ..Shape::default() });
        let mut planner = Planner::new(card.clone());
        for routes in &wanted {
            let d = desired(VRF, routes);
            let planned = planner.plan(&d);
            for op in planned.plan.ops() {
                card.apply(op);
                sound::check(&card).map_err(TestCaseError::fail)?;
            }
            let mut left = served(routes);
            for refusal in &planned.refused {
                if let What::Prefix(_, net) = refusal.what {
                    left.remove(&(super::bits(net.addr()), net.prefix_len()));
                }
            }
            for &ip in &probes(&[(routes.clone(), None)]) {
                prop_assert_eq!(route(&card, VRF.0, ip), longest(&left, ip));
            }
        }
        let none = planner.plan(&desired(VRF, &Routes::new()));
        none.plan.ops().for_each(|op| card.apply(op));
        prop_assert_eq!(card.of::<Prefix>().len(), 0);
    }
}

/// The next of a sequence that looks random.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *state >> 24
}

/// Thousands of prefixes of all lengths over all VRFs: a million look-ups of what the tables hold, and some of them as the card
/// searches its rows.
#[test]
fn a_million_look_ups_find_the_longest_match() {
    const PREFIXES: usize = 12_000;
    let mut state = 7;
    let mut wanted: BTreeMap<u16, Routes> = BTreeMap::new();
    for n in 0..PREFIXES {
        let vrf = if n % 3 == 0 { 7 } else { next(&mut state) % 4096 } as u16;
        // Shorter than 8 bits is rare.
        let len = if n % 100 == 0 { next(&mut state) % 8 } else { 8 + next(&mut state) % 24 } as u8;
        let ip = 0x0a2f_0000 ^ (next(&mut state) as u32 >> (next(&mut state) % 32));
        let label = (n % 1_000_000 + 1) as u32;
        wanted.entry(vrf).or_default().insert((masked(ip, len), len), label);
    }
    let mut all = Desired::default();
    for (&vrf, routes) in &wanted {
        let d = desired(VrfId(vrf), routes);
        all.next_hops = d.next_hops;
        all.prefixes.extend(d.prefixes);
    }
    let mut card = Tables::default();
    let planned = plan(&all, &card);
    assert_eq!(planned.refused, []);
    planned.plan.ops().for_each(|op| card.apply(op));
    let parts: HashMap<PrefixPart, u32> = card
        .of::<Prefix>()
        .iter()
        .map(|(index, word)| {
            let part = PrefixPart::of(index, word, card.shape()).expect("in its row");
            (part, word.label - 16)
        })
        .collect();
    let lengths: Vec<u8> = card.of::<PrefixLength>().values().map(|word| word.len).collect();
    assert_eq!(lengths, PREFIX_LENGTHS);
    let vrfs: Vec<u16> = wanted.keys().copied().collect();
    let mut hits = 0;
    for n in 0..1_000_000_u32 {
        let vrf = if n % 4 == 0 { 7 } else { vrfs[next(&mut state) as usize % vrfs.len()] };
        let routes = &wanted[&vrf];
        let far = next(&mut state) % routes.len() as u64;
        let near = *routes.keys().nth(far as usize % 64).unwrap_or(&(0, 0));
        let ip = near.0 ^ (next(&mut state) as u32 >> (next(&mut state) % 32));
        let found = (0_u8..8).zip(&lengths).find_map(|(rank, &len)| {
            parts.get(&PrefixPart { rank, vrf, ip: masked(ip, len) }).copied()
        });
        let default = card.get::<DefaultRoute>(vrf.into()).map(|word| word.label - 16);
        let expected = longest(routes, ip);
        assert_eq!(found.or(default), expected, "{} in VRF {vrf}", Ipv4Addr::from(ip));
        hits += u32::from(expected.is_some());
        if n % 200 == 0 {
            assert_eq!(route(&card, vrf, ip), expected);
        }
    }
    assert!(hits > 250_000, "{hits} look-ups hit");
}

/// One length in many VRFs fills half of all tables; in one VRF and behind one first byte, one table.
#[test]
fn one_length_fills_what_it_may() {
    let mut d = desired(VrfId(0), &Routes::new());
    let hop = Hop { next_hop: NextHopKey::TunnelUdp(NODE), label: Some(MplsLabel(16)) };
    for vrf in 0..4096 {
        for n in 0..8 {
            d.prefixes.insert((VrfId(vrf), net(0x0a2f_0000 | n << 8, 24)), hop);
        }
    }
    let planned = plan(&d, &Tables::default());
    assert_eq!(planned.refused, []);
    assert!(planned.plan.ops().count() >= 32_768);
    let mut d = desired(VrfId(0), &Routes::new());
    for n in 0..9000 {
        d.prefixes.insert((VrfId(5), net(0x0a00_0000 | n << 8, 24)), hop);
    }
    let mut card = Tables::default();
    let planned = plan(&d, &card);
    planned.plan.ops().for_each(|op| card.apply(op));
    let placed = card.of::<Prefix>().len();
    assert!(placed > 7700, "{placed} of 8192 places are used");
    assert_eq!(planned.refused.len(), 9000 - placed);
    let reason = |reason: &Reason| match reason {
        Reason::NoPlace { table, key } => (table.clone(), key.clone()),
        other => panic!("{other:?}"),
    };
    let (table, key) = reason(&planned.refused[0].reason);
    assert_eq!(table, TableId::Prefix.desc().name);
    assert!(
        matches!(planned.refused[0].what, What::Prefix(VrfId(5), net) if net.to_string() == key)
    );
}

/// A card that looks for other lengths loses the prefixes that it was found with, and gets ours.
#[test]
fn other_lengths_are_replaced() {
    let mut card = Tables::default();
    let part = PrefixPart { rank: 3, vrf: VRF.0, ip: 0x0a2f_0000 };
    let word = Prefix { valid: true, vrf: part.vrf, ip: part.ip, len: 18, ..Prefix::default() };
    let place = part.places(card.shape()).next().unwrap();
    card.put(place, word);
    card.put(3, PrefixLength { valid: true, len: 18 });
    let routes = Routes::from([((0x0a2f_0000, 18), 5), ((0, 1), 6)]);
    let planned = plan(&desired(VRF, &routes), &card);
    planned.plan.ops().for_each(|op| card.apply(op));
    assert_eq!(route(&card, VRF.0, 0x0a2f_0001), Some(5));
    assert_eq!(route(&card, VRF.0, 0x0a6f_0001), Some(6));
    assert_eq!(card.of::<Prefix>().len() as u32, prefix_cost(18) + prefix_cost(1));
    assert!(card.of::<PrefixLength>().values().map(|word| word.len).eq(PREFIX_LENGTHS));
}
