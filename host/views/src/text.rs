//! Small pieces of text that several views share.

use std::net::Ipv4Addr;

/// A MAC address as vRouter's tools print it: `00:00:5e:00:01:00`.
#[must_use]
pub fn mac(mac: u64) -> String {
    bytes(mac).map(|b| format!("{b:02x}")).join(":")
}

/// The rewrite data of a next hop: destination MAC, source MAC, EtherType, as hex bytes.
#[must_use]
pub fn ethernet(dmac: u64, smac: u64, ethertype: u16) -> String {
    let all: Vec<String> = bytes(dmac)
        .into_iter()
        .chain(bytes(smac))
        .chain(ethertype.to_be_bytes())
        .map(|b| format!("{b:02x}"))
        .collect();
    all.join(" ")
}

fn bytes(mac: u64) -> [u8; 6] {
    let [_, _, rest @ ..] = mac.to_be_bytes();
    rest
}

/// An address from its word in a table.
#[must_use]
pub fn ip(word: u32) -> Ipv4Addr {
    Ipv4Addr::from(word)
}

/// Name of an IP protocol, or its number.
#[must_use]
pub fn protocol(proto: u8) -> String {
    match proto {
        1 => "ICMP".to_owned(),
        6 => "TCP".to_owned(),
        17 => "UDP".to_owned(),
        132 => "SCTP".to_owned(),
        other => other.to_string(),
    }
}

/// Number of an IP protocol named or numbered.
#[must_use]
pub fn protocol_number(name: &str) -> Option<u8> {
    match name.to_ascii_lowercase().as_str() {
        "icmp" => Some(1),
        "tcp" => Some(6),
        "udp" => Some(17),
        "sctp" => Some(132),
        other => other.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gateways_mac_and_its_rewrite_data() {
        assert_eq!(mac(0x0000_5e00_0100), "00:00:5e:00:01:00");
        assert_eq!(
            ethernet(0x0200_0a2f_ffec, 0x0000_5e00_0100, 0x0800),
            "02 00 0a 2f ff ec 00 00 5e 00 01 00 08 00"
        );
    }
}
