//! Random sequences of desired states, with random interruptions.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use penstock_abi::table::{self, LearnPolicy, VifKind};
use penstock_compile::{
    Desired, FipKey, FipTarget, Group, GroupMember, Hop, LabelEntry, NextHopKey, NextHopSpec,
    RouteTarget, VifEntry,
};
use penstock_model::{MacAddr, MplsLabel, Protocol, VifId, VrfId};
use penstock_tables::{Entry, Op, Shape, Tables};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

use super::sound::{self, Meaning};
use super::{bits, cases, reread};
use crate::{Planner, plan};

const VRFS: [VrfId; 2] = [VrfId(2), VrfId(3)];

/// A card that has room for these worlds, but not much more: it is quickly looked through.
fn small() -> Shape {
    Shape {
        next_hops: 256,
        ecmp_words: 2048,
        host_route_rows_log2: 4,
        fip_key_rows_log2: 4,
        fip_maps: 128,
        ..Shape::default()
    }
}

/// Intent in miniature, from which a consistent `Desired` is made.
#[derive(Clone, Debug)]
struct World {
    /// Local pods: number -> (address octet, MAC octet).
    pods: BTreeMap<u8, (u8, u8)>,
    /// Remote pods: address octet -> (node, label).
    remotes: BTreeMap<u8, (u8, u32)>,
    /// MAC octet of each remote node; a node without is not resolved.
    macs: BTreeMap<u8, u8>,
    /// Services: VIP octet -> (backends with their draining bit, target port, hash fields).
    services: BTreeMap<u8, (BTreeMap<u8, bool>, u16, u8)>,
    /// A default route through a remote node.
    default: Option<u8>,
}

fn world() -> impl Strategy<Value = World> {
    (
        btree_map(3_u8..9, (1_u8..12, 1_u8..4), 0..5),
        btree_map(20_u8..32, (1_u8..4, 16_u32..40), 0..8),
        btree_map(1_u8..4, 1_u8..4, 0..4),
        btree_map(
            100_u8..106,
            (
                btree_map(prop_oneof![1_u8..12, 20_u8..32], any::<bool>(), 0..8),
                80_u16..82,
                30_u8..32,
            ),
            0..6,
        ),
        proptest::option::of(1_u8..4),
    )
        .prop_map(|(pods, remotes, macs, services, default)| World {
            pods,
            remotes,
            macs,
            services,
            default,
        })
}

fn pod_ip(octet: u8) -> IpAddr {
    Ipv4Addr::new(10, 47, 255, octet).into()
}

fn node_ip(octet: u8) -> IpAddr {
    Ipv4Addr::new(10, 169, 25, octet).into()
}

fn mac(octet: u8) -> MacAddr {
    MacAddr([2, 0, 0, 0, 0, octet])
}

