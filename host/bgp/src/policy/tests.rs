//! What is told and what is taken.

use std::sync::Arc;

use imbl::OrdMap;
use penstock_model::{Advertisement, Encapsulation, MplsLabel, Route, VrfId};
use proptest::prelude::*;

use super::*;
use crate::community::{ExtendedCommunity, TUNNEL_GRE};
use crate::path::{Attributes, RouteDistinguisher, VpnPath, VpnPrefix};
use crate::session::Learned;
use crate::wire::{self, Family, Scope};

const NODE: Ipv4Addr = Ipv4Addr::new(10, 169, 25, 20);

fn target(number: u32) -> RouteTarget {
    RouteTarget::new(64512, number).unwrap()
}

fn policy() -> Policy {
    let vrf = |import: &[u32], export: &[u32]| Targets {
        import: import.iter().map(|&n| target(n)).collect(),
        export: export.iter().map(|&n| target(n)).collect(),
    };
    Policy {
        node: NODE,
        encapsulations: vec![Encapsulation::MplsOverUdp, Encapsulation::MplsOverGre],
        vrfs: [
            (VrfId(2), vrf(&[2, 7], &[2])),
            (VrfId(5), vrf(&[7], &[5])),
            (VrfId(6), vrf(&[], &[])),
        ]
        .into(),
    }
}

fn advertisement(vrf: u16, prefix: &str, label: u32) -> Advertisement {
    Advertisement {
        vrf: VrfId(vrf),
        prefix: prefix.parse().unwrap(),
        label: MplsLabel(label),
        next_hop: NODE.into(),
    }
}

fn all(list: &[Advertisement]) -> OrdMap<Advertisement, ()> {
    list.iter().map(|one| (one.clone(), ())).collect()
}

#[test]
fn a_pod_is_told_with_its_label_and_its_networks_target() {
    let mut exporter = Exporter::default();
    exporter.update(&policy(), &all(&[advertisement(2, "10.47.255.237/32", 25)]));
    let (prefix, path) = exporter.routes().iter().next().unwrap();
    assert_eq!(prefix.to_string(), "10.169.25.20:2:10.47.255.237/32");
    assert_eq!((path.label, path.attributes.next_hop), (MplsLabel(25), NODE));
    assert_eq!(path.attributes.targets().collect::<Vec<_>>(), [target(2)]);
    let tunnels = path.attributes.extended.iter().filter_map(|c| c.tunnel()).collect::<Vec<_>>();
    assert_eq!(tunnels, [2, 11, 13]);
}

#[test]
fn a_vrf_without_targets_and_ipv6_stay_in_the_node() {
    let mut exporter = Exporter::default();
    let list = [
        advertisement(6, "10.47.255.237/32", 25),
        advertisement(9, "10.47.255.237/32", 25),
        advertisement(2, "2001:db8::1/128", 25),
    ];
    exporter.update(&policy(), &all(&list));
    assert!(exporter.routes().is_empty());
}

#[test]
fn members_of_one_floating_ip_have_distinguishers_of_their_own() {
    let mut exporter = Exporter::default();
    let vip = "10.105.139.153/32";
    let mut list: Vec<_> = (0..20).map(|n| advertisement(2, vip, 100 + n)).collect();
    exporter.update(&policy(), &all(&list));
    assert_eq!((exporter.routes().len(), exporter.crowded().len()), (16, 1));
    list.truncate(2);
    exporter.update(&policy(), &all(&list));
    let shown = exporter.routes().iter().map(|(p, path)| format!("{p} {}", path.label));
    assert_eq!(
        shown.collect::<Vec<_>>(),
        ["10.169.25.20:2:10.105.139.153/32 100", "10.169.25.20:4098:10.105.139.153/32 101"]
    );
    assert!(exporter.crowded().is_empty());
}

#[test]
fn targets_that_change_are_told_of_all_routes() {
    let mut exporter = Exporter::default();
    let list = all(&[advertisement(2, "10.47.255.237/32", 25)]);
    exporter.update(&policy(), &list);
    let mut other = policy();
    other.vrfs.get_mut(&VrfId(2)).unwrap().export = [target(3)].into();
    exporter.update(&other, &list);
    let path = exporter.routes().values().next().unwrap();
    assert_eq!(path.attributes.targets().collect::<Vec<_>>(), [target(3)]);
}

