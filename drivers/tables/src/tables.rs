//! What can be asked of tables, and done to them.

use penstock_abi::digest::Digest;
use penstock_abi::table::{EcmpSlot, Flow, TableId, Words};

use crate::{Entry, Keyed, Op, Stored, Table, Tables, Usage};

impl Tables {
    /// The table of an entry type.
    #[must_use]
    pub fn of<E: Stored>(&self) -> &Table<E> {
        E::table_of(self)
    }

    /// The entry at `index`, if one is there.
    #[must_use]
    pub fn get<E: Stored>(&self, index: u32) -> Option<&E> {
        self.of::<E>().get(index)
    }

    /// The valid entry that the card finds for a key: only in the places where it looks, the first one there.
    #[must_use]
    pub fn find<E: Keyed>(&self, key: E::Key) -> Option<(u32, &E)> {
        E::places(key, self.shape()).find_map(|index| {
            let entry = self.get::<E>(index)?;
            (entry.key() == key && entry.is_valid()).then_some((index, entry))
        })
    }

    /// Word `n` of the ECMP group at `base`, if it is not all zeros; the ring memory wraps.
    #[must_use]
    pub fn ring_word(&self, base: u32, n: u32) -> Option<&EcmpSlot> {
        self.get(self.shape().ring_index(base, n))
    }

    /// Sets an entry; one of all zeros removes what is there.
    pub fn put<E: Stored>(&mut self, index: u32, entry: E) {
        E::table_of_mut(self).put(index, entry);
    }

    /// Takes a step that the card has confirmed.
    pub fn apply(&mut self, op: &Op) {
        match *op {
            Op::Write { index, entry } => self.set(index, entry),
            Op::Fence => {}
            Op::Forget { key_nh } => {
                let gone = |flow: &Flow| flow.valid && flow.nh == key_nh;
                let pairs: Vec<u32> =
                    self.of::<Flow>().values().filter(|flow| gone(flow)).map(|f| f.pair).collect();
                let of_them = |flow: &Flow| flow.valid && pairs.contains(&flow.pair);
                let flows = self.of::<Flow>().iter().filter(|(_, flow)| of_them(flow));
                let indices: Vec<u32> = flows.map(|(index, _)| index).collect();
                indices.into_iter().for_each(|index| self.put(index, Flow::default()));
            }
        }
    }

    /// Takes an entry as it was read from a card.
    pub fn load(&mut self, table: TableId, index: u32, words: &Words) {
        self.set(index, Entry::unpack(table, words));
    }

    /// Takes entries of a table as they were read from a card.
    pub fn load_all(&mut self, table: TableId, entries: &[(u32, Words)]) {
        for (index, words) in entries {
            self.load(table, *index, words);
        }
    }

    /// The words of a table's entries, in order of index.
    pub fn words(&self, table: TableId) -> impl Iterator<Item = (u32, Words)> {
        self.entries(table, ..).map(|(index, entry)| (index, entry.pack()))
    }

    /// How full a table is. Every entry counts, also one that is not valid.
    #[must_use]
    pub fn usage(&self, table: TableId) -> Usage {
        // There are no more than indices.
        Usage { used: self.len(table) as u32, capacity: self.shape().capacity(table) }
    }

    /// What the card's digest of a table is if it holds the same (`penstock_abi::digest`).
    #[must_use]
    pub fn digest(&self, table: TableId) -> u64 {
        Digest::of(table, self.words(table))
    }
}
