//! What an operator sees of a card's tables, in the words and columns of Contrail's vRouter tools.
//!
//! In: a [`CardState`], the entries of the tables that a view needs (each module names them in `TABLES`). Out: plain values
//! with stable field names (serde), and their rendering as text (`Display`). Nothing here does I/O, and nothing here
//! knows the daemon: the daemon builds the values from the live card, the command line prints them, and how they travel
//! between the two is `penstock-api`'s matter.
//!
//! Text keeps the columns, legends and padding of the tools `flow`, `nh`, `vif`, `rt`, `mpls` and `dropstats`, so that what
//! people and scripts know keeps working. What only this card has stands on lines of its own that begin with `Hw:`.

pub mod address;
pub mod drops;
pub mod event;
pub mod firmware;
pub mod flow;
pub mod flow_filter;
pub mod flow_text;
pub mod listener;
pub mod mpls;
pub mod next_hop;
pub mod overlay;
pub mod registers;
pub mod route;
pub mod service;
pub mod share;
pub mod state;
pub mod text;
pub mod trace;
pub mod tunnel;
pub mod vif;
pub mod way;
mod words;

pub use state::CardState;
