//! Shares of the flow table, by vif and by tunnel (section 9.6).

use penstock_abi::reason::{CardCounter, DropReason};
use penstock_abi::share::{ONE, of_tunnel};
use penstock_abi::table::{
    FlowShare, FlowShareStats, SourceCheck, TableEntry as _, TableId, Words,
};
use penstock_refmodel::insert::Inserted;
use penstock_refmodel::packet::{tcp, udp};
use penstock_refmodel::wire::{RST, SYN};
use penstock_refmodel::{Fault, Outcome, RefModel};

use crate::lab::*;
use crate::services::two_ports;
use crate::world::*;

stories![
    a_pod_has_no_more_pairs_than_its_share,
    what_needs_a_pair_is_dropped_without,
    what_a_tunnel_brings_is_in_two_shares,
    a_bucket_lets_so_many_pass,
    a_bucket_fills_with_time_and_with_a_write,
    what_takes_a_place_is_not_refused,
    a_pair_keeps_its_shares_where_it_moves,
    a_refused_packet_takes_nothing,
    what_ends_leaves_its_shares,
];

const MINE: u32 = POD_VIF as u32;
const OTHERS: u32 = OTHER_VIF as u32;

fn limit(m: &mut RefModel, share: u32, limit: FlowShare) {
    let limit = FlowShare { valid: true, ..limit };
    assert!(m.write(TableId::FlowShare, share, &limit.pack()));
}

fn pairs(pairs: u32) -> FlowShare {
    FlowShare { pairs, ..FlowShare::default() }
}

fn bucket(burst: u32, rate: u32) -> FlowShare {
    FlowShare { burst, rate, ..FlowShare::default() }
}

/// Pairs that a share has, and packets that it refused.
fn has(m: &RefModel, share: u32) -> (u32, u32) {
    let FlowShareStats { pairs, refused } = m.flows().share_stats(share);
    (pairs, refused)
}

fn datagram(m: &mut RefModel, sport: u16) -> Option<Inserted> {
    let out = from_vif(m, POD_VIF, &udp(POD, OTHER, sport, 7, b""));
    let inserted = out.inserted;
    sent(out, HOST_OTHER);
    inserted
}

/// A datagram makes a pair.
fn makes(m: &mut RefModel, sport: u16) -> bool {
    datagram(m, sport) == Some(Inserted::Learned)
}

fn a_pod_has_no_more_pairs_than_its_share(fault: Option<Fault>) {
    let mut m = lab(fault);
    assert!(makes(&mut m, 1000));
    assert_eq!((has(&m, MINE), has(&m, OTHERS)), ((1, 0), (0, 0)), "without a limit");
    limit(&mut m, MINE, pairs(2));
    assert!(makes(&mut m, 1001));
    assert!(!makes(&mut m, 1002) && !makes(&mut m, 1003), "more");
    assert_eq!(has(&m, MINE), (2, 2));
    assert_eq!(m.counters().card(CardCounter::LearnDeferred), 2);
    assert_eq!(m.flows().len(), 4);
    assert_eq!(datagram(&mut m, 1000), None, "what is there goes on");
    sent(from_vif(&mut m, OTHER_VIF, &udp(OTHER, POD, 1, 2, b"")), HOST_POD);
    assert_eq!(has(&m, OTHERS), (1, 0), "another's is another's");
    let (index, _) = m.flows().iter().find(|(_, f)| f.sport == 1000).expect("it is there");
    assert!(m.write(TableId::Flow, index, &Words::default()));
    assert!(makes(&mut m, 1002) && !makes(&mut m, 1003), "in the place of one that is deleted");
    limit(&mut m, MINE, pairs(1));
    assert_eq!((datagram(&mut m, 1001), makes(&mut m, 1003)), (None, false), "over a lower limit");
    assert!(m.write(TableId::FlowShare, MINE, &Words::default()));
    assert!(makes(&mut m, 1003), "without a limit again");
    assert_eq!(has(&m, MINE), (3, 4));
}

fn call(m: &mut RefModel, sport: u16, flags: u8) -> Outcome {
    from_vif(m, POD_VIF, &tcp(POD, SERVICE, sport, 9100, flags, b""))
}

fn what_needs_a_pair_is_dropped_without(fault: Option<Fault>) {
    let mut m = two_ports(fault);
    limit(&mut m, MINE, pairs(1));
    left(call(&mut m, 1000, SYN), HOST_OTHER);
    dropped(call(&mut m, 1001, SYN), DropReason::FlowQuota);
    left(call(&mut m, 1000, SYN), HOST_OTHER);
    assert_eq!(has(&m, MINE), (1, 1));
    assert_eq!(m.counters().card(CardCounter::LearnDeferred), 0);
    // One direction of what is plain goes without.
    assert!(!makes(&mut m, 1002));
    assert_eq!(m.counters().card(CardCounter::LearnDeferred), 1);
}

fn comes(m: &mut RefModel, sport: u16) -> bool {
    let out = by_tunnel(m, NODE_B, 30, &udp(BACKEND, POD, sport, 7, b""));
    let inserted = out.inserted;
    sent(out, HOST_POD);
    inserted == Some(Inserted::Learned)
}

fn what_a_tunnel_brings_is_in_two_shares(fault: Option<Fault>) {
    let mut m = lab(fault);
    let node = of_tunnel(NODE_B);
    assert!(comes(&mut m, 1000));
    assert_eq!((has(&m, MINE), has(&m, node)), ((1, 0), (1, 0)));
    limit(&mut m, node, pairs(1));
    assert!(!comes(&mut m, 1001));
    assert_eq!((has(&m, MINE), has(&m, node)), ((1, 0), (1, 1)));
    assert!(makes(&mut m, 1002), "what the pod begins is in the pod's share only");
    assert_eq!((has(&m, MINE), has(&m, node)), ((2, 0), (1, 1)));
    limit(&mut m, MINE, pairs(1));
    assert!(!comes(&mut m, 1003));
    assert_eq!((has(&m, MINE), has(&m, node)), ((2, 1), (1, 2)), "each that is over its limit");
    assert!(m.write(TableId::FlowShare, node, &Words::default()));
    assert!(!comes(&mut m, 1003));
    assert_eq!((has(&m, MINE), has(&m, node)), ((2, 2), (1, 2)));
}

