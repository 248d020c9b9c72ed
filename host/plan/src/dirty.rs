//! What a plan has to look at: keys of the desired state and of the card.
//!
//! A full plan looks at every key of both. Otherwise it is what differs between the desired state that was planned last and this
//! one, what was refused then, and the closure of both: what depends on them by way of what the card holds. So a plan is the same
//! whether it looked at all keys or at those that are dirty (`tests::machine` checks just this).
//!
//! Example: the route to 10.47.255.236 goes. Dirty is that route, and by closure every group of its VRF with a member that is
//! reached in the same way, as one that departed stays there only while the route does.

use std::collections::BTreeSet;
use std::net::IpAddr;

use imbl::ordmap::DiffItem;
use penstock_abi::table::{FlowShare, Ilm, Vif, Vrf};
use penstock_compile::{Desired, FipKey, NextHopKey, PlainKey, RouteTarget, ServiceKey};
use penstock_model::{MplsLabel, OrdMap, Protocol, VifId, VrfId};

use crate::planner::Planner;
use crate::prefixes::PrefixKey;
use crate::refusal::What;
use crate::routes::{Owner, RouteKey};
use crate::words;

/// Keys to look at.
#[derive(Clone, Debug, Default)]
pub(crate) struct Dirty {
    pub(crate) next_hops: BTreeSet<NextHopKey>,
    pub(crate) vifs: BTreeSet<VifId>,
    pub(crate) labels: BTreeSet<MplsLabel>,
    pub(crate) routes: BTreeSet<RouteKey>,
    pub(crate) prefixes: BTreeSet<PrefixKey>,
    pub(crate) fip: BTreeSet<FipKey>,
    pub(crate) plain: BTreeSet<PlainKey>,
    pub(crate) listeners: BTreeSet<ServiceKey>,
    pub(crate) vrfs: BTreeSet<VrfId>,
    /// Tunnels that are known.
    pub(crate) known: BTreeSet<IpAddr>,
    /// Shares of the flow table.
    pub(crate) shares: BTreeSet<u32>,
}

/// Keys at which two maps differ.
fn differing<K: Ord + Clone, V: PartialEq>(
    old: &OrdMap<K, V>,
    new: &OrdMap<K, V>,
) -> impl Iterator<Item = K> {
    old.diff(new).map(|item| match item {
        DiffItem::Add(key, _) | DiffItem::Remove(key, _) => key.clone(),
        DiffItem::Update { new: (key, _), .. } => key.clone(),
    })
}

impl Dirty {
    /// Every key of a desired state and of the card.
    pub(crate) fn everything(planner: &Planner, desired: &Desired) -> Self {
        let tables = planner.card.tables();
        // Numbers of the table fit 8 bits.
        let vifs = tables.of::<Vif>().indices().map(|index| VifId(index as u8));
        let labels = tables.of::<Ilm>().indices().map(MplsLabel);
        Self {
            next_hops: desired.next_hops.keys().copied().chain(planner.next_hops.keys()).collect(),
            vifs: desired.vifs.keys().copied().chain(vifs).collect(),
            labels: desired.labels.keys().copied().chain(labels).collect(),
            routes: desired.routes.keys().copied().chain(planner.routes.keys()).collect(),
            prefixes: desired.prefixes.keys().copied().chain(planner.prefixes.keys()).collect(),
            fip: desired.fip.keys().copied().chain(planner.mappings.keys()).collect(),
            plain: desired.plain.keys().copied().chain(planner.plain.keys()).collect(),
            listeners: desired
                .listeners
                .keys()
                .copied()
                .chain(planner.routes.listeners())
                .collect(),
            vrfs: desired
                .vrfs
                .keys()
                .copied()
                // Numbers of the table fit 12 bits.
                .chain(tables.of::<Vrf>().indices().map(|index| VrfId(index as u16)))
                .collect(),
            known: desired
                .known
                .keys()
                .copied()
                .chain(planner.sets.known().iter().map(|ip| words::address(*ip)))
                .collect(),
            shares: desired
                .shares
                .keys()
                .copied()
                .chain(tables.of::<FlowShare>().indices())
                .collect(),
        }
    }

