//! The rules by which a service proxy reads the Kubernetes API.
//!
//! * Headless services, `ExternalName`, and services and slices for another proxy (KEP-2447) are passed over.
//! * A slice's port belongs to the service port of the same *name* and protocol; several slices may give the same name
//!   different numbers. An endpoint that two slices list counts once, in its better condition.
//! * `ready` and `serving` absent mean true, `terminating` absent means false. Ready endpoints are active; those that
//!   terminate and still serve are draining (the compiler lets them in if nobody else serves). Others are not members, as
//!   if they were not listed: what connections they have stays with the planner.
//! * NodePorts belong to kube-proxy (of health checks only the port is read), `targetPort` is already resolved in the slices. `trafficDistribution` is the control plane's
//!   business: what it comes to are the hints of the slices, which the compiler weighs.
//! * Whoever allocates addresses, what stands in the status of a service is served, whatever its `loadBalancerClass`: as
//!   kube-proxy does. Nothing is ever written to the API.
//!
//! A service and its slices are translated together, and nothing else is looked at but the cluster IPs of services that are
//! not served here ([`Foreign`]).

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::net::IpAddr;

use jiff::Timestamp;
use penstock_model::{
    Affinity, Finding, Hints, Listener, LoadBalancer, Member, MemberState, ObjectId, ObjectName,
    Pool, Protocol, ProviderName, Zone,
};

use super::addresses::{self, Foreign};
use super::objects::{
    Conditions, Endpoint, EndpointSlice, ForPlace, HEADLESS, Metadata, Node, PROVIDER, Pod,
    SERVICE_NAME, SERVICE_PROXY, Service, ServicePort, ServiceSpec, ZONE,
};
use super::{passed_over, slice_id};

/// Value of the label `service.kubernetes.io/service-proxy-name` that names this proxy.
pub(super) const PROXY_NAME: &str = "penstock";

const AFFINITY_SECONDS_DEFAULT: u32 = 10_800;

pub(super) fn protocol(text: Option<&str>) -> Option<Protocol> {
    match text {
        None | Some("TCP" | "") => Some(Protocol::Tcp),
        Some("UDP") => Some(Protocol::Udp),
        Some("SCTP") => Some(Protocol::Sctp),
        Some(_) => None,
    }
}

pub(super) fn affinity_seconds(spec: &ServiceSpec) -> u32 {
    let client_ip = spec.session_affinity_config.as_ref().and_then(|c| c.client_ip.as_ref());
    client_ip.and_then(|c| c.timeout_seconds).unwrap_or(AFFINITY_SECONDS_DEFAULT)
}

/// When an object was made, in seconds since 1970: the API has no finer times.
pub(super) fn created(metadata: &Metadata) -> Result<Option<i64>, jiff::Error> {
    let text = metadata.creation_timestamp.as_deref().filter(|text| !text.is_empty());
    text.map(|text| text.parse().map(Timestamp::as_second)).transpose()
}

/// Whether an object is for another proxy, or for none.
pub(super) fn is_foreign(metadata: &Metadata) -> bool {
    metadata.labels.contains_key(HEADLESS)
        || metadata.labels.get(SERVICE_PROXY).is_some_and(|name| name != PROXY_NAME)
}

/// The service to which a slice belongs, or why there is none; neither if that is nobody's business here.
pub(super) fn service_of(
    name: &ObjectName,
    slice: &EndpointSlice,
) -> Result<ObjectName, Option<Finding>> {
    if is_foreign(&slice.metadata) {
        return Err(None);
    }
    let Some(service) = slice.metadata.labels.get(SERVICE_NAME) else {
        let text = format!("has no label {SERVICE_NAME}, passed over");
        return Err(Some(Finding::note(text)));
    };
    if slice.address_type == "FQDN" {
        return Err(Some(Finding::note("addressType FQDN is not supported, passed over")));
    }
    Ok(ObjectName::new(&name.namespace, service))
}

/// The state of an endpoint; none if it must not be sent anything.
fn state(conditions: Conditions) -> Option<MemberState> {
    let serving = conditions.serving.unwrap_or(true);
    if conditions.ready.unwrap_or(true) {
        Some(MemberState::Active)
    } else if serving && conditions.terminating.unwrap_or(false) {
        Some(MemberState::Draining)
    } else {
        None
    }
}

/// What is said of a service and of its slices.
#[derive(Default)]
pub(super) struct Notes(pub(super) BTreeMap<ObjectId, Vec<Finding>>);

impl Notes {
    pub(super) fn service(&mut self, name: &ObjectName, text: impl Into<String>) {
        let id = ObjectId::LoadBalancer(name.clone());
        self.0.entry(id).or_default().push(Finding::note(text));
    }

