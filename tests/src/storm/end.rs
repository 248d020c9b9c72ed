//! When the storm is over: what strangers can do, whether pairs are whole, and whether every frame is accounted for.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use penstock_abi::limits::DRAIN_CYCLES;
use penstock_abi::reason::{CardCounter, DropReason};
use penstock_abi::table::{Flow, FlowStats};
use penstock_refmodel::Counters;
use penstock_refmodel::flows::{attributes, key_of};
use penstock_refmodel::wire::TCP;

use super::judge::Caller;
use super::node::{CLIENTS, STRANGER};
use super::{Run, Weather};

/// A dump of the flow table.
pub(crate) type Flows = Vec<(u32, Flow, FlowStats)>;

impl Run<'_> {
    /// Returns the flow table, in which nothing waits any more.
    pub(super) fn strangers_change_nothing(&mut self) -> anyhow::Result<Flows> {
        // What was pending is so no more.
        self.dut.wait(DRAIN_CYCLES);
        let state = |flows: &Flows| {
            let tcp: BTreeMap<_, u8> = flows.iter().map(|(_, f, s)| (key_of(f), s.tcp)).collect();
            (attributes(flows.iter().map(|(i, f, _)| (*i, *f))), tcp)
        };
        let before = state(&self.dut.flows()?);
        let known: BTreeSet<(u32, u16, u32, u16)> = before
            .0
            .keys()
            .filter(|k| k.proto == TCP)
            .map(|k| (k.sip, k.sport, k.dip, k.dport))
            .collect();
        let far = |ip: u32| CLIENTS.iter().position(|c| c.0 == ip && c.1.is_none());
        let callers: Vec<Caller> =
            known.iter().filter_map(|k| Some((far(k.0)?, k.1, TCP))).collect();
        for _ in 0..200 {
            let Some(&caller) = self.rng.pick(&callers) else { break };
            self.stranger(STRANGER + 1, caller, |t| known.contains(t));
        }
        self.dut.drain()?;
        let flows = self.dut.flows()?;
        anyhow::ensure!(state(&flows) == before, "a stranger changed an entry");
        self.look()?;
        Ok(flows)
    }

    pub(super) fn sums(mut self) -> anyhow::Result<Weather> {
        let vifs: Vec<u8> = (0..=6).collect();
        let c: Counters = self.dut.counters(&vifs)?;
        for (vif, n) in &self.injected {
            let got = c.vif(*vif).rx_packets;
            anyhow::ensure!(got == *n, "vif {vif}: {n} frames went in, {got} are counted");
        }
        let sent: u64 = vifs.iter().map(|&v| c.vif(v).tx_packets).sum();
        let by_vif: u64 = vifs.iter().map(|&v| c.vif(v).drops).sum();
        let by_reason: u64 = c.drops.values().sum();
        let trapped = c.card(CardCounter::Trapped);
        let accounted = sent + by_reason + trapped;
        anyhow::ensure!(by_vif == by_reason, "{by_vif} drops by vif, {by_reason} by reason");
        anyhow::ensure!(
            accounted == self.weather.frames,
            "{} frames went in, {sent} left, {by_reason} were dropped, {trapped} trapped",
            self.weather.frames
        );
        self.weather.clashes = c.dropped(DropReason::FlowClash);
        self.weather.queue_full = c.dropped(DropReason::FlowQueueFull);
        self.weather.unusable = c.dropped(DropReason::FlowUnusable);
        self.weather.table_full = c.dropped(DropReason::FlowTableFull);
        self.weather.replies = self.judge.strict;
        self.weather.loose_replies = self.judge.loose;
        self.weather.excused = self.judge.excused;
        self.weather.moves = self.judge.moves;
        Ok(self.weather)
    }
}

/// Entries come in pairs.
pub(crate) fn pairs(flows: &Flows) -> anyhow::Result<()> {
    let sides: BTreeMap<(u32, bool), Flow> =
        flows.iter().map(|(_, f, _)| ((f.pair, f.reverse), *f)).collect();
    anyhow::ensure!(sides.len() == flows.len(), "two entries of one side of a pair");
    for f in sides.values() {
        let partner = sides.get(&(f.pair, !f.reverse));
        let whole = partner.is_some_and(|p| (p.map_valid, p.map) == (f.map_valid, f.map));
        anyhow::ensure!(whole, "half a pair: {f:?}, partner {partner:?}");
    }
    let keys: HashSet<_> = sides.values().map(key_of).collect();
    anyhow::ensure!(keys.len() == flows.len(), "two entries with one key");
    Ok(())
}
