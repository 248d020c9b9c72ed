//! The digest of a table: by it host and card find out whether they agree on what a table holds, without reading all of it.
//!
//! It is the CRC-64/XZ (polynomial 0x42f0e1eba9ea3693, reflected, begun and ended with all ones) over, for each valid entry in
//! order of index, first the index and then the entry's words, 32 bits each, least significant byte first. Only words that the
//! entry has bits in count: two of an [`crate::table::Ilm`]'s twelve. Of an empty table it is 0.
//!
//! It is also where to go on: what [`Digest::finish`] says is what [`Digest::resume`] takes, here and on the card
//! ([`crate::ring::Opcode::Digest`]).
//!
//! ```
//! use penstock_abi::digest::Digest;
//! use penstock_abi::table::{Ilm, TableEntry, TableId};
//! let words = Ilm { valid: true, nh: 7, ..Ilm::default() }.pack();
//! let mut digest = Digest::new();
//! for word in [25, words[0], words[1]] {
//!     digest.word(word);
//! }
//! assert_eq!(digest.finish(), Digest::of(TableId::Ilm, [(25, words)]));
//! assert_eq!(Digest::of(TableId::Ilm, []), 0);
//! ```

use crate::table::{TableId, Words};

/// The polynomial, lowest power in the highest bit.
const POLYNOMIAL: u64 = 0xc96c_5795_d787_0f42;

/// What a byte does to the sum.
const BYTES: [u64; 256] = {
    let mut bytes = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut sum = byte as u64;
        let mut bit = 0;
        while bit < 8 {
            sum = (sum >> 1) ^ if sum & 1 == 1 { POLYNOMIAL } else { 0 };
            bit += 1;
        }
        bytes[byte] = sum;
        byte += 1;
    }
    bytes
};

/// The same step as the card takes it, 32 bits at once. First the word is added to the sum's low half; of that half then come
/// 64 bits, bit `j` the parity of the half `& MASKS[j]`, to which the sum's high half is added, moved down.
pub const MASKS: [u32; 64] = {
    let mut masks = [0; 64];
    let mut i = 0;
    while i < 32 {
        // The sum of a word of which only bit `i` is set.
        let mut column = Digest(0);
        column.word(1 << i);
        let mut j = 0;
        while j < 64 {
            masks[j] |= ((column.0 >> j) as u32 & 1) << i;
            j += 1;
        }
        i += 1;
    }
    masks
};

/// A digest in the making.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest(u64);

impl Default for Digest {
    fn default() -> Self {
        Self::new()
    }
}

impl Digest {
    /// Of nothing yet.
    #[must_use]
    pub const fn new() -> Self {
        Self(u64::MAX)
    }

    /// Of what came before, whose digest is `digest`.
    #[must_use]
    pub const fn resume(digest: u64) -> Self {
        Self(!digest)
    }

    /// Takes the next entry in order of index. One that is not valid, or of a table without valid bits, does not count.
    pub fn entry(&mut self, table: TableId, index: u32, words: &Words) {
        let desc = table.desc();
        if desc.has_valid && words[0] & 1 == 1 {
            self.word(index);
            words[..desc.words()].iter().for_each(|word| self.word(*word));
        }
    }

    /// Takes 32 bits.
    pub const fn word(&mut self, word: u32) {
        let mut left = word;
        let mut byte = 0;
        while byte < 4 {
            self.byte(left as u8);
            left >>= 8;
            byte += 1;
        }
    }

    const fn byte(&mut self, byte: u8) {
        self.0 = (self.0 >> 8) ^ BYTES[((self.0 as u8) ^ byte) as usize];
    }

    /// The digest of what was taken.
    #[must_use]
    pub const fn finish(self) -> u64 {
        !self.0
    }

    /// The digest of a table that holds `entries`, which are in order of index; those that are not valid do not count. Tables
    /// without valid bits (counters) have no digest: 0.
    #[must_use]
    pub fn of(table: TableId, entries: impl IntoIterator<Item = (u32, Words)>) -> u64 {
        let mut digest = Self::new();
        entries.into_iter().for_each(|(index, words)| digest.entry(table, index, &words));
        digest.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::{Ilm, TableEntry as _};

    #[test]
    fn the_sum_is_that_of_the_catalogue() {
        let mut digest = Digest::new();
        b"123456789".iter().for_each(|byte| digest.byte(*byte));
        assert_eq!(digest.finish(), 0x995d_c9bb_df19_39fa);
        // Words are taken least significant byte first.
        let mut words = Digest::new();
        words.word(0x3433_3231);
        words.word(0x3837_3635);
        words.byte(b'9');
        assert_eq!(words.finish(), digest.finish());
    }

    #[test]
    fn the_masks_make_the_same_step() {
        let mut digest = Digest::resume(0x0123_4567_89ab_cdef);
        for word in [0, 1, 0x8000_0000, 0xdead_beef, u32::MAX] {
            let low = digest.0 as u32 ^ word;
            let step = MASKS
                .iter()
                .enumerate()
                .fold(0, |step, (j, mask)| step | u64::from((low & mask).count_ones() & 1) << j);
            let expected = digest.0 >> 32 ^ step;
            digest.word(word);
            assert_eq!(digest.0, expected, "{word:#x}");
        }
        // As in the bench of the RTL.
        let mut words = Digest::new();
        for word in [*b"1234", *b"5678", *b"9abc"] {
            words.word(u32::from_le_bytes(word));
        }
        assert_eq!(words.finish(), 0x5a06_2275_250c_b126);
    }

    #[test]
    fn it_goes_on_where_it_ended() {
        let entry = |nh| Ilm { valid: true, nh, ..Ilm::default() }.pack();
        let entries = [(16, entry(3)), (17, Words::default()), (25, entry(4)), (8191, entry(5))];
        let whole = Digest::of(TableId::Ilm, entries);
        for split in 0..=entries.len() {
            let before = Digest::of(TableId::Ilm, entries[..split].iter().copied());
            let mut rest = Digest::resume(before);
            entries[split..].iter().for_each(|(i, words)| rest.entry(TableId::Ilm, *i, words));
            assert_eq!(rest.finish(), whole, "{split}");
        }
    }

    #[test]
    fn what_is_not_valid_does_not_count() {
        let mut hole = Words::default();
        hole[0] = 0x100;
        assert_eq!(Digest::of(TableId::Ecmp, [(3, hole)]), 0);
        hole[0] |= 1;
        assert_ne!(Digest::of(TableId::Ecmp, [(3, hole)]), 0);
        assert_ne!(Digest::of(TableId::Ecmp, [(3, hole)]), Digest::of(TableId::Ecmp, [(4, hole)]));
        assert_eq!(Digest::of(TableId::DropStats, [(3, hole)]), 0);
    }
}
