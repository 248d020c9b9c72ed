//! Between names and table words: the one place that knows that this card speaks IPv4 only.

use std::net::{IpAddr, Ipv4Addr};

use penstock_abi::share;
use penstock_abi::table::{self, NextHopKind, TableEntry, TableId};
use penstock_compile::{
    FipKey, Hop, LabelEntry, NextHopKey, NextHopSpec, PlainKey, ServiceKey, VifEntry, VrfEntry,
};
use penstock_model::{FlowLimit, IpNet, MplsLabel, Protocol, Reason, VifId, VrfId};
use penstock_tables::{Tables, Usage};

use crate::maps::MapKey;

/// A reason in words.
pub(crate) fn text(text: impl Into<String>) -> Reason {
    Reason::Text { text: text.into() }
}

/// An address in a word.
fn ipv4(address: IpAddr) -> Result<u32, Reason> {
    match address {
        IpAddr::V4(address) => Ok(address.into()),
        IpAddr::V6(address) => {
            Err(text(format!("the card knows IPv4 only, and {address} is not such an address")))
        }
    }
}

fn optional(address: Option<IpAddr>) -> Result<u32, Reason> {
    address.map_or(Ok(0), ipv4)
}

/// An address out of a word.
pub(crate) fn address(word: u32) -> IpAddr {
    Ipv4Addr::from(word).into()
}

/// An entry, if all of it fits.
pub(crate) fn fits<E: TableEntry>(entry: E) -> Result<E, Reason> {
    match entry.check() {
        Ok(()) => Ok(entry),
        Err(overflow) => Err(text(format!("it does not fit the card: {overflow}"))),
    }
}

/// What identifies a next hop of the card; none for groups and for kinds that are not compiled.
pub(crate) fn next_hop_key(word: &table::NextHop) -> Option<NextHopKey> {
    match word.kind {
        NextHopKind::Discard => Some(NextHopKey::Discard),
        NextHopKind::Reject => Some(NextHopKey::Reject),
        NextHopKind::Encap => Some(NextHopKey::Encap(VifId(word.vif))),
        NextHopKind::Receive => Some(NextHopKey::Receive(VifId(word.vif))),
        NextHopKind::Tunnel if word.gre => Some(NextHopKey::TunnelGre(address(word.dip))),
        NextHopKind::Tunnel => Some(NextHopKey::TunnelUdp(address(word.dip))),
        _ => None,
    }
}

pub(crate) fn next_hop(key: NextHopKey, spec: &NextHopSpec) -> Result<table::NextHop, Reason> {
    let plain = table::NextHop {
        valid: true,
        dmac: spec.dmac.to_bits(),
        smac: spec.smac.to_bits(),
        ..table::NextHop::default()
    };
    let tunnel = |dip: IpAddr, gre| {
        Ok(table::NextHop {
            kind: NextHopKind::Tunnel,
            sip: optional(spec.source)?,
            dip: ipv4(dip)?,
            gre,
            ..plain
        })
    };
    fits(match key {
        NextHopKey::Discard => table::NextHop { kind: NextHopKind::Discard, ..plain },
        NextHopKey::Reject => table::NextHop { kind: NextHopKind::Reject, ..plain },
        NextHopKey::Encap(vif) => table::NextHop { kind: NextHopKind::Encap, vif: vif.0, ..plain },
        NextHopKey::Receive(vif) => {
            table::NextHop { kind: NextHopKind::Receive, vif: vif.0, ..plain }
        }
        NextHopKey::TunnelUdp(dip) => tunnel(dip, false)?,
        NextHopKey::TunnelGre(dip) => tunnel(dip, true)?,
    })
}

/// A vif, with the index of the mapping under which it begins connections if it does.
pub(crate) fn vif(entry: &VifEntry, nh: u16, egress: u16) -> Result<table::Vif, Reason> {
    let egress_vrf = entry.egress.map_or(0, |egress| egress.vrf.0);
    fits(table::Vif {
        valid: true,
        kind: entry.kind,
        vrf: entry.vrf.0,
        nh,
        mac: entry.mac.to_bits(),
        ip: optional(entry.address)?,
        rpf: entry.rpf,
        learn: entry.learn,
        egress: egress != 0,
        egress_vrf: if egress == 0 { 0 } else { egress_vrf },
        egress_map: egress,
    })
}

pub(crate) fn label(entry: &LabelEntry, nh: u16) -> Result<table::Ilm, Reason> {
    let service = entry.service.is_some();
    // What a service's label leads to say its listeners.
    let to = if service { 0 } else { nh };
    fits(table::Ilm { valid: true, nh: to, key_nh: nh, vrf: entry.vrf.0, service })
}

/// A route to `nh`, with the label of a hop.
pub(crate) fn route(
    (vrf, address): (VrfId, IpAddr),
    nh: u16,
    label: Option<MplsLabel>,
    (service, sources): (table::ServiceAddress, u16),
) -> Result<table::HostRoute, Reason> {
    let (label, label_valid) = label_fields(label);
    let ip = ipv4(address)?;
    fits(table::HostRoute { valid: true, vrf: vrf.0, ip, nh, label, label_valid, service, sources })
}