fn desired(world: &World) -> Desired {
    let mut d = Desired::default();
    d.next_hops.insert(NextHopKey::Discard, NextHopSpec::default());
    d.next_hops.insert(NextHopKey::Reject, NextHopSpec::default());
    let mut hops: BTreeMap<u8, Hop> = BTreeMap::new();
    let mut locals: BTreeMap<u8, VifId> = BTreeMap::new();
    for (&vif, &(octet, mac_octet)) in &world.pods {
        if locals.contains_key(&octet) {
            continue;
        }
        let next_hop = NextHopKey::Encap(VifId(vif));
        let spec = NextHopSpec { dmac: mac(mac_octet), smac: mac(99), source: None };
        d.next_hops.insert(next_hop, spec);
        let vrf = VRFS[0];
        let address = Some(pod_ip(octet));
        let entry = VifEntry {
            kind: VifKind::Virtual,
            vrf,
            mac: mac(mac_octet),
            address,
            rpf: true,
            next_hop,
            learn: LearnPolicy::Always,
            egress: None,
        };
        d.vifs.insert(VifId(vif), entry);
        d.labels
            .insert(MplsLabel(u32::from(vif) + 100), LabelEntry { next_hop, service: None, vrf });
        hops.insert(octet, Hop { next_hop, label: None });
        locals.insert(octet, VifId(vif));
    }
    let mut labels: HashMap<(u8, u32), u8> = HashMap::new();
    for (&octet, &(node, label)) in &world.remotes {
        let Some(&dmac) = world.macs.get(&node) else { continue };
        if labels.insert((node, label), octet).is_some() {
            continue;
        }
        let next_hop = NextHopKey::TunnelUdp(node_ip(node));
        let source = Some(node_ip(200));
        d.next_hops.insert(next_hop, NextHopSpec { dmac: mac(dmac), smac: mac(98), source });
        hops.insert(octet, Hop { next_hop, label: Some(MplsLabel(label)) });
    }
    for vrf in VRFS {
        for (&octet, &hop) in &hops {
            d.routes.insert((vrf, pod_ip(octet)), RouteTarget::Hop(hop));
        }
        if let Some(&dmac) = world.default.and_then(|node| world.macs.get(&node)) {
            let next_hop = NextHopKey::TunnelGre(node_ip(world.default.unwrap_or(0)));
            let source = Some(node_ip(200));
            d.next_hops.insert(next_hop, NextHopSpec { dmac: mac(dmac), smac: mac(98), source });
            let hop = Hop { next_hop, label: Some(MplsLabel(77)) };
            d.prefixes.insert((vrf, "0.0.0.0/0".parse().unwrap()), hop);
        }
        for (&vip, (backends, port, fields)) in &world.services {
            let mut members: Vec<GroupMember> = backends
                .iter()
                .filter_map(|(octet, &draining)| {
                    let hop = *hops.get(octet)?;
                    Some(GroupMember { hop, pod: Some(pod_ip(*octet)), draining, port: None })
                })
                .collect();
            members.sort();
            if members.iter().all(|member| member.draining) {
                members.iter_mut().for_each(|member| member.draining = false);
            }
            let protocol = if vip % 2 == 0 { Protocol::Tcp } else { Protocol::Udp };
            let service_port = 8888 + port % 2;
            d.services.insert(pod_ip(vip), Arc::new([(protocol, service_port)].into()));
            for octet in backends.keys() {
                if let Some(&vif) = locals.get(octet) {
                    let key = FipKey { vif, protocol, address: pod_ip(vip), port: service_port };
                    d.fip.insert(key, FipTarget { address: pod_ip(*octet), port: *port });
                }
            }
            let target = if members.is_empty() {
                let silent = vip % 3 == 0;
                let next_hop = if silent { NextHopKey::Discard } else { NextHopKey::Reject };
                RouteTarget::Hop(Hop { next_hop, label: None })
            } else {
                RouteTarget::Group(Arc::new(Group {
                    members,
                    hash_fields: *fields,
                    affinity_seconds: 0,
                }))
            };
            d.routes.insert((vrf, pod_ip(vip)), target);
        }
    }
    d
}

/// What a plan from `before` shall come to: what is wanted, and who departed.
fn expected(wanted: &Desired, before: &Meaning) -> Meaning {
    let same_pod = |vif: &VifId| {
        let pod = |d: &Desired| d.vifs.get(vif).map(|v| (v.address, v.mac, v.vrf));
        pod(wanted).is_some() && pod(wanted) == pod(&before.desired)
    };
    let wanted_in = |vrf: VrfId, vip: IpAddr| match wanted.routes.get(&(vrf, vip)) {
        Some(RouteTarget::Group(group)) => group.members.clone(),
        _ => Vec::new(),
    };
    let groups = before.desired.routes.iter().flat_map(|(&(vrf, vip), target)| {
        let members = match target {
            RouteTarget::Group(group) => group.members.clone(),
            _ => Vec::new(),
        };
        members.into_iter().filter_map(move |member| Some((vrf, vip, member.pod?, member.hop)))
    });
    let departed = groups.chain(before.departed.iter().copied()).filter(|(vrf, vip, pod, hop)| {
        let known = match &hop.next_hop {
            NextHopKey::Encap(vif) => same_pod(vif),
            _ => true,
        };
        let again = wanted_in(*vrf, *vip).iter().any(|m| (m.pod, m.hop) == (Some(*pod), *hop));
        let served = wanted.services.contains_key(vip);
        let reached = wanted.routes.get(&(*vrf, *pod)) == Some(&RouteTarget::Hop(*hop));
        served && reached && known && !again
    });
    let departed = departed.collect();
    let mut desired = wanted.clone();
    for (key, target) in &before.desired.fip {
        let Some(vif) = wanted.vifs.get(&key.vif).filter(|_| same_pod(&key.vif)) else { continue };
        let ports = wanted.services.get(&key.address);
        let served = ports.is_some_and(|ports| ports.contains(&(key.protocol, key.port)));
        if served && vif.address == Some(target.address) {
            desired.fip.entry(*key).or_insert(*target);
        }
    }
    Meaning { desired, departed }
}

/// Who each (group, slot, generation) of the card ever stood for: a pin must never lead to two different members.
#[derive(Default)]
struct Pins(HashMap<(u16, u16, u8, u32), (IpAddr, Hop)>);

