//! A day of connections: they come and go, card time jumps while nothing happens, and the flow table must have exactly those that are not
//! old yet, both halves of each.
//!
//! Connections are of all states in which they can be left, through a service or not, of clients here and far. After each batch time passes,
//! by a part of the day. Then what the card tells of is held against what was sent: each pair was made once and has ended once, not before its
//! time and not after it, with exactly the packets that were sent. Now and then, and at the end, the whole table is looked at.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use penstock_abi::age::{Ages, State, units};
use penstock_abi::limits::CORE_CLOCK_KHZ;
use penstock_abi::reason::CardCounter;
use penstock_abi::ring::{EventKind, FlowEnd, FlowEvent};
use penstock_abi::share;
use penstock_refmodel::Ingress;
use penstock_refmodel::flows::key_of;
use penstock_refmodel::r#gen::Rng;
use penstock_refmodel::packet::{Ipv4, echo, ethernet, frame, mpls, mpls_udp, tcp, udp};
use penstock_refmodel::wire::{ACK, FIN, RST, SYN};

use crate::dut::{Dut, Heard};
use crate::script::NEW_FLOWS_ALONE;
use crate::storm::end::pairs;
use crate::storm::node::{
    BACKENDS, CLIENTS, DESTINATIONS, NODE, NODE_MAC, PEER, POD_PORT, label_of, tables,
};

/// What of a day there is to run.
#[derive(Clone, Copy, Debug)]
pub struct Churn {
    /// What happens follows from it.
    pub seed: u64,
    /// Connections, in all.
    pub connections: u32,
    /// In how many batches.
    pub batches: u32,
}

/// What there was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Day {
    /// Frames that were sent.
    pub frames: u64,
    /// Pairs that were made, and have ended.
    pub pairs: u32,
    /// How many there were at once at most.
    pub most: usize,
}

const DAY_S: u32 = 24 * 60 * 60;
/// How much later or earlier than to the second a pair may go.
const SLACK_S: u32 = 1;
/// Pauses in which some connections become old and others do not.
const SHORT_PAUSES_S: [u64; 5] = [4, 15, 45, 120, 250];
/// Batches between two looks at the whole table.
const LOOK_EVERY: u32 = 16;
/// Ports of clients; a client has fewer connections a day.
const FIRST_PORT: u16 = 1024;
const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMP: u8 = 1;

/// Seconds by state, as they are without a word of the operator's.
const SECONDS: [(State, u32); 8] = [
    (State::Closed, 10),
    (State::Opening, 240),
    (State::HalfClosed, 240),
    (State::Established, 7440),
    (State::UdpOneWay, 30),
    (State::UdpBothWays, 300),
    (State::Icmp, 60),
    (State::Other, 300),
];

/// A packet of a connection: from the client, or to it; with these flags if it is TCP.
type Step = (bool, u8);
const FORTH: bool = true;
const BACK: bool = false;
/// How connections go, by protocol, and the state in which they are left.
const COURSES: [(u8, &[Step], State); 9] = [
    (
        TCP,
        &[
            OPENED[0],
            OPENED[1],
            OPENED[2],
            (BACK, ACK),
            (FORTH, FIN | ACK),
            (BACK, FIN | ACK),
            (FORTH, ACK),
        ],
        State::Closed,
    ),
    (TCP, &[OPENED[0], OPENED[1], OPENED[2], (BACK, RST)], State::Closed),
    (TCP, &[OPENED[0], OPENED[1], OPENED[2], (FORTH, FIN | ACK), (BACK, ACK)], State::HalfClosed),
    (TCP, &[OPENED[0], OPENED[1], OPENED[2], (BACK, ACK)], State::Established),
    (TCP, &[OPENED[0]], State::Opening),
    (TCP, &[OPENED[0], OPENED[1]], State::Opening),
    (UDP, &[(FORTH, 0), (FORTH, 0)], State::UdpOneWay),
    (UDP, &[(FORTH, 0), (BACK, 0)], State::UdpBothWays),
    (ICMP, &[(FORTH, 0), (BACK, 0)], State::Icmp),
];
const OPENED: [Step; 3] = [(FORTH, SYN), (BACK, SYN | ACK), (FORTH, ACK)];

