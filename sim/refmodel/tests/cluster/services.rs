//! Services by port.

use penstock_abi::reason::DropReason;
use penstock_abi::table::*;
use penstock_refmodel::packet::{Ipv4, echo, icmp, tcp, udp};
use penstock_refmodel::wire::{ACK, SYN};
use penstock_refmodel::{Egress, Fault, RefModel, Verdict};

use crate::lab::*;
use crate::world::*;

stories![
    two_ports_of_one_service_are_on_different_pods,
    a_port_that_nobody_has_is_refused_or_dropped,
    a_label_leads_to_members_of_this_node,
    a_reply_is_routed_where_the_floating_ip_lives,
    a_member_s_new_mapping_counts_at_once,
    keys_of_labels_are_not_for_vifs,
    a_pod_reaches_itself_through_its_service,
];

/// 8080 is served by a pod here and one there, 9100 by the one here alone.
pub(crate) fn two_ports(fault: Option<Fault>) -> RefModel {
    let mut m = lab(fault);
    mapping(&mut m, 1, (OTHER, 80), (SERVICE, 8080));
    mapping(&mut m, 2, (OTHER, 9101), (SERVICE, 9100));
    members(&mut m, 61, 620, &[(NH_LOCAL, 2)]);
    // Both: the word of the pod here has its mapping, that of the other its label.
    tunnels(&mut m, 60, 600, &[(NH_LOCAL, 1), (NH_TUNNEL, 25)]);
    for at in [600, 602] {
        let word = EcmpSlot {
            valid: true,
            nh: NH_LOCAL,
            label: 1,
            generation: 1,
            local: true,
            ..EcmpSlot::default()
        };
        m.write(TableId::Ecmp, at, &word.pack());
    }
    members(&mut m, 62, 640, &[(NH_LOCAL, 1)]);
    service(&mut m, SERVICE, 8080, 60, 62);
    service(&mut m, SERVICE, 9100, 61, 61);
    address(&mut m, SERVICE, 60, ServiceAddress::Reject, OF_B);
    m
}

fn two_ports_of_one_service_are_on_different_pods(fault: Option<Fault>) {
    let mut m = two_ports(fault);
    let (mut here, mut there) = (0, 0);
    for port in 1000..1040 {
        let to = |dport| tcp(POD, SERVICE, port, dport, SYN, b"");
        let out = from_vif(&mut m, POD_VIF, &to(8080));
        match &out.verdict {
            Verdict::Sent { egress: Egress::Fabric, .. } => {
                assert_eq!(way(out), (NODE_B, 25));
                there += 1;
            }
            _ => {
                assert_eq!(told(&left(out, HOST_OTHER)), (POD, OTHER, port, 80));
                here += 1;
            }
        }
        let out = from_vif(&mut m, POD_VIF, &to(9100));
        assert_eq!(told(&left(out, HOST_OTHER)), (POD, OTHER, port, 9101));
        let reply = tcp(OTHER, POD, 9101, port, SYN | ACK, b"");
        let out = from_vif(&mut m, OTHER_VIF, &reply);
        assert_eq!(told(&left(out, HOST_POD)), (SERVICE, POD, 9100, port));
    }
    assert!(here > 5 && there > 5, "{here} here, {there} there");
    assert_eq!(flags(&m, &key(NH_CLIENT, 6, POD, SERVICE, 1000, 9100)), "DPd");
    assert_eq!(flags(&m, &key(NH_LOCAL, 6, OTHER, POD, 9101, 1000)), "SPs");
}

