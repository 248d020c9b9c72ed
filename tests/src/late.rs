//! A card of patience: the reference model, but requests wait, and the ports meet in any order.
//!
//! What section 9.1 says about time is here: a queue of requests that is executed late, in order, and the comparison of new requests
//! with what waits or was executed just now. The scoreboard must not mind any of it; what it cannot see here it cannot blame a
//! card for.

use std::collections::VecDeque;

use anyhow::Result;
use penstock_abi::age::Ages;
use penstock_abi::evict::Evictions;
use penstock_abi::limits::DRAIN_CYCLES;
use penstock_abi::reason::{CardCounter, DropReason};
use penstock_abi::table::{Affinity, Flow, FlowKey, FlowShareStats, FlowStats, TableId};
use penstock_refmodel::decide::decide;
use penstock_refmodel::flows::{Pair, key_of};
use penstock_refmodel::r#gen::{Rng, Write};
use penstock_refmodel::insert::Arrived;
use penstock_refmodel::{Card, Counters, Decision, Egress, Ingress, Learn, RefModel, Verdict};
use penstock_tables::Shape;

use crate::dut::{Dut, OutFrame, Spoil, small};

/// Requests that wait at most, and that are pending at most.
const QUEUE: usize = 64;

/// A defect in the order of things, to see whether it is noticed. What concerns one packet alone is a [`Spoil`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// A packet that is translated is forwarded though the queue is full, and leaves no entry.
    FullQueuePasses,
    /// Clashes with what waits pass, and the later pair takes the reply's key from the earlier.
    LaterPairSteals,
    /// A reply that overtakes its pair passes untranslated.
    RepliesOvertake,
    /// The host deletes an entry, and its partner stays.
    HalfDeleted,
}

struct Request {
    learn: Learn,
    arrived: Arrived,
}

/// The keys of a request for a pair.
#[derive(Clone, Copy)]
struct Keys {
    forward: FlowKey,
    reverse: FlowKey,
    translated: bool,
}

impl From<&Pair> for Keys {
    fn from(p: &Pair) -> Self {
        let translated = p.forward.map_valid;
        Self { forward: key_of(&p.forward), reverse: key_of(&p.reverse), translated }
    }
}

/// The reference model, late.
pub struct LateDut {
    model: RefModel,
    rng: Rng,
    fabric: VecDeque<(Ingress, Vec<u8>)>,
    host: VecDeque<(Ingress, Vec<u8>)>,
    waiting: VecDeque<Request>,
    /// Executed lately, and how long ago.
    recent: Vec<(Keys, u32)>,
    out: Vec<OutFrame>,
    deferred: u64,
    /// One request in so many steps is executed.
    slowness: u64,
    /// For so long after its execution a request is pending.
    pending_cycles: u32,
    spoil: Option<Spoil>,
    flaw: Option<Flaw>,
}

impl std::fmt::Debug for LateDut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LateDut").field("waiting", &self.waiting.len()).finish_non_exhaustive()
    }
}

