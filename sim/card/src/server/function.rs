//! The PCI function behind the socket: configuration space, registers and MSI-X table, and whether it is on the bus at all.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::errno::Errno;
use penstock_abi::regs::BAR0_BYTES;
use penstock_device::vfio_user::wire;
use zerocopy::IntoBytes;

use super::requests::parse;
use crate::card::CardSim;
use crate::config::{ConfigSpace, Identity, MSIX_BAR, MSIX_BAR_BYTES};

/// Takes the function off the bus, from another thread: what it reads as is all ones, what is written to it has no effect, and
/// its DMA stops; the connection stays. That is what a host sees of a card that is pulled out or whose link is down.
#[derive(Clone, Debug)]
pub struct Removal(Arc<AtomicBool>);

impl Removal {
    /// Takes it off.
    pub fn remove(&self) {
        self.0.store(true, Ordering::Release);
    }
}

/// The function as its owner sees it.
pub(super) struct Function {
    pub(super) identity: Identity,
    config: ConfigSpace,
    msix: Vec<u8>,
    /// Region accesses that could not be done.
    pub(super) refused_accesses: u64,
    removed: Arc<AtomicBool>,
}

impl Function {
    pub(super) fn new(identity: Identity) -> Self {
        Self {
            config: ConfigSpace::new(&identity),
            identity,
            msix: vec![0; MSIX_BAR_BYTES as usize],
            refused_accesses: 0,
            removed: Arc::default(),
        }
    }

    /// The means to take it off the bus.
    pub(super) fn removal(&self) -> Removal {
        Removal(Arc::clone(&self.removed))
    }

    /// It is off the bus.
    pub(super) fn is_removed(&self) -> bool {
        self.removed.load(Ordering::Acquire)
    }

    /// Nobody has configured it: the card may not master the bus.
    pub(super) fn forget_configuration(&mut self, card: &mut CardSim) {
        self.config = ConfigSpace::new(&self.identity);
        card.set_bus_master(false);
    }

    /// Function-level reset.
    pub(super) fn reset(&mut self, card: &mut CardSim) {
        tracing::debug!("function-level reset");
        self.forget_configuration(card);
        card.function_reset();
    }

    /// What the owner reads of a region.
    pub(super) fn read(&mut self, body: &[u8], card: &mut CardSim) -> Result<Vec<u8>, Errno> {
        let (access, _) = parse::<wire::RegionAccess>(body)?;
        let count = access.count as usize;
        if count > wire::DATA_MAX_BYTES {
            return Err(Errno::EINVAL);
        }
        let mut reply = access.as_bytes().to_vec();
        let start = reply.len();
        reply.resize(start + count, 0xff);
        let data = &mut reply[start..];
        let offset = access.offset;
        let refused = match access.region {
            _ if self.is_removed() => true,
            wire::REGION_CONFIG => {
                self.config.read(offset, data);
                false
            }
            wire::REGION_BAR0 => !read_registers(card, offset, data),
            MSIX_BAR => match usize::try_from(offset)
                .ok()
                .and_then(|at| self.msix.get(at..at.checked_add(count)?))
            {
                Some(bytes) => {
                    data.copy_from_slice(bytes);
                    false
                }
                None => true,
            },
            _ => true,
        };
        self.count_refused(refused, "read", &access);
        Ok(reply)
    }

    /// Does what the owner writes to a region.
    pub(super) fn write(&mut self, body: &[u8], card: &mut CardSim) -> Result<Vec<u8>, Errno> {
        let (access, data) = parse::<wire::RegionAccess>(body)?;
        if data.len() != access.count as usize {
            return Err(Errno::EINVAL);
        }
        let offset = access.offset;
        let refused = match access.region {
            _ if self.is_removed() => true,
            wire::REGION_CONFIG => {
                let effects = self.config.write(offset, data);
                if effects.reset {
                    self.reset(card);
                }
                card.set_bus_master(self.config.bus_master());
                false
            }
            wire::REGION_BAR0 => !write_registers(card, offset, data),
            MSIX_BAR => {
                let range = usize::try_from(offset)
                    .ok()
                    .and_then(|at| Some(at..at.checked_add(data.len())?));
                match range.and_then(|range| self.msix.get_mut(range)) {
                    Some(bytes) => {
                        bytes.copy_from_slice(data);
                        false
                    }
                    None => true,
                }
            }
            _ => true,
        };
        self.count_refused(refused, "write", &access);
        Ok(access.as_bytes().to_vec())
    }

    fn count_refused(&mut self, refused: bool, what: &str, access: &wire::RegionAccess) {
        if refused {
            self.refused_accesses += 1;
            tracing::debug!(
                region = access.region,
                offset = access.offset,
                count = access.count,
                "{what} has no effect"
            );
        }
    }
}

/// Whole aligned registers; says whether the access was one.
fn read_registers(card: &mut CardSim, offset: u64, data: &mut [u8]) -> bool {
    let Some(offset) = registers(offset, data.len()) else { return false };
    for (i, word) in data.chunks_exact_mut(4).enumerate() {
        match card.read_reg(offset + 4 * i as u32) {
            Ok(value) => word.copy_from_slice(&value.to_le_bytes()),
            Err(error) => {
                tracing::error!(%error, "register read failed");
                return false;
            }
        }
    }
    true
}

/// Whole aligned registers; says whether the access was one.
fn write_registers(card: &mut CardSim, offset: u64, data: &[u8]) -> bool {
    let Some(offset) = registers(offset, data.len()) else { return false };
    for (i, word) in data.chunks_exact(4).enumerate() {
        let value = u32::from_le_bytes([word[0], word[1], word[2], word[3]]);
        if let Err(error) = card.write_reg(offset + 4 * i as u32, value) {
            tracing::error!(%error, "register write failed");
            return false;
        }
    }
    true
}

fn registers(offset: u64, bytes: usize) -> Option<u32> {
    let end = offset.checked_add(bytes as u64)?;
    let whole = offset.is_multiple_of(4) && bytes.is_multiple_of(4) && end <= u64::from(BAR0_BYTES);
    u32::try_from(offset).ok().filter(|_| whole)
}
