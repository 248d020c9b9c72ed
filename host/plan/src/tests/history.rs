//! Long histories of small changes on a card that is too small: looking at what changed gives the plan that looking at everything
//! does, and whatever has no room, or makes no sense, harms nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use penstock_abi::table::{LearnPolicy, NextHop, VifKind};
use penstock_compile::{
    Desired, Egress, FipKey, FipTarget, Group, GroupMember, Hop, LabelEntry, NextHopKey,
    NextHopSpec, PlainKey, RouteTarget, VifEntry, VrfEntry,
};
use penstock_model::{MacAddr, MplsLabel, Protocol, VifId, VrfId};
use penstock_tables::{Entry, Op, Shape, Tables};
use proptest::collection::vec;
use proptest::option::weighted;
use proptest::prelude::*;

use super::{affinity, cases, sound};
use crate::{Planner, plan, words};

mod listening;

use listening::{Known, Ports, listens};

const VRFS: [VrfId; 2] = [VrfId(2), VrfId(3)];
const PODS: u8 = 5;
const REMOTES: u8 = 10;
const NODES: u8 = 3;
const VIPS: u8 = 6;

/// A node and its cluster. Everything is a small number.
#[derive(Clone, Debug, Default)]
struct World {
    /// Vif -> (pod, MAC).
    vifs: BTreeMap<u8, (u8, u8)>,
    /// Pod elsewhere -> (node, label).
    remotes: BTreeMap<u8, (u8, u8)>,
    /// Node -> MAC.
    nodes: BTreeMap<u8, u8>,
    /// Floating IP -> backends and target port.
    services: BTreeMap<u8, (BTreeMap<u8, Backend>, u8)>,
    /// Floating IPs at which nothing is served, though there is a route.
    unserved: BTreeSet<u8>,
    /// Floating IPs to which this node has no route.
    unrouted: BTreeSet<u8>,
    /// Floating IPs that lead to one pod, as a proxy's does.
    proxied: BTreeSet<u8>,
    /// Floating IPs that are refused, and the one whose backends are wanted at each: its own, or those of another owner.
    refused: BTreeMap<u8, u8>,
    /// Defects: nodes whose next hop is forgotten, vifs that are, routes to what this card cannot say.
    lost_nodes: BTreeSet<u8>,
    lost_vifs: BTreeSet<u8>,
    foreign: BTreeSet<u8>,
    prefixes: BTreeMap<u8, u8>,
    /// More ports of floating IPs that live by their listeners.
    ports: Ports,
    /// Floating IPs to which other nodes send, by a label of their own.
    outside: BTreeSet<u8>,
    /// Vifs that are in the other VRF.
    moved: BTreeSet<u8>,
    /// Floating IPs without port map, and the vifs that have them.
    plain: BTreeMap<u8, u8>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Backend {
    draining: bool,
    /// It is one for another port.
    unmapped: bool,
}

/// A change: what, and three numbers.
type Edit = (u8, u8, u8, u8);

fn toggle(set: &mut BTreeSet<u8>, number: u8) {
    if !set.remove(&number) {
        set.insert(number);
    }
}

impl World {
    fn edit(&mut self, (what, a, b, c): Edit) {
        let pod = |n: u8| n % (PODS + REMOTES);
        match what % 16 {
            0 => drop(self.vifs.insert(3 + a % PODS, (b % PODS, c % 3))),
            1 => drop(self.vifs.remove(&(3 + a % PODS))),
            2 | 3 => drop(self.remotes.insert(a % REMOTES, (b % NODES, c % 12))),
            4 => drop(self.remotes.remove(&(a % REMOTES))),
            5 => drop(self.nodes.insert(a % NODES, b % 3)),
            6 if a % 4 == 0 => drop(self.nodes.remove(&(b % NODES))),
            7 => drop(self.services.remove(&(a % VIPS))),
            8 if a % 2 == 0 => {
                if self.refused.remove(&(b % VIPS)).is_none() {
                    self.refused.insert(b % VIPS, if c % 2 == 0 { b } else { c } % VIPS);
                }
            }
            8 if a % 8 == 1 => toggle(&mut self.unserved, b % VIPS),
            8 if a % 8 == 3 => toggle(&mut self.unrouted, b % VIPS),
            8 if a % 8 == 5 => toggle(&mut self.proxied, b % VIPS),
            9 if a % 8 == 0 => toggle(&mut self.lost_nodes, b % NODES),
            9 if a % 8 == 1 => toggle(&mut self.lost_vifs, 3 + b % PODS),
            9 if a % 8 == 3 => toggle(&mut self.moved, 3 + b % PODS),
            9 if a % 8 == 4 => drop(self.plain.remove(&(b % 3))),
            9 if a % 8 > 4 => drop(self.plain.insert(b % 3, 3 + c % PODS)),
            9 if a % 8 == 2 => toggle(&mut self.foreign, b % 4),
            10 if a % 2 == 0 => drop(self.prefixes.insert(b % 4, c % NODES)),
            10 => drop(self.prefixes.remove(&(b % 4))),
            11 => {
                if let Some((members, _)) = self.services.get_mut(&(a % VIPS)) {
                    members.remove(&pod(b));
                }
            }
            14 | 15 if what >= 64 => self.edit_ports((a, b, c)),
            12 => self.services.entry(a % VIPS).or_default().1 = b % 3,
            _ => {
                let (members, _) = self.services.entry(a % VIPS).or_default();
                members.insert(pod(b), Backend { draining: c % 4 == 0, unmapped: c % 3 == 0 });
            }
        }
    }

