//! What makes steps of an intent: compiler and planner, as the agent uses them.

mod card;

use std::sync::Arc;

use penstock_compile::Compiled;
use penstock_model::{Findings, Intent, Neighbours};
use penstock_tables::{Op, Tables};

pub use card::CardEngine;

/// What tables are made of, whole.
#[derive(Clone, Debug)]
pub struct Inputs {
    /// The intent; it is complete and has a node.
    pub intent: Arc<Intent>,
    /// MAC addresses of other nodes.
    pub neighbours: Neighbours,
}

/// How much is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// What changed since the last pass; after an adoption, everything.
    Changed,
    /// Everything.
    Everything,
}

/// What is to be done.
#[derive(Clone, Debug, Default)]
pub struct Pass {
    /// Steps. The card must have confirmed a phase before the next is begun.
    pub phases: Vec<Vec<Op>>,
    /// What the intent means.
    pub compiled: Arc<Compiled>,
    /// What is not as its object asks, by object.
    pub findings: Findings,
}

/// Makes steps of an intent. It assumes that the steps it gives are done; if they are not, it is given what the card holds anew.
pub trait Engine: Send + Sync + 'static {
    /// Takes over what the card holds.
    fn adopt(&mut self, tables: Tables);

    /// What is to be done to what was adopted last, and what earlier passes made of it. Nothing that is refused keeps the rest from being
    /// done.
    fn pass(&mut self, inputs: &Inputs, scope: Scope) -> Pass;
}
