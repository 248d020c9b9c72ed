//! When pairs that nobody uses go (section 9.4).

use penstock_abi::age::{Ages, Port};
use penstock_abi::reason::CardCounter;
use penstock_abi::table::{EcmpSlot, TableEntry as _, TableId};
use penstock_refmodel::packet::{Ipv4, icmp, tcp, udp};
use penstock_refmodel::wire::{ACK, FIN, RST, SYN};
use penstock_refmodel::{Egress, Ended, Fault, RefModel};

use crate::lab::*;
use crate::services::two_ports;
use crate::world::*;

stories![
    a_connection_that_opens_does_not_stay_long,
    an_established_one_stays,
    one_direction_alone_establishes_nothing,
    a_connection_picked_up_in_the_middle_is_established,
    either_direction_keeps_both,
    fins_end_it_by_degrees,
    a_reset_that_nobody_believes_ends_nothing,
    an_answer_makes_udp_stay,
    a_port_has_its_own_time,
    other_protocols_have_theirs,
    a_pair_pinned_anew_may_stay_as_if_it_was_answered,
    without_times_nothing_ends,
];

/// A time for each state that none of the others has.
const AGES: Ages =
    Ages { states: [10, 100, 200, 4000, 30, 300, 60, 500], ports: [None; 8], by_port: [0; 8] };

fn ageing(fault: Option<Fault>) -> RefModel {
    let mut m = lab(fault);
    m.flows_mut().set_ages(AGES);
    m
}

fn there(m: &mut RefModel, flags: u8) {
    sent(from_vif(m, POD_VIF, &tcp(POD, OTHER, 40000, 80, flags, b"")), Egress::Host(OTHER_VIF));
}

fn back(m: &mut RefModel, flags: u8) {
    sent(from_vif(m, OTHER_VIF, &tcp(OTHER, POD, 80, 40000, flags, b"")), Egress::Host(POD_VIF));
}

fn open(m: &mut RefModel) {
    there(m, SYN);
    back(m, SYN | ACK);
    there(m, ACK);
}

/// The one pair stays for so long, and no longer.
fn stays(m: &mut RefModel, units: u32) {
    assert_eq!(m.flows().len(), 2);
    m.pass(units);
    assert_eq!(m.flows().len(), 2, "after {units}");
    assert_eq!(m.pass(1).aged, 1, "after more than {units}");
    assert_eq!(m.flows().len(), 0);
    assert_eq!(m.counters().card(CardCounter::FlowsInUse), 0);
}

fn a_connection_that_opens_does_not_stay_long(fault: Option<Fault>) {
    let mut m = ageing(fault);
    there(&mut m, SYN);
    stays(&mut m, 100);
    there(&mut m, SYN);
    back(&mut m, SYN | ACK);
    stays(&mut m, 100);
    assert_eq!(m.counters().card(CardCounter::FlowsAged), 2);
}

fn an_established_one_stays(fault: Option<Fault>) {
    let mut m = ageing(fault);
    open(&mut m);
    stays(&mut m, 4000);
}

fn one_direction_alone_establishes_nothing(fault: Option<Fault>) {
    let mut m = ageing(fault);
    there(&mut m, SYN);
    there(&mut m, ACK);
    stays(&mut m, 100);
    there(&mut m, ACK);
    stays(&mut m, 100);
}

fn a_connection_picked_up_in_the_middle_is_established(fault: Option<Fault>) {
    let mut m = ageing(fault);
    there(&mut m, ACK);
    back(&mut m, ACK);
    stays(&mut m, 4000);
}

fn either_direction_keeps_both(fault: Option<Fault>) {
    let mut m = ageing(fault);
    open(&mut m);
    m.pass(3000);
    back(&mut m, ACK);
    m.pass(3000);
    there(&mut m, ACK);
    stays(&mut m, 4000);
}

fn fins_end_it_by_degrees(fault: Option<Fault>) {
    let mut m = ageing(fault);
    open(&mut m);
    there(&mut m, FIN | ACK);
    m.pass(150);
    back(&mut m, ACK);
    stays(&mut m, 200);
    open(&mut m);
    there(&mut m, FIN | ACK);
    back(&mut m, FIN | ACK);
    m.pass(9);
    there(&mut m, ACK);
    stays(&mut m, 10);
}

