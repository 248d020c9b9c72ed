//! How long flows may rest before they go.

use penstock_abi::age::{STATES, State};
use serde::{Deserialize, Serialize};

use crate::Protocol;

/// After how many seconds the pairs of flow entries of a connection that nobody uses go; 0: never.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlowAging {
    /// By what the connection was seen to do: the number of a [`State`].
    pub states: [u32; STATES],
    /// By the port that it was opened to. The first that fits counts.
    pub ports: Vec<PortAging>,
    /// A connection that both ends have used within so many seconds stays, however full the table is.
    pub guaranteed: u32,
}

/// A port with a time of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortAging {
    /// Protocol.
    pub protocol: Protocol,
    /// Port.
    pub port: u16,
    /// Seconds; 0: never.
    pub seconds: u32,
}

impl FlowAging {
    /// The longest time: the card compares by a counter that comes round after some ten days.
    pub const SECONDS_MAX: u32 = 7 * 24 * 3600;

    /// The longest guarantee: a table that fills must have something to give.
    pub const GUARANTEED_MAX: u32 = 24 * 3600;

    /// The time of a state.
    #[must_use]
    pub fn of(&self, state: State) -> u32 {
        self.states[state as usize]
    }

    /// Sets the time of a state.
    pub fn set(&mut self, state: State, seconds: u32) {
        self.states[state as usize] = seconds;
    }
}

impl Default for FlowAging {
    /// RFC 5382, RFC 4787 and RFC 5508, and as Linux does it where those are for translators that share ports
    /// (`docs/decisions/88-flows-end.md`). A name is asked for once, and answered at once.
    fn default() -> Self {
        let states = State::ALL.map(|state| match state {
            State::Closed => 10,
            State::Opening | State::HalfClosed => 240,
            State::Established => 7440,
            State::UdpOneWay => 30,
            State::UdpBothWays | State::Other => 300,
            State::Icmp => 60,
        });
        Self {
            states,
            ports: vec![PortAging { protocol: Protocol::Udp, port: 53, seconds: 5 }],
            guaranteed: 60,
        }
    }
}
