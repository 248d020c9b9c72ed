//! What a card tells by itself, for whoever listens.
//!
//! A card writes the kinds of events that somebody asks for, and no others: those that the agent uses itself (the firmware's end,
//! pressure on the flow table, a table that is full), and what followers want as long as there are some. It is looked for them when it
//! raises its interrupt, and each second. They go to all followers through a channel that is bounded: a follower that is slow loses
//! some, and is told how many, as it is told what the card itself has lost; nobody holds up the card's thread.
//!
//! ```text
//! card --ring--> thread --(jobs)--> listen --+--> counts, log
//!   ^                                 |      +--> channel --> followers
//!   +--------- kinds, sample ---------+--- asked ---- (join, leave)
//! ```
//!
//! An event says when it happened in card time. As the card tells its time whenever events are taken, that becomes a time of the wall.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use penstock_abi::ring::{EventKind, FlowEvent};
use penstock_device::{CardEvent, DeviceError, Kinds, Taken, Wanted, is_sampled};
use tokio::net::unix::pipe::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{Notify, broadcast, watch};
use tokio::time::{MissedTickBehavior, interval, sleep};
use tracing::{debug, info, warn};

use crate::device::{Device, LinkState};
use crate::error::LinkError;

/// Pause between two looks at a card that raises no interrupt.
const PERIOD: Duration = Duration::from_secs(1);
/// What was taken at once, of which so many pieces wait for the slowest follower; each has some 1,000 events at most.
const PIECES: usize = 256;
/// How long somebody who begins to follow waits until the card knows.
const ASKING: Duration = Duration::from_secs(1);
/// A line about the same thing stands in the log once in so long.
const LOG_EVERY: Duration = Duration::from_secs(10);

/// What the agent uses itself.
const OWN: [EventKind; 3] =
    [EventKind::Firmware, EventKind::FlowTableFull, EventKind::FlowPressure];

/// An event, and what is known beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// What the card said.
    pub event: CardEvent,
    /// When it happened.
    pub at: SystemTime,
    /// Of a pair that ended: when it was made, if that was seen.
    pub began: Option<SystemTime>,
    /// Of a pair that ended: when its last packet came, if one did.
    pub last_packet: Option<SystemTime>,
}

/// What there is since the last time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct News {
    /// Events that were asked for.
    pub events: Vec<Told>,
    /// How many were lost before the last of them, of whatever kind.
    pub lost: u64,
}

/// How many events there were since the agent started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// All that were taken from the card.
    pub taken: u64,
    /// Those that the card lost.
    pub lost: u64,
    /// Changes of the pressure on the flow table.
    pub pressure: u64,
    /// Pairs of flow entries that found no room.
    pub table_full: u64,
    /// Changes of the firmware's state.
    pub firmware: u64,
    /// Those who follow events now.
    pub followers: u64,
}

/// What was taken at once.
#[derive(Debug)]
struct Piece {
    /// Events before it, lost ones included.
    position: u64,
    lost: u64,
    told: Vec<Told>,
    sample_log2: u8,
}

/// Who listens, and what for.
pub(crate) struct Hub {
    state: Mutex<State>,
    pieces: broadcast::Sender<Arc<Piece>>,
    asked: watch::Sender<Wanted>,
    /// What the card was told; none while there is none.
    in_force: watch::Sender<Option<Wanted>>,
}

#[derive(Default)]
struct State {
    position: u64,
    next: u64,
    followers: BTreeMap<u64, Wanted>,
    counts: Counts,
}

impl Hub {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::default(),
            pieces: broadcast::Sender::new(PIECES),
            asked: watch::Sender::new(merged(&BTreeMap::new())),
            in_force: watch::Sender::new(None),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn counts(&self) -> Counts {
        let state = self.lock();
        Counts { followers: state.followers.len() as u64, ..state.counts }
    }

    /// Begins to follow: from now on nothing is missed, and what the card must be asked for it is asked for.
    pub(crate) async fn follow(self: &Arc<Self>, wanted: Wanted) -> Follower {
        let follower = {
            let mut state = self.lock();
            let number = state.next;
            state.next += 1;
            state.followers.insert(number, wanted);
            self.asked.send_if_modified(|asked| replace(asked, merged(&state.followers)));
            let (pieces, position) = (self.pieces.subscribe(), state.position);
            Follower { hub: Arc::clone(self), number, wanted, pieces, position }
        };
        let asked = *self.asked.borrow();
        let mut in_force = self.in_force.subscribe();
        // A card that is not there, or late, is told as soon as it can be.
        let known = in_force.wait_for(|now| now.is_none() || *now == Some(asked));
        let _ = tokio::time::timeout(ASKING, known).await;
        follower
    }

