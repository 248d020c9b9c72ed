//! The function's PCI configuration space: one 64 KiB BAR of registers, one BAR for the MSI-X table, PCI Express with
//! function-level reset. Extended space (from 256) reads as zeros.

use penstock_abi::regs::{BAR0_BYTES, IRQ_VECTORS, PCI_DEVICE_ID, PCI_VENDOR_ID};

/// Bytes of the space, extended part included.
pub(crate) const CONFIG_BYTES: u64 = 4096;
/// BAR that holds the MSI-X table and pending bits.
pub(crate) const MSIX_BAR: u32 = 2;
/// Bytes of that BAR.
pub(crate) const MSIX_BAR_BYTES: u64 = 4096;

const STANDARD_BYTES: usize = 256;
const COMMAND: usize = 0x04;
const STATUS_CAPABILITIES: u16 = 1 << 4;
const CLASS_ETHERNET: u32 = 0x02_0000;
const BAR0: usize = 0x10;
const BAR2: usize = 0x18;
const CAPABILITIES: usize = 0x34;
const EXPRESS: usize = 0x40;
const EXPRESS_DEVICE_CONTROL: usize = EXPRESS + 0x08;
const MSIX: usize = 0x80;
const MSIX_PENDING_OFFSET: u32 = 0x800;

/// What a function shows of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Vendor id.
    pub vendor: u16,
    /// Device id.
    pub device: u16,
    /// Bytes of BAR 0, a power of two.
    pub bar0_bytes: u32,
    /// MSI-X vectors; 0 = no MSI-X capability.
    pub msix_vectors: u32,
}

impl Default for Identity {
    fn default() -> Self {
        Self {
            vendor: PCI_VENDOR_ID,
            device: PCI_DEVICE_ID,
            bar0_bytes: BAR0_BYTES,
            msix_vectors: IRQ_VECTORS,
        }
    }
}

/// What a write asked for beyond changing bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Effects {
    /// Function-level reset.
    pub(crate) reset: bool,
}

/// The space's bytes, and which bits of them can be written.
#[derive(Debug)]
pub(crate) struct ConfigSpace {
    bytes: [u8; STANDARD_BYTES],
    writable: [u8; STANDARD_BYTES],
}

impl ConfigSpace {
    pub(crate) fn new(identity: &Identity) -> Self {
        let Identity { vendor, device, bar0_bytes, msix_vectors } = *identity;
        let mut c = Self { bytes: [0; STANDARD_BYTES], writable: [0; STANDARD_BYTES] };
        c.set16(0x00, vendor);
        c.set16(0x02, device);
        c.allow16(COMMAND, 0x0546); // memory, master, parity, SERR, INTx disable
        c.set16(0x06, STATUS_CAPABILITIES);
        c.set32(0x08, CLASS_ETHERNET << 8 | 1); // revision 1
        c.allow32(0x0c, 0xff); // cache line size
        c.allow32(BAR0, !(bar0_bytes - 1));
        c.allow32(BAR2, !(MSIX_BAR_BYTES as u32 - 1));
        c.set16(0x2c, vendor);
        c.set16(0x2e, device);
        c.set16(CAPABILITIES, EXPRESS as u16);
        c.allow32(0x3c, 0xff); // interrupt line
        // PCI Express endpoint, version 2.
        let next = if msix_vectors > 0 { MSIX as u32 } else { 0 };
        c.set32(EXPRESS, 0x10 | next << 8 | 0x0002 << 16);
        c.set32(EXPRESS + 0x04, 1 << 28 | 1 << 15 | 1); // function-level reset, role-based errors, payload 256
        c.allow16(EXPRESS_DEVICE_CONTROL, 0x7fff);
        c.set32(EXPRESS + 0x0c, 16 << 4 | 3); // link: x16, 8 GT/s
        c.set16(EXPRESS + 0x12, 16 << 4 | 3);
        c.allow16(EXPRESS + 0x10, 0x0fff);
        if msix_vectors > 0 {
            // MSI-X: vectors - 1; table and pending bits in BAR 2.
            c.set32(MSIX, 0x11 | (msix_vectors - 1) << 16);
            c.allow16(MSIX + 2, 0xc000);
            c.set32(MSIX + 4, MSIX_BAR);
            c.set32(MSIX + 8, MSIX_PENDING_OFFSET | MSIX_BAR);
        }
        c
    }

