//! How fast the simulation itself runs, in thousands of cycles a second.
//!
//! * `sim.speed.busy`: a 64-byte frame of a known flow in every cycle. Making the frames is not in it.
//! * `sim.speed.idle`: nothing to do, clocked all the same.
//! * `sim.speed.reference`: [`Reference`], a small block that never changes.
//! * `sim.speed.busy_per_reference`: the quotient, which depends on the machine far less. All tests wait for the simulation, so a
//!   change that makes this figure smaller says why, or is not made.
//!
//! `penstock-bench --speed` takes these alone. The three take turns, so that what else the machine does meets all of them, and of each the best turn counts.

use std::time::Instant;

use anyhow::{Context as _, Result};
use penstock_rtl::Reference;

use crate::card::{Bench, KNOWN};
use crate::report::Report;

const TURNS: usize = 15;
const FRAMES: usize = 10_000;
const IDLE_CYCLES: u64 = 20_000;
const REFERENCE_CYCLES: u64 = 50_000;

/// Measures the speeds with a card that knows the flows of [`KNOWN`].
///
/// # Errors
/// The card does not become idle.
pub(crate) fn measure(report: &mut Report, bench: &Bench) -> Result<()> {
    let mut reference = Reference::new();
    let mut turns = Vec::new();
    for _ in 0..TURNS {
        turns.push([busy(bench)?, idle(bench), {
            let started = Instant::now();
            reference.run(REFERENCE_CYCLES);
            rate(REFERENCE_CYCLES, started)
        }]);
    }
    let best = turns.into_iter().reduce(|a, b| [0, 1, 2].map(|i| a[i].max(b[i])));
    let [busy, idle, reference] = best.context("no turn was taken")?;
    report.add("sim.speed.busy", busy, "kcycles/s");
    report.add("sim.speed.idle", idle, "kcycles/s");
    report.add("sim.speed.reference", reference, "kcycles/s");
    report.add("sim.speed.busy_per_reference", busy / reference, "");
    Ok(())
}

fn busy(bench: &Bench) -> Result<f64> {
    let mut sim = bench.sim();
    KNOWN.inject(&mut sim, FRAMES, 16, 100);
    let (started, before) = (Instant::now(), sim.cycles());
    sim.drain(10_000_000)?;
    let rate = rate(sim.cycles() - before, started);
    sim.take_egress();
    Ok(rate)
}

fn idle(bench: &Bench) -> f64 {
    let mut sim = bench.sim();
    let started = Instant::now();
    for _ in 0..IDLE_CYCLES {
        sim.tick();
    }
    rate(IDLE_CYCLES, started)
}

/// Thousands of cycles a second since then.
fn rate(cycles: u64, started: Instant) -> f64 {
    cycles as f64 / 1e3 / started.elapsed().as_secs_f64()
}
