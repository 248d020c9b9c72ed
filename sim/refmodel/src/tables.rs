//! The configured tables, entry by entry, and the look-ups that the specification names.
//!
//! Entries are kept exactly where the host wrote them: an entry of a hash table that was written into the wrong bucket is
//! not found, as on the card. A write of words whose `valid` is clear removes the entry.

use penstock_abi::limits::{LABEL_FIRST, LABELS, PREFIX_TABLES, SOURCES_KNOWN};
use penstock_abi::table::{
    DefaultRoute, EcmpSlot, FipKey, FipMap, Flow, FlowKey, FlowShare, HostRoute, Ilm, NextHop,
    PlainFip, ServiceAddress, ServiceKey, SourceCheck, TableId, TunnelSource, Vif, Vrf, Words,
};
use penstock_tables::{CONFIG_TABLES, Entry, Shape, Tables as Store};

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
    /// Length of its prefix.
    pub len: u8,
    /// Whether the address is a floating IP's that lives by its listeners.
    pub service: ServiceAddress,
    /// Set of tunnels by which packets with such a source may come.
    pub sources: u16,
}

impl Tables {
    /// Empty ones, of a card of these sizes.
    #[must_use]
    pub fn of(shape: Shape) -> Self {
        Self { store: Store::new(shape) }
    }

    /// Their sizes.
    #[must_use]
    pub fn shape(&self) -> Shape {
        self.store.shape()
    }

    /// Flow entries in use above which no new pair that translates is taken.
    #[must_use]
    pub fn flows_for_translation(&self) -> usize {
        self.store.shape().flows_translated_max as usize
    }

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

    /// What a share of the flow table may have, if that is limited.
    #[must_use]
    pub fn flow_share(&self, index: u32) -> Option<&FlowShare> {
        self.store.get(index)
    }

    /// All shares of the flow table that are limited.
    pub fn flow_shares(&self) -> impl Iterator<Item = (u32, &FlowShare)> {
        self.store.of::<FlowShare>().iter()
    }

    fn host_route(&self, vrf: u16, ip: u32) -> Option<&HostRoute> {
        self.store.find((vrf, ip)).map(|(_, route)| route)
    }

    /// Of two equal keys that in the lower way counts, which `find` sees to.
    fn service(&self, vrf: u16, ip: u32, proto: u8, port: u16) -> Option<ServiceKey> {
        // A network that is none has no keys, whatever the host wrote.
        let net = self.vrf(vrf).service_net;
        (net != 0).then(|| self.store.find((net, proto, ip, port)).map(|(_, key)| *key))?
    }

    /// `Vrf[vrf]`; of one that is not valid no service network, and Strict.
    #[must_use]
    pub fn vrf(&self, vrf: u16) -> Vrf {
        self.store.of::<Vrf>().at(vrf.into())
    }

    /// The listener in the service network of a VRF to which packets go (section 6).
    #[must_use]
    pub fn service_to(&self, vrf: u16, dip: u32, key: &FlowKey) -> Option<ServiceKey> {
        self.service(vrf, dip, key.proto, key.dport)
    }

    /// The listener from which replies come (section 9.2, "Move").
    #[must_use]
    pub fn service_from(&self, vrf: u16, key: &FlowKey) -> Option<ServiceKey> {
        self.service(vrf, key.sip, key.proto, key.sport)
    }

    /// The source check (section 5): whether a packet whose source has this route in `vrf` may come by a tunnel.
    #[must_use]
    pub fn source_passes(&self, vrf: u16, route: Option<&Route>, outer_sip: u32) -> bool {
        let sources = route.map_or(0, |r| r.sources);
        let among = |set: u16| self.store.find::<TunnelSource>((set, outer_sip)).is_some();
        match self.vrf(vrf).source_check {
            SourceCheck::Loose => sources != 0 && among(SOURCES_KNOWN),
            SourceCheck::Off => sources != 0 || route.is_none(),
            _ => among(sources),
        }
    }

    /// The mapping that a floating IP without port map names at a vif, whether that is valid or not.
    #[must_use]
    pub fn plain_fip(&self, vif: u8, ip: u32) -> Option<u16> {
        self.store.find::<PlainFip>((vif, ip)).map(|(_, key)| key.map)
    }

