//! What the API server would refuse of an object: of the whole, or of a port, an endpoint or an address of it, which then is
//! left out.
//!
//! The whole is refused if it cannot be told what it means without the part that is wrong, or if nothing would be left: then
//! what it was before is a better guess.

use std::collections::BTreeMap;
use std::net::IpAddr;

use penstock_model::Reason;

use super::objects::{Endpoint, EndpointPort, EndpointSlice, Service, ServicePort};
use super::translate::{affinity_seconds, created, protocol};
use crate::tree::Step;

const AFFINITY_SECONDS_MAX: u32 = 86_400;

/// Something that is wrong.
pub(super) struct Fault {
    /// Where in the object.
    pub(super) steps: Vec<Step>,
    /// What, with its place.
    pub(super) text: String,
}

/// What was found.
#[derive(Default)]
pub(super) struct Checked {
    /// Parts that could not be read.
    pub(super) unread: Vec<Reason>,
    /// What is wrong.
    pub(super) faults: Vec<Fault>,
    /// Whether the object cannot be used for that.
    pub(super) whole: bool,
}

impl Checked {
    /// The whole cannot be used.
    fn refuse(&mut self, text: impl Into<String>) {
        self.faults.push(Fault { steps: Vec::new(), text: text.into() });
        self.whole = true;
    }

    /// A part is left out.
    fn leave_out(&mut self, list: &[&str], index: usize, text: impl Into<String>) {
        let mut steps: Vec<Step> = list.iter().map(|key| Step::Key((*key).to_owned())).collect();
        steps.push(Step::Index(index));
        self.faults.push(Fault { steps, text: text.into() });
    }

    /// The parts that could be read, each with its place in the list.
    fn readable<T>(&mut self, parts: Vec<Result<T, Reason>>) -> Vec<(usize, T)> {
        let mut readable = Vec::with_capacity(parts.len());
        for (index, part) in parts.into_iter().enumerate() {
            match part {
                Ok(part) => readable.push((index, part)),
                Err(reason) => self.unread.push(reason),
            }
        }
        readable
    }
}

/// Checks a service, and gives it those of its ports that are right.
pub(super) fn service(service: &mut Service, ports: Vec<Result<ServicePort, Reason>>) -> Checked {
    let mut checked = Checked::default();
    if let Err(error) = created(&service.metadata) {
        checked.refuse(format!("metadata.creationTimestamp is not a time: {error}"));
    }
    let spec = &mut service.spec;
    let kinds =
        [None, Some("ClusterIP"), Some("NodePort"), Some("LoadBalancer"), Some("ExternalName")];
    if !kinds.contains(&spec.kind.as_deref()) {
        let kind = spec.kind.as_deref().unwrap_or("");
        checked.refuse(format!("spec.type {kind:?} is not known"));
    }
    for text in spec.cluster_ip.iter().chain(&spec.cluster_ips) {
        if !text.is_empty() && text != "None" && text.parse::<IpAddr>().is_err() {
            checked.refuse(format!("{text:?} is not an IP address"));
        }
    }
    match spec.session_affinity.as_deref() {
        None | Some("" | "None" | "ClientIP") => {}
        Some(other) => {
            checked.refuse(format!("spec.sessionAffinity {other:?} is not None or ClientIP"));
        }
    }
    let seconds = affinity_seconds(spec);
    if seconds == 0 || seconds > AFFINITY_SECONDS_MAX {
        checked.refuse(format!("timeoutSeconds {seconds} is not in 1..={AFFINITY_SECONDS_MAX}"));
    }
    for (field, policy) in [
        ("internalTrafficPolicy", &spec.internal_traffic_policy),
        ("externalTrafficPolicy", &spec.external_traffic_policy),
    ] {
        match policy.as_deref() {
            None | Some("" | "Cluster" | "Local") => {}
            Some(other) => {
                checked.refuse(format!("spec.{field} {other:?} is not Cluster or Local"));
            }
        }
    }
    for (i, text) in std::mem::take(&mut spec.external_ips).into_iter().enumerate() {
        if text.parse::<IpAddr>().is_ok() {
            spec.external_ips.push(text);
        } else {
            let text = format!("spec.externalIPs[{i}] {text:?} is not an IP address");
            checked.leave_out(&["spec", "externalIPs"], i, text);
        }
    }
    let count = ports.len();
    spec.ports = service_ports(&mut checked, ports);
    checked.whole |= spec.ports.is_empty() && count > 0;
    checked
}