pub(crate) fn prefix(
    (vrf, prefix): (VrfId, IpNet),
    hop: Hop,
    nh: u16,
    sources: u16,
) -> Result<table::Prefix, Reason> {
    let (label, label_valid) = label_fields(hop.label);
    let (ip, len) = (ipv4(prefix.network())?, prefix.prefix_len());
    fits(table::Prefix { valid: true, vrf: vrf.0, ip, len, nh, label, label_valid, sources })
}

/// Of what no other route of a VRF matches.
pub(crate) fn default_route(hop: Hop, nh: u16, sources: u16) -> table::DefaultRoute {
    let (label, label_valid) = label_fields(hop.label);
    table::DefaultRoute { valid: true, nh, label, label_valid, sources }
}

pub(crate) fn vrf(entry: &VrfEntry) -> Result<table::Vrf, Reason> {
    let VrfEntry { service_net, source_check } = *entry;
    fits(table::Vrf { valid: true, service_net, source_check })
}

/// What a share of the flow table may have, on a card with this clock.
pub(crate) fn share(limit: &FlowLimit, clock_khz: u32) -> table::FlowShare {
    let FlowLimit { pairs, burst, per_second } = *limit;
    let fits = |pairs: u32| pairs.min(FlowLimit::PAIRS_MAX);
    table::FlowShare {
        valid: true,
        pairs: fits(pairs),
        burst: fits(burst),
        rate: share::rate(per_second, clock_khz),
    }
}

/// A listener's word, with the next hops of packets from vifs and from the fabric; nobody's clients are kept.
pub(crate) fn service(key: &ServiceKey, nh: u16, local: u16) -> Result<table::ServiceKey, Reason> {
    let proto = key.protocol.number();
    let ip = ipv4(key.address)?;
    let ServiceKey { net, port, .. } = *key;
    fits(table::ServiceKey { valid: true, net, proto, ip, port, nh, local, affinity: 0 })
}

/// What a listener's word is about; none for protocols that are not compiled.
pub(crate) fn service_name(word: &table::ServiceKey) -> Option<ServiceKey> {
    let protocol = Protocol::from_number(word.proto)?;
    Some(ServiceKey { address: address(word.ip), net: word.net, protocol, port: word.port })
}

pub(crate) fn plain_fip(key: &PlainKey, map: u16) -> Result<table::PlainFip, Reason> {
    fits(table::PlainFip { valid: true, vif: key.vif.0, ip: ipv4(key.address)?, map })
}

/// What a mapping says: it is of an address and port (0 without port map), and leads to another.
pub(crate) fn map_key(of: (IpAddr, u16), to: (IpAddr, u16)) -> Result<MapKey, Reason> {
    Ok((ipv4(of.0)?, of.1, ipv4(to.0)?, to.1))
}

/// The mapping of a member on this node; 0 for none.
pub(crate) fn local_map(word: &table::EcmpSlot) -> u16 {
    // 14 bits.
    (word.label & 0x3fff) as u16
}

/// The label of a group's member, 0 for none.
pub(crate) fn member_label(word: &table::EcmpSlot) -> u32 {
    if word.local { 0 } else { word.label }
}

/// The tunnel's far end, if a next hop is one.
pub(crate) fn far_end(word: &table::NextHop) -> Option<u32> {
    (word.valid && word.kind == NextHopKind::Tunnel).then_some(word.dip)
}

/// The same of what is desired; none for addresses that this card does not know.
pub(crate) fn tunnel_of(key: NextHopKey) -> Option<u32> {
    match key {
        NextHopKey::TunnelUdp(IpAddr::V4(address)) | NextHopKey::TunnelGre(IpAddr::V4(address)) => {
            Some(address.into())
        }
        _ => None,
    }
}

pub(crate) fn fip_key(key: &FipKey, map: u16) -> Result<table::FipKey, Reason> {
    fits(table::FipKey {
        valid: true,
        vif: key.vif.0,
        proto: key.protocol.number(),
        ip: ipv4(key.address)?,
        port: key.port,
        map,
    })
}

/// What a key's word is about; none for protocols that are not compiled.
pub(crate) fn fip_name(word: &table::FipKey) -> Option<FipKey> {
    Some(FipKey {
        vif: word.vif.into(),
        protocol: Protocol::from_number(word.proto)?,
        address: address(word.ip),
        port: word.port,
    })
}

/// What stands in place of a mapping that was removed: valid, so that a dump shows its generation, under a generation that no
/// flow has, and never pointed to.
pub(crate) fn tombstone(generation: u8) -> table::FipMap {
    table::FipMap { valid: true, generation, ..table::FipMap::default() }
}

pub(crate) fn is_tombstone(map: &table::FipMap) -> bool {
    *map == tombstone(map.generation)
}

/// The words of a label: 0 for none, as no valid label is 0.
pub(crate) fn label_fields(label: Option<MplsLabel>) -> (u32, bool) {
    label.map_or((0, false), |label| (label.0, true))
}

pub(crate) fn is_composite(word: &table::NextHop) -> bool {
    word.valid && word.kind == NextHopKind::Composite
}

/// How full a table is: of the mappings, those that are in use.
#[must_use]
pub fn usage(tables: &Tables, table: TableId) -> Usage {
    let usage = tables.usage(table);
    if table != TableId::FipMap {
        return usage;
    }
    let tombstones = tables.of::<table::FipMap>().values().filter(|map| is_tombstone(map)).count();
    // No more than there are indices.
    Usage { used: usage.used - tombstones as u32, ..usage }
}
