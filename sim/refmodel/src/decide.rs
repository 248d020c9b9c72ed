//! From a frame and the state of the card to a verdict. Pure: nothing is counted or learned here.

use penstock_abi::hash::public_hash;
use penstock_abi::limits::{FRAME_MAX_BYTES, OUTER_TTL};
use penstock_abi::reason::{DropReason, TrapReason};
use penstock_abi::table::{Flow, NextHopKind};

use crate::arrive::{Arrival, arrive};
use crate::fault::Fault;
use crate::parse::L4;
use crate::rewrite::{self, Edits, Encapsulation};
use crate::route::{Routed, sends_translated};
use crate::shares::Refusal;
use crate::translate::Applied;
use crate::types::{Card, Source};
use crate::verdict::{Decision, Egress, Ingress, Learn, Refused, Request, Rule, Verdict};
use crate::{admit, learn, route, translate};

/// Decides what becomes of `frame`.
#[must_use]
pub fn decide(card: &Card<'_>, ingress: Ingress, frame: &[u8]) -> Decision {
    let source = match arrive(card, ingress, frame) {
        Ok(Arrival::Routed(source)) => source,
        Ok(Arrival::Unchanged(egress)) => {
            return Decision::plain(Verdict::Sent { egress, frame: frame.to_vec() });
        }
        Err(refused) => return drop_for(&refused),
    };
    let ip = &source.ip;
    let lookup = (!ip.is_fragment()).then_some(source.key);
    let found = lookup.and_then(|key| card.flows.get(&key));
    let mut client = None;
    let decision = match look_up(card, found, &source).and_then(|(flow, rule)| {
        client = route::client_asked(card, flow, &source);
        if flow.is_none() {
            source_check(card, &source)?;
        }
        forward(card, found, flow, &source, rule)
    }) {
        Ok(Fate::Trap(reason, rule)) => {
            let egress = Egress::Firmware { reason: reason as u8, vif: ingress.vif() };
            Decision { rule, ..Decision::plain(Verdict::Sent { egress, frame: frame.to_vec() }) }
        }
        Ok(Fate::Leaves(way)) => Decision {
            counts_on_flow: way.counts_on_flow,
            translated: way.translated,
            learn: way.learn,
            deferred: way.deferred,
            refusal: way.refusal,
            rule: way.rule,
            ..Decision::plain(rewrite::emit(frame, ip, &way.edits, &way.encapsulation, way.egress))
        },
        Err(refused) => drop_for(&refused),
    };
    let tcp_flags = if let L4::Tcp(flags) = ip.l4 { Some(flags) } else { None };
    Decision { lookup, tcp_flags, icmp_error: ip.l4 == L4::IcmpError, client, ..decision }
}

fn drop_for(refused: &Refused) -> Decision {
    Decision {
        learn: refused.request.map_or(Learn::No, Learn::from),
        refusal: refused.refusal,
        without: refused.without.as_deref().copied(),
        rule: refused.rule,
        first_fragment: refused.first_fragment,
        ..Decision::plain(Verdict::Dropped(refused.reason))
    }
}

/// Section 5: the usable flow, if what was found counts as such.
fn look_up<'a>(
    card: &Card<'_>,
    found: Option<&'a Flow>,
    source: &Source,
) -> Result<(Option<&'a Flow>, Option<Rule>), Refused> {
    let Some(flow) = found else { return Ok((None, None)) };
    let bare_syn = source.ip.is_bare_syn();
    let sends_elsewhere = source.ingress != Ingress::Fabric
        && source.vif.egress
        && sends_translated(flow)
        && flow.dvrf != source.vif.egress_vrf
        && !card.breaks(Fault::UnusableGoesOut);
    let no_way_out = || {
        let refused = Refused::by(Rule::UnusableAtEgress, DropReason::FlowUnusable);
        let asks = source.ip.l4 != L4::IcmpError && !card.breaks(Fault::UnusableStays);
        let request = asks.then_some(Request::DeadPair { key: source.key });
        Err(Refused { request, ..refused })
    };
    if !card.tables.usable(flow) {
        return if flow.reverse && !bare_syn {
            Err(Refused::by(Rule::UnusableReply, DropReason::FlowUnusable))
        } else if sends_elsewhere {
            no_way_out()
        } else {
            Ok((None, None))
        };
    }
    if bare_syn && card.flows.is_over(flow) {
        if sends_elsewhere {
            return no_way_out();
        }
        return Ok((None, Some(Rule::ConnectionOver)));
    }
    if source.ingress == Ingress::Fabric && source.src_info != flow.src_info {
        let refused = Refused::by(Rule::TunnelOfFlow, DropReason::InvalidSource);
        return Err(Refused { request: admit::ask_to_move(card, source), ..refused });
    }
    Ok((Some(flow), None))
}