    fn desired(&self) -> Desired {
        let mut d = Desired::default();
        d.next_hops.insert(NextHopKey::Discard, NextHopSpec::default());
        d.next_hops.insert(NextHopKey::Reject, NextHopSpec::default());
        for vrf in VRFS {
            // Now and then they have services of their own.
            let own = self.foreign.contains(&1);
            let service_net = if own { vrf.0 } else { VRFS[0].0 };
            d.vrfs.insert(vrf, VrfEntry { service_net, ..VrfEntry::default() });
        }
        let mut hops: BTreeMap<u8, Hop> = BTreeMap::new();
        let mut here: BTreeMap<u8, VifId> = BTreeMap::new();
        for (&vif, &(pod, octet)) in &self.vifs {
            if here.contains_key(&pod) {
                continue;
            }
            let next_hop = NextHopKey::Encap(VifId(vif));
            d.next_hops.insert(next_hop, spec(octet));
            let address = Some(pod_ip(pod));
            let (kind, learn) = (VifKind::Virtual, LearnPolicy::Always);
            let vrf = VRFS[usize::from(self.moved.contains(&vif))];
            let entry = VifEntry {
                kind,
                vrf,
                mac: mac(octet),
                address,
                rpf: true,
                next_hop,
                learn,
                egress: None,
            };
            if !self.lost_vifs.contains(&vif) {
                d.vifs.insert(VifId(vif), entry);
            }
            let label = LabelEntry { next_hop, service: None, vrf };
            d.labels.insert(MplsLabel(u32::from(vif) + 100), label);
            self.floating_ips(&mut d, vif, pod_ip(pod));
            hops.insert(pod, Hop { next_hop, label: None });
            here.insert(pod, VifId(vif));
        }
        let mut labels = BTreeSet::new();
        for (&remote, &(node, label)) in &self.remotes {
            let Some(&octet) = self.nodes.get(&node) else { continue };
            // Now and then two addresses share a label, as a pod's and that of a service in front of it.
            if !labels.insert((node, label)) && remote % 3 != 0 {
                continue;
            }
            let next_hop = NextHopKey::TunnelUdp(node_ip(node));
            if !self.lost_nodes.contains(&node) {
                d.next_hops.insert(next_hop, spec(octet));
            }
            let label = Some(MplsLabel(u32::from(label) + 16));
            hops.insert(PODS + remote, Hop { next_hop, label });
        }
        for vrf in VRFS {
            for (&pod, &hop) in &hops {
                d.routes.insert((vrf, pod_ip(pod)), RouteTarget::Hop(hop));
            }
            for (&prefix, &node) in &self.prefixes {
                let prefix = format!("10.{prefix}.0.0/16").parse().unwrap();
                let next_hop = NextHopKey::TunnelUdp(node_ip(node));
                d.prefixes.insert((vrf, prefix), Hop { next_hop, label: Some(MplsLabel(77)) });
            }
        }
        for &foreign in &self.foreign {
            let hop = RouteTarget::Hop(Hop::default());
            d.routes.insert((VRFS[0], format!("fd00::{foreign}").parse().unwrap()), hop.clone());
            d.routes.insert((VrfId(4096), pod_ip(foreign)), hop);
            d.labels.insert(
                MplsLabel(1 << 20),
                LabelEntry { next_hop: NextHopKey::Reject, service: None, vrf: VRFS[0] },
            );
        }
        for (&vip, whose) in &self.refused {
            let backends = self.services.get(whose).into_iter().flat_map(|of| of.0.keys());
            let pods: BTreeSet<IpAddr> = backends.map(|pod| pod_ip(*pod)).collect();
            d.refused.insert(vip_ip(vip), Arc::new(pods));
        }
        for (&vip, (backends, port)) in &self.services {
            // The compiler says nothing more of what it refuses; it should not matter if it does.
            if self.refused.contains_key(&vip) && vip % 2 == 0 {
                continue;
            }
            self.service(&mut d, vip, backends, *port, &hops, &here);
        }
        d
    }

