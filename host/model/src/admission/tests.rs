//! Objects that do not fit together, one by one, and at random: that what is done for a change is what would be done for
//! everything.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::{
    Effect, Encapsulation, Fabric, LearnPolicy, LoadBalancer, MacAddr, MplsLabel, Node, Path, Peer,
    Pod, PodVif, Route, SourceCheck, Vhost, Zone,
};

fn node(last: u8) -> Object {
    Object::Node(Arc::new(Node {
        name: "na".to_owned(),
        fabric: Fabric {
            address: format!("192.0.2.{last}/24").parse().unwrap(),
            mac: MacAddr([2, 0, 0, 0, 0, 1]),
        },
        vhost: Vhost::default(),
        service_labels: None,
        flow_aging: Default::default(),
        flow_limits: Default::default(),
    }))
}

fn vrf(name: &str, id: u16, imports: &[u16]) -> Object {
    let imports = imports.iter().map(|id| VrfId(*id)).collect();
    Object::Vrf(Arc::new(Vrf {
        id: VrfId(id),
        name: name.to_owned(),
        imports,
        networks: Vec::new(),
        source_check: SourceCheck::Strict,
    }))
}

fn vif(name: &str, id: u8, address: &str, label: u32) -> Object {
    Object::Vif(Arc::new(PodVif {
        id: VifId(id),
        name: name.to_owned(),
        pod: ObjectName::new("shop", name),
        address: address.parse().unwrap(),
        mac: MacAddr([2, 0, 0, 0, 1, id]),
        vrf: VrfId(3),
        label: MplsLabel(label),
        learn: LearnPolicy::default(),
        flow_limit: None,
    }))
}

fn peer(name: &str, last: u8) -> Object {
    let address = format!("192.0.2.{last}").parse().unwrap();
    Object::Peer(Arc::new(Peer { name: name.to_owned(), address }))
}

fn route(announcer: &str, prefix: &str, vrfs: &[u16], preference: u32) -> Object {
    Object::Route(Arc::new(Route {
        prefix: prefix.parse().unwrap(),
        vrfs: vrfs.iter().map(|id| VrfId(*id)).collect(),
        path: Path {
            next_hop: "192.0.2.9".parse().unwrap(),
            label: MplsLabel(300),
            encapsulation: Encapsulation::MplsOverUdp,
            preference,
            announcer: announcer.into(),
        },
    }))
}

fn pod(name: &str, address: &str) -> Object {
    Object::Pod(Arc::new(Pod {
        name: ObjectName::new("shop", name),
        address: address.parse().unwrap(),
        node: String::new(),
    }))
}

fn admit(objects: impl IntoIterator<Item = Object>) -> Intent {
    let objects = objects.into_iter().map(|object| (object.id(), object)).collect();
    Admission::new().admit(&objects).clone()
}

/// Findings as text.
fn said(intent: &Intent) -> Vec<String> {
    let lists = intent.findings.iter();
    lists
        .flat_map(|(id, list)| list.iter().map(move |finding| format!("{id}: {finding}")))
        .collect()
}

fn base() -> Vec<Object> {
    vec![node(1), vrf("pods", 3, &[]), vif("a", 5, "10.0.0.5", 105)]
}

fn with(more: impl IntoIterator<Item = Object>) -> Intent {
    admit(base().into_iter().chain(more))
}

