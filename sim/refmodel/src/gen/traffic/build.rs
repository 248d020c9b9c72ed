//! Frames with given addresses and ports, all else random, and frames without sense.

use penstock_abi::limits::{FRAME_MAX_BYTES, GATEWAY_MAC};

use super::{Entry, Traffic, Tuple};
use crate::checksum::fold;
use crate::r#gen::{World, malform};
use crate::packet::{self, Ipv4, ethernet};
use crate::parse::Bytes;
use crate::verdict::Ingress;
use crate::wire::{ACK, ETH_ARP, ETH_IPV4, FIN, ICMP, RST, SCTP, SYN, TCP, UDP};

/// The gateway's MAC as a number.
const GATEWAY: u64 = {
    let [a, b, c, d, e, f] = GATEWAY_MAC;
    u64::from_be_bytes([0, 0, a, b, c, d, e, f])
};
impl Traffic {
    /// A packet with this tuple, as it enters there; `delta` may become its checksum.
    pub(in crate::r#gen) fn packet_of(
        &mut self,
        world: &World,
        entry: Entry,
        t: Tuple,
        delta: Option<u16>,
    ) -> (Ingress, Vec<u8>) {
        let n = self.payload_bytes();
        let data = self.rng.bytes(n);
        let mut p = match t.proto {
            TCP => {
                let flags = self.rng.of([
                    SYN,
                    SYN,
                    SYN,
                    SYN,
                    SYN | ACK,
                    ACK,
                    ACK,
                    ACK | FIN,
                    RST,
                    ACK | 0x08,
                    FIN | SYN | RST,
                ]);
                // Some clients hear nothing, and try again.
                let flags = if t.sport % 4 == 1 && !self.rng.one_in(8) { SYN } else { flags };
                let flags = self.flags.take().unwrap_or(flags);
                packet::tcp(t.sip, t.dip, t.sport, t.dport, flags, &data)
            }
            UDP => packet::udp(t.sip, t.dip, t.sport, t.dport, &data),
            SCTP => packet::sctp(t.sip, t.dip, t.sport, t.dport, &data),
            ICMP => match self.rng.below(12) {
                0 => {
                    let (kind, rest) = (self.rng.of([3, 5, 9, 10, 13, 14]), self.rng.bits() as u32);
                    packet::icmp(t.sip, t.dip, kind, 0, rest, &data)
                }
                n => packet::echo(t.sip, t.dip, if n < 7 { 8 } else { 0 }, t.sport, &data),
            },
            other => Ipv4::new(t.sip, t.dip, other, data),
        };
        let at = match t.proto {
            TCP => 16,
            UDP => 6,
            _ => 0,
        };
        let new = match (delta, self.rng.below(40)) {
            (Some(d), 0..=19) => Some(d),
            (Some(d), _) => Some(!d),
            (None, 0) => Some(0),
            (None, 1) => Some(0xffff),
            (None, 2) => Some(self.rng.bits() as u16),
            _ => None,
        };
        if let Some(sum) = new.filter(|_| at != 0) {
            p.payload[at..at + 2].copy_from_slice(&sum.to_be_bytes());
        }
        self.dress(world, entry, p)
    }

