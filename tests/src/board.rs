//! Runs a script against a device and the model side by side, and says where they part.

mod check;
mod clients;
mod difference;
mod events;
mod shares;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use penstock_abi::age::Ages;
use penstock_abi::evict::Evictions;
use penstock_abi::hash::flow_key;
use penstock_abi::limits::DRAIN_CYCLES;
use penstock_abi::reason::{CardCounter, DropReason};
use penstock_abi::table::{Flow, FlowKey, FlowStats, TableId, Words};
use penstock_refmodel::flows::{attributes, key_of};
use penstock_refmodel::r#gen::Write;
use penstock_refmodel::insert::Inserted;
use penstock_refmodel::{Egress, Ingress, Learn, RefModel, Verdict};

use crate::digests::tables_of;
use crate::dut::Dut;
use crate::hazards::{Access, Hazards};
use crate::matching::{Expected, assign};
use crate::script::{EPOCH, NEW_FLOWS, Script, Step};
use difference::flow_difference;
use events::Events;

pub use crate::summary::Summary;

/// Frames in flight at most.
const BATCH_FRAMES: usize = 256;
/// No request is pending for longer after its execution.
pub(crate) const PENDING_CYCLES: u32 = DRAIN_CYCLES;

/// The device and the model disagree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Step of the script at which it showed, or that of the frame concerned.
    pub step: usize,
    /// What differs.
    pub what: String,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "step {}: {}", self.step, self.what)
    }
}

impl std::error::Error for Failure {}

/// Runs a script on a cleared card.
///
/// # Errors
/// The first disagreement.
pub fn run(script: &Script, dut: &mut dyn Dut) -> Result<Summary, Failure> {
    let mut board = Board::new(dut);
    board.new_flows = script.new_flows;
    board.model.set_enabled(true);
    board.tables(&script.tables)?;
    for (i, step) in script.steps.iter().enumerate() {
        board.step = i;
        match step {
            Step::Frame { ingress, frame, gap } => board.frame(*ingress, frame, *gap)?,
            Step::Tables(writes) => board.tables(writes)?,
            Step::Window { writes, frames } => board.window(writes, frames)?,
            Step::Age(pick) => board.age(*pick)?,
            Step::Forget(pick) => board.forget(*pick)?,
            Step::Ages(ages) => board.ages(ages)?,
            Step::Pass(units) => board.pass(*units)?,
            Step::Press(evictions) => board.press(evictions)?,
            Step::Enable(enabled) => board.enable(*enabled)?,
            Step::Reset => board.reset()?,
            Step::ZeroCounters => board.zero_counters()?,
            Step::Clear => board.clear()?,
            Step::Check => board.check()?,
        }
    }
    board.check()?;
    board.check_tables()?;
    Ok(board.summary)
}

/// The state of a run.
pub(crate) struct Board<'a> {
    pub(crate) model: RefModel,
    pub(crate) dut: &'a mut dyn Dut,
    pub(crate) step: usize,
    pub(crate) summary: Summary,
    pub(crate) vifs: BTreeSet<u8>,
    batch: Vec<(usize, Expected)>,
    new_flows: usize,
    hazards: Hazards,
    /// Packets of a flow's first burst: on the card they may have come before its entry, uncounted there.
    uncertain: HashMap<FlowKey, u64>,
    /// Traps by vif: some of them the card drops, as its queue is full.
    pub(crate) traps: BTreeMap<u8, u64>,
    /// What the card counted more than the model, where a window left the reason open.
    drop_offsets: BTreeMap<u8, i64>,
    card_offsets: BTreeMap<u8, i64>,
    vif_drop_offsets: BTreeMap<u8, u64>,
    /// Traps that had found the queue full when the offsets were taken.
    full_before: u64,
    /// Insertions put off, and pairs that found no place, before the card was last cleared.
    cleared: (u64, u64),
    events: Events,
}

/// The model's time, in which nothing passes but epochs, when the card's was this. Of entries without packets it is 0.
fn epoch(last_hit: u32) -> u32 {
    if last_hit == 0 { 0 } else { 1 + (last_hit & !(EPOCH - 1)) }
}

