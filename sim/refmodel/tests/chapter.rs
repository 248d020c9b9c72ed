//! The reference walk with its own addresses: two nodes, one service, client and backends.

mod world;

use penstock_abi::reason::{CardCounter, DropReason};
use penstock_abi::table::*;
use penstock_refmodel::packet::{self, ethernet, frame, mpls, mpls_gre, mpls_udp};
use penstock_refmodel::wire::{ACK, SYN};
use penstock_refmodel::{Egress, Ingress, Verdict};
use world::*;

#[test]
fn client_to_vip_of_a_remote_member_is_tunnelled_without_nat() {
    let mut a = node_a();
    let syn = packet::tcp(CLIENT, VIP, 40000, 8888, SYN, b"");
    let out = sent(a.process(Ingress::Host(3), &frame(&syn)), Egress::Fabric);
    assert_eq!(out[..12], [0x02, 0, 0, 0, 3, 0x33, 0x02, 0, 0, 0, 2, 0x22]);
    assert_eq!(out[12..16], [0x08, 0x00, 0x45, 0]);
    assert_eq!(u16_at(&out, 16), 20 + 8 + 4 + 40, "outer total length");
    assert_eq!(out[23], 17);
    assert_eq!((u32_at(&out, 26), u32_at(&out, 30)), (NODE_A, NODE_B));
    assert!((49152..=65534).contains(&u16_at(&out, 34)), "entropy");
    assert_eq!((u16_at(&out, 36), u16_at(&out, 40)), (6635, 0));
    assert_eq!(u32_at(&out, 42), 25 << 12 | 0x100 | 63, "label 25, bottom of stack, inner TTL");
    let inner = &out[46..];
    assert_eq!((u32_at(inner, 12), u32_at(inner, 16)), (CLIENT, VIP), "no NAT");
    assert_eq!(packet::wrong_checksum(inner), None);
    assert_eq!(packet::wrong_checksum(&out[14..]), None);
    let flows = a.flows().attributes();
    let fwd = flows[&key(NH_CLIENT, 6, CLIENT, VIP, 40000, 8888)];
    assert!(
        !fwd.flow.dnat && fwd.flow.ecmp_valid && !fwd.flow.reverse && fwd.flow.rpf_nh == NH_CLIENT
    );
    assert_eq!(fwd.partner, Some(key(NH_CLIENT, 6, VIP, CLIENT, 8888, 40000)));
    assert_eq!(flows[&fwd.partner.unwrap()].flow.rpf_nh, NH_GROUP);
}

#[test]
fn server_translates_both_ways() {
    let mut b = node_b();
    let syn = packet::tcp(CLIENT, VIP, 40000, 8888, SYN, b"");
    let out = sent(b.process(Ingress::Fabric, &from_a(25, &syn)), Egress::Host(3));
    assert_eq!((u32_at(&out, 26), u32_at(&out, 30)), (CLIENT, BACKEND));
    assert_eq!((u16_at(&out, 34), u16_at(&out, 36)), (40000, 80));
    assert_eq!(out[22], 64, "no TTL change on the receiving node");
    assert_eq!(packet::wrong_checksum(&out[14..]), None);

    let synack = packet::tcp(BACKEND, CLIENT, 80, 40000, SYN | ACK, b"");
    let out = sent(b.process(Ingress::Host(3), &frame(&synack)), Egress::Fabric);
    let inner = &out[46..];
    assert_eq!((u32_at(inner, 12), u32_at(inner, 16)), (VIP, CLIENT));
    assert_eq!((u16_at(inner, 20), u16_at(inner, 22)), (8888, 40000));
    assert_eq!(packet::wrong_checksum(inner), None);
    assert_eq!(u32_at(&out, 42) >> 12, 30, "label of the route back");

    b.process(Ingress::Fabric, &from_a(25, &packet::tcp(CLIENT, VIP, 40000, 8888, ACK, b"")));
    let flows = b.flows().attributes();
    let fwd = flows[&key(NH_BACKEND, 6, CLIENT, VIP, 40000, 8888)].flow;
    assert!(fwd.dnat && fwd.dpat && !fwd.snat && !fwd.spat && !fwd.reverse);
    assert_eq!((fwd.src_info, fwd.rpf_nh), (NODE_A, 0));
    let rev = flows[&key(NH_BACKEND, 6, BACKEND, CLIENT, 80, 40000)].flow;
    assert!(rev.snat && rev.spat && !rev.dnat && rev.reverse);
    let stats = b.flows().stats(&key(NH_BACKEND, 6, CLIENT, VIP, 40000, 8888)).unwrap();
    assert_eq!((stats.packets, stats.tcp), (2, TCP_SYN | TCP_ESTABLISHED));
    assert_eq!(b.counters().card(CardCounter::FlowsLearned), 1);
    assert_eq!(b.counters().card(CardCounter::FlowsInUse), 2);
}

