//! Compiled tables of the chapter's example, and the rules one by one.

use std::net::Ipv4Addr;

use penstock_abi::hash;
use penstock_model::{
    Affinity, Encapsulation, Fabric, FloatingIp, FloatingIpKind, Listener, LoadBalancer, MacAddr,
    Member, MemberState, MplsLabel, NodeConfig, ObjectName, PodVif, Pool, Protocol, RemoteNode,
    Scope, Snapshot, VifId, Vrf, VrfId,
};

mod owner;

use crate::{CompileError, Desired, Group, Hop, NextHopKey, RouteTarget, compile};

const VRF: VrfId = VrfId(2);
const VIP: Ipv4Addr = Ipv4Addr::new(10, 105, 139, 153);
const CENT222: Ipv4Addr = Ipv4Addr::new(10, 169, 25, 20);
const CENT333: Ipv4Addr = Ipv4Addr::new(10, 169, 25, 21);

fn pod(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 47, 255, last)
}

fn mac(address: Ipv4Addr) -> MacAddr {
    let [a, b, c, d] = address.octets();
    MacAddr([2, 0, a, b, c, d])
}

fn vif(id: u8, name: &str, last: u8, label: u32) -> PodVif {
    PodVif {
        id: VifId(id),
        name: name.to_owned(),
        pod: ObjectName::new("ns-user-1", name),
        address: pod(last),
        mac: mac(pod(last)),
        vrf: VRF,
        label: MplsLabel(label),
    }
}

fn remote(name: &str, address: Ipv4Addr, labels: &[(u8, u32)]) -> RemoteNode {
    RemoteNode {
        name: name.to_owned(),
        address,
        encapsulation: Encapsulation::MplsOverUdp,
        vrfs: Vec::new(),
        labels: labels.iter().map(|(last, label)| (pod(*last), MplsLabel(*label))).collect(),
        prefixes: Default::default(),
    }
}

fn node(name: &str, address: Ipv4Addr, vifs: Vec<PodVif>, remote: RemoteNode) -> NodeConfig {
    NodeConfig {
        name: name.to_owned(),
        fabric: Fabric { address: format!("{address}/24").parse().unwrap(), mac: mac(address) },
        vrfs: vec![Vrf {
            id: VRF,
            name: "k8s-default-pod-network".to_owned(),
            imports: Vec::new(),
        }],
        vifs,
        remotes: vec![remote],
    }
}

fn cent222() -> NodeConfig {
    let vifs = vec![vif(7, "client", 237, 25), vif(8, "webserver-xkjpw", 236, 28)];
    node("cent222", CENT222, vifs, remote("cent333", CENT333, &[(238, 43)]))
}

fn cent333() -> NodeConfig {
    let vifs = vec![vif(3, "webserver-g27dj", 238, 43)];
    node("cent333", CENT333, vifs, remote("cent222", CENT222, &[(237, 25), (236, 28)]))
}

fn listener(name: &str, port: u16, target: u16, lasts: &[u8]) -> Listener {
    let member = |last: &u8| Member {
        address: pod(*last),
        port: target,
        state: MemberState::Active,
        node: String::new(),
    };
    Listener {
        name: name.to_owned(),
        protocol: Protocol::Tcp,
        port,
        pool: Pool { members: lasts.iter().map(member).collect() },
    }
}

fn service(listeners: Vec<Listener>) -> LoadBalancer {
    LoadBalancer {
        name: ObjectName::new("ns-user-1", "service-web-clusterip"),
        floating_ips: vec![FloatingIp {
            address: VIP,
            kind: FloatingIpKind::Cluster,
            scope: Scope::Cluster,
        }],
        listeners,
        ..LoadBalancer::default()
    }
}

fn snapshot(node: NodeConfig, load_balancers: Vec<LoadBalancer>) -> Snapshot {
    let neighbours = [CENT222, CENT333].map(|address| (address, mac(address))).into();
    Snapshot { node, load_balancers, neighbours, ..Snapshot::default() }
}

fn chapter() -> Vec<LoadBalancer> {
    vec![service(vec![listener("", 8888, 80, &[236, 238])])]
}

