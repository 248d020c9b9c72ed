//! Who has an address that several load balancers want.

use penstock_model::{Denial, Reason};

use super::*;
use crate::FipKey;

const EXTERNAL: IpAddr = IpAddr::V4(Ipv4Addr::new(101, 101, 101, 1));

/// A load balancer of age `created` with one address, one port and one backend.
fn wants(
    name: (&str, &str),
    created: i64,
    (address, kind): (IpAddr, FloatingIpKind),
    (port, backend): (u16, u8),
) -> LoadBalancer {
    LoadBalancer {
        name: ObjectName::new(name.0, name.1),
        created: Some(created),
        floating_ips: vec![floating_ip(address, kind)],
        listeners: vec![listener("", port, port, &[backend])],
        ..LoadBalancer::default()
    }
}

fn compiled(balancers: &[LoadBalancer]) -> Compiled {
    let mut world = cent222().with(balancers.iter().cloned());
    world.policy(&["101.101.101.0/24"], &[]);
    world.compile()
}

/// Backends of an address's group, if it has a route at all.
fn backends(compiled: &Compiled, address: IpAddr) -> Option<Vec<IpAddr>> {
    let d = &compiled.desired;
    match d.routes.get(&(VRF, address))? {
        RouteTarget::Group(group) => Some(pods(group)),
        RouteTarget::Listener(key) => Some(pods(listening(d, key))),
        RouteTarget::Hop(_) => Some(Vec::new()),
    }
}

fn ports(compiled: &Compiled, address: IpAddr) -> Vec<u16> {
    let services = &compiled.desired.services;
    services.get(&address).into_iter().flat_map(|ports| ports.iter().map(|port| port.1)).collect()
}

/// Whether a load balancer is told that it is not served at an address.
fn denied(compiled: &Compiled, (namespace, name): (&str, &str), at: IpAddr) -> Option<Denial> {
    let id = ObjectId::LoadBalancer(ObjectName::new(namespace, name));
    compiled.findings.get(&id)?.iter().find_map(|finding| match &finding.reason {
        Reason::Denied { address, why } if *address == at => Some(why.clone()),
        _ => None,
    })
}

#[test]
fn a_cluster_ip_is_never_shared() {
    let victim = wants(("shop", "web"), 20, (VIP, FloatingIpKind::Cluster), (80, 236));
    for (kind, created, wins) in [
        (FloatingIpKind::External, 10, false),
        (FloatingIpKind::Ingress, 10, false),
        (FloatingIpKind::Cluster, 30, false),
        (FloatingIpKind::Cluster, 10, true),
    ] {
        for (namespace, port) in [("evil", 80), ("evil", 1), ("shop", 1)] {
            let mut other = wants((namespace, "x"), created, (VIP, kind), (port, 238));
            other.listeners.push(listener("b", 8080, 8080, &[238]));
            let mut world = cent222().with([victim.clone(), other]);
            // Even where the operator allowed the range.
            world.policy(&["0.0.0.0/0"], &[]);
            let compiled = world.compile();
            let (backend, winner, loser) = if wins {
                (238, (namespace, "x"), ("shop", "web"))
            } else {
                (236, ("shop", "web"), (namespace, "x"))
            };
            assert_eq!(backends(&compiled, VIP), Some(vec![pod(backend)]), "{kind:?} {namespace}");
            assert_eq!(compiled.desired.fip.len(), usize::from(!wins));
            let winner = ObjectName::new(winner.0, winner.1);
            assert_eq!(compiled.owners[&VIP], ObjectId::LoadBalancer(winner.clone()));
            assert_eq!(denied(&compiled, loser, VIP), Some(Denial::ClusterIpOf(winner)));
        }
    }
}

#[test]
fn age_counts_then_the_name_and_no_age_comes_last() {
    let ingress = (EXTERNAL, FloatingIpKind::Ingress);
    let a = wants(("a", "a"), 20, ingress, (80, 236));
    let b = wants(("b", "b"), 10, ingress, (80, 238));
    let mut c = wants(("0", "0"), 0, ingress, (80, 237));
    c.created = None;
    let all = compiled(&[a.clone(), b.clone(), c.clone()]);
    assert_eq!(backends(&all, EXTERNAL), Some(vec![pod(238)]));
    assert_eq!(backends(&compiled(&[a.clone(), c]), EXTERNAL), Some(vec![pod(236)]));
    let twin = LoadBalancer { created: Some(20), ..b };
    let both = compiled(&[a, twin]);
    assert_eq!(backends(&both, EXTERNAL), Some(vec![pod(236)]));
    let said = "Service b/b: refused: 101.101.101.1 belongs to a/a: not served";
    assert_eq!(findings(&both), said);
}

