//! What differs from the last intent: vifs, the RIB, peers.

use penstock_abi::limits;
use penstock_abi::table::{LearnPolicy, VifKind};
use penstock_model::{Advertisement, Finding, Intent, IpNet, MacAddr, ObjectId, PodVif, Reason};

use super::{Context, Dirty, Places, ipv6, no_shares, out_of_range, to_vif, tunnel};
use crate::book::Teller;
use crate::maps::{changes, put};
use crate::site::Site;
use crate::{LabelEntry, NextHopSpec, VifEntry};

impl Places {
    pub(super) fn take_vifs(&mut self, intent: &Intent, cx: &mut Context<'_>, dirty: &mut Dirty) {
        let (gone, came) = changes(&mut self.vifs, &intent.vifs);
        for (id, vif) in gone {
            cx.book.say(&Teller::Vif(id), Vec::new());
            if vif_fault(&vif, cx).is_none() {
                self.vif_count -= 1;
                self.change(vif.address, |place| place.vif = None);
                set_vif(&vif, false, cx, dirty);
            }
        }
        for (id, vif) in came {
            if let Some(reason) = vif_fault(&vif, cx) {
                let about = ObjectId::Vif(vif.name.clone());
                cx.book.say(&Teller::Vif(id), vec![(about, Finding::refused(reason))]);
            } else {
                let cannot = cx.shape.flow_shares == 0
                    && vif.flow_limit.is_some_and(|limit| !limit.is_none());
                let fault = || (ObjectId::Vif(vif.name.clone()), Finding::partial(no_shares()));
                cx.book.say(&Teller::Vif(id), cannot.then(fault).into_iter().collect());
                self.vif_count += 1;
                self.change(vif.address, |place| place.vif = Some(vif.clone()));
                set_vif(&vif, true, cx, dirty);
            }
        }
    }

    pub(super) fn take_rib(&mut self, intent: &Intent, site: &Site, dirty: &mut Dirty) {
        let (gone, came) = changes(&mut self.rib, &intent.rib);
        for (key, paths) in gone {
            dirty.keys.insert(key);
            for tunnel in paths.iter().filter_map(|path| tunnel(key.1, path, site).ok()) {
                if let Some(keys) = self.tunnels.get_mut(&tunnel) {
                    keys.remove(&key);
                }
                dirty.tunnels.insert(tunnel);
            }
        }
        for (key, paths) in came {
            dirty.keys.insert(key);
            if !site.has_vrf(key.0) {
                continue;
            }
            for tunnel in paths.iter().filter_map(|path| tunnel(key.1, path, site).ok()) {
                self.tunnels.entry(tunnel).or_default().insert(key);
                dirty.tunnels.insert(tunnel);
            }
        }
    }

    pub(super) fn take_peers(&mut self, intent: &Intent, cx: &mut Context<'_>, dirty: &mut Dirty) {
        let (gone, came) = changes(&mut self.peers, &intent.peers);
        for (name, peer) in gone {
            self.change(peer.address, |place| {
                place.peers.remove(&name);
            });
            dirty.addresses.insert(peer.address);
            dirty.end_points.insert(peer.address);
            cx.book.say(&Teller::Peer(name), Vec::new());
        }
        for (name, peer) in came {
            if peer.address.is_ipv6() {
                let about = ObjectId::Peer(name.clone());
                let finding = Finding::refused(ipv6("tunnel end point", peer.address));
                cx.book.say(&Teller::Peer(name.clone()), vec![(about, finding)]);
            }
            dirty.addresses.insert(peer.address);
            dirty.end_points.insert(peer.address);
            self.change(peer.address, |place| {
                place.peers.insert(name);
            });
        }
    }
}

/// Why a vif cannot be, whatever the others are.
fn vif_fault(vif: &PodVif, cx: &Context<'_>) -> Option<Reason> {
    if vif.address.is_ipv6() {
        return Some(ipv6("address", vif.address));
    }
    let first = limits::VIF_FIRST_POD.into();
    out_of_range("vif", vif.id.0.into(), first, cx.shape.vifs.saturating_sub(1))
        .or_else(|| {
            out_of_range(
                "label",
                vif.label.0,
                limits::LABEL_FIRST,
                cx.shape.labels.saturating_sub(1),
            )
        })
        .or_else(|| {
            (!cx.site.has_vrf(vif.vrf)).then(|| Reason::Invalid {
                place: String::new(),
                text: format!("VRF {} is none of this node's", vif.vrf),
            })
        })
}

/// The entries that a vif has, or has no longer.
fn set_vif(vif: &PodVif, there: bool, cx: &mut Context<'_>, dirty: &mut Dirty) {
    let prefix = IpNet::from(vif.address);
    let hop = to_vif(vif.id);
    let spec = NextHopSpec { dmac: vif.mac, smac: MacAddr::GATEWAY, source: None };
    let entry = VifEntry {
        kind: VifKind::Virtual,
        vrf: vif.vrf,
        mac: vif.mac,
        address: Some(vif.address),
        rpf: true,
        next_hop: hop.next_hop,
        learn: match vif.learn {
            penstock_model::LearnPolicy::Always => LearnPolicy::Always,
            penstock_model::LearnPolicy::Translated => LearnPolicy::Translated,
            penstock_model::LearnPolicy::Never => LearnPolicy::Never,
        },
        egress: None,
    };
    let label = LabelEntry { next_hop: hop.next_hop, service: None, vrf: vif.vrf };
    let advertisement =
        Advertisement { vrf: vif.vrf, prefix, label: vif.label, next_hop: cx.site.address() };
    let desired = &mut cx.out.desired;
    put(&mut desired.next_hops, hop.next_hop, there.then_some(spec));
    put(&mut desired.vifs, vif.id, there.then_some(entry));
    let limit = vif.flow_limit.unwrap_or(cx.site.node.flow_limits.vifs);
    let limited = there && !limit.is_none() && cx.shape.flow_shares > 0;
    put(&mut desired.shares, vif.id.0.into(), limited.then_some(limit));
    put(&mut desired.labels, vif.label, there.then_some(label));
    put(&mut cx.out.advertisements, advertisement, there.then_some(()));
    dirty.addresses.insert(vif.address);
    dirty.keys.extend(cx.site.importers(vif.vrf).iter().map(|&vrf| (vrf, prefix)));
}
