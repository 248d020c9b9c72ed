//! Where a lab keeps its files: one folder a lab, below `$XDG_RUNTIME_DIR/penstock-lab` or `/tmp/penstock-lab-UID`.
//!
//! The folder's lock is held by the lab's supervisor for as long as it lives, so that a folder whose lock is free is
//! known to be the remains of a lab that was killed. Nothing in the folder outlives its supervisor but plain files:
//! namespaces, interfaces and processes are reaped by the kernel.
//!
//! Labs delete folders, possibly as root, so three things are made sure of before: a lab's name is a plain name, which can
//! lead nowhere else; the folder of all labs is this user's own and nobody else can write to it; and the lab's folder has the
//! mark that is put into it when it is made. A folder without the mark is never touched.

mod base;

use std::collections::BTreeSet;
use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use thiserror::Error;

use base::{Base, open};

use crate::topology::{NameError, check_name};

/// The mark of a lab's folder.
const MARK: &str = ".penstock-lab";
/// The longest path that a socket may have, without the final NUL.
const SOCKET_PATH_MAX: usize = 107;
/// The longest path of a socket below the lab's folder: `/nodes/NODE/penstockd.sock`, a node's name having 11 characters.
const SOCKET_IN_LAB_MAX: usize = "/nodes//penstockd.sock".len() + 11;

/// Why a lab's folder cannot be used. Each is for the user to mend.
#[derive(Debug, Error)]
pub enum PathsError {
    /// The lab's name is none.
    #[error("a lab cannot be called so")]
    Name(#[from] NameError),
    /// Sockets could not be made in the folder.
    #[error("the path {} is too long for sockets below it, by {excess} characters; choose a shorter name", dir.display())]
    TooLong {
        /// The lab's folder.
        dir: PathBuf,
        /// By how much.
        excess: usize,
    },
    /// The folder of all labs was made by somebody else, or can be written to by others.
    #[error("{} is not used for labs: {why}", base.display())]
    Base {
        /// The folder of all labs.
        base: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A folder is in the lab's place.
    #[error("{} is not the folder of a lab (it has no {MARK} in it); nothing in it is touched", .0.display())]
    Foreign(PathBuf),
    /// The lab has been coming up for too long.
    #[error("the lab `{0}` is coming up, and still is after {1} s")]
    ComingUp(String, u64),
    /// The system refused something.
    #[error("cannot use {}", path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// Cause.
        #[source]
        source: io::Error,
    },
}

/// The files of one lab.
#[derive(Debug, Clone)]
pub struct LabPaths {
    base: Base,
    name: String,
    dir: PathBuf,
}

impl LabPaths {
    /// The folder of the lab called `name`, which need not exist.
    ///
    /// # Errors
    /// `name` is not a name, or too long.
    pub fn new(name: &str) -> Result<Self, PathsError> {
        Self::below(Base::own(), name)
    }

    fn below(base: Base, name: &str) -> Result<Self, PathsError> {
        check_name(name)?;
        let dir = base.path().join(name);
        let length = dir.as_os_str().len() + SOCKET_IN_LAB_MAX;
        if length > SOCKET_PATH_MAX {
            return Err(PathsError::TooLong { dir, excess: length - SOCKET_PATH_MAX });
        }
        Ok(LabPaths { base, name: name.to_owned(), dir })
    }

    /// The lab's folder.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// What the lab consists of ([`crate::state::LabState`] as JSON), written once it is up.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        self.dir.join("state.json")
    }

    /// Socket on which the supervisor takes requests.
    #[must_use]
    pub fn control(&self) -> PathBuf {
        self.dir.join("control.sock")
    }

    /// Kubernetes manifests, watched by the daemons of all nodes.
    #[must_use]
    pub fn manifests(&self) -> PathBuf {
        self.dir.join("manifests")
    }

    /// The files of one node.
    #[must_use]
    pub fn node(&self, name: &str) -> PathBuf {
        self.dir.join("nodes").join(name)
    }

    /// Output of one process.
    #[must_use]
    pub fn log(&self, process: &str) -> PathBuf {
        self.dir.join("log").join(format!("{}.log", process.replace('/', "-")))
    }

    fn lock(&self) -> PathBuf {
        self.dir.join("lock")
    }

    /// A new file for what a supervisor says while it starts, outside the folder that it takes.
    ///
    /// # Errors
    /// The folder of all labs cannot be used.
    pub fn supervisor_log(&self) -> Result<(PathBuf, File), PathsError> {
        self.base.log(&self.name)
    }

