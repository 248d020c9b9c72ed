//! Commands that walk over the valid entries of a table.

use penstock_abi::digest::Digest;
use penstock_abi::ring::{DIGEST_ENTRIES_MAX, Status};
use penstock_abi::table::{TableId, Words};

use super::State;

impl State {
    /// Valid entries from an index on, in its order.
    pub(super) fn valid_from(
        &self,
        table: TableId,
        index: u32,
    ) -> impl Iterator<Item = (u32, Words)> {
        let entries = self.tables.entries(table, index..).map(|(i, entry)| (i, entry.pack()));
        entries.filter(|(_, words)| words[0] & 1 == 1)
    }

    /// Status, where to go on and data of a Digest.
    pub(super) fn execute_digest(
        &mut self,
        table: TableId,
        index: u32,
        data: &Words,
    ) -> (Status, u32, Words) {
        let most = match data[0] {
            0 => DIGEST_ENTRIES_MAX,
            asked => asked.min(DIGEST_ENTRIES_MAX),
        };
        let mut digest = Digest::resume(u64::from(data[1]) | u64::from(data[2]) << 32);
        let entries = self.tables.shape().capacity(table);
        let (mut covered, mut next) = (0, entries);
        let found: Vec<_> = self.valid_from(table, index).take(most as usize).collect();
        for (i, words) in found {
            if self.meet(table, i) {
                return (Status::Parity, i, words);
            }
            digest.entry(table, i, &words);
            (covered, next) = (covered + 1, i + 1);
        }
        let mut out = Words::default();
        let digest = digest.finish();
        out[..3].copy_from_slice(&[digest as u32, (digest >> 32) as u32, covered]);
        if covered == most { (Status::Ok, next, out) } else { (Status::NotFound, entries, out) }
    }
}
