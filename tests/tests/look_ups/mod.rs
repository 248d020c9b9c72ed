//! A node of which each frame needs one look-up of its own: what is asked for before, beside and behind the routes.
#![allow(dead_code)] // Each test takes what it needs.

use penstock_abi::hash::FIELD_ALL;
use penstock_abi::table::{
    EcmpSlot, FipMap, HostRoute, Ilm, NextHop, NextHopKind, PlainFip, ServiceAddress, ServiceKey,
    SourceCheck, TableEntry, TableId, TunnelSource, Vif, VifKind, Vrf,
};
use penstock_refmodel::Ingress;
use penstock_refmodel::r#gen::Write;
use penstock_refmodel::packet::{ethernet, frame, mpls, mpls_udp, udp};
use penstock_tables::{Keyed, Shape};

const NODE: u32 = 0x0aa9_0001;
const NODE_MAC: u64 = 0x0200_0000_00aa;
const PEER: u32 = 0x0aa9_0002;
const CLIENT: (u8, u32, u16) = (5, 0x0a2f_0005, 15);
const BACKEND: (u8, u32, u16) = (6, 0x0a2f_0006, 16);
const FAR: u32 = 0x0a30_0001;
const SERVICE: u32 = 0x0a69_0001;
const FLOATING: u32 = 0xc633_6407;
const VRF: u16 = 1;
const SET: u16 = 2;
const LABEL: u32 = 116;
/// Interface by which all of the frames leave.
pub(crate) const OUT: u8 = BACKEND.0;

/// An entry in the first of its places.
fn keyed<E: Keyed>(entry: &E) -> Write {
    let place = E::places(entry.key(), Shape::default()).next().expect("every key has places");
    (E::TABLE, place, entry.pack())
}

/// The tables.
pub(crate) fn tables() -> Vec<Write> {
    let mut out = Vec::new();
    let vif = |kind, nh, ip| Vif { valid: true, kind, vrf: VRF, nh, ip, ..Vif::default() };
    let fabric = Vif { mac: NODE_MAC, ..vif(VifKind::Fabric, 0, NODE) };
    out.push((TableId::Vif, 0, fabric.pack()));
    let kind = NextHopKind::Tunnel;
    let tunnel = NextHop { valid: true, kind, sip: NODE, dip: PEER, ..NextHop::default() };
    out.push((TableId::NextHop, 30, tunnel.pack()));
    let route = |ip, nh| HostRoute { valid: true, vrf: VRF, ip, nh, ..HostRoute::default() };
    for (number, ip, nh) in [CLIENT, BACKEND] {
        let encap =
            NextHop { valid: true, kind: NextHopKind::Encap, vif: number, ..NextHop::default() };
        out.push((TableId::Vif, number.into(), vif(VifKind::Virtual, nh, ip).pack()));
        out.push((TableId::NextHop, nh.into(), encap.pack()));
        out.push(keyed(&route(ip, nh)));
    }
    let far = HostRoute { label: 77, label_valid: true, sources: SET, ..route(FAR, 30) };
    out.push(keyed(&far));
    out.push(keyed(&route(FLOATING, BACKEND.2)));
    out.push(keyed(&HostRoute { service: ServiceAddress::Reject, ..route(SERVICE, 40) }));
    let ilm = Ilm { valid: true, nh: BACKEND.2, key_nh: BACKEND.2, vrf: VRF, service: false };
    out.push((TableId::Ilm, LABEL, ilm.pack()));
    let kind = NextHopKind::Composite;
    let hash_fields = FIELD_ALL;
    let group = NextHop { valid: true, kind, slots: 1, live: 1, hash_fields, ..NextHop::default() };
    out.push((TableId::NextHop, 40, group.pack()));
    let member =
        EcmpSlot { valid: true, nh: BACKEND.2, label: 1, local: true, ..EcmpSlot::default() };
    out.extend([0, 1].map(|n| (TableId::Ecmp, n, member.pack())));
    let map = |vip, vip_port, pod_port| FipMap {
        valid: true,
        generation: 1,
        pod_ip: BACKEND.1,
        pod_port,
        vip,
        vip_port,
    };
    out.push((TableId::FipMap, 1, map(SERVICE, 53, 5353).pack()));
    out.push((TableId::FipMap, 2, map(FLOATING, 0, 0).pack()));
    out.extend([vrf(), service_key(), tunnel_source(), plain_fip()]);
    out
}

fn vrf() -> Write {
    let entry = Vrf { valid: true, service_net: 3, source_check: SourceCheck::Strict };
    (TableId::Vrf, VRF.into(), entry.pack())
}

fn service_key() -> Write {
    let proto = 17;
    let ip = SERVICE;
    keyed(&ServiceKey { valid: true, net: 3, proto, ip, port: 53, nh: 40, local: 40, affinity: 0 })
}

fn tunnel_source() -> Write {
    keyed(&TunnelSource { valid: true, set: SET, ip: PEER })
}

fn plain_fip() -> Write {
    keyed(&PlainFip { valid: true, vif: BACKEND.0, ip: FLOATING, map: 2 })
}

/// An entry, and the n-th frame that needs it, each of a flow of its own.
pub(crate) type Need = (Write, fn(u16) -> (Ingress, Vec<u8>));

/// Each table with a frame that needs its entry.
pub(crate) fn needs() -> [Need; 4] {
    fn from_client(to: u32, n: u16) -> (Ingress, Vec<u8>) {
        (Ingress::Host(CLIENT.0), frame(&udp(CLIENT.1, to, 2000 + n, 53, b"found?")))
    }
    [
        (vrf(), |n| from_client(SERVICE, n)),
        (service_key(), |n| from_client(SERVICE, 100 + n)),
        (tunnel_source(), |n| {
            let inner = udp(FAR, BACKEND.1, 3000 + n, 53, b"found?");
            let outer = mpls_udp(PEER, NODE, 6635, mpls(LABEL, 64), &inner.bytes());
            (Ingress::Fabric, ethernet(NODE_MAC, 2, None, 0x0800, &outer.bytes()))
        }),
        (plain_fip(), |n| from_client(FLOATING, n)),
    ]
}
