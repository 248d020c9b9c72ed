//! Times compilation (`cargo run --release -p penstock-compile --example scale -- SERVICES ENDPOINTS`), for a card
//! with room for all; with `full` as a third argument, for the card as it is, on which the youngest may have no room. Times are without those at which
//! the processor did something else.

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use penstock_compile::{Compiler, Providers};
use penstock_tables::Shape;

#[path = "../tests/world/mod.rs"]
mod world;

/// How often a change is repeated.
const ROUNDS: u32 = 200;

/// How long this thread could run and something else did: on a busy machine that is what the worst of many times is made of.
/// Zero where the kernel does not say.
fn waited() -> Duration {
    let said = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let waited = said.split_whitespace().nth(1).and_then(|text| text.parse().ok());
    Duration::from_nanos(waited.unwrap_or_default())
}

fn main() -> Result<(), Box<dyn Error>> {
    let full = std::env::args().nth(3).is_some_and(|text| text == "full");
    let shape = if full { Shape::default() } else { world::shape() };
    let mut numbers = std::env::args().skip(1).map(|text| text.parse::<u32>());
    let services = numbers.next().unwrap_or(Ok(10_000))?;
    let endpoints = numbers.next().unwrap_or(Ok(3))?;
    let (mut intent, neighbours) = world::intent(services, endpoints);
    let mut compiler = Compiler::new(Providers::default(), shape);
    let begin = Instant::now();
    let mut last = compiler.compile(&intent, &neighbours);
    println!("{services} services with {endpoints} endpoints from nothing: {:?}", begin.elapsed());
    let mut timed = |what: &str, change: &mut dyn FnMut(u32, &mut penstock_model::Intent)| {
        let mut times: Vec<Duration> = Vec::new();
        for round in 0..ROUNDS {
            change(round, &mut intent);
            let (before, begin) = (waited(), Instant::now());
            last = compiler.compile(&intent, &neighbours);
            let took = begin.elapsed();
            times.push(took.saturating_sub(waited().saturating_sub(before)));
        }
        times.sort();
        let (median, worst) = (times[times.len() / 2], times[times.len() - 1]);
        println!("{what}: {median:?}, at worst {worst:?}; {:?}", compiler.work());
    };
    let change = |many: u32, round: u32, intent: &mut penstock_model::Intent| {
        for n in 0..many {
            let n = (round * 37 + n * 101) % services;
            let service = world::service(n, endpoints, n * endpoints + round + 1);
            intent.balancers.insert(service.name.clone(), Arc::new(service));
        }
    };
    timed("nothing changed", &mut |_, _| {});
    timed("one service changed", &mut |round, intent| change(1, round, intent));
    timed("ten services changed", &mut |round, intent| change(10, round, intent));
    timed("a pod's label changed", &mut |round, intent| {
        let key = intent.rib.keys().nth((round * 97) as usize % intent.rib.len()).copied();
        if let Some(mut paths) =
            key.and_then(|key| intent.rib.get(&key)).map(|paths| paths.to_vec())
        {
            paths[0].label.0 = 1000 + round;
            key.and_then(|key| intent.rib.insert(key, paths.into()));
        }
    });
    let desired = &last.desired;
    println!("{} floating IPs served, {} refused", desired.services.len(), desired.refused.len());
    Ok(())
}
