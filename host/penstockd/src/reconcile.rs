//! The loop that makes the card's tables what the sources want.
//!
//! Level-triggered: whatever wakes it (a snapshot, a neighbour, a card that came back), it compiles the whole intent, plans
//! against what the card holds, and writes the difference. What the card holds is read back after every attach, after
//! every operation that the card refused, and when its epoch is not the one that was left there (somebody cleared it), and
//! otherwise followed operation by operation. Equal states write nothing.
//!
//! An intent that cannot be compiled or planned leaves the card as it is; so does a card that is gone: its tables stay
//! with it and are adopted when it is back.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use penstock_abi::regs;
use penstock_abi::table::{NextHop, NextHopKind, TableEntry, TableId};
use penstock_compile::{CompileError, compile};
use penstock_device::{Card, DeviceError};
use penstock_model::{MacAddr, Note, Prefix, Snapshot};
use penstock_plan::{Plan, PlanError, plan};
use penstock_tables::{CONFIG_TABLES, Tables};
use penstock_views::api::{ReconcileState, ReconcileStatus};
use tokio::sync::watch;
use tokio::time::sleep;
use tracing::{info, warn};

use crate::device::{Device, LinkError, LinkState, chain};
use crate::neighbour::Neighbours;

/// Operations handed to the card at a time; views are answered in between.
const BATCH_OPERATIONS: usize = 256;
/// First pause before a failed attempt is repeated; doubles up to [`RETRY_MAX`].
const RETRY_MIN: Duration = Duration::from_millis(100);
/// Longest pause before a failed attempt is repeated.
const RETRY_MAX: Duration = Duration::from_secs(5);
/// Pause between two looks whether the card is still there.
const HEALTH: Duration = Duration::from_secs(1);

