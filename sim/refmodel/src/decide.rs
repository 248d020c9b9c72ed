//! From a frame and the tables to a verdict: sections 2, 5, 6 and 7. Pure: nothing is counted or learned here.

use penstock_abi::hash::{flow_key, key_hash, member_hash, scale};
use penstock_abi::limits::{FRAME_MAX_BYTES, OUTER_TTL, VIF_FABRIC, VIF_VHOST};
use penstock_abi::reason::{DropReason, TrapReason};
use penstock_abi::table::{Flow, FlowKey, NextHop, NextHopKind, Vif, VifKind};

use crate::flows::{FlowTable, Pair};
use crate::parse::{self, Bytes, ETH_ARP, ETH_IPV4, Ip, L4};
use crate::rewrite::{self, Edits, Encapsulation};
use crate::tables::Tables;
use crate::{learn, translate};

/// The port by which a frame arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Ingress {
    /// From the wire.
    Fabric,
    /// From the host side, with the stream's vif number.
    Host(u8),
}

impl Ingress {
    /// The vif that it counts for.
    #[must_use]
    pub const fn vif(self) -> u8 {
        match self {
            Self::Fabric => VIF_FABRIC,
            Self::Host(vif) => vif,
        }
    }
}

/// The port by which a frame leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Egress {
    /// To the wire.
    Fabric,
    /// To the host side, for this vif.
    Host(u8),
    /// To the firmware.
    Firmware {
        /// `TrapReason` as a number.
        reason: u8,
        /// vif by which the frame came.
        vif: u8,
    },
}

/// What becomes of a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It leaves.
    Sent {
        /// By this port.
        egress: Egress,
        /// With these bytes.
        frame: Vec<u8>,
    },
    /// It does not.
    Dropped(DropReason),
}

/// What a packet asks of the insertion unit (section 9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Learn {
    /// Nothing.
    No,
    /// A pair for a packet that found no usable flow.
    New(Pair),
    /// A pair in place of one that no longer holds.
    Repin(Pair),
    /// New `ecmp…` fields for an entry of the reply direction.
    ReverseRepin {
        /// Key of the entry.
        key: FlowKey,
        /// Slot of the member.
        slot: u8,
        /// Generation of the slot.
        generation: u8,
    },
}

/// Everything that follows from one packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// What becomes of the frame.
    pub verdict: Verdict,
    /// Key under which the flow table was asked, if it was.
    pub lookup: Option<FlowKey>,
    /// The usable flow that was found counts this packet (it was forwarded).
    pub counts_on_flow: bool,
    /// Request to the insertion unit.
    pub learn: Learn,
    /// TCP flags byte, if the packet itself is TCP.
    pub tcp_flags: Option<u8>,
    /// The packet is an ICMP error, looked up by the key of the packet that it embeds.
    pub icmp_error: bool,
}

impl Decision {
    fn plain(verdict: Verdict) -> Self {
        Self {
            verdict,
            lookup: None,
            counts_on_flow: false,
            learn: Learn::No,
            tcp_flags: None,
            icmp_error: false,
        }
    }
}

/// Decides what becomes of `frame`.
#[must_use]
pub fn decide(
    tables: &Tables,
    flows: &FlowTable,
    enabled: bool,
    ingress: Ingress,
    frame: &[u8],
) -> Decision {
    let source = match source(tables, enabled, ingress, frame) {
        Ok(Arrival::Routed(source)) => source,
        Ok(Arrival::Unchanged(egress)) => {
            return Decision::plain(Verdict::Sent { egress, frame: frame.to_vec() });
        }
        Err(reason) => return Decision::plain(Verdict::Dropped(reason)),
    };
    let mut decision = Decision::plain(Verdict::Dropped(DropReason::Discard));
    let ip = &source.ip;
    if !ip.is_fragment() {
        decision.lookup = Some(source.key);
    }
    if let L4::Tcp(flags) = ip.l4 {
        decision.tcp_flags = Some(flags);
    }
    decision.icmp_error = ip.l4 == L4::IcmpError;
    let flow = decision.lookup.and_then(|key| flows.get(&key)).filter(|f| usable(tables, f));
    match forward(tables, flow, &source) {
        Ok(Fate::Trap(reason)) => {
            let egress = Egress::Firmware { reason: reason as u8, vif: ingress.vif() };
            decision.verdict = Verdict::Sent { egress, frame: frame.to_vec() };
        }
        Ok(Fate::Leaves(way)) => {
            decision.verdict = rewrite::emit(frame, ip, &way.edits, &way.encapsulation, way.egress);
            decision.counts_on_flow = flow.is_some();
            decision.learn = way.learn;
        }
        Err(reason) => decision.verdict = Verdict::Dropped(reason),
    }
    decision
}

