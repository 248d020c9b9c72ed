//! Pairs that nobody uses (sections 9.4 and 9.5): their state, when they are old, and when they give way.

use penstock_abi::age::State;
use penstock_abi::evict::PRESSURE_MAX;
use penstock_abi::ring::FlowEnd;
use penstock_abi::table::{Flow, FlowStats};

use crate::fault::Fault;
use crate::flows::{FlowTable, key_of};

/// Pairs that the card deleted by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ended {
    /// They were old.
    pub aged: u64,
    /// They gave way.
    pub evicted: u64,
}

/// Why a pair goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Old,
    GivesWay,
}

/// A pair's forward entry, and the statistics of both.
struct Seen<'a> {
    flow: &'a Flow,
    own: FlowStats,
    other: FlowStats,
}

impl Seen<'_> {
    fn state(&self, fault: Option<Fault>) -> State {
        let (mut own, mut other) = (self.own, self.other);
        if fault == Some(Fault::EstablishedAlone) {
            (own.last_hit, other.last_hit) = (1, 1);
        }
        match State::of(self.flow.proto, own, other) {
            State::HalfClosed if fault == Some(Fault::HalfClosedStays) => State::Established,
            state => state,
        }
    }

    fn last_hit(&self, fault: Option<Fault>) -> u32 {
        match fault {
            Some(Fault::OneDirectionIsIdle) => self.own.last_hit,
            _ => self.own.last_hit.max(self.other.last_hit),
        }
    }
}

impl FlowTable {
    /// The state of the pair that an entry is of.
    #[must_use]
    pub fn state(&self, flow: &Flow) -> State {
        self.both(flow).state(None)
    }

    /// Whether the pair of a forward entry goes, and why.
    fn to_end(&self, flow: &Flow, fault: Option<Fault>) -> Option<End> {
        if fault != Some(Fault::SeesAll) {
            self.end_by(&self.first_seen(flow), fault)?;
        }
        self.end_by(&self.both(flow), fault)
    }

    fn end_by(&self, seen: &Seen<'_>, fault: Option<Fault>) -> Option<End> {
        let state = seen.state(fault);
        let rested = self.now().wrapping_sub(seen.last_hit(fault));
        if self.is_old(seen, state, rested, fault) {
            Some(End::Old)
        } else if self.gives_way(seen, state, rested, fault) {
            Some(End::GivesWay)
        } else {
            None
        }
    }

    fn is_old(&self, seen: &Seen<'_>, state: State, rested: u32, fault: Option<Fault>) -> bool {
        let by_port = self
            .noted(seen.flow)
            .port
            .filter(|_| state.may_be_by_port() || fault == Some(Fault::PortsInEveryState));
        let ages = self.ages();
        let time = by_port.map_or(ages.states[state as usize], |n| ages.by_port[usize::from(n)]);
        time != 0 && rested > time
    }

    fn gives_way(&self, seen: &Seen<'_>, state: State, rested: u32, fault: Option<Fault>) -> bool {
        let plain = match fault {
            Some(Fault::PlainPairsStay) => false,
            Some(Fault::AllPairsArePlain) => true,
            _ => self.noted(seen.flow).plain,
        };
        let pressure = match fault {
            Some(Fault::PressureIsHighest) if self.pressure() != 0 => PRESSURE_MAX,
            _ => self.pressure(),
        };
        self.evictions().gives_way(state, plain, pressure, rested)
    }

    /// Statistics of an entry and of its partner.
    fn both<'a>(&self, flow: &'a Flow) -> Seen<'a> {
        let of = |f: &Flow| self.stats(&key_of(f)).unwrap_or_default();
        Seen { flow, own: of(flow), other: self.partner(flow).map(of).unwrap_or_default() }
    }

    /// As the search sees them that does not know the entries' generations.
    fn first_seen<'a>(&self, flow: &'a Flow) -> Seen<'a> {
        let (of, own) = self.counted_last(flow.pair, false);
        let (by, other) = self.counted_last(flow.pair, true);
        Seen { flow, own, other: if by == of { other } else { FlowStats::default() } }
    }

    /// Deletes all pairs that are old or give way.
    pub(crate) fn age(&mut self, fault: Option<Fault>) -> Ended {
        let pairs: Vec<Flow> = self.iter().map(|(_, f)| *f).filter(|f| !f.reverse).collect();
        let mut ended = Ended::default();
        for flow in &pairs {
            let why = match self.to_end(flow, fault) {
                Some(End::Old) => {
                    ended.aged += 1;
                    FlowEnd::Aged
                }
                Some(End::GivesWay) => {
                    ended.evicted += 1;
                    FlowEnd::Evicted
                }
                None => continue,
            };
            let why = if fault == Some(Fault::EvictedIsAged) { FlowEnd::Aged } else { why };
            self.end_key(&key_of(flow), why, fault);
        }
        ended
    }
}
