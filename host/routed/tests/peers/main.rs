//! The speaker against routing daemons that others wrote: GoBGP and FRR.

#![allow(clippy::unwrap_used)]

mod frr;
mod gobgp;
mod support;
