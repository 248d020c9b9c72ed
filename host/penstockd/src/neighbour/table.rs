//! Which entry of the kernel's neighbour table counts for which node, and when the kernel is to be made to ask. Pure: time
//! comes in as an argument.
//!
//! Nodes behind one gateway share a hop, and what is asked for the hop is asked once. Everything that happens costs the same,
//! or grows with the logarithm of the number of hops; only a change of what is wanted looks at all nodes.
//!
//! | what the kernel says of a hop | what is done |
//! | --- | --- |
//! | nothing, incomplete, failed | asked at once, again after 0.25 s, 0.5 s and so on up to 5 s |
//! | stale | asked at once, again after 10 s if it still is |
//! | reachable, being verified, permanent | nothing |

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::Ipv4Addr;
use std::time::Duration;

use penstock_model::MacAddr;
use tokio::time::Instant;

/// First pause before an unresolved hop is asked for again; doubles up to [`RETRY_MAX`].
const RETRY_MIN: Duration = Duration::from_millis(250);
/// Longest pause before an unresolved hop is asked for again.
const RETRY_MAX: Duration = Duration::from_secs(5);
/// Pause before a hop that stays stale is asked for again; the kernel itself waits 5 s before it verifies one.
const STALE_PAUSE: Duration = Duration::from_secs(10);

/// A neighbour: an address on an interface. The same address on another interface is somebody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Hop {
    /// Index of the interface.
    pub(super) interface: u32,
    /// IPv4 address.
    pub(super) address: Ipv4Addr,
}

/// What the kernel knows of a hop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Resolution {
    /// No MAC address, or one that did not answer.
    #[default]
    None,
    /// A MAC address that has not been confirmed lately.
    Stale(MacAddr),
    /// A MAC address that is confirmed or being verified.
    Good(MacAddr),
}

impl Resolution {
    fn mac(self) -> Option<MacAddr> {
        match self {
            Resolution::None => None,
            Resolution::Stale(mac) | Resolution::Good(mac) => Some(mac),
        }
    }
}

/// One entry of the kernel's table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// Whose it is.
    pub(super) hop: Hop,
    /// What it says.
    pub(super) resolution: Resolution,
}

#[derive(Debug, Default)]
struct HopState {
    nodes: BTreeSet<Ipv4Addr>,
    resolution: Resolution,
    /// When it is to be asked for; it stands in the agenda then.
    due: Option<Instant>,
    /// Pause after the next question, while it is unresolved.
    pause: Duration,
}

/// The nodes wanted and the hops that lead to them.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// None: there is no route.
    routes: BTreeMap<Ipv4Addr, Option<Hop>>,
    hops: HashMap<Hop, HopState>,
    agenda: BTreeSet<(Instant, Hop)>,
}

impl Table {
    /// Sets the nodes wanted; returns those that need a route.
    pub(super) fn want(&mut self, nodes: &BTreeSet<Ipv4Addr>) -> Vec<Ipv4Addr> {
        let gone: Vec<_> =
            self.routes.keys().filter(|node| !nodes.contains(node)).copied().collect();
        for node in gone {
            self.leave(node);
            self.routes.remove(&node);
        }
        nodes.iter().filter(|node| !self.routes.contains_key(node)).copied().collect()
    }

    /// All nodes wanted that were given a route or none.
    pub(super) fn nodes(&self) -> Vec<Ipv4Addr> {
        self.routes.keys().copied().collect()
    }

    /// Nodes to which there is no route.
    pub(super) fn unrouted(&self) -> impl Iterator<Item = Ipv4Addr> {
        self.routes.iter().filter(|(_, hop)| hop.is_none()).map(|(node, _)| *node)
    }

    /// Sets how a node is reached. The entry of a hop that is new is not known until the table is read again.
    pub(super) fn set_route(&mut self, node: Ipv4Addr, hop: Option<Hop>, now: Instant) {
        if self.routes.get(&node) == Some(&hop) {
            return;
        }
        self.leave(node);
        self.routes.insert(node, hop);
        let Some(hop) = hop else { return };
        let state = self.hops.entry(hop).or_default();
        if state.nodes.insert(node) && state.nodes.len() == 1 {
            state.pause = RETRY_MIN;
            self.schedule(hop, Some(now));
        }
    }

