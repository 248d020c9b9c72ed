//! How a card is set up.

use std::path::PathBuf;

/// Where the card's time comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Clock {
    /// Cycles that are simulated or skipped on request: repeatable.
    #[default]
    Simulated,
    /// The wall clock, at the card's nominal frequency.
    Wall,
}

/// Random back-pressure: ready signals and valid signals of the harness pause, repeatably.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackPressure {
    /// Seed.
    pub seed: u64,
    /// How often a handshake pauses in a cycle, of 256.
    pub of_256: u8,
}

/// What the host's bus takes, in core cycles, beyond what each handshake does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BusLatency {
    /// From the request of a read to its first beat.
    pub read_cycles: u32,
    /// From the request of a write to its answer.
    pub answer_cycles: u32,
}

/// How a card is set up.
#[derive(Clone, Debug, Default)]
pub struct CardOptions {
    /// Image of the soft core.
    pub firmware: Option<PathBuf>,
    /// Waveform file (feature `trace`).
    pub trace: Option<PathBuf>,
    /// Does not evaluate the RTL's assertions.
    pub unchecked: bool,
    /// Time.
    pub clock: Clock,
    /// Back-pressure.
    pub back_pressure: Option<BackPressure>,
    /// The host's bus.
    pub bus: BusLatency,
}
