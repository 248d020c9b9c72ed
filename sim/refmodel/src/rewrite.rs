//! Section 8: rewriting a packet and putting a new header in front of it.

use penstock_abi::hash::{entropy_port, outer_id_mix};
use penstock_abi::limits::MPLS_UDP_PORT;
use penstock_abi::table::NextHop;

use crate::checksum::{Update, checksum};
use crate::parse::{Ip, L4};
use crate::verdict::{Egress, Verdict};
use crate::wire::{ETH_IPV4, GRE, TCP, UDP};

/// Fields to rewrite; what is `None` stays and does not enter a checksum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Edits {
    /// TTL minus 1.
    pub decrement_ttl: bool,
    /// Source address.
    pub sip: Option<u32>,
    /// Destination address.
    pub dip: Option<u32>,
    /// Source port (TCP, UDP).
    pub sport: Option<u16>,
    /// Destination port (TCP, UDP).
    pub dport: Option<u16>,
    /// In the packet embedded in an ICMP error.
    pub embedded: Option<EmbeddedEdits>,
}

/// Fields to rewrite in the packet embedded in an ICMP error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EmbeddedEdits {
    /// Source address.
    pub sip: Option<u32>,
    /// Destination address.
    pub dip: Option<u32>,
    /// Source port.
    pub sport: Option<u16>,
    /// Destination port.
    pub dport: Option<u16>,
}

/// The header put in front.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encapsulation {
    /// 14 bytes of Ethernet.
    Ethernet {
        /// Destination MAC.
        dmac: u64,
        /// Source MAC.
        smac: u64,
    },
    /// Ethernet, IPv4, UDP or GRE, MPLS.
    Mpls {
        /// The Tunnel next hop.
        nh: NextHop,
        /// Label.
        label: u32,
        /// Hash of the flow key as it arrived.
        hash: u32,
        /// TTL of the outer header.
        outer_ttl: u8,
    },
}

impl Encapsulation {
    /// Bytes in front of the IPv4 packet.
    #[must_use]
    pub const fn header_bytes(&self) -> usize {
        match self {
            Self::Ethernet { .. } => 14,
            Self::Mpls { nh, .. } => 14 + 20 + if nh.gre { 8 } else { 12 },
        }
    }
}

fn get16(p: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([p[at], p[at + 1]])
}

fn put16(p: &mut [u8], at: usize, v: u16) {
    p[at..at + 2].copy_from_slice(&v.to_be_bytes());
}

fn get32(p: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([p[at], p[at + 1], p[at + 2], p[at + 3]])
}

/// Rewrites the address at `at`, if asked, and enters the change into each of `sums`.
fn put_addr(p: &mut [u8], at: usize, new: Option<u32>, sums: &mut [&mut Update]) {
    let Some(new) = new else { return };
    let old = get32(p, at);
    sums.iter_mut().for_each(|s| s.addr(old, new));
    p[at..at + 4].copy_from_slice(&new.to_be_bytes());
}

/// Rewrites the word at `at`, if asked, and enters the change into each of `sums`.
fn put_word(p: &mut [u8], at: usize, new: Option<u16>, sums: &mut [&mut Update]) {
    let Some(new) = new else { return };
    let old = get16(p, at);
    sums.iter_mut().for_each(|s| s.word(old, new));
    put16(p, at, new);
}

/// The frame that leaves.
#[must_use]
pub fn emit(
    frame: &[u8],
    ip: &Ip,
    edits: &Edits,
    encapsulation: &Encapsulation,
    egress: Egress,
) -> Verdict {
    let mut packet = frame[ip.l3..ip.l3 + ip.total_bytes].to_vec();
    edit(&mut packet, ip, edits);
    let mut out = header(encapsulation, ip, &packet);
    out.extend_from_slice(&packet);
    Verdict::Sent { egress, frame: out }
}

