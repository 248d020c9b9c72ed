//! Pauses between attempts that fail: they double, and begin anew only after a success.
//!
//! What is a success is the caller's to say. For an agent it is a reconcile that reached the card whole: a card that can be
//! attached to and refuses the same thing each time must not be asked for it in a loop.

use std::time::Duration;

/// The pauses.
#[derive(Debug)]
pub(crate) struct Backoff {
    next: Duration,
}

impl Backoff {
    /// First pause.
    pub(crate) const MIN: Duration = Duration::from_millis(100);
    /// Longest pause.
    pub(crate) const MAX: Duration = Duration::from_secs(5);

    pub(crate) fn new() -> Self {
        Self { next: Self::MIN }
    }

    /// The pause after one more failure.
    pub(crate) fn failed(&mut self) -> Duration {
        let pause = self.next;
        self.next = (self.next * 2).min(Self::MAX);
        pause
    }

    /// Begins anew.
    pub(crate) fn succeeded(&mut self) {
        self.next = Self::MIN;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_to_a_limit_until_a_success() {
        let mut backoff = Backoff::new();
        let pauses: Vec<_> = (0..8).map(|_| backoff.failed().as_millis()).collect();
        assert_eq!(pauses, [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
        backoff.succeeded();
        assert_eq!(backoff.failed(), Backoff::MIN);
    }
}
