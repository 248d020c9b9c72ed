//! What the card refuses for the sake of connections: replies that could not find their way, strangers, clashes; and when a connection
//! begins anew.

mod world;

use penstock_abi::limits::{FLOWS, FLOWS_TRANSLATED_MAX, SOURCES_KNOWN};
use penstock_abi::reason::{CardCounter, DropReason};
use penstock_abi::table::*;
use penstock_refmodel::flows::key_of;
use penstock_refmodel::insert::Inserted;
use penstock_refmodel::packet::{self, frame};
use penstock_refmodel::wire::{ACK, FIN, RST, SYN};
use penstock_refmodel::{Egress, Ingress, Outcome, RefModel};
use penstock_tables::Shape;
use world::*;

/// A segment of the remote client to the service.
fn to_service(b: &mut RefModel, flags: u8) -> Outcome {
    b.process(Ingress::Fabric, &from_a(25, &packet::tcp(CLIENT, VIP, 40000, 8888, flags, b"")))
}

/// A segment of the backend to the remote client.
fn from_backend(b: &mut RefModel, flags: u8) -> Outcome {
    b.process(Ingress::Host(3), &frame(&packet::tcp(BACKEND, CLIENT, 80, 40000, flags, b"")))
}

/// A segment of the remote client straight to the backend.
fn direct(b: &mut RefModel, flags: u8) -> Outcome {
    b.process(Ingress::Fabric, &from_a(24, &packet::tcp(CLIENT, BACKEND, 40000, 80, flags, b"")))
}

fn forward_key() -> FlowKey {
    key(NH_BACKEND, 6, CLIENT, VIP, 40000, 8888)
}

fn reply_key() -> FlowKey {
    key(NH_BACKEND, 6, BACKEND, CLIENT, 80, 40000)
}

fn tcp_of(m: &RefModel, key: &FlowKey) -> u8 {
    m.flows().stats(key).map_or(0xff, |s| s.tcp)
}

#[test]
fn a_table_more_than_three_quarters_full_takes_no_half_connection() {
    let mut b = node_b();
    let fill = |b: &mut RefModel, n: usize| {
        let entry = |i: u32| Flow { valid: true, nh: 9999, sip: i, ..Flow::default() };
        let entries = (0..n as u32).map(|i| (FLOWS - 1 - i, entry(i), FlowStats::default()));
        b.flows_mut().restore(entries);
    };
    fill(&mut b, FLOWS_TRANSLATED_MAX as usize + 1);
    dropped(to_service(&mut b, SYN), DropReason::FlowTableFull);
    sent(direct(&mut b, SYN), Egress::Host(3));
    fill(&mut b, FLOWS_TRANSLATED_MAX as usize);
    sent(to_service(&mut b, SYN), Egress::Host(3));
    // What is in the table goes on, and may begin anew.
    sent(to_service(&mut b, ACK), Egress::Host(3));
    to_service(&mut b, RST);
    let again = to_service(&mut b, SYN);
    assert_eq!(again.inserted, Some(Inserted::Repinned));
    sent(again, Egress::Host(3));
}

#[test]
fn a_cleared_card_has_the_sizes_that_it_had() {
    let small = Shape::default().with_flow_rows_log2(10);
    let mut m = RefModel::of(small);
    m.clear();
    assert_eq!(m.tables().shape(), small);
    assert_ne!(m.tables().shape(), Shape::default());
}

#[test]
fn one_client_port_cannot_be_two_connections() {
    let mut b = node_b();
    sent(to_service(&mut b, SYN), Egress::Host(3));
    let clash = direct(&mut b, SYN);
    assert_eq!(clash.inserted, Some(Inserted::Unchanged), "the other lives");
    dropped(clash, DropReason::FlowClash);
    let reply = sent(from_backend(&mut b, SYN | ACK), Egress::Fabric);
    assert_eq!(u32_at(&reply, 46 + 12), VIP, "the reply is still the service's");

    let mut b = node_b();
    sent(direct(&mut b, SYN), Egress::Host(3));
    dropped(to_service(&mut b, SYN), DropReason::FlowClash);
    let reply = sent(from_backend(&mut b, SYN | ACK), Egress::Fabric);
    assert_eq!(u32_at(&reply, 46 + 12), BACKEND);
    assert_eq!(b.flows().len(), 2);
}

