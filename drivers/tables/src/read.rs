//! Reading a card.

use penstock_abi::table::{NextHop, NextHopKind, TableId, Words};

use crate::{Shape, Tables};

/// The tables that the host owns, in the order in which they should be read. A card that lacks one says so by its size, 0.
pub const CONFIG_TABLES: &[TableId] = &[
    TableId::Vif,
    TableId::Ilm,
    TableId::NextHop,
    TableId::Ecmp,
    TableId::HostRoute,
    TableId::PrefixLength,
    TableId::Prefix,
    TableId::DefaultRoute,
    TableId::FipKey,
    TableId::FipMap,
    TableId::Vrf,
    TableId::ServiceKey,
    TableId::TunnelSource,
    TableId::PlainFip,
    TableId::FlowShare,
];

impl Tables {
    /// Reads the configuration of a card of this shape: `dump` gives all valid entries of a table, `read` one entry whether valid or not. Besides the
    /// dumps, `read` is called for each hole of an ECMP group, which a dump does not show and whose generation must not be lost.
    ///
    /// # Errors
    /// Those of `dump` and `read`.
    pub fn read<E>(
        shape: Shape,
        mut dump: impl FnMut(TableId) -> Result<Vec<(u32, Words)>, E>,
        mut read: impl FnMut(TableId, u32) -> Result<Words, E>,
    ) -> Result<Self, E> {
        let mut tables = Self::new(shape);
        for &table in CONFIG_TABLES {
            tables.load_all(table, &dump(table)?);
        }
        for index in tables.holes() {
            tables.load(TableId::Ecmp, index, &read(TableId::Ecmp, index)?);
        }
        Ok(tables)
    }

    /// Words of the ring memory that belong to a group's slots and are not known to hold a member.
    #[must_use]
    pub fn holes(&self) -> Vec<u32> {
        let next_hops = self.of::<NextHop>().values();
        next_hops
            .filter(|nh| nh.valid && nh.kind == NextHopKind::Composite)
            .flat_map(|nh| (0..nh.slots.into()).map(|n| self.shape().ring_index(nh.base, n)))
            .filter(|&index| self.entry(TableId::Ecmp, index).is_none())
            .collect()
    }
}
