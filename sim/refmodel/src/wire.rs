//! Numbers that stand in frames, for those who read frames and those who build them.

/// EtherType of a single VLAN tag.
pub const ETH_VLAN: u16 = 0x8100;
/// EtherType of IPv4.
pub const ETH_IPV4: u16 = 0x0800;
/// EtherType of ARP.
pub const ETH_ARP: u16 = 0x0806;
/// IP protocol numbers: ICMP.
pub const ICMP: u8 = 1;
/// TCP.
pub const TCP: u8 = 6;
/// UDP.
pub const UDP: u8 = 17;
/// GRE.
pub const GRE: u8 = 47;
/// SCTP.
pub const SCTP: u8 = 132;

/// TCP flag bits: FIN.
pub const FIN: u8 = 0x01;
/// SYN.
pub const SYN: u8 = 0x02;
/// RST.
pub const RST: u8 = 0x04;
/// ACK.
pub const ACK: u8 = 0x10;

/// TCP flags: SYN without ACK, RST and FIN.
#[must_use]
pub const fn is_bare_syn(flags: u8) -> bool {
    flags & (SYN | ACK | RST | FIN) == SYN
}
