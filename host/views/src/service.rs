//! `explain svc NS/NAME`: a service from its floating IPs down to the card's rows.
//!
//! For the chapter's service the text reads `Prefix: 10.105.139.153/32`, `ECMP Composite sub nh count: 2`, `nh_index: 87`,
//! then one line a member and the `fip_list` of the local backends with their port maps, as the introspect pages of a
//! Contrail node show them. Between them stands each listener with the group that its packets go to.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use penstock_abi::table::{FipKey, FipMap, HostRoute, TableId};
use serde::{Deserialize, Serialize};

use crate::listener::{self, Listener};
use crate::next_hop::HopKind;
use crate::way::{self, RouteKind, Sources, Unserved, Way, rows, write_members, write_way};
use crate::{CardState, text};

/// Tables that this view reads, besides those of [`way`].
pub const TABLES: &[TableId] =
    &[TableId::HostRoute, TableId::ServiceKey, TableId::FipKey, TableId::Ilm];

/// What is known of a service before looking at the card.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// `NAMESPACE/NAME`.
    pub name: String,
    /// Floating IPs: the cluster IP, then external ones.
    pub floating_ips: Vec<IpAddr>,
    /// Ports as people write them, e.g. `8888/TCP -> 80`.
    pub ports: Vec<String>,
    /// Endpoints over all ports, each counted once.
    pub endpoints: usize,
    /// What of it is not served, and why.
    #[serde(default)]
    pub notes: Vec<String>,
    /// Floating IPs at which it is not served, and why: what the card has there is somebody else's.
    #[serde(default)]
    pub denied: BTreeMap<IpAddr, String>,
}

/// The services that are known, before looking at the card.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Services {
    /// Services, by name.
    pub services: Vec<Intent>,
}

/// The route to a floating IP in one VRF. No packet follows it if the floating IP lives by its listeners: it is there to be shown, and
/// says who may answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceRoute {
    /// Floating IP.
    pub floating_ip: Ipv4Addr,
    /// VRF.
    pub vrf: u16,
    /// Where it leads: the members of all listeners.
    #[serde(flatten)]
    pub way: Way,
    /// What becomes of packets for no listener.
    pub unserved: Unserved,
    /// By which tunnels answers may come.
    pub sources: Sources,
    /// Why nobody behind it can be reached anew, or that the route is somebody else's; none if all is well.
    pub why: Option<String>,
    /// Row of the route in the card's table `HostRoute`.
    pub hw_route: u32,
}

/// One port mapping of a local backend, for packets that another node sends to it by its own label.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortMap {
    /// Interface of the backend.
    pub vif: u8,
    /// Its name.
    pub vif_name: String,
    /// Floating IP.
    pub floating_ip: Ipv4Addr,
    /// Backend's address.
    pub fixed_ip: Ipv4Addr,
    /// Port of the service.
    pub nat_port: u16,
    /// IP protocol.
    pub protocol: u8,
    /// Port of the backend.
    pub port: u16,
    /// Row in the card's table `FipKey`.
    pub hw_key: u32,
    /// Row in the card's table `FipMap`.
    pub hw_map: u16,
    /// Generation of the mapping.
    pub generation: u8,
}

/// A service as the card has it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// What was asked for.
    pub intent: Intent,
    /// Routes to its floating IPs.
    pub routes: Vec<ServiceRoute>,
    /// Their listeners.
    pub listeners: Vec<Listener>,
    /// Port mappings of the backends on this node.
    pub port_maps: Vec<PortMap>,
}

