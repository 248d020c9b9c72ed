//! A group of as many members as a card has slots for.
#![allow(clippy::unwrap_used)]

mod world;

use std::collections::BTreeSet;

use penstock_abi::hash::{FIELD_ALL, member_hash, scale};
use penstock_abi::limits::ECMP_GROUP_MAX;
use penstock_abi::table::{EcmpSlot, TableEntry as _, TableId};
use penstock_refmodel::packet::{self, frame};
use penstock_refmodel::{Egress, Ingress, RefModel};
use world::*;

/// Label under which a packet of the client leaves, by its source port.
fn label(node: &mut RefModel, port: u16) -> u32 {
    let frame = frame(&packet::udp(CLIENT, VIP, port, 8888, b""));
    u32_at(&sent(node.process(Ingress::Host(3), &frame), Egress::Fabric), 42) >> 12
}

#[test]
fn every_slot_is_found_by_hash_and_by_flow() {
    let mut node = node_a_with_group(&vec![Some(false); ECMP_GROUP_MAX as usize]);
    let mut seen = BTreeSet::new();
    let ports = 1000..9000;
    for port in ports.clone() {
        let key = key(NH_CLIENT, 17, CLIENT, VIP, port, 8888);
        let slot = scale(member_hash(&key, FIELD_ALL), ECMP_GROUP_MAX);
        assert_eq!(label(&mut node, port), 100 + slot);
        let flow = node.flows().get(&key).unwrap();
        assert_eq!((flow.ecmp_valid, u32::from(flow.ecmp_slot)), (true, slot));
        seen.insert(slot);
    }
    assert!(seen.len() > 1000 && seen.last() >= Some(&1000), "{} slots", seen.len());
    // All that drain keep what they have; what is new goes to those that are left.
    for n in 1..ECMP_GROUP_MAX {
        let (slot, nh) = (n as u16, NH_TUNNEL);
        let word =
            EcmpSlot { valid: true, drain: true, nh, label: 100 + n, slot, ..EcmpSlot::default() };
        assert!(node.write(TableId::Ecmp, 400 + n, &word.pack()));
    }
    let first = EcmpSlot { valid: true, nh: NH_TUNNEL, label: 100, ..EcmpSlot::default() };
    for n in 0..ECMP_GROUP_MAX {
        assert!(node.write(TableId::Ecmp, 400 + ECMP_GROUP_MAX + n, &first.pack()));
    }
    for port in ports {
        let key = key(NH_CLIENT, 17, CLIENT, VIP, port, 8888);
        let pinned = node.flows().get(&key).unwrap().ecmp_slot;
        assert_eq!(label(&mut node, port), 100 + u32::from(pinned));
    }
    assert!((9000..9100).all(|port| label(&mut node, port) == 100));
}
