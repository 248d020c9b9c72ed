//! What the card refuses before it looks for a flow: frames that are not for it, tunnel packets that do not hold together, sources that
//! cannot be.

mod world;

use penstock_abi::limits::FRAME_MAX_BYTES;
use penstock_abi::reason::DropReason;
use penstock_abi::table::*;
use penstock_refmodel::checksum::checksum;
use penstock_refmodel::packet::{
    self, Ipv4, ethernet, frame, mpls, mpls_gre, mpls_udp, put_udp_checksum, wrong_checksum,
};
use penstock_refmodel::wire::{ACK, SYN};
use penstock_refmodel::{Egress, Ingress, RefModel};
use world::*;

/// A plain packet from the remote client to the backend's own address.
fn inner() -> Ipv4 {
    packet::udp(CLIENT, BACKEND, 5000, 53, b"hello, backend")
}

fn by_udp() -> Ipv4 {
    mpls_udp(NODE_A, NODE_B, 6635, mpls(24, 64), &inner().bytes())
}

fn by_gre(flags: u16) -> Ipv4 {
    mpls_gre(NODE_A, NODE_B, flags, mpls(24, 64), &inner().bytes())
}

fn arrives(b: &mut RefModel, frame: &[u8]) {
    sent(b.process(Ingress::Fabric, frame), Egress::Host(3));
}

fn passes_to_the_node(b: &mut RefModel, frame: &[u8]) {
    let out = sent(b.process(Ingress::Fabric, frame), Egress::Host(1));
    assert_eq!(out, frame, "unchanged");
}

fn refused(b: &mut RefModel, frame: &[u8], reason: DropReason) {
    dropped(b.process(Ingress::Fabric, frame), reason);
}

#[test]
fn only_untagged_frames_for_the_fabric_s_mac_are_decapsulated() {
    let mut b = node_b();
    let bytes = by_udp().bytes();
    let to = |dmac, vlan| ethernet(dmac, 1, vlan, 0x0800, &bytes);
    arrives(&mut b, &to(FABRIC_MAC, None));
    arrives(&mut b, &to(FABRIC_MAC, Some(0xe000)));
    passes_to_the_node(&mut b, &to(FABRIC_MAC, Some(7)));
    passes_to_the_node(&mut b, &to(FABRIC_MAC ^ 1, None));
    passes_to_the_node(&mut b, &to(0xffff_ffff_ffff, None));
    assert!(b.flows().len() == 2);
}

#[test]
fn pods_speak_to_the_gateway_and_untagged() {
    let mut b = node_b();
    let p = packet::udp(LOCAL_CLIENT, BACKEND, 1, 2, b"").bytes();
    let to = |dmac, vlan, kind| ethernet(dmac, 2, vlan, kind, &p);
    let gateway = 0x0000_5e00_0100;
    for (f, reason) in [
        (to(gateway, Some(5), 0x0800), DropReason::InvalidProtocol),
        (to(gateway, Some(5), 0x0806), DropReason::InvalidProtocol),
        (to(0xffff_ffff_ffff, None, 0x0800), DropReason::Discard),
        (to(0x0100_5e00_0100, None, 0x0800), DropReason::Discard),
        (to(gateway + 1, None, 0x0800), DropReason::NotForGateway),
        (to(0x0200_0000_0003, Some(0), 0x0800), DropReason::NotForGateway),
    ] {
        dropped(b.process(Ingress::Host(4), &f), reason);
    }
    sent(b.process(Ingress::Host(4), &to(gateway, Some(0x2000), 0x0800)), Egress::Host(3));
    let arp = to(0xffff_ffff_ffff, Some(0), 0x0806);
    sent(b.process(Ingress::Host(4), &arp), Egress::Firmware { reason: 1, vif: 4 });
}

