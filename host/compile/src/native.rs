//! The card as a provider: a group for each floating IP and VRF, and the translations at each backend of this node.
//!
//! A route is by address, so a floating IP has one group, whatever its ports: its members are the union of the backends of
//! all its listeners. Where the ports have different backends, connections that fall on a pod which does not serve their port
//! are dropped there; a finding says so (`docs/decisions/11-one-group-per-listener.md`).

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use penstock_abi::hash;
use penstock_model::{
    Affinity, Finding, Listener, Member, MemberState, MplsLabel, ObjectName, Protocol,
    ProviderName, Reason, Scope, VrfId,
};

use crate::nearby::Nearby;
use crate::provider::{Front, Provider, Reach, Served, Translation, Vip};
use crate::{FipTarget, Group, GroupMember, Hop, NextHopKey, RouteTarget, subset};

/// The card itself: ECMP and translation in hardware.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Native;

impl Provider for Native {
    fn name(&self) -> ProviderName {
        ProviderName::native()
    }

    fn serve(&self, vip: &Vip<'_>, reach: &Reach<'_>) -> Served {
        let mut served = Served::default();
        let fronts: Vec<Backends<'_>> = vip
            .fronts
            .iter()
            .filter(|front| sctp_is_possible(front, &mut served.findings))
            .map(|front| Backends::of(front, reach))
            .collect();
        for front in &fronts {
            let Listener { protocol, port, .. } = *front.listener;
            served.ports.insert((protocol, port));
            served.translations.extend(translations(front, reach));
            second_ports(front, &mut served.findings);
        }
        routes(vip, &fronts, reach, &mut served);
        unknown_members(&fronts, reach, &mut served.findings);
        uneven_ports(vip.address, &fronts, &mut served.findings);
        served
    }
}

/// A front with the member that stands for each of its pods.
struct Backends<'a> {
    front: &'a Front<'a>,
    members: Vec<&'a Member>,
    /// Which of them serve this node.
    nearby: Nearby<'a>,
}

impl<'a> Backends<'a> {
    fn of(front: &'a Front<'a>, reach: &Reach<'a>) -> Self {
        let nearby = match front.scope {
            Scope::Cluster => Nearby::of(front.members(), reach.node(), reach.zone()),
            Scope::Local => Nearby::All,
        };
        Self { front, members: one_for_each_pod(front), nearby }
    }
}

impl<'a> std::ops::Deref for Backends<'a> {
    type Target = Front<'a>;

    fn deref(&self) -> &Front<'a> {
        self.front
    }
}

type Findings = Vec<(ObjectName, Finding)>;

fn partial(front: &Front<'_>, text: String) -> (ObjectName, Finding) {
    (front.balancer.name.clone(), Finding::partial(Reason::Text { text }))
}

/// The member that stands for each pod, by address. A pod that a listener's pool has at several ports is served at one of
/// them, as a mapping leads to one: at one that takes new connections if there is one, else at the lowest.
fn one_for_each_pod<'a>(front: &Front<'a>) -> Vec<&'a Member> {
    let mut members: Vec<&Member> = front.members().collect();
    // Pools are ordered, so there is not much to sort.
    members.sort_by_key(|member| (member.address, member.state, member.port));
    members.dedup_by_key(|member| member.address);
    members
}

/// The card does not rewrite SCTP ports (their checksum covers the whole packet).
fn sctp_is_possible(front: &Front<'_>, findings: &mut Findings) -> bool {
    let listener = front.listener;
    let moved = listener.protocol == Protocol::Sctp
        && front.members().any(|member| member.port != listener.port);
    if moved {
        let text = format!(
            "SCTP port {} has another target port, which is not supported: passed over",
            listener.port
        );
        findings.push(partial(front, text));
    }
    !moved
}

/// Binds the floating IP to each backend on this node.
fn translations(front: &Backends<'_>, reach: &Reach<'_>) -> Vec<Translation> {
    let Listener { protocol, port, .. } = *front.listener;
    let at = |member: &&Member| {
        let vif = reach.vif(member.address)?.id;
        let target = FipTarget { address: member.address, port: member.port };
        Some(Translation { vif, protocol, port, target })
    };
    front.members.iter().filter_map(at).collect()
}

/// Tells of pods that a listener's pool has at several ports.
fn second_ports(front: &Backends<'_>, findings: &mut Findings) {
    let listener = front.listener;
    if front.members.len() == front.front.members().count() {
        return;
    }
    for &Member { address, port, .. } in front.front.members() {
        let kept = front.members.binary_search_by_key(&address, |member| member.address);
        let Some(kept) = kept.ok().map(|n| front.members[n]).filter(|kept| kept.port != port)
        else {
            continue;
        };
        let text = format!(
            "port {}/{} leads to port {} of pod {address}, and cannot lead to {port} too: passed over",
            listener.port, listener.protocol, kept.port
        );
        findings.push(partial(front, text));
    }
}

