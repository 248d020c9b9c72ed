//! What planning costs: counted, not timed. The only test of its binary, as all threads count.

use std::alloc::System;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use penstock_compile::{Desired, Group, GroupMember, Hop, NextHopKey, NextHopSpec, RouteTarget};
use penstock_model::{MacAddr, MplsLabel, VrfId};
use penstock_plan::Planner;
use penstock_tables::{Shape, Tables};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const VRF: VrfId = VrfId(2);
/// Pods, a hundred on each node.
const PODS: u32 = 10_000;

fn pod(n: u32) -> GroupMember {
    let node = Ipv4Addr::from(0x0aa9_0000 + n / 100).into();
    let hop = Hop { next_hop: NextHopKey::TunnelUdp(node), label: Some(MplsLabel(16 + n % 100)) };
    GroupMember {
        hop,
        pod: Some(Ipv4Addr::from(0x0a2f_0000 + n).into()),
        draining: false,
        port: None,
    }
}

fn vip(n: u32) -> IpAddr {
    Ipv4Addr::from(0x0a60_0000 + n).into()
}

/// Service `n`, with endpoints from pod `first` on.
fn serve(desired: &mut Desired, n: u32, endpoints: u32, first: u32) {
    let mut members: Vec<_> = (0..endpoints).map(|e| pod((first + e * 7) % PODS)).collect();
    members.sort();
    let group =
        RouteTarget::Group(Arc::new(Group { members, hash_fields: 0x1f, affinity_seconds: 0 }));
    desired.routes.insert((VRF, vip(n)), group);
}

fn cluster(services: u32, endpoints: u32) -> Desired {
    let mut desired = Desired::default();
    desired.next_hops.insert(NextHopKey::Discard, NextHopSpec::default());
    for n in 0..PODS {
        let GroupMember { hop, pod, .. } = pod(n);
        let spec = NextHopSpec { dmac: MacAddr([2; 6]), ..NextHopSpec::default() };
        desired.next_hops.insert(hop.next_hop, spec);
        if let Some(pod) = pod {
            desired.routes.insert((VRF, pod), RouteTarget::Hop(hop));
        }
    }
    (0..services).for_each(|n| serve(&mut desired, n, endpoints, n * 13));
    desired
}

/// Bytes that are kept for `services` services, the tables included, and bytes that are asked for when one of them changes.
fn cost(services: u32, endpoints: u32) -> (usize, usize) {
    let mut desired = cluster(services, endpoints);
    let shape = Shape { ecmp_words: 1 << 20, ..Shape::default() };
    let region = Region::new(ALLOCATOR);
    let mut planner = Planner::new(Tables::new(shape));
    let first = planner.plan(&desired);
    assert_eq!(first.refused, []);
    drop(first);
    let change = region.change();
    let kept = change.bytes_allocated - change.bytes_deallocated;

    serve(&mut desired, services / 2, endpoints, 5);
    let region = Region::new(ALLOCATOR);
    let second = planner.plan(&desired);
    let spent = region.change().bytes_allocated;
    assert!(!second.plan.is_empty());
    assert!(planner.audit(&desired).plan.is_empty());
    (kept, spent)
}

#[test]
fn a_change_costs_what_it_is() {
    let (_, few) = cost(100, 3);
    let (_, many) = cost(10_000, 3);
    // A path of a deeper tree more, and no more.
    assert!(many < 2 * few + (16 << 10), "{many} bytes among 10,000 services, {few} among 100");
    let (kept, _) = cost(5_000, 50);
    assert!(kept < 64 << 20, "{kept} bytes for 5,000 services with 50 endpoints");
    println!("{few} {many} {kept}");
}
