//! The digest of a table: by it host and card find out whether they agree on what a table holds, without reading all of it.
//!
//! It is the CRC-64/XZ (polynomial 0x42f0e1eba9ea3693, reflected, begun and ended with all ones) over, for each valid entry in
//! order of index, first the index and then the entry's words, 32 bits each, least significant byte first. Only words that the
//! entry has bits in count: two of an [`crate::table::Ilm`]'s twelve. Of an empty table it is 0.
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
        let valid = |words: &Words| table.desc().has_valid && words[0] & 1 == 1;
        for (index, words) in entries.into_iter().filter(|(_, words)| valid(words)) {
            digest.word(index);
            words[..table.desc().words()].iter().for_each(|word| digest.word(*word));
        }
        digest.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
