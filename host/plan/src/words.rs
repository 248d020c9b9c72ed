//! Between names and table words: the one place that knows that this card speaks IPv4 only.

use std::net::{IpAddr, Ipv4Addr};

use penstock_abi::limits::{SOURCES_KNOWN, SOURCES_NOBODY};
use penstock_abi::table::{self, NextHopKind, TableEntry, TableId};
use penstock_compile::{FipKey, FipTarget, Hop, LabelEntry, NextHopKey, NextHopSpec, VifEntry};
use penstock_model::{IpNet, MplsLabel, Protocol, Reason, VifId, VrfId};
use penstock_tables::{Tables, Usage};

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
        NextHopKey::TunnelUdp(dip) => tunnel(dip, false)?,
        NextHopKey::TunnelGre(dip) => tunnel(dip, true)?,
    })
}

pub(crate) fn vif(entry: &VifEntry, nh: u16) -> Result<table::Vif, Reason> {
    fits(table::Vif {
        valid: true,
        kind: entry.kind,
        vrf: entry.vrf.0,
        nh,
        mac: entry.mac.to_bits(),
        ip: optional(entry.address)?,
        rpf: entry.rpf,
        learn: entry.learn,
        ..table::Vif::default()
    })
}

pub(crate) fn label(entry: &LabelEntry, nh: u16) -> Result<table::Ilm, Reason> {
    fits(table::Ilm { valid: true, nh, key_nh: nh, vrf: entry.vrf.0, service: false })
}

/// The set of sources of an address: nobody's, if it is on this node only.
pub(crate) const fn sources(own: bool) -> u16 {
    if own { SOURCES_NOBODY } else { SOURCES_KNOWN }
}

/// Whether no packet from the fabric may have the route's address as its source.
pub(crate) const fn is_own(route: &table::HostRoute) -> bool {
    route.sources == SOURCES_NOBODY
}

/// A route to `nh`, with the label of a hop.
pub(crate) fn route(
    (vrf, address): (VrfId, IpAddr),
    nh: u16,
    label: Option<MplsLabel>,
    own: bool,
) -> Result<table::HostRoute, Reason> {
    let (label, label_valid) = label_fields(label);
    let ip = ipv4(address)?;
    let service = table::ServiceAddress::No;
    let sources = sources(own);
    fits(table::HostRoute { valid: true, vrf: vrf.0, ip, nh, label, label_valid, service, sources })
}

pub(crate) fn prefix(
    (vrf, prefix): (VrfId, IpNet),
    hop: Hop,
    nh: u16,
) -> Result<table::Prefix, Reason> {
    let (label, label_valid) = label_fields(hop.label);
    let (ip, len) = (ipv4(prefix.network())?, prefix.prefix_len());
    let sources = SOURCES_KNOWN;
    fits(table::Prefix { valid: true, vrf: vrf.0, ip, len, nh, label, label_valid, sources })
}

/// Of what no other route of a VRF matches.
pub(crate) fn default_route(hop: Hop, nh: u16) -> table::DefaultRoute {
    let (label, label_valid) = label_fields(hop.label);
    table::DefaultRoute { valid: true, nh, label, label_valid, sources: SOURCES_KNOWN }
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

pub(crate) fn fip_map(
    key: &FipKey,
    target: &FipTarget,
    generation: u8,
) -> Result<table::FipMap, Reason> {
    fits(table::FipMap {
        valid: true,
        generation,
        pod_ip: ipv4(target.address)?,
        pod_port: target.port,
        vip: ipv4(key.address)?,
        vip_port: key.port,
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
