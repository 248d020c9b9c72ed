//! `flow -l`, `flow --match` and `flow --get N`: the flow table as values. Their text is in [`crate::flow_text`].
//!
//! Example: on the server's node, the entry of the packets from the fabric has action `N(DPd)` (destination address and
//! port are translated), its partner `N(SPs)`; both show `TCP:SSrEEr` once the connection is established.

use std::collections::HashMap;
use std::net::Ipv4Addr;

use penstock_abi::age::State;
use penstock_abi::evict::Evictions;
use penstock_abi::hash::{entropy_port, public_hash};
use penstock_abi::reason::{CardCounter, DropReason};
use penstock_abi::table::{
    ENTRY_WORDS, FipMap, Flow, FlowStats, TCP_ESTABLISHED, TCP_FIN, TCP_RST, TCP_SYN, TableId,
};
use serde::{Deserialize, Serialize};

pub use penstock_abi::evict::PRESSURE_MAX;

use crate::drops::NamedCount;
use crate::flow_filter::FlowFilter;
use crate::words::words;
use crate::{CardState, text};

/// IP protocol.
const TCP: u8 = 6;

/// Tables that this view reads; of `FlowStats`, the entries of valid flows.
pub const TABLES: &[TableId] =
    &[TableId::Flow, TableId::FlowStats, TableId::CardStats, TableId::DropStats, TableId::FipMap];

/// Tables that [`fill`] reads.
pub const FILL_TABLES: &[TableId] = &[TableId::CardStats, TableId::DropStats];

/// Why packets of new flows that need translation were dropped.
const REFUSALS: &[DropReason] = &[
    DropReason::FlowTableFull,
    DropReason::FlowQueueFull,
    DropReason::FlowClash,
    DropReason::FlowQuota,
    DropReason::LearnOff,
];
/// Why pairs that translate nothing were not inserted; their packets went on.
const PASSED: &[CardCounter] = &[CardCounter::FlowTableFull, CardCounter::LearnDeferred];

/// What happens to packets of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Forwarded as they are.
    Forward,
    /// Translated, see the flags.
    Nat,
}

words! {
    /// What of a packet is translated, in `flow`'s letters.
    pub enum Translation {
        /// Source address.
        Source = "S",
        /// Source port.
        SourcePort = "Ps",
        /// Destination address.
        Destination = "D",
        /// Destination port.
        DestinationPort = "Pd",
    }
}

words! {
    /// What was seen of a TCP connection, in `flow`'s letters; `r` is the other direction.
    pub enum TcpSeen {
        /// It was opened from here.
        Syn = "S",
        /// It was opened from there.
        SynReverse = "Sr",
        /// Established as seen from here.
        Established = "E",
        /// Established as seen from there.
        EstablishedReverse = "Er",
        /// Closed from here.
        Fin = "F",
        /// Closed from there.
        FinReverse = "Fr",
        /// Reset by either.
        Reset = "R",
        /// Closed from one end, and not from the other yet.
        HalfClose = "C",
        /// Over: what is left goes soon.
        Dead = "D",
    }
}

/// The mapping that translates a flow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mapping {
    /// Index in the card's table `FipMap`.
    pub map: u16,
    /// Generation under which the flow was translated.
    pub generation: u8,
    /// The mapping is still the one under which the flow was translated.
    pub current: bool,
    /// Floating IP and port.
    pub floating: Option<(Ipv4Addr, u16)>,
    /// Pod's address and port.
    pub fixed: Option<(Ipv4Addr, u16)>,
}

/// The member to which a flow is pinned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pin {
    /// Slot in the group.
    pub index: u16,
    /// Generation of the slot when pinned.
    pub generation: u8,
}

