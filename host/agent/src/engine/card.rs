//! The engine of a card: the compiler, and the planner over what the card holds.

use std::sync::Arc;

use penstock_compile::{Compiled, Compiler, NextHopKey, Providers};
use penstock_model::{Finding, Findings, Intent, ObjectId, Reason};
use penstock_plan::{Planned, Planner, Refusal, What};
use penstock_tables::{Entry, Shape, Tables};

use super::{Engine, Inputs, Pass, Scope, owner};

/// Compiler and planner.
pub struct CardEngine {
    compiler: Compiler,
    planner: Planner,
}

impl CardEngine {
    /// An engine whose load balancers are served by these providers. How large its card is, it learns from the tables that it is
    /// given to adopt.
    #[must_use]
    pub fn new(providers: Providers) -> Self {
        Self {
            compiler: Compiler::new(providers, Shape::default()),
            planner: Planner::new(Tables::default()),
        }
    }
}

impl Default for CardEngine {
    /// One whose load balancers are served by the card itself.
    fn default() -> Self {
        Self::new(Providers::default())
    }
}

impl Engine for CardEngine {
    fn adopt(&mut self, tables: Tables) {
        self.compiler.fit(tables.shape());
        self.planner = Planner::new(tables);
    }

    fn pass(&mut self, inputs: &Inputs, scope: Scope) -> Pass {
        let compiled = self.compiler.compile(&inputs.intent, &inputs.neighbours);
        let Planned { plan, refused } = match scope {
            Scope::Changed => self.planner.plan(&compiled.desired),
            Scope::Everything => self.planner.audit(&compiled.desired),
        };
        let mut findings = compiled.findings.clone();
        for refusal in refused {
            let (object, finding) = attribute(refusal, &inputs.intent, &compiled);
            add(&mut findings, object, finding);
        }
        let phases = plan.phases.into_iter().map(|phase| phase.ops).collect();
        Pass { phases, compiled: Arc::new(compiled), findings }
    }

    fn owner(
        &self,
        inputs: &Inputs,
        compiled: &Compiled,
        index: u32,
        entry: &Entry,
    ) -> Option<ObjectId> {
        owner::entry(&inputs.intent, compiled, index, entry)
    }
}

/// Whose fault it is that a key has no place, and what becomes of that object.
fn attribute(refusal: Refusal, intent: &Intent, compiled: &Compiled) -> (ObjectId, Finding) {
    let Refusal { what, reason } = refusal;
    let owner = match what {
        What::Vif(id) | What::NextHop(NextHopKey::Encap(id)) => owner::vif(intent, id),
        What::Label(label) => owner::label(intent, label),
        What::NextHop(NextHopKey::TunnelUdp(address) | NextHopKey::TunnelGre(address)) => {
            owner::peer(intent, address)
        }
        What::NextHop(NextHopKey::Discard | NextHopKey::Reject) => None,
        What::NextHop(NextHopKey::Receive(_)) => Some(ObjectId::Node),
        What::Prefix(vrf, prefix) => owner::route(intent, vrf, prefix),
        What::Route(vrf, address) => owner::address(intent, compiled, vrf, address),
        What::Mapping(key) => compiled.owners.get(&key.address).cloned(),
        What::Listener(key) | What::Local(key) => compiled.owners.get(&key.address).cloned(),
        What::Plain(key) => compiled.owners.get(&key.address).cloned(),
        What::Vrf(vrf) => intent.vrfs.get(&vrf).map(|vrf| ObjectId::Vrf(vrf.name.clone())),
        What::Sources(vrf, prefix) if prefix.prefix_len() == prefix.max_prefix_len() => {
            owner::address(intent, compiled, vrf, prefix.addr())
        }
        What::Sources(vrf, prefix) => owner::route(intent, vrf, prefix),
        What::Known(address) => owner::peer(intent, address),
    };
    let finding = match what {
        // Other members serve it, or other ports.
        What::Mapping(_) | What::Listener(_) | What::Local(_) => Finding::partial(reason),
        // It works, with all tunnels that are known.
        What::Sources(..) => {
            let text = format!("any tunnel that is known may use its address: {reason}");
            Finding::partial(Reason::Text { text })
        }
        _ => Finding::refused(reason),
    };
    let nobody = || ObjectId::Other { kind: "entry".to_owned(), name: what.to_string() };
    (owner.unwrap_or_else(nobody), finding)
}

