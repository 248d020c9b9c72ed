//! Who has a floating IP when several load balancers want it (`docs/decisions/16-an-address-has-one-owner.md`).
//!
//! Whoever may create a Service must not get a share of another one's traffic. So an address has one owner, and what the
//! others wanted of it they do not get; each is told so. The order is that of [`LoadBalancer::seniority`], which depends
//! neither on the order of arrival nor on what was in force before:
//!
//! * A cluster IP is never shared, and comes before any external or ingress address.
//! * An external or ingress address belongs to the namespace of its oldest load balancer. Others of that namespace share it
//!   by disjoint (protocol, port); who is older has the port that two want. They share its network and its provider, too.
//! * `externalIPs` count only in ranges that the operator allowed, and never in those that he named as the cluster's own, nor
//!   where the node knows better whose they are: the addresses of pods (vifs, routes, and what the sources know), this node's
//!   fabric subnet, the other nodes' tunnel end points, and, as above, cluster IPs.
//! * What only some clients may use (`source_ranges`) is not programmed, as the card cannot check it. It is owned all the
//!   same, so that nobody else takes its place.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use penstock_model::{
    Denial, Finding, FloatingIp, FloatingIpKind, LoadBalancer, ObjectId, ObjectName, OrdMap, Pod,
    Protocol, Reason,
};

use crate::places::Places;
use crate::provider::Front;
use crate::site::Site;

/// Findings about load balancers.
pub(crate) type Findings = Vec<(ObjectName, Finding)>;

/// What an address is owned by, and who stands behind it.
pub(crate) struct Grant<'a> {
    pub(crate) owner: &'a Arc<LoadBalancer>,
    /// The owner's.
    pub(crate) ip: &'a FloatingIp,
    /// Those who have a part of it: none if nothing of it may be served.
    pub(crate) sharers: Vec<&'a Arc<LoadBalancer>>,
    pub(crate) fronts: Vec<Front<'a>>,
}

/// What is known of addresses that could be asked for.
#[derive(Clone, Copy)]
pub(crate) struct Known<'a> {
    pub(crate) site: &'a Site,
    pub(crate) places: &'a Places,
    pub(crate) pods: &'a OrdMap<IpAddr, Arc<Pod>>,
}

/// A load balancer that wants an address.
struct Claim<'a> {
    balancer: &'a Arc<LoadBalancer>,
    ip: &'a FloatingIp,
}

impl Claim<'_> {
    /// Whether the card must not serve it, as it cannot tell who may use it.
    fn withheld(&self) -> bool {
        self.ip.kind != FloatingIpKind::Cluster && !self.balancer.source_ranges.is_empty()
    }
}

/// Divides an address among those that want it, given by seniority. None if nobody may have it.
pub(crate) fn grant<'a>(
    address: IpAddr,
    wanted: &'a [Arc<LoadBalancer>],
    known: Known<'_>,
    findings: &mut Findings,
) -> Option<Grant<'a>> {
    let mut claims = Vec::new();
    for balancer in wanted {
        let Some(ip) = strongest(balancer, address) else { continue };
        match denial(ip, known) {
            Some(why) => findings.push(denied(balancer, address, why)),
            None => claims.push(Claim { balancer, ip }),
        }
    }
    let cluster = claims.iter().find(|claim| claim.ip.kind == FloatingIpKind::Cluster);
    let owner = cluster.or_else(|| claims.first())?;
    let mut grant =
        Grant { owner: owner.balancer, ip: owner.ip, sharers: Vec::new(), fronts: Vec::new() };
    let mut ports: BTreeMap<(Protocol, u16), &LoadBalancer> = BTreeMap::new();
    for claim in &claims {
        if let Some(why) = not_shared(claim, owner) {
            findings.push(denied(claim.balancer, address, why));
            continue;
        }
        let fronts = fronts(address, claim, &mut ports, findings);
        if claim.withheld() {
            let why = Denial::SourceRanges(claim.balancer.source_ranges.clone());
            findings.push(denied(claim.balancer, address, why));
        } else if Arc::ptr_eq(claim.balancer, owner.balancer) || !fronts.is_empty() {
            grant.sharers.push(claim.balancer);
            grant.fronts.extend(fronts);
        }
    }
    Some(grant)
}

