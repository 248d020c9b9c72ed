//! Floating IPs without port map of this node's pods (`docs/decisions/85-plain-floating-ips.md`).
//!
//! Each is made of one object: its label, by which others reach the pod in the floating IP's network; the key at the pod's vif by
//! which any port of it is translated, and the routes there (both, ingress); the vif's egress way (both, egress). Example, the
//! floating IP 198.51.100.10 of network `public` (VRF 4), for the pod of vif 8, label 55:
//!
//! ```text
//! labels  55                   -> Encap vif 8, VRF 4
//! plain   (vif 8, 198.51.100.10) -> 10.47.255.238
//! routes  (4, 198.51.100.10)   -> Encap vif 8
//! vifs    8                    egress: VRF 4, 198.51.100.10
//! ```
//!
//! All of a node are made anew when anything changes that they are made of: a card has 253 pods. An address that a load balancer
//! owns, or at which a pod or a node is, is not one of these.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use penstock_abi::limits;
use penstock_abi::table::TableId;
use penstock_model::{
    Advertisement, Denial, Finding, Intent, IpNet, MplsLabel, ObjectId, ObjectName, OrdMap, Pod,
    PodFloatingIp, PodVif, Reason, VifId, VrfId,
};

use crate::book::Teller;
use crate::maps::{changes, put};
use crate::places::{Context, Places};
use crate::vips::Vips;
use crate::{Egress, Hop, LabelEntry, NextHopKey, PlainKey, RouteTarget, room};

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct PlainIps {
    ips: OrdMap<ObjectName, Arc<PodFloatingIp>>,
    vifs: OrdMap<VifId, Arc<PodVif>>,
    pods: OrdMap<IpAddr, Arc<Pod>>,
    /// Host routes of pods: what is left of their table is for these.
    host_routes: usize,
    made: Vec<Made>,
    /// What was made is not in the tables yet.
    pending: bool,
}

/// What was made of one.
#[derive(Debug)]
struct Made {
    ip: Arc<PodFloatingIp>,
    vif: VifId,
    pod: IpAddr,
    vrf: VrfId,
    /// VRFs from which others reach it.
    routes: Vec<VrfId>,
    is_egress: bool,
}

/// What is given away while they are made, from the oldest to the youngest.
#[derive(Default)]
struct Given<'a> {
    addresses: BTreeMap<IpAddr, &'a ObjectName>,
    labels: BTreeMap<MplsLabel, ObjectId>,
    /// Vifs that begin connections under one.
    egress: BTreeMap<VifId, IpAddr>,
    vifs: BTreeMap<&'a ObjectName, &'a PodVif>,
    /// Pods that are known, and their nodes.
    pods: BTreeMap<&'a ObjectName, &'a str>,
    keys: usize,
    routes: usize,
    mappings: usize,
}