fn a_bucket_lets_so_many_pass(fault: Option<Fault>) {
    let mut m = lab(fault);
    limit(&mut m, MINE, bucket(3, ONE / 2));
    let made = (1000..1010).filter(|&port| makes(&mut m, port)).count();
    assert_eq!(made, 3);
    m.pass(1);
    assert!(!makes(&mut m, 1003), "half of one is none");
    m.pass(1);
    assert!(makes(&mut m, 1003) && !makes(&mut m, 1004));
    m.pass(3);
    assert!(makes(&mut m, 1004) && !makes(&mut m, 1005));
    m.pass(1);
    assert!(makes(&mut m, 1005), "of the half that was left");
}

fn a_bucket_fills_with_time_and_with_a_write(fault: Option<Fault>) {
    let mut m = lab(fault);
    limit(&mut m, MINE, bucket(2, ONE));
    m.pass(1 << 30);
    let made =
        |m: &mut RefModel, from: u16| (from..from + 10).filter(|&port| makes(m, port)).count();
    assert_eq!(made(&mut m, 1000), 2, "no more than it holds");
    m.pass(1 << 30);
    assert_eq!(made(&mut m, 1010), 2);
    limit(&mut m, MINE, bucket(4, 0));
    assert_eq!(made(&mut m, 1020), 4, "full from its write on");
    limit(&mut m, MINE, bucket(0, 0));
    assert_eq!(made(&mut m, 1030), 10, "without a bucket");
}

fn what_takes_a_place_is_not_refused(fault: Option<Fault>) {
    let mut m = two_ports(fault);
    limit(&mut m, MINE, FlowShare { pairs: 1, ..bucket(3, 0) });
    left(call(&mut m, 1000, SYN), HOST_OTHER);
    left(call(&mut m, 1000, RST), HOST_OTHER);
    let again = call(&mut m, 1000, SYN);
    assert_eq!(again.inserted, Some(Inserted::Repinned));
    left(again, HOST_OTHER);
    assert_eq!(has(&m, MINE), (1, 0));
    // What the other pod begins from a port that it serves gives way to a client of its.
    let first = udp(OTHER, POD, 9101, 2000, b"");
    sent(from_vif(&mut m, OTHER_VIF, &first), HOST_POD);
    assert_eq!(has(&m, OTHERS), (1, 0));
    left(from_vif(&mut m, POD_VIF, &udp(POD, SERVICE, 2000, 9100, b"")), HOST_OTHER);
    assert_eq!((has(&m, MINE), has(&m, OTHERS)), ((2, 0), (0, 0)));
    assert_eq!(m.flows().bucket(MINE), 0, "they count by time as well");
}

fn a_pair_keeps_its_shares_where_it_moves(fault: Option<Fault>) {
    const GATEWAYS: [u32; 2] = [0x0aa9_1901, 0x0aa9_1902];
    let mut m = lab(fault);
    check_sources(&mut m, VRF, SourceCheck::Strict);
    for (ip, id) in GATEWAYS.into_iter().zip(71..) {
        tunnel(&mut m, id, ip);
        source(&mut m, 6, ip);
    }
    tunnels(&mut m, 70, 700, &[(71, 91), (72, 92)]);
    default_route(&mut m, VRF, 70, 0, 6);
    let up = tcp(OUTSIDE, POD, 40000, 80, SYN, b"");
    sent(by_tunnel(&mut m, GATEWAYS[0], 30, &up), HOST_POD);
    assert_eq!(by_tunnel(&mut m, GATEWAYS[1], 30, &up).inserted, Some(Inserted::Moved));
    let [first, second] = GATEWAYS.map(of_tunnel);
    assert_eq!((has(&m, first), has(&m, second)), ((1, 0), (0, 0)));
    let (index, _) = m.flows().iter().next().expect("it is there");
    assert!(m.write(TableId::Flow, index, &Words::default()));
    assert_eq!((has(&m, first), has(&m, second)), ((0, 0), (0, 0)));
}

fn a_refused_packet_takes_nothing(fault: Option<Fault>) {
    let mut m = lab(fault);
    let node = of_tunnel(NODE_B);
    limit(&mut m, node, bucket(2, 0));
    limit(&mut m, MINE, pairs(1));
    assert!(comes(&mut m, 1000) && !comes(&mut m, 1001));
    assert_eq!(m.flows().bucket(node), ONE);
    assert_eq!((has(&m, MINE), has(&m, node)), ((1, 1), (1, 0)));
}

fn what_ends_leaves_its_shares(fault: Option<Fault>) {
    let mut m = two_ports(fault);
    let mut ages = *m.flows().ages();
    ages.states.fill(10);
    m.flows_mut().set_ages(ages);
    makes(&mut m, 1000);
    left(call(&mut m, 1000, SYN), HOST_OTHER);
    assert_eq!(has(&m, MINE), (2, 0));
    m.pass(11);
    assert_eq!(has(&m, MINE), (0, 0));
    makes(&mut m, 1000);
    limit(&mut m, MINE, pairs(1));
    makes(&mut m, 1001);
    m.clear();
    assert_eq!((has(&m, MINE), m.tables().flow_share(MINE)), ((0, 0), None));
}
