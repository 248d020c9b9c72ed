//! The model as a whole: tables, flows and counters, and the one call that a packet takes.

use std::collections::BTreeMap;

use penstock_abi::evict::Evictions;
use penstock_abi::hash::FlowSecret;
use penstock_abi::reason::{CardCounter, DropReason};
use penstock_abi::table::{TableId, VifStats, Words};
use penstock_tables::Shape;

use crate::ageing::Ended;
use crate::clients::{self, Clients, Kept};
use crate::decide::decide;
use crate::fault::Fault;
use crate::flows::{FlowTable, Pair};
use crate::fragments::OuterFragments;
use crate::insert::{Arrived, Inserted};
use crate::shares::AllShares;
use crate::tables::Tables;
use crate::types::Card;
use crate::verdict::{Decision, Egress, Ingress, Learn, Verdict};

/// What the card counts, except `FirmwareTx`, which depends on the firmware, and requests that are put off for lack of room, which
/// depend on time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// By vif; vifs that counted nothing are absent.
    pub vifs: BTreeMap<u8, VifStats>,
    /// By reason code; reasons that counted nothing are absent.
    pub drops: BTreeMap<u8, u64>,
    /// By counter code; counters that are 0 may be absent.
    pub card: BTreeMap<u8, u64>,
}

impl Counters {
    /// Drops for this reason.
    #[must_use]
    pub fn dropped(&self, reason: DropReason) -> u64 {
        self.drops.get(&(reason as u8)).copied().unwrap_or(0)
    }
    /// A card counter.
    #[must_use]
    pub fn card(&self, counter: CardCounter) -> u64 {
        self.card.get(&(counter as u8)).copied().unwrap_or(0)
    }
    /// The counters of a vif.
    #[must_use]
    pub fn vif(&self, number: u8) -> VifStats {
        self.vifs.get(&number).copied().unwrap_or_default()
    }
}

/// What the model did with a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// What became of the frame.
    pub verdict: Verdict,
    /// Everything else that was decided.
    pub decision: Decision,
    /// What the insertion unit did, if it was asked for anything.
    pub inserted: Option<Inserted>,
}

/// The card, as the specification has it.
#[derive(Clone, Debug, Default)]
pub struct RefModel {
    enabled: bool,
    fault: Option<Fault>,
    tables: Tables,
    flows: FlowTable,
    clients: Clients,
    fragments: OuterFragments,
    counters: Counters,
}

impl RefModel {
    /// A cleared card; the data path is disabled.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// As [`RefModel::new`], with tables of these sizes.
    #[must_use]
    pub fn of(shape: Shape) -> Self {
        Self::with_secret(shape, FlowSecret::default())
    }

    /// As [`RefModel::of`], placing clients by a secret.
    #[must_use]
    pub fn with_secret(shape: Shape, secret: FlowSecret) -> Self {
        let clients = Clients::new(shape, secret);
        Self { tables: Tables::of(shape), clients, ..Self::default() }
    }

    /// `CONTROL.enable`.
    pub fn set_enabled(&mut self, enabled: bool) {
        self.enabled = enabled;
    }

    /// Breaks a rule from now on.
    pub fn plant(&mut self, fault: Fault) {
        self.fault = Some(fault);
    }

