//! Floating IPs without port map.

use penstock_abi::reason::DropReason;
use penstock_abi::table::*;
use penstock_refmodel::insert::Inserted;
use penstock_refmodel::packet::{Ipv4, echo, icmp, sctp, tcp, udp};
use penstock_refmodel::wire::SYN;
use penstock_refmodel::{Egress, Fault, RefModel};
use penstock_tables::{PrefixPart, Shape};

use crate::lab::*;
use crate::world::*;

stories![
    every_protocol_reaches_the_pod,
    a_port_map_comes_first,
    what_a_pod_begins_leaves_under_its_floating_ip,
    the_longest_route_over_both_networks_wins,
    replies_stay_in_the_pod_s_own_network,
    a_gateway_less_changes_the_way_only,
    only_the_pod_s_own_address_is_translated,
    a_pod_reaches_itself_through_its_floating_ip,
    an_entry_of_no_use_lets_nothing_out_by_the_wrong_network,
];

const FLOATING: u32 = 0xc633_640a; // 198.51.100.10
const PUBLIC: u16 = 100;
const GATEWAY: u32 = 0x0aa9_1901;
const MAP: u16 = 40;
const FLOATING_LABEL: u32 = 55;
const LENGTHS: [u8; 8] = penstock_tables::prefix::PREFIX_LENGTHS;

/// The pod has a floating IP of a public network, whose default route is a gateway.
fn public(fault: Option<Fault>) -> RefModel {
    let mut m = lab(fault);
    let entry = Vrf { valid: true, ..Vrf::default() };
    m.write(TableId::Vrf, PUBLIC.into(), &entry.pack());
    tunnel(&mut m, 71, GATEWAY);
    source(&mut m, 6, GATEWAY);
    default_route(&mut m, PUBLIC, 71, 91, 6);
    mapping(&mut m, MAP, (POD, 0), (FLOATING, 0));
    put(&mut m, PlainFip { valid: true, vif: POD_VIF, ip: FLOATING, map: MAP });
    label(&mut m, FLOATING_LABEL, NH_CLIENT, PUBLIC, false);
    route(&mut m, PUBLIC, FLOATING, NH_CLIENT, None, 0);
    let pod = m.tables().vif(POD_VIF);
    let pod = Vif { egress: true, egress_vrf: PUBLIC, egress_map: MAP, ..pod };
    m.write(TableId::Vif, POD_VIF.into(), &pod.pack());
    for (rank, len) in (0..).zip(LENGTHS) {
        m.write(TableId::PrefixLength, rank, &PrefixLength { valid: true, len }.pack());
    }
    m
}

/// A prefix as the host writes it: in parts of the length of a table.
fn prefix(m: &mut RefModel, vrf: u16, ip: u32, len: u8, nh: u16, label: u32) {
    for part in penstock_tables::prefix::prefix_parts(vrf, ip, len) {
        let entry = Prefix {
            valid: true,
            vrf,
            ip: part.ip,
            len,
            nh,
            label,
            label_valid: true,
            sources: OF_B,
        };
        let place = PrefixPart::places(part, Shape::default()).next().expect("it has places");
        assert!(m.write(TableId::Prefix, place, &entry.pack()));
    }
}

/// By the gateway to the floating IP.
fn from_outside(m: &mut RefModel, packet: &Ipv4) -> Vec<u8> {
    left(by_tunnel(m, GATEWAY, FLOATING_LABEL, packet), HOST_POD)
}

