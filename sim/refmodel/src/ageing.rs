//! Pairs that nobody uses (sections 9.4 and 9.5): their state, when they are old, and when they give way.

use penstock_abi::age::State;
use penstock_abi::evict::PRESSURE_MAX;
use penstock_abi::table::{Flow, FlowStats};

use crate::fault::Fault;
use crate::flows::{FlowTable, key_of};

impl FlowTable {
    /// The state of the pair that an entry is of.
    #[must_use]
    pub fn state(&self, flow: &Flow) -> State {
        self.state_with(flow, None)
    }

    fn state_with(&self, flow: &Flow, fault: Option<Fault>) -> State {
        let (mut own, mut other) = self.both(flow);
        if fault == Some(Fault::EstablishedAlone) {
            (own.last_hit, other.last_hit) = (1, 1);
        }
        match State::of(flow.proto, own, other) {
            State::HalfClosed if fault == Some(Fault::HalfClosedStays) => State::Established,
            state => state,
        }
    }

    /// The pair of an entry is old.
    #[must_use]
    pub fn is_old(&self, flow: &Flow) -> bool {
        self.is_old_with(flow, None)
    }

    fn is_old_with(&self, flow: &Flow, fault: Option<Fault>) -> bool {
        let state = self.state_with(flow, fault);
        let by_port = self
            .noted(flow)
            .port
            .filter(|_| state.may_be_by_port() || fault == Some(Fault::PortsInEveryState));
        let ages = self.ages();
        let time = by_port.map_or(ages.states[state as usize], |n| ages.by_port[usize::from(n)]);
        time != 0 && self.rested(flow, fault) > time
    }

    /// The pair of an entry gives way, under the pressure that there is.
    #[must_use]
    pub fn gives_way(&self, flow: &Flow) -> bool {
        self.gives_way_with(flow, None)
    }

    fn gives_way_with(&self, flow: &Flow, fault: Option<Fault>) -> bool {
        let state = self.state_with(flow, fault);
        let plain = match fault {
            Some(Fault::PlainPairsStay) => false,
            Some(Fault::AllPairsArePlain) => true,
            _ => self.noted(flow).plain,
        };
        let pressure = match fault {
            Some(Fault::PressureIsHighest) if self.pressure() != 0 => PRESSURE_MAX,
            _ => self.pressure(),
        };
        self.evictions().gives_way(state, plain, pressure, self.rested(flow, fault))
    }

    /// For how long no packet was on the pair.
    fn rested(&self, flow: &Flow, fault: Option<Fault>) -> u32 {
        let (own, other) = self.both(flow);
        let latest = match fault {
            Some(Fault::OneDirectionIsIdle) => own.last_hit,
            _ => own.last_hit.max(other.last_hit),
        };
        self.now().wrapping_sub(latest)
    }

    /// Statistics of an entry and of its partner.
    fn both(&self, flow: &Flow) -> (FlowStats, FlowStats) {
        let of = |f: &Flow| self.stats(&key_of(f)).unwrap_or_default();
        (of(flow), self.partner(flow).map(of).unwrap_or_default())
    }

    /// Deletes all pairs that are old or give way.
    pub(crate) fn age(&mut self, fault: Option<Fault>) -> Ended {
        let pairs: Vec<Flow> = self.iter().map(|(_, f)| *f).filter(|f| !f.reverse).collect();
        let mut ended = Ended::default();
        for flow in &pairs {
            if self.is_old_with(flow, fault) {
                ended.aged += 1;
            } else if self.gives_way_with(flow, fault) {
                ended.evicted += 1;
            } else {
                continue;
            }
            self.delete_key(&key_of(flow));
        }
        ended
    }
}

/// Pairs that the card deleted by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ended {
    /// They were old.
    pub aged: u64,
    /// They gave way.
    pub evicted: u64,
}
