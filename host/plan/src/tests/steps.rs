//! Single steps, read operation by operation.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use penstock_abi::table::{
    EcmpSlot, FipKey as FipKeyWord, FipMap, HostRoute, LearnPolicy, NextHop, TableId, VifKind,
};
use penstock_compile::{
    Desired, FipKey, FipTarget, Group, GroupMember, Hop, NextHopKey, NextHopSpec, RouteTarget,
    VifEntry,
};
use penstock_model::{MacAddr, MplsLabel, Protocol, VifId, VrfId};
use penstock_tables::{Op, Stored, Tables};

use super::{bits, ops, sound};

const VRF: VrfId = VrfId(2);
const VIP: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 105, 139, 153));
const NODE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 169, 25, 21));

fn pod(last: u8) -> IpAddr {
    Ipv4Addr::new(10, 47, 255, last).into()
}

/// A node with tunnels to pods on cent333, and the chapter's service in front of them.
fn with_members(members: &[u8]) -> Desired {
    let mut d = Desired::default();
    let spec = NextHopSpec { dmac: MacAddr([2; 6]), smac: MacAddr([4; 6]), source: Some(NODE) };
    d.next_hops.insert(NextHopKey::Discard, NextHopSpec::default());
    d.next_hops.insert(NextHopKey::TunnelUdp(NODE), spec);
    let hop = |last: u8| Hop {
        next_hop: NextHopKey::TunnelUdp(NODE),
        label: Some(MplsLabel(u32::from(last) + 16)),
    };
    let member = |last: u8| GroupMember {
        hop: hop(last),
        pod: Some(pod(last)),
        draining: false,
        port: None,
    };
    let group: Vec<_> = members.iter().map(|last| member(*last)).collect();
    for last in members {
        d.routes.insert((VRF, pod(*last)), RouteTarget::Hop(hop(*last)));
    }
    let group = RouteTarget::Group(Arc::new(Group {
        members: group,
        hash_fields: 0x1f,
        affinity_seconds: 0,
    }));
    d.routes.insert((VRF, VIP), group);
    d
}

/// A node with one pod, and floating-IP mappings for `ports`.
fn with_ports(ports: impl Iterator<Item = u16>, target: u16) -> Desired {
    let mut d = Desired::default();
    let next_hop = NextHopKey::Encap(VifId(3));
    d.next_hops.insert(NextHopKey::Discard, NextHopSpec::default());
    d.next_hops.insert(next_hop, NextHopSpec { dmac: MacAddr([2; 6]), ..NextHopSpec::default() });
    d.vifs.insert(
        VifId(3),
        VifEntry {
            kind: VifKind::Virtual,
            vrf: VRF,
            mac: MacAddr([2; 6]),
            address: Some(pod(1)),
            rpf: true,
            next_hop,
            learn: LearnPolicy::Always,
            egress: None,
        },
    );
    for port in ports {
        let key = FipKey { vif: VifId(3), protocol: Protocol::Tcp, address: VIP, port };
        d.fip.insert(key, FipTarget { address: pod(1), port: target });
    }
    d
}

fn bring(card: &mut Tables, desired: &Desired) -> Vec<Op> {
    let ops = ops(desired, card);
    for op in &ops {
        card.apply(op);
        sound::check(card).unwrap();
    }
    assert_eq!(sound::decode(card), *desired);
    ops
}

/// Table and word of each write, `None` for a fence.
fn writes(ops: &[Op]) -> Vec<Option<TableId>> {
    ops.iter()
        .map(|op| match op {
            Op::Write { entry, .. } => Some(entry.table()),
            Op::Fence | Op::Forget { .. } => None,
        })
        .collect()
}

fn word<E: Stored>(op: &Op) -> E {
    match op {
        Op::Write { entry, .. } => entry.get().unwrap(),
        Op::Fence | Op::Forget { .. } => panic!("{op:?} has no word"),
    }
}

#[test]
fn a_member_that_leaves_is_one_flip() {
    let mut card = Tables::default();
    bring(&mut card, &with_members(&[1, 2, 3]));
    let ops = bring(&mut card, &with_members(&[1, 3]));
    use TableId::{Ecmp, HostRoute, NextHop as Nh};
    let mut expected = vec![Some(Ecmp); 3 + 2];
    expected.extend([Some(Nh), None, Some(HostRoute), None]);
    expected.extend([Some(Ecmp); 6]);
    assert_eq!(writes(&ops), expected);
    let slots: Vec<EcmpSlot> = ops[..3].iter().map(word).collect();
    assert_eq!(slots.iter().map(|s| s.valid).collect::<Vec<_>>(), [true, false, true]);
    assert_ne!(slots[1].generation, 0);
    let flip: NextHop = word(&ops[5]);
    assert_eq!((flip.slots, flip.live), (3, 2));
    // And one that comes takes the place under the next generation.
    let ops = bring(&mut card, &with_members(&[1, 3, 4]));
    let filled: EcmpSlot = word(&ops[1]);
    assert_eq!((filled.valid, filled.label, filled.slot), (true, 20, 1));
    assert_eq!(filled.generation, slots[1].generation + 1);
}

