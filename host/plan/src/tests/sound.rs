//! What must hold of a card at any moment, and what a card means.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use penstock_abi::table;
use penstock_abi::table::NextHopKind;
use penstock_compile::{
    Desired, FipKey, FipTarget, Group, GroupMember, Hop, NextHopKey, NextHopSpec, RouteTarget,
};
use penstock_model::{IpNet, MacAddr, MplsLabel, Protocol, VifId, VrfId};
use penstock_tables::prefix::{PREFIX_LENGTHS, prefix_lengths};
use penstock_tables::{Keyed, Op, PrefixPart, Tables};

use super::bits;
use crate::{Plan, words};

/// Every pointer that a packet can follow leads to a valid entry. Says what does not.
pub(super) fn check(card: &Tables) -> Result<(), String> {
    for (index, vif) in card.of::<table::Vif>().iter() {
        leaf(card, vif.nh, &format!("vif {index}"))?;
    }
    for (label, entry) in card.of::<table::Ilm>().iter() {
        leaf(card, entry.nh, &format!("label {label}"))?;
        // That of a floating IP's label only names it in the keys of flows.
        if !entry.service {
            leaf(card, entry.key_nh, &format!("label {label}"))?;
        }
    }
    for (index, prefix) in card.of::<table::Prefix>().iter() {
        leaf(card, prefix.nh, &format!("prefix {index}"))?;
    }
    for (vrf, route) in card.of::<table::DefaultRoute>().iter() {
        leaf(card, route.nh, &format!("default route of VRF {vrf}"))?;
    }
    let heard: BTreeSet<u16> = card.of::<table::ServiceKey>().values().map(|key| key.nh).collect();
    let mut owners: BTreeMap<u16, (u16, u32)> = BTreeMap::new();
    for route in card.of::<table::HostRoute>().values() {
        let who = format!("route to {} of VRF {}", Ipv4Addr::from(route.ip), route.vrf);
        let nh = next_hop(card, route.nh, &who)?;
        // No packet follows it: what a listener has is shown, or what it had a moment ago, or what all of them have.
        let is_shown = route.service != table::ServiceAddress::No;
        if nh.kind == NextHopKind::Composite && heard.contains(&route.nh) {
            // Looked at with its listener.
        } else if nh.kind == NextHopKind::Composite {
            let owner = owners.entry(route.nh).or_insert((route.vrf, route.ip));
            if !is_shown && *owner != (route.vrf, route.ip) {
                return Err(format!("{who} shares group {} with another route", route.nh));
            }
            group(card, nh, &who)?;
        } else {
            leaf(card, route.nh, &who)?;
        }
    }
    let name = |key: &table::FipKey| (key.vif, key.proto, key.ip, key.port);
    let keys: BTreeSet<_> = card.of::<table::FipKey>().values().map(name).collect();
    for key in card.of::<table::FipKey>().values() {
        let who = format!("FIP key {}:{} of vif {}", Ipv4Addr::from(key.ip), key.port, key.vif);
        let vif_ip = card.get::<table::Vif>(key.vif.into()).map(|vif| vif.ip);
        let map = card.of::<table::FipMap>().at(key.map.into());
        if is_mark(card, key) {
            // Not taken for a mapping's key even if its vif has another pod by now.
            if key.map != 0 || map.valid {
                return Err(format!("{who}: leads to {map:?}"));
            }
            continue;
        }
        let current = vif_ip == Some(map.pod_ip);
        if current && !marks_of(key, &map).iter().all(|mark| keys.contains(&name(mark))) {
            return Err(format!("{who}: its backend is not marked"));
        }
    }
    listeners(card)?;
    sources(card)?;
    places(card)
}

