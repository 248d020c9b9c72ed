//! Which nodes' MAC addresses are needed: those of all peers and next hops, over all cards.
//!
//! Counted by intent, so that a change among a million routes costs what the change costs.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use futures_util::future::select_all;
use penstock_model::{Intent, Path, Peer, Rib};
use tokio::sync::watch;

use imbl::OrdMap;
use imbl::ordmap::DiffItem;

/// How often each address is named by an intent.
#[derive(Default)]
struct Named {
    peers: OrdMap<String, Arc<Peer>>,
    rib: Rib,
    count: BTreeMap<IpAddr, usize>,
}

impl Named {
    /// Follows the intent; whether other addresses are named than before.
    fn update(&mut self, intent: &Intent) -> bool {
        let (peers, rib) = (
            std::mem::replace(&mut self.peers, intent.peers.clone()),
            std::mem::replace(&mut self.rib, intent.rib.clone()),
        );
        let mut changed = false;
        for item in peers.diff(&intent.peers) {
            let (old, new) = sides(&item);
            changed |= self
                .replace(old.iter().map(|peer| peer.address), new.iter().map(|peer| peer.address));
        }
        for item in rib.diff(&intent.rib) {
            let (old, new) = sides(&item);
            let hops = |paths: Option<&Arc<[Path]>>| -> Vec<IpAddr> {
                paths.into_iter().flat_map(|paths| paths.iter()).map(|path| path.next_hop).collect()
            };
            changed |= self.replace(hops(old), hops(new));
        }
        changed
    }

    fn replace(
        &mut self,
        old: impl IntoIterator<Item = IpAddr>,
        new: impl IntoIterator<Item = IpAddr>,
    ) -> bool {
        let mut changed = false;
        for address in new {
            let count = self.count.entry(address).or_default();
            changed |= *count == 0;
            *count += 1;
        }
        for address in old {
            if let Some(count) = self.count.get_mut(&address) {
                *count -= 1;
                if *count == 0 {
                    self.count.remove(&address);
                    changed = true;
                }
            }
        }
        changed
    }
}

fn sides<'a, K, V>(item: &DiffItem<'a, 'a, K, V>) -> (Option<&'a V>, Option<&'a V>) {
    match *item {
        DiffItem::Add(_, new) => (None, Some(new)),
        DiffItem::Update { old: (_, old), new: (_, new) } => (Some(old), Some(new)),
        DiffItem::Remove(_, old) => (Some(old), None),
    }
}

/// Follows the intents, and publishes once one of them is complete. Tunnels are IPv4's.
pub async fn follow(
    mut intents: Vec<watch::Receiver<Arc<Intent>>>,
    wanted: watch::Sender<Option<BTreeSet<Ipv4Addr>>>,
) {
    let mut named: Vec<Named> = intents.iter().map(|_| Named::default()).collect();
    loop {
        let mut complete = false;
        let mut changed = false;
        for (intent, named) in intents.iter_mut().zip(&mut named) {
            let intent = intent.borrow_and_update().clone();
            complete |= intent.complete;
            changed |= named.update(&intent);
        }
        let first = complete && wanted.borrow().is_none();
        if complete && (first || changed) {
            let addresses = named.iter().flat_map(|named| named.count.keys());
            let v4 = |address: &IpAddr| match address {
                IpAddr::V4(address) => Some(*address),
                IpAddr::V6(_) => None,
            };
            wanted.send_replace(Some(addresses.filter_map(v4).collect()));
        }
        let (changed, ..) = select_all(intents.iter_mut().map(|i| Box::pin(i.changed()))).await;
        if changed.is_err() {
            return;
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use penstock_model::{Encapsulation, MplsLabel, VrfId};

    use super::*;

    fn rib(hops: &[(&str, &[u8])]) -> Rib {
        let path = |&last: &u8| Path {
            next_hop: IpAddr::from([10, 0, 0, last]),
            label: MplsLabel(43),
            encapsulation: Encapsulation::default(),
            preference: Path::PREFERENCE,
            announcer: "somebody".into(),
        };
        let entry = |(prefix, hops): &(&str, &[u8])| {
            let paths: Arc<[Path]> = hops.iter().map(path).collect();
            ((VrfId(2), prefix.parse().unwrap()), paths)
        };
        hops.iter().map(entry).collect()
    }

    #[test]
    fn an_address_is_wanted_as_long_as_anybody_names_it() {
        let mut named = Named::default();
        let mut intent = Intent { rib: rib(&[("10.1.0.1/32", &[1])]), ..Intent::default() };
        assert!(named.update(&intent) && !named.update(&intent));
        intent.rib = rib(&[("10.1.0.1/32", &[1]), ("10.1.0.2/32", &[1])]);
        assert!(!named.update(&intent), "somebody names it twice");
        let peer = Peer { name: "two".to_owned(), address: IpAddr::from([10, 0, 0, 2]) };
        intent.peers.insert("two".to_owned(), Arc::new(peer));
        intent.rib = rib(&[("10.1.0.2/32", &[3, 1])]);
        assert!(named.update(&intent));
        let names = |named: &Named| named.count.keys().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(names(&named), ["10.0.0.1", "10.0.0.2", "10.0.0.3"]);
        intent.rib = Rib::new();
        assert!(named.update(&intent));
        assert_eq!(names(&named), ["10.0.0.2"]);
    }
}
