//! What has no room, or cannot be said to this card, is refused by name; the rest is served, and what the card has of it stays
//! only as far as it is true.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use penstock_abi::table::{self, EcmpSlot, HostRoute, NextHop, NextHopKind, VifKind};
use penstock_compile::{
    Desired, FipKey, FipTarget, Group, GroupMember, Hop, NextHopKey, NextHopSpec, RouteTarget,
    VifEntry,
};
use penstock_model::{MacAddr, MplsLabel, Protocol, Reason, VifId, VrfId};
use penstock_tables::{Shape, Tables};

use super::{bits, sound};
use crate::{Planned, Planner, What, plan};

const VRF: VrfId = VrfId(2);
const NODE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 169, 25, 21));
const VIF: VifId = VifId(8);
/// The pod behind [`VIF`]; all others are on another node.
const LOCAL: u8 = 200;

fn pod(last: u8) -> IpAddr {
    Ipv4Addr::new(10, 47, 255, last).into()
}

fn vip(last: u8) -> IpAddr {
    Ipv4Addr::new(10, 96, 0, last).into()
}

fn hop(last: u8) -> Hop {
    if last == LOCAL {
        return Hop { next_hop: NextHopKey::Encap(VIF), label: None };
    }
    let label = Some(MplsLabel(u32::from(last) + 16));
    Hop { next_hop: NextHopKey::TunnelUdp(NODE), label }
}

/// A node that reaches `pods`.
fn reaches(pods: &[u8]) -> Desired {
    let mut d = Desired::default();
    let spec = NextHopSpec { dmac: MacAddr([2; 6]), ..NextHopSpec::default() };
    for key in [NextHopKey::Discard, NextHopKey::Reject] {
        d.next_hops.insert(key, NextHopSpec::default());
    }
    d.next_hops.insert(NextHopKey::TunnelUdp(NODE), NextHopSpec { source: Some(NODE), ..spec });
    for &last in pods {
        d.routes.insert((VRF, pod(last)), RouteTarget::Hop(hop(last)));
    }
    if pods.contains(&LOCAL) {
        d.next_hops.insert(NextHopKey::Encap(VIF), spec);
        let entry = VifEntry {
            kind: VifKind::Virtual,
            vrf: VRF,
            mac: spec.dmac,
            address: Some(pod(LOCAL)),
            rpf: true,
            next_hop: NextHopKey::Encap(VIF),
        };
        d.vifs.insert(VIF, entry);
    }
    d
}

/// Adds a service.
fn serve(d: &mut Desired, address: IpAddr, members: &[u8]) {
    let member = |&last| GroupMember { hop: hop(last), pod: Some(pod(last)), draining: false };
    let mut members: Vec<_> = members.iter().map(member).collect();
    members.sort();
    let target = if members.is_empty() {
        RouteTarget::Hop(Hop { next_hop: NextHopKey::Reject, label: None })
    } else {
        RouteTarget::Group(Arc::new(Group { members, hash_fields: 0x1f }))
    };
    d.routes.insert((VRF, address), target);
    d.services.insert(address, Arc::new([(Protocol::Tcp, 80)].into()));
}

fn map(d: &mut Desired, address: IpAddr, port: u16) {
    let key = FipKey { vif: VIF, protocol: Protocol::Tcp, address, port };
    d.fip.insert(key, FipTarget { address: pod(LOCAL), port: 8080 });
}

/// A card and its planner.
struct Bench {
    card: Tables,
    planner: Planner,
}

impl Bench {
    fn new(shape: Shape) -> Self {
        let card = Tables::new(shape);
        Self { planner: Planner::new(card.clone()), card }
    }

    /// Plans and executes, looking at the card after each operation. Who is refused, and why.
    fn bring(&mut self, desired: &Desired) -> Vec<(What, Reason)> {
        let planned = self.planner.plan(desired);
        assert_eq!(planned, plan(desired, &self.card), "what changed is all that is looked at");
        self.execute(&planned);
        planned.refused.into_iter().map(|refusal| (refusal.what, refusal.reason)).collect()
    }

    fn execute(&mut self, planned: &Planned) {
        for op in planned.plan.ops() {
            self.card.apply(op);
            sound::check(&self.card).unwrap();
        }
        sound::no_leftovers(&self.card).unwrap();
        assert_eq!(self.planner.tables(), &self.card);
    }