fn every_protocol_reaches_the_pod(fault: Option<Fault>) {
    let mut m = public(fault);
    for packet in [
        tcp(OUTSIDE, FLOATING, 4000, 80, SYN, b""),
        udp(OUTSIDE, FLOATING, 4000, 53, b""),
        sctp(OUTSIDE, FLOATING, 4000, 36412, b""),
        echo(OUTSIDE, FLOATING, 8, 77, b""),
        Ipv4::new(OUTSIDE, FLOATING, 50, vec![0; 16]),
    ] {
        let proto = packet.proto;
        let out = from_outside(&mut m, &packet);
        assert_eq!((u32_at(&out, 12), u32_at(&out, 16)), (OUTSIDE, POD), "{proto}");
        assert_eq!(out[20..24], packet.payload[..4], "the ports stay");
        let mut reply = Ipv4 { sip: POD, dip: OUTSIDE, ..packet };
        match proto {
            1 => reply = echo(POD, OUTSIDE, 0, 77, b""),
            50 => {}
            _ => {
                let ports: Vec<u8> = reply.payload[..4].to_vec();
                reply.payload[..2].copy_from_slice(&ports[2..]);
                reply.payload[2..4].copy_from_slice(&ports[..2]);
            }
        }
        let out = from_vif(&mut m, POD_VIF, &reply);
        assert_eq!(u32_at(&sent(out.clone(), Egress::Fabric), 46 + 12), FLOATING, "{proto}");
        assert_eq!(way(out), (GATEWAY, 91));
    }
    assert_eq!(flags(&m, &key(NH_CLIENT, 17, OUTSIDE, FLOATING, 4000, 53)), "D");
    assert_eq!(flags(&m, &key(NH_CLIENT, 17, POD, OUTSIDE, 53, 4000)), "S");
    assert_eq!(flags(&m, &key(NH_CLIENT, 50, OUTSIDE, FLOATING, 0, 0)), "D");
    // What cannot be answered.
    let timestamp = icmp(OUTSIDE, FLOATING, 13, 0, 0, b"0123456789ab");
    let fragment = Ipv4 { fragment: 1, ..udp(OUTSIDE, FLOATING, 1, 2, b"") };
    let out = by_tunnel(&mut m, GATEWAY, FLOATING_LABEL, &timestamp);
    dropped(out, DropReason::NoFipPortMap);
    dropped(by_tunnel(&mut m, GATEWAY, FLOATING_LABEL, &fragment), DropReason::Fragments);
    // An error about a reply.
    let embedded = udp(FLOATING, OUTSIDE, 53, 4000, b"").bytes();
    let out = from_outside(&mut m, &icmp(0x0a09_0909, FLOATING, 11, 0, 0, &embedded));
    assert_eq!((u32_at(&out, 16), u32_at(&out, 28 + 12)), (POD, POD));
}

fn a_port_map_comes_first(fault: Option<Fault>) {
    let mut m = public(fault);
    mapping(&mut m, 41, (POD, 8080), (FLOATING, 80));
    put(&mut m, FipKey { valid: true, vif: POD_VIF, proto: 6, ip: FLOATING, port: 80, map: 41 });
    let out = from_outside(&mut m, &tcp(OUTSIDE, FLOATING, 4000, 80, SYN, b""));
    assert_eq!(told(&out), (OUTSIDE, POD, 4000, 8080));
    let out = from_outside(&mut m, &tcp(OUTSIDE, FLOATING, 4000, 81, SYN, b""));
    assert_eq!(told(&out), (OUTSIDE, POD, 4000, 81));
}

fn what_a_pod_begins_leaves_under_its_floating_ip(fault: Option<Fault>) {
    let mut m = public(fault);
    let packet = udp(POD, OUTSIDE, 1000, 53, b"");
    for _ in 0..2 {
        let out = from_vif(&mut m, POD_VIF, &packet);
        assert_eq!(way(out.clone()), (GATEWAY, 91));
        assert_eq!(told(&left(out, Egress::Fabric)), (FLOATING, OUTSIDE, 1000, 53));
    }
    let out = from_outside(&mut m, &udp(OUTSIDE, FLOATING, 53, 1000, b""));
    assert_eq!(told(&out), (OUTSIDE, POD, 53, 1000));
    assert_eq!(flags(&m, &key(NH_CLIENT, 17, POD, OUTSIDE, 1000, 53)), "S");
    assert_eq!(flags(&m, &key(NH_CLIENT, 17, OUTSIDE, FLOATING, 53, 1000)), "D");
    let forward = m.flows().get(&key(NH_CLIENT, 17, POD, OUTSIDE, 1000, 53)).copied();
    assert_eq!(forward.map(|f| (f.vrf, f.dvrf)), Some((VRF, PUBLIC)));
    // The pod complains about the answer.
    let embedded = udp(OUTSIDE, POD, 53, 1000, b"").bytes();
    let error = icmp(POD, OUTSIDE, 3, 3, 0, &embedded);
    let out = left(from_vif(&mut m, POD_VIF, &error), Egress::Fabric);
    assert_eq!((u32_at(&out, 12), u32_at(&out, 28 + 16)), (FLOATING, FLOATING));
    // A ping, and what cannot be answered.
    let out = from_vif(&mut m, POD_VIF, &echo(POD, OUTSIDE, 8, 5, b""));
    assert_eq!(u32_at(&left(out, Egress::Fabric), 12), FLOATING);
    let fragment = Ipv4 { fragment: 0x2000, ..udp(POD, OUTSIDE, 1, 2, b"") };
    dropped(from_vif(&mut m, POD_VIF, &fragment), DropReason::Fragments);
    let embedded = udp(OUTSIDE, POD, 53, 2000, b"").bytes();
    let error = icmp(POD, OUTSIDE, 3, 3, 0, &embedded);
    dropped(from_vif(&mut m, POD_VIF, &error), DropReason::NoFipPortMap);
    // The floating IP goes: nothing leaves without it.
    m.write(TableId::FipMap, MAP.into(), &Words::default());
    dropped(from_vif(&mut m, POD_VIF, &packet), DropReason::NoFipPortMap);
}