/// The tables as a person would write them down.
fn show(d: &Desired) -> String {
    let mut out = String::new();
    let mut line = |text: String| out.extend([text.as_str(), "\n"]);
    let hop = |hop: &Hop| match hop.label {
        Some(label) => format!("{:?} label {label}", hop.next_hop),
        None => format!("{:?}", hop.next_hop),
    };
    for (vif, e) in &d.vifs {
        let address = e.address.map_or("-".to_owned(), |a| a.to_string());
        line(format!("vif {vif}: {:?} vrf {} {} {address} rpf {}", e.kind, e.vrf, e.mac, e.rpf));
    }
    for (key, spec) in &d.next_hops {
        line(format!("nh {key:?}: {} -> {} {:?}", spec.smac, spec.dmac, spec.source));
    }
    for (label, e) in &d.labels {
        line(format!("label {label}: {:?} vrf {}", e.next_hop, e.vrf));
    }
    for ((vrf, address), target) in &d.routes {
        match target {
            RouteTarget::Hop(h) => line(format!("route {vrf} {address}: {}", hop(h))),
            RouteTarget::Group(Group { members, hash_fields }) => {
                line(format!("route {vrf} {address}: group, hash {hash_fields:#x}"));
                for m in members {
                    let drain = if m.draining { " draining" } else { "" };
                    line(format!("  {}: {}{drain}", m.pod, hop(&m.hop)));
                }
            }
        }
    }
    for (key, target) in &d.fip {
        line(format!(
            "fip vif {} {} {}:{} -> {}:{}",
            key.vif, key.protocol, key.address, key.port, target.address, target.port
        ));
    }
    for note in &d.notes {
        line(format!("note {note}"));
    }
    out
}

#[test]
fn the_chapters_client_node() {
    insta::assert_snapshot!("cent222", show(&compile(&snapshot(cent222(), chapter())).unwrap()));
}

#[test]
fn the_chapters_server_node_with_two_ports() {
    let listeners =
        vec![listener("port1", 8888, 80, &[236, 238]), listener("port2", 9999, 90, &[236, 238])];
    let compiled = compile(&snapshot(cent333(), vec![service(listeners)])).unwrap();
    insta::assert_snapshot!("cent333-two-ports", show(&compiled));
}

fn group(d: &Desired) -> &Group {
    match &d.routes[&(VRF, VIP)] {
        RouteTarget::Group(group) => group,
        RouteTarget::Hop(hop) => panic!("no group but {hop:?}"),
    }
}

fn hop(d: &Desired) -> NextHopKey {
    match &d.routes[&(VRF, VIP)] {
        RouteTarget::Hop(hop) => hop.next_hop,
        RouteTarget::Group(group) => panic!("a group: {group:?}"),
    }
}

#[test]
fn a_service_without_endpoints_is_rejected() {
    let d =
        compile(&snapshot(cent222(), vec![service(vec![listener("", 8888, 80, &[])])])).unwrap();
    assert_eq!(hop(&d), NextHopKey::Reject);
}

#[test]
fn internal_traffic_policy_local_keeps_to_the_node() {
    let mut balancers = chapter();
    balancers[0].floating_ips[0].scope = Scope::Local;
    let on = |nodes: [&str; 2]| {
        let mut balancers = balancers.clone();
        let members = &mut balancers[0].listeners[0].pool.members;
        members.iter_mut().zip(nodes).for_each(|(member, node)| member.node = node.to_owned());
        compile(&snapshot(cent222(), balancers)).unwrap()
    };
    let d = on(["cent222", "cent333"]);
    assert_eq!(group(&d).members.iter().map(|m| m.pod).collect::<Vec<_>>(), [pod(236)]);
    assert_eq!(d.fip.len(), 1);
    // Endpoints that are elsewhere, or do not say where they are: dropped. None at all: refused.
    assert_eq!(hop(&on(["", "cent333"])), NextHopKey::Discard);
    assert_eq!(hop(&on(["cent333", "cent333"])), NextHopKey::Discard);
    balancers[0].listeners[0].pool.members.clear();
    assert_eq!(hop(&compile(&snapshot(cent222(), balancers)).unwrap()), NextHopKey::Reject);
}

