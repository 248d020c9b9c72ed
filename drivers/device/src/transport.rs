//! The one interface between the driver and a PCI function.

use std::time::Duration;

use vmm_sys_util::eventfd::EventFd;

use crate::dma::DmaBuffer;
use crate::error::DeviceError;
use crate::held::HeldFds;

/// A region of a function that can be read and written as such.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Region {
    /// BAR 0: whole aligned 32-bit registers only.
    Bar0,
    /// Configuration space: 1, 2 or 4 bytes, aligned.
    Config,
}

/// What a function is as PCI sees it, before any register is looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FunctionInfo {
    /// Vendor id, read from configuration space.
    pub vendor: u16,
    /// Device id, read from configuration space.
    pub device: u16,
    /// Bytes of BAR 0; 0 = there is none.
    pub bar0_bytes: u64,
    /// MSI-X vectors; 0 = the function has no MSI-X.
    pub msix_vectors: u32,
}

/// One PCI function of which this process is the only owner. BAR 0 is 32-bit registers; offsets are in bytes.
///
/// Opening a function changes nothing in it but its reset; it may master the bus only once [`crate::Card::attach`] has found that
/// it is a card. Each call returns within seconds. A function that is gone is reported as [`DeviceError::DeviceGone`] where the
/// transport can tell, and otherwise reads as all ones; [`crate::Card`] tells the two meanings of all ones apart.
pub trait PciTransport: Send {
    /// What the function is.
    ///
    /// # Errors
    /// As [`PciTransport::read32`].
    fn function(&mut self) -> Result<FunctionInfo, DeviceError>;

    /// Reads a register of BAR 0, by the mapping if there is one.
    ///
    /// # Errors
    /// [`DeviceError::DeviceGone`], or what the transport met.
    fn read32(&mut self, offset: u32) -> Result<u32, DeviceError>;

    /// Writes a register of BAR 0, by the mapping if there is one.
    ///
    /// # Errors
    /// As [`PciTransport::read32`].
    fn write32(&mut self, offset: u32, value: u32) -> Result<(), DeviceError>;

    /// Whether [`PciTransport::read32`] and [`PciTransport::write32`] go through a mapping of BAR 0 rather than through the region.
    fn maps_bar0(&self) -> bool {
        false
    }

    /// Reads a region, never by a mapping.
    ///
    /// # Errors
    /// As [`PciTransport::read32`].
    fn read_region(
        &mut self,
        region: Region,
        offset: u64,
        into: &mut [u8],
    ) -> Result<(), DeviceError>;

    /// Writes a region, never by a mapping.
    ///
    /// # Errors
    /// As [`PciTransport::read32`].
    fn write_region(&mut self, region: Region, offset: u64, data: &[u8])
    -> Result<(), DeviceError>;

    /// Memory that the card reaches by bus address, at least `bytes` long, page aligned, all zeros.
    ///
    /// # Errors
    /// No memory, or the mapping was refused.
    fn dma_alloc(&mut self, bytes: usize) -> Result<DmaBuffer, DeviceError>;

    /// Takes memory away from the card: its bus address faults from now on. Copies of the buffer keep the memory itself.
    ///
    /// # Errors
    /// The unmapping was refused.
    fn dma_free(&mut self, buffer: DmaBuffer) -> Result<(), DeviceError>;

    /// Connects MSI-X vectors 0..`vectors` to event descriptors, replacing those of an earlier call.
    ///
    /// # Errors
    /// The function has fewer vectors, or refused.
    fn arm_irqs(&mut self, vectors: u32) -> Result<Vec<EventFd>, DeviceError>;

    /// Disconnects one vector that [`PciTransport::arm_irqs`] has connected, or connects it to the same descriptor again.
    /// Whether an interrupt that came meanwhile is delivered afterwards is the platform's choice.
    ///
    /// # Errors
    /// The function refused.
    fn mask_irq(&mut self, vector: u32, masked: bool) -> Result<(), DeviceError>;

    /// Waits until interrupt `vector` was raised since the last wait, or `timeout` passed; which of them is not said,
    /// as a caller must look at memory in any case. A simulated card within this process works meanwhile.
    ///
    /// # Errors
    /// [`DeviceError::DeviceGone`] as soon as it is known.
    fn wait_irq(&mut self, vector: u32, timeout: Duration) -> Result<(), DeviceError>;

    /// Function-level reset. Tables stay; the ring, the interrupts and bus mastering do not.
    ///
    /// # Errors
    /// The function cannot be reset or refused.
    fn reset(&mut self) -> Result<(), DeviceError>;

    /// Copies of the descriptors by which a holder keeps the function from being reset when this process ends; `None` where
    /// the transport has none.
    fn held_fds(&self) -> Option<HeldFds> {
        None
    }

    /// Where the function is, for people.
    fn describe(&self) -> String;
}

/// Offset of the command register in configuration space.
pub(crate) const PCI_COMMAND: u64 = 4;
/// Memory space and bus master in the command register.
const PCI_COMMAND_MEMORY: u16 = 1 << 1;
const PCI_COMMAND_MASTER: u16 = 1 << 2;

/// Lets a function master the bus, or not. Its registers can be accessed either way.
///
/// # Errors
/// The transport's.
pub(crate) fn set_bus_master(
    transport: &mut dyn PciTransport,
    enabled: bool,
) -> Result<(), DeviceError> {
    let mut bits = [0; 2];
    transport.read_region(Region::Config, PCI_COMMAND, &mut bits)?;
    let mut command = u16::from_le_bytes(bits) | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;
    if !enabled {
        command &= !PCI_COMMAND_MASTER;
    }
    transport.write_region(Region::Config, PCI_COMMAND, &command.to_le_bytes())
}

/// Vendor and device id from configuration space.
///
/// # Errors
/// The transport's; [`DeviceError::DeviceGone`] when they read as all ones.
pub(crate) fn read_ids(transport: &mut dyn PciTransport) -> Result<(u16, u16), DeviceError> {
    let mut ids = [0; 4];
    transport.read_region(Region::Config, 0, &mut ids)?;
    if ids == [0xff; 4] {
        let how = format!("the configuration space of {} reads as all ones", transport.describe());
        return Err(DeviceError::gone(how));
    }
    let [v0, v1, d0, d1] = ids;
    Ok((u16::from_le_bytes([v0, v1]), u16::from_le_bytes([d0, d1])))
}
