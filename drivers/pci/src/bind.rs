//! Giving a function to vfio-pci and back to its usual driver. Both need root, and both may be repeated.
//!
//! The kernel's own way: `driver_override` names the one driver that may have the function, `unbind` takes it from its
//! present driver, `drivers_probe` offers it to the drivers anew. vfio-pci then makes `/dev/vfio/GROUP`.

use std::fs::{File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::unistd::{Gid, Group, chown};

use crate::error::{NotReady, PciError};
use crate::sysfs::{Function, Sysfs};

/// Name of the kernel's driver that gives functions to processes.
pub(crate) const VFIO_PCI: &str = "vfio-pci";
/// How long the group's file may take to appear; the kernel makes it before it answers, udev may follow.
const FILE_TIMEOUT: Duration = Duration::from_secs(2);

impl Sysfs {
    /// Gives the function to vfio-pci, and its group's file to the Unix group `group` with mode 0660, if one is named.
    /// What is so already stays so. A function that the kernel does not give is put back.
    ///
    /// # Errors
    /// [`PciError::NotReady`] without an IOMMU, [`PciError::NoVfioPci`], [`PciError::NoSuchGroup`] before anything is
    /// changed; [`PciError::BindFailed`], [`PciError::Io`].
    pub fn bind(&self, function: &Function, group: Option<&str>) -> Result<(), PciError> {
        let iommu_group = self.group(function)?;
        let owner = group.map(gid).transpose()?;
        if !self.pci().join("drivers").join(VFIO_PCI).exists() {
            return Err(PciError::NoVfioPci);
        }
        if function.driver.as_deref() != Some(VFIO_PCI) {
            self.take(function)?;
        }
        let path = self.group_file(iommu_group);
        wait_for(&path)?;
        owner.map_or(Ok(()), |gid| hand_over(&path, gid))
    }

    /// Takes the function from vfio-pci and offers it to its usual driver, if it has one.
    ///
    /// # Errors
    /// [`PciError::InUse`] while a process has it open, [`PciError::Io`].
    pub fn unbind(&self, function: &Function) -> Result<(), PciError> {
        let bound = function.driver.as_deref() == Some(VFIO_PCI);
        if bound && let Some(group) = function.iommu_group {
            // The kernel would wait for that process without end.
            refuse_if_open(&self.group_file(group))?;
        }
        self.set_override(function, None)?;
        if bound {
            self.release(function)?;
            self.probe(function)?;
        }
        Ok(())
    }

    fn take(&self, function: &Function) -> Result<(), PciError> {
        self.set_override(function, Some(VFIO_PCI))?;
        let asked = match function.driver {
            Some(_) => self.release(function),
            None => Ok(()),
        }
        .and_then(|()| self.probe(function));
        let driver = self.function(&function.address)?.driver;
        if driver.as_deref() == Some(VFIO_PCI) {
            return Ok(());
        }
        // Back to what it was, as far as the kernel lets us; the first failure is the one to tell.
        let _ = self.set_override(function, None).and_then(|()| self.probe(function));
        let source = match asked {
            Err(PciError::Io { source, .. }) => Some(source),
            _ => None,
        };
        Err(PciError::BindFailed { address: function.address.clone(), driver, source })
    }

    fn set_override(&self, function: &Function, driver: Option<&str>) -> Result<(), PciError> {
        let path = self.device_dir(&function.address).join("driver_override");
        self.write(&path, &format!("{}\n", driver.unwrap_or_default()))
    }

    fn release(&self, function: &Function) -> Result<(), PciError> {
        let path = self.device_dir(&function.address).join("driver/unbind");
        self.write(&path, &function.address)
    }

    fn probe(&self, function: &Function) -> Result<(), PciError> {
        self.write(&self.pci().join("drivers_probe"), &function.address)
    }
}

fn gid(name: &str) -> Result<Gid, PciError> {
    match Group::from_name(name) {
        Ok(Some(group)) => Ok(group.gid),
        _ => Err(PciError::NoSuchGroup { name: name.to_owned() }),
    }
}

fn wait_for(path: &Path) -> Result<(), PciError> {
    let deadline = Instant::now() + FILE_TIMEOUT;
    while !path.exists() {
        if Instant::now() > deadline {
            return Err(NotReady::NoGroupFile { path: path.to_owned() }.into());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

fn hand_over(path: &Path, gid: Gid) -> Result<(), PciError> {
    chown(path, None, Some(gid)).map_err(|errno| PciError::io("give a group", path, errno))?;
    std::fs::set_permissions(path, Permissions::from_mode(0o660))
        .map_err(|source| PciError::io("set the mode of", path, source))
}

/// A group's file can be open only once. Opening it does nothing to the function.
fn refuse_if_open(path: &Path) -> Result<(), PciError> {
    let opened: io::Result<File> = OpenOptions::new().read(true).write(true).open(path);
    match opened {
        Err(error) if error.raw_os_error() == Some(Errno::EBUSY as i32) => {
            Err(PciError::InUse { path: path.to_owned() })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use nix::unistd::getgid;

    use super::*;
    use crate::fake::{CARD, FakeMachine};

    fn machine(dir: &Path) -> FakeMachine {
        let machine = FakeMachine::new(dir);
        machine.add(CARD, 0x1e55_5053, 0x02_0000, Some("nic"));
        machine.put_in_group(CARD, 3);
        machine
    }

    #[test]
    fn a_function_goes_to_vfio_and_back_and_each_may_be_repeated() {
        let dir = tempfile::tempdir().unwrap();
        let machine = machine(dir.path());
        let sysfs = machine.sysfs();
        let own = Group::from_gid(getgid()).unwrap().unwrap().name;
        for _ in 0..2 {
            sysfs.bind(&sysfs.function(CARD).unwrap(), Some(&own)).unwrap();
            let function = sysfs.function(CARD).unwrap();
            assert_eq!(function.driver.as_deref(), Some("vfio-pci"));
            assert_eq!(sysfs.ready(&function), Ok(()));
            let meta = sysfs.group_file(3).metadata().unwrap();
            assert_eq!((meta.mode() & 0o777, meta.gid()), (0o660, getgid().as_raw()));
        }
        for _ in 0..2 {
            sysfs.unbind(&sysfs.function(CARD).unwrap()).unwrap();
            assert_eq!(sysfs.function(CARD).unwrap().driver.as_deref(), Some("nic"));
            assert_eq!(machine.driver_override(CARD), "");
        }
    }

    #[test]
    fn without_a_group_the_file_stays_as_the_kernel_made_it() {
        let dir = tempfile::tempdir().unwrap();
        let machine = machine(dir.path());
        let sysfs = machine.sysfs();
        sysfs.bind(&sysfs.function(CARD).unwrap(), None).unwrap();
        assert_eq!(sysfs.group_file(3).metadata().unwrap().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_refusal_puts_the_function_back() {
        let dir = tempfile::tempdir().unwrap();
        let machine = machine(dir.path());
        machine.refuse_vfio();
        let sysfs = machine.sysfs();
        let error = sysfs.bind(&sysfs.function(CARD).unwrap(), None).unwrap_err();
        assert!(
            matches!(&error, PciError::BindFailed { driver: None, source: Some(_), .. }),
            "{error:?}"
        );
        assert_eq!(sysfs.function(CARD).unwrap().driver.as_deref(), Some("nic"));
        assert_eq!(machine.driver_override(CARD), "");
    }

    #[test]
    fn what_is_missing_is_told_before_anything_is_changed() {
        let dir = tempfile::tempdir().unwrap();
        let machine = FakeMachine::new(dir.path());
        machine.add(CARD, 0x1e55_5053, 0x02_0000, Some("nic"));
        let sysfs = machine.sysfs();
        let bind = |group| sysfs.bind(&sysfs.function(CARD).unwrap(), group).unwrap_err();
        assert!(matches!(bind(None), PciError::NotReady(NotReady::NoIommu { .. })));
        machine.put_in_group(CARD, 3);
        let error = bind(Some("no-such-group"));
        assert_eq!(
            error.to_string(),
            "there is no group `no-such-group`; type `sudo groupadd --system no-such-group`"
        );
        machine.unload_vfio();
        assert_eq!(
            bind(None).to_string(),
            "the kernel's driver vfio-pci is not loaded; type `sudo modprobe vfio-pci`"
        );
        assert_eq!(sysfs.function(CARD).unwrap().driver.as_deref(), Some("nic"));
        assert_eq!(machine.driver_override(CARD), "");
    }
}
