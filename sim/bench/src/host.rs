//! Compiler and planner: whole tables from nothing, and one endpoint more, for growing numbers of services.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Instant;

use anyhow::{Result, ensure};
use penstock_compile::compile;
use penstock_model::{
    Encapsulation, Fabric, FloatingIp, FloatingIpKind, Listener, LoadBalancer, MacAddr, Member,
    MplsLabel, NodeConfig, ObjectName, PodVif, Pool, Prefix, Protocol, RemoteNode, Scope, Snapshot,
    VifId, Vrf, VrfId,
};
use penstock_plan::plan;
use penstock_tables::Tables;

use crate::report::Report;

const LOCAL_PODS: u32 = 100;
const REMOTE_NODES: u32 = 20;
const PODS_A_NODE: u32 = 100;
const ENDPOINTS: u32 = 3;

fn pod_address(pod: u32) -> Ipv4Addr {
    Ipv4Addr::from(0x0a2f_0000 + 256 + pod)
}

/// A cluster of 21 nodes seen from one of them, with `services` services of three endpoints each.
#[must_use]
pub(crate) fn cluster(services: u32) -> Snapshot {
    let vifs = (0..LOCAL_PODS)
        .map(|i| PodVif {
            id: VifId(3 + i as u8),
            name: format!("pod{i}"),
            pod: ObjectName::new("bench", format!("pod{i}")),
            address: pod_address(i),
            mac: MacAddr::from_bits(0x0200_0000_0000 + u64::from(i)),
            vrf: VrfId(1),
            label: MplsLabel(100 + i),
        })
        .collect();
    let remotes = (0..REMOTE_NODES)
        .map(|node| RemoteNode {
            name: format!("node{node}"),
            address: Ipv4Addr::from(0x0aa9_1900 + 100 + node),
            encapsulation: Encapsulation::MplsOverUdp,
            vrfs: Vec::new(),
            labels: (0..PODS_A_NODE)
                .map(|i| (pod_address(LOCAL_PODS + node * PODS_A_NODE + i), MplsLabel(100 + i)))
                .collect(),
            prefixes: BTreeMap::new(),
        })
        .collect();
    let all = LOCAL_PODS + REMOTE_NODES * PODS_A_NODE;
    let load_balancers = (0..services)
        .map(|s| {
            let mut members: Vec<Member> = (0..ENDPOINTS)
                .map(|e| Member {
                    address: pod_address((s * 7 + e * 701) % all),
                    port: 8080,
                    state: penstock_model::MemberState::Active,
                    node: String::new(),
                })
                .collect();
            members.sort();
            LoadBalancer {
                name: ObjectName::new("bench", format!("service{s:05}")),
                floating_ips: vec![FloatingIp {
                    address: Ipv4Addr::from(0x0a60_0000 + 1 + s),
                    kind: FloatingIpKind::Cluster,
                    scope: Scope::Cluster,
                }],
                listeners: vec![Listener {
                    name: "http".to_owned(),
                    protocol: Protocol::Tcp,
                    port: 80,
                    pool: Pool { members },
                }],
                ..LoadBalancer::default()
            }
        })
        .collect();
    Snapshot {
        node: NodeConfig {
            name: "cent222".to_owned(),
            fabric: Fabric {
                address: Prefix { address: Ipv4Addr::new(10, 169, 25, 20), len: 24 },
                mac: MacAddr::from_bits(0x0200_0000_ff01),
            },
            vrfs: vec![Vrf { id: VrfId(1), name: "pods".to_owned(), imports: Vec::new() }],
            vifs,
            remotes,
        },
        load_balancers,
        neighbours: (0..REMOTE_NODES)
            .map(|n| {
                (
                    Ipv4Addr::from(0x0aa9_1900 + 100 + n),
                    MacAddr::from_bits(0x0200_0000_fe00 + u64::from(n)),
                )
            })
            .collect(),
        ..Snapshot::default()
    }
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}

/// Measures for 100, 1,000 and 10,000 services.
///
/// # Errors
/// Something does not compile or fit: the figures would mean nothing.
pub(crate) fn run(report: &mut Report) -> Result<()> {
    for services in [100, 1_000, 10_000] {
        let mut snapshot = cluster(services);
        let started = Instant::now();
        let desired = compile(&snapshot)?;
        report.add(format!("host.compile.{services}_services"), milliseconds(started), "ms");
        let mut achieved = Tables::default();
        let started = Instant::now();
        let first = plan(&desired, &achieved)?;
        report.add(format!("host.plan.{services}_services"), milliseconds(started), "ms");
        report.add(
            format!("host.plan.{services}_services.writes"),
            first.writes() as f64,
            "writes",
        );
        first.ops.iter().for_each(|op| achieved.apply(op));
        ensure!(
            plan(&desired, &achieved)?.is_empty(),
            "a second plan of the same intent is not empty"
        );

        // One endpoint leaves one service.
        snapshot.load_balancers[services as usize / 2].listeners[0].pool.members.pop();
        let started = Instant::now();
        let change = plan(&compile(&snapshot)?, &achieved)?;
        report.add(format!("host.change.{services}_services"), milliseconds(started), "ms");
        report.add(
            format!("host.change.{services}_services.writes"),
            change.writes() as f64,
            "writes",
        );
    }
    Ok(())
}
