//! Routes, and the RIB that they make.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ipnet::IpNet;

use super::{Admission, Change, put};
use crate::{Finding, Object, ObjectId, Path, Reason, Route, VrfId};

/// The routes that are used, by prefix; those of one prefix by announcer.
pub(super) type Routes = BTreeMap<IpNet, Vec<Arc<Route>>>;

/// Where paths to a prefix may have changed.
#[derive(Default)]
struct Touched {
    /// In all VRFs.
    all: bool,
    vrfs: BTreeSet<VrfId>,
}

impl Touched {
    fn add(&mut self, route: &Route) {
        self.all |= route.vrfs.is_empty();
        self.vrfs.extend(&route.vrfs);
    }
}

impl Admission {
    /// Brings the RIB up to date. `vrfs` are others than before or gone; what `announcers` announce may be used now and was
    /// not before, or the other way round; `moved` says that the node's own address is another one.
    pub(super) fn admit_routes(
        &mut self,
        changes: &[Change],
        vrfs: &BTreeSet<VrfId>,
        announcers: &BTreeSet<String>,
        moved: bool,
    ) {
        let mut dirty: BTreeSet<ObjectId> = changes
            .iter()
            .filter(|change| matches!(change.id, ObjectId::Route { .. }))
            .map(|change| change.id.clone())
            .collect();
        let all = moved || !vrfs.is_empty();
        let ids = |range| self.sound.range(range).map(|(id, _): (&ObjectId, _)| id.clone());
        if all {
            dirty.extend(
                self.sound.keys().filter(|id| matches!(id, ObjectId::Route { .. })).cloned(),
            );
        } else {
            for announcer in announcers {
                dirty.extend(ids(routes_of(announcer)).take_while(
                    |id| matches!(id, ObjectId::Route { announcer: other, .. } if other == announcer),
                ));
            }
        }
        let mut touched: BTreeMap<IpNet, Touched> = BTreeMap::new();
        for id in &dirty {
            let ObjectId::Route { announcer, prefix } = id else { continue };
            let route = match self.sound.get(id) {
                Some(Object::Route(route)) => Some(Arc::clone(route)),
                _ => None,
            };
            let refused = route.as_ref().map(|route| self.refused_route(route)).unwrap_or_default();
            let used = route.filter(|_| refused.is_empty());
            if !refused.is_empty() {
                self.find(id, refused);
            }
            let touched = touched.entry(*prefix).or_default();
            touched.vrfs.extend(vrfs);
            let routes = self.routes.entry(*prefix).or_default();
            let place = routes.binary_search_by(|other| (*other.path.announcer).cmp(announcer));
            match (place, used) {
                (Ok(place), Some(route)) if routes[place] == route => {}
                (Ok(place), Some(route)) => {
                    touched.add(&routes[place]);
                    touched.add(&route);
                    routes[place] = route;
                }
                (Ok(place), None) => touched.add(&routes.remove(place)),
                (Err(place), Some(route)) => {
                    touched.add(&route);
                    routes.insert(place, route);
                }
                (Err(_), None) => {}
            }
        }
        let everywhere: Vec<VrfId> = self.intent.vrfs.keys().copied().collect();
        for (prefix, touched) in touched {
            self.admit_prefix(prefix, &touched, &everywhere);
        }
    }

    fn refused_route(&self, route: &Route) -> Vec<Finding> {
        let mut refused = Vec::new();
        if self.blocked.contains(&*route.path.announcer) {
            let text =
                format!("remote {} is refused, and so is what it announces", route.path.announcer);
            refused.push(Finding::refused(Reason::Text { text }));
        }
        if self.own_address() == Some(route.path.next_hop) {
            let text = format!("its next hop {} is this node itself", route.path.next_hop);
            refused.push(Finding::refused(Reason::invalid("", text)));
        }
        if route.is_host() && self.own_address() == Some(route.prefix.addr()) {
            refused.push(super::taken("address", route.prefix.addr(), ObjectId::Node));
        }
        refused
    }

    /// Ranks the paths to a prefix anew.
    fn admit_prefix(&mut self, prefix: IpNet, touched: &Touched, everywhere: &[VrfId]) {
        let routes = self.routes.remove(&prefix).unwrap_or_default();
        let mut vrfs = touched.vrfs.clone();
        if touched.all {
            vrfs.extend(everywhere);
        }
        for vrf in vrfs {
            let mut paths: Vec<&Path> = match self.intent.vrfs.contains_key(&vrf) {
                true => in_vrf(&routes, vrf).map(|route| &route.path).collect(),
                false => Vec::new(),
            };
            paths.sort_by(|a, b| a.rank().cmp(&b.rank()));
            let paths: Arc<[Path]> = paths.into_iter().cloned().collect();
            put(&mut self.intent.rib, (vrf, prefix), (!paths.is_empty()).then_some(paths));
        }
        for route in &routes {
            let mut findings = self.unknown_vrfs(route);
            findings.extend(second(route, &routes));
            self.find(&route.id(), findings);
        }
        if !routes.is_empty() {
            self.routes.insert(prefix, routes);
        }
    }

    fn unknown_vrfs(&self, route: &Route) -> Vec<Finding> {
        let unknown = route.vrfs.iter().filter(|vrf| !self.intent.vrfs.contains_key(*vrf));
        unknown
            .map(|vrf| {
                let text = format!("is for VRF {vrf}, and there is none with this number");
                Finding::partial(Reason::Text { text })
            })
            .collect()
    }
}

/// From the first route of an announcer on.
fn routes_of(announcer: &str) -> std::ops::RangeFrom<ObjectId> {
    let first = IpNet::V4(ipnet::Ipv4Net::default());
    ObjectId::Route { announcer: announcer.to_owned(), prefix: first }..
}

fn in_vrf(routes: &[Arc<Route>], vrf: VrfId) -> impl Iterator<Item = &Arc<Route>> {
    routes.iter().filter(move |route| route.vrfs.is_empty() || route.vrfs.contains(&vrf))
}

/// The note on a route that others are preferred to, wherever it would go. Two routes of which each is for VRFs of its own are
/// not compared.
fn second(route: &Route, routes: &[Arc<Route>]) -> Option<Finding> {
    let meets = |other: &&Arc<Route>| {
        other.path.announcer != route.path.announcer
            && (other.vrfs.is_empty()
                || route.vrfs.is_empty()
                || other.vrfs.iter().any(|vrf| route.vrfs.contains(vrf)))
    };
    let better = routes.iter().filter(meets).min_by_key(|other| other.path.rank())?;
    (better.path.rank() < route.path.rank()).then(|| {
        Finding::note(format!(
            "remote {} announces it too, and is preferred",
            better.path.announcer
        ))
    })
}
