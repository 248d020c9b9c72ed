//! Who has an address that several load balancers want.

use super::*;
use crate::FipKey;

const EXTERNAL: Ipv4Addr = Ipv4Addr::new(101, 101, 101, 1);

/// A load balancer of age `created` with one address, one port and one backend.
fn wants(
    name: (&str, &str),
    created: i64,
    (address, kind): (Ipv4Addr, FloatingIpKind),
    (port, backend): (u16, u8),
) -> LoadBalancer {
    LoadBalancer {
        name: ObjectName::new(name.0, name.1),
        created: Some(created),
        floating_ips: vec![FloatingIp { address, kind, scope: Scope::Cluster }],
        listeners: vec![listener("", port, port, &[backend])],
        ..LoadBalancer::default()
    }
}

fn compiled(balancers: &[LoadBalancer]) -> Desired {
    let mut s = snapshot(cent222(), balancers.to_vec());
    s.external_ranges = vec!["101.101.101.0/24".parse().unwrap()];
    let d = compile(&s).unwrap();
    // Never a matter of who came first.
    s.load_balancers.reverse();
    assert_eq!(compile(&s).unwrap(), d);
    d
}

/// Backends of an address's group, if it has a route at all.
fn backends(d: &Desired, address: Ipv4Addr) -> Option<Vec<Ipv4Addr>> {
    match d.routes.get(&(VRF, address))? {
        RouteTarget::Group(group) => Some(group.members.iter().map(|m| m.pod).collect()),
        RouteTarget::Hop(_) => Some(Vec::new()),
    }
}

fn ports(d: &Desired, address: Ipv4Addr) -> Vec<u16> {
    d.services.get(&address).into_iter().flatten().map(|(_, port)| *port).collect()
}

fn notes(d: &Desired) -> String {
    d.notes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
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
            // Even where the operator allowed the range.
            other.listeners.push(listener("b", 8080, 8080, &[238]));
            let mut s = snapshot(cent222(), vec![victim.clone(), other]);
            s.external_ranges = vec!["0.0.0.0/0".parse().unwrap()];
            let d = compile(&s).unwrap();
            let loser = format!("{namespace}/x: {VIP} is the cluster IP of shop/web, passed over");
            let winner = format!("shop/web: {VIP} is the cluster IP of {namespace}/x, passed over");
            let (backend, note) = if wins { (238, winner) } else { (236, loser) };
            assert_eq!(backends(&d, VIP), Some(vec![pod(backend)]), "{kind:?} of {namespace}");
            assert_eq!(d.fip.len(), usize::from(!wins), "{:?}", d.fip);
            assert!(notes(&d).contains(&note), "{}", notes(&d));
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
    assert_eq!(
        backends(&compiled(&[a.clone(), b.clone(), c.clone()]), EXTERNAL),
        Some(vec![pod(238)])
    );
    assert_eq!(backends(&compiled(&[a.clone(), c.clone()]), EXTERNAL), Some(vec![pod(236)]));
    let twin = LoadBalancer { created: Some(20), ..b };
    let d = compiled(&[a, twin]);
    assert_eq!(backends(&d, EXTERNAL), Some(vec![pod(236)]));
    assert_eq!(notes(&d), "b/b: 101.101.101.1 belongs to a/a, passed over");
}

