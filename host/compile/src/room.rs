//! Whether the tables have room for all floating IPs, and who has it if they do not: the oldest load balancers, after what
//! the node itself needs.
//!
//! What all of them need together is kept as sums. As long as that fits, nobody has to be counted; if it does not, all are,
//! from the oldest on, and who does not fit in what the older ones left is refused. So who is refused depends on what is asked
//! for alone, not on what was there before.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use penstock_abi::table::TableId;
use penstock_model::Reason;
use penstock_tables::Shape;

use crate::provider::Served;
use crate::{FipKey, FipTarget, Group, GroupMember, RouteTarget, marks};

/// Mappings that are left free, so that a port can be given another target: the new mapping is there before the old one goes.
const SPARE_MAPPINGS: usize = 16;

/// No more of a table is left free than one of as many entries.
const SPARE_PART: usize = 8;

/// What is left free of a table, so that what is served can change: `wanted`, but no more than a part of it.
fn spare(wanted: usize, capacity: usize) -> usize {
    wanted.min(capacity / SPARE_PART)
}

/// Entries that are needed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Need {
    next_hops: usize,
    host_routes: usize,
    /// Each member has a slot, and a word of the list of those that take new flows if it does.
    ecmp_words: usize,
    listeners: usize,
    /// Keys by which packets from other nodes find their mappings.
    keys: usize,
    mappings: usize,
}

impl Need {
    /// What the node itself needs.
    pub(crate) fn of_node(next_hops: usize, host_routes: usize, mappings: usize) -> Self {
        Self { next_hops, host_routes, mappings, ..Self::default() }
    }

    /// What a floating IP needs, but for marks.
    pub(crate) fn of(served: &Served) -> Self {
        let mut need = Self {
            host_routes: served.routes.len(),
            listeners: served.listeners.len(),
            keys: served.translations.len(),
            ..Self::default()
        };
        // A mapping is there once for all who translate alike.
        let keys = served.translations.iter().map(|one| (one.port, one.target));
        let mut mappings: BTreeSet<(u16, FipTarget)> = keys.collect();
        let mut rings: Vec<&Group> = Vec::new();
        fn own(target: &RouteTarget) -> Option<&Group> {
            match target {
                RouteTarget::Group(group) => Some(group),
                RouteTarget::Hop(_) | RouteTarget::Listener(_) => None,
            }
        }
        let listeners = served.listeners.iter().flat_map(|(key, entry)| {
            let groups = own(&entry.target).into_iter().chain(entry.local.as_deref());
            groups.map(|group| (Some(key.port), group))
        });
        let routes = served.routes.iter().filter_map(|(_, target)| Some((None, own(target)?)));
        for (port, group) in listeners.chain(routes) {
            let target =
                |member: &GroupMember| Some(FipTarget { address: member.pod?, port: member.port? });
            let mapped = group.members.iter().filter_map(target);
            mappings.extend(
                port.into_iter().flat_map(|port| mapped.clone().map(move |target| (port, target))),
            );
            need.next_hops += 1;
            // What its VRFs have in common is there once.
            let large = group.members.len() > Group::SMALL;
            if large && rings.iter().any(|ring| ring.members == group.members) {
                continue;
            }
            rings.push(group);
            let active = group.members.iter().filter(|member| !member.draining).count();
            need.ecmp_words += group.members.len() + active;
        }
        need.mappings = mappings.len();
        need
    }

    fn each(self, other: Self, with: impl Fn(usize, usize) -> usize) -> Self {
        Self {
            next_hops: with(self.next_hops, other.next_hops),
            host_routes: with(self.host_routes, other.host_routes),
            ecmp_words: with(self.ecmp_words, other.ecmp_words),
            listeners: with(self.listeners, other.listeners),
            keys: with(self.keys, other.keys),
            mappings: with(self.mappings, other.mappings),
        }
    }

