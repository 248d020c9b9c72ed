//! The entries of a card's tables as far as they were read, and what the card does not know about them.

use std::collections::BTreeMap;

use penstock_abi::limits;
use penstock_abi::table::EcmpSlot;
use penstock_tables::Tables;

/// The entries that were read. A table that was not is empty, which views cannot tell from one without entries: read
/// the tables that a view names in its `TABLES`.
#[derive(Clone, Debug, Default)]
pub struct CardState {
    /// What was read.
    pub tables: Tables,
    /// Names of vifs, which the card does not know.
    pub vif_names: BTreeMap<u32, String>,
}

impl CardState {
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
        self.tables.card_stats().at(counter as u32).count
    }

    /// Drops for a reason, 0 if it was not read.
    #[must_use]
    pub fn drop_counter(&self, reason: penstock_abi::reason::DropReason) -> u64 {
        self.tables.drop_stats().at(reason as u32).count
    }

    /// Word `n` of the group at `base`, if it is a member; the ring memory wraps.
    #[must_use]
    pub fn ecmp_word(&self, base: u32, n: u32) -> Option<&EcmpSlot> {
        self.tables.ring_word(base, n).filter(|w| w.valid)
    }
}
