//! The configured tables, entry by entry, and the look-ups that the specification names.
//!
//! Entries are kept unpacked, by index, exactly where the host wrote them: an entry of a hash table that was written into
//! the wrong bucket is not found, as on the card. A write of words whose `valid` is clear removes the entry.

use std::collections::BTreeMap;

use penstock_abi::hash::{fip_key, host_route_key, key_hash, row};
use penstock_abi::limits::{
    BUCKET_SLOTS, ECMP_WORDS, FIP_KEY_ROWS_LOG2, FIP_KEY_WAYS, HOST_ROUTE_ROWS_LOG2,
    HOST_ROUTE_WAYS, LABEL_FIRST, LABELS, PREFIXES,
};
use penstock_abi::table::{
    EcmpSlot, FipKey, FipMap, Flow, HostRoute, Ilm, NextHop, Prefix, TableEntry, TableId, Vif,
    Words, bucket_index,
};

/// The tables that the host writes and packets read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tables {
    vifs: BTreeMap<u32, Vif>,
    ilm: BTreeMap<u32, Ilm>,
    next_hops: BTreeMap<u32, NextHop>,
    ecmp: BTreeMap<u32, EcmpSlot>,
    host_routes: BTreeMap<u32, HostRoute>,
    prefixes: BTreeMap<u32, Prefix>,
    fip_keys: BTreeMap<u32, FipKey>,
    fip_maps: BTreeMap<u32, FipMap>,
}

/// What a route look-up found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// Next hop.
    pub nh: u16,
    /// Label, if the route has one.
    pub label: Option<u32>,
}

fn put<E: TableEntry>(map: &mut BTreeMap<u32, E>, index: u32, words: &Words) {
    if words[0] & 1 == 0 {
        map.remove(&index);
    } else {
        map.insert(index, E::unpack(words));
    }
}

impl Tables {
    /// Writes one entry; the same words as in a Write command. Returns false, having done nothing, if the
    /// table is not one of the host's or the index is beyond it.
    pub fn write(&mut self, table: TableId, index: u32, words: &Words) -> bool {
        if index >= table.desc().depth {
            return false;
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
            _ => return false,
        }
        true
    }

    /// `Vif[number]`; not valid if never written.
    #[must_use]
    pub fn vif(&self, number: u8) -> Vif {
        self.vifs.get(&u32::from(number)).copied().unwrap_or_default()
    }

    /// `Ilm[label]` if the label may be used and the entry is valid.
    #[must_use]
    pub fn label(&self, label: u32) -> Option<Ilm> {
        if (LABEL_FIRST..LABELS).contains(&label) { self.ilm.get(&label).copied() } else { None }
    }

    /// `NextHop[id]` if valid.
    #[must_use]
    pub fn next_hop(&self, id: u16) -> Option<NextHop> {
        self.next_hops.get(&u32::from(id)).copied()
    }

    /// `Ecmp[base + offset]`; a hole if never written. Addresses wrap at the end of the memory.
    #[must_use]
    pub fn ecmp(&self, base: u16, offset: u32) -> EcmpSlot {
        let index = (u32::from(base) + offset) % ECMP_WORDS;
        self.ecmp.get(&index).copied().unwrap_or_default()
    }

    /// `FipMap[map]` if valid.
    #[must_use]
    pub fn fip_map(&self, map: u16) -> Option<FipMap> {
        self.fip_maps.get(&u32::from(map)).copied()
    }

    /// The mapping that a key names, whether that is valid or not.
    #[must_use]
    pub fn fip_key(&self, vif: u8, proto: u8, ip: u32, port: u16) -> Option<u16> {
        let hash = key_hash(fip_key(vif, proto, ip, port));
        bucket_slots(hash, FIP_KEY_WAYS, FIP_KEY_ROWS_LOG2)
            .filter_map(|i| self.fip_keys.get(&i))
            .find(|k| (k.vif, k.proto, k.ip, k.port) == (vif, proto, ip, port))
            .map(|k| k.map)
    }

    /// The flow's mapping, if it has one, still stands (section 5).
    #[must_use]
    pub fn usable(&self, flow: &Flow) -> bool {
        !flow.map_valid
            || self.fip_map(flow.map).is_some_and(|m| m.generation == flow.map_generation)
    }

    fn host_route(&self, vrf: u16, ip: u32) -> Option<&HostRoute> {
        let hash = key_hash(host_route_key(vrf, ip));
        bucket_slots(hash, HOST_ROUTE_WAYS, HOST_ROUTE_ROWS_LOG2)
            .filter_map(|i| self.host_routes.get(&i))
            .find(|r| (r.vrf, r.ip) == (vrf, ip))
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
        for p in (0..PREFIXES).filter_map(|i| self.prefixes.get(&i)) {
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
        fn add<E: TableEntry>(
            out: &mut Vec<(TableId, u32, Words)>,
            id: TableId,
            map: &BTreeMap<u32, E>,
        ) {
            out.extend(map.iter().map(|(&i, e)| (id, i, e.pack())));
        }
        let mut out = Vec::new();
        add(&mut out, TableId::Vif, &self.vifs);
        add(&mut out, TableId::Ilm, &self.ilm);
        add(&mut out, TableId::NextHop, &self.next_hops);
        add(&mut out, TableId::Ecmp, &self.ecmp);
        add(&mut out, TableId::HostRoute, &self.host_routes);
        add(&mut out, TableId::Prefix, &self.prefixes);
        add(&mut out, TableId::FipKey, &self.fip_keys);
        add(&mut out, TableId::FipMap, &self.fip_maps);
        out
    }
}

/// Indices of all the slots in which a key with this hash may stand.
pub fn bucket_slots(hash: u64, ways: u32, rows_log2: u32) -> impl Iterator<Item = u32> {
    (0..ways).flat_map(move |w| {
        let r = row(hash, w, rows_log2);
        (0..BUCKET_SLOTS).map(move |s| bucket_index(w, r, s, rows_log2))
    })
}

#[cfg(test)]
mod tests {
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
        let home =
            bucket_slots(key_hash(host_route_key(2, 5)), HOST_ROUTE_WAYS, HOST_ROUTE_ROWS_LOG2)
                .last()
                .unwrap();
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
