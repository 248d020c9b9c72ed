//! Tables that change under traffic: a packet in flight may see any state between the old tables and the new.
//!
//! Each table word is written in one cycle and a packet reads each table once, so what a packet sees is, for each table that
//! changes, some prefix of the writes to it. Every combination of prefixes gives one allowed outcome; so does every flow entry that
//! an earlier packet of the same flow may have left behind. What the card did is then taken over: the flow entries it has, each of
//! which must be one that some allowed outcome makes, and the reasons of drops, each within bounds.

use std::collections::{BTreeMap, HashMap};

use penstock_abi::reason::DropReason;
use penstock_abi::table::{FlowKey, TableId};
use penstock_refmodel::decide::decide;
use penstock_refmodel::flows::{FlowTable, Pair, attributes, key_of};
use penstock_refmodel::r#gen::Write;
use penstock_refmodel::insert::Arrived;
use penstock_refmodel::{Card, Counters, Decision, Ingress, Learn, RefModel, Tables, Verdict};

use crate::board::{Board, Failure, PENDING_CYCLES};
use crate::clients::Made;
use crate::digests::tables_of;
use crate::hazards::{Access, Hazards};
use crate::matching::{Expected, assign};

/// Versions of the tables at most; beyond that only the first and the last state of each table count.
const VERSIONS_MAX: usize = 200;
/// Flow entries that the packets of one flow may have left.
const VARIANTS_MAX: usize = 12;

/// Every state of the tables that a packet in flight may see.
#[must_use]
pub fn versions(tables: &Tables, writes: &[Write]) -> Vec<Tables> {
    let mut by_table: BTreeMap<u8, Vec<Write>> = BTreeMap::new();
    for w in writes {
        by_table.entry(w.0 as u8).or_default().push(*w);
    }
    let all: usize = by_table.values().map(|w| w.len() + 1).product();
    let mut out = vec![tables.clone()];
    for (id, writes) in by_table {
        // Ring words are written where nothing points to yet: only before and after matter.
        let coarse = id == TableId::Ecmp as u8 || all > VERSIONS_MAX;
        let mut next = Vec::new();
        for base in &out {
            let mut t = base.clone();
            next.push(t.clone());
            for (i, (table, index, words)) in writes.iter().enumerate() {
                t.write(*table, *index, words);
                if !coarse || i + 1 == writes.len() {
                    next.push(t.clone());
                }
            }
        }
        out = next;
    }
    out.dedup();
    out
}

struct Candidate {
    ingress: Ingress,
    frame: Vec<u8>,
    decisions: Vec<Decision>,
}

/// Everything that each frame may become, and which frames may be in flight together.
fn candidates(
    model: &RefModel,
    versions: &[Tables],
    frames: &[(Ingress, Vec<u8>)],
) -> (Vec<Candidate>, Allowed) {
    let mut hazards = Hazards::default();
    let mut allowed = Allowed::default();
    let mut out = Vec::new();
    // Frames from the fabric keep their order, so what is remembered of them is exact.
    let mut fragments = model.card().fragments.clone();
    for (ingress, frame) in frames {
        let before = model.decide(*ingress, frame);
        let states =
            before.lookup.and_then(|k| allowed.states.get(&k)).cloned().unwrap_or_default();
        let mut decisions: Vec<Decision> = Vec::new();
        for flows in std::iter::once(model.flows()).chain(&states) {
            for tables in versions {
                let card = Card { tables, flows, fragments: &fragments, ..model.card() };
                let d = decide(&card, *ingress, frame);
                if !decisions.contains(&d) {
                    decisions.push(d);
                }
            }
        }
        // The look-up key depends on the vif, which may be what changes: such frames stay out, as do those that disturb others.
        let one_key = decisions.iter().all(|d| d.lookup.is_none() || d.lookup == before.lookup);
        let access = Access::of_any(model, versions, *ingress, frame, &decisions);
        let disturbs =
            |a: &Access| !one_key || a.exclusive || hazards.conflicts_in_window(model, a);
        if access.as_ref().is_some_and(disturbs) {
            continue;
        }
        let Some(first_fragment) = decisions.first().map(|d| d.first_fragment) else { continue };
        if decisions.iter().any(|d| d.first_fragment != first_fragment) {
            continue;
        }
        if let Some(id) = first_fragment {
            fragments.remember(id);
        }
        if let Some(a) = &access {
            overtaken(&allowed, &mut decisions);
            hazards.note(a);
            allowed.add(model, &states, &decisions, &a.touches);
            allowed.clients.add(&decisions);
        }
        out.push(Candidate { ingress: *ingress, frame: frame.clone(), decisions });
    }
    (out, allowed)
}