#[test]
fn a_namespace_shares_by_port() {
    let ingress = (EXTERNAL, FloatingIpKind::Ingress);
    let web = wants(("shop", "web"), 10, ingress, (80, 236));
    let mut api = wants(("shop", "api"), 20, (EXTERNAL, FloatingIpKind::External), (443, 238));
    api.listeners.push(listener("old", 80, 81, &[236, 238]));
    let both = compiled(&[web.clone(), api.clone()]);
    assert_eq!(backends(&both, EXTERNAL), Some(vec![pod(236), pod(238)]));
    assert_eq!(ports(&both, EXTERNAL), [80, 443]);
    let key = FipKey { vif: VifId(8), protocol: Protocol::Tcp, address: EXTERNAL, port: 80 };
    assert_eq!(both.desired.fip[&key].port, 80, "the older one's");
    let said = "Service shop/api: port 80/TCP of 101.101.101.1 is that of Service shop/web";
    assert!(findings(&both).contains(said), "{}", findings(&both));
    // Who shares an address and lost a port of it has the others.
    assert_eq!(denied(&both, ("shop", "api"), EXTERNAL), None);
    // The same number of another protocol is another port.
    api.listeners = vec![Listener { protocol: Protocol::Udp, ..listener("", 80, 80, &[238]) }];
    assert_eq!(ports(&compiled(&[web.clone(), api.clone()]), EXTERNAL), [80, 80]);
    // Not with another provider or network, and not with another namespace.
    let mut elsewhere = api.clone();
    elsewhere.floating_ips[0].network = "public".into();
    let theirs = LoadBalancer { provider: "proxy".into(), ..api.clone() };
    for other in [elsewhere, theirs] {
        let both = compiled(&[web.clone(), other]);
        assert_eq!(ports(&both, EXTERNAL), [80]);
        let why = Denial::SharedOtherwise(web.name.clone());
        assert_eq!(denied(&both, ("shop", "api"), EXTERNAL), Some(why));
    }
    api.name.namespace = "evil".to_owned();
    assert_eq!(backends(&compiled(&[web, api]), EXTERNAL), Some(vec![pod(236)]));
}

#[test]
fn external_ips_need_leave_and_are_never_what_the_node_knows() {
    let at = |address: IpAddr, range: Option<&str>| {
        let external = (address, FloatingIpKind::External);
        let mut world = cent222().with([wants(("a", "a"), 1, external, (80, 236))]);
        world.policy(range.as_slice(), &[]);
        let known = penstock_model::Pod {
            name: ObjectName::new("a", "known"),
            address: pod(99),
            node: String::new(),
        };
        world.intent.pods.insert(pod(99), Arc::new(known));
        let compiled = world.compile();
        let why = denied(&compiled, ("a", "a"), address);
        assert_eq!(compiled.desired.services.contains_key(&address), why.is_none());
        why
    };
    assert_eq!(at(EXTERNAL, None), Some(Denial::NotAllowed));
    assert_eq!(at(EXTERNAL, Some("101.101.102.0/24")), Some(Denial::NotAllowed));
    assert_eq!(at(EXTERNAL, Some("101.101.101.0/24")), None);
    let fabric = Denial::InFabric("10.169.25.0/24".parse().unwrap());
    let neighbour_in_the_fabric = Ipv4Addr::new(10, 169, 25, 200).into();
    for (known, why) in [
        (pod(237), Denial::InUse),
        (pod(238), Denial::InUse),
        (pod(99), fabric.clone()),
        (CENT222, Denial::InUse),
        (CENT333, Denial::InUse),
        (neighbour_in_the_fabric, fabric),
    ] {
        assert_eq!(at(known, Some("0.0.0.0/0")), Some(why), "{known}");
    }
}

