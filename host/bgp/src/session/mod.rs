//! One peer: a state machine between what arrives and what is to be sent (RFC 4271 section 8), without a socket or a clock.
//!
//! Whoever owns the connection tells the session what happens, and does what it asks for:
//!
//! ```text
//!  connected, received, closed ──>  ┌─────────┐ ──> wants(): connect, close, or nothing
//!  elapsed (at next_timeout)   ──>  │ Session │ ──> transmit(): the next message, when there is room for it
//!  advertise, import           ──>  └─────────┘ ──> learned(), status()
//! ```
//!
//! What is to be sent is made when there is room for it ([`Session::transmit`]), so that a peer which does not read costs no
//! memory. What a peer sends is bounded by [`SessionConfig::most_routes`]. Nothing that a peer does harms anything but its own
//! session: the worst that an input can cause is that this session ends, with a NOTIFICATION, and begins again later.
//!
//! **A peer goes away** (RFC 4724, 8538, 9494). If it said that it can restart, its routes stay for the time that it said; if it
//! is not back by then, they become worse than all others for the long-lived time, if that was agreed on; then they go. When
//! it is back, they stay until it has told all anew, unless it says that packets were not forwarded meanwhile.
//!
//! **This speaker was started again.** It says so in OPEN, and whether the card's tables survived
//! ([`Session::set_preserved`]): only if they did, the peer keeps the routes. It tells the end of its routes only after
//! [`Session::advertise`] was given all of them.

mod adj_in;
mod adj_out;
mod config;
mod end;
mod live;
mod restart;
mod status;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use imbl::OrdMap;

use crate::community::RouteTarget;
use crate::path::{VpnPath, VpnPrefix};
use crate::wire::{self, Family, Fault, Framer, Kind, Notification, code};
use adj_in::AdjIn;
pub use adj_in::Learned;
use adj_out::{AdjOut, Targets, Told};
pub use config::SessionConfig;
pub use end::End;
use live::Live;
use restart::Absence;
pub use status::{Phase, Status};

/// Changes that one call of [`Session::transmit`] takes at most: some messages full.
const BATCH: usize = 1024;

/// What the owner of the connection is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// Nothing but what [`Session::transmit`] gives.
    Nothing,
    /// Connect to the peer, and say how that went.
    Connect,
    /// Send what [`Session::transmit`] still gives if that is quickly done, and close the connection. [`Session::closed`] need not be
    /// called.
    Close,
}

/// Where the state machine is.
#[derive(Debug)]
enum State {
    /// Nothing until then.
    Idle {
        until: Instant,
    },
    /// The connection is to be made or being made.
    Connecting {
        asked: bool,
        until: Instant,
    },
    /// OPEN has been sent, none received.
    OpenSent {
        until: Instant,
    },
    /// Both have, and this one has been confirmed.
    OpenConfirm(Box<Live>),
    Established(Box<Live>),
    /// For good.
    Stopped,
}

/// A session with one peer.
#[derive(Debug)]
pub struct Session {
    config: SessionConfig,
    state: State,
    attempts: u32,
    framer: Framer,
    /// Messages that go before all routes: OPEN, KEEPALIVE, NOTIFICATION and the like. There are few at any time.
    urgent: VecDeque<Vec<u8>>,
    /// Messages of routes that have been made.
    ready: VecDeque<Vec<u8>>,
    closing: bool,
    input: AdjIn,
    output: AdjOut,
    targets: Targets,
    absence: Absence,
    /// This speaker was started and has not yet told this peer all routes.
    restarting: bool,
    preserved: bool,
    /// When the peer's first complete list is not waited for any longer.
    settle_at: Instant,
    settled: bool,
    last_end: Option<End>,
    faults: BTreeMap<Fault, u64>,
    /// Messages received and sent.
    messages: (u64, u64),
}