    fn route(&self, address: IpAddr) -> Option<HostRoute> {
        self.card.find::<HostRoute>((VRF.0, bits(address))).map(|(_, route)| *route)
    }

    fn group(&self, address: IpAddr) -> Option<NextHop> {
        let nh = *self.card.get::<NextHop>(self.route(address)?.nh.into())?;
        (nh.kind == NextHopKind::Composite).then_some(nh)
    }

    fn words(&self, address: IpAddr) -> Vec<EcmpSlot> {
        let nh = self.group(address).unwrap();
        let words = 0..u32::from(nh.slots) + u32::from(nh.live);
        words.map(|n| self.card.ring_word(nh.base, n).copied().unwrap_or_default()).collect()
    }

    /// Labels of a group's slots, 0 for a hole; then those of the list of who gets new flows.
    fn labels(&self, address: IpAddr) -> (Vec<u32>, Vec<u32>) {
        let slots = usize::from(self.group(address).unwrap().slots);
        let labels: Vec<u32> = self.words(address).iter().map(|word| word.label).collect();
        (labels[..slots].to_vec(), labels[slots..].to_vec())
    }
}

fn full(table: &str, capacity: u32) -> Reason {
    Reason::TableFull { table: table.to_owned(), capacity }
}

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
    assert!(bench.route(vip(1)).unwrap().own);
    let mut last = state(&[3], &[3]);
    serve(&mut last, vip(1), &[3, LOCAL]);
    last.routes.remove(&(VRF, pod(LOCAL)));
    let refused = bench.bring(&last);
    assert!(refused.iter().any(|(what, _)| *what == name(1)), "{refused:?}");
    let group = bench.group(vip(1)).unwrap();
    assert_eq!((group.slots, group.live), (3, 0), "new flows are dropped");
    assert!(!bench.route(vip(1)).unwrap().own);
    assert!(bench.card.get::<table::Vif>(VIF.0.into()).is_none());
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

/// These pods.
fn all(lasts: impl IntoIterator<Item = u8>) -> Arc<BTreeSet<IpAddr>> {
    Arc::new(lasts.into_iter().map(pod).collect())
}

#[test]
fn what_the_compiler_refuses_keeps_what_is_true() {
    let mut bench = Bench::new(Shape::default());
    let mut served = reaches(&[1, 2, 3, LOCAL]);
    serve(&mut served, vip(1), &[1, 2, LOCAL]);
    map(&mut served, vip(1), 80);
    bench.bring(&served);
    let refuse = |pods: &[u8]| {
        let mut d = reaches(pods);
        d.refused.insert(vip(1), all([1, 2, 3, LOCAL]));
        d
    };
    let (words, maps) = (bench.words(vip(1)), bench.card.of::<table::FipMap>().clone());
    // Nothing is known of it any more, and nothing changes.
    let refused = refuse(&[1, 2, 3, LOCAL]);
    assert!(bench.planner.plan(&refused).plan.is_empty());
    // Whatever is said all the same, nobody is added and nobody removed.
    let mut more = refuse(&[1, 2, 3, LOCAL]);
    serve(&mut more, vip(1), &[1, 3]);
    map(&mut more, vip(1), 81);
    assert!(bench.planner.plan(&more).plan.is_empty());
    assert_eq!(bench.bring(&refused), []);
    assert_eq!(bench.words(vip(1)), words);
    // Who is gone goes.
    bench.bring(&refuse(&[1, LOCAL]));
    assert_eq!(bench.labels(vip(1)), (vec![0, 17, 0], vec![0, 17, 0]));
    assert_eq!(bench.card.of::<table::FipMap>(), &maps);
    let mut other = refuse(&[1, LOCAL]);
    other.vifs.get_mut(&VIF).unwrap().mac = MacAddr([6; 6]);
    bench.bring(&other);
    assert_eq!(bench.labels(vip(1)), (vec![0, 17, 0], vec![17, 17, 17]));
    assert!(bench.card.of::<table::FipKey>().is_empty(), "another pod is at that vif");
    // Served again, under another generation.
    let mut again = reaches(&[1, 2, 3, LOCAL]);
    serve(&mut again, vip(1), &[1, 2]);
    assert_eq!(bench.bring(&again), []);
    assert_eq!(bench.labels(vip(1)).1, [18, 17]);
    // Refused from the start, it has nothing to keep.
    let mut none = refuse(&[1]);
    none.refused.insert(vip(9), all([1]));
    serve(&mut none, vip(9), &[1]);
    bench.bring(&none);
    assert_eq!(bench.route(vip(9)), None);
}

