//! The Verilated card in this process, reached as a host reaches it: tables through the command ring, frames through the streams.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use penstock_abi::age::{Ages, TICK_LOG2};
use penstock_abi::evict::Evictions;
use penstock_abi::hash::FlowSecret;
use penstock_abi::reason::{CardCounter, DropReason};
use penstock_abi::regs;
use penstock_abi::ring::EventKind;
use penstock_abi::table::{
    Affinity, Counter, Flow, FlowShareStats, FlowStats, TableEntry, TableId, VifStats, Words,
};
use penstock_card::{BackPressure, CardOptions, CardSim, FLOW_SECRET, InProcess};
use penstock_device::{Card, CardEvent, Kinds, Wanted};
use penstock_refmodel::r#gen::Write;
use penstock_refmodel::{Counters, Ingress};
use penstock_tables::{CONFIG_TABLES, Entry, Op, Shape};

use crate::dut::{Dut, Heard, OutFrame};

/// No batch takes longer than this.
const DRAIN_CYCLES: u64 = 2_000_000;

/// Events that are wanted.
const TOLD: [EventKind; 5] = [
    EventKind::FlowMade,
    EventKind::FlowEnded,
    EventKind::FlowRepinned,
    EventKind::FlowRefused,
    EventKind::FlowPressure,
];

/// The card and its driver.
pub struct CardDut {
    sim: Arc<Mutex<CardSim>>,
    host: Card,
    secret: FlowSecret,
}

impl std::fmt::Debug for CardDut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.lock().fmt(f)
    }
}

impl CardDut {
    /// A card after power-on, forwarding, its tables empty. There is no firmware: trapped frames wait in its queue.
    ///
    /// # Errors
    /// The model of the card or its driver cannot start.
    pub fn new(back_pressure: Option<BackPressure>) -> Result<Self> {
        Self::with_secret(back_pressure, FLOW_SECRET)
    }

    /// One that places its flows by this secret.
    ///
    /// # Errors
    /// As [`CardDut::new`].
    pub fn with_secret(back_pressure: Option<BackPressure>, secret: FlowSecret) -> Result<Self> {
        let trace = std::env::var_os("PENSTOCK_TRACE").map(Into::into);
        let sim = CardSim::new(&CardOptions { back_pressure, trace, ..CardOptions::default() })?;
        let sim = Arc::new(Mutex::new(sim));
        let mut host = InProcess::attach(&sim, secret).context("attach to the simulated card")?;
        // The machine may be busy; the card's own time is what counts.
        host.set_timeout(Duration::from_secs(60));
        host.set_enabled(true)?;
        let mut card = Self { sim, host, secret };
        card.listen()?;
        Ok(card)
    }

    /// Asks for all that becomes of the flow table.
    fn listen(&mut self) -> Result<()> {
        Ok(self.host.enable_events(Wanted { kinds: Kinds::of(&TOLD), sample_log2: 0 })?)
    }

    fn lock(&self) -> MutexGuard<'_, CardSim> {
        self.sim.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Cycles simulated so far.
    #[must_use]
    pub fn cycles(&self) -> u64 {
        self.lock().cycles()
    }

    fn card_counter(&mut self, counter: CardCounter) -> Result<u64> {
        let c: Vec<Counter> = self.read(TableId::CardStats, &[counter as u32])?;
        Ok(c[0].count)
    }

    fn read<E: TableEntry>(&mut self, table: TableId, indices: &[u32]) -> Result<Vec<E>> {
        let words: Vec<Words> = self.host.read_many(table, indices)?;
        Ok(words.iter().map(E::unpack).collect())
    }
}

impl Dut for CardDut {
    fn shape(&self) -> Shape {
        self.host.ident().shape
    }

    fn secret(&self) -> FlowSecret {
        self.secret
    }

    fn write(&mut self, writes: &[Write]) -> Result<()> {
        let op = |&(table, index, words): &Write| Op::write(index, Entry::unpack(table, &words));
        let ops: Vec<Op> = writes.iter().map(op).collect();
        Ok(self.host.apply(&ops)?)
    }

    fn inject(&mut self, ingress: Ingress, frame: &[u8]) {
        self.lock().inject(ingress.vif(), frame.to_vec());
    }

    fn wait(&mut self, cycles: u32) {
        let mut sim = self.lock();
        for _ in 0..cycles {
            sim.tick();
        }
    }

    fn drain(&mut self) -> Result<()> {
        Ok(self.lock().drain(DRAIN_CYCLES)?)
    }

    fn take_frames(&mut self) -> Vec<OutFrame> {
        self.lock()
            .take_egress()
            .into_iter()
            .map(|e| OutFrame { vif: e.vif, frame: e.frame })
            .collect()
    }

