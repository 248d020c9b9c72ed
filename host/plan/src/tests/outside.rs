//! Packets from outside, by a floating IP's own label: they come to the members of this node only.

use std::net::IpAddr;
use std::sync::Arc;

use penstock_abi::table::{
    EcmpSlot, FipMap, HostRoute, Ilm, NextHop, ServiceAddress, ServiceKey as Word,
};
use penstock_compile::{
    Desired, Group, GroupMember, Hop, LabelEntry, Listening, NextHopKey, RouteTarget, ServiceKey,
    VifEntry, VrfEntry,
};
use penstock_model::{MplsLabel, Protocol, VifId};
use penstock_tables::Shape;

use super::bits;
use super::world::{Bench, LOCAL, VIF, VRF, hop, pod, reaches, vip};
use crate::words;

const SECOND: u8 = 201;
const LABEL: MplsLabel = MplsLabel(60);

fn key() -> ServiceKey {
    ServiceKey { address: vip(1), net: VRF.0, protocol: Protocol::Tcp, port: 80 }
}

/// A node with two pods, and one elsewhere.
fn node() -> Desired {
    let mut d = reaches(&[1, LOCAL]);
    let next_hop = NextHopKey::Encap(VifId(9));
    d.next_hops.insert(next_hop, d.next_hops[&NextHopKey::Encap(VIF)]);
    let entry = d.vifs[&VIF];
    d.vifs.insert(VifId(9), VifEntry { address: Some(pod(SECOND)), next_hop, ..entry });
    d.routes.insert((VRF, pod(SECOND)), RouteTarget::Hop(Hop { next_hop, label: None }));
    d.vrfs.insert(VRF, VrfEntry { service_net: VRF.0, ..VrfEntry::default() });
    d.services.insert(vip(1), Arc::new([(Protocol::Tcp, 80)].into()));
    d.floating.insert(vip(1), ServiceAddress::Drop);
    d.routes.insert((VRF, vip(1)), RouteTarget::Listener(key()));
    d.labels.insert(
        LABEL,
        LabelEntry { next_hop: NextHopKey::Discard, service: Some(vip(1)), vrf: VRF },
    );
    d
}

fn member(last: u8, draining: bool) -> GroupMember {
    let second = Hop { next_hop: NextHopKey::Encap(VifId(9)), label: None };
    let hop = if last == SECOND { second } else { hop(last) };
    let port = [LOCAL, SECOND].contains(&last).then_some(8080);
    GroupMember { hop, pod: Some(pod(last)), draining, port }
}

/// The listener with these members of this node, besides the one elsewhere.
fn serve(d: &mut Desired, here: &[GroupMember]) {
    let group = |mut members: Vec<GroupMember>| {
        members.sort();
        Arc::new(Group { members, hash_fields: 0x1f, affinity_seconds: 0 })
    };
    let all = here.iter().copied().chain([member(1, false)]).collect();
    let local = (!here.is_empty()).then(|| group(here.to_vec()));
    d.listeners
        .insert(key(), Listening { target: RouteTarget::Group(group(all)), local, affinity: None });
}

fn local(bench: &Bench) -> Option<Vec<(IpAddr, EcmpSlot)>> {
    let (_, word) = bench.card.find::<Word>((VRF.0, 6, bits(vip(1)), 80))?;
    let nh = bench.card.get::<NextHop>(word.local.into()).filter(|nh| words::is_composite(nh))?;
    let slots = (0..u32::from(nh.slots)).filter_map(|n| bench.card.ring_word(nh.base, n));
    let pod = |word: &EcmpSlot| {
        assert!(word.local, "{word:?}");
        let map = bench.card.of::<FipMap>().at(words::local_map(word).into());
        assert_eq!((map.vip, map.vip_port, map.pod_port), (bits(vip(1)), 80, 8080));
        words::address(map.pod_ip)
    };
    Some(slots.filter(|word| word.valid).map(|word| (pod(word), *word)).collect())
}

#[test]
fn they_are_given_to_who_is_here_and_kept_by_who_goes() {
    let mut bench = Bench::new(Shape::default());
    let mut d = node();
    serve(&mut d, &[member(LOCAL, false), member(SECOND, false)]);
    assert_eq!(bench.bring(&d), []);
    let route: &HostRoute = bench.card.find((VRF.0, bits(vip(1)))).unwrap().1;
    let label: Ilm = bench.card.of::<Ilm>().at(LABEL.0);
    let expected = Ilm { valid: true, service: true, nh: 0, key_nh: route.nh, vrf: VRF.0 };
    assert_eq!(label, expected, "the key of their flows is that of the route");
    let pods = |bench: &Bench| {
        let all = local(bench).into_iter().flatten();
        all.map(|(pod, word)| (pod, word.drain, word.evict_udp)).collect::<Vec<_>>()
    };
    assert_eq!(pods(&bench), [(pod(LOCAL), false, false), (pod(SECOND), false, false)]);
    // One that terminates keeps what it has; so does one that departed.
    serve(&mut d, &[member(LOCAL, false), member(SECOND, true)]);
    assert_eq!(bench.bring(&d), []);
    assert_eq!(pods(&bench), [(pod(LOCAL), false, false), (pod(SECOND), true, false)]);
    serve(&mut d, &[member(LOCAL, false)]);
    assert_eq!(bench.bring(&d), []);
    assert_eq!(pods(&bench), [(pod(LOCAL), false, false), (pod(SECOND), true, true)]);
    // Of nobody who takes new ones, those who departed still have theirs.
    serve(&mut d, &[]);
    assert_eq!(bench.bring(&d), []);
    assert_eq!(pods(&bench).iter().map(|(_, drain, _)| *drain).collect::<Vec<_>>(), [true, true]);
    // Until their pods are gone: then packets are dropped.
    for (vif, last) in [(VIF, LOCAL), (VifId(9), SECOND)] {
        d.vifs.remove(&vif);
        d.next_hops.remove(&NextHopKey::Encap(vif));
        d.routes.remove(&(VRF, pod(last)));
    }
    assert_eq!(bench.bring(&d), []);
    assert_eq!(local(&bench), None);
    let (_, word) = bench.card.find::<Word>((VRF.0, 6, bits(vip(1)), 80)).unwrap();
    assert_eq!(word.local, 0);
    assert!(bench.card.of::<FipMap>().values().all(words::is_tombstone));
}

#[test]
fn a_label_goes_with_its_floating_ip() {
    let mut bench = Bench::new(Shape::default());
    let mut d = node();
    serve(&mut d, &[member(LOCAL, false)]);
    assert_eq!(bench.bring(&d), []);
    d.listeners.clear();
    d.services.clear();
    d.floating.clear();
    d.labels.clear();
    d.routes.remove(&(VRF, vip(1)));
    assert_eq!(bench.bring(&d), []);
    assert_eq!((bench.card.of::<Ilm>().len(), bench.card.of::<Word>().len()), (0, 0));
}
