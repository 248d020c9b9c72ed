//! Just enough of ELF to load the firmware: 32 bits, little endian, program headers.

use anyhow::{Context as _, Result, bail};

const MAGIC: &[u8] = b"\x7fELF\x01\x01";
const PROGRAM_HEADERS: usize = 28;
const PROGRAM_HEADER_BYTES: usize = 42;
const PROGRAM_HEADER_COUNT: usize = 44;
const PT_LOAD: u32 = 1;
/// No image is larger than this; a bad address would otherwise make a huge one.
const LIMIT_BYTES: usize = 1 << 20;

/// The memory from address 0 on that the file's loadable segments fill (at their load addresses), as words. What
/// lies between them is 0.
///
/// # Errors
/// The file is no such ELF file, or is cut.
pub(crate) fn words(file: &[u8]) -> Result<Vec<u32>> {
    if !file.starts_with(MAGIC) {
        bail!("not a 32-bit little-endian ELF file");
    }
    let word = |at: usize| -> Result<u32> {
        let bytes = file.get(at..at + 4).context("the file is cut")?;
        Ok(u32::from_le_bytes(bytes.try_into()?))
    };
    let half = |at: usize| Ok::<_, anyhow::Error>((word(at)? & 0xffff) as usize);
    let (headers, bytes) = (word(PROGRAM_HEADERS)? as usize, half(PROGRAM_HEADER_BYTES)?);
    let mut memory = Vec::new();
    for index in 0..half(PROGRAM_HEADER_COUNT)? {
        let header = headers + index * bytes;
        if word(header)? != PT_LOAD {
            continue;
        }
        let offset = word(header + 4)? as usize;
        let address = word(header + 12)? as usize;
        let length = word(header + 16)? as usize;
        if length == 0 {
            continue;
        }
        let end = address + length;
        if end > LIMIT_BYTES {
            bail!("a segment reaches up to {end:#x}");
        }
        if memory.len() < end {
            memory.resize(end.next_multiple_of(4), 0);
        }
        let segment = file.get(offset..offset + length).context("the file is cut")?;
        memory[address..end].copy_from_slice(segment);
    }
    let words = memory.as_chunks().0;
    Ok(words.iter().map(|bytes| u32::from_le_bytes(*bytes)).collect())
}

#[cfg(test)]
mod tests {
    use super::words;

    /// A file with one loadable segment of these bytes at this address, and one that is not loaded.
    fn file(address: u32, bytes: &[u8]) -> Vec<u8> {
        let mut file = b"\x7fELF\x01\x01".to_vec();
        file.resize(52, 0);
        file[28..32].copy_from_slice(&52_u32.to_le_bytes());
        file[42..44].copy_from_slice(&32_u16.to_le_bytes());
        file[44..46].copy_from_slice(&2_u16.to_le_bytes());
        for kind in [4, 1] {
            for word in [kind, 116, 0xdead_0000, address, bytes.len() as u32, 0, 0, 0] {
                file.extend(word.to_le_bytes());
            }
        }
        file.extend(bytes);
        file
    }

    #[test]
    fn segments_lie_at_their_load_address() {
        let words = words(&file(6, &[1, 2, 3])).expect("valid");
        assert_eq!(words, [0, 0x0201_0000, 0x0000_0003]);
    }

    #[test]
    fn bad_files_are_refused() {
        let good = file(0, &[1, 2, 3, 4]);
        assert!(words(&good).is_ok());
        assert!(words(&good[..good.len() - 1]).is_err(), "cut segment");
        assert!(words(&good[..60]).is_err(), "cut header");
        assert!(words(&good[1..]).is_err(), "no magic");
        assert!(words(&file(u32::MAX - 8, &[1, 2, 3, 4])).is_err(), "beyond any memory");
    }
}
