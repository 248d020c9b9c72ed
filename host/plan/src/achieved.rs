//! What the card's configuration tables hold, by index.

use std::collections::BTreeMap;

use penstock_abi::limits;
use penstock_abi::table::{
    EcmpSlot, FipKey, FipMap, HostRoute, Ilm, NextHop, NextHopKind, Prefix, TableEntry, TableId,
    Vif, Words,
};

use crate::Op;

/// The tables that the host owns, in the order in which they should be read.
pub const CONFIG_TABLES: &[TableId] = &[
    TableId::Vif,
    TableId::Ilm,
    TableId::NextHop,
    TableId::Ecmp,
    TableId::HostRoute,
    TableId::Prefix,
    TableId::FipKey,
    TableId::FipMap,
];

/// What the configuration tables hold. An entry of all zeros is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Achieved {
    pub(crate) vifs: BTreeMap<u32, Vif>,
    pub(crate) ilm: BTreeMap<u32, Ilm>,
    pub(crate) next_hops: BTreeMap<u32, NextHop>,
    pub(crate) ecmp: BTreeMap<u32, EcmpSlot>,
    pub(crate) host_routes: BTreeMap<u32, HostRoute>,
    pub(crate) prefixes: BTreeMap<u32, Prefix>,
    pub(crate) fip_keys: BTreeMap<u32, FipKey>,
    pub(crate) fip_maps: BTreeMap<u32, FipMap>,
}

impl Achieved {
    /// An empty card, as after `clear`.
    #[must_use]
    pub fn empty() -> Self {
        Self::default()
    }

    /// Reads a card: `dump` gives all valid entries of a table, `read` one word whether valid or not. Besides the dumps,
    /// `read` is called for each hole of an ECMP group, which a dump does not show and whose generation must not be lost.
    ///
    /// # Errors
    /// Those of `dump` and `read`.
    pub fn read<E>(
        mut dump: impl FnMut(TableId) -> Result<Vec<(u32, Words)>, E>,
        mut read: impl FnMut(TableId, u32) -> Result<Words, E>,
    ) -> Result<Self, E> {
        let mut achieved = Self::default();
        for &table in CONFIG_TABLES {
            for (index, words) in dump(table)? {
                achieved.set(table, index, &words);
            }
        }
        for index in achieved.holes() {
            let words = read(TableId::Ecmp, index)?;
            achieved.set(TableId::Ecmp, index, &words);
        }
        Ok(achieved)
    }

    /// Takes one word as read from the card. Tables that are not configuration are ignored.
    pub fn set(&mut self, table: TableId, index: u32, words: &Words) {
        fn put<E: TableEntry>(map: &mut BTreeMap<u32, E>, index: u32, words: &Words) {
            if words.iter().all(|w| *w == 0) {
                map.remove(&index);
            } else {
                map.insert(index, E::unpack(words));
            }
        }
        match table {
            TableId::Vif => put(&mut self.vifs, index, words),
            TableId::Ilm => put(&mut self.ilm, index, words),
            TableId::NextHop => put(&mut self.next_hops, index, words),
            TableId::Ecmp => put(&mut self.ecmp, index, words),
            TableId::HostRoute => put(&mut self.host_routes, index, words),
            TableId::Prefix => put(&mut self.prefixes, index, words),
            TableId::FipKey => put(&mut self.fip_keys, index, words),
            TableId::FipMap => put(&mut self.fip_maps, index, words),
            TableId::Flow
            | TableId::FlowStats
            | TableId::VifStats
            | TableId::DropStats
            | TableId::CardStats => {}
        }
    }

    /// Takes an operation that the card has confirmed.
    pub fn apply(&mut self, op: &Op) {
        if let Op::Write { table, index, words } = op {
            self.set(*table, *index, words);
        }
    }

    /// Words of the ring memory that belong to a group's slots and are not known to hold a member.
    #[must_use]
    pub fn holes(&self) -> Vec<u32> {
        let composites =
            self.next_hops.values().filter(|nh| nh.valid && nh.kind == NextHopKind::Composite);
        composites
            .flat_map(|nh| (0..u32::from(nh.slots)).map(|n| ring_index(nh.base, n)))
            .filter(|index| !self.ecmp.contains_key(index))
            .collect()
    }

    /// The words of a configuration table that are not all zeros, by index.
    #[must_use]
    pub fn dump(&self, table: TableId) -> Vec<(u32, Words)> {
        fn packed<E: TableEntry>(map: &BTreeMap<u32, E>) -> Vec<(u32, Words)> {
            map.iter().map(|(&index, entry)| (index, entry.pack())).collect()
        }
        match table {
            TableId::Vif => packed(&self.vifs),
            TableId::Ilm => packed(&self.ilm),
            TableId::NextHop => packed(&self.next_hops),
            TableId::Ecmp => packed(&self.ecmp),
            TableId::HostRoute => packed(&self.host_routes),
            TableId::Prefix => packed(&self.prefixes),
            TableId::FipKey => packed(&self.fip_keys),
            TableId::FipMap => packed(&self.fip_maps),
            TableId::Flow
            | TableId::FlowStats
            | TableId::VifStats
            | TableId::DropStats
            | TableId::CardStats => Vec::new(),
        }
    }

    /// Entries in use of a configuration table, for display.
    #[must_use]
    pub fn entries(&self, table: TableId) -> usize {
        match table {
            TableId::Vif => self.vifs.len(),
            TableId::Ilm => self.ilm.len(),
            TableId::NextHop => self.next_hops.len(),
            TableId::Ecmp => self.ecmp.len(),
            TableId::HostRoute => self.host_routes.len(),
            TableId::Prefix => self.prefixes.len(),
            TableId::FipKey => self.fip_keys.len(),
            TableId::FipMap => {
                self.fip_maps.values().filter(|m| !crate::words::is_tombstone(m)).count()
            }
            TableId::Flow
            | TableId::FlowStats
            | TableId::VifStats
            | TableId::DropStats
            | TableId::CardStats => 0,
        }
    }
}

/// Index of word `n` of the group at `base`; the ring memory wraps.
pub(crate) fn ring_index(base: u16, n: u32) -> u32 {
    (u32::from(base) + n) % limits::ECMP_WORDS
}
