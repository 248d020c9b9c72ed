//! The views with the chapter's names and addresses, compared with what vRouter's tools print for the same state.
#![allow(clippy::unwrap_used)]

use std::net::{IpAddr, Ipv4Addr};

use penstock_abi::affinity::timeout;
use penstock_abi::hash::FIELD_ALL;
use penstock_abi::limits::{FLOWS, SOURCES_KNOWN};
use penstock_abi::reason::{CardCounter, DropReason};
use penstock_abi::table::*;
use penstock_tables::{Entry, Shape, Tables};
use penstock_views::{
    CardState, address, drops, flow, listener, mpls, next_hop, overlay, route, service, vif, way,
};

const GATEWAY: u64 = 0x0000_5e00_0100;

fn ip(text: &str) -> u32 {
    text.parse::<Ipv4Addr>().unwrap().into()
}

/// Node cent222: the client behind vif 7, a backend behind vif 8, the other backend on cent333.
fn cent222() -> CardState {
    let tables = Tables::new(Shape { ecmp_words: 1 << 16, ..Shape::default() });
    let mut s = CardState { tables, ..CardState::default() };
    let pod_mac = |last: u64| 0x0200_0a2f_ff00 | last;
    s.vif_names.insert(7, "tapeth0-304431".into());
    s.vif_names.insert(8, "tapeth0-baa392".into());
    s.tables.put(
        0,
        Vif {
            valid: true,
            kind: VifKind::Fabric,
            mac: 0x0200_0aa9_1914,
            ip: ip("10.169.25.20"),
            ..Vif::default()
        },
    );
    s.tables.put(
        1,
        Vif {
            valid: true,
            kind: VifKind::Vhost,
            mac: 0x0200_0aa9_1914,
            ip: ip("10.169.25.20"),
            ..Vif::default()
        },
    );
    let pod = |nh, last: u64, addr| Vif {
        valid: true,
        kind: VifKind::Virtual,
        vrf: 4,
        nh,
        mac: pod_mac(last),
        ip: ip(addr),
        rpf: true,
        learn: LearnPolicy::Always,
        ..Vif::default()
    };
    s.tables.put(7, pod(29, 0xed, "10.47.255.237"));
    s.tables.put(8, pod(37, 0xec, "10.47.255.236"));
    s.tables.put(
        8,
        VifStats { rx_packets: 186, rx_bytes: 7823, tx_packets: 2193, tx_bytes: 93164, drops: 2 },
    );
    let encap = |vif, last: u64| NextHop {
        valid: true,
        kind: NextHopKind::Encap,
        vif,
        dmac: pod_mac(last),
        smac: GATEWAY,
        ..NextHop::default()
    };
    s.tables.put(0, NextHop { valid: true, ..NextHop::default() });
    s.tables.put(29, encap(7, 0xed));
    s.tables.put(37, encap(8, 0xec));
    s.tables.put(
        51,
        NextHop {
            valid: true,
            kind: NextHopKind::Tunnel,
            dmac: 0x0200_0aa9_1915,
            smac: 0x0200_0aa9_1914,
            sip: ip("10.169.25.20"),
            dip: ip("10.169.25.21"),
            ..NextHop::default()
        },
    );
    s.tables.put(
        87,
        NextHop {
            valid: true,
            kind: NextHopKind::Composite,
            base: 65535,
            slots: 3,
            live: 2,
            hash_fields: FIELD_ALL,
            ..NextHop::default()
        },
    );
    // The group's words wrap around the end of the ring memory; slot 1 is a hole.
    let member = |nh, label, slot| EcmpSlot {
        valid: true,
        nh,
        label,
        slot,
        generation: 1,
        ..EcmpSlot::default()
    };
    s.tables.put(65535, member(51, 43, 0));
    // A member of this node brings its mapping.
    let here = EcmpSlot { local: true, ..member(37, 5, 2) };
    s.tables.put(1, here);
    // Behind the slots, those that take new flows.
    s.tables.put(2, member(51, 43, 0));
    s.tables.put(3, here);
    // What comes by the floating IP's label goes to the members of this node.
    let of_node = NextHop { base: 200, slots: 1, live: 1, ..*s.tables.get::<NextHop>(87).unwrap() };
    s.tables.put(88, of_node);
    s.tables.put(200, EcmpSlot { slot: 0, ..here });
    s.tables.put(201, EcmpSlot { slot: 0, ..here });
    s.tables.put(4, Vrf { valid: true, service_net: 4, source_check: SourceCheck::Strict });
    let vip = ip("10.105.139.153");
    let key = ServiceKey {
        valid: true,
        net: 4,
        proto: 6,
        ip: vip,
        port: 8888,
        nh: 87,
        local: 88,
        affinity: 0,
    };
    s.tables.put(41, key);
    s.tables.put(17, TunnelSource { valid: true, set: 7, ip: ip("10.169.25.21") });
    s.tables.put(25, Ilm { valid: true, nh: 29, key_nh: 29, vrf: 4, service: false });
    s.tables.put(28, Ilm { valid: true, nh: 37, key_nh: 37, vrf: 4, service: false });
    s.tables.put(33, Ilm { valid: true, nh: 0, key_nh: 87, vrf: 4, service: true });
    let host =
        |addr, nh| HostRoute { valid: true, vrf: 4, ip: ip(addr), nh, ..HostRoute::default() };
    let service = ServiceAddress::Reject;
    s.tables.put(900, HostRoute { service, sources: 7, ..host("10.105.139.153", 87) });
    s.tables.put(12, host("10.47.255.237", 29));
    s.tables.put(
        13,
        HostRoute { label: 43, label_valid: true, sources: 7, ..host("10.47.255.238", 51) },
    );
    s.tables.put(14, HostRoute { vrf: 5, ..host("10.1.1.1", 29) });
    s.tables.put(
        3,
        Prefix {
            valid: true,
            vrf: 4,
            ip: ip("10.32.0.0"),
            len: 12,
            nh: 0,
            label: 0,
            label_valid: false,
            sources: 0,
        },
    );
    s.tables.put(
        77,
        FipKey { valid: true, vif: 8, proto: 6, ip: ip("10.105.139.153"), port: 8888, map: 5 },
    );
    s.tables.put(
        5,
        FipMap {
            valid: true,
            generation: 3,
            pod_ip: ip("10.47.255.236"),
            pod_port: 80,
            vip: ip("10.105.139.153"),
            vip_port: 8888,
        },
    );
    let forward = Flow {
        valid: true,
        nh: 29,
        proto: 6,
        sip: ip("10.47.255.237"),
        dip: ip("10.105.139.153"),
        sport: 42332,
        dport: 8888,
        ecmp_valid: true,
        ecmp_slot: 0,
        ecmp_generation: 1,
        pair: 617,
        generation: 1,
        vrf: 4,
        dvrf: 4,
        src_info: 7,
        rpf_nh: 29,
        ..Flow::default()
    };
    let reply = Flow {
        valid: true,
        nh: 29,
        proto: 6,
        sip: ip("10.105.139.153"),
        dip: ip("10.47.255.237"),
        sport: 8888,
        dport: 42332,
        reverse: true,
        pair: 617,
        generation: 1,
        vrf: 4,
        dvrf: 4,
        src_info: ip("10.169.25.21"),
        rpf_nh: 87,
        ..Flow::default()
    };
    s.tables.put(1234, forward);
    s.tables.put(39888, reply);
    let stats =
        |packets, bytes| FlowStats { packets, bytes, tcp: TCP_SYN | TCP_ESTABLISHED, last_hit: 9 };
    s.tables.put(1234, stats(7, 500));
    s.tables.put(39888, stats(36_000, 54_000_000));
    s.tables.set(CardCounter::FlowsLearned as u32, Entry::CardStats(Counter { count: 3 }));
    s.tables.set(CardCounter::FlowsInUse as u32, Entry::CardStats(Counter { count: 2 }));
    s.tables.set(DropReason::NoFipPortMap as u32, Entry::DropStats(Counter { count: 4 }));
    s.tables.set(DropReason::InvalidLabel as u32, Entry::DropStats(Counter { count: 1 }));
    s.tables.set(DropReason::TrapQueueFull as u32, Entry::DropStats(Counter { count: 9 }));
    s
}

