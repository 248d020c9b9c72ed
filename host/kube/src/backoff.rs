//! How long to wait before the next attempt: ever longer, and not all nodes at the same moment.

use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

/// Waits that double, each shortened by up to a half.
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    first: Duration,
    last: Duration,
    next: Duration,
}

impl Backoff {
    /// From `first` to `last`.
    pub(crate) fn new(first: Duration, last: Duration) -> Self {
        Self { first, last, next: first }
    }
}

impl Iterator for Backoff {
    type Item = Duration;

    /// There always is a next one.
    fn next(&mut self) -> Option<Duration> {
        let wait = self.next;
        self.next = (wait * 2).min(self.last);
        // A hasher of the standard library has a key by chance.
        let chance = RandomState::new().hash_one(()) % 1024;
        Some(wait / 2 + wait / 2 * u32::try_from(chance).unwrap_or(0) / 1024)
    }
}

impl kube::runtime::utils::Backoff for Backoff {
    fn reset(&mut self) {
        self.next = self.first;
    }
}

#[cfg(test)]
mod tests {
    use kube::runtime::utils::Backoff as _;

    use super::*;

    #[test]
    fn waits_double_up_to_the_last_and_differ() {
        let (first, last) = (Duration::from_millis(100), Duration::from_millis(350));
        let mut backoff = Backoff::new(first, last);
        for full in [100, 200, 350, 350] {
            let full = Duration::from_millis(full);
            let wait = backoff.next().unwrap();
            assert!(wait >= full / 2 && wait < full, "{wait:?} of {full:?}");
        }
        backoff.reset();
        assert!(backoff.next().unwrap() < first);
        let waits: Vec<_> = (0..20).map(|_| Backoff::new(last, last).next().unwrap()).collect();
        assert!(waits.iter().any(|wait| *wait != waits[0]));
    }
}
