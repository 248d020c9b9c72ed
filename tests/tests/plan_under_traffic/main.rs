//! The planner meets the packet model: real plans, from intents that change, are applied to the model one operation after the
//! other, and after each one it is asked what becomes of many packets.
//!
//! * What becomes of a packet is at every moment what became of it before the plan, or what will after it: it goes by the old
//!   route or the new one, and is translated by the old mapping or the new one; but never by the new route and without the
//!   mapping that belongs to it. (Drops are one thing, whatever their reasons.)
//! * New connections to a floating IP go to somebody who is wanted there, or to nobody.
//! * A connection stays with its backend, through every operation, for as long as that is reached as before.
//!
//! Plans are spoiled on purpose, too, and each way to do so is found out.

mod change;
mod fault;
mod probe;
mod world;

use std::collections::BTreeSet;
use std::net::IpAddr;

use penstock_compile::{Compiler, Desired, Providers};
use penstock_model::Protocol;
use penstock_plan::Planner;
use penstock_refmodel::RefModel;
use penstock_refmodel::r#gen::Rng;
use penstock_refmodel::wire::{ACK, SYN};
use penstock_tables::{Shape, Tables};

use change::{Change, write};
use fault::{Fault, spoil};
use probe::{Connection, Fate, pod_behind, strangers, to_service};
use world::{CLIENTS, VIPS, World};

/// Changes of a run.
const STEPS: usize = 60;

/// Runs a history, and says what went wrong.
struct Run {
    rng: Rng,
    shape: Shape,
    rough: bool,
    fault: Option<Fault>,
    model: RefModel,
    connections: Vec<Connection>,
}

/// What a run came across.
#[derive(Debug, Default)]
struct Seen {
    operations: usize,
    /// Packets whose fate changed in a plan.
    changed: usize,
    refused: usize,
    /// Connections that were looked at after an operation and stayed where they were.
    stayed: usize,
}

impl Run {
    fn new(seed: u64, shape: Shape, rough: bool, fault: Option<Fault>) -> Self {
        let mut model = RefModel::new();
        model.set_enabled(true);
        Self { rng: Rng::new(seed), shape, rough, fault, model, connections: Vec::new() }
    }

    fn run(&mut self) -> Result<Seen, String> {
        let mut seen = Seen::default();
        let mut world = World::new(&mut self.rng);
        // The compiler knows of more room than there is.
        let mut compiler = Compiler::new(Providers::default(), Shape::default());
        let mut planner = Planner::new(Tables::new(self.shape));
        let mut desired = Desired::default();
        for step in 0..STEPS {
            let (intent, neighbours) = world.intent();
            let old =
                std::mem::replace(&mut desired, compiler.compile(&intent, &neighbours).desired);
            let planned = planner.plan(&desired);
            seen.refused += planned.refused.len();
            let refused: BTreeSet<IpAddr> =
                planned.refused.iter().filter_map(|refusal| refusal.what.address()).collect();
            let ops = spoil(&planned.plan, self.fault);
            let smooth = self.is_smooth();
            let change = Change { old: &old, new: &desired, refused: &refused, smooth, ops: &ops };
            self.apply(&change, &mut seen).map_err(|fault| format!("step {step}: {fault}"))?;
            self.connect(&desired);
            for _ in 0..self.rng.between(1, 3) {
                world.edit(&mut self.rng, self.rough);
            }
        }
        Ok(seen)
    }

    /// Applies a plan operation by operation.
    fn apply(&mut self, change: &Change<'_>, seen: &mut Seen) -> Result<(), String> {
        let mut probes = strangers(&mut self.rng);
        probes.extend(self.connections.iter().map(|connection| connection.probe.clone()));
        let states = change.states(&self.model);
        // What may become of each, the old first and the new last.
        let fates: Vec<Vec<Fate>> = probes
            .iter()
            .map(|probe| states.iter().map(|state| Fate::of(state, probe)).collect())
            .collect();
        seen.changed += fates.iter().filter(|fates| fates.first() != fates.last()).count();
        for (probe, fates) in probes.iter().zip(&fates) {
            change.judge_new(probe, fates.last().unwrap_or(&Fate::Dropped))?;
        }
        for (n, op) in change.ops.iter().enumerate() {
            write(&mut self.model, op);
            seen.operations += 1;
            let told =
                |fault: String| format!("after operation {n} {op:?}: {fault}\n{:?}", change.ops);
            for (probe, fates) in probes.iter().zip(&fates) {
                let fate = Fate::of(&self.model, probe);
                if !self.may_be(&fate, fates) {
                    return Err(told(format!("{} is {fate:?}\nand not {fates:?}", probe.what)));
                }
            }
            for connection in &self.connections {
                if !change.stays(connection) {
                    continue;
                }
                let fate = Fate::of(&self.model, &connection.probe);
                if fate.hop() != Some(connection.hop) {
                    let hop = connection.hop;
                    return Err(told(format!(
                        "{} leaves {hop:?}: {fate:?}",
                        connection.probe.what
                    )));
                }
                seen.stayed += 1;
            }
        }
        Ok(())
    }

