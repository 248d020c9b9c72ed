//! Load balancers: a group for each floating IP and VRF, and the translations at each backend of this node.
//!
//! A route is by address, so a floating IP has one group, whatever its ports: its members are the union of the backends of
//! all its listeners ([`owner`] says whose they are). Where the ports have different backends, connections
//! that fall on a pod which does not serve their port are dropped there; a note says so.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use penstock_abi::{hash, limits};
use penstock_model::{
    Affinity, Listener, Member, MemberState, NodeConfig, Note, Protocol, Scope, Snapshot, VifId,
    VrfId,
};

use crate::lower::Reach;
use crate::owner::Front;
use crate::{
    CompileError, Desired, FipKey, FipTarget, Group, GroupMember, Hop, NextHopKey, RouteTarget,
    owner,
};

pub(crate) fn lower(
    snapshot: &Snapshot,
    reach: &Reach,
    desired: &mut Desired,
) -> Result<(), CompileError> {
    let locals: BTreeMap<Ipv4Addr, VifId> =
        snapshot.node.vifs.iter().map(|vif| (vif.address, vif.id)).collect();
    let known: BTreeSet<Ipv4Addr> =
        reach.hops.keys().chain(&reach.pending).map(|(_, address)| *address).collect();
    for (address, mut fronts) in owner::fronts(snapshot, &known, &mut desired.notes) {
        fronts.retain(|front| sctp_is_possible(front, &mut desired.notes));
        for front in &fronts {
            translations(address, front, &locals, desired);
        }
        second_ports(&fronts, &mut desired.notes);
        unknown_members(&snapshot.node, &fronts, &known, &mut desired.notes);
        for &vrf in &reach.vrfs {
            let target = target(address, vrf, &fronts, reach, &snapshot.node.name)?;
            desired.routes.insert((vrf, address), target);
        }
        uneven_ports(address, &fronts, &mut desired.notes);
        let ports = fronts.iter().map(|front| (front.listener.protocol, front.listener.port));
        desired.services.insert(address, ports.collect());
    }
    Ok(())
}

/// The member that stands for each pod. A pod that a listener's pool has at several ports is served at one of them, as a
/// mapping leads to one: at one that takes new connections if there is one, else at the lowest.
fn one_for_each_pod(listener: &Listener) -> BTreeMap<Ipv4Addr, &Member> {
    let mut members: BTreeMap<Ipv4Addr, &Member> = BTreeMap::new();
    for member in &listener.pool.members {
        let known = members.entry(member.address).or_insert(member);
        if (member.state, member.port) < (known.state, known.port) {
            *known = member;
        }
    }
    members
}

/// The card does not rewrite SCTP ports (their checksum covers the whole packet).
fn sctp_is_possible(front: &Front<'_>, notes: &mut Vec<Note>) -> bool {
    let listener = front.listener;
    let moved = listener.protocol == Protocol::Sctp
        && listener.pool.members.iter().any(|member| member.port != listener.port);
    if moved {
        let text = format!(
            "SCTP port {} has another target port, which is not supported: passed over",
            listener.port
        );
        notes.push(Note::new(&front.balancer.name, text));
    }
    !moved
}

/// Binds the floating IP to each backend on this node.
fn translations(
    address: Ipv4Addr,
    front: &Front<'_>,
    locals: &BTreeMap<Ipv4Addr, VifId>,
    desired: &mut Desired,
) {
    let Listener { protocol, port, .. } = *front.listener;
    for (pod, member) in one_for_each_pod(front.listener) {
        if let Some(&vif) = locals.get(&pod) {
            let key = FipKey { vif, protocol, address, port };
            desired.fip.insert(key, FipTarget { address: pod, port: member.port });
        }
    }
}

