//! The chapter's two nodes, and what tests make of them.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::*;

pub(super) const VRF: VrfId = VrfId(2);
pub(super) const VIP: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 105, 139, 153));
pub(super) const CENT222: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 169, 25, 20));
pub(super) const CENT333: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 169, 25, 21));

pub(super) fn pod(last: u8) -> IpAddr {
    Ipv4Addr::new(10, 47, 255, last).into()
}

pub(super) fn mac(address: IpAddr) -> MacAddr {
    let IpAddr::V4(address) = address else { return MacAddr([2, 6, 6, 6, 6, 6]) };
    let [a, b, c, d] = address.octets();
    MacAddr([2, 0, a, b, c, d])
}

pub(super) fn vif(id: u8, name: &str, last: u8, label: u32) -> PodVif {
    PodVif {
        id: VifId(id),
        name: name.to_owned(),
        pod: ObjectName::new("ns-user-1", name),
        address: pod(last),
        mac: mac(pod(last)),
        vrf: VRF,
        label: MplsLabel(label),
        learn: LearnPolicy::default(),
        flow_limit: None,
    }
}

pub(super) fn route(announcer: &str, next_hop: IpAddr, prefix: &str, label: u32) -> Route {
    Route {
        prefix: prefix.parse().unwrap(),
        vrfs: Vec::new(),
        path: Path {
            next_hop,
            label: MplsLabel(label),
            encapsulation: Encapsulation::MplsOverUdp,
            preference: Path::PREFERENCE,
            announcer: announcer.into(),
        },
    }
}

pub(super) fn pod_route(announcer: &str, next_hop: IpAddr, last: u8, label: u32) -> Route {
    route(announcer, next_hop, &format!("{}/32", pod(last)), label)
}

pub(super) fn vrf(id: u16, name: &str) -> Vrf {
    Vrf {
        id: VrfId(id),
        name: name.to_owned(),
        imports: Vec::new(),
        networks: vec![NetworkName::services()],
        ..Vrf::default()
    }
}

/// A node with what it knows of the others.
#[derive(Clone)]
pub(super) struct World {
    pub(super) intent: Intent,
    pub(super) routes: Vec<Route>,
    pub(super) neighbours: Neighbours,
}

impl World {
    pub(super) fn new(name: &str, address: IpAddr, vifs: Vec<PodVif>) -> Self {
        let fabric = Fabric { address: IpNet::new(address, 24).unwrap(), mac: mac(address) };
        let mut world = Self {
            intent: Intent {
                complete: true,
                node: Some(Arc::new(Node {
                    name: name.to_owned(),
                    fabric,
                    vhost: Default::default(),
                    service_labels: None,
                    flow_aging: Default::default(),
                    flow_limits: Default::default(),
                })),
                ..Intent::default()
            },
            routes: Vec::new(),
            neighbours: [CENT222, CENT333]
                .map(|address| (address, mac(address)))
                .into_iter()
                .collect(),
        };
        world.vrf(vrf(VRF.0, "k8s-default-pod-network"));
        vifs.into_iter().for_each(|vif| world.vif(vif));
        world
    }

    pub(super) fn vrf(&mut self, vrf: Vrf) {
        self.intent.vrfs.insert(vrf.id, Arc::new(vrf));
        self.settle_rib();
    }

    pub(super) fn vif(&mut self, vif: PodVif) {
        self.intent.vifs.insert(vif.id, Arc::new(vif));
    }

    pub(super) fn peer(&mut self, name: &str, address: IpAddr) {
        let peer = Peer { name: name.to_owned(), address };
        self.intent.peers.insert(name.to_owned(), Arc::new(peer));
    }

    pub(super) fn route(&mut self, route: Route) {
        self.routes.push(route);
        self.settle_rib();
    }