/// Why the card is not as it should be.
#[derive(Debug, thiserror::Error)]
enum ReconcileError {
    #[error("the desired state cannot be compiled")]
    Compile(#[from] CompileError),
    #[error("the desired state has no place on the card")]
    Plan(#[from] PlanError),
    #[error(transparent)]
    Link(#[from] LinkError),
    #[error("the compiler or the planner failed; this is a defect")]
    Defect,
}

/// What the loop lives on.
pub struct Reconciler {
    /// The card.
    pub device: Device,
    /// The intent.
    pub snapshot: watch::Receiver<Option<Arc<Snapshot>>>,
    /// MAC addresses of nodes.
    pub neighbours: watch::Receiver<Option<Neighbours>>,
    /// Ranges in which `externalIPs` are served.
    pub external_ranges: Vec<Prefix>,
    /// Ranges in which none are, whatever is allowed.
    pub cluster_ranges: Vec<Prefix>,
    /// How it goes.
    pub status: watch::Sender<ReconcileStatus>,
}

/// The card as it was when last read, and what was done to it since.
struct Held {
    tables: Tables,
    /// Neighbours that the card's own tunnels name; good until the kernel knows better.
    remembered: Neighbours,
    epoch: u32,
    /// The data path is known to be on.
    forwarding: bool,
}

impl Reconciler {
    /// Runs until the task is dropped.
    pub async fn run(mut self) {
        let mut retry = RETRY_MIN;
        let mut told = String::new();
        loop {
            self.set_state(ReconcileState::WaitingForDevice);
            match self.take_over().await {
                Ok(held) => {
                    retry = RETRY_MIN;
                    told.clear();
                    self.keep(held).await;
                }
                Err(error) => {
                    let text = chain(&error);
                    self.fail(&text);
                    if told != text {
                        warn!("no card: {text}");
                        told = text;
                    }
                    sleep(retry).await;
                    retry = (retry * 2).min(RETRY_MAX);
                }
            }
        }
    }

    /// Attaches, if need be, and reads back what the card holds.
    async fn take_over(&self) -> Result<Held, LinkError> {
        let attached = matches!(&*self.device.state().borrow(), LinkState::Attached(_));
        if !attached {
            let ident = self.device.attach().await?;
            info!(
                epoch = ident.epoch,
                layout = format!("{:#010x}", ident.layout_version),
                "card attached"
            );
        }
        let held = self.device.run(read_back).await?;
        let used = |&table| penstock_plan::usage(&held.tables, table).used;
        let entries: u32 = CONFIG_TABLES.iter().map(used).sum();
        info!(entries, forwarding = held.forwarding, "tables read back");
        Ok(held)
    }

    /// Keeps the card as it should be until it must be read back.
    async fn keep(&mut self, mut held: Held) {
        let mut link = self.device.state();
        let mut told = String::new();
        loop {
            if !self.is_as_left(&held).await {
                return;
            }
            let ready = self.snapshot.borrow_and_update().is_some()
                & self.neighbours.borrow_and_update().is_some();
            if ready {
                match self.reconcile(held).await {
                    Ok(now) => {
                        held = now;
                        told.clear();
                    }
                    Err((kept, error)) => {
                        let text = chain(&error);
                        self.fail(&text);
                        if told != text {
                            warn!("{text}");
                            told = text;
                        }
                        match (kept, error) {
                            // Only another intent helps; the card is as it was.
                            (Some(kept), ReconcileError::Compile(_) | ReconcileError::Plan(_)) => {
                                held = kept;
                            }
                            // The card refused something: it is there, but what it holds must be read again.
                            (
                                _,
                                ReconcileError::Link(LinkError::Device(DeviceError::BadStatus {
                                    ..
                                })),
                            ) => {
                                sleep(RETRY_MAX).await;
                                return;
                            }
                            _ => return,
                        }
                    }
                }
            } else {
                self.set_state(ReconcileState::WaitingForSources);
            }
            loop {
                tokio::select! {
                    changed = self.snapshot.changed() => {
                        if changed.is_err() {
                            return;
                        }
                        break;
                    }
                    changed = self.neighbours.changed() => {
                        if changed.is_err() {
                            return;
                        }
                        break;
                    }
                    () = lost(&mut link) => return,
                    () = sleep(HEALTH) => {
                        if !self.is_as_left(&held).await {
                            return;
                        }
                    }
                }
            }
        }
    }

    /// Whether the card has the epoch that was left there. Not so if somebody cleared it, or another image took its place; then
    /// this returns when the clearing is done.
    async fn is_as_left(&self, held: &Held) -> bool {
        loop {
            let look =
                |card: &mut Card| Ok((card.read_reg(regs::EPOCH)?, card.status()?.clearing()));
            match self.device.run(look).await {
                Ok((epoch, _)) if epoch == held.epoch => return true,
                Ok((_, true)) => {
                    self.set_state(ReconcileState::WaitingForDevice);
                    sleep(RETRY_MIN).await;
                }
                Ok((epoch, false)) => {
                    warn!(
                        epoch,
                        left = held.epoch,
                        "the card was cleared or written by somebody else; reading it again"
                    );
                    return false;
                }
                // A card that is gone shows in the link's state.
                Err(_) => return true,
            }
        }
    }

    /// One pass. On an error that left the card as it was, what it holds is given back.
    async fn reconcile(&mut self, held: Held) -> Result<Held, (Option<Held>, ReconcileError)> {
        let started = Instant::now();
        let Some(snapshot) = self.snapshot.borrow().clone() else { return Ok(held) };
        let kernel = self.neighbours.borrow().clone().unwrap_or_default();
        let (external, cluster) = (self.external_ranges.clone(), self.cluster_ranges.clone());
        let work = tokio::task::spawn_blocking(move || {
            let mut snapshot = Snapshot::clone(&snapshot);
            (snapshot.external_ranges, snapshot.cluster_ranges) = (external, cluster);
            let result = compile_and_plan(snapshot, &kernel, &held);
            (held, result)
        });
        let (mut held, result) = work.await.map_err(|_| (None, ReconcileError::Defect))?;
        let (plan, notes) = match result {
            Ok(done) => done,
            Err(error) => return Err((Some(held), error)),
        };
        if let Err(error) = self.execute(&plan, &mut held).await {
            return Err((None, error.into()));
        }
        let (operations, ms) = (plan.ops.len(), started.elapsed().as_millis());
        if !plan.is_empty() {
            info!(operations, writes = plan.writes(), ms, epoch = held.epoch, "plan committed");
        }
        self.status.send_modify(|status| {
            status.state = ReconcileState::InSync;
            status.completed += 1;
            status.last_error = None;
            status.notes = notes.iter().map(ToString::to_string).collect();
            if plan.is_empty() {
                status.empty += 1;
            } else {
                status.last_operations = operations as u64;
                status.last_ms = ms as u64;
            }
        });
        Ok(held)
    }

    async fn execute(&self, plan: &Plan, held: &mut Held) -> Result<(), LinkError> {
        for batch in plan.ops.chunks(BATCH_OPERATIONS) {
            let ops = batch.to_vec();
            self.device.run(move |card| card.apply(&ops)).await?;
            batch.iter().for_each(|op| held.tables.apply(op));
        }
        if !plan.is_empty() || held.epoch == 0 {
            let epoch = held.epoch.checked_add(1).unwrap_or(1);
            self.device.run(move |card| card.write_reg(regs::EPOCH, epoch)).await?;
            held.epoch = epoch;
        }
        if !held.forwarding {
            self.device.run(|card| card.set_enabled(true)).await?;
            held.forwarding = true;
            info!("data path enabled");
        }
        Ok(())
    }

    fn set_state(&self, state: ReconcileState) {
        self.status.send_modify(|status| status.state = state);
    }

    fn fail(&self, error: &str) {
        self.status.send_modify(|status| {
            status.state = ReconcileState::Failing;
            status.last_error = Some(error.to_owned());
        });
    }
}

/// Waits until the card is lost, or its thread is.
async fn lost(link: &mut watch::Receiver<LinkState>) {
    let _ = link.wait_for(|state| matches!(state, LinkState::Lost(_))).await;
}

fn read_back(card: &mut Card) -> Result<Held, DeviceError> {
    let card = std::cell::RefCell::new(card);
    let mut remembered = Neighbours::new();
    let tables = Tables::read(
        |table| {
            let entries = card.borrow_mut().dump(table)?;
            if table == TableId::NextHop {
                remembered.extend(
                    entries.iter().filter_map(|(_, words)| neighbour(&NextHop::unpack(words))),
                );
            }
            Ok(entries)
        },
        |table, index| Ok::<_, DeviceError>(card.borrow_mut().read_many(table, &[index])?[0]),
    )?;
    let mut card = card.borrow_mut();
    Ok(Held {
        tables,
        remembered,
        epoch: card.read_reg(regs::EPOCH)?,
        forwarding: card.is_enabled()?,
    })
}

/// The neighbour that a tunnel on the card names.
fn neighbour(nh: &NextHop) -> Option<(Ipv4Addr, MacAddr)> {
    let mac = MacAddr::from_bits(nh.dmac);
    (nh.valid && nh.kind == NextHopKind::Tunnel && mac.is_unicast()).then(|| (nh.dip.into(), mac))
}

fn compile_and_plan(
    mut snapshot: Snapshot,
    kernel: &Neighbours,
    held: &Held,
) -> Result<(Plan, Vec<Note>), ReconcileError> {
    snapshot.neighbours = held.remembered.clone();
    snapshot.neighbours.extend(kernel);
    let desired = compile(&snapshot)?;
    let plan = plan(&desired, &held.tables)?;
    let mut notes = snapshot.notes;
    notes.extend(desired.notes);
    notes.sort();
    notes.dedup();
    Ok((plan, notes))
}
