//! `explain ip ADDRESS`: what the card does with packets to and from an address, in the order in which it asks.
//!
//! Per VRF: the listeners of the address (asked first), then its route, with the tunnels by which packets from there may come.
//! Then what of the address is on this node: interfaces, floating IPs without port map, and port maps.

use std::collections::BTreeSet;
use std::fmt;
use std::net::Ipv4Addr;

use penstock_abi::table::{FipKey, HostRoute, PlainFip, TableId, Vif, Vrf};
use serde::{Deserialize, Serialize};

use crate::listener::{self, Listener};
use crate::next_hop::HopKind;
use crate::route::{self, RouteTable};
use crate::way::{
    self, Check, Mapping, RouteKind, Sources, Unserved, Way, rows, socket, write_members, write_way,
};
use crate::{CardState, text};

/// Tables that this view reads, besides those of [`way`].
pub const TABLES: &[TableId] = &[
    TableId::HostRoute,
    TableId::Prefix,
    TableId::DefaultRoute,
    TableId::FipKey,
    TableId::PlainFip,
    TableId::Ilm,
];

/// The route that packets to the address take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    /// Network of the route.
    pub network: Ipv4Addr,
    /// Its length.
    pub prefix_len: u8,
    /// Label pushed when the next hop is a tunnel.
    pub label: Option<u32>,
    /// Where it leads.
    #[serde(flatten)]
    pub way: Way,
    /// What becomes of packets for no listener.
    pub unserved: Unserved,
    /// By which tunnels packets from there may come.
    pub sources: Sources,
    /// Table of the card.
    pub hw_table: RouteTable,
    /// Row in it.
    pub hw_index: u32,
}

/// What one VRF does with the address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InVrf {
    /// The VRF.
    pub vrf: u16,
    /// Its service network; 0 = none.
    pub service_net: u16,
    /// How it checks where packets come from.
    pub source_check: Check,
    /// Listeners of the address in that network.
    pub listeners: Vec<Listener>,
    /// The route to the address.
    pub route: Option<Taken>,
}

/// An interface of this node with the address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Here {
    /// Interface.
    pub vif: u8,
    /// Its name.
    pub vif_name: String,
    /// VRF of what it sends.
    pub vrf: u16,
    /// VRF of the floating IP under which it begins connections where only that one has a route.
    pub egress_vrf: Option<u16>,
    /// That floating IP.
    pub egress: Option<Mapping>,
}

/// A translation at an interface of this node that names the address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AtVif {
    /// Interface.
    pub vif: u8,
    /// Its name.
    pub vif_name: String,
    /// Table of the card that has it: `FipKey` for a port, `PlainFip` for the whole address, `Vif` for what the interface begins.
    pub hw_table: String,
    /// Row in it.
    pub hw_index: u32,
    /// IP protocol, of a port map.
    pub protocol: Option<u8>,
    /// The translation.
    pub mapping: Mapping,
}

/// What a card does with an address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// The address.
    pub address: Ipv4Addr,
    /// VRFs that were asked.
    pub vrfs: Vec<InVrf>,
    /// Interfaces of this node with the address.
    pub here: Vec<Here>,
    /// Translations to and from it at interfaces of this node.
    pub translations: Vec<AtVif>,
}

/// What the card does with an address, in all its VRFs or in one.
#[must_use]
pub fn view(state: &CardState, address: Ipv4Addr, only: Option<u16>) -> Address {
    let listeners = listener::of(state, address);
    let vrfs = vrfs(state).into_iter().filter(|vrf| only.is_none_or(|only| only == *vrf));
    let vrfs = vrfs.map(|vrf| in_vrf(state, address, vrf, &listeners)).collect();
    let vifs = state.tables.of::<Vif>().iter().filter(|(_, vif)| vif.valid);
    let word = u32::from(address);
    let here = vifs.filter(|(_, vif)| vif.ip == word && word != 0).map(|(index, vif)| Here {
        vif: index as u8,
        vif_name: state.vif_name(index),
        vrf: vif.vrf,
        egress_vrf: vif.egress.then_some(vif.egress_vrf),
        egress: vif.egress.then(|| way::mapping(state, vif.egress_map)).flatten(),
    });
    Address { address, vrfs, here: here.collect(), translations: translations(state, address) }
}

/// All VRFs that something is in.
fn vrfs(state: &CardState) -> BTreeSet<u16> {
    let vifs = state.tables.of::<Vif>().values().filter(|v| v.valid).map(|v| v.vrf);
    let routes = state.tables.of::<HostRoute>().values().filter(|r| r.valid).map(|r| r.vrf);
    let vrfs = state.tables.of::<Vrf>().iter().filter(|(_, v)| v.valid).map(|(n, _)| n as u16);
    vifs.filter(|vrf| *vrf != 0).chain(routes).chain(vrfs).collect()
}

