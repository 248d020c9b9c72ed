//! The card of a replay: programmed, fed, drained, read.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use penstock_abi::limits::CORE_CLOCK_KHZ;
use penstock_abi::table::{Flow, TableId};
use penstock_abi::{fw, regs};
use penstock_card::{BackPressure, CardError, CardOptions, CardSim, FLOW_SECRET, InProcess};
use penstock_device::Card;
use penstock_model::{Finding, Intent, Neighbours, ObjectId};
use penstock_tables::Tables;
use penstock_views::firmware::Firmware;
use penstock_views::{CardState, flow};

use crate::capture::Frame;

/// Share of paused handshakes with a seed, of 256.
const PAUSES_OF_256: u8 = 64;
/// Cycles simulated at a time while a frame is due later.
const SLICE_CYCLES: u64 = 256;
/// Frames that may wait at the card's edge.
const BACKLOG_FRAMES: usize = 32;
/// A card that works longer than this without a frame being taken has a defect, or its firmware has: what waits at its edge
/// and in its queues takes some 100,000.
const BUSY_CYCLES: u64 = 2_000_000;

/// Firmware that does not run after this many cycles will not run: its self-test takes some 200,000.
const BOOT_CYCLES: u64 = 2_000_000;
/// Cycles simulated between two looks at the firmware's state.
const BOOT_SLICE_CYCLES: u64 = 16_384;

/// What a replay gave.
pub(crate) struct Outcome {
    /// Frames that left the card, in order.
    pub(crate) egress: Vec<Frame>,
    /// Tables and counters at the end.
    pub(crate) state: CardState,
    /// Cycles from the first frame to the idle card.
    pub(crate) traffic_cycles: u64,
    /// All cycles, power-on and programming included.
    pub(crate) total_cycles: u64,
    /// What the sources and the compiler left out.
    pub(crate) notes: Vec<String>,
}

/// Programs a fresh card, sends the frames through it, and reads it.
///
/// # Errors
/// The card has a defect.
pub(crate) fn run(
    intent: &Intent,
    neighbours: &Neighbours,
    frames: &[Frame],
    seed: Option<u64>,
    firmware: Option<PathBuf>,
) -> Result<Outcome> {
    let compiled = penstock_compile::compile(intent, neighbours);
    let planned = penstock_plan::plan(&compiled.desired, &Tables::default());
    let back_pressure = seed.map(|seed| BackPressure { seed, of_256: PAUSES_OF_256 });
    let with_firmware = firmware.is_some();
    let options = CardOptions { firmware, back_pressure, ..CardOptions::default() };
    let sim =
        Arc::new(Mutex::new(CardSim::new(&options).context("the simulated card does not start")?));
    let mut card =
        InProcess::attach(&sim, FLOW_SECRET).context("cannot attach to the simulated card")?;
    for phase in &planned.plan.phases {
        card.apply(&phase.ops).context("cannot program the simulated card")?;
    }
    card.set_enabled(true).context("cannot enable the simulated card")?;

    if with_firmware {
        wait_for_firmware(&mut card, &sim)?;
    }

    let begun = lock(&sim).cycles();
    let egress = Feed::new(&mut lock(&sim), frames).run().context("the simulated card failed")?;
    let traffic_cycles = lock(&sim).cycles() - begun;

    let mut state = CardState {
        vif_names: intent
            .vifs
            .values()
            .map(|vif| (u32::from(vif.id.0), vif.name.clone()))
            .collect(),
        ..CardState::default()
    };
    for table in flow::TABLES {
        if *table != TableId::FlowStats {
            state.tables.load_all(*table, &card.dump(*table)?);
        }
    }
    let indices: Vec<u32> = state.tables.of::<Flow>().indices().collect();
    for (&index, words) in indices.iter().zip(&card.read_many(TableId::FlowStats, &indices)?) {
        state.tables.load(TableId::FlowStats, index, words);
    }
    let about = |id: &ObjectId, finding: &Finding| format!("{id}: {finding}");
    let found = compiled.findings.iter();
    let found = found.flat_map(|(id, list)| list.iter().map(move |finding| about(id, finding)));
    let notes = found.chain(planned.refused.iter().map(ToString::to_string)).collect();
    let total_cycles = lock(&sim).cycles();
    Ok(Outcome { egress, state, traffic_cycles, total_cycles, notes })
}

