//! Frames built by hand, for tests: every header with right lengths and checksums, each field open to be spoiled.

use crate::checksum::{checksum, fold, l4_checksum, sum_addr, sum_words};
use crate::wire::{ETH_IPV4, ETH_VLAN, GRE, ICMP, SCTP, TCP, UDP};

/// An IPv4 packet; [`Ipv4::bytes`] computes lengths and the header checksum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ipv4 {
    /// Source address.
    pub sip: u32,
    /// Destination address.
    pub dip: u32,
    /// Protocol.
    pub proto: u8,
    /// Time to live.
    pub ttl: u8,
    /// Type of service.
    pub tos: u8,
    /// Identification.
    pub id: u16,
    /// Flags and fragment offset.
    pub fragment: u16,
    /// Options, a multiple of 4 bytes.
    pub options: Vec<u8>,
    /// What follows the header.
    pub payload: Vec<u8>,
}

impl Ipv4 {
    /// A packet without options, TTL 64, "don't fragment".
    #[must_use]
    pub fn new(sip: u32, dip: u32, proto: u8, payload: Vec<u8>) -> Self {
        Self {
            sip,
            dip,
            proto,
            ttl: 64,
            tos: 0,
            id: 0x1234,
            fragment: 0x4000,
            options: Vec::new(),
            payload,
        }
    }

    /// The packet's bytes.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let header = 20 + self.options.len();
        let mut p = vec![0x40 | (header / 4) as u8, self.tos];
        p.extend_from_slice(&((header + self.payload.len()) as u16).to_be_bytes());
        p.extend_from_slice(&self.id.to_be_bytes());
        p.extend_from_slice(&self.fragment.to_be_bytes());
        p.extend_from_slice(&[self.ttl, self.proto, 0, 0]);
        p.extend_from_slice(&self.sip.to_be_bytes());
        p.extend_from_slice(&self.dip.to_be_bytes());
        p.extend_from_slice(&self.options);
        let sum = checksum(&p);
        p[10..12].copy_from_slice(&sum.to_be_bytes());
        p.extend_from_slice(&self.payload);
        p
    }
}

/// A UDP packet with checksum.
#[must_use]
pub fn udp(sip: u32, dip: u32, sport: u16, dport: u16, data: &[u8]) -> Ipv4 {
    let mut s = Vec::with_capacity(8 + data.len());
    for word in [sport, dport, (8 + data.len()) as u16, 0] {
        s.extend_from_slice(&word.to_be_bytes());
    }
    s.extend_from_slice(data);
    let mut p = Ipv4::new(sip, dip, UDP, s);
    put_udp_checksum(&mut p);
    p
}

/// A TCP packet without options.
#[must_use]
pub fn tcp(sip: u32, dip: u32, sport: u16, dport: u16, flags: u8, data: &[u8]) -> Ipv4 {
    let mut s = Vec::with_capacity(20 + data.len());
    s.extend_from_slice(&sport.to_be_bytes());
    s.extend_from_slice(&dport.to_be_bytes());
    s.extend_from_slice(&[0x11, 0x22, 0x33, 0x44, 0, 0, 0, 1, 0x50, flags, 0xfa, 0xf0, 0, 0, 0, 0]);
    s.extend_from_slice(data);
    let sum = l4_checksum(sip, dip, TCP, &s);
    s[16..18].copy_from_slice(&sum.to_be_bytes());
    Ipv4::new(sip, dip, TCP, s)
}

/// An ICMP message: type, code, the four bytes after the checksum, data.
#[must_use]
pub fn icmp(sip: u32, dip: u32, kind: u8, code: u8, rest: u32, data: &[u8]) -> Ipv4 {
    let mut s = vec![kind, code, 0, 0];
    s.extend_from_slice(&rest.to_be_bytes());
    s.extend_from_slice(data);
    let sum = checksum(&s);
    s[2..4].copy_from_slice(&sum.to_be_bytes());
    Ipv4::new(sip, dip, ICMP, s)
}

/// An echo request (type 8) or reply (type 0).
#[must_use]
pub fn echo(sip: u32, dip: u32, kind: u8, id: u16, data: &[u8]) -> Ipv4 {
    icmp(sip, dip, kind, 0, u32::from(id) << 16 | 1, data)
}

/// An SCTP common header with data; its CRC is not computed.
#[must_use]
pub fn sctp(sip: u32, dip: u32, sport: u16, dport: u16, data: &[u8]) -> Ipv4 {
    let mut s = Vec::new();
    s.extend_from_slice(&sport.to_be_bytes());
    s.extend_from_slice(&dport.to_be_bytes());
    s.extend_from_slice(&[0xaa, 0xbb, 0xcc, 0xdd, 1, 2, 3, 4]);
    s.extend_from_slice(data);
    Ipv4::new(sip, dip, SCTP, s)
}

