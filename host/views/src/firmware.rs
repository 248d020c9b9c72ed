//! The firmware's state, as its status word and `FW_INFO` tell it. In JSON, as for people, it is one line of text.

use std::fmt;
use std::str::FromStr;

use penstock_abi::fw;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// State of a card's firmware.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Firmware {
    /// It was not started.
    #[default]
    NotStarted,
    /// Its self-test runs.
    SelfTest,
    /// It runs.
    Ready,
    /// It says that it runs, and its heartbeat stands still; whoever watches that finds it, no register tells.
    Silent,
    /// Its self-test found a fault in its memory.
    SelfTestFailed {
        /// Where.
        address: u32,
    },
    /// It panicked.
    Panicked {
        /// Line of the source file.
        line: u16,
        /// Hash of the file's name (`penstock_abi::fw::file_hash`).
        file: u32,
    },
    /// It trapped.
    Trapped {
        /// `mcause` of RISC-V, its low 24 bits.
        cause: u32,
        /// Where.
        address: u32,
    },
    /// A word that has no meaning here.
    Unknown {
        /// The word.
        status: u32,
    },
}

impl Firmware {
    /// From the registers `FW_STATUS` and `FW_INFO`.
    #[must_use]
    pub fn of(status: u32, info: u32) -> Self {
        match status {
            fw::STATUS_RESET => Self::NotStarted,
            fw::STATUS_SELF_TEST => Self::SelfTest,
            fw::STATUS_READY => Self::Ready,
            fw::STATUS_SELF_TEST_FAILED => Self::SelfTestFailed { address: info },
            _ if status & 0xffff_0000 == fw::STATUS_PANIC => {
                Self::Panicked { line: status as u16, file: info }
            }
            _ if status & 0xff00_0000 == fw::STATUS_TRAP => {
                Self::Trapped { cause: status & 0x00ff_ffff, address: info }
            }
            status => Self::Unknown { status },
        }
    }
}

impl fmt::Display for Firmware {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::NotStarted => f.write_str("not started"),
            Self::SelfTest => f.write_str("self-test runs"),
            Self::Ready => f.write_str("ready"),
            Self::Silent => f.write_str("ready, but its heartbeat stands still"),
            Self::SelfTestFailed { address } => write!(f, "self-test failed at {address:#x}"),
            Self::Panicked { line, file } => {
                write!(f, "panicked in line {line} of the file with hash {file:#010x}")
            }
            Self::Trapped { cause, address } => {
                write!(f, "trapped with cause {cause} at {address:#x}")
            }
            Self::Unknown { status } => write!(f, "unknown status {status:#010x}"),
        }
    }
}

/// The text is no state of the firmware; of another version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no state of the firmware")]
pub struct FirmwareError(String);

impl FromStr for Firmware {
    type Err = FirmwareError;
    /// What [`fmt::Display`] writes.
    fn from_str(text: &str) -> Result<Self, FirmwareError> {
        let fixed = [Self::NotStarted, Self::SelfTest, Self::Ready, Self::Silent];
        if let Some(state) = fixed.into_iter().find(|state| state.to_string() == text) {
            return Ok(state);
        }
        let hex = |text: &str| u32::from_str_radix(text.strip_prefix("0x")?, 16).ok();
        let failed = || {
            Some(Self::SelfTestFailed { address: hex(text.strip_prefix("self-test failed at ")?)? })
        };
        let panicked = || {
            let rest = text.strip_prefix("panicked in line ")?;
            let (line, file) = rest.split_once(" of the file with hash ")?;
            Some(Self::Panicked { line: line.parse().ok()?, file: hex(file)? })
        };
        let trapped = || {
            let (cause, address) = text.strip_prefix("trapped with cause ")?.split_once(" at ")?;
            Some(Self::Trapped { cause: cause.parse().ok()?, address: hex(address)? })
        };
        let unknown =
            || Some(Self::Unknown { status: hex(text.strip_prefix("unknown status ")?)? });
        failed()
            .or_else(panicked)
            .or_else(trapped)
            .or_else(unknown)
            .ok_or_else(|| FirmwareError(text.to_owned()))
    }
}

impl Serialize for Firmware {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Firmware {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn each_state_reads_as_it_is_written() {
        let hash = fw::file_hash("src/main.rs");
        let panicked = format!("panicked in line 12 of the file with hash {hash:#010x}");
        for (status, info, text) in [
            (fw::STATUS_RESET, 0, "not started"),
            (fw::STATUS_SELF_TEST, 0, "self-test runs"),
            (fw::STATUS_READY, 7, "ready"),
            (fw::STATUS_SELF_TEST_FAILED, 0x1f0, "self-test failed at 0x1f0"),
            (fw::STATUS_PANIC | 12, hash, panicked.as_str()),
            (fw::STATUS_TRAP | 5, 0x80, "trapped with cause 5 at 0x80"),
            (0x1234, 0, "unknown status 0x00001234"),
        ] {
            let state = Firmware::of(status, info);
            assert_eq!(state.to_string(), text);
            assert_eq!(text.parse(), Ok(state));
            assert_eq!(serde_json::to_value(state).unwrap(), text);
            assert_eq!(serde_json::from_value::<Firmware>(text.into()).unwrap(), state);
        }
        for none in ["", "Ready", "trapped with cause 5 at 80", "self-test failed at 0x"] {
            assert!(none.parse::<Firmware>().is_err(), "{none}");
        }
    }
}