#[test]
fn client_receives_the_reply_as_it_came() {
    let mut a = node_a();
    a.process(Ingress::Host(3), &frame(&packet::tcp(CLIENT, VIP, 40000, 8888, SYN, b"")));
    let reply = packet::tcp(VIP, CLIENT, 8888, 40000, SYN | ACK, b"");
    let out = sent(a.process(Ingress::Fabric, &from_b(30, &reply)), Egress::Host(3));
    assert_eq!(out[14..], reply.bytes());
    assert_eq!(a.flows().len(), 2, "the reply hits the reverse entry");
}

#[test]
fn local_member_is_translated_on_the_client_node() {
    let mut b = node_b();
    // Pod 4 on node B is a client of the service whose backend is pod 3 of the same node.
    let syn = packet::udp(LOCAL_CLIENT, VIP, 5000, 8888, b"hello");
    let out = sent(b.process(Ingress::Host(4), &frame(&syn)), Egress::Host(3));
    assert_eq!((u32_at(&out, 26), u32_at(&out, 30), u16_at(&out, 36)), (LOCAL_CLIENT, BACKEND, 80));
    assert_eq!(out[22], 63);
    assert_eq!(packet::wrong_checksum(&out[14..]), None);
    let back = packet::udp(BACKEND, LOCAL_CLIENT, 80, 5000, b"world");
    let out = sent(b.process(Ingress::Host(3), &frame(&back)), Egress::Host(4));
    assert_eq!((u32_at(&out, 26), u32_at(&out, 30), u16_at(&out, 34)), (VIP, LOCAL_CLIENT, 8888));
    assert_eq!(packet::wrong_checksum(&out[14..]), None);
}

#[test]
fn a_backend_reaches_itself_through_the_service() {
    let mut b = node_b();
    let syn = packet::tcp(BACKEND, VIP, 41000, 8888, SYN, b"");
    let out = sent(b.process(Ingress::Host(3), &frame(&syn)), Egress::Host(3));
    assert_eq!((u32_at(&out, 26), u32_at(&out, 30)), (VIP, BACKEND));
    assert_eq!((u16_at(&out, 34), u16_at(&out, 36)), (41000, 80));
    assert_eq!(packet::wrong_checksum(&out[14..]), None);
    let synack = packet::tcp(BACKEND, VIP, 80, 41000, SYN | ACK, b"");
    let out = sent(b.process(Ingress::Host(3), &frame(&synack)), Egress::Host(3));
    assert_eq!((u32_at(&out, 26), u32_at(&out, 30)), (VIP, BACKEND));
    assert_eq!((u16_at(&out, 34), u16_at(&out, 36)), (8888, 41000));
    assert_eq!(packet::wrong_checksum(&out[14..]), None);
    assert_eq!(b.flows().len(), 2);
}

#[test]
fn port_unreachable_comes_back_through_the_nat() {
    let mut b = node_b();
    let probe = packet::udp(CLIENT, VIP, 5000, 8888, b"anybody?");
    let delivered = sent(b.process(Ingress::Fabric, &from_a(25, &probe)), Egress::Host(3));
    let error = packet::icmp(BACKEND, CLIENT, 3, 3, 0, &delivered[14..14 + 28]);
    let out = sent(b.process(Ingress::Host(3), &frame(&error)), Egress::Fabric);
    let inner = &out[46..];
    assert_eq!((u32_at(inner, 12), u32_at(inner, 16)), (VIP, CLIENT));
    let emb = &inner[28..];
    assert_eq!((u32_at(emb, 12), u32_at(emb, 16)), (CLIENT, VIP));
    assert_eq!((u16_at(emb, 20), u16_at(emb, 22)), (5000, 8888));
    assert_eq!(packet::wrong_checksum(inner), None);
    assert_eq!(
        emb[26..28],
        probe.bytes()[26..28],
        "the embedded UDP checksum is the client's again"
    );
}

