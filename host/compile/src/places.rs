//! Who is where: pods behind vifs of this node, pods and prefixes behind tunnels, and the nodes themselves.
//!
//! For each prefix of each VRF one way is chosen. A local vif comes before all paths; then the best path of the RIB whose
//! tunnel is there, that is, whose MAC address the kernel knows (a path that leads nowhere yet is not the best one, as in RFC
//! 4271 section 9.1.2.1). If there are paths, but none can be used yet, the address is known and not reached.
//!
//! It keeps its last inputs, and looks only at what differs from them: at the routes of a vif that changed, at the keys of
//! the RIB that changed, at those that use a tunnel that came or went.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use penstock_abi::limits;
use penstock_abi::table::{TableId, VifKind};
use penstock_model::{
    Advertisement, Effect, Encapsulation, Finding, Intent, IpNet, MacAddr, Neighbours, ObjectId,
    OrdMap, Path, Peer, PodVif, Reason, Rib, VifId, VrfId,
};
use penstock_tables::Shape;

use crate::book::{Book, Teller};
use crate::maps::{changes, put};
use crate::site::Site;
use crate::{Compiled, Hop, LabelEntry, NextHopKey, NextHopSpec, RouteTarget, VifEntry, room};

/// A prefix in a VRF.
pub(crate) type Key = (VrfId, IpNet);

/// A tunnel end point, and how packets to it are wrapped.
type Tunnel = (IpAddr, Encapsulation);

/// Highest label that there is.
const LABEL_LAST: u32 = (1 << 20) - 1;

/// What parts of the compiler work on.
pub(crate) struct Context<'a> {
    pub(crate) site: &'a Site,
    pub(crate) shape: &'a Shape,
    pub(crate) out: &'a mut Compiled,
    pub(crate) book: &'a mut Book,
}

/// What is at an address. Never empty.
#[derive(Debug, Default)]
struct Place {
    vif: Option<Arc<PodVif>>,
    /// Names of nodes whose tunnel end point it is.
    peers: BTreeSet<String>,
    /// The way there by VRF, ordered; `None` = not yet.
    ways: Vec<(VrfId, Option<Hop>)>,
}

/// What has to be looked at again.
#[derive(Debug, Default)]
struct Dirty {
    keys: BTreeSet<Key>,
    tunnels: BTreeSet<Tunnel>,
    /// Tunnel end points that may be waited for, or no longer.
    end_points: BTreeSet<IpAddr>,
    /// Addresses whose place changed.
    addresses: BTreeSet<IpAddr>,
}

/// All places.
#[derive(Debug, Default)]
pub(crate) struct Places {
    vifs: OrdMap<VifId, Arc<PodVif>>,
    rib: Rib,
    peers: OrdMap<String, Arc<Peer>>,
    neighbours: Neighbours,
    at: BTreeMap<IpAddr, Place>,
    /// Keys of the RIB with a path through a tunnel.
    tunnels: BTreeMap<Tunnel, BTreeSet<Key>>,
    /// Tunnels for which the table of next hops has no room.
    barred: BTreeSet<Tunnel>,
    /// Vifs that are in force.
    vif_count: usize,
    /// Host routes that there should be.
    host_count: usize,
    /// Prefixes that there should be.
    prefixes: BTreeMap<Key, Hop>,
    /// Keys for which there is no room.
    refused: BTreeSet<Key>,
}

impl Places {
    /// Takes over the parts of an intent that say who is where, and says at which addresses something changed.
    pub(crate) fn update(
        &mut self,
        intent: &Intent,
        neighbours: &Neighbours,
        cx: &mut Context<'_>,
    ) -> BTreeSet<IpAddr> {
        let mut dirty = Dirty::default();
        self.take_vifs(intent, cx, &mut dirty);
        self.take_rib(intent, cx.site, &mut dirty);
        self.take_peers(intent, cx, &mut dirty);
        let (gone, came) = changes(&mut self.neighbours, neighbours);
        for (address, _) in gone.into_iter().chain(came) {
            dirty.tunnels.extend(tunnels_to(address));
        }
        self.settle_tunnels(cx, &mut dirty);
        for address in std::mem::take(&mut dirty.end_points) {
            let waited_for = self.waited_for(address);
            put(&mut cx.out.pending, address, waited_for);
        }
        let mut before = BTreeMap::new();
        for &key in &dirty.keys {
            before.insert(key, self.hop_to(key));
            if let Some(address) = self.choose(key, cx) {
                dirty.addresses.insert(address);
            }
        }
        self.share_room(cx, before);
        dirty.addresses
    }