/// One entry of the flow table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlowEntry {
    /// Index in the card's flow table, where it stands at the moment: the card moves entries to make room.
    pub index: u32,
    /// Index of the entry of the other direction.
    pub partner: Option<u32>,
    /// Number of the pair, which stays.
    pub pair: u32,
    /// IP protocol.
    pub protocol: u8,
    /// Source address.
    pub source: Ipv4Addr,
    /// Source port (ICMP echo: identifier).
    pub source_port: u16,
    /// Destination address.
    pub destination: Ipv4Addr,
    /// Destination port.
    pub destination_port: u16,
    /// VRF on arrival.
    pub vrf: u16,
    /// VRF after translation, where that differs or packets are translated.
    pub destination_vrf: Option<u16>,
    /// How often the statistics of this direction of the pair restarted, modulo 256.
    pub generation: u8,
    /// Next hop in the key: of the interface or label by which packets come.
    pub key_next_hop: u16,
    /// What happens to packets.
    pub action: Action,
    /// What is translated.
    pub nat: Vec<Translation>,
    /// Client and backend are one pod.
    pub hairpin: bool,
    /// Entry of the reply direction.
    pub reverse: bool,
    /// What was seen of the TCP connection, in `flow`'s order; none for other protocols.
    pub tcp: Option<Vec<TcpSeen>>,
    /// Member of the group.
    pub ecmp: Option<Pin>,
    /// Next hop from which packets are expected.
    pub rpf_next_hop: u16,
    /// Packets, modulo 2^32.
    pub packets: u64,
    /// Frame bytes, modulo 2^40.
    pub bytes: u64,
    /// Entropy port of the tunnel.
    pub udp_source_port: u16,
    /// Outer source address, or the number of the interface as the first octet.
    pub source_info: Ipv4Addr,
    /// Mapping.
    pub mapping: Option<Mapping>,
    /// Card time of the last packet, in 2^16 core cycles; 0 = none came.
    pub last_hit: u32,
}

/// The flow table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlowTable {
    /// Bytes of the table.
    pub size_bytes: u64,
    /// Entries it can hold.
    pub entries: u32,
    /// Entries made since the card was cleared.
    pub created: u64,
    /// Entries removed since.
    pub deleted: u64,
    /// Entries rewritten because their member or mapping was gone.
    pub changed: u64,
    /// Entries in use.
    pub used: u64,
    /// New flows that found no room in the table: dropped if they needed translation, else forwarded without an entry.
    pub overflows: u64,
    /// The filter in `flow`'s words, if one was given.
    pub matching: Option<String>,
    /// Entries that match, by index.
    pub flows: Vec<FlowEntry>,
}

/// How full the flow table is, and what did not get into it since the card was cleared.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlowFill {
    /// Entries in use; a connection takes two.
    pub in_use: u64,
    /// Entries made since the card was cleared.
    #[serde(default)]
    pub created: u64,
    /// Entries it can hold.
    pub capacity: u32,
    /// Entries in use above which a new flow that needs translation is dropped.
    pub translated_max: u32,
    /// The pressure on the table, 0 to 3: from 1 on, connections that nobody would miss give way. Not of a card on which none do.
    #[serde(default)]
    pub pressure: Option<u8>,
    /// Connections that gave way so far.
    #[serde(default)]
    pub evicted: u64,
    /// New flows that were dropped, by reason; reasons that did not occur are left out.
    pub refused: Vec<NamedCount>,
    /// Pairs that were not inserted while their packets went on, by reason; likewise.
    pub not_learned: Vec<NamedCount>,
}

/// How full the flow table is, from the tables [`FILL_TABLES`]. `above`: entries in use above which there is pressure 1, 2 and 3.
#[must_use]
pub fn fill(state: &CardState, above: Option<[u32; PRESSURE_MAX as usize]>) -> FlowFill {
    let in_use = state.card_counter(CardCounter::FlowsInUse);
    let pressure = |above| {
        let in_use = u32::try_from(in_use).unwrap_or(u32::MAX);
        Evictions { above, ..Evictions::default() }.pressure(in_use)
    };
    let refused = REFUSALS.iter().map(|reason| NamedCount::drop(state, *reason));
    let not_learned = PASSED.iter().map(|counter| NamedCount::event(state, *counter));
    let shape = state.tables.shape();
    FlowFill {
        in_use,
        created: entries_created(state),
        capacity: shape.capacity(TableId::Flow),
        translated_max: shape.flows_translated_max,
        pressure: above.map(pressure),
        evicted: state.card_counter(CardCounter::FlowsEvicted),
        refused: refused.filter(|named| named.count > 0).collect(),
        not_learned: not_learned.filter(|named| named.count > 0).collect(),
    }
}

/// Two by connection.
fn entries_created(state: &CardState) -> u64 {
    2 * state.card_counter(CardCounter::FlowsLearned)
}

