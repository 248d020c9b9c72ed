//! Packets without any regard to order: new connections back to back, clashing ones among them, replies as soon as a request comes out,
//! strangers, floods, groups that change and pairs that the host deletes. No outcome is predicted; what must hold whatever happens is:
//!
//! * a reply reaches the client from the address to which the client's request went, or not at all;
//! * a stranger changes no entry;
//! * entries come in pairs, each the other's partner, both translated or neither;
//! * each frame is out or counted.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use penstock_abi::hash::{fip_key, host_route_key, key_hash, row};
use penstock_abi::limits::{FIP_KEY_ROWS_LOG2, HOST_ROUTE_ROWS_LOG2};
use penstock_abi::reason::{CardCounter, DropReason};
use penstock_abi::table::{
    EcmpSlot, FipKey, FipMap, Flow, HostRoute, Ilm, NextHop, NextHopKind, Prefix, TableEntry,
    TableId, Vif, VifKind, Words, bucket_index,
};
use penstock_refmodel::flows::{attributes, key_of};
use penstock_refmodel::r#gen::{Rng, Write};
use penstock_refmodel::packet::{ACK, Ipv4, RST, SYN, ethernet, frame, mpls, mpls_udp, tcp};
use penstock_refmodel::parse::{self, Bytes};
use penstock_refmodel::{Counters, Ingress};

use crate::dut::{Dut, OutFrame};

const NODE: u32 = 0x0aa9_0001;
const NODE_MAC: u64 = 0x0200_0000_00aa;
const PEER: u32 = 0x0aa9_0002;
const STRANGER: u32 = 0x0aa9_0909;
const POD_PORT: u16 = 8080;
/// Backends by vif, with address, next hop and label.
const BACKENDS: [(u8, u32, u16, u32); 2] = [(5, 0x0a2f_0005, 15, 115), (6, 0x0a2f_0006, 16, 116)];
/// Clients: address, and vif if on this node.
const CLIENTS: [(u32, Option<u8>); 4] =
    [(0x0a2f_0003, Some(3)), (0x0a2f_0004, Some(4)), (0x0a30_0001, None), (0x0a30_0002, None)];