    /// What differs between two desired states, with what depends on it.
    pub(crate) fn between(planner: &Planner, old: &Desired, new: &Desired) -> Self {
        let mut dirty = Self {
            next_hops: differing(&old.next_hops, &new.next_hops).collect(),
            vifs: differing(&old.vifs, &new.vifs).collect(),
            labels: differing(&old.labels, &new.labels).collect(),
            routes: differing(&old.routes, &new.routes).collect(),
            prefixes: differing(&old.prefixes, &new.prefixes).collect(),
            fip: differing(&old.fip, &new.fip).collect(),
            plain: differing(&old.plain, &new.plain).collect(),
            listeners: differing(&old.listeners, &new.listeners).collect(),
            vrfs: differing(&old.vrfs, &new.vrfs).collect(),
            known: differing(&old.known, &new.known).collect(),
            shares: differing(&old.shares, &new.shares).collect(),
        };
        for (vrf, prefix) in differing(&old.sources, &new.sources) {
            if prefix.prefix_len() == prefix.max_prefix_len() {
                dirty.routes.insert((vrf, prefix.addr()));
            } else {
                dirty.prefixes.insert((vrf, prefix));
            }
        }
        // Which listeners say who may answer depends on the service network.
        let nets: BTreeSet<VrfId> = dirty.vrfs.clone();
        if !nets.is_empty() {
            let floating = |address: &IpAddr| {
                new.floating.contains_key(address) || old.floating.contains_key(address)
            };
            let routes = planner.routes.keys().chain(new.routes.keys().copied());
            let routes = routes.filter(|(vrf, to)| nets.contains(vrf) && floating(to));
            dirty.routes.extend(routes);
        }
        let changed = differing(&old.services, &new.services);
        for address in changed.chain(differing(&old.floating, &new.floating)) {
            dirty.at(planner, new, address);
            // There may be no route on this node.
            dirty.fip.extend(planner.mappings.staying_at(address));
        }
        for address in differing(&old.refused, &new.refused) {
            dirty.at(planner, new, address);
            dirty.fip.extend(planner.mappings.at(address));
        }
        dirty.add_led(planner, old, new);
        dirty
    }

    /// Adds what leads to a floating IP.
    fn at(&mut self, planner: &Planner, desired: &Desired, address: IpAddr) {
        self.routes.extend(planner.routes.at(address));
        self.listeners.extend(planner.routes.listeners_at(address));
        let wanted = ServiceKey { address, net: 0, protocol: Protocol::Tcp, port: 0 };
        let wanted = desired.listeners.range(wanted..).map(|(key, _)| *key);
        self.listeners.extend(wanted.take_while(|key| key.address == address));
    }

    /// Adds somebody who has a group, or a route to one next hop.
    fn add_owner(&mut self, owner: Owner) {
        match owner {
            Owner::Route(vrf, address) => drop(self.routes.insert((vrf, address))),
            Owner::Listener(key) | Owner::Local(key) => drop(self.listeners.insert(key)),
        }
    }

    /// Adds groups with members that are reached where a changed route led or leads, and routes that are refused and lead there.
    /// Who departs, and who is wanted there, is told by what is desired for the pods, which may have no place on the card.
    fn add_led(&mut self, planner: &Planner, old: &Desired, new: &Desired) {
        let mut led = BTreeSet::new();
        for &key in &self.routes {
            for desired in [old, new] {
                let Some(RouteTarget::Hop(hop)) = desired.routes.get(&key) else { continue };
                let Some(id) = planner.next_hops.id(hop.next_hop) else { continue };
                let label = hop.label.map_or(0, |label| label.0);
                led.extend(planner.routes.groups_by(id, label, key.0));
                if !new.refused.is_empty() {
                    let routes = planner.routes.routes_by(id, label, key.0);
                    let refused = routes.filter(|(_, to)| new.refused.contains_key(to));
                    led.extend(refused.map(Owner::from));
                }
            }
        }
        led.into_iter().for_each(|owner| self.add_owner(owner));
    }

    /// Adds a key.
    pub(crate) fn add(&mut self, what: What) {
        match what {
            What::NextHop(key) => drop(self.next_hops.insert(key)),
            What::Vif(vif) => drop(self.vifs.insert(vif)),
            What::Label(label) => drop(self.labels.insert(label)),
            What::Route(vrf, address) => drop(self.routes.insert((vrf, address))),
            What::Prefix(vrf, prefix) => drop(self.prefixes.insert((vrf, prefix))),
            What::Mapping(key) => drop(self.fip.insert(key)),
            What::Plain(key) => drop(self.plain.insert(key)),
            What::Listener(key) | What::Local(key) => drop(self.listeners.insert(key)),
            What::Vrf(vrf) => drop(self.vrfs.insert(vrf)),
            What::Known(address) => drop(self.known.insert(address)),
            What::Sources(vrf, prefix) if prefix.prefix_len() == prefix.max_prefix_len() => {
                self.routes.insert((vrf, prefix.addr()));
            }
            What::Sources(vrf, prefix) => drop(self.prefixes.insert((vrf, prefix))),
        }
    }