    fn take_vifs(&mut self, intent: &Intent, cx: &mut Context<'_>, dirty: &mut Dirty) {
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
                self.vif_count += 1;
                self.change(vif.address, |place| place.vif = Some(vif.clone()));
                set_vif(&vif, true, cx, dirty);
            }
        }
    }

    fn take_rib(&mut self, intent: &Intent, site: &Site, dirty: &mut Dirty) {
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

    fn take_peers(&mut self, intent: &Intent, cx: &mut Context<'_>, dirty: &mut Dirty) {
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
            let finding = if peer.address.is_ipv6() {
                Some(Finding::refused(ipv6("tunnel end point", peer.address)))
            } else if peer.address == cx.site.address() {
                Some(Finding::note("has this node's own tunnel end point, passed over"))
            } else {
                None
            };
            if let Some(finding) = finding {
                let about = ObjectId::Peer(name.clone());
                cx.book.say(&Teller::Peer(name.clone()), vec![(about, finding)]);
            }
            dirty.addresses.insert(peer.address);
            dirty.end_points.insert(peer.address);
            self.change(peer.address, |place| {
                place.peers.insert(name);
            });
        }
    }

    /// Changes what is at an address; a place where nothing is any more goes.
    fn change(&mut self, address: IpAddr, change: impl FnOnce(&mut Place)) {
        let place = self.at.entry(address).or_default();
        change(place);
        if place.vif.is_none() && place.peers.is_empty() && place.ways.is_empty() {
            self.at.remove(&address);
        }
    }

    /// Makes the next hops of tunnels that are used and whose MAC address is known. If there is no room for all, those with
    /// the lowest addresses have it.
    fn settle_tunnels(&mut self, cx: &mut Context<'_>, dirty: &mut Dirty) {
        // Besides: the one that discards, the one that refuses, and one for each vif.
        let room = (cx.shape.next_hops as usize).saturating_sub(2 + self.vif_count);
        let mut barred = BTreeSet::new();
        if self.tunnels.len() > room {
            let known = self.tunnels.iter().filter(|(tunnel, keys)| {
                !keys.is_empty() && self.neighbours.contains_key(&tunnel.0)
            });
            barred.extend(known.map(|(tunnel, _)| *tunnel).skip(room));
        }
        for &tunnel in barred.symmetric_difference(&self.barred) {
            dirty.tunnels.insert(tunnel);
            dirty.keys.extend(self.tunnels.get(&tunnel).into_iter().flatten());
        }
        self.barred = barred;
        for &tunnel in &dirty.tunnels {
            let Some(keys) = self.tunnels.get(&tunnel) else { continue };
            let address = tunnel.0;
            let next_hop = next_hop(tunnel);
            dirty.end_points.insert(address);
            let spec = self.neighbours.get(&address).map(|&dmac| NextHopSpec {
                dmac,
                smac: cx.site.node.fabric.mac,
                source: Some(cx.site.address()),
            });
            let spec = spec.filter(|_| !keys.is_empty() && !self.barred.contains(&tunnel));
            if spec.is_some() != cx.out.desired.next_hops.contains_key(&next_hop) {
                dirty.keys.extend(keys);
            }
            put(&mut cx.out.desired.next_hops, next_hop, spec);
            if keys.is_empty() {
                self.tunnels.remove(&tunnel);
            }
        }
    }

    /// The name of the node at a tunnel end point, if routes wait for its MAC address.
    fn waited_for(&self, address: IpAddr) -> Option<String> {
        let first = |tunnel| self.tunnels.get(&tunnel)?.first();
        let key = tunnels_to(address).into_iter().find_map(first)?;
        if self.neighbours.contains_key(&address) {
            return None;
        }
        self.peer(address).map(str::to_owned).or_else(|| {
            let path = self.rib.get(key)?.iter().find(|path| path.next_hop == address)?;
            Some(path.announcer.to_string())
        })
    }

    /// Chooses the way to a prefix in a VRF. If that changes what is at an address, it says at which.
    fn choose(&mut self, key: Key, cx: &mut Context<'_>) -> Option<IpAddr> {
        let (vrf, prefix) = key;
        let host = is_host(prefix).then(|| prefix.addr());
        let local = host.and_then(|address| self.at.get(&address)?.vif.clone());
        let local = local.filter(|vif| cx.site.importers(vif.vrf).contains(&vrf));
        let mut way = local.as_ref().map(|vif| Some(to_vif(vif.id)));
        let mut findings = Vec::new();
        let paths = self.rib.get(&key).filter(|_| cx.site.has_vrf(vrf)).cloned();
        for path in paths.iter().flat_map(|paths| paths.iter()) {
            let finding = match (tunnel(prefix, path, cx.site), &local) {
                (Err(finding), _) => Some(*finding),
                (Ok(_), Some(vif)) => Some(Finding {
                    effect: Effect::Note,
                    reason: Reason::Taken {
                        what: "address".to_owned(),
                        value: vif.address.to_string(),
                        holder: ObjectId::Vif(vif.name.clone()),
                    },
                }),
                (Ok(tunnel), None) if self.barred.contains(&tunnel) => {
                    Some(Finding::refused(room::full(TableId::NextHop, cx.shape)))
                }
                (Ok(tunnel), None) => {
                    let next_hop = next_hop(tunnel);
                    let there = cx.out.desired.next_hops.contains_key(&next_hop);
                    let hop = there.then_some(Hop { next_hop, label: Some(path.label) });
                    way = Some(way.flatten().or(hop));
                    None
                }
            };
            findings.extend(finding.map(|finding| (route_id(path, prefix), finding)));
        }
        cx.book.say(&Teller::Route(vrf, prefix), findings);
        let Some(address) = host else {
            match way.flatten() {
                Some(hop) => self.prefixes.insert(key, hop),
                None => self.prefixes.remove(&key),
            };
            return None;
        };
        let before = self.set_way(vrf, address, way);
        self.host_count -= usize::from(before.flatten().is_some());
        self.host_count += usize::from(way.flatten().is_some());
        (before != way).then_some(address)
    }

    /// Replaces the way to a host, and gives the one before.
    fn set_way(
        &mut self,
        vrf: VrfId,
        address: IpAddr,
        way: Option<Option<Hop>>,
    ) -> Option<Option<Hop>> {
        let mut before = None;
        self.change(address, |place| {
            match (place.ways.binary_search_by_key(&vrf, |way| way.0), way) {
                (Ok(n), Some(hop)) => before = Some(std::mem::replace(&mut place.ways[n].1, hop)),
                (Ok(n), None) => before = Some(place.ways.remove(n).1),
                (Err(n), Some(hop)) => place.ways.insert(n, (vrf, hop)),
                (Err(_), None) => {}
            }
        });
        before
    }

    /// Writes the ways that were chosen into the tables. If a table has no room for all, local pods have it, then the routes of
    /// the announcer whose name comes first. `before` says for each which way it was.
    fn share_room(&mut self, cx: &mut Context<'_>, mut before: BTreeMap<Key, Option<Hop>>) {
        let mut refused = BTreeSet::new();
        let host_room = cx.shape.capacity(TableId::HostRoute) as usize;
        if self.host_count > host_room {
            let hosts = self.at.iter().flat_map(|(&address, place)| {
                let there = place.ways.iter().filter_map(|(vrf, hop)| Some((*vrf, (*hop)?)));
                there.map(move |(vrf, hop)| ((vrf, IpNet::from(address)), hop))
            });
            refused.extend(self.beyond(host_room, hosts));
        }
        let prefix_room = cx.shape.prefixes as usize;
        if self.prefixes.len() > prefix_room {
            let prefixes = self.prefixes.iter().map(|(key, hop)| (*key, *hop));
            refused.extend(self.beyond(prefix_room, prefixes));
        }
        for &key in refused.symmetric_difference(&self.refused) {
            before.entry(key).or_insert_with(|| self.hop_to(key));
        }
        self.refused = refused;
        for (key, before) in before {
            let (vrf, prefix) = key;
            let hop = self.hop_to(key);
            let full = self.refused.contains(&key);
            let placed = hop.filter(|_| !full);
            let table = if is_host(prefix) {
                // Where no pod was and none is, a floating IP may be.
                if before.or(hop).is_some() {
                    let target = placed.map(RouteTarget::Hop);
                    put(&mut cx.out.desired.routes, (vrf, prefix.addr()), target);
                }
                TableId::HostRoute
            } else {
                put(&mut cx.out.desired.prefixes, key, placed);
                TableId::Prefix
            };
            let holder = hop.filter(|_| full).and_then(|hop| self.holder(key, hop));
            let finding = Finding::refused(room::full(table, cx.shape));
            let findings = holder.map(|holder| (holder, finding)).into_iter().collect();
            cx.book.say(&Teller::RouteRoom(vrf, prefix), findings);
        }
    }

    /// Those of `wanted` for which there is no room.
    fn beyond(&self, room: usize, wanted: impl Iterator<Item = (Key, Hop)>) -> Vec<Key> {
        let announcer = |(key, hop): &(Key, Hop)| self.path(*key, *hop).map(|path| &path.announcer);
        let mut ranked: Vec<_> =
            wanted.map(|wanted| (announcer(&wanted), wanted.0.1, wanted.0.0)).collect();
        ranked.sort();
        ranked.into_iter().skip(room).map(|(_, prefix, vrf)| (vrf, prefix)).collect()
    }

    /// The path by which a hop was chosen; none if it is a local pod's.
    fn path(&self, key: Key, hop: Hop) -> Option<&Path> {
        let is_it = |path: &&Path| {
            let tunnel = (path.next_hop, path.encapsulation);
            hop == Hop { next_hop: next_hop(tunnel), label: Some(path.label) }
        };
        self.rib.get(&key)?.iter().find(is_it)
    }

    /// The object that a route comes from.
    fn holder(&self, key: Key, hop: Hop) -> Option<ObjectId> {
        let vif = |id| self.vifs.get(&id).map(|vif| ObjectId::Vif(vif.name.clone()));
        match hop.next_hop {
            NextHopKey::Encap(id) => vif(id),
            _ => self.path(key, hop).map(|path| route_id(path, key.1)),
        }
    }

    fn hop_to(&self, key: Key) -> Option<Hop> {
        if is_host(key.1) {
            self.hop(key.0, key.1.addr())
        } else {
            self.prefixes.get(&key).copied()
        }
    }

    /// The way to a pod in a VRF.
    pub(crate) fn hop(&self, vrf: VrfId, address: IpAddr) -> Option<Hop> {
        let ways = &self.at.get(&address)?.ways;
        let n = ways.binary_search_by_key(&vrf, |way| way.0).ok()?;
        ways[n].1
    }

    /// Whether the tables have a route to a pod.
    pub(crate) fn has_route(&self, vrf: VrfId, address: IpAddr) -> bool {
        let key = (vrf, IpNet::from(address));
        self.hop(vrf, address).is_some() && !self.refused.contains(&key)
    }

    /// The vif of a pod on this node.
    pub(crate) fn vif(&self, address: IpAddr) -> Option<&PodVif> {
        self.at.get(&address)?.vif.as_deref()
    }

    /// The name of the other node at a tunnel end point.
    pub(crate) fn peer(&self, address: IpAddr) -> Option<&str> {
        self.at.get(&address)?.peers.first().map(String::as_str)
    }

    /// Whether a pod or another node is there, within reach or not.
    pub(crate) fn knows(&self, address: IpAddr) -> bool {
        self.at.contains_key(&address)
    }

    /// Whether a pod is there, within reach or not.
    pub(crate) fn knows_pod(&self, address: IpAddr) -> bool {
        self.at.get(&address).is_some_and(|place| place.vif.is_some() || !place.ways.is_empty())
    }

    /// Host routes to pods that have their place.
    pub(crate) fn host_routes(&self, shape: &Shape) -> usize {
        self.host_count.min(shape.capacity(TableId::HostRoute) as usize)
    }
}