/// The same while a plan is carried out that leaves `after`: a vif whose flows it deletes is out of service for a moment, and
/// packets to it are dropped then.
pub(super) fn check_between(card: &Tables, plan: &Plan, after: &Tables) -> Result<(), String> {
    let forgets = |nh: u16| plan.ops().any(|op| *op == Op::Forget { key_nh: nh });
    let is_down = |&(index, vif): &(u32, &table::Vif)| {
        let stands = card.get::<table::Vif>(index).is_some();
        !stands && card.get::<table::NextHop>(vif.nh.into()).is_some() && forgets(vif.nh)
    };
    let down: Vec<_> = after.of::<table::Vif>().iter().filter(is_down).collect();
    if down.is_empty() {
        return check(card);
    }
    let mut card = card.clone();
    down.into_iter().for_each(|(vif, word)| card.put(vif, *word));
    check(&card)
}

/// Whether a key names no mapping of its own.
pub(super) fn is_mark(card: &Tables, key: &table::FipKey) -> bool {
    let map = card.get::<table::FipMap>(key.map.into()).filter(|map| map.valid && map.pod_ip != 0);
    map.is_none_or(|map| (map.vip, map.vip_port) != (key.ip, key.port))
}

/// The marks that a mapping needs.
fn marks_of(key: &table::FipKey, map: &table::FipMap) -> Vec<table::FipKey> {
    let mark = |port| table::FipKey { ip: map.pod_ip, port, map: 0, ..*key };
    let tcp = (key.proto == 6).then(|| mark(map.pod_port));
    [mark(0)].into_iter().chain(tcp).collect()
}

/// Far ends of the tunnels to which a next hop leads.
fn tunnels(card: &Tables, id: u16) -> BTreeSet<u32> {
    let end = |id: u16| words::far_end(&card.of::<table::NextHop>().at(id.into()));
    let nh = &card.of::<table::NextHop>().at(id.into());
    let slots = if nh.kind == NextHopKind::Composite { u32::from(nh.slots) } else { 0 };
    let slots = (0..slots).filter_map(|n| card.ring_word(nh.base, n)).filter(|slot| slot.valid);
    slots.filter_map(|slot| end(slot.nh)).chain(end(id)).collect()
}

/// Who may be sent to by a route, by itself and by the listeners of its address.
fn sent_to(card: &Tables, route: &table::HostRoute) -> BTreeSet<u32> {
    let net = card.of::<table::Vrf>().at(route.vrf.into()).service_net;
    let keys = card.of::<table::ServiceKey>().values();
    let heard = keys.filter(|key| net != 0 && (key.net, key.ip) == (net, route.ip));
    let heard = heard.flat_map(|key| tunnels(card, key.nh));
    tunnels(card, route.nh).into_iter().chain(heard).collect()
}

/// Who is in a set of sources.
fn set_of(card: &Tables, set: u16) -> BTreeSet<u32> {
    let keys = card.of::<table::TunnelSource>().values();
    keys.filter(|key| key.set == set).map(|key| key.ip).collect()
}

/// Whoever is sent to may answer.
fn sources(card: &Tables) -> Result<(), String> {
    for route in card.of::<table::HostRoute>().values().filter(|route| route.sources != 1) {
        let may = |ip: &u32| card.find::<table::TunnelSource>((route.sources, *ip)).is_some();
        if let Some(other) = sent_to(card, route).into_iter().find(|ip| !may(ip)) {
            let (to, vrf, by) = (Ipv4Addr::from(route.ip), route.vrf, Ipv4Addr::from(other));
            return Err(format!("{to} of VRF {vrf} leads to {by}, which may not answer"));
        }
    }
    Ok(())
}

/// Listeners lead to what is there, and their members on this node have the mapping that is theirs.
fn listeners(card: &Tables) -> Result<(), String> {
    let mut owners: BTreeMap<u16, u32> = BTreeMap::new();
    for (index, key) in card.of::<table::ServiceKey>().iter() {
        let who = format!("listener {}:{} of net {}", Ipv4Addr::from(key.ip), key.port, key.net);
        for id in [key.nh, key.local] {
            let nh = next_hop(card, id, &who)?;
            if nh.kind != NextHopKind::Composite {
                continue;
            }
            // One that is being moved is there twice.
            let owner = *owners.entry(id).or_insert(index);
            if card.of::<table::ServiceKey>().at(owner) != *key {
                return Err(format!("{who} shares group {id} with another listener"));
            }
            group(card, nh, &who)?;
            let words = 0..u32::from(nh.slots) + u32::from(nh.live);
            for word in words.filter_map(|n| card.ring_word(nh.base, n)).filter(|w| w.valid) {
                let map = card.of::<table::FipMap>().at(words::local_map(word).into());
                if word.local && (!map.valid || (map.vip, map.vip_port) != (key.ip, key.port)) {
                    return Err(format!("{who}: {word:?} is translated by {map:?}"));
                }
            }
        }
    }
    Ok(())
}

