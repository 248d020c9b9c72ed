//! Packets without any regard to order: new connections back to back, clashing ones among them, replies as soon as a request comes out,
//! strangers, floods, groups that change, clients that move and pairs that the host deletes. No outcome is predicted; what must hold
//! whatever happens is:
//!
//! * a reply, or an ICMP error, reaches the client from the address to which the very request went that it answers ([`judge`]), or not at all;
//! * a request reaches a backend of its destination, translated;
//! * a stranger reaches nobody, and changes no entry;
//! * entries come in pairs, one of each direction, both translated or neither;
//! * each frame is out or counted.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use penstock_abi::limits::DRAIN_CYCLES;
use penstock_abi::table::{Flow, FlowKey, TableId, Words};
use penstock_refmodel::Ingress;
use penstock_refmodel::flows::key_of;
use penstock_refmodel::r#gen::Rng;
use penstock_refmodel::packet::{Ipv4, ethernet, frame, icmp, mpls, mpls_udp, tcp, udp};
use penstock_refmodel::parse::{self, Bytes};
use penstock_refmodel::wire::{ACK, RST, SYN, TCP, UDP};

use self::end::pairs;
use self::judge::{Caller, Judge};
use self::node::*;
pub use self::weather::Weather;
use crate::dut::{Dut, OutFrame};
use crate::script::NEW_FLOWS_ALONE;

pub(crate) mod end;
mod judge;
pub(crate) mod node;
mod weather;

/// Callers that may call again.
const REGULARS: usize = 16;
/// So many packets that begin a flow find room for their requests.
const FILL_AT_ONCE: usize = NEW_FLOWS_ALONE;

/// A storm's length and scene.
#[derive(Clone, Copy, Debug)]
pub struct Storm {
    /// What happens follows from it.
    pub seed: u64,
    /// Bursts of packets.
    pub rounds: u32,
    /// The flow table is as full as translation lets it become from the middle on.
    pub full_table: bool,
}

/// Runs a storm on a cleared card.
///
/// # Errors
/// What did not hold.
pub fn run(dut: &mut dyn Dut, storm: &Storm) -> anyhow::Result<Weather> {
    dut.write(&tables())?;
    let mut run = Run {
        dut,
        rng: Rng::new(storm.seed),
        weather: Weather::default(),
        injected: BTreeMap::new(),
        replies: Vec::new(),
        judge: Judge::default(),
        regulars: VecDeque::new(),
        next_port: 2000,
        peer: PEER,
        ring: 100,
        fill: Vec::new(),
    };
    for round in 0..storm.rounds {
        if storm.full_table && round == storm.rounds / 2 {
            run.fill_table()?;
        }
        run.round(round)?;
    }
    run.calm()?;
    let flows = run.strangers_change_nothing()?;
    pairs(&flows)?;
    run.sums()
}

struct Run<'a> {
    dut: &'a mut dyn Dut,
    rng: Rng,
    weather: Weather,
    injected: BTreeMap<u8, u64>,
    /// Replies that the backends have ready: vif and packet.
    replies: Vec<(u8, Ipv4)>,
    judge: Judge,
    /// Callers of late, each with the destination of its first call.
    regulars: VecDeque<(Caller, usize)>,
    next_port: u16,
    /// Where the far clients are.
    peer: u32,
    /// Next free word of the ring.
    ring: u32,
    /// Plain pairs that only fill the table.
    fill: Vec<FlowKey>,
}

/// What a payload says: kind, number of the request.
fn payload(kind: u8, number: u32) -> [u8; 8] {
    let [a, b, c, d] = number.to_be_bytes();
    [kind, 0, 0, 0, a, b, c, d]
}

fn segment(proto: u8, from: (u32, u16), to: (u32, u16), flags: u8, data: &[u8]) -> Ipv4 {
    if proto == UDP {
        udp(from.0, to.0, from.1, to.1, data)
    } else {
        tcp(from.0, to.0, from.1, to.1, flags, data)
    }
}

