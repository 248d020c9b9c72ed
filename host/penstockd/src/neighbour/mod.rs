//! MAC addresses of remote nodes, as the node's kernel knows them.
//!
//! In: the node addresses wanted. Out: a map from node address to the MAC address of its next hop on the fabric, and how the
//! following goes. The kernel resolves: this module only makes it want to, by a UDP datagram to the discard port, and follows
//! its neighbour table by rtnetlink. The table is read whole at the start and with every tick, so a lost event costs a delay,
//! not a wrong state.
//!
//! ```text
//! netlink  the kernel: its table, its routes, the datagram     (behind a trait, so that tests can be the kernel)
//! table    which entry counts for which node, what to ask when (pure)
//! session  one connection to the kernel, until it fails
//! ```
//!
//! Only the entry on the interface counts by which the kernel routes to the node. No packet of the card's confirms an entry to
//! the kernel, so it turns stale after the reachable time (30 s by default); a stale entry gets a datagram, upon which the
//! kernel verifies it by ARP and, if nobody answers there any more, asks everybody. So another MAC address is noticed within
//! the reachable time and some ten seconds.
//!
//! An address that fails keeps its last MAC address: the card's packets are then lost on the wire and nowhere else. Nothing
//! that fails here ends anything: it stands in the status and is tried again.

mod netlink;
mod session;
mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use penstock_agent::chain;
use penstock_api::types::SourceStatus;
use penstock_model::{MacAddr, Neighbours};
use tokio::sync::watch;
use tokio::time::sleep;
use tracing::{info, warn};

use crate::health::Health;
use netlink::{FollowError, Netlink};
use session::session;

/// MAC address by node address: the tunnels are IPv4's.
pub type Known4 = BTreeMap<Ipv4Addr, MacAddr>;

/// First pause before netlink is set up anew after an error; doubles up to [`RECONNECT_MAX`].
const RECONNECT_MIN: Duration = Duration::from_secs(1);
/// Longest pause before netlink is set up anew.
const RECONNECT_MAX: Duration = Duration::from_secs(60);
/// How the neighbours are called among the sources of the status.
const SOURCE: &str = "neighbours of the kernel";

/// Where the follower publishes.
pub struct Outlets {
    /// What is known. None until the kernel was asked for the first time.
    pub neighbours: watch::Sender<Option<Neighbours>>,
    /// How the following goes.
    pub health: Health,
}

impl Outlets {
    /// Publishes `known`; it is the whole map.
    fn publish(&self, known: &Known4) {
        self.neighbours.send_if_modified(|map| {
            let first = map.is_none();
            let map = map.get_or_insert_default();
            // What stays is not touched, so that a reader that compares finds what changed and no more.
            let gone: Vec<IpAddr> =
                map.keys().filter(|node| !is_in(known, node)).copied().collect();
            let mut changed = first || !gone.is_empty();
            gone.iter().for_each(|node| _ = map.remove(node));
            for (&node, &mac) in known {
                let node = IpAddr::V4(node);
                if map.get(&node) != Some(&mac) {
                    map.insert(node, mac);
                    changed = true;
                }
            }
            changed
        });
    }

    /// Publishes the MAC address of one node; costs the same however many there are.
    fn add(&self, node: Ipv4Addr, mac: MacAddr) {
        self.neighbours.send_if_modified(|map| {
            map.as_mut().is_some_and(|map| map.insert(node.into(), mac) != Some(mac))
        });
    }

    /// Publishes how it goes; says whether that is news.
    fn report(&self, read: bool, errors: Vec<String>) -> bool {
        self.health.set(SourceStatus {
            name: SOURCE.to_owned(),
            read,
            errors,
            ..SourceStatus::default()
        })
    }
}

fn is_in(known: &Known4, node: &IpAddr) -> bool {
    matches!(node, IpAddr::V4(node) if known.contains_key(node))
}

/// What is known, across sessions.
struct Known {
    /// Never asked for.
    fixed: Known4,
    /// The last MAC address of each node wanted, `fixed` included.
    last: Known4,
}

impl Known {
    /// The nodes among `wanted` that the kernel is asked for; those not wanted any more are forgotten.
    fn targets(&mut self, wanted: Option<&BTreeSet<Ipv4Addr>>) -> BTreeSet<Ipv4Addr> {
        let wanted = wanted.into_iter().flatten().copied();
        let targets: BTreeSet<_> = wanted.filter(|node| !self.fixed.contains_key(node)).collect();
        self.last.retain(|node, _| targets.contains(node) || self.fixed.contains_key(node));
        targets
    }

    fn learn(&mut self, node: Ipv4Addr, mac: MacAddr) -> bool {
        let is_news = self.last.insert(node, mac) != Some(mac);
        if is_news {
            info!(%node, %mac, "neighbour resolved");
        }
        is_news
    }
}

/// Follows the kernel until nobody wants its results any more. `fixed` addresses are never asked for.
pub async fn follow(
    mut wanted: watch::Receiver<Option<BTreeSet<Ipv4Addr>>>,
    fixed: Known4,
    outlets: Outlets,
) {
    let mut known = Known { last: fixed.clone(), fixed };
    let mut pause = RECONNECT_MIN;
    while !outlets.neighbours.is_closed() {
        if wanted.wait_for(Option::is_some).await.is_err() || wanted.has_changed().is_err() {
            // The daemon ends.
            return;
        }
        let ended = match Netlink::connect() {
            Ok(mut kernel) => session(&mut kernel, &mut wanted, &mut known, &outlets).await,
            Err(error) => Err(error),
        };
        match ended {
            Ok(()) => return,
            Err(FollowError::Lost { worked: true, .. }) => pause = RECONNECT_MIN,
            Err(_) => {}
        }
        if let Err(error) = ended {
            let text = chain(&error);
            warn!(
                "cannot follow the kernel's neighbours, trying again in {} s: {text}",
                pause.as_secs()
            );
            outlets.report(false, vec![text]);
            // Without the kernel the fixed addresses are all that is known; the rest of the daemon goes on.
            outlets.publish(&known.last);
            sleep(pause).await;
            pause = (pause * 2).min(RECONNECT_MAX);
        }
    }
}
