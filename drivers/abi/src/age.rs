//! How long pairs of flow entries may rest: what the registers `FLOW_AGE0` and those that follow say (`docs/datapath.md`, section 9.4).

use crate::regs::{FLOW_AGE_BY_PORT0, FLOW_AGE_PORT0, FLOW_AGE0};
use crate::table::{FlowStats, TCP_ESTABLISHED, TCP_FIN, TCP_RST, TCP_SYN};

/// A unit of `last_hit` and of all times here, in cycles of card time, as a power of two.
pub const TICK_LOG2: u32 = 16;
/// The card begins to look at all pairs again when so many units have gone by since it last began.
pub const PASS_TICKS: u32 = 1 << 10;
/// Under pressure (section 9.5) it does so after so many at the latest.
pub const PRESS_TICKS: u32 = 1 << 5;
/// IP protocols that have states of their own.
const ICMP: u8 = 1;
const TCP: u8 = 6;
const UDP: u8 = 17;
/// States of a pair.
pub const STATES: usize = 8;
/// Ports that may have a time of their own.
pub const PORTS: usize = 8;

/// The state of a pair; its number is that of its register.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum State {
    /// TCP: the connection is over.
    Closed = 0,
    /// TCP: it is opening, or has been seen in one direction only.
    Opening = 1,
    /// TCP: one end has said that it is done.
    HalfClosed = 2,
    /// TCP.
    Established = 3,
    /// UDP, one direction only.
    UdpOneWay = 4,
    /// UDP.
    UdpBothWays = 5,
    /// ICMP.
    Icmp = 6,
    /// Every other protocol.
    Other = 7,
}

impl State {
    /// All, by their numbers.
    pub const ALL: [Self; STATES] = [
        Self::Closed,
        Self::Opening,
        Self::HalfClosed,
        Self::Established,
        Self::UdpOneWay,
        Self::UdpBothWays,
        Self::Icmp,
        Self::Other,
    ];

    /// The state of a pair by the protocol of its keys and the statistics of both its entries.
    #[must_use]
    pub const fn of(proto: u8, one: FlowStats, other: FlowStats) -> Self {
        let both_ways = one.last_hit != 0 && other.last_hit != 0;
        let (both, either) = (one.tcp & other.tcp, one.tcp | other.tcp);
        match proto {
            TCP if both & TCP_FIN != 0 || either & TCP_RST != 0 => Self::Closed,
            TCP if !both_ways || either & (TCP_SYN | TCP_ESTABLISHED) == TCP_SYN => Self::Opening,
            TCP if either & TCP_FIN != 0 => Self::HalfClosed,
            TCP => Self::Established,
            UDP if both_ways => Self::UdpBothWays,
            UDP => Self::UdpOneWay,
            ICMP => Self::Icmp,
            _ => Self::Other,
        }
    }

    /// A time by port takes the place of the state's.
    #[must_use]
    pub const fn may_be_by_port(self) -> bool {
        matches!(self, Self::Established | Self::UdpOneWay | Self::UdpBothWays | Self::Other)
    }
}

/// A protocol and a destination port of the forward entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Port {
    /// IP protocol.
    pub proto: u8,
    /// Port.
    pub port: u16,
}

impl Port {
    /// The value of its register.
    #[must_use]
    pub const fn pack(self) -> u32 {
        1 << 31 | (self.proto as u32) << 16 | self.port as u32
    }

    /// What a register says; `None` if it is not in use.
    #[must_use]
    pub const fn unpack(word: u32) -> Option<Self> {
        if word >> 31 == 0 {
            return None;
        }
        Some(Self { proto: (word >> 16) as u8, port: word as u16 })
    }
}

/// Times after which pairs are old, in units of 2^[`TICK_LOG2`] cycles; 0: never.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ages {
    /// By state.
    pub states: [u32; STATES],
    /// Ports with a time of their own.
    pub ports: [Option<Port>; PORTS],
    /// Their times.
    pub by_port: [u32; PORTS],
}

/// Seconds in units of 2^[`TICK_LOG2`] cycles of a clock; as many as there can be for more.
#[must_use]
pub const fn units(seconds: u32, clock_khz: u32) -> u32 {
    let units = (seconds as u64 * clock_khz as u64 * 1000) >> TICK_LOG2;
    if units > u32::MAX as u64 { u32::MAX } else { units as u32 }
}

impl Ages {
    /// The first port that a pair with these in its forward key has its time by.
    #[must_use]
    pub fn find(&self, proto: u8, dport: u16) -> Option<u8> {
        let found = self.ports.iter().position(|p| *p == Some(Port { proto, port: dport }));
        found.map(|n| n as u8)
    }

    /// Every register with its value.
    pub fn registers(&self) -> impl Iterator<Item = (u32, u32)> {
        let at = |base: u32, words: [u32; 8]| {
            words.into_iter().enumerate().map(move |(n, word)| (base + 4 * n as u32, word))
        };
        let ports = self.ports.map(|port| port.map_or(0, Port::pack));
        at(FLOW_AGE0, self.states)
            .chain(at(FLOW_AGE_PORT0, ports))
            .chain(at(FLOW_AGE_BY_PORT0, self.by_port))
    }

    /// From what the registers say, in the order of [`Ages::registers`].
    #[must_use]
    pub fn from_words(words: &[u32; 24]) -> Self {
        let part = |from: usize| core::array::from_fn(|n| words[from + n]);
        let ports: [u32; 8] = part(8);
        Self { states: part(0), ports: ports.map(Port::unpack), by_port: part(16) }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::vec::Vec;

    use super::*;
    use crate::regs::REGISTERS;

    #[test]
    fn times_are_in_units_of_the_cards_clock() {
        assert_eq!((units(0, 322_266), units(5, 322_266), units(10, 322_266)), (0, 24_586, 49_173));
        assert_eq!(units(u32::MAX, 322_266), u32::MAX);
    }

    #[test]
    fn registers_say_what_was_written_to_them() {
        let mut ages = Ages { states: core::array::from_fn(|n| n as u32 + 1), ..Ages::default() };
        ages.ports[2] = Some(Port { proto: 17, port: 53 });
        ages.by_port[2] = 24_000;
        let (offsets, words): (Vec<u32>, Vec<u32>) = ages.registers().unzip();
        assert_eq!(Ages::from_words(&words.try_into().unwrap()), ages);
        for offset in offsets {
            assert!(REGISTERS.iter().any(|r| r.offset == offset && r.since == 1), "{offset:#x}");
        }
        assert_eq!((ages.find(17, 53), ages.find(6, 53), ages.find(17, 54)), (Some(2), None, None));
    }
}
