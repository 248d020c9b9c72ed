//! The configured tables, entry by entry, and the look-ups that the specification names.
//!
//! Entries are kept exactly where the host wrote them: an entry of a hash table that was written into the wrong bucket is
//! not found, as on the card. A write of words whose `valid` is clear removes the entry.

use penstock_abi::limits::{LABEL_FIRST, LABELS};
use penstock_abi::table::{
    EcmpSlot, FipKey, FipMap, Flow, HostRoute, Ilm, NextHop, Prefix, TableId, Vif, Words,
};
use penstock_tables::{CONFIG_TABLES, Entry, Tables as Store};

/// The tables that the host writes and packets read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tables {
    /// Valid entries only.
    store: Store,
}

/// What a route look-up found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// Next hop.
    pub nh: u16,
    /// Label, if the route has one.
    pub label: Option<u32>,
}

impl Tables {
    /// Writes one entry; the same words as in a Write command. Returns false, having done nothing, if the
    /// table is not one of the host's or the index is beyond it.
    pub fn write(&mut self, table: TableId, index: u32, words: &Words) -> bool {
        if index >= table.desc().depth || !CONFIG_TABLES.contains(&table) {
            return false;
        }
        let valid = words[0] & 1 != 0;
        let entry = if valid { Entry::unpack(table, words) } else { Entry::clear(table) };
        self.store.set(index, entry);
        true
    }

    /// `Vif[number]`; not valid if never written.
    #[must_use]
    pub fn vif(&self, number: u8) -> Vif {
        self.store.of::<Vif>().at(number.into())
    }

    /// `Ilm[label]` if the label may be used and the entry is valid.
    #[must_use]
    pub fn label(&self, label: u32) -> Option<Ilm> {
        self.store.get(label).copied().filter(|_| (LABEL_FIRST..LABELS).contains(&label))
    }

    /// `NextHop[id]` if valid.
    #[must_use]
    pub fn next_hop(&self, id: u16) -> Option<NextHop> {
        self.store.get(id.into()).copied()
    }

    /// `Ecmp[base + offset]`; a hole if never written. Addresses wrap at the end of the memory.
    #[must_use]
    pub fn ecmp(&self, base: u32, offset: u32) -> EcmpSlot {
        self.store.ring_word(base, offset).copied().unwrap_or_default()
    }

    /// `FipMap[map]` if valid.
    #[must_use]
    pub fn fip_map(&self, map: u16) -> Option<FipMap> {
        self.store.get(map.into()).copied()
    }

    /// The mapping that a key names, whether that is valid or not.
    #[must_use]
    pub fn fip_key(&self, vif: u8, proto: u8, ip: u32, port: u16) -> Option<u16> {
        self.store.find::<FipKey>((vif, proto, ip, port)).map(|(_, key)| key.map)
    }

    /// The flow's mapping, if it has one, still stands (section 5).
    #[must_use]
    pub fn usable(&self, flow: &Flow) -> bool {
        !flow.map_valid
            || self.fip_map(flow.map).is_some_and(|m| m.generation == flow.map_generation)
    }

    fn host_route(&self, vrf: u16, ip: u32) -> Option<&HostRoute> {
        self.store.find((vrf, ip)).map(|(_, route)| route)
    }

    /// The address is on this node and nowhere else (section 3, "Source").
    #[must_use]
    pub fn is_own(&self, vrf: u16, ip: u32) -> bool {
        self.host_route(vrf, ip).is_some_and(|r| r.own)
    }

    /// Longest match of `ip` in `vrf` (section 6): host route, else the longest prefix, at equal length the lowest index.
    #[must_use]
    pub fn route(&self, vrf: u16, ip: u32) -> Option<Route> {
        if let Some(r) = self.host_route(vrf, ip) {
            return Some(Route { nh: r.nh, label: r.label_valid.then_some(r.label) });
        }
        let mut best: Option<&Prefix> = None;
        for p in self.store.of::<Prefix>().values() {
            let mask = u32::MAX.checked_shl(32 - u32::from(p.len)).unwrap_or(0);
            if p.vrf == vrf && ip & mask == p.ip && best.is_none_or(|b| p.len > b.len) {
                best = Some(p);
            }
        }
        best.map(|p| Route { nh: p.nh, label: p.label_valid.then_some(p.label) })
    }

    /// Every valid entry as (table, index, words), in the order of table ids.
    #[must_use]
    pub fn dump(&self) -> Vec<(TableId, u32, Words)> {
        let of = |&table| self.store.words(table).map(move |(index, words)| (table, index, words));
        CONFIG_TABLES.iter().flat_map(of).collect()
    }
}

#[cfg(test)]
mod tests {
    use penstock_abi::table::TableEntry;
    use penstock_tables::Keyed;

    use super::*;

    fn prefix(ip: u32, len: u8, nh: u16) -> Words {
        Prefix { valid: true, vrf: 2, ip, len, nh, label: 0, label_valid: false }.pack()
    }

    #[test]
    fn longest_match_wins_then_lowest_index() {
        let mut t = Tables::default();
        for (i, w) in [
            prefix(0, 0, 1),
            prefix(0x0a00_0000, 8, 2),
            prefix(0x0a2f_0000, 16, 3),
            prefix(0x0a2f_0000, 16, 4),
        ]
        .iter()
        .enumerate()
        {
            assert!(t.write(TableId::Prefix, i as u32, w));
        }
        assert_eq!(t.route(2, 0x0a2f_ffed).map(|r| r.nh), Some(3));
        assert_eq!(t.route(2, 0x0a69_8b99).map(|r| r.nh), Some(2));
        assert_eq!(t.route(2, 0x0808_0808).map(|r| r.nh), Some(1));
        assert_eq!(t.route(3, 0x0808_0808), None);
    }

    #[test]
    fn host_route_beats_prefix_only_in_its_own_bucket() {
        let mut t = Tables::default();
        t.write(TableId::Prefix, 0, &prefix(0, 0, 1));
        let r = HostRoute {
            valid: true,
            vrf: 2,
            ip: 5,
            nh: 9,
            label: 77,
            label_valid: true,
            own: false,
        };
        let home = HostRoute::places(r.key(), t.store.shape()).last().unwrap();
        t.write(TableId::HostRoute, home ^ 4, &r.pack());
        assert_eq!(t.route(2, 5), Some(Route { nh: 1, label: None }));
        t.write(TableId::HostRoute, home, &r.pack());
        assert_eq!(t.route(2, 5), Some(Route { nh: 9, label: Some(77) }));
    }

    #[test]
    fn a_write_beyond_the_table_does_nothing() {
        let mut t = Tables::default();
        assert!(!t.write(TableId::Prefix, 64, &prefix(0, 0, 1)));
        assert!(!t.write(TableId::Flow, 0, &[1; 12]));
        assert_eq!(t, Tables::default());
    }
}
