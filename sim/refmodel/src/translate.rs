//! Translation (section 7): which mapping a packet takes, and the fields that it changes.

use penstock_abi::reason::DropReason;
use penstock_abi::table::{FipMap, Flow, NextHopKind, Vif};

use crate::fault::Fault;
use crate::parse::L4;
use crate::rewrite::{Edits, EmbeddedEdits};
use crate::route::sends_translated;
use crate::tables::Tables;
use crate::types::{Card, Hop, Source};
use crate::verdict::{Ingress, Refused, Rule};
use crate::wire::{ICMP, TCP, UDP};

/// The mapping that translates a packet, and how.
#[derive(Clone, Copy)]
pub(crate) struct Translation {
    pub(crate) index: u16,
    pub(crate) map: FipMap,
    pub(crate) dnat: bool,
    pub(crate) dpat: bool,
    pub(crate) snat: bool,
    pub(crate) spat: bool,
    pub(crate) hairpin: bool,
    /// The address that `dnat` writes.
    to: u32,
}

impl Translation {
    /// The packet leaves under a floating IP, and its replies come back in that one's network.
    pub(crate) const fn under_floating_ip(&self) -> bool {
        self.snat && !self.hairpin
    }
}

/// What section 7 does with a packet.
pub(crate) struct Applied {
    pub(crate) translation: Option<Translation>,
    /// The usable flow still holds (it does not "count as not found").
    pub(crate) holding: bool,
}

/// The mapping that a packet finds.
#[derive(Clone, Copy)]
enum Found {
    /// By 1 to 3.
    Towards(u16),
    /// By 4.
    Under(u16),
}

/// "Replies without their flow": what a pod may only send translated, sent by a packet without a usable flow.
pub(crate) fn reply_without_flow(tables: &Tables, source: &Source) -> Result<(), Refused> {
    let Ingress::Host(vif) = source.ingress else { return Ok(()) };
    let key = &source.key;
    if tables.fip_key(vif, key.proto, key.sip, key.sport).is_none() {
        return Ok(());
    }
    match source.ip.l4 {
        L4::Fragment => Err(Refused::by(Rule::MarkedFragment, DropReason::Fragments)),
        L4::IcmpError => Err(Refused::by(Rule::MarkedError, DropReason::FlowUnusable)),
        L4::Tcp(_) if !source.ip.is_bare_syn() => {
            Err(Refused::by(Rule::MarkedReply, DropReason::FlowUnusable))
        }
        _ => Ok(()),
    }
}

/// Section 7, after the replies without their flow.
pub(crate) fn translation(
    card: &Card<'_>,
    flow: Option<&Flow>,
    source: &Source,
    hop: &Hop,
    out: Option<Vif>,
) -> Result<Applied, Refused> {
    let of_flow = flow.filter(|f| f.map_valid).and_then(|f| {
        let map = card.tables.fip_map(f.map)?;
        let &Flow { dnat, dpat, snat, spat, hairpin, .. } = f;
        let to = if hairpin && f.reverse { client(card, &map, out) } else { map.pod_ip };
        Some(Translation { index: f.map, map, dnat, dpat, snat, spat, hairpin, to })
    });
    let found = find(card, source, hop, out);
    let rechosen = hop.member.is_some_and(|m| m.chosen);
    let holds = |translation| Ok(Applied { translation, holding: true });
    match (flow, of_flow) {
        (Some(f), Some(_)) if f.reverse => return holds(of_flow),
        (Some(f), Some(_))
            if sends_translated(f) && (!rechosen || !card.breaks(Fault::EgressForgetsMapping)) =>
        {
            return Ok(Applied { translation: of_flow, holding: !rechosen });
        }
        (Some(_), Some(t)) => {
            let same = matches!(found, Some(Found::Towards(index)) if index == t.index);
            if !rechosen && (same || card.breaks(Fault::FlowsKeepMapping)) {
                return holds(of_flow);
            }
        }
        (Some(f), None) if f.reverse && !matches!(found, Some(Found::Towards(_))) => {
            return holds(None);
        }
        (Some(f), None) if !f.reverse && !rechosen && found.is_none() => return holds(None),
        _ => {}
    }
    let translation = fresh(card, found, source, hop, out)?;
    Ok(Applied { translation, holding: false })
}

/// The address of a client that is behind the vif to which its own packets go.
fn client(card: &Card<'_>, map: &FipMap, out: Option<Vif>) -> u32 {
    match out {
        Some(vif) if vif.ip != 0 && !card.breaks(Fault::ClientIsMember) => vif.ip,
        _ => map.pod_ip,
    }
}

