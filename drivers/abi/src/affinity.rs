//! Session affinity: how long entries of the table `Affinity` count (`docs/datapath.md`, section 9.7).
//!
//! Times are in units of 2^26 cycles of card time, 0.2 s at 322 MHz, and counted modulo 2^20, 61 hours.

use crate::limits::AFFINITY_ROWS_LOG2;
use crate::table::Affinity;

/// A unit of all times here, in cycles of card time, as a power of two.
pub const UNIT_LOG2: u32 = 26;
/// Bits of a time.
pub const TIME_BITS: u32 = 20;
/// The longest time-out that a host sets: a day, the longest that Kubernetes has, at up to 400 MHz. What is left of the counter's round
/// is the card's to find what has expired.
pub const TIME_MAX: u32 = 1 << (TIME_BITS - 1);

const MASK: u32 = (1 << TIME_BITS) - 1;

// The card looks at a row in each unit: what has expired is found before it would count again.
const _: () = assert!(TIME_MAX + (1 << AFFINITY_ROWS_LOG2) < MASK);

/// Card time in units, as `Affinity::last` has it.
#[must_use]
pub const fn units(cycles: u64) -> u32 {
    (cycles >> UNIT_LOG2) as u32 & MASK
}

/// What the hash of a packet with affinity is exclusive-ored with, so that a client that was forgotten is sent anywhere: the time in
/// units, the lowest bit first, from bit 31 on down.
#[must_use]
pub const fn client_lot(now: u32) -> u32 {
    (now & MASK).reverse_bits()
}

/// A time-out in units of a clock, never shorter than asked for, but at most [`TIME_MAX`].
#[must_use]
pub const fn timeout(seconds: u32, clock_khz: u32) -> u32 {
    let units = (seconds as u64 * clock_khz as u64 * 1000).div_ceil(1 << UNIT_LOG2);
    if units > TIME_MAX as u64 { TIME_MAX } else { units as u32 }
}

impl Affinity {
    /// Units that have gone by since it was last made or renewed.
    #[must_use]
    pub const fn age(&self, now: u32) -> u32 {
        now.wrapping_sub(self.last) & MASK
    }

    /// Whether it counts no more.
    #[must_use]
    pub const fn has_expired(&self, now: u32) -> bool {
        self.age(now) > self.timeout
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::CORE_CLOCK_KHZ;
    use crate::table::{NextHop, NextHopKind, TableEntry as _};

    #[test]
    fn a_timeout_is_never_shorter_than_asked_for() {
        let of = |seconds: u32| timeout(seconds, CORE_CLOCK_KHZ);
        assert_eq!([0, 1, 10_800, 86_400].map(of), [0, 5, 51_864, 414_905]);
        assert_eq!(timeout(1, 67_108), 1);
        assert_eq!((timeout(86_400, 400_000), of(u32::MAX)), (514_985, TIME_MAX));
        for second in [1, 7, 10_800, 86_400] {
            // Made at the end of a unit, asked at the last moment.
            let made = (1 << UNIT_LOG2) - 1;
            let asked = made + u64::from(second) * u64::from(CORE_CLOCK_KHZ) * 1000;
            let entry = Affinity { last: units(made), timeout: of(second), ..Affinity::default() };
            assert!(!entry.has_expired(units(asked)), "{second} s");
        }
    }

    #[test]
    fn the_counter_goes_round() {
        let entry = Affinity { last: MASK - 2, timeout: 5, ..Affinity::default() };
        assert_eq!([0, 1, 2, 3].map(|now| entry.age(now)), [3, 4, 5, 6]);
        assert_eq!([2, 3].map(|now| entry.has_expired(now)), [false, true]);
    }

    #[test]
    fn a_groups_timeout_stands_where_a_tunnel_has_its_source() {
        let group = NextHop { kind: NextHopKind::Composite, ..NextHop::default() };
        let timed = group.with_affinity_time(MASK);
        assert_eq!((timed.affinity_time(), group.affinity_time()), (MASK, 0));
        assert_eq!((timed.sip, timed.with_affinity_time(0)), (MASK, group));
        assert_eq!(NextHop::unpack(&timed.pack()), timed);
        let tunnel = NextHop { kind: NextHopKind::Tunnel, sip: 0x0aa9_1915, ..group };
        assert_eq!(tunnel.affinity_time(), 0);
    }
}
