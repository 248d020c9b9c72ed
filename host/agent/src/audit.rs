//! The audit: compares what the card holds with what the host believes that it holds.
//!
//! Every step that the card confirms is followed in memory, so the two are the same unless one of them is at fault: a defect
//! of the card or of the driver, a memory that flipped, somebody else who writes. A table is compared by its digest where the
//! card can make one, and read back only if that differs, or if the card can not; then what was read is taken for true, and the
//! plan that follows mends it.

use std::collections::BTreeSet;
use std::time::{Duration, Instant, SystemTime};

use penstock_abi::table::TableId;
use penstock_tables::{CONFIG_TABLES, Difference, Tables};
use tokio::sync::oneshot;

use crate::device::Device;
use crate::error::LinkError;
use crate::read;

/// Differences of one table that a report holds; the rest is counted.
const DIFFERENCES_MAX: usize = 1000;

/// What an audit found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audit {
    /// When it was begun.
    pub at: SystemTime,
    /// How long it took, repair included.
    pub took: Duration,
    /// Table by table.
    pub tables: Vec<TableAudit>,
    /// Operations of the plan that followed, in which everything was looked at: those that mend what differed. If nothing did, those
    /// that the plans since the last audit forgot, which is a defect.
    pub operations: usize,
}

impl Audit {
    /// Whether all was as it should be.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.operations == 0 && self.tables.iter().all(|table| table.differing == 0)
    }
}

/// One table in an audit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableAudit {
    /// The table.
    pub table: TableId,
    /// Entries that the host believes in.
    pub entries: usize,
    /// It was read back; otherwise the digests were the same.
    pub read_back: bool,
    /// Entries that differ.
    pub differing: usize,
    /// The first of them; `ours` is what the host believes, `theirs` what the card holds.
    pub differences: Vec<Difference>,
}

/// Why there is no audit.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum AuditError {
    /// The card cannot be read at the moment.
    #[error("the card cannot be audited: {0}")]
    Unavailable(String),
    /// The agent ends.
    #[error("the daemon ends")]
    Ended,
}

/// Who waits for an audit.
pub(crate) type Request = oneshot::Sender<Result<std::sync::Arc<Audit>, AuditError>>;

/// An audit under way: a table at a time, so that changes come in between.
pub(crate) struct Run {
    at: SystemTime,
    started: Instant,
    left: Vec<TableId>,
    tables: Vec<TableAudit>,
    pub(crate) requests: Vec<Request>,
}

impl Run {
    pub(crate) fn new() -> Self {
        Self {
            at: SystemTime::now(),
            started: Instant::now(),
            left: CONFIG_TABLES.iter().rev().copied().collect(),
            tables: Vec::new(),
            requests: Vec::new(),
        }
    }

    /// The next table, if there is one left.
    pub(crate) fn next(&mut self) -> Option<TableId> {
        self.left.pop()
    }

    pub(crate) fn add(&mut self, table: TableAudit) {
        self.tables.push(table);
    }

    /// All tables were looked at, and the plan that followed had this many operations.
    pub(crate) fn finish(self, operations: usize) -> (Audit, Vec<Request>) {
        let took = self.started.elapsed();
        (Audit { at: self.at, took, tables: self.tables, operations }, self.requests)
    }
}

/// Looks at one table. If it is not as `ours`, what it holds is returned besides, in a copy of `ours`.
pub(crate) async fn table(
    device: &Device,
    table: TableId,
    ours: &Tables,
) -> Result<(TableAudit, Option<Tables>), LinkError> {
    let entries = ours.len(table);
    let audit = |read_back, differences: &[Difference]| TableAudit {
        table,
        entries,
        read_back,
        differing: differences.len(),
        differences: differences.iter().take(DIFFERENCES_MAX).copied().collect(),
    };
    if read::digest(device, table).await? == Some(ours.digest(table)) {
        return Ok((audit(false, &[]), None));
    }
    let dumped = read::dump(device, table).await?;
    let valid: BTreeSet<u32> = dumped.iter().map(|(index, _)| *index).collect();
    // What a dump does not show is not valid, but need not be all zeros (holes of groups, generations).
    let others: Vec<u32> =
        ours.entries(table, ..).map(|(index, _)| index).filter(|i| !valid.contains(i)).collect();
    let mut theirs = ours.clone();
    theirs.load_all(table, &dumped);
    read::load(device, &mut theirs, table, &others).await?;
    let differences = ours.difference(&theirs);
    let found = audit(true, &differences);
    Ok((found, (!differences.is_empty()).then_some(theirs)))
}
