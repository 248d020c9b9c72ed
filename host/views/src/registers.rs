//! What a card's registers say of it, from whoever can read them.

use std::fmt;

use penstock_abi::fw;
use penstock_abi::regs::{self, Control};
use penstock_abi::table::TableId;
use serde::{Deserialize, Serialize};

use crate::firmware::Firmware;
use crate::trace;

/// What reset a card last; in JSON, as for people, a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum ResetCause {
    /// It was switched on.
    PowerOn,
    /// A function-level reset.
    FunctionLevel,
    /// A word that has no meaning here.
    Unknown(u32),
}

impl ResetCause {
    /// From the register `RESET_CAUSE`.
    #[must_use]
    pub fn of(word: u32) -> Self {
        match word {
            regs::RESET_POWER_ON => Self::PowerOn,
            regs::RESET_FLR => Self::FunctionLevel,
            other => Self::Unknown(other),
        }
    }
}

impl Default for ResetCause {
    fn default() -> Self {
        Self::Unknown(0)
    }
}

impl fmt::Display for ResetCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PowerOn => f.write_str("power-on"),
            Self::FunctionLevel => f.write_str("function-level reset"),
            Self::Unknown(word) => write!(f, "unknown ({word})"),
        }
    }
}

impl From<ResetCause> for String {
    fn from(cause: ResetCause) -> Self {
        cause.to_string()
    }
}

impl TryFrom<String> for ResetCause {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let known = [Self::PowerOn, Self::FunctionLevel];
        let unknown = |text: &str| {
            let word = text.strip_prefix("unknown (")?.strip_suffix(')')?.parse().ok()?;
            Some(Self::Unknown(word))
        };
        let found = known.into_iter().find(|cause| cause.to_string() == text);
        found.or_else(|| unknown(&text)).ok_or_else(|| format!("`{text}` resets no card"))
    }
}

/// Registers of the card.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CardStatus {
    /// `major.minor` of the layout.
    pub layout_version: String,
    /// Hash of the layout, in hex.
    pub layout_hash: String,
    /// Additions to the layout's major version that the card has, a bit each.
    pub capabilities: u32,
    /// Nominal core clock.
    pub clock_khz: u32,
    /// What reset it last.
    pub reset_cause: ResetCause,
    /// Function-level resets since power-on.
    pub flr_count: u32,
    /// Epoch of the last complete reconcile, as the card keeps it.
    pub epoch: u32,
    /// Whether packets are forwarded.
    pub forwarding: bool,
    /// Card time in core cycles.
    pub time_cycles: u64,
    /// Entries that were met with the wrong parity, by packets or by reads, modulo 2^32; 0 too of a card that does not say it.
    #[serde(default)]
    pub parity_errors: u32,
    /// Where the last of them was, as `TABLE[INDEX]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parity_last: Option<String>,
    /// State of the firmware.
    pub firmware: Firmware,
    /// `major.minor` of the firmware.
    pub firmware_version: String,
    /// Counts up while the firmware lives.
    pub firmware_heartbeat: u32,
    /// Which firmware image runs, and why.
    #[serde(default)]
    pub firmware_image: String,
    /// Times that the firmware died and was restarted, since power-on, modulo 2^32; 0 too of a card that does not restart it.
    #[serde(default)]
    pub firmware_deaths: u32,
    /// What it died of last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub firmware_last_death: Option<String>,
}

/// Reads the registers that a status shows, each by `read` at its offset.
///
/// # Errors
/// Those of `read`.
pub fn card_status<E>(mut read: impl FnMut(u32) -> Result<u32, E>) -> Result<CardStatus, E> {
    let version = |word: u32| format!("{}.{}", word >> 16, word & 0xffff);
    let mut wide = |low, high| -> Result<u64, E> {
        // The low word first: reading it holds the high one.
        let low = u64::from(read(low)?);
        Ok(low | u64::from(read(high)?) << 32)
    };
    let layout_hash = wide(regs::LAYOUT_HASH_LO, regs::LAYOUT_HASH_HI)?;
    let time_cycles = wide(regs::TIME_LO, regs::TIME_HI)?;
    let (parity_errors, last) = (read(regs::PARITY_ERRORS)?, read(regs::PARITY_LAST)?);
    let place = |table: TableId| format!("{}[{}]", table.desc().name, last & 0x00ff_ffff);
    let parity_last = TableId::from_u8((last >> 24) as u8).filter(|_| parity_errors > 0).map(place);
    let firmware_deaths = read(regs::FW_DEATHS)?;
    let (death_status, death_info) = (read(regs::FW_DEATH_STATUS)?, read(regs::FW_DEATH_INFO)?);
    Ok(CardStatus {
        layout_version: version(read(regs::LAYOUT_VERSION)?),
        layout_hash: format!("{layout_hash:016x}"),
        capabilities: read(regs::CAPABILITIES)?,
        clock_khz: read(regs::CLOCK_KHZ)?,
        reset_cause: ResetCause::of(read(regs::RESET_CAUSE)?),
        flr_count: read(regs::FLR_COUNT)?,
        epoch: read(regs::EPOCH)?,
        forwarding: Control(read(regs::CONTROL)?).enable(),
        time_cycles,
        parity_errors,
        parity_last,
        firmware: Firmware::of(read(regs::FW_STATUS)?, read(regs::FW_INFO)?),
        firmware_version: version(read(regs::FW_VERSION)?),
        firmware_heartbeat: read(regs::FW_HEARTBEAT)?,
        firmware_image: trace::boot(read(regs::FW_BOOT)?).to_owned(),
        firmware_deaths,
        firmware_last_death: (firmware_deaths > 0).then(|| trace::cause(death_status, death_info)),
    })
}

