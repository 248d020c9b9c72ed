//! Tunnel packets (section 3): which frames are such, and what a receiver checks before it believes them.

use penstock_abi::limits::{MPLS_UDP_PORT, MPLS_UDP_PORT_OLD};
use penstock_abi::reason::DropReason;

use crate::checksum::{fold, sum_addr, sum_words};
use crate::fragments::FragmentId;
use crate::parse::Bytes;
use crate::verdict::{Refused, Rule};
use crate::wire::{ETH_IPV4, GRE, UDP};

/// GRE: a checksum is present.
const GRE_C: u16 = 0x8000;
/// GRE: a key is present.
const GRE_K: u16 = 0x2000;
/// GRE: bits 1, 3, 4 and 5, which a receiver must not ignore (RFC 2784, section 2.3).
const GRE_REFUSED: u16 = 0x5c00;
/// GRE: the version.
const GRE_VERSION: u16 = 0x0007;

/// What stands in front of the inner packet of a tunnel packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tunnel {
    /// Outer source address.
    pub outer_sip: u32,
    /// Offset of the MPLS label.
    pub label_at: usize,
}

/// Whether a frame is a tunnel packet for the port with this MAC and this address, whatever is wrong with it. Fragments but the
/// first are not looked at.
#[must_use]
pub fn tunnel(frame: &[u8], our_mac: u64, our_ip: u32) -> Option<Tunnel> {
    let outer = outer(frame, our_mac, our_ip)?;
    Some(Tunnel { outer_sip: outer.fragment_id.sip, label_at: outer.label_at(frame)? })
}

/// The outer IPv4 header of a frame that is addressed to us.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outer {
    pub(crate) l3: usize,
    pub(crate) fragment_id: FragmentId,
    /// Flags and offset.
    fragment: u16,
    total_bytes: usize,
}

/// Reads the outer header, if there is one that a tunnel packet or a fragment of one may have.
pub(crate) fn outer(frame: &[u8], our_mac: u64, our_ip: u32) -> Option<Outer> {
    let b = Bytes(frame);
    let (ether_type, l3) = b.ether_type();
    let for_us = !b.tagged() && b.mac(0) == our_mac && b.u32(l3 + 16) == our_ip;
    if !for_us || ether_type != ETH_IPV4 || b.u8(l3) != 0x45 {
        return None;
    }
    let fragment_id = FragmentId { sip: b.u32(l3 + 12), id: b.u16(l3 + 4), proto: b.u8(l3 + 9) };
    let total_bytes = usize::from(b.u16(l3 + 2));
    Some(Outer { l3, fragment_id, fragment: b.u16(l3 + 6), total_bytes })
}

impl Outer {
    /// Offset not 0.
    pub(crate) const fn is_later_fragment(&self) -> bool {
        self.fragment & 0x1fff != 0
    }

    /// Offset just beyond the packet.
    pub(crate) const fn end(&self) -> usize {
        self.l3 + self.total_bytes
    }

    /// Offset of the MPLS label, if layer 4 is that of a tunnel packet.
    pub(crate) fn label_at(&self, frame: &[u8]) -> Option<usize> {
        let (b, l4) = (Bytes(frame), self.l3 + 20);
        let (flags, field) = (b.u16(l4), b.u16(l4 + 2));
        match self.fragment_id.proto {
            _ if self.is_later_fragment() => None,
            UDP if [MPLS_UDP_PORT, MPLS_UDP_PORT_OLD].contains(&field) => Some(l4 + 8),
            GRE if field == 0x8847 && flags & GRE_VERSION == 0 => {
                let more = |flag: u16| if flags & flag == 0 { 0 } else { 4 };
                Some(l4 + 4 + more(GRE_C) + more(GRE_K))
            }
            _ => None,
        }
    }

    /// Checks 1 and 2, of packets and fragments.
    pub(crate) fn check_header(&self, frame: &[u8]) -> Result<(), Refused> {
        let b = Bytes(frame);
        let sum = (0..10).map(|i| u64::from(b.u16(self.l3 + 2 * i))).sum();
        if fold(sum) != 0xffff {
            return Err(Refused::by(Rule::OuterHeaderChecksum, DropReason::Checksum));
        }
        if self.is_later_fragment() {
            return Err(Refused::by(Rule::OuterLaterFragment, DropReason::Fragments));
        }
        if self.fragment & 0x2000 != 0 {
            let refused = Refused::by(Rule::OuterFirstFragment, DropReason::Fragments);
            return Err(Refused { first_fragment: Some(self.fragment_id), ..refused });
        }
        Ok(())
    }

    /// Checks 3 to 5.
    pub(crate) fn check_shim(&self, frame: &[u8], label_at: usize) -> Result<(), Refused> {
        let (b, l4) = (Bytes(frame), self.l3 + 20);
        let gre = self.fragment_id.proto == GRE;
        if gre && b.u16(l4) & GRE_REFUSED != 0 {
            return Err(Refused::by(Rule::GreFlags, DropReason::InvalidPacket));
        }
        let fits = (label_at + 4..=frame.len()).contains(&self.end());
        if !fits || (!gre && usize::from(b.u16(l4 + 4)) != self.total_bytes - 20) {
            return Err(Refused::by(Rule::OuterLengths, DropReason::InvalidPacket));
        }
        let segment = &frame[l4..self.end()];
        if gre && b.u16(l4) & GRE_C != 0 && fold(sum_words(segment)) != 0xffff {
            return Err(Refused::by(Rule::GreChecksum, DropReason::Checksum));
        }
        if !gre && b.u16(l4 + 6) != 0 {
            let addresses = sum_addr(b.u32(self.l3 + 12)) + sum_addr(b.u32(self.l3 + 16));
            let pseudo = addresses + u64::from(UDP) + segment.len() as u64;
            if fold(pseudo + sum_words(segment)) != 0xffff {
                return Err(Refused::by(Rule::OuterUdpChecksum, DropReason::Checksum));
            }
        }
        Ok(())
    }
}