fn a_reset_that_nobody_believes_ends_nothing(fault: Option<Fault>) {
    let mut m = ageing(fault);
    open(&mut m);
    there(&mut m, RST);
    m.pass(10);
    there(&mut m, ACK);
    stays(&mut m, 4000);
    open(&mut m);
    back(&mut m, RST | ACK);
    stays(&mut m, 10);
}

fn datagram(m: &mut RefModel, dport: u16) {
    sent(from_vif(m, POD_VIF, &udp(POD, OTHER, 5000, dport, b"")), Egress::Host(OTHER_VIF));
}

fn answer(m: &mut RefModel, sport: u16) {
    sent(from_vif(m, OTHER_VIF, &udp(OTHER, POD, sport, 5000, b"")), Egress::Host(POD_VIF));
}

fn an_answer_makes_udp_stay(fault: Option<Fault>) {
    let mut m = ageing(fault);
    datagram(&mut m, 7);
    stays(&mut m, 30);
    datagram(&mut m, 7);
    m.pass(30);
    answer(&mut m, 7);
    stays(&mut m, 300);
}

fn a_port_has_its_own_time(fault: Option<Fault>) {
    let mut m = ageing(fault);
    let mut ages = AGES;
    ages.ports[0] = Some(Port { proto: 6, port: 80 });
    ages.ports[3] = Some(Port { proto: 17, port: 53 });
    ages.ports[4] = Some(Port { proto: 17, port: 53 });
    (ages.by_port[0], ages.by_port[3], ages.by_port[4]) = (900, 5, 7);
    m.flows_mut().set_ages(ages);
    datagram(&mut m, 53);
    stays(&mut m, 5);
    datagram(&mut m, 53);
    answer(&mut m, 53);
    stays(&mut m, 5);
    // The source's is not asked for.
    answer(&mut m, 53);
    datagram(&mut m, 53);
    stays(&mut m, 300);
    // What opens or ends has no business of a port.
    there(&mut m, SYN);
    stays(&mut m, 100);
    open(&mut m);
    stays(&mut m, 900);
}

fn other_protocols_have_theirs(fault: Option<Fault>) {
    let mut m = ageing(fault);
    sent(from_vif(&mut m, POD_VIF, &icmp(POD, OTHER, 8, 0, 7, b"")), Egress::Host(OTHER_VIF));
    stays(&mut m, 60);
    let chunk = Ipv4 { proto: 132, ..udp(POD, OTHER, 5000, 7, &[0; 16]) };
    sent(from_vif(&mut m, POD_VIF, &chunk), Egress::Host(OTHER_VIF));
    stays(&mut m, 500);
}

fn a_pair_pinned_anew_may_stay_as_if_it_was_answered(fault: Option<Fault>) {
    let mut m = two_ports(fault);
    m.flows_mut().set_ages(AGES);
    let asks = |m: &mut RefModel| {
        left(from_vif(m, POD_VIF, &udp(POD, SERVICE, 1000, 9100, b"")), HOST_OTHER);
    };
    asks(&mut m);
    sent(from_vif(&mut m, OTHER_VIF, &udp(OTHER, POD, 9101, 1000, b"")), Egress::Host(POD_VIF));
    // The only member is another, and has not answered yet.
    for at in [620, 621] {
        let word = EcmpSlot {
            valid: true,
            nh: NH_LOCAL,
            label: 2,
            generation: 2,
            local: true,
            ..EcmpSlot::default()
        };
        m.write(TableId::Ecmp, at, &word.pack());
    }
    asks(&mut m);
    assert_eq!(m.counters().card(CardCounter::FlowsRepinned), 1);
    stays(&mut m, 300);
}

fn without_times_nothing_ends(fault: Option<Fault>) {
    let mut m = lab(fault);
    there(&mut m, SYN);
    assert_eq!(m.pass(1 << 30), Ended::default());
    assert_eq!(m.flows().len(), 2);
}