#[test]
fn a_dead_pair_makes_room_for_the_next_packet() {
    let mut b = node_b();
    sent(direct(&mut b, SYN), Egress::Host(3));
    from_backend(&mut b, RST | ACK);
    let clash = to_service(&mut b, SYN);
    assert_eq!(clash.inserted, Some(Inserted::Deleted));
    dropped(clash, DropReason::FlowClash);
    assert_eq!(b.counters().card(CardCounter::FlowsInUse), 0);
    sent(to_service(&mut b, SYN), Egress::Host(3));
    // A mapping that is gone makes a pair dead, too.
    b.write(TableId::FipMap, 9, &[0; 12]);
    assert_eq!(direct(&mut b, SYN).inserted, Some(Inserted::Deleted));
    sent(direct(&mut b, SYN), Egress::Host(3));
}

#[test]
fn a_plain_far_end_that_moves_keeps_its_connection() {
    let mut b = node_b();
    // A local pod speaks to the backend; then it comes from another node, with the same address.
    let p = packet::tcp(LOCAL_CLIENT, BACKEND, 40000, 9000, ACK, b"");
    sent(b.process(Ingress::Host(4), &frame(&p)), Egress::Host(3));
    let reverse = key(NH_BACKEND, 6, BACKEND, LOCAL_CLIENT, 9000, 40000);
    let src = |b: &RefModel| b.flows().get(&reverse).map(|f| f.src_info);
    assert_eq!(src(&b), Some(3));
    host_route(&mut b, VRF, LOCAL_CLIENT, NH_TUNNEL, Some(30));
    let outcome = b.process(Ingress::Fabric, &from_a(24, &p));
    assert_eq!(outcome.inserted, Some(Inserted::Learned));
    sent(outcome, Egress::Host(3));
    assert_eq!(b.flows().len(), 2, "the old pair is gone");
    let new = key(NH_BACKEND, 6, LOCAL_CLIENT, BACKEND, 40000, 9000);
    assert_eq!(b.flows().attributes()[&reverse].partner, Some(new));
    assert_eq!(b.flows().get(&new).map(|f| f.src_info), Some(NODE_A));
}

#[test]
fn a_stranger_from_the_fabric_leaves_a_connection_alone() {
    let mut b = node_b();
    to_service(&mut b, SYN);
    from_backend(&mut b, SYN | ACK);
    let before = (b.flows().attributes(), tcp_of(&b, &forward_key()));
    let stray = packet::tcp(CLIENT, VIP, 40000, 8888, RST, b"");
    dropped(b.process(Ingress::Fabric, &from(0x0909_0909, 25, &stray)), DropReason::InvalidSource);
    // One that pretends to be the backend's reply, from a tunnel.
    let stray = packet::tcp(BACKEND, CLIENT, 80, 40000, RST, b"");
    dropped(b.process(Ingress::Fabric, &from_a(24, &stray)), DropReason::InvalidSource);
    assert_eq!((b.flows().attributes(), tcp_of(&b, &forward_key())), before);
}

