//! Which frame that left belongs to which frame that went in.
//!
//! Frames from one ingress to one egress keep their order; between ingresses there is none. Random frames are nearly
//! always distinct, so each frame that left is given to the first frame still waiting that may have become it, one whose place
//! keeps the order if there is such a one.

use std::collections::HashMap;

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

/// For each frame that went in, the verdicts that agree with what left. Never empty.
///
/// # Errors
/// What is wrong, and the index of the frame that went in, as far as it is known.
pub fn assign(
    expected: &[Expected],
    out: &[OutFrame],
) -> Result<Vec<Vec<usize>>, (Option<usize>, String)> {
    let mut candidates: HashMap<(u8, &[u8]), Vec<usize>> = HashMap::new();
    for (i, e) in expected.iter().enumerate() {
        for key in e.verdicts.iter().filter_map(leaves_as) {
            let list = candidates.entry(key).or_default();
            if list.last() != Some(&i) {
                list.push(i);
            }
        }
    }
    let mut taken: Vec<Option<&OutFrame>> = vec![None; expected.len()];
    let mut last: HashMap<(Ingress, bool), usize> = HashMap::new();
    for o in out {
        let free: Vec<usize> = candidates
            .get(&(o.vif, o.frame.as_slice()))
            .map(|list| list.iter().copied().filter(|&i| taken[i].is_none()).collect())
            .unwrap_or_default();
        let in_order =
            |i: &usize| last.get(&stream(expected[*i].ingress, o.vif)).is_none_or(|l| l < i);
        let Some(i) = free.iter().copied().find(in_order) else {
            return Err(match free.first() {
                Some(&i) => {
                    (Some(i), format!("a frame overtook another of its ingress: {}", hex(&o.frame)))
                }
                None => (nearest(expected, &taken, o), unexpected(expected, &taken, o)),
            });
        };
        taken[i] = Some(o);
        last.insert(stream(expected[i].ingress, o.vif), i);
    }
    expected.iter().zip(&taken).enumerate().map(|(i, (e, t))| agreeing(i, e, *t)).collect()
}

/// Ingress and egress stream; order is kept within it. Ingress vifs share the host stream.
fn stream(ingress: Ingress, out_vif: u8) -> (Ingress, bool) {
    let ingress = if ingress == Ingress::Fabric { ingress } else { Ingress::Host(0) };
    (ingress, out_vif == 0)
}

fn agreeing(
    i: usize,
    e: &Expected,
    taken: Option<&OutFrame>,
) -> Result<Vec<usize>, (Option<usize>, String)> {
    let wanted = taken.map(|o| (o.vif, o.frame.as_slice()));
    let agree: Vec<usize> =
        (0..e.verdicts.len()).filter(|&v| leaves_as(&e.verdicts[v]) == wanted).collect();
    if agree.is_empty() {
        let text = e.verdicts.iter().map(show).collect::<Vec<_>>().join("\n  or ");
        return Err((Some(i), format!("a frame did not leave\n  expected {text}")));
    }
    Ok(agree)
}

/// The waiting frame that was expected to become the most similar one.
fn nearest(expected: &[Expected], taken: &[Option<&OutFrame>], o: &OutFrame) -> Option<usize> {
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
    (0..expected.len())
        .filter(|&i| taken[i].is_none())
        .filter_map(|i| Some((best(&expected[i])?, i)))
        .max()
        .map(|(_, i)| i)
}

fn unexpected(expected: &[Expected], taken: &[Option<&OutFrame>], o: &OutFrame) -> String {
    let mut text =
        format!("a frame left that was not expected\n  got vif {} {}", o.vif, hex(&o.frame));
    if let Some(v) = nearest(expected, taken, o)
        .and_then(|i| expected[i].verdicts.iter().find(|v| leaves_as(v).is_some()))
    {
        text += &format!("\n  nearest expected {}", show(v));
        if let Some((_, want)) = leaves_as(v) {
            let at: Vec<usize> = (0..want.len().max(o.frame.len()))
                .filter(|&i| want.get(i) != o.frame.get(i))
                .collect();
            text += &format!("\n  differ in {} bytes, at {:?}", at.len(), &at[..at.len().min(24)]);
        }
    }
    text
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
}