/// Lets the firmware come up: until then the card drops what it would hand over.
fn wait_for_firmware(card: &mut Card, sim: &Arc<Mutex<CardSim>>) -> Result<()> {
    let end = lock(sim).cycles() + BOOT_CYCLES;
    loop {
        let status = card.read_reg(regs::FW_STATUS).context("cannot read the firmware's status")?;
        match status {
            fw::STATUS_READY => return Ok(()),
            fw::STATUS_RESET | fw::STATUS_SELF_TEST if lock(sim).cycles() < end => {
                let mut sim = lock(sim);
                sim.run(BOOT_SLICE_CYCLES);
                sim.check().context("the simulated card failed")?;
            }
            _ => {
                let info = card.read_reg(regs::FW_INFO).unwrap_or_default();
                bail!("the firmware does not start: {}", Firmware::of(status, info));
            }
        }
    }
}

fn lock(sim: &Arc<Mutex<CardSim>>) -> MutexGuard<'_, CardSim> {
    sim.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Frames going in at their times.
struct Feed<'a> {
    card: &'a mut CardSim,
    frames: &'a [Frame],
    /// Card time in cycles and capture time of the first frame. Counted in cycles, as how many of them came before differs
    /// from run to run and rounding to nanoseconds with it.
    begun: u64,
    first: Duration,
    egress: Vec<Frame>,
}

impl<'a> Feed<'a> {
    fn new(card: &'a mut CardSim, frames: &'a [Frame]) -> Self {
        let begun = card.time_cycles();
        Self {
            card,
            frames,
            begun,
            first: frames.first().map_or(Duration::ZERO, |f| f.time),
            egress: Vec::new(),
        }
    }

    fn run(mut self) -> Result<Vec<Frame>, CardError> {
        for frame in self.frames {
            let due = self.begun.saturating_add(cycles(frame.time - self.first));
            let end = self.card.cycles() + BUSY_CYCLES;
            while self.card.time_cycles() < due {
                self.check_busy(end)?;
                let left = due - self.card.time_cycles();
                if self.step(left.min(SLICE_CYCLES))? {
                    self.card.skip_time(due.saturating_sub(self.card.time_cycles()));
                    break;
                }
            }
            let end = self.card.cycles() + BUSY_CYCLES;
            while self.card.waiting().0.max(self.card.waiting().1) > BACKLOG_FRAMES {
                self.check_busy(end)?;
                self.step(SLICE_CYCLES)?;
            }
            self.card.inject(frame.vif, frame.data.clone());
        }
        self.card.drain(BUSY_CYCLES)?;
        self.take();
        Ok(self.egress)
    }

    fn check_busy(&self, end: u64) -> Result<(), CardError> {
        if self.card.cycles() < end { Ok(()) } else { Err(CardError::Busy { cycles: BUSY_CYCLES }) }
    }

    /// Runs the card; true if it has nothing more to do.
    fn step(&mut self, budget: u64) -> Result<bool, CardError> {
        let idle = self.card.run(budget);
        self.card.check()?;
        self.take();
        Ok(idle)
    }

    /// Takes what left the card, with time stamps in the captures' time.
    fn take(&mut self) {
        let (time, cycle) = (self.card.time_cycles(), self.card.cycles());
        for egress in self.card.take_egress() {
            let since = time.saturating_sub(cycle - egress.cycle).saturating_sub(self.begun);
            self.egress.push(Frame {
                time: self.first + duration(since),
                vif: egress.vif,
                data: egress.frame,
            });
        }
    }
}

fn duration(cycles: u64) -> Duration {
    let nanos = u128::from(cycles) * 1_000_000 / u128::from(CORE_CLOCK_KHZ);
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

fn cycles(time: Duration) -> u64 {
    u64::try_from(time.as_nanos() * u128::from(CORE_CLOCK_KHZ) / 1_000_000).unwrap_or(u64::MAX)
}
