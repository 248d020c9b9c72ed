//! What the far end sends before the packet to which it is a reply: it must not keep a client from a service.

mod world;

use penstock_abi::limits::SOURCES_KNOWN;
use penstock_abi::reason::{CardCounter, DropReason};
use penstock_abi::table::*;
use penstock_refmodel::insert::Inserted;
use penstock_refmodel::packet::{self, frame};
use penstock_refmodel::wire::SYN;
use penstock_refmodel::{Egress, Ingress};
use world::*;

/// A datagram of the remote client to the service, and one of the backend to the client.
fn datagrams() -> (Vec<u8>, Vec<u8>) {
    let there = from_a(25, &packet::udp(CLIENT, VIP, 40000, 8888, b"ask"));
    (there, frame(&packet::udp(BACKEND, CLIENT, 80, 40000, b"told")))
}

#[test]
fn a_datagram_of_the_backend_before_the_first_request_does_not_keep_the_client_away() {
    let (there, back) = datagrams();
    let mut b = node_b();
    let source = |out: &[u8]| u32_at(out, 46 + 12);
    assert_eq!(source(&sent(b.process(Ingress::Host(3), &back), Egress::Fabric)), BACKEND);
    let plain = key(NH_BACKEND, 17, CLIENT, BACKEND, 40000, 80);
    assert!(b.flows().get(&plain).is_some());
    let outcome = b.process(Ingress::Fabric, &there);
    assert_eq!(outcome.inserted, Some(Inserted::Learned));
    assert_eq!(u32_at(&sent(outcome, Egress::Host(3)), 14 + 16), BACKEND);
    assert_eq!(b.flows().len(), 2, "the plain pair is gone");
    assert!(b.flows().get(&plain).is_none());
    let forward = key(NH_BACKEND, 17, CLIENT, VIP, 40000, 8888);
    let reply = key(NH_BACKEND, 17, BACKEND, CLIENT, 80, 40000);
    assert_eq!(b.flows().attributes()[&reply].partner, Some(forward));
    assert_eq!(b.flows().stats(&forward).map(|s| s.packets), Some(1));
    assert_eq!(source(&sent(b.process(Ingress::Host(3), &back), Egress::Fabric)), VIP);
}

#[test]
fn what_a_client_or_a_segment_began_is_not_replaced() {
    let (there, _) = datagrams();
    // The client began the plain pair: the entry in the way is its reverse one.
    let mut b = node_b();
    let direct_datagram = from_a(24, &packet::udp(CLIENT, BACKEND, 40000, 80, b""));
    sent(b.process(Ingress::Fabric, &direct_datagram), Egress::Host(3));
    dropped(b.process(Ingress::Fabric, &there), DropReason::FlowClash);
    // The backend began it, but with TCP.
    let mut b = node_b();
    let syn = frame(&packet::tcp(BACKEND, CLIENT, 80, 40000, SYN, b""));
    sent(b.process(Ingress::Host(3), &syn), Egress::Fabric);
    let syn = from_a(25, &packet::tcp(CLIENT, VIP, 40000, 8888, SYN, b""));
    dropped(b.process(Ingress::Fabric, &syn), DropReason::FlowClash);
    assert_eq!(b.flows().len(), 2);
}

/// "Replace" with a plain pair in the way, which the backend began at its new port: the renewed pair takes its place.
#[test]
fn a_request_that_renews_its_pair_takes_the_place_of_a_plain_pair_in_the_way() {
    let (there, _) = datagrams();
    let mut b = node_b();
    sent(b.process(Ingress::Fabric, &there), Egress::Host(3));
    let map = FipMap {
        valid: true,
        generation: 4,
        pod_ip: BACKEND,
        pod_port: 81,
        vip: VIP,
        vip_port: 8888,
    };
    b.write(TableId::FipMap, 9, &map.pack());
    let back = frame(&packet::udp(BACKEND, CLIENT, 81, 40000, b""));
    sent(b.process(Ingress::Host(3), &back), Egress::Fabric);
    assert_eq!(b.flows().len(), 4);
    let outcome = b.process(Ingress::Fabric, &there);
    assert_eq!(outcome.inserted, Some(Inserted::Repinned));
    assert_eq!(u16_at(&sent(outcome, Egress::Host(3)), 14 + 22), 81);
    assert_eq!(b.flows().len(), 2);
    let answer = sent(b.process(Ingress::Host(3), &back), Egress::Fabric);
    assert_eq!(u32_at(&answer, 14 + 20 + 8 + 4 + 12), VIP);
}

#[test]
fn a_pair_that_the_far_end_began_becomes_the_services_with_the_first_request() {
    let mut b = node_b();
    address(&mut b, VIP, NH_MEMBERS, ServiceAddress::Reject, SOURCES_KNOWN);
    // Another member's datagram, from the fabric, to a local client that has not asked yet.
    let early = from_a(27, &packet::udp(VIP, LOCAL_CLIENT, 8888, 40000, b""));
    sent(b.process(Ingress::Fabric, &early), Egress::Host(4));
    let forward = key(NH_LOCAL, 17, LOCAL_CLIENT, VIP, 40000, 8888);
    assert!(b.flows().get(&forward).is_some_and(|f| f.reverse && !f.map_valid));
    let request = frame(&packet::udp(LOCAL_CLIENT, VIP, 40000, 8888, b""));
    for n in [1, 2] {
        let outcome = b.process(Ingress::Host(4), &request);
        assert_eq!(outcome.inserted, (n == 1).then_some(Inserted::Repinned));
        let out = sent(outcome, Egress::Host(3));
        assert_eq!((u32_at(&out, 14 + 16), u16_at(&out, 14 + 22)), (BACKEND, 80));
        // The first packet counted on the entry, too, and its statistics were left alone.
        assert_eq!(b.flows().stats(&forward).map(|s| s.packets), Some(n));
    }
    assert_eq!(b.flows().len(), 2, "the early pair is gone");
    let reply = key(NH_BACKEND, 17, BACKEND, LOCAL_CLIENT, 80, 40000);
    let pairs = b.flows().attributes();
    assert!(!pairs[&forward].flow.reverse && pairs[&reply].flow.reverse);
    assert_eq!(pairs[&reply].partner, Some(forward));
    assert_eq!(b.counters().card(CardCounter::FlowsRepinned), 1);
    let back = frame(&packet::udp(BACKEND, LOCAL_CLIENT, 80, 40000, b""));
    assert_eq!(u32_at(&sent(b.process(Ingress::Host(3), &back), Egress::Host(4)), 14 + 12), VIP);
}
