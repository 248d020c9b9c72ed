//! The rules by which a service proxy reads the Kubernetes API.
//!
//! * Headless services, `ExternalName`, and services and slices for another proxy (KEP-2447) are passed over.
//! * A slice's port belongs to the service port of the same *name* and protocol; several slices may give the same name
//!   different numbers. An endpoint that two slices list counts once, in its better condition.
//! * `ready` and `serving` absent mean true, `terminating` absent means false. Ready endpoints are active; those that
//!   terminate and still serve are draining (the compiler lets them in if nobody else serves). Others are not members, as
//!   if they were not listed: what connections they have stays with the planner.
//! * NodePorts belong to kube-proxy, `targetPort` is already resolved in the slices.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::net::{IpAddr, Ipv4Addr};

use jiff::Timestamp;
use penstock_model::{
    Affinity, Listener, LoadBalancer, Member, MemberState, Note, ObjectName, Pool, Protocol,
};

use super::addresses::{self, Foreign};
use super::objects::{Conditions, EndpointSlice, Metadata, Pod, Service, ServiceSpec};

/// Value of the label `service.kubernetes.io/service-proxy-name` that names this proxy.
pub const PROXY_NAME: &str = "penstock";

pub(super) const SERVICE_NAME: &str = "kubernetes.io/service-name";
pub(super) const HEADLESS: &str = "service.kubernetes.io/headless";
pub(super) const SERVICE_PROXY: &str = "service.kubernetes.io/service-proxy-name";
const AFFINITY_SECONDS_DEFAULT: u32 = 10_800;
const AFFINITY_SECONDS_MAX: u32 = 86_400;

pub(super) fn object_name(metadata: &Metadata) -> ObjectName {
    let namespace = if metadata.namespace.is_empty() { "default" } else { &metadata.namespace };
    ObjectName::new(namespace, &metadata.name)
}

fn protocol(text: Option<&str>) -> Option<Protocol> {
    match text {
        None | Some("TCP" | "") => Some(Protocol::Tcp),
        Some("UDP") => Some(Protocol::Udp),
        Some("SCTP") => Some(Protocol::Sctp),
        Some(_) => None,
    }
}

/// What the API server would refuse of a service.
pub(super) fn check_service(service: &Service) -> Vec<String> {
    let spec = &service.spec;
    let mut faults = Vec::new();
    if let Err(error) = created(&service.metadata) {
        faults.push(format!("metadata.creationTimestamp is not a time: {error}"));
    }
    let kinds =
        [None, Some("ClusterIP"), Some("NodePort"), Some("LoadBalancer"), Some("ExternalName")];
    if !kinds.contains(&spec.kind.as_deref()) {
        faults.push(format!("spec.type {:?} is not known", spec.kind.as_deref().unwrap_or("")));
    }
    let mut names = BTreeMap::new();
    let mut keys = BTreeMap::new();
    for (i, port) in spec.ports.iter().enumerate() {
        let Some(protocol) = protocol(port.protocol.as_deref()) else {
            let text = port.protocol.as_deref().unwrap_or("");
            faults.push(format!("spec.ports[{i}].protocol {text:?} is not TCP, UDP or SCTP"));
            continue;
        };
        if port.port == 0 {
            faults.push(format!("spec.ports[{i}].port 0 is not in 1..=65535"));
        }
        if spec.ports.len() > 1 && port.name.is_empty() {
            faults.push(format!("spec.ports[{i}].name is needed, as there are several ports"));
        } else if let Some(other) = names.insert(port.name.clone(), i) {
            faults.push(format!(
                "spec.ports[{i}].name {:?} is that of spec.ports[{other}]",
                port.name
            ));
        }
        if let Some(other) = keys.insert((port.port, protocol), i) {
            faults.push(format!(
                "spec.ports[{i}] {}/{protocol} is spec.ports[{other}] again",
                port.port
            ));
        }
    }
    let addresses = spec.cluster_ip.iter().chain(&spec.cluster_ips).chain(&spec.external_ips);
    for text in addresses.filter(|text| !text.is_empty() && *text != "None") {
        if text.parse::<IpAddr>().is_err() {
            faults.push(format!("{text:?} is not an IP address"));
        }
    }
    match spec.session_affinity.as_deref() {
        None | Some("" | "None" | "ClientIP") => {}
        Some(other) => {
            faults.push(format!("spec.sessionAffinity {other:?} is not None or ClientIP"));
        }
    }
    let seconds = affinity_seconds(spec);
    if seconds == 0 || seconds > AFFINITY_SECONDS_MAX {
        faults.push(format!("timeoutSeconds {seconds} is not in 1..={AFFINITY_SECONDS_MAX}"));
    }
    match spec.internal_traffic_policy.as_deref() {
        None | Some("" | "Cluster" | "Local") => {}
        Some(other) => {
            faults.push(format!("spec.internalTrafficPolicy {other:?} is not Cluster or Local"));
        }
    }
    faults
}

