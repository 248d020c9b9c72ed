//! What the data path survives on the kernel's VFIO: the daemon's sudden death and the reset that the kernel issues when the
//! last descriptor of the function closes. What clears it: `penstock card clear`, and nothing else.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::Site;
use super::node::{Connection, DAEMON, Node, UNPRIVILEGED, exchange, is_silent, open};
use crate::card::Wires;
use crate::guest::FUNCTION;

const CONNECTIONS: u16 = 8;
/// The holder's pause before it starts the daemon again is a fraction of a second at first.
const RESTART_TIMEOUT: Duration = Duration::from_secs(30);

pub(super) fn run(site: &Site<'_>) -> Result<()> {
    let mut node = Node::start(site)?;
    node.start_daemon()?;
    let connections = (0..CONNECTIONS)
        .map(|i| open(&mut node.wires, 41_000 + i))
        .collect::<Result<Vec<Connection>>>()?;
    killed(site, &mut node, &connections)?;
    held_open(site, &mut node, &connections)?;
    cleared(site, &mut node, &connections)
}

/// kill -9 under traffic: the kernel resets the function; nothing is lost; the next daemon writes nothing.
fn killed(site: &Site<'_>, node: &mut Node, connections: &[Connection]) -> Result<()> {
    let before = card(node)?;
    let traffic = Traffic::start(node, connections);
    node.end_daemon("-9")?;
    let status = node.start_daemon()?;
    let exchanged = traffic.stop(node)?;
    let after = card(node)?;
    ensure!(after.flr_count > before.flr_count, "the kernel did not reset the function");
    site.held(&format!(
        "penstockd killed with -9 and started again under traffic: {} function-level resets, {exchanged} of {exchanged} segments answered",
        after.flr_count - before.flr_count
    ));
    ensure!(
        status.reconcile.empty == status.reconcile.completed && after.epoch == before.epoch,
        "the restarted daemon wrote: {:?}, epoch {} after {}",
        status.reconcile,
        after.epoch,
        before.epoch
    );
    site.held("the restarted daemon adopted the tables by reading them back and wrote nothing");
    node.end_daemon("-TERM")
}

/// The same with a holder of the descriptors: not even a reset.
fn held_open(site: &Site<'_>, node: &mut Node, connections: &[Connection]) -> Result<()> {
    node.guest.run(&format!(
        "{UNPRIVILEGED} penstock card hold -- {DAEMON} >>/run/penstock/hold.log 2>&1 & echo $! >/run/penstockd.pid"
    ))?;
    node.in_sync()?;
    let before = card(node)?;
    let traffic = Traffic::start(node, connections);
    for _ in 0..3 {
        let old = node.guest.run("pidof penstockd")?;
        node.guest.run(&format!("kill -9 {}", old.trim()))?;
        node.guest.wait_for("a daemon restarted by its holder", RESTART_TIMEOUT, |guest| {
            let (code, pid) = guest.attempt("pidof penstockd")?;
            Ok((code == 0 && pid != old).then_some(()))
        })?;
        let status = node.in_sync()?;
        ensure!(status.reconcile.empty == status.reconcile.completed, "the daemon wrote");
    }
    let exchanged = traffic.stop(node)?;
    let after = card(node)?;
    if after.flr_count != before.flr_count {
        node.guest.attempt("cat /run/penstock/*.log")?;
    }
    ensure!(
        after.flr_count == before.flr_count,
        "{} resets in spite of the holder",
        after.flr_count - before.flr_count
    );
    site.held(&format!(
        "killed three times under `penstock card hold`: no reset, nothing written, {exchanged} of {exchanged} segments answered"
    ));
    node.end_daemon("-TERM")
}

/// `penstock card clear`: refused to a second owner, and otherwise the end of the tables.
fn cleared(site: &Site<'_>, node: &mut Node, connections: &[Connection]) -> Result<()> {
    node.start_daemon()?;
    let clear = format!("penstock card clear pci:{FUNCTION}");
    let (code, text) = node.guest.attempt(&clear)?;
    ensure!(code != 0 && text.contains("owner"), "a running daemon's card was cleared: {text}");
    let (code, text) = node.guest.attempt(&format!("penstock card unbind {FUNCTION}"))?;
    ensure!(code != 0 && text.contains("another process"), "its function was unbound: {text}");
    for connection in connections {
        exchange(&mut node.wires, *connection, b"still there")?;
    }
    site.held("`penstock card clear` and `unbind` are refused while a daemon owns the card");
    node.end_daemon("-TERM")?;
    node.guest.run(&clear)?;
    ensure!(is_silent(&mut node.wires, 42_000)?, "a cleared card forwards");
    site.held("`penstock card clear` clears the card: it forwards nothing");
    let status = node.start_daemon()?;
    ensure!(status.reconcile.last_operations > 0, "nothing was written into a cleared card");
    ensure!(node.flows()?.flows.is_empty(), "flows survived the clear");
    open(&mut node.wires, 42_001)?;
    site.held(&format!(
        "the next daemon writes the tables anew: {} operations",
        status.reconcile.last_operations
    ));
    Ok(())
}

fn card(node: &mut Node) -> Result<penstock_views::registers::CardStatus> {
    node.status()?.device.card.context("the daemon has no card")
}

/// Segments on all connections, each waited for, from a thread of its own.
struct Traffic {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<(Wires, u64)>>,
}

impl Traffic {
    fn start(node: &mut Node, connections: &[Connection]) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let mut wires = std::mem::take(&mut node.wires);
        let connections = connections.to_vec();
        let thread = thread::spawn(move || {
            let mut exchanged = 0;
            while !stopped.load(Ordering::Relaxed) {
                for connection in &connections {
                    exchange(&mut wires, *connection, &[exchanged as u8; 64])?;
                    exchanged += 2;
                }
            }
            Ok((wires, exchanged))
        });
        Self { stop, thread }
    }

    /// Stops and returns how many segments went through, all of those sent.
    fn stop(self, node: &mut Node) -> Result<u64> {
        self.stop.store(true, Ordering::Relaxed);
        let ended =
            self.thread.join().map_err(|_| anyhow::anyhow!("the traffic's thread panicked"))?;
        let (wires, exchanged) = ended.context("traffic while the daemon was killed")?;
        node.wires = wires;
        Ok(exchanged)
    }
}
