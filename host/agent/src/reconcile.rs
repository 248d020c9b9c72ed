//! The loop that makes the card's tables what the intent wants, and looks whether they still are.
//!
//! Level-triggered: whatever wakes it (an intent, a neighbour, a card that came back), its engine is given the whole state, and
//! what it says to do is done phase by phase, each confirmed by the card before the next is begun: nothing points to what the
//! card refused. What the card holds is read back after every attach, when it is not as it was left, where an audit finds a
//! difference, and as far as a batch reaches of which the card refused an operation; otherwise it is followed operation by
//! operation. Equal states write nothing.
//!
//! Nothing is done before the intent is complete, and nothing of an object that is refused keeps the rest from being done. A
//! card that is gone keeps its tables; they are adopted when it is back.

mod execute;
mod hold;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use penstock_model::{FlowAging, Intent, Neighbours};
use penstock_tables::Tables;
use tokio::sync::{mpsc, watch};
use tokio::time::sleep;
use tracing::{info, warn};

use crate::audit::{self, AuditError, Audits, Request};
use crate::backoff::Backoff;
use crate::beat::Beat;
use crate::device::{Device, LinkState};
use crate::engine::{Engine, Inputs, Pass, Scope};
use crate::error::{Defect, LinkError, chain};
use crate::look::Look;
use crate::status::{self, LastChange, State, Status};

/// Pause between two looks at a card of which nothing else is wanted.
const LOOK: Duration = Duration::from_secs(1);

/// Why the loop has to begin anew.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Link(#[from] LinkError),
    /// The card refused an operation. What it holds is known all the same.
    #[error("{0}")]
    Refused(String),
    #[error("the system has no random numbers for the secret of the card's flow hash: {0}")]
    Random(String),
    #[error("the card has been clearing its tables for {} s and does not come to an end", hold::CLEARING_MAX.as_secs())]
    Clearing,
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
    pub(crate) requests: mpsc::Receiver<Request>,
    pub(crate) audits: Audits,
    /// Pause between two audits that nobody asks for.
    pub(crate) audit_every: Duration,
    /// None while it works.
    pub(crate) engine: Option<Box<dyn Engine>>,
    pub(crate) status: watch::Sender<Status>,
    /// What the card holds, as it has confirmed it.
    pub(crate) tables: watch::Sender<Option<Arc<Tables>>>,
    pub(crate) beat: Beat,
    pub(crate) backoff: Backoff,
    /// The failure that the log has last; empty after a success.
    pub(crate) told: String,
}