/// Packets of one flow that ask for pairs whose replies differ: while the first pair waits, the second packet may find that it clashes.
fn overtaken(allowed: &Allowed, decisions: &mut Vec<Decision>) {
    let waits = decisions.iter().filter_map(|d| d.learn.pair()).any(|p| {
        let earlier = allowed.asked.get(&key_of(&p.forward)).into_iter().flatten();
        earlier
            .filter(|e| key_of(&e.reverse) != key_of(&p.reverse))
            .any(|e| e.forward.map_valid || p.forward.map_valid)
    });
    let clash = Verdict::Dropped(DropReason::FlowClash);
    if waits && decisions.iter().all(|d| d.verdict != clash) {
        let refused = Decision {
            verdict: clash,
            counts_on_flow: false,
            translated: false,
            learn: Learn::No,
            ..decisions[0].clone()
        };
        decisions.push(refused);
    }
}

/// Flow tables that packets of one key may have left, apart from all other flows.
#[derive(Default)]
struct Allowed {
    states: HashMap<FlowKey, Vec<FlowTable>>,
    /// Pairs that packets of one key may have asked for.
    asked: HashMap<FlowKey, Vec<Pair>>,
    touched: HashMap<FlowKey, FlowKey>,
    clients: Made,
}

impl Allowed {
    fn add(
        &mut self,
        model: &RefModel,
        states: &[FlowTable],
        decisions: &[Decision],
        keys: &[FlowKey],
    ) {
        let Some(key) = decisions.iter().find_map(|d| d.lookup) else { return };
        for k in keys {
            self.touched.insert(*k, key);
        }
        self.asked.entry(key).or_default().extend(decisions.iter().filter_map(|d| d.learn.pair()));
        let mut list = states.to_vec();
        for base in std::iter::once(model.flows()).chain(states) {
            for d in decisions {
                // Its connection counts as opening (section 6) from when its statistics have begun, a little after the entry is there.
                let begun = Arrived { tcp_flags: d.tcp_flags, ..Arrived::default() };
                for arrived in [Arrived::default(), begun] {
                    let mut flows = base.clone();
                    // In step with the tables as they were: a request that reads them stays out of windows.
                    if flows.execute(model.tables(), &d.learn, arrived).is_none() {
                        continue;
                    }
                    let same = |s: &FlowTable| {
                        s.attributes() == flows.attributes()
                            && opening(s, &key) == opening(&flows, &key)
                    };
                    if list.len() < VARIANTS_MAX && !list.iter().any(same) {
                        list.push(flows);
                    }
                }
            }
        }
        self.states.insert(key, list);
    }
}

/// Whether the connection of the entry with this key is opening.
fn opening(flows: &FlowTable, key: &FlowKey) -> bool {
    flows.get(key).is_some_and(|f| flows.is_opening(f))
}

