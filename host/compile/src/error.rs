//! Why a snapshot cannot be compiled.

use std::net::Ipv4Addr;

use penstock_model::VrfId;
use thiserror::Error;

/// Why a snapshot cannot be compiled. The card keeps what it has.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum CompileError {
    /// The intent needs more entries than a table has; the operator has to take something away.
    #[error("table {table} holds {capacity} entries, {needed} are needed")]
    TableFull {
        /// Table, by its name in the reference.
        table: &'static str,
        /// Entries needed.
        needed: usize,
        /// Entries there are.
        capacity: usize,
    },
    /// A floating IP has more backends than a group can have.
    #[error(
        "floating IP {address} ({owner}) has {members} backends in VRF {vrf}, an ECMP group has at most {max}"
    )]
    GroupTooLarge {
        /// The floating IP.
        address: Ipv4Addr,
        /// The load balancers it belongs to.
        owner: String,
        /// VRF.
        vrf: VrfId,
        /// Backends.
        members: usize,
        /// Most that a group can have.
        max: usize,
    },
    /// A number is not one the card knows; whoever built the snapshot let it pass.
    #[error("{what} {value} of {owner} is not in {first}..={last}")]
    OutOfRange {
        /// What the number is.
        what: &'static str,
        /// The number.
        value: u32,
        /// Whose it is.
        owner: String,
        /// Lowest one that is.
        first: u32,
        /// Highest one that is.
        last: u32,
    },
    /// Two things claim what only one can have; whoever built the snapshot let it pass.
    #[error("{what} {value} is claimed by {first} and by {second}")]
    Duplicate {
        /// What is claimed.
        what: &'static str,
        /// Its value.
        value: String,
        /// Who has it.
        first: String,
        /// Who wants it too.
        second: String,
    },
}
