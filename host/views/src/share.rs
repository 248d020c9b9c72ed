//! What an interface or a tunnel has of the flow table, and what it may have.

use std::fmt;

use penstock_abi::table::{FlowShare, FlowShareStats};
use serde::{Deserialize, Serialize};

use crate::CardState;

/// A share of the flow table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlowShareUse {
    /// Connections.
    pub pairs: u32,
    /// The most that it may have.
    pub pairs_limit: Option<u32>,
    /// New connections are limited by time, too.
    pub rate_limited: bool,
    /// Packets whose new connection was refused: dropped if they needed an entry. Modulo 2^32.
    pub new_flow_drops: u32,
}

impl FlowShareUse {
    /// The share with this index; none of a card that does not count them.
    pub(crate) fn of(state: &CardState, index: u32) -> Option<Self> {
        if state.tables.shape().flow_shares == 0 {
            return None;
        }
        let limit = state.tables.of::<FlowShare>().at(index);
        let FlowShareStats { pairs, refused } = state.tables.of::<FlowShareStats>().at(index);
        Some(Self {
            pairs,
            pairs_limit: (limit.pairs != 0).then_some(limit.pairs),
            rate_limited: limit.burst != 0,
            new_flow_drops: refused,
        })
    }
}

impl fmt::Display for FlowShareUse {
    /// `Flows:12 Limit:30000 and by time New Flow Drops:3`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let limit = self.pairs_limit.map_or_else(|| "no limit".to_owned(), |n| n.to_string());
        let rate = if self.rate_limited { " and by time" } else { "" };
        let Self { pairs, new_flow_drops, .. } = self;
        write!(f, "Flows:{pairs} Limit:{limit}{rate} New Flow Drops:{new_flow_drops}")
    }
}
