//! `card list`: the functions with Penstock's ids.

use std::fmt;

use penstock_abi::regs::{PCI_DEVICE_ID, PCI_VENDOR_ID};
use penstock_pci::{Function, PciError, Sysfs};
use serde::Serialize;

/// The cards of a machine.
#[derive(Debug, Serialize)]
pub struct Cards {
    /// One each, in the order of their addresses.
    pub cards: Vec<FoundCard>,
}

/// A card as PCI shows it.
#[derive(Debug, Serialize)]
pub struct FoundCard {
    /// Its address.
    pub address: String,
    /// Its driver.
    pub driver: Option<String>,
    /// Its IOMMU group.
    pub iommu_group: Option<u32>,
    /// The memory node it is near to.
    pub numa_node: Option<u32>,
    /// VFIO may open it, as this user.
    pub ready: bool,
    /// Why not, and what to type.
    pub why_not: Option<String>,
}

/// Looks for cards.
///
/// # Errors
/// sysfs cannot be read.
pub fn cards(sysfs: &Sysfs) -> Result<Cards, PciError> {
    let functions = sysfs.functions()?.into_iter().filter(is_card);
    Ok(Cards { cards: functions.map(|function| found(sysfs, function)).collect() })
}

/// Whether a function has a card's ids.
pub(crate) fn is_card(function: &Function) -> bool {
    function.has_ids(PCI_VENDOR_ID, PCI_DEVICE_ID)
}

/// A function and whether it is ready.
pub(crate) fn found(sysfs: &Sysfs, function: Function) -> FoundCard {
    let ready = sysfs.ready(&function);
    let Function { address, driver, iommu_group, numa_node, .. } = function;
    FoundCard {
        address,
        driver,
        iommu_group,
        numa_node,
        ready: ready.is_ok(),
        why_not: ready.err().map(|why| why.to_string()),
    }
}

impl fmt::Display for Cards {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.cards.is_empty() {
            return writeln!(
                f,
                "No PCI function has a card's ids ({PCI_VENDOR_ID:04x}:{PCI_DEVICE_ID:04x})."
            );
        }
        writeln!(f, "{:<14}{:<12}{:>5}  {:>4}  Ready", "Address", "Driver", "Group", "Node")?;
        let number = |n: Option<u32>| n.map_or_else(|| "-".to_owned(), |n| n.to_string());
        for card in &self.cards {
            writeln!(
                f,
                "{:<14}{:<12}{:>5}  {:>4}  {}",
                card.address,
                card.driver.as_deref().unwrap_or("-"),
                number(card.iommu_group),
                number(card.numa_node),
                if card.ready { "yes" } else { "no" },
            )?;
        }
        for why in self.cards.iter().filter_map(|card| card.why_not.as_ref()) {
            writeln!(f, "\n{why}")?;
        }
        Ok(())
    }
}
