//! Whose an entry or a key of the card is.

use std::net::IpAddr;

use penstock_abi::table::NextHopKind;
use penstock_compile::Compiled;
use penstock_model::{Intent, IpNet, MplsLabel, ObjectId, VifId, VrfId};
use penstock_tables::Entry;

/// The object that an entry of the card's configuration serves. None if it serves several, or nobody.
pub(super) fn entry(
    intent: &Intent,
    compiled: &Compiled,
    index: u32,
    entry: &Entry,
) -> Option<ObjectId> {
    match entry {
        Entry::Vif(_) | Entry::FlowShare(_) => vif(intent, VifId(u8::try_from(index).ok()?)),
        Entry::Ilm(_) => label(intent, MplsLabel(index)),
        Entry::NextHop(hop) => match hop.kind {
            NextHopKind::Encap => vif(intent, VifId(hop.vif)),
            NextHopKind::Tunnel => peer(intent, v4(hop.dip)),
            _ => None,
        },
        Entry::HostRoute(host) => address(intent, compiled, VrfId(host.vrf), v4(host.ip)),
        Entry::Prefix(prefix) => {
            let announced = IpNet::new(v4(prefix.ip), prefix.len).ok()?.trunc();
            route(intent, VrfId(prefix.vrf), announced)
        }
        Entry::DefaultRoute(_) => {
            let all = IpNet::new(v4(0), 0).ok()?;
            route(intent, VrfId(u16::try_from(index).ok()?), all)
        }
        Entry::FipKey(key) => compiled.owners.get(&v4(key.ip)).cloned(),
        Entry::ServiceKey(key) => compiled.owners.get(&v4(key.ip)).cloned(),
        Entry::PlainFip(key) => compiled.owners.get(&v4(key.ip)).cloned(),
        _ => None,
    }
}

/// The owner of a host's or a floating address in a VRF.
pub(super) fn address(
    intent: &Intent,
    compiled: &Compiled,
    vrf: VrfId,
    address: IpAddr,
) -> Option<ObjectId> {
    let owner = compiled.owners.get(&address).cloned();
    owner.or_else(|| pod(intent, address)).or_else(|| route(intent, vrf, address.into()))
}

/// A vif, by its number.
pub(super) fn vif(intent: &Intent, id: VifId) -> Option<ObjectId> {
    intent.vifs.get(&id).map(|vif| ObjectId::Vif(vif.name.clone()))
}

/// The vif that a label leads to, or the floating IP whose it is.
pub(super) fn label(intent: &Intent, label: MplsLabel) -> Option<ObjectId> {
    let vif = intent.vifs.values().find(|vif| vif.label == label);
    let vif = vif.map(|vif| ObjectId::Vif(vif.name.clone()));
    let ip = || intent.floating_ips.values().find(|ip| ip.label == label);
    vif.or_else(|| ip().map(|ip| ObjectId::FloatingIp(ip.name.clone())))
}

/// The peer at an address.
pub(super) fn peer(intent: &Intent, address: IpAddr) -> Option<ObjectId> {
    let peer = intent.peers.values().find(|peer| peer.address == address);
    peer.map(|peer| ObjectId::Peer(peer.name.clone()))
}

/// The best route to a prefix.
pub(super) fn route(intent: &Intent, vrf: VrfId, prefix: IpNet) -> Option<ObjectId> {
    let best = intent.rib.get(&(vrf, prefix))?.first()?;
    Some(ObjectId::Route { announcer: best.announcer.to_string(), prefix })
}

fn pod(intent: &Intent, address: IpAddr) -> Option<ObjectId> {
    let vif = intent.vifs.values().find(|vif| vif.address == address);
    vif.map(|vif| ObjectId::Vif(vif.name.clone()))
}

fn v4(address: u32) -> IpAddr {
    IpAddr::V4(address.into())
}
