//! How large the tables of a card are.

use penstock_abi::limits::{
    self, BUCKET_SLOTS, FIP_KEY_WAYS, FLOW_WAYS, HOST_ROUTE_WAYS, PREFIX_TABLES,
};
use penstock_abi::table::TableId;

use crate::prefix;

/// How large tables are, in entries unless a name says otherwise. The default is the card's, as the layout fixes it; larger ones
/// are for planning on paper, as their indices do not fit every field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Virtual interfaces.
    pub vifs: u32,
    /// MPLS labels, from 0.
    pub labels: u32,
    /// Next hops.
    pub next_hops: u32,
    /// Words of the ring memory of all ECMP groups.
    pub ecmp_words: u32,
    /// Most slots of one ECMP group.
    pub ecmp_group_max: u32,
    /// Rows of one way of the host routes, as a power of two.
    pub host_route_rows_log2: u32,
    /// Rows of one way of one of the tables of prefixes, as a power of two.
    pub prefix_rows_log2: u32,
    /// Default routes, one a VRF.
    pub vrfs: u32,
    /// Rows of one way of the floating-IP keys, as a power of two.
    pub fip_key_rows_log2: u32,
    /// Floating-IP mappings.
    pub fip_maps: u32,
    /// Rows of one way of the flows, as a power of two.
    pub flow_rows_log2: u32,
}

impl Default for Shape {
    fn default() -> Self {
        Self {
            vifs: limits::VIFS,
            labels: limits::LABELS,
            next_hops: limits::NEXT_HOPS,
            ecmp_words: limits::ECMP_WORDS,
            ecmp_group_max: limits::ECMP_GROUP_MAX,
            host_route_rows_log2: limits::HOST_ROUTE_ROWS_LOG2,
            prefix_rows_log2: limits::PREFIX_ROWS_LOG2,
            vrfs: limits::VRFS,
            fip_key_rows_log2: limits::FIP_KEY_ROWS_LOG2,
            fip_maps: limits::FIP_MAPS,
            flow_rows_log2: limits::FLOW_ROWS_LOG2,
        }
    }
}

impl Shape {
    /// Number of entries of a table: its indices are those below.
    #[must_use]
    pub fn capacity(&self, table: TableId) -> u32 {
        match table {
            TableId::Vif | TableId::VifStats => self.vifs,
            TableId::Ilm => self.labels,
            TableId::NextHop => self.next_hops,
            TableId::Ecmp => self.ecmp_words,
            TableId::HostRoute => (HOST_ROUTE_WAYS * BUCKET_SLOTS) << self.host_route_rows_log2,
            TableId::Prefix => PREFIX_TABLES * prefix::table_entries(*self),
            TableId::DefaultRoute => self.vrfs,
            TableId::PrefixLength => PREFIX_TABLES,
            TableId::FipKey => (FIP_KEY_WAYS * BUCKET_SLOTS) << self.fip_key_rows_log2,
            TableId::FipMap => self.fip_maps,
            TableId::Flow | TableId::FlowStats => (FLOW_WAYS * BUCKET_SLOTS) << self.flow_rows_log2,
            TableId::DropStats | TableId::CardStats => table.desc().depth,
        }
    }

    /// Index of word `n` of the ECMP group at `base`; the ring memory wraps. 0 if there is none.
    #[must_use]
    pub fn ring_index(&self, base: u32, n: u32) -> u32 {
        // Below `ecmp_words`.
        ((u64::from(base) + u64::from(n)) % u64::from(self.ecmp_words.max(1))) as u32
    }
}

/// How full a table is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Entries that are there.
    pub used: u32,
    /// Entries that there can be.
    pub capacity: u32,
}
