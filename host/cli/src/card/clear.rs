//! `card clear`: the one way to empty a card's tables other than power.

use std::fmt;

use anyhow::{Context as _, Result};
use penstock_abi::table::TABLES;
use penstock_device::{Card, DeviceError};
use serde::Serialize;

/// A card that was cleared.
#[derive(Debug, Serialize)]
pub struct Cleared {
    /// As it was named.
    pub device: String,
    /// What was cleared.
    pub tables: Vec<ClearedTable>,
    /// Tables that were cleared and could not be read before.
    pub unread: Vec<&'static str>,
    /// Whether it forwards packets, which clearing does not change; without tables it drops them.
    pub forwarding: bool,
}

/// A table that was not empty.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct ClearedTable {
    /// Its name.
    pub table: &'static str,
    /// Entries that it had.
    pub entries: usize,
}

/// Clears all tables, flows and counters.
///
/// # Errors
/// The card does not answer, or does not finish.
pub fn clear(mut card: Card, device: &str) -> Result<Cleared> {
    let (tables, unread) = count(&mut card);
    let mut run = || -> Result<_, DeviceError> {
        card.clear_all()?;
        card.is_enabled()
    };
    let forwarding = run().with_context(|| format!("cannot clear {device}"))?;
    Ok(Cleared { device: device.to_owned(), tables, unread, forwarding })
}

/// What there is, as far as it can be read: a card that cannot be read whole is one to be cleared.
fn count(card: &mut Card) -> (Vec<ClearedTable>, Vec<&'static str>) {
    let (mut tables, mut unread) = (Vec::new(), Vec::new());
    let mut answers = true;
    for desc in TABLES.iter().filter(|desc| desc.has_valid) {
        if !answers {
            unread.push(desc.name);
            continue;
        }
        match card.dump(desc.id).map(|entries| entries.len()) {
            Ok(0) => {}
            Ok(entries) => tables.push(ClearedTable { table: desc.name, entries }),
            Err(error) => {
                unread.push(desc.name);
                // A card that does not answer is waited for once; a refusal is an answer.
                answers = matches!(error, DeviceError::BadStatus { .. });
            }
        }
    }
    (tables, unread)
}

impl fmt::Display for Cleared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Cleared {}: all flows, counters and tables", self.device)?;
        for table in &self.tables {
            let plural = if table.entries == 1 { "y" } else { "ies" };
            writeln!(f, "  {:<12}{:>8} entr{plural}", table.table, table.entries)?;
        }
        if !self.unread.is_empty() {
            writeln!(f, "  (not counted, as they could not be read: {})", self.unread.join(", "))?;
        } else if self.tables.is_empty() {
            writeln!(f, "  (they were empty)")?;
        }
        writeln!(f, "A daemon that starts now writes what its sources want.")
    }
}
