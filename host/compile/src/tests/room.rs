//! What has no room: in a group, and in the tables.

use std::collections::BTreeSet;

use super::*;

fn compiled(world: &World, shape: Shape) -> Compiled {
    Compiler::new(Providers::default(), shape).compile(&world.intent, &world.neighbours)
}

/// A node that reaches the pods of `lasts` by tunnels.
fn far(name: &str, lasts: impl IntoIterator<Item = u8>) -> World {
    let mut world = World::new(name, CENT222, Vec::new());
    let to = |last| pod_route("cent333", CENT333, last, 100 + u32::from(last));
    world.routes = lasts.into_iter().map(to).collect();
    world.settle_rib();
    world
}

#[test]
fn a_group_that_is_too_large_is_served_by_a_part() {
    let all: Vec<u8> = (1..=70).collect();
    let at = |node: &str, lasts: &[u8]| {
        let big = service(vec![listener("", 8888, 80, lasts)]);
        let mut small = service(vec![listener("", 80, 80, &[1, 2])]);
        small.name = ObjectName::new("ns", "small");
        small.floating_ips[0].address = IpAddr::from(Ipv4Addr::new(10, 105, 0, 1));
        let world = far(node, lasts.iter().copied()).with([big, small]);
        compiled(&world, Shape { ecmp_group_max: 64, ..Shape::default() })
    };
    let chosen = |compiled: &Compiled| -> BTreeSet<IpAddr> {
        pods(group(&compiled.desired)).into_iter().collect()
    };
    let compiled = at("cent222", &all);
    let first = chosen(&compiled);
    assert_eq!(first.len(), 64);
    assert!(group(&compiled.desired).members.is_sorted_by_key(|member| member.hop));
    assert_eq!(
        findings(&compiled),
        "Service ns-user-1/service-web-clusterip: floating IP 10.105.139.153 has 70 backends, 64 of them serve: a group has \
         no more"
    );
    assert_eq!(compiled.desired.services.len(), 2, "the other one is served as ever");
    // One less, one more: one other at most.
    for gone in 1..=70_u8 {
        let rest: Vec<u8> = all.iter().copied().filter(|last| *last != gone).collect();
        let others = chosen(&at("cent222", &rest));
        assert!(first.difference(&others).count() <= 1, "without {gone}");
        assert_eq!(others.len(), 64);
    }
    // Another node has another part.
    let elsewhere = chosen(&at("cent444", &all));
    assert_ne!(first, elsewhere);
}

/// A service with `count` members on another node.
fn large_world(count: u16) -> World {
    let pod = |n: u16| {
        let [high, low] = n.to_be_bytes();
        IpAddr::from(Ipv4Addr::new(10, 48, high, low))
    };
    let mut world = World::new("cent222", CENT222, Vec::new());
    let to = |n| route("cent333", CENT333, &format!("{}/32", pod(n)), 100 + u32::from(n));
    world.routes = (0..count).map(to).collect();
    world.settle_rib();
    let member = |n| Member {
        address: pod(n),
        port: 80,
        state: MemberState::Active,
        node: "far".to_owned(),
        hints: Hints::default(),
    };
    let mut listener = listener("", 8888, 80, &[]);
    listener.pool.members = (0..count).map(member).collect();
    world.with([service(vec![listener])])
}

/// What is made of it.
fn large(count: u16) -> Compiled {
    large_world(count).compile()
}

#[test]
fn a_large_group_that_vrfs_have_in_common_needs_room_once() {
    let mut world = large_world(100);
    world.vrf(vrf(3, "blue"));
    world.vrf(vrf(4, "green"));
    let in_vrfs = |words: u32| {
        let compiled = compiled(&world, Shape { ecmp_words: words, ..Shape::default() });
        let groups = compiled.desired.routes.iter().filter(|(key, _)| key.1 == VIP);
        groups.filter(|(_, target)| matches!(target, RouteTarget::Listener(_))).count()
    };
    assert_eq!((in_vrfs(300), in_vrfs(200)), (3, 0));
}

#[test]
fn a_group_has_a_thousand_members_and_at_the_limit_a_part_that_is_stable() {
    let thousand = large(1000);
    assert_eq!(
        (group(&thousand.desired).members.len(), findings(&thousand)),
        (1000, String::new())
    );
    let over = large(1025);
    assert_eq!(
        findings(&over),
        "Service ns-user-1/service-web-clusterip: floating IP 10.105.139.153 has 1025 backends, 1024 of them serve: a group \
         has no more"
    );
    let chosen = |compiled: &Compiled| -> BTreeSet<IpAddr> {
        pods(group(&compiled.desired)).into_iter().collect()
    };
    let (all, over, more) = (chosen(&large(1024)), chosen(&over), chosen(&large(1026)));
    assert_eq!((all.len(), over.len(), more.len()), (1024, 1024, 1024));
    assert!(all.difference(&over).count() <= 1 && over.difference(&more).count() <= 1);
}