impl Session {
    /// A session that connects at once. `restarted`: this speaker may have been there before, so that the peer may have routes of
    /// it.
    #[must_use]
    pub fn new(config: SessionConfig, restarted: bool, now: Instant) -> Self {
        Self {
            state: State::Idle { until: now },
            attempts: 0,
            framer: Framer::default(),
            urgent: VecDeque::new(),
            ready: VecDeque::new(),
            closing: false,
            input: AdjIn::new(config.most_routes),
            output: AdjOut::default(),
            targets: Targets::default(),
            absence: Absence::default(),
            restarting: restarted,
            preserved: false,
            settle_at: now + config.restart_time,
            settled: false,
            last_end: None,
            faults: BTreeMap::new(),
            messages: (0, 0),
            config,
        }
    }

    /// Whether packets are forwarded by the tables that were there before this speaker was started: those of the card survived.
    pub fn set_preserved(&mut self, preserved: bool) {
        self.preserved = preserved;
    }

    /// The routes to tell from now on; `complete` once they are all that there are.
    pub fn advertise(&mut self, routes: &OrdMap<VpnPrefix, VpnPath>, complete: bool) {
        self.output.set(routes, complete);
    }

    /// Targets whose routes are wanted from now on.
    pub fn import(&mut self, targets: &BTreeSet<RouteTarget>) {
        self.targets.set(targets);
    }

    /// Routes of the peer: also those that are kept while it is away.
    #[must_use]
    pub fn learned(&self) -> &OrdMap<VpnPrefix, Learned> {
        self.input.routes()
    }

