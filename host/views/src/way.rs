//! Where packets go, as `explain` shows it: a next hop with its members and their translations, and by which tunnels packets come back.

use std::fmt;
use std::net::Ipv4Addr;

use penstock_abi::limits::{SOURCES_KNOWN, SOURCES_NOBODY};
use penstock_abi::table::{
    FipMap, NextHop, NextHopKind, ServiceAddress, SourceCheck, TableId, TunnelSource, Vif, Vrf,
};
use serde::{Deserialize, Serialize};

use crate::next_hop::{self, HopKind};
use crate::words::words;
use crate::{CardState, text};

/// Tables that a way is made of.
pub const TABLES: &[TableId] = &[
    TableId::NextHop,
    TableId::Ecmp,
    TableId::Ilm,
    TableId::Vif,
    TableId::FipMap,
    TableId::Vrf,
    TableId::TunnelSource,
    TableId::HostRoute,
    TableId::Prefix,
    TableId::DefaultRoute,
    TableId::ServiceKey,
];

/// Tunnels that the text names one by one.
const TUNNELS_NAMED: usize = 8;

/// A member as it is reached from this node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Path {
    /// Slot in the group.
    pub slot: u32,
    /// Next hop.
    pub next_hop: u16,
    /// Label.
    pub label: Option<u32>,
    /// Where it leads, for people.
    pub to: String,
    /// Keeps its flows, takes no new ones.
    pub draining: bool,
    /// Generation of the slot.
    pub generation: u8,
    /// What packets to it become; none if it translates itself, or is not translated.
    pub mapping: Option<Mapping>,
}

/// A translation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mapping {
    /// Row in the card's table `FipMap`.
    pub hw_map: u16,
    /// Floating IP, and the service's port; 0 without port map.
    pub floating: (Ipv4Addr, u16),
    /// Address behind it, and its port; 0 without port map.
    pub fixed: (Ipv4Addr, u16),
    /// Generation.
    pub generation: u8,
}

/// What a route leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RouteKind {
    /// Nothing: there is no such next hop.
    #[serde(rename = "missing")]
    Missing,
    /// A next hop.
    #[serde(untagged)]
    Hop(HopKind),
}

impl fmt::Display for RouteKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.pad("missing"),
            Self::Hop(kind) => kind.fmt(f),
        }
    }
}

/// A next hop, and if it is a group, whom it has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Way {
    /// Next hop.
    pub next_hop: u16,
    /// Type of the next hop.
    pub r#type: RouteKind,
    /// Where it leads, for people; empty for a group.
    pub to: String,
    /// Members, holes left out.
    pub members: Vec<Path>,
    /// Slots, holes included.
    pub slots: u32,
    /// First word of the group in the card's table `Ecmp`.
    pub hw_base: Option<u32>,
}

impl Way {
    /// The way that begins with a next hop.
    #[must_use]
    pub fn of(state: &CardState, nh: u16) -> Self {
        let hop = next_hop::get(state, nh.into()).next_hops.into_iter().next();
        let group = state.tables.get::<NextHop>(nh.into()).filter(|h| h.valid);
        let members: Vec<Path> = hop
            .iter()
            .flat_map(|h| h.members.iter().enumerate())
            .filter_map(|(slot, member)| {
                let m = member.as_ref()?;
                let word = group.and_then(|g| state.ecmp_word(g.base, slot as u32));
                // 14 bits.
                let map = word.filter(|w| w.local).map_or(0, |w| (w.label & 0x3fff) as u16);
                Some(Path {
                    slot: slot as u32,
                    next_hop: m.next_hop,
                    label: m.label,
                    to: destination(state, m.next_hop),
                    draining: m.draining,
                    generation: m.generation,
                    mapping: mapping(state, map),
                })
            })
            .collect();
        let is_group = group.is_some_and(|h| h.kind == NextHopKind::Composite);
        Self {
            next_hop: nh,
            r#type: hop.as_ref().map_or(RouteKind::Missing, |h| RouteKind::Hop(h.r#type)),
            to: if is_group { String::new() } else { destination(state, nh) },
            members,
            slots: hop.as_ref().map_or(0, |h| h.members.len() as u32),
            hw_base: hop.and_then(|h| h.hw_base),
        }
    }
}

