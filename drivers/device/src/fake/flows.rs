//! What a card does with its flow table besides keeping it.

use penstock_abi::hash::FlowSecret;
use penstock_abi::table::{Flow, TableId};
use penstock_tables::Entry;

use super::{FakeCard, State};

impl FakeCard {
    /// The secret under which flows are placed.
    #[must_use]
    pub fn flow_secret(&self) -> FlowSecret {
        self.lock().secret_in_force
    }
}

impl State {
    /// Pairs of flow entries go together.
    pub(super) fn delete_partner(&mut self, table: TableId, index: u32) {
        let flow = self.tables.get::<Flow>(index).copied();
        let Some(flow) = flow.filter(|flow| table == TableId::Flow && flow.valid) else { return };
        let other = |f: &Flow| f.valid && f.pair == flow.pair && f.reverse != flow.reverse;
        let at = self.tables.of::<Flow>().iter().find(|(_, f)| other(f)).map(|(at, _)| at);
        if let Some(at) = at {
            self.tables.set(at, Entry::clear(TableId::Flow));
        }
    }
}