/// Ids that no packet reaches are of no interest; ranges of groups that are reached must not touch.
fn group(card: &Tables, nh: &table::NextHop, who: &str) -> Result<(), String> {
    let word = |n: u32| card.ring_word(nh.base, n).copied().unwrap_or_default();
    let slots = u32::from(nh.slots);
    for n in 0..slots {
        let slot = word(n);
        if slot.valid {
            leaf(card, slot.nh, &format!("slot {n} of {who}"))?;
            if u32::from(slot.slot) != n {
                return Err(format!("slot {n} of {who} says {}", slot.slot));
            }
        }
    }
    if nh.live == 1 && word(slots).generation == 0 {
        let refuses = next_hop(card, word(slots).nh, who)?.kind == NextHopKind::Reject;
        let nobody = (0..slots).all(|n| !word(n).valid || word(n).drain);
        let kept = (0..slots).all(|n| !word(n).evict_udp);
        let right = refuses && nobody && kept;
        return if right { Ok(()) } else { Err(format!("{who} refuses without reason")) };
    }
    // All who take new flows are in the list once a plan is done (`no_leftovers`).
    for n in slots..slots + u32::from(nh.live) {
        let live = word(n);
        if !live.valid || live.drain || live != word(live.slot.into()) {
            return Err(format!("live word {n} of {who} is {live:?}"));
        }
    }
    Ok(())
}

/// Everybody in a group who takes new flows gets some.
fn all_live(card: &Tables, nh: &table::NextHop) -> bool {
    let word = |n: u32| card.ring_word(nh.base, n).copied().unwrap_or_default();
    let slots = u32::from(nh.slots);
    let takes = |word: &table::EcmpSlot| word.valid && !word.drain && word.generation != 0;
    let words = |from: u32, to: u32| (from..to).map(word).filter(takes).map(|word| word.slot);
    let live: BTreeSet<u16> = words(slots, slots + u32::from(nh.live)).collect();
    live == words(0, slots).collect()
}

fn next_hop<'a>(card: &'a Tables, id: u16, who: &str) -> Result<&'a table::NextHop, String> {
    let nh = card.get::<table::NextHop>(id.into()).filter(|nh| nh.valid);
    let nh = nh.ok_or_else(|| format!("{who}: next hop {id} is not valid"))?;
    if nh.kind == NextHopKind::Encap
        && !card.get::<table::Vif>(nh.vif.into()).is_some_and(|v| v.valid)
    {
        return Err(format!("{who}: next hop {id} leads to vif {}, which is not valid", nh.vif));
    }
    Ok(nh)
}

fn leaf(card: &Tables, id: u16, who: &str) -> Result<(), String> {
    match next_hop(card, id, who)?.kind {
        NextHopKind::Composite => Err(format!("{who}: next hop {id} is a group")),
        _ => Ok(()),
    }
}

/// Every key of a hash table stands where the card looks for it, and what is found does not depend on where that is.
fn places(card: &Tables) -> Result<(), String> {
    fn placed<E: Keyed>(card: &Tables) -> Result<(), String> {
        let sees = |index, entry: &E| E::places(entry.key(), card.shape()).any(|at| at == index);
        if let Some((index, entry)) = card.of::<E>().iter().find(|(index, e)| !sees(*index, e)) {
            return Err(format!("{:?} at {index} is not in its row", entry.key()));
        }
        // One that is being moved is in two places, and the same in both.
        let mut seen: BTreeMap<E::Key, &E> = BTreeMap::new();
        match card.of::<E>().values().find(|e| *seen.entry(e.key()).or_insert(e) != *e) {
            Some(entry) => Err(format!("{:?} is there twice, not alike", entry.key())),
            None => Ok(()),
        }
    }
    placed::<table::HostRoute>(card)?;
    placed::<table::ServiceKey>(card)?;
    placed::<table::TunnelSource>(card)?;
    placed::<table::PlainFip>(card)?;
    parts(card)?;
    placed::<table::FipKey>(card)
}

