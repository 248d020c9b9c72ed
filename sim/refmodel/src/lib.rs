//! The packet reference model: what the card must do to a packet, in plain Rust.
//!
//! [`RefModel`] maps (tables, ingress, frame) to what leaves the card, why a frame was dropped, which flows were learned
//! and what was counted. It is written from `docs/datapath.md` and the `penstock-abi` crate alone, never from the RTL, so that a
//! comparison of the two means something. Speed and memory are of no concern here; being readable beside the
//! specification is. Section numbers in comments are those of that page.
//!
//! The work is split as the specification is: `arrive` (section 2), [`tunnel`] (3), [`parse`] (4), [`decide`] (5), `route` (6),
//! `translate` (7), [`rewrite`] (8), `learn`, `admit`, [`insert`], [`flows`], `ageing`, `shares`, [`clients`] and [`events`] (9). Deciding is pure: [`decide::decide`] takes the
//! state of the card by reference, so a scoreboard can ask what a packet may become under several versions of it before it
//! commits to one.
//!
//! [`Fault`] has the rules that it can be told to break. `types` is what these steps hand on, `verdict` what comes out of them; [`wire`] has the numbers that stand in frames.
//!
//! [`gen`](mod@gen) makes random but consistent table sets and packets that are likely to hit them; [`packet`] builds frames by hand.
//!
//! What the model leaves out: time, and places. A request is executed at once (on the card some cycles later), so there is neither
//! a queue that may be full nor anything that waits in it; `last_hit` says when the model was last told the time, and the firmware's queue never fills. Entries of the
//! flow table have keys and pairs, but no rows, and every key finds room. Clients have rows, under the card's secret: it shows who gives way.

mod admit;
mod ageing;
mod arrive;
pub mod checksum;
pub mod clients;
pub mod decide;
pub mod events;
mod fault;
pub mod flows;
pub mod fragments;
pub mod r#gen;
pub mod insert;
mod learn;
mod model;
pub mod packet;
pub mod parse;
pub mod rewrite;
mod route;
mod shares;
pub mod tables;
mod translate;
pub mod tunnel;
mod types;
mod verdict;
pub mod wire;

pub use ageing::Ended;
pub use clients::{Client, ClientKey, Clients};
pub use fault::Fault;
pub use flows::FlowAttributes;
pub use model::{Counters, Outcome, RefModel};
pub use shares::{Refusal, Shares};
pub use tables::Tables;
pub use types::Card;
pub use verdict::{Decision, Egress, Ingress, Learn, Rule, Verdict};
