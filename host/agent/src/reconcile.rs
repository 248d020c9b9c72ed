//! The loop that makes the card's tables what the intent wants, and looks whether they still are.
//!
//! Level-triggered: whatever wakes it (an intent, a neighbour, a card that came back), its engine is given the whole state, and
//! what it says to do is done phase by phase, each confirmed by the card before the next is begun: nothing points to what the
//! card refused. What the card holds is read back after every attach, after every operation that failed, when it is not as it was
//! left, and where an audit finds a difference; otherwise it is followed operation by operation. Equal states write nothing.
//!
//! Nothing is done before the intent is complete, and nothing of an object that is refused keeps the rest from being done. A
//! card that is gone keeps its tables; they are adopted when it is back.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use penstock_abi::regs;
use penstock_model::{Intent, Neighbours};
use penstock_tables::{CONFIG_TABLES, Op, Tables};
use tokio::sync::{mpsc, watch};
use tokio::time::sleep;
use tracing::{info, warn};

use crate::audit::{self, AuditError, Request, Run};
use crate::backoff::Backoff;
use crate::device::{Device, JOB_COMMANDS, LinkState};
use crate::engine::{Engine, Inputs, Pass, Scope};
use crate::error::{Defect, LinkError, chain};
use crate::look::{Look, Verdict};
use crate::read;
use crate::status::{self, LastChange, State, Status};

/// Pause between two looks at a card of which nothing else is wanted.
const LOOK: Duration = Duration::from_secs(1);

/// Why the loop has to begin anew.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Link(#[from] LinkError),
    #[error("the card was cleared or written by somebody else; reading it again")]
    Changed,
    #[error("the card was reset by somebody else; attaching to it again")]
    Reset,
    #[error(transparent)]
    Defect(#[from] Defect),
}

/// What the loop lives on.
pub(crate) struct Reconciler {
    pub(crate) device: Device,
    pub(crate) intent: watch::Receiver<Arc<Intent>>,
    pub(crate) neighbours: watch::Receiver<Option<Neighbours>>,
    pub(crate) audits: mpsc::Receiver<Request>,
    /// Pause between two audits that nobody asks for.
    pub(crate) audit_every: Duration,
    /// None while it works.
    pub(crate) engine: Option<Box<dyn Engine>>,
    pub(crate) status: watch::Sender<Status>,
    /// What the card holds, as it has confirmed it.
    pub(crate) tables: watch::Sender<Option<Arc<Tables>>>,
    /// Counts rounds that came to an end: whoever does not see it move knows that something hangs.
    pub(crate) beats: watch::Sender<u64>,
}

/// The card as it was when last read, and what was done to it since.
struct Held {
    tables: Tables,
    /// The engine has not been given the tables yet.
    adopt: bool,
    /// Neighbours that the card's own tunnels name; good until the kernel knows better.
    remembered: Neighbours,
    left: Look,
}

/// What the loop waits for.
enum Wake {
    Inputs,
    Audit(Option<Request>),
    Lost,
    Look,
}

impl Reconciler {
    /// Runs until the task is dropped, or it meets a defect.
    pub(crate) async fn run(mut self) -> Defect {
        let mut backoff = Backoff::new();
        let mut told = String::new();
        loop {
            let Err(failure) = self.follow(&mut backoff, &mut told).await;
            let text = chain(&failure);
            if let Failure::Defect(defect) = failure {
                self.fail(&format!("{text}; this is a defect"));
                return defect;
            }
            self.fail(&text);
            if told != text {
                warn!("{text}");
                told = text.clone();
            }
            self.beat();
            self.pause(backoff.failed(), &text).await;
        }
    }