/// The same of parts of prefixes, each of which belongs to a prefix that has it.
fn parts(card: &Tables) -> Result<(), String> {
    let mut seen: BTreeMap<PrefixPart, &table::Prefix> = BTreeMap::new();
    for (index, word) in card.of::<table::Prefix>().iter() {
        let part = PrefixPart::of(index, word, card.shape())
            .ok_or_else(|| format!("{word:?} at {index} is not in its row"))?;
        if *seen.entry(part).or_insert(word) != word {
            return Err(format!("{part:?} is there twice, not alike"));
        }
        if !prefix_lengths(part.rank).any(|len| len == word.len) {
            return Err(format!("{part:?} is of a prefix of {} bits", word.len));
        }
        let length = card.of::<table::PrefixLength>().at(part.rank.into());
        if (length.valid, length.len) != (true, PREFIX_LENGTHS[usize::from(part.rank)]) {
            return Err(format!("{part:?} is not looked for"));
        }
    }
    Ok(())
}

/// What a card means.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Meaning {
    /// What is wanted, without members that departed. Groups have their members only: slots and generations are the
    /// planner's own. All mappings, which do not tell whether they are wanted; which ports are served is not on the card.
    pub(super) desired: Desired,
    /// Who departed, by VRF and floating IP.
    pub(super) departed: BTreeSet<(VrfId, IpAddr, IpAddr, Hop)>,
}

/// What a card on which nobody departed means.
pub(super) fn decode(card: &Tables) -> Desired {
    let meaning = meaning(card);
    assert_eq!(meaning.departed, BTreeSet::new());
    meaning.desired
}

