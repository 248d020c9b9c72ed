//! Who is where: vifs, paths, tunnels, and what is refused of them by itself.

use super::*;

#[test]
fn nodes_without_a_mac_address_are_pending() {
    let mut world = cent222().with([chapter()]);
    world.neighbours.clear();
    let compiled = world.compile();
    assert_eq!(pods(group(&compiled.desired)), [pod(236)]);
    assert_eq!(compiled.pending.into_iter().collect::<Vec<_>>(), [(CENT333, "cent333".to_owned())]);
    assert!(!compiled.desired.routes.contains_key(&(VRF, pod(238))));
    // Nobody yet is not nobody: clients try again.
    let mut web = chapter();
    web.listeners[0].pool.members.remove(0);
    world.balancer(web);
    assert_eq!(hop(&world.desired()), NextHopKey::Discard);
    // Nobody waits for a node without routes.
    world.routes.clear();
    world.settle_rib();
    assert!(world.compile().pending.is_empty());
}

#[test]
fn of_two_paths_the_best_that_leads_somewhere_is_used() {
    let third = IpAddr::from(Ipv4Addr::new(10, 169, 25, 22));
    let mut world = cent222();
    let better = Path { preference: 200, ..pod_route("other", third, 238, 99).path };
    world.route(Route { path: better, ..pod_route("other", third, 238, 99) });
    let to = |world: &World| world.desired().routes[&(VRF, pod(238))].clone();
    let through = |address, label| {
        let next_hop = NextHopKey::TunnelUdp(address);
        RouteTarget::Hop(Hop { next_hop, label: Some(MplsLabel(label)) })
    };
    assert_eq!(to(&world), through(CENT333, 43));
    assert_eq!(world.compile().pending.into_iter().next(), Some((third, "other".to_owned())));
    world.neighbours.insert(third, mac(third));
    assert_eq!(to(&world), through(third, 99));
}

#[test]
fn a_local_pod_comes_before_what_others_announce() {
    let mut world = cent222().with([chapter()]);
    world.route(pod_route("cent333", CENT333, 236, 77));
    let compiled = world.compile();
    let local = Hop { next_hop: NextHopKey::Encap(VifId(8)), label: None };
    assert_eq!(compiled.desired.routes[&(VRF, pod(236))], RouteTarget::Hop(local));
    let text = findings(&compiled);
    let said =
        "route 10.47.255.236/32 of cent333: address 10.47.255.236 is that of vif webserver-xkjpw";
    assert!(text.contains(said), "{text}");
}

#[test]
fn who_makes_flows_is_said_of_the_vif() {
    use penstock_abi::table::LearnPolicy as OnCard;
    let of = |learn| {
        let mut world = cent222();
        world.vif(PodVif { learn, ..vif(9, "shy", 90, 30) });
        world.compile().desired.vifs[&VifId(9)].learn
    };
    assert_eq!(of(LearnPolicy::default()), OnCard::Always);
    assert_eq!(of(LearnPolicy::Translated), OnCard::Translated);
    assert_eq!(of(LearnPolicy::Never), OnCard::Never);
}

#[test]
fn what_each_may_have_of_the_flow_table_is_said_by_the_node_and_by_its_vifs() {
    use penstock_model::{FlowLimit, FlowLimits};
    let pairs = |pairs| FlowLimit { pairs, ..FlowLimit::default() };
    let mut world = cent222();
    world.vif(PodVif { flow_limit: Some(pairs(5)), ..vif(9, "few", 90, 30) });
    let shares = |world: &World| world.desired().shares;
    assert_eq!(shares(&world), [(9_u32, pairs(5))].into_iter().collect());
    let mut node = Node::clone(world.intent.node.as_ref().unwrap());
    node.flow_limits = FlowLimits { vifs: pairs(10), tunnels: pairs(20) };
    world.intent.node = Some(Arc::new(node));
    world.vif(PodVif { flow_limit: Some(pairs(0)), ..vif(10, "many", 91, 31) });
    let all = shares(&world);
    assert_eq!([7, 8, 9, 10, 1].map(|n| all.get(&n).map_or(0, |l| l.pairs)), [10, 10, 5, 0, 0]);
    assert!((256..4352).all(|n| all[&n] == pairs(20)) && all.len() == 3 + 4096);
    // A card without shares says so, and does the rest.
    let shape = Shape { flow_shares: 0, ..Shape::default() };
    let compiled =
        Compiler::new(Providers::default(), shape).compile(&world.intent, &world.neighbours);
    let text = findings(&compiled);
    assert_eq!((compiled.desired.shares.len(), compiled.desired.vifs.len()), (0, 6));
    assert_eq!(text.matches("flowLimits does not count").count(), 2, "{text}");
}