/// Node cent333: packets from the fabric are translated to the backend 10.47.255.238:80.
fn cent333_flows() -> CardState {
    let mut s = CardState::default();
    let forward = Flow {
        valid: true,
        nh: 41,
        proto: 6,
        sip: ip("10.47.255.237"),
        dip: ip("10.105.139.153"),
        sport: 42332,
        dport: 8888,
        dnat: true,
        dpat: true,
        map_valid: true,
        map: 5,
        map_generation: 3,
        pair: 300,
        vrf: 2,
        dvrf: 4,
        src_info: ip("10.169.25.20"),
        ..Flow::default()
    };
    let reply = Flow {
        sip: ip("10.47.255.238"),
        dip: ip("10.47.255.237"),
        sport: 80,
        dport: 42332,
        dnat: false,
        dpat: false,
        snat: true,
        spat: true,
        reverse: true,
        vrf: 4,
        dvrf: 2,
        src_info: 3,
        rpf_nh: 41,
        ..forward
    };
    s.tables.put(600, forward);
    s.tables.put(500, reply);
    s.tables.put(
        600,
        FlowStats { packets: 1, bytes: 66, tcp: TCP_SYN | TCP_ESTABLISHED | TCP_FIN, last_hit: 0 },
    );
    s.tables
        .put(500, FlowStats { packets: 1, bytes: 66, tcp: TCP_SYN | TCP_ESTABLISHED, last_hit: 0 });
    s
}

