//! A made-up machine in a directory: files as sysfs has them, and a kernel that binds and unbinds as they are written.
//!
//! Each function has one usual driver, that with which it was added; `drivers_probe` gives it to the driver that
//! `driver_override` names or else to that one. Giving it to vfio-pci makes its group's file, mode 0600.
#![allow(clippy::unwrap_used, clippy::missing_panics_doc)]

use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::sysfs::Sysfs;

/// An address for a card.
pub const CARD: &str = "0000:3b:00.0";

/// The machine. Anything that goes wrong with its files is a panic.
#[derive(Clone, Debug)]
pub struct FakeMachine {
    root: PathBuf,
}

impl FakeMachine {
    /// A machine in the empty directory `root`: vfio-pci is loaded, nothing is plugged in.
    #[must_use]
    pub fn new(root: &Path) -> Self {
        let machine = Self { root: root.to_owned() };
        fs::create_dir_all(machine.pci().join("devices")).unwrap();
        fs::write(machine.pci().join("drivers_probe"), "").unwrap();
        machine.driver("vfio-pci");
        fs::create_dir_all(root.join("dev/vfio")).unwrap();
        fs::write(root.join("dev/vfio/vfio"), "").unwrap();
        machine
    }

    /// The machine as the functions of this crate see it.
    #[must_use]
    pub fn sysfs(&self) -> Sysfs {
        let machine = self.clone();
        Sysfs::at(self.root.join("sys"), self.root.join("dev"))
            .played_by(Arc::new(move |path, value| machine.react(path, value.trim())))
    }

    /// Plugs in a function: vendor id in the upper half of `ids`, device id in the lower.
    pub fn add(&self, address: &str, ids: u32, class: u32, driver: Option<&str>) {
        let at = self.function(address);
        fs::create_dir_all(&at).unwrap();
        for (file, text) in [
            ("vendor", format!("{:#06x}\n", ids >> 16)),
            ("device", format!("{:#06x}\n", ids & 0xffff)),
            ("class", format!("{class:#08x}\n")),
            ("numa_node", "-1\n".to_owned()),
            ("driver_override", String::new()),
            ("usual_driver", driver.unwrap_or_default().to_owned()),
        ] {
            fs::write(at.join(file), text).unwrap();
        }
        self.set_driver(address, driver);
    }

    /// Puts a function into an IOMMU group.
    pub fn put_in_group(&self, address: &str, group: u32) {
        let group = self.root.join(format!("sys/kernel/iommu_groups/{group}"));
        fs::create_dir_all(group.join("devices")).unwrap();
        symlink(self.function(address), group.join("devices").join(address)).unwrap();
        symlink(&group, self.function(address).join("iommu_group")).unwrap();
    }

    /// Sets the memory node that a function is near to.
    pub fn set_numa_node(&self, address: &str, node: u32) {
        fs::write(self.function(address).join("numa_node"), format!("{node}\n")).unwrap();
    }

    /// Gives a function to a driver, or to none.
    pub fn set_driver(&self, address: &str, driver: Option<&str>) {
        let link = self.function(address).join("driver");
        let _ = fs::remove_file(&link);
        let group = fs::read_link(self.function(address).join("iommu_group")).ok();
        let file = group.map(|group| self.root.join("dev/vfio").join(group.file_name().unwrap()));
        if let Some(driver) = driver {
            symlink(self.driver(driver), link).unwrap();
        }
        match (driver, file) {
            (Some("vfio-pci"), Some(file)) if !file.exists() => {
                fs::write(&file, "").unwrap();
                fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
            }
            _ => {}
        }
    }

    /// What stands in `driver_override`.
    #[must_use]
    pub fn driver_override(&self, address: &str) -> String {
        let path = self.function(address).join("driver_override");
        fs::read_to_string(path).unwrap().trim().to_owned()
    }

    /// vfio-pci refuses every function from now on, as it does without an IOMMU.
    pub fn refuse_vfio(&self) {
        fs::write(self.root.join("refuse"), "").unwrap();
    }

    /// The kernel has no vfio-pci any more.
    pub fn unload_vfio(&self) {
        fs::remove_dir_all(self.pci().join("drivers/vfio-pci")).unwrap();
    }

    fn pci(&self) -> PathBuf {
        self.root.join("sys/bus/pci")
    }

    fn function(&self, address: &str) -> PathBuf {
        self.pci().join("devices").join(address)
    }

    fn driver(&self, name: &str) -> PathBuf {
        let at = self.pci().join("drivers").join(name);
        fs::create_dir_all(&at).unwrap();
        fs::write(at.join("unbind"), "").unwrap();
        at
    }

    /// What a kernel does once `value` was written to `path`.
    fn react(&self, path: &Path, value: &str) -> io::Result<()> {
        match path.file_name().and_then(|name| name.to_str()) {
            // A plain file keeps what a shorter value does not cover.
            Some("driver_override") => fs::write(path, value),
            Some("unbind") => {
                self.set_driver(value, None);
                Ok(())
            }
            Some("drivers_probe") if !self.function(value).join("driver").exists() => {
                let wanted = self.driver_override(value);
                let usual = fs::read_to_string(self.function(value).join("usual_driver"))?;
                let driver = if wanted.is_empty() { usual } else { wanted };
                if driver == "vfio-pci" && self.root.join("refuse").exists() {
                    return Err(io::Error::from_raw_os_error(nix::errno::Errno::EINVAL as i32));
                }
                self.set_driver(value, Some(driver.as_str()).filter(|name| !name.is_empty()));
                Ok(())
            }
            _ => Ok(()),
        }
    }
}