#[test]
fn a_namespace_shares_by_port() {
    let ingress = (EXTERNAL, FloatingIpKind::Ingress);
    let web = wants(("shop", "web"), 10, ingress, (80, 236));
    let mut api = wants(("shop", "api"), 20, (EXTERNAL, FloatingIpKind::External), (443, 238));
    api.listeners.push(listener("old", 80, 81, &[236, 238]));
    let d = compiled(&[web.clone(), api.clone()]);
    assert_eq!(backends(&d, EXTERNAL), Some(vec![pod(236), pod(238)]));
    assert_eq!(ports(&d, EXTERNAL), [80, 443]);
    let key = FipKey { vif: VifId(8), protocol: Protocol::Tcp, address: EXTERNAL, port: 80 };
    assert_eq!(d.fip[&key].port, 80, "the older one's");
    assert!(
        notes(&d).contains("shop/api: port 80/TCP of 101.101.101.1 belongs to shop/web"),
        "{}",
        notes(&d)
    );
    // The same number of another protocol is another port.
    api.listeners = vec![Listener { protocol: Protocol::Udp, ..listener("", 80, 80, &[238]) }];
    assert_eq!(ports(&compiled(&[web.clone(), api.clone()]), EXTERNAL), [80, 80]);
    // Not with another namespace, though.
    api.name.namespace = "evil".to_owned();
    assert_eq!(backends(&compiled(&[web, api]), EXTERNAL), Some(vec![pod(236)]));
}

#[test]
fn external_ips_need_leave_and_are_never_what_the_node_knows() {
    let at = |address: Ipv4Addr, range: Option<&str>| {
        let external = (address, FloatingIpKind::External);
        let mut s = snapshot(cent222(), vec![wants(("a", "a"), 1, external, (80, 236))]);
        s.external_ranges = range.iter().map(|range| range.parse().unwrap()).collect();
        s.pods.insert(pod(99), penstock_model::Pod::default());
        let d = compile(&s).unwrap();
        (d.services.contains_key(&address), notes(&d))
    };
    let (served, why) = at(EXTERNAL, None);
    assert!(!served && why.contains("in no range of --allow-external-ips"), "{why}");
    assert!(!at(EXTERNAL, Some("101.101.102.0/24")).0);
    assert!(at(EXTERNAL, Some("101.101.101.0/24")).0);
    let neighbour_in_the_fabric = Ipv4Addr::new(10, 169, 25, 200);
    for known in [pod(237), pod(238), pod(99), CENT222, CENT333, neighbour_in_the_fabric] {
        let (served, why) = at(known, Some("0.0.0.0/0"));
        assert!(!served && !why.is_empty(), "{known}: {why}");
    }
}

#[test]
fn external_ips_are_never_in_the_clusters_own_ranges() {
    let range: penstock_model::Prefix = "101.101.101.0/28".parse().unwrap();
    let at = |address: Ipv4Addr, kind| {
        let mut s = snapshot(cent222(), vec![wants(("a", "a"), 1, (address, kind), (80, 236))]);
        s.external_ranges = vec!["101.101.101.0/24".parse().unwrap()];
        s.cluster_ranges = vec!["10.96.0.0/12".parse().unwrap(), range];
        let d = compile(&s).unwrap();
        (d.services.contains_key(&address), notes(&d))
    };
    // In both; in the cluster's alone, where it does not help to allow it; in the allowed alone.
    let unused_cluster_ip = Ipv4Addr::new(10, 96, 0, 77);
    for (address, range) in [(EXTERNAL, "101.101.101.0/28"), (unused_cluster_ip, "10.96.0.0/12")] {
        let (served, why) = at(address, FloatingIpKind::External);
        assert!(!served, "{address}");
        let note =
            format!("a/a: external IP {address} is in {range} of --cluster-cidr, passed over");
        assert_eq!(why, note);
    }
    assert!(at(Ipv4Addr::new(101, 101, 101, 16), FloatingIpKind::External).0);
    // Cluster IPs are there for that, and what hands out ingress addresses is believed.
    assert!(at(unused_cluster_ip, FloatingIpKind::Cluster).0);
    assert!(at(EXTERNAL, FloatingIpKind::Ingress).0);
}

