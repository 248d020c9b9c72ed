//! The card as a provider: a group for each listener of a floating IP, and the translations at each backend of this node.
//!
//! Packets are asked for their listener first (`docs/decisions/11-one-group-per-listener.md`). A member on this node, or behind
//! it, brings its mapping with it; the translations by key are for packets from other nodes, by the member's own label.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use penstock_abi::hash;
use penstock_abi::table::ServiceAddress;
use penstock_model::{
    Affinity, Finding, FloatingIpKind, Listener, Member, MemberState, MplsLabel, ObjectName,
    Protocol, ProviderName, Reason, Scope, VifId, VrfId,
};

use crate::nearby::Nearby;
use crate::provider::{Front, Provider, Reach, Served, Translation, Vip};
use crate::{
    FipTarget, Group, GroupMember, Hop, Listening, NextHopKey, RouteTarget, ServiceKey, subset,
};

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
        let silent = vip.kind != FloatingIpKind::Cluster || reach.is_silent();
        let refusal = if silent { ServiceAddress::Drop } else { ServiceAddress::Reject };
        served.floating = Some(refusal);
        listeners(vip, &fronts, reach, &mut served);
        unknown_members(&fronts, reach, &mut served.findings);
        if !reach.keeps_clients() {
            affinity_by_hash(&fronts, &mut served.findings);
        }
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

