//! Pairs by number, their statistics, and who may make them.
#![allow(clippy::unwrap_used)]

mod world;

use penstock_abi::reason::DropReason;
use penstock_abi::table::{
    Flow, FlowStats, LearnPolicy, TCP_FIN, TCP_RST, TCP_SYN, TableEntry as _, TableId, Vif,
};
use penstock_refmodel::insert::Inserted;
use penstock_refmodel::packet::{self, frame};
use penstock_refmodel::wire::{ACK, FIN, RST, SYN};
use penstock_refmodel::{Egress, Ingress, Outcome, RefModel};
use world::*;

fn to_service(b: &mut RefModel, flags: u8) -> Outcome {
    b.process(Ingress::Fabric, &from_a(25, &packet::tcp(CLIENT, VIP, 40000, 8888, flags, b"")))
}

fn from_backend(b: &mut RefModel, flags: u8) -> Outcome {
    b.process(Ingress::Host(3), &frame(&packet::tcp(BACKEND, CLIENT, 80, 40000, flags, b"")))
}

fn entries(b: &RefModel) -> [Flow; 2] {
    let all: Vec<Flow> = b.flows().iter().map(|(_, f)| *f).collect();
    let of = |reverse| all.iter().copied().find(|f| f.reverse == reverse).unwrap();
    [of(false), of(true)]
}

fn stats(b: &RefModel) -> [FlowStats; 2] {
    entries(b).map(|f| b.flows().stats(&f.key()).unwrap())
}

fn set_policy(b: &mut RefModel, number: u8, learn: LearnPolicy) {
    let vif = Vif { learn, ..b.tables().vif(number) };
    b.write(TableId::Vif, number.into(), &vif.pack());
}

#[test]
fn a_pair_that_is_replaced_is_a_new_one_and_begins_at_zero() {
    let mut b = node_b();
    to_service(&mut b, SYN);
    from_backend(&mut b, SYN | ACK);
    to_service(&mut b, RST);
    let [forward, reverse] = entries(&b);
    assert_eq!((forward.pair, forward.reverse), (reverse.pair, false));
    assert_eq!(stats(&b).map(|s| (s.packets, s.tcp)), [(2, TCP_SYN | TCP_RST), (1, TCP_SYN)]);
    assert_eq!(to_service(&mut b, SYN).inserted, Some(Inserted::Repinned));
    let [after, back] = entries(&b);
    assert_eq!((after.pair, after.reverse), (back.pair, false));
    assert_ne!(after.pair, forward.pair);
    assert_eq!(stats(&b).map(|s| (s.packets, s.tcp)), [(1, TCP_SYN), (0, 0)]);
}

#[test]
fn an_index_deletes_both_and_leaves_nothing_behind() {
    let mut b = node_b();
    to_service(&mut b, SYN);
    to_service(&mut b, FIN | ACK);
    for pick in [0, 1] {
        let (index, _) = b.flows().iter().nth(pick).unwrap();
        assert!(b.write(TableId::Flow, index, &[0; 12]) && b.flows().is_empty());
        to_service(&mut b, SYN);
        assert_eq!(stats(&b).map(|s| (s.packets, s.tcp & TCP_FIN)), [(1, 0), (0, 0)]);
    }
}

/// A re-pin keeps what was counted in its direction, unless that was the other one: the roles are exchanged.
#[test]
fn statistics_stay_with_a_direction() {
    let mut b = node_b();
    // The backend speaks first, to a port from which it is called later by the service's address.
    let first = frame(&packet::udp(BACKEND, CLIENT, 80, 40000, b"first"));
    sent(b.process(Ingress::Host(3), &first), Egress::Fabric);
    sent(b.process(Ingress::Host(3), &first), Egress::Fabric);
    let [forward, reverse] = entries(&b);
    assert_eq!(stats(&b).map(|s| s.packets), [2, 0]);
    let reply = from_a(24, &packet::udp(CLIENT, BACKEND, 40000, 80, b""));
    sent(b.process(Ingress::Fabric, &reply), Egress::Host(3));
    assert_eq!(stats(&b).map(|s| s.packets), [2, 1]);
    assert_eq!(entries(&b).map(|f| f.generation), [forward.generation, reverse.generation]);
}

#[test]
fn who_makes_no_flows_is_routed_and_not_translated() {
    use LearnPolicy::{Always, Never, Translated, Undefined};
    let plain = from_a(24, &packet::udp(CLIENT, BACKEND, 40001, 9000, b""));
    for (policy, plain_flows, bound) in
        [(Always, 2, true), (Undefined(3), 2, true), (Translated, 0, true), (Never, 0, false)]
    {
        let mut b = node_b();
        set_policy(&mut b, 3, policy);
        sent(b.process(Ingress::Fabric, &plain), Egress::Host(3));
        assert_eq!(b.flows().len(), plain_flows, "{policy:?}");
        let outcome = to_service(&mut b, SYN);
        if bound {
            sent(outcome, Egress::Host(3));
            assert_eq!(b.flows().len(), plain_flows + 2, "{policy:?}");
        } else {
            dropped(outcome, DropReason::LearnOff);
        }
    }
}

/// By a group without translation here: the packet is bound to a member, so it needs a pair.
#[test]
fn a_policy_is_that_of_the_vif_by_which_a_packet_comes() {
    let call = frame(&packet::udp(CLIENT, VIP, 40000, 8888, b""));
    let mut a = node_a();
    set_policy(&mut a, 3, LearnPolicy::Never);
    dropped(a.process(Ingress::Host(3), &call), DropReason::LearnOff);
    // Flows that are there go on.
    set_policy(&mut a, 3, LearnPolicy::Translated);
    sent(a.process(Ingress::Host(3), &call), Egress::Fabric);
    set_policy(&mut a, 3, LearnPolicy::Never);
    sent(a.process(Ingress::Host(3), &call), Egress::Fabric);
    assert_eq!(stats(&a).map(|s| s.packets), [2, 0]);
}