#[test]
fn those_that_drain_give_way_in_a_group_that_is_too_large() {
    let lasts: Vec<u8> = (1..=70).collect();
    let mut big = service(vec![listener("", 8888, 80, &lasts)]);
    for member in &mut big.listeners[0].pool.members[..20] {
        member.state = MemberState::Draining;
    }
    let shape = Shape { ecmp_group_max: 64, ..Shape::default() };
    let d = compiled(&far("cent222", lasts).with([big]), shape).desired;
    let draining = group(&d).members.iter().filter(|member| member.draining).count();
    assert_eq!((group(&d).members.len(), draining), (64, 14));
}

/// A service of age `n`, the older the lower, at an address of its own, with one port for each of `targets` at a pod on this node.
fn aged(n: u8, targets: impl IntoIterator<Item = u16>) -> LoadBalancer {
    let port = |target: u16| listener(&target.to_string(), target, target, &[236]);
    LoadBalancer {
        name: ObjectName::new("ns", format!("s{:03}", 100 - n)),
        created: Some(n.into()),
        floating_ips: vec![floating_ip(address(n), FloatingIpKind::Cluster)],
        listeners: targets.into_iter().map(port).collect(),
        ..LoadBalancer::default()
    }
}

fn address(n: u8) -> IpAddr {
    Ipv4Addr::new(10, 105, 0, 100 - n).into()
}

/// Addresses that are served, the oldest first.
fn served(compiled: &Compiled) -> Vec<IpAddr> {
    let youngest_first: Vec<IpAddr> = compiled.desired.services.keys().copied().collect();
    youngest_first.into_iter().rev().collect()
}

#[test]
fn the_oldest_have_the_room_of_each_table() {
    // Each of these is for two of the three services.
    let shapes = [
        ("NextHop", Shape { next_hops: 3 + 2 + 1 + 2, ..Shape::default() }),
        ("Ecmp", Shape { ecmp_words: 5, ..Shape::default() }),
        ("FipMap", Shape { fip_maps: 3, ..Shape::default() }),
    ];
    let world = cent222().with([aged(1, [80]), aged(2, [81]), aged(3, [82])]);
    for (table, shape) in shapes {
        let compiled = compiled(&world, shape);
        assert_eq!(served(&compiled), [address(1), address(2)], "{table}");
        assert_eq!(compiled.desired.refused.keys().collect::<Vec<_>>(), [&address(3)], "{table}");
        let text = findings(&compiled);
        assert!(
            text.starts_with(&format!("Service ns/s097: refused: table {table} is full")),
            "{text}"
        );
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(compiled.desired.fip.keys().all(|key| key.address != address(3)));
        assert!(!compiled.desired.routes.contains_key(&(VRF, address(3))));
        assert!(compiled.owners.contains_key(&address(3)));
        assert!(compiled.advertisements.keys().all(|a| a.prefix.addr() != address(3)));
    }
}

/// Nobody is there, so what is wanted leads nowhere; whoever is refused is told.
#[test]
fn a_card_without_tables_has_nobody() {
    let compiled = compiled(&cent222().with([aged(1, [80])]), NONE);
    let d = &compiled.desired;
    assert!(
        d.vifs.values().all(|vif| vif.kind != penstock_abi::table::VifKind::Virtual),
        "{:?}",
        d.vifs
    );
    assert!(d.labels.is_empty() && d.prefixes.is_empty() && d.fip.is_empty());
    let nowhere = RouteTarget::Hop(Hop::default());
    let mut others = d.routes.iter().filter(|(key, _)| key.1 != CENT222);
    assert!(others.all(|(_, target)| *target == nowhere), "{:?}", d.routes);
    assert!(compiled.findings.keys().any(|id| matches!(id, ObjectId::Vif(_))));
}

/// A card without tables, but for one row of each that is hashed.
const NONE: Shape = Shape {
    vifs: 0,
    labels: 0,
    next_hops: 0,
    ecmp_words: 0,
    ecmp_group_max: 0,
    host_route_rows_log2: 0,
    prefix_rows_log2: 0,
    vrfs: 0,
    fip_key_rows_log2: 0,
    fip_maps: 0,
    service_key_rows_log2: 0,
    tunnel_source_rows_log2: 0,
    plain_fip_rows_log2: 0,
    flow_rows_log2: 0,
    flows_translated_max: 0,
    flow_shares: 0,
    affinities: 0,
    clock_khz: 0,
};

