//! Which frame that left belongs to which frame that went in.
//!
//! Frames from one ingress to one egress keep their order; between ingresses there is none, and none between egresses. Where a frame
//! may become several things, or equal frames went in, which of them left is open until later ones have: so this is a search. A
//! frame that left is given to the first one still waiting that may have become it and keeps the order; where that leads to a dead
//! end, the choices that stand in its way are taken back, and no others (conflict-directed backjumping: Prosser 1993, Hybrid
//! Algorithms for the Constraint Satisfaction Problem, section 4).

use std::collections::{BTreeSet, HashMap};

use penstock_refmodel::{Egress, Ingress, Verdict};

use crate::dut::OutFrame;
use crate::script::hex;

/// A frame that went in, and all that it may have become.
#[derive(Clone, Debug)]
pub struct Expected {
    /// How it came.
    pub ingress: Ingress,
    /// Possible outcomes; one, unless tables were changing.
    pub verdicts: Vec<Verdict>,
}

fn leaves_as(verdict: &Verdict) -> Option<(u8, &[u8])> {
    match verdict {
        Verdict::Sent { egress: Egress::Fabric, frame } => Some((0, frame)),
        Verdict::Sent { egress: Egress::Host(vif), frame } => Some((*vif, frame)),
        _ => None,
    }
}

/// Choices in a search at most; no run has needed more than a few times its frames.
const CHOICES_MAX: usize = 20_000;

/// What is wrong, and the index of the frame that went in, as far as it is known.
type Wrong = (Option<usize>, String);

/// For each frame that went in, the verdicts that agree with what left. Never empty.
///
/// # Errors
/// What is wrong, and the index of the frame that went in, as far as it is known.
pub fn assign(expected: &[Expected], out: &[OutFrame]) -> Result<Vec<Vec<usize>>, Wrong> {
    let mut search = Search::new(expected, out);
    if search.from(0).is_err() {
        let (_, wrong) = search.deepest.unwrap_or((0, (None, "nothing fits".to_owned())));
        return Err(wrong);
    }
    let left = |i: usize| search.taken[i].map(|(_, o)| &out[o]);
    expected.iter().enumerate().map(|(i, e)| agreeing(i, e, left(i))).collect()
}

/// Steps of the search that stand in the way of another choice.
type Conflict = BTreeSet<usize>;

struct Search<'a> {
    expected: &'a [Expected],
    out: &'a [OutFrame],
    /// For each frame that left, those that may have become it.
    candidates: Vec<Vec<usize>>,
    /// What left by the fabric and by the others, in order, and how many of each have been given away.
    queues: [(Vec<usize>, usize); 2],
    /// For each frame that went in, the step at which it was taken, and what it became.
    taken: Vec<Option<(usize, usize)>>,
    /// In each stream, step and frame that went in, of all so far.
    streams: HashMap<(Ingress, bool), Vec<(usize, usize)>>,
    choices: usize,
    /// The dead end that came latest, as the one that tells most.
    deepest: Option<(usize, Wrong)>,
}

impl<'a> Search<'a> {
    fn new(expected: &'a [Expected], out: &'a [OutFrame]) -> Self {
        let mut by_frame: HashMap<(u8, &[u8]), Vec<usize>> = HashMap::new();
        for (i, e) in expected.iter().enumerate() {
            for key in e.verdicts.iter().filter_map(leaves_as) {
                let list = by_frame.entry(key).or_default();
                if list.last() != Some(&i) {
                    list.push(i);
                }
            }
        }
        let of = |o: &OutFrame| by_frame.get(&(o.vif, o.frame.as_slice())).cloned();
        let (fabric, others): (Vec<usize>, Vec<usize>) =
            (0..out.len()).partition(|&o| out[o].vif == 0);
        let mut candidates: Vec<Vec<usize>> =
            out.iter().map(|o| of(o).unwrap_or_default()).collect();
        for queue in [&fabric, &others] {
            for ingress in [Ingress::Fabric, Ingress::Host(0)] {
                let is_of = |i: &usize| stream(expected[*i].ingress, 0).0 == ingress;
                let alone = queue.iter().filter(|o| candidates[**o].iter().all(is_of));
                let alone: Vec<usize> = alone.copied().collect();
                keep_in_order(&mut candidates, &alone);
            }
        }
        Self {
            expected,
            out,
            candidates,
            queues: [(fabric, 0), (others, 0)],
            taken: vec![None; expected.len()],
            streams: HashMap::new(),
            choices: 0,
            deepest: None,
        }
    }

