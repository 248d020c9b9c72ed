//! Where a frame comes from (sections 2 and 3): dropped, passed on unchanged, or a packet to be routed.

use penstock_abi::limits::{FRAME_MAX_BYTES, GATEWAY_MAC, VIF_VHOST};
use penstock_abi::reason::{DropReason, TrapReason};
use penstock_abi::table::{FlowKey, Vif, VifKind};

use crate::fault::Fault;
use crate::parse::{self, Bytes};
use crate::tunnel;
use crate::types::{Card, Source};
use crate::verdict::{Egress, Ingress, Refused, Rule};
use crate::wire::{ETH_ARP, ETH_IPV4};

/// What is to be done with a frame that is not dropped on arrival.
pub(crate) enum Arrival {
    Routed(Source),
    Unchanged(Egress),
}

/// Section 2.
pub(crate) fn arrive(card: &Card<'_>, ingress: Ingress, frame: &[u8]) -> Result<Arrival, Refused> {
    if !card.enabled {
        return Err(DropReason::Disabled.into());
    }
    if frame.len() > FRAME_MAX_BYTES {
        return Err(DropReason::Oversize.into());
    }
    if frame.len() < 14 {
        return Err(DropReason::InvalidPacket.into());
    }
    let vif = card.tables.vif(ingress.vif());
    if !vif.valid {
        return Err(DropReason::InvalidIf.into());
    }
    match (ingress, vif.kind) {
        (Ingress::Fabric, _) => from_fabric(card, vif, frame),
        (Ingress::Host(number), VifKind::Vhost) if to_gateway(card, frame) => {
            from_vif(number, vif, frame)
        }
        (Ingress::Host(_), VifKind::Vhost) => Ok(Arrival::Unchanged(Egress::Fabric)),
        (Ingress::Host(number), VifKind::Virtual) => from_pod(number, vif, frame),
        (Ingress::Host(_), _) => Err(DropReason::InvalidIf.into()),
    }
}

fn from_fabric(card: &Card<'_>, vif: Vif, frame: &[u8]) -> Result<Arrival, Refused> {
    let outer = tunnel::outer(frame, vif.mac, vif.ip);
    if let Some(o) = outer.filter(|o| o.is_later_fragment()) {
        if card.fragments.contains(&o.fragment_id) {
            o.check_header(frame)?;
        }
    } else if let Some((o, label_at)) = outer.and_then(|o| Some((o, o.label_at(frame)?))) {
        o.check_header(frame)?;
        o.check_shim(frame, label_at)?;
        return decapsulate(card, vif, frame, &o, label_at).map(Arrival::Routed);
    }
    if card.tables.vif(VIF_VHOST).valid {
        Ok(Arrival::Unchanged(Egress::Host(VIF_VHOST)))
    } else {
        Err(DropReason::InvalidIf.into())
    }
}

/// Section 3 from the label on.
fn decapsulate(
    card: &Card<'_>,
    vif: Vif,
    frame: &[u8],
    outer: &tunnel::Outer,
    label_at: usize,
) -> Result<Source, Refused> {
    let b = Bytes(frame);
    let word = b.u32(label_at);
    let bottom_of_stack = word & 0x100 != 0;
    let ilm = card
        .tables
        .label(word >> 12)
        .filter(|_| bottom_of_stack)
        .ok_or(DropReason::InvalidLabel)?;
    if word & 0xff <= 1 {
        return Err(DropReason::TtlExceeded.into());
    }
    let l3 = label_at + 4;
    if b.u8(l3) >> 4 != 4 {
        return Err(DropReason::InvalidProtocol.into());
    }
    let ip = parse::checked_ipv4(&frame[..outer.end()], l3)?;
    if ip.ttl == 0 {
        return Err(Refused::by(Rule::InnerTtl, DropReason::TtlExceeded));
    }
    Ok(Source {
        ingress: Ingress::Fabric,
        vrf: ilm.vrf,
        key_nh: ilm.key_nh,
        src_info: outer.fragment_id.sip,
        vif,
        ilm: Some(ilm),
        ip,
        key: FlowKey { nh: ilm.key_nh, ..ip.key },
    })
}

fn from_pod(number: u8, vif: Vif, frame: &[u8]) -> Result<Arrival, Refused> {
    let b = Bytes(frame);
    if b.tagged() {
        return Err(Refused::by(Rule::Tagged, DropReason::InvalidProtocol));
    }
    if b.ether_type().0 == ETH_ARP {
        let egress = Egress::Firmware { reason: TrapReason::Arp as u8, vif: number };
        return Ok(Arrival::Unchanged(egress));
    }
    from_vif(number, vif, frame)
}

/// What the node wants routed (section 2, "Vhost").
fn to_gateway(card: &Card<'_>, frame: &[u8]) -> bool {
    let b = Bytes(frame);
    let gateway = frame[..6] == GATEWAY_MAC || card.breaks(Fault::NodeIsAlwaysRouted);
    gateway && !b.tagged() && !card.breaks(Fault::NodePasses)
}

/// A frame that is to be routed, from its EtherType on.
fn from_vif(number: u8, vif: Vif, frame: &[u8]) -> Result<Arrival, Refused> {
    let (ether_type, l3) = Bytes(frame).ether_type();
    if ether_type != ETH_IPV4 {
        return Err(DropReason::InvalidProtocol.into());
    }
    if frame[0] & 1 != 0 {
        return Err(Refused::by(Rule::GroupMac, DropReason::Discard));
    }
    if frame[..6] != GATEWAY_MAC {
        return Err(Refused::by(Rule::OtherMac, DropReason::NotForGateway));
    }
    let ip = parse::checked_ipv4(frame, l3)?;
    if vif.rpf && vif.ip != 0 && ip.sip != vif.ip {
        return Err(DropReason::InvalidSource.into());
    }
    if ip.ttl <= 1 {
        return Err(DropReason::TtlExceeded.into());
    }
    Ok(Arrival::Routed(Source {
        ingress: Ingress::Host(number),
        vrf: vif.vrf,
        key_nh: vif.nh,
        src_info: u32::from(number),
        vif,
        ilm: None,
        ip,
        key: FlowKey { nh: vif.nh, ..ip.key },
    }))
}
