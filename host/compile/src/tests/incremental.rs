//! A compiler that has a past gives what one without gives, whatever came before; and what it gives can always be planned.

use std::collections::{BTreeMap, BTreeSet};

use penstock_abi::table::TableId;
use penstock_model::{Direction, Finding, Pod, PodFloatingIp};
use penstock_tables::prefix::prefix_cost;
use proptest::collection::{btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::{Provider, Reach, Served, Vip, marks};

/// One change of what a node is to do, from a world that is so small that things meet. `None` takes the thing away.
#[derive(Clone, Debug)]
enum Change {
    Node(Option<(&'static str, IpAddr)>, Option<LabelBlock>),
    Vrf(u16, Option<(Vec<u16>, Vec<&'static str>)>),
    Vif(u8, Option<(IpAddr, u16, u32)>),
    Peer(&'static str, Option<IpAddr>),
    Route((&'static str, &'static str), Option<(IpAddr, u32, Encapsulation, u32, Vec<u16>)>),
    Balancer((&'static str, &'static str), Option<LoadBalancer>),
    Neighbour(IpAddr, Option<u8>),
    Pod(IpAddr, bool),
    FloatingIp(&'static str, Option<(IpAddr, &'static str, &'static str, u8, u32)>),
    Zone(&'static str, Option<&'static str>),
    Policy(&'static [&'static str], &'static [&'static str]),
    Finding(&'static str, Option<&'static str>),
}

fn v4(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn pod_address() -> impl Strategy<Value = IpAddr> {
    prop_oneof![9 => (1..=9_u8).prop_map(pod), 1 => Just("fd00::7".parse().unwrap())]
}

fn end_point() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        9 => (20..=25_u8).prop_map(|last| Ipv4Addr::new(10, 169, 25, last).into()),
        1 => Just("fd00::8".parse().unwrap())
    ]
}

fn vip() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        8 => (1..=4_u8).prop_map(|last| Ipv4Addr::new(10, 105, 0, last).into()),
        1 => pod_address(),
        1 => end_point(),
    ]
}

fn network() -> impl Strategy<Value = &'static str> {
    select(vec!["services", "services", "public"])
}

/// Names of places that a member is meant for.
fn place() -> impl Strategy<Value = Vec<String>> {
    let places: [&[&str]; 5] = [&["me"], &["me"], &["me", "other"], &["other"], &[]];
    select(places.to_vec()).prop_map(|names| names.iter().map(ToString::to_string).collect())
}

fn listener() -> impl Strategy<Value = Listener> {
    let member = (
        pod_address(),
        80..83_u16,
        select(vec![MemberState::Active, MemberState::Active, MemberState::Draining]),
        select(vec!["", "me", "other"]),
        (place(), place()),
    );
    let member = member.prop_map(|(address, port, state, node, (nodes, zones))| Member {
        address,
        port,
        state,
        node: node.to_owned(),
        hints: Hints { nodes, zones },
    });
    let protocol = select(vec![Protocol::Tcp, Protocol::Tcp, Protocol::Udp, Protocol::Sctp]);
    (protocol, 80..83_u16, btree_set(member, 0..6)).prop_map(|(protocol, port, members)| Listener {
        name: String::new(),
        protocol,
        port,
        pool: Pool { members: members.into_iter().collect() },
    })
}

fn balancer() -> impl Strategy<Value = LoadBalancer> {
    let kind = select(vec![
        FloatingIpKind::Cluster,
        FloatingIpKind::External,
        FloatingIpKind::Ingress,
        FloatingIpKind::Ingress,
    ]);
    let scope = select(vec![Scope::Cluster, Scope::Cluster, Scope::Local]);
    let ip = (vip(), network(), kind, scope).prop_map(|(address, network, kind, scope)| {
        FloatingIp { address, network: network.into(), kind, scope }
    });
    let provider = select(vec!["native", "native", "native", "proxy", "nobody"]);
    let sticky = select(vec![Affinity::None, Affinity::ClientIp { timeout_seconds: 1 }]);
    let ranges = prop_oneof![4 => Just(Vec::new()), 1 => Just(vec!["192.0.2.0/24".to_owned()])];
    (option::of(0..3_i64), provider, vec(ip, 0..3), vec(listener(), 0..3), sticky, ranges).prop_map(
        |(created, provider, floating_ips, listeners, affinity, source_ranges)| LoadBalancer {
            name: ObjectName::default(),
            created,
            provider: provider.into(),
            floating_ips,
            listeners,
            affinity,
            source_ranges,
            health_check: None,
        },
    )
}

/// Address, network, pod, direction, label.
fn floating_ip() -> impl Strategy<Value = (IpAddr, &'static str, &'static str, u8, u32)> {
    let network = select(vec!["1", "2", "3", "public"]);
    let label = select(vec![16_u32, 17, 18, 20, 21, 9000]);
    (vip(), network, select(vec!["vif2", "vif3", "vif4", "pod", "nobody"]), 0..3_u8, label)
}

fn change() -> impl Strategy<Value = Change> {
    // A block that is short, and in which others have labels, too.
    let block = (16_u32..19, 1_u32..5);
    let block = block.prop_map(|(first, count)| LabelBlock { first: MplsLabel(first), count });
    let node = (select(vec!["me", "other"]), end_point());
    let vrf_id = select(vec![1_u16, 2, 2, 3, 5000]);
    let vrfs = vec(vrf_id.clone(), 0..3);
    let vrf = (vrfs.clone(), vec(network(), 0..3));
    let label = select(vec![16_u32, 17, 18, 19, 3, 9000]);
    let vif = (pod_address(), vrf_id.clone(), label.clone());
    let announcer = || select(vec!["a", "b", "c"]);
    let prefixes = vec![
        "10.47.255.1/32",
        "10.47.255.2/32",
        "10.47.255.3/32",
        "10.47.255.4/32",
        "10.47.255.5/32",
        "10.47.255.6/32",
        "10.47.255.7/32",
        "10.105.0.1/32",
        "0.0.0.0/0",
        "10.1.0.0/16",
        "10.2.0.0/16",
        "32.0.0.0/3",
        "64.0.0.0/3",
        "fd00::/64",
    ];
    let wrap = select(vec![Encapsulation::MplsOverUdp, Encapsulation::MplsOverGre]);
    let route = (end_point(), label, wrap, 100..102_u32, vrfs);
    let name = (select(vec!["x", "y"]), select(vec!["p", "q", "r"]));
    let range = |ranges: [&'static [&'static str]; 4]| select(ranges.to_vec());
    let allowed = range([&[], &["10.105.0.0/31"], &["10.0.0.0/8"], &["0.0.0.0/0"]]);
    let own = range([&[], &[], &["10.105.0.0/31"], &["10.0.0.0/8"]]);
    prop_oneof![
        1 => (option::weighted(0.7, node), option::weighted(0.7, block))
            .prop_map(|(node, block)| Change::Node(node, block)),
        2 => (vrf_id, option::weighted(0.9, vrf)).prop_map(|(id, vrf)| Change::Vrf(id, vrf)),
        6 => (2..7_u8, option::weighted(0.8, vif)).prop_map(|(id, vif)| Change::Vif(id, vif)),
        2 => (announcer(), option::of(end_point())).prop_map(|(name, at)| Change::Peer(name, at)),
        12 => ((announcer(), select(prefixes)), option::weighted(0.8, route))
            .prop_map(|(which, route)| Change::Route(which, route)),
        12 => (name, option::weighted(0.8, balancer())).prop_map(|(n, lb)| Change::Balancer(n, lb)),
        6 => (end_point(), option::weighted(0.8, 0..2_u8)).prop_map(|(a, m)| Change::Neighbour(a, m)),
        4 => (vip(), any::<bool>()).prop_map(|(address, there)| Change::Pod(address, there)),
        4 => (select(vec!["p", "q", "r"]), option::weighted(0.8, floating_ip()))
            .prop_map(|(name, ip)| Change::FloatingIp(name, ip)),
        1 => (select(vec!["me", "other"]), option::of(select(vec!["me", "other"])))
            .prop_map(|(node, zone)| Change::Zone(node, zone)),
        1 => (allowed, own).prop_map(|(external, cluster)| Change::Policy(external, cluster)),
        1 => (select(vec!["p", "q"]), option::of(select(vec!["odd", "even"])))
            .prop_map(|(name, text)| Change::Finding(name, text)),
    ]
}

