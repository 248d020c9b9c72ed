//! The audit of flows. The card makes them itself, so there is nothing to compare them with but one another, what they name,
//! and the card's own count.
//!
//! Flows come, go and move while they are read. What looks wrong is therefore looked at again, and is a finding if it is still
//! there, of the same connection, each time.

use std::collections::{HashMap, HashSet};

use penstock_abi::reason::CardCounter;
use penstock_abi::table::{Counter, FipMap, Flow, NextHop, TableEntry as _, TableId};
use penstock_tables::Tables;

use crate::beat::Beat;
use crate::device::Device;
use crate::error::LinkError;
use crate::read;

/// How often something must look wrong.
const LOOKS: usize = 3;
/// Looks at a table whose count is to be compared with the card's; it stands still in one of them, or nothing is said.
const COUNTS: usize = 3;

/// What is wrong with an entry of the flow table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FlowFault {
    /// The other direction has no entry.
    Lone,
    /// The same direction of the same pair has another one.
    Twice,
    /// The other direction's entry is of other packets than those that answer this one's.
    Crossed,
}

/// An entry with something wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowDefect {
    /// Where it stood.
    pub index: u32,
    /// What it said.
    pub flow: Flow,
    /// What is wrong with it.
    pub fault: FlowFault,
}

/// What an audit of flows found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FlowAudit {
    /// Entries that were seen.
    pub entries: usize,
    /// How many the card says are in use; none if that changed all the time.
    pub in_use: Option<u64>,
    /// Entries with something wrong.
    pub defects: Vec<FlowDefect>,
    /// Connections that no packet can use any more, as what they name has gone: their mapping, or the next hop of their keys. They are
    /// no defect, as they go when they are old.
    pub stale: usize,
    /// Pairs that were deleted.
    pub ended: usize,
}

impl FlowAudit {
    /// Whether all was as it should be.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.defects.is_empty() && self.in_use.is_none_or(|count| count == self.entries as u64)
    }
}

/// Direction of a pair, as long as it is the same connection's.
type Name = (u32, bool, u8);

fn name(flow: &Flow) -> Name {
    (flow.pair, flow.reverse, flow.generation)
}

/// Looks at the flows of a card with this configuration; with `fix`, deletes the pairs with something wrong and those that nobody
/// can use.
pub(crate) async fn flows(
    device: &Device,
    configuration: &Tables,
    fix: bool,
) -> Result<FlowAudit, LinkError> {
    let (entries, in_use) = counted(device).await?;
    let mut defects = judge(&entries);
    for _ in 1..LOOKS {
        if defects.is_empty() {
            break;
        }
        let again = judge(&dump(device).await?);
        let still: HashSet<_> = defects.iter().map(|d| (name(&d.flow), d.fault)).collect();
        defects = again;
        defects.retain(|defect| still.contains(&(name(&defect.flow), defect.fault)));
    }
    let stale: Vec<(u32, Flow)> = entries
        .iter()
        .filter(|(_, flow)| !flow.reverse && is_stale(flow, configuration))
        .copied()
        .collect();
    let ended = if fix {
        let wrong = defects.iter().map(|defect| (defect.index, defect.flow));
        end(device, wrong.chain(stale.iter().copied())).await?
    } else {
        0
    };
    Ok(FlowAudit { entries: entries.len(), in_use, defects, stale: stale.len(), ended })
}

/// All entries, and what the card says of their number, if that stood still meanwhile.
async fn counted(device: &Device) -> Result<(Vec<(u32, Flow)>, Option<u64>), LinkError> {
    let mut before = counts(device).await?;
    let mut entries = dump(device).await?;
    for _ in 1..COUNTS {
        let after = counts(device).await?;
        if after == before {
            return Ok((entries, Some(after[0])));
        }
        before = after;
        entries = dump(device).await?;
    }
    let after = counts(device).await?;
    Ok((entries, (after == before).then_some(after[0])))
}

/// Entries in use, and what tells that some came or went.
async fn counts(device: &Device) -> Result<[u64; 4], LinkError> {
    const COUNTERS: [CardCounter; 4] = [
        CardCounter::FlowsInUse,
        CardCounter::FlowsLearned,
        CardCounter::FlowsRepinned,
        CardCounter::FlowsAged,
    ];
    let indices = COUNTERS.map(|counter| counter as u32);
    let words = device.run(move |card| card.read_sound(TableId::CardStats, &indices)).await?;
    let mut counts = [0; COUNTERS.len()];
    for (count, words) in counts.iter_mut().zip(words) {
        *count = Counter::unpack(&words.unwrap_or_default()).count;
    }
    Ok(counts)
}

async fn dump(device: &Device) -> Result<Vec<(u32, Flow)>, LinkError> {
    let (dumped, _) = read::dump(device, TableId::Flow, &Beat::new()).await?;
    let flows = dumped.iter().map(|(index, words)| (*index, Flow::unpack(words)));
    Ok(flows.filter(|(_, flow)| flow.valid).collect())
}