fn the_longest_route_over_both_networks_wins(fault: Option<Fault>) {
    let mut m = public(fault);
    let leaves_as = |m: &mut RefModel, dip: u32| {
        let out = from_vif(m, POD_VIF, &udp(POD, dip, 1000, 53, b""));
        u32_at(&left(out, Egress::Fabric), 12)
    };
    // Equal: the pod's own.
    prefix(&mut m, VRF, 0xcb00_7100, 24, NH_TUNNEL, 25);
    prefix(&mut m, PUBLIC, 0xcb00_7100, 24, 71, 91);
    assert_eq!(leaves_as(&mut m, 0xcb00_7105), POD);
    // Longer than the pod's own default.
    default_route(&mut m, VRF, NH_TUNNEL, 25, OF_B);
    prefix(&mut m, PUBLIC, 0xcb00_7200, 24, 71, 91);
    assert_eq!(leaves_as(&mut m, 0xcb00_7205), FLOATING);
    assert_eq!(leaves_as(&mut m, OUTSIDE), POD);
    // Lengths that stand in one table.
    prefix(&mut m, VRF, 0xcb00_7400, 23, NH_TUNNEL, 25);
    prefix(&mut m, PUBLIC, 0xcb00_7500, 24, 71, 91);
    assert_eq!(leaves_as(&mut m, 0xcb00_7505), FLOATING);
    assert_eq!(leaves_as(&mut m, 0xcb00_7405), POD);
}

fn replies_stay_in_the_pod_s_own_network(fault: Option<Fault>) {
    let mut m = public(fault);
    // From another node to the pod's own address; the way back is a default route, and the public network's is longer.
    default_route(&mut m, VRF, NH_TUNNEL, 25, OF_B);
    prefix(&mut m, PUBLIC, 0xcb00_7200, 24, 71, 91);
    let peer = 0xcb00_7205;
    sent(by_tunnel(&mut m, NODE_B, 30, &tcp(peer, POD, 4000, 80, SYN, b"")), HOST_POD);
    let out = from_vif(&mut m, POD_VIF, &tcp(POD, peer, 80, 4000, 0x12, b""));
    assert_eq!(way(out.clone()), (NODE_B, 25));
    assert_eq!(told(&left(out, Egress::Fabric)), (POD, peer, 80, 4000));
}

fn a_gateway_less_changes_the_way_only(fault: Option<Fault>) {
    let mut m = public(fault);
    let other = 0x0aa9_1902;
    tunnel(&mut m, 72, other);
    tunnels(&mut m, 70, 700, &[(71, 91), (72, 92)]);
    default_route(&mut m, PUBLIC, 70, 0, 6);
    let packet = udp(POD, OUTSIDE, 1000, 53, b"");
    let first = way(from_vif(&mut m, POD_VIF, &packet));
    // The one that it took goes; the other is all that is left.
    let (gone, stays) = if first.0 == GATEWAY { (700, (72, 92)) } else { (701, (71, 91)) };
    m.write(TableId::Ecmp, gone, &EcmpSlot { generation: 1, ..EcmpSlot::default() }.pack());
    let word = EcmpSlot {
        valid: true,
        nh: stays.0,
        label: stays.1,
        generation: 1,
        slot: u16::from(gone == 700),
        ..EcmpSlot::default()
    };
    for at in [702, 703] {
        m.write(TableId::Ecmp, at, &word.pack());
    }
    let out = from_vif(&mut m, POD_VIF, &packet);
    assert_ne!(way(out.clone()), first);
    assert_eq!(told(&left(out, Egress::Fabric)), (FLOATING, OUTSIDE, 1000, 53));
    assert_eq!(flags(&m, &key(NH_CLIENT, 17, POD, OUTSIDE, 1000, 53)), "S");
}

