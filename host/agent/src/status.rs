//! What an agent says of itself.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use penstock_compile::Compiled;
use penstock_model::{Effect, Findings};
use serde::{Deserialize, Serialize};

use crate::audit::Audit;

/// Where an agent stands with its card.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// There is no card, or what it holds is not known yet.
    #[default]
    #[serde(rename = "waiting for the device")]
    WaitingForDevice,
    /// The card is there, what it is to be is not known yet.
    #[serde(rename = "waiting for sources")]
    WaitingForSources,
    /// The card is as the intent wants it, but for what is refused ([`Status::refused`]).
    #[serde(rename = "in sync")]
    InSync,
    /// The last attempt failed.
    #[serde(rename = "failing")]
    Failing,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::WaitingForDevice => "waiting for the device",
            Self::WaitingForSources => "waiting for sources",
            Self::InSync => "in sync",
            Self::Failing => "failing",
        })
    }
}

/// The last plan that was not empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LastChange {
    /// Operations.
    pub operations: usize,
    /// Phases, each of which the card confirmed before the next was begun.
    pub phases: usize,
    /// From the moment at which the inputs were taken until the card had confirmed all, compile and plan included.
    pub took: Duration,
}

/// What an agent says of itself. A clone costs next to nothing.
#[derive(Clone, Debug, Default)]
pub struct Status {
    /// Where it stands.
    pub state: State,
    /// Reconciles that reached the card whole, since the agent started.
    pub completed: u64,
    /// Those among them that had nothing to write.
    pub empty: u64,
    /// The last one that had.
    pub last: LastChange,
    /// When the agent last changed anything on the card.
    pub changed: Option<Instant>,
    /// Why the last attempt failed; none if it succeeded.
    pub last_error: Option<String>,
    /// What is not as its object asks, by object: found by the sources, the compiler, and the planner.
    pub findings: Findings,
    /// How many objects are not served at all.
    pub refused: usize,
    /// What the intent was compiled to last.
    pub compiled: Arc<Compiled>,
    /// The last audit, if there was one.
    pub audit: Option<Arc<Audit>>,
}

/// How many objects are refused.
pub(crate) fn refused(findings: &Findings) -> usize {
    let is_refused = |effects: &[penstock_model::Finding]| {
        effects.iter().any(|finding| finding.effect == Effect::Refused)
    };
    findings.values().filter(|list| is_refused(list)).count()
}