#[test]
fn flow_list_at_the_client() {
    insta::assert_snapshot!("flow_client", flow::view(&cent222(), None).to_string());
}

/// The card may move a key while the table is read: its entry is met twice, and is one.
#[test]
fn a_flow_that_was_moved_meanwhile_is_listed_once() {
    let mut s = cent333_flows();
    let moved = *s.tables.get::<Flow>(500).unwrap();
    s.tables.put(700, moved);
    s.tables.put(700, FlowStats { packets: 2, ..FlowStats::default() });
    let flows = flow::view(&s, None).flows;
    let seen: Vec<_> = flows.iter().map(|f| (f.index, f.partner, f.packets)).collect();
    assert_eq!(seen, [(600, Some(700), 1), (700, Some(600), 2)]);
}

#[test]
fn flow_list_at_the_server() {
    let text =
        flow::view(&cent333_flows(), Some(&"10.105.139.153:8888".parse().unwrap())).to_string();
    assert!(text.contains("Action:N(DPd), "), "{text}");
    assert!(!text.contains("N(SPs)"), "the reply entry has neither end point: {text}");
    insta::assert_snapshot!("flow_server", format!("{:#}", flow::view(&cent333_flows(), None)));
}

#[test]
fn flow_get() {
    insta::assert_snapshot!("flow_get", flow::get(&cent333_flows(), 600).unwrap().to_string());
    assert!(flow::get(&cent333_flows(), 601).is_none());
}

#[test]
fn a_long_line_breaks_where_flow_breaks_it() {
    // From a vRouter: exactly 70 columns before `Stats`, which then begins the next line.
    let mut s = CardState::default();
    s.tables.put(
        292_028 % FLOWS,
        Flow {
            valid: true,
            nh: 5,
            proto: 6,
            snat: true,
            dnat: true,
            generation: 1,
            rpf_nh: 10,
            dvrf: 2,
            ..Flow::default()
        },
    );
    s.tables.put(1, Flow { valid: true, reverse: true, ..Flow::default() });
    let both = TCP_SYN | TCP_ESTABLISHED;
    s.tables.put(292_028 % FLOWS, FlowStats { packets: 429, bytes: 33993, tcp: both, last_hit: 0 });
    s.tables.put(1, FlowStats { tcp: both, ..FlowStats::default() });
    let text = flow::view(&s, None).to_string();
    let wanted = "(Gen: 1, K(nh):5, Action:N(SD), Flags:, TCP:SSrEEr, QOS:-1, S(nh):10, \n Stats:429/33993,  SPort ";
    assert!(text.contains(wanted) && text.contains(", TTL 0, Sinfo 0.0.0.0)\n"), "{text}");
}

