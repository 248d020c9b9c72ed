//! Admission before the verdict (section 9.1), as far as it depends on the flow table alone: neither the queue of requests nor
//! what waits in it is modelled.

use penstock_abi::reason::DropReason;
use penstock_abi::table::{Flow, ServiceAddress, SourceCheck};

use crate::fault::Fault;
use crate::flows::{FlowTable, Pair, key_of};
use crate::parse::L4;
use crate::shares::Refusal;
use crate::tables::Route;
use crate::types::{Card, Source};
use crate::verdict::{Learn, Refused, Request, Rule};
use crate::wire::TCP;

/// What a packet that leaves asks for after all.
pub(crate) struct Admitted {
    pub(crate) learn: Learn,
    /// Its request was forgotten.
    pub(crate) deferred: bool,
    pub(crate) refusal: Option<Refusal>,
    pub(crate) rule: Option<Rule>,
}

impl Admitted {
    fn asks(learn: Learn, rule: Option<Rule>) -> Self {
        Self { learn, deferred: false, refusal: None, rule }
    }

    fn deferred(refusal: Option<Refusal>, rule: Option<Rule>) -> Self {
        Self { deferred: true, refusal, ..Self::asks(Learn::No, rule) }
    }
}

/// What a packet that leaves asks for after all; or why it must not leave.
pub(crate) fn admit(
    card: &Card<'_>,
    found: Option<&Flow>,
    translated: bool,
    asked: Learn,
) -> Result<Admitted, Refused> {
    let Some(pair) = asked.pair() else { return Ok(Admitted::asks(asked, None)) };
    let reverse_key = key_of(&pair.reverse);
    if key_of(&pair.forward) == reverse_key {
        return Ok(Admitted::asks(Learn::No, Some(Rule::OwnReply)));
    }
    let partner = found.and_then(|f| card.flows.partner(f));
    let other = card.flows.get(&reverse_key).filter(|o| partner.map(key_of) != Some(key_of(o)));
    let mut rule = None;
    if let Some(other) = other {
        if !gives_way(card.flows, other, pair) {
            let refused = Refused::by(Rule::Clash, DropReason::FlowClash);
            let request = Some(Request::DeadPair { key: reverse_key });
            return Err(Refused { request, ..refused });
        }
        rule =
            Some(if is_plain(pair) { Rule::PlainPairMoved } else { Rule::ServiceBeforePlainPair });
    }
    let may_be_refused = match asked {
        Learn::New(_) => rule.is_none() || card.breaks(Fault::SharesRefuseWhatTakesAPlace),
        _ => card.breaks(Fault::SharesRefuseWhatTakesAPlace),
    };
    if may_be_refused && card.limited {
        let over = card.flows.shares.over(card.tables, pair.shares, card.fault);
        if !over.is_empty() {
            let refusal =
                Some(Refusal { keys: [key_of(&pair.forward), reverse_key], of: pair.shares, over });
            if translated || card.breaks(Fault::SharesDropPlain) {
                let refused = Refused::by(Rule::ShareOver, DropReason::FlowQuota);
                return Err(Refused { refusal, ..refused });
            }
            return Ok(Admitted::deferred(refusal, Some(Rule::ShareOver)));
        }
    }
    let full = card.flows.len() > card.tables.flows_for_translation();
    if full && translated && matches!(asked, Learn::New(_)) {
        return Err(Refused::by(Rule::TableFull, DropReason::FlowTableFull));
    }
    let pressed = card.flows.pressure() != 0 && !card.breaks(Fault::PlainPairsPressOn);
    if pressed && is_plain(pair) && matches!(asked, Learn::New(_)) {
        return Ok(Admitted::deferred(None, rule));
    }
    Ok(Admitted::asks(asked, rule))
}

/// A pair with another's reverse key makes room for it: both are plain, so both are one connection; or what began it is a reply
/// that came before the request, or a pod's own use of a port that it serves.
pub(crate) fn gives_way(flows: &FlowTable, in_the_way: &Flow, pair: &Pair) -> bool {
    let of_service = pair.forward.map_valid && pair.forward.proto != TCP;
    flows.is_plain_pair(in_the_way) && (is_plain(pair) || (of_service && !in_the_way.reverse))
}

/// Neither translated nor sent through a group.
fn is_plain(pair: &Pair) -> bool {
    !pair.forward.map_valid && !pair.forward.ecmp_valid
}

/// Whether the source check lets a packet from the fabric pass whose source has this route.
pub(crate) fn source_passes(card: &Card<'_>, source: &Source, route: Option<&Route>) -> bool {
    let sources = route.map_or(0, |r| r.sources);
    match (card.fault, card.tables.vrf(source.vrf).source_check) {
        (Some(Fault::LooseTakesUnknown), SourceCheck::Loose) => sources != 0,
        (Some(Fault::OffTakesOwn), SourceCheck::Off) => true,
        (Some(Fault::OffNeedsRoute), SourceCheck::Off) => sources != 0,
        _ => card.tables.source_passes(source.vrf, route, source.src_info),
    }
}

/// A packet came by a tunnel that is not its flow's (section 5). An ICMP error changes no flow.
pub(crate) fn ask_to_move(card: &Card<'_>, source: &Source) -> Option<Request> {
    let route = card.tables.route(source.vrf, source.key.sip);
    let passes = source_passes(card, source, route.as_ref()) || card.breaks(Fault::MovesUnchecked);
    if source.ip.l4 == L4::IcmpError || !passes {
        return None;
    }
    // By a floating IP's label the one look-up of a service is that of the destination.
    let asks = source.ilm.is_none_or(|ilm| !ilm.service) || card.breaks(Fault::LabelAsksForFarEnd);
    let service = asks
        && route
            .is_some_and(|r| matches!(r.service, ServiceAddress::Reject | ServiceAddress::Drop));
    let nh = if service && !card.breaks(Fault::MovesByAddress) {
        card.tables.service_from(source.vrf, &source.key).map_or(0, |key| key.nh)
    } else {
        route.map_or(0, |r| r.nh)
    };
    Some(Request::Move { key: source.key, outer_sip: source.src_info, service, nh })
}
