//! Packets that are asked about, and what becomes of them.

use std::net::{IpAddr, Ipv4Addr};

use penstock_compile::{Desired, Hop, NextHopKey, RouteTarget};
use penstock_model::{MplsLabel, Protocol, VifId, VrfId};
use penstock_refmodel::r#gen::Rng;
use penstock_refmodel::packet::{ethernet, frame, mpls, mpls_udp, tcp, udp};
use penstock_refmodel::wire::{ETH_IPV4, SYN};
use penstock_refmodel::{Egress, Ingress, RefModel, Verdict};

use crate::world::{
    BACKENDS, CLIENTS, FABRIC_MAC, FAR, FAR_NODE, TCP_PORT, UDP_PORT, VIPS, node, pod, vip,
};

fn v4(address: IpAddr) -> u32 {
    match address {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => panic!("{address} in a test of IPv4"),
    }
}

/// What becomes of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It leaves, so.
    Sent(Egress, Vec<u8>),
    Dropped,
}

impl Fate {
    pub(crate) fn of(model: &RefModel, probe: &Probe) -> Self {
        match model.decide(probe.ingress, &probe.frame).verdict {
            Verdict::Sent { egress, frame } => Self::Sent(egress, frame),
            Verdict::Dropped(_) => Self::Dropped,
        }
    }

    /// The hop by which it leaves, to a pod.
    pub(crate) fn hop(&self) -> Option<Hop> {
        match self {
            Self::Sent(Egress::Host(vif), _) => {
                Some(Hop { next_hop: NextHopKey::Encap(VifId(*vif)), label: None })
            }
            Self::Sent(Egress::Fabric, frame) => {
                // Ethernet, IPv4, UDP, label.
                let word = |at: usize| frame[at..at + 4].try_into().map(u32::from_be_bytes).ok();
                let end_point = Ipv4Addr::from(word(30)?).into();
                let label = Some(MplsLabel(word(42)? >> 12));
                Some(Hop { next_hop: NextHopKey::TunnelUdp(end_point), label })
            }
            Self::Sent(Egress::Firmware { .. }, _) | Self::Dropped => None,
        }
    }

    /// The same, but for the MAC addresses that it is given.
    pub(crate) fn but_for_macs(&self) -> Self {
        match self {
            Self::Sent(egress, frame) => Self::Sent(*egress, frame[12..].to_vec()),
            Self::Dropped => Self::Dropped,
        }
    }
}

/// A packet that is asked about.
#[derive(Clone, Debug)]
pub(crate) struct Probe {
    pub(crate) what: String,
    pub(crate) ingress: Ingress,
    pub(crate) frame: Vec<u8>,
    /// The floating IP to which a client sends it.
    pub(crate) to: Option<(u8, Protocol)>,
    /// It opens a connection.
    pub(crate) opens: bool,
}

/// A connection of a client to a floating IP.
#[derive(Clone, Debug)]
pub(crate) struct Connection {
    pub(crate) probe: Probe,
    pub(crate) vip: u8,
    pub(crate) protocol: Protocol,
    /// Where its packets go.
    pub(crate) hop: Hop,
    /// The pod there.
    pub(crate) pod: IpAddr,
}

/// A packet of a client to a floating IP.
pub(crate) fn to_service(client: u8, n: u8, protocol: Protocol, sport: u16, flags: u8) -> Probe {
    let (sip, dip) = (v4(pod(client)), v4(vip(n)));
    let ip = match protocol {
        Protocol::Udp => udp(sip, dip, sport, UDP_PORT, b"who is"),
        _ => tcp(sip, dip, sport, TCP_PORT, flags, b""),
    };
    let what = format!("{protocol} {sport} of client {client} to service {n}");
    let (ingress, frame) = (Ingress::Host(client), frame(&ip));
    Probe { what, ingress, frame, to: Some((n, protocol)), opens: flags == SYN }
}

/// A packet from another node, for a label of this node.
fn from_fabric(label: u32, dip: IpAddr, dport: u16) -> Probe {
    let inner = tcp(v4(pod(FAR)), v4(dip), 40_000, dport, SYN, b"").bytes();
    let outer = mpls_udp(v4(node(FAR_NODE)), v4(node(0)), 6635, mpls(label, 64), &inner);
    Probe {
        what: format!("from the fabric by label {label} to {dip}:{dport}"),
        ingress: Ingress::Fabric,
        frame: ethernet(FABRIC_MAC, 0x0200_0000_ee01, None, ETH_IPV4, &outer.bytes()),
        to: None,
        opens: true,
    }
}

/// Packets of no known connection.
pub(crate) fn strangers(rng: &mut Rng) -> Vec<Probe> {
    let mut probes = Vec::new();
    for client in CLIENTS {
        for n in 0..VIPS {
            for protocol in [Protocol::Tcp, Protocol::Udp] {
                let sport = 20_000 + rng.below(10_000) as u16;
                probes.push(to_service(client, n, protocol, sport, SYN));
            }
        }
    }
    for octet in (10..18).chain(20..34) {
        let sport = 20_000 + rng.below(10_000) as u16;
        let ip = udp(v4(pod(CLIENTS[0])), v4(pod(octet)), sport, 53, b"who is");
        let what = format!("to pod {octet}");
        let ingress = Ingress::Host(CLIENTS[0]);
        probes.push(Probe { what, ingress, frame: frame(&ip), to: None, opens: true });
    }
    for vif in BACKENDS {
        let label = 100 + u32::from(vif);
        probes.extend((0..VIPS).map(|n| from_fabric(label, vip(n), TCP_PORT)));
        probes.extend((10..18).map(|octet| from_fabric(label, pod(octet), 80)));
    }
    probes
}

/// The pod that a hop leads to.
pub(crate) fn pod_behind(desired: &Desired, hop: Hop) -> Option<IpAddr> {
    let leads = |(_, target): &(&(VrfId, IpAddr), &RouteTarget)| **target == RouteTarget::Hop(hop);
    desired.routes.iter().find(leads).map(|((_, address), _)| *address)
}
