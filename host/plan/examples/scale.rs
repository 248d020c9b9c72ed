//! Times compile and plan for a number of services (`cargo run --release -p penstock-plan --example scale -- 10000`).
//!
//! One node with four pods and ten remote nodes; each service has one port and two backends, one of them on this node for
//! every fourth service.

use std::net::Ipv4Addr;
use std::time::Instant;

use penstock_compile::compile;
use penstock_model::{
    Fabric, FloatingIp, FloatingIpKind, Listener, LoadBalancer, MacAddr, Member, MemberState,
    MplsLabel, NodeConfig, ObjectName, PodVif, Pool, RemoteNode, Scope, Snapshot, VifId, Vrf,
    VrfId,
};
use penstock_plan::plan;
use penstock_tables::Tables;

fn snapshot(services: u32) -> Result<Snapshot, Box<dyn std::error::Error>> {
    let mac = MacAddr([2, 0, 0, 0, 0, 1]);
    let vif = |n: u8| PodVif {
        id: VifId(n),
        name: format!("pod{n}"),
        pod: ObjectName::new("default", format!("pod{n}")),
        address: Ipv4Addr::new(10, 47, 0, n),
        mac,
        vrf: VrfId(2),
        label: MplsLabel(u32::from(n) + 16),
    };
    let remote = |n: u8| RemoteNode {
        name: format!("node{n}"),
        address: Ipv4Addr::new(10, 169, 25, n),
        encapsulation: Default::default(),
        vrfs: Vec::new(),
        labels: (0..100)
            .map(|p| (Ipv4Addr::new(10, 47, n, p), MplsLabel(u32::from(p) + 16)))
            .collect(),
        prefixes: Default::default(),
    };
    let node = String::new();
    let member =
        |address| Member { address, port: 80, state: MemberState::Active, node: node.clone() };
    let service = |n: u32| {
        let far = Ipv4Addr::new(10, 47, 10 + (n % 10) as u8, (n % 100) as u8);
        let other = match n % 4 {
            0 => Ipv4Addr::new(10, 47, 0, 3 + (n % 4) as u8),
            _ => Ipv4Addr::new(10, 47, 10 + (n % 9) as u8, ((n + 1) % 100) as u8),
        };
        let mut members = vec![member(far), member(other)];
        members.sort();
        members.dedup();
        LoadBalancer {
            name: ObjectName::new("default", format!("service-{n:05}")),
            floating_ips: vec![FloatingIp {
                address: Ipv4Addr::from(0x0a60_0000 + n),
                kind: FloatingIpKind::Cluster,
                scope: Scope::Cluster,
            }],
            listeners: vec![Listener { port: 8888, pool: Pool { members }, ..Listener::default() }],
            ..LoadBalancer::default()
        }
    };
    let remotes: Vec<RemoteNode> = (10..20).map(remote).collect();
    Ok(Snapshot {
        neighbours: remotes.iter().map(|r| (r.address, mac)).collect(),
        node: NodeConfig {
            name: "node".to_owned(),
            fabric: Fabric { address: "10.169.25.1/24".parse()?, mac },
            vrfs: vec![Vrf { id: VrfId(2), name: "pods".to_owned(), imports: Vec::new() }],
            vifs: (3..7).map(vif).collect(),
            remotes,
        },
        load_balancers: (0..services).map(service).collect(),
        ..Snapshot::default()
    })
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let services = std::env::args().nth(1).map_or(Ok(10_000), |text| text.parse())?;
    let mut intent = snapshot(services)?;
    let mut card = Tables::default();
    let timed = |what: &str, card: &mut Tables, intent: &Snapshot| {
        let start = Instant::now();
        let desired = compile(intent)?;
        let compiled = start.elapsed();
        let start = Instant::now();
        let plan = plan(&desired, card)?;
        let planned = start.elapsed();
        println!("{what}: compile {compiled:.2?}, plan {planned:.2?}, {} writes", plan.writes());
        plan.ops.iter().for_each(|op| card.apply(op));
        Ok::<_, Box<dyn std::error::Error>>(())
    };
    timed("empty card", &mut card, &intent)?;
    timed("nothing changed", &mut card, &intent)?;
    if let Some(member) = intent.load_balancers[0].listeners[0].pool.members.first_mut() {
        member.state = MemberState::Draining;
    }
    timed("one endpoint drains", &mut card, &intent)
}