#[test]
fn outer_headers_are_checked_in_order() {
    let mut b = node_b();
    let good = wire(&by_udp());
    arrives(&mut b, &good);
    // Checksum of the outer IPv4 header: before all else, fragments too.
    let mut f = good.clone();
    f[14 + 8] ^= 1;
    refused(&mut b, &f, DropReason::Checksum);
    // Total length beyond the frame, and too short for the label.
    let with_total = |total: u16, udp: u16| {
        let mut p = by_udp().bytes();
        p[2..4].copy_from_slice(&total.to_be_bytes());
        p[24..26].copy_from_slice(&udp.to_be_bytes());
        p[10..12].fill(0);
        let sum = checksum(&p[..20]);
        p[10..12].copy_from_slice(&sum.to_be_bytes());
        ethernet(FABRIC_MAC, 1, None, 0x0800, &p)
    };
    let total = by_udp().bytes().len() as u16;
    arrives(&mut b, &with_total(total, total - 20));
    refused(&mut b, &with_total(total + 1, total - 19), DropReason::InvalidPacket);
    refused(&mut b, &with_total(31, 11), DropReason::InvalidPacket);
    refused(&mut b, &with_total(total, total - 21), DropReason::InvalidPacket);
    // The inner packet ends with the outer one, however long the frame.
    refused(&mut b, &with_total(total - 1, total - 21), DropReason::InvalidPacket);
    // Trailing bytes are none of its.
    let mut f = good;
    f.extend_from_slice(&[0xee; 9]);
    arrives(&mut b, &f);
    assert_eq!(b.counters().dropped(DropReason::Checksum), 1);
}

#[test]
fn outer_checksums_of_udp_and_gre_are_believed_only_if_right() {
    let mut b = node_b();
    let mut p = by_udp();
    put_udp_checksum(&mut p);
    let mut f = wire(&p);
    f.extend_from_slice(&[0x77; 5]);
    arrives(&mut b, &f);
    let last = 14 + p.bytes().len() - 1;
    f[last] ^= 0x10;
    refused(&mut b, &f, DropReason::Checksum);

    let mut f = wire(&by_gre(0xa000));
    arrives(&mut b, &f);
    let last = f.len() - 1;
    f[last] ^= 0x10;
    refused(&mut b, &f, DropReason::Checksum);
}

#[test]
fn gre_bits_that_a_receiver_must_not_ignore() {
    let mut b = node_b();
    for bit in [0x4000, 0x1000, 0x0800, 0x0400] {
        refused(&mut b, &wire(&by_gre(bit)), DropReason::InvalidPacket);
    }
    for bit in (3..10).map(|b| 1 << b) {
        arrives(&mut b, &wire(&by_gre(bit)));
    }
    for version in [1, 2, 4] {
        passes_to_the_node(&mut b, &wire(&by_gre(version)));
    }
}

#[test]
fn fragments_of_tunnel_packets_are_dropped_others_pass() {
    let mut b = node_b();
    let part = |id, fragment, sip| wire(&Ipv4 { id, fragment, sip, ..by_udp() });
    let later = part(7, 0x0010, NODE_A);
    passes_to_the_node(&mut b, &later);
    let mut spoiled = part(7, 0x2000, NODE_A);
    spoiled[14 + 8] ^= 1;
    refused(&mut b, &spoiled, DropReason::Checksum);
    passes_to_the_node(&mut b, &later);
    refused(&mut b, &part(7, 0x2000, NODE_A), DropReason::Fragments);
    refused(&mut b, &later, DropReason::Fragments);
    refused(&mut b, &part(7, 0x2020, NODE_A), DropReason::Fragments);
    passes_to_the_node(&mut b, &part(8, 0x0010, NODE_A));
    passes_to_the_node(&mut b, &part(7, 0x0010, NODE_A + 5));
    // A first fragment of the node's own affairs.
    let own = packet::udp(NODE_A, NODE_B, 1, 53, b"dns");
    passes_to_the_node(&mut b, &wire(&Ipv4 { id: 9, fragment: 0x2000, ..own }));
    passes_to_the_node(&mut b, &part(9, 0x0010, NODE_A));
    // Eight are remembered.
    for id in 100..108 {
        refused(&mut b, &part(id, 0x2000, NODE_A), DropReason::Fragments);
    }
    passes_to_the_node(&mut b, &later);
    refused(&mut b, &part(100, 0x0001, NODE_A), DropReason::Fragments);
}

#[test]
fn an_inner_ttl_of_zero_does_not_arrive() {
    let mut b = node_b();
    for (ttl, arrives) in [(0, false), (1, true)] {
        let p = Ipv4 { ttl, ..inner() };
        let outcome = b.process(Ingress::Fabric, &from_a(24, &p));
        if arrives {
            assert_eq!(sent(outcome, Egress::Host(3))[14 + 8], 1);
        } else {
            dropped(outcome, DropReason::TtlExceeded);
        }
    }
}

