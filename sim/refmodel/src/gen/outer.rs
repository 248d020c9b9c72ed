//! The outer headers of tunnel packets, right most of the time.

use penstock_abi::limits::{MPLS_UDP_PORT, MPLS_UDP_PORT_OLD};

use super::{Rng, Traffic, World};
use crate::checksum::checksum;
use crate::fragments::FragmentId;
use crate::packet::{Ipv4, mpls, mpls_gre, mpls_udp, put_udp_checksum};

/// First fragments that are remembered; the card remembers fewer.
const FRAGMENTS_MAX: usize = 12;

impl Traffic {
    /// An inner packet in a tunnel from `node`; MPLS, UDP or GRE, and IPv4 have something wrong now and then.
    pub(super) fn tunnel(&mut self, world: &World, label: u32, node: u32, inner: &[u8]) -> Vec<u8> {
        let rng = &mut self.rng;
        let ttl = rng.of([64, 64, 64, 64, 64, 64, 255, 3, 2, 64, 64, 64, 64, 1, 0, 64, 64, 64]);
        let mut shim = mpls(label, ttl);
        if rng.one_in(60) {
            shim[2] &= 0xfe;
        }
        if rng.one_in(8) {
            shim[2] |= 0x0e & rng.bits() as u8;
        }
        let mut outer = if rng.one_in(3) {
            gre(rng, node, world.ip, shim, inner)
        } else {
            let port = rng.of([MPLS_UDP_PORT, MPLS_UDP_PORT, MPLS_UDP_PORT, MPLS_UDP_PORT_OLD]);
            let port = if rng.one_in(60) { port ^ 1 } else { port };
            udp(rng, node, world.ip, port, shim, inner)
        };
        outer.id = rng.bits() as u16;
        outer.ttl = rng.of([64, 1, 0, 255]);
        match rng.below(100) {
            0 => outer.options = vec![1; 4],
            1 => outer.dip ^= 1 << rng.below(32),
            2 => outer.fragment = 0xc000,
            3 => outer.fragment = 0x0001,
            4 | 5 => {
                outer.fragment = 0x2000;
                self.fragments.push_back(FragmentId {
                    sip: outer.sip,
                    id: outer.id,
                    proto: outer.proto,
                });
                if self.fragments.len() > FRAGMENTS_MAX {
                    self.fragments.pop_front();
                }
            }
            6 | 7 => self.later_fragment(&mut outer),
            _ => {}
        }
        let mut bytes = outer.bytes();
        spoil_header(&mut self.rng, &mut bytes);
        bytes
    }

    /// Not the first fragment: of a packet whose first was sent, or of one that differs from that in one thing.
    fn later_fragment(&mut self, outer: &mut Ipv4) {
        outer.fragment = self.rng.of([0x0001, 0x2001, 0x00b9, 0x1fff]);
        let Some(first) = self.rng.pick(Vec::from(self.fragments.clone()).as_slice()).copied()
        else {
            return;
        };
        (outer.sip, outer.id, outer.proto) = (first.sip, first.id, first.proto);
        match self.rng.below(12) {
            0 => outer.sip ^= 1,
            1 => outer.id ^= 0x100,
            2 => outer.proto ^= 17 ^ 47,
            _ => {}
        }
    }
}

fn udp(rng: &mut Rng, sip: u32, dip: u32, port: u16, shim: [u8; 4], inner: &[u8]) -> Ipv4 {
    let mut p = mpls_udp(sip, dip, port, shim, inner);
    if rng.one_in(3) {
        put_udp_checksum(&mut p);
        match rng.below(10) {
            0 => p.payload[6] ^= 1 << rng.below(8),
            1 => {
                let at = rng.below(p.payload.len() as u64) as usize;
                p.payload[at] ^= 1 << rng.below(8);
            }
            _ => {}
        }
    }
    if rng.one_in(80) {
        let length = u16::from_be_bytes([p.payload[4], p.payload[5]]);
        let length = rng.of([length + 1, length - 1, length ^ 0x100, 8, 0]);
        p.payload[4..6].copy_from_slice(&length.to_be_bytes());
    }
    p
}

fn gre(rng: &mut Rng, sip: u32, dip: u32, shim: [u8; 4], inner: &[u8]) -> Ipv4 {
    let odd = match rng.below(24) {
        0 => rng.of([0x4000, 0x1000, 0x0800, 0x0400]),
        1 => rng.of([1, 2, 4]),
        2 | 3 => rng.bits() as u16 & 0x03f8,
        _ => 0,
    };
    let mut p = mpls_gre(sip, dip, odd | rng.of([0, 0x8000, 0x2000, 0xa000]), shim, inner);
    if p.payload[0] & 0x80 != 0 && rng.one_in(10) {
        let at = rng.between(4, p.payload.len() as u64 - 1) as usize;
        p.payload[at] ^= 1 << rng.below(8);
    }
    p
}

/// Now and then a wrong total length, or a wrong checksum.
fn spoil_header(rng: &mut Rng, p: &mut Vec<u8>) {
    let header = usize::from(p[0] & 0xf) * 4;
    match rng.below(120) {
        0 => {
            let total = p.len() as u16;
            let at_label = header as u16 + 8;
            let total =
                rng.of([total + 1, total - 1, total - 4, at_label, at_label + 3, at_label + 4, 20]);
            p[2..4].copy_from_slice(&total.to_be_bytes());
            if p[9] == 17 && rng.one_in(2) {
                let length = total.wrapping_sub(20).to_be_bytes();
                p[header + 4..header + 6].copy_from_slice(&length);
            }
            p[10..12].fill(0);
            let sum = checksum(&p[..header]);
            p[10..12].copy_from_slice(&sum.to_be_bytes());
        }
        1 => p[10] ^= 1 << rng.below(8),
        2 => p[8] ^= 1 << rng.below(8),
        3 => p.extend_from_slice(&rng.bytes(7)),
        _ => {}
    }
}