/// One connection.
#[derive(Clone, Copy, Debug)]
struct Connection {
    client: usize,
    port: u16,
    to: usize,
    course: usize,
    /// Which of the backends has it.
    backend: Option<usize>,
    /// Card time of its packets, in seconds since the day began.
    at: u64,
    /// Its pair, once there is one.
    pair: Option<u32>,
}

impl Connection {
    fn protocol(&self) -> u8 {
        COURSES[self.course].0
    }

    fn seconds(&self) -> u64 {
        let (_, _, state) = COURSES[self.course];
        SECONDS
            .iter()
            .find(|(known, _)| *known == state)
            .map_or(0, |(_, seconds)| (*seconds).into())
    }

    /// Packets forth and back.
    fn packets(&self) -> [u32; 2] {
        let steps = COURSES[self.course].1;
        [FORTH, BACK].map(|way| steps.iter().filter(|step| step.0 == way).count() as u32)
    }

    fn key(&self) -> Key {
        (CLIENTS[self.client].0, self.port, self.protocol())
    }
}

/// A client's address, its port, and the protocol.
type Key = (u32, u16, u8);

/// Runs a day on a cleared card.
///
/// # Errors
/// What did not hold.
pub fn run(dut: &mut dyn Dut, churn: &Churn) -> Result<Day> {
    dut.write(&tables())?;
    let mut ages = Ages::default();
    for (state, seconds) in SECONDS {
        ages.states[state as usize] = units(seconds, CORE_CLOCK_KHZ);
    }
    dut.set_ages(&ages)?;
    let mut run = Run {
        dut,
        rng: Rng::new(churn.seed),
        now: 0,
        day: Day::default(),
        ports: [FIRST_PORT; CLIENTS.len()],
        open: BTreeMap::new(),
        made: BTreeMap::new(),
    };
    let pause = u64::from(DAY_S / churn.batches.max(1));
    for batch in 0..churn.batches {
        let before = run.now;
        let context = || format!("batch {batch}, begun after {before} s");
        run.batch(churn.connections / churn.batches).with_context(context)?;
        // A short one shows what goes too early.
        let short = run.rng.of(SHORT_PAUSES_S);
        let pause = if run.rng.one_in(2) { short } else { run.rng.between(pause, 3 * pause) };
        run.pass(pause).with_context(context)?;
        if batch % LOOK_EVERY == 0 {
            run.look().with_context(context)?;
        }
    }
    run.pass(u64::from(DAY_S))?;
    run.nothing_is_left()?;
    Ok(run.day)
}

struct Run<'a> {
    dut: &'a mut dyn Dut,
    rng: Rng,
    /// Seconds since the day began.
    now: u64,
    day: Day,
    /// The next port of each client.
    ports: [u16; CLIENTS.len()],
    /// Connections that the table must have, or may have still.
    open: BTreeMap<Key, Connection>,
    /// Pairs that were made and have not ended.
    made: BTreeMap<u32, Key>,
}

