//! `card bind` and `card unbind`.

use std::fmt;
use std::path::PathBuf;

use anyhow::{Result, bail, ensure};
use penstock_abi::regs::{PCI_DEVICE_ID, PCI_VENDOR_ID};
use penstock_pci::{Function, Sysfs};
use serde::Serialize;

use super::list::is_card;

/// What became of a function.
#[derive(Debug, Serialize)]
pub struct Bound {
    /// Its address.
    pub address: String,
    /// Its driver now.
    pub driver: Option<String>,
    /// The file by which VFIO opens it.
    pub file: Option<PathBuf>,
    /// The Unix group that was given the file.
    pub group: Option<String>,
}

/// Says so plainly if this is not root.
///
/// # Errors
/// What to type instead.
pub fn need_root(what: &str) -> Result<()> {
    ensure!(
        rustix::process::geteuid().is_root(),
        "this needs root; type `sudo penstock card {what}`"
    );
    Ok(())
}

/// Gives a card to vfio-pci.
///
/// # Errors
/// Why not, and what to type.
pub fn bind(sysfs: &Sysfs, address: &str, group: Option<&str>) -> Result<Bound> {
    let function = card(sysfs, address)?;
    sysfs.bind(&function, group)?;
    let function = sysfs.function(&function.address)?;
    let file = function.iommu_group.map(|group| sysfs.group_file(group));
    Ok(Bound {
        address: function.address,
        driver: function.driver,
        file,
        group: group.map(str::to_owned),
    })
}

/// Takes a card from vfio-pci.
///
/// # Errors
/// Why not, and what to type.
pub fn unbind(sysfs: &Sysfs, address: &str) -> Result<Bound> {
    let function = card(sysfs, address)?;
    sysfs.unbind(&function)?;
    let Function { address, driver, .. } = sysfs.function(&function.address)?;
    Ok(Bound { address, driver, file: None, group: None })
}

/// Other functions are left alone: taking a disk's controller from its driver is easily typed and hard to undo.
fn card(sysfs: &Sysfs, address: &str) -> Result<Function> {
    let function = sysfs.function(address)?;
    if !is_card(&function) {
        let Function { address, vendor, device, .. } = function;
        bail!(
            "{address} is {vendor:04x}:{device:04x}, a card is {PCI_VENDOR_ID:04x}:{PCI_DEVICE_ID:04x}; `penstock card list` shows the cards"
        );
    }
    Ok(function)
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.driver {
            Some(driver) => write!(f, "{} is bound to {driver}", self.address)?,
            None => write!(f, "{} has no driver", self.address)?,
        }
        if let Some(file) = &self.file {
            write!(f, "; {} is for ", file.display())?;
            match &self.group {
                Some(group) => write!(f, "members of group {group}")?,
                None => write!(f, "those who may open it already (see `ls -l`)")?,
            }
        }
        writeln!(f)
    }
}
