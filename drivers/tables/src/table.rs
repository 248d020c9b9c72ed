//! The entries of one table.

use std::ops::RangeBounds;

use imbl::OrdMap;
use imbl::ordmap::DiffItem;
use penstock_abi::table::TableEntry;

/// Entries of one type by index. None is all zeros. A copy shares all that is the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table<E: Copy + PartialEq> {
    entries: OrdMap<u32, E>,
}

impl<E: Copy + PartialEq> Default for Table<E> {
    fn default() -> Self {
        Self { entries: OrdMap::new() }
    }
}

impl<E: TableEntry + Copy + Default + PartialEq> Table<E> {
    /// The entry at `index`, if one is there.
    #[must_use]
    pub fn get(&self, index: u32) -> Option<&E> {
        self.entries.get(&index)
    }

    /// What a read at `index` gives: the entry, or all zeros.
    #[must_use]
    pub fn at(&self, index: u32) -> E {
        self.get(index).copied().unwrap_or_default()
    }

    /// Whether an entry is at `index`.
    #[must_use]
    pub fn contains(&self, index: u32) -> bool {
        self.entries.contains_key(&index)
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// All entries in order of index.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (u32, &E)> + ExactSizeIterator {
        self.entries.iter().map(|(&index, entry)| (index, entry))
    }

    /// All indices at which there are entries, in order.
    pub fn indices(&self) -> impl DoubleEndedIterator<Item = u32> {
        self.iter().map(|(index, _)| index)
    }

    /// All entries without their indices, in order of index.
    pub fn values(&self) -> impl DoubleEndedIterator<Item = &E> + ExactSizeIterator {
        self.iter().map(|(_, entry)| entry)
    }

    /// The entries at these indices, in order.
    pub fn range(
        &self,
        range: impl RangeBounds<u32>,
    ) -> impl DoubleEndedIterator<Item = (u32, &E)> {
        self.entries.range(range).map(|(&index, entry)| (index, entry))
    }

    /// Sets an entry; one of all zeros removes what is there.
    pub(crate) fn put(&mut self, index: u32, entry: E) {
        if entry.is_clear() {
            self.entries.remove(&index);
        } else {
            self.entries.insert(index, entry);
        }
    }

    /// Where two are not the same, in order of index: (index, ours, theirs).
    pub(crate) fn difference(
        &self,
        other: &Self,
    ) -> impl Iterator<Item = (u32, Option<E>, Option<E>)> {
        self.entries.diff(&other.entries).map(|item| match item {
            DiffItem::Add(index, theirs) => (*index, None, Some(*theirs)),
            DiffItem::Update { old: (index, ours), new: (_, theirs) } => {
                (*index, Some(*ours), Some(*theirs))
            }
            DiffItem::Remove(index, ours) => (*index, Some(*ours), None),
        })
    }
}
