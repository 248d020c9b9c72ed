//! What the daemon says of itself. Views of the card are types of `penstock-views`.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use penstock_views::flow::FlowFill;
use penstock_views::registers::CardStatus;
use serde::{Deserialize, Serialize};

/// The body of every answer that is not the value asked for: `{"error":"next hop 88 is not in use"}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// Why, for people.
    pub error: String,
}

/// How the daemon and a card of its are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Name of the card that this is about.
    #[serde(default)]
    pub card: String,
    /// Names of all cards of the daemon.
    #[serde(default)]
    pub cards: Vec<String>,
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
    pub pending_neighbours: Vec<IpAddr>,
    /// MAC addresses by node address.
    pub neighbours: Vec<(IpAddr, String)>,
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
    /// How old what is said of registers and flow table is.
    #[serde(default)]
    pub age_ms: Option<u64>,
    /// How full the tables of its configuration are; empty while that is not known.
    #[serde(default)]
    pub tables: Vec<TableFill>,
    /// What it told by itself since the daemon started.
    #[serde(default)]
    pub events: EventCounts,
}

/// How many events there were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventCounts {
    /// Those that the daemon has taken.
    pub taken: u64,
    /// Those that came faster than they could be taken, and are lost.
    pub lost: u64,
    /// Changes of the pressure on the flow table.
    #[serde(default)]
    pub pressure: u64,
    /// Connections that found no place in the flow table.
    #[serde(default)]
    pub table_full: u64,
    /// Changes of the firmware's state.
    #[serde(default)]
    pub firmware: u64,
    /// Those who follow them now.
    pub followers: u64,
}

/// How full a table is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableFill {
    /// Name of the table.
    pub table: String,
    /// Entries that are there.
    pub used: u32,
    /// Entries that there can be.
    pub capacity: u32,
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
    /// Phases of that plan, each confirmed by the card before the next was begun.
    #[serde(default)]
    pub last_phases: u64,
    /// Why the last attempt failed; none if it succeeded.
    pub last_error: Option<String>,
    /// How many objects are not served at all; the notes say why.
    #[serde(default)]
    pub refused: u64,
    /// What is not as its object asks, and why: the first of them.
    pub notes: Vec<String>,
    /// How many there are besides.
    #[serde(default)]
    pub more_notes: u64,
    /// The last comparison of the card with what it should hold.
    #[serde(default)]
    pub last_audit: Option<AuditSummary>,
}

/// What came of an audit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditSummary {
    /// When it was begun, in seconds since 1970.
    pub at: u64,
    /// Entries that differed.
    pub differing: u64,
    /// Operations that mended it, and what earlier plans left out.
    pub operations: u64,
}

/// An audit: what the card holds, compared with what the daemon believes that it holds. What differed was written again, unless
/// [`Audit::not_mended`]. Flows are ended only if that was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audit {
    /// Whether nothing differed, no plan had left anything out, and no flow was found wrong.
    pub clean: bool,
    /// When it was begun, in seconds since 1970.
    pub at: u64,
    /// How long it took, repair included.
    pub ms: u64,
    /// Table by table.
    pub tables: Vec<AuditedTable>,
    /// Operations that mended what differed.
    pub operations: u64,
    /// Operations that earlier plans had left out, which is a defect of the daemon; they were done.
    #[serde(default)]
    pub left_out: u64,
    /// Nothing was mended: the sources have not all been read yet, so nobody knows what the card is to hold.
    #[serde(default)]
    pub not_mended: bool,
    /// The flow table, which the card fills by itself.
    #[serde(default)]
    pub flows: AuditedFlows,
}

/// The flow table in an audit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditedFlows {
    /// Entries that were read.
    pub entries: u64,
    /// How many the card says are in use; none if it made and deleted some all the time.
    #[serde(default)]
    pub in_use: Option<u64>,
    /// Entries with something wrong.
    #[serde(default)]
    pub defects: Vec<FlowDefect>,
    /// Connections that no packet can use any more, as their mapping or interface has gone. They are no defect and go when they are old.
    #[serde(default)]
    pub stale: u64,
    /// Connections that were ended, those with a defect and those of no use; none unless that was asked for.
    #[serde(default)]
    pub ended: u64,
}

/// An entry of the flow table with something wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlowDefect {
    /// Its index.
    pub index: u32,
    /// What it says.
    pub entry: String,
    /// What is wrong with it.
    pub fault: FlowFault,
}

/// What may be wrong with an entry of the flow table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FlowFault {
    /// The other direction has no entry.
    #[default]
    Lone,
    /// The same direction of the connection has another entry.
    Twice,
    /// The other direction's entry is of other packets than the answers.
    Crossed,
}

/// A table in an audit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditedTable {
    /// Its name.
    pub table: String,
    /// Entries that the daemon believes in.
    pub entries: u64,
    /// How it was compared.
    pub by: Comparison,
    /// Entries that differ.
    pub differing: u64,
    /// The first of them.
    pub differences: Vec<AuditedEntry>,
}

/// How a table was compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Comparison {
    /// By its digest, which was the same.
    Digest,
    /// Entry by entry: the card makes no digest, or another one.
    #[default]
    ReadBack,
}

/// An entry that differs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditedEntry {
    /// Its index.
    pub index: u32,
    /// What the daemon believes, if it believes in an entry there.
    pub ours: Option<String>,
    /// What the card holds, if it holds one there.
    pub theirs: Option<String>,
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
    /// Whether it cannot see what it reads from at the moment; what it gave last counts.
    #[serde(default)]
    pub stale: bool,
    /// Its objects by kind.
    #[serde(default)]
    pub objects: BTreeMap<String, u64>,
    /// What is wrong with it now; of what is wrong, the last good state stays in force.
    pub errors: Vec<String>,
}

impl SourceStatus {
    /// Where it stands.
    #[must_use]
    pub fn state(&self) -> SourceState {
        match (self.read, self.stale, self.errors.is_empty()) {
            (false, ..) => SourceState::NotRead,
            (true, true, _) => SourceState::Stale,
            (true, false, true) => SourceState::Read,
            (true, false, false) => SourceState::InError,
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
    /// It cannot see what it reads from.
    Stale,
}

impl fmt::Display for SourceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotRead => "not read yet",
            Self::Read => "read",
            Self::InError => "in error, what is wrong stays as it was",
            Self::Stale => "cannot be seen, what it gave last counts",
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