/// Where the floating IP leads in each VRF that reaches it.
fn routes(vip: &Vip<'_>, fronts: &[Backends<'_>], reach: &Reach<'_>, served: &mut Served) {
    if vip.vrfs.is_empty() {
        let text = format!(
            "no VRF of this node reaches network {}, in which {} lives",
            vip.network, vip.address
        );
        served.findings.push((vip.owner.name.clone(), Finding::note(text)));
    }
    let sticky = vip.fronts.iter().any(|front| front.balancer.affinity != Affinity::None);
    let hash_fields = if sticky {
        hash::FIELD_PROTO | hash::FIELD_SIP | hash::FIELD_DIP
    } else {
        hash::FIELD_ALL
    };
    let nobody = fronts.iter().all(|front| front.members.is_empty());
    let choosy = fronts.iter().any(|front| front.nearby != Nearby::All);
    // Nobody there: say so. Nobody within reach yet, or nobody on this node: silence, so that clients try again.
    let without = if nobody { NextHopKey::Reject } else { NextHopKey::Discard };
    let mut too_many = (0, 0);
    let mut last: Option<Arc<Group>> = None;
    for &vrf in vip.vrfs {
        let all = members(vrf, fronts, reach, false);
        // Whom this node does not send to, others may.
        served.advertised.extend(advertised(vrf, &all, reach));
        let mut members = if choosy { members(vrf, fronts, reach, true) } else { all };
        if members.is_empty() {
            let hop = Hop { next_hop: without, label: None };
            served.routes.push((vrf, RouteTarget::Hop(hop)));
            continue;
        }
        let there_are = members.len();
        if there_are > reach.group_max() {
            subset::keep(&mut members, reach.group_max(), reach.node(), vip.address);
            too_many = too_many.max((there_are, members.len()));
        }
        // VRFs mostly lead to the same pods.
        let group = Group { members, hash_fields };
        let group = match last.take().filter(|last| **last == group) {
            Some(last) => last,
            None => Arc::new(group),
        };
        last = Some(group.clone());
        served.routes.push((vrf, RouteTarget::Group(group)));
    }
    if too_many.0 > 0 {
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let reason = Reason::GroupTooLarge {
            address: vip.address,
            served: count(too_many.1),
            of: count(too_many.0),
        };
        let names: BTreeSet<&ObjectName> =
            fronts.iter().map(|front| &front.balancer.name).collect();
        let finding = |name: &ObjectName| (name.clone(), Finding::partial(reason.clone()));
        served.findings.extend(names.into_iter().map(finding));
    }
}

/// Labels of the members on this node that take new connections.
fn advertised(
    vrf: VrfId,
    members: &[GroupMember],
    reach: &Reach<'_>,
) -> impl Iterator<Item = (VrfId, MplsLabel)> {
    let here = members
        .iter()
        .filter(|member| !member.draining && matches!(member.hop.next_hop, NextHopKey::Encap(_)));
    here.filter_map(move |member| Some((vrf, reach.vif(member.pod?)?.label)))
}

/// The members that are within reach in a VRF, ordered by hop, each hop once; of those that take new connections only the
/// nearby ones, if that is asked for.
fn members(
    vrf: VrfId,
    fronts: &[Backends<'_>],
    reach: &Reach<'_>,
    nearby: bool,
) -> Vec<GroupMember> {
    let mut members: Vec<GroupMember> = Vec::new();
    for front in fronts {
        let first = members.len();
        for member in &front.members {
            let Some(hop) = reach.hop(vrf, member.address) else { continue };
            let here = matches!(hop.next_hop, NextHopKey::Encap(_));
            if !front.is_for(member, reach.node()) || (front.scope == Scope::Local && !here) {
                continue;
            }
            let draining = member.state == MemberState::Draining;
            if nearby && !draining && !front.nearby.has(&member.hints) {
                continue;
            }
            members.push(GroupMember { hop, pod: Some(member.address), draining });
        }
        // Those that terminate take new connections if nobody else serves the port.
        let here = &mut members[first..];
        if here.iter().all(|member| member.draining) {
            here.iter_mut().for_each(|member| member.draining = false);
        }
    }
    // One that some port gives new connections takes new connections: `false` comes first.
    members.sort_unstable_by_key(|member| (member.hop, member.draining, member.pod));
    members.dedup_by_key(|member| member.hop);
    members
}

/// Tells of backends that no vif and no route leads to: of the first one, and how many there are.
fn unknown_members(fronts: &[Backends<'_>], reach: &Reach<'_>, findings: &mut Findings) {
    let mut unknown: BTreeMap<&ObjectName, BTreeSet<IpAddr>> = BTreeMap::new();
    for front in fronts {
        for member in front.members.iter().filter(|member| !reach.is_pod(member.address)) {
            if let Some(name) = reach.node_at(member.address) {
                let text = format!(
                    "endpoint {} is node {name} itself (host network), which the card does not reach: passed over; without \
                     another endpoint clients get no answer",
                    member.address
                );
                findings.push(partial(front, text));
            } else {
                unknown.entry(&front.balancer.name).or_default().insert(member.address);
            }
        }
    }
    for (name, addresses) in unknown {
        let Some(first) = addresses.first() else { continue };
        let others = match addresses.len() {
            1 => String::new(),
            n => format!(" (and {} more)", n - 1),
        };
        let text =
            format!("no vif and no route is known for endpoint {first}{others}, passed over");
        findings.push((name.clone(), Finding::partial(Reason::Text { text })));
    }
}

/// Tells of a floating IP whose ports have different backends.
fn uneven_ports(address: IpAddr, fronts: &[Backends<'_>], findings: &mut Findings) {
    let Some((first, rest)) = fronts.split_first() else { return };
    let pods = |front: &Backends<'_>| -> Vec<IpAddr> {
        front.members.iter().map(|member| member.address).collect()
    };
    if rest.is_empty() {
        return;
    }
    let expected = pods(first);
    for front in rest.iter().filter(|front| pods(front) != expected) {
        let text = format!(
            "port {} of {address} has other backends than port {}; all ports share one group, so connections that fall on a \
             pod without their port are dropped",
            front.listener.port, first.listener.port
        );
        findings.push((front.balancer.name.clone(), Finding::note(text)));
    }
}
