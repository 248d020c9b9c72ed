//! Reading a frame: Ethernet, and IPv4 with its layer 4 (section 4).

use penstock_abi::reason::DropReason;
use penstock_abi::table::FlowKey;

use crate::checksum::{fold, sum_words};
use crate::verdict::{Refused, Rule};
use crate::wire::{ETH_VLAN, ICMP, SCTP, TCP, UDP, is_bare_syn};

/// Highest offset of a TCP header whose checksum is within the bytes that the card looks at.
const TCP_OFFSET_MAX: usize = 110;

/// A frame whose bytes past the end read as 0.
#[derive(Clone, Copy, Debug)]
pub struct Bytes<'a>(pub &'a [u8]);

impl Bytes<'_> {
    /// One byte.
    #[must_use]
    pub fn u8(&self, at: usize) -> u8 {
        self.0.get(at).copied().unwrap_or(0)
    }
    /// A big-endian 16-bit field.
    #[must_use]
    pub fn u16(&self, at: usize) -> u16 {
        u16::from(self.u8(at)) << 8 | u16::from(self.u8(at + 1))
    }
    /// A big-endian 32-bit field.
    #[must_use]
    pub fn u32(&self, at: usize) -> u32 {
        u32::from(self.u16(at)) << 16 | u32::from(self.u16(at + 2))
    }
    /// A MAC address.
    #[must_use]
    pub fn mac(&self, at: usize) -> u64 {
        u64::from(self.u16(at)) << 32 | u64::from(self.u32(at + 2))
    }
    /// The frame is of a VLAN: a tag with identifier 0 only carries a priority (section 1).
    #[must_use]
    pub fn tagged(&self) -> bool {
        self.u16(12) == ETH_VLAN && self.u16(14) & 0x0fff != 0
    }
    /// EtherType after at most one tag, and where the next header starts.
    #[must_use]
    pub fn ether_type(&self) -> (u16, usize) {
        match self.u16(12) {
            ETH_VLAN => (self.u16(16), 18),
            other => (other, 14),
        }
    }
}

/// Which translation and which key the layer 4 of a packet allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum L4 {
    /// Not looked at.
    Fragment,
    /// TCP with its flags byte.
    Tcp(u8),
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
    /// ICMP echo or echo reply.
    Echo,
    /// An ICMP error with a usable embedded packet.
    IcmpError,
    /// Any other ICMP, any other protocol.
    Other,
}

/// An IPv4 packet that passed the checks of section 4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ip {
    /// Offset of the IPv4 header in the frame.
    pub l3: usize,
    /// Bytes of the IPv4 header.
    pub header_bytes: usize,
    /// Bytes of the packet.
    pub total_bytes: usize,
    /// Identification.
    pub id: u16,
    /// TTL as found.
    pub ttl: u8,
    /// The packet's own protocol.
    pub proto: u8,
    /// The packet's own source address.
    pub sip: u32,
    /// The packet's own destination address.
    pub dip: u32,
    /// Its layer 4.
    pub l4: L4,
    /// The flow key, with `nh` still 0.
    pub key: FlowKey,
}

impl Ip {
    /// A fragment.
    #[must_use]
    pub fn is_fragment(&self) -> bool {
        self.l4 == L4::Fragment
    }
    /// A TCP segment that asks for a new connection.
    #[must_use]
    pub fn is_bare_syn(&self) -> bool {
        matches!(self.l4, L4::Tcp(flags) if is_bare_syn(flags))
    }
    /// Whether the card keeps flows for this packet (section 9).
    #[must_use]
    pub fn makes_flows(&self) -> bool {
        matches!(self.l4, L4::Tcp(_) | L4::Udp | L4::Sctp | L4::Echo)
    }
}

/// Checks and reads the IPv4 packet at `l3` (section 4). Of a tunnel packet, `frame` ends with the outer packet.
///
/// # Errors
/// The reason for which the frame is dropped.
pub fn ipv4(frame: &[u8], l3: usize) -> Result<Ip, DropReason> {
    checked_ipv4(frame, l3).map_err(|refused| refused.reason)
}

