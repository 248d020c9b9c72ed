//! Who has a floating IP when several load balancers want it (`docs/decisions/16-an-address-has-one-owner.md`).
//!
//! Whoever may create a Service must not get a share of another one's traffic. So an address has one owner, and what the
//! others wanted of it they do not get; each is told so in a note. The order is that of
//! [`LoadBalancer::seniority`], which depends neither on the order of arrival nor on what was in force before:
//!
//! * A cluster IP is never shared, and comes before any external or ingress address.
//! * An external or ingress address belongs to the namespace of its oldest load balancer. Others of that namespace share it
//!   by disjoint (protocol, port); who is older has the port that two want.
//! * `externalIPs` count only in ranges that the operator allowed, and never in those that he named as the cluster's own, nor
//!   where the node knows better whose they are: the addresses of pods (the node file's vifs and labels, and what the sources
//!   know), this node's fabric subnet, the other nodes' tunnel end points, and, as above, cluster IPs.
//! * What only some clients may use (`source_ranges`) is not programmed, as the card cannot check it. It is owned all the
//!   same, so that nobody else takes its place.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use penstock_model::{
    Affinity, FloatingIp, FloatingIpKind, Listener, LoadBalancer, Note, Protocol, Scope, Snapshot,
};

/// How notes end that say that something is not served.
const PASSED_OVER: &str = "passed over";

/// A listener in front of which a floating IP stands.
#[derive(Clone, Copy)]
pub(crate) struct Front<'a> {
    pub(crate) balancer: &'a LoadBalancer,
    pub(crate) listener: &'a Listener,
    pub(crate) scope: Scope,
}

/// A load balancer that wants an address.
#[derive(Clone, Copy)]
struct Claim<'a> {
    balancer: &'a LoadBalancer,
    ip: FloatingIp,
}

impl Claim<'_> {
    /// Whether the card must not serve it, as it cannot tell who may use it.
    fn withheld(&self) -> bool {
        self.ip.kind != FloatingIpKind::Cluster && !self.balancer.source_ranges.is_empty()
    }
}

/// All floating IPs that are served, with the listeners behind them. `pods` are the addresses to which there are routes.
pub(crate) fn fronts<'a>(
    snapshot: &'a Snapshot,
    pods: &BTreeSet<Ipv4Addr>,
    notes: &mut Vec<Note>,
) -> BTreeMap<Ipv4Addr, Vec<Front<'a>>> {
    let mut by_seniority: Vec<&LoadBalancer> = snapshot.load_balancers.iter().collect();
    by_seniority.sort_by_key(|balancer| balancer.seniority());
    let mut claims: BTreeMap<Ipv4Addr, Vec<Claim<'a>>> = BTreeMap::new();
    for balancer in by_seniority {
        for &ip in &balancer.floating_ips {
            match not_a_floating_ip(ip, snapshot, pods) {
                Some(why) => notes.push(Note::new(&balancer.name, why)),
                None => claims.entry(ip.address).or_default().push(Claim { balancer, ip }),
            }
        }
    }
    let mut fronts = BTreeMap::new();
    for (address, claims) in claims {
        if let Some(served) = grant(address, &claims, notes) {
            fronts.insert(address, served);
        }
    }
    fronts
}

/// Whether a note about a load balancer says that it is not served at `address` at all.
#[must_use]
pub fn denies(note: &str, address: Ipv4Addr) -> bool {
    let note = ["floating IP ", "external IP "]
        .iter()
        .find_map(|what| note.strip_prefix(what))
        .unwrap_or(note);
    let denied = note.starts_with(&format!("{address} "));
    let withheld = note.starts_with("only ") && note.contains(&format!(" may use {address}, "));
    (denied || withheld) && note.ends_with(PASSED_OVER)
}

/// Why an address cannot be a floating IP, whoever wants it.
fn not_a_floating_ip(
    ip: FloatingIp,
    snapshot: &Snapshot,
    pods: &BTreeSet<Ipv4Addr>,
) -> Option<String> {
    let FloatingIp { address, kind, .. } = ip;
    let node = &snapshot.node;
    if pods.contains(&address) || node.owner_of(address).is_some() {
        return Some(format!(
            "floating IP {address} is the address of a pod or a node, passed over"
        ));
    }
    if kind != FloatingIpKind::External {
        return None;
    }
    if let Some(range) = snapshot.cluster_ranges.iter().find(|range| range.contains(address)) {
        let text = format!("is in {range} of --cluster-cidr, passed over");
        return Some(format!("external IP {address} {text}"));
    }
    if !snapshot.external_ranges.iter().any(|range| range.contains(address)) {
        let text = "is in no range of --allow-external-ips, passed over";
        return Some(format!("external IP {address} {text}"));
    }
    let fabric = node.fabric.address;
    if snapshot.pods.contains_key(&address) || fabric.contains(address) {
        let text = format!("is a pod's, or in the fabric's {}, passed over", fabric.network());
        return Some(format!("external IP {address} {text}"));
    }
    None
}

/// Divides an address among those that want it, the oldest first. None if nothing of it may be served.
fn grant<'a>(
    address: Ipv4Addr,
    claims: &[Claim<'a>],
    notes: &mut Vec<Note>,
) -> Option<Vec<Front<'a>>> {
    let cluster = claims.iter().find(|claim| claim.ip.kind == FloatingIpKind::Cluster);
    let owner = cluster.or_else(|| claims.first())?;
    let mut served: Option<Vec<Front<'a>>> = None;
    let mut ports: BTreeMap<(Protocol, u16), &LoadBalancer> = BTreeMap::new();
    for claim in claims {
        let balancer = claim.balancer;
        let is_owner = balancer.name == owner.balancer.name;
        let shares = cluster.is_none() && balancer.name.namespace == owner.balancer.name.namespace;
        if !is_owner && !shares {
            let what = if cluster.is_some() { "is the cluster IP of" } else { "belongs to" };
            let text = format!("{address} {what} {}, passed over", owner.balancer.name);
            notes.push(Note::new(&balancer.name, text));
            continue;
        }
        let mut fronts = Vec::new();
        for listener in &balancer.listeners {
            let port = (listener.protocol, listener.port);
            let holder = *ports.entry(port).or_insert(balancer);
            if holder.name == balancer.name {
                fronts.push(Front { balancer, listener, scope: claim.ip.scope });
            } else {
                let text = format!(
                    "port {}/{} of {address} belongs to {}, passed over",
                    port.1, port.0, holder.name
                );
                notes.push(Note::new(&balancer.name, text));
            }
        }
        if claim.withheld() {
            let text = format!(
                "only {} may use {address}, which is not enforced yet: passed over",
                balancer.source_ranges.join(", ")
            );
            notes.push(Note::new(&balancer.name, text));
        } else if is_owner || !fronts.is_empty() {
            served.get_or_insert_default().extend(fronts);
        }
    }
    affinity_is_shared(address, served.as_deref().unwrap_or_default(), notes);
    served
}

/// One group has one hash: who shares an address with a load balancer whose clients keep their member, has such clients too.
fn affinity_is_shared(address: Ipv4Addr, fronts: &[Front<'_>], notes: &mut Vec<Note>) {
    let sticky = |front: &&Front<'_>| front.balancer.affinity != Affinity::None;
    let Some(cause) = fronts.iter().find(sticky) else { return };
    for front in fronts.iter().filter(|front| !sticky(front)) {
        let text = format!(
            "shares {address} with {}, so its clients keep their backends too",
            cause.balancer.name
        );
        notes.push(Note::new(&front.balancer.name, text));
    }
}