/// A packet that is to be routed (section 2).
pub(crate) struct Source {
    pub(crate) ingress: Ingress,
    pub(crate) vrf: u16,
    pub(crate) key_nh: u16,
    pub(crate) src_info: u32,
    /// Entry of the ingress vif.
    pub(crate) vif: Vif,
    /// From the fabric: the label's next hop.
    pub(crate) label_nh: Option<u16>,
    pub(crate) ip: Ip,
    pub(crate) key: FlowKey,
}

enum Arrival {
    Routed(Source),
    Unchanged(Egress),
}

fn source(
    tables: &Tables,
    enabled: bool,
    ingress: Ingress,
    frame: &[u8],
) -> Result<Arrival, DropReason> {
    if !enabled {
        return Err(DropReason::Disabled);
    }
    if frame.len() > FRAME_MAX_BYTES {
        return Err(DropReason::Oversize);
    }
    if frame.len() < 14 {
        return Err(DropReason::InvalidPacket);
    }
    let vif = tables.vif(ingress.vif());
    if !vif.valid {
        return Err(DropReason::InvalidIf);
    }
    match (ingress, vif.kind) {
        (Ingress::Fabric, _) => from_fabric(tables, vif, frame),
        (Ingress::Host(_), VifKind::Vhost) => Ok(Arrival::Unchanged(Egress::Fabric)),
        (Ingress::Host(number), VifKind::Virtual) => from_pod(number, vif, frame),
        (Ingress::Host(_), _) => Err(DropReason::InvalidIf),
    }
}

fn from_fabric(tables: &Tables, vif: Vif, frame: &[u8]) -> Result<Arrival, DropReason> {
    let Some(tunnel) = parse::tunnel(frame, vif.ip) else {
        let vhost = tables.vif(VIF_VHOST);
        return if vhost.valid {
            Ok(Arrival::Unchanged(Egress::Host(VIF_VHOST)))
        } else {
            Err(DropReason::InvalidIf)
        };
    };
    let b = Bytes(frame);
    if frame.len() < tunnel.label_at + 4 {
        return Err(DropReason::InvalidPacket);
    }
    let word = b.u32(tunnel.label_at);
    let bottom_of_stack = word & 0x100 != 0;
    let ilm =
        tables.label(word >> 12).filter(|_| bottom_of_stack).ok_or(DropReason::InvalidLabel)?;
    if word & 0xff <= 1 {
        return Err(DropReason::TtlExceeded);
    }
    let l3 = tunnel.label_at + 4;
    if b.u8(l3) >> 4 != 4 {
        return Err(DropReason::InvalidProtocol);
    }
    let ip = parse::ipv4(frame, l3)?;
    Ok(Arrival::Routed(Source {
        ingress: Ingress::Fabric,
        vrf: ilm.vrf,
        key_nh: ilm.key_nh,
        src_info: tunnel.outer_sip,
        vif,
        label_nh: Some(ilm.nh),
        ip,
        key: FlowKey { nh: ilm.key_nh, ..ip.key },
    }))
}

fn from_pod(number: u8, vif: Vif, frame: &[u8]) -> Result<Arrival, DropReason> {
    let (ether_type, l3) = Bytes(frame).ether_type();
    match ether_type {
        ETH_ARP => {
            let egress = Egress::Firmware { reason: TrapReason::Arp as u8, vif: number };
            return Ok(Arrival::Unchanged(egress));
        }
        ETH_IPV4 => {}
        _ => return Err(DropReason::InvalidProtocol),
    }
    if frame[0] & 1 != 0 {
        return Err(DropReason::Discard);
    }
    let ip = parse::ipv4(frame, l3)?;
    if vif.rpf && vif.ip != 0 && ip.sip != vif.ip {
        return Err(DropReason::InvalidSource);
    }
    if ip.ttl <= 1 {
        return Err(DropReason::TtlExceeded);
    }
    Ok(Arrival::Routed(Source {
        ingress: Ingress::Host(number),
        vrf: vif.vrf,
        key_nh: vif.nh,
        src_info: u32::from(number),
        vif,
        label_nh: None,
        ip,
        key: FlowKey { nh: vif.nh, ..ip.key },
    }))
}

/// Section 5: the flow's mapping, if it has one, still stands.
fn usable(tables: &Tables, flow: &Flow) -> bool {
    !flow.map_valid || tables.fip_map(flow.map).is_some_and(|m| m.generation == flow.map_generation)
}