#[test]
fn a_flow_moves_to_the_tunnel_of_its_route() {
    let mut b = node_b();
    to_service(&mut b, SYN);
    let moved = 0x0aa9_1999;
    let p = from(moved, 25, &packet::tcp(CLIENT, VIP, 40000, 8888, ACK, b""));
    let outcome = b.process(Ingress::Fabric, &p);
    assert_eq!(outcome.inserted, None);
    dropped(outcome, DropReason::InvalidSource);
    b.write(TableId::NextHop, u32::from(NH_TUNNEL), &tunnel_to(NODE_B, moved).pack());
    source(&mut b, SOURCES_KNOWN, moved);
    take::<TunnelSource>(&mut b, (SOURCES_KNOWN, NODE_A));
    let outcome = b.process(Ingress::Fabric, &p);
    assert_eq!(outcome.inserted, Some(Inserted::Moved));
    dropped(outcome, DropReason::InvalidSource);
    assert_eq!(b.counters().card(CardCounter::FlowsRepinned), 0);
    sent(b.process(Ingress::Fabric, &p), Egress::Host(3));
    dropped(to_service(&mut b, ACK), DropReason::InvalidSource);
    // No route to the source: nothing to move to.
    b.write(TableId::Prefix, client_prefix(), &[0; 12]);
    assert_eq!(to_service(&mut b, ACK).inserted, None);
}

#[test]
fn a_reply_of_another_member_moves_the_flow_to_that() {
    let mut a = node_a_with_group(&[None, Some(false), Some(false)]);
    let (other, no_member) = (0x0aa9_1999, 0x0102_0304);
    source(&mut a, SOURCES_KNOWN, other);
    source(&mut a, SOURCES_KNOWN, no_member);
    a.write(TableId::NextHop, 31, &tunnel_to(NODE_A, other).pack());
    let word =
        EcmpSlot { valid: true, nh: 31, label: 102, generation: 5, slot: 2, ..EcmpSlot::default() };
    for at in [402, 404] {
        a.write(TableId::Ecmp, at, &word.pack());
    }
    // A port whose flow is pinned to slot 1.
    let port = (1000..2000)
        .find(|&p| {
            let f = frame(&packet::udp(CLIENT, VIP, p, 8888, b""));
            u32_at(&sent(a.process(Ingress::Host(3), &f), Egress::Fabric), 42) >> 12 == 101
        })
        .unwrap();
    let forward = key(NH_CLIENT, 17, CLIENT, VIP, port, 8888);
    let reply = packet::udp(VIP, CLIENT, 8888, port, b"").bytes();
    let tunnelled = |from| wire(&packet::mpls_udp(from, NODE_A, 6635, packet::mpls(30, 9), &reply));
    sent(a.process(Ingress::Fabric, &tunnelled(NODE_B)), Egress::Host(3));
    let outcome = a.process(Ingress::Fabric, &tunnelled(other));
    assert_eq!(outcome.inserted, Some(Inserted::Moved));
    dropped(outcome, DropReason::InvalidSource);
    let f = a.flows().get(&forward).copied().unwrap();
    assert_eq!((f.ecmp_valid, f.ecmp_slot, f.ecmp_generation), (true, 2, 5));
    sent(a.process(Ingress::Fabric, &tunnelled(other)), Egress::Host(3));
    let again = frame(&packet::udp(CLIENT, VIP, port, 8888, b""));
    let out = sent(a.process(Ingress::Host(3), &again), Egress::Fabric);
    assert_eq!((u32_at(&out, 30), u32_at(&out, 42) >> 12), (other, 102));
    // A tunnel that is no member's.
    let outcome = a.process(Ingress::Fabric, &tunnelled(no_member));
    assert_eq!(outcome.inserted, Some(Inserted::Unchanged));
}

