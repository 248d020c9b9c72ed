//! Memory self-test: MATS+ with each word's own address as its pattern.
//!
//! `up: write A; up: read A, write !A; down: read !A, write PAINT`, where `A` is the word's address. Both values
//! in every bit find stuck bits; the address as pattern and the two directions find decoder faults (two addresses, one
//! word). Five accesses a word keep the boot short. What is left behind is [`PAINT`], by which the image later
//! measures how deep the stack went.

use crate::{Hw, Region, SelfTestFailed};

/// What a tested memory is filled with.
pub const PAINT: u32 = 0x5a17_ac5e;

/// Tests a region, destroying what it holds.
pub(crate) fn march<H: Hw>(hw: &mut H, region: Region) -> Result<(), SelfTestFailed> {
    let (start, words) = hw.region(region);
    let end = start + 4 * words as u32;

    let mut address = start;
    while address != end {
        hw.region_write(address, address);
        address += 4;
    }
    address = start;
    while address != end {
        if hw.region_read(address) != address {
            return Err(SelfTestFailed { address });
        }
        hw.region_write(address, !address);
        address += 4;
    }
    while address != start {
        address -= 4;
        if hw.region_read(address) != !address {
            return Err(SelfTestFailed { address });
        }
        hw.region_write(address, PAINT);
    }
    Ok(())
}
