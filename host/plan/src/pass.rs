//! One pass over the keys that are dirty: the algorithm of a plan.
//!
//! 1. What no look-up sees is cleared. Next hops that are not wanted any more are given up, those that are get their words.
//! 2. Whatever is not wanted is removed: routes, labels, prefixes, mappings. So if room runs out later, there is something to
//!    end a round with.
//! 3. New next hops, vifs, mappings, routes to one next hop, listeners and groups, routes to floating IPs, labels, prefixes. Who
//!    may answer is said before, and who may not any more after (`sources`).
//! 4. The round ends: marks that nobody needs, groups, vifs and next hops that nobody names are cleared.
//!
//! **Shortage.** What finds no room ends the round so far, which frees what that gave up, and tries again; then members that
//! departed, and hold what is missing for nobody else, go; then this one key is refused. What the card has for it stays as far as
//! it is true (`keep`).

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use imbl::OrdSet;
use penstock_abi::table::{
    EcmpSlot, FipKey, HostRoute, PlainFip, Prefix, ServiceKey, TableId, TunnelSource, Vif,
};
use penstock_compile::{Desired, NextHopKey};
use penstock_model::{Reason, VifId};
use penstock_tables::Tables;

use crate::card::{Card, Names, Step};
use crate::dirty::Dirty;
use crate::group::OldSlot;
use crate::planner::{Planner, Strays};
use crate::refusal::What;
use crate::routes::{Owner, Way};
use crate::{Planned, Refusal, words};

mod affinities;
mod departed;
mod groups;
mod in_place;
mod keep;
mod leaves;
mod listeners;
mod mappings;
mod prefixes;
mod routes;
mod sources;

/// A pass under way.
pub(crate) struct Pass<'a> {
    planner: &'a mut Planner,
    desired: &'a Desired,
    /// What the card held before this plan: who was in which slot is told by that.
    before: Before,
    /// Who departed makes room.
    departed_go: bool,
    /// Groups that were brought up to date before it was their turn.
    done: BTreeSet<Owner>,
    /// Slots of the groups that this plan has written.
    written: BTreeMap<Owner, Vec<OldSlot>>,
    /// Floating IPs of which somebody may have been taken away for want of room elsewhere.
    touched: BTreeSet<IpAddr>,
    refused: Vec<Refusal>,
    /// What the next plan has to look at again.
    retry: Dirty,
}

/// Clears entries that no look-up sees.
fn clear_all<E: Names>(card: &mut Card, indices: Vec<u32>) {
    for index in indices {
        card.clear::<E>(Step::Make, index);
    }
}

/// A card before a plan.
struct Before {
    tables: Tables,
    /// Routes to one next hop, by the way that they go.
    ways: OrdSet<Way>,
}

impl<'a> Pass<'a> {
    pub(crate) fn new(planner: &'a mut Planner, desired: &'a Desired) -> Self {
        let before = Before { tables: planner.card.tables().clone(), ways: planner.routes.ways() };
        Self {
            planner,
            desired,
            before,
            departed_go: true,
            done: BTreeSet::new(),
            written: BTreeMap::new(),
            touched: BTreeSet::new(),
            refused: Vec::new(),
            retry: Dirty::default(),
        }
    }

    /// The plan, and what the next one has to look at again.
    pub(crate) fn run(mut self, dirty: &Dirty) -> (Planned, Dirty) {
        self.clear_strays();
        self.known_next_hops(dirty);
        self.unwanted(dirty);
        self.new_next_hops(dirty);
        self.vifs(dirty);
        self.shares(dirty);
        self.known_sources(dirty);
        self.mappings(dirty);
        self.plain_fips(dirty);
        let left = self.clienteles(dirty);
        self.all_routes(dirty);
        self.affinities(dirty, left);
        self.labels(dirty);
        self.prefixes(dirty);
        self.narrow_sources(dirty);
        self.end_round();
        self.refused.sort_by_key(|refusal| refusal.what);
        let planned = Planned { plan: self.planner.card.take_plan(), refused: self.refused };
        (planned, self.retry)
    }

    /// Notes that a key is not served as desired.
    fn refuse(&mut self, what: What, reason: Reason) {
        self.retry.add(what);
        self.refused.push(Refusal { what, reason });
    }