#[test]
fn tcp_letters_tell_the_directions_apart() {
    let letters = |own, partner| {
        let mut s = cent333_flows();
        s.tables.put(600, FlowStats { tcp: own, last_hit: 1, ..FlowStats::default() });
        s.tables.put(500, FlowStats { tcp: partner, last_hit: 1, ..FlowStats::default() });
        let seen = flow::get(&s, 600).unwrap().tcp.unwrap();
        seen.iter().map(ToString::to_string).collect::<String>()
    };
    assert_eq!(letters(TCP_SYN, 0), "S");
    assert_eq!(letters(0, TCP_SYN), "Sr");
    assert_eq!(letters(TCP_SYN | TCP_ESTABLISHED, TCP_SYN | TCP_ESTABLISHED), "SSrEEr");
    assert_eq!(letters(TCP_ESTABLISHED, TCP_FIN), "EFrC");
    assert_eq!(letters(TCP_FIN, TCP_ESTABLISHED), "ErFC");
    assert_eq!(letters(TCP_FIN, TCP_FIN), "FFrD");
    assert_eq!(letters(TCP_RST, 0), "RD");
    assert_eq!(letters(0, TCP_RST), "RD");
    assert_eq!(letters(15, 15), "SSrEErFFrRD");
}

#[test]
fn flow_prints_translations_as_vrouter_does() {
    let action = |flow: Flow| {
        let mut s = CardState::default();
        s.tables.put(4, Flow { valid: true, proto: 6, ..flow });
        let text = flow::view(&s, None).to_string();
        let from = text.split("Action:").nth(2).unwrap();
        from.split(',').next().unwrap().to_owned()
    };
    let service = Flow { dnat: true, dpat: true, ..Flow::default() };
    assert_eq!(action(service), "N(DPd)");
    assert_eq!(action(Flow { snat: true, spat: true, ..Flow::default() }), "N(SPs)");
    // Floating IPs without port map: towards the pod, and begun under one.
    assert_eq!(action(Flow { dnat: true, ..Flow::default() }), "N(D)");
    assert_eq!(action(Flow { snat: true, ..Flow::default() }), "N(S)");
    let hairpin = Flow { dnat: true, snat: true, hairpin: true, ..Flow::default() };
    assert_eq!(action(hairpin), "N(SD)");
    assert_eq!(action(Flow { dpat: true, ..hairpin }), "N(SDPd)");
    assert_eq!(action(Flow { spat: true, ..hairpin }), "N(SPsD)");
    assert_eq!(action(Flow::default()), "F");
}

#[test]
fn a_flow_of_a_floating_ip_without_port_map_names_no_port() {
    let mut s = with_plain_floating_ip();
    let begun = Flow {
        valid: true,
        snat: true,
        map_valid: true,
        map: 6,
        map_generation: 1,
        vrf: 4,
        dvrf: 5,
        ..Flow::default()
    };
    s.tables.put(4, begun);
    let text = format!("{:#}", flow::view(&s, None));
    assert!(text.contains("198.51.100.7 <-> 10.47.255.236\n") && text.contains("(4->5)"), "{text}");
}

/// The backend has a floating IP of a public network, of both directions.
fn with_plain_floating_ip() -> CardState {
    let mut s = cent222();
    let (pod_ip, vip) = (ip("10.47.255.236"), ip("198.51.100.7"));
    let plain = FipMap { valid: true, generation: 1, pod_ip, vip, ..FipMap::default() };
    s.tables.put(6, plain);
    s.tables.put(91, PlainFip { valid: true, vif: 8, ip: vip, map: 6 });
    let vif = *s.tables.get::<Vif>(8).unwrap();
    s.tables.put(8, Vif { egress: true, egress_vrf: 5, egress_map: 6, ..vif });
    s.tables.put(5, Vrf { valid: true, service_net: 0, source_check: SourceCheck::Off });
    s.tables.put(15, HostRoute { valid: true, vrf: 5, ip: vip, nh: 37, ..HostRoute::default() });
    let default =
        DefaultRoute { valid: true, nh: 51, label: 99, label_valid: true, sources: SOURCES_KNOWN };
    s.tables.put(5, default);
    s
}

#[test]
fn an_address_is_followed_through_the_tables() {
    let s = with_plain_floating_ip();
    let explain = |text: &str, vrf| address::view(&s, text.parse().unwrap(), vrf).to_string();
    insta::assert_snapshot!("explain_ip_pod", explain("10.47.255.236", None));
    insta::assert_snapshot!("explain_ip_vip", explain("10.105.139.153", Some(4)));
    insta::assert_snapshot!("explain_ip_floating", explain("198.51.100.7", None));
    insta::assert_snapshot!("explain_ip_outside", explain("203.0.113.9", None));
}

