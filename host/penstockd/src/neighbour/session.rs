//! One connection to the kernel: reads its table, asks for what is missing or stale, follows its events.
//!
//! Round trips: one a node for its route, when it is newly wanted and when routes change (at most once in
//! [`SETTLE`]) or are read again; one for the table with each of these and with every tick. None for an event.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::net::Ipv4Addr;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tracing::{debug, warn};

use super::netlink::{Event, FollowError, Kernel, KernelError};
use super::table::Table;
use super::{Known, Outlets};

/// Pause between two whole reads of the kernel's table.
const REFRESH: Duration = Duration::from_secs(10);
/// Changes of routes, or losses of events, within this time after one are looked at together.
const SETTLE: Duration = Duration::from_millis(200);
/// Events looked at before anything else is done.
const EVENTS_MAX: usize = 1024;

/// Follows `kernel` until it fails. Ok: nobody says any more what is wanted.
pub(super) async fn session(
    kernel: &mut impl Kernel,
    wanted: &mut watch::Receiver<Option<BTreeSet<Ipv4Addr>>>,
    known: &mut Known,
    outlets: &Outlets,
) -> Result<(), FollowError> {
    let mut session = Session { table: Table::default(), refused: BTreeMap::new(), worked: false };
    session
        .run(kernel, wanted, known, outlets)
        .await
        .map_err(|source| FollowError::Lost { worked: session.worked, source })
}

struct Session {
    table: Table,
    /// Nodes for which the kernel could not be made to ask, and why.
    refused: BTreeMap<Ipv4Addr, String>,
    /// The table was read.
    worked: bool,
}

impl Session {
    async fn run(
        &mut self,
        kernel: &mut impl Kernel,
        wanted: &mut watch::Receiver<Option<BTreeSet<Ipv4Addr>>>,
        known: &mut Known,
        outlets: &Outlets,
    ) -> Result<(), KernelError> {
        let mut refresh = Instant::now();
        let mut routes = Some(refresh);
        loop {
            let now = Instant::now();
            let mut nodes = Vec::new();
            let rewanted = !self.worked || wanted.has_changed().unwrap_or(false);
            if rewanted {
                let targets = known.targets(wanted.borrow_and_update().as_ref());
                nodes = self.table.want(&targets);
                self.refused.retain(|node, _| targets.contains(node));
            }
            let reread = now >= refresh;
            if reread || routes.is_some_and(|at| at <= now) {
                nodes.extend(self.table.nodes());
                routes = None;
            }
            for &node in &nodes {
                let hop = kernel.route(node).await?;
                self.table.set_route(node, hop, now);
            }
            if reread || !nodes.is_empty() {
                let entries = kernel.entries().await?;
                self.table.read(&entries, now, |node, mac| {
                    if known.learn(node, mac) {
                        outlets.add(node, mac);
                    }
                });
                refresh = now + REFRESH;
            }
            self.ask(kernel, now);
            if rewanted {
                // Also forgets those that are not wanted any more.
                self.worked = true;
                outlets.publish(&known.last);
            }
            let complaints = self.complaints();
            if outlets.report(true, complaints.clone()) {
                complaints.iter().for_each(|complaint| warn!("neighbours: {complaint}"));
            }

            let until =
                [self.table.next_due(), routes].into_iter().flatten().fold(refresh, Instant::min);
            tokio::select! {
                () = sleep_until(until) => {}
                changed = wanted.changed() => {
                    if changed.is_err() {
                        return Ok(());
                    }
                    wanted.mark_changed();
                }
                event = kernel.event() => {
                    let mut events = vec![event?];
                    // Those that have come already, too, so that many events are one turn.
                    while events.len() < EVENTS_MAX
                        && let Some(event) = kernel.event().now_or_never()
                    {
                        events.push(event?);
                    }
                    for event in events {
                        match event {
                            Event::Routes => {
                                routes.get_or_insert_with(|| Instant::now() + SETTLE);
                            }
                            Event::Lost => refresh = refresh.min(Instant::now() + SETTLE),
                            Event::Neighbour(entry) => {
                                self.table.apply(&entry, Instant::now(), |node, mac| {
                                    if known.learn(node, mac) {
                                        outlets.add(node, mac);
                                    }
                                });
                            }
                        }
                    }
                }
            }
        }
    }

    /// Makes the kernel ask for what is due. What it has no room for is due again later, like what nobody answered.
    fn ask(&mut self, kernel: &mut impl Kernel, now: Instant) {
        for node in self.table.due(now) {
            match kernel.ask(node) {
                Ok(()) => {
                    self.refused.remove(&node);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    debug!(%node, "the kernel takes no more datagrams at the moment");
                }
                Err(error) => {
                    debug!(%node, %error, "cannot make the kernel resolve a neighbour");
                    self.refused.insert(node, error.to_string());
                }
            }
        }
    }

    /// What keeps neighbours from being learned, for people.
    fn complaints(&self) -> Vec<String> {
        let unrouted: Vec<_> = self.table.unrouted().collect();
        let mut complaints = Vec::new();
        if !unrouted.is_empty() {
            complaints.push(format!("no route to {}", some_of(&unrouted)));
        }
        if let Some(error) = self.refused.values().next() {
            let nodes: Vec<_> = self.refused.keys().copied().collect();
            complaints.push(format!(
                "no datagram, which makes the kernel ask, can be sent to {}: {error}",
                some_of(&nodes)
            ));
        }
        complaints
    }
}