    /// The RIB that the routes make.
    pub(super) fn settle_rib(&mut self) {
        let mut rib: BTreeMap<_, Vec<Path>> = Default::default();
        for route in &self.routes {
            for &vrf in self.intent.vrfs.keys() {
                if route.vrfs.is_empty() || route.vrfs.contains(&vrf) {
                    rib.entry((vrf, route.prefix)).or_default().push(route.path.clone());
                }
            }
        }
        let best_first = |mut paths: Vec<Path>| -> Arc<[Path]> {
            paths.sort_by_key(|path| (Reverse(path.preference), path.announcer.clone()));
            paths.into()
        };
        self.intent.rib =
            rib.into_iter().map(|(key, paths)| (key, best_first(paths))).collect::<Rib>();
    }

    pub(super) fn balancer(&mut self, balancer: LoadBalancer) {
        self.intent.balancers.insert(balancer.name.clone(), Arc::new(balancer));
    }

    pub(super) fn with(mut self, balancers: impl IntoIterator<Item = LoadBalancer>) -> Self {
        self.intent.balancers.clear();
        balancers.into_iter().for_each(|balancer| self.balancer(balancer));
        self
    }

    pub(super) fn policy(&mut self, external: &[&str], cluster: &[&str]) {
        let parse = |list: &[&str]| list.iter().map(|range| range.parse().unwrap()).collect();
        self.intent.policy =
            Arc::new(Policy { external_ranges: parse(external), cluster_ranges: parse(cluster) });
    }

    pub(super) fn vhost(&mut self, change: impl FnOnce(&mut penstock_model::Vhost)) {
        let node = self.intent.node.as_mut().expect("a world has one");
        change(&mut Arc::make_mut(node).vhost);
    }

    pub(super) fn labels(&mut self, first: u32, count: u32) {
        let node = self.intent.node.as_mut().expect("a world has one");
        let block = LabelBlock { first: MplsLabel(first), count };
        Arc::make_mut(node).service_labels = Some(block);
    }

    pub(super) fn overlay(&mut self, change: impl FnOnce(&mut penstock_model::Overlay)) {
        change(Arc::make_mut(&mut self.intent.overlay));
    }

    pub(super) fn compile(&self) -> Compiled {
        compile(&self.intent, &self.neighbours)
    }

    pub(super) fn desired(&self) -> Desired {
        self.compile().desired
    }
}

pub(super) fn cent222() -> World {
    let vifs = vec![vif(7, "client", 237, 25), vif(8, "webserver-xkjpw", 236, 28)];
    let mut world = World::new("cent222", CENT222, vifs);
    world.peer("cent333", CENT333);
    world.route(pod_route("cent333", CENT333, 238, 43));
    world
}

pub(super) fn cent333() -> World {
    let mut world = World::new("cent333", CENT333, vec![vif(3, "webserver-g27dj", 238, 43)]);
    world.peer("cent222", CENT222);
    world.route(pod_route("cent222", CENT222, 237, 25));
    world.route(pod_route("cent222", CENT222, 236, 28));
    world
}

pub(super) fn listener(name: &str, port: u16, target: u16, lasts: &[u8]) -> Listener {
    let member = |last: &u8| Member {
        address: pod(*last),
        port: target,
        state: MemberState::Active,
        node: "somewhere".to_owned(),
        hints: Hints::default(),
    };
    Listener {
        name: name.to_owned(),
        protocol: Protocol::Tcp,
        port,
        pool: Pool { members: lasts.iter().map(member).collect() },
    }
}

pub(super) fn floating_ip(address: IpAddr, kind: FloatingIpKind) -> FloatingIp {
    FloatingIp { address, network: NetworkName::services(), kind, scope: Scope::Cluster }
}

pub(super) fn service(listeners: Vec<Listener>) -> LoadBalancer {
    LoadBalancer {
        name: ObjectName::new("ns-user-1", "service-web-clusterip"),
        floating_ips: vec![floating_ip(VIP, FloatingIpKind::Cluster)],
        listeners,
        ..LoadBalancer::default()
    }
}

pub(super) fn chapter() -> LoadBalancer {
    service(vec![listener("", 8888, 80, &[236, 238])])
}
