//! Packets without any regard to order: new connections back to back, clashing ones among them, replies as soon as a request comes out,
//! strangers, floods, groups that change and pairs that the host deletes. No outcome is predicted; what must hold whatever happens is:
//!
//! * a reply, or an ICMP error, reaches the client from the address to which the client's request went, or not at all;
//! * a stranger changes no entry;
//! * entries come in pairs, each the other's partner, both translated or neither;
//! * each frame is out or counted.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use penstock_abi::reason::{CardCounter, DropReason};
use penstock_abi::table::{Flow, TableId, Words};
use penstock_refmodel::flows::{attributes, key_of};
use penstock_refmodel::r#gen::Rng;
use penstock_refmodel::packet::{ACK, Ipv4, RST, SYN, ethernet, frame, icmp, mpls, mpls_udp, tcp};
use penstock_refmodel::parse::{self, Bytes};
use penstock_refmodel::{Counters, Ingress};

use self::node::*;
use crate::dut::{Dut, OutFrame};

mod node;

/// What came about.
#[derive(Clone, Copy, Debug, Default)]
pub struct Weather {
    /// Frames that went in.
    pub frames: u64,
    /// Replies that reached a client.
    pub replies: u64,
    /// Packets refused because replies could not be told apart.
    pub clashes: u64,
    /// Packets refused because the queue was full.
    pub queue_full: u64,
    /// Replies without a flow.
    pub unusable: u64,
    /// Pairs that the host deleted.
    pub deleted: u64,
}

/// Runs a storm on a cleared card.
///
/// # Errors
/// What did not hold.
pub fn run(dut: &mut dyn Dut, seed: u64, rounds: u32) -> anyhow::Result<Weather> {
    dut.write(&tables())?;
    let mut storm = Storm {
        dut,
        rng: Rng::new(seed),
        weather: Weather::default(),
        injected: BTreeMap::new(),
        replies: Vec::new(),
        used: HashMap::new(),
        tainted: BTreeSet::new(),
        ring: 100,
        deferred: 0,
    };
    for round in 0..rounds {
        storm.round(round)?;
    }
    storm.dut.drain()?;
    storm.look()?;
    storm.strangers_change_nothing()?;
    storm.pairs()?;
    storm.sums()
}

struct Storm<'a> {
    dut: &'a mut dyn Dut,
    rng: Rng,
    weather: Weather,
    injected: BTreeMap<u8, u64>,
    /// Replies that the backends have ready: vif and packet.
    replies: Vec<(u8, Ipv4)>,
    /// Destinations that a client, or somebody in its name, used from a port.
    used: HashMap<(u32, u16), BTreeSet<usize>>,
    /// Clients and ports of which a pair was taken away: a late reply may look like that of the next connection.
    tainted: BTreeSet<(u32, u16)>,
    /// Next free word of the ring.
    ring: u32,
    /// Requests that were put off.
    deferred: u64,
}

/// What a payload says: kind, client and destination by number, the client's port.
fn payload(kind: u8, client: usize, port: u16, destination: usize) -> [u8; 6] {
    let [high, low] = port.to_be_bytes();
    [kind, client as u8, destination as u8, high, low, 0]
}