    /// Counts and hands on.
    fn publish(&self, told: Vec<Told>, lost: u64, sample_log2: u8) {
        let mut state = self.lock();
        let position = state.position;
        state.position += told.len() as u64 + lost;
        state.counts.taken += told.len() as u64;
        state.counts.lost += lost;
        for told in &told {
            match told.event.kind() {
                Some(EventKind::Firmware) => state.counts.firmware += 1,
                Some(EventKind::FlowTableFull) => state.counts.table_full += 1,
                Some(EventKind::FlowPressure) => state.counts.pressure += 1,
                _ => {}
            }
        }
        // Without followers there is nobody to hand it to.
        let _ = self.pieces.send(Arc::new(Piece { position, lost, told, sample_log2 }));
    }
}

/// What the card must write for all of them: the end of a pair tells how long it lived only if its beginning was told.
fn merged(followers: &BTreeMap<u64, Wanted>) -> Wanted {
    let mut all = Wanted { kinds: Kinds::of(&OWN), sample_log2: 0 };
    for wanted in followers.values() {
        all.kinds = all.kinds.and(wanted.kinds);
    }
    if all.kinds.has(EventKind::FlowEnded as u8) {
        all.kinds = all.kinds.and(Kinds::of(&[EventKind::FlowMade]));
    }
    all.sample_log2 = followers.values().map(|wanted| wanted.sample_log2).min().unwrap_or(0);
    all
}

fn replace(asked: &mut Wanted, now: Wanted) -> bool {
    std::mem::replace(asked, now) != now
}

/// Somebody who follows events. As long as it lives, the card writes what it wants.
pub struct Follower {
    hub: Arc<Hub>,
    number: u64,
    wanted: Wanted,
    pieces: broadcast::Receiver<Arc<Piece>>,
    /// Events that it has had or lost, or that were before it.
    position: u64,
}

impl Follower {
    /// Waits for news. None at the end of the agent.
    pub async fn next(&mut self) -> Option<News> {
        let piece = loop {
            match self.pieces.recv().await {
                Ok(piece) => break piece,
                // How many were in what it has missed, the next one shows.
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return None,
            }
        };
        let lost = piece.position.saturating_sub(self.position) + piece.lost;
        self.position = piece.position + piece.lost + piece.told.len() as u64;
        let events = piece.told.iter().filter(|told| self.wants(told, piece.sample_log2));
        Some(News { events: events.copied().collect::<Vec<_>>(), lost })
    }

    /// Whether it asked for that; the card may have been asked for more.
    fn wants(&self, told: &Told, card_log2: u8) -> bool {
        let sampled = match &told.event {
            CardEvent::Flow(event) if event.kind == EventKind::FlowRefused as u8 => {
                // They have no number; those that come stand for as many more as the card leaves out.
                let left = self.wanted.sample_log2.saturating_sub(card_log2);
                left == 0 || is_sampled(event.source ^ u32::from(event.source_port), left)
            }
            CardEvent::Flow(event) => is_sampled(event.pair, self.wanted.sample_log2),
            CardEvent::Other(_) => true,
        };
        self.wanted.kinds.has(told.event.code()) && sampled
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let mut state = self.hub.lock();
        state.followers.remove(&self.number);
        self.hub.asked.send_if_modified(|asked| replace(asked, merged(&state.followers)));
    }
}

/// Takes events from the card for as long as the task lives. `poke` has the observer look at once.
pub(crate) async fn listen(device: Device, hub: Arc<Hub>, poke: Arc<Notify>) {
    let mut link = device.state();
    let mut log = Log::default();
    loop {
        let attached = |state: &LinkState| matches!(state, LinkState::Attached(_));
        // The end of the device's thread is told elsewhere.
        if link.wait_for(attached).await.is_err() {
            return;
        }
        link.mark_unchanged();
        let ended = listen_to(&device, &hub, &mut link, &mut log, &poke).await;
        hub.in_force.send_replace(None);
        if let Err(error) = ended {
            // Why stands in the link's state.
            debug!(%error, "no events");
            sleep(PERIOD).await;
        }
    }
}

