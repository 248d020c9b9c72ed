//! `nh --list | --get N`: next hops, and the members of composite ones.

use std::collections::HashMap;
use std::fmt;
use std::net::Ipv4Addr;

use penstock_abi::hash;
use penstock_abi::table::{
    DefaultRoute, HostRoute, Ilm, NextHop, NextHopKind, Prefix, ServiceKey, TableId, Vif, Vrf,
};
use serde::{Deserialize, Serialize};

use crate::words::words;
use crate::{CardState, text};

/// Tables that this view reads.
pub const TABLES: &[TableId] = &[
    TableId::NextHop,
    TableId::Ecmp,
    TableId::Ilm,
    TableId::Vif,
    TableId::HostRoute,
    TableId::Prefix,
    TableId::DefaultRoute,
    TableId::Vrf,
    TableId::ServiceKey,
];

/// Bytes of the Ethernet header that a next hop writes.
const ETHERNET_BYTES: u32 = 14;
/// Columns of members after which `nh` begins a new line.
const MEMBER_COLUMNS: usize = 60;

words! {
    /// Type of a next hop, in `nh`'s words.
    pub enum HopKind {
        /// Packets are dropped.
        Drop = "Drop",
        /// To an interface of this node itself.
        Receive = "Receive",
        /// To a pod's interface.
        Encap = "Encap",
        /// To another node.
        Tunnel = "Tunnel",
        /// To one of its members.
        Composite = "Composite",
        /// Connections are refused: a service without endpoints.
        Reject = "Reject",
    }
}

words! {
    /// Flag of a next hop, in `nh`'s words.
    pub enum HopFlag {
        /// In use.
        Valid = "Valid",
        /// Flows are looked up.
        Policy = "Policy",
        /// A member is chosen for each flow.
        Ecmp = "Ecmp",
        /// Tunnelled in UDP.
        MplsOverUdp = "MPLSoUDP",
        /// Tunnelled in GRE.
        MplsOverGre = "MPLSoGRE",
    }
}

words! {
    /// Field of a packet that chooses the member.
    pub enum HashField {
        /// IP protocol.
        Protocol = "Proto",
        /// Source address.
        Source = "SrcIP",
        /// Source port.
        SourcePort = "SrcPort",
        /// Destination address.
        Destination = "DstIp",
        /// Destination port.
        DestinationPort = "DstPort",
    }
}

/// A member of a composite next hop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its next hop.
    pub next_hop: u16,
    /// Label pushed towards it, or under which this node itself reaches it.
    pub label: Option<u32>,
    /// Keeps its flows, takes no new ones.
    pub draining: bool,
    /// Generation of its slot.
    pub generation: u8,
}

/// One next hop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hop {
    /// Its id.
    pub id: u32,
    /// Where packets go.
    pub r#type: HopKind,
    /// VRF: of its interface, or the lowest of the routes and listeners that use it; else 0.
    pub vrf: u16,
    /// Entries that name it, and one.
    pub ref_count: u32,
    /// Flags.
    pub flags: Vec<HopFlag>,
    /// Outgoing interface.
    pub oif: Option<u8>,
    /// Ethernet header written, as hex bytes.
    pub data: Option<String>,
    /// Outer source address.
    pub sip: Option<Ipv4Addr>,
    /// Outer destination address.
    pub dip: Option<Ipv4Addr>,
    /// Fields that choose the member.
    pub hash_fields: Vec<HashField>,
    /// Slots in order; a hole is null.
    pub members: Vec<Option<Member>>,
    /// First word of the group in the ring memory.
    pub hw_base: Option<u32>,
    /// Words among which new flows choose: one a member that takes them, or, if none does, the one that refuses them.
    pub hw_live: Option<u16>,
}

/// Next hops of a card.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hops {
    /// Next hops: all by id, or the one asked for and then its members.
    pub next_hops: Vec<Hop>,
}

/// All next hops.
#[must_use]
pub fn list(state: &CardState) -> Hops {
    let uses = Uses::of(state);
    let next_hops = state
        .tables
        .of::<NextHop>()
        .iter()
        .filter(|(_, nh)| nh.valid)
        .map(|(id, nh)| hop(state, &uses, id, nh))
        .collect();
    Hops { next_hops }
}

/// One next hop and, if it is a composite, each of its members once.
#[must_use]
pub fn get(state: &CardState, id: u32) -> Hops {
    let uses = Uses::of(state);
    let find = |id: u32| {
        state.tables.get::<NextHop>(id).filter(|nh| nh.valid).map(|nh| hop(state, &uses, id, nh))
    };
    let Some(first) = find(id) else { return Hops::default() };
    let mut next_hops: Vec<Hop> = Vec::new();
    for member in first.members.iter().flatten() {
        if next_hops.iter().all(|h| h.id != u32::from(member.next_hop)) {
            next_hops.extend(find(u32::from(member.next_hop)));
        }
    }
    next_hops.insert(0, first);
    Hops { next_hops }
}

