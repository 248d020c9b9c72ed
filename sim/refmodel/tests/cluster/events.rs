//! What the host is told of the flow table (section 9.8).

use penstock_abi::age::Ages;
use penstock_abi::evict::{Evictions, Keep};
use penstock_abi::reason::DropReason;
use penstock_abi::ring::FlowEnd;
use penstock_abi::table::{
    EcmpSlot, FlowShare, LearnPolicy, SourceCheck, TCP_RST, TCP_SYN, TableEntry as _, TableId, Vif,
    Words,
};
use penstock_refmodel::events::{Told, What};
use penstock_refmodel::packet::{Ipv4, tcp, udp};
use penstock_refmodel::wire::{RST, SYN};
use penstock_refmodel::{Fault, RefModel};

use crate::lab::*;
use crate::services::two_ports;
use crate::world::*;

stories![
    a_pair_begins_and_ends,
    whoever_deletes_it_has_the_forward_key,
    what_takes_a_place_is_made_after_the_other_ended,
    a_pair_that_gets_another_member_stays,
    a_pair_that_moves_is_told,
    a_packet_that_gets_no_pair_is_told,
    a_policy_refuses_nothing,
    pressure_comes_and_goes,
    who_does_not_listen_hears_nothing,
];

fn listening(mut m: RefModel) -> RefModel {
    m.flows_mut().listen();
    m
}

/// What happened, and whether the pair is plain, its mapping, and its member.
fn told(m: &mut RefModel) -> Vec<(What, bool, Option<u16>, Option<u16>)> {
    let of = |t: Told| (t.what, t.plain, t.map, t.member);
    m.flows_mut().take_told().into_iter().map(of).collect()
}

fn call(flags: u8) -> Ipv4 {
    tcp(POD, SERVICE, 1000, 9100, flags, b"")
}

fn a_pair_begins_and_ends(fault: Option<Fault>) {
    let mut m = listening(lab(fault));
    m.flows_mut().set_ages(Ages { states: [50; 8], ..Ages::default() });
    let there = udp(POD, OTHER, 5000, 7, b"hello");
    sent(from_vif(&mut m, POD_VIF, &there), HOST_OTHER);
    sent(from_vif(&mut m, POD_VIF, &there), HOST_OTHER);
    sent(from_vif(&mut m, OTHER_VIF, &udp(OTHER, POD, 7, 5000, b"")), HOST_POD);
    let made = m.flows_mut().take_told();
    let [Told { what: What::Made, plain: true, map: None, member: None, key, .. }] = made[..]
    else {
        panic!("{made:?}")
    };
    assert_eq!((key.sip, key.sport, key.dip, key.dport), (POD, 5000, OTHER, 7));
    assert_eq!(made[0].counted.map(|s| s.packets), [0, 0]);
    m.pass(51);
    let ended = m.flows_mut().take_told();
    assert_eq!(ended[0].what, What::Ended(FlowEnd::Aged));
    assert_eq!((ended[0].pair, ended[0].key), (made[0].pair, key));
    assert_eq!(ended[0].counted.map(|s| (s.packets, s.bytes)), [(2, 94), (1, 42)]);
    sent(from_vif(&mut m, POD_VIF, &there), HOST_OTHER);
    let keep = Keep { level: 1, yields: false, time: 10 };
    m.flows_mut().set_evictions(Evictions {
        above: [1, 0, 0],
        states: [keep; 8],
        ..Evictions::default()
    });
    m.pass(20);
    assert_eq!(told(&mut m)[1].0, What::Ended(FlowEnd::Evicted));
}

fn whoever_deletes_it_has_the_forward_key(fault: Option<Fault>) {
    let mut m = listening(lab(fault));
    for reverse in [false, true] {
        sent(from_vif(&mut m, POD_VIF, &udp(POD, OTHER, 5000, 7, b"")), HOST_OTHER);
        let (index, _) = m.flows().iter().find(|(_, f)| f.reverse == reverse).expect("it is there");
        assert!(m.write(TableId::Flow, index, &Words::default()));
        let all = m.flows_mut().take_told();
        assert_eq!(all[1].what, What::Ended(FlowEnd::Deleted));
        assert_eq!((all[1].key.sip, all[1].key.sport), (POD, 5000), "by the reverse: {reverse}");
    }
}

