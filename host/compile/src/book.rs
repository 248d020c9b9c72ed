//! Findings by object, put together from what each part of the compiler says.
//!
//! One object may be talked about by many (a load balancer by each of its floating IPs), and one of them may talk about many
//! objects (a floating IP about all that want it). Each says all that it has to say at once, which replaces what it said
//! before; so nothing is left over, whatever was said in between.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use penstock_model::{Finding, Findings, IpNet, ObjectId, ObjectName, VifId, VrfId};

use crate::maps::{changes, put};

/// Who says something.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Teller {
    /// A VRF.
    Vrf(VrfId),
    /// A vif.
    Vif(VifId),
    /// Another node, by name.
    Peer(String),
    /// The choice of a route.
    Route(VrfId, IpNet),
    /// The share of a route in its table.
    RouteRoom(VrfId, IpNet),
    /// A floating IP of a pod.
    FloatingIp(ObjectName),
    /// What is made of a floating IP.
    Vip(IpAddr),
    /// The share of a floating IP in the tables.
    VipRoom(IpAddr),
    /// The share of floating IPs in the labels of the node.
    VipLabels,
    /// The labels of the node.
    NodeLabels,
    /// What the node says of the flow table.
    NodeLimits,
}

/// All that is said.
#[derive(Debug, Default)]
pub(crate) struct Book {
    said: BTreeMap<Teller, Vec<(ObjectId, Finding)>>,
    tellers: BTreeMap<ObjectId, BTreeSet<Teller>>,
    intent: Findings,
    dirty: BTreeSet<ObjectId>,
}

impl Book {
    /// Replaces all that one has said; nothing is an empty list.
    pub(crate) fn say(&mut self, teller: &Teller, findings: Vec<(ObjectId, Finding)>) {
        let before = if findings.is_empty() {
            self.said.remove(teller)
        } else {
            self.said.insert(teller.clone(), findings.clone())
        };
        if before.as_ref().is_some_and(|before| *before == findings) {
            return;
        }
        for (object, _) in before.into_iter().flatten() {
            if let Some(tellers) = self.tellers.get_mut(&object) {
                tellers.remove(teller);
                if tellers.is_empty() {
                    self.tellers.remove(&object);
                }
            }
            self.dirty.insert(object);
        }
        for (object, _) in findings {
            self.tellers.entry(object.clone()).or_default().insert(teller.clone());
            self.dirty.insert(object);
        }
    }

    /// Brings the findings up to date, with those that the intent has now.
    pub(crate) fn settle(&mut self, intent: &Findings, findings: &mut Findings) {
        let mut dirty = std::mem::take(&mut self.dirty);
        let (gone, came) = changes(&mut self.intent, intent);
        dirty.extend(gone.into_iter().chain(came).map(|(object, _)| object));
        for object in dirty {
            let own = self.tellers.get(&object).into_iter().flatten();
            let own = own.filter_map(|teller| self.said.get(teller)).flatten();
            let own = own.filter(|(about, _)| *about == object).map(|(_, finding)| finding);
            let all: BTreeSet<&Finding> =
                intent.get(&object).into_iter().flat_map(|list| list.iter()).chain(own).collect();
            let list: Arc<[Finding]> = all.into_iter().cloned().collect();
            put(findings, object, (!list.is_empty()).then_some(list));
        }
    }
}
