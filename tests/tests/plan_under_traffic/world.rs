//! What changes: a cluster seen from one of its nodes, in small numbers.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use penstock_model::{
    Encapsulation, Fabric, FloatingIp, FloatingIpKind, Hints, Intent, IpNet, LearnPolicy, Listener,
    LoadBalancer, MacAddr, Member, MemberState, MplsLabel, Neighbours, NetworkName, Node,
    ObjectName, Path, Peer, PodVif, Pool, Protocol, Scope, Vhost, VifId, Vrf, VrfId,
};
use penstock_refmodel::r#gen::Rng;

pub(crate) const VRF: VrfId = VrfId(2);
pub(crate) const FABRIC_MAC: u64 = 0x0200_0000_ff00;
/// Vifs of the pods that are clients, and stay.
pub(crate) const CLIENTS: [u8; 2] = [3, 4];
/// Vifs of backends.
pub(crate) const BACKENDS: std::ops::Range<u8> = 5..9;
pub(crate) const NODES: u8 = 3;
pub(crate) const VIPS: u8 = 4;
/// A pod that stays, and is no backend, on a node that stays.
pub(crate) const FAR: u8 = 240;
pub(crate) const FAR_NODE: u8 = 9;
pub(crate) const TCP_PORT: u16 = 8888;
pub(crate) const UDP_PORT: u16 = 9999;

pub(crate) fn pod(last: u8) -> IpAddr {
    Ipv4Addr::new(10, 47, 255, last).into()
}

pub(crate) fn vip(n: u8) -> IpAddr {
    Ipv4Addr::new(10, 96, 0, 1 + n).into()
}

pub(crate) fn node(n: u8) -> IpAddr {
    Ipv4Addr::new(10, 169, 25, 20 + n).into()
}

/// What changes: a cluster seen from one of its nodes, in small numbers.
#[derive(Clone, Debug, Default)]
pub(crate) struct World {
    /// Vif of a backend -> its pod's last octet.
    here: BTreeMap<u8, u8>,
    /// Pod elsewhere -> (node, label).
    there: BTreeMap<u8, (u8, u32)>,
    /// Last octets of the nodes' MAC addresses.
    macs: BTreeMap<u8, u8>,
    /// Floating IP -> backends of its TCP port and of its UDP port, and the port that they listen at.
    services: BTreeMap<u8, ([BTreeMap<u8, MemberState>; 2], u16)>,
    default_route: bool,
}

impl World {
    pub(crate) fn new(rng: &mut Rng) -> Self {
        let mut world = Self::default();
        world.macs.extend((1..=NODES).map(|n| (n, n)));
        (0..40).for_each(|_| world.edit(rng, false));
        world
    }

    /// A pod of which there is none.
    fn stranger(&self, rng: &mut Rng, octets: std::ops::Range<u8>) -> Option<u8> {
        let known: BTreeSet<u8> = self.here.values().chain(self.there.keys()).copied().collect();
        let free: Vec<u8> = octets.filter(|octet| !known.contains(octet)).collect();
        rng.pick(&free).copied()
    }

    fn anybody(&self, rng: &mut Rng) -> Option<u8> {
        let all: Vec<u8> = self.here.values().chain(self.there.keys()).copied().collect();
        rng.pick(&all).copied()
    }

    /// One change. If it is `rough`, numbers may be taken from one pod and given to another at once.
    pub(crate) fn edit(&mut self, rng: &mut Rng, rough: bool) {
        let vif = rng.between(BACKENDS.start.into(), u64::from(BACKENDS.end) - 1) as u8;
        match rng.below(12) {
            0 => match self.here.get(&vif) {
                Some(_) if !rough => drop(self.here.remove(&vif)),
                _ => {
                    if let Some(octet) = self.stranger(rng, 10..18) {
                        self.here.insert(vif, octet);
                    }
                }
            },
            1 | 2 => {
                let label = 16 + rng.below(14) as u32;
                let at = (rng.between(1, NODES.into()) as u8, label);
                // A label leads to one pod.
                self.there.retain(|_, other| *other != at);
                let new = self.stranger(rng, 20..34);
                let moved = self.there.keys().next().copied().filter(|_| rng.one_in(3));
                if let Some(octet) = moved.or(new) {
                    self.there.insert(octet, at);
                }
            }
            3 => {
                let all: Vec<u8> = self.there.keys().copied().collect();
                if let Some(octet) = rng.pick(&all) {
                    self.there.remove(octet);
                }
            }
            4 => {
                let n = rng.between(1, NODES.into()) as u8;
                if rng.one_in(3) {
                    self.macs.remove(&n);
                } else {
                    self.macs.insert(n, rng.below(4) as u8);
                }
            }
            5 if rng.one_in(3) => {
                self.services.remove(&(rng.below(VIPS.into()) as u8));
            }
            5 => self.default_route = !self.default_route,
            6 => {
                let service = self.services.entry(rng.below(VIPS.into()) as u8).or_default();
                service.1 = 80 + rng.below(2) as u16;
            }
            _ => {
                let Some(octet) = self.anybody(rng) else { return };
                let states = [MemberState::Active, MemberState::Active, MemberState::Draining];
                let state = rng.of(states);
                let both = rng.below(4);
                let leaves = rng.one_in(3);
                let service = self.services.entry(rng.below(VIPS.into()) as u8).or_default();
                service.1 = service.1.max(80);
                for (n, members) in (0..).zip(&mut service.0) {
                    if both == n {
                        continue;
                    }
                    if leaves {
                        members.remove(&octet);
                    } else {
                        members.insert(octet, state);
                    }
                }
            }
        }
    }

