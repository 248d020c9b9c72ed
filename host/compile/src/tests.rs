//! Compiled tables of the chapter's example, and the rules one by one.

use std::net::Ipv4Addr;

use penstock_abi::hash;
use penstock_model::{
    Affinity, Encapsulation, Fabric, FloatingIp, FloatingIpKind, Listener, LoadBalancer, MacAddr,
    Member, MemberState, MplsLabel, NodeConfig, ObjectName, PodVif, Pool, Protocol, RemoteNode,
    Scope, Snapshot, VifId, Vrf, VrfId,
};

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
    let member =
        |last: &u8| Member { address: pod(*last), port: target, state: MemberState::Active };
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
        affinity: Affinity::None,
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
    let d = compile(&snapshot(cent222(), balancers.clone())).unwrap();
    assert_eq!(group(&d).members.iter().map(|m| m.pod).collect::<Vec<_>>(), [pod(236)]);
    balancers[0].listeners[0].pool.members.remove(0);
    let d = compile(&snapshot(cent222(), balancers)).unwrap();
    assert_eq!(hop(&d), NextHopKey::Discard);
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
fn services_may_share_an_external_address() {
    let mut other = service(vec![listener("", 53, 53, &[238])]);
    other.name.name = "dns".to_owned();
    let d = compile(&snapshot(cent222(), vec![chapter().remove(0), other])).unwrap();
    assert_eq!(group(&d).members.len(), 2);
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
