//! `vif --list | --get N`: interfaces of the card and their counters.

use std::fmt;
use std::net::Ipv4Addr;

use penstock_abi::limits::GATEWAY_MAC;
use penstock_abi::table::{LearnPolicy, NextHop, NextHopKind, TableId, Vif, VifKind, VifStats};
use serde::{Deserialize, Serialize};

use crate::share::FlowShareUse;
use crate::words::{concat, words};
use crate::{CardState, text};

/// Tables that this view reads.
pub const TABLES: &[TableId] = &[
    TableId::Vif,
    TableId::VifStats,
    TableId::NextHop,
    TableId::FlowShare,
    TableId::FlowShareStats,
];

/// A VRF number that means none.
const NO_VRF: u32 = 65535;

const LEGEND: &str = "\
Vrouter Interface Table

Flags: P=Policy, X=Cross Connect, S=Service Chain, Mr=Receive Mirror
       Mt=Transmit Mirror, Tc=Transmit Checksum Offload, L3=Layer 3, L2=Layer 2
       D=DHCP, Vp=Vhost Physical, Pr=Promiscuous, Vnt=Native Vlan Tagged
       Mnp=No MAC Proxy, Dpdk=DPDK PMD Interface, Rfl=Receive Filtering Offload, Mon=Interface is Monitored
       Uuf=Unknown Unicast Flood, Vof=VLAN insert/strip offload, Df=Drop New Flows, L=MAC Learning Enabled
       Proxy=MAC Requests Proxied Always, Er=Etree Root, Mn=Mirror without Vlan Tag, HbsL=HBS Left Intf
       HbsR=HBS Right Intf, Ig=Igmp Trap Enabled, Ml=MAC-IP Learning Enabled
";

words! {
    /// Type of an interface, in `vif`'s words.
    pub enum InterfaceKind {
        /// To the fabric.
        Physical = "Physical",
        /// The node's own.
        Host = "Host",
        /// The firmware's.
        Agent = "Agent",
        /// A pod's.
        Virtual = "Virtual",
    }
}

words! {
    /// Flag of an interface, in the letters of the legend.
    pub enum InterfaceFlag {
        /// Flows are looked up.
        Policy = "P",
        /// What is not for the card crosses over to the other side.
        CrossConnect = "X",
        /// Routed.
        Layer3 = "L3",
        /// The fabric's side of `vhost0`.
        VhostPhysical = "Vp",
        /// Makes no flows.
        DropNewFlows = "Df",
    }
}

words! {
    /// Which packets make flows.
    pub enum Learning {
        /// All.
        Always = "always",
        /// Those to or of a service.
        Translated = "translated",
        /// None.
        Never = "never",
    }
}

/// One interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interface {
    /// vif number.
    pub index: u32,
    /// Name, from the node file.
    pub name: String,
    /// What is behind it.
    pub r#type: InterfaceKind,
    /// Next hop in the keys of its flows; none if 0.
    pub next_hop: Option<u16>,
    /// MAC address of the interface itself; towards pods the virtual gateway's.
    pub hw_address: String,
    /// MAC address of the pod behind it.
    pub peer_mac: Option<String>,
    /// IPv4 address behind it.
    pub ip_address: Ipv4Addr,
    /// VRF; 65535 = none.
    pub vrf: u32,
    /// Multicast VRF; 65535 = none.
    pub mcast_vrf: u32,
    /// Flags.
    pub flags: Vec<InterfaceFlag>,
    /// Entries that name this interface, and one.
    pub ref_count: u32,
    /// Source addresses other than `ip_address` are dropped.
    pub source_check: bool,
    /// Which of its packets make flows.
    pub learning: Learning,
    /// VRF in which it begins connections under a floating IP, where only that one's network has a route.
    pub egress_vrf: Option<u16>,
    /// Row of that floating IP in the card's table `FipMap`.
    pub egress_map: Option<u16>,
    /// Frames received from it.
    pub rx_packets: u64,
    /// Bytes received from it.
    pub rx_bytes: u64,
    /// Frames sent to it.
    pub tx_packets: u64,
    /// Bytes sent to it.
    pub tx_bytes: u64,
    /// Frames received from it and dropped.
    pub drops: u64,
    /// What it has of the flow table; not of a card that does not count it.
    pub flows: Option<FlowShareUse>,
}

/// Interfaces of a card.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interfaces {
    /// Interfaces, by number.
    pub interfaces: Vec<Interface>,
}

