//! `card trace`: what the firmware did last, and what it died of.

use std::fmt;

use penstock_abi::fw::{self, Boot, BootCause, TraceEntry, TraceEvent};
use penstock_abi::reason::TrapReason;
use serde::{Deserialize, Serialize};

use crate::firmware::Firmware;

/// The last death of a firmware.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Death {
    /// Deaths since power-on.
    pub deaths: u32,
    /// Of what, as text.
    pub cause: String,
    /// Where it was.
    pub pc: u32,
    /// Card time at which the card restarted it.
    pub time_cycles: u64,
}

impl Death {
    /// From what the card keeps.
    #[must_use]
    pub fn of(death: &fw::Death) -> Self {
        let fw::Death { deaths, status, info, pc, time_cycles } = *death;
        Self { deaths, cause: cause(status, info), pc, time_cycles }
    }
}

/// What a firmware died of, by its last status.
#[must_use]
pub fn cause(status: u32, info: u32) -> String {
    match Firmware::of(status, info) {
        Firmware::NotStarted => "hung before it started".to_owned(),
        Firmware::SelfTest => "hung in its self-test".to_owned(),
        Firmware::Ready => "hung".to_owned(),
        died => died.to_string(),
    }
}

/// Which image runs, and why, in the words of people.
#[must_use]
pub fn boot(word: u32) -> &'static str {
    match Boot::from_u8(word as u8) {
        Some(Boot::Golden) => "golden",
        Some(Boot::Update) => "update",
        Some(Boot::RolledBack) => "golden, as the host rolled the update back",
        Some(Boot::Torn) => "golden, as the update is not whole",
        Some(Boot::Died) => "golden, as the update died too often",
        None => "unknown",
    }
}

/// An entry of the trace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Number since power-on.
    pub number: u32,
    /// Card time.
    pub time_cycles: u64,
    /// What it tells: the event's name, or its number if that is not known here.
    pub event: String,
    /// A detail of it, as the card has it.
    pub detail: u16,
    /// Its argument, as the card has it.
    pub arg: u32,
    /// All that, for people.
    pub text: String,
}

impl Entry {
    fn of(entry: &TraceEntry) -> Self {
        let TraceEntry { number, time_cycles, event, detail, arg } = *entry;
        let known = u8::try_from(event).ok().and_then(TraceEvent::from_u8);
        let name = TraceEvent::ALL.iter().find(|(other, ..)| Some(*other) == known);
        Self {
            number,
            time_cycles,
            event: name.map_or_else(|| event.to_string(), |(_, name, ..)| (*name).to_owned()),
            detail,
            arg,
            text: text(known, event, detail, arg),
        }
    }
}

fn text(event: Option<TraceEvent>, code: u16, detail: u16, arg: u32) -> String {
    let [low, high] = detail.to_le_bytes();
    let frame = || {
        let name = TrapReason::ALL.iter().find(|(reason, ..)| *reason as u8 == high);
        let reason = name.map_or("unknown", |(_, name, ..)| *name);
        format!("{arg} bytes of vif {low}, trapped for {reason}")
    };
    match event {
        Some(TraceEvent::Boot) => {
            let cause = match BootCause::from_u8(low) {
                Some(BootCause::PowerOn) => "after power-on",
                Some(BootCause::Watchdog) => "as the watchdog found it dead",
                Some(BootCause::Asked) => "as it was asked to",
                None => "for a reason that is not known here",
            };
            format!("starts image {arg:08x} ({}), {cause}", boot(high.into()))
        }
        Some(TraceEvent::FallBack) => {
            format!("does not start the update ({}), CRC {arg:08x}", boot(detail.into()))
        }
        Some(TraceEvent::Ready) => format!("runs, version {}.{}", arg >> 16, arg & 0xffff),
        Some(TraceEvent::SelfTestFailed) => format!("self-test failed at {arg:#x}"),
        Some(TraceEvent::Frame) => format!("takes {}", frame()),
        Some(TraceEvent::Dropped) => format!("drops {}", frame()),
        Some(TraceEvent::Mailbox) => {
            format!("takes mailbox request {detail}, argument {arg:#010x}")
        }
        Some(TraceEvent::Panic) => {
            format!("panics in line {detail} of the file with hash {arg:#010x}")
        }
        Some(TraceEvent::Update) => format!("replies {arg:#010x} to step {detail} of an update"),
        Some(TraceEvent::Well) => "is well: it has run for a minute".to_owned(),
        None => format!("event {code}, detail {detail:#x}, argument {arg:#010x}"),
    }
}

/// The trace of a card's firmware.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trace {
    /// State of the firmware.
    pub firmware: Firmware,
    /// Which image runs, and why.
    pub image: String,
    /// The last death; none if it has not died since power-on.
    pub last_death: Option<Death>,
    /// Nominal core clock.
    pub clock_khz: u32,
    /// Entries that were, since power-on; the last of them are there.
    pub count: u32,
    /// The entries, oldest first.
    pub entries: Vec<Entry>,
}

impl Trace {
    /// From what the card says: its status words, its last death, and the entries that are left.
    #[must_use]
    pub fn new(
        (status, info, boot_word): (u32, u32, u32),
        death: Option<&fw::Death>,
        clock_khz: u32,
        count: u32,
        entries: &[TraceEntry],
    ) -> Self {
        Self {
            firmware: Firmware::of(status, info),
            image: boot(boot_word).to_owned(),
            last_death: death.map(Death::of),
            clock_khz,
            count,
            entries: entries.iter().map(Entry::of).collect(),
        }
    }

    fn seconds(&self, cycles: u64) -> String {
        let micros = u128::from(cycles) * 1000 / u128::from(self.clock_khz.max(1));
        format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000)
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Firmware:   {}; image: {}", self.firmware, self.image)?;
        match &self.last_death {
            None => writeln!(f, "Last death: none since power-on")?,
            Some(Death { deaths, cause, pc, time_cycles }) => writeln!(
                f,
                "Last death: {cause}; pc {pc:#x}, restarted at {} s; {deaths} since power-on",
                self.seconds(*time_cycles)
            )?,
        }
        writeln!(f, "\n{:>10}  {:>16}  What", "Number", "Card time [s]")?;
        for entry in &self.entries {
            let at = self.seconds(entry.time_cycles);
            writeln!(f, "{:>10}  {at:>16}  {}", entry.number, entry.text)?;
        }
        Ok(())
    }
}