/// Why a vif cannot be, whatever the others are.
fn vif_fault(vif: &PodVif, cx: &Context<'_>) -> Option<Reason> {
    if vif.address.is_ipv6() {
        return Some(ipv6("address", vif.address));
    }
    let first = limits::VIF_FIRST_POD.into();
    out_of_range("vif", vif.id.0.into(), first, cx.shape.vifs - 1)
        .or_else(|| out_of_range("label", vif.label.0, limits::LABEL_FIRST, cx.shape.labels - 1))
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
    };
    let label = LabelEntry { next_hop: hop.next_hop, vrf: vif.vrf };
    let advertisement =
        Advertisement { vrf: vif.vrf, prefix, label: vif.label, next_hop: cx.site.address() };
    let desired = &mut cx.out.desired;
    put(&mut desired.next_hops, hop.next_hop, there.then_some(spec));
    put(&mut desired.vifs, vif.id, there.then_some(entry));
    put(&mut desired.labels, vif.label, there.then_some(label));
    put(&mut cx.out.advertisements, advertisement, there.then_some(()));
    dirty.addresses.insert(vif.address);
    dirty.keys.extend(cx.site.importers(vif.vrf).iter().map(|&vrf| (vrf, prefix)));
}

/// The tunnel of a path, or why it is none.
fn tunnel(prefix: IpNet, path: &Path, site: &Site) -> Result<Tunnel, Box<Finding>> {
    let reason = if prefix.addr().is_ipv6() {
        Some(ipv6("prefix", prefix))
    } else if path.next_hop.is_ipv6() {
        Some(ipv6("tunnel end point", path.next_hop))
    } else {
        out_of_range("label", path.label.0, limits::LABEL_FIRST, LABEL_LAST)
    };
    match reason {
        Some(reason) => Err(Box::new(Finding::refused(reason))),
        None if path.next_hop == site.address() => {
            let text = "leads to this node's own tunnel end point, passed over";
            Err(Box::new(Finding::note(text)))
        }
        None => Ok((path.next_hop, path.encapsulation)),
    }
}