impl Storm<'_> {
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
        for n in 0..if flood { 300 } else { self.rng.between(4, 40) } {
            match self.rng.below(10) {
                0..=5 => {
                    let port =
                        if flood { 2000 + n as u16 } else { self.rng.between(1000, 1007) as u16 };
                    self.request(port);
                }
                6 => {
                    let port = self.rng.between(1000, 1007) as u16;
                    self.stranger(STRANGER, port, |_| true);
                }
                _ => self.reply(),
            }
        }
        if self.rng.one_in(8) {
            self.change_group()?;
        }
        if round % 16 == 9 {
            self.delete_some()?;
        }
        self.dut.wait(self.rng.below(120) as u32);
        self.look()
    }

    fn request(&mut self, port: u16) {
        let client = self.rng.below(CLIENTS.len() as u64) as usize;
        let to = self.rng.below(DESTINATIONS.len() as u64) as usize;
        let ((ip, vif), (dip, dport, label)) = (CLIENTS[client], DESTINATIONS[to]);
        self.used.entry((ip, port)).or_default().insert(to);
        let flags = self.rng.of([SYN, SYN, ACK, SYN | ACK]);
        let p = tcp(ip, dip, port, dport, flags, &payload(b'Q', client, port, to));
        match vif {
            Some(vif) => self.inject(Ingress::Host(vif), &frame(&p)),
            None => self.tunnelled(PEER, label, &p),
        }
    }

    fn reply(&mut self) {
        if self.replies.is_empty() {
            return;
        }
        let at = self.rng.below(self.replies.len() as u64) as usize;
        let (vif, p) = self.replies.swap_remove(at);
        self.inject(Ingress::Host(vif), &frame(&p));
    }

    /// A reset for somebody's connection, by a tunnel that is nobody's, in either direction; only of tuples that are `wanted`.
    fn stranger(&mut self, tunnel: u32, port: u16, wanted: impl Fn(&(u32, u16, u32, u16)) -> bool) {
        let client = self.rng.below(CLIENTS.len() as u64) as usize;
        let to = self.rng.below(DESTINATIONS.len() as u64) as usize;
        let ((ip, _), (dip, dport, label)) = (CLIENTS[client], DESTINATIONS[to]);
        let data = payload(b'X', client, port, to);
        let (_, pod, _, pod_label) = BACKENDS[to % 2];
        if self.rng.one_in(2) && wanted(&(ip, port, dip, dport)) {
            self.used.entry((ip, port)).or_default().insert(to);
            self.tunnelled(tunnel, label, &tcp(ip, dip, port, dport, RST, &data));
        } else {
            // A pod's address is this node's own.
            self.tunnelled(tunnel, pod_label, &tcp(pod, ip, POD_PORT, port, RST, &data));
        }
    }

    /// The group anew at a fresh place: a member goes, comes back under another generation, or drains.
    fn change_group(&mut self) -> anyhow::Result<()> {
        for ((ip, port), to) in &self.used {
            if to.contains(&GROUP) {
                self.tainted.insert((*ip, *port));
            }
        }
        let states = self.rng.of([[true, true], [true, false], [false, true]]);
        let generation = self.rng.below(3) as u8;
        self.dut.write(&group(self.ring, states, generation))?;
        self.ring += 8;
        Ok(())
    }

    /// The host deletes pairs while frames are on their way.
    fn delete_some(&mut self) -> anyhow::Result<()> {
        let flows = self.dut.flows()?;
        for _ in 0..6 {
            let Some((index, f, _)) = self.rng.pick(&flows) else { return Ok(()) };
            // The client's side of it, in either direction.
            self.tainted.extend([(f.sip, f.sport), (f.dip, f.dport)]);
            self.weather.deleted += 1;
            self.dut.write(&[(TableId::Flow, *index, Words::default())])?;
        }
        Ok(())
    }

    /// Takes what left and looks at it.
    fn look(&mut self) -> anyhow::Result<()> {
        // A connection that nothing translates goes on without its pair, and another may take its replies.
        let deferred = self.dut.deferred()?;
        if deferred != self.deferred {
            self.deferred = deferred;
            self.tainted.extend(self.used.keys());
        }
        for OutFrame { vif, frame } in self.dut.take_frames() {
            let l3 = if vif == 0 { 46 } else { 14 };
            let ip = parse::ipv4(&frame, l3).map_err(|reason| {
                anyhow::anyhow!("left by vif {vif}, but {reason:?}: {frame:02x?}")
            })?;
            // After a TCP header; of an ICMP error, that of the request that it is about.
            let about = if ip.l4 == parse::L4::IcmpError { 8 + 20 } else { 0 };
            let at = l3 + ip.header_bytes + about + 20;
            let b = Bytes(&frame);
            let (client, to, port) = (b.u8(at + 1), b.u8(at + 2), b.u16(at + 3));
            let (client, to) = (usize::from(client), usize::from(to));
            match (b.u8(at), vif) {
                (b'Q', _) if about > 0 => self.judge(&ip, client, to, port)?,
                (b'Q', 5 | 6) if self.rng.one_in(4) => {
                    let error = icmp(ip.dip, ip.sip, 3, 3, 0, &frame[l3..]);
                    self.replies.push((vif, error));
                }
                (b'Q', 5 | 6) => {
                    let flags = self.rng.of([SYN | ACK, ACK]);
                    let data = payload(b'R', client, port, to);
                    let (sip, dip) = (ip.dip, ip.sip);
                    let p = tcp(sip, dip, ip.key.dport, ip.key.sport, flags, &data);
                    self.replies.push((vif, p));
                }
                (b'R', _) => self.judge(&ip, client, to, port)?,
                // Of no known flow: it may come from any tunnel.
                (b'X', 5 | 6) => {}
                (b'X' | b'Q', _) => anyhow::bail!("left by vif {vif}: {ip:?}"),
                _ => anyhow::bail!("not a frame of ours: {frame:02x?}"),
            }
        }
        Ok(())
    }

    fn judge(&mut self, ip: &parse::Ip, client: usize, to: usize, port: u16) -> anyhow::Result<()> {
        self.weather.replies += 1;
        // What the client sees of an ICMP error: who sent it, and to whom the request went.
        let from = (ip.key.sip, ip.key.sport);
        let address = |n: usize| (DESTINATIONS[n].0, DESTINATIONS[n].1);
        let connection = (CLIENTS[client].0, port);
        let right = if self.tainted.contains(&connection) {
            self.used[&connection].iter().any(|&n| address(n) == from)
        } else {
            address(to) == from
        };
        let arrived = (ip.dip, ip.key.dport) == connection && ip.sip == ip.key.sip;
        anyhow::ensure!(
            right && arrived,
            "{connection:x?} spoke to {:x?}, and is answered from {from:x?}",
            address(to)
        );
        Ok(())
    }

    fn strangers_change_nothing(&mut self) -> anyhow::Result<()> {
        // What waits for its 40 cycles, waits no more.
        self.dut.wait(64);
        let state = |dut: &mut dyn Dut| -> anyhow::Result<_> {
            let flows = dut.flows()?;
            let tcp: BTreeMap<u32, u8> = flows.iter().map(|(i, _, s)| (*i, s.tcp)).collect();
            Ok((attributes(flows.iter().map(|(i, f, _)| (*i, *f))), tcp))
        };
        let before = state(self.dut)?;
        let known: BTreeSet<(u32, u16, u32, u16)> =
            before.0.keys().map(|k| (k.sip, k.sport, k.dip, k.dport)).collect();
        for n in 0..200 {
            self.stranger(STRANGER + 1, 1000 + n % 8, |t| known.contains(t));
        }
        self.dut.drain()?;
        anyhow::ensure!(state(self.dut)? == before, "a stranger changed an entry");
        self.look()
    }

    fn pairs(&mut self) -> anyhow::Result<()> {
        let flows: BTreeMap<u32, Flow> =
            self.dut.flows()?.into_iter().map(|(i, f, _)| (i, f)).collect();
        for (i, f) in &flows {
            let partner = flows.get(&u32::from(f.partner)).filter(|_| f.partner_valid);
            let whole = partner.is_some_and(|p| {
                u32::from(p.partner) == *i
                    && p.partner_valid
                    && (p.map_valid, p.map) == (f.map_valid, f.map)
                    && p.reverse != f.reverse
            });
            anyhow::ensure!(whole, "half a pair: {f:?}, partner {partner:?}");
        }
        let keys: std::collections::HashSet<_> = flows.values().map(key_of).collect();
        anyhow::ensure!(keys.len() == flows.len(), "two entries with one key");
        Ok(())
    }

    fn sums(mut self) -> anyhow::Result<Weather> {
        let vifs: Vec<u8> = (0..=6).collect();
        let c: Counters = self.dut.counters(&vifs)?;
        for (vif, n) in &self.injected {
            let got = c.vif(*vif).rx_packets;
            anyhow::ensure!(got == *n, "vif {vif}: {n} frames went in, {got} are counted");
        }
        let sent: u64 = vifs.iter().map(|&v| c.vif(v).tx_packets).sum();
        let by_vif: u64 = vifs.iter().map(|&v| c.vif(v).drops).sum();
        let by_reason: u64 = c.drops.values().sum();
        let trapped = c.card(CardCounter::Trapped);
        let accounted = sent + by_reason + trapped;
        anyhow::ensure!(by_vif == by_reason, "{by_vif} drops by vif, {by_reason} by reason");
        anyhow::ensure!(
            accounted == self.weather.frames,
            "{} frames went in, {sent} left, {by_reason} were dropped, {trapped} trapped",
            self.weather.frames
        );
        self.weather.clashes = c.dropped(DropReason::FlowClash);
        self.weather.queue_full = c.dropped(DropReason::FlowQueueFull);
        self.weather.unusable = c.dropped(DropReason::FlowUnusable);
        Ok(self.weather)
    }
}
