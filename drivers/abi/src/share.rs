//! Shares of the flow table: which one is whose, and the bucket by which new pairs are counted by time (`docs/datapath.md`,
//! section 9.6).

use crate::age::TICK_LOG2;
use crate::limits::{TUNNEL_SHARE_FIRST, TUNNEL_SHARES};

/// What a pair is in a bucket.
pub const ONE: u32 = 1 << 12;

/// The most pairs that a share can be held to, at once or in its bucket.
pub const PAIRS_MAX: u32 = (1 << 20) - 1;

/// The highest `FlowShare::rate`.
pub const RATE_MAX: u32 = (1 << 24) - 1;

/// The share of a tunnel, by its outer source.
///
/// ```
/// use penstock_abi::share::of_tunnel;
/// assert_eq!(of_tunnel(0x0a12_3456), 256 + (0x456 ^ 0x123 ^ 0x00a));
/// ```
#[must_use]
pub const fn of_tunnel(source: u32) -> u32 {
    TUNNEL_SHARE_FIRST + (source ^ source >> 12 ^ source >> 24) % TUNNEL_SHARES
}

/// `FlowShare::rate` of so many new pairs a second by a clock, at least the lowest that there is (1.2 a second at 322 MHz), at most
/// the highest.
#[must_use]
pub const fn rate(per_second: u32, clock_khz: u32) -> u32 {
    let clock_hz = if clock_khz == 0 { 1 } else { clock_khz as u64 * 1000 };
    let rate = ((per_second as u64 * ONE as u64) << TICK_LOG2).div_ceil(clock_hz);
    if rate > RATE_MAX as u64 { RATE_MAX } else { rate as u32 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::{FlowShare, TableEntry as _};

    #[test]
    fn limits_fill_their_fields() {
        let most = FlowShare { valid: true, pairs: PAIRS_MAX, burst: PAIRS_MAX, rate: RATE_MAX };
        assert_eq!((most.check(), FlowShare::unpack(&most.pack())), (Ok(()), most));
        let more = [
            FlowShare { pairs: PAIRS_MAX + 1, ..most },
            FlowShare { burst: PAIRS_MAX + 1, ..most },
            FlowShare { rate: RATE_MAX + 1, ..most },
        ];
        assert!(more.iter().all(|share| share.check().is_err()));
    }

    #[test]
    fn a_rate_is_never_lower_than_asked_for() {
        // At 2^28 Hz a unit is 2^-12 s, and 1 a second 2^-12 a unit.
        let rates = |per_second: u32| rate(per_second, 268_435);
        assert_eq!([0, 1, 2, 5000].map(rates), [0, 2, 3, 5001]);
        assert_eq!([1, u32::MAX].map(|n| rate(n, 322_266)), [1, RATE_MAX]);
        assert_eq!(rate(1, 0), RATE_MAX);
    }

    #[test]
    fn tunnels_of_a_range_have_shares_of_their_own() {
        let mut seen = [false; TUNNEL_SHARES as usize];
        for node in 0..TUNNEL_SHARES {
            seen[(of_tunnel(0xac1f_4000 | node) - TUNNEL_SHARE_FIRST) as usize] = true;
        }
        assert!(seen.iter().all(|seen| *seen));
    }
}
