//! Who has the room in the tables of routes.

use std::collections::{BTreeMap, BTreeSet};

use penstock_abi::table::TableId;
use penstock_model::{Finding, IpNet, ObjectId, Path};
use penstock_tables::prefix::prefix_cost;

use super::{Context, Key, Places, is_host, next_hop, route_id};
use crate::book::Teller;
use crate::maps::put;
use crate::{Hop, NextHopKey, RouteTarget, room};

impl Places {
    /// Writes the ways that were chosen into the tables. If a table has no room for all, local pods have it, then the routes of
    /// the announcer whose name comes first. `before` says for each which way it was.
    pub(super) fn share_room(
        &mut self,
        cx: &mut Context<'_>,
        mut before: BTreeMap<Key, Option<Hop>>,
    ) {
        let mut refused = BTreeSet::new();
        let host_room = cx.shape.capacity(TableId::HostRoute) as usize;
        if self.host_count > host_room {
            let hosts = self.at.iter().flat_map(|(&address, place)| {
                let there = place.ways.iter().filter_map(|(vrf, hop)| Some((*vrf, (*hop)?)));
                there.map(move |(vrf, hop)| ((vrf, IpNet::from(address)), hop))
            });
            refused.extend(self.beyond(host_room, hosts));
        }
        let prefix_room = cx.shape.capacity(TableId::Prefix) as usize;
        if self.prefix_parts > prefix_room {
            let prefixes = self.prefixes.iter().map(|(key, hop)| (*key, *hop));
            refused.extend(self.beyond(prefix_room, prefixes));
        }
        for &key in refused.symmetric_difference(&self.refused) {
            before.entry(key).or_insert_with(|| self.hop_to(key));
        }
        self.refused = refused;
        for (key, before) in before {
            let (vrf, prefix) = key;
            let hop = self.hop_to(key);
            let full = self.refused.contains(&key);
            let placed = hop.filter(|_| !full);
            let table = if is_host(prefix) {
                // Where no pod was and none is, a floating IP may be.
                if before.or(hop).is_some() {
                    let target = placed.map(RouteTarget::Hop);
                    put(&mut cx.out.desired.routes, (vrf, prefix.addr()), target);
                }
                TableId::HostRoute
            } else {
                put(&mut cx.out.desired.prefixes, key, placed);
                TableId::Prefix
            };
            let holder = hop.filter(|_| full).and_then(|hop| self.holder(key, hop));
            let finding = Finding::refused(room::full(table, cx.shape));
            let findings = holder.map(|holder| (holder, finding)).into_iter().collect();
            cx.book.say(&Teller::RouteRoom(vrf, prefix), findings);
        }
    }

    /// Those of `wanted` for which there is no room. One that needs less takes what is left.
    fn beyond(&self, room: usize, wanted: impl Iterator<Item = (Key, Hop)>) -> Vec<Key> {
        let announcer = |(key, hop): &(Key, Hop)| self.path(*key, *hop).map(|path| &path.announcer);
        let mut ranked: Vec<_> =
            wanted.map(|wanted| (announcer(&wanted), wanted.0.1, wanted.0.0)).collect();
        ranked.sort();
        let mut left = room;
        let keys = ranked.into_iter().map(|(_, prefix, vrf)| (vrf, prefix));
        keys.filter(|key| {
            let has = left >= parts(*key);
            left -= if has { parts(*key) } else { 0 };
            !has
        })
        .collect()
    }

    /// The path by which a hop was chosen; none if it is a local pod's.
    fn path(&self, key: Key, hop: Hop) -> Option<&Path> {
        let is_it = |path: &&Path| {
            let tunnel = (path.next_hop, path.encapsulation);
            hop == Hop { next_hop: next_hop(tunnel), label: Some(path.label) }
        };
        self.rib.get(&key)?.iter().find(is_it)
    }

    /// The object that a route comes from.
    fn holder(&self, key: Key, hop: Hop) -> Option<ObjectId> {
        let vif = |id| self.vifs.get(&id).map(|vif| ObjectId::Vif(vif.name.clone()));
        match hop.next_hop {
            NextHopKey::Encap(id) => vif(id),
            _ => self.path(key, hop).map(|path| route_id(path, key.1)),
        }
    }
}

/// Entries that a key needs in its table: one, or as many as its prefix has parts (a default route has a table of its own).
pub(super) fn parts((_, prefix): Key) -> usize {
    if is_host(prefix) { 1 } else { prefix_cost(prefix.prefix_len()) as usize }
}
