//! The compiler: what is common to all goes first, then who is where, then the floating IPs on top of that.

use std::collections::BTreeSet;

use penstock_abi::limits::{self, TUNNEL_SHARE_FIRST};
use penstock_abi::table::{LearnPolicy, SourceCheck, VifKind};
use penstock_model::{
    Advertisement, Finding, Intent, LabelBlock, MacAddr, Neighbours, Node, ObjectId, Reason, VifId,
    VrfId,
};
use penstock_tables::Shape;

use crate::book::{Book, Teller};
use crate::places::{Context, Places, no_shares};
use crate::plain::PlainIps;
use crate::provider::Providers;
use crate::site::Site;
use crate::vips::Vips;
use crate::{Compiled, LabelEntry, NextHopKey, NextHopSpec, VifEntry, VrfEntry};

/// Compiles intents, one after the other, each in the time that its difference from the last one takes.
///
/// It is given whole states and gives whole states; what it remembers is only how it came to the last one. So
/// `compiler.compile(a); compiler.compile(b)` gives for `b` what a new compiler would give.
pub struct Compiler {
    providers: Providers,
    shape: Shape,
    last: Option<State>,
    work: Work,
}

/// What a compiler remembers.
struct State {
    site: Site,
    places: Places,
    plain: PlainIps,
    vips: Vips,
    book: Book,
    out: Compiled,
}

/// How much the last compilation was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// It began from nothing: it was the first, or the node, its VRFs or the policy changed.
    pub from_nothing: bool,
    /// Addresses at which something else is than before, or something is reached otherwise.
    pub addresses: usize,
    /// Floating IPs that were made anew.
    pub floating_ips: usize,
}

impl Compiler {
    /// A compiler for a card of this shape.
    #[must_use]
    pub fn new(providers: Providers, shape: Shape) -> Self {
        Self { providers, shape, last: None, work: Work::default() }
    }

    /// From now on it compiles for a card of this shape; if that is another one, from nothing.
    pub fn fit(&mut self, shape: Shape) {
        if shape != self.shape {
            let providers = std::mem::take(&mut self.providers);
            *self = Self::new(providers, shape);
        }
    }

    /// The last compilation.
    #[must_use]
    pub fn work(&self) -> Work {
        self.work
    }

    /// Compiles an intent. What cannot be is left out, and told of in [`Compiled::findings`]; all else is there.
    pub fn compile(&mut self, intent: &Intent, neighbours: &Neighbours) -> Compiled {
        let (last, before) = match self.last.take() {
            Some(state) if state.site.is_of(intent) => (Some(state), None),
            other => (None, other.map(|state| state.out)),
        };
        self.work = Work { from_nothing: last.is_none(), ..Work::default() };
        let state = match (last, &intent.node) {
            (Some(state), _) => state,
            (None, None) => return without_node(intent, None),
            (None, Some(node)) if node.fabric.address.addr().is_ipv6() => {
                let text = format!(
                    "tunnel end point {} is IPv6, which this card does not know: nothing is served",
                    node.fabric.address.addr()
                );
                return without_node(intent, Some(Finding::refused(Reason::Text { text })));
            }
            (None, Some(node)) => {
                let mut book = Book::default();
                let site = Site::new(node, intent, &mut book);
                book.say(&Teller::NodeLabels, label_fault(node, &self.shape));
                book.say(&Teller::NodeLimits, limit_fault(node, &self.shape));
                let out = fixed(&site, &self.shape);
                let plain = PlainIps::default();
                State { site, places: Places::default(), plain, vips: Vips::default(), book, out }
            }
        };
        let state = self.last.insert(state);
        let State { site, places, plain, vips, book, out } = state;
        let mut cx = Context { site, shape: &self.shape, out, book };
        let addresses = places.update(intent, neighbours, &mut cx);
        self.work.addresses = addresses.len();
        let again = vips.take(intent, &addresses);
        let touched = addresses.union(&again).copied().collect();
        plain.decide(intent, &touched, (&*places, &*vips), &mut cx);
        let mut taken = BTreeSet::new();
        if let Some(block) = cx.site.node.service_labels {
            let others = places.labels().chain(plain.labels()).chain(cx.site.node.vhost.label);
            let block = block.below(u32::MAX);
            taken.extend(others.filter(|label| block.contains(&label.0)));
        }
        let besides = (plain.need(), taken);
        self.work.floating_ips = vips.update(again, besides, places, &self.providers, &mut cx);
        plain.write(&mut cx);
        book.settle(&intent.findings, &mut out.findings);
        if let Some(before) = before {
            *out = out.sharing_with(&before);
        }
        out.clone()
    }
}