    /// Whether [`Session::learned`] is all that the peer has, or it is not waited for any longer. It stays so.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.settled
    }

    /// What the owner of the connection is to do. It is given once for each connection.
    pub fn wants(&mut self, now: Instant) -> Want {
        if std::mem::take(&mut self.closing) {
            return Want::Close;
        }
        match &mut self.state {
            State::Connecting { asked, until } if !*asked => {
                *asked = true;
                *until = now + SessionConfig::PATIENCE;
                Want::Connect
            }
            _ => Want::Nothing,
        }
    }

    /// The connection has been made.
    pub fn connected(&mut self, now: Instant) {
        if !matches!(self.state, State::Connecting { .. }) {
            return;
        }
        self.framer = Framer::default();
        self.urgent.clear();
        self.ready.clear();
        self.urgent.push_back(wire::open(&self.open()));
        self.state = State::OpenSent { until: now + SessionConfig::PATIENCE };
    }

    /// The connection could not be made.
    pub fn not_connected(&mut self, why: impl Into<String>, now: Instant) {
        if matches!(self.state, State::Connecting { .. }) {
            self.end(End::NotConnected(why.into()), now);
        }
    }

    /// The peer closed the connection (nothing said), or it broke.
    pub fn closed(&mut self, why: Option<String>, now: Instant) {
        if self.is_connected() {
            self.urgent.clear();
            self.end(why.map_or(End::Closed, End::Broken), now);
            self.closing = false;
        }
    }

    /// Something arrived.
    pub fn received(&mut self, bytes: &[u8], now: Instant) {
        if !self.is_connected() {
            return;
        }
        let mut framer = std::mem::take(&mut self.framer);
        framer.push(bytes);
        while self.is_connected() {
            match framer.next_message() {
                Ok(None) => break,
                Ok(Some((kind, body))) => {
                    self.messages.0 += 1;
                    if let Err(notification) = self.message(kind, body, now) {
                        self.fail(notification, now);
                    }
                }
                Err(notification) => self.fail(notification, now),
            }
        }
        if self.is_connected() {
            self.framer = framer;
        }
    }

    /// When [`Session::elapsed`] is to be called, at the latest.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Instant> {
        let state = match &self.state {
            State::Idle { until } | State::OpenSent { until } => Some(*until),
            State::Connecting { asked, until } => asked.then_some(*until),
            State::OpenConfirm(live) | State::Established(live) => {
                [live.silent_at, live.keepalive_at, live.targets_until].into_iter().flatten().min()
            }
            State::Stopped => None,
        };
        let settle = (!self.settled).then_some(self.settle_at);
        [state, self.absence.until(), settle].into_iter().flatten().min()
    }

    /// Time has passed.
    pub fn elapsed(&mut self, now: Instant) {
        if now >= self.settle_at {
            self.settled = true;
        }
        self.absence.elapsed(&mut self.input, now);
        match &mut self.state {
            State::Idle { until } if now >= *until => {
                self.state =
                    State::Connecting { asked: false, until: now + SessionConfig::PATIENCE };
            }
            State::Connecting { asked: true, until } if now >= *until => {
                self.end(End::Silent, now);
            }
            State::OpenSent { until } if now >= *until => {
                self.fail(Notification::new(code::HOLD_TIMER, 0), now);
            }
            State::OpenConfirm(live) | State::Established(live) => {
                if live.targets_until.is_some_and(|until| now >= until) {
                    live.targets_until = None;
                }
                if live.silent_at.is_some_and(|at| now >= at) {
                    self.fail(Notification::new(code::HOLD_TIMER, 0), now);
                } else if live.keepalive_at.is_some_and(|at| now >= at) {
                    live.keepalive_at = live.hold.map(|(_, keepalive)| now + keepalive);
                    // Who does not even take these needs no second one.
                    if self.urgent.is_empty() {
                        self.urgent.push_back(wire::keepalive());
                    }
                }
            }
            _ => {}
        }
    }

    /// The next message to send, if there is one.
    pub fn transmit(&mut self) -> Option<Vec<u8>> {
        let message = self.urgent.pop_front().or_else(|| self.route_message());
        self.messages.1 += u64::from(message.is_some());
        message
    }

    fn route_message(&mut self) -> Option<Vec<u8>> {
        if self.ready.is_empty() {
            self.make_ready();
        }
        self.ready.pop_front()
    }

    /// Makes some messages of what is to be told.
    fn make_ready(&mut self) {
        let State::Established(live) = &self.state else { return };
        let to = wire::Towards {
            local_as: self.config.local_as,
            internal: self.config.is_internal(),
            four_octets: live.scope.four_octets,
        };
        if live.families.contains(&Family::RouteTargets) {
            for told in self.targets.take() {
                match told {
                    Told::Wanted(targets) => self.ready.extend(wire::some_memberships(
                        &targets,
                        true,
                        to,
                        self.config.identifier,
                    )),
                    Told::Unwanted(targets) => {
                        self.ready.extend(wire::some_memberships(
                            &targets,
                            false,
                            to,
                            self.config.identifier,
                        ));
                    }
                    Told::End => self.ready.push_back(wire::end_of_rib(Family::RouteTargets)),
                }
            }
        }
        if live.targets_until.is_some() || !live.families.contains(&Family::Vpn) {
            return;
        }
        self.ready.extend(wire::some_updates(&self.output.take(BATCH), to));
        if self.output.take_end() {
            self.ready.push_back(wire::end_of_rib(Family::Vpn));
            self.restarting = false;
        }
    }

    /// Asks the peer for all its VPN routes again, if it can do that.
    pub fn refresh(&mut self) {
        if let State::Established(live) = &self.state
            && live.peer.refresh
        {
            self.urgent.push_back(wire::route_refresh(Family::Vpn));
        }
    }

    /// Ends the session for good: the peer is to forget this speaker's routes.
    pub fn stop(&mut self, now: Instant) {
        if self.is_connected() {
            // A peer that keeps routes over notifications would keep these, were it not a hard one (RFC 8538 section 3.1).
            let keeps = match &self.state {
                State::OpenConfirm(live) | State::Established(live) => {
                    live.peer.graceful.as_ref().is_some_and(|graceful| graceful.notifications)
                }
                _ => false,
            };
            let notification = if keeps {
                Notification::with(code::CEASE, code::HARD_RESET, &[code::CEASE, code::SHUTDOWN])
            } else {
                Notification::new(code::CEASE, code::SHUTDOWN)
            };
            self.fail(notification, now);
        }
        self.state = State::Stopped;
        self.absence = Absence::default();
        self.input.clear();
    }

    fn is_connected(&self) -> bool {
        matches!(self.state, State::OpenSent { .. } | State::OpenConfirm(_) | State::Established(_))
    }

    fn message(&mut self, kind: Kind, body: &[u8], now: Instant) -> Result<(), Notification> {
        let turn = |state| Notification::new(code::STATE_MACHINE, state);
        if kind == Kind::Notification {
            let notification = Notification::decode(body);
            self.end(End::Received(notification), now);
            return Ok(());
        }
        match (&mut self.state, kind) {
            (State::OpenSent { .. }, Kind::Open) => {
                let live = self.accept(wire::decode_open(body)?, now)?;
                self.state = State::OpenConfirm(Box::new(live));
                self.urgent.push_back(wire::keepalive());
                Ok(())
            }
            (State::OpenSent { .. }, _) => Err(turn(1)),
            (State::OpenConfirm(live), Kind::Keepalive) => {
                live.heard(now);
                self.establish(now);
                Ok(())
            }
            (State::OpenConfirm(_), _) => Err(turn(2)),
            (State::Established(live), kind) => {
                live.heard(now);
                match kind {
                    Kind::Update => {
                        let update = wire::decode_update(body, &live.families, live.scope)?;
                        self.update(update);
                    }
                    Kind::Refresh => match wire::decode_refresh(body) {
                        Some(Family::Vpn) => self.output.again(),
                        Some(Family::RouteTargets) => self.targets.again(),
                        None => {}
                    },
                    Kind::Keepalive => {}
                    Kind::Open | Kind::Notification => return Err(turn(3)),
                }
                Ok(())
            }
            (State::Idle { .. } | State::Connecting { .. } | State::Stopped, _) => Ok(()),
        }
    }

    fn establish(&mut self, now: Instant) {
        let State::OpenConfirm(mut live) = std::mem::replace(&mut self.state, State::Stopped)
        else {
            return;
        };
        self.attempts = 0;
        self.last_end = None;
        live.since = now;
        if live.peer.graceful.is_none() {
            // It may never say that it has told all.
            self.settle_at = self.settle_at.min(now + SessionConfig::SETTLE_WITHOUT_END);
        }
        let constrained = live.families.contains(&Family::RouteTargets);
        live.targets_until = constrained.then(|| now + self.config.target_wait);
        self.output.begin(constrained);
        self.targets.begin();
        self.input.begin_round();
        self.absence.back(
            &mut self.input,
            live.peer.graceful.as_ref(),
            self.config.longest_stale,
            now,
        );
        self.state = State::Established(live);
    }

    fn update(&mut self, mut update: wire::Update) {
        for &fault in &update.faults {
            *self.faults.entry(fault).or_default() += 1;
        }
        let State::Established(live) = &mut self.state else { return };
        self.output.want(std::mem::take(&mut update.wanted), &update.unwanted);
        match update.end_of_rib {
            Some(Family::RouteTargets) => live.targets_until = None,
            Some(Family::Vpn) => {
                live.ended = true;
                self.absence.end(&mut self.input);
                self.settled = true;
            }
            None => {}
        }
        self.input.apply(update);
        if self.input.take_room() {
            self.refresh();
        }
    }

    /// Ends the connection with a NOTIFICATION.
    fn fail(&mut self, notification: Notification, now: Instant) {
        self.urgent.clear();
        self.urgent.push_back(wire::notification(&notification));
        self.end(End::Sent(notification), now);
    }

    /// The connection is over. What the peer said stays for a while, if that was agreed on.
    fn end(&mut self, end: End, now: Instant) {
        let state = std::mem::replace(&mut self.state, State::Stopped);
        if let State::Established(live) = &state {
            self.absence.away(&mut self.input, live, &end, &self.config, now);
        }
        // A session that came to something is begun again soon, however often that failed before.
        self.attempts = self.attempts.saturating_add(1);
        self.closing = !matches!(end, End::NotConnected(_));
        self.framer = Framer::default();
        self.ready.clear();
        self.last_end = Some(end);
        self.state = State::Idle { until: now + self.wait() };
    }

    /// How long to wait before the next attempt: longer each time, and not the same for all nodes of a cluster.
    fn wait(&self) -> Duration {
        let doubled =
            self.config.retry.saturating_mul(1 << self.attempts.saturating_sub(1).min(10));
        let wait = doubled.min(SessionConfig::LONGEST_RETRY);
        let own = u32::from(self.config.identifier) ^ self.attempts.wrapping_mul(0x9e37_79b9);
        wait.mul_f64(0.75 + f64::from(own.wrapping_mul(0x85eb_ca6b) >> 24) / 1024.0)
    }
}

#[cfg(test)]
mod tests;
