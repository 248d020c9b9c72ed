//! The scoreboard: the same tables and frames go to a card and to the reference model, and everything that can be seen is compared.
//!
//! * [`script`]: what is done, as data: table writes and frames with gaps, all from a seed. It can be cut down and run again.
//! * [`dut`]: what it is done to. [`dut::ModelDut`] is the model behind the same interface, whole or spoiled on purpose, so
//!   that the scoreboard itself is tested; `card::CardDut` (feature `rtl`) is the Verilated card.
//!   [`late::LateDut`] is the model with all that the specification leaves to time.
//! * [`board`]: runs a script against a device and the model side by side, and says where they part.
//! * [`digests`]: what the card says of its tables, each time that they change.
//! * [`matching`]: which frame that left belongs to which frame that went in.
//! * [`hazards`]: which frames must not be in flight together. [`window`]: frames while tables change.
//! * `clients`: which frames must not be in flight together as one is about to put down a client that another asks for.
//! * `shares`: when shares of the flow table are limited, and which frames must not be in flight together then.
//! * [`summary`]: what was compared, and which rules were met.
//! * [`storm`]: frames without regard to order, judged by what must hold whatever happens.
//! * [`churn`]: a day of connections, in which card time jumps, judged by what the card tells.
//! * [`shrink`]: the smallest part of a failing script that still fails.
//!
//! # When the order is not given
//!
//! The card inserts flows some cycles after the packet, and frames of the two ingress ports meet in any order. The
//! specification makes nearly all of that invisible. Where it does not (a reply that overtakes the insertion of its flow, an error
//! about a flow that is being inserted, two pairs that share a key, a SYN whose verdict depends on segments before it), the board lets the card become idle first: it asks the model
//! which flow entries a packet looks up and which an insertion touches, and never has two frames that could disturb each other
//! in flight. Only statistics of a flow's first burst remain open; they are bounded, not ignored.

pub mod board;
#[cfg(feature = "rtl")]
pub mod card;
pub mod churn;
mod clients;
pub mod digests;
pub mod dut;
pub mod hazards;
pub mod late;
pub mod matching;
pub mod script;
mod shares;
pub mod shrink;
pub mod storm;
pub mod summary;
pub mod window;
