//! The node in the storm, and its neighbours: what they are called, and the tables that say so.

use penstock_abi::limits::{SOURCES_NOBODY, VIF_VHOST};
use penstock_abi::table::{
    EcmpSlot, FipKey, FipMap, HostRoute, Ilm, NextHop, NextHopKind, Prefix, PrefixLength,
    ServiceAddress, ServiceKey, SourceCheck, TableEntry, TableId, TunnelSource, Vif, VifKind, Vrf,
};
use penstock_refmodel::r#gen::Write;
use penstock_refmodel::wire::{TCP, UDP};
use penstock_tables::prefix::{PREFIX_LENGTHS, prefix_parts};
use penstock_tables::{Keyed, Shape};

pub(crate) const NODE: u32 = 0x0aa9_0001;
pub(crate) const NODE_MAC: u64 = 0x0200_0000_00aa;
pub(crate) const PEER: u32 = 0x0aa9_0002;
/// Where the far clients are after they have moved.
pub(crate) const OTHER_PEER: u32 = 0x0aa9_0003;
pub(crate) const STRANGER: u32 = 0x0aa9_0909;
pub(crate) const POD_PORT: u16 = 8080;
/// Backends by vif, with address, next hop and label.
pub(crate) const BACKENDS: [(u8, u32, u16, u32); 2] =
    [(5, 0x0a2f_0005, 15, 115), (6, 0x0a2f_0006, 16, 116)];
/// Clients: address, and vif if on this node. The last is the node itself.
pub(crate) const CLIENTS: [(u32, Option<u8>); 5] = [
    (0x0a2f_0003, Some(3)),
    (0x0a2f_0004, Some(4)),
    (0x0a30_0001, None),
    (0x0a30_0002, None),
    (NODE, Some(VIF_VHOST)),
];
/// What clients connect to: address, port, label. Two services of one pod, a service of both, and the pods themselves.
pub(crate) const DESTINATIONS: [(u32, u16, u32); 5] = [
    (0x0a69_0001, 80, 121),
    (0x0a69_0002, 81, 122),
    (0x0a69_0003, 82, 123),
    (BACKENDS[0].1, POD_PORT, 115),
    (BACKENDS[1].1, POD_PORT, 116),
];
/// The service of both.
pub(crate) const GROUP: usize = 2;
/// Groups of the services.
const GROUP_NHS: [u16; 3] = [41, 42, 40];
/// Mappings: service and backend of each, from 1.
const MAPPED: [(usize, usize); 4] = [(0, 0), (1, 0), (GROUP, 0), (GROUP, 1)];
const VRF: u16 = 1;
const NET: u16 = 1;
/// Set of the tunnels by which the far clients come.
const FAR_SOURCES: u16 = 2;

/// Label under which a far client's packets come: the service's, or, as half of the far nodes choose the member themselves, that of a pod.
pub(crate) fn label_of(to: usize, port: u16) -> u32 {
    match to {
        GROUP if port & 3 == 3 => BACKENDS[1].3,
        0..=GROUP if port & 1 == 1 => BACKENDS[0].3,
        _ => DESTINATIONS[to].2,
    }
}

/// The words of a service's group at a fresh place, then the group; only members in `states` are there.
fn members(service: usize, base: u32, states: &[bool], generation: u8) -> Vec<Write> {
    let word = |n: usize| EcmpSlot {
        valid: states[n],
        nh: BACKENDS[n].2,
        label: (1..).zip(MAPPED).find(|(_, m)| *m == (service, n)).map_or(0, |(map, _)| map),
        local: true,
        generation,
        slot: n as u16,
        ..EcmpSlot::default()
    };
    let live: Vec<usize> = (0..states.len()).filter(|&n| states[n]).collect();
    let words = (0..states.len()).chain(live.iter().copied());
    let mut out: Vec<Write> =
        words.zip(base..).map(|(n, at)| (TableId::Ecmp, at, word(n).pack())).collect();
    let nh = NextHop {
        valid: true,
        kind: NextHopKind::Composite,
        base,
        slots: states.len() as u16,
        live: live.len() as u16,
        hash_fields: 0x1f,
        ..NextHop::default()
    };
    out.push((TableId::NextHop, u32::from(GROUP_NHS[service]), nh.pack()));
    out
}

/// The group of both backends at a fresh place.
pub(crate) fn group(base: u32, states: [bool; 2], generation: u8) -> Vec<Write> {
    members(GROUP, base, &states, generation)
}

/// An entry in the first of its places: all keys here have rows of their own.
fn keyed<E: Keyed>(entry: &E) -> Write {
    let place = E::places(entry.key(), Shape::default()).next().expect("every key has places");
    (E::TABLE, place, entry.pack())
}