    /// The last of a stream, if it is behind this frame.
    fn in_front(&self, key: (Ingress, bool), i: usize) -> Option<usize> {
        let last = self.streams.get(&key).and_then(|s| s.last());
        last.filter(|(_, l)| *l > i).map(|(step, _)| *step)
    }

    /// The first frame that went in that a frame that left may be as things are.
    fn first(&self, o: usize) -> Option<usize> {
        let free = |i: &usize| {
            let key = stream(self.expected[*i].ingress, self.out[o].vif);
            self.taken[*i].is_none() && self.in_front(key, *i).is_none()
        };
        self.candidates[o].iter().copied().find(free)
    }

    /// Gives all frames that left to frames that went in, from this step on: next is the one of both ports that came first, so that what
    /// has to do with each other is chosen close together.
    fn from(&mut self, step: usize) -> Result<(), Conflict> {
        let next = |q: &usize| {
            let (queue, done) = &self.queues[*q];
            queue.get(*done).map(|&o| (self.first(o), *q, o))
        };
        let Some((_, q, o)) = [0, 1].iter().filter_map(next).min() else {
            return self.all_have_left(step);
        };
        let mut conflict = Conflict::new();
        let mut overtook = None;
        let mut tried = false;
        self.queues[q].1 += 1;
        for c in 0..self.candidates[o].len() {
            let i = self.candidates[o][c];
            let key = stream(self.expected[i].ingress, self.out[o].vif);
            if let Some((by, _)) = self.taken[i] {
                conflict.insert(by);
                continue;
            }
            if let Some(by) = self.in_front(key, i) {
                conflict.insert(by);
                overtook = overtook.or(Some(i));
                continue;
            }
            self.choices += 1;
            if self.choices > CHOICES_MAX {
                self.dead_end(step, |_| (None, format!("undecided after {CHOICES_MAX} choices")));
                return Err(Conflict::new());
            }
            tried = true;
            self.taken[i] = Some((step, o));
            self.streams.entry(key).or_default().push((step, i));
            let Err(mut further) = self.from(step + 1) else { return Ok(()) };
            self.taken[i] = None;
            self.streams.entry(key).or_default().pop();
            if !further.remove(&step) {
                self.queues[q].1 -= 1;
                return Err(further);
            }
            conflict.extend(further);
        }
        self.queues[q].1 -= 1;
        if !tried {
            self.dead_end(step, |s| {
                let left = &s.out[o];
                match overtook {
                    Some(_) => {
                        let frame = hex(&left.frame);
                        (overtook, format!("a frame overtook another of its ingress: {frame}"))
                    }
                    None => (s.nearest(left), s.unexpected(left)),
                }
            });
        }
        Err(conflict)
    }

    /// No frame that had to leave is left.
    fn all_have_left(&mut self, step: usize) -> Result<(), Conflict> {
        for (i, e) in self.expected.iter().enumerate() {
            let left = self.taken[i].map(|(_, o)| &self.out[o]);
            if let Err(wrong) = agreeing(i, e, left) {
                self.dead_end(step, |_| wrong);
                let could =
                    |(step, o): &(usize, usize)| self.candidates[*o].contains(&i).then_some(*step);
                return Err(self.taken.iter().flatten().filter_map(could).collect());
            }
        }
        Ok(())
    }

    fn dead_end(&mut self, step: usize, wrong: impl FnOnce(&Self) -> Wrong) {
        if self.deepest.as_ref().is_none_or(|(deepest, _)| *deepest < step) {
            self.deepest = Some((step, wrong(self)));
        }
    }

