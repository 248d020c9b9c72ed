//! Descriptors of a function that somebody keeps while no process of ours runs: their names in the keeper's store, and how
//! a process that starts takes them over.
//!
//! The keeper is a service manager with systemd's protocol (a file descriptor store). It hands what it kept to the next
//! process as descriptors 3 and up, and says so in `LISTEN_PID`, `LISTEN_FDS` and `LISTEN_FDNAMES`.

use std::io;
use std::os::fd::{FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

/// Two descriptors that keep a function of the kernel's VFIO as it is, whoever holds them: as long as any copy of them is open
/// nothing resets the function. Made by [`PciTransport::held_fds`], used again by [`KernelVfio::adopt`].
///
/// [`PciTransport::held_fds`]: crate::PciTransport::held_fds
/// [`KernelVfio::adopt`]: crate::KernelVfio::adopt
#[derive(Debug)]
pub struct HeldFds {
    /// The function itself (from `VFIO_GROUP_GET_DEVICE_FD`). It keeps its group's file open in the kernel.
    pub device: OwnedFd,
    /// The container, by which its memory is mapped and unmapped.
    pub container: OwnedFd,
}

impl HeldFds {
    /// Names of the descriptors of function `bdf` in a store: the device's, the container's. They name the function, so that
    /// a process which was told to use another one does not take them for that one's.
    #[must_use]
    pub fn names(bdf: &str) -> [String; 2] {
        // A store's names have no colons.
        let function = bdf.replace(':', "-");
        [format!("vfio-device.{function}"), format!("vfio-container.{function}")]
    }

    /// Picks the descriptors of function `bdf` out of what a store handed over; nothing unless both are there.
    #[must_use]
    pub fn pick(bdf: &str, fds: &mut Vec<(String, OwnedFd)>) -> Option<Self> {
        let [device, container] =
            Self::names(bdf).map(|name| fds.iter().position(|(other, _)| *other == name));
        let (device, container) = (device?, container?);
        // The later one first, as taking an element moves those behind it.
        let (last, first) = (device.max(container), device.min(container));
        let (last, first) = (fds.remove(last).1, fds.remove(first).1);
        let (device, container) = if device < container { (first, last) } else { (last, first) };
        Some(Self { device, container })
    }
}

/// Takes over the descriptors that a service manager kept for this process, each with its name. They are given once: a
/// second call returns none, as does a process that no service manager has started.
///
/// # Errors
/// The environment contradicts itself, or names descriptors that are not open.
pub fn inherited_fds() -> io::Result<Vec<(String, OwnedFd)>> {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    if TAKEN.swap(true, Ordering::Relaxed) {
        return Ok(Vec::new());
    }
    let listed = sd_notify::listen_fds_with_names()?;
    // SAFETY: `LISTEN_PID` is this process, so whoever started it put these descriptors there for it to own; each was found
    // open, and was open before any code of this process ran, so nobody else here was given its number. They are taken once.
    Ok(listed.map(|(fd, name)| (name, unsafe { OwnedFd::from_raw_fd(fd) })).collect())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::fs::File;
    use std::io::{Read as _, Write as _};

    use super::*;

    #[test]
    fn a_functions_descriptors_are_picked_by_its_name_whatever_their_order() {
        let bdf = "0000:3b:00.0";
        let [device_name, container_name] = HeldFds::names(bdf);
        assert!(!device_name.contains(':') && device_name.starts_with("vfio-device"));
        for swapped in [false, true] {
            let (reader, writer) = std::io::pipe().unwrap();
            let other: OwnedFd = reader.try_clone().unwrap().into();
            let mut fds = vec![
                (device_name.clone(), OwnedFd::from(reader)),
                ("somebody's".to_owned(), other),
                (container_name.clone(), writer.into()),
            ];
            if swapped {
                fds.reverse();
            }
            assert!(HeldFds::pick("0000:3c:00.0", &mut fds).is_none());
            assert_eq!(fds.len(), 3);
            let held = HeldFds::pick(bdf, &mut fds).unwrap();
            assert_eq!(fds.len(), 1);
            File::from(held.container).write_all(b"x").unwrap();
            let mut byte = [0];
            File::from(held.device).read_exact(&mut byte).unwrap();
            assert_eq!(byte, *b"x");
        }
    }

    #[test]
    fn a_function_of_which_half_was_kept_is_not_picked() {
        let [name, _] = HeldFds::names("0000:3b:00.0");
        let mut fds = vec![(name, File::open("/dev/null").unwrap().into())];
        assert!(HeldFds::pick("0000:3b:00.0", &mut fds).is_none());
        assert_eq!(fds.len(), 1);
    }
}
