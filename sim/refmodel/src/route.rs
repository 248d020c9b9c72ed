//! Route, next hop and member of a group (section 6).

use penstock_abi::hash::{member_hash, scale};
use penstock_abi::limits::VIF_FABRIC;
use penstock_abi::reason::DropReason;
use penstock_abi::table::{EcmpSlot, Flow, NextHop, NextHopKind, Vif};

use crate::types::{Card, Hop, Member, Source};
use crate::verdict::{Ingress, Refused, Rule};
use crate::wire::UDP;

/// The next hop that a packet takes, members of groups resolved.
pub(crate) fn next_hop(
    card: &Card<'_>,
    flow: Option<&Flow>,
    source: &Source,
) -> Result<Hop, Refused> {
    let tables = card.tables;
    let (first_id, label) = match source.label_nh {
        Some(nh) => (nh, None),
        None if flow.is_some_and(|f| f.hairpin && f.reverse) => (source.vif.nh, None),
        None => {
            let route = tables.route(source.vrf, source.ip.dip).ok_or(DropReason::Discard)?;
            (route.nh, route.label)
        }
    };
    let nh = tables.next_hop(first_id).ok_or(DropReason::InvalidNextHop)?;
    if nh.kind != NextHopKind::Composite {
        return Ok(Hop { first_id, nh, label, member: None });
    }
    if source.ip.is_fragment() {
        return Err(Refused::by(Rule::GroupFragment, DropReason::Fragments));
    }
    let member = member(card, &nh, flow, source).ok_or(DropReason::Discard)?;
    let nh = tables
        .next_hop(member.nh)
        .filter(|n| n.kind != NextHopKind::Composite)
        .ok_or(DropReason::InvalidNextHop)?;
    Ok(Hop { first_id, nh, label: Some(member.label), member: Some(member) })
}

fn member(
    card: &Card<'_>,
    group: &NextHop,
    flow: Option<&Flow>,
    source: &Source,
) -> Option<Member> {
    let (slots, live) = (u32::from(group.slots), u32::from(group.live));
    let word = |offset: u32| card.tables.ecmp(group.base, offset);
    let hash = member_hash(&source.key, group.hash_fields);
    let mut left = None;
    // Two words are looked at: the pinned one, or without a pin the hashed one, and the one of the list.
    let by_slot = match flow.filter(|f| f.ecmp_valid && u32::from(f.ecmp_slot) < slots) {
        Some(f) => {
            let w = word(u32::from(f.ecmp_slot));
            if w.valid && w.generation == f.ecmp_generation {
                left = leaves(card, &w, f, source, live);
                if left.is_none() {
                    let (slot, generation) = (f.ecmp_slot, f.ecmp_generation);
                    let (nh, label) = (w.nh, w.label);
                    return Some(Member { nh, label, slot, generation, chosen: false, left });
                }
            }
            None
        }
        None => (slots > 0).then(|| word(scale(hash, slots))).filter(|w| w.valid && !w.drain),
    };
    let by_list =
        || (live > 0).then(|| word(slots + scale(hash.rotate_left(16), live))).filter(|w| w.valid);
    let EcmpSlot { nh, label, slot, generation, .. } = by_slot.or_else(by_list)?;
    Some(Member { nh, label, slot, generation, chosen: true, left })
}

/// The two exceptions to a flow's keeping its member.
fn leaves(
    card: &Card<'_>,
    pinned: &EcmpSlot,
    flow: &Flow,
    source: &Source,
    live: u32,
) -> Option<Rule> {
    if pinned.drain && source.ip.is_bare_syn() && card.flows.is_opening(flow) {
        return Some(Rule::SynLeavesDraining);
    }
    let evicts = pinned.drain && pinned.evict_udp;
    (evicts && source.ip.proto == UDP && live > 0).then_some(Rule::UdpEvicted)
}

/// The vif by which a packet leaves, `None` for the fabric; drops are those of section 6. A Reject is the caller's.
pub(crate) fn out_vif(card: &Card<'_>, source: &Source, hop: &Hop) -> Result<Option<Vif>, Refused> {
    match hop.nh.kind {
        NextHopKind::Receive | NextHopKind::Encap => {
            let out = card.tables.vif(hop.nh.vif);
            if hop.nh.vif == VIF_FABRIC || !out.valid {
                return Err(DropReason::InvalidIf.into());
            }
            Ok(Some(out))
        }
        NextHopKind::Tunnel => {
            if source.ingress == Ingress::Fabric {
                return Err(DropReason::PacketLoop.into());
            }
            if !card.tables.vif(VIF_FABRIC).valid {
                return Err(DropReason::InvalidIf.into());
            }
            if hop.label.is_none() {
                return Err(DropReason::InvalidLabel.into());
            }
            Ok(None)
        }
        _ => Err(DropReason::Discard.into()),
    }
}
