//! An agent and its handle.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use penstock_abi::fw::{Death, TraceEntry};
use penstock_abi::table::{Flow, FlowStats};
use penstock_device::{Card, Wanted};
use penstock_model::{Intent, Neighbours};
use penstock_tables::Tables;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};
use tokio::task::JoinSet;

use crate::audit::{Audit, AuditError, Audits, Request};
use crate::backoff::Backoff;
use crate::beat::Beat;
use crate::device::{Device, JOB_COMMANDS, LinkState, Opener};
use crate::engine::Engine;
use crate::error::{Defect, LinkError};
use crate::events::{self, Counts, Follower, Hub};
use crate::flow_audit::{self, FlowAudit};
use crate::keep::Keeper;
use crate::observe::{self, Reading};
use crate::read;
use crate::reconcile::Reconciler;
use crate::status::Status;

/// How long whoever asks for what counts waits for a reading that is younger than the last change.
const FRESH: Duration = Duration::from_secs(1);

/// Requests for audits that may wait at a time; those that come together, or while one is under way, are answered by one.
const AUDITS_WAITING: usize = 16;

/// What an agent is told when it starts.
pub struct Config {
    /// Name of the card, as the operator gave it.
    pub name: String,
    /// Device specification, for people.
    pub spec: String,
    /// How to reach the device.
    pub opener: Opener,
    /// Who keeps the device from being reset while no daemon runs.
    pub keeper: Arc<dyn Keeper>,
    /// What makes steps of intents.
    pub engine: Box<dyn Engine>,
    /// Pause between two audits that nobody asks for.
    pub audit_every: Duration,
}

/// All flows of a card. As long as this lives, who else asks for them waits.
pub struct Flows {
    /// The tables of flows and of their statistics, and no others.
    pub tables: Tables,
    _turn: Option<OwnedSemaphorePermit>,
}

/// One card, kept. Dropping it ends its tasks and leaves the card's tables as they are.
pub struct Agent {
    handle: Handle,
    tasks: JoinSet<Defect>,
}

/// What others see of an agent, and may ask of it; clones share it.
#[derive(Clone)]
pub struct Handle {
    name: Arc<str>,
    spec: Arc<str>,
    device: Device,
    status: watch::Receiver<Status>,
    tables: watch::Receiver<Option<Arc<Tables>>>,
    readings: watch::Receiver<Option<Arc<Reading>>>,
    poke: Arc<Notify>,
    beats: watch::Receiver<u64>,
    audits: mpsc::Sender<Request>,
    /// One reader of flows at a time, until it has done with them: whatever else the card is asked for waits behind one piece of a
    /// dump at most, and the host has the memory of one table of flows.
    turn: Arc<Semaphore>,
    hub: Arc<Hub>,
}

impl Agent {
    /// Starts the card's thread and the tasks, on the current runtime. The card is attached to when it is there.
    ///
    /// # Errors
    /// The operating system refuses a thread.
    pub fn start(
        config: Config,
        intent: watch::Receiver<Arc<Intent>>,
        neighbours: watch::Receiver<Option<Neighbours>>,
    ) -> io::Result<Self> {
        let device = Device::start(config.opener, config.keeper)?;
        let (status_tx, status) = watch::channel(Status::default());
        let (tables_tx, tables) = watch::channel(None);
        let (readings_tx, readings) = watch::channel(None);
        let beat = Beat::new();
        let beats = beat.subscribe();
        let poke = Arc::new(Notify::new());
        let (audits, requests) = mpsc::channel(AUDITS_WAITING);
        let reconciler = Reconciler {
            device: device.clone(),
            intent,
            neighbours,
            requests,
            audits: Audits::default(),
            audit_every: config.audit_every,
            engine: Some(config.engine),
            status: status_tx,
            tables: tables_tx,
            beat,
            backoff: Backoff::new(),
            told: String::new(),
        };
        let mut tasks = JoinSet::new();
        tasks.spawn(reconciler.run());
        tasks.spawn({
            let poked = Arc::clone(&poke);
            let observer = observe::observe(device.clone(), tables.clone(), readings_tx, poked);
            async move {
                observer.await;
                Defect::Task
            }
        });
        let hub = Hub::new();
        tasks.spawn({
            let listener = events::listen(device.clone(), Arc::clone(&hub), Arc::clone(&poke));
            async move {
                listener.await;
                Defect::Task
            }
        });
        tasks.spawn({
            let device = device.clone();
            async move {
                device.ended().await;
                Defect::Thread
            }
        });
        let handle = Handle {
            name: config.name.into(),
            spec: config.spec.into(),
            device,
            status,
            tables,
            readings,
            poke,
            beats,
            audits,
            turn: Arc::new(Semaphore::new(1)),
            hub,
        };
        Ok(Self { handle, tasks })
    }

    /// What others see of it.
    #[must_use]
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Waits until a part of it has ended.
    pub async fn failed(&mut self) -> Defect {
        match self.tasks.join_next().await {
            Some(Ok(defect)) => defect,
            Some(Err(_)) | None => Defect::Task,
        }
    }
}

impl Handle {
    /// Name of the card.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Device specification.
    #[must_use]
    pub fn spec(&self) -> &str {
        &self.spec
    }

