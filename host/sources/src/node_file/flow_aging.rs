//! The part of a node file that says how long flows may rest.

use penstock_abi::age::State;
use penstock_model::{FlowAging, PortAging, Protocol};
use schemars::JsonSchema;
use serde::Deserialize;

/// After how many seconds connections that nobody uses go from the card; 0: never. What is not said is as usual.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FlowAgingFile {
    /// TCP, closed from both ends or reset; 10 if absent.
    #[schemars(range(max = 604_800))]
    pub tcp_closed: Option<u32>,
    /// TCP, not established yet; 240 if absent.
    #[schemars(range(max = 604_800))]
    pub tcp_opening: Option<u32>,
    /// TCP, closed from one end; 240 if absent.
    #[schemars(range(max = 604_800))]
    pub tcp_half_closed: Option<u32>,
    /// TCP, established; 7440 if absent.
    #[schemars(range(max = 604_800))]
    pub tcp_established: Option<u32>,
    /// UDP that nobody has answered; 30 if absent.
    #[schemars(range(max = 604_800))]
    pub udp_one_way: Option<u32>,
    /// UDP that was answered; 300 if absent.
    #[schemars(range(max = 604_800))]
    pub udp_both_ways: Option<u32>,
    /// ICMP; 60 if absent.
    #[schemars(range(max = 604_800))]
    pub icmp: Option<u32>,
    /// All other protocols, SCTP among them; 300 if absent.
    #[schemars(range(max = 604_800))]
    pub other: Option<u32>,
    /// Ports with times of their own, which hold for connections that are not opening or closed; UDP port 53 with 5 if absent.
    #[schemars(length(max = 8))]
    pub ports: Option<Vec<PortAgingFile>>,
    /// A connection that both ends have used within so many seconds stays, however full the card's table is; 60 if absent.
    #[schemars(range(max = 86_400))]
    pub guaranteed: Option<u32>,
}

/// A port with a time of its own.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PortAgingFile {
    /// TCP, UDP or SCTP.
    pub protocol: ProtocolFile,
    /// The port that the connection is opened to.
    #[schemars(range(min = 1))]
    pub port: u16,
    /// Seconds.
    #[schemars(range(max = 604_800))]
    pub seconds: u32,
}

/// A protocol with ports.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum ProtocolFile {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

impl From<ProtocolFile> for Protocol {
    fn from(protocol: ProtocolFile) -> Self {
        match protocol {
            ProtocolFile::Tcp => Self::Tcp,
            ProtocolFile::Udp => Self::Udp,
            ProtocolFile::Sctp => Self::Sctp,
        }
    }
}

impl From<FlowAgingFile> for FlowAging {
    fn from(file: FlowAgingFile) -> Self {
        let mut aging = Self::default();
        for (state, seconds) in [
            (State::Closed, file.tcp_closed),
            (State::Opening, file.tcp_opening),
            (State::HalfClosed, file.tcp_half_closed),
            (State::Established, file.tcp_established),
            (State::UdpOneWay, file.udp_one_way),
            (State::UdpBothWays, file.udp_both_ways),
            (State::Icmp, file.icmp),
            (State::Other, file.other),
        ] {
            if let Some(seconds) = seconds {
                aging.set(state, seconds);
            }
        }
        if let Some(seconds) = file.guaranteed {
            aging.guaranteed = seconds;
        }
        if let Some(ports) = file.ports {
            let port = |file: PortAgingFile| PortAging {
                protocol: file.protocol.into(),
                port: file.port,
                seconds: file.seconds,
            };
            aging.ports = ports.into_iter().map(port).collect();
        }
        aging
    }
}
