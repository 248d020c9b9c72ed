//! How large the tables of a card are, as its registers say it.

use std::fmt;

use penstock_abi::hash::FLOW_ROW_BITS;
use penstock_abi::limits::{
    self, AFFINITY_WAYS, BUCKET_SLOTS, FIP_KEY_WAYS, FLOW_WAYS, HOST_ROUTE_WAYS, PLAIN_FIP_WAYS,
    PREFIX_TABLES, PREFIX_WAYS, SERVICE_KEY_WAYS, TUNNEL_SOURCE_WAYS,
};
use penstock_abi::regs;
use penstock_abi::table::{EcmpSlot, FieldDesc, FipKey, NextHop, TABLES, TableEntry, TableId};

use crate::prefix;

/// How large tables are, in entries unless a name says otherwise. A card says it of its own ([`Shape::read`]); the default is
/// that of the card that the RTL generated from these definitions is, for planning on paper.
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
    /// VRFs, each of which can have a default route.
    pub vrfs: u32,
    /// Rows of one way of the floating-IP keys, as a power of two.
    pub fip_key_rows_log2: u32,
    /// Floating-IP mappings.
    pub fip_maps: u32,
    /// Rows of one way of the services, as a power of two.
    pub service_key_rows_log2: u32,
    /// Rows of one way of the tunnels by which packets may come, as a power of two.
    pub tunnel_source_rows_log2: u32,
    /// Rows of one way of the floating IPs without port map, as a power of two.
    pub plain_fip_rows_log2: u32,
    /// Rows of one way of the flows, as a power of two.
    pub flow_rows_log2: u32,
    /// Flow entries in use above which a new flow that needs translation is dropped.
    pub flows_translated_max: u32,
    /// Shares of the flow table: of vifs and, from `limits::TUNNEL_SHARE_FIRST` on, of tunnels. 0 of a card without.
    pub flow_shares: u32,
    /// Clients that the card keeps at their members. 0 of a card that keeps none.
    pub affinities: u32,
    /// Core clock in kHz, by which entries say what is by time.
    pub clock_khz: u32,
}

/// A size that no card of this layout can have: its registers are not to be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Implausible {
    /// The register's name.
    pub register: &'static str,
    /// What it says.
    pub value: u32,
    /// What it could say.
    pub allowed: Allowed,
}

/// What a register that tells a size could say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allowed {
    /// From the first to the last.
    Range(u32, u32),
    /// So much times a power of two, of which the exponent is at most the second number.
    Buckets(u32, u32),
    /// This, by another register or the layout.
    Only(u32),
}

impl fmt::Display for Implausible {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { register, value, allowed } = self;
        write!(f, "{register} is {value}, which can be ")?;
        match allowed {
            Allowed::Range(first, last) => write!(f, "{first}..={last}"),
            Allowed::Buckets(of, most) => write!(f, "{of} times a power of two, at most 2^{most}"),
            Allowed::Only(value) => write!(f, "{value} only"),
        }
    }
}

impl std::error::Error for Implausible {}

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
            service_key_rows_log2: limits::SERVICE_KEY_ROWS_LOG2,
            tunnel_source_rows_log2: limits::TUNNEL_SOURCE_ROWS_LOG2,
            plain_fip_rows_log2: limits::PLAIN_FIP_ROWS_LOG2,
            flow_rows_log2: limits::FLOW_ROWS_LOG2,
            flows_translated_max: limits::FLOWS_TRANSLATED_MAX,
            flow_shares: limits::FLOW_SHARES,
            affinities: limits::AFFINITIES,
            clock_khz: limits::CORE_CLOCK_KHZ,
        }
    }
}

impl Shape {
    /// This card with a flow table of another size: rows of one way, as a power of two.
    #[must_use]
    pub const fn with_flow_rows_log2(self, rows_log2: u32) -> Self {
        let flows = (FLOW_WAYS * BUCKET_SLOTS) << rows_log2;
        Self { flow_rows_log2: rows_log2, flows_translated_max: flows / 32 * 29, ..self }
    }