impl Pins {
    /// `plans` tells lives of a group apart: a group that was removed is another one when it comes back.
    fn check(&mut self, card: &Tables, births: &HashMap<u16, u32>) -> Result<(), String> {
        let Meaning { desired, departed } = sound::meaning(card);
        for (&(vrf, address), target) in &desired.routes {
            let members = match target {
                RouteTarget::Group(group) => group.members.as_slice(),
                _ => &[],
            };
            let members = members.iter().filter_map(|member| Some((member.pod?, member.hop)));
            let gone = departed.iter().filter(|gone| (gone.0, gone.1) == (vrf, address));
            let members: Vec<_> = members.chain(gone.map(|gone| (gone.2, gone.3))).collect();
            let route = card
                .of::<table::HostRoute>()
                .values()
                .find(|r| r.vrf == vrf.0 && r.ip == bits(address))
                .expect("decoded from it");
            let nh = &card.of::<table::NextHop>().at(route.nh.into());
            for n in 0..u32::from(nh.slots) {
                let Some(word) = card.ring_word(nh.base, n).filter(|w| w.valid) else {
                    continue;
                };
                let member = members.iter().find(|(_, hop)| {
                    hop.label.map_or(0, |l| l.0) == word.label
                        && crate::words::next_hop_key(
                            &card.of::<table::NextHop>().at(word.nh.into()),
                        ) == Some(hop.next_hop)
                });
                let member = *member.expect("decoded from it");
                let birth = births.get(&route.nh).copied().unwrap_or(0);
                let pin = (route.nh, word.slot, word.generation, birth);
                let who = self.0.entry(pin).or_insert(member);
                if *who != member {
                    return Err(format!("pin {pin:?} led to {who:?} and now to {member:?}"));
                }
            }
        }
        Ok(())
    }
}

fn run(worlds: &[(World, Option<usize>)]) -> Result<(), TestCaseError> {
    let mut card = Tables::new(small());
    let mut planner = Planner::new(card.clone());
    let mut pins = Pins::default();
    let mut births: HashMap<u16, u32> = HashMap::new();
    let mut generations: HashMap<u32, HashMap<u8, (u32, u16)>> = HashMap::new();
    for (step, (world, interrupted)) in worlds.iter().enumerate() {
        let wanted = desired(world);
        let expected = expected(&wanted, &sound::meaning(&card));
        // What changed is all that has to be looked at.
        let planned = planner.plan(&wanted);
        prop_assert_eq!(&planned, &plan(&wanted, &card), "step {}", step);
        prop_assert_eq!(&planned.refused, &[]);
        let ops: Vec<Op> = planned.plan.ops().copied().collect();
        for (n, op) in ops.iter().enumerate() {
            if interrupted.is_some_and(|at| at == n) {
                break;
            }
            let composite = |card: &Tables, id: u32| {
                card.get::<table::NextHop>(id)
                    .is_some_and(|w| w.kind == penstock_abi::table::NextHopKind::Composite)
            };
            let before = match op {
                Op::Write { index, entry: Entry::NextHop(_) } => {
                    Some((*index, composite(&card, *index)))
                }
                _ => None,
            };
            card.apply(op);
            if let Some((index, false)) = before.filter(|(index, _)| composite(&card, *index)) {
                births.insert(index as u16, births.len() as u32 + step as u32 * 1000);
            }
            if let Err(fault) = sound::check_between(&card, &planned.plan, planner.tables()) {
                let text = format!("step {step}, after operation {n} {op:?}: {fault}\n{ops:?}");
                return Err(TestCaseError::fail(text));
            }
            // A mapping that a key led to under a generation means the same for ever.
            for key in card.of::<table::FipKey>().values().filter(|key| !sound::is_mark(&card, key))
            {
                let map = card.of::<table::FipMap>().at(key.map.into());
                let meaning = (map.pod_ip, map.pod_port);
                let seen = generations.entry(key.map.into()).or_default();
                let known = *seen.entry(map.generation).or_insert(meaning);
                prop_assert_eq!(
                    known,
                    meaning,
                    "mapping {} generation {}",
                    key.map,
                    map.generation
                );
            }
        }
        if interrupted.is_some() {
            planner = Planner::new(card.clone());
            continue;
        }
        prop_assert_eq!(planner.tables(), &card);
        sound::no_leftovers(&card).map_err(TestCaseError::fail)?;
        let mut meaning = sound::meaning(&card);
        meaning.desired.services = wanted.services.clone();
        prop_assert_eq!(&meaning, &expected);
        pins.check(&card, &births).map_err(TestCaseError::fail)?;
        let again = planner.audit(&wanted);
        prop_assert!(again.plan.is_empty(), "not settled: {:?}", again.plan);
        // A daemon that starts anew reads valid entries and the holes of groups, and has nothing to do either.
        prop_assert_eq!(reread(&card).difference(&card), vec![]);
    }
    Ok(())
}

proptest! {
    #![proptest_config(cases(96))]

    #[test]
    fn plans_are_sound_at_every_step(worlds in vec((world(), Just(None)), 1..8)) {
        run(&worlds)?;
    }

    #[test]
    fn plans_that_break_off_are_taken_up(
        worlds in vec((world(), proptest::option::weighted(0.5, 0_usize..60)), 2..8)
    ) {
        run(&worlds)?;
    }
}