impl Board<'_> {
    /// Frames enter, tables change, more frames may still be entering; then everything is compared.
    pub(crate) fn window(
        &mut self,
        writes: &[Write],
        frames: &[(Ingress, Vec<u8>)],
    ) -> Result<(), Failure> {
        self.flush()?;
        let versions = versions(self.model.tables(), writes);
        let (candidates, allowed) = candidates(&self.model, &versions, frames);
        let before = self.read_counters()?;
        for c in &candidates {
            self.dut.inject(c.ingress, &c.frame);
        }
        self.dut.wait((frames.len() as u32 * 7) % 60);
        let written = self.dut.write(writes);
        self.device("writing tables under traffic", written)?;
        let said = self.digests(tables_of(writes))?;
        let drained = self.dut.drain();
        let out = self.dut.take_frames();
        self.summary.batches += 1;
        self.summary.windows += 1;
        self.summary.frames_out += out.len() as u64;
        let expected: Vec<Expected> = candidates
            .iter()
            .map(|c| Expected {
                ingress: c.ingress,
                verdicts: c.decisions.iter().map(|d| d.verdict.clone()).collect(),
            })
            .collect();
        let chosen = match assign(&expected, &out) {
            Ok(chosen) => chosen,
            Err((which, what)) => {
                let frame = which.map(|i| {
                    format!("\n  frame {i}: {}", crate::script::hex(&candidates[i].frame))
                });
                return self.fail(format!("under traffic: {what}{}", frame.unwrap_or_default()));
            }
        };
        self.device("draining", drained)?;
        self.dut.wait(PENDING_CYCLES);
        self.summary.windows_split += u64::from(self.split(&versions, &candidates, &chosen));
        for (table, index, words) in writes {
            self.model.write(*table, *index, words);
        }
        self.check_digests(&said)?;
        let old = self.model.flows().attributes();
        let mut bounds: BTreeMap<u8, (u64, u64)> = BTreeMap::new();
        for (c, agree) in candidates.iter().zip(&chosen) {
            drop_bounds(&mut bounds, agree.iter().map(|&v| &c.decisions[v].verdict));
            let verdict = c.decisions[agree[0]].verdict.clone();
            self.count(c.ingress, &verdict);
            let only_counted = Decision {
                counts_on_flow: false,
                learn: Learn::No,
                ..c.decisions[agree[0]].clone()
            };
            let only_counted = Decision { verdict, ..only_counted };
            self.model.commit(c.ingress, c.frame.len(), only_counted);
        }
        let after = self.read_counters()?;
        for (code, (low, high)) in bounds {
            let reason = DropReason::ALL[usize::from(code)].0;
            let n = after.dropped(reason) - before.dropped(reason);
            if reason != DropReason::TrapQueueFull && !(low..=high).contains(&n) {
                return self.fail(format!(
                    "under traffic: {n} drops for {reason:?}, expected {low} to {high}"
                ));
            }
        }
        let total = |c: &Counters| {
            (c.vifs.values().map(|v| v.drops).sum::<u64>(), c.drops.values().sum::<u64>())
        };
        let ((vifs_before, drops_before), (vifs_after, drops_after)) =
            (total(&before), total(&after));
        if vifs_after - vifs_before != drops_after - drops_before {
            return self
                .fail("under traffic: drops by vif and by reason do not add up to the same");
        }
        self.hear(false)?;
        self.adopt_allowed(&old, &allowed)
    }

    /// Some frame met the old tables, another the new, and each would have become something else under the other.
    fn split(&self, versions: &[Tables], candidates: &[Candidate], chosen: &[Vec<usize>]) -> bool {
        let (Some(old), Some(new)) = (versions.first(), versions.last()) else { return false };
        let mut met = [false; 2];
        for (c, agree) in candidates.iter().zip(chosen) {
            let under = |t: &Tables| {
                decide(&Card { tables: t, ..self.model.card() }, c.ingress, &c.frame).verdict
            };
            let (was, is) = (under(old), under(new));
            let agrees = |v: &Verdict| agree.iter().any(|&i| c.decisions[i].verdict == *v);
            met[0] |= was != is && agrees(&was) && !agrees(&is);
            met[1] |= was != is && agrees(&is) && !agrees(&was);
        }
        met == [true; 2]
    }

    /// Takes over the card's flow table if every entry is one that was there or that some outcome allows.
    fn adopt_allowed(
        &mut self,
        old: &HashMap<FlowKey, penstock_refmodel::FlowAttributes>,
        allowed: &Allowed,
    ) -> Result<(), Failure> {
        let flows = self.dut.flows();
        let flows = self.device("reading flows", flows)?;
        let card = attributes(flows.iter().map(|(i, f, _)| (*i, *f)));
        let keys: std::collections::HashSet<FlowKey> =
            card.keys().chain(old.keys()).chain(allowed.touched.keys()).copied().collect();
        for key in keys {
            let (now, then) = (card.get(&key), old.get(&key));
            let made = allowed.touched.get(&key).and_then(|owner| allowed.states.get(owner));
            let as_made = || made.into_iter().flatten().any(|s| s.attributes().get(&key) == now);
            if now != then && !as_made() {
                return self.fail(format!(
                    "under traffic: a flow that no outcome makes\n  card {now:?}\n  was  {then:?}"
                ));
            }
        }
        self.adopt_made_clients(&allowed.clients)?;
        self.adopt(flows)
    }
}

fn drop_bounds<'v>(
    bounds: &mut BTreeMap<u8, (u64, u64)>,
    verdicts: impl Iterator<Item = &'v Verdict>,
) {
    let reasons: Vec<Option<DropReason>> = verdicts
        .map(|v| match v {
            Verdict::Dropped(reason) => Some(*reason),
            Verdict::Sent { .. } => None,
        })
        .collect();
    for (reason, ..) in DropReason::ALL {
        let with = reasons.iter().filter(|r| **r == Some(*reason)).count();
        let b = bounds.entry(*reason as u8).or_default();
        b.0 += u64::from(with == reasons.len());
        b.1 += u64::from(with > 0);
    }
}
