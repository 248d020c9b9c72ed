//! Digests of the configured tables: what the card says of them against what was written, whenever that changes.
//!
//! Reading all tables back after each change would take most of a run; their digests take a command or two each, and frames may
//! be in flight meanwhile.

use std::collections::BTreeSet;

use penstock_abi::digest::Digest;
use penstock_abi::table::TableId;
use penstock_refmodel::r#gen::Write;
use penstock_tables::CONFIG_TABLES;

use crate::board::{Board, Failure};

/// The digest of one of the tables that these entries, in order of index, are of.
#[must_use]
pub fn digest(table: TableId, entries: &[Write]) -> u64 {
    let of_table = entries.iter().filter(|(id, ..)| *id == table);
    Digest::of(table, of_table.map(|&(_, index, words)| (index, words)))
}

/// The configured tables that these writes are to.
pub(crate) fn tables_of(writes: &[Write]) -> BTreeSet<TableId> {
    writes.iter().map(|(table, ..)| *table).filter(|table| CONFIG_TABLES.contains(table)).collect()
}

impl Board<'_> {
    /// What the card says of these tables.
    pub(crate) fn digests(
        &mut self,
        tables: impl IntoIterator<Item = TableId>,
    ) -> Result<Vec<(TableId, u64)>, Failure> {
        let mut out = Vec::new();
        for table in tables {
            let said = self.dut.digest(table);
            out.push((table, self.device("asking for a digest", said)?));
        }
        Ok(out)
    }

    /// What the card said is what the model's tables make.
    pub(crate) fn check_digests(&mut self, said: &[(TableId, u64)]) -> Result<(), Failure> {
        let model = self.model.tables().dump();
        for &(table, card) in said {
            let model = digest(table, &model);
            if card != model {
                return self.fail(format!(
                    "digest of {table:?} differs\n  card  {card:016x}\n  model {model:016x}"
                ));
            }
        }
        self.summary.digests += said.len() as u64;
        Ok(())
    }
}
