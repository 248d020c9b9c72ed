//! What travels between the command line and the daemon: one JSON object a line, a response for each request, in order.
//!
//! ```text
//! > {"version":1,"op":"flows","match":"10.105.139.153:8888"}
//! < {"version":1,"ok":true,"data":{"flows":[...]}}
//! > {"version":1,"op":"next_hop","id":87000}
//! < {"version":1,"ok":false,"error":"next hop 87000 is not in use"}
//! ```

use std::fmt;
use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use crate::flow::FlowFill;

/// Version of this protocol. A daemon refuses other versions by name.
pub const VERSION: u32 = 1;
/// Socket of the daemon unless told otherwise.
pub const DEFAULT_SOCKET: &str = "/run/penstock/penstockd.sock";

/// A request with its version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// [`VERSION`].
    pub version: u32,
    /// What is asked for.
    #[serde(flatten)]
    pub op: Op,
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub enum Op {
    /// [`Status`].
    Status,
    /// `flow::FlowTable`.
    Flows {
        /// Expression of `flow_filter`.
        #[serde(default, rename = "match", skip_serializing_if = "Option::is_none")]
        filter: Option<String>,
    },
    /// `flow::FlowEntry`.
    Flow {
        /// Index in the flow table.
        index: u32,
    },
    /// `next_hop::Hops`, all.
    NextHops,
    /// `next_hop::Hops`, one and its members.
    NextHop {
        /// Its id.
        id: u32,
    },
    /// `vif::Interfaces`; one if a number is given.
    Vifs {
        /// vif number.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        index: Option<u32>,
    },
    /// `route::Routes` of a VRF.
    Routes {
        /// The VRF.
        vrf: u16,
    },
    /// `route::Routes`, the one that a destination takes.
    Route {
        /// The VRF.
        vrf: u16,
        /// Destination.
        address: Ipv4Addr,
        /// Longest prefix considered.
        prefix_len: u8,
    },
    /// `mpls::LabelMap`; one label if given.
    Labels {
        /// The label.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        label: Option<u32>,
    },
    /// `drops::DropStats`.
    DropStats,
    /// `service::Service`.
    Service {
        /// Namespace.
        namespace: String,
        /// Name.
        name: String,
    },
}

/// The answer to a request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Response<T> {
    /// [`VERSION`].
    pub version: u32,
    /// Whether `data` or `error` is there.
    pub ok: bool,
    /// The answer.
    #[serde(default = "Option::default", skip_serializing_if = "Option::is_none")]
    pub data: Option<T>,
    /// Why there is none, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl<T> Response<T> {
    /// A successful answer.
    pub fn data(data: T) -> Self {
        Self { version: VERSION, ok: true, data: Some(data), error: None }
    }

    /// A refusal.
    pub fn error(error: impl Into<String>) -> Self {
        Self { version: VERSION, ok: false, data: None, error: Some(error.into()) }
    }
}

/// How the daemon and its card are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Name of the node.
    pub node: String,
    /// Version of the daemon.
    pub daemon_version: String,
    /// The card, as far as it answers.
    pub device: DeviceStatus,
    /// The reconcile loop.
    pub reconcile: ReconcileStatus,
    /// Where the desired state comes from.
    pub sources: Vec<SourceStatus>,
    /// Nodes whose MAC address is not known yet.
    pub pending_neighbours: Vec<Ipv4Addr>,
    /// MAC addresses by node address.
    pub neighbours: Vec<(Ipv4Addr, String)>,
}

/// The card as the daemon sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceStatus {
    /// Where the card is.
    pub spec: String,
    /// Whether there is a card.
    pub state: DeviceState,
    /// Why it is lost.
    pub error: Option<String>,
    /// What the card says of itself; none while it is lost.
    pub card: Option<CardStatus>,
    /// How full its flow table is; none while it is lost.
    pub flow_table: Option<FlowFill>,
}

