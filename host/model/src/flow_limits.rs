//! What one pod, or one other node, may have of the card's flow table.

use penstock_abi::share;
use serde::{Deserialize, Serialize};

/// What a share of the flow table may have; 0: as much as there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlowLimit {
    /// Connections at once.
    pub pairs: u32,
    /// New connections that may come at once.
    pub burst: u32,
    /// New connections a second besides.
    pub per_second: u32,
}

impl FlowLimit {
    /// The most connections that a limit can be, at once or as a burst.
    pub const PAIRS_MAX: u32 = share::PAIRS_MAX;

    /// The most new connections a second that a limit can be.
    pub const PER_SECOND_MAX: u32 = 10_000_000;

    /// It limits nothing.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// What pods and other nodes may have of the flow table, each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlowLimits {
    /// Each vif of a pod that says nothing else.
    pub vifs: FlowLimit,
    /// Each tunnel by which packets come.
    pub tunnels: FlowLimit,
}