/// All interfaces, or one.
#[must_use]
pub fn view(state: &CardState, only: Option<u32>) -> Interfaces {
    let interfaces = state
        .tables
        .of::<Vif>()
        .iter()
        .filter(|(index, vif)| vif.valid && only.is_none_or(|only| only == *index))
        .map(|(index, vif)| {
            use InterfaceFlag::{CrossConnect, Layer3, Policy, VhostPhysical};
            let (r#type, flags, has_vrf, far_end): (_, &[_], _, _) = match vif.kind {
                VifKind::Fabric | VifKind::Undefined(_) => {
                    (InterfaceKind::Physical, &[CrossConnect, Layer3, VhostPhysical], true, false)
                }
                VifKind::Vhost => (InterfaceKind::Host, &[CrossConnect, Layer3], true, false),
                VifKind::Packet => (InterfaceKind::Agent, &[Layer3], false, false),
                VifKind::Virtual => (InterfaceKind::Virtual, &[Policy, Layer3], true, true),
            };
            let stats = state.tables.of::<VifStats>().at(index);
            let users = state.tables.of::<NextHop>().values().filter(|nh| {
                nh.valid
                    && matches!(nh.kind, NextHopKind::Encap | NextHopKind::Receive)
                    && u32::from(nh.vif) == index
            });
            let learning = match vif.learn {
                LearnPolicy::Always | LearnPolicy::Undefined(_) => Learning::Always,
                LearnPolicy::Translated => Learning::Translated,
                LearnPolicy::Never => Learning::Never,
            };
            let drops_new = (learning == Learning::Never).then_some(InterfaceFlag::DropNewFlows);
            let vrf = if has_vrf { u32::from(vif.vrf) } else { NO_VRF };
            Interface {
                index,
                name: state.vif_name(index),
                r#type,
                next_hop: (vif.nh != 0).then_some(vif.nh),
                hw_address: if far_end {
                    GATEWAY_MAC.map(|b| format!("{b:02x}")).join(":")
                } else {
                    text::mac(vif.mac)
                },
                peer_mac: far_end.then(|| text::mac(vif.mac)),
                ip_address: text::ip(vif.ip),
                vrf,
                mcast_vrf: if far_end { vrf } else { NO_VRF },
                flags: flags.iter().copied().chain(drops_new).collect(),
                ref_count: 1 + users.count() as u32,
                source_check: vif.rpf,
                learning,
                egress_vrf: vif.egress.then_some(vif.egress_vrf),
                egress_map: vif.egress.then_some(vif.egress_map),
                rx_packets: stats.rx_packets,
                rx_bytes: stats.rx_bytes,
                tx_packets: stats.tx_packets,
                tx_bytes: stats.tx_bytes,
                drops: stats.drops,
                flows: FlowShareUse::of(state, index),
            }
        })
        .collect();
    Interfaces { interfaces }
}

impl fmt::Display for Interfaces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{LEGEND}")?;
        for interface in &self.interfaces {
            write_interface(f, interface)?;
        }
        Ok(())
    }
}

fn write_interface(f: &mut fmt::Formatter<'_>, i: &Interface) -> fmt::Result {
    let pad = " ".repeat(12);
    write!(f, "{:<12}OS: {}", format!("vif0/{}", i.index), i.name)?;
    if let Some(nh) = i.next_hop {
        write!(f, " NH: {nh}")?;
    }
    writeln!(f)?;
    writeln!(f, "{pad}Type:{} HWaddr:{} IPaddr:{}", i.r#type, i.hw_address, i.ip_address)?;
    writeln!(
        f,
        "{pad}Vrf:{} Mcast Vrf:{} Flags:{} QOS:-1 Ref:{}",
        i.vrf,
        i.mcast_vrf,
        concat(&i.flags),
        i.ref_count
    )?;
    writeln!(f, "{pad}RX packets:{}  bytes:{} errors:0", i.rx_packets, i.rx_bytes)?;
    writeln!(f, "{pad}TX packets:{}  bytes:{} errors:0", i.tx_packets, i.tx_bytes)?;
    writeln!(f, "{pad}Drops:{}", i.drops)?;
    if f.alternate()
        && let Some(peer) = &i.peer_mac
    {
        let check = if i.source_check { "on" } else { "off" };
        writeln!(f, "{pad}Hw: Peer MAC:{peer} Source check:{check} Learning:{}", i.learning)?;
    }
    if let (true, Some(vrf), Some(map)) = (f.alternate(), i.egress_vrf, i.egress_map) {
        writeln!(f, "{pad}Hw: Egress VRF:{vrf} by FipMap[{map}]")?;
    }
    if let (true, Some(flows)) = (f.alternate(), i.flows) {
        writeln!(f, "{pad}Hw: {flows}")?;
    }
    writeln!(f)
}
