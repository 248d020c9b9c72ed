//! Sessions, two by two and against peers that misbehave, in a time that the tests make.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use imbl::OrdMap;
use penstock_model::MplsLabel;
use proptest::prelude::*;

use super::*;
use crate::path::{Attributes, RouteDistinguisher};

const A: Ipv4Addr = Ipv4Addr::new(10, 169, 25, 20);
const B: Ipv4Addr = Ipv4Addr::new(10, 169, 25, 21);

fn target(number: u32) -> RouteTarget {
    RouteTarget::new(64512, number).unwrap()
}

fn routes(node: Ipv4Addr, hosts: std::ops::Range<u8>, number: u32) -> OrdMap<VpnPrefix, VpnPath> {
    let attributes =
        std::sync::Arc::new(Attributes::of_node(node, vec![target(number).community()]));
    hosts
        .map(|host| {
            let prefix = VpnPrefix {
                distinguisher: RouteDistinguisher::of_node(node, 2),
                prefix: ipnet::Ipv4Net::new(Ipv4Addr::new(10, 47, 255, host), 32).unwrap(),
            };
            (
                prefix,
                VpnPath { label: MplsLabel(16 + u32::from(host)), attributes: attributes.clone() },
            )
        })
        .collect()
}

fn config(identifier: Ipv4Addr) -> SessionConfig {
    SessionConfig {
        target_constraint: false,
        restart_time: Duration::from_secs(100),
        long_lived: Some(Duration::from_secs(1000)),
        ..SessionConfig::new(64512, 64512, identifier)
    }
}

/// Two sessions with a wire between them, and a clock.
struct Pair {
    a: Session,
    b: Session,
    now: Instant,
    /// A message of B that does not arrive.
    lost: Option<Vec<u8>>,
}

impl Pair {
    fn new(a: SessionConfig, b: SessionConfig) -> Self {
        let now = Instant::now();
        Self { a: Session::new(a, false, now), b: Session::new(b, false, now), now, lost: None }
    }

    /// Two that are established, and have told each other what is given.
    fn established(a: SessionConfig, b: SessionConfig) -> Self {
        let mut pair = Self::new(a, b);
        pair.a.advertise(&routes(A, 0..3, 2), true);
        pair.b.advertise(&routes(B, 0..2, 2), true);
        pair.connect();
        pair
    }

    /// Connects both and carries what they say until they are silent.
    fn connect(&mut self) {
        for session in [&mut self.a, &mut self.b] {
            let at = session.next_timeout().unwrap().max(self.now);
            self.now = at;
        }
        for session in [&mut self.a, &mut self.b] {
            session.elapsed(self.now);
            assert_eq!(session.wants(self.now), Want::Connect);
            session.connected(self.now);
        }
        self.carry();
    }

    fn carry(&mut self) {
        loop {
            let (from_a, from_b) = (self.a.transmit(), self.b.transmit());
            if from_a.is_none() && from_b.is_none() {
                break;
            }
            if let Some(bytes) = from_a {
                self.b.received(&bytes, self.now);
            }
            if let Some(bytes) = from_b.filter(|bytes| Some(bytes) != self.lost.as_ref()) {
                self.a.received(&bytes, self.now);
            }
        }
    }

    fn wait(&mut self, time: Duration) {
        self.now += time;
        self.a.elapsed(self.now);
        self.b.elapsed(self.now);
    }

    fn break_wire(&mut self) {
        self.a.closed(None, self.now);
        self.b.closed(None, self.now);
    }

    /// B is another program now, which was started again.
    fn restart_b(&mut self, preserved: bool) {
        self.break_wire();
        self.b = Session::new(config(B), true, self.now);
        self.b.set_preserved(preserved);
    }
}

#[test]
fn both_learn_what_the_other_tells() {
    let pair = Pair::established(config(A), config(B));
    let told = |learned: &OrdMap<VpnPrefix, Learned>| -> OrdMap<VpnPrefix, VpnPath> {
        learned.iter().map(|(prefix, learned)| (*prefix, learned.path.clone())).collect()
    };
    assert_eq!(told(pair.b.learned()), routes(A, 0..3, 2));
    assert_eq!(told(pair.a.learned()), routes(B, 0..2, 2));
    let status = pair.a.status();
    assert_eq!((status.phase, status.told, status.pending), (Phase::Established, 3, 0));
    assert!(status.ended && status.told_all && pair.a.is_settled());
    assert_eq!(status.identifier, Some(B));
}

