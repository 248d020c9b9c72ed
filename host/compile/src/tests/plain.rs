//! Floating IPs of pods, for every port.

use penstock_abi::table::TableId;
use penstock_model::{Advertisement, Direction, ObjectId, PodFloatingIp};

use super::*;
use crate::{Egress, LabelEntry, PlainKey};

const PUBLIC: VrfId = VrfId(4);
const FIP: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 10));
const WEB: VifId = VifId(8);

/// The chapter's client node, with a public network that the pods' VRF does not see.
fn node() -> World {
    let mut world = cent222();
    world.vrf(Vrf { networks: Vec::new(), ..vrf(PUBLIC.0, "public") });
    world
}

fn ip(name: &str, last: u8, pod: &str, direction: Direction) -> PodFloatingIp {
    PodFloatingIp {
        name: ObjectName::new("ns-user-1", name),
        created: None,
        address: Ipv4Addr::new(198, 51, 100, last).into(),
        network: "public".into(),
        pod: ObjectName::new("ns-user-1", pod),
        direction,
        label: MplsLabel(u32::from(last) + 100),
    }
}

fn give(world: &mut World, ip: PodFloatingIp) {
    world.intent.floating_ips.insert(ip.name.clone(), Arc::new(ip));
}

const SERVER: &str = "webserver-xkjpw";

#[test]
fn a_direction_says_who_may_begin() {
    for direction in [Direction::Both, Direction::Ingress, Direction::Egress] {
        let mut world = node();
        give(&mut world, ip("a", 10, SERVER, direction));
        let compiled = world.compile();
        let d = &compiled.desired;
        assert!(compiled.findings.is_empty());
        let next_hop = NextHopKey::Encap(WEB);
        let ingress = direction != Direction::Egress;
        let key = PlainKey { vif: WEB, address: FIP };
        assert_eq!(d.plain.get(&key), ingress.then_some(&pod(236)), "{direction:?}");
        let hop = RouteTarget::Hop(Hop { next_hop, label: None });
        assert_eq!(d.routes.get(&(PUBLIC, FIP)), ingress.then_some(&hop));
        assert_eq!(d.routes.get(&(VRF, FIP)), None, "in its network only");
        let egress =
            (direction != Direction::Ingress).then_some(Egress { vrf: PUBLIC, address: FIP });
        assert_eq!(d.vifs[&WEB].egress, egress);
        // The replies of what the pod begins come by it, too.
        let label = LabelEntry { next_hop, service: None, vrf: PUBLIC };
        assert_eq!(d.labels[&MplsLabel(110)], label);
        let told = Advertisement {
            vrf: PUBLIC,
            prefix: FIP.into(),
            label: MplsLabel(110),
            next_hop: CENT222,
        };
        assert!(compiled.advertisements.contains_key(&told));
    }
}

#[test]
fn who_reaches_its_network_reaches_it() {
    let mut world = node();
    world.vrf(Vrf { imports: vec![PUBLIC], ..vrf(5, "importer") });
    world.vrf(Vrf { networks: vec!["public".into()], ..vrf(6, "client") });
    give(&mut world, ip("a", 10, SERVER, Direction::Both));
    let d = world.desired();
    let vrfs: Vec<u16> = d.routes.keys().filter(|key| key.1 == FIP).map(|key| key.0.0).collect();
    assert_eq!(vrfs, [4, 5, 6]);
}

#[test]
fn what_cannot_be_is_refused_by_name() {
    let mut world = node();
    world.intent.pods.insert(
        pod(238),
        Arc::new(penstock_model::Pod {
            name: ObjectName::new("ns-user-1", "far"),
            address: pod(238),
            node: "cent333".to_owned(),
        }),
    );
    world.balancer(chapter());
    give(&mut world, ip("a", 10, SERVER, Direction::Both));
    give(&mut world, PodFloatingIp { address: FIP, ..ip("again", 11, "client", Direction::Both) });
    give(&mut world, ip("elsewhere", 12, "far", Direction::Both));
    give(&mut world, ip("nobody", 13, "nobody", Direction::Both));
    let lost = ip("lost", 14, SERVER, Direction::Both);
    give(&mut world, PodFloatingIp { network: "private".into(), ..lost });
    give(&mut world, ip("outgoing", 15, SERVER, Direction::Egress));
    give(&mut world, ip("second", 16, SERVER, Direction::Both));
    let label = ip("vif-label", 17, SERVER, Direction::Ingress);
    give(&mut world, PodFloatingIp { label: MplsLabel(25), ..label });
    let label = ip("z-label", 18, SERVER, Direction::Ingress);
    give(&mut world, PodFloatingIp { label: MplsLabel(110), ..label });
    give(&mut world, PodFloatingIp { address: VIP, ..ip("vip", 19, SERVER, Direction::Both) });
    give(&mut world, PodFloatingIp { address: pod(237), ..ip("pod", 20, SERVER, Direction::Both) });
    let compiled = world.compile();
    let of = |name: &str| {
        let id = ObjectId::FloatingIp(ObjectName::new("ns-user-1", name));
        let list = compiled.findings.get(&id).into_iter().flat_map(|list| list.iter());
        list.map(ToString::to_string).collect::<Vec<_>>().join("; ")
    };
    for (name, why) in [
        ("again", "refused: address 198.51.100.10 is that of FloatingIP ns-user-1/a"),
        ("nobody", "refused: no vif of this node is pod ns-user-1/nobody's"),
        ("lost", "refused: there is no VRF of its network private"),
        (
            "outgoing",
            "refused: pod ns-user-1/webserver-xkjpw begins connections under 198.51.100.10",
        ),
        ("second", "pod ns-user-1/webserver-xkjpw begins connections under 198.51.100.10 already"),
        ("vif-label", "refused: label 25 is that of vif client"),
        ("z-label", "refused: label 110 is that of FloatingIP ns-user-1/a"),
        ("vip", "refused: 10.105.139.153 belongs to ns-user-1/service-web-clusterip"),
        ("pod", "refused: 10.47.255.237 is the address of a pod or a node"),
    ] {
        assert!(of(name).starts_with(why), "{name}: {}", of(name));
    }
    assert_eq!((of("a"), of("elsewhere")), (String::new(), String::new()));
    let keys: Vec<_> = compiled.desired.plain.keys().map(|key| key.address).collect();
    assert_eq!(keys, [FIP, Ipv4Addr::new(198, 51, 100, 16).into()]);
}