    /// Takes over the whole table of the kernel; calls `learn` for each node with a MAC address.
    pub(super) fn read(
        &mut self,
        entries: &[Entry],
        now: Instant,
        mut learn: impl FnMut(Ipv4Addr, MacAddr),
    ) {
        let said: HashMap<Hop, Resolution> =
            entries.iter().map(|entry| (entry.hop, entry.resolution)).collect();
        let hops: Vec<Hop> = self.hops.keys().copied().collect();
        for hop in hops {
            let resolution = said.get(&hop).copied().unwrap_or_default();
            self.apply(&Entry { hop, resolution }, now, &mut learn);
        }
    }

    /// Takes over what the kernel says of one hop; calls `learn` for each node behind it if there is a MAC address. An entry
    /// by which no node is reached is of no interest, such as the same address on another interface.
    pub(super) fn apply(
        &mut self,
        entry: &Entry,
        now: Instant,
        mut learn: impl FnMut(Ipv4Addr, MacAddr),
    ) {
        let Some(state) = self.hops.get_mut(&entry.hop) else { return };
        let old = std::mem::replace(&mut state.resolution, entry.resolution);
        if let Some(mac) = entry.resolution.mac() {
            state.nodes.iter().for_each(|node| learn(*node, mac));
        }
        let due = match (old, entry.resolution) {
            (_, Resolution::Good(_)) => None,
            (old, new) if old == new => state.due,
            (_, Resolution::Stale(_)) => Some(now),
            (_, Resolution::None) => {
                state.pause = RETRY_MIN;
                Some(now)
            }
        };
        self.schedule(entry.hop, due);
    }

    /// A node for each hop that is to be asked for now. The next question of each is scheduled.
    pub(super) fn due(&mut self, now: Instant) -> Vec<Ipv4Addr> {
        let mut nodes = Vec::new();
        while let Some(&(at, hop)) = self.agenda.first()
            && at <= now
        {
            let mut next = None;
            if let Some(state) = self.hops.get_mut(&hop) {
                nodes.extend(state.nodes.first());
                next = match state.resolution {
                    Resolution::Good(_) => None,
                    Resolution::Stale(_) => Some(now + STALE_PAUSE),
                    Resolution::None => {
                        let pause = state.pause;
                        state.pause = (pause * 2).min(RETRY_MAX);
                        Some(now + pause)
                    }
                };
            }
            self.agenda.pop_first();
            self.schedule(hop, next);
        }
        nodes
    }

