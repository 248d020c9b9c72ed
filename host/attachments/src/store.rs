//! Attachments and resting numbers on disk: one redb file for all cards of a daemon.
//!
//! | table | key | value |
//! | --- | --- | --- |
//! | `attachments` | card, network, container, interface | the attachment, JSON |
//! | `freed` | card, kind (0 vif, 1 label), number | seconds since 1970 |
//! | `meta` | `version` | [`VERSION`] |
//!
//! A change is one transaction, synced before it counts.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use redb::{
    Database, ReadTransaction, ReadableDatabase as _, ReadableTable as _, TableDefinition,
    TableError, WriteTransaction,
};

use crate::attachments::{Attachment, Key};
use crate::numbers::Freed;

type AttachmentKey = (&'static str, &'static str, &'static str, &'static str);

const ATTACHMENTS: TableDefinition<'_, AttachmentKey, &'static [u8]> =
    TableDefinition::new("attachments");
const FREED: TableDefinition<'_, (&'static str, u8, u32), u64> = TableDefinition::new("freed");
const META: TableDefinition<'_, &'static str, u32> = TableDefinition::new("meta");

/// Layout of the file.
const VERSION: u32 = 1;
/// Name of the file.
const FILE: &str = "attachments.redb";

/// Why the disk does not give or keep what it should.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The folder cannot be made; the operator's.
    #[error("cannot make {}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Cause.
        source: std::io::Error,
    },
    /// The file cannot be read or written: the disk's, or somebody else has it open.
    #[error("{}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Cause.
        source: Box<redb::Error>,
    },
    /// It was written by a newer daemon.
    #[error("{} has layout {found}, and this daemon knows {VERSION}: start the daemon that wrote it", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its layout.
        found: u32,
    },
    /// It holds what no daemon writes.
    #[error("{}: attachment {key} is damaged", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Which.
        key: String,
        /// Cause.
        source: serde_json::Error,
    },
}

/// What kind of number is free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    Vif = 0,
    Label = 1,
}

/// A part of a transaction.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Change<'a> {
    Put(&'a Attachment),
    Remove(&'a Key),
    Freed(Kind, u32, u64),
}

/// What the disk holds of a card.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    pub(crate) attachments: BTreeMap<Key, Attachment>,
    pub(crate) vifs: Freed,
    pub(crate) labels: Freed,
}

/// The file.
#[derive(Debug)]
pub struct Store {
    database: Database,
    path: PathBuf,
}

impl Store {
    /// Opens the file in a folder; makes both if they are not there.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        std::fs::create_dir_all(folder)
            .map_err(|source| StoreError::Folder { path: folder.to_owned(), source })?;
        let path = folder.join(FILE);
        let database = Database::create(&path).map_err(|error| failed(&path, error))?;
        let store = Self { database, path };
        let found = store.attempt(|write| {
            let mut meta = write.open_table(META)?;
            let found = meta.get("version")?.map(|version| version.value());
            if found.is_none() {
                meta.insert("version", VERSION)?;
            }
            Ok(found)
        })?;
        match found {
            Some(found) if found > VERSION => Err(StoreError::Newer { path: store.path, found }),
            _ => Ok(store),
        }
    }

    /// What it holds of a card.
    pub(crate) fn load(&self, card: &str) -> Result<Kept, StoreError> {
        let read = self.database.begin_read().map_err(|error| failed(&self.path, error))?;
        let attachments = attachments(&read, card).map_err(|error| failed(&self.path, error))?;
        let mut kept = Kept::default();
        for (key, bytes) in attachments {
            let attachment: Attachment = serde_json::from_slice(&bytes).map_err(|source| {
                StoreError::Damaged { path: self.path.clone(), key: key.to_string(), source }
            })?;
            kept.attachments.insert(key, attachment);
        }
        let freed = |kind| freed(&read, card, kind).map_err(|error| failed(&self.path, error));
        (kept.vifs, kept.labels) = (freed(Kind::Vif)?, freed(Kind::Label)?);
        Ok(kept)
    }

    /// Makes changes, all of them or none.
    pub(crate) fn commit(&self, card: &str, changes: &[Change<'_>]) -> Result<(), StoreError> {
        self.attempt(|write| {
            let mut attachments = write.open_table(ATTACHMENTS)?;
            let mut freed = write.open_table(FREED)?;
            for change in changes {
                match *change {
                    Change::Put(attachment) => {
                        // A value of strings and numbers can always be written.
                        let bytes = serde_json::to_vec(attachment).map_err(std::io::Error::from)?;
                        attachments.insert(words(card, &attachment.key), &*bytes)?;
                    }
                    Change::Remove(key) => _ = attachments.remove(words(card, key))?,
                    Change::Freed(kind, number, at) => {
                        _ = freed.insert((card, kind as u8, number), at)?;
                    }
                }
            }
            Ok(())
        })
    }

    fn attempt<T>(
        &self,
        work: impl FnOnce(&WriteTransaction) -> Result<T, redb::Error>,
    ) -> Result<T, StoreError> {
        let run = || -> Result<T, redb::Error> {
            let write = self.database.begin_write()?;
            let value = work(&write)?;
            write.commit()?;
            Ok(value)
        };
        run().map_err(|error| failed(&self.path, error))
    }
}

fn failed(path: &Path, error: impl Into<redb::Error>) -> StoreError {
    StoreError::File { path: path.to_owned(), source: Box::new(error.into()) }
}

fn words<'a>(card: &'a str, key: &'a Key) -> (&'a str, &'a str, &'a str, &'a str) {
    (card, &key.network, &key.container, &key.interface)
}

fn attachments(read: &ReadTransaction, card: &str) -> Result<Vec<(Key, Vec<u8>)>, redb::Error> {
    let table = match read.open_table(ATTACHMENTS) {
        Err(TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
        table => table?,
    };
    let mut found = Vec::new();
    for entry in table.range((card, "", "", "")..)? {
        let (key, value) = entry?;
        let (of, network, container, interface) = key.value();
        if of != card {
            break;
        }
        let [network, container, interface] = [network, container, interface].map(str::to_owned);
        found.push((Key { network, container, interface }, value.value().to_vec()));
    }
    Ok(found)
}

fn freed(read: &ReadTransaction, card: &str, kind: Kind) -> Result<Freed, redb::Error> {
    let table = match read.open_table(FREED) {
        Err(TableError::TableDoesNotExist(_)) => return Ok(Freed::default()),
        table => table?,
    };
    let mut freed = BTreeMap::new();
    for entry in table.range((card, kind as u8, 0)..=(card, kind as u8, u32::MAX))? {
        let (key, at) = entry?;
        freed.insert(key.value().2, at.value());
    }
    Ok(Freed::new(freed))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_a_newer_daemon_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        store
            .attempt(|write| {
                write.open_table(META)?.insert("version", 2)?;
                Ok(())
            })
            .unwrap();
        drop(store);
        let error = Store::open(dir.path()).unwrap_err();
        assert!(matches!(error, StoreError::Newer { found: 2, .. }), "{error}");
    }

    #[test]
    fn a_file_has_one_owner() {
        let dir = tempfile::tempdir().unwrap();
        let _store = Store::open(dir.path()).unwrap();
        let error = Store::open(dir.path()).unwrap_err();
        assert!(error.to_string().ends_with("attachments.redb"), "{error}");
    }
}