#[test]
fn an_error_from_the_client_is_translated_forward() {
    let mut b = node_b();
    b.process(Ingress::Fabric, &from_a(25, &packet::udp(CLIENT, VIP, 5000, 8888, b"q")));
    let reply = packet::udp(BACKEND, CLIENT, 80, 5000, b"answer");
    let tunnelled = sent(b.process(Ingress::Host(3), &frame(&reply)), Egress::Fabric);
    let error = packet::icmp(CLIENT, VIP, 3, 3, 0, &tunnelled[46..46 + 28]);
    let out = sent(b.process(Ingress::Fabric, &from_a(25, &error)), Egress::Host(3));
    assert_eq!(u32_at(&out, 30), BACKEND);
    let emb = &out[14 + 28..];
    assert_eq!((u32_at(emb, 12), u16_at(emb, 20)), (BACKEND, 80));
    assert_eq!(packet::wrong_checksum(&out[14..]), None);
}

#[test]
fn errors_of_a_hairpin_flow_stay_within_the_pod() {
    let mut b = node_b();
    let probe = packet::udp(BACKEND, VIP, 5000, 8888, b"me?");
    let delivered = sent(b.process(Ingress::Host(3), &frame(&probe)), Egress::Host(3));
    let error = packet::icmp(BACKEND, VIP, 3, 3, 0, &delivered[14..14 + 28]);
    let out = sent(b.process(Ingress::Host(3), &frame(&error)), Egress::Host(3));
    assert_eq!((u32_at(&out, 26), u32_at(&out, 30)), (VIP, BACKEND));
    let emb = &out[14 + 28..];
    assert_eq!((u32_at(emb, 12), u32_at(emb, 16)), (BACKEND, VIP));
    assert_eq!((u16_at(emb, 20), u16_at(emb, 22)), (5000, 8888));
    assert_eq!(packet::wrong_checksum(&out[14..]), None);
}

#[test]
fn fragments_pass_untranslated_or_not_at_all() {
    let mut b = node_b();
    let mut p = packet::udp(CLIENT, BACKEND, 5000, 80, &[0; 64]);
    p.fragment = 0x2000;
    let out = sent(b.process(Ingress::Fabric, &from_a(24, &p)), Egress::Host(3));
    assert_eq!(out[14..], p.bytes());
    assert!(b.flows().is_empty());
    let mut p = packet::udp(CLIENT, VIP, 5000, 8888, &[0; 64]);
    p.fragment = 0x0005;
    dropped(b.process(Ingress::Fabric, &from_a(25, &p)), DropReason::Fragments);
}

#[test]
fn ttl_ends_where_it_must() {
    let mut a = node_a();
    let mut p = packet::udp(CLIENT, VIP, 1, 8888, b"");
    p.ttl = 1;
    dropped(a.process(Ingress::Host(3), &frame(&p)), DropReason::TtlExceeded);
    p.ttl = 2;
    let out = sent(a.process(Ingress::Host(3), &frame(&p)), Egress::Fabric);
    assert_eq!((out[45], out[46 + 8]), (1, 1));
    let inner = packet::udp(VIP, CLIENT, 8888, 1, b"").bytes();
    let outer = mpls_udp(NODE_B, NODE_A, 6635, mpls(30, 1), &inner);
    dropped(a.process(Ingress::Fabric, &wire(&outer)), DropReason::TtlExceeded);
}