impl PlainIps {
    /// Decides what they are, and takes out of the tables what they were, if that may have changed: something did at `addresses`,
    /// or who claims them.
    pub(crate) fn decide(
        &mut self,
        intent: &Intent,
        addresses: &BTreeSet<IpAddr>,
        (places, vips): (&Places, &Vips),
        cx: &mut Context<'_>,
    ) {
        let (gone, came) = changes(&mut self.ips, &intent.floating_ips);
        let (old_vifs, vifs) = changes(&mut self.vifs, &intent.vifs);
        let (old_pods, pods) = changes(&mut self.pods, &intent.pods);
        let host_routes = places.host_routes(cx.shape);
        let as_much_room = std::mem::replace(&mut self.host_routes, host_routes) == host_routes;
        if self.ips.is_empty() && gone.is_empty() {
            return;
        }
        let same = [gone.len(), came.len(), old_vifs.len(), vifs.len(), old_pods.len(), pods.len()]
            == [0; 6]
            && as_much_room
            && !self.ips.values().any(|ip| addresses.contains(&ip.address));
        if same {
            return;
        }
        for made in std::mem::take(&mut self.made) {
            self.take_out(&made, places, cx);
        }
        for (name, _) in gone {
            cx.book.say(&Teller::FloatingIp(name), Vec::new());
        }
        let ips = self.ips.clone();
        let (pods, vifs) = (self.pods.clone(), self.vifs.clone());
        let mut given = Given::default();
        for vif in vifs.values().filter(|vif| is_in_force(vif, places)) {
            given.labels.insert(vif.label, ObjectId::Vif(vif.name.clone()));
            given.vifs.entry(&vif.pod).or_insert(vif);
        }
        if let Some(label) = cx.site.node.vhost.label {
            given.labels.insert(label, ObjectId::Node);
        }
        given.pods = pods.values().map(|pod| (&pod.name, pod.node.as_str())).collect();
        given.routes = host_routes;
        let mut order: Vec<&Arc<PodFloatingIp>> = ips.values().collect();
        order.sort_by(|a, b| a.seniority().cmp(&b.seniority()));
        for ip in order {
            let mut findings = Vec::new();
            match self.make(ip, &mut given, (places, vips), cx, &mut findings) {
                Ok(made) => self.made.extend(made),
                Err(reason) => findings.push(Finding::refused(reason)),
            }
            let about = ObjectId::FloatingIp(ip.name.clone());
            let findings = findings.into_iter().map(|finding| (about.clone(), finding)).collect();
            cx.book.say(&Teller::FloatingIp(ip.name.clone()), findings);
        }
        self.pending = true;
    }