#[test]
fn changes_are_told_once_and_withdrawals_only_of_what_was_told() {
    let mut pair = Pair::established(config(A), config(B));
    let before = pair.a.status().sent;
    // Comes and goes before the wire is free.
    pair.a.advertise(&routes(A, 0..9, 2), true);
    pair.a.advertise(&routes(A, 0..3, 2), true);
    pair.carry();
    assert_eq!(pair.a.status().sent, before);
    pair.a.advertise(&routes(A, 1..3, 2), true);
    pair.carry();
    assert_eq!((pair.b.learned().len(), pair.a.status().sent), (2, before + 1));
}

#[test]
fn the_end_is_told_only_when_everything_is_known() {
    let mut pair = Pair::new(config(A), config(B));
    pair.a.advertise(&routes(A, 0..2, 2), false);
    pair.connect();
    assert_eq!((pair.b.learned().len(), pair.b.status().ended), (2, false));
    assert!(!pair.b.is_settled());
    pair.a.advertise(&routes(A, 0..3, 2), true);
    pair.carry();
    assert_eq!((pair.b.learned().len(), pair.b.status().ended), (3, true));
    assert!(pair.b.is_settled());
}

#[test]
fn a_refresh_is_answered_with_everything() {
    let mut pair = Pair::established(config(A), config(B));
    pair.a.input.clear();
    pair.a.refresh();
    pair.carry();
    assert_eq!(pair.a.learned().len(), 2);
}

#[test]
fn silence_ends_the_session_and_keepalives_prevent_it() {
    let mut pair = Pair::established(config(A), config(B));
    for _ in 0..10 {
        pair.wait(Duration::from_secs(30));
        pair.carry();
    }
    assert_eq!(pair.a.status().phase, Phase::Established);
    for _ in 0..3 {
        // What B says is lost.
        pair.wait(Duration::from_secs(30));
        while pair.b.transmit().is_some() {}
    }
    let status = pair.a.status();
    assert_eq!(status.phase, Phase::Idle);
    assert_eq!(status.last_end, Some(End::Sent(Notification::new(code::HOLD_TIMER, 0))));
    assert_eq!(pair.a.wants(pair.now), Want::Close);
    assert_eq!(pair.a.wants(pair.now), Want::Nothing);
}

