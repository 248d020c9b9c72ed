//! What can go wrong between host and card, and who is to blame.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use penstock_abi::regs::{PCI_DEVICE_ID, PCI_VENDOR_ID};
use penstock_abi::ring::Status;
use penstock_abi::table::{FieldOverflow, TableId};
use penstock_pci::{NotReady, PciError};
use penstock_tables::Implausible;

/// Why an operation on a card did not succeed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// The device specification is neither `vfio-user:PATH` nor `pci:BDF`. The user's.
    #[error("device `{spec}` is not understood; use vfio-user:PATH or pci:DDDD:BB:DD.F")]
    BadSpec {
        /// What was given.
        spec: String,
    },
    /// No card answers there. The user's, or the card is not started yet.
    #[error("cannot connect to the card at {}", path.display())]
    Connect {
        /// Socket or sysfs path.
        path: PathBuf,
        /// Cause.
        #[source]
        source: io::Error,
    },
    /// The machine is not set up so that VFIO can open the function; says what to type. The user's.
    #[error(transparent)]
    NotReady(#[from] NotReady),
    /// There is no such function, or it cannot be looked at. The user's.
    #[error(transparent)]
    Pci(#[from] PciError),
    /// The card has another owner. The user's: one daemon a card.
    #[error("the card at {} has another owner; stop it first", path.display())]
    InUse {
        /// Socket or group path.
        path: PathBuf,
    },
    /// The card disappeared: its process ended, or it reads as all ones (surprise removal). Attach anew once it is back.
    #[error("the card is gone ({how})")]
    DeviceGone {
        /// How it was noticed.
        how: String,
    },
    /// The card is there but did not finish in time. The card's.
    #[error("the card did not finish {what} within {} ms", after.as_millis())]
    Timeout {
        /// What was waited for.
        what: String,
        /// How long.
        after: Duration,
    },
    /// The function is not a card's: wrong vendor or device id. The user's: wrong device.
    #[error(
        "the PCI function is {vendor:04x}:{device:04x}, a card is {PCI_VENDOR_ID:04x}:{PCI_DEVICE_ID:04x}"
    )]
    WrongVendor {
        /// Its vendor id.
        vendor: u16,
        /// Its device id.
        device: u16,
    },
    /// BAR 0 does not hold a card's registers. The card's, or its shell's.
    #[error("BAR 0 of the PCI function has {bytes} bytes, a card needs {needed}")]
    BarTooSmall {
        /// What it has.
        bytes: u64,
        /// What a card needs.
        needed: u64,
    },
    /// The function has no MSI-X, or too few vectors. The card's, or its shell's.
    #[error("the PCI function has {vectors} MSI-X vectors, a card needs {needed}")]
    MissingMsix {
        /// What it has; 0 without MSI-X.
        vectors: u32,
        /// What a card needs.
        needed: u32,
    },
    /// The function is not a Penstock card. The user's: wrong device.
    #[error("the device is not a Penstock card: its magic word is {magic:#010x}")]
    NotACard {
        /// What stands in `MAGIC`.
        magic: u32,
    },
    /// Host and card disagree on the layout's major version. Update the older of the two.
    #[error(
        "the card has layout version {}.{}, this host {}.{}: {}",
        card >> 16, card & 0xffff, host >> 16, host & 0xffff, update_the_older(*card, *host)
    )]
    VersionMismatch {
        /// The card's version.
        card: u32,
        /// Ours.
        host: u32,
    },
    /// Versions agree but the layouts differ: one of the two was built from other definitions.
    #[error(
        "the card's layout hash is {card:#018x}, this host's is {host:#018x}; build both from the same definitions"
    )]
    LayoutMismatch {
        /// The card's hash.
        card: u64,
        /// Ours.
        host: u64,
    },
    /// The card lacks an addition that this host needs. Update the card.
    #[error(
        "the card has the capabilities {card:#x}, this host needs {missing:#x} besides; update the card"
    )]
    MissingCapability {
        /// Those that it has.
        card: u32,
        /// Those that it lacks.
        missing: u32,
    },
    /// The card says a size of its tables that no card of this layout can have. The card's, or its image is broken.
    #[error("the card says a size of its tables that cannot be")]
    Shape(#[source] Implausible),
    /// The card's firmware speaks another version of its interface. Update the older of the two.
    #[error("the card's firmware has interface version {}.{}, this host {}.{}", card >> 16, card & 0xffff, host >> 16, host & 0xffff)]
    FirmwareMismatch {
        /// The firmware's version.
        card: u32,
        /// Ours.
        host: u32,
    },
    /// The card's firmware refused an update, or the update does not live. The caller's, or the image's.
    #[error("the card refuses the firmware image: {what}")]
    FirmwareRefused {
        /// Why.
        what: String,
    },
    /// The card refused a command. The caller's.
    #[error("the card refused {what} at {table:?}[{index}]: {status:?}")]
    BadStatus {
        /// What was asked.
        what: &'static str,
        /// Table.
        table: TableId,
        /// Index.
        index: u32,
        /// Its answer.
        status: Status,
    },
    /// A value does not fit its field of a table entry. The caller's.
    #[error(transparent)]
    Overflow(#[from] FieldOverflow),
    /// The card met a bus error while fetching or completing commands, or was told of more commands than its ring holds, and
    /// stopped the ring; the next command sets it up anew.
    #[error("the card's command ring stopped on an error while {what} ({errors} errors so far)")]
    RingFault {
        /// What was under way.
        what: String,
        /// `RING_ERRORS`.
        errors: u32,
    },
    /// The card or its server broke the protocol. A bug of that side, or two owners.
    #[error("protocol error: {what}")]
    Protocol {
        /// What was wrong.
        what: String,
    },
    /// The vfio-user server or the kernel answered a request with an error.
    #[error("{what} was refused")]
    Refused {
        /// Which request.
        what: String,
        /// Its error number.
        #[source]
        source: io::Error,
    },
    /// This host's operating system refused something (memory, event descriptors).
    #[error("cannot {what}")]
    Io {
        /// What.
        what: String,
        /// Cause.
        #[source]
        source: io::Error,
    },
}

impl DeviceError {
    /// Whether attaching to the card again may help, as opposed to repeating the same call.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        matches!(self, Self::DeviceGone { .. })
    }

    pub(crate) fn io(what: impl Into<String>, source: impl Into<io::Error>) -> Self {
        Self::Io { what: what.into(), source: source.into() }
    }

    pub(crate) fn protocol(what: impl Into<String>) -> Self {
        Self::Protocol { what: what.into() }
    }

    pub(crate) fn gone(how: impl Into<String>) -> Self {
        Self::DeviceGone { how: how.into() }
    }
}

/// What to do about two major versions of the layout.
fn update_the_older(card: u32, host: u32) -> String {
    let (newer, older) = if card < host { (host, card) } else { (card, host) };
    let (new, old) = (newer >> 16, older >> 16);
    if card < host {
        format!(
            "load a card image with layout {new} (its tables are written anew), or run the release of the host software for layout {old}"
        )
    } else {
        format!(
            "install the release of the host software for layout {new}, or load a card image with layout {old}"
        )
    }
}
