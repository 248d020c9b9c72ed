//! Where two sets of tables are not the same.

use penstock_abi::table::{TableEntry, TableId};

use crate::{Entry, Table};

/// An index at which two hold different entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Table.
    pub table: TableId,
    /// Index.
    pub index: u32,
    /// What is there in the first, if anything is.
    pub ours: Option<Entry>,
    /// What is there in the other, if anything is.
    pub theirs: Option<Entry>,
}

impl Difference {
    /// The entry to be set in the first for it to be as the other.
    #[must_use]
    pub fn wanted(&self) -> Entry {
        self.theirs.unwrap_or_else(|| Entry::clear(self.table))
    }
}

/// Adds where two tables are not the same.
pub(crate) fn add<E: TableEntry + Copy + Default + PartialEq>(
    found: &mut Vec<Difference>,
    ours: &Table<E>,
    theirs: &Table<E>,
    entry: fn(E) -> Entry,
) {
    let table = entry(E::default()).table();
    found.extend(ours.difference(theirs).map(|(index, ours, theirs)| Difference {
        table,
        index,
        ours: ours.map(entry),
        theirs: theirs.map(entry),
    }));
}
