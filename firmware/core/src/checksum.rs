//! The Internet checksum (RFC 1071).

/// A one's complement sum in progress, over data whose parts have even lengths but for the last.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sum(u32);

impl Sum {
    /// Adds bytes as big-endian 16-bit words; an odd last byte counts as the high half of a word.
    #[must_use]
    pub fn with(mut self, bytes: &[u8]) -> Self {
        for pair in bytes.chunks(2) {
            let low = pair.get(1).copied().unwrap_or(0);
            self.0 += u32::from(u16::from_be_bytes([pair[0], low]));
        }
        self
    }

    /// The checksum: the complement of the folded sum.
    #[must_use]
    pub fn finish(self) -> u16 {
        let mut sum = self.0;
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        !(sum as u16)
    }
}