    /// Whether there is a card.
    #[must_use]
    pub fn link(&self) -> LinkState {
        self.device.state().borrow().clone()
    }

    /// How it goes; changes can be awaited.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<Status> {
        self.status.clone()
    }

    /// Counts rounds, and pieces of long ones, that came to an end; at least one in some seconds unless something hangs.
    #[must_use]
    pub fn beats(&self) -> watch::Receiver<u64> {
        self.beats.clone()
    }

    /// The last reading of what counts on the card; none while there is no card. It is from memory, unless the agent has changed
    /// the card since: then a reading that shows the change is waited for, a second at most.
    pub async fn reading(&self) -> Option<Arc<Reading>> {
        let since = self.status.borrow().changed;
        let mut readings = self.readings.clone();
        let shows = |reading: &Option<Arc<Reading>>| {
            reading.as_ref().is_some_and(|reading| since.is_none_or(|since| reading.taken >= since))
        };
        if matches!(self.link(), LinkState::Attached(_)) && !shows(&readings.borrow()) {
            self.poke.notify_one();
            // Late, what there is must do.
            let _ = tokio::time::timeout(FRESH, readings.wait_for(shows)).await;
        }
        readings.borrow().clone()
    }

    /// The same, to be followed.
    #[must_use]
    pub fn readings(&self) -> watch::Receiver<Option<Arc<Reading>>> {
        self.readings.clone()
    }

    /// What the card's configuration tables hold, as it has confirmed it.
    ///
    /// # Errors
    /// [`LinkError::Lost`] while there is no card, or it was not read yet.
    pub fn tables(&self) -> Result<Arc<Tables>, LinkError> {
        if let LinkState::Lost(why) = self.link() {
            return Err(LinkError::Lost(why));
        }
        let tables = self.tables.borrow().clone();
        tables.ok_or_else(|| LinkError::Lost("its tables are being read".to_owned()))
    }

    /// All flows with their statistics, read from the card in pieces. They change meanwhile: each is seen as it was at some moment.
    ///
    /// # Errors
    /// As [`Device::run`].
    pub async fn flows(&self) -> Result<Flows, LinkError> {
        // The semaphore is never closed.
        let turn = Arc::clone(&self.turn).acquire_owned().await.ok();
        Ok(Flows { tables: read::flows(&self.device).await?, _turn: turn })
    }

    /// One flow, if it is there, with its statistics and those of its partner.
    ///
    /// # Errors
    /// As [`Device::run`].
    pub async fn flow(&self, index: u32) -> Result<Tables, LinkError> {
        let _turn = self.turn.acquire().await.ok();
        read::flow(&self.device, index).await
    }

    /// What the card's firmware did last, be it alive or not.
    ///
    /// # Errors
    /// As [`Device::run`].
    pub async fn firmware_trace(&self) -> Result<Vec<TraceEntry>, LinkError> {
        let numbers = self.device.run(Card::firmware_trace_range).await?;
        let mut entries = Vec::with_capacity(numbers.len());
        // Five registers each, as many as commands in a job.
        for first in numbers.clone().step_by(JOB_COMMANDS / 5) {
            let some = first..numbers.end.min(first + JOB_COMMANDS as u32 / 5);
            entries.extend(self.device.run(move |card| card.firmware_trace(some)).await?);
        }
        Ok(entries)
    }

    /// What the card's firmware died of last.
    ///
    /// # Errors
    /// As [`Device::run`].
    pub async fn firmware_death(&self) -> Result<Option<Death>, LinkError> {
        self.device.run(Card::firmware_death).await
    }

    /// Ends a connection: deletes the pair of flow entries of which one stands at `index`, and says what stood there, if something
    /// did. Its next packet is decided anew.
    ///
    /// # Errors
    /// As [`Device::run`].
    pub async fn delete_flow(&self, index: u32) -> Result<Option<(Flow, FlowStats)>, LinkError> {
        self.device.run(move |card| card.delete_flow(index)).await
    }

    /// Follows events of the card, also while there is none. When this returns, the card that there is has been asked for them,
    /// unless it is late by a second.
    pub async fn follow(&self, wanted: Wanted) -> Follower {
        self.hub.follow(wanted).await
    }

    /// How many events there were.
    #[must_use]
    pub fn event_counts(&self) -> Counts {
        self.hub.counts()
    }

    /// Compares what the card holds with what it should, now, and mends what differs.
    ///
    /// # Errors
    /// [`AuditError`].
    pub async fn audit(&self) -> Result<Arc<Audit>, AuditError> {
        let (reply, answer) = oneshot::channel();
        self.audits.send(reply).await.map_err(|_| AuditError::Ended)?;
        answer.await.unwrap_or(Err(AuditError::Ended))
    }

    /// Looks whether the card's flows are whole; with `fix`, deletes the pairs that are not, and those that nobody can use any more.
    ///
    /// # Errors
    /// As [`Handle::tables`] and [`Device::run`].
    pub async fn audit_flows(&self, fix: bool) -> Result<FlowAudit, LinkError> {
        let _turn = self.turn.acquire().await.ok();
        let configuration = self.tables()?;
        flow_audit::flows(&self.device, &configuration, fix).await
    }
}
