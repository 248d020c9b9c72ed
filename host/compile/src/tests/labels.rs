//! Labels of floating IPs.

use super::*;

/// The label of a floating IP, and its VRF.
fn label_of(d: &Desired, address: IpAddr) -> Option<(u32, VrfId)> {
    let mut of = d.labels.iter().filter(|(_, entry)| entry.service == Some(address));
    let only = of.next().map(|(label, entry)| (label.0, entry.vrf));
    assert!(of.next().is_none(), "{address} has two");
    only
}

/// Pods to which packets by the label go, by port.
fn local(d: &Desired, port: u16) -> Option<Vec<IpAddr>> {
    d.listeners[&service_key(port)].local.as_deref().map(pods)
}

/// What is told of a floating IP.
fn told(compiled: &Compiled, address: IpAddr) -> Vec<(VrfId, u32)> {
    let told = compiled.advertisements.keys().filter(|a| a.prefix.addr() == address);
    told.map(|a| (a.vrf, a.label.0)).collect()
}

#[test]
fn a_label_leads_to_the_members_of_this_node_by_port() {
    let ports = [listener("a", 8888, 80, &[236, 238]), listener("b", 9999, 90, &[238])];
    let mut world = cent222().with([service(ports.to_vec())]);
    // Without a block there is none, and the pod's own is told.
    let compiled = world.compile();
    assert_eq!(label_of(&compiled.desired, VIP), None);
    assert_eq!((local(&compiled.desired, 8888), told(&compiled, VIP)), (None, vec![(VRF, 28)]));
    world.labels(4096, 16);
    let compiled = after(&[&world], Shape::default());
    let d = &compiled.desired;
    let (label, vrf) = label_of(d, VIP).unwrap();
    assert!((4096..4112).contains(&label));
    // One port is another node's.
    assert_eq!((local(d, 8888), local(d, 9999)), (Some(vec![pod(236)]), None));
    assert_eq!(told(&compiled, VIP), [(vrf, label)]);
    let port = d.listeners[&service_key(8888)].local.as_ref().unwrap().members[0].port;
    assert_eq!(port, Some(80), "it brings its mapping");
}

#[test]
fn who_is_not_served_here_has_no_label() {
    let mut world = cent222().with([service(vec![listener("", 8888, 80, &[238])])]);
    world.labels(4096, 16);
    let here = cent222().with([chapter()]);
    let mut here = World { intent: here.intent, ..world.clone() };
    here.labels(4096, 16);
    let compiled = after(&[&here, &world], Shape::default());
    assert_eq!(label_of(&compiled.desired, VIP), None);
    assert_eq!(told(&compiled, VIP), []);
}

/// It keeps those who have a connection, and tells nobody else; the last one serves until it is gone.
#[test]
fn a_label_stays_for_members_that_drain() {
    let mut web = service(vec![listener("", 8888, 80, &[236, 238])]);
    web.listeners[0].pool.members[0].state = MemberState::Draining;
    let mut world = cent222().with([web]);
    world.labels(4096, 16);
    let compiled = world.compile();
    assert!(label_of(&compiled.desired, VIP).is_some());
    let local = compiled.desired.listeners[&service_key(8888)].local.as_ref().unwrap();
    assert!(local.members.iter().all(|member| !member.draining), "nobody else is here");
    assert_eq!(told(&compiled, VIP), []);
}

#[test]
fn labels_of_others_are_passed_over_and_those_of_vifs_come_first() {
    let mut web = chapter();
    web.created = Some(1);
    let mut other = service(vec![listener("", 80, 80, &[236])]);
    (other.name, other.created) = (ObjectName::new("ns", "other"), Some(2));
    other.floating_ips[0].address = [10, 105, 0, 1].into();
    let mut world = cent222().with([web, other.clone()]);
    // Three labels, of which one is a pod's and one the node's.
    world.labels(27, 3);
    world.vhost(|vhost| vhost.label = Some(MplsLabel(27)));
    let compiled = after(&[&world], Shape::default());
    let d = &compiled.desired;
    assert_eq!(label_of(d, VIP), Some((29, VRF)));
    assert_eq!(d.labels[&MplsLabel(28)].next_hop, NextHopKey::Encap(VifId(8)));
    assert_eq!(label_of(d, [10, 105, 0, 1].into()), None);
    let said = findings(&compiled);
    assert!(said.contains("ns/other: no label is free for 10.105.0.1"), "{said}");
    // The other is served all the same, by its member's label.
    assert_eq!(told(&compiled, [10, 105, 0, 1].into()), [(VRF, 28)]);
    // A pod comes that has the last one, and goes again.
    let mut taken = world.clone();
    taken.vif(vif(9, "late", 235, 29));
    let compiled = after(&[&world, &taken], Shape::default());
    assert_eq!(label_of(&compiled.desired, VIP), None);
    assert_eq!(compiled.desired.labels[&MplsLabel(29)].service, None);
    let compiled = after(&[&world, &taken, &world], Shape::default());
    assert_eq!(label_of(&compiled.desired, VIP), Some((29, VRF)));
}

#[test]
fn labels_that_the_card_does_not_have_are_not_given() {
    let mut world = cent222().with([chapter()]);
    let shape = Shape { labels: 4100, ..Shape::default() };
    world.labels(4096, 100);
    let compiled = after(&[&world], shape);
    assert!((4096..4100).contains(&label_of(&compiled.desired, VIP).unwrap().0));
    let said = findings(&compiled);
    assert!(said.contains("serviceLabels: label 4195 is not in 16..=4099"), "{said}");
    world.labels(5000, 2);
    let compiled = after(&[&world], shape);
    assert_eq!(label_of(&compiled.desired, VIP), None);
    assert!(findings(&compiled).contains("no label is free"));
}

/// Replies are routed in its VRF.
#[test]
fn the_vrf_of_a_label_is_that_of_its_network() {
    let mut web = chapter();
    web.floating_ips[0].network = "public".into();
    let mut world = cent222().with([web]);
    world.labels(4096, 16);
    world.vrf(Vrf { networks: vec!["public".into()], ..vrf(VRF.0, "k8s") });
    assert_eq!(label_of(&world.desired(), VIP).map(|(_, vrf)| vrf), Some(VRF));
    world.vrf(Vrf { networks: vec!["public".into()], ..vrf(7, "public") });
    // Pods of VRF 2 have routes there.
    let mut shown = Vrf { networks: vec!["public".into()], ..vrf(7, "public") };
    shown.imports = vec![VRF];
    world.vrf(shown);
    let compiled = after(&[&world], Shape::default());
    assert_eq!(label_of(&compiled.desired, VIP).map(|(_, vrf)| vrf), Some(VrfId(7)));
}
