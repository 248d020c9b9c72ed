//! What a card's registers say of it, from whoever can read them.

use std::fmt;

use penstock_abi::fw;
use penstock_abi::regs::{self, Control};
use serde::{Deserialize, Serialize};

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
    /// `power-on` or `function-level reset`.
    pub reset_cause: String,
    /// Function-level resets since power-on.
    pub flr_count: u32,
    /// Epoch of the last complete reconcile, as the card keeps it.
    pub epoch: u32,
    /// Whether packets are forwarded.
    pub forwarding: bool,
    /// Card time in core cycles.
    pub time_cycles: u64,
    /// State of the firmware for people: `ready`, `panic at line 12 of file hash 0x..`, ...
    pub firmware: String,
    /// `major.minor` of the firmware.
    pub firmware_version: String,
    /// Counts up while the firmware lives.
    pub firmware_heartbeat: u32,
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
    Ok(CardStatus {
        layout_version: version(read(regs::LAYOUT_VERSION)?),
        layout_hash: format!("{layout_hash:016x}"),
        capabilities: read(regs::CAPABILITIES)?,
        clock_khz: read(regs::CLOCK_KHZ)?,
        reset_cause: match read(regs::RESET_CAUSE)? {
            regs::RESET_POWER_ON => "power-on".to_owned(),
            regs::RESET_FLR => "function-level reset".to_owned(),
            other => format!("unknown ({other})"),
        },
        flr_count: read(regs::FLR_COUNT)?,
        epoch: read(regs::EPOCH)?,
        forwarding: Control(read(regs::CONTROL)?).enable(),
        time_cycles,
        firmware: firmware(read(regs::FW_STATUS)?, read(regs::FW_INFO)?),
        firmware_version: version(read(regs::FW_VERSION)?),
        firmware_heartbeat: read(regs::FW_HEARTBEAT)?,
    })
}

/// The firmware's status word for people, with what `FW_INFO` says besides.
#[must_use]
pub fn firmware(status: u32, info: u32) -> String {
    match status {
        fw::STATUS_RESET => "not started".to_owned(),
        fw::STATUS_SELF_TEST => "self-test runs".to_owned(),
        fw::STATUS_READY => "ready".to_owned(),
        fw::STATUS_SELF_TEST_FAILED => format!("self-test failed at {info:#x}"),
        _ if status & 0xffff_0000 == fw::STATUS_PANIC => {
            format!("panicked in line {} of the file with hash {info:#010x}", status & 0xffff)
        }
        _ if status & 0xff00_0000 == fw::STATUS_TRAP => {
            format!("trapped with cause {} at {info:#x}", status & 0x00ff_ffff)
        }
        other => format!("unknown status {other:#010x}"),
    }
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
        line(
            "Firmware:",
            format!(
                "{}, version {}, heartbeat {}",
                self.firmware, self.firmware_version, self.firmware_heartbeat
            ),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_of_the_firmware_is_readable() {
        assert_eq!(firmware(fw::STATUS_READY, 0), "ready");
        let text = firmware(fw::STATUS_PANIC | 12, fw::file_hash("src/main.rs"));
        assert!(text.starts_with("panicked in line 12 of the file with hash 0x"), "{text}");
        assert_eq!(firmware(fw::STATUS_TRAP | 5, 0x80), "trapped with cause 5 at 0x80");
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
        assert!(
            text.ends_with("  Firmware:           ready, version 1.2, heartbeat 0\n"),
            "{text}"
        );
        let gone = |offset| if offset == regs::EPOCH { Err(offset) } else { Ok(0) };
        assert_eq!(card_status(gone), Err(regs::EPOCH));
    }
}