    /// This card with a table of clients of another size: rows of one way, as a power of two.
    #[must_use]
    pub const fn with_affinity_rows_log2(self, rows_log2: u32) -> Self {
        Self { affinities: AFFINITY_WAYS << rows_log2, ..self }
    }

    /// The sizes that a card says, by `register`, which reads one.
    ///
    /// # Errors
    /// Those of `register`; within, the first size that cannot be.
    pub fn read<E>(
        mut register: impl FnMut(u32) -> Result<u32, E>,
    ) -> Result<Result<Self, Implausible>, E> {
        let mut said = Vec::new();
        let sizes = regs::sizes().map(|(offset, _)| offset);
        for offset in sizes.chain([regs::CLOCK_KHZ]) {
            said.push((offset, register(offset)?));
        }
        Ok(Self::from_registers(&said))
    }

    fn from_registers(said: &[(u32, u32)]) -> Result<Self, Implausible> {
        let value = |offset: u32| {
            said.iter().find(|(other, _)| *other == offset).map_or(0, |(_, value)| *value)
        };
        let depth = |table| {
            let offset = regs::depth(table);
            allow(offset, value(offset), Allowed::Range(least(table), most(table)))
        };
        let rows_log2 = |table, ways: u32| {
            let (offset, bucket) = (regs::depth(table), ways * BUCKET_SLOTS);
            let most = (most(table) / bucket).ilog2();
            allow(offset, value(offset), Allowed::Buckets(bucket, most))
                .map(|entries| (entries / bucket).ilog2())
        };
        let range = |offset, first, last| allow(offset, value(offset), Allowed::Range(first, last));
        let shape = Self {
            vifs: depth(TableId::Vif)?,
            labels: depth(TableId::Ilm)?,
            next_hops: depth(TableId::NextHop)?,
            ecmp_words: depth(TableId::Ecmp)?,
            ecmp_group_max: range(regs::ECMP_GROUP_MAX, 1, GROUP_MOST)?,
            host_route_rows_log2: rows_log2(TableId::HostRoute, HOST_ROUTE_WAYS)?,
            prefix_rows_log2: rows_log2(TableId::Prefix, PREFIX_TABLES * PREFIX_WAYS)?,
            vrfs: depth(TableId::DefaultRoute)?,
            fip_key_rows_log2: rows_log2(TableId::FipKey, FIP_KEY_WAYS)?,
            fip_maps: depth(TableId::FipMap)?,
            service_key_rows_log2: rows_log2(TableId::ServiceKey, SERVICE_KEY_WAYS)?,
            tunnel_source_rows_log2: rows_log2(TableId::TunnelSource, TUNNEL_SOURCE_WAYS)?,
            plain_fip_rows_log2: rows_log2(TableId::PlainFip, PLAIN_FIP_WAYS)?,
            flow_rows_log2: rows_log2(TableId::Flow, FLOW_WAYS)?,
            flows_translated_max: range(regs::FLOWS_TRANSLATED_MAX, 1, value(regs::DEPTH_FLOW))?,
            flow_shares: match value(regs::DEPTH_FLOW_SHARE) {
                0 => 0,
                _ => depth(TableId::FlowShare)?,
            },
            affinities: match value(regs::DEPTH_AFFINITY) {
                0 => 0,
                entries => {
                    let most = Allowed::Buckets(AFFINITY_WAYS, FLOW_ROW_BITS);
                    allow(regs::DEPTH_AFFINITY, entries, most)?
                }
            },
            clock_khz: value(regs::CLOCK_KHZ),
        };
        // What follows from the others is said besides.
        for (offset, said) in said {
            let follows = shape.registers().find(|(other, _)| other == offset);
            if let Some((_, expected)) = follows {
                allow(*offset, *said, Allowed::Only(expected))?;
            }
        }
        Ok(shape)
    }

