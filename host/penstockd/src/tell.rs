//! Tells the service manager in one line how the daemon is (`systemctl status`).

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use futures_util::future::select_all;
use penstock_agent::{Firmware, Handle, Status};
use penstock_api::types::SourceStatus;
use penstock_model::Neighbours;
use sd_notify::NotifyState;
use tokio::sync::watch;
use tracing::debug;

use crate::health;

/// What the line is made of.
pub struct Told {
    /// The cards.
    pub cards: Vec<Card>,
    /// Inputs that all cards share.
    pub inputs: watch::Receiver<Vec<SourceStatus>>,
    /// Nodes whose MAC address is needed.
    pub wanted: watch::Receiver<Option<BTreeSet<Ipv4Addr>>>,
    /// Those that are known.
    pub neighbours: watch::Receiver<Option<Neighbours>>,
}

/// One card.
pub struct Card {
    /// Its agent.
    pub agent: Handle,
    /// Its sources.
    pub sources: watch::Receiver<Arc<[penstock_sources::SourceStatus]>>,
}

/// Follows the daemon's state until it ends. Without a service manager nobody is told.
pub async fn tell(mut from: Told) {
    let mut told = String::new();
    let mut statuses: Vec<_> = from.cards.iter().map(|card| card.agent.status()).collect();
    let mut readings: Vec<_> = from.cards.iter().map(|card| card.agent.readings()).collect();
    loop {
        let pending = pending(
            from.wanted.borrow_and_update().as_ref(),
            from.neighbours.borrow_and_update().as_ref(),
        );
        let (mut lines, several) = (Vec::new(), from.cards.len() > 1);
        for ((card, status), reading) in from.cards.iter_mut().zip(&mut statuses).zip(&mut readings)
        {
            let sources = health::statuses(&card.sources.borrow_and_update());
            let firmware = reading.borrow_and_update().as_ref().map(|reading| reading.firmware);
            let inputs = from.inputs.borrow_and_update();
            let line = line(&status.borrow_and_update(), firmware, &sources, &inputs, pending);
            lines.push(if several { format!("{}: {line}", card.agent.name()) } else { line });
        }
        let now = lines.join(" | ");
        if told != now {
            notify(&[NotifyState::Status(&now)]);
            told = now;
        }
        let cards = statuses
            .iter_mut()
            .map(|status| Box::pin(status.changed()) as Changed<'_>)
            .chain(readings.iter_mut().map(|reading| Box::pin(reading.changed()) as Changed<'_>))
            .chain(from.cards.iter_mut().map(|c| Box::pin(c.sources.changed()) as Changed<'_>));
        let shared: [Changed<'_>; 3] = [
            Box::pin(from.inputs.changed()),
            Box::pin(from.wanted.changed()),
            Box::pin(from.neighbours.changed()),
        ];
        if select_all(cards.chain(shared)).await.0.is_err() {
            return;
        }
    }
}

type Changed<'a> =
    std::pin::Pin<Box<dyn Future<Output = Result<(), watch::error::RecvError>> + Send + 'a>>;

/// Tells a change of state. A service manager that does not listen is no reason to do anything else.
pub fn notify(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        debug!(%error, "the service manager was not told");
    }
}

/// How many of the wanted nodes have no MAC address yet.
fn pending(wanted: Option<&BTreeSet<Ipv4Addr>>, known: Option<&Neighbours>) -> usize {
    let is_known =
        |node: &Ipv4Addr| known.is_some_and(|known| known.contains_key(&IpAddr::V4(*node)));
    wanted.into_iter().flatten().filter(|node| !is_known(node)).count()
}

/// "in sync" alone only if all is well; else what is not stands behind it.
fn line(
    status: &Status,
    firmware: Option<Firmware>,
    sources: &[SourceStatus],
    inputs: &[SourceStatus],
    pending: usize,
) -> String {
    let mut text = match &status.last_error {
        Some(error) => format!("{}: {error}", status.state),
        None => status.state.to_string(),
    };
    let mut add = |what: String| {
        text.push_str(if text.contains(", but ") { "; " } else { ", but " });
        text.push_str(&what);
    };
    match status.refused {
        0 => {}
        1 => add("1 object is refused".to_owned()),
        n => add(format!("{n} objects are refused")),
    }
    match firmware {
        Some(Firmware::Failed) => add("the card's firmware has ended".to_owned()),
        Some(Firmware::Silent) => add("the card's firmware is silent".to_owned()),
        Some(Firmware::Starting | Firmware::Ready) | None => {}
    }
    for source in sources.iter().chain(inputs) {
        if let Some(error) = source.errors.first() {
            add(format!("{}: {error}", source.name));
        } else if source.stale {
            add(format!("{} cannot be seen", source.name));
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
    use penstock_agent::State;

    use super::*;

    fn in_sync() -> Status {
        Status { state: State::InSync, ..Status::default() }
    }

    #[test]
    fn an_error_stands_in_the_line() {
        let mut status = in_sync();
        assert_eq!(line(&status, None, &[], &[], 0), "in sync");
        status.state = State::Failing;
        status.last_error = Some("the card is gone\n(unplugged)".to_owned());
        assert_eq!(line(&status, None, &[], &[], 0), "failing: the card is gone (unplugged)");
    }

    #[test]
    fn in_sync_alone_means_that_all_is_well() {
        let status = in_sync();
        let source = |name: &str, errors: &[&str]| SourceStatus {
            name: name.to_owned(),
            read: true,
            errors: errors.iter().map(ToString::to_string).collect(),
            ..SourceStatus::default()
        };
        let well = [source("files", &[]), source("neighbours", &[])];
        let ready = Some(Firmware::Ready);
        assert_eq!(line(&status, ready, &well, &[], 0), "in sync");
        assert_eq!(
            line(&status, ready, &well, &[], 3),
            "in sync, but neighbours not resolved yet: 3"
        );
        let (files, neighbours) = (
            [source("files", &["a.yaml is bad", "b too"])],
            [source("neighbours", &["not allowed"])],
        );
        assert_eq!(
            line(&status, ready, &files, &neighbours, 1),
            "in sync, but files: a.yaml is bad; neighbours: not allowed; neighbours not resolved yet: 1"
        );
        let refusing = Status { refused: 2, ..in_sync() };
        assert_eq!(
            line(&refusing, Some(Firmware::Failed), &well, &[], 0),
            "in sync, but 2 objects are refused; the card's firmware has ended"
        );
        let stale = SourceStatus { stale: true, ..source("files", &[]) };
        assert_eq!(line(&status, ready, &[stale], &[], 0), "in sync, but files cannot be seen");
    }
}
