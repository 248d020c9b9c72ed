//! Pairs that nobody uses (section 9.4): their state, and when they are old.

use penstock_abi::age::State;
use penstock_abi::table::{Flow, FlowStats};

use crate::fault::Fault;
use crate::flows::{FlowTable, key_of};

impl FlowTable {
    /// The pair of a forward entry is old.
    fn is_old(&self, flow: &Flow, fault: Option<Fault>) -> bool {
        let old = |sides| self.is_old_by(flow, sides, fault);
        old(self.both(flow)) && (old(self.first_seen(flow)) || fault == Some(Fault::SeesAll))
    }

    fn is_old_by(&self, flow: &Flow, sides: (FlowStats, FlowStats), fault: Option<Fault>) -> bool {
        let state = state_by(flow, sides, fault);
        let by_port = self
            .port_of(flow)
            .filter(|_| state.may_be_by_port() || fault == Some(Fault::PortsInEveryState));
        let ages = self.ages();
        let time = by_port.map_or(ages.states[state as usize], |n| ages.by_port[usize::from(n)]);
        let (own, other) = sides;
        let latest = match fault {
            Some(Fault::OneDirectionIsIdle) => own.last_hit,
            _ => own.last_hit.max(other.last_hit),
        };
        time != 0 && self.now().wrapping_sub(latest) > time
    }

    /// Statistics of an entry and of its partner.
    fn both(&self, flow: &Flow) -> (FlowStats, FlowStats) {
        let of = |f: &Flow| self.stats(&key_of(f)).unwrap_or_default();
        (of(flow), self.partner(flow).map(of).unwrap_or_default())
    }

    /// As the search sees them that does not know the entries' generations.
    fn first_seen(&self, flow: &Flow) -> (FlowStats, FlowStats) {
        let (of, own) = self.counted_last(flow.pair, false);
        let (by, other) = self.counted_last(flow.pair, true);
        (own, if by == of { other } else { FlowStats::default() })
    }

    /// Deletes all pairs that are old, and says how many.
    pub(crate) fn age(&mut self, fault: Option<Fault>) -> u64 {
        let old = self.iter().map(|(_, f)| *f).filter(|f| !f.reverse);
        let old: Vec<Flow> = old.filter(|f| self.is_old(f, fault)).collect();
        for flow in &old {
            self.delete_key(&key_of(flow));
        }
        old.len() as u64
    }
}

fn state_by(
    flow: &Flow,
    (mut own, mut other): (FlowStats, FlowStats),
    fault: Option<Fault>,
) -> State {
    if fault == Some(Fault::EstablishedAlone) {
        (own.last_hit, other.last_hit) = (1, 1);
    }
    match State::of(flow.proto, own, other) {
        State::HalfClosed if fault == Some(Fault::HalfClosedStays) => State::Established,
        state => state,
    }
}