/// What the changes have made so far.
struct Small {
    world: World,
    routes: BTreeMap<(&'static str, &'static str), Route>,
}

impl Small {
    fn new() -> Self {
        let mut world = World::new("me", v4("10.169.25.20"), Vec::new());
        world.neighbours.clear();
        world.policy(&["0.0.0.0/0"], &[]);
        world.labels(17, 3);
        Self { world, routes: BTreeMap::new() }
    }

    fn apply(&mut self, change: Change) {
        let intent = &mut self.world.intent;
        match change {
            Change::Node(node, service_labels) => {
                intent.node = node.map(|(name, address)| {
                    let address = IpNet::new(address, 24).unwrap();
                    let fabric = Fabric { address, mac: MacAddr([2, 0, 0, 0, 0, 1]) };
                    let vhost = Default::default();
                    Arc::new(Node {
                        name: name.to_owned(),
                        fabric,
                        vhost,
                        service_labels,
                        flow_aging: Default::default(),
                        flow_limits: Default::default(),
                    })
                });
            }
            Change::Vrf(id, Some((imports, networks))) => {
                let vrf = Vrf {
                    imports: imports.into_iter().map(VrfId).collect(),
                    networks: networks.into_iter().map(Into::into).collect(),
                    ..vrf(id, &id.to_string())
                };
                intent.vrfs.insert(vrf.id, Arc::new(vrf));
            }
            Change::Vrf(id, None) => {
                intent.vrfs.remove(&VrfId(id));
            }
            Change::Vif(id, Some((address, in_vrf, label))) => {
                // No two have an address or a label in common: validation sees to that.
                let (label, vrf) = (MplsLabel(label), VrfId(in_vrf));
                let of_others = |vif: &PodVif| vif.address == address || vif.label == label;
                let others: Vec<VifId> =
                    intent.vifs.values().filter(|vif| of_others(vif)).map(|vif| vif.id).collect();
                others.iter().for_each(|other| drop(intent.vifs.remove(other)));
                let vif = PodVif { address, label, vrf, mac: mac(address), ..vif(id, "", 0, 0) };
                let name = format!("vif{id}");
                let vif = PodVif { pod: ObjectName::new("ns-user-1", &*name), name, ..vif };
                intent.vifs.insert(VifId(id), Arc::new(vif));
            }
            Change::Vif(id, None) => {
                intent.vifs.remove(&VifId(id));
            }
            Change::Peer(name, Some(address)) => self.world.peer(name, address),
            Change::Peer(name, None) => {
                intent.peers.remove(name);
            }
            Change::Route(which, Some((next_hop, label, encapsulation, preference, vrfs))) => {
                let mut route = route(which.0, next_hop, which.1, label);
                route.path.encapsulation = encapsulation;
                route.path.preference = preference;
                route.vrfs = vrfs.into_iter().map(VrfId).collect();
                self.routes.insert(which, route);
            }
            Change::Route(which, None) => {
                self.routes.remove(&which);
            }
            Change::Balancer((namespace, name), Some(mut balancer)) => {
                balancer.name = ObjectName::new(namespace, name);
                self.world.balancer(balancer);
            }
            Change::Balancer((namespace, name), None) => {
                intent.balancers.remove(&ObjectName::new(namespace, name));
            }
            Change::Neighbour(address, Some(last)) => {
                self.world.neighbours.insert(address, MacAddr([2, 1, 1, 1, 1, last]));
            }
            Change::Neighbour(address, None) => {
                self.world.neighbours.remove(&address);
            }
            Change::Pod(address, true) => {
                let name = ObjectName::new("x", "pod");
                intent.pods.insert(address, Arc::new(Pod { name, address, node: String::new() }));
            }
            Change::Pod(address, false) => {
                intent.pods.remove(&address);
            }
            Change::FloatingIp(name, Some((address, network, pod, direction, label))) => {
                let name = ObjectName::new("ns-user-1", name);
                let directions = [Direction::Both, Direction::Ingress, Direction::Egress];
                let ip = PodFloatingIp {
                    created: (label > 17).then_some(label.into()),
                    address,
                    network: network.into(),
                    pod: ObjectName::new("ns-user-1", pod),
                    direction: directions[usize::from(direction)],
                    label: MplsLabel(label),
                    name: name.clone(),
                };
                intent.floating_ips.insert(name, Arc::new(ip));
            }
            Change::FloatingIp(name, None) => {
                intent.floating_ips.remove(&ObjectName::new("ns-user-1", name));
            }
            Change::Zone(node, Some(zone)) => {
                let zone = Zone { node: node.to_owned(), name: zone.to_owned() };
                intent.zones.insert(node.to_owned(), Arc::new(zone));
            }
            Change::Zone(node, None) => {
                intent.zones.remove(node);
            }
            Change::Policy(external, cluster) => self.world.policy(external, cluster),
            Change::Finding(name, text) => {
                let id = ObjectId::LoadBalancer(ObjectName::new("x", name));
                match text {
                    Some(text) => intent.findings.insert(id, [Finding::note(text)].into()),
                    None => intent.findings.remove(&id),
                };
            }
        }
    }