/// That the card does not have all labels that floating IPs are to have.
fn label_fault(node: &Node, shape: &Shape) -> Vec<(ObjectId, Finding)> {
    let last = |block: LabelBlock| block.first.0.saturating_add(block.count.saturating_sub(1));
    let beyond = node.service_labels.map(last).filter(|last| *last >= shape.labels);
    let finding = beyond.map(|last| {
        let (what, first) = ("serviceLabels: label".to_owned(), limits::LABEL_FIRST);
        let reason = Reason::OutOfRange { what, value: last, first, last: shape.labels - 1 };
        (ObjectId::Node, Finding::partial(reason))
    });
    finding.into_iter().collect()
}

/// That the card cannot limit what each may have of its flow table.
fn limit_fault(node: &Node, shape: &Shape) -> Vec<(ObjectId, Finding)> {
    let limits = [node.flow_limits.vifs, node.flow_limits.tunnels];
    let cannot = shape.flow_shares == 0 && limits.iter().any(|limit| !limit.is_none());
    cannot.then(|| (ObjectId::Node, Finding::partial(no_shares()))).into_iter().collect()
}

/// What there is without a node: what others found.
fn without_node(intent: &Intent, fault: Option<Finding>) -> Compiled {
    let mut findings = intent.findings.clone();
    if let Some(fault) = fault {
        let before = findings.get(&ObjectId::Node).map_or(&[][..], |list| &list[..]);
        let all: Vec<Finding> = before.iter().cloned().chain([fault]).collect();
        findings.insert(ObjectId::Node, all.into());
    }
    Compiled { findings, ..Compiled::default() }
}

/// What every node has: the next hops that discard and refuse, the fabric port, and its own interface.
fn fixed(site: &Site, shape: &Shape) -> Compiled {
    let mut out = Compiled::default();
    let desired = &mut out.desired;
    for next_hop in [NextHopKey::Discard, NextHopKey::Reject] {
        desired.next_hops.insert(next_hop, NextHopSpec::default());
    }
    let fabric = site.node.fabric;
    let to_node = NextHopKey::Receive(VifId::VHOST);
    let spec = NextHopSpec { dmac: fabric.mac, smac: MacAddr::GATEWAY, source: None };
    desired.next_hops.insert(to_node, spec);
    for vrf in site.vrfs() {
        let source_check = match site.source_check(vrf) {
            penstock_model::SourceCheck::Strict => SourceCheck::Strict,
            penstock_model::SourceCheck::Loose => SourceCheck::Loose,
            penstock_model::SourceCheck::Off => SourceCheck::Off,
        };
        let entry = VrfEntry { service_net: site.net_of(vrf), source_check };
        desired.vrfs.insert(vrf, entry);
    }
    let tunnels = site.node.flow_limits.tunnels;
    if !tunnels.is_none() {
        desired.shares = (TUNNEL_SHARE_FIRST..shape.flow_shares).map(|n| (n, tunnels)).collect();
    }
    for &gateway in &site.overlay.gateways {
        desired.known.insert(gateway, ());
    }
    if let Some(label) = site.node.vhost.label {
        let vrf = site.node_vrf();
        desired.labels.insert(label, LabelEntry { next_hop: to_node, service: None, vrf });
        let (prefix, next_hop) = (site.address().into(), site.address());
        out.advertisements.insert(Advertisement { vrf, prefix, label, next_hop }, ());
    }
    for (id, kind) in [(VifId::FABRIC, VifKind::Fabric), (VifId::VHOST, VifKind::Vhost)] {
        let port = VifEntry {
            kind,
            vrf: if id == VifId::VHOST { site.node_vrf() } else { VrfId(0) },
            mac: fabric.mac,
            address: Some(site.address()),
            rpf: false,
            next_hop: if id == VifId::VHOST { to_node } else { NextHopKey::Discard },
            learn: LearnPolicy::Always,
            egress: None,
        };
        desired.vifs.insert(id, port);
    }
    out
}
