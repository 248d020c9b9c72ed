//! Listeners of floating IPs: the card's table `ServiceKey`, which a packet is looked for in before any route.

use std::collections::BTreeMap;
use std::fmt;
use std::net::Ipv4Addr;

use penstock_abi::affinity::UNIT_LOG2;
use penstock_abi::table::{HostRoute, Ilm, NextHop, ServiceKey, Vrf};
use serde::{Deserialize, Serialize};

use crate::way::{Unserved, Way, rows, write_members, write_way};
use crate::{CardState, text};

/// A listener of a floating IP, and where its packets go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listener {
    /// Floating IP.
    pub floating_ip: Ipv4Addr,
    /// IP protocol.
    pub protocol: u8,
    /// Port of the service.
    pub port: u16,
    /// Service network.
    pub service_net: u16,
    /// VRFs whose packets meet it.
    pub vrfs: Vec<u16>,
    /// Where packets from this node's interfaces go.
    pub way: Way,
    /// The floating IP's labels, which other nodes may send to: one for each VRF whose packets meet the listener, at most.
    #[serde(default)]
    pub labels: Vec<u32>,
    /// Where packets from the fabric go that come by the floating IP's label; none if nobody on this node serves it.
    pub local: Option<Way>,
    /// How clients are kept at their members; none if they are not.
    #[serde(default)]
    pub affinity: Option<Affinity>,
    /// Why nobody behind it can be reached anew; none if all is well.
    pub why: Option<String>,
    /// Row in the card's table `ServiceKey`.
    pub hw_key: u32,
}

/// How a listener's clients are kept at their members.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Affinity {
    /// Seconds after a client's last new connection until it may be sent to another member, as the card counts them.
    pub seconds: u64,
    /// Its number in the card's table `Affinity`.
    pub number: u16,
}

impl Affinity {
    fn of(state: &CardState, key: &ServiceKey) -> Option<Self> {
        let group = state.tables.get::<NextHop>(key.nh.into())?;
        let time = u64::from(group.affinity_time());
        if key.affinity == 0 || time == 0 {
            return None;
        }
        let hz = u64::from(state.tables.shape().clock_khz.max(1)) * 1000;
        Some(Self { seconds: (time << UNIT_LOG2) / hz, number: key.affinity })
    }
}

/// The listeners of an address, by service network, protocol and port.
#[must_use]
pub fn of(state: &CardState, address: Ipv4Addr) -> Vec<Listener> {
    let keys = state.tables.of::<ServiceKey>().iter();
    let word = u32::from(address);
    let own = labels(state);
    let mut listeners: Vec<Listener> = keys
        .filter(|(_, key)| key.valid && key.ip == word)
        .map(|(row, key)| Listener {
            floating_ip: text::ip(key.ip),
            protocol: key.proto,
            port: key.port,
            service_net: key.net,
            vrfs: vrfs(state, key.net),
            way: Way::of(state, key.nh),
            labels: labels_in(&own, &vrfs(state, key.net), key.ip),
            local: (key.local != 0).then(|| Way::of(state, key.local)),
            affinity: Affinity::of(state, key),
            why: None,
            hw_key: row,
        })
        .collect();
    listeners.sort_by_key(|l| (l.service_net, l.protocol, l.port, l.hw_key));
    // A key stands twice while it is moved.
    listeners.dedup_by_key(|l| (l.service_net, l.protocol, l.port));
    listeners
}

/// Labels of floating IPs, by VRF and address.
pub(crate) fn labels(state: &CardState) -> BTreeMap<(u16, u32), u32> {
    let own = state.tables.of::<Ilm>().iter().filter(|(_, entry)| entry.valid && entry.service);
    // The next hop in the keys of its flows is that of the floating IP's route.
    let by_route: BTreeMap<(u16, u16), u32> =
        own.map(|(label, entry)| ((entry.vrf, entry.key_nh), label)).collect();
    let routes = state.tables.of::<HostRoute>().values().filter(|route| route.valid);
    let lives = routes.filter(|route| Unserved::from(route.service) != Unserved::Forward);
    lives.filter_map(|r| Some(((r.vrf, r.ip), *by_route.get(&(r.vrf, r.nh))?))).collect()
}

/// Those of a floating IP in some VRFs.
pub(crate) fn labels_in(own: &BTreeMap<(u16, u32), u32>, vrfs: &[u16], ip: u32) -> Vec<u32> {
    vrfs.iter().filter_map(|vrf| own.get(&(*vrf, ip)).copied()).collect()
}

/// The VRFs of a service network.
pub(crate) fn vrfs(state: &CardState, net: u16) -> Vec<u16> {
    let vrfs = state.tables.of::<Vrf>().iter();
    vrfs.filter(|(_, v)| v.valid && v.service_net == net).map(|(vrf, _)| vrf as u16).collect()
}

impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let vrfs: Vec<String> = self.vrfs.iter().map(ToString::to_string).collect();
        let vrfs =
            if vrfs.is_empty() { "no VRF".to_owned() } else { format!("VRF {}", vrfs.join(", ")) };
        let protocol = text::protocol(self.protocol);
        write!(f, "Listener {}:{}/{protocol}", self.floating_ip, self.port)?;
        writeln!(f, " of service network {} ({vrfs})", self.service_net)?;
        write_way(f, "  ", &self.way)?;
        if let Some(why) = &self.why {
            writeln!(f, "  Why: {why}")?;
        }
        write_members(f, "  ", &self.way)?;
        let labels: Vec<String> = self.labels.iter().map(ToString::to_string).collect();
        let labels = labels.join(", ");
        match &self.local {
            _ if labels.is_empty() => writeln!(f, "  by a label of its own: it has none here")?,
            Some(local) => {
                let (nh, n) = (local.next_hop, local.members.len());
                writeln!(f, "  by its label {labels}: nh_index {nh}, members here: {n}")?;
            }
            None => {
                writeln!(f, "  by its label {labels}: dropped, nobody on this node serves it")?;
            }
        }
        if let Some(Affinity { seconds, number }) = &self.affinity {
            writeln!(f, "  Affinity: by client, {seconds} s; Hw: number {number}")?;
        }
        writeln!(f, "  Hw: ServiceKey[{}], {}", self.hw_key, rows(&self.way))
    }
}