/// The card as it was when last read, and what was done to it since.
struct Held {
    tables: Tables,
    /// The engine has not been given the tables yet.
    adopt: bool,
    /// Neighbours that the card's own tunnels name; good until the kernel knows better.
    remembered: Neighbours,
    left: Look,
    /// What it was made to be last.
    inputs: Option<Arc<Inputs>>,
    /// How long it was told last that flows may rest.
    aging: Option<FlowAging>,
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
        loop {
            let Err(failure) = self.follow().await;
            // Nobody knows what it holds until it is read again.
            self.tables.send_replace(None);
            let text = chain(&failure);
            if let Failure::Defect(defect) = failure {
                let text = format!("{text}; this is a defect");
                self.audits.fail(&text);
                self.fail(&text);
                return defect;
            }
            self.failed(&text).await;
        }
    }

    /// Tells a failure, and waits before the next attempt.
    async fn failed(&mut self, text: &str) {
        self.audits.fail(text);
        self.fail(text);
        if self.told != text {
            warn!("{text}");
            text.clone_into(&mut self.told);
        }
        self.beat.beat();
        let pause = self.backoff.failed();
        self.pause(pause, text).await;
    }

    /// Waits; who wants an audit meanwhile is told why there is none.
    async fn pause(&mut self, pause: Duration, why: &str) {
        let end = tokio::time::Instant::now() + pause;
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(end) => return,
                Some(request) = self.requests.recv() => {
                    // Who has gone needs no answer.
                    let _ = request.send(Err(AuditError::Unavailable(why.to_owned())));
                }
            }
        }
    }

    /// Takes the card over and keeps it as it should be until that fails.
    async fn follow(&mut self) -> Result<Infallible, Failure> {
        let mut held = self.take_over().await?;
        let mut link = self.device.state();
        let mut audit_due = Instant::now() + self.audit_every;
        loop {
            self.check(&mut held).await?;
            match self.settle(&mut held, &mut audit_due).await {
                Ok(()) => {}
                Err(Failure::Refused(text)) => {
                    if self.audits.running() {
                        // It broke off, and must not begin anew as soon as the rest is done.
                        audit_due = Instant::now() + self.audit_every;
                    }
                    self.failed(&text).await;
                    continue;
                }
                Err(failure) => return Err(failure),
            }
            // An audit gets on by a table at least between two passes.
            let mut owed = self.audits.running();
            loop {
                self.beat.beat();
                let wake = if std::mem::take(&mut owed) {
                    Wake::Audit(None)
                } else {
                    self.wait(&mut link, audit_due).await?
                };
                match wake {
                    Wake::Inputs => break,
                    Wake::Lost => return Err(self.lost().into()),
                    Wake::Look => self.check(&mut held).await?,
                    Wake::Audit(request) => {
                        self.audits.ask(request);
                        if !self.audit_next(&mut held).await? {
                            break;
                        }
                    }
                }
            }
        }
    }

    /// Makes the card what the inputs want, and ends an audit that has looked at all tables.
    async fn settle(&mut self, held: &mut Held, audit_due: &mut Instant) -> Result<(), Failure> {
        // What an audit found is mended before anything new is taken up, so that each is counted as what it is.
        if held.adopt
            && self.audits.running()
            && let Some(last) = held.inputs.clone()
        {
            let repairs = self.reconcile(held, last, Scope::Changed).await?;
            self.audits.repaired(repairs);
        }
        let inputs = self.inputs(held).map(Arc::new);
        match &inputs {
            Some(inputs) => {
                self.let_age(held, inputs).await?;
                self.reconcile(held, Arc::clone(inputs), Scope::Changed).await?;
                held.inputs = Some(Arc::clone(inputs));
            }
            None => self.set_state(State::WaitingForSources),
        }
        if self.audits.is_through() {
            // Of what was just done nothing is left: operations are those that passes have left out.
            let left_out = match inputs {
                Some(inputs) => Some(self.reconcile(held, inputs, Scope::Everything).await?),
                None => None,
            };
            self.end_audit(left_out);
            *audit_due = Instant::now() + self.audit_every;
        }
        if held.inputs.is_some() {
            self.backoff.succeeded();
            self.told.clear();
        }
        Ok(())
    }

    async fn wait(
        &mut self,
        link: &mut watch::Receiver<LinkState>,
        audit_due: Instant,
    ) -> Result<Wake, Defect> {
        let auditing = self.audits.running();
        let lost = link.wait_for(|state| matches!(state, LinkState::Lost(_)));
        tokio::select! {
            biased;
            _ = lost => Ok(Wake::Lost),
            request = self.requests.recv() => request.map(|r| Wake::Audit(Some(r))).ok_or(Defect::Task),
            () = tokio::time::sleep_until(audit_due.into()), if !auditing => Ok(Wake::Audit(None)),
            changed = self.intent.changed() => changed.map(|()| Wake::Inputs).map_err(|_| Defect::Task),
            changed = self.neighbours.changed() => changed.map(|()| Wake::Inputs).map_err(|_| Defect::Task),
            () = std::future::ready(()), if auditing => Ok(Wake::Audit(None)),
            () = sleep(LOOK) => Ok(Wake::Look),
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
        inputs: Arc<Inputs>,
        scope: Scope,
    ) -> Result<usize, Failure> {
        let started = Instant::now();
        let mut engine = self.engine.take().ok_or(Defect::Engine)?;
        let adopt = std::mem::take(&mut held.adopt).then(|| held.tables.clone());
        let given = Arc::clone(&inputs);
        self.beat.beat();
        let work = tokio::task::spawn_blocking(move || {
            if let Some(tables) = adopt {
                engine.adopt(tables);
            }
            let pass = engine.pass(&given, scope);
            (engine, pass)
        });
        let (engine, pass) = work.await.map_err(|_| Defect::Engine)?;
        self.engine = Some(engine);
        self.beat.beat();
        self.execute(&pass, &inputs, held).await?;
        let Pass { phases, compiled, findings } = pass;
        let operations: usize = phases.iter().map(Vec::len).sum();
        let took = started.elapsed();
        if operations > 0 {
            let (phases, ms, epoch) = (phases.len(), took.as_millis(), held.left.epoch);
            info!(operations, phases, ms, epoch, "plan committed");
        }
        let refused = {
            let before = self.status.borrow();
            status::refused(&before.findings, before.refused, &findings)
        };
        if refused != self.status.borrow().refused {
            warn!(refused, "objects are refused; `penstock status` names them");
        }
        self.status.send_modify(|status| {
            status.state = State::InSync;
            status.completed += 1;
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

    /// Looks at the next table of an audit; says whether there was one.
    async fn audit_next(&mut self, held: &mut Held) -> Result<bool, Failure> {
        let Some(table) = self.audits.next() else { return Ok(false) };
        let (found, theirs) = audit::table(&self.device, table, &held.tables, &self.beat).await?;
        if found.differing > 0 {
            warn!(
                ?table,
                entries = found.differing,
                first = ?found.differences.first(),
                odd = ?found.odd.first(),
                "the card does not hold what was written to it"
            );
        }
        self.audits.repaired(found.odd.len());
        self.audits.add(found);
        if let Some(theirs) = theirs {
            (held.tables, held.adopt) = (theirs, true);
            self.publish(held);
        }
        Ok(true)
    }

    fn end_audit(&mut self, left_out: Option<usize>) {
        if let Some(left_out @ 1..) = left_out {
            warn!(left_out, "plans have left something out, which is a defect; it was written now");
        }
        let status = &self.status;
        self.audits.end(left_out, |audit| {
            status.send_modify(|status| status.audit = Some(audit));
        });
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

    /// A state in which nothing has failed.
    fn set_state(&self, state: State) {
        self.status.send_if_modified(|status| {
            let same = status.state == state && status.last_error.is_none();
            (status.state, status.last_error) = (state, None);
            !same
        });
    }

    fn fail(&self, error: &str) {
        self.status.send_modify(|status| {
            status.state = State::Failing;
            status.last_error = Some(error.to_owned());
        });
    }
}