#[test]
fn nothing_to_do_is_nothing_done() {
    let mut card = Tables::default();
    bring(&mut card, &with_members(&[1, 2]));
    assert!(bring(&mut card, &with_members(&[1, 2])).is_empty());
}

#[test]
fn a_new_mac_is_one_write() {
    let mut card = Tables::default();
    bring(&mut card, &with_members(&[1, 2]));
    let mut moved = with_members(&[1, 2]);
    let tunnel = NextHopKey::TunnelUdp(NODE);
    moved.next_hops.get_mut(&tunnel).unwrap().dmac = MacAddr([6; 6]);
    assert_eq!(writes(&bring(&mut card, &moved)), [Some(TableId::NextHop)]);
}

#[test]
fn a_new_target_port_is_a_new_mapping() {
    let mut card = Tables::default();
    bring(&mut card, &with_ports([8888].into_iter(), 80));
    let ops = bring(&mut card, &with_ports([8888].into_iter(), 90));
    use TableId::{FipKey, FipMap as Map};
    let key = Some(FipKey);
    // The new target's mark comes before the key that needs it, the old one's goes after the mapping that needed it.
    assert_eq!(writes(&ops), [Some(Map), key, key, None, Some(Map), key]);
    let mark: FipKeyWord = word(&ops[1]);
    assert_eq!((mark.ip, mark.port), (bits(pod(1)), 90));
    let (new, key, old): (FipMap, FipKeyWord, FipMap) =
        (word(&ops[0]), word(&ops[2]), word(&ops[4]));
    assert_eq!((new.pod_port, key.map), (90, 2));
    assert_eq!((old.valid, old.pod_ip), (true, 0));
    // Gone and back again: never under a generation that a flow may have.
    let ops = bring(&mut card, &with_ports([].into_iter(), 0));
    let marks = [Some(FipKey); 2];
    assert_eq!(writes(&ops), [&[Some(FipKey), None, Some(Map)], &marks[..]].concat());
}

#[test]
fn reused_mappings_have_new_generations() {
    let mut card = Tables::default();
    for (round, target) in [80, 90, 80].into_iter().enumerate() {
        bring_fast(&mut card, &with_ports(1..=16_000, target));
        let map = card.of::<FipMap>().at(5);
        assert_eq!((map.pod_port, usize::from(map.generation)), (target, round + 1));
    }
}

#[test]
fn a_swap_that_does_not_fit_twice_is_done_in_two_steps() {
    let mut card = Tables::default();
    bring_fast(&mut card, &with_ports(1..=12_000, 80));
    bring_fast(&mut card, &with_ports(20_000..=32_000, 80));
}

#[test]
fn rings_are_replaced_even_when_all_do_not_fit_twice() {
    let mut card = Tables::default();
    let many = |members: &[u8]| {
        let mut d = with_members(members);
        let group = d.routes[&(VRF, VIP)].clone();
        for n in 0..600 {
            d.routes.insert((VRF, IpAddr::V4(Ipv4Addr::from(0x0b00_0000 + n))), group.clone());
        }
        d
    };
    let most: Vec<u8> = (1..=40).collect();
    bring_fast(&mut card, &many(&most));
    bring_fast(&mut card, &many(&most[1..]));
}

/// As `bring`, looking at the card at fences only: it is large.
fn bring_fast(card: &mut Tables, desired: &Desired) {
    for op in ops(desired, card) {
        if op == Op::Fence {
            sound::check(card).unwrap();
        }
        card.apply(&op);
    }
    sound::check(card).unwrap();
    assert_eq!(sound::decode(card), *desired);
}

/// Not a state that a plan leaves, but one that a card may be found in.
#[test]
fn routes_that_share_a_group_are_given_one_each() {
    let mut card = Tables::default();
    let mut d = with_members(&[1, 2]);
    let other = IpAddr::V4(Ipv4Addr::new(10, 101, 102, 27));
    let group = d.routes[&(VRF, VIP)].clone();
    d.routes.insert((VRF, other), group);
    bring(&mut card, &d);
    let first = card.find::<HostRoute>((VRF.0, bits(VIP))).unwrap().1.nh;
    let (index, route) = card.find::<HostRoute>((VRF.0, bits(other))).unwrap();
    let shared = HostRoute { nh: first, ..*route };
    card.put(index, shared);
    assert!(sound::check(&card).is_err());
    ops(&d, &card).iter().for_each(|op| card.apply(op));
    sound::check(&card).unwrap();
    sound::no_leftovers(&card).unwrap();
    assert_eq!(sound::decode(&card), d);
}
