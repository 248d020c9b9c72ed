//! The speaker against routing daemons that others wrote: GoBGP and FRR.

mod frr;
mod gobgp;
mod support;
