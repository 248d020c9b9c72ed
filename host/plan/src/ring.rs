//! Free ranges of the ring memory that all ECMP groups share.
//!
//! The smallest range that is large enough is given out, the lowest of these. What a group gives back is free when the round is
//! over.

use std::collections::{BTreeMap, BTreeSet};

use penstock_tables::Shape;

/// Free ranges.
#[derive(Debug)]
pub(crate) struct RingSpace {
    words: u32,
    /// First word -> words.
    free: BTreeMap<u32, u32>,
    /// The same, by (words, first word).
    sizes: BTreeSet<(u32, u32)>,
    free_words: u32,
    /// Ranges that are free when the round is over.
    leaving: Vec<(u32, u32)>,
}

impl RingSpace {
    /// All but the ranges in use, given as (first word, words); a range may wrap, and ranges may overlap.
    pub(crate) fn new(shape: Shape, used: impl Iterator<Item = (u32, u32)>) -> Self {
        let words = shape.ecmp_words;
        let mut space = Self {
            words,
            free: BTreeMap::new(),
            sizes: BTreeSet::new(),
            free_words: 0,
            leaving: Vec::new(),
        };
        let mut ranges: Vec<(u32, u32)> = Vec::new();
        for (base, len) in used {
            let end = base + len;
            ranges.push((base, end.min(words)));
            if end > words {
                ranges.push((0, end - words));
            }
        }
        ranges.sort_unstable();
        let mut next = 0;
        for (base, end) in ranges {
            if base > next {
                space.insert(next, base - next);
            }
            next = next.max(end);
        }
        if next < words {
            space.insert(next, words - next);
        }
        space
    }

    /// Whether a range of this size is free.
    pub(crate) fn has(&self, len: u32) -> bool {
        self.sizes.range((len, 0)..).next().is_some()
    }

    /// How many words are free.
    pub(crate) fn free_words(&self) -> u32 {
        self.free_words
    }

    /// Takes a range from the lowest place that it fits in, if that is below `limit`; its first word.
    pub(crate) fn allocate_below(&mut self, len: u32, limit: u32) -> Option<u32> {
        let (&base, &room) = self.free.range(..limit).find(|(_, room)| **room >= len)?;
        self.remove(base);
        if room > len {
            self.insert(base + len, room - len);
        }
        Some(base)
    }

    /// Takes a range; its first word.
    pub(crate) fn allocate(&mut self, len: u32) -> Option<u32> {
        if len == 0 {
            return Some(0);
        }
        let &(room, base) = self.sizes.range((len, 0)..).next()?;
        self.remove(base);
        if room > len {
            self.insert(base + len, room - len);
        }
        Some(base)
    }

    /// Gives back all of a group's range of `len` words but the first `rest`, which the card uses until the round is over; it may
    /// wrap.
    pub(crate) fn release_tail(&mut self, base: u32, len: u32, rest: u32) {
        self.leaving.push(((base + rest) % self.words.max(1), len - rest));
    }

    /// The round is over.
    pub(crate) fn end_round(&mut self) {
        for (base, len) in std::mem::take(&mut self.leaving) {
            self.give(base, len);
        }
    }

    fn give(&mut self, base: u32, len: u32) {
        let end = base + len;
        if end > self.words {
            self.give(0, end - self.words);
            return self.give(base, self.words - base);
        }
        let (mut base, mut len) = (base, len);
        if let Some((&before, &room)) = self.free.range(..base).next_back()
            && before + room == base
        {
            self.remove(before);
            base = before;
            len += room;
        }
        if let Some(room) = self.remove(base + len) {
            len += room;
        }
        if len > 0 {
            self.insert(base, len);
        }
    }

    fn insert(&mut self, base: u32, len: u32) {
        self.free_words += len;
        self.free.insert(base, len);
        self.sizes.insert((len, base));
    }

    fn remove(&mut self, base: u32) -> Option<u32> {
        let len = self.free.remove(&base)?;
        self.free_words -= len;
        self.sizes.remove(&(len, base));
        Some(len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_come_and_go() {
        let shape = Shape::default();
        let words = shape.ecmp_words;
        let mut space = RingSpace::new(shape, [(10, 5), (words - 2, 4)].into_iter());
        assert_eq!(space.free.values().sum::<u32>(), words - 9);
        assert_eq!(space.allocate(8), Some(2), "the smallest that is large enough");
        assert_eq!(space.allocate(8), Some(15));
        for (base, len) in [(2, 8), (10, 5), (15, 8), (words - 2, 4)] {
            space.release_tail(base, len, 0);
        }
        assert_eq!(space.allocate(words), None, "not before the round is over");
        space.end_round();
        assert_eq!(space.free, BTreeMap::from([(0, words)]));
        assert_eq!(space.sizes, BTreeSet::from([(words, 0)]));
        assert_eq!(space.allocate(words), Some(0));
        assert_eq!(space.allocate(1), None);
    }

    #[test]
    fn the_lowest_place_that_is_low_enough() {
        let mut space = RingSpace::new(Shape::default(), [(4, 4), (10, 10)].into_iter());
        assert_eq!(space.free_words(), space.words - 14);
        assert_eq!(space.allocate_below(3, 8), Some(0));
        assert_eq!(space.allocate_below(2, 10), Some(8));
        assert_eq!(space.allocate_below(2, 10), None);
        assert_eq!(space.free_words(), space.words - 19);
    }

    #[test]
    fn a_group_can_give_back_its_end() {
        let mut space = RingSpace::new(Shape::default(), std::iter::empty());
        assert_eq!(space.allocate(10), Some(0));
        space.release_tail(0, 10, 4);
        space.end_round();
        assert_eq!(space.free.keys().copied().collect::<Vec<_>>(), [4]);
    }
}
