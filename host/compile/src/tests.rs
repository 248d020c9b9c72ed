//! Compiled tables of the chapter's example, and the rules one by one.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use penstock_abi::hash;
use penstock_abi::table::ServiceAddress;
use penstock_model::{
    Affinity, Encapsulation, Fabric, FloatingIp, FloatingIpKind, Hints, Intent, IpNet, LabelBlock,
    LearnPolicy, Listener, LoadBalancer, MacAddr, Member, MemberState, MplsLabel, Neighbours,
    NetworkName, Node, ObjectId, ObjectName, Path, Peer, PodVif, Policy, Pool, Protocol, Rib,
    Route, Scope, VifId, Vrf, VrfId, Zone,
};
use penstock_tables::Shape;

mod incremental;
mod labels;
mod nearby;
mod owner;
mod places;
mod plain;
mod provider;
mod room;
mod world;

use world::*;

use crate::{
    Compiled, Compiler, Desired, Group, Hop, NextHopKey, Providers, RouteTarget, ServiceKey,
    compile,
};

/// What a compiler gives for the last of some worlds; a new one must give the same.
fn after(worlds: &[&World], shape: Shape) -> Compiled {
    let mut compiler = Compiler::new(Providers::default(), shape);
    let mut last = Compiled::default();
    for world in worlds {
        last = compiler.compile(&world.intent, &world.neighbours);
        let mut anew = Compiler::new(Providers::default(), shape);
        assert_eq!(last, anew.compile(&world.intent, &world.neighbours));
    }
    last
}

/// Pods of a group's members.
fn pods(group: &Group) -> Vec<IpAddr> {
    group.members.iter().filter_map(|member| member.pod).collect()
}

/// Findings as people read them, one a line.
fn findings(compiled: &Compiled) -> String {
    let mut lines = Vec::new();
    for (object, findings) in &compiled.findings {
        lines.extend(findings.iter().map(|finding| format!("{object}: {finding}")));
    }
    lines.join("\n")
}

/// The tables as a person would write them down.
fn show(compiled: &Compiled) -> String {
    let mut out = String::new();
    let mut line = |text: String| out.extend([text.as_str(), "\n"]);
    let hop = |hop: &Hop| match hop.label {
        Some(label) => format!("{:?} label {label}", hop.next_hop),
        None => format!("{:?}", hop.next_hop),
    };
    let lead = |line: &mut dyn FnMut(String), who: String, target: &RouteTarget| match target {
        RouteTarget::Hop(h) => line(format!("{who}: {}", hop(h))),
        RouteTarget::Listener(key) => line(format!("{who}: as listener {}", key.port)),
        RouteTarget::Group(group) => {
            line(format!("{who}: group, hash {:#x}", group.hash_fields));
            for m in &group.members {
                let drain = if m.draining { " draining" } else { "" };
                let pod = m.pod.map_or("?".to_owned(), |pod| pod.to_string());
                let to = m.port.map_or(String::new(), |port| format!(", port {port}"));
                line(format!("  {pod}: {}{to}{drain}", hop(&m.hop)));
            }
        }
    };
    let d = &compiled.desired;
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
        lead(&mut line, format!("route {vrf} {address}"), target);
    }
    for (vrf, e) in &d.vrfs {
        line(format!("vrf {vrf}: service network {}, sources {:?}", e.service_net, e.source_check));
    }
    for (key, e) in &d.listeners {
        let ServiceKey { address, net, protocol, port } = key;
        lead(&mut line, format!("listener {net} {protocol} {address}:{port}"), &e.target);
    }
    for (address, refusal) in &d.floating {
        line(format!("floating {address}: {refusal:?}"));
    }
    for ((vrf, prefix), more) in &d.sources {
        line(format!("sources {vrf} {prefix}: {more:?}"));
    }
    line(format!("known {:?}", d.known.keys().collect::<Vec<_>>()));
    for (key, target) in &d.fip {
        line(format!(
            "fip vif {} {} {}:{} -> {}:{}",
            key.vif, key.protocol, key.address, key.port, target.address, target.port
        ));
    }
    for (a, ()) in &compiled.advertisements {
        line(format!("announced {} {}: label {} at {}", a.vrf, a.prefix, a.label, a.next_hop));
    }
    for finding in findings(compiled).lines() {
        line(format!("finding {finding}"));
    }
    out
}

