//! From VPN routes of several peers to the model's routes.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use imbl::OrdMap;
use imbl::ordmap::DiffItem;
use ipnet::{IpNet, Ipv4Net};
use penstock_model::{Encapsulation, MplsLabel, Path, Route, VrfId};

use super::Policy;
use crate::community::{Offer, RouteTarget, offer};
use crate::path::{RouteDistinguisher, VpnPrefix};
use crate::session::Learned;

/// What becomes of a VPN prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// The peer whose path is taken: the best of all peers'.
    pub peer: Arc<str>,
    /// The path.
    pub learned: Learned,
    /// The route that is made of it, or why none is.
    pub route: Result<Arc<Route>, Unused>,
}

/// Why a path is of no use here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unused {
    /// No VRF imports any of its targets.
    NoVrf,
    /// It leads to this node.
    Own,
    /// It offers no tunnel that the card knows.
    NoEncapsulation,
    /// Wherever it would go, other nodes' paths to the same prefix are better.
    Worse,
    /// Its label is one of the reserved ones (RFC 3032), which lead nowhere in a tunnel.
    ReservedLabel(MplsLabel),
}

/// Names of distinguishers that are kept: more than a cluster has, and little for a peer that makes them up.
const MOST_NAMES: usize = 65_536;

/// The lowest label that is not reserved.
const FIRST_LABEL: MplsLabel = MplsLabel(16);

/// Takes routes of peers, in the time that their difference from the last ones takes.
#[derive(Debug, Default)]
pub struct Importer {
    policy: Option<Policy>,
    importers: BTreeMap<RouteTarget, Vec<VrfId>>,
    peers: BTreeMap<Arc<str>, OrdMap<VpnPrefix, Learned>>,
    routes: OrdMap<VpnPrefix, Arc<Imported>>,
    /// Who tells of each prefix.
    distinguishers: BTreeMap<Ipv4Net, BTreeSet<RouteDistinguisher>>,
    /// Names of distinguishers, each once: who announces a route.
    names: BTreeMap<RouteDistinguisher, Arc<str>>,
}

impl Importer {
    /// What has become of all prefixes.
    #[must_use]
    pub fn routes(&self) -> &OrdMap<VpnPrefix, Arc<Imported>> {
        &self.routes
    }

    /// How routes are taken from now on.
    pub fn set_policy(&mut self, policy: &Policy) {
        if self.policy.as_ref() == Some(policy) {
            return;
        }
        self.policy = Some(policy.clone());
        self.importers.clear();
        for (&vrf, targets) in &policy.vrfs {
            for &target in &targets.import {
                self.importers.entry(target).or_default().push(vrf);
            }
        }
        let all: BTreeSet<VpnPrefix> =
            self.peers.values().flat_map(|routes| routes.keys().copied()).collect();
        self.again(&all);
    }

    /// What a peer tells from now on; nothing of a peer that is no longer one.
    pub fn update(&mut self, peer: &Arc<str>, routes: &OrdMap<VpnPrefix, Learned>) {
        let before = self.peers.insert(peer.clone(), routes.clone()).unwrap_or_default();
        let changed = before.diff(routes).map(|item| match item {
            DiffItem::Add(prefix, _) | DiffItem::Remove(prefix, _) => *prefix,
            DiffItem::Update { new: (prefix, _), .. } => *prefix,
        });
        let changed: BTreeSet<VpnPrefix> = changed.collect();
        if routes.is_empty() {
            self.peers.remove(peer);
        }
        self.again(&changed);
    }

    /// Decides anew about some prefixes, and with them about the same prefixes of other distinguishers.
    fn again(&mut self, changed: &BTreeSet<VpnPrefix>) {
        for place in changed {
            let told = self.peers.values().any(|routes| routes.contains_key(place));
            let all = self.distinguishers.entry(place.prefix).or_default();
            if told {
                all.insert(place.distinguisher);
            } else {
                all.remove(&place.distinguisher);
                self.routes.remove(place);
            }
        }
        let prefixes: BTreeSet<Ipv4Net> = changed.iter().map(|place| place.prefix).collect();
        for prefix in prefixes {
            self.decide(prefix);
        }
    }

