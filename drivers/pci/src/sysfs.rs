//! Reading functions from sysfs.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::PciError;

/// What happens after a write to sysfs on a made-up machine: the kernel's part.
type Kernel = Arc<dyn Fn(&Path, &str) -> io::Result<()> + Send + Sync>;

/// Where the kernel shows its devices.
#[derive(Clone)]
pub struct Sysfs {
    root: PathBuf,
    dev: PathBuf,
    kernel: Option<Kernel>,
}

/// A PCI function at the moment it was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// Its address with the domain, such as `0000:3b:00.0`.
    pub address: String,
    /// Vendor id.
    pub vendor: u16,
    /// Device id.
    pub device: u16,
    /// Class, subclass and programming interface, such as 0x020000 for Ethernet.
    pub class: u32,
    /// Name of its driver.
    pub driver: Option<String>,
    /// Number of its IOMMU group; `None` without an IOMMU.
    pub iommu_group: Option<u32>,
    /// The memory node it is near to; `None` on a machine with one.
    pub numa_node: Option<u32>,
}

impl Function {
    /// Whether the function has these ids.
    #[must_use]
    pub fn has_ids(&self, vendor: u16, device: u16) -> bool {
        (self.vendor, self.device) == (vendor, device)
    }

    /// Whether the function is a PCI bridge, which VFIO lets stay with its driver.
    #[must_use]
    pub fn is_bridge(&self) -> bool {
        self.class >> 8 == 0x0604
    }
}

impl Default for Sysfs {
    fn default() -> Self {
        Self::at("/sys".into(), "/dev".into())
    }
}

impl fmt::Debug for Sysfs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sysfs")
            .field("root", &self.root)
            .field("dev", &self.dev)
            .finish_non_exhaustive()
    }
}

impl Sysfs {
    /// A machine whose `/sys` is at `sysfs` and whose `/dev` is at `dev`.
    #[must_use]
    pub fn at(sysfs: PathBuf, dev: PathBuf) -> Self {
        Self { root: sysfs, dev, kernel: None }
    }

    /// The same, with someone who does what a kernel does when a file of sysfs is written.
    #[cfg(any(test, feature = "fake"))]
    pub(crate) fn played_by(self, kernel: Kernel) -> Self {
        Self { kernel: Some(kernel), ..self }
    }

    /// All functions, in the order of their addresses. A machine without PCI has none.
    ///
    /// # Errors
    /// [`PciError::Io`].
    pub fn functions(&self) -> Result<Vec<Function>, PciError> {
        self.functions_in(&self.pci().join("devices"))
    }

    /// The function at an address, with or without its domain.
    ///
    /// # Errors
    /// [`PciError::BadAddress`], [`PciError::NoSuchFunction`], [`PciError::Io`].
    pub fn function(&self, address: &str) -> Result<Function, PciError> {
        let address =
            normal(address).ok_or_else(|| PciError::BadAddress { address: address.to_owned() })?;
        let at = self.device_dir(&address);
        if !at.exists() {
            return Err(PciError::NoSuchFunction { address });
        }
        Ok(Function {
            vendor: read_id(&at.join("vendor"))?,
            device: read_id(&at.join("device"))?,
            class: read_hex(&at.join("class"))?,
            driver: link_name(&at.join("driver"))?,
            iommu_group: link_name(&at.join("iommu_group"))?.and_then(|name| name.parse().ok()),
            // -1 means that there is only one node.
            numa_node: read(&at.join("numa_node")).ok().and_then(|text| text.trim().parse().ok()),
            address,
        })
    }

    /// The functions of an IOMMU group, in the order of their addresses.
    ///
    /// # Errors
    /// [`PciError::Io`].
    pub fn group_members(&self, group: u32) -> Result<Vec<Function>, PciError> {
        self.functions_in(&self.root.join(format!("kernel/iommu_groups/{group}/devices")))
    }

    /// The file by which VFIO opens an IOMMU group.
    #[must_use]
    pub fn group_file(&self, group: u32) -> PathBuf {
        self.dev.join("vfio").join(group.to_string())
    }

    /// The file by which VFIO makes containers.
    #[must_use]
    pub fn container_file(&self) -> PathBuf {
        self.dev.join("vfio/vfio")
    }

