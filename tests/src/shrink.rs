//! The smallest part of a failing script that still fails.
//!
//! First everything after the failure goes, then ever smaller groups of steps, then table entries that do not matter.
//! Every attempt is a run on a card after power-on, so the number of attempts is limited.

use crate::board::Failure;
use crate::script::{Script, Step};

/// A script that fails, and how.
#[derive(Clone, Debug)]
pub struct Shrunk {
    /// What is left.
    pub script: Script,
    /// How it fails.
    pub failure: Failure,
    /// Runs that it took.
    pub runs: usize,
}

/// Cuts `script`, which fails with `failure`, down in at most `budget` runs of `fails`.
pub fn shrink(
    script: &Script,
    failure: Failure,
    budget: usize,
    mut fails: impl FnMut(&Script) -> Option<Failure>,
) -> Shrunk {
    let mut best = Shrunk { script: script.clone(), failure, runs: 0 };
    let mut attempt = |best: &mut Shrunk, candidate: Script| -> bool {
        best.runs += 1;
        match fails(&candidate) {
            Some(failure) => {
                best.script = candidate;
                best.failure = failure;
                true
            }
            None => false,
        }
    };
    let end = (best.failure.step + 1).min(best.script.steps.len());
    let mut cut = best.script.clone();
    cut.steps.truncate(end);
    cut.steps.push(Step::Check);
    if budget > 0 {
        attempt(&mut best, cut);
    }
    let steps = |s: &Script, keep: &dyn Fn(usize) -> bool| {
        let kept = s.steps.iter().enumerate().filter(|(i, _)| keep(*i)).map(|(_, s)| s.clone());
        Script { steps: kept.collect(), ..s.clone() }
    };
    let tables = |s: &Script, keep: &dyn Fn(usize) -> bool| {
        let kept = s.tables.iter().enumerate().filter(|(i, _)| keep(*i)).map(|(_, w)| *w);
        Script { tables: kept.collect(), ..s.clone() }
    };
    remove_groups(&mut best, budget / 2, |s| s.steps.len(), steps, &mut attempt);
    remove_groups(&mut best, budget * 3 / 4, window_frames, without_window_frames, &mut attempt);
    remove_groups(&mut best, budget, |s| s.tables.len(), tables, &mut attempt);
    best
}

/// Frames in windows, of all steps.
fn window_frames(script: &Script) -> usize {
    let count = |s: &Step| if let Step::Window { frames, .. } = s { frames.len() } else { 0 };
    script.steps.iter().map(count).sum()
}

/// Keeps those frames in windows whose number, counted through all steps, passes.
fn without_window_frames(script: &Script, keep: &dyn Fn(usize) -> bool) -> Script {
    let mut out = script.clone();
    let mut number = 0;
    for step in &mut out.steps {
        if let Step::Window { frames, .. } = step {
            frames.retain(|_| {
                number += 1;
                keep(number - 1)
            });
        }
    }
    out
}

/// Removes groups of halving size as long as the script fails without them.
fn remove_groups(
    best: &mut Shrunk,
    budget: usize,
    len: impl Fn(&Script) -> usize,
    filtered: impl Fn(&Script, &dyn Fn(usize) -> bool) -> Script,
    attempt: &mut impl FnMut(&mut Shrunk, Script) -> bool,
) {
    let mut group = len(&best.script).div_ceil(2).max(1);
    loop {
        let mut at = 0;
        while at < len(&best.script) && best.runs < budget {
            let range = at..at + group;
            let candidate = filtered(&best.script, &|i| !range.contains(&i));
            if !attempt(best, candidate) {
                at += group;
            }
        }
        if group == 1 || best.runs >= budget {
            return;
        }
        group = group.div_ceil(2);
    }
}
