//! What the firmware's ELF file puts into memory.

use anyhow::{Context as _, Result, anyhow, bail};
use object::LittleEndian;
use object::elf::{FileHeader32, PT_LOAD};
use object::read::elf::{FileHeader as _, ProgramHeader as _};

/// No image is larger than this; a bad address would otherwise make a huge one.
const LIMIT_BYTES: usize = 1 << 20;

/// The memory from address 0 on that the file's loadable segments fill (at their load addresses), as words. What
/// lies between them is 0.
///
/// # Errors
/// The file is no 32-bit little-endian ELF file, or is cut.
pub(crate) fn words(file: &[u8]) -> Result<Vec<u32>> {
    let header = FileHeader32::<LittleEndian>::parse(file).context("not a 32-bit ELF file")?;
    let endian = header.endian().context("not a little-endian ELF file")?;
    let segments = header.program_headers(endian, file).context("the file is cut")?;
    let mut memory = Vec::new();
    for segment in segments.iter().filter(|segment| segment.p_type(endian) == PT_LOAD) {
        let bytes = segment.data(endian, file).map_err(|()| anyhow!("the file is cut"))?;
        if bytes.is_empty() {
            continue;
        }
        let address = segment.p_paddr(endian) as usize;
        let end = address + bytes.len();
        if end > LIMIT_BYTES {
            bail!("a segment reaches up to {end:#x}");
        }
        if memory.len() < end {
            memory.resize(end.next_multiple_of(4), 0);
        }
        memory[address..end].copy_from_slice(bytes);
    }
    let words = memory.as_chunks().0;
    Ok(words.iter().map(|bytes| u32::from_le_bytes(*bytes)).collect())
}

#[cfg(test)]
mod tests {
    use super::words;

    /// A file with one loadable segment of these bytes at this address, and one that is not loaded.
    fn file(address: u32, bytes: &[u8]) -> Vec<u8> {
        let mut file = b"\x7fELF\x01\x01\x01".to_vec();
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
        let mut other = good.clone();
        other[5] = 2;
        assert!(words(&other).is_err(), "big endian");
        assert!(words(&file(u32::MAX - 8, &[1, 2, 3, 4])).is_err(), "beyond any memory");
    }
}