/// Whether the daemon has its card.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeviceState {
    /// It has.
    Attached,
    /// It has not, or not yet.
    #[default]
    Lost,
}

impl fmt::Display for DeviceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Attached => "attached",
            Self::Lost => "lost",
        })
    }
}

/// Registers of the card.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CardStatus {
    /// `major.minor` of the layout.
    pub layout_version: String,
    /// Hash of the layout, in hex.
    pub layout_hash: String,
    /// Additions to the layout's major version that the card has, a bit each.
    pub capabilities: u32,
    /// Nominal core clock.
    pub clock_khz: u32,
    /// `power-on` or `function-level reset`.
    pub reset_cause: String,
    /// Function-level resets since power-on.
    pub flr_count: u32,
    /// Epoch of the last complete reconcile, as the card keeps it.
    pub epoch: u32,
    /// Whether packets are forwarded.
    pub forwarding: bool,
    /// Card time in core cycles.
    pub time_cycles: u64,
    /// State of the firmware for people: `ready`, `panic at line 12 of file hash 0x..`, ...
    pub firmware: String,
    /// `major.minor` of the firmware.
    pub firmware_version: String,
    /// Counts up while the firmware lives.
    pub firmware_heartbeat: u32,
}

/// The reconcile loop.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReconcileStatus {
    /// Where it stands.
    pub state: ReconcileState,
    /// Reconciles that reached the card whole, since the daemon started.
    pub completed: u64,
    /// Those among them that had nothing to write.
    pub empty: u64,
    /// Operations of the last plan that was not empty.
    pub last_operations: u64,
    /// Time it took, compile and plan included.
    pub last_ms: u64,
    /// Why the last attempt failed; none if it succeeded.
    pub last_error: Option<String>,
    /// What was left out of the desired state, and why.
    pub notes: Vec<String>,
}

/// Where the reconcile loop stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReconcileState {
    /// The card is there, what it is to be is not known yet.
    #[serde(rename = "waiting for sources")]
    WaitingForSources,
    /// There is no card, or what it holds is not known yet.
    #[default]
    #[serde(rename = "waiting for the device")]
    WaitingForDevice,
    /// The card is as the sources want it.
    #[serde(rename = "in sync")]
    InSync,
    /// The last attempt failed.
    #[serde(rename = "failing")]
    Failing,
}

impl fmt::Display for ReconcileState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::WaitingForSources => "waiting for sources",
            Self::WaitingForDevice => "waiting for the device",
            Self::InSync => "in sync",
            Self::Failing => "failing",
        })
    }
}

/// One source of desired state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceStatus {
    /// Its name.
    pub name: String,
    /// Whether its first complete list was read.
    pub read: bool,
    /// What is wrong with it now; of what is wrong, the last good state stays in force.
    pub errors: Vec<String>,
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn states_travel_in_the_words_that_people_read() {
        for state in [
            ReconcileState::WaitingForSources,
            ReconcileState::WaitingForDevice,
            ReconcileState::InSync,
            ReconcileState::Failing,
        ] {
            assert_eq!(serde_json::to_value(state).unwrap(), state.to_string());
        }
        for state in [DeviceState::Attached, DeviceState::Lost] {
            assert_eq!(serde_json::to_value(state).unwrap(), state.to_string());
        }
    }

    #[test]
    fn requests_read_as_documented() {
        let request: Request =
            serde_json::from_str(r#"{"version":1,"op":"flows","match":"10.105.139.153:8888"}"#)
                .unwrap();
        assert_eq!(request.op, Op::Flows { filter: Some("10.105.139.153:8888".into()) });
        let text =
            serde_json::to_string(&Request { version: 1, op: Op::NextHop { id: 87 } }).unwrap();
        assert_eq!(text, r#"{"version":1,"op":"next_hop","id":87}"#);
        assert!(serde_json::from_str::<Request>(r#"{"version":1,"op":"reboot"}"#).is_err());
    }
}
