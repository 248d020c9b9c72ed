//! The card's time: cycles that are simulated, and cycles that pass at once.

use std::time::Instant;

use penstock_abi::limits::CORE_CLOCK_KHZ;

/// The time of one card.
#[derive(Debug, Default)]
pub(super) struct Time {
    wall: Option<Instant>,
    /// Cycles that the card's time shows.
    shown: u64,
    /// Cycles still to be added.
    skip: u64,
}

impl Time {
    /// From now on it is that of the wall clock.
    pub(super) fn follow_wall_clock(&mut self) {
        self.wall = Some(Instant::now());
    }

    /// It is that of the wall clock.
    pub(super) fn is_of_the_wall(&self) -> bool {
        self.wall.is_some()
    }

    /// Cycles shown.
    pub(super) fn shown(&self) -> u64 {
        self.shown
    }

    /// Adds cycles that are not simulated. A card's time ends after 1,800 years.
    pub(super) fn skip(&mut self, cycles: u64) {
        self.skip = self.skip.saturating_add(cycles).min(u64::MAX / 2);
    }

    /// Cycles are still to be added.
    pub(super) fn is_behind(&self) -> bool {
        self.skip > 0
    }

    /// Looks at the wall clock, if that is followed; says whether cycles are to be added.
    pub(super) fn look(&mut self) -> bool {
        let Some(start) = self.wall else { return false };
        let target = start.elapsed().as_nanos() * u128::from(CORE_CLOCK_KHZ) / 1_000_000;
        let target = u64::try_from(target).unwrap_or(u64::MAX);
        self.skip = target.saturating_sub(self.shown);
        self.skip > 0
    }

    /// One cycle passes; returns those that pass at once with it.
    pub(super) fn tick(&mut self) -> u64 {
        let skip = std::mem::take(&mut self.skip);
        self.shown = self.shown.saturating_add(1 + skip);
        skip
    }
}