pub(super) fn meaning(card: &Tables) -> Meaning {
    let key = |id: u16| card.get::<table::NextHop>(id.into()).and_then(words::next_hop_key);
    let key = |id: u16| key(id).unwrap_or_default();
    let label = |valid: bool, label: u32| valid.then_some(MplsLabel(label));
    let address = |ip: u32| (ip != 0).then_some(words::address(ip));
    let mut desired = Desired::default();
    let mut departed = BTreeSet::new();
    for (vif, word) in card.of::<table::Vif>().iter() {
        desired.vifs.insert(
            VifId(vif as u8),
            penstock_compile::VifEntry {
                kind: word.kind,
                vrf: VrfId(word.vrf),
                mac: MacAddr::from_bits(word.mac),
                address: address(word.ip),
                rpf: word.rpf,
                next_hop: key(word.nh),
                learn: word.learn,
                egress: None,
            },
        );
    }
    for word in card.of::<table::NextHop>().values() {
        if let Some(key) = words::next_hop_key(word) {
            let spec = NextHopSpec {
                dmac: MacAddr::from_bits(word.dmac),
                smac: MacAddr::from_bits(word.smac),
                source: address(word.sip),
            };
            assert!(desired.next_hops.insert(key, spec).is_none(), "{key:?} has two ids");
        }
    }
    for (index, word) in card.of::<table::Ilm>().iter() {
        let entry = penstock_compile::LabelEntry {
            next_hop: key(word.nh),
            service: None,
            vrf: VrfId(word.vrf),
        };
        desired.labels.insert(MplsLabel(index), entry);
    }
    for word in card.of::<table::Prefix>().values() {
        let prefix = IpNet::new(words::address(word.ip), word.len).expect("0..=31").trunc();
        let hop = Hop { next_hop: key(word.nh), label: label(word.label_valid, word.label) };
        desired.prefixes.insert((VrfId(word.vrf), prefix), hop);
    }
    for (vrf, word) in card.of::<table::DefaultRoute>().iter() {
        let hop = Hop { next_hop: key(word.nh), label: label(word.label_valid, word.label) };
        let all = IpNet::new(Ipv4Addr::UNSPECIFIED.into(), 0).expect("0 bits");
        desired.prefixes.insert((VrfId(vrf as u16), all), hop);
    }
    let mut pods: BTreeMap<(u16, Hop), Vec<IpAddr>> = BTreeMap::new();
    for word in card.of::<table::HostRoute>().values() {
        let hop = Hop { next_hop: key(word.nh), label: label(word.label_valid, word.label) };
        pods.entry((word.vrf, hop)).or_default().push(words::address(word.ip));
    }
    let pod = |vrf: u16, hop: Hop| match (hop.next_hop, pods.get(&(vrf, hop)).map(Vec::as_slice)) {
        (NextHopKey::Encap(vif), _) => words::address(card.of::<table::Vif>().at(vif.0.into()).ip),
        (_, Some([one])) => *one,
        _ => Ipv4Addr::UNSPECIFIED.into(),
    };
    for word in card.of::<table::HostRoute>().values() {
        let hop = Hop { next_hop: key(word.nh), label: label(word.label_valid, word.label) };
        let nh = &card.of::<table::NextHop>().at(word.nh.into());
        let target = if nh.kind == NextHopKind::Composite {
            let ring = |n: u32| card.ring_word(nh.base, n).filter(|slot| slot.valid);
            let slots: Vec<_> = (0..u32::from(nh.slots)).filter_map(ring).collect();
            let nobody = slots.iter().all(|slot| slot.drain);
            let (gone, here): (Vec<_>, Vec<_>) =
                slots.into_iter().partition(|slot| nobody || slot.evict_udp);
            let member = |slot: &table::EcmpSlot| {
                let hop = Hop { next_hop: key(slot.nh), label: label(slot.label != 0, slot.label) };
                GroupMember { hop, pod: Some(pod(word.vrf, hop)), draining: slot.drain, port: None }
            };
            let mut members: Vec<_> = here.into_iter().map(member).collect();
            members.sort();
            departed.extend(gone.into_iter().map(member).filter_map(|member| {
                Some((VrfId(word.vrf), words::address(word.ip), member.pod?, member.hop))
            }));
            if nobody {
                let otherwise = ring(nh.slots.into()).filter(|_| nh.live > 0);
                let next_hop = otherwise.map_or(NextHopKey::Discard, |slot| key(slot.nh));
                RouteTarget::Hop(Hop { next_hop, label: None })
            } else {
                RouteTarget::Group(Arc::new(Group {
                    members,
                    hash_fields: nh.hash_fields,
                    affinity_seconds: 0,
                }))
            }
        } else {
            RouteTarget::Hop(hop)
        };
        let old = desired.routes.insert((VrfId(word.vrf), words::address(word.ip)), target);
        assert!(old.is_none(), "two entries for {}", Ipv4Addr::from(word.ip));
    }
    for word in card.of::<table::FipKey>().values().filter(|word| !is_mark(card, word)) {
        let map = &card.of::<table::FipMap>().at(word.map.into());
        let key = FipKey {
            vif: VifId(word.vif),
            protocol: Protocol::from_number(word.proto).expect("a protocol that is compiled"),
            address: words::address(word.ip),
            port: word.port,
        };
        let target = FipTarget { address: words::address(map.pod_ip), port: map.pod_port };
        assert!(desired.fip.insert(key, target).is_none(), "two entries for {key:?}");
    }
    Meaning { desired, departed }
}

