//! What a plan is.

use penstock_tables::Op;

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
