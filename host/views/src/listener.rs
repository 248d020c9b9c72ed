//! Listeners of floating IPs: the card's table `ServiceKey`, which a packet is looked for in before any route.

use std::fmt;
use std::net::Ipv4Addr;

use penstock_abi::table::{ServiceKey, Vrf};
use serde::{Deserialize, Serialize};

use crate::way::{Way, rows, write_members, write_way};
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
    /// Where packets from the fabric go that come by the floating IP's label; none if nobody on this node serves it.
    pub local: Option<Way>,
    /// Why nobody behind it can be reached anew; none if all is well.
    pub why: Option<String>,
    /// Row in the card's table `ServiceKey`.
    pub hw_key: u32,
}

/// The listeners of an address, by service network, protocol and port.
#[must_use]
pub fn of(state: &CardState, address: Ipv4Addr) -> Vec<Listener> {
    let keys = state.tables.of::<ServiceKey>().iter();
    let word = u32::from(address);
    let mut listeners: Vec<Listener> = keys
        .filter(|(_, key)| key.valid && key.ip == word)
        .map(|(row, key)| Listener {
            floating_ip: text::ip(key.ip),
            protocol: key.proto,
            port: key.port,
            service_net: key.net,
            vrfs: vrfs(state, key.net),
            way: Way::of(state, key.nh),
            local: (key.local != 0).then(|| Way::of(state, key.local)),
            why: None,
            hw_key: row,
        })
        .collect();
    listeners.sort_by_key(|l| (l.service_net, l.protocol, l.port, l.hw_key));
    // A key stands twice while it is moved.
    listeners.dedup_by_key(|l| (l.service_net, l.protocol, l.port));
    listeners
}

/// The VRFs of a service network.
fn vrfs(state: &CardState, net: u16) -> Vec<u16> {
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
        match &self.local {
            Some(local) => {
                let n = local.members.len();
                writeln!(f, "  by its label: nh_index {}, members here: {n}", local.next_hop)?;
            }
            None => writeln!(f, "  by its label: dropped, nobody on this node serves it")?,
        }
        writeln!(f, "  Hw: ServiceKey[{}], {}", self.hw_key, rows(&self.way))
    }
}