impl Run<'_> {
    fn inject(&mut self, ingress: Ingress, frame: &[u8]) {
        self.weather.frames += 1;
        *self.injected.entry(ingress.vif()).or_default() += 1;
        self.dut.inject(ingress, frame);
    }

    fn tunnelled(&mut self, from: u32, label: u32, p: &Ipv4) {
        let outer = mpls_udp(from, NODE, 6635, mpls(label, 64), &p.bytes());
        self.inject(Ingress::Fabric, &ethernet(NODE_MAC, 2, None, 0x0800, &outer.bytes()));
    }

    fn round(&mut self, round: u32) -> anyhow::Result<()> {
        // A flood now and then: more connections at once than wait.
        let flood = self.rng.one_in(12);
        let frames = if flood { 300 } else { self.rng.between(4, 40) };
        self.burst(frames, flood);
        if self.rng.one_in(10) {
            self.change_group()?;
        }
        if self.rng.one_in(6) {
            self.peer = if self.peer == PEER { OTHER_PEER } else { PEER };
            self.dut.write(&[far_clients_at(self.peer)])?;
        }
        if round % 16 == 9 {
            self.delete_some()?;
        }
        self.dut.wait(self.rng.below(120) as u32);
        self.look()?;
        if round % 6 == 5 {
            self.quiet()?;
        }
        Ok(())
    }

    /// Returns who called.
    fn burst(&mut self, frames: u64, flood: bool) -> Vec<Caller> {
        let mut callers = Vec::new();
        for _ in 0..frames {
            match self.rng.below(24) {
                0..=11 => callers.push(self.request(flood)),
                12 | 13 => callers.extend(self.regular().map(|(caller, _)| {
                    self.stranger(STRANGER, caller, |_| true);
                    caller
                })),
                14 if !flood => callers.push(self.speak_first()),
                _ => self.reply(),
            }
        }
        callers
    }

    /// Somebody who calls for the first time.
    fn newcomer(&mut self, to: usize, proto: u8) -> Caller {
        let client = self.rng.below(CLIENTS.len() as u64) as usize;
        let caller = (client, self.next_port, proto);
        self.next_port += 1;
        self.regulars.push_back((caller, to));
        if self.regulars.len() > REGULARS {
            self.regulars.pop_front();
        }
        caller
    }

    fn regular(&mut self) -> Option<(Caller, usize)> {
        let at = self.rng.below(REGULARS as u64) as usize;
        self.regulars.get(at).copied()
    }

    /// From a fresh port; or once more; or from a port that spoke to another destination just now.
    fn request(&mut self, flood: bool) -> Caller {
        let other = self.rng.below(DESTINATIONS.len() as u64) as usize;
        let again = if flood || self.rng.one_in(2) { None } else { self.regular() };
        let (caller, to) = match again {
            Some((caller, first)) => (caller, if self.rng.one_in(2) { first } else { other }),
            None => {
                let proto = self.rng.of([TCP, TCP, UDP]);
                (self.newcomer(other, proto), other)
            }
        };
        let ((ip, vif), (dip, dport, _)) = (CLIENTS[caller.0], DESTINATIONS[to]);
        let tunnel = if vif.is_some() { 0 } else { self.peer };
        let data = payload(b'Q', self.judge.ask(caller, to, tunnel));
        let flags = self.rng.of([SYN, SYN, ACK, SYN | ACK]);
        let p = segment(caller.2, (ip, caller.1), (dip, dport), flags, &data);
        match vif {
            Some(vif) => self.inject(Ingress::Host(vif), &frame(&p)),
            None => self.tunnelled(tunnel, label_of(to, caller.1), &p),
        }
        caller
    }

    /// A backend sends a datagram to somebody who may call it later.
    fn speak_first(&mut self) -> Caller {
        let backend = self.rng.below(BACKENDS.len() as u64) as usize;
        let known = self.regular().filter(|(c, _)| c.2 == UDP && self.rng.one_in(2));
        let caller = match known {
            Some((caller, _)) => caller,
            None => self.newcomer(backend, UDP),
        };
        let number = self.judge.speak_first(caller, backend);
        let (vif, ip, ..) = BACKENDS[backend];
        let to = (CLIENTS[caller.0].0, caller.1);
        let p = segment(UDP, (ip, POD_PORT), to, 0, &payload(b'R', number));
        self.inject(Ingress::Host(vif), &frame(&p));
        caller
    }

    fn reply(&mut self) {
        let waiting = self.replies.len();
        if waiting == 0 {
            return;
        }
        // The latest is the one that may overtake its pair.
        let at =
            if self.rng.one_in(2) { waiting - 1 } else { self.rng.below(waiting as u64) as usize };
        let (vif, p) = self.replies.swap_remove(at);
        self.inject(Ingress::Host(vif), &frame(&p));
    }

    /// A reset for somebody's connection, by a tunnel that is nobody's, in either direction; only of tuples that are `wanted`.
    fn stranger(
        &mut self,
        tunnel: u32,
        caller: Caller,
        wanted: impl Fn(&(u32, u16, u32, u16)) -> bool,
    ) {
        let (client, port, _) = caller;
        let caller = (client, port, TCP);
        let to = self.rng.below(DESTINATIONS.len() as u64) as usize;
        let ((ip, _), (dip, dport, _)) = (CLIENTS[client], DESTINATIONS[to]);
        let (_, pod, _, pod_label) = BACKENDS[to % 2];
        if self.rng.one_in(2) && wanted(&(ip, port, dip, dport)) {
            let data = payload(b'X', self.judge.ask(caller, to, tunnel));
            self.tunnelled(tunnel, label_of(to, port), &tcp(ip, dip, port, dport, RST, &data));
        } else {
            // A pod's address is this node's own.
            let data = payload(b'X', u32::MAX);
            self.tunnelled(tunnel, pod_label, &tcp(pod, ip, POD_PORT, port, RST, &data));
        }
    }

    /// The group anew at a fresh place: a member goes, comes back under another generation, or drains.
    fn change_group(&mut self) -> anyhow::Result<()> {
        self.judge.group_changes();
        let states = self.rng.of([[true, true], [true, false], [false, true]]);
        let generation = self.rng.below(3) as u8;
        self.dut.write(&group(self.ring, states, generation))?;
        self.ring += 8;
        Ok(())
    }

    /// The host deletes pairs while frames are on their way.
    fn delete_some(&mut self) -> anyhow::Result<()> {
        let fill: Vec<FlowKey> = (0..40).filter_map(|_| self.fill.pop()).collect();
        self.quiet()?;
        let flows = self.dut.flows()?;
        let places: HashMap<FlowKey, u32> = flows.iter().map(|(i, f, _)| (key_of(f), *i)).collect();
        let mut indices: Vec<u32> = fill.iter().filter_map(|k| places.get(k).copied()).collect();
        if indices.is_empty() {
            // By the forward entry, whose place stays the pair's while that is rewritten: in a table with so much room nothing is moved.
            let forward: Vec<&Flow> =
                flows.iter().map(|(_, f, _)| f).filter(|f| !f.reverse).collect();
            let chosen: BTreeSet<usize> =
                (0..6).map(|_| self.rng.below(forward.len().max(1) as u64) as usize).collect();
            for f in chosen.into_iter().filter_map(|at| forward.get(at)) {
                for (ip, port) in [(f.sip, f.sport), (f.dip, f.dport)] {
                    if let Some(client) = CLIENTS.iter().position(|c| c.0 == ip) {
                        self.judge.loosen((client, port, f.proto));
                    }
                }
                indices.extend(places.get(&key_of(f)));
            }
            // A slot that a dead pair leaves is theirs at once, and goes with it.
            for caller in self.burst(20, false) {
                self.judge.loosen(caller);
                self.judge.loosen((caller.0, caller.1, TCP));
            }
        }
        self.weather.deleted += indices.len() as u64;
        for index in indices {
            self.dut.write(&[(TableId::Flow, index, Words::default())])?;
        }
        Ok(())
    }

    /// Plain flows, until no more is translated.
    fn fill_table(&mut self) -> anyhow::Result<()> {
        self.quiet()?;
        let (ip, vif) = CLIENTS[1];
        let wanted = self.dut.shape().flows_translated_max as usize / 2 + 8;
        for n in 0..wanted {
            let to = (0x0a30_1000 + n as u32 / 1000, 1 + (n % 1000) as u16);
            let p = segment(UDP, (ip, 1000), to, 0, &payload(b'F', 0));
            self.inject(Ingress::Host(vif.unwrap_or_default()), &frame(&p));
            if n % FILL_AT_ONCE == 0 {
                self.dut.drain()?;
                self.dut.wait(DRAIN_CYCLES);
            }
        }
        self.quiet()?;
        let flows = self.dut.flows()?;
        let fill = flows.iter().filter(|(_, f, _)| f.sip == ip && f.sport == 1000);
        self.fill = fill.map(|(_, f, _)| key_of(f)).collect();
        anyhow::ensure!(
            self.fill.len() == wanted,
            "{} of {wanted} fill the table",
            self.fill.len()
        );
        Ok(())
    }

    /// Until nothing is on its way.
    fn quiet(&mut self) -> anyhow::Result<()> {
        self.dut.drain()?;
        self.look()?;
        let deferred = self.dut.deferred()?;
        self.judge.quiet(deferred)
    }

    /// The backends answer what is left to answer.
    fn calm(&mut self) -> anyhow::Result<()> {
        while !self.replies.is_empty() {
            self.reply();
        }
        self.quiet()
    }

    /// Takes what left and looks at it.
    fn look(&mut self) -> anyhow::Result<()> {
        for OutFrame { vif, frame } in self.dut.take_frames() {
            let l3 = if vif == 0 { 46 } else { 14 };
            let ip = parse::ipv4(&frame, l3).map_err(|reason| {
                anyhow::anyhow!("left by vif {vif}, but {reason:?}: {frame:02x?}")
            })?;
            // Behind the header; of an ICMP error, behind that of the request that it is about.
            let about = if ip.l4 == parse::L4::IcmpError { 8 + 20 } else { 0 };
            let header = if ip.key.proto == UDP { 8 } else { 20 };
            let at = l3 + ip.header_bytes + about + header;
            let b = Bytes(&frame);
            let (kind, number) = (b.u8(at), b.u32(at + 4));
            let (from, to) = ((ip.key.sip, ip.key.sport), (ip.key.dip, ip.key.dport));
            match (kind, vif) {
                (b'Q', _) if about > 0 => {
                    anyhow::ensure!(ip.sip == from.0 && ip.dip == to.0, "an error about {ip:?}");
                    self.judge.answered(number, from, to)?;
                }
                (b'Q', 5 | 6) => {
                    self.judge.came_out(number, vif, from, to)?;
                    let p = if self.rng.one_in(4) {
                        icmp(ip.dip, ip.sip, 3, 3, 0, &frame[l3..])
                    } else {
                        let flags = self.rng.of([SYN | ACK, ACK]);
                        segment(ip.proto, to, from, flags, &payload(b'R', number))
                    };
                    self.replies.push((vif, p));
                }
                (b'R', _) => self.judge.answered(number, from, to)?,
                (b'F', 0) => {}
                // A stranger's tunnel is in no set of sources.
                (b'F' | b'X' | b'Q', _) => anyhow::bail!("left by vif {vif}: {ip:?}"),
                _ => anyhow::bail!("not a frame of ours: {frame:02x?}"),
            }
        }
        Ok(())
    }
}
