//! The observer: reads what counts on the card once a second into memory, from where every view and every scrape is answered.
//!
//! So the card's load does not depend on how many ask, and an answer does not wait for a plan that is being written. What is
//! read: counters of the vifs that there are, of their shares of the flow table and of the tunnels', drops, the card's own counters, and the registers that a status shows.
//!
//! The card tells of some of this by events as well, which have the observer look at once ([`crate::events`]). It does not depend on them: a
//! look a second finds the same, and a firmware that hangs without a trap, which tells nothing, besides.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use penstock_abi::evict::PRESSURE_MAX;
use penstock_abi::layout::Capability;
use penstock_abi::table::{TableId, TunnelSource, Vif};
use penstock_abi::{fw, limits, regs, share};
use penstock_device::{Card, DeviceError};
use penstock_tables::Tables;
use tokio::sync::{Notify, watch};
use tokio::time::{MissedTickBehavior, interval};
use tracing::{debug, info, warn};

use crate::device::{Device, JOB_COMMANDS, LinkState};
use crate::error::LinkError;
use crate::sums::Sums;

/// Pause between two readings.
const PERIOD: Duration = Duration::from_secs(1);

/// Registers that a reading holds. `TIME_LO` stands before `TIME_HI`, which it holds.
const REGISTERS: &[u32] = &[
    regs::LAYOUT_VERSION,
    regs::LAYOUT_HASH_LO,
    regs::LAYOUT_HASH_HI,
    regs::CAPABILITIES,
    regs::CLOCK_KHZ,
    regs::CONTROL,
    regs::STATUS,
    regs::RESET_CAUSE,
    regs::FLR_COUNT,
    regs::EPOCH,
    regs::TIME_LO,
    regs::TIME_HI,
    regs::RING_ERRORS,
    regs::PARITY_ERRORS,
    regs::PARITY_LAST,
    regs::FW_STATUS,
    regs::FW_INFO,
    regs::FW_VERSION,
    regs::FW_HEARTBEAT,
    regs::FW_DEATHS,
    regs::FW_DEATH_STATUS,
    regs::FW_DEATH_INFO,
    regs::FW_BOOT,
];

/// Registers that a reading of a card holds on which flows give way.
const PRESSURE_REGISTERS: [u32; PRESSURE_MAX as usize] =
    [regs::FLOW_PRESSURE1, regs::FLOW_PRESSURE2, regs::FLOW_PRESSURE3];

/// Card time without a heartbeat after which a firmware that says nothing is dead, in milliseconds; it beats ten times a second.
const SILENCE_MS: u64 = 2_000;

/// How the firmware is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Firmware {
    /// It has not started, or tests itself.
    Starting,
    /// It is well.
    Ready,
    /// It said why it ended, in `FW_STATUS`.
    Failed,
    /// It says that it is well, and its heartbeat stands still.
    Silent,
}

/// What the observer read at one moment.
#[derive(Clone, Debug)]
pub struct Reading {
    /// When it was begun.
    pub at: SystemTime,
    /// The same, for ages.
    pub taken: Instant,
    /// Counters: the tables `VifStats`, `DropStats` and `CardStats` as totals since the daemon began to read them, of `FlowShareStats` the entries of vifs and tunnels, and no other.
    pub counters: Tables,
    /// How the firmware is.
    pub firmware: Firmware,
    registers: Vec<(u32, u32)>,
    /// The last heartbeat seen, and the card time at which it was new, in milliseconds.
    heartbeat: (u32, u64),
}

impl Reading {
    /// A register, if readings hold it.
    #[must_use]
    pub fn register(&self, offset: u32) -> Option<u32> {
        self.registers.iter().find(|(other, _)| *other == offset).map(|(_, value)| *value)
    }

    /// Flow entries in use above which there is pressure 1, 2 and 3; none of a card on which no flow gives way.
    #[must_use]
    pub fn flow_pressure_above(&self) -> Option<[u32; PRESSURE_MAX as usize]> {
        let [one, two, three] = PRESSURE_REGISTERS.map(|offset| self.register(offset));
        Some([one?, two?, three?])
    }

