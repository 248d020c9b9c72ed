//! A group of which all members departed, as the planner writes it: old connections stay, new ones are refused.

mod world;

use penstock_abi::reason::TrapReason;
use penstock_abi::table::{EcmpSlot, NextHop, NextHopKind, TableEntry as _, TableId};
use penstock_refmodel::packet::{self, frame};
use penstock_refmodel::wire::{ACK, SYN};
use penstock_refmodel::{Egress, Ingress};
use world::*;

#[test]
fn old_connections_stay_and_new_ones_are_refused() {
    let mut a = node_a_with_group(&[Some(false)]);
    let tcp = |port, flags| frame(&packet::tcp(CLIENT, VIP, port, 8888, flags, b""));
    let pod = Ingress::Host(3);
    sent(a.process(pod, &tcp(40000, SYN)), Egress::Fabric);
    // The only member drains; the compact list has a word that leads to nobody, under a generation that no slot has.
    let reject: u16 = 31;
    let word = NextHop { valid: true, kind: NextHopKind::Reject, ..NextHop::default() };
    a.write(TableId::NextHop, reject.into(), &word.pack());
    write_group(&mut a, 500, &[(Some(true), 0)]);
    let refuses = EcmpSlot { valid: true, nh: reject, ..EcmpSlot::default() };
    a.write(TableId::Ecmp, 501, &refuses.pack());
    let group = NextHop {
        valid: true,
        kind: NextHopKind::Composite,
        base: 500,
        slots: 1,
        live: 1,
        hash_fields: 0x1f,
        ..NextHop::default()
    };
    a.write(TableId::NextHop, NH_GROUP.into(), &group.pack());
    let refused = Egress::Firmware { reason: TrapReason::Reject as u8, vif: 3 };
    for port in 40001..40010 {
        sent(a.process(pod, &tcp(port, SYN)), refused);
    }
    sent(a.process(pod, &tcp(40000, ACK)), Egress::Fabric);
}