/// The entries that match; without a filter all of them.
#[must_use]
pub fn view(state: &CardState, filter: Option<&FlowFilter>) -> FlowTable {
    let created = entries_created(state);
    let used = state.card_counter(CardCounter::FlowsInUse);
    let places = Places::of(state);
    let flows = state
        .tables
        .of::<Flow>()
        .iter()
        .filter(|(index, flow)| places.own(flow) == Some(*index))
        .filter(|(_, flow)| filter.is_none_or(|filter| filter.matches(flow)))
        .map(|(index, flow)| entry(state, &places, index, flow))
        .collect();
    let entries = state.tables.shape().capacity(TableId::Flow);
    FlowTable {
        size_bytes: u64::from(entries) * (ENTRY_WORDS as u64) * 4,
        entries,
        created,
        deleted: created.saturating_sub(used),
        changed: state.card_counter(CardCounter::FlowsRepinned),
        used,
        overflows: state.card_counter(CardCounter::FlowTableFull)
            + state.drop_counter(DropReason::FlowTableFull),
        matching: filter.map(ToString::to_string),
        flows,
    }
}

/// One entry, if it is in use.
#[must_use]
pub fn get(state: &CardState, index: u32) -> Option<FlowEntry> {
    let flow = state.tables.get::<Flow>(index).filter(|flow| flow.valid)?;
    Some(entry(state, &Places::of(state), index, flow))
}

/// Where the entry of each direction of a pair stands. The card moves keys: an entry that was read at two indices stands at
/// the higher, which was read later.
struct Places(HashMap<(u32, bool), u32>);

impl Places {
    fn of(state: &CardState) -> Self {
        let flows = state.tables.of::<Flow>();
        let valid = flows.iter().filter(|(_, flow)| flow.valid);
        Self(valid.map(|(index, flow)| ((flow.pair, flow.reverse), index)).collect())
    }

    fn own(&self, flow: &Flow) -> Option<u32> {
        self.0.get(&(flow.pair, flow.reverse)).copied().filter(|_| flow.valid)
    }

    fn partner(&self, flow: &Flow) -> Option<u32> {
        self.0.get(&(flow.pair, !flow.reverse)).copied()
    }
}

fn entry(state: &CardState, places: &Places, index: u32, flow: &Flow) -> FlowEntry {
    let stats = state.tables.of::<FlowStats>().at(index);
    let partner = places.partner(flow);
    let partner_stats =
        partner.and_then(|p| state.tables.get::<FlowStats>(p)).copied().unwrap_or_default();
    let nat: Vec<Translation> = [
        (flow.snat, Translation::Source),
        (flow.spat, Translation::SourcePort),
        (flow.dnat, Translation::Destination),
        (flow.dpat, Translation::DestinationPort),
    ]
    .into_iter()
    .filter_map(|(on, what)| on.then_some(what))
    .collect();
    let translated = !nat.is_empty();
    FlowEntry {
        index,
        partner,
        pair: flow.pair,
        protocol: flow.proto,
        source: text::ip(flow.sip),
        source_port: flow.sport,
        destination: text::ip(flow.dip),
        destination_port: flow.dport,
        vrf: flow.vrf,
        destination_vrf: (translated || flow.dvrf != flow.vrf).then_some(flow.dvrf),
        generation: flow.generation,
        key_next_hop: flow.nh,
        action: if translated { Action::Nat } else { Action::Forward },
        nat,
        hairpin: flow.hairpin,
        reverse: flow.reverse,
        tcp: (flow.proto == TCP).then(|| tcp_seen(stats, partner_stats)),
        ecmp: flow
            .ecmp_valid
            .then_some(Pin { index: flow.ecmp_slot, generation: flow.ecmp_generation }),
        rpf_next_hop: flow.rpf_nh,
        packets: stats.packets,
        bytes: stats.bytes,
        udp_source_port: entropy_port(public_hash(&flow.key())),
        source_info: source_info(flow.src_info),
        mapping: flow.map_valid.then(|| mapping(state, flow)),
        last_hit: stats.last_hit,
    }
}