    /// Ends a step.
    fn settle(&mut self) {
        self.world.routes = self.routes.values().cloned().collect();
        self.world.settle_rib();
    }
}

/// Leads to the lowest pod of all.
struct Lowest;

impl Provider for Lowest {
    fn name(&self) -> penstock_model::ProviderName {
        "proxy".into()
    }

    fn serve(&self, vip: &Vip<'_>, reach: &Reach<'_>) -> Served {
        let mut served = Served::default();
        for &vrf in vip.vrfs {
            let hop = (1..=9).find_map(|last| reach.hop(vrf, pod(last)));
            served.routes.push((vrf, RouteTarget::Hop(hop.unwrap_or_default())));
        }
        served
    }
}

/// Cards on which everything is scarce, and the card as it is.
fn shape() -> impl Strategy<Value = Shape> {
    let small = Shape {
        next_hops: 9,
        ecmp_words: 12,
        ecmp_group_max: 3,
        host_route_rows_log2: 0,
        prefix_rows_log2: 0,
        fip_key_rows_log2: 0,
        fip_maps: 5,
        ..Shape::default()
    };
    let few_tunnels = Shape { next_hops: 6, ..Shape::default() };
    select(vec![small, few_tunnels, Shape::default()])
}

/// Whether a planner can do what is desired: all fits, and nothing is named that is not there.
fn sound(compiled: &Compiled, shape: &Shape) {
    let d = &compiled.desired;
    let mut groups = 0;
    let mut words = 0;
    let mut hops = Vec::new();
    let local = d.listeners.values().filter_map(|entry| entry.local.clone());
    let local: Vec<RouteTarget> = local.map(RouteTarget::Group).collect();
    let heard = d.listeners.values().map(|entry| &entry.target);
    for target in d.routes.values().chain(heard).chain(&local) {
        match target {
            RouteTarget::Hop(hop) => hops.push(*hop),
            RouteTarget::Listener(key) => assert!(d.listeners.contains_key(key)),
            RouteTarget::Group(group) => {
                groups += 1;
                words += group.members.len();
                words += group.members.iter().filter(|member| !member.draining).count();
                assert!((1..=shape.ecmp_group_max as usize).contains(&group.members.len()));
                assert!(group.members.is_sorted_by(|a, b| (a.hop, a.pod) < (b.hop, b.pod)));
                hops.extend(group.members.iter().map(|member| member.hop));
            }
        }
    }
    hops.extend(d.prefixes.values());
    let next_hops = hops.iter().map(|hop| hop.next_hop);
    let next_hops = next_hops.chain(d.vifs.values().map(|vif| vif.next_hop));
    for next_hop in next_hops.chain(d.labels.values().map(|label| label.next_hop)) {
        assert!(d.next_hops.contains_key(&next_hop), "{next_hop:?}");
    }
    let mut maps: BTreeSet<(IpAddr, u16, IpAddr, u16)> = BTreeSet::new();
    maps.extend(d.fip.iter().map(|(key, to)| (key.address, key.port, to.address, to.port)));
    for (key, entry) in &d.listeners {
        let of_vifs = match &entry.target {
            RouteTarget::Group(group) => Some(group),
            _ => None,
        };
        for group in of_vifs.into_iter().chain(&entry.local) {
            let mapped = group.members.iter().filter_map(|m| Some((m.pod?, m.port?)));
            maps.extend(mapped.map(|(pod, port)| (key.address, key.port, pod, port)));
        }
    }
    maps.extend(d.plain.iter().map(|(key, pod)| (key.address, 0, *pod, 0)));
    let egress = d.vifs.values().filter_map(|vif| Some((vif.egress?.address, vif.address?)));
    maps.extend(egress.map(|(address, pod)| (address, 0, pod, 0)));
    for (table, used) in [
        (TableId::PlainFip, d.plain.len()),
        (TableId::NextHop, d.next_hops.len() + groups),
        (TableId::Ecmp, words),
        (TableId::HostRoute, d.routes.len()),
        (
            TableId::Prefix,
            d.prefixes.keys().map(|(_, p)| prefix_cost(p.prefix_len()) as usize).sum(),
        ),
        (TableId::FipKey, d.fip.len() + marks(&d.fip).len()),
        (TableId::FipMap, maps.len() + usize::from(!maps.is_empty())),
        (TableId::ServiceKey, d.listeners.len()),
    ] {
        assert!(used <= shape.capacity(table) as usize, "{table:?}: {used}");
    }
    // A label leads to listeners with members here, and each of these has one.
    let labelled: BTreeSet<(IpAddr, u16)> = d
        .labels
        .values()
        .filter_map(|label| Some((label.service?, d.vrfs[&label.vrf].service_net)))
        .collect();
    let here = d.listeners.iter().filter(|(_, entry)| entry.local.is_some());
    let here: BTreeSet<(IpAddr, u16)> = here.map(|(key, _)| (key.address, key.net)).collect();
    assert_eq!(labelled, here);
    for label in d.labels.values() {
        assert!(label.service.is_none_or(|at| d.routes.contains_key(&(label.vrf, at))));
    }
    for (key, target) in &d.fip {
        assert!(d.services[&key.address].contains(&(key.protocol, key.port)));
        assert_eq!(d.vifs[&key.vif].address, Some(target.address));
    }
    for (key, pod) in &d.plain {
        assert_eq!(d.vifs[&key.vif].address, Some(*pod));
        assert!(!d.services.contains_key(&key.address) && !d.refused.contains_key(&key.address));
        assert!(matches!(compiled.owners[&key.address], ObjectId::FloatingIp(_)));
    }
    for (address, wanted) in &d.refused {
        assert!(compiled.owners.contains_key(address));
        assert!(wanted.iter().all(|pod| pod.is_ipv4() == address.is_ipv4()));
    }
    for address in d.services.keys() {
        assert!(!d.refused.contains_key(address));
        assert!(compiled.owners.contains_key(address));
    }
    for findings in compiled.findings.values() {
        assert!(
            !findings.is_empty()
                && findings.iter().collect::<BTreeSet<_>>().len() == findings.len()
        );
    }
}

