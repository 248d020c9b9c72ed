//! `vrf`, `svc`, `source` and `fip`: dumps of the tables that only this card has, in the manner of `mpls --dump`.

use std::collections::BTreeMap;
use std::fmt;
use std::net::Ipv4Addr;

use penstock_abi::table::{PlainFip, ServiceKey, TableId, TunnelSource, Vrf};
use serde::{Deserialize, Serialize};

use crate::way::{self, Check, Mapping, socket};
use crate::{CardState, listener, text};

/// Tables that these views read.
pub const TABLES: &[TableId] = &[
    TableId::Vrf,
    TableId::ServiceKey,
    TableId::TunnelSource,
    TableId::PlainFip,
    TableId::FipMap,
    TableId::Ilm,
    TableId::HostRoute,
];

/// What holds for one VRF.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VrfEntry {
    /// The VRF.
    pub vrf: u16,
    /// Service network; 0 = none.
    pub service_net: u16,
    /// By which tunnels packets may come.
    pub source_check: Check,
}

/// The VRFs that the card knows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vrfs {
    /// VRFs, ascending.
    pub vrfs: Vec<VrfEntry>,
}

/// All VRFs.
#[must_use]
pub fn vrfs(state: &CardState) -> Vrfs {
    let vrfs = state.tables.of::<Vrf>().iter().filter(|(_, v)| v.valid);
    let entry = |(vrf, v): (u32, &Vrf)| VrfEntry {
        vrf: vrf as u16,
        service_net: v.service_net,
        source_check: v.source_check.into(),
    };
    Vrfs { vrfs: vrfs.map(entry).collect() }
}

impl fmt::Display for Vrfs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "VRF Table\n\n     VRF    Service Net    Source Check")?;
        writeln!(f, "---------------------------------------")?;
        for v in &self.vrfs {
            writeln!(f, "{:>8}    {:>11}    {:>12}", v.vrf, v.service_net, v.source_check)?;
        }
        Ok(())
    }
}

/// A listener's row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListenerEntry {
    /// Service network.
    pub service_net: u16,
    /// Floating IP.
    pub floating_ip: Ipv4Addr,
    /// IP protocol.
    pub protocol: u8,
    /// Port of the service.
    pub port: u16,
    /// Next hop of packets from interfaces.
    pub next_hop: u16,
    /// The floating IP's label; none if it has none on this node.
    #[serde(default)]
    pub label: Option<u32>,
    /// Next hop of packets from the fabric that come by it; 0 = nobody on this node serves it.
    pub local_next_hop: u16,
    /// Row in the card's table `ServiceKey`.
    pub hw_index: u32,
}

/// The table of listeners.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listeners {
    /// Listeners, by service network, address, protocol and port.
    pub listeners: Vec<ListenerEntry>,
}

/// All listeners.
#[must_use]
pub fn listeners(state: &CardState) -> Listeners {
    let keys = state.tables.of::<ServiceKey>().iter().filter(|(_, k)| k.valid);
    let own = listener::labels(state);
    let mut vrfs: BTreeMap<u16, Vec<u16>> = BTreeMap::new();
    let mut listeners: Vec<ListenerEntry> = keys
        .map(|(hw_index, k)| ListenerEntry {
            service_net: k.net,
            floating_ip: text::ip(k.ip),
            protocol: k.proto,
            port: k.port,
            next_hop: k.nh,
            label: {
                let vrfs = vrfs.entry(k.net).or_insert_with(|| listener::vrfs(state, k.net));
                listener::labels_in(&own, vrfs, k.ip).first().copied()
            },
            local_next_hop: k.local,
            hw_index,
        })
        .collect();
    listeners.sort_by_key(|l| (l.service_net, l.floating_ip, l.protocol, l.port, l.hw_index));
    Listeners { listeners }
}

