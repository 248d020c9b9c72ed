//! Answers to packets that are refused: for a service without endpoints, or a port or protocol that a service's address does not serve.
//!
//! TCP gets a reset (RFC 9293 section 3.10.7.1), everything else an ICMP port unreachable (RFC 1122 section 3.2.2.1), as
//! the kernel's `reject` gives on a node without a card, both in the name of the address that was asked for, so that `connect` and
//! `ping` fail at once. Never answered, as RFC 1122 section 3.2.2 demands: ICMP errors, resets, later fragments, what came as a broadcast
//! or multicast of link or network, and sources that are no single host.

use crate::checksum::Sum;
use crate::frame::{ETHERTYPE_IPV4, Frame, IcmpError, Ipv4, Link, Tcp, push};
use penstock_abi::limits::GATEWAY_MAC;
use zerocopy::{FromBytes as _, IntoBytes as _};

const PROTOCOL_ICMP: u8 = 1;
const PROTOCOL_TCP: u8 = 6;
const FRAGMENT_OFFSET: u16 = 0x1fff;
const DO_NOT_FRAGMENT: u16 = 0x4000;
const TTL: u8 = 64;
const ICMP_UNREACHABLE: u8 = 3;
const ICMP_PORT: u8 = 3;
/// Destination unreachable, source quench, redirect, time exceeded, parameter problem.
const ICMP_ERRORS: [u8; 5] = [3, 4, 5, 11, 12];
/// Highest type that is known not to be an error (RFC 792 to RFC 950); of others nobody knows.
const ICMP_KNOWN_MAX: u8 = 18;
const GROUP_BIT: u8 = 1;
const LOOPBACK: u8 = 127;
/// Bytes of the transport header that an ICMP error embeds.
const EMBEDDED_BYTES: usize = 8;

/// Writes the answer to a frame, if it is a packet to be answered, into the empty `answer`.
#[must_use]
pub fn reply(frame: &[u8], answer: &mut Frame) -> Option<()> {
    let (link, packet) = Link::split(frame)?;
    let (ip, _) = Ipv4::ref_from_prefix(packet).ok()?;
    let header = usize::from(ip.version_ihl & 0xf) * 4;
    // The first byte is the destination's.
    let to_group = frame.first().is_none_or(|byte| byte & GROUP_BIT != 0);
    let valid = link.ethertype == ETHERTYPE_IPV4
        && !to_group
        && link.source[0] & GROUP_BIT == 0
        && ip.version_ihl >> 4 == 4
        && header >= size_of::<Ipv4>()
        && usize::from(ip.total_length.get()) >= header
        && ip.fragment.get() & FRAGMENT_OFFSET == 0
        && is_host(ip.source)
        && ip.source[0] != LOOPBACK
        && is_host(ip.destination);
    if !valid {
        return None;
    }
    let transport_bytes = usize::from(ip.total_length.get()) - header;
    // The window may have cut the frame, padding may follow the packet.
    let transport = packet.get(header..)?;
    let transport = &transport[..transport.len().min(transport_bytes)];
    match ip.protocol {
        PROTOCOL_TCP => reset(&link, ip, transport, transport_bytes, answer),
        PROTOCOL_ICMP if is_icmp_error(transport) => None,
        _ => {
            let embedded = packet.get(..header + EMBEDDED_BYTES.min(transport.len()))?;
            unreachable(&link, ip, embedded, answer)
        }
    }
}

/// Whether an ICMP message is an error, or may be one.
fn is_icmp_error(message: &[u8]) -> bool {
    message.first().is_none_or(|kind| ICMP_ERRORS.contains(kind) || *kind > ICMP_KNOWN_MAX)
}

/// First octet 1..=223.
fn is_host(address: [u8; 4]) -> bool {
    (1..224).contains(&address[0])
}

/// TCP reset for a segment of `bytes`, of which `segment` is at hand.
fn reset(link: &Link, ip: &Ipv4, segment: &[u8], bytes: usize, answer: &mut Frame) -> Option<()> {
    let (tcp, _) = Tcp::ref_from_prefix(segment).ok()?;
    let header = usize::from(tcp.offset >> 4) * 4;
    if tcp.flags & Tcp::RST != 0 || header < size_of::<Tcp>() || bytes < header {
        return None;
    }
    // A segment with ACK is answered at the number it expects, any other one acknowledged.
    let (sequence, acknowledgement, flags) = if tcp.flags & Tcp::ACK != 0 {
        (tcp.acknowledgement.get(), 0, Tcp::RST)
    } else {
        let controls = u32::from(tcp.flags & Tcp::SYN != 0) + u32::from(tcp.flags & Tcp::FIN != 0);
        let length = (bytes - header) as u32 + controls;
        (0, tcp.sequence.get().wrapping_add(length), Tcp::RST | Tcp::ACK)
    };
    let mut header = Tcp {
        source: tcp.destination,
        destination: tcp.source,
        sequence: sequence.into(),
        acknowledgement: acknowledgement.into(),
        offset: (size_of::<Tcp>() as u8 / 4) << 4,
        flags,
        window: 0.into(),
        checksum: 0.into(),
        urgent: 0.into(),
    };
    header.checksum = Sum::default()
        .with(&ip.source)
        .with(&ip.destination)
        .with(&[0, PROTOCOL_TCP, 0, size_of::<Tcp>() as u8])
        .with(header.as_bytes())
        .finish()
        .into();
    begin(link, ip, PROTOCOL_TCP, size_of::<Tcp>(), answer)?;
    push(answer, &header)
}

/// ICMP port unreachable that embeds the head of the packet.
fn unreachable(link: &Link, ip: &Ipv4, embedded: &[u8], answer: &mut Frame) -> Option<()> {
    let mut icmp =
        IcmpError { kind: ICMP_UNREACHABLE, code: ICMP_PORT, checksum: 0.into(), unused: 0.into() };
    icmp.checksum = Sum::default().with(icmp.as_bytes()).with(embedded).finish().into();
    begin(link, ip, PROTOCOL_ICMP, size_of::<IcmpError>() + embedded.len(), answer)?;
    push(answer, &icmp)?;
    answer.extend_from_slice(embedded).ok()
}

/// Link layer and IPv4 header of an answer with a payload of `bytes`.
fn begin(link: &Link, ip: &Ipv4, protocol: u8, bytes: usize, answer: &mut Frame) -> Option<()> {
    let mut header = Ipv4 {
        version_ihl: 0x45,
        tos: 0,
        total_length: ((size_of::<Ipv4>() + bytes) as u16).into(),
        identification: 0.into(),
        fragment: DO_NOT_FRAGMENT.into(),
        ttl: TTL,
        protocol,
        checksum: 0.into(),
        source: ip.destination,
        destination: ip.source,
    };
    header.checksum = Sum::default().with(header.as_bytes()).finish().into();
    link.answer(GATEWAY_MAC, answer)?;
    push(answer, &header)
}
