//! By which tunnels packets may come.

use penstock_abi::limits::SOURCES_KNOWN;
use penstock_abi::reason::DropReason;
use penstock_abi::table::*;
use penstock_refmodel::insert::Inserted;
use penstock_refmodel::packet::{Ipv4, icmp, tcp, udp};
use penstock_refmodel::wire::{ACK, SYN};
use penstock_refmodel::{Egress, Fault, RefModel};

use crate::lab::*;
use crate::world::*;

stories![
    strict_takes_the_tunnels_of_the_route,
    loose_takes_any_tunnel_that_is_known,
    off_refuses_what_is_here_only,
    a_draining_member_goes_on_answering,
    a_client_outside_comes_by_either_gateway,
    an_error_is_judged_by_its_far_end,
    an_error_of_a_known_flow_comes_by_its_tunnel,
    a_gateway_may_answer_from_another_address,
    an_established_connection_survives_its_gateway,
    a_reply_moves_within_its_listener,
    by_a_label_the_far_end_is_no_service_s,
];

const GATEWAYS: [u32; 2] = [0x0aa9_1901, 0x0aa9_1902];
/// Another address of the first gateway, by which nothing is sent.
const GATEWAY_TOO: u32 = 0x0aa9_19fe;
const OF_GATEWAYS: u16 = 6;
const NH_GATEWAYS: u16 = 70;
/// Known, but no way to anybody in a story.
const NODE_C: u32 = 0x0aa9_1916;

fn network(fault: Option<Fault>, check: SourceCheck) -> RefModel {
    let mut m = lab(fault);
    check_sources(&mut m, VRF, check);
    for (ip, id) in GATEWAYS.into_iter().zip(71..) {
        tunnel(&mut m, id, ip);
        source(&mut m, OF_GATEWAYS, ip);
        source(&mut m, SOURCES_KNOWN, ip);
    }
    source(&mut m, OF_GATEWAYS, GATEWAY_TOO);
    source(&mut m, SOURCES_KNOWN, NODE_C);
    tunnels(&mut m, NH_GATEWAYS, 700, &[(71, 91), (72, 92)]);
    m
}

fn to_pod(sip: u32, sport: u16) -> Ipv4 {
    udp(sip, POD, sport, 53, b"")
}

fn comes(m: &mut RefModel, outer: u32, packet: &Ipv4) {
    sent(by_tunnel(m, outer, 30, packet), HOST_POD);
}

fn stays_out(m: &mut RefModel, outer: u32, packet: &Ipv4) {
    dropped(by_tunnel(m, outer, 30, packet), DropReason::InvalidSource);
}

fn strict_takes_the_tunnels_of_the_route(fault: Option<Fault>) {
    let mut m = network(fault, SourceCheck::Strict);
    comes(&mut m, NODE_B, &to_pod(BACKEND, 1));
    stays_out(&mut m, NODE_C, &to_pod(BACKEND, 2));
    stays_out(&mut m, STRANGER, &to_pod(BACKEND, 3));
    stays_out(&mut m, NODE_B, &to_pod(OTHER, 4));
    stays_out(&mut m, NODE_B, &to_pod(OUTSIDE, 5));
    // Fragments, too.
    stays_out(&mut m, NODE_C, &Ipv4 { fragment: 1, ..to_pod(BACKEND, 6) });
    comes(&mut m, NODE_B, &Ipv4 { fragment: 1, ..to_pod(BACKEND, 6) });
    // A VRF that nobody wrote is strict.
    m.write(TableId::Vrf, VRF.into(), &Words::default());
    comes(&mut m, NODE_B, &to_pod(BACKEND, 7));
    stays_out(&mut m, NODE_C, &to_pod(BACKEND, 8));
}

fn loose_takes_any_tunnel_that_is_known(fault: Option<Fault>) {
    let mut m = network(fault, SourceCheck::Loose);
    comes(&mut m, NODE_C, &to_pod(BACKEND, 1));
    stays_out(&mut m, STRANGER, &to_pod(BACKEND, 2));
    stays_out(&mut m, NODE_B, &to_pod(OTHER, 3));
    stays_out(&mut m, NODE_B, &to_pod(OUTSIDE, 4));
}

fn off_refuses_what_is_here_only(fault: Option<Fault>) {
    let mut m = network(fault, SourceCheck::Off);
    comes(&mut m, STRANGER, &to_pod(BACKEND, 1));
    comes(&mut m, STRANGER, &to_pod(OUTSIDE, 2));
    stays_out(&mut m, NODE_B, &to_pod(OTHER, 3));
}