pub(crate) fn tables() -> Vec<Write> {
    let mut out = Vec::new();
    let vif = |kind, nh, ip| Vif { valid: true, kind, vrf: VRF, nh, ip, ..Vif::default() };
    let fabric = Vif { mac: NODE_MAC, ..vif(VifKind::Fabric, 0, NODE) };
    out.push((TableId::Vif, 0, fabric.pack()));
    let vrf = Vrf { valid: true, service_net: NET, source_check: SourceCheck::Strict };
    out.push((TableId::Vrf, VRF.into(), vrf.pack()));
    let mut end_point = |number: u8, nh: u16, ip: u32| {
        let (kind, nh_kind) = match number {
            VIF_VHOST => (VifKind::Vhost, NextHopKind::Receive),
            _ => (VifKind::Virtual, NextHopKind::Encap),
        };
        let entry = Vif { rpf: true, ..vif(kind, nh, ip) };
        let delivers = NextHop { valid: true, kind: nh_kind, vif: number, ..NextHop::default() };
        out.push((TableId::Vif, number.into(), entry.pack()));
        out.push((TableId::NextHop, nh.into(), delivers.pack()));
        out.push(route(ip, nh, ServiceAddress::No));
    };
    for (ip, number) in CLIENTS.iter().filter_map(|c| Some((c.0, c.1?))) {
        end_point(number, 10 + u16::from(number), ip);
    }
    for (number, ip, nh, _) in BACKENDS {
        end_point(number, nh, ip);
    }
    for (nh, dip) in [(30, PEER), (31, OTHER_PEER)] {
        let kind = NextHopKind::Tunnel;
        let tunnel = NextHop { valid: true, kind, sip: NODE, dip, ..NextHop::default() };
        out.push((TableId::NextHop, nh, tunnel.pack()));
        out.push(keyed(&TunnelSource { valid: true, set: FAR_SOURCES, ip: dip }));
    }
    let lengths = PREFIX_LENGTHS.map(|len| PrefixLength { valid: true, len }.pack());
    out.extend((0..).zip(lengths).map(|(rank, word)| (TableId::PrefixLength, rank, word)));
    out.push(far_clients_at(PEER));
    out.extend(members(0, 80, &[true], 0));
    out.extend(members(1, 84, &[true], 0));
    out.extend(group(92, [true, true], 0));
    for (_, _, nh, label) in BACKENDS {
        let ilm = Ilm { valid: true, nh, key_nh: nh, vrf: VRF, service: false };
        out.push((TableId::Ilm, label, ilm.pack()));
    }
    for ((ip, port, label), nh) in DESTINATIONS.into_iter().zip(GROUP_NHS) {
        let ilm = Ilm { valid: true, nh, key_nh: nh, vrf: VRF, service: true };
        out.push((TableId::Ilm, label, ilm.pack()));
        out.push(route(ip, nh, ServiceAddress::Reject));
        for proto in [TCP, UDP] {
            let key =
                ServiceKey { valid: true, net: NET, proto, ip, port, nh, local: nh, affinity: 0 };
            out.push(keyed(&key));
        }
    }
    for (map, (destination, backend)) in (1..).zip(MAPPED) {
        let ((vip, vip_port, _), (vif, pod_ip, ..)) =
            (DESTINATIONS[destination], BACKENDS[backend]);
        let entry =
            FipMap { valid: true, generation: 1, pod_ip, pod_port: POD_PORT, vip, vip_port };
        out.push((TableId::FipMap, map.into(), entry.pack()));
        out.extend(keys(vif, vip, vip_port, map));
    }
    for (vif, ip, ..) in BACKENDS {
        out.extend(keys(vif, ip, POD_PORT, 0));
    }
    out
}

/// The route to the far clients.
pub(crate) fn far_clients_at(peer: u32) -> Write {
    let far = Prefix {
        valid: true,
        vrf: VRF,
        ip: 0x0a30_0000,
        len: 16,
        nh: if peer == PEER { 30 } else { 31 },
        label: 77,
        label_valid: true,
        sources: FAR_SOURCES,
    };
    let part = prefix_parts(far.vrf, far.ip, far.len).next().expect("one of 16 bits");
    let place = part.places(Shape::default()).next().expect("every part has places");
    (TableId::Prefix, place, far.pack())
}

/// A route to an address of this node, or to a service whose members are all here.
fn route(ip: u32, nh: u16, service: ServiceAddress) -> Write {
    let sources = SOURCES_NOBODY;
    keyed(&HostRoute { valid: true, vrf: VRF, ip, nh, service, sources, ..HostRoute::default() })
}

/// For both protocols.
fn keys(vif: u8, ip: u32, port: u16, map: u16) -> [Write; 2] {
    [TCP, UDP].map(|proto| keyed(&FipKey { valid: true, vif, proto, ip, port, map }))
}