impl<'a> Board<'a> {
    fn new(dut: &'a mut dyn Dut) -> Self {
        let mut model = RefModel::with_secret(dut.shape(), dut.secret());
        model.flows_mut().listen();
        Self {
            model,
            dut,
            step: 0,
            summary: Summary::default(),
            vifs: BTreeSet::from([0, 1, 2, 255]),
            batch: Vec::new(),
            new_flows: 0,
            hazards: Hazards::default(),
            uncertain: HashMap::new(),
            traps: BTreeMap::new(),
            drop_offsets: BTreeMap::new(),
            card_offsets: BTreeMap::new(),
            vif_drop_offsets: BTreeMap::new(),
            full_before: 0,
            cleared: (0, 0),
            events: Events::new(),
        }
    }

    pub(crate) fn fail<T>(&self, what: impl Into<String>) -> Result<T, Failure> {
        Err(Failure { step: self.step, what: what.into() })
    }

    pub(crate) fn device<T>(&self, what: &str, result: anyhow::Result<T>) -> Result<T, Failure> {
        result.or_else(|e| self.fail(format!("{what}: {e:#}")))
    }

    fn tables(&mut self, writes: &[Write]) -> Result<(), Failure> {
        self.flush()?;
        for (table, index, words) in writes {
            self.model.write(*table, *index, words);
        }
        let written = self.dut.write(writes);
        self.device("writing tables", written)?;
        let said = self.digests(tables_of(writes))?;
        self.check_digests(&said)
    }

    /// Deletes a pair of flow entries, as aging does: by one of the two.
    fn age(&mut self, pick: u64) -> Result<(), Failure> {
        self.flush()?;
        let mut keys: Vec<FlowKey> = self.model.flows().iter().map(|(_, f)| key_of(f)).collect();
        if keys.is_empty() {
            return Ok(());
        }
        keys.sort_by_key(flow_key);
        let key = keys[(pick % keys.len() as u64) as usize];
        self.delete(key)
    }

    /// The host deletes the pair of a key that the model has.
    fn delete(&mut self, key: FlowKey) -> Result<(), Failure> {
        let partner = self.model.flows().attributes().get(&key).and_then(|f| f.partner);
        let flows = self.dut.flows();
        let flows = self.device("reading flows", flows)?;
        let Some((index, ..)) = flows.iter().find(|(_, f, _)| key_of(f) == key) else {
            return self.fail(format!("flow missing on the card: {key:?}"));
        };
        let deleted = self.dut.write(&[(TableId::Flow, *index, Words::default())]);
        self.device("deleting a flow", deleted)?;
        self.model.flows_mut().delete_key(&key);
        self.foretell();
        for key in [Some(key), partner].into_iter().flatten() {
            self.uncertain.remove(&key);
        }
        self.model.recount_flows();
        Ok(())
    }

    fn ages(&mut self, ages: &Ages) -> Result<(), Failure> {
        self.flush()?;
        self.model.flows_mut().set_ages(*ages);
        let set = self.dut.set_ages(ages);
        self.device("setting times", set)
    }

    /// Nothing but time passes; what is old by then is gone.
    fn pass(&mut self, units: u32) -> Result<(), Failure> {
        self.delete_pinned_anew()?;
        let ended = self.model.pass(units);
        self.summary.ended(ended);
        let passed = self.dut.pass(units);
        self.device("letting time pass", passed)?;
        self.check()
    }

    /// The table is under pressure; what gives way is gone.
    fn press(&mut self, evictions: &Evictions) -> Result<(), Failure> {
        self.delete_pinned_anew()?;
        let ended = self.model.press(evictions);
        self.summary.ended(ended);
        let pressed = self.dut.press(evictions);
        self.device("making room", pressed)?;
        self.check()
    }

    /// Before the card searches: pairs whose reverse entry's statistics restarted alone go. The search sees what was counted until then
    /// (section 9.4), which the host is not told.
    fn delete_pinned_anew(&mut self) -> Result<(), Failure> {
        self.flush()?;
        let flows = self.model.flows();
        let restarted = |f: &&Flow| {
            !f.reverse && flows.partner(f).is_some_and(|p| p.generation != f.generation)
        };
        let keys: Vec<FlowKey> =
            flows.iter().map(|(_, f)| f).filter(restarted).map(key_of).collect();
        keys.into_iter().try_for_each(|key| self.delete(key))
    }

    fn enable(&mut self, enabled: bool) -> Result<(), Failure> {
        self.flush()?;
        self.model.set_enabled(enabled);
        let done = self.dut.set_enabled(enabled);
        self.device("writing CONTROL", done)
    }

    /// A function-level reset changes nothing that a packet can see.
    fn reset(&mut self) -> Result<(), Failure> {
        self.flush()?;
        self.hear(true)?;
        let done = self.dut.reset();
        self.hear_anew();
        self.device("function-level reset", done)
    }

