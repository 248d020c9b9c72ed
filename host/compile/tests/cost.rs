//! What compiling costs: counted, not timed. The only test of its binary, as all threads count.

use std::alloc::System;
use std::sync::Arc;

use penstock_compile::{Compiler, Providers};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

mod world;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Bytes that are kept of `services` services, and bytes that are asked for when one of them changes.
fn cost(services: u32, endpoints: u32) -> (usize, usize) {
    let (mut intent, neighbours) = world::intent(services, endpoints);
    let mut compiler = Compiler::new(Providers::default(), world::shape());
    let region = Region::new(ALLOCATOR);
    let first = compiler.compile(&intent, &neighbours);
    let change = region.change();
    let kept = change.bytes_allocated - change.bytes_deallocated;
    assert_eq!(first.desired.services.len(), services as usize);

    let changed = world::service(services / 2, endpoints + 1, 7);
    intent.balancers.insert(changed.name.clone(), Arc::new(changed));
    let region = Region::new(ALLOCATOR);
    let second = compiler.compile(&intent, &neighbours);
    let spent = region.change().bytes_allocated;
    assert_ne!(first.desired, second.desired);
    assert_eq!(compiler.work().floating_ips, 1);
    (kept, spent)
}

#[test]
fn a_change_costs_what_it_is() {
    let (_, few) = cost(100, 3);
    let (kept, many) = cost(10_000, 3);
    assert!(kept < 48 << 20, "{kept} bytes for 10,000 services with 3 endpoints");
    // A path of a deeper tree more, and no more.
    assert!(many < 2 * few + (16 << 10), "{many} bytes among 10,000 services, {few} among 100");
    let (kept, _) = cost(5_000, 50);
    assert!(kept < 100 << 20, "{kept} bytes for 5,000 services with 50 endpoints");
    println!("{few} {many} {kept}");
}