fn only_the_pod_s_own_address_is_translated(fault: Option<Fault>) {
    let mut m = public(fault);
    let pod = Vif { rpf: false, ..m.tables().vif(POD_VIF) };
    m.write(TableId::Vif, POD_VIF.into(), &pod.pack());
    let out = from_vif(&mut m, POD_VIF, &udp(POD + 9, OUTSIDE, 1000, 53, b""));
    dropped(out, DropReason::InvalidSource);
}

fn a_pod_reaches_itself_through_its_floating_ip(fault: Option<Fault>) {
    let mut m = public(fault);
    let out = from_vif(&mut m, POD_VIF, &tcp(POD, FLOATING, 1000, 80, SYN, b""));
    assert_eq!(told(&left(out, HOST_POD)), (FLOATING, POD, 1000, 80));
    let out = from_vif(&mut m, POD_VIF, &tcp(POD, FLOATING, 80, 1000, 0x12, b""));
    assert_eq!(told(&left(out, HOST_POD)), (FLOATING, POD, 80, 1000));
    assert_eq!(flags(&m, &key(NH_CLIENT, 6, POD, FLOATING, 1000, 80)), "SD");
    assert_eq!(flags(&m, &key(NH_CLIENT, 6, POD, FLOATING, 80, 1000)), "SD");
    // The neighbour on this node sees the floating IP as well.
    route(&mut m, VRF, FLOATING, NH_CLIENT, None, 0);
    let out = from_vif(&mut m, OTHER_VIF, &tcp(OTHER, FLOATING, 1000, 80, SYN, b""));
    assert_eq!(told(&left(out, HOST_POD)), (OTHER, POD, 1000, 80));
    let out = from_vif(&mut m, POD_VIF, &tcp(POD, OTHER, 80, 1000, 0x12, b""));
    assert_eq!(told(&left(out, HOST_OTHER)), (FLOATING, OTHER, 80, 1000));
}

fn an_entry_of_no_use_lets_nothing_out_by_the_wrong_network(fault: Option<Fault>) {
    const ANOTHER: u16 = 101;
    let mut m = public(fault);
    let packet = udp(POD, OUTSIDE, 1000, 53, b"");
    left(from_vif(&mut m, POD_VIF, &packet), Egress::Fabric);
    // Another public network, and the floating IP another one of it: the mapping of the flow is gone.
    default_route(&mut m, ANOTHER, 71, 92, 6);
    let pod = Vif { egress_vrf: ANOTHER, ..m.tables().vif(POD_VIF) };
    m.write(TableId::Vif, POD_VIF.into(), &pod.pack());
    let (pod, vip) = ((POD, 0), (FLOATING + 1, 0));
    mapping(&mut m, MAP, pod, vip);
    let mapping = m.tables().fip_map(MAP).expect("it was written");
    let next = FipMap { generation: mapping.generation + 1, ..mapping };
    m.write(TableId::FipMap, MAP.into(), &next.pack());
    // An error about it asks for nothing.
    let embedded = udp(OUTSIDE, POD, 53, 1000, b"").bytes();
    let out = from_vif(&mut m, POD_VIF, &icmp(POD, OUTSIDE, 3, 3, 0, &embedded));
    assert_eq!(out.inserted, None);
    dropped(out, DropReason::FlowUnusable);
    let out = from_vif(&mut m, POD_VIF, &packet);
    assert_eq!(out.inserted, Some(Inserted::Deleted));
    dropped(out, DropReason::FlowUnusable);
    let out = from_vif(&mut m, POD_VIF, &packet);
    assert_eq!(way(out.clone()), (GATEWAY, 92));
    assert_eq!(told(&left(out, Egress::Fabric)), (FLOATING + 1, OUTSIDE, 1000, 53));
}