#[test]
fn gre_and_the_old_udp_port_are_accepted_priority_tags_and_padding_removed() {
    let mut b = node_b();
    let p = packet::udp(CLIENT, BACKEND, 5000, 80, b"x");
    for flags in [0, 0x8000, 0x2000, 0xa000] {
        for vlan in [None, Some(0xa000)] {
            let outer = mpls_gre(NODE_A, NODE_B, flags, mpls(24, 9), &p.bytes());
            let mut f = ethernet(FABRIC_MAC, 2, vlan, 0x0800, &outer.bytes());
            f.resize(f.len() + 11, 0x5a);
            let out = sent(b.process(Ingress::Fabric, &f), Egress::Host(3));
            assert_eq!(out[14..], p.bytes());
        }
    }
    let outer = mpls_udp(NODE_A, NODE_B, 51234, mpls(24, 9), &p.bytes());
    sent(b.process(Ingress::Fabric, &wire(&outer)), Egress::Host(3));
}

#[test]
fn a_gre_tunnel_next_hop_pushes_gre() {
    let mut a = node_a();
    let nh = NextHop { gre: true, ..tunnel_to(NODE_A, NODE_B) };
    a.write(TableId::NextHop, u32::from(NH_TUNNEL), &nh.pack());
    let p = packet::udp(CLIENT, VIP, 1, 8888, b"abc");
    let out = sent(a.process(Ingress::Host(3), &frame(&p)), Egress::Fabric);
    assert_eq!(out[23], 47);
    assert_eq!(u32_at(&out, 34), 0x0000_8847);
    assert_eq!(u32_at(&out, 38) >> 12, 25);
    assert_eq!(out.len(), 42 + 28 + 3);
}

#[test]
fn cross_connect_and_traps_leave_frames_alone() {
    let mut a = node_a();
    let arp = ethernet(0xffff_ffff_ffff, 2, Some(0x6000), 0x0806, &[7; 28]);
    assert_eq!(
        sent(a.process(Ingress::Host(3), &arp), Egress::Firmware { reason: 1, vif: 3 }),
        arp
    );
    assert_eq!(sent(a.process(Ingress::Host(1), &arp), Egress::Fabric), arp);
    assert_eq!(sent(a.process(Ingress::Fabric, &arp), Egress::Host(1)), arp);
    dropped(a.process(Ingress::Host(2), &arp), DropReason::InvalidIf);
    dropped(a.process(Ingress::Host(77), &arp), DropReason::InvalidIf);
    dropped(a.process(Ingress::Host(3), &arp[..13]), DropReason::InvalidPacket);
    assert_eq!(a.counters().vif(1).tx_packets, 1);
    assert_eq!(a.counters().vif(3).drops, 1);
    a.set_enabled(false);
    dropped(a.process(Ingress::Host(1), &arp), DropReason::Disabled);
}

#[test]
fn every_flow_keeps_its_member_while_the_group_changes() {
    let mut a = node_a_with_group(&[Some(false); 3]);
    let ports: Vec<u16> = (1000..1200).collect();
    let label = |a: &mut penstock_refmodel::RefModel, p: u16| {
        let f = frame(&packet::udp(CLIENT, VIP, p, 8888, b""));
        u32_at(&sent(a.process(Ingress::Host(3), &f), Egress::Fabric), 42) >> 12
    };
    let before: Vec<u32> = ports.iter().map(|&p| label(&mut a, p)).collect();
    assert!((100..103).all(|l| before.contains(&l)));
    // A member more, at a fresh place; then slot 1 drains; nobody moves.
    write_group(&mut a, 500, &[(Some(false), 0); 4]);
    assert_eq!(ports.iter().map(|&p| label(&mut a, p)).collect::<Vec<_>>(), before);
    write_group(
        &mut a,
        600,
        &[(Some(false), 0), (Some(true), 0), (Some(false), 0), (Some(false), 0)],
    );
    assert_eq!(ports.iter().map(|&p| label(&mut a, p)).collect::<Vec<_>>(), before);
    let new: Vec<u32> = (2000..2200).map(|p| label(&mut a, p)).collect();
    assert!(!new.contains(&101), "a draining member takes no new flows");
    // Slot 1 becomes a hole: only its flows move. Filled again under another generation: they stay where they went.
    write_group(&mut a, 700, &[(Some(false), 0), (None, 0), (Some(false), 0), (Some(false), 0)]);
    let moved: Vec<u32> = ports.iter().map(|&p| label(&mut a, p)).collect();
    for (b, m) in before.iter().zip(&moved) {
        assert!(if *b == 101 { *m != 101 } else { m == b });
    }
    assert!(a.counters().card(CardCounter::FlowsRepinned) > 0);
    write_group(
        &mut a,
        800,
        &[(Some(false), 0), (Some(false), 1), (Some(false), 0), (Some(false), 0)],
    );
    assert_eq!(ports.iter().map(|&p| label(&mut a, p)).collect::<Vec<_>>(), moved);
}