/// The mapping that a packet finds.
fn find(card: &Card<'_>, source: &Source, hop: &Hop, out: Option<Vif>) -> Option<Found> {
    let Source { ip, key, ingress, .. } = source;
    if ip.is_fragment() {
        return None;
    }
    let encap = hop.nh.kind == NextHopKind::Encap;
    let delivers = encap || (out.is_some() && !card.breaks(Fault::ReceiveIsPlain));
    let to_member = hop.member.filter(|_| delivers).map_or(0, |m| m.map);
    if to_member != 0 && !card.breaks(Fault::MemberHasNoMapping) {
        return Some(Found::Towards(to_member));
    }
    if out.is_some_and(|vif| vif.ip != ip.dip) {
        let by_key = || {
            let arrived = *ingress == Ingress::Fabric || card.breaks(Fault::VifsUseKeys);
            (delivers && arrived)
                .then(|| card.tables.fip_key(hop.nh.vif, key.proto, ip.dip, key.dport))
                .flatten()
                .filter(|&map| map != 0 || card.breaks(Fault::MarksTranslate))
        };
        let plain = || {
            (encap && !card.breaks(Fault::NoPlainFips))
                .then(|| card.tables.plain_fip(hop.nh.vif, ip.dip))
                .flatten()
        };
        let found = if card.breaks(Fault::PlainFipFirst) {
            plain().or_else(by_key)
        } else {
            by_key().or_else(plain)
        };
        if let Some(map) = found {
            return Some(Found::Towards(map));
        }
    }
    let under = hop.egress && !card.breaks(Fault::EgressKeepsSource);
    under.then_some(Found::Under(source.vif.egress_map))
}

/// What applies to a packet that no flow says it of.
fn fresh(
    card: &Card<'_>,
    found: Option<Found>,
    source: &Source,
    hop: &Hop,
    out: Option<Vif>,
) -> Result<Option<Translation>, Refused> {
    let ip = &source.ip;
    if ip.is_fragment() && hop.egress {
        return Err(Refused::by(Rule::EgressFragment, DropReason::Fragments));
    }
    let Some(found) = found else { return Ok(None) };
    let other_icmp = ip.l4 == L4::Other && ip.proto == ICMP;
    if ip.l4 == L4::IcmpError || other_icmp {
        if card.breaks(Fault::ErrorsPass) {
            return Ok(None);
        }
        return Err(Refused::by(Rule::NotToBeApplied, DropReason::NoFipPortMap));
    }
    let (Found::Towards(index) | Found::Under(index)) = found;
    let Some(map) = card.tables.fip_map(index) else {
        if card.breaks(Fault::BadMappingIgnored) {
            return Ok(None);
        }
        return Err(Refused::by(Rule::MappingNotValid, DropReason::NoFipPortMap));
    };
    let towards = matches!(found, Found::Towards(_));
    let hairpin = towards && source.ingress == Ingress::Host(hop.nh.vif);
    let translation = Translation {
        index,
        map,
        dnat: towards,
        dpat: towards && map.pod_port != map.vip_port && matches!(ip.proto, TCP | UDP),
        snat: hairpin || !towards,
        spat: false,
        hairpin,
        to: map.pod_ip,
    };
    let known =
        if towards { !hairpin || ip.sip == client(card, &map, out) } else { ip.sip == map.pod_ip };
    if !known && !card.breaks(Fault::AnySourceGoesOut) {
        return Err(Refused::by(Rule::ClientUnknown, DropReason::InvalidSource));
    }
    Ok(Some(translation))
}

/// What must not be delivered.
pub(crate) fn delivery(
    card: &Card<'_>,
    source: &Source,
    hop: &Hop,
    out: Option<Vif>,
    translation: Option<Translation>,
    edits: &Edits,
) -> Result<(), Refused> {
    let Some(out) = out else { return Ok(()) };
    let ip = &source.ip;
    match hop.nh.kind {
        NextHopKind::Encap if out.ip != 0 && edits.dip.unwrap_or(ip.dip) != out.ip => {
            Err(if ip.is_fragment() {
                DropReason::Fragments.into()
            } else {
                DropReason::NoFipPortMap.into()
            })
        }
        NextHopKind::Receive
            if source.ingress == Ingress::Host(hop.nh.vif)
                && translation.is_none()
                && !card.breaks(Fault::NodeLoops) =>
        {
            Err(Refused::by(Rule::BackToNode, DropReason::PacketLoop))
        }
        _ => Ok(()),
    }
}

/// The fields that a translation rewrites, and the TTL.
pub(crate) fn edits(source: &Source, translation: Option<Translation>) -> Edits {
    let ip = &source.ip;
    let mut e = Edits { decrement_ttl: source.ingress != Ingress::Fabric, ..Edits::default() };
    let Some(t) = translation else { return e };
    let when = |on: bool, port: u16| on.then_some(port);
    let to = t.dnat.then_some(t.to);
    let from = t.snat.then_some(t.map.vip);
    let (dport, sport) = (when(t.dpat, t.map.pod_port), when(t.spat, t.map.vip_port));
    e.dip = to;
    if ip.l4 == L4::IcmpError {
        e.sip = from.filter(|_| ip.sip == source.key.sip);
        // What it embeds went the other way.
        e.embedded = Some(EmbeddedEdits { sip: to, dip: from, sport: dport, dport: sport });
    } else {
        (e.sip, e.dport, e.sport) = (from, dport, sport);
    }
    e
}
