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
    let mut run = || -> Result<_, DeviceError> {
        let mut tables = Vec::new();
        for desc in TABLES.iter().filter(|desc| desc.has_valid) {
            let entries = card.dump(desc.id)?.len();
            if entries > 0 {
                tables.push(ClearedTable { table: desc.name, entries });
            }
        }
        card.clear_all()?;
        Ok((tables, card.is_enabled()?))
    };
    let (tables, forwarding) = run().with_context(|| format!("cannot clear {device}"))?;
    Ok(Cleared { device: device.to_owned(), tables, forwarding })
}

impl fmt::Display for Cleared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Cleared {}: all flows, counters and tables", self.device)?;
        for table in &self.tables {
            let plural = if table.entries == 1 { "y" } else { "ies" };
            writeln!(f, "  {:<12}{:>8} entr{plural}", table.table, table.entries)?;
        }
        if self.tables.is_empty() {
            writeln!(f, "  (they were empty)")?;
        }
        writeln!(f, "A daemon that starts now writes what its sources want.")
    }
}