    fn flows(&mut self) -> Result<Vec<(u32, Flow, FlowStats)>> {
        let dump = self.host.dump(TableId::Flow)?;
        let indices: Vec<u32> = dump.iter().map(|(i, _)| *i).collect();
        let stats: Vec<FlowStats> = self.read(TableId::FlowStats, &indices)?;
        Ok(dump.iter().zip(stats).map(|((i, w), s)| (*i, Flow::unpack(w), s)).collect())
    }

    fn clients(&mut self) -> Result<Vec<(u32, Affinity)>> {
        let dump = self.host.dump(TableId::Affinity)?;
        Ok(dump.into_iter().map(|(index, words)| (index, Affinity::unpack(&words))).collect())
    }

    fn counters(&mut self, vifs: &[u8]) -> Result<Counters> {
        let mut out = Counters::default();
        let indices: Vec<u32> = vifs.iter().map(|&v| u32::from(v)).collect();
        let stats: Vec<VifStats> = self.read(TableId::VifStats, &indices)?;
        out.vifs.extend(vifs.iter().copied().zip(stats));
        let codes: Vec<u8> = DropReason::ALL.iter().map(|(r, ..)| *r as u8).collect();
        let drops: Vec<Counter> =
            self.read(TableId::DropStats, &codes.iter().map(|&c| c.into()).collect::<Vec<_>>())?;
        out.drops.extend(codes.into_iter().zip(drops.iter().map(|c| c.count)));
        let codes: Vec<u8> = CardCounter::ALL.iter().map(|(c, ..)| *c as u8).collect();
        let card: Vec<Counter> =
            self.read(TableId::CardStats, &codes.iter().map(|&c| c.into()).collect::<Vec<_>>())?;
        out.card.extend(codes.into_iter().zip(card.iter().map(|c| c.count)));
        Ok(out)
    }

    fn share_stats(&mut self, shares: &[u32]) -> Result<Vec<FlowShareStats>> {
        self.read(TableId::FlowShareStats, shares)
    }

    fn tables(&mut self) -> Result<Vec<Write>> {
        let mut out = Vec::new();
        for &id in CONFIG_TABLES {
            out.extend(self.host.dump(id)?.into_iter().map(|(index, words)| (id, index, words)));
        }
        Ok(out)
    }

    fn digest(&mut self, table: TableId) -> Result<u64> {
        self.host.digest(table)?.context("the card says no digests")
    }

    fn set_enabled(&mut self, enabled: bool) -> Result<()> {
        Ok(self.host.set_enabled(enabled)?)
    }

    fn reset(&mut self) -> Result<()> {
        self.host.reset()?;
        self.listen()
    }

    fn clear(&mut self) -> Result<()> {
        Ok(self.host.clear_all()?)
    }

    fn set_ages(&mut self, ages: &Ages) -> Result<()> {
        Ok(self.host.set_flow_ages(ages)?)
    }

    fn press(&mut self, evictions: &Evictions) -> Result<()> {
        self.host.set_flow_evictions(evictions)?;
        self.lock().drain(DRAIN_CYCLES)?;
        Ok(self.host.set_flow_evictions(&Evictions::default())?)
    }

    fn pass(&mut self, units: u32) -> Result<()> {
        // What rests is woken by a write, not by time.
        self.host.write_reg(regs::SCRATCH, units)?;
        let mut sim = self.lock();
        sim.skip_time(u64::from(units) << TICK_LOG2);
        Ok(sim.drain(DRAIN_CYCLES)?)
    }

    fn zero_counters(&mut self, vifs: &[u8]) -> Result<()> {
        let zero = Words::default();
        let vifs = vifs.iter().map(|&v| (TableId::VifStats, u32::from(v), zero));
        let drops = DropReason::ALL.iter().map(|(r, ..)| (TableId::DropStats, *r as u32, zero));
        let writes: Vec<Write> = vifs.chain(drops).collect();
        self.write(&writes)
    }

    fn deferred(&mut self) -> Result<u64> {
        self.card_counter(CardCounter::LearnDeferred)
    }

    fn tells(&self) -> bool {
        true
    }

    fn heard(&mut self) -> Result<Option<Heard>> {
        self.lock().drain(DRAIN_CYCLES)?;
        let mut heard = Heard::default();
        loop {
            let taken = self.host.take_events()?;
            for event in taken.events {
                match event {
                    CardEvent::Flow(event) => heard.flows.push(event),
                    CardEvent::Other(event) => heard.pressures.push(event.arg0 as u8),
                }
            }
            if !taken.more {
                break;
            }
        }
        heard.dropped = self.host.read_reg(regs::EVT_DROPPED)?;
        Ok(Some(heard))
    }

    fn not_placed(&mut self) -> Result<u64> {
        self.card_counter(CardCounter::FlowTableFull)
    }
}
