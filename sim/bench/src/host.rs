//! Compiler and planner: whole tables from nothing, and what a change costs among growing numbers of services.
//!
//! A change is measured as the daemon meets it: compiler and planner have what was there before, and are given whole states.
//! Figures are medians. Those of `larger_card` are of a card with larger tables than today's, as what they plan does not fit that; the
//! largest of all checks sources loosely, as entries have no numbers for so many sets of tunnels.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Result, ensure};
use penstock_compile::{Compiler, Providers};
use penstock_model::{
    Encapsulation, Fabric, FloatingIp, FloatingIpKind, Hints, Intent, IpNet, LearnPolicy, Listener,
    LoadBalancer, MacAddr, Member, MemberState, MplsLabel, Neighbours, NetworkName, Node,
    ObjectName, Path, Peer, PodVif, Pool, Scope, SourceCheck, Vhost, VifId, Vrf, VrfId,
};
use penstock_plan::Planner;
use penstock_tables::{Shape, Tables};

use crate::report::Report;

const VRF: VrfId = VrfId(1);
const LOCAL_PODS: u32 = 100;
/// Changes of which the median is taken.
const CHANGES: u32 = 101;

/// A cluster seen from one of its nodes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cluster {
    /// Other nodes, and pods on each.
    nodes: u32,
    pods: u32,
    services: u32,
    /// Endpoints of each service.
    endpoints: u32,
    source_check: SourceCheck,
}

impl Cluster {
    /// As today's card can serve it.
    pub(crate) fn small(services: u32) -> Self {
        Self { nodes: 20, pods: 100, services, endpoints: 3, source_check: SourceCheck::Strict }
    }

    fn all_pods(&self) -> u32 {
        LOCAL_PODS + self.nodes * self.pods
    }

    /// Service `n`; `round` moves its endpoints on, so that one of them is another.
    pub(crate) fn service(&self, n: u32, round: u32) -> LoadBalancer {
        let first = n.wrapping_mul(7);
        let pod = |e: u32| (first + e * 701) % self.all_pods();
        let endpoint = |e: u32| Member {
            address: pod_address(pod(e)),
            port: 8080,
            state: MemberState::Active,
            node: String::new(),
            hints: Hints::default(),
        };
        let last = self.endpoints + round - 1;
        let mut members: Vec<Member> =
            (0..self.endpoints - 1).chain([last]).map(endpoint).collect();
        members.sort();
        members.dedup();
        LoadBalancer {
            name: ObjectName::new("bench", format!("service{n:05}")),
            created: Some(n.into()),
            floating_ips: vec![FloatingIp {
                address: Ipv4Addr::from(0x0a60_0000 + 1 + n).into(),
                network: NetworkName::services(),
                kind: FloatingIpKind::Cluster,
                scope: Scope::Cluster,
            }],
            listeners: vec![Listener {
                name: "http".to_owned(),
                port: 80,
                pool: Pool { members },
                ..Listener::default()
            }],
            ..LoadBalancer::default()
        }
    }