#[test]
fn a_pod_that_comes_takes_an_external_ip_away() {
    let mut world = cent222();
    world.balancer(wants(("a", "a"), 1, (EXTERNAL, FloatingIpKind::External), (80, 236)));
    world.policy(&["101.101.101.0/24"], &[]);
    let mut with_pod = world.clone();
    let name = ObjectName::new("a", "pod");
    let pod = penstock_model::Pod { name, address: EXTERNAL, node: String::new() };
    with_pod.intent.pods.insert(EXTERNAL, Arc::new(pod));
    let known = after(&[&world, &with_pod], Shape::default());
    assert!(known.desired.services.is_empty());
    let gone = after(&[&world, &with_pod, &world], Shape::default());
    assert!(gone.desired.services.contains_key(&EXTERNAL));
}

#[test]
fn addresses_of_pods_and_nodes_are_not_services() {
    let mut web = chapter();
    web.floating_ips[0].address = pod(237);
    let compiled = cent222().with([web]).compile();
    let client = Hop { next_hop: NextHopKey::Encap(VifId(7)), label: None };
    assert_eq!(compiled.desired.routes[&(VRF, pod(237))], RouteTarget::Hop(client));
    let why = denied(&compiled, ("ns-user-1", "service-web-clusterip"), pod(237));
    assert_eq!(why, Some(Denial::InUse));
    assert!(compiled.owners.is_empty() && compiled.desired.refused.is_empty());
}

#[test]
fn external_ips_are_never_in_the_clusters_own_ranges() {
    let at = |address: IpAddr, kind| {
        let mut world = cent222().with([wants(("a", "a"), 1, (address, kind), (80, 236))]);
        world.policy(&["101.101.101.0/24"], &["10.96.0.0/12", "101.101.101.0/28"]);
        denied(&world.compile(), ("a", "a"), address)
    };
    // In both; in the cluster's alone, where it does not help to allow it; in the allowed alone.
    let unused_cluster_ip = Ipv4Addr::new(10, 96, 0, 77).into();
    for (address, range) in [(EXTERNAL, "101.101.101.0/28"), (unused_cluster_ip, "10.96.0.0/12")] {
        let why = Denial::InClusterRange(range.parse().unwrap());
        assert_eq!(at(address, FloatingIpKind::External), Some(why), "{address}");
    }
    let allowed = Ipv4Addr::new(101, 101, 101, 16).into();
    assert_eq!(at(allowed, FloatingIpKind::External), None);
    // Cluster IPs are there for that, and what hands out ingress addresses is believed.
    assert_eq!(at(unused_cluster_ip, FloatingIpKind::Cluster), None);
    assert_eq!(at(EXTERNAL, FloatingIpKind::Ingress), None);
}

#[test]
fn what_only_some_may_use_is_not_served_and_not_given_to_others() {
    let mut web = wants(("shop", "web"), 10, (EXTERNAL, FloatingIpKind::Ingress), (80, 236));
    web.source_ranges = vec!["192.0.2.0/24".to_owned()];
    web.floating_ips.push(floating_ip(VIP, FloatingIpKind::Cluster));
    let alone = compiled(std::slice::from_ref(&web));
    assert_eq!((backends(&alone, EXTERNAL), backends(&alone, VIP)), (None, Some(vec![pod(236)])));
    assert!(alone.desired.fip.keys().all(|key| key.address == VIP));
    assert!(alone.desired.refused.is_empty(), "what the card has must not stay");
    let why = Denial::SourceRanges(web.source_ranges.clone());
    assert_eq!(denied(&alone, ("shop", "web"), EXTERNAL), Some(why));
    let said = "Service shop/web: 101.101.101.1 is for 192.0.2.0/24 only, which the card does not enforce yet: not served";
    assert_eq!(findings(&alone), said);
    // Neither another namespace nor another service of its own takes the place.
    let other = wants(("evil", "x"), 20, (EXTERNAL, FloatingIpKind::Ingress), (80, 238));
    assert_eq!(backends(&compiled(&[web.clone(), other.clone()]), EXTERNAL), None);
    let mut same = other;
    same.name.namespace = "shop".to_owned();
    assert_eq!(backends(&compiled(&[web.clone(), same.clone()]), EXTERNAL), None);
    same.listeners.push(listener("tls", 443, 443, &[238]));
    let both = compiled(&[web, same]);
    assert_eq!(
        (backends(&both, EXTERNAL), ports(&both, EXTERNAL)),
        (Some(vec![pod(238)]), vec![443])
    );
}
