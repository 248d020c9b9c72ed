//! An image as it is stored, and which of them is started.
//!
//! Four words of header stand before an image: magic, CRC-32 of all that follows the CRC, bytes of the image, version of its interface.
//! Whether an image is whole is a question to words wherever they are, so that the update, the boot stub (of what it copied) and the
//! host ask the same function.

use crate::fw::{self, Boot};

/// Header word: the CRC.
pub const CRC: usize = 1;
/// Header word: bytes of the image.
pub const BYTES: usize = 2;
/// Header word: version.
pub const VERSION: usize = 3;
/// Words of the header.
pub const HEADER_WORDS: usize = fw::IMAGE_HEADER_BYTES as usize / 4;

/// CRC-32 of Ethernet, gzip and zlib, over words in little-endian order.
#[derive(Clone, Copy, Debug)]
pub struct Crc(u32);

impl Default for Crc {
    fn default() -> Self {
        Self(u32::MAX)
    }
}

const TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut i = 0;
    while i < 256 {
        let mut crc = i as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = crc >> 1 ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 };
            bit += 1;
        }
        table[i] = crc;
        i += 1;
    }
    table
};

impl Crc {
    /// Takes the next word.
    pub fn eat(&mut self, word: u32) {
        self.0 ^= word;
        for _ in 0..4 {
            self.0 = self.0 >> 8 ^ TABLE[(self.0 & 0xff) as usize];
        }
    }

    /// The CRC.
    #[must_use]
    pub fn finish(self) -> u32 {
        !self.0
    }
}

/// Bytes of the image behind this header, if it can be one.
#[must_use]
pub fn length(header: &[u32; HEADER_WORDS]) -> Option<u32> {
    let bytes = header[BYTES];
    let fits = bytes > 0
        && bytes.is_multiple_of(4)
        && bytes <= fw::IMAGE_BYTES_MAX - fw::IMAGE_HEADER_BYTES;
    (header[0] == fw::IMAGE_MAGIC && fits).then_some(bytes)
}

/// CRC-32 that the header of an image must name: of the header's other words, and of the image's.
#[must_use]
pub fn crc(header: &[u32; HEADER_WORDS], image: impl Iterator<Item = u32>) -> u32 {
    let mut crc = Crc::default();
    header[CRC + 1..].iter().for_each(|word| crc.eat(*word));
    image.for_each(|word| crc.eat(word));
    crc.finish()
}

/// What the boot stub starts, given what is chosen and how often in a row the firmware has died: an update that does not live is
/// not started for ever.
#[must_use]
pub fn choose(chosen: u32, deaths_in_a_row: u32) -> Boot {
    match Boot::from_u8(chosen as u8) {
        Some(Boot::Update) if deaths_in_a_row >= fw::IMAGE_DEATHS_MAX => Boot::Died,
        Some(boot) => boot,
        None => Boot::Golden,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_crc_is_that_of_zlib() {
        let crc = |words: &[u32]| {
            let mut crc = Crc::default();
            words.iter().for_each(|word| crc.eat(*word));
            crc.finish()
        };
        assert_eq!(crc(&[]), 0);
        // zlib.crc32(b"12345678")
        assert_eq!(crc(&[0x3433_3231, 0x3837_3635]), 0x9ae0_daaf);
    }

    #[test]
    fn a_length_that_cannot_be_is_none() {
        let of = |magic, bytes| length(&[magic, 0, bytes, 0]);
        assert_eq!(of(fw::IMAGE_MAGIC, 8), Some(8));
        assert_eq!(of(fw::IMAGE_MAGIC, 0x3ff0), Some(0x3ff0));
        for bytes in [0, 6, 0x3ff4, !3] {
            assert_eq!(of(fw::IMAGE_MAGIC, bytes), None, "{bytes}");
        }
        assert_eq!(of(0, 8), None);
    }

    #[test]
    fn an_update_is_started_until_it_has_died_too_often() {
        let update = Boot::Update as u32;
        for deaths in 0..fw::IMAGE_DEATHS_MAX {
            assert_eq!(choose(update, deaths), Boot::Update);
        }
        assert_eq!(choose(update, fw::IMAGE_DEATHS_MAX), Boot::Died);
        assert_eq!(choose(Boot::Died as u32, 0), Boot::Died);
        assert_eq!(choose(Boot::Golden as u32, 99), Boot::Golden);
        assert_eq!(choose(77, 0), Boot::Golden);
    }
}
