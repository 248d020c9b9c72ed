//! The entries of a card's tables, unpacked, as far as they were read.

use std::collections::BTreeMap;

use penstock_abi::limits;
use penstock_abi::table::{
    Counter, EcmpSlot, FipKey, FipMap, Flow, FlowStats, HostRoute, Ilm, NextHop, Prefix,
    TableEntry, TableId, Vif, VifStats, Words,
};

/// Entries by table and index. A table that was not read is empty, which views cannot tell from one without entries: read
/// the tables that a view names in its `TABLES`.
#[derive(Clone, Debug, Default)]
pub struct CardState {
    /// Virtual interfaces.
    pub vifs: BTreeMap<u32, Vif>,
    /// MPLS input label map.
    pub ilm: BTreeMap<u32, Ilm>,
    /// Next hops.
    pub next_hops: BTreeMap<u32, NextHop>,
    /// ECMP ring words.
    pub ecmp: BTreeMap<u32, EcmpSlot>,
    /// Host routes.
    pub host_routes: BTreeMap<u32, HostRoute>,
    /// Shorter prefixes.
    pub prefixes: BTreeMap<u32, Prefix>,
    /// Floating-IP keys.
    pub fip_keys: BTreeMap<u32, FipKey>,
    /// Floating-IP mappings.
    pub fip_maps: BTreeMap<u32, FipMap>,
    /// Flows.
    pub flows: BTreeMap<u32, Flow>,
    /// Statistics of flows.
    pub flow_stats: BTreeMap<u32, FlowStats>,
    /// Statistics of vifs.
    pub vif_stats: BTreeMap<u32, VifStats>,
    /// Drops by reason.
    pub drop_stats: BTreeMap<u32, u64>,
    /// Counters that are not drops.
    pub card_stats: BTreeMap<u32, u64>,
    /// Names of vifs, which the card does not know.
    pub vif_names: BTreeMap<u32, String>,
}

impl CardState {
    /// Takes an entry as it was read.
    pub fn insert(&mut self, table: TableId, index: u32, words: &Words) {
        match table {
            TableId::Vif => _ = self.vifs.insert(index, Vif::unpack(words)),
            TableId::Ilm => _ = self.ilm.insert(index, Ilm::unpack(words)),
            TableId::NextHop => _ = self.next_hops.insert(index, NextHop::unpack(words)),
            TableId::Ecmp => _ = self.ecmp.insert(index, EcmpSlot::unpack(words)),
            TableId::HostRoute => _ = self.host_routes.insert(index, HostRoute::unpack(words)),
            TableId::Prefix => _ = self.prefixes.insert(index, Prefix::unpack(words)),
            TableId::FipKey => _ = self.fip_keys.insert(index, FipKey::unpack(words)),
            TableId::FipMap => _ = self.fip_maps.insert(index, FipMap::unpack(words)),
            TableId::Flow => _ = self.flows.insert(index, Flow::unpack(words)),
            TableId::FlowStats => _ = self.flow_stats.insert(index, FlowStats::unpack(words)),
            TableId::VifStats => _ = self.vif_stats.insert(index, VifStats::unpack(words)),
            TableId::DropStats => _ = self.drop_stats.insert(index, Counter::unpack(words).count),
            TableId::CardStats => _ = self.card_stats.insert(index, Counter::unpack(words).count),
        }
    }

    /// Takes a whole dump of a table.
    pub fn insert_all(&mut self, table: TableId, entries: &[(u32, Words)]) {
        for (index, words) in entries {
            self.insert(table, *index, words);
        }
    }

    /// Name of a vif: the node file's, else one made of its number.
    #[must_use]
    pub fn vif_name(&self, vif: u32) -> String {
        match self.vif_names.get(&vif) {
            Some(name) => name.clone(),
            None if vif == u32::from(limits::VIF_FABRIC) => "fabric0".to_owned(),
            None if vif == u32::from(limits::VIF_VHOST) => "vhost0".to_owned(),
            None if vif == 2 => "pkt0".to_owned(),
            None => format!("vif{vif}"),
        }
    }

    /// A counter of the card, 0 if it was not read.
    #[must_use]
    pub fn card_counter(&self, counter: penstock_abi::reason::CardCounter) -> u64 {
        self.card_stats.get(&(counter as u32)).copied().unwrap_or(0)
    }

    /// Drops for a reason, 0 if it was not read.
    #[must_use]
    pub fn drop_counter(&self, reason: penstock_abi::reason::DropReason) -> u64 {
        self.drop_stats.get(&(reason as u32)).copied().unwrap_or(0)
    }

    /// Word `n` of the group at `base`; the ring memory wraps.
    #[must_use]
    pub fn ecmp_word(&self, base: u16, n: u32) -> Option<&EcmpSlot> {
        self.ecmp.get(&((u32::from(base) + n) % limits::ECMP_WORDS)).filter(|w| w.valid)
    }

    /// The label under which this card accepts packets for a next hop of its own.
    #[must_use]
    pub fn label_of(&self, next_hop: u16) -> Option<u32> {
        self.ilm.iter().find(|(_, e)| e.valid && e.nh == next_hop).map(|(&label, _)| label)
    }
}
