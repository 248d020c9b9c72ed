//! Pairs that nobody uses (section 9.4): their state, and when they are old.

use penstock_abi::age::State;
use penstock_abi::table::{Flow, FlowStats, TCP_ESTABLISHED, TCP_FIN, TCP_SYN};

use crate::fault::Fault;
use crate::flows::{FlowTable, key_of};
use crate::wire::{ICMP, TCP, UDP};

impl FlowTable {
    /// The state of the pair that an entry is of.
    #[must_use]
    pub fn state(&self, flow: &Flow) -> State {
        self.state_with(flow, None)
    }

    fn state_with(&self, flow: &Flow, fault: Option<Fault>) -> State {
        let (own, other) = self.both(flow);
        let both_ways = own.last_hit != 0 && other.last_hit != 0;
        let either = own.tcp | other.tcp;
        let established = both_ways || fault == Some(Fault::EstablishedAlone);
        match flow.proto {
            TCP if self.is_over(flow) => State::Closed,
            TCP if !established || either & (TCP_SYN | TCP_ESTABLISHED) == TCP_SYN => {
                State::Opening
            }
            TCP if either & TCP_FIN != 0 && fault != Some(Fault::HalfClosedStays) => {
                State::HalfClosed
            }
            TCP => State::Established,
            UDP if both_ways => State::UdpBothWays,
            UDP => State::UdpOneWay,
            ICMP => State::Icmp,
            _ => State::Other,
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
            .port_of(flow)
            .filter(|_| state.may_be_by_port() || fault == Some(Fault::PortsInEveryState));
        let ages = self.ages();
        let time = by_port.map_or(ages.states[state as usize], |n| ages.by_port[usize::from(n)]);
        let (own, other) = self.both(flow);
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

    /// Deletes all pairs that are old, and says how many.
    pub(crate) fn age(&mut self, fault: Option<Fault>) -> u64 {
        let old = self.iter().map(|(_, f)| *f).filter(|f| !f.reverse);
        let old: Vec<Flow> = old.filter(|f| self.is_old_with(f, fault)).collect();
        for flow in &old {
            self.delete_key(&key_of(flow));
        }
        old.len() as u64
    }
}
