//! Free ranges of the ring memory that all ECMP groups share.

use std::collections::BTreeMap;

use penstock_abi::limits::ECMP_WORDS;

/// Free ranges: first word -> words.
#[derive(Debug)]
pub(crate) struct RingSpace {
    free: BTreeMap<u32, u32>,
}

impl RingSpace {
    /// All but the ranges in use, given as (first word, words); a range may wrap, and ranges may overlap.
    pub(crate) fn new(used: impl Iterator<Item = (u32, u32)>) -> Self {
        let mut ranges: Vec<(u32, u32)> = Vec::new();
        for (base, len) in used {
            let end = base + len;
            ranges.push((base, end.min(ECMP_WORDS)));
            if end > ECMP_WORDS {
                ranges.push((0, end - ECMP_WORDS));
            }
        }
        ranges.sort_unstable();
        let mut free = BTreeMap::new();
        let mut next = 0;
        for (base, end) in ranges {
            if base > next {
                free.insert(next, base - next);
            }
            next = next.max(end);
        }
        if next < ECMP_WORDS {
            free.insert(next, ECMP_WORDS - next);
        }
        Self { free }
    }

    /// Takes a range from the lowest place it fits in.
    pub(crate) fn allocate(&mut self, len: u32) -> Option<u32> {
        let (&base, &room) = self.free.iter().find(|(_, room)| **room >= len)?;
        self.free.remove(&base);
        if room > len {
            self.free.insert(base + len, room - len);
        }
        Some(base)
    }

    /// Gives a range back; it may wrap.
    pub(crate) fn release(&mut self, base: u32, len: u32) {
        let end = base + len;
        if end > ECMP_WORDS {
            self.release(0, end - ECMP_WORDS);
            return self.release(base, ECMP_WORDS - base);
        }
        let (mut base, mut len) = (base, len);
        if let Some((&before, &room)) = self.free.range(..base).next_back()
            && before + room == base
        {
            self.free.remove(&before);
            base = before;
            len += room;
        }
        if let Some(room) = self.free.remove(&(base + len)) {
            len += room;
        }
        if len > 0 {
            self.free.insert(base, len);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_come_and_go() {
        let mut space = RingSpace::new([(10, 5), (ECMP_WORDS - 2, 4)].into_iter());
        assert_eq!(space.free.values().sum::<u32>(), ECMP_WORDS - 9);
        assert_eq!(space.allocate(8), Some(2));
        assert_eq!(space.allocate(8), Some(15));
        space.release(2, 8);
        space.release(10, 5);
        space.release(15, 8);
        space.release(ECMP_WORDS - 2, 4);
        assert_eq!(space.free, BTreeMap::from([(0, ECMP_WORDS)]));
        assert_eq!(space.allocate(ECMP_WORDS), Some(0));
        assert_eq!(space.allocate(1), None);
    }
}