fn hop(state: &CardState, uses: &Uses, id: u32, nh: &NextHop) -> Hop {
    use HopFlag::{Ecmp, MplsOverGre, MplsOverUdp, Policy, Valid};
    let (r#type, flags): (_, &[_]) = match nh.kind {
        NextHopKind::Discard | NextHopKind::Undefined(_) => (HopKind::Drop, &[Valid]),
        NextHopKind::Receive => (HopKind::Receive, &[Valid, Policy]),
        NextHopKind::Encap => (HopKind::Encap, &[Valid, Policy]),
        NextHopKind::Tunnel if nh.gre => (HopKind::Tunnel, &[Valid, MplsOverGre]),
        NextHopKind::Tunnel => (HopKind::Tunnel, &[Valid, MplsOverUdp]),
        NextHopKind::Composite => (HopKind::Composite, &[Valid, Policy, Ecmp]),
        NextHopKind::Reject => (HopKind::Reject, &[Valid]),
    };
    let to_vif = matches!(nh.kind, NextHopKind::Receive | NextHopKind::Encap);
    let tunnel = nh.kind == NextHopKind::Tunnel;
    let composite = nh.kind == NextHopKind::Composite;
    Hop {
        id,
        r#type,
        vrf: vrf_of(state, uses, id, nh),
        ref_count: 1 + uses.count.get(&id).copied().unwrap_or(0),
        flags: flags.to_vec(),
        oif: (to_vif || tunnel).then_some(nh.vif),
        data: (to_vif || tunnel).then(|| text::ethernet(nh.dmac, nh.smac, 0x0800)),
        sip: tunnel.then(|| text::ip(nh.sip)),
        dip: tunnel.then(|| text::ip(nh.dip)),
        hash_fields: if composite { hash_fields(nh.hash_fields) } else { Vec::new() },
        members: if composite { members(state, uses, nh) } else { Vec::new() },
        hw_base: composite.then_some(nh.base),
        hw_live: composite.then_some(nh.live),
    }
}

fn members(state: &CardState, uses: &Uses, nh: &NextHop) -> Vec<Option<Member>> {
    let member = |n| {
        let word = state.ecmp_word(nh.base, n)?;
        let tunnel = state
            .tables
            .get::<NextHop>(word.nh.into())
            .is_some_and(|m| m.kind == NextHopKind::Tunnel);
        let label =
            if tunnel { Some(word.label) } else { uses.label.get(&u32::from(word.nh)).copied() };
        Some(Member { next_hop: word.nh, label, draining: word.drain, generation: word.generation })
    };
    (0..u32::from(nh.slots)).map(member).collect()
}

fn hash_fields(bits: u8) -> Vec<HashField> {
    let fields = [
        (hash::FIELD_PROTO, HashField::Protocol),
        (hash::FIELD_SIP, HashField::Source),
        (hash::FIELD_SPORT, HashField::SourcePort),
        (hash::FIELD_DIP, HashField::Destination),
        (hash::FIELD_DPORT, HashField::DestinationPort),
    ];
    fields.iter().filter(|(bit, _)| bits & bit != 0).map(|(_, field)| *field).collect()
}

fn vrf_of(state: &CardState, uses: &Uses, id: u32, nh: &NextHop) -> u16 {
    match nh.kind {
        NextHopKind::Receive | NextHopKind::Encap => {
            state.tables.get::<Vif>(nh.vif.into()).map_or(0, |vif| vif.vrf)
        }
        NextHopKind::Composite | NextHopKind::Reject => uses.vrf.get(&id).copied().unwrap_or(0),
        _ => 0,
    }
}

/// Who uses each next hop, found in one pass.
#[derive(Default)]
struct Uses {
    count: HashMap<u32, u32>,
    vrf: HashMap<u32, u16>,
    label: HashMap<u32, u32>,
}