proptest! {
    #[test]
    fn the_past_does_not_matter(shape in shape(), steps in vec(vec(change(), 1..4), 48)) {
        let providers = Providers::default().with(Arc::new(Lowest));
        let mut compiler = Compiler::new(providers.clone(), shape);
        let mut small = Small::new();
        for step in steps {
            for change in step {
                small.apply(change);
            }
            small.settle();
            let World { intent, neighbours, .. } = &small.world;
            let compiled = compiler.compile(intent, neighbours);
            let anew = Compiler::new(providers.clone(), shape).compile(intent, neighbours);
            prop_assert_eq!(&compiled, &anew);
            sound(&compiled, &shape);
        }
    }
}

/// Whoever compares the two has to look only at what differs.
#[test]
fn what_is_compiled_from_nothing_shares_with_what_was_before() {
    let mut world = cent222().with([chapter()]);
    let mut other = service(vec![super::listener("", 80, 80, &[237, 238])]);
    other.name = ObjectName::new("ns", "other");
    other.floating_ips[0].address = Ipv4Addr::new(10, 105, 0, 1).into();
    other.floating_ips[0].network = "public".into();
    world.balancer(other);
    let mut compiler = Compiler::new(Providers::default(), Shape::default());
    let before = compiler.compile(&world.intent, &world.neighbours);
    world.vrf(Vrf { networks: vec!["services".into(), "public".into()], ..vrf(VRF.0, "k8s") });
    let after = compiler.compile(&world.intent, &world.neighbours);
    assert!(compiler.work().from_nothing);
    assert_eq!(after, world.compile());
    let (old, new) = (&before.desired, &after.desired);
    assert_eq!(new.routes.len(), old.routes.len() + 1);
    assert!(new.vifs.ptr_eq(&old.vifs) && new.fip.ptr_eq(&old.fip));
    assert!(after.owners.ptr_eq(&before.owners));
    assert!(std::ptr::eq(group(old), group(new)));
}