    /// Takes a reading's registers and drops; vifs and tunnels are read apart, as there are more of them than a job should read.
    fn registers(card: &mut Card) -> Result<Self, DeviceError> {
        let (at, taken) = (SystemTime::now(), Instant::now());
        let pressure: &[u32] =
            if card.ident().has(Capability::Eviction) { &PRESSURE_REGISTERS } else { &[] };
        let registers = REGISTERS.iter().chain(pressure);
        let registers = registers.map(|&offset| Ok((offset, card.read_reg(offset)?)));
        let registers = registers.collect::<Result<_, DeviceError>>()?;
        let mut counters = Tables::new(card.ident().shape);
        for table in [TableId::DropStats, TableId::CardStats] {
            counters.load_all(table, &card.dump(table)?);
        }
        Ok(Self { at, taken, counters, firmware: Firmware::Starting, registers, heartbeat: (0, 0) })
    }

    fn time_ms(&self) -> u64 {
        let register = |offset| u64::from(self.register(offset).unwrap_or(0));
        let cycles = register(regs::TIME_LO) | register(regs::TIME_HI) << 32;
        cycles / register(regs::CLOCK_KHZ).max(1)
    }

    /// Judges the firmware, given the reading before this one.
    fn judge(&mut self, before: Option<&Self>) {
        let beat = self.register(regs::FW_HEARTBEAT).unwrap_or(0);
        let now_ms = self.time_ms();
        self.heartbeat = match before.map(|before| before.heartbeat) {
            // A card whose time went back was reset.
            Some((last, at_ms)) if last == beat && at_ms <= now_ms => (last, at_ms),
            _ => (beat, now_ms),
        };
        let silent_ms = now_ms - self.heartbeat.1;
        self.firmware = match self.register(regs::FW_STATUS).unwrap_or(0) {
            fw::STATUS_RESET | fw::STATUS_SELF_TEST => Firmware::Starting,
            fw::STATUS_READY if silent_ms > SILENCE_MS => Firmware::Silent,
            fw::STATUS_READY => Firmware::Ready,
            _ => Firmware::Failed,
        };
    }
}

/// Reads once a second, and when it is `poked`, until the task is dropped. `tables` says which vifs there are.
pub(crate) async fn observe(
    device: Device,
    tables: watch::Receiver<Option<Arc<Tables>>>,
    publish: watch::Sender<Option<Arc<Reading>>>,
    poked: Arc<Notify>,
) {
    let mut link = device.state();
    let mut sums = Sums::default();
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let attached = |state: &LinkState| matches!(state, LinkState::Attached(_));
        if !attached(&link.borrow()) {
            // What was read is of a card that is gone.
            publish.send_if_modified(|reading| reading.take().is_some());
        }
        // The end of the device's thread is told elsewhere.
        if link.wait_for(attached).await.is_err() {
            return;
        }
        let (vifs, tunnels) = {
            let tables = tables.borrow();
            (vifs(tables.as_deref()), tunnel_shares(tables.as_deref()))
        };
        match read(&device, &vifs, &tunnels).await {
            Ok(mut reading) => {
                sums.extend(&mut reading.counters);
                let before = publish.borrow().clone();
                reading.judge(before.as_deref());
                tell(&reading, before.as_deref());
                publish.send_replace(Some(Arc::new(reading)));
            }
            // Why stands in the link's state.
            Err(error) => debug!(%error, "nothing was read"),
        }
        tokio::select! {
            _ = ticks.tick() => {}
            () = poked.notified() => {}
        }
    }
}

fn tell(now: &Reading, before: Option<&Reading>) {
    let deaths = |reading: &Reading| reading.register(regs::FW_DEATHS).unwrap_or(0);
    // It may die and be restarted between two readings.
    if before.is_some_and(|before| deaths(before) != deaths(now)) {
        let word = |offset| now.register(offset).map(|word| format!("{word:#010x}"));
        warn!(
            deaths = deaths(now),
            status = word(regs::FW_DEATH_STATUS),
            info = word(regs::FW_DEATH_INFO),
            "the card's firmware died and was restarted; `penstock card trace` shows what it did last"
        );
    }
    if before.is_some_and(|before| before.firmware == now.firmware) {
        return;
    }
    match now.firmware {
        Firmware::Starting => {}
        Firmware::Ready => info!("the card's firmware is ready"),
        Firmware::Failed | Firmware::Silent => warn!(
            state = ?now.firmware,
            status = now.register(regs::FW_STATUS).map(|word| format!("{word:#010x}")),
            "the card's firmware is dead: nobody answers ARP or refuses connections until the card restarts it; the card forwards on"
        ),
    }
}

