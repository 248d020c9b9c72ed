//! The audit: compares what the card holds with what the host believes that it holds.
//!
//! Every step that the card confirms is followed in memory, so the two are the same unless one of them is at fault: a defect
//! of the card or of the driver, a memory that flipped, somebody else who writes. A table is compared by its digest where the
//! card can make one, and read back only if that differs, or if the card can not; then what was read is taken for true, and the
//! plan that follows mends it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use penstock_abi::table::TableId;
use penstock_tables::{CONFIG_TABLES, Difference, Entry, Op, Tables};
use tokio::sync::oneshot;

use crate::beat::Beat;
use crate::device::{Device, JOB_COMMANDS};
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
    /// Operations that mended what differed.
    pub repairs: usize,
    /// Operations of the pass behind that, in which everything was looked at and not only what had changed: those that earlier
    /// passes have left out, which is a defect. They were done.
    pub left_out: usize,
    /// There was something to go by; otherwise nothing was mended, as nobody has said yet what the card is to hold.
    pub mended: bool,
}

impl Audit {
    /// Whether all was as it should be.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.left_out == 0 && self.tables.iter().all(|table| table.differing == 0)
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
    /// Entries that differ, those with the wrong parity included.
    pub differing: usize,
    /// Entries that stood in the card with the wrong parity, as they were written again.
    pub odd: Vec<(u32, Entry)>,
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
pub(crate) type Request = oneshot::Sender<Result<Arc<Audit>, AuditError>>;

/// The audit under way, if there is one, and who waits for another.
#[derive(Default)]
pub(crate) struct Audits {
    run: Option<Run>,
    /// Those who came when it was under way: they want to know what the card holds now, so theirs is the one behind it.
    waiting: Vec<Request>,
}

/// An audit under way: a table at a time, so that changes come in between.
struct Run {
    at: SystemTime,
    started: Instant,
    left: Vec<TableId>,
    tables: Vec<TableAudit>,
    repairs: usize,
    requests: Vec<Request>,
}

impl Run {
    fn new(requests: Vec<Request>) -> Self {
        Self {
            at: SystemTime::now(),
            started: Instant::now(),
            left: CONFIG_TABLES.iter().rev().copied().collect(),
            tables: Vec::new(),
            repairs: 0,
            requests,
        }
    }
}

impl Audits {
    /// Begins an audit if none is under way; somebody who asks for it hears of one that begins from now on.
    pub(crate) fn ask(&mut self, request: Option<Request>) {
        match &mut self.run {
            Some(run) if run.tables.is_empty() => run.requests.extend(request),
            Some(_) => self.waiting.extend(request),
            None => self.run = Some(Run::new(request.into_iter().collect())),
        }
    }

    /// Whether one is under way.
    pub(crate) fn running(&self) -> bool {
        self.run.is_some()
    }

    /// Whether one is under way and has looked at all tables.
    pub(crate) fn is_through(&self) -> bool {
        self.run.as_ref().is_some_and(|run| run.left.is_empty())
    }

    /// The next table, if there is one left.
    pub(crate) fn next(&mut self) -> Option<TableId> {
        self.run.as_mut()?.left.pop()
    }

    /// A table was looked at.
    pub(crate) fn add(&mut self, table: TableAudit) {
        if let Some(run) = &mut self.run {
            run.tables.push(table);
        }
    }

    /// What was found to differ so far was mended.
    pub(crate) fn repaired(&mut self, operations: usize) {
        if let Some(run) = &mut self.run {
            run.repairs += operations;
        }
    }

    /// Ends the audit: tells its result, first `publish` and then who asked for it, and begins the next if somebody waits.
    /// `left_out` as in [`Audit`]; none if nothing could be mended.
    pub(crate) fn end(&mut self, left_out: Option<usize>, publish: impl FnOnce(Arc<Audit>)) {
        let Some(run) = self.run.take() else { return };
        let audit = Arc::new(Audit {
            at: run.at,
            took: run.started.elapsed(),
            tables: run.tables,
            repairs: run.repairs,
            left_out: left_out.unwrap_or(0),
            mended: left_out.is_some(),
        });
        publish(Arc::clone(&audit));
        answer(run.requests, &Ok(audit));
        if !self.waiting.is_empty() {
            self.run = Some(Run::new(std::mem::take(&mut self.waiting)));
        }
    }

    /// The card cannot be audited: whoever waits is told why.
    pub(crate) fn fail(&mut self, why: &str) {
        let under_way = self.run.take().map(|run| run.requests);
        let waiting = std::mem::take(&mut self.waiting);
        let requests = under_way.into_iter().flatten().chain(waiting).collect();
        answer(requests, &Err(AuditError::Unavailable(why.to_owned())));
    }
}

fn answer(requests: Vec<Request>, answer: &Result<Arc<Audit>, AuditError>) {
    for request in requests {
        // Who has gone needs no answer.
        let _ = request.send(answer.clone());
    }
}

/// Looks at one table. If it is not as `ours`, what it holds is returned besides, in a copy of `ours`.
pub(crate) async fn table(
    device: &Device,
    table: TableId,
    ours: &Tables,
    beat: &Beat,
) -> Result<(TableAudit, Option<Tables>), LinkError> {
    let entries = ours.len(table);
    let audit = |read_back, odd: Vec<(u32, Entry)>, differences: &[Difference]| TableAudit {
        table,
        entries,
        read_back,
        differing: differences.len() + odd.len(),
        odd,
        differences: differences.iter().take(DIFFERENCES_MAX).copied().collect(),
    };
    if read::digest(device, table).await? == Some(ours.digest(table)) {
        return Ok((audit(false, Vec::new(), &[]), None));
    }
    let (dumped, mut odd) = read::dump(device, table, beat).await?;
    let valid: BTreeSet<u32> = dumped.iter().map(|(index, _)| *index).collect();
    // What a dump does not show is not valid, but need not be all zeros (holes of groups, generations).
    let others: Vec<u32> =
        ours.entries(table, ..).map(|(index, _)| index).filter(|i| !valid.contains(i)).collect();
    let mut theirs = ours.clone();
    theirs.load_all(table, &dumped);
    odd.extend(read::load(device, &mut theirs, table, &others, beat).await?);
    odd.sort_unstable();
    odd.dedup();
    let odd = rewrite(device, table, ours, &odd).await?;
    for (index, entry) in &odd {
        theirs.set(*index, *entry);
    }
    let differences = ours.difference(&theirs);
    let found = audit(true, odd, &differences);
    Ok((found, (!differences.is_empty()).then_some(theirs)))
}

/// Writes entries again that stand in the card with the wrong parity, as it has confirmed them: who they are is known, so that
/// nothing has to be planned. Says what was written.
pub(crate) async fn rewrite(
    device: &Device,
    table: TableId,
    ours: &Tables,
    odd: &[u32],
) -> Result<Vec<(u32, Entry)>, LinkError> {
    let held =
        |&index: &u32| (index, ours.entry(table, index).unwrap_or_else(|| Entry::clear(table)));
    let entries: Vec<(u32, Entry)> = odd.iter().map(held).collect();
    for some in entries.chunks(JOB_COMMANDS) {
        let ops: Vec<Op> = some.iter().map(|(index, entry)| Op::write(*index, *entry)).collect();
        device.run(move |card| card.apply(&ops)).await?;
    }
    Ok(entries)
}
