//! What is wrong with an object for itself, whatever else there is. Sources share these rules; [`Admission`](crate::Admission)
//! applies them to all that they give, and adds what objects may not have in common.

use std::net::IpAddr;

use penstock_abi::age::{PORTS, State};
use penstock_abi::limits;

use crate::{
    FlowAging, FlowLimit, Node, Object, ObjectId, Peer, PodFloatingIp, PodVif, PortAging, Reason,
    Route, VifId, Vrf,
};

/// The highest MPLS label there is (RFC 3032: 20 bits).
const LABEL_LAST: u32 = (1 << 20) - 1;

/// Names of the card's own ports, which no pod's vif can have.
const OWN_PORTS: [&str; 3] = ["fabric0", "vhost0", "pkt0"];

/// All that is wrong with an object; it cannot be served unless there is nothing.
#[must_use]
pub fn check(object: &Object) -> Vec<Reason> {
    let mut wrong = Wrong(Vec::new());
    match object {
        Object::Node(node) => check_node(node, &mut wrong),
        Object::Vrf(vrf) => check_vrf(vrf, &mut wrong),
        Object::Vif(vif) => check_vif(vif, &mut wrong),
        Object::Peer(peer) => check_peer(peer, &mut wrong),
        Object::Route(route) => check_route(route, &mut wrong),
        Object::LoadBalancer(balancer) => wrong.name(&balancer.name.name),
        Object::Pod(pod) => wrong.name(&pod.name.name),
        Object::Zone(zone) => {
            wrong.name(&zone.node);
            wrong.name(&zone.name);
        }
        Object::FloatingIp(ip) => check_floating_ip(ip, &mut wrong),
    }
    wrong.0
}

/// Whether one host can have the address: it is neither of a group, nor of nobody, nor of everybody's own.
#[must_use]
pub fn is_host_address(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let first = v4.octets()[0];
            first != 0 && first < 224 && first != 127
        }
        IpAddr::V6(v6) => !v6.is_unspecified() && !v6.is_loopback() && !v6.is_multicast(),
    }
}

struct Wrong(Vec<Reason>);

impl Wrong {
    fn add(&mut self, text: impl Into<String>) {
        self.0.push(Reason::invalid("", text));
    }

    fn name(&mut self, name: &str) {
        if name.is_empty() {
            self.add("name is empty");
        }
    }

    fn host(&mut self, what: &str, address: IpAddr) {
        if !is_host_address(address) {
            self.add(format!("{what} {address} is not a host's"));
        }
    }

    fn range(&mut self, what: &str, value: u32, first: u32, last: u32) {
        if !(first..=last).contains(&value) {
            self.0.push(Reason::OutOfRange { what: what.to_owned(), value, first, last });
        }
    }
}

fn check_node(node: &Node, wrong: &mut Wrong) {
    wrong.name(&node.name);
    wrong.host("fabric.address", node.fabric.address.addr());
    if !node.fabric.mac.is_unicast() {
        wrong.add(format!("fabric.mac {} is not an interface's", node.fabric.mac));
    }
    if let Some(label) = node.vhost.label {
        wrong.range("vhost0.label", label.0, limits::LABEL_FIRST, LABEL_LAST);
    }
    if let Some(block) = node.service_labels {
        wrong.range("serviceLabels.first", block.first.0, limits::LABEL_FIRST, LABEL_LAST);
        let most = (LABEL_LAST + 1).saturating_sub(block.first.0);
        wrong.range("serviceLabels.count", block.count, 1, most.max(1));
    }
    check_aging(&node.flow_aging, wrong);
    check_limit("flowLimits.vifs", node.flow_limits.vifs, wrong);
    check_limit("flowLimits.tunnels", node.flow_limits.tunnels, wrong);
    if let Some(vrf) = node.vhost.vrf {
        wrong.range("vhost0.vrf", vrf.0.into(), 1, limits::VRFS - 1);
    }
}