/// The vifs whose counters are read: the card's own, and those that it has entries of.
fn vifs(tables: Option<&Tables>) -> Vec<u32> {
    let own = 0..u32::from(limits::VIF_FIRST_POD);
    let entries = tables.into_iter().flat_map(|tables| tables.of::<Vif>().indices());
    sorted(own.chain(entries))
}

/// The shares of the flow table that the tunnels have of which the card knows.
fn tunnel_shares(tables: Option<&Tables>) -> Vec<u32> {
    let sources = tables.into_iter().flat_map(|tables| tables.of::<TunnelSource>().values());
    sorted(sources.filter(|source| source.valid).map(|source| share::of_tunnel(source.ip)))
}

/// In ascending order, each once.
fn sorted(numbers: impl Iterator<Item = u32>) -> Vec<u32> {
    let mut all: Vec<u32> = numbers.collect();
    all.sort_unstable();
    all.dedup();
    all
}

async fn read(device: &Device, vifs: &[u32], tunnels: &[u32]) -> Result<Reading, LinkError> {
    let mut reading = device.run(Reading::registers).await?;
    add(device, &mut reading.counters, TableId::VifStats, vifs).await?;
    if reading.counters.shape().flow_shares > 0 {
        // A vif's share has the vif's number.
        for shares in [vifs, tunnels] {
            add(device, &mut reading.counters, TableId::FlowShareStats, shares).await?;
        }
    }
    Ok(reading)
}

/// Adds these entries of a table.
async fn add(
    device: &Device,
    counters: &mut Tables,
    table: TableId,
    indices: &[u32],
) -> Result<(), LinkError> {
    for indices in indices.chunks(JOB_COMMANDS) {
        let some = indices.to_vec();
        let words = device.run(move |card| card.read_many(table, &some)).await?;
        for (&index, words) in indices.iter().zip(&words) {
            counters.load(table, index, words);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(status: u32, heartbeat: u32, seconds: u32) -> Reading {
        let kilohertz = 250_000;
        Reading {
            at: SystemTime::UNIX_EPOCH,
            taken: Instant::now(),
            counters: Tables::default(),
            firmware: Firmware::Starting,
            registers: vec![
                (regs::CLOCK_KHZ, kilohertz),
                (regs::TIME_LO, kilohertz * 1000 * seconds),
                (regs::FW_STATUS, status),
                (regs::FW_HEARTBEAT, heartbeat),
            ],
            heartbeat: (0, 0),
        }
    }

    #[test]
    fn a_firmware_that_is_silent_or_says_so_is_dead() {
        let mut before: Option<Reading> = None;
        let mut judge = |status, heartbeat, seconds| {
            let mut now = reading(status, heartbeat, seconds);
            now.judge(before.as_ref());
            let firmware = now.firmware;
            before = Some(now);
            firmware
        };
        assert_eq!(judge(fw::STATUS_READY, 10, 1), Firmware::Ready);
        assert_eq!(judge(fw::STATUS_READY, 20, 2), Firmware::Ready);
        // A simulated card's second may take minutes.
        assert_eq!(judge(fw::STATUS_READY, 20, 2), Firmware::Ready);
        assert_eq!(judge(fw::STATUS_READY, 20, 4), Firmware::Ready);
        assert_eq!(judge(fw::STATUS_READY, 20, 5), Firmware::Silent);
        assert_eq!(judge(fw::STATUS_READY, 21, 6), Firmware::Ready);
        assert_eq!(judge(fw::STATUS_PANIC | 12, 21, 7), Firmware::Failed);
        // It was reset.
        assert_eq!(judge(fw::STATUS_RESET, 0, 0), Firmware::Starting);
        assert_eq!(judge(fw::STATUS_READY, 0, 1), Firmware::Ready);
    }
}
