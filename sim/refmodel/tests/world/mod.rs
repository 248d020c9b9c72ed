//! The chapter's two nodes as table words, shared by the tests.
#![allow(dead_code, missing_docs, unreachable_pub)]

use penstock_abi::hash::{fip_key, host_route_key, key_hash, row};
use penstock_abi::limits::*;
use penstock_abi::reason::DropReason;
use penstock_abi::table::*;
use penstock_refmodel::packet::{Ipv4, ethernet, mpls, mpls_udp};
use penstock_refmodel::{Egress, Outcome, RefModel, Verdict};
use penstock_tables::{Keyed, PrefixPart, Shape};

pub const NODE_A: u32 = 0x0aa9_1914; // 10.169.25.20
pub const NODE_B: u32 = 0x0aa9_1915; // 10.169.25.21
pub const CLIENT: u32 = 0x0a2f_ffed; // 10.47.255.237
pub const BACKEND: u32 = 0x0a2f_ffee; // 10.47.255.238
pub const LOCAL_CLIENT: u32 = 0x0a2f_fff0;
pub const VIP: u32 = 0x0a69_8b99; // 10.105.139.153
pub const FABRIC_MAC: u64 = 0x0200_0000_0222;
pub const VRF: u16 = 2;
pub const NH_CLIENT: u16 = 20;
pub const NH_BACKEND: u16 = 21;
pub const NH_LOCAL: u16 = 22;
pub const NH_TUNNEL: u16 = 30;
pub const NH_GROUP: u16 = 87;
/// The backend's node: the group of this node's members.
pub const NH_MEMBERS: u16 = 88;
pub const NH_VHOST: u16 = 9;
/// Service network of the VRF.
pub const NET: u16 = 1;

/// Where the prefix of the far client stands.
pub fn client_prefix() -> u32 {
    let part = PrefixPart { rank: 0, vrf: VRF, ip: CLIENT & !1 };
    part.places(Shape::default()).next().expect("every part has places")
}

pub fn key(nh: u16, proto: u8, sip: u32, dip: u32, sport: u16, dport: u16) -> FlowKey {
    FlowKey { nh, proto, sip, dip, sport, dport }
}

pub fn u16_at(b: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([b[at], b[at + 1]])
}

pub fn u32_at(b: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([b[at], b[at + 1], b[at + 2], b[at + 3]])
}

pub fn sent(outcome: Outcome, to: Egress) -> Vec<u8> {
    match outcome.verdict {
        Verdict::Sent { egress, frame } if egress == to => frame,
        other => panic!("expected to leave by {to:?}: {other:?}"),
    }
}

#[allow(clippy::needless_pass_by_value)]
pub fn dropped(outcome: Outcome, reason: DropReason) {
    assert_eq!(outcome.verdict, Verdict::Dropped(reason));
}

/// Puts an entry where its key is looked for last.
pub fn put<E: Keyed>(m: &mut RefModel, entry: E) {
    let at = E::places(entry.key(), Shape::default()).last().expect("every key has places");
    assert!(m.write(E::TABLE, at, &entry.pack()));
}

/// Removes what `put` put there.
pub fn take<E: Keyed>(m: &mut RefModel, key: E::Key) {
    let at = E::places(key, Shape::default()).last().expect("every key has places");
    assert!(m.write(E::TABLE, at, &Words::default()));
}

/// Listeners of a floating IP, TCP and UDP.
pub fn service(m: &mut RefModel, ip: u32, port: u16, nh: u16, local: u16) {
    for proto in [6, 17] {
        put(m, ServiceKey { valid: true, net: NET, proto, ip, port, nh, local, affinity: 0 });
    }
}

/// A floating IP's route: `sources` may answer.
pub fn address(m: &mut RefModel, ip: u32, nh: u16, service: ServiceAddress, sources: u16) {
    put(m, HostRoute { valid: true, vrf: VRF, ip, nh, service, sources, ..HostRoute::default() });
}

pub fn source(m: &mut RefModel, set: u16, ip: u32) {
    put(m, TunnelSource { valid: true, set, ip });
}

pub fn check_sources(m: &mut RefModel, vrf: u16, source_check: SourceCheck) {
    let entry = Vrf { valid: true, service_net: NET, source_check };
    assert!(m.write(TableId::Vrf, vrf.into(), &entry.pack()));
}

/// A frame on the wire for the fabric port.
pub fn wire(outer: &Ipv4) -> Vec<u8> {
    ethernet(FABRIC_MAC, 0x0200_0000_0333, None, 0x0800, &outer.bytes())
}

pub fn from(node: u32, label: u32, inner: &Ipv4) -> Vec<u8> {
    wire(&mpls_udp(node, NODE_B, MPLS_UDP_PORT, mpls(label, 64), &inner.bytes()))
}