    /// The waiting frame that was expected to become the most similar one.
    fn nearest(&self, o: &OutFrame) -> Option<usize> {
        let score = |v: &Verdict| {
            let (vif, frame) = leaves_as(v)?;
            let same = frame.iter().zip(&o.frame).filter(|(a, b)| a == b).count();
            Some(
                same * 2
                    + usize::from(vif == o.vif) * 8
                    + usize::from(frame.len() == o.frame.len()) * 20,
            )
        };
        let best = |e: &Expected| e.verdicts.iter().filter_map(score).max();
        (0..self.expected.len())
            .filter(|&i| self.taken[i].is_none())
            .filter_map(|i| Some((best(&self.expected[i])?, i)))
            .max()
            .map(|(_, i)| i)
    }

    fn unexpected(&self, o: &OutFrame) -> String {
        let mut text =
            format!("a frame left that was not expected\n  got vif {} {}", o.vif, hex(&o.frame));
        if let Some(v) = self
            .nearest(o)
            .and_then(|i| self.expected[i].verdicts.iter().find(|v| leaves_as(v).is_some()))
        {
            text += &format!("\n  nearest expected {}", show(v));
            if let Some((_, want)) = leaves_as(v) {
                let at: Vec<usize> = (0..want.len().max(o.frame.len()))
                    .filter(|&i| want.get(i) != o.frame.get(i))
                    .collect();
                let some = &at[..at.len().min(24)];
                text += &format!("\n  differ in {} bytes, at {some:?}", at.len());
            }
        }
        text
    }
}

/// Of frames that left in one stream, strikes out what they cannot have been, as those before and behind them have been something
/// too. Where nothing would be left of one, the search is to say why.
fn keep_in_order(candidates: &mut [Vec<usize>], stream: &[usize]) {
    let mut behind = None;
    for &o in stream {
        let Some(&first) = candidates[o].iter().find(|i| behind.is_none_or(|b| **i > b)) else {
            return;
        };
        candidates[o].retain(|i| *i >= first);
        behind = Some(first);
    }
    let mut before = usize::MAX;
    for &o in stream.iter().rev() {
        let Some(&last) = candidates[o].iter().rfind(|i| **i < before) else { return };
        candidates[o].retain(|i| *i <= last);
        before = last;
    }
}

/// Ingress and egress stream; order is kept within it. Ingress vifs share the host stream.
fn stream(ingress: Ingress, out_vif: u8) -> (Ingress, bool) {
    let ingress = if ingress == Ingress::Fabric { ingress } else { Ingress::Host(0) };
    (ingress, out_vif == 0)
}

fn agreeing(i: usize, e: &Expected, taken: Option<&OutFrame>) -> Result<Vec<usize>, Wrong> {
    let wanted = taken.map(|o| (o.vif, o.frame.as_slice()));
    let agree: Vec<usize> =
        (0..e.verdicts.len()).filter(|&v| leaves_as(&e.verdicts[v]) == wanted).collect();
    if agree.is_empty() {
        let text = e.verdicts.iter().map(show).collect::<Vec<_>>().join("\n  or ");
        return Err((Some(i), format!("a frame did not leave\n  expected {text}")));
    }
    Ok(agree)
}

