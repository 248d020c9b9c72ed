//! The interface between host, firmware and RTL, defined once.
//!
//! Everything that two of them must agree on lives here: limits ([`limits`]), table words ([`table`], [`word`]),
//! registers ([`regs`]), the firmware's memory map ([`fw`]), 64-byte ring records ([`ring`]), drop reasons
//! ([`reason`]), the hash functions that place keys ([`hash`]) and the sum by which tables are compared ([`digest`]). `cargo xtask gen` turns the same definitions
//! into `hdl/rtl/gen/ps_abi_pkg.sv` and `docs/abi.md`; CI fails when they differ from what is committed.
//!
//! The crate is `no_std`, allocates nothing and depends on nothing heavy. It holds no behaviour: what the words
//! mean to a packet is written in `docs/datapath.md`.
#![no_std]

pub mod affinity;
pub mod age;
pub mod digest;
pub mod evict;
pub mod fw;
pub mod hash;
pub mod image;
pub mod layout;
pub mod limits;
pub mod reason;
pub mod regs;
pub mod ring;
pub mod share;
pub mod table;
pub mod word;
