//! Random frames for a [`World`], biased towards what hits its tables and the flows that earlier frames made.

mod build;

use std::collections::VecDeque;

use super::world::Service;
use super::{Rng, World};
use crate::checksum::fold;
use crate::fragments::FragmentId;
use crate::packet::{self, Ipv4};
use crate::parse::{self, Bytes};
use crate::tunnel::tunnel;
use crate::verdict::{Egress, Ingress, Verdict};
use crate::wire::{ACK, ICMP, SCTP, SYN, TCP, UDP};

/// Flows that are remembered.
const SEEN_MAX: usize = 64;

/// Where an inner packet enters the card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// From a pod.
    Pod(u8),
    /// From the fabric under this label, from a node with this address.
    Label(u32, u32),
}

/// The addresses and ports of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tuple {
    pub(super) proto: u8,
    pub(super) sip: u32,
    pub(super) dip: u32,
    /// ICMP: the echo identifier.
    pub(super) sport: u16,
    pub(super) dport: u16,
}

/// A packet that was forwarded: how it came, and what it became.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) entry: Entry,
    pub(super) tuple: Tuple,
    /// How replies to it enter.
    pub(super) back: Entry,
    pub(super) out: Vec<u8>,
    /// Difference that the card's translation makes to the layer-4 checksum (one's complement).
    checksum_delta: u16,
}

/// A source of frames.
#[derive(Clone, Debug)]
pub struct Traffic {
    pub(super) rng: Rng,
    pub(super) seen: VecDeque<Seen>,
    big_frames: bool,
    /// First fragments of tunnel packets that were sent lately.
    pub(super) fragments: VecDeque<FragmentId>,
    /// A connection that was reset, and with which another is to clash.
    pub(super) doomed: Option<Seen>,
    /// A request whose reply was sent before it.
    pub(super) answered: Option<(Entry, Tuple)>,
    /// Flags of the next TCP segment, if not random.
    pub(super) flags: Option<u8>,
}

impl Traffic {
    /// From a seed. With `big_frames` some frames are as long as the card takes, and longer.
    #[must_use]
    pub fn new(seed: u64, big_frames: bool) -> Self {
        let (seen, fragments) = (VecDeque::new(), VecDeque::new());
        let rng = Rng::new(seed);
        Self { rng, seen, big_frames, fragments, doomed: None, answered: None, flags: None }
    }

    /// The next frame and the port by which it arrives.
    pub fn next_frame(&mut self, world: &World) -> (Ingress, Vec<u8>) {
        if self.rng.one_in(2)
            && let Some((entry, tuple)) = self.answered.take()
        {
            return self.packet_of(world, entry, tuple, None);
        }
        match self.rng.below(48) {
            0 => self.noise(world),
            1 => self.cross_connect(world),
            2..=4 if !self.seen.is_empty() => self.icmp_error(world),
            5..=10 if !self.seen.is_empty() => self.reply(world),
            11..=24 if !self.seen.is_empty() => self.again(world),
            25..=27 if !self.seen.is_empty() => self.clash(world),
            28 if !self.seen.is_empty() => self.stranger(world),
            29 => self.orphan(world),
            33 => self.early_reply(world),
            30..=32 if !self.seen.is_empty() => self.return_to_service(world),
            34..=38 if !self.seen.is_empty() => self.call_again(world),
            _ => self.fresh(world),
        }
    }

    /// The card was cleared: it remembers no first fragments.
    pub fn card_cleared(&mut self) {
        self.fragments.clear();
    }

    /// Several frames of the flow that was last seen, or fewer if there is none.
    pub fn burst(&mut self, world: &World, count: usize) -> Vec<(Ingress, Vec<u8>)> {
        let Some(seen) = self.seen.back().cloned() else { return Vec::new() };
        (0..count).map(|_| self.packet_of(world, seen.entry, seen.tuple, None)).collect()
    }

    /// Learns what became of a frame, so that later ones can answer it.
    pub fn feedback(&mut self, world: &World, ingress: Ingress, frame: &[u8], verdict: &Verdict) {
        let Verdict::Sent { egress, frame: out } = verdict else { return };
        let Some((entry, l3)) = entry_of(world, ingress, frame) else { return };
        let out_l3 = match egress {
            Egress::Host(vif) if world.pods.iter().any(|p| p.vif == *vif) => 14,
            Egress::Fabric if Bytes(out).u8(23) == UDP => 46,
            Egress::Fabric => 42,
            _ => return,
        };
        let back = match egress {
            Egress::Host(vif) => Entry::Pod(*vif),
            _ => {
                let Entry::Pod(vif) = entry else { return };
                let Some(pod) = world.pods.iter().find(|p| p.vif == vif) else { return };
                let under = Bytes(out).u32(out_l3 + 12);
                let floating = world.floating.iter().find(|f| f.ip == under);
                Entry::Label(floating.map_or(pod.label, |f| f.label), Bytes(out).u32(30))
            }
        };
        let (Ok(ip), Ok(ip_out)) = (parse::ipv4(frame, l3), parse::ipv4(out, out_l3)) else {
            return;
        };
        if !ip.makes_flows() {
            return;
        }
        let tuple = Tuple {
            proto: ip.proto,
            sip: ip.sip,
            dip: ip.dip,
            sport: ip.key.sport,
            dport: ip.key.dport,
        };
        let at = ip.header_bytes + if ip.proto == TCP { 16 } else { 6 };
        let sum = |b: &[u8], l3: usize| Bytes(b).u16(l3 + at);
        let delta = fold(u64::from(sum(frame, l3)) + u64::from(!sum(out, ip_out.l3)));
        let seen = Seen { entry, tuple, back, out: out[out_l3..].to_vec(), checksum_delta: delta };
        self.seen.retain(|s| (s.entry, s.tuple) != (seen.entry, seen.tuple));
        self.seen.push_back(seen);
        if self.seen.len() > SEEN_MAX {
            self.seen.pop_front();
        }
    }