/// A verdict as text.
#[must_use]
pub fn show(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Dropped(reason) => format!("drop {reason:?}"),
        Verdict::Sent { egress, frame } => format!("{egress:?} {}", hex(frame)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(vif: u8, byte: u8) -> Verdict {
        let egress = if vif == 0 { Egress::Fabric } else { Egress::Host(vif) };
        Verdict::Sent { egress, frame: vec![byte; 20] }
    }

    fn out(vif: u8, byte: u8) -> OutFrame {
        OutFrame { vif, frame: vec![byte; 20] }
    }

    fn exp(ingress: Ingress, verdicts: &[Verdict]) -> Expected {
        Expected { ingress, verdicts: verdicts.to_vec() }
    }

    #[test]
    fn ingresses_interleave_freely_but_keep_their_order() {
        let e = [
            exp(Ingress::Fabric, &[sent(3, 1)]),
            exp(Ingress::Fabric, &[sent(3, 2)]),
            exp(Ingress::Host(4), &[sent(3, 9)]),
        ];
        assert!(assign(&e, &[out(3, 9), out(3, 1), out(3, 2)]).is_ok());
        let error = assign(&e, &[out(3, 2), out(3, 1), out(3, 9)]).unwrap_err();
        assert!(error.1.contains("overtook"), "{error:?}");
    }

    #[test]
    fn missing_altered_and_doubled_frames_are_noticed() {
        let e = [exp(Ingress::Fabric, &[sent(0, 1)]), exp(Ingress::Host(3), &[sent(0, 2)])];
        assert_eq!(assign(&e, &[out(0, 2)]).unwrap_err().0, Some(0));
        assert!(assign(&e, &[out(0, 1), out(0, 3)]).unwrap_err().1.contains("not expected"));
        assert!(assign(&e, &[out(0, 1), out(0, 1), out(0, 2)]).is_err());
        assert!(assign(&e, &[out(1, 1), out(0, 2)]).is_err(), "wrong port");
    }

    #[test]
    fn of_several_outcomes_the_seen_one_is_told() {
        let drop = Verdict::Dropped(penstock_abi::reason::DropReason::Discard);
        let e = [
            exp(Ingress::Fabric, &[sent(3, 1), drop.clone(), sent(3, 2)]),
            exp(Ingress::Fabric, &[drop, sent(4, 1)]),
        ];
        assert_eq!(assign(&e, &[out(3, 2)]), Ok(vec![vec![2], vec![0]]));
        assert_eq!(assign(&e, &[out(4, 1)]), Ok(vec![vec![1], vec![1]]));
    }

    /// The fabric's port is behind the hosts': of two equal frames the second one left first, by another way.
    #[test]
    fn equal_frames_that_leave_by_two_ways_do_not_overtake() {
        let either = [sent(0, 1), sent(3, 2)];
        let e = [
            exp(Ingress::Host(4), &either),
            exp(Ingress::Host(4), &[sent(0, 9)]),
            exp(Ingress::Host(4), &either),
        ];
        let out = [out(3, 2), out(0, 1), out(0, 9)];
        assert_eq!(assign(&e, &out), Ok(vec![vec![0], vec![0], vec![1]]));
    }

    #[test]
    fn what_may_be_dropped_leaves_its_place_to_what_may_not() {
        let drop = Verdict::Dropped(penstock_abi::reason::DropReason::Discard);
        let e = [
            exp(Ingress::Fabric, &[drop, sent(3, 1)]),
            exp(Ingress::Host(4), &[sent(3, 1)]),
            exp(Ingress::Fabric, &[sent(3, 1)]),
        ];
        assert_eq!(assign(&e, &[out(3, 1), out(3, 1)]), Ok(vec![vec![0], vec![0], vec![0]]));
        assert!(assign(&e, &[out(3, 1)]).unwrap_err().1.contains("did not leave"));
    }

    /// Many equal frames of which one more left than may have: told without trying all orders of them.
    #[test]
    fn a_search_among_many_equal_frames_ends() {
        let drop = Verdict::Dropped(penstock_abi::reason::DropReason::Discard);
        let e = vec![exp(Ingress::Fabric, &[sent(3, 1), sent(0, 2), drop]); 100];
        let mut o: Vec<OutFrame> =
            (0..100).map(|n| if n % 2 == 0 { out(3, 1) } else { out(0, 2) }).collect();
        assert!(assign(&e, &o).is_ok());
        o.push(out(3, 1));
        assert!(assign(&e, &o).unwrap_err().1.contains("not expected"));
    }

    /// One frame between many equal ones says how many of them left before it: else all ways to share them out would be tried.
    #[test]
    fn a_frame_between_equal_ones_bounds_the_search() {
        let either = || exp(Ingress::Host(4), &[sent(3, 1), sent(0, 2)]);
        let mut e: Vec<Expected> = (0..32).map(|_| either()).collect();
        e.push(exp(Ingress::Host(4), &[sent(3, 5)]));
        e.extend([either(), either()]);
        e.push(exp(Ingress::Host(4), &[sent(0, 9)]));
        e.extend((0..24).map(|_| either()));
        let mut o = vec![out(3, 1); 32];
        o.extend([out(3, 5), out(3, 1), out(0, 2), out(0, 9)]);
        o.extend(vec![out(0, 2); 24]);
        assert!(assign(&e, &o).is_ok());
    }
}
