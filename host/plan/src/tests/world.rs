//! A small node, and a card with its planner: what the tests of single cases are made of.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use penstock_abi::table::{EcmpSlot, HostRoute, LearnPolicy, NextHop, NextHopKind, VifKind};
use penstock_compile::{
    Desired, FipKey, FipTarget, Group, GroupMember, Hop, NextHopKey, NextHopSpec, RouteTarget,
    VifEntry,
};
use penstock_model::{MacAddr, MplsLabel, Protocol, Reason, VifId, VrfId};
use penstock_tables::{Shape, Tables};

use super::{bits, sound};
use crate::{Planned, Planner, What, plan};

pub(super) const VRF: VrfId = VrfId(2);
pub(super) const NODE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 169, 25, 21));
pub(super) const VIF: VifId = VifId(8);
/// The pod behind [`VIF`]; all others are on another node.
pub(super) const LOCAL: u8 = 200;

pub(super) fn pod(last: u8) -> IpAddr {
    Ipv4Addr::new(10, 47, 255, last).into()
}

pub(super) fn vip(last: u8) -> IpAddr {
    Ipv4Addr::new(10, 96, 0, last).into()
}

pub(super) fn hop(last: u8) -> Hop {
    if last == LOCAL {
        return Hop { next_hop: NextHopKey::Encap(VIF), label: None };
    }
    let label = Some(MplsLabel(u32::from(last) + 16));
    Hop { next_hop: NextHopKey::TunnelUdp(NODE), label }
}

/// A node that reaches `pods`.
pub(super) fn reaches(pods: &[u8]) -> Desired {
    let mut d = Desired::default();
    let spec = NextHopSpec { dmac: MacAddr([2; 6]), ..NextHopSpec::default() };
    for key in [NextHopKey::Discard, NextHopKey::Reject] {
        d.next_hops.insert(key, NextHopSpec::default());
    }
    d.next_hops.insert(NextHopKey::TunnelUdp(NODE), NextHopSpec { source: Some(NODE), ..spec });
    for &last in pods {
        d.routes.insert((VRF, pod(last)), RouteTarget::Hop(hop(last)));
    }
    if pods.contains(&LOCAL) {
        d.next_hops.insert(NextHopKey::Encap(VIF), spec);
        let entry = VifEntry {
            kind: VifKind::Virtual,
            vrf: VRF,
            mac: spec.dmac,
            address: Some(pod(LOCAL)),
            rpf: true,
            next_hop: NextHopKey::Encap(VIF),
            learn: LearnPolicy::Always,
            egress: None,
        };
        d.vifs.insert(VIF, entry);
    }
    d
}

/// Adds a service.
pub(super) fn serve(d: &mut Desired, address: IpAddr, members: &[u8]) {
    let member =
        |&last| GroupMember { hop: hop(last), pod: Some(pod(last)), draining: false, port: None };
    let mut members: Vec<_> = members.iter().map(member).collect();
    members.sort();
    let target = if members.is_empty() {
        RouteTarget::Hop(Hop { next_hop: NextHopKey::Reject, label: None })
    } else {
        RouteTarget::Group(Arc::new(Group { members, hash_fields: 0x1f, affinity_seconds: 0 }))
    };
    d.routes.insert((VRF, address), target);
    d.services.insert(address, Arc::new([(Protocol::Tcp, 80)].into()));
}

pub(super) fn map(d: &mut Desired, address: IpAddr, port: u16) {
    let key = FipKey { vif: VIF, protocol: Protocol::Tcp, address, port };
    d.fip.insert(key, FipTarget { address: pod(LOCAL), port: 8080 });
}

/// A card and its planner.
pub(super) struct Bench {
    pub(super) card: Tables,
    pub(super) planner: Planner,
}

impl Bench {
    pub(super) fn new(shape: Shape) -> Self {
        let card = Tables::new(shape);
        Self { planner: Planner::new(card.clone()), card }
    }

    /// Plans and executes, looking at the card after each operation. Who is refused, and why.
    pub(super) fn bring(&mut self, desired: &Desired) -> Vec<(What, Reason)> {
        let planned = self.planner.plan(desired);
        assert_eq!(planned, plan(desired, &self.card), "what changed is all that is looked at");
        self.execute(&planned);
        planned.refused.into_iter().map(|refusal| (refusal.what, refusal.reason)).collect()
    }

    pub(super) fn execute(&mut self, planned: &Planned) {
        for op in planned.plan.ops() {
            self.card.apply(op);
            sound::check_between(&self.card, &planned.plan, self.planner.tables()).unwrap();
        }
        sound::no_leftovers(&self.card).unwrap();
        assert_eq!(self.planner.tables(), &self.card);
    }

    pub(super) fn route(&self, address: IpAddr) -> Option<HostRoute> {
        self.card.find::<HostRoute>((VRF.0, bits(address))).map(|(_, route)| *route)
    }

    pub(super) fn group(&self, address: IpAddr) -> Option<NextHop> {
        let nh = *self.card.get::<NextHop>(self.route(address)?.nh.into())?;
        (nh.kind == NextHopKind::Composite).then_some(nh)
    }

    pub(super) fn words(&self, address: IpAddr) -> Vec<EcmpSlot> {
        let nh = self.group(address).unwrap();
        let words = 0..u32::from(nh.slots) + u32::from(nh.live);
        words.map(|n| self.card.ring_word(nh.base, n).copied().unwrap_or_default()).collect()
    }

    /// Labels of a group's slots, 0 for a hole; then those of the list of who gets new flows.
    pub(super) fn labels(&self, address: IpAddr) -> (Vec<u32>, Vec<u32>) {
        let slots = usize::from(self.group(address).unwrap().slots);
        let labels: Vec<u32> = self.words(address).iter().map(|word| word.label).collect();
        (labels[..slots].to_vec(), labels[slots..].to_vec())
    }
}

pub(super) fn full(table: &str, capacity: u32) -> Reason {
    Reason::TableFull { table: table.to_owned(), capacity }
}

/// These pods.
pub(super) fn all(lasts: impl IntoIterator<Item = u8>) -> Arc<BTreeSet<IpAddr>> {
    Arc::new(lasts.into_iter().map(pod).collect())
}
