//! What manifests hold that is of no use here: told by name, each once, so that nobody waits for it in vain.
//!
//! Objects of other kinds are told by kind, as a file may hold thousands; Services and slices one by one.

use penstock_model::ObjectName;

use super::objects::{HEADLESS, Metadata, SERVICE_PROXY, Service, ServicePort};
use super::translate::{Named, Notes, PROXY_NAME};

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

    /// What is said of them.
    pub(super) fn text(&self, version: &str, kind: &str) -> String {
        let why = match (version, kind) {
            ("v1", "Endpoints") => "; discovery.k8s.io/v1 EndpointSlices are read instead",
            (_, "EndpointSlice") => "; discovery.k8s.io/v1 is read",
            (_, "Service" | "Pod" | "Node") => "; v1 is read",
            _ => "",
        };
        let more = if self.more > 0 { format!(" and {} more", self.more) } else { String::new() };
        format!("{version} {kind} passed over{why}: {}{more}", self.names.join(", "))
    }
}

/// Why nothing of a service is served; none if it is.
pub(super) fn not_served(service: &Service) -> Option<String> {
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

/// Notes on a service and its slices, if they are passed over, or a part of them.
pub(super) fn notes(
    name: &ObjectName,
    service: Option<&Service>,
    slices: &[Named<'_>],
    notes: &mut Notes,
) {
    let Some(service) = service else {
        for (slice, _) in slices {
            notes.slice(slice, format!("there is no Service {name}, passed over"));
        }
        return;
    };
    if let Some(text) = not_served(service) {
        // What belongs to it needs no note of its own.
        return notes.service(name, text);
    }
    let kind = service.spec.kind.as_deref();
    if kind == Some("NodePort") {
        notes.service(name, "is of type NodePort; its node ports are left to another proxy");
    } else if kind == Some("LoadBalancer") && service.spec.ports.iter().any(|p| p.node_port > 0) {
        notes.service(name, "its node ports are left to another proxy");
    }
    for (slice, object) in slices {
        for port in &object.ports {
            let protocol = protocol(port.protocol.as_deref());
            let known = |own: &ServicePort| {
                own.name == port.name && self::protocol(own.protocol.as_deref()) == protocol
            };
            if !service.spec.ports.iter().any(known) {
                let text = format!(
                    "port {:?} ({protocol}) is none of Service {name}, passed over",
                    port.name
                );
                notes.slice(slice, text);
            }
        }
    }
}

fn protocol(text: Option<&str>) -> &str {
    text.filter(|text| !text.is_empty()).unwrap_or("TCP")
}

#[cfg(test)]
mod tests {
    use super::super::tests::told;

    fn notes(text: &str) -> Vec<String> {
        told(text).findings
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
