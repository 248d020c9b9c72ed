//! From VPN routes of several peers to the model's routes.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::Arc;

use imbl::OrdMap;
use imbl::ordmap::DiffItem;
use ipnet::IpNet;
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
    /// Its label is one of the reserved ones (RFC 3032), which lead nowhere in a tunnel.
    ReservedLabel(MplsLabel),
}

/// The lowest label that is not reserved.
const FIRST_LABEL: MplsLabel = MplsLabel(16);

/// Takes routes of peers, in the time that their difference from the last ones takes.
#[derive(Debug, Default)]
pub struct Importer {
    policy: Option<Policy>,
    importers: BTreeMap<RouteTarget, Vec<VrfId>>,
    peers: BTreeMap<Arc<str>, OrdMap<VpnPrefix, Learned>>,
    routes: OrdMap<VpnPrefix, Arc<Imported>>,
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
        self.again(all);
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
        self.again(changed);
    }

    /// Decides anew about some prefixes.
    fn again(&mut self, prefixes: BTreeSet<VpnPrefix>) {
        for prefix in prefixes {
            let all =
                self.peers.iter().filter_map(|(peer, routes)| Some((peer, routes.get(&prefix)?)));
            let Some((peer, learned)) = all.min_by_key(|(peer, learned)| rank(learned, peer))
            else {
                self.routes.remove(&prefix);
                continue;
            };
            let (peer, learned) = (peer.clone(), learned.clone());
            let route = self.route(&prefix, &learned);
            let imported = Imported { peer, learned, route };
            // What others compare must not differ though it is the same.
            if self.routes.get(&prefix).is_none_or(|old| **old != imported) {
                self.routes.insert(prefix, Arc::new(imported));
            }
        }
    }

    fn route(&mut self, at: &VpnPrefix, learned: &Learned) -> Result<Arc<Route>, Unused> {
        let Some(policy) = &self.policy else { return Err(Unused::NoVrf) };
        let (attributes, label) = (&learned.path.attributes, learned.path.label);
        let importers = attributes.targets().filter_map(|target| self.importers.get(&target));
        let vrfs: BTreeSet<VrfId> = importers.flatten().copied().collect();
        if attributes.next_hop == policy.node {
            return Err(Unused::Own);
        }
        if vrfs.is_empty() {
            return Err(Unused::NoVrf);
        }
        if label < FIRST_LABEL {
            return Err(Unused::ReservedLabel(label));
        }
        let usual = policy.encapsulations.first().copied();
        let encapsulation: Encapsulation = match offer(&attributes.extended) {
            Offer::Unsaid => usual.unwrap_or_default(),
            Offer::Possible(encapsulation) => encapsulation,
            Offer::Impossible => return Err(Unused::NoEncapsulation),
        };
        let name = || format!("bgp {}", at.distinguisher).into();
        let announcer = self.names.entry(at.distinguisher).or_insert_with(name).clone();
        let path = Path {
            next_hop: attributes.next_hop.into(),
            label,
            encapsulation,
            preference: if learned.long_lived_stale { 0 } else { attributes.preference },
            announcer,
        };
        Ok(Arc::new(Route { prefix: IpNet::V4(at.prefix), vrfs: vrfs.into_iter().collect(), path }))
    }
}

/// Orders paths to one prefix, the best first (RFC 4271 section 9.1.2.2, RFC 4456 section 9, RFC 9494 section 4.3). Distances to
/// next hops are not known here.
fn rank<'a>(
    learned: &Learned,
    peer: &'a str,
) -> (bool, Reverse<u32>, u32, u8, u32, Option<Ipv4Addr>, &'a str) {
    let attributes = &learned.path.attributes;
    (
        learned.long_lived_stale,
        Reverse(attributes.preference),
        attributes.as_path_length,
        attributes.origin,
        attributes.discriminator,
        attributes.originator,
        peer,
    )
}