    pub(super) fn pick_seen(&mut self) -> Seen {
        // Recent ones more often.
        let n = self.seen.len() as u64;
        let back = self.rng.below(n).min(self.rng.below(n));
        self.seen[(n - 1 - back) as usize].clone()
    }

    fn again(&mut self, world: &World) -> (Ingress, Vec<u8>) {
        let s = self.pick_seen();
        let delta = self.rng.one_in(4).then_some(s.checksum_delta);
        self.packet_of(world, s.entry, s.tuple, delta)
    }

    /// A client of a service again: its member may be draining by now.
    fn return_to_service(&mut self, world: &World) -> (Ingress, Vec<u8>) {
        let serves =
            |t: &Tuple| world.services.iter().any(|v| (v.vip, v.proto) == (t.dip, t.proto));
        let all: Vec<Seen> = self.seen.iter().filter(|s| serves(&s.tuple)).cloned().collect();
        let Some(s) = self.rng.pick(&all).cloned() else { return self.again(world) };
        let retries = s.tuple.proto == TCP && s.tuple.sport % 4 == 1;
        self.flags = retries.then_some(SYN);
        self.packet_of(world, s.entry, s.tuple, None)
    }

    /// Another connection of a client, to the same service if one keeps it at its member.
    fn call_again(&mut self, world: &World) -> (Ingress, Vec<u8>) {
        let keeps = |s: &&Seen| {
            let to = |v: &&Service| {
                (v.vip, v.port, v.proto) == (s.tuple.dip, s.tuple.dport, s.tuple.proto)
            };
            matches!(s.entry, Entry::Pod(_))
                && world.services.iter().filter(to).any(|v| v.affinity.0 != 0)
        };
        let all: Vec<Seen> = self.seen.iter().filter(keeps).cloned().collect();
        let Some(s) = self.rng.pick(&all).cloned() else { return self.return_to_service(world) };
        let sport = self.rng.between(1024, 1024 + 4000) as u16;
        self.packet_of(world, s.entry, Tuple { sport, ..s.tuple }, None)
    }

    fn reply(&mut self, world: &World) -> (Ingress, Vec<u8>) {
        let s = self.pick_seen();
        let Ok(ip) = parse::ipv4(&s.out, 0) else { return self.fresh(world) };
        let (sport, dport) =
            if ip.proto == ICMP { (ip.key.sport, 0) } else { (ip.key.dport, ip.key.sport) };
        let tuple = Tuple { proto: ip.proto, sip: ip.dip, dip: ip.sip, sport, dport };
        self.packet_of(world, s.back, tuple, None)
    }

