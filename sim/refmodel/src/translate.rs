//! Floating-IP translation (section 7): which mapping a packet takes, and the fields that it changes.

use penstock_abi::reason::DropReason;
use penstock_abi::table::{FipMap, Flow, Vif};

use crate::parse::L4;
use crate::rewrite::{Edits, EmbeddedEdits};
use crate::tables::Tables;
use crate::types::{Hop, Source};
use crate::verdict::{Ingress, Refused, Rule};
use crate::wire::{TCP, UDP};

/// The mapping that translates a packet, and how.
#[derive(Clone, Copy)]
pub(crate) struct Translation {
    pub(crate) index: u16,
    pub(crate) map: FipMap,
    pub(crate) reverse: bool,
    pub(crate) port: bool,
    pub(crate) hairpin: bool,
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

/// Section 7. Returns the translation, and whether the usable flow still holds (it does not "count as not found").
pub(crate) fn translation(
    tables: &Tables,
    flow: Option<&Flow>,
    source: &Source,
    hop: &Hop,
    encap: Option<Vif>,
) -> (Option<Translation>, bool) {
    let of_flow = flow.filter(|f| f.map_valid).and_then(|f| {
        let map = tables.fip_map(f.map)?;
        let port = if f.reverse { f.spat } else { f.dpat };
        Some(Translation { index: f.map, map, reverse: f.reverse, port, hairpin: f.hairpin })
    });
    if flow.is_some_and(|f| f.reverse) {
        // A pair that the far end began, before its own entry was there, knows nothing of the service.
        let found =
            of_flow.or(encap.and_then(|pod| fresh_mapping(tables, source, hop.nh.vif, pod)));
        return (found, of_flow.is_some() || found.is_none());
    }
    let rechosen = hop.member.is_some_and(|m| m.chosen);
    let fits = |t: &Translation| encap.is_some_and(|pod| pod.ip == 0 || pod.ip == t.map.pod_ip);
    let mut holding = flow.is_some() && !rechosen && of_flow.as_ref().is_none_or(fits);
    if holding && of_flow.is_some() {
        return (of_flow, true);
    }
    let found = encap.and_then(|pod| fresh_mapping(tables, source, hop.nh.vif, pod));
    holding &= found.is_none();
    (found, holding)
}

/// The mapping that a packet without one finds at an Encap next hop.
fn fresh_mapping(tables: &Tables, source: &Source, out_vif: u8, pod: Vif) -> Option<Translation> {
    let ip = &source.ip;
    if matches!(ip.l4, L4::Fragment | L4::IcmpError) || ip.dip == pod.ip {
        return None;
    }
    let index = tables.fip_key(out_vif, ip.proto, ip.dip, source.key.dport)?;
    let map = tables.fip_map(index)?;
    Some(Translation {
        index,
        map,
        reverse: false,
        port: map.pod_port != map.vip_port && matches!(ip.proto, TCP | UDP),
        hairpin: source.ingress == Ingress::Host(out_vif),
    })
}

/// The fields that a translation rewrites, and the TTL.
pub(crate) fn edits(source: &Source, translation: Option<Translation>) -> Edits {
    let ip = &source.ip;
    let mut e = Edits { decrement_ttl: source.ingress != Ingress::Fabric, ..Edits::default() };
    let Some(t) = translation else { return e };
    let (pod, vip) = (Some(t.map.pod_ip), Some(t.map.vip));
    let when = |on: bool, port: u16| on.then_some(port);
    if ip.l4 == L4::IcmpError {
        let vip_source = vip.filter(|_| ip.sip == source.key.sip);
        let mut emb = EmbeddedEdits::default();
        if t.reverse {
            e.sip = vip_source;
            emb.dip = vip;
            emb.dport = when(t.port, t.map.vip_port);
            if t.hairpin {
                (e.dip, emb.sip) = (pod, pod);
            }
        } else {
            (e.dip, emb.sip) = (pod, pod);
            emb.sport = when(t.port, t.map.pod_port);
            if t.hairpin {
                e.sip = vip_source;
                emb.dip = vip;
            }
        }
        e.embedded = Some(emb);
    } else if t.reverse {
        e.sip = vip;
        e.sport = when(t.port, t.map.vip_port);
        e.dip = pod.filter(|_| t.hairpin);
    } else {
        e.dip = pod;
        e.dport = when(t.port, t.map.pod_port);
        e.sip = vip.filter(|_| t.hairpin);
    }
    e
}