    /// Longest match of `ip` in `vrf` (section 6): host route, else the prefix of the lowest rank, else the VRF's default.
    #[must_use]
    pub fn route(&self, vrf: u16, ip: u32) -> Option<Route> {
        let route = |nh, (label_valid, label): (bool, u32), len, sources| Route {
            nh,
            label: label_valid.then_some(label),
            len,
            service: ServiceAddress::No,
            sources,
        };
        if let Some(r) = self.host_route(vrf, ip) {
            let found = route(r.nh, (r.label_valid, r.label), 32, r.sources);
            return Some(Route { service: r.service, ..found });
        }
        // Fewer than 256 ranks.
        let mut ranks = 0..PREFIX_TABLES as u8;
        if let Some((_, p)) = ranks.find_map(|rank| self.store.find_prefix(rank, vrf, ip)) {
            return Some(route(p.nh, (p.label_valid, p.label), p.len, p.sources));
        }
        let default = self.store.get::<DefaultRoute>(vrf.into()).filter(|d| d.valid)?;
        Some(route(default.nh, (default.label_valid, default.label), 0, default.sources))
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
    use penstock_abi::table::{Prefix, PrefixLength, TableEntry};
    use penstock_tables::prefix::PREFIX_LENGTHS;
    use penstock_tables::{Keyed, PrefixPart};

    use super::*;

    fn prefix(t: &mut Tables, rank: u8, ip: u32, nh: u16) {
        let len = PREFIX_LENGTHS[usize::from(rank)];
        let length = PrefixLength { valid: true, len };
        assert!(t.write(TableId::PrefixLength, rank.into(), &length.pack()));
        let word = Prefix { valid: true, vrf: 2, ip, len, nh, ..Prefix::default() };
        let part = PrefixPart { rank, vrf: 2, ip };
        let place = part.places(t.store.shape()).last().unwrap();
        assert!(t.write(TableId::Prefix, place, &word.pack()));
    }

    fn default_route(t: &mut Tables, vrf: u32, nh: u16) {
        let word = DefaultRoute { valid: true, nh, ..DefaultRoute::default() };
        assert!(t.write(TableId::DefaultRoute, vrf, &word.pack()));
    }

    #[test]
    fn the_lowest_rank_wins_then_the_default() {
        let mut t = Tables::default();
        default_route(&mut t, 2, 1);
        prefix(&mut t, 7, 0x0a00_0000, 2);
        prefix(&mut t, 5, 0x0a2f_0000, 3);
        let nh = |t: &Tables, vrf, ip| t.route(vrf, ip).map(|r| r.nh);
        assert_eq!(nh(&t, 2, 0x0a2f_ffed), Some(3));
        assert_eq!(nh(&t, 2, 0x0a69_8b99), Some(2));
        assert_eq!(nh(&t, 2, 0x0808_0808), Some(1));
        assert_eq!(nh(&t, 3, 0x0a2f_ffed), None);
        // A rank without a length is not looked for.
        assert!(t.write(TableId::PrefixLength, 5, &Words::default()));
        assert_eq!(nh(&t, 2, 0x0a2f_ffed), Some(2));
    }

    #[test]
    fn host_route_beats_prefix_only_in_its_own_bucket() {
        let mut t = Tables::default();
        default_route(&mut t, 2, 1);
        let r = HostRoute {
            valid: true,
            vrf: 2,
            ip: 5,
            nh: 9,
            label: 77,
            label_valid: true,
            ..HostRoute::default()
        };
        let home = HostRoute::places(r.key(), t.store.shape()).last().unwrap();
        t.write(TableId::HostRoute, home ^ 4, &r.pack());
        let leads = |t: &Tables| t.route(2, 5).map(|r| (r.nh, r.label, r.len));
        assert_eq!(leads(&t), Some((1, None, 0)));
        t.write(TableId::HostRoute, home, &r.pack());
        assert_eq!(leads(&t), Some((9, Some(77), 32)));
    }

    #[test]
    fn a_write_beyond_the_table_does_nothing() {
        let mut t = Tables::default();
        assert!(!t.write(TableId::PrefixLength, 8, &[1; 12]));
        assert!(!t.write(TableId::DefaultRoute, 4096, &[1; 12]));
        assert!(!t.write(TableId::Flow, 0, &[1; 12]));
        assert_eq!(t, Tables::default());
    }
}