    /// The registers that say these sizes, and what they say.
    pub fn registers(self) -> impl Iterator<Item = (u32, u32)> {
        let depths = TABLES.iter().map(move |t| (regs::depth(t.id), self.capacity(t.id)));
        depths.chain([
            (regs::ECMP_GROUP_MAX, self.ecmp_group_max),
            (regs::FLOW_ROWS_LOG2, self.flow_rows_log2),
            (regs::FLOWS_TRANSLATED_MAX, self.flows_translated_max),
            (regs::CLOCK_KHZ, self.clock_khz),
        ])
    }

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
            TableId::DefaultRoute | TableId::Vrf => self.vrfs,
            TableId::PrefixLength => PREFIX_TABLES,
            TableId::FipKey => (FIP_KEY_WAYS * BUCKET_SLOTS) << self.fip_key_rows_log2,
            TableId::FipMap => self.fip_maps,
            TableId::ServiceKey => (SERVICE_KEY_WAYS * BUCKET_SLOTS) << self.service_key_rows_log2,
            TableId::TunnelSource => {
                (TUNNEL_SOURCE_WAYS * BUCKET_SLOTS) << self.tunnel_source_rows_log2
            }
            TableId::PlainFip => (PLAIN_FIP_WAYS * BUCKET_SLOTS) << self.plain_fip_rows_log2,
            TableId::Flow | TableId::FlowStats => (FLOW_WAYS * BUCKET_SLOTS) << self.flow_rows_log2,
            TableId::FlowShare | TableId::FlowShareStats => self.flow_shares,
            TableId::Affinity => self.affinities,
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

/// Most slots of one group that the card's arithmetic is made for.
const GROUP_MOST: u32 = 1024;

/// The least that a table can have: what every card uses of it.
fn least(table: TableId) -> u32 {
    match table {
        TableId::Vif | TableId::VifStats => u32::from(limits::VIF_FIRST_POD) + 1,
        TableId::Ilm => limits::LABEL_FIRST + 1,
        TableId::FlowShare | TableId::FlowShareStats => limits::FLOW_SHARES,
        _ => 1,
    }
}

/// The most that a table can have, as something names its entries, or the search of a key reaches them, by so many bits.
fn most(table: TableId) -> u32 {
    let named_by = |fields: &[FieldDesc], name: &str| {
        let width = fields.iter().filter(|f| f.name == name).map(|f| f.width).sum::<u32>();
        1 << width
    };
    match table {
        TableId::Vif | TableId::VifStats => named_by(NextHop::FIELDS, "vif"),
        TableId::Ilm => named_by(EcmpSlot::FIELDS, "label"),
        TableId::NextHop => named_by(EcmpSlot::FIELDS, "nh"),
        TableId::Ecmp => named_by(NextHop::FIELDS, "base"),
        TableId::FipMap => named_by(FipKey::FIELDS, "map"),
        TableId::HostRoute
        | TableId::Prefix
        | TableId::FipKey
        | TableId::ServiceKey
        | TableId::TunnelSource
        | TableId::PlainFip => INDEX_MOST,
        TableId::DefaultRoute | TableId::Vrf => limits::VRFS,
        TableId::PrefixLength => PREFIX_TABLES,
        TableId::Flow | TableId::FlowStats => INDEX_MOST,
        TableId::Affinity => AFFINITY_WAYS << FLOW_ROW_BITS,
        TableId::FlowShare | TableId::FlowShareStats => limits::FLOW_SHARES,
        TableId::DropStats | TableId::CardStats => table.desc().depth,
    }
}

/// Most entries of a table to which nothing but its own search leads: 2^20.
const INDEX_MOST: u32 = 1 << 20;

fn allow(offset: u32, value: u32, allowed: Allowed) -> Result<u32, Implausible> {
    let is = match allowed {
        Allowed::Range(first, last) => (first..=last).contains(&value),
        Allowed::Buckets(of, most) => {
            let rows = value / of;
            value.is_multiple_of(of) && rows.is_power_of_two() && rows.ilog2() <= most
        }
        Allowed::Only(other) => value == other,
    };
    let name = || regs::REGISTERS.iter().find(|r| r.offset == offset).map_or("?", |r| r.name);
    if is { Ok(value) } else { Err(Implausible { register: name(), value, allowed }) }
}

/// How full a table is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Entries that are there.
    pub used: u32,
    /// Entries that there can be.
    pub capacity: u32,
}
