//! Who is where: pods behind vifs of this node, pods and prefixes behind tunnels, and the nodes themselves.
//!
//! For each prefix of each VRF one way is chosen. A local vif comes before all paths; then the best path of the RIB whose
//! tunnel is there, that is, whose MAC address the kernel knows (a path that leads nowhere yet is not the best one, as in RFC
//! 4271 section 9.1.2.1). If there are paths, but none can be used yet, the address is known and not reached.
//!
//! It keeps its last inputs, and looks only at what differs from them: at the routes of a vif that changed, at the keys of
//! the RIB that changed, at those that use a tunnel that came or went.

mod inputs;
mod share;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use penstock_abi::limits;
use penstock_abi::table::TableId;
use penstock_model::{
    Effect, Encapsulation, Finding, Intent, IpNet, MplsLabel, Neighbours, ObjectId, OrdMap, Path,
    Peer, PodVif, Reason, Rib, VifId, VrfId,
};
use penstock_tables::Shape;

use crate::book::{Book, Teller};
use crate::maps::{changes, put};
use crate::site::Site;
use crate::{Compiled, Hop, NextHopKey, NextHopSpec, room};

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
    /// What is there in any case has been looked at.
    begun: bool,
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
    /// Entries that these need together if they have none in common.
    prefix_parts: usize,
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
        if !std::mem::replace(&mut self.begun, true) {
            dirty.keys.extend(cx.site.always());
        }
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
            let is_known = self.peer(address).is_some()
                || cx.site.overlay.gateways.contains(&address)
                || tunnels_to(address)
                    .iter()
                    .any(|tunnel| self.tunnels.get(tunnel).is_some_and(|keys| !keys.is_empty()));
            let is_known = is_known && address.is_ipv4() && address != cx.site.address();
            put(&mut cx.out.desired.known, address, is_known.then_some(()));
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

    /// Labels of the vifs that are in force.
    pub(crate) fn labels(&self) -> impl Iterator<Item = MplsLabel> {
        let in_force = |vif: &&Arc<PodVif>| self.vif(vif.address).is_some_and(|at| at.id == vif.id);
        self.vifs.values().filter(in_force).map(|vif| vif.label)
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
        // Besides: the one that discards, the one that refuses, the node's, and one for each vif.
        let room = (cx.shape.next_hops as usize).saturating_sub(3 + self.vif_count);
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
        let mut all: BTreeSet<IpAddr> = BTreeSet::new();
        let paths = self.rib.get(&key).filter(|_| cx.site.has_vrf(vrf)).cloned();
        for path in paths.iter().flat_map(|paths| paths.iter()) {
            // Somebody is there, even if the card cannot follow it.
            way = Some(way.flatten());
            let tunnel = tunnel(prefix, path, cx.site);
            all.extend(tunnel.as_ref().ok().map(|tunnel| tunnel.0));
            let finding = match (tunnel, &local) {
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
        if way.flatten().is_none() {
            let otherwise = cx.site.otherwise(vrf, prefix).filter(|_| cx.site.has_vrf(vrf));
            way = otherwise.map(Some).or(way);
        }
        // All tunnels of a route, and of gateways if one may come by them.
        let gateways = &cx.site.overlay.gateways;
        let by_node = matches!(way, Some(Some(Hop { next_hop: NextHopKey::Receive(_), .. })));
        let outside = by_node && prefix.prefix_len() == 0;
        if outside || gateways.iter().any(|gateway| all.contains(gateway)) {
            all.extend(gateways.iter().copied());
        }
        let told = local.is_none() && (all.len() > 1 || outside && !all.is_empty());
        put(&mut cx.out.desired.sources, key, told.then(|| Arc::new(all)));
        let Some(address) = host else {
            let before = match way.flatten() {
                Some(hop) => self.prefixes.insert(key, hop),
                None => self.prefixes.remove(&key),
            };
            self.prefix_parts -= before.map_or(0, |_| share::parts(key));
            self.prefix_parts += way.flatten().map_or(0, |_| share::parts(key));
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

    /// The way to an address in the first of some VRFs that has one.
    pub(crate) fn hop_in(&self, vrfs: &[VrfId], address: IpAddr) -> Option<Hop> {
        vrfs.iter().find_map(|vrf| self.hop(*vrf, address))
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

/// A card does not limit what each may have of its flow table.
pub(crate) fn no_shares() -> Reason {
    let text = "this card has no shares of its flow table: flowLimits does not count";
    Reason::Text { text: text.to_owned() }
}

fn out_of_range(what: &str, value: u32, first: u32, last: u32) -> Option<Reason> {
    let reason = || Reason::OutOfRange { what: what.to_owned(), value, first, last };
    (!(first..=last).contains(&value)).then(reason)
}
