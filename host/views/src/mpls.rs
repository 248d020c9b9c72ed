//! `mpls --dump`: which next hop takes a packet that arrives under a label.

use std::fmt;

use penstock_abi::table::{Ilm, TableId};
use serde::{Deserialize, Serialize};

use crate::CardState;

/// Tables that this view reads.
pub const TABLES: &[TableId] = &[TableId::Ilm];

/// One label.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Label {
    /// The label.
    pub label: u32,
    /// Next hop that delivers; of a floating IP's label that of its route: which members on this node get a packet says its listener.
    pub next_hop: u16,
    /// Next hop in the keys of its flows.
    pub key_next_hop: u16,
    /// VRF after decapsulation.
    pub vrf: u16,
    /// The label is a floating IP's: listeners decide.
    pub service: bool,
}

/// The label map.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabelMap {
    /// Labels, ascending.
    pub labels: Vec<Label>,
}

/// The whole label map, or one label of it.
#[must_use]
pub fn view(state: &CardState, only: Option<u32>) -> LabelMap {
    let labels = state
        .tables
        .of::<Ilm>()
        .iter()
        .filter(|(label, entry)| entry.valid && only.is_none_or(|only| only == *label))
        .map(|(label, e)| {
            let next_hop = if e.service { e.key_nh } else { e.nh };
            let (key_next_hop, vrf, service) = (e.key_nh, e.vrf, e.service);
            Label { label, next_hop, key_next_hop, vrf, service }
        })
        .collect();
    LabelMap { labels }
}

impl fmt::Display for LabelMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "MPLS Input Label Map\n\n   Label    NextHop\n-------------------")?;
        for label in &self.labels {
            writeln!(f, "{:>8}    {:>6}", label.label, label.next_hop)?;
            if f.alternate() && label.service {
                writeln!(f, "          Hw: by ServiceKey.local, VRF {}", label.vrf)?;
            }
        }
        Ok(())
    }
}