/// Until the card is another one, or lost.
async fn listen_to(
    device: &Device,
    hub: &Hub,
    link: &mut watch::Receiver<LinkState>,
    log: &mut Log,
    poke: &Notify,
) -> Result<(), LinkError> {
    let mut asked = hub.asked.subscribe();
    let mut wanted = *asked.borrow_and_update();
    let irq = device
        .run(move |card| {
            card.enable_events(wanted)?;
            card.event_irq()
        })
        .await?;
    // An event descriptor is waited for as a pipe is.
    let raised = Receiver::from_file_unchecked(irq.into()).map_err(|source| DeviceError::Io {
        what: "wait for the event interrupt".into(),
        source,
    })?;
    hub.in_force.send_replace(Some(wanted));
    let mut begun = Begun::default();
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = link.changed() => return Ok(()),
            _ = asked.changed() => {
                wanted = *asked.borrow_and_update();
                device.run(move |card| card.enable_events(wanted)).await?;
                hub.in_force.send_replace(Some(wanted));
                begun.keep_if(wanted.kinds.has(EventKind::FlowMade as u8));
            }
            () = interrupt(&raised) => {}
            _ = ticks.tick() => {}
        }
        loop {
            let (taken, clock) = device.run(take).await?;
            let more = taken.more;
            if !taken.events.is_empty() || taken.lost > 0 {
                let lost = u64::from(taken.lost);
                if lost > 0 {
                    // Of a pair whose end was lost, another one may have the number.
                    begun.keep_if(false);
                }
                let told: Vec<Told> =
                    taken.events.into_iter().map(|event| begun.tell(event, &clock)).collect();
                log.look(&told, lost);
                if told.iter().any(|told| told.event.kind() == Some(EventKind::Firmware)) {
                    poke.notify_one();
                }
                hub.publish(told, lost, wanted.sample_log2);
            }
            if !more {
                break;
            }
        }
    }
}

/// Waits for the event interrupt.
async fn interrupt(raised: &Receiver) {
    // One that cannot be waited for is looked after each second.
    if raised.readable().await.is_err() {
        return std::future::pending().await;
    }
    // Its count says nothing, and it may have been taken meanwhile.
    let _ = raised.try_read(&mut [0; 8]);
}

fn take(card: &mut penstock_device::Card) -> Result<(Taken, Clock), DeviceError> {
    let taken = card.take_events()?;
    let cycles = if taken.events.is_empty() { 0 } else { card.time_cycles()? };
    let clock = Clock { at: SystemTime::now(), cycles, khz: card.ident().clock_khz };
    Ok((taken, clock))
}

/// What time it was when the card's was `cycles`.
#[derive(Clone, Copy, Debug)]
struct Clock {
    at: SystemTime,
    cycles: u64,
    khz: u32,
}

impl Clock {
    /// The time of the wall at some card time.
    fn wall(&self, cycles: u64) -> SystemTime {
        let span = |cycles: u64| {
            let nanos = u128::from(cycles) * 1_000_000 / u128::from(self.khz.max(1));
            Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
        };
        let before = self.at.checked_sub(span(self.cycles.saturating_sub(cycles)));
        before.filter(|at| *at >= SystemTime::UNIX_EPOCH).unwrap_or(self.at)
            + span(cycles.saturating_sub(self.cycles))
    }
}

/// When pairs that are there were made.
#[derive(Default)]
struct Begun(HashMap<u32, (u64, Key)>);

/// Addresses, ports and protocol.
type Key = (u32, u32, u16, u16, u8);

impl Begun {
    /// Forgets all unless `keep`.
    fn keep_if(&mut self, keep: bool) {
        if !keep {
            self.0.clear();
        }
    }

    /// What is known beside an event.
    fn tell(&mut self, event: CardEvent, clock: &Clock) -> Told {
        let at = clock.wall(event.time_cycles());
        let mut told = Told { event, at, began: None, last_packet: None };
        let CardEvent::Flow(flow) = event else { return told };
        let key =
            (flow.source, flow.destination, flow.source_port, flow.destination_port, flow.protocol);
        match event.kind() {
            Some(EventKind::FlowMade) => {
                self.0.insert(flow.pair, (flow.time_cycles, key));
            }
            Some(EventKind::FlowEnded) => {
                let began = self.0.remove(&flow.pair).filter(|(_, made)| *made == key);
                let began = began.map(|(cycles, _)| cycles);
                told.began = began.map(|cycles| clock.wall(cycles));
                let last = last_packet(&flow).map(|last| last.max(began.unwrap_or(0)));
                told.last_packet = last.map(|cycles| clock.wall(cycles));
            }
            _ => {}
        }
        told
    }
}

/// Card time of a pair's last packet, to 2^16 cycles: the card says the low 32 bits of it.
fn last_packet(flow: &FlowEvent) -> Option<u64> {
    if flow.last_hit == 0 {
        return None;
    }
    let units = flow.time_cycles >> 16;
    let ago = u64::from((units as u32).wrapping_sub(flow.last_hit));
    Some(units.saturating_sub(ago) << 16)
}