fn edit(p: &mut [u8], ip: &Ip, e: &Edits) {
    let l4 = ip.header_bytes;
    let checksum_at = match ip.l4 {
        L4::Tcp(_) => Some(l4 + 16),
        L4::Udp if get16(p, l4 + 6) != 0 => Some(l4 + 6),
        _ => None,
    };
    let mut header = Update::new(get16(p, 10));
    let mut segment = Update::new(checksum_at.map_or(0, |at| get16(p, at)));
    let ttl = e.decrement_ttl.then(|| get16(p, 8).wrapping_sub(0x0100));
    put_word(p, 8, ttl, &mut [&mut header]);
    put_addr(p, 12, e.sip, &mut [&mut header, &mut segment]);
    put_addr(p, 16, e.dip, &mut [&mut header, &mut segment]);
    put_word(p, l4, e.sport, &mut [&mut segment]);
    put_word(p, l4 + 2, e.dport, &mut [&mut segment]);
    put16(p, 10, header.finish());
    let translated = e.sip.is_some() || e.dip.is_some();
    if let Some(at) = checksum_at.filter(|_| translated) {
        put16(p, at, if ip.l4 == L4::Udp { segment.finish_udp() } else { segment.finish() });
    }
    if let Some(embedded) = &e.embedded {
        edit_embedded(p, l4, embedded);
    }
}

fn edit_embedded(p: &mut [u8], icmp: usize, e: &EmbeddedEdits) {
    let (emb, emb_l4) = (icmp + 8, icmp + 28);
    // Not every router embeds so much of a TCP header (RFC 5508, REQ-4).
    let checksum_at = match p[emb + 9] {
        UDP if get16(p, emb_l4 + 6) != 0 => Some(emb_l4 + 6),
        TCP if p.len() >= emb_l4 + 18 => Some(emb_l4 + 16),
        _ => None,
    };
    let mut message = Update::new(get16(p, icmp + 2));
    let mut header = Update::new(get16(p, emb + 10));
    let mut segment = Update::new(checksum_at.map_or(0, |at| get16(p, at)));
    put_addr(p, emb + 12, e.sip, &mut [&mut message, &mut header, &mut segment]);
    put_addr(p, emb + 16, e.dip, &mut [&mut message, &mut header, &mut segment]);
    put_word(p, emb_l4, e.sport, &mut [&mut message, &mut segment]);
    put_word(p, emb_l4 + 2, e.dport, &mut [&mut message, &mut segment]);
    put_word(p, emb + 10, Some(header.finish()), &mut [&mut message]);
    if let Some(at) = checksum_at {
        let sum = if p[emb + 9] == UDP { segment.finish_udp() } else { segment.finish() };
        put_word(p, at, Some(sum), &mut [&mut message]);
    }
    put16(p, icmp + 2, message.finish());
}

fn ethernet(dmac: u64, smac: u64) -> Vec<u8> {
    let mut h = dmac.to_be_bytes()[2..].to_vec();
    h.extend_from_slice(&smac.to_be_bytes()[2..]);
    h.extend_from_slice(&ETH_IPV4.to_be_bytes());
    h
}

fn header(encapsulation: &Encapsulation, ip: &Ip, packet: &[u8]) -> Vec<u8> {
    match encapsulation {
        Encapsulation::Ethernet { dmac, smac } => ethernet(*dmac, *smac),
        Encapsulation::Mpls { nh, label, hash, outer_ttl } => {
            let shim = if nh.gre { 4 + 4 } else { 8 + 4 };
            let mut outer = vec![0x45, 0];
            outer.extend_from_slice(&((20 + shim + packet.len()) as u16).to_be_bytes());
            outer.extend_from_slice(&(ip.id ^ outer_id_mix(*hash)).to_be_bytes());
            outer.extend_from_slice(&[0, 0, *outer_ttl, if nh.gre { GRE } else { UDP }, 0, 0]);
            outer.extend_from_slice(&nh.sip.to_be_bytes());
            outer.extend_from_slice(&nh.dip.to_be_bytes());
            let sum = checksum(&outer);
            put16(&mut outer, 10, sum);
            if nh.gre {
                outer.extend_from_slice(&[0, 0, 0x88, 0x47]);
            } else {
                outer.extend_from_slice(&entropy_port(*hash).to_be_bytes());
                outer.extend_from_slice(&MPLS_UDP_PORT.to_be_bytes());
                outer.extend_from_slice(&((shim + packet.len()) as u16).to_be_bytes());
                outer.extend_from_slice(&[0, 0]);
            }
            let inner_ttl = u32::from(packet[8]);
            outer.extend_from_slice(&(label << 12 | 0x100 | inner_ttl).to_be_bytes());
            let mut out = ethernet(nh.dmac, nh.smac);
            out.append(&mut outer);
            out
        }
    }
}