fn in_vrf(state: &CardState, address: Ipv4Addr, vrf: u16, all: &[Listener]) -> InVrf {
    let entry = state.tables.get::<Vrf>(vrf.into()).filter(|v| v.valid);
    let service_net = entry.map_or(0, |v| v.service_net);
    let listeners = all.iter().filter(|l| service_net != 0 && l.service_net == service_net);
    let route = route::lookup(state, vrf, address, 32).routes.into_iter().next();
    InVrf {
        vrf,
        service_net,
        source_check: Check::of(state, vrf),
        listeners: listeners.cloned().collect(),
        route: route.map(|r| Taken {
            network: r.address,
            prefix_len: r.prefix_len,
            label: r.label,
            way: Way::of(state, r.next_hop),
            unserved: r.unserved,
            sources: Sources::of(state, vrf, r.sources),
            hw_table: r.hw_table,
            hw_index: r.hw_index,
        }),
    }
}

/// Translations at interfaces of this node whose one side is the address.
fn translations(state: &CardState, address: Ipv4Addr) -> Vec<AtVif> {
    let about = |vif: u8, hw_table: &str, hw_index, protocol, map| {
        let mapping = way::mapping(state, map)?;
        let named = mapping.floating.0 == address || mapping.fixed.0 == address;
        let (hw_table, vif_name) = (hw_table.to_owned(), state.vif_name(vif.into()));
        named.then_some(AtVif { vif, vif_name, hw_table, hw_index, protocol, mapping })
    };
    let keys = state.tables.of::<FipKey>().iter().filter(|(_, key)| key.valid);
    let keys = keys.filter_map(|(n, key)| about(key.vif, "FipKey", n, Some(key.proto), key.map));
    let plain = state.tables.of::<PlainFip>().iter().filter(|(_, key)| key.valid);
    let plain = plain.filter_map(|(n, key)| about(key.vif, "PlainFip", n, None, key.map));
    let vifs = state.tables.of::<Vif>().iter().filter(|(_, vif)| vif.valid && vif.egress);
    let vifs = vifs.filter_map(|(n, vif)| about(n as u8, "Vif", n, None, vif.egress_map));
    let mut all: Vec<AtVif> = keys.chain(plain).chain(vifs).collect();
    all.sort_by_key(|t| (t.vif, t.mapping.floating, t.protocol, t.hw_table.clone(), t.hw_index));
    all
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Address {}", self.address)?;
        for here in &self.here {
            write!(f, "  vif0/{} ({}) of this node, VRF {}", here.vif, here.vif_name, here.vrf)?;
            if let (Some(vrf), Some(egress)) = (here.egress_vrf, &here.egress) {
                let floating = socket(egress.floating);
                write!(
                    f,
                    "; begins connections to VRF {vrf} as {floating}, if that has the longer route"
                )?;
            }
            writeln!(f)?;
        }
        for vrf in &self.vrfs {
            writeln!(f)?;
            write_vrf(f, vrf, self.address)?;
        }
        if !self.translations.is_empty() {
            writeln!(f, "\nTranslations at interfaces of this node")?;
        }
        for t in &self.translations {
            let (floating, fixed) = (socket(t.mapping.floating), socket(t.mapping.fixed));
            let arrow = if t.hw_table == "Vif" { "<-" } else { "->" };
            let what = match (t.protocol, t.hw_table.as_str()) {
                (Some(protocol), _) => text::protocol(protocol),
                (None, "Vif") => "begun by the interface, every protocol and port".to_owned(),
                _ => "every protocol and port".to_owned(),
            };
            writeln!(f, "  vif0/{} ({}): {floating} {arrow} {fixed}, {what}", t.vif, t.vif_name)?;
            let map = t.mapping.hw_map;
            writeln!(f, "    Hw: {}[{}], FipMap[{map}]", t.hw_table, t.hw_index)?;
        }
        Ok(())
    }
}

fn write_vrf(f: &mut fmt::Formatter<'_>, vrf: &InVrf, address: Ipv4Addr) -> fmt::Result {
    write!(f, "VRF {}: ", vrf.vrf)?;
    match vrf.service_net {
        0 => write!(f, "no service network")?,
        net => write!(f, "service network {net}")?,
    }
    writeln!(f, ", source check {}", vrf.source_check)?;
    for listener in &vrf.listeners {
        let text = listener.to_string();
        text.lines().try_for_each(|line| writeln!(f, "  {line}"))?;
    }
    let Some(r) = &vrf.route else { return writeln!(f, "  no route: dropped") };
    writeln!(f, "  Prefix: {}/{}", r.network, r.prefix_len)?;
    write_way(f, "    ", &r.way)?;
    if !matches!(r.way.r#type, RouteKind::Missing | RouteKind::Hop(HopKind::Drop | HopKind::Reject))
        && !r.way.to.is_empty()
    {
        let label = r.label.map_or_else(String::new, |l| format!(" label {l}"));
        writeln!(f, "    to: {}{label}", r.way.to)?;
    }
    write_members(f, "    ", &r.way)?;
    match r.unserved {
        Unserved::Forward => {}
        Unserved::Reject => writeln!(f, "    ports and protocols of no listener: refused")?,
        Unserved::Drop => writeln!(f, "    ports and protocols of no listener: dropped")?,
    }
    writeln!(f, "    packets from {address} come by: {}", r.sources)?;
    let (rows, set) = (rows(&r.way), r.sources.set);
    writeln!(f, "    Hw: {}[{}], {rows}, sources {set}", r.hw_table, r.hw_index)
}