/// Binds the floating IP to each backend on this node, the node itself included, for packets by the backend's own label.
fn translations(front: &Backends<'_>, reach: &Reach<'_>) -> Vec<Translation> {
    let Listener { protocol, port, .. } = *front.listener;
    let at = |member: &&Member| {
        let vif = if member.address == reach.address() {
            reach.node_label().map(|_| VifId::VHOST)?
        } else {
            reach.vif(member.address)?.id
        };
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

/// Where packets for the listeners go in each service network, and what the routes to the floating IP show.
fn listeners(vip: &Vip<'_>, fronts: &[Backends<'_>], reach: &Reach<'_>, served: &mut Served) {
    if vip.vrfs.is_empty() {
        let text = format!(
            "no VRF of this node reaches network {}, in which {} lives",
            vip.network, vip.address
        );
        served.findings.push((vip.owner.name.clone(), Finding::note(text)));
    }
    let mut too_many: BTreeMap<&ObjectName, (usize, usize)> = BTreeMap::new();
    for &(net, vrfs) in &vip.nets {
        let mut union: Vec<GroupMember> = Vec::new();
        let by_label = vip.label_vrf.is_some_and(|vrf| vrfs.contains(&vrf));
        let mut only = None;
        for front in fronts {
            let Listener { protocol, port, .. } = *front.listener;
            let key = ServiceKey { address: vip.address, net, protocol, port };
            let all = members(vrfs, front, reach, false);
            // Whom this node does not send to, others may.
            for label in labels_of(&all, reach) {
                served.advertised.extend(vrfs.iter().map(|vrf| (*vrf, label)));
            }
            let local = if by_label { on_this_node(&all, front, vip, reach) } else { None };
            served.label_vrf = served.label_vrf.or(local.as_ref().and(vip.label_vrf));
            let choosy = front.nearby != Nearby::All;
            let mut members = if choosy { members(vrfs, front, reach, true) } else { all };
            let there_are = members.len();
            if there_are > reach.group_max() {
                subset::keep(&mut members, reach.group_max(), reach.node(), vip.address);
                let most = too_many.entry(&front.balancer.name).or_default();
                *most = (*most).max((there_are, members.len()));
            }
            union.extend(members.iter().map(|member| GroupMember { port: None, ..*member }));
            let target = if members.is_empty() {
                RouteTarget::Hop(without(front.members.is_empty()))
            } else {
                let hash_fields = hash_fields(front);
                let affinity_seconds = affinity_seconds(front, reach);
                RouteTarget::Group(Arc::new(Group { members, hash_fields, affinity_seconds }))
            };
            only = Some((key, target.clone()));
            let keeps = affinity_seconds(front, reach) != 0;
            let affinity = keeps.then(|| front.balancer.name.clone());
            served.listeners.push((key, Listening { target, local, affinity }));
        }
        let target = match only {
            Some((key, RouteTarget::Group(_))) if fronts.len() == 1 => RouteTarget::Listener(key),
            _ if union.is_empty() => {
                let nobody = fronts.iter().all(|front| front.members.is_empty());
                RouteTarget::Hop(without(nobody))
            }
            _ => RouteTarget::Group(Arc::new(shown(union, vip, reach))),
        };
        served.routes.extend(vrfs.iter().map(|vrf| (*vrf, target.clone())));
    }
    for (name, (of, keep)) in too_many {
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let (served_by, of) = (count(keep), count(of));
        let reason = Reason::GroupTooLarge { address: vip.address, served: served_by, of };
        served.findings.push((name.clone(), Finding::partial(reason)));
    }
}

/// What becomes of packets for a listener that leads to nobody. Nobody there: say so. Nobody within reach yet, or nobody on this
/// node: silence, so that clients try again.
fn without(nobody: bool) -> Hop {
    let next_hop = if nobody { NextHopKey::Reject } else { NextHopKey::Discard };
    Hop { next_hop, label: None }
}

/// The group that routes show: the members of all listeners.
fn shown(mut union: Vec<GroupMember>, vip: &Vip<'_>, reach: &Reach<'_>) -> Group {
    // One that some port gives new connections takes new connections: `false` comes first.
    union.sort_unstable_by_key(|member| (member.hop, member.pod, member.draining));
    union.dedup_by_key(|member| (member.hop, is_behind_node(member).then_some(member.pod)));
    subset::keep(&mut union, reach.group_max(), reach.node(), vip.address);
    Group { members: union, hash_fields: hash::FIELD_ALL, affinity_seconds: 0 }
}

fn is_behind_node(member: &GroupMember) -> bool {
    matches!(member.hop.next_hop, NextHopKey::Receive(_))
}

/// The members of a listener that are on this node, if there are any. Those that terminate take new connections if no other does:
/// whoever sends by the label chose this node.
fn on_this_node(
    all: &[GroupMember],
    front: &Backends<'_>,
    vip: &Vip<'_>,
    reach: &Reach<'_>,
) -> Option<Arc<Group>> {
    let is_here = |member: &&GroupMember| match member.hop.next_hop {
        NextHopKey::Encap(_) => true,
        NextHopKey::Receive(_) => member.pod == Some(reach.address()),
        _ => false,
    };
    let mut members: Vec<GroupMember> = all.iter().filter(is_here).copied().collect();
    if members.iter().all(|member| member.draining) {
        members.iter_mut().for_each(|member| member.draining = false);
    }
    subset::keep(&mut members, reach.group_max(), reach.node(), vip.address);
    let group = Group { members, hash_fields: hash_fields(front), affinity_seconds: 0 };
    (!group.members.is_empty()).then(|| Arc::new(group))
}

/// Labels under which this node serves by its own members who take new connections.
fn labels_of(members: &[GroupMember], reach: &Reach<'_>) -> BTreeSet<MplsLabel> {
    let here = members.iter().filter(|member| !member.draining);
    let label = |member: &GroupMember| match member.hop.next_hop {
        NextHopKey::Encap(_) => reach.vif(member.pod?).map(|vif| vif.label),
        NextHopKey::Receive(_) if member.pod == Some(reach.address()) => reach.node_label(),
        _ => None,
    };
    here.filter_map(label).collect()
}

/// Fields that choose a member: with affinity the client's address, whatever the address and port of the service.
fn hash_fields(front: &Front<'_>) -> u8 {
    match front.balancer.affinity {
        Affinity::None => hash::FIELD_ALL,
        Affinity::ClientIp { .. } => hash::FIELD_SIP,
    }
}

/// After how long a client may be sent to another member; 0 if the card keeps none.
fn affinity_seconds(front: &Front<'_>, reach: &Reach<'_>) -> u32 {
    match front.balancer.affinity {
        Affinity::ClientIp { timeout_seconds } if reach.keeps_clients() => timeout_seconds,
        _ => 0,
    }
}

/// The members of a listener that are within reach, ordered by hop and address; each hop once, but for those behind the node. Of
/// those that take new connections only the nearby ones, if that is asked for.
fn members(
    vrfs: &[VrfId],
    front: &Backends<'_>,
    reach: &Reach<'_>,
    nearby: bool,
) -> Vec<GroupMember> {
    let mut members: Vec<GroupMember> = Vec::new();
    for member in &front.members {
        let to_node = Hop { next_hop: NextHopKey::Receive(VifId::VHOST), label: None };
        let way = reach.hop_in(vrfs, member.address);
        let hop = way.or_else(|| reach.is_for_kernel(member).then_some(to_node));
        let Some(hop) = hop else { continue };
        let here = match hop.next_hop {
            NextHopKey::Encap(_) => true,
            NextHopKey::Receive(_) => member.address == reach.address(),
            _ => false,
        };
        if !front.is_for(member, reach.node()) || (front.scope == Scope::Local && !here) {
            continue;
        }
        let draining = member.state == MemberState::Draining;
        if nearby && !draining && !front.nearby.has(&member.hints) {
            continue;
        }
        let is_local = matches!(hop.next_hop, NextHopKey::Encap(_) | NextHopKey::Receive(_));
        members.push(GroupMember {
            hop,
            pod: Some(member.address),
            draining,
            port: is_local.then_some(member.port),
        });
    }
    // Those that terminate take new connections if nobody else does.
    if members.iter().all(|member| member.draining) {
        members.iter_mut().for_each(|member| member.draining = false);
    }
    members.sort_unstable_by_key(|member| (member.hop, member.pod, member.draining));
    members.dedup_by_key(|member| (member.hop, is_behind_node(member).then_some(member.pod)));
    members
}

/// Tells of backends that nothing leads to: of the first one, and how many there are.
fn unknown_members(fronts: &[Backends<'_>], reach: &Reach<'_>, findings: &mut Findings) {
    let mut unknown: BTreeMap<&ObjectName, BTreeSet<IpAddr>> = BTreeMap::new();
    for front in fronts {
        let is_known = |member: &Member| {
            reach.is_pod(member.address)
                || member.address == reach.address()
                || reach.is_for_kernel(member)
        };
        let strangers = front.members.iter().filter(|member| !is_known(member));
        for member in strangers {
            unknown.entry(&front.balancer.name).or_default().insert(member.address);
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

/// Tells of clients that keep their member only as long as the group is as it is.
fn affinity_by_hash(fronts: &[Backends<'_>], findings: &mut Findings) {
    let sticky = fronts.iter().filter(|front| front.balancer.affinity != Affinity::None);
    let names: BTreeSet<&ObjectName> = sticky.map(|front| &front.balancer.name).collect();
    for name in names {
        let text = "affinity by hash: a client keeps its backend while there are the same ones, without time-out";
        findings.push((name.clone(), Finding::partial(Reason::Text { text: text.to_owned() })));
    }
}
