//! Tells the service manager in one line how the daemon is (`systemctl status`).

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use penstock_api::types::{ReconcileStatus, SourceStatus};
use sd_notify::NotifyState;
use tokio::sync::watch;
use tracing::debug;

use crate::neighbour::Neighbours;

/// What the line is made of.
pub struct Told {
    /// The reconcile loop.
    pub reconcile: watch::Receiver<ReconcileStatus>,
    /// The inputs.
    pub sources: watch::Receiver<Vec<SourceStatus>>,
    /// Nodes whose MAC address is needed.
    pub wanted: watch::Receiver<Option<BTreeSet<Ipv4Addr>>>,
    /// Those that are known.
    pub neighbours: watch::Receiver<Option<Neighbours>>,
}

/// Follows the daemon's state until it ends. Without a service manager nobody is told.
pub async fn tell(mut from: Told) {
    let mut told = String::new();
    loop {
        let now = line(
            &from.reconcile.borrow_and_update(),
            &from.sources.borrow_and_update(),
            pending(
                from.wanted.borrow_and_update().as_ref(),
                from.neighbours.borrow_and_update().as_ref(),
            ),
        );
        if told != now {
            notify(&[NotifyState::Status(&now)]);
            told = now;
        }
        let changed = tokio::select! {
            changed = from.reconcile.changed() => changed,
            changed = from.sources.changed() => changed,
            changed = from.wanted.changed() => changed,
            changed = from.neighbours.changed() => changed,
        };
        if changed.is_err() {
            return;
        }
    }
}

/// Tells a change of state. A service manager that does not listen is no reason to do anything else.
pub fn notify(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        debug!(%error, "the service manager was not told");
    }
}

/// How many of the wanted nodes have no MAC address yet.
fn pending(wanted: Option<&BTreeSet<Ipv4Addr>>, known: Option<&Neighbours>) -> usize {
    let is_known = |node: &Ipv4Addr| known.is_some_and(|known| known.contains_key(node));
    wanted.into_iter().flatten().filter(|node| !is_known(node)).count()
}

/// "in sync" alone only if all is well; else what is not stands behind it.
fn line(status: &ReconcileStatus, sources: &[SourceStatus], pending: usize) -> String {
    let mut text = match &status.last_error {
        Some(error) => format!("{}: {error}", status.state),
        None => status.state.to_string(),
    };
    let mut add = |what: String| {
        text.push_str(if text.contains(", but ") { "; " } else { ", but " });
        text.push_str(&what);
    };
    for source in sources {
        if let Some(error) = source.errors.first() {
            add(format!("{}: {error}", source.name));
        }
    }
    if pending > 0 {
        add(format!("neighbours not resolved yet: {pending}"));
    }
    // A message to the service manager is made of lines.
    text.replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use penstock_api::types::ReconcileState;

    use super::*;

    #[test]
    fn an_error_stands_in_the_line() {
        let mut status =
            ReconcileStatus { state: ReconcileState::InSync, ..ReconcileStatus::default() };
        assert_eq!(line(&status, &[], 0), "in sync");
        status.state = ReconcileState::Failing;
        status.last_error = Some("the card is gone\n(unplugged)".to_owned());
        assert_eq!(line(&status, &[], 0), "failing: the card is gone (unplugged)");
    }

    #[test]
    fn in_sync_alone_means_that_all_is_well() {
        let status =
            ReconcileStatus { state: ReconcileState::InSync, ..ReconcileStatus::default() };
        let source = |name: &str, errors: &[&str]| SourceStatus {
            name: name.to_owned(),
            read: true,
            errors: errors.iter().map(ToString::to_string).collect(),
        };
        let well = [source("files", &[]), source("neighbours", &[])];
        assert_eq!(line(&status, &well, 0), "in sync");
        assert_eq!(line(&status, &well, 3), "in sync, but neighbours not resolved yet: 3");
        let ill =
            [source("files", &["a.yaml is bad", "b too"]), source("neighbours", &["not allowed"])];
        assert_eq!(
            line(&status, &ill, 1),
            "in sync, but files: a.yaml is bad; neighbours: not allowed; neighbours not resolved yet: 1"
        );
    }
}
