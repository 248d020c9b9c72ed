//! `card trace` and `card firmware`: what the firmware did, and another one for it.

use std::fmt;
use std::fs;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::Path;

use anyhow::{Context as _, Result};
use penstock_abi::{fw, regs};
use penstock_device::{Card, DeviceError, FirmwareImage};
use penstock_views::firmware::Firmware;
use penstock_views::trace::{Trace, boot};
use serde::Serialize;

/// Reads the trace of a card that this process has opened.
///
/// # Errors
/// The card does not answer, or has no trace.
pub fn trace(mut card: Card, device: &str) -> Result<Trace> {
    let mut read = || -> Result<_, DeviceError> {
        let numbers = card.firmware_trace_range()?;
        let (count, entries) = (numbers.end, card.firmware_trace(numbers)?);
        let death = card.firmware_death()?;
        let (status, info) = (card.read_reg(regs::FW_STATUS)?, card.read_reg(regs::FW_INFO)?);
        let state = (status, info, card.read_reg(regs::FW_BOOT)?);
        Ok(Trace::new(state, death.as_ref(), card.ident().clock_khz, count, &entries))
    };
    read().with_context(|| format!("cannot read the trace of {device}"))
}

/// The firmware of a card.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Shown {
    /// As it was named.
    pub device: String,
    /// Its state.
    pub firmware: Firmware,
    /// `major.minor` of its interface.
    pub version: String,
    /// Which image runs, and why.
    pub image: String,
    /// CRC-32 and bytes of the image that runs; none of a firmware that does not answer.
    pub running: Option<(u32, u32)>,
    /// CRC-32 and bytes of the image in the update slot.
    pub slot: Option<(u32, u32)>,
    /// Statistics since it started.
    pub statistics: Vec<(&'static str, u64)>,
}

/// Asks the card, and its firmware if that runs.
///
/// # Errors
/// The card does not answer.
pub fn show(card: &mut Card, device: &str) -> Result<Shown> {
    let mut read = || -> Result<_, DeviceError> {
        let (status, info) = (card.read_reg(regs::FW_STATUS)?, card.read_reg(regs::FW_INFO)?);
        let (image, version) = (card.read_reg(regs::FW_BOOT)?, card.read_reg(regs::FW_VERSION)?);
        let mut shown = Shown {
            device: device.to_owned(),
            firmware: Firmware::of(status, info),
            version: format!("{}.{}", version >> 16, version & 0xffff),
            image: boot(image).to_owned(),
            running: None,
            slot: None,
            statistics: Vec::new(),
        };
        if status == fw::STATUS_READY {
            let mut ask = |what| card.mailbox(fw::MBOX_IMAGE, what);
            shown.running = Some((ask(fw::IMAGE_RUNNING_CRC)?, ask(fw::IMAGE_RUNNING_BYTES)?));
            let slot = (ask(fw::IMAGE_SLOT_CRC)?, ask(fw::IMAGE_SLOT_BYTES)?);
            shown.slot = (slot.1 > 0).then_some(slot);
            for (name, statistic) in [
                ("ARP replies", fw::STAT_ARP_REPLIES),
                ("Reject replies", fw::STAT_REJECT_REPLIES),
                ("Dropped frames", fw::STAT_RX_DROPPED),
                ("Stack bytes", fw::STAT_STACK_BYTES),
            ] {
                shown.statistics.push((name, card.firmware_stat(statistic)?));
            }
        }
        Ok(shown)
    };
    read().with_context(|| format!("cannot read the firmware of {device}"))
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = |label: &str, value: String| writeln!(f, "{label:<16}{value}");
        line("Firmware:", format!("{}, version {}", self.firmware, self.version))?;
        line("Image:", self.image.clone())?;
        let image = |(crc, bytes): (u32, u32)| format!("{crc:08x}, {bytes} bytes");
        line("Runs:", self.running.map_or_else(|| "it does not say".to_owned(), image))?;
        line("Update slot:", self.slot.map_or_else(|| "empty".to_owned(), image))?;
        for (name, value) in &self.statistics {
            line(&format!("{name}:"), value.to_string())?;
        }
        Ok(())
    }
}

/// Reads and checks an image.
///
/// # Errors
/// It cannot be read, or is no image for this host's cards.
pub fn read_image(file: &Path) -> Result<FirmwareImage> {
    let bytes = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    FirmwareImage::new(&bytes).with_context(|| format!("{} cannot be used", file.display()))
}

/// Stores an image in the card and starts it; a terminal sees how far it is.
///
/// # Errors
/// The firmware refuses it, or it does not live.
pub fn update(card: &mut Card, device: &str, image: &FirmwareImage) -> Result<Shown> {
    let shows = io::stderr().is_terminal();
    let mut last = usize::MAX;
    let stored = card.store_firmware(image, |sent| {
        let percent = 100 * sent / image.bytes();
        if shows && percent != last {
            last = percent;
            eprint!("\rSending {} bytes: {percent:>3} %", image.bytes());
            let _ = io::stderr().flush();
        }
    });
    if shows {
        eprintln!();
    }
    stored
        .and_then(|()| card.start_firmware())
        .with_context(|| format!("cannot update {device}"))?;
    show(card, device)
}

/// Restarts the firmware with the golden image, or with what runs.
///
/// # Errors
/// The card does not do it.
pub fn restart(card: &mut Card, device: &str, golden: bool) -> Result<Shown> {
    card.restart_firmware(golden).with_context(|| format!("cannot restart {device}"))?;
    show(card, device)
}
