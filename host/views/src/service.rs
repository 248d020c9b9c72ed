//! `explain svc NS/NAME`: a service from its floating IPs down to the card's rows.
//!
//! For the chapter's service the text reads `Prefix: 10.105.139.153/32`, `ECMP Composite sub nh count: 2`, `nh_index: 87`,
//! then one line a member and the `fip_list` of the local backends with their port maps, as the introspect pages of a
//! Contrail node show them.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use penstock_abi::table::{FipKey, FipMap, HostRoute, NextHop, NextHopKind, TableId, Vif};
use serde::{Deserialize, Serialize};

use crate::next_hop::{self, Hop, HopKind};
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
    TableId::FipKey,
    TableId::FipMap,
];

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

/// The route to a floating IP in one VRF.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceRoute {
    /// Floating IP.
    pub floating_ip: Ipv4Addr,
    /// VRF.
    pub vrf: u16,
    /// Next hop.
    pub next_hop: u16,
    /// Type of the next hop.
    pub r#type: RouteKind,
    /// Why nobody behind it can be reached anew, or that the route is somebody else's; none if all is well.
    pub why: Option<String>,
    /// Members, holes left out.
    pub members: Vec<Path>,
    /// Slots, holes included.
    pub slots: u32,
    /// Row of the route in the card's table `HostRoute`.
    pub hw_route: u32,
    /// First word of the group in the card's table `Ecmp`.
    pub hw_base: Option<u32>,
}

/// One port mapping of a local backend.
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
        for (row, route) in
            state.tables.of::<HostRoute>().iter().filter(|(_, r)| r.valid && r.ip == word)
        {
            let hop = next_hop::get(state, route.nh.into()).next_hops.into_iter().next();
            let mut shown = service_route(state, fip, route.vrf, route.nh, row, hop.as_ref());
            shown.why = match intent.denied.get(address) {
                Some(note) => Some(format!("this is not the service's route: {note}")),
                None => why(state, route.nh, intent.endpoints),
            };
            service.routes.push(shown);
        }
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

/// Why a route leads to nobody.
fn why(state: &CardState, nh: u16, endpoints: usize) -> Option<String> {
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

fn service_route(
    state: &CardState,
    fip: Ipv4Addr,
    vrf: u16,
    nh: u16,
    row: u32,
    hop: Option<&Hop>,
) -> ServiceRoute {
    let members: Vec<Path> = hop
        .iter()
        .flat_map(|h| h.members.iter().enumerate())
        .filter_map(|(slot, member)| {
            let m = member.as_ref()?;
            Some(Path {
                slot: slot as u32,
                next_hop: m.next_hop,
                label: m.label,
                to: destination(state, m.next_hop),
                draining: m.draining,
                generation: m.generation,
            })
        })
        .collect();
    ServiceRoute {
        floating_ip: fip,
        vrf,
        next_hop: nh,
        r#type: hop.map_or(RouteKind::Missing, |h| RouteKind::Hop(h.r#type)),
        why: None,
        members,
        slots: hop.map_or(0, |h| h.members.len() as u32),
        hw_route: row,
        hw_base: hop.and_then(|h| h.hw_base),
    }
}

fn destination(state: &CardState, nh: u16) -> String {
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
        _ => "discard".to_owned(),
    }
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
            if r.r#type == RouteKind::Hop(HopKind::Composite) {
                writeln!(f, "  ECMP Composite sub nh count: {}", r.members.len())?;
            } else {
                writeln!(f, "  {}", r.r#type)?;
            }
            writeln!(f, "  nh_index: {}", r.next_hop)?;
            if let Some(why) = &r.why {
                writeln!(f, "  Why: {why}")?;
            }
            for m in &r.members {
                let label = m.label.map_or_else(String::new, |l| format!(" label {l}"));
                let drain = if m.draining { ", draining" } else { "" };
                writeln!(f, "    member {}: nh {}, {}{label}{drain}", m.slot, m.next_hop, m.to)?;
            }
            let base =
                r.hw_base.map_or_else(String::new, |b| format!(", Ecmp[{b}] slots {}", r.slots));
            writeln!(f, "  Hw: HostRoute[{}], NextHop[{}]{base}", r.hw_route, r.next_hop)?;
        }
        if self.routes.is_empty() {
            writeln!(f, "\nThe card has no route to it.")?;
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
    use penstock_abi::table::EcmpSlot;

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
            let shown = shown(kind, 0).routes[0].r#type;
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