/// What the API server would refuse of a slice.
pub(super) fn check_slice(slice: &EndpointSlice) -> Vec<String> {
    let mut faults = Vec::new();
    if !["IPv4", "IPv6", "FQDN"].contains(&slice.address_type.as_str()) {
        faults.push(format!("addressType {:?} is not IPv4, IPv6 or FQDN", slice.address_type));
    }
    for (i, port) in slice.ports.iter().enumerate() {
        if protocol(port.protocol.as_deref()).is_none() {
            let text = port.protocol.as_deref().unwrap_or("");
            faults.push(format!("ports[{i}].protocol {text:?} is not TCP, UDP or SCTP"));
        }
        if port.port == Some(0) {
            faults.push(format!("ports[{i}].port 0 is not in 1..=65535"));
        }
    }
    for (i, endpoint) in slice.endpoints.iter().enumerate() {
        match endpoint.addresses.first() {
            None => faults.push(format!("endpoints[{i}].addresses is empty")),
            Some(text) if slice.address_type == "IPv4" && text.parse::<Ipv4Addr>().is_err() => {
                faults.push(format!("endpoints[{i}].addresses[0] {text:?} is not an IPv4 address"));
            }
            Some(_) => {}
        }
    }
    faults
}

fn affinity_seconds(spec: &ServiceSpec) -> u32 {
    let client_ip = spec.session_affinity_config.as_ref().and_then(|c| c.client_ip.as_ref());
    client_ip.and_then(|c| c.timeout_seconds).unwrap_or(AFFINITY_SECONDS_DEFAULT)
}

/// When an object was made, in seconds since 1970: the API has no finer times.
fn created(metadata: &Metadata) -> Result<Option<i64>, jiff::Error> {
    let text = metadata.creation_timestamp.as_deref().filter(|text| !text.is_empty());
    text.map(|text| text.parse().map(Timestamp::as_second)).transpose()
}

/// Whether an object is for another proxy, or for none.
fn passed_over(metadata: &Metadata) -> bool {
    metadata.labels.contains_key(HEADLESS)
        || metadata.labels.get(SERVICE_PROXY).is_some_and(|name| name != PROXY_NAME)
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

pub(super) fn load_balancers<'a>(
    services: impl Iterator<Item = (&'a ObjectName, &'a Service)>,
    slices: impl Iterator<Item = (&'a ObjectName, &'a EndpointSlice)>,
) -> (Vec<LoadBalancer>, Vec<Note>) {
    let mut notes = Vec::new();
    let mut by_service: BTreeMap<ObjectName, Vec<&EndpointSlice>> = BTreeMap::new();
    for (name, slice) in slices {
        if passed_over(&slice.metadata) {
            continue;
        }
        let Some(service) = slice.metadata.labels.get(SERVICE_NAME) else {
            notes.push(Note::new(
                format_args!("EndpointSlice {name}"),
                format_args!("has no label {SERVICE_NAME}, passed over"),
            ));
            continue;
        };
        if slice.address_type != "IPv4" {
            let text = format!("addressType {} is not supported, passed over", slice.address_type);
            notes.push(Note::new(format_args!("EndpointSlice {name}"), text));
            continue;
        }
        let service = ObjectName::new(&name.namespace, service);
        by_service.entry(service).or_default().push(slice);
    }
    let (others, own): (Vec<_>, Vec<_>) =
        services.partition(|(_, service)| passed_over(&service.metadata));
    let foreign = others.into_iter().flat_map(|(name, service)| {
        addresses::cluster_ips(&service.spec).map(|address| (address, name.clone()))
    });
    let foreign: Foreign = foreign.collect();
    let balancers = own.into_iter().filter_map(|(name, service)| {
        let slices = by_service.get(name).map_or(&[][..], Vec::as_slice);
        load_balancer(name, service, slices, &foreign, &mut notes)
    });
    let balancers = balancers.collect();
    (balancers, notes)
}