    /// Adds keys.
    pub(crate) fn extend(&mut self, more: Self) {
        self.next_hops.extend(more.next_hops);
        self.vifs.extend(more.vifs);
        self.labels.extend(more.labels);
        self.routes.extend(more.routes);
        self.prefixes.extend(more.prefixes);
        self.fip.extend(more.fip);
        self.plain.extend(more.plain);
        self.listeners.extend(more.listeners);
        self.vrfs.extend(more.vrfs);
        self.known.extend(more.known);
        self.shares.extend(more.shares);
    }

    /// Adds what depends on the keys that are there.
    pub(crate) fn close(&mut self, planner: &Planner, desired: &Desired) {
        // Groups whose members are reached as by a route, which may not be so any more.
        let mut more = Self::default();
        for &(vrf, address) in &self.routes {
            if let Some((nh, label)) = planner.routes.way(&planner.card, (vrf, address)) {
                let groups = planner.routes.groups_by(nh, label, vrf);
                groups.for_each(|owner| more.add_owner(owner));
            }
            // A mapping stays while nobody wants its pod, and its port is served.
            more.fip.extend(planner.mappings.staying_at(address));
        }
        for &vif in &self.vifs {
            more.fip.extend(planner.mappings.of_vif(vif));
            let here = |key: &PlainKey| key.vif == vif;
            more.plain.extend(planner.plain.keys().filter(here));
            more.plain.extend(desired.plain.keys().copied().filter(here));
        }
        // Next hops that go, which the card cannot have any more, or which lead to another pod: everything that names them.
        let stands = |key: &NextHopKey| {
            desired.next_hops.get(key).is_some_and(|spec| words::next_hop(*key, spec).is_ok())
        };
        let gone = self.next_hops.iter().filter(|key| !stands(key));
        let moved = self.vifs.iter().map(|vif| NextHopKey::Encap(*vif));
        let ids: BTreeSet<u16> =
            gone.copied().chain(moved).filter_map(|key| planner.next_hops.id(key)).collect();
        for &id in &ids {
            planner.routes.users(id).for_each(|owner| more.add_owner(owner));
        }
        // Where nobody takes new flows, they lead to what is desired in place of the group.
        for &owner in &planner.routes.idle {
            let target = match owner {
                Owner::Route(vrf, address) => desired.routes.get(&(vrf, address)),
                Owner::Listener(key) => desired.listeners.get(&key).map(|entry| &entry.target),
                Owner::Local(_) => None,
            };
            let Some(RouteTarget::Hop(hop)) = target else { continue };
            if planner.next_hops.id(hop.next_hop).is_some_and(|id| ids.contains(&id)) {
                more.add_owner(owner);
            }
        }
        if !ids.is_empty() {
            more.add_users(planner, &ids);
        }
        self.extend(more);
        // What leads to a floating IP is looked at together.
        let mut more = Self::default();
        let heard: BTreeSet<IpAddr> = self.listeners.iter().map(|key| key.address).collect();
        for &address in &heard {
            more.at(planner, desired, address);
            let vrfs = desired.vrfs.keys().map(|vrf| (*vrf, address));
            more.routes.extend(vrfs.filter(|key| desired.routes.contains_key(key)));
            more.fip.extend(planner.mappings.staying_at(address));
        }
        let routed: BTreeSet<IpAddr> = self.routes.iter().map(|key| key.1).collect();
        for &address in routed.iter().filter(|address| desired.floating.contains_key(*address)) {
            more.at(planner, desired, address);
        }
        // The key of their flows is that of the route.
        let labels =
            desired.labels.iter().filter_map(|(label, entry)| Some((label, entry.service?)));
        more.labels.extend(labels.filter(|(_, at)| routed.contains(at)).map(|(label, _)| *label));
        self.extend(more);
    }

    /// Adds labels, vifs and prefixes that name one of these next hops.
    fn add_users(&mut self, planner: &Planner, ids: &BTreeSet<u16>) {
        let tables = planner.card.tables();
        let labels = tables
            .of::<Ilm>()
            .iter()
            .filter(|(_, label)| ids.contains(&label.nh) || ids.contains(&label.key_nh));
        self.labels.extend(labels.map(|(index, _)| MplsLabel(index)));
        let vifs = tables.of::<Vif>().iter().filter(|(_, vif)| ids.contains(&vif.nh));
        self.vifs.extend(vifs.map(|(index, _)| VifId(index as u8)));
        self.prefixes.extend(planner.prefixes.users(ids));
    }
}
