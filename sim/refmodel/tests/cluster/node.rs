//! The node as an end point.

use penstock_abi::reason::DropReason;
use penstock_abi::table::*;
use penstock_refmodel::packet::{Ipv4, ethernet, icmp, tcp, udp};
use penstock_refmodel::wire::{ACK, SYN};
use penstock_refmodel::{Egress, Fault, Ingress, RefModel};

use crate::lab::*;
use crate::world::*;

stories![
    what_goes_to_the_gateway_is_routed,
    the_node_probes_its_pods,
    the_node_uses_a_service,
    the_api_server_is_a_node_or_outside,
    the_node_reaches_the_api_server_outside,
    other_nodes_reach_what_this_one_serves,
    the_node_gets_nothing_back,
];

const API: u32 = 0x0a60_0001; // 10.96.0.1
/// An API server outside, and another address of this node.
const FAR_SERVER: u32 = 0xc000_020a; // 192.0.2.10
const ANOTHER: u32 = 0xc0a8_7a01; // 192.168.122.1
const VHOST_LABEL: u32 = 19;
const GATEWAY_MAC: u64 = 0x0000_5e00_0100;

/// The API server runs here and outside: the first two mappings.
fn api(fault: Option<Fault>) -> RefModel {
    let mut m = lab(fault);
    route(&mut m, VRF, NODE_A, NH_VHOST, None, 0);
    route(&mut m, VRF, NODE_B, NH_TUNNEL, Some(18), OF_B);
    label(&mut m, VHOST_LABEL, NH_VHOST, VRF, false);
    mapping(&mut m, 1, (NODE_A, 6443), (API, 443));
    mapping(&mut m, 2, (FAR_SERVER, 6443), (API, 443));
    members(&mut m, 60, 600, &[(NH_VHOST, 1)]);
    service(&mut m, API, 443, 60, 60);
    own_address(&mut m, API, 60);
    m
}

fn from_node(m: &mut RefModel, dmac: u64, vlan: Option<u16>, ether_type: u16, p: &Ipv4) -> Vec<u8> {
    let frame = ethernet(dmac, FABRIC_MAC, vlan, ether_type, &p.bytes());
    assert_eq!(sent(m.process(Ingress::Host(1), &frame), Egress::Fabric), frame);
    frame
}

fn what_goes_to_the_gateway_is_routed(fault: Option<Fault>) {
    let mut m = api(fault);
    let packet = tcp(NODE_A, POD, 1000, 80, SYN, b"");
    let out = sent(from_vif(&mut m, 1, &packet), HOST_POD);
    assert_eq!(out[22..24], [63, 6], "routed");
    // A tag that carries a priority alone is none.
    let tagged = ethernet(GATEWAY_MAC, FABRIC_MAC, Some(0x2000), 0x0800, &packet.bytes());
    sent(m.process(Ingress::Host(1), &tagged), HOST_POD);
    // Everything else is the node's own.
    from_node(&mut m, 0x0200_0000_0333, None, 0x0800, &packet);
    from_node(&mut m, 0xffff_ffff_ffff, None, 0x0806, &packet);
    from_node(&mut m, GATEWAY_MAC, Some(5), 0x0800, &packet);
    for ether_type in [0x86dd, 0x0806] {
        let frame = ethernet(GATEWAY_MAC, FABRIC_MAC, None, ether_type, &packet.bytes());
        dropped(m.process(Ingress::Host(1), &frame), DropReason::InvalidProtocol);
    }
    let late = Ipv4 { ttl: 1, ..packet };
    dropped(from_vif(&mut m, 1, &late), DropReason::TtlExceeded);
}

fn the_node_probes_its_pods(fault: Option<Fault>) {
    let mut m = api(fault);
    sent(from_vif(&mut m, 1, &tcp(NODE_A, POD, 1000, 80, SYN, b"")), HOST_POD);
    let out = from_vif(&mut m, POD_VIF, &tcp(POD, NODE_A, 80, 1000, SYN | ACK, b""));
    assert_eq!(told(&left(out, HOST_NODE)), (POD, NODE_A, 80, 1000));
    // A pod that another node has, and a fragment.
    assert_eq!(way(from_vif(&mut m, 1, &udp(NODE_A, BACKEND, 1000, 80, b""))), (NODE_B, 25));
    let reply = udp(BACKEND, NODE_A, 80, 1000, b"");
    let out = by_tunnel(&mut m, NODE_B, VHOST_LABEL, &reply);
    assert_eq!(told(&left(out, HOST_NODE)), (BACKEND, NODE_A, 80, 1000));
    let fragment = Ipv4 { fragment: 1, ..udp(NODE_A, POD, 1, 2, b"") };
    sent(from_vif(&mut m, 1, &fragment), HOST_POD);
}

