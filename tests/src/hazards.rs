//! Which packets must not be in flight together, because the card's order of flow look-ups, statistics and insertions would show.

use std::collections::{HashMap, HashSet};

use penstock_abi::table::FlowKey;
use penstock_refmodel::decide::decide;
use penstock_refmodel::flows::key_of;
use penstock_refmodel::parse::Bytes;
use penstock_refmodel::tunnel::tunnel;
use penstock_refmodel::wire::is_bare_syn;
use penstock_refmodel::{Card, Decision, Ingress, Learn, RefModel, Tables};

use crate::clients::{ClientsInFlight, Use as ClientUse};
use crate::shares::{SharesInFlight, Use};

/// Where packets of a flow come from: port, and if that is the fabric, label and tunnel.
type Origin = (Ingress, u32, u32);

/// What a packet has to do with the flow table.
#[derive(Clone, Debug)]
pub struct Access {
    /// Key that it looks up.
    key: FlowKey,
    origin: Origin,
    icmp_error: bool,
    bare_syn: bool,
    /// Entries that its request may write or delete.
    pub touches: Vec<FlowKey>,
    /// Not even packets of the same flow may be in flight with its request.
    pub exclusive: bool,
    /// Entries whose TCP state counts for its verdict or its request.
    reads: Vec<FlowKey>,
    /// It changes the TCP state of the entry with its key.
    changes_tcp: bool,
    /// It has a request, if only one that changes nothing.
    asks: bool,
    /// Its verdict depends on how full the flow table is.
    counts_entries: bool,
    shares: Use,
    client: ClientUse,
}

impl Access {
    /// Packets of its flow are in flight that asked for its pair.
    #[must_use]
    pub fn touched_by_burst(&self, hazards: &Hazards) -> bool {
        hazards.is_touched(&self.key)
    }

    /// Of one decision, under tables that stay as they are; `None` if the flow table is not asked.
    #[must_use]
    pub fn of(
        model: &RefModel,
        ingress: Ingress,
        frame: &[u8],
        decision: &Decision,
    ) -> Option<Self> {
        Self::under(model, std::slice::from_ref(model.tables()), ingress, frame, decision)
    }

    fn under(
        model: &RefModel,
        versions: &[Tables],
        ingress: Ingress,
        frame: &[u8],
        decision: &Decision,
    ) -> Option<Self> {
        let key = decision.lookup?;
        let flows = model.flows();
        let with_partner = |k: &FlowKey| {
            let entry = flows.get(k);
            let partner = entry.and_then(|f| flows.partner(f));
            entry.into_iter().chain(partner).map(key_of).collect::<Vec<_>>()
        };
        let bare_syn = decision.tcp_flags.is_some_and(is_bare_syn);
        let mut reads = if bare_syn { with_partner(&key) } else { Vec::new() };
        // What a share refuses may meet what is pending all the same, which comes first (section 9.1).
        let unlimited = Card { limited: false, ..model.card() };
        let mut touches = match decision.refusal {
            Some(_) => flows.touched_by(&decide(&unlimited, ingress, frame).learn),
            None => flows.touched_by(&decision.learn),
        };
        // Whether a pair is dead is asked when the request is executed: the tables may have changed since its packet read them.
        if let Learn::DeadPair { key } = &decision.learn
            && flows.get(key).is_some_and(|f| !versions.iter().any(|t| flows.is_dead(t, f)))
        {
            reads.extend(with_partner(key));
            touches.clear();
        }
        // A plain pair that is pinned is none any more, which packets on the forward entry note.
        if let Learn::ReverseRepin { key, .. } = &decision.learn
            && let Some(flow) = flows.get(key).filter(|flow| flows.is_plain_pair(flow))
        {
            touches.extend(flows.partner(flow).map(key_of));
        }
        // A pair whose roles are exchanged takes the word of another entry for whether its connection is opening.
        let exchanged = matches!(decision.learn, Learn::Repin(_))
            && bare_syn
            && flows.get(&key).is_some_and(|f| f.reverse);
        // Whether a flow moves to another member is asked of its partner's TCP state when the request is executed; so nothing that
        // changes that may be in flight, even if it does not move.
        let alone =
            exchanged || matches!(decision.learn, Learn::Move { .. } | Learn::DeadPair { .. });
        let new = matches!(decision.learn, Learn::New(_));
        let shares = Use::of(model, decision, &touches);
        // Before its share refuses a pair, its keys are compared with those of all that waits.
        touches.extend(decision.refusal.iter().flat_map(|refusal| refusal.keys));
        Some(Self {
            key,
            origin: origin(model, ingress, frame),
            icmp_error: decision.icmp_error,
            bare_syn,
            exclusive: alone && !touches.is_empty(),
            touches,
            reads,
            asks: decision.learn != Learn::No,
            changes_tcp: decision.counts_on_flow
                && decision.tcp_flags.is_some_and(|flags| flows.tcp_changes(&key, flags)),
            counts_entries: decision.rule == Some(penstock_refmodel::Rule::TableFull)
                || (new && decision.translated),
            shares,
            client: ClientUse::of(model, decision),
        })
    }