/// The tunnels that end at an address.
fn tunnels_to(address: IpAddr) -> [Tunnel; 2] {
    [(address, Encapsulation::MplsOverUdp), (address, Encapsulation::MplsOverGre)]
}

fn next_hop((address, encapsulation): Tunnel) -> NextHopKey {
    match encapsulation {
        Encapsulation::MplsOverUdp => NextHopKey::TunnelUdp(address),
        Encapsulation::MplsOverGre => NextHopKey::TunnelGre(address),
    }
}

fn to_vif(id: VifId) -> Hop {
    Hop { next_hop: NextHopKey::Encap(id), label: None }
}

fn is_host(prefix: IpNet) -> bool {
    prefix.prefix_len() == prefix.max_prefix_len()
}

fn route_id(path: &Path, prefix: IpNet) -> ObjectId {
    ObjectId::Route { announcer: path.announcer.to_string(), prefix }
}

fn ipv6(what: &str, value: impl std::fmt::Display) -> Reason {
    Reason::Text { text: format!("{what} {value} is IPv6, which this card does not know") }
}

fn out_of_range(what: &str, value: u32, first: u32, last: u32) -> Option<Reason> {
    let reason = || Reason::OutOfRange { what: what.to_owned(), value, first, last };
    (!(first..=last).contains(&value)).then(reason)
}