/// The first of `nodes`, and how many there are besides.
fn some_of(nodes: &[Ipv4Addr]) -> String {
    match nodes {
        [] => "none".to_owned(),
        [one] => one.to_string(),
        [first, rest @ ..] => format!("{first} and {} more", rest.len()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::VecDeque;
    use std::io;

    use penstock_api::types::SourceStatus;
    use penstock_model::{MacAddr, Neighbours};

    use super::super::Known4;
    use super::super::table::{Entry, Hop, Resolution};
    use super::*;
    use crate::health::Health;

    const NODES: u32 = 1000;

    /// A kernel that resolves whatever it is made to ask for, one after the other.
    #[derive(Default)]
    struct Fake {
        resolved: BTreeMap<Hop, MacAddr>,
        /// Nodes whose answers are on their way.
        answers: VecDeque<Ipv4Addr>,
        asked: Vec<Ipv4Addr>,
        round_trips: usize,
        /// Events are lost, and it is said that they are.
        loses: bool,
        /// Why it cannot be made to ask.
        refusal: Option<io::ErrorKind>,
    }

    fn hop(node: Ipv4Addr) -> Hop {
        Hop { interface: 7, address: node }
    }

    fn mac(node: Ipv4Addr) -> MacAddr {
        let [a, b, c, d] = node.octets();
        MacAddr([2, 0, a, b, c, d])
    }

    fn node(i: u32) -> Ipv4Addr {
        Ipv4Addr::from(u32::from(Ipv4Addr::new(10, 0, 0, 1)) + i)
    }

    impl Kernel for Fake {
        async fn entries(&mut self) -> Result<Vec<Entry>, KernelError> {
            self.round_trips += 1;
            let good = |(hop, mac): (&Hop, &MacAddr)| Entry {
                hop: *hop,
                resolution: Resolution::Good(*mac),
            };
            Ok(self.resolved.iter().map(good).collect())
        }

        async fn route(&mut self, node: Ipv4Addr) -> Result<Option<Hop>, KernelError> {
            self.round_trips += 1;
            Ok(Some(hop(node)))
        }

        async fn event(&mut self) -> Result<Event, KernelError> {
            // The answers of a network come one by one: never two are there already.
            tokio::task::yield_now().await;
            let Some(node) = self.answers.pop_front() else { return std::future::pending().await };
            self.resolved.insert(hop(node), mac(node));
            if self.loses {
                return Ok(Event::Lost);
            }
            let resolution = Resolution::Good(mac(node));
            Ok(Event::Neighbour(Entry { hop: hop(node), resolution }))
        }

        fn ask(&mut self, node: Ipv4Addr) -> io::Result<()> {
            if let Some(refusal) = self.refusal {
                return Err(refusal.into());
            }
            self.asked.push(node);
            self.answers.push_back(node);
            Ok(())
        }
    }

    fn outlets()
    -> (Outlets, watch::Receiver<Option<Neighbours>>, watch::Receiver<Vec<SourceStatus>>) {
        let (neighbours, map) = watch::channel(None);
        let health = Health::default();
        let status = health.subscribe();
        (Outlets { neighbours, health }, map, status)
    }

    /// Runs a session until `done` is fulfilled by what it publishes.
    async fn until(
        kernel: &mut Fake,
        nodes: u32,
        mut done: impl FnMut(usize, &[SourceStatus]) -> bool,
    ) -> Vec<SourceStatus> {
        let (outlets, mut map, mut status) = outlets();
        let (_keep, mut wanted) = watch::channel(Some((0..nodes).map(node).collect()));
        let mut known = Known { fixed: Known4::new(), last: Known4::new() };
        let watcher = async {
            loop {
                let known = map.borrow_and_update().as_ref().map_or(0, Neighbours::len);
                let health = status.borrow_and_update().clone();
                if done(known, &health) {
                    return health;
                }
                tokio::select! { _ = map.changed() => {}, _ = status.changed() => {} }
            }
        };
        let watcher = tokio::time::timeout(Duration::from_secs(60), watcher);
        tokio::select! {
            ended = session(kernel, &mut wanted, &mut known, &outlets) => panic!("{ended:?}"),
            health = watcher => health.expect("in time"),
        }
    }

    #[tokio::test]
    async fn the_kernel_is_asked_as_often_as_there_are_nodes_and_not_more() {
        let mut kernel = Fake::default();
        until(&mut kernel, NODES, |known, _| known == NODES as usize).await;
        // Once for each, but for a machine so slow that it is time to ask again; a question an event would be a thousand each.
        let limit = 10 * NODES as usize;
        assert!(kernel.asked.len() < limit, "asked {} times", kernel.asked.len());
        assert!(kernel.round_trips < limit, "{} round trips", kernel.round_trips);
    }

    #[tokio::test]
    async fn what_lost_events_said_is_read_soon() {
        let start = Instant::now();
        let mut kernel = Fake { loses: true, ..Fake::default() };
        until(&mut kernel, 3, |known, _| known == 3).await;
        assert!(start.elapsed() < REFRESH, "{:?}", start.elapsed());
    }

    #[tokio::test]
    async fn a_datagram_that_cannot_be_sent_ends_nothing_and_is_told() {
        let refusal = Some(io::ErrorKind::PermissionDenied);
        let mut kernel = Fake { refusal, ..Fake::default() };
        kernel.resolved.insert(hop(node(0)), mac(node(0)));
        let told = |all: &[SourceStatus]| all.iter().any(|status| !status.errors.is_empty());
        let health = until(&mut kernel, 3, |known, health| known == 1 && told(health)).await;
        assert!(health[0].read, "{health:?}");
        let error = &health[0].errors[0];
        assert!(error.contains("10.0.0.2 and 1 more: permission denied"), "{error}");
    }
}