/// As [`ipv4`], with the rule behind a drop.
pub(crate) fn checked_ipv4(frame: &[u8], l3: usize) -> Result<Ip, Refused> {
    let b = Bytes(frame);
    let header_bytes = usize::from(b.u8(l3) & 0xf) * 4;
    let total_bytes = usize::from(b.u16(l3 + 2));
    let lengths_agree = header_bytes >= 20
        && frame.len() >= l3 + header_bytes
        && total_bytes >= header_bytes
        && frame.len() >= l3 + total_bytes;
    if b.u8(l3) >> 4 != 4 || !lengths_agree {
        return Err(DropReason::InvalidPacket.into());
    }
    if fold(sum_words(&frame[l3..l3 + header_bytes])) != 0xffff {
        return Err(DropReason::Checksum.into());
    }
    let (proto, sip, dip) = (b.u8(l3 + 9), b.u32(l3 + 12), b.u32(l3 + 16));
    if matches!(dip >> 24, 0 | 224..) {
        return Err(DropReason::Discard.into());
    }
    if matches!(sip >> 24, 0 | 127 | 224..) {
        return Err(Refused::by(Rule::MartianSource, DropReason::InvalidSource));
    }
    let mut ip = Ip {
        l3,
        header_bytes,
        total_bytes,
        id: b.u16(l3 + 4),
        ttl: b.u8(l3 + 8),
        proto,
        sip,
        dip,
        l4: L4::Other,
        key: FlowKey { nh: 0, proto, sip, dip, sport: 0, dport: 0 },
    };
    if b.u16(l3 + 6) & 0x3fff != 0 {
        ip.l4 = L4::Fragment;
        return Ok(ip);
    }
    layer4(b, &mut ip)?;
    Ok(ip)
}

fn layer4(b: Bytes<'_>, ip: &mut Ip) -> Result<(), DropReason> {
    let l4 = ip.l3 + ip.header_bytes;
    let needed = match ip.proto {
        TCP => 20,
        UDP | SCTP | ICMP => 8,
        _ => 0,
    };
    if ip.total_bytes < ip.header_bytes + needed || (ip.proto == TCP && l4 > TCP_OFFSET_MAX) {
        return Err(DropReason::InvalidPacket);
    }
    match ip.proto {
        TCP | UDP | SCTP => {
            (ip.key.sport, ip.key.dport) = (b.u16(l4), b.u16(l4 + 2));
            ip.l4 = match ip.proto {
                TCP => L4::Tcp(b.u8(l4 + 13)),
                UDP => L4::Udp,
                _ => L4::Sctp,
            };
        }
        ICMP => match b.u8(l4) {
            0 | 8 => {
                ip.key.sport = b.u16(l4 + 4);
                ip.l4 = L4::Echo;
            }
            kind => match embedded_key(b, ip, kind) {
                Some(key) => {
                    ip.key = key;
                    ip.l4 = L4::IcmpError;
                }
                None => ip.key.dport = u16::from(kind),
            },
        },
        _ => {}
    }
    Ok(())
}

/// The key of an ICMP error: that of the embedded packet, turned round.
fn embedded_key(b: Bytes<'_>, ip: &Ip, kind: u8) -> Option<FlowKey> {
    let (emb, emb_l4) = (ip.l3 + 28, ip.l3 + 48);
    let fits = matches!(kind, 3 | 4 | 5 | 11 | 12)
        && ip.header_bytes == 20
        && ip.total_bytes >= 20 + 8 + 20 + 8;
    if !fits || b.u8(emb) != 0x45 || b.u16(emb + 6) & 0x1fff != 0 {
        return None;
    }
    let proto = b.u8(emb + 9);
    let (sport, dport) = match proto {
        TCP | UDP | SCTP => (b.u16(emb_l4 + 2), b.u16(emb_l4)),
        ICMP if matches!(b.u8(emb_l4), 0 | 8) => (b.u16(emb_l4 + 4), 0),
        _ => return None,
    };
    Some(FlowKey { nh: 0, proto, sip: b.u32(emb + 16), dip: b.u32(emb + 12), sport, dport })
}
