//! What must agree once the card is idle: frames, counters, tables, flows.

use penstock_abi::reason::{CardCounter, DropReason};
use penstock_abi::table::{Flow, FlowStats, VifStats};
use penstock_refmodel::Counters;
use penstock_refmodel::flows::{attributes, key_of};
use penstock_tables::CONFIG_TABLES;

use super::difference::{flow_difference, table_difference};
use super::{Board, Failure};
use crate::script::hex;

impl Board<'_> {
    pub(crate) fn read_counters(&mut self) -> Result<Counters, Failure> {
        let vifs: Vec<u8> = self.vifs.iter().copied().collect();
        let counters = self.dut.counters(&vifs);
        self.device("reading counters", counters)
    }

    pub(super) fn check(&mut self) -> Result<(), Failure> {
        self.flush()?;
        let out = self.dut.take_frames();
        if let Some(o) = out.first() {
            return self.fail(format!(
                "a frame left when all were accounted for: vif {} {}",
                o.vif,
                hex(&o.frame)
            ));
        }
        self.hear(true)?;
        let said = self.digests(CONFIG_TABLES.iter().copied())?;
        self.check_digests(&said)?;
        self.check_counters()?;
        let flows = self.dut.flows();
        let flows = self.device("reading flows", flows)?;
        self.check_flows(&flows)?;
        self.check_pairs(&flows)?;
        self.check_shares()?;
        self.check_clients()
    }

    /// What was written is what is read back.
    pub(super) fn check_tables(&mut self) -> Result<(), Failure> {
        let tables = self.dut.tables();
        let tables = self.device("reading tables", tables)?;
        if let Some(what) = table_difference(&tables, &self.model.tables().dump()) {
            return self.fail(what);
        }
        Ok(())
    }

    fn check_counters(&mut self) -> Result<(), Failure> {
        let card = self.read_counters()?;
        let model = self.model.counters();
        // A trap may find the queue full: then it is a drop of its vif.
        let full = card.dropped(DropReason::TrapQueueFull) - self.full_before;
        let mut undelivered = 0;
        for &vif in &self.vifs {
            let (c, m) = (card.vif(vif), model.vif(vif));
            let offset = self.vif_drop_offsets.get(&vif).copied().unwrap_or(0);
            let dropped = c.drops.wrapping_sub(m.drops).wrapping_sub(offset);
            if dropped > self.traps.get(&vif).copied().unwrap_or(0)
                || (VifStats { drops: m.drops, ..c }) != m
            {
                return self.fail(format!("counters of vif {vif}\n  card  {c:?}\n  model {m:?}"));
            }
            undelivered += dropped;
        }
        if undelivered != full {
            return self
                .fail(format!("{full} drops for a full trap queue, but vifs say {undelivered}"));
        }
        for (reason, name, _) in
            DropReason::ALL.iter().filter(|(r, ..)| *r != DropReason::TrapQueueFull)
        {
            let offset = self.drop_offsets.get(&(*reason as u8)).copied().unwrap_or(0);
            let (c, m) = (card.dropped(*reason) as i64, model.dropped(*reason) as i64 + offset);
            if c != m {
                return self.fail(format!("drops for {name}: card {c}, model {m}"));
            }
        }
        for (counter, name, _) in CardCounter::ALL {
            let offset = self.card_offsets.get(&(*counter as u8)).copied().unwrap_or(0);
            let (c, m) = (card.card(*counter) as i64, model.card(*counter) as i64 + offset);
            let c = match counter {
                CardCounter::LearnDeferred | CardCounter::FirmwareTx | CardCounter::FlowsInUse => {
                    continue;
                }
                _ => c,
            };
            if c != m {
                return self.fail(format!("{name}: card {c}, model {m}"));
            }
        }
        let (c, m) = (card.card(CardCounter::FlowsInUse), self.model.flows().len() as u64);
        if c != m {
            return self.fail(format!("flows in use: card {c}, model {m}"));
        }
        Ok(())
    }

    fn check_flows(&mut self, flows: &[(u32, Flow, FlowStats)]) -> Result<(), Failure> {
        let card = attributes(flows.iter().map(|(i, f, _)| (*i, *f)));
        if card.len() != flows.len() {
            return self.fail("two flow entries have the same key");
        }
        if let Some(what) = flow_difference(&card, &self.model.flows().attributes()) {
            return self.fail(what);
        }
        for (_, f, c) in flows {
            let key = key_of(f);
            let m = self.model.flows().stats(&key).unwrap_or_default();
            let open = self.uncertain.get(&key).copied().unwrap_or(0);
            let missed = m.packets.wrapping_sub(c.packets);
            let equal = FlowStats { last_hit: m.last_hit, ..*c } == m;
            if !(equal
                || (open > 0
                    && (1..=open).contains(&missed)
                    && c.bytes < m.bytes
                    && c.tcp == m.tcp))
            {
                return self.fail(format!("statistics of {key:?}\n  card  {c:?}\n  model {m:?}\n  of which {open} may have come before the entry"));
            }
        }
        self.summary.flows += flows.len() as u64;
        Ok(())
    }
}