/// What a peer tells: read from the bytes that it would send.
fn told(distinguisher: u16, label: u32, change: impl Fn(&mut Attributes)) -> (VpnPrefix, Learned) {
    let node = Ipv4Addr::new(10, 169, 25, 21);
    let prefix = VpnPrefix {
        distinguisher: RouteDistinguisher::of_node(node, distinguisher),
        prefix: "10.47.255.238/32".parse().unwrap(),
    };
    let extended = vec![target(2).community(), ExtendedCommunity::of_tunnel(13)];
    let mut attributes = Attributes::of_node(node, extended);
    change(&mut attributes);
    let path = VpnPath { label: MplsLabel(label), attributes: attributes.into() };
    let bytes = wire::updates(&[(prefix, Some(path))], 64512, true).remove(0);
    let scope = Scope { local_as: 64512, identifier: NODE, internal: true, four_octets: true };
    let update = wire::decode_update(&bytes[19..], &[Family::Vpn], scope).unwrap();
    let (prefix, path) = update.announced[0].clone();
    (prefix, Learned::fresh(path))
}

fn importer() -> Importer {
    let mut importer = Importer::default();
    importer.set_policy(&policy());
    importer
}

fn route(importer: &Importer) -> Result<Route, Unused> {
    let imported = importer.routes().values().next().unwrap();
    imported.route.clone().map(|route| (*route).clone())
}

#[test]
fn a_remote_pod_is_in_the_vrfs_that_import_its_target() {
    let mut importer = importer();
    importer.update(&"rr".into(), &[told(3, 43, |_| {})].into_iter().collect());
    let route = route(&importer).unwrap();
    assert_eq!((route.prefix.to_string(), route.vrfs), ("10.47.255.238/32".into(), vec![VrfId(2)]));
    assert_eq!(route.path.next_hop.to_string(), "10.169.25.21");
    assert_eq!((route.path.label, route.path.preference), (MplsLabel(43), 100));
    assert_eq!(
        (&*route.path.announcer, route.path.encapsulation),
        ("bgp 10.169.25.21:3", Encapsulation::MplsOverUdp)
    );
    // A VRF that begins to import it has it too.
    let mut wider = policy();
    wider.vrfs.get_mut(&VrfId(5)).unwrap().import.insert(target(2));
    importer.set_policy(&wider);
    assert_eq!(self::route(&importer).unwrap().vrfs, [VrfId(2), VrfId(5)]);
}

#[test]
fn what_is_of_no_use_says_why() {
    let of = |label, change: &dyn Fn(&mut Attributes)| {
        let mut importer = importer();
        importer.update(&"rr".into(), &[told(3, label, change)].into_iter().collect());
        route(&importer).map(|route| route.path.encapsulation)
    };
    let only = |tunnel: u16| {
        move |a: &mut Attributes| {
            a.extended = [target(2).community(), ExtendedCommunity::of_tunnel(tunnel)].into();
        }
    };
    assert_eq!(of(43, &|a| a.extended = [target(9).community()].into()), Err(Unused::NoVrf));
    assert_eq!(of(43, &|a| a.next_hop = NODE), Err(Unused::Own));
    assert_eq!(of(3, &|_| {}), Err(Unused::ReservedLabel(MplsLabel(3))));
    assert_eq!(of(43, &only(8)), Err(Unused::NoEncapsulation));
    assert_eq!(of(43, &only(TUNNEL_GRE)), Ok(Encapsulation::MplsOverGre));
    assert_eq!(
        of(43, &|a| a.extended = [target(2).community()].into()),
        Ok(Encapsulation::MplsOverUdp)
    );
}