#[test]
fn endpoints_that_are_out_of_reach_are_waited_for() {
    // No label yet, as while a pod is being started.
    let mut balancers = vec![service(vec![listener("", 8888, 80, &[99])])];
    let d = compile(&snapshot(cent222(), balancers.clone())).unwrap();
    assert_eq!(hop(&d), NextHopKey::Discard);
    // One port without anybody does not make the others refuse.
    balancers[0].listeners.insert(0, listener("none", 1, 1, &[]));
    let d = compile(&snapshot(cent222(), balancers.clone())).unwrap();
    assert_eq!(hop(&d), NextHopKey::Discard);
    // The API server's endpoints are nodes.
    for (address, name) in [(CENT333, "cent333"), (CENT222, "cent222")] {
        balancers[0].listeners[1].pool.members[0].address = address;
        let d = compile(&snapshot(cent222(), balancers.clone())).unwrap();
        assert_eq!(hop(&d), NextHopKey::Discard);
        let why = format!("endpoint {address} is node {name} itself (host network)");
        assert!(d.notes.iter().any(|note| note.text.contains(&why)), "{:?}", d.notes);
    }
}

#[test]
fn a_pod_at_two_ports_is_served_at_one() {
    let mut listener = listener("", 8888, 80, &[236, 238]);
    let second = |last: u8, state| Member {
        port: 79,
        state,
        ..listener.pool.members.iter().find(|m| m.address == pod(last)).unwrap().clone()
    };
    let more = [second(236, MemberState::Draining), second(238, MemberState::Active)];
    listener.pool.members.extend(more);
    for (node, target) in [(cent222(), 80), (cent333(), 79)] {
        let d = compile(&snapshot(node, vec![service(vec![listener.clone()])])).unwrap();
        assert_eq!(d.fip.values().map(|t| t.port).collect::<Vec<_>>(), [target]);
        assert_eq!(group(&d).members.iter().filter(|m| !m.draining).count(), 2);
        // Said on every node.
        for said in [
            "leads to port 80 of pod 10.47.255.236, and cannot lead to 79 too",
            "leads to port 79 of pod 10.47.255.238, and cannot lead to 80 too",
        ] {
            assert!(d.notes.iter().any(|note| note.text.contains(said)), "{:?}", d.notes);
        }
    }
}

#[test]
fn backends_are_marked() {
    let mut listeners =
        vec![listener("a", 8888, 80, &[236, 238]), listener("b", 9999, 80, &[236, 238])];
    listeners.push(Listener { protocol: Protocol::Udp, ..listener("dns", 53, 5353, &[236]) });
    let d = compile(&snapshot(cent222(), vec![service(listeners)])).unwrap();
    let marks = crate::marks(&d.fip);
    let marks: Vec<_> = marks.iter().map(|k| (k.vif.0, k.protocol, k.address, k.port)).collect();
    let tcp = |port| (8, Protocol::Tcp, pod(236), port);
    assert_eq!(marks, [tcp(0), tcp(80), (8, Protocol::Udp, pod(236), 0)]);
}

#[test]
fn terminating_endpoints_take_new_connections_only_if_nobody_else_does() {
    let mut balancers = chapter();
    balancers[0].listeners[0].pool.members[0].state = MemberState::Draining;
    let d = compile(&snapshot(cent222(), balancers.clone())).unwrap();
    assert_eq!(group(&d).members.iter().map(|m| m.draining).collect::<Vec<_>>(), [true, false]);
    assert_eq!(d.fip.len(), 1, "a draining backend goes on translating");
    balancers[0].listeners[0].pool.members[1].state = MemberState::Draining;
    let d = compile(&snapshot(cent222(), balancers)).unwrap();
    assert_eq!(group(&d).members.iter().map(|m| m.draining).collect::<Vec<_>>(), [false, false]);
}

#[test]
fn nodes_without_a_mac_address_are_pending() {
    let mut s = snapshot(cent222(), chapter());
    s.neighbours.clear();
    let d = compile(&s).unwrap();
    assert_eq!(group(&d).members.iter().map(|m| m.pod).collect::<Vec<_>>(), [pod(236)]);
    assert_eq!(
        d.pending.iter().map(|p| (p.node.as_str(), p.address)).collect::<Vec<_>>(),
        [("cent333", CENT333)]
    );
    assert!(!d.routes.contains_key(&(VRF, pod(238))));
    // Nobody yet is not nobody: clients try again.
    s.load_balancers[0].listeners[0].pool.members.remove(0);
    assert_eq!(hop(&compile(&s).unwrap()), NextHopKey::Discard);
}

