//! `dropstats`: why packets were dropped, under vRouter's names and in its order.

use std::fmt;

use penstock_abi::reason::{CardCounter, DropReason};
use penstock_abi::table::TableId;
use serde::{Deserialize, Serialize};

use crate::CardState;

/// Tables that this view reads.
pub const TABLES: &[TableId] = &[TableId::DropStats, TableId::CardStats];

/// vRouter's print order of the reasons that a card can have; reasons of its own follow.
const ORDER: &[DropReason] = &[
    DropReason::InvalidIf,
    DropReason::Disabled,
    DropReason::EgressOversize,
    DropReason::Oversize,
    DropReason::FlowUnusable,
    DropReason::FlowTableFull,
    DropReason::FlowClash,
    DropReason::NoFipPortMap,
    DropReason::FlowQueueFull,
    DropReason::FlowQuota,
    DropReason::Discard,
    DropReason::TtlExceeded,
    DropReason::InvalidNextHop,
    DropReason::InvalidLabel,
    DropReason::InvalidProtocol,
    DropReason::PacketLoop,
    DropReason::InvalidPacket,
    DropReason::Checksum,
    DropReason::Fragments,
    DropReason::InvalidSource,
    DropReason::NotForGateway,
    DropReason::TrapQueueFull,
];

/// One counter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedCount {
    /// Identifier of the reason, as in the card's reference.
    pub reason: String,
    /// Name under which tools print it.
    pub label: String,
    /// The count.
    pub count: u64,
}

impl NamedCount {
    /// Drops for a reason.
    pub(crate) fn drop(state: &CardState, reason: DropReason) -> Self {
        let known = DropReason::ALL.iter().find(|(r, ..)| *r == reason);
        Self {
            reason: known.map_or("", |(_, identifier, _)| *identifier).to_owned(),
            label: reason.label().to_owned(),
            count: state.drop_counter(reason),
        }
    }

    /// Events that are not drops.
    pub(crate) fn event(state: &CardState, counter: CardCounter) -> Self {
        let known = CardCounter::ALL.iter().find(|(c, ..)| *c == counter);
        Self {
            reason: known.map_or("", |(_, identifier, _)| *identifier).to_owned(),
            label: counter.label().to_owned(),
            count: state.card_counter(counter),
        }
    }
}

/// All counters by cause.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DropStats {
    /// Drops, in vRouter's order, zeros included; then those for reasons that only the card knows.
    pub drops: Vec<NamedCount>,
    /// Events of the card that are not drops, zeros included.
    pub counters: Vec<NamedCount>,
    /// All drops together.
    pub total: u64,
}

/// Counters by cause.
#[must_use]
pub fn view(state: &CardState) -> DropStats {
    let others = DropReason::ALL
        .iter()
        .map(|(reason, _, _)| *reason)
        .filter(|reason| !ORDER.contains(reason));
    let mut drops: Vec<NamedCount> =
        ORDER.iter().copied().chain(others).map(|reason| NamedCount::drop(state, reason)).collect();
    // A card of a later minor version may have reasons that have no name here; their drops are drops all the same.
    let known = |code: u32| u8::try_from(code).ok().and_then(DropReason::from_u8).is_some();
    let unknown = state.tables.drop_stats().iter().filter(|(code, _)| !known(*code));
    drops.extend(unknown.map(|(code, counter)| NamedCount {
        reason: format!("Reason{code}"),
        label: format!("Reason {code}"),
        count: counter.count,
    }));
    let counters =
        CardCounter::ALL.iter().map(|(counter, ..)| NamedCount::event(state, *counter)).collect();
    let total = drops.iter().map(|d| d.count).sum();
    DropStats { drops, counters, total }
}

impl fmt::Display for DropStats {
    /// Counters of zero are hidden, as `dropstats` does. The alternate form (`{:#}`) adds what is not a drop.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for drop in self.drops.iter().filter(|d| d.count > 0) {
            writeln!(f, "{:<28}  {}", drop.label, drop.count)?;
        }
        if f.alternate() {
            for counter in &self.counters {
                writeln!(f, "Hw: {:<24}  {}", counter.label, counter.count)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use penstock_abi::table::Counter;
    use penstock_tables::Entry;

    use super::*;

    #[test]
    fn reasons_of_a_newer_card_are_not_lost() {
        let mut state = CardState::default();
        state.tables.set(60, Entry::DropStats(Counter { count: 5 }));
        state.tables.set(61, Entry::DropStats(Counter { count: 0 }));
        let view = view(&state);
        assert_eq!((view.drops.len(), view.total), (DropReason::ALL.len() + 1, 5));
        assert_eq!(view.to_string(), "Reason 60                     5\n");
    }

    #[test]
    fn every_reason_is_listed_once() {
        let view = view(&CardState::default());
        assert_eq!(view.drops.len(), DropReason::ALL.len());
        for (_, identifier, _) in DropReason::ALL {
            assert_eq!(
                view.drops.iter().filter(|d| d.reason == *identifier).count(),
                1,
                "{identifier}"
            );
        }
    }
}