pub fn from_a(label: u32, inner: &Ipv4) -> Vec<u8> {
    from(NODE_A, label, inner)
}

pub fn from_b(label: u32, inner: &Ipv4) -> Vec<u8> {
    wire(&mpls_udp(NODE_B, NODE_A, MPLS_UDP_PORT, mpls(label, 64), &inner.bytes()))
}

pub fn tunnel_to(sip: u32, dip: u32) -> NextHop {
    NextHop {
        valid: true,
        kind: NextHopKind::Tunnel,
        dmac: 0x0200_0000_0333,
        smac: 0x0200_0000_0222,
        sip,
        dip,
        ..NextHop::default()
    }
}

fn encap(vif: u8) -> NextHop {
    let dmac = 0x0200_0000_0000 + u64::from(vif);
    NextHop {
        valid: true,
        kind: NextHopKind::Encap,
        vif,
        dmac,
        smac: 0x0000_5e00_0100,
        ..NextHop::default()
    }
}

pub fn host_route(m: &mut RefModel, vrf: u16, ip: u32, nh: u16, label: Option<u32>) {
    put_host_route(m, vrf, ip, nh, label, false);
}

pub fn put_host_route(m: &mut RefModel, vrf: u16, ip: u32, nh: u16, label: Option<u32>, own: bool) {
    let r = HostRoute {
        valid: true,
        vrf,
        ip,
        nh,
        label: label.unwrap_or(0),
        label_valid: label.is_some(),
        service: ServiceAddress::No,
        sources: if own { SOURCES_NOBODY } else { SOURCES_KNOWN },
    };
    let at = row(key_hash(host_route_key(vrf, ip)), 1, HOST_ROUTE_ROWS_LOG2);
    assert!(m.write(TableId::HostRoute, bucket_index(1, at, 2, HOST_ROUTE_ROWS_LOG2), &r.pack()));
}

pub fn node(ip: u32) -> RefModel {
    let mut m = RefModel::new();
    m.set_enabled(true);
    let vif = |kind, nh, ip, rpf| Vif {
        valid: true,
        kind,
        vrf: VRF,
        nh,
        mac: FABRIC_MAC,
        ip,
        rpf,
        ..Vif::default()
    };
    m.write(TableId::Vif, 0, &vif(VifKind::Fabric, 0, ip, false).pack());
    m.write(TableId::Vif, 1, &vif(VifKind::Vhost, NH_VHOST, ip, false).pack());
    let vhost = NextHop {
        valid: true,
        kind: NextHopKind::Receive,
        vif: 1,
        dmac: FABRIC_MAC,
        smac: 0x0000_5e00_0100,
        ..NextHop::default()
    };
    m.write(TableId::NextHop, u32::from(NH_VHOST), &vhost.pack());
    check_sources(&mut m, VRF, SourceCheck::Strict);
    for known in [NODE_A, NODE_B] {
        source(&mut m, SOURCES_KNOWN, known);
    }
    m.write(TableId::Vif, 2, &vif(VifKind::Packet, 0, 0, false).pack());
    m
}

pub fn pod(m: &mut RefModel, number: u8, nh: u16, ip: u32, label: u32) {
    let vif = Vif {
        valid: true,
        kind: VifKind::Virtual,
        vrf: VRF,
        nh,
        mac: 2,
        ip,
        rpf: true,
        ..Vif::default()
    };
    m.write(TableId::Vif, u32::from(number), &vif.pack());
    m.write(TableId::NextHop, u32::from(nh), &encap(number).pack());
    m.write(
        TableId::Ilm,
        label,
        &Ilm { valid: true, nh, key_nh: nh, vrf: VRF, service: false }.pack(),
    );
    put_host_route(m, VRF, ip, nh, None, true);
}

/// Group at `base`: per slot None = hole, Some(drain), and the generation. Slot n pushes label 100 + n.
pub fn write_group(m: &mut RefModel, base: u32, slots: &[(Option<bool>, u8)]) {
    let mut live = Vec::new();
    for (i, (state, generation)) in slots.iter().enumerate() {
        let w = EcmpSlot {
            valid: state.is_some(),
            drain: *state == Some(true),
            nh: NH_TUNNEL,
            label: 100 + i as u32,
            generation: *generation,
            slot: i as u16,
            evict_udp: false,
            local: false,
        };
        m.write(TableId::Ecmp, base + i as u32, &w.pack());
        if *state == Some(false) {
            live.push(w);
        }
    }
    for (i, w) in live.iter().enumerate() {
        m.write(TableId::Ecmp, base + (slots.len() + i) as u32, &w.pack());
    }
    let group = NextHop {
        valid: true,
        kind: NextHopKind::Composite,
        base,
        slots: slots.len() as u16,
        live: live.len() as u16,
        hash_fields: 0x1f,
        ..NextHop::default()
    };
    m.write(TableId::NextHop, u32::from(NH_GROUP), &group.pack());
}

