//! What gives way in a table that fills (section 9.5).

use penstock_abi::age::State;
use penstock_abi::evict::{Evictions, Keep};
use penstock_abi::reason::CardCounter;
use penstock_refmodel::packet::{tcp, udp};
use penstock_refmodel::wire::{ACK, SYN};
use penstock_refmodel::{Egress, Ended, Fault, RefModel};

use crate::lab::*;
use crate::services::two_ports;
use crate::world::*;

stories![
    what_has_rested_gives_way_from_its_pressure_on,
    what_was_used_within_its_guarantee_stays,
    what_yields_goes_at_the_highest_pressure,
    plain_pairs_go_before_services,
    under_pressure_plain_pairs_are_not_made,
    as_many_go_as_must,
];

/// At the highest pressure only.
const LAST: Keep = Keep { level: 3, yields: false, time: 60 };

/// There is this pressure if there is any entry.
fn above(pressure: usize) -> [u32; 3] {
    std::array::from_fn(|n| u32::from(n < pressure))
}

/// Sets when pairs of one state give way; those of others stay.
fn press(m: &mut RefModel, pressure: usize, state: State, keep: Keep) {
    let mut evictions = Evictions { above: above(pressure), ..Evictions::default() };
    evictions.states[state as usize] = keep;
    m.flows_mut().set_evictions(evictions);
}

fn open(m: &mut RefModel) {
    let there = |flags| tcp(POD, OTHER, 40000, 80, flags, b"");
    sent(from_vif(m, POD_VIF, &there(SYN)), Egress::Host(OTHER_VIF));
    let back = tcp(OTHER, POD, 80, 40000, SYN | ACK, b"");
    sent(from_vif(m, OTHER_VIF, &back), Egress::Host(POD_VIF));
    sent(from_vif(m, POD_VIF, &there(ACK)), Egress::Host(OTHER_VIF));
}

fn datagram(m: &mut RefModel) {
    sent(from_vif(m, POD_VIF, &udp(POD, OTHER, 5000, 7, b"")), Egress::Host(OTHER_VIF));
}

const NONE: Ended = Ended { aged: 0, evicted: 0 };
const ONE: Ended = Ended { aged: 0, evicted: 1 };

fn what_has_rested_gives_way_from_its_pressure_on(fault: Option<Fault>) {
    let mut m = lab(fault);
    datagram(&mut m);
    let keep = Keep { level: 2, yields: false, time: 50 };
    press(&mut m, 1, State::UdpOneWay, keep);
    assert_eq!(m.pass(500), NONE);
    press(&mut m, 0, State::UdpOneWay, keep);
    datagram(&mut m);
    press(&mut m, 2, State::UdpOneWay, keep);
    assert_eq!((m.pass(49), m.pass(1)), (NONE, ONE));
    assert_eq!(m.flows().len(), 0);
    assert_eq!(m.counters().card(CardCounter::FlowsEvicted), 1);
    assert_eq!(m.counters().card(CardCounter::FlowsAged), 0);
}

fn what_was_used_within_its_guarantee_stays(fault: Option<Fault>) {
    let mut m = lab(fault);
    open(&mut m);
    press(&mut m, 3, State::Established, LAST);
    assert_eq!(m.pass(59), NONE);
    let back = tcp(OTHER, POD, 80, 40000, ACK, b"");
    sent(from_vif(&mut m, OTHER_VIF, &back), Egress::Host(POD_VIF));
    assert_eq!((m.pass(59), m.pass(1)), (NONE, ONE));
}

fn what_yields_goes_at_the_highest_pressure(fault: Option<Fault>) {
    let mut m = lab(fault);
    datagram(&mut m);
    let keep = Keep { level: 1, yields: true, time: 50 };
    for pressure in [1, 2] {
        press(&mut m, pressure, State::UdpOneWay, keep);
        assert_eq!(m.pass(10), NONE, "at pressure {pressure}");
    }
    press(&mut m, 3, State::UdpOneWay, keep);
    assert_eq!(m.pass(0), ONE);
}

fn plain_pairs_go_before_services(fault: Option<Fault>) {
    let mut m = two_ports(fault);
    let asks = |m: &mut RefModel| {
        left(from_vif(m, POD_VIF, &tcp(POD, SERVICE, 1000, 9100, SYN, b"")), HOST_OTHER);
    };
    asks(&mut m);
    datagram(&mut m);
    let plain = Keep { level: 1, yields: false, time: 10 };
    m.flows_mut().set_evictions(Evictions { above: above(1), plain, ..Evictions::default() });
    assert_eq!((m.pass(9), m.pass(1)), (NONE, ONE));
    assert_eq!(m.pass(1000), NONE);
    assert_eq!(m.flows().len(), 2);
}

fn under_pressure_plain_pairs_are_not_made(fault: Option<Fault>) {
    let mut m = two_ports(fault);
    datagram(&mut m);
    m.flows_mut().set_evictions(Evictions { above: above(1), ..Evictions::default() });
    open(&mut m);
    assert_eq!(m.flows().len(), 2, "of what is forwarded as it is");
    left(from_vif(&mut m, POD_VIF, &tcp(POD, SERVICE, 1000, 9100, SYN, b"")), HOST_OTHER);
    assert_eq!(m.flows().len(), 4, "of a service");
}

/// When the pressure is gone nothing gives way.
fn as_many_go_as_must(fault: Option<Fault>) {
    let mut m = lab(fault);
    for port in 0..10 {
        let packet = udp(POD, OTHER, 5000 + port, 7, b"");
        sent(from_vif(&mut m, POD_VIF, &packet), Egress::Host(OTHER_VIF));
    }
    let mut evictions = Evictions { above: [12, 0, 0], ..Evictions::default() };
    evictions.states[State::UdpOneWay as usize] = Keep { level: 1, yields: false, time: 0 };
    m.flows_mut().set_evictions(evictions);
    assert_eq!(m.pass(1), Ended { aged: 0, evicted: 4 });
    assert_eq!(m.flows().len(), 12);
}