    /// When something is due next.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.agenda.first().map(|(at, _)| *at)
    }

    fn schedule(&mut self, hop: Hop, due: Option<Instant>) {
        let Some(state) = self.hops.get_mut(&hop) else { return };
        if let Some(old) = std::mem::replace(&mut state.due, due) {
            self.agenda.remove(&(old, hop));
        }
        self.agenda.extend(due.map(|due| (due, hop)));
    }

    /// Takes a node off its hop.
    fn leave(&mut self, node: Ipv4Addr) {
        let Some(hop) = self.routes.get(&node).copied().flatten() else { return };
        if let Some(state) = self.hops.get_mut(&hop) {
            state.nodes.remove(&node);
            if state.nodes.is_empty() {
                self.schedule(hop, None);
                self.hops.remove(&hop);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODE: Ipv4Addr = Ipv4Addr::new(10, 169, 25, 21);
    const GATEWAY: Hop = Hop { interface: 3, address: Ipv4Addr::new(10, 169, 25, 1) };
    const DIRECT: Hop = Hop { interface: 3, address: NODE };
    const OLD: MacAddr = MacAddr([2, 0, 10, 169, 25, 21]);
    const NEW: MacAddr = MacAddr([2, 0, 10, 169, 25, 99]);

    fn table(routes: &[(Ipv4Addr, Hop)], now: Instant) -> Table {
        let mut table = Table::default();
        let nodes = routes.iter().map(|(node, _)| *node).collect();
        assert_eq!(table.want(&nodes).len(), nodes.len());
        for (node, hop) in routes {
            table.set_route(*node, Some(*hop), now);
        }
        table
    }

    fn learned(
        table: &mut Table,
        hop: Hop,
        resolution: Resolution,
        now: Instant,
    ) -> Vec<(Ipv4Addr, MacAddr)> {
        let mut learned = Vec::new();
        table.apply(&Entry { hop, resolution }, now, |node, mac| learned.push((node, mac)));
        learned
    }

    /// A peer's card is replaced: the entry turns stale, is verified, fails, and is asked for anew.
    #[test]
    fn a_stale_entry_is_asked_for_until_it_is_confirmed() {
        let start = Instant::now();
        let mut table = table(&[(NODE, DIRECT)], start);
        assert_eq!(table.due(start), [NODE], "unknown");
        assert_eq!(learned(&mut table, DIRECT, Resolution::Good(OLD), start), [(NODE, OLD)]);
        assert_eq!(table.next_due(), None, "confirmed: nothing to ask");
        let stale = start + Duration::from_secs(30);
        assert_eq!(learned(&mut table, DIRECT, Resolution::Stale(OLD), stale), [(NODE, OLD)]);
        assert_eq!(table.due(stale), [NODE]);
        assert!(table.due(stale).is_empty(), "once");
        learned(&mut table, DIRECT, Resolution::Stale(OLD), stale + Duration::from_secs(1));
        assert_eq!(table.next_due(), Some(stale + STALE_PAUSE), "reading it again changes nothing");
        assert_eq!(table.due(stale + STALE_PAUSE), [NODE], "again while it stays stale");
        let failed = stale + STALE_PAUSE + Duration::from_secs(1);
        assert_eq!(learned(&mut table, DIRECT, Resolution::None, failed), []);
        assert_eq!(table.due(failed), [NODE], "failed: at once");
        assert_eq!(learned(&mut table, DIRECT, Resolution::Good(NEW), failed), [(NODE, NEW)]);
        assert_eq!(table.next_due(), None);
    }

    #[test]
    fn an_unresolved_one_is_asked_for_ever_more_rarely() {
        let start = Instant::now();
        let mut table = table(&[(NODE, DIRECT)], start);
        let mut pauses = Vec::new();
        let mut at = start;
        for _ in 0..8 {
            assert_eq!(table.due(at), [NODE]);
            let next = table.next_due().unwrap_or(at);
            pauses.push((next - at).as_millis());
            // What the kernel says of its own vain attempts does not hurry anything.
            learned(&mut table, DIRECT, Resolution::None, at);
            at = next;
        }
        assert_eq!(pauses, [250, 500, 1000, 2000, 4000, 5000, 5000, 5000]);
    }

    #[test]
    fn the_same_address_on_another_interface_is_somebody_else() {
        let start = Instant::now();
        let mut table = table(&[(NODE, DIRECT)], start);
        let elsewhere = Hop { interface: 2, ..DIRECT };
        assert_eq!(learned(&mut table, elsewhere, Resolution::Good(NEW), start), []);
        let mut macs = Vec::new();
        let entries = [(DIRECT, OLD), (elsewhere, NEW)]
            .map(|(hop, mac)| Entry { hop, resolution: Resolution::Stale(mac) });
        table.read(&entries, start, |_, mac| macs.push(mac));
        assert_eq!(macs, [OLD]);
        // The node moves there.
        table.set_route(NODE, Some(elsewhere), start);
        table.read(&entries, start, |_, mac| macs.push(mac));
        assert_eq!(macs, [OLD, NEW]);
        assert_eq!(learned(&mut table, DIRECT, Resolution::Good(OLD), start), []);
    }

    #[test]
    fn nodes_behind_a_gateway_are_asked_for_once_and_learned_together() {
        let start = Instant::now();
        let far = [Ipv4Addr::new(192, 168, 0, 1), Ipv4Addr::new(192, 168, 0, 2)];
        let mut table = table(&far.map(|node| (node, GATEWAY)), start);
        assert_eq!(table.due(start).len(), 1);
        let both = far.map(|node| (node, OLD));
        assert_eq!(learned(&mut table, GATEWAY, Resolution::Good(OLD), start), both);
        table.set_route(far[0], None, start);
        assert_eq!(table.unrouted().collect::<Vec<_>>(), [far[0]]);
        assert!(table.want(&BTreeSet::from([far[0]])).is_empty());
        assert_eq!(
            (table.hops.len(), table.agenda.len()),
            (0, 0),
            "nothing is left of the gateway"
        );
    }
}