/// Nothing is left on the card that the plan should have removed.
pub(super) fn no_leftovers(card: &Tables) -> Result<(), String> {
    let reached: BTreeSet<u32> = card
        .of::<table::HostRoute>()
        .values()
        .map(|r| u32::from(r.nh))
        .chain(
            card.of::<table::ServiceKey>()
                .values()
                .flat_map(|key| [key.nh.into(), key.local.into()]),
        )
        .chain(
            card.of::<table::NextHop>()
                .iter()
                .filter(|(_, w)| w.kind != NextHopKind::Composite)
                .map(|(i, _)| i),
        )
        .collect();
    if let Some((id, _)) = card.of::<table::NextHop>().iter().find(|(id, _)| !reached.contains(id))
    {
        return Err(format!("group {id} is left over"));
    }
    let rings: BTreeSet<u32> = card
        .of::<table::NextHop>()
        .values()
        .filter(|nh| nh.kind == NextHopKind::Composite)
        .flat_map(|nh| {
            (0..u32::from(nh.slots) + u32::from(nh.live))
                .map(|n| card.shape().ring_index(nh.base, n))
        })
        .collect();
    if let Some((index, _)) =
        card.of::<table::EcmpSlot>().iter().find(|(index, _)| !rings.contains(index))
    {
        return Err(format!("ring word {index} is left over"));
    }
    let keys = || card.of::<table::FipKey>().values().filter(|key| !is_mark(card, key));
    let members = card.of::<table::EcmpSlot>().values().filter(|word| word.valid && word.local);
    let plain = card.of::<table::PlainFip>().values().map(|key| u32::from(key.map));
    let vifs = card.of::<table::Vif>().values().filter(|vif| vif.egress);
    let maps: BTreeSet<u32> = keys()
        .map(|k| k.map.into())
        .chain(members.map(|word| words::local_map(word).into()))
        .chain(plain)
        .chain(vifs.map(|vif| vif.egress_map.into()))
        .collect();
    let marks =
        keys().flat_map(|key| marks_of(key, &card.of::<table::FipMap>().at(key.map.into())));
    let name = |key: &table::FipKey| (key.vif, key.proto, key.ip, key.port);
    let marks: BTreeSet<_> = marks.map(|mark| name(&mark)).collect();
    let left = card
        .of::<table::FipKey>()
        .values()
        .find(|key| is_mark(card, key) && !marks.contains(&name(key)));
    if let Some(mark) = left {
        return Err(format!("{mark:?} is left over"));
    }
    for route in card.of::<table::HostRoute>().values() {
        let nh = &card.of::<table::NextHop>().at(route.nh.into());
        if nh.kind == NextHopKind::Composite && !all_live(card, nh) {
            return Err(format!("not all members of {} get flows", Ipv4Addr::from(route.ip)));
        }
        let (may, are) = (set_of(card, route.sources), sent_to(card, route));
        if route.sources != 1 && may != are {
            return Err(format!("route to {}: {may:?} may answer for {are:?}", route.ip));
        }
    }
    let named: BTreeSet<u16> = card
        .of::<table::HostRoute>()
        .values()
        .map(|route| route.sources)
        .chain(card.of::<table::Prefix>().values().map(|route| route.sources))
        .chain(card.of::<table::DefaultRoute>().values().map(|route| route.sources))
        .chain([1])
        .collect();
    let left = card.of::<table::TunnelSource>().values().find(|key| !named.contains(&key.set));
    if let Some(key) = left {
        return Err(format!("{key:?} is left over"));
    }
    let left = card
        .of::<table::FipMap>()
        .iter()
        .find(|(i, m)| !maps.contains(i) && !words::is_tombstone(m));
    left.map_or(Ok(()), |(index, _)| Err(format!("mapping {index} is left over")))
}