#[test]
fn the_chapters_client_node() {
    insta::assert_snapshot!("cent222", show(&cent222().with([chapter()]).compile()));
}

#[test]
fn the_chapters_server_node_with_two_ports() {
    let listeners =
        vec![listener("port1", 8888, 80, &[236, 238]), listener("port2", 9999, 90, &[236, 238])];
    let compiled = cent333().with([service(listeners)]).compile();
    insta::assert_snapshot!("cent333-two-ports", show(&compiled));
}

fn listening<'a>(d: &'a Desired, key: &ServiceKey) -> &'a Group {
    match &d.listeners[key].target {
        RouteTarget::Group(group) => group,
        other => panic!("no group but {other:?}"),
    }
}

fn service_key(port: u16) -> ServiceKey {
    ServiceKey { address: VIP, net: VRF.0, protocol: Protocol::Tcp, port }
}

fn group(d: &Desired) -> &Group {
    match &d.routes[&(VRF, VIP)] {
        RouteTarget::Group(group) => group,
        RouteTarget::Listener(key) => listening(d, key),
        RouteTarget::Hop(hop) => panic!("no group but {hop:?}"),
    }
}

fn hop(d: &Desired) -> NextHopKey {
    match &d.routes[&(VRF, VIP)] {
        RouteTarget::Hop(hop) => hop.next_hop,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_service_without_endpoints_is_rejected() {
    let d = cent222().with([service(vec![listener("", 8888, 80, &[])])]).desired();
    assert_eq!(hop(&d), NextHopKey::Reject);
}

#[test]
fn internal_traffic_policy_local_keeps_to_the_node() {
    let mut web = chapter();
    web.floating_ips[0].scope = Scope::Local;
    let on = |nodes: [&str; 2]| {
        let mut web = web.clone();
        let members = &mut web.listeners[0].pool.members;
        members.iter_mut().zip(nodes).for_each(|(member, node)| member.node = node.to_owned());
        cent222().with([web]).desired()
    };
    let d = on(["cent222", "cent333"]);
    assert_eq!(pods(group(&d)), [pod(236)]);
    assert_eq!(d.fip.len(), 1);
    // Endpoints that are elsewhere, or do not say where they are: dropped. None at all: refused.
    assert_eq!(hop(&on(["", "cent333"])), NextHopKey::Discard);
    assert_eq!(hop(&on(["cent333", "cent333"])), NextHopKey::Discard);
    web.listeners[0].pool.members.clear();
    assert_eq!(hop(&cent222().with([web]).desired()), NextHopKey::Reject);
}

#[test]
fn endpoints_that_are_out_of_reach_are_waited_for() {
    // No label yet, as while a pod is being started.
    let mut web = service(vec![listener("", 8888, 80, &[99])]);
    assert_eq!(hop(&cent222().with([web.clone()]).desired()), NextHopKey::Discard);
    // One port without anybody does not make the others refuse.
    web.listeners.insert(0, listener("none", 1, 1, &[]));
    assert_eq!(hop(&cent222().with([web.clone()]).desired()), NextHopKey::Discard);
}

/// Two ports of one service on different pods are two groups, and the address shows all.
#[test]
fn each_listener_has_a_group_of_its_own() {
    let listeners = vec![listener("a", 80, 8080, &[236]), listener("b", 443, 8443, &[238])];
    let compiled = cent222().with([service(listeners)]).compile();
    let d = &compiled.desired;
    assert_eq!(pods(listening(d, &service_key(80))), [pod(236)]);
    assert_eq!(pods(listening(d, &service_key(443))), [pod(238)]);
    assert_eq!(pods(group(d)), [pod(236), pod(238)]);
    assert_eq!(d.floating[&VIP], ServiceAddress::Reject);
    assert_eq!(d.vrfs[&VRF].service_net, VRF.0);
    let ports: Vec<_> = listening(d, &service_key(80)).members.iter().map(|m| m.port).collect();
    assert_eq!(ports, [Some(8080)], "a member here brings its mapping");
    assert_eq!(findings(&compiled), "");
}

#[test]
fn a_listener_without_anybody_is_refused_while_its_sisters_serve() {
    let listeners = vec![listener("a", 80, 8080, &[236]), listener("b", 443, 8443, &[])];
    let d = cent222().with([service(listeners)]).desired();
    assert_eq!(pods(listening(&d, &service_key(80))), [pod(236)]);
    let nobody = RouteTarget::Hop(Hop { next_hop: NextHopKey::Reject, label: None });
    assert_eq!(d.listeners[&service_key(443)].target, nobody);
}

#[test]
fn addresses_from_outside_drop_what_no_listener_has() {
    let mut web = chapter();
    web.floating_ips[0].kind = FloatingIpKind::Ingress;
    let d = cent222().with([web]).desired();
    assert_eq!(d.floating[&VIP], ServiceAddress::Drop);
    let mut silent = cent222().with([chapter()]);
    silent.overlay(|overlay| overlay.silent = true);
    assert_eq!(silent.desired().floating[&VIP], ServiceAddress::Drop);
}

/// Of the API server's endpoints one is this node, one another, and one outside the cluster.
#[test]
fn nodes_and_what_is_outside_are_members() {
    let outside: IpAddr = "192.0.2.7".parse().unwrap();
    let mut api = service(vec![listener("https", 443, 6443, &[])]);
    let member = |address| Member {
        address,
        port: 6443,
        state: MemberState::Active,
        node: String::new(),
        hints: Hints::default(),
    };
    api.listeners[0].pool.members = [CENT222, CENT333, outside].map(member).to_vec();
    let mut world = cent222().with([api]);
    let node = NextHopKey::Receive(VifId::VHOST);
    let at = |world: &World| {
        let d = world.desired();
        let members = listening(&d, &service_key(443)).members.clone();
        members.iter().map(|m| (m.pod.unwrap(), m.hop.next_hop, m.port)).collect::<Vec<_>>()
    };
    // The kernel knows the way to a node of which no label is known.
    let by_kernel = |address| (address, node, Some(6443));
    assert_eq!(at(&world), [CENT222, CENT333, outside].map(by_kernel));
    assert_eq!(findings(&world.compile()), "");
    world.route(route("cent333", CENT333, "10.169.25.21/32", 51));
    let tunnel = (CENT333, NextHopKey::TunnelUdp(CENT333), None);
    assert_eq!(at(&world), [by_kernel(CENT222), by_kernel(outside), tunnel]);
    // Others reach this one by its label, and are translated here.
    world.vhost(|vhost| vhost.label = Some(MplsLabel(50)));
    let d = world.desired();
    let key = crate::FipKey { vif: VifId::VHOST, protocol: Protocol::Tcp, address: VIP, port: 443 };
    assert_eq!(
        d.fip.iter().map(|(key, to)| (*key, to.address)).collect::<Vec<_>>(),
        [(key, CENT222)]
    );
    assert_eq!(d.labels[&MplsLabel(50)].next_hop, node);
    assert_eq!(d.routes[&(VRF, CENT222)], RouteTarget::Hop(Hop { next_hop: node, label: None }));
    assert_eq!((d.vifs[&VifId::VHOST].vrf, d.vifs[&VifId::VHOST].next_hop), (VRF, node));
}

/// What could be a pod's is waited for.
#[test]
fn an_endpoint_in_the_clusters_ranges_is_not_outside() {
    let mut web = service(vec![listener("", 80, 80, &[99])]);
    web.listeners[0].pool.members[0].node = String::new();
    let mut world = cent222().with([web]);
    let to_node = Hop { next_hop: NextHopKey::Receive(VifId::VHOST), label: None };
    assert_eq!(group(&world.desired()).members[0].hop, to_node);
    world.policy(&[], &["10.47.0.0/16"]);
    assert_eq!(hop(&world.desired()), NextHopKey::Discard);
}

#[test]
fn the_range_of_services_is_nobodys_where_nobody_is() {
    let mut world = cent222().with([chapter()]);
    world.vrf(Vrf { networks: Vec::new(), ..vrf(3, "other") });
    let range: IpNet = "10.96.0.0/12".parse().unwrap();
    world.overlay(|overlay| overlay.service_ranges = vec![range]);
    let d = world.desired();
    assert_eq!(d.prefixes.get(&(VRF, range)), Some(&Hop::default()));
    assert_eq!(d.prefixes.get(&(VrfId(3), range)), None);
    assert_eq!(d.sources.get(&(VRF, range)), None);
}

#[test]
fn packets_may_come_by_all_tunnels_of_a_route_and_by_gateways() {
    let gateway: IpAddr = "10.169.25.254".parse().unwrap();
    let mut world = cent222();
    let all: IpNet = "0.0.0.0/0".parse().unwrap();
    world.route(route("cent333", CENT333, "0.0.0.0/0", 77));
    assert_eq!(world.desired().sources.get(&(VRF, all)), None, "that by which they leave");
    let other: IpAddr = "10.169.25.253".parse().unwrap();
    world.route(route("gw", other, "0.0.0.0/0", 78));
    let at = |world: &World| -> Vec<IpAddr> {
        world.desired().sources[&(VRF, all)].iter().copied().collect()
    };
    assert_eq!(at(&world), [CENT333, other]);
    world.overlay(|overlay| overlay.gateways = vec![other, gateway]);
    assert_eq!(at(&world), [CENT333, other, gateway]);
    let known: Vec<IpAddr> = world.desired().known.keys().copied().collect();
    assert_eq!(known, [CENT333, other, gateway]);
    // Through the node, only gateways may.
    world.routes.truncate(1);
    world.settle_rib();
    world.vhost(|vhost| vhost.outside = true);
    assert_eq!(at(&world), [other, gateway]);
    let to_node = Hop { next_hop: NextHopKey::Receive(VifId::VHOST), label: None };
    assert_eq!(world.desired().prefixes[&(VRF, all)], to_node);
}

#[test]
fn vrfs_that_reach_the_same_networks_share_their_services() {
    let mut world = cent222().with([chapter()]);
    world.vrf(vrf(3, "other"));
    world.vrf(Vrf { networks: vec!["public".into()], ..vrf(4, "public") });
    world.vrf(Vrf { networks: Vec::new(), ..vrf(5, "none") });
    let d = world.desired();
    let nets: Vec<u16> = d.vrfs.values().map(|vrf| vrf.service_net).collect();
    assert_eq!(nets, [2, 2, 4, 0]);
    assert_eq!(d.listeners.keys().copied().collect::<Vec<_>>(), [service_key(8888)]);
    assert!(d.routes.contains_key(&(VrfId(3), VIP)));
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
    for (world, target) in [(cent222(), 80), (cent333(), 79)] {
        let compiled = world.with([service(vec![listener.clone()])]).compile();
        let d = &compiled.desired;
        assert_eq!(d.fip.values().map(|t| t.port).collect::<Vec<_>>(), [target]);
        assert_eq!(group(d).members.iter().filter(|m| !m.draining).count(), 2);
        // Said on every node.
        for said in [
            "leads to port 80 of pod 10.47.255.236, and cannot lead to 79 too",
            "leads to port 79 of pod 10.47.255.238, and cannot lead to 80 too",
        ] {
            assert!(findings(&compiled).contains(said), "{}", findings(&compiled));
        }
    }
}

#[test]
fn backends_are_marked() {
    let mut listeners =
        vec![listener("a", 8888, 80, &[236, 238]), listener("b", 9999, 80, &[236, 238])];
    listeners.push(Listener { protocol: Protocol::Udp, ..listener("dns", 53, 5353, &[236]) });
    let d = cent222().with([service(listeners)]).desired();
    let marks = crate::marks(&d.fip);
    let marks: Vec<_> = marks.iter().map(|k| (k.vif.0, k.protocol, k.address, k.port)).collect();
    let tcp = |port| (8, Protocol::Tcp, pod(236), port);
    assert_eq!(marks, [tcp(0), tcp(80), (8, Protocol::Udp, pod(236), 0)]);
}

#[test]
fn terminating_endpoints_take_new_connections_only_if_nobody_else_does() {
    let mut web = chapter();
    web.listeners[0].pool.members[0].state = MemberState::Draining;
    let d = cent222().with([web.clone()]).desired();
    assert_eq!(group(&d).members.iter().map(|m| m.draining).collect::<Vec<_>>(), [true, false]);
    assert_eq!(d.fip.len(), 1, "a draining backend goes on translating");
    web.listeners[0].pool.members[1].state = MemberState::Draining;
    let d = cent222().with([web]).desired();
    assert_eq!(group(&d).members.iter().map(|m| m.draining).collect::<Vec<_>>(), [false, false]);
}

#[test]
fn clients_are_kept_at_their_members() {
    let mut web =
        LoadBalancer { affinity: Affinity::ClientIp { timeout_seconds: 10_800 }, ..chapter() };
    // Two addresses of one service: it is named, and told apart by nothing else.
    let address = "10.105.139.154".parse().unwrap();
    web.floating_ips.push(FloatingIp { address, ..web.floating_ips[0].clone() });
    let world = cent222().with([web.clone()]);
    let compiled = world.compile();
    let listeners = &compiled.desired.listeners;
    assert_eq!(listeners.len(), 2);
    for listening in listeners.values() {
        assert_eq!(listening.affinity.as_ref(), Some(&web.name));
        let RouteTarget::Group(group) = &listening.target else { panic!("{listening:?}") };
        // What comes by a label has no affinity but by the hash.
        let local = listening
            .local
            .as_ref()
            .map_or((hash::FIELD_SIP, 0), |local| (local.hash_fields, local.affinity_seconds));
        assert_eq!((group.hash_fields, group.affinity_seconds), (hash::FIELD_SIP, 10_800));
        assert_eq!(local, (hash::FIELD_SIP, 0));
    }
    assert!(!findings(&compiled).contains("affinity"), "{}", findings(&compiled));
    // A card that cannot says so, and does what it can.
    let shape = Shape { affinities: 0, ..Shape::default() };
    let compiled =
        Compiler::new(Providers::default(), shape).compile(&world.intent, &world.neighbours);
    for listening in compiled.desired.listeners.values() {
        let RouteTarget::Group(group) = &listening.target else { panic!("{listening:?}") };
        assert_eq!((group.hash_fields, group.affinity_seconds), (hash::FIELD_SIP, 0));
        assert_eq!(listening.affinity, None);
    }
    assert!(findings(&compiled).contains("affinity by hash"), "{}", findings(&compiled));
}

#[test]
fn what_cannot_be_served_is_told() {
    let mut web = chapter();
    web.listeners.push(Listener { protocol: Protocol::Sctp, ..listener("sctp", 132, 133, &[236]) });
    web.listeners.push(listener("odd", 9999, 90, &[236, 98, 99]));
    let text = findings(&cent222().with([web]).compile());
    assert!(text.contains("SCTP port 132"), "{text}");
    assert!(text.contains("endpoint 10.47.255.98 (and 1 more)"), "{text}");
}

#[test]
fn vrfs_see_what_they_import() {
    let mut world = cent222().with([chapter()]);
    world.vrf(vrf(3, "other"));
    let d = world.desired();
    assert!(!d.routes.contains_key(&(VrfId(3), pod(237))));
    assert!(d.routes.contains_key(&(VrfId(3), pod(238))), "remote routes go to all VRFs");
    world.vrf(Vrf { imports: vec![VRF], ..vrf(3, "other") });
    world.routes[0].vrfs.push(VRF);
    world.settle_rib();
    let d = world.desired();
    assert!(d.routes.contains_key(&(VrfId(3), pod(237))));
    assert!(!d.routes.contains_key(&(VrfId(3), pod(238))));
}

#[test]
fn floating_ips_are_reached_in_their_network_only() {
    let mut world = cent222().with([chapter()]);
    world.vrf(Vrf { networks: vec!["public".into()], ..vrf(3, "other") });
    let d = world.desired();
    assert!(d.routes.contains_key(&(VRF, VIP)) && !d.routes.contains_key(&(VrfId(3), VIP)));
    let mut web = chapter();
    web.floating_ips[0].network = "public".into();
    world.balancer(web.clone());
    let d = world.desired();
    assert!(!d.routes.contains_key(&(VRF, VIP)) && d.routes.contains_key(&(VrfId(3), VIP)));
    // A backend here translates wherever its clients are.
    assert_eq!(d.fip.len(), 1);
    web.floating_ips[0].network = "nowhere".into();
    world.balancer(web);
    let compiled = world.compile();
    assert!(compiled.desired.routes.keys().all(|(_, address)| *address != VIP));
    let text = findings(&compiled);
    assert!(text.contains("no VRF of this node reaches network nowhere"), "{text}");
}

#[test]
fn a_floating_ip_has_the_members_of_its_family() {
    let alone = |lasts: &[u8]| {
        service(vec![listener("a", 8888, 80, lasts), listener("b", 9999, 90, lasts)])
    };
    let dual = |lasts: &[u8]| {
        let mut dual = alone(lasts);
        let v6 = |text: &str| text.parse::<IpAddr>().unwrap();
        dual.floating_ips.push(floating_ip(v6("fd00::a"), FloatingIpKind::Cluster));
        for (n, listener) in dual.listeners.iter_mut().enumerate() {
            // Of the other family the two ports do not have the same backends.
            let more = ["fd00::1", "fd00::2"].into_iter().skip(n).map(|text| Member {
                address: v6(text),
                port: 80,
                state: MemberState::Active,
                node: String::new(),
                hints: Hints::default(),
            });
            listener.pool.members.extend(more);
        }
        dual
    };
    let compiled = cent222().with([dual(&[236, 238])]).compile();
    assert_eq!(compiled.desired, cent222().with([alone(&[236, 238])]).desired());
    assert_eq!(
        findings(&compiled),
        "Service ns-user-1/service-web-clusterip: fd00::a is an IPv6 address, which this card does not know: not served"
    );
    // Nobody of its family is nobody.
    let d = cent222().with([dual(&[])]).desired();
    assert_eq!(hop(&d), NextHopKey::Reject);
}

#[test]
fn what_other_nodes_should_know_is_advertised() {
    let mut web = chapter();
    let vip = |world: World| {
        let of_vip = |a: &penstock_model::Advertisement| a.prefix.addr() == VIP;
        let labels = |c: Compiled| -> Vec<u32> {
            c.advertisements.keys().filter(|a| of_vip(a)).map(|a| a.label.0).collect()
        };
        labels(world.compile())
    };
    assert_eq!(vip(cent222().with([web.clone()])), [28]);
    // Not by one who takes no new connections.
    web.listeners[0].pool.members[0].state = MemberState::Draining;
    assert_eq!(vip(cent222().with([web])), [0; 0]);
}