/// A mapping by its row; none for 0, and for one that is not there.
pub(crate) fn mapping(state: &CardState, row: u16) -> Option<Mapping> {
    let map = state.tables.get::<FipMap>(row.into()).filter(|m| m.valid && row != 0)?;
    Some(Mapping {
        hw_map: row,
        floating: (text::ip(map.vip), map.vip_port),
        fixed: (text::ip(map.pod_ip), map.pod_port),
        generation: map.generation,
    })
}

/// An address and a port, where there is one.
pub(crate) fn socket((address, port): (Ipv4Addr, u16)) -> String {
    if port == 0 { address.to_string() } else { format!("{address}:{port}") }
}

words! {
    /// What becomes of packets that are routed to an address.
    pub enum Unserved {
        /// It is none that lives by its listeners: they go to the next hop.
        Forward = "forward",
        /// They are refused, unless they are for a listener.
        Reject = "reject",
        /// They are dropped, unless they are for a listener.
        Drop = "drop",
    }
}

impl From<ServiceAddress> for Unserved {
    fn from(service: ServiceAddress) -> Self {
        match service {
            ServiceAddress::No | ServiceAddress::Undefined(_) => Self::Forward,
            ServiceAddress::Reject => Self::Reject,
            ServiceAddress::Drop => Self::Drop,
        }
    }
}

words! {
    /// By which tunnels packets of no known flow may come.
    pub enum Check {
        /// Those in the set of the route to their source.
        Strict = "strict",
        /// Any that is known.
        Loose = "loose",
        /// Any.
        Off = "off",
    }
}

impl Check {
    /// That of a VRF.
    #[must_use]
    pub fn of(state: &CardState, vrf: u16) -> Self {
        let entry = state.tables.get::<Vrf>(vrf.into()).filter(|v| v.valid);
        entry.map_or(SourceCheck::Strict, |v| v.source_check).into()
    }
}

impl From<SourceCheck> for Check {
    fn from(check: SourceCheck) -> Self {
        match check {
            SourceCheck::Strict | SourceCheck::Undefined(_) => Self::Strict,
            SourceCheck::Loose => Self::Loose,
            SourceCheck::Off => Self::Off,
        }
    }
}

/// By which tunnels packets of no known flow may come whose source a route is to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sources {
    /// Set in the card's table `TunnelSource`; 0 is nobody, 1 all that are known.
    pub set: u16,
    /// How the VRF checks.
    pub check: Check,
    /// The tunnels' outer source addresses in the set.
    pub tunnels: Vec<Ipv4Addr>,
}

impl Sources {
    /// Those of a route in a VRF.
    #[must_use]
    pub fn of(state: &CardState, vrf: u16, set: u16) -> Self {
        let sources = state.tables.of::<TunnelSource>();
        let in_set = sources.values().filter(|s| s.valid && s.set == set && set != SOURCES_NOBODY);
        let mut tunnels: Vec<Ipv4Addr> = in_set.map(|s| text::ip(s.ip)).collect();
        tunnels.sort_unstable();
        tunnels.dedup();
        Self { set, check: Check::of(state, vrf), tunnels }
    }
}

impl fmt::Display for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = || match self.tunnels.len() {
            0 => "no tunnel".to_owned(),
            n if n > TUNNELS_NAMED => format!("{n} tunnels"),
            _ => self.tunnels.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        };
        match (self.set, self.check) {
            (SOURCES_NOBODY, _) => f.write_str("no tunnel (it is on this node only)")?,
            (_, Check::Off) => f.write_str("any tunnel")?,
            (_, Check::Loose) => f.write_str("any tunnel that is known")?,
            (SOURCES_KNOWN, Check::Strict) => write!(f, "all tunnels that are known: {}", known())?,
            (_, Check::Strict) => f.write_str(&known())?,
        }
        write!(f, " (source check {})", self.check)
    }
}

/// What a next hop is, its members a line each; `indent` stands before each line.
pub(crate) fn write_way(f: &mut fmt::Formatter<'_>, indent: &str, way: &Way) -> fmt::Result {
    if way.r#type == RouteKind::Hop(HopKind::Composite) {
        writeln!(f, "{indent}ECMP Composite sub nh count: {}", way.members.len())?;
    } else {
        writeln!(f, "{indent}{}", way.r#type)?;
    }
    writeln!(f, "{indent}nh_index: {}", way.next_hop)
}