    /// Of a packet of which several decisions are possible, under tables that change. Cautious about TCP: what earlier packets leave
    /// is open as well.
    #[must_use]
    pub fn of_any(
        model: &RefModel,
        versions: &[Tables],
        ingress: Ingress,
        frame: &[u8],
        decisions: &[Decision],
    ) -> Option<Self> {
        let mut all =
            decisions.iter().filter_map(|d| Self::under(model, versions, ingress, frame, d));
        let mut one = all.next()?;
        for a in all {
            one.touches.extend(a.touches);
            one.reads.extend(a.reads);
            one.exclusive |= a.exclusive;
            one.changes_tcp |= a.changes_tcp;
            one.asks |= a.asks;
            one.client.extend(a.client);
        }
        let is_tcp = decisions.iter().any(|d| d.tcp_flags.is_some());
        one.changes_tcp |= is_tcp && !one.bare_syn;
        one.touches.extend(
            decisions
                .iter()
                .filter_map(|d| d.learn.pair())
                .flat_map(|p| [key_of(&p.forward), key_of(&p.reverse)]),
        );
        Some(one)
    }
}

#[derive(Clone, Copy, Debug)]
struct Looked {
    origin: Origin,
    /// Several origins, or ICMP errors among them.
    mixed: bool,
}

#[derive(Clone, Copy, Debug)]
struct Touched {
    /// Key of the packet whose request it is.
    owner: FlowKey,
    /// That is a bare SYN, to which other rules apply than to the rest of its flow.
    bare_syn: bool,
    exclusive: bool,
}

/// What packets in flight have to do with the flow table.
#[derive(Debug, Default)]
pub struct Hazards {
    looked: HashMap<FlowKey, Looked>,
    touched: HashMap<FlowKey, Touched>,
    reads: HashSet<FlowKey>,
    tcp_changes: HashSet<FlowKey>,
    requests: usize,
    /// One of them is exclusive.
    exclusive: bool,
    shares: SharesInFlight,
    clients: ClientsInFlight,
}

fn origin(model: &RefModel, ingress: Ingress, frame: &[u8]) -> Origin {
    let port = model.tables().vif(0);
    match tunnel(frame, port.mac, port.ip).filter(|_| ingress == Ingress::Fabric) {
        Some(t) => (ingress, Bytes(frame).u32(t.label_at) >> 12, t.outer_sip),
        None => (ingress, 0, 0),
    }
}

impl Hazards {
    /// Requests for insertions in flight.
    #[must_use]
    pub fn new_flows(&self) -> usize {
        self.requests
    }

    /// A request in flight writes or deletes this key's entry.
    #[must_use]
    pub fn is_touched(&self, key: &FlowKey) -> bool {
        self.touched.contains_key(key)
    }