/// Section 5, "Source check", of a packet without a usable flow.
fn source_check(card: &Card<'_>, source: &Source) -> Result<(), Refused> {
    if source.ingress != Ingress::Fabric {
        return Ok(());
    }
    let of_embedded = !card.breaks(Fault::ErrorsOwnSource);
    let sip = if of_embedded { source.key.sip } else { source.ip.sip };
    let route = card.tables.route(source.vrf, sip);
    if !admit::source_passes(card, source, route.as_ref()) && !card.breaks(Fault::NoSourceCheck) {
        return Err(Refused::by(Rule::SourceCheck, DropReason::InvalidSource));
    }
    Ok(())
}

enum Fate {
    Trap(TrapReason, Option<Rule>),
    Leaves(Box<Way>),
}

/// How a packet leaves.
struct Way {
    egress: Egress,
    edits: Edits,
    encapsulation: Encapsulation,
    counts_on_flow: bool,
    translated: bool,
    learn: Learn,
    deferred: bool,
    refusal: Option<Refusal>,
    rule: Option<Rule>,
}

/// Sections 6 to 9. `found` is the entry with the packet's key, `flow` the same if it is usable.
fn forward(
    card: &Card<'_>,
    found: Option<&Flow>,
    flow: Option<&Flow>,
    source: &Source,
    rule: Option<Rule>,
) -> Result<Fate, Refused> {
    let hop = match route::next_hop(card, flow, source)? {
        Routed::Leads(hop) => hop,
        Routed::Rejected(rule) => return Ok(Fate::Trap(TrapReason::Reject, Some(rule))),
    };
    if hop.nh.kind == NextHopKind::Reject {
        return Ok(Fate::Trap(TrapReason::Reject, hop.member.map(|_| Rule::GroupRefuses)));
    }
    let out = route::out_vif(card, source, &hop)?;
    if flow.is_none() {
        translate::reply_without_flow(card.tables, source)?;
    }
    let Applied { translation, holding } = translate::translation(card, flow, source, &hop, out)?;
    let begun_by_far_end = flow.is_some_and(|f| f.reverse && !holding);
    let edits = translate::edits(source, translation);
    translate::delivery(card, source, &hop, out, translation, &edits)?;
    let encapsulation = match (out, hop.label) {
        (None, Some(label)) => {
            let hash = public_hash(&source.key);
            Encapsulation::Mpls { nh: hop.nh, label, hash, outer_ttl: OUTER_TTL }
        }
        _ => Encapsulation::Ethernet { dmac: hop.nh.dmac, smac: hop.nh.smac },
    };
    if encapsulation.header_bytes() + source.ip.total_bytes > FRAME_MAX_BYTES {
        return Err(DropReason::EgressOversize.into());
    }
    let asked = learn::learn(card, source, found, flow, holding, &hop, out, translation, &edits)?;
    let without = asked.pair().map(|pair| Box::new(pair.forward));
    let admitted = admit::admit(card, found, translation.is_some(), asked)
        .map_err(|refused| Refused { without, ..refused })?;
    let egress = if out.is_some() { Egress::Host(hop.nh.vif) } else { Egress::Fabric };
    Ok(Fate::Leaves(Box::new(Way {
        egress,
        edits,
        encapsulation,
        counts_on_flow: flow.is_some(),
        translated: translation.is_some(),
        learn: admitted.learn,
        deferred: admitted.deferred,
        refusal: admitted.refusal,
        rule: rule
            .or(begun_by_far_end.then_some(Rule::BegunByFarEnd))
            .or(hop.member.and_then(|m| m.why))
            .or(admitted.rule)
            .or(hop.rule),
    })))
}