#[test]
fn an_established_connection_stays_with_its_member() {
    let other = 0x0aa9_1999;
    let mut a = node_a_with_group(&[Some(false), Some(false)]);
    source(&mut a, SOURCES_KNOWN, other);
    a.write(TableId::NextHop, 31, &tunnel_to(NODE_A, other).pack());
    let client = |a: &mut RefModel, port, flags| {
        let f = frame(&packet::tcp(CLIENT, VIP, port, 8888, flags, b""));
        u32_at(&sent(a.process(Ingress::Host(3), &f), Egress::Fabric), 42) >> 12
    };
    // A port whose flow is pinned to slot 0; slot 1 is of another node.
    let port = (1000..2000).find(|&p| client(&mut a, p, SYN) == 100).unwrap();
    let word = EcmpSlot { valid: true, nh: 31, label: 101, slot: 1, ..EcmpSlot::default() };
    for at in [401, 403] {
        a.write(TableId::Ecmp, at, &word.pack());
    }
    let reply = |a: &mut RefModel, from, flags| {
        let p = packet::tcp(VIP, CLIENT, 8888, port, flags, b"").bytes();
        let tunnelled = wire(&packet::mpls_udp(from, NODE_A, 6635, packet::mpls(30, 9), &p));
        a.process(Ingress::Fabric, &tunnelled)
    };
    let forward = key(NH_CLIENT, 6, CLIENT, VIP, port, 8888);
    let slot = |a: &RefModel| a.flows().get(&forward).map(|f| f.ecmp_slot);
    // While the connection opens, a member from which an answer comes is its own.
    sent(reply(&mut a, NODE_B, SYN | ACK), Egress::Host(3));
    let moved = reply(&mut a, other, SYN | ACK);
    assert_eq!((moved.inserted, slot(&a)), (Some(Inserted::Moved), Some(1)));
    dropped(moved, DropReason::InvalidSource);
    assert_eq!(client(&mut a, port, ACK), 101);
    let late = reply(&mut a, NODE_B, RST | ACK);
    assert_eq!((late.inserted, slot(&a)), (Some(Inserted::Unchanged), Some(1)));
    dropped(late, DropReason::InvalidSource);
    sent(reply(&mut a, other, ACK), Egress::Host(3));
    // A pod that moves as a whole takes its connections along: its route is a tunnel, not a group.
    host_route(&mut a, VRF, VIP, NH_TUNNEL, Some(77));
    assert_eq!(reply(&mut a, NODE_B, ACK).inserted, Some(Inserted::Moved));
}