#[test]
fn what_does_not_fit_together_is_refused() {
    let refused = |change: fn(&mut SessionConfig)| {
        let mut other = config(B);
        change(&mut other);
        let mut pair = Pair::new(config(A), other);
        pair.connect();
        match pair.a.status().last_end {
            Some(End::Sent(notification)) => (notification.code, notification.subcode),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(refused(|c| c.local_as = 64513), (code::OPEN, code::BAD_PEER_AS));
    assert_eq!(refused(|c| c.identifier = A), (code::OPEN, code::BAD_IDENTIFIER));
}

#[test]
fn attempts_become_rarer_and_never_stop() {
    let mut now = Instant::now();
    let mut session = Session::new(config(A), false, now);
    let mut waits = Vec::new();
    for _ in 0..12 {
        session.elapsed(now);
        assert_eq!(session.wants(now), Want::Connect);
        session.not_connected("refused", now);
        let State::Idle { until } = session.state else { panic!() };
        waits.push(until - now);
        now = until;
    }
    assert!(waits[0] <= Duration::from_secs(2) && waits[3] > waits[0] * 3, "{waits:?}");
    assert!(waits.iter().all(|wait| *wait <= SessionConfig::LONGEST_RETRY));
    assert!(waits[11] >= SessionConfig::LONGEST_RETRY.mul_f64(0.7), "{waits:?}");
}

#[test]
fn a_peer_that_is_back_in_time_loses_nothing() {
    let mut pair = Pair::established(config(A), config(B));
    pair.restart_b(true);
    assert_eq!(pair.a.learned().len(), 2);
    assert!(pair.a.status().stale);
    pair.b.advertise(&routes(B, 1..3, 2), false);
    pair.connect();
    // One told anew, one new, one stale; B has not said that these are all.
    assert_eq!((pair.a.learned().len(), pair.a.status().stale), (3, true));
    pair.b.advertise(&routes(B, 1..3, 2), true);
    pair.carry();
    assert_eq!((pair.a.learned().len(), pair.a.status().stale), (2, false));
}

#[test]
fn routes_of_a_peer_whose_tables_were_lost_go_when_it_is_back() {
    let mut pair = Pair::established(config(A), config(B));
    pair.restart_b(false);
    pair.connect();
    assert_eq!(pair.a.learned().len(), 0);
}

#[test]
fn a_peer_that_stays_away_fades() {
    let mut pair = Pair::established(config(A), config(B));
    pair.break_wire();
    pair.wait(Duration::from_secs(99));
    assert!(pair.a.learned().values().all(|learned| !learned.long_lived_stale));
    pair.wait(Duration::from_secs(2));
    assert_eq!(pair.a.learned().len(), 2);
    assert!(pair.a.learned().values().all(|learned| learned.long_lived_stale));
    pair.wait(Duration::from_secs(1000));
    assert_eq!(pair.a.learned().len(), 0);

    let short = SessionConfig { long_lived: None, ..config(A) };
    let mut pair = Pair::established(short, config(B));
    pair.break_wire();
    pair.wait(Duration::from_secs(101));
    assert_eq!(pair.a.learned().len(), 0);
}

#[test]
fn a_peer_that_is_back_and_never_ends_loses_what_it_did_not_tell() {
    let mut pair = Pair::established(config(A), config(B));
    pair.restart_b(true);
    pair.b.advertise(&routes(B, 0..1, 2), false);
    pair.connect();
    assert_eq!(pair.a.learned().len(), 2);
    for _ in 0..21 {
        pair.wait(Duration::from_secs(29));
        pair.carry();
    }
    assert_eq!((pair.a.learned().len(), pair.a.status().phase), (1, Phase::Established));
}

#[test]
fn a_peer_that_is_stopped_is_forgotten_at_once() {
    let mut pair = Pair::established(config(A), config(B));
    pair.b.stop(pair.now);
    pair.carry();
    assert_eq!(pair.a.learned().len(), 0);
    let hard = Notification::with(code::CEASE, code::HARD_RESET, &[code::CEASE, code::SHUTDOWN]);
    assert_eq!(pair.a.status().last_end, Some(End::Received(hard)));
    assert_eq!((pair.b.next_timeout().is_some(), pair.b.status().phase), (false, Phase::Stopped));
}

#[test]
fn targets_are_told_and_heeded() {
    let with = |identifier| SessionConfig { target_constraint: true, ..config(identifier) };
    let mut pair = Pair::new(with(A), with(B));
    let mut both = routes(A, 0..3, 2);
    both.extend(routes(A, 5..6, 7));
    pair.a.advertise(&both, true);
    pair.b.import(&[target(7)].into());
    pair.connect();
    assert_eq!(pair.b.learned().len(), 1);
    assert!(pair.b.status().ended);
    pair.b.import(&[target(2), target(7)].into());
    pair.carry();
    assert_eq!(pair.b.learned().len(), 4);
    pair.b.import(&[target(2)].into());
    pair.carry();
    assert_eq!((pair.b.learned().len(), pair.a.status().told), (3, 3));
}

#[test]
fn a_peer_that_never_ends_its_wishes_is_not_waited_for_for_ever() {
    let with = |identifier| SessionConfig {
        target_constraint: true,
        target_wait: Duration::from_secs(5),
        ..config(identifier)
    };
    let mut pair = Pair::new(with(A), with(B));
    pair.lost = Some(wire::end_of_rib(Family::RouteTargets));
    pair.a.advertise(&routes(A, 0..3, 2), true);
    pair.connect();
    assert_eq!((pair.b.learned().len(), pair.b.status().ended), (0, false));
    pair.wait(Duration::from_secs(6));
    pair.carry();
    // The end is told all the same; B wanted nothing.
    assert_eq!((pair.b.learned().len(), pair.b.status().ended), (0, true));
}

#[test]
fn more_than_there_is_room_for_is_refused_by_name() {
    let small = SessionConfig { most_routes: 2, ..config(B) };
    let mut pair = Pair::established(config(A), small);
    let status = pair.b.status();
    assert_eq!((status.phase, status.learned), (Phase::Established, 2));
    let (count, name) = status.refused;
    assert_eq!((count, name.unwrap().to_string()), (1, "10.169.25.20:2:10.47.255.2/32".into()));
    // When there is room again, the rest is asked for.
    pair.a.advertise(&routes(A, 2..3, 2), true);
    pair.carry();
    assert_eq!((pair.b.learned().len(), pair.b.status().refused.0), (1, 0));
}

#[test]
fn a_peer_that_reads_nothing_costs_no_memory() {
    let mut pair = Pair::established(config(A), config(B));
    for round in 0..1000 {
        let hosts = if round % 2 == 0 { 0..200 } else { 0..3 };
        pair.a.advertise(&routes(A, hosts, 2), true);
        pair.a.elapsed(pair.now + Duration::from_secs(round));
        pair.b.received(&[], pair.now);
    }
    assert!(pair.a.urgent.len() <= 1 && pair.a.ready.is_empty());
    assert!(pair.a.status().pending <= 200);
}

/// What can happen to a session.
#[derive(Clone, Debug)]
enum Event {
    Connected,
    NotConnected,
    Closed,
    Received(Vec<u8>),
    /// A message that may well be meant, damaged or not.
    Message {
        which: usize,
        at: prop::sample::Index,
        to: Option<u8>,
    },
    Elapsed(u16),
    Advertise(u8),
    Import(u32),
    Refresh,
    Transmit,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        2 => Just(Event::Connected),
        1 => Just(Event::NotConnected),
        1 => Just(Event::Closed),
        1 => prop::collection::vec(any::<u8>(), 0..64).prop_map(Event::Received),
        8 => (0usize..9, any::<prop::sample::Index>(), prop::option::weighted(0.3, any::<u8>()))
            .prop_map(|(which, at, to)| Event::Message { which, at, to }),
        2 => (0u16..400).prop_map(Event::Elapsed),
        1 => (0u8..5).prop_map(Event::Advertise),
        1 => (0u32..4).prop_map(Event::Import),
        1 => Just(Event::Refresh),
        2 => Just(Event::Transmit),
    ]
}

fn messages() -> Vec<Vec<u8>> {
    let peer =
        Session::new(SessionConfig { target_constraint: true, ..config(B) }, false, Instant::now());
    let changes: Vec<_> =
        routes(B, 0..3, 2).into_iter().map(|(at, path)| (at, Some(path))).collect();
    let gone: Vec<_> = changes[..1].iter().map(|(at, _)| (*at, None)).collect();
    vec![
        wire::open(&peer.open()),
        wire::keepalive(),
        wire::keepalive(),
        wire::updates(&changes, 64512, true).remove(0),
        wire::updates(&gone, 64512, true).remove(0),
        wire::end_of_rib(Family::Vpn),
        wire::end_of_rib(Family::RouteTargets),
        wire::memberships(&[target(2)], true, 64512).remove(0),
        wire::route_refresh(Family::Vpn),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    /// Whatever happens in whatever order: no panic; what is sent is made of whole messages that a peer can read; what is learned
    /// stays within its bound; and the session can always go on: it waits for something, or has something to do.
    #[test]
    fn no_history_whatsoever_breaks_a_session(events in prop::collection::vec(event(), 0..60)) {
        let mut now = Instant::now();
        let small = SessionConfig { most_routes: 2, target_constraint: true, ..config(A) };
        let mut session = Session::new(small, true, now);
        let messages = messages();
        for event in events {
            match event {
                Event::Connected => session.connected(now),
                Event::NotConnected => session.not_connected("no", now),
                Event::Closed => session.closed(None, now),
                Event::Received(bytes) => session.received(&bytes, now),
                Event::Message { which, at, to } => {
                    let mut bytes = messages[which].clone();
                    if let Some(to) = to {
                        let at = at.index(bytes.len());
                        bytes[at] = to;
                    }
                    session.received(&bytes, now);
                }
                Event::Elapsed(seconds) => {
                    now += Duration::from_secs(seconds.into());
                    session.elapsed(now);
                }
                Event::Advertise(hosts) => session.advertise(&routes(A, 0..hosts, 2), true),
                Event::Import(number) => session.import(&(0..number).map(target).collect::<BTreeSet<_>>()),
                Event::Refresh => session.refresh(),
                Event::Transmit => {
                    while let Some(bytes) = session.transmit() {
                        let mut framer = Framer::default();
                        framer.push(&bytes);
                        prop_assert!(matches!(framer.next_message(), Ok(Some(_))));
                        prop_assert!(matches!(framer.next_message(), Ok(None)));
                    }
                }
            }
            let _ = session.wants(now);
            let status = session.status();
            prop_assert!(status.learned <= 2);
            prop_assert!(session.next_timeout().is_some());
        }
    }
}
