//! What the daemon could not be told: attachments that are gone. A file each, named by the attachment; the next call of the
//! plugin for the same network tells it.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use crate::error::{CniError, Code};
use crate::request::Key;

/// Stands between the parts of a name; no part has it.
const SEPARATOR: char = ':';

/// Where attachments wait that are gone.
pub trait Queue {
    /// Adds one, so that it stays whatever happens.
    ///
    /// # Errors
    /// The disk's.
    fn put(&self, key: &Key) -> Result<(), CniError>;
    /// All of a network.
    ///
    /// # Errors
    /// The disk's.
    fn all(&self, network: &str) -> Result<Vec<Key>, CniError>;
    /// Removes one, if it is there.
    ///
    /// # Errors
    /// The disk's.
    fn done(&self, key: &Key) -> Result<(), CniError>;
}

/// A folder of files.
#[derive(Clone, Debug)]
pub struct Folder(pub PathBuf);

impl Folder {
    fn file(&self, key: &Key) -> PathBuf {
        let Key { network, container, interface } = key;
        self.0.join(format!("{network}{SEPARATOR}{container}{SEPARATOR}{interface}"))
    }
}

fn failed(path: &Path, error: &io::Error) -> CniError {
    CniError::new(Code::Io, format!("{}: {error}", path.display()))
}

impl Queue for Folder {
    fn put(&self, key: &Key) -> Result<(), CniError> {
        let file = self.file(key);
        let write = || {
            fs::create_dir_all(&self.0)?;
            File::create(&file)?;
            // The name is all that there is.
            File::open(&self.0)?.sync_all()
        };
        write().map_err(|error| failed(&file, &error))
    }

    fn all(&self, network: &str) -> Result<Vec<Key>, CniError> {
        let fail = |error: io::Error| failed(&self.0, &error);
        let entries = match fs::read_dir(&self.0) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(fail)?,
        };
        let mut keys = Vec::new();
        for entry in entries {
            let name = entry.map_err(fail)?.file_name();
            let parts: Vec<&str> = name.to_str().unwrap_or_default().split(SEPARATOR).collect();
            if let [of, container, interface] = parts[..]
                && of == network
            {
                let [container, interface] = [container, interface].map(str::to_owned);
                keys.push(Key { network: of.to_owned(), container, interface });
            }
        }
        keys.sort();
        Ok(keys)
    }

    fn done(&self, key: &Key) -> Result<(), CniError> {
        let file = self.file(key);
        match fs::remove_file(&file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(&file, &error)),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_is_found_by_its_network() {
        let dir = tempfile::tempdir().unwrap();
        let queue = Folder(dir.path().join("queue"));
        assert_eq!(queue.all("pods").unwrap(), []);
        let key = |network: &str, container: &str| Key {
            network: network.to_owned(),
            container: container.to_owned(),
            interface: "eth0".to_owned(),
        };
        for key in [key("pods", "b"), key("pods", "a.1"), key("red", "c"), key("pods", "b")] {
            queue.put(&key).unwrap();
        }
        assert_eq!(queue.all("pods").unwrap(), [key("pods", "a.1"), key("pods", "b")]);
        queue.done(&key("pods", "b")).unwrap();
        queue.done(&key("pods", "b")).unwrap();
        assert_eq!(queue.all("pods").unwrap(), [key("pods", "a.1")]);
    }
}