/// Lines for below the line that names the card.
impl fmt::Display for CardStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = |label: &str, value: String| writeln!(f, "  {label:<20}{value}");
        line(
            "Layout:",
            format!(
                "{} hash {}, capabilities {:#x}",
                self.layout_version, self.layout_hash, self.capabilities
            ),
        )?;
        line("Forwarding:", if self.forwarding { "yes" } else { "no" }.to_owned())?;
        line("Epoch:", self.epoch.to_string())?;
        line(
            "Last reset:",
            format!("{}, {} function-level resets", self.reset_cause, self.flr_count),
        )?;
        line("Card time:", format!("{} cycles at {} kHz", self.time_cycles, self.clock_khz))?;
        let last =
            self.parity_last.as_ref().map_or_else(String::new, |at| format!(", last at {at}"));
        line("Parity errors:", format!("{}{last}", self.parity_errors))?;
        line(
            "Firmware:",
            format!(
                "{}, version {}, heartbeat {}",
                self.firmware, self.firmware_version, self.firmware_heartbeat
            ),
        )?;
        let golden = ["", trace::boot(fw::Boot::Golden as u32)].contains(&&*self.firmware_image);
        if !golden {
            line("Firmware image:", self.firmware_image.clone())?;
        }
        if let Some(death) = &self.firmware_last_death {
            line("Firmware deaths:", format!("{}, the last: {death}", self.firmware_deaths))?;
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_firmware_that_died_and_the_image_that_runs_have_lines_of_their_own() {
        let registers = |offset: u32| {
            Ok::<u32, ()>(match offset {
                regs::FW_STATUS => fw::STATUS_READY,
                regs::FW_DEATHS => 2,
                regs::FW_DEATH_STATUS => fw::STATUS_TRAP | 7,
                regs::FW_DEATH_INFO => 0x9004,
                regs::FW_BOOT => fw::Boot::Died as u32,
                _ => 0,
            })
        };
        let text = card_status(registers).unwrap().to_string();
        let end = "\n  Firmware image:     golden, as the update died too often\n  Firmware deaths:    2, the last: trapped with cause 7 at 0x9004\n";
        assert!(text.ends_with(end), "{text}");
    }

    #[test]
    fn each_cause_reads_as_it_is_written() {
        for (word, text) in [
            (regs::RESET_POWER_ON, "power-on"),
            (regs::RESET_FLR, "function-level reset"),
            (7, "unknown (7)"),
        ] {
            let cause = ResetCause::of(word);
            assert_eq!(serde_json::to_value(cause).unwrap(), text);
            assert_eq!(serde_json::from_value::<ResetCause>(text.into()).unwrap(), cause);
        }
        assert!(serde_json::from_value::<ResetCause>("unknown".into()).is_err());
    }

    #[test]
    fn each_register_has_its_place_and_an_error_ends_it() {
        let registers = |offset: u32| match offset {
            regs::LAYOUT_VERSION => Ok(0x0002_0001),
            regs::LAYOUT_HASH_LO => Ok(0x89ab_cdef),
            regs::LAYOUT_HASH_HI => Ok(0x0123_4567),
            regs::TIME_LO => Ok(7),
            regs::TIME_HI => Ok(1),
            regs::RESET_CAUSE => Ok(regs::RESET_FLR),
            regs::FLR_COUNT => Ok(3),
            regs::PARITY_ERRORS => Ok(2),
            regs::PARITY_LAST => Ok(0x0200_7fff),
            regs::CONTROL => Ok(1),
            regs::FW_STATUS => Ok(fw::STATUS_READY),
            regs::FW_VERSION => Ok(0x0001_0002),
            _ => Ok(0),
        };
        let status = card_status(registers as fn(u32) -> Result<u32, u32>).unwrap_or_default();
        assert_eq!(
            (status.layout_version.as_str(), status.layout_hash.as_str()),
            ("2.1", "0123456789abcdef")
        );
        assert_eq!(
            (status.time_cycles, status.flr_count, status.forwarding),
            (7 | 1 << 32, 3, true)
        );
        let text = status.to_string();
        assert!(
            text.contains(
                "\n  Last reset:         function-level reset, 3 function-level resets\n"
            ),
            "{text}"
        );
        assert!(text.contains("\n  Parity errors:      2, last at NextHop[32767]\n"), "{text}");
        assert!(
            text.ends_with("  Firmware:           ready, version 1.2, heartbeat 0\n"),
            "{text}"
        );
        let gone = |offset| if offset == regs::EPOCH { Err(offset) } else { Ok(0) };
        assert_eq!(card_status(gone), Err(regs::EPOCH));
    }
}
