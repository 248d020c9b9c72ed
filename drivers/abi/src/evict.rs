//! Which pairs of flow entries give way to new ones in a table that fills: what the registers `FLOW_PRESSURE1` to `FLOW_PRESSURE3`,
//! `FLOW_KEEP0` and those that follow, and `FLOW_KEEP_PLAIN` say (`docs/datapath.md`, section 9.5).

use crate::age::{STATES, State};
use crate::regs::{FLOW_KEEP_PLAIN, FLOW_KEEP0, FLOW_PRESSURE1};

/// The highest pressure.
pub const PRESSURE_MAX: u8 = 3;
/// The longest rest that a [`Keep`] can ask for, in its units.
pub const TIME_MAX: u32 = (1 << 29) - 1;

/// When a pair gives way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keep {
    /// From which pressure on, 1 to [`PRESSURE_MAX`]; 0: never.
    pub level: u8,
    /// At the highest pressure it does so at any time.
    pub yields: bool,
    /// How long it must have rested, in units of 2^[`crate::age::TICK_LOG2`] cycles; 0: not at all.
    pub time: u32,
}

impl Keep {
    /// The value of its register; a longer time than there can be is the longest.
    #[must_use]
    pub const fn pack(self) -> u32 {
        let time = if self.time > TIME_MAX { TIME_MAX } else { self.time };
        (self.level as u32 & 3) << 30 | (self.yields as u32) << 29 | time
    }

    /// What a register says.
    #[must_use]
    pub const fn unpack(word: u32) -> Self {
        Self { level: (word >> 30) as u8, yields: word >> 29 & 1 == 1, time: word & TIME_MAX }
    }

    /// A pair that has rested so long gives way.
    #[must_use]
    pub const fn gives_way(self, pressure: u8, rested: u32) -> bool {
        self.level != 0
            && pressure >= self.level
            && (rested >= self.time || (self.yields && pressure == PRESSURE_MAX))
    }
}

/// What gives way, and when.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Evictions {
    /// Flow entries in use above which there is pressure 1, 2 and 3; 0: never.
    pub above: [u32; PRESSURE_MAX as usize],
    /// By state.
    pub states: [Keep; STATES],
    /// Besides, of pairs that are plain.
    pub plain: Keep,
}

impl Evictions {
    /// The pressure on a table of which so many entries are in use: the highest whose mark is passed.
    #[must_use]
    pub fn pressure(&self, in_use: u32) -> u8 {
        let passed = |(_, above): &(u8, u32)| *above != 0 && in_use > *above;
        (1..).zip(self.above).filter(passed).map(|(level, _)| level).max().unwrap_or(0)
    }

    /// A pair gives way.
    #[must_use]
    pub fn gives_way(&self, state: State, plain: bool, pressure: u8, rested: u32) -> bool {
        self.states[state as usize].gives_way(pressure, rested)
            || (plain && self.plain.gives_way(pressure, rested))
    }

    /// Every register with its value. What makes the card look comes last.
    pub fn registers(&self) -> impl Iterator<Item = (u32, u32)> {
        let at = |base: u32| (0..).map(move |n: u32| base + 4 * n);
        at(FLOW_KEEP0)
            .zip(self.states.map(Keep::pack))
            .chain([(FLOW_KEEP_PLAIN, self.plain.pack())])
            .chain(at(FLOW_PRESSURE1).zip(self.above))
    }

    /// From what the registers say, in the order of [`Evictions::registers`].
    #[must_use]
    pub fn from_words(words: &[u32; 12]) -> Self {
        Self {
            states: core::array::from_fn(|n| Keep::unpack(words[n])),
            plain: Keep::unpack(words[8]),
            above: core::array::from_fn(|n| words[9 + n]),
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::vec::Vec;

    use super::*;
    use crate::regs::REGISTERS;

    #[test]
    fn registers_say_what_was_written_to_them() {
        let keep = |n: u32| Keep { level: n as u8 % 4, yields: n % 2 == 1, time: TIME_MAX - n };
        let evictions = Evictions {
            above: [1, 200, 260_000],
            states: core::array::from_fn(|n| keep(n as u32)),
            plain: keep(9),
        };
        let (offsets, words): (Vec<u32>, Vec<u32>) = evictions.registers().unzip();
        assert_eq!(Evictions::from_words(&words.try_into().unwrap()), evictions);
        for offset in offsets {
            assert!(REGISTERS.iter().any(|r| r.offset == offset && r.since == 2), "{offset:#x}");
        }
        assert_eq!(Keep { time: u32::MAX, ..Keep::default() }.pack(), TIME_MAX);
    }

    #[test]
    fn pressure_is_the_highest_mark_that_is_passed() {
        let of = |above, in_use| Evictions { above, ..Evictions::default() }.pressure(in_use);
        assert_eq!([9, 10, 11, 21, 31].map(|n| of([10, 20, 30], n)), [0, 0, 1, 2, 3]);
        assert_eq!([9, 100].map(|n| of([0, 0, 0], n)), [0, 0]);
        assert_eq!([0, 1, 2].map(|n| of([0, 0, 1], n)), [0, 0, 3]);
    }

    #[test]
    fn what_rested_gives_way_and_what_yields_at_any_time() {
        let keep = Keep { level: 2, yields: true, time: 10 };
        let at = |pressure, rested| keep.gives_way(pressure, rested);
        assert_eq!((at(1, 100), at(2, 9), at(2, 10), at(3, 0)), (false, false, true, true));
        let stays = Keep { yields: false, ..keep };
        assert_eq!((stays.gives_way(3, 9), stays.gives_way(3, 10)), (false, true));
        assert!(!Keep { level: 0, ..keep }.gives_way(3, 100));
    }
}
