//! Which of several numbers is taken next. Pure.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// How long a number rests that was on the card: until nobody sends to whoever had it.
pub const REST: Duration = Duration::from_secs(5 * 60);

/// When numbers became free, in seconds since 1970. One that is not here has been free for ever.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Freed(BTreeMap<u32, u64>);

/// No number is free.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shortage {
    /// Numbers that would do.
    pub wanted: usize,
    /// Those of them that somebody has.
    pub taken: usize,
    /// Those of them that rest.
    pub resting: usize,
    /// Seconds until the first of these is free.
    pub next_seconds: Option<u64>,
}

impl fmt::Display for Shortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { wanted, taken, resting, next_seconds } = self;
        write!(f, "of {wanted}, {taken} are in use and {resting} rest")?;
        match next_seconds {
            Some(seconds) => write!(f, "; the next is free in {seconds} s"),
            None => Ok(()),
        }
    }
}

impl Freed {
    pub(crate) fn new(freed: BTreeMap<u32, u64>) -> Self {
        Self(freed)
    }

    pub(crate) fn set(&mut self, number: u32, at: u64) {
        self.0.insert(number, at);
    }

    /// What became free later than now, by a clock that has been set back since, becomes free now.
    pub(crate) fn settle(&mut self, now: u64) {
        self.0.values_mut().for_each(|at| *at = (*at).min(now));
    }

    /// The number that is free for longest, the lowest of several.
    pub(crate) fn pick(
        &self,
        wanted: impl IntoIterator<Item = u32>,
        is_taken: impl Fn(u32) -> bool,
        now: u64,
    ) -> Result<u32, Shortage> {
        let mut shortage = Shortage::default();
        let mut best = None;
        for number in wanted {
            shortage.wanted += 1;
            let freed = self.0.get(&number).copied();
            let free_at = freed.map_or(0, |at| at.saturating_add(REST.as_secs()));
            if is_taken(number) {
                shortage.taken += 1;
            } else if free_at > now {
                shortage.resting += 1;
                let left = free_at - now;
                shortage.next_seconds = Some(shortage.next_seconds.map_or(left, |s| s.min(left)));
            } else {
                let rank = (freed.unwrap_or(0), number);
                best = Some(best.map_or(rank, |best| rank.min(best)));
            }
        }
        best.map(|(_, number)| number).ok_or(shortage)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const SECONDS: u64 = REST.as_secs();

    #[test]
    fn the_longest_free_comes_first_and_what_rests_does_not_come() {
        let freed = Freed::new([(3, 1000), (4, 900), (5, 2000)].into());
        let pick = |now| freed.pick(3..=5, |_| false, now);
        assert_eq!(pick(2000), Ok(4));
        assert_eq!(freed.pick(3..=6, |_| false, 2000), Ok(6), "never used");
        assert_eq!(freed.pick(3..=5, |n| n == 4, 2000), Ok(3));
        let shortage = freed.pick(3..=5, |n| n != 5, 2000).unwrap_err();
        let expected = Shortage { wanted: 3, taken: 2, resting: 1, next_seconds: Some(SECONDS) };
        assert_eq!(shortage, expected);
        assert_eq!(freed.pick(3..=5, |n| n != 5, 2000 + SECONDS), Ok(5));
        assert_eq!(
            shortage.to_string(),
            "of 3, 2 are in use and 1 rest; the next is free in 300 s"
        );
    }

    #[test]
    fn a_clock_that_was_set_back_lets_nothing_rest_for_longer() {
        let mut freed = Freed::new([(3, 1_000_000)].into());
        freed.settle(1000);
        assert!(freed.pick(3..4, |_| false, 1000 + SECONDS - 1).is_err());
        assert_eq!(freed.pick(3..4, |_| false, 1000 + SECONDS), Ok(3));
    }
}