    pub(crate) fn intent(&self) -> Result<(Intent, Neighbours)> {
        let mut intent = Intent { complete: true, ..Intent::default() };
        let fabric = Fabric {
            address: "10.169.25.20/16".parse()?,
            mac: MacAddr::from_bits(0x0200_0000_ff01),
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
        let (name, source_check) = ("pods".to_owned(), self.source_check);
        let vrf = Vrf { id: VRF, name, networks, source_check, ..Vrf::default() };
        intent.vrfs.insert(VRF, Arc::new(vrf));
        let mut neighbours = Neighbours::new();
        for node in 0..self.nodes {
            let (name, address) = (format!("node{node}"), node_address(node));
            intent.peers.insert(name.clone(), Arc::new(Peer { name, address }));
            neighbours.insert(address, MacAddr::from_bits(0x0200_0000_fe00 + u64::from(node)));
        }
        for n in 0..self.all_pods() {
            self.pod(&mut intent, n)?;
        }
        for n in 0..self.services {
            self.change(&mut intent, n, 0);
        }
        Ok((intent, neighbours))
    }

    fn pod(&self, intent: &mut Intent, n: u32) -> Result<()> {
        let address = pod_address(n);
        if n < LOCAL_PODS {
            let name = format!("pod{n}");
            let pod = ObjectName::new("bench", name.clone());
            let id = VifId(u8::try_from(3 + n)?);
            let mac = MacAddr::from_bits(0x0200_0000_0000 + u64::from(n));
            let label = MplsLabel(100 + n);
            let vif = PodVif {
                id,
                name,
                pod,
                address,
                mac,
                vrf: VRF,
                label,
                learn: LearnPolicy::default(),
                flow_limit: None,
            };
            intent.vifs.insert(id, Arc::new(vif));
        } else {
            let (node, number) = ((n - LOCAL_PODS) / self.pods, (n - LOCAL_PODS) % self.pods);
            let path = Path {
                next_hop: node_address(node),
                label: MplsLabel(100 + number),
                encapsulation: Encapsulation::MplsOverUdp,
                preference: Path::PREFERENCE,
                announcer: format!("node{node}").into(),
            };
            intent.rib.insert((VRF, IpNet::from(address)), [path].into());
        }
        Ok(())
    }

    /// Gives service `n` the endpoints of a round.
    pub(crate) fn change(&self, intent: &mut Intent, n: u32, round: u32) {
        let service = self.service(n, round);
        intent.balancers.insert(service.name.clone(), Arc::new(service));
    }
}

fn pod_address(pod: u32) -> IpAddr {
    Ipv4Addr::from(0x0a80_0000 + 256 + pod).into()
}

fn node_address(node: u32) -> IpAddr {
    Ipv4Addr::from(0x0aa9_6400 + node).into()
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// Compiler and planner of a card, with what they have seen so far.
struct Host {
    cluster: Cluster,
    intent: Intent,
    neighbours: Neighbours,
    compiler: Compiler,
    planner: Planner,
}

impl Host {
    /// Compiles and plans from nothing, and reports it.
    ///
    /// # Errors
    /// Something is refused: the figures would mean nothing.
    fn new(
        cluster: Cluster,
        shape: Shape,
        report: &mut Report,
        name: &[String; 2],
    ) -> Result<Self> {
        let (intent, neighbours) = cluster.intent()?;
        let mut compiler = Compiler::new(Providers::default(), shape);
        let started = Instant::now();
        let compiled = compiler.compile(&intent, &neighbours);
        report.add(name[0].clone(), milliseconds(started), "ms");
        let started = Instant::now();
        let mut planner = Planner::new(Tables::new(shape));
        let first = planner.plan(&compiled.desired);
        report.add(name[1].clone(), milliseconds(started), "ms");
        report.add(format!("{}.writes", name[1]), first.plan.writes() as f64, "writes");
        ensure!(compiled.desired.refused.is_empty(), "{cluster:?} does not fit {shape:?}");
        ensure!(first.refused.is_empty(), "{cluster:?}: {}", first.refused[0]);
        let settled = planner.audit(&compiled.desired).plan.is_empty();
        ensure!(settled, "a second plan of the same intent is not empty");
        Ok(Self { cluster, intent, neighbours, compiler, planner })
    }

    /// Reports what a change of an endpoint in each of `many` services costs.
    fn changes(&mut self, many: u32, report: &mut Report, name: &str) -> Result<()> {
        let (mut compile, mut plan, mut writes) = (Vec::new(), Vec::new(), Vec::new());
        for round in 1..=CHANGES {
            for n in 0..many.min(self.cluster.services) {
                // To another endpoint, and back in the next round.
                let service = (round.div_ceil(2) * 37 + n * 101) % self.cluster.services;
                self.cluster.change(&mut self.intent, service, round % 2);
            }
            let started = Instant::now();
            let compiled = self.compiler.compile(&self.intent, &self.neighbours);
            compile.push(milliseconds(started));
            let started = Instant::now();
            let planned = self.planner.plan(&compiled.desired);
            plan.push(milliseconds(started));
            writes.push(planned.plan.writes() as f64);
            ensure!(planned.refused.is_empty(), "{}", planned.refused[0]);
            ensure!(!planned.plan.is_empty(), "a change that changes nothing");
        }
        let total = compile.iter().zip(&plan).map(|(compile, plan)| compile + plan).collect();
        report.add(name, median(total), "ms");
        report.add(format!("{name}.compile"), median(compile), "ms");
        report.add(format!("{name}.plan"), median(plan), "ms");
        report.add(format!("{name}.writes"), median(writes), "writes");
        Ok(())
    }
}

/// Measures for 100, 1,000 and 10,000 services of three endpoints on today's card, and for up to a million endpoints on one that
/// has room for them.
///
/// # Errors
/// Something does not fit: the figures would mean nothing.
pub(crate) fn run(report: &mut Report) -> Result<()> {
    for services in [100, 1_000, 10_000] {
        let names = ["compile", "plan"].map(|what| format!("host.{what}.{services}_services"));
        let mut host = Host::new(Cluster::small(services), Shape::default(), report, &names)?;
        host.changes(1, report, &format!("host.change.{services}_services"))?;
        if services == 10_000 {
            host.changes(10, report, &format!("host.change.{services}x10"))?;
        }
    }
    for (services, source_check) in [
        (200, SourceCheck::Strict),
        (2_000, SourceCheck::Strict),
        (5_000, SourceCheck::Strict),
        (20_000, SourceCheck::Loose),
    ] {
        let cluster = Cluster { nodes: 100, pods: 250, services, endpoints: 50, source_check };
        let name = format!("host.larger_card.{services}_services_of_50");
        let names = ["compile", "plan"].map(|what| format!("{name}.{what}"));
        let mut host = Host::new(cluster, larger_card(), report, &names)?;
        host.changes(1, report, &format!("{name}.change"))?;
    }
    Ok(())
}

/// A card with room for a million endpoints.
fn larger_card() -> Shape {
    Shape {
        next_hops: 1 << 16,
        ecmp_words: 1 << 22,
        host_route_rows_log2: 14,
        fip_key_rows_log2: 14,
        fip_maps: 1 << 16,
        tunnel_source_rows_log2: 16,
        ..Shape::default()
    }
}
