//! `summary.json` of a replay, and its text.

use std::collections::BTreeMap;
use std::fmt;

use penstock_abi::reason::{CardCounter, DropReason};
use penstock_views::{drops, flow};
use serde::Serialize;

use crate::capture::{Captured, Frame};
use crate::run::Outcome;

/// Frames and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Count {
    /// Frames.
    pub(crate) packets: u64,
    /// Bytes.
    pub(crate) bytes: u64,
}

impl Count {
    fn of<'a>(frames: impl Iterator<Item = &'a Frame>) -> Self {
        frames.fold(Self::default(), |sum, frame| Self {
            packets: sum.packets + 1,
            bytes: sum.bytes + frame.data.len() as u64,
        })
    }
}

/// What passed a port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Port {
    /// vif number.
    pub(crate) vif: u8,
    /// Into the card.
    pub(crate) r#in: Count,
    /// Out of the card.
    pub(crate) out: Count,
}

/// Flows at the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Flows {
    /// Pairs learned.
    pub(crate) learned: u64,
    /// Entries in use.
    pub(crate) in_use: u64,
    /// Entries rewritten.
    pub(crate) repinned: u64,
    /// Pairs that found no room, or whose request was dropped.
    pub(crate) not_learned: u64,
    /// The entries.
    pub(crate) entries: Vec<flow::FlowEntry>,
}

/// A replay in numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Summary {
    /// Version of this form.
    pub(crate) version: u32,
    /// Seed of the pauses.
    pub(crate) seed: Option<u64>,
    /// All ports.
    pub(crate) r#in: Count,
    /// All ports.
    pub(crate) out: Count,
    /// By port name.
    pub(crate) ports: BTreeMap<String, Port>,
    /// Drops by reason; reasons that did not occur are left out.
    pub(crate) drops: BTreeMap<String, u64>,
    /// Packets handed to the firmware; those that it could not take stand among the drops (`TrapQueueFull`).
    pub(crate) trapped: u64,
    /// Frames of the captures that were not sent, as they are not whole there.
    pub(crate) cut: u64,
    /// Frames sent by the firmware.
    pub(crate) firmware_tx: u64,
    /// Core cycles from the first frame to the idle card.
    pub(crate) cycles: u64,
    /// Core cycles in all, power-on and programming included.
    pub(crate) total_cycles: u64,
    /// Flows.
    pub(crate) flows: Flows,
    /// What was left out of the intent and of the captures.
    pub(crate) notes: Vec<String>,
}

impl Summary {
    /// The numbers of a replay.
    #[must_use]
    pub(crate) fn new(
        ports: &BTreeMap<String, u8>,
        captured: &Captured,
        outcome: &Outcome,
        seed: Option<u64>,
    ) -> Self {
        let frames = &captured.frames;
        let counter = |counter| outcome.state.card_counter(counter);
        let port = |&vif: &u8| Port {
            vif,
            r#in: Count::of(frames.iter().filter(|f| f.vif == vif)),
            out: Count::of(outcome.egress.iter().filter(|f| f.vif == vif)),
        };
        let drops = drops::view(&outcome.state).drops;
        let queue_full = outcome.state.drop_counter(DropReason::TrapQueueFull);
        Self {
            version: 1,
            seed,
            r#in: Count::of(frames.iter()),
            out: Count::of(outcome.egress.iter()),
            ports: ports.iter().map(|(name, vif)| (name.clone(), port(vif))).collect(),
            drops: drops.into_iter().filter(|d| d.count > 0).map(|d| (d.reason, d.count)).collect(),
            // The card counts a packet when it is decided, and once more when there is no room for it.
            trapped: counter(CardCounter::Trapped).saturating_sub(queue_full),
            cut: captured.cut,
            firmware_tx: counter(CardCounter::FirmwareTx),
            cycles: outcome.traffic_cycles,
            total_cycles: outcome.total_cycles,
            flows: Flows {
                learned: counter(CardCounter::FlowsLearned),
                in_use: counter(CardCounter::FlowsInUse),
                repinned: counter(CardCounter::FlowsRepinned),
                not_learned: counter(CardCounter::FlowTableFull)
                    + counter(CardCounter::LearnDeferred),
                entries: flow::view(&outcome.state, None).flows,
            },
            notes: captured.notes.iter().chain(&outcome.notes).cloned().collect(),
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<20}{:>12}{:>12}", "Port", "Packets in", "out")?;
        for (name, port) in &self.ports {
            writeln!(f, "{name:<20}{:>12}{:>12}", port.r#in.packets, port.out.packets)?;
        }
        for (reason, count) in &self.drops {
            writeln!(f, "{:<32}{count:>12}", format!("Dropped: {reason}"))?;
        }
        if self.trapped > 0 {
            writeln!(f, "{:<32}{:>12}", "Handed to the firmware", self.trapped)?;
        }
        if self.cut > 0 {
            writeln!(f, "{:<32}{:>12}", "Not sent, cut in the capture", self.cut)?;
        }
        writeln!(f, "{:<32}{:>12}", "Flow pairs learned", self.flows.learned)?;
        writeln!(f, "{:<32}{:>12}", "Core cycles", self.cycles)?;
        for note in &self.notes {
            writeln!(f, "Note: {note}")?;
        }
        Ok(())
    }
}
