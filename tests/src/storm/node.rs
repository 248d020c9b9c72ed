//! The node in the storm, and its neighbours: what they are called, and the tables that say so.

use penstock_abi::hash::{fip_key, host_route_key, key_hash, row};
use penstock_abi::limits::{
    FIP_KEY_ROWS_LOG2, HOST_ROUTE_ROWS_LOG2, SOURCES_KNOWN, SOURCES_NOBODY,
};
use penstock_abi::table::{
    EcmpSlot, FipKey, FipMap, HostRoute, Ilm, NextHop, NextHopKind, Prefix, PrefixLength,
    TableEntry, TableId, Vif, VifKind, bucket_index,
};
use penstock_refmodel::r#gen::Write;
use penstock_refmodel::wire::{TCP, UDP};
use penstock_tables::Shape;
use penstock_tables::prefix::{PREFIX_LENGTHS, prefix_parts};

pub(super) const NODE: u32 = 0x0aa9_0001;
pub(super) const NODE_MAC: u64 = 0x0200_0000_00aa;
pub(super) const PEER: u32 = 0x0aa9_0002;
/// Where the far clients are after they have moved.
pub(super) const OTHER_PEER: u32 = 0x0aa9_0003;
pub(super) const STRANGER: u32 = 0x0aa9_0909;
pub(super) const POD_PORT: u16 = 8080;
/// Backends by vif, with address, next hop and label.
pub(super) const BACKENDS: [(u8, u32, u16, u32); 2] =
    [(5, 0x0a2f_0005, 15, 115), (6, 0x0a2f_0006, 16, 116)];
/// Clients: address, and vif if on this node.
pub(super) const CLIENTS: [(u32, Option<u8>); 4] =
    [(0x0a2f_0003, Some(3)), (0x0a2f_0004, Some(4)), (0x0a30_0001, None), (0x0a30_0002, None)];
/// What clients connect to: address, port, label. Two services of one pod, a group of both, and the pods themselves.
pub(super) const DESTINATIONS: [(u32, u16, u32); 5] = [
    (0x0a69_0001, 80, 121),
    (0x0a69_0002, 81, 122),
    (0x0a69_0003, 82, 123),
    (BACKENDS[0].1, POD_PORT, 115),
    (BACKENDS[1].1, POD_PORT, 116),
];
pub(super) const GROUP: usize = 2;
pub(super) const GROUP_NH: u16 = 40;
pub(super) const VRF: u16 = 1;

/// The group's words at a fresh place, then the group.
pub(super) fn group(base: u32, states: [bool; 2], generation: u8) -> Vec<Write> {
    let word = |n: usize| EcmpSlot {
        valid: states[n],
        nh: BACKENDS[n].2,
        generation,
        slot: n as u16,
        ..EcmpSlot::default()
    };
    let live: Vec<usize> = (0..2).filter(|&n| states[n]).collect();
    let words = [0, 1].into_iter().chain(live.iter().copied());
    let mut out: Vec<Write> =
        words.zip(base..).map(|(n, at)| (TableId::Ecmp, at, word(n).pack())).collect();
    let nh = NextHop {
        valid: true,
        kind: NextHopKind::Composite,
        base,
        slots: 2,
        live: live.len() as u16,
        hash_fields: 0x1f,
        ..NextHop::default()
    };
    out.push((TableId::NextHop, u32::from(GROUP_NH), nh.pack()));
    out
}