impl Run<'_> {
    /// Connections, some at once.
    fn batch(&mut self, mut count: u32) -> Result<()> {
        while count > 0 {
            let some = count.min(NEW_FLOWS_ALONE as u32);
            count -= some;
            let connections: Vec<Connection> = (0..some).map(|_| self.connection()).collect();
            self.some(connections)?;
        }
        Ok(())
    }

    /// Somebody who begins.
    fn connection(&mut self) -> Connection {
        let course = self.rng.below(COURSES.len() as u64) as usize;
        // The node itself calls by other ways.
        let client = self.rng.below(4) as usize;
        // What is no port of a service is not asked of one.
        let first = if COURSES[course].0 == ICMP { 3 } else { 0 };
        let to = self.rng.between(first, DESTINATIONS.len() as u64 - 1) as usize;
        let port = self.ports[client];
        self.ports[client] += 1;
        Connection { client, port, to, course, backend: None, at: self.now, pair: None }
    }

    /// Packet by packet, the first ones of all, then the second ones, and so on.
    fn some(&mut self, mut connections: Vec<Connection>) -> Result<()> {
        let longest = COURSES.iter().map(|course| course.1.len()).max().unwrap_or(0);
        for step in 0..longest {
            let mut sent = 0;
            for connection in &connections {
                if let Some((way, flags)) = COURSES[connection.course].1.get(step) {
                    self.send(connection, *way, *flags)?;
                    sent += 1;
                }
            }
            self.dut.drain()?;
            let out = self.dut.take_frames();
            ensure!(out.len() == sent, "of {sent} packets {} left", out.len());
            self.day.frames += sent as u64;
            if step == 0 {
                // Who has them: the backends' vifs say.
                for out in &out {
                    let backend = BACKENDS.iter().position(|backend| backend.0 == out.vif);
                    let called =
                        |connection: &&mut Connection| caller(&out.frame) == connection.key();
                    if let Some(connection) = connections.iter_mut().find(called) {
                        connection.backend = backend;
                    }
                }
            }
        }
        for connection in connections {
            ensure!(connection.backend.is_some(), "nobody has {connection:?}");
            let before = self.open.insert(connection.key(), connection);
            ensure!(before.is_none(), "{before:?} is not over");
        }
        self.hear()
    }

    fn send(&mut self, connection: &Connection, way: bool, flags: u8) -> Result<()> {
        let (client, vif) = CLIENTS[connection.client];
        let (ip, port, _) = DESTINATIONS[connection.to];
        let segment = |from: (u32, u16), to: (u32, u16)| match connection.protocol() {
            TCP => tcp(from.0, to.0, from.1, to.1, flags, b"x"),
            UDP => udp(from.0, to.0, from.1, to.1, b"x"),
            _ => echo(from.0, to.0, if way { 8 } else { 0 }, connection.port, b"x"),
        };
        let caller = (client, connection.port);
        if way == FORTH {
            let packet = segment(caller, (ip, port));
            match vif {
                Some(vif) => self.dut.inject(Ingress::Host(vif), &frame(&packet)),
                None => self.by_tunnel(label_of(connection.to, connection.port), &packet),
            }
        } else {
            let backend = connection.backend.context("a reply of nobody")?;
            let (vif, pod, ..) = BACKENDS[backend];
            let reply = segment((pod, POD_PORT), caller);
            self.dut.inject(Ingress::Host(vif), &frame(&reply));
        }
        Ok(())
    }

    fn by_tunnel(&mut self, label: u32, packet: &Ipv4) {
        let outer = mpls_udp(PEER, NODE, 6635, mpls(label, 64), &packet.bytes());
        let frame = ethernet(NODE_MAC, 2, None, 0x0800, &outer.bytes());
        self.dut.inject(Ingress::Fabric, &frame);
    }

    /// Nothing happens for some seconds, but that pairs become old.
    fn pass(&mut self, seconds: u64) -> Result<()> {
        self.dut.pass(units(seconds as u32, CORE_CLOCK_KHZ))?;
        self.now += seconds;
        self.hear()?;
        let slack = u64::from(SLACK_S);
        let old = |c: &&Connection| self.now - c.at > c.seconds() + slack;
        let zombie = self.open.values().find(old);
        ensure!(zombie.is_none(), "it should have ended {zombie:?}");
        Ok(())
    }

    /// What the card told since the last time.
    fn hear(&mut self) -> Result<()> {
        let Heard { flows, dropped, .. } = self.dut.heard()?.context("it tells nothing")?;
        ensure!(dropped == 0, "{dropped} events were lost");
        for event in flows {
            match EventKind::from_u8(event.kind) {
                Some(EventKind::FlowMade) => self.begins(&event)?,
                Some(EventKind::FlowEnded) => self.ends(&event)?,
                other => anyhow::bail!("{other:?}: {event:?}"),
            }
        }
        let unmade = self.open.values().find(|connection| connection.pair.is_none());
        ensure!(unmade.is_none(), "it has no pair: {unmade:?}");
        self.day.most = self.day.most.max(self.open.len());
        Ok(())
    }

    fn begins(&mut self, event: &FlowEvent) -> Result<()> {
        let key = (event.source, event.source_port, event.protocol);
        let connection =
            self.open.get_mut(&key).with_context(|| format!("of nobody: {event:?}"))?;
        ensure!(connection.pair.is_none(), "{connection:?} has a second pair: {event:?}");
        connection.pair = Some(event.pair);
        let before = self.made.insert(event.pair, key);
        ensure!(before.is_none(), "{before:?} has not ended: {event:?}");
        self.day.pairs += 1;
        Ok(())
    }

    fn ends(&mut self, event: &FlowEvent) -> Result<()> {
        let key = self.made.remove(&event.pair);
        let key = key.with_context(|| format!("it was not made: {event:?}"))?;
        let connection = self.open.remove(&key).context("it is not open")?;
        let rested = self.now - connection.at;
        ensure!(
            rested + u64::from(SLACK_S) >= connection.seconds(),
            "after {rested} s of {}: {connection:?}",
            connection.seconds()
        );
        ensure!(event.reason == FlowEnd::Aged as u8, "{event:?}");
        ensure!(
            (event.source, event.source_port, event.protocol) == key,
            "{event:?} of {connection:?}"
        );
        ensure!(event.packets == connection.packets(), "{event:?} of {connection:?}");
        Ok(())
    }

    /// The whole table.
    fn look(&mut self) -> Result<()> {
        let flows = self.dut.flows()?;
        pairs(&flows)?;
        ensure!(
            flows.len() == 2 * self.open.len(),
            "{} entries of {} connections",
            flows.len(),
            self.open.len()
        );
        for (_, flow, _) in flows.iter().filter(|(_, flow, _)| !flow.reverse) {
            let key = key_of(flow);
            let connection = self.open.get(&(key.sip, key.sport, key.proto));
            ensure!(
                connection.is_some_and(|connection| connection.pair == Some(flow.pair)),
                "{flow:?} of {connection:?}"
            );
        }
        Ok(())
    }

    fn nothing_is_left(&mut self) -> Result<()> {
        ensure!(self.open.is_empty() && self.made.is_empty(), "{:?}", self.open);
        self.look()?;
        let vifs: Vec<u8> = (0..=6).collect();
        let counters = self.dut.counters(&vifs)?;
        let in_use = counters.card(CardCounter::FlowsInUse);
        ensure!(in_use == 0, "{in_use} entries are counted");
        let drops: u64 = counters.drops.values().sum();
        ensure!(drops == 0, "{drops} packets were dropped");
        let shares: Vec<u32> =
            vifs.iter().map(|vif| u32::from(*vif)).chain([share::of_tunnel(PEER)]).collect();
        for (share, stats) in shares.iter().zip(self.dut.share_stats(&shares)?) {
            ensure!(stats.pairs == 0, "share {share}: {stats:?}");
        }
        Ok(())
    }
}

/// Who sent a frame to a backend.
fn caller(frame: &[u8]) -> Key {
    let word = |at: usize| u16::from_be_bytes([frame[at], frame[at + 1]]);
    let source = u32::from(word(26)) << 16 | u32::from(word(28));
    let protocol = frame[23];
    // An echo's identifier is where sequence numbers of TCP begin.
    (source, if protocol == ICMP { word(38) } else { word(34) }, protocol)
}
