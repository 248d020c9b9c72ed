//! `card info`: what a card says of itself, and what PCI says of it.

use std::fmt;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use penstock_abi::regs;
use penstock_device::Card;
use penstock_pci::{Function, Sysfs};
use penstock_views::registers::{self, CardStatus};
use rustix::process::{Resource, getrlimit};
use serde::Serialize;

/// Memory that a host maps for a card at most: the command, completion and event rings, in pages.
const DMA_BYTES_MAX: u64 = 64 * 1024;

/// A card that was opened.
#[derive(Debug, Serialize)]
pub struct CardInfo {
    /// As it was named.
    pub device: String,
    /// Its registers.
    pub card: CardStatus,
    /// Its command ring.
    pub ring: Ring,
    /// What PCI says; only of a function of this machine.
    pub pci: Option<PciFacts>,
    /// Memory that may be mapped for it.
    pub memory: Memory,
}

/// State of a card's rings.
#[derive(Debug, Serialize)]
pub struct Ring {
    /// It stopped on a fault: a bus error, or an impossible count.
    pub fault: bool,
    /// Ring faults since the last reset.
    pub errors: u32,
    /// Events dropped since the last reset, as nobody took them.
    pub events_dropped: u32,
}

/// A function of this machine.
#[derive(Debug, Serialize)]
pub struct PciFacts {
    /// Its address.
    pub address: String,
    /// `vendor:device`, in hexadecimal.
    pub ids: String,
    /// Its driver.
    pub driver: Option<String>,
    /// Its IOMMU group.
    pub iommu_group: Option<u32>,
    /// The file by which VFIO opens it.
    pub file: Option<PathBuf>,
    /// The memory node it is near to.
    pub numa_node: Option<u32>,
}

/// Memory that this user may lock, which mapping it for a card does.
#[derive(Debug, Serialize)]
pub struct Memory {
    /// What a card needs at most.
    pub needed_bytes: u64,
    /// The limit (`RLIMIT_MEMLOCK`); none if there is no limit.
    pub limit_bytes: Option<u64>,
}

impl PciFacts {
    /// Those of a device specification that names a function of this machine.
    #[must_use]
    pub fn of(sysfs: &Sysfs, device: &str) -> Option<Self> {
        // What is wrong with the address is told when it is opened.
        let function = sysfs.function(device.strip_prefix("pci:")?).ok()?;
        let Function { address, vendor, device, driver, iommu_group, numa_node, .. } = function;
        Some(Self {
            address,
            ids: format!("{vendor:04x}:{device:04x}"),
            driver,
            iommu_group,
            file: iommu_group.map(|group| sysfs.group_file(group)),
            numa_node,
        })
    }
}

impl Memory {
    fn now() -> Self {
        Self { needed_bytes: DMA_BYTES_MAX, limit_bytes: getrlimit(Resource::Memlock).current }
    }
}

/// Asks the card.
///
/// # Errors
/// It does not answer.
pub fn info(mut card: Card, device: &str, pci: Option<PciFacts>) -> Result<CardInfo> {
    let mut read = || -> Result<_, penstock_device::DeviceError> {
        let status = registers::card_status(|offset| card.read_reg(offset))?;
        let ring = Ring {
            fault: card.status()?.ring_fault(),
            errors: card.read_reg(regs::RING_ERRORS)?,
            events_dropped: card.read_reg(regs::EVT_DROPPED)?,
        };
        Ok((status, ring))
    };
    let (card, ring) = read().with_context(|| format!("cannot read {device}"))?;
    Ok(CardInfo { device: device.to_owned(), card, ring, pci, memory: Memory::now() })
}

impl fmt::Display for CardInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = |f: &mut fmt::Formatter<'_>, label: &str, value: &str| {
            writeln!(f, "{label:<22}{value}")
        };
        line(f, "Card:", &self.device)?;
        write!(f, "{}", self.card)?;
        let state = if self.ring.fault { "stopped on a fault" } else { "runs" };
        let Ring { errors, events_dropped, .. } = self.ring;
        line(
            f,
            "  Command ring:",
            &format!("{state}, {errors} faults, {events_dropped} events dropped"),
        )?;
        if let Some(pci) = &self.pci {
            line(f, "PCI function:", &format!("{} ({})", pci.address, pci.ids))?;
            line(f, "  Driver:", pci.driver.as_deref().unwrap_or("none"))?;
            if let (Some(group), Some(file)) = (pci.iommu_group, &pci.file) {
                line(f, "  IOMMU group:", &format!("{group} ({})", file.display()))?;
            }
            let node = pci.numa_node.map_or_else(|| "the only one".to_owned(), |n| n.to_string());
            line(f, "  NUMA node:", &node)?;
        }
        line(f, "Memory:", &self.memory.to_string())
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let needed = self.needed_bytes / 1024;
        write!(f, "at most {needed} KiB mapped, no huge pages needed; ")?;
        match self.limit_bytes {
            None => write!(f, "this user may lock any amount"),
            Some(limit) if limit >= self.needed_bytes => {
                write!(f, "this user may lock {} KiB", limit / 1024)
            }
            Some(limit) => write!(
                f,
                "this user may lock only {} KiB: type `ulimit -l {needed}`, or LimitMEMLOCK={needed}K in the unit",
                limit / 1024
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_that_is_too_low_says_what_to_type() {
        let text = |limit_bytes| Memory { needed_bytes: 64 * 1024, limit_bytes }.to_string();
        assert!(text(None).ends_with("may lock any amount"));
        assert!(text(Some(8 << 20)).ends_with("may lock 8192 KiB"));
        assert!(text(Some(16 << 10)).contains("only 16 KiB: type `ulimit -l 64`"));
    }
}