#[test]
fn only_what_depends_on_a_change_is_made_again() {
    let mut world = cent222().with([chapter()]);
    for n in 0..100_u8 {
        let mut other = service(vec![super::listener("", 80, 80, &[237, 238])]);
        other.name = ObjectName::new("ns", n.to_string());
        other.floating_ips[0].address = Ipv4Addr::new(10, 105, 0, n).into();
        world.balancer(other);
    }
    let mut compiler = Compiler::new(Providers::default(), Shape::default());
    let mut made = |world: &World| {
        compiler.compile(&world.intent, &world.neighbours);
        let work = compiler.work();
        (work.from_nothing, work.floating_ips)
    };
    assert_eq!(made(&world), (true, 101));
    assert_eq!(made(&world), (false, 0));
    // A member more; a route that nobody uses; a pod that one service has.
    world.balancer(service(vec![super::listener("", 8888, 80, &[236, 237, 238])]));
    assert_eq!(made(&world), (false, 1));
    world.route(pod_route("cent333", CENT333, 200, 99));
    assert_eq!(made(&world), (false, 0));
    world.intent.vifs.remove(&VifId(8));
    assert_eq!(made(&world), (false, 1));
    // Another MAC address of a next hop changes no floating IP; none at all changes all of them.
    world.neighbours.insert(CENT333, mac(CENT222));
    assert_eq!(made(&world), (false, 0));
    world.neighbours.remove(&CENT333);
    assert_eq!(made(&world), (false, 101));
}
