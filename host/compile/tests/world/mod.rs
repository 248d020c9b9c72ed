//! A node among many: so many services with so many endpoints each, on pods of which one in a hundred is here.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use penstock_model::{
    Encapsulation, Fabric, FloatingIp, FloatingIpKind, Hints, Intent, IpNet, LearnPolicy, Listener,
    LoadBalancer, MacAddr, Member, MemberState, MplsLabel, Neighbours, NetworkName, Node,
    ObjectName, Path, Peer, PodVif, Pool, Scope, VifId, Vrf, VrfId,
};
use penstock_tables::Shape;

const VRF: VrfId = VrfId(2);
/// Other nodes, and pods on each node.
const NODES: u32 = 100;
const PODS: u32 = 250;

/// A card that has room for all of it.
pub(crate) fn shape() -> Shape {
    Shape {
        next_hops: 1 << 20,
        ecmp_words: 1 << 24,
        host_route_rows_log2: 18,
        fip_key_rows_log2: 18,
        fip_maps: 1 << 20,
        ..Shape::default()
    }
}

fn pod(n: u32) -> IpAddr {
    let (node, pod) = ((n % (NODES + 1)), n / (NODES + 1) % PODS);
    Ipv4Addr::from((10 << 24) + (node << 12) + pod + 1).into()
}

fn end_point(node: u32) -> IpAddr {
    Ipv4Addr::from(0xc0a8_0000 + node + 1).into()
}

/// Service `n` with endpoints from pod `first` on.
pub(crate) fn service(n: u32, endpoints: u32, first: u32) -> LoadBalancer {
    let mut members: Vec<Member> = (0..endpoints)
        .map(|e| Member {
            address: pod(first + e),
            port: 8080,
            state: MemberState::Active,
            node: String::new(),
            hints: Hints::default(),
        })
        .collect();
    members.sort();
    members.dedup();
    LoadBalancer {
        name: ObjectName::new("default", format!("service-{n:06}")),
        created: Some(n.into()),
        floating_ips: vec![FloatingIp {
            address: Ipv4Addr::from(0x6440_0000 + n).into(),
            network: NetworkName::services(),
            kind: FloatingIpKind::Cluster,
            scope: Scope::Cluster,
        }],
        listeners: vec![Listener { port: 80, pool: Pool { members }, ..Listener::default() }],
        ..LoadBalancer::default()
    }
}

/// The intent with so many services.
pub(crate) fn intent(services: u32, endpoints: u32) -> (Intent, Neighbours) {
    let mac = |n: u32| MacAddr::from_bits(0x0200_0000_0000 + u64::from(n));
    let mut intent = Intent { complete: true, ..Intent::default() };
    let fabric = Fabric { address: IpNet::new(end_point(0), 16).expect("16 <= 32"), mac: mac(0) };
    intent.node = Some(Arc::new(Node {
        name: "node0".to_owned(),
        fabric,
        vhost: Default::default(),
        service_labels: None,
        flow_aging: Default::default(),
        flow_limits: Default::default(),
    }));
    let networks = vec![NetworkName::services()];
    let vrf = Vrf { id: VRF, name: "pods".to_owned(), networks, ..Vrf::default() };
    intent.vrfs.insert(VRF, Arc::new(vrf));
    let mut neighbours = Neighbours::new();
    for node in 1..=NODES {
        let (name, address) = (format!("node{node}"), end_point(node));
        intent.peers.insert(name.clone(), Arc::new(Peer { name, address }));
        neighbours.insert(address, mac(node));
    }
    for n in 0..(NODES + 1) * PODS {
        let (node, here) = (n % (NODES + 1), n / (NODES + 1));
        let (address, label) = (pod(n), MplsLabel(16 + here));
        if node == 0 {
            let id = VifId(u8::try_from(3 + here).expect("250 pods"));
            let name = format!("pod{here}");
            let pod = ObjectName::new("default", name.clone());
            let vif = PodVif {
                id,
                name,
                pod,
                address,
                mac: mac(1000 + here),
                vrf: VRF,
                label,
                learn: LearnPolicy::default(),
                flow_limit: None,
            };
            intent.vifs.insert(id, Arc::new(vif));
        } else {
            let path = Path {
                next_hop: end_point(node),
                label,
                encapsulation: Encapsulation::MplsOverUdp,
                preference: Path::PREFERENCE,
                announcer: format!("node{node}").into(),
            };
            intent.rib.insert((VRF, IpNet::from(address)), [path].into());
        }
    }
    for n in 0..services {
        let service = service(n, endpoints, n * endpoints);
        intent.balancers.insert(service.name.clone(), Arc::new(service));
    }
    (intent, neighbours)
}