#[test]
fn the_node_is_an_end_point_by_its_own_label_and_vrf() {
    let own = |vhost: Vhost| {
        let Object::Node(node) = node(1) else { panic!("it is one") };
        Object::Node(Arc::new(Node { vhost, ..Node::clone(&node) }))
    };
    let label = |label| Vhost { label: Some(MplsLabel(label)), ..Vhost::default() };
    let vrf = Vhost { vrf: Some(VrfId(9)), ..Vhost::default() };
    for (vhost, why) in [
        (label(105), "vif a: refused: label 105 is that of the node"),
        (label(15), "the node: refused: vhost0.label 15 is not in 16..=1048575"),
        (vrf, "the node: vhost0 is to be in VRF 9, and there is none: it is in the lowest"),
    ] {
        let intent = with([own(vhost)]);
        assert_eq!(said(&intent), [why]);
    }
    // Those who had a label that the node takes are looked at again.
    let objects = |vhost: Vhost| -> OrdMap<ObjectId, Object> {
        base().into_iter().chain([own(vhost)]).map(|object| (object.id(), object)).collect()
    };
    let mut admission = Admission::new();
    assert_eq!(admission.admit(&objects(label(50))).vifs.len(), 1);
    assert_eq!(admission.admit(&objects(label(105))).vifs.len(), 0);
    assert_eq!(admission.admit(&objects(label(50))).vifs.len(), 1);
}

#[test]
fn what_is_wrong_for_itself_is_refused_alone() {
    let cases = [
        (vif("b", 2, "10.0.0.6", 106), "vif b: refused: id 2 is not in 3..=255"),
        (vif("b", 6, "10.0.0.6", 3), "vif b: refused: label 3 is not in 16..=1048575"),
        (vif("b", 6, "10.0.0.6", 1 << 20), "vif b: refused: label 1048576 is not in 16..=1048575"),
        (vif("b", 6, "224.0.0.6", 106), "vif b: refused: address 224.0.0.6 is not a host's"),
        (vif("", 6, "10.0.0.6", 106), "vif : refused: name is empty"),
        (vif("pkt0", 6, "10.0.0.6", 106), "vif pkt0: refused: name pkt0 is that of the node"),
        (vrf("x", 0, &[]), "VRF x: refused: id 0 is not in 1..=4095"),
        (peer("x", 0), ""),
        (
            route("x", "10.0.0.7/24", &[], 1),
            "route 10.0.0.7/24 of x: refused: has host bits, is 10.0.0.0/24 meant?",
        ),
        (
            route("x", "127.0.0.1/32", &[], 1),
            "route 127.0.0.1/32 of x: refused: address 127.0.0.1 is not a host's",
        ),
    ];
    for (object, expected) in cases {
        let intent = with([object]);
        assert_eq!(intent.vifs.len(), 1);
        assert_eq!(intent.vrfs.len(), 1);
        assert_eq!(intent.rib.len(), 0);
        let expected: Vec<&str> = [expected].into_iter().filter(|text| !text.is_empty()).collect();
        assert_eq!(said(&intent), expected);
    }
    // Under another name than its own an object would be found by nobody.
    let mut objects: OrdMap<ObjectId, Object> = OrdMap::new();
    objects.insert(ObjectId::Peer("x".to_owned()), peer("y", 2));
    let intent = Admission::new().admit(&objects).clone();
    assert!(intent.peers.is_empty() && intent.findings.len() == 1);
}

#[test]
fn what_two_vifs_want_has_the_lower_number() {
    let text = |other: Object| {
        let intent = with([other]);
        assert_eq!(intent.vifs.keys().copied().collect::<Vec<_>>(), [VifId(5)]);
        said(&intent).join("\n")
    };
    assert_eq!(
        text(vif("b", 6, "10.0.0.5", 106)),
        "vif b: refused: address 10.0.0.5 is that of vif a"
    );
    assert_eq!(text(vif("b", 6, "10.0.0.6", 105)), "vif b: refused: label 105 is that of vif a");
    // Of two with one number, the lower name.
    assert_eq!(text(vif("b", 5, "10.0.0.6", 106)), "vif b: refused: id 5 is that of vif a");
    assert_eq!(
        text(vif("b", 6, "192.0.2.1", 106)),
        "vif b: refused: address 192.0.2.1 is that of the node"
    );
    let intent = with([vif("0", 6, "10.0.0.6", 105)]);
    assert_eq!(said(&intent), ["vif 0: refused: label 105 is that of vif a"]);
    // What a refused one wants is free.
    let intent = with([vif("b", 6, "10.0.0.5", 106), vif("c", 7, "10.0.0.7", 106)]);
    assert_eq!(intent.vifs.keys().copied().collect::<Vec<_>>(), [VifId(5), VifId(7)]);
    let intent = with([peer("nb", 2), vif("b", 6, "192.0.2.2", 106)]);
    assert_eq!(said(&intent), ["vif b: refused: address 192.0.2.2 is that of remote nb"]);
}

