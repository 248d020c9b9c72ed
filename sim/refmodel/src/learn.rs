//! What a forwarded packet asks of the insertion unit (section 9): the pair of entries, worked out but not placed.

use penstock_abi::reason::DropReason;
use penstock_abi::table::{Flow, FlowKey, LearnPolicy, Vif};

use crate::fault::Fault;
use crate::flows::Pair;
use crate::parse::L4;
use crate::rewrite::Edits;
use crate::shares::Shares;
use crate::translate::Translation;
use crate::types::{Card, Hop, Source};
use crate::verdict::{Ingress, Learn, Refused};
use crate::wire::ICMP;

/// Section 9: what a packet that leaves asks of the insertion unit, admission apart. `found` is the entry with its key, `flow`
/// the same if it is usable. A packet that would need a pair which its vif must not have is refused.
#[allow(clippy::too_many_arguments)]
pub(crate) fn learn(
    card: &Card<'_>,
    source: &Source,
    found: Option<&Flow>,
    flow: Option<&Flow>,
    holding: bool,
    hop: &Hop,
    out: Option<Vif>,
    translation: Option<Translation>,
    edits: &Edits,
) -> Result<Learn, Refused> {
    let without_ports = source.ip.l4 == L4::Other && source.ip.proto != ICMP;
    let makes_flows = source.ip.makes_flows()
        || (without_ports && translation.is_some() && !card.breaks(Fault::NoFlowsWithoutPorts));
    if !makes_flows {
        return Ok(Learn::No);
    }
    if let Some(f) = flow.filter(|_| holding) {
        return Ok(match hop.member.filter(|m| f.reverse && m.chosen) {
            Some(m) => {
                Learn::ReverseRepin { key: source.key, slot: m.slot, generation: m.generation }
            }
            None => Learn::No,
        });
    }
    let vif = if source.ingress == Ingress::Fabric { out.unwrap_or_default() } else { source.vif };
    let bound = translation.is_some() || hop.member.is_some();
    match (vif.learn, bound) {
        (LearnPolicy::Never, true) => {
            let told = card.breaks(Fault::LearnOffIsTold);
            let without = told.then(|| Box::new(with_key(source.key)));
            return Err(Refused { without, ..DropReason::LearnOff.into() });
        }
        (LearnPolicy::Never | LearnPolicy::Translated, false) => return Ok(Learn::No),
        _ => {}
    }
    let pair = pair(card, source, hop, out, translation, edits);
    Ok(match (found, flow) {
        (None, _) => Learn::New(pair),
        (Some(_), None) => Learn::Replace(pair),
        (Some(_), Some(_)) => Learn::Repin(pair),
    })
}

fn pair(
    card: &Card<'_>,
    source: &Source,
    hop: &Hop,
    out: Option<Vif>,
    translation: Option<Translation>,
    edits: &Edits,
) -> Pair {
    let key = source.key;
    let dvrf = match translation {
        Some(t) if t.under_floating_ip() && !card.breaks(Fault::EgressForgetsVrf) => hop.vrf,
        _ => out.map_or(source.vrf, |v| v.vrf),
    };
    let mut fwd = Flow {
        valid: true,
        vrf: source.vrf,
        dvrf,
        src_info: source.src_info,
        rpf_nh: if source.ingress == Ingress::Fabric { 0 } else { source.vif.nh },
        ..with_key(key)
    };
    if let Some(m) = hop.member {
        (fwd.ecmp_valid, fwd.ecmp_slot, fwd.ecmp_generation) = (true, m.slot, m.generation);
    }
    let (sip, dip) = (edits.sip.unwrap_or(key.sip), edits.dip.unwrap_or(key.dip));
    let (sport, dport) = if source.ip.l4 == L4::Echo {
        (key.dport, key.sport)
    } else {
        (key.sport, edits.dport.unwrap_or(key.dport))
    };
    let nh = out.map_or(source.key_nh, |v| v.nh);
    let back = FlowKey { nh, proto: key.proto, sip: dip, dip: sip, sport: dport, dport: sport };
    let mut rev = Flow {
        valid: true,
        reverse: true,
        vrf: dvrf,
        dvrf: source.vrf,
        src_info: if out.is_some() { u32::from(hop.nh.vif) } else { hop.nh.dip },
        rpf_nh: hop.first_id,
        ..with_key(back)
    };
    if let Some(t) = translation {
        (fwd.dnat, fwd.dpat, fwd.snat, fwd.spat) = (t.dnat, t.dpat, t.snat, t.spat);
        (rev.snat, rev.spat, rev.dnat, rev.dpat) = (t.dnat, t.dpat, t.snat, t.spat);
        (fwd.hairpin, rev.hairpin) = (t.hairpin, t.hairpin);
        for f in [&mut fwd, &mut rev] {
            (f.map_valid, f.map, f.map_generation) = (true, t.index, t.map.generation);
        }
    }
    let shares = match source.ingress {
        Ingress::Fabric => Shares::from_fabric(source.src_info, out.map(|_| hop.nh.vif)),
        Ingress::Host(vif) => Shares::from_vif(vif),
    };
    let chosen = hop.member.is_some_and(|m| m.chosen || card.breaks(Fault::PinnedIsChosen));
    Pair { forward: fwd, reverse: rev, shares, client: hop.client.filter(|_| chosen) }
}

fn with_key(key: FlowKey) -> Flow {
    let FlowKey { nh, proto, sip, dip, sport, dport } = key;
    Flow { nh, proto, sip, dip, sport, dport, ..Flow::default() }
}