#[test]
fn of_several_reflectors_the_better_path_is_taken_and_the_other_stands_by() {
    let mut importer = importer();
    let (a, b): (Arc<str>, Arc<str>) = ("a".into(), "b".into());
    importer.update(&a, &[told(3, 43, |_| {})].into_iter().collect());
    importer.update(&b, &[told(3, 44, |a| a.preference = 200)].into_iter().collect());
    assert_eq!(route(&importer).unwrap().path.label, MplsLabel(44));
    importer.update(&b, &OrdMap::new());
    assert_eq!(route(&importer).unwrap().path.label, MplsLabel(43));
    importer.update(&a, &OrdMap::new());
    assert!(importer.routes().is_empty());
}

#[test]
fn of_several_nodes_those_are_taken_that_are_equally_good() {
    let mut importer = importer();
    let peer: Arc<str> = "rr".into();
    let shown = |importer: &Importer| -> Vec<(u32, Option<Unused>)> {
        let one =
            |one: &Arc<Imported>| (one.learned.path.label.0, one.route.as_ref().err().copied());
        importer.routes().values().map(one).collect()
    };
    let with = |third: &dyn Fn(&mut Attributes)| -> OrdMap<VpnPrefix, Learned> {
        [told(3, 43, |_| {}), told(4, 44, |_| {}), told(5, 45, third)].into_iter().collect()
    };
    importer.update(&peer, &with(&|_| {}));
    assert_eq!(shown(&importer), [(43, None), (44, None), (45, None)]);
    // One that is better puts the others back, until it is gone.
    importer.update(&peer, &with(&|a| a.preference = 101));
    let worse = Some(Unused::Worse);
    assert_eq!(shown(&importer), [(43, worse), (44, worse), (45, None)]);
    importer.update(&peer, &[told(3, 43, |_| {}), told(4, 44, |_| {})].into_iter().collect());
    assert_eq!(shown(&importer), [(43, None), (44, None)]);
    // One that is of no use does not count, however good it looks.
    importer.update(&peer, &with(&|a| (a.preference, a.next_hop) = (101, NODE)));
    assert_eq!(shown(&importer), [(43, None), (44, None), (45, Some(Unused::Own))]);
}

proptest! {
    /// Step by step or at once, in one policy or after another, the same comes of what peers tell.
    #[test]
    fn learning_step_by_step_comes_to_the_same(
        steps in prop::collection::vec(
            (0u8..2, prop::collection::btree_map(1u16..4, (16u32..18, 100u32..102, any::<bool>()), 0..3), any::<bool>()),
            1..8,
        ),
    ) {
        let mut importer = importer();
        let mut wider = policy();
        wider.vrfs.get_mut(&VrfId(5)).unwrap().import.insert(target(2));
        let mut last = BTreeMap::new();
        for (peer, routes, wide) in steps {
            let routes: OrdMap<_, _> = routes
                .into_iter()
                .map(|(distinguisher, (label, preference, own))| told(distinguisher, label, |a| {
                    a.preference = preference;
                    if own { a.next_hop = NODE }
                }))
                .collect();
            let peer: Arc<str> = ["a", "b"][usize::from(peer)].into();
            let policy = if wide { &wider } else { &policy() };
            importer.set_policy(policy);
            importer.update(&peer, &routes);
            last.insert(peer, routes);
            let mut fresh = Importer::default();
            for (peer, routes) in &last {
                fresh.update(peer, routes);
            }
            fresh.set_policy(policy);
            prop_assert_eq!(importer.routes(), fresh.routes());
        }
    }


    /// Step by step or at once, the same is told.
    #[test]
    fn telling_step_by_step_comes_to_the_same(
        steps in prop::collection::vec(prop::collection::btree_set((1u16..4, 0u8..3, 16u32..20), 0..12), 1..8),
    ) {
        let mut exporter = Exporter::default();
        for step in &steps {
            let list: OrdMap<_, _> = step
                .iter()
                .map(|&(vrf, host, label)| (advertisement(vrf, &format!("10.0.0.{host}/32"), label), ()))
                .collect();
            exporter.update(&policy(), &list);
            let mut fresh = Exporter::default();
            fresh.update(&policy(), &list);
            prop_assert_eq!(exporter.routes(), fresh.routes());
        }
    }
}
