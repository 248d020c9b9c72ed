//! How a session is, for whoever asks.

use std::net::Ipv4Addr;
use std::time::Instant;

use super::restart::Absence;
use super::{End, Session, State};
use crate::path::VpnPrefix;
use crate::wire::{Family, Fault};

/// Where a session is, in the words of RFC 4271.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It waits before the next attempt.
    Idle,
    /// It connects.
    Connect,
    /// It waits for the peer's OPEN.
    OpenSent,
    /// It waits for the peer's consent.
    OpenConfirm,
    /// Routes are exchanged.
    Established,
    /// It was stopped.
    Stopped,
}

/// How a session is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Where it is.
    pub phase: Phase,
    /// Since when routes are exchanged.
    pub since: Option<Instant>,
    /// The peer's identifier.
    pub identifier: Option<Ipv4Addr>,
    /// Families that both speak.
    pub families: Vec<Family>,
    /// Routes that the peer has told.
    pub learned: usize,
    /// Prefixes that it took back, or told so badly that they count as taken back, since the session was made.
    pub withdrawn: u64,
    /// The peer has told all its routes, in this connection.
    pub ended: bool,
    /// Its routes are kept though it is away, or has not told them anew yet.
    pub stale: bool,
    /// Prefixes for which there was no room, and one of them.
    pub refused: (u64, Option<VpnPrefix>),
    /// Routes that the peer has been told.
    pub told: usize,
    /// Prefixes that it has yet to be told about.
    pub pending: usize,
    /// It has been told that these are all.
    pub told_all: bool,
    /// Why the last connection ended, if there is none now.
    pub last_end: Option<End>,
    /// What was wrong in the peer's UPDATEs and was borne, and how often.
    pub faults: Vec<(Fault, u64)>,
    /// Messages received.
    pub received: u64,
    /// Messages sent.
    pub sent: u64,
}

impl Session {
    /// How it is.
    #[must_use]
    pub fn status(&self) -> Status {
        let (phase, live) = match &self.state {
            State::Idle { .. } => (Phase::Idle, None),
            State::Connecting { .. } => (Phase::Connect, None),
            State::OpenSent { .. } => (Phase::OpenSent, None),
            State::OpenConfirm(live) => (Phase::OpenConfirm, Some(live)),
            State::Established(live) => (Phase::Established, Some(live)),
            State::Stopped => (Phase::Stopped, None),
        };
        let established = live.filter(|_| phase == Phase::Established);
        Status {
            phase,
            since: established.map(|live| live.since),
            identifier: live.map(|live| live.peer.identifier),
            families: live.map_or_else(Vec::new, |live| live.families.clone()),
            learned: self.input.routes().len(),
            withdrawn: self.input.withdrawn(),
            ended: established.is_some_and(|live| live.ended),
            stale: self.absence != Absence::Nothing && !self.input.routes().is_empty(),
            refused: self.input.refused(),
            told: established.map_or(0, |_| self.output.told()),
            pending: self.output.pending(),
            told_all: established.is_some() && self.output.has_ended(),
            last_end: self.last_end.clone(),
            faults: self.faults.iter().map(|(&fault, &count)| (fault, count)).collect(),
            received: self.messages.0,
            sent: self.messages.1,
        }
    }
}