/// Adds a finding to those of its object, behind them and once.
fn add(findings: &mut Findings, object: ObjectId, finding: Finding) {
    let list = findings.get(&object).map_or(&[][..], |list| list);
    if !list.contains(&finding) {
        let list = list.iter().cloned().chain([finding]).collect();
        findings.insert(object, list);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use penstock_abi::table::{FipMap, HostRoute, Ilm, NextHop, NextHopKind, Prefix, Vif};
    use penstock_compile::FipKey;
    use penstock_model::{
        Effect, Encapsulation, LearnPolicy, MacAddr, MplsLabel, ObjectName, Path, Peer, PodVif,
        Protocol, Reason, VifId, VrfId,
    };

    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn intent() -> Intent {
        let vif = PodVif {
            id: VifId(8),
            name: "web".to_owned(),
            pod: ObjectName::new("ns", "web"),
            address: ip("10.47.255.236"),
            mac: MacAddr([2, 0, 0, 0, 0, 8]),
            vrf: VrfId(2),
            label: MplsLabel(28),
            learn: LearnPolicy::default(),
            flow_limit: None,
        };
        let peer = Peer { name: "cent333".to_owned(), address: ip("10.169.25.21") };
        let path = Path {
            next_hop: peer.address,
            label: MplsLabel(43),
            encapsulation: Encapsulation::default(),
            preference: Path::PREFERENCE,
            announcer: "cent333".into(),
        };
        let mut intent = Intent::default();
        intent.vifs.insert(vif.id, Arc::new(vif));
        intent.peers.insert(peer.name.clone(), Arc::new(peer));
        for prefix in ["10.47.255.238/32", "192.0.2.0/24"] {
            intent.rib.insert((VrfId(2), prefix.parse().unwrap()), [path.clone()].into());
        }
        intent
    }

    #[test]
    fn what_has_no_place_is_told_of_the_object_that_wants_it() {
        let service = ObjectId::LoadBalancer(ObjectName::new("shop", "web"));
        let mut compiled = Compiled::default();
        compiled.owners.insert(ip("10.105.0.1"), service.clone());
        let route = |prefix: &str| ObjectId::Route {
            announcer: "cent333".to_owned(),
            prefix: prefix.parse().unwrap(),
        };
        let vif = || ObjectId::Vif("web".to_owned());
        let peer = ObjectId::Peer("cent333".to_owned());
        let key =
            FipKey { vif: VifId(8), protocol: Protocol::Tcp, address: ip("10.105.0.1"), port: 80 };
        for (what, owner, effect) in [
            (What::Route(VrfId(2), ip("10.105.0.1")), service.clone(), Effect::Refused),
            (What::Mapping(key), service, Effect::Partial),
            (What::Route(VrfId(2), ip("10.47.255.236")), vif(), Effect::Refused),
            (
                What::Route(VrfId(2), ip("10.47.255.238")),
                route("10.47.255.238/32"),
                Effect::Refused,
            ),
            (
                What::Prefix(VrfId(2), "192.0.2.0/24".parse().unwrap()),
                route("192.0.2.0/24"),
                Effect::Refused,
            ),
            (What::Vif(VifId(8)), vif(), Effect::Refused),
            (What::Label(MplsLabel(28)), vif(), Effect::Refused),
            (What::NextHop(NextHopKey::Encap(VifId(8))), vif(), Effect::Refused),
            (What::NextHop(NextHopKey::TunnelUdp(ip("10.169.25.21"))), peer, Effect::Refused),
            (
                What::NextHop(NextHopKey::Reject),
                ObjectId::Other { kind: "entry".to_owned(), name: "next hop Reject".to_owned() },
                Effect::Refused,
            ),
        ] {
            let reason = Reason::TableFull { table: "T".to_owned(), capacity: 1 };
            let (found, finding) = attribute(Refusal { what, reason }, &intent(), &compiled);
            assert_eq!((found, finding.effect), (owner, effect), "{what}");
        }
    }

    #[test]
    fn an_entry_is_told_of_the_object_that_it_serves() {
        let service = ObjectId::LoadBalancer(ObjectName::new("shop", "web"));
        let mut compiled = Compiled::default();
        compiled.owners.insert(ip("10.105.0.1"), service.clone());
        let bits = |text: &str| u32::from(text.parse::<Ipv4Addr>().unwrap());
        let (vrf, web) = (2, Some(ObjectId::Vif("web".to_owned())));
        let host = |text| HostRoute { vrf, ip: bits(text), ..HostRoute::default() };
        let hop = |kind| NextHop { kind, vif: 8, dip: bits("10.169.25.21"), ..NextHop::default() };
        let net = Prefix { vrf, ip: bits("192.0.2.0"), len: 24, ..Prefix::default() };
        let announced = |prefix: &str| ObjectId::Route {
            announcer: "cent333".to_owned(),
            prefix: prefix.parse().unwrap(),
        };
        let key = penstock_abi::table::FipKey {
            ip: bits("10.105.0.1"),
            ..penstock_abi::table::FipKey::default()
        };
        let entries: [(u32, Entry, Option<ObjectId>); 10] = [
            (8, Vif::default().into(), web.clone()),
            (9, Vif::default().into(), None),
            (28, Ilm::default().into(), web.clone()),
            (0, hop(NextHopKind::Encap).into(), web.clone()),
            (0, hop(NextHopKind::Tunnel).into(), Some(ObjectId::Peer("cent333".to_owned()))),
            (0, host("10.47.255.236").into(), web),
            (0, host("10.105.0.1").into(), Some(service.clone())),
            (0, net.into(), Some(announced("192.0.2.0/24"))),
            (0, key.into(), Some(service)),
            (0, FipMap::default().into(), None),
        ];
        for (index, entry, owner) in entries {
            assert_eq!(owner::entry(&intent(), &compiled, index, &entry), owner, "{entry:?}");
        }
    }

    #[test]
    fn a_finding_stands_once_behind_those_of_its_object() {
        let object = ObjectId::Node;
        let mut findings = Findings::new();
        findings.insert(object.clone(), [Finding::note("z")].into());
        for text in ["a", "z", "a"] {
            add(&mut findings, object.clone(), Finding::note(text));
        }
        assert_eq!(findings[&object][..], [Finding::note("z"), Finding::note("a")]);
    }
}
