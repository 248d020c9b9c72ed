//! Hints, as kube-proxy reads them.

use super::world::*;
use super::*;

/// The chapter's service on the client's node, which is in zone `a`; its backends, 236 on this node and 238 on the other, are
/// meant for these nodes and zones.
fn hinted(hints: [(&[&str], &[&str]); 2]) -> World {
    let mut balancer = chapter();
    let names = |list: &[&str]| list.iter().map(ToString::to_string).collect();
    for (member, (nodes, zones)) in balancer.listeners[0].pool.members.iter_mut().zip(hints) {
        member.hints = Hints { nodes: names(nodes), zones: names(zones) };
    }
    let mut world = cent222().with([balancer]);
    let zone = Zone { node: "cent222".to_owned(), name: "a".to_owned() };
    world.intent.zones.insert(zone.node.clone(), Arc::new(zone));
    world
}

/// The last octets of the pods that are given new connections.
fn serving(world: &World) -> Vec<u8> {
    let desired = world.desired();
    let RouteTarget::Listener(key) = &desired.routes[&(VRF, VIP)] else { panic!("no listener") };
    let RouteTarget::Group(group) = &desired.listeners[key].target else { panic!("no group") };
    let active = group.members.iter().filter(|member| !member.draining);
    let mut pods: Vec<IpAddr> = active.filter_map(|member| member.pod).collect();
    pods.sort();
    pods.into_iter()
        .map(|pod| [236, 238].into_iter().find(|n| self::pod(*n) == pod).unwrap())
        .collect()
}

#[test]
fn hints_count_if_all_have_them_and_one_is_for_here() {
    let none: &[&str] = &[];
    for (hints, expected) in [
        // Nodes.
        ([(&["cent222"][..], none), (&["cent333"], none)], &[236][..]),
        ([(&["cent333"], none), (&["cent222", "x"], none)], &[238]),
        ([(&["cent222"], none), (none, none)], &[236, 238]),
        ([(&["x"], none), (&["y"], none)], &[236, 238]),
        // Zones.
        ([(none, &["a"][..]), (none, &["b"])], &[236]),
        ([(none, &["b"]), (none, &["c", "a"])], &[238]),
        ([(none, &["a"]), (none, none)], &[236, 238]),
        ([(none, &["b"]), (none, &["c"])], &[236, 238]),
        // A node's own come before those of its zone; if nobody is for the node, the zone counts.
        ([(&["cent222"], &["b"]), (&["cent333"], &["a"])], &[236]),
        ([(&["x"], &["b"]), (&["cent333"], &["a"])], &[238]),
        ([(&["cent222"], &["a"]), (none, &["b"])], &[236]),
        ([(none, none), (none, none)], &[236, 238]),
    ] {
        assert_eq!(serving(&hinted(hints)), expected, "{hints:?}");
    }
}

#[test]
fn hints_of_zones_need_the_nodes_own() {
    let mut world = hinted([(&[], &["a"]), (&[], &["b"])]);
    assert_eq!(serving(&world), [236]);
    world.intent.zones.clear();
    assert_eq!(serving(&world), [236, 238]);
}

#[test]
fn who_drains_has_no_say_in_hints() {
    let mut world = hinted([(&["cent222"], &[]), (&[], &[])]);
    let mut balancer = (**world.intent.balancers.values().next().unwrap()).clone();
    balancer.listeners[0].pool.members[1].state = MemberState::Draining;
    world.balancer(balancer.clone());
    // 238 has none, and does not count.
    assert_eq!(serving(&world), [236]);
    // All that terminate serve if nobody is ready, whatever their hints.
    for (member, node) in balancer.listeners[0].pool.members.iter_mut().zip(["cent222", "x"]) {
        member.state = MemberState::Draining;
        member.hints.nodes = vec![node.to_owned()];
    }
    world.balancer(balancer);
    assert_eq!(serving(&world), [236, 238]);
}

#[test]
fn local_policy_has_no_use_for_hints() {
    let world = hinted([(&["cent333"], &[]), (&["cent222"], &[])]);
    let mut balancer = (**world.intent.balancers.values().next().unwrap()).clone();
    balancer.floating_ips[0].scope = Scope::Local;
    balancer.listeners[0].pool.members[0].node = "cent222".to_owned();
    assert_eq!(serving(&world.with([balancer])), [236]);
}

#[test]
fn others_learn_of_pods_that_this_node_does_not_use() {
    let advertised = |world: &World| world.compile().advertisements;
    let all = advertised(&hinted([(&[], &[]), (&[], &[])]));
    assert!(!all.is_empty());
    let world = hinted([(&["cent333"], &[]), (&["cent222"], &[])]);
    assert_eq!(serving(&world), [238]);
    assert_eq!(advertised(&world), all);
    // Nor does it matter to who comes from the other node.
    assert_eq!(world.desired().fip, hinted([(&[], &[]), (&[], &[])]).desired().fip);
}