/// What looks wrong in a table that was read like this.
fn judge(entries: &[(u32, Flow)]) -> Vec<FlowDefect> {
    let mut pairs: HashMap<u32, [Vec<&(u32, Flow)>; 2]> = HashMap::new();
    for entry in entries {
        pairs.entry(entry.1.pair).or_default()[usize::from(entry.1.reverse)].push(entry);
    }
    let mut defects: Vec<FlowDefect> = Vec::new();
    for [forward, reverse] in pairs.values() {
        let fault = match (forward.as_slice(), reverse.as_slice()) {
            ([f], [r]) if answers(&f.1, &r.1) => continue,
            ([_], [_]) => FlowFault::Crossed,
            ([_], []) | ([], [_]) => FlowFault::Lone,
            _ => FlowFault::Twice,
        };
        let wrong = forward.iter().chain(reverse);
        defects.extend(wrong.map(|&&(index, flow)| FlowDefect { index, flow, fault }));
    }
    defects.sort_unstable_by_key(|defect| defect.index);
    defects
}

/// Whether the reverse entry is that of the replies to the forward entry's packets, as far as the two say (section 9 of the data path's
/// page): what is not translated is exchanged.
fn answers(forward: &Flow, reverse: &Flow) -> bool {
    const ICMP: u8 = 1;
    // An echo reply has the identifier of its request in the same place.
    let (sport, dport) = if forward.proto == ICMP {
        (reverse.sport, reverse.dport)
    } else {
        (reverse.dport, reverse.sport)
    };
    forward.proto == reverse.proto
        && (reverse.snat, reverse.spat) == (forward.dnat, forward.dpat)
        && (reverse.dnat, reverse.dpat) == (forward.snat, forward.spat)
        && (forward.snat || reverse.dip == forward.sip)
        && (forward.spat || sport == forward.sport)
        && (forward.dnat || reverse.sip == forward.dip)
        && (forward.dpat || dport == forward.dport)
}

fn is_stale(flow: &Flow, configuration: &Tables) -> bool {
    let keyed = configuration.get::<NextHop>(flow.nh.into()).is_some_and(|hop| hop.valid);
    let mapping = configuration.get::<FipMap>(flow.map.into());
    let mapped = mapping.is_some_and(|map| map.valid && map.generation == flow.map_generation);
    !keyed || (flow.map_valid && !mapped)
}

/// Deletes the pairs of these entries, where they still stand; says how many that were.
async fn end(
    device: &Device,
    entries: impl Iterator<Item = (u32, Flow)>,
) -> Result<usize, LinkError> {
    let mut ended = 0;
    for (index, flow) in entries {
        ended += device
            .run(move |card| {
                let [words] = card.read_sound(TableId::Flow, &[index])?[..] else { return Ok(0) };
                let there = Flow::unpack(&words.unwrap_or_default());
                if !there.valid || name(&there) != name(&flow) {
                    return Ok(0);
                }
                card.write(index, Flow::default()).map(|()| 1)
            })
            .await?;
    }
    Ok(ended)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forward(pair: u32) -> Flow {
        Flow {
            valid: true,
            pair,
            nh: 7,
            proto: 6,
            sip: 1,
            sport: 1000,
            dip: 2,
            dport: 80,
            ..Flow::default()
        }
    }

    fn reverse(pair: u32) -> Flow {
        let Flow { sip, sport, dip, dport, .. } = forward(pair);
        let swapped = Flow { sip: dip, sport: dport, dip: sip, dport: sport, ..forward(pair) };
        Flow { reverse: true, nh: 9, ..swapped }
    }

    fn faults(entries: &[(u32, Flow)]) -> Vec<(u32, FlowFault)> {
        judge(entries).iter().map(|defect| (defect.index, defect.fault)).collect()
    }

    #[test]
    fn whole_pairs_are_no_defect() {
        let echo = Flow { proto: 1, sport: 77, dport: 77, ..forward(3) };
        let echoed = Flow { proto: 1, sport: 77, dport: 77, ..reverse(3) };
        // To a service, and as its answers come: from the pod's address and port.
        let called = Flow { dnat: true, dpat: true, ..forward(4) };
        let answered = Flow { sip: 5, sport: 8080, snat: true, spat: true, ..reverse(4) };
        let table = [
            (8, forward(1)),
            (3, reverse(1)),
            (40, forward(2)),
            (41, reverse(2)),
            (50, echo),
            (51, echoed),
            (60, called),
            (61, answered),
        ];
        assert_eq!(faults(&table), []);
    }

    #[test]
    fn halves_copies_and_strangers_are() {
        let stranger = Flow { dip: 99, ..reverse(3) };
        let other = Flow { dport: 81, ..forward(5) };
        let table = [
            (8, forward(1)),
            (9, reverse(2)),
            (10, forward(3)),
            (11, stranger),
            (20, forward(4)),
            (21, forward(4)),
            (22, reverse(4)),
            (30, other),
            (31, reverse(5)),
        ];
        let crossed = FlowFault::Crossed;
        assert_eq!(
            faults(&table),
            [
                (8, FlowFault::Lone),
                (9, FlowFault::Lone),
                (10, crossed),
                (11, crossed),
                (20, FlowFault::Twice),
                (21, FlowFault::Twice),
                (22, FlowFault::Twice),
                (30, crossed),
                (31, crossed),
            ]
        );
        // What one says of translation and the other does not.
        let translated = Flow { dnat: true, ..forward(6) };
        assert_eq!(faults(&[(1, translated), (2, reverse(6))]), [(1, crossed), (2, crossed)]);
    }
}