    fn functions_in(&self, dir: &Path) -> Result<Vec<Function>, PciError> {
        let error = |source| PciError::io("list", dir, source);
        let entries = match fs::read_dir(dir) {
            Err(missing) if missing.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(error)?,
        };
        let mut functions = Vec::new();
        for entry in entries {
            let name = entry.map_err(error)?.file_name();
            // A group may hold devices that are not on PCI.
            let Some(address) = name.to_str().and_then(normal) else { continue };
            match self.function(&address) {
                // Unplugged since the directory was read.
                Err(PciError::NoSuchFunction { .. }) => {}
                function => functions.push(function?),
            }
        }
        functions.sort_by(|a, b| a.address.cmp(&b.address));
        Ok(functions)
    }

    pub(crate) fn pci(&self) -> PathBuf {
        self.root.join("bus/pci")
    }

    pub(crate) fn device_dir(&self, address: &str) -> PathBuf {
        self.pci().join("devices").join(address)
    }

    /// Writes a file of sysfs. The file must exist: sysfs makes none.
    pub(crate) fn write(&self, path: &Path, value: &str) -> Result<(), PciError> {
        let written = fs::OpenOptions::new()
            .write(true)
            .open(path)
            .and_then(|mut file| io::Write::write_all(&mut file, value.as_bytes()))
            .and_then(|()| self.kernel.as_ref().map_or(Ok(()), |kernel| kernel(path, value)));
        written.map_err(|source| PciError::io("write", path, source))
    }
}

/// The address of a PCI function as the kernel writes it (`3b:00.0` is `0000:3b:00.0`), or nothing if it is none.
#[must_use]
pub fn normal(address: &str) -> Option<String> {
    let with_domain = match address.matches(':').count() {
        1 => format!("0000:{address}"),
        _ => address.to_owned(),
    }
    .to_ascii_lowercase();
    let (domain, rest) = with_domain.split_once(':')?;
    let (bus, rest) = rest.split_once(':')?;
    let (slot, function) = rest.split_once('.')?;
    let hex = |text: &str, digits: std::ops::RangeInclusive<usize>| {
        digits.contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit())
    };
    // Bridges of volume management devices have domains of five digits.
    let is_one = hex(domain, 4..=8)
        && hex(bus, 2..=2)
        && hex(slot, 2..=2)
        && matches!(function.as_bytes(), [b'0'..=b'7']);
    is_one.then_some(with_domain)
}

fn read(path: &Path) -> Result<String, PciError> {
    fs::read_to_string(path).map_err(|source| PciError::io("read", path, source))
}

fn read_hex(path: &Path) -> Result<u32, PciError> {
    let text = read(path)?;
    u32::from_str_radix(text.trim().trim_start_matches("0x"), 16).map_err(|_| {
        let what = format!("`{}` is not a hexadecimal number", text.trim());
        PciError::io("understand", path, io::Error::other(what))
    })
}

fn read_id(path: &Path) -> Result<u16, PciError> {
    let value = read_hex(path)?;
    u16::try_from(value).map_err(|_| {
        PciError::io("understand", path, io::Error::other(format!("{value:#x} is no PCI id")))
    })
}

/// The last part of where a link points; nothing without the link.
fn link_name(path: &Path) -> Result<Option<String>, PciError> {
    match fs::read_link(path) {
        Ok(target) => Ok(target.file_name().map(|name| name.to_string_lossy().into_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(PciError::io("read", path, error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_with_and_without_a_domain() {
        assert_eq!(normal("3b:00.0").as_deref(), Some("0000:3b:00.0"));
        assert_eq!(normal("0000:3B:1f.7").as_deref(), Some("0000:3b:1f.7"));
        assert_eq!(normal("10000:01:00.0").as_deref(), Some("10000:01:00.0"));
        for wrong in [
            "",
            "3b",
            "3b:00",
            "3b:00.8",
            "3b:0.0",
            "x:3b:00.0",
            "../3b:00.0",
            "3b:00.0/..",
            "0000:3b:00.00",
        ] {
            assert_eq!(normal(wrong), None, "{wrong}");
        }
    }
}