#[test]
fn a_removed_mapping_is_not_used_for_one_packet() {
    let mut b = node_b();
    let f = from_a(25, &packet::udp(CLIENT, VIP, 5000, 8888, b""));
    sent(b.process(Ingress::Fabric, &f), Egress::Host(3));
    b.write(TableId::FipMap, 9, &[0; 12]);
    dropped(b.process(Ingress::Fabric, &f), DropReason::NoFipPortMap);
    let map = FipMap {
        valid: true,
        generation: 4,
        pod_ip: BACKEND,
        pod_port: 90,
        vip: VIP,
        vip_port: 8888,
    };
    b.write(TableId::FipMap, 9, &map.pack());
    let out = sent(b.process(Ingress::Fabric, &f), Egress::Host(3));
    assert_eq!(u16_at(&out, 36), 90);
    assert_eq!(b.flows().len(), 2, "the old reverse entry went with the rewrite");
    assert_eq!(b.counters().card(CardCounter::FlowsRepinned), 1);
}

#[test]
fn a_route_that_moves_here_is_translated_at_once() {
    let mut b = node_b();
    // The service is elsewhere at first: a plain flow through the tunnel.
    write_group(&mut b, 400, &[(Some(false), 1)]);
    service(&mut b, VIP, 8888, NH_GROUP, NH_MEMBERS);
    let f = frame(&packet::udp(LOCAL_CLIENT, VIP, 5000, 8888, b""));
    sent(b.process(Ingress::Host(4), &f), Egress::Fabric);
    service(&mut b, VIP, 8888, NH_MEMBERS, NH_MEMBERS);
    let out = sent(b.process(Ingress::Host(4), &f), Egress::Host(3));
    assert_eq!(u32_at(&out, 30), BACKEND);
    service(&mut b, VIP, 8888, NH_GROUP, NH_MEMBERS);
    let out = sent(b.process(Ingress::Host(4), &f), Egress::Fabric);
    assert_eq!(u32_at(&out, 46 + 16), VIP, "and back again without translation");
    assert_eq!(b.flows().len(), 2);
}

#[test]
fn labels_and_loops_are_checked() {
    let mut b = node_b();
    let inner = packet::udp(CLIENT, BACKEND, 5000, 80, b"").bytes();
    for (shim, reason) in [
        (mpls(15, 9), DropReason::InvalidLabel),
        (mpls(26, 9), DropReason::InvalidLabel),
        (mpls(9000, 9), DropReason::InvalidLabel),
        ((24u32 << 12 | 9).to_be_bytes(), DropReason::InvalidLabel),
        (mpls(24, 0), DropReason::TtlExceeded),
        (mpls(40, 9), DropReason::PacketLoop),
    ] {
        let f = wire(&mpls_udp(NODE_A, NODE_B, 6635, shim, &inner));
        dropped(b.process(Ingress::Fabric, &f), reason);
    }
    let cut = wire(&mpls_udp(NODE_A, NODE_B, 6635, mpls(24, 9), &[]));
    dropped(b.process(Ingress::Fabric, &cut), DropReason::InvalidProtocol);
    dropped(b.process(Ingress::Fabric, &cut[..cut.len() - 1]), DropReason::InvalidPacket);
    assert_eq!(b.counters().vif(0).drops, 8);
    match b
        .process(Ingress::Host(4), &frame(&packet::udp(LOCAL_CLIENT, 0x0a2f_0001, 1, 1, b"")))
        .verdict
    {
        Verdict::Dropped(DropReason::Discard) => {}
        other => panic!("no route: {other:?}"),
    }
}
