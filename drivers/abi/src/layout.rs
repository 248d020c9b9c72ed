//! Version and hash of the layout. The host refuses a card whose major version differs from its own.

use crate::reason::{CardCounter, DropReason};
use crate::regs::REGISTERS;
use crate::table::*;

/// Layout version: major in 31..16 (incompatible change), minor in 15..0 (addition).
pub const VERSION: u32 = 0x0001_0000;

/// Calls `f` with every table-entry type's name, documentation, fields and width.
pub fn for_each_entry(mut f: impl FnMut(&'static str, &'static str, &'static [FieldDesc], u32)) {
    macro_rules! visit { ($($t:ty),*) => { $(f(<$t>::NAME, <$t>::DOC, <$t>::FIELDS, <$t>::BITS);)* }; }
    visit!(
        Vif, Ilm, NextHop, EcmpSlot, HostRoute, Prefix, FipKey, FipMap, FlowKey, Flow, FlowStats,
        VifStats, Counter
    );
}

/// 64-bit FNV-1a over names, positions and codes of everything defined here: equal on both sides or the layouts differ.
#[must_use]
pub fn hash() -> u64 {
    let mut h = 0xcbf2_9ce4_8422_2325_u64;
    let mut eat = |bytes: &[u8]| {
        for &b in bytes {
            h = (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3);
        }
    };
    for_each_entry(|name, _, fields, bits| {
        eat(name.as_bytes());
        eat(&bits.to_le_bytes());
        for f in fields {
            eat(f.name.as_bytes());
            eat(&f.lsb.to_le_bytes());
            eat(&f.width.to_le_bytes());
        }
    });
    for t in TABLES {
        eat(t.name.as_bytes());
        eat(&t.depth.to_le_bytes());
    }
    for r in REGISTERS {
        eat(r.name.as_bytes());
        eat(&r.offset.to_le_bytes());
    }
    for (reason, name, _) in DropReason::ALL {
        eat(name.as_bytes());
        eat(&[*reason as u8]);
    }
    for (counter, name, _) in CardCounter::ALL {
        eat(name.as_bytes());
        eat(&[*counter as u8]);
    }
    h
}