fn a_draining_member_goes_on_answering(fault: Option<Fault>) {
    let mut m = network(fault, SourceCheck::Strict);
    // The member on C drains: it takes nobody new, and its tunnel stays in the set.
    let of_service = 9;
    source(&mut m, of_service, NODE_B);
    source(&mut m, of_service, NODE_C);
    tunnels(&mut m, 60, 600, &[(NH_TUNNEL, 25)]);
    service(&mut m, SERVICE, 8080, 60, 0);
    address(&mut m, SERVICE, 60, ServiceAddress::Reject, of_service);
    // The client's node has lost the flow of a download.
    let reply = tcp(SERVICE, POD, 8080, 40000, ACK, b"data");
    comes(&mut m, NODE_C, &reply);
    stays_out(&mut m, GATEWAYS[0], &tcp(SERVICE, POD, 8080, 40001, ACK, b"data"));
}

fn a_client_outside_comes_by_either_gateway(fault: Option<Fault>) {
    let mut m = network(fault, SourceCheck::Strict);
    default_route(&mut m, VRF, NH_GATEWAYS, 0, OF_GATEWAYS);
    comes(&mut m, GATEWAYS[0], &to_pod(OUTSIDE, 1));
    comes(&mut m, GATEWAYS[1], &to_pod(OUTSIDE, 2));
    comes(&mut m, GATEWAY_TOO, &to_pod(OUTSIDE, 3));
    stays_out(&mut m, NODE_B, &to_pod(OUTSIDE, 4));
}

/// A router on the way, whose address nobody has a route to, about a packet of the pod's to the backend.
fn error(sport: u16) -> Ipv4 {
    let embedded = udp(POD, BACKEND, sport, 53, b"").bytes();
    icmp(0x0a09_0909, POD, 3, 1, 0, &embedded)
}

fn an_error_is_judged_by_its_far_end(fault: Option<Fault>) {
    let mut m = network(fault, SourceCheck::Strict);
    comes(&mut m, NODE_B, &error(1000));
    stays_out(&mut m, NODE_C, &error(1001));
}

fn an_error_of_a_known_flow_comes_by_its_tunnel(fault: Option<Fault>) {
    let mut m = network(fault, SourceCheck::Strict);
    let out = from_vif(&mut m, POD_VIF, &udp(POD, BACKEND, 1000, 53, b""));
    assert_eq!(way(out), (NODE_B, 25));
    comes(&mut m, NODE_B, &error(1000));
    let out = by_tunnel(&mut m, NODE_C, 30, &error(1000));
    assert_eq!(out.inserted, None, "an error moves nothing");
    dropped(out, DropReason::InvalidSource);
}

/// A connection of the pod to the outside, by one gateway alone.
fn a_gateway_may_answer_from_another_address(fault: Option<Fault>) {
    let mut m = network(fault, SourceCheck::Strict);
    default_route(&mut m, VRF, 71, 91, OF_GATEWAYS);
    let out = from_vif(&mut m, POD_VIF, &udp(POD, OUTSIDE, 1000, 53, b""));
    assert_eq!(way(out), (GATEWAYS[0], 91));
    let reply = udp(OUTSIDE, POD, 53, 1000, b"");
    let first = by_tunnel(&mut m, GATEWAY_TOO, 30, &reply);
    assert_eq!(first.inserted, Some(Inserted::Moved));
    dropped(first, DropReason::InvalidSource);
    comes(&mut m, GATEWAY_TOO, &reply);
    // Nobody else may.
    for outer in [NODE_C, STRANGER] {
        let out = by_tunnel(&mut m, outer, 30, &reply);
        assert_eq!(out.inserted, None);
        dropped(out, DropReason::InvalidSource);
    }
}