#[test]
fn the_oldest_have_the_room() {
    let mut world = node();
    for last in 10..30 {
        let young = ip(&format!("n{last}"), last, SERVER, Direction::Ingress);
        let created = Some(i64::from(100 - last));
        give(&mut world, PodFloatingIp { created, ..young });
    }
    let shape = Shape { plain_fip_rows_log2: 0, ..Shape::default() };
    let compiled =
        Compiler::new(Default::default(), shape).compile(&world.intent, &world.neighbours);
    let room = shape.capacity(TableId::PlainFip) as usize;
    let lasts: Vec<u32> = compiled.desired.labels.keys().map(|label| label.0).collect();
    assert_eq!(compiled.desired.plain.len(), room);
    assert!(lasts.contains(&129) && !lasts.contains(&110), "the last is the oldest");
    let full = ObjectId::FloatingIp(ObjectName::new("ns-user-1", "n10"));
    assert!(compiled.findings[&full][0].to_string().contains("PlainFip is full"));
}

#[test]
fn one_goes_to_another_pod_and_away_without_a_trace() {
    let mut world = node();
    let mut compiler = Compiler::new(Default::default(), Shape::default());
    let none = compiler.compile(&world.intent, &world.neighbours);
    for owner in [SERVER, "client", SERVER] {
        give(&mut world, ip("a", 10, owner, Direction::Both));
        let compiled = compiler.compile(&world.intent, &world.neighbours);
        assert_eq!(compiled, world.compile());
        let here: Vec<_> =
            compiled.desired.vifs.iter().filter(|(_, vif)| vif.egress.is_some()).collect();
        let plain: Vec<_> = compiled.desired.plain.keys().map(|key| key.vif).collect();
        assert_eq!(here.iter().map(|(id, _)| **id).collect::<Vec<_>>(), plain);
        assert_eq!(plain.len(), 1);
    }
    // A service that comes has the address; the floating IP has it again when that goes.
    let mut service = chapter();
    service.floating_ips[0].address = FIP;
    world.balancer(service.clone());
    let compiled = compiler.compile(&world.intent, &world.neighbours);
    assert_eq!(compiled, world.compile());
    assert_eq!(compiled.owners[&FIP], ObjectId::LoadBalancer(service.name.clone()));
    assert!(compiled.desired.plain.is_empty());
    world.intent.balancers.remove(&service.name);
    assert_eq!(compiler.compile(&world.intent, &world.neighbours).desired.plain.len(), 1);
    world.intent.floating_ips.clear();
    assert_eq!(compiler.compile(&world.intent, &world.neighbours), none);
}

/// Pods come first in the table of host routes, whatever was there before.
#[test]
fn a_pod_that_comes_takes_the_room_of_the_youngest() {
    let shape = Shape { host_route_rows_log2: 0, ..Shape::default() };
    let mut compiler = Compiler::new(Default::default(), shape);
    let mut world = node();
    (10..20).for_each(|last| {
        give(&mut world, ip(&format!("n{last}"), last, SERVER, Direction::Ingress));
    });
    let before = compiler.compile(&world.intent, &world.neighbours).desired.plain.len();
    world.route(pod_route("cent333", CENT333, 200, 99));
    let after = compiler.compile(&world.intent, &world.neighbours);
    let anew = Compiler::new(Default::default(), shape).compile(&world.intent, &world.neighbours);
    assert!(after.desired.plain.len() < before);
    assert_eq!(after, anew);
}