#[test]
fn what_is_explained_reads_as_it_is_written() {
    let s = with_plain_floating_ip();
    let vip = Ipv4Addr::new(10, 105, 139, 153);
    let shown = address::view(&s, vip, None);
    let json = serde_json::to_string(&shown).unwrap();
    assert_eq!(serde_json::from_str::<address::Address>(&json).unwrap(), shown);
    let intent = service::Intent { floating_ips: vec![vip.into()], ..Default::default() };
    let shown = service::view(&s, intent);
    let json = serde_json::to_value(&shown).unwrap();
    // What waits for members reads them here.
    assert_eq!(json["routes"][0]["members"].as_array().unwrap().len(), 2);
    assert_eq!(serde_json::from_value::<service::Service>(json).unwrap(), shown);
}

#[test]
fn the_new_tables_are_dumped() {
    let s = with_plain_floating_ip();
    insta::assert_snapshot!("vrf_list", overlay::vrfs(&s).to_string());
    insta::assert_snapshot!("svc_dump", format!("{:#}", overlay::listeners(&s)));
    insta::assert_snapshot!("source_dump", overlay::sources(&s, None).to_string());
    insta::assert_snapshot!("fip_dump", format!("{:#}", overlay::plain_fips(&s)));
    assert_eq!(overlay::sources(&s, Some(8)).sets, []);
}

/// The card moves a key: what it reads twice is one.
#[test]
fn a_listener_that_was_moved_meanwhile_is_shown_once() {
    let mut s = cent222();
    let key = *s.tables.get::<ServiceKey>(41).unwrap();
    s.tables.put(700, key);
    assert_eq!(listener::of(&s, Ipv4Addr::new(10, 105, 139, 153)).len(), 1);
}

#[test]
fn sources_are_told_by_what_the_vrf_checks() {
    let mut s = cent222();
    let told = |s: &CardState, set| way::Sources::of(s, 4, set).to_string();
    assert_eq!(told(&s, 7), "10.169.25.21 (source check strict)");
    assert_eq!(told(&s, 9), "no tunnel (source check strict)");
    assert_eq!(told(&s, 0), "no tunnel (it is on this node only) (source check strict)");
    let vrf = *s.tables.get::<Vrf>(4).unwrap();
    s.tables.put(4, Vrf { source_check: SourceCheck::Loose, ..vrf });
    assert_eq!(told(&s, 7), "any tunnel that is known (source check loose)");
    s.tables.put(4, Vrf { source_check: SourceCheck::Off, ..vrf });
    assert_eq!(told(&s, 7), "any tunnel (source check off)");
    // Even so nobody else has this node's addresses.
    assert!(told(&s, 0).starts_with("no tunnel"));
    s.tables.put(4, Vrf { valid: false, ..vrf });
    assert!(told(&s, 7).ends_with("(source check strict)"));
}

/// Two ports of one service on different pods: each has a group of its own.
#[test]
fn a_service_of_two_ports_is_explained_by_port() {
    let mut s = cent222();
    let one = NextHop { base: 300, slots: 1, live: 1, ..*s.tables.get::<NextHop>(87).unwrap() };
    s.tables.put(89, one);
    let far = EcmpSlot { valid: true, nh: 51, label: 43, ..EcmpSlot::default() };
    s.tables.put(300, far);
    s.tables.put(301, far);
    let key = *s.tables.get::<ServiceKey>(41).unwrap();
    s.tables.put(42, ServiceKey { port: 9999, nh: 89, local: 0, ..key });
    s.tables.put(5, NextHop { valid: true, kind: NextHopKind::Reject, ..NextHop::default() });
    s.tables.put(43, ServiceKey { port: 7777, nh: 5, local: 0, ..key });
    let vip = Ipv4Addr::new(10, 105, 139, 153);
    let intent = service::Intent {
        name: "ns-user-1/web".into(),
        floating_ips: vec![vip.into()],
        endpoints: 2,
        ..service::Intent::default()
    };
    insta::assert_snapshot!("explain_svc_ports", service::view(&s, intent.clone()).to_string());
    // Clients are kept: the card counts 0.2 s and more to a unit.
    s.tables.put(89, one.with_affinity_time(timeout(10_800, 322_266)));
    s.tables.put(42, ServiceKey { port: 9999, nh: 89, local: 0, affinity: 7, ..key });
    let text = service::view(&s, intent).to_string();
    assert!(text.contains("  Affinity: by client, 10800 s; Hw: number 7\n"), "{text}");
}