fn check_aging(aging: &FlowAging, wrong: &mut Wrong) {
    for state in State::ALL {
        let name = match state {
            State::Closed => "tcpClosed",
            State::Opening => "tcpOpening",
            State::HalfClosed => "tcpHalfClosed",
            State::Established => "tcpEstablished",
            State::UdpOneWay => "udpOneWay",
            State::UdpBothWays => "udpBothWays",
            State::Icmp => "icmp",
            State::Other => "other",
        };
        wrong.range(&format!("flowAging.{name}"), aging.of(state), 0, FlowAging::SECONDS_MAX);
    }
    wrong.range("flowAging.guaranteed", aging.guaranteed, 0, FlowAging::GUARANTEED_MAX);
    if aging.ports.len() > PORTS {
        let count = aging.ports.len();
        wrong.add(format!("flowAging.ports has {count} entries, and there can be {PORTS}"));
    }
    for (index, port) in aging.ports.iter().enumerate() {
        let what = format!("flowAging.ports[{index}]");
        wrong.range(&format!("{what}.port"), port.port.into(), 1, u16::MAX.into());
        wrong.range(&format!("{what}.seconds"), port.seconds, 0, FlowAging::SECONDS_MAX);
        let same = |other: &PortAging| (other.protocol, other.port) == (port.protocol, port.port);
        if aging.ports[..index].iter().any(same) {
            wrong.add(format!("{what} is about {} port {} again", port.protocol, port.port));
        }
    }
}

fn check_limit(what: &str, limit: FlowLimit, wrong: &mut Wrong) {
    let FlowLimit { pairs, burst, per_second } = limit;
    wrong.range(&format!("{what}.pairs"), pairs, 0, FlowLimit::PAIRS_MAX);
    wrong.range(&format!("{what}.burst"), burst, 0, FlowLimit::PAIRS_MAX);
    wrong.range(&format!("{what}.perSecond"), per_second, 0, FlowLimit::PER_SECOND_MAX);
    if (burst == 0) != (per_second == 0) {
        let (said, missing) =
            if burst == 0 { ("perSecond", "burst") } else { ("burst", "perSecond") };
        wrong.add(format!("{what} says {said} and not {missing}"));
    }
}

fn check_vrf(vrf: &Vrf, wrong: &mut Wrong) {
    wrong.name(&vrf.name);
    wrong.range("id", vrf.id.0.into(), 1, limits::VRFS - 1);
}

fn check_vif(vif: &PodVif, wrong: &mut Wrong) {
    wrong.name(&vif.name);
    if OWN_PORTS.contains(&vif.name.as_str()) {
        wrong.0.push(Reason::Taken {
            what: "name".to_owned(),
            value: vif.name.clone(),
            holder: ObjectId::Node,
        });
    }
    wrong.range("id", vif.id.0.into(), VifId::FIRST_POD.0.into(), limits::VIFS - 1);
    wrong.range("label", vif.label.0, limits::LABEL_FIRST, LABEL_LAST);
    wrong.host("address", vif.address);
    if !vif.mac.is_unicast() {
        wrong.add(format!("mac {} is not an interface's", vif.mac));
    }
    check_limit("flowLimits", vif.flow_limit.unwrap_or_default(), wrong);
}

fn check_floating_ip(ip: &PodFloatingIp, wrong: &mut Wrong) {
    wrong.name(&ip.name.name);
    wrong.host("spec.address", ip.address);
    wrong.range("spec.label", ip.label.0, limits::LABEL_FIRST, LABEL_LAST);
    if ip.pod.name.is_empty() {
        wrong.add("spec.pod is empty");
    }
    if ip.network.as_str().is_empty() {
        wrong.add("spec.network is empty");
    }
}

fn check_peer(peer: &Peer, wrong: &mut Wrong) {
    wrong.name(&peer.name);
    wrong.host("address", peer.address);
}

fn check_route(route: &Route, wrong: &mut Wrong) {
    wrong.name(&route.path.announcer);
    wrong.range("label", route.path.label.0, limits::LABEL_FIRST, LABEL_LAST);
    wrong.host("next hop", route.path.next_hop);
    let prefix = route.prefix;
    if prefix.trunc() != prefix {
        wrong.add(format!("has host bits, is {} meant?", prefix.trunc()));
    } else if route.is_host() {
        wrong.host("address", prefix.addr());
    }
}
