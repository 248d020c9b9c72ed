//! Damage: what a packet or frame may have wrong, each seldom.

use penstock_abi::limits::FRAME_MAX_BYTES;

use super::Rng;
use crate::checksum::checksum;

/// Damages an IPv4 packet, once in about twelve times. Header checksums are mostly put right again, so that the damage
/// itself is judged.
pub(super) fn packet(rng: &mut Rng, p: &mut Vec<u8>) {
    if !rng.one_in(12) {
        return;
    }
    match rng.below(8) {
        0 => p[0] = p[0] & 0x0f | (rng.below(16) as u8) << 4,
        1 => p[0] = p[0] & 0xf0 | rng.below(16) as u8,
        2 => {
            let total = rng.below(p.len() as u64 + 8) as u16;
            p[2..4].copy_from_slice(&total.to_be_bytes());
        }
        3 => {
            // Cut short, lengths in agreement: layer 4 may be incomplete.
            let n = (20 + rng.below(24) as usize).min(p.len());
            p.truncate(n);
            p[2..4].copy_from_slice(&(n as u16).to_be_bytes());
        }
        4 => p[16] = rng.of([0, 224, 239, 240, 255, 1, 223]),
        5 => {
            p[10] ^= 1 << rng.below(8);
            return;
        }
        6 => p[9] = rng.of([1, 6, 17, 132, 47, 0, 255]),
        _ => {
            let at = rng.below(p.len().min(60) as u64) as usize;
            p[at] ^= 1 << rng.below(8);
        }
    }
    if !rng.one_in(10) {
        let header = (usize::from(p[0] & 0xf) * 4).clamp(20, 60).min(p.len());
        p[10..12].fill(0);
        let sum = checksum(&p[..header]);
        p[10..12].copy_from_slice(&sum.to_be_bytes());
    }
}

/// Pads, cuts or spoils a frame, each seldom; the length stays at least 1.
pub(super) fn frame(rng: &mut Rng, f: &mut Vec<u8>, big: bool) {
    match rng.below(60) {
        0..=9 => {
            // Padding to the Ethernet minimum, or more than that, not zero.
            let n = (60usize).max(f.len() + rng.below(20) as usize);
            let fill = rng.bits() as u8;
            f.resize(n, fill);
        }
        10 => f.truncate(rng.between(1, f.len() as u64) as usize),
        11 => f.truncate(rng.between(1, 80) as usize),
        12 => {
            let at = rng.below(f.len().min(80) as u64) as usize;
            f[at] = rng.bits() as u8;
        }
        13 if big && rng.one_in(4) => {
            let n = FRAME_MAX_BYTES - 2 + rng.below(5) as usize;
            f.resize(n, 0xee);
        }
        _ => {}
    }
}