    /// Nothing is in flight any more.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Whether a packet must wait until the card is idle.
    #[must_use]
    pub fn conflicts(&self, model: &RefModel, a: &Access) -> bool {
        let mixes = a.icmp_error
            || self.looked.get(&a.key).is_some_and(|l| l.mixed || l.origin != a.origin);
        // A burst of one flow stays together: until its pair is there the packets take the full path, to the same end.
        let of_burst = |t: &Touched| {
            let alike = t.owner == a.key && t.bare_syn == a.bare_syn && !mixes;
            alike && !t.exclusive && !a.exclusive && !a.changes_tcp
        };
        let disturbed = |k: &FlowKey| self.touched.get(k).is_some_and(|t| !of_burst(t));
        let looks = disturbed(&a.key);
        let touches = a.touches.iter().any(|t| {
            let in_use = if *t == a.key { mixes } else { self.looked.contains_key(t) };
            in_use || disturbed(t) || self.reads.contains(t)
        });
        let reads = a.reads.iter().any(|r| disturbed(r) || self.tcp_changes.contains(r));
        let writes = a.changes_tcp && self.reads.contains(&a.key);
        // Segments that come by two ways leave a TCP state by their order: the later of a reset and another segment decides.
        let changed = a.changes_tcp || self.tcp_changes.contains(&a.key);
        let states = changed && mixes && !a.icmp_error;
        // A move may be forgotten if other requests wait, those of the other port that come later here among them.
        let alone = (a.exclusive && self.requests > 0) || (a.asks && self.exclusive);
        let near_limit = {
            let limit = model.tables().flows_for_translation();
            model.flows().len().abs_diff(limit) <= 4 * self.requests
        };
        let counts = a.counts_entries && self.requests > 0 && near_limit;
        let shares = self.shares.conflicts(model, &a.shares);
        let clients = self.clients.conflicts(&a.client, &a.key);
        looks || touches || reads || writes || states || alone || counts || shares || clients
    }

    /// The same where tables change while packets are in flight.
    #[must_use]
    pub fn conflicts_in_window(&self, model: &RefModel, a: &Access) -> bool {
        self.conflicts(model, a) || self.clients.meets(&a.client)
    }

    /// A packet is in flight from now on.
    pub fn note(&mut self, a: &Access) {
        let looked = self.looked.entry(a.key).or_insert(Looked { origin: a.origin, mixed: false });
        looked.mixed |= a.icmp_error || looked.origin != a.origin;
        let touched = Touched { owner: a.key, bare_syn: a.bare_syn, exclusive: a.exclusive };
        self.touched.extend(a.touches.iter().map(|t| (*t, touched)));
        self.reads.extend(&a.reads);
        if a.changes_tcp {
            self.tcp_changes.insert(a.key);
        }
        self.requests += usize::from(a.asks);
        self.exclusive |= a.exclusive;
        self.shares.note(&a.shares);
        self.clients.note(&a.client, a.key);
    }
}

#[cfg(test)]
mod tests {
    use penstock_abi::reason::DropReason;
    use penstock_abi::table::{FipMap, Flow, FlowStats, TableEntry as _, TableId};
    use penstock_refmodel::flows::Pair;
    use penstock_refmodel::insert::Arrived;
    use penstock_refmodel::wire::{ACK, RST, SYN};
    use penstock_refmodel::{Shares, Verdict};

    use super::*;

    fn map(generation: u8) -> FipMap {
        FipMap { valid: true, generation, ..FipMap::default() }
    }

