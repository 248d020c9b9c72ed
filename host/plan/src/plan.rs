//! What a plan is: steps, in phases.

use penstock_tables::Op;

use crate::Refusal;

/// What brings a card to a desired state, and what of that state has no room on it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Planned {
    /// The steps.
    pub plan: Plan,
    /// All that is not served as desired, in order of what it is. It is tried again by every later plan.
    pub refused: Vec<Refusal>,
}

/// Steps in phases. Empty when nothing has to change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The phases, in order; none is empty.
    pub phases: Vec<Phase>,
}

/// Steps of one kind. A step is executed only if all those before it were, in this phase and in earlier ones, so that nothing is
/// pointed to that the card did not take, and nothing is cleared that it still points to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Phase {
    /// The steps; their order matters.
    pub ops: Vec<Op>,
}

impl Plan {
    /// All steps in order.
    pub fn ops(&self) -> impl Iterator<Item = &Op> {
        self.phases.iter().flat_map(|phase| &phase.ops)
    }

    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.phases.is_empty()
    }

    /// Number of table writes.
    #[must_use]
    pub fn writes(&self) -> usize {
        self.ops().filter(|op| matches!(op, Op::Write { .. })).count()
    }
}