    fn zero_counters(&mut self) -> Result<(), Failure> {
        self.flush()?;
        let vifs: Vec<u8> = self.vifs.iter().copied().collect();
        let done = self.dut.zero_counters(&vifs);
        self.device("writing counters", done)?;
        self.model.zero_counters();
        self.traps.clear();
        self.drop_offsets.clear();
        self.vif_drop_offsets.clear();
        self.full_before = 0;
        Ok(())
    }

    fn clear(&mut self) -> Result<(), Failure> {
        self.flush()?;
        self.hear(true)?;
        let done = self.dut.clear();
        self.device("clearing the card", done)?;
        self.model.clear();
        self.hear_clearing()?;
        self.traps.clear();
        self.drop_offsets.clear();
        self.vif_drop_offsets.clear();
        self.full_before = 0;
        self.card_offsets.clear();
        self.uncertain.clear();
        self.cleared = (self.summary.deferred, self.summary.not_placed);
        Ok(())
    }

    fn frame(&mut self, ingress: Ingress, frame: &[u8], gap: u8) -> Result<(), Failure> {
        self.dut.wait(u32::from(gap));
        let mut decision = self.model.decide(ingress, frame);
        let mut access = Access::of(&self.model, ingress, frame, &decision);
        if self.batch.len() >= BATCH_FRAMES
            || self.hazards.new_flows() >= self.new_flows
            || access.as_ref().is_some_and(|a| self.hazards.conflicts(&self.model, a))
        {
            self.flush()?;
            // Where the card put requests off, its flow table was taken over.
            decision = self.model.decide(ingress, frame);
            access = Access::of(&self.model, ingress, frame, &decision);
        }
        let mut verdicts = vec![decision.verdict.clone()];
        if let Some(a) = &access {
            // Only if the card may have no room for a request is a packet refused for that: its pair is not there, or waits, or was put off.
            let asks = decision.learn.pair().is_some() || a.touched_by_burst(&self.hazards);
            if self.hazards.new_flows() >= NEW_FLOWS && decision.translated && asks {
                verdicts.push(Verdict::Dropped(DropReason::FlowQueueFull));
            }
            self.hazards.note(a);
        }
        self.dut.inject(ingress, frame);
        self.count(ingress, &decision.verdict);
        self.summary.met(&decision);
        self.summary.met_shares(&self.model, &decision);
        self.batch.push((self.step, Expected { ingress, verdicts }));
        let (lookup, counted) = (decision.lookup, decision.counts_on_flow);
        let learn = decision.learn;
        let outcome = self.model.commit(ingress, frame.len(), decision);
        self.summary.executed(outcome.inserted);
        self.bound_statistics(lookup.filter(|_| counted), &learn, outcome.inserted);
        Ok(())
    }

    /// Keeps account of whose statistics are exact, and of what was told of them.
    fn bound_statistics(
        &mut self,
        counted: Option<FlowKey>,
        learn: &Learn,
        inserted: Option<Inserted>,
    ) {
        if let Some(key) = counted
            && self.hazards.is_touched(&key)
        {
            *self.uncertain.entry(key).or_default() += 1;
        }
        self.foretell();
        if let (Some(pair), Some(Inserted::Learned | Inserted::Repinned)) = (learn.pair(), inserted)
        {
            self.uncertain.remove(&key_of(&pair.reverse));
            if !matches!(learn, Learn::Repin(_)) {
                self.uncertain.remove(&key_of(&pair.forward));
            }
        }
    }

    pub(crate) fn count(&mut self, ingress: Ingress, verdict: &Verdict) {
        self.summary.frames += 1;
        self.vifs.insert(ingress.vif());
        match verdict {
            Verdict::Sent { egress: Egress::Firmware { .. }, .. } => {
                *self.traps.entry(ingress.vif()).or_default() += 1;
            }
            Verdict::Sent { egress: Egress::Host(vif), .. } => {
                self.vifs.insert(*vif);
            }
            Verdict::Sent { .. } => {}
            Verdict::Dropped(_) => self.summary.drops += 1,
        }
    }

