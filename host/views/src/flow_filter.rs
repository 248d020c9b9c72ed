//! The expression of `flow --match`: `ip[:port][,ip[:port]] & vrf N & proto tcp|udp|icmp|sctp`.
//!
//! Address and port may be `*`. One end point matches either side of a flow, two match both, in either direction.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use penstock_abi::table::Flow;

use crate::event::Connection;
use crate::text;

/// The expression is not understood; the user's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{part}` is not understood in the filter; use `ip[:port][,ip[:port]] & vrf N & proto tcp|udp|icmp|sctp`"
)]
pub struct FilterError {
    part: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct EndPoint {
    ip: Option<Ipv4Addr>,
    port: Option<u16>,
}

impl EndPoint {
    fn matches(self, ip: u32, port: u16) -> bool {
        self.ip.is_none_or(|wanted| u32::from(wanted) == ip)
            && self.port.is_none_or(|wanted| wanted == port)
    }
}

impl FromStr for EndPoint {
    type Err = FilterError;
    fn from_str(text: &str) -> Result<Self, FilterError> {
        let fail = || FilterError { part: text.to_owned() };
        let (ip, port) = text.split_once(':').unwrap_or((text, "*"));
        let ip = ip.trim().trim_start_matches('[').trim_end_matches(']');
        let any = |part: &str| part.is_empty() || part == "*";
        Ok(Self {
            ip: if any(ip) { None } else { Some(ip.parse().map_err(|_| fail())?) },
            port: if any(port.trim()) {
                None
            } else {
                Some(port.trim().parse().map_err(|_| fail())?)
            },
        })
    }
}

impl fmt::Display for EndPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.ip {
            Some(ip) => write!(f, "[{ip}]:")?,
            None => write!(f, "[*]:")?,
        }
        match self.port {
            Some(port) => write!(f, "{port}"),
            None => write!(f, "*"),
        }
    }
}

/// Which flows to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FlowFilter {
    first: Option<EndPoint>,
    second: Option<EndPoint>,
    protocol: Option<u8>,
    vrf: Option<u16>,
}

impl FlowFilter {
    /// Whether the flow is to be listed.
    #[must_use]
    pub fn matches(&self, flow: &Flow) -> bool {
        let ends = [(flow.sip, flow.sport), (flow.dip, flow.dport)];
        self.sees(ends, flow.proto, Some(flow.vrf))
    }

    /// Whether events of the connection are to be told.
    #[must_use]
    pub fn matches_connection(&self, connection: &Connection) -> bool {
        let Connection { source, source_port, destination, destination_port, .. } = *connection;
        let ends = [(source.into(), source_port), (destination.into(), destination_port)];
        self.sees(ends, connection.protocol, connection.vrf)
    }

    fn sees(&self, [one, other]: [(u32, u16); 2], protocol: u8, vrf: Option<u16>) -> bool {
        let first = self.first.unwrap_or_default();
        let second = self.second.unwrap_or_default();
        let both = |one: (u32, u16), other: (u32, u16)| {
            first.matches(one.0, one.1) && second.matches(other.0, other.1)
        };
        (both(one, other) || both(other, one))
            && self.protocol.is_none_or(|wanted| wanted == protocol)
            && self.vrf.is_none_or(|wanted| Some(wanted) == vrf)
    }
}

impl FromStr for FlowFilter {
    type Err = FilterError;
    fn from_str(text: &str) -> Result<Self, FilterError> {
        let mut filter = Self::default();
        for part in text.split('&').map(str::trim).filter(|part| !part.is_empty()) {
            let fail = || FilterError { part: part.to_owned() };
            match part.split_once(char::is_whitespace).map(|(word, rest)| (word, rest.trim())) {
                Some(("vrf", number)) => filter.vrf = Some(number.parse().map_err(|_| fail())?),
                Some(("proto", name)) => {
                    filter.protocol = Some(text::protocol_number(name).ok_or_else(fail)?);
                }
                _ => {
                    let (first, second) =
                        part.split_once(',').map_or((part, None), |(a, b)| (a, Some(b)));
                    filter.first = Some(first.parse()?);
                    filter.second = second.map(str::parse).transpose()?;
                }
            }
        }
        Ok(filter)
    }
}

impl fmt::Display for FlowFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<String> = [
            self.first.map(|e| e.to_string()),
            self.second.map(|e| e.to_string()),
            self.protocol.map(|p| format!("Protocol {}", text::protocol(p))),
            self.vrf.map(|vrf| format!("VRF {vrf}")),
        ]
        .into_iter()
        .flatten()
        .collect();
        f.write_str(&parts.join(", "))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn flow() -> Flow {
        Flow {
            valid: true,
            proto: 6,
            sip: 0x0a2f_ffed,
            dip: 0x0a69_8b99,
            sport: 40000,
            dport: 8888,
            vrf: 2,
            ..Flow::default()
        }
    }

    #[test]
    fn one_end_point_matches_either_side() {
        for yes in [
            "10.105.139.153:8888",
            "10.47.255.237",
            "*:8888",
            "10.105.139.153:8888,10.47.255.237",
            "proto tcp & vrf 2",
        ] {
            assert!(yes.parse::<FlowFilter>().unwrap().matches(&flow()), "{yes}");
        }
        for no in [
            "10.105.139.153:9999",
            "10.47.255.238",
            "10.105.139.153,10.47.255.238",
            "proto udp",
            "vrf 3",
        ] {
            assert!(!no.parse::<FlowFilter>().unwrap().matches(&flow()), "{no}");
        }
    }

    #[test]
    fn it_prints_as_flow_does() {
        let filter: FlowFilter = "10.105.139.153:8888,* & proto tcp & vrf 2".parse().unwrap();
        assert_eq!(filter.to_string(), "[10.105.139.153]:8888, [*]:*, Protocol TCP, VRF 2");
    }

    #[test]
    fn nonsense_is_named() {
        assert!(
            "10.105.139:80"
                .parse::<FlowFilter>()
                .unwrap_err()
                .to_string()
                .contains("10.105.139:80")
        );
        assert!("proto xyz".parse::<FlowFilter>().is_err());
    }
}
