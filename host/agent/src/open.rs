//! Opening a card: as the last daemon left it, if its descriptors were kept, and anew otherwise.

use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};

use penstock_device::{DeviceError, HeldFds, KernelVfio};
use tracing::{info, warn};

use crate::device::Opener;
use crate::error::chain;
use crate::keep::{Keeper, ServiceManager, tell_failure};

/// How to reach the device `spec`, and who keeps it. Takes from `inherited`, what the service manager handed this process,
/// what is of this device.
///
/// The first attempt to open a function of the kernel's VFIO adopts it if its descriptors were kept, and opens it anew if
/// that fails.
#[must_use]
pub fn opener(spec: &str, inherited: &mut Vec<(String, OwnedFd)>) -> (Opener, Arc<dyn Keeper>) {
    let bdf = spec.strip_prefix("pci:").unwrap_or_default().to_owned();
    let held = HeldFds::pick(&bdf, inherited);
    let names = if held.is_some() { HeldFds::names(&bdf).to_vec() } else { Vec::new() };
    let keeper: Arc<dyn Keeper> = Arc::new(ServiceManager::new(bdf.clone(), names));
    let spec = spec.to_owned();
    let (held, shared) = (Mutex::new(held), Arc::clone(&keeper));
    let opener: Opener = Arc::new(move || {
        let held = held.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(held) = held {
            match KernelVfio::adopt(&bdf, held) {
                Ok(function) => {
                    info!("{spec} adopted as the last daemon left it, without a reset");
                    return Ok(Box::new(function));
                }
                Err(error) => give_up_adopting(&spec, &error, shared.as_ref()),
            }
        }
        penstock_device::open(&spec)
    });
    (opener, keeper)
}

fn give_up_adopting(spec: &str, error: &DeviceError, keeper: &dyn Keeper) {
    let why = chain(error);
    warn!("{spec} cannot be adopted as the last daemon left it, opening it anew: {why}");
    tell_failure(keeper.forget());
}

/// Closes what is left of `inherited` when every device has taken its own, here and with the service manager.
pub fn give_back(inherited: Vec<(String, OwnedFd)>) {
    if inherited.is_empty() {
        return;
    }
    let names: Vec<_> = inherited.into_iter().map(|(name, _)| name).collect();
    warn!(?names, "the service manager kept descriptors that are not of the cards given; closed");
    tell_failure(ServiceManager::new(String::new(), names).forget());
}