#[test]
fn addresses_of_this_node_do_not_come_from_the_fabric() {
    let mut b = node_b();
    put_host_route(&mut b, VRF, LOCAL_CLIENT, NH_LOCAL, None, true);
    put_host_route(&mut b, VRF, VIP, NH_BACKEND, None, true);
    for sip in [LOCAL_CLIENT, VIP] {
        let p = packet::udp(sip, BACKEND, 5000, 53, b"");
        refused(&mut b, &from_a(24, &p), DropReason::InvalidSource);
    }
    arrives(&mut b, &from_a(24, &inner()));
    // A fragment's source is looked at, too.
    let p = Ipv4 { fragment: 0x2000, ..packet::udp(LOCAL_CLIENT, BACKEND, 1, 2, b"") };
    refused(&mut b, &from_a(24, &p), DropReason::InvalidSource);
}

#[test]
fn an_icmp_error_is_judged_by_the_far_end_of_its_flow() {
    let mut b = node_b();
    put_host_route(&mut b, VRF, LOCAL_CLIENT, NH_LOCAL, None, true);
    let answer = packet::udp(BACKEND, CLIENT, 53, 5000, b"answer");
    sent(b.process(Ingress::Host(3), &frame(&answer)), Egress::Fabric);
    // From any router, by the tunnel of the client: to the pod.
    let router = 0x0a63_0001;
    let error = packet::icmp(router, BACKEND, 11, 0, 0, &answer.bytes()[..28]);
    arrives(&mut b, &from_a(24, &error));
    // By another tunnel: not this flow's.
    let wrong = from(NODE_A + 9, 24, &error);
    let outcome = b.process(Ingress::Fabric, &wrong);
    assert_eq!(outcome.inserted, None, "it changes no flow");
    dropped(outcome, DropReason::InvalidSource);
    // About a packet to a pod of this node: no router of the fabric has seen that.
    let local = packet::udp(BACKEND, LOCAL_CLIENT, 53, 5000, b"answer");
    let error = packet::icmp(router, BACKEND, 11, 0, 0, &local.bytes()[..28]);
    refused(&mut b, &from_a(24, &error), DropReason::InvalidSource);
}

#[test]
fn martian_sources_are_dropped_from_everywhere() {
    let mut b = node_b();
    let vif = Vif { valid: true, kind: VifKind::Virtual, vrf: VRF, nh: NH_LOCAL, ..Vif::default() };
    b.write(TableId::Vif, 4, &vif.pack());
    for sip in [0, 0x7f00_0001, 0xe000_0001, 0xffff_ffff] {
        let p = packet::udp(sip, BACKEND, 5000, 53, b"");
        refused(&mut b, &from_a(24, &p), DropReason::InvalidSource);
        dropped(b.process(Ingress::Host(4), &frame(&p)), DropReason::InvalidSource);
        // The destination is looked at first.
        let p = packet::udp(sip, 0xe000_0001, 5000, 53, b"");
        dropped(b.process(Ingress::Host(4), &frame(&p)), DropReason::Discard);
    }
}

#[test]
fn nothing_leaves_longer_than_the_limit() {
    for gre in [false, true] {
        let mut a = node_a();
        let nh = NextHop { gre, ..tunnel_to(NODE_A, NODE_B) };
        a.write(TableId::NextHop, u32::from(NH_TUNNEL), &nh.pack());
        let header = if gre { 42 } else { 46 };
        let of = |data| frame(&packet::udp(CLIENT, VIP, 1, 8888, &vec![7; data]));
        let most = FRAME_MAX_BYTES - header - 28;
        dropped(a.process(Ingress::Host(3), &of(most + 1)), DropReason::EgressOversize);
        assert!(a.flows().is_empty(), "and asks for nothing");
        let out = sent(a.process(Ingress::Host(3), &of(most)), Egress::Fabric);
        assert_eq!(out.len(), FRAME_MAX_BYTES);
    }
}

