//! The packet reference model: what the card must do to a packet, in plain Rust.
//!
//! [`RefModel`] maps (tables, ingress, frame) to what leaves the card, why a frame was dropped, which flows were learned
//! and what was counted. It is written from `docs/datapath.md` and the `penstock-abi` crate alone, never from the RTL, so that a
//! comparison of the two means something. Speed and memory are of no concern here; being readable beside the
//! specification is. Section numbers in comments are those of that page.
//!
//! The work is split as the specification is: [`parse`] (sections 3 and 4), [`decide`] (2, 5, 6), `translate` (7), [`rewrite`] (8),
//! `learn` and [`flows`] (9). Deciding is pure: [`decide::decide`] takes tables and flows by reference, so a scoreboard can ask
//! what a packet may become under several versions of the tables before it commits to one.
//!
//! [`gen`](mod@gen) makes random but consistent table sets and packets that are likely to hit them; [`packet`] builds frames by hand.
//!
//! What the model leaves out: time. Insertion happens at once (on the card some cycles later), `last_hit` stays 0, and the
//! firmware's queue never fills.

pub mod checksum;
pub mod decide;
pub mod flows;
pub mod r#gen;
mod learn;
mod model;
pub mod packet;
pub mod parse;
pub mod rewrite;
pub mod tables;
mod translate;

pub use decide::{Decision, Egress, Ingress, Learn, Verdict};
pub use flows::FlowAttributes;
pub use model::{Counters, Outcome, RefModel};
pub use tables::Tables;