fn load_balancer(
    name: &ObjectName,
    service: &Service,
    slices: &[&EndpointSlice],
    foreign: &Foreign,
    notes: &mut Vec<Note>,
) -> Option<LoadBalancer> {
    let spec = &service.spec;
    if spec.kind.as_deref() == Some("ExternalName") || spec.cluster_ip.as_deref() == Some("None") {
        return None;
    }
    let floating_ips = addresses::floating_ips(name, service, foreign, notes);
    if floating_ips.is_empty() {
        notes.push(Note::new(
            format_args!("Service {name}"),
            "has no IPv4 address to serve, passed over",
        ));
        return None;
    }
    let listeners = spec.ports.iter().filter_map(|port| {
        let protocol = protocol(port.protocol.as_deref())?;
        let pool = pool(name, &port.name, protocol, slices, notes);
        Some(Listener { name: port.name.clone(), protocol, port: port.port, pool })
    });
    let listeners = listeners.collect();
    let affinity = match spec.session_affinity.as_deref() {
        Some("ClientIP") => Affinity::ClientIp { timeout_seconds: affinity_seconds(spec) },
        _ => Affinity::None,
    };
    Some(LoadBalancer {
        name: name.clone(),
        // A service whose time is wrong is refused before it gets here.
        created: created(&service.metadata).unwrap_or_default(),
        floating_ips,
        listeners,
        affinity,
        source_ranges: addresses::source_ranges(service),
    })
}

fn pool(
    name: &ObjectName,
    port_name: &str,
    wanted: Protocol,
    slices: &[&EndpointSlice],
    notes: &mut Vec<Note>,
) -> Pool {
    let mut members: BTreeMap<(Ipv4Addr, u16), Member> = BTreeMap::new();
    for slice in slices {
        let ports = slice.ports.iter().filter(|port| {
            port.name == port_name && protocol(port.protocol.as_deref()) == Some(wanted)
        });
        for port in ports {
            let Some(number) = port.port else {
                let text =
                    format!("port {port_name:?} without number is not supported, passed over");
                notes.push(Note::new(
                    format_args!("EndpointSlice {}", object_name(&slice.metadata)),
                    text,
                ));
                continue;
            };
            for endpoint in &slice.endpoints {
                let address = endpoint.addresses.first().and_then(|text| text.parse().ok());
                let (Some(address), Some(state)) = (address, state(endpoint.conditions)) else {
                    continue;
                };
                let node = endpoint.node_name.clone().unwrap_or_default();
                let member = Member { address, port: number, state, node };
                match members.entry((address, number)) {
                    Entry::Occupied(known) if known.get().state <= state => {}
                    entry => _ = entry.insert_entry(member),
                }
            }
        }
    }
    tracing::trace!(service = %name, port = port_name, members = members.len(), "pool");
    Pool { members: members.into_values().collect() }
}

pub(super) fn pods<'a>(
    pods: impl Iterator<Item = (&'a ObjectName, &'a Pod)>,
) -> BTreeMap<Ipv4Addr, penstock_model::Pod> {
    let mut found = BTreeMap::new();
    for (name, pod) in pods {
        let over = matches!(pod.status.phase.as_deref(), Some("Succeeded" | "Failed"));
        let address = pod.status.pod_ip.as_deref().and_then(|text| text.parse().ok());
        if let (Some(address), false, false) =
            (address, over, pod.spec.host_network.unwrap_or(false))
        {
            let node = pod.spec.node_name.clone().unwrap_or_default();
            found.insert(address, penstock_model::Pod { name: name.clone(), node });
        }
    }
    found
}