#[test]
fn what_the_card_cannot_have_harms_nobody_else() {
    let sound = cent222().with([chapter()]).desired();
    let mut world = cent222().with([chapter()]);
    world.vif(PodVif { label: MplsLabel(9000), ..vif(9, "label", 90, 0) });
    world.vif(PodVif { address: "fd00::1".parse().unwrap(), ..vif(10, "six", 91, 30) });
    world.vif(PodVif { vrf: VrfId(77), ..vif(11, "lost", 92, 31) });
    world.vif(PodVif { name: "low".to_owned(), ..vif(2, "low", 93, 32) });
    world.vrf(Vrf { networks: Vec::new(), ..vrf(5000, "many") });
    world.route(route("cent333", CENT333, "fd00:1::/64", 50));
    world.route(route("cent333", "fd00::2".parse().unwrap(), "10.99.0.0/16", 50));
    world.route(route("cent333", CENT333, "10.98.0.0/16", 3));
    world.route(route("cent222", CENT222, "10.97.0.0/16", 50));
    world.peer("six", "fd00::3".parse().unwrap());
    let mut six = service(vec![listener("", 80, 80, &[236])]);
    six.name = ObjectName::new("ns", "six");
    six.floating_ips[0].address = "fd00::4".parse().unwrap();
    world.balancer(six);
    let compiled = world.compile();
    assert_eq!(compiled.desired, sound);
    insta::assert_snapshot!("refused", findings(&compiled));
}

/// Sixty-four entries: two of 32 parts leave nothing, and a default route needs none of them.
#[test]
fn a_full_table_of_prefixes_refuses_the_last_announcer() {
    let shape = Shape { prefix_rows_log2: 0, ..Shape::default() };
    let mut world = cent222();
    for (announcer, prefix) in
        [("c", "32.0.0.0/3"), ("b", "64.0.0.0/3"), ("a", "96.0.0.0/3"), ("d", "0.0.0.0/0")]
    {
        world.route(route(announcer, CENT333, prefix, 50));
    }
    let compiled =
        Compiler::new(Providers::default(), shape).compile(&world.intent, &world.neighbours);
    let served: Vec<_> = compiled.desired.prefixes.keys().map(|(_, p)| p.to_string()).collect();
    assert_eq!(served, ["0.0.0.0/0", "64.0.0.0/3", "96.0.0.0/3"]);
    let said = "route 32.0.0.0/3 of c: refused: table Prefix is full, it holds 64 entries";
    assert_eq!(findings(&compiled), said);
}

#[test]
fn tunnels_for_which_there_is_no_next_hop_are_refused() {
    // Discard, reject, the node, two vifs, one tunnel.
    let shape = Shape { next_hops: 6, ..Shape::default() };
    let third = IpAddr::from(Ipv4Addr::new(10, 169, 25, 22));
    let mut world = cent222();
    world.neighbours.insert(third, mac(third));
    world.route(pod_route("other", third, 239, 99));
    let mut compiler = Compiler::new(Providers::default(), shape);
    let compiled = compiler.compile(&world.intent, &world.neighbours);
    assert_eq!(compiled.desired.next_hops.len(), 6);
    assert!(compiled.desired.routes.contains_key(&(VRF, pod(238))));
    let said =
        "route 10.47.255.239/32 of other: refused: table NextHop is full, it holds 6 entries";
    assert_eq!(findings(&compiled), said);
    // Room that is given back is used.
    world.routes.remove(0);
    world.settle_rib();
    let compiled = compiler.compile(&world.intent, &world.neighbours);
    assert!(compiled.desired.routes.contains_key(&(VRF, pod(239))));
    assert_eq!(findings(&compiled), "");
}