#[test]
fn a_bare_syn_begins_anew_only_when_the_connection_is_over() {
    type Ending = (&'static str, fn(&mut RefModel), bool);
    let endings: [Ending; 6] = [
        ("one FIN", |b| drop(to_service(b, FIN | ACK)), false),
        (
            "both FINs",
            |b| {
                to_service(b, FIN | ACK);
                from_backend(b, FIN | ACK);
            },
            true,
        ),
        ("reset by the client", |b| drop(to_service(b, RST)), true),
        ("reset by the server", |b| drop(from_backend(b, RST | ACK)), true),
        (
            "a reset that was not believed",
            |b| {
                from_backend(b, RST | ACK);
                from_backend(b, ACK);
            },
            false,
        ),
        ("established", |_| {}, false),
    ];
    for (what, end, over) in endings {
        let mut b = node_b();
        to_service(&mut b, SYN);
        from_backend(&mut b, SYN | ACK);
        to_service(&mut b, ACK);
        end(&mut b);
        let repinned = b.counters().card(CardCounter::FlowsRepinned);
        let packets = b.flows().stats(&forward_key()).unwrap().packets;
        sent(to_service(&mut b, SYN), Egress::Host(3));
        assert_eq!(
            b.counters().card(CardCounter::FlowsRepinned) - repinned,
            u64::from(over),
            "{what}"
        );
        let stats = b.flows().stats(&forward_key()).unwrap();
        if over {
            assert_eq!((stats.packets, stats.tcp), (1, TCP_SYN), "{what}");
            assert_eq!(tcp_of(&b, &reply_key()), 0, "{what}");
        } else {
            assert_eq!(stats.packets, packets + 1, "{what}");
        }
        assert_eq!(b.flows().len(), 2);
    }
}

#[test]
fn the_server_may_open_a_connection_with_the_ports_of_one_that_is_over() {
    let mut b = node_b();
    mark(&mut b, 6, 80);
    to_service(&mut b, SYN);
    to_service(&mut b, RST);
    let out = sent(from_backend(&mut b, SYN), Egress::Fabric);
    assert_eq!(u32_at(&out, 46 + 12), BACKEND, "a connection of its own");
    assert_eq!(b.flows().len(), 2);
    assert!(b.flows().get(&forward_key()).is_none(), "the old partner went");
}

#[test]
fn an_opening_connection_leaves_a_draining_member_others_do_not() {
    let label = |a: &mut RefModel, flags| {
        let f = frame(&packet::tcp(CLIENT, VIP, 40000, 8888, flags, b""));
        u32_at(&sent(a.process(Ingress::Host(3), &f), Egress::Fabric), 42) >> 12
    };
    for established in [false, true] {
        let mut a = node_a_with_group(&[Some(false); 2]);
        let first = label(&mut a, SYN);
        if established {
            label(&mut a, ACK);
        }
        let drain = |slot: u32| (Some(first == 100 + slot), 0);
        write_group(&mut a, 600, &[drain(0), drain(1)]);
        assert_eq!(label(&mut a, SYN) == first, established);
        assert_eq!(a.counters().card(CardCounter::FlowsRepinned), u64::from(!established));
        assert_eq!(label(&mut a, ACK) == first, established, "and stays there");
    }
}

#[test]
fn an_evicted_member_loses_its_udp_flows_if_another_takes_them() {
    for (others, udp) in [(true, true), (true, false), (false, true)] {
        let mut a = node_a_with_group(&[Some(false); 2]);
        let f = if udp {
            frame(&packet::udp(CLIENT, VIP, 40000, 8888, b""))
        } else {
            frame(&packet::tcp(CLIENT, VIP, 40000, 8888, ACK, b""))
        };
        let label = |a: &mut RefModel| {
            u32_at(&sent(a.process(Ingress::Host(3), &f), Egress::Fabric), 42) >> 12
        };
        let first = label(&mut a);
        let slot = first - 100;
        let states =
            [0, 1].map(|s| if s == slot { (Some(true), 0) } else { (others.then_some(false), 0) });
        write_group(&mut a, 600, &states);
        let w = EcmpSlot {
            valid: true,
            drain: true,
            evict_udp: true,
            nh: NH_TUNNEL,
            label: first,
            slot: slot as u16,
            generation: 0,
            local: false,
        };
        a.write(TableId::Ecmp, 600 + slot, &w.pack());
        assert_eq!(label(&mut a) != first, others && udp, "others {others}, UDP {udp}");
    }
}

#[test]
fn a_reply_that_nothing_translates_is_dropped_until_the_client_returns() {
    let mut b = node_b();
    to_service(&mut b, SYN);
    let map = FipMap {
        valid: true,
        generation: 4,
        pod_ip: BACKEND,
        pod_port: 80,
        vip: VIP,
        vip_port: 8888,
    };
    b.write(TableId::FipMap, 9, &map.pack());
    dropped(from_backend(&mut b, SYN | ACK), DropReason::FlowUnusable);
    assert_eq!(to_service(&mut b, SYN).inserted, Some(Inserted::Repinned));
    sent(from_backend(&mut b, SYN | ACK), Egress::Fabric);
    b.write(TableId::FipMap, 9, &[0; 12]);
    sent(from_backend(&mut b, SYN), Egress::Fabric);
    assert_eq!(b.flows().len(), 2);
}

#[test]
fn a_write_of_zeros_to_either_entry_deletes_the_pair() {
    for which in [forward_key(), reply_key()] {
        let mut b = node_b();
        to_service(&mut b, SYN);
        let index = b.flows().iter().find(|(_, f)| key_of(f) == which).unwrap().0;
        assert!(b.write(TableId::Flow, index, &[0; 12]));
        assert!(b.flows().is_empty());
        assert_eq!(b.counters().card(CardCounter::FlowsInUse), 0);
    }
}