/// What the log was told last.
#[derive(Default)]
struct Log {
    full: Line,
    pressure: Line,
    lost: Line,
}

#[derive(Default)]
struct Line {
    last: Option<Instant>,
    left_out: u64,
}

impl Line {
    /// How many there were since the last line, if it is time for another.
    fn due(&mut self, more: u64) -> Option<u64> {
        self.left_out += more;
        let due = self.last.is_none_or(|last| last.elapsed() >= LOG_EVERY);
        due.then(|| {
            self.last = Some(Instant::now());
            std::mem::take(&mut self.left_out)
        })
    }
}

impl Log {
    fn look(&mut self, told: &[Told], lost: u64) {
        for told in told {
            let CardEvent::Other(event) = told.event else { continue };
            match told.event.kind() {
                Some(EventKind::FlowTableFull) => {
                    if let Some(times) = self.full.due(1) {
                        warn!(
                            times,
                            so_far = event.arg0,
                            "new flows find no room in the flow table"
                        );
                    }
                }
                Some(EventKind::FlowPressure) => {
                    if let Some(changes) = self.pressure.due(1) {
                        let (pressure, in_use) = (event.arg0, event.arg1);
                        info!(changes, in_use, "the pressure on the flow table is {pressure} of 3");
                    }
                }
                // The observer says how the firmware is.
                _ => {}
            }
        }
        if lost > 0
            && let Some(lost) = self.lost.due(lost)
        {
            warn!(lost, "the card has lost events, as they came faster than they could be taken");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn card_time_is_a_time_of_the_wall() {
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000);
        let clock = Clock { at, cycles: 250_000_000, khz: 250_000 };
        assert_eq!(clock.wall(0), at - Duration::from_secs(1));
        assert_eq!(clock.wall(250_250_000), at + Duration::from_millis(1));
        // One that is before all times.
        assert_eq!(Clock { cycles: u64::MAX, khz: 1, ..clock }.wall(0), at);
    }

    #[test]
    fn the_last_packet_is_found_across_the_turn_of_its_counter() {
        let flow =
            |time_cycles, last_hit| FlowEvent { time_cycles, last_hit, ..Default::default() };
        assert_eq!(last_packet(&flow(7 << 16 | 9, 5)), Some(5 << 16));
        assert_eq!(last_packet(&flow((1 << 48) | 1 << 16, u32::MAX)), Some(0xffff_ffff << 16));
        assert_eq!(last_packet(&flow(7 << 16, 0)), None);
    }

    #[test]
    fn a_beginning_counts_for_the_pair_that_it_is_of() {
        let clock = Clock { at: SystemTime::UNIX_EPOCH, cycles: 0, khz: 250_000 };
        let event = |kind: EventKind, pair, source, time_cycles| {
            let kind = kind as u8;
            CardEvent::Flow(FlowEvent { kind, pair, source, time_cycles, ..Default::default() })
        };
        let mut begun = Begun::default();
        begun.tell(event(EventKind::FlowMade, 7, 1, 250_000), &clock);
        begun.tell(event(EventKind::FlowMade, 8, 2, 500_000), &clock);
        // Of another connection: the end of the first was lost.
        assert_eq!(begun.tell(event(EventKind::FlowEnded, 7, 3, 750_000), &clock).began, None);
        let ended = begun.tell(event(EventKind::FlowEnded, 8, 2, 750_000), &clock);
        assert_eq!(ended.began, Some(SystemTime::UNIX_EPOCH + Duration::from_millis(2)));
        assert_eq!(begun.tell(event(EventKind::FlowEnded, 8, 2, 750_000), &clock).began, None);
    }

    #[test]
    fn the_card_is_asked_for_what_somebody_wants() {
        let own = Wanted { kinds: Kinds::of(&OWN), sample_log2: 0 };
        let mut followers = BTreeMap::new();
        assert_eq!(merged(&followers), own);
        let ended = Kinds::of(&[EventKind::FlowEnded]);
        followers.insert(1, Wanted { kinds: ended, sample_log2: 4 });
        let made = Kinds::of(&[EventKind::FlowMade]);
        let both = own.kinds.and(ended).and(made);
        assert_eq!(merged(&followers), Wanted { kinds: both, sample_log2: 4 });
        followers.insert(2, Wanted { kinds: made, sample_log2: 2 });
        assert_eq!(merged(&followers), Wanted { kinds: both, sample_log2: 2 });
    }
}
