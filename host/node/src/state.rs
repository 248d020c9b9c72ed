//! The file that says what was changed, and what was before.
//!
//! It is written whole, before anything is changed, and goes when all is as before. Whoever reads it after a crash finds everything that may
//! have been changed; what was not yet is restored to what it is.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use crate::NodeError;

/// A setting of the kernel as it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setting {
    /// Its file below `/proc/sys/net/ipv4`.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// A chain of others that drops what is forwarded, and has a rule of ours.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Chain {
    /// Family of its table.
    pub family: String,
    /// Its table.
    pub table: String,
    /// Its name.
    pub name: String,
}

/// What was changed, and what was before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// The node's own interface.
    pub interface: String,
    /// The gateway on it.
    pub gateway: Ipv4Addr,
    /// Settings, in the order in which they are restored.
    pub settings: Vec<Setting>,
    /// Ranges that have a route.
    pub routes: Vec<Ipv4Net>,
    /// Chains with a rule of ours.
    pub chains: Vec<Chain>,
}

/// The file, of which one process has the use.
#[derive(Debug)]
pub(crate) struct Keeper {
    path: PathBuf,
    /// Locked as long as it is open.
    _lock: File,
}

impl Keeper {
    /// Waits until nobody else uses the file.
    pub(crate) fn open(path: &Path) -> Result<Self, NodeError> {
        let failed = |source| NodeError::State { path: path.to_owned(), what: "locked", source };
        let folder = path.parent().unwrap_or(Path::new("/"));
        fs::create_dir_all(folder).map_err(failed)?;
        let lock = File::create(path.with_extension("lock")).map_err(failed)?;
        lock.lock().map_err(failed)?;
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    /// What was changed; none if nothing was.
    pub(crate) fn read(&self) -> Result<Option<State>, NodeError> {
        let failed = |source| NodeError::State { path: self.path.clone(), what: "read", source };
        match fs::read(&self.path) {
            Ok(text) => {
                serde_json::from_slice(&text).map(Some).map_err(io::Error::from).map_err(failed)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }

    /// Keeps a state, in one step.
    pub(crate) fn write(&self, state: &State) -> Result<(), NodeError> {
        let write = || {
            let folder = self.path.parent().unwrap_or(Path::new("/"));
            let mut file = tempfile::NamedTempFile::new_in(folder)?;
            serde_json::to_writer_pretty(&mut file, state)?;
            file.write_all(b"\n")?;
            file.as_file().sync_all()?;
            file.persist(&self.path).map_err(|error| error.error)?;
            File::open(folder)?.sync_all()
        };
        write().map_err(|source| NodeError::State {
            path: self.path.clone(),
            what: "written",
            source,
        })
    }

    /// Nothing is changed any more.
    pub(crate) fn forget(&self) -> Result<(), NodeError> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                let (path, what) = (self.path.clone(), "removed");
                Err(NodeError::State { path, what, source: error })
            }
            _ => Ok(()),
        }
    }
}