#[test]
fn next_hops() {
    insta::assert_snapshot!("nh_list", next_hop::list(&cent222()).to_string());
    insta::assert_snapshot!("nh_get_87", format!("{:#}", next_hop::get(&cent222(), 87)));
    assert!(next_hop::get(&cent222(), 90).next_hops.is_empty());
}

#[test]
fn interfaces() {
    let mut shy = cent222();
    let of = *shy.tables.get::<Vif>(8).unwrap();
    shy.tables.put(8, Vif { learn: LearnPolicy::Never, ..of });
    let text = format!("{:#}", vif::view(&shy, Some(8)));
    assert!(text.contains(" Flags:PL3Df ") && text.contains(" Learning:never\n"), "{text}");
    shy.tables.put(8, FlowShare { valid: true, pairs: 1000, burst: 9, rate: 1 });
    shy.tables.put(8, FlowShareStats { pairs: 31, refused: 5 });
    let text = format!("{:#}", vif::view(&shy, Some(8)));
    let said = "Hw: Flows:31 Limit:1000 and by time New Flow Drops:5\n";
    assert!(text.contains(said), "{text}");
    insta::assert_snapshot!("vif_list", vif::view(&cent222(), None).to_string());
    insta::assert_snapshot!("vif_get_8", format!("{:#}", vif::view(&cent222(), Some(8))));
}

#[test]
fn routes() {
    insta::assert_snapshot!("rt_dump", route::view(&cent222(), 4).to_string());
    let get = route::lookup(&cent222(), 4, Ipv4Addr::new(10, 105, 139, 153), 32);
    insta::assert_snapshot!("rt_get", get.to_string());
    let wide = format!("{get:#}");
    assert!(wide.contains("lives by its listeners, else reject, here by label 33\n"), "{wide}");
}

#[test]
fn the_longest_match_is_shown() {
    let next_hop = |address, len| {
        route::lookup(&cent222(), 4, address, len).routes.first().map(|r| r.next_hop)
    };
    assert_eq!(next_hop(Ipv4Addr::new(10, 47, 255, 238), 32), Some(51));
    assert_eq!(next_hop(Ipv4Addr::new(10, 47, 255, 99), 32), Some(0));
    assert_eq!(next_hop(Ipv4Addr::new(10, 47, 255, 238), 24), Some(0));
    assert_eq!(next_hop(Ipv4Addr::new(11, 0, 0, 1), 32), None);
}

#[test]
fn labels_and_drops() {
    insta::assert_snapshot!("mpls_dump", mpls::view(&cent222(), None).to_string());
    insta::assert_snapshot!("dropstats", format!("{:#}", drops::view(&cent222())));
}

#[test]
fn a_service_explained() {
    let intent = service::Intent {
        name: "ns-user-1/service-web-clusterip".into(),
        floating_ips: vec![Ipv4Addr::new(10, 105, 139, 153).into()],
        ports: vec!["8888/TCP -> 80".into()],
        ..service::Intent::default()
    };
    insta::assert_snapshot!("explain_svc", service::view(&cent222(), intent).to_string());
}

#[test]
fn keys_that_mark_a_backend_are_no_port_maps() {
    let mut state = cent222();
    let pod = ip("10.47.255.236");
    for (row, port) in [(1, 80), (2, 0)] {
        let mark = FipKey { valid: true, vif: 8, proto: 6, ip: pod, port, map: 5 };
        state.tables.put(row, mark);
    }
    // A service that wants the pod's address, and does not get it.
    let intent =
        service::Intent { floating_ips: vec![IpAddr::V4(pod.into())], ..Default::default() };
    assert_eq!(service::view(&state, intent).port_maps, []);
}

#[test]
fn json_names_are_stable() {
    insta::assert_snapshot!(
        "json_flow",
        serde_json::to_string_pretty(&flow::view(&cent333_flows(), None)).unwrap()
    );
    insta::assert_snapshot!(
        "json_nh",
        serde_json::to_string_pretty(&next_hop::get(&cent222(), 87)).unwrap()
    );
    insta::assert_snapshot!(
        "json_rt",
        serde_json::to_string_pretty(&route::view(&cent222(), 4)).unwrap()
    );
}