/// The member of a group that a packet takes (section 6).
#[derive(Clone, Copy)]
pub(crate) struct Member {
    pub(crate) nh: u16,
    pub(crate) label: u32,
    pub(crate) slot: u8,
    pub(crate) generation: u8,
    /// By step 2 or 3, so the packet is (re)pinned.
    pub(crate) chosen: bool,
}

fn member(tables: &Tables, group: &NextHop, flow: Option<&Flow>, key: &FlowKey) -> Option<Member> {
    let (slots, live) = (u32::from(group.slots), u32::from(group.live));
    if let Some(f) = flow.filter(|f| f.ecmp_valid && u32::from(f.ecmp_slot) < slots) {
        let w = tables.ecmp(group.base, u32::from(f.ecmp_slot));
        if w.valid && w.generation == f.ecmp_generation {
            return Some(Member {
                nh: w.nh,
                label: w.label,
                slot: f.ecmp_slot,
                generation: f.ecmp_generation,
                chosen: false,
            });
        }
    }
    let hash = member_hash(key, group.hash_fields);
    let by_slot = (slots > 0)
        .then(|| tables.ecmp(group.base, scale(hash, slots)))
        .filter(|w| w.valid && !w.drain);
    let by_list = || {
        (live > 0)
            .then(|| tables.ecmp(group.base, slots + scale(hash.rotate_left(16), live)))
            .filter(|w| w.valid)
    };
    let w = by_slot.or_else(by_list)?;
    Some(Member { nh: w.nh, label: w.label, slot: w.slot, generation: w.generation, chosen: true })
}

/// Where section 6 leads.
pub(crate) struct Hop {
    /// Next hop that the label or route names; a composite's own id.
    pub(crate) first_id: u16,
    pub(crate) nh: NextHop,
    pub(crate) label: Option<u32>,
    pub(crate) member: Option<Member>,
}

fn next_hop(tables: &Tables, flow: Option<&Flow>, source: &Source) -> Result<Hop, DropReason> {
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
    let member = member(tables, &nh, flow, &source.key).ok_or(DropReason::Discard)?;
    let nh = tables
        .next_hop(member.nh)
        .filter(|n| n.kind != NextHopKind::Composite)
        .ok_or(DropReason::InvalidNextHop)?;
    Ok(Hop { first_id, nh, label: Some(member.label), member: Some(member) })
}

enum Fate {
    Trap(TrapReason),
    Leaves(Box<Way>),
}

/// How a packet leaves.
struct Way {
    egress: Egress,
    edits: Edits,
    encapsulation: Encapsulation,
    learn: Learn,
}

fn forward(tables: &Tables, flow: Option<&Flow>, source: &Source) -> Result<Fate, DropReason> {
    let hop = next_hop(tables, flow, source)?;
    let out = match hop.nh.kind {
        NextHopKind::Reject => return Ok(Fate::Trap(TrapReason::Reject)),
        NextHopKind::Receive | NextHopKind::Encap => {
            let out = tables.vif(hop.nh.vif);
            if hop.nh.vif == VIF_FABRIC || !out.valid {
                return Err(DropReason::InvalidIf);
            }
            Some(out)
        }
        NextHopKind::Tunnel => {
            if source.ingress == Ingress::Fabric {
                return Err(DropReason::PacketLoop);
            }
            if !tables.vif(VIF_FABRIC).valid {
                return Err(DropReason::InvalidIf);
            }
            None
        }
        _ => return Err(DropReason::Discard),
    };
    if out.is_none() && hop.label.is_none() {
        return Err(DropReason::InvalidLabel);
    }
    let encap = out.filter(|_| hop.nh.kind == NextHopKind::Encap);
    let (translation, holding) = translate::translation(tables, flow, source, &hop, encap);
    let edits = translate::edits(source, translation);
    if let Some(pod) = encap.filter(|pod| pod.ip != 0)
        && edits.dip.unwrap_or(source.ip.dip) != pod.ip
    {
        return Err(if source.ip.is_fragment() {
            DropReason::Fragments
        } else {
            DropReason::NoFipPortMap
        });
    }
    let learn = learn::learn(source, flow, holding, &hop, out, translation, &edits);
    let hash = key_hash(flow_key(&source.key));
    let encapsulation = match (out, hop.label) {
        (None, Some(label)) => {
            Encapsulation::Mpls { nh: hop.nh, label, key_hash: hash, outer_ttl: OUTER_TTL }
        }
        _ => Encapsulation::Ethernet { dmac: hop.nh.dmac, smac: hop.nh.smac },
    };
    let egress = if out.is_some() { Egress::Host(hop.nh.vif) } else { Egress::Fabric };
    Ok(Fate::Leaves(Box::new(Way { egress, edits, encapsulation, learn })))
}