    fn decide(&mut self, prefix: Ipv4Net) {
        let Some(all) = self.distinguishers.get(&prefix).filter(|all| !all.is_empty()) else {
            self.distinguishers.remove(&prefix);
            return;
        };
        let places = all.iter().map(|&distinguisher| VpnPrefix { distinguisher, prefix });
        let candidates: Vec<_> = places
            .filter_map(|place| {
                let told = self.peers.iter();
                let told = told.filter_map(|(peer, routes)| Some((peer, routes.get(&place)?)));
                let (peer, learned) = told.min_by_key(|(peer, learned)| {
                    (rank(learned), learned.path.attributes.originator, *peer)
                })?;
                let usable = self.usable(learned);
                Some((place, peer.clone(), learned.clone(), usable))
            })
            .collect();
        // Of each VRF, how good the best are.
        let mut best: BTreeMap<VrfId, Rank> = BTreeMap::new();
        for (_, _, learned, usable) in &candidates {
            for &vrf in usable.iter().flat_map(|(vrfs, _)| vrfs) {
                let rank = rank(learned);
                best.entry(vrf).and_modify(|best| *best = rank.min(*best)).or_insert(rank);
            }
        }
        for (place, peer, learned, usable) in candidates {
            let route = usable.and_then(|(mut vrfs, encapsulation)| {
                vrfs.retain(|vrf| best.get(vrf) == Some(&rank(&learned)));
                if vrfs.is_empty() {
                    return Err(Unused::Worse);
                }
                Ok(Arc::new(self.route(&place, &learned, vrfs, encapsulation)))
            });
            let imported = Imported { peer, learned, route };
            // What others compare must not differ though it is the same.
            if self.routes.get(&place).is_none_or(|old| **old != imported) {
                self.routes.insert(place, Arc::new(imported));
            }
        }
    }

    /// The VRFs that a path is for, and how packets are sent along it.
    fn usable(&self, learned: &Learned) -> Result<(Vec<VrfId>, Encapsulation), Unused> {
        let Some(policy) = &self.policy else { return Err(Unused::NoVrf) };
        let (attributes, label) = (&learned.path.attributes, learned.path.label);
        if attributes.next_hop == policy.node {
            return Err(Unused::Own);
        }
        let importers = attributes.targets().filter_map(|target| self.importers.get(&target));
        let vrfs: BTreeSet<VrfId> = importers.flatten().copied().collect();
        if vrfs.is_empty() {
            return Err(Unused::NoVrf);
        }
        if label < FIRST_LABEL {
            return Err(Unused::ReservedLabel(label));
        }
        let encapsulation = match offer(&attributes.extended) {
            Offer::Unsaid => policy.encapsulations.first().copied().unwrap_or_default(),
            Offer::Possible(encapsulation) => encapsulation,
            Offer::Impossible => return Err(Unused::NoEncapsulation),
        };
        Ok((vrfs.into_iter().collect(), encapsulation))
    }

    fn route(
        &mut self,
        place: &VpnPrefix,
        learned: &Learned,
        vrfs: Vec<VrfId>,
        encapsulation: Encapsulation,
    ) -> Route {
        let attributes = &learned.path.attributes;
        if self.names.len() > MOST_NAMES {
            // They are kept to be shared, and cost no more than that if they are made anew.
            self.names.clear();
        }
        let name = || format!("bgp {}", place.distinguisher).into();
        let announcer = self.names.entry(place.distinguisher).or_insert_with(name).clone();
        let path = Path {
            next_hop: attributes.next_hop.into(),
            label: learned.path.label,
            encapsulation,
            preference: if learned.long_lived_stale { 0 } else { attributes.preference },
            announcer,
        };
        Route { prefix: IpNet::V4(place.prefix), vrfs, path }
    }
}

/// How good a path is: the lower the better.
type Rank = (bool, Reverse<u32>, u32, u8, u32);

/// How good a path is, as far as that does not depend on who told it (RFC 4271 section 9.1.2.2, RFC 9494 section 4.3). Distances
/// to next hops are not known here. Paths of one rank are used together.
fn rank(learned: &Learned) -> Rank {
    let attributes = &learned.path.attributes;
    (
        learned.long_lived_stale,
        Reverse(attributes.preference),
        attributes.as_path_length,
        attributes.origin,
        attributes.discriminator,
    )
}