/// A floating IP that is refused leads to nobody but those who are wanted there; a group that has no room for what is wanted
/// gives new flows to nobody else either.
pub(super) fn only_wanted(card: &Tables, desired: &Desired) -> Result<(), String> {
    let is_wanted = |vrf: VrfId, vip: IpAddr, word: &table::NextHop, label: Option<MplsLabel>| {
        let hop = Hop { next_hop: words::next_hop_key(word).unwrap_or_default(), label };
        let mut reached = desired.refused[&vip]
            .iter()
            .filter(|pod| desired.routes.get(&(vrf, **pod)) == Some(&RouteTarget::Hop(hop)));
        match hop.next_hop {
            NextHopKey::Discard | NextHopKey::Reject => true,
            NextHopKey::Encap(vif) => {
                let vif = card.of::<table::Vif>().at(vif.0.into());
                reached.any(|pod| bits(*pod) == vif.ip)
            }
            NextHopKey::TunnelUdp(_) | NextHopKey::TunnelGre(_) => reached.next().is_some(),
            NextHopKey::Receive(_) => panic!("nobody is behind the node here"),
        }
    };
    let next_hop = |id: u16| card.of::<table::NextHop>().at(id.into());
    let label = |valid: bool, label: u32| valid.then_some(MplsLabel(label));
    for route in card.of::<table::HostRoute>().values() {
        let (vrf, vip) = (VrfId(route.vrf), words::address(route.ip));
        let nh = next_hop(route.nh);
        if !desired.refused.contains_key(&vip) {
            let Some(RouteTarget::Group(group)) = desired.routes.get(&(vrf, vip)) else { continue };
            let live = u32::from(nh.slots)..u32::from(nh.slots) + u32::from(nh.live);
            for word in live.filter_map(|n| card.ring_word(nh.base, n)).filter(|w| w.valid) {
                let next_hop = words::next_hop_key(&next_hop(word.nh)).unwrap_or_default();
                let hop = Hop {
                    next_hop,
                    label: label(words::member_label(word) != 0, words::member_label(word)),
                };
                let refuses = word.generation == 0;
                if !refuses && group.members.iter().all(|member| member.hop != hop) {
                    return Err(format!("{vip} of VRF {vrf} gives new flows to {hop:?}"));
                }
            }
            continue;
        }
        let mut led_to = Vec::new();
        if nh.kind == NextHopKind::Composite {
            let words = (0..u32::from(nh.slots) + u32::from(nh.live))
                .filter_map(|n| card.ring_word(nh.base, n))
                .filter(|word| word.valid);
            led_to.extend(words.map(|word| {
                (word.nh, label(words::member_label(word) != 0, words::member_label(word)))
            }));
        } else {
            led_to.push((route.nh, label(route.label_valid, route.label)));
        }
        for (id, label) in led_to {
            if !is_wanted(vrf, vip, &next_hop(id), label) {
                return Err(format!("{vip} of VRF {vrf} leads to next hop {id}, label {label:?}"));
            }
        }
    }
    for key in card.of::<table::ServiceKey>().values() {
        let Some(name) = words::service_name(key) else { continue };
        let is_refused = desired.refused.contains_key(&name.address);
        let groups = desired.listeners.get(&name).map(|entry| match &entry.target {
            RouteTarget::Group(group) => [Some(group), entry.local.as_ref()],
            _ => [None, entry.local.as_ref()],
        });
        for (id, group) in [key.nh, key.local].into_iter().zip(groups.unwrap_or_default()) {
            let nh = next_hop(id);
            if nh.kind != NextHopKind::Composite {
                continue;
            }
            let first = if is_refused { 0 } else { u32::from(nh.slots) };
            let words = first..u32::from(nh.slots) + u32::from(nh.live);
            for word in words.filter_map(|n| card.ring_word(nh.base, n)).filter(|w| w.valid) {
                let to = next_hop(word.nh);
                let label = label(words::member_label(word) != 0, words::member_label(word));
                let hop = Hop { next_hop: words::next_hop_key(&to).unwrap_or_default(), label };
                let refuses = word.generation == 0;
                let right = if is_refused {
                    desired.vrfs.keys().any(|vrf| is_wanted(*vrf, name.address, &to, label))
                } else {
                    let has = |group: &Arc<Group>| group.members.iter().any(|m| m.hop == hop);
                    refuses || group.is_none_or(has)
                };
                if !right {
                    return Err(format!("{name:?} gives flows to {hop:?}"));
                }
            }
        }
    }
    for key in card.of::<table::FipKey>().values().filter(|key| !is_mark(card, key)) {
        let vip = words::address(key.ip);
        let pod = words::address(card.of::<table::FipMap>().at(key.map.into()).pod_ip);
        if desired.refused.get(&vip).is_some_and(|pods| !pods.contains(&pod)) {
            return Err(format!("{vip}:{} is translated to {pod}", key.port));
        }
    }
    Ok(())
}
