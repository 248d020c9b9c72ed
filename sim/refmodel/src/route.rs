//! Route, next hop and member of a group (section 6).

use penstock_abi::hash::{member_hash, scale};
use penstock_abi::limits::VIF_FABRIC;
use penstock_abi::reason::DropReason;
use penstock_abi::table::{EcmpSlot, Flow, Ilm, NextHop, NextHopKind, ServiceAddress, Vif};
use penstock_tables::prefix::{PREFIX_LENGTHS, prefix_rank};

use crate::fault::Fault;
use crate::tables::Route;
use crate::types::{Card, Hop, Member, Source};
use crate::verdict::{Ingress, Refused, Rule};
use crate::wire::UDP;

/// Where section 6 leads first, groups not resolved.
struct Way {
    nh: u16,
    label: Option<u32>,
    vrf: u16,
    egress: bool,
    rule: Option<Rule>,
}

impl Way {
    /// Without a route.
    const fn to(nh: u16, vrf: u16) -> Self {
        Self { nh, label: None, vrf, egress: false, rule: None }
    }
}

/// What section 6 does with a packet.
pub(crate) enum Routed {
    /// It goes on to a next hop, members of groups resolved.
    Leads(Hop),
    /// The firmware refuses it.
    Rejected(Rule),
}

/// The next hop that a packet takes.
pub(crate) fn next_hop(
    card: &Card<'_>,
    flow: Option<&Flow>,
    source: &Source,
) -> Result<Routed, Refused> {
    let tables = card.tables;
    let way = match source.ilm {
        Some(ilm) => by_label(card, ilm, source)?,
        None => match from_vif(card, flow, source)? {
            Ok(way) => way,
            Err(rule) => return Ok(Routed::Rejected(rule)),
        },
    };
    let Way { nh: first_id, label, vrf, egress, rule } = way;
    let nh = tables.next_hop(first_id).ok_or(DropReason::InvalidNextHop)?;
    let hop = Hop { first_id, nh, label, member: None, vrf, egress, rule };
    if nh.kind != NextHopKind::Composite {
        return Ok(Routed::Leads(hop));
    }
    if source.ip.is_fragment() {
        return Err(Refused::by(Rule::GroupFragment, DropReason::Fragments));
    }
    let member = member(card, &nh, flow, source).ok_or(DropReason::Discard)?;
    let nh = tables
        .next_hop(member.nh)
        .filter(|n| n.kind != NextHopKind::Composite)
        .ok_or(DropReason::InvalidNextHop)?;
    Ok(Routed::Leads(Hop { nh, label: member.label, member: Some(member), ..hop }))
}

/// From the fabric.
fn by_label(card: &Card<'_>, ilm: Ilm, source: &Source) -> Result<Way, Refused> {
    if !ilm.service {
        return Ok(Way::to(ilm.nh, ilm.vrf));
    }
    if source.ip.is_fragment() {
        return Err(Refused::by(Rule::LabelFragment, DropReason::Fragments));
    }
    let found = card.tables.service_to(ilm.vrf, source.ip.dip, &source.key);
    let nh = match found {
        Some(key) if card.breaks(Fault::LabelLeadsToAll) => key.nh,
        Some(key) if key.local != 0 => key.local,
        _ if card.breaks(Fault::LabelFallsThrough) => ilm.nh,
        _ => return Err(Refused::by(Rule::NobodyHere, DropReason::NoFipPortMap)),
    };
    Ok(Way { rule: Some(Rule::ServiceLabel), ..Way::to(nh, ilm.vrf) })
}

