//! MAC addresses, as text and as numbers. IP addresses and prefixes are `std`'s and `ipnet`'s.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use thiserror::Error;

/// A text is not the address it should be; its author is to blame.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum AddrError {
    /// Not six hexadecimal octets.
    #[error("`{0}` is not a MAC address like 02:00:0a:a9:19:14")]
    Mac(String),
}

/// An Ethernet address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MacAddr(pub [u8; 6]);

impl MacAddr {
    /// The virtual gateway's address, which pods see.
    pub const GATEWAY: Self = Self(penstock_abi::limits::GATEWAY_MAC);

    /// The address as a number, first octet highest: the form table words use.
    #[must_use]
    pub fn to_bits(self) -> u64 {
        self.0.iter().fold(0, |bits, &octet| bits << 8 | u64::from(octet))
    }

    /// The address from the low 48 bits of a number.
    #[must_use]
    pub fn from_bits(bits: u64) -> Self {
        let [_, _, octets @ ..] = bits.to_be_bytes();
        Self(octets)
    }

    /// Whether one interface can own it: neither a group address nor all zeros.
    #[must_use]
    pub fn is_unicast(self) -> bool {
        self.0[0] & 1 == 0 && self != Self::default()
    }
}

impl fmt::Display for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl FromStr for MacAddr {
    type Err = AddrError;

    fn from_str(text: &str) -> Result<Self, AddrError> {
        let bad = || AddrError::Mac(text.to_owned());
        let mut octets = [0; 6];
        let mut parts = text.split(':');
        for octet in &mut octets {
            let part = parts.next().filter(|p| p.len() == 2).ok_or_else(bad)?;
            *octet = u8::from_str_radix(part, 16).map_err(|_| bad())?;
        }
        if parts.next().is_some() { Err(bad()) } else { Ok(Self(octets)) }
    }
}

macro_rules! as_text {
    ($($t:ty),*) => {$(
        impl Serialize for $t {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $t {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
            }
        }
    )*};
}
as_text!(MacAddr);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mac_survives_text_and_bits() {
        let mac: MacAddr = "02:00:0a:a9:19:14".parse().unwrap();
        assert_eq!(mac.to_bits(), 0x0200_0aa9_1914);
        assert_eq!(MacAddr::from_bits(mac.to_bits()), mac);
        assert_eq!(mac.to_string(), "02:00:0a:a9:19:14");
        for bad in
            ["", "02:00:0a:a9:19", "02:00:0a:a9:19:14:15", "2:0:a:a9:19:14", "zz:00:00:00:00:00"]
        {
            assert!(bad.parse::<MacAddr>().is_err(), "{bad}");
        }
    }
}