pub(super) fn tables() -> Vec<Write> {
    let mut out = Vec::new();
    let vif = |kind, nh, ip| Vif { valid: true, kind, vrf: VRF, nh, ip, ..Vif::default() };
    let fabric = Vif { mac: NODE_MAC, ..vif(VifKind::Fabric, 0, NODE) };
    out.push((TableId::Vif, 0, fabric.pack()));
    let mut pod = |number: u8, nh: u16, ip: u32| {
        let entry = Vif { rpf: true, ..vif(VifKind::Virtual, nh, ip) };
        let kind = NextHopKind::Encap;
        let encap = NextHop { valid: true, kind, vif: number, ..NextHop::default() };
        out.push((TableId::Vif, number.into(), entry.pack()));
        out.push((TableId::NextHop, nh.into(), encap.pack()));
        out.push(route(ip, nh, true));
    };
    for (ip, number) in CLIENTS.iter().filter_map(|c| Some((c.0, c.1?))) {
        pod(number, 10 + u16::from(number), ip);
    }
    for (number, ip, nh, _) in BACKENDS {
        pod(number, nh, ip);
    }
    for (nh, dip) in [(30, PEER), (31, OTHER_PEER)] {
        let kind = NextHopKind::Tunnel;
        let tunnel = NextHop { valid: true, kind, sip: NODE, dip, ..NextHop::default() };
        out.push((TableId::NextHop, nh, tunnel.pack()));
    }
    let lengths = PREFIX_LENGTHS.map(|len| PrefixLength { valid: true, len }.pack());
    out.extend((0..).zip(lengths).map(|(rank, word)| (TableId::PrefixLength, rank, word)));
    out.push(far_clients_at(PEER));
    out.extend(group(92, [true, true], 0));
    let nhs = [15, 15, GROUP_NH, 15, 16];
    for ((ip, _, label), nh) in DESTINATIONS.into_iter().zip(nhs) {
        out.push((
            TableId::Ilm,
            label,
            Ilm { valid: true, nh, key_nh: nh, vrf: VRF, service: false }.pack(),
        ));
        if !BACKENDS.iter().any(|b| b.1 == ip) {
            out.push(route(ip, nh, true));
        }
    }
    let mapped = [(0, 0), (1, 0), (GROUP, 0), (GROUP, 1)];
    for (map, (destination, backend)) in mapped.into_iter().enumerate() {
        let ((vip, vip_port, _), (vif, pod_ip, ..)) =
            (DESTINATIONS[destination], BACKENDS[backend]);
        let entry =
            FipMap { valid: true, generation: 1, pod_ip, pod_port: POD_PORT, vip, vip_port };
        out.push((TableId::FipMap, map as u32, entry.pack()));
        out.extend(keys(vif, vip, vip_port, map as u16));
    }
    for (vif, ip, ..) in BACKENDS {
        out.extend(keys(vif, ip, POD_PORT, 0));
    }
    out
}

/// The route to the far clients.
pub(super) fn far_clients_at(peer: u32) -> Write {
    let far = Prefix {
        valid: true,
        vrf: VRF,
        ip: 0x0a30_0000,
        len: 16,
        nh: if peer == PEER { 30 } else { 31 },
        label: 77,
        label_valid: true,
        sources: SOURCES_KNOWN,
    };
    let part = prefix_parts(far.vrf, far.ip, far.len).next().expect("one of 16 bits");
    let place = part.places(Shape::default()).next().expect("every part has places");
    (TableId::Prefix, place, far.pack())
}

fn route(ip: u32, nh: u16, own: bool) -> Write {
    let sources = if own { SOURCES_NOBODY } else { SOURCES_KNOWN };
    let r = HostRoute { valid: true, vrf: VRF, ip, nh, sources, ..HostRoute::default() };
    let at = row(key_hash(host_route_key(VRF, ip)), 0, HOST_ROUTE_ROWS_LOG2);
    (TableId::HostRoute, bucket_index(0, at, 0, HOST_ROUTE_ROWS_LOG2), r.pack())
}

/// For both protocols.
fn keys(vif: u8, ip: u32, port: u16, map: u16) -> [Write; 2] {
    [TCP, UDP].map(|proto| {
        let k = FipKey { valid: true, vif, proto, ip, port, map };
        let at = row(key_hash(fip_key(vif, proto, ip, port)), 0, FIP_KEY_ROWS_LOG2);
        (TableId::FipKey, bucket_index(0, at, 0, FIP_KEY_ROWS_LOG2), k.pack())
    })
}
