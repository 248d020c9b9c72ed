//! What becomes of a peer's routes while it is away, and after its return (RFC 4724, 8538, 9494).

use std::time::{Duration, Instant};

use super::adj_in::AdjIn;
use super::{End, Live, SessionConfig};
use crate::wire::GracefulRestart;

/// Whether routes of a peer are kept that it does not vouch for at the moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Absence {
    /// None are.
    #[default]
    Nothing,
    /// It is away, and expected to be back by then; after that, its routes are kept for so much longer as worse than others.
    Restarting { until: Instant, long_lived: Option<Duration> },
    /// It has been away for long. Its routes go then.
    LongLived { until: Instant },
    /// It is back. What it has not told anew by then, or by the end of its routes, goes.
    Back { until: Instant },
}

impl Absence {
    pub(super) fn until(&self) -> Option<Instant> {
        match *self {
            Self::Nothing => None,
            Self::Restarting { until, .. } | Self::LongLived { until } | Self::Back { until } => {
                Some(until)
            }
        }
    }

    pub(super) fn elapsed(&mut self, input: &mut AdjIn, now: Instant) {
        if self.until().is_none_or(|until| now < until) {
            return;
        }
        *self = match *self {
            Self::Restarting { until, long_lived: Some(long) } => {
                input.age();
                Self::LongLived { until: until + long }
            }
            Self::Restarting { .. } | Self::LongLived { .. } => {
                input.clear();
                Self::Nothing
            }
            Self::Back { .. } => {
                input.sweep();
                Self::Nothing
            }
            Self::Nothing => Self::Nothing,
        };
    }

    /// The session with the peer ended.
    pub(super) fn away(
        &mut self,
        input: &mut AdjIn,
        live: &Live,
        end: &End,
        config: &SessionConfig,
        now: Instant,
    ) {
        let graceful = live.peer.graceful.as_ref().filter(|graceful| graceful.vpn().is_some());
        let kept = match (graceful, end) {
            (None, _) => false,
            // This speaker says in each OPEN that it keeps routes over notifications.
            (Some(graceful), End::Sent(notification) | End::Received(notification)) => {
                graceful.notifications && !notification.is_hard()
            }
            (Some(_), _) => true,
        };
        let Some(graceful) = graceful.filter(|_| kept) else {
            input.clear();
            *self = Self::Nothing;
            return;
        };
        // What was stale when it was back last and has not been told since goes now (RFC 4724 section 4.2).
        if matches!(self, Self::Back { .. }) {
            input.sweep();
        }
        // From now on all that is there is of an earlier round.
        input.begin_round();
        let restart = Duration::from_secs(graceful.seconds.into()).min(config.longest_stale);
        let long = live.peer.long_lived_seconds.filter(|&seconds| seconds > 0);
        let long = long.map(|seconds| Duration::from_secs(seconds.into()));
        let long_lived = long.zip(config.long_lived).map(|(theirs, ours)| theirs.min(ours));
        *self = Self::Restarting { until: now + restart, long_lived };
    }

    /// The peer is back; it says how it restarted.
    pub(super) fn back(
        &mut self,
        input: &mut AdjIn,
        graceful: Option<&GracefulRestart>,
        longest: Duration,
        now: Instant,
    ) {
        if *self == Self::Nothing {
            return;
        }
        if graceful.and_then(GracefulRestart::vpn) == Some(true) {
            *self = Self::Back { until: now + longest };
        } else {
            // Packets to it went nowhere meanwhile.
            input.clear();
            *self = Self::Nothing;
        }
    }

    /// The peer has told all its routes.
    pub(super) fn end(&mut self, input: &mut AdjIn) {
        if let Self::Back { .. } = self {
            input.sweep();
            *self = Self::Nothing;
        }
    }
}
