//! One's complement checksums: whole (RFC 1071) and by difference (RFC 1624, equation 3).

/// Folds carries back until the sum fits 16 bits.
#[must_use]
pub const fn fold(mut sum: u64) -> u16 {
    while sum >> 16 != 0 {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

/// Unfolded sum of big-endian 16-bit words; an odd last byte counts as the high half of a word.
#[must_use]
pub fn sum_words(bytes: &[u8]) -> u64 {
    bytes.chunks(2).map(|c| u64::from(c[0]) << 8 | c.get(1).map_or(0, |&b| u64::from(b))).sum()
}

/// Sum of the two words of an address.
#[must_use]
pub const fn sum_addr(addr: u32) -> u64 {
    (addr >> 16) as u64 + (addr & 0xffff) as u64
}

/// The checksum field for these bytes, whose own checksum field is 0.
#[must_use]
pub fn checksum(bytes: &[u8]) -> u16 {
    !fold(sum_words(bytes))
}

/// The layer-4 checksum field for `segment` (checksum field 0) under the IPv4 pseudo header.
#[must_use]
pub fn l4_checksum(sip: u32, dip: u32, proto: u8, segment: &[u8]) -> u16 {
    !fold(
        sum_addr(sip)
            + sum_addr(dip)
            + u64::from(proto)
            + segment.len() as u64
            + sum_words(segment),
    )
}

/// Incremental update: `HC' = ~(~HC + ~m + m')` over all changes, folded at the end.
#[derive(Clone, Copy, Debug)]
pub struct Update(u64);

impl Update {
    /// Starts from the checksum as found.
    #[must_use]
    pub fn new(old_checksum: u16) -> Self {
        Self(u64::from(!old_checksum))
    }

    /// One 16-bit word is rewritten, perhaps to the same value.
    pub fn word(&mut self, old: u16, new: u16) {
        self.0 += u64::from(!old) + u64::from(new);
    }

    /// Both words of an address are rewritten.
    pub fn addr(&mut self, old: u32, new: u32) {
        self.word((old >> 16) as u16, (new >> 16) as u16);
        self.word(old as u16, new as u16);
    }

    /// The new checksum.
    #[must_use]
    pub fn finish(self) -> u16 {
        !fold(self.0)
    }

    /// The new checksum of UDP, where 0 would mean "none".
    #[must_use]
    pub fn finish_udp(self) -> u16 {
        match self.finish() {
            0 => 0xffff,
            sum => sum,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 1624, section 4: equation 3 gives 0x0000 where equation 2 gave 0xffff.
    #[test]
    fn rfc_1624_example() {
        let mut u = Update::new(0xdd2f);
        u.word(0x5555, 0x3285);
        assert_eq!(u.finish(), 0x0000);
    }

    #[test]
    fn rewriting_a_word_to_itself_normalises_ones() {
        let mut u = Update::new(0xffff);
        assert_eq!(u.finish(), 0xffff);
        u.word(0x1234, 0x1234);
        assert_eq!(u.finish(), 0);
        assert_eq!(u.finish_udp(), 0xffff);
    }

    #[test]
    fn odd_tail_counts_as_high_byte() {
        assert_eq!(checksum(&[0x12, 0x34, 0x56]), !0x6834);
    }
}