/// A path says that somebody is there, even if the card cannot follow it: the address is nobody else's.
#[test]
fn who_is_behind_a_refused_path_is_known_all_the_same() {
    let third = IpAddr::from(Ipv4Addr::new(10, 169, 25, 22));
    let owned = |last, tunnel, label| {
        let shape = Shape { next_hops: 5, ..Shape::default() };
        let mut balancer = service(vec![listener("", 8888, 80, &[])]);
        balancer.floating_ips[0].address = pod(239);
        let mut world = cent222().with([balancer]);
        world.neighbours.insert(third, mac(third));
        world.route(pod_route("other", tunnel, last, label));
        let mut compiler = Compiler::new(Providers::default(), shape);
        let compiled = compiler.compile(&world.intent, &world.neighbours);
        compiled.desired.services.contains_key(&pod(239))
    };
    assert!(owned(240, third, 99), "nobody is there");
    assert!(!owned(239, third, 99), "no next hop");
    assert!(!owned(239, CENT333, 1 << 20), "no label");
    assert!(!owned(239, CENT222, 99), "here, and not there yet");
}

#[test]
fn without_a_node_nothing_is_served() {
    let mut world = cent222().with([chapter()]);
    let mut compiler = Compiler::new(Providers::default(), Shape::default());
    let before = compiler.compile(&world.intent, &world.neighbours);
    let node = world.intent.node.take();
    assert_eq!(compiler.compile(&world.intent, &world.neighbours), Compiled::default());
    world.intent.node = node;
    assert_eq!(compiler.compile(&world.intent, &world.neighbours), before);
}

#[test]
fn an_address_goes_from_a_floating_ip_to_a_pod_and_back() {
    let mut web = chapter();
    web.floating_ips[0].address = pod(200);
    let served = cent222().with([web]);
    let (mut here, mut there, mut nowhere) = (served.clone(), served.clone(), served.clone());
    here.vif(vif(8, "webserver-xkjpw", 200, 28));
    there.route(pod_route("cent333", CENT333, 200, 99));
    nowhere.route(pod_route("cent333", CENT333, 200, 3));
    for world in [&here, &there] {
        let worlds = [&served, world, &served, &nowhere, world];
        let compiled = after(&worlds, Shape::default());
        assert!(matches!(compiled.desired.routes[&(VRF, pod(200))], RouteTarget::Hop(_)));
        assert!(compiled.desired.services.is_empty());
    }
}

#[test]
fn a_refused_route_is_that_of_who_announces_it_now() {
    let shape = Shape { host_route_rows_log2: 0, ..Shape::default() };
    let mut world = cent222();
    (1..=4).for_each(|last| world.route(pod_route("a", CENT333, last, 50)));
    let (mut first, mut second) = (world.clone(), world);
    first.route(pod_route("x", CENT333, 200, 99));
    second.route(pod_route("y", CENT333, 200, 99));
    let compiled = after(&[&first, &second], shape);
    let said = "route 10.47.255.200/32 of y: refused: table HostRoute is full, it holds 8 entries";
    assert_eq!(findings(&compiled), said);
}

#[test]
fn vrfs_and_the_node_say_what_is_theirs() {
    use penstock_model::SourceCheck as Check;
    let mut world = cent222();
    world.vrf(Vrf { source_check: Check::Loose, ..vrf(5, "five") });
    world.vhost(|vhost| vhost.vrf = Some(VrfId(5)));
    let d = world.desired();
    let checks = [VRF, VrfId(5)].map(|vrf| d.vrfs[&vrf].source_check);
    use penstock_abi::table::SourceCheck;
    assert_eq!(checks, [SourceCheck::Strict, SourceCheck::Loose]);
    assert_eq!(d.vifs[&VifId::VHOST].vrf, VrfId(5));
    // One that is not there is as none.
    world.vhost(|vhost| vhost.vrf = Some(VrfId(9)));
    assert_eq!(world.desired().vifs[&VifId::VHOST].vrf, VRF);
}
