//! What the daemon says of itself. Views of the card are types of `penstock-views`.

use std::fmt;
use std::net::Ipv4Addr;

use penstock_views::flow::FlowFill;
use penstock_views::registers::CardStatus;
use serde::{Deserialize, Serialize};

/// The body of every answer that is not the value asked for: `{"error":"next hop 88 is not in use"}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// Why, for people.
    pub error: String,
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

impl SourceStatus {
    /// Where it stands.
    #[must_use]
    pub fn state(&self) -> SourceState {
        match (self.read, self.errors.is_empty()) {
            (true, true) => SourceState::Read,
            (true, false) => SourceState::InError,
            (false, _) => SourceState::NotRead,
        }
    }
}

/// Where a source stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceState {
    /// Its first complete list is awaited.
    NotRead,
    /// All of it is in force.
    Read,
    /// Some of it is wrong.
    InError,
}

impl fmt::Display for SourceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotRead => "not read yet",
            Self::Read => "read",
            Self::InError => "in error, what is wrong stays as it was",
        })
    }
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
}