pub fn node_a_with_group(slots: &[Option<bool>]) -> RefModel {
    let mut m = node(NODE_A);
    pod(&mut m, 3, NH_CLIENT, CLIENT, 30);
    m.write(TableId::NextHop, u32::from(NH_TUNNEL), &tunnel_to(NODE_A, NODE_B).pack());
    write_group(&mut m, 400, &slots.iter().map(|s| (*s, 0)).collect::<Vec<_>>());
    address(&mut m, VIP, NH_GROUP, ServiceAddress::Reject, SOURCES_KNOWN);
    service(&mut m, VIP, 8888, NH_GROUP, 0);
    m
}

/// cent222: the client, and a group of one remote member with label 25.
pub fn node_a() -> RefModel {
    let mut m = node_a_with_group(&[Some(false)]);
    let w = EcmpSlot { valid: true, nh: NH_TUNNEL, label: 25, ..EcmpSlot::default() };
    m.write(TableId::Ecmp, 400, &w.pack());
    m.write(TableId::Ecmp, 401, &w.pack());
    m
}

/// cent333: the backend (label 24), the service's group (label 25), a local client, the way back to the remote client.
pub fn node_b() -> RefModel {
    let mut m = node(NODE_B);
    pod(&mut m, 3, NH_BACKEND, BACKEND, 24);
    pod(&mut m, 4, NH_LOCAL, LOCAL_CLIENT, 27);
    m.write(TableId::NextHop, u32::from(NH_TUNNEL), &tunnel_to(NODE_B, NODE_A).pack());
    m.write(
        TableId::Ilm,
        25,
        &Ilm { valid: true, nh: NH_BACKEND, key_nh: NH_BACKEND, vrf: VRF, service: false }.pack(),
    );
    m.write(
        TableId::Ilm,
        40,
        &Ilm { valid: true, nh: NH_TUNNEL, key_nh: NH_TUNNEL, vrf: VRF, service: false }.pack(),
    );
    address(&mut m, VIP, NH_MEMBERS, ServiceAddress::Reject, SOURCES_NOBODY);
    members(&mut m, NH_MEMBERS, 500, &[(NH_BACKEND, 9)]);
    service(&mut m, VIP, 8888, NH_MEMBERS, NH_MEMBERS);
    m.write(TableId::PrefixLength, 0, &PrefixLength { valid: true, len: 31 }.pack());
    let client = Prefix {
        valid: true,
        vrf: VRF,
        ip: CLIENT & !1,
        len: 31,
        nh: NH_TUNNEL,
        label: 30,
        label_valid: true,
        sources: SOURCES_KNOWN,
    };
    m.write(TableId::Prefix, client_prefix(), &client.pack());
    let map = FipMap {
        valid: true,
        generation: 3,
        pod_ip: BACKEND,
        pod_port: 80,
        vip: VIP,
        vip_port: 8888,
    };
    m.write(TableId::FipMap, 9, &map.pack());
    for (slot, proto) in [(0, 6), (1, 17)] {
        let at = row(key_hash(fip_key(3, proto, VIP, 8888)), 0, FIP_KEY_ROWS_LOG2);
        let k = FipKey { valid: true, vif: 3, proto, ip: VIP, port: 8888, map: 9 };
        m.write(TableId::FipKey, bucket_index(0, at, slot, FIP_KEY_ROWS_LOG2), &k.pack());
    }
    m
}

/// A group at `base` of members on this node, each a next hop and its mapping.
pub fn members(m: &mut RefModel, id: u16, base: u32, of: &[(u16, u32)]) {
    let words = of.iter().zip(0..).map(|(&(nh, map), slot)| EcmpSlot {
        valid: true,
        nh,
        label: map,
        slot,
        generation: 1,
        local: true,
        ..EcmpSlot::default()
    });
    for (at, word) in (base..).zip(words.clone().chain(words)) {
        m.write(TableId::Ecmp, at, &word.pack());
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
    m.write(TableId::NextHop, id.into(), &group.pack());
}

/// Marks what the backend sends from this port (0: in fragments) as only sent translated.
pub fn mark(m: &mut RefModel, proto: u8, port: u16) {
    let at = row(key_hash(fip_key(3, proto, BACKEND, port)), 1, FIP_KEY_ROWS_LOG2);
    let k = FipKey { valid: true, vif: 3, proto, ip: BACKEND, port, map: 0 };
    assert!(m.write(TableId::FipKey, bucket_index(1, at, 0, FIP_KEY_ROWS_LOG2), &k.pack()));
}
