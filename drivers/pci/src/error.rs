//! Why a PCI function cannot be used, each with what to type.

use std::io;
use std::path::{Path, PathBuf};

/// Why VFIO may not open a function. All of it is the machine's set-up, none of it the card's fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotReady {
    /// The function is in no IOMMU group: the IOMMU is off.
    #[error(
        "{address} is behind no IOMMU: switch on VT-d (Intel) or AMD-Vi in the machine's firmware set-up, add \
         `intel_iommu=on` (Intel) to the kernel's command line, restart; `ls /sys/kernel/iommu_groups` then shows groups"
    )]
    NoIommu {
        /// The function.
        address: String,
    },
    /// The function belongs to no driver or to another one.
    #[error(
        "{address} is not bound to vfio-pci but {}; type `sudo penstock card bind {address} --group penstock`",
        held_by(driver.as_deref())
    )]
    NotBound {
        /// The function.
        address: String,
        /// Its present driver.
        driver: Option<String>,
    },
    /// Functions of the same IOMMU group belong to other drivers; the kernel gives a group only as a whole.
    #[error(
        "{address} shares IOMMU group {group} with {}; free them with {}, or move the card to a slot with a group of its own",
        list(others),
        unbind_lines(others)
    )]
    GroupShared {
        /// The function.
        address: String,
        /// The group.
        group: u32,
        /// The functions in the way: address and driver.
        others: Vec<(String, String)>,
    },
    /// A file of VFIO is not there.
    #[error(
        "{} does not exist; type `sudo modprobe vfio-pci`, and give the file to the container if this is one",
        path.display()
    )]
    NoGroupFile {
        /// The file.
        path: PathBuf,
    },
    /// This user may not open a file of VFIO.
    #[error("this user may not open {}: {}", path.display(), permit(address, owner_group))]
    NoPermission {
        /// The function.
        address: String,
        /// The file.
        path: PathBuf,
        /// The Unix group that the file belongs to, by name or number.
        owner_group: String,
    },
}

/// Why looking at or binding a function failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PciError {
    /// The address is not one. The user's.
    #[error("`{address}` is not a PCI address; write DDDD:BB:DD.F, such as 0000:3b:00.0")]
    BadAddress {
        /// What was given.
        address: String,
    },
    /// No such function. The user's, or the card is not plugged in.
    #[error(
        "there is no PCI function {address}; `penstock card list` shows the cards, `lspci` all functions"
    )]
    NoSuchFunction {
        /// The address.
        address: String,
    },
    /// The kernel has no vfio-pci at the moment.
    #[error("the kernel's driver vfio-pci is not loaded; type `sudo modprobe vfio-pci`")]
    NoVfioPci,
    /// No such Unix group. The user's.
    #[error("there is no group `{name}`; type `sudo groupadd --system {name}`")]
    NoSuchGroup {
        /// Its name.
        name: String,
    },
    /// The function cannot be opened even when it is bound.
    #[error(transparent)]
    NotReady(#[from] NotReady),
    /// A process has the function open. The user's: stop it first.
    #[error("{} is open in another process; stop it first (`sudo systemctl stop penstockd`)", path.display())]
    InUse {
        /// The group's file.
        path: PathBuf,
    },
    /// The kernel did not give the function to vfio-pci. It was put back as it was.
    #[error(
        "the kernel did not give {address} to vfio-pci (it is {}); `sudo dmesg | tail` says why",
        held_by(driver.as_deref())
    )]
    BindFailed {
        /// The function.
        address: String,
        /// Its driver after the attempt.
        driver: Option<String>,
        /// What the kernel answered, if it answered with an error.
        #[source]
        source: Option<io::Error>,
    },
    /// A file of the kernel could not be read or written.
    #[error("cannot {what} {}", path.display())]
    Io {
        /// What was to be done.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Cause.
        #[source]
        source: io::Error,
    },
}

impl PciError {
    pub(crate) fn io(what: &'static str, path: &Path, source: impl Into<io::Error>) -> Self {
        Self::Io { what, path: path.to_owned(), source: source.into() }
    }
}

fn held_by(driver: Option<&str>) -> String {
    driver.map_or_else(|| "without a driver".to_owned(), |name| format!("with driver {name}"))
}

fn list(others: &[(String, String)]) -> String {
    let texts: Vec<_> =
        others.iter().map(|(address, driver)| format!("{address} (driver {driver})")).collect();
    texts.join(", ")
}

fn unbind_lines(others: &[(String, String)]) -> String {
    let lines: Vec<_> = others
        .iter()
        .map(|(address, driver)| {
            format!("`echo {address} | sudo tee /sys/bus/pci/drivers/{driver}/unbind`")
        })
        .collect();
    lines.join(" and ")
}

fn permit(address: &str, owner_group: &str) -> String {
    if owner_group == "root" {
        format!("type `sudo penstock card bind {address} --group penstock`")
    } else {
        format!(
            "it is for group {owner_group}; type `sudo usermod -aG {owner_group} $USER` and log in anew"
        )
    }
}