    /// A new conversation.
    pub(super) fn fresh(&mut self, world: &World) -> (Ingress, Vec<u8>) {
        let Some(pod) = self.rng.pick(&world.pods).cloned() else { return self.noise(world) };
        let foreign = 0xac10_0000 | self.rng.below(256) as u32;
        let remote = self.rng.pick(&world.remotes).cloned();
        let far = remote.as_ref().and_then(|r| self.rng.pick(&r.pods).copied()).unwrap_or(foreign);
        let node = remote.map_or(0x0aa9_0001, |r| r.ip);
        let service = self.rng.pick(&world.services).cloned();
        let mut tuple = Tuple {
            proto: self.rng.of([TCP, TCP, UDP, UDP, SCTP, ICMP, 47, 89]),
            sip: pod.ip,
            dip: far,
            sport: self.rng.between(1024, 1024 + 4000) as u16,
            dport: self.rng.of([80, 443, 6635, 53]),
        };
        if let Some(s) = service.as_ref().filter(|_| !self.rng.one_in(3)) {
            (tuple.dip, tuple.dport, tuple.proto) = (s.vip, s.port, s.proto);
        }
        match self.rng.below(12) {
            0 => tuple.dport ^= 1,
            1 => tuple.dip = self.rng.pick(&world.odd_ips).copied().unwrap_or(1),
            2 | 3 => tuple.dip = self.rng.pick(&world.pods).map_or(pod.ip, |p| p.ip),
            5 => tuple.dip = self.rng.pick(&world.floating).map_or(far, |f| f.ip),
            6 | 7 => tuple.dip = self.rng.pick(&world.outside).copied().unwrap_or(far),
            4 if self.rng.one_in(4) => {
                // A pod that talks to itself from the port to which it talks.
                (tuple.dip, tuple.dport) = (pod.ip, tuple.sport);
            }
            _ => {}
        }
        if tuple.proto == ICMP {
            tuple.dport = 0;
        }
        let from_fabric = self.rng.one_in(2);
        let entry = if from_fabric {
            tuple.sip = if self.rng.one_in(20) { pod.ip } else { far };
            let floats = world.floating.iter().any(|f| f.ip == tuple.dip);
            let serves = world.services.iter().any(|s| s.vip == tuple.dip);
            if !serves && !floats && !self.rng.one_in(4) {
                tuple.dip = pod.ip;
            }
            let by_floating = world.floating.iter().find(|f| f.ip == tuple.dip).map(|f| f.label);
            let by_service = service.as_ref().filter(|s| s.vip == tuple.dip).map(|s| s.label);
            let label = match self.rng.below(12) {
                0 => self.rng.below(1 << 20) as u32,
                1 => self.rng.pick(&world.odd_labels).copied().unwrap_or(16),
                2..=4 => pod.label,
                _ => by_service.or(by_floating).unwrap_or(pod.label),
            };
            Entry::Label(label, node)
        } else {
            if self.rng.one_in(20) {
                tuple.sip = foreign;
            }
            Entry::Pod(pod.vif)
        };
        if self.rng.one_in(50) {
            tuple.sip =
                self.rng.of([0, 0x00ff_ffff, 0x7f00_0001, 0xe000_0005, 0xffff_ffff, 0x7eff_ffff]);
        }
        self.packet_of(world, entry, tuple, None)
    }

    /// An ICMP error about a packet that was delivered, from its receiver or from a router on the way.
    fn icmp_error(&mut self, world: &World) -> (Ingress, Vec<u8>) {
        let s = self.pick_seen();
        let Ok(ip) = parse::ipv4(&s.out, 0) else { return self.fresh(world) };
        let mut embedded = s.out.clone();
        if self.rng.one_in(8) {
            // Zero, or a UDP checksum whose update may end in 0.
            let at = ip.header_bytes + 6;
            let sum = self.rng.of([0, s.checksum_delta, !s.checksum_delta, 0xffff]);
            if embedded.len() >= at + 2 {
                embedded[at..at + 2].copy_from_slice(&sum.to_be_bytes());
            }
        }
        let most = embedded.len();
        let few = self.rng.between(0, 40) as usize;
        embedded.truncate(self.rng.of([28, 28, 37, 38, 40, most, most, few]).min(most));
        let kind = self.rng.of([3, 3, 3, 4, 5, 11, 12, 13]);
        let code = self.rng.below(6) as u8;
        let sip = if self.rng.one_in(5) { 0xac10_0101 } else { ip.dip };
        let rest = self.rng.bits() as u32;
        let p = packet::icmp(sip, ip.sip, kind, code, rest, &embedded);
        self.dress(world, s.back, p)
    }

    /// An ICMP error about a packet that never came.
    pub(super) fn icmp_error_about(
        &mut self,
        world: &World,
        entry: Entry,
        about: Tuple,
    ) -> (Ingress, Vec<u8>) {
        let Tuple { proto, sip, dip, sport, dport } = about;
        let embedded = match proto {
            TCP => packet::tcp(sip, dip, sport, dport, ACK, b""),
            ICMP => packet::echo(sip, dip, 8, sport, b""),
            UDP => packet::udp(sip, dip, sport, dport, b""),
            SCTP => packet::sctp(sip, dip, sport, dport, b""),
            _ => Ipv4::new(sip, dip, proto, vec![0; 8]),
        };
        let kind = self.rng.of([3, 3, 4, 11, 12]);
        let p = packet::icmp(dip, sip, kind, 1, 0, &embedded.bytes());
        self.dress(world, entry, p)
    }
}

/// How a frame entered, and where its (inner) IPv4 header is.
fn entry_of(world: &World, ingress: Ingress, frame: &[u8]) -> Option<(Entry, usize)> {
    match ingress {
        Ingress::Fabric => {
            let t = tunnel(frame, world.mac, world.ip)?;
            Some((Entry::Label(Bytes(frame).u32(t.label_at) >> 12, t.outer_sip), t.label_at + 4))
        }
        Ingress::Host(vif) if world.pods.iter().any(|p| p.vif == vif) => {
            Some((Entry::Pod(vif), Bytes(frame).ether_type().1))
        }
        Ingress::Host(_) => None,
    }
}