/// The address passes to a younger owner for whom there is no room; then that one's backends change.
#[test]
fn what_the_compiler_refuses_serves_nobody_who_is_not_wanted() {
    let mut bench = Bench::new(Shape::default());
    let mut served = reaches(&[1, 2, 3, LOCAL]);
    serve(&mut served, vip(1), &[1, 2, 3, LOCAL]);
    map(&mut served, vip(1), 80);
    bench.bring(&served);
    assert_eq!(bench.labels(vip(1)), (vec![0, 17, 18, 19], vec![0, 17, 18, 19]));
    let mut refuse = |lasts: &[u8]| {
        let mut d = reaches(&[1, 2, 3, 4, LOCAL]);
        d.refused.insert(vip(1), all(lasts.iter().copied()));
        assert_eq!(bench.bring(&d), []);
        sound::only_wanted(&bench.card, &d).unwrap();
        (bench.labels(vip(1)), bench.card.of::<table::FipKey>().len())
    };
    // One of the new owner's is not there yet, and does not come; the local one's mapping and its marks go with it.
    assert_eq!(refuse(&[1, 2, 4, LOCAL]), ((vec![0, 17, 18, 0], vec![0, 17, 18, 0]), 3));
    assert_eq!(refuse(&[2, 4]), ((vec![0, 0, 18, 0], vec![18, 18, 18, 18]), 0));
    assert_eq!(refuse(&[1, 2]), ((vec![0, 0, 18, 0], vec![18, 18, 18, 18]), 0));
    assert_eq!(refuse(&[]), ((vec![0, 0, 0, 0], vec![]), 0));
    let group = bench.group(vip(1)).unwrap();
    assert_eq!(group.live, 0, "new flows are dropped");
}

/// A floating IP that leads to one pod, as a proxy's does.
#[test]
fn one_hop_of_what_the_compiler_refuses_stays_while_it_is_wanted() {
    let mut bench = Bench::new(Shape::default());
    let mut served = reaches(&[1, 2]);
    served.routes.insert((VRF, vip(1)), RouteTarget::Hop(hop(1)));
    bench.bring(&served);
    let mut refuse = |pods: &[u8], wanted: &[u8]| {
        let mut d = reaches(pods);
        d.refused.insert(vip(1), all(wanted.iter().copied()));
        bench.bring(&d);
        bench.route(vip(1)).map(|route| route.label)
    };
    assert_eq!(refuse(&[1, 2], &[1, 2]), Some(17));
    assert_eq!(refuse(&[1, 2], &[2]), None);
}

/// The card has no place for the route of a pod, so only what is desired says whom a member's hop leads to.
#[test]
fn what_is_refused_is_looked_at_when_a_pod_without_a_place_moves() {
    // Eight places.
    let mut bench = Bench::new(Shape { host_route_rows_log2: 0, ..Shape::default() });
    let others: Vec<u8> = (1..=7).collect();
    let mut d = reaches(&others);
    serve(&mut d, vip(1), &[1]);
    bench.bring(&d);
    d.routes.insert((VRF, pod(8)), RouteTarget::Hop(hop(8)));
    serve(&mut d, vip(1), &[1, 8]);
    let refused = bench.bring(&d);
    assert_eq!(
        refused.iter().map(|(what, _)| *what).collect::<Vec<_>>(),
        [What::Route(VRF, pod(8))]
    );
    d.routes.remove(&(VRF, vip(1)));
    d.services.clear();
    d.refused.insert(vip(1), all([1, 8]));
    bench.bring(&d);
    assert_eq!(bench.labels(vip(1)).0, [17, 24]);
    d.routes.insert((VRF, pod(8)), RouteTarget::Hop(hop(9)));
    bench.bring(&d);
    assert_eq!(bench.labels(vip(1)).0, [17, 0]);
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
        penstock_compile::LabelEntry { next_hop: NextHopKey::Encap(VIF), vrf: VRF },
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