/// A service on the card.
#[must_use]
pub fn view(state: &CardState, intent: Intent) -> Service {
    let mut service = Service::default();
    for address in &intent.floating_ips {
        // The card knows no other; of these, the notes say that they are not served.
        let IpAddr::V4(fip) = *address else { continue };
        let word = u32::from(fip);
        let denied = intent.denied.get(address);
        let mut listeners = if denied.is_some() { Vec::new() } else { listener::of(state, fip) };
        for listener in &mut listeners {
            listener.why = why_nobody(&listener.way)
                .filter(|_| intent.endpoints > 0)
                .or_else(|| way::why(state, listener.way.next_hop, intent.endpoints));
        }
        for (row, route) in
            state.tables.of::<HostRoute>().iter().filter(|(_, r)| r.valid && r.ip == word)
        {
            service.routes.push(ServiceRoute {
                floating_ip: fip,
                vrf: route.vrf,
                way: Way::of(state, route.nh),
                unserved: route.service.into(),
                sources: Sources::of(state, route.vrf, route.sources),
                why: match denied {
                    Some(note) => Some(format!("this is not the service's route: {note}")),
                    None => way::why(state, route.nh, intent.endpoints),
                },
                hw_route: row,
            });
        }
        service.listeners.extend(listeners);
        if intent.denied.contains_key(address) {
            continue;
        }
        for (row, key) in
            state.tables.of::<FipKey>().iter().filter(|(_, k)| k.valid && k.ip == word)
        {
            // A key that only marks a backend names a mapping that is not its own.
            let own = |m: &&FipMap| m.valid && (m.vip, m.vip_port) == (key.ip, key.port);
            let Some(map) = state.tables.get::<FipMap>(key.map.into()).filter(own) else {
                continue;
            };
            service.port_maps.push(PortMap {
                vif: key.vif,
                vif_name: state.vif_name(key.vif.into()),
                floating_ip: fip,
                fixed_ip: text::ip(map.pod_ip),
                nat_port: key.port,
                protocol: key.proto,
                port: map.pod_port,
                hw_key: row,
                hw_map: key.map,
                generation: map.generation,
            });
        }
    }
    service.routes.sort_by_key(|r| (r.floating_ip, r.vrf));
    service.port_maps.sort_by_key(|m| (m.floating_ip, m.vif, m.protocol, m.nat_port));
    service.intent = intent;
    service
}