/// Notes pods that a listener's pool has at several ports.
fn second_ports(fronts: &[Front<'_>], notes: &mut Vec<Note>) {
    for front in fronts {
        let chosen = one_for_each_pod(front.listener);
        let listener = front.listener;
        for member in &listener.pool.members {
            let Member { address, port, .. } = member;
            if let Some(kept) = chosen.get(address).filter(|kept| kept.port != *port) {
                let text = format!(
                    "port {}/{} leads to port {} of pod {address}, and cannot lead to {port} too: passed over",
                    listener.port, listener.protocol, kept.port
                );
                notes.push(Note::new(&front.balancer.name, text));
            }
        }
    }
}

/// Where the floating IP leads in a VRF.
fn target(
    address: Ipv4Addr,
    vrf: VrfId,
    fronts: &[Front<'_>],
    reach: &Reach,
    node: &str,
) -> Result<RouteTarget, CompileError> {
    let mut members: BTreeMap<Ipv4Addr, GroupMember> = BTreeMap::new();
    let mut endpoints = false;
    for front in fronts {
        let mut here: Vec<GroupMember> = Vec::new();
        for member in one_for_each_pod(front.listener).into_values() {
            endpoints = true;
            let Some(&hop) = reach.hops.get(&(vrf, member.address)) else { continue };
            // An endpoint that does not say where it is, is not here.
            let local = matches!(hop.next_hop, NextHopKey::Encap(_)) && member.node == node;
            if front.scope == Scope::Local && !local {
                continue;
            }
            let draining = member.state == MemberState::Draining;
            here.push(GroupMember { pod: member.address, hop, draining });
        }
        // Those that terminate take new connections if nobody else serves the port.
        let nobody_else = here.iter().all(|member| member.draining);
        for mut member in here {
            member.draining &= !nobody_else;
            let known = members.entry(member.pod).or_insert(member);
            known.draining &= member.draining;
        }
    }
    if members.is_empty() {
        // Nobody there: say so. Nobody within reach yet, or nobody on this node: silence, so that clients try again.
        let next_hop = if endpoints { NextHopKey::Discard } else { NextHopKey::Reject };
        return Ok(RouteTarget::Hop(Hop { next_hop, label: None }));
    }
    let max = limits::ECMP_GROUP_MAX as usize;
    if members.len() > max {
        let owners: BTreeSet<String> =
            fronts.iter().map(|front| front.balancer.name.to_string()).collect();
        let owner = owners.into_iter().collect::<Vec<_>>().join(", ");
        return Err(CompileError::GroupTooLarge {
            address,
            owner,
            vrf,
            members: members.len(),
            max,
        });
    }
    let sticky = fronts.iter().any(|front| front.balancer.affinity != Affinity::None);
    let hash_fields = if sticky {
        hash::FIELD_PROTO | hash::FIELD_SIP | hash::FIELD_DIP
    } else {
        hash::FIELD_ALL
    };
    Ok(RouteTarget::Group(Group { members: members.into_values().collect(), hash_fields }))
}

/// Notes backends that no vif and no remote label leads to.
fn unknown_members(
    node: &NodeConfig,
    fronts: &[Front<'_>],
    known: &BTreeSet<Ipv4Addr>,
    notes: &mut Vec<Note>,
) {
    for front in fronts {
        for Member { address, .. } in &front.listener.pool.members {
            if known.contains(address) {
                continue;
            }
            let text = match node.owner_of(*address) {
                Some(name) => format!(
                    "endpoint {address} is node {name} itself (host network), which the card does not reach: passed \
                     over; without another endpoint clients get no answer"
                ),
                None => format!(
                    "no vif and no remote label is known for endpoint {address}, passed over"
                ),
            };
            notes.push(Note::new(&front.balancer.name, text));
        }
    }
}

/// Notes a floating IP whose ports have different backends.
fn uneven_ports(address: Ipv4Addr, fronts: &[Front<'_>], notes: &mut Vec<Note>) {
    let backends = |front: &Front<'_>| -> BTreeSet<Ipv4Addr> {
        front.listener.pool.members.iter().map(|member| member.address).collect()
    };
    let Some((first, rest)) = fronts.split_first() else { return };
    let expected = backends(first);
    for front in rest.iter().filter(|front| backends(front) != expected) {
        let text = format!(
            "port {} of {address} has other backends than port {}; all ports share one group, so connections that \
             fall on a pod without their port are dropped",
            front.listener.port, first.listener.port
        );
        notes.push(Note::new(&front.balancer.name, text));
    }
}
