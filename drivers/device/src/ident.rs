//! Whether a function is a card, and which: checked in one place for all transports, each mismatch an error of its own.

use penstock_abi::layout::Capability;
use penstock_abi::{fw, layout, regs};
use penstock_tables::Shape;

use crate::error::DeviceError;
use crate::transport::{FunctionInfo, PciTransport};

/// What a card says of itself, read when it is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ident {
    /// Layout version: major in 31..16, minor in 15..0.
    pub layout_version: u32,
    /// Layout hash.
    pub layout_hash: u64,
    /// Additions to the layout's major version that the card has, a bit each.
    pub capabilities: u32,
    /// How large its tables are.
    pub shape: Shape,
    /// Nominal core clock in kHz.
    pub clock_khz: u32,
    /// Cause of the last reset: `regs::RESET_POWER_ON` or `regs::RESET_FLR`.
    pub reset_cause: u32,
    /// Function-level resets since power-on.
    pub flr_count: u32,
    /// The mark that a host left: epoch of the last complete reconcile.
    pub epoch: u32,
    /// Firmware version: major in 31..16, minor in 15..0; 0 while it has not started.
    pub firmware_version: u32,
    /// Firmware status, see `penstock_abi::fw::STATUS_*`.
    pub firmware_status: u32,
}

impl Ident {
    /// Whether the card has this addition to the layout's major version.
    #[must_use]
    pub const fn has(&self, capability: Capability) -> bool {
        self.capabilities & capability.mask() != 0
    }
}

/// Additions to the layout's major version without which this host cannot work, as bits of `regs::CAPABILITIES`: none.
const NEEDED_CAPABILITIES: u32 = 0;

/// A bit that this host does not know, or does not need, means nothing.
fn check_capabilities(card: u32, needed: u32) -> Result<(), DeviceError> {
    let missing = needed & !card;
    if missing == 0 { Ok(()) } else { Err(DeviceError::MissingCapability { card, missing }) }
}

/// What PCI says of the function comes first: another device's registers are not even read.
fn check_function(transport: &mut dyn PciTransport) -> Result<(), DeviceError> {
    let FunctionInfo { vendor, device, bar0_bytes, msix_vectors } = transport.function()?;
    if (vendor, device) != (regs::PCI_VENDOR_ID, regs::PCI_DEVICE_ID) {
        return Err(DeviceError::WrongVendor { vendor, device });
    }
    let needed = u64::from(regs::BAR0_BYTES);
    if bar0_bytes < needed {
        return Err(DeviceError::BarTooSmall { bytes: bar0_bytes, needed });
    }
    let needed = regs::IRQ_VECTORS;
    if msix_vectors < needed {
        return Err(DeviceError::MissingMsix { vectors: msix_vectors, needed });
    }
    Ok(())
}

/// Makes sure that the function is a card that this host understands.
pub(crate) fn identify(transport: &mut dyn PciTransport) -> Result<Ident, DeviceError> {
    check_function(transport)?;
    let magic = transport.read32(regs::MAGIC)?;
    if magic == u32::MAX {
        return Err(DeviceError::gone(format!("{} reads as all ones", transport.describe())));
    }
    if magic != regs::MAGIC_VALUE {
        return Err(DeviceError::NotACard { magic });
    }
    let layout_version = transport.read32(regs::LAYOUT_VERSION)?;
    if layout_version >> 16 != layout::VERSION >> 16 {
        return Err(DeviceError::VersionMismatch { card: layout_version, host: layout::VERSION });
    }
    let layout_hash = u64::from(transport.read32(regs::LAYOUT_HASH_LO)?)
        | u64::from(transport.read32(regs::LAYOUT_HASH_HI)?) << 32;
    if layout_hash != layout::hash() {
        return Err(DeviceError::LayoutMismatch { card: layout_hash, host: layout::hash() });
    }
    let capabilities = transport.read32(regs::CAPABILITIES)?;
    check_capabilities(capabilities, NEEDED_CAPABILITIES)?;
    let shape = Shape::read(|offset| transport.read32(offset))?.map_err(DeviceError::Shape)?;
    // 0: the firmware has not started, which keeps nobody from managing the tables.
    let firmware_version = transport.read32(regs::FW_VERSION)?;
    if firmware_version != 0 && firmware_version >> 16 != fw::VERSION >> 16 {
        return Err(DeviceError::FirmwareMismatch { card: firmware_version, host: fw::VERSION });
    }
    Ok(Ident {
        layout_version,
        layout_hash,
        capabilities,
        shape,
        clock_khz: transport.read32(regs::CLOCK_KHZ)?,
        reset_cause: transport.read32(regs::RESET_CAUSE)?,
        flr_count: transport.read32(regs::FLR_COUNT)?,
        epoch: transport.read32(regs::EPOCH)?,
        firmware_version,
        firmware_status: transport.read32(regs::FW_STATUS)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_capabilities_that_are_needed_must_be_there() {
        assert!(check_capabilities(0, 0).is_ok());
        assert!(check_capabilities(0xffff_0001, 0).is_ok());
        assert!(check_capabilities(0xffff_0001, 1).is_ok());
        let error = check_capabilities(0b0101, 0b0110);
        assert!(
            matches!(error, Err(DeviceError::MissingCapability { card: 0b0101, missing: 0b0010 })),
            "{error:?}"
        );
    }
}