    /// There is room for everything, and no number is given away at once.
    fn is_smooth(&self) -> bool {
        !self.rough && self.shape == Shape::default()
    }

    fn may_be(&self, fate: &Fate, fates: &[Fate]) -> bool {
        // A MAC address is rewritten in place, before anything else.
        let same = |other: &Fate| fate.but_for_macs() == other.but_for_macs();
        // What is given away, or has no room before something else goes, may be gone for a moment.
        fates.iter().any(same) || !self.is_smooth() && *fate == Fate::Dropped
    }

    /// Opens some connections, and forgets those that are over.
    fn connect(&mut self, desired: &Desired) {
        let model = &self.model;
        self.connections
            .retain(|connection| Fate::of(model, &connection.probe).hop() == Some(connection.hop));
        // Those that go on send something, so that the card knows where they are.
        for connection in &self.connections {
            self.model.process(connection.probe.ingress, &connection.probe.frame);
        }
        for _ in 0..6 {
            let client = self.rng.of(CLIENTS);
            let n = self.rng.below(VIPS.into()) as u8;
            let protocol = self.rng.of([Protocol::Tcp, Protocol::Udp]);
            let sport = 30_000 + self.rng.below(20_000) as u16;
            let syn = to_service(client, n, protocol, sport, SYN);
            let fate = Fate::of(&self.model, &syn);
            let Some(hop) = fate.hop() else { continue };
            let Some(pod) = pod_behind(desired, hop) else { continue };
            self.model.process(syn.ingress, &syn.frame);
            let probe = to_service(client, n, protocol, sport, ACK);
            if self.connections.len() > 40 {
                self.connections.remove(0);
            }
            self.connections.push(Connection { probe, vip: n, protocol, hop, pod });
        }
    }
}

fn all_is_well(seeds: std::ops::Range<u64>, shape: Shape, rough: bool) -> Seen {
    let mut all = Seen::default();
    for seed in seeds {
        let seen = Run::new(seed, shape, rough, None).run();
        let seen = seen.unwrap_or_else(|fault| panic!("seed {seed}, {fault}"));
        all.operations += seen.operations;
        all.changed += seen.changed;
        all.refused += seen.refused;
        all.stayed += seen.stayed;
    }
    all
}

#[test]
fn a_packet_meets_the_old_or_the_new() {
    let seen = all_is_well(0..6, Shape::default(), false);
    assert!(seen.operations > 3_000 && seen.changed > 1_000 && seen.stayed > 20_000, "{seen:?}");
    assert_eq!(seen.refused, 0);
}

#[test]
fn nor_is_it_otherwise_where_there_is_no_room() {
    let shape = Shape { ecmp_words: 22, next_hops: 13, fip_maps: 7, ..Shape::default() };
    let seen = all_is_well(100..106, shape, false);
    assert!(seen.refused > 100 && seen.changed > 1_000, "{seen:?}");
}

/// A number that is another pod's from one moment to the next: then packets may be dropped, or carry the other pod's MAC address, but
/// go nowhere else.
#[test]
fn numbers_that_are_given_away_at_once_lead_nowhere_else() {
    let seen = all_is_well(200..204, Shape::default(), true);
    assert!(seen.changed > 1_000, "{seen:?}");
}

#[test]
fn spoiled_plans_are_found_out() {
    let faults = [
        Fault::PointFirst,
        Fault::UnmakeFirst,
        Fault::ForgottenWord,
        Fault::SlotsSwapped,
        Fault::KeysLast,
    ];
    for fault in faults {
        let found =
            (0..6).any(|seed| Run::new(seed, Shape::default(), false, Some(fault)).run().is_err());
        assert!(found, "{fault:?} is not found out");
    }
}