/// The embedded TCP checksum is put right where it is embedded, and the ICMP checksum with it.
#[test]
fn an_embedded_tcp_checksum_is_translated_if_it_is_there() {
    for embedded_bytes in [20 + 8, 20 + 17, 20 + 18, 20 + 20] {
        let mut b = node_b();
        let syn = packet::tcp(CLIENT, VIP, 40000, 8888, SYN, b"");
        let delivered = sent(b.process(Ingress::Fabric, &from_a(25, &syn)), Egress::Host(3));
        let embedded = &delivered[14..14 + embedded_bytes];
        let error = packet::icmp(BACKEND, CLIENT, 3, 4, 1400, embedded);
        let out = sent(b.process(Ingress::Host(3), &frame(&error)), Egress::Fabric);
        let packet = &out[46..];
        assert_eq!(wrong_checksum(packet), None);
        let (got, client) = (&packet[28..], &syn.bytes()[..embedded_bytes]);
        assert_eq!(got.len(), embedded_bytes);
        // As the client sent it, its checksum too, but for one that is not there whole.
        let whole = if embedded_bytes >= 38 { embedded_bytes } else { embedded_bytes.min(36) };
        assert_eq!(got[12..whole], client[12..whole]);
    }
}

#[test]
fn fragments_at_groups_and_of_backends_are_dropped() {
    let mut a = node_a();
    let p = Ipv4 { fragment: 0x2000, ..packet::udp(CLIENT, VIP, 1, 8888, &[0; 16]) };
    dropped(a.process(Ingress::Host(3), &frame(&p)), DropReason::Fragments);

    let mut b = node_b();
    let p = Ipv4 { fragment: 0x00b9, ..packet::udp(BACKEND, CLIENT, 80, 5000, &[0; 16]) };
    sent(b.process(Ingress::Host(3), &frame(&p)), Egress::Fabric);
    mark(&mut b, 17, 0);
    dropped(b.process(Ingress::Host(3), &frame(&p)), DropReason::Fragments);
    let p = Ipv4 { proto: 6, ..p };
    sent(b.process(Ingress::Host(3), &frame(&p)), Egress::Fabric);
}

#[test]
fn a_reply_without_its_flow_does_not_leave_untranslated() {
    let mut b = node_b();
    mark(&mut b, 6, 80);
    let segment = |flags| frame(&packet::tcp(BACKEND, CLIENT, 80, 40000, flags, b""));
    dropped(b.process(Ingress::Host(3), &segment(SYN | ACK)), DropReason::FlowUnusable);
    dropped(b.process(Ingress::Host(3), &segment(ACK)), DropReason::FlowUnusable);
    sent(b.process(Ingress::Host(3), &segment(SYN)), Egress::Fabric);
    let other = packet::tcp(BACKEND, CLIENT, 81, 40000, ACK, b"");
    sent(b.process(Ingress::Host(3), &frame(&other)), Egress::Fabric);
    // A connection to the pod's own address and port passes, as its flow is there.
    let direct = packet::tcp(CLIENT, BACKEND, 40001, 80, SYN, b"");
    arrives(&mut b, &from_a(24, &direct));
    let reply = packet::tcp(BACKEND, CLIENT, 80, 40001, SYN | ACK, b"");
    sent(b.process(Ingress::Host(3), &frame(&reply)), Egress::Fabric);
}

#[test]
fn an_icmp_error_without_its_flow_does_not_tell_a_backends_address() {
    for (proto, about) in [
        (6, packet::tcp(CLIENT, BACKEND, 40000, 80, SYN, b"")),
        (17, packet::udp(CLIENT, BACKEND, 40000, 80, b"query")),
    ] {
        let mut b = node_b();
        mark(&mut b, proto, 80);
        let error = frame(&packet::icmp(BACKEND, CLIENT, 3, 3, 0, &about.bytes()));
        dropped(b.process(Ingress::Host(3), &error), DropReason::FlowUnusable);
        // Another port, which is not marked.
        let other = packet::udp(CLIENT, BACKEND, 40000, 81, b"query");
        let error = packet::icmp(BACKEND, CLIENT, 3, 3, 0, &other.bytes());
        sent(b.process(Ingress::Host(3), &frame(&error)), Egress::Fabric);
        // A flow of the pod's own address tells nothing that its end points do not know.
        arrives(&mut b, &from_a(24, &about));
        let error = frame(&packet::icmp(BACKEND, CLIENT, 3, 3, 0, &about.bytes()));
        sent(b.process(Ingress::Host(3), &error), Egress::Fabric);
    }
}