/// Why one listener refuses, of a service that has endpoints for others.
fn why_nobody(way: &Way) -> Option<String> {
    let refuses = way.r#type == RouteKind::Hop(HopKind::Reject);
    refuses.then(|| "no endpoint serves this port: connections are refused".to_owned())
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fips: Vec<String> = self.intent.floating_ips.iter().map(ToString::to_string).collect();
        writeln!(f, "Service {}  floating IP {}", self.intent.name, fips.join(", "))?;
        for port in &self.intent.ports {
            writeln!(f, "  port {port}")?;
        }
        for note in &self.intent.notes {
            writeln!(f, "  Note: {note}")?;
        }
        for r in &self.routes {
            writeln!(f, "\nPrefix: {}/32 in VRF {}", r.floating_ip, r.vrf)?;
            write_way(f, "  ", &r.way)?;
            if let Some(why) = &r.why {
                writeln!(f, "  Why: {why}")?;
            }
            write_members(f, "  ", &r.way)?;
            match r.unserved {
                Unserved::Forward => {}
                Unserved::Reject => writeln!(f, "  ports and protocols of no listener: refused")?,
                Unserved::Drop => writeln!(f, "  ports and protocols of no listener: dropped")?,
            }
            writeln!(f, "  answers come by: {}", r.sources)?;
            let (rows, set) = (rows(&r.way), r.sources.set);
            writeln!(f, "  Hw: HostRoute[{}], {rows}, sources {set}", r.hw_route)?;
        }
        if self.routes.is_empty() {
            writeln!(f, "\nThe card has no route to it.")?;
        }
        for listener in &self.listeners {
            write!(f, "\n{listener}")?;
        }
        if !self.port_maps.is_empty() {
            writeln!(f, "\nfip_list of the backends on this node")?;
        }
        for m in &self.port_maps {
            writeln!(
                f,
                "  vif0/{} ({}): ip_addr {} fixed_ip {} port_map {{nat_port {}, protocol {}, port {}}}",
                m.vif, m.vif_name, m.floating_ip, m.fixed_ip, m.nat_port, m.protocol, m.port
            )?;
            writeln!(
                f,
                "    Hw: FipKey[{}], FipMap[{}] generation {}",
                m.hw_key, m.hw_map, m.generation
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use penstock_abi::table::{EcmpSlot, NextHop, NextHopKind};

    use super::*;

    fn shown(kind: Option<NextHopKind>, endpoints: usize) -> Service {
        let mut state = CardState::default();
        let fip = Ipv4Addr::new(10, 105, 139, 153);
        state.tables.put(
            4,
            HostRoute { valid: true, vrf: 2, ip: fip.into(), nh: 9, ..HostRoute::default() },
        );
        if let Some(kind) = kind {
            state.tables.put(9, NextHop { valid: true, kind, ..NextHop::default() });
        }
        let intent = Intent {
            name: "shop/web".to_owned(),
            floating_ips: vec![fip.into()],
            endpoints,
            notes: vec!["no vif is known for endpoint 10.9.9.9, passed over".to_owned()],
            ..Intent::default()
        };
        view(&state, intent)
    }

    #[test]
    fn a_route_that_leads_to_nobody_says_why() {
        let why =
            |kind, endpoints| shown(kind, endpoints).routes[0].why.clone().unwrap_or_default();
        let reject = Some(NextHopKind::Reject);
        assert_eq!(why(reject, 0), "the service has no endpoints: connections are refused");
        assert_eq!(
            why(reject, 2),
            "none of its 2 endpoints is known to this node: connections are refused"
        );
        assert!(why(Some(NextHopKind::Discard), 2).contains("not resolved"));
        assert!(why(None, 2).contains("missing on the card"));
        let text = shown(reject, 2).to_string();
        assert!(text.contains("  Reject\n  nh_index: 9\n  Why: none of its 2 endpoints"), "{text}");
        assert!(text.contains("  Note: no vif is known for endpoint 10.9.9.9"), "{text}");
    }

    #[test]
    fn a_route_says_what_it_leads_to() {
        for (kind, word) in [(None, "missing"), (Some(NextHopKind::Reject), "Reject")] {
            let shown = shown(kind, 0).routes[0].way.r#type;
            let json = serde_json::to_value(shown).unwrap();
            assert_eq!((json.as_str(), shown.to_string().as_str()), (Some(word), word));
            assert_eq!(serde_json::from_value::<RouteKind>(json).unwrap(), shown);
        }
    }

    #[test]
    fn a_group_of_which_nobody_takes_new_connections_says_so() {
        let fip = Ipv4Addr::new(10, 105, 139, 153);
        // Two members of a node in slots 0 and 1, and behind them what new connections lead to.
        let why = |drain: [bool; 2], live: &[u16]| {
            let mut state = CardState::default();
            let kinds = [
                (0, NextHopKind::Discard),
                (5, NextHopKind::Reject),
                (7, NextHopKind::Encap),
                (8, NextHopKind::Encap),
            ];
            for (id, kind) in kinds {
                state.tables.put(id, NextHop { valid: true, kind, ..NextHop::default() });
            }
            let group = NextHop {
                valid: true,
                kind: NextHopKind::Composite,
                base: 100,
                slots: 2,
                live: live.len() as u16,
                ..NextHop::default()
            };
            state.tables.put(9, group);
            let word = |nh, drain| EcmpSlot { valid: true, nh, drain, ..EcmpSlot::default() };
            let slots = [word(7, drain[0]), word(8, drain[1])];
            let words = slots.into_iter().chain(live.iter().map(|&nh| word(nh, false)));
            (100..).zip(words).for_each(|(index, word)| state.tables.put(index, word));
            let route = HostRoute { valid: true, ip: fip.into(), nh: 9, ..HostRoute::default() };
            state.tables.put(4, route);
            let intent =
                Intent { floating_ips: vec![fip.into()], endpoints: 0, ..Intent::default() };
            view(&state, intent).routes[0].why.clone().unwrap_or_default()
        };
        let refused = "no member takes new connections: they are refused; 2 members keep theirs";
        assert_eq!(why([true, true], &[5]), refused);
        let dropped = "no member takes new connections: they are dropped; 2 members keep theirs";
        assert_eq!(why([true, true], &[]), dropped);
        assert_eq!(why([false, true], &[7]), "");
        assert_eq!(why([false, false], &[7, 8]), "");
    }

    #[test]
    fn the_route_of_an_address_that_is_somebody_elses_is_not_explained_as_its_own() {
        let fip = Ipv4Addr::new(10, 105, 139, 153);
        let mut state = CardState::default();
        let route = HostRoute { valid: true, ip: fip.into(), nh: 9, ..HostRoute::default() };
        state.tables.put(4, route);
        let reject = NextHop { valid: true, kind: NextHopKind::Reject, ..NextHop::default() };
        state.tables.put(9, reject);
        let key = FipKey { valid: true, ip: fip.into(), port: 80, map: 1, ..FipKey::default() };
        state.tables.put(3, key);
        let map = FipMap { valid: true, vip: fip.into(), vip_port: 80, ..FipMap::default() };
        state.tables.put(1, map);
        let own = Intent { floating_ips: vec![fip.into()], endpoints: 2, ..Intent::default() };
        let note = format!("{fip} is the cluster IP of shop/web, passed over");
        let lost = Intent { denied: [(fip.into(), note)].into(), ..own.clone() };
        assert_eq!(view(&state, own).port_maps.len(), 1);
        let shown = view(&state, lost);
        assert_eq!(shown.port_maps, []);
        let text = shown.to_string();
        assert!(text.contains("Why: this is not the service's route"), "{text}");
        assert!(text.contains("is the cluster IP of shop/web"), "{text}");
        assert!(!text.contains("endpoints"), "{text}");
    }
}
