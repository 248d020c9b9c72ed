//! Route, next hop and member of a group (section 6).

use penstock_abi::affinity::client_lot;
use penstock_abi::hash::{member_hash, scale};
use penstock_abi::limits::VIF_FABRIC;
use penstock_abi::reason::DropReason;
use penstock_abi::table::{
    Affinity, EcmpSlot, Flow, Ilm, NextHop, NextHopKind, ServiceAddress, Vif,
};
use penstock_tables::prefix::{PREFIX_LENGTHS, prefix_rank};

use crate::clients::{Client, ClientKey, now};
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
    /// `ServiceKey.affinity`.
    affinity: u16,
    rule: Option<Rule>,
}

impl Way {
    /// Without a route.
    const fn to(nh: u16, vrf: u16) -> Self {
        Self { nh, label: None, vrf, egress: false, affinity: 0, rule: None }
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
    let Way { nh: first_id, label, vrf, egress, affinity, rule } = way;
    let nh = tables.next_hop(first_id).ok_or(DropReason::InvalidNextHop)?;
    let client = client(card, affinity, &nh, source);
    let hop = Hop { first_id, nh, label, member: None, client, vrf, egress, rule };
    if nh.kind != NextHopKind::Composite {
        return Ok(Routed::Leads(hop));
    }
    if source.ip.is_fragment() {
        return Err(Refused::by(Rule::GroupFragment, DropReason::Fragments));
    }
    let member = member(card, &nh, flow, source, client).ok_or(DropReason::Discard)?;
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
    let affinity = match found {
        Some(key) if card.breaks(Fault::LabelHasAffinity) => key.affinity,
        _ => 0,
    };
    Ok(Way { affinity, rule: Some(Rule::ServiceLabel), ..Way::to(nh, ilm.vrf) })
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
        let (affinity, rule) = (key.affinity, Some(Rule::Service));
        let way = Way { affinity, rule, ..Way::to(key.nh, source.vrf) };
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
        _ => {
            let way =
                Way { label: route.label, egress: egress.is_some(), ..Way::to(route.nh, vrf) };
            Ok(Ok(Way { rule, ..way }))
        }
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

/// The client of a packet that has affinity.
fn client(card: &Card<'_>, affinity: u16, group: &NextHop, source: &Source) -> Option<Client> {
    let timeout = match group.affinity_time() {
        0 if card.breaks(Fault::GroupsNeedNoTimeout) => u32::MAX,
        timeout => timeout,
    };
    let key = ClientKey { number: affinity, client: source.key.sip };
    (affinity != 0 && timeout != 0).then_some(Client { key, timeout })
}

/// The client whose entry decides where a packet goes that is pinned to nobody.
pub(crate) fn client_asked(
    card: &Card<'_>,
    flow: Option<&Flow>,
    source: &Source,
) -> Option<ClientKey> {
    if source.ilm.is_some() || source.ip.is_fragment() {
        return None;
    }
    let way = from_vif(card, flow, source).ok()?.ok()?;
    let group = card.tables.next_hop(way.nh).filter(|nh| nh.kind == NextHopKind::Composite)?;
    let asks = pin(flow, &group).is_none();
    client(card, way.affinity, &group, source).filter(|_| asks).map(|client| client.key)
}

/// A flow that is pinned to a slot of the group.
fn pin<'a>(flow: Option<&'a Flow>, group: &NextHop) -> Option<&'a Flow> {
    flow.filter(|f| f.ecmp_valid && f.ecmp_slot < group.slots)
}

fn member(
    card: &Card<'_>,
    group: &NextHop,
    flow: Option<&Flow>,
    source: &Source,
    client: Option<Client>,
) -> Option<Member> {
    let (slots, live) = (u32::from(group.slots), u32::from(group.live));
    let word = |offset: u32| card.tables.ecmp(group.base, offset);
    let lot = client.filter(|_| !card.breaks(Fault::ForgottenReturn));
    let lot = lot.map_or(0, |_| client_lot(now(card.flows.now())));
    let hash = member_hash(&source.key, group.hash_fields) ^ lot;
    let by_hash = || (slots > 0).then(|| word(scale(hash, slots))).filter(|w| w.valid && !w.drain);
    let by_client = |entry: &Affinity| {
        let w = word(entry.slot.into());
        let same = w.generation == entry.generation || card.breaks(Fault::ClientsOfAnyGeneration);
        let takes = !w.drain || card.breaks(Fault::DrainingKeepsClients);
        (w.valid && same && takes).then_some(w)
    };
    let entry = || kept(card, &client?).filter(|e| u32::from(e.slot) < slots);
    // Two words are looked at: that of the pin, of the client's entry or of the hash, and that of the list.
    let (by_slot, why) = if let Some(f) = pin(flow, group) {
        let w = word(u32::from(f.ecmp_slot));
        let mut why = None;
        if w.valid && w.generation == f.ecmp_generation {
            why = leaves(card, &w, f, source, live);
            if why.is_none() {
                let (slot, generation) = (f.ecmp_slot, f.ecmp_generation);
                return Some(Member { slot, generation, chosen: false, ..told(&w) });
            }
        }
        let entry = entry().filter(|_| card.breaks(Fault::PinLostAsksForClient));
        (entry.and_then(by_client), why)
    } else if let Some(entry) = entry() {
        match by_client(entry) {
            None if card.breaks(Fault::LostClientsAreHashed) => (by_hash(), None),
            None => (None, Some(Rule::ClientLost)),
            word => (word, Some(Rule::ClientKept)),
        }
    } else {
        (by_hash(), None)
    };
    let by_list =
        || (live > 0).then(|| word(slots + scale(hash.rotate_left(16), live))).filter(|w| w.valid);
    Some(Member { why, ..told(&by_slot.or_else(by_list)?) })
}

/// The entry of a client.
fn kept<'a>(card: &Card<'a>, client: &Client) -> Option<&'a Affinity> {
    let now = now(card.flows.now());
    let entry = card.clients.get(client.key, now, card.fault)?;
    let counts = match card.fault {
        Some(Fault::ClientsAreForgotten) => false,
        Some(Fault::TimeoutOfGroup) => entry.age(now) <= client.timeout,
        _ => true,
    };
    counts.then_some(entry)
}

/// A member as its word tells it, chosen.
fn told(word: &EcmpSlot) -> Member {
    let EcmpSlot { nh, label, slot, generation, local, .. } = *word;
    // 14 bits.
    let map = if local { label as u16 & 0x3fff } else { 0 };
    let label = (!local).then_some(label);
    Member { nh, label, slot, generation, chosen: true, why: None, map }
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