    pub(crate) fn intent(&self) -> (Intent, Neighbours) {
        let mut intent = Intent { complete: true, ..Intent::default() };
        let fabric = Fabric {
            address: IpNet::new(node(0), 24).expect("24 <= 32"),
            mac: MacAddr::from_bits(FABRIC_MAC),
        };
        intent.node = Some(Arc::new(Node {
            name: "cent222".to_owned(),
            fabric,
            vhost: Vhost::default(),
            service_labels: None,
            flow_aging: Default::default(),
            flow_limits: Default::default(),
        }));
        let networks = vec![NetworkName::services()];
        let vrf = Vrf { id: VRF, name: "pods".to_owned(), networks, ..Vrf::default() };
        intent.vrfs.insert(VRF, Arc::new(vrf));
        let clients = CLIENTS.map(|vif| (vif, vif));
        for (vif, octet) in clients.into_iter().chain(self.here.iter().map(|(v, o)| (*v, *o))) {
            let name = format!("pod{octet}");
            let pod_vif = PodVif {
                id: VifId(vif),
                name: name.clone(),
                pod: ObjectName::new("test", name),
                address: pod(octet),
                mac: MacAddr::from_bits(0x0200_0000_0000 + u64::from(octet)),
                vrf: VRF,
                label: MplsLabel(100 + u32::from(vif)),
                learn: LearnPolicy::default(),
                flow_limit: None,
            };
            intent.vifs.insert(VifId(vif), Arc::new(pod_vif));
        }
        let path = |n: u8, label: u32| Path {
            next_hop: node(n),
            label: MplsLabel(label),
            encapsulation: Encapsulation::MplsOverUdp,
            preference: Path::PREFERENCE,
            announcer: format!("node{n}").into(),
        };
        for n in 1..=NODES {
            let (name, address) = (format!("node{n}"), node(n));
            intent.peers.insert(name.clone(), Arc::new(Peer { name, address }));
        }
        for (&octet, &(n, label)) in &self.there {
            intent.rib.insert((VRF, IpNet::from(pod(octet))), [path(n, label)].into());
        }
        intent.rib.insert((VRF, IpNet::from(pod(FAR))), [path(FAR_NODE, 60)].into());
        if self.default_route {
            let all = IpNet::new(Ipv4Addr::UNSPECIFIED.into(), 0).expect("0 <= 32");
            intent.rib.insert((VRF, all), [path(NODES, 77)].into());
        }
        for (&n, (members, target)) in &self.services {
            let service = service(n, members, *target);
            intent.balancers.insert(service.name.clone(), Arc::new(service));
        }
        let mac = |octet: &u8| MacAddr::from_bits(0x0200_0000_ee00 + u64::from(*octet));
        let macs = self.macs.iter().chain([(&FAR_NODE, &FAR_NODE)]);
        (intent, macs.map(|(n, octet)| (node(*n), mac(octet))).collect())
    }
}

fn service(n: u8, members: &[BTreeMap<u8, MemberState>; 2], target: u16) -> LoadBalancer {
    let pool = |members: &BTreeMap<u8, MemberState>| {
        let member = |(&octet, &state): (&u8, &MemberState)| Member {
            address: pod(octet),
            port: target,
            state,
            node: "somewhere".to_owned(),
            hints: Hints::default(),
        };
        let mut members: Vec<Member> = members.iter().map(member).collect();
        members.sort();
        Pool { members }
    };
    let listener = |name: &str, protocol, port, members| Listener {
        name: name.to_owned(),
        protocol,
        port,
        pool: pool(members),
    };
    LoadBalancer {
        name: ObjectName::new("test", format!("service{n}")),
        created: Some(n.into()),
        floating_ips: vec![FloatingIp {
            address: vip(n),
            network: NetworkName::services(),
            kind: FloatingIpKind::Cluster,
            scope: Scope::Cluster,
        }],
        listeners: vec![
            listener("web", Protocol::Tcp, TCP_PORT, &members[0]),
            listener("names", Protocol::Udp, UDP_PORT, &members[1]),
        ],
        ..LoadBalancer::default()
    }
}