    /// Lets the card become idle and compares the frames that left.
    pub(crate) fn flush(&mut self) -> Result<(), Failure> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let drained = self.dut.drain();
        let out = self.dut.take_frames();
        let batch = std::mem::take(&mut self.batch);
        self.summary.batches += 1;
        self.summary.frames_out += out.len() as u64;
        let (steps, expected): (Vec<usize>, Vec<Expected>) = batch.into_iter().unzip();
        let chosen = assign(&expected, &out).map_err(|(which, what)| {
            let step = which.map_or(self.step, |i| steps[i]);
            let first = steps.first().copied().unwrap_or(0);
            Failure { step, what: format!("{what}\n  (batch began at step {first})") }
        })?;
        self.device("draining", drained)?;
        let mut refused = 0;
        for (e, agree) in expected.iter().zip(&chosen).filter(|(_, agree)| agree[0] > 0) {
            let Verdict::Dropped(reason) = e.verdicts[agree[0]] else { continue };
            self.model.recount_as_dropped(e.ingress, &e.verdicts[0], reason);
            refused += 1;
        }
        let asked = self.hazards.new_flows() > 0;
        self.hazards.clear();
        if asked {
            self.dut.wait(PENDING_CYCLES);
            self.resync(refused)?;
        }
        self.hear(true)
    }

    /// If the card put off insertions, found no place for a pair (which the model always does), or refused packets because it had
    /// no room for requests, takes over its flow table; all else in that must be as expected.
    fn resync(&mut self, refused: u64) -> Result<(), Failure> {
        let deferred = self.dut.deferred();
        let deferred = self.device("reading LearnDeferred", deferred)? + self.cleared.0;
        // What was not put off for lack of room, the model counts as well.
        let by_rule = self.model.counters().card(CardCounter::LearnDeferred);
        let deferred = deferred.saturating_sub(by_rule);
        let not_placed = self.dut.not_placed();
        let not_placed = self.device("reading FlowTableFull", not_placed)? + self.cleared.1;
        let new = deferred - self.summary.deferred + not_placed - self.summary.not_placed + refused;
        if new == 0 {
            return Ok(());
        }
        self.check_refused()?;
        self.summary.deferred = deferred;
        self.summary.not_placed = not_placed;
        self.summary.refused += refused;
        let flows = self.dut.flows();
        let flows = self.device("reading flows", flows)?;
        let card = attributes(flows.iter().map(|(i, f, _)| (*i, *f)));
        let model = self.model.flows().attributes();
        let differ = model.iter().filter(|(k, m)| card.get(k) != Some(m)).count()
            + card.keys().filter(|k| !model.contains_key(k)).count();
        // A request writes two entries and deletes at most two.
        if differ as u64 > 4 * new {
            return self.fail(format!(
                "{new} pairs were put off or found no place, but {differ} entries differ, so: {}",
                flow_difference(&card, &model).unwrap_or_default()
            ));
        }
        self.adopt_clients(new)?;
        self.hear(false)?;
        self.adopt(flows)
    }

    /// The model goes on with the card's flow table and the card's own counters.
    pub(crate) fn adopt(&mut self, flows: Vec<(u32, Flow, FlowStats)>) -> Result<(), Failure> {
        let flows = flows
            .into_iter()
            .map(|(i, f, s)| (i, f, FlowStats { last_hit: epoch(s.last_hit), ..s }));
        self.model.flows_mut().restore(flows);
        self.uncertain.clear();
        self.adopt_shares()?;
        // Whether the card has seen a packet since a pair's replies were pinned, and has noted that it is plain no more, is open.
        let flows = self.model.flows();
        let pinned = flows.iter().map(|(_, f)| f).filter(|f| {
            let plain = !f.reverse && !f.map_valid && !f.ecmp_valid;
            plain && !flows.is_plain_pair(f)
        });
        let pinned: Vec<FlowKey> = pinned.map(key_of).collect();
        pinned.into_iter().try_for_each(|key| self.delete(key))?;
        let counters = self.read_counters()?;
        let model = self.model.counters();
        for (code, n) in &counters.card {
            self.card_offsets
                .insert(*code, *n as i64 - model.card.get(code).copied().unwrap_or(0) as i64);
        }
        for (code, n) in &counters.drops {
            self.drop_offsets
                .insert(*code, *n as i64 - model.drops.get(code).copied().unwrap_or(0) as i64);
        }
        // Whether a frame that did not leave was dropped or trapped may have been open too.
        for &vif in &self.vifs {
            let offset = counters.vif(vif).drops.wrapping_sub(model.vif(vif).drops);
            self.vif_drop_offsets.insert(vif, offset);
        }
        self.full_before = counters.dropped(DropReason::TrapQueueFull);
        self.traps.clear();
        Ok(())
    }
}
