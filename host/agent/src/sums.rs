//! Counters of 48 bits as totals of 64.
//!
//! A card's bytes of an interface turn over after six hours at 100 Gb/s. They are read each second, so what was counted since the last
//! time is known, and totals go on. A counter that went back by more than that can mean was cleared, or is none but a level (entries in
//! use): it is taken as it stands.

use penstock_abi::table::{Counter, TableId, VifStats};
use penstock_tables::{Entry, Tables};

/// Values of a counter.
const MODULUS: u64 = 1 << 48;
/// More than that is not counted between two readings: at 100 Gb/s it takes over a minute.
const STEP_MAX: u64 = 1 << 40;

/// Totals of a card's counters.
#[derive(Default)]
pub(crate) struct Sums(Option<Read>);

/// The last reading: as it was, and as totals.
struct Read {
    raw: Tables,
    totals: Tables,
}

impl Sums {
    /// Makes totals of counters that were read.
    pub(crate) fn extend(&mut self, counters: &mut Tables) {
        let raw = counters.clone();
        if let Some(last) = &self.0 {
            for table in [TableId::VifStats, TableId::DropStats, TableId::CardStats] {
                for (index, now) in raw.entries(table, ..) {
                    let last = last.raw.entry(table, index).zip(last.totals.entry(table, index));
                    if let Some((before, total)) = last {
                        counters.set(index, total_of(total, before, now));
                    }
                }
            }
        }
        self.0 = Some(Read { raw, totals: counters.clone() });
    }
}

/// An entry's totals, from those of the last reading.
fn total_of(total: Entry, before: Entry, now: Entry) -> Entry {
    match (total, before, now) {
        (Entry::VifStats(total), Entry::VifStats(before), Entry::VifStats(now)) => {
            let sum =
                |field: fn(&VifStats) -> u64| more(field(&total), field(&before), field(&now));
            Entry::VifStats(VifStats {
                rx_packets: sum(|stats| stats.rx_packets),
                rx_bytes: sum(|stats| stats.rx_bytes),
                tx_packets: sum(|stats| stats.tx_packets),
                tx_bytes: sum(|stats| stats.tx_bytes),
                drops: sum(|stats| stats.drops),
            })
        }
        (Entry::DropStats(total), Entry::DropStats(before), Entry::DropStats(now)) => {
            Entry::DropStats(Counter { count: more(total.count, before.count, now.count) })
        }
        (Entry::CardStats(total), Entry::CardStats(before), Entry::CardStats(now)) => {
            Entry::CardStats(Counter { count: more(total.count, before.count, now.count) })
        }
        (_, _, other) => other,
    }
}

/// A total, after a counter that stood at `before` stands at `now`.
fn more(total: u64, before: u64, now: u64) -> u64 {
    let step = now.wrapping_sub(before) % MODULUS;
    if step < STEP_MAX { total.wrapping_add(step) } else { now }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VIF: u32 = 7;

    fn read(sums: &mut Sums, bytes: u64, in_use: u64) -> (u64, u64) {
        let mut counters = Tables::default();
        let stats = VifStats { rx_bytes: bytes % MODULUS, drops: 3, ..VifStats::default() };
        counters.set(VIF, Entry::VifStats(stats));
        counters.set(1, Entry::CardStats(Counter { count: in_use }));
        sums.extend(&mut counters);
        let stats = counters.get::<VifStats>(VIF).copied().unwrap_or_default();
        assert_eq!(stats.drops, 3);
        (stats.rx_bytes, counters.card_stats().at(1).count)
    }

    #[test]
    fn totals_go_on_where_counters_turn_over() {
        let mut sums = Sums::default();
        let mut bytes = MODULUS - 100;
        assert_eq!(read(&mut sums, bytes, 0).0, bytes);
        for _ in 0..600 {
            // More than a turn in all.
            bytes += STEP_MAX - 1;
            assert_eq!(read(&mut sums, bytes, 0).0, bytes);
        }
        assert!(bytes > 3 * MODULUS);
    }

    #[test]
    fn what_was_cleared_or_is_a_level_is_taken_as_it_stands() {
        let mut sums = Sums::default();
        assert_eq!(read(&mut sums, MODULUS + 5_000, 700), (5_000, 700));
        assert_eq!(read(&mut sums, 6_000, 300), (6_000, 300));
        assert_eq!(read(&mut sums, 40, 900), (40, 900));
        assert_eq!(read(&mut sums, 0, 0), (0, 0));
        // One that is read for the first time.
        let mut counters = Tables::default();
        counters.set(9, Entry::VifStats(VifStats { rx_bytes: 8, ..VifStats::default() }));
        sums.extend(&mut counters);
        assert_eq!(counters.get::<VifStats>(9).map(|stats| stats.rx_bytes), Some(8));
    }
}