    /// Whether a floating IP is refused by the compiler: nothing is added to it, and it leads to nobody but those who are wanted.
    fn is_refused(&self, address: IpAddr) -> bool {
        self.desired.refused.contains_key(&address)
    }

    /// The id of a next hop that may be named.
    fn usable(&self, key: NextHopKey) -> Result<u16, Reason> {
        let planner = &self.planner;
        planner
            .next_hops
            .usable(&planner.card, key)
            .ok_or_else(|| words::text(format!("its next hop {key:?} is not there")))
    }

    /// Clears what the card was found with.
    fn clear_strays(&mut self) {
        let Planner { card, next_hops, maps, sets, strays, .. } = &mut *self.planner;
        let Strays { routes, maps: stray_maps, keys, plain, sources, prefixes } =
            std::mem::take(strays);
        let read = [
            &routes.routes,
            &routes.listeners,
            &routes.ring_words,
            &keys,
            &plain,
            &sources,
            &prefixes,
        ];
        if read.iter().any(|strays| !strays.is_empty()) {
            card.fence_first();
        }
        clear_all::<HostRoute>(card, routes.routes);
        clear_all::<ServiceKey>(card, routes.listeners);
        clear_all::<FipKey>(card, keys);
        clear_all::<PlainFip>(card, plain);
        clear_all::<TunnelSource>(card, sources);
        clear_all::<EcmpSlot>(card, routes.ring_words);
        for id in routes.groups {
            next_hops.give_up(id);
        }
        for index in stray_maps {
            let map = card.at(index);
            maps.entomb(card, index, &map);
        }
        for set in sets.nameless(card) {
            sets.clear(card, set);
        }
        clear_all::<Prefix>(card, prefixes);
    }

    /// Ends a round: what it made may be relied on, what it gave up is free.
    fn end_round(&mut self) {
        let Planner { card, next_hops, routes, maps, mappings, plain, sets, prefixes, .. } =
            &mut *self.planner;
        // Groups first, as their members are named by them.
        for id in next_hops.nameless(card) {
            if let Some(composite) = routes.composite_at(card, id) {
                routes.clear_ring(card, &composite);
                next_hops.clear(card, id);
            }
        }
        next_hops.clear_vifs(card);
        for id in next_hops.nameless(card) {
            next_hops.clear(card, id);
        }
        maps.sweep(card);
        mappings.sweep(card);
        for set in card.loose_sets() {
            sets.clear(card, set);
        }
        card.end_round();
        next_hops.end_round();
        routes.end_round();
        maps.end_round();
        mappings.end_round();
        plain.end_round();
        sets.end_round();
        prefixes.end_round();
    }

    /// Tries to get something from a table; if it is full, makes room in it and tries again.
    fn with_room<T>(
        &mut self,
        table: TableId,
        mut attempt: impl FnMut(&mut Planner) -> Option<T>,
    ) -> Option<T> {
        if let Some(got) = attempt(self.planner) {
            return Some(got);
        }
        self.end_round();
        if let Some(got) = attempt(self.planner) {
            return Some(got);
        }
        if !self.departed_go || !self.let_departed_go(table) {
            return None;
        }
        self.end_round();
        attempt(self.planner)
    }

    /// Why there is no room in a table for a key.
    fn no_room(&self, table: TableId, key: impl FnOnce() -> String) -> Reason {
        let card = &self.planner.card;
        let usage = card.tables().usage(table);
        let name = table.desc().name.to_owned();
        if usage.used >= usage.capacity || matches!(table, TableId::Ecmp | TableId::FipMap) {
            Reason::TableFull { table: name, capacity: usage.capacity }
        } else {
            Reason::NoPlace { table: name, key: key() }
        }
    }

    /// Whether a vif goes on belonging to the pod that it belonged to.
    fn same_pod(&self, vif: VifId) -> bool {
        let new = self.desired.vifs.get(&vif);
        let old = self.before.tables.get::<Vif>(vif.0.into()).filter(|old| old.valid);
        new.zip(old).is_some_and(|(new, old)| {
            let address = (old.ip != 0).then(|| words::address(old.ip));
            (new.address, new.mac.to_bits(), new.vrf.0) == (address, old.mac, old.vrf)
        })
    }
}
