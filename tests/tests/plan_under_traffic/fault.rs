//! Plans that are spoiled on purpose.

use penstock_abi::table::EcmpSlot;
use penstock_plan::Plan;
use penstock_tables::{Entry, Op};

/// A way to spoil a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// What is to be pointed to is written after the words that point.
    PointFirst,
    /// Objects are removed before the pointers.
    UnmakeFirst,
    /// A ring word is not written.
    ForgottenWord,
    /// Members change places.
    SlotsSwapped,
    /// Mappings' keys are removed last, not first.
    KeysLast,
}

pub(crate) fn spoil(plan: &Plan, fault: Option<Fault>) -> Vec<Op> {
    let mut phases: Vec<Vec<Op>> = plan.phases.iter().map(|phase| phase.ops.clone()).collect();
    let is_ring = |op: &Op| matches!(op, Op::Write { entry: Entry::Ecmp(word), .. } if word.valid);
    match fault {
        Some(Fault::PointFirst) if phases.len() > 1 => phases.swap(0, 1),
        Some(Fault::UnmakeFirst) => phases.reverse(),
        Some(Fault::ForgottenWord) => {
            if let Some(first) = phases.first_mut()
                && let Some(at) = first.iter().position(is_ring)
            {
                first.remove(at);
            }
        }
        Some(Fault::SlotsSwapped) => {
            let members: Vec<(usize, EcmpSlot)> = phases
                .first()
                .into_iter()
                .flatten()
                .enumerate()
                .filter_map(|(at, op)| match op {
                    Op::Write { entry: Entry::Ecmp(word), .. } if word.valid => Some((at, *word)),
                    _ => None,
                })
                .collect();
            if let [(first, a), (second, b), ..] = members[..] {
                let exchange = |op: &mut Op, from: EcmpSlot| {
                    if let Op::Write { entry: Entry::Ecmp(word), .. } = op {
                        (word.nh, word.label) = (from.nh, from.label);
                    }
                };
                exchange(&mut phases[0][first], b);
                exchange(&mut phases[0][second], a);
            }
        }
        Some(Fault::KeysLast) => {
            let is_key =
                |op: &Op| matches!(op, Op::Write { entry: Entry::FipKey(key), .. } if key.valid);
            let keys: Vec<Op> = phases.iter().flatten().filter(|op| is_key(op)).copied().collect();
            phases.iter_mut().for_each(|phase| phase.retain(|op| !is_key(op)));
            phases.push(keys);
        }
        Some(Fault::PointFirst) | None => {}
    }
    phases.concat()
}