/// An Ethernet frame, with one VLAN tag if given.
#[must_use]
pub fn ethernet(
    dmac: u64,
    smac: u64,
    vlan: Option<u16>,
    ether_type: u16,
    payload: &[u8],
) -> Vec<u8> {
    let mut f = dmac.to_be_bytes()[2..].to_vec();
    f.extend_from_slice(&smac.to_be_bytes()[2..]);
    if let Some(tci) = vlan {
        f.extend_from_slice(&ETH_VLAN.to_be_bytes());
        f.extend_from_slice(&tci.to_be_bytes());
    }
    f.extend_from_slice(&ether_type.to_be_bytes());
    f.extend_from_slice(payload);
    f
}

/// An untagged IPv4 frame as a pod sends it.
#[must_use]
pub fn frame(ip: &Ipv4) -> Vec<u8> {
    ethernet(0x0000_5e00_0100, 0x0200_0000_0001, None, ETH_IPV4, &ip.bytes())
}

/// An MPLS label stack entry, bottom of stack.
#[must_use]
pub fn mpls(label: u32, ttl: u8) -> [u8; 4] {
    (label << 12 | 0x100 | u32::from(ttl)).to_be_bytes()
}

/// MPLS over UDP: the outer packet for an inner one. The outer UDP checksum is 0.
#[must_use]
pub fn mpls_udp(outer_sip: u32, outer_dip: u32, dport: u16, shim: [u8; 4], inner: &[u8]) -> Ipv4 {
    let mut s = Vec::new();
    for word in [0xc001, dport, (12 + inner.len()) as u16, 0] {
        s.extend_from_slice(&word.to_be_bytes());
    }
    s.extend_from_slice(&shim);
    s.extend_from_slice(inner);
    Ipv4::new(outer_sip, outer_dip, UDP, s)
}

/// Computes the UDP checksum of a packet whose payload is a UDP datagram.
pub fn put_udp_checksum(p: &mut Ipv4) {
    p.payload[6..8].fill(0);
    let sum = match l4_checksum(p.sip, p.dip, UDP, &p.payload) {
        0 => 0xffff,
        sum => sum,
    };
    p.payload[6..8].copy_from_slice(&sum.to_be_bytes());
}

/// MPLS over GRE, with checksum and key fields as `flags` says (0x8000, 0x2000).
#[must_use]
pub fn mpls_gre(outer_sip: u32, outer_dip: u32, flags: u16, shim: [u8; 4], inner: &[u8]) -> Ipv4 {
    let mut s = flags.to_be_bytes().to_vec();
    s.extend_from_slice(&[0x88, 0x47]);
    if flags & 0x8000 != 0 {
        s.extend_from_slice(&[0, 0, 0, 0]);
    }
    if flags & 0x2000 != 0 {
        s.extend_from_slice(&[0, 0, 0, 42]);
    }
    s.extend_from_slice(&shim);
    s.extend_from_slice(inner);
    if flags & 0x8000 != 0 {
        let sum = checksum(&s);
        s[4..6].copy_from_slice(&sum.to_be_bytes());
    }
    Ipv4::new(outer_sip, outer_dip, GRE, s)
}

/// Which checksum of an IPv4 packet is wrong, recomputing all of them from the bytes; `None` if all are right.
/// TCP and UDP embedded in an ICMP error are not looked at (they are seldom whole), nor is SCTP.
#[must_use]
pub fn wrong_checksum(packet: &[u8]) -> Option<&'static str> {
    let ihl = usize::from(packet[0] & 0xf) * 4;
    let word = |at: usize| {
        u32::from_be_bytes([packet[at], packet[at + 1], packet[at + 2], packet[at + 3]])
    };
    if fold(sum_words(&packet[..ihl])) != 0xffff {
        return Some("IPv4 header");
    }
    if u16::from_be_bytes([packet[6], packet[7]]) & 0x3fff != 0 {
        return None;
    }
    let l4 = &packet[ihl..];
    let pseudo = sum_addr(word(12)) + sum_addr(word(16)) + u64::from(packet[9]) + l4.len() as u64;
    match packet[9] {
        TCP if fold(pseudo + sum_words(l4)) != 0xffff => Some("TCP"),
        UDP if l4[6..8] != [0, 0] && fold(pseudo + sum_words(l4)) != 0xffff => Some("UDP"),
        ICMP if fold(sum_words(l4)) != 0xffff => Some("ICMP"),
        ICMP if matches!(l4[0], 3 | 4 | 5 | 11 | 12)
            && l4.len() >= 28
            && fold(sum_words(&l4[8..28])) != 0xffff =>
        {
            Some("IPv4 header embedded in ICMP")
        }
        _ => None,
    }
}