/// The members of a way.
pub(crate) fn write_members(f: &mut fmt::Formatter<'_>, indent: &str, way: &Way) -> fmt::Result {
    for m in &way.members {
        let label = m.label.map_or_else(String::new, |l| format!(" label {l}"));
        let drain = if m.draining { ", draining" } else { "" };
        write!(f, "{indent}  member {}: nh {}, {}{label}", m.slot, m.next_hop, m.to)?;
        if let Some(mapping) = &m.mapping {
            let (from, to) = (socket(mapping.floating), socket(mapping.fixed));
            write!(f, ", {from} becomes {to} by FipMap[{}]", mapping.hw_map)?;
        }
        writeln!(f, "{drain}")?;
    }
    Ok(())
}

/// The rows of a way.
pub(crate) fn rows(way: &Way) -> String {
    let group =
        way.hw_base.map_or_else(String::new, |b| format!(", Ecmp[{b}] slots {}", way.slots));
    format!("NextHop[{}]{group}", way.next_hop)
}

/// Why a route leads to nobody.
pub(crate) fn why(state: &CardState, nh: u16, endpoints: usize) -> Option<String> {
    let hop = state.tables.get::<NextHop>(nh.into()).filter(|h| h.valid);
    let kind = hop.map(|h| h.kind);
    if let Some(group) = hop.filter(|h| h.kind == NextHopKind::Composite) {
        return nobody_new(state, group);
    }
    let what = match kind {
        Some(NextHopKind::Reject) => "connections are refused",
        Some(NextHopKind::Discard | NextHopKind::Undefined(_)) | None => "packets are dropped",
        Some(_) => return None,
    };
    Some(match (kind, endpoints) {
        (None, _) => format!("the route's next hop is missing on the card: {what}"),
        (_, 0) => format!("the service has no endpoints: {what}"),
        (Some(NextHopKind::Reject), n) => {
            format!("none of its {n} endpoints is known to this node: {what}")
        }
        (_, n) => format!(
            "none of its {n} endpoints can be reached from here at the moment (the MAC address of its node is not \
             resolved, or it is on another node while only those of this node may answer): {what}"
        ),
    })
}

/// What becomes of new connections to a group whose members all drain; none if somebody takes them.
fn nobody_new(state: &CardState, group: &NextHop) -> Option<String> {
    let words =
        |from: u32, count: u32| (from..from + count).filter_map(|n| state.ecmp_word(group.base, n));
    let kind = |nh: u16| state.tables.get::<NextHop>(nh.into()).filter(|h| h.valid).map(|h| h.kind);
    // Behind the slots stand those who take new flows, or the one word that refuses them.
    let (slots, live) = (u32::from(group.slots), u32::from(group.live));
    let mut refused = false;
    for word in words(slots, live) {
        match kind(word.nh) {
            Some(NextHopKind::Reject) => refused = true,
            Some(NextHopKind::Discard | NextHopKind::Undefined(_)) | None => {}
            Some(_) => return None,
        }
    }
    let what = if refused { "refused" } else { "dropped" };
    let keep = match words(0, slots).count() {
        0 => return Some(format!("it has no members: connections are {what}")),
        1 => "1 member keeps its own".to_owned(),
        n => format!("{n} members keep theirs"),
    };
    Some(format!("no member takes new connections: they are {what}; {keep}"))
}

pub(crate) fn destination(state: &CardState, nh: u16) -> String {
    let Some(hop) = state.tables.get::<NextHop>(nh.into()).filter(|h| h.valid) else {
        return "missing next hop".to_owned();
    };
    match hop.kind {
        NextHopKind::Tunnel => {
            let kind = if hop.gre { "MPLSoGRE" } else { "MPLSoUDP" };
            format!("{kind} tunnel {} -> {}", text::ip(hop.sip), text::ip(hop.dip))
        }
        NextHopKind::Encap | NextHopKind::Receive => {
            let address = state.tables.get::<Vif>(hop.vif.into()).map_or(0, |v| v.ip);
            format!("vif0/{} ({}) {}", hop.vif, state.vif_name(hop.vif.into()), text::ip(address))
        }
        NextHopKind::Reject => "refused".to_owned(),
        NextHopKind::Composite => "a group".to_owned(),
        _ => "discard".to_owned(),
    }
}
