//! One step of a plan.

use penstock_abi::table::{TableEntry, TableId, Words};

/// One step. The order of steps matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// Writes one table word, which takes effect at once and whole.
    Write {
        /// Table.
        table: TableId,
        /// Index.
        index: u32,
        /// The word; all zeros clears the entry.
        words: Words,
    },
    /// Waits until no packet is under way that was decided before the writes above.
    Fence,
}

impl Op {
    /// Writes `entry`.
    #[must_use]
    pub fn write<E: TableEntry>(table: TableId, index: u32, entry: &E) -> Self {
        Self::Write { table, index, words: entry.pack() }
    }
}

/// Ordered steps. Empty when nothing has to change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The steps.
    pub ops: Vec<Op>,
}

impl Plan {
    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ops.is_empty()
    }

    /// Number of table writes.
    #[must_use]
    pub fn writes(&self) -> usize {
        self.ops.iter().filter(|op| matches!(op, Op::Write { .. })).count()
    }
}