    /// The data path forwards.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.enabled
    }

    /// Writes one table entry, the same words as in a Write command. A write of zeros to the flow table
    /// deletes an entry and its partner, to that of clients an entry. Returns false if the card would refuse.
    pub fn write(&mut self, table: TableId, index: u32, words: &Words) -> bool {
        let deletes = words.iter().all(|&w| w == 0) && index < table.desc().depth;
        match table {
            TableId::Flow if deletes => {
                self.flows.delete_with(index, self.fault);
                self.recount_flows();
                return true;
            }
            TableId::Affinity if deletes => {
                self.clients.delete(index);
                return true;
            }
            _ => {}
        }
        let written = self.tables.write(table, index, words);
        if written && table == TableId::FlowShare && !self.breaks(Fault::WritesFillNothing) {
            let burst = self.tables.flow_share(index).map_or(0, |share| share.burst);
            self.flows.shares.fill(index, burst);
        }
        written
    }

    fn breaks(&self, rule: Fault) -> bool {
        self.fault == Some(rule)
    }

    /// The configured tables.
    #[must_use]
    pub fn tables(&self) -> &Tables {
        &self.tables
    }

    /// The flow table.
    #[must_use]
    pub fn flows(&self) -> &FlowTable {
        &self.flows
    }

    /// The table of clients.
    #[must_use]
    pub fn clients(&self) -> &Clients {
        &self.clients
    }

    /// The table of clients, to take over entries.
    pub fn clients_mut(&mut self) -> &mut Clients {
        &mut self.clients
    }

    /// `CLEAR`: tables, flows, clients and counters go; `CONTROL`, times, the secret and the clock stay.
    pub fn clear(&mut self) {
        let Self { enabled, fault, .. } = *self;
        let mut flows = std::mem::take(&mut self.flows);
        flows.restore([]);
        flows.begin_anew();
        flows.shares = AllShares::default();
        let cleared = Self::with_secret(self.tables.shape(), self.clients.secret());
        *self = Self { enabled, fault, flows, ..cleared };
    }

    /// The host writes zeros to the counters of vifs and of drops.
    pub fn zero_counters(&mut self) {
        self.counters.vifs.clear();
        self.counters.drops.clear();
    }

    /// Brings the count of flows in use up to date after [`RefModel::flows_mut`].
    pub fn recount_flows(&mut self) {
        self.flows.tell_pressure(self.fault);
        self.counters.card.insert(CardCounter::FlowsInUse as u8, self.flows.len() as u64);
    }

    /// The flow table, to delete or take over entries.
    pub fn flows_mut(&mut self) -> &mut FlowTable {
        &mut self.flows
    }

    /// Card time passes while nothing happens, in units of `last_hit`, and pairs that are old by then, or give way, go.
    pub fn pass(&mut self, units: u32) -> Ended {
        self.flows.tell_pressure(self.fault);
        self.flows.pass(units);
        self.flows.shares.refill(&self.tables, units, self.fault);
        self.clients.expire(clients::now(self.flows.now()), self.fault);
        let ended = self.flows.age(self.fault);
        for (counter, pairs) in
            [(CardCounter::FlowsAged, ended.aged), (CardCounter::FlowsEvicted, ended.evicted)]
        {
            *self.counters.card.entry(counter as u8).or_default() += pairs;
        }
        self.recount_flows();
        ended
    }

    /// For a moment the table is under pressure, and pairs that give way go.
    pub fn press(&mut self, evictions: &Evictions) -> Ended {
        self.flows.set_evictions(*evictions);
        let ended = self.pass(0);
        self.flows.set_evictions(Evictions::default());
        self.flows.tell_pressure(self.fault);
        ended
    }

    /// What has been counted.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// What a decision depends on.
    #[must_use]
    pub fn card(&self) -> Card<'_> {
        let Self { enabled, fault, tables, flows, clients, fragments, .. } = self;
        let (enabled, fault) = (*enabled, *fault);
        Card { enabled, tables, flows, clients, fragments, limited: true, fault }
    }

    /// The frame was counted as sent, but the card dropped it for a reason that depends on time.
    pub fn recount_as_dropped(&mut self, ingress: Ingress, sent: &Verdict, reason: DropReason) {
        if let Verdict::Sent { egress, frame } = sent {
            let vif = if let Egress::Host(vif) = egress { *vif } else { 0 };
            let tx = self.counters.vifs.entry(vif).or_default();
            tx.tx_packets -= 1;
            tx.tx_bytes -= frame.len() as u64;
            self.counters.vifs.entry(ingress.vif()).or_default().drops += 1;
            *self.counters.drops.entry(reason as u8).or_default() += 1;
        }
    }

    /// What would become of a frame now, without counting or learning.
    #[must_use]
    pub fn decide(&self, ingress: Ingress, frame: &[u8]) -> Decision {
        decide(&self.card(), ingress, frame)
    }

    /// Takes a frame: decides, counts, learns.
    pub fn process(&mut self, ingress: Ingress, frame: &[u8]) -> Outcome {
        let decision = self.decide(ingress, frame);
        self.commit(ingress, frame.len(), decision)
    }

    /// Counts and learns what was decided, here or by the same rules under other tables.
    pub fn commit(&mut self, ingress: Ingress, frame_bytes: usize, decision: Decision) -> Outcome {
        self.count(ingress, frame_bytes, &decision.verdict);
        if let Some(key) = decision.lookup.filter(|_| self.counts_there(&decision)) {
            self.flows.count(&key, frame_bytes, decision.tcp_flags);
        }
        if let Some(id) = decision.first_fragment {
            self.fragments.remember(id);
        }
        if decision.deferred {
            self.bump(CardCounter::LearnDeferred);
        }
        if let Some(refusal) = decision.refusal {
            self.flows.shares.refuse(refusal.over, self.fault);
        }
        if let (Some(forward), Verdict::Dropped(reason)) = (&decision.without, &decision.verdict) {
            self.flows.tell_refused(forward, *reason);
        }
        let arrived = Arrived { frame_bytes, tcp_flags: decision.tcp_flags };
        self.admitted(&decision.learn);
        let inserted = self.execute(&decision.learn, arrived);
        Outcome { verdict: decision.verdict.clone(), decision, inserted }
    }

    /// A packet counts on the flow that it found, unless it turns the pair round: then it is the first of a new one.
    fn counts_there(&self, decision: &Decision) -> bool {
        let found = decision.lookup.and_then(|key| self.flows.get(&key));
        let turns = matches!(decision.learn, Learn::Repin(_)) && found.is_some_and(|f| f.reverse);
        decision.counts_on_flow && !turns
    }

    /// A request of a packet waits to be executed from now on.
    pub fn admitted(&mut self, request: &Learn) {
        if let Learn::New(pair) | Learn::Replace(pair) = request {
            self.flows.shares.admit(pair.shares);
        }
    }

    /// Executes a request that was admitted before.
    pub fn execute(&mut self, request: &Learn, arrived: Arrived) -> Option<Inserted> {
        let inserted = self.flows.execute_with(&self.tables, request, arrived, self.fault);
        if let Learn::New(pair) | Learn::Replace(pair) = request {
            self.flows.shares.executed(pair.shares);
        }
        match inserted {
            Some(Inserted::Learned) => self.bump(CardCounter::FlowsLearned),
            Some(Inserted::Repinned) => self.bump(CardCounter::FlowsRepinned),
            Some(Inserted::Full) => self.bump(CardCounter::FlowTableFull),
            _ => {}
        }
        self.recount_flows();
        let made =
            matches!(inserted, Some(Inserted::Learned | Inserted::Repinned | Inserted::Full))
                || self.breaks(Fault::AnyRequestKeepsClients);
        if let Some(pair) = request.pair().filter(|_| made) {
            self.keep_client(pair);
        }
        inserted
    }

    /// The client of a packet whose pair was made, or found no room, is kept at its member, if it has affinity.
    fn keep_client(&mut self, pair: &Pair) {
        let Some(client) = &pair.client else { return };
        let now = clients::now(self.flows.now());
        let kept = self.clients.keep(client, &pair.forward, now, self.fault);
        if matches!(kept, Some(Kept::Learned | Kept::Evicted)) {
            self.bump(CardCounter::AffinityLearned);
        }
        if kept == Some(Kept::Evicted) {
            self.bump(CardCounter::AffinityEvicted);
        }
    }

    fn bump(&mut self, counter: CardCounter) {
        *self.counters.card.entry(counter as u8).or_default() += 1;
    }

    fn count(&mut self, ingress: Ingress, frame_bytes: usize, verdict: &Verdict) {
        let rx = self.counters.vifs.entry(ingress.vif()).or_default();
        rx.rx_packets += 1;
        rx.rx_bytes += frame_bytes as u64;
        match verdict {
            Verdict::Dropped(reason) => {
                rx.drops += 1;
                *self.counters.drops.entry(*reason as u8).or_default() += 1;
            }
            Verdict::Sent { egress: Egress::Firmware { .. }, .. } => {
                self.bump(CardCounter::Trapped);
            }
            Verdict::Sent { egress, frame } => {
                let vif = if let Egress::Host(vif) = egress { *vif } else { 0 };
                let tx = self.counters.vifs.entry(vif).or_default();
                tx.tx_packets += 1;
                tx.tx_bytes += frame.len() as u64;
            }
        }
    }
}
