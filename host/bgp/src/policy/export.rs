//! From advertisements to VPN routes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use imbl::OrdMap;
use imbl::ordmap::DiffItem;
use ipnet::{IpNet, Ipv4Net};
use penstock_model::{Advertisement, VrfId};

use super::Policy;
use crate::community::offering;
use crate::path::{Attributes, RouteDistinguisher, VpnPath, VpnPrefix};

/// What the number of a distinguisher is increased by for each further label of a prefix.
pub(super) const ALTERNATE: u16 = 4096;
/// Labels of one prefix that others can be told about.
const LABELS: u16 = u16::MAX / ALTERNATE + 1;

/// Makes routes of advertisements, in the time that their difference from the last ones takes.
///
/// The distinguisher is the node's address and the VRF's number. A floating IP with several members on this node has several
/// labels; BGP has room for one path to a prefix of a distinguisher, so that the second has the VRF's number and 4096, the third
/// 8192, and so on: a receiver that uses several paths reaches all members. Which label is the first depends on nothing but the
/// labels, so that a speaker that was started again tells what it told before.
#[derive(Debug, Default)]
pub struct Exporter {
    policy: Option<Policy>,
    /// Attributes of each VRF's routes.
    attributes: BTreeMap<VrfId, Arc<Attributes>>,
    given: OrdMap<Advertisement, ()>,
    routes: OrdMap<VpnPrefix, VpnPath>,
    /// Prefixes that have more labels than can be told.
    crowded: BTreeSet<(VrfId, IpNet)>,
}

impl Exporter {
    /// The routes to tell.
    #[must_use]
    pub fn routes(&self) -> &OrdMap<VpnPrefix, VpnPath> {
        &self.routes
    }

    /// Prefixes of which not all labels are told, as there are more than sixteen.
    #[must_use]
    pub fn crowded(&self) -> &BTreeSet<(VrfId, IpNet)> {
        &self.crowded
    }

    /// What is advertised from now on.
    pub fn update(&mut self, policy: &Policy, advertisements: &OrdMap<Advertisement, ()>) {
        if self.policy.as_ref() != Some(policy) {
            *self = Self { policy: Some(policy.clone()), ..Self::default() };
            let tunnels = offering(&policy.encapsulations);
            // What `Policy::check` refuses is not told, should it come this far.
            let possible = |vrf: &VrfId| vrf.0 <= Policy::LAST_VRF;
            for (&vrf, targets) in policy
                .vrfs
                .iter()
                .filter(|(vrf, targets)| possible(vrf) && !targets.export.is_empty())
            {
                let targets = targets.export.iter().take(Policy::MOST_EXPORT_TARGETS);
                let targets = targets.map(|target| target.community());
                let extended = targets.chain(tunnels.iter().copied()).collect();
                self.attributes.insert(vrf, Arc::new(Attributes::of_node(policy.node, extended)));
            }
        }
        let mut changed = BTreeSet::new();
        for item in self.given.diff(advertisements) {
            let one = match item {
                DiffItem::Add(one, ()) | DiffItem::Remove(one, ()) => one,
                DiffItem::Update { new: (one, ()), .. } => one,
            };
            changed.insert((one.vrf, one.prefix));
        }
        self.given = advertisements.clone();
        for (vrf, prefix) in changed {
            if let IpNet::V4(prefix) = prefix {
                self.tell(policy, vrf, prefix);
            }
        }
    }

    /// Makes the routes of one prefix anew.
    fn tell(&mut self, policy: &Policy, vrf: VrfId, prefix: Ipv4Net) {
        let Some(attributes) = self.attributes.get(&vrf) else { return };
        let at = (vrf, IpNet::V4(prefix));
        let from = Advertisement {
            vrf,
            prefix: at.1,
            label: 0.into(),
            next_hop: std::net::Ipv4Addr::UNSPECIFIED.into(),
        };
        let all = self.given.range(from..).map(|(one, ())| one);
        let mut labels: Vec<_> =
            all.take_while(|one| (one.vrf, one.prefix) == at).map(|one| one.label).collect();
        labels.dedup();
        if labels.len() > usize::from(LABELS) {
            self.crowded.insert(at);
        } else {
            self.crowded.remove(&at);
        }
        for rank in 0..LABELS {
            let number = vrf.0 + rank * ALTERNATE;
            let distinguisher = RouteDistinguisher::of_node(policy.node, number);
            let place = VpnPrefix { distinguisher, prefix };
            match labels.get(usize::from(rank)) {
                Some(&label) => {
                    let path = VpnPath { label, attributes: attributes.clone() };
                    if self.routes.get(&place) != Some(&path) {
                        self.routes.insert(place, path);
                    }
                }
                None => {
                    self.routes.remove(&place);
                }
            }
        }
    }
}