fn service_ports(
    checked: &mut Checked,
    ports: Vec<Result<ServicePort, Reason>>,
) -> Vec<ServicePort> {
    let several = ports.len() > 1;
    let (mut names, mut keys) = (BTreeMap::new(), BTreeMap::new());
    let mut right = Vec::with_capacity(ports.len());
    for (i, port) in checked.readable(ports) {
        let place = format!("spec.ports[{i}]");
        let wrong = match protocol(port.protocol.as_deref()) {
            None => {
                let text = port.protocol.as_deref().unwrap_or("");
                format!("{place}.protocol {text:?} is not TCP, UDP or SCTP")
            }
            Some(_) if port.port == 0 => format!("{place}.port 0 is not in 1..=65535"),
            Some(_) if several && port.name.is_empty() => {
                format!("{place}.name is needed, as there are several ports")
            }
            Some(protocol) => {
                let (name, key) = (names.get(&port.name), keys.get(&(port.port, protocol)));
                if let Some(other) = name {
                    format!("{place}.name {:?} is that of spec.ports[{other}]", port.name)
                } else if let Some(other) = key {
                    format!("{place} {}/{protocol} is spec.ports[{other}] again", port.port)
                } else {
                    names.insert(port.name.clone(), i);
                    keys.insert((port.port, protocol), i);
                    right.push(port);
                    continue;
                }
            }
        };
        checked.leave_out(&["spec", "ports"], i, wrong);
    }
    right
}

/// Checks a slice, and gives it those of its ports and endpoints that are right.
pub(super) fn slice(
    slice: &mut EndpointSlice,
    ports: Vec<Result<EndpointPort, Reason>>,
    endpoints: Vec<Result<Endpoint, Reason>>,
) -> Checked {
    let mut checked = Checked::default();
    let family: fn(&str) -> bool = match slice.address_type.as_str() {
        "IPv4" => |text| matches!(text.parse(), Ok(IpAddr::V4(_))),
        "IPv6" => |text| matches!(text.parse(), Ok(IpAddr::V6(_))),
        "FQDN" => |_| true,
        other => {
            checked.refuse(format!("addressType {other:?} is not IPv4, IPv6 or FQDN"));
            return checked;
        }
    };
    let count = ports.len();
    for (i, port) in checked.readable(ports) {
        if protocol(port.protocol.as_deref()).is_none() {
            let text = port.protocol.as_deref().unwrap_or("");
            let text = format!("ports[{i}].protocol {text:?} is not TCP, UDP or SCTP");
            checked.leave_out(&["ports"], i, text);
        } else if port.port == Some(0) {
            checked.leave_out(&["ports"], i, format!("ports[{i}].port 0 is not in 1..=65535"));
        } else {
            slice.ports.push(port);
        }
    }
    checked.whole |= slice.ports.is_empty() && count > 0;
    let count = endpoints.len();
    for (i, mut endpoint) in checked.readable(endpoints) {
        // All of them are one; the first is used.
        endpoint.addresses.truncate(1);
        match endpoint.addresses.first() {
            None => {
                let text = format!("endpoints[{i}].addresses is empty");
                checked.leave_out(&["endpoints"], i, text);
            }
            Some(address) if !family(address) => {
                let family = &slice.address_type;
                let text =
                    format!("endpoints[{i}].addresses[0] {address:?} is not an {family} address");
                checked.leave_out(&["endpoints"], i, text);
            }
            Some(_) => slice.endpoints.push(endpoint),
        }
    }
    checked.whole |= slice.endpoints.is_empty() && count > 0;
    slice.endpoints.shrink_to_fit();
    checked
}
