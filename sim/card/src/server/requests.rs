//! Requests of an owner that are about memory and interrupts, and what he asks about the function.

use std::os::fd::{FromRawFd, IntoRawFd, OwnedFd};

use nix::errno::Errno;
use penstock_device::vfio_user::wire;
use vmm_sys_util::eventfd::EventFd;
use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::card::CardSim;
use crate::config::{CONFIG_BYTES, Identity, MSIX_BAR, MSIX_BAR_BYTES};
use crate::dma::Access;

/// A request's fixed part, and what follows it.
pub(super) fn parse<T: FromBytes + Immutable>(body: &[u8]) -> Result<(T, &[u8]), Errno> {
    T::read_from_prefix(body).map_err(|_| Errno::EINVAL)
}

pub(super) fn dma_map(
    body: &[u8],
    mut fds: Vec<OwnedFd>,
    card: &mut CardSim,
) -> Result<Vec<u8>, Errno> {
    let (map, _) = parse::<wire::DmaMap>(body)?;
    if fds.len() > 1 {
        return Err(Errno::EINVAL);
    }
    let access =
        Access { read: map.flags & wire::DMA_READ != 0, write: map.flags & wire::DMA_WRITE != 0 };
    card.dma().map_file(map.address, map.size, fds.pop(), map.offset, access).map_err(|error| {
        tracing::warn!(%error, "DMA map refused");
        Errno::EINVAL
    })?;
    Ok(Vec::new())
}

pub(super) fn dma_unmap(body: &[u8], card: &mut CardSim) -> Result<Vec<u8>, Errno> {
    let (unmap, _) = parse::<wire::DmaUnmap>(body)?;
    if unmap.flags & wire::DMA_UNMAP_ALL != 0 && unmap.size == 0 {
        card.dma().clear();
    } else {
        card.dma().unmap(unmap.address, unmap.size);
    }
    Ok(unmap.as_bytes().to_vec())
}

pub(super) fn device_info(body: &[u8]) -> Result<Vec<u8>, Errno> {
    let (_, _) = parse::<wire::DeviceInfo>(body)?;
    let info = wire::DeviceInfo {
        argsz: size_of::<wire::DeviceInfo>() as u32,
        flags: wire::DEVICE_RESETTABLE | wire::DEVICE_PCI,
        regions: wire::REGIONS,
        irqs: wire::IRQS,
    };
    Ok(info.as_bytes().to_vec())
}

pub(super) fn region_info(body: &[u8], identity: &Identity) -> Result<Vec<u8>, Errno> {
    let (query, _) = parse::<wire::RegionInfo>(body)?;
    let size = match query.index {
        wire::REGION_BAR0 => u64::from(identity.bar0_bytes),
        MSIX_BAR => MSIX_BAR_BYTES,
        wire::REGION_CONFIG => CONFIG_BYTES,
        index if index < wire::REGIONS => 0,
        _ => return Err(Errno::EINVAL),
    };
    let flags = if size > 0 { wire::REGION_READABLE | wire::REGION_WRITABLE } else { 0 };
    let argsz = size_of::<wire::RegionInfo>() as u32;
    let info =
        wire::RegionInfo { argsz, flags, index: query.index, cap_offset: 0, size, offset: 0 };
    Ok(info.as_bytes().to_vec())
}

pub(super) fn irq_info(body: &[u8], identity: &Identity) -> Result<Vec<u8>, Errno> {
    let (query, _) = parse::<wire::IrqInfo>(body)?;
    if query.index >= wire::IRQS {
        return Err(Errno::EINVAL);
    }
    let count = if query.index == wire::IRQ_MSIX { identity.msix_vectors } else { 0 };
    let argsz = size_of::<wire::IrqInfo>() as u32;
    let info = wire::IrqInfo { argsz, flags: wire::IRQ_EVENTFD, index: query.index, count };
    Ok(info.as_bytes().to_vec())
}

pub(super) fn set_irqs(
    body: &[u8],
    fds: Vec<OwnedFd>,
    card: &mut CardSim,
    identity: &Identity,
) -> Result<Vec<u8>, Errno> {
    let (set, _) = parse::<wire::SetIrqs>(body)?;
    let end = set.start.checked_add(set.count).ok_or(Errno::EINVAL)?;
    let vectors = if set.index == wire::IRQ_MSIX { identity.msix_vectors } else { 0 };
    if set.index >= wire::IRQS || end > vectors {
        return Err(Errno::EINVAL);
    }
    if set.flags & wire::SET_ACTION_TRIGGER == 0 {
        return Ok(Vec::new()); // masks: the client's own business, as it holds the event descriptors
    }
    let named = set.start as usize..end as usize;
    if set.flags & wire::SET_DATA_EVENTFD != 0 {
        if fds.len() > named.len() {
            return Err(Errno::EINVAL);
        }
        let mut fds = fds.into_iter();
        for vector in named {
            // SAFETY: the descriptor was received for this purpose and is owned by `fds` until here.
            let irq = fds.next().map(|fd| unsafe { EventFd::from_raw_fd(fd.into_raw_fd()) });
            card.set_irq(vector, irq);
        }
    } else if set.count == 0 {
        (0..vectors as usize).for_each(|vector| card.set_irq(vector, None));
    } else {
        named.for_each(|vector| card.trigger_irq(vector));
    }
    Ok(Vec::new())
}
