//! Load balancers: a group for each floating IP and VRF, and the translations at each backend of this node.
//!
//! A route is by address, so a floating IP has one group, whatever its ports: its members are the union of the backends of
//! all its listeners, over all load balancers that share the address. Where the ports have different backends, connections
//! that fall on a pod which does not serve their port are dropped there; a note says so.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use penstock_abi::{hash, limits};
use penstock_model::{
    Affinity, FloatingIp, Listener, LoadBalancer, Member, MemberState, Note, Protocol, Scope,
    Snapshot, VifId, VrfId,
};

use crate::lower::Reach;
use crate::{
    CompileError, Desired, FipKey, FipTarget, Group, GroupMember, Hop, NextHopKey, RouteTarget,
};

/// A listener in front of which a floating IP stands.
#[derive(Clone, Copy)]
struct Front<'a> {
    balancer: &'a LoadBalancer,
    listener: &'a Listener,
    scope: Scope,
}

pub(crate) fn lower(
    snapshot: &Snapshot,
    reach: &Reach,
    desired: &mut Desired,
) -> Result<(), CompileError> {
    let locals: BTreeMap<Ipv4Addr, VifId> =
        snapshot.node.vifs.iter().map(|vif| (vif.address, vif.id)).collect();
    let known: BTreeSet<Ipv4Addr> =
        reach.hops.keys().chain(&reach.pending).map(|(_, address)| *address).collect();
    for (address, fronts) in fronts(snapshot, &known, &mut desired.notes) {
        for front in &fronts {
            translations(address, front, &locals, desired);
        }
        unknown_members(&fronts, &known, &mut desired.notes);
        for &vrf in &reach.vrfs {
            let target = target(address, vrf, &fronts, reach)?;
            desired.routes.insert((vrf, address), target);
        }
        uneven_ports(address, &fronts, &mut desired.notes);
    }
    Ok(())
}

/// All floating IPs with the listeners behind them.
fn fronts<'a>(
    snapshot: &'a Snapshot,
    pods: &BTreeSet<Ipv4Addr>,
    notes: &mut Vec<Note>,
) -> BTreeMap<Ipv4Addr, Vec<Front<'a>>> {
    let node = &snapshot.node;
    let mut fronts: BTreeMap<Ipv4Addr, Vec<Front<'a>>> = BTreeMap::new();
    for balancer in &snapshot.load_balancers {
        for FloatingIp { address, scope, .. } in &balancer.floating_ips {
            let taken = pods.contains(address)
                || *address == node.fabric.address.address
                || node.remotes.iter().any(|remote| remote.address == *address);
            if taken {
                let text =
                    format!("floating IP {address} is the address of a pod or a node, passed over");
                notes.push(Note::new(&balancer.name, text));
                continue;
            }
            let listeners = balancer.listeners.iter();
            let fronts_here = listeners.map(|listener| Front { balancer, listener, scope: *scope });
            fronts.entry(*address).or_default().extend(fronts_here);
        }
    }
    for fronts in fronts.values_mut() {
        fronts.retain(|front| sctp_is_possible(front, notes));
    }
    fronts
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
    // Active members first: of two target ports of one pod, the one that takes new connections wins.
    let mut members: Vec<&Member> = front.listener.pool.members.iter().collect();
    members.sort_by_key(|member| (member.state, **member));
    for member in members {
        let Some(&vif) = locals.get(&member.address) else { continue };
        let key = FipKey { vif, protocol, address, port };
        let wanted = FipTarget { address: member.address, port: member.port };
        let target = *desired.fip.entry(key).or_insert(wanted);
        if target != wanted {
            let text = format!(
                "{address}:{port}/{protocol} already leads to port {} of pod {}, {} passed over",
                target.port, member.address, member.port
            );
            desired.notes.push(Note::new(&front.balancer.name, text));
        }
    }
}

/// Where the floating IP leads in a VRF.
fn target(
    address: Ipv4Addr,
    vrf: VrfId,
    fronts: &[Front<'_>],
    reach: &Reach,
) -> Result<RouteTarget, CompileError> {
    let mut members: BTreeMap<Ipv4Addr, GroupMember> = BTreeMap::new();
    let mut waiting = false;
    for front in fronts {
        let mut here: Vec<GroupMember> = Vec::new();
        for member in &front.listener.pool.members {
            let Some(&hop) = reach.hops.get(&(vrf, member.address)) else {
                waiting |= reach.pending.contains(&(vrf, member.address));
                continue;
            };
            if front.scope == Scope::Local && !matches!(hop.next_hop, NextHopKey::Encap(_)) {
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
        // Nobody there: say so. Nobody yet, or nobody on this node: silence, so that clients try again.
        let local = fronts.iter().any(|front| front.scope == Scope::Local);
        let next_hop = if waiting || local { NextHopKey::Discard } else { NextHopKey::Reject };
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
fn unknown_members(fronts: &[Front<'_>], known: &BTreeSet<Ipv4Addr>, notes: &mut Vec<Note>) {
    for front in fronts {
        for member in &front.listener.pool.members {
            if !known.contains(&member.address) {
                let text = format!(
                    "no vif and no remote label is known for endpoint {}, passed over",
                    member.address
                );
                notes.push(Note::new(&front.balancer.name, text));
            }
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
