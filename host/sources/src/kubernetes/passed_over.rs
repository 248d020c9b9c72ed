//! What manifests hold that is of no use here: told by name, each once, so that nobody waits for it in vain.
//!
//! Objects of other kinds are told by kind, as a file may hold thousands; Services and slices one by one.

use std::collections::BTreeMap;
use std::path::Path;

use penstock_model::{Note, ObjectName};

use super::objects::{EndpointSlice, Metadata, Service};
use super::translate::{HEADLESS, PROXY_NAME, SERVICE_NAME, SERVICE_PROXY};

/// Names that a note on a kind lists; further ones are counted.
const NOTED_NAMES: usize = 8;

/// Objects of one kind that were passed over.
#[derive(Clone, Debug, Default)]
pub(super) struct PassedOver {
    names: Vec<String>,
    more: usize,
}

impl PassedOver {
    /// Remembers one.
    pub(super) fn add(&mut self, name: String) {
        if self.names.len() < NOTED_NAMES {
            self.names.push(name);
        } else {
            self.more += 1;
        }
    }

    /// The note on them.
    pub(super) fn note(&self, path: &Path, version: &str, kind: &str) -> Note {
        let why = match (version, kind) {
            ("v1", "Endpoints") => "; discovery.k8s.io/v1 EndpointSlices are read instead",
            (_, "EndpointSlice") => "; discovery.k8s.io/v1 is read",
            (_, "Service" | "Pod") => "; v1 is read",
            _ => "",
        };
        let more = if self.more > 0 { format!(" and {} more", self.more) } else { String::new() };
        let names = self.names.join(", ");
        Note::new(path.display(), format_args!("{version} {kind} passed over{why}: {names}{more}"))
    }
}

/// Why nothing of a service is served; none if it is.
fn not_served(service: &Service) -> Option<String> {
    let Metadata { labels, .. } = &service.metadata;
    let proxy = labels.get(SERVICE_PROXY).filter(|name| *name != PROXY_NAME);
    if let Some(proxy) = proxy {
        Some(format!("is for the service proxy {proxy:?}, passed over"))
    } else if service.spec.kind.as_deref() == Some("ExternalName") {
        Some("is of type ExternalName, which is for DNS, passed over".to_owned())
    } else if labels.contains_key(HEADLESS) || service.spec.cluster_ip.as_deref() == Some("None") {
        Some("is headless, passed over".to_owned())
    } else {
        None
    }
}

/// Notes on services and slices that are passed over, or a part of them.
pub(super) fn notes<'a>(
    services: &BTreeMap<&'a ObjectName, &'a Service>,
    slices: impl Iterator<Item = (&'a ObjectName, &'a EndpointSlice)>,
) -> Vec<Note> {
    let mut notes = Vec::new();
    for (name, service) in services {
        let text = not_served(service).or_else(|| {
            let node_ports = service.spec.kind.as_deref() == Some("NodePort");
            let text = "is of type NodePort; its node ports are left to another proxy";
            node_ports.then(|| text.to_owned())
        });
        notes.extend(text.map(|text| Note::new(format_args!("Service {name}"), text)));
    }
    for (name, slice) in slices {
        // Slices without a name or of another family are noted where they are read.
        let labels = &slice.metadata.labels;
        let other = labels.contains_key(HEADLESS)
            || labels.get(SERVICE_PROXY).is_some_and(|name| name != PROXY_NAME);
        let Some(service_name) = labels.get(SERVICE_NAME).filter(|_| !other) else { continue };
        let service_name = ObjectName::new(&name.namespace, service_name);
        let subject = format_args!("EndpointSlice {name}").to_string();
        let Some(service) = services.get(&service_name) else {
            let text = format!("there is no Service {service_name}, passed over");
            notes.push(Note::new(subject, text));
            continue;
        };
        if slice.address_type != "IPv4" || not_served(service).is_some() {
            continue;
        }
        for port in &slice.ports {
            let protocol = protocol(port.protocol.as_deref());
            let ports = &service.spec.ports;
            let known = |own: &super::objects::ServicePort| {
                own.name == port.name && self::protocol(own.protocol.as_deref()) == protocol
            };
            if !ports.iter().any(known) {
                let text = format!(
                    "port {:?} ({protocol}) is none of Service {service_name}, passed over",
                    port.name
                );
                notes.push(Note::new(&subject, text));
            }
        }
    }
    notes
}

fn protocol(text: Option<&str>) -> &str {
    text.filter(|text| !text.is_empty()).unwrap_or("TCP")
}

#[cfg(test)]
mod tests {
    use super::super::Objects;
    use super::*;

    fn notes(text: &str) -> Vec<String> {
        let mut objects = Objects::default();
        assert_eq!(objects.add_text(Path::new("m.yaml"), text), []);
        objects.passed_over().iter().map(ToString::to_string).collect()
    }

    fn service(name: &str, labels: &str, spec: &str) -> String {
        format!(
            "---\napiVersion: v1\nkind: Service\nmetadata: {{ name: {name}, labels: {{ {labels} }} }}\nspec: {{ ports: [ {{ port: 80, name: web }} ], {spec} }}\n"
        )
    }

    fn slice(name: &str, service: &str, ports: &str) -> String {
        format!(
            "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {{ name: {name}, labels: {{ kubernetes.io/service-name: {service} }} }}\naddressType: IPv4\nports: [ {ports} ]\n"
        )
    }

    #[test]
    fn services_that_are_not_served_are_named() {
        let text = [
            service("a", "", "clusterIP: 10.0.0.1"),
            service("b", "", "clusterIP: None"),
            service("c", "service.kubernetes.io/headless: \"\"", "clusterIP: 10.0.0.3"),
            service("d", "", "type: ExternalName"),
            service("e", "", "type: NodePort, clusterIP: 10.0.0.5"),
            service("f", "service.kubernetes.io/service-proxy-name: other", ""),
            // What belongs to them needs no note of its own.
            slice("b-1", "b", "{ name: x, port: 80 }"),
        ];
        let expected = [
            "Service default/b: is headless, passed over",
            "Service default/c: is headless, passed over",
            "Service default/d: is of type ExternalName, which is for DNS, passed over",
            "Service default/e: is of type NodePort; its node ports are left to another proxy",
            "Service default/f: is for the service proxy \"other\", passed over",
        ];
        assert_eq!(notes(&text.concat()), expected);
    }

    #[test]
    fn ports_of_slices_that_no_service_has_are_named() {
        let text = [
            service("a", "", "clusterIP: 10.0.0.1"),
            slice("a-1", "a", "{ name: web, port: 80 }, { name: metrics, port: 90 }"),
            slice("a-2", "a", "{ name: web, port: 80, protocol: UDP }"),
            slice("b-1", "b", "{ name: web, port: 80 }"),
        ];
        let expected = [
            "EndpointSlice default/a-1: port \"metrics\" (TCP) is none of Service default/a, passed over",
            "EndpointSlice default/a-2: port \"web\" (UDP) is none of Service default/a, passed over",
            "EndpointSlice default/b-1: there is no Service default/b, passed over",
        ];
        assert_eq!(notes(&text.concat()), expected);
    }
}