impl fmt::Display for Listeners {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Service Key Table\n")?;
        writeln!(f, "     Net    Address:Port             Proto    NextHop      Local    Label")?;
        writeln!(f, "----------------------------------------------------------------------")?;
        for l in &self.listeners {
            let address = format!("{}:{}", l.floating_ip, l.port);
            let protocol = text::protocol(l.protocol);
            write!(f, "{:>8}    {address:<21}    {protocol:>5}", l.service_net)?;
            let local = match l.local_next_hop {
                0 => "-".to_owned(),
                nh => nh.to_string(),
            };
            let label = l.label.map_or_else(|| "-".to_owned(), |label| label.to_string());
            writeln!(f, "    {:>7}    {local:>7}    {label:>5}", l.next_hop)?;
            if f.alternate() {
                writeln!(f, "            Hw: ServiceKey[{}]", l.hw_index)?;
            }
        }
        Ok(())
    }
}

/// Tunnels of one set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceSet {
    /// The set; 1 has all that are known.
    pub set: u16,
    /// Outer source addresses.
    pub tunnels: Vec<Ipv4Addr>,
}

/// Tunnels by which packets may come, as routes name them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceSets {
    /// Sets, ascending.
    pub sets: Vec<SourceSet>,
}

/// All sets of sources, or one.
#[must_use]
pub fn sources(state: &CardState, only: Option<u16>) -> SourceSets {
    let sources = state.tables.of::<TunnelSource>().values();
    let valid = sources.filter(|s| s.valid && only.is_none_or(|only| only == s.set));
    let mut all: Vec<(u16, u32)> = valid.map(|s| (s.set, s.ip)).collect();
    all.sort_unstable();
    // A key stands twice while it is moved.
    all.dedup();
    let sets = all.chunk_by(|a, b| a.0 == b.0).map(|set| SourceSet {
        set: set[0].0,
        tunnels: set.iter().map(|s| text::ip(s.1)).collect(),
    });
    SourceSets { sets: sets.collect() }
}

impl fmt::Display for SourceSets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Tunnel Source Table\n\n     Set    Tunnel\n---------------------------")?;
        for set in &self.sets {
            for tunnel in &set.tunnels {
                writeln!(f, "{:>8}    {tunnel}", set.set)?;
            }
        }
        Ok(())
    }
}

/// A floating IP without port map, at an interface of this node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plain {
    /// Interface.
    pub vif: u8,
    /// Its name.
    pub vif_name: String,
    /// Floating IP.
    pub floating_ip: Ipv4Addr,
    /// Mapping; none if there is none, so that packets are dropped.
    pub mapping: Option<Mapping>,
    /// Row in the card's table `PlainFip`.
    pub hw_index: u32,
}

/// Floating IPs without port map.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlainFips {
    /// By interface and address.
    pub floating_ips: Vec<Plain>,
}

/// All floating IPs without port map.
#[must_use]
pub fn plain_fips(state: &CardState) -> PlainFips {
    let entries = state.tables.of::<PlainFip>().iter().filter(|(_, p)| p.valid);
    let mut floating_ips: Vec<Plain> = entries
        .map(|(hw_index, p)| Plain {
            vif: p.vif,
            vif_name: state.vif_name(p.vif.into()),
            floating_ip: text::ip(p.ip),
            mapping: way::mapping(state, p.map),
            hw_index,
        })
        .collect();
    floating_ips.sort_by_key(|p| (p.vif, p.floating_ip, p.hw_index));
    PlainFips { floating_ips }
}

impl fmt::Display for PlainFips {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Floating IPs without port map\n")?;
        writeln!(f, "     Vif    Floating IP        Fixed IP")?;
        writeln!(f, "-------------------------------------------")?;
        for p in &self.floating_ips {
            let fixed = p.mapping.map_or_else(|| "-".to_owned(), |m| socket(m.fixed));
            writeln!(f, "{:>8}    {:<15}    {fixed}", p.vif, p.floating_ip)?;
            if f.alternate() {
                let map = p.mapping.map_or(0, |m| m.hw_map);
                writeln!(f, "            Hw: PlainFip[{}], FipMap[{map}]", p.hw_index)?;
            }
        }
        Ok(())
    }
}
