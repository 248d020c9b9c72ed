//! Frames and their headers, in wire order.

use heapless::Vec;
use penstock_abi::fw::FRAME_BYTES;
use zerocopy::byteorder::big_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Words of the receive and of the transmit window.
pub const WORDS: usize = FRAME_BYTES as usize / 4;
/// A frame to send. It is built in place, through `&mut`: moving one costs more than making it.
pub type Frame = Vec<u8, { FRAME_BYTES as usize }>;

/// EtherType of 802.1Q.
pub const ETHERTYPE_VLAN: u16 = 0x8100;
/// EtherType of ARP.
pub const ETHERTYPE_ARP: u16 = 0x0806;
/// EtherType of IPv4.
pub const ETHERTYPE_IPV4: u16 = 0x0800;

/// Ethernet header.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct Ethernet {
    /// Destination.
    pub destination: [u8; 6],
    /// Source.
    pub source: [u8; 6],
    /// EtherType.
    pub ethertype: U16,
}

/// 802.1Q tag, after an EtherType [`ETHERTYPE_VLAN`].
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct Vlan {
    /// Priority, drop eligibility and VLAN.
    pub tci: U16,
    /// EtherType of what follows.
    pub ethertype: U16,
}

/// ARP for IPv4 over Ethernet (RFC 826).
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct Arp {
    /// Hardware type, 1 for Ethernet.
    pub hardware_type: U16,
    /// Protocol type, 0x0800 for IPv4.
    pub protocol_type: U16,
    /// Bytes of a hardware address.
    pub hardware_bytes: u8,
    /// Bytes of a protocol address.
    pub protocol_bytes: u8,
    /// 1 request, 2 reply.
    pub operation: U16,
    /// Sender's hardware address.
    pub sender_mac: [u8; 6],
    /// Sender's protocol address.
    pub sender_ip: [u8; 4],
    /// Target's hardware address.
    pub target_mac: [u8; 6],
    /// Target's protocol address.
    pub target_ip: [u8; 4],
}

/// IPv4 header without options.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct Ipv4 {
    /// Version and header length in words.
    pub version_ihl: u8,
    /// Type of service.
    pub tos: u8,
    /// Bytes of header and payload.
    pub total_length: U16,
    /// Identification.
    pub identification: U16,
    /// Flags and fragment offset.
    pub fragment: U16,
    /// Time to live.
    pub ttl: u8,
    /// Protocol.
    pub protocol: u8,
    /// Header checksum.
    pub checksum: U16,
    /// Source address.
    pub source: [u8; 4],
    /// Destination address.
    pub destination: [u8; 4],
}

/// TCP header without options.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct Tcp {
    /// Source port.
    pub source: U16,
    /// Destination port.
    pub destination: U16,
    /// Sequence number.
    pub sequence: U32,
    /// Acknowledgement number.
    pub acknowledgement: U32,
    /// Header length in words, in bits 7..4.
    pub offset: u8,
    /// Flags, [`Tcp::FIN`] and so on.
    pub flags: u8,
    /// Window.
    pub window: U16,
    /// Checksum.
    pub checksum: U16,
    /// Urgent pointer.
    pub urgent: U16,
}

impl Tcp {
    /// Flag FIN.
    pub const FIN: u8 = 0x01;
    /// Flag SYN.
    pub const SYN: u8 = 0x02;
    /// Flag RST.
    pub const RST: u8 = 0x04;
    /// Flag ACK.
    pub const ACK: u8 = 0x10;
}

/// ICMP header of the messages that embed a packet.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct IcmpError {
    /// Type.
    pub kind: u8,
    /// Code.
    pub code: u8,
    /// Checksum.
    pub checksum: U16,
    /// Not used by the messages sent here: 0.
    pub unused: U32,
}

/// The link layer of a frame: Ethernet and at most one tag.
#[derive(Clone, Copy, Debug)]
pub struct Link {
    /// Source address.
    pub source: [u8; 6],
    /// The tag, if there is one.
    pub vlan: Option<U16>,
    /// EtherType after the tag.
    pub ethertype: u16,
}

impl Link {
    /// Splits a frame into link layer and payload; `None` if it ends within the headers.
    #[must_use]
    pub fn split(frame: &[u8]) -> Option<(Self, &[u8])> {
        let (ethernet, payload) = Ethernet::ref_from_prefix(frame).ok()?;
        if ethernet.ethertype.get() != ETHERTYPE_VLAN {
            let link =
                Self { source: ethernet.source, vlan: None, ethertype: ethernet.ethertype.get() };
            return Some((link, payload));
        }
        let (vlan, payload) = Vlan::ref_from_prefix(payload).ok()?;
        let link =
            Self { source: ethernet.source, vlan: Some(vlan.tci), ethertype: vlan.ethertype.get() };
        Some((link, payload))
    }

    /// Begins a frame back to where this one came from, with the same tag and EtherType; `None` if it is full.
    #[must_use]
    pub fn answer(&self, source: [u8; 6], frame: &mut Frame) -> Option<()> {
        let ethertype = if self.vlan.is_some() { ETHERTYPE_VLAN } else { self.ethertype };
        push(frame, &Ethernet { destination: self.source, source, ethertype: ethertype.into() })?;
        if let Some(tci) = self.vlan {
            let ethertype = self.ethertype.into();
            push(frame, &Vlan { tci, ethertype })?;
        }
        Some(())
    }
}

/// Appends a header; `None` if the frame is full.
#[must_use]
pub fn push<T: IntoBytes + Immutable>(frame: &mut Frame, header: &T) -> Option<()> {
    frame.extend_from_slice(header.as_bytes()).ok()
}
