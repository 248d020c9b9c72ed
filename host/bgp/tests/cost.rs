//! What learning costs: counted, not timed. The only test of its binary, as all threads count.

#![allow(clippy::unwrap_used)]

use std::alloc::System;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Instant;

use penstock_bgp::wire::{self, Open};
use penstock_bgp::{
    Attributes, Family, Importer, Policy, RouteDistinguisher, RouteTarget, Session, SessionConfig,
    Targets, VpnPath, VpnPrefix, Want,
};
use penstock_model::{Encapsulation, MplsLabel, VrfId};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const AS: u32 = 64512;
const NODE: Ipv4Addr = Ipv4Addr::new(10, 169, 25, 20);
/// Pods of a node: their routes share what is said of them.
const PODS: u32 = 100;

/// UPDATEs of the routes of pods from `first` on.
fn updates(first: u32, count: u32) -> Vec<Vec<u8>> {
    let target = RouteTarget::new(AS, 100).unwrap();
    let mut messages = Vec::new();
    for node in first / PODS..(first + count).div_ceil(PODS) {
        let address = Ipv4Addr::from(0x0a80_0000 + node);
        let attributes = Arc::new(Attributes::of_node(address, vec![target.community()]));
        let own = (node * PODS).max(first)..(node * PODS + PODS).min(first + count);
        let changes: Vec<_> = own
            .map(|pod| {
                let prefix = Ipv4Addr::from(0x1400_0000 + pod);
                let place = VpnPrefix {
                    distinguisher: RouteDistinguisher::of_node(address, 2),
                    prefix: ipnet::Ipv4Net::new(prefix, 32).unwrap(),
                };
                let label = MplsLabel(16 + pod % PODS);
                (place, Some(VpnPath { label, attributes: attributes.clone() }))
            })
            .collect();
        messages.extend(wire::updates(&changes, AS, true));
    }
    messages
}

/// Bytes that are kept of a route, and bytes that are asked for when one more comes.
fn cost(routes: u32) -> (usize, usize) {
    let now = Instant::now();
    let mut session = Session::new(SessionConfig::new(AS, AS, NODE), false, now);
    session.elapsed(now);
    assert_eq!(session.wants(now), Want::Connect);
    session.connected(now);
    let open = Open {
        asn: AS,
        four_octets: true,
        hold_seconds: 90,
        identifier: Ipv4Addr::new(10, 169, 25, 19),
        families: vec![Family::Vpn],
        refresh: true,
        graceful: None,
        long_lived_seconds: None,
    };
    session.received(&[wire::open(&open), wire::keepalive()].concat(), now);
    let targets = [RouteTarget::new(AS, 100).unwrap()];
    let mut importer = Importer::default();
    importer.set_policy(&Policy {
        node: NODE,
        encapsulations: vec![Encapsulation::MplsOverUdp],
        vrfs: [(VrfId(2), Targets { import: targets.into(), export: targets.into() })].into(),
    });
    let peer: Arc<str> = "rr".into();
    let (messages, more) = (updates(0, routes), updates(routes, 1));
    let region = Region::new(ALLOCATOR);
    for message in &messages {
        session.received(message, now);
    }
    importer.update(&peer, session.learned());
    let change = region.change();
    let kept = change.bytes_allocated - change.bytes_deallocated;
    assert_eq!(importer.routes().len(), routes as usize);
    assert!(importer.routes().values().all(|imported| imported.route.is_ok()));

    let region = Region::new(ALLOCATOR);
    session.received(&more[0], now);
    importer.update(&peer, session.learned());
    let spent = region.change().bytes_allocated;
    assert_eq!(importer.routes().len(), routes as usize + 1);
    (kept / routes as usize, spent)
}

#[test]
fn a_route_more_costs_what_it_is() {
    let (_, few) = cost(1_000);
    let (kept, many) = cost(100_000);
    println!("{kept} bytes a route; one more: {few} bytes among 1,000, {many} among 100,000");
    assert!(kept < 1024, "{kept} bytes a route: a million of them would not fit in a GiB");
    assert!(many < 2 * few + (16 << 10), "{many} bytes among 100,000 routes, {few} among 1,000");
}
