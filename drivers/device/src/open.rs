//! Functions by name.

use crate::error::DeviceError;
use crate::kernel::KernelVfio;
use crate::transport::PciTransport;
use crate::vfio_user::client::VfioUser;

/// Opens a function named as users name it: `vfio-user:PATH` or `pci:DDDD:BB:DD.F`.
///
/// # Errors
/// [`DeviceError::BadSpec`], [`DeviceError::Connect`], [`DeviceError::InUse`].
pub fn open(spec: &str) -> Result<Box<dyn PciTransport>, DeviceError> {
    match spec.split_once(':') {
        Some(("vfio-user", path)) if !path.is_empty() => {
            Ok(Box::new(VfioUser::connect(path.as_ref())?))
        }
        Some(("pci", bdf)) if !bdf.is_empty() => Ok(Box::new(KernelVfio::open(bdf)?)),
        _ => Err(DeviceError::BadSpec { spec: spec.to_owned() }),
    }
}
