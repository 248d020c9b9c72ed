//! The folder of all labs of a user: his own, and nobody else can write to it. Besides the labs' folders it has files whose names
//! start with a dot, which no lab's can.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::{PathsError, at};

/// How often a lock is tried again.
const POLL: Duration = Duration::from_millis(20);

/// The folder, which need not exist.
#[derive(Debug, Clone)]
pub(super) struct Base(PathBuf);

impl Base {
    /// That of this user.
    pub(super) fn own() -> Self {
        let runtime = std::env::var_os("XDG_RUNTIME_DIR")
            .filter(|dir| !dir.is_empty() && Path::new(dir).is_dir());
        Base(runtime.map_or_else(
            || PathBuf::from(format!("/tmp/penstock-lab-{}", nix::unistd::geteuid())),
            |dir| PathBuf::from(dir).join("penstock-lab"),
        ))
    }

    /// Any other, for tests.
    #[cfg(test)]
    pub(super) fn at(path: PathBuf) -> Self {
        Base(path)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Makes it, unless it is there, and checks it.
    pub(super) fn make(&self) -> Result<(), PathsError> {
        match fs::DirBuilder::new().mode(0o700).create(&self.0) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(at(&self.0)(error));
            }
            _ => {}
        }
        self.check().map(|_| ())
    }

    /// Whether it is there; an error if it is not fit for labs. In `/tmp` anybody may have made it first, or put a link in
    /// its place.
    pub(super) fn check(&self) -> Result<bool, PathsError> {
        let found = match fs::symlink_metadata(&self.0) {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(at(&self.0)(error)),
        };
        let own = nix::unistd::geteuid().as_raw();
        let why = if !found.is_dir() {
            "it is not a folder".to_owned()
        } else if found.uid() != own {
            let other = found.uid();
            format!(
                "it belongs to user {other}, not to user {own}; set XDG_RUNTIME_DIR to a folder of your own"
            )
        } else if found.mode() & 0o022 != 0 {
            format!("others may write to it (mode {:o}; chmod 700 it)", found.mode() & 0o7777)
        } else {
            return Ok(true);
        };
        Err(PathsError::Base { base: self.0.clone(), why })
    }

    /// One process at a time creates, judges and removes folders: until the returned file is dropped.
    pub(super) fn turn(&self) -> Result<File, PathsError> {
        let path = self.0.join(".lock");
        let file = open(&path)?;
        file.lock().map_err(at(&path))?;
        Ok(file)
    }

    /// A new file of its own for what the supervisor of `lab` says while it starts.
    pub(super) fn log(&self, lab: &str) -> Result<(PathBuf, File), PathsError> {
        self.make()?;
        let path = self.0.join(format!(".{lab}-{}.log", std::process::id()));
        let file = File::create(&path).map_err(at(&path))?;
        Ok((path, file))
    }

    /// Tells others that `lab` is being brought up, until the returned file is dropped. `None`: it is already.
    pub(super) fn announce(&self, lab: &str) -> Result<Option<File>, PathsError> {
        self.make()?;
        let path = self.coming_up(lab);
        // Not while somebody looks whether it is announced.
        let _turn = self.turn()?;
        let file = open(&path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(at(&path)(error)),
        }
    }

    /// Waits until nobody is bringing `lab` up any more.
    pub(super) fn wait_announced(&self, lab: &str, patience: Duration) -> Result<(), PathsError> {
        let Some(file) = self.announcement(lab)? else { return Ok(()) };
        let deadline = Instant::now() + patience;
        while self.is_held(lab, &file)? {
            if Instant::now() > deadline {
                return Err(PathsError::ComingUp(lab.to_owned(), patience.as_secs()));
            }
            sleep(POLL);
        }
        Ok(())
    }

    /// Whether somebody is bringing `lab` up.
    pub(super) fn is_announced(&self, lab: &str) -> Result<bool, PathsError> {
        self.announcement(lab)?.map_or(Ok(false), |file| self.is_held(lab, &file))
    }

    /// Names of the labs that are being brought up or once were.
    pub(super) fn announced(&self) -> Result<Vec<String>, PathsError> {
        let entries = fs::read_dir(&self.0).map_err(at(&self.0))?;
        let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        Ok(names
            .filter_map(|name| Some(name.strip_prefix('.')?.strip_suffix(".up")?.to_owned()))
            .collect())
    }

    /// The file whose lock tells that `lab` is being brought up, if it ever was.
    fn announcement(&self, lab: &str) -> Result<Option<File>, PathsError> {
        if !self.check()? {
            return Ok(None);
        }
        let path = self.coming_up(lab);
        match File::open(&path) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(at(&path)(error)),
        }
    }

    /// Whether somebody else has the lock. To find out it is taken for a moment, in a turn, so that nobody takes that for an
    /// announcement.
    fn is_held(&self, lab: &str, announcement: &File) -> Result<bool, PathsError> {
        let _turn = self.turn()?;
        match announcement.try_lock() {
            Ok(()) => {
                announcement.unlock().map_err(at(&self.coming_up(lab)))?;
                Ok(false)
            }
            Err(TryLockError::WouldBlock) => Ok(true),
            Err(TryLockError::Error(error)) => Err(at(&self.coming_up(lab))(error)),
        }
    }

    fn coming_up(&self, lab: &str) -> PathBuf {
        self.0.join(format!(".{lab}.up"))
    }
}

/// Opens a file that is only locked.
pub(super) fn open(path: &Path) -> Result<File, PathsError> {
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(path);
    file.map_err(at(path))
}
