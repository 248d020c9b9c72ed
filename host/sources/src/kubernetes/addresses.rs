//! The addresses in front of a service, and who may use them.
//!
//! * A service is served at the addresses of its own families: an IPv6-only service has no IPv4 endpoints, so its IPv4
//!   ingress address is not served.
//! * `internalTrafficPolicy: Local` is a property of the cluster IP alone. External and ingress addresses, asked for from
//!   within the cluster, always have cluster semantics; from outside they come by a label, which names the pod.
//! * The cluster IP of a service that another proxy serves is nobody else's. Who of our own services gets an address that
//!   several want is the compiler's business, which knows the node's addresses too.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use penstock_model::{FloatingIp, FloatingIpKind, Note, ObjectName, Prefix, Scope};

use super::objects::{Service, ServiceSpec};

/// The form in which source ranges were given before `spec.loadBalancerSourceRanges`; counts if that is empty.
const SOURCE_RANGES: &str = "service.beta.kubernetes.io/load-balancer-source-ranges";

/// Cluster IPs of services that are not served here, and whose they are.
pub(super) type Foreign = BTreeMap<Ipv4Addr, ObjectName>;

/// The IPv4 cluster IPs of a service.
pub(super) fn cluster_ips(spec: &ServiceSpec) -> impl Iterator<Item = Ipv4Addr> {
    cluster_texts(spec).filter_map(|text| text.parse().ok())
}

fn cluster_texts(spec: &ServiceSpec) -> impl Iterator<Item = &str> {
    spec.cluster_ip.iter().chain(&spec.cluster_ips).map(String::as_str)
}

/// The addresses that a service wants, each once.
pub(super) fn floating_ips(
    name: &ObjectName,
    service: &Service,
    foreign: &Foreign,
    notes: &mut Vec<Note>,
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

    let ipv4 = has_ipv4(spec);
    let mut found: Vec<FloatingIp> = Vec::new();
    let mut note = |text: String| notes.push(Note::new(format_args!("Service {name}"), text));
    for (text, kind, scope) in cluster.chain(external).chain(ingress) {
        match text.parse() {
            Ok(IpAddr::V4(address)) if !ipv4 => {
                note(format!(
                    "the service is IPv6 only, its IPv4 address {address} is passed over"
                ));
            }
            Ok(IpAddr::V4(address)) => {
                let owner = foreign.get(&address).filter(|_| kind != FloatingIpKind::Cluster);
                if let Some(owner) = owner {
                    note(format!(
                        "{address} is the cluster IP of Service {owner}, which another proxy serves: passed over"
                    ));
                } else if found.iter().all(|other| other.address != address) {
                    found.push(FloatingIp { address, kind, scope });
                }
            }
            Ok(IpAddr::V6(address)) => {
                note(format!("IPv6 address {address} is not supported, passed over"));
            }
            Err(_) if text.is_empty() => {}
            Err(_) => note(format!("{text:?} is not an IP address, passed over")),
        }
    }
    found
}

/// Whether IPv4 is one of a service's families. The cluster IPs tell where the API server has not filled in the families.
fn has_ipv4(spec: &ServiceSpec) -> bool {
    if !spec.ip_families.is_empty() {
        return spec.ip_families.iter().any(|family| family == "IPv4");
    }
    let mut known = cluster_texts(spec).filter_map(|text| text.parse::<IpAddr>().ok()).peekable();
    known.peek().is_none() || known.any(|address| address.is_ipv4())
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
    let all = ranges.iter().any(|text| text.parse::<Prefix>().is_ok_and(|range| range.len == 0));
    if all { Vec::new() } else { ranges }
}
