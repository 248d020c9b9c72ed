//! Between names and table words.

use std::net::Ipv4Addr;

use penstock_abi::table::{self, NextHopKind, TableId};
use penstock_compile::{FipKey, FipTarget, LabelEntry, NextHopKey, NextHopSpec, VifEntry};
use penstock_model::VifId;
use penstock_tables::{Tables, Usage};

/// What identifies a next hop of the card; none for groups and for kinds that are not compiled.
pub(crate) fn next_hop_key(word: &table::NextHop) -> Option<NextHopKey> {
    match word.kind {
        NextHopKind::Discard => Some(NextHopKey::Discard),
        NextHopKind::Reject => Some(NextHopKey::Reject),
        NextHopKind::Encap => Some(NextHopKey::Encap(VifId(word.vif))),
        NextHopKind::Tunnel if word.gre => Some(NextHopKey::TunnelGre(word.dip.into())),
        NextHopKind::Tunnel => Some(NextHopKey::TunnelUdp(word.dip.into())),
        _ => None,
    }
}

pub(crate) fn next_hop(key: NextHopKey, spec: &NextHopSpec) -> table::NextHop {
    let plain = table::NextHop {
        valid: true,
        dmac: spec.dmac.to_bits(),
        smac: spec.smac.to_bits(),
        ..table::NextHop::default()
    };
    let tunnel = |dip: Ipv4Addr, gre| table::NextHop {
        kind: NextHopKind::Tunnel,
        sip: spec.source.map_or(0, u32::from),
        dip: dip.into(),
        gre,
        ..plain
    };
    match key {
        NextHopKey::Discard => table::NextHop { kind: NextHopKind::Discard, ..plain },
        NextHopKey::Reject => table::NextHop { kind: NextHopKind::Reject, ..plain },
        NextHopKey::Encap(vif) => table::NextHop { kind: NextHopKind::Encap, vif: vif.0, ..plain },
        NextHopKey::TunnelUdp(dip) => tunnel(dip, false),
        NextHopKey::TunnelGre(dip) => tunnel(dip, true),
    }
}

pub(crate) fn vif(entry: &VifEntry, nh: u16) -> table::Vif {
    table::Vif {
        valid: true,
        kind: entry.kind,
        vrf: entry.vrf.0,
        nh,
        mac: entry.mac.to_bits(),
        ip: entry.address.map_or(0, u32::from),
        rpf: entry.rpf,
    }
}

pub(crate) fn label(entry: &LabelEntry, nh: u16) -> table::Ilm {
    table::Ilm { valid: true, nh, key_nh: nh, vrf: entry.vrf.0 }
}

pub(crate) fn fip_key(key: &FipKey, map: u16) -> table::FipKey {
    table::FipKey {
        valid: true,
        vif: key.vif.0,
        proto: key.protocol.number(),
        ip: key.address.into(),
        port: key.port,
        map,
    }
}

pub(crate) fn fip_map(key: &FipKey, target: &FipTarget, generation: u8) -> table::FipMap {
    table::FipMap {
        valid: true,
        generation,
        pod_ip: target.address.into(),
        pod_port: target.port,
        vip: key.address.into(),
        vip_port: key.port,
    }
}

/// What stands in place of a mapping that was removed: valid, so that a dump shows its generation, under a generation that no
/// flow has, and never pointed to.
pub(crate) fn tombstone(generation: u8) -> table::FipMap {
    table::FipMap { valid: true, generation, ..table::FipMap::default() }
}

/// Whether a mapping was removed: its entry only keeps the generation for the next one at its index.
pub(crate) fn is_tombstone(map: &table::FipMap) -> bool {
    *map == tombstone(map.generation)
}

/// How full a table is. What stands in place of a mapping that was removed does not count: the next one may have its place.
#[must_use]
pub fn usage(tables: &Tables, table: TableId) -> Usage {
    let usage = tables.usage(table);
    if table != TableId::FipMap {
        return usage;
    }
    let removed = tables.of::<table::FipMap>().values().filter(|map| is_tombstone(map)).count();
    // No more than are there.
    Usage { used: usage.used - removed as u32, ..usage }
}