fn a_port_that_nobody_has_is_refused_or_dropped(fault: Option<Fault>) {
    let mut m = two_ports(fault);
    // A port of which no endpoint is left.
    service(&mut m, SERVICE, 7000, NH_REJECT, 0);
    let external = 0xc633_6407; // 198.51.100.7
    address(&mut m, external, 60, ServiceAddress::Drop, OF_B);
    service(&mut m, external, 8080, 61, 61);
    let fragment = Ipv4 { fragment: 0x2000, ..udp(POD, SERVICE, 1, 8080, b"") };
    for packet in [
        tcp(POD, SERVICE, 1000, 81, SYN, b""),
        udp(POD, SERVICE, 1000, 9101, b""),
        echo(POD, SERVICE, 8, 7, b""),
        Ipv4::new(POD, SERVICE, 50, vec![0; 8]),
        tcp(POD, SERVICE, 1000, 7000, SYN, b""),
    ] {
        refused(from_vif(&mut m, POD_VIF, &packet), POD_VIF);
        let packet = Ipv4 { dip: external, ..packet };
        let out = from_vif(&mut m, POD_VIF, &packet);
        dropped(out, DropReason::NoFipPortMap);
    }
    dropped(from_vif(&mut m, POD_VIF, &fragment), DropReason::Fragments);
    // Wherever its route leads.
    let other = SERVICE + 5;
    address(&mut m, other, NH_VHOST, ServiceAddress::Reject, 0);
    let fragment = Ipv4 { dip: other, ..fragment };
    dropped(from_vif(&mut m, POD_VIF, &fragment), DropReason::Fragments);
    // The sisters serve.
    sent(from_vif(&mut m, POD_VIF, &tcp(POD, SERVICE, 999, 9100, SYN, b"")), HOST_OTHER);
    sent(from_vif(&mut m, POD_VIF, &tcp(POD, external, 998, 8080, SYN, b"")), HOST_OTHER);
    // An address of the range that is not given out.
    let part = penstock_tables::PrefixPart { rank: 5, vrf: VRF, ip: SERVICE & 0xffff_0000 };
    let at = part.places(penstock_tables::Shape::default()).next().expect("every part has places");
    m.write(TableId::PrefixLength, 5, &PrefixLength { valid: true, len: 16 }.pack());
    let discard = Prefix { valid: true, vrf: VRF, ip: part.ip, len: 16, ..Prefix::default() };
    m.write(TableId::Prefix, at, &discard.pack());
    let none = NextHop { valid: true, kind: NextHopKind::Discard, ..NextHop::default() };
    m.write(TableId::NextHop, 0, &none.pack());
    let unallocated = tcp(POD, SERVICE + 1, 1000, 80, SYN, b"");
    dropped(from_vif(&mut m, POD_VIF, &unallocated), DropReason::Discard);
}

fn a_label_leads_to_members_of_this_node(fault: Option<Fault>) {
    let mut m = two_ports(fault);
    label(&mut m, 50, NH_VHOST, VRF, true);
    service(&mut m, SERVICE, 9200, 60, 0);
    for port in 1000..1020 {
        let out = by_tunnel(&mut m, NODE_B, 50, &udp(BACKEND, SERVICE, port, 8080, b""));
        assert_eq!(told(&left(out, HOST_OTHER)), (BACKEND, OTHER, port, 80));
    }
    for (packet, reason) in [
        (udp(BACKEND, SERVICE, 1, 9200, b""), DropReason::NoFipPortMap),
        (udp(BACKEND, SERVICE, 1, 9300, b""), DropReason::NoFipPortMap),
        (echo(BACKEND, SERVICE, 8, 1, b""), DropReason::NoFipPortMap),
        // For nobody's floating IP: the label leads to no pod.
        (udp(BACKEND, OTHER, 1, 80, b""), DropReason::NoFipPortMap),
        (udp(BACKEND, SERVICE + 1, 1, 8080, b""), DropReason::NoFipPortMap),
        (Ipv4 { fragment: 1, ..udp(BACKEND, SERVICE, 1, 8080, b"") }, DropReason::Fragments),
    ] {
        dropped(by_tunnel(&mut m, NODE_B, 50, &packet), reason);
    }
    // An ICMP error about a reply finds the flow.
    let embedded = udp(SERVICE, BACKEND, 8080, 1000, b"").bytes();
    let error = icmp(BACKEND, SERVICE, 3, 3, 0, &embedded);
    let out = left(by_tunnel(&mut m, NODE_B, 50, &error), HOST_OTHER);
    assert_eq!((u32_at(&out, 16), u32_at(&out, 28 + 12)), (OTHER, OTHER));
}