impl LateDut {
    /// One whose order of events follows from a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let slowness = rng.of([1, 3, 10, 40]);
        let pending_cycles = rng.between(8, u64::from(DRAIN_CYCLES) - 1) as u32;
        let mut model = RefModel::of(small());
        model.set_enabled(true);
        Self {
            model,
            rng,
            fabric: VecDeque::new(),
            host: VecDeque::new(),
            waiting: VecDeque::new(),
            recent: Vec::new(),
            out: Vec::new(),
            deferred: 0,
            slowness,
            pending_cycles,
            spoil: None,
            flaw: None,
        }
    }

    /// One with a defect.
    #[must_use]
    pub fn spoiled(seed: u64, spoil: impl FnMut(Ingress, &[u8], &mut Decision) + 'static) -> Self {
        Self { spoil: Some(Box::new(spoil)), ..Self::new(seed) }
    }

    /// One with a defect in the order of things.
    #[must_use]
    pub fn flawed(seed: u64, flaw: Flaw) -> Self {
        Self { flaw: Some(flaw), ..Self::new(seed) }
    }

    fn has(&self, flaw: Flaw) -> bool {
        self.flaw == Some(flaw)
    }

    fn age(&mut self, cycles: u32) {
        self.recent.retain_mut(|(_, age)| {
            *age += cycles;
            *age < self.pending_cycles
        });
    }

    /// A frame of one of the ports, or a request, or nothing but time.
    fn step(&mut self) {
        let cycles = self.rng.between(1, 8) as u32;
        self.age(cycles);
        if self.rng.one_in(self.slowness) {
            self.execute();
        }
        let fabric = self.rng.one_in(2);
        let port = if fabric { &mut self.fabric } else { &mut self.host };
        if let Some((ingress, frame)) = port.pop_front() {
            self.frame(ingress, &frame);
        }
    }

    fn execute(&mut self) {
        let Some(r) = self.waiting.pop_front() else { return };
        if let Some(pair) = r.learn.pair().filter(|_| self.has(Flaw::LaterPairSteals)) {
            let reverse = key_of(&pair.reverse);
            self.model.flows_mut().delete_key(&reverse);
        }
        self.model.execute(&r.learn, r.arrived);
        if let Some(pair) = r.learn.pair() {
            self.recent.push((pair.into(), 0));
        }
    }

    fn frame(&mut self, ingress: Ingress, frame: &[u8]) {
        // What is pending comes before shares.
        let unlimited = Card { limited: false, ..self.model.card() };
        let mut decision = decide(&unlimited, ingress, frame);
        if !self.admit(&mut decision) {
            decision = self.model.decide(ingress, frame);
        }
        if let Some(spoil) = &mut self.spoil {
            spoil(ingress, frame, &mut decision);
        }
        let learn = std::mem::replace(&mut decision.learn, Learn::No);
        let forgotten =
            matches!(learn, Learn::Move { .. }) && !self.waiting.is_empty() && self.rng.one_in(2);
        if learn != Learn::No && !forgotten && self.waiting.len() < QUEUE {
            let arrived = Arrived { frame_bytes: frame.len(), tcp_flags: decision.tcp_flags };
            self.model.admitted(&learn);
            self.waiting.push_back(Request { learn, arrived });
        }
        let outcome = self.model.commit(ingress, frame.len(), decision);
        if let Verdict::Sent { egress, frame } = outcome.verdict {
            let vif = match egress {
                Egress::Fabric => 0,
                Egress::Host(vif) => vif,
                Egress::Firmware { .. } => return,
            };
            self.out.push(OutFrame { vif, frame });
        }
    }

    /// Section 9.1, as far as it depends on time. Says whether that settles it.
    fn admit(&mut self, d: &mut Decision) -> bool {
        let Some(own) = d.learn.pair().map(Keys::from) else { return false };
        let waiting = self.waiting.iter().filter_map(|r| r.learn.pair()).map(Keys::from);
        let others: Vec<Keys> = waiting.chain(self.recent.iter().map(|(k, _)| *k)).collect();
        let refuse = |d: &mut Decision, reason| {
            let verdict = Verdict::Dropped(reason);
            let (counts_on_flow, learn) = (false, Learn::No);
            *d = Decision { verdict, counts_on_flow, learn, ..d.clone() };
        };
        let same = |k: &Keys| (k.forward, k.reverse) == (own.forward, own.reverse);
        let meets = |k: &Keys| {
            [own.forward, own.reverse].iter().any(|o| [k.forward, k.reverse].contains(o))
        };
        if others.iter().any(same) {
            d.learn = Learn::No;
        } else if let Some(first) = others.iter().find(|k| own.forward == k.reverse) {
            if first.translated && !self.has(Flaw::RepliesOvertake) {
                refuse(d, DropReason::FlowUnusable);
            } else {
                d.learn = Learn::No;
            }
        } else if others.iter().any(meets) && !self.has(Flaw::LaterPairSteals) {
            if d.translated || others.iter().any(|k| k.translated && meets(k)) {
                refuse(d, DropReason::FlowClash);
            } else {
                d.learn = Learn::No;
            }
        } else if self.waiting.len() > QUEUE / 4 * 3 || others.len() >= QUEUE {
            if d.translated && !self.has(Flaw::FullQueuePasses) {
                refuse(d, DropReason::FlowQueueFull);
            } else {
                d.learn = Learn::No;
                self.deferred += 1;
            }
        } else {
            return false;
        }
        true
    }

    /// Writes one table entry.
    fn put(&mut self, (table, index, words): &Write) -> Result<()> {
        if *table == TableId::Flow && self.has(Flaw::HalfDeleted) {
            let mut left = self.flows()?;
            left.retain(|(i, ..)| i != index);
            self.model.flows_mut().restore(left);
            self.model.recount_flows();
            return Ok(());
        }
        let done = self.model.write(*table, *index, words);
        anyhow::ensure!(done, "write to {table:?}[{index}] refused");
        Ok(())
    }
}

