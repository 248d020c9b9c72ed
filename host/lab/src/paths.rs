//! Where a lab keeps its files: one folder a lab, below `$XDG_RUNTIME_DIR` or `/tmp`.
//!
//! The folder's lock is held by the lab's supervisor for as long as it lives, so that a folder whose lock is free is
//! known to be the remains of a lab that was killed. Nothing in the folder outlives its supervisor but plain files:
//! namespaces, interfaces and processes are reaped by the kernel.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

/// The files of one lab.
#[derive(Debug, Clone)]
pub struct LabPaths {
    dir: PathBuf,
}

impl LabPaths {
    /// The folder of the lab called `name`, which need not exist.
    #[must_use]
    pub fn new(name: &str) -> Self {
        LabPaths { dir: base().join(name) }
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

    /// Takes the lab's folder for a supervisor: creates it empty and locks it until the returned file is dropped.
    /// `None`: a live supervisor has it.
    ///
    /// # Errors
    /// The folder cannot be created or emptied.
    pub fn take(&self) -> io::Result<Option<File>> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.dir)?;
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(self.lock())?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        self.clear()?;
        for folder in ["nodes", "log", "manifests"] {
            fs::create_dir_all(self.dir.join(folder))?;
        }
        Ok(Some(lock))
    }

    /// Whether a supervisor has the folder. The remains of a dead one are removed on the way.
    ///
    /// # Errors
    /// The folder cannot be read or removed.
    pub fn alive(&self) -> io::Result<bool> {
        let lock = match File::open(self.lock()) {
            Ok(lock) => lock,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        match lock.try_lock() {
            Ok(()) => {
                self.remove()?;
                Ok(false)
            }
            Err(TryLockError::WouldBlock) => Ok(true),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Removes the folder with all that is in it.
    ///
    /// # Errors
    /// Something in it cannot be removed.
    pub fn remove(&self) -> io::Result<()> {
        match fs::remove_dir_all(&self.dir) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Empties the folder but for the lock.
    fn clear(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.dir)? {
            let path = entry?.path();
            if path == self.lock() {
                continue;
            }
            if path.is_dir() {
                fs::remove_dir_all(path)?;
            } else {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }
}

/// Folder of all labs of this user.
fn base() -> PathBuf {
    std::env::var_os("XDG_RUNTIME_DIR")
        .filter(|dir| !dir.is_empty() && Path::new(dir).is_dir())
        .map_or_else(
            || PathBuf::from(format!("/tmp/penstock-lab-{}", nix::unistd::geteuid())),
            |dir| PathBuf::from(dir).join("penstock-lab"),
        )
}

/// Names of the labs of this user that have a folder, sorted.
///
/// # Errors
/// The folder of labs cannot be read.
pub fn list() -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(base()) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut names: Vec<String> =
        entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    Ok(names)
}