    fn plus(self, other: Self) -> Self {
        self.each(other, |one, another| one + another)
    }

    /// The first table that cannot hold it, with as many keys for marks, and leave some room for changes.
    fn shortage(self, marks: usize, shape: &Shape) -> Option<TableId> {
        let capacity = |table| shape.capacity(table) as usize;
        // A group that changes has its old words and its new ones for a moment.
        let largest_group = 2 * shape.ecmp_group_max as usize;
        let words = self.ecmp_words + spare(largest_group, capacity(TableId::Ecmp));
        let maps = self.mappings + spare(SPARE_MAPPINGS, capacity(TableId::FipMap));
        // Who needs none is not refused for want of them.
        let needed = |of: usize, with_spare: usize| if of == 0 { 0 } else { with_spare };
        let needs = [
            (TableId::NextHop, self.next_hops, capacity(TableId::NextHop)),
            (TableId::Ecmp, needed(self.ecmp_words, words), capacity(TableId::Ecmp)),
            (TableId::HostRoute, self.host_routes, capacity(TableId::HostRoute)),
            (TableId::ServiceKey, self.listeners, capacity(TableId::ServiceKey)),
            (TableId::FipKey, self.keys + marks, capacity(TableId::FipKey)),
            // The first is none.
            (TableId::FipMap, needed(self.mappings, maps + 1), capacity(TableId::FipMap)),
        ];
        needs.into_iter().find(|(_, need, capacity)| need > capacity).map(|(table, ..)| table)
    }
}

/// What all floating IPs need together.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    sum: Need,
    /// For how many mappings each mark stands.
    marks: BTreeMap<FipKey, u32>,
}

impl Ledger {
    pub(crate) fn enter(&mut self, address: IpAddr, need: Need, served: &Served) {
        self.sum = self.sum.plus(need);
        for mark in needed_marks(address, served) {
            *self.marks.entry(mark).or_default() += 1;
        }
    }

    pub(crate) fn leave(&mut self, address: IpAddr, need: Need, served: &Served) {
        self.sum = self.sum.each(need, |sum, gone| sum - gone);
        for mark in needed_marks(address, served) {
            if let Some(count) = self.marks.get_mut(&mark) {
                *count -= 1;
                if *count == 0 {
                    self.marks.remove(&mark);
                }
            }
        }
    }

    /// Whether there is room for all, besides what the node needs.
    pub(crate) fn fits(&self, node: Need, shape: &Shape) -> bool {
        node.plus(self.sum).shortage(self.marks.len(), shape).is_none()
    }
}

/// Those for which there is no room, with the table that is full; `wanted` are all, by seniority.
pub(crate) fn refused<'a>(
    wanted: impl Iterator<Item = (IpAddr, Need, &'a Served)>,
    node: Need,
    shape: &Shape,
) -> BTreeMap<IpAddr, TableId> {
    let mut refused = BTreeMap::new();
    let mut taken = node;
    let mut marked: BTreeSet<FipKey> = BTreeSet::new();
    for (address, need, served) in wanted {
        let with = taken.plus(need);
        let new: BTreeSet<FipKey> =
            needed_marks(address, served).filter(|mark| !marked.contains(mark)).collect();
        match with.shortage(marked.len() + new.len(), shape) {
            Some(table) => {
                refused.insert(address, table);
            }
            None => {
                taken = with;
                marked.extend(new);
            }
        }
    }
    refused
}

/// The marks that a floating IP needs.
fn needed_marks(address: IpAddr, served: &Served) -> impl Iterator<Item = FipKey> {
    served.translations.iter().flat_map(move |translation| {
        let (key, target): (FipKey, FipTarget) = translation.entry(address);
        marks::of(&key, &target)
    })
}

/// That a table is full.
pub(crate) fn full(table: TableId, shape: &Shape) -> Reason {
    Reason::TableFull { table: table.desc().name.to_owned(), capacity: shape.capacity(table) }
}
