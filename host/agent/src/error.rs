//! What can go wrong between this crate and its card.

use penstock_device::DeviceError;

/// Why a request to the card did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// There is no card at the moment; the reason stands in the status.
    #[error("the card is lost: {0}")]
    Lost(String),
    /// The card answered with an error.
    #[error(transparent)]
    Device(#[from] DeviceError),
}

/// A part of an agent has ended, which none does: this is a defect, and the process should end with it. The card forwards on.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
pub enum Defect {
    /// The thread that owns the card.
    #[error("the card's thread has ended")]
    Thread,
    /// The compiler or the planner panicked.
    #[error("the compiler or the planner failed")]
    Engine,
    /// A task.
    #[error("a task of the agent has ended")]
    Task,
}

/// An error with its causes in one line.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text.push_str(": ");
        text.push_str(&next.to_string());
        cause = next.source();
    }
    text
}