/// What clients connect to: address, port, label. Two services of one pod, a group of both, and the pods themselves.
const DESTINATIONS: [(u32, u16, u32); 5] = [
    (0x0a69_0001, 80, 121),
    (0x0a69_0002, 81, 122),
    (0x0a69_0003, 82, 123),
    (BACKENDS[0].1, POD_PORT, 115),
    (BACKENDS[1].1, POD_PORT, 116),
];
const GROUP: usize = 2;
const GROUP_NH: u16 = 40;
const VRF: u16 = 1;

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
            let at = l3 + ip.header_bytes + 20;
            let b = Bytes(&frame);
            let (client, to, port) = (b.u8(at + 1), b.u8(at + 2), b.u16(at + 3));
            let (client, to) = (usize::from(client), usize::from(to));
            match (b.u8(at), vif) {
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
        let from = (ip.sip, ip.key.sport);
        let address = |n: usize| (DESTINATIONS[n].0, DESTINATIONS[n].1);
        let connection = (CLIENTS[client].0, port);
        let right = if self.tainted.contains(&connection) {
            self.used[&connection].iter().any(|&n| address(n) == from)
        } else {
            address(to) == from
        };
        let arrived = (ip.dip, ip.key.dport) == connection;
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

/// The group's words at a fresh place, then the group.
fn group(base: u32, states: [bool; 2], generation: u8) -> Vec<Write> {
    let word = |n: usize| EcmpSlot {
        valid: states[n],
        nh: BACKENDS[n].2,
        generation,
        slot: n as u8,
        ..EcmpSlot::default()
    };
    let live: Vec<usize> = (0..2).filter(|&n| states[n]).collect();
    let words = [0, 1].into_iter().chain(live.iter().copied());
    let mut out: Vec<Write> =
        words.zip(base..).map(|(n, at)| (TableId::Ecmp, at, word(n).pack())).collect();
    let nh = NextHop {
        valid: true,
        kind: NextHopKind::Composite,
        base: base as u16,
        slots: 2,
        live: live.len() as u8,
        hash_fields: 0x1f,
        ..NextHop::default()
    };
    out.push((TableId::NextHop, u32::from(GROUP_NH), nh.pack()));
    out
}

fn tables() -> Vec<Write> {
    let mut out = Vec::new();
    let vif = |kind, nh, ip| Vif { valid: true, kind, vrf: VRF, nh, ip, ..Vif::default() };
    let fabric = Vif { mac: NODE_MAC, ..vif(VifKind::Fabric, 0, NODE) };
    out.push((TableId::Vif, 0, fabric.pack()));
    let mut pod = |number: u8, nh: u16, ip: u32| {
        let entry = Vif { rpf: true, ..vif(VifKind::Virtual, nh, ip) };
        let kind = NextHopKind::Encap;
        let encap = NextHop { valid: true, kind, vif: number, ..NextHop::default() };
        out.push((TableId::Vif, number.into(), entry.pack()));
        out.push((TableId::NextHop, nh.into(), encap.pack()));
        out.push(route(ip, nh, true));
    };
    for (ip, number) in CLIENTS.iter().filter_map(|c| Some((c.0, c.1?))) {
        pod(number, 10 + u16::from(number), ip);
    }
    for (number, ip, nh, _) in BACKENDS {
        pod(number, nh, ip);
    }
    let tunnel = NextHop {
        valid: true,
        kind: NextHopKind::Tunnel,
        sip: NODE,
        dip: PEER,
        ..NextHop::default()
    };
    out.push((TableId::NextHop, 30, tunnel.pack()));
    let far = Prefix {
        valid: true,
        vrf: VRF,
        ip: 0x0a30_0000,
        len: 16,
        nh: 30,
        label: 77,
        label_valid: true,
    };
    out.push((TableId::Prefix, 0, far.pack()));
    out.extend(group(92, [true, true], 0));
    let nhs = [15, 15, GROUP_NH, 15, 16];
    for ((ip, _, label), nh) in DESTINATIONS.into_iter().zip(nhs) {
        out.push((TableId::Ilm, label, Ilm { valid: true, nh, key_nh: nh, vrf: VRF }.pack()));
        if !BACKENDS.iter().any(|b| b.1 == ip) {
            out.push(route(ip, nh, true));
        }
    }
    let mapped = [(0, 0), (1, 0), (GROUP, 0), (GROUP, 1)];
    for (map, (destination, backend)) in mapped.into_iter().enumerate() {
        let ((vip, vip_port, _), (vif, pod_ip, ..)) =
            (DESTINATIONS[destination], BACKENDS[backend]);
        let entry =
            FipMap { valid: true, generation: 1, pod_ip, pod_port: POD_PORT, vip, vip_port };
        out.push((TableId::FipMap, map as u32, entry.pack()));
        out.push(key(vif, vip, vip_port, map as u16));
    }
    for (vif, ip, ..) in BACKENDS {
        out.push(key(vif, ip, POD_PORT, 0));
    }
    out
}

fn route(ip: u32, nh: u16, own: bool) -> Write {
    let r = HostRoute { valid: true, vrf: VRF, ip, nh, own, ..HostRoute::default() };
    let at = row(key_hash(host_route_key(VRF, ip)), 0, HOST_ROUTE_ROWS_LOG2);
    (TableId::HostRoute, bucket_index(0, at, 0, HOST_ROUTE_ROWS_LOG2), r.pack())
}

fn key(vif: u8, ip: u32, port: u16, map: u16) -> Write {
    let k = FipKey { valid: true, vif, proto: parse::TCP, ip, port, map };
    let at = row(key_hash(fip_key(vif, parse::TCP, ip, port)), 0, FIP_KEY_ROWS_LOG2);
    (TableId::FipKey, bucket_index(0, at, 0, FIP_KEY_ROWS_LOG2), k.pack())
}