#[test]
fn client_ip_affinity_hashes_addresses_only() {
    let mut balancers = chapter();
    balancers[0].affinity = Affinity::ClientIp { timeout_seconds: 10_800 };
    let d = compile(&snapshot(cent222(), balancers)).unwrap();
    assert_eq!(group(&d).hash_fields, hash::FIELD_PROTO | hash::FIELD_SIP | hash::FIELD_DIP);
}

#[test]
fn what_cannot_be_served_is_noted() {
    let mut balancers = chapter();
    balancers[0]
        .listeners
        .push(Listener { protocol: Protocol::Sctp, ..listener("sctp", 132, 133, &[236]) });
    balancers[0].listeners.push(listener("odd", 9999, 90, &[236, 99]));
    let notes = compile(&snapshot(cent222(), balancers)).unwrap().notes;
    let text = notes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    assert!(text.contains("SCTP port 132"), "{text}");
    assert!(text.contains("endpoint 10.47.255.99"), "{text}");
    assert!(text.contains("port 9999 of 10.105.139.153 has other backends"), "{text}");
}

#[test]
fn limits_are_named() {
    let mut node = cent222();
    node.remotes[0].labels = (0..65).map(|n| (pod(n), MplsLabel(100 + u32::from(n)))).collect();
    let lasts: Vec<u8> = (0..65).collect();
    let error = compile(&snapshot(node, vec![service(vec![listener("", 8888, 80, &lasts)])]));
    assert!(
        matches!(error, Err(CompileError::GroupTooLarge { members: 65, max: 64, .. })),
        "{error:?}"
    );

    let services = (0..33_000_u32).map(|n| {
        let mut service = chapter().remove(0);
        service.name.name = format!("s{n}");
        service.listeners.clear();
        service.floating_ips[0].address = Ipv4Addr::from(0x0b00_0000 + n);
        service
    });
    let error = compile(&snapshot(cent222(), services.collect()));
    assert!(
        matches!(error, Err(CompileError::TableFull { table: "HostRoute", needed: 33_003, .. })),
        "{error:?}"
    );

    // 12,000 mappings of as many TCP target ports need as many marks besides.
    let listeners = (0..12_000).map(|n| listener(&n.to_string(), 1000 + n, 1000 + n, &[236]));
    let error = compile(&snapshot(cent222(), vec![service(listeners.collect())]));
    assert!(
        matches!(error, Err(CompileError::TableFull { table: "FipKey", needed: 24_001, .. })),
        "{error:?}"
    );

    let mut node = cent222();
    node.vifs[0].label = MplsLabel(9000);
    let error = compile(&snapshot(node, Vec::new()));
    assert!(
        matches!(error, Err(CompileError::OutOfRange { what: "label", value: 9000, .. })),
        "{error:?}"
    );
}

#[test]
fn addresses_of_pods_and_nodes_are_not_services() {
    let mut balancers = chapter();
    balancers[0].floating_ips[0].address = pod(237);
    let d = compile(&snapshot(cent222(), balancers)).unwrap();
    assert_eq!(d.notes.len(), 1);
    let client = Hop { next_hop: NextHopKey::Encap(VifId(7)), label: None };
    assert_eq!(d.routes[&(VRF, pod(237))], RouteTarget::Hop(client));
}

#[test]
fn vrfs_see_what_they_import() {
    let mut node = cent222();
    node.vrfs.push(Vrf { id: VrfId(3), name: "other".to_owned(), imports: Vec::new() });
    let d = compile(&snapshot(node.clone(), chapter())).unwrap();
    assert!(!d.routes.contains_key(&(VrfId(3), pod(237))));
    assert!(d.routes.contains_key(&(VrfId(3), pod(238))), "remote routes go to all VRFs");
    node.vrfs[1].imports.push(VRF);
    node.remotes[0].vrfs.push(VRF);
    let d = compile(&snapshot(node, chapter())).unwrap();
    assert!(d.routes.contains_key(&(VrfId(3), pod(237))));
    assert!(!d.routes.contains_key(&(VrfId(3), pod(238))));
}