    /// IPv4 fields that matter little, then the outer headers, then now and then some damage.
    pub(super) fn dress(&mut self, world: &World, entry: Entry, mut p: Ipv4) -> (Ingress, Vec<u8>) {
        p.id = self.rng.bits() as u16;
        p.tos = self.rng.bits() as u8;
        p.ttl = match self.rng.below(40) {
            0 => 0,
            1 => 1,
            2..=6 => self.rng.between(2, 255) as u8,
            _ => 64,
        };
        p.fragment = match self.rng.below(40) {
            0 => 0x2000,
            1 => 0x00b9,
            2 => 0x2001,
            3 => 0xc000,
            n if n < 20 => 0x4000,
            _ => 0,
        };
        if self.rng.one_in(8) {
            // The longest header now and then: with the longest tunnel it is as much as the parser sees.
            let words = self.rng.between(1, 15).min(10) as usize;
            p.options = self.rng.bytes(words * 4);
        }
        let mut inner = p.bytes();
        if self.rng.one_in(16) {
            all_ones_header(&mut inner);
        }
        malform::packet(&mut self.rng, &mut inner);
        // Mostly a priority alone.
        let vlan = self.rng.one_in(8).then(|| {
            let identifier = if self.rng.one_in(5) { self.rng.of([1, 0x100, 0xfff]) } else { 0 };
            self.rng.bits() as u16 & 0xf000 | identifier
        });
        let smac = self.rng.bits() >> 16;
        let (ingress, home, payload) = match entry {
            Entry::Pod(vif) => (Ingress::Host(vif), GATEWAY, inner),
            Entry::Label(label, node) => {
                (Ingress::Fabric, world.mac, self.tunnel(world, label, node, &inner))
            }
        };
        let dmac = match self.rng.below(100) {
            0 => 0xffff_ffff_ffff,
            1 => home | 1 << 40,
            2 => home ^ 1 << self.rng.below(40),
            _ => home,
        };
        let mut f = ethernet(dmac, smac, vlan, ETH_IPV4, &payload);
        malform::frame(&mut self.rng, &mut f, self.big_frames);
        (ingress, f)
    }

    /// What the node's own kernel sends and receives.
    pub(super) fn cross_connect(&mut self, world: &World) -> (Ingress, Vec<u8>) {
        let n = self.payload_bytes();
        let data = self.rng.bytes(n);
        let p = packet::udp(0x0aa9_0101, world.ip, 1000, self.rng.of([6634, 179, 4789]), &data);
        let ether_type = self.rng.of([ETH_IPV4, ETH_ARP, 0x86dd, 0x8847]);
        let vlan = self.rng.one_in(4).then_some(9);
        let mut f = ethernet(0xffff_ffff_ffff, 3, vlan, ether_type, &p.bytes());
        malform::frame(&mut self.rng, &mut f, self.big_frames);
        (self.rng.of([Ingress::Fabric, Ingress::Host(1)]), f)
    }

    /// ARP from pods, frames from vifs that must not send, and bytes without sense.
    pub(super) fn noise(&mut self, world: &World) -> (Ingress, Vec<u8>) {
        let vif = self.rng.pick(&world.pods).map_or(3, |p| p.vif);
        let any = self.rng.between(1, 255) as u8;
        let ingress = self.rng.of([
            Ingress::Fabric,
            Ingress::Host(vif),
            Ingress::Host(any),
            Ingress::Host(2),
            Ingress::Host(255),
        ]);
        match self.rng.below(3) {
            0 => {
                let n = self.rng.between(28, 46) as usize;
                let body = self.rng.bytes(n);
                let vlan = self.rng.one_in(3).then(|| self.rng.of([1, 0, 0x6000]));
                (Ingress::Host(vif), ethernet(0xffff_ffff_ffff, 3, vlan, ETH_ARP, &body))
            }
            1 => {
                let n = self.rng.between(1, 130) as usize;
                (ingress, self.rng.bytes(n))
            }
            _ => {
                let n = self.rng.between(0, 80) as usize;
                let mut body = self.rng.bytes(n);
                body.splice(0..0, [0x45, 0]);
                let ether_type = self.rng.of([ETH_IPV4, 0x8100, 0x86dd, 0x88a8]);
                (ingress, ethernet(2, 3, self.rng.one_in(2).then_some(1), ether_type, &body))
            }
        }
    }

    fn payload_bytes(&mut self) -> usize {
        match self.rng.below(100) {
            0 if self.big_frames => self.rng.between(1500, FRAME_MAX_BYTES as u64) as usize,
            1 if self.big_frames => FRAME_MAX_BYTES - 60 - self.rng.below(60) as usize,
            2..=9 => self.rng.between(200, 1460) as usize,
            10..=40 => self.rng.between(0, 200) as usize,
            _ => self.rng.between(0, 32) as usize,
        }
    }
}

/// Chooses the identification so that the header checksum is 0, and writes it as 0xffff: as valid, and rare.
fn all_ones_header(packet: &mut [u8]) {
    let b = Bytes(packet);
    let id = fold(u64::from(b.u16(4)) + u64::from(b.u16(10)));
    packet[4..6].copy_from_slice(&id.to_be_bytes());
    packet[10..12].copy_from_slice(&[0xff, 0xff]);
}
