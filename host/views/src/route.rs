//! `rt --dump VRF` and `rt --get PREFIX --vrf VRF`: the IPv4 routes of a VRF.

use std::fmt;
use std::net::Ipv4Addr;

use std::collections::BTreeMap;

use penstock_abi::table::{DefaultRoute, HostRoute, NextHop, NextHopKind, Prefix, TableId};
use penstock_tables::prefix::masked;
use serde::{Deserialize, Serialize};

use crate::way::Unserved;
use crate::words::words;
use crate::{CardState, listener, text};

/// Tables that this view reads.
pub const TABLES: &[TableId] = &[
    TableId::HostRoute,
    TableId::Prefix,
    TableId::DefaultRoute,
    TableId::NextHop,
    TableId::Ecmp,
    TableId::Ilm,
];

const LEGEND: &str =
    "Flags: L=Label Valid, P=Proxy ARP, T=Trap ARP, F=Flood ARP, Ml=MAC-IP learnt route";
const COLUMNS: &str =
    "Destination           PPL        Flags        Label         Nexthop    Stitched MAC(Index)";

words! {
    /// Table of the card that holds a route.
    pub enum RouteTable {
        /// Of whole addresses.
        HostRoute = "HostRoute",
        /// Of shorter prefixes.
        Prefix = "Prefix",
        /// Of whatever no other matches.
        DefaultRoute = "DefaultRoute",
    }
}

/// One route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// Address.
    pub address: Ipv4Addr,
    /// Prefix length.
    pub prefix_len: u8,
    /// Label pushed when the next hop is a tunnel.
    pub label: Option<u32>,
    /// Next hop.
    pub next_hop: u16,
    /// The label by which other nodes send to this node's members of it, of a floating IP that has one.
    #[serde(default)]
    pub own_label: Option<u32>,
    /// Slots of the group with a member, if the next hop is a composite.
    pub ecmp_members: Option<u32>,
    /// What becomes of packets to it.
    pub unserved: Unserved,
    /// Set of tunnels by which packets from there may come; 0 = none.
    pub sources: u16,
    /// Table of the card.
    pub hw_table: RouteTable,
    /// Index in it; of a prefix with several entries the lowest.
    pub hw_index: u32,
}

/// Routes of one VRF.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Routes {
    /// The VRF.
    pub vrf: u16,
    /// What was asked for, if one route was.
    pub matched: Option<String>,
    /// Routes, by address, longest first at equal address.
    pub routes: Vec<Route>,
}

/// All routes of a VRF.
#[must_use]
pub fn view(state: &CardState, vrf: u16) -> Routes {
    let members = |nh: u16| {
        let entry = state
            .tables
            .get::<NextHop>(nh.into())
            .filter(|e| e.valid && e.kind == NextHopKind::Composite)?;
        Some(
            (0..u32::from(entry.slots))
                .filter(|&n| state.ecmp_word(entry.base, n).is_some())
                .count() as u32,
        )
    };
    let own_labels = listener::labels(state);
    let hosts = state.tables.of::<HostRoute>().iter().filter(|(_, r)| r.valid && r.vrf == vrf).map(
        |(hw_index, r)| Route {
            address: text::ip(r.ip),
            prefix_len: 32,
            label: r.label_valid.then_some(r.label),
            next_hop: r.nh,
            own_label: own_labels.get(&(vrf, r.ip)).copied(),
            ecmp_members: members(r.nh),
            unserved: r.service.into(),
            sources: r.sources,
            hw_table: RouteTable::HostRoute,
            hw_index,
        },
    );
    // A prefix stands as it was announced, whatever the lengths that the card looks for make of it. One that longer ones cover
    // has no entry, and no packet takes it.
    let mut prefixes: BTreeMap<(u32, u8), Route> = BTreeMap::new();
    for (hw_index, r) in state.tables.of::<Prefix>().iter().filter(|(_, r)| r.valid && r.vrf == vrf)
    {
        let ip = masked(r.ip, r.len);
        prefixes.entry((ip, r.len)).or_insert_with(|| Route {
            address: text::ip(ip),
            prefix_len: r.len,
            label: r.label_valid.then_some(r.label),
            next_hop: r.nh,
            own_label: None,
            ecmp_members: members(r.nh),
            unserved: Unserved::Forward,
            sources: r.sources,
            hw_table: RouteTable::Prefix,
            hw_index,
        });
    }
    let default = state.tables.get::<DefaultRoute>(vrf.into()).filter(|r| r.valid).map(|r| Route {
        address: Ipv4Addr::UNSPECIFIED,
        prefix_len: 0,
        label: r.label_valid.then_some(r.label),
        next_hop: r.nh,
        own_label: None,
        ecmp_members: members(r.nh),
        unserved: Unserved::Forward,
        sources: r.sources,
        hw_table: RouteTable::DefaultRoute,
        hw_index: vrf.into(),
    });
    let mut routes: Vec<Route> = hosts.chain(prefixes.into_values()).chain(default).collect();
    routes.sort_by_key(|r| (r.address, std::cmp::Reverse(r.prefix_len), r.hw_index));
    Routes { vrf, matched: None, routes }
}

/// The route that a packet to `address` takes, restricted to prefixes of at most `max_len` bits.
#[must_use]
pub fn lookup(state: &CardState, vrf: u16, address: Ipv4Addr, max_len: u8) -> Routes {
    let covers = |r: &Route| {
        let mask = u32::MAX.checked_shl(32 - u32::from(r.prefix_len)).unwrap_or(0);
        r.prefix_len <= max_len && (u32::from(r.address) ^ u32::from(address)) & mask == 0
    };
    let mut all = view(state, vrf);
    all.routes.retain(covers);
    all.routes.sort_by_key(|r| (std::cmp::Reverse(r.prefix_len), r.hw_index));
    all.routes.truncate(1);
    all.matched = Some(format!("{address}/{max_len}"));
    all
}

impl fmt::Display for Routes {
    /// The alternate form (`{:#}`) adds what the route resolves to and its place in the card.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(matched) = &self.matched {
            writeln!(f, "Match {matched} in vRouter inet4 table 0/{}/unicast\n", self.vrf)?;
        }
        writeln!(f, "{LEGEND}\nvRouter inet4 routing table 0/{}/unicast\n{COLUMNS}", self.vrf)?;
        for route in &self.routes {
            let destination = format!("{}/{}", route.address, route.prefix_len);
            let flags = if route.label.is_some() { "L" } else { "" };
            let label = route.label.map_or_else(|| "-".to_owned(), |l| l.to_string());
            writeln!(
                f,
                "{destination:<21}{:>4}        {flags:>5}      {label:>5}        {:>7}        -",
                0, route.next_hop
            )?;
            let details = f.alternate() || self.matched.is_some();
            if details && let Some(members) = route.ecmp_members {
                writeln!(f, "Hw: ECMP Composite sub nh count: {members}")?;
            }
            if f.alternate() {
                let unserved = match route.unserved {
                    Unserved::Forward => "",
                    Unserved::Reject => ", lives by its listeners, else reject",
                    Unserved::Drop => ", lives by its listeners, else drop",
                };
                let Route { hw_table, hw_index, sources, .. } = route;
                let own =
                    route.own_label.map_or_else(String::new, |l| format!(", here by label {l}"));
                writeln!(f, "Hw: {hw_table}[{hw_index}], sources {sources}{unserved}{own}")?;
            }
        }
        Ok(())
    }
}