#[test]
fn vrfs_that_are_not_there_are_missed() {
    let intent = admit([node(1), vif("a", 5, "10.0.0.5", 105), vrf("x", 4, &[3])]);
    assert!(intent.vifs.is_empty());
    let expected = [
        "VRF x: imports VRF 3, and there is none with this number",
        "vif a: refused: there is no VRF 3",
    ];
    assert_eq!(said(&intent), expected);
    let intent = with([vrf("same", 3, &[])]);
    assert_eq!(said(&intent), ["VRF same: refused: id 3 is that of VRF pods"].map(str::to_owned));
    let intent = with([route("nb", "10.1.0.0/16", &[3, 9], 100)]);
    assert_eq!(intent.rib.len(), 1);
    assert_eq!(
        said(&intent),
        ["route 10.1.0.0/16 of nb: is for VRF 9, and there is none with this number"]
    );
}

#[test]
fn a_refused_peer_takes_what_it_announces_along() {
    let intent = with([
        peer("nb", 2),
        peer("nc", 2),
        route("nb", "10.1.0.1/32", &[], 100),
        route("nc", "10.1.0.2/32", &[], 100),
    ]);
    assert_eq!(intent.rib.keys().map(|(_, p)| p.to_string()).collect::<Vec<_>>(), ["10.1.0.1/32"]);
    let expected = [
        "remote nc: refused: address 192.0.2.2 is that of remote nb",
        "route 10.1.0.2/32 of nc: refused: remote nc is refused, and so is what it announces",
    ];
    assert_eq!(said(&intent), expected);
    // The node is nobody's remote.
    let intent = with([peer("nb", 1), route("nb", "10.1.0.1/32", &[], 100)]);
    assert!(intent.rib.is_empty() && intent.peers.is_empty());
    let intent = with([route("nb", "192.0.2.1/32", &[], 100)]);
    assert!(intent.rib.is_empty(), "the node's own address is not elsewhere");
}