    /// Makes one; nothing if its pod is another node's.
    fn make<'a>(
        &self,
        ip: &'a Arc<PodFloatingIp>,
        given: &mut Given<'a>,
        (places, vips): (&Places, &Vips),
        cx: &Context<'_>,
        findings: &mut Vec<Finding>,
    ) -> Result<Option<Made>, Reason> {
        let address = ip.address;
        let denied = |why| Reason::Denied { address, why };
        if address.is_ipv6() {
            return Err(denied(Denial::Family));
        }
        if let Some(&holder) = given.addresses.get(&address) {
            let holder = ObjectId::FloatingIp(holder.clone());
            return Err(taken("address", address, holder));
        }
        given.addresses.insert(address, &ip.name);
        let Some(&vif) = given.vifs.get(&ip.pod) else {
            let node = given.pods.get(&ip.pod);
            if node.is_some_and(|node| *node != cx.site.node.name) {
                return Ok(None);
            }
            return Err(text(format!(
                "no vif of this node is pod {}'s, and no other is known",
                ip.pod
            )));
        };
        let Some(vrf) = cx.site.vrf_named(ip.network.as_str()) else {
            return Err(text(format!("there is no VRF of its network {}", ip.network)));
        };
        if places.knows(address) || address == cx.site.address() {
            return Err(denied(Denial::InUse));
        }
        if let Some(owner) = vips.owner(address, places, cx.site) {
            return Err(denied(Denial::BelongsTo(owner)));
        }
        let labels = limits::LABEL_FIRST..=cx.shape.labels.saturating_sub(1);
        if !labels.contains(&ip.label.0) {
            let (first, last) = labels.into_inner();
            return Err(Reason::OutOfRange {
                what: "label".to_owned(),
                value: ip.label.0,
                first,
                last,
            });
        }
        if let Some(holder) = given.labels.get(&ip.label) {
            return Err(taken("label", ip.label, holder.clone()));
        }
        let is_ingress = ip.direction.is_ingress();
        let mut is_egress = ip.direction.is_egress();
        if let Some(other) = given.egress.get(&vif.id).filter(|_| is_egress) {
            let reason = text(format!("pod {} begins connections under {other} already", ip.pod));
            if !is_ingress {
                return Err(reason);
            }
            findings.push(Finding::partial(reason));
            is_egress = false;
        }
        let routes = if is_ingress { cx.site.reached_from(vrf, &ip.network) } else { Vec::new() };
        let room = [
            (TableId::HostRoute, given.routes + routes.len()),
            (TableId::PlainFip, given.keys + usize::from(is_ingress)),
            // The first is none.
            (TableId::FipMap, given.mappings + 2),
        ];
        let is_full = |(table, used): &(TableId, usize)| *used > cx.shape.capacity(*table) as usize;
        if let Some((table, _)) = room.into_iter().find(is_full) {
            return Err(room::full(table, cx.shape));
        }
        given.routes += routes.len();
        given.keys += usize::from(is_ingress);
        given.mappings += 1;
        given.labels.insert(ip.label, ObjectId::FloatingIp(ip.name.clone()));
        if is_egress {
            given.egress.insert(vif.id, address);
        }
        let (vif, pod) = (vif.id, vif.address);
        Ok(Some(Made { ip: ip.clone(), vif, pod, vrf, routes, is_egress }))
    }

    /// Host routes and mappings that they need.
    pub(crate) fn need(&self) -> (usize, usize) {
        (self.made.iter().map(|made| made.routes.len()).sum(), self.made.len())
    }

    /// Labels that they have.
    pub(crate) fn labels(&self) -> impl Iterator<Item = MplsLabel> {
        self.made.iter().map(|made| made.ip.label)
    }

    /// Takes one out of the tables. What has become another's there is not touched.
    fn take_out(&self, made: &Made, places: &Places, cx: &mut Context<'_>) {
        let Made { ip, vif, routes, is_egress, .. } = made;
        let desired = &mut cx.out.desired;
        for &vrf in routes.iter().filter(|vrf| !places.has_route(**vrf, ip.address)) {
            put(&mut desired.routes, (vrf, ip.address), None);
        }
        let mut vifs = self.vifs.values().filter(|vif| is_in_force(vif, places));
        if !vifs.any(|vif| vif.label == ip.label) {
            put(&mut desired.labels, ip.label, None);
        }
        put(&mut desired.plain, PlainKey { vif: *vif, address: ip.address }, None);
        if let Some(&entry) = desired.vifs.get(vif).filter(|_| *is_egress) {
            put(&mut desired.vifs, *vif, Some(crate::VifEntry { egress: None, ..entry }));
        }
        put(&mut cx.out.advertisements, made.advertisement(cx.site.address()), None);
        put(&mut cx.out.owners, ip.address, None);
    }

    /// Writes into the tables what they are, if that was decided anew.
    pub(crate) fn write(&mut self, cx: &mut Context<'_>) {
        if !std::mem::take(&mut self.pending) {
            return;
        }
        for made in &self.made {
            let Made { ip, vif, pod, vrf, routes, is_egress } = made;
            let desired = &mut cx.out.desired;
            let next_hop = NextHopKey::Encap(*vif);
            let label = LabelEntry { next_hop, service: None, vrf: *vrf };
            put(&mut desired.labels, ip.label, Some(label));
            for &vrf in routes {
                let target = RouteTarget::Hop(Hop { next_hop, label: None });
                put(&mut desired.routes, (vrf, ip.address), Some(target));
            }
            if ip.direction.is_ingress() {
                put(&mut desired.plain, PlainKey { vif: *vif, address: ip.address }, Some(*pod));
            }
            if let Some(&entry) = desired.vifs.get(vif).filter(|_| *is_egress) {
                let egress = Some(Egress { vrf: *vrf, address: ip.address });
                put(&mut desired.vifs, *vif, Some(crate::VifEntry { egress, ..entry }));
            }
            put(&mut cx.out.advertisements, made.advertisement(cx.site.address()), Some(()));
            let owner = ObjectId::FloatingIp(ip.name.clone());
            put(&mut cx.out.owners, ip.address, Some(owner));
        }
    }
}

impl Made {
    fn advertisement(&self, next_hop: IpAddr) -> Advertisement {
        let prefix = IpNet::from(self.ip.address);
        Advertisement { vrf: self.vrf, prefix, label: self.ip.label, next_hop }
    }
}

fn is_in_force(vif: &PodVif, places: &Places) -> bool {
    places.vif(vif.address).is_some_and(|there| there.id == vif.id)
}

fn taken(what: &str, value: impl std::fmt::Display, holder: ObjectId) -> Reason {
    Reason::Taken { what: what.to_owned(), value: format!("{value}"), holder }
}

fn text(text: String) -> Reason {
    Reason::Text { text }
}
