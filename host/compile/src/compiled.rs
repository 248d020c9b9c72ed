//! What compiling gives besides the tables.

use std::net::IpAddr;

use penstock_model::{Advertisement, Findings, ObjectId, OrdMap};

use crate::Desired;
use crate::maps::sharing;

/// A compiled intent. A clone costs nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Compiled {
    /// The tables.
    pub desired: Desired,
    /// What is not as objects ask, by object: those of the intent, and those of the compiler.
    pub findings: Findings,
    /// Tunnel end points whose MAC address is not known, with the name of the node. Its pods are no members meanwhile.
    pub pending: OrdMap<IpAddr, String>,
    /// What this node should announce.
    pub advertisements: OrdMap<Advertisement, ()>,
    /// To whom a floating IP belongs: whose fault it is if it has no place.
    pub owners: OrdMap<IpAddr, ObjectId>,
}

impl Compiled {
    /// The same, made of the entries of `before` wherever they are equal. Who compares the two looks only at what differs,
    /// though it was compiled from nothing.
    pub(crate) fn sharing_with(&self, before: &Self) -> Self {
        let Self { desired, findings, pending, advertisements, owners } = self;
        Self {
            desired: desired.sharing_with(&before.desired),
            findings: sharing(&before.findings, findings),
            pending: sharing(&before.pending, pending),
            advertisements: sharing(&before.advertisements, advertisements),
            owners: sharing(&before.owners, owners),
        }
    }
}
