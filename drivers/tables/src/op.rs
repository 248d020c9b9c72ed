//! One step that a card is asked for.

use crate::{Entry, Stored};

/// One step. The order of steps matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// Writes one entry, which takes effect at once and whole.
    Write {
        /// Index.
        index: u32,
        /// The entry, which says its table; one of all zeros clears.
        entry: Entry,
    },
    /// Waits until no packet is under way that was decided before the writes above.
    Fence,
    /// Deletes all flows in whose keys a next hop is. While packets can make such flows, it may not come to an end.
    Forget {
        /// The next hop.
        key_nh: u16,
    },
}

impl Op {
    /// Writes `entry`.
    #[must_use]
    pub fn write(index: u32, entry: impl Into<Entry>) -> Self {
        Self::Write { index, entry: entry.into() }
    }

    /// Clears an entry.
    #[must_use]
    pub fn clear<E: Stored>(index: u32) -> Self {
        Self::write(index, E::default())
    }
}
