//! What a session is told once.

use std::net::Ipv4Addr;
use std::time::Duration;

/// A peer, and how to speak to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionConfig {
    /// This speaker's AS.
    pub local_as: u32,
    /// The AS in which the peer must be.
    pub peer_as: u32,
    /// This speaker's identifier, unique among all that it meets; the node's address.
    pub identifier: Ipv4Addr,
    /// Longest silence of the peer before it is given up; 0 = never, else at least 3 s. The lower of both sides' counts.
    pub hold_time: Duration,
    /// Wait before the first new attempt to connect; it doubles with each that fails, up to [`SessionConfig::LONGEST_RETRY`].
    pub retry: Duration,
    /// Which route targets are wanted is told to the peer, and its wishes are heeded (RFC 4684), if it can do so too.
    pub target_constraint: bool,
    /// How long the peer's wishes are waited for, before all routes are sent that match those known by then.
    pub target_wait: Duration,
    /// How long this speaker takes to be back when it is started again, up to 4095 s; the peer keeps the routes meanwhile.
    pub restart_time: Duration,
    /// How long the peer keeps them after that, as worse than all others (RFC 9494); up to 24 bits of seconds, none = not at all.
    pub long_lived: Option<Duration>,
    /// Longest time for which the peer's own routes are kept while it is away, and after its return until it has sent all again;
    /// whatever it says of itself.
    pub longest_stale: Duration,
    /// How much is kept of the peer: a prefix counts as one, and one more for each eight communities of its path.
    pub most_routes: usize,
}

impl SessionConfig {
    /// Longest wait between attempts to connect.
    pub const LONGEST_RETRY: Duration = Duration::from_secs(120);
    /// When the routes of a peer that does not say which are the last (RFC 4724 section 2) are taken for all.
    pub const SETTLE_WITHOUT_END: Duration = Duration::from_secs(10);
    /// Longest wait for an answer to a connection attempt or to an OPEN.
    pub const PATIENCE: Duration = Duration::from_secs(30);

    /// What is usual.
    #[must_use]
    pub fn new(local_as: u32, peer_as: u32, identifier: Ipv4Addr) -> Self {
        Self {
            local_as,
            peer_as,
            identifier,
            hold_time: Duration::from_secs(90),
            retry: Duration::from_secs(2),
            target_constraint: true,
            target_wait: Duration::from_secs(60),
            restart_time: Duration::from_secs(300),
            long_lived: Some(Duration::from_secs(86_400)),
            longest_stale: Duration::from_secs(600),
            most_routes: 1_000_000,
        }
    }

    /// The peer is of the same AS.
    #[must_use]
    pub fn is_internal(&self) -> bool {
        self.local_as == self.peer_as
    }
}