    /// Takes the lab's folder for a supervisor: creates it empty and locks it until the returned file is dropped.
    /// `None`: a live supervisor has it.
    ///
    /// # Errors
    /// The folder cannot be created or emptied, or is not a lab's.
    pub fn take(&self) -> Result<Option<File>, PathsError> {
        self.base.make()?;
        let _turn = self.base.turn()?;
        match fs::DirBuilder::new().mode(0o700).create(&self.dir) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(at(&self.dir)(error));
            }
            _ => {}
        }
        if !self.is_marked()? {
            // One that is empty was made just now, or its removal was interrupted.
            let mut entries = fs::read_dir(&self.dir).map_err(at(&self.dir))?;
            if entries.next().is_some() {
                return Err(PathsError::Foreign(self.dir.clone()));
            }
            let mark = self.dir.join(MARK);
            fs::write(&mark, "The folder of a lab; `penstock lab` removes it.\n")
                .map_err(at(&mark))?;
        }
        let path = self.lock();
        let lock = open(&path)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(at(&path)(error)),
        }
        self.clear().map_err(at(&self.dir))?;
        for folder in ["nodes", "log", "manifests"] {
            let folder = self.dir.join(folder);
            fs::create_dir_all(&folder).map_err(at(&folder))?;
        }
        Ok(Some(lock))
    }

    /// Whether a supervisor has the folder. The remains of a dead one are removed on the way.
    ///
    /// # Errors
    /// The folder cannot be read or removed, or is not a lab's.
    pub fn alive(&self) -> Result<bool, PathsError> {
        if !self.base.check()? {
            return Ok(false);
        }
        let _turn = self.base.turn()?;
        let path = self.lock();
        let lock = match File::open(&path) {
            Ok(lock) => lock,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(at(&path)(error)),
        };
        match lock.try_lock() {
            Ok(()) => {
                self.remove_marked()?;
                Ok(false)
            }
            Err(TryLockError::WouldBlock) => Ok(true),
            Err(TryLockError::Error(error)) => Err(at(&path)(error)),
        }
    }

    /// Removes the folder with all that is in it; by its supervisor.
    ///
    /// # Errors
    /// Something in it cannot be removed, or it is not a lab's.
    pub fn remove(&self) -> Result<(), PathsError> {
        if !self.base.check()? || !self.dir.exists() {
            return Ok(());
        }
        let _turn = self.base.turn()?;
        self.remove_marked()
    }

    /// Tells others that the lab is being brought up, until the returned file is dropped. `None`: it is already.
    ///
    /// # Errors
    /// The folder of all labs cannot be used.
    pub fn announce(&self) -> Result<Option<File>, PathsError> {
        self.base.announce(&self.name)
    }

    /// Waits until nobody is bringing the lab up any more.
    ///
    /// # Errors
    /// Somebody still is after `patience`.
    pub fn wait_announced(&self, patience: Duration) -> Result<(), PathsError> {
        self.base.wait_announced(&self.name, patience)
    }

    /// Whether a supervisor has the folder, or somebody is bringing the lab up and none has it yet.
    ///
    /// # Errors
    /// As [`LabPaths::alive`].
    pub fn alive_or_coming_up(&self) -> Result<bool, PathsError> {
        // In this order: who brings it up says so until it is up.
        let coming_up = self.base.is_announced(&self.name)?;
        Ok(self.alive()? || coming_up)
    }

    fn is_marked(&self) -> Result<bool, PathsError> {
        // Not through a link.
        let dir = fs::symlink_metadata(&self.dir).map_err(at(&self.dir))?;
        if !dir.is_dir() || dir.uid() != nix::unistd::geteuid().as_raw() {
            return Err(PathsError::Foreign(self.dir.clone()));
        }
        Ok(fs::symlink_metadata(self.dir.join(MARK)).is_ok_and(|mark| mark.is_file()))
    }

    /// The mark goes last: whatever is left by an interruption is empty or has it.
    fn remove_marked(&self) -> Result<(), PathsError> {
        if !self.is_marked()? {
            return Err(PathsError::Foreign(self.dir.clone()));
        }
        let removal = self
            .clear()
            .and_then(|()| fs::remove_file(self.lock()))
            .and_then(|()| fs::remove_file(self.dir.join(MARK)))
            .and_then(|()| fs::remove_dir(&self.dir));
        removal.map_err(at(&self.dir))
    }

    /// Empties the folder but for the lock and the mark.
    fn clear(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.dir)? {
            let entry = entry?;
            let path = entry.path();
            if path == self.lock() || entry.file_name() == MARK {
                continue;
            }
            if entry.file_type()?.is_dir() {
                fs::remove_dir_all(path)?;
            } else {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> PathsError {
    let path = path.to_owned();
    move |source| PathsError::Io { path, source }
}

/// Names of the labs of this user that have a folder, or were announced to come up, sorted.
///
/// # Errors
/// The folder of labs cannot be read.
pub fn list() -> Result<Vec<String>, PathsError> {
    list_below(&Base::own())
}

fn list_below(base: &Base) -> Result<Vec<String>, PathsError> {
    if !base.check()? {
        return Ok(Vec::new());
    }
    let announced = base.announced()?;
    let base = base.path();
    let entries = fs::read_dir(base).map_err(at(base))?;
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let marked = names.filter(|name| base.join(name).join(MARK).is_file());
    let names: BTreeSet<String> =
        marked.chain(announced).filter(|name| check_name(name).is_ok()).collect();
    Ok(names.into_iter().collect())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