/// From a vif; the inner error is a refusal by the firmware.
fn from_vif(
    card: &Card<'_>,
    flow: Option<&Flow>,
    source: &Source,
) -> Result<Result<Way, Rule>, Refused> {
    let Source { ip, vif, .. } = source;
    if flow.is_some_and(|f| f.hairpin && f.reverse) {
        return Ok(Ok(Way::to(vif.nh, source.vrf)));
    }
    let translated = flow.filter(|f| sends_translated(f));
    let asks = !ip.is_fragment()
        && (translated.is_none() || card.breaks(Fault::RepliesAskForServices))
        && !card.breaks(Fault::NoServiceKeys);
    if asks && let Some(key) = card.tables.service_to(source.vrf, ip.dip, &source.key) {
        let way = Way { rule: Some(Rule::Service), ..Way::to(key.nh, source.vrf) };
        return Ok(Ok(way));
    }
    let vrf =
        translated.filter(|_| !card.breaks(Fault::NoVrfTranslation)).map_or(source.vrf, |f| f.dvrf);
    let own = card.tables.route(vrf, ip.dip);
    let begins = flow.is_none_or(|f| !f.reverse && !sends_translated(f));
    let other = (vif.egress && (begins || card.breaks(Fault::RepliesGoOut)))
        .then(|| card.tables.route(vif.egress_vrf, ip.dip))
        .flatten();
    let longer = |a: &Route, b: &Route| match card.fault {
        Some(Fault::EgressWinsAtEqual) => a.len >= b.len,
        Some(Fault::EgressOnlyWithoutRoute) => false,
        Some(Fault::LengthsOfTables) => of_table(a.len) > of_table(b.len),
        _ => a.len > b.len,
    };
    let egress = other.filter(|o| own.as_ref().is_none_or(|own| longer(o, own)));
    let (vrf, rule) = match egress {
        Some(_) => (vif.egress_vrf, Some(Rule::EgressWay)),
        None => (vrf, None),
    };
    let route = egress.or(own).ok_or(DropReason::Discard)?;
    let leads_on = card.breaks(Fault::AddressLeadsOn)
        || (ip.is_fragment() && card.breaks(Fault::FragmentsFollowAddress));
    let service = match route.service {
        _ if leads_on => ServiceAddress::No,
        ServiceAddress::Reject if card.breaks(Fault::RefusalDrops) => ServiceAddress::Drop,
        ServiceAddress::Drop if card.breaks(Fault::DropRefuses) => ServiceAddress::Reject,
        other => other,
    };
    match service {
        ServiceAddress::Reject | ServiceAddress::Drop if ip.is_fragment() => {
            Err(Refused::by(Rule::AddressFragment, DropReason::Fragments))
        }
        ServiceAddress::Reject => Ok(Err(Rule::AddressRefuses)),
        ServiceAddress::Drop => Err(Refused::by(Rule::AddressDrops, DropReason::NoFipPortMap)),
        _ => Ok(Ok(Way { nh: route.nh, label: route.label, vrf, egress: egress.is_some(), rule })),
    }
}

/// Only for a planted fault: the length of the table in which a prefix stands.
fn of_table(len: u8) -> u8 {
    prefix_rank(len).map_or(len, |rank| PREFIX_LENGTHS[usize::from(rank)])
}

/// A usable flow whose packets leave under another source address.
pub(crate) const fn sends_translated(flow: &Flow) -> bool {
    flow.snat && !flow.hairpin
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
                    return Some(Member { slot, generation, chosen: false, left, ..told(&w) });
                }
            }
            None
        }
        None => (slots > 0).then(|| word(scale(hash, slots))).filter(|w| w.valid && !w.drain),
    };
    let by_list =
        || (live > 0).then(|| word(slots + scale(hash.rotate_left(16), live))).filter(|w| w.valid);
    Some(Member { left, ..told(&by_slot.or_else(by_list)?) })
}

/// A member as its word tells it, chosen.
fn told(word: &EcmpSlot) -> Member {
    let EcmpSlot { nh, label, slot, generation, local, .. } = *word;
    // 14 bits.
    let map = if local { label as u16 & 0x3fff } else { 0 };
    let label = (!local).then_some(label);
    Member { nh, label, slot, generation, chosen: true, left: None, map }
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
