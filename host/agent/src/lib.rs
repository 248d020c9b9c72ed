//! One card, and all that is done with it: an [`Agent`] attaches to it, keeps its tables as the intent wants them, looks after
//! it, and shows what it holds.
//!
//! ```text
//! intent ----\
//!             +--> reconcile --(engine: compile, plan)--> phases --> device (thread) --> card
//! neighbours-/        |  ^                                              ^
//!                     v  audit, look                       observe -----+----- read (flows)
//!          status, tables (what the card holds)            readings (counters)
//! ```
//!
//! A daemon holds an agent for each of its cards; agents know nothing of each other. Everything that is published is a whole
//! state behind a `watch` channel: who looks late misses nothing. Only what the card itself tells as events goes on as such
//! ([`events`]).
//!
//! What comes from outside (a card that is gone, that refuses, that was cleared by somebody else) is told in the status and
//! tried again, at growing intervals that begin anew only when a reconcile has reached the card whole. What can only be a
//! defect (a panic) ends the agent: [`Agent::failed`] says so, and the process should end with it, for a daemon that is half
//! alive is worse than one that is started anew. The card forwards meanwhile.

mod agent;
mod aging;
mod audit;
mod backoff;
mod beat;
pub mod device;
pub mod engine;
mod error;
pub mod events;
mod flow_audit;
pub mod keep;
mod look;
mod observe;
mod open;
mod read;
mod reconcile;
mod status;
mod sums;

pub use agent::{Agent, Config, Flows, Handle};
pub use audit::{Audit, AuditError, TableAudit};
pub use device::{Device, LinkState, Opener};
pub use error::{Defect, LinkError, chain};
pub use events::{Follower, News, Told};
pub use flow_audit::{FlowAudit, FlowDefect, FlowFault};
pub use observe::{Firmware, Reading};
pub use open::{give_back, opener};
pub use status::{LastChange, State, Status};