#[test]
fn the_rib_ranks_paths() {
    let prefix = "10.1.0.0/16";
    let intent = with([
        vrf("other", 4, &[]),
        route("nc", prefix, &[], 100),
        route("nb", prefix, &[3], 100),
        route("nd", prefix, &[], 200),
    ]);
    let paths = |vrf| {
        let paths = &intent.rib[&(VrfId(vrf), prefix.parse().unwrap())];
        paths.iter().map(|path| path.announcer.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(
        (paths(3), paths(4)),
        (
            vec!["nd".to_owned(), "nb".to_owned(), "nc".to_owned()],
            vec!["nd".to_owned(), "nc".to_owned()]
        )
    );
    let expected = [
        "route 10.1.0.0/16 of nb: remote nd announces it too, and is preferred",
        "route 10.1.0.0/16 of nc: remote nd announces it too, and is preferred",
    ];
    assert_eq!(said(&intent), expected);
    let all = intent.findings.values().flat_map(|list| list.iter());
    assert!(all.into_iter().all(|finding| finding.effect == Effect::Note));
    // Two that do not meet are not compared.
    let intent = with([
        vrf("other", 4, &[]),
        route("nb", prefix, &[3], 100),
        route("nc", prefix, &[4], 100),
    ]);
    assert_eq!((intent.rib.len(), said(&intent).len()), (2, 0));
}

#[test]
fn pods_give_names_to_addresses() {
    let intent = with([pod("a", "10.0.0.9"), pod("b", "10.0.0.9")]);
    assert_eq!(intent.pods.values().map(|p| p.name.name.as_str()).collect::<Vec<_>>(), ["a"]);
    let expected = [
        "Pod shop/a: has address 10.0.0.9, but vif 5 has 10.0.0.5",
        "Pod shop/b: has address 10.0.0.9, and so has Pod shop/a",
    ];
    assert_eq!(said(&intent), expected);
}

/// Any object of a small world, in which much is in conflict.
fn object() -> impl Strategy<Value = Object> {
    let name = || prop_oneof![Just("a"), Just("b"), Just("c"), Just("")];
    let ids = || vec(1_u16..5, 0..3);
    prop_oneof![
        1 => (0_u8..3).prop_map(node),
        2 => (name(), 0_u16..5, ids()).prop_map(|(name, id, imports)| vrf(name, id, &imports)),
        4 => (name(), 2_u8..7, 1_u8..5, 15_u32..19, 1_u16..5).prop_map(|(name, id, last, label, vrf)| {
            let Object::Vif(vif) = vif(name, id, &format!("192.0.2.{last}"), label) else { unreachable!() };
            Object::Vif(Arc::new(PodVif { vrf: VrfId(vrf), ..(*vif).clone() }))
        }),
        2 => (name(), 0_u8..5).prop_map(|(name, last)| peer(name, last)),
        4 => (name(), 0_u8..3, prop_oneof![Just(24_u8), Just(32)], ids(), 0_u32..2, 1_u8..4).prop_map(
            |(name, last, length, vrfs, preference, hop)| {
                let prefix = format!("192.0.2.{last}/{length}");
                let Object::Route(route) = route(name, &prefix, &vrfs, preference) else { unreachable!() };
                let next_hop = format!("192.0.2.{hop}").parse().unwrap();
                let path = Path { next_hop, ..route.path.clone() };
                Object::Route(Arc::new(Route { path, ..(*route).clone() }))
            }
        ),
        2 => (name(), 1_u8..5).prop_map(|(name, last)| pod(name, &format!("192.0.2.{last}"))),
        1 => (name(), name()).prop_map(|(node, name)| {
            Object::Zone(Arc::new(Zone { node: node.to_owned(), name: name.to_owned() }))
        }),
        1 => (name(), any::<Option<i64>>()).prop_map(|(name, created)| {
            let name = ObjectName::new("shop", name);
            Object::LoadBalancer(Arc::new(LoadBalancer { name, created, ..LoadBalancer::default() }))
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Ten thousand steps of one to three changes each.
    #[test]
    fn what_changes_comes_to_the_same_as_everything_anew(
        steps in vec(vec((object(), any::<bool>()), 1..4), 50)
    ) {
        let mut admission = Admission::new();
        let mut objects: OrdMap<ObjectId, Object> = OrdMap::new();
        for step in steps {
            for (object, gone) in step {
                if gone {
                    objects.remove(&object.id());
                } else {
                    objects.insert(object.id(), object);
                }
            }
            let intent = admission.admit(&objects).clone();
            prop_assert_eq!(&intent, &Admission::new().admit(&objects).clone());
            sound(&intent);
        }
    }
}

/// What [`Intent`] says of itself.
fn sound(intent: &Intent) {
    let mut seen = BTreeMap::new();
    for (id, vif) in &intent.vifs {
        assert_eq!(*id, vif.id);
        assert!(intent.vrfs.contains_key(&vif.vrf));
        for what in [vif.address.to_string(), format!("label {}", vif.label)] {
            assert_eq!(seen.insert(what.clone(), id), None, "{what}");
        }
    }
    let own = intent.node.as_ref().map(|node| node.fabric.address.addr());
    for peer in intent.peers.values() {
        assert_ne!(Some(peer.address), own);
        assert_eq!(seen.insert(peer.address.to_string(), &VifId::FABRIC), None);
    }
    for ((vrf, prefix), paths) in &intent.rib {
        assert!(intent.vrfs.contains_key(vrf) && !paths.is_empty(), "{vrf} {prefix}");
        assert!(paths.is_sorted_by(|a, b| a.rank() < b.rank()));
        assert!(paths.iter().all(|path| Some(path.next_hop) != own));
    }
    assert!(
        intent.findings.values().all(|list| !list.is_empty() && list.is_sorted_by(|a, b| a < b))
    );
}