    /// A pair that translates by map 9 of generation 1, and a packet that clashes with it and asks whether it is dead.
    fn clash() -> (RefModel, Decision) {
        let mut model = RefModel::new();
        model.write(TableId::FipMap, 9, &map(1).pack());
        let entry = |sip, reverse| Flow {
            valid: true,
            sip,
            map_valid: true,
            map: 9,
            map_generation: 1,
            reverse,
            ..Flow::default()
        };
        let (forward, back) = (entry(1, false), entry(2, true));
        let stats = FlowStats::default();
        model.flows_mut().restore([(0, forward, stats), (4, back, stats)]);
        let decision = Decision {
            verdict: Verdict::Dropped(DropReason::FlowClash),
            lookup: Some(FlowKey { sip: 3, ..key_of(&back) }),
            counts_on_flow: false,
            translated: false,
            learn: Learn::DeadPair { key: key_of(&back) },
            tcp_flags: None,
            icmp_error: false,
            deferred: false,
            refusal: None,
            without: None,
            first_fragment: None,
            client: None,
            rule: None,
        };
        (model, decision)
    }

    #[test]
    fn a_bare_syn_that_exchanges_the_roles_of_a_pair_is_alone() {
        let (mut model, decision) = clash();
        let key = FlowKey { sip: 2, ..FlowKey::default() };
        let forward = Flow { sip: 2, ..Flow::default() };
        let reverse = Flow { sip: 7, reverse: true, ..forward };
        let pair = Pair { forward, reverse, shares: Shares::default(), client: None };
        let of = |model: &RefModel, tcp_flags| {
            let learn = Learn::Repin(pair);
            let d = Decision { lookup: Some(key), learn, tcp_flags, ..decision.clone() };
            Access::of(model, Ingress::Fabric, &[0; 60], &d).unwrap()
        };
        assert!(of(&model, Some(SYN)).exclusive);
        assert!(!of(&model, Some(ACK)).exclusive && !of(&model, None).exclusive);
        // The entry whose pair is gone is a forward one from then on.
        model.flows_mut().delete_key(&key);
        model.execute(&Learn::New(pair), Arrived::default());
        assert!(!of(&model, Some(SYN)).exclusive);
    }

    /// Of a reset and another segment the later decides whether the connection is over.
    #[test]
    fn segments_that_come_by_two_ways_wait_for_each_other_if_they_change_the_state() {
        let (model, decision) = clash();
        let key = model.flows().iter().map(|(_, f)| key_of(f)).find(|k| k.sip == 1);
        let verdict = Verdict::Dropped(DropReason::Discard);
        let segment = |ingress, flags| {
            let d = Decision {
                verdict: verdict.clone(),
                lookup: key,
                counts_on_flow: true,
                learn: Learn::No,
                tcp_flags: Some(flags),
                ..decision.clone()
            };
            Access::of(&model, ingress, &[0; 60], &d).unwrap()
        };
        let behind = |first: &Access, then: &Access| {
            let mut hazards = Hazards::default();
            hazards.note(first);
            hazards.conflicts(&model, then)
        };
        let (fabric, host) = (Ingress::Fabric, Ingress::Host(3));
        assert!(behind(&segment(fabric, RST), &segment(host, ACK)));
        assert!(behind(&segment(fabric, ACK), &segment(host, RST)));
        assert!(!behind(&segment(fabric, ACK), &segment(host, ACK)));
        assert!(!behind(&segment(fabric, RST), &segment(fabric, ACK)));
    }

    #[test]
    fn a_pair_that_a_change_of_tables_makes_dead_is_deleted_within_the_window() {
        let (model, decision) = clash();
        let mut after = model.tables().clone();
        after.write(TableId::FipMap, 9, &map(2).pack());
        let of = |versions: &[Tables]| {
            let decisions = std::slice::from_ref(&decision);
            Access::of_any(&model, versions, Ingress::Fabric, &[0; 60], decisions).unwrap()
        };
        let calm = of(&[model.tables().clone()]);
        assert!(!calm.exclusive && calm.touches.is_empty() && calm.reads.len() == 2);
        let changing = of(&[model.tables().clone(), after]);
        assert!(changing.exclusive && changing.touches.len() == 2);
    }
}