impl Uses {
    fn of(state: &CardState) -> Self {
        let mut uses = Self::default();
        let hosts =
            state.tables.of::<HostRoute>().values().filter(|r| r.valid).map(|r| (r.nh, r.vrf));
        let prefixes =
            state.tables.of::<Prefix>().values().filter(|r| r.valid).map(|r| (r.nh, r.vrf));
        let defaults = state.tables.of::<DefaultRoute>().iter().filter(|(_, r)| r.valid);
        // Of a VRF's number.
        let defaults = defaults.map(|(vrf, r)| (r.nh, vrf as u16));
        // The lowest VRF of each service network.
        let mut nets: HashMap<u16, u16> = HashMap::new();
        for (vrf, entry) in state.tables.of::<Vrf>().iter().filter(|(_, v)| v.valid) {
            nets.entry(entry.service_net).or_insert(vrf as u16);
        }
        let listeners = state.tables.of::<ServiceKey>().values().filter(|k| k.valid);
        let listeners = listeners.flat_map(|k| {
            let vrf = nets.get(&k.net).copied().unwrap_or(0);
            [k.nh, k.local].into_iter().filter(|nh| *nh != 0).map(move |nh| (nh, vrf))
        });
        for (nh, vrf) in hosts.chain(prefixes).chain(defaults).chain(listeners) {
            *uses.count.entry(nh.into()).or_default() += 1;
            uses.vrf.entry(nh.into()).and_modify(|first| *first = vrf.min(*first)).or_insert(vrf);
        }
        for (label, entry) in state.tables.of::<Ilm>().iter().filter(|(_, e)| e.valid) {
            // Behind a floating IP's label are its listeners' members here, not one next hop.
            let nh = if entry.service { entry.key_nh } else { entry.nh };
            *uses.count.entry(nh.into()).or_default() += 1;
            if !entry.service {
                uses.label.entry(nh.into()).or_insert(label);
            }
        }
        for vif in state.tables.of::<Vif>().values().filter(|v| v.valid && v.nh != 0) {
            *uses.count.entry(vif.nh.into()).or_default() += 1;
        }
        for nh in state
            .tables
            .of::<NextHop>()
            .values()
            .filter(|nh| nh.valid && nh.kind == NextHopKind::Composite)
        {
            for word in (0..u32::from(nh.slots)).filter_map(|n| state.ecmp_word(nh.base, n)) {
                *uses.count.entry(word.nh.into()).or_default() += 1;
            }
        }
        uses
    }
}

impl fmt::Display for Hops {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.next_hops.iter().try_for_each(|hop| write_hop(f, hop))
    }
}

fn write_hop(f: &mut fmt::Formatter<'_>, h: &Hop) -> fmt::Result {
    let pad = " ".repeat(14);
    writeln!(
        f,
        "Id:{:<9}  Type:{:<13}  Fmly:{:>8}  Rid:0  Ref_cnt:{:<10} Vrf:{}",
        h.id, h.r#type, "AF_INET", h.ref_count, h.vrf
    )?;
    writeln!(
        f,
        "{pad}Flags:{}",
        h.flags.iter().map(|flag| format!("{flag}, ")).collect::<String>()
    )?;
    if let (Some(oif), Some(data)) = (h.oif, &h.data) {
        match h.r#type {
            HopKind::Encap => writeln!(
                f,
                "{pad}EncapFmly:0800 Oif:{oif} Len:{ETHERNET_BYTES}\n{pad}Encap Data: {data}"
            )?,
            HopKind::Tunnel => writeln!(f, "{pad}Oif:{oif} Len:{ETHERNET_BYTES} Data:{data}")?,
            _ => writeln!(f, "{pad}Oif:{oif}")?,
        }
    }
    if let (Some(sip), Some(dip)) = (h.sip, h.dip) {
        writeln!(f, "{pad}Sip:{sip} Dip:{dip}")?;
    }
    if h.r#type == HopKind::Composite {
        if !h.hash_fields.is_empty() {
            let fields: Vec<String> = h.hash_fields.iter().map(ToString::to_string).collect();
            writeln!(f, "{pad}Valid Hash Key Parameters: {}", fields.join(","))?;
        }
        write_members(f, &h.members)?;
        if f.alternate() {
            write!(f, "{pad}Hw: Ecmp[{}] slots:{}", h.hw_base.unwrap_or(0), h.members.len())?;
            writeln!(f, " live:{}", h.hw_live.unwrap_or(0))?;
            for (slot, member) in h.members.iter().enumerate() {
                if let Some(m) = member {
                    let drain = if m.draining { ", draining" } else { "" };
                    writeln!(
                        f,
                        "{pad}Hw: slot {slot}: nh {}, generation {}{drain}",
                        m.next_hop, m.generation
                    )?;
                }
            }
        }
    }
    writeln!(f)
}

fn write_members(f: &mut fmt::Formatter<'_>, members: &[Option<Member>]) -> fmt::Result {
    let pad = " ".repeat(14);
    write!(f, "{pad}Sub NH(label):")?;
    let mut printed = 0;
    for member in members {
        if printed > MEMBER_COLUMNS {
            write!(f, "\n{pad}{pad}")?;
            printed = 0;
        }
        let item = match member {
            Some(Member { next_hop, label: Some(label), .. }) => format!(" {next_hop}({label})"),
            Some(Member { next_hop, label: None, .. }) => format!(" {next_hop}"),
            None => " -1".to_owned(),
        };
        printed += item.len();
        write!(f, "{item}")?;
    }
    writeln!(f)
}