/// What is served can change: there is room for another ring beside the old one, and for other mappings.
#[test]
fn some_room_is_left_for_changes() {
    let world = cent222().with((1..=90).map(|n| aged(n, [80])));
    let small = Shape { ecmp_group_max: 3, ..Shape::default() };
    // Two words a group, and six for the largest one.
    let words = Shape { ecmp_words: 64, ..small };
    assert_eq!(served(&compiled(&world, words)).len(), (64 - 6) / 2);
    // An eighth is the most: eight of sixty-four, and one is for keys that name no mapping.
    let maps = Shape { fip_maps: 64, ..small };
    assert_eq!(served(&compiled(&world, maps)).len(), 64 - 8 - 1);
    let plenty = Shape { ecmp_words: 180 + 6, fip_maps: 90 + 1 + 16, ..small };
    assert_eq!(served(&compiled(&world, plenty)).len(), 90);
}

/// The address of the youngest passes to somebody else for whom there is no room either.
#[test]
fn who_is_wanted_at_a_refused_address_is_told() {
    let shape = Shape { ecmp_words: 5, ..Shape::default() };
    let wanted = |youngest: LoadBalancer, more: Option<LoadBalancer>| -> Vec<IpAddr> {
        let world =
            cent222().with([aged(1, [80]), aged(2, [81]), youngest].into_iter().chain(more));
        let compiled = compiled(&world, shape);
        compiled.desired.refused[&address(3)].iter().copied().collect()
    };
    let mut youngest = aged(3, [82]);
    assert_eq!(wanted(youngest.clone(), None), [pod(236)]);
    // Whether they are within reach, or not.
    youngest.listeners = vec![listener("a", 1, 1, &[237, 99]), listener("b", 2, 2, &[238])];
    assert_eq!(wanted(youngest.clone(), None), [pod(99), pod(237), pod(238)]);
    // Those of others have nothing to do with it, but those who share it have: but for a port that is taken.
    let mut other = aged(4, [83]);
    other.name.namespace = "other".into();
    other.floating_ips[0].address = address(3);
    assert_eq!(wanted(youngest.clone(), Some(other.clone())), [pod(99), pod(237), pod(238)]);
    other.name.namespace = "ns".into();
    other.listeners.push(listener("c", 2, 2, &[240]));
    youngest.floating_ips[0].kind = FloatingIpKind::Ingress;
    other.floating_ips[0].kind = FloatingIpKind::Ingress;
    let shared = [pod(99), pod(236), pod(237), pod(238)];
    assert_eq!(wanted(youngest.clone(), Some(other)), shared);
    // Only those who are here, by their own word.
    youngest.floating_ips[0].scope = Scope::Local;
    for (member, node) in youngest.listeners[0].pool.members.iter_mut().zip(["cent222", "cent333"])
    {
        member.node = node.to_owned();
    }
    assert_eq!(wanted(youngest, None), [pod(237)]);
}

#[test]
fn host_routes_are_for_pods_first() {
    // Eight host routes: the node, three pods, six services.
    let shape = Shape { host_route_rows_log2: 0, ..Shape::default() };
    let world = cent222().with((1..=6).map(|n| aged(n, [80])));
    let few = compiled(&world, shape);
    assert_eq!(served(&few), (1..=4).map(address).collect::<Vec<_>>());
    // More pods than there is room for: no service, and the pods of this node are served.
    let mut world = far("cent222", 1..=20).with([aged(1, [80])]);
    world.vif(vif(8, "webserver-xkjpw", 236, 28));
    let many = compiled(&world, shape);
    assert_eq!(many.desired.routes.len(), 8);
    assert!(many.desired.routes.contains_key(&(VRF, pod(236))));
    assert!(served(&many).is_empty() && many.desired.refused.contains_key(&address(1)));
    assert_eq!(many.findings.keys().filter(|id| matches!(id, ObjectId::Route { .. })).count(), 14);
}

#[test]
fn marks_take_room_too_once_for_all_that_share_them() {
    // Eight keys. One port takes a key, its mark, and the mark of all TCP.
    let shape = Shape { fip_key_rows_log2: 0, ..Shape::default() };
    let all = |targets: &[u16]| {
        let one = |n: usize| aged(n as u8 + 1, [targets[n]]);
        compiled(&cent222().with((0..targets.len()).map(one)), shape)
    };
    assert_eq!(served(&all(&[80, 81, 82])).len(), 3);
    assert_eq!(served(&all(&[80, 81, 82, 83])).len(), 3);
    assert_eq!(served(&all(&[80; 6])).len(), 6);
    assert_eq!(served(&all(&[80; 7])).len(), 6);
}

#[test]
fn who_needs_less_has_what_is_left() {
    let shape = Shape { fip_maps: 5, ..Shape::default() };
    let world = cent222().with([aged(1, [1, 2]), aged(2, [1, 2, 3]), aged(3, [1, 2])]);
    let compiled = compiled(&world, shape);
    assert_eq!(served(&compiled), [address(1), address(3)]);
}