fn a_reply_is_routed_where_the_floating_ip_lives(fault: Option<Fault>) {
    let mut m = two_ports(fault);
    // The backend lives in a network that knows nothing of the client, but has a service at its very address and port.
    let apart = 77;
    let vif = Vif { vrf: apart, ..m.tables().vif(OTHER_VIF) };
    m.write(TableId::Vif, OTHER_VIF.into(), &vif.pack());
    check_sources(&mut m, apart, SourceCheck::Strict);
    service(&mut m, POD, 1000, NH_REJECT, 0);
    let out = from_vif(&mut m, POD_VIF, &tcp(POD, SERVICE, 1000, 9100, SYN, b""));
    sent(out, HOST_OTHER);
    let forward = m.flows().get(&key(NH_CLIENT, 6, POD, SERVICE, 1000, 9100)).copied();
    assert_eq!(forward.map(|f| (f.vrf, f.dvrf)), Some((VRF, apart)));
    let out = from_vif(&mut m, OTHER_VIF, &tcp(OTHER, POD, 9101, 1000, SYN | ACK, b""));
    assert_eq!(told(&left(out, HOST_POD)), (SERVICE, POD, 9100, 1000));
}

fn a_member_s_new_mapping_counts_at_once(fault: Option<Fault>) {
    let mut m = two_ports(fault);
    let to = tcp(POD, SERVICE, 1000, 9100, ACK, b"");
    sent(from_vif(&mut m, POD_VIF, &to), HOST_OTHER);
    // The old mapping stands until its tombstone is written.
    mapping(&mut m, 3, (OTHER, 9200), (SERVICE, 9100));
    members(&mut m, 61, 620, &[(NH_LOCAL, 3)]);
    let out = from_vif(&mut m, POD_VIF, &to);
    assert_eq!(told(&left(out, HOST_OTHER)), (POD, OTHER, 1000, 9200));
}

fn keys_of_labels_are_not_for_vifs(fault: Option<Fault>) {
    let mut m = two_ports(fault);
    let ip = 0xac14_0063;
    mapping(&mut m, 9, (OTHER, 80), (ip, 80));
    put(&mut m, FipKey { valid: true, vif: OTHER_VIF, proto: 17, ip, port: 80, map: 9 });
    route(&mut m, VRF, ip, NH_LOCAL, None, 0);
    let to = |sip| udp(sip, ip, 1000, 80, b"");
    dropped(from_vif(&mut m, POD_VIF, &to(POD)), DropReason::NoFipPortMap);
    let out = by_tunnel(&mut m, NODE_B, 27, &to(BACKEND));
    assert_eq!(told(&left(out, HOST_OTHER)), (BACKEND, OTHER, 1000, 80));
}

fn a_pod_reaches_itself_through_its_service(fault: Option<Fault>) {
    let mut m = two_ports(fault);
    let out = from_vif(&mut m, OTHER_VIF, &tcp(OTHER, SERVICE, 1000, 9100, SYN, b""));
    assert_eq!(told(&left(out, HOST_OTHER)), (SERVICE, OTHER, 1000, 9101));
    let out = from_vif(&mut m, OTHER_VIF, &tcp(OTHER, SERVICE, 9101, 1000, SYN | ACK, b""));
    assert_eq!(told(&left(out, HOST_OTHER)), (SERVICE, OTHER, 9100, 1000));
    assert_eq!(flags(&m, &key(NH_LOCAL, 6, OTHER, SERVICE, 1000, 9100)), "SDPd");
    assert_eq!(flags(&m, &key(NH_LOCAL, 6, OTHER, SERVICE, 9101, 1000)), "SDPs");
}