impl Dut for LateDut {
    fn shape(&self) -> Shape {
        small()
    }

    fn write(&mut self, writes: &[Write]) -> Result<()> {
        for w in writes {
            for _ in 0..self.rng.below(6) {
                self.step();
            }
            self.put(w)?;
        }
        Ok(())
    }

    fn inject(&mut self, ingress: Ingress, frame: &[u8]) {
        let port = if ingress == Ingress::Fabric { &mut self.fabric } else { &mut self.host };
        port.push_back((ingress, frame.to_vec()));
        self.step();
    }

    fn wait(&mut self, cycles: u32) {
        self.age(cycles);
        for _ in 0..cycles / 8 {
            self.step();
        }
    }

    fn drain(&mut self) -> Result<()> {
        while !(self.fabric.is_empty() && self.host.is_empty() && self.waiting.is_empty()) {
            self.step();
        }
        Ok(())
    }

    fn take_frames(&mut self) -> Vec<OutFrame> {
        std::mem::take(&mut self.out)
    }

    fn flows(&mut self) -> Result<Vec<(u32, Flow, FlowStats)>> {
        let flows = self.model.flows();
        let stats = |f: &Flow| flows.stats(&key_of(f)).unwrap_or_default();
        Ok(flows.iter().map(|(i, f)| (i, *f, stats(f))).collect())
    }

    fn clients(&mut self) -> Result<Vec<(u32, Affinity)>> {
        Ok(self.model.clients().iter().map(|(index, entry)| (index, *entry)).collect())
    }

    fn counters(&mut self, _vifs: &[u8]) -> Result<Counters> {
        let mut counters = self.model.counters().clone();
        *counters.card.entry(CardCounter::LearnDeferred as u8).or_default() += self.deferred;
        Ok(counters)
    }

    fn share_stats(&mut self, shares: &[u32]) -> Result<Vec<FlowShareStats>> {
        Ok(shares.iter().map(|&share| self.model.flows().share_stats(share)).collect())
    }

    fn tables(&mut self) -> Result<Vec<Write>> {
        Ok(self.model.tables().dump().into_iter().filter(|w| w.0 != TableId::Flow).collect())
    }

    fn set_enabled(&mut self, enabled: bool) -> Result<()> {
        self.model.set_enabled(enabled);
        Ok(())
    }

    fn reset(&mut self) -> Result<()> {
        Ok(())
    }

    fn clear(&mut self) -> Result<()> {
        self.model.clear();
        self.recent.clear();
        self.deferred = 0;
        Ok(())
    }

    fn zero_counters(&mut self, _vifs: &[u8]) -> Result<()> {
        self.model.zero_counters();
        Ok(())
    }

    fn set_ages(&mut self, ages: &Ages) -> Result<()> {
        self.model.flows_mut().set_ages(*ages);
        Ok(())
    }

    fn press(&mut self, evictions: &Evictions) -> Result<()> {
        self.model.press(evictions);
        Ok(())
    }

    fn pass(&mut self, units: u32) -> Result<()> {
        // Longer than any request is pending.
        self.recent.clear();
        self.model.pass(units);
        Ok(())
    }

    fn deferred(&mut self) -> Result<u64> {
        Ok(self.deferred + self.model.counters().card(CardCounter::LearnDeferred))
    }
}