fn an_established_connection_survives_its_gateway(fault: Option<Fault>) {
    let mut m = network(fault, SourceCheck::Strict);
    default_route(&mut m, VRF, NH_GATEWAYS, 0, OF_GATEWAYS);
    let up = |flags| tcp(OUTSIDE, POD, 40000, 80, flags, b"");
    let down = |flags| tcp(POD, OUTSIDE, 80, 40000, flags, b"");
    comes(&mut m, GATEWAYS[0], &up(SYN));
    sent(from_vif(&mut m, POD_VIF, &down(SYN | ACK)), Egress::Fabric);
    comes(&mut m, GATEWAYS[0], &up(ACK));
    sent(from_vif(&mut m, POD_VIF, &down(ACK)), Egress::Fabric);
    let out = by_tunnel(&mut m, GATEWAYS[1], 30, &up(ACK));
    assert_eq!(out.inserted, Some(Inserted::Moved));
    comes(&mut m, GATEWAYS[1], &up(ACK));
    assert_eq!(way(from_vif(&mut m, POD_VIF, &down(ACK))), (GATEWAYS[1], 92));
}

fn a_reply_moves_within_its_listener(fault: Option<Fault>) {
    let mut m = network(fault, SourceCheck::Strict);
    tunnel(&mut m, 80, NODE_C);
    // The listener is served by B, then C; the address's group is the other way round.
    tunnels(&mut m, 60, 600, &[(NH_TUNNEL, 25), (80, 26)]);
    tunnels(&mut m, 61, 620, &[(80, 26), (NH_TUNNEL, 25)]);
    let of_service = 9;
    source(&mut m, of_service, NODE_B);
    source(&mut m, of_service, NODE_C);
    service(&mut m, SERVICE, 8080, 60, 0);
    address(&mut m, SERVICE, 61, ServiceAddress::Reject, of_service);
    let to = |port, flags| tcp(POD, SERVICE, port, 8080, flags, b"");
    let port = (1000..2000)
        .find(|&port| way(from_vif(&mut m, POD_VIF, &to(port, SYN))) == (NODE_B, 25))
        .expect("half of the ports lead there");
    let reply = |port, flags| tcp(SERVICE, POD, 8080, port, flags, b"");
    let out = by_tunnel(&mut m, NODE_C, 30, &reply(port, SYN | ACK));
    assert_eq!(out.inserted, Some(Inserted::Moved));
    comes(&mut m, NODE_C, &reply(port, SYN | ACK));
    assert_eq!(way(from_vif(&mut m, POD_VIF, &to(port, ACK))), (NODE_C, 26));
    // Now it is established, and nobody else is believed.
    let out = by_tunnel(&mut m, NODE_B, 30, &reply(port, ACK));
    assert_eq!(out.inserted, Some(Inserted::Unchanged));
    dropped(out, DropReason::InvalidSource);
    comes(&mut m, NODE_C, &reply(port, ACK));
}

/// A client with a floating IP, which calls another by its label. The one look-up of a service is that of what it calls.
fn by_a_label_the_far_end_is_no_service_s(fault: Option<Fault>) {
    let mut m = network(fault, SourceCheck::Strict);
    mapping(&mut m, 1, (OTHER, 80), (SERVICE, 8080));
    members(&mut m, 62, 640, &[(NH_LOCAL, 1)]);
    service(&mut m, SERVICE, 8080, 62, 62);
    address(&mut m, SERVICE, 62, ServiceAddress::Reject, 0);
    label(&mut m, 50, NH_VHOST, VRF, true);
    let (client, of_client) = (SERVICE + 9, 9);
    source(&mut m, of_client, NODE_B);
    source(&mut m, of_client, NODE_C);
    address(&mut m, client, NH_TUNNEL, ServiceAddress::Reject, of_client);
    let call = udp(client, SERVICE, 1000, 8080, b"");
    let came = |out| assert_eq!(told(&left(out, HOST_OTHER)), (client, OTHER, 1000, 80));
    came(by_tunnel(&mut m, NODE_B, 50, &call));
    // No listener has its port, and none is missed.
    let out = by_tunnel(&mut m, NODE_C, 50, &call);
    assert_eq!(out.inserted, Some(Inserted::Moved));
    dropped(out, DropReason::InvalidSource);
    came(by_tunnel(&mut m, NODE_C, 50, &call));
    // By a pod's own label it is asked for: there it is a service's, and no member of it.
    label(&mut m, 51, NH_LOCAL, VRF, false);
    let to_pod = udp(client, OTHER, 1000, 53, b"");
    sent(by_tunnel(&mut m, NODE_B, 51, &to_pod), HOST_OTHER);
    let out = by_tunnel(&mut m, NODE_C, 51, &to_pod);
    assert_eq!(out.inserted, Some(Inserted::Unchanged));
    dropped(out, DropReason::InvalidSource);
}