#[test]
fn what_only_some_may_use_is_not_served_and_not_given_to_others() {
    let mut web = wants(("shop", "web"), 10, (EXTERNAL, FloatingIpKind::Ingress), (80, 236));
    web.source_ranges = vec!["192.0.2.0/24".to_owned()];
    web.floating_ips.push(FloatingIp {
        address: VIP,
        kind: FloatingIpKind::Cluster,
        scope: Scope::Cluster,
    });
    let d = compiled(std::slice::from_ref(&web));
    assert_eq!((backends(&d, EXTERNAL), backends(&d, VIP)), (None, Some(vec![pod(236)])));
    assert!(d.fip.keys().all(|key| key.address == VIP), "{:?}", d.fip);
    assert!(notes(&d).contains("only 192.0.2.0/24 may use 101.101.101.1"), "{}", notes(&d));
    // Neither another namespace nor another service of its own takes the place.
    let other = wants(("evil", "x"), 20, (EXTERNAL, FloatingIpKind::Ingress), (80, 238));
    assert_eq!(backends(&compiled(&[web.clone(), other.clone()]), EXTERNAL), None);
    let mut same = other;
    same.name.namespace = "shop".to_owned();
    assert_eq!(backends(&compiled(&[web.clone(), same.clone()]), EXTERNAL), None);
    same.listeners.push(listener("tls", 443, 443, &[238]));
    let d = compiled(&[web, same]);
    assert_eq!((backends(&d, EXTERNAL), ports(&d, EXTERNAL)), (Some(vec![pod(238)]), vec![443]));
}

#[test]
fn a_shared_affinity_is_said() {
    let ingress = (EXTERNAL, FloatingIpKind::Ingress);
    let web = wants(("shop", "web"), 10, ingress, (80, 236));
    let mut api = wants(("shop", "api"), 20, ingress, (443, 236));
    api.affinity = Affinity::ClientIp { timeout_seconds: 10 };
    let shared = compiled(&[web.clone(), api.clone()]);
    assert!(notes(&shared).contains("shop/web: shares 101.101.101.1 with shop/api"));
    // Another namespace's has no say.
    api.name.namespace = "evil".to_owned();
    let d = compiled(&[web, api]);
    let RouteTarget::Group(group) = &d.routes[&(VRF, EXTERNAL)] else { panic!("no group") };
    assert_eq!(group.hash_fields, hash::FIELD_ALL);
}

#[test]
fn notes_tell_at_which_addresses_a_load_balancer_is_not_served() {
    let denied = |balancers: &[LoadBalancer], name: &str, address| {
        let d = compiled(balancers);
        let mut about = d.notes.iter().filter(|note| note.subject == name);
        about.any(|note| crate::denies(&note.text, address))
    };
    let ingress = (EXTERNAL, FloatingIpKind::Ingress);
    let web = wants(("shop", "web"), 10, ingress, (80, 236));
    let other = wants(("evil", "x"), 20, ingress, (80, 238));
    let both = [web.clone(), other.clone()];
    assert!(denied(&both, "evil/x", EXTERNAL) && !denied(&both, "shop/web", EXTERNAL));
    // A longer address that begins alike is another one.
    assert!(!denied(&both, "evil/x", Ipv4Addr::new(101, 101, 101, 10)));
    for kind in [FloatingIpKind::Cluster, FloatingIpKind::External] {
        let at_a_pod = [wants(("shop", "pod"), 10, (pod(236), kind), (80, 236))];
        assert!(denied(&at_a_pod, "shop/pod", pod(236)));
    }
    let unallowed = (Ipv4Addr::new(192, 0, 2, 1), FloatingIpKind::External);
    let unallowed = [wants(("shop", "far"), 10, unallowed, (80, 236))];
    assert!(denied(&unallowed, "shop/far", Ipv4Addr::new(192, 0, 2, 1)));
    let only = [LoadBalancer { source_ranges: vec!["192.0.2.0/24".to_owned()], ..web.clone() }];
    assert!(denied(&only, "shop/web", EXTERNAL));
    // Who shares an address and lost a port of it has the others.
    let mut sharer = other;
    sharer.name.namespace = "shop".to_owned();
    sharer.listeners.push(listener("tls", 443, 443, &[238]));
    let shared = [web, sharer];
    assert!(notes(&compiled(&shared)).contains("shop/x: port 80/TCP of"));
    assert!(!denied(&shared, "shop/x", EXTERNAL));
}