    /// Waits; who wants an audit meanwhile is told why there is none.
    async fn pause(&mut self, pause: Duration, why: &str) {
        let end = tokio::time::Instant::now() + pause;
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(end) => return,
                Some(request) = self.audits.recv() => {
                    // Who has gone needs no answer.
                    let _ = request.send(Err(AuditError::Unavailable(why.to_owned())));
                }
            }
        }
    }

    /// Takes the card over and keeps it as it should be until that fails.
    async fn follow(
        &mut self,
        backoff: &mut Backoff,
        told: &mut String,
    ) -> Result<Infallible, Failure> {
        let mut held = self.take_over().await?;
        let mut link = self.device.state();
        let mut audit_due = Instant::now() + self.audit_every;
        let mut audit: Option<Run> = None;
        let mut scope = Scope::Changed;
        loop {
            self.check(&held).await?;
            let operations = match self.inputs(&mut held) {
                Some(inputs) => {
                    let operations = self.reconcile(&mut held, inputs, scope).await?;
                    backoff.succeeded();
                    told.clear();
                    operations
                }
                None => {
                    self.set_state(State::WaitingForSources);
                    0
                }
            };
            if scope == Scope::Everything
                && let Some(run) = audit.take()
            {
                self.end_audit(run, operations);
                audit_due = Instant::now() + self.audit_every;
            }
            scope = Scope::Changed;
            loop {
                self.beat();
                match self.wait(&mut link, audit_due, audit.is_some()).await? {
                    Wake::Inputs => break,
                    Wake::Lost => return Err(self.lost().into()),
                    Wake::Look => self.check(&held).await?,
                    Wake::Audit(request) => {
                        let run = audit.get_or_insert_with(Run::new);
                        run.requests.extend(request);
                        if !self.audit_next(run, &mut held).await? {
                            scope = Scope::Everything;
                            break;
                        }
                    }
                }
            }
        }
    }

    async fn wait(
        &mut self,
        link: &mut watch::Receiver<LinkState>,
        audit_due: Instant,
        auditing: bool,
    ) -> Result<Wake, Defect> {
        let lost = link.wait_for(|state| matches!(state, LinkState::Lost(_)));
        tokio::select! {
            _ = lost => Ok(Wake::Lost),
            changed = self.intent.changed() => changed.map(|()| Wake::Inputs).map_err(|_| Defect::Task),
            changed = self.neighbours.changed() => changed.map(|()| Wake::Inputs).map_err(|_| Defect::Task),
            request = self.audits.recv() => request.map(|r| Wake::Audit(Some(r))).ok_or(Defect::Task),
            () = std::future::ready(()), if auditing => Ok(Wake::Audit(None)),
            () = tokio::time::sleep_until(audit_due.into()) => Ok(Wake::Audit(None)),
            () = sleep(LOOK) => Ok(Wake::Look),
        }
    }

    /// Attaches, if need be, and reads back what the card holds.
    async fn take_over(&mut self) -> Result<Held, Failure> {
        let attached = matches!(&*self.device.state().borrow(), LinkState::Attached(_));
        if !attached {
            self.tables.send_replace(None);
            let ident = self.device.attach().await?;
            info!(
                epoch = ident.epoch,
                layout = format!("{:#010x}", ident.layout_version),
                "card attached"
            );
        }
        let left = self.device.run(Look::take).await?;
        if left.clearing {
            return Err(Failure::Changed);
        }
        let tables = read::configuration(&self.device).await?;
        // A clear in between shows in the next look.
        let entries: usize = CONFIG_TABLES.iter().map(|&table| tables.len(table)).sum();
        info!(entries, forwarding = left.forwarding, "tables read back");
        let held = Held { adopt: true, remembered: read::neighbours(&tables), left, tables };
        self.publish(&held);
        Ok(held)
    }

    /// Makes sure that the card is as it was left; waits until a clearing is over.
    async fn check(&self, held: &Held) -> Result<(), Failure> {
        loop {
            let now = self.device.run(Look::take).await?;
            match held.left.judge(&now) {
                Verdict::AsLeft => return Ok(()),
                Verdict::Clearing => {
                    self.set_state(State::WaitingForDevice);
                    self.beat();
                    sleep(Backoff::MIN).await;
                }
                Verdict::Changed => return Err(Failure::Changed),
                Verdict::Reset => {
                    self.device.give_up(Failure::Reset.to_string()).await?;
                    return Err(Failure::Reset);
                }
            }
        }
    }

    /// What there is to go by; none while that is not all there.
    fn inputs(&mut self, held: &mut Held) -> Option<Inputs> {
        let intent = Arc::clone(&self.intent.borrow_and_update());
        let kernel = self.neighbours.borrow_and_update().clone();
        let mut neighbours = kernel.filter(|_| intent.complete && intent.node.is_some())?;
        held.remembered = std::mem::take(&mut held.remembered)
            .into_iter()
            .filter(|(address, _)| !neighbours.contains_key(address))
            .collect();
        for (address, mac) in &held.remembered {
            neighbours.insert(*address, *mac);
        }
        Some(Inputs { intent, neighbours })
    }

    /// One pass; says how many operations it took.
    async fn reconcile(
        &mut self,
        held: &mut Held,
        inputs: Inputs,
        scope: Scope,
    ) -> Result<usize, Failure> {
        let started = Instant::now();
        let mut engine = self.engine.take().ok_or(Defect::Engine)?;
        let adopt = std::mem::take(&mut held.adopt).then(|| held.tables.clone());
        let work = tokio::task::spawn_blocking(move || {
            if let Some(tables) = adopt {
                engine.adopt(tables);
            }
            let pass = engine.pass(&inputs, scope);
            (engine, pass)
        });
        let (engine, pass) = work.await.map_err(|_| Defect::Engine)?;
        self.engine = Some(engine);
        let Pass { phases, compiled, findings } = pass;
        let before = held.left;
        self.execute(&phases, held).await?;
        let changed = held.left != before;
        let operations: usize = phases.iter().map(Vec::len).sum();
        let took = started.elapsed();
        if operations > 0 {
            let (phases, ms, epoch) = (phases.len(), took.as_millis(), held.left.epoch);
            info!(operations, phases, ms, epoch, "plan committed");
        }
        let refused = status::refused(&findings);
        if refused != self.status.borrow().refused {
            warn!(refused, "objects are refused; `penstock status` names them");
        }
        self.status.send_modify(|status| {
            status.state = State::InSync;
            status.completed += 1;
            if changed {
                status.changed = Some(Instant::now());
            }
            status.last_error = None;
            status.refused = refused;
            (status.compiled, status.findings) = (compiled, findings);
            if operations == 0 {
                status.empty += 1;
            } else {
                status.last = LastChange { operations, phases: phases.len(), took };
            }
        });
        Ok(operations)
    }

    async fn execute(&self, phases: &[Vec<Op>], held: &mut Held) -> Result<(), LinkError> {
        for batch in phases.iter().flat_map(|phase| phase.chunks(JOB_COMMANDS)) {
            let ops = batch.to_vec();
            self.device.run(move |card| card.apply(&ops)).await?;
            batch.iter().for_each(|op| held.tables.apply(op));
            self.publish(held);
            self.beat();
        }
        if phases.iter().any(|phase| !phase.is_empty()) || held.left.epoch == 0 {
            let epoch = held.left.epoch.checked_add(1).unwrap_or(1);
            self.device.run(move |card| card.write_reg(regs::EPOCH, epoch)).await?;
            held.left.epoch = epoch;
        }
        if !held.left.forwarding {
            self.device.run(|card| card.set_enabled(true)).await?;
            held.left.forwarding = true;
            info!("data path enabled");
        }
        Ok(())
    }

    /// Looks at the next table of an audit; says whether there was one.
    async fn audit_next(&self, run: &mut Run, held: &mut Held) -> Result<bool, Failure> {
        let Some(table) = run.next() else { return Ok(false) };
        let (found, theirs) = audit::table(&self.device, table, &held.tables).await?;
        if found.differing > 0 {
            warn!(
                ?table,
                entries = found.differing,
                first = ?found.differences.first(),
                "the card does not hold what was written to it; writing it again"
            );
        }
        run.add(found);
        if let Some(theirs) = theirs {
            (held.tables, held.adopt) = (theirs, true);
            self.publish(held);
        }
        Ok(true)
    }

    fn end_audit(&self, run: Run, operations: usize) {
        let (audit, requests) = run.finish(operations);
        let audit = Arc::new(audit);
        if operations > 0 && audit.tables.iter().all(|table| table.differing == 0) {
            warn!(
                operations,
                "plans have left something out, which is a defect; it was written now"
            );
        }
        self.status.send_modify(|status| status.audit = Some(Arc::clone(&audit)));
        for request in requests {
            // Who has gone needs no answer.
            let _ = request.send(Ok(Arc::clone(&audit)));
        }
    }

    fn lost(&self) -> LinkError {
        match &*self.device.state().borrow() {
            LinkState::Lost(why) => LinkError::Lost(why.clone()),
            LinkState::Attached(_) => LinkError::Lost("it is being attached".to_owned()),
        }
    }

    fn publish(&self, held: &Held) {
        // A clone shares all entries.
        self.tables.send_replace(Some(Arc::new(held.tables.clone())));
    }

    fn beat(&self) {
        self.beats.send_modify(|beats| *beats = beats.wrapping_add(1));
    }

    fn set_state(&self, state: State) {
        self.status.send_if_modified(|status| std::mem::replace(&mut status.state, state) != state);
    }

    fn fail(&self, error: &str) {
        self.status.send_modify(|status| {
            status.state = State::Failing;
            status.last_error = Some(error.to_owned());
        });
    }
}