    /// Those of a vif without port map; the first is the one under which its pod begins connections.
    fn floating_ips(&self, d: &mut Desired, vif: u8, pod: IpAddr) {
        let vif = VifId(vif);
        let Some(entry) = d.vifs.get(&vif).copied() else { return };
        for (&ip, _) in self.plain.iter().filter(|(_, of)| **of == vif.0) {
            let address = IpAddr::V4(Ipv4Addr::new(198, 51, 100, ip));
            if d.vifs[&vif].egress.is_none() {
                let egress = Some(Egress { vrf: VRFS[1], address });
                d.vifs.insert(vif, VifEntry { egress, ..entry });
            }
            if ip != 2 {
                d.plain.insert(PlainKey { vif, address }, pod);
                let hop = Hop { next_hop: entry.next_hop, label: None };
                d.routes.insert((VRFS[1], address), RouteTarget::Hop(hop));
            }
        }
    }

    fn service(
        &self,
        d: &mut Desired,
        vip: u8,
        backends: &BTreeMap<u8, Backend>,
        port: u8,
        hops: &BTreeMap<u8, Hop>,
        here: &BTreeMap<u8, VifId>,
    ) {
        let protocol = if vip.is_multiple_of(2) { Protocol::Tcp } else { Protocol::Udp };
        let member = |(pod, backend): (&u8, &Backend)| {
            let draining = backend.draining;
            let known = pod % 4 != 0;
            Some(GroupMember {
                hop: *hops.get(pod)?,
                pod: known.then_some(pod_ip(*pod)),
                draining,
                port: None,
            })
        };
        let mut members: Vec<GroupMember> = backends.iter().filter_map(member).collect();
        members.sort();
        members.dedup_by_key(|member| member.hop);
        if !self.unserved.contains(&vip) {
            let ports = [(protocol, 8000 + u16::from(port / 2))];
            d.services.insert(vip_ip(vip), Arc::new(ports.into()));
        }
        for (pod, backend) in backends {
            if let Some(&vif) = here.get(pod)
                && !backend.unmapped
            {
                let port = 8000 + u16::from(port / 2);
                let key = FipKey { vif, protocol, address: vip_ip(vip), port };
                d.fip.insert(key, FipTarget { address: pod_ip(*pod), port: 80 + port % 2 });
            }
        }
        if listens(vip) {
            return self.listeners(d, (vip, protocol, port), members, &Known { hops, here });
        }
        for vrf in VRFS.iter().copied().filter(|_| !self.unrouted.contains(&vip)) {
            let target =
                if let (Some(member), true) = (members.first(), self.proxied.contains(&vip)) {
                    RouteTarget::Hop(member.hop)
                } else if members.is_empty() {
                    let silent = vip.is_multiple_of(3);
                    let next_hop = if silent { NextHopKey::Discard } else { NextHopKey::Reject };
                    RouteTarget::Hop(Hop { next_hop, label: None })
                } else {
                    RouteTarget::Group(Arc::new(Group {
                        members: members.clone(),
                        hash_fields: 0x1f,
                        affinity_seconds: 0,
                    }))
                };
            d.routes.insert((vrf, vip_ip(vip)), target);
        }
    }
}

fn pod_ip(pod: u8) -> IpAddr {
    Ipv4Addr::new(10, 47, 255, 1 + pod).into()
}

fn vip_ip(vip: u8) -> IpAddr {
    Ipv4Addr::new(10, 96, 0, 1 + vip).into()
}

fn node_ip(node: u8) -> IpAddr {
    Ipv4Addr::new(10, 169, 25, 1 + node).into()
}

fn mac(octet: u8) -> MacAddr {
    MacAddr([2, 0, 0, 0, 0, octet])
}

fn spec(octet: u8) -> NextHopSpec {
    NextHopSpec { dmac: mac(octet), smac: mac(99), source: Some(node_ip(200)) }
}

/// Shapes from one that has room for everything to one that has none.
fn shape(tightness: u8) -> Shape {
    let roomy = Shape {
        next_hops: 64,
        ecmp_words: 1024,
        host_route_rows_log2: 4,
        fip_key_rows_log2: 4,
        fip_maps: 64,
        service_key_rows_log2: 3,
        tunnel_source_rows_log2: 4,
        ecmp_group_max: 16,
        ..Shape::default()
    };
    match tightness % 6 {
        0 => roomy,
        1 => Shape { ecmp_words: 96, ..roomy },
        2 => Shape { next_hops: 14, ..roomy },
        3 => Shape { host_route_rows_log2: 2, service_key_rows_log2: 0, ..roomy },
        4 => Shape { fip_maps: 8, fip_key_rows_log2: 1, ..roomy },
        _ => Shape {
            ecmp_words: 120,
            next_hops: 18,
            host_route_rows_log2: 2,
            fip_maps: 12,
            tunnel_source_rows_log2: 0,
            ecmp_group_max: 4,
            prefix_rows_log2: 0,
            ..roomy
        },
    }
}

/// Who each slot of each group of the card stood for under which generation: a pin must never lead to two different members. What
/// was given back for want of room, or with the group, is forgotten.
#[derive(Default)]
struct Pins(BTreeMap<(u32, u32), BTreeMap<u8, Hop>>);

impl Pins {
    fn check(&mut self, card: &Tables) -> Result<(), String> {
        let next_hops = card.of::<NextHop>();
        let slots = |id: u32| {
            let nh = next_hops.at(id);
            if words::is_composite(&nh) { u32::from(nh.slots) } else { 0 }
        };
        self.0.retain(|&(id, slot), _| slot < slots(id));
        for (id, nh) in next_hops.iter().filter(|(_, nh)| words::is_composite(nh)) {
            for slot in 0..u32::from(nh.slots) {
                let Some(word) = card.ring_word(nh.base, slot).filter(|word| word.valid) else {
                    continue;
                };
                let next_hop = words::next_hop_key(&next_hops.at(word.nh.into()));
                let label = words::member_label(word);
                let label = (label != 0).then_some(MplsLabel(label));
                let hop = Hop { next_hop: next_hop.unwrap_or_default(), label };
                let known = self.0.entry((id, slot)).or_default();
                let known = *known.entry(word.generation).or_insert(hop);
                if known != hop {
                    let pin = (id, slot, word.generation);
                    return Err(format!("pin {pin:?} led to {known:?} and now to {hop:?}"));
                }
            }
        }
        Ok(())
    }
}

/// Edits, and after which operation of the plan for one it breaks off.
fn run(tightness: u8, edits: &[(Edit, Option<usize>)]) -> Result<(), TestCaseError> {
    let mut card = Tables::new(shape(tightness));
    let mut planner = Planner::new(card.clone());
    let mut pins = Pins::default();
    let mut world = World::default();
    for (step, &(edit, interrupted)) in edits.iter().enumerate() {
        world.edit(edit);
        let desired = world.desired();
        let planned = planner.plan(&desired);
        prop_assert_eq!(&planned, &plan(&desired, &card), "step {}", step);
        for (n, op) in planned.plan.ops().take(interrupted.unwrap_or(usize::MAX)).enumerate() {
            card.apply(op);
            let sound = sound::check_between(&card, &planned.plan, planner.tables()).and_then(
                |()| match op {
                    Op::Write { entry: Entry::NextHop(_) | Entry::Ecmp(_), .. } => {
                        pins.check(&card)
                    }
                    _ => Ok(()),
                },
            );
            if let Err(fault) = sound {
                return Err(TestCaseError::fail(format!(
                    "step {step}, after operation {n} {op:?}: {fault}\n{:#?}",
                    planned.plan
                )));
            }
        }
        if interrupted.is_some() {
            planner = Planner::new(card.clone());
            continue;
        }
        prop_assert_eq!(planner.tables(), &card);
        sound::no_leftovers(&card).map_err(TestCaseError::fail)?;
        sound::only_wanted(&card, &desired).map_err(TestCaseError::fail)?;
        affinity::check(&card, &desired).map_err(TestCaseError::fail)?;
        if planned.refused.is_empty() {
            let again = planner.audit(&desired);
            prop_assert!(again.plan.is_empty(), "not settled: {:?}", again.plan);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(cases(64))]

    #[test]
    fn what_changed_is_all_that_has_to_be_looked_at(
        tightness in any::<u8>(), edits in vec((any::<Edit>(), Just(None)), 1..100)
    ) {
        run(tightness, &edits)?;
    }

    #[test]
    fn plans_that_break_off_on_small_cards_are_taken_up(
        tightness in any::<u8>(),
        edits in vec((any::<Edit>(), weighted(0.2, 0_usize..20)), 1..60)
    ) {
        run(tightness, &edits)?;
    }
}

/// A floating IP is refused, a plan that takes one of its members out in place breaks off when the member's live word is another's
/// already, and then the member is wanted again.
#[test]
fn a_word_given_to_another_by_a_plan_that_broke_off_is_given_back() {
    let edits = [
        ((109, 164, 15, 1), None),
        ((80, 86, 15, 26), None),
        ((24, 62, 14, 20), None),
        ((16, 236, 25, 0), Some(4)),
        ((0, 12, 0, 0), None),
    ];
    run(0, &edits).unwrap();
}