    pub(super) fn slice(&mut self, name: &ObjectName, text: impl Into<String>) {
        self.0.entry(slice_id(name)).or_default().push(Finding::note(text));
    }
}

/// A slice and its name.
pub(super) type Named<'a> = (&'a ObjectName, &'a EndpointSlice);

/// Translates a service, as far as it is there, and its slices.
pub(super) fn group(
    name: &ObjectName,
    service: Option<&Service>,
    slices: &[Named<'_>],
    foreign: &Foreign,
    notes: &mut Notes,
) -> Option<LoadBalancer> {
    passed_over::notes(name, service, slices, notes);
    let service = service.filter(|service| passed_over::not_served(service).is_none())?;
    let spec = &service.spec;
    let floating_ips = addresses::floating_ips(name, service, foreign, notes);
    if floating_ips.is_empty() {
        notes.service(name, "has no address to serve, passed over");
        return None;
    }
    let listener = |port: &ServicePort| {
        let protocol = protocol(port.protocol.as_deref())?;
        let pool = pool(&port.name, protocol, slices, notes);
        Some(Listener { name: port.name.clone(), protocol, port: port.port, pool })
    };
    let listeners = spec.ports.iter().filter_map(listener).collect();
    let affinity = match spec.session_affinity.as_deref() {
        Some("ClientIP") => Affinity::ClientIp { timeout_seconds: affinity_seconds(spec) },
        _ => Affinity::None,
    };
    let provider = service.metadata.annotations.get(PROVIDER).filter(|name| !name.is_empty());
    Some(LoadBalancer {
        name: name.clone(),
        // A service whose time is wrong is refused before it gets here.
        created: created(&service.metadata).unwrap_or_default(),
        provider: provider.map_or_else(ProviderName::native, |name| name.as_str().into()),
        floating_ips,
        listeners,
        affinity,
        source_ranges: addresses::source_ranges(service),
        health_check: health_check(spec),
    })
}

/// The port of health checks: there is one only where it matters to which node clients come.
fn health_check(spec: &ServiceSpec) -> Option<u16> {
    let local = spec.kind.as_deref() == Some("LoadBalancer")
        && spec.external_traffic_policy.as_deref() == Some("Local");
    Some(spec.health_check_node_port).filter(|&port| local && port > 0)
}

fn pool(port_name: &str, wanted: Protocol, slices: &[Named<'_>], notes: &mut Notes) -> Pool {
    let mut members: BTreeMap<(IpAddr, u16), Member> = BTreeMap::new();
    for (name, slice) in slices {
        let ports = slice.ports.iter().filter(|port| {
            port.name == port_name && protocol(port.protocol.as_deref()) == Some(wanted)
        });
        for port in ports {
            let Some(number) = port.port else {
                let text =
                    format!("port {port_name:?} without number is not supported, passed over");
                notes.slice(name, text);
                continue;
            };
            for endpoint in &slice.endpoints {
                let address = endpoint.addresses.first().and_then(|text| text.parse().ok());
                let (Some(address), Some(state)) = (address, state(endpoint.conditions)) else {
                    continue;
                };
                let node = endpoint.node_name.clone().unwrap_or_default();
                let hints = hints(endpoint);
                let member = Member { address, port: number, state, node, hints };
                match members.entry((address, number)) {
                    Entry::Occupied(known) if known.get().state <= state => {}
                    entry => _ = entry.insert_entry(member),
                }
            }
        }
    }
    Pool { members: members.into_values().collect() }
}

/// For whose clients an endpoint is meant.
fn hints(endpoint: &Endpoint) -> Hints {
    let Some(hints) = &endpoint.hints else { return Hints::default() };
    let names = |places: &[ForPlace]| {
        let mut names: Vec<String> = places.iter().map(|place| place.name.clone()).collect();
        names.sort();
        names.dedup();
        names
    };
    Hints { nodes: names(&hints.for_nodes), zones: names(&hints.for_zones) }
}

/// Where a node is, if that is known.
pub(super) fn zone(name: &str, node: &Node) -> Option<Zone> {
    let zone = node.metadata.labels.get(ZONE).filter(|zone| !zone.is_empty())?;
    Some(Zone { node: name.to_owned(), name: zone.clone() })
}

/// The pod that an object tells of; none if it has no address of its own.
pub(super) fn pod(name: &ObjectName, pod: &Pod) -> Option<penstock_model::Pod> {
    let over = matches!(pod.status.phase.as_deref(), Some("Succeeded" | "Failed"));
    let address = pod.status.pod_ip.as_deref()?.parse().ok()?;
    if over || pod.spec.host_network.unwrap_or(false) {
        return None;
    }
    let node = pod.spec.node_name.clone().unwrap_or_default();
    Some(penstock_model::Pod { name: name.clone(), address, node })
}