fn what_takes_a_place_is_made_after_the_other_ended(fault: Option<Fault>) {
    let mut m = listening(two_ports(fault));
    left(from_vif(&mut m, POD_VIF, &call(SYN)), HOST_OTHER);
    left(from_vif(&mut m, POD_VIF, &call(RST)), HOST_OTHER);
    left(from_vif(&mut m, POD_VIF, &call(SYN)), HOST_OTHER);
    let all = m.flows_mut().take_told();
    let what = all.iter().map(|t| (t.what, t.plain, t.map, t.member)).collect::<Vec<_>>();
    let bound = |what| (what, false, Some(2), Some(0));
    assert_eq!(what, [bound(What::Made), bound(What::Ended(FlowEnd::Replaced)), bound(What::Made)]);
    assert_eq!(all[1].counted.map(|s| (s.packets, s.tcp)), [(2, TCP_SYN | TCP_RST), (0, 0)]);
    assert_eq!((all[0].pair, all[0].key), (all[1].pair, all[1].key));
    assert_ne!(all[1].pair, all[2].pair);
}

fn a_pair_that_gets_another_member_stays(fault: Option<Fault>) {
    let mut m = listening(two_ports(fault));
    left(from_vif(&mut m, POD_VIF, &call(SYN)), HOST_OTHER);
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
    left(from_vif(&mut m, POD_VIF, &call(SYN)), HOST_OTHER);
    let bound = |what| (what, false, Some(2), Some(0));
    assert_eq!(told(&mut m), [bound(What::Made), bound(What::Repinned)]);
}

fn a_pair_that_moves_is_told(fault: Option<Fault>) {
    const GATEWAYS: [u32; 2] = [0x0aa9_1901, 0x0aa9_1902];
    let mut m = listening(lab(fault));
    check_sources(&mut m, VRF, SourceCheck::Strict);
    for (ip, id) in GATEWAYS.into_iter().zip(71..) {
        tunnel(&mut m, id, ip);
        source(&mut m, 6, ip);
    }
    tunnels(&mut m, 70, 700, &[(71, 91), (72, 92)]);
    default_route(&mut m, VRF, 70, 0, 6);
    let up = tcp(OUTSIDE, POD, 40000, 80, SYN, b"");
    sent(by_tunnel(&mut m, GATEWAYS[0], 30, &up), HOST_POD);
    by_tunnel(&mut m, GATEWAYS[1], 30, &up);
    // The reverse entry is sent to the gateway by which it came.
    assert_eq!(
        told(&mut m),
        [(What::Made, true, None, None), (What::Repinned, false, None, Some(1))]
    );
}

fn a_packet_that_gets_no_pair_is_told(fault: Option<Fault>) {
    let mut m = listening(two_ports(fault));
    let limit = FlowShare { valid: true, pairs: 1, ..FlowShare::default() };
    assert!(m.write(TableId::FlowShare, POD_VIF.into(), &limit.pack()));
    left(from_vif(&mut m, POD_VIF, &call(SYN)), HOST_OTHER);
    let other = tcp(POD, SERVICE, 1001, 9100, SYN, b"");
    dropped(from_vif(&mut m, POD_VIF, &other), DropReason::FlowQuota);
    let all = m.flows_mut().take_told();
    let refused = What::Refused(DropReason::FlowQuota);
    assert_eq!((all[1].what, all[1].pair, all[1].map), (refused, 0, Some(2)));
    assert_eq!((all[1].key.sport, all[1].key.dport), (1001, 9100), "as the packet arrived");
    // What is plain leaves without a pair, and without a word.
    sent(from_vif(&mut m, POD_VIF, &udp(POD, OTHER, 5000, 7, b"")), HOST_OTHER);
    assert_eq!(told(&mut m), []);
}

fn a_policy_refuses_nothing(fault: Option<Fault>) {
    let mut m = listening(two_ports(fault));
    let vif = Vif { learn: LearnPolicy::Never, ..m.tables().vif(POD_VIF) };
    m.write(TableId::Vif, POD_VIF.into(), &vif.pack());
    dropped(from_vif(&mut m, POD_VIF, &call(SYN)), DropReason::LearnOff);
    assert_eq!(told(&mut m), []);
}

fn pressure_comes_and_goes(fault: Option<Fault>) {
    let mut m = listening(lab(fault));
    m.flows_mut().set_evictions(Evictions { above: [1, 3, 0], ..Evictions::default() });
    for sport in [5000, 5001] {
        let out = from_vif(&mut m, POD_VIF, &tcp(POD, OTHER, sport, 80, SYN, b""));
        sent(out, HOST_OTHER);
    }
    let indices: Vec<u32> = m.flows().iter().map(|(index, _)| index).collect();
    for index in indices {
        m.write(TableId::Flow, index, &Words::default());
    }
    assert_eq!(m.flows_mut().take_pressures(), [1, 0]);
}

fn who_does_not_listen_hears_nothing(fault: Option<Fault>) {
    let mut m = lab(fault);
    sent(from_vif(&mut m, POD_VIF, &udp(POD, OTHER, 5000, 7, b"")), HOST_OTHER);
    assert_eq!(told(&mut m), []);
}
