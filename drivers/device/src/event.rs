//! What a card tells by itself, and which of it a host asks for.

use penstock_abi::regs;
use penstock_abi::ring::{Event, EventKind, FlowEvent, RECORD_BYTES};
use zerocopy::FromBytes;

/// An event. One of a kind that is not known, of a card that is newer than this host, is kept as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CardEvent {
    /// About a pair of flow entries, or a packet that got none.
    Flow(FlowEvent),
    /// About anything else.
    Other(Event),
}

impl CardEvent {
    /// What a record of the event ring says.
    pub(crate) fn read(record: &[u8; RECORD_BYTES]) -> Option<Self> {
        let event = Event::read_from_bytes(record).ok()?;
        if is_of_flow(event.kind) {
            return FlowEvent::read_from_bytes(record).ok().map(Self::Flow);
        }
        Some(Self::Other(event))
    }

    /// Its kind, if it is known.
    #[must_use]
    pub fn kind(&self) -> Option<EventKind> {
        EventKind::from_u8(self.code())
    }

    /// The number of its kind.
    #[must_use]
    pub fn code(&self) -> u8 {
        match self {
            Self::Flow(event) => event.kind,
            Self::Other(event) => event.kind,
        }
    }

    /// Card time in core cycles.
    #[must_use]
    pub fn time_cycles(&self) -> u64 {
        match self {
            Self::Flow(event) => event.time_cycles,
            Self::Other(event) => event.time_cycles,
        }
    }

    pub(crate) fn sequence(&self) -> u32 {
        match self {
            Self::Flow(event) => event.sequence,
            Self::Other(event) => event.sequence,
        }
    }
}

fn is_of_flow(kind: u8) -> bool {
    matches!(
        EventKind::from_u8(kind),
        Some(
            EventKind::FlowMade
                | EventKind::FlowEnded
                | EventKind::FlowRepinned
                | EventKind::FlowRefused
        )
    )
}

/// A set of kinds of events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kinds(u32);

impl Kinds {
    /// These.
    #[must_use]
    pub fn of(kinds: &[EventKind]) -> Self {
        Self(kinds.iter().fold(0, |all, kind| all | 1 << *kind as u32))
    }

    /// Those of both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether a kind is among them, by its number.
    #[must_use]
    pub fn has(self, kind: u8) -> bool {
        kind < 32 && self.0 >> kind & 1 == 1
    }

    /// Those of the register `EVT_KINDS`.
    #[must_use]
    pub fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// A bit each, as the register `EVT_KINDS` has them.
    #[must_use]
    pub fn bits(self) -> u32 {
        self.0
    }
}

/// Which events a host asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Their kinds.
    pub kinds: Kinds,
    /// Of pairs of flow entries one in 2^this, the same ones from beginning to end; of refused packets likewise. At most 15.
    pub sample_log2: u8,
}

impl Default for Wanted {
    /// What a card writes that is not asked.
    fn default() -> Self {
        Self { kinds: Kinds(regs::EVT_KINDS_FIRST), sample_log2: 0 }
    }
}

/// Whether an event about a pair of this number is told at a sample of one in 2^`sample_log2`.
#[must_use]
pub fn is_sampled(pair: u32, sample_log2: u8) -> bool {
    pair & ((1 << sample_log2.min(15)) - 1) == 0
}

/// Events that were taken from the ring at once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// In the order in which the card wrote them.
    pub events: Vec<CardEvent>,
    /// How many the card has lost since the last time, because the ring was full or it could not write as fast as they came.
    pub lost: u32,
    /// There may be more.
    pub more: bool,
}