/// From the flags seen in this direction and in the other. A reset ends both, until somebody goes on all the same.
fn tcp_seen(own: FlowStats, partner: FlowStats) -> Vec<TcpSeen> {
    let mut seen = tcp_flags(own.tcp, partner.tcp);
    match State::of(TCP, own, partner) {
        State::HalfClosed => seen.push(TcpSeen::HalfClose),
        State::Closed => seen.push(TcpSeen::Dead),
        _ => {}
    }
    seen
}

/// What the flags alone say.
pub(crate) fn tcp_flags(own: u8, partner: u8) -> Vec<TcpSeen> {
    let all = [
        (own & TCP_SYN, TcpSeen::Syn),
        (partner & TCP_SYN, TcpSeen::SynReverse),
        (own & TCP_ESTABLISHED, TcpSeen::Established),
        (partner & TCP_ESTABLISHED, TcpSeen::EstablishedReverse),
        (own & TCP_FIN, TcpSeen::Fin),
        (partner & TCP_FIN, TcpSeen::FinReverse),
        ((own | partner) & TCP_RST, TcpSeen::Reset),
    ];
    all.into_iter().filter_map(|(flag, seen)| (flag != 0).then_some(seen)).collect()
}

/// vRouter prints the word in memory order: interface N as `N.0.0.0`, an outer address dotted.
fn source_info(word: u32) -> Ipv4Addr {
    match u8::try_from(word) {
        Ok(vif) => Ipv4Addr::new(vif, 0, 0, 0),
        Err(_) => Ipv4Addr::from(word),
    }
}

fn mapping(state: &CardState, flow: &Flow) -> Mapping {
    let entry = state.tables.get::<FipMap>(flow.map.into()).filter(|m| m.valid);
    Mapping {
        map: flow.map,
        generation: flow.map_generation,
        current: entry.is_some_and(|m| m.generation == flow.map_generation),
        floating: entry.map(|m| (text::ip(m.vip), m.vip_port)),
        fixed: entry.map(|m| (text::ip(m.pod_ip), m.pod_port)),
    }
}

#[cfg(test)]
mod tests {
    use penstock_abi::table::Counter;
    use penstock_tables::Entry;

    use super::*;

    fn counters() -> CardState {
        let mut state = CardState::default();
        state
            .tables
            .set(CardCounter::FlowsInUse as u32, Entry::CardStats(Counter { count: 49_200 }));
        state.tables.set(CardCounter::FlowTableFull as u32, Entry::CardStats(Counter { count: 3 }));
        state.tables.set(DropReason::FlowTableFull as u32, Entry::DropStats(Counter { count: 4 }));
        state.tables.set(DropReason::FlowClash as u32, Entry::DropStats(Counter { count: 5 }));
        state.tables.set(DropReason::Discard as u32, Entry::DropStats(Counter { count: 6 }));
        state
    }

    #[test]
    fn overflow_is_one_number() {
        let table = view(&counters(), None);
        assert_eq!(table.overflows, 7);
        let text = table.to_string();
        assert!(
            text.contains("Used Overflow entries 7\n") && text.contains("(oflows 7)"),
            "{text}"
        );
    }

    #[test]
    fn pressure_is_the_highest_mark_below_what_is_in_use() {
        let pressure = |above| fill(&counters(), Some(above)).pressure;
        assert_eq!(pressure([49_199, 49_200, 49_201]), Some(1));
        assert_eq!(pressure([49_200, 60_000, 61_000]), Some(0));
    }

    #[test]
    fn what_did_not_get_in_is_told_by_reason() {
        let fill = fill(&counters(), None);
        assert_eq!((fill.pressure, fill.evicted), (None, 0));
        assert_eq!((fill.in_use, fill.capacity, fill.translated_max), (49_200, 262_144, 237_568));
        let reasons = |all: &[NamedCount]| -> Vec<(String, u64)> {
            all.iter().map(|named| (named.reason.clone(), named.count)).collect()
        };
        assert_eq!(
            reasons(&fill.refused),
            [("FlowTableFull".to_owned(), 4), ("FlowClash".to_owned(), 5)]
        );
        assert_eq!(reasons(&fill.not_learned), [("FlowTableFull".to_owned(), 3)]);
        let labels: Vec<&str> = fill.refused.iter().map(|named| named.label.as_str()).collect();
        assert_eq!(labels, ["Flow Table Full", "Flow NAT no rflow"]);
    }
}
