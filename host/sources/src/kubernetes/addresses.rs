//! The addresses in front of a service, and who may use them.
//!
//! * A service is served at the addresses of its own families: an IPv6-only service has no IPv4 endpoints, so its IPv4
//!   ingress address is not served. Which families a card knows is the compiler's business.
//! * `internalTrafficPolicy: Local` is a property of the cluster IP alone. External and ingress addresses, asked for from
//!   within the cluster, always have cluster semantics; from outside they come by a label, which names the pod. So each
//!   connection from outside is served by a pod of the node to which it came, with the client's own address, and
//!   `externalTrafficPolicy: Local` asks for nothing more.
//! * The cluster IP of a service that another proxy serves is nobody else's. Who of our own services gets an address that
//!   several want is the compiler's business, which knows the node's addresses too.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use penstock_model::{FloatingIp, FloatingIpKind, IpNet, NetworkName, ObjectName, Scope};

use super::objects::{NETWORK, SOURCE_RANGES, Service, ServiceSpec};
use super::translate::Notes;

/// Cluster IPs of services that are not served here, and whose they are.
pub(super) type Foreign = BTreeMap<IpAddr, BTreeSet<ObjectName>>;

/// The cluster IPs of a service.
pub(super) fn cluster_ips(spec: &ServiceSpec) -> impl Iterator<Item = IpAddr> {
    cluster_texts(spec).filter_map(|text| text.parse().ok())
}

fn cluster_texts(spec: &ServiceSpec) -> impl Iterator<Item = &str> {
    spec.cluster_ip.iter().chain(&spec.cluster_ips).map(String::as_str)
}

/// Whether a service wants addresses besides its cluster IPs.
pub(super) fn wants_more(service: &Service) -> bool {
    !service.spec.external_ips.is_empty() || !service.status.load_balancer.ingress.is_empty()
}

/// The addresses that a service wants, each once.
pub(super) fn floating_ips(
    name: &ObjectName,
    service: &Service,
    foreign: &Foreign,
    notes: &mut Notes,
) -> Vec<FloatingIp> {
    let spec = &service.spec;
    let scope = match spec.internal_traffic_policy.as_deref() {
        Some("Local") => Scope::Local,
        _ => Scope::Cluster,
    };
    let cluster = cluster_texts(spec).map(|ip| (ip, FloatingIpKind::Cluster, scope));
    let external = spec.external_ips.iter();
    let external = external.map(|ip| (ip.as_str(), FloatingIpKind::External, Scope::Cluster));
    let ingress = service.status.load_balancer.ingress.iter();
    let ingress = ingress.filter(|i| i.ip_mode.as_deref() != Some("Proxy"));
    let ingress = ingress.filter_map(|i| i.ip.as_deref());
    let ingress = ingress.map(|ip| (ip, FloatingIpKind::Ingress, Scope::Cluster));

    let network = service.metadata.annotations.get(NETWORK).filter(|name| !name.is_empty());
    let network = network.map_or_else(NetworkName::services, |name| name.as_str().into());
    let families = Families::of(spec);
    let mut found: Vec<FloatingIp> = Vec::new();
    for (text, kind, scope) in cluster.chain(external).chain(ingress) {
        let Ok(address) = text.parse::<IpAddr>() else {
            if !text.is_empty() {
                notes.service(name, format!("{text:?} is not an IP address, passed over"));
            }
            continue;
        };
        if !families.has(address) {
            let (own, other) = if address.is_ipv4() { (6, 4) } else { (4, 6) };
            let text = format!(
                "the service is IPv{own} only, its IPv{other} address {address} is passed over"
            );
            notes.service(name, text);
            continue;
        }
        let owners = foreign.get(&address).filter(|_| kind != FloatingIpKind::Cluster);
        if let Some(owner) = owners.and_then(BTreeSet::first) {
            let text = format!(
                "{address} is the cluster IP of Service {owner}, which another proxy serves: passed over"
            );
            notes.service(name, text);
        } else if found.iter().all(|other| other.address != address) {
            found.push(FloatingIp { address, network: network.clone(), kind, scope });
        }
    }
    found
}

/// The families of a service.
struct Families {
    v4: bool,
    v6: bool,
}

impl Families {
    /// The cluster IPs tell where the API server has not filled in the families; if there are none either, it may be any.
    fn of(spec: &ServiceSpec) -> Self {
        let has = |family: &str| spec.ip_families.iter().any(|other| other == family);
        let (v4, v6) = if spec.ip_families.is_empty() {
            let mut known = cluster_ips(spec);
            let v4 = known.any(|address| address.is_ipv4());
            (v4, cluster_ips(spec).any(|address| address.is_ipv6()))
        } else {
            (has("IPv4"), has("IPv6"))
        };
        let any = !v4 && !v6;
        Self { v4: v4 || any, v6: v6 || any }
    }

    fn has(&self, address: IpAddr) -> bool {
        if address.is_ipv4() { self.v4 } else { self.v6 }
    }
}

/// The only clients of a service's external addresses; empty if everybody may use them. A range that is no range still
/// keeps everybody else out.
pub(super) fn source_ranges(service: &Service) -> Vec<String> {
    let annotation = service.metadata.annotations.get(SOURCE_RANGES);
    let annotation = annotation.into_iter().flat_map(|text| text.split(','));
    let trimmed = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
    let spec = service.spec.load_balancer_source_ranges.iter();
    let mut ranges: Vec<String> = spec.filter_map(|text| trimmed(text)).collect();
    if ranges.is_empty() {
        ranges = annotation.filter_map(trimmed).collect();
    }
    let all =
        ranges.iter().any(|text| text.parse::<IpNet>().is_ok_and(|range| range.prefix_len() == 0));
    if all { Vec::new() } else { ranges }
}
