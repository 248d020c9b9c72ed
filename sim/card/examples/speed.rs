//! How fast the model runs here: cycles a second when idle (clocked all the same), and under 64-byte frames both ways.
#![allow(clippy::unwrap_used)]

use std::sync::{Arc, Mutex};
use std::time::Instant;

use penstock_abi::table::{NextHop, TableId, Vif, VifKind};
use penstock_card::{CardOptions, CardSim, InProcess};
use penstock_device::Card;
use penstock_tables::Op;

fn main() {
    for unchecked in [false, true] {
        let started = Instant::now();
        let sim = CardSim::new(&CardOptions { unchecked, ..CardOptions::default() }).unwrap();
        let cycles = sim.cycles();
        println!(
            "unchecked={unchecked} power-on: {cycles} cycles, {:.0} kcycles/s",
            cycles as f64 / started.elapsed().as_secs_f64() / 1e3
        );
        let sim = Arc::new(Mutex::new(sim));
        let mut card = Card::attach(InProcess::boxed(&sim)).unwrap();
        let vif = |kind| Vif { valid: true, kind, ..Vif::default() };
        card.write(0, vif(VifKind::Fabric)).unwrap();
        card.write(1, vif(VifKind::Vhost)).unwrap();
        card.set_enabled(true).unwrap();
        for len in [60, 1514] {
            let mut sim = sim.lock().unwrap();
            let frames = 60 * 10_000 / len;
            for _ in 0..frames {
                let mut frame = vec![0x5a; len];
                frame[12] = 0x88;
                sim.inject(0, frame.clone());
                sim.inject(1, frame);
            }
            let (started, before) = (Instant::now(), sim.cycles());
            sim.drain(10_000_000).unwrap();
            let cycles = sim.cycles() - before;
            let seconds = started.elapsed().as_secs_f64();
            assert_eq!(sim.take_egress().len(), 2 * frames);
            println!(
                "  {len} B both ways: {:.2} packets/cycle, {:.0} kcycles/s, {:.1} MB/s",
                2.0 * frames as f64 / cycles as f64,
                cycles as f64 / seconds / 1e3,
                (2 * frames * len) as f64 / seconds / 1e6
            );
        }
        let entry = |i| NextHop { valid: true, dip: i, ..NextHop::default() };
        let ops: Vec<Op> = (0..10_000).map(|i| Op::write(i, entry(i))).collect();
        let (started, before) = (Instant::now(), sim.lock().unwrap().cycles());
        card.apply(&ops).unwrap();
        let cycles = sim.lock().unwrap().cycles() - before;
        println!(
            "  10000 writes: {:.1} cycles each, {:.0} a second",
            cycles as f64 / 1e4,
            1e4 / started.elapsed().as_secs_f64()
        );
        let (started, before) = (Instant::now(), sim.lock().unwrap().cycles());
        let n = card.dump(TableId::NextHop).unwrap().len();
        let cycles = sim.lock().unwrap().cycles() - before;
        println!(
            "  dump of {n}: {:.1} cycles each, {:.0} a second",
            cycles as f64 / n as f64,
            n as f64 / started.elapsed().as_secs_f64()
        );
        let started = Instant::now();
        let n = card.dump(TableId::Flow).unwrap().len();
        println!("  dump of {n} flows (empty): {:.3} s", started.elapsed().as_secs_f64());
    }
}
