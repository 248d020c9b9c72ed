//! One node of a cluster: two pods, another node, and what the stories ask of it.

use penstock_abi::limits::SOURCES_NOBODY;
use penstock_abi::table::*;
use penstock_refmodel::packet::{Ipv4, frame, mpls, mpls_udp};
use penstock_refmodel::{Egress, Fault, Ingress, Outcome, RefModel};

use crate::world::*;

pub(crate) const POD: u32 = CLIENT;
pub(crate) const POD_VIF: u8 = 3;
pub(crate) const OTHER: u32 = LOCAL_CLIENT;
pub(crate) const OTHER_VIF: u8 = 4;
pub(crate) const NH_REJECT: u16 = 5;
/// Where a service is, and who is outside.
pub(crate) const SERVICE: u32 = 0xac14_000a; // 172.20.0.10
pub(crate) const OUTSIDE: u32 = 0x0808_0808;
/// The set of the other node's tunnel.
pub(crate) const OF_B: u16 = 5;
pub(crate) const STRANGER: u32 = 0x0909_0909;

/// Node A with two pods; node B has the backend.
pub(crate) fn lab(fault: Option<Fault>) -> RefModel {
    let mut m = node(NODE_A);
    if let Some(fault) = fault {
        m.plant(fault);
    }
    pod(&mut m, POD_VIF, NH_CLIENT, POD, 30);
    pod(&mut m, OTHER_VIF, NH_LOCAL, OTHER, 27);
    for ip in [POD, OTHER] {
        let nh = if ip == POD { NH_CLIENT } else { NH_LOCAL };
        put_host_route(&mut m, VRF, ip, nh, None, true);
    }
    m.write(TableId::NextHop, NH_TUNNEL.into(), &tunnel_to(NODE_A, NODE_B).pack());
    let reject = NextHop { valid: true, kind: NextHopKind::Reject, ..NextHop::default() };
    m.write(TableId::NextHop, NH_REJECT.into(), &reject.pack());
    source(&mut m, OF_B, NODE_B);
    route(&mut m, VRF, BACKEND, NH_TUNNEL, Some(25), OF_B);
    m
}

/// A host route with a set of sources.
pub(crate) fn route(
    m: &mut RefModel,
    vrf: u16,
    ip: u32,
    nh: u16,
    label: Option<u32>,
    sources: u16,
) {
    let entry = HostRoute {
        valid: true,
        vrf,
        ip,
        nh,
        label: label.unwrap_or(0),
        label_valid: label.is_some(),
        service: ServiceAddress::No,
        sources,
    };
    // The world's own helper writes to this place, too.
    let hash = penstock_abi::hash::key_hash(penstock_abi::hash::host_route_key(vrf, ip));
    let rows = penstock_abi::limits::HOST_ROUTE_ROWS_LOG2;
    let row = penstock_abi::hash::row(hash, 1, rows);
    assert!(m.write(TableId::HostRoute, bucket_index(1, row, 2, rows), &entry.pack()));
}

pub(crate) fn default_route(m: &mut RefModel, vrf: u16, nh: u16, label: u32, sources: u16) {
    let entry = DefaultRoute { valid: true, nh, label, label_valid: label != 0, sources };
    assert!(m.write(TableId::DefaultRoute, vrf.into(), &entry.pack()));
}

pub(crate) fn mapping(
    m: &mut RefModel,
    index: u16,
    (pod_ip, pod_port): (u32, u16),
    (vip, vip_port): (u32, u16),
) {
    let map = FipMap { valid: true, generation: 1, pod_ip, pod_port, vip, vip_port };
    assert!(m.write(TableId::FipMap, index.into(), &map.pack()));
}

pub(crate) fn tunnel(m: &mut RefModel, id: u16, dip: u32) {
    assert!(m.write(TableId::NextHop, id.into(), &tunnel_to(NODE_A, dip).pack()));
}

pub(crate) fn label(m: &mut RefModel, label: u32, nh: u16, vrf: u16, service: bool) {
    let entry = Ilm { valid: true, nh, key_nh: nh, vrf, service };
    assert!(m.write(TableId::Ilm, label, &entry.pack()));
}

/// A group of tunnels: next hop and label of each slot; the generation is 1.
pub(crate) fn tunnels(m: &mut RefModel, id: u16, base: u32, of: &[(u16, u32)]) {
    let words = of.iter().zip(0..).map(|(&(nh, label), slot)| EcmpSlot {
        valid: true,
        nh,
        label,
        slot,
        generation: 1,
        ..EcmpSlot::default()
    });
    for (at, word) in (base..).zip(words.clone().chain(words)) {
        assert!(m.write(TableId::Ecmp, at, &word.pack()));
    }
    let group = NextHop {
        valid: true,
        kind: NextHopKind::Composite,
        base,
        slots: of.len() as u16,
        live: of.len() as u16,
        hash_fields: 0x1f,
        ..NextHop::default()
    };
    assert!(m.write(TableId::NextHop, id.into(), &group.pack()));
}

/// The address of a service here whose members are all on this node.
pub(crate) fn own_address(m: &mut RefModel, ip: u32, nh: u16) {
    address(m, ip, nh, ServiceAddress::Reject, SOURCES_NOBODY);
}

pub(crate) fn from_vif(m: &mut RefModel, vif: u8, packet: &Ipv4) -> Outcome {
    m.process(Ingress::Host(vif), &frame(packet))
}

/// From the fabric by a tunnel of `outer`.
pub(crate) fn by_tunnel(m: &mut RefModel, outer: u32, label: u32, packet: &Ipv4) -> Outcome {
    let shim = mpls(label, 64);
    m.process(Ingress::Fabric, &wire(&mpls_udp(outer, NODE_A, 6635, shim, &packet.bytes())))
}

/// The IPv4 packet that left.
pub(crate) fn left(outcome: Outcome, to: Egress) -> Vec<u8> {
    let at = if to == Egress::Fabric { 46 } else { 14 };
    sent(outcome, to)[at..].to_vec()
}

/// Source, destination, and the first two words of layer 4.
pub(crate) fn told(packet: &[u8]) -> (u32, u32, u16, u16) {
    (u32_at(packet, 12), u32_at(packet, 16), u16_at(packet, 20), u16_at(packet, 22))
}

/// Outer destination and label of a frame to another node.
pub(crate) fn way(outcome: Outcome) -> (u32, u32) {
    let out = sent(outcome, Egress::Fabric);
    (u32_at(&out, 30), u32_at(&out, 42) >> 12)
}

pub(crate) fn refused(outcome: Outcome, vif: u8) {
    let reason = penstock_abi::reason::TrapReason::Reject as u8;
    sent(outcome, Egress::Firmware { reason, vif });
}

/// What vRouter prints of an entry's translation: the flags of `flow`.
pub(crate) fn flags(m: &RefModel, key: &FlowKey) -> String {
    let f = m.flows().get(key).copied().unwrap_or_default();
    [(f.snat, "S"), (f.dnat, "D"), (f.spat, "Ps"), (f.dpat, "Pd")]
        .into_iter()
        .filter_map(|(on, letter)| on.then_some(letter))
        .collect()
}

pub(crate) const HOST_POD: Egress = Egress::Host(POD_VIF);
pub(crate) const HOST_OTHER: Egress = Egress::Host(OTHER_VIF);
pub(crate) const HOST_NODE: Egress = Egress::Host(1);