    fn set16(&mut self, at: usize, value: u16) {
        self.bytes[at..at + 2].copy_from_slice(&value.to_le_bytes());
    }

    fn set32(&mut self, at: usize, value: u32) {
        self.bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
    }

    fn allow16(&mut self, at: usize, mask: u16) {
        self.writable[at..at + 2].copy_from_slice(&mask.to_le_bytes());
    }

    fn allow32(&mut self, at: usize, mask: u32) {
        self.writable[at..at + 4].copy_from_slice(&mask.to_le_bytes());
    }

    pub(crate) fn read(&self, offset: u64, into: &mut [u8]) {
        for (i, byte) in into.iter_mut().enumerate() {
            let at = usize::try_from(offset).unwrap_or(usize::MAX).saturating_add(i);
            *byte = self.bytes.get(at).copied().unwrap_or(0);
        }
    }

    pub(crate) fn write(&mut self, offset: u64, data: &[u8]) -> Effects {
        let mut effects = Effects::default();
        for (i, byte) in data.iter().enumerate() {
            let at = usize::try_from(offset).unwrap_or(usize::MAX).saturating_add(i);
            let Some(mask) = self.writable.get(at) else { continue };
            self.bytes[at] = (self.bytes[at] & !mask) | (byte & mask);
            // Initiate Function Level Reset: bit 15 of Device Control, reads as 0.
            effects.reset |= at == EXPRESS_DEVICE_CONTROL + 1 && byte & 0x80 != 0;
        }
        effects
    }

    pub(crate) fn bus_master(&self) -> bool {
        self.bytes[COMMAND] & 0b100 != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read32(c: &ConfigSpace, at: u64) -> u32 {
        let mut word = [0; 4];
        c.read(at, &mut word);
        u32::from_le_bytes(word)
    }

    #[test]
    fn bars_show_their_size() {
        let mut c = ConfigSpace::new(&Identity::default());
        for (bar, bytes) in
            [(0x10, BAR0_BYTES), (0x14, 0), (0x18, MSIX_BAR_BYTES as u32), (0x30, 0)]
        {
            c.write(bar, &[0xff; 4]);
            assert_eq!(
                read32(&c, bar),
                if bytes == 0 { 0 } else { !(bytes - 1) },
                "BAR at {bar:#x}"
            );
        }
    }

    #[test]
    fn capabilities_form_a_list_with_reset_and_msix() {
        let c = ConfigSpace::new(&Identity::default());
        let (mut at, mut ids) = (u64::from(read32(&c, 0x34) & 0xff), Vec::new());
        while at != 0 {
            let word = read32(&c, at);
            ids.push(word as u8);
            at = u64::from(word >> 8 & 0xff);
        }
        assert_eq!(ids, [0x10, 0x11]);
        assert_eq!(read32(&c, 0x44) >> 28, 1);
        assert_eq!(read32(&c, 0x80) >> 16 & 0x7ff, IRQ_VECTORS - 1);
        assert_eq!(read32(&c, 256), 0);
        assert_eq!(read32(&c, u64::MAX), 0);
    }

    #[test]
    fn reset_is_an_effect_and_not_a_state() {
        let mut c = ConfigSpace::new(&Identity::default());
        assert!(!c.write(0x48, &[0xff, 0x7f]).reset);
        assert!(c.write(0x48, &[0, 0x80]).reset);
        assert_eq!(read32(&c, 0x48) & 0x8000, 0);
        assert!(!c.bus_master());
        c.write(4, &[6, 0]);
        assert!(c.bus_master());
        c.write(0, &[0; 4]);
        assert_eq!(read32(&c, 0), u32::from(PCI_DEVICE_ID) << 16 | u32::from(PCI_VENDOR_ID));
    }
}