/// A load balancer's claim on an address: as its cluster IP, if it has it as such too.
fn strongest(balancer: &LoadBalancer, address: IpAddr) -> Option<&FloatingIp> {
    let here = || balancer.floating_ips.iter().filter(|ip| ip.address == address);
    here().find(|ip| ip.kind == FloatingIpKind::Cluster).or_else(|| here().next())
}

/// Why an address cannot be a floating IP, whoever wants it.
fn denial(ip: &FloatingIp, known: Known<'_>) -> Option<Denial> {
    let FloatingIp { address, kind, .. } = *ip;
    let Known { site, places, pods } = known;
    if address.is_ipv6() {
        return Some(Denial::Family);
    }
    if places.knows(address) || address == site.address() {
        return Some(Denial::InUse);
    }
    if kind != FloatingIpKind::External {
        return None;
    }
    let policy = &site.policy;
    if let Some(range) = policy.cluster_ranges.iter().find(|range| range.contains(&address)) {
        return Some(Denial::InClusterRange(*range));
    }
    if !policy.external_ranges.iter().any(|range| range.contains(&address)) {
        return Some(Denial::NotAllowed);
    }
    let fabric = site.node.fabric.address;
    (pods.contains_key(&address) || fabric.contains(&address))
        .then(|| Denial::InFabric(fabric.trunc()))
}

/// Why a claim has no part of the owner's address.
fn not_shared(claim: &Claim<'_>, owner: &Claim<'_>) -> Option<Denial> {
    let (name, holder) = (&claim.balancer.name, &owner.balancer.name);
    if name == holder {
        None
    } else if owner.ip.kind == FloatingIpKind::Cluster {
        Some(Denial::ClusterIpOf(holder.clone()))
    } else if name.namespace != holder.namespace {
        Some(Denial::BelongsTo(holder.clone()))
    } else if claim.balancer.provider != owner.balancer.provider
        || claim.ip.network != owner.ip.network
    {
        Some(Denial::SharedOtherwise(holder.clone()))
    } else {
        None
    }
}

/// The listeners of a claim whose ports nobody has yet.
fn fronts<'a>(
    address: IpAddr,
    claim: &Claim<'a>,
    ports: &mut BTreeMap<(Protocol, u16), &'a LoadBalancer>,
    findings: &mut Findings,
) -> Vec<Front<'a>> {
    let balancer: &LoadBalancer = claim.balancer;
    let mut fronts = Vec::new();
    for listener in &balancer.listeners {
        let port = (listener.protocol, listener.port);
        if let Some(holder) = ports.get(&port) {
            let reason = Reason::Taken {
                what: "port".to_owned(),
                value: format!("{}/{} of {address}", port.1, port.0),
                holder: ObjectId::LoadBalancer(holder.name.clone()),
            };
            findings.push((balancer.name.clone(), Finding::partial(reason)));
        } else {
            ports.insert(port, balancer);
            fronts.push(Front { balancer, listener, address, scope: claim.ip.scope });
        }
    }
    fronts
}

fn denied(balancer: &LoadBalancer, address: IpAddr, why: Denial) -> (ObjectName, Finding) {
    let reason = Reason::Denied { address, why };
    (balancer.name.clone(), not_served(balancer, reason))
}

/// What becomes of a load balancer that is not served at one of its addresses.
pub(crate) fn not_served(balancer: &LoadBalancer, reason: Reason) -> Finding {
    match balancer.floating_ips.as_slice() {
        [_] => Finding::refused(reason),
        _ => Finding::partial(reason),
    }
}
