//! Whether VFIO may open a function.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use nix::unistd::{AccessFlags, Gid, Group, eaccess};

use crate::bind::VFIO_PCI;
use crate::error::NotReady;
use crate::sysfs::{Function, Sysfs};

/// Drivers that a function may keep while another of its group is given to VFIO.
const HARMLESS: [&str; 2] = [VFIO_PCI, "pci-stub"];

impl Sysfs {
    /// Whether VFIO may open the function, as this user: the first thing in the way is told.
    ///
    /// # Errors
    /// [`NotReady`].
    pub fn ready(&self, function: &Function) -> Result<(), NotReady> {
        let address = &function.address;
        let group = self.group(function)?;
        if function.driver.as_deref() != Some(VFIO_PCI) {
            return Err(NotReady::NotBound {
                address: address.clone(),
                driver: function.driver.clone(),
            });
        }
        // A group that cannot be listed is opened nevertheless: the kernel has the last word.
        let others: Vec<_> = self
            .group_members(group)
            .unwrap_or_default()
            .into_iter()
            .filter(|other| other.address != *address && !other.is_bridge())
            .filter_map(|other| Some((other.address, other.driver?)))
            .filter(|(_, driver)| !HARMLESS.contains(&driver.as_str()))
            .collect();
        if !others.is_empty() {
            return Err(NotReady::GroupShared { address: address.clone(), group, others });
        }
        for path in [self.container_file(), self.group_file(group)] {
            if !path.exists() {
                return Err(NotReady::NoGroupFile { path });
            }
            if eaccess(&path, AccessFlags::R_OK | AccessFlags::W_OK).is_err() {
                let (address, owner_group) = (address.clone(), owner_group(&path));
                return Err(NotReady::NoPermission { address, path, owner_group });
            }
        }
        Ok(())
    }

    pub(crate) fn group(&self, function: &Function) -> Result<u32, NotReady> {
        let address = || function.address.clone();
        function.iommu_group.ok_or_else(|| NotReady::NoIommu { address: address() })
    }
}

fn owner_group(path: &Path) -> String {
    let Ok(meta) = path.metadata() else { return "unknown".to_owned() };
    match Group::from_gid(Gid::from_raw(meta.gid())) {
        Ok(Some(group)) => group.name,
        _ => meta.gid().to_string(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use crate::error::NotReady;
    use crate::fake::{CARD, FakeMachine};

    #[test]
    fn each_thing_in_the_way_is_told_by_itself() {
        let dir = tempfile::tempdir().unwrap();
        let machine = FakeMachine::new(dir.path());
        let sysfs = machine.sysfs();
        let why = || sysfs.ready(&sysfs.function(CARD).unwrap());

        machine.add(CARD, 0x1e55_5053, 0x02_0000, Some("nic"));
        assert!(matches!(why(), Err(NotReady::NoIommu { .. })));
        machine.put_in_group(CARD, 3);
        let not_bound = why().unwrap_err();
        assert_eq!(
            not_bound.to_string(),
            "0000:3b:00.0 is not bound to vfio-pci but with driver nic; type `sudo penstock card bind 0000:3b:00.0 --group penstock`"
        );
        machine.set_driver(CARD, Some("vfio-pci"));

        // A bridge, a function without a driver and one with vfio-pci are no hindrance.
        machine.add("0000:3a:00.0", 0x8086_0001, 0x06_0400, Some("pcieport"));
        machine.add("0000:3b:00.1", 0x8086_0002, 0x01_0601, Some("ahci"));
        machine.add("0000:3b:00.2", 0x8086_0003, 0x01_0601, None);
        machine.add("0000:3b:00.3", 0x8086_0004, 0x01_0601, Some("vfio-pci"));
        for other in ["0000:3a:00.0", "0000:3b:00.1", "0000:3b:00.2", "0000:3b:00.3"] {
            machine.put_in_group(other, 3);
        }
        let shared = why().unwrap_err();
        let others = vec![("0000:3b:00.1".to_owned(), "ahci".to_owned())];
        assert_eq!(shared, NotReady::GroupShared { address: CARD.to_owned(), group: 3, others });
        assert!(
            shared
                .to_string()
                .contains("`echo 0000:3b:00.1 | sudo tee /sys/bus/pci/drivers/ahci/unbind`")
        );
        machine.set_driver("0000:3b:00.1", None);
        assert!(why().is_ok(), "the fake makes the group's file with the driver's link");

        let group_file = sysfs.group_file(3);
        std::fs::remove_file(&group_file).unwrap();
        assert_eq!(why(), Err(NotReady::NoGroupFile { path: group_file }));
    }

    #[test]
    fn a_file_that_may_not_be_opened_names_its_group() {
        let wanted = NotReady::NoPermission {
            address: CARD.to_owned(),
            path: "/dev/vfio/3".into(),
            owner_group: "root".to_owned(),
        };
        assert_eq!(
            wanted.to_string(),
            "this user may not open /dev/vfio/3: type `sudo penstock card bind 0000:3b:00.0 --group penstock`"
        );
        let wanted = NotReady::NoPermission {
            address: CARD.to_owned(),
            path: "/dev/vfio/3".into(),
            owner_group: "penstock".to_owned(),
        };
        assert!(wanted.to_string().contains("`sudo usermod -aG penstock $USER`"));
    }
}