fn the_node_uses_a_service(fault: Option<Fault>) {
    let mut m = api(fault);
    mapping(&mut m, 5, (OTHER, 80), (SERVICE, 8080));
    members(&mut m, 61, 620, &[(NH_LOCAL, 5)]);
    service(&mut m, SERVICE, 8080, 61, 61);
    own_address(&mut m, SERVICE, 61);
    let out = from_vif(&mut m, 1, &tcp(NODE_A, SERVICE, 1000, 8080, SYN, b""));
    assert_eq!(told(&left(out, HOST_OTHER)), (NODE_A, OTHER, 1000, 80));
    let out = from_vif(&mut m, OTHER_VIF, &tcp(OTHER, NODE_A, 80, 1000, SYN | ACK, b""));
    assert_eq!(told(&left(out, HOST_NODE)), (SERVICE, NODE_A, 8080, 1000));
    refused(from_vif(&mut m, 1, &tcp(NODE_A, SERVICE, 1000, 8081, SYN, b"")), 1);
}

fn the_api_server_is_a_node_or_outside(fault: Option<Fault>) {
    let mut m = api(fault);
    for (map, server) in [(1, NODE_A), (2, FAR_SERVER)] {
        members(&mut m, 60, 600, &[(NH_VHOST, map)]);
        let port = 1000 + map as u16;
        let out = from_vif(&mut m, POD_VIF, &tcp(POD, API, port, 443, SYN, b""));
        assert_eq!(told(&left(out, HOST_NODE)), (POD, server, port, 6443));
        let out = from_vif(&mut m, 1, &tcp(server, POD, 6443, port, SYN | ACK, b""));
        assert_eq!(told(&left(out, HOST_POD)), (API, POD, 443, port));
    }
    // A mapping that is not there: the node must not see the service's address.
    members(&mut m, 60, 600, &[(NH_VHOST, 7)]);
    let out = from_vif(&mut m, POD_VIF, &tcp(POD, API, 3000, 443, SYN, b""));
    dropped(out, DropReason::NoFipPortMap);
    // Nor an error of which nobody knows what it is about.
    members(&mut m, 60, 600, &[(NH_VHOST, 1)]);
    let embedded = tcp(API, POD, 443, 3001, ACK, b"").bytes();
    let out = from_vif(&mut m, POD_VIF, &icmp(POD, API, 3, 3, 0, &embedded));
    dropped(out, DropReason::NoFipPortMap);
}

fn the_node_reaches_the_api_server_outside(fault: Option<Fault>) {
    let mut m = api(fault);
    members(&mut m, 60, 600, &[(NH_VHOST, 2)]);
    let out = from_vif(&mut m, 1, &tcp(NODE_A, API, 1000, 443, SYN, b""));
    assert_eq!(told(&left(out, HOST_NODE)), (API, FAR_SERVER, 1000, 6443));
    let out = from_vif(&mut m, 1, &tcp(FAR_SERVER, API, 6443, 1000, SYN | ACK, b""));
    assert_eq!(told(&left(out, HOST_NODE)), (API, NODE_A, 443, 1000));
    // From an address that the card does not know the reply could not be given back.
    let out = from_vif(&mut m, 1, &tcp(ANOTHER, API, 1000, 443, SYN, b""));
    dropped(out, DropReason::InvalidSource);
}

fn other_nodes_reach_what_this_one_serves(fault: Option<Fault>) {
    let mut m = api(fault);
    put(&mut m, FipKey { valid: true, vif: 1, proto: 6, ip: API, port: 443, map: 1 });
    // Its marks, of two addresses.
    for ip in [NODE_A, ANOTHER] {
        put(&mut m, FipKey { valid: true, vif: 1, proto: 6, ip, port: 6443, map: 0 });
    }
    let out = by_tunnel(&mut m, NODE_B, VHOST_LABEL, &tcp(BACKEND, API, 1000, 443, SYN, b""));
    assert_eq!(told(&left(out, HOST_NODE)), (BACKEND, NODE_A, 1000, 6443));
    let out = from_vif(&mut m, 1, &tcp(NODE_A, BACKEND, 6443, 1000, SYN | ACK, b""));
    assert_eq!(told(&left(out, Egress::Fabric)), (API, BACKEND, 443, 1000));
    // By its own address, whichever.
    for (ip, port) in [(NODE_A, 2000), (ANOTHER, 2001)] {
        let out = by_tunnel(&mut m, NODE_B, VHOST_LABEL, &tcp(BACKEND, ip, port, 6443, SYN, b""));
        assert_eq!(told(&left(out, HOST_NODE)), (BACKEND, ip, port, 6443));
    }
    // A reply of which nobody knows the connection.
    let out = from_vif(&mut m, 1, &tcp(NODE_A, BACKEND, 6443, 3000, ACK, b""));
    dropped(out, DropReason::FlowUnusable);
}

fn the_node_gets_nothing_back(fault: Option<Fault>) {
    let mut m = api(fault);
    default_route(&mut m, VRF, NH_VHOST, 0, 0);
    // A pod reaches the outside through its node.
    let out = from_vif(&mut m, POD_VIF, &udp(POD, OUTSIDE, 1000, 53, b""));
    assert_eq!(told(&left(out, HOST_NODE)), (POD, OUTSIDE, 1000, 53));
    let out = from_vif(&mut m, 1, &udp(OUTSIDE, POD, 53, 1000, b""));
    assert_eq!(told(&left(out, HOST_POD)), (OUTSIDE, POD, 53, 1000));
    // The node itself does not reach it through the card.
    let out = from_vif(&mut m, 1, &udp(NODE_A, OUTSIDE, 1000, 53, b""));
    dropped(out, DropReason::PacketLoop);
}
